//! One meaning, one encoding: what the checker accepts encodes to the same bytes, and every rewriting is refused.

mod oracle;
mod support;

use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use prost::encoding::decode_varint;
use spanseal_schemas::canonical::{Refusal, check};
use spanseal_schemas::envelope::{SpanHead, span_event, span_event_len, view};
use spanseal_schemas::event::{Encoding, EventRef, FindingEvent, SpanEvent};
use spanseal_schemas::kind;
use support::events::{events, span_events};
use support::wire::{Field, damaged, damages, field, messages, padded, split, tag};

proptest! {
    #![proptest_config(support::cases(2000))]

    #[test]
    fn what_prost_encodes_is_canonical((kind, body) in events()) {
        prop_assert_eq!(check(kind, &body), Ok(()));
    }

    #[test]
    fn what_is_accepted_has_no_other_encoding((kind, body) in events(), damages in damages(), strange in messages()) {
        for body in [damaged(body.clone(), &damages), [body, strange.clone()].concat(), [vec![8, 1], strange].concat()] {
            oracle::canonical::check(kind, &body);
        }
    }

    #[test]
    fn every_rewriting_is_refused((kind, body) in events(), at in any::<Index>()) {
        let fields = split(&body);
        let at = at.index(fields.len());
        for (how, rewritten) in rewritings(&fields, at) {
            let verdict = check(kind, &rewritten);
            prop_assert!(matches!(verdict, Err(Refusal::NotCanonical { .. })), "{} at {}: {:?}", how, at, verdict);
        }
    }

    #[test]
    fn the_fast_encoder_writes_what_prost_writes(event in span_events()) {
        let payloads = payloads(&event);
        let mut body = vec![7; 3];
        span_event(&mut body, &head(&event), &event.span, &event.cuts, &payloads);
        prop_assert_eq!(&body[3..], event.encode_to_vec());
        prop_assert_eq!(span_event_len(&head(&event), &event.span, &event.cuts, &payloads), body.len() - 3);
    }

    #[test]
    fn the_view_reads_what_was_written(event in span_events()) {
        let body = event.encode_to_vec();
        let view = view(&body).expect("a span event");
        let head = head(&event);
        prop_assert_eq!(view.received_unix_nano, event.received_unix_nano);
        prop_assert_eq!((view.resource, view.scope), (event.resource, event.scope));
        prop_assert_eq!((view.tenant, view.configuration), (event.tenant, event.configuration));
        prop_assert_eq!(view.encoding, head.encoding);
        prop_assert_eq!(view.producer, head.producer);
        prop_assert_eq!(&view.assessment, &event.assessment);
        prop_assert_eq!(view.span, &event.span);
        prop_assert_eq!(&view.cuts, &event.cuts);
        prop_assert_eq!(view.payloads, event.payloads.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}

#[test]
fn an_unknown_version_or_kind_is_not_judged() {
    #[track_caller]
    fn check_version(kind: u8, body: &[u8], version: u64) {
        assert_eq!(check(kind, body), Err(Refusal::UnknownVersion { kind, version }));
    }
    check_version(kind::SPAN, &[0x08, 2], 2);
    check_version(kind::SPAN, &[0x08, 2, 0xFF, 0xFF], 2);
    check_version(kind::FINDING, &[[0x08].to_vec(), padded(1 << 40, 0)].concat(), 1 << 40);
    check_version(0, &[0x08, 1], 0);
    check_version(10, &[], 0);
    check_version(255, &[], 0);
    assert_eq!(check(kind::GAP, &[1]), Ok(()));
    assert_eq!(check(kind::KEY, &[1, 1]), Ok(()));
}

#[test]
fn each_rule_refuses_what_breaks_it() {
    #[track_caller]
    fn check_refused(kind: u8, rest: &[u8], why: &str) {
        let body = [&[0x08, 1], rest].concat();
        match check(kind, &body) {
            Err(Refusal::NotCanonical { why: found, .. }) => assert_eq!(found, why),
            other => panic!("{other:?} for {body:02x?}"),
        }
    }
    let span = |rest: Vec<u8>, why: &str| check_refused(kind::SPAN, &rest, why);
    span(field(14, b"x"), "the field is not known");
    span([tag(4, 0), vec![1], tag(3, 0), vec![1]].concat(), "the fields do not ascend");
    span([tag(4, 0), vec![1], tag(4, 0), vec![1]].concat(), "the field stands twice");
    span(field(3, b"x"), "the wire type is not the field's");
    span([tag(3, 3), tag(3, 4)].concat(), "the wire type is not the field's");
    span([tag(3, 0), vec![0]].concat(), "a default value is written out");
    span([tag(2, 1), vec![0; 8]].concat(), "a default value is written out");
    span(field(11, b""), "a default value is written out");
    span([tag(3, 0), padded(5, 1)].concat(), "the varint is longer than it need be");
    span([tag(11, 2), padded(1, 1), vec![1]].concat(), "the varint is longer than it need be");
    span([padded(0x18, 1), vec![1]].concat(), "the varint is longer than it need be");
    span([tag(7, 0), vec![2]].concat(), "the value is out of range");
    span(field(8, b"short"), "the bytes have another length than they must");
    span(field(13, &[1; 31]), "the bytes have another length than they must");
    span(vec![0x5A, 2, 0], "the message ends inside the field");
    span([tag(3, 0), vec![0xFF; 10]].concat(), "the varint is longer than 64 bits");
    span(vec![0x1F], "no field has this key");
    span(field(10, &field(2, &[1, 0])), "grades are 1 to 11, each 0 to 4, the last not 0");
    span(field(10, &field(2, &[5])), "grades are 1 to 11, each 0 to 4, the last not 0");
    span(field(10, &field(2, &[1; 12])), "grades are 1 to 11, each 0 to 4, the last not 0");
    span(field(10, &field(3, &[])), "a default value is written out");
    span(field(10, &field(3, &[2, 2])), "the values do not ascend");
    span(field(10, &field(3, &padded(1 << 32, 0))), "the value is out of range");
    span(field(10, &[tag(3, 0), vec![2]].concat()), "the wire type is not the field's");
    span(field(10, &[tag(1, 0), vec![5]].concat()), "the value is out of range");
    let cut = |offset: u8, length: u8, fields: bool| {
        let flag = if fields { vec![32, 1] } else { vec![] };
        field(12, &[vec![8, offset, 16, length], flag, field(5, &[9; 32])].concat())
    };
    span([cut(5, 5, false), cut(9, 1, false)].concat(), "the cuts do not ascend, or overlap");
    span(cut(5, 2, true), "the cut is too short");
    span(field(12, &[8, 5, 16, 1, 24, 1]), "the wire type is not the field's");
    span(field(12, &[8, 5]), "the cut is too short");
    span(field(12, &[vec![8], padded(1 << 28, 0), vec![16, 1]].concat()), "the cut ends beyond 256 MiB");
    assert_eq!(check(kind::SPAN, &[vec![8, 1], cut(5, 5, false), cut(10, 3, true)].concat()), Ok(()));
    check_refused(kind::FINDING, &field(3, &[0xFF]), "the text is not UTF-8");
    check_refused(kind::FINDING, &field(3, b""), "a default value is written out");
    check_refused(kind::CONFLICT, &[tag(9, 0), vec![2]].concat(), "the value is out of range");
    check_refused(kind::RESOURCE, &[tag(3, 0), vec![5]].concat(), "the value is out of range");
    check_refused(kind::EVIDENCE, &[tag(5, 0), padded(1 << 32, 0)].concat(), "the value is out of range");
    let first = |body: &[u8], why| assert_eq!(check(kind::SPAN, body), Err(Refusal::NotCanonical { at: 0, why }));
    first(&[], "the version is not the first field");
    first(&[0x18, 1], "the version is not the first field");
    first(&[0x88, 0x00, 1], "the version is not the first field");
    let zero = Refusal::NotCanonical { at: 1, why: "a default value is written out" };
    assert_eq!(check(kind::SPAN, &[8, 0]), Err(zero));
}

#[test]
fn an_empty_embedded_message_is_not_a_default() {
    let event = FindingEvent { version: 1, events: vec![EventRef::default()], ..FindingEvent::default() };
    assert_eq!(check(kind::FINDING, &event.encode_to_vec()), Ok(()));
}

#[test]
fn the_view_refuses_what_is_no_span_event() {
    assert_eq!(view(&[8, 2]), Err(Refusal::UnknownVersion { kind: kind::SPAN, version: 2 }));
    assert_eq!(view(&[]), Err(Refusal::UnknownVersion { kind: kind::SPAN, version: 0 }));
    for rest in [field(14, b""), field(8, b"short"), field(13, b"short"), vec![0x38, 2], field(10, &[0xFF]), vec![0x5A]]
    {
        let body = [vec![8, 1], rest].concat();
        assert!(matches!(view(&body), Err(Refusal::NotCanonical { .. })), "{body:02x?}");
    }
}

fn head(event: &SpanEvent) -> SpanHead<'_> {
    SpanHead {
        received_unix_nano: event.received_unix_nano,
        resource: event.resource,
        scope: event.scope,
        tenant: event.tenant,
        configuration: event.configuration,
        encoding: Encoding::try_from(event.encoding).expect("a known encoding"),
        producer: event.producer.first_chunk().map(|id| (id, event.producer_sequence)),
        assessment: event.assessment.as_ref(),
    }
}

fn payloads(event: &SpanEvent) -> Vec<[u8; 32]> {
    event.payloads.iter().map(|id| id.as_slice().try_into().expect("32 bytes")).collect()
}

/// Returns other encodings of what a body says, or of a little more, with what was done to them.
fn rewritings(fields: &[Field], at: usize) -> Vec<(&'static str, Vec<u8>)> {
    let join = |fields: &[Field]| fields.iter().flat_map(|field| field.bytes.clone()).collect::<Vec<u8>>();
    let with = |bytes: Vec<u8>| {
        let mut fields = fields.to_vec();
        fields[at].bytes = bytes;
        join(&fields)
    };
    let field = &fields[at];
    let key = u64::from(field.number << 3 | field.wire);
    let mut all = vec![
        ("an unknown field", [join(fields), tag(100, 0), vec![1]].concat()),
        ("an unknown group", [join(fields), tag(100, 3), tag(100, 4)].concat()),
        ("a padded key", with([padded(key, 1), field.value.clone()].concat())),
        ("a byte less", join(fields)[..join(fields).len() - 1].to_vec()),
    ];
    if field.wire == 0 {
        let number = decode_varint(&mut field.value.as_slice()).expect("a varint");
        all.push(("a padded value", with([tag(field.number, 0), padded(number, 1)].concat())));
        all.push(("a default first", with([tag(field.number, 0), vec![0], field.bytes.clone()].concat())));
        all.push(("a default", with([tag(field.number, 0), vec![0]].concat())));
    }
    if field.wire == 2 {
        let mut value = field.value.as_slice();
        let length = decode_varint(&mut value).expect("a length");
        all.push(("a padded length", with([tag(field.number, 2), padded(length, 1), value.to_vec()].concat())));
    }
    if at > 0 && fields[at - 1].number != field.number {
        let mut swapped = fields.to_vec();
        swapped.swap(at - 1, at);
        all.push(("two fields swapped", join(&swapped)));
        if field.wire != 2 {
            all.push(("a field twice", with([field.bytes.clone(), field.bytes.clone()].concat())));
        }
    }
    all
}
