//! The stage on a free port, a sealer that answers as it is told, and clients.

use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

use crate::config::Config;
use crate::forward::Relay;
use crate::intake::{Accepted, Intake, Received, Refusal, Submit, Submitted};
use crate::receive::{Receive, STAGE, run};
use crate::serve::{Health, Metrics};

pub(super) struct Collector {
    pub(super) address: SocketAddr,
    pub(super) sealer: Arc<Sealer>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: CancellationToken,
    pub(super) stage: JoinHandle<anyhow::Result<()>>,
}

impl Collector {
    /// Starts the stage with the settings of a `[receive]` section.
    pub(super) async fn start(settings: &str) -> Self {
        let whole = Config::parse(&format!("[receive]\n{settings}")).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sealer, metrics, stop) = (Arc::<Sealer>::default(), Arc::new(Metrics::new()), CancellationToken::new());
        let receive = Receive {
            agents: axum::Router::new(),
            listeners: vec![listener],
            config: whole.receive.clone(),
            stop_timeout: Duration::from_secs(5),
            intake: Intake::new(Arc::clone(&sealer) as Arc<dyn Submit>),
            relay: Relay::new(&whole, &metrics).unwrap(),
            health: Health::of(&[STAGE]),
            metrics: Arc::clone(&metrics),
        };
        let stage = tokio::spawn(run(receive, stop.clone()));
        Self { address, sealer, metrics, stop, stage }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Stops the stage; its byte budget is whole again.
    pub(super) async fn ends_clean(self) {
        self.stop.cancel();
        self.stage.await.unwrap().unwrap();
        self.sealer.seen.lock().unwrap().clear();
        assert_eq!(self.metrics.receive.in_flight_bytes.get(), 0);
        assert_eq!(self.metrics.receive.connections.get(), 0);
    }
}

/// Answers each request with the next answer that it was given, else with success.
pub(super) struct Sealer {
    pub(super) seen: Mutex<Vec<Received>>,
    answers: Mutex<VecDeque<Answer>>,
    /// Refuses whatever comes.
    pub(super) is_full: AtomicBool,
    released: Semaphore,
}

impl Default for Sealer {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            answers: Mutex::default(),
            is_full: AtomicBool::new(false),
            released: Semaphore::new(0),
        }
    }
}

pub(super) enum Answer {
    Now(Result<Accepted, Refusal>),
    /// With success, when the test says so.
    WhenReleased,
    Panic,
}

impl Sealer {
    pub(super) fn will(&self, answer: Answer) {
        self.answers.lock().unwrap().push_back(answer);
    }

    /// Lets one request that waits be answered.
    pub(super) fn release(&self) {
        self.released.add_permits(1);
    }

    /// Waits until a number of requests has come.
    pub(super) async fn has_seen(&self, requests: usize) {
        while self.seen.lock().unwrap().len() < requests {
            tokio::task::yield_now().await;
        }
    }
}

impl Submit for Sealer {
    fn refuses(&self) -> Option<Refusal> {
        let is_full = self.is_full.load(Ordering::Relaxed);
        is_full.then_some(Refusal::Busy { retry_after: Duration::from_secs(3) })
    }

    fn submit(&self, received: Received) -> Submitted<'_> {
        Box::pin(async move {
            let answer = self.answers.lock().unwrap().pop_front();
            self.seen.lock().unwrap().push(received);
            match answer {
                None => Ok(Accepted::default()),
                Some(Answer::Now(answer)) => answer,
                Some(Answer::WhenReleased) => {
                    self.released.acquire().await.unwrap().forget();
                    Ok(Accepted::default())
                }
                Some(Answer::Panic) => panic!("the sealer was told to panic"),
            }
        })
    }
}

pub(super) type Body = BoxBody<Bytes, std::io::Error>;

pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// Returns a client that speaks one version of HTTP.
pub(super) fn client(http2: bool) -> Client<hyper_util::client::legacy::connect::HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).timer(TokioTimer::new()).http2_only(http2).build_http()
}

/// Sends a request, and returns the answer whole.
pub(super) async fn send(http2: bool, request: Request<Body>) -> Response<Bytes> {
    let (head, body) = client(http2).request(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

/// One request of one span.
pub(super) fn request() -> ExportTraceServiceRequest {
    let span =
        Span { trace_id: vec![1; 16], span_id: vec![2; 8], name: "execute_tool".to_owned(), ..Default::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans: vec![span], ..Default::default() }],
            ..Default::default()
        }],
    }
}

pub(super) fn protobuf() -> Bytes {
    request().encode_to_vec().into()
}

pub(super) const JSON: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{
    "traceId":"01010101010101010101010101010101","spanId":"0202020202020202","name":"execute_tool"}]}]}]}"#;

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One frame, which says how much it holds.
pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    zstd_safe::compress(&mut frame, bytes, 3).unwrap();
    frame
}

/// One frame, as a sender writes it that does not know yet how much will follow.
pub(super) fn zstd_with_window(bytes: &[u8], log: u32) -> Vec<u8> {
    let mut sender = CCtx::create();
    sender.set_parameter(CParameter::WindowLog(log)).unwrap();
    sender.set_parameter(CParameter::ChecksumFlag(true)).unwrap();
    let mut frame = Vec::with_capacity(2 * zstd_safe::compress_bound(bytes.len()));
    let mut to = OutBuffer::around(&mut frame);
    let mut from = InBuffer::around(bytes);
    while from.pos() < bytes.len() {
        sender.compress_stream(&mut to, &mut from).unwrap();
    }
    while sender.end_stream(&mut to).unwrap() > 0 {}
    frame
}

/// One gRPC message.
pub(super) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(message);
    frame
}
