//! The running SDK, and its orderly end.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{FutureExt, Span as _, Tracer};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::Instant;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::action::Action;
use crate::delivery::Lane;
use crate::layer::layer;
use crate::producer::Belongings;
use crate::sdk::Sdk;

/// Keeps the SDK running. End it with [`Guard::shutdown`], which says what was lost; dropping it exports what it can
/// within five seconds, where the runtime allows that.
#[derive(Debug)]
#[must_use = "spans are lost when the guard is dropped early"]
pub struct Guard {
    /// Taken by an orderly shutdown.
    provider: Option<SdkTracerProvider>,
    sdk: Sdk,
    lane: Arc<Lane>,
    runtime: Handle,
}

/// What became of the spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Spans that the collector took.
    pub exported: u64,
    /// Spans that ended and were not taken. Of spans without claims, a rejection inside an accepted request is not seen.
    pub lost: u64,
    /// Spans that were not taken and are in the spool, for the next start.
    pub spooled: u64,
}

impl Guard {
    pub(crate) fn new(provider: SdkTracerProvider, sdk: Sdk, lane: Arc<Lane>, runtime: Handle) -> Self {
        Self { provider: Some(provider), sdk, lane, runtime }
    }

    /// Returns the layer that turns `tracing` spans into recorded ones, for a subscriber of the program's own.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        layer(self.sdk.tracer.clone())
    }

    /// Describes an action, as [`crate::action`] does for the installed SDK.
    pub fn action(&self, kind: impl Into<String>) -> Action {
        Action::new(kind.into(), Some(self.sdk.clone()))
    }

    /// Runs `future` with this SDK in the place of the installed one: for tests, and programs with several.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        future.with_context(Context::current().with_value(self.sdk.clone()))
    }

    /// Exports what waits, within ten seconds, and returns whether everything since the last flush was taken. Blocks no
    /// thread of the runtime.
    pub async fn flush(&self) -> bool {
        let flushed = tokio::time::timeout(FLUSH_TIMEOUT, self.lane.flush()).await.is_ok();
        let taken = !self.lane.lost_some() && flushed;
        let provider = self.provider.clone();
        let flush = move || provider.is_some_and(|provider| provider.force_flush().is_ok());
        tokio::task::spawn_blocking(flush).await.unwrap_or(false) && taken
    }

    /// Exports what waits, within five seconds, says on record that the producer has ended, and ends recording.
    pub async fn shutdown(mut self) -> Report {
        if let Some(provider) = self.provider.take() {
            self.sdk.producer.end_open();
            self.lane.give_up_at(Instant::now() + TIMEOUT);
            self.lane.flush().await;
            self.say_that_it_ends();
            self.lane.flush().await;
            // Elsewhere than on the runtime's own threads: the export needs them. How it ended shows in the counts.
            let _ = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(TIMEOUT)).await;
            self.lane.end();
        }
        self.report()
    }

    fn report(&self) -> Report {
        let (producer, counts) = (&self.sdk.producer, self.lane.counts());
        let (plain, ended) = (producer.exported.load(Ordering::SeqCst), producer.ended.load(Ordering::SeqCst));
        Report {
            exported: plain + counts.exported.load(Ordering::SeqCst),
            lost: ended.saturating_sub(plain) + counts.lost.load(Ordering::SeqCst),
            spooled: counts.spooled.load(Ordering::SeqCst),
        }
    }

    /// Ends a last span that names the last number.
    fn say_that_it_ends(&self) {
        let Sdk { tracer, producer, .. } = &self.sdk;
        let mut span = tracer.build_with_context(tracer.span_builder("producer end"), &Context::new());
        let lost = self.lane.counts().lost.load(Ordering::Relaxed);
        if let Some(end) = producer.end(span.span_context(), lost) {
            let belongings = Belongings::Signed { attributes: vec![end], confirm: None };
            producer.pending.put(span.span_context().span_id(), belongings);
            span.end();
        } else {
            // Nobody knows the producer, and nothing is on record of it.
            producer.pending.put(span.span_context().span_id(), Belongings::Discarded);
        }
    }

    pub(crate) fn sdk(&self) -> &Sdk {
        &self.sdk
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(provider) = self.provider.take() else { return };
        self.sdk.producer.end_open();
        self.lane.give_up_at(Instant::now() + TIMEOUT);
        self.say_that_it_ends();
        let (lane, (done, flushed)) = (self.lane.clone(), std::sync::mpsc::channel());
        self.runtime.spawn(async move {
            lane.flush().await;
            // Whoever waited may have gone.
            let _ = done.send(());
        });
        let shutdown = std::thread::spawn(move || provider.shutdown_with_timeout(TIMEOUT));
        // On a current-thread runtime waiting here would stop the very export that is waited for.
        let stuck = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::CurrentThread);
        if !stuck {
            let _ = flushed.recv_timeout(TIMEOUT);
            let _ = shutdown.join();
            self.lane.end();
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);
