//! What verification finds: the codes of format.md section 14, where, and with which numbers.

use alloc::boxed::Box;
use core::fmt;

use crate::batch::BatchError;
use crate::checkpoint::CheckpointError;
use crate::id::StreamId;
use crate::key::KeyId;
use crate::key_event::KeyEventError;
use crate::leaf::Hash;
use crate::root_leaf::RootLeafError;
use crate::text::write_hex;

macro_rules! codes {
    ($($variant:ident $text:literal $class:ident $meaning:literal)*) => {
        /// What is wrong. The texts are those of format.md section 14.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code, in the order of format.md section 14.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The code's text in reports.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $text,)*
                }
            }

            /// What the code does to the exit code.
            pub fn class(self) -> Class {
                match self {
                    $(Code::$variant => Class::$class,)*
                }
            }

            /// What the code says, in a sentence's fragment.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Code::$variant => $meaning,)*
                }
            }
        }
    };
}

codes! {
    MalformedBatch "malformed_batch" Tampered "a batch does not parse"
    BatchCrossesRun "batch_crosses_run" Tampered "a batch crosses a multiple of 256"
    WrongStream "wrong_stream" Tampered "a seal or a segment names another stream"
    WrongEpoch "wrong_epoch" Tampered "a seal names another epoch than the one in force, or its epoch does not begin with its opening"
    WrongDeployment "wrong_deployment" Tampered "an opening, a genesis leaf or a note names another deployment"
    IndexGap "index_gap" Tampered "a batch begins after the next index: events are missing"
    RepeatedBatch "repeated_batch" Tampered "a batch stands twice"
    Fork "fork" Tampered "a validly signed batch differs from what was sealed at its place"
    BrokenLink "broken_link" Tampered "a seal does not name the seal before it"
    BadSignature "bad_signature" Tampered "a signature does not verify"
    RootMismatch "root_mismatch" Tampered "the events do not hash to the sealed root"
    WallTimeBackwards "wall_time_backwards" Tampered "a seal's wall time is below the previous seal's"
    MonotonicBackwards "monotonic_backwards" Tampered "a seal's monotonic time is below the previous seal's in its epoch"
    Counters "counters" Tampered "a seal's counters fall, do not add up or do not match the events"
    MalformedKeyEvent "malformed_key_event" Tampered "an opening, closing or gap event does not parse or contradicts its place"
    OpeningMismatch "opening_mismatch" Tampered "an opening disagrees with its root leaf, or has none"
    RotationUnsigned "rotation_unsigned" Tampered "a rotation lacks the outgoing key's valid signature"
    SealAfterClose "seal_after_close" Tampered "a batch of an epoch follows the epoch's end"
    EventMisplaced "event_misplaced" Tampered "a key event stands where none may"
    HeadMissing "head_missing" Tampered "the stream does not begin at index 0"
    Truncated "truncated" Tampered "a log is shorter than was signed for"
    StreamMissing "stream_missing" Tampered "a stream that the root log or a pin names is not there"
    StreamUnknown "stream_unknown" Tampered "a stream is there that the root log never opened"
    CheckpointMismatch "checkpoint_mismatch" Tampered "what was signed for a size is not the log's state at that size"
    CheckpointRefused "checkpoint_refused" Tampered "a checkpoint does not parse, or lacks or fails a signature"
    MalformedRootLeaf "malformed_root_leaf" Tampered "a root leaf does not parse"
    RootRule "root_rule" Tampered "a root leaf breaks a rule of the root log"
    UnknownKey "unknown_key" Tampered "signed by a key that nothing registers, or the genesis keys are not the trusted ones"
    RetiredKey "retired_key" Tampered "signed by a key after it was retired or revoked"
    EarlyKey "early_key" Tampered "signed by a key before it was registered"
    WeakKey "weak_key" Tampered "a key of small order, or one that does not decode, is registered"
    Damaged "damaged" Tampered "a record or segment header cannot be read"
    Envelope "envelope" Tampered "an event's protobuf is not in canonical form, or its references do not hold"
    PayloadMismatch "payload_mismatch" Tampered "a payload record is referred to by no event, or differs"
    UnknownVersion "unknown_version" Unchecked "a version, kind, op or algorithm that this verifier does not know"
    TornTail "torn_tail" Note "the last record is incomplete, and no checkpoint covers it"
    SupersededTail "superseded_tail" Note "an older segment ends in bytes that are no record: an interrupted write"
    NoCheckpoint "no_checkpoint" Unchecked "a log has no checkpoint"
    SelfAnchored "self_anchored" Unchecked "no trust file: everything could have been replaced"
    PinEmpty "pin_empty" Unchecked "the trust file pins nothing"
    PinStale "pin_stale" Unchecked "the newest pin is older than the maximum age"
    PayloadMissing "payload_missing" Unchecked "a payload record that an event lists is not there"
    ProofMismatch "proof_mismatch" Tampered "a proof does not lead to the checkpoint's root"
    ProofMalformed "proof_malformed" Tampered "a proof is too long, too short or outside its tree"
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a code does to the exit code: tampered makes it 1, unchecked 2, a note nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The log is not what was sealed.
    Tampered,
    /// Something could not be checked.
    Unchecked,
    /// Worth saying, and no fault.
    Note,
}

/// One thing that verification found.
///
/// `index` counts events, in a fault without `stream` root leaves: the batch's first index; the next index where a batch is
/// missing, damaged or does not parse; the event's own for key events and unknown versions; a checkpoint's size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub code: Code,
    /// In which stream; `None`: the root log, or the anchor.
    pub stream: Option<StreamId>,
    /// Where.
    pub index: Option<u64>,
    /// With which numbers.
    pub detail: Detail,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())?;
        match (self.stream, self.index) {
            (Some(stream), Some(index)) => write!(f, " at {stream}-{index}")?,
            (Some(stream), None) => write!(f, " in stream {stream}")?,
            (None, Some(index)) => write!(f, " at root leaf {index}")?,
            (None, None) => {}
        }
        match &self.detail {
            Detail::Nothing => write!(f, ": {}", self.code.meaning()),
            detail => write!(f, ": {detail}"),
        }
    }
}

/// The facts behind a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Detail {
    /// The code says it all.
    Nothing,
    /// A fact.
    Fact(&'static str),
    /// A number that should have been another.
    Numbers {
        /// Of what.
        what: &'static str,
        /// What it should be.
        expected: u64,
        /// What it is.
        got: u64,
    },
    /// A segment's end.
    Tail {
        /// The segment's first index.
        segment: u64,
        /// How many bytes are no record.
        bytes: u64,
    },
    /// A hash that should have been another.
    Hashes {
        /// Of what.
        what: &'static str,
        /// What it should be.
        expected: Box<Hash>,
        /// What it is.
        got: Box<Hash>,
    },
    /// The key that is concerned.
    Key(KeyId),
    /// A batch does not parse.
    Batch(BatchError),
    /// A key or gap event does not parse.
    KeyEvent(KeyEventError),
    /// A root leaf does not parse.
    RootLeaf(RootLeafError),
    /// A checkpoint is refused.
    Checkpoint(CheckpointError),
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Detail::Nothing => Ok(()),
            Detail::Fact(fact) => f.write_str(fact),
            Detail::Numbers { what, expected, got } => write!(f, "{what} is {got}, not {expected}"),
            Detail::Tail { segment, bytes } => {
                write!(f, "segment {segment:020}.seg ends in {bytes} bytes that are no record: an interrupted write")
            }
            Detail::Hashes { what, expected, got } => {
                write!(f, "{what} is ")?;
                write_hex(f, got.as_slice())?;
                f.write_str(", not ")?;
                write_hex(f, expected.as_slice())
            }
            Detail::Key(id) => write!(f, "key {id}"),
            Detail::Batch(error) => error.fmt(f),
            Detail::KeyEvent(error) => error.fmt(f),
            Detail::RootLeaf(error) => error.fmt(f),
            Detail::Checkpoint(error) => error.fmt(f),
        }
    }
}
