//! Records to write, and what must hold of a log that has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spanseal_ledger::StreamId;
use spanseal_ledger::leaf::leaf_hash;
use spanseal_ledger::seal::{Counters, Seal, SignedSeal};
use spanseal_log::{
    CommitError, Committed, Item, Memory, Options, Owner, Reader, RecordKind, SegmentStart, Storage, Writer,
};

pub(crate) const STREAM: Owner = Owner::Stream(StreamId([0x11; 16]));

/// Small enough that a few groups roll a segment.
pub(crate) const SMALL: Options = Options { segment_bytes_max: 3_000, group_bytes_max: 2_000 };

/// A log under test: whose, and where.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) dir: PathBuf,
    pub(crate) owner: Owner,
}

impl Spot {
    pub(crate) fn in_memory(memory: &Memory, owner: Owner) -> Spot {
        Spot { storage: Arc::new(memory.clone()), dir: PathBuf::from("streams/one"), owner }
    }

    pub(crate) fn reader(&self, from: u64) -> Reader {
        Reader::open(Arc::clone(&self.storage), &self.dir, self.owner, from).unwrap()
    }

    pub(crate) fn path(&self, first: u64) -> PathBuf {
        spanseal_log::segment::path(&self.dir, first)
    }
}

/// A file system whose `streams` directory is there for good.
pub(crate) fn memory() -> Memory {
    let memory = Memory::new();
    memory.create_dir(Path::new("streams"), spanseal_log::Access::Shared).unwrap();
    memory.sync_dir(Path::new("")).unwrap();
    memory
}

/// What goes into one commit: payloads, each before its batch, and batches or root leaves.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) records: Vec<(RecordKind, Vec<u8>)>,
    pub(crate) end: SegmentStart,
}

/// Makes records that continue a log. The salt stands for the epoch: another one never repeats a byte of it.
pub(crate) struct Maker {
    pub(crate) owner: Owner,
    pub(crate) end: SegmentStart,
    pub(crate) salt: u8,
}

impl Maker {
    pub(crate) fn at(owner: Owner, end: SegmentStart, salt: u8) -> Maker {
        Maker { owner, end, salt }
    }

    /// A group of batches with so many events each, the first batch after a payload; in the root log, of leaves.
    pub(crate) fn group(&mut self, counts: &[u16], event_bytes: usize) -> Group {
        let mut records = Vec::new();
        for (place, count) in counts.iter().enumerate() {
            if self.owner == Owner::RootLog {
                records.push((RecordKind::RootLeaf, self.leaf(event_bytes)));
                continue;
            }
            if place == 0 {
                let payload = format!("payload {} of {}", self.salt, self.end.first);
                records.push((RecordKind::Payload, payload.into_bytes()));
            }
            records.push((RecordKind::Batch, self.batch(*count, event_bytes)));
        }
        Group { records, end: self.end.clone() }
    }

    /// A batch whose links and root hold; its signature does not, and the log does not ask.
    pub(crate) fn batch(&mut self, count: u16, event_bytes: usize) -> Vec<u8> {
        let Owner::Stream(stream) = self.owner else { panic!("the root log has no batches") };
        let first = self.end.first;
        let mut entries = Vec::new();
        for index in first..first + u64::from(count) {
            let mut event = vec![self.salt; event_bytes.max(9)];
            event[1..9].copy_from_slice(&index.to_be_bytes());
            entries.extend_from_slice(&(event.len() as u16).to_be_bytes());
            entries.extend_from_slice(&event);
            self.end.frontier.push(leaf_hash(&event));
        }
        let seal = Seal {
            stream,
            epoch: u32::from(self.salt),
            count,
            first,
            root: self.end.frontier.root(),
            previous: self.end.seal_hash,
            wall: 0,
            monotonic: 0,
            wall_behind: 0,
            counters: Counters::default(),
        };
        let signed = SignedSeal { seal, signature: [self.salt; 64] };
        self.end.first += u64::from(count);
        self.end.seal_hash = signed.hash();
        [&signed.encode()[..], &entries].concat()
    }

    fn leaf(&mut self, bytes: usize) -> Vec<u8> {
        let mut leaf = vec![self.salt; bytes.max(9)];
        leaf[1..9].copy_from_slice(&self.end.first.to_be_bytes());
        self.end.frontier.push(leaf_hash(&leaf));
        self.end.first += 1;
        leaf
    }
}

/// Writes a group as the collector does.
pub(crate) fn write(writer: &mut Writer, group: &Group) -> Result<Committed, CommitError> {
    for (kind, body) in &group.records {
        writer.append(*kind, body).unwrap();
    }
    writer.commit(group.end.clone())
}

/// What must be in a log: by first index, the payloads and the body.
pub(crate) type Contents = BTreeMap<u64, (Vec<Vec<u8>>, Vec<u8>)>;

/// Adds the records of a group to what must be there.
pub(crate) fn note(contents: &mut Contents, before: u64, group: &Group) {
    let mut payloads = Vec::new();
    let mut index = before;
    for (kind, body) in &group.records {
        match kind {
            RecordKind::Payload => payloads.push(body.clone()),
            RecordKind::RootLeaf => {
                contents.insert(index, (Vec::new(), body.clone()));
                index += 1;
            }
            RecordKind::Batch => {
                let (first, count) = spanseal_log::record::batch_range(body).unwrap();
                contents.insert(first, (std::mem::take(&mut payloads), body.clone()));
                index = first + u64::from(count);
            }
        }
    }
    assert_eq!(index, group.end.first);
}

/// Reads a whole log: every index once and in order, nothing torn, damaged or superseded by other bytes.
#[track_caller]
pub(crate) fn read_sound(spot: &Spot) -> Contents {
    read(spot, false)
}

/// Reads a log that nobody has written to since a power cut: it may end torn.
#[track_caller]
pub(crate) fn read_after_power_cut(spot: &Spot) -> Contents {
    read(spot, true)
}

#[track_caller]
fn read(spot: &Spot, may_end_torn: bool) -> Contents {
    let mut reader = spot.reader(0);
    let mut contents = Contents::new();
    let mut payloads = Vec::new();
    let mut next = 0;
    while let Some(item) = reader.read_next().unwrap() {
        match item {
            Item::SegmentStart(start) => assert_eq!(start.first, next, "a segment starts elsewhere"),
            Item::Payload { bytes, .. } => payloads.push(bytes.to_vec()),
            Item::Batch { first, count, bytes, .. } => {
                assert_eq!(first, next, "a batch starts elsewhere");
                contents.insert(first, (std::mem::take(&mut payloads), bytes.to_vec()));
                next = first + u64::from(count);
            }
            Item::RootLeaf { index, bytes, .. } => {
                assert_eq!(index, next, "a leaf is elsewhere");
                contents.insert(index, (Vec::new(), bytes.to_vec()));
                next += 1;
            }
            Item::Torn { superseded, .. } if superseded || may_end_torn => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(may_end_torn || payloads.is_empty(), "payloads without a batch");
    contents
}

/// Says what kind of thing each item of a log is, in order; for tests of what cannot be read.
pub(crate) fn outline(spot: &Spot, from: u64) -> Vec<String> {
    let mut reader = spot.reader(from);
    let mut outline = Vec::new();
    while let Some(item) = reader.read_next().unwrap() {
        outline.push(describe(&item));
    }
    outline
}

pub(crate) fn describe(item: &Item<'_>) -> String {
    match item {
        Item::SegmentStart(start) => format!("segment {}", start.first),
        Item::Batch { first, count, .. } => format!("batch {first}+{count}"),
        Item::Payload { .. } => "payload".to_owned(),
        Item::RootLeaf { index, .. } => format!("leaf {index}"),
        Item::Superseded { first, .. } => format!("superseded {first}"),
        Item::Torn { superseded, .. } => format!("torn{}", if *superseded { ", superseded" } else { "" }),
        Item::Damaged { what, .. } => format!("damaged: {what}"),
        _ => "unknown".to_owned(),
    }
}
