//! OTLP/gRPC: one unary call, whose message stays the bytes that it is.
//!
//! The framing is done here and not by `tonic`, because it takes ten lines, and so the inflated size comes out of the
//! budget before it is inflated, several gzip members are all read, and a message is copied once.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use tonic::Status;

use super::Receiver;
use super::body::Taken;
use super::coding::Coding;
use super::problem::{Problem, Remedy};
use crate::intake::{Accepted, Encoding};
use crate::serve::metrics::Protocol;
use crate::signal::Signal;

/// Answers one `Export` of a signal's service.
pub(super) async fn export(signal: Signal, State(receiver): State<Arc<Receiver>>, request: Request) -> Response<Body> {
    if !is_grpc(request.headers()) {
        // As the gRPC protocol wants it: whoever this is does not read a gRPC status.
        let there = signal.http_path();
        let mut response = Response::new(Body::from(format!("this path speaks gRPC; OTLP/HTTP is at {there}\n")));
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let since = Instant::now();
    let answer = answer(&receiver, signal, request).await;
    receiver.count(signal, Protocol::grpc, since, &answer);
    match answer {
        Ok(accepted) => success(&accepted),
        Err(problem) => failure(&problem),
    }
}

/// Whether the sender expects to be answered in gRPC.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    matches!(essence, b"application/grpc" | b"application/grpc+proto")
}

async fn answer(receiver: &Receiver, signal: Signal, request: Request) -> Result<Accepted, Problem> {
    receiver.takes(signal)?;
    let message = read(receiver, request).await?;
    receiver.hand_on(signal, message, Encoding::Protobuf).await
}

/// Returns the one message of a request, inflated.
async fn read(receiver: &Receiver, request: Request) -> Result<Taken, Problem> {
    let coding = Coding::of(request.headers().get(GRPC_ENCODING).map_or(&[][..], HeaderValue::as_bytes))?;
    let bytes_max = receiver.config.request_bytes_max;
    let body = receiver.take_in(&mut request.into_body(), bytes_max + PREFIX_BYTES, body_len).await?;
    let (compressed, bytes) = message(body.bytes)?;
    let message = Taken { bytes, permit: body.permit };
    match (compressed, coding) {
        (true, Coding::Identity) => Err(Problem::Framing { fault: "compressed, and grpc-encoding does not say how" }),
        (true, coding) => coding.inflate(message, bytes_max).await,
        (false, _) => Ok(message),
    }
}

/// Returns how long a body will be by its prefix, since gRPC clients send no content length.
fn body_len(first_bytes: &[u8]) -> Option<usize> {
    let [_flag, len @ ..] = first_bytes.first_chunk::<PREFIX_BYTES>()?;
    (u32::from_be_bytes(*len) as usize).checked_add(PREFIX_BYTES)
}

/// Returns the one message of a body: a flag (1), the length (4), the message.
fn message(body: Bytes) -> Result<(bool, Bytes), Problem> {
    let fault = |fault| Problem::Framing { fault };
    let Some((&[flag, ref len @ ..], message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(fault("shorter than its prefix"));
    };
    let len = u32::from_be_bytes(*len) as usize;
    match message.len() {
        longer if longer > len => return Err(fault("something follows the message")),
        shorter if shorter < len => return Err(fault("shorter than its prefix says")),
        _ => {}
    }
    match flag {
        0 | 1 => Ok((flag == 1, body.slice(PREFIX_BYTES..))),
        _ => Err(fault("its flag is neither 0 nor 1")),
    }
}

/// Partial success is set only when something was rejected, or when there is something to say.
pub(super) fn response(accepted: &Accepted) -> ExportTraceServiceResponse {
    let partial = accepted.rejected_spans > 0 || !accepted.message.is_empty();
    ExportTraceServiceResponse {
        partial_success: partial.then(|| ExportTracePartialSuccess {
            rejected_spans: i64::try_from(accepted.rejected_spans).unwrap_or(i64::MAX),
            error_message: accepted.message.clone(),
        }),
    }
}

fn success(accepted: &Accepted) -> Response<Body> {
    let message = response(accepted).encode_to_vec();
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let body = Full::new(frame.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn failure(problem: &Problem) -> Response<Body> {
    let mut response = problem.status().into_http();
    if problem.remedy() == Remedy::Recode {
        response.headers_mut().insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity,gzip,zstd"));
    }
    response
}

/// Answers a call to a service that is not here.
pub(super) fn unimplemented(path: &str) -> Response<Body> {
    let there = Signal::Traces.grpc_path();
    Status::unimplemented(format!("{path} is not here; traces are taken in at {there}")).into_http()
}

const PREFIX_BYTES: usize = 5;
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
