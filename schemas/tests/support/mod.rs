//! What the property tests share: honest requests, and wire-level nonsense of every kind.
#![allow(dead_code, reason = "each test binary uses its own part")]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) mod events;
pub(crate) mod wire;

/// How many cases a property is tried with; a failing one is printed, not written into the tree.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Requests as an SDK may send them.
pub(crate) fn requests() -> impl Strategy<Value = ExportTraceServiceRequest> {
    vec(resource_spans(), 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn resource_spans() -> impl Strategy<Value = ResourceSpans> {
    (prop::option::of(resources()), vec(scope_spans(), 0..3), text())
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url })
}

fn scope_spans() -> impl Strategy<Value = ScopeSpans> {
    (prop::option::of(scopes()), vec(spans(), 0..3), text()).prop_map(|(scope, spans, schema_url)| ScopeSpans {
        scope,
        spans,
        schema_url,
    })
}

pub(crate) fn resources() -> impl Strategy<Value = Resource> {
    let entities = (text(), text(), vec(text(), 0..2), vec(text(), 0..2)).prop_map(
        |(schema_url, r#type, id_keys, description_keys)| EntityRef { schema_url, r#type, id_keys, description_keys },
    );
    (vec(attributes(), 0..4), any::<u32>(), vec(entities, 0..2)).prop_map(
        |(attributes, dropped_attributes_count, entity_refs)| Resource {
            attributes,
            dropped_attributes_count,
            entity_refs,
        },
    )
}

pub(crate) fn scopes() -> impl Strategy<Value = InstrumentationScope> {
    (text(), text(), vec(attributes(), 0..3), any::<u32>()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    )
}

pub(crate) fn spans() -> impl Strategy<Value = Span> {
    let ids = (vec(any::<u8>(), 16), vec(any::<u8>(), 8), prop::option::of(vec(any::<u8>(), 8)));
    let head = (ids, text(), text(), any::<u32>(), 0..7i32, any::<u64>(), any::<u64>());
    let lists = (vec(attributes(), 0..6), vec(events(), 0..3), vec(links(), 0..3));
    let status = prop::option::of((text(), -1..4i32).prop_map(|(message, code)| Status { message, code }));
    (head, lists, status, any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(head, lists, status, a, b, c)| {
        let ((trace_id, span_id, parent), trace_state, name, flags, kind, start, end) = head;
        let (attributes, events, links) = lists;
        Span {
            trace_id,
            span_id,
            trace_state,
            parent_span_id: parent.unwrap_or_default(),
            flags,
            name,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            dropped_attributes_count: a,
            events,
            dropped_events_count: b,
            links,
            dropped_links_count: c,
            status,
        }
    })
}

fn events() -> impl Strategy<Value = Event> {
    (any::<u64>(), text(), vec(attributes(), 0..3), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn links() -> impl Strategy<Value = Link> {
    (vec(any::<u8>(), 0..17), vec(any::<u8>(), 0..9), text(), vec(attributes(), 0..3), any::<u32>(), any::<u32>())
        .prop_map(|(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        })
}

pub(crate) fn attributes() -> impl Strategy<Value = KeyValue> {
    let keys = prop_oneof![
        3 => text(),
        1 => "spanseal\\.[a-z]{0,8}",
        1 => Just("secret".to_owned()),
    ];
    (keys, prop::option::of(values()), prop_oneof![9 => Just(0), 1 => any::<i32>()])
        .prop_map(|(key, value, key_strindex)| KeyValue { key, value, key_strindex })
}

fn values() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::StringValue),
        1 => any::<bool>().prop_map(Value::BoolValue),
        1 => any::<i64>().prop_map(Value::IntValue),
        1 => any::<f64>().prop_map(Value::DoubleValue),
        1 => vec(any::<u8>(), 0..20).prop_map(Value::BytesValue),
        1 => any::<i32>().prop_map(Value::StringValueStrindex),
    ]
    .prop_map(|value| AnyValue { value: Some(value) });
    leaf.prop_recursive(4, 12, 3, |inner| {
        let pairs =
            (text(), prop::option::of(inner.clone())).prop_map(|(key, value)| KeyValue { key, value, key_strindex: 0 });
        let lists = prop_oneof![
            vec(inner, 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(pairs, 0..3).prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ];
        lists.prop_map(|value| AnyValue { value: Some(value) })
    })
}

/// Mostly short, sometimes long enough for lengths of two bytes, sometimes beyond ASCII.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z.]{0,12}", 1 => "[a-z ]{100,200}", 1 => "\\PC{0,6}"]
}
