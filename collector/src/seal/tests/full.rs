//! Starts on a disk that is full, or becomes so under them: tried again, without a hand.

use std::path::Path;

use spanseal_log::{Fault, Storage};

use super::requests::Request;
use super::verdict::verdict;
use super::world::{DATA, Settings, Stopped, World};
use crate::intake::Refusal;

/// A data directory that nobody has started in, or one that a killed process has left.
fn world(lived: bool) -> World {
    let mut world = World::new(Settings::default());
    if lived {
        let mut process = world.must_start();
        world.must_seal(&mut process, &Request::of([1]));
        world.checkpoint(&mut process).unwrap();
        drop(process);
        world.memory = world.memory.crash();
    }
    world
}

/// The start comes up without taking anything in, or says that the disk is full; nothing else. Returns whether it came up.
#[track_caller]
fn check_start(world: &mut World) -> bool {
    match world.start() {
        Ok(mut process) => {
            if !process.is_ready() {
                let answers = world.group(&mut process, &[Request::of([2])]).unwrap();
                assert!(matches!(answers[..], [Err(Refusal::DiskFull { .. })]), "{answers:?}");
                let reason = "the disk is full: nothing is taken in until there is space";
                assert_eq!(process.health.reasons()["seal"], reason);
            }
            drop(process);
            world.memory = world.memory.kill();
            true
        }
        Err(Stopped::Start(error)) => {
            assert!(error.is_disk_full(), "{error:?}");
            false
        }
        Err(stopped) => panic!("{stopped:?}"),
    }
}

/// With space again, it starts and seals, and everything holds.
#[track_caller]
fn check_goes_on(mut world: World, lived: bool) {
    world.memory.clear_faults();
    world.memory.set_free_bytes(None);
    let mut process = world.must_start();
    assert!(process.is_ready());
    world.must_seal(&mut process, &Request::of([1, 2]));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans(), [1, 2], "lived: {lived}");
}

#[test]
fn a_start_on_a_full_disk_says_so_and_goes_on_when_there_is_space() {
    for lived in [false, true] {
        for free_bytes in [0, 1, 300, 2_000, 20_000, 1_200_000, 2_400_000, 4_000_000] {
            let mut world = world(lived);
            world.memory.set_free_bytes(Some(free_bytes));
            for _ in 0..3 {
                check_start(&mut world);
            }
            check_goes_on(world, lived);
        }
    }
}

#[test]
fn a_start_whose_disk_fills_up_at_any_operation_goes_on_when_there_is_space() {
    for lived in [false, true] {
        for free_bytes in [0, 5_000] {
            for at in 0.. {
                let mut world = world(lived);
                world.memory.fault_after(at, Fault::Full { free_bytes });
                check_start(&mut world);
                if world.memory.free_bytes(Path::new(DATA)).unwrap() == u64::MAX {
                    assert!(at > 20, "{at} operations of a start were hit");
                    break;
                }
                check_start(&mut world);
                check_goes_on(world, lived);
            }
        }
    }
}
