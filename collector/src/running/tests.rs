use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio_util::sync::CancellationToken;

use super::{Running, start};
use crate::config::Config;

/// A collector on free ports.
async fn started(data_dir: &Path, stop: &CancellationToken) -> anyhow::Result<Running> {
    let text = format!(
        "data_dir = '{}'\n[receive]\nlisten = ['127.0.0.1:0', '127.0.0.1:0']\n[http]\nlisten = '127.0.0.1:0'",
        data_dir.display()
    );
    start(Config::parse(&text).unwrap(), stop.clone()).await
}

async fn export(address: SocketAddr, span_id: u8) {
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
    let response = client.export(request).await.unwrap().into_inner();
    assert_eq!(response.partial_success, None);
}

#[tokio::test]
async fn seals_what_comes_in_stops_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut sealed = 0;
    for round in 1..=2 {
        let stop = CancellationToken::new();
        let mut running = started(directory.path(), &stop).await.unwrap();
        running.health().all_ready().await;
        let durable = running.durable().clone();
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
    running.stages.grace = Duration::from_millis(500);
    running.spawn("index", std::future::pending());
    stop.cancel();
    let error = running.stopped().await.unwrap_err().to_string();
    assert!(error.ends_with("left behind: index"), "{error}");
}
