//! Epochs of a stream: how one opens, rotates and ends.
//!
//! The writes, in this order; a restart after a crash between any two takes the same path ([`super::start`]):
//! 1. the closing event of the epoch before, when it ends by itself, durable in the stream. A crash here leaves an epoch
//!    that the root log has open: start-up closes it with the identity key.
//! 2. epoch-close of the epoch before and epoch-open, durable in the root log with one commit. A crash here leaves an
//!    epoch without an event: start-up closes it where it began, and the next one has a higher number.
//! 3. the opening event, which quotes the leaf, and what the stream has to say about the time before, durable in the
//!    stream. From here on spans are taken in.

use std::sync::PoisonError;

use spanseal_ledger::Role;
use spanseal_ledger::epoch::{EpochStart, Start};
use spanseal_ledger::gap::{GAP_LEN, Gap};
use spanseal_ledger::key::{SecretKey, Signer};
use spanseal_ledger::key_event::{CloseReason, Opening, SignedOpening};
use spanseal_ledger::kind;
use spanseal_ledger::leaf::plain_hash;
use spanseal_ledger::root_leaf::{ClosedBy, StreamSize, Submission};
use spanseal_ledger::sealer::{Clock, Closed, Head, Sealer, Tally};
use spanseal_log::{Committed, RecordKind};

use super::gate::RefusedSpans;
use super::moment::Moment;
use super::stream::{Stream, StreamError, segment_start};

/// The open epoch of a stream. Its key is wiped when it is dropped.
#[derive(Debug)]
pub(crate) struct Epoch {
    pub(crate) sealer: Sealer,
    pub(crate) opened: Moment,
    /// What became of this epoch's spans.
    pub(crate) tally: Tally,
    /// What of it the last seal says.
    pub(crate) told: Tally,
    /// What earlier epochs have told of the spans that were refused.
    pub(crate) refused_before: u64,
}

/// A stream without an open epoch: where it stands, and what the next epoch has to do.
#[derive(Debug)]
pub(crate) struct Between {
    pub(crate) head: Head,
    /// The last epoch that the root log knows; 0: none.
    pub(crate) last_epoch: u32,
    /// The root log has that epoch open.
    pub(crate) unclosed: bool,
    /// Why the next epoch begins.
    pub(crate) start: Start,
    /// What the next epoch says first.
    pub(crate) gaps: Vec<Gap>,
    /// Counts that no seal has told; those refused apart.
    pub(crate) untold: Tally,
    /// What seals have told of the spans that were refused.
    pub(crate) refused_told: u64,
}

impl Between {
    /// A stream that stands here and has nothing to catch up on; of a new one, nothing is left to say.
    pub(crate) fn at(head: Head) -> Self {
        Self {
            head,
            last_epoch: 0,
            unclosed: false,
            start: Start::First,
            gaps: Vec::new(),
            untold: Tally::default(),
            refused_told: 0,
        }
    }
}

impl Epoch {
    pub(crate) fn clock(&self, now: &Moment) -> Clock {
        let monotonic = now.since(&self.opened).as_nanos();
        Clock { wall_unix_nano: now.wall_unix_nano, monotonic_nano: u64::try_from(monotonic).unwrap_or(u64::MAX) }
    }

    /// Returns the counts up to now.
    pub(crate) fn tally(&self, refused: &RefusedSpans) -> Tally {
        Tally { refused: refused.spans().saturating_sub(self.refused_before), ..self.tally }
    }
}

impl Stream {
    /// Opens an epoch when none is open, unless the disk has no space left to close it again.
    ///
    /// # Errors
    /// When the logs cannot be written, or are written again and again: the process stops.
    pub(super) fn resume(&mut self, now: &Moment) -> Result<Resumed, StreamError> {
        for _ in 0..ATTEMPTS_MAX {
            if self.epoch.is_some() {
                return Ok(Resumed::Open);
            }
            if !self.has_space()? {
                return Ok(Resumed::DiskFull);
            }
            self.open_epoch(None, now)?;
        }
        if self.epoch.is_some() { Ok(Resumed::Open) } else { Err(StreamError::Unsteady { attempts: ATTEMPTS_MAX }) }
    }

    /// Replaces the epoch's key by closing the epoch and opening the next. Waits while the disk is full.
    ///
    /// # Errors
    /// When the logs cannot be written: the process stops.
    pub(super) fn rotate(&mut self, now: &Moment) -> Result<(), StreamError> {
        if !self.has_space()? {
            return Ok(());
        }
        if let Some(closed) = self.close_epoch(CloseReason::Rotation, now)? {
            self.open_epoch(Some(&closed), now)?;
        }
        self.resume(now).map(drop)
    }

    /// Ends the stream's epoch because the process stops.
    ///
    /// # Errors
    /// When the logs cannot be written. The next start closes the epoch then.
    pub(super) fn end(&mut self, now: &Moment) -> Result<(), StreamError> {
        if self.epoch.is_none() {
            return Ok(());
        }
        let rest = self.conflicts.rest(now);
        self.tell_of_conflicts(rest, now)?;
        let closed = self.close_epoch(CloseReason::Shutdown, now)?;
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        let leaf = self.closing_leaf(&root.submission(now), closed.as_ref());
        root.append(&[leaf], now)?;
        self.between.unclosed = false;
        Ok(())
    }

    /// Ends the epoch without its closing event: its key is wiped, and the next epoch follows as after an unclean stop.
    pub(super) fn abandon_epoch(&mut self, head: Head) {
        let Some(epoch) = self.epoch.take() else { return };
        let Epoch { tally, told, refused_before, .. } = &epoch;
        self.between = Between {
            head,
            last_epoch: epoch.sealer.epoch(),
            unclosed: true,
            start: Start::AfterUncleanStop,
            // Nothing is unknown: the process lives, and carries its counts over.
            gaps: Vec::new(),
            untold: untold(tally, told),
            refused_told: refused_before + told.refused,
        };
    }

    /// Steps 2 and 3 of opening an epoch. When the stream is written again the epoch is over at once.
    fn open_epoch(&mut self, outgoing: Option<&Closed>, now: &Moment) -> Result<(), StreamError> {
        let key = draw_key()?;
        let Between { head, last_epoch, start, .. } = &self.between;
        let number = last_epoch.checked_add(1).ok_or(StreamError::EpochsUsedUp)?;
        let epoch = EpochStart::after(head, number, *start, &key.public());
        let root_leaf = self.submit(epoch, &key, outgoing, now)?;
        self.between.last_epoch = number;
        self.between.unclosed = true;
        let opening = self.opening(epoch, root_leaf, outgoing, now);
        self.epoch = Some(Epoch {
            sealer: Sealer::open(self.between.head.clone(), key, &opening)?,
            opened: *now,
            tally: self.between.untold,
            told: Tally::default(),
            refused_before: self.between.refused_told,
        });
        self.measures.epoch_opened();
        tracing::info!(stream = %epoch.stream, epoch = number, index = epoch.first, start = ?epoch.start, "epoch opened");
        self.say_gaps(now)?;
        self.commit()
    }

    /// Makes the root leaves durable: the end of the epoch before, if it is still open there, and the new one.
    fn submit(
        &mut self,
        epoch: EpochStart,
        key: &SecretKey,
        outgoing: Option<&Closed>,
        now: &Moment,
    ) -> Result<u64, StreamError> {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        let submission = root.submission(now);
        let mut leaves = Vec::with_capacity(2);
        if self.between.unclosed {
            leaves.push(self.closing_leaf(&submission, outgoing));
        }
        leaves.push(submission.open_epoch(&*self.keys.identity, epoch, key, outgoing.map(Closed::key)));
        let first = root.append(&leaves, now)?;
        Ok(first + leaves.len() as u64 - 1)
    }

    /// The leaf that ends the last epoch: by its own key while there is one.
    fn closing_leaf(&self, submission: &Submission<'_>, closed: Option<&Closed>) -> Vec<u8> {
        let Between { head, last_epoch, .. } = &self.between;
        let by = match closed {
            Some(closed) => ClosedBy::EpochKey(closed.key()),
            None => ClosedBy::Identity(&*self.keys.identity),
        };
        let at = StreamSize { stream: head.stream, size: head.frontier.size(), root: head.frontier.root() };
        submission.close_epoch(by, *last_epoch, at, head.seal_hash)
    }

    fn opening(&self, epoch: EpochStart, root_leaf: u64, outgoing: Option<&Closed>, now: &Moment) -> SignedOpening {
        let deployment = &self.keys.deployment;
        let opening = Opening {
            epoch,
            deployment: plain_hash(deployment.as_str().as_bytes()),
            root_leaf,
            wall: now.wall_unix_nano.max(self.between.head.wall),
            identity: self.keys.identity.public().id(&deployment.role_name(Role::Identity)),
        };
        opening.sign(&*self.keys.identity, outgoing.map(Closed::key))
    }

    /// Says what is missing or not known of the time before, right after the opening.
    fn say_gaps(&mut self, now: &Moment) -> Result<(), StreamError> {
        let gaps = std::mem::take(&mut self.between.gaps);
        let mut pen = self.pen(now)?;
        for gap in gaps {
            let event = gap.encode();
            pen.push(kind::GAP, GAP_LEN - 1, |out| out.extend_from_slice(&event[1..]))?;
        }
        pen.seal()
    }

    /// Step 1 of ending an epoch. Returns it with its key, unless it had to be written again: then the key is gone.
    fn close_epoch(&mut self, reason: CloseReason, now: &Moment) -> Result<Option<Closed>, StreamError> {
        let Some(epoch) = self.epoch.take() else { return Ok(None) };
        let tally = epoch.tally(&self.refused);
        let (clock, refused_before, number) = (epoch.clock(now), epoch.refused_before, epoch.sealer.epoch());
        let mut batches = Vec::new();
        let closed = epoch.sealer.close(reason, clock, &tally, &mut batches);
        for batch in &batches {
            self.writer.append(RecordKind::Batch, batch)?;
        }
        self.measures.batches(batches.len() as u64);
        self.between = Between {
            head: closed.head().clone(),
            last_epoch: number,
            unclosed: true,
            start: if reason == CloseReason::Rotation { Start::Rotation } else { Start::AfterClose },
            gaps: Vec::new(),
            untold: Tally::default(),
            refused_told: refused_before + tally.refused,
        };
        let committed = self.writer.commit(segment_start(closed.head()))?;
        self.publish(closed.head());
        tracing::info!(epoch = number, ?reason, "epoch closed");
        if committed == Committed::Appended {
            return Ok(Some(closed));
        }
        if reason == CloseReason::Rotation {
            self.between.start = Start::AfterUncleanStop;
        }
        Ok(None)
    }
}

/// Whether an epoch is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resumed {
    Open,
    /// Nothing can be taken in before there is space.
    DiskFull,
}

/// Draws an epoch's key, which never leaves memory.
fn draw_key() -> Result<SecretKey, StreamError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(SecretKey::from_seed(&mut seed))
}

/// Returns what a tally counts beyond what was told of it; those refused apart.
fn untold(tally: &Tally, told: &Tally) -> Tally {
    Tally {
        duplicate: tally.duplicate.saturating_sub(told.duplicate),
        conflict: tally.conflict.saturating_sub(told.conflict),
        invalid: tally.invalid.saturating_sub(told.invalid),
        shed: tally.shed.saturating_sub(told.shed),
        refused: 0,
    }
}

/// A disk on which so many epochs in a row end with their first write is not worth going on with.
const ATTEMPTS_MAX: u32 = 3;
