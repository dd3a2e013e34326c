//! Where batches rest: segment files, recovery, cursors.

mod disk;
mod memory;
mod storage;

pub use disk::Disk;
pub use memory::{Counts, Fault, Memory, Operation};
pub use storage::{Access, Lock, Storage, StorageFile, read_file};
