//! The rows that a search shows.

use std::collections::{BTreeMap, HashMap};

use rusqlite::OptionalExtension;
use serde::Serialize;
use spanseal_ledger::EventId;

use crate::facet::Facet;
use crate::hex;
use crate::index::Index;
use crate::index::located::{Log, LogError};
use crate::index::store::{ordinal_of, row_of};
use crate::index::value::Value;
use crate::words::{kind_name, status_name, verdict_name};

/// One event as a list shows it. Times are nanoseconds since the Unix epoch; ids are hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `<stream hex>-<index>`.
    pub event: String,
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Of the span; of another event, its own time.
    pub start_unix_nano: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_unix_nano: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_unix_nano: Option<u64>,
    /// `error` or `ok`, when the span says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facets: BTreeMap<Facet, String>,
}

/// Reads the events with these rows, in this order, from the log.
pub(super) fn read(index: &Index, rows: &[i64]) -> Result<Vec<Row>, LogError> {
    let mut reader =
        RowReader { index, log: Log::new(index.data()), resources: Log::new(index.data()), services: HashMap::new() };
    let mut read = Vec::with_capacity(rows.len());
    for row in rows {
        read.extend(reader.row(*row)?);
    }
    Ok(read)
}

struct RowReader<'i> {
    index: &'i Index,
    log: Log,
    resources: Log,
    services: HashMap<EventId, Option<String>>,
}

impl RowReader<'_> {
    fn row(&mut self, row: i64) -> Result<Option<Row>, LogError> {
        let connection = self.index.connection();
        let Some(located) = self.log.event(connection, row)? else { return Ok(None) };
        let (event, kind) = (located.id, located.kind());
        let mut facets: BTreeMap<Facet, (usize, String)> = BTreeMap::new();
        let said = located.read(&mut |key, value| {
            if let (Some((facet, rank)), Value::Text(text)) = (Facet::of_key(key), value)
                && facets.get(&facet).is_none_or(|(held, _)| rank < *held)
            {
                facets.insert(facet, (rank, text.into_owned()));
            }
        });
        let resource = said.resource.map(|index| EventId { stream: event.stream, index });
        let service = resource.map_or(Ok(said.service), |resource| self.service(resource))?;
        let mut later = connection.prepare_cached("SELECT verdict FROM assessed WHERE id = ?")?;
        let later: Option<i32> = later.query_row([row], |row| row.get(0)).optional()?;
        Ok(Some(Row {
            event: event.to_string(),
            kind: kind.map_or_else(|| "unreadable".to_owned(), kind_name),
            trace: bytes(said.trace),
            span: bytes(said.span),
            parent: bytes(said.parent),
            name: said.name.as_deref().map(clipped),
            service: service.as_deref().map(clipped),
            start_unix_nano: said.start,
            end_unix_nano: said.end,
            received_unix_nano: said.received,
            status: said.status.and_then(status_name),
            verdict: later.or(said.verdict).map(verdict_name),
            facets: facets.into_iter().map(|(facet, (_, value))| (facet, value)).collect(),
        }))
    }

    /// Returns the service that a resource event names.
    fn service(&mut self, resource: EventId) -> Result<Option<String>, LogError> {
        if let Some(service) = self.services.get(&resource) {
            return Ok(service.clone());
        }
        let connection = self.index.connection();
        let ordinal = ordinal_of(connection, &resource.stream.0)?;
        let row = ordinal.map_or(Ok(None), |ordinal| row_of(connection, ordinal, resource.index))?;
        let located = row.map_or(Ok(None), |row| self.resources.event(connection, row))?;
        let service = located.and_then(|located| located.read(&mut |_, _| {}).service);
        self.services.insert(resource, service.clone());
        Ok(service)
    }
}

/// Returns a text as it can be searched for: a long one by its digest.
fn clipped(text: &str) -> String {
    String::from_utf8_lossy(Value::text(text).text_bytes()).into_owned()
}

fn bytes<const N: usize>(bytes: Option<[u8; N]>) -> Option<String> {
    bytes.map(|bytes| hex::encode(&bytes))
}
