//! `spanseal validate`: names every mistake in a configuration, and opens nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use spanseal_collector::config::Config;

/// Check a configuration file and name every mistake in it, with its path, its value and the remedy.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal validate spanseal.toml
  cat spanseal.toml | spanseal validate -

Exit codes: 0 usable, 1 mistakes, 2 not readable.")]
pub(crate) struct Validate {
    /// The file; `-` for standard input.
    file: PathBuf,
    #[command(flatten)]
    output: crate::output::Output,
}

#[derive(Serialize)]
struct Verdict {
    usable: bool,
    mistakes: Vec<String>,
}

/// Checks the file and prints what it found.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn run(validate: &Validate) -> anyhow::Result<ExitCode> {
    let text = crate::settings::read_file(&validate.file)?;
    let mistakes = match Config::parse(&text) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.to_string().lines().map(str::to_owned).collect(),
    };
    let verdict = Verdict { usable: mistakes.is_empty(), mistakes };
    validate.output.print(&verdict, |verdict, out| {
        if verdict.usable {
            return writeln!(out, "{}: usable", validate.file.display());
        }
        verdict.mistakes.iter().try_for_each(|mistake| writeln!(out, "{mistake}"))
    })?;
    Ok(if verdict.usable { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
