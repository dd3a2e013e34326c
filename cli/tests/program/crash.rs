//! The process is killed under load and started again: nothing acknowledged is lost, nothing is sealed twice.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;

use spanseal_ledger::{StreamId, batch::Batch, kind};
use spanseal_log::{Disk, Item, Owner, Reader};
use spanseal_schemas::{envelope, scan};

use crate::server::{Server, run, spanseal};

/// Spans acknowledged before each kill.
const BETWEEN_KILLS: u64 = 10_000;
const KILLS: u64 = 2;

#[test]
fn acknowledged_spans_survive_kill_9_under_load_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let acknowledged = folder.path().join("acknowledged");
    let mut server = Server::start(&data, "127.0.0.1:0", &[]);
    let otlp = server.otlp.clone();
    let mut load = Load::start(&otlp, &acknowledged);
    for kill in 1..=KILLS {
        load.wait_for(kill * BETWEEN_KILLS, &acknowledged);
        server.kill_9();
        server = Server::start(&data, &otlp, &[]);
    }
    load.finish();
    assert!(server.terminate().success(), "SIGTERM ends the server well");

    let acknowledged = fs::read_to_string(&acknowledged).unwrap();
    let sealed = sealed_spans(&data);
    let mut checked = 0;
    for id in acknowledged.lines() {
        let id = u64::from_str_radix(id, 16).unwrap().to_be_bytes();
        assert_eq!(
            sealed.get(&id).copied().unwrap_or(0),
            1,
            "times that the acknowledged span {id:02x?} is in the ledger"
        );
        checked += 1;
    }
    assert!(checked > KILLS * BETWEEN_KILLS, "{checked} spans were acknowledged");
    verifies(&data, &folder.path().join("trust"));
}

/// Verifies against a pin made of the final state, which also shows that no restart left a fault behind.
fn verifies(data: &Path, trust: &Path) {
    let (data, trust) = (data.to_str().unwrap(), trust.to_str().unwrap());
    let (code, said, error) = run(&["keys", "pin", trust, "--data", data]);
    assert_eq!(code, Some(0), "{said}{error}");
    let (code, said, error) = run(&["verify", data, "--trust", trust]);
    assert_eq!(code, Some(0), "{said}{error}");
}

/// A `spanseal load` that retries through the kills.
struct Load(Child);

impl Load {
    fn start(otlp: &str, acknowledged: &Path) -> Self {
        let spans = ((KILLS + 1) * BETWEEN_KILLS).to_string();
        let mut command = spanseal();
        command.args(["load", "--to", otlp, "--batch", "64", "--rate", "6000", "--spans", &spans, "--acknowledged"]);
        Self(command.arg(acknowledged).stdout(Stdio::null()).spawn().expect("the program starts"))
    }

    /// Returns once so many spans are acknowledged.
    fn wait_for(&mut self, spans: u64, acknowledged: &Path) {
        loop {
            let lines = fs::read(acknowledged).map_or(0, |file| file.iter().filter(|byte| **byte == b'\n').count());
            if lines as u64 >= spans {
                return;
            }
            assert!(self.0.try_wait().expect("the process is ours").is_none(), "the load ended after {lines} spans");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    fn finish(mut self) {
        assert!(self.0.wait().expect("the process is ours").success(), "the load saw an error");
    }
}

/// Returns how often each span id is sealed, over all streams.
fn sealed_spans(data: &Path) -> HashMap<[u8; 8], u32> {
    let mut times = HashMap::new();
    for entry in fs::read_dir(data.join("streams")).unwrap() {
        let dir = entry.unwrap().path();
        let stream: StreamId = dir.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let mut reader = Reader::open(Arc::new(Disk), &dir, Owner::Stream(stream), 0).unwrap();
        while let Some(item) = reader.read_next().unwrap() {
            let Item::Batch { bytes, .. } = item else { continue };
            let batch = Batch::parse(bytes).unwrap();
            for event in batch.events().filter(|event| event[0] == kind::SPAN) {
                let view = envelope::view(&event[1..]).unwrap();
                let facts = scan::span(view.span, &mut |_, _| {}).unwrap();
                *times.entry(facts.span_id.try_into().unwrap()).or_default() += 1;
            }
        }
    }
    times
}
