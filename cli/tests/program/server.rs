//! A `spanseal` process on free ports of loopback, ended by its own process id.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Returns a command for the program, with none of the caller's settings in its environment.
pub(crate) fn spanseal() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanseal"));
    for name in ["SPANSEAL_CONFIG", "SPANSEAL_DATA", "SPANSEAL_OTLP", "SPANSEAL_HTTP", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// Runs the program to its end and returns exit code, standard output and standard error.
pub(crate) fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = spanseal().args(arguments).output().expect("the program starts");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned())
}

/// A running `spanseal up`; killed when dropped.
pub(crate) struct Server {
    process: Child,
    /// Where OTLP comes in, `host:port`.
    pub(crate) otlp: String,
    /// What it writes to standard error, through all its lives.
    log: PathBuf,
}

impl Server {
    /// Starts `up` on the data directory and returns once it says that it is ready.
    pub(crate) fn start(data: &Path, otlp: &str, more: &[&str]) -> Self {
        let log = data.with_extension("log");
        let stderr = OpenOptions::new().create(true).append(true).open(&log).expect("the log can be written");
        let mut process = spanseal()
            .args(["up", "--json", "--otlp", otlp, "--http", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("stdout is text");
        let ready: serde_json::Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("`up --json` printed {line:?} instead of its addresses"));
        let otlp = ready["otlp"][0].as_str().expect("an OTLP address").to_owned();
        Self { process, otlp, log }
    }

    /// Ends the process at once, as a power cut would end it.
    pub(crate) fn kill_9(mut self) {
        self.process.kill().expect("the process is ours");
        self.process.wait().expect("the process is ours");
    }

    /// Asks the process to end and returns how it did.
    pub(crate) fn terminate(self) -> ExitStatus {
        self.terminate_timed().0
    }

    /// Asks the process to end and returns how it did, and how long that took.
    pub(crate) fn terminate_timed(mut self) -> (ExitStatus, Duration) {
        let (pid, asked) = (self.process.id().to_string(), Instant::now());
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there");
        (self.process.wait().expect("the process is ours"), asked.elapsed())
    }

    /// Returns the file with what it writes to standard error.
    pub(crate) fn log(&self) -> PathBuf {
        self.log.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
