//! A stream's life without faults: start, groups, rotation, shutdown, restart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use spanseal_ledger::key_event::KeyEvent;
use spanseal_ledger::seal::Counters;
use spanseal_log::{DataDir, Owner};
use spanseal_schemas::kind;

use super::requests::{Request, bad_span, secret_span, span};
use super::verdict::verdict;
use super::world::{DATA, Settings, World};
use crate::intake::Accepted;

#[test]
fn seals_what_it_is_given_and_verifies() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of(1..=3));
    world.checkpoint(&mut process).unwrap();
    world.must_seal(&mut process, &Request::of(4..=5).of_service("other"));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans(), [1, 2, 3, 4, 5]);
}

#[test]
fn closes_cleanly_and_goes_on_after_a_restart() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1]));
    world.end(process).unwrap();
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([2]));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans(), [1, 2]);
    assert_eq!(verdict.streams.len(), 1);
    let shape: Vec<_> = verdict.key_events().iter().map(shape).collect();
    assert_eq!(shape, ["opening First", "closing Shutdown", "opening AfterClose", "closing Shutdown"]);
}

#[test]
fn what_a_clean_end_signs_outlasts_a_power_cut() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1]));
    world.end(process).unwrap();
    let dir = DataDir::at(Arc::new(world.memory.crash()), Path::new(DATA));
    let stream = dir.streams().unwrap()[0];
    for (owner, name) in [(Owner::RootLog, "root".to_owned()), (Owner::Stream(stream), stream.to_string())] {
        let note = dir.read_checkpoint(&owner).unwrap().map(|note| String::from_utf8(note).unwrap());
        assert_eq!(note.as_ref(), world.pins.get(&name), "{name}");
    }
}

#[test]
fn rotates_the_key_when_it_is_due() {
    let mut world = World::new(Settings { epoch_max: Duration::from_secs(60), ..Settings::default() });
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1]));
    world.tick(&mut process).unwrap();
    world.pass(Duration::from_secs(60));
    world.tick(&mut process).unwrap();
    world.must_seal(&mut process, &Request::of([1, 2]));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans(), [1, 2], "the window outlives the epoch");
    let shape: Vec<_> = verdict.key_events().iter().map(shape).collect();
    assert_eq!(shape, ["opening First", "closing Rotation", "opening Rotation", "closing Shutdown"]);
}

#[test]
fn says_after_an_unclean_stop_that_counters_are_unknown() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1]));
    drop(process);
    world.memory = world.memory.crash();
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1, 2]));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans(), [1, 2]);
    let shape: Vec<_> = verdict.key_events().iter().map(shape).collect();
    assert_eq!(shape, ["opening First", "opening AfterUncleanStop", "closing Shutdown"]);
    assert_eq!(verdict.of_kind(kind::GAP).count(), 1);
}

#[test]
fn counts_what_became_of_every_span() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    let first = Request::of([1, 2]).with(bad_span()).with(span(3));
    let answers = world.group(&mut process, &[first, Request::of([1, 4])]).unwrap();
    let message = "refused for good: 1 of 4 spans: span 3: the trace id is 4 bytes, not 16".to_owned();
    assert_eq!(answers, [Ok(Accepted { rejected_spans: 1, message: message.clone() }), Ok(Accepted::default())]);
    process.streams[0].refused.add(7);
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans(), [1, 2, 3, 4]);
    let [finding] = &verdict.findings()[..] else { panic!("one finding") };
    assert_eq!((finding.code.as_str(), finding.spans, &finding.message), ("spans_refused", 1, &message));
    let expected = Counters { received: 6, sealed: 4, duplicate: 1, invalid: 1, refused: 7, ..Counters::default() };
    assert_eq!(verdict.counters.into_values().collect::<Vec<_>>(), [expected]);
}

#[test]
fn answers_a_request_of_retries_alone_without_a_write() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1, 2]));
    let before = world.memory.counts().operations;
    world.must_seal(&mut process, &Request::of([2, 1]));
    assert_eq!(world.memory.counts().operations, before);
}

#[test]
fn seals_other_bytes_under_the_same_ids_once_each() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    let mut other = span(1);
    other.name = "another".to_owned();
    for request in [Request::of([1]), Request::of([]).with(other.clone()), Request::of([1]).with(other)] {
        world.must_seal(&mut process, &request);
    }
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!((verdict.spans(), verdict.conflicts().len()), (vec![1], 1));
}

#[test]
fn recognises_retries_of_cut_spans_after_a_restart() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    let big = Request::of([1]).with(secret_span(2, 30)).with(secret_span(3, 1 << 20));
    world.must_seal(&mut process, &big);
    world.end(process).unwrap();
    let mut process = world.must_start();
    world.must_seal(&mut process, &big);
    let changed = Request::of([]).with(secret_span(2, 31));
    world.must_seal(&mut process, &changed);
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!((verdict.spans(), verdict.conflicts().len()), (vec![1, 2, 3], 1));
    assert!(
        verdict.events.iter().all(|event| !contains(&event.event, b"sssss")),
        "what is kept out is not in the ledger"
    );
}

#[test]
fn forgets_what_is_older_than_the_window_after_a_restart_too() {
    let mut world = World::new(Settings { entries_max: 32, segment_bytes_max: 4096, ..Settings::default() });
    let mut process = world.must_start();
    for number in 0..200 {
        world.must_seal(&mut process, &Request::of([number]));
    }
    world.end(process).unwrap();
    let mut process = world.must_start();
    assert!(process.streams[0].window.len() <= 32);
    assert!(process.streams[0].window.len() >= 28);
    world.must_seal(&mut process, &Request::of(180..200));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans().len(), 200);
}

#[test]
fn another_process_is_kept_out() {
    let mut world = World::new(Settings::default());
    let process = world.must_start();
    assert!(world.start().is_err());
    drop(process);
    world.must_start();
}

fn shape(event: &KeyEvent) -> String {
    match event {
        KeyEvent::Opening(opening) => format!("opening {:?}", opening.opening.epoch.start),
        KeyEvent::Closing(closing) => format!("closing {:?}", closing.reason),
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
