//! Finds the events of a trace: in the index, and in what of the log is not indexed yet.

use std::collections::BTreeSet;
use std::io;

use prost::Message;
use rusqlite::OptionalExtension;
use spanseal_ledger::batch::Batch;
use spanseal_ledger::{EventId, StreamId};
use spanseal_log::{DataDir, Item, Owner, Reader};
use spanseal_schemas::event::{AssessmentEvent, ConflictEvent, Cut, EventRef, FindingEvent};
use spanseal_schemas::{cut, envelope, kind, scan};

use crate::index::store::{batch_at, batch_of, unsigned};
use crate::index::{Index, Progress};

/// Events that bear on an answer, in the order of streams and indices.
pub(super) type Events = BTreeSet<EventId>;

/// Returns the events with a trace id, as far as they are indexed.
pub(super) fn indexed_trace(index: &Index, trace: &[u8; 16]) -> rusqlite::Result<Events> {
    // One state of it, whatever an indexer writes meanwhile.
    let _state = index.connection().unchecked_transaction()?;
    let mut events = Events::new();
    for row in index.rows_of_trace(trace)? {
        events.extend(event_of(index, row)?);
        let mut about = index.connection().prepare_cached("SELECT id FROM about WHERE target = ?")?;
        for later in about.query_map([row], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()? {
            events.extend(event_of(index, later)?);
        }
    }
    Ok(events)
}

pub(crate) fn event_of(index: &Index, row: i64) -> rusqlite::Result<Option<EventId>> {
    let Some((first_row, batch)) = batch_of(index.connection(), row)? else { return Ok(None) };
    let mut select = index.connection().prepare_cached("SELECT id FROM stream WHERE ordinal = ?")?;
    let stream: Option<[u8; 16]> = select.query_row([batch.stream], |row| row.get(0)).optional()?;
    Ok(stream.map(|stream| EventId { stream: StreamId(stream), index: batch.first + unsigned(row - first_row) }))
}

/// Adds the events of a trace that stand after what is indexed, and what is about events that were found; returns how
/// many events were gone through.
pub(super) fn unindexed_trace(
    data: &DataDir,
    index: Option<&Index>,
    progress: &Progress,
    trace: &[u8; 16],
    events: &mut Events,
) -> io::Result<u64> {
    let mut searched = 0;
    for stream in data.streams()? {
        let from = progress.of(stream);
        let mut reader = reader_at(data, index, stream, from)?;
        while let Some(item) = reader.read_next()? {
            let Item::Batch { bytes, .. } = item else { continue };
            let Ok(batch) = Batch::parse(bytes) else { continue };
            for (event, index) in batch.events().zip(batch.seal().first..) {
                if index < from {
                    continue;
                }
                searched += 1;
                if concerns(event, stream, trace, events) {
                    events.insert(EventId { stream, index });
                }
            }
        }
    }
    Ok(searched)
}

/// Opens a stream at an index, by way of the last batch that is indexed: its place is known, that of the next is not.
pub(crate) fn reader_at(data: &DataDir, index: Option<&Index>, stream: StreamId, from: u64) -> io::Result<Reader> {
    let owner = Owner::Stream(stream);
    let (storage, dir) = (data.shared_storage(), data.log(&owner));
    let last =
        index.zip(from.checked_sub(1)).and_then(|(index, last)| batch_at(index.connection(), &stream.0, last).ok()?);
    match last {
        Some((first, place)) => Reader::open_at(storage, &dir, owner, first, place),
        None => Reader::open(storage, &dir, owner, from),
    }
}

fn concerns(event: &[u8], stream: StreamId, trace: &[u8; 16], found: &Events) -> bool {
    let Some((&event_kind, body)) = event.split_first() else { return false };
    let about = |event: &EventRef| resolve(event, stream).is_some_and(|event| found.contains(&event));
    match event_kind {
        kind::SPAN => envelope::view(body).is_ok_and(|event| trace_of(event.span, &event.cuts).as_ref() == Some(trace)),
        kind::CONFLICT => {
            ConflictEvent::decode(body).is_ok_and(|event| trace_of(&event.span, &event.cuts).as_ref() == Some(trace))
        }
        kind::ASSESSMENT => {
            AssessmentEvent::decode(body).is_ok_and(|assessment| assessment.event.as_ref().is_some_and(about))
        }
        kind::FINDING => FindingEvent::decode(body).is_ok_and(|finding| finding.events.iter().any(about)),
        _ => false,
    }
}

/// Returns the event that a reference names, as it reads in a stream.
pub(super) fn resolve(event: &EventRef, stream: StreamId) -> Option<EventId> {
    let stream = if event.stream.is_empty() { stream } else { StreamId(event.stream.as_slice().try_into().ok()?) };
    Some(EventId { stream, index: event.index })
}

/// Returns the trace id of a span as it is stored.
pub(crate) fn trace_of(stored: &[u8], cuts: &[Cut]) -> Option<[u8; 16]> {
    let filled;
    let span = if cuts.is_empty() {
        stored
    } else {
        filled = cut::view(stored, cuts).ok()?;
        &filled
    };
    scan::span(span, &mut |_, _| {}).ok()?.trace_id.try_into().ok()
}
