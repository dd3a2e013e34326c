//! Turns settings into values that can be used, noting every one that cannot.

mod forward;

use std::collections::HashMap;
use std::hash::Hash;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use spanseal_authority::Authority;

use super::mistakes::{Fault, Mistakes};
use super::{Config, Cut, Http, Http1, Http2, Index, KeyPattern, Log, LogFormat, Receive, Seal, raw};
use crate::seal::STREAMS_MAX;

/// Returns the configuration; of use only when no mistake was noted.
pub(super) fn config(raw: raw::Raw, mistakes: &mut Mistakes) -> Config {
    let mut check = Check { mistakes };
    let listen = check.addresses(&raw.receive.listen, &raw.http.listen);
    Config {
        name: raw.name.map(|name| check.deployment_name(name)),
        data_dir: check.not_empty("data_dir", raw.data_dir).into(),
        dev: false,
        grace: check.seconds("grace_seconds", raw.grace_seconds, HOUR),
        receive: check.receive(raw.receive, listen.otlp),
        http: Http { listen: listen.http },
        seal: check.seal(raw.seal),
        cut: check.cut(raw.cut),
        forward: forward::backends(raw.forward, &mut check),
        index: Index { enabled: raw.index.enabled },
        authority: check.authority(raw.authority),
        log: Log {
            format: match raw.log.format {
                raw::LogFormat::Text => LogFormat::Text,
                raw::LogFormat::Json => LogFormat::Json,
            },
            level: check.level("log.level", raw.log.level),
        },
    }
}

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const GIB: u64 = 1 << 30;
/// By name or by number.
const LEVELS: [&str; 12] = ["off", "error", "warn", "info", "debug", "trace", "0", "1", "2", "3", "4", "5"];

struct Addresses {
    otlp: Vec<SocketAddr>,
    http: SocketAddr,
}

struct Check<'m> {
    mistakes: &'m mut Mistakes,
}

impl Check<'_> {
    fn addresses(&mut self, otlp: &[String], http: &str) -> Addresses {
        if otlp.is_empty() {
            self.mistakes.note("receive.listen", "[]", Fault::NoAddress);
        }
        let mut seen = Seen::default();
        let mut address = |path: String, text: &str| {
            let address = text.parse::<SocketAddr>();
            match &address {
                Err(_) => self.mistakes.note(path, quoted(text), Fault::NotAnAddress),
                // Port 0 is another port each time.
                Ok(address) if address.port() == 0 => {}
                Ok(address) => seen.once(*address, path, quoted(text), self.mistakes),
            }
            address.unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)))
        };
        let otlp = otlp.iter().enumerate().map(|(n, text)| address(format!("receive.listen[{n}]"), text)).collect();
        Addresses { otlp, http: address("http.listen".to_owned(), http) }
    }

    fn receive(&mut self, raw: raw::Receive, listen: Vec<SocketAddr>) -> Receive {
        let request_bytes_max = self.number("receive.request_bytes_max", raw.request_bytes_max, 1 << 10, GIB) as usize;
        let in_flight_bytes_max = self.number("receive.in_flight_bytes_max", raw.in_flight_bytes_max, 1 << 10, 1 << 40);
        // The largest request is there as it came, inflated, and in zstd's window, in the seven eighths that are not kept
        // for small ones.
        let least = raw.request_bytes_max.saturating_mul(4);
        if in_flight_bytes_max < least {
            let fault = Fault::BelowOther { other: "4 * receive.request_bytes_max", least };
            self.mistakes.note("receive.in_flight_bytes_max", in_flight_bytes_max, fault);
        }
        Receive {
            listen,
            request_bytes_max,
            in_flight_bytes_max,
            connections_max: self.count("receive.connections_max", raw.connections_max, 1_000_000),
            header_timeout: self.seconds("receive.header_seconds", raw.header_seconds, HOUR),
            body_timeout: self.seconds("receive.body_seconds", raw.body_seconds, HOUR),
            answer_timeout: self.seconds("receive.answer_seconds", raw.answer_seconds, HOUR),
            http1: self.http1(&raw.http1),
            http2: self.http2(&raw.http2),
        }
    }

    fn http1(&mut self, raw: &raw::Http1) -> Http1 {
        // From 8 KiB, the least that the server can do with.
        let buffer_bytes_max = self.number("receive.http1.buffer_bytes_max", raw.buffer_bytes_max, 8 << 10, 1 << 30);
        Http1 { buffer_bytes_max: buffer_bytes_max as usize }
    }

    fn http2(&mut self, raw: &raw::Http2) -> Http2 {
        const WINDOW: (u64, u64) = (65_535, (1 << 31) - 1); // RFC 9113 section 6.9.2
        const FRAME: (u64, u64) = (1 << 14, (1 << 24) - 1); // RFC 9113 section 6.5.2
        let mut number = |name: &str, value, (min, max)| {
            // Every range here ends below 2^32.
            self.number(&format!("receive.http2.{name}"), value, min, max) as u32
        };
        Http2 {
            streams_max: NonZeroU32::new(number("streams_max", raw.streams_max, (1, 100_000)))
                .unwrap_or(NonZeroU32::MIN),
            stream_window_bytes: number("stream_window_bytes", raw.stream_window_bytes, WINDOW),
            connection_window_bytes: number("connection_window_bytes", raw.connection_window_bytes, WINDOW),
            frame_bytes_max: number("frame_bytes_max", raw.frame_bytes_max, FRAME),
            header_bytes_max: number("header_bytes_max", raw.header_bytes_max, (1 << 10, 1 << 20)),
            ping: self.seconds("receive.http2.ping_seconds", raw.ping_seconds, HOUR),
        }
    }

    fn seal(&mut self, raw: raw::Seal) -> Seal {
        let group_bytes_max = self.count("seal.group_bytes_max", raw.group_bytes_max, GIB);
        let segment_bytes_max = self.number("seal.segment_bytes_max", raw.segment_bytes_max, 1 << 20, 1 << 40);
        Seal {
            streams: raw.streams.map(|streams| self.count("seal.streams", streams, STREAMS_MAX as u64)),
            queue_requests_max: self.count("seal.queue_requests_max", raw.queue_requests_max, 1_000_000),
            queue_bytes_max: self.count("seal.queue_bytes_max", raw.queue_bytes_max, GIB),
            group_bytes_max,
            segment_bytes_max: NonZeroU64::new(segment_bytes_max).unwrap_or(NonZeroU64::MIN),
            checkpoint: self.seconds("seal.checkpoint_seconds", raw.checkpoint_seconds, HOUR),
            root_changed: self.seconds("seal.root_changed_seconds", raw.root_changed_seconds, HOUR),
            root_idle: self.seconds("seal.root_idle_seconds", raw.root_idle_seconds, DAY),
            window_entries_max: self.count("seal.window_entries_max", raw.window_entries_max, 1 << 30),
            window: self.seconds("seal.window_seconds", raw.window_seconds, DAY),
            enrichment: self.patterns("seal.enrichment", raw.enrichment),
            conflicts_per_second_max: self.count32("seal.conflicts_per_second_max", raw.conflicts_per_second_max),
            conflicts_finding: self.seconds("seal.conflicts_finding_seconds", raw.conflicts_finding_seconds, DAY),
            epoch: self.seconds("seal.epoch_seconds_max", raw.epoch_seconds_max, 365 * DAY),
        }
    }

    fn patterns(&mut self, path: &str, texts: Vec<String>) -> Vec<KeyPattern> {
        let mut seen = Seen::default();
        let mut pattern = |(n, text): (usize, String)| {
            let path = format!("{path}[{n}]");
            let (key, is_prefix) = text.strip_suffix('*').map_or((text.as_str(), false), |prefix| (prefix, true));
            if key.is_empty() || key.contains('*') {
                self.mistakes.note(path.as_str(), quoted(&text), Fault::NotAKeyPattern);
            }
            let pattern = if is_prefix { KeyPattern::Prefix(key.to_owned()) } else { KeyPattern::Key(key.to_owned()) };
            let shown = quoted(&text);
            seen.once(text, path, shown, self.mistakes);
            pattern
        };
        texts.into_iter().enumerate().map(&mut pattern).collect()
    }

    fn cut(&mut self, raw: raw::Cut) -> Cut {
        let mut seen = Seen::default();
        for (n, key) in raw.keep_out.iter().enumerate() {
            let path = format!("cut.keep_out[{n}]");
            self.key(&path, key);
            seen.once(key.clone(), path, quoted(key), self.mistakes);
        }
        if let Some(key) = &raw.subject {
            self.key("cut.subject", key);
        }
        Cut { keep_out: raw.keep_out, subject: raw.subject, restore_when_forwarding: raw.restore_when_forwarding }
    }

    fn authority(&mut self, config: spanseal_authority::Config) -> spanseal_authority::Config {
        if let Err(mistakes) = Authority::new(&config, "") {
            for mistake in mistakes.0 {
                let value = quoted(&mistake.value);
                self.mistakes.note(format!("authority.{}", mistake.path), value, mistake.fault.into());
            }
        }
        config
    }

    fn key(&mut self, path: &str, key: &str) {
        if key.is_empty() {
            self.mistakes.note(path, quoted(key), Fault::NotAKey);
        }
    }

    fn deployment_name(&mut self, name: String) -> String {
        let visible = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+');
        if name.is_empty() || name.len() > 128 || !visible {
            self.mistakes.note("name", quoted(&name), Fault::NotADeploymentName);
        }
        name
    }

    fn not_empty(&mut self, path: &str, text: String) -> String {
        if text.is_empty() {
            self.mistakes.note(path, quoted(&text), Fault::Missing);
        }
        text
    }

    /// Takes a filter of `tracing`. A word that is no level would be taken for a target that nothing has, and say nothing.
    fn level(&mut self, path: &str, text: String) -> String {
        let is_level = |part: &str| {
            let (target, level) = part.rsplit_once('=').unwrap_or(("all", part));
            let blank = target.is_empty() || part.contains(char::is_whitespace);
            !blank && LEVELS.iter().any(|known| level.eq_ignore_ascii_case(known))
        };
        if !text.split(',').all(is_level) {
            self.mistakes.note(path, quoted(&text), Fault::NotALevel);
        }
        text
    }

    fn seconds(&mut self, path: &str, value: u64, max: u64) -> Duration {
        Duration::from_secs(self.number(path, value, 1, max))
    }

    fn count(&mut self, path: &str, value: u64, max: u64) -> NonZeroUsize {
        NonZeroUsize::new(self.number(path, value, 1, max) as usize).unwrap_or(NonZeroUsize::MIN)
    }

    fn count32(&mut self, path: &str, value: u64) -> NonZeroU32 {
        let value = self.number(path, value, 1, 1_000_000);
        u32::try_from(value).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }

    fn number(&mut self, path: &str, value: u64, min: u64, max: u64) -> u64 {
        if !(min..=max).contains(&value) {
            self.mistakes.note(path, value, Fault::OutOfRange { min, max });
        }
        value
    }
}

/// What may stand only once, and where it stands.
struct Seen<T>(HashMap<T, String>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + Hash> Seen<T> {
    fn once(&mut self, value: T, path: String, shown: String, mistakes: &mut Mistakes) {
        match self.0.get(&value) {
            Some(earlier) => mistakes.note(path, shown, Fault::Repeated { earlier: earlier.clone() }),
            None => drop(self.0.insert(value, path)),
        }
    }
}

/// A text as TOML shows it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
