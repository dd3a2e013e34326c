//! Pre-encoded requests of realistic agent spans, with the places where ids and times are patched.
//!
//! A generator that encodes each span would measure itself: encoding costs more than sealing. Here a request is encoded
//! once, and each send copies it and writes fresh ids and times over the old ones.

mod json;

use anyhow::Context as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use prost::Message as _;

use crate::text::hex;

/// Spans in one trace: an `invoke_agent` root and its children.
pub(crate) const SPANS_PER_TRACE: usize = 8;

/// How large spans are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mix {
    /// 1.2 KB each.
    Usual,
    /// 90 % 1.3 KB, 9 % 8 KB, 1 % 64 KB, and one of 1 to 4 MB in about 4,000.
    HeavyTail,
}

/// How requests are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Protobuf,
    Json,
}

/// What requests are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) spans: usize,
    pub(crate) mix: Mix,
    pub(crate) encoding: Encoding,
}

/// One encoded `ExportTraceServiceRequest` and where each span's ids and times lie in it.
pub(crate) struct Template {
    bytes: Vec<u8>,
    encoding: Encoding,
    spans: Vec<Places>,
    span_bytes: usize,
}

/// Byte offsets inside the request.
struct Places {
    trace_id: usize,
    span_id: usize,
    parent_span_id: Option<usize>,
    start: usize,
    end: usize,
}

impl Template {
    /// Encodes the request number `seed` of a kind.
    ///
    /// # Errors
    /// When a placeholder cannot be found again in the encoded bytes.
    pub(crate) fn new(kind: Kind, seed: u64) -> anyhow::Result<Self> {
        let Kind { spans, mix, encoding } = kind;
        let mut words = Words(seed * 77 + 1);
        let request = request((0..spans).map(|n| span(n, note_len(mix, seed, n), &mut words)).collect());
        let span_bytes = request.resource_spans[0].scope_spans[0].spans.iter().map(Span::encoded_len).sum();
        let bytes = match encoding {
            Encoding::Protobuf => request.encode_to_vec(),
            Encoding::Json => json::encode(&request),
        };
        let mut from = 0;
        let mut places = Vec::with_capacity(spans);
        for n in 0..spans {
            let place = Places::find(&bytes, encoding, from, n).context("a placeholder was lost in encoding")?;
            from = place.end;
            places.push(place);
        }
        Ok(Self { bytes, encoding, spans: places, span_bytes })
    }

    /// Returns the number of spans in the request.
    pub(crate) fn spans(&self) -> usize {
        self.spans.len()
    }

    /// Returns the length of the encoded request in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns what its spans take in protobuf, without resource, scope and framing.
    pub(crate) fn span_bytes(&self) -> usize {
        self.span_bytes
    }

    /// Appends the request to `out` with the ids of spans `first..` of the run and times ending at `now_unix_nano`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, run: u64, first: u64, now_unix_nano: u64) {
        let base = out.len();
        out.extend_from_slice(&self.bytes);
        let out = &mut out[base..];
        for (n, places) in (0u64..).zip(&self.spans) {
            let number = first + n;
            let trace = number / SPANS_PER_TRACE as u64;
            let root = trace * SPANS_PER_TRACE as u64;
            let mut trace_id = [0; 16];
            trace_id[..8].copy_from_slice(&scattered(trace.wrapping_add(run << 20)).to_be_bytes());
            trace_id[8..].copy_from_slice(&run.to_be_bytes());
            self.put_id(out, places.trace_id, &trace_id);
            self.put_id(out, places.span_id, &span_id(run, number));
            if let Some(parent) = places.parent_span_id {
                self.put_id(out, parent, &span_id(run, root));
            }
            self.put_time(out, places.start, now_unix_nano - 40_000_000);
            self.put_time(out, places.end, now_unix_nano);
        }
    }

    fn put_id(&self, out: &mut [u8], at: usize, id: &[u8]) {
        match self.encoding {
            Encoding::Protobuf => put(out, at, id),
            Encoding::Json => put(out, at, hex(id).as_bytes()),
        }
    }

    fn put_time(&self, out: &mut [u8], at: usize, unix_nano: u64) {
        match self.encoding {
            Encoding::Protobuf => put(out, at, &unix_nano.to_le_bytes()),
            Encoding::Json => put(out, at, json::time(unix_nano).as_bytes()),
        }
    }
}

/// Returns the id of the run's span `number`: never zero, different in every run.
pub(crate) fn span_id(run: u64, number: u64) -> [u8; 8] {
    scattered((number + 1).wrapping_add(run << 20)).max(1).to_be_bytes()
}

/// Returns another number for each, in no order, as ids of SDKs are: an index of numbers in order is much cheaper.
fn scattered(number: u64) -> u64 {
    // The finalizer of SplitMix64, which is one to one.
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

impl Places {
    /// Finds the placeholders of span `n` at or after `from`: fields ascend, so each is looked for after the one before it.
    fn find(bytes: &[u8], encoding: Encoding, from: usize, n: usize) -> Option<Self> {
        let after = |start: usize, needle: &[u8]| {
            bytes[start..].windows(needle.len()).position(|window| window == needle).map(|at| start + at)
        };
        let id = |id: &[u8]| match encoding {
            Encoding::Protobuf => id.to_vec(),
            Encoding::Json => hex(id).into_bytes(),
        };
        let time = |time: u64| match encoding {
            Encoding::Protobuf => time.to_le_bytes().to_vec(),
            Encoding::Json => json::time(time).into_bytes(),
        };
        let trace_id = after(from, &id(&placeholder_trace(n)))?;
        let span_id = after(trace_id, &id(&placeholder_span(n)))?;
        let parent = !n.is_multiple_of(SPANS_PER_TRACE);
        let parent_span_id = if parent { Some(after(span_id + 8, &id(&PLACEHOLDER_PARENT))?) } else { None };
        let start = after(span_id + 8, &time(PLACEHOLDER_START))?;
        let end = after(start, &time(PLACEHOLDER_END))?;
        Some(Self { trace_id, span_id, parent_span_id, start, end })
    }
}

/// Returns the length of the text that makes span `n` of request `seed` as large as the mix wants it.
fn note_len(mix: Mix, seed: u64, n: usize) -> usize {
    match (mix, n % 100) {
        (Mix::Usual, _) => 420,
        (Mix::HeavyTail, _) if n == 77 && seed.is_multiple_of(8) => 1 << 20 << (seed / 8 % 3),
        (Mix::HeavyTail, 0..90) => 500,
        (Mix::HeavyTail, 90..99) => 7_200,
        (Mix::HeavyTail, _) => 63_000,
    }
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}

fn placeholder_trace(n: usize) -> [u8; 16] {
    let mut id = [0xA5; 16];
    id[8..].copy_from_slice(&(n as u64 | 0x5A5A_0000_0000_0000).to_be_bytes());
    id
}

fn placeholder_span(n: usize) -> [u8; 8] {
    (n as u64 | 0xC3C3_0000_0000_0000).to_be_bytes()
}

const PLACEHOLDER_PARENT: [u8; 8] = [0x96; 8];
// As long in decimal as the times of this century.
const PLACEHOLDER_START: u64 = 1_111_222_233_334_444_555;
const PLACEHOLDER_END: u64 = 1_666_777_788_889_999_000;

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![
            text("service.name", "support-agent"),
            text("service.version", "2.14.0"),
            text("service.instance.id", "support-agent-7c9f-4k2lm"),
            text("deployment.environment.name", "production"),
            text("k8s.pod.uid", "0a6f2f51-2a9c-4a2c-9c55-7a5b3a0f7d11"),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "support.agent".into(),
        version: "2.14.0".into(),
        ..InstrumentationScope::default()
    };
    let scope_spans = ScopeSpans { scope: Some(scope), spans, schema_url: String::new() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            schema_url: String::new(),
        }],
    }
}

/// One span of about 20 attributes and 0.8 KB beside its note: an agent run, a model call or a tool call, by its place in
/// the trace.
fn span(n: usize, note_len: usize, words: &mut Words) -> Span {
    let place = n % SPANS_PER_TRACE;
    let tool = ["search_orders", "read_ticket", "update_ticket", "refund_order"][place % 4];
    let (name, operation) = match place {
        0 => ("invoke_agent support-agent".to_owned(), "invoke_agent"),
        1 | 3 | 5 => ("chat gpt-5-mini".to_owned(), "chat"),
        _ => (format!("execute_tool {tool}"), "execute_tool"),
    };
    Span {
        trace_id: placeholder_trace(n).to_vec(),
        span_id: placeholder_span(n).to_vec(),
        parent_span_id: if place == 0 { Vec::new() } else { PLACEHOLDER_PARENT.to_vec() },
        name,
        kind: span::SpanKind::Internal as i32,
        start_time_unix_nano: PLACEHOLDER_START,
        end_time_unix_nano: PLACEHOLDER_END,
        attributes: attributes(operation, tool, note_len, words),
        status: Some(Status { message: String::new(), code: 1 }),
        flags: 1,
        ..Span::default()
    }
}

fn attributes(operation: &str, tool: &str, note_len: usize, words: &mut Words) -> Vec<KeyValue> {
    vec![
        text("gen_ai.operation.name", operation),
        text("gen_ai.provider.name", "openai"),
        text("gen_ai.agent.id", "agent_5f1c2b9a"),
        text("gen_ai.agent.name", "support-agent"),
        text("gen_ai.conversation.id", &words.hex(32)),
        text("gen_ai.request.model", "gpt-5-mini"),
        text("gen_ai.response.model", "gpt-5-mini-2026-08-01"),
        text("gen_ai.response.id", &words.hex(28)),
        int("gen_ai.usage.input_tokens", words.below(8_000)),
        int("gen_ai.usage.output_tokens", words.below(900)),
        int("gen_ai.request.max_tokens", 1_024),
        text("gen_ai.tool.name", tool),
        text("gen_ai.tool.call.id", &format!("call_{}", words.hex(24))),
        text("gen_ai.tool.type", "function"),
        text("user.id", &format!("user-{}", words.below(50_000))),
        text("session.id", &words.hex(32)),
        text("server.address", "api.internal.example"),
        int("server.port", 443),
        text("app.ticket", &format!("OPS-{}", words.below(90_000))),
        text("app.note", &words.sentence(note_len)),
    ]
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(value.cast_signed()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Repeatable text from a xorshift generator: compresses like prose, not like a constant.
struct Words(u64);

impl Words {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn hex(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(b"0123456789abcdef"[(self.next() % 16) as usize])).collect()
    }

    fn sentence(&mut self, length: usize) -> String {
        let mut sentence = String::with_capacity(length + 12);
        while sentence.len() < length {
            let letters = 2 + self.below(8) as usize;
            sentence.extend((0..letters).map(|_| char::from(b'a' + (self.next() % 26) as u8)));
            sentence.push(' ');
        }
        sentence
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn kind(mix: Mix, encoding: Encoding) -> Kind {
        Kind { spans: 128, mix, encoding }
    }

    #[track_caller]
    fn check_ids(spans: &[Span]) {
        let ids: HashSet<_> = spans.iter().map(|span| span.span_id.clone()).collect();
        assert_eq!(ids.len(), 128);
        for (n, span) in spans.iter().enumerate() {
            assert_eq!(span.span_id, span_id(3, 128 + n as u64));
            assert_eq!(span.attributes.len(), 20);
            assert_eq!(span.start_time_unix_nano, 1_999_999_999_960_000_000);
            assert_eq!(span.end_time_unix_nano, 2_000_000_000_000_000_000);
            let root = &spans[n / SPANS_PER_TRACE * SPANS_PER_TRACE];
            assert_eq!(span.trace_id, root.trace_id);
            assert_eq!(span.parent_span_id.is_empty(), n.is_multiple_of(SPANS_PER_TRACE));
            assert!(span.parent_span_id.is_empty() || span.parent_span_id == root.span_id);
        }
    }

    fn written(kind: Kind) -> Vec<u8> {
        let template = Template::new(kind, 7).unwrap();
        let mut bytes = Vec::new();
        template.write(&mut bytes, 3, 128, 2_000_000_000_000_000_000);
        assert_eq!(bytes.len(), template.len());
        bytes
    }

    fn decoded(kind: Kind) -> Vec<Span> {
        let mut request = ExportTraceServiceRequest::decode(written(kind).as_slice()).unwrap();
        request.resource_spans.remove(0).scope_spans.remove(0).spans
    }

    #[test]
    fn writes_requests_that_decode_with_unique_ids_and_parents_in_their_trace() {
        let spans = decoded(kind(Mix::Usual, Encoding::Protobuf));
        check_ids(&spans);
        let bytes_per_span = spans.iter().map(Span::encoded_len).sum::<usize>() / spans.len();
        assert!((1_100..1_300).contains(&bytes_per_span), "{bytes_per_span} bytes a span");
    }

    #[test]
    fn writes_the_same_spans_in_json() {
        let json: serde_json::Value = serde_json::from_slice(&written(kind(Mix::Usual, Encoding::Json))).unwrap();
        let spans = &json["resourceSpans"][0]["scopeSpans"][0]["spans"];
        let expected = decoded(kind(Mix::Usual, Encoding::Protobuf));
        assert_eq!(spans.as_array().unwrap().len(), expected.len());
        for (n, span) in expected.iter().enumerate() {
            assert_eq!(spans[n]["spanId"], hex(&span.span_id));
            assert_eq!(spans[n]["traceId"], hex(&span.trace_id));
            assert_eq!(spans[n]["endTimeUnixNano"], span.end_time_unix_nano.to_string());
            assert_eq!(spans[n]["attributes"].as_array().unwrap().len(), span.attributes.len());
        }
    }

    #[test]
    fn has_a_heavy_tail_when_asked() {
        let spans = decoded(kind(Mix::HeavyTail, Encoding::Protobuf));
        check_ids(&spans);
        let at_least = |bytes: usize| spans.iter().filter(|span| span.encoded_len() >= bytes).count();
        assert_eq!((at_least(1_200), at_least(7_000), at_least(60_000)), (128, 10, 1));
        let large = Template::new(kind(Mix::HeavyTail, Encoding::Protobuf), 8).unwrap();
        assert!(large.len() > 2 << 20);
    }
}
