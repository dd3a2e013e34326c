//! What is durable: what cursors may read, and checkpoints may cover.

use spanseal_ledger::{Hash, StreamId};

/// How far a stream is durable. Published after every commit, over a watch channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durable {
    pub stream: StreamId,
    /// Events; always the end of a batch.
    pub size: u64,
    /// The tree's root at that size.
    pub root: Hash,
}
