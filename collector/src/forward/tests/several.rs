//! Two backends of one collector, which do not wait for one another.

use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use tokio_util::sync::CancellationToken;

use super::collector::span;
use super::names;
use super::sink::{Fault, Sink};
use crate::config::{Config, Protocol};
use crate::{Running, start};

const SPANS: usize = 200;

async fn started(data: &Path, backends: &[(&str, &Sink)], stop: &CancellationToken) -> Running {
    let mut text = format!(
        "data_dir = '{}'\ngrace_seconds = 5\nreceive.listen = ['127.0.0.1:0']\nhttp.listen = '127.0.0.1:0'\n",
        data.display()
    );
    for (name, sink) in backends {
        let protocol = if sink.protocol() == Protocol::Grpc { "grpc" } else { "http" };
        let endpoint = sink.endpoint();
        text += &format!("[[forward]]\nname = '{name}'\nendpoint = '{endpoint}'\nprotocol = '{protocol}'\n");
    }
    let running = start(Config::parse(&text).unwrap(), stop.clone()).await.unwrap();
    running.health().all_ready().await;
    running
}

/// Sends every span, ten at once, and expects each request to be sealed and answered.
async fn export_all(running: &Running) {
    let url = format!("http://{}", running.addresses().otlp[0]);
    let mut client = TraceServiceClient::connect(url).await.unwrap();
    for first in (0..SPANS as u64).step_by(10) {
        let spans = (first..first + 10).map(span).collect();
        let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
        let answer = client.export(ExportTraceServiceRequest { resource_spans }).await.unwrap().into_inner();
        assert_eq!(answer.partial_success, None);
    }
}

#[track_caller]
fn check_all(sink: &Sink) {
    let expected: Vec<String> = (0..SPANS).map(|number| format!("span {number}")).collect();
    assert_eq!(names(&sink.spans()), expected);
}

#[tokio::test]
async fn gives_every_span_to_each_backend() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (Sink::start(Protocol::Grpc).await, Sink::start(Protocol::Http).await);
    let stop = CancellationToken::new();
    let running = started(directory.path(), &[("first", &first), ("second", &second)], &stop).await;
    export_all(&running).await;
    stop.cancel();
    running.stopped().await.unwrap();
    check_all(&first);
    check_all(&second);
}

/// One backend is not there, or says nothing: the other has everything while that lasts, every request is sealed and
/// answered, and what was missed comes after the restart.
#[tokio::test]
async fn waits_for_no_backend_that_is_away() {
    for silent in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let there = Sink::start(Protocol::Grpc).await;
        let (away, listener) = Sink::bind(Protocol::Grpc).await;
        drop(listener);
        if silent {
            away.fail_next(Fault::Silent, u32::MAX);
            away.listen_again().await;
        }
        let backends = [("there", &there), ("away", &away)];
        let stop = CancellationToken::new();
        let running = started(directory.path(), &backends, &stop).await;
        tokio::time::timeout(Duration::from_secs(5), export_all(&running)).await.expect("sealing goes on");
        tokio::time::timeout(Duration::from_secs(5), there.has(SPANS)).await.expect("the other one gets every span");
        check_all(&there);
        assert!(away.spans().is_empty());
        stop.cancel();
        running.stopped().await.unwrap();

        if silent {
            away.fail_next(Fault::Silent, 0);
        } else {
            away.listen_again().await;
        }
        let stop = CancellationToken::new();
        let running = started(directory.path(), &backends, &stop).await;
        tokio::time::timeout(Duration::from_secs(5), away.has(SPANS)).await.expect("what it missed comes");
        check_all(&away);
        stop.cancel();
        running.stopped().await.unwrap();
        check_all(&there);
    }
}
