//! Spans and resources larger than a request should be, and backends that find them too large.

use std::time::Duration;

use tonic::Status;

use super::collector::{Collector, SECRET, secret_span, span, text};
use super::sink::{Fault, Sink};
use super::{PROTOCOLS, Protocol, names};
use crate::serve::metrics::ForwardOutcome;

const LIMIT: usize = 1_000_000;

#[tokio::test]
async fn counts_resources_into_the_bytes_of_a_request() {
    let sink = Sink::start(Protocol::Grpc).await;
    let mut collector = Collector::start(&sink).await;
    for number in 0..10 {
        let resource = vec![text("number", &number.to_string()), text(SECRET, &"r".repeat(LIMIT / 4))];
        collector.seal_of(resource, [span(number)]).await;
    }
    let forward = collector.forward(|backend| backend.request_bytes_max = LIMIT);
    collector.end().await;
    forward.await.unwrap();
    assert_eq!(sink.spans().len(), 10);
    let bytes = sink.request_bytes();
    assert!(bytes.iter().all(|bytes| *bytes <= LIMIT), "{bytes:?}");
    assert_eq!(bytes.len(), 4, "no smaller than they need to be: {bytes:?}");
}

#[tokio::test]
async fn counts_a_resource_of_many_spans_once() {
    let sink = Sink::start(Protocol::Grpc).await;
    let mut collector = Collector::start(&sink).await;
    collector.seal_of(vec![text(SECRET, &"r".repeat(LIMIT / 2))], (0..10).map(span)).await;
    let forward = collector.forward(|backend| backend.request_bytes_max = LIMIT);
    collector.end().await;
    forward.await.unwrap();
    assert_eq!((sink.spans().len(), sink.requests()), (10, 1));
}

#[tokio::test]
async fn sends_a_span_over_the_limit_alone() {
    let sink = Sink::start(Protocol::Grpc).await;
    let mut collector = Collector::start(&sink).await;
    collector.seal([span(0), secret_span(1, 2 * LIMIT), span(2)]).await;
    let forward = collector.forward(|backend| backend.request_bytes_max = LIMIT);
    collector.end().await;
    forward.await.unwrap();
    assert_eq!(names(&sink.spans()), ["span 0", "span 1", "span 2"]);
    let bytes = sink.request_bytes();
    assert!(bytes.len() == 3 && bytes[0] < 1000 && bytes[2] < 1000, "{bytes:?}");
}

/// Seen by what was erased meanwhile: had it been read ahead, a moment ago, its value would still be sent.
#[tokio::test]
async fn reads_nothing_ahead_while_a_span_over_the_limit_is_under_way() {
    let sink = Sink::start(Protocol::Grpc).await;
    let mut collector = Collector::start(&sink).await;
    let mut large = span(0);
    large.attributes.push(text("large", &"l".repeat(5000)));
    collector.seal([large, secret_span(1, 50)]).await;
    sink.fail_next(Fault::Unavailable { retry_after: None }, u32::MAX);
    let forward = collector.forward(|backend| backend.request_bytes_max = 4000);
    collector.retried().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    collector.destroy_keys();
    sink.fail_next(Fault::Unavailable { retry_after: None }, 0);
    collector.end().await;
    forward.await.unwrap();
    assert_eq!(super::text(&sink.spans()[1], SECRET), Some("[cut 50 bytes]"));
}

#[tokio::test]
async fn sends_a_resource_abridged_when_it_is_too_large_whole() {
    for protocol in PROTOCOLS {
        let sink = Sink::start(protocol).await;
        sink.take_bytes_at_most(100_000);
        let mut collector = Collector::start(&sink).await;
        collector.seal_of(vec![text(SECRET, &"r".repeat(200_000))], [span(0), secret_span(1, 200_000)]).await;
        let forward = collector.forward(|_| {});
        collector.end().await;
        forward.await.unwrap();
        assert_eq!(collector.count(ForwardOutcome::dropped), 0, "{protocol:?}");
        assert_eq!(names(&sink.spans()), ["span 0", "span 1"]);
        assert_eq!(sink.resource_texts(SECRET), ["[cut 200000 bytes]"; 2]);
    }
}

/// Backends say in words of their own that a request is too large, Spanseal among them.
#[tokio::test]
async fn abridges_what_is_too_large_in_whatever_words() {
    for words in ["the request is over 100000 bytes", "The incoming message exceeds the maximum configured size", "no"]
    {
        let sink = Sink::start(Protocol::Grpc).await;
        sink.take_bytes_at_most(100_000);
        sink.call_too_large(Status::resource_exhausted(words));
        let mut collector = Collector::start(&sink).await;
        collector.seal([span(0), secret_span(1, 200_000), span(2)]).await;
        let forward = collector.forward(|_| {});
        collector.end().await;
        tokio::time::timeout(Duration::from_secs(20), forward).await.expect(words).unwrap();
        assert_eq!(sink.spans().len(), 3, "{words}");
        assert_eq!(collector.count(ForwardOutcome::dropped), 0, "{words}");
    }
}
