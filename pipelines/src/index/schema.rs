//! The index's tables. They can be thrown away: the log is the record, and `reindex` makes them anew.

use rusqlite::Connection;

/// Grows with every change to the tables. An index of another version is made anew, never altered.
pub(crate) const VERSION: i32 = 4;

/// Makes the tables in an empty database.
///
/// - An event's row is its place in the order of indexing, which follows the ledger within a stream. Nothing of the event
///   stands there but where it is: `batch` maps rows to stream and index, and says where in the log the bytes are.
/// - `segment`, `bucket` and `list` say which events say what: their ids, names, kinds, verdicts, and every attribute of theirs
///   and of their resource. They are only ever written whole, side by side (see `segment.rs`): rows in the order of random ids
///   would each touch a page of their own.
/// - `starts` has the starts of a batch's events, for a search by time, counted from the earliest (`low`); one whose
///   events all start at once has none. An event that is no span starts at its own time.
/// - `assessed` has the verdicts that took the place of the first.
/// - `about` has, by the event that something is about, the row of the event that says it.
/// - `subject` has the events with values under a subject's key, with their payload records and those records' bytes, and,
///   with no records, the events that say that the key was destroyed.
/// - `run` has the subtree root of every full run of 256 events (height 8) and of every 256 such runs (height 16), so that
///   a proof needs one run of the log and a few hundred of these rows, however long the log is.
/// - `stream.next`, and `head` beside it, are the cursor. They change in the transaction that writes the rows before them.
/// - `secret` has the key of the terms.
pub(crate) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN;
         CREATE TABLE secret(key BLOB NOT NULL);
         INSERT INTO secret VALUES(randomblob(16));
         CREATE TABLE stream(
           ordinal INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, next INTEGER NOT NULL, head BLOB NOT NULL,
           fault TEXT, fault_index INTEGER, fault_text TEXT);
         CREATE TABLE batch(
           id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
           segment INTEGER NOT NULL, offset INTEGER NOT NULL, wall INTEGER NOT NULL,
           low INTEGER NOT NULL, high INTEGER NOT NULL);
         CREATE UNIQUE INDEX batch_place ON batch(stream, first);
         CREATE TABLE starts(id INTEGER PRIMARY KEY, starts BLOB NOT NULL);
         CREATE TABLE segment(
           number INTEGER PRIMARY KEY, first INTEGER NOT NULL, count INTEGER NOT NULL, bits INTEGER NOT NULL,
           terms INTEGER NOT NULL, list_first INTEGER NOT NULL, list_end INTEGER NOT NULL, low INTEGER NOT NULL,
           high INTEGER NOT NULL);
         CREATE TABLE bucket(id INTEGER PRIMARY KEY, terms BLOB NOT NULL);
         CREATE TABLE list(id INTEGER PRIMARY KEY, ids BLOB NOT NULL);
         CREATE TABLE assessed(id INTEGER PRIMARY KEY, verdict INTEGER NOT NULL);
         CREATE TABLE about(target INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(target, id)) WITHOUT ROWID;
         CREATE TABLE subject(
           subject BLOB NOT NULL, id INTEGER NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL, trace BLOB,
           PRIMARY KEY(subject, records, id)) WITHOUT ROWID;
         CREATE INDEX subject_event ON subject(id);
         CREATE TABLE run(
           stream INTEGER NOT NULL, height INTEGER NOT NULL, number INTEGER NOT NULL, root BLOB NOT NULL,
           PRIMARY KEY(stream, height, number)) WITHOUT ROWID;
         PRAGMA user_version = {VERSION};
         COMMIT;"
    ))
}
