//! What an epoch begins from: said twice, by the root leaf that opens it and by the opening event (format.md sections 6 and 8).

use crate::id::StreamId;
use crate::key::{PUBLIC_KEY_LEN, PublicKey};
use crate::layout::{Fields, WrongLength};
use crate::leaf::Hash;
use crate::sealer::Head;

/// Why an epoch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// First of its stream.
    First,
    /// After the epoch before it closed by itself.
    AfterClose,
    /// The epoch before it closed in order to change the key, and signs the new one.
    Rotation,
    /// After an unclean stop: the key before it is gone.
    AfterUncleanStop,
}

impl Start {
    const ALL: [Start; 4] = [Start::First, Start::AfterClose, Start::Rotation, Start::AfterUncleanStop];

    /// The number that stands for it in bytes, from 1.
    pub fn number(self) -> u8 {
        match self {
            Start::First => 1,
            Start::AfterClose => 2,
            Start::Rotation => 3,
            Start::AfterUncleanStop => 4,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Start> {
        Start::ALL.into_iter().find(|start| start.number() == number)
    }
}

/// The state of the stream that an epoch continues, and the epoch's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The stream.
    pub stream: StreamId,
    /// The epoch's number, from 1.
    pub epoch: u32,
    /// Why it begins.
    pub start: Start,
    /// Index of the epoch's first event = size of the stream before it.
    pub first: u64,
    /// Root of the stream's tree at that size.
    pub root: Hash,
    /// Hash of the stream's last seal; [`crate::seal::NO_SEAL`] while it has none.
    pub seal_hash: Hash,
    /// The epoch's public key with its algorithm byte, as registered: it may be one that verification refuses.
    pub key: [u8; PUBLIC_KEY_LEN],
}

impl EpochStart {
    /// The epoch that continues `head`, with the next number that the root log has not used.
    pub fn after(head: &Head, epoch: u32, start: Start, key: &PublicKey) -> EpochStart {
        EpochStart {
            stream: head.stream,
            epoch,
            start,
            first: head.frontier.size(),
            root: head.frontier.root(),
            seal_hash: head.seal_hash,
            key: key.to_bytes33(),
        }
    }

    /// Reads the fields after the start byte's neighbours: first index, root, seal hash and key, which both layouts share.
    pub(crate) fn parse_state(
        fields: &mut Fields<'_>,
        (stream, epoch, start): (StreamId, u32, Start),
    ) -> Result<EpochStart, WrongLength> {
        Ok(EpochStart {
            stream,
            epoch,
            start,
            first: fields.u64()?,
            root: fields.array()?,
            seal_hash: fields.array()?,
            key: fields.array()?,
        })
    }
}
