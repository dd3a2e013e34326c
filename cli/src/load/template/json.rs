//! The same requests as OTLP/JSON: hex ids, camelCase, 64-bit numbers as strings.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

use crate::text::hex;

/// Returns the request in OTLP/JSON, fields in the order of protobuf's.
pub(super) fn encode(request: &ExportTraceServiceRequest) -> Vec<u8> {
    let resource_spans = list(&request.resource_spans, |resource_spans| {
        let attributes = resource_spans.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let scope_spans = list(&resource_spans.scope_spans, |scope_spans| {
            let scope = scope_spans.scope.clone().unwrap_or_default();
            let scope = json!({"name": scope.name, "version": scope.version});
            format!(r#"{{"scope":{scope},"spans":{}}}"#, list(&scope_spans.spans, span))
        });
        format!(r#"{{"resource":{{"attributes":{}}},"scopeSpans":{scope_spans}}}"#, list(attributes, attribute))
    });
    format!(r#"{{"resourceSpans":{resource_spans}}}"#).into_bytes()
}

fn list<T>(elements: &[T], encode: impl Fn(&T) -> String) -> String {
    format!("[{}]", elements.iter().map(encode).collect::<Vec<_>>().join(","))
}

/// Returns a time in decimal, 19 digits as the times of this century have.
pub(super) fn time(unix_nano: u64) -> String {
    format!("{unix_nano:019}")
}

fn span(span: &Span) -> String {
    let ids = [&span.trace_id, &span.span_id, &span.parent_span_id].map(|id| hex(id));
    let [trace_id, span_id, parent_span_id] = ids;
    let (start, end) = (time(span.start_time_unix_nano), time(span.end_time_unix_nano));
    let (name, kind, flags) = (json!(span.name), span.kind, span.flags);
    let attributes = list(&span.attributes, attribute);
    format!(
        r#"{{"traceId":"{trace_id}","spanId":"{span_id}","parentSpanId":"{parent_span_id}","name":{name},"kind":{kind},"#
    ) + &format!(
        r#""startTimeUnixNano":"{start}","endTimeUnixNano":"{end}","attributes":{attributes},"status":{{"code":1}},"flags":{flags}}}"#
    )
}

fn attribute(attribute: &KeyValue) -> String {
    let value = match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => json!({"stringValue": text}),
        Some(Value::IntValue(number)) => json!({"intValue": number.to_string()}),
        _ => json!({}),
    };
    json!({"key": attribute.key, "value": value}).to_string()
}
