//! The metrics of one backend.

use std::sync::Arc;

use super::shipment::Withheld;
use crate::serve::metrics::{BackendLabels, ForwardLabels, ForwardOutcome, Metrics};

/// Counts requests and spans under the backend's name.
#[derive(Clone)]
pub(super) struct Counts {
    metrics: Arc<Metrics>,
    backend: String,
}

impl Counts {
    pub(super) fn new(metrics: Arc<Metrics>, backend: &str) -> Self {
        Self { metrics, backend: backend.to_owned() }
    }

    /// One request was taken; the backend rejected some of its spans.
    pub(super) fn taken(&self, spans: u64, rejected: u64) {
        self.requests(ForwardOutcome::ok);
        self.spans(ForwardOutcome::ok, spans);
        self.spans(ForwardOutcome::rejected, rejected);
    }

    /// One request is to be sent again as it is.
    pub(super) fn retried(&self, spans: u64) {
        self.requests(ForwardOutcome::retried);
        self.spans(ForwardOutcome::retried, spans);
    }

    /// One request was refused; its spans are sent in smaller ones.
    pub(super) fn refused_request(&self) {
        self.requests(ForwardOutcome::rejected);
    }

    /// Spans were given up.
    pub(super) fn dropped(&self, spans: u64) {
        self.spans(ForwardOutcome::dropped, spans);
    }

    /// Other versions of spans were passed by.
    pub(super) fn withheld(&self, withheld: &Withheld) {
        self.spans(ForwardOutcome::conflict, withheld.conflicts);
        self.spans(ForwardOutcome::variant, withheld.variants);
    }

    /// So many durable events are not forwarded yet.
    pub(super) fn lag(&self, events: u64) {
        let labels = BackendLabels { backend: self.backend.clone() };
        self.metrics.forward.lag_events.get_or_create(&labels).set(i64::try_from(events).unwrap_or(i64::MAX));
    }

    fn requests(&self, outcome: ForwardOutcome) {
        self.metrics.forward.requests.get_or_create(&self.labels(outcome)).inc();
    }

    fn spans(&self, outcome: ForwardOutcome, spans: u64) {
        if spans > 0 {
            self.metrics.forward.spans.get_or_create(&self.labels(outcome)).inc_by(spans);
        }
    }

    fn labels(&self, outcome: ForwardOutcome) -> ForwardLabels {
        ForwardLabels { backend: self.backend.clone(), outcome }
    }
}
