//! A piece of a stream's log at a time: read by one thread, hashed and examined on all cores, taken in order.
//!
//! ```text
//!   read chunk n+1 (one thread) ||  examine chunk n (every core)  ->  take chunk n in order (this thread)
//! ```

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use spanseal_ledger::batch::BatchError;
use spanseal_ledger::leaf::plain_hash;
use spanseal_ledger::verify::{HashedBatch, RootState};
use spanseal_log::{Damage, Item, Reader, SegmentStart};

use super::content::Content;
use super::payloads::PayloadFacts;
use super::report::Tail;
use crate::payload::PayloadHead;

/// Some of a log in the order read. Its buffer is used again.
#[derive(Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    log_bytes: u64,
}

/// What a reader found; bytes are a range of the chunk's.
enum Piece {
    SegmentStart(SegmentStart),
    Batch { segment: u64, bytes: Range<usize> },
    Payload(Range<usize>),
    Superseded { first: u64, bytes: Range<usize> },
    Tail(Tail),
    Torn { bytes: u64 },
    Damaged(Damage),
}

/// A piece after everything that can be done without knowing what came before it.
pub(super) enum Examined<'a> {
    SegmentStart(&'a SegmentStart),
    Batch(Result<Box<ExaminedBatch<'a>>, BatchError>),
    Payload(PayloadFacts),
    Superseded { first: u64, bytes: &'a [u8] },
    Tail(Tail),
    Torn { bytes: u64 },
    Damaged(Damage),
}

pub(super) struct ExaminedBatch<'a> {
    pub(super) hashed: HashedBatch<'a>,
    pub(super) content: Content,
    /// The segment that it was read from.
    pub(super) segment: u64,
}

impl Chunk {
    /// Reads the next pieces, up to about `bytes_max`; none at the end.
    pub(super) fn read(&mut self, reader: &mut Reader, bytes_max: u64) -> io::Result<()> {
        self.bytes.clear();
        self.pieces.clear();
        self.log_bytes = 0;
        while self.log_bytes < bytes_max {
            let Some(item) = reader.read_next()? else { break };
            let piece = match item {
                Item::SegmentStart(start) => Piece::SegmentStart(start),
                Item::Batch { bytes, place, .. } => Piece::Batch { segment: place.segment, bytes: self.keep(bytes) },
                Item::Payload { bytes, .. } => Piece::Payload(self.keep(bytes)),
                Item::Superseded { first, bytes, .. } => Piece::Superseded { first, bytes: self.keep(bytes) },
                Item::Torn { place, bytes, superseded: true } => Piece::Tail(Tail { segment: place.segment, bytes }),
                Item::Torn { bytes, .. } => Piece::Torn { bytes },
                Item::Damaged { what, .. } => Piece::Damaged(what),
                _ => continue,
            };
            self.log_bytes += piece.log_bytes();
            self.pieces.push(piece);
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How much of the log it is.
    pub(super) fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// Examines the pieces on as many threads and takes each in its order, while another thread does `meanwhile`.
    pub(super) fn examine<'a, T: Send>(
        &'a self,
        root: &RootState,
        threads: NonZeroUsize,
        meanwhile: impl FnOnce() -> T + Send,
        take: &mut dyn FnMut(Examined<'a>, u64),
    ) -> T {
        let mut take = |(examined, log_bytes)| take(examined, log_bytes);
        if threads.get() == 1 || self.pieces.len() < SHARED_MIN {
            self.pieces.iter().for_each(|piece| take((self.examine_one(piece, root), piece.log_bytes())));
            return meanwhile();
        }
        let next = AtomicUsize::new(0);
        let (done, examined) = mpsc::channel();
        std::thread::scope(|scope| {
            let meanwhile = scope.spawn(meanwhile);
            for _ in 0..threads.get().min(self.pieces.len()) {
                let (done, next) = (done.clone(), &next);
                scope.spawn(move || {
                    let places = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                    let pieces = places.map_while(|place| Some((place, self.pieces.get(place)?)));
                    let examined = |piece: &'a Piece| (self.examine_one(piece, root), piece.log_bytes());
                    // Nobody takes them any more only when the taker has panicked.
                    let _ = pieces.map(|(place, piece)| done.send((place, examined(piece)))).try_for_each(|sent| sent);
                });
            }
            drop(done);
            in_order(&examined, &mut take);
            meanwhile.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn examine_one<'a>(&'a self, piece: &'a Piece, root: &RootState) -> Examined<'a> {
        match piece {
            Piece::SegmentStart(start) => Examined::SegmentStart(start),
            Piece::Batch { segment, bytes } => {
                Examined::Batch(HashedBatch::parse(&self.bytes[bytes.clone()]).map(|mut hashed| {
                    hashed.verify_signature(root);
                    let content = Content::of(hashed.batch());
                    Box::new(ExaminedBatch { hashed, content, segment: *segment })
                }))
            }
            Piece::Payload(bytes) => {
                let record = &self.bytes[bytes.clone()];
                Examined::Payload(PayloadFacts { id: plain_hash(record), head: PayloadHead::read(record) })
            }
            Piece::Superseded { first, bytes } => {
                Examined::Superseded { first: *first, bytes: &self.bytes[bytes.clone()] }
            }
            Piece::Tail(tail) => Examined::Tail(*tail),
            Piece::Torn { bytes } => Examined::Torn { bytes: *bytes },
            Piece::Damaged(what) => Examined::Damaged(*what),
        }
    }
}

impl Piece {
    /// How much of the log it is.
    fn log_bytes(&self) -> u64 {
        match self {
            Self::Batch { bytes, .. } | Self::Payload(bytes) | Self::Superseded { bytes, .. } => {
                bytes.len() as u64 + RECORD_HEAD
            }
            _ => 0,
        }
    }
}

/// Takes what comes in any order by place, each as soon as all before it were taken.
fn in_order<T>(coming: &mpsc::Receiver<(usize, T)>, take: &mut dyn FnMut(T)) {
    let mut waiting = std::collections::BTreeMap::new();
    let mut next = 0;
    for (place, piece) in coming {
        waiting.insert(place, piece);
        while let Some(piece) = waiting.remove(&next) {
            take(piece);
            next += 1;
        }
    }
}

/// Fewer pieces than this are not worth a thread.
const SHARED_MIN: usize = 8;
const RECORD_HEAD: u64 = 9;
