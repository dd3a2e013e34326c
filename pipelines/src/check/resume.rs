//! The file from which a verification goes on: how far each stream was verified, and what the rest of it needs to know.
//!
//! Nothing authenticates the file: whoever can write it can have what lies before its points passed over. So it is kept
//! with the trust file. A point is only written where nothing was found before it, and only used where the root log, the
//! checkpoint, the pin and the stream's files are those that it was found with; else the stream is verified from its start.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use spanseal_ledger::StreamId;
use spanseal_ledger::tree::root_of;
use spanseal_ledger::verify::{Midway, RootState};

use super::CheckError;
use super::report::Tail;
use crate::hex;

/// Where verifications stood, in a file of its own.
pub(super) struct ResumeFile {
    path: PathBuf,
    saved: Saved,
    now_seconds: u64,
    every: Duration,
    written: Instant,
    /// Why there is nothing to go on from, if the file was there.
    pub(super) started_over: Vec<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct Saved {
    version: u32,
    deployment: String,
    /// The root log that the points were found with.
    root_size: u64,
    root_hash: String,
    streams: BTreeMap<String, Point>,
}

/// How far one stream was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Point {
    /// When it was saved.
    pub(super) unix_seconds: u64,
    /// The segment of the last batch.
    pub(super) segment: u64,
    /// Bytes of the segments before it.
    pub(super) bytes_before: u64,
    /// The ledger's verifier, in hex.
    pub(super) midway: String,
    pub(super) kinds: BTreeMap<u64, String>,
    /// Resource events of the last run.
    pub(super) targets: Vec<(u64, i32)>,
    /// Ids of the payload records of the segment.
    pub(super) payloads: Vec<String>,
    /// References to events of other streams: from, stream, to, whether it must be a span.
    pub(super) elsewhere: Vec<(u64, String, u64, bool)>,
    /// What was noted of segments' ends.
    pub(super) tails: Vec<Tail>,
    pub(super) counts_of_kinds: Vec<u64>,
    pub(super) counts_of_verdicts: Vec<u64>,
    pub(super) payload_records: u64,
    pub(super) log_bytes: u64,
}

impl Point {
    /// The ledger's verifier; `None` when it does not parse.
    pub(super) fn midway(&self) -> Option<Midway> {
        Midway::decode(&hex::decode_any(&self.midway)?).ok()
    }
}

impl ResumeFile {
    /// Reads the file, if it is there. One that cannot be used is as good as none, and that is said.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn open(path: &Path, now_seconds: u64, every: Duration) -> io::Result<Self> {
        let mut file = Self {
            path: path.to_owned(),
            saved: Saved::default(),
            now_seconds,
            every,
            written: Instant::now(),
            started_over: Vec::new(),
        };
        match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(bytes) => match serde_json::from_slice::<Saved>(&bytes) {
                Ok(saved) if saved.version == VERSION => file.saved = saved,
                Ok(_) => file.start_over("the file is of another version"),
                Err(_) => file.start_over("the file cannot be read"),
            },
        }
        Ok(file)
    }

    /// Keeps the points only if the root log is the one that they were found with, and has only grown.
    pub(super) fn begin(&mut self, root: &RootState) {
        let deployment = root.deployment().map(ToString::to_string).unwrap_or_default();
        let before = usize::try_from(self.saved.root_size).ok().and_then(|size| root.leaf_hashes().get(..size));
        let grown = before.is_some_and(|leaves| hex::encode(&root_of(leaves)) == self.saved.root_hash);
        if !self.saved.streams.is_empty() && (self.saved.deployment != deployment || !grown) {
            self.saved.streams.clear();
            self.start_over("the root log is not the one of that time");
        }
        self.saved.version = VERSION;
        self.saved.deployment = deployment;
        self.saved.root_size = root.size();
        self.saved.root_hash = hex::encode(&root_of(root.leaf_hashes()));
    }

    pub(super) fn point(&self, stream: StreamId) -> Option<&Point> {
        self.saved.streams.get(&stream.to_string())
    }

    /// Forgets a stream's point, since it is of no use.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn forget(&mut self, stream: StreamId, why: &str) -> io::Result<()> {
        self.saved.streams.remove(&stream.to_string());
        self.start_over(&format!("stream {stream}: {why}"));
        self.write()
    }

    fn start_over(&mut self, why: &str) {
        self.started_over.push(format!("{} is not gone on from: {why}", self.path.display()));
    }

    pub(super) fn unwritable(&self, source: io::Error) -> CheckError {
        CheckError::Resume { path: self.path.clone(), source }
    }

    /// Whether it is time to save again.
    pub(super) fn is_due(&self) -> bool {
        self.written.elapsed() >= self.every
    }

    /// Saves how far a stream was verified.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn save(&mut self, stream: StreamId, point: Point) -> io::Result<()> {
        self.saved.streams.insert(stream.to_string(), Point { unix_seconds: self.now_seconds, ..point });
        self.write()
    }

    /// Replaces the file in one step: what is there after a crash is this or what was there before.
    fn write(&mut self) -> io::Result<()> {
        let mut draft = self.path.as_os_str().to_owned();
        draft.push(".new");
        std::fs::write(&draft, serde_json::to_vec(&self.saved)?)?;
        std::fs::File::open(&draft)?.sync_all()?;
        std::fs::rename(&draft, &self.path)?;
        self.written = Instant::now();
        Ok(())
    }
}

const VERSION: u32 = 2;
