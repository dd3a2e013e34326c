//! The answer (format.md section 14, step 4).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::faults::{Faults, Finding};
use super::root_state::RootState;
use super::{Class, Code, Fault, StreamReport};
use crate::checkpoint::VerifiedCheckpoint;
use crate::id::StreamId;

/// What the answer rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The log alone: whoever could write it could have replaced all of it.
    SelfOnly,
    /// A trust file with the keys and an earlier checkpoint.
    Pinned,
}

impl Anchor {
    /// The anchor's word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Anchor::SelfOnly => "self",
            Anchor::Pinned => "pinned",
        }
    }
}

/// When the verification takes place, and how old its newest pin may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Now, in seconds since the Unix epoch.
    pub now_seconds: u64,
    /// The maximum age of the newest pin.
    pub max_age_seconds: u64,
}

/// How far a stream is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complete {
    /// The pinned size: nothing below it is missing or changed. Later events are sealed, not anchored.
    pub size: u64,
    /// As of when, in seconds since the Unix epoch.
    pub time_seconds: u64,
}

/// What the verification of a log came to. Nothing checked is never ok.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it rests on.
    pub anchor: Anchor,
    /// Leaves of the root log, and its checkpoint if that verified.
    pub root_leaves: u64,
    /// The root log's checkpoint, if verified.
    pub root_checkpoint: Option<VerifiedCheckpoint>,
    /// The streams that are there, in the order in which the root log opens them; then those that it does not.
    pub streams: Vec<StreamReport>,
    /// Everything found, in the order of format.md section 14.
    pub faults: Faults,
}

impl Report {
    /// Puts together what was found in the root log and in each stream that is there.
    pub fn new(root: &RootState, streams: Vec<StreamReport>, freshness: Freshness) -> Report {
        let mut present: BTreeMap<StreamId, StreamReport> =
            streams.into_iter().map(|stream| (stream.stream, stream)).collect();
        let mut faults = root.faults.clone();
        let mut streams = Vec::new();
        let opened = root.streams.iter().map(|stream| stream.stream);
        let pinned = root.pins.streams.keys().copied().filter(|stream| root.stream(stream).is_none());
        for stream in opened.chain(pinned) {
            match present.remove(&stream) {
                Some(report) => {
                    faults.append(report.faults.clone());
                    streams.push(report);
                }
                None => faults.add(Finding::from(Code::StreamMissing).at(Some(stream), None)),
            }
        }
        // A stream without a batch that was never opened is nothing.
        for report in present.into_values().filter(|report| report.counts.seen > 0) {
            faults.append(report.faults.clone());
            streams.push(report);
        }
        let anchor = anchor(root);
        anchor_faults(root, freshness).into_iter().for_each(|code| faults.add(Finding::from(code).at(None, None)));
        let (root_leaves, root_checkpoint) = (root.size(), root.checkpoint.clone());
        Report { anchor, root_leaves, root_checkpoint, streams, faults }
    }

    /// 1 if anything was tampered with, else 2 if anything could not be checked, else 0.
    pub fn exit_code(&self) -> u8 {
        match self.named().map(|fault| fault.code.class()) {
            Some(Class::Tampered) => 1,
            Some(Class::Unchecked) => 2,
            Some(Class::Note) | None => 0,
        }
    }

    /// The fault to name: the first of class tampered, else the first of class unchecked, else the first note.
    pub fn named(&self) -> Option<&Fault> {
        let Faults { tampered, unchecked, notes, .. } = &self.faults;
        tampered.first().or(unchecked.first()).or(notes.first())
    }

    /// How far a stream is complete: to its pin, if the tree at that size is what was pinned. Faults behind it do not matter.
    pub fn complete(&self, stream: &StreamId) -> Option<Complete> {
        let report = self.streams.iter().find(|report| report.stream == *stream && report.pin_holds)?;
        let pin = report.pin.as_ref().filter(|pin| pin.size() > 0)?;
        Some(Complete { size: pin.size(), time_seconds: pin.time_seconds() })
    }
}

fn anchor(root: &RootState) -> Anchor {
    if pins_of(root).any(|pin| pin.size() > 0) { Anchor::Pinned } else { Anchor::SelfOnly }
}

fn pins_of(root: &RootState) -> impl Iterator<Item = &VerifiedCheckpoint> {
    root.pins.streams.values().filter_map(|pin| pin.as_ref().ok())
}

/// What is wrong with the anchor itself.
fn anchor_faults(root: &RootState, freshness: Freshness) -> Vec<Code> {
    if !root.pins.trusted {
        return alloc::vec![Code::SelfAnchored];
    }
    if anchor(root) == Anchor::SelfOnly {
        return alloc::vec![Code::PinEmpty];
    }
    let newest = pins_of(root).chain(&root.pins.root).map(VerifiedCheckpoint::time_seconds).max();
    let fresh = newest.is_some_and(|time| time.abs_diff(freshness.now_seconds) <= freshness.max_age_seconds);
    if fresh { Vec::new() } else { alloc::vec![Code::PinStale] }
}
