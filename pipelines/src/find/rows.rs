//! The rows that a search shows.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use spanseal_ledger::{EventId, StreamId};

use crate::facet::Facet;
use crate::hex;
use crate::index::store::{batch_of, unsigned};
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

/// Reads the rows with these ids, in this order.
pub(super) fn read(connection: &Connection, ids: &[i64]) -> rusqlite::Result<Vec<Row>> {
    ids.iter().map(|id| row(connection, *id)).collect()
}

fn row(connection: &Connection, id: i64) -> rusqlite::Result<Row> {
    let mut statement = connection.prepare_cached("SELECT * FROM event WHERE id = ?")?;
    statement.query_row([id], |row| {
        let text = |column: &str| text(connection, row.get(column)?);
        let mut facets = BTreeMap::new();
        for facet in Facet::ALL {
            facets.extend(text(facet.name())?.map(|value| (facet, value)));
        }
        Ok(Row {
            event: event(connection, id)?,
            kind: kind_name(row.get("kind")?),
            trace: bytes::<16>(row.get("trace")?),
            span: bytes::<8>(row.get("span")?),
            parent: bytes::<8>(row.get("parent")?),
            name: text("name")?,
            service: text("service")?,
            start_unix_nano: unsigned(row.get("start")?),
            end_unix_nano: row.get::<_, Option<i64>>("end")?.map(unsigned),
            received_unix_nano: row.get::<_, Option<i64>>("received")?.map(unsigned),
            status: row.get::<_, Option<i32>>("status")?.and_then(status_name),
            verdict: row.get::<_, Option<i32>>("verdict")?.map(verdict_name),
            facets,
        })
    })
}

fn event(connection: &Connection, id: i64) -> rusqlite::Result<String> {
    let Some((first_row, batch)) = batch_of(connection, id)? else { return Ok(String::new()) };
    let mut select = connection.prepare_cached("SELECT id FROM stream WHERE ordinal = ?")?;
    let stream = StreamId(select.query_row([batch.stream], |row| row.get(0))?);
    Ok(EventId { stream, index: batch.first + unsigned(id - first_row) }.to_string())
}

fn text(connection: &Connection, id: Option<i64>) -> rusqlite::Result<Option<String>> {
    let Some(id) = id else { return Ok(None) };
    connection.prepare_cached("SELECT value FROM text WHERE id = ?")?.query_row([id], |row| row.get(0)).optional()
}

fn bytes<const N: usize>(bytes: Option<[u8; N]>) -> Option<String> {
    bytes.map(|bytes| hex::encode(&bytes))
}
