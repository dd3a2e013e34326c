//! Where the verification of a whole stream stands midway, to be gone on from as if it had never stopped.
//!
//! ```text
//!   0         48       56      57         65       97
//!   +---------+--------+-------+----------+--------+-------------+
//!   | counts  | claims | pin?  | pin size | root   | position    |
//!   +---------+--------+-------+----------+--------+-------------+
//! ```
//! Nothing authenticates it but the seal in its position: whoever can write it can have what lies before it passed over.

use alloc::vec::Vec;

use super::position::{Position, ResumeError};
use super::root_state::RootState;
use super::stream::{Counts, StreamVerifier};
use crate::layout::{Fields, WrongLength};
use crate::leaf::Hash;

/// A stream's verification midway, with nothing found so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Midway {
    counts: Counts,
    /// How many claims of root leaves about smaller sizes were compared.
    claims: u64,
    /// The pin below, if one was compared: its size and root.
    pin: Option<(u64, Hash)>,
    position: Position,
}

impl Midway {
    /// Where the stream goes on.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Writes it down.
    pub fn encode(&self) -> Vec<u8> {
        let Counts { seen, batches, events, unrooted, spans, epochs } = self.counts;
        let numbers = [seen, batches, events, unrooted, spans, epochs, self.claims];
        let mut bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_be_bytes).collect();
        let (size, root) = self.pin.unwrap_or_default();
        bytes.push(u8::from(self.pin.is_some()));
        bytes.extend_from_slice(&size.to_be_bytes());
        bytes.extend_from_slice(&root);
        bytes.extend_from_slice(&self.position.encode());
        bytes
    }

    /// Reads what [`Midway::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not that.
    pub fn decode(bytes: &[u8]) -> Result<Midway, ResumeError> {
        let (head, position) = bytes.split_at_checked(HEAD_LEN).ok_or(ResumeError::Malformed)?;
        let position = Position::decode(position)?;
        let mut fields = Fields::new(head);
        let read = || -> Result<Midway, WrongLength> {
            let counts = Counts {
                seen: fields.u64()?,
                batches: fields.u64()?,
                events: fields.u64()?,
                unrooted: fields.u64()?,
                spans: fields.u64()?,
                epochs: fields.u64()?,
            };
            let claims = fields.u64()?;
            let pinned = fields.u8()? != 0;
            let pin = (fields.u64()?, fields.array()?);
            Ok(Midway { counts, claims, pin: pinned.then_some(pin), position })
        };
        read().map_err(|_| ResumeError::Malformed)
    }
}

impl StreamVerifier {
    /// Where the verifier stands, if nothing was found and the stream's checkpoint covers it: what is signed later is then
    /// signed for later sizes.
    pub fn midway(&self, root: &RootState) -> Option<Midway> {
        let position = self.position().filter(|_| self.has_found_nothing())?;
        let size = position.next_index();
        self.checkpoint.as_ref().filter(|checkpoint| size <= checkpoint.size())?;
        let pin = self.pin.as_ref().filter(|pin| pin.size() < size).map(|pin| (pin.size(), *pin.root()));
        Some(Midway { counts: self.counts, claims: claims_below(root, &position), pin, position })
    }

    /// Goes on as a verifier of the whole stream. What was signed for sizes before must be what was compared then; what is
    /// signed for exactly this size is compared now.
    ///
    /// # Errors
    /// When the root log, the checkpoint or the pin is not one that the position can stand behind.
    pub fn go_on(root: &RootState, midway: &Midway, note: Option<&[u8]>) -> Result<StreamVerifier, ResumeError> {
        let mut verifier = StreamVerifier::resume(root, &midway.position)?;
        let size = verifier.next_index();
        verifier.take_notes(root, note);
        verifier.compared = size.checked_sub(1);
        verifier.compare(root);
        let covered = verifier.checkpoint.as_ref().is_some_and(|checkpoint| size <= checkpoint.size());
        let pin = verifier.pin.as_ref().filter(|pin| pin.size() < size).map(|pin| (pin.size(), *pin.root()));
        let same = claims_below(root, &midway.position) == midway.claims && (pin.is_none() || pin == midway.pin);
        if !covered || !same || !verifier.has_found_nothing() {
            return Err(ResumeError::OtherClaims);
        }
        verifier.pin_holds |= pin.is_some();
        verifier.counts = midway.counts;
        Ok(verifier)
    }
}

fn claims_below(root: &RootState, position: &Position) -> u64 {
    let below = position.next_index().saturating_sub(1);
    root.stream(&position.stream()).map_or(0, |stream| stream.claims_in(0..=below).len() as u64)
}

const HEAD_LEN: usize = 7 * 8 + 1 + 8 + 32;
