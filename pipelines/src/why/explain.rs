//! Events out of the log as the parts of an answer.

use std::collections::{BTreeSet, HashMap};
use std::io;

use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanseal_ledger::gap::Gap;
use spanseal_ledger::key_event::KeyEvent;
use spanseal_ledger::{EventId, StreamId};
use spanseal_log::DataDir;
use spanseal_schemas::abridge::abridge;
use spanseal_schemas::event::{
    Assessment, AssessmentEvent, ConflictEvent, Cut, ErasureEvent, EvidenceEvent, FindingEvent, ResourceEvent, What,
};
use spanseal_schemas::{envelope, kind, names};

use super::account;
use super::answer::{CutLine, Erased, Other, Part, SpanNode};
use super::erased::Erasures;
use super::gather::resolve;
use super::prove::Prover;
use super::runs::{Run, Runs};
use super::values;
use crate::hex;
use crate::printed::{grouped, time};
use crate::words::{kind_name, status_name, verdict_name};

/// Reads events and says what they mean.
pub(super) struct Explainer {
    data: DataDir,
    pub(super) prover: Prover,
    runs: Runs,
    resources: HashMap<EventId, Context>,
    erasures: Erasures,
    /// The erasures that spans were found to be concerned by.
    told: BTreeSet<EventId>,
}

/// What an event came to.
pub(super) enum Explained {
    Span(Box<SealedSpan>),
    /// A later verdict on a span, besides being an event of its own.
    Assessment(EventId, Assessment, Other),
    /// A span with the ids of an earlier one and other bytes; the event of that one, and whether only enrichment differs.
    Conflict(Box<SealedSpan>, Option<EventId>, bool),
    Other(Other),
    /// There is no such event in the log.
    Gone,
}

/// A span and the bytes that two copies of it have in common.
pub(super) struct SealedSpan {
    pub(super) trace: String,
    pub(super) node: SpanNode,
    pub(super) bytes: Vec<u8>,
}

/// What a resource event says about spans.
#[derive(Debug, Clone, Default)]
struct Context {
    service: Option<String>,
    tenant: String,
    peer: String,
    cuts: Vec<CutLine>,
}

/// The fields that span and conflict events share.
struct Stored<'a> {
    resource: u64,
    scope: u64,
    tenant: u64,
    received: u64,
    span: &'a [u8],
    cuts: &'a [Cut],
    payloads: Vec<&'a [u8]>,
}

impl Explainer {
    pub(super) fn new(data: &DataDir, prover: Prover) -> Self {
        Self {
            data: data.clone(),
            prover,
            runs: Runs::new(data),
            resources: HashMap::new(),
            erasures: Erasures::default(),
            told: BTreeSet::new(),
        }
    }

    /// Returns the erasures that concern what was explained so far.
    pub(super) fn erasures_told(&self) -> BTreeSet<EventId> {
        self.told.clone()
    }

    /// Returns what an event says, and where it is sealed.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) fn explain(&mut self, event: EventId) -> io::Result<Explained> {
        let run = self.runs.of(event.stream, event.index, self.prover.hint(event))?;
        let Some(found) = run.event(event.index) else { return Ok(Explained::Gone) };
        let place = self.prover.place(event, &found, &mut self.runs)?;
        let other = |says: String, unix_nano: u64, about: Vec<EventId>| Other {
            kind: kind_name(found.kind),
            says,
            about: about.iter().map(ToString::to_string).collect(),
            unix_nano: if unix_nano == 0 { found.seal.seal.wall } else { unix_nano },
            place: place.clone(),
        };
        Ok(match found.kind {
            kind::SPAN => match envelope::view(found.body) {
                Ok(view) => {
                    let mut sealed = self.span(event.stream, &run, &Stored::of_span(&view))?;
                    judge(&mut sealed.node, view.assessment.as_ref());
                    sealed.node.place = place;
                    Explained::Span(Box::new(sealed))
                }
                Err(refusal) => {
                    Explained::Other(other(format!("a span that cannot be read: {refusal}"), 0, Vec::new()))
                }
            },
            kind::CONFLICT => match ConflictEvent::decode(found.body) {
                Ok(conflict) => {
                    let mut sealed = self.span(event.stream, &run, &Stored::of_conflict(&conflict))?;
                    sealed.node.place = place;
                    let first = conflict.first.as_ref().and_then(|first| resolve(first, event.stream));
                    Explained::Conflict(Box::new(sealed), first, conflict.variant)
                }
                Err(error) => Explained::Other(other(format!("cannot be read: {error}"), 0, Vec::new())),
            },
            kind::ASSESSMENT => assessment(event.stream, found.body, other),
            _ => {
                let (says, unix_nano, about) = describe(event.stream, found.kind, found.body);
                Explained::Other(other(says, unix_nano, about))
            }
        })
    }

    fn span(&mut self, stream: StreamId, run: &Run, stored: &Stored<'_>) -> io::Result<SealedSpan> {
        let mut cuts = self.cuts(run, Part::Span, stored.cuts, &stored.payloads)?;
        let line = |cut: &Cut| stored.cuts.iter().zip(&cuts).find(|(other, _)| other.offset == cut.offset);
        let note = |cut: &Cut| line(cut).map(|(_, line)| note(line)).unwrap_or_default();
        let readable = abridge(stored.span, stored.cuts, &note).unwrap_or_default();
        let span = Span::decode(&readable[..]).unwrap_or_default();
        let resource = self.context(stream, stored.resource)?;
        cuts.extend(resource.cuts);
        cuts.extend(self.context(stream, stored.scope)?.cuts);
        let tenant = self.context(stream, stored.tenant)?;
        let attributes: Vec<(String, String)> = span
            .attributes
            .iter()
            .map(|attribute| (attribute.key.clone(), values::text(attribute.value.as_ref())))
            .collect();
        let status = span.status.unwrap_or_default();
        let id = hex::encode(&span.span_id);
        let node = SpanNode {
            parent: (!span.parent_span_id.is_empty()).then(|| hex::encode(&span.parent_span_id)),
            name: span.name,
            service: resource.service,
            start_unix_nano: span.start_time_unix_nano,
            end_unix_nano: span.end_time_unix_nano,
            status: status_name(status.code),
            status_message: (!status.message.is_empty()).then_some(status.message),
            account: account::of(&id, &attributes),
            span: id,
            tenant: tenant.tenant,
            peer: tenant.peer,
            attributes,
            cuts,
            received_unix_nano: stored.received,
            ..SpanNode::default()
        };
        Ok(SealedSpan { trace: hex::encode(&span.trace_id), node, bytes: readable })
    }

    /// Says of each cut where its bytes are, and whether they were erased. Pieces lie in the payload records one after the
    /// other, each behind its salt and length.
    fn cuts(&mut self, run: &Run, of: Part, cuts: &[Cut], payloads: &[&[u8]]) -> io::Result<Vec<CutLine>> {
        let (mut lines, mut start) = (Vec::with_capacity(cuts.len()), 0);
        for cut in cuts {
            let chunk = usize::try_from(start / CHUNK_BYTES).unwrap_or(usize::MAX);
            start += PIECE_HEAD + u64::from(cut.length);
            let payload = payloads.get(chunk).copied();
            let subject = payload.and_then(|payload| run.subject(payload));
            let erased = match &subject {
                Some(subject) => self.erasures.of(subject, &self.data, &self.prover, &mut self.runs)?,
                None => None,
            };
            self.told.extend(erased.as_ref().map(|(event, _)| *event));
            lines.push(CutLine {
                of,
                bytes: cut.length,
                payload: payload.map(hex::encode),
                subject: subject.map(|subject| hex::encode(&subject)),
                erased: erased.map(|(_, erased)| erased),
            });
        }
        Ok(lines)
    }

    fn context(&mut self, stream: StreamId, index: u64) -> io::Result<Context> {
        let event = EventId { stream, index };
        if let Some(context) = self.resources.get(&event) {
            return Ok(context.clone());
        }
        let run = self.runs.of(stream, index, self.prover.hint(event))?;
        let resource = run.event(index).filter(|found| found.kind == kind::RESOURCE);
        let decoded = resource.and_then(|found| ResourceEvent::decode(found.body).ok());
        let context = match decoded {
            Some(event) => {
                let payloads: Vec<&[u8]> = event.payloads.iter().map(Vec::as_slice).collect();
                let of = if event.what == What::Scope as i32 { Part::Scope } else { Part::Resource };
                let cuts = self.cuts(&run, of, &event.cuts, &payloads)?;
                Context { cuts, ..Context::of(event) }
            }
            None => Context::default(),
        };
        self.resources.insert(event, context.clone());
        Ok(context)
    }
}

impl Context {
    fn of(event: ResourceEvent) -> Self {
        let content = abridge(&event.content, &event.cuts, &|_| "[cut]".to_owned()).unwrap_or_default();
        let resource = Resource::decode(&content[..]).unwrap_or_default();
        let service = resource.attributes.iter().find(|attribute| attribute.key == names::SERVICE_NAME);
        Self {
            service: service.map(|service| values::text(service.value.as_ref())),
            tenant: event.tenant,
            peer: event.peer,
            cuts: Vec::new(),
        }
    }
}

impl<'a> Stored<'a> {
    fn of_span(view: &'a envelope::SpanEventView<'a>) -> Self {
        Self {
            resource: view.resource,
            scope: view.scope,
            tenant: view.tenant,
            received: view.received_unix_nano,
            span: view.span,
            cuts: &view.cuts,
            payloads: view.payloads.iter().map(|id| id.as_slice()).collect(),
        }
    }

    fn of_conflict(event: &'a ConflictEvent) -> Self {
        Self {
            resource: event.resource,
            scope: event.scope,
            tenant: event.tenant,
            received: event.received_unix_nano,
            span: &event.span,
            cuts: &event.cuts,
            payloads: event.payloads.iter().map(Vec::as_slice).collect(),
        }
    }
}

/// What stands in the place of a value that was cut.
fn note(line: &CutLine) -> String {
    let bytes = grouped(line.bytes.into());
    match (&line.erased, &line.payload) {
        (Some(Erased { event, unix_nano, requested_by, legal_basis }), _) => {
            format!("[erased {} at the request of {requested_by} ({legal_basis}), event {event}]", time(*unix_nano))
        }
        (None, Some(payload)) => format!("[cut {bytes} bytes, payload {payload}]"),
        (None, None) => format!("[cut {bytes} bytes]"),
    }
}

/// Writes a verdict down.
pub(super) fn judge(node: &mut SpanNode, assessment: Option<&Assessment>) {
    let Some(assessment) = assessment else { return };
    node.verdict = (assessment.verdict != 0).then(|| verdict_name(assessment.verdict));
    node.grades = account::grades(assessment);
    node.reasons = account::reasons(assessment);
}

fn assessment(stream: StreamId, body: &[u8], other: impl Fn(String, u64, Vec<EventId>) -> Other) -> Explained {
    let Ok(event) = AssessmentEvent::decode(body) else {
        return Explained::Other(other("cannot be read".to_owned(), 0, Vec::new()));
    };
    let target = event.event.as_ref().and_then(|target| resolve(target, stream));
    let assessment = event.assessment.unwrap_or_default();
    let says = format!("verdict {}", verdict_name(assessment.verdict));
    let other = other(says, event.assessed_unix_nano, target.into_iter().collect());
    match target {
        Some(target) => Explained::Assessment(target, assessment, other),
        None => Explained::Other(other),
    }
}

/// Returns what an event says in a few words, its own time if it has one, and the events that it is about.
fn describe(stream: StreamId, event_kind: u8, body: &[u8]) -> (String, u64, Vec<EventId>) {
    let described = match event_kind {
        kind::RESOURCE => ResourceEvent::decode(body).ok().map(|event| (resource_words(&event), 0, Vec::new())),
        kind::EVIDENCE => EvidenceEvent::decode(body)
            .ok()
            .map(|event| (format!("{} with digest {}", event.media_type, hex::encode(&event.digest)), 0, Vec::new())),
        kind::FINDING => FindingEvent::decode(body).ok().map(|event| {
            let about = event.events.iter().filter_map(|about| resolve(about, stream)).collect();
            (format!("{}: {}", event.code, event.message), event.found_unix_nano, about)
        }),
        kind::ERASURE => ErasureEvent::decode(body).ok().map(|event| {
            let subject = hex::encode(&event.subject_id);
            let says =
                format!("key of subject {subject} destroyed for {}, on {}", event.requested_by, event.legal_basis);
            (says, event.erased_unix_nano, Vec::new())
        }),
        kind::GAP | kind::KEY => own_words(event_kind, body),
        _ => Some(("of a kind that this version does not know".to_owned(), 0, Vec::new())),
    };
    described.unwrap_or_else(|| ("cannot be read".to_owned(), 0, Vec::new()))
}

fn resource_words(event: &ResourceEvent) -> String {
    let what = match What::try_from(event.what).unwrap_or(What::Unspecified) {
        What::Resource => {
            let service = Context::of(event.clone()).service.unwrap_or_default();
            return format!("resource of service {service}, tenant {}", event.tenant);
        }
        What::Tenant if event.peer.is_empty() => return format!("tenant {}, not authenticated", event.tenant),
        What::Tenant => return format!("tenant {} from {}", event.tenant, event.peer),
        What::Scope => "instrumentation scope",
        What::Configuration => "assessment configuration",
        What::Unspecified => "unspecified",
    };
    format!("{what} of tenant {}, {} bytes", event.tenant, event.content.len())
}

fn own_words(event_kind: u8, body: &[u8]) -> Option<(String, u64, Vec<EventId>)> {
    let event = [&[event_kind], body].concat();
    if event_kind == kind::GAP {
        let gap = Gap::parse(&event).ok()?;
        let lost = gap.spans_lost.map_or_else(|| "an unknown number of".to_owned(), grouped);
        let says = format!("{:?} of stream {} at index {}: {lost} spans lost", gap.cause, gap.stream, gap.first);
        return Some((says, gap.wall, Vec::new()));
    }
    Some(match KeyEvent::parse(&event).ok()? {
        KeyEvent::Opening(signed) => {
            let epoch = &signed.opening.epoch;
            (format!("epoch {} opened ({:?})", epoch.epoch, epoch.start), signed.opening.wall, Vec::new())
        }
        KeyEvent::Closing(closing) => {
            (format!("epoch {} closed ({:?})", closing.epoch, closing.reason), closing.wall, Vec::new())
        }
    })
}

/// Salt and length before each piece.
const PIECE_HEAD: u64 = 20;
/// Bytes of pieces in one payload record (format.md section 15).
const CHUNK_BYTES: u64 = 896 * 1024;
