//! One vector in the making: an honest log, and what is done to it.

use spanseal_ledger::StreamId;
use spanseal_ledger::epoch::Start;
use spanseal_ledger::trust::Trust;

use super::forge::{Forged, open_all, write_all};
use super::vector::{Expect, Input, LogInput, Vector};
use super::world::{Log, LogStream, World};

/// The stream of most vectors.
pub const S: StreamId = StreamId([1; 16]);
/// A second stream.
pub const T: StreamId = StreamId([2; 16]);
pub const DAY_SECONDS: u64 = 86_400;

/// A log, its trust file and the time of verification.
pub struct Case {
    pub world: World,
    pub log: Log,
    pub trust: Option<Trust>,
    pub pinned: bool,
    pub now: u64,
}

impl Case {
    /// Four batches of one epoch with events 0 to 3, 4 and 5, 6 to 8, and 9; pinned at size 6 and four root leaves;
    /// root leaves 3 and 4 are stream-checkpoints of size 4 and 10.
    pub fn base() -> Case {
        let mut world = World::new();
        let s = world.open_stream(1);
        world.open_epoch(s, Start::First);
        world.seal_spans(s, 3);
        world.stream_checkpoint(s);
        world.seal_spans(s, 2);
        let trust = world.trust(&world.pins());
        world.seal_spans(s, 3);
        world.seal_spans(s, 1);
        world.stream_checkpoint(s);
        Case::of(world, trust)
    }

    /// The world as it is, verified an hour later with that trust file.
    pub fn of(world: World, trust: Trust) -> Case {
        let (log, now) = (world.log(), world.seconds() + 3_600);
        Case { world, log, trust: Some(trust), pinned: true, now }
    }

    /// The world as it is, with pins of this moment.
    pub fn pinned_now(world: World) -> Case {
        let trust = world.trust(&world.pins());
        Case::of(world, trust)
    }

    pub fn stream(&mut self) -> &mut LogStream {
        &mut self.log.streams[0]
    }

    /// Changes the first stream's batches.
    pub fn forge(mut self, change: impl FnOnce(&mut Vec<Forged>)) -> Case {
        let mut batches = open_all(&self.stream().batches);
        change(&mut batches);
        self.stream().batches = write_all(&batches);
        self
    }

    /// Changes one batch of the first stream.
    pub fn forge_batch(self, place: usize, change: impl FnOnce(&mut Forged)) -> Case {
        self.forge(|batches| change(&mut batches[place]))
    }

    /// Changes the bytes of one batch of the first stream.
    pub fn edit_batch(mut self, place: usize, change: impl FnOnce(&mut Vec<u8>)) -> Case {
        change(&mut self.stream().batches[place]);
        self
    }

    /// Changes the log.
    pub fn edit(mut self, change: impl FnOnce(&mut Log)) -> Case {
        change(&mut self.log);
        self
    }

    /// Changes the root leaves, and signs the root log's checkpoint again, as its sequencer can.
    pub fn edit_leaves(mut self, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Case {
        change(&mut self.log.leaves);
        self.log.note = Some(self.world.root_note_over(&self.log.leaves));
        self
    }

    pub fn without_trust(mut self) -> Case {
        self.trust = None;
        self.pinned = false;
        self
    }

    pub fn edit_trust(mut self, change: impl FnOnce(&mut Trust)) -> Case {
        if let Some(trust) = &mut self.trust {
            change(trust);
        }
        self
    }

    /// The pins anchor nothing.
    pub fn unpinned(mut self) -> Case {
        self.pinned = false;
        self
    }

    pub fn at(mut self, now: u64) -> Case {
        self.now = now;
        self
    }

    pub fn vector(self, name: &'static str, what: &'static str, expect: Expect) -> Vector {
        let Case { log, trust, pinned, now, .. } = self;
        let trust = trust.map(|trust| trust.to_string());
        let input = LogInput { pinned, now, max_age: DAY_SECONDS, trust, log };
        Vector { name, what, input: Input::Log(Box::new(input)), expect }
    }
}
