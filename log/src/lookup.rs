//! Finds the record of an index without reading what lies before it: the segment by its name, the record by heads.

use std::io;
use std::path::Path;

use spanseal_ledger::seal::SEAL_LEN;

use crate::record::{HEAD_LEN, Head, RecordKind, batch_range};
use crate::scan::{Found, Scanner};
use crate::segment::{self, Owner, header_len};
use crate::storage::{Storage, StorageFile, read_full};

/// Where a record stands: a hint to find it again at once, worthless once the log was recovered past it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// First index of its segment.
    pub segment: u64,
    /// Offset of its head in the segment's file.
    pub offset: u64,
}

/// A record that was looked up; its CRC holds, and nothing else of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What it holds.
    pub kind: RecordKind,
    /// First index: of a batch as its seal claims, of a root leaf as counted; for a payload 0.
    pub first: u64,
    /// Number of events; 1 for a root leaf, 0 for a payload.
    pub count: u16,
    /// Its body.
    pub body: Vec<u8>,
    /// Where it stands.
    pub place: Place,
    /// Bytes of heads that were read to find it: many, where records are small.
    pub searched: u64,
}

/// Returns the batch (in the root log: the leaf) with an index, looking at `hint` first.
///
/// # Errors
/// When the disk cannot be read. A record that is not there, or not whole, is `None`.
pub fn read_batch_at(
    storage: &dyn Storage,
    dir: &Path,
    owner: &Owner,
    index: u64,
    hint: Option<Place>,
) -> io::Result<Option<Stored>> {
    if let (Some(place), Owner::Stream(_)) = (hint, owner)
        && let Some(stored) = read_record_at(storage, dir, place)?
        && (stored.first..stored.first + u64::from(stored.count)).contains(&index)
    {
        return Ok(Some(stored));
    }
    let Some(first) = segment::list(storage, dir)?.into_iter().rfind(|first| *first <= index) else {
        return Ok(None);
    };
    let file = storage.open(&segment::path(dir, first))?;
    let skipped = skip_to(file.as_ref(), owner, first, index)?;
    let mut place = Place { segment: first, offset: skipped.offset };
    while let Some(mut stored) = read_record_at(storage, dir, place)? {
        match stored.kind {
            RecordKind::Payload => place.offset += (HEAD_LEN + stored.body.len()) as u64,
            RecordKind::RootLeaf => stored.first = skipped.next,
            RecordKind::Batch => {}
        }
        stored.searched = skipped.read;
        if stored.kind != RecordKind::Payload {
            let holds = (stored.first..stored.first + u64::from(stored.count)).contains(&index);
            return Ok(holds.then_some(stored));
        }
    }
    Ok(None)
}

/// Returns the record at a place, if there is a whole one.
///
/// # Errors
/// When the disk cannot be read.
pub fn read_record_at(storage: &dyn Storage, dir: &Path, place: Place) -> io::Result<Option<Stored>> {
    let file = match storage.open(&segment::path(dir, place.segment)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut scanner = Scanner::for_one(file, place.offset);
    let Found::Record { kind, len } = scanner.look()? else { return Ok(None) };
    let Some(kind) = RecordKind::from_byte(kind) else { return Ok(None) };
    let body = &scanner.record(len)[HEAD_LEN..];
    let (first, count) = match kind {
        RecordKind::Batch => batch_range(body).unwrap_or((0, 0)),
        RecordKind::RootLeaf => (0, 1),
        RecordKind::Payload => (0, 0),
    };
    Ok(Some(Stored { kind, first, count, body: body.to_vec(), place, searched: 0 }))
}

/// How far heads alone led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Offset after the last batch (root leaf) that ends at or before the index wanted.
    pub(crate) offset: u64,
    /// The index that follows it.
    pub(crate) next: u64,
    /// Bytes that were read.
    pub(crate) read: u64,
}

/// Passes the records that end at or before `index`, and stops early at the first that does not look as it should.
pub(crate) fn skip_to(file: &dyn StorageFile, owner: &Owner, first: u64, index: u64) -> io::Result<Skipped> {
    let mut window = Window::new(file)?;
    let mut skipped = Skipped { offset: header_len(first) as u64, next: first, read: 0 };
    let mut offset = skipped.offset;
    while let Some((kind, prefix, record_len)) = window.peek(offset)? {
        let count = match (owner, kind) {
            (Owner::Stream(_), RecordKind::Payload) => {
                offset += record_len;
                continue;
            }
            (Owner::Stream(_), RecordKind::Batch) => match batch_range(prefix) {
                Some((batch_first, count)) if batch_first == skipped.next => u64::from(count),
                _ => break,
            },
            (Owner::RootLog, RecordKind::RootLeaf) => 1,
            _ => break,
        };
        let Some(end) = skipped.next.checked_add(count).filter(|end| *end <= index) else { break };
        offset += record_len;
        skipped = Skipped { offset, next: end, read: 0 };
    }
    Ok(Skipped { read: window.read, ..skipped })
}

/// Returns the first index that the next batch from an offset on claims, payloads passed over; nothing where none can be
/// told.
pub(crate) fn next_batch(file: &dyn StorageFile, mut offset: u64) -> io::Result<Option<u64>> {
    let mut window = Window::new(file)?;
    while let Some((kind, prefix, record_len)) = window.peek(offset)? {
        match kind {
            RecordKind::Payload => offset += record_len,
            RecordKind::Batch => return Ok(batch_range(prefix).map(|(first, _)| first)),
            RecordKind::RootLeaf => break,
        }
    }
    Ok(None)
}

/// A few bytes of a file, for looking at heads: those of small records come many to a read.
struct Window<'a> {
    file: &'a dyn StorageFile,
    size: u64,
    bytes: Vec<u8>,
    offset: u64,
    /// Bytes that were read so far.
    read: u64,
}

impl Window<'_> {
    fn new(file: &dyn StorageFile) -> io::Result<Window<'_>> {
        Ok(Window { file, size: file.size()?, bytes: Vec::new(), offset: 0, read: 0 })
    }

    /// Returns kind, first bytes of the body and length of the record at an offset, if the file is long enough for it.
    fn peek(&mut self, offset: u64) -> io::Result<Option<(RecordKind, &[u8], u64)>> {
        const NEEDED: usize = HEAD_LEN + SEAL_LEN;
        const READ_BYTES: usize = 16 * 1024;
        let mut at = usize::try_from(offset.wrapping_sub(self.offset)).unwrap_or(usize::MAX);
        if at.checked_add(NEEDED).is_none_or(|end| end > self.bytes.len()) {
            self.bytes.resize(READ_BYTES, 0);
            let read = read_full(self.file, &mut self.bytes, offset)?;
            self.bytes.truncate(read);
            self.offset = offset;
            self.read += read as u64;
            at = 0;
        }
        let ahead = self.bytes.get(at..).unwrap_or_default();
        let Some((head, body)) = ahead.split_first_chunk::<HEAD_LEN>() else { return Ok(None) };
        let head = Head::parse(head);
        let (Some(kind), Some(len)) = (RecordKind::from_byte(head.kind), head.record_len()) else {
            return Ok(None);
        };
        let whole = offset.saturating_add(len as u64) <= self.size;
        let prefix = &body[..body.len().min(len - HEAD_LEN)];
        Ok(whole.then_some((kind, prefix, len as u64)))
    }
}
