//! The scanner against prost: the same answer or the same refusal, but for spans with a singular field twice.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue as ProstValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use spanseal_schemas::scan::{self, AnyValue, ScanError, SpanFacts};

/// Says whether the bytes are accepted, having checked that prost agrees in everything.
#[track_caller]
pub(crate) fn check(bytes: &[u8]) -> bool {
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
    let facts = scan::span(span, &mut |key, value| attributes.push(to_prost(key, value)));
    check_wanted(span, &facts, &attributes);
    let facts = facts?;
    let mut again = Vec::new();
    scan::attributes(span, 9, &mut |key, value| again.push(to_prost(key, value))).expect("a whole span was scanned");
    assert_eq!(encoded(&attributes), encoded(&again));
    Ok((facts, attributes))
}

/// Checks that a scan for some attributes judges the whole span all the same, and finds those.
#[track_caller]
fn check_wanted(span: &[u8], facts: &Result<SpanFacts<'_>, ScanError>, attributes: &[KeyValue]) {
    for remainder in 0..2 {
        let wants = |key: &[u8]| key.len() % 2 == remainder;
        let mut wanted = Vec::new();
        let found = scan::span_of(span, &wants, &mut |key, value| {
            if wants(key.as_bytes()) {
                wanted.push(to_prost(key, value));
            }
        });
        assert_eq!(&found, facts, "{span:02x?}");
        let all = attributes.iter().filter(|attribute| wants(attribute.key.as_bytes())).cloned().collect::<Vec<_>>();
        assert_eq!(encoded(&wanted), encoded(&all), "{span:02x?}");
    }
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
