//! Trace, caller and leave, over to another process and in from one.

use std::time::Duration;

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, propagation::text_map_propagator::FieldIter};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use serde_json::{Map, Value};
use spanseal_authority::call::{Call, Leave};

use crate::actor::Actor;
use crate::guard::Guard;
use crate::producer::now_seconds;
use crate::sdk::{self, Sdk};

/// The HTTP header that carries the call token.
pub const HEADER: &str = "provenance-delegation";

/// The member of an MCP request's `_meta` that carries it.
pub const META: &str = "dev.spanseal/delegation";

/// Puts the current trace (W3C Trace Context) and the signed call token into a carrier: who calls, for whom, through whom,
/// and the leave of the action around, if there is one. Baggage is left alone: nothing of ours travels in it.
pub fn inject(carrier: &mut dyn Injector) {
    inject_with(sdk::installed().as_ref(), carrier);
}

/// Puts the same into the `_meta` of an MCP request.
pub fn inject_meta(meta: &mut Map<String, Value>) {
    inject(&mut Meta(meta));
}

impl Guard {
    /// As [`inject`], for an SDK that is not installed.
    pub fn inject(&self, carrier: &mut dyn Injector) {
        inject_with(Some(self.sdk()), carrier);
    }

    /// As [`inject_meta`], likewise.
    pub fn inject_meta(&self, meta: &mut Map<String, Value>) {
        self.inject(&mut Meta(meta));
    }
}

fn inject_with(sdk: Option<&Sdk>, carrier: &mut dyn Injector) {
    let context = Context::current();
    TraceContextPropagator::new().inject_context(&context, carrier);
    if let Some(token) = sdk.and_then(|sdk| token(sdk, &context)) {
        carrier.set(HEADER, token);
    }
}

/// The leave of the action around the current code. Travels like [`Actor`].
#[derive(Clone, Debug)]
pub(crate) struct CurrentLeave(pub(crate) Leave);

/// Returns the call token of the current context, if the program has a standing and there is a span to name.
fn token(sdk: &Sdk, context: &Context) -> Option<String> {
    let standing = sdk.producer.standing_now()?;
    let span = context.span().span_context().clone();
    let actor = Actor::in_context(context).unwrap_or_else(|| sdk.producer.actor().clone());
    let standing = standing.of(&actor);
    let now = now_seconds();
    let call = Call {
        audience: standing.audience.to_string(),
        issued_at: now,
        expires: now + HOLDS.as_secs(),
        trace: span.trace_id().to_bytes(),
        span: span.span_id().to_bytes(),
        actor: actor.party().clone(),
        owner: actor.owner_id().map(str::to_owned),
        initiator: actor.initiator().cloned(),
        delegation: actor.delegation().to_vec(),
        business: actor.business_for(&Default::default()),
        leave: context.get::<CurrentLeave>().map(|leave| leave.0.clone()),
        enrolment: standing.enrolment.as_deref().map(str::to_owned),
    };
    (span.is_valid() && actor.unusable_name().is_none()).then(|| call.sign(standing.key.signing()))
}

/// What came in with a call.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// The call token, not checked yet.
    pub token: Option<String>,
}

/// Returns what came in a carrier. Trace and caller are taken from the token once it is checked; W3C headers and baggage,
/// which anybody can write, are not read.
#[must_use]
pub fn extract(carrier: &dyn Extractor) -> Incoming {
    Incoming { token: carrier.get(HEADER).map(str::to_owned) }
}

/// Returns what came in the `_meta` of an MCP request.
#[must_use]
pub fn extract_meta(meta: &Map<String, Value>) -> Incoming {
    Incoming { token: meta.get(META).and_then(Value::as_str).map(str::to_owned) }
}

/// W3C Trace Context, and baggage without anything in our name: for programs that set a global propagator.
#[derive(Debug, Default)]
pub struct Propagator {
    trace: TraceContextPropagator,
    baggage: opentelemetry_sdk::propagation::BaggagePropagator,
}

impl Propagator {
    /// Returns the propagator.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl TextMapPropagator for Propagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.trace.inject_context(context, injector);
        self.baggage.inject_context(&without_ours(context), injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let context = self.trace.extract_with_context(context, extractor);
        without_ours(&self.baggage.extract_with_context(&context, extractor))
    }

    fn fields(&self) -> FieldIter<'_> {
        self.trace.fields() // baggage's one field is well known
    }
}

/// Returns the context without baggage that claims what only signatures may.
fn without_ours(context: &Context) -> Context {
    use opentelemetry::baggage::BaggageExt;
    let baggage = context.baggage();
    let is_ours = |key: &str| key.starts_with("provenance.") || key.starts_with("spanseal.");
    if baggage.iter().all(|(key, _)| !is_ours(key.as_str())) {
        return context.clone();
    }
    let kept = baggage.iter().filter(|(key, _)| !is_ours(key.as_str()));
    let kept: Vec<_> = kept
        .map(|(key, (value, metadata))| {
            opentelemetry::baggage::KeyValueMetadata::new(key.clone(), value.clone(), metadata.clone())
        })
        .collect();
    context.with_cleared_baggage().with_baggage(kept)
}

struct Meta<'a>(&'a mut Map<String, Value>);

impl Injector for Meta<'_> {
    fn set(&mut self, key: &str, value: String) {
        let key = if key == HEADER { META } else { key };
        self.0.insert(key.to_owned(), Value::String(value));
    }
}

/// How long a token may be presented.
const HOLDS: Duration = Duration::from_secs(60);
