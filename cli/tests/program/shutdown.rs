//! SIGTERM: nothing acknowledged is lost, the grace time is kept, and what was stuck is named.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::ledger::{acknowledged_once, verifies};
use crate::load::Load;
use crate::server::{Server, run};

const GRACE_SECONDS: u64 = 4;
/// For what a loaded machine adds to the grace time.
const SLACK: Duration = Duration::from_secs(3);

/// A folder with a configuration of a short grace time; its data directory is `data`.
fn folder(more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spanseal.toml"), format!("grace_seconds = {GRACE_SECONDS}\n{more}")).unwrap();
    folder
}

fn start(folder: &Path, otlp: &str) -> Server {
    Server::start(&folder.join("data"), otlp, &["--config", folder.join("spanseal.toml").to_str().unwrap()])
}

/// Ends it within the grace time, and well; returns what it has written to its log.
#[track_caller]
fn end(server: Server) -> String {
    let log = server.log();
    let (status, took) = server.terminate_timed();
    let said = fs::read_to_string(log).unwrap();
    assert!(status.success(), "{status}:\n{said}");
    assert!(took < Duration::from_secs(GRACE_SECONDS) + SLACK, "{took:?}:\n{said}");
    said
}

#[test]
fn sigterm_under_load_loses_nothing_acknowledged() {
    let folder = folder("");
    let acknowledged = folder.path().join("acknowledged");
    let mut server = start(folder.path(), "127.0.0.1:0");
    let otlp = server.otlp.clone();
    let mut load = Load::start(&otlp, &acknowledged, &["--rate", "8000", "--spans", "16000"]);
    for stop in 1..=3 {
        load.wait_for(stop * 3000);
        end(server);
        server = start(folder.path(), &otlp);
    }
    load.finish();
    end(server);
    let data = folder.path().join("data");
    assert_eq!(acknowledged_once(&data, &acknowledged), 16000);
    verifies(&data, &folder.path().join("trust"));
}

#[test]
fn a_backend_that_never_answers_is_named_and_its_spans_wait_in_the_log() {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!("[[forward]]\nname = \"mute\"\nendpoint = \"http://{}\"\n", backend.local_addr().unwrap());
    let folder = folder(&more);
    let acknowledged = folder.path().join("acknowledged");
    let server = start(folder.path(), "127.0.0.1:0");
    Load::start(&server.otlp, &acknowledged, &["--spans", "640"]).finish();
    let (_connection, _) = backend.accept().unwrap();
    let said = end(server);
    let line = said.lines().find(|line| line.contains("in the grace time")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("mute"), "{line}");
    assert_eq!(acknowledged_once(&folder.path().join("data"), &acknowledged), 640);
}

#[test]
fn a_client_that_never_finishes_its_body_is_told_to_come_again() {
    let folder = folder("");
    let server = start(folder.path(), "127.0.0.1:0");
    let mut client = TcpStream::connect(&server.otlp).unwrap();
    client
        .write_all(
            b"POST /v1/traces HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{",
        )
        .unwrap();
    // So that the body is being read when the stop comes.
    std::thread::sleep(Duration::from_millis(300));
    end(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: "), "{answer}");
}

#[test]
fn clients_that_never_finish_a_head_are_counted_and_left() {
    let folder = folder("");
    let server = start(folder.path(), "127.0.0.1:0");
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let mut client = TcpStream::connect(&server.otlp).unwrap();
            client.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: h\r\n").unwrap();
            client
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    let said = end(server);
    let line = said.lines().find(|line| line.contains("still open after the stop"));
    assert!(line.is_some_and(|line| line.contains("connections=3")), "{said}");
    drop(clients);
}

#[test]
fn an_index_that_lags_behind_catches_up_after_the_next_start() {
    let folder = folder("");
    let (acknowledged, data) = (folder.path().join("acknowledged"), folder.path().join("data"));
    let mut server = start(folder.path(), "127.0.0.1:0");
    Load::start(&server.otlp, &acknowledged, &["--spans", "64000"]).finish();
    end(server);
    let indexed = || {
        let (code, said, error) = run(&["find", "--data", data.to_str().unwrap(), "--limit", "1", "--json"]);
        assert_eq!(code, Some(0), "{said}{error}");
        let found: serde_json::Value = serde_json::from_str(&said).unwrap();
        (found["progress"]["indexed"].as_u64().unwrap(), found["progress"]["size"].as_u64().unwrap())
    };
    let (first, size) = indexed();
    assert!(first <= size && size > 64000, "indexed {first} of {size}");
    server = start(folder.path(), "127.0.0.1:0");
    for _ in 0..600 {
        if indexed().0 >= size {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(indexed().0 >= size, "{:?}", indexed());
    end(server);
}
