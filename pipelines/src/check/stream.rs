//! One stream: the ledger's verifier, and beside it what the ledger cannot know.

use spanseal_ledger::StreamId;
use spanseal_ledger::seal::SignedSeal;
use spanseal_ledger::verify::{BatchFacts, Code, Detail, HashedBatch, RootState, StreamReport, StreamVerifier};
use spanseal_log::{Damage, HeaderError, SegmentStart};

use super::chunk::Examined;
use super::content::{Content, ContentCounts, ContentFault, EventReference};
use super::kinds::{Kind, Kinds};
use super::payloads::Payloads;
use super::references::Targets;
use super::report::Tail;
use super::resume::Point;
use crate::hex;

/// Verifies one stream as it is fed its pieces.
pub(super) struct StreamCheck<'r> {
    root: &'r RootState,
    verifier: StreamVerifier,
    targets: Targets,
    payloads: Payloads,
    kinds: Kinds,
    /// References to events of other streams, which are looked up when all streams were read.
    elsewhere: Vec<EventReference>,
    /// Superseded batches that differ from what a later segment holds, until that was read.
    superseded: Vec<Superseded>,
    tails: Vec<Tail>,
    counts: ContentCounts,
    payload_records: u64,
    /// Of the log, up to what was taken last.
    log_bytes: u64,
    /// Of the batch that was taken last.
    segment: u64,
}

struct Superseded {
    first: u64,
    /// Its seal, if that is validly signed.
    signed: Option<SignedSeal>,
}

/// What a stream's check came to.
pub(super) struct StreamChecked {
    pub(super) report: StreamReport,
    pub(super) counts: ContentCounts,
    pub(super) payload_records: u64,
    pub(super) kinds: Kinds,
    pub(super) elsewhere: Vec<EventReference>,
    pub(super) tails: Vec<Tail>,
}

impl<'r> StreamCheck<'r> {
    pub(super) fn new(root: &'r RootState, stream: StreamId, note: Option<&[u8]>) -> Self {
        Self {
            root,
            verifier: StreamVerifier::new(root, stream, note),
            targets: Targets::new(),
            payloads: Payloads::new(stream),
            kinds: Kinds::default(),
            elsewhere: Vec::new(),
            superseded: Vec::new(),
            tails: Vec::new(),
            counts: ContentCounts::default(),
            payload_records: 0,
            log_bytes: 0,
            segment: 0,
        }
    }

    /// Goes on from a point; `None` when the ledger's verifier cannot, or the point does not parse.
    pub(super) fn go_on(root: &'r RootState, point: &Point, note: Option<&[u8]>) -> Option<Self> {
        let midway = point.midway()?;
        let seal = &midway.position().seal().seal;
        let elsewhere = |(from, stream, to, span): &(u64, String, u64, bool)| {
            Some(EventReference { from: *from, stream: Some(stream.parse().ok()?), to: *to, span: *span })
        };
        Some(Self {
            verifier: StreamVerifier::go_on(root, &midway, note).ok()?,
            targets: Targets::from_list(seal.epoch, &point.targets),
            payloads: Payloads::from_settled(seal.stream, &point.payloads)?,
            kinds: Kinds::from_text(&point.kinds)?,
            elsewhere: point.elsewhere.iter().map(elsewhere).collect::<Option<_>>()?,
            // That of the segment itself is read again.
            tails: point.tails.iter().copied().filter(|tail| tail.segment < point.segment).collect(),
            counts: ContentCounts {
                kinds: point.counts_of_kinds.as_slice().try_into().ok()?,
                verdicts: point.counts_of_verdicts.as_slice().try_into().ok()?,
            },
            payload_records: point.payload_records,
            log_bytes: point.log_bytes,
            segment: point.segment,
            ..Self::new(root, seal.stream, None)
        })
    }

    /// Returns the point reached, if nothing was found and nothing waits; the bytes before are left to be filled in.
    pub(super) fn point(&self) -> Option<Point> {
        let settled = self.superseded.is_empty() && self.root.faults().is_empty();
        let payloads = self.payloads.settled().filter(|_| settled)?;
        let midway = self.verifier.midway(self.root)?;
        let elsewhere = |reference: &EventReference| {
            Some((reference.from, reference.stream?.to_string(), reference.to, reference.span))
        };
        Some(Point {
            segment: self.segment,
            midway: hex::encode(&midway.encode()),
            kinds: self.kinds.to_text(),
            targets: self.targets.list(midway.position().seal().seal.epoch),
            payloads,
            elsewhere: self.elsewhere.iter().filter_map(elsewhere).collect(),
            tails: self.tails.clone(),
            counts_of_kinds: self.counts.kinds.to_vec(),
            counts_of_verdicts: self.counts.verdicts.to_vec(),
            payload_records: self.payload_records,
            log_bytes: self.log_bytes,
            ..Point::default()
        })
    }

    /// Whether the checkpoint ends here: later points are not covered by it.
    pub(super) fn is_at_checkpoint(&self) -> bool {
        self.verifier.checkpoint().is_some_and(|checkpoint| checkpoint.size() == self.verifier.next_index())
    }

    pub(super) fn stream(&self) -> StreamId {
        self.verifier.stream()
    }

    /// How much of the log it is, from its beginning.
    pub(super) fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    pub(super) fn take(&mut self, piece: Examined<'_>, log_bytes: u64) {
        self.log_bytes += log_bytes;
        match piece {
            Examined::SegmentStart(start) => self.segment(start),
            Examined::Batch(Ok(batch)) => {
                self.segment = batch.segment;
                self.batch(&batch.hashed, &batch.content);
            }
            Examined::Batch(Err(error)) => drop(self.verifier.malformed(self.root, error)),
            Examined::Payload(facts) => {
                self.payload_records += 1;
                if !self.payloads.record(&facts) {
                    self.end_payloads();
                }
            }
            Examined::Superseded { first, bytes } => self.superseded(first, bytes),
            Examined::Tail(tail) => self.tails.push(tail),
            Examined::Torn { bytes } => self.verifier.torn(bytes),
            Examined::Damaged(what) => self.damaged(what),
        }
    }

    pub(super) fn finish(mut self) -> StreamChecked {
        self.end_payloads();
        self.name_superseded(u64::MAX);
        StreamChecked {
            report: self.verifier.finish(self.root),
            counts: self.counts,
            payload_records: self.payload_records,
            kinds: self.kinds,
            elsewhere: self.elsewhere,
            tails: self.tails,
        }
    }

    fn segment(&mut self, start: &SegmentStart) {
        self.end_payloads();
        // A fault is kept for the report.
        let _ = self.verifier.segment(start.frontier.clone(), &start.seal_hash);
    }

    /// What an event says is looked at when its batch holds: else it is not known who wrote it.
    fn batch(&mut self, hashed: &HashedBatch<'_>, content: &Content) {
        let facts = self.verifier.push_hashed(self.root, hashed);
        match facts {
            Ok(facts) => self.content(&facts, content),
            Err(_) => self.payloads.batch(&content.payloads, |_| {}),
        }
        self.name_superseded(self.verifier.next_index());
    }

    fn content(&mut self, facts: &BatchFacts, content: &Content) {
        self.counts.add(&content.counts);
        for (is_span, index) in content.spans.iter().zip(facts.seal.first..) {
            self.kinds.note(index, *is_span);
        }
        let mut faults = content.faults.clone();
        let mut found = |fault| faults.push(fault);
        self.targets.check(facts.seal.epoch, content, &mut found);
        for reference in &content.events {
            match reference.stream.filter(|stream| *stream != facts.seal.stream) {
                Some(_) => self.elsewhere.push(*reference),
                None if holds(&self.kinds, reference, reference.from) => {}
                None => found(dangling(reference)),
            }
        }
        self.payloads.batch(&content.payloads, found);
        // Event by event; what one says of itself comes before what it refers to.
        faults.sort_by_key(|fault| fault.index);
        for ContentFault { index, code, detail } in faults {
            self.verifier.found(code, Some(index), detail);
        }
    }

    fn end_payloads(&mut self) {
        let unlisted = self.payloads.end_segment() as u64;
        if unlisted > 0 {
            let what = "payload records that no event of their segment lists";
            let detail = Detail::Numbers { what, expected: 0, got: unlisted };
            self.verifier.found(Code::PayloadMismatch, Some(self.verifier.next_index()), detail);
        }
    }

    fn superseded(&mut self, first: u64, bytes: &[u8]) {
        let seal = HashedBatch::parse(bytes).ok().map(|hashed| *hashed.batch().signed_seal());
        if self.superseded.len() < SUPERSEDED_MAX {
            self.superseded.push(Superseded { first, signed: seal.filter(|seal| self.is_signed(seal)) });
        }
    }

    fn is_signed(&self, seal: &SignedSeal) -> bool {
        let epoch = self.root.epoch(&seal.seal.stream, seal.seal.epoch);
        seal.seal.stream == self.verifier.stream() && epoch.is_some_and(|epoch| seal.verify(&epoch.key).is_ok())
    }

    /// Names those that the stream has passed by now, so that faults stand in the order of their places.
    fn name_superseded(&mut self, below: u64) {
        let verifier = &mut self.verifier;
        self.superseded.retain(|Superseded { first, signed }| {
            let waits = *first >= below;
            if !waits {
                let (code, fact) = match signed.is_some_and(|seal| verifier.sealed_otherwise(&seal)) {
                    true => (Code::Fork, "a superseded batch is signed, and another was sealed in its place"),
                    false => (Code::Damaged, "a superseded record differs"),
                };
                verifier.found(code, Some(*first), Detail::Fact(fact));
            }
            waits
        });
    }

    fn damaged(&mut self, what: Damage) {
        match what {
            Damage::Header(error) => self.header(error),
            Damage::RecordKind { kind } => {
                self.verifier.damaged(Detail::Numbers { what: "the record's type", expected: 1, got: kind.into() });
            }
            _ => self.verifier.damaged(Detail::Fact("a record cannot be read")),
        }
    }

    /// The records under a header that cannot be used are read all the same.
    fn header(&mut self, error: HeaderError) {
        self.end_payloads();
        match error {
            HeaderError::OtherOwner => {
                let fact = Detail::Fact("a segment of another stream");
                self.verifier.found(Code::WrongStream, Some(self.verifier.next_index()), fact);
            }
            HeaderError::UnknownVersion => self.verifier.segment_of_another_version(self.root),
            _ => self.verifier.damaged(Detail::Fact("a segment's header cannot be read")),
        }
    }
}

/// Whether an event that is referred to is there below a size and, as far as it was read, what it must be.
pub(super) fn holds(kinds: &Kinds, reference: &EventReference, size: u64) -> bool {
    reference.to < size && !(reference.span && kinds.of(reference.to) == Kind::Other)
}

pub(super) fn dangling(reference: &EventReference) -> ContentFault {
    let fact = if reference.span { "it refers to no such span event" } else { "it refers to no such event" };
    ContentFault { index: reference.from, code: Code::Envelope, detail: Detail::Fact(fact) }
}

const SUPERSEDED_MAX: usize = 1000;
