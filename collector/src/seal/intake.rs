//! The way in: runs in the caller's task, works out all that needs no stream, and waits for the answer.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::gate::Gate;
use super::parcel::{Answer, Parcel};
use super::scanner::Scanner;
use crate::intake::{Accepted, Received, Refusal, Submit, Submitted};

/// What every connection submits to. When the last one is dropped, the stream's thread ends.
pub(crate) struct Door {
    pub(crate) scanner: Scanner,
    pub(crate) parcels: SyncSender<Parcel>,
    pub(crate) gate: Arc<Gate>,
}

impl Submit for Door {
    fn submit(&self, received: Received) -> Submitted<'_> {
        Box::pin(self.take_in(received))
    }
}

impl Door {
    async fn take_in(&self, received: Received) -> Answer {
        let (answer, answered) = oneshot::channel();
        let parcel = self.scanner.parcel(received, answer)?;
        if parcel.spans_received() == 0 {
            return Ok(Accepted::default());
        }
        self.send(parcel)?;
        // A stream that stops before the spans are durable drops the request.
        answered.await.unwrap_or(Err(Refusal::Stopping))
    }

    fn send(&self, parcel: Parcel) -> Result<(), Refusal> {
        self.gate.enter();
        let (parcel, refusal) = match self.parcels.try_send(parcel) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(parcel)) => (parcel, Refusal::Busy { retry_after: RETRY_AFTER }),
            Err(TrySendError::Disconnected(parcel)) => (parcel, Refusal::Stopping),
        };
        self.gate.leave();
        self.gate.refuse(parcel.spans_received());
        Err(refusal)
    }
}

/// How long a sender is asked to wait when the queue is full: some groups later it is empty.
const RETRY_AFTER: Duration = Duration::from_millis(500);
