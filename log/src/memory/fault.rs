//! Which operations are counted, and which of them fail how.

use std::io;
use std::path::{Path, PathBuf};

/// An operation that changes something, or makes a change durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// A file is created.
    Create,
    /// Bytes are written.
    Write,
    /// A file's bytes are made durable.
    Sync,
    /// A file is cut.
    Truncate,
    /// Space is taken.
    Allocate,
    /// A file is renamed; named by its new path.
    Rename,
    /// A file is removed.
    Remove,
    /// A directory is created.
    CreateDir,
    /// A directory's entries are made durable.
    SyncDir,
}

/// What happens to the operation that a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It has no effect and returns an error. A file's sync forgets what it should have made durable: a later one returns
    /// `Ok` without it, as Linux does. A directory's does not: its entries are in the journal, which does not forget.
    Unwritten(io::ErrorKind),
    /// It has its effect and returns an error all the same.
    Written(io::ErrorKind),
    /// The process dies and the operation has no effect.
    DieBefore,
    /// The process dies once the operation has had its effect.
    DieAfter,
    /// From this operation on there is space for so many bytes; what it would write is written as far as that goes.
    Full {
        /// Bytes that may still be taken.
        free_bytes: u64,
    },
}

/// How often operations were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// All that change something or make it durable.
    pub operations: u64,
    /// [`Operation::Write`].
    pub writes: u64,
    /// [`Operation::Sync`].
    pub syncs: u64,
    /// [`Operation::SyncDir`].
    pub dir_syncs: u64,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) counts: Counts,
    pub(super) hit: Vec<(Operation, PathBuf)>,
    /// Number of the operation, and what happens to it.
    waiting: Vec<(u64, Fault)>,
}

impl Plan {
    pub(super) fn add(&mut self, operations: u64, fault: Fault) {
        self.waiting.push((self.counts.operations + operations, fault));
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Counts an operation and returns the fault that hits it.
    pub(super) fn next(&mut self, operation: Operation, path: &Path) -> Option<Fault> {
        let number = self.counts.operations;
        self.counts.operations += 1;
        match operation {
            Operation::Write => self.counts.writes += 1,
            Operation::Sync => self.counts.syncs += 1,
            Operation::SyncDir => self.counts.dir_syncs += 1,
            _ => {}
        }
        let position = self.waiting.iter().position(|(at, _)| *at == number)?;
        self.hit.push((operation, path.to_owned()));
        Some(self.waiting.swap_remove(position).1)
    }
}
