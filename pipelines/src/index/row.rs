//! One event as a row: what it says that people search for.

use std::borrow::Cow;

use prost::Message;
use spanseal_authority::approval::Approval;
use spanseal_authority::claims::Claims;
use spanseal_authority::mirrors::{Mirror, approval_mirrors, mirrors};
use spanseal_ledger::gap::Gap;
use spanseal_ledger::key_event::KeyEvent;
use spanseal_schemas::event::{
    AssessmentEvent, ConflictEvent, Cut, ErasureEvent, EventRef, EvidenceEvent, FindingEvent, ResourceEvent, What,
};
use spanseal_schemas::scan::{self, AnyValue};
use spanseal_schemas::{cut, envelope, kind, names};

use super::store::{EventRow, SubjectRow};
use super::value::Value;
use crate::facet::Facet;

/// What a row takes from other rows.
pub(super) trait Rows {
    /// Returns the row of a resource event of the same stream, and the service that it names.
    fn resource(&mut self, index: u64) -> rusqlite::Result<Option<Resource>>;
    /// Returns the row of an event, if it is indexed.
    fn event(&mut self, event: &EventRef) -> rusqlite::Result<Option<i64>>;
    /// Returns under whose key a payload record of the batch is, and its bytes.
    fn payload(&self, id: &[u8]) -> Option<([u8; 16], u64)>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) row: i64,
    pub(super) service: Option<String>,
}

/// Returns an event's row. One that cannot be read has a row all the same, with its kind alone: nothing is hidden.
///
/// `wall` is its batch's time, for events that have none of their own.
pub(super) fn of(kind: u8, body: &[u8], wall: u64, rows: &mut impl Rows) -> rusqlite::Result<EventRow> {
    let row = match kind {
        kind::SPAN => span(body, rows)?,
        kind::RESOURCE => ResourceEvent::decode(body).ok().map(|event| resource(&event, rows)),
        kind::EVIDENCE => EvidenceEvent::decode(body).ok().map(evidence),
        kind::ASSESSMENT => AssessmentEvent::decode(body).ok().map(|event| assessment(event, rows)).transpose()?,
        kind::CONFLICT => ConflictEvent::decode(body).ok().map(|event| conflict(event, rows)).transpose()?,
        kind::FINDING => FindingEvent::decode(body).ok().map(|event| finding(event, rows)).transpose()?,
        kind::ERASURE => ErasureEvent::decode(body).ok().map(erasure),
        kind::GAP | kind::KEY => own(kind, body),
        _ => None,
    };
    let mut row = row.unwrap_or_default();
    row.kind = kind;
    if row.start == 0 {
        row.start = wall;
    }
    Ok(row)
}

fn span(body: &[u8], rows: &mut impl Rows) -> rusqlite::Result<Option<EventRow>> {
    let Ok(event) = envelope::view(body) else { return Ok(None) };
    let mut row = sealed_span(event.span, &event.cuts);
    row.received = Some(event.received_unix_nano);
    row.verdict = Some(event.assessment.as_ref().map_or(0, |assessment| assessment.verdict));
    row.subjects = subjects(event.payloads.iter().map(|id| id.as_slice()), rows);
    from_resource(&mut row, event.resource, rows)?;
    Ok(Some(row))
}

fn conflict(event: ConflictEvent, rows: &mut impl Rows) -> rusqlite::Result<EventRow> {
    let mut row = sealed_span(&event.span, &event.cuts);
    row.received = Some(event.received_unix_nano);
    row.subjects = subjects(event.payloads.iter().map(Vec::as_slice), rows);
    if let Some(first) = &event.first {
        row.about.extend(rows.event(first)?);
    }
    from_resource(&mut row, event.resource, rows)?;
    Ok(row)
}

fn from_resource(row: &mut EventRow, index: u64, rows: &mut impl Rows) -> rusqlite::Result<()> {
    if let Some(resource) = rows.resource(index)? {
        row.resource = Some(resource.row);
        row.service = resource.service;
    }
    Ok(())
}

/// Returns what an event that lists these payload records has under whose keys.
fn subjects<'i>(ids: impl Iterator<Item = &'i [u8]>, rows: &impl Rows) -> Vec<SubjectRow> {
    let mut subjects: Vec<SubjectRow> = Vec::new();
    for (subject, bytes) in ids.filter_map(|id| rows.payload(id)) {
        match subjects.iter_mut().find(|row| row.subject == subject) {
            Some(row) => (row.records, row.bytes) = (row.records + 1, row.bytes + bytes),
            None => subjects.push(SubjectRow { subject, records: 1, bytes }),
        }
    }
    subjects
}

/// Reads the fields and attributes of a span as it is stored.
fn sealed_span(stored: &[u8], cuts: &[Cut]) -> EventRow {
    let mut row = EventRow::default();
    let Some(readable) = readable(stored, cuts) else { return row };
    let mut gathered = Gathered::default();
    let Ok(facts) = scan::span(&readable, &mut |key, value| gathered.attribute(key, &value)) else { return row };
    gathered.into_row(&mut row);
    row.trace = facts.trace_id.try_into().ok();
    row.span = facts.span_id.try_into().ok();
    row.parent = facts.parent_span_id.try_into().ok();
    row.name = (!facts.name.starts_with('\0')).then(|| facts.name.to_owned());
    row.start = facts.start_unix_nano;
    row.end = Some(facts.end_unix_nano);
    row.status = Some(facts.status_code);
    row
}

fn readable<'a>(stored: &'a [u8], cuts: &[Cut]) -> Option<Cow<'a, [u8]>> {
    if cuts.is_empty() { Some(Cow::Borrowed(stored)) } else { cut::view(stored, cuts).ok().map(Cow::Owned) }
}

fn resource(event: &ResourceEvent, rows: &impl Rows) -> EventRow {
    let subjects = subjects(event.payloads.iter().map(Vec::as_slice), rows);
    let mut row = EventRow { subjects, ..EventRow::default() };
    let what = What::try_from(event.what).unwrap_or(What::Unspecified);
    row.name = Some(what_name(what, event));
    if what != What::Resource {
        return row;
    }
    let mut gathered = Gathered::default();
    let content = readable(&event.content, &event.cuts).unwrap_or_default();
    // One that cannot be read to its end still gives what came before.
    let _ = scan::attributes(&content, 1, &mut |key, value| {
        if let (names::SERVICE_NAME, AnyValue::String(service), None) = (key, &value, &row.service)
            && !service.starts_with('\0')
        {
            row.service = Some((*service).to_owned());
        }
        gathered.attribute(key, &value);
    });
    gathered.into_row(&mut row);
    row
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

fn evidence(event: EvidenceEvent) -> EventRow {
    EventRow { name: Some(event.media_type), ..EventRow::default() }
}

fn assessment(event: AssessmentEvent, rows: &mut impl Rows) -> rusqlite::Result<EventRow> {
    let mut row = EventRow { start: event.assessed_unix_nano, ..EventRow::default() };
    row.verdict = event.assessment.map(|assessment| assessment.verdict);
    if let Some(assessed) = &event.event {
        row.about.extend(rows.event(assessed)?);
    }
    Ok(row)
}

fn finding(event: FindingEvent, rows: &mut impl Rows) -> rusqlite::Result<EventRow> {
    let mut row = EventRow { name: Some(event.code), start: event.found_unix_nano, ..EventRow::default() };
    for concerned in &event.events {
        row.about.extend(rows.event(concerned)?);
    }
    Ok(row)
}

fn erasure(event: ErasureEvent) -> EventRow {
    let subject = event.subject_id.as_slice().try_into().ok();
    let subjects = subject.map(|subject| SubjectRow { subject, records: 0, bytes: 0 }).into_iter().collect();
    EventRow { name: Some(event.requested_by), start: event.erased_unix_nano, subjects, ..EventRow::default() }
}

/// The ledger's own kinds, of which the layout is fixed.
fn own(kind: u8, body: &[u8]) -> Option<EventRow> {
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
    Some(EventRow { name: Some(name), start, ..EventRow::default() })
}

/// Attributes on their way into a row.
#[derive(Default)]
struct Gathered {
    attributes: Vec<(String, Value)>,
    /// Each facet's best rank so far and its value.
    facets: [Option<(usize, String)>; Facet::ALL.len()],
}

impl Gathered {
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
            (names::PROVENANCE_RESULT, _) => {}
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
            AnyValue::Bool(value) => self.push(key, Value::bool(*value)),
            AnyValue::Int(number) => self.push(key, Value::Int(*number)),
            AnyValue::Double(number) => self.push(key, Value::real(*number)),
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
        if text.len() > SEARCHED_BYTES_MAX {
            return;
        }
        if let Some((facet, rank)) = Facet::of_key(key) {
            let best = &mut self.facets[facet.ordinal()];
            if best.as_ref().is_none_or(|(held, _)| rank < *held) {
                *best = Some((rank, text.to_owned()));
            }
        }
        self.push(key, Value::text(text));
    }

    fn push(&mut self, key: &str, value: Value) {
        if self.attributes.len() < ATTRIBUTES_MAX && key.len() <= KEY_BYTES_MAX {
            self.attributes.push((key.to_owned(), value));
        }
    }

    fn into_row(self, row: &mut EventRow) {
        row.attributes = self.attributes;
        row.facets = self.facets.map(|best| best.map(|(_, value)| value));
    }
}

/// Attributes of one span that are searchable; OpenTelemetry's SDKs stop at 128.
const ATTRIBUTES_MAX: usize = 512;
const ELEMENTS_MAX: usize = 64;
const KEY_BYTES_MAX: usize = 255;
/// Longer texts are contents (prompts, answers), not names: nobody searches for all of one.
const SEARCHED_BYTES_MAX: usize = 4096;
