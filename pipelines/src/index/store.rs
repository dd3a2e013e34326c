//! Rows in and out of the index's tables, one transaction at a time.

use std::fs::OpenOptions;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use spanseal_ledger::Hash;
use spanseal_log::Place;

use super::gather::Gathered;
use super::schema;
use super::starts::Starts;
use super::term::{Term, Terms};

/// The index as its one writer has it.
pub(crate) struct Store {
    connection: Connection,
    upkeep: Upkeep,
    terms: Terms,
    /// The row of the first event of the transaction, and of the next.
    rows: Range<i64>,
    /// The first row of the batch that is written.
    batch: i64,
    starts: Starts,
    gathered: Gathered,
}

/// What becomes of an index when the process or the machine stops while it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// WAL with `synchronous = NORMAL`: a crash of the machine may take the last transactions back, but each as a whole, and
    /// the cursor goes back with the rows. The log is durable, so they are only indexed once more.
    Live,
    /// It is thrown away: nothing is kept to go back to, and syncing is the caller's.
    Anew,
}

/// How much goes into one transaction at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) events: u64,
    pub(crate) time: Duration,
}

impl Upkeep {
    /// The more events, the fewer segments are merged later; few enough to be held, and to end soon when somebody waits.
    pub(crate) fn round(self) -> Round {
        match self {
            Self::Live => Round { events: 1 << 14, time: Duration::from_millis(200) },
            Self::Anew => Round { events: 1 << 17, time: Duration::from_secs(5) },
        }
    }
}

/// What the index notes of one event, beside its terms.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventRow {
    pub(crate) trace: Option<[u8; 16]>,
    pub(crate) start: u64,
    /// Rows of the events that this one is about.
    pub(crate) about: Vec<i64>,
    /// Under whose keys the event has values; or whose key was destroyed.
    pub(crate) subjects: Vec<SubjectRow>,
}

/// What an event has under a subject's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SubjectRow {
    pub(crate) subject: [u8; 16],
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// Where a batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchRow {
    pub(crate) stream: i64,
    pub(crate) first: u64,
    pub(crate) count: u64,
    /// First index of the segment, which is its file's name.
    pub(crate) segment: u64,
    /// Of the record in the segment's file.
    pub(crate) offset: u64,
    pub(crate) wall: u64,
    /// The earliest and the latest start of its events.
    pub(crate) times: (i64, i64),
}

/// A stream's cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamRow {
    pub(crate) ordinal: i64,
    pub(crate) id: [u8; 16],
    pub(crate) next: u64,
    /// What the verifier needs to go on from there.
    pub(crate) head: Vec<u8>,
    pub(crate) fault: Option<FaultRow>,
}

/// Why a stream is indexed no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FaultRow {
    pub(crate) code: String,
    pub(crate) index: u64,
    pub(crate) text: String,
}

impl Store {
    /// Opens the index at the path, or makes it; `None` when what is there is of another version.
    pub(crate) fn open(path: &Path, upkeep: Upkeep) -> rusqlite::Result<Option<Self>> {
        // Its owner's alone, as its WAL is then. Why it cannot be made, SQLite says.
        let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let connection = Connection::open_with_flags(path, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_URI)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        match upkeep {
            Upkeep::Live => {
                connection.pragma_update(None, "journal_mode", "WAL")?;
                connection.pragma_update(None, "synchronous", "NORMAL")?;
                connection.pragma_update(None, "cache_size", CACHE_KIB)?;
                connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
                connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
            }
            Upkeep::Anew => {
                connection.pragma_update(None, "journal_mode", "OFF")?;
                connection.pragma_update(None, "synchronous", "OFF")?;
                connection.pragma_update(None, "cache_size", CACHE_KIB)?;
            }
        }
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            0 => schema::create(&connection)?,
            schema::VERSION => {}
            _ => return Ok(None),
        }
        let next = "SELECT id + count FROM batch ORDER BY id DESC LIMIT 1";
        let next: i64 = connection.query_row(next, [], |row| row.get(0)).optional()?.unwrap_or(1);
        let (starts, gathered) = (Starts::default(), Gathered::default());
        Ok(Some(Self {
            terms: terms(&connection)?,
            connection,
            upkeep,
            rows: next..next,
            batch: next,
            starts,
            gathered,
        }))
    }

    /// Does the work in one transaction: all of it is kept, or nothing.
    pub(crate) fn transaction<T, E: From<rusqlite::Error>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.rows.start = self.rows.end;
        let outcome = work(self).and_then(|value| {
            self.gathered.write(&self.connection, self.rows.start, self.rows.end)?;
            self.connection.execute_batch("COMMIT")?;
            Ok(value)
        });
        if outcome.is_err() {
            // The first error matters, not one of taking back.
            let _ = self.connection.execute_batch("ROLLBACK");
            self.rows.end = self.rows.start;
            self.gathered.clear();
        }
        outcome
    }

    /// Writes a batch's place; its events follow, and [`Store::end_batch`].
    pub(crate) fn add_batch(&mut self, batch: &BatchRow) -> rusqlite::Result<()> {
        self.batch = self.rows.end;
        self.starts.clear();
        let mut statement = self.connection.prepare_cached("INSERT INTO batch VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
        let BatchRow { stream, first, count, segment, offset, wall, times: (low, high) } = *batch;
        let place = (int(segment), int(offset));
        statement.execute(params![
            self.batch,
            stream,
            int(first),
            int(count),
            place.0,
            place.1,
            int(wall),
            low,
            high
        ])?;
        Ok(())
    }

    /// Writes when the events of the batch started.
    pub(crate) fn end_batch(&mut self) -> rusqlite::Result<()> {
        let (low, high) = self.starts.span();
        let mut update = self.connection.prepare_cached("UPDATE batch SET low = ?, high = ? WHERE id = ?")?;
        update.execute([low, high, self.batch])?;
        self.starts.write(&self.connection, self.batch)
    }

    pub(crate) fn upkeep(&self) -> Upkeep {
        self.upkeep
    }

    /// Returns what makes terms of what events say.
    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Notes that the next event says these.
    pub(crate) fn say(&mut self, terms: &[Term]) {
        let id = u32::try_from(self.rows.end - self.rows.start).unwrap_or(u32::MAX);
        terms.iter().for_each(|term| self.gathered.say(id, *term));
    }

    /// Writes the next event of the batch, which says what was noted before, and gives its row.
    pub(crate) fn add_event(&mut self, event: &EventRow) -> rusqlite::Result<i64> {
        let row = self.rows.end;
        self.rows.end += 1;
        let start = int(event.start);
        self.starts.push(start);
        self.gathered.started(start);
        for target in &event.about {
            self.connection.prepare_cached("INSERT OR IGNORE INTO about VALUES(?, ?)")?.execute([target, &row])?;
        }
        for SubjectRow { subject, records, bytes } in &event.subjects {
            let mut insert = self.connection.prepare_cached("INSERT OR IGNORE INTO subject VALUES(?, ?, ?, ?, ?)")?;
            insert.execute(params![subject, row, int(*records), int(*bytes), event.trace])?;
        }
        Ok(row)
    }

    /// Puts a later verdict in the place of the first.
    pub(crate) fn set_verdict(&self, row: i64, verdict: i32) -> rusqlite::Result<()> {
        let insert = "INSERT INTO assessed VALUES(?, ?) ON CONFLICT(id) DO UPDATE SET verdict = excluded.verdict";
        self.connection.prepare_cached(insert)?.execute(params![row, verdict])?;
        Ok(())
    }

    /// Writes the root of a full subtree.
    pub(crate) fn add_run(&self, stream: i64, height: u8, number: u64, root: &Hash) -> rusqlite::Result<()> {
        let mut insert = self.connection.prepare_cached("INSERT INTO run VALUES(?, ?, ?, ?)")?;
        insert.execute(params![stream, height, int(number), root])?;
        Ok(())
    }

    /// Returns the roots of a stream's full subtrees with these numbers, as [`runs`] does.
    pub(crate) fn runs(&self, stream: &[u8; 16], height: u8, numbers: Range<u64>) -> rusqlite::Result<Vec<Hash>> {
        runs(&self.connection, stream, height, numbers)
    }

    pub(crate) fn streams(&self) -> rusqlite::Result<Vec<StreamRow>> {
        streams(&self.connection)
    }

    pub(crate) fn add_stream(&self, id: &[u8; 16], head: &[u8]) -> rusqlite::Result<i64> {
        self.connection.execute("INSERT INTO stream(id, next, head) VALUES(?, 0, ?)", params![id, head])?;
        Ok(self.connection.last_insert_rowid())
    }

    pub(crate) fn set_cursor(&self, ordinal: i64, next: u64, head: &[u8]) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached("UPDATE stream SET next = ?, head = ? WHERE ordinal = ?")?;
        statement.execute(params![int(next), head, ordinal])?;
        Ok(())
    }

    /// Notes why a stream is indexed no further, or that nothing is in the way any more.
    pub(crate) fn set_fault(&self, ordinal: i64, fault: Option<&FaultRow>) -> rusqlite::Result<()> {
        let (code, text) = (fault.map(|fault| &fault.code), fault.map(|fault| &fault.text));
        let index = fault.map(|fault| int(fault.index));
        let set = "UPDATE stream SET fault = ?, fault_index = ?, fault_text = ? WHERE ordinal = ?";
        self.connection.execute(set, params![code, index, text, ordinal])?;
        Ok(())
    }

    pub(crate) fn row_of(&self, stream: i64, index: u64) -> rusqlite::Result<Option<i64>> {
        row_of(&self.connection, stream, index)
    }

    pub(crate) fn ordinal_of(&self, stream: &[u8; 16]) -> rusqlite::Result<Option<i64>> {
        ordinal_of(&self.connection, stream)
    }

    /// Closes the database, everything in its one file.
    pub(crate) fn close(self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "journal_mode", "DELETE")?;
        self.connection.close().map_err(|(_, error)| error)
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Returns what makes the terms of an index.
pub(crate) fn terms(connection: &Connection) -> rusqlite::Result<Terms> {
    connection.query_row("SELECT key FROM secret", [], |row| Ok(Terms::new(&row.get(0)?)))
}

/// Returns every stream's cursor.
pub(crate) fn streams(connection: &Connection) -> rusqlite::Result<Vec<StreamRow>> {
    let select = "SELECT ordinal, id, next, head, fault, fault_index, fault_text FROM stream ORDER BY ordinal";
    let mut statement = connection.prepare(select)?;
    let rows = statement.query_map([], |row| {
        let fault = match row.get(4)? {
            Some(code) => Some(FaultRow { code, index: unsigned(row.get(5)?), text: row.get(6)? }),
            None => None,
        };
        Ok(StreamRow { ordinal: row.get(0)?, id: row.get(1)?, next: unsigned(row.get(2)?), head: row.get(3)?, fault })
    })?;
    rows.collect()
}

/// Returns a stream's number in the index.
pub(crate) fn ordinal_of(connection: &Connection, stream: &[u8; 16]) -> rusqlite::Result<Option<i64>> {
    let select = "SELECT ordinal FROM stream WHERE id = ?";
    connection.prepare_cached(select)?.query_row([stream], |row| row.get(0)).optional()
}

/// Returns the row of the event at a stream's index.
pub(crate) fn row_of(connection: &Connection, stream: i64, index: u64) -> rusqlite::Result<Option<i64>> {
    let select = "SELECT id + ?2 - first FROM batch WHERE stream = ?1 AND first <= ?2 AND ?2 < first + count ORDER BY first DESC LIMIT 1";
    connection.prepare_cached(select)?.query_row([stream, int(index)], |row| row.get(0)).optional()
}

/// Returns the batch that holds a row.
pub(crate) fn batch_of(connection: &Connection, row: i64) -> rusqlite::Result<Option<(i64, BatchRow)>> {
    let select = "SELECT id, stream, first, count, segment, offset, wall, low, high FROM batch WHERE id <= ? ORDER BY id DESC LIMIT 1";
    let mut statement = connection.prepare_cached(select)?;
    let found = statement.query_row([row], |row| {
        let batch = BatchRow {
            stream: row.get(1)?,
            first: unsigned(row.get(2)?),
            count: unsigned(row.get(3)?),
            segment: unsigned(row.get(4)?),
            offset: unsigned(row.get(5)?),
            wall: unsigned(row.get(6)?),
            times: (row.get(7)?, row.get(8)?),
        };
        Ok((row.get(0)?, batch))
    });
    found.optional()
}

/// Returns the first index of the batch that holds a stream's index, and where it was found.
pub(crate) fn batch_at(
    connection: &Connection,
    stream: &[u8; 16],
    index: u64,
) -> rusqlite::Result<Option<(u64, Place)>> {
    let select = "SELECT first, segment, offset FROM batch WHERE stream = (SELECT ordinal FROM stream WHERE id = ?1)
        AND first <= ?2 AND ?2 < first + count ORDER BY first DESC LIMIT 1";
    let mut statement = connection.prepare_cached(select)?;
    let found = statement.query_row(params![stream, int(index)], |row| {
        Ok((unsigned(row.get(0)?), Place { segment: unsigned(row.get(1)?), offset: unsigned(row.get(2)?) }))
    });
    found.optional()
}

/// Returns the roots of a stream's full subtrees with these numbers, as far as they are there without a gap.
pub(crate) fn runs(
    connection: &Connection,
    stream: &[u8; 16],
    height: u8,
    numbers: Range<u64>,
) -> rusqlite::Result<Vec<Hash>> {
    let select = "SELECT number, root FROM run WHERE stream = (SELECT ordinal FROM stream WHERE id = ?)
        AND height = ? AND number >= ? AND number < ? ORDER BY number";
    let mut statement = connection.prepare_cached(select)?;
    let mut rows = statement.query(params![stream, height, int(numbers.start), int(numbers.end)])?;
    let mut roots = Vec::new();
    while let Some(row) = rows.next()? {
        if unsigned(row.get(0)?) != numbers.start + roots.len() as u64 {
            break;
        }
        roots.push(row.get(1)?);
    }
    Ok(roots)
}

/// Returns the number as SQLite holds it. Times after 2262 and indices beyond 2^63 become the largest.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns the number that [`int`] held.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

const BUSY: Duration = Duration::from_secs(10);
/// Some buckets fit into a page, and a search reads one page a segment.
const PAGE_BYTES: i64 = 8192;
const CACHE_KIB: i64 = -8192;
const WAL_BYTES_MAX: i64 = 64 << 20;
/// As large as the limit above. Each time the disk is synced, which sealing waits for.
const WAL_PAGES: i64 = WAL_BYTES_MAX / PAGE_BYTES;
const STATEMENTS: usize = 32;
/// Height of the subtree over a run of 256 events, and of the one over 256 runs.
pub(crate) const RUN_HEIGHT: u8 = 8;
pub(crate) const BLOCK_HEIGHT: u8 = 16;
