//! Reads a request's body: within its size, within its time, and on the budget.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as _;

use super::Receiver;
use super::problem::Problem;
use crate::intake::{BudgetPermit, Refusal};

/// Bytes of a request, and their share of the budget.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) bytes: Bytes,
    pub(super) permit: BudgetPermit,
}

impl Receiver {
    /// Reads a body of at most `bytes_max`. `announced` says how long it is by its first bytes, if they do.
    pub(super) async fn take_in(
        &self,
        body: &mut Body,
        bytes_max: usize,
        announced: fn(&[u8]) -> Option<usize>,
    ) -> Result<Taken, Problem> {
        let reading = read(body, bytes_max, self.budget.permit(), announced);
        let reading = tokio::time::timeout(self.config.body_timeout, reading);
        let taken = tokio::select! {
            biased; // what is there already is taken
            read = reading => read.unwrap_or(Err(Problem::Slow { after: self.config.body_timeout })),
            () = self.stop.cancelled() => Err(Problem::Refused(Refusal::Stopping)),
        }?;
        self.metrics.receive.wire_bytes.inc_by(taken.bytes.len() as u64);
        Ok(taken)
    }

    /// Reads on without keeping anything, so that an HTTP/1 client gets to the answer that is waiting for it.
    pub(super) async fn drain(&self, body: &mut Body) {
        let draining = async { while let Some(Ok(_)) = body.frame().await {} };
        let drained = tokio::time::timeout(self.config.body_timeout, draining);
        // Cut short by the time or the stop, the connection ends without the answer.
        let _ = self.stop.run_until_cancelled(drained).await;
    }
}

async fn read(
    body: &mut Body,
    bytes_max: usize,
    mut permit: BudgetPermit,
    announced: fn(&[u8]) -> Option<usize>,
) -> Result<Taken, Problem> {
    let content_length = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if content_length > bytes_max {
        return Err(Problem::TooLarge { bytes_max });
    }
    // Copied as it comes: a list of frames could be made of a million single bytes.
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|_| Problem::Broken)?.into_data() else { continue };
        let len = bytes.len() + chunk.len();
        if len > bytes_max {
            return Err(Problem::TooLarge { bytes_max });
        }
        permit.grow(chunk.len() as u64)?;
        if bytes.capacity() < len {
            let known = announced(if bytes.is_empty() { &chunk } else { &bytes });
            reserve(&mut bytes, len, known.unwrap_or(0).max(content_length).min(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Taken { bytes: bytes.into(), permit })
}

/// Makes room at once for what is announced, but believes no announcement far beyond what is there.
///
/// The allocator keeps the room of earlier steps, and that of clients who announce much and send a byte a second: so
/// it grows with what is there, to a mebibyte at 16 KiB, and to the whole from an eighth on.
fn reserve(bytes: &mut Vec<u8>, len: usize, announced: usize) {
    let believed = announced.min((64 * len).clamp(FIRST_BYTES, BELIEVED_BYTES_MAX).max(8 * len));
    let room = if believed >= len { believed } else { len.next_power_of_two().max(FIRST_BYTES) };
    bytes.reserve_exact(room - bytes.len());
}

const FIRST_BYTES: usize = 16 << 10;
const BELIEVED_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn believes_what_is_announced_once_an_eighth_is_there() {
        const MIB: usize = 1 << 20;
        for (len, announced, room) in [
            (100, 0, FIRST_BYTES),
            (100, 5000, 5000),
            (1, 40 * MIB, FIRST_BYTES),
            (FIRST_BYTES, 40 * MIB, MIB),
            (4 * MIB, 40 * MIB, 32 * MIB),
            (5 * MIB, 40 * MIB, 40 * MIB),
            (5 * MIB, 0, 8 * MIB),
        ] {
            let mut bytes = Vec::new();
            reserve(&mut bytes, len, announced);
            assert_eq!(bytes.capacity(), room, "{len} of {announced}");
        }
    }
}
