//! OTLP/HTTP: protobuf and JSON at `/v1/traces`, `/v1/logs` and `/v1/metrics`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode, Version};
use prost::Message;
use serde_json::json;

use super::coding::{CODINGS, Coding};
use super::problem::{Problem, Remedy};
use super::{Receiver, grpc};
use crate::intake::{Accepted, Encoding};
use crate::serve::metrics::Protocol;
use crate::signal::Signal;

/// Answers one `POST` of a signal.
pub(super) async fn export(signal: Signal, State(receiver): State<Arc<Receiver>>, request: Request) -> Response<Body> {
    let since = Instant::now();
    let (head, mut body) = request.into_parts();
    let media = Media::of(&head.headers);
    let answer = answer(&receiver, signal, &head.headers, &mut body).await;
    let protocol = media.map_or(Protocol::other, Media::protocol);
    receiver.count(signal, protocol, since, &answer);
    if let Err(problem) = &answer
        && still_sending(problem, &head)
    {
        receiver.drain(&mut body).await;
    }
    let media = media.unwrap_or(Media::Json);
    match answer {
        Ok(accepted) => media.success(signal, &accepted),
        Err(problem) => media.failure(&problem),
    }
}

/// Answers a path that is not here.
pub(super) async fn unknown(request: Request) -> Response<Body> {
    let path = request.uri().path();
    if grpc::is_grpc(request.headers()) {
        return grpc::unimplemented(path);
    }
    let mut response = Response::new(Body::from("not here; OTLP traces are taken in at /v1/traces\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

async fn answer(
    receiver: &Receiver,
    signal: Signal,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Accepted, Problem> {
    receiver.takes(signal)?;
    let media = Media::of(headers).ok_or(Problem::MediaType)?;
    let coding = Coding::of(headers.get(CONTENT_ENCODING).map_or(&[][..], HeaderValue::as_bytes))?;
    let bytes_max = receiver.config.request_bytes_max;
    let taken = receiver.take_in(body, bytes_max, |_| None).await?;
    let taken = coding.inflate(taken, bytes_max).await?;
    match media {
        Media::Protobuf => receiver.hand_on(signal, taken, Encoding::Protobuf).await,
        Media::Json => {
            let taken = super::json::transcode(signal, taken, bytes_max).await?;
            receiver.hand_on(signal, taken, Encoding::Json).await
        }
    }
}

/// Whether the client gets to the answer only when all that it sends is read: in HTTP/1, unless it waits to be told to
/// go on, or stopped sending.
fn still_sending(problem: &Problem, head: &Parts) -> bool {
    let silent = matches!(problem, Problem::Slow { .. } | Problem::Broken);
    head.version < Version::HTTP_2 && !head.headers.contains_key(EXPECT) && !silent
}

/// The content type of the request, which its answer shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Protobuf,
    Json,
}

impl Media {
    /// Reads the media type, whatever its parameters are.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.as_bytes();
        let essence = content_type.split(|byte| *byte == b';').next()?.trim_ascii();
        match &essence.to_ascii_lowercase()[..] {
            b"application/x-protobuf" => Some(Self::Protobuf),
            b"application/json" => Some(Self::Json),
            _ => None,
        }
    }

    fn protocol(self) -> Protocol {
        match self {
            Self::Protobuf => Protocol::http_protobuf,
            Self::Json => Protocol::http_json,
        }
    }

    fn success(self, signal: Signal, accepted: &Accepted) -> Response<Body> {
        let response = grpc::response(accepted);
        let body = match (self, response.partial_success.as_ref()) {
            (Self::Protobuf, _) => response.encode_to_vec(),
            (Self::Json, None) => b"{}".to_vec(),
            (Self::Json, Some(partial)) => json!({ "partialSuccess": {
                rejected(signal): partial.rejected_spans.to_string(),
                "errorMessage": partial.error_message,
            }})
            .to_string()
            .into_bytes(),
        };
        self.response(StatusCode::OK, body)
    }

    /// The body is a `google.rpc.Status`.
    fn failure(self, problem: &Problem) -> Response<Body> {
        let status = problem.status();
        let body = match self {
            Self::Protobuf => status.details().to_vec(), // holds the whole Status, code and message included
            Self::Json => json!({ "code": status.code() as i32, "message": status.message() }).to_string().into_bytes(),
        };
        let remedy = problem.remedy();
        let code = match remedy {
            Remedy::Change => StatusCode::BAD_REQUEST,
            Remedy::Recode => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Remedy::Split => StatusCode::PAYLOAD_TOO_LARGE,
            Remedy::Retry { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Remedy::Elsewhere => StatusCode::NOT_FOUND,
            Remedy::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut response = self.response(code, body);
        let headers = response.headers_mut();
        match remedy {
            Remedy::Retry { after } => drop(headers.insert(RETRY_AFTER, whole_seconds(after))),
            Remedy::Recode => drop(headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(CODINGS))),
            Remedy::Change | Remedy::Split | Remedy::Elsewhere | Remedy::Unknown => {}
        }
        response
    }

    fn response(self, code: StatusCode, body: Vec<u8>) -> Response<Body> {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = code;
        let content_type = match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }
}

/// What the JSON calls the number of a partial success, which protobuf numbers alike in every signal.
fn rejected(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Logs => "rejectedLogRecords",
        Signal::Metrics => "rejectedDataPoints",
    }
}

/// At least one: `Retry-After` knows no fractions.
fn whole_seconds(after: Duration) -> HeaderValue {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    HeaderValue::from(seconds.max(1))
}
