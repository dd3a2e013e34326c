//! What a transaction's events say, gathered and written as a segment; and segments merged, so that there are few.

use rusqlite::Connection;

use super::segment::{self, Segment, Stretch, Writer};
use super::term::Term;

/// What was gathered: a term and an event in one number, so that sorting brings them in the order of a segment.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    said: Vec<u128>,
    times: Option<(i64, i64)>,
}

impl Gathered {
    /// Notes that an event, counted from the transaction's first, says this.
    pub(super) fn say(&mut self, id: u32, term: Term) {
        self.said.push(u128::from(term) << u32::BITS | u128::from(id));
    }

    pub(super) fn started(&mut self, time: i64) {
        let (low, high) = self.times.unwrap_or((time, time));
        self.times = Some((low.min(time), high.max(time)));
    }

    pub(super) fn clear(&mut self) {
        self.said.clear();
        self.times = None;
    }

    /// Writes the segment of the events `first..next`, and merges it with those before it when there are many.
    pub(super) fn write(&mut self, connection: &Connection, first: i64, next: i64) -> rusqlite::Result<()> {
        let count = u32::try_from(next - first).unwrap_or(u32::MAX);
        let Some(times) = self.times.filter(|_| count > 0) else { return Ok(()) };
        self.said.sort_unstable();
        self.said.dedup();
        let by_term = || self.said.chunk_by(|a, b| a >> u32::BITS == b >> u32::BITS);
        let mut writer = Writer::new(connection, Stretch { first, count, times }, by_term().count() as u64)?;
        let mut ids = Vec::new();
        for said in by_term() {
            ids.clear();
            ids.extend(said.iter().map(|said| *said as u32));
            writer.term((said[0] >> u32::BITS) as Term, &ids)?;
        }
        writer.finish(connection)?;
        self.clear();
        while let Some(many) = many(&segment::all(connection)?) {
            segment::merge(connection, many)?;
        }
        Ok(())
    }
}

/// Returns the newest segments, if they are so many of one size that they had better be one. Each is merged once in a class,
/// so that an event is written about as often as there are classes below its segment's.
fn many(segments: &[Segment]) -> Option<&[Segment]> {
    (0..CLASS_MAX).find_map(|class| {
        let before = segments.iter().rposition(|segment| class_of(segment) > class);
        let newest = &segments[before.map_or(0, |place| place + 1)..];
        let events: u64 = newest.iter().map(|segment| u64::from(segment.count)).sum();
        let enough = newest.len() >= MERGED || (newest.len() > 1 && events >= EVENTS_MAX);
        enough.then_some(newest)
    })
}

/// Returns how often 16 goes into the number of events.
fn class_of(segment: &Segment) -> u32 {
    (segment.count.max(1).ilog2() / MERGED.ilog2()).min(CLASS_MAX)
}

const MERGED: usize = 16;
/// Segments of a million events are not merged any more: a search looks into each, and a merge is one transaction.
const CLASS_MAX: u32 = 5;
const EVENTS_MAX: u64 = 1 << 20;
