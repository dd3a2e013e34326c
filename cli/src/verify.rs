//! `spanseal verify`: proves a data directory whole, or names what is wrong with it.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use spanseal_ledger::trust::Trust;
use spanseal_log::{DataDir, Disk};
use spanseal_pipelines::check::{self, CheckpointLine, Options, Report, Resume, Resumed};

use crate::text::{ago, grouped, printable, time_of_seconds};

/// Verify a data directory offline: nothing changed, nothing left out, and how far that is known.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal verify spanseal-data --trust elsewhere/trust
  spanseal verify spanseal-data --json | jq .faults
  spanseal verify spanseal-data --trust elsewhere/trust --resume elsewhere/verified     only what is new

Exit codes: 0 holds, 1 tampered with or missing, 2 could not be checked (without --trust: everything
could have been replaced). --verdicts makes a violated action exit 1 as well.")]
pub(crate) struct Verify {
    /// Data directory, or a copy of it.
    directory: PathBuf,
    /// Trust file kept elsewhere, made by `spanseal keys pin FILE`.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// How old the newest pin may be, for example 30m, 24h, 7d.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = crate::text::seconds)]
    max_age: u64,
    /// Let violated actions decide the exit code too.
    #[arg(long)]
    verdicts: bool,
    /// File that keeps how far a verification came, to go on from there: after an interruption, or when the log has grown.
    /// Whoever can write it can hide changes before that place; keep it with the trust file.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    output: crate::output::Output,
}

/// Verifies and prints the answer.
///
/// # Errors
/// When the directory or the trust file cannot be read.
pub(crate) fn run(verify: &Verify) -> anyhow::Result<ExitCode> {
    let trust = verify.trust.as_deref().map(read_trust).transpose()?;
    let report = check(&verify.directory, trust, verify.max_age, verify.resume.clone())?;
    verify.output.print(&report, |report, out| write(report, out))?;
    let violated = report.totals.verdicts.get("violated").copied().unwrap_or(0);
    let code = if verify.verdicts && violated > 0 && report.exit_code == 0 { 1 } else { report.exit_code };
    Ok(ExitCode::from(code))
}

/// Reads a trust file.
///
/// # Errors
/// When it cannot be read, or a line has no meaning.
pub(crate) fn read_trust(path: &Path) -> anyhow::Result<Trust> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Trust::parse(&text).with_context(|| path.display().to_string())
}

/// Verifies a data directory, with a progress bar on a terminal.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn check(
    directory: &Path,
    trust: Option<Trust>,
    max_age_seconds: u64,
    resume: Option<PathBuf>,
) -> anyhow::Result<Report> {
    let options = Options {
        trust,
        now_seconds: now_seconds(),
        max_age_seconds,
        threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        chunk_bytes: check::CHUNK_BYTES,
        resume: resume.map(|file| Resume { file, save_every: SAVE_EVERY }),
    };
    let bar = ProgressBar::no_length().with_style(style()?);
    let data = DataDir::at(Arc::new(Disk), directory);
    let report = check::check(&data, &options, &mut |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    })?;
    bar.finish_and_clear();
    Ok(report)
}

fn style() -> anyhow::Result<ProgressStyle> {
    Ok(ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}")?)
}

pub(crate) fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Writes the report for people: the verdict first, then what it rests on, then what was found.
pub(crate) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let verdict = match (report.exit_code, &report.named) {
        (0, _) => "holds".to_owned(),
        (1, Some(named)) => format!("TAMPERED  {}", printable(&named.sentence)),
        (_, Some(named)) => format!("could not be checked  {}", printable(&named.sentence)),
        (_, None) => "could not be checked".to_owned(),
    };
    writeln!(out, "verdict   {verdict}")?;
    let deployment = printable(report.deployment.as_deref().unwrap_or("unknown"));
    writeln!(out, "ledger    {deployment}, root log of {} leaves", grouped(report.root_log.leaves))?;
    writeln!(out, "anchor    {}", anchor(report))?;
    for Resumed { stream, size, unix_seconds } in &report.resumed {
        let (size, when) = (grouped(*size), time_of_seconds(*unix_seconds));
        let stream = printable(stream);
        writeln!(
            out,
            "resumed   {stream} at {size}: what is before was verified on {when}, as the --resume file says"
        )?;
    }
    report.started_over.iter().try_for_each(|why| writeln!(out, "restart   {}", printable(why)))?;
    for stream in &report.streams {
        writeln!(out, "stream    {}", stream.stream)?;
        writeln!(
            out,
            "  sealed    {} events in {} batches, {} epochs",
            grouped(stream.size),
            grouped(stream.batches),
            stream.epochs
        )?;
        match &stream.complete {
            Some(CheckpointLine { size, unix_seconds }) => {
                writeln!(
                    out,
                    "  complete  to {} as of {} ({})",
                    grouped(*size),
                    time_of_seconds(*unix_seconds),
                    ago(*unix_seconds)
                )?;
            }
            None => writeln!(out, "  complete  not known: no pin vouches for this stream")?,
        }
        if let Some(later @ 1..) = stream.not_anchored {
            writeln!(
                out,
                "  later     {} events are sealed, not anchored: `spanseal keys pin FILE` anchors them",
                grouped(later)
            )?;
        }
    }
    let kinds = report.totals.kinds.iter().map(|(kind, count)| format!("{} {kind}", grouped(*count)));
    writeln!(out, "checked   {} events: {}", grouped(report.totals.events), list(kinds))?;
    writeln!(out, "          form, position, signatures, links, roots, times, counters; references; payload records")?;
    let verdicts = report.totals.verdicts.iter().map(|(verdict, count)| format!("{} {verdict}", grouped(*count)));
    writeln!(out, "actions   {}", list(verdicts))?;
    for (word, findings) in [("fault", &report.faults), ("unchecked", &report.unchecked), ("note", &report.notes)] {
        findings.iter().try_for_each(|finding| writeln!(out, "{word:<9} {}", printable(&finding.sentence)))?;
    }
    if report.unlisted > 0 {
        writeln!(out, "          and {} findings more", grouped(report.unlisted))?;
    }
    writeln!(out, "not shown {NOT_SHOWN}")
}

fn anchor(report: &Report) -> &'static str {
    match report.anchor {
        "pinned" => "pinned: keys and checkpoints of the trust file",
        _ => "self: everything came from this directory, and all of it could have been replaced (use --trust FILE)",
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// How much is done again after an interruption.
const SAVE_EVERY: Duration = Duration::from_secs(2);
/// As `docs/threats.md` has it.
const NOT_SHOWN: &str =
    "that agents told the truth, that an approval was used once only, what never arrived, that the clock was right";
