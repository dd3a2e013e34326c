//! A small deployment that seals real spans into a real directory, with keys and times that never change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanseal_ledger::checkpoint::{Checkpoint, sign_checkpoint};
use spanseal_ledger::epoch::{EpochStart, Start};
use spanseal_ledger::key::{SecretKey, Signer};
use spanseal_ledger::key_event::{CloseReason, Opening};
use spanseal_ledger::leaf::{leaf_hash, plain_hash};
use spanseal_ledger::root_leaf::{ClosedBy, RoleSigners, StreamOpen, StreamSize, Submission};
use spanseal_ledger::sealer::{Clock, Closed, Head, Sealer, Tally};
use spanseal_ledger::tree::Frontier;
use spanseal_ledger::trust::{RoleKeys, Trust};
use spanseal_ledger::{Deployment, EventId, Role, StreamId};
use spanseal_log::{DataDir, Disk, Durability, Owner, RecordKind, SegmentStart, Writer};
use spanseal_schemas::cut::{self, Hole};
use spanseal_schemas::envelope::{self, SpanHead};
use spanseal_schemas::event::{Assessment, Cut, Encoding, ResourceEvent, What};
use spanseal_schemas::kind;
use tempfile::TempDir;

pub(crate) const BEGIN_SECONDS: u64 = 1_780_272_000;
pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const NAME: &str = "acme.example/agents";

pub(crate) struct World {
    pub(crate) data: DataDir,
    pub(crate) wall: u64,
    _dir: TempDir,
    name: Deployment,
    root: Writer,
    root_tree: Frontier,
    streams: Vec<Stream>,
}

struct Stream {
    id: StreamId,
    writer: Writer,
    head: Head,
    epoch: u32,
    sealer: Option<Sealer>,
    closed: Option<Closed>,
    /// Where this epoch's and run's resource events are.
    refs: Option<(u32, u64, Refs)>,
}

/// Indices of the resource events that spans refer to.
#[derive(Clone, Copy)]
pub(crate) struct Refs {
    pub(crate) resource: u64,
    pub(crate) scope: u64,
    pub(crate) tenant: u64,
    pub(crate) configuration: u64,
}

/// A span to be sealed.
#[derive(Clone, Default)]
pub(crate) struct Sealed {
    pub(crate) span: Span,
    pub(crate) assessment: Option<Assessment>,
    /// Key of an attribute of which the value is cut out.
    pub(crate) keep_out: Option<&'static str>,
}

fn key(role: Role) -> SecretKey {
    SecretKey::from_seed(&mut [role.number(); 32])
}

fn epoch_key(stream: StreamId, epoch: u32) -> SecretKey {
    let mut seed = [stream.0[0]; 32];
    seed[..4].copy_from_slice(&epoch.to_be_bytes());
    SecretKey::from_seed(&mut seed)
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (data, lock) = DataDir::open_to_write(Arc::new(Disk), &dir.path().join("data")).unwrap();
        drop(lock);
        let owner = Owner::RootLog;
        let root = Writer::open(data.shared_storage(), &data.log(&owner), owner, SegmentStart::empty()).unwrap();
        let name = Deployment::new(NAME).unwrap();
        data.write_name(NAME).unwrap();
        let wall = BEGIN_SECONDS * SECOND;
        let mut world = Self { data, wall, _dir: dir, name, root, root_tree: Frontier::new(), streams: Vec::new() };
        let [identity, checkpoint, cosign, sequencer] = Role::ALL.map(key);
        let signers =
            RoleSigners { identity: &identity, checkpoint: &checkpoint, cosign: &cosign, sequencer: &sequencer };
        let genesis = world.submission().genesis(&signers);
        world.root_leaf(&genesis);
        world
    }

    /// A world with one stream, in its first epoch.
    pub(crate) fn with_stream() -> Self {
        let mut world = Self::new();
        world.open_stream(1);
        world
    }

    pub(crate) fn open_stream(&mut self, n: u8) -> usize {
        let id = StreamId([n; 16]);
        let owner = Owner::Stream(id);
        let writer =
            Writer::open(self.data.shared_storage(), &self.data.log(&owner), owner, SegmentStart::empty()).unwrap();
        let leaf = self.submission().open_stream(&key(Role::Identity), StreamOpen { stream: id, predecessor: None });
        self.root_leaf(&leaf);
        let stream = Stream { id, writer, head: Head::empty(id), epoch: 0, sealer: None, closed: None, refs: None };
        self.streams.push(stream);
        self.open_epoch(self.streams.len() - 1, Start::First);
        self.streams.len() - 1
    }

    pub(crate) fn stream(&self, s: usize) -> StreamId {
        self.streams[s].id
    }

    pub(crate) fn size(&self, s: usize) -> u64 {
        self.streams[s].head.frontier.size()
    }

    pub(crate) fn head(&self, s: usize) -> &Head {
        &self.streams[s].head
    }

    pub(crate) fn event(&self, s: usize, index: u64) -> EventId {
        EventId { stream: self.stream(s), index }
    }

    pub(crate) fn dir(&self, s: usize) -> PathBuf {
        self.data.log(&Owner::Stream(self.stream(s)))
    }

    pub(crate) fn open_epoch(&mut self, s: usize, start: Start) {
        let stream = &self.streams[s];
        let epoch_key = epoch_key(stream.id, stream.epoch + 1);
        let epoch = EpochStart::after(&stream.head, stream.epoch + 1, start, &epoch_key.public());
        let outgoing = stream.closed.as_ref().filter(|_| start == Start::Rotation).map(Closed::key);
        let leaf = self.submission().open_epoch(&key(Role::Identity), epoch, &epoch_key, outgoing);
        let opening = Opening {
            epoch,
            deployment: plain_hash(NAME.as_bytes()),
            root_leaf: self.root_tree.size(),
            wall: self.wall,
            identity: key(Role::Identity).public().id(&self.name.role_name(Role::Identity)),
        };
        let opening = opening.sign(&key(Role::Identity), outgoing);
        self.root_leaf(&leaf);
        let stream = &mut self.streams[s];
        stream.epoch += 1;
        stream.sealer = Some(Sealer::open(stream.head.clone(), epoch_key, &opening).unwrap());
    }

    /// Ends the epoch by itself and begins the next with another key.
    pub(crate) fn rotate(&mut self, s: usize) {
        self.close_epoch(s, CloseReason::Rotation);
        self.open_epoch(s, Start::Rotation);
    }

    pub(crate) fn close_epoch(&mut self, s: usize, reason: CloseReason) {
        self.wall += SECOND;
        let clock = self.clock();
        let stream = &mut self.streams[s];
        let mut batches = Vec::new();
        let closed = stream.sealer.take().unwrap().close(reason, clock, &Tally::default(), &mut batches);
        stream.head = closed.head().clone();
        batches.iter().for_each(|batch| stream.writer.append(RecordKind::Batch, batch).unwrap());
        stream.commit();
        let at = stream.at();
        let (epoch, seal_hash) = (stream.epoch, stream.head.seal_hash);
        let leaf = self.submission().close_epoch(ClosedBy::EpochKey(closed.key()), epoch, at, seal_hash);
        self.streams[s].closed = Some(closed);
        self.root_leaf(&leaf);
    }

    /// Seals events as one batch; returns the index of the first.
    pub(crate) fn seal(&mut self, s: usize, events: &[(u8, Vec<u8>)]) -> u64 {
        let stream = &mut self.streams[s];
        let sealer = stream.sealer.as_mut().unwrap();
        let first = sealer.next_index();
        for (kind, body) in events {
            sealer.push(*kind, |out| out.extend_from_slice(body)).unwrap();
        }
        self.flush(s);
        first
    }

    /// Adds a record to what is committed with the next batch.
    pub(crate) fn payload(&mut self, s: usize, body: &[u8]) {
        self.streams[s].writer.append(RecordKind::Payload, body).unwrap();
    }

    /// Seals spans in as many batches as it takes; returns the index of each.
    pub(crate) fn seal_spans(&mut self, s: usize, spans: &[Sealed]) -> Vec<u64> {
        let mut indices = Vec::new();
        for sealed in spans {
            let refs = self.refs(s);
            let body = self.span_body(s, refs, sealed);
            let stream = &mut self.streams[s];
            if !stream.sealer.as_ref().unwrap().fits(body.len() + 1) {
                self.flush(s);
            }
            let sealer = self.streams[s].sealer.as_mut().unwrap();
            indices.push(sealer.push(kind::SPAN, |out| out.extend_from_slice(&body)).unwrap());
        }
        self.flush(s);
        indices
    }

    /// Seals what waits and makes it durable.
    pub(crate) fn flush(&mut self, s: usize) {
        self.wall += SECOND / 1000;
        let clock = self.clock();
        let stream = &mut self.streams[s];
        let sealer = stream.sealer.as_mut().unwrap();
        if let Some(batch) = sealer.seal(clock, &Tally::default()) {
            stream.writer.append(RecordKind::Batch, batch).unwrap();
            stream.head = sealer.head().unwrap();
            stream.commit();
        }
    }

    /// The resource events of the current run, written if need be.
    pub(crate) fn refs(&mut self, s: usize) -> Refs {
        let stream = &mut self.streams[s];
        let sealer = stream.sealer.as_mut().unwrap();
        let run = sealer.next_index() >> 16;
        if let Some((_, _, refs)) = stream.refs.filter(|(epoch, held, _)| (*epoch, *held) == (stream.epoch, run)) {
            return refs;
        }
        // All in one run: they never stand at its very end in these tests.
        let resource = Resource { attributes: vec![text("service.name", "shop-agent")], ..Resource::default() };
        let contents = [
            (What::Resource, resource.encode_to_vec()),
            (What::Scope, Vec::new()),
            (What::Tenant, Vec::new()),
            (What::Configuration, b"# nothing".to_vec()),
        ];
        self.flush(s);
        let events: Vec<(u8, Vec<u8>)> =
            contents.into_iter().map(|(what, content)| (kind::RESOURCE, resource_body(what, content))).collect();
        let first = self.seal(s, &events);
        let refs = Refs { resource: first, scope: first + 1, tenant: first + 2, configuration: first + 3 };
        let stream = &mut self.streams[s];
        stream.refs = Some((stream.epoch, run, refs));
        refs
    }

    fn span_body(&mut self, s: usize, refs: Refs, sealed: &Sealed) -> Vec<u8> {
        let span = sealed.span.encode_to_vec();
        let keep_out = |key: &str| Some(key) == sealed.keep_out;
        let holes = cut::plan(&span, &keep_out, 60_000);
        let stored = cut::remove(&span, &holes);
        let payloads: Vec<[u8; 32]> =
            if holes.is_empty() { Vec::new() } else { vec![self.cut_payload(s, &span, &holes)] };
        let cuts: Vec<Cut> = holes.into_iter().map(|hole| hole.commit([9; 32])).collect();
        let head = SpanHead {
            received_unix_nano: self.wall,
            resource: refs.resource,
            scope: refs.scope,
            tenant: refs.tenant,
            configuration: refs.configuration,
            encoding: Encoding::Protobuf,
            producer: None,
            assessment: sealed.assessment.as_ref(),
        };
        let mut body = Vec::new();
        envelope::span_event(&mut body, &head, &stored, &cuts, &payloads);
        body
    }

    /// Writes the record of what is cut, before the batch that it belongs to; it need not be encrypted here.
    fn cut_payload(&mut self, s: usize, span: &[u8], holes: &[Hole]) -> [u8; 32] {
        self.flush(s);
        let record = payload_record(self.stream(s), &cut::pieces(span, holes).concat());
        self.payload(s, &record);
        plain_hash(&record)
    }

    /// Begins another segment.
    pub(crate) fn new_segment(&mut self, s: usize) {
        let (owner, start) = (Owner::Stream(self.stream(s)), self.streams[s].start());
        let dir = self.data.log(&owner);
        self.streams[s].writer = Writer::open(self.data.shared_storage(), &dir, owner, start).unwrap();
    }

    /// Says in the root log alone that the last epoch ended at an earlier head.
    pub(crate) fn close_epoch_at(&mut self, s: usize, head: &Head) {
        let size = StreamSize { stream: head.stream, size: head.frontier.size(), root: head.frontier.root() };
        let identity = key(Role::Identity);
        let closed_by = ClosedBy::Identity(&identity);
        let leaf = self.submission().close_epoch(closed_by, self.streams[s].epoch, size, head.seal_hash);
        self.root_leaf(&leaf);
    }

    /// Writes the streams' and the root log's notes as of now.
    pub(crate) fn checkpoint(&mut self) {
        for s in 0..self.streams.len() {
            let leaf = self.submission().checkpoint_stream(&key(Role::Checkpoint), self.streams[s].at());
            self.root_leaf(&leaf);
            let note = self.note(s);
            self.data.write_checkpoint(&Owner::Stream(self.stream(s)), &note, Durability::Synced).unwrap();
        }
        self.data.write_checkpoint(&Owner::RootLog, &self.root_note(), Durability::Synced).unwrap();
    }

    /// The trust file that pins everything as of now.
    pub(crate) fn trust(&self) -> Trust {
        let [identity, checkpoint, cosign, sequencer] = Role::ALL.map(|role| key(role).public());
        let pins = (0..self.streams.len()).map(|s| (self.stream(s), self.note(s)));
        Trust {
            deployment: self.name.clone(),
            keys: RoleKeys { identity, checkpoint, cosign, sequencer },
            root_pin: Some(self.root_note()),
            pins: pins.collect(),
        }
    }

    fn note(&self, s: usize) -> String {
        let at = self.streams[s].at();
        let checkpoint = Checkpoint { origin: self.name.stream_origin(&at.stream), size: at.size, root: at.root };
        sign_checkpoint(&self.name, &checkpoint, (&key(Role::Checkpoint), &key(Role::Cosign)), self.wall / SECOND)
    }

    fn root_note(&self) -> String {
        let (size, root) = (self.root_tree.size(), self.root_tree.root());
        let checkpoint = Checkpoint { origin: self.name.root_origin(), size, root };
        sign_checkpoint(&self.name, &checkpoint, (&key(Role::Sequencer), &key(Role::Cosign)), self.wall / SECOND)
    }

    fn root_leaf(&mut self, leaf: &[u8]) {
        self.root_tree.push(leaf_hash(leaf));
        self.root.append(RecordKind::RootLeaf, leaf).unwrap();
        let end =
            SegmentStart { first: self.root_tree.size(), frontier: self.root_tree.clone(), ..SegmentStart::empty() };
        let _ = self.root.commit(end).unwrap();
    }

    fn submission(&self) -> Submission<'_> {
        Submission { deployment: &self.name, time: self.wall }
    }

    fn clock(&self) -> Clock {
        Clock { wall_unix_nano: self.wall, monotonic_nano: self.wall - BEGIN_SECONDS * SECOND }
    }
}

impl Stream {
    fn at(&self) -> StreamSize {
        StreamSize { stream: self.id, size: self.head.frontier.size(), root: self.head.frontier.root() }
    }

    fn start(&self) -> SegmentStart {
        let (first, seal_hash) = (self.head.frontier.size(), self.head.seal_hash);
        SegmentStart { first, seal_hash, frontier: self.head.frontier.clone() }
    }

    fn commit(&mut self) {
        let _ = self.writer.commit(self.start()).unwrap();
    }
}

/// Under whose key everything is here.
pub(crate) const SUBJECT: [u8; 16] = [2; 16];

/// A payload record, the only one of its event. Only its head is ever read without the key.
pub(crate) fn payload_record(stream: StreamId, bytes: &[u8]) -> Vec<u8> {
    [&b"spanseal/payl/v1"[..], &stream.0, &SUBJECT, &[3; 16], &[0, 0, 0, 1], &[0; 24], bytes, &[0; 16]].concat()
}

/// The body of a resource event of tenant `acme`.
pub(crate) fn resource_body(what: What, content: Vec<u8>) -> Vec<u8> {
    let tenant = "acme".to_owned();
    let peer = if what == What::Tenant { "mtls:shop".to_owned() } else { String::new() };
    ResourceEvent {
        version: 1,
        nonce: vec![7; 16],
        what: what as i32,
        tenant,
        peer,
        content,
        ..ResourceEvent::default()
    }
    .encode_to_vec()
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Span number `number` of trace `trace`, with these attributes.
pub(crate) fn span(trace: u8, number: u64, parent: Option<u64>, name: &str, attributes: Vec<KeyValue>) -> Sealed {
    let span = Span {
        trace_id: vec![trace; 16],
        span_id: number.to_be_bytes().to_vec(),
        parent_span_id: parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        name: name.to_owned(),
        start_time_unix_nano: BEGIN_SECONDS * SECOND + number * 1000,
        end_time_unix_nano: BEGIN_SECONDS * SECOND + number * 1000 + 40_000_000,
        attributes,
        ..Span::default()
    };
    Sealed { span, ..Sealed::default() }
}

/// `count` plain spans of trace `trace`, numbered from 1.
pub(crate) fn spans(trace: u8, count: u64) -> Vec<Sealed> {
    (1..=count).map(|number| span(trace, number, None, "work", vec![text("gen_ai.operation.name", "chat")])).collect()
}

/// The files of a directory that are segments, in order.
pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    files.sort();
    files
}
