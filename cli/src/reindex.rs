//! `spanseal reindex`: makes the index anew from the log.

use std::process::ExitCode;
use std::time::Instant;

use indicatif::ProgressBar;
use serde::Serialize;
use spanseal_pipelines::index::reindex;

use crate::text::grouped;

/// Make the index anew from the log, with the server stopped. Everything that goes in is verified first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal reindex --data spanseal-data")]
pub(crate) struct Reindex {
    #[command(flatten)]
    data: crate::settings::DataDir,
    #[command(flatten)]
    output: crate::output::Output,
}

#[derive(Serialize)]
struct Done {
    events: u64,
    seconds: f64,
}

/// Makes the index anew.
///
/// # Errors
/// When a collector runs on the directory, or the disk fails.
pub(crate) fn run(arguments: &Reindex) -> anyhow::Result<ExitCode> {
    let data = arguments.data.open();
    let (bar, began) = (ProgressBar::new_spinner(), Instant::now());
    let events = reindex(&data, &mut |round| {
        bar.inc(round.events);
        bar.set_message(format!("{} events", grouped(bar.position())));
    })?;
    bar.finish_and_clear();
    let done = Done { events, seconds: began.elapsed().as_secs_f64() };
    arguments
        .output
        .print(&done, |done, out| writeln!(out, "{} events indexed in {:.1} s", grouped(done.events), done.seconds))?;
    Ok(ExitCode::SUCCESS)
}
