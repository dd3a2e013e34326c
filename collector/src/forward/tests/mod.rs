//! Forwarding from a real log to a backend in this process that fails in every way.

mod collector;
mod doubt;
mod large;
mod several;
mod sink;

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::Status;

use collector::{Collector, SECRET, secret_span, span};
use sink::{Fault, Sink};

use super::settings::{Backend, Protocol};
use crate::config::Config;
use crate::serve::metrics::{ForwardLabels, ForwardOutcome};

const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::Http];

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn forwards_every_span_once_marked_with_its_place() {
    for protocol in PROTOCOLS {
        let sink = Sink::start(protocol).await;
        let mut collector = Collector::start(&sink).await;
        let forward = collector.forward(|backend| backend.event_url = Some("http://here/{event}".to_owned()));
        collector.seal((0..10).map(span)).await;
        collector.seal((10..30).map(span)).await;
        collector.end().await;
        forward.await.unwrap();
        let spans = sink.spans();
        let expected: Vec<String> = (0..30).map(|number| format!("span {number}")).collect();
        assert_eq!(names(&spans), expected, "{protocol:?}");
        let event = text(&spans[7], "spanseal.event").unwrap();
        assert_eq!(text(&spans[7], "spanseal.hash"), Some(collector.leaf(event).as_str()));
        assert_eq!(text(&spans[7], "spanseal.url"), Some(format!("http://here/{event}").as_str()));
        assert_eq!(text(&spans[7], "gen_ai.operation.name"), Some("chat"));
        assert_eq!(sink.services(), ["agent"]);
    }
}

#[tokio::test]
async fn passes_other_versions_of_a_span_by_and_counts_them() {
    let sink = Sink::start(Protocol::Grpc).await;
    let mut collector = Collector::start(&sink).await;
    let forward = collector.forward(|_| {});
    let (other, mut enriched) = (Span { name: "other".to_owned(), ..span(1) }, span(1));
    enriched.attributes.push(collector::text("host.name", "h"));
    collector.seal([span(1), span(2)]).await;
    collector.seal([other, enriched]).await;
    let metrics = collector.metrics.clone();
    collector.end().await;
    forward.await.unwrap();
    assert_eq!(names(&sink.spans()), ["span 1", "span 2"]);
    for outcome in [ForwardOutcome::conflict, ForwardOutcome::variant] {
        let labels = ForwardLabels { backend: "sink".to_owned(), outcome };
        assert_eq!(metrics.forward.spans.get_or_create(&labels).get(), 1, "{outcome:?}");
    }
}

#[tokio::test]
async fn removes_what_the_client_set_in_our_name() {
    let sink = Sink::start(Protocol::Grpc).await;
    let mut collector = Collector::start(&sink).await;
    let forward = collector.forward(|_| {});
    let mut forged = span(1);
    forged.attributes.push(collector::text("spanseal.verdict", "proven"));
    collector.seal([forged]).await;
    collector.end().await;
    forward.await.unwrap();
    assert_eq!(text(&sink.spans()[0], "spanseal.verdict"), None);
}

#[tokio::test]
async fn sends_again_while_the_backend_cannot_take_it() {
    let faults = [
        Fault::Unavailable { retry_after: None },
        Fault::Unavailable { retry_after: Some(Duration::ZERO) },
        Fault::Status(Status::unauthenticated("no such key")),
        Fault::Status(Status::internal("out of luck")),
        Fault::Status(Status::resource_exhausted("quota")),
        Fault::Cut,
        Fault::Silent,
    ];
    for protocol in PROTOCOLS {
        for fault in &faults {
            let sink = Sink::start(protocol).await;
            sink.fail_next(fault.clone(), 2);
            let mut collector = Collector::start(&sink).await;
            let forward = collector.forward(|_| {});
            collector.seal((0..3).map(span)).await;
            sink.has(3).await;
            collector.end().await;
            forward.await.unwrap();
            assert_eq!(names(&sink.spans()), ["span 0", "span 1", "span 2"], "{protocol:?} {fault:?}");
            assert_eq!(collector.count(ForwardOutcome::ok), 3, "{protocol:?} {fault:?}");
            assert_eq!(collector.count(ForwardOutcome::dropped), 0, "{protocol:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn waits_for_a_backend_that_is_not_there_yet() {
    for protocol in PROTOCOLS {
        let (sink, listener) = Sink::bind(protocol).await;
        drop(listener);
        let mut collector = Collector::start(&sink).await;
        let forward = collector.forward(|_| {});
        collector.seal((0..3).map(span)).await;
        collector.retried().await;
        sink.listen_again().await;
        sink.has(3).await;
        collector.end().await;
        forward.await.unwrap();
        assert_eq!(sink.spans().len(), 3);
    }
}

#[tokio::test]
async fn halves_a_request_that_is_too_large() {
    for protocol in PROTOCOLS {
        let sink = Sink::start(protocol).await;
        sink.take_at_most(3);
        let mut collector = Collector::start(&sink).await;
        collector.seal((0..10).map(span)).await;
        let forward = collector.forward(|_| {});
        collector.end().await;
        forward.await.unwrap();
        assert_eq!(sink.spans().len(), 10, "{protocol:?}");
        assert_eq!(names(&sink.spans())[..2], ["span 0", "span 1"], "in order");
        assert_eq!(collector.count(ForwardOutcome::dropped), 0);
    }
}

#[tokio::test]
async fn gives_up_one_span_that_the_backend_never_takes_and_no_other() {
    for protocol in PROTOCOLS {
        let sink = Sink::start(protocol).await;
        sink.refuse("span 4", Status::invalid_argument("this span is not to our liking"));
        let mut collector = Collector::start(&sink).await;
        collector.seal((0..10).map(span)).await;
        let forward = collector.forward(|_| {});
        collector.end().await;
        forward.await.unwrap();
        assert_eq!(sink.spans().len(), 9, "{protocol:?}");
        assert_eq!(collector.count(ForwardOutcome::dropped), 1);
        assert_eq!(collector.count(ForwardOutcome::ok), 9);
    }
}

#[tokio::test]
async fn counts_what_the_backend_rejects_in_a_partial_success() {
    for protocol in PROTOCOLS {
        let sink = Sink::start(protocol).await;
        sink.fail_next(Fault::Partial { rejected: 2 }, 1);
        let mut collector = Collector::start(&sink).await;
        collector.seal((0..10).map(span)).await;
        let forward = collector.forward(|_| {});
        collector.end().await;
        forward.await.unwrap();
        assert_eq!(sink.requests(), 1, "a partial success is never sent again");
        assert_eq!((collector.count(ForwardOutcome::ok), collector.count(ForwardOutcome::rejected)), (8, 2));
    }
}

#[tokio::test]
async fn puts_back_what_was_cut_unless_it_is_told_not_to() {
    for (restore, expected) in [(true, "s".repeat(50)), (false, "[cut 50 bytes]".to_owned())] {
        let sink = Sink::start(Protocol::Grpc).await;
        let mut collector = Collector::start(&sink).await;
        collector.seal([span(0), secret_span(1, 50)]).await;
        let forward = collector.forward(|backend| backend.restore_cuts = restore);
        collector.end().await;
        forward.await.unwrap();
        let spans = sink.spans();
        assert_eq!(text(&spans[1], SECRET), Some(expected.as_str()), "restore: {restore}");
        assert!(spans[1].attributes.iter().any(|attribute| attribute.key == "spanseal.cuts"));
        assert_eq!(text(&spans[0], "spanseal.cuts"), None);
    }
}

#[tokio::test]
async fn sends_a_span_abridged_when_it_is_too_large_whole() {
    let sink = Sink::start(Protocol::Http).await;
    sink.take_bytes_at_most(100_000);
    let mut collector = Collector::start(&sink).await;
    collector.seal([span(0), secret_span(1, 200_000)]).await;
    let forward = collector.forward(|_| {});
    collector.end().await;
    forward.await.unwrap();
    assert_eq!(text(&sink.spans()[1], SECRET), Some("[cut 200000 bytes]"));
    assert_eq!(collector.count(ForwardOutcome::dropped), 0);
}

#[tokio::test]
async fn puts_nothing_back_once_the_subjects_key_is_destroyed() {
    let sink = Sink::start(Protocol::Grpc).await;
    let mut collector = Collector::start(&sink).await;
    collector.seal([secret_span(1, 50)]).await;
    collector.destroy_keys();
    let forward = collector.forward(|_| {});
    collector.end().await;
    forward.await.unwrap();
    assert_eq!(text(&sink.spans()[0], SECRET), Some("[cut 50 bytes]"));
}

#[tokio::test]
async fn takes_out_again_what_was_erased_while_the_backend_was_away() {
    let sink = Sink::start(Protocol::Grpc).await;
    let mut collector = Collector::start(&sink).await;
    collector.seal([secret_span(1, 50)]).await;
    sink.fail_next(Fault::Unavailable { retry_after: None }, u32::MAX);
    let forward = collector.forward(|_| {});
    collector.retried().await;
    collector.destroy_keys();
    // What was read a moment ago may still be under way.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    sink.fail_next(Fault::Unavailable { retry_after: None }, 0);
    collector.end().await;
    forward.await.unwrap();
    let spans = sink.spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(text(&spans[0], SECRET), Some("[cut 50 bytes]"));
}

#[tokio::test]
async fn goes_on_at_the_cursor_after_a_restart() {
    let sink = Sink::start(Protocol::Grpc).await;
    let mut collector = Collector::start(&sink).await;
    let forward = collector.forward(|_| {});
    collector.seal((0..5).map(span)).await;
    collector.end().await;
    forward.await.unwrap();
    let mut collector = collector.restart().await;
    let forward = collector.forward(|_| {});
    collector.seal((5..8).map(span)).await;
    collector.end().await;
    forward.await.unwrap();
    let expected: Vec<String> = (0..8).map(|number| format!("span {number}")).collect();
    assert_eq!(names(&sink.spans()), expected);
}

#[tokio::test]
async fn sends_again_what_was_under_way_at_a_crash() {
    let sink = Sink::start(Protocol::Grpc).await;
    let mut collector = Collector::start(&sink).await;
    collector.seal((0..3).map(span)).await;
    sink.fail_next(Fault::Silent, u32::MAX);
    let forward = collector.forward(|_| {});
    collector.retried().await;
    forward.abort(); // the process dies
    assert!(forward.await.unwrap_err().is_cancelled());
    sink.fail_next(Fault::Silent, 0);
    let forward = collector.forward(|_| {});
    collector.end().await;
    forward.await.unwrap();
    assert_eq!(names(&sink.spans()), ["span 0", "span 1", "span 2"]);
}

#[tokio::test]
async fn stops_in_its_grace_while_the_backend_is_away() {
    let sink = Sink::start(Protocol::Http).await;
    sink.fail_next(Fault::Unavailable { retry_after: Some(Duration::from_secs(3600)) }, u32::MAX);
    let collector = Collector::start(&sink).await;
    collector.seal((0..3).map(span)).await;
    let forward = collector.forward(|_| {});
    collector.retried().await;
    collector.stop();
    forward.await.unwrap(); // and not after an hour
    assert_eq!(collector.saved_cursor(), 0, "nothing was delivered, and the cursor knows it");
}

#[tokio::test]
async fn sends_the_headers_of_the_configuration_and_gzips() {
    for protocol in PROTOCOLS {
        let sink = Sink::start(protocol).await;
        let mut collector = Collector::start(&sink).await;
        collector.seal([span(0)]).await;
        let forward = collector.forward(|backend| {
            backend.headers.insert("x-api-key", "secret".parse().unwrap());
            let text = "[[forward]]\nname = 'b'\nendpoint = 'http://h'\ncompression = 'gzip'";
            backend.gzip = Backend::new(&Config::parse(text).unwrap().forward[0], true).unwrap().gzip;
        });
        collector.end().await;
        forward.await.unwrap();
        assert_eq!(sink.header("x-api-key").as_deref(), Some("secret"), "{protocol:?}");
        let encoding = if protocol == Protocol::Grpc { "grpc-encoding" } else { "content-encoding" };
        assert_eq!(sink.header(encoding).as_deref(), Some("gzip"));
    }
}

impl Collector {
    fn count(&self, outcome: ForwardOutcome) -> u64 {
        let labels = ForwardLabels { backend: "sink".to_owned(), outcome };
        self.metrics.forward.spans.get_or_create(&labels).get()
    }

    /// Waits until a request was sent in vain.
    async fn retried(&self) {
        let labels = ForwardLabels { backend: "sink".to_owned(), outcome: ForwardOutcome::retried };
        while self.metrics.forward.requests.get_or_create(&labels).get() == 0 {
            tokio::task::yield_now().await;
        }
    }
}
