//! OTLP requests as senders make them.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// What tests know a span by: its ids are made of the number.
pub(super) type Number = u64;

/// A key whose values the tests' configuration keeps out of the ledger.
pub(super) const SECRET: &str = "secret";

/// One request in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) spans: Vec<Span>,
    pub(super) service: String,
    /// Attributes of the resource, beside the service.
    pub(super) resource: Vec<KeyValue>,
    pub(super) schema_url: String,
    pub(super) tenant: String,
}

impl Request {
    /// Of one service, with a span for each number.
    pub(super) fn of(numbers: impl IntoIterator<Item = Number>) -> Self {
        Self {
            spans: numbers.into_iter().map(span).collect(),
            service: "agent".to_owned(),
            resource: Vec::new(),
            schema_url: "https://schema".to_owned(),
            tenant: "acme".to_owned(),
        }
    }

    pub(super) fn of_tenant(mut self, tenant: &str) -> Self {
        self.tenant = tenant.to_owned();
        self
    }

    /// With an attribute more of the resource.
    pub(super) fn from(mut self, key: &str, value: &str) -> Self {
        self.resource.push(text(key, value));
        self
    }

    pub(super) fn of_service(mut self, service: &str) -> Self {
        self.service = service.to_owned();
        self
    }

    pub(super) fn with(mut self, span: Span) -> Self {
        self.spans.push(span);
        self
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut attributes = vec![text("service.name", &self.service)];
        attributes.extend_from_slice(&self.resource);
        let resource = Resource { attributes, ..Resource::default() };
        let scope = InstrumentationScope { name: "tests".to_owned(), ..InstrumentationScope::default() };
        let scope_spans =
            ScopeSpans { scope: Some(scope), spans: self.spans.clone(), schema_url: self.schema_url.clone() };
        let resource_spans =
            ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans], ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec().into()
    }
}

/// A valid span.
pub(super) fn span(number: Number) -> Span {
    Span {
        trace_id: [&[1; 8][..], &number.to_be_bytes()].concat(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("span {number}"),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_000_000_500,
        attributes: vec![text("gen_ai.operation.name", "chat")],
        ..Span::default()
    }
}

/// A span with the ids of [`span`] and other bytes.
pub(super) fn other_span(number: Number) -> Span {
    Span { name: format!("other {number}"), ..span(number) }
}

/// A span that can never be sealed.
pub(super) fn bad_span() -> Span {
    Span { trace_id: vec![1; 4], ..span(0) }
}

/// A span with a value that is kept out.
pub(super) fn secret_span(number: Number, bytes: usize) -> Span {
    let mut span = span(number);
    span.attributes.push(text(SECRET, &"s".repeat(bytes)));
    span
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

/// Returns the number that a span's ids were made of.
pub(super) fn number_of(span: &[u8]) -> Number {
    let span = Span::decode(span).expect("a sealed span decodes");
    u64::from_be_bytes(*span.trace_id.last_chunk().expect("a trace id has 16 bytes"))
}
