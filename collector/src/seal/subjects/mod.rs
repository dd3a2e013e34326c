//! The keys of subjects: whose key is destroyed, whose cut bytes can no longer be read.
//!
//! Who has a key, who is under a legal hold, and what of both the ledger has not been told yet rest in one place, so that
//! one transaction changes them together.

mod file;
#[cfg(test)]
mod memory;
mod shared;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use spanseal_ledger::EventId;
use zeroize::Zeroizing;

pub use file::SubjectFile;
#[cfg(test)]
pub(crate) use memory::{SubjectFault, SubjectMemory};
pub(crate) use shared::SharedSubjects;

/// On whose account bytes are cut: the value of the configured attribute, else the trace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubjectName {
    pub tenant: String,
    /// `attribute:<value>`, `trace:<hex>`, or `shared:<hex>` for a resource or scope that names nobody.
    pub subject: String,
}

/// A subject's id, which its records carry, and its key.
#[derive(Clone)]
pub struct SubjectKey {
    pub id: [u8; 16],
    key: Zeroizing<[u8; 32]>,
}

impl SubjectKey {
    pub(crate) fn new(id: [u8; 16], key: [u8; 32]) -> Self {
        Self { id, key: Zeroizing::new(key) }
    }

    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    fn draw() -> Result<Self, getrandom::Error> {
        let mut drawn = Self::new([0; 16], [0; 32]);
        getrandom::fill(&mut drawn.id)?;
        getrandom::fill(drawn.key.as_mut())?;
        Ok(drawn)
    }
}

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubjectKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A subject that has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub id: [u8; 16],
    pub name: SubjectName,
    pub hold: Option<Hold>,
}

/// Why a subject's key must not be destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub placed_by: String,
    pub reason: String,
    pub since_unix_nano: u64,
}

/// What is done with a subject that has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The key, the name and the id are forgotten.
    Destroy,
    Hold(Hold),
    Release,
}

/// An event that says what was done, and that may not be in the ledger yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owed {
    /// The kind byte and the body.
    pub(crate) event: Vec<u8>,
    /// Where the stream ended when it was done: the event is nowhere before.
    pub(crate) after: EventId,
}

/// The subjects' keys cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectsError {
    #[error("the subjects' keys cannot be read or written")]
    Store(#[from] rusqlite::Error),
    #[error("the file of the subjects' keys cannot be created or synced")]
    Create(#[source] std::io::Error),
    #[error("there is no randomness for a subject's key")]
    Random(#[from] getrandom::Error),
    #[error("the file of the subjects' keys is of version {got}, and this program knows {known}")]
    Version { got: i32, known: i32 },
    #[error(
        "another program reads the file of the subjects' keys, so that a copy of a destroyed key may be left in it"
    )]
    InUse,
}

/// Where subjects' keys rest: a file of the data directory, memory in tests.
pub(crate) trait Subjects: Send {
    /// Returns the key of each subject, made where there was none; all are durable when it returns.
    fn obtain(&mut self, names: &[SubjectName]) -> Result<HashMap<SubjectName, SubjectKey>, SubjectsError>;

    /// Returns the key with an id, unless it was destroyed.
    fn find(&self, id: &[u8; 16]) -> Result<Option<SubjectKey>, SubjectsError>;

    /// Returns what is known of the subject with an id, unless its key was destroyed.
    fn known(&self, id: &[u8; 16]) -> Result<Option<Known>, SubjectsError>;

    /// Returns how many changes were ever made.
    fn changes(&self) -> Result<u64, SubjectsError>;

    /// Makes a change and notes the event that says so; both are durable when it returns, and neither when it fails.
    fn change(&mut self, id: &[u8; 16], change: &Change, owed: &Owed) -> Result<(), SubjectsError>;

    /// Leaves no copy of a destroyed key on the disk.
    fn scrub(&mut self) -> Result<(), SubjectsError>;

    /// Returns what the ledger may not have been told yet, oldest first, by number.
    fn owed(&self) -> Result<Vec<(i64, Owed)>, SubjectsError>;

    /// Forgets what the ledger has been told, durably.
    fn settle(&mut self, number: i64) -> Result<(), SubjectsError>;
}
