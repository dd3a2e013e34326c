//! The whole collector in one process: its stages started in the order in which spans flow, and ended in that order.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use spanseal_ledger::Deployment;
use spanseal_log::{DataDir, Disk, Storage};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::agents::{self, Reception};
use crate::config::{self, Config};
use crate::control::{self, Control};
use crate::forward::{self, Forward, Relay};
use crate::intake::{Entrance, Intake};
use crate::receive::{self, Receive};
use crate::seal::{self, Durable, Sealing, StartError};
use crate::serve::{self, Health, Metrics};
use crate::server::{bind, connections_that_fit};
use crate::stages::Stages;

/// A collector at work.
pub struct Running {
    addresses: Addresses,
    health: Health,
    metrics: Arc<Metrics>,
    durable: Vec<watch::Receiver<Durable>>,
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
/// ends. On a full disk it returns when there is space: until then requests are refused retryably, and `/readyz` says why.
///
/// # Errors
/// When an address or the data directory cannot be used; the message names the remedy.
pub async fn start(config: Config, stop: CancellationToken) -> anyhow::Result<Running> {
    Starting::bind(config, stop).await?.run(Arc::new(Disk)).await
}

/// A collector that has its addresses, and nothing else yet.
struct Starting {
    config: Arc<Config>,
    relay: Relay,
    listeners: Listeners,
    addresses: Addresses,
    health: Health,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

impl Starting {
    async fn bind(config: Config, stop: CancellationToken) -> anyhow::Result<Self> {
        let (health, metrics) = (Health::of(&[receive::STAGE, seal::STAGE]), Arc::new(Metrics::new()));
        // First, to find a secret that is not there before an epoch is opened, which would end uncleanly.
        let relay = Relay::new(&config, &metrics)?;
        if config.dev
            && let Some(address) = config.receive.listen.iter().find(|address| !address.ip().is_loopback())
        {
            anyhow::bail!("a development set-up approves whatever is asked, and {address} is no loopback address");
        }
        let listeners = Listeners::bind(&config).await?;
        let addresses = listeners.addresses()?;
        Ok(Self { config: Arc::new(config), relay, listeners, addresses, health, metrics, stop })
    }

    async fn run(self, storage: Arc<dyn Storage>) -> anyhow::Result<Running> {
        let Self { config, relay, listeners, addresses, health, metrics, stop } = self;
        // First, so that operators see that a long recovery is under way.
        let serving = Serving::start(listeners.http, health.clone(), Arc::clone(&metrics));
        let entrance = Arc::new(Entrance::default());
        let reception = Arc::new(Reception::default());
        let receive = Receive {
            agents: agents::router(reception.clone()),
            listeners: listeners.otlp,
            config: config::Receive {
                connections_max: connections_that_fit(config.receive.connections_max),
                ..config.receive.clone()
            },
            stop_timeout: config.grace / 2, // the rest is for the stages that follow
            intake: Intake::new(entrance.clone()),
            relay,
            health: health.clone(),
            metrics: Arc::clone(&metrics),
        };
        let mut stages = Stages::new(config.grace, stop.clone());
        // From the beginning: whoever sends is asked to come again, while the log is read back or the disk is full.
        stages.spawn(receive::STAGE, receive::run(receive, stop.clone()));
        let opening =
            Opening { config: Arc::clone(&config), storage, health: health.clone(), metrics: metrics.clone() };
        let opened = opening.when_there_is_space(&stop);
        let forwards = |sealing: &Sealing| {
            let data = DataDir::at(opening.storage.clone(), &config.data_dir);
            Forward::all(&config, &data, &sealing.durable, &metrics)
        };
        let opened = opened.await.and_then(|sealing| forwards(&sealing).map(|forwards| (sealing, forwards)));
        let (sealing, forwards) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                serving.end().await;
                return Err(error);
            }
        };
        let Sealing { intake, durable, deployment, orders, agents, engine } = sealing;
        entrance.open(intake);
        reception.open(agents);
        stages.spawn(seal::STAGE, seal::run(engine, stop.clone()));
        match Control::bind(&config.data_dir, orders) {
            Ok(control) => stages.spawn("control", control::run(control, stop.clone())),
            // Spans are worth more: erasures and holds then need a stop.
            Err(error) => {
                tracing::warn!(%error, "no control socket: `spanseal erase` and `hold` need this collector stopped");
            }
        }
        for forward in forwards {
            stages.spawn(format!("forward to {}", forward.backend.name), forward::run(forward, stop.clone()));
        }
        Ok(Running { addresses, health, metrics, durable, deployment, stages, serving })
    }
}

/// What it takes to get the streams ready.
struct Opening {
    config: Arc<Config>,
    storage: Arc<dyn Storage>,
    health: Health,
    metrics: Arc<Metrics>,
}

impl Opening {
    /// Gets the streams ready; while the disk is too full for that, waits for space.
    async fn when_there_is_space(&self, stop: &CancellationToken) -> anyhow::Result<Sealing> {
        let directory = || self.config.data_dir.display().to_string();
        loop {
            match self.once().await? {
                Err(error) if error.is_disk_full() => {
                    self.health.unready(seal::STAGE, seal::DISK_FULL);
                    tracing::error!(error = format!("{:#}", anyhow::Error::from(error)), "{}", seal::DISK_FULL);
                }
                opened => return opened.with_context(directory),
            }
            let space = stop.run_until_cancelled(self.space()).await;
            space.context("stopped while the disk was full").with_context(directory)?;
            tracing::info!("there is space on the disk again");
        }
    }

    /// Tries once, which reads files and may take seconds.
    async fn once(&self) -> anyhow::Result<Result<Sealing, StartError>> {
        let (config, storage) = (Arc::clone(&self.config), Arc::clone(&self.storage));
        let (metrics, health) = (Arc::clone(&self.metrics), self.health.clone());
        Ok(tokio::task::spawn_blocking(move || seal::open(&config, storage, metrics, health)).await?)
    }

    /// Returns when there is space. Trying without would leave a little more behind each time.
    async fn space(&self) {
        let wanted = seal::free_bytes_to_start(&self.config);
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            // A disk that does not say is tried.
            if self.storage.free_bytes(&self.config.data_dir).is_ok_and(|free| free < wanted) {
                continue;
            }
            return;
        }
    }
}

/// How often a full disk is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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

    /// Returns what is durable of each stream; its sender goes when there will be no more.
    pub fn durable(&self) -> &[watch::Receiver<Durable>] {
        &self.durable
    }

    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Returns when the disk is not full, as far as is known: nothing else can be opened in the data directory before.
    pub async fn has_space(&self) {
        self.health.until(|reasons| reasons.values().all(|reason| reason != seal::DISK_FULL)).await;
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
