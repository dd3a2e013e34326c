//! A machine in memory, the processes that run on it one after the other, and the senders that try again.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spanseal_authority::Authority;
use spanseal_log::{Memory, Options};
use tokio::sync::oneshot;

use super::requests::{Request, SECRET};
use crate::config::KeyPattern;
use crate::intake::{Accepted, Encoding, Received, Refusal, Tenant};
use crate::seal::checkpoints::{Checkpoints, Intervals};
use crate::seal::conflicts::ConflictSettings;
use crate::seal::cutting::Cutting;
use crate::seal::fingerprint::Fingerprints;
use crate::seal::ground::Ground;
use crate::seal::moment::Moment;
use crate::seal::parcel::{Answer, Parcel};
use crate::seal::root::RootError;
use crate::seal::scanner::Scanner;
use crate::seal::split::{self, Part, split};
use crate::seal::start::{Equipment, StartError, Started, start};
use crate::seal::stream::{Stream, StreamError};
use crate::seal::subjects::{SharedSubjects, SubjectMemory};
use crate::seal::window::WindowLimits;
use crate::serve::{Health, Metrics};

/// What outlives processes.
pub(super) struct World {
    pub(super) memory: Memory,
    pub(super) subjects: SubjectMemory,
    pub(super) now: Moment,
    pub(super) settings: Settings,
    /// Every checkpoint that an outsider may have seen, by file; the latest of each.
    pub(super) pins: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) entries_max: usize,
    pub(super) window: Duration,
    pub(super) segment_bytes_max: u64,
    pub(super) epoch_max: Duration,
    pub(super) conflicts_per_second_max: u32,
    pub(super) streams: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            entries_max: 10_000,
            window: Duration::from_secs(300),
            segment_bytes_max: 1 << 20,
            epoch_max: Duration::from_secs(3600),
            conflicts_per_second_max: 100,
            streams: 1,
        }
    }
}

/// One life of the engine.
pub(super) struct Process {
    pub(super) streams: Vec<Stream>,
    pub(super) checkpoints: Checkpoints,
    pub(super) scanner: Scanner,
    pub(super) health: Health,
}

/// Why a process cannot go on.
#[derive(Debug)]
#[expect(dead_code, reason = "shown by a failing test")]
pub(super) enum Stopped {
    Start(StartError),
    Stream(StreamError),
    Root(RootError),
}

pub(super) const DATA: &str = "data";
pub(super) const NAME: &str = "test.example/agents";

impl Process {
    pub(super) fn is_ready(&self) -> bool {
        self.health.reasons().is_empty()
    }
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            memory: Memory::new(),
            subjects: SubjectMemory::default(),
            now: Moment { wall_unix_nano: 1_800_000_000_000_000_000, monotonic_nano: 0 },
            settings,
            pins: BTreeMap::new(),
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let nanos = time.as_nanos() as u64;
        self.now.wall_unix_nano += nanos;
        self.now.monotonic_nano += nanos;
    }

    pub(super) fn start(&mut self) -> Result<Process, Stopped> {
        self.pass(Duration::from_millis(10));
        let ground = Ground::take(Arc::new(self.memory.clone()), Path::new(DATA), (Some(NAME), false), &self.now)
            .map_err(Stopped::Start)?;
        let streams = NonZeroUsize::new(self.settings.streams).unwrap();
        let scanner = Scanner {
            fingerprints: Fingerprints::new(&ground.keys.dedup),
            streams,
            cutting: Cutting::new([SECRET.to_owned()], None),
            authority: Arc::new(Authority::new(&spanseal_authority::Config::default(), NAME).unwrap()),
            configuration: Bytes::from_static(b"# nothing"),
        };
        let health = Health::of(&["seal"]);
        let equipment = Equipment {
            streams,
            subjects: SharedSubjects::new(Box::new(self.subjects.clone())),
            limits: WindowLimits {
                entries_max: NonZeroUsize::new(self.settings.entries_max).unwrap(),
                time: self.settings.window,
            },
            conflicts: ConflictSettings {
                enrichment: vec![KeyPattern::Prefix("k8s.".to_owned())],
                per_second_max: NonZeroU32::new(self.settings.conflicts_per_second_max).unwrap(),
                finding: Duration::from_secs(60),
            },
            sizes: Options { segment_bytes_max: self.settings.segment_bytes_max, group_bytes_max: 64 * 1024 },
            epoch_max: self.settings.epoch_max,
            intervals: Intervals {
                note: Duration::from_secs(1),
                leaf_changed: Duration::from_secs(10),
                leaf_idle: Duration::from_secs(600),
            },
            metrics: Arc::new(Metrics::new()),
            health: health.clone(),
        };
        let Started { streams, checkpoints } = start(ground, equipment, &self.now).map_err(Stopped::Start)?;
        Ok(Process { streams, checkpoints, scanner, health })
    }

    /// Starts, with nothing in the way.
    #[track_caller]
    pub(super) fn must_start(&mut self) -> Process {
        self.start().unwrap_or_else(|stopped| panic!("a start needs a hand: {stopped:?}"))
    }

    /// Seals requests as one group, and returns the answers.
    pub(super) fn group(
        &mut self,
        process: &mut Process,
        requests: &[Request],
    ) -> Result<Vec<Result<Accepted, Refusal>>, Stopped> {
        self.pass(Duration::from_millis(1));
        let mut groups: Vec<Vec<Parcel>> = process.streams.iter().map(|_| Vec::new()).collect();
        let mut answers = Vec::new();
        for request in requests {
            let (parcel, answer) = self.parcel(process, request);
            let part = |Part { stream, parcel, answered }| {
                groups[stream].push(parcel);
                answered
            };
            answers.push(split(parcel, answer).into_iter().map(part).collect::<Vec<_>>());
        }
        for (stream, parcels) in process.streams.iter_mut().zip(&mut groups).filter(|(_, parcels)| !parcels.is_empty())
        {
            stream.group(parcels, &self.now).map_err(Stopped::Stream)?;
            assert!(parcels.is_empty(), "every parcel is answered");
        }
        let answer = |parts: Vec<oneshot::Receiver<Answer>>| {
            split::answer(parts.into_iter().map(|mut part| part.try_recv().expect("answered within the group")))
        };
        Ok(answers.into_iter().map(answer).collect())
    }

    /// Seals one request that must be accepted whole.
    #[track_caller]
    pub(super) fn must_seal(&mut self, process: &mut Process, request: &Request) {
        let answers = self.group(process, std::slice::from_ref(request)).unwrap();
        assert_eq!(answers, [Ok(Accepted::default())]);
    }

    pub(super) fn parcel(&self, process: &Process, request: &Request) -> (Parcel, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let received = Received {
            request: request.encode(),
            encoding: Encoding::Protobuf,
            tenant: Arc::new(Tenant { name: request.tenant.clone(), peer: String::new() }),
            received_unix_nano: self.now.wall_unix_nano,
            budget: None,
        };
        (process.scanner.parcel(received, answer).unwrap(), answered)
    }

    /// Lets the checkpoints' thread do its work once; what it signed may be seen by anyone from then on.
    pub(super) fn checkpoint(&mut self, process: &mut Process) -> Result<(), Stopped> {
        process.checkpoints.tick(&self.now).map_err(Stopped::Root)?;
        self.see_checkpoints(process);
        Ok(())
    }

    /// Lets the streams do what time asks for.
    pub(super) fn tick(&mut self, process: &mut Process) -> Result<(), Stopped> {
        process.streams.iter_mut().try_for_each(|stream| stream.tick(&self.now)).map_err(Stopped::Stream)
    }

    /// Ends the process cleanly.
    pub(super) fn end(&mut self, mut process: Process) -> Result<(), Stopped> {
        self.pass(Duration::from_millis(1));
        process.streams.iter_mut().try_for_each(|stream| stream.end(&self.now)).map_err(Stopped::Stream)?;
        process.checkpoints.last(&self.now).map_err(Stopped::Root)?;
        self.see_checkpoints(&process);
        Ok(())
    }

    fn see_checkpoints(&mut self, process: &Process) {
        use spanseal_log::Owner;
        let streams = process.checkpoints.streams.iter().map(|stream| stream.durable.borrow().stream);
        let owners = streams.map(|stream| (stream.to_string(), Owner::Stream(stream)));
        for (name, owner) in owners.chain([("root".to_owned(), Owner::RootLog)]) {
            if let Ok(Some(note)) = process.checkpoints.dir.read_checkpoint(&owner) {
                self.pins.insert(name, String::from_utf8(note).unwrap());
            }
        }
    }
}
