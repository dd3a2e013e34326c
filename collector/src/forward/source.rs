//! The log as one backend reads it: spans of all streams, in order within each, up to what is durable.

use std::io;

use spanseal_ledger::StreamId;
use spanseal_log::{Cursor, DataDir, Owner};
use tokio::sync::watch;

use super::shipment::Shipment;
use super::stream::StreamSource;
use super::unseal::Unseal;
use crate::seal::Durable;

/// A stream that is to be forwarded.
#[derive(Debug, Clone)]
pub struct Feed {
    pub stream: StreamId,
    /// How far it may be read; `None`: nobody writes it any more, so all of it.
    pub durable: Option<watch::Receiver<Durable>>,
}

/// How much goes into one shipment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) spans: usize,
}

/// All streams, and how far each was read.
pub(super) struct Source {
    streams: Vec<StreamSource>,
    /// Whose turn it is, so that a busy stream does not keep another back.
    turn: usize,
    limits: Limits,
    unseal: Unseal,
}

impl Source {
    /// Opens every stream where the cursor stands.
    ///
    /// # Errors
    /// When a stream's directory cannot be read.
    pub(super) fn open(
        data: &DataDir,
        feeds: Vec<Feed>,
        cursor: &Cursor,
        unseal: Unseal,
        limits: Limits,
    ) -> io::Result<Self> {
        let open = |feed: Feed| {
            let from = cursor.next(&feed.stream);
            StreamSource::open(data.shared_storage(), data.log(&Owner::Stream(feed.stream)), feed, from)
        };
        let streams = feeds.into_iter().map(open).collect::<io::Result<_>>()?;
        Ok(Self { streams, turn: 0, limits, unseal })
    }

    /// Returns what follows; `None` when everything durable has been returned.
    ///
    /// # Errors
    /// When the log cannot be read; the next call tries again from there.
    pub(super) fn next(&mut self) -> io::Result<Option<Shipment>> {
        for _ in 0..self.streams.len() {
            let turn = self.turn;
            self.turn = (turn + 1) % self.streams.len();
            let stream = &mut self.streams[turn];
            if let Some(shipment) = stream.next(self.limits, &mut self.unseal)? {
                return Ok(Some(shipment));
            }
        }
        Ok(None)
    }
}
