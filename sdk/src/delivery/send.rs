//! One OTLP call with bytes that are encoded already, whose answer is read to the end.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{StatusCode, Uri};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use crate::http::{Http, at, causes};
use crate::testing::Recorder;

/// Sends `ExportTraceServiceRequest`s.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    over: Over,
    headers: HeaderMap,
}

#[derive(Clone, Debug)]
enum Over {
    Grpc(Grpc<Channel>),
    Http(Box<(Http, Uri)>),
    Recorder(Recorder),
}

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    /// It may be the next time.
    #[error("{0}")]
    Retry(String),
    /// It never will be.
    #[error("{0}")]
    Refused(String),
}

impl Sender {
    /// Sends to the collector by the protocol and with the headers that the `OTEL_EXPORTER_OTLP_*` variables say.
    pub(crate) fn new(collector: &Uri, http: Http) -> Self {
        let over = match variable("PROTOCOL").as_deref() {
            Some("http/protobuf" | "http/json") => {
                Over::Http(Box::new((http, at(collector, "/v1/traces").unwrap_or_else(|_| collector.clone()))))
            }
            _ => Over::Grpc(Grpc::new(channel(collector))),
        };
        Self { over, headers: headers(&variable("HEADERS").unwrap_or_default()) }
    }

    /// Sends nothing, and lets the recorder have it.
    pub(crate) fn recording(recorder: Recorder) -> Self {
        Self { over: Over::Recorder(recorder), headers: HeaderMap::new() }
    }

    /// Sends one request, and returns how many of its spans were rejected, and why.
    ///
    /// # Errors
    /// Why it was not taken, and whether to try again.
    pub(crate) async fn send(&mut self, request: Bytes) -> Result<(u64, String), SendError> {
        let call = async {
            match &mut self.over {
                Over::Grpc(service) => grpc(service, &self.headers, request).await,
                Over::Recorder(recorder) => {
                    recorder.take(request);
                    Ok(ExportTraceServiceResponse::default())
                }
                Over::Http(over) => over_http(&over.0, &over.1, &self.headers, request).await,
            }
        };
        let slow = || SendError::Retry(format!("no answer within {} s", CALL_TIMEOUT.as_secs()));
        let answer = tokio::time::timeout(CALL_TIMEOUT, call).await.map_err(|_| slow())??;
        let partial = answer.partial_success.unwrap_or_default();
        Ok((u64::try_from(partial.rejected_spans).unwrap_or(0), partial.error_message))
    }
}

fn channel(collector: &Uri) -> Channel {
    let endpoint = Endpoint::from(collector.clone()).connect_timeout(CALL_TIMEOUT).tcp_nodelay(true);
    match collector.scheme_str() {
        Some("https") => {
            let tls = endpoint.clone().tls_config(ClientTlsConfig::new().with_native_roots());
            tls.unwrap_or(endpoint).connect_lazy()
        }
        _ => endpoint.connect_lazy(),
    }
}

async fn grpc(
    service: &mut Grpc<Channel>,
    headers: &HeaderMap,
    message: Bytes,
) -> Result<ExportTraceServiceResponse, SendError> {
    service.ready().await.map_err(|error| SendError::Retry(causes(&error)))?;
    let mut request = Request::new(message);
    *request.metadata_mut() = MetadataMap::from_headers(headers.clone());
    let path = PathAndQuery::from_static("/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    match service.unary(request, path, RawCodec).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) => {
            let text = format!("{:?}: {}", status.code(), status.message());
            Err(if is_retryable(&status) { SendError::Retry(text) } else { SendError::Refused(text) })
        }
    }
}

/// As the OTLP specification says of gRPC; a collector that is out of resources says with `RetryInfo` that it is so for a
/// while, and without it a smaller request may do: evidence is sent again either way.
fn is_retryable(status: &Status) -> bool {
    let retryable = [
        Code::Cancelled,
        Code::DeadlineExceeded,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unavailable,
        Code::DataLoss,
        Code::ResourceExhausted,
        Code::Unknown,
    ];
    retryable.contains(&status.code())
}

async fn over_http(
    http: &Http,
    url: &Uri,
    headers: &HeaderMap,
    message: Bytes,
) -> Result<ExportTraceServiceResponse, SendError> {
    let (code, body) = http.post_protobuf(url, headers, message).await.map_err(SendError::Retry)?;
    if code.is_success() {
        return Ok(ExportTraceServiceResponse::decode(body).unwrap_or_default());
    }
    let retryable = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    let text = format!("{url} answered {code}");
    Err(if retryable.contains(&code) { SendError::Retry(text) } else { SendError::Refused(text) })
}

/// Returns `OTEL_EXPORTER_OTLP_TRACES_<name>`, else `OTEL_EXPORTER_OTLP_<name>`.
pub(super) fn variable(name: &str) -> Option<String> {
    let of = |prefix: &str| std::env::var(format!("{prefix}_{name}")).ok().filter(|value| !value.is_empty());
    of("OTEL_EXPORTER_OTLP_TRACES").or_else(|| of("OTEL_EXPORTER_OTLP"))
}

/// Reads `key=value,key=value`, values percent-encoded, as the OTLP exporter specification has it. What is no header is left
/// out.
fn headers(text: &str) -> HeaderMap {
    let pairs = text.split(',').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let name = HeaderName::try_from(name.trim()).ok()?;
        let mut value = HeaderValue::from_bytes(&unescaped(value.trim())).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    });
    pairs.collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend(before.as_bytes());
        match after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend(rest.as_bytes());
    bytes
}

/// Writes a message that is encoded already, and reads the answer.
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = ExportTraceServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn decode(&mut self, body: &mut DecodeBuf<'_>) -> Result<Option<ExportTraceServiceResponse>, Status> {
        let bytes = body.copy_to_bytes(body.remaining());
        // The request was taken; an answer that cannot be read must not make it be sent for ever.
        Ok(Some(ExportTraceServiceResponse::decode(bytes).unwrap_or_default()))
    }
}

const CALL_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headers_as_the_exporter_does() {
        let read = headers("authorization=Bearer%20abc, x-tenant = a%zz,broken,=x");
        assert_eq!(read["authorization"], "Bearer abc");
        assert_eq!(read["x-tenant"], "a%zz");
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn tries_again_what_may_pass() {
        for (code, retried) in [
            (Code::Unavailable, true),
            (Code::ResourceExhausted, true),
            (Code::InvalidArgument, false),
            (Code::Unauthenticated, false),
            (Code::Unimplemented, false),
        ] {
            assert_eq!(is_retryable(&Status::new(code, "")), retried, "{code:?}");
        }
    }
}
