//! The scanner against prost: the same answer or the same refusal, but for spans with a singular field twice.

mod support;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue as ProstValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use spanseal_schemas::scan::{self, AnyValue, ScanError, SpanFacts};
use support::wire::{damaged, damages, field, padded, tag};

proptest! {
    #![proptest_config(support::cases(2000))]

    #[test]
    fn reads_honest_requests_as_prost_does(request in support::requests()) {
        check_agrees(&request.encode_to_vec());
    }

    #[test]
    fn judges_damaged_requests_as_prost_does(request in support::requests(), damages in damages()) {
        check_agrees(&damaged(request.encode_to_vec(), &damages));
    }

    #[test]
    fn judges_strange_requests_as_prost_does(request in support::wire::requests(), damages in damages()) {
        check_agrees(&request);
        check_agrees(&damaged(request, &damages));
    }

    #[test]
    fn judges_random_bytes_as_prost_does(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        check_agrees(&bytes);
        check_agrees(&in_request(&bytes));
    }
}

#[test]
fn refuses_a_singular_span_field_that_stands_twice() {
    let once = |number: u32| match number {
        6 | 10 | 12 | 14 => [tag(number, 0), vec![1]].concat(),
        7 | 8 => [tag(number, 1), vec![0; 8]].concat(),
        16 => [tag(number, 5), vec![0; 4]].concat(),
        _ => field(number, b""),
    };
    for number in 1..=18 {
        let span = [once(number), field(20, b"x"), once(number)].concat();
        let expected = match number {
            9 | 11 | 13 | 17 | 18 => Ok(SpanFacts::default()),
            _ => Err(ScanError::Duplicate { at: span.len() - once(number).len(), field: number }),
        };
        assert_eq!(scan::span(&span, &mut |_, _| {}).map(|_| SpanFacts::default()), expected, "field {number}");
        check_agrees(&in_request(&span));
    }
}

#[test]
fn an_empty_second_occurrence_is_a_duplicate_too() {
    let span = [field(15, &[0x18, 2]), field(15, b"")].concat();
    assert_eq!(scan::span(&span, &mut |_, _| {}), Err(ScanError::Duplicate { at: 4, field: 15 }));
}

#[test]
fn follows_nesting_as_deep_as_prost_and_no_deeper() {
    let mut refused = 0;
    for depth in 40..110 {
        for leaf in [vec![], field(1, b"x"), field(9, b"x"), tag(9, 0).into_iter().chain([0]).collect()] {
            let mut groups = leaf.clone();
            let mut arrays = leaf;
            for _ in 0..depth {
                groups = [tag(40, 3), groups, tag(40, 4)].concat();
            }
            for _ in 0..depth / 2 {
                arrays = field(5, &field(1, &arrays));
            }
            let attribute = field(9, &field(2, &arrays));
            for span in [groups.clone(), attribute.clone(), field(9, &groups), field(11, &field(3, &field(2, &arrays)))]
            {
                refused += usize::from(!check_agrees(&in_request(&span)));
            }
            check_agrees(&field(1, &field(1, &field(1, &field(2, &arrays)))));
            check_agrees(&field(1, &[field(2, &groups), groups.clone()].concat()));
            check_agrees(&groups);
        }
    }
    assert!(refused > 0, "the limit was not reached");
}

#[test]
fn nesting_of_a_million_levels_ends_without_a_stack_overflow() {
    let groups = tag(40, 3).repeat(1_000_000);
    assert!(matches!(scan::span(&groups, &mut |_, _| {}), Err(ScanError::TooDeep { .. })));
    assert!(matches!(scan::request(&groups), Err(ScanError::TooDeep { .. })));
    let mut arrays = vec![];
    for _ in 0..2_000 {
        arrays = field(5, &field(1, &arrays));
    }
    let span = field(9, &field(2, &arrays));
    assert!(matches!(scan::span(&span, &mut |_, _| {}), Err(ScanError::TooDeep { .. })));
}

#[test]
fn one_bad_span_does_not_spoil_the_request() {
    let good = field(5, b"good");
    let request = field(1, &field(2, &[field(2, &good), field(2, &[0xFF]), field(2, &good)].concat()));
    let resources = scan::request(&request).expect("the framing is right");
    let spans: Vec<_> = resources[0].scopes[0].spans.iter().map(|span| scan::span(span, &mut |_, _| {})).collect();
    assert_eq!(spans[0].map(|facts| facts.name), Ok("good"));
    assert_eq!(spans[1], Err(ScanError::Truncated { at: 0 }));
    assert_eq!(spans[2].map(|facts| facts.name), Ok("good"));
}

#[test]
fn refuses_a_request_of_too_many_parts() {
    let empty = |number: u32, count: usize| field(number, b"").repeat(count);
    assert_eq!(scan::request(&empty(1, scan::GROUPS_MAX)).map(|found| found.len()), Ok(scan::GROUPS_MAX));
    let groups = ScanError::TooMany { parts: "resources and scopes", max: scan::GROUPS_MAX };
    assert_eq!(scan::request(&empty(1, scan::GROUPS_MAX + 1)), Err(groups));
    let spans = ScanError::TooMany { parts: "spans", max: scan::SPANS_MAX };
    let request = field(1, &field(2, &empty(2, scan::SPANS_MAX + 1)));
    assert_eq!(scan::request(&request), Err(spans));
}

#[test]
fn errors_say_where() {
    #[track_caller]
    fn check(span: &[u8], expected: ScanError, text: &str) {
        assert_eq!(scan::span(span, &mut |_, _| {}), Err(expected));
        assert_eq!(expected.to_string(), text);
    }
    check(&[0x0A, 5, 1], ScanError::Truncated { at: 1 }, "the message ends inside the field at byte 1");
    check(&[0x0A], ScanError::Truncated { at: 1 }, "the message ends inside the field at byte 1");
    check(&[0xFF; 10], ScanError::Varint { at: 0 }, "the varint at byte 0 is longer than 64 bits");
    check(&[0x02], ScanError::Key { at: 0, key: 2 }, "2 at byte 0 is no field's key");
    check(&[0x0E], ScanError::Key { at: 0, key: 14 }, "14 at byte 0 is no field's key");
    let above = padded((1 << 32) + 0x50, 0);
    check(&above, ScanError::Key { at: 0, key: 4_294_967_376 }, "4294967376 at byte 0 is no field's key");
    check(&[0x08, 1], ScanError::WireType { at: 0, field: 1, wire: 0 }, "field 1 at byte 0 has wire type 0");
    check(&[0x2A, 2, b'a', 0xFF], ScanError::Utf8 { at: 3 }, "the text is not UTF-8 from byte 3 on");
    check(&tag(40, 4), ScanError::Group { at: 2 }, "the end of a group at byte 2 matches no beginning");
}

/// Says whether the bytes are accepted, having checked that prost agrees in everything.
#[track_caller]
fn check_agrees(bytes: &[u8]) -> bool {
    let prost = ExportTraceServiceRequest::decode(bytes);
    let ours = match scan::request(bytes) {
        Ok(ours) => ours,
        Err(error) => {
            assert!(prost.is_err(), "refused, {error}: {bytes:02x?}");
            return false;
        }
    };
    let spans: Vec<&[u8]> = ours.iter().flat_map(|r| &r.scopes).flat_map(|s| s.spans.iter().copied()).collect();
    let scanned: Vec<_> = spans.iter().map(|span| scan_span(span)).collect();
    let prost = match prost {
        Ok(prost) => prost,
        Err(error) => {
            assert!(scanned.iter().any(Result::is_err), "accepted, but {error}: {bytes:02x?}");
            return false;
        }
    };
    for (span, scanned) in spans.iter().zip(&scanned) {
        match (scanned, repeated_field(span)) {
            (Err(ScanError::Duplicate { field, .. }), Some(repeated)) => assert_eq!(*field, repeated),
            (Ok(_), None) => {}
            (scanned, repeated) => panic!("{scanned:?}, with {repeated:?} twice: {bytes:02x?}"),
        }
    }
    compare(&prost, &ours, &scanned);
    scanned.iter().all(Result::is_ok)
}

type Scanned<'a> = Result<(SpanFacts<'a>, Vec<KeyValue>), ScanError>;

fn scan_span(span: &[u8]) -> Scanned<'_> {
    let mut attributes = Vec::new();
    let facts = scan::span(span, &mut |key, value| attributes.push(to_prost(key, value)))?;
    let mut again = Vec::new();
    scan::attributes(span, 9, &mut |key, value| again.push(to_prost(key, value))).expect("a whole span was scanned");
    assert_eq!(encoded(&attributes), encoded(&again));
    Ok((facts, attributes))
}

/// Returns the singular field that a span repeats first, found with prost's own primitives.
fn repeated_field(mut span: &[u8]) -> Option<u32> {
    let mut seen = std::collections::BTreeSet::new();
    while !span.is_empty() {
        let (number, wire) = decode_key(&mut span).expect("prost decoded it");
        skip_field(wire, number, &mut span, DecodeContext::default()).expect("prost decoded it");
        if number <= 16 && ![9, 11, 13].contains(&number) && !seen.insert(number) {
            return Some(number);
        }
    }
    None
}

#[track_caller]
fn compare(prost: &ExportTraceServiceRequest, ours: &[scan::ScannedResource<'_>], scanned: &[Scanned<'_>]) {
    let mut scanned = scanned.iter();
    assert_eq!(prost.resource_spans.len(), ours.len());
    for (theirs, ours) in prost.resource_spans.iter().zip(ours) {
        let resource = Resource::decode(&*ours.resource).expect("a checked resource");
        assert_eq!(theirs.resource.clone().unwrap_or_default().encode_to_vec(), resource.encode_to_vec());
        assert_eq!(theirs.schema_url, ours.schema_url);
        assert_eq!(theirs.scope_spans.len(), ours.scopes.len());
        for (theirs, ours) in theirs.scope_spans.iter().zip(&ours.scopes) {
            let scope = InstrumentationScope::decode(&*ours.scope).expect("a checked scope");
            assert_eq!(theirs.scope.clone().unwrap_or_default().encode_to_vec(), scope.encode_to_vec());
            assert_eq!(theirs.schema_url, ours.schema_url);
            assert_eq!(theirs.spans.len(), ours.spans.len());
            for (theirs, ours) in theirs.spans.iter().zip(scanned.by_ref()) {
                if let Ok((facts, attributes)) = ours {
                    compare_span(theirs, facts, attributes);
                }
            }
        }
    }
}

#[track_caller]
fn compare_span(theirs: &Span, facts: &SpanFacts<'_>, attributes: &[KeyValue]) {
    let expected = SpanFacts {
        trace_id: &theirs.trace_id,
        span_id: &theirs.span_id,
        parent_span_id: &theirs.parent_span_id,
        name: &theirs.name,
        kind: theirs.kind,
        start_unix_nano: theirs.start_time_unix_nano,
        end_unix_nano: theirs.end_time_unix_nano,
        status_code: theirs.status.as_ref().map_or(0, |status| status.code),
        flags: theirs.flags,
    };
    assert_eq!(*facts, expected);
    let theirs: Vec<KeyValue> = theirs.attributes.iter().cloned().map(plain).collect();
    assert_eq!(encoded(&theirs), encoded(attributes));
}

/// Returns an attribute as the scanner tells of it: without references into a profile's dictionary.
fn plain(mut attribute: KeyValue) -> KeyValue {
    attribute.key_strindex = 0;
    attribute.value = match attribute.value {
        Some(ProstValue { value: None | Some(Value::StringValueStrindex(_)) }) => None,
        other => other,
    };
    attribute
}

fn to_prost(key: &str, value: AnyValue<'_>) -> KeyValue {
    let value = match value {
        AnyValue::Empty => None,
        AnyValue::String(text) => Some(Value::StringValue(text.to_owned())),
        AnyValue::Bool(value) => Some(Value::BoolValue(value)),
        AnyValue::Int(value) => Some(Value::IntValue(value)),
        AnyValue::Double(value) => Some(Value::DoubleValue(value)),
        AnyValue::Bytes(bytes) => Some(Value::BytesValue(bytes.to_vec())),
        AnyValue::Array(raw) => {
            let array = ArrayValue::decode(&*raw).expect("a checked array");
            let mut elements = Vec::new();
            scan::elements(&raw, &mut |value| elements.push(to_prost("", value))).expect("a checked array");
            let theirs = array
                .values
                .iter()
                .map(|value| plain(KeyValue { key: String::new(), value: Some(value.clone()), key_strindex: 0 }));
            assert_eq!(encoded(&elements), encoded(&theirs.collect::<Vec<_>>()));
            Some(Value::ArrayValue(array))
        }
        AnyValue::KvList(raw) => {
            let list = KeyValueList::decode(&*raw).expect("a checked list");
            let mut pairs = Vec::new();
            scan::attributes(&raw, 1, &mut |key, value| pairs.push(to_prost(key, value))).expect("a checked list");
            assert_eq!(encoded(&pairs), encoded(&list.values.iter().cloned().map(plain).collect::<Vec<_>>()));
            Some(Value::KvlistValue(list))
        }
    };
    KeyValue { key: key.to_owned(), value: value.map(|value| ProstValue { value: Some(value) }), key_strindex: 0 }
}

/// Returns comparable bytes: NaN differs from itself, its encoding does not.
fn encoded(attributes: &[KeyValue]) -> Vec<Vec<u8>> {
    attributes.iter().map(Message::encode_to_vec).collect()
}

fn in_request(span: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, span)))
}
