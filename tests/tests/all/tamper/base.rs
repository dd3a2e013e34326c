//! The directory that is tampered with: a real collector's stream, and a second stream beside it, both in several segments
//! with superseded tails, pinned where they end and before.

use std::collections::BTreeMap;
use std::sync::Arc;

use spanseal_ledger::checkpoint::{Checkpoint, sign_checkpoint};
use spanseal_ledger::epoch::{EpochStart, Start};
use spanseal_ledger::key::{SecretKey, Signer};
use spanseal_ledger::key_event::{CloseReason, Opening};
use spanseal_ledger::leaf::{leaf_hash, plain_hash};
use spanseal_ledger::root_leaf::{ClosedBy, StreamOpen, StreamSize, Submission};
use spanseal_ledger::sealer::{Clock, Head, Sealer, Tally};
use spanseal_ledger::tree::Frontier;
use spanseal_ledger::trust::Trust;
use spanseal_ledger::{Deployment, Role, StreamId, kind};
use spanseal_log::{DataDir, Disk, Item, KeyFile, Owner, Reader, SegmentStart, load_key, segment};

use super::records::record;
use super::{ROOT, Tree, folder};
use crate::ledger::Ledger;

/// The whole directory, and what of it is signed for.
pub(crate) struct Base {
    pub(crate) tree: Tree,
    /// When it is verified.
    pub(crate) now: u64,
    /// Of the root log and each stream: its folder, the pinned size, and the checkpoint's.
    pub(crate) sizes: Vec<(String, u64, u64)>,
    pub(crate) streams: [StreamId; 2],
    /// The keys of the second stream's epochs.
    pub(crate) epoch_keys: [[u8; 32]; 2],
}

const SECOND: u64 = 1_000_000_000;
const OTHER: StreamId = StreamId([0xee; 16]);

impl Base {
    pub(crate) async fn make() -> Base {
        let ledger = Ledger::make().await;
        let data = DataDir::at(Arc::new(Disk), &ledger.data());
        let first = data.streams().unwrap()[0];
        let (leaves, records) = (log(&data, Owner::RootLog), log(&data, Owner::Stream(first)));
        let mut writer = Writer::new(&data, leaves, ledger.trust.deployment.clone());
        let first_pin = ledger.trust.pins[&first].clone();
        writer.other_stream(first);
        let (root_size, other_size) = (writer.leaves.len() as u64, writer.head.frontier.size());
        let mut files = BTreeMap::new();
        let size = lay_out(&mut files, Owner::Stream(first), &records);
        lay_out(&mut files, Owner::Stream(OTHER), &writer.records);
        lay_out(&mut files, Owner::RootLog, &writer.leaves);
        files.insert(format!("{}/checkpoint", folder(first)), first_pin.clone().into_bytes());
        files.insert(format!("{}/checkpoint", folder(OTHER)), writer.note(other_size).into_bytes());
        files.insert(format!("{ROOT}/checkpoint"), writer.root_note(root_size).into_bytes());
        let (root_pin, other_pin) = (root_size - 2, writer.edges[2]);
        let trust = Trust {
            root_pin: Some(writer.root_note(root_pin)),
            pins: [(first, first_pin), (OTHER, writer.note(other_pin))].into(),
            ..ledger.trust.clone()
        };
        let sizes = vec![
            (ROOT.to_owned(), root_pin, root_size),
            (folder(first), size, size),
            (folder(OTHER), other_pin, other_size),
        ];
        let tree = Tree { files, trust: trust.to_string() };
        Base { tree, now: writer.wall / SECOND + 60, sizes, streams: [first, OTHER], epoch_keys: EPOCH_SEEDS }
    }
}

const EPOCH_SEEDS: [[u8; 32]; 2] = [[0xe1; 32], [0xe2; 32]];

/// The records of a log: type and body.
fn log(data: &DataDir, owner: Owner) -> Vec<(u8, Vec<u8>)> {
    let mut reader = Reader::open(data.shared_storage(), &data.log(&owner), owner, 0).unwrap();
    let mut records = Vec::new();
    while let Some(item) = reader.read_next().unwrap() {
        match item {
            Item::Batch { bytes, .. } => records.push((1, bytes.to_vec())),
            Item::Payload { bytes, .. } => records.push((2, bytes.to_vec())),
            Item::RootLeaf { bytes, .. } => records.push((3, bytes.to_vec())),
            _ => {}
        }
    }
    records
}

/// Goes on with the deployment where its collector stopped, with a stream of its own.
struct Writer {
    name: Deployment,
    begin: u64,
    wall: u64,
    keys: [SecretKey; 4],
    leaves: Vec<(u8, Vec<u8>)>,
    head: Head,
    records: Vec<(u8, Vec<u8>)>,
    edges: Vec<u64>,
}

impl Writer {
    fn new(data: &DataDir, leaves: Vec<(u8, Vec<u8>)>, name: Deployment) -> Writer {
        let files = [KeyFile::Identity, KeyFile::Checkpoint, KeyFile::Cosign, KeyFile::Sequencer];
        let keys = files.map(|file| SecretKey::from_seed(&mut load_key(&Disk, &data.key(file)).unwrap()));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let begin = now.as_secs() * SECOND;
        let (wall, head) = (begin, Head::empty(OTHER));
        Writer { name, begin, wall, keys, leaves, head, records: Vec::new(), edges: Vec::new() }
    }

    fn leaf(&mut self, make: impl FnOnce(&Submission<'_>, &[SecretKey; 4], &Head) -> Vec<u8>) {
        let leaf = make(&Submission { deployment: &self.name, time: self.wall }, &self.keys, &self.head);
        self.leaves.push((3, leaf));
    }

    /// Two epochs with a rotation between them; its findings speak of both streams.
    fn other_stream(&mut self, first: StreamId) {
        self.leaf(|submission, keys, _| {
            submission.open_stream(&keys[0], StreamOpen { stream: OTHER, predecessor: None })
        });
        let [one, two] = EPOCH_SEEDS;
        let outgoing = SecretKey::from_seed(&mut { one });
        let mut sealer = self.open_epoch(1, one, None);
        (0..4).for_each(|n| self.seal(&mut sealer, first, 2 + n));
        self.leaf(|submission, keys, head| submission.checkpoint_stream(&keys[1], at(head)));
        let (clock, mut closing) = (self.clock(), Vec::new());
        let closed = sealer.close(CloseReason::Rotation, clock, &Tally::default(), &mut closing);
        self.head = closed.head().clone();
        self.edges.push(self.head.frontier.size());
        self.records.extend(closing.into_iter().map(|batch| (1, batch)));
        self.leaf(|submission, _, head| {
            submission.close_epoch(ClosedBy::EpochKey(&outgoing), 1, at(head), head.seal_hash)
        });
        let mut sealer = self.open_epoch(2, two, Some(&outgoing));
        (0..4).for_each(|n| self.seal(&mut sealer, first, 1 + n));
        for _ in 0..3 {
            self.leaf(|submission, keys, head| submission.checkpoint_stream(&keys[1], at(head)));
        }
    }

    fn open_epoch(&mut self, number: u32, mut seed: [u8; 32], outgoing: Option<&SecretKey>) -> Sealer {
        let key = SecretKey::from_seed(&mut seed);
        let start = if number == 1 { Start::First } else { Start::Rotation };
        let epoch = EpochStart::after(&self.head, number, start, &key.public());
        let outgoing = outgoing.map(|key| key as &dyn Signer);
        let opening = Opening {
            epoch,
            deployment: plain_hash(self.name.as_str().as_bytes()),
            root_leaf: self.leaves.len() as u64,
            wall: self.wall,
            identity: self.keys[0].public().id(&self.name.role_name(Role::Identity)),
        };
        let opening = opening.sign(&self.keys[0], outgoing);
        self.leaf(|submission, keys, _| submission.open_epoch(&keys[0], epoch, &key, outgoing));
        Sealer::open(self.head.clone(), key, &opening).unwrap()
    }

    /// Seals findings: about the first stream's first event, and about this one's.
    fn seal(&mut self, sealer: &mut Sealer, first: StreamId, count: u64) {
        for n in 0..count {
            let stream: &[u8] = if n % 2 == 0 { &first.0 } else { &[] };
            sealer.push(kind::FINDING, |body| body.extend(finding(stream))).unwrap();
        }
        self.wall += SECOND / 8;
        let batch = sealer.seal(self.clock(), &Tally::default()).unwrap().to_vec();
        self.records.push((1, batch));
        self.head = sealer.head().unwrap();
        self.edges.push(self.head.frontier.size());
    }

    fn clock(&self) -> Clock {
        Clock { wall_unix_nano: self.wall, monotonic_nano: self.wall - self.begin }
    }

    fn note(&self, size: u64) -> String {
        let mut tree = Frontier::new();
        let batches = self.records.iter().map(|(_, body)| spanseal_ledger::batch::Batch::parse(body).unwrap());
        batches.flat_map(|batch| batch.leaf_hashes()).take(size as usize).for_each(|leaf| tree.push(leaf));
        self.sign(self.name.stream_origin(&OTHER), tree.root(), size, 1)
    }

    fn root_note(&self, size: u64) -> String {
        let mut tree = Frontier::new();
        self.leaves[..size as usize].iter().for_each(|(_, leaf)| tree.push(leaf_hash(leaf)));
        self.sign(self.name.root_origin(), tree.root(), size, 3)
    }

    fn sign(&self, origin: String, root: [u8; 32], size: u64, key: usize) -> String {
        let checkpoint = Checkpoint { origin, size, root };
        sign_checkpoint(&self.name, &checkpoint, (&self.keys[key], &self.keys[2]), self.wall / SECOND)
    }
}

fn at(head: &Head) -> StreamSize {
    StreamSize { stream: head.stream, size: head.frontier.size(), root: head.frontier.root() }
}

/// A `FindingEvent` with code and message that speaks of event 1 of a stream, its own where none is given.
fn finding(stream: &[u8]) -> Vec<u8> {
    let reference = match stream {
        [] => vec![0x10, 1],
        stream => [&[0x0a, 16], stream, &[0x10, 1]].concat(),
    };
    [&b"\x08\x01\x1a\x04code\x3a"[..], &[reference.len() as u8], &reference].concat()
}

/// Writes a log in three segments, each but the last with a superseded tail; the first one's is torn. Returns its size.
fn lay_out(files: &mut BTreeMap<String, Vec<u8>>, owner: Owner, records: &[(u8, Vec<u8>)]) -> u64 {
    let dir = match owner {
        Owner::RootLog => ROOT.to_owned(),
        Owner::Stream(stream) => folder(stream),
    };
    // A segment begins with a group: payload records and their batch.
    let mut groups: Vec<Vec<(u8, Vec<u8>)>> = vec![Vec::new()];
    for one in records {
        groups.last_mut().unwrap().push(one.clone());
        if one.0 != 2 {
            groups.push(Vec::new());
        }
    }
    groups.retain(|group| !group.is_empty());
    let (a, b) = (groups.len() / 3, groups.len() * 2 / 3);
    let mut start = SegmentStart::empty();
    for (from, to, tail) in [(0, a, a + 2), (a, b, b + 1), (b, groups.len(), groups.len())] {
        let mut bytes = start.encode(&owner);
        for group in &groups[from..tail] {
            group.iter().for_each(|(kind, body)| bytes.extend(record(*kind, body)));
        }
        if from == 0 {
            let torn = record(1, &[7; 90]);
            bytes.extend_from_slice(&torn[..60]);
        }
        let name = segment::path(dir.as_ref(), start.first);
        files.insert(name.to_str().unwrap().to_owned(), bytes);
        for (kind, body) in groups[from..to].iter().flatten() {
            advance(&mut start, *kind, body);
        }
    }
    start.first
}

fn advance(start: &mut SegmentStart, kind: u8, body: &[u8]) {
    match kind {
        1 => {
            let batch = spanseal_ledger::batch::Batch::parse(body).unwrap();
            batch.leaf_hashes().into_iter().for_each(|leaf| start.frontier.push(leaf));
            start.seal_hash = batch.signed_seal().hash();
        }
        3 => start.frontier.push(leaf_hash(body)),
        _ => {}
    }
    start.first = start.frontier.size();
}
