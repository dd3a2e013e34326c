//! Turns a request into a parcel: spans found and checked, actions assessed, cuts made.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spanseal_authority::{Attributes, Authority, Observed};
use spanseal_schemas::cut::Shape;
use spanseal_schemas::event::{Assessment, What};
use spanseal_schemas::names;
use spanseal_schemas::scan::{self, AnyValue, ScannedResource, ScannedScope, SpanFacts};
use tokio::sync::oneshot;

use super::cutting::{Cutting, SharedMessage, Whose};
use super::fingerprint::{Fingerprints, SpanIds};
use super::parcel::{Answer, Content, CutMessage, Extra, Parcel, ParcelSpan, Shared};
use super::rejection::{CUT_MESSAGES_MAX, Rejection, Rejections, SCHEMA_URL_BYTES_MAX};
use crate::intake::{BudgetPermit, Received, Refusal, Tenant};

/// Everything that scanning needs beside the request.
pub(crate) struct Scanner {
    pub(crate) fingerprints: Fingerprints,
    /// That spans are shared out to.
    pub(crate) streams: NonZeroUsize,
    pub(crate) cutting: Cutting,
    pub(crate) authority: Arc<Authority>,
    /// The assessment configuration in force, as it is sealed.
    pub(crate) configuration: Bytes,
}

impl Scanner {
    /// Returns the request as the stream's thread takes it, to be answered through `answer`.
    ///
    /// # Errors
    /// When the whole request is malformed, or its spans take more memory than is left.
    pub(crate) fn parcel(&self, received: Received, answer: oneshot::Sender<Answer>) -> Result<Parcel, Refusal> {
        let Received { request, encoding, tenant, received_unix_nano, mut budget } = received;
        if tenant.name.len() + tenant.peer.len() > TENANT_BYTES_MAX {
            return Err(Refusal::Invalid(format!("tenant and peer take more than {TENANT_BYTES_MAX} bytes")));
        }
        let resources = scan::request(&request).map_err(|error| Refusal::Invalid(error.to_string()))?;
        pay(&mut budget, request.len(), &resources)?;
        let mut sorting = Sorting {
            scanner: self,
            request: &request,
            tenant: &tenant,
            received_unix_nano,
            shared: Vec::new(),
            places: HashMap::new(),
            attributes: Attributes::new(),
            assessments: Vec::new(),
            spans: Vec::new(),
            cut: 0,
            rejections: Rejections::default(),
        };
        for resource in &resources {
            sorting.resource(resource);
        }
        let Sorting { shared, assessments, spans, rejections, .. } = sorting;
        drop(resources);
        if rejections.is_transient() {
            return Err(Refusal::Busy { retry_after: NO_RANDOMNESS_RETRY_AFTER });
        }
        Ok(Parcel {
            encoding,
            received_unix_nano,
            configuration: self.whole(What::Configuration, &tenant, self.configuration.clone()),
            tenant: self.whole(What::Tenant, &tenant, Bytes::new()),
            shared,
            assessments: assessments.into(),
            spans,
            rejected: rejections.rejected(),
            budget: budget.map(Arc::new),
            bytes: request.len(),
            answer,
            request,
        })
    }

    fn whole(&self, what: What, tenant: &Arc<Tenant>, content: Bytes) -> Shared {
        let print = self.fingerprints.shared(self.fingerprints.content(what, b"", &content), tenant);
        Shared { what, print, tenant: tenant.clone(), schema_url: Bytes::new(), content: Content::Whole(content) }
    }
}

/// Takes from the budget what the spans will take beside the request's bytes, before that is allocated.
///
/// Of most requests it is below a quarter of their bytes, and nothing is taken. A request that is alone always has room: the
/// budget is at least four times the largest request, of which large ones may take seven eighths.
fn pay(
    budget: &mut Option<BudgetPermit>,
    request_bytes: usize,
    resources: &[ScannedResource<'_>],
) -> Result<(), Refusal> {
    let spans: usize = resources.iter().flat_map(|resource| &resource.scopes).map(|scope| scope.spans.len()).sum();
    let kept = spans.min(request_bytes / SPAN_BYTES_MIN);
    let surplus = (kept * SPAN_MEMORY_BYTES).saturating_sub(request_bytes / 4);
    match budget {
        Some(budget) if surplus > 0 => {
            budget.grow(surplus as u64).map_err(|_| Refusal::Busy { retry_after: NO_ROOM_RETRY_AFTER })
        }
        _ => Ok(()),
    }
}

/// One request being sorted into a parcel.
struct Sorting<'a> {
    scanner: &'a Scanner,
    request: &'a Bytes,
    tenant: &'a Arc<Tenant>,
    received_unix_nano: u64,
    shared: Vec<Shared>,
    /// By the fingerprint of the content.
    places: HashMap<u128, Place>,
    /// Those of the span at hand; kept for their memory.
    attributes: Attributes<'a>,
    assessments: Vec<Assessment>,
    spans: Vec<ParcelSpan>,
    /// Spans, resources and scopes that were cut.
    cut: usize,
    rejections: Rejections,
}

/// Where a resource or scope stands in the parcel, and the fingerprint of its content.
#[derive(Clone, Copy)]
struct Place {
    at: u32,
    content: u128,
}

/// What the spans of one scope have in common.
struct Under<'a> {
    service: &'a str,
    resource: Place,
    scope: Place,
}

impl<'a> Sorting<'a> {
    fn resource(&mut self, resource: &ScannedResource<'a>) {
        let spans = resource.scopes.iter().map(|scope| scope.spans.len()).sum();
        if spans == 0 {
            return;
        }
        let message = SharedMessage { shape: Shape::Resource, content: &resource.resource };
        let under = self.place(&message, resource.schema_url).and_then(|place| Ok((place, service(resource)?)));
        match under {
            Ok((place, service)) => resource.scopes.iter().for_each(|scope| self.scope(scope, service, place)),
            Err(rejection) => self.rejections.note_all(spans, &rejection),
        }
    }

    fn scope(&mut self, scope: &ScannedScope<'a>, service: &str, resource: Place) {
        if scope.spans.is_empty() {
            return;
        }
        let message = SharedMessage { shape: Shape::Scope, content: &scope.scope };
        let place = match self.place(&message, scope.schema_url) {
            Ok(place) => place,
            Err(rejection) => return self.rejections.note_all(scope.spans.len(), &rejection),
        };
        let under = Under { service, resource, scope: place };
        self.spans.reserve(scope.spans.len());
        for span in &scope.spans {
            match self.span(span, &under) {
                Ok(span) => {
                    self.spans.push(span);
                    self.rejections.pass();
                }
                Err(rejection) => self.rejections.note(&rejection),
            }
        }
    }

    /// Returns the place of a resource or scope, put there when it is new.
    fn place(&mut self, message: &SharedMessage<'_>, schema_url: &str) -> Result<Place, Rejection> {
        if schema_url.len() > SCHEMA_URL_BYTES_MAX {
            return Err(Rejection::SchemaUrl { bytes: schema_url.len() });
        }
        let Self { scanner, request, tenant, shared, places, cut, .. } = self;
        let what = message.what();
        let content = scanner.fingerprints.content(what, schema_url.as_bytes(), message.content);
        let vacant = match places.entry(content) {
            Entry::Occupied(known) => return Ok(*known.get()),
            Entry::Vacant(vacant) => vacant,
        };
        let cut = count_cut(cut, scanner.cutting.shared(message, schema_url, tenant, content)?)?;
        shared.push(Shared {
            what,
            print: scanner.fingerprints.shared(content, tenant),
            tenant: (*tenant).clone(),
            schema_url: shared_bytes(request, schema_url.as_bytes()),
            content: match cut {
                None => Content::Whole(shared_bytes(request, message.content)),
                Some(cut) => Content::Cut(Arc::new(cut)),
            },
        });
        Ok(*vacant.insert(Place { at: (shared.len() - 1) as u32, content }))
    }

    fn span(&mut self, span: &'a [u8], under: &Under<'_>) -> Result<ParcelSpan, Rejection> {
        let Self { scanner, request, tenant, attributes, cut, .. } = self;
        attributes.clear();
        let wants = |key: &[u8]| scanner.authority.wants(key);
        let facts = scan::span_of(span, &wants, &mut |key, value| {
            if wants(key.as_bytes()) {
                attributes.push(key, value);
            }
        })?;
        let ids = ids(&facts, &tenant.name)?;
        let assessed = scanner.authority.assess(&Observed {
            received_unix_nano: self.received_unix_nano,
            tenant: &tenant.name,
            peer: &tenant.peer,
            trace_id: facts.trace_id,
            span_id: facts.span_id,
            parent_span_id: facts.parent_span_id,
            name: facts.name,
            start_unix_nano: facts.start_unix_nano,
            end_unix_nano: facts.end_unix_nano,
            service: under.service,
            attributes,
        });
        let (assessment, producer) = (assessed.assessment(), assessed.producer);
        let whose = Whose { tenant: &tenant.name, trace_id: ids.trace_id };
        let cut = count_cut(cut, scanner.cutting.span(span, &whose, assessment.as_ref())?)?;
        let plain = producer.is_none() && cut.is_none();
        Ok(ParcelSpan {
            fingerprint: scanner.fingerprints.span(&ids, under.resource.content, under.scope.content, span),
            span: range_in(request, span).ok_or(Rejection::Elsewhere)?,
            stream: scanner.fingerprints.stream(ids.trace_id, scanner.streams),
            resource: under.resource.at,
            scope: under.scope.at,
            assessment: assessment.and_then(|assessment| number_of(assessment, &mut self.assessments)),
            extra: (!plain).then(|| Box::new(Extra { producer, cut })),
        })
    }
}

/// Counts a message that was cut, unless there are too many.
fn count_cut(so_far: &mut usize, cut: Option<CutMessage>) -> Result<Option<CutMessage>, Rejection> {
    if cut.is_some() {
        if *so_far == CUT_MESSAGES_MAX {
            return Err(Rejection::TooManyCut);
        }
        *so_far += 1;
    }
    Ok(cut)
}

/// Returns the number, from 1, of an assessment among a request's, put there if it is not one of the last few.
///
/// Most spans of a request are judged as another one was; kept once, they need not be freed one by one by another thread.
fn number_of(assessment: Assessment, assessments: &mut Vec<Assessment>) -> Option<NonZeroU32> {
    let known = assessments.iter().rev().take(ASSESSMENTS_COMPARED).position(|known| *known == assessment);
    let number = known.map(|back| assessments.len() - back).unwrap_or_else(|| {
        assessments.push(assessment);
        assessments.len()
    });
    NonZeroU32::new(number as u32)
}

/// Returns the resource's `service.name`; the last one, as for a map.
fn service<'a>(resource: &'a ScannedResource<'_>) -> Result<&'a str, Rejection> {
    let mut service = "";
    scan::attributes(&resource.resource, RESOURCE_ATTRIBUTES, &mut |key, value| {
        if let (names::SERVICE_NAME, AnyValue::String(name)) = (key, value) {
            service = name;
        }
    })?;
    Ok(service)
}

fn ids<'a>(facts: &SpanFacts<'a>, tenant: &'a str) -> Result<SpanIds<'a>, Rejection> {
    let bytes = facts.trace_id.len();
    let trace_id: &[u8; 16] = facts.trace_id.try_into().map_err(|_| Rejection::TraceIdLength { bytes })?;
    let bytes = facts.span_id.len();
    let span_id: &[u8; 8] = facts.span_id.try_into().map_err(|_| Rejection::SpanIdLength { bytes })?;
    match (trace_id, span_id, facts.parent_span_id.len()) {
        ([0, .., 0], _, _) if *trace_id == [0; 16] => Err(Rejection::TraceIdZero),
        (_, [0, .., 0], _) if *span_id == [0; 8] => Err(Rejection::SpanIdZero),
        (_, _, 0 | 8) => Ok(SpanIds { tenant, trace_id, span_id }),
        (_, _, bytes) => Err(Rejection::ParentIdLength { bytes }),
    }
}

/// Returns the bytes without a copy when they lie in the request.
fn shared_bytes(request: &Bytes, part: &[u8]) -> Bytes {
    match range_in(request, part) {
        Some(range) => request.slice(range.start as usize..range.end as usize),
        None => Bytes::copy_from_slice(part),
    }
}

/// Returns where in the request a part of it lies.
fn range_in(request: &Bytes, part: &[u8]) -> Option<Range<u32>> {
    let start = (part.as_ptr() as usize).checked_sub(request.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    let inside = end <= request.len();
    Some(Range { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? }).filter(|_| inside)
}

const NO_RANDOMNESS_RETRY_AFTER: Duration = Duration::from_secs(1);
const ASSESSMENTS_COMPARED: usize = 8;
const NO_ROOM_RETRY_AFTER: Duration = Duration::from_secs(1);
/// A span with its two ids and nothing else; smaller ones are refused.
const SPAN_BYTES_MIN: usize = 2 + 18 + 10;
/// What a span takes while it is scanned, and until it is sealed.
const SPAN_MEMORY_BYTES: usize = size_of::<&[u8]>() + size_of::<ParcelSpan>();
const RESOURCE_ATTRIBUTES: u32 = 1;
/// Names stand whole in every resource event.
const TENANT_BYTES_MAX: usize = 16 * 1024;
