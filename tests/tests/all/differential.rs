//! The two verifiers reach the same verdict on directories that are tampered with at random, and neither overlooks anything.
//!
//! `SPANSEAL_DIFFERENTIAL_CASES` and `SPANSEAL_DIFFERENTIAL_SEED` say how many cases, and which, when run by hand.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;

use serde_json::{Value, json};
use spanseal_ledger::trust::Trust;
use spanseal_log::{DataDir, Disk};
use spanseal_pipelines::check::{CHUNK_BYTES, Options, Report, check};
use tempfile::TempDir;

use crate::python::Verifier;
use crate::tamper::{Base, Random, Tree, covered, edit};

/// Seconds.
const MAX_AGE: u64 = 3600;
const TAIL: &str = "superseded_tail";

#[tokio::test]
async fn both_verifiers_say_the_same_of_what_was_tampered_with() {
    let mut pair = Pair::new();
    let base = Base::make().await;
    let (rust, python) = pair.verify(&base.tree, base.now);
    // Of each log, the first segment ends in a torn record that the next supersedes.
    assert_eq!(
        (rust.exit, &rust.named["code"], rust.complete.len()),
        (0, &json!("superseded_tail"), 2),
        "the base holds"
    );
    assert_eq!(rust.tails.len(), 3, "{:?}", rust.tails);
    let Some(python) = python else { return };
    assert_eq!(rust, python);

    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (cases, first) = (number("SPANSEAL_DIFFERENTIAL_CASES", 300), number("SPANSEAL_DIFFERENTIAL_SEED", 1));
    let mut wrong = Vec::new();
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for seed in first..first + cases {
        let (tree, said) = tampered(&base, seed);
        let (rust, python) = pair.verify(&tree, base.now);
        let answers = [rust, python.unwrap()];
        let code = answers[0].named.get("code").and_then(Value::as_str).unwrap_or("none").to_owned();
        *kinds.entry(code).or_default() += 1;
        if let Some(why) = disagreement(&answers, said.len()).or_else(|| overlooked(&base, &tree, &said, &answers[0])) {
            wrong.push(format!("seed {seed}: {why}\n  {}", said.join("\n  ")));
        }
    }
    eprintln!("{cases} cases from {first}: {kinds:?}");
    assert!(wrong.is_empty(), "{} of {cases} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// Returns the directory after the edits of a seed, mostly one, and what was done.
fn tampered(base: &Base, seed: u64) -> (Tree, Vec<String>) {
    let mut random = Random(seed);
    let edits = [1, 1, 1, 2, 4][random.below(5)];
    let (mut tree, mut said) = (base.tree.clone(), Vec::new());
    while said.len() < edits {
        let before = tree.clone();
        said.extend(edit(base, &mut tree, &mut random).filter(|_| tree != before));
    }
    (tree, said)
}

/// After one edit both name the same fault; after several at least the same class, and they are as complete.
fn disagreement([rust, python]: &[Answer; 2], edits: usize) -> Option<String> {
    let same = (rust.exit, &rust.complete, &rust.tails) == (python.exit, &python.complete, &python.tails)
        && (edits > 1 || rust.named == python.named);
    (!same).then(|| format!("rust {rust:?}\n  python {python:?}"))
}

/// What a pin or a checkpoint covers is not changed unnoticed, nor called complete.
fn overlooked(base: &Base, tree: &Tree, said: &[String], rust: &Answer) -> Option<String> {
    if tree.trust != base.tree.trust {
        return None;
    }
    // Notes cover the events, and of the seals all but the last: its fields are its signer's word.
    let insider = said.iter().any(|said| said.ends_with("signed again"));
    base.sizes.iter().find_map(|(log, pinned, checkpoint)| {
        let has_events = |size| covered(tree, log, size).has_all_of(&covered(&base.tree, log, size));
        let is_whole =
            |size| covered(tree, log, size) == covered(&base.tree, log, size) || (insider && has_events(size));
        let note = format!("{log}/checkpoint");
        let size = if tree.files.get(&note) == base.tree.files.get(&note) { *checkpoint } else { *pinned };
        let overlooked = rust.exit != 1 && !is_whole(size);
        let complete = rust.complete.contains_key(log.trim_start_matches("streams/")) && !has_events(*pinned);
        (overlooked || complete).then(|| format!("{log} is not whole: {rust:?}"))
    })
}

/// What a verifier says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) exit: u64,
    /// Code, stream and index of the fault to name; null when nothing is to be said.
    pub(crate) named: Value,
    /// Pinned sizes by stream.
    pub(crate) complete: BTreeMap<String, u64>,
    /// What is said of the ends of older segments where all holds: behind a fault one may read less than the other.
    pub(crate) tails: Vec<String>,
}

/// The two verifiers, and a place for directories.
pub(crate) struct Pair {
    /// Absent where there is no Python to run it.
    python: Option<Python>,
    folder: TempDir,
}

struct Python {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Pair {
    pub(crate) fn new() -> Pair {
        let python = Verifier::find().map(|verifier| {
            let mut process = verifier.answering();
            let answers = BufReader::new(process.stdout.take().unwrap());
            Python { process, answers }
        });
        Pair { python, folder: tempfile::tempdir().unwrap() }
    }

    /// Returns what the one in Rust says, and the one in Python, if it can be run.
    pub(crate) fn verify(&mut self, tree: &Tree, now: u64) -> (Answer, Option<Answer>) {
        let (data, trust) = (self.folder.path().join("data"), self.folder.path().join("trust"));
        tree.write(&data, &trust);
        let question = json!({"folder": data, "trust": trust, "now": now, "max_age": MAX_AGE});
        let python = self.python.as_mut();
        let asked = python.inspect(|python| {
            let mut stdin = python.process.stdin.as_ref().unwrap();
            writeln!(stdin, "{question}").unwrap();
        });
        let rust = in_rust(&data, &trust, now);
        let answer = asked.map(|python| {
            let mut line = String::new();
            python.answers.read_line(&mut line).unwrap();
            of_python(&serde_json::from_str(&line).expect("the verifier in Python stopped: its traceback stands above"))
        });
        (rust, answer)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn in_rust(data: &Path, trust: &PathBuf, now_seconds: u64) -> Answer {
    let unusable = unusable();
    let Ok(Ok(trust)) = std::fs::read_to_string(trust).map(|text| Trust::parse(&text)) else { return unusable };
    let options = Options {
        trust: Some(trust),
        now_seconds,
        max_age_seconds: MAX_AGE,
        threads: NonZeroUsize::MIN,
        chunk_bytes: CHUNK_BYTES,
        resume: None,
    };
    check(&DataDir::at(Arc::new(Disk), data), &options, &mut |_| ()).map_or(unusable, |report| of_rust(&report))
}

fn unusable() -> Answer {
    Answer { exit: 2, named: json!("error"), complete: BTreeMap::new(), tails: Vec::new() }
}

fn of_rust(report: &Report) -> Answer {
    let named = report.named.as_ref().or(report.notes.first());
    let complete =
        report.streams.iter().filter_map(|stream| Some((stream.stream.clone(), stream.complete.as_ref()?.size)));
    Answer {
        exit: report.exit_code.into(),
        named: named
            .map_or(Value::Null, |fault| json!({"code": fault.code, "stream": fault.stream, "index": fault.index})),
        complete: complete.collect(),
        tails: report
            .notes
            .iter()
            .filter(|note| report.exit_code == 0 && note.code == TAIL)
            .map(|note| format!("{:?} {}", note.stream, note.sentence.split_once(": ").unwrap().1))
            .collect(),
    }
}

fn of_python(answer: &Value) -> Answer {
    if answer.get("error").is_some() {
        return unusable();
    }
    let class = ["note", "tampered", "unchecked"][answer["exit"].as_u64().unwrap() as usize];
    let faults = answer["faults"].as_array().unwrap();
    let named = faults.iter().find(|fault| fault["class"] == class);
    let streams = answer["streams"].as_object().unwrap().iter();
    Answer {
        exit: answer["exit"].as_u64().unwrap(),
        named: named.map_or(
            Value::Null,
            |fault| json!({"code": fault["code"], "stream": fault["stream"], "index": fault["index"]}),
        ),
        complete: streams.filter_map(|(name, of)| Some((name.clone(), of["complete_to"].as_u64()?))).collect(),
        tails: faults
            .iter()
            .filter(|fault| class == "note" && fault["code"] == TAIL)
            .map(|fault| format!("{:?} {}", fault["stream"].as_str(), fault["text"].as_str().unwrap()))
            .collect(),
    }
}
