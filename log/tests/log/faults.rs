//! Every operation of a scenario x everything that can happen to it, then a restart, and what must hold.

use std::io::ErrorKind;
use std::sync::Arc;

use spanseal_log::{Committed, Fault, Memory, OpenError, Owner, RecoverError, SegmentStart, Writer, recover};

use crate::support::{
    Contents, Group, Maker, SMALL, STREAM, Spot, memory, note, read_after_power_cut, read_sound, write,
};

/// What a run of the scenario was told is durable.
#[derive(Default)]
pub(crate) struct Told {
    /// By commits that returned Ok.
    committed: Contents,
    committed_size: u64,
    /// By commits that returned an error: may be there or not, but then as it is here.
    uncertain: Contents,
    end: Option<End>,
}

/// Why a run ended.
#[derive(Debug, PartialEq)]
enum End {
    Done,
    /// The disk was full when nothing had been taken in yet, or the reserve was given up for what had been.
    Full,
    OpenFailed(ErrorKind),
    CommitFailed,
}

/// Opens a log, commits groups that roll segments, restarts once in between, closes when a commit had to be rewritten.
fn run(spot: &Spot) -> Told {
    let mut told = Told::default();
    for life in 1..=2 {
        told.end = Some(one_life(spot, life, &mut told));
        if told.end != Some(End::Done) {
            break;
        }
    }
    told
}

/// Runs the scenario where nothing fails.
#[track_caller]
pub(crate) fn run_undisturbed(spot: &Spot) -> Told {
    let told = run(spot);
    assert_eq!(told.end, Some(End::Done));
    told
}

fn one_life(spot: &Spot, salt: u8, told: &mut Told) -> End {
    let mut writer = match open(spot, told.committed_size) {
        Ok(writer) => writer,
        Err(kind) => return End::OpenFailed(kind),
    };
    let mut maker = Maker::at(spot.owner, writer.synced().clone(), salt);
    for counts in [&[1][..], &[20, 12], &[30], &[3, 3, 3], &[9]] {
        if writer.is_full() {
            return End::Full;
        }
        match commit(&mut writer, &mut maker, counts, told) {
            Some(Committed::Appended) => {}
            Some(Committed::Rewritten) => {
                let was_full = writer.is_full();
                let closed = commit(&mut writer, &mut maker, &[1], told);
                assert!(closed.is_some(), "the closing record of an epoch must find space");
                return if was_full { End::Full } else { End::Done };
            }
            None => return End::CommitFailed,
        }
    }
    End::Done
}

fn open(spot: &Spot, synced_to: u64) -> Result<Writer, ErrorKind> {
    let recovered = match recover(spot.storage.as_ref(), &spot.dir, &spot.owner, synced_to) {
        Ok(recovered) => recovered,
        Err(RecoverError::Io(error)) => return Err(error.kind()),
        Err(other) => panic!("{other}"),
    };
    match Writer::open_with(Arc::clone(&spot.storage), &spot.dir, spot.owner, recovered.start, SMALL) {
        Ok(writer) => Ok(writer),
        Err(OpenError::Io(error)) => Err(error.kind()),
        Err(other) => panic!("{other}"),
    }
}

fn commit(writer: &mut Writer, maker: &mut Maker, counts: &[u16], told: &mut Told) -> Option<Committed> {
    let before = maker.end.first;
    let group: Group = maker.group(counts, 40);
    match write(writer, &group) {
        Ok(committed) => {
            note(&mut told.committed, before, &group);
            told.committed_size = group.end.first;
            Some(committed)
        }
        Err(_) => {
            note(&mut told.uncertain, before, &group);
            None
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Restart {
    Kill,
    PowerCut,
    PowerCutKeeping(u64),
}

impl Restart {
    fn of(self, memory: &Memory) -> Memory {
        match self {
            Restart::Kill => memory.kill(),
            Restart::PowerCut => memory.crash(),
            Restart::PowerCutKeeping(seed) => memory.crash_keeping(seed),
        }
    }
}

/// What was committed is there, once and byte for byte, and nothing is there that was not written.
#[track_caller]
pub(crate) fn check_contents(spot: &Spot, told: &Told) -> Contents {
    let found = read_sound(spot);
    for (first, expected) in &told.committed {
        assert_eq!(found.get(first), Some(expected), "what was committed at {first}");
    }
    for (first, group) in &found {
        let written = told.committed.get(first).or_else(|| told.uncertain.get(first));
        assert_eq!(Some(group), written, "what is there at {first}");
    }
    found
}

/// Restarts, recovers from a checkpoint at `synced_to`, cuts the power at once, and goes on for another life.
#[track_caller]
fn check_restart(memory: &Memory, owner: Owner, mut told: Told, restart: Restart, synced_to: u64) {
    let memory = restart.of(memory);
    memory.set_free_bytes(None);
    let spot = Spot::in_memory(&memory, owner);
    let recovered = recover(spot.storage.as_ref(), &spot.dir, &spot.owner, synced_to).expect("no restart needs a hand");
    if recovered.start != SegmentStart::empty() {
        let found = check_contents(&spot, &told);
        let spot = Spot::in_memory(&memory.crash(), owner);
        assert_eq!(read_after_power_cut(&spot), found, "what start-up found is durable");
        told.committed = found;
    }
    told.committed_size = recovered.start.first;
    told.uncertain.clear();
    let memory = memory.crash();
    let spot = Spot::in_memory(&memory, owner);
    assert_eq!(one_life(&spot, 7, &mut told), End::Done, "the next life");
    let spot = Spot::in_memory(&memory.crash(), owner);
    check_contents(&spot, &told);
}

#[track_caller]
fn check_operation(owner: Owner, operation: u64, fault: Fault, restart: Restart, with_checkpoint: bool) -> bool {
    let memory = memory();
    memory.fault_after(operation, fault);
    let told = run(&Spot::in_memory(&memory, owner));
    let Some((hit, path)) = memory.faults_hit().pop() else { return false };
    let case = format!("{owner:?}, operation {operation} ({hit:?} {}): {fault:?}, then {restart:?}", path.display());
    let synced_to = if with_checkpoint { told.committed_size } else { 0 };
    let lives_on = !matches!(fault, Fault::DieBefore | Fault::DieAfter);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let end = told.end.as_ref();
        assert!(!lives_on || end != Some(&End::CommitFailed), "one failure is made good");
        check_restart(&memory, owner, told, restart, synced_to);
    }));
    assert!(outcome.is_ok(), "{case}");
    true
}

fn check_every_operation(owner: Owner, faults: &[Fault]) {
    let restarts = [Restart::Kill, Restart::PowerCut, Restart::PowerCutKeeping(1), Restart::PowerCutKeeping(2)];
    for fault in faults {
        for restart in restarts {
            for with_checkpoint in [true, false] {
                let operations = (0..).take_while(|n| check_operation(owner, *n, *fault, restart, with_checkpoint));
                assert!(operations.count() > 35, "the scenario has that many operations");
            }
        }
    }
}

const FAILING: &[Fault] = &[
    Fault::Unwritten(ErrorKind::Other),
    Fault::Written(ErrorKind::Other),
    Fault::Unwritten(ErrorKind::StorageFull),
    Fault::Written(ErrorKind::StorageFull),
];
const DYING: &[Fault] = &[Fault::DieBefore, Fault::DieAfter];
const FULL: &[Fault] = &[
    Fault::Full { free_bytes: 0 },
    Fault::Full { free_bytes: 100 },
    Fault::Full { free_bytes: 700 },
    Fault::Full { free_bytes: 3_000 },
];

#[test]
fn any_operation_of_a_stream_may_fail() {
    check_every_operation(STREAM, FAILING);
}

#[test]
fn any_operation_of_a_stream_may_be_the_last() {
    check_every_operation(STREAM, DYING);
}

#[test]
fn the_disk_may_be_full_at_any_operation_of_a_stream() {
    check_every_operation(STREAM, FULL);
}

#[test]
fn any_operation_of_the_root_log_may_fail_or_be_the_last() {
    check_every_operation(Owner::RootLog, &[FAILING, DYING, FULL].concat());
}

#[test]
fn a_commit_is_one_write_and_one_sync() {
    let memory = memory();
    let spot = Spot::in_memory(&memory, STREAM);
    let mut writer = open(&spot, 0).unwrap();
    let mut maker = Maker::at(STREAM, writer.synced().clone(), 1);
    let group = maker.group(&[20, 12, 1], 40);
    let before = memory.counts();
    assert_eq!(write(&mut writer, &group).unwrap(), Committed::Appended);
    let after = memory.counts();
    let (operations, writes, syncs) =
        (after.operations - before.operations, after.writes - before.writes, after.syncs - before.syncs);
    assert_eq!((operations, writes, syncs), (2, 1, 1));
}

#[test]
fn an_empty_commit_does_nothing() {
    let memory = memory();
    let mut writer = open(&Spot::in_memory(&memory, STREAM), 0).unwrap();
    let before = memory.counts();
    assert_eq!(writer.commit(SegmentStart::empty()).unwrap(), Committed::Appended);
    assert_eq!(memory.counts(), before);
}

#[test]
fn a_full_disk_is_reported_until_there_is_space_for_the_reserve_again() {
    let memory = memory();
    let spot = Spot::in_memory(&memory, STREAM);
    let mut writer = open(&spot, 0).unwrap();
    let mut maker = Maker::at(STREAM, writer.synced().clone(), 1);
    assert!(!writer.is_full());
    memory.set_free_bytes(Some(10));
    assert_eq!(write(&mut writer, &maker.group(&[9], 40)).unwrap(), Committed::Rewritten);
    assert!(writer.is_full());
    assert!(!writer.refill_reserve().unwrap(), "the disk is as full as before");
    assert_eq!(write(&mut writer, &maker.group(&[1], 40)).unwrap(), Committed::Appended, "the epoch can be closed");
    memory.set_free_bytes(Some(2 * SMALL.reserve_bytes()));
    assert!(writer.refill_reserve().unwrap());
    assert!(!writer.is_full());
}

#[test]
fn a_log_that_ends_gives_its_reserve_back() {
    let memory = memory();
    let spot = Spot::in_memory(&memory, STREAM);
    let writer = open(&spot, 0).unwrap();
    let names = || spot.storage.list(&spot.dir).unwrap();
    assert_eq!(names(), ["00000000000000000000.seg", "reserve"]);
    writer.retire().unwrap();
    assert_eq!(names(), ["00000000000000000000.seg"]);
}

#[test]
fn a_log_that_failed_twice_takes_nothing_more() {
    let memory = memory();
    let mut writer = open(&Spot::in_memory(&memory, STREAM), 0).unwrap();
    let mut maker = Maker::at(STREAM, writer.synced().clone(), 1);
    memory.fault_after(0, Fault::Unwritten(ErrorKind::Other));
    memory.fault_after(1, Fault::Unwritten(ErrorKind::PermissionDenied));
    assert!(write(&mut writer, &maker.group(&[9], 40)).is_err());
    assert!(write(&mut writer, &maker.group(&[9], 40)).is_err());
}

#[test]
fn a_writer_does_not_supersede_what_is_there() {
    let memory = memory();
    let spot = Spot::in_memory(&memory, STREAM);
    let mut writer = open(&spot, 0).unwrap();
    let mut maker = Maker::at(STREAM, writer.synced().clone(), 1);
    assert_eq!(write(&mut writer, &maker.group(&[9], 40)).unwrap(), Committed::Appended);
    drop(writer);
    let refused = Writer::open(Arc::clone(&spot.storage), &spot.dir, STREAM, SegmentStart::empty());
    assert!(matches!(refused, Err(OpenError::Ahead { first: 0, last: 0 })), "{refused:?}");
}
