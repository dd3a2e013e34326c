//! Leaves of the root log: streams, epochs, keys and stream checkpoints (format.md section 8).
//!
//! ```text
//!   0                  16   17     25                 
//!   +------------------+----+------+--------+-----------------+-----------+-----------------+
//!   | spanseal/root/v1 | op | time | fields | signer key (32) | signature | more signatures |
//!   +------------------+----+------+--------+-----------------+-----------+-----------------+
//!   every signature covers all bytes up to here --------------^
//! ```

use alloc::vec::Vec;

use crate::epoch::{EpochStart, Start};
use crate::id::{Deployment, Role, StreamId};
use crate::key::{KeyId, PUBLIC_KEY_LEN, SIGNATURE_LEN, Signer};
use crate::layout::{Fields, WrongLength};
use crate::leaf::Hash;

mod submission;

pub use submission::{ClosedBy, RoleSigners, Submission};

/// Bytes of a root leaf at most.
pub const ROOT_LEAF_BYTES_MAX: usize = 65_535;

const MAGIC: &[u8; 16] = b"spanseal/root/v1";

/// What a root leaf says. Keys are raw: registering one that is weak is a fault that verification names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootOp {
    /// Leaf 0: the deployment and its first keys.
    Genesis(Genesis),
    /// A new key takes over a role.
    Register {
        /// The role.
        role: Role,
        /// The new key.
        key: [u8; PUBLIC_KEY_LEN],
    },
    /// A key ends here.
    Revoke {
        /// Its id under its role's name.
        key: KeyId,
    },
    /// A stream begins.
    StreamOpen(StreamOpen),
    /// An epoch of a stream begins.
    EpochOpen(EpochStart),
    /// An epoch of a stream ends.
    EpochClose(EpochClose),
    /// A stream ends for good.
    StreamClose(StreamSize),
    /// A stream's head, from time to time.
    StreamCheckpoint(StreamSize),
}

/// The deployment's name and its first keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// The name.
    pub deployment: Deployment,
    /// One key a role, in the order of [`Role::ALL`].
    pub keys: [[u8; PUBLIC_KEY_LEN]; 4],
}

/// A stream begins, perhaps after another that it takes over from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOpen {
    /// The new stream.
    pub stream: StreamId,
    /// The stream that it follows.
    pub predecessor: Option<Predecessor>,
}

/// The stream before, as its successor last saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// Which one.
    pub stream: StreamId,
    /// Its size as last seen.
    pub size: u64,
    /// How it ended.
    pub state: PredecessorState,
}

/// How a predecessor ended, as far as its successor knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredecessorState {
    /// It was closed.
    Closed,
    /// It could not be read to its end.
    Unread,
    /// Its end is lost.
    TailLost,
}

/// An epoch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochClose {
    /// Whether its own key signs the end.
    pub how: CloseHow,
    /// The stream as the epoch left it.
    pub at: StreamSize,
    /// The epoch.
    pub epoch: u32,
    /// Hash of the stream's last seal; [`crate::seal::NO_SEAL`] while it has none.
    pub seal_hash: Hash,
}

/// Who says that an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseHow {
    /// Its own key, before it is wiped.
    ByEpochKey,
    /// The identity key, after an unclean stop.
    ByIdentity,
}

/// A stream's size and root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSize {
    /// The stream.
    pub stream: StreamId,
    /// Number of its events.
    pub size: u64,
    /// Root of its tree at that size.
    pub root: Hash,
}

/// A root leaf as it is read. Nothing is verified by that: use [`crate::verify::RootVerifier`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootLeaf<'a> {
    /// What it says.
    pub op: RootOp,
    /// Wall time in nanoseconds since the Unix epoch.
    pub time: u64,
    /// Key id of the signer.
    pub signer: KeyId,
    /// The bytes that every signature covers.
    pub message: &'a [u8],
    /// The signer's signature.
    pub signature: [u8; SIGNATURE_LEN],
    /// The other signatures that the op asks for, in their order.
    pub more: Vec<[u8; SIGNATURE_LEN]>,
}

impl<'a> RootLeaf<'a> {
    /// Reads a root leaf, down to its last byte.
    ///
    /// # Errors
    /// When magic version or op are unknown, or the bytes do not parse.
    pub fn parse(bytes: &'a [u8]) -> Result<RootLeaf<'a>, RootLeafError> {
        if bytes.len() > ROOT_LEAF_BYTES_MAX {
            return Err(RootLeafError::Length);
        }
        let mut fields = Fields::new(bytes);
        check_magic(&fields.array()?)?;
        let (op, time) = (fields.u8()?, fields.u64()?);
        let op = parse_op(op, &mut fields)?;
        let signer = KeyId(fields.array()?);
        let more_len = op.more_signatures() * SIGNATURE_LEN;
        let message_len = bytes.len().checked_sub(SIGNATURE_LEN + more_len).ok_or(RootLeafError::Length)?;
        let signature = fields.array()?;
        let mut more = Vec::with_capacity(op.more_signatures());
        while !fields.is_empty() {
            more.push(fields.array()?);
        }
        if more.len() != op.more_signatures() {
            return Err(RootLeafError::Length);
        }
        Ok(RootLeaf { op, time, signer, message: &bytes[..message_len], signature, more })
    }
}

fn check_magic(magic: &[u8; 16]) -> Result<(), RootLeafError> {
    match magic {
        MAGIC => Ok(()),
        _ if magic[..15] == MAGIC[..15] => Err(RootLeafError::Version { got: magic[15] }),
        _ => Err(RootLeafError::Magic),
    }
}

/// Writes and signs a leaf whose signer and co-signers are given as they are; [`Submission`] chooses them by the rules.
pub fn sign(op: &RootOp, time: u64, signer: (KeyId, &dyn Signer), more: &[&dyn Signer]) -> Vec<u8> {
    let mut leaf = Vec::new();
    leaf.extend_from_slice(MAGIC);
    leaf.push(op.number());
    leaf.extend_from_slice(&time.to_be_bytes());
    encode_op(op, &mut leaf);
    leaf.extend_from_slice(&signer.0.0);
    let message_len = leaf.len();
    let mut append = |key: &dyn Signer| {
        let signature = key.sign(&leaf[..message_len]);
        leaf.extend_from_slice(&signature);
    };
    append(signer.1);
    more.iter().for_each(|key| append(*key));
    leaf
}

impl RootOp {
    fn number(&self) -> u8 {
        match self {
            RootOp::Genesis(_) => 1,
            RootOp::Register { .. } => 2,
            RootOp::Revoke { .. } => 3,
            RootOp::StreamOpen(_) => 4,
            RootOp::EpochOpen(_) => 5,
            RootOp::EpochClose(_) => 6,
            RootOp::StreamClose(_) => 7,
            RootOp::StreamCheckpoint(_) => 8,
        }
    }

    /// How many signatures follow the signer's.
    fn more_signatures(&self) -> usize {
        match self {
            RootOp::Genesis(_) => 3,
            RootOp::Register { .. } => 1,
            RootOp::EpochOpen(epoch) if epoch.start == Start::Rotation => 2,
            RootOp::EpochOpen(_) => 1,
            _ => 0,
        }
    }
}

fn parse_op(op: u8, fields: &mut Fields<'_>) -> Result<RootOp, RootLeafError> {
    Ok(match op {
        1 => RootOp::Genesis(parse_genesis(fields)?),
        2 => RootOp::Register {
            role: Role::from_number(fields.u8()?).ok_or(RootLeafError::Value)?,
            key: fields.array()?,
        },
        3 => RootOp::Revoke { key: KeyId(fields.array()?) },
        4 => RootOp::StreamOpen(parse_stream_open(fields)?),
        5 => RootOp::EpochOpen(parse_epoch_open(fields)?),
        6 => RootOp::EpochClose(parse_epoch_close(fields)?),
        7 => RootOp::StreamClose(parse_stream_size(fields)?),
        8 => RootOp::StreamCheckpoint(parse_stream_size(fields)?),
        got => return Err(RootLeafError::Op { got }),
    })
}

fn parse_genesis(fields: &mut Fields<'_>) -> Result<Genesis, RootLeafError> {
    let name_len = fields.u8()?;
    let name = core::str::from_utf8(fields.slice(usize::from(name_len))?).map_err(|_| RootLeafError::Value)?;
    let deployment = Deployment::new(name).map_err(|_| RootLeafError::Value)?;
    let keys = [fields.array()?, fields.array()?, fields.array()?, fields.array()?];
    Ok(Genesis { deployment, keys })
}

fn parse_stream_open(fields: &mut Fields<'_>) -> Result<StreamOpen, RootLeafError> {
    let stream = StreamId(fields.array()?);
    let (before, size) = (StreamId(fields.array()?), fields.u64()?);
    let state = match fields.u8()? {
        0 if before == NO_STREAM && size == 0 => return Ok(StreamOpen { stream, predecessor: None }),
        1 => PredecessorState::Closed,
        2 => PredecessorState::Unread,
        3 => PredecessorState::TailLost,
        _ => return Err(RootLeafError::Value),
    };
    if before == NO_STREAM {
        return Err(RootLeafError::Value);
    }
    Ok(StreamOpen { stream, predecessor: Some(Predecessor { stream: before, size, state }) })
}

fn parse_epoch_open(fields: &mut Fields<'_>) -> Result<EpochStart, RootLeafError> {
    let (stream, epoch) = (StreamId(fields.array()?), fields.u32()?);
    let start = Start::from_number(fields.u8()?).ok_or(RootLeafError::Value)?;
    Ok(EpochStart::parse_state(fields, (stream, epoch, start))?)
}

fn parse_epoch_close(fields: &mut Fields<'_>) -> Result<EpochClose, RootLeafError> {
    let (stream, epoch) = (StreamId(fields.array()?), fields.u32()?);
    let how = match fields.u8()? {
        1 => CloseHow::ByEpochKey,
        2 => CloseHow::ByIdentity,
        _ => return Err(RootLeafError::Value),
    };
    let at = StreamSize { stream, size: fields.u64()?, root: fields.array()? };
    Ok(EpochClose { how, at, epoch, seal_hash: fields.array()? })
}

fn parse_stream_size(fields: &mut Fields<'_>) -> Result<StreamSize, RootLeafError> {
    Ok(StreamSize { stream: StreamId(fields.array()?), size: fields.u64()?, root: fields.array()? })
}

fn encode_op(op: &RootOp, out: &mut Vec<u8>) {
    match op {
        RootOp::Genesis(genesis) => {
            // A deployment's name has at most 128 bytes.
            out.push(genesis.deployment.as_str().len() as u8);
            out.extend_from_slice(genesis.deployment.as_str().as_bytes());
            out.extend_from_slice(genesis.keys.as_flattened());
        }
        RootOp::Register { role, key } => {
            out.push(role.number());
            out.extend_from_slice(key);
        }
        RootOp::Revoke { key } => out.extend_from_slice(&key.0),
        RootOp::StreamOpen(open) => encode_stream_open(open, out),
        RootOp::EpochOpen(epoch) => encode_epoch_open(epoch, out),
        RootOp::EpochClose(close) => encode_epoch_close(close, out),
        RootOp::StreamClose(at) | RootOp::StreamCheckpoint(at) => encode_stream_size(at, out),
    }
}

fn encode_stream_open(open: &StreamOpen, out: &mut Vec<u8>) {
    let (stream, size, state) = match open.predecessor {
        None => (NO_STREAM, 0, 0),
        Some(before) => (before.stream, before.size, before.state.number()),
    };
    out.extend_from_slice(&open.stream.0);
    out.extend_from_slice(&stream.0);
    out.extend_from_slice(&size.to_be_bytes());
    out.push(state);
}

fn encode_epoch_open(epoch: &EpochStart, out: &mut Vec<u8>) {
    out.extend_from_slice(&epoch.stream.0);
    out.extend_from_slice(&epoch.epoch.to_be_bytes());
    out.push(epoch.start.number());
    out.extend_from_slice(&epoch.first.to_be_bytes());
    out.extend_from_slice(&epoch.root);
    out.extend_from_slice(&epoch.seal_hash);
    out.extend_from_slice(&epoch.key);
}

fn encode_epoch_close(close: &EpochClose, out: &mut Vec<u8>) {
    out.extend_from_slice(&close.at.stream.0);
    out.extend_from_slice(&close.epoch.to_be_bytes());
    out.push(match close.how {
        CloseHow::ByEpochKey => 1,
        CloseHow::ByIdentity => 2,
    });
    out.extend_from_slice(&close.at.size.to_be_bytes());
    out.extend_from_slice(&close.at.root);
    out.extend_from_slice(&close.seal_hash);
}

fn encode_stream_size(at: &StreamSize, out: &mut Vec<u8>) {
    out.extend_from_slice(&at.stream.0);
    out.extend_from_slice(&at.size.to_be_bytes());
    out.extend_from_slice(&at.root);
}

impl PredecessorState {
    fn number(self) -> u8 {
        match self {
            PredecessorState::Closed => 1,
            PredecessorState::Unread => 2,
            PredecessorState::TailLost => 3,
        }
    }
}

const NO_STREAM: StreamId = StreamId([0; 16]);

/// A root leaf does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootLeafError {
    /// Something other than a root leaf.
    #[error("the bytes are not a root leaf")]
    Magic,
    /// A root leaf of another version.
    #[error("root leaf version {:?} is unknown", char::from(*got))]
    Version {
        /// The version character found.
        got: u8,
    },
    /// An op that this version does not know.
    #[error("root leaf op {got} is unknown")]
    Op {
        /// The op found.
        got: u8,
    },
    /// Shorter or longer than its layout.
    #[error("the root leaf has the wrong length")]
    Length,
    /// A name, role, start, state or way without a meaning.
    #[error("a field of the root leaf has no meaning")]
    Value,
}

impl From<WrongLength> for RootLeafError {
    fn from(_: WrongLength) -> RootLeafError {
        RootLeafError::Length
    }
}
