//! One OTLP connection that sends ready-made bytes: gRPC over HTTP/2, protobuf or JSON over HTTP/1.1.

use std::io::Write as _;
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
    /// OTLP/HTTP with JSON bodies.
    Json,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Coding {
    None,
    Gzip,
    Zstd,
}

impl Coding {
    /// Returns the name that the headers of HTTP and gRPC have for it.
    fn header(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
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
pub(crate) struct Connection {
    protocol: Protocol,
    coding: Coding,
    authority: String,
    sender: Sender,
}

#[derive(Clone)]
enum Sender {
    Http1(std::sync::Arc<tokio::sync::Mutex<http1::SendRequest<Full<Bytes>>>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Connects to `authority` (`host:port`).
    ///
    /// # Errors
    /// When the connection or the HTTP/2 handshake fails.
    pub(crate) async fn open(protocol: Protocol, coding: Coding, authority: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(authority).await.with_context(|| format!("nothing answers at {authority}"))?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        let sender = match protocol {
            Protocol::Grpc => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(1 << 20)
                    .initial_connection_window_size(4 << 20)
                    .max_frame_size(1 << 20)
                    .handshake(io)
                    .await?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
            Protocol::Http | Protocol::Json => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Sender::Http1(std::sync::Arc::new(tokio::sync::Mutex::new(sender)))
            }
        };
        Ok(Self { protocol, coding, authority: authority.to_owned(), sender })
    }

    /// Returns the body that carries an encoded `ExportTraceServiceRequest`.
    ///
    /// # Errors
    /// When it is too long for its framing.
    pub(crate) fn encode(&self, message: Vec<u8>) -> anyhow::Result<Bytes> {
        let body = match self.coding {
            Coding::None => message,
            Coding::Gzip => {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(&message)?;
                gzip.finish()?
            }
            Coding::Zstd => zstd(&message)?,
        };
        if self.protocol != Protocol::Grpc {
            return Ok(body.into());
        }
        let mut framed = Vec::with_capacity(5 + body.len());
        framed.push(u8::from(self.coding != Coding::None));
        framed.extend_from_slice(&u32::try_from(body.len())?.to_be_bytes());
        framed.extend_from_slice(&body);
        Ok(framed.into())
    }

    /// Sends a body of [`Connection::encode`] and returns the server's answer.
    ///
    /// # Errors
    /// When the connection breaks before the answer is complete: nothing is known of the request then.
    pub(crate) async fn send(&self, body: Bytes) -> anyhow::Result<Answer> {
        let request = self.request(body)?;
        match &self.sender {
            Sender::Http2(sender) => {
                let mut sender = sender.clone();
                sender.ready().await?;
                grpc_answer(sender.send_request(request).await?).await
            }
            Sender::Http1(sender) => {
                let mut sender = sender.lock().await;
                sender.ready().await?;
                http_answer(sender.send_request(request).await?, self.protocol).await
            }
        }
    }

    fn request(&self, body: Bytes) -> anyhow::Result<Request<Full<Bytes>>> {
        let authority = &self.authority;
        let request = match self.protocol {
            Protocol::Grpc => {
                let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
                Request::post(format!("http://{authority}{path}")).header(header::TE, "trailers")
            }
            Protocol::Http | Protocol::Json => Request::post("/v1/traces").header(header::HOST, authority),
        };
        let content_type = match self.protocol {
            Protocol::Grpc => "application/grpc",
            Protocol::Http => "application/x-protobuf",
            Protocol::Json => "application/json",
        };
        let request = match (self.coding.header(), self.protocol) {
            (None, _) => request,
            (Some(coding), Protocol::Grpc) => request.header("grpc-encoding", coding),
            (Some(coding), _) => request.header(header::CONTENT_ENCODING, coding),
        };
        Ok(request.header(header::CONTENT_TYPE, content_type).body(Full::new(body))?)
    }
}

fn zstd(message: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut frame = Vec::with_capacity(zstd_safe::compress_bound(message.len()));
    match zstd_safe::compress(&mut frame, message, ZSTD_LEVEL) {
        Ok(_) => Ok(frame),
        Err(code) => bail!("zstd: {}", zstd_safe::get_error_name(code)),
    }
}

/// The fastest of the usual ones, as gzip's beside it.
const ZSTD_LEVEL: i32 = 1;

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

async fn http_answer(response: Response<Incoming>, protocol: Protocol) -> anyhow::Result<Answer> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    match head.status.as_u16() {
        200 if protocol == Protocol::Json => accepted_json(&body),
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

fn accepted_json(body: &[u8]) -> anyhow::Result<Answer> {
    let response: serde_json::Value = serde_json::from_slice(body).context("an answer that is no JSON")?;
    // A 64-bit number: a string, or absent.
    let rejected = response["partialSuccess"]["rejectedSpans"].as_str().unwrap_or("0");
    Ok(Answer::Accepted { rejected_spans: rejected.parse()? })
}
