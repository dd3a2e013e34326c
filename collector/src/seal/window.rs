//! The retry window: the spans sealed lately, by keyed fingerprints, so that a span sent again is not sealed again.
//!
//! A span is remembered for at most `entries_max` later spans and about `seconds` of stream time. It costs 32 bytes (two
//! 128-bit fingerprints) and two 4-byte slots of the table, so 1,000,000 spans take 40 MB. Spans are forgotten a chunk at a
//! time, oldest first, so neither a list nor a time is kept per span. Nor is its event's index: entries stand in the order
//! of sealing, so it follows from the place, and only where another event stood in between is a run noted (16 bytes).

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Duration;

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WindowLimits {
    pub(crate) entries_max: NonZeroUsize,
    /// Of stream time: the wall time that seals carry.
    pub(crate) time: Duration,
}

impl WindowLimits {
    /// Returns the time in nanoseconds.
    pub(crate) fn nanos(&self) -> u64 {
        u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What one span is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Of tenant, trace id and span id.
    pub(crate) key: u128,
    /// Of resource, scope and span bytes.
    pub(crate) value: u128,
}

/// Whether a span was sealed within the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// No span with these ids.
    Never,
    /// The same bytes: a retry.
    Same,
    /// The ids were seen, these bytes were not.
    Other {
        /// Index of the event that seals the first span with these ids.
        first: u64,
    },
}

/// The spans sealed lately.
#[derive(Debug)]
pub(crate) struct Window {
    limits: WindowLimits,
    /// Open addressing, linear probing, at most half full. 0 is empty; else the low bits are 1 + the place of an entry, and
    /// the bits that this leaves are of its key, so that another's entry is seldom looked at.
    slots: Box<[u32]>,
    /// Bits of a slot that are the place.
    place_bits: u32,
    /// Chunks by number; a place is `number << chunk_bits | offset`.
    chunks: Vec<Chunk>,
    /// Numbers of chunks in use, oldest first. The last one takes new entries.
    order: VecDeque<u32>,
    unused: Vec<u32>,
    chunk_bits: u32,
    len: usize,
    others: usize,
}

#[derive(Debug, Default)]
struct Chunk {
    entries: Vec<Fingerprint>,
    /// Where entries with consecutive indices begin. Index 0 is an opening, so that the first entry begins one.
    runs: Vec<Run>,
    /// What the next entry's index is if it goes on with the last run.
    next_index: u64,
    /// Those that are other bytes under known ids.
    others: usize,
    /// Stream time, in nanoseconds, of the last entry.
    newest: u64,
}

/// Entries of a chunk whose events have consecutive indices.
#[derive(Debug, Clone, Copy)]
struct Run {
    offset: u32,
    index: u64,
}

impl Window {
    pub(crate) fn new(limits: WindowLimits) -> Self {
        let entries_max = limits.entries_max.get();
        let chunk_bits = (entries_max / CHUNKS_MIN).max(1).ilog2().min(CHUNK_BITS_MAX);
        // At most one chunk more than full ones hold, and a place is written as one more than it is.
        let places = (entries_max as u32).saturating_add(2 << chunk_bits);
        Self {
            limits,
            place_bits: u32::BITS - places.leading_zeros(),
            slots: vec![0; entries_max.saturating_mul(2).next_power_of_two()].into_boxed_slice(),
            chunks: Vec::new(),
            order: VecDeque::new(),
            unused: Vec::new(),
            chunk_bits,
            len: 0,
            others: 0,
        }
    }

    /// Looks where spans would stand, so that the memory is at hand when they are asked for one by one.
    ///
    /// The table is larger than a processor's caches: waited for in turn, each span would wait for memory. Asked for together,
    /// they wait once.
    pub(crate) fn warm(&self, keys: impl Iterator<Item = u128>) {
        std::hint::black_box(keys.fold(0, |seen, key| seen ^ self.slots[self.home(key)]));
    }

    /// Returns whether the span was seen. What was not is to be remembered once it is sealed.
    pub(crate) fn look(&self, span: Fingerprint) -> Seen {
        match self.find(span.key) {
            Some(found) if found.value == span.value => Seen::Same,
            Some(_) if self.has_other(span) => Seen::Same,
            Some(found) => Seen::Other { first: self.index_at(found.place) },
            // The first may be forgotten before the others are.
            None if self.others > 0 && self.has_other(span) => Seen::Same,
            None => Seen::Never,
        }
    }

    /// Remembers the first span with its ids, sealed as the event at an index.
    pub(crate) fn remember(&mut self, span: Fingerprint, index: u64, stream_nanos: u64) {
        self.forget_old(stream_nanos);
        let number = self.open_chunk();
        let place = (number << self.chunk_bits) | self.chunks[number as usize].push(span, index, stream_nanos);
        self.len += 1;
        let mut slot = self.home(span.key);
        while self.slots[slot] != 0 {
            slot = self.after(slot);
        }
        self.slots[slot] = self.slot_of(span.key, place);
    }

    /// Remembers other bytes under known ids, sealed as the event at an index.
    pub(crate) fn remember_other(&mut self, span: Fingerprint, index: u64, stream_nanos: u64) {
        self.remember(other(span), index, stream_nanos);
        self.others += 1;
        if let Some(&last) = self.order.back() {
            self.chunks[last as usize].others += 1;
        }
    }

    /// Other bytes under known ids are found in one step too, under a key of their own, however many there are.
    fn has_other(&self, span: Fingerprint) -> bool {
        self.find(other(span).key).is_some_and(|found| found.value == span.value)
    }

    /// Returns how many spans are remembered.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn find(&self, key: u128) -> Option<Found> {
        let tag = self.tag(key);
        let mut slot = self.home(key);
        while self.slots[slot] != 0 {
            if self.slots[slot] >> self.place_bits == tag
                && let Some(entry) = self.entry(self.slots[slot])
                && entry.key == key
            {
                return Some(Found { value: entry.value, place: self.place(self.slots[slot])? });
            }
            slot = self.after(slot);
        }
        None
    }

    fn index_at(&self, place: u32) -> u64 {
        self.chunks[(place >> self.chunk_bits) as usize].index_at(place & ((1 << self.chunk_bits) - 1))
    }

    /// Returns the number of a chunk with room.
    fn open_chunk(&mut self) -> u32 {
        if let Some(&last) = self.order.back()
            && self.chunks[last as usize].entries.len() < 1 << self.chunk_bits
        {
            return last;
        }
        let number = self.unused.pop().unwrap_or_else(|| {
            self.chunks.push(Chunk::default());
            (self.chunks.len() - 1) as u32
        });
        self.chunks[number as usize] = Chunk { entries: Vec::with_capacity(1 << self.chunk_bits), ..Chunk::default() };
        self.order.push_back(number);
        number
    }

    /// Forgets the oldest chunks until there is room for one more entry and none is too old.
    fn forget_old(&mut self, stream_nanos: u64) {
        let oldest_kept = stream_nanos.saturating_sub(self.limits.nanos());
        while let Some(&oldest) = self.order.front() {
            let full = self.len >= self.limits.entries_max.get();
            if !full && self.chunks[oldest as usize].newest >= oldest_kept {
                return;
            }
            self.order.pop_front();
            self.warm(self.chunks[oldest as usize].entries.iter().map(|entry| entry.key));
            for offset in 0..self.chunks[oldest as usize].entries.len() as u32 {
                self.unlink((oldest << self.chunk_bits) | offset);
            }
            let forgotten = std::mem::take(&mut self.chunks[oldest as usize]);
            self.len -= forgotten.entries.len();
            self.others -= forgotten.others;
            self.unused.push(oldest);
        }
    }

    /// Takes an entry out of the table and moves those after it up, so that no gap breaks a search.
    fn unlink(&mut self, place: u32) {
        let Some(entry) = self.entry(place + 1) else { return };
        let filled = self.slot_of(entry.key, place);
        let mut gap = self.home(entry.key);
        while self.slots[gap] != filled {
            gap = self.after(gap);
        }
        let mut slot = self.after(gap);
        while let Some(next) = self.entry(self.slots[slot]) {
            // An entry may move up to the gap unless its home lies after the gap.
            let from_home = slot.wrapping_sub(self.home(next.key)) & self.mask();
            let from_gap = slot.wrapping_sub(gap) & self.mask();
            if from_home >= from_gap {
                self.slots[gap] = self.slots[slot];
                gap = slot;
            }
            slot = self.after(slot);
        }
        self.slots[gap] = 0;
    }

    fn slot_of(&self, key: u128, place: u32) -> u32 {
        self.tag(key) << self.place_bits | (place + 1)
    }

    /// The bits of a key that fit beside a place.
    fn tag(&self, key: u128) -> u32 {
        (key >> 64) as u32 >> self.place_bits
    }

    fn place(&self, slot: u32) -> Option<u32> {
        (slot & ((1 << self.place_bits) - 1)).checked_sub(1)
    }

    fn entry(&self, slot: u32) -> Option<Fingerprint> {
        let place = self.place(slot)?;
        let offset = place & ((1 << self.chunk_bits) - 1);
        Some(self.chunks[(place >> self.chunk_bits) as usize].entries[offset as usize])
    }

    fn home(&self, key: u128) -> usize {
        key as usize & self.mask()
    }

    fn after(&self, slot: usize) -> usize {
        (slot + 1) & self.mask()
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }
}

impl Chunk {
    /// Adds an entry and returns its offset.
    fn push(&mut self, span: Fingerprint, index: u64, stream_nanos: u64) -> u32 {
        let offset = self.entries.len() as u32;
        if index != self.next_index {
            self.runs.push(Run { offset, index });
        }
        self.next_index = index + 1;
        self.entries.push(span);
        self.newest = self.newest.max(stream_nanos);
        offset
    }

    fn index_at(&self, offset: u32) -> u64 {
        let after = self.runs.partition_point(|run| run.offset <= offset);
        let run = after.checked_sub(1).map_or(Run { offset: 0, index: 0 }, |last| self.runs[last]);
        run.index + u64::from(offset - run.offset)
    }
}

/// An entry of the table.
struct Found {
    value: u128,
    place: u32,
}

/// Returns what other bytes under known ids are remembered as.
fn other(span: Fingerprint) -> Fingerprint {
    Fingerprint { key: span.key ^ span.value, value: span.value }
}

/// At least so many chunks, so that forgetting one leaves most of the window.
const CHUNKS_MIN: usize = 16;
const CHUNK_BITS_MAX: u32 = 10;

#[cfg(test)]
mod tests;
