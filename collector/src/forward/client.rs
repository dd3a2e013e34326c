//! The wire to one backend: OTLP/gRPC or OTLP/HTTP with protobuf, without decoding what is sent.

mod grpc;
mod http;

use bytes::Bytes;
use hyper::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use tonic::Status;

use super::settings::{Backend, Protocol};
use crate::signal::Signal;

/// The way to a backend; it connects when it is first used, and again after that broke. Cloning shares it.
#[derive(Clone)]
pub(super) enum Client {
    Grpc(Box<grpc::GrpcClient>),
    Http(Box<http::HttpClient>),
}

impl Client {
    /// # Errors
    /// When the endpoint cannot be used or, for https, the system's root certificates cannot be read.
    pub(super) fn new(backend: &Backend) -> anyhow::Result<Self> {
        Ok(match backend.protocol {
            Protocol::Grpc => Self::Grpc(Box::new(grpc::GrpcClient::new(backend)?)),
            Protocol::Http => Self::Http(Box::new(http::HttpClient::new(backend)?)),
        })
    }

    /// Sends one request of a signal and reads the answer. Whoever calls sets the time limit.
    pub(super) async fn export(&mut self, signal: Signal, request: Bytes) -> Result<Taken, Failure> {
        match self {
            Self::Grpc(client) => client.export(signal, request).await,
            Self::Http(client) => client.export(signal, request).await,
        }
    }
}

/// A backend took a request, but for so many spans, log records or data points that it rejected for good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) rejected: u64,
    /// Says for people why; empty when nothing was rejected.
    pub(super) message: String,
}

impl Taken {
    /// Reads the response of any signal: they differ in the name of one number, which is not on the wire.
    fn of(response: ExportTraceServiceResponse) -> Self {
        let partial = response.partial_success.unwrap_or_default();
        Self { rejected: u64::try_from(partial.rejected_spans).unwrap_or(0), message: partial.error_message }
    }
}

/// A backend did not take a request.
#[derive(Debug)]
pub(super) enum Failure {
    Status(Status),
    Http {
        status: StatusCode,
        retry_after: Option<String>,
        text: String,
    },
    /// It was not reached, or the connection broke.
    Transport(String),
}
