//! The way in: runs in the caller's task, works out all that needs no stream, and waits for the streams' answers.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use spanseal_schemas::scan;
use tokio::sync::oneshot;

use super::gate::{Gate, Place, RefusedSpans};
use super::parcel::{Answer, Parcel};
use super::scanner::Scanner;
use super::split::{self, Part, split};
use crate::intake::{Accepted, Received, Refusal, Submit, Submitted};

/// What every connection submits to. When the last one is dropped, the streams' threads end.
pub(crate) struct Door {
    pub(crate) scanner: Scanner,
    /// To each stream, by number.
    pub(crate) ways: Vec<Way>,
    pub(crate) gate: Arc<Gate>,
}

/// The way to one stream.
pub(crate) struct Way {
    pub(crate) parcels: SyncSender<(Parcel, Arc<Place>)>,
    pub(crate) refused: Arc<RefusedSpans>,
}

impl Submit for Door {
    fn refuses(&self) -> Option<Refusal> {
        self.gate.is_full().then_some(Refusal::Busy { retry_after: RETRY_AFTER })
    }

    fn submit(&self, received: Received) -> Submitted<'_> {
        Box::pin(self.take_in(received))
    }
}

impl Door {
    async fn take_in(&self, received: Received) -> Answer {
        // Before any work is done for it.
        let Some(place) = self.gate.enter(received.request.len() as u64) else {
            // Which stream would have got what is not known yet.
            self.ways.first().into_iter().for_each(|first| first.refused.add(spans_in(&received.request)));
            return Err(Refusal::Busy { retry_after: RETRY_AFTER });
        };
        let (answer, answered) = oneshot::channel();
        let parcel = self.scanner.parcel(received, answer)?;
        if parcel.spans_received() == 0 {
            return Ok(Accepted::default());
        }
        let place = Arc::new(place);
        let mut answers = Vec::new();
        for Part { stream, parcel, answered } in split(parcel, answered) {
            self.ways[stream].send(parcel, &place)?;
            answers.push(answered);
        }
        drop(place);
        let mut all = Vec::with_capacity(answers.len());
        for answered in answers {
            // A stream that stops before the spans are durable drops the request.
            all.push(answered.await.unwrap_or(Err(Refusal::Stopping)));
        }
        split::answer(all)
    }
}

impl Way {
    fn send(&self, parcel: Parcel, place: &Arc<Place>) -> Result<(), Refusal> {
        let (parcel, refusal) = match self.parcels.try_send((parcel, Arc::clone(place))) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full((parcel, _))) => (parcel, Refusal::Busy { retry_after: RETRY_AFTER }),
            Err(TrySendError::Disconnected((parcel, _))) => (parcel, Refusal::Stopping),
        };
        self.refused.add(parcel.spans_received());
        Err(refusal)
    }
}

/// Returns how many spans a request has; of one that is malformed, none.
fn spans_in(request: &[u8]) -> u64 {
    let resources = scan::request(request).unwrap_or_default();
    let scopes = resources.iter().flat_map(|resource| &resource.scopes);
    scopes.map(|scope| scope.spans.len() as u64).sum()
}

/// How long a sender is asked to wait when the queue is full: some groups later it is empty.
const RETRY_AFTER: Duration = Duration::from_millis(500);
