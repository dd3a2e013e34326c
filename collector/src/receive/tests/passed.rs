//! Logs and metrics, passed on within the request.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, Response};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::backend::{Backend, Reply};
use super::grpc::retry_delay;
use super::harness::{Collector, full, gzip, protobuf, send, zstd};
use crate::serve::metrics::{PassedLabels, PassedOutcome};
use crate::signal::Signal;

const PROTOCOLS: [&str; 2] = ["grpc", "http"];
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

fn logs() -> ExportLogsServiceRequest {
    let record = LogRecord { severity_text: "WARN".to_owned(), ..Default::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..Default::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] }
}

fn metrics() -> ExportMetricsServiceRequest {
    let metric = Metric { name: "tokens".to_owned(), ..Default::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }] }
}

async fn collector(backends: &[String]) -> Collector {
    Collector::start(&backends.concat()).await
}

async fn post(collector: &Collector, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response<Bytes> {
    let mut request = Request::post(collector.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(false, request.body(full(body)).unwrap()).await
}

async fn export_logs(collector: &Collector) -> Result<ExportLogsServiceResponse, Status> {
    let mut client = LogsServiceClient::connect(collector.url("")).await.unwrap();
    client.export(logs()).await.map(tonic::Response::into_inner)
}

impl Collector {
    fn passed(&self, backend: &str, signal: Signal, outcome: PassedOutcome) -> u64 {
        let labels = PassedLabels { backend: backend.to_owned(), signal, outcome };
        self.metrics.forward.passed_requests.get_or_create(&labels).get()
    }
}

#[tokio::test]
async fn passes_on_what_comes_by_either_protocol_to_either() {
    for protocol in PROTOCOLS {
        let backend = Backend::start().await;
        let settings = backend.settings("b", protocol).replace(
            &format!("'http://{}'", backend.address),
            // Under a path of its own, which is that of every signal.
            &format!("'http://{}{}'", backend.address, if protocol == "http" { "/otlp/v1/traces" } else { "" }),
        );
        let collector = collector(&[settings]).await;
        let mut client = MetricsServiceClient::connect(collector.url("")).await.unwrap();
        for mut client in [client.clone(), client.clone().send_compressed(CompressionEncoding::Gzip)] {
            assert_eq!(client.export(metrics()).await.unwrap().into_inner().partial_success, None);
            assert_eq!(backend.requests(), [(Signal::Metrics, metrics().encode_to_vec().into())], "{protocol}");
        }
        let sent = metrics().encode_to_vec();
        for (coding, body) in [("identity", sent.clone()), ("gzip", gzip(&sent)), ("zstd", zstd(&sent))] {
            let response = post(&collector, "/v1/metrics", &[PROTOBUF, ("content-encoding", coding)], body).await;
            assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, &b""[..]), "{coding}");
            assert_eq!(backend.requests(), [(Signal::Metrics, sent.clone().into())], "{protocol} {coding}");
        }
        assert_eq!(collector.passed("b", Signal::Metrics, PassedOutcome::ok), 5);
        assert!(collector.sealer.seen.lock().unwrap().is_empty(), "nothing of it is sealed");
        client.export(ExportMetricsServiceRequest::default()).await.unwrap();
        collector.ends_clean().await;
    }
}

/// The collector does not decode it: a field that nobody knows gets through.
#[tokio::test]
async fn passes_on_the_bytes_that_came() {
    let backend = Backend::start().await;
    let collector = collector(&[backend.settings("b", "http")]).await;
    let unknown = [&logs().encode_to_vec()[..], &[0x7A, 3, 1, 2, 3]].concat();
    assert_eq!(post(&collector, "/v1/logs", &[PROTOBUF], unknown.clone()).await.status(), 200);
    assert_eq!(backend.requests(), [(Signal::Logs, unknown.into())]);
    assert_eq!(backend.header("content-type").unwrap(), PROTOBUF.1);
    collector.ends_clean().await;
}

/// Backends differ in whether they take JSON; protobuf they all take.
#[tokio::test]
async fn passes_on_json_as_protobuf() {
    for protocol in PROTOCOLS {
        let backend = Backend::start().await;
        let collector = collector(&[backend.settings("b", protocol)]).await;
        let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"WARN"}]}]}]}"#;
        let header = [("content-type", "application/json")];
        let response = post(&collector, "/v1/logs", &header, json.into()).await;
        assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, &b"{}"[..]));
        assert_eq!(backend.requests(), [(Signal::Logs, logs().encode_to_vec().into())]);
        backend.will(Reply::Partial { rejected: 1, message: "no body" });
        let response = post(&collector, "/v1/logs", &header, json.into()).await;
        let expected = r#"{"partialSuccess":{"errorMessage":"b: no body","rejectedLogRecords":"1"}}"#;
        assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, expected.as_bytes()));
        let broken = post(&collector, "/v1/logs", &header, br#"{"resourceLogs":[{"scopeLogs":7}]}"#.to_vec()).await;
        assert_eq!(broken.status(), 400);
        assert_eq!(backend.requests().len(), 1);
        collector.ends_clean().await;
    }
}

/// Each answer of a backend, and what the sender gets: over gRPC code and delay, over HTTP status and `Retry-After`.
#[tokio::test]
async fn answers_as_the_backend_does() {
    let later = |seconds| ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds)));
    let with = |code, message: &str, details| Status::with_error_details(code, message, details);
    let http = |status, retry_after| Reply::Http { status, retry_after };
    let too_large = "received message larger than max";
    for (reply, code, delay, status, retry_after) in [
        (Reply::Status(Status::unavailable("no")), Code::Unavailable, Some(1), 503, "1"),
        (Reply::Status(with(Code::Unavailable, "no", later(7))), Code::Unavailable, Some(7), 503, "7"),
        (Reply::Status(with(Code::ResourceExhausted, "no", later(9))), Code::Unavailable, Some(9), 503, "9"),
        (Reply::Status(Status::resource_exhausted("quota")), Code::ResourceExhausted, None, 413, ""),
        (Reply::Status(Status::unauthenticated("no")), Code::Unavailable, Some(1), 503, "1"),
        (Reply::Status(Status::resource_exhausted(too_large)), Code::ResourceExhausted, None, 413, ""),
        (Reply::Status(Status::invalid_argument("no")), Code::InvalidArgument, None, 400, ""),
        (Reply::Status(Status::unimplemented("no")), Code::Unimplemented, None, 404, ""),
        (Reply::Status(Status::internal("no")), Code::Internal, None, 500, ""),
        (Reply::Silent, Code::Unavailable, Some(1), 503, "1"),
        (http(503, ""), Code::Unavailable, Some(1), 503, "1"),
        (http(429, "5"), Code::Unavailable, Some(5), 503, "5"),
        (http(401, ""), Code::Unavailable, Some(1), 503, "1"),
        (http(413, ""), Code::ResourceExhausted, None, 413, ""),
        (http(400, ""), Code::InvalidArgument, None, 400, ""),
        (http(404, ""), Code::Unimplemented, None, 404, ""),
        (http(415, ""), Code::Unimplemented, None, 404, ""),
        (http(500, ""), Code::Internal, None, 500, ""),
    ] {
        let protocol = if matches!(reply, Reply::Http { .. }) { "http" } else { "grpc" };
        let backend = Backend::start().await;
        let collector = collector(&[backend.settings("b", protocol)]).await;
        backend.will(reply.clone());
        let refused = export_logs(&collector).await.unwrap_err();
        let expected = (code, delay.map(Duration::from_secs));
        assert_eq!((refused.code(), retry_delay(&refused)), expected, "{reply:?} {refused}");
        assert!(refused.message().contains("the backend b "), "{reply:?} {refused}");
        backend.will(reply.clone());
        let response = post(&collector, "/v1/logs", &[PROTOBUF], logs().encode_to_vec()).await;
        let given = response.headers().get("retry-after").map_or("", |value| value.to_str().unwrap());
        assert_eq!((response.status().as_u16(), given), (status, retry_after), "{reply:?}");
        let outcome = if delay.is_some() { PassedOutcome::away } else { PassedOutcome::refused };
        assert_eq!(collector.passed("b", Signal::Logs, outcome), 2, "{reply:?}");
        collector.ends_clean().await;
    }
}

#[tokio::test]
async fn says_what_the_backend_rejected() {
    for protocol in PROTOCOLS {
        let backend = Backend::start().await;
        let collector = collector(&[backend.settings("b", protocol)]).await;
        backend.will(Reply::Partial { rejected: 3, message: "too old" });
        let partial = export_logs(&collector).await.unwrap().partial_success.unwrap();
        assert_eq!((partial.rejected_log_records, &partial.error_message[..]), (3, "b: too old"));
        assert_eq!(collector.passed("b", Signal::Logs, PassedOutcome::partial), 1);
        collector.ends_clean().await;
    }
}

/// OK when all took it; a sender that may come again does so whatever another backend said.
#[tokio::test]
async fn needs_every_backend() {
    for first_is_named_first in [true, false] {
        needs_both_backends(first_is_named_first).await;
    }
}

async fn needs_both_backends(first_is_named_first: bool) {
    let (first, second) = (Backend::start().await, Backend::start().await);
    let mut settings = [first.settings("first", "grpc"), second.settings("second", "http")];
    if !first_is_named_first {
        settings.reverse();
    }
    let collector = collector(&settings).await;
    export_logs(&collector).await.unwrap();
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));

    second.will(Reply::Http { status: 503, retry_after: "4" });
    let refused = export_logs(&collector).await.unwrap_err();
    assert_eq!((refused.code(), retry_delay(&refused)), (Code::Unavailable, Some(Duration::from_secs(4))));
    assert_eq!(first.requests().len(), 1, "the other one has it");

    first.will(Reply::Status(Status::invalid_argument("no")));
    second.will(Reply::Http { status: 503, retry_after: "4" });
    assert_eq!(export_logs(&collector).await.unwrap_err().code(), Code::Unavailable);
    first.will(Reply::Status(Status::invalid_argument("no")));
    let refused = export_logs(&collector).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("the backend first refuses it for good"), "{refused}");

    first.will(Reply::Partial { rejected: 2, message: "two" });
    second.will(Reply::Partial { rejected: 3, message: "three" });
    let partial = export_logs(&collector).await.unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 3);
    assert!(["first: two; second: three", "second: three; first: two"].contains(&&partial.error_message[..]));
    collector.ends_clean().await;
}

/// Neither taken nor dropped: the sender learns that nobody takes it, and spans are sealed all the same.
#[tokio::test]
async fn refuses_what_no_backend_takes() {
    let backend = Backend::start().await;
    let logs_alone = backend.settings("b", "grpc") + "signals = ['logs']\n";
    for (settings, signal) in
        [(String::new(), Signal::Logs), (String::new(), Signal::Metrics), (logs_alone, Signal::Metrics)]
    {
        let collector = collector(&[settings]).await;
        let message = format!("{} are passed on and not sealed, and no backend here takes them", signal.name());
        let headers = [("content-type", "application/grpc"), ("te", "trailers")];
        let mut request = Request::post(collector.url(signal.grpc_path()));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = send(true, request.body(full(vec![0; 5])).unwrap()).await;
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(status.message().starts_with(&message), "{status}");
        let json = [("content-type", "application/json")];
        let response = post(&collector, signal.http_path(), &json, b"{}".to_vec()).await;
        assert_eq!((response.status().as_u16(), response.headers().get("retry-after")), (404, None));
        assert!(String::from_utf8_lossy(response.body()).contains(&message));
        assert_eq!(post(&collector, "/v1/traces", &[PROTOBUF], protobuf().to_vec()).await.status(), 200);
        assert_eq!(collector.sealer.seen.lock().unwrap().len(), 1);
        assert!(backend.requests().is_empty());
        collector.ends_clean().await;
    }
}

#[tokio::test]
async fn asks_to_come_again_while_nobody_listens() {
    for protocol in PROTOCOLS {
        let settings = format!("[[forward]]\nname='b'\nendpoint='http://127.0.0.1:1'\nprotocol='{protocol}'\n");
        let collector = collector(&[settings]).await;
        let refused = export_logs(&collector).await.unwrap_err();
        assert_eq!((refused.code(), retry_delay(&refused)), (Code::Unavailable, Some(Duration::from_secs(1))));
        let spans = post(&collector, "/v1/traces", &[PROTOBUF], protobuf().to_vec()).await;
        assert_eq!(spans.status(), 200, "it holds up no sealing");
        collector.ends_clean().await;
    }
}

/// The limits are those of spans: size, and bytes in flight until the backend has answered.
#[tokio::test]
async fn limits_what_it_passes_on() {
    let backend = Backend::start().await;
    let limits = "request_bytes_max = 2000\nin_flight_bytes_max = 8000\n".to_owned();
    let collector = collector(&[limits, backend.settings("b", "http")]).await;
    for body in [vec![0; 2001], gzip(&[0; 2001])] {
        let coding = if body.len() > 2000 { "identity" } else { "gzip" };
        let response = post(&collector, "/v1/logs", &[PROTOBUF, ("content-encoding", coding)], body).await;
        assert_eq!(response.status(), 413);
    }
    assert!(backend.requests().is_empty());
    let held: Vec<_> = (0..4)
        .map(|_| {
            backend.will(Reply::Silent);
            let request = Request::post(collector.url("/v1/logs")).header(PROTOBUF.0, PROTOBUF.1);
            tokio::spawn(send(true, request.body(full(vec![0; 1900])).unwrap()))
        })
        .collect();
    while collector.metrics.receive.in_flight_bytes.get() < 4 * 1900 {
        tokio::task::yield_now().await;
    }
    let surplus = post(&collector, "/v1/traces", &[PROTOBUF], vec![0; 500]).await;
    assert_eq!((surplus.status().as_u16(), surplus.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    for answer in held {
        assert_eq!(answer.await.unwrap().status(), 503, "the backend is silent");
    }
    collector.ends_clean().await;
}
