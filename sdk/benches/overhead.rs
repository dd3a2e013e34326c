//! What the SDK costs an agent, in CPU time of the thread that makes the spans, beside plain tracing-opentelemetry in the
//! same run: `cargo bench -p spanseal`. Figures are the least of several rounds that take turns.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made has failed")]

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter};
use rustix::time::{ClockId, clock_gettime};
use spanseal::testing::Recorder;
use tracing_subscriber::layer::SubscriberExt;

#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

fn chat() {
    let span = tracing::info_span!(
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.request.model = "gpt-5",
        gen_ai.usage.input_tokens = 7_i64,
        gen_ai.conversation.id = "conv-1"
    );
    span.in_scope(|| ());
}

/// Returns the thread's CPU time for each of so many runs.
fn cpu(runs: u32, mut run: impl FnMut()) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let before = now();
    (0..runs).for_each(|_| run());
    (now() - before) / runs
}

fn plain(runs: u32) -> Duration {
    let config = BatchConfigBuilder::default().with_max_queue_size(1 << 20).build();
    let batches = BatchSpanProcessor::builder(Nowhere).with_batch_config(config).build();
    let provider = SdkTracerProvider::builder().with_span_processor(batches).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("plain"));
    let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || cpu(runs, chat))
}

async fn ungoverned(runs: u32) -> Duration {
    let guard = Recorder::new().builder().start().unwrap();
    let subscriber = tracing_subscriber::registry().with(guard.layer());
    let cost = tracing::subscriber::with_default(subscriber, || cpu(runs, chat));
    guard.shutdown().await;
    cost
}

/// An action whose leave comes from an approval at hand, from asking to its signed end.
async fn governed(runs: u32) -> Duration {
    let guard = Recorder::new().approving().start().unwrap();
    let once = || {
        let action = guard.action("secret.rotate").target("vault:prod/db").tool("rotate");
        let action = action.arguments(&serde_json::json!({"length": 32}));
        let run = action.run(async { Ok::<_, spanseal::Refused>(()) });
        let mut run = std::pin::pin!(tokio::task::unconstrained(run));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(run.as_mut().poll(&mut context).is_ready(), "nothing waits");
    };
    let cost = cpu(runs, once);
    guard.shutdown().await;
    cost
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let small = std::env::args().any(|argument| argument == "--test");
    let (rounds, spans, actions) = if small { (1, 100, 10) } else { (7, 20_000, 2_000) };
    let mut least = [Duration::MAX; 3];
    for _ in 0..rounds {
        let costs = [plain(spans), ungoverned(spans).await, governed(actions).await];
        for (least, cost) in least.iter_mut().zip(costs) {
            *least = (*least).min(cost);
        }
    }
    let [plain, ungoverned, governed] = least;
    println!("plain tracing-opentelemetry span   {plain:?}");
    println!("ungoverned span with the SDK       {ungoverned:?}, {:?} more", ungoverned.saturating_sub(plain));
    println!("governed action                    {governed:?}, the approver's signature in it");
}
