//! What is to be known of one backend, in values that the sender can use as they are.

use std::time::Duration;

use anyhow::Context;
use hyper::Uri;
use hyper::header::{HeaderMap, HeaderValue};

use crate::config;
pub use crate::config::Protocol;
use crate::signal::Signal;

/// One `[[forward]]` table, its secrets read.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Names the cursor and the backend's metrics.
    pub name: String,
    pub protocol: Protocol,
    /// For gRPC scheme and authority; for HTTP the whole address of traces, `/v1/traces` included.
    pub endpoint: Uri,
    /// What it gets.
    pub signals: Vec<Signal>,
    /// Sent with each request, for example an API key.
    pub headers: HeaderMap,
    pub gzip: bool,
    /// For one request, connecting included.
    pub timeout: Duration,
    pub retry_first: Duration,
    pub retry_longest: Duration,
    /// How often a request is sent again that the backend answers with an error of its own, before its spans are sent by
    /// themselves; twice as often one span by itself that exhausts it.
    pub failures_max: u32,
    /// How long one span is tried that the backend answers so while it takes nothing else either.
    pub doubt_max: Duration,
    pub request_bytes_max: usize,
    pub request_spans_max: usize,
    /// Puts cut values back; otherwise a note stands in their place.
    pub restore_cuts: bool,
    /// Where a person can look at an event; `{event}` stands for its id. Becomes `spanseal.url`.
    pub event_url: Option<String>,
}

impl Backend {
    /// Reads the headers' values from where the configuration says they are.
    ///
    /// # Errors
    /// When a header's file or environment variable is not there or holds no header value.
    pub fn new(config: &config::Forward, restore_cuts: bool) -> anyhow::Result<Self> {
        Ok(Self {
            name: config.name.clone(),
            protocol: config.protocol,
            endpoint: config.endpoint.clone(),
            signals: config.signals.clone(),
            headers: headers(&config.headers)?,
            gzip: config.compression == config::Compression::Gzip,
            timeout: config.timeout,
            retry_first: RETRY_FIRST,
            retry_longest: RETRY_LONGEST,
            failures_max: FAILURES_MAX,
            doubt_max: DOUBT_MAX,
            request_bytes_max: REQUEST_BYTES_MAX,
            request_spans_max: REQUEST_SPANS_MAX,
            restore_cuts,
            event_url: config.event_url.clone(),
        })
    }

    /// Returns where a signal goes over HTTP: beside traces, under its own name.
    pub(super) fn address(&self, signal: Signal) -> Uri {
        let own =
            |path: &str| Some(format!("{}{}", path.strip_suffix(Signal::Traces.http_path())?, signal.http_path()));
        let Some(path) = own(self.endpoint.path()) else { return self.endpoint.clone() };
        let query = self.endpoint.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut parts = self.endpoint.clone().into_parts();
        parts.path_and_query = format!("{path}{query}").parse().ok();
        Uri::from_parts(parts).unwrap_or_else(|_| self.endpoint.clone())
    }
}

fn headers(configured: &[config::Header]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for header in configured {
        let value = value(&header.source).with_context(|| format!("header {}", header.name))?;
        headers.append(header.name.clone(), value);
    }
    Ok(headers)
}

/// Reads a value; one that is not written in the configuration is a secret, which no log may show.
fn value(source: &config::HeaderSource) -> anyhow::Result<HeaderValue> {
    let text = match source {
        config::HeaderSource::Value(value) => return Ok(value.clone()),
        config::HeaderSource::File(path) => {
            std::fs::read_to_string(path).with_context(|| path.display().to_string())?
        }
        config::HeaderSource::Environment(name) => std::env::var(name).with_context(|| name.clone())?,
    };
    let mut value = HeaderValue::from_str(text.trim()).context("not a header value")?;
    value.set_sensitive(true);
    Ok(value)
}

const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LONGEST: Duration = Duration::from_secs(30);
const FAILURES_MAX: u32 = 5;
const DOUBT_MAX: Duration = Duration::from_mins(30);
/// Below the 4 MiB that a gRPC server takes unless told otherwise.
const REQUEST_BYTES_MAX: usize = 3 << 20;
const REQUEST_SPANS_MAX: usize = 4096;
