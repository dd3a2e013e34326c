//! The running SDK, and its orderly end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::{Handle, RuntimeFlavor};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::action::Action;
use crate::layer::layer;
use crate::producer::Producer;
use crate::sdk::{Rules, Sdk};

/// Keeps the SDK running. End it with [`Guard::shutdown`], which says what was lost; dropping it exports what it can
/// within five seconds, where the runtime allows that.
#[derive(Debug)]
#[must_use = "spans are lost when the guard is dropped early"]
pub struct Guard {
    /// Taken by an orderly shutdown.
    provider: Option<SdkTracerProvider>,
    sdk: Sdk,
}

/// What became of the spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Spans that the collector took over.
    pub exported: u64,
    /// Spans that ended and were not taken over. A rejection inside an accepted request is not seen here.
    pub lost: u64,
}

impl Guard {
    pub(crate) fn new(provider: SdkTracerProvider, producer: Arc<Producer>, rules: Rules) -> Self {
        let scope = InstrumentationScope::builder("spanseal").with_version(env!("CARGO_PKG_VERSION")).build();
        let sdk = Sdk { tracer: provider.tracer_with_scope(scope), producer, rules: Arc::new(rules) };
        Self { provider: Some(provider), sdk }
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

    /// Exports what waits, and returns whether that worked. Blocks no thread of the runtime.
    pub async fn flush(&self) -> bool {
        let provider = self.provider.clone();
        let flush = move || provider.is_some_and(|provider| provider.force_flush().is_ok());
        tokio::task::spawn_blocking(flush).await.unwrap_or(false)
    }

    /// Exports what waits, within five seconds, and ends recording.
    pub async fn shutdown(mut self) -> Report {
        if let Some(provider) = self.provider.take() {
            self.sdk.producer.end_open();
            // Elsewhere than on the runtime's own threads: the export needs them. How it ended shows in the counts.
            let _ = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(TIMEOUT)).await;
        }
        let producer = &self.sdk.producer;
        let (exported, ended) = (producer.exported.load(Ordering::SeqCst), producer.ended.load(Ordering::SeqCst));
        Report { exported, lost: ended.saturating_sub(exported) }
    }

    pub(crate) fn sdk(&self) -> &Sdk {
        &self.sdk
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(provider) = self.provider.take() else { return };
        self.sdk.producer.end_open();
        let shutdown = std::thread::spawn(move || provider.shutdown_with_timeout(TIMEOUT));
        // On a current-thread runtime waiting here would stop the very export that is waited for.
        let stuck = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::CurrentThread);
        if !stuck {
            let _ = shutdown.join();
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);
