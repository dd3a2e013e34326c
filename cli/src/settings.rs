//! The configuration of a run: a file, and the flags that take precedence over it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use spanseal_collector::config::Config;
use spanseal_log::Disk;

/// Flags of the commands that run a collector.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// Configuration file (TOML); `spanseal validate FILE` names every mistake in it.
    #[arg(long, value_name = "FILE", env = "SPANSEAL_CONFIG")]
    config: Option<PathBuf>,
    /// Data directory: keys, ledger, index.
    #[arg(long, value_name = "DIR", env = "SPANSEAL_DATA")]
    data: Option<PathBuf>,
    /// Where OTLP comes in, gRPC and HTTP alike; may be given several times.
    #[arg(long, value_name = "ADDR", env = "SPANSEAL_OTLP", value_delimiter = ',')]
    otlp: Vec<SocketAddr>,
    /// Where health, readiness and metrics are served.
    #[arg(long, value_name = "ADDR", env = "SPANSEAL_HTTP")]
    http: Option<SocketAddr>,
    /// Also forward the marked spans to this backend over OTLP/gRPC; more settings are in the file.
    #[arg(long, value_name = "URL")]
    forward: Option<String>,
}

impl Settings {
    /// Reads the file, if one is named, and puts the flags over it.
    ///
    /// # Errors
    /// When the file cannot be read, or for every mistake in it.
    pub(crate) fn read(&self) -> anyhow::Result<Config> {
        let mut text = match &self.config {
            Some(path) => read_file(path)?,
            None => String::new(),
        };
        if let Some(url) = &self.forward {
            text.push_str(&format!(
                "\n[[forward]]\nname = \"command-line\"\nendpoint = {}\n",
                toml::Value::from(url.as_str())
            ));
        }
        let mut config = Config::parse(&text).with_context(|| match &self.config {
            Some(path) => path.display().to_string(),
            None => "the command line".to_owned(),
        })?;
        if let Some(data) = &self.data {
            config.data_dir.clone_from(data);
        }
        if !self.otlp.is_empty() {
            config.receive.listen.clone_from(&self.otlp);
        }
        if let Some(http) = self.http {
            config.http.listen = http;
        }
        Ok(config)
    }
}

/// Where the commands that read look for the data.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DataDir {
    /// Data directory.
    #[arg(long, value_name = "DIR", env = "SPANSEAL_DATA", default_value = "spanseal-data")]
    pub(crate) data: PathBuf,
}

impl DataDir {
    /// Returns the directory, to read from. Nothing is opened yet.
    pub(crate) fn open(&self) -> spanseal_log::DataDir {
        spanseal_log::DataDir::at(Arc::new(Disk), &self.data)
    }
}

/// Reads a text file, or standard input for `-`.
///
/// # Errors
/// When it cannot be read, with its name.
pub(crate) fn read_file(path: &Path) -> anyhow::Result<String> {
    let text =
        if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    text.with_context(|| path.display().to_string())
}
