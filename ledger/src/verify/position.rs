//! Where a verifier stands, to be stored and taken up again.
//!
//! ```text
//!   0            264      265                 266      267
//!   +------------+--------+-------------------+--------+------------------+
//!   | last seal  | ending | frontier length   | frontier, 32 bytes each    |
//!   +------------+--------+-------------------+----------------------------+
//! ```

use alloc::vec::Vec;

use super::chain::{Chain, Ending, EpochState};
use super::root_state::RootState;
use crate::id::StreamId;
use crate::key_event::CloseReason;
use crate::layout::Fields;
use crate::seal::{SEAL_LEN, SignedSeal};
use crate::sealer::Head;
use crate::tree::Frontier;

/// Where a stream's verification stands: after its last seal, with its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    seal: SignedSeal,
    ending: Ending,
    frontier: Frontier,
}

impl Position {
    /// The stream.
    pub fn stream(&self) -> StreamId {
        self.seal.seal.stream
    }

    /// The next index.
    pub fn next_index(&self) -> u64 {
        self.frontier.size()
    }

    /// The last seal.
    pub fn seal(&self) -> &SignedSeal {
        &self.seal
    }

    /// Why the epoch of the last seal closed by itself, if it did.
    pub fn closed(&self) -> Option<CloseReason> {
        match self.ending {
            Ending::Closed(reason) => Some(reason),
            Ending::Open | Ending::Unknown => None,
        }
    }

    /// The stream's head, from which its next epoch is opened.
    pub fn head(&self) -> Head {
        Head {
            stream: self.stream(),
            epoch: self.seal.seal.epoch,
            frontier: self.frontier.clone(),
            seal_hash: self.seal.hash(),
            wall: self.seal.seal.wall,
        }
    }

    /// Writes the position down.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.seal.encode().to_vec();
        bytes.push(match self.ending {
            Ending::Open => 0,
            Ending::Closed(reason) => reason.number(),
            Ending::Unknown => UNKNOWN_ENDING,
        });
        // A frontier has at most 64 hashes.
        bytes.push(self.frontier.hashes().len() as u8);
        bytes.extend_from_slice(self.frontier.hashes().as_flattened());
        bytes
    }

    /// Reads a position. It is believed as far as its seal is: the frontier must hash to the sealed root.
    ///
    /// # Errors
    /// When the bytes are not such a position.
    pub fn decode(bytes: &[u8]) -> Result<Position, ResumeError> {
        let refused = |_| ResumeError::Malformed;
        let mut fields = Fields::new(bytes);
        let seal: [u8; SEAL_LEN] = fields.array().map_err(refused)?;
        let seal = SignedSeal::parse(&seal).map_err(|_| ResumeError::Malformed)?;
        let ending = match fields.u8().map_err(refused)? {
            0 => Ending::Open,
            UNKNOWN_ENDING => Ending::Unknown,
            number => Ending::Closed(CloseReason::from_number(number).ok_or(ResumeError::Malformed)?),
        };
        let length = fields.u8().map_err(refused)?;
        let hashes = (0..length).map(|_| fields.array()).collect::<Result<Vec<_>, _>>().map_err(refused)?;
        fields.end().map_err(refused)?;
        let frontier = Frontier::from_parts(seal.seal.size(), hashes).map_err(|_| ResumeError::Malformed)?;
        if frontier.root() == seal.seal.root {
            Ok(Position { seal, ending, frontier })
        } else {
            Err(ResumeError::Malformed)
        }
    }

    pub(super) fn of(chain: &Chain) -> Option<Position> {
        let (seal, epoch, frontier) = (chain.last_seal?, chain.epoch?, chain.tree.clone()?);
        Some(Position { seal, ending: epoch.ending, frontier })
    }

    pub(super) fn chain(&self, root: &RootState) -> Result<Chain, ResumeError> {
        let seal = &self.seal.seal;
        let epoch = root.epoch(&seal.stream, seal.epoch).ok_or(ResumeError::UnknownEpoch)?;
        self.seal.verify(&epoch.key).map_err(|_| ResumeError::BadSignature)?;
        let state = EpochState::after(seal, self.ending);
        Ok(Chain::resumed(&self.seal, self.frontier.clone(), state))
    }
}

/// Stands for an ending that this version cannot tell.
const UNKNOWN_ENDING: u8 = 0xff;

/// A verifier cannot go on from a stored position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// Not a position, or its frontier does not hash to its sealed root.
    #[error("the stored position does not parse")]
    Malformed,
    /// The root log does not have its epoch.
    #[error("the root log does not open the epoch of the stored position")]
    UnknownEpoch,
    /// Its seal is not signed by its epoch's key.
    #[error("the seal of the stored position does not verify")]
    BadSignature,
    /// A checkpoint, a pin or a root leaf speaks of its size or a smaller one, and is not what was compared there.
    #[error("what is signed for sizes up to the stored position is not what it was compared with")]
    OtherClaims,
}
