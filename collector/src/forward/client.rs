//! The wire to one backend: OTLP/gRPC or OTLP/HTTP with protobuf, over one connection, without decoding what is sent.

mod grpc;
mod http;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

use super::answer::Answer;
use super::settings::{Backend, Protocol};

/// A connection to a backend; it connects when it is first used, and again after it broke.
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

    /// Sends one `ExportTraceServiceRequest` and reads the answer. Whoever calls sets the time limit.
    pub(super) async fn export(&mut self, request: Bytes) -> Answer {
        match self {
            Self::Grpc(client) => client.export(request).await,
            Self::Http(client) => client.export(request).await,
        }
    }
}

fn accepted(response: ExportTraceServiceResponse) -> Answer {
    let partial = response.partial_success.unwrap_or_default();
    let rejected_spans = u64::try_from(partial.rejected_spans).unwrap_or(0);
    Answer::Accepted { rejected_spans, message: partial.error_message }
}
