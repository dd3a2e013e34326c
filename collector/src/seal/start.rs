//! Start-up: from a data directory in whatever state to streams that take spans in, without a hand.
//!
//! The steps, in this order; whatever a crash leaves behind, the next start takes the same steps:
//! 1. Lock, root log, name, keys, genesis, trust file ([`super::ground`]).
//! 2. The root log names the streams to go on with: the last of each line, where a line is a stream that took no other's
//!    place, and those that took its place one after the other. Lines count in the order in which they began. The log of
//!    each is recovered to where it is durable, its tail verified, its spans remembered ([`super::past`]).
//! 3. In the place of one that was tampered with, is shorter than was signed for, or was closed, a new stream is opened that
//!    names it: the directory of the new one first, then its stream-open leaf, then the end of the old one. Where lines are
//!    missing, streams are opened that name none; the last of those lines that are too many are closed. A crash after the
//!    first leaf leaves the old stream unclosed: it is closed now, since it is no longer the last of its line.
//! 4. The next epoch is opened ([`super::epoch`]), after the end of the last one where that is missing: by the identity key,
//!    since its own is gone. What is lost or not known, the stream says first.
//! 5. The ledger is told of erasures and holds that a crash kept from it ([`super::deeds`]).
//! 6. The streams' checkpoints are signed.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spanseal_ledger::StreamId;
use spanseal_ledger::epoch::Start;
use spanseal_ledger::gap::{Gap, GapCause};
use spanseal_ledger::id::IdError;
use spanseal_ledger::key_event::CloseReason;
use spanseal_ledger::root_leaf::{Predecessor, PredecessorState, StreamOpen};
use spanseal_ledger::sealer::Head;
use spanseal_ledger::verify::{Fault, StreamRoot};
use spanseal_log::{Damage, DataDir, KeyFileError, Lock, LockError, OpenError, Options, Owner, RecoverError, Writer};
use tokio::sync::watch;

use super::checkpoints::{Checkpointed, Checkpoints, Intervals, LastLeaf};
use super::conflicts::{ConflictSettings, Conflicts};
use super::deeds::Debt;
use super::durable::Durable;
use super::epoch::Between;
use super::first::Firsts;
use super::gate::RefusedSpans;
use super::ground::Ground;
use super::keys::Keys;
use super::lines::{ending, lines};
use super::measures::Measures;
use super::moment::Moment;
use super::nonces::Nonces;
use super::past::{Past, Reading, Unsound};
use super::references::References;
use super::root::{RootError, RootLog};
use super::stream::{STAGES, Stream, StreamError, segment_start};
use super::subjects::{SharedSubjects, SubjectsError};
use super::window::{Window, WindowLimits};
use crate::serve::{Health, Metrics};

/// What streams are given beside their data directory.
pub(crate) struct Equipment {
    /// At most [`STREAMS_MAX`](super::stream::STREAMS_MAX).
    pub(crate) streams: NonZeroUsize,
    pub(crate) subjects: SharedSubjects,
    /// Of each stream.
    pub(crate) limits: WindowLimits,
    pub(crate) conflicts: ConflictSettings,
    pub(crate) sizes: Options,
    pub(crate) epoch_max: Duration,
    pub(crate) intervals: Intervals,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Health,
}

/// Streams that take spans in, and what signs their checkpoints.
pub(crate) struct Started {
    pub(crate) streams: Vec<Stream>,
    pub(crate) checkpoints: Checkpoints,
}

/// The engine cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("the data directory cannot be read or written")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Key(#[from] KeyFileError),
    #[error(
        "the data directory belongs to {there}, not to {asked}: set `name` to that, or choose another data directory"
    )]
    OtherName { there: String, asked: String },
    #[error(
        "the data directory belongs to a development set-up, which approves whatever is asked: start it with `--dev`, or \
         choose another data directory"
    )]
    Dev,
    #[error("the data directory belongs to no development set-up: leave `--dev` out, or choose another data directory")]
    NotDev,
    #[error(transparent)]
    Name(#[from] IdError),
    #[error("keys/{role}.key is not the key that the root log has in force: put the right one back")]
    OtherKey { role: &'static str },
    #[error("the root log cannot be read: put it back from a copy, or start with an empty data directory")]
    RootUnreadable(#[source] RecoverError),
    #[error("the root log cannot be read ({0}): put it back from a copy, or start with an empty data directory")]
    RootDamaged(Damage),
    #[error("the root log holds two histories: put it back from a copy, or start with an empty data directory")]
    RootForked,
    #[error("the root log was tampered with ({0}): put it back from a copy, or start with an empty data directory")]
    RootTampered(Box<Fault>),
    #[error(
        "the root log has {size} leaves and its checkpoint {checkpoint}: put it back from a copy, or start with an \
         empty data directory"
    )]
    RootShort { size: u64, checkpoint: u64 },
    #[error(
        "the first {checkpoint} leaves of the root log are not those of its checkpoint: put it back from a copy, or \
         start with an empty data directory"
    )]
    RootReplaced { checkpoint: u64 },
    #[error("a log cannot be opened for writing")]
    Open(#[from] OpenError),
    #[error(transparent)]
    Root(#[from] RootError),
    #[error(transparent)]
    Subjects(#[from] SubjectsError),
    #[error("there is no randomness for names and keys")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("the authority section of the configuration cannot be used")]
    Authority(#[from] spanseal_authority::config::Mistakes),
    #[error("the authority section of the configuration cannot be written down")]
    Configuration(#[from] toml::ser::Error),
    #[error("the authority section of the configuration takes {bytes} bytes, more than the {max} that one event holds")]
    ConfigurationTooLong { bytes: usize, max: usize },
}

/// Takes the steps from 2 on.
///
/// # Errors
/// When the logs cannot be read or written.
pub(crate) fn start(ground: Ground, equipment: Equipment, now: &Moment) -> Result<Started, StartError> {
    STAGES.iter().take(equipment.streams.get()).for_each(|stage| equipment.health.unready(stage, "starting"));
    let mut starting = Starting { ground, equipment, now: *now };
    let origins = starting.origins()?;
    starting.close_forgotten(&origins)?;
    let Starting { ground, equipment, .. } = starting;
    let Ground { dir, lock, keys, root, .. } = ground;
    // Each stream adds its own; an earlier try may have.
    equipment.metrics.seal.size_events.set(0);
    equipment.metrics.seal.window_entries.set(0);
    let common = Common { dir, lock: Arc::new(lock), keys, root: Arc::new(Mutex::new(root)), equipment };
    let mut streams = Vec::with_capacity(origins.len());
    let mut checkpointed = Vec::with_capacity(origins.len());
    for (origin, stage) in origins.into_iter().zip(STAGES) {
        let last_leaf = LastLeaf { size: origin.checkpointed, at: *now };
        let stream = common.stream(origin, stage)?;
        checkpointed.push(Checkpointed { durable: stream.durable.subscribe(), last_leaf });
        streams.push(stream);
    }
    // One of them has the ledger to tell.
    streams.first_mut().into_iter().for_each(|first| first.debt = Debt::NOW);
    for stream in &mut streams {
        stream.tick(now)?;
    }
    let Common { dir, keys, root, equipment, .. } = common;
    let mut checkpoints = Checkpoints {
        dir,
        keys,
        root,
        streams: checkpointed,
        intervals: equipment.intervals,
        measures: Arc::new(Measures::new(equipment.metrics)),
    };
    checkpoints.tick(now)?;
    Ok(Started { streams, checkpoints })
}

/// What the streams of a process have in common.
struct Common {
    dir: DataDir,
    lock: Arc<Lock>,
    keys: Arc<Keys>,
    root: Arc<Mutex<RootLog>>,
    equipment: Equipment,
}

impl Common {
    fn stream(&self, origin: Origin, stage: &'static str) -> Result<Stream, StartError> {
        let Self { dir, equipment, .. } = self;
        let head = &origin.between.head;
        let writer = match origin.writer {
            Some(writer) => writer,
            None => open_writer(dir, head, equipment.sizes)?,
        };
        let durable = Durable { stream: head.stream, size: head.frontier.size(), root: head.frontier.root() };
        let mut measures = Measures::new(Arc::clone(&equipment.metrics));
        measures.size(durable.size);
        Ok(Stream {
            dir: dir.clone(),
            lock: Arc::clone(&self.lock),
            writer,
            epoch: None,
            stream_nanos: head.wall,
            conflicts: Conflicts::new(
                equipment.conflicts.clone(),
                Firsts::new(dir.clone(), head.stream, head.frontier.size()),
            ),
            between: origin.between,
            window: origin.window,
            references: References::default(),
            subjects: equipment.subjects.clone(),
            erasures_seen: 0,
            debt: Debt::None,
            nonces: Nonces::new(),
            keys: Arc::clone(&self.keys),
            root: Arc::clone(&self.root),
            refused: Arc::new(RefusedSpans::new(measures.refused())),
            durable: watch::Sender::new(durable),
            measures,
            health: equipment.health.clone(),
            stage,
            epoch_max: equipment.epoch_max,
        })
    }
}

fn open_writer(dir: &DataDir, head: &Head, sizes: Options) -> Result<Writer, OpenError> {
    let owner = Owner::Stream(head.stream);
    Writer::open_with(dir.shared_storage(), &dir.log(&owner), owner, segment_start(head), sizes)
}

/// Start-up under way.
struct Starting {
    ground: Ground,
    equipment: Equipment,
    now: Moment,
}

/// From where a stream goes on.
struct Origin {
    between: Between,
    window: Window,
    /// Of a stream that was opened just now.
    writer: Option<Writer>,
    /// Its size in its last stream-checkpoint leaf.
    checkpointed: u64,
}

impl Starting {
    /// Steps 2 and 3: where each stream goes on from.
    fn origins(&mut self) -> Result<Vec<Origin>, StartError> {
        let mut lines = lines(self.ground.state.streams()).into_iter();
        (0..self.equipment.streams.get()).map(|_| self.origin(lines.next().as_ref())).collect()
    }

    fn origin(&mut self, last: Option<&StreamRoot>) -> Result<Origin, StartError> {
        let Some(stream) = last else { return self.new_stream(None) };
        if let Some(closed) = stream.closed {
            let predecessor = Predecessor { stream: stream.stream, size: closed.size, state: PredecessorState::Closed };
            return self.new_stream(Some(predecessor));
        }
        let past = self.reading().read(stream)?;
        match &past.unsound {
            None => Ok(self.go_on(stream, past)),
            Some(unsound) => self.replace(stream, &past.head, unsound),
        }
    }

    fn reading(&self) -> Reading<'_> {
        Reading {
            dir: &self.ground.dir,
            keys: &self.ground.keys,
            state: &self.ground.state,
            subjects: &self.equipment.subjects,
            limits: self.equipment.limits,
        }
    }

    fn go_on(&self, stream: &StreamRoot, past: Past) -> Origin {
        let Past { head, closed, window, .. } = past;
        let last_epoch = stream.last_epoch();
        let start = match closed {
            _ if last_epoch == 0 => Start::First,
            Some(CloseReason::Shutdown) => Start::AfterClose,
            // A rotation that never got to its second half has lost the key that would have signed it.
            Some(CloseReason::Rotation) | None => Start::AfterUncleanStop,
        };
        let mut gaps = Vec::new();
        if head.frontier.size() == 0 {
            gaps.extend(self.lost_tail(stream.predecessor));
        } else if closed.is_none() {
            gaps.push(Gap {
                cause: GapCause::UncleanStop,
                stream: stream.stream,
                first: head.frontier.size(),
                expected_size: None,
                spans_lost: None,
                wall: self.now.wall_unix_nano,
            });
        }
        let unclosed = stream.epochs.last().is_some_and(|epoch| epoch.close.is_none());
        tracing::info!(stream = %stream.stream, size = head.frontier.size(), remembered = window.len(), ?start, "stream found");
        let checkpointed = stream.last_checkpoint.map_or(0, |(_, at)| at.size);
        let between = Between { start, gaps, last_epoch, unclosed, ..Between::at(head) };
        Origin { between, window, writer: None, checkpointed }
    }

    /// What a stream says first when the one before it has lost its end.
    fn lost_tail(&self, predecessor: Option<Predecessor>) -> Option<Gap> {
        let before = predecessor.filter(|before| before.state == PredecessorState::TailLost)?;
        let claimed = self.ground.state.stream(&before.stream).map(|stream| self.reading().claimed_size(stream));
        Some(Gap {
            cause: GapCause::TailLost,
            stream: before.stream,
            first: before.size,
            expected_size: claimed.filter(|size| *size > before.size),
            spans_lost: None,
            wall: self.now.wall_unix_nano,
        })
    }

    /// Step 3: opens a stream in the place of one that must not be continued.
    fn replace(&mut self, stream: &StreamRoot, good: &Head, unsound: &Unsound) -> Result<Origin, StartError> {
        tracing::error!(
            stream = %stream.stream,
            fault = %unsound,
            size = good.frontier.size(),
            "the stream was changed or has lost its end: it is closed, and a new one names it; run `spanseal verify`"
        );
        let predecessor =
            Predecessor { stream: stream.stream, size: good.frontier.size(), state: PredecessorState::TailLost };
        self.new_stream(Some(predecessor))
    }

    /// Opens a stream: its directory first, then its leaf.
    fn new_stream(&mut self, predecessor: Option<Predecessor>) -> Result<Origin, StartError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let stream = StreamId(id);
        let head = Head::empty(stream);
        let writer = open_writer(&self.ground.dir, &head, self.equipment.sizes)?;
        let Ground { root, keys, .. } = &mut self.ground;
        let leaf = root.submission(&self.now).open_stream(&*keys.identity, StreamOpen { stream, predecessor });
        root.append(&[leaf], &self.now)?;
        tracing::info!(%stream, "stream opened");
        let gaps = self.lost_tail(predecessor).into_iter().collect();
        Ok(Origin {
            between: Between { gaps, ..Between::at(head) },
            window: Window::new(self.equipment.limits),
            writer: Some(writer),
            checkpointed: 0,
        })
    }

    /// Ends every stream that is not closed and is none to go on with.
    fn close_forgotten(&mut self, origins: &[Origin]) -> Result<(), StartError> {
        let goes_on = |stream: StreamId| origins.iter().any(|origin| origin.between.head.stream == stream);
        let streams = self.ground.state.streams().iter();
        let open: Vec<_> =
            streams.filter(|stream| stream.closed.is_none() && !goes_on(stream.stream)).cloned().collect();
        for stream in open {
            let past = self.reading().read(&stream)?;
            let Ground { root, keys, .. } = &mut self.ground;
            let leaves = ending(&root.submission(&self.now), keys, &stream, &past.head);
            root.append(&leaves, &self.now)?;
        }
        Ok(())
    }
}
