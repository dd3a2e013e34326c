//! The whole collector in one process: its stages started in the order in which spans flow, and ended in that order.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use spanseal_ledger::Deployment;
use spanseal_log::{DataDir, Disk};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config};
use crate::forward::{self, Forward, Relay};
use crate::receive::{self, Receive};
use crate::seal::{self, Durable, Sealing};
use crate::serve::{self, Health, Metrics};
use crate::server::{bind, connections_that_fit};
use crate::stages::Stages;

/// A collector at work.
pub struct Running {
    addresses: Addresses,
    health: Health,
    metrics: Arc<Metrics>,
    durable: watch::Receiver<Durable>,
    deployment: Deployment,
    stages: Stages,
    serving: Serving,
}

/// Where a collector listens: port 0 of the configuration has become a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// OTLP/gRPC and OTLP/HTTP, on each.
    pub otlp: Vec<SocketAddr>,
    /// Health, readiness, metrics.
    pub http: SocketAddr,
}

/// Starts a collector; dropping what it returns ends it without a goodbye.
///
/// Spans go from receive to seal; what is durable goes on to the backends, and to whoever follows [`Running::durable`].
/// After the stop the stages end in that order: receive because it watches the stop, each other one because its input
/// ends.
///
/// # Errors
/// When an address or the data directory cannot be used; the message names the remedy.
pub async fn start(config: Config, stop: CancellationToken) -> anyhow::Result<Running> {
    let metrics = Arc::new(Metrics::new());
    // First, to find a secret that is not there before an epoch is opened, which would end uncleanly.
    let relay = Relay::new(&config, &metrics)?;
    let listeners = Listeners::bind(&config).await?;
    let addresses = listeners.addresses()?;
    let health = Health::of(&[receive::STAGE, SEAL]);
    // Before that, so that operators see that a long recovery is under way.
    let serving = Serving::start(listeners.http, health.clone(), Arc::clone(&metrics));
    let config = Arc::new(config);
    let opened = open(Arc::clone(&config), Arc::clone(&metrics), health.clone()).await.and_then(|sealing| {
        let data = DataDir::at(Arc::new(Disk), &config.data_dir);
        let forwards = Forward::all(&config, &data, &sealing.durable, &metrics)?;
        Ok((sealing, forwards))
    });
    let (sealing, forwards) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            serving.end().await;
            return Err(error);
        }
    };
    let Sealing { intake, durable, deployment, engine } = sealing;
    let mut stages = Stages::new(config.grace, stop.clone());
    let connections_max = connections_that_fit(config.receive.connections_max);
    let receive = Receive {
        listeners: listeners.otlp,
        config: config::Receive { connections_max, ..config.receive.clone() },
        stop_timeout: config.grace / 2, // the rest is for the stages that follow
        intake,
        relay,
        health: health.clone(),
        metrics: Arc::clone(&metrics),
    };
    stages.spawn(receive::STAGE, receive::run(receive, stop.clone()));
    stages.spawn(SEAL, seal::run(engine));
    for forward in forwards {
        stages.spawn(format!("forward to {}", forward.backend.name), forward::run(forward, stop.clone()));
    }
    Ok(Running { addresses, health, metrics, durable, deployment, stages, serving })
}

/// Gets the stream ready, which reads files and may take seconds.
async fn open(config: Arc<Config>, metrics: Arc<Metrics>, health: Health) -> anyhow::Result<Sealing> {
    let directory = config.data_dir.display().to_string();
    let opening = move || seal::open(&config, Arc::new(Disk), metrics, health);
    tokio::task::spawn_blocking(opening).await?.context(directory)
}

impl Running {
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    pub fn health(&self) -> &Health {
        &self.health
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Returns what is durable of the stream; its sender goes when there will be no more.
    pub fn durable(&self) -> &watch::Receiver<Durable> {
        &self.durable
    }

    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Adds a stage that reads what is sealed. It ends when there will be no more, and is waited for like the others.
    pub fn spawn(&mut self, name: &str, stage: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.stages.spawn(name, stage);
    }

    /// Waits for the stop, or for a stage that fails, and then until every stage has ended.
    ///
    /// # Errors
    /// Why a stage failed, or which stages had not ended when the grace was over.
    pub async fn stopped(self) -> anyhow::Result<()> {
        let ended = self.stages.ended().await;
        // Last of all, so that operators see why it takes so long.
        self.serving.end().await;
        ended
    }
}

/// What `/healthz`, `/readyz` and `/metrics` are served by.
struct Serving {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Serving {
    fn start(listener: TcpListener, health: Health, metrics: Arc<Metrics>) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve::run(listener, health, metrics, stop.clone()));
        Self { stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "health and metrics were not served to the end");
        }
    }
}

/// What seal calls itself in [`Health`].
const SEAL: &str = "seal";

/// The addresses of the configuration, taken.
struct Listeners {
    otlp: Vec<TcpListener>,
    http: TcpListener,
}

impl Listeners {
    async fn bind(config: &Config) -> anyhow::Result<Self> {
        let mut otlp = Vec::new();
        for address in &config.receive.listen {
            otlp.push(bind(*address, "--otlp ADDR or [receive] listen").await?);
        }
        let http = bind(config.http.listen, "--http ADDR or [http] listen").await?;
        Ok(Self { otlp, http })
    }

    fn addresses(&self) -> anyhow::Result<Addresses> {
        let of = |listener: &TcpListener| listener.local_addr().context("an address that is listened on");
        Ok(Addresses { otlp: self.otlp.iter().map(of).collect::<Result<_, _>>()?, http: of(&self.http)? })
    }
}

#[cfg(test)]
mod tests;
