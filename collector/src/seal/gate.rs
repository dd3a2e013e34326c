//! The limit of what waits for the streams' threads, and what the way in and a stream's thread both count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// The limit of what waits, for all streams together.
#[derive(Debug)]
pub(crate) struct Gate {
    bytes_max: u64,
    /// Bytes of the requests that wait.
    bytes: AtomicU64,
    /// Requests that wait.
    waiting: Gauge,
}

/// A request's place among those that wait, given back on drop.
#[derive(Debug)]
pub(crate) struct Place {
    gate: Arc<Gate>,
    bytes: u64,
}

impl Gate {
    /// Requests of `bytes_max` may wait together; a larger one only alone.
    pub(crate) fn new(bytes_max: u64, waiting: Gauge) -> Self {
        Self { bytes_max, bytes: AtomicU64::new(0), waiting }
    }

    /// Whether so much waits that requests are refused before they are read. The rest is left to those that are being read.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.bytes_max - self.bytes_max / 4
    }

    /// Returns a place for a request of so many bytes, if there is one.
    ///
    /// What waits longer than it takes to seal some groups only makes every answer late and takes memory: senders wait
    /// better where they are.
    pub(crate) fn enter(self: &Arc<Self>, bytes: u64) -> Option<Place> {
        let more = |taken: u64| (taken == 0 || taken + bytes <= self.bytes_max).then_some(taken + bytes);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        self.waiting.inc();
        Some(Place { gate: Arc::clone(self), bytes })
    }
}

/// The spans of one stream that were answered retryably since the process started. Those of requests that were refused before
/// they were read are not known.
#[derive(Debug, Default)]
pub(crate) struct RefusedSpans {
    spans: AtomicU64,
    /// In `/metrics`, of all streams together.
    all: Counter,
}

impl RefusedSpans {
    pub(crate) fn new(all: Counter) -> Self {
        Self { spans: AtomicU64::new(0), all }
    }

    pub(crate) fn add(&self, spans: u64) {
        self.spans.fetch_add(spans, Ordering::Relaxed);
        self.all.inc_by(spans);
    }

    pub(crate) fn spans(&self) -> u64 {
        self.spans.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.gate.waiting.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_so_many_bytes_wait_and_a_larger_request_alone() {
        let gate = Arc::new(Gate::new(100, Gauge::default()));
        let first = gate.enter(60).unwrap();
        assert!(gate.enter(41).is_none());
        assert!(!gate.is_full());
        let second = gate.enter(40).unwrap();
        assert!(gate.is_full());
        drop(first);
        assert!(gate.enter(101).is_none());
        drop(second);
        let large = gate.enter(101).unwrap();
        assert!(gate.enter(1).is_none());
        drop(large);
        assert_eq!((gate.bytes.load(Ordering::Relaxed), gate.waiting.get()), (0, 0));
    }
}
