//! How events fall into batches, runs and groups.

use spanseal_ledger::batch::Batch;
use spanseal_log::{Item, Owner, Reader};
use spanseal_schemas::kind;

use super::requests::{Request, secret_span, span, text};
use super::verdict::verdict;
use super::world::{Process, Settings, World};

#[test]
fn one_commit_covers_all_that_waited() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    let requests: Vec<Request> = (0..40).map(|n| Request::of(n * 50..(n + 1) * 50)).collect();
    let before = world.memory.counts();
    let answers = world.group(&mut process, &requests).unwrap();
    let after = world.memory.counts();
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((after.writes - before.writes, after.syncs - before.syncs), (1, 1));
    assert_eq!(after.operations - before.operations, 2);
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans(), (0..2000).collect::<Vec<_>>());
}

#[test]
fn writes_what_is_shared_once_a_run_and_epoch() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    for n in 0..3 {
        world.must_seal(&mut process, &Request::of(n * 10..(n + 1) * 10));
    }
    world.must_seal(&mut process, &Request::of([100]).of_service("other"));
    world.end(process).unwrap();
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([101]));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    let resources: Vec<u32> = verdict.of_kind(kind::RESOURCE).map(|event| event.epoch).collect();
    // Tenant, configuration, resource and scope; one more resource; all four again in the next epoch.
    assert_eq!(resources, [1, 1, 1, 1, 1, 2, 2, 2, 2]);
}

#[test]
fn refers_to_events_of_the_same_run_of_indices() {
    let mut world = World::new(Settings { segment_bytes_max: 1 << 30, entries_max: 200_000, ..Settings::default() });
    let mut process = world.must_start();
    // Past two ends of 65,536 events, once in the middle of a request.
    for n in 0..9 {
        world.must_seal(&mut process, &Request::of(n * 16_000..(n + 1) * 16_000));
    }
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans().len(), 144_000);
    let runs: Vec<u64> = verdict.of_kind(kind::RESOURCE).map(|event| event.index >> 16).collect();
    assert!(runs.len() >= 12 && runs.contains(&2), "{runs:?}");
    // The spans of the last run are remembered by what that run refers to.
    let process = world.must_start();
    assert_eq!(process.streams[0].window.len(), 144_000);
}

#[test]
fn payload_records_stand_right_before_the_batch_of_their_event() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    // Each event takes a fifteenth of a batch, and has something cut out of it.
    let big = |number| {
        let mut span = secret_span(number, 50);
        span.attributes.push(text("long", &"x".repeat(60_000)));
        span
    };
    let request = (0..40).fold(Request::of([]), |request, number| request.with(big(number)));
    world.must_seal(&mut process, &request);
    // Larger than any event and any record: what does not fit goes into payload records of several chunks.
    world.must_seal(&mut process, &Request::of([]).with(secret_span(100, 3 << 20)));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.payloads_seen, 40 + 4);
}

#[test]
fn writes_references_again_when_writing_them_used_up_the_run() {
    for left in 1..=5 {
        let mut world = World::new(Settings { segment_bytes_max: 1 << 30, ..Settings::default() });
        let mut process = world.must_start();
        world.must_seal(&mut process, &Request::of([0]));
        let next = |process: &Process| process.streams[0].epoch.as_ref().unwrap().sealer.next_index();
        let fill = 65_536 - left - next(&process);
        world.must_seal(&mut process, &Request::of(1..=fill));
        assert_eq!(next(&process), 65_536 - left);
        // Its resource, and where that ends the run, all references again.
        world.must_seal(&mut process, &Request::of(100_000..100_003).of_service("other"));
        world.end(process).unwrap();
        let verdict = verdict(&world.memory, &world.pins);
        verdict.must_hold();
        assert_eq!(verdict.spans().len() as u64, fill + 4);
    }
}

#[test]
fn batches_end_where_their_run_of_256_ends_and_below_900_000_bytes() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    let big = |number| {
        let mut span = span(number);
        span.attributes.push(text("long", &"x".repeat(60_000)));
        span
    };
    let request = (0..40).fold(Request::of([]), |request, number| request.with(big(number)));
    world.must_seal(&mut process, &request);
    world.must_seal(&mut process, &Request::of(100..1000));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    let owner = Owner::Stream(verdict.streams[0]);
    let dir = std::path::Path::new("data/streams").join(verdict.streams[0].to_string());
    let mut reader = Reader::open(std::sync::Arc::new(world.memory.clone()), &dir, owner, 0).unwrap();
    let mut counts = Vec::new();
    while let Some(item) = reader.read_next().unwrap() {
        if let Item::Batch { bytes, .. } = item {
            assert!(bytes.len() <= 900_000);
            counts.push(Batch::parse(bytes).unwrap().seal().count);
        }
    }
    assert!(counts.contains(&256) && counts.iter().any(|count| (10..16).contains(count)), "{counts:?}");
}
