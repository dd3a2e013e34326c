//! The index: what people search for, taken out of the log into SQLite. A projection: `reindex` makes it anew.
//!
//! ```text
//! log --Reader--> verify (chain, tree, signature) --> rows --one transaction--> tables and cursor
//! ```
//! A stream is indexed as far as it verifies. Where it does not, indexing stops with the fault, which searches then show.

mod follow;
mod gather;
mod ids;
mod indexer;
pub(crate) mod located;
mod progress;
mod reindex;
pub(crate) mod said;
mod schema;
pub(crate) mod segment;
pub(crate) mod starts;
pub(crate) mod store;
mod subtrees;
mod tail;
pub(crate) mod term;
pub(crate) mod value;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use spanseal_log::DataDir;

pub use follow::{Feed, Indexed, Limits, PollCheckpoints, follow};
pub use indexer::{IndexError, Indexer};
pub use progress::{Progress, StreamProgress};
pub use reindex::{ReindexError, reindex};

/// The index of a data directory, to be read from.
#[derive(Debug)]
pub struct Index {
    connection: Connection,
    data: DataDir,
}

/// An index cannot be read from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    #[error("{} is not there: nothing was indexed yet; `spanseal reindex` does it now", path.display())]
    Missing { path: PathBuf },
    #[error("{} has version {got} of the tables, not {}; `spanseal reindex` makes it anew", path.display(), schema::VERSION)]
    Version { path: PathBuf, got: i32 },
    #[error("{} cannot be read", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

impl Index {
    /// Opens the index, which an indexer may be writing meanwhile.
    ///
    /// # Errors
    /// When there is none, or it is of another version or not readable.
    pub fn open(data: &DataDir) -> Result<Self, OpenError> {
        let path = data.index();
        if !path.exists() {
            return Err(OpenError::Missing { path });
        }
        let opened = open_to_read(&path).map_err(|source| OpenError::Sqlite { path: path.clone(), source })?;
        let (connection, got) = opened;
        if got != schema::VERSION {
            return Err(OpenError::Version { path, got });
        }
        Ok(Self { connection, data: data.clone() })
    }

    /// Returns how much of the ledger is indexed.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn progress(&self) -> rusqlite::Result<Progress> {
        progress::of(&self.connection, &self.data)
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn data(&self) -> &DataDir {
        &self.data
    }

    /// Returns the rows of the events of a trace.
    pub(crate) fn rows_of_trace(&self, trace: &[u8; 16]) -> rusqlite::Result<Vec<i64>> {
        segment::rows_of(&self.connection, store::terms(&self.connection)?.trace(trace))
    }
}

/// Opens for reading and returns the tables' version. In a directory that cannot be written SQLite cannot make the file
/// that it shares with writers: then there is no writer, and none is needed.
fn open_to_read(path: &Path) -> rusqlite::Result<(Connection, i32)> {
    let open = || {
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((connection, version))
    };
    open().or_else(|error: rusqlite::Error| {
        if error.sqlite_error_code() != Some(rusqlite::ErrorCode::CannotOpen) {
            return Err(error);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(format!("file:{}?immutable=1", uri_path(path)), flags)?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((connection, version))
    })
}

/// Writes a path as SQLite reads it from a URI.
fn uri_path(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

const BUSY: Duration = Duration::from_secs(5);
