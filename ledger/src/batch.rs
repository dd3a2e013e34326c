//! A batch: one seal and up to 256 events, one record in the log (format.md section 5).
//!
//! ```text
//!   +------------+--------+-----------------+--------+-----------------+---
//!   | seal (264) | length | kind and body   | length | kind and body   | ...   count times, nothing after
//!   +------------+--------+-----------------+--------+-----------------+---
//!                 2 bytes  1 to 65,535 bytes
//! ```

use alloc::vec::Vec;

use crate::leaf::{Hash, leaf_hash};
use crate::seal::{SEAL_LEN, Seal, SealError, SignedSeal};

pub use crate::seal::EVENTS_MAX;

/// Bytes of a batch at most, seal and lengths included.
pub const BATCH_BYTES_MAX: usize = 900_000;
/// Bytes of an event at most, kind byte included.
pub const EVENT_BYTES_MAX: usize = 65_535;
/// Bytes of the length before each event.
pub const LENGTH_LEN: usize = 2;

/// A batch that parses. Nothing is verified by that: use [`crate::verify::StreamVerifier`].
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    seal: SignedSeal,
    entries: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Reads a batch and checks its layout down to the last byte.
    ///
    /// # Errors
    /// When the seal does not parse, or the events are not exactly `count` of them, each of 1 to 65,535 bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Batch<'a>, BatchError> {
        if bytes.len() > BATCH_BYTES_MAX {
            return Err(BatchError::TooLong { got: bytes.len() });
        }
        let Some((seal, entries)) = bytes.split_first_chunk::<SEAL_LEN>() else {
            return Err(BatchError::Seal(SealError::Length));
        };
        let seal = SignedSeal::parse(seal)?;
        check_entries(entries, seal.seal.count)?;
        Ok(Batch { seal, entries })
    }

    /// The seal's fields.
    pub fn seal(&self) -> &Seal {
        &self.seal.seal
    }

    /// The seal with its signature.
    pub fn signed_seal(&self) -> &SignedSeal {
        &self.seal
    }

    /// The events in index order, each a kind byte and a body.
    pub fn events(&self) -> Events<'a> {
        Events { entries: self.entries }
    }

    /// The events with their lengths: a C2SP tlog-tiles entry bundle, or a part of one.
    pub fn entries(&self) -> &'a [u8] {
        self.entries
    }

    /// Hashes every event, before any of them is parsed. Most of the work of verifying; it needs no order.
    pub fn leaf_hashes(&self) -> Vec<Hash> {
        self.events().map(leaf_hash).collect()
    }
}

fn check_entries(entries: &[u8], count: u16) -> Result<(), BatchError> {
    let mut rest = entries;
    for place in 0..count {
        let (event, after) = split_entry(rest).ok_or(BatchError::Event { place })?;
        if event.is_empty() {
            return Err(BatchError::Event { place });
        }
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(BatchError::Trailing { got: rest.len() }) }
}

fn split_entry(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = entries.split_first_chunk::<LENGTH_LEN>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The events of a batch, in index order.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    entries: &'a [u8],
}

impl<'a> Iterator for Events<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (event, rest) = split_entry(self.entries)?;
        self.entries = rest;
        Some(event)
    }
}

/// A batch does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The seal does not parse.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// More than 900,000 bytes.
    #[error("a batch of {got} bytes, more than {BATCH_BYTES_MAX}")]
    TooLong {
        /// The length found.
        got: usize,
    },
    /// An event is empty or ends after the batch.
    #[error("event {place} of the batch is empty or incomplete")]
    Event {
        /// The event's place in the batch, from 0.
        place: u16,
    },
    /// Bytes follow the last event.
    #[error("{got} bytes follow the last event of the batch")]
    Trailing {
        /// How many.
        got: usize,
    },
}
