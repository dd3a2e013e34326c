//! The process is killed under load and started again: nothing acknowledged is lost, nothing is sealed twice.

use crate::ledger::{acknowledged_once, verifies};
use crate::load::Load;
use crate::server::Server;

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
    let spans = ((KILLS + 1) * BETWEEN_KILLS).to_string();
    let mut load = Load::start(&otlp, &acknowledged, &["--rate", "6000", "--spans", &spans]);
    for kill in 1..=KILLS {
        load.wait_for(kill * BETWEEN_KILLS);
        server.kill_9();
        server = Server::start(&data, &otlp, &[]);
    }
    load.finish();
    assert!(server.terminate().success(), "SIGTERM ends the server well");

    let checked = acknowledged_once(&data, &acknowledged);
    assert!(checked > KILLS * BETWEEN_KILLS, "{checked} spans were acknowledged");
    verifies(&data, &folder.path().join("trust"));
}
