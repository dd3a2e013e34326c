//! A `spanseal load` that goes on over broken connections and retryable answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::server::{Server, run, spanseal};

/// A client at work; killed when dropped.
pub(crate) struct Load {
    process: Child,
    acknowledged: PathBuf,
}

impl Load {
    /// Starts it; the ids of the spans that are acknowledged go into a file, a line each.
    pub(crate) fn start(otlp: &str, acknowledged: &Path, more: &[&str]) -> Self {
        let mut command = spanseal();
        command.args(["load", "--to", otlp, "--batch", "64", "--acknowledged"]).arg(acknowledged).args(more);
        let process = command.stdout(Stdio::null()).spawn().expect("the program starts");
        Self { process, acknowledged: acknowledged.to_owned() }
    }

    /// Returns how many spans are acknowledged.
    pub(crate) fn spans(&self) -> u64 {
        fs::read(&self.acknowledged).map_or(0, |file| file.iter().filter(|byte| **byte == b'\n').count() as u64)
    }

    /// Returns once so many spans are acknowledged.
    pub(crate) fn wait_for(&mut self, spans: u64) {
        loop {
            let so_far = self.spans();
            if so_far >= spans {
                return;
            }
            let ended = self.process.try_wait().expect("the process is ours");
            assert!(ended.is_none(), "the load ended after {so_far} spans");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn finish(mut self) {
        assert!(self.process.wait().expect("the process is ours").success(), "the load saw an error");
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn every_protocol_is_sent_in_every_compression() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), "127.0.0.1:0", &[]);
    for protocol in ["grpc", "http", "json"] {
        for compression in ["none", "gzip", "zstd"] {
            let spans = ["--spans", "256", "--batch", "64", "--json"];
            let coding = ["load", "--to", &server.otlp, "--protocol", protocol, "--compression", compression];
            let (code, figures, said) = run(&[&coding[..], &spans[..]].concat());
            assert_eq!(code, Some(0), "{protocol}, {compression}: {said}");
            let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
            assert_eq!(figures["acknowledged_spans"], 256, "{protocol}, {compression}: {figures:#}");
        }
    }
}
