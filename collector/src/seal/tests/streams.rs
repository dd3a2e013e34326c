//! Several streams at once: which gets what, and how their number changes.

use std::collections::{BTreeMap, BTreeSet};

use spanseal_ledger::StreamId;
use spanseal_ledger::root_leaf::{Predecessor, PredecessorState};
use spanseal_schemas::{envelope, kind};

use super::requests::{Number, Request, bad_span, number_of, other_span, span};
use super::verdict::{Verdict, verdict};
use super::world::{Settings, World};
use crate::intake::Accepted;

fn world(streams: usize) -> World {
    World::new(Settings { streams, ..Settings::default() })
}

/// Returns which spans each stream has.
fn places(verdict: &Verdict) -> BTreeMap<StreamId, BTreeSet<Number>> {
    let mut places: BTreeMap<StreamId, BTreeSet<Number>> = BTreeMap::new();
    for event in verdict.of_kind(kind::SPAN) {
        let number = number_of(envelope::view(&event.event[1..]).unwrap().span);
        assert!(places.entry(event.stream).or_default().insert(number), "{number} is there twice");
    }
    places
}

#[test]
fn every_stream_gets_its_traces_whatever_they_come_with() {
    let mut world = world(4);
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of(0..200));
    // The same and some more, in other batches, and once more after a restart.
    for first in [0, 50, 100] {
        world.must_seal(&mut process, &Request::of(first..first + 120));
    }
    world.end(process).unwrap();
    let mut process = world.must_start();
    (0..220).for_each(|number| world.must_seal(&mut process, &Request::of([number])));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    let places = places(&verdict);
    assert_eq!(places.len(), 4);
    assert_eq!(places.values().map(BTreeSet::len).sum::<usize>(), 220);
    assert!(places.values().all(|numbers| (25..90).contains(&numbers.len())), "{places:?}");
    assert_eq!(verdict.counters.values().map(|counters| counters.duplicate).sum::<u64>(), 200 + 360 + 220 - 220);
}

#[test]
fn spans_of_one_trace_meet_and_so_do_conflicts() {
    let mut world = world(4);
    let mut process = world.must_start();
    let of_one_trace = (0..20).map(|id| {
        let mut span = span(7);
        span.span_id = vec![id + 1; 8];
        span
    });
    world.must_seal(&mut process, &of_one_trace.fold(Request::of(100..120), Request::with));
    (100..120).for_each(|number| world.must_seal(&mut process, &Request::of([]).with(other_span(number))));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    let with_trace =
        verdict.of_kind(kind::SPAN).filter(|event| number_of(envelope::view(&event.event[1..]).unwrap().span) == 7);
    assert_eq!(with_trace.map(|event| event.stream).collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(verdict.conflicts().len(), 20);
}

#[test]
fn says_once_what_was_refused_of_a_request_that_is_split() {
    let mut world = world(4);
    let mut process = world.must_start();
    let answers = world.group(&mut process, &[Request::of(0..40).with(bad_span()).with(bad_span())]).unwrap();
    let [Ok(Accepted { rejected_spans: 2, message })] = &answers[..] else { panic!("{answers:?}") };
    assert!(message.starts_with("refused for good: 2 of 42 spans: "), "{message}");
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.findings().iter().map(|finding| finding.spans).collect::<Vec<_>>(), [2]);
    assert_eq!(verdict.counters.values().map(|counters| counters.invalid).sum::<u64>(), 2);
}

#[test]
fn the_number_of_streams_grows_shrinks_and_grows_again() {
    let mut world = world(1);
    let mut sizes = Vec::new();
    for (life, streams) in [1, 3, 2, 3].into_iter().enumerate() {
        world.settings.streams = streams;
        let mut process = world.must_start();
        assert_eq!(process.streams.len(), streams);
        let first = 100 * life as u64;
        world.must_seal(&mut process, &Request::of(first..first + 60));
        world.end(process).unwrap();
        let verdict = verdict(&world.memory, &world.pins);
        verdict.must_hold();
        let open = verdict.root.streams().iter().filter(|stream| stream.closed.is_none()).count();
        sizes.push((open, verdict.root.streams().len()));
    }
    assert_eq!(sizes, [(1, 1), (3, 3), (2, 3), (3, 4)]);
    let verdict = verdict(&world.memory, &world.pins);
    assert_eq!(verdict.spans().len(), 240);
    let [first, _, third, fourth] = verdict.root.streams() else { panic!("four streams") };
    let closed = third.closed.unwrap();
    let expected = Predecessor { stream: third.stream, size: closed.size, state: PredecessorState::Closed };
    assert_eq!(fourth.predecessor, Some(expected), "it goes on in the place of the one that was closed");
    assert_eq!(first.epochs.len(), 4, "the first goes on all the time");
}
