//! One stream and all that it owns: takes groups of parcels, seals them, makes them durable, answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use spanseal_ledger::sealer::{Head, OpenError, PushError};
use spanseal_log::{BodySize, CommitError, Committed, DataDir, Lock, SegmentStart, Writer};
use tokio::sync::watch;

use super::conflicts::Conflicts;
use super::deeds::Debt;
use super::durable::Durable;
use super::epoch::{Between, Epoch, Resumed};
use super::gate::RefusedSpans;
use super::keys::Keys;
use super::measures::Measures;
use super::moment::Moment;
use super::nonces::Nonces;
use super::parcel::Parcel;
use super::pen::Pen;
use super::references::References;
use super::root::{RootError, RootLog};
use super::subjects::SharedSubjects;
use super::window::Window;
use crate::intake::Refusal;
use crate::serve::Health;

/// A stream, owned by one thread.
pub(crate) struct Stream {
    pub(super) dir: DataDir,
    /// Keeps other writers out as long as a stream lives.
    #[expect(dead_code, reason = "held for its drop")]
    pub(super) lock: Arc<Lock>,
    pub(super) writer: Writer,
    /// The open epoch; none while the disk is full.
    pub(super) epoch: Option<Epoch>,
    /// Where the stream stands while no epoch is open.
    pub(super) between: Between,
    pub(super) window: Window,
    pub(super) conflicts: Conflicts,
    /// The latest time that a group was sealed at.
    pub(super) stream_nanos: u64,
    pub(super) references: References,
    pub(super) subjects: SharedSubjects,
    /// Of [`SharedSubjects::erasures`], those whose traces were forgotten here.
    pub(super) erasures_seen: u64,
    /// What the subjects' file owes the ledger.
    pub(super) debt: Debt,
    pub(super) nonces: Nonces,
    pub(super) keys: Arc<Keys>,
    pub(super) root: Arc<Mutex<RootLog>>,
    pub(super) refused: Arc<RefusedSpans>,
    pub(super) durable: watch::Sender<Durable>,
    pub(super) measures: Measures,
    pub(super) health: Health,
    /// Its name in `/readyz`.
    pub(super) stage: &'static str,
    /// After this an epoch's key is replaced.
    pub(super) epoch_max: Duration,
}

/// The stream cannot go on: the process stops, and the next start takes over from what is durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    #[error("the stream's log cannot be written")]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Root(#[from] RootError),
    #[error("the disk cannot be asked for its free space")]
    Disk(#[from] std::io::Error),
    #[error("the log cannot be read back")]
    Read(#[source] std::io::Error),
    #[error("there is no randomness for keys and nonces")]
    Random(#[from] getrandom::Error),
    #[error("an event cannot be appended")]
    Push(#[from] PushError),
    #[error("a record cannot be appended")]
    Record(#[from] BodySize),
    #[error("an epoch cannot be opened")]
    Open(#[from] OpenError),
    #[error("the disk failed the first write of {attempts} epochs in a row")]
    Unsteady { attempts: u32 },
    #[error("the stream has used up its epochs")]
    EpochsUsedUp,
    #[error("an event was to be written without an open epoch")]
    NoEpoch,
    #[error("a subject has no key, although it was made")]
    NoSubject,
}

impl Stream {
    /// Seals a group of parcels with one commit, and answers each. None is left.
    ///
    /// The steps, in this order:
    /// 1. What may fail: space, subjects' keys. A parcel refused here leaves no trace.
    /// 2. Events, batches and seals, in memory. A crash here leaves nothing.
    /// 3. One commit. A crash here leaves any part of the group; start-up keeps what is whole, and the senders try again.
    /// 4. The answers. A crash here leaves senders that try again what the window then knows.
    /// 5. When the log had to write the group again, the epoch is over, and the next one is opened.
    ///
    /// # Errors
    /// When the group is not durable: nobody is answered, and the process stops.
    pub(crate) fn group(&mut self, parcels: &mut Vec<Parcel>, now: &Moment) -> Result<(), StreamError> {
        if let Err(refusal) = self.make_ready(parcels, now)? {
            self.refuse(parcels.drain(..), &refusal);
            return Ok(());
        }
        let erasures = self.subjects.erasures();
        let erasures = erasures.read().unwrap_or_else(PoisonError::into_inner);
        self.forget_erased(*erasures);
        let keys = self.obtain_keys(parcels);
        let mut unsealed = Vec::with_capacity(parcels.len());
        for (place, parcel) in parcels.iter().enumerate() {
            unsealed.push(self.seal_parcel(parcel, &parcels[..place], &keys, now)?);
        }
        let due = self.conflicts.due(now);
        self.tell_of_conflicts(due, now)?;
        self.pen(now)?.seal()?;
        self.commit()?;
        drop((keys, erasures));
        parcels.drain(..).zip(unsealed).for_each(|(parcel, unsealed)| parcel.accept(unsealed));
        self.resume(now).map(|resumed| self.report(resumed))
    }

    /// Does what time asks for: a new key, a finding that is due, a new try when the disk was full, or what the ledger is owed.
    /// Called between groups and when idle.
    ///
    /// # Errors
    /// When the logs cannot be written: the process stops.
    pub(crate) fn tick(&mut self, now: &Moment) -> Result<(), StreamError> {
        match &self.epoch {
            Some(epoch) if now.since(&epoch.opened) >= self.epoch_max => self.rotate(now)?,
            Some(_) => self.tell_when_idle(now)?,
            None => self.resume(now).map(|resumed| self.report(resumed))?,
        }
        self.pay(now)
    }
}

impl Stream {
    /// Returns how the group must be refused, when the disk has no space for it.
    fn make_ready(&mut self, parcels: &[Parcel], now: &Moment) -> Result<Result<(), Refusal>, StreamError> {
        let resumed = self.resume(now)?;
        // Twice: what cannot be written to a segment is written again to another.
        let wanted = 2 * parcels.iter().map(Parcel::log_bytes).sum::<u64>();
        let full = resumed == Resumed::DiskFull || self.dir.free_bytes()? < wanted;
        let resumed = if full { Resumed::DiskFull } else { Resumed::Open };
        self.report(resumed);
        Ok(if full { Err(Refusal::DiskFull { retry_after: DISK_FULL_RETRY_AFTER }) } else { Ok(()) })
    }

    /// What is shared and was cut under a key that is no more is sealed again under the next one, when it is referred to again.
    fn forget_erased(&mut self, erasures: u64) {
        if self.erasures_seen != erasures {
            self.erasures_seen = erasures;
            self.references = References::default();
        }
    }

    pub(super) fn refuse(&self, parcels: impl IntoIterator<Item = Parcel>, refusal: &Refusal) {
        for parcel in parcels {
            self.refused.add(parcel.spans_received());
            parcel.refuse(refusal.clone());
        }
    }

    /// Returns whether both logs have the space that closing an epoch may take.
    pub(super) fn has_space(&mut self) -> Result<bool, StreamError> {
        let stream = if self.writer.is_full() { self.writer.refill_reserve()? } else { true };
        let root = self.root.lock().unwrap_or_else(PoisonError::into_inner).has_space()?;
        Ok(stream && root)
    }

    /// Makes what was sealed durable and publishes it. The epoch is over when it had to be written again.
    ///
    /// # Errors
    /// When it is not durable.
    pub(super) fn commit(&mut self) -> Result<(), StreamError> {
        let bytes = self.writer.pending_bytes();
        if bytes == 0 {
            return Ok(());
        }
        let head = self.epoch.as_ref().and_then(|epoch| epoch.sealer.head()).ok_or(StreamError::NoEpoch)?;
        let started = Instant::now();
        let committed = self.writer.commit(segment_start(&head))?;
        self.measures.committed(bytes, started.elapsed());
        self.measures.window(self.window.len());
        self.publish(&head);
        if committed == Committed::Rewritten {
            self.measures.rewritten();
            let fault = self.writer.last_fault().map(ToString::to_string);
            tracing::warn!(fault, "a group was written again to a new segment, and the epoch ends");
            self.abandon_epoch(head);
        }
        Ok(())
    }

    /// Says how far the stream is durable.
    pub(super) fn publish(&mut self, head: &Head) {
        let durable = Durable { stream: head.stream, size: head.frontier.size(), root: head.frontier.root() };
        let before = self.durable.send_replace(durable);
        self.measures.grown(durable.size.saturating_sub(before.size), durable.size);
        self.conflicts.durable(durable.size);
    }

    /// Returns the way into the open epoch.
    pub(super) fn pen(&mut self, now: &Moment) -> Result<Pen<'_>, StreamError> {
        let epoch = self.epoch.as_mut().ok_or(StreamError::NoEpoch)?;
        Ok(Pen { epoch, writer: &mut self.writer, refused: &self.refused, measures: &self.measures, now: *now })
    }

    fn report(&self, resumed: Resumed) {
        match resumed {
            Resumed::Open => self.health.ready(self.stage),
            Resumed::DiskFull => self.health.unready(self.stage, DISK_FULL),
        }
    }
}

/// Where the log stands when the stream ends here.
pub(super) fn segment_start(head: &Head) -> SegmentStart {
    SegmentStart { first: head.frontier.size(), seal_hash: head.seal_hash, frontier: head.frontier.clone() }
}

/// The stage's name in `/readyz`: that of its first stream.
pub(crate) const STAGE: &str = STAGES[0];
/// The name of each stream in `/readyz`.
pub(crate) const STAGES: [&str; STREAMS_MAX] = [
    "seal", "seal 2", "seal 3", "seal 4", "seal 5", "seal 6", "seal 7", "seal 8", "seal 9", "seal 10", "seal 11",
    "seal 12", "seal 13", "seal 14", "seal 15", "seal 16",
];
/// Streams that one collector writes: each has a thread and at full rate a core.
pub const STREAMS_MAX: usize = 16;
/// Why the stage is not ready when the disk is full.
pub const DISK_FULL: &str = "the disk is full: nothing is taken in until there is space";
/// How long a sender is asked to wait for space.
const DISK_FULL_RETRY_AFTER: Duration = Duration::from_secs(5);
