//! Segments: which events of a stretch of ids say what, written once, sorted by term.
//!
//! ```text
//! bucket   term varint, length varint, ids        the term counts from the one before it, or from the bucket's first
//!          term varint, 0, list varint            ids that are long: a row of `list`, counted from the segment's first
//! ```
//! A bucket holds the terms that begin with its number in binary: a term is looked up by one row. Terms are evenly spread,
//! and buckets about equally long.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::ids::{decode_long, decode_short, encode, read_varint, varint};
use super::term::{TERM_BITS, Term};

/// A segment, as its row says. Segments follow each other without a gap in the order of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) number: i64,
    /// Its first event's row.
    pub(crate) first: i64,
    pub(crate) count: u32,
    /// There are two to the power of so many buckets.
    bits: u32,
    terms: u64,
    lists: (i64, i64),
    /// The earliest and the latest start of its events.
    pub(crate) times: (i64, i64),
}

/// What a segment is of, before it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) first: i64,
    pub(super) count: u32,
    pub(super) times: (i64, i64),
}

/// Writes a new segment, term by term, in ascending order.
pub(super) struct Writer<'c> {
    insert_bucket: CachedStatement<'c>,
    insert_list: CachedStatement<'c>,
    segment: Segment,
    bucket: u64,
    bytes: Vec<u8>,
    ids: Vec<u8>,
    last: Term,
}

impl<'c> Writer<'c> {
    /// Begins a segment of about so many terms.
    pub(super) fn new(connection: &'c Connection, stretch: Stretch, terms: u64) -> rusqlite::Result<Self> {
        let next =
            "SELECT (SELECT coalesce(max(number), 0) + 1 FROM segment), (SELECT coalesce(max(id), 0) + 1 FROM list)";
        let mut next = connection.prepare_cached(next)?;
        let (number, list): (i64, i64) = next.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let Stretch { first, count, times } = stretch;
        let bits = (terms / TERMS_A_BUCKET).checked_ilog2().map_or(0, |bits| (bits + 1).min(BITS_MAX));
        Ok(Self {
            insert_bucket: connection.prepare_cached("INSERT INTO bucket VALUES(?, ?)")?,
            insert_list: connection.prepare_cached("INSERT INTO list VALUES(?, ?)")?,
            segment: Segment { number, first, count, bits, terms: 0, lists: (list, list), times },
            bucket: 0,
            bytes: Vec::new(),
            ids: Vec::new(),
            last: 0,
        })
    }

    /// Adds the next term and which events say it, counted from the segment's first.
    pub(super) fn term(&mut self, term: Term, ids: &[u32]) -> rusqlite::Result<()> {
        let bucket = self.segment.bucket_of(term);
        if bucket != self.bucket {
            self.write_bucket()?;
            (self.bucket, self.last) = (bucket, bucket << (TERM_BITS - self.segment.bits));
        }
        varint(term - self.last, &mut self.bytes);
        self.last = term;
        self.segment.terms += 1;
        if encode(ids, &mut self.ids) {
            varint(self.ids.len() as u64, &mut self.bytes);
            self.bytes.extend_from_slice(&self.ids);
        } else {
            let (first, list) = self.segment.lists;
            self.insert_list.execute(params![list, self.ids])?;
            self.segment.lists = (first, list + 1);
            self.bytes.push(0);
            varint(list.abs_diff(first), &mut self.bytes);
        }
        Ok(())
    }

    fn write_bucket(&mut self) -> rusqlite::Result<()> {
        if !self.bytes.is_empty() {
            self.insert_bucket.execute(params![self.segment.row_of(self.bucket), self.bytes])?;
            self.bytes.clear();
        }
        Ok(())
    }

    pub(super) fn finish(mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.write_bucket()?;
        let Segment { number, first, count, bits, terms, lists, times } = self.segment;
        let insert = "INSERT INTO segment VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let row = params![number, first, count, bits, terms.cast_signed(), lists.0, lists.1, times.0, times.1];
        connection.prepare_cached(insert)?.execute(row)?;
        Ok(())
    }
}

impl Segment {
    fn bucket_of(&self, term: Term) -> u64 {
        term >> (TERM_BITS - self.bits)
    }

    fn row_of(&self, bucket: u64) -> i64 {
        self.number << BITS_MAX | bucket.cast_signed()
    }

    /// Returns the ids of the events that say one of the terms, counted from the segment's first; ascending, each once.
    pub(crate) fn ids(&self, connection: &Connection, terms: &[Term]) -> rusqlite::Result<Vec<u32>> {
        let mut ids = Vec::new();
        for term in terms {
            let before = ids.len();
            self.add_ids(connection, *term, &mut ids)?;
            if before > 0 {
                ids.sort_unstable();
                ids.dedup();
            }
        }
        Ok(ids)
    }

    fn add_ids(&self, connection: &Connection, term: Term, ids: &mut Vec<u32>) -> rusqlite::Result<()> {
        let bucket = self.bucket_of(term);
        let mut select = connection.prepare_cached("SELECT terms FROM bucket WHERE id = ?")?;
        let bytes: Option<Vec<u8>> = select.query_row([self.row_of(bucket)], |row| row.get(0)).optional()?;
        let mut entries = Entries::new(bytes.unwrap_or_default(), bucket << (TERM_BITS - self.bits));
        while let Some(entry) = entries.next() {
            if entry.term >= term {
                return if entry.term == term { self.read(connection, &entries, entry, 0, ids) } else { Ok(()) };
            }
        }
        Ok(())
    }

    /// Appends an entry's ids, each `offset` higher.
    fn read(
        &self,
        connection: &Connection,
        entries: &Entries,
        entry: Entry,
        offset: u32,
        ids: &mut Vec<u32>,
    ) -> rusqlite::Result<()> {
        match entry.list {
            None => decode_short(&entries.bytes[entry.ids.0..entry.ids.1], offset, ids),
            Some(list) => {
                let mut select = connection.prepare_cached("SELECT ids FROM list WHERE id = ?")?;
                let row = self.lists.0.saturating_add_unsigned(list);
                select.query_row([row], |row| {
                    decode_long(row.get_ref(0)?.as_blob()?, offset, ids);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// Returns all segments, in the order of ids.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<Segment>> {
    let mut select = connection.prepare_cached("SELECT * FROM segment ORDER BY first")?;
    let rows = select.query_map([], |row| {
        Ok(Segment {
            number: row.get(0)?,
            first: row.get(1)?,
            count: row.get(2)?,
            bits: row.get(3)?,
            terms: row.get::<_, i64>(4)?.cast_unsigned(),
            lists: (row.get(5)?, row.get(6)?),
            times: (row.get(7)?, row.get(8)?),
        })
    })?;
    rows.collect()
}

/// Returns the rows of the events that say a term, ascending.
pub(crate) fn rows_of(connection: &Connection, term: Term) -> rusqlite::Result<Vec<i64>> {
    let mut rows = Vec::new();
    for segment in all(connection)? {
        rows.extend(segment.ids(connection, &[term])?.into_iter().map(|id| segment.first + i64::from(id)));
    }
    Ok(rows)
}

/// Goes through a bucket's entries.
struct Entries {
    bytes: Vec<u8>,
    at: usize,
    last: Term,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    term: Term,
    ids: (usize, usize),
    list: Option<u64>,
}

impl Entries {
    fn new(bytes: Vec<u8>, first: Term) -> Self {
        Self { bytes, at: 0, last: first }
    }

    fn next(&mut self) -> Option<Entry> {
        let (bytes, at) = (&self.bytes, &mut self.at);
        let term = self.last + read_varint(bytes, at)?;
        self.last = term;
        let length = usize::try_from(read_varint(bytes, at)?).ok()?;
        if length == 0 {
            return Some(Entry { term, ids: (0, 0), list: Some(read_varint(bytes, at)?) });
        }
        let ids = (*at, at.checked_add(length).filter(|end| *end <= bytes.len())?);
        *at = ids.1;
        Some(Entry { term, ids, list: None })
    }
}

/// Writes one segment in the place of several that follow each other.
pub(super) fn merge(connection: &Connection, segments: &[Segment]) -> rusqlite::Result<()> {
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else { return Ok(()) };
    let count = u32::try_from(last.first + i64::from(last.count) - first.first).unwrap_or(u32::MAX);
    let low = segments.iter().map(|segment| segment.times.0).min().unwrap_or(0);
    let high = segments.iter().map(|segment| segment.times.1).max().unwrap_or(0);
    let stretch = Stretch { first: first.first, count, times: (low, high) };
    let mut writer = Writer::new(connection, stretch, segments.iter().map(|segment| segment.terms).sum())?;
    let select = "SELECT id, terms FROM bucket WHERE id BETWEEN ? AND ? ORDER BY id";
    let mut statements = segments.iter().map(|_| connection.prepare(select)).collect::<rusqlite::Result<Vec<_>>>()?;
    let mut sources = Vec::new();
    for (segment, statement) in segments.iter().zip(&mut statements) {
        let buckets = [segment.row_of(0), segment.row_of((1 << segment.bits) - 1)];
        let offset = u32::try_from(segment.first - first.first).unwrap_or(u32::MAX);
        let entries = Entries::new(Vec::new(), 0);
        let mut source = Source { segment, buckets: statement.query(buckets)?, entries, offset, head: None };
        source.advance()?;
        sources.push(source);
    }
    let mut ids = Vec::new();
    while let Some(term) = sources.iter().filter_map(|source| Some(source.head?.term)).min() {
        ids.clear();
        for source in &mut sources {
            if let Some(entry) = source.head.filter(|entry| entry.term == term) {
                source.segment.read(connection, &source.entries, entry, source.offset, &mut ids)?;
                source.advance()?;
            }
        }
        writer.term(term, &ids)?;
    }
    drop(sources);
    writer.finish(connection)?;
    segments.iter().try_for_each(|segment| delete(connection, segment))
}

/// A segment that is being merged.
struct Source<'s> {
    segment: &'s Segment,
    buckets: rusqlite::Rows<'s>,
    entries: Entries,
    offset: u32,
    head: Option<Entry>,
}

impl Source<'_> {
    fn advance(&mut self) -> rusqlite::Result<()> {
        loop {
            self.head = self.entries.next();
            if self.head.is_some() {
                return Ok(());
            }
            let Some(row) = self.buckets.next()? else { return Ok(()) };
            let bucket = row.get::<_, i64>(0)?.cast_unsigned() & ((1 << BITS_MAX) - 1);
            let mut bytes = std::mem::take(&mut self.entries.bytes);
            bytes.clear();
            bytes.extend_from_slice(row.get_ref(1)?.as_blob()?);
            self.entries = Entries::new(bytes, bucket << (TERM_BITS - self.segment.bits));
        }
    }
}

fn delete(connection: &Connection, segment: &Segment) -> rusqlite::Result<()> {
    let buckets = [segment.row_of(0), segment.row_of((1 << segment.bits) - 1)];
    connection.prepare_cached("DELETE FROM bucket WHERE id BETWEEN ? AND ?")?.execute(buckets)?;
    let lists = [segment.lists.0, segment.lists.1 - 1];
    connection.prepare_cached("DELETE FROM list WHERE id BETWEEN ? AND ?")?.execute(lists)?;
    connection.prepare_cached("DELETE FROM segment WHERE number = ?")?.execute([segment.number])?;
    Ok(())
}

/// Buckets of about 2 KB, some to a page.
const TERMS_A_BUCKET: u64 = 128;
const BITS_MAX: u32 = 24;
