//! The reading end of one log: its records in order, across segments, and what cannot be read.
//!
//! A reader may run while the log is written, in the same process or another: it goes no further than its limit, which
//! the caller moves to what is known to be durable. What it finds unreadable it looks at twice, since a write may have
//! been going on, or a new segment may have taken the place of what failed.

mod item;
mod superseded;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use item::{Damage, Item};

use crate::lookup::{Place, read_record_at, skip_to};
use crate::record::{HEAD_LEN, RecordKind, batch_range};
use crate::scan::{Found, Scanner};
use crate::segment::{self, Owner, SegmentStart, header_len};
use crate::storage::Storage;
use item::Step;
use superseded::Official;

/// Reads a log in order.
#[derive(Debug)]
pub struct Reader {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    owner: Owner,
    limit: u64,
    /// The index that is read next.
    next: u64,
    /// First indices of the segments known, ascending.
    segments: Vec<u64>,
    open: Option<Open>,
    /// What entering the open segment found.
    entered: VecDeque<Step>,
    /// The limit has moved: what was read ahead was not durable, and there may be newer segments.
    stale: bool,
    /// Where the log was found to end torn, and said to.
    torn: Option<Place>,
}

/// The segment being read.
#[derive(Debug)]
struct Open {
    first: u64,
    scanner: Scanner,
    /// The segment that follows: what is at or after its first index here is superseded.
    following: Option<u64>,
    official: Option<Official>,
}

impl Reader {
    /// Begins at the batch (root leaf) with index `from`, and the payloads before it, without a limit.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn open(storage: Arc<dyn Storage>, dir: &Path, owner: Owner, from: u64) -> io::Result<Reader> {
        let mut reader = Reader::unopened(storage, dir, owner, from)?;
        if let Some(first) = reader.segment_of(from).or(reader.segments.first().copied()) {
            reader.enter(first, from)?;
        }
        Ok(reader)
    }

    /// Begins at `from` as [`Reader::open`] does, at once if `hint` is where its batch, or a payload before it, stands.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn open_at(storage: Arc<dyn Storage>, dir: &Path, owner: Owner, from: u64, hint: Place) -> io::Result<Reader> {
        let mut reader = Reader::unopened(storage, dir, owner, from)?;
        let mut place = hint;
        while reader.segments.contains(&hint.segment)
            && let Some(stored) = read_record_at(reader.storage.as_ref(), dir, place)?
        {
            match stored.kind {
                RecordKind::Payload => place.offset += (HEAD_LEN + stored.body.len()) as u64,
                RecordKind::Batch if stored.first == from && reader.segment_of(from) == Some(hint.segment) => {
                    reader.open = Some(reader.segment_at(hint)?);
                    return Ok(reader);
                }
                _ => break,
            }
        }
        Reader::open(reader.storage, dir, owner, from)
    }

    /// Begins at `from` in this segment, even if a later one has that index, too: as a reader would that read up to there.
    /// `None` when the segment does not have whole batches (root leaves) up to it.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn open_in(
        storage: Arc<dyn Storage>,
        dir: &Path,
        owner: Owner,
        from: u64,
        segment: u64,
    ) -> io::Result<Option<Reader>> {
        let mut reader = Reader::unopened(storage, dir, owner, from)?;
        if !reader.segments.contains(&segment) {
            return Ok(None);
        }
        reader.enter(segment, from)?;
        Ok((reader.next == from).then_some(reader))
    }

    /// Goes no further than `limit`: indices below it. There is none at first.
    pub fn set_limit(&mut self, limit: u64) {
        if self.limit != limit {
            self.limit = limit;
            self.stale = true;
            self.torn = None;
        }
    }

    /// The index that is read next.
    pub fn next_index(&self) -> u64 {
        self.next
    }

    /// Returns the next item, or `None` at the limit or the end of what there is; ask again when there may be more.
    ///
    /// # Errors
    /// When the disk cannot be read; the reader stays where it is.
    pub fn read_next(&mut self) -> io::Result<Option<Item<'_>>> {
        let step = self.step()?;
        Ok(step.map(|step| step.with_bytes(self.open.as_ref().map(|open| &open.scanner))))
    }

    fn step(&mut self) -> io::Result<Option<Step>> {
        while self.next < self.limit {
            if self.stale || self.open.is_none() {
                self.look_around()?;
            }
            if let Some(step) = self.entered.pop_front() {
                return Ok(Some(step));
            }
            let Some(open) = &mut self.open else { return Ok(None) };
            if let Some(following) = open.following
                && open.is_superseded(&self.owner, self.next, following)?
            {
                match self.superseded_step(following)? {
                    Some(step) => return Ok(Some(step)),
                    None => self.enter(following, following)?,
                }
                continue;
            }
            match (open.scanner.look()?, open.following) {
                (Found::Record { kind, len }, _) => {
                    if let Some(step) = self.pass(kind, len) {
                        return Ok(Some(step));
                    }
                }
                (Found::End, Some(following)) => self.enter(following, following)?,
                (Found::End, None) if self.look_around()? || self.reopen()? => {}
                (Found::End, None) => return Ok(None),
                (Found::Broken, _) => match self.broken()? {
                    Broken::Say(step) => return Ok(Some(step)),
                    Broken::LookAgain => {}
                    Broken::Said => return Ok(None),
                },
            }
        }
        Ok(None)
    }

    /// Passes a record whose CRC holds; nothing when it turns out to be superseded.
    fn pass(&mut self, kind: u8, len: usize) -> Option<Step> {
        let open = self.open.as_mut()?;
        let place = open.place();
        let step = match (&self.owner, RecordKind::from_byte(kind)) {
            (Owner::Stream(_), Some(RecordKind::Batch)) => {
                let range = batch_range(&open.scanner.record(len)[HEAD_LEN..]);
                let (first, count) = range.unwrap_or((self.next, 0));
                if let Some(following) = open.following.filter(|following| first >= *following) {
                    self.next = following;
                    return None;
                }
                self.next = self.next.max(first + u64::from(count));
                Step::Batch { first, count, len, place }
            }
            (Owner::Stream(_), Some(RecordKind::Payload)) => Step::Payload { len, place },
            (Owner::RootLog, Some(RecordKind::RootLeaf)) => {
                let index = self.next;
                self.next += 1;
                Step::RootLeaf { index, len, place }
            }
            _ => Step::Damaged { place, bytes: len as u64, what: Damage::RecordKind { kind } },
        };
        open.scanner.pass(len);
        Some(step)
    }

    /// Looks a second time at what cannot be read, then says what it is.
    fn broken(&mut self) -> io::Result<Broken> {
        if self.open.as_ref().is_some_and(|open| open.following.is_none()) && self.look_around()? {
            return Ok(Broken::LookAgain);
        }
        let Some(open) = &mut self.open else { return Ok(Broken::LookAgain) };
        open.scanner.refresh();
        if open.scanner.look()? != Found::Broken {
            return Ok(Broken::LookAgain);
        }
        let (place, bytes) = (open.place(), open.scanner.rest()?);
        if let Some(following) = open.following {
            let torn = self.next >= following;
            self.enter(following, following)?;
            return Ok(Broken::Say(match torn {
                true => Step::Torn { place, bytes, superseded: true },
                false => Step::Damaged { place, bytes, what: Damage::Record },
            }));
        }
        if self.torn.replace(place) == Some(place) {
            return Ok(Broken::Said);
        }
        Ok(Broken::Say(Step::Torn { place, bytes, superseded: false }))
    }

    /// Lists the directory again; says whether there is news: another segment has the next index, or one follows.
    fn look_around(&mut self) -> io::Result<bool> {
        self.segments = segment::list(self.storage.as_ref(), &self.dir)?;
        let has_next = self.segment_of(self.next);
        let Some(open) = &mut self.open else {
            let first = has_next.or(self.segments.first().copied());
            first.map_or(Ok(()), |first| self.enter(first, self.next))?;
            return Ok(first.is_some());
        };
        if self.stale {
            open.scanner.refresh();
        }
        if let Some(first) = has_next.filter(|first| *first > open.first) {
            self.enter(first, self.next)?;
            return Ok(true);
        }
        let following = self.segments.iter().copied().find(|first| *first > open.first);
        self.stale = false;
        Ok(std::mem::replace(&mut open.following, following) != following)
    }

    /// Opens the segment of the same name again, if it is another file by now and has more.
    fn reopen(&mut self) -> io::Result<bool> {
        let Some(open) = &self.open else { return Ok(false) };
        let (first, offset) = (open.first, open.scanner.offset());
        let size = self.storage.open(&segment::path(&self.dir, first))?.size()?;
        if size > offset {
            self.enter(first, self.next)?;
            self.entered.clear();
        }
        Ok(size > offset)
    }

    /// Opens a segment at an index; its header is an item when it is read from its beginning, or cannot be.
    fn enter(&mut self, first: u64, from: u64) -> io::Result<()> {
        let place = Place { segment: first, offset: 0 };
        let mut open = self.segment_at(place)?;
        let header = SegmentStart::parse(open.scanner.header(header_len(first))?, &self.owner, first);
        let skipped = skip_to(open.scanner.file(), &self.owner, first, from)?;
        open.scanner.go_to(skipped.offset);
        let expected = std::mem::replace(&mut self.next, skipped.next);
        if self.owner == Owner::RootLog && first > expected {
            let what = Damage::Gap { expected, got: first };
            self.entered.push_back(Step::Damaged { place, bytes: 0, what });
        }
        match header {
            Ok(start) if skipped.next == first => self.entered.push_back(Step::Start(start)),
            Ok(_) => {}
            Err(error) => self.entered.push_back(Step::Damaged { place, bytes: 0, what: error.into() }),
        }
        self.open = Some(open);
        self.stale = false;
        Ok(())
    }

    fn segment_at(&self, place: Place) -> io::Result<Open> {
        let file = self.storage.open(&segment::path(&self.dir, place.segment))?;
        Ok(Open {
            first: place.segment,
            scanner: Scanner::new(file, place.offset),
            following: self.segments.iter().copied().find(|first| *first > place.segment),
            official: None,
        })
    }

    /// Returns the segment that has an index: the last that begins at or before it.
    fn segment_of(&self, index: u64) -> Option<u64> {
        self.segments.iter().copied().rfind(|first| *first <= index)
    }

    fn unopened(storage: Arc<dyn Storage>, dir: &Path, owner: Owner, next: u64) -> io::Result<Reader> {
        Ok(Reader {
            segments: segment::list(storage.as_ref(), dir)?,
            storage,
            dir: dir.to_owned(),
            owner,
            limit: u64::MAX,
            next,
            open: None,
            entered: VecDeque::new(),
            stale: false,
            torn: None,
        })
    }
}

impl Open {
    fn place(&self) -> Place {
        Place { segment: self.first, offset: self.scanner.offset() }
    }
}

/// What came of looking twice at something unreadable.
enum Broken {
    Say(Step),
    LookAgain,
    Said,
}
