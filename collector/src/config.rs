//! The collector's configuration: one TOML file, read into values that can be used as they are.

mod check;
mod mistakes;
mod raw;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use hyper::http::Uri;

use crate::signal::Signal;

pub use mistakes::{Fault, Mistake, Mistakes};

/// Everything that can be configured. `pipelines/configs/embedded.toml` says what each setting means.
#[derive(Debug, Clone)]
pub struct Config {
    /// The deployment's name; `None`: that of the data directory, which a new one gets by chance.
    pub name: Option<String>,
    pub data_dir: PathBuf,
    /// A development set-up, which enrols whoever asks and approves whatever is asked. Never from the file.
    pub dev: bool,
    /// How long a stop may take before what is stuck is named and left behind.
    pub grace: Duration,
    pub receive: Receive,
    pub http: Http,
    pub seal: Seal,
    pub cut: Cut,
    pub forward: Vec<Forward>,
    pub index: Index,
    /// Who may act and approve; usable as it is.
    pub authority: spanseal_authority::Config,
    pub log: Log,
}

/// How OTLP comes in.
#[derive(Debug, Clone)]
pub struct Receive {
    /// Every address speaks OTLP/gRPC and OTLP/HTTP. At least one.
    pub listen: Vec<SocketAddr>,
    /// Of one request, as it came and inflated. At most a quarter of `in_flight_bytes_max`.
    pub request_bytes_max: usize,
    /// Of all requests that are not yet answered.
    pub in_flight_bytes_max: u64,
    pub connections_max: NonZeroUsize,
    /// For a request's head, and for the next one on an idle HTTP/1 connection.
    pub header_timeout: Duration,
    /// For a request's body.
    pub body_timeout: Duration,
    /// For the sealing of a request, or its passing on.
    pub answer_timeout: Duration,
    pub http1: Http1,
    pub http2: Http2,
}

/// What an HTTP/1 client may do on one connection.
#[derive(Debug, Clone)]
pub struct Http1 {
    /// The head of a request, and what is read of its body at once.
    pub buffer_bytes_max: usize,
}

/// What an HTTP/2 client may do on one connection.
#[derive(Debug, Clone)]
pub struct Http2 {
    /// Requests at once.
    pub streams_max: NonZeroU32,
    /// Unread bytes of one request.
    pub stream_window_bytes: u32,
    /// Unread bytes of all requests.
    pub connection_window_bytes: u32,
    pub frame_bytes_max: u32,
    pub header_bytes_max: u32,
    /// How often an idle client is asked whether it is there, and how long it has to answer.
    pub ping: Duration,
}

/// Where health, readiness and metrics are served.
#[derive(Debug, Clone)]
pub struct Http {
    pub listen: SocketAddr,
}

/// How spans are sealed.
#[derive(Debug, Clone)]
pub struct Seal {
    /// That are written at once, each by a thread; `None`: as many as the data directory has, one for a new one.
    pub streams: Option<NonZeroUsize>,
    /// Requests that may wait for a stream's thread.
    pub queue_requests_max: NonZeroUsize,
    /// Bytes of the requests that may wait; a larger request waits alone.
    pub queue_bytes_max: NonZeroUsize,
    /// What one write and one fsync cover.
    pub group_bytes_max: NonZeroUsize,
    pub segment_bytes_max: NonZeroU64,
    /// How often each stream's checkpoint is signed.
    pub checkpoint: Duration,
    /// How often, at most, a changed size enters the root log.
    pub root_changed: Duration,
    /// How often an unchanged size enters the root log.
    pub root_idle: Duration,
    /// Spans remembered to recognise a retry, by all streams together.
    pub window_entries_max: NonZeroUsize,
    /// How long a span is remembered, by the stream's time.
    pub window: Duration,
    /// Attributes that collectors on the way add: a version of a span that differs in nothing else is a variant.
    pub enrichment: Vec<KeyPattern>,
    /// Conflict events of one peer of a tenant; conflicts above it are rejected and counted, and a finding says how many.
    pub conflicts_per_second_max: NonZeroU32,
    /// How often, at most, such a finding is sealed for one tenant.
    pub conflicts_finding: Duration,
    /// After this an epoch's key is replaced.
    pub epoch: Duration,
}

/// Which attributes are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPattern {
    /// The one with this key.
    Key(String),
    /// All whose keys begin with this.
    Prefix(String),
}

impl KeyPattern {
    pub fn matches(&self, key: &str) -> bool {
        match self {
            Self::Key(whole) => key == whole,
            Self::Prefix(prefix) => key.starts_with(prefix),
        }
    }
}

/// What is kept out of the ledger and put into payload records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Keys of the attributes whose values are cut out of every span.
    pub keep_out: Vec<String>,
    /// Key of the attribute that names the person concerned; `None`: the trace.
    pub subject: Option<String>,
    /// Backends get the spans whole.
    pub restore_when_forwarding: bool,
}

/// One backend that gets the spans, marked, and what comes with them.
#[derive(Debug, Clone)]
pub struct Forward {
    /// Names its cursor and its metrics; no other backend has it.
    pub name: String,
    /// With scheme and authority; for [`Protocol::Http`] also the path of traces.
    pub endpoint: Uri,
    pub protocol: Protocol,
    /// What it gets: at least one, each once.
    pub signals: Vec<Signal>,
    pub headers: Vec<Header>,
    pub compression: Compression,
    /// For one request.
    pub timeout: Duration,
    /// Becomes `spanseal.url`, with `{event}` replaced by the event id; `None`: no such attribute.
    pub event_url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    Http,
}

/// How requests to a backend are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: HeaderName,
    pub source: HeaderSource,
}

/// Where a header's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderSource {
    /// No secret: it stands in the configuration.
    Value(HeaderValue),
    File(PathBuf),
    Environment(String),
}

/// The embedded index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    pub enabled: bool,
}

/// The program's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    /// A filter as `tracing` reads it, for example `info` or `spanseal_collector=debug`.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Config {
    /// Reads a configuration, and opens nothing.
    ///
    /// # Errors
    /// Every mistake that it holds, each with its path, its value and the remedy.
    pub fn parse(text: &str) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        let raw = raw::read(text, &mut mistakes);
        let config = check::config(raw, &mut mistakes);
        mistakes.none().map(|()| config)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::parse("").expect("every default is valid, as a test shows")
    }
}

#[cfg(test)]
mod tests;
