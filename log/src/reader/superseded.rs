//! What a segment holds at or after the first index of the next: it must be the same there, or be torn.

use std::io;
use std::path::Path;

use super::item::{Damage, Step};
use super::{Open, Reader};
use crate::lookup::{next_batch, skip_to};
use crate::record::{HEAD_LEN, RecordKind, batch_range};
use crate::scan::{Found, Scanner};
use crate::segment::{self, Owner};
use crate::storage::Storage;

/// Reads what later segments hold, index by index, beside the superseded one.
#[derive(Debug)]
pub(super) struct Official {
    segments: Vec<u64>,
    open: Option<(u64, Scanner)>,
    /// Index of the next root leaf in the open segment.
    next_leaf: u64,
    /// Index of the superseded root leaf that is compared next.
    superseded_leaf: u64,
    /// The last index that was looked for.
    wanted: u64,
}

impl Reader {
    /// Passes superseded records that are the same in a later segment; returns the first that is not, `None` at the end.
    pub(super) fn superseded_step(&mut self, following: u64) -> io::Result<Option<Step>> {
        let Some(open) = &mut self.open else { return Ok(None) };
        let mut official = open.official.take().unwrap_or_else(|| Official::after(following, &self.segments));
        let step = open.compare_next(&mut official, self.storage.as_ref(), &self.dir, &self.owner);
        open.official = Some(official);
        step
    }
}

impl Open {
    /// Whether the rest of the segment is superseded: from the first batch on that does not lie before the segment that
    /// follows, payloads before it included.
    pub(super) fn is_superseded(&mut self, owner: &Owner, next: u64, following: u64) -> io::Result<bool> {
        if self.official.is_some() || next < following || *owner == Owner::RootLog {
            return Ok(self.official.is_some() || next >= following);
        }
        let first = next_batch(self.scanner.file(), self.scanner.offset())?;
        Ok(first.is_none_or(|first| first >= following))
    }

    fn compare_next(
        &mut self,
        official: &mut Official,
        storage: &dyn Storage,
        dir: &Path,
        owner: &Owner,
    ) -> io::Result<Option<Step>> {
        let following = self.following.unwrap_or_default();
        loop {
            let (kind, len) = match self.look_twice()? {
                Found::Record { kind, len } => (kind, len),
                Found::End => return Ok(None),
                Found::Broken => return self.torn().map(Some),
            };
            let place = self.place();
            let first = match (owner, RecordKind::from_byte(kind)) {
                (Owner::Stream(_), Some(RecordKind::Payload)) => {
                    self.scanner.pass(len);
                    continue;
                }
                (Owner::Stream(_), Some(RecordKind::Batch)) => {
                    batch_range(&self.scanner.record(len)[HEAD_LEN..]).map_or(following, |(first, _)| first)
                }
                (Owner::RootLog, Some(RecordKind::RootLeaf)) => official.count_leaf(),
                _ => {
                    self.scanner.pass(len);
                    let what = Damage::RecordKind { kind };
                    return Ok(Some(Step::Damaged { place, bytes: len as u64, what }));
                }
            };
            let same = official.find(storage, dir, owner, first)? == Some(self.scanner.record(len));
            self.scanner.pass(len);
            if !same {
                return Ok(Some(Step::Superseded { first, len, place }));
            }
        }
    }

    fn look_twice(&mut self) -> io::Result<Found> {
        match self.scanner.look()? {
            Found::Broken => {
                self.scanner.refresh();
                self.scanner.look()
            }
            found => Ok(found),
        }
    }

    fn torn(&mut self) -> io::Result<Step> {
        let (place, bytes) = (self.place(), self.scanner.rest()?);
        self.scanner.go_to(place.offset + bytes);
        Ok(Step::Torn { place, bytes, superseded: true })
    }
}

impl Official {
    fn after(following: u64, segments: &[u64]) -> Official {
        let segments = segments.iter().copied().filter(|first| *first >= following).collect();
        Official { segments, open: None, next_leaf: following, superseded_leaf: following, wanted: following }
    }

    fn count_leaf(&mut self) -> u64 {
        self.superseded_leaf += 1;
        self.superseded_leaf - 1
    }

    /// Returns the record that begins at an index; nothing for one below the last that was looked for.
    fn find(&mut self, storage: &dyn Storage, dir: &Path, owner: &Owner, index: u64) -> io::Result<Option<&[u8]>> {
        if index < self.wanted {
            return Ok(None);
        }
        self.wanted = index;
        let Some(first) = self.segments.iter().copied().rfind(|first| *first <= index) else { return Ok(None) };
        if self.open.as_ref().is_none_or(|(open, _)| *open != first) {
            let file = storage.open(&segment::path(dir, first))?;
            let skipped = skip_to(file.as_ref(), owner, first, index)?;
            self.next_leaf = skipped.next;
            self.open = Some((first, Scanner::new(file, skipped.offset)));
        }
        let Some((_, scanner)) = &mut self.open else { return Ok(None) };
        while let Found::Record { kind, len } = scanner.look()? {
            let at = match RecordKind::from_byte(kind) {
                Some(RecordKind::Batch) => batch_range(&scanner.record(len)[HEAD_LEN..]).map(|(first, _)| first),
                Some(RecordKind::RootLeaf) => Some(self.next_leaf),
                _ => None,
            };
            match at {
                Some(at) if at == index => return Ok(Some(scanner.record(len))),
                Some(at) if at > index => return Ok(None),
                _ => scanner.pass(len),
            }
            self.next_leaf += u64::from(kind == RecordKind::RootLeaf as u8);
        }
        Ok(None)
    }
}
