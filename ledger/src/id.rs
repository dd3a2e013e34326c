//! Names: deployment, role, stream and event id (format.md section 1).

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use crate::text::{read_decimal, read_hex, write_hex};

/// A stream: the append-only sequence of batches of one writer. 16 random bytes; hex in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub [u8; 16]);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StreamId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<StreamId, IdError> {
        read_hex(text).map(StreamId).ok_or(IdError::Stream)
    }
}

/// The place of one event: `<stream hex>-<index>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// The stream that holds the event.
    pub stream: StreamId,
    /// The event's index in its stream, from 0.
    pub index: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.stream, self.index)
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<EventId, IdError> {
        let (stream, index) = text.split_once('-').ok_or(IdError::Event)?;
        let index = read_decimal(index).ok_or(IdError::Event)?;
        Ok(EventId { stream: stream.parse()?, index })
    }
}

/// A deployment's name: 1 to 128 bytes of visible ASCII without `+`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Deployment(String);

impl Deployment {
    /// Takes the name if it may stand in key names and origins.
    ///
    /// # Errors
    /// When it is empty, longer than 128 bytes, or holds a space, a `+` or anything else but visible ASCII.
    pub fn new(name: &str) -> Result<Deployment, IdError> {
        let visible = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+');
        if visible && (1..=DEPLOYMENT_BYTES_MAX).contains(&name.len()) {
            Ok(Deployment(name.to_string()))
        } else {
            Err(IdError::Deployment)
        }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name under which a role's key has its key id: `<deployment>/<role>`.
    pub fn role_name(&self, role: Role) -> String {
        format!("{}/{}", self.0, role.as_str())
    }

    /// The origin of a stream's checkpoints: `<deployment>/<stream hex>`.
    pub fn stream_origin(&self, stream: &StreamId) -> String {
        format!("{}/{stream}", self.0)
    }

    /// The origin of the root log's checkpoints: `<deployment>/root`.
    pub fn root_origin(&self) -> String {
        format!("{}/root", self.0)
    }

    /// The name under which an epoch key signs its own epoch-close leaf: `<deployment>/<stream hex>/<epoch>`.
    pub fn epoch_name(&self, stream: &StreamId, epoch: u32) -> String {
        format!("{}/{stream}/{epoch}", self.0)
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const DEPLOYMENT_BYTES_MAX: usize = 128;

/// What a long-lived key of a deployment signs (format.md section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Root leaves and epoch openings.
    Identity,
    /// Stream checkpoints and their root leaves.
    Checkpoint,
    /// Timestamped cosignatures.
    Cosign,
    /// Root log checkpoints.
    Sequencer,
}

impl Role {
    /// Every role, in the order of their numbers.
    pub const ALL: [Role; 4] = [Role::Identity, Role::Checkpoint, Role::Cosign, Role::Sequencer];

    /// The role's word in key names and trust files.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Identity => "identity",
            Role::Checkpoint => "checkpoint",
            Role::Cosign => "cosign",
            Role::Sequencer => "sequencer",
        }
    }

    /// The role's number in a register leaf, from 1.
    pub fn number(self) -> u8 {
        match self {
            Role::Identity => 1,
            Role::Checkpoint => 2,
            Role::Cosign => 3,
            Role::Sequencer => 4,
        }
    }

    /// The role with that number.
    pub fn from_number(number: u8) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.number() == number)
    }
}

/// A text is not the name that it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Not 32 digits of lower-case hex.
    #[error("a stream id is 32 digits of lower-case hex")]
    Stream,
    /// Not `<stream hex>-<index>`.
    #[error("an event id is <32 digits of lower-case hex>-<index>")]
    Event,
    /// Not 1 to 128 bytes of visible ASCII without `+`.
    #[error("a deployment name is 1 to 128 visible ASCII characters without '+'")]
    Deployment,
}
