use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::{Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use super::grpc::retry_delay;
use super::harness::{
    Answer, Body, Collector, Sealer, framed, full, gzip, protobuf, request, send, zstd, zstd_with_window,
};
use crate::config::Config;
use crate::forward::Relay;
use crate::intake::{Intake, Submit};
use crate::receive::{Receiver, router};
use crate::serve::Metrics;
use crate::server::{Connections, Limits, Server};
use crate::signal::Signal;

const SMALL: &str = "request_bytes_max = 2000\nin_flight_bytes_max = 1000000";

fn export(collector: &Collector, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let mut request = Request::post(collector.url("/v1/traces")).header("content-type", "application/x-protobuf");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

/// A body that does not say how long it is.
fn chunked(chunks: usize, bytes: usize) -> Body {
    let frames = (0..chunks).map(move |_| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; bytes]))));
    StreamBody::new(tokio_stream::iter(frames)).map_err(|never| match never {}).boxed()
}

/// Too large is for good: no `Retry-After`, no RetryInfo. The limit itself is not too large.
#[tokio::test]
async fn refuses_what_is_too_large() {
    let collector = Collector::start(SMALL).await;
    let gzipped = &[("content-encoding", "gzip")][..];
    let in_zstd = &[("content-encoding", "zstd")][..];
    for (headers, body, http) in [
        (&[][..], full(vec![0; 2000]), 200),
        (&[], full(vec![0; 2001]), 413),
        (&[], chunked(20, 100), 200),
        (&[], chunked(21, 100), 413),
        (gzipped, full(gzip(&[0; 2000])), 200),
        (gzipped, full(gzip(&[0; 2001])), 413),
        (gzipped, full(gzip(&[0; 50_000_000])), 413),
        (in_zstd, full(zstd(&[0; 2000])), 200),
        (in_zstd, full(zstd(&[0; 2001])), 413),
        (in_zstd, full(zstd_with_window(&[0; 2001], 20)), 413),
        (in_zstd, full(zstd(&[0; 50_000_000])), 413),
    ] {
        let response = send(false, export(&collector, headers, body)).await;
        assert_eq!((response.status().as_u16(), response.headers().get("retry-after")), (http, None));
    }
    let mut client = TraceServiceClient::connect(collector.url("")).await.unwrap();
    let mut large = request();
    large.resource_spans[0].schema_url = "u".repeat(2000);
    for mut client in [client.clone(), client.clone().send_compressed(CompressionEncoding::Gzip)] {
        let status = client.export(large.clone()).await.unwrap_err();
        assert_eq!((status.code(), retry_delay(&status)), (Code::ResourceExhausted, None), "{status}");
    }
    client.export(request()).await.unwrap();
    collector.ends_clean().await;
}

/// An HTTP/1 client that is still sending gets to read the answer, and its connection lives on.
#[tokio::test]
async fn lets_a_client_finish_before_it_refuses() {
    let collector = Collector::start(SMALL).await;
    let client = super::harness::client(false);
    for body in [full(vec![0; 30_000_000]), chunked(300, 100_000)] {
        let response = client.request(export(&collector, &[], body)).await.unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(collector.metrics.receive.connections.get(), 1);
    }
    drop(client);
    collector.ends_clean().await;
}

/// A client that asks first is told before it sends anything.
#[tokio::test]
async fn refuses_what_is_announced_too_large() {
    let (mut client, _) = connect("request_bytes_max = 2000");
    let head = "POST /v1/traces HTTP/1.1\r\nhost: h\r\ncontent-type: application/x-protobuf\r\n\
                expect: 100-continue\r\ncontent-length: 2001\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut got = String::new();
    client.read_to_string(&mut got).await.unwrap();
    assert!(got.starts_with("HTTP/1.1 413 "), "{got}");
}

/// Nobody has to send a body only to be told to come again.
#[tokio::test]
async fn refuses_before_it_is_read_what_would_not_be_taken() {
    let (mut client, sealer) = connect("");
    sealer.is_full.store(true, Ordering::Relaxed);
    let head = "POST /v1/traces HTTP/1.1\r\nhost: h\r\ncontent-type: application/x-protobuf\r\n\
                expect: 100-continue\r\ncontent-length: 2001\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut got = String::new();
    client.read_to_string(&mut got).await.unwrap();
    assert!(got.starts_with("HTTP/1.1 503 ") && got.contains("retry-after: 3"), "{got}");

    let collector = Collector::start("").await;
    collector.sealer.is_full.store(true, Ordering::Relaxed);
    let status = grpc_call(&collector, 30_000_000).await.unwrap_err();
    assert_eq!((status.code(), retry_delay(&status)), (Code::Unavailable, Some(Duration::from_secs(3))));
    assert_eq!(collector.metrics.receive.wire_bytes.get(), 0);
    collector.sealer.is_full.store(false, Ordering::Relaxed);
    grpc_call(&collector, 501).await.unwrap();
    collector.ends_clean().await;
}

/// Bytes of a request count until it is answered; over the limit others are asked to come again.
#[tokio::test]
async fn bounds_the_bytes_in_flight() {
    let collector = Collector::start("request_bytes_max = 2000\nin_flight_bytes_max = 8000").await;
    let mut held = Vec::new();
    for bytes in [1500, 2000, 2000, 2000] {
        collector.sealer.will(Answer::WhenReleased);
        held.push(tokio::spawn(send(true, export(&collector, &[], full(vec![0; bytes])))));
    }
    collector.sealer.has_seen(4).await;
    assert_eq!(collector.metrics.receive.in_flight_bytes.get(), 7500);

    let refused = send(false, export(&collector, &[], full(vec![0; 501]))).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    let status = grpc_call(&collector, 501).await.unwrap_err();
    assert_eq!((status.code(), retry_delay(&status)), (Code::Unavailable, Some(Duration::from_secs(1))));
    let fits = send(false, export(&collector, &[], full(vec![0; 500]))).await;
    assert_eq!(fits.status(), 200);

    for answer in held {
        collector.sealer.release();
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    collector.sealer.seen.lock().unwrap().clear();
    grpc_call(&collector, 501).await.unwrap();
    collector.ends_clean().await;
}

async fn grpc_call(collector: &Collector, bytes: usize) -> Result<(), tonic::Status> {
    let request = Request::post(collector.url(Signal::Traces.grpc_path())).header("content-type", "application/grpc");
    let response: Response<Bytes> = send(true, request.body(full(framed(0, &vec![0; bytes]))).unwrap()).await;
    tonic::Status::from_header_map(response.headers()).map_or(Ok(()), Err)
}

#[tokio::test]
async fn closes_connections_beyond_the_limit() {
    let collector = Collector::start("connections_max = 1").await;
    let mut first = TcpStream::connect(collector.address).await.unwrap();
    let head = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";
    first.write_all(head.as_bytes()).await.unwrap();
    first.read_u8().await.unwrap();
    let mut second = TcpStream::connect(collector.address).await.unwrap();
    assert_eq!(second.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(collector.metrics.receive.connections_refused.get(), 1);
    drop(first);
    while collector.metrics.receive.connections.get() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(send(false, export(&collector, &[], full(protobuf()))).await.status(), 200);
    collector.ends_clean().await;
}

#[tokio::test]
async fn outlives_a_panic() {
    let collector = Collector::start("").await;
    for http2 in [false, true] {
        collector.sealer.will(Answer::Panic);
        let panicked = super::harness::client(http2).request(export(&collector, &[], full(protobuf()))).await;
        assert!(panicked.is_err(), "the connection or the stream breaks, and the sender comes again");
        assert_eq!(send(http2, export(&collector, &[], full(protobuf()))).await.status(), 200);
    }
    collector.ends_clean().await;
}

/// One connection without a socket, so that time can be paused.
fn connect(settings: &str) -> (DuplexStream, Arc<Sealer>) {
    let config = Config::parse(&format!("[receive]\n{settings}")).unwrap().receive;
    let limits = Limits {
        connections_max: config.connections_max,
        header_timeout: config.header_timeout,
        stop_timeout: Duration::from_secs(5),
        http1: config.http1.clone(),
        http2: config.http2.clone(),
    };
    let (sealer, stop) = (Arc::<Sealer>::default(), CancellationToken::new());
    let intake = Intake::new(Arc::clone(&sealer) as Arc<dyn Submit>);
    let ways = (intake, Relay::default());
    let receiver = Receiver::new(config, ways, Arc::new(Metrics::new()), stop.clone());
    let server = Server::new(router(Arc::new(receiver)), limits, Connections::default(), stop);
    let (client, io) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move { server.connection(io).await });
    (client, sealer)
}

/// What a client sends before it falls silent, and what it then gets after a while.
#[tokio::test(start_paused = true)]
async fn waits_for_no_slow_client_for_ever() {
    let head =
        "POST /v1/traces HTTP/1.1\r\nhost: h\r\ncontent-type: application/x-protobuf\r\ncontent-length: 10\r\n\r\n";
    let half = &head[..40];
    let begun = &format!("{head}12345");
    let answered = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";
    for (sent, seconds, answer) in [
        ("", 7, ""),
        ("PRI * HTTP/2.0\r\n", 7, ""),
        (half, 7, ""),
        (begun, 50, "HTTP/1.1 503 "),
        (answered, 7, "HTTP/1.1 404 "),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 6, "\0\0"), // its ping is not answered
    ] {
        let (mut client, _) = connect("header_seconds = 7\nbody_seconds = 50\nhttp2.ping_seconds = 3");
        let start = tokio::time::Instant::now();
        client.write_all(sent.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        let _ = client.read_to_end(&mut got).await;
        let text = String::from_utf8_lossy(&got);
        assert!(text.starts_with(answer) && text.is_empty() == answer.is_empty(), "{sent:?} got {text:?}");
        assert_eq!(start.elapsed().as_secs(), seconds, "{sent:?} got {text:?}");
    }
}

/// What a client may do is in the first frame that it gets.
#[tokio::test]
async fn tells_http2_clients_their_limits() {
    let (mut client, _) = connect(
        "http2 = { streams_max = 7, stream_window_bytes = 70_000, frame_bytes_max = 20_000, header_bytes_max = 5_000, \
         connection_window_bytes = 200_000 }",
    );
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let settings = frame(&mut client, 4).await;
    let value = |id: u16| {
        let setting = settings.chunks(6).find(|setting| setting[..2] == id.to_be_bytes()).unwrap();
        u32::from_be_bytes(setting[2..].try_into().unwrap())
    };
    assert_eq!([3, 4, 5, 6].map(value), [7, 70_000, 20_000, 5_000]);
    let window_update = frame(&mut client, 8).await;
    assert_eq!(u32::from_be_bytes(window_update.try_into().unwrap()), 200_000 - 65_535);
}

/// Returns the payload of the next HTTP/2 frame of a type (RFC 9113 section 6).
async fn frame(client: &mut DuplexStream, of: u8) -> Vec<u8> {
    loop {
        let mut head = [0; 9];
        client.read_exact(&mut head).await.unwrap();
        let [_, high, low, kind, ..] = head;
        let mut payload = vec![0; u16::from_be_bytes([high, low]).into()];
        client.read_exact(&mut payload).await.unwrap();
        if kind == of {
            return payload;
        }
    }
}

/// RFC 6585 section 5, in both versions of HTTP; the connection of HTTP/2 lives on.
#[tokio::test]
async fn refuses_a_head_that_is_too_large() {
    let collector = Collector::start("http1.buffer_bytes_max = 8192\nhttp2.header_bytes_max = 4096").await;
    let client = super::harness::client(true);
    let mut large = export(&collector, &[("x", &"x".repeat(5000))], full(protobuf()));
    assert_eq!(client.request(large).await.unwrap().status(), 431);
    assert_eq!(client.request(export(&collector, &[], full(protobuf()))).await.unwrap().status(), 200);
    assert_eq!(collector.metrics.receive.connections.get(), 1);
    drop(client);
    large = export(&collector, &[("x", &"x".repeat(9000))], full(protobuf()));
    assert_eq!(send(false, large).await.status(), 431);
    assert_eq!(collector.sealer.seen.lock().unwrap().len(), 1);
    collector.ends_clean().await;
}

/// More requests on one connection than it may have at once wait with the client, and each is answered.
#[tokio::test]
async fn limits_the_requests_of_one_connection() {
    let collector = Collector::start("http2.streams_max = 2").await;
    let client = super::harness::client(true);
    let mut answers = Vec::new();
    for _ in 0..3 {
        collector.sealer.will(Answer::WhenReleased);
        let request = export(&collector, &[], full(protobuf()));
        // One after the other, so that all are on the first connection.
        let client = client.clone();
        answers.push(tokio::spawn(async move { client.request(request).await.unwrap() }));
        collector.sealer.has_seen(answers.len().min(2)).await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(collector.sealer.seen.lock().unwrap().len(), 2);
    for answer in answers {
        collector.sealer.release();
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    drop(client);
    collector.ends_clean().await;
}

#[tokio::test(start_paused = true)]
async fn answers_when_sealing_takes_too_long() {
    let (mut client, sealer) = connect("answer_seconds = 5");
    sealer.will(Answer::WhenReleased);
    let head = "POST /v1/traces HTTP/1.1\r\nhost: h\r\ncontent-type: application/x-protobuf\r\n\
                connection: close\r\ncontent-length: 3\r\n\r\nabc";
    let start = tokio::time::Instant::now();
    client.write_all(head.as_bytes()).await.unwrap();
    let mut got = String::new();
    client.read_to_string(&mut got).await.unwrap();
    assert!(got.starts_with("HTTP/1.1 503 ") && got.contains("not sealed after 5 s"), "{got}");
    assert_eq!(start.elapsed().as_secs(), 5);
}
