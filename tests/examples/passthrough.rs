//! An OTLP/gRPC server that decodes every request with prost, encodes it again, and lets it go: what a pass-through that
//! proves nothing costs at least. The write benchmark compares the collector with it.
//!
//! `cargo run --release -p spanseal-tests --example passthrough -- 127.0.0.1:PORT`

use std::net::SocketAddr;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;
use tonic::{Request, Response, Status};

#[derive(Debug)]
struct PassThrough;

#[tonic::async_trait]
impl TraceService for PassThrough {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        std::hint::black_box(request.into_inner().encode_to_vec());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).ok_or("usage: passthrough ADDRESS")?.parse()?;
    let service = TraceServiceServer::new(PassThrough).max_decoding_message_size(REQUEST_BYTES_MAX);
    // The same windows as the collector's, so that both read as much at once.
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_frame_size(1 << 18)
        .add_service(service)
        .serve(address)
        .await?;
    Ok(())
}

const REQUEST_BYTES_MAX: usize = 64 << 20;
