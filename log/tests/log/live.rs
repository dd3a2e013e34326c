//! Readers that run while the log is written, by a process that may fail, stop and start again.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spanseal_log::{Committed, Disk, Fault, Item, Memory, Options, Owner, Reader, SegmentStart, Writer, recover};

use crate::support::{Maker, SMALL, STREAM, Spot, memory, write};

/// What a reader in another process has seen: every index once, in order.
struct Onlooker {
    reader: Reader,
    next: u64,
    bodies: Vec<Vec<u8>>,
}

impl Onlooker {
    fn of(memory: &Memory, owner: Owner) -> Onlooker {
        let spot = Spot::in_memory(&memory.onlooker(), owner);
        Onlooker { reader: spot.reader(0), next: 0, bodies: Vec::new() }
    }

    #[track_caller]
    fn read_to(&mut self, limit: u64) {
        self.reader.set_limit(limit);
        while let Some(item) = self.reader.read_next().unwrap() {
            match item {
                Item::Batch { first, count, bytes, .. } => {
                    assert_eq!(first, self.next);
                    self.bodies.push(bytes.to_vec());
                    self.next = first + u64::from(count);
                }
                Item::RootLeaf { index, bytes, .. } => {
                    assert_eq!(index, self.next);
                    self.bodies.push(bytes.to_vec());
                    self.next = index + 1;
                }
                Item::SegmentStart(_) | Item::Payload { .. } | Item::Torn { superseded: true, .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(self.next, limit);
    }
}

fn open(spot: &Spot, synced_to: u64) -> Writer {
    let recovered = recover(spot.storage.as_ref(), &spot.dir, &spot.owner, synced_to).unwrap();
    Writer::open_with(Arc::clone(&spot.storage), &spot.dir, spot.owner, recovered.start, SMALL).unwrap()
}

#[test]
fn follows_the_writer_through_new_segments() {
    for owner in [STREAM, Owner::RootLog] {
        let memory = memory();
        let mut writer = open(&Spot::in_memory(&memory, owner), 0);
        let mut maker = Maker::at(owner, SegmentStart::empty(), 1);
        let mut onlooker = Onlooker::of(&memory, owner);
        for round in 0..40 {
            assert_eq!(write(&mut writer, &maker.group(&[5, 7], 60)).unwrap(), Committed::Appended);
            if round % 3 != 0 {
                onlooker.read_to(maker.end.first);
            }
        }
        onlooker.read_to(maker.end.first);
    }
}

/// Hits a write; a sync would pass, and the next write fail.
const FULL: Fault = Fault::Full { free_bytes: 300 };

/// The group at which a write fails is readable, in part or whole, before it is durable elsewhere.
#[test]
fn follows_the_writer_past_a_group_that_was_written_again() {
    for owner in [STREAM, Owner::RootLog] {
        for fault in [Fault::Unwritten(ErrorKind::Other), Fault::Written(ErrorKind::Other), FULL] {
            for (operation, cut_fails) in [(0, false), (1, false), (0, true), (1, true)] {
                let memory = memory();
                let mut writer = open(&Spot::in_memory(&memory, owner), 0);
                let mut maker = Maker::at(owner, SegmentStart::empty(), 1);
                let mut onlooker = Onlooker::of(&memory, owner);
                if fault == FULL && operation == 1 {
                    continue;
                }
                let mut early = Onlooker::of(&memory, owner);
                let _ = write(&mut writer, &maker.group(&[3], 60)).unwrap();
                onlooker.read_to(maker.end.first);
                memory.fault_after(operation, fault);
                if cut_fails {
                    let and_for_space = if fault == FULL { 2 } else { 0 };
                    memory.fault_after(operation + 8 + and_for_space, Fault::Unwritten(ErrorKind::Other));
                }
                let _ = write(&mut writer, &maker.group(&[2, 9], 60)).unwrap();
                onlooker.read_to(maker.end.first);
                let _ = write(&mut writer, &maker.group(&[1], 9)).unwrap();
                onlooker.read_to(maker.end.first);
                early.read_to(maker.end.first);
                assert_eq!(early.bodies, onlooker.bodies);
            }
        }
    }
}

#[test]
fn follows_into_the_segments_that_a_restart_made() {
    for owner in [STREAM, Owner::RootLog] {
        for checkpoint in [0, 1, 2, 3] {
            let memory = memory();
            let mut writer = open(&Spot::in_memory(&memory, owner), 0);
            let mut maker = Maker::at(owner, SegmentStart::empty(), 1);
            let mut sizes = vec![0];
            let mut onlooker = Onlooker::of(&memory, owner);
            for _ in 0..3 {
                let _ = write(&mut writer, &maker.group(&[2, 3], 20)).unwrap();
                sizes.push(maker.end.first);
                onlooker.read_to(maker.end.first);
            }
            let memory = memory.kill();
            let mut writer = open(&Spot::in_memory(&memory, owner), sizes[checkpoint]);
            let mut maker = Maker::at(owner, writer.synced().clone(), 2);
            assert_eq!(maker.end.first, sizes[3]);
            for _ in 0..3 {
                let _ = write(&mut writer, &maker.group(&[2, 3], 60)).unwrap();
                onlooker.read_to(maker.end.first);
            }
            let mut late = Onlooker::of(&memory, owner);
            late.read_to(maker.end.first);
            assert_eq!(late.bodies, onlooker.bodies);
        }
    }
}

/// What was read ahead of the limit was not durable, and something else may be durable in its place.
#[track_caller]
fn check_read_ahead(limit: u64) {
    let memory = memory();
    let spot = Spot::in_memory(&memory, STREAM);
    let mut writer = open(&spot, 0);
    let mut maker = Maker::at(STREAM, SegmentStart::empty(), 1);
    for count in [2, 3, 4] {
        let _ = write(&mut writer, &maker.group(&[count], 60)).unwrap();
    }
    let mut onlooker = Onlooker::of(&memory, STREAM);
    onlooker.read_to(limit);
    // The writer's page cache forgot the end of its last write, as after a sync that failed.
    let bytes = spanseal_log::read_file(&memory, &spot.path(0), 100_000).unwrap();
    let memory = memory.kill();
    memory.overwrite(&spot.path(0), &bytes[..bytes.len() - 1]).unwrap();
    let spot = Spot::in_memory(&memory, STREAM);
    let mut writer = open(&spot, 5);
    let mut maker = Maker::at(STREAM, writer.synced().clone(), 2);
    assert_eq!(maker.end.first, 5);
    let group = maker.group(&[4], 60);
    let _ = write(&mut writer, &group).unwrap();
    onlooker.read_to(9);
    assert_eq!(onlooker.bodies[2], group.records[1].1);
}

#[test]
fn forgets_what_it_read_ahead_of_the_limit() {
    check_read_ahead(2);
    check_read_ahead(5);
}

#[test]
fn begins_before_there_is_anything_to_read() {
    let memory = memory();
    let spot = Spot::in_memory(&memory, STREAM);
    let mut writer = open(&spot, 0);
    let mut onlooker = Onlooker::of(&memory, STREAM);
    onlooker.read_to(0);
    let mut maker = Maker::at(STREAM, SegmentStart::empty(), 1);
    let _ = write(&mut writer, &maker.group(&[2], 60)).unwrap();
    onlooker.read_to(2);
}

#[test]
fn follows_a_writer_in_another_thread_on_a_real_disk() {
    let temp = tempfile::tempdir().unwrap();
    let spot = Spot { storage: Arc::new(Disk), dir: temp.path().join("one"), owner: STREAM };
    let options = Options { segment_bytes_max: 200_000, group_bytes_max: 100_000 };
    let mut writer =
        Writer::open_with(Arc::clone(&spot.storage), &spot.dir, STREAM, SegmentStart::empty(), options).unwrap();
    let durable = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut maker = Maker::at(STREAM, SegmentStart::empty(), 1);
            for round in 0..200_u16 {
                assert_eq!(write(&mut writer, &maker.group(&[round + 1, 9], 100)).unwrap(), Committed::Appended);
                durable.store(maker.end.first, Ordering::Release);
            }
        });
        let total = (1..=200).sum::<u64>() + 200 * 9;
        let mut onlooker = Onlooker { reader: spot.reader(0), next: 0, bodies: Vec::new() };
        while onlooker.next < total {
            onlooker.read_to(durable.load(Ordering::Acquire));
            std::thread::yield_now();
        }
    });
}
