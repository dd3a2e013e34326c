//! The one place that faces opentelemetry's processor and exporter traits, which change between releases.
//!
//! Nothing here may use `tracing`: inside a processor it deadlocks or recurses.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::trace::{Span as _, TraceContextExt};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use prost::Message;
use spanseal_authority::action::Action;
use spanseal_authority::claims::Business;
use spanseal_authority::is_text;
use spanseal_schemas::names;
use tokio::sync::oneshot;

use crate::actor::Actor;
use crate::delivery::Lane;
use crate::producer::{Belongings, Producer, Statement};
use crate::random::random;

/// Puts the signed claims onto spans as they end, after taking away every `provenance.*` and `spanseal.*` attribute that
/// the application set: so claims cannot be forged, doubled, or crowded out by a limit on attributes. What carries claims
/// goes into the lane for evidence, all else on.
#[derive(Debug)]
pub(crate) struct Provenance<P> {
    next: P,
    producer: Arc<Producer>,
    lane: Arc<Lane>,
    resource: ResourceAttributesWithSchema,
}

impl<P> Provenance<P> {
    pub(crate) fn new(next: P, producer: Arc<Producer>, lane: Arc<Lane>) -> Self {
        Self { next, producer, lane, resource: ResourceAttributesWithSchema::default() }
    }

    fn deliver(&self, span: SpanData, confirm: Option<oneshot::Sender<Result<(), String>>>) {
        let resource_spans = vec![ResourceSpans::new(span, &self.resource)];
        let request = ExportTraceServiceRequest { resource_spans };
        self.lane.take(request.encode_to_vec().into(), confirm);
    }
}

impl<P: SpanProcessor> SpanProcessor for Provenance<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        let belongings =
            Belongings::Plain { actor: Actor::in_context(context), parent: context.span().span_context().span_id() };
        self.producer.pending.put(span.span_context().span_id(), belongings);
        self.next.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        let belongings = self.producer.pending.take(span.span_context.span_id());
        if matches!(belongings, Some(Belongings::Discarded)) {
            return;
        }
        span.attributes.retain(|attribute| !is_reserved(attribute.key.as_str()));
        let mut confirmed = None;
        let signed = match belongings {
            Some(Belongings::Signed { attributes, confirm }) => {
                confirmed = confirm;
                attributes
            }
            Some(Belongings::Action(signed)) => {
                one_tool_name(&mut span.attributes);
                let (started, attributes) = signed.end();
                span.start_time = started.unwrap_or(span.start_time);
                attributes
            }
            Some(Belongings::Plain { actor: Some(actor), .. }) => sign_plain(&self.producer, &actor, &mut span),
            _ => sign_plain(&self.producer, self.producer.actor(), &mut span),
        };
        if signed.is_empty() {
            self.producer.ended.fetch_add(1, Ordering::Relaxed);
            return self.next.on_end(span);
        }
        span.attributes.extend(signed);
        self.deliver(span, confirmed);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
        self.next.set_resource(resource);
    }
}

fn is_reserved(key: &str) -> bool {
    key.starts_with("provenance.") || key.starts_with("spanseal.")
}

/// Signs for a span that is an action by its plain attributes, made by whatever library: who acted and with which tool.
/// Nothing is known of a decision, and the claims say none.
fn sign_plain(producer: &Producer, actor: &Actor, span: &mut SpanData) -> Vec<KeyValue> {
    let Some(kind) = span.attributes.iter().find_map(action_kind) else { return Vec::new() };
    let (Ok(salt), Some(standing)) = (random(), producer.standing_now()) else { return Vec::new() };
    let tool = one_tool_name(&mut span.attributes).filter(|tool| is_text(tool));
    let signed = producer.sign(Statement {
        standing: &standing.of(actor),
        span: &span.span_context,
        authorize: None,
        parent: span.parent_span_id,
        actor,
        action: Action { kind: kind.to_owned(), target: None, tool, arguments: None, salt },
        business: actor.business_for(&Business::default()),
        policy: None,
        approval: None,
        path: Vec::new(),
        refused: None,
    });
    signed.map(|signed| signed.attributes).unwrap_or_default()
}

fn action_kind(attribute: &KeyValue) -> Option<&'static str> {
    let Value::String(value) = &attribute.value else { return None };
    match (attribute.key.as_str(), value.as_str()) {
        (names::GEN_AI_OPERATION_NAME, "execute_tool") => Some("execute_tool"),
        (names::GEN_AI_OPERATION_NAME, "invoke_agent") => Some("invoke_agent"),
        (names::MCP_METHOD_NAME, "tools/call") => Some("tools/call"),
        _ => None,
    }
}

/// Returns the tool's name, the last when it was set again, and leaves only that one.
fn one_tool_name(attributes: &mut Vec<KeyValue>) -> Option<String> {
    let is_name = |attribute: &KeyValue| attribute.key.as_str() == names::GEN_AI_TOOL_NAME;
    let last = attributes.iter().rposition(is_name)?;
    let name = attributes[last].value.as_str().into_owned();
    let mut at = 0;
    attributes.retain(|attribute| {
        at += 1;
        at - 1 == last || !is_name(attribute)
    });
    matches!(attributes.iter().find(|attribute| is_name(attribute))?.value, Value::String(_)).then_some(name)
}

/// Exports to nowhere.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

/// Counts what the exporter took over.
#[derive(Debug)]
pub(crate) struct Counted<E> {
    next: E,
    producer: Arc<Producer>,
}

impl<E> Counted<E> {
    pub(crate) fn new(next: E, producer: Arc<Producer>) -> Self {
        Self { next, producer }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let exported = self.next.export(batch).await;
        if exported.is_ok() {
            self.producer.exported.fetch_add(spans, Ordering::Relaxed);
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}
