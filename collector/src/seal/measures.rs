//! The stream's counters, looked up once.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use crate::serve::metrics::{Metrics, SpanLabels, SpanOutcome};

/// What one stream writes to `/metrics`.
pub(crate) struct Measures {
    all: Arc<Metrics>,
    pub(crate) sealed: Counter,
    pub(crate) duplicate: Counter,
    pub(crate) conflict: Counter,
    pub(crate) invalid: Counter,
    /// What of the gauges, which are those of all streams, is this one's.
    size_events: i64,
    window_entries: i64,
}

impl Measures {
    pub(crate) fn new(all: Arc<Metrics>) -> Self {
        let outcome = |outcome| all.seal.spans.get_or_create_owned(&SpanLabels { outcome });
        Self {
            sealed: outcome(SpanOutcome::sealed),
            duplicate: outcome(SpanOutcome::duplicate),
            conflict: outcome(SpanOutcome::conflict),
            invalid: outcome(SpanOutcome::invalid),
            size_events: 0,
            window_entries: 0,
            all,
        }
    }

    /// Returns the counter of the spans that are refused.
    pub(crate) fn refused(&self) -> Counter {
        self.all.seal.spans.get_or_create_owned(&SpanLabels { outcome: SpanOutcome::refused })
    }

    /// One group became durable.
    pub(crate) fn committed(&self, bytes: usize, took: Duration) {
        let seal = &self.all.seal;
        seal.groups.inc();
        seal.log_bytes.inc_by(bytes as u64);
        seal.group_bytes.observe(bytes as f64);
        seal.fsync_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn rewritten(&self) {
        self.all.seal.rewrites.inc();
    }

    pub(crate) fn epoch_opened(&self) {
        self.all.seal.epochs.inc();
    }

    pub(crate) fn checkpoint_signed(&self) {
        self.all.seal.checkpoints.inc();
    }

    /// The stream has grown by so many events, to this size.
    pub(crate) fn grown(&mut self, by: u64, events: u64) {
        self.all.seal.events.inc_by(by);
        self.size(events);
    }

    /// Says how many events are durable.
    pub(crate) fn size(&mut self, events: u64) {
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        self.all.seal.size_events.inc_by(events - self.size_events);
        self.size_events = events;
    }

    pub(crate) fn batches(&self, batches: u64) {
        self.all.seal.batches.inc_by(batches);
    }

    pub(crate) fn window(&mut self, entries: usize) {
        let entries = entries as i64;
        self.all.seal.window_entries.inc_by(entries - self.window_entries);
        self.window_entries = entries;
    }
}
