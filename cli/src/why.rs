//! `spanseal why`: who did what, for whom, with which tool, by whose leave, and where that is sealed.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use spanseal_log::{DataDir, Disk};
use spanseal_pipelines::why::{Layout, Question, text, why};

/// Explain a trace or an event: who did what, for whom, by whose leave, and where it is sealed.
///
/// What is printed was read from the log and proven again just now; the index only says where to look.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal why 0af7651916cd43dd8448eb211c80319c
  spanseal why 9b91d9182d208d0e35c7702f0209631f-41 --attributes
  spanseal why 0af7651916cd43dd8448eb211c80319c --json

Exit codes: 0 explained, 2 not there or not readable.")]
pub(crate) struct Why {
    /// Trace id or event id.
    #[arg(value_name = "TRACE|EVENT")]
    question: Question,
    #[command(flatten)]
    data: crate::settings::DataDir,
    /// Show every attribute.
    #[arg(long)]
    attributes: bool,
    /// Show the hashes of the proofs.
    #[arg(long)]
    hashes: bool,
    #[command(flatten)]
    output: crate::output::Output,
}

/// Explains and prints.
///
/// # Errors
/// When there is no such trace or event, or the log cannot be read.
pub(crate) fn run(arguments: &Why) -> anyhow::Result<ExitCode> {
    let answer = why(&arguments.data.open(), arguments.question)?;
    let layout = Layout { attributes: arguments.attributes, hashes: arguments.hashes, ..Layout::default() };
    arguments.output.print(&answer, |answer, out| out.write_all(text(answer, &layout).as_bytes()))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the explanation of a trace as text.
///
/// # Errors
/// As [`run`].
pub(crate) fn explain(data: &Path, trace: &str) -> anyhow::Result<String> {
    let answer = why(&DataDir::at(Arc::new(Disk), data), trace.parse().context("the agent's trace id")?)?;
    Ok(text(&answer, &Layout::default()))
}
