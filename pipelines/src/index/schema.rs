//! The index's tables. They can be thrown away: the log is the record, and `reindex` makes them anew.

use rusqlite::Connection;

use crate::facet::Facet;

/// Grows with every change to the tables. An index of another version is made anew, never altered.
pub(crate) const VERSION: i32 = 3;

/// Makes the tables in an empty database.
///
/// - An event's `id` is its place in the order of indexing, which follows the ledger within a stream; `batch` maps ids to
///   stream and index, and says where in the log the bytes are. Ids are small and grow, so rows and index entries stay
///   narrow and are written side by side.
/// - `event` has what a list shows. `start` is the span's, or the time of an event that is no span. Its facets are numbers in `text`, and have no index of their own: they are searched
///   through `attr`, by every key that says them.
/// - `attr` has the attributes of spans: for 64 events at a time, which of them have a key with a value. Most values are
///   common, so that these are far fewer rows than one an event. `resource_attr` has those of the resource events that
///   spans refer to. `bit` has the numbers 0 to 63, to make ids of bits.
/// - `subject` has the events with values under a subject's key, with their payload records and those records' bytes, and,
///   with no records, the events that say that the key was destroyed.
/// - `run` has the subtree root of every full run of 256 events (height 8) and of every 256 such runs (height 16), so that
///   a proof needs one run of the log and a few hundred of these rows, however long the log is.
/// - `stream.next`, and `head` beside it, are the cursor. They change in the transaction that writes the rows before them.
pub(crate) fn create(connection: &Connection) -> rusqlite::Result<()> {
    let facets: String = Facet::ALL.iter().map(|facet| format!(", \"{}\" INTEGER", facet.name())).collect();
    connection.execute_batch(&format!(
        "BEGIN;
         CREATE TABLE stream(
           ordinal INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, next INTEGER NOT NULL, head BLOB NOT NULL,
           fault TEXT, fault_index INTEGER, fault_text TEXT);
         CREATE TABLE batch(
           id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
           segment INTEGER NOT NULL, offset INTEGER NOT NULL, wall INTEGER NOT NULL);
         CREATE UNIQUE INDEX batch_place ON batch(stream, first);
         CREATE TABLE run(stream INTEGER NOT NULL, height INTEGER NOT NULL, number INTEGER NOT NULL, root BLOB NOT NULL, PRIMARY KEY(stream, height, number)) WITHOUT ROWID;
         CREATE TABLE event(
           id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, trace BLOB, span BLOB, parent BLOB, resource INTEGER,
           received INTEGER, start INTEGER NOT NULL, end INTEGER, status INTEGER, verdict INTEGER, name INTEGER, service INTEGER{facets});
         CREATE INDEX event_trace ON event(trace) WHERE trace IS NOT NULL;
         CREATE INDEX event_span ON event(span) WHERE span IS NOT NULL;
         CREATE INDEX event_start ON event(start);
         CREATE INDEX event_name ON event(name) WHERE name IS NOT NULL;
         CREATE INDEX event_resource ON event(resource) WHERE resource IS NOT NULL;
         CREATE INDEX event_verdict ON event(verdict) WHERE verdict > 0;
         CREATE INDEX event_other ON event(kind) WHERE kind <> 1;
         CREATE TABLE about(target INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(target, id)) WITHOUT ROWID;
         CREATE TABLE subject(
           subject BLOB NOT NULL, id INTEGER NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL,
           PRIMARY KEY(subject, records, id)) WITHOUT ROWID;
         CREATE INDEX subject_event ON subject(id);
         CREATE TABLE text(id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE);
         CREATE TABLE attr_key(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
         CREATE TABLE attr(
           key INTEGER NOT NULL, value NOT NULL, block INTEGER NOT NULL, bits INTEGER NOT NULL, PRIMARY KEY(key, value, block)) WITHOUT ROWID;
         CREATE TABLE bit(n INTEGER PRIMARY KEY);
         INSERT INTO bit SELECT value FROM (WITH RECURSIVE number(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM number WHERE value < 63) SELECT value FROM number);
         CREATE TABLE resource_attr(key INTEGER NOT NULL, value NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(key, value, id)) WITHOUT ROWID;
         PRAGMA user_version = {VERSION};
         COMMIT;"
    ))
}
