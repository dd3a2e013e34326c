//! The nine ways in which a span is lost without a word: each first with the stock set-up, then with the SDK, which prevents
//! or counts it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider as _,
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SimpleSpanProcessor, SpanData, SpanExporter,
};
use spanseal::{Durability, Guard, Refused, Report};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, reload};

use crate::sink::*;

/// An exporter that counts, slowly where that is asked for.
#[derive(Clone, Debug, Default)]
struct Counting {
    spans: Arc<AtomicUsize>,
    delay: Duration,
}

impl SpanExporter for Counting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        std::thread::sleep(self.delay);
        self.spans.fetch_add(batch.len(), Ordering::Relaxed);
        Ok(())
    }
}

impl Counting {
    fn exported(&self) -> usize {
        self.spans.load(Ordering::Relaxed)
    }

    fn simple(&self) -> SdkTracerProvider {
        SdkTracerProvider::builder().with_span_processor(SimpleSpanProcessor::new(self.clone())).build()
    }

    fn batched(&self, queue: usize, batch: usize) -> SdkTracerProvider {
        let config = BatchConfigBuilder::default().with_max_queue_size(queue).with_max_export_batch_size(batch).build();
        let batches = BatchSpanProcessor::builder(self.clone()).with_batch_config(config).build();
        SdkTracerProvider::builder().with_span_processor(batches).build()
    }
}

/// A caller that says: do not sample.
fn unsampled() -> Context {
    let (trace, span) = (TraceId::from(1_u128), SpanId::from(1_u64));
    let caller = SpanContext::new(trace, span, TraceFlags::default(), true, TraceState::default());
    Context::new().with_remote_span_context(caller)
}

async fn act(guard: &Guard) -> Result<(), Refused> {
    guard.action("secret.rotate").tool("rotate_secret").run(async { Ok(()) }).await
}

#[tokio::test]
async fn one_a_caller_switches_sampling_off() {
    let stock = Counting::default();
    let provider = stock.simple();
    drop(provider.tracer("stock").start_with_context("lost", &unsampled()));
    assert_eq!(stock.exported(), 0);

    let rig = Rig::observing().await;
    use opentelemetry::trace::FutureExt;
    act(&rig.guard).with_context(unsampled()).await.unwrap();
    assert_eq!(rig.spans().await.0.len(), 2);
}

#[tokio::test]
async fn two_a_log_filter_hides_the_span() {
    let stock = Counting::default();
    let layer = tracing_opentelemetry::layer().with_tracer(stock.simple().tracer("stock"));
    let off = tracing_subscriber::registry().with(layer).with(LevelFilter::OFF);
    tracing::subscriber::with_default(off, || tracing::info_span!("lost").in_scope(|| ()));
    assert_eq!(stock.exported(), 0);

    let sink = Sink::start(None).await;
    let guard = sink.builder().observe().start().unwrap();
    let off = tracing_subscriber::registry().with(guard.layer()).with(LevelFilter::OFF);
    let _off = tracing::subscriber::set_default(off);
    act(&guard).await.unwrap();
    assert_eq!(guard.shutdown().await.exported, 3);
}

#[tokio::test]
async fn three_telemetry_is_suppressed_or_shut_down() {
    let stock = Counting::default();
    let provider = stock.simple();
    {
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        drop(provider.tracer("stock").start("lost"));
    }
    provider.shutdown().unwrap();
    drop(provider.tracer("stock").start("lost"));
    assert_eq!(stock.exported(), 0);

    // What cannot be recorded does not run: actions::what_cannot_be_recorded_does_not_run shows it for both.
    let rig = Rig::observing().await;
    let after = rig.guard.action("secret.rotate");
    rig.spans().await;
    assert!(matches!(after.authorize().await, Err(Refused::NotRecorded(_))));
}

#[tokio::test]
async fn four_a_layer_is_behind_reload() {
    use tracing_opentelemetry::OpenTelemetrySpanExt;
    let stock = Counting::default();
    let (layer, _handle) =
        reload::Layer::new(tracing_opentelemetry::layer().with_tracer(stock.simple().tracer("stock")));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info_span!("unseen").in_scope(|| {
            let context = tracing::Span::current().context();
            assert!(!context.span().span_context().is_valid(), "tracing does not find the span behind reload");
        });
    });

    let sink = Sink::start(None).await;
    let guard = sink.builder().observe().start().unwrap();
    let (layer, _handle) = reload::Layer::new(guard.layer().boxed());
    let _behind = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    use tracing::Instrument;
    act(&guard).instrument(tracing::info_span!("plan")).await.unwrap();
    guard.shutdown().await;
    let spans = sink.spans();
    assert_eq!(spans.named("execute_tool rotate_secret").parent_span_id, spans.named("plan").span_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_a_queue_is_full() {
    let stock = Counting { delay: Duration::from_millis(50), ..Counting::default() };
    let provider = stock.batched(64, 16);
    let tracer = provider.tracer("stock");
    (0..1000).for_each(|_| drop(tracer.start("span")));
    assert!(provider.shutdown().is_ok(), "and nobody is told");
    assert!(stock.exported() < 1000);

    let sink = Sink::answering(Answer::After(Duration::from_millis(50))).await;
    let guard = sink.builder().observe().start().unwrap();
    for _ in 0..500 {
        act(&guard).await.unwrap();
    }
    assert_eq!(guard.shutdown().await, Report { exported: 1001, ..Report::default() });
    assert_eq!(sink.spans().0.len(), 1001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_a_slow_exporter_at_shutdown() {
    let stock = Counting { delay: Duration::from_millis(300), ..Counting::default() };
    let provider = stock.batched(64, 1);
    let tracer = provider.tracer("stock");
    (0..5).for_each(|_| drop(tracer.start("span")));
    let ended = provider.shutdown_with_timeout(Duration::from_millis(400));
    assert!(ended.is_err(), "it says that, and not how many");
    assert!(stock.exported() < 5);

    let sink = Sink::answering(Answer::After(Duration::from_secs(60))).await;
    let guard = sink.builder().observe().start().unwrap();
    act(&guard).await.unwrap();
    assert_eq!(guard.shutdown().await, Report { lost: 3, ..Report::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_nobody_shuts_it_down() {
    let stock = Counting::default();
    let provider = stock.batched(64, 64);
    let subscriber =
        tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(provider.tracer("stock")));
    let subscriber = Mutex::new(Some(subscriber));
    tracing::subscriber::with_default(subscriber.lock().unwrap().take().unwrap(), || {
        tracing::info_span!("waits").in_scope(|| ());
        drop(provider); // as at the end of main; the subscriber's tracer keeps it alive
        assert_eq!(stock.exported(), 0);
    });

    let sink = Sink::start(None).await;
    let guard = sink.builder().observe().start().unwrap();
    act(&guard).await.unwrap();
    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();
    assert_eq!(sink.spans().0.len(), 3);
}

/// Returns an address that nobody listens at now.
fn nowhere() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// An SDK whose collector is away, with a spool.
fn spooling(address: &str, folder: &std::path::Path) -> Guard {
    let builder = spanseal::init().service("deploy-agent").endpoint(format!("http://{address}")).audience(AUDIENCE);
    let builder = builder.key(agent_key()).actor(agent()).observe();
    builder.durability(Durability::Spooled(folder.to_owned())).start().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_the_collector_is_away() {
    let address = nowhere();
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(format!("http://{address}"));
    let batches = BatchSpanProcessor::builder(exporter.build().unwrap()).build();
    let provider = SdkTracerProvider::builder().with_span_processor(batches).build();
    drop(provider.tracer("stock").start("lost"));
    let provider = tokio::task::spawn_blocking(move || {
        assert!(provider.force_flush().is_err(), "it says so once");
        provider
    });
    let provider = provider.await.unwrap();
    tokio::task::spawn_blocking(move || assert!(provider.shutdown().is_ok(), "and then no more")).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let guard = spooling(&address, folder.path());
    act(&guard).await.unwrap();
    assert_eq!(guard.shutdown().await, Report { spooled: 3, ..Report::default() });

    let sink = Sink::at(&address).await;
    let next = spooling(&address, folder.path());
    act(&next).await.unwrap();
    assert_eq!(next.shutdown().await, Report { exported: 3, ..Report::default() });
    assert_eq!(sink.spans().0.len(), 6, "what was left behind has come as well");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_and_what_it_never_takes_is_kept_aside() {
    let (address, folder) = (nowhere(), tempfile::tempdir().unwrap());
    let guard = spooling(&address, folder.path());
    act(&guard).await.unwrap();
    assert_eq!(guard.shutdown().await.spooled, 3);

    let sink = Sink::answering(Answer::Refused(tonic::Code::PermissionDenied)).await;
    let next = spooling(sink.endpoint().trim_start_matches("http://"), folder.path());
    next.flush().await;
    next.shutdown().await;
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].extension().is_some_and(|end| end == "refused") && left[0].metadata().unwrap().len() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_the_collector_says_ok_and_rejects_the_spans() {
    let sink = Sink::answering(Answer::Rejected).await;
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(sink.endpoint());
    let batches = BatchSpanProcessor::builder(exporter.build().unwrap()).build();
    let provider = SdkTracerProvider::builder().with_span_processor(batches).build();
    drop(provider.tracer("stock").start("lost"));
    tokio::task::spawn_blocking(move || assert!(provider.force_flush().is_ok())).await.unwrap();

    let guard = sink.builder().observe().start().unwrap();
    act(&guard).await.unwrap();
    assert!(!guard.flush().await);
    assert_eq!(guard.shutdown().await, Report { lost: 3, ..Report::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_an_action_waits_for_the_collector_and_does_not_run_without() {
    for (answer, cause) in [
        (Answer::Rejected, "it was rejected: no room"),
        (Answer::Refused(tonic::Code::PermissionDenied), "PermissionDenied"),
    ] {
        let sink = Sink::answering(answer).await;
        let guard = sink.builder().observe().durability(Durability::Acked).start().unwrap();
        let error = act(&guard).await.unwrap_err();
        assert!(matches!(&error, Refused::NotConfirmed(why) if why.contains(cause)), "{error}");
    }
    let sink = Sink::answering(Answer::After(Duration::from_millis(30))).await;
    let guard = sink.builder().observe().durability(Durability::Acked).start().unwrap();
    let action = guard.action("secret.rotate").run(async {
        assert_eq!(sink.spans().0.len(), 1, "the decision is with the collector");
        Ok::<_, Refused>(())
    });
    action.await.unwrap();
    guard.shutdown().await;
}
