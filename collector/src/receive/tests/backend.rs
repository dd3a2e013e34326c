//! A backend in this process that takes logs and metrics, over gRPC and HTTP on one port, and answers as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;
use tonic::{Request, Status};

use crate::signal::Signal;

#[derive(Clone)]
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    requests: Vec<(Signal, Bytes)>,
    headers: HeaderMap,
    replies: VecDeque<Reply>,
}

/// What goes otherwise than well with a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Partial { rejected: i64, message: &'static str },
    Status(Status),
    Http { status: u16, retry_after: &'static str },
    Silent,
}

impl Backend {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let router = Router::new()
            .route_service(Signal::Logs.grpc_path(), LogsServiceServer::new(backend.clone()))
            .route_service(Signal::Metrics.grpc_path(), MetricsServiceServer::new(backend.clone()))
            .route(
                "/v1/logs",
                post(|State(b): State<Self>, h, body| async move { b.http(Signal::Logs, h, body).await }),
            )
            .route(
                "/otlp/v1/metrics",
                post(|State(b): State<Self>, h, body| async move { b.http(Signal::Metrics, h, body).await }),
            )
            .with_state(backend.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        backend
    }

    /// Returns the `[[forward]]` that leads here.
    pub(super) fn settings(&self, name: &str, protocol: &str) -> String {
        format!(
            "[[forward]]\nname = '{name}'\nendpoint = 'http://{}'\nprotocol = '{protocol}'\ntimeout_seconds = 2\n",
            self.address
        )
    }

    pub(super) fn will(&self, reply: Reply) {
        self.state.lock().unwrap().replies.push_back(reply);
    }

    /// Returns what came since it was last asked.
    pub(super) fn requests(&self) -> Vec<(Signal, Bytes)> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    pub(super) fn header(&self, name: &str) -> Option<HeaderValue> {
        self.state.lock().unwrap().headers.get(name).cloned()
    }

    fn take(&self, signal: Signal, headers: HeaderMap, request: Bytes) -> Option<Reply> {
        let mut state = self.state.lock().unwrap();
        state.requests.push((signal, request));
        state.headers = headers;
        state.replies.pop_front()
    }

    async fn http(&self, signal: Signal, headers: HeaderMap, body: Bytes) -> Response<Body> {
        let response = Response::builder().header("content-type", "application/x-protobuf");
        match self.take(signal, headers, body) {
            None => response.body(Body::empty()).unwrap(),
            Some(Reply::Partial { rejected, message }) => {
                let partial =
                    ExportLogsPartialSuccess { rejected_log_records: rejected, error_message: message.to_owned() };
                let body = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
                response.body(body.into()).unwrap()
            }
            Some(Reply::Http { status, retry_after }) => {
                let response = response.status(StatusCode::from_u16(status).unwrap());
                let response =
                    if retry_after.is_empty() { response } else { response.header("retry-after", retry_after) };
                response.body("as told".into()).unwrap()
            }
            Some(Reply::Silent) => std::future::pending().await,
            Some(Reply::Status(status)) => panic!("{status} is not HTTP"),
        }
    }

    async fn grpc<M: Message>(&self, signal: Signal, request: Request<M>) -> Result<(i64, String), Status> {
        let (metadata, _, message) = request.into_parts();
        match self.take(signal, metadata.into_headers(), message.encode_to_vec().into()) {
            None => Ok((0, String::new())),
            Some(Reply::Partial { rejected, message }) => Ok((rejected, message.to_owned())),
            Some(Reply::Status(status)) => Err(status),
            Some(Reply::Silent) => std::future::pending().await,
            Some(reply @ Reply::Http { .. }) => panic!("{reply:?} is not gRPC"),
        }
    }
}

#[tonic::async_trait]
impl LogsService for Backend {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        let (rejected_log_records, error_message) = self.grpc(Signal::Logs, request).await?;
        let partial = !error_message.is_empty();
        let partial_success = partial.then_some(ExportLogsPartialSuccess { rejected_log_records, error_message });
        Ok(tonic::Response::new(ExportLogsServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl MetricsService for Backend {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        let (rejected_data_points, error_message) = self.grpc(Signal::Metrics, request).await?;
        let partial = !error_message.is_empty();
        let partial_success = partial.then_some(ExportMetricsPartialSuccess { rejected_data_points, error_message });
        Ok(tonic::Response::new(ExportMetricsServiceResponse { partial_success }))
    }
}
