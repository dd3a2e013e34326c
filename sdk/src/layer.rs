//! Which `tracing` spans become OpenTelemetry spans.

use opentelemetry_sdk::trace::SdkTracer;
use spanseal_schemas::names;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Returns the layer that makes spans for `tracer`. Its filter is its own: what a log filter hides is recorded all the
/// same.
pub(crate) fn layer<S>(tracer: SdkTracer) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_filter(filter_fn(is_recorded))
}

/// Returns whether a span or event is recorded: what is at `INFO` or more severe, and an action at any level. The
/// exporter's own transport is not, or every export would be followed by another.
fn is_recorded(metadata: &Metadata<'_>) -> bool {
    if TRANSPORT.iter().any(|transport| is_of(metadata.target(), transport)) {
        return false;
    }
    let marks_an_action = || {
        [names::GEN_AI_OPERATION_NAME, names::MCP_METHOD_NAME].iter().any(|key| metadata.fields().field(*key).is_some())
    };
    *metadata.level() <= Level::INFO || marks_an_action()
}

fn is_of(target: &str, krate: &str) -> bool {
    target.strip_prefix(krate).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

const TRANSPORT: [&str; 8] =
    ["h2", "hyper", "hyper_util", "tonic", "tower", "opentelemetry", "opentelemetry_sdk", "opentelemetry_otlp"];
