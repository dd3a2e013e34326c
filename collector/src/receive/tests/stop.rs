use http_body_util::BodyExt;
use hyper::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{Answer, Collector, client, full, protobuf};

const HEAD: &str =
    "POST /v1/traces HTTP/1.1\r\nhost: h\r\ncontent-type: application/x-protobuf\r\ncontent-length: 10\r\n\r\n";

/// What is being sealed is answered, what is still being sent is refused, the rest is closed.
#[tokio::test]
async fn answers_what_is_on_its_way_and_takes_nothing_new() {
    let collector = Collector::start("").await;
    let mut idle = TcpStream::connect(collector.address).await.unwrap();
    let mut sending = TcpStream::connect(collector.address).await.unwrap();
    sending.write_all(HEAD.as_bytes()).await.unwrap();
    sending.write_all(b"12345").await.unwrap();
    let mut sealing = Vec::new();
    for http2 in [false, true] {
        collector.sealer.will(Answer::WhenReleased);
        let request = Request::post(collector.url("/v1/traces")).header("content-type", "application/x-protobuf");
        let response = client(http2).request(request.body(full(protobuf())).unwrap());
        sealing.push(tokio::spawn(response));
    }
    collector.sealer.has_seen(2).await;
    while collector.metrics.receive.in_flight_bytes.get() < 2 * protobuf().len() as i64 + 5 {
        tokio::task::yield_now().await;
    }

    collector.stop.cancel();
    let mut answer = String::new();
    sending.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("stopping"), "{answer}");
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    while TcpStream::connect(collector.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!collector.stage.is_finished(), "two are being sealed");

    collector.sealer.release();
    collector.sealer.release();
    for response in sealing {
        let response = response.await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "");
    }
    collector.ends_clean().await;
}

/// A client that does not let go cannot hold up the stop.
#[tokio::test]
async fn leaves_behind_who_does_not_answer_the_goodbye() {
    let collector = Collector::start("").await;
    let mut silent = TcpStream::connect(collector.address).await.unwrap();
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    silent.read_u8().await.unwrap();
    // Paused time passes at once when nothing else can happen.
    tokio::time::pause();
    let stopped = tokio::time::Instant::now();
    collector.ends_clean().await;
    assert_eq!(stopped.elapsed().as_secs(), 5);
}
