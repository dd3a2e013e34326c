//! The way in: runs in the caller's task, works out all that needs no stream, and waits for the answer.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use spanseal_schemas::scan;
use tokio::sync::oneshot;

use super::gate::{Gate, Place};
use super::parcel::{Answer, Parcel};
use super::scanner::Scanner;
use crate::intake::{Accepted, Received, Refusal, Submit, Submitted};

/// What every connection submits to. When the last one is dropped, the stream's thread ends.
pub(crate) struct Door {
    pub(crate) scanner: Scanner,
    pub(crate) parcels: SyncSender<(Parcel, Place)>,
    pub(crate) gate: Arc<Gate>,
}

impl Submit for Door {
    fn submit(&self, received: Received) -> Submitted<'_> {
        Box::pin(self.take_in(received))
    }
}

impl Door {
    async fn take_in(&self, received: Received) -> Answer {
        // Before any work is done for it.
        let Some(place) = self.gate.enter(received.request.len() as u64) else {
            self.gate.refuse(spans_in(&received.request));
            return Err(Refusal::Busy { retry_after: RETRY_AFTER });
        };
        let (answer, answered) = oneshot::channel();
        let parcel = self.scanner.parcel(received, answer)?;
        if parcel.spans_received() == 0 {
            return Ok(Accepted::default());
        }
        self.send(parcel, place)?;
        // A stream that stops before the spans are durable drops the request.
        answered.await.unwrap_or(Err(Refusal::Stopping))
    }

    fn send(&self, parcel: Parcel, place: Place) -> Result<(), Refusal> {
        let (parcel, refusal) = match self.parcels.try_send((parcel, place)) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full((parcel, _))) => (parcel, Refusal::Busy { retry_after: RETRY_AFTER }),
            Err(TrySendError::Disconnected((parcel, _))) => (parcel, Refusal::Stopping),
        };
        self.gate.refuse(parcel.spans_received());
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
