//! Where batches rest: segment files, recovery, cursors.

pub mod cursor;
pub mod files;
pub mod record;
pub mod segment;

mod disk;
mod draft;
mod key_file;
mod lookup;
mod memory;
mod pending;
mod reader;
mod recover;
mod replace;
mod reserve;
mod scan;
mod storage;
mod writer;

pub use cursor::{Cursor, CursorError};
pub use disk::Disk;
pub use files::{DataDir, Durability, KeyFile, LockError};
pub use key_file::{KeyBytes, KeyFileError, load_key, load_or_create_key};
pub use lookup::{Place, Stored, read_batch_at, read_record_at};
pub use memory::{Counts, Fault, Memory, Operation};
pub use reader::{Damage, Item, Reader};
pub use record::{BodySize, RecordKind};
pub use recover::{RecoverError, Recovered, recover};
pub use reserve::is_full;
pub use segment::{HeaderError, Owner, SegmentStart};
pub use storage::{Access, Lock, Storage, StorageFile, read_file};
pub use writer::{CommitError, Committed, OpenError, Options, Writer};
