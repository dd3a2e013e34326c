//! `spanseal keys`: shows a deployment's public keys, and pins its state in a file to keep elsewhere.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Serialize;
use spanseal_ledger::Role;
use spanseal_ledger::checkpoint::Checkpoint;
use spanseal_ledger::note::Note;
use spanseal_ledger::trust::Trust;
use spanseal_log::files::replace;
use spanseal_log::{DataDir, Disk, Durability, Owner, Storage};
use spanseal_pipelines::check::{Notes, Report};

use crate::text::{grouped, printable};
use crate::verify::{check, read_trust};

/// Show a deployment's public keys, or pin its present state in a trust file to keep elsewhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal keys show --data spanseal-data
  spanseal keys pin elsewhere/trust --data spanseal-data")]
pub(crate) struct Keys {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Show(Show),
    Pin(Pin),
}

/// Show the public keys.
#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    data: crate::settings::DataDir,
    #[command(flatten)]
    output: crate::output::Output,
}

/// Verify the ledger against what FILE pins, then pin its present state there.
///
/// A file that is not there is made, and then trusts the directory as it is now: do that at the start, on a machine that
/// the collector's administrators cannot write to. Nothing is pinned when anything was tampered with, and no pin ever goes
/// back: a checkpoint that is older than its pin is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal keys pin elsewhere/trust --data spanseal-data

Exit codes: 0 pinned, 1 tampered with or older than what is pinned, and left as it was, 2 could not be read.")]
struct Pin {
    /// Trust file.
    file: PathBuf,
    /// File that keeps how far a verification came, as of `spanseal verify --resume`.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    data: crate::settings::DataDir,
    #[command(flatten)]
    output: crate::output::Output,
}

#[derive(Serialize)]
struct Shown {
    deployment: String,
    keys: Vec<ShownKey>,
}

#[derive(Serialize)]
struct ShownKey {
    role: &'static str,
    vkey: String,
}

#[derive(Serialize)]
pub(crate) struct Pinned {
    file: PathBuf,
    streams: usize,
    events: u64,
    first: bool,
    /// Streams that were gone on with, as the `--resume` file says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resumed: Vec<String>,
    fault: Option<String>,
}

/// Runs what was asked for.
///
/// # Errors
/// When the data directory or the file cannot be read or written.
pub(crate) fn run(keys: &Keys) -> anyhow::Result<ExitCode> {
    match &keys.what {
        What::Show(show) => {
            let trust = read_trust(&show.data.data.join("trust"))?;
            let key = |role: Role| ShownKey {
                role: role.as_str(),
                vkey: trust.keys.of(role).vkey(&trust.deployment.role_name(role)),
            };
            let shown = Shown { deployment: trust.deployment.to_string(), keys: Role::ALL.map(key).into() };
            show.output.print(&shown, |shown, out| {
                writeln!(out, "{:<11} {}", "deployment", shown.deployment)?;
                shown.keys.iter().try_for_each(|key| writeln!(out, "{:<11} {}", key.role, key.vkey))
            })?;
            Ok(ExitCode::SUCCESS)
        }
        What::Pin(arguments) => {
            let pinned = pin(&arguments.file, &arguments.data.data, arguments.resume.clone())?;
            arguments.output.print(&pinned, write_pinned)?;
            Ok(if pinned.fault.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
    }
}

/// Verifies the directory against the file's pins, and moves them forward unless something was tampered with.
///
/// # Errors
/// When the directory or the file cannot be read or written.
pub(crate) fn pin(file: &Path, directory: &Path, resume: Option<PathBuf>) -> anyhow::Result<Pinned> {
    let first = !file.exists();
    let known = if first { read_trust(&directory.join("trust"))? } else { read_trust(file)? };
    let report = check(directory, Some(known.clone()), u64::MAX, resume)?;
    let mut pinned = Pinned {
        file: file.to_owned(),
        streams: report.verified.streams.len(),
        events: report.verified.streams.values().map(|note| note.size).sum(),
        first,
        resumed: report.resumed.iter().map(|resumed| resumed.stream.clone()).collect(),
        fault: None,
    };
    if let (1, Some(named)) = (report.exit_code, &report.named) {
        pinned.fault = Some(format!("TAMPERED  {}", named.sentence));
        return Ok(pinned);
    }
    if let Some(unknown) = report.unchecked.iter().find(|finding| finding.code == "unknown_version") {
        bail!("what this program cannot check is not pinned: {}", unknown.sentence);
    }
    pinned.fault = behind(&known, &report.verified)?;
    if pinned.fault.is_none() {
        write_trust(&Disk, file, &moved(known, &report, directory)?)?;
    }
    Ok(pinned)
}

/// Returns what the directory's notes would take back of the pins. That notes and pins agree where they cover the same,
/// the verification has shown: both are of the one log that it went through.
fn behind(known: &Trust, notes: &Notes) -> anyhow::Result<Option<String>> {
    let root = known.root_pin.iter().map(|pin| ("the root log".to_owned(), pin, notes.root_log.as_ref()));
    let streams = known.pins.iter().map(|(stream, pin)| (format!("stream {stream}"), pin, notes.streams.get(stream)));
    for (log, pin, note) in root.chain(streams) {
        let pinned = pinned_size(pin).with_context(|| format!("the pin of {log}"))?;
        match note {
            None => return Ok(Some(format!("{log} has no checkpoint, and is pinned at {}", grouped(pinned)))),
            Some(note) if note.size < pinned => {
                let (size, pinned) = (grouped(note.size), grouped(pinned));
                return Ok(Some(format!(
                    "the checkpoint of {log} is older than its pin: it is of size {size}, and {pinned} are pinned. \
                     Somebody put an old one back; or the power was cut, and a running collector signs a new one \
                     within a second: pin again then"
                )));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

fn pinned_size(pin: &str) -> anyhow::Result<u64> {
    Ok(Checkpoint::parse(Note::parse(pin.as_bytes())?.text)?.size)
}

/// Returns the trust file with the notes that were verified in the place of its pins.
fn moved(known: Trust, report: &Report, directory: &Path) -> anyhow::Result<Trust> {
    let data = DataDir::at(Arc::new(Disk), directory);
    let missing = |owner: Owner| {
        let path = data.checkpoint(&owner).display().to_string();
        format!("{path} is not there yet: start the collector on this directory, it signs a checkpoint every second")
    };
    let root = report.verified.root_log.as_ref().with_context(|| missing(Owner::RootLog))?;
    let mut trust = Trust { root_pin: Some(root.text.clone()), pins: BTreeMap::new(), ..known };
    for stream in data.streams().with_context(|| directory.display().to_string())? {
        let note = report.verified.streams.get(&stream).with_context(|| missing(Owner::Stream(stream)))?;
        trust.pins.insert(stream, note.text.clone());
    }
    Ok(trust)
}

/// Replaces the file in one step, durably: a reader sees the old pins or the new ones, and a power cut does not bring the
/// old ones back.
fn write_trust(storage: &dyn Storage, file: &Path, trust: &Trust) -> anyhow::Result<()> {
    Ok(replace(storage, file, format!("{trust}\n{ADVICE}").as_bytes(), Durability::Synced)?)
}

const ADVICE: &str =
    "# Keep this file where the collector's administrators cannot change it: `spanseal verify DIR --trust FILE`.\n";

fn write_pinned(pinned: &Pinned, out: &mut dyn Write) -> io::Result<()> {
    let file = pinned.file.display();
    if let Some(fault) = &pinned.fault {
        return writeln!(out, "{file} is left as it was: {}", printable(fault));
    }
    writeln!(out, "{file} pins {} events in {} streams", grouped(pinned.events), pinned.streams)?;
    if pinned.first {
        writeln!(out, "it is new and trusts the directory as it is now; keep it elsewhere")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use spanseal_ledger::key::{SecretKey, Signer as _};
    use spanseal_ledger::trust::RoleKeys;
    use spanseal_log::{Access, Memory, read_file};

    use super::*;

    fn trust(name: &str) -> Trust {
        let key = |n| SecretKey::from_seed(&mut [n; 32]).public();
        Trust {
            deployment: spanseal_ledger::Deployment::new(name).unwrap(),
            keys: RoleKeys { identity: key(1), checkpoint: key(2), cosign: key(3), sequencer: key(4) },
            root_pin: None,
            pins: Default::default(),
        }
    }

    #[test]
    fn a_power_cut_does_not_bring_the_old_pins_back() {
        let mut memory = Memory::new();
        memory.create_dir(Path::new("elsewhere"), Access::Shared).unwrap();
        memory.sync_dir(Path::new("")).unwrap();
        for name in ["acme.example/old", "acme.example/new"] {
            write_trust(&memory, Path::new("elsewhere/trust"), &trust(name)).unwrap();
            memory = memory.crash();
            let text = read_file(&memory, Path::new("elsewhere/trust"), 10_000).unwrap();
            assert_eq!(Trust::parse(&String::from_utf8(text).unwrap()), Ok(trust(name)));
        }
    }
}
