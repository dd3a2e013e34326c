//! OTLP/HTTP with protobuf bodies, optionally gzipped.

use std::io::Write;

use anyhow::Context;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::super::answer::Answer;
use super::super::settings::Backend;

pub(in super::super) struct HttpClient {
    transport: Transport,
    endpoint: Uri,
    headers: HeaderMap,
    gzip: bool,
}

enum Transport {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl HttpClient {
    pub(super) fn new(backend: &Backend) -> anyhow::Result<Self> {
        let mut headers = backend.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        if backend.gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let transport = Transport::new(&backend.endpoint)?;
        Ok(Self { transport, endpoint: backend.endpoint.clone(), headers, gzip: backend.gzip })
    }

    pub(super) async fn export(&mut self, message: Bytes) -> Answer {
        let body = match self.body(message) {
            Ok(body) => body,
            Err(error) => return Answer::later(error),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.clone();
        *request.headers_mut() = self.headers.clone();
        match self.transport.send(request).await {
            Ok(response) => read(response).await,
            Err(error) => Answer::later(format!("{:#}", anyhow::Error::new(error))),
        }
    }

    fn body(&self, message: Bytes) -> std::io::Result<Bytes> {
        if !self.gzip {
            return Ok(message);
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::fast());
        encoder.write_all(&message)?;
        Ok(encoder.finish()?.into())
    }
}

impl Transport {
    fn new(endpoint: &Uri) -> anyhow::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        if endpoint.scheme_str() != Some("https") {
            return Ok(Self::Plain(Client::builder(TokioExecutor::new()).build(connector)));
        }
        connector.enforce_http(false);
        let roots = HttpsConnectorBuilder::new().with_native_roots().context("the system's root certificates")?;
        let connector = roots.https_only().enable_all_versions().wrap_connector(connector);
        Ok(Self::Tls(Client::builder(TokioExecutor::new()).build(connector)))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, legacy::Error> {
        match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        }
    }
}

async fn read(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map(|body| body.to_bytes());
    if head.status.is_success() {
        // The spans were taken; an answer that cannot be read must not make them be sent for ever.
        let response = body.ok().and_then(|bytes| ExportTraceServiceResponse::decode(bytes).ok());
        return super::accepted(response.unwrap_or_default());
    }
    let retry_after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    Answer::of_http(head.status, retry_after, &text(&body.unwrap_or_default()))
}

/// The beginning of an error's body, fit for a log line. It may be a protobuf `Status`: what is not text becomes `.`.
fn text(body: &[u8]) -> String {
    let head = &body[..body.len().min(TEXT_BYTES_MAX)];
    String::from_utf8_lossy(head).trim().replace(|c: char| c.is_control(), ".")
}

const PROTOBUF: &str = "application/x-protobuf";
const USER_AGENT: &str = concat!("spanseal/", env!("CARGO_PKG_VERSION"));
const ANSWER_BYTES_MAX: usize = 1 << 20;
const TEXT_BYTES_MAX: usize = 500;
