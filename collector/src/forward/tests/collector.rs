//! A sealing engine on a directory, and forwarding from it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use spanseal_ledger::EventId;
use spanseal_ledger::batch::Batch;
use spanseal_ledger::leaf::leaf_hash;
use spanseal_log::{Cursor, DataDir, Disk, Owner, read_batch_at};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::{Backend, Forward, feeds, run};
use super::sink::Sink;
use crate::config::Config;
use crate::intake::{Encoding, Intake, Received, Tenant};
use crate::seal::{self, Durable, Sealing};
use crate::serve::{Health, Metrics};
use crate::signal::Signal;

pub(super) struct Collector {
    pub(super) metrics: Arc<Metrics>,
    dir: TempDir,
    endpoint: hyper::Uri,
    protocol: super::Protocol,
    intake: Option<Intake>,
    durable: Vec<watch::Receiver<Durable>>,
    engine: Option<JoinHandle<anyhow::Result<()>>>,
    stop: CancellationToken,
}

pub(super) const SECRET: &str = "secret";

impl Collector {
    pub(super) async fn start(sink: &Sink) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), sink.endpoint(), sink.protocol()).await
    }

    async fn start_in(dir: TempDir, endpoint: hyper::Uri, protocol: super::Protocol) -> Self {
        let text = format!("data_dir = {:?}\ncut.keep_out = [{SECRET:?}]", dir.path().join("data"));
        let config = Config::parse(&text).unwrap();
        let metrics = Arc::new(Metrics::new());
        let opening = Arc::clone(&metrics);
        let opened =
            tokio::task::spawn_blocking(move || seal::open(&config, Arc::new(Disk), opening, Health::of(&["seal"])));
        let Sealing { intake, durable, engine, .. } = opened.await.unwrap().unwrap();
        let engine = Some(tokio::spawn(seal::run(engine, CancellationToken::new())));
        Self { metrics, dir, endpoint, protocol, intake: Some(intake), durable, engine, stop: CancellationToken::new() }
    }

    /// Ends the process and starts another one in its directory.
    pub(super) async fn restart(self) -> Self {
        Self::start_in(self.dir, self.endpoint, self.protocol).await
    }

    pub(super) async fn seal(&self, spans: impl IntoIterator<Item = Span>) {
        self.seal_of(Vec::new(), spans).await;
    }

    /// Seals spans of a resource with these attributes besides its name.
    pub(super) async fn seal_of(&self, resource: Vec<KeyValue>, spans: impl IntoIterator<Item = Span>) {
        let received = Received {
            request: request(resource, spans.into_iter().collect()).encode_to_vec().into(),
            encoding: Encoding::Protobuf,
            tenant: Arc::new(Tenant { name: "t".to_owned(), peer: String::new() }),
            received_unix_nano: 1_800_000_000_000_000_000,
            budget: None,
        };
        let accepted = self.intake.as_ref().unwrap().submit(received).await.unwrap();
        assert_eq!(accepted.rejected_spans, 0, "{}", accepted.message);
    }

    /// Ends sealing, so that forwarding ends when it has caught up.
    pub(super) async fn end(&mut self) {
        self.intake = None;
        self.engine.take().unwrap().await.unwrap().unwrap();
    }

    /// Tells the collector to stop, while sealing goes on.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) fn forward(&self, change: impl FnOnce(&mut Backend)) -> JoinHandle<()> {
        let mut backend = Backend {
            name: "sink".to_owned(),
            protocol: self.protocol,
            endpoint: self.endpoint.clone(),
            signals: vec![Signal::Traces],
            headers: hyper::HeaderMap::new(),
            gzip: false,
            timeout: Duration::from_millis(300),
            retry_first: Duration::from_millis(1),
            retry_longest: Duration::from_millis(5),
            failures_max: 3,
            doubt_max: Duration::from_secs(60),
            request_bytes_max: 3 << 20,
            request_spans_max: 1000,
            restore_cuts: true,
            event_url: None,
        };
        change(&mut backend);
        let config = Config::default();
        let mut forward = Forward::all(&config, &self.data(), &self.durable, &self.metrics).unwrap();
        assert!(forward.is_empty(), "forwarding is off by default");
        forward.push(Forward {
            backend,
            data: self.data(),
            feeds: feeds(&self.data(), &self.durable).unwrap(),
            metrics: Arc::clone(&self.metrics),
            grace: Duration::from_secs(60),
        });
        let stop = self.stop.clone();
        tokio::spawn(async move { run(forward.remove(0), stop).await.unwrap() })
    }

    pub(super) fn destroy_keys(&self) {
        let subjects = rusqlite::Connection::open(self.data().subjects()).unwrap();
        subjects.execute("delete from subject", []).unwrap();
    }

    /// Returns the leaf hash of an event in the log, in hex.
    pub(super) fn leaf(&self, event: &str) -> String {
        let EventId { stream, index } = event.parse().unwrap();
        let owner = Owner::Stream(stream);
        let found = read_batch_at(&Disk, &self.data().log(&owner), &owner, index, None).unwrap().unwrap();
        let batch = Batch::parse(&found.body).unwrap();
        let place = usize::try_from(index - batch.seal().first).unwrap();
        leaf_hash(batch.events().nth(place).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn saved_cursor(&self) -> u64 {
        let data = self.data();
        Cursor::load(data.storage(), &data.cursor("forward-sink")).unwrap().next(&self.durable[0].borrow().stream)
    }

    fn data(&self) -> DataDir {
        DataDir::at(Arc::new(Disk), Path::new(&self.dir.path().join("data")))
    }
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

pub(super) fn span(number: u64) -> Span {
    Span {
        trace_id: [&[1; 8][..], &number.to_be_bytes()].concat(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("span {number}"),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_000_000_500,
        attributes: vec![text("gen_ai.operation.name", "chat")],
        ..Span::default()
    }
}

/// A span with a value that is kept out of the ledger.
pub(super) fn secret_span(number: u64, bytes: usize) -> Span {
    let mut span = span(number);
    span.attributes.push(text(SECRET, &"s".repeat(bytes)));
    span
}

fn request(mut attributes: Vec<KeyValue>, spans: Vec<Span>) -> ExportTraceServiceRequest {
    attributes.insert(0, text("service.name", "agent"));
    let resource = Resource { attributes, ..Resource::default() };
    let scope = InstrumentationScope { name: "tests".to_owned(), ..InstrumentationScope::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }],
    }
}
