//! A small deployment that writes honest logs, with keys and times that never change.

use sha2::{Digest, Sha256};
use spanseal_ledger::checkpoint::{Checkpoint, sign_checkpoint};
use spanseal_ledger::epoch::{EpochStart, Start};
use spanseal_ledger::gap::{Gap, GapCause};
use spanseal_ledger::key::{KeyId, SecretKey, Signer};
use spanseal_ledger::key_event::{CloseReason, Opening};
use spanseal_ledger::leaf::{leaf_hash, plain_hash};
use spanseal_ledger::root_leaf::{
    ClosedBy, Predecessor, PredecessorState, RoleSigners, StreamOpen, StreamSize, Submission,
};
use spanseal_ledger::sealer::{Clock, Closed, Head, Sealer, Tally};
use spanseal_ledger::tree::root_of;
use spanseal_ledger::trust::{RoleKeys, Trust};
use spanseal_ledger::{Deployment, Role, StreamId, kind};

/// 2026-06-01T00:00:00Z.
pub const BEGIN_SECONDS: u64 = 1_780_272_000;
pub const SECOND: u64 = 1_000_000_000;
pub const NAME: &str = "acme.example/agents";

/// The secret key of a label: its seed is the hash of the label, so that every key here is public knowledge.
pub fn key(label: &str) -> SecretKey {
    let mut seed = Sha256::digest(format!("spanseal test key: {label}")).into();
    SecretKey::from_seed(&mut seed)
}

/// The label of an epoch's key.
pub fn epoch_label(stream: StreamId, epoch: u32) -> String {
    format!("epoch {epoch} of {stream}")
}

pub fn epoch_key(stream: StreamId, epoch: u32) -> SecretKey {
    key(&epoch_label(stream, epoch))
}

/// What a verifier is given of a log.
#[derive(Clone, Default)]
pub struct Log {
    pub leaves: Vec<Vec<u8>>,
    pub note: Option<String>,
    pub streams: Vec<LogStream>,
}

#[derive(Clone)]
pub struct LogStream {
    pub id: StreamId,
    pub batches: Vec<Vec<u8>>,
    /// Before this batch stands a record that cannot be read.
    pub damaged_at: Option<usize>,
    pub torn_bytes: u64,
    pub note: Option<String>,
}

/// The writer of an honest log. The labels say which key has which role.
pub struct World {
    pub name: Deployment,
    pub labels: [String; 4],
    first_labels: [String; 4],
    pub wall: u64,
    pub leaves: Vec<Vec<u8>>,
    pub streams: Vec<Stream>,
}

pub struct Stream {
    pub id: StreamId,
    pub batches: Vec<Vec<u8>>,
    pub head: Head,
    pub epoch: u32,
    sealer: Option<Sealer>,
    closed: Option<Closed>,
}

/// Notes of one moment, for a trust file.
#[derive(Clone)]
pub struct Pins {
    pub root: Option<String>,
    pub streams: Vec<(StreamId, String)>,
}

impl World {
    pub fn new() -> World {
        World::named(NAME, Role::ALL.map(|role| role.as_str().to_string()))
    }

    pub fn named(name: &str, labels: [String; 4]) -> World {
        let name = Deployment::new(name).expect("a valid name");
        let wall = BEGIN_SECONDS * SECOND;
        let mut world =
            World { name, first_labels: labels.clone(), labels, wall, leaves: Vec::new(), streams: Vec::new() };
        let [identity, checkpoint, cosign, sequencer] = Role::ALL.map(|role| world.signer(role));
        let signers =
            RoleSigners { identity: &identity, checkpoint: &checkpoint, cosign: &cosign, sequencer: &sequencer };
        let genesis = world.submission().genesis(&signers);
        world.leaves.push(genesis);
        world
    }

    pub fn submission(&self) -> Submission<'_> {
        Submission { deployment: &self.name, time: self.wall }
    }

    pub fn signer(&self, role: Role) -> SecretKey {
        key(&self.labels[usize::from(role.number()) - 1])
    }

    pub fn seconds(&self) -> u64 {
        self.wall / SECOND
    }

    pub fn tick(&mut self) {
        self.wall += SECOND;
    }

    /// Opens stream number `n`, whose id is 16 bytes of `n`.
    pub fn open_stream(&mut self, n: u8) -> usize {
        self.open_stream_after(n, None)
    }

    pub fn take_over(&mut self, n: u8, from: usize) -> usize {
        let before = &self.streams[from];
        let (stream, size) = (before.id, before.head.frontier.size());
        self.open_stream_after(n, Some(Predecessor { stream, size, state: PredecessorState::Unread }))
    }

    fn open_stream_after(&mut self, n: u8, predecessor: Option<Predecessor>) -> usize {
        self.tick();
        let id = StreamId([n; 16]);
        let leaf = self.submission().open_stream(&self.signer(Role::Identity), StreamOpen { stream: id, predecessor });
        self.leaves.push(leaf);
        let (batches, head) = (Vec::new(), Head::empty(id));
        self.streams.push(Stream { id, batches, head, epoch: 0, sealer: None, closed: None });
        self.streams.len() - 1
    }

    /// The start of the stream's next epoch, not yet said anywhere.
    pub fn next_epoch(&self, s: usize, start: Start) -> EpochStart {
        let stream = &self.streams[s];
        let public = epoch_key(stream.id, stream.epoch + 1).public();
        EpochStart::after(&stream.head, stream.epoch + 1, start, &public)
    }

    /// Writes the epoch-open leaf only, as before a crash.
    pub fn open_epoch_leaf(&mut self, s: usize, start: Start) -> EpochStart {
        self.tick();
        let epoch = self.next_epoch(s, start);
        let key = epoch_key(epoch.stream, epoch.epoch);
        let outgoing = (start == Start::Rotation).then(|| epoch_key(epoch.stream, epoch.epoch - 1));
        let outgoing = outgoing.as_ref().map(|key| key as &dyn Signer);
        let leaf = self.submission().open_epoch(&self.signer(Role::Identity), epoch, &key, outgoing);
        self.leaves.push(leaf);
        self.streams[s].epoch = epoch.epoch;
        self.streams[s].sealer = None;
        epoch
    }

    pub fn opening(&self, epoch: EpochStart) -> Opening {
        let name = self.name.role_name(Role::Identity);
        Opening {
            epoch,
            deployment: plain_hash(self.name.as_str().as_bytes()),
            root_leaf: self.leaves.len() as u64 - 1,
            wall: self.wall,
            identity: self.signer(Role::Identity).public().id(&name),
        }
    }

    pub fn open_epoch(&mut self, s: usize, start: Start) {
        let epoch = self.open_epoch_leaf(s, start);
        let outgoing = epoch.epoch.checked_sub(1).map(|before| epoch_key(epoch.stream, before));
        let outgoing = outgoing.as_ref().map(|key| key as &dyn Signer);
        let opening = self.opening(epoch).sign(&self.signer(Role::Identity), outgoing);
        let head = self.streams[s].head.clone();
        let sealer = Sealer::open(head, epoch_key(epoch.stream, epoch.epoch), &opening).expect("continues the head");
        self.streams[s].sealer = Some(sealer);
    }

    fn clock(&self) -> Clock {
        Clock { wall_unix_nano: self.wall, monotonic_nano: self.wall - BEGIN_SECONDS * SECOND }
    }

    /// Seals events, kind byte first, as one batch behind what waits.
    pub fn seal(&mut self, s: usize, events: &[Vec<u8>]) {
        self.tick();
        let clock = self.clock();
        let stream = &mut self.streams[s];
        let sealer = stream.sealer.as_mut().expect("an open epoch");
        for event in events {
            let body = |out: &mut Vec<u8>| out.extend_from_slice(&event[1..]);
            sealer.push(event[0], body).expect("fits");
        }
        let tally = Tally { duplicate: 1, ..Tally::default() };
        let batch = sealer.seal(clock, &tally).expect("events wait").to_vec();
        stream.head = sealer.head().expect("nothing waits");
        stream.batches.push(batch);
    }

    /// Seals `count` spans.
    pub fn seal_spans(&mut self, s: usize, count: u64) {
        let first = self.size(s) + u64::from(self.streams[s].sealer.as_ref().map_or(0, Sealer::waiting));
        let events: Vec<_> = (first..first + count).map(span).collect();
        self.seal(s, &events);
    }

    pub fn size(&self, s: usize) -> u64 {
        self.streams[s].head.frontier.size()
    }

    /// Writes the closing event only, as before a crash.
    pub fn close_epoch_event(&mut self, s: usize, reason: CloseReason) {
        self.tick();
        let (clock, tally) = (self.clock(), Tally { duplicate: 1, ..Tally::default() });
        let stream = &mut self.streams[s];
        let sealer = stream.sealer.take().expect("an open epoch");
        let closed = sealer.close(reason, clock, &tally, &mut stream.batches);
        stream.head = closed.head().clone();
        stream.closed = Some(closed);
    }

    pub fn close_epoch(&mut self, s: usize, reason: CloseReason) {
        self.close_epoch_event(s, reason);
        let closed = self.streams[s].closed.take().expect("just closed");
        let leaf = self.close_leaf(s, ClosedBy::EpochKey(closed.key()));
        self.leaves.push(leaf);
    }

    /// Writes the epoch-close leaf by the identity key, as after an unclean stop.
    pub fn close_epoch_uncleanly(&mut self, s: usize) {
        self.tick();
        self.streams[s].sealer = None;
        let leaf = self.close_leaf(s, ClosedBy::Identity(&self.signer(Role::Identity)));
        self.leaves.push(leaf);
    }

    pub fn close_leaf(&self, s: usize, by: ClosedBy<'_>) -> Vec<u8> {
        let stream = &self.streams[s];
        self.submission().close_epoch(by, stream.epoch, self.stream_size(s), stream.head.seal_hash)
    }

    pub fn stream_size(&self, s: usize) -> StreamSize {
        let Head { stream, frontier, .. } = &self.streams[s].head;
        StreamSize { stream: *stream, size: frontier.size(), root: frontier.root() }
    }

    pub fn stream_checkpoint(&mut self, s: usize) {
        self.tick();
        let leaf = self.submission().checkpoint_stream(&self.signer(Role::Checkpoint), self.stream_size(s));
        self.leaves.push(leaf);
    }

    pub fn close_stream(&mut self, s: usize) {
        self.tick();
        let leaf = self.submission().close_stream(&self.signer(Role::Identity), self.stream_size(s));
        self.leaves.push(leaf);
    }

    /// Registers a new key for a role, and uses it from then on.
    pub fn register(&mut self, role: Role, label: &str) {
        self.tick();
        let leaf = self.submission().register(&self.signer(Role::Identity), role, &key(label));
        self.leaves.push(leaf);
        self.labels[usize::from(role.number()) - 1] = label.to_string();
    }

    pub fn revoke(&mut self, role: Role, label: &str) {
        self.tick();
        let id = key(label).public().id(&self.name.role_name(role));
        self.revoke_id(id);
    }

    pub fn revoke_id(&mut self, id: KeyId) {
        let leaf = self.submission().revoke(&self.signer(Role::Identity), id);
        self.leaves.push(leaf);
    }

    pub fn stream_note(&self, s: usize) -> String {
        let at = self.stream_size(s);
        self.note_of(self.name.stream_origin(&at.stream), at.size, at.root)
    }

    /// A stream's note by the keys of the roles, whatever it says.
    pub fn note_of(&self, origin: String, size: u64, root: [u8; 32]) -> String {
        let checkpoint = Checkpoint { origin, size, root };
        let keys = (self.signer(Role::Checkpoint), self.signer(Role::Cosign));
        sign_checkpoint(&self.name, &checkpoint, (&keys.0, &keys.1), self.seconds())
    }

    pub fn root_note(&self) -> String {
        self.root_note_over(&self.leaves)
    }

    pub fn root_note_over(&self, leaves: &[Vec<u8>]) -> String {
        let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let checkpoint =
            Checkpoint { origin: self.name.root_origin(), size: leaves.len() as u64, root: root_of(&hashes) };
        let keys = (self.signer(Role::Sequencer), self.signer(Role::Cosign));
        sign_checkpoint(&self.name, &checkpoint, (&keys.0, &keys.1), self.seconds())
    }

    /// The notes of this moment.
    pub fn pins(&self) -> Pins {
        let streams = (0..self.streams.len()).map(|s| (self.streams[s].id, self.stream_note(s))).collect();
        Pins { root: Some(self.root_note()), streams }
    }

    /// A trust file with the genesis keys.
    pub fn trust(&self, pins: &Pins) -> Trust {
        let [identity, checkpoint, cosign, sequencer] = self.first_labels.each_ref().map(|label| key(label).public());
        Trust {
            deployment: self.name.clone(),
            keys: RoleKeys { identity, checkpoint, cosign, sequencer },
            root_pin: pins.root.clone(),
            pins: pins.streams.iter().cloned().collect(),
        }
    }

    /// Everything, with fresh notes.
    pub fn log(&self) -> Log {
        let streams = (0..self.streams.len()).map(|s| LogStream {
            id: self.streams[s].id,
            batches: self.streams[s].batches.clone(),
            damaged_at: None,
            torn_bytes: 0,
            note: Some(self.stream_note(s)),
        });
        Log { leaves: self.leaves.clone(), note: Some(self.root_note()), streams: streams.collect() }
    }
}

/// A span event; the ledger does not look into its body.
pub fn span(index: u64) -> Vec<u8> {
    let mut event = vec![kind::SPAN];
    event.extend_from_slice(format!("span {index}").as_bytes());
    event
}

/// Says that the writer of a stream stopped uncleanly.
pub fn gap(world: &World, s: usize) -> Vec<u8> {
    let first = world.size(s);
    let gap = Gap {
        cause: GapCause::UncleanStop,
        stream: world.streams[s].id,
        first,
        expected_size: None,
        spans_lost: None,
        wall: world.wall,
    };
    gap.encode().to_vec()
}
