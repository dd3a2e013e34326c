//! A backend that takes OTLP in this process, and fails as it is told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::Protocol;

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    Unavailable {
        retry_after: Option<Duration>,
    },
    Status(Status),
    Partial {
        rejected: i64,
    },
    /// The connection ends before the answer.
    Cut,
    /// There is no answer.
    Silent,
}

#[derive(Clone)]
pub(super) struct Sink {
    protocol: Protocol,
    address: SocketAddr,
    state: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    requests: Vec<ExportTraceServiceRequest>,
    headers: HashMap<String, String>,
    fault: Option<(Fault, u32)>,
    spans_max: Option<usize>,
    bytes_max: Option<usize>,
    /// How a request is refused that is too large.
    too_large: Option<Status>,
    /// The names of spans, and how any request with one of them is refused.
    refused: Option<(Vec<String>, Status)>,
}

impl Sink {
    pub(super) async fn start(protocol: Protocol) -> Self {
        let (sink, listener) = Self::bind(protocol).await;
        sink.serve(listener);
        sink
    }

    pub(super) async fn bind(protocol: Protocol) -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self { protocol, address: listener.local_addr().unwrap(), state: Arc::default() };
        (sink, listener)
    }

    pub(super) async fn listen_again(&self) {
        self.serve(TcpListener::bind(self.address).await.unwrap());
    }

    pub(super) fn endpoint(&self) -> hyper::Uri {
        let path = if self.protocol == Protocol::Http { "/v1/traces" } else { "" };
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(super) fn fail_next(&self, fault: Fault, times: u32) {
        self.state.lock().unwrap().fault = Some((fault, times));
    }

    pub(super) fn take_at_most(&self, spans: usize) {
        self.state.lock().unwrap().spans_max = Some(spans);
    }

    pub(super) fn take_bytes_at_most(&self, bytes: usize) {
        self.state.lock().unwrap().bytes_max = Some(bytes);
    }

    /// Says in other words that a request is too large.
    pub(super) fn call_too_large(&self, status: Status) {
        self.state.lock().unwrap().too_large = Some(status);
    }

    pub(super) fn refuse(&self, name: &str, status: Status) {
        self.refuse_all(vec![name.to_owned()], status);
    }

    pub(super) fn refuse_all(&self, names: Vec<String>, status: Status) {
        self.state.lock().unwrap().refused = Some((names, status));
    }

    /// The bytes of each request that was taken.
    pub(super) fn request_bytes(&self) -> Vec<usize> {
        self.state.lock().unwrap().requests.iter().map(Message::encoded_len).collect()
    }

    /// The values of an attribute of resources, in order.
    pub(super) fn resource_texts(&self, key: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let resources = state.requests.iter().flat_map(|request| &request.resource_spans);
        let attributes = resources.flat_map(|spans| spans.resource.iter().flat_map(|resource| &resource.attributes));
        let texts = attributes.filter(|attribute| attribute.key == key).filter_map(|attribute| {
            match attribute.value.as_ref()?.value.as_ref()? {
                Value::StringValue(text) => Some(text.clone()),
                _ => None,
            }
        });
        texts.collect()
    }

    pub(super) fn requests(&self) -> usize {
        self.state.lock().unwrap().requests.len()
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.state.lock().unwrap().headers.get(name).cloned()
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        let state = self.state.lock().unwrap();
        let scopes = state
            .requests
            .iter()
            .flat_map(|request| &request.resource_spans)
            .flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The services, each once for every time that it follows another.
    pub(super) fn services(&self) -> Vec<String> {
        let mut services = self.resource_texts("service.name");
        services.dedup();
        services
    }

    pub(super) async fn has(&self, spans: usize) {
        while self.spans().len() < spans {
            tokio::task::yield_now().await;
        }
    }

    fn serve(&self, listener: TcpListener) {
        let router = match self.protocol {
            Protocol::Http => Router::new().route("/v1/traces", post(http)).with_state(self.clone()),
            Protocol::Grpc => {
                let service = TraceServiceServer::new(self.clone())
                    .max_decoding_message_size(64 << 20)
                    .accept_compressed(tonic::codec::CompressionEncoding::Gzip);
                Router::new().route_service("/opentelemetry.proto.collector.trace.v1.TraceService/Export", service)
            }
        };
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    }

    /// Takes a request in, unless something is to go wrong with it.
    fn take(
        &self,
        request: ExportTraceServiceRequest,
        headers: &HeaderMap,
    ) -> Result<ExportTraceServiceResponse, Fault> {
        let mut state = self.state.lock().unwrap();
        let names =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        state.headers = names.collect();
        let fault = match &mut state.fault {
            Some((fault, times)) if *times > 0 => {
                *times -= 1;
                Some(fault.clone())
            }
            _ => None,
        };
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let spans: Vec<&Span> = scopes.flat_map(|scope| &scope.spans).collect();
        let bytes = request.encoded_len();
        if state.spans_max.is_some_and(|max| spans.len() > max) || state.bytes_max.is_some_and(|max| bytes > max) {
            let usual = || Status::resource_exhausted("received message larger than max");
            return Err(Fault::Status(state.too_large.clone().unwrap_or_else(usual)));
        }
        if let Some((names, status)) = &state.refused
            && spans.iter().any(|span| names.contains(&span.name))
        {
            return Err(Fault::Status(status.clone()));
        }
        let rejected_spans = match fault {
            Some(Fault::Partial { rejected }) => rejected,
            Some(fault) => return Err(fault),
            None => 0,
        };
        state.requests.push(request);
        let partial_success = (rejected_spans > 0)
            .then(|| ExportTracePartialSuccess { rejected_spans, error_message: "not these".to_owned() });
        Ok(ExportTraceServiceResponse { partial_success })
    }
}

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let fault = match self.take(request, &metadata.into_headers()) {
            Ok(response) => return Ok(tonic::Response::new(response)),
            Err(fault) => fault,
        };
        match fault {
            Fault::Status(status) => Err(status),
            Fault::Unavailable { retry_after: None } => Err(Status::unavailable("not now")),
            Fault::Unavailable { retry_after } => {
                let mut details = ErrorDetails::new();
                details.set_retry_info(retry_after);
                Err(Status::with_error_details(Code::Unavailable, "not now", details))
            }
            Fault::Silent => std::future::pending().await,
            Fault::Cut | Fault::Partial { .. } => panic!("the connection is cut"),
        }
    }
}

async fn http(State(sink): State<Sink>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let gzipped = headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let mut inflated = Vec::new();
    if gzipped {
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&body[..]), &mut inflated).unwrap();
    } else {
        inflated.extend_from_slice(&body);
    }
    let answer = Response::builder().header("content-type", "application/x-protobuf");
    let fault = match sink.take(ExportTraceServiceRequest::decode(&inflated[..]).unwrap(), &headers) {
        Ok(response) => return answer.body(response.encode_to_vec().into()).unwrap(),
        Err(fault) => fault,
    };
    let with = |status: StatusCode| answer.status(status);
    match fault {
        Fault::Unavailable { retry_after: None } => with(StatusCode::SERVICE_UNAVAILABLE).body(Body::empty()).unwrap(),
        Fault::Unavailable { retry_after: Some(after) } => {
            let answer = with(StatusCode::TOO_MANY_REQUESTS).header("retry-after", after.as_secs().to_string());
            answer.body(Body::empty()).unwrap()
        }
        Fault::Status(status) => {
            let code = match status.code() {
                Code::ResourceExhausted if status.message().contains("larger") => StatusCode::PAYLOAD_TOO_LARGE,
                Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
                Code::InvalidArgument => StatusCode::BAD_REQUEST,
                Code::Unauthenticated => StatusCode::UNAUTHORIZED,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            with(code).body(status.message().to_owned().into()).unwrap()
        }
        Fault::Silent => std::future::pending().await,
        Fault::Cut | Fault::Partial { .. } => panic!("the connection is cut"),
    }
}
