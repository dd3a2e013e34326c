//! Random lives of a log: groups, faults, kills, power cuts, restarts and onlookers, all drawn from a seed.

use std::io::ErrorKind;
use std::sync::Arc;

use spanseal_log::{Committed, Fault, Item, Memory, Options, Owner, Reader, RecoverError, Writer, recover};

use crate::support::{Contents, Maker, STREAM, Spot, memory, note, read_after_power_cut, write};

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

struct World {
    dice: Dice,
    owner: Owner,
    memory: Memory,
    salt: u8,
    /// What is durable for good: committed, or adopted by a start-up.
    durable: Contents,
    durable_size: u64,
    /// A checkpoint at or below that, which start-up is told of.
    checkpoint: u64,
    /// What else may be there.
    uncertain: Contents,
    /// In another process, over kills; a power cut ends it too.
    onlooker: Option<(Reader, u64)>,
}

impl World {
    fn new(seed: u64, owner: Owner) -> World {
        World {
            dice: Dice(seed),
            owner,
            memory: memory(),
            salt: 0,
            durable: Contents::new(),
            durable_size: 0,
            checkpoint: 0,
            uncertain: Contents::new(),
            onlooker: None,
        }
    }

    /// From start-up until the process stops.
    fn live(&mut self) {
        self.plan_faults();
        let Some(mut writer) = self.start() else { return };
        self.salt = self.salt.wrapping_add(1).max(1);
        let mut maker = Maker::at(self.owner, writer.synced().clone(), self.salt);
        for _ in 0..self.dice.below(12) {
            if writer.is_full() && !self.find_space(&mut writer) {
                return;
            }
            let counts: Vec<u16> = (0..=self.dice.below(3)).map(|_| 1 + self.dice.below(30) as u16).collect();
            let group = maker.group(&counts, 9 + self.dice.below(60) as usize);
            match write(&mut writer, &group) {
                Ok(committed) => {
                    note(&mut self.durable, self.durable_size, &group);
                    self.durable_size = group.end.first;
                    if committed == Committed::Rewritten && self.dice.below(2) == 0 {
                        return;
                    }
                }
                Err(_) => return note(&mut self.uncertain, self.durable_size, &group),
            }
            if self.dice.below(3) == 0 {
                self.checkpoint = self.durable_size;
            }
            self.look_on();
        }
    }

    fn start(&mut self) -> Option<Writer> {
        let spot = Spot::in_memory(&self.memory, self.owner);
        let recovered = match recover(spot.storage.as_ref(), &spot.dir, &self.owner, self.checkpoint) {
            Ok(recovered) => recovered,
            Err(RecoverError::Io(_)) => return None,
            Err(other) => panic!("{other}"),
        };
        let size = recovered.start.first;
        assert!(size >= self.durable_size, "start-up found {size} of {}", self.durable_size);
        self.durable.extend(std::mem::take(&mut self.uncertain).into_iter().filter(|(first, _)| *first < size));
        self.durable_size = size;
        let options = Options { segment_bytes_max: 500 + self.dice.below(6_000), group_bytes_max: 6_000 };
        Writer::open_with(spot.storage, &spot.dir, self.owner, recovered.start, options).ok()
    }

    fn plan_faults(&mut self) {
        for _ in 0..self.dice.below(3) {
            let kind = if self.dice.below(3) == 0 { ErrorKind::StorageFull } else { ErrorKind::Other };
            let fault = match self.dice.below(5) {
                0 => Fault::Unwritten(kind),
                1 => Fault::Written(kind),
                2 => Fault::DieBefore,
                3 => Fault::DieAfter,
                _ => Fault::Full { free_bytes: self.dice.below(20_000) },
            };
            self.memory.fault_after(self.dice.below(40), fault);
        }
    }

    fn find_space(&mut self, writer: &mut Writer) -> bool {
        if self.dice.below(2) == 0 {
            self.memory.set_free_bytes(None);
        }
        writer.refill_reserve().unwrap_or(false)
    }

    /// A reader in another process goes as far as is durable, and sees nothing but what is.
    fn look_on(&mut self) {
        let spot = Spot::in_memory(&self.memory.onlooker(), self.owner);
        let (reader, next) = self.onlooker.get_or_insert_with(|| (spot.reader(0), 0));
        reader.set_limit(self.durable_size);
        while let Some(item) = reader.read_next().unwrap() {
            let (first, count, bytes) = match item {
                Item::Batch { first, count, bytes, .. } => (first, count, bytes),
                Item::RootLeaf { index, bytes, .. } => (index, 1, bytes),
                Item::SegmentStart(_) | Item::Payload { .. } | Item::Torn { superseded: true, .. } => continue,
                other => panic!("{other:?}"),
            };
            assert_eq!(first, *next, "every index once");
            assert!(self.durable.get(&first).is_some_and(|(_, body)| body == bytes), "other bytes at {first}");
            *next = first + u64::from(count);
        }
        assert_eq!(*next, self.durable_size);
    }

    fn stop(&mut self) {
        self.memory = match self.dice.below(3) {
            0 => self.memory.kill(),
            1 => self.cut_power(Memory::crash),
            _ => {
                let seed = self.dice.below(u64::MAX);
                self.cut_power(|memory| memory.crash_keeping(seed))
            }
        };
        if self.dice.below(2) == 0 {
            self.memory.set_free_bytes(None);
        }
    }

    fn cut_power(&mut self, cut: impl Fn(&Memory) -> Memory) -> Memory {
        self.onlooker = None;
        cut(&self.memory)
    }

    fn check(&self) {
        let spot = Spot::in_memory(&self.memory, self.owner);
        if self.durable.is_empty() && spot.storage.list(&spot.dir).is_err() {
            return;
        }
        let found = read_after_power_cut(&spot);
        for (first, expected) in &self.durable {
            assert!(found.get(first) == Some(expected), "what was durable at {first}");
        }
        for (first, group) in &found {
            let written = self.durable.get(first).or_else(|| self.uncertain.get(first));
            assert!(written == Some(group), "what is there at {first}");
        }
    }
}

#[track_caller]
fn check_seed(seed: u64) {
    let owner = if seed.is_multiple_of(2) { STREAM } else { Owner::RootLog };
    let outcome = std::panic::catch_unwind(|| {
        let mut world = World::new(seed, owner);
        for _ in 0..8 {
            world.live();
            world.stop();
            world.check();
        }
        world.memory.set_free_bytes(None);
        world.memory.clear_faults();
        assert!(world.start().is_some(), "no restart needs a hand");
        world.check();
        Arc::new(world.durable_size)
    });
    assert!(outcome.is_ok(), "seed {seed}");
}

#[test]
fn keeps_what_was_committed_through_random_lives() {
    let seeds = std::env::var("SPANSEAL_LOG_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(1_500);
    for seed in 0..seeds {
        check_seed(seed);
    }
}
