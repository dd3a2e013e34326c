//! The streams' checkpoints: signed over what is durable, beside the streams' threads and never in their way.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use spanseal_ledger::checkpoint::{Checkpoint, sign_checkpoint};
use spanseal_ledger::root_leaf::StreamSize;
use spanseal_log::{DataDir, Durability, Owner};
use tokio::sync::watch;

use super::durable::Durable;
use super::keys::Keys;
use super::measures::Measures;
use super::moment::{Clocks, Moment};
use super::root::{RootError, RootLog};

/// Signs the checkpoints of a process's streams.
pub(crate) struct Checkpoints {
    pub(crate) dir: DataDir,
    pub(crate) keys: Arc<Keys>,
    pub(crate) root: Arc<Mutex<RootLog>>,
    pub(crate) streams: Vec<Checkpointed>,
    pub(crate) intervals: Intervals,
    pub(crate) measures: Arc<Measures>,
}

/// One stream, and what was last entered of it.
pub(crate) struct Checkpointed {
    pub(crate) durable: watch::Receiver<Durable>,
    pub(crate) last_leaf: LastLeaf,
}

/// How often what is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intervals {
    /// The stream's note, even when nothing happens.
    pub(crate) note: Duration,
    /// A root leaf when the size has changed, at most so often.
    pub(crate) leaf_changed: Duration,
    /// A root leaf when it has not.
    pub(crate) leaf_idle: Duration,
}

/// What the root log says last of the stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastLeaf {
    pub(crate) size: u64,
    pub(crate) at: Moment,
}

impl Checkpoints {
    /// Signs until the sender of `stop` is gone, then a last time, synced.
    ///
    /// # Errors
    /// When the root log cannot be written: the process stops.
    pub(crate) fn run(mut self, clocks: &Clocks, stop: &Receiver<()>) -> Result<(), RootError> {
        while stop.recv_timeout(self.intervals.note) == Err(RecvTimeoutError::Timeout) {
            self.tick(&clocks.now())?;
        }
        self.last(&clocks.now())
    }

    /// Replaces the streams' notes, and enters the sizes of those streams into the root log for which that is due.
    ///
    /// # Errors
    /// When the root log cannot be written.
    pub(crate) fn tick(&mut self, now: &Moment) -> Result<(), RootError> {
        let durable = self.durable();
        self.sign(&durable, now, Durability::Replaced);
        let Intervals { leaf_changed, leaf_idle, .. } = self.intervals;
        self.enter(&durable, now, |last, size| {
            let age = now.since(&last.at);
            (size != last.size && age >= leaf_changed) || age >= leaf_idle
        })
    }

    /// Signs what the process leaves behind, and makes all notes durable.
    ///
    /// # Errors
    /// When the root log cannot be written.
    pub(crate) fn last(&mut self, now: &Moment) -> Result<(), RootError> {
        let durable = self.durable();
        self.enter(&durable, now, |last, size| size != last.size)?;
        self.sign(&durable, now, Durability::Synced);
        self.root.lock().unwrap_or_else(PoisonError::into_inner).sign(now, Durability::Synced);
        Ok(())
    }

    fn durable(&mut self) -> Vec<Durable> {
        self.streams.iter_mut().map(|stream| *stream.durable.borrow_and_update()).collect()
    }

    fn sign(&self, streams: &[Durable], now: &Moment, durability: Durability) {
        let signers = (&self.keys.checkpoint as &_, &self.keys.cosign as &_);
        for durable in streams {
            let origin = self.keys.deployment.stream_origin(&durable.stream);
            let checkpoint = Checkpoint { origin, size: durable.size, root: durable.root };
            let note = sign_checkpoint(&self.keys.deployment, &checkpoint, signers, now.seconds());
            match self.dir.write_checkpoint(&Owner::Stream(durable.stream), &note, durability) {
                Ok(()) => self.measures.checkpoint_signed(),
                // The old one stays, and is true of a smaller size.
                Err(error) => tracing::warn!(stream = %durable.stream, %error, "a checkpoint cannot be replaced"),
            }
        }
    }

    /// Enters the streams for which it is due, with one commit.
    fn enter(
        &mut self,
        streams: &[Durable],
        now: &Moment,
        is_due: impl Fn(&LastLeaf, u64) -> bool,
    ) -> Result<(), RootError> {
        let due = |(stream, durable): &(&mut Checkpointed, &Durable)| is_due(&stream.last_leaf, durable.size);
        let due: Vec<_> = self.streams.iter_mut().zip(streams).filter(due).collect();
        if due.is_empty() {
            return Ok(());
        }
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if !root.has_space().unwrap_or(false) {
            // The space that is left is for the end of an epoch.
            return Ok(());
        }
        let submission = root.submission(now);
        let leaf = |durable: &Durable| {
            let at = StreamSize { stream: durable.stream, size: durable.size, root: durable.root };
            submission.checkpoint_stream(&self.keys.checkpoint, at)
        };
        let leaves: Vec<_> = due.iter().map(|(_, durable)| leaf(durable)).collect();
        root.append(&leaves, now)?;
        for (stream, durable) in due {
            stream.last_leaf = LastLeaf { size: durable.size, at: *now };
        }
        Ok(())
    }
}
