//! Start-up: finds where a log ends, and makes sure of it.

use std::io;
use std::path::Path;

use spanseal_ledger::batch::Batch;
use spanseal_ledger::leaf::leaf_hash;
use spanseal_ledger::seal::Seal;

use crate::draft::{self, Draft};
use crate::lookup::{Place, read_batch_at};
use crate::record::{HEAD_LEN, RecordKind};
use crate::reserve;
use crate::scan::{Found, Scanner};
use crate::segment::{self, HeaderError, Owner, SegmentStart, header_len};
use crate::storage::Storage;
use crate::writer::cut;

/// Where a log ends: all of it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Where the next segment starts.
    pub start: SegmentStart,
    /// The last seal; none in an empty log and in the root log.
    pub last_seal: Option<Seal>,
    /// Size from which on records were written again to a new segment, if there were any to write.
    pub rewritten_from: Option<u64>,
    /// Bytes after the last whole batch (root leaf): no checkpoint covers them, and they are left out.
    pub torn_bytes: u64,
}

/// A log's end cannot be found, or is not where it must be. Nothing has been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The directory cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The log ends below its checkpoint: something was lost after it was durable.
    #[error("the log ends at {}, below its checkpoint at {synced_to}", found.start.first)]
    Short {
        /// The checkpoint's size.
        synced_to: u64,
        /// What is there.
        found: Box<Recovered>,
    },
    /// A segment's header cannot be read.
    #[error("{header} (segment {first})")]
    Header {
        /// First index of the segment, by its name.
        first: u64,
        /// What is wrong with it.
        header: HeaderError,
    },
    /// A record is whole, and does not continue the log before it.
    #[error("the record at index {index} does not continue the log ({place:?})")]
    Broken {
        /// The index expected there.
        index: u64,
        /// Where the record stands.
        place: Place,
    },
}

/// Finds the end of a log, and makes what lies after `synced_to`, its checkpoint's size, durable in a segment of its own.
///
/// Only the last segment can have a tail that is not durable: a segment gets its name after all before it was synced.
/// A tail that is there to be read need not be on the disk, whatever a sync of it would say, so it is not trusted. The
/// steps, in this order:
/// 1. Drafts of a stopped process are removed.
/// 2. The whole batches after `synced_to`, with their payloads, are written to a new segment as [`Draft`] says. A crash
///    here leaves the tail in its old place, or in both; from the end of it on, what is returned.
/// 3. The old tail is cut off, if the disk lets us. Nothing rests on that: it is equal to the new one, or torn.
///
/// What the checkpoint covers was durable when it was signed, names of segments included, and needs no sync here.
///
/// Out of space, the reserve is given up.
///
/// # Errors
/// When the log is damaged or ends below `synced_to`, or the directory cannot be read or written.
pub fn recover(storage: &dyn Storage, dir: &Path, owner: &Owner, synced_to: u64) -> Result<Recovered, RecoverError> {
    match find_and_secure(storage, dir, owner, synced_to) {
        Err(RecoverError::Io(error)) if reserve::is_full(&error) && reserve::release(storage, dir)? => {
            find_and_secure(storage, dir, owner, synced_to)
        }
        result => result,
    }
}

fn find_and_secure(
    storage: &dyn Storage,
    dir: &Path,
    owner: &Owner,
    synced_to: u64,
) -> Result<Recovered, RecoverError> {
    let segments = match segment::list(storage, dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        segments => segments?,
    };
    let Some(first) = segments.last().copied() else {
        return within(synced_to, Recovered::nothing());
    };
    draft::remove_all(storage, dir)?;
    let mut walk = Walk::open(storage, dir, owner, first)?;
    while walk.next_group(synced_to)? {}
    let found = walk.found(storage)?;
    if found.start.first < synced_to {
        return within(synced_to, found);
    }
    if let Some(draft) = walk.draft.take() {
        draft.adopt()?;
    }
    if found.rewritten_from != Some(first) {
        cut(storage, dir, first, walk.kept);
    }
    Ok(found)
}

fn within(synced_to: u64, found: Recovered) -> Result<Recovered, RecoverError> {
    if found.start.first < synced_to {
        return Err(RecoverError::Short { synced_to, found: Box::new(found) });
    }
    Ok(found)
}

impl Recovered {
    fn nothing() -> Recovered {
        Recovered { start: SegmentStart::empty(), last_seal: None, rewritten_from: None, torn_bytes: 0 }
    }
}

/// Goes through the last segment, and copies what must be made durable.
struct Walk<'a> {
    storage: &'a dyn Storage,
    dir: &'a Path,
    owner: &'a Owner,
    first: u64,
    scanner: Scanner,
    /// The log up to here.
    end: SegmentStart,
    last_seal: Option<Seal>,
    /// Records after the last batch.
    group: Vec<u8>,
    /// Offset up to which the segment stays as it is.
    kept: u64,
    /// Offset after the last batch.
    whole: u64,
    draft: Option<Draft<'a>>,
    rewritten_from: Option<u64>,
}

impl<'a> Walk<'a> {
    fn open(storage: &'a dyn Storage, dir: &'a Path, owner: &'a Owner, first: u64) -> Result<Walk<'a>, RecoverError> {
        let mut scanner = Scanner::new(storage.open(&segment::path(dir, first))?, 0);
        let len = header_len(first);
        let end = SegmentStart::parse(scanner.header(len)?, owner, first)
            .map_err(|header| RecoverError::Header { first, header })?;
        scanner.go_to(len as u64);
        Ok(Walk {
            storage,
            dir,
            owner,
            first,
            scanner,
            end,
            last_seal: None,
            group: Vec::new(),
            kept: len as u64,
            whole: len as u64,
            draft: None,
            rewritten_from: None,
        })
    }

    /// Takes in the next batch (root leaf) with the payloads before it; says whether there was a whole one.
    fn next_group(&mut self, synced_to: u64) -> Result<bool, RecoverError> {
        while let Found::Record { kind, len } = self.scanner.look()? {
            let before = self.end.clone();
            let record = self.scanner.record(len);
            let body = &record[HEAD_LEN..];
            self.group.extend_from_slice(record);
            let follows = match (self.owner, RecordKind::from_byte(kind)) {
                (Owner::Stream(_), Some(RecordKind::Payload)) => {
                    self.scanner.pass(len);
                    continue;
                }
                (Owner::Stream(_), Some(RecordKind::Batch)) => follow(&mut self.end, self.owner, body),
                (Owner::RootLog, Some(RecordKind::RootLeaf)) => {
                    self.end.frontier.push(leaf_hash(body));
                    self.end.first += 1;
                    Some(None)
                }
                _ => None,
            };
            let Some(seal) = follows else {
                let place = Place { segment: self.first, offset: self.scanner.offset() };
                return Err(RecoverError::Broken { index: before.first, place });
            };
            self.last_seal = seal;
            self.scanner.pass(len);
            self.whole = self.scanner.offset();
            self.secure(before, synced_to)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Leaves the group where it is if the checkpoint covers it; writes it to the new segment otherwise.
    fn secure(&mut self, before: SegmentStart, synced_to: u64) -> io::Result<()> {
        if self.end.first <= synced_to {
            self.kept = self.whole;
        } else {
            if self.draft.is_none() {
                self.rewritten_from = Some(before.first);
                self.draft = Some(Draft::create(self.storage, self.dir, self.owner, &before)?);
            }
            if let Some(draft) = &mut self.draft {
                draft.write(&self.group)?;
            }
        }
        self.group.clear();
        Ok(())
    }

    /// Says where the log ends. Its last seal may stand in an earlier segment.
    fn found(&self, storage: &dyn Storage) -> Result<Recovered, RecoverError> {
        let size = self.scanner.rest()? + self.scanner.offset();
        let mut last_seal = self.last_seal;
        if last_seal.is_none()
            && let (Owner::Stream(_), Some(last)) = (self.owner, self.end.first.checked_sub(1))
        {
            let stored = read_batch_at(storage, self.dir, self.owner, last, None)?;
            let batch = stored.as_ref().and_then(|stored| Batch::parse(&stored.body).ok());
            let batch = batch.filter(|batch| batch.signed_seal().hash() == self.end.seal_hash);
            let place = Place { segment: self.first, offset: 0 };
            let seal = batch.map(|batch| *batch.seal());
            last_seal = Some(seal.ok_or(RecoverError::Broken { index: last, place })?);
        }
        Ok(Recovered {
            start: self.end.clone(),
            last_seal,
            rewritten_from: self.rewritten_from,
            torn_bytes: size.saturating_sub(self.whole),
        })
    }
}

/// Moves the end past a batch, if it is the stream's next.
fn follow(end: &mut SegmentStart, owner: &Owner, body: &[u8]) -> Option<Option<Seal>> {
    let batch = Batch::parse(body).ok()?;
    let seal = *batch.seal();
    if Owner::Stream(seal.stream) != *owner || seal.first != end.first || seal.previous != end.seal_hash {
        return None;
    }
    batch.events().for_each(|event| end.frontier.push(leaf_hash(event)));
    end.first = end.frontier.size();
    end.seal_hash = batch.signed_seal().hash();
    (end.frontier.root() == seal.root && end.first == seal.size()).then_some(Some(seal))
}
