//! The answer of `verify`, for people and for programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spanseal_ledger::StreamId;
use spanseal_ledger::verify::{Class, Code, Detail, Fault, Report as LedgerReport, StreamReport as LedgerStream};

use super::content::{ContentCounts, KINDS, VERDICTS};
use super::notes::Notes;
use crate::words::verdict_name;
use spanseal_schemas::kind;

/// What was checked, what it rests on, and what was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// 0 holds, 1 tampered with, 2 could not be checked.
    pub exit_code: u8,
    /// `self` or `pinned`.
    pub anchor: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    pub root_log: RootLogReport,
    /// What was not gone through again, because a file says that it was verified before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Resumed>,
    /// Why such a file was not gone on from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub started_over: Vec<String>,
    pub streams: Vec<StreamReport>,
    /// The finding that decides, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named: Option<Finding>,
    /// Tampering. At most 100 of a log are listed.
    pub faults: Vec<Finding>,
    /// What could not be checked.
    pub unchecked: Vec<Finding>,
    pub notes: Vec<Finding>,
    /// Findings that are not listed.
    pub unlisted: u64,
    pub totals: Totals,
    #[serde(skip)]
    pub verified: Notes,
}

/// A stream that was gone on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resumed {
    pub stream: String,
    /// Events below it were not looked at again.
    pub size: u64,
    /// When they were verified, in seconds since the Unix epoch.
    pub unix_seconds: u64,
}

/// The root log's part.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RootLogReport {
    pub leaves: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointLine>,
}

/// A checkpoint that verified.
#[derive(Debug, Clone, Serialize)]
pub struct CheckpointLine {
    pub size: u64,
    /// Of the cosignature, in seconds since the Unix epoch.
    pub unix_seconds: u64,
}

/// One stream's part.
#[derive(Debug, Clone, Serialize)]
pub struct StreamReport {
    pub stream: String,
    /// Events sealed.
    pub size: u64,
    pub batches: u64,
    pub epochs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointLine>,
    /// Nothing below this size is missing or changed, as of its time: the pin. Absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<CheckpointLine>,
    /// Events after the checkpoint, which the next one will cover.
    pub after_checkpoint: u64,
    /// Events after the pin: sealed, not anchored. Absent without a pin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_anchored: Option<u64>,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A code of format.md section 14.
    pub code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Of an event; without a stream, of a root leaf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The whole finding in one sentence.
    pub sentence: String,
}

/// Bytes behind the last record of a segment that another one follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tail {
    /// The segment's first index.
    pub(super) segment: u64,
    pub(super) bytes: u64,
}

impl Tail {
    /// Returns what is noted of it; `None` is the root log.
    pub(super) fn note(self, stream: Option<StreamId>) -> Fault {
        let Self { segment, bytes } = self;
        Fault { code: Code::SupersededTail, stream, index: Some(segment), detail: Detail::Tail { segment, bytes } }
    }
}

/// What was gone through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub events: u64,
    pub batches: u64,
    pub payload_records: u64,
    pub bytes: u64,
    /// Events by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Actions by verdict, later assessments included.
    pub verdicts: BTreeMap<&'static str, u64>,
}

impl Report {
    pub(super) fn new(ledger: &LedgerReport, deployment: Option<String>, totals: Totals) -> Self {
        let findings = |faults: &[Fault]| faults.iter().map(Finding::new).collect();
        let decides = |fault: &&Fault| fault.code.class() != Class::Note;
        Self {
            exit_code: ledger.exit_code(),
            anchor: ledger.anchor.as_str(),
            deployment,
            root_log: RootLogReport {
                leaves: ledger.root_leaves,
                checkpoint: ledger.root_checkpoint.as_ref().map(CheckpointLine::new),
            },
            resumed: Vec::new(),
            started_over: Vec::new(),
            streams: ledger.streams.iter().map(|stream| StreamReport::new(stream, ledger)).collect(),
            named: ledger.named().filter(decides).map(Finding::new),
            faults: findings(&ledger.faults.tampered),
            unchecked: findings(&ledger.faults.unchecked),
            notes: findings(&ledger.faults.notes),
            unlisted: ledger.faults.unlisted,
            totals,
            verified: Notes::default(),
        }
    }
}

impl StreamReport {
    fn new(stream: &LedgerStream, ledger: &LedgerReport) -> Self {
        let checkpointed = stream.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size());
        let complete = ledger.complete(&stream.stream);
        Self {
            stream: stream.stream.to_string(),
            size: stream.size,
            batches: stream.counts.batches,
            epochs: stream.counts.epochs,
            checkpoint: stream.checkpoint.as_ref().map(CheckpointLine::new),
            complete: complete
                .map(|complete| CheckpointLine { size: complete.size, unix_seconds: complete.time_seconds }),
            after_checkpoint: stream.size.saturating_sub(checkpointed),
            not_anchored: stream.pin.as_ref().map(|pin| stream.size.saturating_sub(pin.size())),
        }
    }
}

impl CheckpointLine {
    fn new(checkpoint: &spanseal_ledger::checkpoint::VerifiedCheckpoint) -> Self {
        Self { size: checkpoint.size(), unix_seconds: checkpoint.time_seconds() }
    }
}

impl Finding {
    fn new(fault: &Fault) -> Self {
        Self {
            code: fault.code.as_str(),
            stream: fault.stream.map(|stream| stream.to_string()),
            index: fault.index,
            sentence: fault.to_string(),
        }
    }
}

impl Totals {
    pub(super) fn count(&mut self, counts: &ContentCounts) {
        let kinds =
            (0..KINDS as u8).filter_map(|number| Some((kind::name(number)?, counts.kinds[usize::from(number)])));
        // No action is no verdict.
        let verdicts =
            (1..VERDICTS as i32).zip(&counts.verdicts[1..]).map(|(number, count)| (verdict_name(number), *count));
        add(&mut self.kinds, kinds);
        add(&mut self.verdicts, verdicts);
    }
}

fn add(sums: &mut BTreeMap<&'static str, u64>, counts: impl Iterator<Item = (&'static str, u64)>) {
    for (name, count) in counts.filter(|(_, count)| *count > 0) {
        *sums.entry(name).or_default() += count;
    }
}
