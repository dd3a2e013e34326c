//! Logs and metrics: every field, under its JSON name, becomes the field that it is.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::super::{JsonError, request};
use crate::signal::Signal;

fn attributes() -> Vec<KeyValue> {
    let value = Some(AnyValue { value: Some(Value::StringValue("v".to_owned())) });
    vec![KeyValue { key: "k".to_owned(), value, ..Default::default() }]
}

const ATTRIBUTES: &str = r#"[{"key":"k","value":{"stringValue":"v"}}]"#;

#[test]
fn reads_every_field_of_a_log_record() {
    let json = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":{ATTRIBUTES}}},"schemaUrl":"r","scopeLogs":[{{
        "scope":{{"name":"s"}},"schemaUrl":"t","logRecords":[{{
            "timeUnixNano":"1700000000000000001","observedTimeUnixNano":2,"severityNumber":9,"severityText":"INFO",
            "body":{{"stringValue":"b"}},"attributes":{ATTRIBUTES},"droppedAttributesCount":3,"flags":257,
            "traceId":"ABababababababababababababababab","spanId":"0102030405060708","eventName":"e"}}]}}]}}]}}"#
    );
    let record = LogRecord {
        time_unix_nano: 1_700_000_000_000_000_001,
        observed_time_unix_nano: 2,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue("b".to_owned())) }),
        attributes: attributes(),
        dropped_attributes_count: 3,
        flags: 257,
        trace_id: vec![0xAB; 16],
        span_id: vec![1, 2, 3, 4, 5, 6, 7, 8],
        event_name: "e".to_owned(),
    };
    let scope_logs = ScopeLogs {
        scope: Some(InstrumentationScope { name: "s".to_owned(), ..Default::default() }),
        log_records: vec![record],
        schema_url: "t".to_owned(),
    };
    let resource = Some(Resource { attributes: attributes(), ..Default::default() });
    let expected = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource, scope_logs: vec![scope_logs], schema_url: "r".to_owned() }],
    };
    let read = request(Signal::Logs, json.as_bytes(), usize::MAX).unwrap();
    assert_eq!(ExportLogsServiceRequest::decode(&read[..]).unwrap(), expected);
}

fn read(metric: &str) -> Result<Vec<u8>, JsonError> {
    let json = format!(
        r#"{{"resourceMetrics":[{{"resource":{{}},"schemaUrl":"r","scopeMetrics":[{{
        "scope":{{"name":"s"}},"schemaUrl":"t","metrics":[{metric}]}}]}}]}}"#
    );
    request(Signal::Metrics, json.as_bytes(), usize::MAX)
}

#[track_caller]
fn check_data(json: &str, data: Option<Data>) {
    let metric = Metric {
        name: "n".to_owned(),
        description: "d".to_owned(),
        unit: "u".to_owned(),
        metadata: attributes(),
        data,
    };
    let scope_metrics = ScopeMetrics {
        scope: Some(InstrumentationScope { name: "s".to_owned(), ..Default::default() }),
        metrics: vec![metric],
        schema_url: "t".to_owned(),
    };
    let expected = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource::default()),
            scope_metrics: vec![scope_metrics],
            schema_url: "r".to_owned(),
        }],
    };
    let json = format!(r#"{{"name":"n","description":"d","unit":"u","metadata":{ATTRIBUTES}{json}}}"#);
    let bytes = read(&json).unwrap_or_else(|error| panic!("{error} in {json}"));
    assert_eq!(ExportMetricsServiceRequest::decode(&bytes[..]).unwrap(), expected, "{json}");
}

fn exemplar(value: exemplar::Value) -> Exemplar {
    Exemplar {
        filtered_attributes: attributes(),
        time_unix_nano: 4,
        span_id: vec![1; 8],
        trace_id: vec![2; 16],
        value: Some(value),
    }
}

/// An exemplar's JSON, with one value.
fn exemplars(value: &str) -> String {
    let (span, trace) = ("01".repeat(8), "02".repeat(16));
    format!(
        r#"[{{"filteredAttributes":{ATTRIBUTES},"timeUnixNano":"4","spanId":"{span}","traceId":"{trace}",{value}}}]"#
    )
}

#[test]
fn reads_every_field_of_numbers() {
    let point = |value, exemplars| NumberDataPoint {
        attributes: attributes(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        exemplars,
        flags: 1,
        value,
    };
    let json = |value: &str, exemplars: &str| {
        format!(
            r#"[{{"attributes":{ATTRIBUTES},"startTimeUnixNano":"1","timeUnixNano":2,"flags":1,
            "exemplars":{exemplars}{value}}}]"#
        )
    };
    let (double, int) = (number_data_point::Value::AsDouble, number_data_point::Value::AsInt);
    for (value, expected) in [
        (r#","asDouble":2.5"#, Some(double(2.5))),
        (r#","asDouble":0"#, Some(double(0.0))),
        (r#","asInt":"-5""#, Some(int(-5))),
        (r#","asInt":0"#, Some(int(0))),
        ("", None),
    ] {
        let points = json(value, &exemplars(r#""asInt":-1"#));
        let with = exemplar(exemplar::Value::AsInt(-1));
        let gauge = Data::Gauge(Gauge { data_points: vec![point(expected, vec![with])] });
        check_data(&format!(r#","gauge":{{"dataPoints":{points}}}"#), Some(gauge));
    }
    let points = json(r#","asInt":7"#, &exemplars(r#""asDouble":0.5"#));
    let sum = Sum {
        data_points: vec![point(Some(int(7)), vec![exemplar(exemplar::Value::AsDouble(0.5))])],
        aggregation_temporality: 2,
        is_monotonic: true,
    };
    let json = format!(r#","sum":{{"dataPoints":{points},"aggregationTemporality":2,"isMonotonic":true}}"#);
    check_data(&json, Some(Data::Sum(sum)));
    check_data("", None);
    check_data(r#","sum":{},"gauge":null"#, Some(Data::Sum(Sum::default())));
}

#[test]
fn reads_every_field_of_histograms() {
    let point = HistogramDataPoint {
        attributes: attributes(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 6,
        sum: Some(0.0),
        bucket_counts: vec![0, 1, u64::MAX],
        explicit_bounds: vec![-1.5, 0.0],
        exemplars: vec![exemplar(exemplar::Value::AsInt(1))],
        flags: 1,
        min: Some(-2.0),
        max: None,
    };
    let histogram = Histogram { data_points: vec![point, HistogramDataPoint::default()], aggregation_temporality: 1 };
    let json = format!(
        r#","histogram":{{"aggregationTemporality":1,"dataPoints":[{{"attributes":{ATTRIBUTES},
        "startTimeUnixNano":"1","timeUnixNano":"2","count":"6","sum":0,"bucketCounts":["0",1,"18446744073709551615"],
        "explicitBounds":[-1.5,0],"exemplars":{},"flags":1,"min":-2,"max":null}},
        {{"bucketCounts":[],"explicitBounds":null}}]}}"#,
        exemplars(r#""asInt":1"#)
    );
    check_data(&json, Some(Data::Histogram(histogram)));
}

#[test]
fn reads_every_field_of_exponential_histograms_and_summaries() {
    let point = ExponentialHistogramDataPoint {
        attributes: attributes(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 6,
        sum: Some(f64::INFINITY),
        scale: -3,
        zero_count: 4,
        positive: Some(Buckets { offset: i32::MIN, bucket_counts: vec![0, 300] }),
        negative: Some(Buckets { offset: 7, bucket_counts: vec![] }),
        flags: 1,
        exemplars: vec![exemplar(exemplar::Value::AsInt(1))],
        min: Some(0.0),
        max: Some(9.0),
        zero_threshold: 0.25,
    };
    let histogram = ExponentialHistogram { data_points: vec![point], aggregation_temporality: 1 };
    let json = format!(
        r#","exponentialHistogram":{{"aggregationTemporality":1,"dataPoints":[{{"attributes":{ATTRIBUTES},
        "startTimeUnixNano":"1","timeUnixNano":"2","count":6,"sum":"Infinity","scale":-3,"zeroCount":"4",
        "positive":{{"offset":-2147483648,"bucketCounts":["0",300]}},"negative":{{"offset":7}},"flags":1,
        "exemplars":{},"min":0,"max":9,"zeroThreshold":0.25}}]}}"#,
        exemplars(r#""asInt":1"#)
    );
    check_data(&json, Some(Data::ExponentialHistogram(histogram)));
    let point = SummaryDataPoint {
        attributes: attributes(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 6,
        sum: 1.5,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 3.0 }, ValueAtQuantile::default()],
        flags: 1,
    };
    let json = format!(
        r#","summary":{{"dataPoints":[{{"attributes":{ATTRIBUTES},"startTimeUnixNano":"1","timeUnixNano":"2",
        "count":"6","sum":1.5,"quantileValues":[{{"quantile":0.5,"value":3}},{{"quantile":0}}],"flags":1}}]}}"#
    );
    check_data(&json, Some(Data::Summary(Summary { data_points: vec![point] })));
}

#[test]
fn names_the_place_of_what_it_refuses() {
    let at = "resourceMetrics[0].scopeMetrics[0].metrics[0]";
    for (json, place, fault) in [
        (r#"{"sum":{},"gauge":{}}"#, ".gauge", "only one value is allowed, and sum is there already"),
        (
            r#"{"gauge":{"dataPoints":[{"asInt":1,"asDouble":1}]}}"#,
            ".gauge.dataPoints[0].asDouble",
            "only one value is allowed, and asInt is there already",
        ),
        (
            r#"{"histogram":{"dataPoints":[{"bucketCounts":[1,-1]}]}}"#,
            ".histogram.dataPoints[0].bucketCounts[1]",
            "invalid value: integer `-1`, expected a 64-bit integer from 0",
        ),
        (
            r#"{"histogram":{"dataPoints":[{"bucketCounts":[null]}]}}"#,
            ".histogram.dataPoints[0].bucketCounts[0]",
            "invalid type: null, expected a number",
        ),
        (
            r#"{"histogram":{"dataPoints":[{"explicitBounds":["x"]}]}}"#,
            ".histogram.dataPoints[0].explicitBounds[0]",
            "invalid value: string \"x\", expected a number",
        ),
    ] {
        let error = read(json).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{at}{place}: {fault}")), "{json}\ngave: {error}");
    }
}

/// In JSON a zero takes two bytes, and in protobuf eight.
#[test]
fn does_not_let_numbers_outgrow_the_limit() {
    let zeros = vec!["0"; 1000].join(",");
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[
        {{"explicitBounds":[{zeros}]}}]}}}}]}}]}}]}}"#
    );
    let longest = super::super::longest(Signal::Metrics, json.as_bytes(), usize::MAX);
    let whole = request(Signal::Metrics, json.as_bytes(), 10_000).unwrap();
    assert!(whole.len() > 8000 && whole.len() <= longest, "{} {longest}", whole.len());
    assert!(matches!(request(Signal::Metrics, json.as_bytes(), 5000), Err(JsonError::TooLarge)));
    let zeros = vec![r#"{"sum":0,"min":0,"max":0}"#; 1000].join(",");
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{zeros}]}}}}]}}]}}]}}"#
    );
    let bytes = request(Signal::Metrics, json.as_bytes(), usize::MAX).unwrap();
    assert!(bytes.len() <= super::super::longest(Signal::Metrics, json.as_bytes(), usize::MAX));
}
