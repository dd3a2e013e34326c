//! The backends.

use hyper::header::{HeaderName, HeaderValue};
use hyper::http::Uri;

use super::super::mistakes::Fault;
use super::super::{Compression, Forward, Header, HeaderSource, Protocol, raw};
use super::{Check, HOUR, Seen, quoted};
use crate::signal::Signal;

pub(super) fn backends(raw: Vec<raw::Forward>, check: &mut Check<'_>) -> Vec<Forward> {
    let mut names = Seen::default();
    let mut backends = Vec::new();
    for (n, raw) in raw.into_iter().enumerate() {
        let at = format!("forward[{n}]");
        if let Some(name) = &raw.name {
            names.once(name.clone(), format!("{at}.name"), quoted(name), check.mistakes);
        }
        backends.push(backend(&at, raw, check));
    }
    backends
}

fn backend(at: &str, raw: raw::Forward, check: &mut Check<'_>) -> Forward {
    let protocol = match raw.protocol {
        raw::Protocol::Grpc => Protocol::Grpc,
        raw::Protocol::Http => Protocol::Http,
    };
    let headers =
        raw.header.into_iter().enumerate().map(|(n, raw)| header(&format!("{at}.header[{n}]"), raw, check)).collect();
    if let Some(url) = raw.event_url.as_deref().filter(|url| !url.contains("{event}")) {
        check.mistakes.note(format!("{at}.event_url"), quoted(url), Fault::NoEventInUrl);
    }
    signals(&format!("{at}.signals"), &raw.signals, check);
    let traces_alone = raw.signals == [Signal::Traces];
    Forward {
        name: name(&format!("{at}.name"), raw.name, check),
        endpoint: endpoint(&format!("{at}.endpoint"), raw.endpoint, protocol, traces_alone, check),
        protocol,
        signals: raw.signals,
        compression: match raw.compression {
            raw::Compression::None => Compression::None,
            raw::Compression::Gzip => Compression::Gzip,
        },
        headers,
        timeout: check.seconds(&format!("{at}.timeout_seconds"), raw.timeout_seconds, HOUR),
        event_url: raw.event_url,
    }
}

fn signals(path: &str, signals: &[Signal], check: &mut Check<'_>) {
    let mut seen = Seen::default();
    if signals.is_empty() {
        check.mistakes.note(path, "[]", Fault::NoSignal);
    }
    for (n, signal) in signals.iter().enumerate() {
        seen.once(*signal, format!("{path}[{n}]"), quoted(signal.name()), check.mistakes);
    }
}

fn name(path: &str, raw: Option<String>, check: &mut Check<'_>) -> String {
    let Some(name) = raw else {
        check.mistakes.note(path, "", Fault::Missing);
        return String::new();
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        check.mistakes.note(path, quoted(&name), Fault::NotAName);
    }
    name
}

/// An HTTP endpoint without a path gets that of OTLP, as in `OTEL_EXPORTER_OTLP_ENDPOINT`. Another path is that of
/// traces: from one in OTLP's own form, those of the other signals are known.
fn endpoint(path: &str, raw: Option<String>, protocol: Protocol, traces_alone: bool, check: &mut Check<'_>) -> Uri {
    let Some(text) = raw else {
        check.mistakes.note(path, "", Fault::Missing);
        return Uri::default();
    };
    let whole = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    let uri = text.parse::<Uri>().ok().filter(whole);
    let Some(uri) = uri else {
        check.mistakes.note(path, quoted(&text), Fault::NotAUrl);
        return Uri::default();
    };
    let traces = Signal::Traces.http_path();
    if protocol == Protocol::Grpc || uri.path() != "/" {
        if protocol == Protocol::Http && !traces_alone && !uri.path().ends_with(traces) {
            check.mistakes.note(path, quoted(&text), Fault::NoPathOfOtlp);
        }
        return uri;
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(hyper::http::uri::PathAndQuery::from_static(traces));
    Uri::from_parts(parts).unwrap_or(uri)
}

fn header(at: &str, raw: raw::Header, check: &mut Check<'_>) -> Header {
    let name = raw.name.unwrap_or_default();
    let parsed = HeaderName::try_from(name.as_str()).unwrap_or_else(|_| {
        check.mistakes.note(format!("{at}.name"), quoted(&name), Fault::NotAHeaderName);
        HeaderName::from_static("x")
    });
    let secret = SECRETS.iter().any(|word| parsed.as_str().contains(word));
    let mut sources = Vec::new();
    if let Some(text) = raw.value {
        if secret {
            // The value is not shown again: a log would keep it.
            check.mistakes.note(format!("{at}.value"), "", Fault::SecretInPlain);
        }
        let value = HeaderValue::try_from(text.as_str()).unwrap_or_else(|_| {
            check.mistakes.note(format!("{at}.value"), quoted(&text), Fault::NotAHeaderValue);
            HeaderValue::from_static("")
        });
        sources.push(HeaderSource::Value(value));
    }
    sources.extend(raw.file.map(|file| HeaderSource::File(file.into())));
    sources.extend(raw.env.map(HeaderSource::Environment));
    if sources.len() != 1 {
        check.mistakes.note(at, "", Fault::NotOneSource { given: sources.len() });
    }
    let source = sources.pop().unwrap_or(HeaderSource::Environment(String::new()));
    Header { name: parsed, source }
}

/// Words in the names of headers whose values are secret.
const SECRETS: [&str; 6] = ["authorization", "cookie", "key", "password", "secret", "token"];
