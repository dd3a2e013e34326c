//! What earlier processes left of the stream: read back, verified, remembered.

use std::io;

use spanseal_ledger::batch::Batch;
use spanseal_ledger::checkpoint::VerifiedCheckpoint;
use spanseal_ledger::key_event::{CloseReason, KeyEvent, KeyEventError};
use spanseal_ledger::sealer::Head;
use spanseal_ledger::verify::{Code, Detail, Fault, Position, RootState, StreamRoot, StreamVerifier};
use spanseal_ledger::{Role, StreamId};
use spanseal_log::{
    DataDir, Item, Owner, Reader, RecoverError, Recovered, SegmentStart, read_batch_at, recover, segment,
};

use super::fingerprint::Fingerprints;
use super::ground::read_note;
use super::keys::Keys;
use super::recall::Recall;
use super::subjects::Subjects;
use super::window::{Window, WindowLimits};

/// Reads streams back.
pub(crate) struct Reading<'a> {
    pub(crate) dir: &'a DataDir,
    pub(crate) keys: &'a Keys,
    pub(crate) state: &'a RootState,
    pub(crate) subjects: &'a dyn Subjects,
    pub(crate) limits: WindowLimits,
}

/// A stream as it was found.
pub(crate) struct Past {
    /// Where it ends; where its good part ends when it is not sound.
    pub(crate) head: Head,
    /// Why its last epoch ended by itself, if it did.
    pub(crate) closed: Option<CloseReason>,
    pub(crate) window: Window,
    /// Why the stream must not be continued.
    pub(crate) unsound: Option<Unsound>,
}

/// Something that no crash leaves behind: the stream was changed, or has lost what was durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unsound {
    #[error(transparent)]
    Unrecoverable(#[from] RecoverError),
    #[error("{0}")]
    Tampered(Box<Fault>),
    #[error("it ends at index {size} where {expected} was recovered")]
    Elsewhere { size: u64, expected: u64 },
}

/// Says that a log ends in a record that is not whole. No checkpoint covers it; but also who changes a byte behind the last
/// checkpoint leaves one, and nobody can tell the two apart later.
pub(super) fn warn_of_torn(log: &Owner, recovered: &Recovered) {
    if recovered.torn_bytes > 0 {
        let log = match log {
            Owner::RootLog => "rootlog".to_owned(),
            Owner::Stream(stream) => stream.to_string(),
        };
        tracing::warn!(
            log,
            bytes = recovered.torn_bytes,
            "the log ends in an incomplete record that no checkpoint covers: an interrupted write, unless somebody changed it"
        );
    }
}

impl Reading<'_> {
    /// Returns the size that was signed as durable, at least: the log must reach it.
    pub(crate) fn claimed_size(&self, stream: &StreamRoot) -> u64 {
        let note = self.note(&stream.stream).map_or(0, |note| note.size());
        let leaf = stream.last_checkpoint.map_or(0, |(_, at)| at.size);
        let epoch =
            stream.epochs.last().map_or(0, |epoch| epoch.close.map_or(epoch.start.first, |close| close.at.size));
        note.max(leaf).max(epoch)
    }

    /// Finds the end of a stream, makes it durable, and verifies and remembers as much of its tail as the window holds.
    ///
    /// # Errors
    /// When the disk cannot be read or written.
    pub(crate) fn read(&self, stream: &StreamRoot) -> io::Result<Past> {
        let (owner, path) = (Owner::Stream(stream.stream), self.dir.log(&Owner::Stream(stream.stream)));
        let claimed = self.claimed_size(stream);
        let (end, unrecoverable) = match recover(self.dir.storage(), &path, &owner, claimed) {
            Ok(recovered) => {
                warn_of_torn(&owner, &recovered);
                (End::of(&recovered), None)
            }
            Err(RecoverError::Io(error)) => return Err(error),
            Err(error) => (End { size: claimed, wall: 0 }, Some(Unsound::Unrecoverable(error))),
        };
        // What cannot be recovered is read all the same: where its good part ends is worth saying.
        let tail = self.tail(stream.stream, &end)?;
        let size = tail.position.as_ref().map_or(0, Position::next_index);
        let elsewhere = (size != end.size).then_some(Unsound::Elsewhere { size, expected: end.size });
        Ok(Past {
            closed: tail.position.as_ref().and_then(Position::closed),
            head: tail.position.map_or_else(|| Head::empty(stream.stream), |position| position.head()),
            window: tail.window,
            unsound: unrecoverable.or(tail.unsound).or(elsewhere),
        })
    }

    /// Verifies the stream from a segment on that holds what the window needs.
    fn tail(&self, stream: StreamId, end: &End) -> io::Result<Tail> {
        let mut tail = Tail { position: None, window: Window::new(self.limits), unsound: None };
        let from = self.tail_start(stream, end)?;
        let mut verifier = match self.verifier_at(stream, from)? {
            Ok(verifier) => verifier,
            Err(fault) => {
                tail.unsound = Some(Unsound::Tampered(Box::new(fault)));
                return Ok(tail);
            }
        };
        tail.position = verifier.position();
        let note = self.note(&stream);
        let fingerprints = Fingerprints::new(&self.keys.dedup);
        let mut recall = Recall::new(&fingerprints, self.subjects);
        let (owner, path) = (Owner::Stream(stream), self.dir.log(&Owner::Stream(stream)));
        let mut reader = Reader::open(self.dir.shared_storage(), &path, owner, from)?;
        while let Some(item) = reader.read_next()? {
            if let Err(fault) = check(&mut verifier, self.state, note.as_ref(), &item) {
                tail.unsound = Some(Unsound::Tampered(Box::new(fault)));
                return Ok(tail);
            }
            match item {
                Item::Payload { bytes, .. } => recall.payload(bytes),
                Item::Batch { bytes, .. } => recall.batch(bytes, &mut tail.window),
                _ => {}
            }
            tail.position = verifier.position();
        }
        let fault = verifier.finish(self.state).faults.tampered.into_iter().next();
        tail.unsound = fault.map(|fault| Unsound::Tampered(Box::new(fault)));
        Ok(tail)
    }

    /// Returns the first index of the segment from which on the stream is read back.
    ///
    /// It holds the window's entries and, since spans refer to events of the same run of 65,536, the whole run of the first.
    fn tail_start(&self, stream: StreamId, end: &End) -> io::Result<u64> {
        let (owner, path) = (Owner::Stream(stream), self.dir.log(&Owner::Stream(stream)));
        let oldest_wall = end.wall.saturating_sub(self.limits.nanos());
        let mut wanted = end.size.saturating_sub(self.limits.entries_max.get() as u64);
        let segments = match segment::list(self.dir.storage(), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            segments => segments?,
        };
        for first in segments.iter().copied().rev().filter(|first| *first > wanted) {
            let stored = read_batch_at(self.dir.storage(), &path, &owner, first, None)?;
            let batch = stored.as_ref().and_then(|stored| Batch::parse(&stored.body).ok());
            if batch.is_some_and(|batch| batch.seal().wall <= oldest_wall) {
                wanted = first;
                break;
            }
        }
        let run = (wanted >> 16) << 16;
        Ok(segments.iter().copied().rfind(|first| *first <= run).or(segments.first().copied()).unwrap_or(0))
    }

    /// Returns a verifier that goes on at the beginning of a segment: after the seal that the segment's header names.
    fn verifier_at(&self, stream: StreamId, first: u64) -> io::Result<Result<StreamVerifier, Fault>> {
        let Some(last) = first.checked_sub(1) else {
            return Ok(Ok(StreamVerifier::new(self.state, stream, None)));
        };
        let (owner, path) = (Owner::Stream(stream), self.dir.log(&Owner::Stream(stream)));
        let refused =
            |fact| Fault { code: Code::Damaged, stream: Some(stream), index: Some(first), detail: Detail::Fact(fact) };
        let Some(stored) = read_batch_at(self.dir.storage(), &path, &owner, last, None)? else {
            return Ok(Err(refused("the batch before a segment is not there")));
        };
        let Some(start) = read_header(self.dir, &owner, first)? else {
            return Ok(Err(refused("the segment's header cannot be read")));
        };
        let verifier =
            position_at(&stored.body, &start).and_then(|position| StreamVerifier::resume(self.state, &position).ok());
        Ok(verifier.ok_or_else(|| refused("the segment does not continue the batch before it")))
    }

    fn note(&self, stream: &StreamId) -> Option<VerifiedCheckpoint> {
        let origin = self.keys.deployment.stream_origin(stream);
        read_note(self.dir, &Owner::Stream(*stream), origin, Role::Checkpoint, self.keys)
    }
}

/// Where a stream should end.
struct End {
    size: u64,
    /// Wall time of its last seal; 0 when it is not known.
    wall: u64,
}

impl End {
    fn of(recovered: &Recovered) -> Self {
        Self { size: recovered.start.first, wall: recovered.last_seal.map_or(0, |seal| seal.wall) }
    }
}

/// The part of a stream that was read back.
struct Tail {
    /// After the last batch that holds.
    position: Option<Position>,
    window: Window,
    unsound: Option<Unsound>,
}

/// Verifies one item of the log.
fn check(
    verifier: &mut StreamVerifier,
    state: &RootState,
    note: Option<&VerifiedCheckpoint>,
    item: &Item<'_>,
) -> Result<(), Fault> {
    let stream = verifier.stream();
    let fault = |code, index, detail| Fault { code, stream: Some(stream), index: Some(index), detail };
    match item {
        Item::SegmentStart(start) => verifier.segment(start.frontier.clone(), &start.seal_hash),
        Item::Batch { bytes, .. } => {
            let facts = verifier.push(state, bytes)?;
            match note {
                Some(note) if note.size() == facts.seal.size() && *note.root() != facts.seal.root => {
                    let detail = Detail::Fact("the root for the checkpoint is another");
                    Err(fault(Code::CheckpointMismatch, note.size(), detail))
                }
                _ => Ok(()),
            }
        }
        Item::Superseded { first, .. } => {
            Err(fault(Code::Damaged, *first, Detail::Fact("a superseded batch differs from what took its place")))
        }
        Item::Damaged { .. } => {
            Err(fault(Code::Damaged, verifier.next_index(), Detail::Fact("a record or header cannot be read")))
        }
        _ => Ok(()),
    }
}

/// Returns where a verifier stands after a batch, given the tree that the next segment's header names.
fn position_at(batch: &[u8], start: &SegmentStart) -> Option<Position> {
    let batch = Batch::parse(batch).ok()?;
    let seal = batch.signed_seal();
    let closed = match batch.events().last().map(KeyEvent::parse) {
        Some(Ok(KeyEvent::Closing(closing))) => closing.reason.number(),
        // It may have been one of another version.
        Some(Err(KeyEventError::Version { .. })) => 0xff,
        _ => 0,
    };
    let hashes = start.frontier.hashes();
    let mut bytes = seal.encode().to_vec();
    bytes.extend_from_slice(&[closed, hashes.len() as u8]);
    bytes.extend_from_slice(hashes.as_flattened());
    // The seal's root must be that of the frontier, and the verifier checks its signature.
    Position::decode(&bytes).ok().filter(|_| seal.hash() == start.seal_hash)
}

fn read_header(dir: &DataDir, owner: &Owner, first: u64) -> io::Result<Option<SegmentStart>> {
    let mut reader = Reader::open(dir.shared_storage(), &dir.log(owner), *owner, first)?;
    Ok(match reader.read_next()? {
        Some(Item::SegmentStart(start)) => Some(start),
        _ => None,
    })
}
