//! Single faults, and exactly what follows from each.

use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::time::Duration;

use spanseal_ledger::epoch::Start;
use spanseal_ledger::key_event::KeyEvent;
use spanseal_ledger::seal::Counters;
use spanseal_log::Fault;
use spanseal_schemas::kind;

use super::requests::{Request, bad_span, secret_span};
use super::verdict::{Verdict, verdict};
use super::world::{Settings, World};
use crate::intake::{Accepted, Refusal};

fn starts(verdict: &Verdict) -> Vec<Start> {
    let events = verdict.key_events();
    let start = |event: &KeyEvent| match event {
        KeyEvent::Opening(opening) => Some(opening.opening.epoch.start),
        KeyEvent::Closing(_) => None,
    };
    events.iter().filter_map(start).collect()
}

/// A write or sync that fails ends the epoch; the group is durable elsewhere, and its senders are told so.
#[track_caller]
fn check_rewritten(fault: Fault, operation: u64) {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1]));
    world.must_seal(&mut process, &Request::of([1]));
    world.memory.fault_after(operation, fault);
    let request = Request::of([1, 2]).with(bad_span());
    let answers = world.group(&mut process, &[request]).unwrap();
    assert_eq!(answers[0].as_ref().unwrap().rejected_spans, 1);
    world.must_seal(&mut process, &Request::of([2, 3]));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans(), [1, 2, 3]);
    assert_eq!(starts(&verdict), [Start::First, Start::AfterUncleanStop]);
    assert_eq!(verdict.of_kind(kind::GAP).count(), 0, "nothing is unknown: the process lives");
    let expected = [
        Counters { received: 5, sealed: 2, duplicate: 2, invalid: 1, ..Counters::default() },
        Counters { received: 2, sealed: 1, duplicate: 1, ..Counters::default() },
    ];
    assert_eq!(verdict.counters.into_values().collect::<Vec<_>>(), expected);
}

#[test]
fn a_failed_write_or_sync_ends_the_epoch_and_loses_nothing() {
    for operation in [0, 1] {
        check_rewritten(Fault::Unwritten(ErrorKind::Other), operation);
        check_rewritten(Fault::Written(ErrorKind::Other), operation);
        check_rewritten(Fault::Unwritten(ErrorKind::StorageFull), operation);
    }
}

#[test]
fn counts_that_no_seal_has_told_are_told_by_the_next_epoch() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    // Sealed, with a write that fails; then a duplicate that only the next epoch can tell of.
    world.memory.fault_after(0, Fault::Unwritten(ErrorKind::Other));
    world.must_seal(&mut process, &Request::of([1]));
    process.streams[0].refused.add(3);
    world.must_seal(&mut process, &Request::of([1]));
    world.memory.fault_after(0, Fault::Unwritten(ErrorKind::Other));
    world.must_seal(&mut process, &Request::of([2]));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    let sum = |count: fn(&Counters) -> u64| verdict.counters.values().map(count).sum::<u64>();
    assert_eq!((sum(|c| c.received), sum(|c| c.sealed), sum(|c| c.duplicate), sum(|c| c.refused)), (3, 2, 1, 3));
}

#[test]
fn nobody_is_answered_when_a_group_is_not_durable() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    // The write fails, and so does every step of writing again.
    for operation in 0..12 {
        world.memory.fault_after(operation, Fault::Unwritten(ErrorKind::Other));
    }
    let (parcel, mut answer) = world.parcel(&process, &Request::of([1]));
    let (mut parcels, durable) = (vec![parcel], *process.checkpoints.streams[0].durable.borrow());
    assert!(process.streams[0].group(&mut parcels, &world.now).is_err());
    assert!(answer.try_recv().is_err(), "not answered");
    assert_eq!(*process.checkpoints.streams[0].durable.borrow(), durable, "nor published");
    drop((parcels, process));
    world.memory = world.memory.crash();
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1]));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans(), [1]);
}

/// A checkpoint over an end that is not there would make the stream look cut at the next start.
#[test]
fn the_end_of_an_epoch_is_not_published_when_it_is_not_durable() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1]));
    let durable = *process.checkpoints.streams[0].durable.borrow();
    for operation in 0..12 {
        world.memory.fault_after(operation, Fault::Unwritten(ErrorKind::Other));
    }
    assert!(process.streams[0].end(&world.now).is_err());
    assert_eq!(*process.checkpoints.streams[0].durable.borrow(), durable);
    world.memory.clear_faults();
    world.checkpoint(&mut process).unwrap();
    drop(process);
    world.memory = world.memory.crash();
    let process = world.must_start();
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!((verdict.spans(), verdict.streams.len()), (vec![1], 1));
}

#[test]
fn a_full_disk_refuses_retryably_and_goes_on_by_itself() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1]));
    world.memory.set_free_bytes(Some(1000));
    let answers = world.group(&mut process, &[Request::of([2, 3])]).unwrap();
    assert!(matches!(answers[..], [Err(Refusal::DiskFull { .. })]));
    assert_eq!(process.health.reasons()["seal"], "the disk is full: nothing is taken in until there is space");
    world.memory.set_free_bytes(None);
    world.must_seal(&mut process, &Request::of([2, 3]));
    assert!(process.is_ready());
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(starts(&verdict), [Start::First], "no epoch ended for it");
    let expected = Counters { received: 3, sealed: 3, refused: 2, ..Counters::default() };
    assert_eq!(verdict.counters.into_values().collect::<Vec<_>>(), [expected]);
}

#[test]
fn an_epoch_can_be_closed_when_the_disk_filled_up_under_it() {
    let mut world = World::new(Settings { epoch_max: Duration::from_secs(60), ..Settings::default() });
    let mut process = world.must_start();
    world.memory.fault_after(0, Fault::Full { free_bytes: 50 });
    world.must_seal(&mut process, &Request::of([1]));
    assert!(!process.is_ready(), "the space that was kept is used up");
    world.pass(Duration::from_secs(61));
    world.tick(&mut process).unwrap();
    assert!(!process.is_ready());
    world.end(process).unwrap();
    world.memory.set_free_bytes(None);
    let process = world.must_start();
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans(), [1]);
}

#[test]
fn spans_with_cuts_wait_for_their_keys_and_others_do_not() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    let requests = [Request::of([1]).with(secret_span(2, 30)), Request::of([3])];
    world.subjects.is_failing.store(true, Ordering::Relaxed);
    let answers = world.group(&mut process, &requests).unwrap();
    assert!(matches!(answers[..], [Err(Refusal::Busy { .. }), Ok(_)]), "{answers:?}");
    world.subjects.is_failing.store(false, Ordering::Relaxed);
    let answers = world.group(&mut process, &requests).unwrap();
    assert_eq!(answers, [Ok(Accepted::default()), Ok(Accepted::default())]);
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans(), [3, 1, 2], "what was refused was not remembered");
}

#[test]
fn a_clock_set_back_does_not_turn_the_seals_back() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1]));
    world.now.wall_unix_nano -= 3_600_000_000_000;
    world.must_seal(&mut process, &Request::of([2]));
    world.end(process).unwrap();
    let process = world.must_start();
    world.end(process).unwrap();
    world.now.wall_unix_nano += 7_200_000_000_000;
    verdict(&world.memory, &world.pins).must_hold();
}
