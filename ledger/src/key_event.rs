//! Key events: an epoch's opening and closing, as events of its stream (format.md section 6).
//!
//! ```text
//! opening
//!   0    1    2    3     4        20    24      32     64     96    129        161    169   177       209   273   337
//!   +----+----+----+-----+--------+-----+-------+------+------+-----+----------+------+-----+---------+-----+-----+
//!   | 09 | 01 | 01 |start| stream |epoch| first | root | seal | key | H(deploy)| leaf | wall| identity| sig | out |
//!   +----+----+----+-----+--------+-----+-------+------+------+-----+----------+------+-----+---------+-----+-----+
//! closing
//!   0    1    2    3      4        20    24      32     40
//!   +----+----+----+------+--------+-----+-------+------+
//!   | 09 | 02 | 01 |reason| stream |epoch| index | wall |
//!   +----+----+----+------+--------+-----+-------+------+
//! ```

use crate::epoch::{EpochStart, Start};
use crate::id::StreamId;
use crate::key::{KeyId, SIGNATURE_LEN, Signer};
use crate::kind;
use crate::layout::{Fields, WrongLength};
use crate::leaf::Hash;

/// Bytes of an opening, kind byte included.
pub const OPENING_LEN: usize = 337;
/// Bytes of a closing, kind byte included.
pub const CLOSING_LEN: usize = 40;

const OPENING: u8 = 0x01;
const CLOSING: u8 = 0x02;
const VERSION: u8 = 0x01;
const MAGIC: &[u8; 16] = b"spanseal/open/v1";
/// Bytes 0 to 208 of an opening, which both signatures cover after the magic.
const OPENING_SIGNED_LEN: usize = 209;

/// The first event of an epoch: names what it continues, and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// What the epoch continues. `first` is the index of this event.
    pub epoch: EpochStart,
    /// Hash of the deployment's name.
    pub deployment: Hash,
    /// Index of the epoch-open leaf in the root log.
    pub root_leaf: u64,
    /// Wall time in nanoseconds since the Unix epoch.
    pub wall: u64,
    /// Key id of the identity key that signs.
    pub identity: KeyId,
}

impl Opening {
    /// Signs the opening with the identity key and, for a rotation, with the outgoing epoch key.
    pub fn sign(self, identity: &dyn Signer, outgoing: Option<&dyn Signer>) -> SignedOpening {
        let message = self.signed_bytes();
        let outgoing = if self.epoch.start == Start::Rotation { outgoing } else { None };
        SignedOpening {
            opening: self,
            signature: identity.sign(&message),
            outgoing: outgoing.map_or(NO_SIGNATURE, |key| key.sign(&message)),
        }
    }

    /// Returns the bytes that both signatures cover: `"spanseal/open/v1" || bytes 0 to 208`.
    pub fn signed_bytes(&self) -> [u8; MAGIC.len() + OPENING_SIGNED_LEN] {
        let mut bytes = [0; MAGIC.len() + OPENING_SIGNED_LEN];
        let (magic, event) = bytes.split_at_mut(MAGIC.len());
        magic.copy_from_slice(MAGIC);
        let epoch = &self.epoch;
        event[..4].copy_from_slice(&[kind::KEY, OPENING, VERSION, epoch.start.number()]);
        event[4..20].copy_from_slice(&epoch.stream.0);
        event[20..24].copy_from_slice(&epoch.epoch.to_be_bytes());
        event[24..32].copy_from_slice(&epoch.first.to_be_bytes());
        event[32..64].copy_from_slice(&epoch.root);
        event[64..96].copy_from_slice(&epoch.seal_hash);
        event[96..129].copy_from_slice(&epoch.key);
        event[129..161].copy_from_slice(&self.deployment);
        event[161..169].copy_from_slice(&self.root_leaf.to_be_bytes());
        event[169..177].copy_from_slice(&self.wall.to_be_bytes());
        event[177..209].copy_from_slice(&self.identity.0);
        bytes
    }
}

/// An opening with its signatures, which have not been verified by being parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedOpening {
    /// The signed fields.
    pub opening: Opening,
    /// By the identity key.
    pub signature: [u8; SIGNATURE_LEN],
    /// By the outgoing epoch key in a rotation; otherwise zeros.
    pub outgoing: [u8; SIGNATURE_LEN],
}

impl SignedOpening {
    /// Writes the event, kind byte included.
    pub fn encode(&self) -> [u8; OPENING_LEN] {
        let mut event = [0; OPENING_LEN];
        event[..209].copy_from_slice(&self.opening.signed_bytes()[MAGIC.len()..]);
        event[209..273].copy_from_slice(&self.signature);
        event[273..].copy_from_slice(&self.outgoing);
        event
    }

    fn parse(fields: &mut Fields<'_>) -> Result<SignedOpening, KeyEventError> {
        let start = Start::from_number(fields.u8()?).ok_or(KeyEventError::Value)?;
        let (stream, epoch) = (StreamId(fields.array()?), fields.u32()?);
        let epoch = EpochStart::parse_state(fields, (stream, epoch, start))?;
        let opening = Opening {
            epoch,
            deployment: fields.array()?,
            root_leaf: fields.u64()?,
            wall: fields.u64()?,
            identity: KeyId(fields.array()?),
        };
        let (signature, outgoing) = (fields.array()?, fields.array()?);
        if start != Start::Rotation && outgoing != NO_SIGNATURE {
            return Err(KeyEventError::Reserved);
        }
        Ok(SignedOpening { opening, signature, outgoing })
    }
}

/// Why an epoch ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The writer stopped cleanly.
    Shutdown,
    /// The next epoch follows at once, with a new key.
    Rotation,
}

impl CloseReason {
    /// The number that stands for it in bytes, from 1.
    pub fn number(self) -> u8 {
        match self {
            CloseReason::Shutdown => 1,
            CloseReason::Rotation => 2,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<CloseReason> {
        [CloseReason::Shutdown, CloseReason::Rotation].into_iter().find(|reason| reason.number() == number)
    }
}

/// The last event of an epoch that ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Why.
    pub reason: CloseReason,
    /// The stream.
    pub stream: StreamId,
    /// The epoch that ends.
    pub epoch: u32,
    /// Index of this event.
    pub index: u64,
    /// Wall time in nanoseconds since the Unix epoch.
    pub wall: u64,
}

impl Closing {
    /// Writes the event, kind byte included.
    pub fn encode(&self) -> [u8; CLOSING_LEN] {
        let mut event = [0; CLOSING_LEN];
        event[..4].copy_from_slice(&[kind::KEY, CLOSING, VERSION, self.reason.number()]);
        event[4..20].copy_from_slice(&self.stream.0);
        event[20..24].copy_from_slice(&self.epoch.to_be_bytes());
        event[24..32].copy_from_slice(&self.index.to_be_bytes());
        event[32..].copy_from_slice(&self.wall.to_be_bytes());
        event
    }

    fn parse(fields: &mut Fields<'_>) -> Result<Closing, KeyEventError> {
        Ok(Closing {
            reason: CloseReason::from_number(fields.u8()?).ok_or(KeyEventError::Value)?,
            stream: StreamId(fields.array()?),
            epoch: fields.u32()?,
            index: fields.u64()?,
            wall: fields.u64()?,
        })
    }
}

/// An event of kind 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one in an epoch, and it lives on the stack")]
pub enum KeyEvent {
    /// An epoch begins.
    Opening(SignedOpening),
    /// An epoch ends by itself.
    Closing(Closing),
}

impl KeyEvent {
    /// Reads the event, kind byte included.
    ///
    /// # Errors
    /// When its type or version is unknown, or it does not parse.
    pub fn parse(event: &[u8]) -> Result<KeyEvent, KeyEventError> {
        let mut fields = Fields::new(event);
        if fields.u8()? != kind::KEY {
            return Err(KeyEventError::Kind);
        }
        let (what, version) = (fields.u8()?, fields.u8()?);
        if version != VERSION {
            return Err(KeyEventError::Version { got: version });
        }
        let parsed = match what {
            OPENING => KeyEvent::Opening(SignedOpening::parse(&mut fields)?),
            CLOSING => KeyEvent::Closing(Closing::parse(&mut fields)?),
            got => return Err(KeyEventError::Version { got }),
        };
        fields.end()?;
        Ok(parsed)
    }
}

const NO_SIGNATURE: [u8; SIGNATURE_LEN] = [0; SIGNATURE_LEN];

/// A key or gap event does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyEventError {
    /// The kind byte is another event's.
    #[error("the event is of another kind")]
    Kind,
    /// Shorter or longer than its layout.
    #[error("the event has the wrong length")]
    Length,
    /// A type or version that is not known.
    #[error("type or version {got} of the event is unknown")]
    Version {
        /// The byte found.
        got: u8,
    },
    /// A start, reason or cause without a meaning.
    #[error("a field of the event has no meaning")]
    Value,
    /// Reserved bytes are not zero.
    #[error("the event's reserved bytes are not zero")]
    Reserved,
}

impl From<WrongLength> for KeyEventError {
    fn from(_: WrongLength) -> KeyEventError {
        KeyEventError::Length
    }
}
