//! One OTLP connection that sends ready-made bytes: gRPC over HTTP/2 or protobuf over HTTP/1.1.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, body::Incoming, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::net::TcpStream;

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf bodies.
    Http,
}

/// What the server said to one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Taken in; so many spans were refused for good.
    Accepted { rejected_spans: u64 },
    /// To be sent again, after so long if the server said.
    Retry(Option<Duration>),
    /// Refused for good.
    Refused(String),
}

/// A connection; clones of a gRPC one share it as concurrent streams.
#[derive(Clone)]
pub(crate) enum Connection {
    Grpc(http2::SendRequest<Full<Bytes>>, String),
    Http(std::sync::Arc<tokio::sync::Mutex<http1::SendRequest<Full<Bytes>>>>, String),
}

impl Connection {
    /// Connects to `authority` (`host:port`).
    ///
    /// # Errors
    /// When the connection or the HTTP/2 handshake fails.
    pub(crate) async fn open(protocol: Protocol, authority: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(authority).await.with_context(|| format!("nothing answers at {authority}"))?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        match protocol {
            Protocol::Grpc => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(1 << 20)
                    .initial_connection_window_size(4 << 20)
                    .max_frame_size(1 << 20)
                    .handshake(io)
                    .await?;
                tokio::spawn(connection);
                Ok(Self::Grpc(sender, authority.to_owned()))
            }
            Protocol::Http => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Ok(Self::Http(std::sync::Arc::new(tokio::sync::Mutex::new(sender)), authority.to_owned()))
            }
        }
    }

    /// Sends one encoded `ExportTraceServiceRequest` and returns the server's answer.
    ///
    /// # Errors
    /// When the connection breaks before the answer is complete: nothing is known of the request then.
    pub(crate) async fn send(&self, request: Bytes) -> anyhow::Result<Answer> {
        match self {
            Self::Grpc(sender, authority) => {
                let mut sender = sender.clone();
                sender.ready().await?;
                grpc_answer(sender.send_request(grpc_request(authority, &request)?).await?).await
            }
            Self::Http(sender, authority) => {
                let mut sender = sender.lock().await;
                sender.ready().await?;
                http_answer(sender.send_request(http_request(authority, request)?).await?).await
            }
        }
    }
}

fn grpc_request(authority: &str, message: &[u8]) -> anyhow::Result<Request<Full<Bytes>>> {
    let mut framed = Vec::with_capacity(5 + message.len());
    framed.push(0);
    framed.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
    framed.extend_from_slice(message);
    Ok(Request::post(format!("http://{authority}/opentelemetry.proto.collector.trace.v1.TraceService/Export"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(Full::new(Bytes::from(framed)))?)
}

async fn grpc_answer(response: Response<Incoming>) -> anyhow::Result<Answer> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().unwrap_or(&head.headers);
    let status = trailers.get("grpc-status").or_else(|| head.headers.get("grpc-status"));
    let status = status.and_then(|status| status.to_str().ok()).context("an answer without grpc-status")?.to_owned();
    let message = trailers.get("grpc-message").and_then(|text| text.to_str().ok()).unwrap_or_default().to_owned();
    match status.as_str() {
        "0" => accepted(body.to_bytes().get(5..).unwrap_or_default()),
        "1" | "4" | "10" | "11" | "14" | "15" => Ok(Answer::Retry(None)),
        code => Ok(Answer::Refused(format!("gRPC status {code}: {message}"))),
    }
}

fn http_request(authority: &str, message: Bytes) -> anyhow::Result<Request<Full<Bytes>>> {
    Ok(Request::post("/v1/traces")
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .body(Full::new(message))?)
}

async fn http_answer(response: Response<Incoming>) -> anyhow::Result<Answer> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    match head.status.as_u16() {
        200 => accepted(&body),
        429 | 502..=504 => Ok(Answer::Retry(after.map(Duration::from_secs))),
        status => Ok(Answer::Refused(format!("HTTP status {status}"))),
    }
}

fn accepted(body: &[u8]) -> anyhow::Result<Answer> {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    let Ok(response) = ExportTraceServiceResponse::decode(body) else {
        bail!("an answer that is no ExportTraceServiceResponse")
    };
    let rejected = response.partial_success.map_or(0, |partial| partial.rejected_spans);
    Ok(Answer::Accepted { rejected_spans: rejected.unsigned_abs() })
}
