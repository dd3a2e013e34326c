//! What stands under a subject's key, and what is said once the key is destroyed.

use prost::Message;
use spanseal_pipelines::find::{Query, find};
use spanseal_pipelines::index::Indexer;
use spanseal_pipelines::subject::concerned;
use spanseal_pipelines::why::{CutLine, Layout, Node, Question, text, why};
use spanseal_schemas::event::ErasureEvent;
use spanseal_schemas::kind;

use crate::index::index;
use crate::world::{SUBJECT, Sealed, World, span, spans, text as attribute};

const TRACE: Question = Question::Trace([2; 16]);

fn secret(trace: u8, number: u64, value: &str) -> Sealed {
    Sealed { keep_out: Some("prompt"), ..span(trace, number, None, "chat", vec![attribute("prompt", value)]) }
}

/// Values of two traces under one key, beside other spans.
fn world() -> World {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 300));
    world.seal_spans(0, &[secret(2, 1, "who?"), secret(3, 1, "me"), secret(2, 2, "you")]);
    world.seal_spans(0, &spans(4, 10));
    world
}

fn erase(world: &mut World, subject: [u8; 16]) -> String {
    let event = ErasureEvent {
        version: 1,
        erased_unix_nano: world.wall,
        subject_id: subject.to_vec(),
        requested_by: "dpo\u{1b}[31m".to_owned(),
        legal_basis: "GDPR article 17".to_owned(),
    };
    let index = world.seal(0, &[(kind::ERASURE, event.encode_to_vec())]);
    world.event(0, index).to_string()
}

fn cuts(world: &World) -> Vec<CutLine> {
    let answer = why(&world.data, TRACE).unwrap();
    let spans = answer.tree.iter().filter_map(|branch| match &branch.node {
        Node::Span(span) => Some(span.cuts.clone()),
        Node::Missing { .. } => None,
    });
    spans.flatten().collect()
}

#[test]
fn counts_what_an_erasure_concerns_with_and_without_an_index_alike() {
    let mut world = world();
    let before = concerned(&world.data, &SUBJECT).unwrap();
    assert_eq!((before.events, before.payload_records, before.traces.len()), (3, 3, 2));
    // Head, tag, and here, where nothing is encrypted, the values.
    assert_eq!(before.payload_bytes, 3 * (92 + 16) + 4 + 2 + 3);
    assert_eq!(before.searched, world.size(0));
    index(&world);
    assert_eq!(concerned(&world.data, &SUBJECT).unwrap(), before);
    world.seal_spans(0, &[secret(2, 3, "them")]);
    let later = concerned(&world.data, &SUBJECT).unwrap();
    assert_eq!((later.events, later.searched), (4, world.size(0)), "what is not indexed yet counts too");
    let nobody = concerned(&world.data, &[9; 16]).unwrap();
    assert_eq!((nobody.events, nobody.traces.len()), (0, 0));
}

#[test]
fn an_erasure_is_said_of_every_value_wherever_it_stands() {
    let mut world = world();
    index(&world);
    assert!(cuts(&world).iter().all(|cut| cut.erased.is_none() && cut.subject.is_some()));
    // Somebody else's.
    erase(&mut world, [9; 16]);
    assert!(cuts(&world).iter().all(|cut| cut.erased.is_none()));
    let event = erase(&mut world, SUBJECT);
    // Behind the index, in it, and without it.
    let mut seen = vec![cuts(&world)];
    index(&world);
    seen.push(cuts(&world));
    std::fs::remove_file(world.data.index()).unwrap();
    seen.push(cuts(&world));
    for cuts in seen {
        assert_eq!(cuts.len(), 2);
        for cut in cuts {
            let erased = cut.erased.unwrap();
            assert_eq!((&erased.event, erased.legal_basis.as_str()), (&event, "GDPR article 17"));
        }
    }
}

#[test]
fn prints_the_erasure_for_people_and_the_proof_of_it() {
    let mut world = world();
    let event = erase(&mut world, SUBJECT);
    world.checkpoint();
    let answer = why(&world.data, TRACE).unwrap();
    let printed = text(&answer, &Layout { width: 400, attributes: true, ..Layout::default() });
    for expected in [
        "erased    1 value of 4 bytes, 2026-06-01 00:00:0",
        &format!("Z at the request of dpo\\u{{1b}}[31m (GDPR article 17), event {event}\n"),
        "prompt = [erased 2026-06-01",
        &format!("erasure {event}"),
    ] {
        assert!(printed.contains(expected), "{expected:?} is not in:\n{printed}");
    }
    assert!(!printed.contains('\u{1b}'));
    let erasures = answer.others.iter().filter(|other| other.kind == "erasure");
    assert_eq!(erasures.count(), 1, "once, whatever it concerns");
}

#[test]
fn finds_events_by_subject() {
    let mut world = world();
    let erasure = erase(&mut world, SUBJECT);
    index(&world);
    let found = find(&world.data, &Query { subject: Some(SUBJECT), ..Query::default() }).unwrap();
    assert_eq!(found.rows.len(), 4);
    assert_eq!(found.rows[0].event, erasure, "newest first");
    let trace = Query { subject: Some(SUBJECT), trace: Some([3; 16]), ..Query::default() };
    assert_eq!(find(&world.data, &trace).unwrap().rows.len(), 1);
}

#[test]
fn knows_the_subject_of_a_record_wherever_indexing_was_interrupted() {
    let mut world = World::with_stream();
    let mut indexer = Indexer::open(&world.data).unwrap();
    for number in 1..6 {
        world.seal_spans(0, &[secret(2, number, "x")]);
        while indexer.round(&spanseal_pipelines::index::Limits::none()).unwrap().events > 0 {}
        if number % 2 == 0 {
            indexer = Indexer::open(&world.data).unwrap();
        }
    }
    drop(indexer);
    let found = find(&world.data, &Query { subject: Some(SUBJECT), ..Query::default() }).unwrap();
    assert_eq!(found.rows.len(), 5);
    assert!(cuts(&world).iter().all(|cut| cut.subject.is_some()), "the first batch of a run included");
}
