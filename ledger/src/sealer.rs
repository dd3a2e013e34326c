//! The writing side of one open epoch: events in, sealed batches out. Pure: the caller brings clock, key and counters.
//!
//! The order of an epoch's life, and what a crash between two steps leaves behind:
//! 1. the epoch-open root leaf, durable ([`Submission::open_epoch`]). A crash here: an epoch without events; it is closed
//!    at its first index, and the next has a higher number.
//! 2. [`Sealer::open`], whose first event is the opening that quotes the leaf; then batches. A crash here: the key is gone,
//!    what is durable can only be replayed; the identity key closes the epoch in the root log.
//! 3. [`Sealer::close`], durable. A crash here: the same.
//! 4. the epoch-close root leaf, by the key in [`Closed`], which is wiped when that is dropped.
//!
//! [`Submission::open_epoch`]: crate::root_leaf::Submission::open_epoch

use alloc::vec::Vec;
use core::fmt;

use crate::batch::{BATCH_BYTES_MAX, EVENT_BYTES_MAX, LENGTH_LEN};
use crate::epoch::Start;
use crate::id::StreamId;
use crate::key::{PublicKey, SIGNATURE_LEN, SecretKey, Signer};
use crate::key_event::{CLOSING_LEN, CloseReason, Closing, SignedOpening};
use crate::kind;
use crate::leaf::{Hash, leaf_hash};
use crate::seal::{Counters, EVENTS_MAX, NO_SEAL, SEAL_LEN, Seal};
use crate::tree::Frontier;

/// Where a stream ends: what the next seal continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The stream.
    pub stream: StreamId,
    /// The epoch of the last seal; 0 before the first.
    pub epoch: u32,
    /// The stream's tree.
    pub frontier: Frontier,
    /// Hash of the last seal; [`NO_SEAL`] before the first.
    pub seal_hash: Hash,
    /// Wall time of the last seal; 0 before the first.
    pub wall: u64,
}

impl Head {
    /// The head of a stream that has no event yet.
    pub fn empty(stream: StreamId) -> Head {
        Head { stream, epoch: 0, frontier: Frontier::new(), seal_hash: NO_SEAL, wall: 0 }
    }
}

/// What the clocks say when a batch is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Nanoseconds since the Unix epoch.
    pub wall_unix_nano: u64,
    /// Nanoseconds since the epoch was opened, by a clock that is not set.
    pub monotonic_nano: u64,
}

/// What became of the spans that were received in this epoch and not sealed; cumulative. The sealer counts those sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Recognised as a retry.
    pub duplicate: u64,
    /// With the ids of another and other bytes.
    pub conflict: u64,
    /// Refused for good.
    pub invalid: u64,
    /// Given up.
    pub shed: u64,
    /// Answered retryably; these count as not received.
    pub refused: u64,
}

/// What still fits the current batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Events; 0 means that a seal is due first.
    pub events: u16,
    /// Bytes of events, kind bytes and lengths included.
    pub bytes: usize,
}

/// One open epoch of a stream. Its key lives in here only and is wiped on drop.
pub struct Sealer {
    key: SecretKey,
    stream: StreamId,
    epoch: u32,
    frontier: Frontier,
    last: LastSeal,
    /// The batch: room for the seal, then the events with their lengths, as they will be written.
    buffer: Vec<u8>,
    /// Events in the buffer that are not sealed yet.
    waiting: u16,
}

struct LastSeal {
    hash: Hash,
    wall: u64,
    wall_behind: u64,
    monotonic: u64,
    tally: Tally,
    /// Span events of the epoch, those waiting included.
    spans: u64,
}

impl Sealer {
    /// Opens the epoch that `opening` names, with the opening as its first event. Its root leaf is already durable.
    ///
    /// # Errors
    /// When the opening does not continue `head`, or is not this key's.
    pub fn open(head: Head, epoch_key: SecretKey, opening: &SignedOpening) -> Result<Sealer, OpenError> {
        check_opening(&head, &epoch_key, opening)?;
        let last = LastSeal {
            hash: head.seal_hash,
            wall: head.wall,
            wall_behind: 0,
            monotonic: 0,
            tally: Tally::default(),
            spans: 0,
        };
        let mut sealer = Sealer {
            key: epoch_key,
            stream: head.stream,
            epoch: opening.opening.epoch.epoch,
            frontier: head.frontier,
            last,
            buffer: empty_buffer(),
            waiting: 0,
        };
        let event = opening.encode();
        sealer.append(|buffer| buffer.extend_from_slice(&event)).map_err(|_| OpenError::NoRoom)?;
        Ok(sealer)
    }

    /// The stream.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The epoch's number.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The epoch's public key.
    pub fn epoch_key(&self) -> PublicKey {
        self.key.public()
    }

    /// The index that the next event gets.
    pub fn next_index(&self) -> u64 {
        self.frontier.size()
    }

    /// Events that wait for a seal.
    pub fn waiting(&self) -> u16 {
        self.waiting
    }

    /// What still fits the current batch: it ends where its run of 256 ends, and at 900,000 bytes.
    pub fn room(&self) -> Room {
        let run = u64::from(EVENTS_MAX);
        let in_run = self.next_index() % run;
        // At the start of a run everything waiting belongs to the run before.
        let events = if in_run == 0 && self.waiting > 0 { 0 } else { run - in_run };
        let used = if self.waiting == 0 { SEAL_LEN } else { self.buffer.len() };
        // events <= 256
        Room { events: events as u16, bytes: BATCH_BYTES_MAX - used }
    }

    /// Whether an event of that many bytes, kind byte included, fits the current batch.
    pub fn fits(&self, event_len: usize) -> bool {
        let room = self.room();
        event_len <= EVENT_BYTES_MAX && room.events > 0 && LENGTH_LEN + event_len <= room.bytes
    }

    /// Appends an event, which `body` writes straight into the batch, and returns its index.
    ///
    /// # Errors
    /// When the event is too large or does not fit the current batch, or its kind is [`kind::KEY`], which only opening and
    /// closing have. Nothing is appended then.
    pub fn push(&mut self, event_kind: u8, body: impl FnOnce(&mut Vec<u8>)) -> Result<u64, PushError> {
        if event_kind == kind::KEY {
            return Err(PushError::KeyEvent);
        }
        let index = self.append(|buffer| {
            buffer.push(event_kind);
            body(buffer);
        })?;
        self.last.spans += u64::from(event_kind == kind::SPAN);
        Ok(index)
    }

    /// Seals what waits and returns the batch, ready to be written; `None` when no event waits.
    ///
    /// Wall time, monotonic time and counters never fall, whatever the caller's clock does; a wall clock behind the
    /// previous seal is counted.
    pub fn seal(&mut self, clock: Clock, tally: &Tally) -> Option<&[u8]> {
        if self.waiting == 0 {
            return None;
        }
        let seal = self.next_seal(clock, tally).sign(&self.key);
        self.buffer[..SEAL_LEN].copy_from_slice(&seal.encode());
        self.last.hash = seal.hash();
        self.last.wall = seal.seal.wall;
        self.last.wall_behind = seal.seal.wall_behind;
        self.last.monotonic = seal.seal.monotonic;
        self.last.tally = tally_of(&seal.seal.counters);
        self.waiting = 0;
        Some(&self.buffer)
    }

    /// Where the stream ends. Events that wait for a seal are not part of it: `None` while there are any.
    pub fn head(&self) -> Option<Head> {
        (self.waiting == 0).then(|| Head {
            stream: self.stream,
            epoch: self.epoch,
            frontier: self.frontier.clone(),
            seal_hash: self.last.hash,
            wall: self.last.wall,
        })
    }

    /// Ends the epoch by itself: seals what waits with a closing event behind it, in one batch or two, into `out`.
    ///
    /// The key is left only for the epoch-close root leaf and, in a rotation, for signing its successor.
    pub fn close(mut self, reason: CloseReason, clock: Clock, tally: &Tally, out: &mut Vec<Vec<u8>>) -> Closed {
        if !self.fits(CLOSING_LEN) {
            out.extend(self.seal(clock, tally).map(<[u8]>::to_vec));
        }
        let wall = clock.wall_unix_nano.max(self.last.wall);
        let closing = Closing { reason, stream: self.stream, epoch: self.epoch, index: self.next_index(), wall };
        let event = closing.encode();
        // A batch that was just sealed has room for 40 bytes, and so has one that they fit.
        let _ = self.append(|buffer| buffer.extend_from_slice(&event));
        out.extend(self.seal(clock, tally).map(<[u8]>::to_vec));
        let head = Head {
            stream: self.stream,
            epoch: self.epoch,
            frontier: self.frontier,
            seal_hash: self.last.hash,
            wall: self.last.wall,
        };
        Closed { head, key: self.key }
    }

    /// Writes the event behind its length, hashes it where it lies and appends the leaf.
    fn append(&mut self, event: impl FnOnce(&mut Vec<u8>)) -> Result<u64, PushError> {
        let room = self.room();
        if room.events == 0 {
            return Err(PushError::NoRoom);
        }
        if self.waiting == 0 {
            self.buffer.truncate(SEAL_LEN);
        }
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; LENGTH_LEN]);
        event(&mut self.buffer);
        let event_len = self.buffer.len().saturating_sub(start + LENGTH_LEN);
        let length = match u16::try_from(event_len) {
            Ok(0) | Err(_) => Err(PushError::Size { got: event_len }),
            Ok(_) if LENGTH_LEN + event_len > room.bytes => Err(PushError::NoRoom),
            Ok(length) => Ok(length),
        };
        let length = length.inspect_err(|_| self.buffer.truncate(start))?;
        self.buffer[start..start + LENGTH_LEN].copy_from_slice(&length.to_be_bytes());
        self.frontier.push(leaf_hash(&self.buffer[start + LENGTH_LEN..]));
        self.waiting += 1;
        Ok(self.frontier.size() - 1)
    }

    fn next_seal(&self, clock: Clock, tally: &Tally) -> Seal {
        let last = &self.last;
        Seal {
            stream: self.stream,
            epoch: self.epoch,
            count: self.waiting,
            first: self.frontier.size() - u64::from(self.waiting),
            root: self.frontier.root(),
            previous: last.hash,
            wall: clock.wall_unix_nano.max(last.wall),
            monotonic: clock.monotonic_nano.max(last.monotonic),
            wall_behind: last.wall_behind + u64::from(clock.wall_unix_nano < last.wall),
            counters: counters(last.spans, &last.tally, tally),
        }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({}-{}, epoch {})", self.stream, self.next_index(), self.epoch)
    }
}

/// Adds up the counters so that they cannot disagree: received is the sum of the rest.
fn counters(sealed: u64, before: &Tally, now: &Tally) -> Counters {
    let [duplicate, conflict, invalid, shed] = [
        now.duplicate.max(before.duplicate),
        now.conflict.max(before.conflict),
        now.invalid.max(before.invalid),
        now.shed.max(before.shed),
    ];
    let received = sealed + duplicate + conflict + invalid + shed;
    Counters { received, sealed, duplicate, conflict, invalid, shed, refused: now.refused.max(before.refused) }
}

fn tally_of(counters: &Counters) -> Tally {
    let Counters { duplicate, conflict, invalid, shed, refused, .. } = *counters;
    Tally { duplicate, conflict, invalid, shed, refused }
}

fn empty_buffer() -> Vec<u8> {
    let mut buffer = Vec::with_capacity(BATCH_BYTES_MAX);
    buffer.resize(SEAL_LEN, 0);
    buffer
}

fn check_opening(head: &Head, key: &SecretKey, opening: &SignedOpening) -> Result<(), OpenError> {
    let epoch = &opening.opening.epoch;
    let continues = epoch.stream == head.stream
        && epoch.first == head.frontier.size()
        && epoch.root == head.frontier.root()
        && epoch.seal_hash == head.seal_hash;
    let unsigned = epoch.start == Start::Rotation && opening.outgoing == [0; SIGNATURE_LEN];
    if !continues || epoch.epoch <= head.epoch {
        Err(OpenError::NotHead)
    } else if epoch.key != key.public().to_bytes33() {
        Err(OpenError::OtherKey)
    } else if unsigned {
        Err(OpenError::Unsigned)
    } else {
        Ok(())
    }
}

/// An epoch that ended by itself. Its key signs the epoch-close leaf and a successor, and is wiped on drop.
#[derive(Debug)]
pub struct Closed {
    head: Head,
    key: SecretKey,
}

impl Closed {
    /// Where the epoch left the stream.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The epoch's key, for [`crate::root_leaf::ClosedBy::EpochKey`] and the outgoing signatures of a rotation.
    pub fn key(&self) -> &dyn Signer {
        &self.key
    }
}

/// An epoch cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The opening continues another state than the stream's, or its epoch is not later than the stream's.
    #[error("the opening does not continue the head of the stream")]
    NotHead,
    /// The opening registers another key.
    #[error("the opening is of another epoch key")]
    OtherKey,
    /// A rotation without the outgoing key's signature.
    #[error("the opening of a rotation lacks the outgoing key's signature")]
    Unsigned,
    /// The stream is full.
    #[error("the stream has no room for another event")]
    NoRoom,
}

/// An event cannot be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The batch must be sealed first.
    #[error("the event does not fit the current batch: seal it first")]
    NoRoom,
    /// Empty or larger than an event may be.
    #[error("an event of {got} bytes, not 1 to {EVENT_BYTES_MAX}")]
    Size {
        /// Its bytes, kind byte included.
        got: usize,
    },
    /// Key events are written by opening and closing only.
    #[error("key events are written by opening and closing an epoch")]
    KeyEvent,
}
