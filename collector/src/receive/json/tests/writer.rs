//! Any request, and its JSON in any of the ways that OTLP allows.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

pub(super) fn any_request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    vec(resource_spans(), 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn resource_spans() -> impl Strategy<Value = ResourceSpans> {
    let resource = (attributes(), any::<u32>(), vec(entity(), 0..2)).prop_map(|(attributes, count, entity_refs)| {
        Resource { attributes, dropped_attributes_count: count, entity_refs }
    });
    (option::of(resource), vec(scope_spans(), 0..3), text())
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url })
}

fn entity() -> impl Strategy<Value = EntityRef> {
    (text(), text(), vec(text(), 0..3), vec(text(), 0..3)).prop_map(
        |(schema_url, r#type, id_keys, description_keys)| EntityRef { schema_url, r#type, id_keys, description_keys },
    )
}

fn scope_spans() -> impl Strategy<Value = ScopeSpans> {
    let scope = (text(), text(), attributes(), any::<u32>()).prop_map(|(name, version, attributes, count)| {
        InstrumentationScope { name, version, attributes, dropped_attributes_count: count }
    });
    (option::of(scope), vec(span(), 0..4), text()).prop_map(|(scope, spans, schema_url)| ScopeSpans {
        scope,
        spans,
        schema_url,
    })
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(), id(), text(), id(), any::<u32>(), text(), any::<i32>(), any::<u64>(), any::<u64>());
    let status = (text(), any::<i32>()).prop_map(|(message, code)| Status { message, code });
    let rest = (attributes(), any::<u32>(), vec(event(), 0..2), vec(link(), 0..2), option::of(status));
    (ids, rest).prop_map(|(ids, (attributes, count, events, links, status))| Span {
        trace_id: ids.0,
        span_id: ids.1,
        trace_state: ids.2,
        parent_span_id: ids.3,
        flags: ids.4,
        name: ids.5,
        kind: ids.6,
        start_time_unix_nano: ids.7,
        end_time_unix_nano: ids.8,
        attributes,
        dropped_attributes_count: count,
        events,
        dropped_events_count: count / 2,
        links,
        dropped_links_count: count / 3,
        status,
    })
}

fn event() -> impl Strategy<Value = Event> {
    (any::<u64>(), text(), attributes(), any::<u32>()).prop_map(|(time_unix_nano, name, attributes, count)| Event {
        time_unix_nano,
        name,
        attributes,
        dropped_attributes_count: count,
    })
}

fn link() -> impl Strategy<Value = Link> {
    (id(), id(), text(), attributes(), any::<u32>(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, count, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count: count,
            flags,
        },
    )
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(key_value(any_value()), 0..4)
}

fn key_value(value: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = KeyValue> {
    (text(), option::of(value)).prop_map(|(key, value)| KeyValue { key, value, ..Default::default() })
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        text().prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|value| Some(Value::BoolValue(value))),
        any::<i64>().prop_map(|value| Some(Value::IntValue(value))),
        // NaN is not equal to itself; it has a test of its own.
        any::<f64>().prop_filter("no NaN", |value| !value.is_nan()).prop_map(|value| Some(Value::DoubleValue(value))),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ];
    leaf.prop_map(|value| AnyValue { value }).prop_recursive(3, 12, 3, |inner| {
        let array = vec(inner.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values }));
        let list = vec(key_value(inner), 0..3).prop_map(|values| Value::KvlistValue(KeyValueList { values }));
        prop_oneof![array, list].prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), any::<String>(), "[a-z]{120,140}"]
}

fn id() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(vec![]), vec(any::<u8>(), 1..18)]
}

/// Returns the request's JSON. Each bit of the style chooses one way to write things.
pub(super) fn json(request: &ExportTraceServiceRequest, style: u64) -> String {
    let style = Style(style);
    let resource_spans = request.resource_spans.iter().map(|r| style.resource_spans(r)).collect();
    style.object(vec![("resourceSpans", style.list(resource_spans))]).to_string()
}

#[derive(Clone, Copy)]
struct Style(u64);

impl Style {
    fn bit(self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }

    /// An object without its absent members, or with null in their place; with or without a key that is unknown.
    fn object(self, members: Vec<(&str, Json)>) -> Json {
        let mut object = serde_json::Map::new();
        if self.bit(0) {
            object.insert("aKeyOfTheFuture".to_owned(), json!([{"x": null}, 1.5, "y"]));
        }
        for (key, value) in members {
            if !value.is_null() || self.bit(1) {
                object.insert(key.to_owned(), value);
            }
        }
        Json::Object(object)
    }

    fn absent(self, is_default: bool, value: Json) -> Json {
        if is_default && self.bit(2) { Json::Null } else { value }
    }

    fn text(self, text: &str) -> Json {
        self.absent(text.is_empty(), json!(text))
    }

    fn number(self, value: u64, bit: u32) -> Json {
        self.absent(value == 0, if self.bit(bit) { json!(value.to_string()) } else { json!(value) })
    }

    fn id(self, id: &[u8]) -> Json {
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        self.absent(id.is_empty(), json!(if self.bit(3) { hex.to_uppercase() } else { hex }))
    }

    fn list(self, elements: Vec<Json>) -> Json {
        self.absent(elements.is_empty(), json!(elements))
    }

    fn resource_spans(self, spans: &ResourceSpans) -> Json {
        let resource = spans.resource.as_ref().map(|resource| {
            let entities = resource.entity_refs.iter().map(|entity| {
                self.object(vec![
                    ("schemaUrl", self.text(&entity.schema_url)),
                    ("type", self.text(&entity.r#type)),
                    ("idKeys", self.list(entity.id_keys.iter().map(|key| json!(key)).collect())),
                    ("descriptionKeys", self.list(entity.description_keys.iter().map(|key| json!(key)).collect())),
                ])
            });
            self.object(vec![
                ("entityRefs", self.list(entities.collect())),
                ("attributes", self.attributes(&resource.attributes)),
                ("droppedAttributesCount", self.number(resource.dropped_attributes_count.into(), 4)),
            ])
        });
        self.object(vec![
            ("schemaUrl", self.text(&spans.schema_url)),
            ("scopeSpans", self.list(spans.scope_spans.iter().map(|s| self.scope_spans(s)).collect())),
            ("resource", resource.unwrap_or(Json::Null)),
        ])
    }

    fn scope_spans(self, spans: &ScopeSpans) -> Json {
        let scope = spans.scope.as_ref().map(|scope| {
            self.object(vec![
                ("name", self.text(&scope.name)),
                ("version", self.text(&scope.version)),
                ("attributes", self.attributes(&scope.attributes)),
                ("droppedAttributesCount", self.number(scope.dropped_attributes_count.into(), 4)),
            ])
        });
        self.object(vec![
            ("scope", scope.unwrap_or(Json::Null)),
            ("spans", self.list(spans.spans.iter().map(|s| self.span(s)).collect())),
            ("schemaUrl", self.text(&spans.schema_url)),
        ])
    }

    fn span(self, span: &Span) -> Json {
        let status = span.status.as_ref().map(|status| {
            self.object(vec![
                ("message", self.text(&status.message)),
                ("code", self.absent(status.code == 0, json!(status.code))),
            ])
        });
        self.object(vec![
            ("traceId", self.id(&span.trace_id)),
            ("spanId", self.id(&span.span_id)),
            ("traceState", self.text(&span.trace_state)),
            ("parentSpanId", self.id(&span.parent_span_id)),
            ("flags", self.number(span.flags.into(), 5)),
            ("name", self.text(&span.name)),
            ("kind", self.absent(span.kind == 0, json!(span.kind))),
            ("startTimeUnixNano", self.number(span.start_time_unix_nano, 6)),
            ("endTimeUnixNano", self.number(span.end_time_unix_nano, 7)),
            ("attributes", self.attributes(&span.attributes)),
            ("droppedAttributesCount", self.number(span.dropped_attributes_count.into(), 4)),
            ("events", self.list(span.events.iter().map(|e| self.event(e)).collect())),
            ("droppedEventsCount", self.number(span.dropped_events_count.into(), 4)),
            ("links", self.list(span.links.iter().map(|l| self.link(l)).collect())),
            ("droppedLinksCount", self.number(span.dropped_links_count.into(), 4)),
            ("status", status.unwrap_or(Json::Null)),
        ])
    }

    fn event(self, event: &Event) -> Json {
        self.object(vec![
            ("timeUnixNano", self.number(event.time_unix_nano, 6)),
            ("name", self.text(&event.name)),
            ("attributes", self.attributes(&event.attributes)),
            ("droppedAttributesCount", self.number(event.dropped_attributes_count.into(), 4)),
        ])
    }

    fn link(self, link: &Link) -> Json {
        self.object(vec![
            ("traceId", self.id(&link.trace_id)),
            ("spanId", self.id(&link.span_id)),
            ("traceState", self.text(&link.trace_state)),
            ("attributes", self.attributes(&link.attributes)),
            ("droppedAttributesCount", self.number(link.dropped_attributes_count.into(), 4)),
            ("flags", self.number(link.flags.into(), 5)),
        ])
    }

    fn attributes(self, attributes: &[KeyValue]) -> Json {
        self.list(attributes.iter().map(|attribute| self.key_value(attribute)).collect())
    }

    fn key_value(self, attribute: &KeyValue) -> Json {
        let value = attribute.value.as_ref().map(|value| self.any_value(value));
        self.object(vec![("key", self.text(&attribute.key)), ("value", value.unwrap_or(Json::Null))])
    }

    fn any_value(self, value: &AnyValue) -> Json {
        let Some(value) = &value.value else { return self.object(vec![("stringValue", Json::Null)]) };
        let member = match value {
            Value::StringValue(text) => ("stringValue", json!(text)),
            Value::BoolValue(value) => ("boolValue", json!(value)),
            Value::IntValue(value) if self.bit(8) => ("intValue", json!(value.to_string())),
            Value::IntValue(value) => ("intValue", json!(value)),
            Value::DoubleValue(value) => ("doubleValue", self.double(*value)),
            Value::BytesValue(bytes) => ("bytesValue", json!(self.base64(bytes))),
            Value::ArrayValue(array) => {
                let values = array.values.iter().map(|value| self.any_value(value)).collect();
                ("arrayValue", self.object(vec![("values", self.list(values))]))
            }
            Value::KvlistValue(list) => {
                let values = list.values.iter().map(|pair| self.key_value(pair)).collect();
                ("kvlistValue", self.object(vec![("values", self.list(values))]))
            }
            Value::StringValueStrindex(index) => ("stringValueStrindex", json!(index)),
        };
        self.object(vec![member])
    }

    fn double(self, value: f64) -> Json {
        match value {
            f64::INFINITY => json!("Infinity"),
            f64::NEG_INFINITY => json!("-Infinity"),
            value if self.bit(9) => json!(format!("{value:?}")),
            value => json!(value),
        }
    }

    fn base64(self, bytes: &[u8]) -> String {
        use base64ct::{Base64, Base64UrlUnpadded, Encoding};
        if self.bit(10) { Base64UrlUnpadded::encode_string(bytes) } else { Base64::encode_string(bytes) }
    }
}
