//! What one event says that people search for and see in lists, read from its bytes.

use std::borrow::Cow;

use prost::Message;
use spanseal_authority::approval::Approval;
use spanseal_authority::claims::Claims;
use spanseal_authority::mirrors::{Mirror, approval_mirrors, mirrors};
use spanseal_ledger::Hash;
use spanseal_ledger::gap::Gap;
use spanseal_ledger::key_event::KeyEvent;
use spanseal_schemas::event::{
    AssessmentEvent, ConflictEvent, Cut, ErasureEvent, EventRef, EvidenceEvent, FindingEvent, ResourceEvent, What,
};
use spanseal_schemas::scan::{self, AnyValue};
use spanseal_schemas::{cut, envelope, kind, names};

use super::value::Value;

/// What an event says beside its attributes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) kind: u8,
    pub(crate) trace: Option<[u8; 16]>,
    pub(crate) span: Option<[u8; 8]>,
    pub(crate) parent: Option<[u8; 8]>,
    /// Index of the resource event, whose attributes are the span's as well.
    pub(crate) resource: Option<u64>,
    /// Index of the event that holds its scope.
    pub(crate) scope: Option<u64>,
    pub(crate) received: Option<u64>,
    /// Of the span; of other events, their own time.
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
    pub(crate) status: Option<i32>,
    pub(crate) verdict: Option<i32>,
    pub(crate) name: Option<String>,
    /// That a resource event names.
    pub(crate) service: Option<String>,
    /// Events that this one is about: a verdict's span, a conflict's first.
    pub(crate) about: Vec<EventRef>,
    /// Payload records with what was cut from it.
    pub(crate) payloads: Vec<Hash>,
    /// The subject whose key it says was destroyed.
    pub(crate) erased: Option<[u8; 16]>,
}

impl Said {
    /// Returns the indices of the events that hold its resource and its scope.
    pub(crate) fn shared(&self) -> impl Iterator<Item = u64> {
        self.resource.into_iter().chain(self.scope)
    }
}

/// Is called with each attribute that can be searched for, of the span, or of the resource when the event is one.
pub(crate) type OnAttribute<'v> = &'v mut dyn FnMut(&str, Value<'_>);

/// Reads an event. One that cannot be read says its kind all the same: nothing is hidden.
///
/// `wall` is its batch's time, for events that have none of their own.
pub(crate) fn read(kind: u8, body: &[u8], wall: u64, on_attribute: OnAttribute<'_>) -> Said {
    let attributes = Attributes { left: ATTRIBUTES_MAX, each: on_attribute };
    let said = match kind {
        kind::SPAN => span(body, attributes),
        kind::RESOURCE => ResourceEvent::decode(body).ok().map(|event| resource(&event, attributes)),
        kind::EVIDENCE => EvidenceEvent::decode(body).ok().map(evidence),
        kind::ASSESSMENT => AssessmentEvent::decode(body).ok().map(assessment),
        kind::CONFLICT => ConflictEvent::decode(body).ok().map(|event| conflict(event, attributes)),
        kind::FINDING => FindingEvent::decode(body).ok().map(finding),
        kind::ERASURE => ErasureEvent::decode(body).ok().map(erasure),
        kind::GAP | kind::KEY => own(kind, body),
        _ => None,
    };
    let mut said = said.unwrap_or_default();
    said.kind = kind;
    if said.start == 0 {
        said.start = wall;
    }
    said
}

fn span(body: &[u8], attributes: Attributes<'_>) -> Option<Said> {
    let event = envelope::view(body).ok()?;
    let mut said = sealed_span(event.span, &event.cuts, attributes);
    said.received = Some(event.received_unix_nano);
    said.verdict = Some(event.assessment.as_ref().map_or(0, |assessment| assessment.verdict));
    (said.resource, said.scope) = (Some(event.resource), Some(event.scope));
    said.payloads = event.payloads.iter().map(|id| **id).collect();
    Some(said)
}

fn conflict(event: ConflictEvent, attributes: Attributes<'_>) -> Said {
    let mut said = sealed_span(&event.span, &event.cuts, attributes);
    said.received = Some(event.received_unix_nano);
    (said.resource, said.scope) = (Some(event.resource), Some(event.scope));
    said.payloads = hashes(&event.payloads);
    said.about.extend(event.first);
    said
}

fn hashes(ids: &[Vec<u8>]) -> Vec<Hash> {
    ids.iter().filter_map(|id| id.as_slice().try_into().ok()).collect()
}

/// Reads the fields and attributes of a span as it is stored.
fn sealed_span(stored: &[u8], cuts: &[Cut], mut attributes: Attributes<'_>) -> Said {
    let mut said = Said::default();
    let Some(readable) = readable(stored, cuts) else { return said };
    let Ok(facts) = scan::span(&readable, &mut |key, value| attributes.attribute(key, &value)) else { return said };
    said.trace = facts.trace_id.try_into().ok();
    said.span = facts.span_id.try_into().ok();
    said.parent = facts.parent_span_id.try_into().ok();
    said.name = (!facts.name.starts_with('\0')).then(|| facts.name.to_owned());
    said.start = facts.start_unix_nano;
    said.end = Some(facts.end_unix_nano);
    said.status = Some(facts.status_code);
    said
}

fn readable<'a>(stored: &'a [u8], cuts: &[Cut]) -> Option<Cow<'a, [u8]>> {
    if cuts.is_empty() { Some(Cow::Borrowed(stored)) } else { cut::view(stored, cuts).ok().map(Cow::Owned) }
}

fn resource(event: &ResourceEvent, mut attributes: Attributes<'_>) -> Said {
    let what = What::try_from(event.what).unwrap_or(What::Unspecified);
    let mut said = Said { name: Some(what_name(what, event)), payloads: hashes(&event.payloads), ..Said::default() };
    if what != What::Resource {
        return said;
    }
    let content = readable(&event.content, &event.cuts).unwrap_or_default();
    // One that cannot be read to its end still gives what came before.
    let _ = scan::attributes(&content, 1, &mut |key, value| {
        if let (names::SERVICE_NAME, AnyValue::String(service), None) = (key, &value, &said.service)
            && !service.starts_with('\0')
        {
            said.service = Some((*service).to_owned());
        }
        attributes.attribute(key, &value);
    });
    said
}

fn what_name(what: What, event: &ResourceEvent) -> String {
    match what {
        What::Tenant if event.peer.is_empty() => format!("tenant {}", event.tenant),
        What::Tenant => format!("tenant {} from {}", event.tenant, event.peer),
        What::Resource => "resource".to_owned(),
        What::Scope => "scope".to_owned(),
        What::Configuration => "configuration".to_owned(),
        What::Unspecified => "unspecified".to_owned(),
    }
}

fn evidence(event: EvidenceEvent) -> Said {
    Said { name: Some(event.media_type), ..Said::default() }
}

fn assessment(event: AssessmentEvent) -> Said {
    let verdict = event.assessment.map(|assessment| assessment.verdict);
    Said { start: event.assessed_unix_nano, verdict, about: event.event.into_iter().collect(), ..Said::default() }
}

fn finding(event: FindingEvent) -> Said {
    Said { name: Some(event.code), start: event.found_unix_nano, about: event.events, ..Said::default() }
}

fn erasure(event: ErasureEvent) -> Said {
    let erased = event.subject_id.as_slice().try_into().ok();
    Said { name: Some(event.requested_by), start: event.erased_unix_nano, erased, ..Said::default() }
}

/// The ledger's own kinds, of which the layout is fixed.
fn own(kind: u8, body: &[u8]) -> Option<Said> {
    let event = [&[kind], body].concat();
    let (name, start) = if kind == kind::GAP {
        let gap = Gap::parse(&event).ok()?;
        (format!("gap: {:?}", gap.cause), gap.wall)
    } else {
        match KeyEvent::parse(&event).ok()? {
            KeyEvent::Opening(signed) => (format!("epoch {} opened", signed.opening.epoch.epoch), signed.opening.wall),
            KeyEvent::Closing(closing) => (format!("epoch {} closed", closing.epoch), closing.wall),
        }
    };
    Some(Said { name: Some(name), start, ..Said::default() })
}

/// Attributes on their way to whoever searches or shows them.
struct Attributes<'v> {
    left: usize,
    each: OnAttribute<'v>,
}

impl Attributes<'_> {
    fn attribute(&mut self, key: &str, value: &AnyValue<'_>) {
        match (key, value) {
            (names::PROVENANCE_CLAIMS, AnyValue::String(token)) => {
                if let Ok(claims) = Claims::read_unverified(token) {
                    mirrors(&claims, &mut |name, mirror| self.mirror(name, mirror));
                }
            }
            (names::PROVENANCE_APPROVAL_STATEMENT, AnyValue::String(token)) => {
                if let Ok(approval) = Approval::read_unverified(token) {
                    approval_mirrors(&approval, &mut |name, mirror| self.mirror(name, mirror));
                }
            }
            (names::PROVENANCE_CLOSING | names::PROVENANCE_END, _) => {}
            (_, AnyValue::Array(array)) => {
                let mut elements = 0;
                let _ = scan::elements(array, &mut |element| {
                    elements += 1;
                    if elements <= ELEMENTS_MAX {
                        self.scalar(key, &element);
                    }
                });
            }
            _ => self.scalar(key, value),
        }
    }

    fn scalar(&mut self, key: &str, value: &AnyValue<'_>) {
        match value {
            // A hole reads as zero bytes: what was cut out is not searched for.
            AnyValue::String(text) if text.starts_with('\0') => {}
            AnyValue::String(text) => self.text(key, text),
            AnyValue::Bool(value) => self.push(key, Value::Bool(*value)),
            AnyValue::Int(number) => self.push(key, Value::Int(*number)),
            AnyValue::Double(number) => self.push(key, Value::Real(*number)),
            AnyValue::Empty | AnyValue::Bytes(_) | AnyValue::Array(_) | AnyValue::KvList(_) => {}
        }
    }

    fn mirror(&mut self, key: &str, mirror: Mirror<'_>) {
        match mirror {
            Mirror::Text(text) => self.text(key, text),
            Mirror::Texts(texts) => texts.iter().for_each(|text| self.text(key, text)),
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        if text.len() <= SEARCHED_BYTES_MAX {
            self.push(key, Value::text(text));
        }
    }

    fn push(&mut self, key: &str, value: Value<'_>) {
        if self.left > 0 && key.len() <= KEY_BYTES_MAX {
            self.left -= 1;
            (self.each)(key, value);
        }
    }
}

/// Attributes of one span that are searchable; OpenTelemetry's SDKs stop at 128.
const ATTRIBUTES_MAX: usize = 512;
const ELEMENTS_MAX: usize = 64;
const KEY_BYTES_MAX: usize = 255;
/// Longer texts are contents (prompts, answers), not names: nobody searches for all of one.
const SEARCHED_BYTES_MAX: usize = 4096;
