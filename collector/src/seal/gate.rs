//! What the way in and the stream's thread both count.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::gauge::Gauge;

/// Counters that both sides of the queue write to.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Spans answered retryably, ever.
    refused: AtomicU64,
    /// Requests in the queue.
    waiting: Gauge,
}

impl Gate {
    pub(crate) fn new(waiting: Gauge) -> Self {
        Self { refused: AtomicU64::new(0), waiting }
    }

    pub(crate) fn enter(&self) {
        self.waiting.inc();
    }

    pub(crate) fn leave(&self) {
        self.waiting.dec();
    }

    pub(crate) fn refuse(&self, spans: u64) {
        self.refused.fetch_add(spans, Ordering::Relaxed);
    }

    /// Returns the spans answered retryably since the process started.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
