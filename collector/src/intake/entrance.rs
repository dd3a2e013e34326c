//! The way in before there is a stream: closed, while the log is read back or the disk is full.

use std::future::ready;
use std::sync::OnceLock;
use std::time::Duration;

use super::{Intake, Received, Refusal, Submit, Submitted};

/// Refuses retryably until it is opened; then it is the way in to the engine.
#[derive(Default)]
pub(crate) struct Entrance {
    engine: OnceLock<Intake>,
}

impl Entrance {
    /// Lets requests through from now on.
    pub(crate) fn open(&self, engine: Intake) {
        // It is opened once.
        let _ = self.engine.set(engine);
    }
}

impl Submit for Entrance {
    fn refuses(&self) -> Option<Refusal> {
        match self.engine.get() {
            Some(engine) => engine.refuses(),
            None => Some(Refusal::Starting { retry_after: RETRY_AFTER }),
        }
    }

    fn submit(&self, received: Received) -> Submitted<'_> {
        match self.engine.get() {
            Some(Intake(sealer)) => sealer.submit(received),
            None => Box::pin(ready(Err(Refusal::Starting { retry_after: RETRY_AFTER }))),
        }
    }
}

const RETRY_AFTER: Duration = Duration::from_secs(2);
