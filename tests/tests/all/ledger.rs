//! A small ledger made by a real collector over real OTLP: two epochs, batches of several sizes, a span with a cut.

use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use spanseal_collector::config::Config;
use spanseal_ledger::trust::Trust;
use spanseal_log::{DataDir, Disk, Owner};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A data directory that was closed well, and a trust file that pins all of it.
pub(crate) struct Ledger {
    folder: TempDir,
    pub(crate) trust: Trust,
}

impl Ledger {
    /// Makes the ledger.
    pub(crate) async fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        session(&data, &[(1, 1), (2, 3)]).await;
        session(&data, &[(3, 2)]).await;
        let trust = pinned(&data);
        Self { folder, trust }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Runs a collector and sends one request after another, each a trace of so many spans.
async fn session(data: &Path, requests: &[(u8, u8)]) {
    let settings =
        "[receive]\nlisten = [\"127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\n[cut]\nkeep_out = [\"secret\"]\n";
    let mut config = Config::parse(settings).unwrap();
    config.data_dir = data.to_owned();
    let stop = CancellationToken::new();
    let running = spanseal_collector::start(config, stop.clone()).await.unwrap();
    let endpoint = format!("http://{}", running.addresses().otlp[0]);
    let mut client = TraceServiceClient::connect(endpoint).await.unwrap();
    for (trace, spans) in requests {
        let answer = client.export(request(*trace, *spans)).await.unwrap().into_inner();
        assert_eq!(answer.partial_success, None);
    }
    stop.cancel();
    running.stopped().await.unwrap();
}

fn request(trace: u8, spans: u8) -> ExportTraceServiceRequest {
    let span = |n: u8| Span {
        trace_id: vec![trace; 16],
        span_id: vec![n + 1; 8],
        name: "execute_tool".to_owned(),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        attributes: vec![text("gen_ai.operation.name", "execute_tool"), text("secret", "what nobody should read")],
        ..Span::default()
    };
    let scope_spans = ScopeSpans { spans: (0..spans).map(span).collect(), ..ScopeSpans::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans: vec![scope_spans], ..ResourceSpans::default() }],
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn pinned(data: &Path) -> Trust {
    let mut trust = Trust::parse(&std::fs::read_to_string(data.join("trust")).unwrap()).unwrap();
    let files = DataDir::at(std::sync::Arc::new(Disk), data);
    let note = |owner: &Owner| String::from_utf8(files.read_checkpoint(owner).unwrap().unwrap()).unwrap();
    trust.root_pin = Some(note(&Owner::RootLog));
    for stream in files.streams().unwrap() {
        trust.pins.insert(stream, note(&Owner::Stream(stream)));
    }
    trust
}
