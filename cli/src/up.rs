//! `spanseal up` and `spanseal collect`: the server.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use spanseal_collector::Running;
use spanseal_collector::config::Config;
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;

/// Run everything in one process: OTLP in, sealed, indexed, forwarded.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal up
  spanseal up --otlp 127.0.0.1:5317 --http 127.0.0.1:5319 --data /var/lib/spanseal
  spanseal up --forward http://127.0.0.1:14317       marked spans go on to a backend

SIGTERM and Ctrl-C end it: what was taken in is sealed first.")]
pub(crate) struct Up {
    #[command(flatten)]
    settings: Settings,
    /// Try things out: whoever asks is enrolled, and whatever is asked is approved, by keys made for this data directory
    /// alone. On loopback addresses only.
    #[arg(long)]
    dev: bool,
    #[command(flatten)]
    output: crate::output::Output,
}

/// Run the collector alone: `up` without the index.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal collect --config /etc/spanseal.toml")]
pub(crate) struct Collect {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    output: crate::output::Output,
}

/// Where the server listens and keeps its data; printed once it is ready.
#[derive(Serialize)]
struct Ready {
    deployment: String,
    otlp: Vec<String>,
    http: String,
    data: PathBuf,
    indexed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dev: bool,
    forward: Vec<String>,
}

impl Up {
    /// Runs the server until it is told to stop.
    ///
    /// # Errors
    /// When it cannot start, or a stage fails.
    pub(crate) async fn run(&self) -> anyhow::Result<ExitCode> {
        let mut config = self.settings.read()?;
        config.dev = self.dev;
        serve(config, self.output).await
    }
}

impl Collect {
    /// Runs the collector until it is told to stop.
    ///
    /// # Errors
    /// When it cannot start, or a stage fails.
    pub(crate) async fn run(&self) -> anyhow::Result<ExitCode> {
        let mut config = self.settings.read()?;
        config.index.enabled = false;
        serve(config, self.output).await
    }
}

async fn serve(config: Config, output: crate::output::Output) -> anyhow::Result<ExitCode> {
    crate::logging::start(&config.log)?;
    let mut ready = Ready {
        deployment: String::new(),
        otlp: Vec::new(),
        http: String::new(),
        data: config.data_dir.clone(),
        indexed: config.index.enabled,
        dev: config.dev,
        forward: config.forward.iter().map(|forward| format!("{} ({})", forward.name, forward.endpoint)).collect(),
    };
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let running = start(config, stop).await?;
    ready.deployment = running.deployment().to_string();
    ready.otlp = running.addresses().otlp.iter().map(ToString::to_string).collect();
    ready.http = running.addresses().http.to_string();
    output.print_line(&ready, write)?;
    running.stopped().await?;
    Ok(ExitCode::SUCCESS)
}

fn write(ready: &Ready, out: &mut dyn Write) -> io::Result<()> {
    let data = ready.data.display();
    writeln!(out, "Spanseal is ready: {}", ready.deployment)?;
    writeln!(out, "  OTLP      {}   (gRPC and HTTP on each)", ready.otlp.join("  "))?;
    writeln!(out, "  health    http://{}/readyz  and /healthz, /metrics", ready.http)?;
    writeln!(out, "  data      {data}")?;
    if ready.dev {
        writeln!(out, "  dev       whoever asks is enrolled, and whatever is asked is approved")?;
    }
    writeln!(out, "  trust     {data}/trust   copy it elsewhere, then: spanseal keys pin FILE --data {data}")?;
    for forward in &ready.forward {
        writeln!(out, "  forward   {forward}")?;
    }
    if ready.indexed {
        writeln!(out, "  look      spanseal find --data {data}     spanseal why TRACE --data {data}")?;
    }
    writeln!(out, "  check     spanseal verify {data} --trust FILE")
}

async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be watched: only SIGKILL will end this process");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: what was taken in is sealed first");
    stop.cancel();
}

/// Starts the collector, and the index beside it when it is configured: on a full disk once there is space.
///
/// # Errors
/// When either cannot start.
pub(crate) async fn start(config: Config, stop: CancellationToken) -> anyhow::Result<Running> {
    let index = config.index.enabled.then(|| config.data_dir.clone());
    let mut running = spanseal_collector::start(config, stop.clone()).await?;
    stop.run_until_cancelled(running.has_space()).await;
    if let Some(data) = index.filter(|_| !stop.is_cancelled()) {
        crate::index::spawn(&mut running, &data, stop)?;
    }
    Ok(running)
}
