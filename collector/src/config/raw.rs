//! The settings as they stand in the file, each with its default.

mod read;

use serde::{Deserialize, Serialize};

use crate::signal::Signal;

pub(super) use read::read;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) name: Option<String>,
    pub(super) data_dir: String,
    pub(super) grace_seconds: u64,
    pub(super) receive: Receive,
    pub(super) http: Http,
    pub(super) seal: Seal,
    pub(super) cut: Cut,
    pub(super) forward: Vec<Forward>,
    pub(super) index: Index,
    pub(super) authority: spanseal_authority::Config,
    pub(super) log: Log,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            name: None,
            data_dir: "spanseal-data".to_owned(),
            grace_seconds: 10,
            receive: Receive::default(),
            http: Http::default(),
            seal: Seal::default(),
            cut: Cut::default(),
            forward: Vec::new(),
            index: Index::default(),
            authority: spanseal_authority::Config::default(),
            log: Log::default(),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Receive {
    pub(super) listen: Vec<String>,
    pub(super) request_bytes_max: u64,
    pub(super) in_flight_bytes_max: u64,
    pub(super) connections_max: u64,
    pub(super) header_seconds: u64,
    pub(super) body_seconds: u64,
    pub(super) answer_seconds: u64,
    pub(super) http1: Http1,
    pub(super) http2: Http2,
}

impl Default for Receive {
    fn default() -> Self {
        Self {
            listen: vec!["127.0.0.1:4317".to_owned(), "127.0.0.1:4318".to_owned()],
            request_bytes_max: 64 << 20, // OTLP's recommendation
            in_flight_bytes_max: 256 << 20,
            connections_max: 4096,
            header_seconds: 30,
            body_seconds: 60,
            answer_seconds: 30,
            http1: Http1::default(),
            http2: Http2::default(),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http1 {
    pub(super) buffer_bytes_max: u64,
}

impl Default for Http1 {
    fn default() -> Self {
        Self { buffer_bytes_max: 128 << 10 }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http2 {
    pub(super) streams_max: u64,
    pub(super) stream_window_bytes: u64,
    pub(super) connection_window_bytes: u64,
    pub(super) frame_bytes_max: u64,
    pub(super) header_bytes_max: u64,
    pub(super) ping_seconds: u64,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            streams_max: 256,
            stream_window_bytes: 1 << 20,
            connection_window_bytes: 4 << 20,
            frame_bytes_max: 256 << 10,
            header_bytes_max: 16 << 10,
            ping_seconds: 20,
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    pub(super) listen: String,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: "127.0.0.1:4319".to_owned() }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Seal {
    pub(super) streams: Option<u64>,
    pub(super) queue_requests_max: u64,
    pub(super) queue_bytes_max: u64,
    pub(super) group_bytes_max: u64,
    pub(super) segment_bytes_max: u64,
    pub(super) checkpoint_seconds: u64,
    pub(super) root_changed_seconds: u64,
    pub(super) root_idle_seconds: u64,
    pub(super) window_entries_max: u64,
    pub(super) window_seconds: u64,
    pub(super) enrichment: Vec<String>,
    pub(super) conflicts_per_second_max: u64,
    pub(super) conflicts_finding_seconds: u64,
    pub(super) epoch_seconds_max: u64,
}

impl Default for Seal {
    fn default() -> Self {
        Self {
            streams: None,
            queue_requests_max: 1024,
            queue_bytes_max: 24 << 20,
            group_bytes_max: 8 << 20,
            segment_bytes_max: 256 << 20,
            checkpoint_seconds: 1,
            root_changed_seconds: 10,
            root_idle_seconds: 600,
            window_entries_max: 1_000_000,
            window_seconds: 300,
            enrichment: ENRICHMENT.map(ToOwned::to_owned).to_vec(),
            conflicts_per_second_max: 100,
            conflicts_finding_seconds: 60,
            epoch_seconds_max: 86_400,
        }
    }
}

/// What the k8sattributes and resourcedetection processors of the OpenTelemetry Collector add.
const ENRICHMENT: [&str; 11] = [
    "k8s.*",
    "container.*",
    "host.*",
    "os.*",
    "cloud.*",
    "faas.*",
    "aws.*",
    "azure.*",
    "gcp.*",
    "heroku.*",
    "openshift.*",
];

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cut {
    pub(super) keep_out: Vec<String>,
    pub(super) subject: Option<String>,
    pub(super) restore_when_forwarding: bool,
}

impl Default for Cut {
    fn default() -> Self {
        Self { keep_out: Vec::new(), subject: None, restore_when_forwarding: true }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Forward {
    pub(super) name: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) protocol: Protocol,
    pub(super) signals: Vec<Signal>,
    pub(super) compression: Compression,
    pub(super) timeout_seconds: u64,
    pub(super) event_url: Option<String>,
    pub(super) header: Vec<Header>,
}

impl Default for Forward {
    fn default() -> Self {
        Self {
            name: None,
            endpoint: None,
            protocol: Protocol::Grpc,
            signals: Signal::ALL.to_vec(),
            compression: Compression::None,
            timeout_seconds: 10,
            event_url: None,
            header: Vec::new(),
        }
    }
}

#[derive(Deserialize, Serialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    Grpc,
    Http,
}

#[derive(Deserialize, Serialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compression {
    None,
    Gzip,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Header {
    pub(super) name: Option<String>,
    pub(super) value: Option<String>,
    pub(super) file: Option<String>,
    pub(super) env: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Index {
    pub(super) enabled: bool,
}

impl Default for Index {
    fn default() -> Self {
        Self { enabled: true }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) format: LogFormat,
    pub(super) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

#[derive(Deserialize, Serialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    Text,
    Json,
}
