//! The stream's checkpoints: signed over what is durable, beside the stream's thread and never in its way.

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

/// Signs checkpoints of one stream.
pub(crate) struct Checkpoints {
    pub(crate) dir: DataDir,
    pub(crate) keys: Arc<Keys>,
    pub(crate) root: Arc<Mutex<RootLog>>,
    pub(crate) durable: watch::Receiver<Durable>,
    pub(crate) intervals: Intervals,
    pub(crate) measures: Arc<Measures>,
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

    /// Replaces the stream's note, and enters the stream's size into the root log when that is due.
    ///
    /// # Errors
    /// When the root log cannot be written.
    pub(crate) fn tick(&mut self, now: &Moment) -> Result<(), RootError> {
        let durable = *self.durable.borrow_and_update();
        self.sign(&durable, now, Durability::Replaced);
        let age = now.since(&self.last_leaf.at);
        let changed = durable.size != self.last_leaf.size && age >= self.intervals.leaf_changed;
        if changed || age >= self.intervals.leaf_idle {
            self.enter(&durable, now)?;
        }
        Ok(())
    }

    /// Signs what the process leaves behind, and makes both notes durable.
    ///
    /// # Errors
    /// When the root log cannot be written.
    pub(crate) fn last(&mut self, now: &Moment) -> Result<(), RootError> {
        let durable = *self.durable.borrow_and_update();
        if durable.size != self.last_leaf.size {
            self.enter(&durable, now)?;
        }
        self.sign(&durable, now, Durability::Synced);
        self.root.lock().unwrap_or_else(PoisonError::into_inner).sign(now, Durability::Synced);
        Ok(())
    }

    fn sign(&self, durable: &Durable, now: &Moment, durability: Durability) {
        let origin = self.keys.deployment.stream_origin(&durable.stream);
        let checkpoint = Checkpoint { origin, size: durable.size, root: durable.root };
        let signers = (&self.keys.checkpoint as &_, &self.keys.cosign as &_);
        let note = sign_checkpoint(&self.keys.deployment, &checkpoint, signers, now.seconds());
        match self.dir.write_checkpoint(&Owner::Stream(durable.stream), &note, durability) {
            Ok(()) => self.measures.checkpoint_signed(),
            // The old one stays, and is true of a smaller size.
            Err(error) => tracing::warn!(%error, "the stream's checkpoint cannot be replaced"),
        }
    }

    fn enter(&mut self, durable: &Durable, now: &Moment) -> Result<(), RootError> {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if !root.has_space().unwrap_or(false) {
            // The space that is left is for the end of an epoch.
            return Ok(());
        }
        let at = StreamSize { stream: durable.stream, size: durable.size, root: durable.root };
        let leaf = root.submission(now).checkpoint_stream(&self.keys.checkpoint, at);
        root.append(&[leaf], now)?;
        self.last_leaf = LastLeaf { size: durable.size, at: *now };
        Ok(())
    }
}
