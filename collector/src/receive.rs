//! Takes in OTLP over gRPC and HTTP, within limits, and answers once it is sealed.

mod body;
mod coding;
mod grpc;
mod gzip;
mod http;
mod json;
mod problem;
mod zstd;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::forward::Relay;
use crate::intake::{Accepted, Budget, BudgetPermit, Encoding, Intake, Received, Tenant};
use crate::serve::metrics::{Outcome, Protocol, RequestLabels};
use crate::serve::{Health, Metrics};
use crate::server::{Connections, Limits, Server};
use crate::signal::Signal;

use body::Taken;
use problem::Problem;

/// What the stage works with.
pub struct Receive {
    pub listeners: Vec<TcpListener>,
    /// What agents ask besides.
    pub agents: Router,
    pub config: config::Receive,
    /// For requests that are still to be answered after the stop.
    pub stop_timeout: Duration,
    pub intake: Intake,
    pub relay: Relay,
    pub health: Health,
    pub metrics: Arc<Metrics>,
}

/// Serves OTLP on every listener until the stop, then answers what is on its way.
///
/// Requests that are still being sent at the stop are asked to come again; those that are being sealed are answered.
/// Closes the intake.
pub async fn run(receive: Receive, stop: CancellationToken) -> anyhow::Result<()> {
    let Receive { listeners, agents, config, stop_timeout, intake, relay, health, metrics } = receive;
    let limits = Limits {
        connections_max: config.connections_max,
        header_timeout: config.header_timeout,
        stop_timeout,
        http1: config.http1.clone(),
        http2: config.http2.clone(),
    };
    let connections =
        Connections { open: metrics.receive.connections.clone(), refused: metrics.receive.connections_refused.clone() };
    let receiver = Receiver::new(config, (intake, relay), metrics, stop.clone());
    let server = Server::new(router(Arc::new(receiver)).merge(agents), limits, connections, stop.clone());
    health.ready(STAGE);
    let stopping = async {
        stop.cancelled().await;
        health.unready(STAGE, "the collector is stopping");
    };
    tokio::join!(server.serve(listeners), stopping);
    Ok(())
}

/// The stage's name in [`Health`].
pub const STAGE: &str = "receive";

fn router(receiver: Arc<Receiver>) -> Router {
    let add = |router: Router<_>, signal: Signal| {
        router
            .route(signal.grpc_path(), post(move |receiver, request| grpc::export(signal, receiver, request)))
            .route(signal.http_path(), post(move |receiver, request| http::export(signal, receiver, request)))
    };
    Signal::ALL.into_iter().fold(Router::new(), add).fallback(http::unknown).with_state(receiver)
}

/// What every request is taken in with.
struct Receiver {
    config: config::Receive,
    intake: Intake,
    relay: Relay,
    budget: Budget,
    tenant: Arc<Tenant>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

impl Receiver {
    fn new(
        config: config::Receive,
        (intake, relay): (Intake, Relay),
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        let budget = Budget::new(config.in_flight_bytes_max, metrics.receive.in_flight_bytes.clone());
        let tenant = Arc::new(Tenant { name: TENANT.to_owned(), peer: String::new() });
        Self { config, intake, relay, budget, tenant, metrics, stop }
    }

    /// Refuses, before it is read, a request that nobody takes: spans while no more may wait, another signal without a backend.
    fn takes(&self, signal: Signal) -> Result<(), Problem> {
        match signal {
            Signal::Traces => self.intake.refuses().map_or(Ok(()), |refusal| Err(Problem::Refused(refusal))),
            _ if self.relay.takes(signal) => Ok(()),
            _ => Err(Problem::NoBackend { signal }),
        }
    }

    /// Hands spans to seal and all else to the backends, and waits for the answer.
    async fn hand_on(&self, signal: Signal, taken: Taken, encoding: Encoding) -> Result<Accepted, Problem> {
        let Taken { bytes, mut permit } = taken;
        if signal == Signal::Traces {
            return self.submit(bytes, encoding, permit).await;
        }
        permit.grow((self.relay.copies(signal) * bytes.len()) as u64)?;
        let passed = self.relay.pass(signal, bytes).await?;
        drop(permit); // the bytes were held until now
        Ok(Accepted { rejected_spans: passed.rejected, message: passed.message })
    }

    /// Hands a request to seal, and waits for its answer.
    async fn submit(&self, request: Bytes, encoding: Encoding, permit: BudgetPermit) -> Result<Accepted, Problem> {
        if request.is_empty() {
            return Ok(Accepted::default()); // OTLP: an empty request is a success
        }
        self.metrics.receive.request_bytes.inc_by(request.len() as u64);
        let received = Received {
            request,
            encoding,
            tenant: Arc::clone(&self.tenant),
            received_unix_nano: unix_nano(),
            budget: Some(permit),
        };
        match tokio::time::timeout(self.config.answer_timeout, self.intake.submit(received)).await {
            Ok(answer) => answer.map_err(Problem::Refused),
            Err(_) => Err(Problem::NotSealedYet { after: self.config.answer_timeout }),
        }
    }

    /// Counts how a request was answered, and how long that took.
    fn count(&self, signal: Signal, protocol: Protocol, since: Instant, answer: &Result<Accepted, Problem>) {
        let outcome = match answer {
            Ok(accepted) if accepted.rejected_spans > 0 => Outcome::partial,
            Ok(_) => Outcome::ok,
            Err(problem) => problem.outcome(),
        };
        self.metrics.receive.requests.get_or_create(&RequestLabels { signal, protocol, outcome }).inc();
        self.metrics.receive.answer_seconds.observe(since.elapsed().as_secs_f64());
    }
}

/// The machine's clock; 0 when it stands before 1970.
fn unix_nano() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Whoever sends: nobody is authenticated yet.
pub const TENANT: &str = "default";

#[cfg(test)]
mod tests;
