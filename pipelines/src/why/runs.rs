//! Events out of the log by run: the 256 events among which the first steps of a proof lie.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use spanseal_ledger::batch::Batch;
use spanseal_ledger::leaf::plain_hash;
use spanseal_ledger::seal::SignedSeal;
use spanseal_ledger::{Hash, StreamId};
use spanseal_log::{DataDir, Item, Owner, Place, Reader};

use crate::payload::PayloadHead;

pub(super) const RUN: u64 = 256;

/// Some runs of the log, read once.
pub(super) struct Runs {
    data: DataDir,
    held: HashMap<(StreamId, u64), Rc<Run>>,
}

/// One run, or as much of it as there is.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) leaves: Vec<Hash>,
    events: Vec<Vec<u8>>,
    /// Each batch, by the place in `events` of its first event.
    batches: Vec<(usize, SignedSeal, Place)>,
    /// Under whose key the payload records are that stand with them, by id.
    subjects: HashMap<Hash, [u8; 16]>,
}

/// One event and the batch that it came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) kind: u8,
    pub(super) body: &'a [u8],
    pub(super) leaf: Hash,
    pub(super) seal: &'a SignedSeal,
    pub(super) place: Place,
}

impl Runs {
    pub(super) fn new(data: &DataDir) -> Self {
        Self { data: data.clone(), held: HashMap::new() }
    }

    /// Returns the run that holds an index. `hint` is where its first batch may be.
    pub(super) fn of(&mut self, stream: StreamId, index: u64, hint: Option<Place>) -> io::Result<Rc<Run>> {
        let number = index / RUN;
        if let Some(run) = self.held.get(&(stream, number)) {
            return Ok(Rc::clone(run));
        }
        let run = Rc::new(self.read(stream, number, hint)?);
        if self.held.len() >= HELD_MAX {
            self.held.clear();
        }
        self.held.insert((stream, number), Rc::clone(&run));
        Ok(run)
    }

    fn read(&self, stream: StreamId, number: u64, hint: Option<Place>) -> io::Result<Run> {
        let (owner, first) = (Owner::Stream(stream), number * RUN);
        let (storage, dir) = (self.data.shared_storage(), self.data.log(&owner));
        let mut reader = match hint {
            Some(hint) => Reader::open_at(storage, &dir, owner, first, hint)?,
            None => Reader::open(storage, &dir, owner, first)?,
        };
        reader.set_limit(first.saturating_add(RUN));
        let mut run = Run::default();
        while let Some(item) = reader.read_next()? {
            if let Item::Payload { bytes, .. } = item
                && let Ok(head) = PayloadHead::read(bytes)
            {
                run.subjects.insert(plain_hash(bytes), head.subject);
            }
            if let Item::Batch { bytes, place, .. } = item
                && let Ok(batch) = Batch::parse(bytes)
                && batch.seal().first == first + run.events.len() as u64
            {
                run.batches.push((run.events.len(), *batch.signed_seal(), place));
                run.leaves.extend(batch.leaf_hashes());
                run.events.extend(batch.events().map(<[u8]>::to_vec));
            }
        }
        Ok(run)
    }
}

impl Run {
    /// Returns under whose key a payload record is; `None` when it is not in the log any more.
    pub(super) fn subject(&self, payload: &[u8]) -> Option<[u8; 16]> {
        self.subjects.get(payload).copied()
    }

    /// Returns the event at an index of the stream.
    pub(super) fn event(&self, index: u64) -> Option<Found<'_>> {
        let place_in_run = usize::try_from(index % RUN).ok()?;
        let (&kind, body) = self.events.get(place_in_run)?.split_first()?;
        let (_, seal, place) = self.batches.iter().rfind(|(first, ..)| *first <= place_in_run)?;
        Some(Found { kind, body, leaf: *self.leaves.get(place_in_run)?, seal, place: *place })
    }
}

const HELD_MAX: usize = 64;
