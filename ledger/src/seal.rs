//! The seal: the signed statement over one batch (format.md section 4).
//!
//! ```text
//!   0                  16        32     36     38   40       48      56      88           120    128    136
//!   +------------------+---------+------+------+----+--------+-------+-------+------------+------+------+--
//!   | spanseal/seal/v1 | stream  |epoch |count | 00 | first  | size  | root  | previous   | wall | mono | ...
//!   +------------------+---------+------+------+----+--------+-------+-------+------------+------+------+--
//!      136           144        152      160         168        176       184    192       200         264
//!   --+-------------+----------+--------+-----------+----------+---------+------+---------+-----------+
//!     | wall behind | received | sealed | duplicate | conflict | invalid | shed | refused | signature |
//!   --+-------------+----------+--------+-----------+----------+---------+------+---------+-----------+
//! ```

use crate::id::StreamId;
use crate::key::{BadSignature, PublicKey, SIGNATURE_LEN, Signer};
use crate::layout::{Fields, WrongLength};
use crate::leaf::{Hash, tagged_hash};

/// Bytes of a signed seal.
pub const SEAL_LEN: usize = 264;
/// Bytes that the signature covers.
pub const SIGNED_LEN: usize = SEAL_LEN - SIGNATURE_LEN;
/// Events of a batch at most, and the length of a run, which no batch crosses.
pub const EVENTS_MAX: u16 = 256;
/// The hash of the previous seal, in the first seal of a stream.
pub const NO_SEAL: Hash = [0; 32];

const MAGIC: &[u8; 16] = b"spanseal/seal/v1";

/// What became of the spans that an epoch received; cumulative within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Spans in OTLP requests that were taken in.
    pub received: u64,
    /// Span events sealed.
    pub sealed: u64,
    /// Spans recognised as a retry.
    pub duplicate: u64,
    /// Spans with the ids of another and other bytes.
    pub conflict: u64,
    /// Spans refused for good.
    pub invalid: u64,
    /// Spans given up.
    pub shed: u64,
    /// Spans answered retryably; outside the sum.
    pub refused: u64,
}

impl Counters {
    /// Whether received = sealed + duplicate + conflict + invalid + shed.
    pub fn add_up(&self) -> bool {
        let parts = [self.sealed, self.duplicate, self.conflict, self.invalid, self.shed];
        parts.into_iter().try_fold(0u64, u64::checked_add) == Some(self.received)
    }

    /// Whether no counter is below what it was.
    pub fn grew_from(&self, before: &Counters) -> bool {
        self.in_order().iter().zip(before.in_order()).all(|(now, then)| *now >= then)
    }

    fn in_order(&self) -> [u64; 7] {
        [self.received, self.sealed, self.duplicate, self.conflict, self.invalid, self.shed, self.refused]
    }
}

/// The fields of a seal, without its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The stream that the batch belongs to.
    pub stream: StreamId,
    /// The epoch whose key signs, from 1.
    pub epoch: u32,
    /// Events in the batch, 1 to 256.
    pub count: u16,
    /// Index of the first event.
    pub first: u64,
    /// Root of the stream's tree at [`Seal::size`].
    pub root: Hash,
    /// Hash of the previous seal of the stream; [`NO_SEAL`] in the first.
    pub previous: Hash,
    /// Wall time in nanoseconds since the Unix epoch, never below the previous seal's.
    pub wall: u64,
    /// Nanoseconds since the epoch opened, never below the previous seal's in the epoch.
    pub monotonic: u64,
    /// Times in this epoch that the wall clock was found behind the previous seal.
    pub wall_behind: u64,
    /// What became of the spans received in this epoch.
    pub counters: Counters,
}

impl Seal {
    /// The stream's size after the batch: first index + count.
    pub fn size(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }

    /// Whether first and last index lie in different runs of 256, which no batch may (format.md section 5).
    pub fn crosses_run(&self) -> bool {
        let run = u64::from(EVENTS_MAX);
        self.first / run != self.size().saturating_sub(1) / run
    }

    /// Returns the bytes that the seal's signature covers: every field but the signature, in layout order.
    pub fn signed_bytes(&self) -> [u8; SIGNED_LEN] {
        let mut bytes = [0; SIGNED_LEN];
        let mut rest = &mut bytes[..];
        let mut put = |field: &[u8]| {
            let (place, after) = core::mem::take(&mut rest).split_at_mut(field.len());
            place.copy_from_slice(field);
            rest = after;
        };
        put(MAGIC);
        put(&self.stream.0);
        put(&self.epoch.to_be_bytes());
        put(&self.count.to_be_bytes());
        put(&[0; 2]);
        put(&self.first.to_be_bytes());
        put(&self.size().to_be_bytes());
        put(&self.root);
        put(&self.previous);
        [self.wall, self.monotonic, self.wall_behind].iter().for_each(|time| put(&time.to_be_bytes()));
        self.counters.in_order().iter().for_each(|counter| put(&counter.to_be_bytes()));
        bytes
    }

    /// Signs the seal with its epoch's key.
    pub fn sign(self, epoch_key: &dyn Signer) -> SignedSeal {
        let signature = epoch_key.sign(&self.signed_bytes());
        SignedSeal { seal: self, signature }
    }

    fn parse(fields: &mut Fields<'_>) -> Result<Seal, SealError> {
        check_magic(&fields.array()?)?;
        let stream = StreamId(fields.array()?);
        let epoch = fields.u32()?;
        let count = fields.u16()?;
        if count == 0 || count > EVENTS_MAX {
            return Err(SealError::Count { got: count });
        }
        if fields.u16()? != 0 {
            return Err(SealError::Reserved);
        }
        let (first, size) = (fields.u64()?, fields.u64()?);
        if first.checked_add(u64::from(count)) != Some(size) {
            return Err(SealError::Size { first, count, size });
        }
        let (root, previous) = (fields.array()?, fields.array()?);
        let (wall, monotonic, wall_behind) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let counters = Counters {
            received: fields.u64()?,
            sealed: fields.u64()?,
            duplicate: fields.u64()?,
            conflict: fields.u64()?,
            invalid: fields.u64()?,
            shed: fields.u64()?,
            refused: fields.u64()?,
        };
        Ok(Seal { stream, epoch, count, first, root, previous, wall, monotonic, wall_behind, counters })
    }
}

fn check_magic(magic: &[u8; 16]) -> Result<(), SealError> {
    match magic {
        MAGIC => Ok(()),
        _ if magic[..15] == MAGIC[..15] => Err(SealError::Version { got: magic[15] }),
        _ => Err(SealError::Magic),
    }
}

/// A seal and its signature, which has not been verified by being parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedSeal {
    /// The signed fields.
    pub seal: Seal,
    /// The epoch key's signature over [`Seal::signed_bytes`].
    pub signature: [u8; SIGNATURE_LEN],
}

impl SignedSeal {
    /// Writes the 264 bytes.
    pub fn encode(&self) -> [u8; SEAL_LEN] {
        let mut bytes = [0; SEAL_LEN];
        bytes[..SIGNED_LEN].copy_from_slice(&self.seal.signed_bytes());
        bytes[SIGNED_LEN..].copy_from_slice(&self.signature);
        bytes
    }

    /// Reads the 264 bytes. Every byte is checked or carried, so that [`SignedSeal::encode`] gives them back.
    ///
    /// # Errors
    /// When a field has no meaning in this version.
    pub fn parse(bytes: &[u8; SEAL_LEN]) -> Result<SignedSeal, SealError> {
        let mut fields = Fields::new(bytes);
        let seal = Seal::parse(&mut fields)?;
        let signature = fields.array()?;
        fields.end()?;
        Ok(SignedSeal { seal, signature })
    }

    /// Returns the hash by which the next seal names this one.
    pub fn hash(&self) -> Hash {
        // SHA-256(0x02 || all 264 bytes)
        tagged_hash(0x02, &[&self.encode()])
    }

    /// Verifies the signature strictly.
    ///
    /// # Errors
    /// When it is not the key's.
    pub fn verify(&self, epoch_key: &PublicKey) -> Result<(), BadSignature> {
        epoch_key.verify(&self.seal.signed_bytes(), &self.signature)
    }
}

/// A seal does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Fewer or more than 264 bytes.
    #[error("a seal has {SEAL_LEN} bytes")]
    Length,
    /// Something other than a seal.
    #[error("the bytes are not a seal")]
    Magic,
    /// A seal of another version.
    #[error("seal version {:?} is unknown", char::from(*got))]
    Version {
        /// The version character found.
        got: u8,
    },
    /// A count outside 1 to 256.
    #[error("a batch of {got} events, not 1 to {EVENTS_MAX}")]
    Count {
        /// The count found.
        got: u16,
    },
    /// The reserved bytes are not zero.
    #[error("the seal's reserved bytes are not zero")]
    Reserved,
    /// The size is not first index + count.
    #[error("size {size} is not first index {first} + count {count}")]
    Size {
        /// The first index found.
        first: u64,
        /// The count found.
        count: u16,
        /// The size found.
        size: u64,
    },
}

impl From<WrongLength> for SealError {
    fn from(_: WrongLength) -> SealError {
        SealError::Length
    }
}
