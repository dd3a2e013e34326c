//! Data directories of older versions, kept in `tests/fixtures`, are read, verified, searched and written on.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::ledger::acknowledged_once;
use crate::load::Load;
use crate::server::{Server, run};

/// The pins grow old with the fixture.
const MAX_AGE: &str = "100000d";

#[test]
fn a_data_directory_of_format_1_is_read_and_written_on() {
    check_fixture("v1", 32);
}

/// Verifies the fixture as it lies there, then, in a copy of it, searches, explains, writes on and verifies again.
#[track_caller]
fn check_fixture(name: &str, spans: u64) {
    let fixture = fixtures().join(name);
    verifies(&fixture.join("data"), &fixture.join("trust"));

    let folder = tempfile::tempdir().unwrap();
    let (data, trust) = (folder.path().join("data"), folder.path().join("trust"));
    copy(&fixture.join("data"), &data);
    fs::copy(fixture.join("trust"), &trust).unwrap();
    // An index of older tables is named, and made anew.
    let (code, said, error) = run(&["reindex", "--data", data.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}{error}");
    let found = find(&data);
    assert_eq!(found["progress"]["indexed"], found["progress"]["size"]);
    explains_all(&data, spans);

    let acknowledged = folder.path().join("acknowledged");
    let server = Server::start(&data, "127.0.0.1:0", &[]);
    Load::start(&server.otlp, &acknowledged, &["--spans", "640"]).finish();
    assert!(server.terminate().success());
    assert_eq!(acknowledged_once(&data, &acknowledged), 640);
    verifies(&data, &trust);
    let (code, said, error) = run(&["keys", "pin", trust.to_str().unwrap(), "--data", data.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}{error}");
    let (code, said, error) = run(&["verify", data.to_str().unwrap(), "--trust", trust.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}{error}");
    assert_eq!(fs::read_dir(data.join("streams")).unwrap().count(), 1, "the stream goes on");
    explains_all(&data, spans + 640);
}

/// Every span is found, and the newest and the oldest are explained, with a proof.
#[track_caller]
fn explains_all(data: &Path, spans: u64) {
    let found = find(data);
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len() as u64, spans);
    for row in [&rows[0], &rows[rows.len() - 1]] {
        let (code, said, error) = run(&["why", row["event"].as_str().unwrap(), "--data", data.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{said}{error}");
        assert!(said.contains("hashed again"), "{said}");
    }
}

fn find(data: &Path) -> serde_json::Value {
    let (code, said, error) =
        run(&["find", "--data", data.to_str().unwrap(), "--service", "support-agent", "--limit", "1000", "--json"]);
    assert_eq!(code, Some(0), "{said}{error}");
    serde_json::from_str(&said).unwrap()
}

#[track_caller]
fn verifies(data: &Path, trust: &Path) {
    let arguments = ["verify", data.to_str().unwrap(), "--trust", trust.to_str().unwrap(), "--max-age", MAX_AGE];
    let (code, said, error) = run(&arguments);
    assert_eq!(code, Some(0), "{said}{error}");
}

/// Copies a folder; what is below `keys` is the owner's alone, which no repository keeps.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, private) = (entry.unwrap(), from.ends_with("keys"));
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
        if private || entry.file_name() == "subjects.sqlite" {
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/fixtures")
}
