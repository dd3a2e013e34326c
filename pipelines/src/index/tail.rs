//! One stream on its way into the index.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use spanseal_ledger::leaf::plain_hash;
use spanseal_ledger::verify::{Code, Fault, HashedBatch, Position, RootState, StreamVerifier};
use spanseal_ledger::{Hash, StreamId};
use spanseal_log::{DataDir, Item, Owner, Place, Reader};
use spanseal_schemas::event::EventRef;
use spanseal_schemas::kind;

use super::indexer::IndexError;
use super::located::Log;
use super::said::{self, Said};
use super::store::{BatchRow, EventRow, FaultRow, Store, SubjectRow};
use super::subtrees::{RUN, Subtrees};
use super::term::Term;
use crate::payload::PayloadHead;

pub(super) struct Tail {
    stream: StreamId,
    ordinal: i64,
    reader: Reader,
    verifier: StreamVerifier,
    /// The index up to which there are rows.
    next: u64,
    subtrees: Subtrees,
    log: Log,
    /// What the resource events say of the spans that refer to them, by index.
    resources: HashMap<u64, Vec<Term>>,
    /// Of the event that is read; kept for its memory.
    terms: Vec<Term>,
    /// Payload records of the batch to come, and where the first of them is.
    coming: (Payloads, Option<Place>),
    /// The time of the last seal.
    wall: u64,
    fault: Option<FaultRow>,
}

enum Read {
    Batch(Record),
    Damaged,
}

/// A batch and what stands with it.
struct Record {
    bytes: Vec<u8>,
    /// Of the first payload record before it, else of the batch: from there on all of it can be read.
    place: Place,
    payloads: Payloads,
}

/// Under whose key each payload record is, and its bytes, by id.
type Payloads = HashMap<Hash, ([u8; 16], u64)>;

impl Tail {
    /// Opens a stream where its cursor stands.
    pub(super) fn open(data: &DataDir, stream: StreamId, store: &Store, root: &RootState) -> Result<Self, IndexError> {
        let known = store.streams()?.into_iter().find(|row| row.id == stream.0);
        let (ordinal, next, head) = match known {
            Some(row) => (row.ordinal, row.next, row.head),
            None => (store.add_stream(&stream.0, &[])?, 0, Vec::new()),
        };
        let resumed = resume(&head, stream, root);
        let fault = resumed.as_ref().err().cloned();
        let verifier = resumed.unwrap_or_else(|_| StreamVerifier::new(root, stream, None));
        let open =
            |from| Reader::open(data.shared_storage(), &data.log(&Owner::Stream(stream)), Owner::Stream(stream), from);
        let subtrees = Subtrees::read(&mut open(next - next % RUN)?, store, stream, next)?;
        let tail = Self {
            stream,
            ordinal,
            reader: open(next)?,
            verifier,
            next,
            subtrees,
            log: Log::new(data),
            resources: HashMap::new(),
            terms: Vec::new(),
            coming: Default::default(),
            wall: 0,
            fault,
        };
        // An earlier fault may have been mended by now, and is found again if it was not.
        store.set_fault(ordinal, tail.fault.as_ref())?;
        Ok(tail)
    }

    pub(super) fn stream(&self) -> StreamId {
        self.stream
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn wall(&self) -> u64 {
        self.wall
    }

    pub(super) fn fault(&self) -> Option<&FaultRow> {
        self.fault.as_ref()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.fault.is_some()
    }

    /// Indexes what comes next below the limit, in one transaction with the cursor; returns how many events.
    pub(super) fn advance(&mut self, store: &mut Store, root: &RootState, limit: u64) -> Result<u64, IndexError> {
        self.reader.set_limit(limit);
        let Some(first) = self.read()? else { return Ok(0) };
        let (before, began, round) = (self.next, Instant::now(), store.upkeep().round());
        store.transaction(|store| -> Result<(), IndexError> {
            let mut read = Some(first);
            while let Some(found) = read {
                // Taken before: a batch that is refused may take the verifier's tree along.
                let reached = self.verifier.position();
                let refused = match &found {
                    Read::Batch(record) => self.batch(store, root, record)?.err(),
                    Read::Damaged => {
                        self.stop(Code::Damaged, "damaged: a record cannot be read".to_owned());
                        break;
                    }
                };
                if let Some(fault) = refused {
                    self.stop(fault.code, fault.to_string());
                    return self.save(store, reached);
                }
                let full = self.verifier.next_index() - before >= round.events || began.elapsed() >= round.time;
                read = if full { None } else { self.read()? };
            }
            self.save(store, self.verifier.position())
        })?;
        Ok(self.next - before)
    }

    /// Writes the cursor: where the rows end that were written before.
    fn save(&mut self, store: &Store, reached: Option<Position>) -> Result<(), IndexError> {
        if let Some(reached) = reached {
            self.next = reached.next_index();
            store.set_cursor(self.ordinal, self.next, &reached.encode())?;
        }
        Ok(store.set_fault(self.ordinal, self.fault.as_ref())?)
    }

    /// Reads the next batch, or that something cannot be read.
    fn read(&mut self) -> io::Result<Option<Read>> {
        while let Some(item) = self.reader.read_next()? {
            match item {
                Item::Payload { bytes, place } => {
                    let (payloads, first) = &mut self.coming;
                    first.get_or_insert(place);
                    if let Ok(head) = PayloadHead::read(bytes) {
                        payloads.insert(plain_hash(bytes), (head.subject, bytes.len() as u64));
                    }
                }
                Item::Batch { bytes, place, .. } => {
                    let (payloads, first) = std::mem::take(&mut self.coming);
                    let record = Record { bytes: bytes.to_vec(), place: first.unwrap_or(place), payloads };
                    return Ok(Some(Read::Batch(record)));
                }
                // What stood before the end of a segment belongs to no batch.
                Item::SegmentStart(_) => self.coming = Default::default(),
                Item::Damaged { .. } => return Ok(Some(Read::Damaged)),
                _ => {}
            }
        }
        Ok(None)
    }

    fn batch(&mut self, store: &mut Store, root: &RootState, record: &Record) -> Result<Result<(), Fault>, IndexError> {
        let place = record.place;
        let hashed = match HashedBatch::parse(&record.bytes) {
            Ok(hashed) => hashed,
            Err(error) => return Ok(Err(self.verifier.malformed(root, error))),
        };
        let seal = match self.verifier.push_hashed(root, &hashed) {
            Ok(facts) => facts.seal,
            Err(fault) => return Ok(Err(fault)),
        };
        self.wall = seal.wall;
        store.add_batch(&BatchRow {
            stream: self.ordinal,
            first: seal.first,
            count: seal.count.into(),
            segment: place.segment,
            offset: place.offset,
            wall: seal.wall,
            times: (0, 0),
        })?;
        for ((event, leaf), index) in hashed.batch().events().zip(hashed.leaves()).zip(seal.first..) {
            self.event(store, event, index, (seal.wall, &record.payloads))?;
            self.subtrees.push(*leaf, |height, root| store.add_run(self.ordinal, height, index >> height, root))?;
        }
        store.end_batch()?;
        Ok(Ok(()))
    }

    fn event(
        &mut self,
        store: &mut Store,
        event: &[u8],
        index: u64,
        (wall, payloads): (u64, &Payloads),
    ) -> Result<(), IndexError> {
        let Some((&event_kind, body)) = event.split_first() else { return Ok(()) };
        let mut terms = std::mem::take(&mut self.terms);
        terms.clear();
        let says = store.terms();
        let said = said::read(event_kind, body, wall, &mut |key, value| terms.push(says.attribute(key, &value)));
        if event_kind == kind::RESOURCE {
            // Those who look for a resource's attribute want its spans.
            self.remember(index, std::mem::take(&mut terms));
        }
        terms.push(says.kind(event_kind));
        terms.extend(said.trace.map(|trace| says.trace(&trace)));
        terms.extend(said.span.map(|span| says.span(&span)));
        terms.extend(said.name.as_ref().map(|name| says.name(name)));
        terms.extend(said.verdict.map(|verdict| says.verdict(verdict)));
        store.say(&terms);
        self.terms = terms;
        if let Some(resource) = said.resource {
            store.say(self.resource(store, resource)?);
        }
        let row = EventRow {
            trace: said.trace,
            start: said.start,
            about: self.rows_about(store, &said.about)?,
            subjects: subjects(&said, payloads),
        };
        store.add_event(&row)?;
        if let (kind::ASSESSMENT, Some(verdict), Some(span)) = (event_kind, said.verdict, row.about.first()) {
            store.set_verdict(*span, verdict)?;
        }
        Ok(())
    }

    fn rows_about(&self, store: &Store, events: &[EventRef]) -> rusqlite::Result<Vec<i64>> {
        let mut rows = Vec::new();
        for event in events {
            let ordinal = match <[u8; 16]>::try_from(event.stream.as_slice()) {
                Ok(stream) => store.ordinal_of(&stream)?,
                Err(_) => Some(self.ordinal),
            };
            if let Some(ordinal) = ordinal {
                rows.extend(store.row_of(ordinal, event.index)?);
            }
        }
        Ok(rows)
    }

    /// Returns what a resource event says: of one before the cursor once more from the log.
    fn resource(&mut self, store: &Store, index: u64) -> Result<&[Term], IndexError> {
        if !self.resources.contains_key(&index) {
            let (mut terms, says) = (Vec::new(), store.terms());
            if let Some(row) = store.row_of(self.ordinal, index)?
                && let Some(located) = self.log.event(store.connection(), row)?
                && located.kind() == Some(kind::RESOURCE)
            {
                located.read(&mut |key, value| terms.push(says.attribute(key, &value)));
            }
            self.remember(index, terms);
        }
        Ok(self.resources.get(&index).map_or(&[], Vec::as_slice))
    }

    fn remember(&mut self, index: u64, terms: Vec<Term>) {
        if self.resources.len() >= RESOURCES_MAX {
            self.resources.clear();
        }
        self.resources.insert(index, terms);
    }

    fn stop(&mut self, code: Code, text: String) {
        self.fault = Some(FaultRow { code: code.as_str().to_owned(), index: self.next, text });
    }
}

fn resume(head: &[u8], stream: StreamId, root: &RootState) -> Result<StreamVerifier, FaultRow> {
    if head.is_empty() {
        return Ok(StreamVerifier::new(root, stream, None));
    }
    let resumed = Position::decode(head).and_then(|position| StreamVerifier::resume(root, &position));
    resumed.map_err(|error| FaultRow {
        code: "other_log".to_owned(),
        index: 0,
        text: format!("the index is of another log than this one ({error}); `spanseal reindex` makes it anew"),
    })
}

/// Returns under whose keys an event has values, or whose key it says was destroyed.
fn subjects(said: &Said, payloads: &Payloads) -> Vec<SubjectRow> {
    let mut subjects: Vec<SubjectRow> = Vec::new();
    for (subject, bytes) in said.payloads.iter().filter_map(|id| payloads.get(id).copied()) {
        match subjects.iter_mut().find(|row| row.subject == subject) {
            Some(row) => (row.records, row.bytes) = (row.records + 1, row.bytes + bytes),
            None => subjects.push(SubjectRow { subject, records: 1, bytes }),
        }
    }
    subjects.extend(said.erased.map(|subject| SubjectRow { subject, records: 0, bytes: 0 }));
    subjects
}

const RESOURCES_MAX: usize = 8192;
