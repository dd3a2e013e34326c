//! Answers of which nobody can tell whether they pass: overload, a broken backend, or a span that breaks it.

use std::time::Duration;

use tonic::Status;

use super::collector::{Collector, span};
use super::sink::{Fault, Sink};
use super::{PROTOCOLS, Protocol, names};
use crate::serve::metrics::{BackendLabels, ForwardOutcome};

fn doubtful() -> [Status; 3] {
    [Status::internal("out of luck"), Status::unknown("?"), Status::resource_exhausted("no")]
}

#[tokio::test]
async fn gives_up_one_span_while_others_are_taken() {
    for status in doubtful() {
        let sink = Sink::start(Protocol::Grpc).await;
        for first in [0, 10] {
            // In front of all others, where nothing was taken yet, and in their midst.
            sink.refuse(&format!("span {}", first + first / 2), status.clone());
            let mut collector = Collector::start(&sink).await;
            collector.seal((first..first + 10).map(span)).await;
            let forward = collector.forward(|_| {});
            collector.end().await;
            tokio::time::timeout(Duration::from_secs(20), forward).await.expect("it ends").unwrap();
            assert_eq!(collector.count(ForwardOutcome::dropped), 1, "{status:?}");
            assert_eq!(collector.count(ForwardOutcome::ok), 9, "{status:?}");
        }
    }
}

/// A backend whose disk is full may answer so for hours, and to every request.
#[tokio::test]
async fn gives_up_nothing_while_nothing_is_taken() {
    for protocol in PROTOCOLS {
        for status in [Status::internal("out of luck"), Status::resource_exhausted("quota")] {
            let sink = Sink::start(protocol).await;
            sink.fail_next(Fault::Status(status.clone()), 100);
            let mut collector = Collector::start(&sink).await;
            collector.seal((0..2).map(span)).await;
            let forward = collector.forward(|_| {});
            collector.end().await;
            tokio::time::timeout(Duration::from_secs(20), forward).await.expect("it ends").unwrap();
            assert_eq!(collector.count(ForwardOutcome::dropped), 0, "{protocol:?} {status:?}");
            assert_eq!(names(&sink.spans()), ["span 0", "span 1"], "{protocol:?} {status:?}");
        }
    }
}

/// What was taken before the backend broke does not show that it works.
#[tokio::test]
async fn gives_up_nothing_when_the_backend_breaks_half_way() {
    let sink = Sink::start(Protocol::Grpc).await;
    sink.take_at_most(2);
    let last = |status| sink.refuse_all(vec!["span 2".to_owned(), "span 3".to_owned()], status);
    last(Status::internal("out of luck"));
    let mut collector = Collector::start(&sink).await;
    collector.seal((0..4).map(span)).await;
    let forward = collector.forward(|_| {});
    sink.has(2).await;
    tokio::time::sleep(Duration::from_millis(500)).await; // some 100 tries
    sink.refuse_all(Vec::new(), Status::internal(""));
    collector.end().await;
    tokio::time::timeout(Duration::from_secs(20), forward).await.expect("it ends").unwrap();
    assert_eq!(collector.count(ForwardOutcome::dropped), 0);
    assert_eq!(names(&sink.spans()).len(), 4);
}

#[tokio::test]
async fn gives_up_a_span_after_a_time_even_if_nothing_else_is_sent() {
    let sink = Sink::start(Protocol::Grpc).await;
    sink.refuse("span 0", Status::internal("out of luck"));
    let mut collector = Collector::start(&sink).await;
    collector.seal([span(0)]).await;
    let forward = collector.forward(|backend| backend.doubt_max = Duration::from_millis(100));
    collector.end().await;
    tokio::time::timeout(Duration::from_secs(20), forward).await.expect("it ends").unwrap();
    assert_eq!(collector.count(ForwardOutcome::dropped), 1);
}

#[tokio::test]
async fn shows_what_waits_while_the_backend_takes_nothing() {
    let sink = Sink::start(Protocol::Grpc).await;
    sink.fail_next(Fault::Status(Status::internal("out of luck")), u32::MAX);
    let collector = Collector::start(&sink).await;
    collector.seal((0..3).map(span)).await;
    let forward = collector.forward(|_| {});
    collector.retried().await;
    collector.seal((3..103).map(span)).await;
    let labels = BackendLabels { backend: "sink".to_owned() };
    let shown = async {
        while collector.metrics.forward.lag_events.get_or_create(&labels).get() < 103 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), shown).await.expect("the lag grows");
    collector.stop();
    forward.await.unwrap();
}
