//! The root log's one sequencer: appends leaves durably, and signs the log's checkpoint over them.

use std::sync::Arc;

use spanseal_ledger::checkpoint::{Checkpoint, sign_checkpoint};
use spanseal_ledger::leaf::leaf_hash;
use spanseal_ledger::root_leaf::Submission;
use spanseal_ledger::seal::NO_SEAL;
use spanseal_ledger::tree::Frontier;
use spanseal_log::{BodySize, CommitError, Committed, DataDir, Durability, Owner, RecordKind, SegmentStart, Writer};

use super::keys::Keys;
use super::moment::Moment;

/// The root log, open for writing.
pub(crate) struct RootLog {
    dir: DataDir,
    writer: Writer,
    frontier: Frontier,
    keys: Arc<Keys>,
}

/// A root leaf is not durable, and no more can be appended: the process stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    #[error("the root log cannot be written")]
    Commit(#[from] CommitError),
    #[error("a root leaf is no record")]
    Size(#[from] BodySize),
}

impl RootLog {
    /// Goes on at the end of the root log, where `writer` stands.
    pub(crate) fn new(dir: DataDir, writer: Writer, keys: Arc<Keys>) -> Self {
        let frontier = writer.synced().frontier.clone();
        Self { dir, writer, frontier, keys }
    }

    /// Returns what leaves of this moment are signed with.
    pub(crate) fn submission(&self, now: &Moment) -> Submission<'_> {
        Submission { deployment: &self.keys.deployment, time: now.wall_unix_nano }
    }

    /// Makes leaves durable with one commit and returns the index of the first.
    ///
    /// The steps, in this order:
    /// 1. the leaves, durable. A crash here leaves a checkpoint that covers fewer leaves: still true.
    /// 2. the checkpoint over them. It is replaced as a whole and not synced.
    ///
    /// # Errors
    /// When the leaves are not durable. They may be found at the next start, so nothing else may take their place.
    pub(crate) fn append(&mut self, leaves: &[Vec<u8>], now: &Moment) -> Result<u64, RootError> {
        let first = self.frontier.size();
        for leaf in leaves {
            self.writer.append(RecordKind::RootLeaf, leaf)?;
            self.frontier.push(leaf_hash(leaf));
        }
        let end = SegmentStart { first: self.frontier.size(), seal_hash: NO_SEAL, frontier: self.frontier.clone() };
        if self.writer.commit(end)? == Committed::Rewritten {
            let fault = self.writer.last_fault().map(ToString::to_string);
            tracing::warn!(fault, "the root log was written again to a new segment");
        }
        self.sign(now, Durability::Replaced);
        Ok(first)
    }

    /// Replaces the root log's checkpoint.
    pub(crate) fn sign(&self, now: &Moment, durability: Durability) {
        let root = Checkpoint {
            origin: self.keys.deployment.root_origin(),
            size: self.frontier.size(),
            root: self.frontier.root(),
        };
        let signers = (&self.keys.sequencer as &_, &self.keys.cosign as &_);
        let note = sign_checkpoint(&self.keys.deployment, &root, signers, now.seconds());
        if let Err(error) = self.dir.write_checkpoint(&Owner::RootLog, &note, durability) {
            // The old one stays, and is true of fewer leaves.
            tracing::warn!(%error, "the root log's checkpoint cannot be replaced");
        }
    }

    /// Returns whether the root log has space for an epoch's last leaves.
    pub(crate) fn has_space(&mut self) -> std::io::Result<bool> {
        if self.writer.is_full() { self.writer.refill_reserve() } else { Ok(true) }
    }
}
