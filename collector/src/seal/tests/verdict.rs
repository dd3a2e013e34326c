//! What a verifier says of the data directory, and what is in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use prost::Message;
use sha2::{Digest, Sha256};
use spanseal_ledger::StreamId;
use spanseal_ledger::batch::Batch;
use spanseal_ledger::key_event::KeyEvent;
use spanseal_ledger::seal::Counters;
use spanseal_ledger::trust::Trust;
use spanseal_ledger::verify::{Detail, Freshness, Report, RootState, RootVerifier, StreamVerifier};
use spanseal_log::{DataDir, Item, Memory, Owner, Reader, read_file};
use spanseal_schemas::event::{ConflictEvent, FindingEvent, ResourceEvent, What};
use spanseal_schemas::{canonical, envelope, kind};

use super::requests::{Number, number_of};
use super::world::DATA;

/// A data directory, read and verified.
pub(super) struct Verdict {
    pub(super) report: Report,
    pub(super) root: RootState,
    pub(super) streams: Vec<StreamId>,
    /// Every event of every stream, in order.
    pub(super) events: Vec<Sealed>,
    /// The counters of the last seal of each epoch.
    pub(super) counters: BTreeMap<(StreamId, u32), Counters>,
    /// Ids of the payload records read since the last batch, which must all be its events'.
    payloads: BTreeSet<[u8; 32]>,
    pub(super) payloads_seen: usize,
}

pub(super) struct Sealed {
    pub(super) stream: StreamId,
    pub(super) epoch: u32,
    pub(super) index: u64,
    pub(super) event: Vec<u8>,
}

/// Reads and verifies what is in memory, with what outsiders have seen of it as pins.
pub(super) fn verdict(memory: &Memory, pins: &BTreeMap<String, String>) -> Verdict {
    verdict_on(&DataDir::at(Arc::new(memory.clone()), Path::new(DATA)), pins)
}

/// Reads and verifies a data directory.
pub(super) fn verdict_on(dir: &DataDir, pins: &BTreeMap<String, String>) -> Verdict {
    let trust = read_file(dir.storage(), &dir.root().join("trust"), 1 << 20).unwrap();
    let mut trust = Trust::parse(std::str::from_utf8(&trust).unwrap()).unwrap();
    trust.root_pin = pins.get("root").cloned();
    trust.pins = pins.iter().filter_map(|(name, note)| Some((name.parse().ok()?, note.clone()))).collect();

    let mut root = RootVerifier::new(Some(trust));
    let root_note = dir.read_checkpoint(&Owner::RootLog).unwrap();
    let mut reader = Reader::open(dir.shared_storage(), &dir.log(&Owner::RootLog), Owner::RootLog, 0).unwrap();
    while let Some(item) = reader.read_next().unwrap() {
        match item {
            Item::RootLeaf { bytes, .. } => drop(root.push(bytes)),
            Item::SegmentStart(_) => {}
            Item::Torn { bytes, .. } => root.torn(bytes),
            other => root.damaged(Detail::Fact(leak(format!("{other:?}")))),
        }
    }
    let root = root.finish(root_note.as_deref());
    let mut verdict = Verdict {
        report: Report::new(&root, vec![], FRESH),
        root: root.clone(),
        streams: dir.streams().unwrap(),
        events: vec![],
        counters: BTreeMap::new(),
        payloads: BTreeSet::new(),
        payloads_seen: 0,
    };
    let mut reports = Vec::new();
    for stream in verdict.streams.clone() {
        let owner = Owner::Stream(stream);
        let note = dir.read_checkpoint(&owner).unwrap();
        let mut verifier = StreamVerifier::new(&root, stream, note.as_deref());
        let mut reader = Reader::open(dir.shared_storage(), &dir.log(&owner), owner, 0).unwrap();
        while let Some(item) = reader.read_next().unwrap() {
            match item {
                Item::Batch { bytes, .. } => {
                    let _ = verifier.push(&root, bytes);
                    verdict.take(bytes);
                }
                Item::SegmentStart(start) => drop(verifier.segment(start.frontier, &start.seal_hash)),
                Item::Torn { bytes, superseded: false, .. } => verifier.torn(bytes),
                Item::Torn { .. } => {}
                Item::Payload { bytes, .. } => {
                    verdict.payloads.insert(Sha256::digest(bytes).into());
                    verdict.payloads_seen += 1;
                }
                other => verifier.damaged(Detail::Fact(leak(format!("{other:?}")))),
            }
        }
        reports.push(verifier.finish(&root));
    }
    verdict.report = Report::new(&root, reports, FRESH);
    verdict
}

impl Verdict {
    fn take(&mut self, bytes: &[u8]) {
        let Ok(batch) = Batch::parse(bytes) else { return };
        let seal = batch.seal();
        self.counters.insert((seal.stream, seal.epoch), seal.counters);
        for (event, index) in batch.events().zip(seal.first..) {
            self.take_payloads(event);
            self.events.push(Sealed { stream: seal.stream, epoch: seal.epoch, index, event: event.to_vec() });
        }
    }

    /// An event's payload records stand before its batch, and behind the one before that.
    fn take_payloads(&mut self, event: &[u8]) {
        let ids: Vec<Vec<u8>> = match event[0] {
            kind::SPAN => envelope::view(&event[1..]).unwrap().payloads.iter().map(|id| id.to_vec()).collect(),
            kind::RESOURCE => ResourceEvent::decode(&event[1..]).unwrap().payloads,
            kind::CONFLICT => ConflictEvent::decode(&event[1..]).unwrap().payloads,
            _ => Vec::new(),
        };
        for id in ids {
            assert!(self.payloads.remove(&id[..]), "a payload record is not right before its batch");
        }
    }

    /// Nothing is wrong and nothing is left unchecked.
    #[track_caller]
    pub(super) fn must_hold(&self) {
        assert!(self.payloads.is_empty(), "payload records without an event");
        assert_eq!(self.report.exit_code(), 0, "{:#?}", self.report.faults);
        self.check_envelopes();
    }

    /// Returns the numbers of the spans sealed, in order.
    pub(super) fn spans(&self) -> Vec<Number> {
        self.of_kind(kind::SPAN).map(|event| number_of(&whole_or_view(&event.event[1..]))).collect()
    }

    pub(super) fn of_kind(&self, kind: u8) -> impl Iterator<Item = &Sealed> {
        self.events.iter().filter(move |event| event.event[0] == kind)
    }

    pub(super) fn key_events(&self) -> Vec<KeyEvent> {
        self.of_kind(kind::KEY).map(|event| KeyEvent::parse(&event.event).unwrap()).collect()
    }

    pub(super) fn conflicts(&self) -> Vec<ConflictEvent> {
        self.of_kind(kind::CONFLICT).map(|event| ConflictEvent::decode(&event.event[1..]).unwrap()).collect()
    }

    pub(super) fn findings(&self) -> Vec<FindingEvent> {
        self.of_kind(kind::FINDING).map(|event| FindingEvent::decode(&event.event[1..]).unwrap()).collect()
    }

    /// Every body is canonical, every reference leads to a resource event of its kind in the same run, and every conflict
    /// to an earlier span of its stream.
    #[track_caller]
    fn check_envelopes(&self) {
        let mut resources = HashMap::new();
        for Sealed { stream, epoch, index, event } in &self.events {
            if !matches!(event[0], kind::KEY | kind::GAP) {
                canonical::check(event[0], &event[1..]).unwrap();
            }
            let run = |index: u64| (*stream, *epoch, index >> 16);
            match event[0] {
                kind::RESOURCE => {
                    let resource = ResourceEvent::decode(&event[1..]).unwrap();
                    resources.insert((run(*index), *index), resource.what());
                }
                kind::SPAN | kind::CONFLICT => {
                    let refs = refs(event);
                    for (target, what) in
                        refs.into_iter().zip([What::Resource, What::Scope, What::Tenant, What::Configuration])
                    {
                        assert_eq!(resources.get(&(run(*index), target)), Some(&what), "event {index}");
                    }
                    if event[0] == kind::CONFLICT {
                        let first = ConflictEvent::decode(&event[1..]).unwrap().first.unwrap().index;
                        let found = self.events.iter().find(|event| (event.stream, event.index) == (*stream, first));
                        assert!(first < *index && found.is_some_and(|found| found.event[0] == kind::SPAN), "{index}");
                    }
                }
                _ => {}
            }
        }
    }
}

/// Returns the indices that a span or conflict event refers to.
fn refs(event: &[u8]) -> [u64; 4] {
    if event[0] == kind::CONFLICT {
        let event = ConflictEvent::decode(&event[1..]).unwrap();
        return [event.resource, event.scope, event.tenant, event.configuration];
    }
    let view = envelope::view(&event[1..]).unwrap();
    [view.resource, view.scope, view.tenant, view.configuration]
}

/// Returns the span, with what was cut filled in by zeros.
fn whole_or_view(body: &[u8]) -> Vec<u8> {
    let event = envelope::view(body).unwrap();
    if event.cuts.is_empty() {
        event.span.to_vec()
    } else {
        spanseal_schemas::cut::view(event.span, &event.cuts).unwrap()
    }
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

const FRESH: Freshness = Freshness { now_seconds: 1_800_000_000, max_age_seconds: 1 << 40 };
