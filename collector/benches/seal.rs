//! The sealing engine on a real disk, from `Intake::submit` to the answer: spans a second, and CPU time a million spans.
//!
//! `cargo bench -p spanseal-collector --bench seal [-- SPANS]`. As a test it runs with few spans. The CPU time of making
//! the requests is measured apart and taken off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use spanseal_collector::config::Config;
use spanseal_collector::intake::{Encoding, Intake, Received, Refusal, Tenant};
use spanseal_collector::seal::{self, Sealing};
use spanseal_collector::serve::{Health, Metrics};
use spanseal_log::Disk;
use tokio_util::sync::CancellationToken;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let asked = arguments.iter().find_map(|argument| argument.parse().ok());
    let spans: u64 = asked.unwrap_or(if is_test { 4 * SPANS_A_REQUEST } else { 2_000_000 });
    let requests = spans / SPANS_A_REQUEST;
    let template = Arc::new(Template::new());
    let bytes_a_span = template.bytes.len() as u64 / SPANS_A_REQUEST;

    let before = Cpu::now();
    (0..requests).for_each(|number| drop(std::hint::black_box(template.request(number))));
    let making = before.since();

    let directory = tempfile::tempdir().expect("a temporary directory");
    let text = format!("name = 'bench'\ndata_dir = '{}'", directory.path().display());
    let config = Config::parse(&text).expect("a valid configuration");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (before, started) = (Cpu::now(), Instant::now());
    runtime.block_on(seal_all(&config, &template, requests));
    let (took, used) = (started.elapsed(), before.since());
    let spans = requests * SPANS_A_REQUEST;
    let a_million = |time: Duration| time.as_secs_f64() * 1e6 / spans as f64;
    println!("{spans} spans of {bytes_a_span} bytes in requests of {SPANS_A_REQUEST}, {SENDERS} senders");
    println!("{:.0} spans/s acknowledged", spans as f64 / took.as_secs_f64());
    let (user, system) = (used.user.saturating_sub(making.user), used.system.saturating_sub(making.system));
    println!("CPU-seconds a million spans: {:.2} user, {:.2} system", a_million(user), a_million(system));
    let started = Instant::now();
    drop(open(&config));
    println!("{:.2} s to start again, its tail verified and remembered", started.elapsed().as_secs_f64());
    if !is_test {
        println!("(to make the requests: {:.2} user, {:.2} system)", a_million(making.user), a_million(making.system));
        println!("peak memory {}", peak_memory());
        println!("{:.1} bytes a span in the log beyond the span", beyond(directory.path(), bytes_a_span, requests));
    }
}

async fn seal_all(config: &Config, template: &Arc<Template>, requests: u64) {
    let sealing = open(config);
    let engine = tokio::spawn(seal::run(sealing.engine, CancellationToken::new()));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| tokio::spawn(send(sealing.intake.clone(), template.clone(), sender, requests)))
        .collect();
    drop(sealing.intake);
    for sender in senders {
        sender.await.expect("a sender ends");
    }
    engine.await.expect("the engine ends").expect("the engine ends well");
}

fn open(config: &Config) -> Sealing {
    seal::open(config, Arc::new(Disk), Arc::new(Metrics::new()), Health::of(&["seal"])).expect("a start")
}

async fn send(intake: Intake, template: Arc<Template>, sender: u64, requests: u64) {
    let tenant = Arc::new(Tenant { name: "default".to_owned(), peer: String::new() });
    for number in (sender..requests).step_by(SENDERS as usize) {
        let request = template.request(number);
        let answered = loop {
            let received = Received {
                request: request.clone(),
                encoding: Encoding::Protobuf,
                tenant: tenant.clone(),
                received_unix_nano: 1_800_000_000_000_000_000,
                budget: None,
            };
            match intake.submit(received).await {
                Err(Refusal::Busy { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
                answered => break answered,
            }
        };
        assert_eq!(answered.expect("accepted").rejected_spans, 0);
    }
}

/// A request, and where its spans' ids are.
struct Template {
    bytes: Vec<u8>,
    ids: Vec<(usize, usize)>,
}

impl Template {
    fn new() -> Self {
        let spans = (0..SPANS_A_REQUEST).map(span).collect();
        let scope = InstrumentationScope { name: "bench".to_owned(), ..InstrumentationScope::default() };
        let scope_spans = ScopeSpans { scope: Some(scope), spans, schema_url: String::new() };
        let resource = Resource { attributes: vec![text("service.name", "agent")], ..Resource::default() };
        let resource_spans =
            ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans], schema_url: String::new() };
        let bytes = ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec();
        let place = |id: &[u8]| bytes.windows(id.len()).position(|window| window == id).expect("the id is there");
        let ids = (0..SPANS_A_REQUEST).map(|number| (place(&trace_id(number)), place(&span_id(number)))).collect();
        Self { bytes, ids }
    }

    fn request(&self, number: u64) -> Bytes {
        let mut bytes = self.bytes.clone();
        for ((trace, span), place) in self.ids.iter().zip(0u64..) {
            let unique = (number * SPANS_A_REQUEST + place + 1).to_be_bytes();
            bytes[*trace..*trace + 8].copy_from_slice(&unique);
            bytes[*span..*span + 8].copy_from_slice(&unique);
        }
        bytes.into()
    }
}

fn trace_id(number: u64) -> [u8; 16] {
    let mut id = [0xA5; 16];
    id[8..].copy_from_slice(&(number << 16 | 0xC3).to_be_bytes());
    id
}

fn span_id(number: u64) -> [u8; 8] {
    (number << 24 | 0xF0_0000_0000_3C5A).to_be_bytes()
}

/// About 20 attributes and 1.2 KB, as agents' frameworks make them.
fn span(number: u64) -> Span {
    let mut attributes: Vec<KeyValue> = (0..16)
        .map(|place| text(&format!("gen_ai.some.attribute.{place:02}"), "a value of the usual length, 41 bytes."))
        .collect();
    attributes.push(text("gen_ai.operation.name", "chat"));
    attributes.push(text("gen_ai.request.model", "a-model-of-our-time"));
    Span {
        trace_id: trace_id(number).to_vec(),
        span_id: span_id(number).to_vec(),
        name: "chat a-model-of-our-time".to_owned(),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_000_000_500,
        attributes,
        ..Span::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// Processor time of this process so far.
#[derive(Clone, Copy)]
struct Cpu {
    user: Duration,
    system: Duration,
}

impl Cpu {
    fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let mut ticks = after_name.split_whitespace().skip(11).map(|ticks| ticks.parse().unwrap_or(0));
        let mut time = || Duration::from_millis(ticks.next().unwrap_or(0) * 10);
        Self { user: time(), system: time() }
    }

    fn since(&self) -> Self {
        let now = Self::now();
        Self { user: now.user.saturating_sub(self.user), system: now.system.saturating_sub(self.system) }
    }
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}

fn beyond(directory: &std::path::Path, bytes_a_span: u64, requests: u64) -> f64 {
    let mut bytes = 0;
    for stream in std::fs::read_dir(directory.join("streams")).into_iter().flatten().flatten() {
        for file in std::fs::read_dir(stream.path()).into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().ends_with(".seg") {
                bytes += file.metadata().map_or(0, |metadata| metadata.len());
            }
        }
    }
    bytes as f64 / (requests * SPANS_A_REQUEST) as f64 - bytes_a_span as f64
}

const SPANS_A_REQUEST: u64 = 512;
const SENDERS: u64 = 16;
