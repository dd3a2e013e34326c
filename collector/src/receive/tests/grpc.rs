use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::harness::{Answer, Collector, framed, full, gzip, protobuf, request, send, zstd};
use crate::intake::{Accepted, Refusal};
use crate::signal::Signal;

async fn tonic_client(collector: &Collector) -> TraceServiceClient<Channel> {
    TraceServiceClient::connect(collector.url("")).await.unwrap()
}

/// Sends bytes as the body of a gRPC call.
async fn call(collector: &Collector, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response<Bytes> {
    let mut request = Request::post(collector.url(path)).header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(true, request.body(full(body)).unwrap()).await
}

#[tokio::test]
async fn hands_on_the_bytes_that_came() {
    let collector = Collector::start("").await;
    let client = tonic_client(&collector).await;
    let gzipped = client.clone().send_compressed(CompressionEncoding::Gzip);
    for mut client in [client, gzipped] {
        let response = client.export(request()).await.unwrap().into_inner();
        assert_eq!(response.partial_success, None);
        let received = collector.sealer.seen.lock().unwrap().pop().unwrap();
        assert_eq!(received.request, protobuf());
    }
    // No decoder would give these bytes back: a field that nobody knows.
    let unknown = [&protobuf()[..], &[0x7A, 3, 1, 2, 3]].concat();
    let members = [gzip(&unknown[..7]), gzip(&unknown[7..])].concat();
    let frames = [zstd(&unknown[..7]), zstd(&unknown[7..])].concat();
    for (headers, body) in [
        (&[("content-type", "application/grpc")][..], framed(0, &unknown)),
        (&[("content-type", "application/grpc+proto"), ("grpc-encoding", "identity")], framed(0, &unknown)),
        (&[("content-type", "application/grpc"), ("grpc-encoding", "gzip")], framed(0, &unknown)),
        (&[("content-type", "application/grpc"), ("grpc-encoding", "gzip")], framed(1, &members)),
        (&[("content-type", "application/grpc"), ("grpc-encoding", "zstd")], framed(1, &frames)),
    ] {
        let response = call(&collector, Signal::Traces.grpc_path(), headers, body).await;
        assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &[0; 5][..]), "{headers:?}");
        let received = collector.sealer.seen.lock().unwrap().pop().unwrap();
        assert_eq!(received.request, unknown, "{headers:?}");
    }
    collector.ends_clean().await;
}

#[tokio::test]
async fn takes_an_empty_message_for_a_success() {
    let collector = Collector::start("").await;
    tonic_client(&collector).await.export(ExportTraceServiceRequest::default()).await.unwrap();
    assert!(collector.sealer.seen.lock().unwrap().is_empty());
    collector.ends_clean().await;
}

#[tokio::test]
async fn says_what_was_rejected() {
    let collector = Collector::start("").await;
    let accepted = Accepted { rejected_spans: 2, message: "2 spans without ids".to_owned() };
    collector.sealer.will(Answer::Now(Ok(accepted)));
    let response = tonic_client(&collector).await.export(request()).await.unwrap().into_inner();
    let partial = response.partial_success.unwrap();
    assert_eq!((partial.rejected_spans, &partial.error_message[..]), (2, "2 spans without ids"));
    collector.ends_clean().await;
}

/// Retryable ones say when; others must not, or senders would come again for ever.
#[tokio::test]
async fn answers_every_refusal() {
    let collector = Collector::start("").await;
    let mut client = tonic_client(&collector).await;
    let retry_after = Duration::from_millis(250);
    for (refusal, code, retry) in [
        (Refusal::Invalid("no protobuf".to_owned()), Code::InvalidArgument, None),
        (Refusal::Busy { retry_after }, Code::Unavailable, Some(retry_after)),
        (Refusal::DiskFull { retry_after }, Code::Unavailable, Some(retry_after)),
        (Refusal::Stopping, Code::Unavailable, Some(Duration::from_secs(1))),
    ] {
        collector.sealer.will(Answer::Now(Err(refusal.clone())));
        let status = client.export(request()).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, &refusal.to_string()[..]));
        assert_eq!(retry_delay(&status), retry, "{refusal:?}");
        let violation = status.get_details_bad_request().map(|bad| bad.field_violations[0].description.clone());
        assert_eq!(violation, (code == Code::InvalidArgument).then(|| "no protobuf".to_owned()));
    }
    collector.ends_clean().await;
}

pub(super) fn retry_delay(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

#[tokio::test]
async fn refuses_what_is_no_message() {
    let collector = Collector::start("").await;
    let message = &protobuf();
    let whole = framed(0, message);
    for (coding, body, code, text) in [
        ("identity", vec![], 3, "shorter than its prefix"),
        ("identity", whole[..4].to_vec(), 3, "shorter than its prefix"),
        ("identity", whole[..whole.len() - 1].to_vec(), 3, "shorter than its prefix says"),
        ("identity", [&whole[..], &whole].concat(), 3, "something follows the message"),
        ("identity", framed(2, message), 3, "its flag is neither 0 nor 1"),
        ("identity", framed(1, message), 3, "compressed, and grpc-encoding does not say how"),
        ("gzip", framed(1, message), 3, "not in gzip"),
        ("zstd", framed(1, message), 3, "not in zstd"),
        ("br", framed(1, message), 12, "the encoding \"br\" is none of gzip, zstd and identity"),
    ] {
        let headers = [("content-type", "application/grpc"), ("grpc-encoding", coding)];
        let response = call(&collector, Signal::Traces.grpc_path(), &headers, body).await;
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!((response.status().as_u16(), status.code() as i32), (200, code), "{text}: {status}");
        assert!(status.message().contains(text), "{text}: {status}");
        let accepted = response.headers().get("grpc-accept-encoding").map(|value| value.to_str().unwrap());
        assert_eq!(accepted, (code == 12).then_some("identity,gzip,zstd"));
    }
    assert!(collector.sealer.seen.lock().unwrap().is_empty());
    collector.ends_clean().await;
}

#[tokio::test]
async fn has_no_other_service() {
    let collector = Collector::start("").await;
    let grpc = [("content-type", "application/grpc")];
    let profiles = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
    let response = call(&collector, profiles, &grpc, framed(0, b"")).await;
    assert_eq!(Status::from_header_map(response.headers()).unwrap().code(), Code::Unimplemented);
    for content_type in ["application/json", "application/grpc-web", "application/grpc+json"] {
        let response = call(&collector, Signal::Traces.grpc_path(), &[("content-type", content_type)], vec![]).await;
        assert_eq!(response.status(), 415, "{content_type}");
    }
    collector.ends_clean().await;
}

/// A header of some kilobytes would be refused by the client.
#[tokio::test]
async fn keeps_its_messages_short() {
    let collector = Collector::start("").await;
    collector.sealer.will(Answer::Now(Err(Refusal::Invalid("é".repeat(100_000)))));
    let status = tonic_client(&collector).await.export(request()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, &"é".repeat(500)[..]));
    assert!(status.details().len() < 4_000);
    collector.ends_clean().await;
}
