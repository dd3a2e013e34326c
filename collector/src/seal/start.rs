//! Start-up: from a data directory in whatever state to a stream that takes spans in, without a hand.
//!
//! The steps, in this order; whatever a crash leaves behind, the next start takes the same steps:
//! 1. Lock, root log, name, keys, genesis, trust file ([`super::ground`]).
//! 2. The root log names the stream to go on with: the last that it opened. Its log is recovered to where it is durable, its
//!    tail verified, its spans remembered ([`super::past`]).
//! 3. If it was tampered with, or is shorter than was signed for, a new stream is opened that names it: the directory of the
//!    new one first, then its stream-open leaf, then the end of the old one. A crash after the first leaf leaves the old
//!    stream unclosed: it is closed now, since it is no longer the last.
//! 4. The next epoch is opened ([`super::epoch`]), after the end of the last one where that is missing: by the identity key,
//!    since its own is gone. What is lost or not known, the stream says first.
//! 5. The ledger is told of erasures and holds that a crash kept from it ([`super::deeds`]).
//! 6. The stream's checkpoint is signed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use spanseal_ledger::epoch::Start;
use spanseal_ledger::gap::{Gap, GapCause};
use spanseal_ledger::id::IdError;
use spanseal_ledger::key_event::CloseReason;
use spanseal_ledger::root_leaf::{ClosedBy, Predecessor, PredecessorState, StreamOpen, StreamSize, Submission};
use spanseal_ledger::sealer::Head;
use spanseal_ledger::tree::empty_root;
use spanseal_ledger::verify::{Fault, StreamRoot};
use spanseal_ledger::{Hash, StreamId};
use spanseal_log::{Damage, KeyFileError, LockError, OpenError, Options, Owner, RecoverError, Writer};
use tokio::sync::watch;

use super::checkpoints::{Checkpoints, Intervals, LastLeaf};
use super::conflicts::{ConflictSettings, Conflicts};
use super::deeds::Debt;
use super::durable::Durable;
use super::epoch::Between;
use super::first::Firsts;
use super::gate::Gate;
use super::ground::Ground;
use super::keys::Keys;
use super::measures::Measures;
use super::moment::Moment;
use super::nonces::Nonces;
use super::past::{Past, Reading, Unsound};
use super::references::References;
use super::root::RootError;
use super::stream::{Stream, StreamError, segment_start};
use super::subjects::{Subjects, SubjectsError};
use super::window::{Window, WindowLimits};
use crate::serve::Health;

/// What a stream is given beside its data directory.
pub(crate) struct Equipment {
    pub(crate) subjects: Box<dyn Subjects>,
    pub(crate) limits: WindowLimits,
    pub(crate) conflicts: ConflictSettings,
    pub(crate) sizes: Options,
    pub(crate) epoch_max: Duration,
    pub(crate) intervals: Intervals,
    pub(crate) gate: Arc<Gate>,
    pub(crate) measures: Arc<Measures>,
    pub(crate) health: Health,
}

/// A stream that takes spans in, and what signs its checkpoints.
pub(crate) struct Started {
    pub(crate) stream: Stream,
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
    let mut starting = Starting { ground, equipment, now: *now };
    let origin = starting.origin()?;
    starting.close_forgotten(origin.between.head.stream)?;
    let Starting { ground, equipment, .. } = starting;
    let owner = Owner::Stream(origin.between.head.stream);
    let start = segment_start(&origin.between.head);
    let storage = ground.dir.shared_storage();
    let writer = match origin.writer {
        Some(writer) => writer,
        None => Writer::open_with(storage, &ground.dir.log(&owner), owner, start, equipment.sizes)?,
    };
    let head = &origin.between.head;
    let durable =
        watch::Sender::new(Durable { stream: head.stream, size: head.frontier.size(), root: head.frontier.root() });
    let root = Arc::new(Mutex::new(ground.root));
    let mut checkpoints = Checkpoints {
        dir: ground.dir.clone(),
        keys: ground.keys.clone(),
        root: root.clone(),
        durable: durable.subscribe(),
        intervals: equipment.intervals,
        measures: equipment.measures.clone(),
        last_leaf: LastLeaf { size: origin.checkpointed, at: *now },
    };
    let firsts = Firsts::new(ground.dir.clone(), head.stream, head.frontier.size());
    let mut stream = Stream {
        dir: ground.dir,
        lock: ground.lock,
        writer,
        epoch: None,
        stream_nanos: head.wall,
        between: origin.between,
        window: origin.window,
        conflicts: Conflicts::new(equipment.conflicts, firsts),
        references: References::default(),
        subjects: equipment.subjects,
        debt: Debt::NOW,
        nonces: Nonces::new(),
        keys: ground.keys,
        root,
        gate: equipment.gate,
        durable,
        measures: equipment.measures,
        health: equipment.health,
        epoch_max: equipment.epoch_max,
    };
    stream.tick(now)?;
    checkpoints.tick(now)?;
    Ok(Started { stream, checkpoints })
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
    /// Step 2, and step 3 when that fails.
    fn origin(&mut self) -> Result<Origin, StartError> {
        let last = self.ground.state.streams().last().cloned();
        let Some(stream) = last else { return self.new_stream(None) };
        if let Some(closed) = stream.closed {
            let predecessor = Predecessor { stream: stream.stream, size: closed.size, state: PredecessorState::Closed };
            return self.new_stream(Some(predecessor));
        }
        let past = self.reading().read(&stream)?;
        match &past.unsound {
            None => Ok(self.go_on(&stream, past)),
            Some(unsound) => self.replace(&stream, &past.head, unsound),
        }
    }

    fn reading(&self) -> Reading<'_> {
        Reading {
            dir: &self.ground.dir,
            keys: &self.ground.keys,
            state: &self.ground.state,
            subjects: &*self.equipment.subjects,
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
        let (owner, storage) = (Owner::Stream(stream), self.ground.dir.shared_storage());
        let path = self.ground.dir.log(&owner);
        let writer = Writer::open_with(storage, &path, owner, segment_start(&head), self.equipment.sizes)?;
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

    /// Ends every stream that is not closed and is not the one to go on with.
    fn close_forgotten(&mut self, current: StreamId) -> Result<(), StartError> {
        let streams = self.ground.state.streams().iter();
        let open: Vec<_> =
            streams.filter(|stream| stream.closed.is_none() && stream.stream != current).cloned().collect();
        for stream in open {
            let past = self.reading().read(&stream)?;
            let Ground { root, keys, .. } = &mut self.ground;
            let leaves = ending(&root.submission(&self.now), keys, &stream, &past.head);
            root.append(&leaves, &self.now)?;
        }
        Ok(())
    }
}

/// The leaves that end a stream for good: of its last epoch, if that is missing, and of the stream.
fn ending(submission: &Submission<'_>, keys: &Keys, stream: &StreamRoot, good: &Head) -> Vec<Vec<u8>> {
    let mut leaves = Vec::with_capacity(2);
    let at = |size, root| StreamSize { stream: stream.stream, size, root };
    let end = match stream.epochs.last() {
        None => at(0, empty_root()),
        Some(epoch) => match &epoch.close {
            Some(close) => close.at,
            None => {
                // An epoch does not end before it began, even if its stream does by now.
                let (end, seal_hash): (StreamSize, Hash) = if good.frontier.size() >= epoch.start.first {
                    (at(good.frontier.size(), good.frontier.root()), good.seal_hash)
                } else {
                    (at(epoch.start.first, epoch.start.root), epoch.start.seal_hash)
                };
                let by = ClosedBy::Identity(&*keys.identity);
                leaves.push(submission.close_epoch(by, epoch.start.epoch, end, seal_hash));
                end
            }
        },
    };
    leaves.push(submission.close_stream(&*keys.identity, end));
    leaves
}
