//! How much of the ledger is indexed.

use rusqlite::Connection;
use serde::Serialize;
use spanseal_ledger::StreamId;
use spanseal_ledger::checkpoint::Checkpoint;
use spanseal_ledger::note::Note;
use spanseal_log::{DataDir, Owner};

use super::store;

/// How much of the ledger is indexed: N of M events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    pub indexed: u64,
    /// Of the newest checkpoints, which are about a second old.
    pub size: u64,
    pub streams: Vec<StreamProgress>,
}

/// How much of one stream is indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamProgress {
    pub stream: String,
    pub indexed: u64,
    pub size: u64,
    /// Why it goes no further, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

impl Progress {
    /// Returns the index up to which a stream is indexed.
    pub(crate) fn of(&self, stream: StreamId) -> u64 {
        let name = stream.to_string();
        self.streams.iter().find(|progress| progress.stream == name).map_or(0, |progress| progress.indexed)
    }
}

/// Compares the cursors with the checkpoints.
pub(super) fn of(connection: &Connection, data: &DataDir) -> rusqlite::Result<Progress> {
    let rows = store::streams(connection)?;
    let mut ids: Vec<StreamId> =
        rows.iter().map(|row| StreamId(row.id)).chain(data.streams().unwrap_or_default()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut progress = Progress::default();
    for stream in ids {
        let row = rows.iter().find(|row| row.id == stream.0);
        let indexed = row.map_or(0, |row| row.next);
        let size = claimed_size(data, stream).max(indexed);
        let fault = row.and_then(|row| row.fault.as_ref());
        let stopped = fault.map(|fault| fault.text.clone());
        progress.indexed += indexed;
        progress.size += size;
        progress.streams.push(StreamProgress { stream: stream.to_string(), indexed, size, stopped });
    }
    Ok(progress)
}

/// Returns the size that a stream's checkpoint claims. Nothing rests on it: it says how far there may be something to read.
pub(super) fn claimed_size(data: &DataDir, stream: StreamId) -> u64 {
    let note = data.read_checkpoint(&Owner::Stream(stream)).ok().flatten().unwrap_or_default();
    let checkpoint = Note::parse(&note).ok().and_then(|note| Checkpoint::parse(note.text).ok());
    checkpoint.map_or(0, |checkpoint| checkpoint.size)
}
