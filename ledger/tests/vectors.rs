//! The committed vectors are what `make_vectors` writes, and the verifier reaches every verdict.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use spanseal_ledger::checkpoint::{CheckpointError, CheckpointKeys, NoteKeys, VerifiedCheckpoint, verify_checkpoint};
use spanseal_ledger::key::{PublicKey, Signer};
use spanseal_ledger::leaf::leaf_hash;
use spanseal_ledger::proof::{ProofError, verify_consistency, verify_inclusion};
use spanseal_ledger::trust::Trust;
use spanseal_ledger::verify::{Code, Detail, Freshness, Report, RootVerifier, StreamVerifier};
use spanseal_ledger::{Deployment, Hash, StreamId};

mod corpus;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

#[test]
fn the_committed_files_are_what_make_vectors_writes() {
    let vectors = corpus::vectors();
    let mut expected: BTreeMap<String, String> =
        vectors.iter().map(|vector| (format!("{}.json", vector.name), vector.to_json())).collect();
    assert_eq!(expected.len(), vectors.len(), "two vectors have one name");
    expected.insert("README.md".into(), corpus::readme(&vectors));
    let committed: BTreeMap<String, String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().into(), fs::read_to_string(path).unwrap()))
        .collect();
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&committed), names(&expected), "run the example make_vectors");
    for (name, content) in &expected {
        assert!(committed[name] == *content, "{name} differs: run the example make_vectors");
    }
}

#[test]
fn the_verifier_reaches_every_verdict() {
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let vector: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            let (got, detail) = run(&vector);
            if got != vector["expect"] {
                wrong.push(format!("{}: expected {}, got {got} ({detail})", vector["name"], vector["expect"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} disagree:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_code_of_the_ledger_has_a_vector() {
    let shown: BTreeSet<&str> = corpus::vectors().iter().filter_map(|vector| vector.expect.code).collect();
    let missing: Vec<_> =
        Code::ALL.iter().filter(|code| !shown.contains(code.as_str()) && !corpus::is_elsewhere(**code)).collect();
    assert!(missing.is_empty(), "no vector shows {missing:?}");
}

#[test]
fn the_colliding_keys_collide() {
    let origin = Deployment::new(corpus::world::NAME).unwrap().stream_origin(&StreamId([1; 16]));
    let [one, other] = corpus::COLLIDING.map(|label| corpus::world::key(label).public());
    assert_ne!(one, other);
    assert_eq!(one.id(&origin).note_id(), other.id(&origin).note_id());
}

/// Returns what the verifier says, in the form of `expect`.
fn run(vector: &Value) -> (Value, String) {
    match vector["kind"].as_str().unwrap() {
        "log" => run_log(vector),
        "note" => outcome(checkpoint(&vector["note"], &vector["keys"]).map(|_| ())),
        "inclusion" => outcome(run_inclusion(vector)),
        "consistency" => outcome(run_consistency(vector)),
        kind => panic!("unknown kind {kind}"),
    }
}

fn outcome(result: Result<(), (Code, String)>) -> (Value, String) {
    match result {
        Ok(()) => (json!({"exit": 0, "code": null}), String::new()),
        Err((code, detail)) => (json!({"exit": 1, "code": code.as_str()}), detail),
    }
}

fn run_log(vector: &Value) -> (Value, String) {
    let trust = vector["trust"].as_str().map(|text| Trust::parse(text).unwrap());
    let mut root = RootVerifier::new(trust);
    for leaf in bytes_list(&vector["root_log"]["leaves"]) {
        let _ = root.push(&leaf);
    }
    let root = root.finish(note(&vector["root_log"]["checkpoint"]));
    let streams = vector["streams"].as_array().unwrap().iter().map(|stream| {
        let id: StreamId = stream["stream"].as_str().unwrap().parse().unwrap();
        let mut verifier = StreamVerifier::new(&root, id, note(&stream["checkpoint"]));
        for (place, batch) in bytes_list(&stream["batches"]).iter().enumerate() {
            if stream["damaged_at"] == json!(place) {
                verifier.damaged(Detail::Nothing);
            }
            let _ = verifier.push(&root, batch);
        }
        if stream["torn_bytes"] != json!(0) {
            verifier.torn(stream["torn_bytes"].as_u64().unwrap());
        }
        verifier.finish(&root)
    });
    let streams = streams.collect();
    let [now_seconds, max_age_seconds] = ["now", "max_age"].map(|field| vector[field].as_u64().unwrap());
    let report = Report::new(&root, streams, Freshness { now_seconds, max_age_seconds });
    assert_eq!(report.anchor.as_str(), vector["anchor"], "{}", vector["name"]);
    let complete = report.streams.iter().filter_map(|stream| report.complete(&stream.stream)).map(|c| c.size).max();
    let fault = report.named();
    let got = json!({
        "exit": report.exit_code(),
        "code": fault.map(|fault| fault.code.as_str()),
        "stream": fault.and_then(|fault| fault.stream).map(|stream| stream.to_string()),
        "index": fault.and_then(|fault| fault.index),
        "complete_to": complete,
    });
    let all: Vec<_> = report.faults.tampered.iter().chain(&report.faults.unchecked).map(ToString::to_string).collect();
    (got, all.join("; "))
}

fn run_inclusion(vector: &Value) -> Result<(), (Code, String)> {
    let checkpoint = checkpoint(&vector["checkpoint"], &vector["keys"])?;
    let leaf = leaf_hash(&bytes(&vector["event"]));
    let index = vector["index"].as_u64().unwrap();
    verify_inclusion(&leaf, index, &proof(vector), &checkpoint).map_err(coded)
}

fn run_consistency(vector: &Value) -> Result<(), (Code, String)> {
    let old = checkpoint(&vector["old"], &vector["keys"])?;
    let new = checkpoint(&vector["new"], &vector["keys"])?;
    verify_consistency(&old, &new, &proof(vector)).map_err(coded)
}

fn coded(error: ProofError) -> (Code, String) {
    (error.code(), error.to_string())
}

fn checkpoint(note: &Value, keys: &Value) -> Result<VerifiedCheckpoint, (Code, String)> {
    let vkey = |field: &str| PublicKey::parse_vkey(keys[field].as_str().unwrap()).unwrap();
    let (log, cosigner) = (vkey("log"), vkey("cosigner"));
    let origin = keys["origin"].as_str().unwrap();
    assert_eq!(log.0, origin);
    let (deployment, _) = origin.rsplit_once('/').unwrap();
    let deployment = Deployment::new(deployment).unwrap();
    let keys = CheckpointKeys {
        origin: origin.into(),
        log: NoteKeys::one(log.1),
        cosigner_name: cosigner.0.into(),
        cosigner: NoteKeys::one(cosigner.1),
    };
    let refused = |error: CheckpointError| (error.code(&deployment), error.to_string());
    verify_checkpoint(note.as_str().unwrap().as_bytes(), &keys).map_err(refused)
}

fn proof(vector: &Value) -> Vec<Hash> {
    bytes_list(&vector["proof"]).into_iter().map(|hash| hash.try_into().unwrap()).collect()
}

fn note(value: &Value) -> Option<&[u8]> {
    value.as_str().map(str::as_bytes)
}

fn bytes_list(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(bytes).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    corpus::vector::from_base64(value.as_str().unwrap())
}
