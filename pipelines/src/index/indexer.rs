//! The one writer of an index.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use spanseal_ledger::StreamId;
use spanseal_ledger::verify::{RootState, RootVerifier};
use spanseal_log::{DataDir, Item, Owner, Reader};
use tracing::{error, warn};

use super::follow::{Indexed, Limits};
use super::located::LogError;
use super::store::{Store, Upkeep};
use super::tail::Tail;

/// Verifies batches and writes what they say into the index, with the cursor in the same transaction.
pub struct Indexer {
    data: DataDir,
    store: Store,
    root: Root,
    tails: BTreeMap<StreamId, Tail>,
}

/// Indexing cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    #[error("the index cannot be written")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the log cannot be read")]
    Log(#[from] io::Error),
    #[error("{} cannot be removed, to be made anew", path.display())]
    Remove { path: PathBuf, source: io::Error },
}

impl From<LogError> for IndexError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Index(error) => Self::Sqlite(error),
            LogError::Log(error) => Self::Log(error),
        }
    }
}

impl IndexError {
    /// Returns whether it may do better once there is space on the disk.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}

impl Indexer {
    /// Opens the index of a data directory, or makes it. One of another version is made anew.
    ///
    /// There may be one at a time: in the process that writes the log, or that holds its lock.
    ///
    /// # Errors
    /// When the index cannot be written or the root log not be read.
    pub fn open(data: &DataDir) -> Result<Self, IndexError> {
        Self::open_at(data, &data.index(), Upkeep::Live)
    }

    pub(super) fn open_at(data: &DataDir, path: &Path, upkeep: Upkeep) -> Result<Self, IndexError> {
        if !path.exists() {
            remove(path)?; // the WAL of an index that is gone would be read into the new one
        }
        let store = match Store::open(path, upkeep)? {
            Some(store) => store,
            None => {
                warn!(path = %path.display(), "the index is of another version and is made anew");
                remove(path)?;
                Store::open(path, upkeep)?.ok_or(rusqlite::Error::InvalidQuery)?
            }
        };
        Ok(Self { data: data.clone(), store, root: Root::open(data)?, tails: BTreeMap::new() })
    }

    /// Indexes some of what the limits allow, from every stream; no events when there is nothing more.
    ///
    /// # Errors
    /// When the index cannot be written or the log not be read. The cursor is where it was.
    pub fn round(&mut self, limits: &Limits) -> Result<Indexed, IndexError> {
        let round = self.try_round(limits);
        if round.is_err() {
            // What the tails have read is not in the index: they begin again at their cursors.
            self.tails.clear();
        }
        round
    }

    fn try_round(&mut self, limits: &Limits) -> Result<Indexed, IndexError> {
        // After the limits, so that every epoch below them is there.
        self.root.refresh()?;
        self.open_tails()?;
        let Self { store, root, tails, .. } = self;
        // What is furthest behind in time goes first: rows follow the order of sealing across streams.
        let mut order: Vec<&mut Tail> = tails.values_mut().filter(|tail| !tail.is_stopped()).collect();
        order.sort_by_key(|tail| tail.wall());
        let mut indexed = Indexed::default();
        for tail in order {
            let limit = limits.of(&tail.stream());
            indexed.events += tail.advance(store, root.state(), limit)?;
            indexed.lag += if limit == u64::MAX { 0 } else { limit.saturating_sub(tail.next()) };
            if let Some(fault) = tail.fault() {
                error!(stream = %tail.stream(), code = fault.code, "indexed no further: {}", fault.text);
            }
        }
        Ok(indexed)
    }

    /// Opens the streams that are new since the last round.
    fn open_tails(&mut self) -> Result<(), IndexError> {
        for stream in self.data.streams()? {
            if !self.tails.contains_key(&stream) && self.root.state().stream(&stream).is_some() {
                let tail = Tail::open(&self.data, stream, &self.store, self.root.state())?;
                self.tails.insert(stream, tail);
            }
        }
        Ok(())
    }

    pub(super) fn into_store(self) -> Store {
        self.store
    }
}

/// The root log as far as it was read.
struct Root {
    reader: Reader,
    verifier: RootVerifier,
}

impl Root {
    fn open(data: &DataDir) -> io::Result<Self> {
        let reader = Reader::open(data.shared_storage(), &data.log(&Owner::RootLog), Owner::RootLog, 0)?;
        Ok(Self { reader, verifier: RootVerifier::new(None) })
    }

    /// Reads what was added. A leaf that is refused has no effect, and what rests on it is refused in its turn.
    fn refresh(&mut self) -> io::Result<()> {
        while let Some(item) = self.reader.read_next()? {
            if let Item::RootLeaf { bytes, .. } = item {
                let _ = self.verifier.push(bytes);
            }
        }
        Ok(())
    }

    fn state(&self) -> &RootState {
        self.verifier.state()
    }
}

/// Removes an index and what SQLite keeps beside it. The database goes first: without it the rest is nothing, while the
/// database without its WAL would be torn.
pub(super) fn remove(path: &Path) -> Result<(), IndexError> {
    for suffix in ["", "-wal", "-shm"] {
        let path = beside(path, suffix);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(IndexError::Remove { path, source }),
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
