use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic_types::pb::Status;

use super::harness::{Answer, Collector, JSON, full, gzip, protobuf, send, zstd, zstd_with_window};
use crate::intake::{Accepted, Encoding, Refusal};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const AS_JSON: (&str, &str) = ("content-type", "application/json");

/// Sends one request over both versions of HTTP, with the sealer's answer; both are answered alike.
async fn post(
    collector: &Collector,
    headers: &[(&str, &str)],
    body: &[u8],
    answer: Option<Result<Accepted, Refusal>>,
) -> Response<Bytes> {
    let mut responses = Vec::new();
    for http2 in [false, true] {
        if let Some(answer) = &answer {
            collector.sealer.will(Answer::Now(answer.clone()));
        }
        let mut request = Request::post(collector.url("/v1/traces"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = full(Bytes::copy_from_slice(body));
        responses.push(send(http2, request.body(body).unwrap()).await);
    }
    let (second, first) = (responses.pop().unwrap(), responses.pop().unwrap());
    assert_eq!((first.status(), first.body()), (second.status(), second.body()), "{headers:?}");
    first
}

fn header<'r>(response: &'r Response<Bytes>, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// What was sealed is what was sent, whatever it was wrapped in.
#[tokio::test]
async fn takes_every_content_type_and_coding() {
    let collector = Collector::start("").await;
    let (first, second) = (&protobuf()[..9], &protobuf()[9..]);
    let members = [gzip(first), gzip(second)].concat();
    let frames = [zstd(first), zstd_with_window(second, 23)].concat();
    for (headers, body, encoding) in [
        (&[PROTOBUF][..], protobuf().to_vec(), Encoding::Protobuf),
        (&[PROTOBUF, ("content-encoding", "identity")], protobuf().to_vec(), Encoding::Protobuf),
        (&[PROTOBUF, ("content-encoding", "gzip")], gzip(&protobuf()), Encoding::Protobuf),
        (&[PROTOBUF, ("content-encoding", "X-GZIP")], gzip(&protobuf()), Encoding::Protobuf),
        (&[PROTOBUF, ("content-encoding", "gzip")], members, Encoding::Protobuf),
        (&[PROTOBUF, ("content-encoding", "zstd")], zstd(&protobuf()), Encoding::Protobuf),
        (&[PROTOBUF, ("content-encoding", "ZSTD")], frames, Encoding::Protobuf),
        (&[AS_JSON, ("content-encoding", "zstd")], zstd(JSON.as_bytes()), Encoding::Json),
        (&[AS_JSON], JSON.as_bytes().to_vec(), Encoding::Json),
        (&[("content-type", "Application/JSON ; charset=utf-8")], JSON.as_bytes().to_vec(), Encoding::Json),
        (&[AS_JSON, ("content-encoding", "gzip")], gzip(JSON.as_bytes()), Encoding::Json),
    ] {
        let response = post(&collector, headers, &body, None).await;
        assert_eq!(response.status(), 200, "{headers:?}");
        let success: &[u8] = if encoding == Encoding::Json { b"{}" } else { b"" };
        assert_eq!(response.body(), success, "{headers:?}");
        let media = if encoding == Encoding::Json { AS_JSON } else { PROTOBUF };
        assert_eq!(header(&response, "content-type"), media.1);
        for received in collector.sealer.seen.lock().unwrap().drain(..) {
            assert_eq!((received.request, received.encoding), (protobuf(), encoding), "{headers:?}");
            assert_eq!(received.budget.unwrap().bytes(), protobuf().len() as u64, "{headers:?}");
            assert_eq!(received.tenant.name, "default");
            assert!(received.received_unix_nano > 1_600_000_000_000_000_000);
        }
    }
    collector.ends_clean().await;
}

/// Such a text is read on a thread of its own.
#[tokio::test]
async fn takes_long_json() {
    let collector = Collector::start("").await;
    let long = JSON.replace("execute_tool", &"x".repeat(300_000));
    assert_eq!(post(&collector, &[AS_JSON], long.as_bytes(), None).await.status(), 200);
    for received in collector.sealer.seen.lock().unwrap().drain(..) {
        assert!(received.request.len() > 300_000);
        assert_eq!(received.budget.unwrap().bytes(), received.request.len() as u64);
    }
    let broken = post(&collector, &[AS_JSON], &long.as_bytes()[..299_999], None).await;
    assert_eq!(broken.status(), 400);
    collector.ends_clean().await;
}

#[tokio::test]
async fn says_what_was_rejected() {
    let collector = Collector::start("").await;
    for accepted in [
        Accepted { rejected_spans: 3, message: "3 spans without ids".to_owned() },
        Accepted { rejected_spans: 0, message: "the clock is an hour off".to_owned() },
    ] {
        let response = post(&collector, &[PROTOBUF], &protobuf(), Some(Ok(accepted.clone()))).await;
        let partial = ExportTraceServiceResponse::decode(&response.body()[..]).unwrap().partial_success.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(partial.rejected_spans as u64, accepted.rejected_spans);
        assert_eq!(partial.error_message, accepted.message);
        let response = post(&collector, &[AS_JSON], JSON.as_bytes(), Some(Ok(accepted.clone()))).await;
        let expected = format!(
            r#"{{"partialSuccess":{{"errorMessage":"{}","rejectedSpans":"{}"}}}}"#,
            accepted.message, accepted.rejected_spans
        );
        assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, expected.as_bytes()));
    }
    collector.ends_clean().await;
}

#[tokio::test]
async fn takes_nothing_for_a_success() {
    let collector = Collector::start("").await;
    assert_eq!(post(&collector, &[PROTOBUF], b"", None).await.status(), 200);
    assert_eq!(post(&collector, &[AS_JSON], b"{}", None).await.status(), 200);
    assert!(collector.sealer.seen.lock().unwrap().is_empty(), "there is nothing to seal");
    collector.ends_clean().await;
}

/// Each refusal has its HTTP status, and a `google.rpc.Status` in the request's content type.
#[tokio::test]
async fn answers_every_refusal() {
    let collector = Collector::start("").await;
    let retry_after = Duration::from_millis(1500);
    for (refusal, http, retry, code, message) in [
        (Refusal::Invalid("no protobuf".to_owned()), 400, "", 3, "no protobuf"),
        (
            Refusal::Busy { retry_after },
            503,
            "2",
            14,
            "the collector has more to seal than its limits allow; try again",
        ),
        (Refusal::DiskFull { retry_after }, 503, "2", 14, "the collector's disk is full; try again"),
        (
            Refusal::Busy { retry_after: Duration::ZERO },
            503,
            "1",
            14,
            "the collector has more to seal than its limits allow; try again",
        ),
        (Refusal::Stopping, 503, "1", 14, "the collector is stopping; try again"),
    ] {
        let response = post(&collector, &[PROTOBUF], &protobuf(), Some(Err(refusal.clone()))).await;
        let status = Status::decode(&response.body()[..]).unwrap();
        assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (http, retry), "{refusal:?}");
        assert_eq!((status.code, &status.message[..]), (code, message), "{refusal:?}");
        assert_eq!(header(&response, "content-type"), PROTOBUF.1);
        let response = post(&collector, &[AS_JSON], JSON.as_bytes(), Some(Err(refusal.clone()))).await;
        let expected = format!(r#"{{"code":{code},"message":"{message}"}}"#);
        assert_eq!(response.status().as_u16(), http, "{refusal:?}");
        assert_eq!(response.body().as_ref(), expected.as_bytes(), "{refusal:?}");
        assert_eq!(header(&response, "content-type"), AS_JSON.1);
    }
    collector.ends_clean().await;
}

#[tokio::test]
async fn refuses_what_is_no_request() {
    let collector = Collector::start("").await;
    let (gzip_header, zstd_header) = (("content-encoding", "gzip"), ("content-encoding", "zstd"));
    let cut = gzip(&protobuf());
    for (headers, body, http, message) in [
        (
            &[AS_JSON][..],
            &b"{\"resourceSpans\":1}"[..],
            400,
            "resourceSpans: invalid type: integer `1`, expected an array",
        ),
        (&[AS_JSON], b"", 400, "EOF while parsing a value"),
        (&[AS_JSON, gzip_header], b"not gzip", 400, "the request is not in gzip, as it says: "),
        (&[AS_JSON, gzip_header], &cut[..cut.len() - 1], 400, "the request is not in gzip, as it says: "),
        (&[AS_JSON, zstd_header], b"not zstd", 400, "the request is not in zstd with a window of at most 8 MiB, as it"),
        (
            &[AS_JSON, ("content-encoding", "br")],
            b"",
            415,
            "the encoding \\\"br\\\" is none of gzip, zstd and identity",
        ),
        (&[("content-type", "text/plain")], b"", 415, "the content type is none of application/x-protobuf"),
        (&[], b"", 415, "the content type is none of application/x-protobuf"),
    ] {
        let response = post(&collector, headers, body, None).await;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        assert_eq!(response.status().as_u16(), http, "{headers:?} {text}");
        assert!(text.contains(&format!(r#""message":"{message}"#)), "{headers:?} {text}");
        let accepted = if http == 415 { "gzip, zstd, identity" } else { "" };
        assert_eq!(header(&response, "accept-encoding"), accepted, "{headers:?}");
    }
    assert!(collector.sealer.seen.lock().unwrap().is_empty());
    collector.ends_clean().await;
}

#[tokio::test]
async fn knows_one_path_and_one_method() {
    let collector = Collector::start("").await;
    for (method, path, http, allow) in [
        (Method::GET, "/v1/traces", 405, "POST"),
        (Method::PUT, "/v1/traces", 405, "POST"),
        (Method::POST, "/v1/logs", 404, ""),
        (Method::POST, "/v1/metrics", 404, ""),
        (Method::GET, "/", 404, ""),
        (Method::POST, "/v1/traces/", 404, ""),
        (Method::POST, crate::signal::Signal::Traces.grpc_path(), 415, ""),
    ] {
        let request = Request::builder().method(&method).uri(collector.url(path)).header(AS_JSON.0, AS_JSON.1);
        let response = send(false, request.body(full(JSON)).unwrap()).await;
        assert_eq!((response.status().as_u16(), header(&response, "allow")), (http, allow), "{method} {path}");
    }
    collector.ends_clean().await;
}
