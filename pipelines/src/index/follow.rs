//! Indexes as the log grows.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use spanseal_ledger::StreamId;
use spanseal_log::DataDir;
use tracing::warn;

use super::indexer::{IndexError, Indexer};
use super::progress::claimed_size;

/// How far streams may be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// The durable sizes of the streams that are being written.
    pub sizes: BTreeMap<StreamId, u64>,
    /// Whether streams that are not named here may be read to their end: nobody writes them any more.
    pub others: bool,
}

impl Limits {
    /// Everything there is.
    pub fn none() -> Self {
        Self { sizes: BTreeMap::new(), others: true }
    }

    /// Returns the size up to which a stream may be read.
    pub fn of(&self, stream: &StreamId) -> u64 {
        let unnamed = if self.others { u64::MAX } else { 0 };
        self.sizes.get(stream).copied().unwrap_or(unnamed)
    }

    /// Returns the events of all streams that are being written.
    fn events(&self) -> u64 {
        self.sizes.values().sum()
    }
}

/// Where the indexer learns that there is more.
pub trait Feed {
    /// Waits until there may be more, and says how far streams may be read; `None` ends the indexing. The first call
    /// returns at once.
    fn wait(&mut self) -> Option<Limits>;

    /// Says without waiting how far streams may be read by now; `None` when that is no news.
    fn now(&mut self) -> Option<Limits> {
        None
    }

    /// Lets so much time go by, or less when there is nobody any more to give way to.
    fn pause(&mut self, _time: Duration) {}

    /// Whether the process is to end: what is not indexed by then is left to its next start.
    fn is_over(&self) -> bool {
        false
    }
}

/// What one round of indexing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Indexed {
    pub events: u64,
    /// Events that may be read and are not indexed yet, of streams whose durable size is known.
    pub lag: u64,
}

/// Indexes until the feed ends; what may be read by then is indexed first, unless the feed is over. While much is sealed it
/// pauses between rounds: somebody waits for what is sealed, while the index may lag. On a full disk it waits for the feed,
/// and tries again.
///
/// # Errors
/// When the index cannot be written otherwise, or the log cannot be read. Nothing is lost: the next start goes on from the cursor.
pub fn follow(indexer: &mut Indexer, feed: &mut dyn Feed, on_round: &mut dyn FnMut(Indexed)) -> Result<(), IndexError> {
    while let Some(mut limits) = feed.wait() {
        loop {
            let began = Instant::now();
            let round = match indexer.round(&limits) {
                Err(error) if error.is_disk_full() => {
                    warn!("the disk is full: what is sealed is indexed when there is space");
                    break;
                }
                round => round?,
            };
            let took = began.elapsed();
            on_round(round);
            if round.events == 0 || feed.is_over() {
                break;
            }
            let Some(now) = feed.now() else { continue };
            let sealed = now.events().saturating_sub(limits.events());
            limits = now;
            if let Some(pause) = pause(round.events, sealed, took) {
                feed.pause(pause);
                limits = feed.now().unwrap_or(limits);
            }
        }
    }
    Ok(())
}

/// Returns how long to give way after a round that took so long: not while little was sealed meanwhile, in events or beside
/// what was indexed, so that it is found at once.
fn pause(indexed: u64, sealed: u64, took: Duration) -> Option<Duration> {
    (sealed >= LITTLE && sealed.saturating_mul(BUSY) > indexed).then(|| took * PAUSES)
}

/// In the time of a round, a fifth of a second, that is a tenth of a core's sealing.
const LITTLE: u64 = 4096;
/// Sealing is busy when it gets on faster than the index by one part in so many: then it takes about a third of a core.
const BUSY: u64 = 4;
/// A tenth of the time is left to the index.
const PAUSES: u32 = 9;

/// Follows a log that another process writes: no further than its checkpoints, looked at in an interval.
#[derive(Debug)]
pub struct PollCheckpoints {
    data: DataDir,
    interval: Duration,
    stop: Receiver<()>,
    begun: bool,
}

impl PollCheckpoints {
    /// Begins; a message on `stop`, or the end of its sender, ends the indexing.
    pub fn new(data: DataDir, interval: Duration, stop: Receiver<()>) -> Self {
        Self { data, interval, stop, begun: false }
    }
}

impl Feed for PollCheckpoints {
    fn wait(&mut self) -> Option<Limits> {
        if std::mem::replace(&mut self.begun, true)
            && self.stop.recv_timeout(self.interval) != Err(RecvTimeoutError::Timeout)
        {
            return None;
        }
        let streams = self.data.streams().unwrap_or_default();
        let sizes = streams.into_iter().map(|stream| (stream, claimed_size(&self.data, stream))).collect();
        Some(Limits { sizes, others: false })
    }
}
