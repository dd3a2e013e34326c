//! What a reader finds.

use crate::lookup::Place;
use crate::record::HEAD_LEN;
use crate::scan::Scanner;
use crate::segment::{HeaderError, SegmentStart};

/// What a reader finds. Nothing of it is verified but the CRC.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// A segment begins; what it says about the log so far is a claim of its own.
    SegmentStart(SegmentStart),
    /// A batch.
    Batch {
        /// First index and count as its seal claims; the next index and 0 when there is no seal to read.
        first: u64,
        /// Number of its events.
        count: u16,
        /// Its bytes.
        bytes: &'a [u8],
        /// Where it stands.
        place: Place,
    },
    /// A payload of the next batch. Without one it belongs to an interrupted write, as what is torn does.
    Payload {
        /// Its bytes.
        bytes: &'a [u8],
        /// Where it stands.
        place: Place,
    },
    /// A leaf of the root log.
    RootLeaf {
        /// Its index.
        index: u64,
        /// Its bytes.
        bytes: &'a [u8],
        /// Where it stands.
        place: Place,
    },
    /// A whole batch (root leaf) that a later segment supersedes, and that differs from what is there: a fork, when
    /// it is validly signed; damage otherwise. Equal ones are passed in silence.
    Superseded {
        /// First index as its seal claims, or as counted.
        first: u64,
        /// Its bytes.
        bytes: &'a [u8],
        /// Where it stands.
        place: Place,
    },
    /// A write was interrupted: the last segment ends in bytes that are no record, or a superseded tail does.
    Torn {
        /// Where they begin.
        place: Place,
        /// How many they are.
        bytes: u64,
        /// They are after the first index of the next segment, and may be there.
        superseded: bool,
    },
    /// Something cannot be read where nothing may be torn. Reading goes on as far on as need be.
    Damaged {
        /// Where it begins.
        place: Place,
        /// How many bytes are passed over.
        bytes: u64,
        /// What is wrong.
        what: Damage,
    },
}

/// What a reader cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A segment's header; its records are read all the same.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A record: its length is impossible, or its CRC does not match, or the file ends inside it.
    #[error("a record cannot be read")]
    Record,
    /// A record whose type has no place in this log; its CRC holds.
    #[error("a record of type {kind} has no place in this log")]
    RecordKind {
        /// The type byte.
        kind: u8,
    },
    /// Leaves of the root log are missing before a segment; of streams, the batches tell.
    #[error("the root log goes on at index {got} where {expected} should be")]
    Gap {
        /// The index expected.
        expected: u64,
        /// The first index of the segment.
        got: u64,
    },
}

/// An item without its bytes, which the scanner has just passed.
#[derive(Debug)]
pub(super) enum Step {
    Start(SegmentStart),
    Batch { first: u64, count: u16, len: usize, place: Place },
    Payload { len: usize, place: Place },
    RootLeaf { index: u64, len: usize, place: Place },
    Superseded { first: u64, len: usize, place: Place },
    Torn { place: Place, bytes: u64, superseded: bool },
    Damaged { place: Place, bytes: u64, what: Damage },
}

impl Step {
    /// Puts the bytes in.
    pub(super) fn with_bytes(self, scanner: Option<&Scanner>) -> Item<'_> {
        let body = |len| scanner.map_or(&[][..], |scanner| &scanner.passed(len)[HEAD_LEN..]);
        match self {
            Step::Start(start) => Item::SegmentStart(start),
            Step::Batch { first, count, len, place } => Item::Batch { first, count, bytes: body(len), place },
            Step::Payload { len, place } => Item::Payload { bytes: body(len), place },
            Step::RootLeaf { index, len, place } => Item::RootLeaf { index, bytes: body(len), place },
            Step::Superseded { first, len, place } => Item::Superseded { first, bytes: body(len), place },
            Step::Torn { place, bytes, superseded } => Item::Torn { place, bytes, superseded },
            Step::Damaged { place, bytes, what } => Item::Damaged { place, bytes, what },
        }
    }
}
