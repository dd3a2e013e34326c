//! Everything that must hold of any message that is cut.

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanseal_schemas::abridge::abridge;
use spanseal_schemas::cut::{BYTES_MIN, Hole, Shape, pieces, plan_shape, remove, restore, view};
use spanseal_schemas::envelope::{SpanHead, span_event, span_event_len};
use spanseal_schemas::event::{Cut, Encoding};
use spanseal_schemas::{canonical, cut, kind, scan};

use super::field;

/// What became of a message.
pub(crate) struct Outcome {
    pub(crate) holes: Vec<Hole>,
    pub(crate) view: Vec<u8>,
}

/// Cuts a message and checks everything that must hold of any message.
#[track_caller]
pub(crate) fn check(shape: Shape, message: &[u8], bytes_max: usize) -> Outcome {
    let holes = plan_shape(shape, message, &keep_out, bytes_max);
    let stored = remove(message, &holes);
    let pieces = pieces(message, &holes);
    let cuts: Vec<Cut> = holes.iter().map(|hole| hole.clone().commit([7; 32])).collect();
    assert_eq!(restore(&stored, &cuts, &pieces).as_deref(), Ok(message));
    assert_eq!(cut::check(&stored, &cuts), Ok(()), "{holes:?} of {message:02x?}");

    let view = view(&stored, &cuts).expect("the cuts fit the stored bytes");
    assert_eq!(view.len(), message.len());
    let mut at = 0;
    for hole in &holes {
        assert_eq!(view[at..hole.offset as usize], message[at..hole.offset as usize]);
        at = hole.end();
    }
    assert_eq!(view[at..], message[at..]);

    let scanned = accepted(shape, message);
    if scanned {
        assert!(accepted(shape, &view), "{shape:?} {holes:?} of {message:02x?}");
        check_kept_out(shape, &view);
        check_abridged(shape, &stored, &cuts);
    }
    check_event(&stored, &cuts, message.len() - stored.len(), (scanned && bytes_max >= BYTES_MIN).then_some(bytes_max));
    if shape == Shape::Span && scanned {
        check_identity(message, &view);
    }
    Outcome { holes, view }
}

/// The event with these cuts is canonical, and fits if it must.
#[track_caller]
fn check_event(stored: &[u8], cuts: &[Cut], removed: usize, bytes_max: Option<usize>) {
    let head = SpanHead {
        received_unix_nano: 1,
        resource: 1,
        scope: 2,
        tenant: 3,
        configuration: 4,
        encoding: Encoding::Protobuf,
        producer: None,
        assessment: None,
    };
    let mut body = Vec::new();
    span_event(&mut body, &head, stored, cuts, &[]);
    assert_eq!(canonical::check(kind::SPAN, &body), Ok(()));
    let payloads = vec![[0; 32]; (removed + 20 * cuts.len()).div_ceil(896 * 1024)];
    let taken = span_event_len(&head, stored, cuts, &payloads) - span_event_len(&head, &[], &[], &[]);
    if let Some(bytes_max) = bytes_max {
        assert!(taken <= bytes_max, "{taken} bytes, {bytes_max} at most, {} cuts", cuts.len());
    }
}

#[track_caller]
fn check_kept_out(shape: Shape, view: &[u8]) {
    let attributes: Vec<KeyValue> = match shape {
        Shape::Span => {
            let span = Span::decode(view).expect("the view decodes");
            let events = span.events.into_iter().flat_map(|event| event.attributes);
            let links = span.links.into_iter().flat_map(|link| link.attributes);
            span.attributes.into_iter().chain(events).chain(links).collect()
        }
        Shape::Resource => Resource::decode(view).expect("the view decodes").attributes,
        Shape::Scope => InstrumentationScope::decode(view).expect("the view decodes").attributes,
    };
    for attribute in attributes.into_iter().filter(|attribute| keep_out(&attribute.key)) {
        match attribute.value.and_then(|value| value.value) {
            None => {}
            Some(Value::StringValue(text)) => assert!(text.bytes().all(|byte| byte == 0), "{text:?}"),
            Some(Value::BytesValue(bytes)) => assert!(bytes.iter().all(|byte| *byte == 0), "{bytes:?}"),
            other => panic!("{other:?} was not kept out"),
        }
    }
}

/// The same with notes in the place of values still decodes.
#[track_caller]
fn check_abridged(shape: Shape, stored: &[u8], cuts: &[Cut]) {
    let abridged = abridge(stored, cuts, &|cut| format!("cut {}", cut.length)).expect("the cuts fit");
    assert!(accepted(shape, &abridged), "{abridged:02x?}");
}

/// What identifies the span stays, unless it is longer than any identifier.
#[track_caller]
fn check_identity(message: &[u8], view: &[u8]) {
    let before = scan::span(message, &mut |_, _| {}).expect("it was accepted");
    let after = scan::span(view, &mut |_, _| {}).expect("it was accepted");
    let fits = |length: usize| length < 128;
    if fits(before.trace_id.len()) && fits(before.span_id.len()) {
        assert_eq!((before.trace_id, before.span_id), (after.trace_id, after.span_id));
    }
    if fits(before.name.len()) {
        assert_eq!(before.name, after.name);
    }
    assert_eq!(before.kind, after.kind);
    assert_eq!((before.start_unix_nano, before.end_unix_nano), (after.start_unix_nano, after.end_unix_nano));
    assert_eq!(before.flags, after.flags);
}

pub(crate) fn accepted(shape: Shape, message: &[u8]) -> bool {
    match shape {
        Shape::Span => scan::span(message, &mut |_, _| {}).is_ok(),
        Shape::Resource => scan::request(&field(1, &field(1, message))).is_ok(),
        Shape::Scope => scan::request(&field(1, &field(2, &field(1, message)))).is_ok(),
    }
}

pub(crate) fn keep_out(key: &str) -> bool {
    key == "secret"
}
