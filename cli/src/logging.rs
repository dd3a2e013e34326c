//! The program's own log: to standard error, as text or JSON.

use std::io::IsTerminal as _;

use spanseal_collector::config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

/// Starts logging as configured; `RUST_LOG` takes precedence over the configured level.
///
/// # Errors
/// When a filter does not parse.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter)?,
        _ => EnvFilter::try_new(&log.level)?,
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => subscriber.json().init(),
        LogFormat::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
    }
    Ok(())
}
