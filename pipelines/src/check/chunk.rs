//! A piece of a stream's log at a time: read in order, then hashed and examined on all cores.

use std::io;
use std::num::NonZeroUsize;

use spanseal_ledger::batch::BatchError;
use spanseal_ledger::leaf::plain_hash;
use spanseal_ledger::verify::HashedBatch;
use spanseal_log::{Damage, Item, Reader, SegmentStart};

use super::content::Content;
use super::payloads::PayloadFacts;
use crate::payload::PayloadHead;

/// What a reader found, with bytes of its own.
pub(super) enum Piece {
    SegmentStart(SegmentStart),
    Batch(Vec<u8>),
    Payload(Vec<u8>),
    Superseded { first: u64, bytes: Vec<u8> },
    Torn { bytes: u64 },
    Damaged(Damage),
}

/// A piece after everything that can be done without knowing what came before it.
pub(super) enum Examined<'a> {
    SegmentStart(&'a SegmentStart),
    Batch(Result<Box<ExaminedBatch<'a>>, BatchError>),
    Payload(PayloadFacts),
    Superseded { first: u64, bytes: &'a [u8] },
    Torn { bytes: u64 },
    Damaged(Damage),
}

pub(super) struct ExaminedBatch<'a> {
    pub(super) hashed: HashedBatch<'a>,
    pub(super) content: Content,
}

/// Reads the next pieces, up to about [`CHUNK_BYTES`]; none at the end.
pub(super) fn read(reader: &mut Reader, chunk: &mut Vec<Piece>) -> io::Result<u64> {
    chunk.clear();
    let mut bytes = 0;
    while bytes < CHUNK_BYTES {
        let Some(item) = reader.read_next()? else { break };
        let piece = match item {
            Item::SegmentStart(start) => Piece::SegmentStart(start),
            Item::Batch { bytes, .. } => Piece::Batch(bytes.to_vec()),
            Item::Payload { bytes, .. } => Piece::Payload(bytes.to_vec()),
            Item::Superseded { first, bytes, .. } => Piece::Superseded { first, bytes: bytes.to_vec() },
            // An interrupted write that was written again in the next segment.
            Item::Torn { superseded: true, .. } => continue,
            Item::Torn { bytes, .. } => Piece::Torn { bytes },
            Item::Damaged { what, .. } => Piece::Damaged(what),
            _ => continue,
        };
        bytes += piece.len();
        chunk.push(piece);
    }
    Ok(bytes)
}

/// Examines the pieces, in their order, on as many threads.
pub(super) fn examine(chunk: &[Piece], threads: NonZeroUsize) -> Vec<Examined<'_>> {
    let share = chunk.len().div_ceil(threads.get()).max(1);
    if threads.get() == 1 || chunk.len() < SHARED_MIN {
        return chunk.iter().map(Piece::examine).collect();
    }
    std::thread::scope(|scope| {
        let shares = chunk.chunks(share);
        let workers: Vec<_> =
            shares.map(|pieces| scope.spawn(|| pieces.iter().map(Piece::examine).collect::<Vec<_>>())).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

impl Piece {
    fn examine(&self) -> Examined<'_> {
        match self {
            Self::SegmentStart(start) => Examined::SegmentStart(start),
            Self::Batch(bytes) => Examined::Batch(HashedBatch::parse(bytes).map(|hashed| {
                let content = Content::of(hashed.batch());
                Box::new(ExaminedBatch { hashed, content })
            })),
            Self::Payload(bytes) => {
                Examined::Payload(PayloadFacts { id: plain_hash(bytes), head: PayloadHead::read(bytes) })
            }
            Self::Superseded { first, bytes } => Examined::Superseded { first: *first, bytes },
            Self::Torn { bytes } => Examined::Torn { bytes: *bytes },
            Self::Damaged(what) => Examined::Damaged(*what),
        }
    }

    fn len(&self) -> u64 {
        let bytes = match self {
            Self::Batch(bytes) | Self::Payload(bytes) | Self::Superseded { bytes, .. } => bytes.len(),
            _ => 0,
        };
        bytes as u64 + RECORD_HEAD
    }
}

/// Enough for all cores, little enough for any machine.
const CHUNK_BYTES: u64 = 8 << 20;
/// Fewer pieces than this are not worth a thread.
const SHARED_MIN: usize = 8;
const RECORD_HEAD: u64 = 9;
