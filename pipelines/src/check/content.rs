//! What one batch says, found without knowing what came before it: work that can be spread over cores.

use prost::Message;
use spanseal_ledger::batch::Batch;
use spanseal_ledger::verify::{Code, Detail};
use spanseal_ledger::{Hash, StreamId};
use spanseal_schemas::canonical::{self, Refusal};
use spanseal_schemas::event::{
    AssessmentEvent, ConflictEvent, Cut, EventRef, FindingEvent, ResourceEvent, Verdict, What,
};
use spanseal_schemas::{cut, envelope, kind};

/// What the events of a batch say about others, and what is wrong with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// In the order of events: what can be said of each alone.
    pub(super) faults: Vec<ContentFault>,
    /// Resource events: index and what they describe.
    pub(super) resources: Vec<(u64, What)>,
    pub(super) references: Vec<Reference>,
    /// References to any events, of this stream or another.
    pub(super) events: Vec<EventReference>,
    pub(super) payloads: Vec<ListedPayload>,
    /// Of each event in order: whether it is a span.
    pub(super) spans: Vec<bool>,
    pub(super) counts: ContentCounts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContentFault {
    pub(super) index: u64,
    pub(super) code: Code,
    pub(super) detail: Detail,
}

/// An event refers to a resource event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) what: What,
}

/// An event refers to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventReference {
    pub(super) from: u64,
    /// `None`: of the same stream.
    pub(super) stream: Option<StreamId>,
    pub(super) to: u64,
    /// It must be a span.
    pub(super) span: bool,
}

/// An event lists a payload record: which of how many, by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListedPayload {
    pub(super) index: u64,
    pub(super) id: Hash,
    pub(super) chunk: usize,
    pub(super) chunks: usize,
}

/// Events by kind, spans by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ContentCounts {
    pub(super) kinds: [u64; KINDS],
    /// By the number of the verdict; what a later assessment said comes on top of what it replaced.
    pub(super) verdicts: [u64; VERDICTS],
}

pub(super) const KINDS: usize = 10;
pub(super) const VERDICTS: usize = 5;

impl ContentCounts {
    pub(super) fn add(&mut self, other: &Self) {
        self.kinds.iter_mut().zip(other.kinds).for_each(|(sum, count)| *sum += count);
        self.verdicts.iter_mut().zip(other.verdicts).for_each(|(sum, count)| *sum += count);
    }
}

impl Content {
    /// Examines the events of a batch.
    pub(super) fn of(batch: &Batch<'_>) -> Self {
        let mut content = Self::default();
        for (event, index) in batch.events().zip(batch.seal().first..) {
            if let Some((&event_kind, body)) = event.split_first() {
                content.event(index, event_kind, body);
            }
        }
        content
    }

    fn event(&mut self, index: u64, event_kind: u8, body: &[u8]) {
        self.spans.push(event_kind == kind::SPAN);
        if let Some(count) = self.counts.kinds.get_mut(usize::from(event_kind)) {
            *count += 1;
        }
        if kind::name(event_kind).is_none() {
            return; // the ledger's verifier names unknown kinds
        }
        if let Err(refusal) = canonical::check(event_kind, body) {
            self.faults.push(refused(index, refusal));
            return;
        }
        let fits = match event_kind {
            kind::SPAN => self.span(index, body),
            kind::RESOURCE => ResourceEvent::decode(body).is_ok_and(|event| self.resource(index, &event)),
            kind::CONFLICT => ConflictEvent::decode(body).is_ok_and(|event| self.conflict(index, &event)),
            kind::ASSESSMENT => AssessmentEvent::decode(body).is_ok_and(|event| self.assessment(index, &event)),
            kind::FINDING => FindingEvent::decode(body).is_ok_and(|event| self.finding(index, &event)),
            _ => true,
        };
        if !fits {
            self.faults.push(ContentFault {
                index,
                code: Code::Envelope,
                detail: Detail::Fact("its cuts do not fit its bytes"),
            });
        }
    }

    fn span(&mut self, index: u64, body: &[u8]) -> bool {
        let Ok(event) = envelope::view(body) else { return false };
        let verdict = event.assessment.as_ref().map_or(Verdict::NoAction as i32, |assessment| assessment.verdict);
        self.verdict(verdict);
        self.refers(index, [event.resource, event.scope, event.tenant, event.configuration]);
        self.lists(index, event.payloads.iter().map(|id| id.as_slice()));
        fits(event.span, &event.cuts)
    }

    fn conflict(&mut self, index: u64, event: &ConflictEvent) -> bool {
        self.refers(index, [event.resource, event.scope, event.tenant, event.configuration]);
        self.lists(index, event.payloads.iter().map(Vec::as_slice));
        self.about(index, event.first.as_ref(), true);
        fits(&event.span, &event.cuts)
    }

    fn resource(&mut self, index: u64, event: &ResourceEvent) -> bool {
        self.resources.push((index, What::try_from(event.what).unwrap_or(What::Unspecified)));
        self.lists(index, event.payloads.iter().map(Vec::as_slice));
        fits(&event.content, &event.cuts)
    }

    fn assessment(&mut self, index: u64, event: &AssessmentEvent) -> bool {
        self.verdict(event.assessment.as_ref().map_or(0, |assessment| assessment.verdict));
        self.about(index, event.event.as_ref(), true);
        self.refers_to(index, event.configuration, What::Configuration);
        true
    }

    fn finding(&mut self, index: u64, event: &FindingEvent) -> bool {
        event.events.iter().for_each(|concerned| self.about(index, Some(concerned), false));
        true
    }

    fn verdict(&mut self, verdict: i32) {
        let place = usize::try_from(verdict).ok();
        if let Some(count) = place.and_then(|place| self.counts.verdicts.get_mut(place)) {
            *count += 1;
        }
    }

    fn refers(&mut self, from: u64, to: [u64; 4]) {
        let whats = [What::Resource, What::Scope, What::Tenant, What::Configuration];
        to.into_iter().zip(whats).for_each(|(to, what)| self.refers_to(from, to, what));
    }

    /// Index 0 is an opening, so that an absent field refers to nothing.
    fn refers_to(&mut self, from: u64, to: u64, what: What) {
        if to != 0 {
            self.references.push(Reference { from, to, what });
        }
    }

    fn about(&mut self, from: u64, event: Option<&EventRef>, span: bool) {
        self.events.extend(event.map(|event| EventReference {
            from,
            stream: event.stream.as_slice().try_into().ok().map(StreamId),
            to: event.index,
            span,
        }));
    }

    fn lists<'e>(&mut self, index: u64, payloads: impl ExactSizeIterator<Item = &'e [u8]>) {
        let chunks = payloads.len();
        let listed = payloads
            .enumerate()
            .filter_map(|(chunk, id)| Some(ListedPayload { index, id: id.try_into().ok()?, chunk, chunks }));
        self.payloads.extend(listed);
    }
}

fn fits(stored: &[u8], cuts: &[Cut]) -> bool {
    cut::check(stored, cuts).is_ok()
}

fn refused(index: u64, refusal: Refusal) -> ContentFault {
    let (code, detail) = match refusal {
        Refusal::UnknownVersion { version, .. } => {
            (Code::UnknownVersion, Detail::Numbers { what: "the event's version", expected: 1, got: version })
        }
        Refusal::NotCanonical { why, .. } => (Code::Envelope, Detail::Fact(why)),
        _ => (Code::Envelope, Detail::Nothing),
    };
    ContentFault { index, code, detail }
}
