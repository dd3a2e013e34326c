//! What stands under a subject's key: what its erasure makes unreadable.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use prost::Message;
use serde::Serialize;
use spanseal_ledger::batch::Batch;
use spanseal_ledger::leaf::plain_hash;
use spanseal_ledger::{EventId, Hash, StreamId};
use spanseal_log::{DataDir, Item};
use spanseal_schemas::event::{ConflictEvent, ResourceEvent};
use spanseal_schemas::{envelope, kind};

use crate::hex;
use crate::index::located::{Log, LogError};
use crate::index::store::{ordinal_of, row_of, unsigned};
use crate::index::{Index, OpenError, Progress};
use crate::payload::PayloadHead;
use crate::why::{event_of, reader_at, trace_of};

/// What of the ledger has values under a subject's key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Concerned {
    pub events: u64,
    pub payload_records: u64,
    pub payload_bytes: u64,
    /// In hex, as many as there are.
    pub traces: BTreeSet<String>,
    /// Other subjects with values in those traces, by id in hex.
    pub beside: BTreeSet<String>,
    /// Events that were gone through, in the index and in the log behind it.
    pub searched: u64,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConcernedError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the index cannot be read; `spanseal reindex` makes it anew")]
    Index(#[from] rusqlite::Error),
    #[error("the log cannot be read")]
    Log(#[from] io::Error),
}

impl From<LogError> for ConcernedError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Index(error) => Self::Index(error),
            LogError::Log(error) => Self::Log(error),
        }
    }
}

/// Counts what has values under a subject's key: in the index, and in what of the log is not indexed.
///
/// # Errors
/// When either cannot be read.
pub fn concerned(data: &DataDir, subject: &[u8; 16]) -> Result<Concerned, ConcernedError> {
    let mut concerned = Concerned::default();
    let mut resources = Resources::new();
    // Before the index is searched: what is indexed meanwhile is then found twice, and not missed.
    let (index, progress) = match Index::open(data) {
        Ok(index) => {
            let progress = index.progress()?;
            (Some(index), progress)
        }
        Err(OpenError::Missing { .. }) => (None, Progress::default()),
        Err(error) => return Err(error.into()),
    };
    if let Some(index) = &index {
        concerned.indexed(index, subject, &mut resources)?;
    }
    let read = Unindexed { data, index: index.as_ref(), progress: &progress };
    concerned.searched = progress.indexed;
    concerned.searched += read.events(&|owner| owner == subject, &mut |listing| {
        if listing.kind == kind::RESOURCE {
            resources.note(listing.event);
        }
        let bytes = listing.records.iter().map(|(_, bytes)| bytes).sum();
        concerned.add(listing.records.len() as u64, bytes, listing.trace);
    })?;
    let traces = resources.traces(&read)?;
    concerned.traces.extend(traces.iter().map(|trace| hex::encode(trace)));
    if let Some(index) = &index {
        concerned.indexed_beside(index)?;
    }
    if !concerned.traces.is_empty() {
        let Concerned { traces, beside, .. } = &mut concerned;
        read.events(&|_| true, &mut |listing| {
            if listing.trace.is_some_and(|trace| traces.contains(&hex::encode(&trace))) {
                beside.extend(listing.records.iter().map(|(owner, _)| hex::encode(owner)));
            }
        })?;
    }
    concerned.beside.remove(&hex::encode(subject));
    Ok(concerned)
}

impl Concerned {
    fn indexed(&mut self, index: &Index, subject: &[u8; 16], resources: &mut Resources) -> rusqlite::Result<()> {
        let select = "SELECT records, bytes, trace, id FROM subject WHERE subject = ? AND records > 0";
        let mut select = index.connection().prepare(select)?;
        let mut rows = select.query([subject])?;
        while let Some(row) = rows.next()? {
            let trace = row.get(2)?;
            self.add(unsigned(row.get(0)?), unsigned(row.get(1)?), trace);
            if trace.is_none() {
                event_of(index, row.get(3)?)?.into_iter().for_each(|event| resources.note(event));
            }
        }
        Ok(())
    }

    /// Whose values are in the traces, on their spans or on what those refer to.
    fn indexed_beside(&mut self, index: &Index) -> Result<(), ConcernedError> {
        let connection = index.connection();
        let mut log = Log::new(index.data());
        let mut select = connection.prepare("SELECT subject FROM subject WHERE id = ? AND records > 0")?;
        for trace in &self.traces {
            for row in index.rows_of_trace(&hex::decode(trace).unwrap_or_default())? {
                let mut rows = vec![row];
                if let Some(event) = log.event(connection, row)? {
                    let said = event.read(&mut |_, _| {});
                    let ordinal = ordinal_of(connection, &event.id.stream.0)?;
                    for (ordinal, index) in
                        ordinal.into_iter().flat_map(|ordinal| said.shared().map(move |at| (ordinal, at)))
                    {
                        rows.extend(row_of(connection, ordinal, index)?);
                    }
                }
                for row in rows {
                    let subjects = select.query_map([row], |row| row.get::<_, [u8; 16]>(0))?;
                    for subject in subjects {
                        self.beside.insert(hex::encode(&subject?));
                    }
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, records: u64, bytes: u64, trace: Option<[u8; 16]>) {
        self.events += 1;
        self.payload_records += records;
        self.payload_bytes += bytes;
        self.traces.extend(trace.map(|trace| hex::encode(&trace)));
    }
}

/// Resource events with values under the key, each with those of its run: only spans of the same one refer to it.
struct Resources(BTreeMap<(StreamId, u64), BTreeSet<u64>>);

impl Resources {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn note(&mut self, event: EventId) {
        self.0.entry((event.stream, event.index >> RUN_BITS)).or_default().insert(event.index);
    }

    /// Returns the traces of the spans that refer to them, as a resource or a scope.
    fn traces(&self, read: &Unindexed<'_>) -> io::Result<BTreeSet<[u8; 16]>> {
        let mut traces = BTreeSet::new();
        for ((stream, run), indices) in &self.0 {
            let mut reader = reader_at(read.data, read.index, *stream, indices.first().copied().unwrap_or_default())?;
            while let Some(item) = reader.read_next()? {
                let Item::Batch { bytes, .. } = item else { continue };
                let Ok(batch) = Batch::parse(bytes) else { continue };
                if batch.seal().first >> RUN_BITS > *run {
                    break;
                }
                traces.extend(batch.events().filter_map(|event| trace_referring(event, indices)));
            }
        }
        Ok(traces)
    }
}

/// Returns the trace of a span, or of another version of it, that refers to one of these.
fn trace_referring(event: &[u8], indices: &BTreeSet<u64>) -> Option<[u8; 16]> {
    let (&event_kind, body) = event.split_first()?;
    let refers = |resource: u64, scope: u64| indices.contains(&resource) || indices.contains(&scope);
    match event_kind {
        kind::SPAN => {
            let view = envelope::view(body).ok()?;
            if refers(view.resource, view.scope) { trace_of(view.span, &view.cuts) } else { None }
        }
        kind::CONFLICT => {
            let event = ConflictEvent::decode(body).ok()?;
            if refers(event.resource, event.scope) { trace_of(&event.span, &event.cuts) } else { None }
        }
        _ => None,
    }
}

/// What of the log is not indexed.
struct Unindexed<'a> {
    data: &'a DataDir,
    index: Option<&'a Index>,
    progress: &'a Progress,
}

/// An event that lists payload records.
struct Listing {
    event: EventId,
    kind: u8,
    trace: Option<[u8; 16]>,
    /// Under whose key each is, and its bytes.
    records: Vec<([u8; 16], u64)>,
}

/// The payload records that stand before a batch, by their ids.
type Records = HashMap<Hash, ([u8; 16], u64)>;

impl Unindexed<'_> {
    /// Takes each event with records under the keys that are wanted; returns how many events were gone through.
    fn events(&self, wanted: &dyn Fn(&[u8; 16]) -> bool, take: &mut dyn FnMut(Listing)) -> io::Result<u64> {
        let mut searched = 0;
        for stream in self.data.streams()? {
            let from = self.progress.of(stream);
            let mut reader = reader_at(self.data, self.index, stream, from)?;
            let mut records = Records::new();
            while let Some(item) = reader.read_next()? {
                match item {
                    Item::Payload { bytes, .. } => {
                        let owner = PayloadHead::read(bytes).map(|head| head.subject);
                        if let Some(owner) = owner.ok().filter(wanted) {
                            records.insert(plain_hash(bytes), (owner, bytes.len() as u64));
                        }
                    }
                    Item::Batch { bytes, .. } => {
                        let Ok(batch) = Batch::parse(bytes) else { continue };
                        let events = (batch.seal().first..).zip(batch.events()).filter(|(index, _)| *index >= from);
                        for (index, event) in events {
                            searched += 1;
                            if !records.is_empty() {
                                listing(EventId { stream, index }, event, &records).into_iter().for_each(&mut *take);
                            }
                        }
                        records.clear();
                    }
                    _ => {}
                }
            }
        }
        Ok(searched)
    }
}

fn listing(at: EventId, event: &[u8], records: &Records) -> Option<Listing> {
    let (&kind, body) = event.split_first()?;
    let (ids, trace): (Vec<Vec<u8>>, _) = match kind {
        kind::SPAN => {
            let view = envelope::view(body).ok()?;
            (view.payloads.iter().map(|id| id.to_vec()).collect(), trace_of(view.span, &view.cuts))
        }
        kind::CONFLICT => {
            let event = ConflictEvent::decode(body).ok()?;
            let trace = trace_of(&event.span, &event.cuts);
            (event.payloads, trace)
        }
        kind::RESOURCE => (ResourceEvent::decode(body).ok()?.payloads, None),
        _ => return None,
    };
    let records: Vec<_> = ids.iter().filter_map(|id| records.get(id.as_slice()).copied()).collect();
    (!records.is_empty()).then_some(Listing { event: at, kind, trace, records })
}

/// As docs/format.md section 15 has it.
const RUN_BITS: u32 = 16;
