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

use super::super::settings::Backend;
use super::{Failure, Taken};
use crate::signal::Signal;

#[derive(Clone)]
pub(in super::super) struct HttpClient {
    transport: Transport,
    /// Of each signal, in the order of [`Signal::ALL`].
    endpoints: [Uri; 3],
    headers: HeaderMap,
    gzip: bool,
}

#[derive(Clone)]
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
        Ok(Self {
            transport,
            endpoints: Signal::ALL.map(|signal| backend.address(signal)),
            headers,
            gzip: backend.gzip,
        })
    }

    pub(super) async fn export(&mut self, signal: Signal, message: Bytes) -> Result<Taken, Failure> {
        let body = self.body(message).map_err(|error| Failure::Transport(error.to_string()))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoints[signal as usize].clone();
        *request.headers_mut() = self.headers.clone();
        match self.transport.send(request).await {
            Ok(response) => read(response).await,
            Err(error) => Err(Failure::Transport(format!("{:#}", anyhow::Error::new(error)))),
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

async fn read(response: Response<Incoming>) -> Result<Taken, Failure> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map(|body| body.to_bytes());
    if head.status.is_success() {
        // The request was taken; an answer that cannot be read must not make them be sent for ever.
        let response = body.ok().and_then(|bytes| ExportTraceServiceResponse::decode(bytes).ok());
        return Ok(Taken::of(response.unwrap_or_default()));
    }
    let retry_after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Err(Failure::Http { status: head.status, retry_after, text: text(&body.unwrap_or_default()) })
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
