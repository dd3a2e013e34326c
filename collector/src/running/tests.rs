use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use spanseal_log::Memory;
use tokio_util::sync::CancellationToken;
use tonic_types::StatusExt;

use super::{Running, Starting, start};
use crate::config::Config;
use crate::seal::DISK_FULL;
use crate::serve::Health;
use crate::serve::health::Reasons;

/// On free ports.
fn config(data_dir: &Path, more: &str) -> Config {
    let text = format!(
        "data_dir = '{}'\n[receive]\nlisten = ['127.0.0.1:0', '127.0.0.1:0']\n[http]\nlisten = '127.0.0.1:0'\n{more}",
        data_dir.display()
    );
    Config::parse(&text).unwrap()
}

/// A collector on free ports.
async fn started(data_dir: &Path, stop: &CancellationToken) -> anyhow::Result<Running> {
    start(config(data_dir, ""), stop.clone()).await
}

async fn export(address: SocketAddr, span_id: u8) {
    let response = try_export(address, span_id).await.unwrap();
    assert_eq!(response.partial_success, None);
}

async fn try_export(address: SocketAddr, span_id: u8) -> Result<ExportTraceServiceResponse, tonic::Status> {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![span_id; 8],
        name: "execute_tool".to_owned(),
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..Default::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] };
    let mut client = TraceServiceClient::connect(format!("http://{address}")).await.unwrap();
    Ok(client.export(request).await?.into_inner())
}

#[tokio::test]
async fn seals_what_comes_in_stops_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut sealed = 0;
    for round in 1..=2 {
        let stop = CancellationToken::new();
        let mut running = started(directory.path(), &stop).await.unwrap();
        running.health().all_ready().await;
        let durable = running.durable()[0].clone();
        assert!(durable.borrow().size >= sealed, "round {round}");
        for (span_id, address) in running.addresses().otlp.clone().into_iter().enumerate() {
            let before = durable.borrow().size;
            export(address, 10 * round + span_id as u8).await;
            assert!(durable.borrow().size > before, "durable before the answer");
        }
        sealed = durable.borrow().size;
        let mut follower = durable.clone();
        running.spawn("index", async move {
            while follower.changed().await.is_ok() {}
            Ok(())
        });
        stop.cancel();
        running.stopped().await.unwrap();
        assert!(durable.borrow().size >= sealed, "the epoch is closed");
    }
}

#[tokio::test]
async fn says_what_keeps_it_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let running = started(directory.path(), &stop).await.unwrap();
    let taken = running.addresses().otlp[0];
    let other = tempfile::tempdir().unwrap();
    for (data_dir, listen, expected) in [
        (other.path(), taken, format!("{taken} is taken by another program; choose another address with --otlp ADDR")),
        (directory.path(), SocketAddr::from(([127, 0, 0, 1], 0)), directory.path().display().to_string()),
    ] {
        let text = format!(
            "data_dir = '{}'\n[receive]\nlisten = ['{listen}']\n[http]\nlisten = '127.0.0.1:0'",
            data_dir.display()
        );
        let error = start(Config::parse(&text).unwrap(), stop.clone()).await.err().unwrap();
        let error = format!("{error:#}");
        assert!(error.starts_with(&expected), "{error}");
    }
    stop.cancel();
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn finds_a_missing_secret_before_it_opens_anything() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let text = format!(
        "data_dir = '{}'\n[[forward]]\nname = 'b'\nendpoint = 'http://127.0.0.1:1'\n\
         header = [{{ name = 'authorization', file = '{}' }}]",
        data_dir.display(),
        directory.path().join("token").display()
    );
    let error = start(Config::parse(&text).unwrap(), CancellationToken::new()).await.err().unwrap();
    assert!(format!("{error:#}").starts_with("forward b: header authorization: "), "{error:#}");
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn names_a_follower_that_does_not_end() {
    let directory = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let mut running = started(directory.path(), &stop).await.unwrap();
    running.stages.grace = Duration::from_secs(3);
    running.spawn("index", std::future::pending());
    stop.cancel();
    let error = running.stopped().await.unwrap_err().to_string();
    assert!(error.ends_with("left behind: index"), "{error}");
}

/// Waits until requests are taken in, and nothing is missing but space.
async fn full(health: &Health) {
    let is_full = |reasons: &Reasons| reasons.len() == 1 && reasons.get("seal").is_some_and(|why| why == DISK_FULL);
    let waited = tokio::time::timeout(Duration::from_secs(60), health.until(is_full)).await;
    assert!(waited.is_ok(), "{:?}", health.reasons());
}

#[tokio::test]
async fn comes_up_on_a_full_disk_refuses_and_goes_on_when_there_is_space() {
    let directory = tempfile::tempdir().unwrap();
    let (memory, stop) = (Memory::new(), CancellationToken::new());
    memory.set_free_bytes(Some(0));
    let starting = Starting::bind(config(directory.path(), ""), stop.clone()).await.unwrap();
    let (addresses, health) = (starting.addresses.clone(), starting.health.clone());
    let started = tokio::spawn(starting.run(Arc::new(memory.clone())));
    full(&health).await;
    let refused = try_export(addresses.otlp[0], 1).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(refused.get_details_retry_info().is_some_and(|info| info.retry_delay.is_some()));
    memory.set_free_bytes(None);
    let running = started.await.unwrap().unwrap();
    running.health().all_ready().await;
    export(addresses.otlp[0], 1).await;
    stop.cancel();
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn can_be_stopped_while_it_waits_for_space() {
    let directory = tempfile::tempdir().unwrap();
    let (memory, stop) = (Memory::new(), CancellationToken::new());
    memory.set_free_bytes(Some(0));
    let starting = Starting::bind(config(directory.path(), ""), stop.clone()).await.unwrap();
    let health = starting.health.clone();
    let started = tokio::spawn(starting.run(Arc::new(memory)));
    full(&health).await;
    stop.cancel();
    let error = started.await.unwrap().err().unwrap();
    assert!(format!("{error:#}").ends_with("stopped while the disk was full"), "{error:#}");
}

/// Every metric is written by what a collector does. Those that need a fault or another crate have tests of their own.
#[tokio::test]
async fn moves_every_metric() {
    let directory = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    // Nobody listens there, so that what is forwarded is sent again and again.
    let backend = "[[forward]]\nname = 'away'\nendpoint = 'http://127.0.0.1:9'";
    let running = start(config(directory.path(), backend), stop.clone()).await.unwrap();
    let _connected = tokio::net::TcpStream::connect(running.addresses().otlp[1]).await.unwrap();
    for span_id in [1, 1, 2] {
        export(running.addresses().otlp[0], span_id).await;
    }
    let elsewhere = [
        ("spanseal_receive_connections_refused", "receive::tests::limits"),
        ("spanseal_receive_in_flight_bytes", "receive::tests::limits"),
        ("spanseal_seal_queue_requests", "seal::tests::engine"),
        ("spanseal_seal_rewrites", "seal::tests::faults"),
        ("spanseal_index_events", "the index is another crate's: tests of the program"),
        ("spanseal_index_lag_events", "the index is another crate's: tests of the program"),
    ];
    let mut still = Vec::new();
    for _ in 0..200 {
        let text = running.metrics().text();
        still = metrics(&text).filter(|name| !is_moved(&text, name)).map(ToOwned::to_owned).collect::<Vec<_>>();
        still.retain(|name| !elsewhere.iter().any(|(other, _)| other == name));
        if still.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(still, Vec::<String>::new(), "never written");
    let text = running.metrics().text();
    let events: u64 = sample(&text, "spanseal_seal_events_total");
    assert_eq!(events, running.durable()[0].borrow().size, "opening and resources too");
    assert_eq!(sample(&text, "spanseal_seal_batches_total"), sample(&text, "spanseal_seal_groups_total"));
    stop.cancel();
    running.stopped().await.unwrap();
}

fn metrics(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
}

fn is_moved(text: &str, name: &str) -> bool {
    let samples = text.lines().filter(|line| {
        let rest = line.strip_prefix(name).unwrap_or_default();
        rest.starts_with(['{', ' ']) || rest.starts_with("_total") || rest.starts_with("_count ")
    });
    samples.filter_map(|line| line.rsplit(' ').next()).any(|value| value != "0")
}

#[track_caller]
fn sample(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{name} is not in:\n{text}"))
}
