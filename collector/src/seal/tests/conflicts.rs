//! Spans with the ids of another and other bytes.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use spanseal_ledger::seal::Counters;
use spanseal_schemas::event::ConflictEvent;
use spanseal_schemas::kind;

use super::requests::{Request, SECRET, other_span, secret_span, span, text};
use super::verdict::{Verdict, verdict};
use super::world::{Process, Settings, World};
use crate::seal::CONFLICTS_NOT_SEALED;

fn ended(mut world: World, process: Process) -> Verdict {
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    verdict
}

/// Returns the one conflict that is sealed.
#[track_caller]
fn only_conflict(verdict: &Verdict) -> ConflictEvent {
    let [conflict] = &verdict.conflicts()[..] else { panic!("one conflict, not {}", verdict.conflicts().len()) };
    conflict.clone()
}

fn sum(verdict: &Verdict) -> Counters {
    let mut sum = Counters::default();
    for counters in verdict.counters.values() {
        sum.received += counters.received;
        sum.sealed += counters.sealed;
        sum.duplicate += counters.duplicate;
        sum.conflict += counters.conflict;
    }
    sum
}

#[test]
fn seals_other_bytes_as_a_conflict_beside_the_first() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1, 2]));
    let other = Request::of([]).with(other_span(2));
    for _ in 0..2 {
        world.must_seal(&mut process, &other);
        world.must_seal(&mut process, &Request::of([2]));
    }
    let verdict = ended(world, process);
    assert_eq!(verdict.spans(), [1, 2]);
    let conflict = only_conflict(&verdict);
    let first = verdict.of_kind(kind::SPAN).nth(1).unwrap().index;
    assert_eq!((conflict.first.unwrap().index, conflict.variant), (first, false));
    assert_eq!(conflict.span, prost::Message::encode_to_vec(&other.spans[0]));
    assert_eq!(sum(&verdict), Counters { received: 6, sealed: 2, duplicate: 3, conflict: 1, ..Counters::default() });
}

/// Seals a span and another version of it, in one group or two, with a restart in between or without.
#[track_caller]
fn check_variant(first: &Request, other: &Request, is_variant: bool) {
    for (groups, restarts) in [(1, false), (2, false), (2, true)] {
        let mut world = World::new(Settings::default());
        let mut process = world.must_start();
        if groups == 1 {
            world.group(&mut process, &[first.clone(), other.clone()]).unwrap();
        } else {
            world.must_seal(&mut process, first);
            if restarts {
                world.end(process).unwrap();
                process = world.must_start();
            }
            world.must_seal(&mut process, other);
        }
        let conflict = only_conflict(&ended(world, process));
        assert_eq!(conflict.variant, is_variant, "groups: {groups}, restarts: {restarts}");
    }
}

#[test]
fn calls_it_a_variant_when_only_enrichment_differs() {
    let plain = Request::of([1]);
    check_variant(&plain, &plain.clone().from("k8s.pod.name", "pod-1"), true);
    check_variant(&plain.clone().from("k8s.pod.name", "pod-1"), &plain, true);
    let mut enriched = span(1);
    enriched.attributes.push(text("k8s.node.name", "node-1"));
    check_variant(&plain, &Request::of([]).with(enriched), true);
    check_variant(&plain, &plain.clone().from("service.version", "2"), false);
    check_variant(&plain, &Request::of([]).with(other_span(1)).from("k8s.pod.name", "pod-1"), false);
    check_variant(&plain, &Request { schema_url: "https://other".to_owned(), ..plain.clone() }, false);
}

#[test]
fn compares_what_was_cut_as_it_was_received() {
    let secret = Request::of([]).with(secret_span(1, 40)).from(SECRET, "of the resource");
    check_variant(&secret, &secret.clone().from("k8s.pod.name", "pod-1"), true);
    let other_secret = Request::of([]).with(secret_span(1, 41)).from(SECRET, "of the resource");
    check_variant(&secret, &other_secret, false);
}

#[test]
fn does_not_call_a_variant_what_cannot_be_compared_any_more() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    let secret = Request::of([]).with(secret_span(1, 40));
    world.must_seal(&mut process, &secret);
    world.subjects.destroy_all();
    world.must_seal(&mut process, &secret.from("k8s.pod.name", "pod-1"));
    assert!(!only_conflict(&ended(world, process)).variant);
}

#[test]
fn does_not_read_for_ever_for_conflicts() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    // Each span in a batch of its own, so that each is looked up by itself.
    for number in 0..60 {
        world.must_seal(&mut process, &Request::of([number]));
    }
    let enriched = Request::of(0..60).from("k8s.pod.name", "pod-1");
    world.must_seal(&mut process, &enriched);
    world.pass(Duration::from_secs(1));
    world.must_seal(&mut process, &Request::of([59]).from("k8s.pod.name", "pod-2"));
    let variants: Vec<bool> = ended(world, process).conflicts().iter().map(|conflict| conflict.variant).collect();
    let known = variants[..60].iter().filter(|variant| **variant).count();
    assert!((16..40).contains(&known), "{known} in the first second");
    assert!(variants[60], "and more in the next");
}

#[test]
fn never_touches_another_tenants_ids() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([1]));
    world.must_seal(&mut process, &Request::of([]).with(other_span(1)).of_tenant("other"));
    let verdict = ended(world, process);
    assert_eq!((verdict.spans().len(), verdict.conflicts().len()), (2, 0));
    assert_eq!(sum(&verdict).conflict, 0);
}

#[test]
fn recognises_after_a_restart_what_was_a_conflict_before() {
    let mut world = World::new(Settings::default());
    let requests = [Request::of([1]), Request::of([]).with(other_span(1)), Request::of([]).with(third(1))];
    for life in 0..3 {
        let mut process = world.must_start();
        for request in &requests[..=life] {
            world.must_seal(&mut process, request);
        }
        world.end(process).unwrap();
    }
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    let firsts: Vec<u64> = verdict.conflicts().iter().map(|conflict| conflict.first.clone().unwrap().index).collect();
    let first = verdict.of_kind(kind::SPAN).next().unwrap().index;
    assert_eq!(firsts, [first, first], "both are beside the first");
    assert_eq!(sum(&verdict), Counters { received: 6, sealed: 1, duplicate: 3, conflict: 2, ..Counters::default() });
}

fn third(number: u64) -> Span {
    Span { name: "third".to_owned(), ..span(number) }
}

#[test]
fn seals_so_many_a_second_of_each_tenant_and_tells_of_the_rest() {
    let mut world = World::new(Settings { conflicts_per_second_max: 2, ..Settings::default() });
    let mut process = world.must_start();
    let others =
        |numbers: std::ops::Range<u64>| numbers.fold(Request::of([]), |all, number| all.with(other_span(number)));
    for tenant in ["acme", "b"] {
        world.must_seal(&mut process, &Request::of(0..20).of_tenant(tenant));
    }
    let check_rejected = |world: &mut World, process: &mut Process, request: Request, rejected| {
        let [Ok(accepted)] = &world.group(process, &[request]).unwrap()[..] else { panic!("answered") };
        assert_eq!(accepted.rejected_spans, rejected, "what is not sealed is not acknowledged: {}", accepted.message);
    };
    check_rejected(&mut world, &mut process, others(0..5), 3);
    check_rejected(&mut world, &mut process, others(0..1).of_tenant("b"), 0);
    assert_eq!(told(&world), HashMap::from([("acme".to_owned(), vec![3])]), "the first is told at once");
    world.pass(Duration::from_secs(1));
    check_rejected(&mut world, &mut process, others(5..10), 3);
    check_rejected(&mut world, &mut process, others(9..10), 1);
    world.tick(&mut process).unwrap();
    assert_eq!(told(&world)["acme"], [3], "the next not before a minute has passed");
    world.pass(Duration::from_secs(60));
    world.tick(&mut process).unwrap();
    assert_eq!(told(&world)["acme"], [3, 4], "even when nothing comes in");
    check_rejected(&mut world, &mut process, others(10..13), 1);
    let verdict = ended(world, process);
    assert_eq!(verdict.conflicts().len(), 2 + 1 + 2 + 2);
    let findings = verdict.findings();
    assert!(findings.iter().all(|finding| finding.code == CONFLICTS_NOT_SEALED));
    assert_eq!(findings.iter().map(|finding| finding.spans).collect::<Vec<_>>(), [3, 4, 1], "the last at the end");
    let expected = Counters { received: 55, sealed: 40, duplicate: 0, conflict: 15, ..Counters::default() };
    assert_eq!(sum(&verdict), expected, "every one is counted");
}

/// The counts in the findings that are durable, by tenant.
fn told(world: &World) -> HashMap<String, Vec<u64>> {
    let mut told: HashMap<String, Vec<u64>> = HashMap::new();
    for finding in verdict(&world.memory.onlooker(), &world.pins).findings() {
        told.entry(finding.tenant).or_default().push(finding.spans);
    }
    told
}
