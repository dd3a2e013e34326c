//! Everything the collector counts, created once and handed to the stages; `/metrics` is its OpenMetrics text.

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::signal::Signal;

/// Every metric, by the stage that writes it; named `spanseal_<stage>_<noun>_<unit or total>`.
#[derive(Debug)]
pub struct Metrics {
    pub receive: Receive,
    pub seal: Seal,
    pub forward: Forward,
    pub index: Index,
    registry: Registry,
}

#[derive(Debug)]
pub struct Receive {
    pub requests: Family<RequestLabels, Counter>,
    /// Bytes of bodies as they came over the wire.
    pub wire_bytes: Counter,
    /// Bytes of requests handed to seal.
    pub request_bytes: Counter,
    pub answer_seconds: Histogram,
    pub connections: Gauge,
    pub connections_refused: Counter,
    pub in_flight_bytes: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    pub signal: Signal,
    pub protocol: Protocol,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "a label value is written as the variant is")]
pub enum Protocol {
    grpc,
    http_protobuf,
    http_json,
    /// Neither: the request's content type was no OTLP.
    other,
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "a label value is written as the variant is")]
pub enum Outcome {
    ok,
    partial,
    invalid,
    unsupported,
    too_large,
    busy,
    disk_full,
    stopping,
    timed_out,
    /// A signal that no backend takes.
    no_backend,
    backend_away,
    backend_refused,
}

#[derive(Debug)]
pub struct Seal {
    pub spans: Family<SpanLabels, Counter>,
    pub events: Counter,
    pub batches: Counter,
    /// Batches that one fsync covered.
    pub groups: Counter,
    pub group_bytes: Histogram,
    pub fsync_seconds: Histogram,
    /// Groups that had to be written again to a new segment.
    pub rewrites: Counter,
    pub log_bytes: Counter,
    pub epochs: Counter,
    pub checkpoints: Counter,
    /// Requests that wait for the stream's thread.
    pub queue_requests: Gauge,
    pub window_entries: Gauge,
    /// Events that are durable.
    pub size_events: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SpanLabels {
    pub outcome: SpanOutcome,
}

/// What became of one span: the counters of a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "a label value is written as the variant is")]
pub enum SpanOutcome {
    sealed,
    duplicate,
    conflict,
    invalid,
    shed,
    refused,
}

#[derive(Debug)]
pub struct Forward {
    pub requests: Family<ForwardLabels, Counter>,
    pub spans: Family<ForwardLabels, Counter>,
    pub lag_events: Family<BackendLabels, Gauge>,
    /// Of logs and metrics.
    pub passed_requests: Family<PassedLabels, Counter>,
    pub passed_bytes: Family<PassedLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ForwardLabels {
    pub backend: String,
    pub outcome: ForwardOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "a label value is written as the variant is")]
pub enum ForwardOutcome {
    ok,
    /// Refused for good by the backend.
    rejected,
    /// To be sent again.
    retried,
    /// Given up.
    dropped,
    /// Not sent: it has the ids of another and other bytes.
    conflict,
    /// Not sent: it differs from another in enrichment alone.
    variant,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PassedLabels {
    pub backend: String,
    pub signal: Signal,
    pub outcome: PassedOutcome,
}

/// What a backend made of a request of logs or metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "a label value is written as the variant is")]
pub enum PassedOutcome {
    ok,
    /// Taken, but for some that it rejected.
    partial,
    /// Its sender is to come again.
    away,
    /// For good, and its sender was told.
    refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BackendLabels {
    pub backend: String,
}

#[derive(Debug)]
pub struct Index {
    pub events: Counter,
    pub lag_events: Gauge,
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("spanseal");
        Self {
            receive: Receive::register(&mut Stage::new(&mut registry, "receive")),
            seal: Seal::register(&mut Stage::new(&mut registry, "seal")),
            forward: Forward::register(&mut Stage::new(&mut registry, "forward")),
            index: Index::register(&mut Stage::new(&mut registry, "index")),
            registry,
        }
    }

    /// Returns the OpenMetrics text of everything.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes all that is written to it");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Receive {
    fn register(stage: &mut Stage<'_>) -> Self {
        Self {
            requests: stage.family("requests", "Requests answered"),
            wire_bytes: stage.counter("wire_bytes", "Bytes of request bodies as they came"),
            request_bytes: stage.counter("request_bytes", "Bytes of requests handed to seal"),
            answer_seconds: stage.seconds("answer_seconds", "Time from a request's head to its answer"),
            connections: stage.gauge("connections", "Open connections"),
            connections_refused: stage.counter("connections_refused", "Connections closed because too many were open"),
            in_flight_bytes: stage.gauge("in_flight_bytes", "Bytes held by unanswered requests"),
        }
    }
}

impl Seal {
    fn register(stage: &mut Stage<'_>) -> Self {
        Self {
            spans: stage.family("spans", "Spans by what became of them"),
            events: stage.counter("events", "Events sealed"),
            batches: stage.counter("batches", "Batches sealed"),
            groups: stage.counter("groups", "Groups of batches made durable by one fsync"),
            group_bytes: stage.bytes("group_bytes", "Bytes that one fsync covered"),
            fsync_seconds: stage.seconds("fsync_seconds", "Time to write and sync one group"),
            rewrites: stage.counter("rewrites", "Groups written again after a failed write or sync"),
            log_bytes: stage.counter("log_bytes", "Bytes written to the log"),
            epochs: stage.counter("epochs", "Epochs opened"),
            checkpoints: stage.counter("checkpoints", "Checkpoints signed"),
            queue_requests: stage.gauge("queue_requests", "Requests that wait to be sealed"),
            window_entries: stage.gauge("window_entries", "Spans remembered to recognise retries"),
            size_events: stage.gauge("size_events", "Events that are durable"),
        }
    }
}

impl Forward {
    fn register(stage: &mut Stage<'_>) -> Self {
        Self {
            requests: stage.family("requests", "Requests sent to backends"),
            spans: stage.family("spans", "Spans sent to backends"),
            lag_events: stage.family("lag_events", "Durable events not yet forwarded"),
            passed_requests: stage.family("passed_requests", "Requests of logs and metrics passed on to backends"),
            passed_bytes: stage.family("passed_bytes", "Bytes of logs and metrics passed on to backends"),
        }
    }
}

impl Index {
    fn register(stage: &mut Stage<'_>) -> Self {
        Self {
            events: stage.counter("events", "Events indexed"),
            lag_events: stage.gauge("lag_events", "Durable events not yet indexed"),
        }
    }
}

/// Registers metrics under one stage's name. Counters get their `_total` when they are written.
struct Stage<'a>(&'a mut Registry);

impl<'a> Stage<'a> {
    fn new(registry: &'a mut Registry, name: &str) -> Self {
        Self(registry.sub_registry_with_prefix(name))
    }

    fn counter(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.0.register(name, help, counter.clone());
        counter
    }

    fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.0.register(name, help, gauge.clone());
        gauge
    }

    fn family<L, M>(&mut self, name: &str, help: &str) -> Family<L, M>
    where
        Family<L, M>: prometheus_client::registry::Metric + Clone + Default,
    {
        let family = Family::default();
        self.0.register(name, help, family.clone());
        family
    }

    /// From 0.1 ms to 26 s.
    fn seconds(&mut self, name: &str, help: &str) -> Histogram {
        self.histogram(name, help, exponential_buckets(1e-4, 2.0, 19))
    }

    /// From 1 KiB to 64 MiB.
    fn bytes(&mut self, name: &str, help: &str) -> Histogram {
        self.histogram(name, help, exponential_buckets(1024.0, 4.0, 9))
    }

    fn histogram(&mut self, name: &str, help: &str, buckets: impl Iterator<Item = f64>) -> Histogram {
        let histogram = Histogram::new(buckets);
        self.0.register(name, help, histogram.clone());
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_every_metric_after_its_stage() {
        let metrics = Metrics::new();
        let labels =
            RequestLabels { signal: Signal::Traces, protocol: Protocol::http_json, outcome: Outcome::too_large };
        metrics.receive.requests.get_or_create(&labels).inc();
        metrics.seal.fsync_seconds.observe(0.002);
        let text = metrics.text();
        for line in [
            r#"spanseal_receive_requests_total{signal="traces",protocol="http_json",outcome="too_large"} 1"#,
            "spanseal_seal_fsync_seconds_count 1",
            "spanseal_index_lag_events 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in:\n{text}");
        }
    }
}
