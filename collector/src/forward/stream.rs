//! One stream of the log as one backend reads it: events out of batches, spans out of events.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use spanseal_ledger::batch::Batch;
use spanseal_ledger::leaf::{leaf_hash, plain_hash};
use spanseal_ledger::{EventId, Hash};
use spanseal_log::{Item, Owner, Place, Reader, Storage};
use spanseal_schemas::event::{Assessment, ConflictEvent, Cut, ResourceEvent};
use spanseal_schemas::{envelope, kind};
use tracing::warn;

use super::marks::{Marks, Sealed};
use super::origins::{Origins, Shared};
use super::shipment::{Origin, Passage, Shipment, Withheld};
use super::source::{Feed, Limits};
use super::unseal::{Readable, Stored, Unseal};

pub(super) struct StreamSource {
    log: StreamLog,
    feed: Feed,
    reader: Reader,
    /// The index of the event that is returned next.
    next: u64,
    /// The batch that is being gone through.
    events: VecDeque<(u64, Bytes)>,
    payloads: Places,
    origins: Origins,
}

/// Where a stream rests.
struct StreamLog {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    owner: Owner,
}

/// Where the payload records of the open batch are, and those of the batch to come.
type Places = HashMap<Hash, Place>;

/// The fields of a span event that forwarding needs.
struct SpanBody<'a> {
    resource: u64,
    scope: u64,
    assessment: Option<Assessment>,
    span: &'a [u8],
    cuts: Vec<Cut>,
    payloads: Vec<Hash>,
}

impl StreamSource {
    pub(super) fn open(storage: Arc<dyn Storage>, dir: PathBuf, feed: Feed, from: u64) -> io::Result<Self> {
        let log = StreamLog { storage, dir, owner: Owner::Stream(feed.stream) };
        let reader = log.reader(from)?;
        let (events, payloads, origins) = (VecDeque::new(), Places::new(), Origins::default());
        Ok(Self { log, feed, reader, next: from, events, payloads, origins })
    }

    /// Returns the next spans, or `None` when everything durable has been returned.
    pub(super) fn next(&mut self, limits: Limits, unseal: &mut Unseal) -> io::Result<Option<Shipment>> {
        let durable = self.feed.durable.as_mut().map_or(u64::MAX, |durable| durable.borrow_and_update().size);
        self.reader.set_limit(durable);
        let from = self.next;
        let mut shipment = Shipment::new(self.feed.stream, from);
        self.origins.forget_erased(|subject| unseal.has_key(subject));
        while shipment.bytes <= limits.bytes && shipment.spans.len() < limits.spans {
            let Some((index, event)) = self.front()? else { break };
            // An error leaves the event in front, for the next try; so does a span that is too much for this shipment.
            let passage = self.passage(index, &event, unseal)?;
            let more = passage.as_ref().map_or(0, |passage| shipment.bytes_more(passage));
            if shipment.bytes + more > limits.bytes && !shipment.spans.is_empty() {
                break;
            }
            self.events.pop_front();
            self.next = index + 1;
            shipment.withheld.note(&event);
            if let Some(passage) = passage {
                shipment.push(passage);
            }
        }
        shipment.next = self.next;
        self.origins.forget_large();
        Ok((self.next > from).then_some(shipment))
    }

    /// Returns the next event, out of the next batch when the last one is gone through.
    fn front(&mut self) -> io::Result<Option<(u64, Bytes)>> {
        if self.events.is_empty() {
            self.payloads.clear();
        }
        while self.events.is_empty() {
            let Some(record) = self.reader.read_next()? else { return Ok(None) };
            match record {
                Item::Payload { bytes, place } => drop(self.payloads.insert(plain_hash(bytes), place)),
                Item::Batch { bytes, .. } => {
                    let next = self.next;
                    self.events.extend(events(bytes).filter(|(index, _)| *index >= next));
                }
                Item::Damaged { place, what, .. } => {
                    warn!(stream = %self.feed.stream, ?place, %what, "cannot be read, and is not forwarded");
                }
                _ => {}
            }
        }
        Ok(self.events.front().cloned())
    }

    /// Returns the span that an event holds, readable and marked; `None` for other events.
    fn passage(&mut self, index: u64, event: &[u8], unseal: &mut Unseal) -> io::Result<Option<Passage>> {
        let Some((&event_kind, body)) = event.split_first() else { return Ok(None) };
        if event_kind == kind::RESOURCE {
            let shared = shared(body, &self.log, &self.payloads, unseal)?;
            self.origins.note(index, shared);
        }
        if event_kind != kind::SPAN {
            return Ok(None);
        }
        let Some(span) = SpanBody::read(body) else { return Ok(None) };
        let places = places(&span.payloads, &self.payloads);
        let stored = Stored { bytes: span.span, cuts: &span.cuts, payloads: places.as_deref() };
        let Some(readable) = unseal.read(self.log.storage.as_ref(), &self.log.dir, &stored)? else {
            warn!(stream = %self.feed.stream, index, "the cuts of this span do not fit; it is not forwarded");
            return Ok(None);
        };
        let origin = self.origin(span.resource, span.scope, unseal)?;
        let event_id = EventId { stream: self.feed.stream, index };
        let sealed = Sealed {
            event: event_id,
            leaf: leaf_hash(event),
            assessment: span.assessment.as_ref(),
            cuts: span.cuts.len(),
            span: &readable.whole,
            event_url: unseal.event_url(),
        };
        let marks = Marks::new(&sealed);
        let Readable { whole: span, abridged, restored } = readable;
        Ok(Some(Passage { event: event_id, origin, span, abridged, restored, marks }))
    }

    /// Returns where a span comes from; what was sealed before the cursor is looked up.
    fn origin(&mut self, resource: u64, scope: u64, unseal: &mut Unseal) -> io::Result<Arc<Origin>> {
        let log = &self.log;
        self.origins.of(resource, scope, |index| log.shared(index, unseal))
    }
}

impl Withheld {
    fn note(&mut self, event: &[u8]) {
        if let Some((&kind::CONFLICT, body)) = event.split_first() {
            let is_variant = ConflictEvent::decode(body).is_ok_and(|event| event.variant);
            *(if is_variant { &mut self.variants } else { &mut self.conflicts }) += 1;
        }
    }
}

impl StreamLog {
    fn reader(&self, from: u64) -> io::Result<Reader> {
        Reader::open(Arc::clone(&self.storage), &self.dir, self.owner, from)
    }

    /// Reads a resource event again.
    fn shared(&self, index: u64, unseal: &mut Unseal) -> io::Result<Option<Shared>> {
        let mut reader = self.reader(index)?;
        reader.set_limit(index.saturating_add(1));
        let mut payloads = Places::new();
        while let Some(record) = reader.read_next()? {
            match record {
                Item::Payload { bytes, place } => drop(payloads.insert(plain_hash(bytes), place)),
                Item::Batch { bytes, .. } => {
                    let Some((_, event)) = events(bytes).find(|(found, _)| *found == index) else { continue };
                    return match event.split_first() {
                        Some((&kind::RESOURCE, body)) => shared(body, self, &payloads, unseal),
                        _ => Ok(None),
                    };
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

impl<'a> SpanBody<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        let event = envelope::view(body).ok()?;
        Some(Self {
            resource: event.resource,
            scope: event.scope,
            assessment: event.assessment,
            span: event.span,
            cuts: event.cuts,
            payloads: event.payloads.into_iter().copied().collect(),
        })
    }
}

/// Returns the events of a batch with their indices; none of one that does not parse.
fn events(batch: &[u8]) -> impl Iterator<Item = (u64, Bytes)> {
    let whole = Bytes::copy_from_slice(batch);
    let mut events = Vec::new();
    if let Ok(batch) = Batch::parse(&whole) {
        let indices = batch.seal().first..;
        events.extend(indices.zip(batch.events().map(|event| whole.slice_ref(event))));
    }
    events.into_iter()
}

fn shared(body: &[u8], log: &StreamLog, known: &Places, unseal: &mut Unseal) -> io::Result<Option<Shared>> {
    let Ok(event) = ResourceEvent::decode(body) else { return Ok(None) };
    let ids: Vec<Hash> = event.payloads.iter().filter_map(|id| id.as_slice().try_into().ok()).collect();
    let places = places(&ids, known);
    let stored = Stored { bytes: &event.content, cuts: &event.cuts, payloads: places.as_deref() };
    let content = unseal.read(log.storage.as_ref(), &log.dir, &stored)?;
    let schema_url = event.schema_url;
    Ok(Some(match content {
        Some(Readable { whole: content, abridged, restored }) => Shared { content, abridged, schema_url, restored },
        None => Shared { schema_url, ..Shared::default() },
    }))
}

/// Returns where each payload is; `None` when one is not there.
fn places(ids: &[Hash], known: &Places) -> Option<Vec<Place>> {
    ids.iter().map(|id| known.get(id).copied()).collect()
}
