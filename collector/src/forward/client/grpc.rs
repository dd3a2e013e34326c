//! OTLP/gRPC: the unary call `Export` with the request's bytes as they are.

use std::time::Duration;

use anyhow::Context;
use bytes::{Buf, BufMut, Bytes};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use super::super::settings::Backend;
use super::{Failure, Taken};
use crate::signal::Signal;
use crate::text::chain;

#[derive(Clone)]
pub(in super::super) struct GrpcClient {
    service: Grpc<Channel>,
    metadata: MetadataMap,
}

impl GrpcClient {
    pub(super) fn new(backend: &Backend) -> anyhow::Result<Self> {
        let mut endpoint = Endpoint::from(backend.endpoint.clone())
            .connect_timeout(backend.timeout)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .tcp_keepalive(Some(KEEP_ALIVE));
        if backend.endpoint.scheme_str() == Some("https") {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).context("the system's root certificates")?;
        }
        let mut service = Grpc::new(endpoint.connect_lazy());
        if backend.gzip {
            service = service.send_compressed(CompressionEncoding::Gzip);
        }
        Ok(Self { service, metadata: MetadataMap::from_headers(backend.headers.clone()) })
    }

    pub(super) async fn export(&mut self, signal: Signal, message: Bytes) -> Result<Taken, Failure> {
        // The causes matter: the outermost says no more than "transport error".
        self.service.ready().await.map_err(|error| Failure::Transport(chain(&error)))?;
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        let path = PathAndQuery::from_static(signal.grpc_path());
        let response = self.service.unary(request, path, RawCodec).await.map_err(Failure::Status)?;
        Ok(Taken::of(response.into_inner()))
    }
}

/// Writes a message that is encoded already, and reads the answer.
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = ExportTraceServiceResponse;
    type Encoder = RawEncoder;
    type Decoder = ResponseDecoder;

    fn encoder(&mut self) -> RawEncoder {
        RawEncoder
    }

    fn decoder(&mut self) -> ResponseDecoder {
        ResponseDecoder
    }
}

struct RawEncoder;

impl Encoder for RawEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(message.len());
        out.put(message);
        Ok(())
    }
}

struct ResponseDecoder;

impl Decoder for ResponseDecoder {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn decode(&mut self, body: &mut DecodeBuf<'_>) -> Result<Option<ExportTraceServiceResponse>, Status> {
        let bytes = body.copy_to_bytes(body.remaining());
        // The request was taken; an answer that cannot be read must not make them be sent for ever.
        Ok(Some(ExportTraceServiceResponse::decode(bytes).unwrap_or_default()))
    }
}

const KEEP_ALIVE: Duration = Duration::from_secs(20);
