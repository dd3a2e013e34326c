//! Versions of spans that are told apart, and those that are not.

mod support;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proptest::prelude::*;
use prost::Message;
use spanseal_schemas::alike::{FIELDS_MAX, alike};
use spanseal_schemas::cut::Shape;
use support::wire::{damaged, damages, field, split, tag};

fn is_enrichment(key: &str) -> bool {
    key.starts_with("k8s.")
}

fn spans_alike(one: &[u8], other: &[u8]) -> bool {
    alike(Shape::Span, one, other, &is_enrichment)
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// A span of which everything says something.
fn span() -> Span {
    let event = || opentelemetry_proto::tonic::trace::v1::span::Event {
        time_unix_nano: 3,
        name: "event".to_owned(),
        attributes: vec![text("k8s.node.name", "of the event")],
        dropped_attributes_count: 4,
    };
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        trace_state: "a=b".to_owned(),
        parent_span_id: vec![3; 8],
        flags: 1,
        name: "span".to_owned(),
        kind: 2,
        start_time_unix_nano: 5,
        end_time_unix_nano: 6,
        attributes: vec![text("a", "1"), text("b", "2")],
        dropped_attributes_count: 7,
        events: vec![event(), event()],
        dropped_events_count: 8,
        links: Vec::new(),
        dropped_links_count: 9,
        status: Some(Status { message: "status".to_owned(), code: 2 }),
    }
}

proptest! {
    #![proptest_config(support::cases(500))]

    #[test]
    fn enrichment_anywhere_among_the_attributes_does_not_count(mut span in support::spans(), at in any::<prop::sample::Index>()) {
        span.attributes.retain(|attribute| !is_enrichment(&attribute.key));
        let before = span.encode_to_vec();
        let at = at.index(span.attributes.len() + 1);
        span.attributes.insert(at, text("k8s.pod.name", "pod"));
        prop_assert!(spans_alike(&before, &span.encode_to_vec()));
        span.attributes[at].key = "k9s.pod.name".to_owned();
        prop_assert!(!spans_alike(&before, &span.encode_to_vec()));
    }

    #[test]
    fn what_is_damaged_is_alike_to_no_other_span(span in support::spans(), damages in damages()) {
        let span = span.encode_to_vec();
        let other = damaged(span.clone(), &damages);
        // Never a panic; and what decodes to something else is not alike.
        if let (true, Ok(decoded)) = (spans_alike(&span, &other), Span::decode(&*other)) {
            prop_assert_eq!(Span::decode(&*span).unwrap().encode_to_vec(), decoded.encode_to_vec());
        }
    }

    #[test]
    fn resources_and_scopes_lose_enrichment_too(mut resource in support::resources(), mut scope in support::scopes()) {
        let (before, scope_before) = (resource.encode_to_vec(), scope.encode_to_vec());
        resource.attributes.push(text("k8s.pod.name", "pod"));
        scope.attributes.push(text("k8s.pod.name", "pod"));
        prop_assert!(alike(Shape::Resource, &before, &resource.encode_to_vec(), &is_enrichment));
        prop_assert!(alike(Shape::Scope, &scope_before, &scope.encode_to_vec(), &is_enrichment));
        resource.dropped_attributes_count ^= 1;
        scope.version.push('1');
        prop_assert!(!alike(Shape::Resource, &before, &resource.encode_to_vec(), &is_enrichment));
        prop_assert!(!alike(Shape::Scope, &scope_before, &scope.encode_to_vec(), &is_enrichment));
    }
}

type Change = (&'static str, fn(&mut Span));

#[test]
fn every_field_counts() {
    let changes: [Change; 18] = [
        ("trace id", |span| span.trace_id[0] = 9),
        ("span id", |span| span.span_id[0] = 9),
        ("trace state", |span| span.trace_state.clear()),
        ("parent", |span| span.parent_span_id.clear()),
        ("flags", |span| span.flags = 0),
        ("name", |span| span.name.clear()),
        ("kind", |span| span.kind = 3),
        ("start", |span| span.start_time_unix_nano = 0),
        ("end", |span| span.end_time_unix_nano = 7),
        ("dropped attributes", |span| span.dropped_attributes_count = 0),
        ("an attribute more", |span| span.attributes.push(text("c", ""))),
        ("the order of attributes", |span| span.attributes.swap(0, 1)),
        ("an empty attribute", |span| span.attributes.push(KeyValue::default())),
        ("an empty event", |span| span.events.push(Default::default())),
        ("enrichment inside an event", |span| span.events[0].attributes.clear()),
        ("an empty link", |span| span.links.push(Default::default())),
        ("the status's message", |span| span.status.as_mut().unwrap().message.clear()),
        ("the status", |span| span.status = None),
    ];
    let whole = span().encode_to_vec();
    for (what, change) in changes {
        let mut changed = span();
        change(&mut changed);
        assert!(!spans_alike(&whole, &changed.encode_to_vec()), "{what}");
    }
}

#[test]
fn the_encoding_does_not_count() {
    let whole = span().encode_to_vec();
    let mut fields = split(&whole);
    // What comes first may come last, as long as attributes and events keep their order.
    fields.rotate_left(3);
    let rotated: Vec<u8> = fields.iter().flat_map(|field| field.bytes.clone()).collect();
    assert!(spans_alike(&whole, &rotated));
    // Written defaults: an empty status, as pdata writes it, and one of zeros, as protobuf.js does.
    let bare = Span { trace_id: vec![1; 16], ..Span::default() }.encode_to_vec();
    for status in [vec![], vec![0x18, 0]] {
        assert!(spans_alike(&bare, &[bare.clone(), field(15, &status)].concat()));
    }
    assert!(spans_alike(&bare, &[bare.clone(), tag(10, 0), vec![0], field(5, b"")].concat()));
}

#[test]
fn unknown_fields_count_with_their_defaults() {
    let bare = Span::default().encode_to_vec();
    assert!(!spans_alike(&bare, &[tag(100, 0), vec![0]].concat()));
    assert!(!spans_alike(&[tag(100, 0), vec![5]].concat(), &[tag(100, 5), vec![5, 0, 0, 0]].concat()));
}

#[test]
fn a_key_that_stands_strangely_is_no_enrichment() {
    let attribute = text("k8s.pod.name", "pod").encode_to_vec();
    let twice = [field(1, b"a"), attribute].concat();
    assert!(!spans_alike(&[], &field(9, &twice)));
}

#[test]
fn more_fields_than_are_compared_are_alike_to_nothing() {
    let many = |fields: usize| [tag(100, 0), vec![1]].concat().repeat(fields);
    assert!(spans_alike(&many(FIELDS_MAX), &many(FIELDS_MAX)));
    assert!(!spans_alike(&many(FIELDS_MAX + 1), &many(FIELDS_MAX + 1)));
}
