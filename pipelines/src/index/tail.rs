//! One stream on its way into the index.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use spanseal_ledger::leaf::plain_hash;
use spanseal_ledger::verify::{Code, Fault, HashedBatch, Position, RootState, StreamVerifier};
use spanseal_ledger::{Hash, StreamId};
use spanseal_log::{DataDir, Item, Owner, Place, Reader};
use spanseal_schemas::event::EventRef;
use spanseal_schemas::kind;

use super::indexer::IndexError;
use super::row::{self, Resource, Rows};
use super::store::{BatchRow, FaultRow, Store};
use super::subtrees::{RUN, Subtrees};
use crate::payload::PayloadHead;

pub(super) struct Tail {
    stream: StreamId,
    ordinal: i64,
    reader: Reader,
    verifier: StreamVerifier,
    /// The index up to which there are rows.
    next: u64,
    subtrees: Subtrees,
    resources: HashMap<u64, Resource>,
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
            resources: HashMap::new(),
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
        let (before, began) = (self.next, Instant::now());
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
                let full = self.verifier.next_index() - before >= ROUND_EVENTS || began.elapsed() >= ROUND_TIME;
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
        })?;
        for ((event, leaf), index) in hashed.batch().events().zip(hashed.leaves()).zip(seal.first..) {
            self.event(store, event, index, (seal.wall, &record.payloads))?;
            self.subtrees.push(*leaf, |height, root| store.add_run(self.ordinal, height, index >> height, root))?;
        }
        Ok(Ok(()))
    }

    fn event(
        &mut self,
        store: &mut Store,
        event: &[u8],
        index: u64,
        (wall, payloads): (u64, &Payloads),
    ) -> rusqlite::Result<()> {
        let Some((&event_kind, body)) = event.split_first() else { return Ok(()) };
        let mut rows = StreamRows { store, ordinal: self.ordinal, resources: &mut self.resources, payloads };
        let row = row::of(event_kind, body, wall, &mut rows)?;
        let (service, verdict, about) = (row.service.clone(), row.verdict, row.about.first().copied());
        let id = store.add_event(row)?;
        if let (kind::ASSESSMENT, Some(verdict), Some(span)) = (event_kind, verdict, about) {
            store.set_verdict(span, verdict)?;
        }
        if event_kind == kind::RESOURCE {
            if self.resources.len() >= RESOURCES_MAX {
                self.resources.clear();
            }
            self.resources.insert(index, Resource { row: id, service });
        }
        Ok(())
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

/// What a row takes from rows that are in the index already.
struct StreamRows<'a> {
    store: &'a Store,
    ordinal: i64,
    resources: &'a mut HashMap<u64, Resource>,
    payloads: &'a Payloads,
}

impl Rows for StreamRows<'_> {
    fn resource(&mut self, index: u64) -> rusqlite::Result<Option<Resource>> {
        if let Some(resource) = self.resources.get(&index) {
            return Ok(Some(resource.clone()));
        }
        let Some(row) = self.store.row_of(self.ordinal, index)? else { return Ok(None) };
        let resource = Resource { row, service: self.store.service_of(row)? };
        self.resources.insert(index, resource.clone());
        Ok(Some(resource))
    }

    fn payload(&self, id: &[u8]) -> Option<([u8; 16], u64)> {
        self.payloads.get(id).copied()
    }

    fn event(&mut self, event: &EventRef) -> rusqlite::Result<Option<i64>> {
        let ordinal = match <[u8; 16]>::try_from(event.stream.as_slice()) {
            Ok(stream) => self.store.ordinal_of(&stream)?,
            Err(_) => Some(self.ordinal),
        };
        ordinal.map_or(Ok(None), |ordinal| self.store.row_of(ordinal, event.index))
    }
}

/// Events of one transaction: the more, the fewer times a page of an index by random ids is written; few enough to be held.
const ROUND_EVENTS: u64 = 16_384;
/// On a busy machine it is fewer, so that nobody waits long for a round to end.
const ROUND_TIME: Duration = Duration::from_secs(1);
const RESOURCES_MAX: usize = 8192;
