//! The full subtrees of a stream's tree, as they fill: over 256 events, and over 256 of those.

use spanseal_ledger::tree::root_of;
use spanseal_ledger::verify::HashedBatch;
use spanseal_ledger::{Hash, StreamId};
use spanseal_log::{Item, Reader};

use super::indexer::IndexError;
use super::store::{BLOCK_HEIGHT, RUN_HEIGHT, Store};

/// What the subtrees that are not full yet stand on.
#[derive(Debug, Default)]
pub(super) struct Subtrees {
    leaves: Vec<Hash>,
    runs: Vec<Hash>,
}

impl Subtrees {
    /// Takes up where the rows end: the leaves from the log, from the start of their run on, and the runs from the index.
    pub(super) fn read(reader: &mut Reader, store: &Store, stream: StreamId, until: u64) -> Result<Self, IndexError> {
        reader.set_limit(until);
        let mut leaves = Vec::new();
        while let Some(item) = reader.read_next()? {
            if let Item::Batch { bytes, .. } = item
                && let Ok(hashed) = HashedBatch::parse(bytes)
            {
                leaves.extend_from_slice(hashed.leaves());
            }
        }
        let block = until >> BLOCK_HEIGHT << (BLOCK_HEIGHT - RUN_HEIGHT);
        Ok(Self { leaves, runs: store.runs(&stream.0, RUN_HEIGHT, block..until >> RUN_HEIGHT)? })
    }

    /// Takes the next leaf, and says which subtrees are full with it.
    pub(super) fn push<E>(&mut self, leaf: Hash, mut full: impl FnMut(u8, &Hash) -> Result<(), E>) -> Result<(), E> {
        self.leaves.push(leaf);
        if self.leaves.len() < WIDTH {
            return Ok(());
        }
        let run = root_of(&std::mem::take(&mut self.leaves));
        full(RUN_HEIGHT, &run)?;
        self.runs.push(run);
        if self.runs.len() < WIDTH {
            return Ok(());
        }
        full(BLOCK_HEIGHT, &root_of(&std::mem::take(&mut self.runs)))
    }
}

pub(super) const RUN: u64 = 1 << RUN_HEIGHT;
const WIDTH: usize = 256;
