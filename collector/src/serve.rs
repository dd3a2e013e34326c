//! What operators see: health, readiness and metrics.

pub mod health;
pub mod metrics;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::{Http1, Http2};
use crate::server::{Connections, Limits, Server};

pub use health::Health;
pub use metrics::Metrics;

/// Serves `/healthz`, `/readyz` and `/metrics` until the stop.
pub async fn run(
    listener: TcpListener,
    health: Health,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    Server::new(router(health, metrics), limits(), Connections::default(), stop).serve(vec![listener]).await;
    Ok(())
}

fn router(health: Health, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(readiness).with_state(health))
        .route("/metrics", get(openmetrics).with_state(metrics))
}

/// 200 when every stage does its work, else 503; the body says which does not and why.
async fn readiness(State(health): State<Health>) -> Response<Body> {
    let reasons = health.reasons();
    let code = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": reasons.is_empty(), "reasons": reasons });
    response(code, "application/json", format!("{body}\n"))
}

async fn openmetrics(State(metrics): State<Arc<Metrics>>) -> Response<Body> {
    response(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", metrics.text())
}

fn response(code: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Few clients, small requests: nothing here is worth a setting.
fn limits() -> Limits {
    const CONNECTIONS_MAX: NonZeroUsize = NonZeroUsize::new(128).expect("128 is not zero");
    let http1 = Http1 { buffer_bytes_max: 1 << 14 };
    let http2 = Http2 {
        streams_max: std::num::NonZeroU32::MIN.saturating_add(15),
        stream_window_bytes: 1 << 16,
        connection_window_bytes: 1 << 16,
        frame_bytes_max: 1 << 14,
        header_bytes_max: 1 << 14,
        ping: Duration::from_secs(20),
    };
    Limits {
        connections_max: CONNECTIONS_MAX,
        header_timeout: Duration::from_secs(30),
        stop_timeout: Duration::from_secs(1),
        http1,
        http2,
    }
}

#[cfg(test)]
mod tests;
