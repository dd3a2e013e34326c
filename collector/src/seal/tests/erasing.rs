//! A subject is erased: each write fails or is the last, in turn, and no half of an erasure stays.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use prost::Message;
use spanseal_ledger::StreamId;
use spanseal_log::Fault;
use spanseal_schemas::event::ErasureEvent;
use spanseal_schemas::{envelope, kind};

use super::requests::{Request, SECRET, number_of, secret_span, text};
use super::verdict::{Verdict, verdict};
use super::world::{Process, Settings, World};
use crate::seal::orders::{Done, HOLD_PLACED, HOLD_RELEASED, Order, Refused};
use crate::seal::subjects::{SubjectFault, SubjectKey};

/// A process that has sealed values of two subjects, and the key of the first.
struct Scene {
    world: World,
    process: Option<Process>,
    key: SubjectKey,
}

fn trace(number: u64) -> String {
    format!("trace:{}{number:016x}", "01".repeat(8))
}

fn hex(id: &[u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As if nothing had been changed before.
fn erase(key: &SubjectKey) -> Order {
    let (requested_by, legal_basis) = ("dpo@acme.example".into(), "GDPR article 17".into());
    Order::Erase { id: hex(&key.id), requested_by, legal_basis, changes_seen: 0 }
}

fn hold(number: u64) -> Order {
    Order::Hold {
        tenant: "acme".into(),
        subject: trace(number),
        placed_by: "legal@acme.example".into(),
        reason: "case 7".into(),
    }
}

fn release(key: &SubjectKey) -> Order {
    Order::Release { id: hex(&key.id), released_by: "legal@acme.example".into(), reason: "case closed".into() }
}

fn erasures(verdict: &Verdict) -> Vec<ErasureEvent> {
    verdict.of_kind(kind::ERASURE).map(|event| ErasureEvent::decode(&event.event[1..]).unwrap()).collect()
}

fn codes(verdict: &Verdict) -> Vec<String> {
    verdict.findings().into_iter().map(|finding| finding.code).collect()
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new(Settings::default());
        let mut process = world.must_start();
        world.must_seal(&mut process, &Request::of([]).with(secret_span(1, 40)).with(secret_span(2, 40)));
        world.checkpoint(&mut process).unwrap();
        let key = world.subjects.named(&trace(1)).expect("it has a key");
        Self { world, process: Some(process), key }
    }

    /// Has an order carried out by somebody who has seen every change; `None` when the process cannot go on.
    fn order(&mut self, order: &Order) -> Option<Result<Done, Refused>> {
        let mut order = order.clone();
        if let Order::Erase { changes_seen, .. } = &mut order {
            *changes_seen = self.world.subjects.changes_made();
        }
        self.order_as_it_is(&order)
    }

    fn order_as_it_is(&mut self, order: &Order) -> Option<Result<Done, Refused>> {
        self.world.pass(Duration::from_millis(1));
        self.process.as_mut().unwrap().streams[0].obey(order, &self.world.now).ok()
    }

    /// The process is gone, and with it what was not synced if the power is gone too; then what is left is consistent.
    fn die(&mut self, power: bool) {
        self.process = None;
        let memory = self.world.memory.kill();
        self.world.memory = if power { memory.crash() } else { memory };
        self.world.subjects.revive();
        let events = erasures(&verdict(&self.world.memory, &self.world.pins));
        assert!(events.is_empty() || !self.is_readable(), "the ledger says that a key is gone which is there");
    }

    /// Whether a key's finder could read what was cut.
    fn is_readable(&self) -> bool {
        self.world.subjects.holds_key(&self.key)
    }

    /// Starts again, without a hand: the erasure is done or not, and the ledger says the same. Then it is done.
    fn complete(mut self) {
        if self.process.is_none() {
            self.process = Some(self.world.must_start());
        }
        self.world.memory.clear_faults();
        // What failed without a crash is tried again after some seconds.
        self.world.pass(Duration::from_secs(6));
        self.world.tick(self.process.as_mut().unwrap()).unwrap();
        let done = erasures(&verdict(&self.world.memory, &self.world.pins));
        assert_eq!(done.len(), usize::from(!self.is_readable()), "a key is gone and the ledger does not say so");
        if done.is_empty() {
            self.order(&erase(&self.key.clone())).unwrap().unwrap();
        } else {
            assert_eq!(self.order(&erase(&self.key.clone())).unwrap(), Err(Refused::NoSubject));
        }
        let mut process = self.process.take().unwrap();
        self.world.must_seal(&mut process, &Request::of([3]));
        self.world.end(process).unwrap();
        let verdict = verdict(&self.world.memory, &self.world.pins);
        verdict.must_hold();
        assert_eq!(verdict.spans(), [1, 2, 3]);
        assert_eq!(verdict.payloads_seen, 2, "the encrypted records stay, and so does every proof");
        let [event] = &erasures(&verdict)[..] else { panic!("one erasure event") };
        assert_eq!(event.subject_id, self.key.id);
        assert_eq!((event.requested_by.as_str(), event.legal_basis.as_str()), ("dpo@acme.example", "GDPR article 17"));
        assert!(!self.world.subjects.holds_key(&self.key));
        assert!(self.world.subjects.named(&trace(2)).is_some(), "others keep theirs");
    }
}

/// Returns how many operations an erasure takes: of the log's disk, and on the subjects.
fn operations() -> (u64, u64) {
    let mut scene = Scene::new();
    let before = (scene.world.memory.counts().operations, scene.world.subjects.operations());
    scene.order(&erase(&scene.key.clone())).unwrap().unwrap();
    let after = (scene.world.memory.counts().operations, scene.world.subjects.operations());
    scene.complete();
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn destroys_the_key_and_says_so() {
    let mut scene = Scene::new();
    let done = scene.order(&erase(&scene.key.clone())).unwrap().unwrap();
    assert_eq!(done.subject, hex(&scene.key.id));
    let verdict = verdict(&scene.world.memory, &scene.world.pins);
    let [event] = &verdict.of_kind(kind::ERASURE).collect::<Vec<_>>()[..] else { panic!("one event") };
    assert_eq!(done.event, format!("{}-{}", event.stream, event.index));
    assert_eq!(ErasureEvent::decode(&event.event[1..]).unwrap().erased_unix_nano, done.unix_nano);
    scene.complete();
}

#[test]
fn no_crash_leaves_half_an_erasure() {
    let (log, subjects) = operations();
    assert!(log >= 2 && subjects >= 5, "{log} and {subjects}");
    for power in [false, true] {
        for at in 0..log {
            for fault in [Fault::DieBefore, Fault::DieAfter] {
                let mut scene = Scene::new();
                scene.world.memory.fault_after(at, fault);
                assert!(scene.order(&erase(&scene.key.clone())).is_none(), "operation {at}");
                scene.die(power);
                scene.complete();
            }
        }
        for at in 0..subjects {
            for fault in [SubjectFault::DieBefore, SubjectFault::DieAfter] {
                let mut scene = Scene::new();
                scene.world.subjects.fault_after(at, fault);
                let refused = scene.order(&erase(&scene.key.clone())).unwrap();
                assert!(refused.is_err() && scene.world.subjects.is_dead(), "operation {at}");
                scene.die(power);
                scene.complete();
            }
        }
    }
}

#[test]
fn a_second_crash_while_the_first_is_made_good_leaves_nothing_half_done_either() {
    let (_, subjects) = operations();
    for at in 0..subjects {
        for again in 0..subjects {
            let mut scene = Scene::new();
            scene.world.subjects.fault_after(at, SubjectFault::DieAfter);
            assert!(scene.order(&erase(&scene.key.clone())).unwrap().is_err());
            scene.die(true);
            scene.world.subjects.fault_after(again, SubjectFault::DieAfter);
            let process = scene.world.must_start();
            drop(process);
            scene.die(true);
            scene.complete();
        }
    }
}

#[test]
fn what_fails_is_completed_by_the_process_that_lives_on() {
    let (log, subjects) = operations();
    for at in 0..log {
        for fault in [Fault::Unwritten(ErrorKind::Other), Fault::Written(ErrorKind::Other)] {
            let mut scene = Scene::new();
            scene.world.memory.fault_after(at, fault);
            if scene.order(&erase(&scene.key.clone())).is_none() {
                scene.die(true); // it stops by itself when the disk cannot be read
            }
            scene.complete();
        }
    }
    for at in 0..subjects {
        for fault in [SubjectFault::Unwritten, SubjectFault::Written] {
            let mut scene = Scene::new();
            scene.world.subjects.fault_after(at, fault);
            let refused = scene.order(&erase(&scene.key.clone())).unwrap().unwrap_err();
            assert!(!refused.is_final(), "operation {at}: {refused}");
            scene.complete();
        }
    }
}

#[test]
fn a_full_disk_refuses_before_anything_is_done() {
    let mut scene = Scene::new();
    scene.world.memory.set_free_bytes(Some(1000));
    assert_eq!(scene.order(&erase(&scene.key.clone())).unwrap(), Err(Refused::DiskFull));
    assert!(scene.is_readable());
    scene.world.memory.set_free_bytes(None);
    scene.complete();
}

#[test]
fn a_legal_hold_refuses_until_it_is_released_and_the_ledger_knows_both() {
    let mut scene = Scene::new();
    let key = scene.key.clone();
    assert_eq!(scene.order(&release(&key)).unwrap(), Err(Refused::NotHeld));
    scene.order(&hold(1)).unwrap().unwrap();
    for order in [erase(&key), hold(1)] {
        let refused = scene.order(&order).unwrap().unwrap_err();
        assert!(refused.is_final());
        assert_eq!(refused.to_string(), "a legal hold is on it, placed by legal@acme.example: case 7");
    }
    scene.die(true);
    scene.process = Some(scene.world.must_start());
    assert!(matches!(scene.order(&erase(&key)).unwrap(), Err(Refused::Held(_))), "it outlives the process");
    scene.order(&release(&key)).unwrap().unwrap();
    let verdict = verdict(&scene.world.memory, &scene.world.pins);
    assert_eq!(codes(&verdict), [HOLD_PLACED, HOLD_RELEASED]);
    for finding in verdict.findings() {
        assert!(finding.message.contains(&hex(&key.id)) && !finding.message.contains("trace:"), "{}", finding.message);
        assert_eq!(finding.tenant, "acme");
    }
    scene.complete();
}

#[test]
fn no_crash_leaves_a_hold_that_the_ledger_does_not_know() {
    for at in 0..8 {
        let mut scene = Scene::new();
        scene.world.subjects.fault_after(at, SubjectFault::DieAfter);
        let order = scene.order(&hold(2)).unwrap();
        scene.die(true);
        scene.process = Some(scene.world.must_start());
        let codes = codes(&verdict(&scene.world.memory, &scene.world.pins));
        let held = matches!(scene.order(&hold(2)).unwrap(), Err(Refused::Held(_)));
        assert_eq!(codes.len(), usize::from(held), "operation {at}");
        assert!(held || order.is_err());
    }
}

#[test]
fn a_subject_that_nothing_was_cut_for_can_be_held() {
    let mut scene = Scene::new();
    let held = scene.order(&hold(9)).unwrap().unwrap();
    let key = scene.world.subjects.named(&trace(9)).unwrap();
    assert_eq!(held.subject, hex(&key.id));
    assert!(matches!(scene.order(&erase(&key)).unwrap(), Err(Refused::Held(_))));
}

/// Whose values are in a held trace, only whoever reads the log knows: so nothing may come between looking and erasing.
#[test]
fn an_erasure_is_refused_when_a_hold_has_come_since_it_was_looked_for() {
    let mut scene = Scene::new();
    let order = erase(&scene.key.clone());
    scene.order(&hold(2)).unwrap().unwrap();
    assert_eq!(scene.order_as_it_is(&order).unwrap(), Err(Refused::Changed));
    scene.die(true);
    scene.process = Some(scene.world.must_start());
    assert_eq!(scene.order_as_it_is(&order).unwrap(), Err(Refused::Changed), "also after a restart");
    assert!(scene.is_readable() && !Refused::Changed.is_final());
    scene.complete();
}

#[test]
fn what_would_make_no_event_is_refused() {
    let mut scene = Scene::new();
    let id = hex(&scene.key.id);
    for (requested_by, legal_basis) in [("", "b"), ("a", " "), ("a\n", "b"), ("a", &"b".repeat(1025)[..])] {
        let (requested_by, legal_basis) = (requested_by.to_owned(), legal_basis.to_owned());
        let order = Order::Erase { id: id.clone(), requested_by, legal_basis, changes_seen: 0 };
        assert!(matches!(scene.order(&order).unwrap(), Err(Refused::Text { .. })), "{order:?}");
    }
    for id in ["", "x", &id.replace(|_: char| true, "0")] {
        let (requested_by, legal_basis) = ("a".into(), "b".into());
        let order = Order::Erase { id: id.to_owned(), requested_by, legal_basis, changes_seen: 0 };
        assert_eq!(scene.order(&order).unwrap(), Err(Refused::NoSubject));
    }
    assert!(scene.is_readable());
}

/// What comes after an erasure is of a new record: another id, another key.
#[test]
fn a_span_after_the_erasure_has_a_key_of_its_own() {
    let mut scene = Scene::new();
    scene.order(&erase(&scene.key.clone())).unwrap().unwrap();
    let mut process = scene.process.take().unwrap();
    let again = Request::of([]).with(secret_span(1, 40));
    scene.world.must_seal(&mut process, &again);
    let records = |scene: &Scene| verdict(&scene.world.memory, &scene.world.pins).payloads_seen;
    assert_eq!(records(&scene), 2, "a retry is recognised, and nothing is sealed");
    let mut other = secret_span(1, 41);
    other.span_id = vec![9; 8];
    scene.world.must_seal(&mut process, &Request::of([]).with(other));
    assert_eq!(records(&scene), 3);
    let next = scene.world.subjects.named(&trace(1)).unwrap();
    assert_ne!(next.id, scene.key.id);
    assert_ne!(next.key(), scene.key.key());
}

#[test]
fn a_resource_that_was_erased_is_sealed_again_for_the_next_span() {
    check_erased_resource(1);
}

/// The order is carried out by the first stream, and the others hear of it.
#[test]
fn a_resource_that_was_erased_is_sealed_again_in_every_stream() {
    check_erased_resource(3);
}

fn check_erased_resource(streams: usize) {
    let mut world = World::new(Settings { streams, ..Settings::default() });
    let mut process = world.must_start();
    let request = |number| Request { resource: vec![text(SECRET, &"s".repeat(30))], ..Request::of([number]) };
    (0..30).for_each(|number| world.must_seal(&mut process, &request(number)));
    let shared = |verdict: &Verdict, numbers: std::ops::Range<u64>| -> BTreeSet<(StreamId, u64)> {
        let events = verdict.of_kind(kind::SPAN).filter_map(|event| {
            let span = envelope::view(&event.event[1..]).unwrap();
            numbers.contains(&number_of(span.span)).then_some((event.stream, span.resource))
        });
        events.collect()
    };
    let before = shared(&verdict(&world.memory, &world.pins), 0..30);
    assert_eq!(before.len(), streams, "each stream has sealed it once");
    let key = world.subjects.only_shared();
    process.streams[0].obey(&erase(&key), &world.now).unwrap().unwrap();
    (30..60).for_each(|number| world.must_seal(&mut process, &request(number)));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    let after = shared(&verdict, 30..60);
    assert_eq!(after.len(), streams, "and once more");
    assert!(after.is_disjoint(&before));
    assert_ne!(world.subjects.only_shared().id, key.id);
}
