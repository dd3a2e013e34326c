mod writer;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use prost::Message;

use super::JsonError;
use crate::signal::Signal;

fn request(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    super::request(Signal::Traces, text, usize::MAX)
}

fn read(text: &str) -> ExportTraceServiceRequest {
    let bytes = request(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\nin: {text}"));
    ExportTraceServiceRequest::decode(&bytes[..]).unwrap()
}

/// One span's JSON, inside a request.
fn with_span(span: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#)
}

#[track_caller]
fn check_span(json: &str, expected: Span) {
    let expected = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans: vec![expected], ..Default::default() }],
            ..Default::default()
        }],
    };
    assert_eq!(read(&with_span(json)), expected, "{json}");
}

/// An attribute value's JSON, and the value that it means; `None`: present but empty.
#[track_caller]
fn check_value(json: &str, expected: Option<Value>) {
    let attribute = KeyValue { key: "k".to_owned(), value: Some(AnyValue { value: expected }), ..Default::default() };
    check_span(
        &format!(r#"{{"attributes":[{{"key":"k","value":{json}}}]}}"#),
        Span { attributes: vec![attribute], ..Default::default() },
    );
}

#[track_caller]
fn check_refused(json: &str, expected: &str) {
    let error = request(json.as_bytes()).expect_err(json).to_string();
    assert!(error.starts_with(expected), "{json}\ngave: {error}\nnot: {expected}");
}

#[test]
fn reads_ids_as_hex_of_either_case() {
    let span = Span { trace_id: vec![0xab; 16], span_id: vec![1, 0xFF], ..Default::default() };
    check_span(r#"{"traceId":"ABababABabababababababababababab","spanId":"01fF"}"#, span);
}

#[test]
fn reads_integers_as_numbers_and_strings() {
    for (json, value) in [
        (r#""startTimeUnixNano":"1700000000000000001""#, 1_700_000_000_000_000_001),
        (r#""startTimeUnixNano":1700000000000000001"#, 1_700_000_000_000_000_001),
        (r#""startTimeUnixNano":18446744073709551615"#, u64::MAX),
        (r#""startTimeUnixNano":1e3"#, 1000),
        (r#""startTimeUnixNano":0"#, 0),
    ] {
        check_span(&format!("{{{json}}}"), Span { start_time_unix_nano: value, ..Default::default() });
    }
    check_span(
        r#"{"flags":257,"kind":3,"droppedLinksCount":"7"}"#,
        Span { flags: 257, kind: 3, dropped_links_count: 7, ..Default::default() },
    );
}

#[test]
fn reads_every_kind_of_value() {
    let empty = ArrayValue { values: vec![] };
    let list = |values| Some(Value::ArrayValue(ArrayValue { values }));
    let one = AnyValue { value: Some(Value::IntValue(1)) };
    for (json, expected) in [
        (r#"{"stringValue":"a\"b\u00e9"}"#, Some(Value::StringValue("a\"bé".to_owned()))),
        (r#"{"stringValue":""}"#, Some(Value::StringValue(String::new()))),
        (r#"{"boolValue":false}"#, Some(Value::BoolValue(false))),
        (r#"{"intValue":"-9223372036854775808"}"#, Some(Value::IntValue(i64::MIN))),
        (r#"{"intValue":0}"#, Some(Value::IntValue(0))),
        (r#"{"doubleValue":1}"#, Some(Value::DoubleValue(1.0))),
        (r#"{"doubleValue":"-2.5"}"#, Some(Value::DoubleValue(-2.5))),
        (r#"{"doubleValue":"Infinity"}"#, Some(Value::DoubleValue(f64::INFINITY))),
        (r#"{"doubleValue":"-Infinity"}"#, Some(Value::DoubleValue(f64::NEG_INFINITY))),
        (r#"{"bytesValue":"+/8="}"#, Some(Value::BytesValue(vec![0xFB, 0xFF]))),
        (r#"{"bytesValue":"-_8"}"#, Some(Value::BytesValue(vec![0xFB, 0xFF]))),
        (r#"{"arrayValue":{}}"#, Some(Value::ArrayValue(empty.clone()))),
        (r#"{"arrayValue":{"values":null}}"#, Some(Value::ArrayValue(empty))),
        (r#"{"arrayValue":{"values":[null,{"intValue":1}]}}"#, list(vec![AnyValue { value: None }, one])),
        (r#"{"doubleValue":null}"#, None),
        (r#"{"doubleValue":null,"intValue":1}"#, Some(Value::IntValue(1))),
        (r#"{"newKindOfValue":[1,{"x":2}]}"#, None),
        ("{}", None),
    ] {
        check_value(json, expected);
    }
    let nan = read(&with_span(r#"{"attributes":[{"key":"k","value":{"doubleValue":"NaN"}}]}"#));
    assert!(format!("{nan:?}").contains("DoubleValue(NaN)"));
}

#[test]
fn replaces_half_a_character_and_keeps_the_rest() {
    check_value(r#"{"stringValue":"a\ud83db"}"#, Some(Value::StringValue("a\u{FFFD}b".to_owned())));
    check_value(r#"{"stringValue":"\udc00é\ud83d"}"#, Some(Value::StringValue("\u{FFFD}é\u{FFFD}".to_owned())));
    check_value(r#"{"stringValue":"\ud83d\ude00"}"#, Some(Value::StringValue("😀".to_owned())));
}

#[test]
fn takes_null_for_absent_everywhere() {
    let nothing = Span::default();
    for json in [
        r#"{"traceId":null,"traceState":null,"flags":null,"startTimeUnixNano":null}"#,
        r#"{"attributes":null,"events":null,"status":null}"#,
        r#"{"links":[null,null],"attributes":[]}"#,
    ] {
        check_span(json, nothing.clone());
    }
    check_span(r#"{"status":{"code":null}}"#, Span { status: Some(Status::default()), ..nothing });
    for json in [r#"{"resourceSpans":null}"#, r#"{"resourceSpans":[null]}"#, "{}", " {} \n"] {
        assert_eq!(read(json), ExportTraceServiceRequest::default(), "{json}");
    }
}

#[test]
fn ignores_keys_that_it_does_not_know() {
    let json = r#"{"name":"n","trace_id":"zz","future":{"deep":[[[{"a":null}]]]},"end_time_unix_nano":-1}"#;
    check_span(json, Span { name: "n".to_owned(), ..Default::default() });
}

#[test]
fn names_the_place_of_what_it_refuses() {
    let spans = "resourceSpans[0].scopeSpans[0].spans[0]";
    for (json, place, fault) in [
        (r#"{"traceId":"xyz0"}"#, ".traceId", r#"invalid value: string "xyz0", expected an even number of hex digits"#),
        (r#"{"traceId":"abc"}"#, ".traceId", r#"invalid value: string "abc", expected an even number of hex digits"#),
        (r#"{"traceId":5}"#, ".traceId", "invalid type: integer `5`, expected an even number of hex digits"),
        (r#"{"name":5}"#, ".name", "invalid type: integer `5`, expected a string"),
        (r#"{"name":[5]}"#, ".name", "invalid type: sequence, expected a string"),
        (r#"{"kind":"SPAN_KIND_CLIENT"}"#, ".kind", r#"invalid type: string "SPAN_KIND_CLIENT", expected the number"#),
        (r#"{"kind":2147483648}"#, ".kind", "invalid value: integer `2147483648`, expected the number"),
        (r#"{"flags":-1}"#, ".flags", "invalid value: integer `-1`, expected a 32-bit integer from 0"),
        (r#"{"flags":1.5}"#, ".flags", "invalid value: floating point `1.5`, expected a 32-bit integer from 0"),
        (r#"{"startTimeUnixNano":"-1"}"#, ".startTimeUnixNano", r#"invalid value: string "-1", expected a 64-bit"#),
        (r#"{"startTimeUnixNano":""}"#, ".startTimeUnixNano", r#"invalid value: string "", expected a 64-bit"#),
        (r#"{"startTimeUnixNano":true}"#, ".startTimeUnixNano", "invalid type: boolean `true`, expected a 64-bit"),
        (r#"{"status":"ok"}"#, ".status", r#"invalid type: string "ok", expected an object"#),
        (r#"{"attributes":"a"}"#, ".attributes", r#"invalid type: string "a", expected an array"#),
        (
            r#"{"attributes":[{"value":{"boolValue":"true"}}]}"#,
            ".attributes[0].value.boolValue",
            "invalid type: string",
        ),
        (r#"{"attributes":[{"value":{"bytesValue":1}}]}"#, ".attributes[0].value.bytesValue", "invalid type: integer"),
        (r#"{"traceId":0}"#, ".traceId", "invalid type: integer `0`"),
        (r#"{"traceId":1.0}"#, ".traceId", "invalid type: floating point `1.0`"),
        (r#"{"status":[]}"#, ".status", "invalid type: sequence, expected an object"),
        (r#"{"attributes":{}}"#, ".attributes", "invalid type: map, expected an array"),
        (r#"{"name":"a","name":"a"}"#, ".name", "this key stands twice"),
        (r#"{"attributes":[{},{"value":{"intValue":"1x"}}]}"#, ".attributes[1].value.intValue", "invalid value"),
        (r#"{"attributes":[{"value":{"doubleValue":"inf"}}]}"#, ".attributes[0].value.doubleValue", "invalid value"),
        (r#"{"attributes":[{"value":{"bytesValue":"*"}}]}"#, ".attributes[0].value.bytesValue", "invalid value"),
        (r#"{"attributes":[{"value":{"boolValue":0}}]}"#, ".attributes[0].value.boolValue", "invalid type"),
        (
            r#"{"attributes":[{"value":{"intValue":0,"stringValue":""}}]}"#,
            ".attributes[0].value.stringValue",
            "only one value is allowed, and intValue is there already",
        ),
    ] {
        check_refused(&with_span(json), &format!("{spans}{place}: {fault}"));
    }
    let long = "\u{7f}".repeat(10_000);
    for json in [format!(r#"{{"resourceSpans":"{long}"}}"#), with_span(&format!(r#"{{"traceId":"{long}"}}"#))] {
        assert!(request(json.as_bytes()).unwrap_err().to_string().len() < 800);
    }
    check_refused(r#"{"resourceSpans":[{},{"schemaUrl":1}]}"#, "resourceSpans[1].schemaUrl: invalid type");
    check_refused(r#"{"resourceSpans":[{}"#, "resourceSpans[1]: EOF while parsing a list at line 1");
}

#[test]
fn refuses_what_is_no_json_object() {
    check_refused("", "EOF while parsing a value");
    check_refused("null", "invalid type: null, expected an object");
    check_refused("[]", "invalid type: sequence, expected an object");
    check_refused("{} {}", "trailing characters");
    let error = request(b"{\"a\":\"\xFF\"}").unwrap_err();
    assert_eq!(error.to_string(), "the JSON is not UTF-8 at byte 6");
}

#[test]
fn limits_the_depth() {
    let nested = |levels: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(levels);
        let close = "]}}".repeat(levels);
        with_span(&format!(r#"{{"attributes":[{{"value":{open}{close}}}]}}"#))
    };
    assert!(request(nested(39).as_bytes()).is_ok());
    let refused = request(nested(100_000).as_bytes()).unwrap_err().to_string();
    assert!(refused.contains("recursion limit exceeded"), "{refused}");
    // An unknown key's value costs no stack at all.
    let unknown = format!(r#"{{"unknown":{}{}}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert!(request(unknown.as_bytes()).is_ok());
}

#[test]
fn does_not_grow_what_it_reads() {
    for element in ["{}", r#"{"kind":1}"#, r#"{"attributes":[{},{},{}]}"#, r#"{"events":[{"timeUnixNano":1}]}"#] {
        let json = with_span(&vec![element; 10_000].join(","));
        let bytes = request(json.as_bytes()).unwrap();
        assert!(bytes.len() < json.len(), "{element}: {} became {}", json.len(), bytes.len());
    }
}

proptest! {
    /// However a writer is free to write it, what is read is what was written.
    #[test]
    fn reads_back_any_request(request in writer::any_request(), style in any::<u64>()) {
        let json = writer::json(&request, style);
        prop_assert_eq!(&read(&json), &request, "{}", json);
    }

    #[test]
    fn never_panics_on_anything_like_json(text in r#"[\[\]{}",:0-9a-zA-Z\\\.\-]{0,200}"#) {
        let _ = request(text.as_bytes());
    }
}

mod signals;
