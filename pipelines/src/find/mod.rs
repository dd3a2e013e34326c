//! Finds events in the index: by ids, by who did what for whom, by verdict and time, by any attribute.

mod filter;
mod rows;
mod time;

use std::io;

use serde::Serialize;
use spanseal_ledger::EventId;
use spanseal_log::DataDir;
use spanseal_schemas::event::Verdict;

pub use rows::Row;

use crate::facet::Facet;
use crate::index::located::LogError;
use crate::index::{Index, OpenError, Progress};

/// What is looked for. Everything that is given must hold.
#[derive(Debug, Clone)]
pub struct Query {
    pub trace: Option<[u8; 16]>,
    pub span: Option<[u8; 8]>,
    pub event: Option<EventId>,
    /// Events with values under this subject's key, and those that say that it was destroyed.
    pub subject: Option<[u8; 16]>,
    pub facets: Vec<(Facet, String)>,
    /// Any attribute of the span or of its resource, as a person types it: `42` finds the number and the text.
    pub attributes: Vec<(String, String)>,
    pub name: Option<String>,
    pub service: Option<String>,
    pub verdict: Option<Verdict>,
    /// A kind byte of format.md section 2.
    pub kind: Option<u8>,
    /// The span's start, in nanoseconds since the Unix epoch; the time of receipt for events that are no spans.
    pub since: Option<u64>,
    /// Exclusive.
    pub until: Option<u64>,
    pub order: Order,
    pub limit: usize,
    /// [`Found::next`] of the page before.
    pub after: Option<i64>,
}

/// The order of sealing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    OldestFirst,
}

/// One page of what was found.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    pub rows: Vec<Row>,
    /// Continues after this page; absent at the end.
    pub next: Option<i64>,
    /// How much of the ledger this answer covers.
    pub progress: Progress,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the index cannot be read; `spanseal reindex` makes it anew")]
    Index(#[from] rusqlite::Error),
    #[error("the log cannot be read")]
    Log(#[source] io::Error),
}

impl From<LogError> for FindError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Index(error) => Self::Index(error),
            LogError::Log(error) => Self::Log(error),
        }
    }
}

impl Default for Query {
    fn default() -> Self {
        Self {
            trace: None,
            span: None,
            event: None,
            subject: None,
            facets: Vec::new(),
            attributes: Vec::new(),
            name: None,
            service: None,
            verdict: None,
            kind: None,
            since: None,
            until: None,
            order: Order::NewestFirst,
            limit: LIMIT,
            after: None,
        }
    }
}

/// Answers a query from the index of a data directory.
///
/// # Errors
/// When there is no index, or it or the log cannot be read.
pub fn find(data: &DataDir, query: &Query) -> Result<Found, FindError> {
    find_in(&Index::open(data)?, query)
}

/// Answers a query from an index that is open.
///
/// # Errors
/// When the index or the log cannot be read.
pub fn find_in(index: &Index, query: &Query) -> Result<Found, FindError> {
    // One state of it, whatever an indexer writes meanwhile.
    let _state = index.connection().unchecked_transaction()?;
    let progress = index.progress()?;
    let found = filter::matches(index, query)?;
    let next = if found.len() > query.limit { query.limit.checked_sub(1).map(|last| found[last]) } else { None };
    let rows = rows::read(index, &found[..found.len().min(query.limit)])?;
    Ok(Found { rows, next, progress })
}

const LIMIT: usize = 100;
