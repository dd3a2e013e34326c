//! Reads the first version of a span back from the log, for a conflict with it: seldom, and within limits.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use prost::Message;
use sha2::{Digest, Sha256};
use spanseal_ledger::StreamId;
use spanseal_ledger::batch::Batch;
use spanseal_log::{DataDir, Item, Owner, Reader, Stored, read_batch_at};
use spanseal_schemas::event::{Cut, ResourceEvent};
use spanseal_schemas::{envelope, kind};

use super::moment::Moment;
use super::payloads::restore;
use super::subjects::Subjects;
use super::version::{Part, Version};

/// The firsts of one stream, as far as its log holds them.
#[derive(Debug)]
pub(crate) struct Firsts {
    dir: DataDir,
    owner: Owner,
    /// The size up to which the log can be read.
    durable: u64,
    /// What was looked up last, the latest first: conflicts often are with spans of one batch, under resources of another.
    batches: VecDeque<Stored>,
    /// The second of the process's clock that `bytes_left` is for.
    second: u64,
    bytes_left: u64,
}

impl Firsts {
    pub(crate) fn new(dir: DataDir, stream: StreamId, durable: u64) -> Self {
        let owner = Owner::Stream(stream);
        Self { dir, owner, durable, batches: VecDeque::new(), second: 0, bytes_left: BYTES_PER_SECOND_MAX }
    }

    /// Notes that what is sealed below this size is in the log.
    pub(crate) fn durable(&mut self, size: u64) {
        self.durable = size;
    }

    pub(crate) fn is_durable(&self, index: u64) -> bool {
        index < self.durable
    }

    /// Returns the span that an event seals, as it was received. What was erased, is too long, or would take more reading
    /// than one second's share, is not returned.
    pub(crate) fn read(&mut self, index: u64, subjects: &dyn Subjects, now: &Moment) -> Option<Version<'static>> {
        let second = now.monotonic_nano / 1_000_000_000;
        if self.second != second {
            (self.second, self.bytes_left) = (second, BYTES_PER_SECOND_MAX);
        }
        let body = self.event(kind::SPAN, index)?;
        let event = envelope::view(&body).ok()?;
        let payloads: Vec<&[u8]> = event.payloads.iter().map(|id| id.as_slice()).collect();
        let sealed = Sealed { index, stored: event.span, cuts: &event.cuts, payloads };
        Some(Version {
            resource: self.part(event.resource, subjects)?,
            scope: self.part(event.scope, subjects)?,
            span: Cow::Owned(self.whole(&sealed, subjects)?),
        })
    }

    fn part(&mut self, index: u64, subjects: &dyn Subjects) -> Option<Part<'static>> {
        let event = ResourceEvent::decode(&self.event(kind::RESOURCE, index)?[..]).ok()?;
        let payloads = event.payloads.iter().map(Vec::as_slice).collect();
        let content = self.whole(&Sealed { index, stored: &event.content, cuts: &event.cuts, payloads }, subjects)?;
        Some(Part { schema_url: Cow::Owned(event.schema_url.into_bytes()), content: Cow::Owned(content) })
    }

    /// Returns the body of an event of a kind.
    fn event(&mut self, kind: u8, index: u64) -> Option<Vec<u8>> {
        let known = self.batches.iter().position(|batch| holds(batch, index));
        let stored = match known {
            Some(place) => self.batches.remove(place)?,
            None => self.look_up(index)?,
        };
        let first = stored.first;
        self.batches.truncate(BATCHES_MAX - 1);
        self.batches.push_front(stored);
        let batch = Batch::parse(&self.batches.front()?.body).ok()?;
        let event = batch.events().nth(usize::try_from(index.checked_sub(first)?).ok()?)?;
        event.split_first().filter(|(found, _)| **found == kind).map(|(_, body)| body.to_vec())
    }

    fn look_up(&mut self, index: u64) -> Option<Stored> {
        self.spend(LOOK_UP_BYTES)?;
        let found = read_batch_at(self.dir.storage(), &self.dir.log(&self.owner), &self.owner, index, None);
        let found = found.inspect_err(|error| tracing::warn!(%error, index, "the first of a conflict cannot be read"));
        let stored = found.ok()??;
        self.bytes_left = self.bytes_left.saturating_sub(stored.searched);
        Some(stored)
    }

    fn whole(&mut self, sealed: &Sealed<'_>, subjects: &dyn Subjects) -> Option<Vec<u8>> {
        let cut: u64 = sealed.cuts.iter().map(|cut| u64::from(cut.length)).sum();
        if cut > MESSAGE_BYTES_MAX {
            return None;
        }
        let records = if sealed.cuts.is_empty() { HashMap::new() } else { self.records(sealed)? };
        let find = |id: &[u8]| records.get(id).map(Vec::as_slice);
        restore(sealed.stored.to_vec(), sealed.cuts, sealed.payloads.iter().copied(), &find, subjects)
    }

    /// Returns the payload records of an event, which stand right before its batch.
    fn records(&mut self, sealed: &Sealed<'_>) -> Option<HashMap<Vec<u8>, Vec<u8>>> {
        self.spend(LOOK_UP_BYTES)?;
        let path = self.dir.log(&self.owner);
        let mut reader = Reader::open(self.dir.shared_storage(), &path, self.owner, sealed.index).ok()?;
        reader.set_limit(sealed.index + 1);
        let mut records = HashMap::new();
        while records.len() < sealed.payloads.len()
            && let Some(Item::Payload { bytes, .. }) = reader.read_next().ok()?
        {
            self.spend(bytes.len() as u64)?;
            let id = Sha256::digest(bytes);
            if sealed.payloads.contains(&&id[..]) {
                records.insert(id.to_vec(), bytes.to_vec());
            }
        }
        Some(records)
    }

    fn spend(&mut self, bytes: u64) -> Option<()> {
        self.bytes_left = self.bytes_left.checked_sub(bytes)?;
        Some(())
    }
}

/// What is sealed of a message.
struct Sealed<'a> {
    index: u64,
    stored: &'a [u8],
    cuts: &'a [Cut],
    payloads: Vec<&'a [u8]>,
}

fn holds(batch: &Stored, index: u64) -> bool {
    (batch.first..batch.first + u64::from(batch.count)).contains(&index)
}

/// What the stream's thread may read for conflicts in a second, so that they do not keep it from sealing: about 30 batches.
const BYTES_PER_SECOND_MAX: u64 = 64 << 20;
/// What finding a batch costs at least: it is read whole.
const LOOK_UP_BYTES: u64 = 2 << 20;
const BATCHES_MAX: usize = 4;
/// What was cut out of a message may be this long for it to be put together again.
const MESSAGE_BYTES_MAX: u64 = 4 << 20;
