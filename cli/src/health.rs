//! `spanseal health`: asks a running server whether it is ready; what a container's health check calls.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;

use crate::text::printable_lines;

/// Ask a running server whether it is ready.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal health
  spanseal health 127.0.0.1:5319

Exit codes: 0 ready, 1 not ready, 2 no answer.")]
pub(crate) struct Health {
    /// Where it serves health.
    #[arg(value_name = "ADDR", env = "SPANSEAL_HTTP", default_value = "127.0.0.1:4319")]
    address: std::net::SocketAddr,
    #[command(flatten)]
    output: crate::output::Output,
}

#[derive(Serialize)]
struct Answer {
    ready: bool,
    said: String,
}

/// Asks, and prints the answer.
///
/// # Errors
/// When nothing answers within five seconds.
pub(crate) async fn run(health: Health) -> anyhow::Result<ExitCode> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("http://{}/readyz", health.address).parse()?;
    let response = tokio::time::timeout(PATIENCE, client.get(url)).await.context("no answer in 5 s")?;
    let response = response.with_context(|| format!("nothing answers at {}", health.address))?;
    let ready = response.status().is_success();
    let said = tokio::time::timeout(PATIENCE, response.into_body().collect()).await??.to_bytes();
    let answer = Answer { ready, said: String::from_utf8_lossy(&said).trim().to_owned() };
    health.output.print(&answer, |answer, out| writeln!(out, "{}", printable_lines(&answer.said)))?;
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

const PATIENCE: Duration = Duration::from_secs(5);
