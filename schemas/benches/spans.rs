//! What one span of 20 attributes and 1.2 KB costs on the hot path: scan, splice, seal as an event, and prost beside it.
//!
//! `cargo bench -p spanseal-schemas` measures; under `cargo test` each runs once.
#![expect(clippy::unwrap_used, reason = "a benchmark ends where something is not as it should be")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use spanseal_schemas::envelope::{SpanHead, span_event};
use spanseal_schemas::event::Encoding;
use spanseal_schemas::splice::{Mark, Origin, RequestBuilder, marked};
use spanseal_schemas::{canonical, cut, kind, scan};

fn one_span(criterion: &mut Criterion) {
    let span = span().encode_to_vec();
    let marks = marks();
    let mut group = criterion.benchmark_group("one span");
    group.throughput(Throughput::Elements(1));
    group.bench_function("scan", |bencher| {
        bencher.iter(|| {
            let mut attributes = 0;
            let facts = scan::span(black_box(&span), &mut |key, _| attributes += key.len()).unwrap();
            (facts, attributes)
        });
    });
    group.bench_function("prost decode", |bencher| bencher.iter(|| Span::decode(black_box(&*span)).unwrap()));
    let mut out = Vec::with_capacity(2 * span.len());
    group.bench_function("splice five marks", |bencher| {
        bencher.iter(|| {
            out.clear();
            marked(&mut out, black_box(&span), &marks);
            out.len()
        });
    });
    let keep_out = |key: &str| key == "gen_ai.tool.call.arguments";
    group.bench_function("plan, nothing to cut", |bencher| {
        bencher.iter(|| cut::plan(black_box(&span), &|_| false, 60_000).len());
    });
    group.bench_function("plan, one value kept out", |bencher| {
        bencher.iter(|| cut::plan(black_box(&span), &keep_out, 60_000).len());
    });
    group.bench_function("event", |bencher| {
        bencher.iter(|| {
            out.clear();
            span_event(&mut out, black_box(&head()), black_box(&span), &[], &[]);
            out.len()
        });
    });
    group.bench_function("canonical check", |bencher| {
        let mut body = Vec::new();
        span_event(&mut body, &head(), &span, &[], &[]);
        bencher.iter(|| canonical::check(kind::SPAN, black_box(&body)).unwrap());
    });
    group.finish();
}

fn one_request(criterion: &mut Criterion) {
    const SPANS: usize = 512;
    let bytes = span().encode_to_vec();
    let marks = marks();
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans: vec![span(); SPANS], ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    let request = request.encode_to_vec();
    let mut group = criterion.benchmark_group("512 spans");
    group.throughput(Throughput::Elements(SPANS as u64));
    group.bench_function("boundaries", |bencher| bencher.iter(|| scan::request(black_box(&request)).unwrap().len()));
    group.bench_function("scan", |bencher| {
        bencher.iter(|| {
            let mut keys = 0;
            for span in
                scan::request(black_box(&request)).unwrap().iter().flat_map(|r| &r.scopes).flat_map(|s| &s.spans)
            {
                scan::span(span, &mut |key, _| keys += key.len()).unwrap();
            }
            keys
        });
    });
    group.bench_function("build", |bencher| {
        let origin = Origin { resource: &[1; 300], resource_schema_url: "", scope: &[2; 30], scope_schema_url: "" };
        bencher.iter_batched_ref(
            RequestBuilder::new,
            |builder| {
                for _ in 0..SPANS {
                    builder.push(&origin, black_box(&bytes), &marks);
                }
                builder.finish()
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn head() -> SpanHead<'static> {
    SpanHead {
        received_unix_nano: 1_790_000_000_000_000_000,
        resource: 100_001,
        scope: 100_002,
        tenant: 100_003,
        configuration: 100_004,
        encoding: Encoding::Protobuf,
        producer: None,
        assessment: None,
    }
}

fn marks() -> [(&'static str, Mark<'static>); 5] {
    [
        ("spanseal.verdict", Mark::Str("unproven")),
        ("spanseal.reasons", Mark::Str("not_evaluated")),
        ("spanseal.event", Mark::Str("8f14e45fceea167a5a36dedd4bea2543-1234567")),
        ("spanseal.hash", Mark::Str("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")),
        ("spanseal.cuts", Mark::Int(2)),
    ]
}

/// A tool call as agents send it.
fn span() -> Span {
    Span {
        trace_id: vec![0x5A; 16],
        span_id: vec![0xA5; 8],
        parent_span_id: vec![0x3C; 8],
        flags: 0x101,
        name: "execute_tool search_tickets".into(),
        kind: 1,
        start_time_unix_nano: 1_790_000_000_000_000_000,
        end_time_unix_nano: 1_790_000_000_250_000_000,
        attributes: attributes(),
        status: Some(Status { code: 1, ..Status::default() }),
        ..Span::default()
    }
}

fn attributes() -> Vec<KeyValue> {
    let text = |key: &str, value: &str| attribute(key, Value::StringValue(value.into()));
    let number = |key: &str, value: i64| attribute(key, Value::IntValue(value));
    let arguments = "{\"query\": \"open incidents of the payment service, newest first\", \"limit\": 25, \"fields\": [\"id\", \"title\", \"state\"]}";
    vec![
        text("gen_ai.operation.name", "execute_tool"),
        text("gen_ai.provider.name", "openai"),
        text("gen_ai.request.model", "gpt-5-2026-08-07"),
        text("gen_ai.agent.name", "incident-responder"),
        text("gen_ai.agent.id", "agent_5f1c2b9a"),
        text("gen_ai.conversation.id", "conv_5j66UpCpwteGg4YSxUnt7lPY"),
        text("gen_ai.tool.name", "search_tickets"),
        text("gen_ai.tool.type", "function"),
        text("gen_ai.tool.call.id", "call_9J3uIL87gldCFtiIbyaOvTeY"),
        text("gen_ai.tool.call.arguments", arguments),
        text("gen_ai.tool.call.result", &"{\"id\": \"OPS-12\", \"title\": \"p99 above 2 s\"} ".repeat(3)),
        number("gen_ai.usage.input_tokens", 1812),
        number("gen_ai.usage.output_tokens", 93),
        attribute("gen_ai.request.temperature", Value::DoubleValue(0.2)),
        text("server.address", "tickets.acme.example"),
        number("server.port", 443),
        text("session.id", "0a6f2f51-2a9c-4a2c-9c55-7a5b3a0f7d11"),
        text("user.id", "anna@acme.example"),
        attribute("app.cached", Value::BoolValue(false)),
        text("code.function.name", "responder::tools::search_tickets"),
    ]
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

criterion_group!(benches, one_span, one_request);
criterion_main!(benches);
