//! Makes the index anew from the log, beside the old one, and puts it in its place.

use std::io;
use std::path::PathBuf;

use spanseal_log::DataDir;

use super::follow::{Indexed, Limits};
use super::indexer::{IndexError, Indexer, beside, remove};
use super::store::Upkeep;

/// The index was not made anew; the old one is as it was, unless `Replace` says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReindexError {
    #[error("the collector that writes to this directory indexes it, too: stop it first")]
    Running(#[source] io::Error),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("{} cannot be synced", path.display())]
    Sync { path: PathBuf, source: io::Error },
    #[error("{} cannot be put in place; the next start makes it anew", path.display())]
    Replace { path: PathBuf, source: io::Error },
}

/// Indexes everything that verifies, under the lock of the data directory; returns how many events.
///
/// The steps, in this order:
/// 1. The new index is written beside the old one, and synced. A crash here leaves the old one.
/// 2. The old one is removed, then its WAL. A crash from here on leaves none: it is made anew at the next start.
/// 3. The new one is renamed.
///
/// # Errors
/// When a collector runs, or the disk fails.
pub fn reindex(data: &DataDir, on_round: &mut dyn FnMut(Indexed)) -> Result<u64, ReindexError> {
    let _lock = data.storage().lock(&data.root().join("lock")).map_err(ReindexError::Running)?;
    let (path, new) = (data.index(), beside(&data.index(), ".new"));
    remove(&new)?;
    let mut indexer = Indexer::open_at(data, &new, Upkeep::Anew)?;
    let mut events = 0;
    loop {
        let round = indexer.round(&Limits::none())?;
        on_round(round);
        if round.events == 0 {
            break;
        }
        events += round.events;
    }
    indexer.into_store().close().map_err(IndexError::from)?;
    let synced = std::fs::File::open(&new).and_then(|file| file.sync_all());
    synced.map_err(|source| ReindexError::Sync { path: new.clone(), source })?;
    remove(&path)?;
    std::fs::rename(&new, &path).map_err(|source| ReindexError::Replace { path, source })?;
    Ok(events)
}
