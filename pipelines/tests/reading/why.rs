//! The explanation of a trace or an event, as an investigator reads it.

use prost::Message;
use spanseal_pipelines::find::{Query, find};
use spanseal_pipelines::why::{Answer, Conflict, Layout, Node, Proof, Question, SpanNode, WhyError, text, why};
use spanseal_schemas::event::{Assessment, AssessmentEvent, ConflictEvent, EventRef, FindingEvent, Verdict};
use spanseal_schemas::kind;

use crate::find::action;
use crate::index::index;
use crate::world::{Sealed, World, segments, span, spans, text as attribute};

const TRACE: Question = Question::Trace([2; 16]);

/// An agent that updates a ticket once with leave and once without, beside other traces.
fn world() -> World {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 400));
    let root = span(2, 10, None, "invoke_agent deployer", vec![attribute("gen_ai.agent.name", "deployer")]);
    let secret = vec![attribute("prompt", &"who? ".repeat(3000))];
    let chat = Sealed { keep_out: Some("prompt"), ..span(2, 11, Some(10), "chat gpt", secret) };
    let orphan = span(2, 14, Some(99), "delete_db", Vec::new());
    let proven = action(2, 12, Some(10), Verdict::Proven, vec![]);
    let violated = action(2, 13, Some(12), Verdict::Violated, vec![116]);
    world.seal_spans(0, &[chat, proven, violated, root, orphan]);
    world.seal_spans(0, &spans(3, 100));
    world.checkpoint();
    world
}

fn span_of(answer: &Answer, number: u64) -> &SpanNode {
    let id = format!("{number:016x}");
    let found = answer.tree.iter().find_map(|branch| match &branch.node {
        Node::Span(span) if span.span == id => Some(span.as_ref()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no span {number}"))
}

fn shape(answer: &Answer) -> Vec<(usize, String)> {
    let name = |node: &Node| match node {
        Node::Span(span) => span.name.clone(),
        Node::Missing { span } => format!("missing {span}"),
    };
    answer.tree.iter().map(|branch| (branch.depth, name(&branch.node))).collect()
}

#[test]
fn explains_a_trace_with_and_without_an_index_alike() {
    let world = world();
    let before = why(&world.data, TRACE).unwrap();
    index(&world);
    let after = why(&world.data, TRACE).unwrap();
    assert_eq!(serde_json::to_value(&before.tree).unwrap(), serde_json::to_value(&after.tree).unwrap());
    assert!(before.notes[0].starts_with("there is no index"), "{:?}", before.notes);
    assert!(after.notes.is_empty());
    assert_eq!((before.searched, after.searched), (world.size(0), world.size(0)));
    let expected = [
        (0, "invoke_agent deployer".to_owned()),
        (1, "chat gpt".to_owned()),
        (1, "execute_tool update_ticket".to_owned()),
        (2, "execute_tool update_ticket".to_owned()),
        (0, "missing 0000000000000063".to_owned()),
        (1, "delete_db".to_owned()),
    ];
    assert_eq!(shape(&after), expected);
    assert_eq!((after.spans, after.missing), (5, 1));
    assert_eq!((after.verdicts["proven"], after.verdicts["violated"]), (1, 1));
}

#[test]
fn says_who_did_what_for_whom_by_whose_leave() {
    let world = world();
    let answer = why(&world.data, TRACE).unwrap();
    let span = span_of(&answer, 13);
    let account = &span.account;
    assert!(account.signed);
    assert_eq!(account.actor.as_deref(), Some("spiffe://acme/agent/deployer"));
    assert_eq!(account.agent.as_deref(), Some("deployer"));
    assert_eq!((account.user.as_deref(), account.owner.as_deref()), (Some("anna@acme"), Some("team:shop")));
    assert_eq!(account.delegation.len(), 2);
    assert_eq!((account.action.as_deref(), account.target.as_deref()), (Some("ticket.update"), Some("ticket:OPS-12")));
    let approval = account.approval.as_ref().unwrap();
    assert_eq!((approval.id.as_str(), approval.approver.as_deref()), ("ap-7", Some("boris@acme")));
    assert_eq!(account.business["ticket"], "OPS-12");
    assert_eq!((span.verdict, span.grades["actor"]), (Some("violated"), "verified"));
    assert_eq!(span.reasons[0].name, "mirror_mismatch");
    assert!(span.reasons[0].sentence.starts_with("A readable attribute"));
    assert_eq!(
        (span.service.as_deref(), span.tenant.as_str(), span.peer.as_str()),
        (Some("shop-agent"), "acme", "mtls:shop")
    );
}

#[test]
fn shows_what_was_cut_and_where_it_is() {
    let world = world();
    let answer = why(&world.data, TRACE).unwrap();
    let (_, prompt) = span_of(&answer, 11).attributes.iter().find(|(key, _)| key == "prompt").unwrap();
    assert!(prompt.starts_with("[cut 15,000 bytes, payload "), "{prompt}");
    assert_eq!(prompt.len(), "[cut 15,000 bytes, payload ]".len() + 64);
}

#[test]
fn proves_each_span_up_to_the_checkpoint_or_says_why_not() {
    let mut world = world();
    world.seal_spans(0, &[span(2, 20, None, "late", Vec::new())]);
    for indexed in [false, true] {
        if indexed {
            index(&world);
        }
        let answer = why(&world.data, TRACE).unwrap();
        for number in 10..15 {
            let proof = &span_of(&answer, number).place.proof;
            assert!(matches!(proof, Proof::Included { hashes, .. } if !hashes.is_empty()), "{number}: {proof:?}");
        }
        assert_eq!(
            span_of(&answer, 20).place.proof,
            Proof::Sealed { because: "no checkpoint covers it yet".to_owned() }
        );
    }
}

#[test]
fn refuses_what_is_not_what_was_sealed() {
    let world = world();
    index(&world);
    // The note of another time: its root is not this tree's.
    let mut twin = World::with_stream();
    twin.seal_spans(0, &spans(1, 400));
    twin.seal_spans(0, &spans(9, world.size(0) - twin.size(0)));
    twin.checkpoint();
    assert_eq!(twin.size(0), world.size(0));
    let note = twin.data.read_checkpoint(&spanseal_log::Owner::Stream(world.stream(0))).unwrap().unwrap();
    std::fs::write(world.data.checkpoint(&spanseal_log::Owner::Stream(world.stream(0))), note).unwrap();
    let answer = why(&world.data, TRACE).unwrap();
    assert!(matches!(&span_of(&answer, 12).place.proof, Proof::Refused { .. }));
}

#[test]
fn says_when_an_indexed_event_is_gone_from_the_log() {
    let world = world();
    index(&world);
    let file = segments(&world.dir(0)).remove(0);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let gone = why(&world.data, TRACE);
    assert!(matches!(gone, Err(WhyError::NoTrace { .. })), "{gone:?}");
}

#[test]
fn answers_for_an_event_with_its_whole_trace() {
    let world = world();
    index(&world);
    let place = span_of(&why(&world.data, TRACE).unwrap(), 13).place.clone();
    let answer = why(&world.data, place.event.parse().unwrap()).unwrap();
    assert_eq!((answer.event.as_deref(), answer.spans), (Some(place.event.as_str()), 5));
    let opening = why(&world.data, Question::Event(world.event(0, 0))).unwrap();
    assert_eq!((opening.spans, opening.others[0].kind.as_str()), (0, "key"));
    assert_eq!(opening.others[0].says, "epoch 1 opened (First)");
}

#[test]
fn shows_later_verdicts_findings_copies_and_conflicts() {
    let mut world = world();
    let answer = why(&world.data, TRACE).unwrap();
    let target: spanseal_ledger::EventId = span_of(&answer, 12).place.event.parse().unwrap();
    let refs = world.refs(0);
    let about = EventRef { stream: Vec::new(), index: target.index };
    let later = AssessmentEvent {
        version: 1,
        assessed_unix_nano: 7,
        event: Some(about.clone()),
        assessment: Some(Assessment { verdict: Verdict::Unproven as i32, grades: Vec::new(), reasons: vec![101] }),
        configuration: refs.configuration,
    };
    let finding = FindingEvent {
        version: 1,
        found_unix_nano: 8,
        code: "reuse".into(),
        message: "the approval was used twice".into(),
        events: vec![about],
        ..FindingEvent::default()
    };
    world.seal(0, &[(kind::ASSESSMENT, later.encode_to_vec()), (kind::FINDING, finding.encode_to_vec())]);
    let again = action(2, 12, Some(10), Verdict::Proven, vec![]);
    let mut other = action(2, 13, Some(12), Verdict::Proven, vec![]);
    other.span.name = "something else".into();
    world.seal_spans(0, &[again, other]);
    for indexed in [false, true] {
        if indexed {
            index(&world);
        }
        let answer = why(&world.data, TRACE).unwrap();
        let span = span_of(&answer, 12);
        assert_eq!((span.verdict, span.assessed_later, span.reasons.len()), (Some("unproven"), true, 1));
        assert_eq!((span.again.len(), span.conflicts.len()), (1, 0), "indexed: {indexed}");
        assert_eq!(span_of(&answer, 13).conflicts.len(), 1);
        let kinds: Vec<&str> = answer.others.iter().map(|other| other.kind.as_str()).collect();
        assert_eq!(kinds, ["assessment", "finding"]);
        assert_eq!(answer.others[1].about, [target.to_string()]);
    }
}

/// A conflict event about a span, with other bytes under its ids.
fn conflict(world: &mut World, first: u64, variant: bool) -> (u8, Vec<u8>) {
    let refs = world.refs(0);
    let mut other = action(2, 12, Some(10), Verdict::Proven, vec![]).span;
    other.name = format!("variant: {variant}");
    let event = ConflictEvent {
        version: 1,
        received_unix_nano: 9,
        resource: refs.resource,
        scope: refs.scope,
        tenant: refs.tenant,
        configuration: refs.configuration,
        first: Some(EventRef { stream: Vec::new(), index: first }),
        variant,
        span: other.encode_to_vec(),
        ..ConflictEvent::default()
    };
    (kind::CONFLICT, event.encode_to_vec())
}

#[test]
fn shows_conflict_events_at_the_first_spans_place() {
    let mut world = world();
    let first: spanseal_ledger::EventId = span_of(&why(&world.data, TRACE).unwrap(), 12).place.event.parse().unwrap();
    let events = [conflict(&mut world, first.index, false), conflict(&mut world, first.index, true)];
    world.seal(0, &events);
    let conflicts: Vec<Conflict> = [(world.size(0) - 2, false), (world.size(0) - 1, true)]
        .map(|(index, variant)| Conflict { event: world.event(0, index).to_string(), variant })
        .to_vec();
    for indexed in [false, true] {
        if indexed {
            index(&world);
        }
        let answer = why(&world.data, TRACE).unwrap();
        assert_eq!(span_of(&answer, 12).conflicts, conflicts, "indexed: {indexed}");
        assert_eq!((answer.spans, answer.others.len()), (5, 0));
        let asked = why(&world.data, Question::Event(conflicts[1].event.parse().unwrap())).unwrap();
        assert_eq!(asked.event.as_ref(), Some(&conflicts[1].event));
        let text = text(&answer, &Layout::default());
        for expected in ["(the same ids and other bytes)", "(a variant: only enrichment differs)"] {
            assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
        }
    }
    let ids = Query { trace: Some([2; 16]), span: Some(12u64.to_be_bytes()), ..Query::default() };
    let kinds: Vec<String> = find(&world.data, &ids).unwrap().rows.into_iter().map(|row| row.kind).collect();
    assert_eq!(kinds, ["conflict", "conflict", "span"], "found by its ids");
}

#[test]
fn shows_a_conflict_whose_first_is_not_there() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 3));
    let event = conflict(&mut world, 1, false);
    world.seal(0, &[event]);
    let answer = why(&world.data, TRACE).unwrap();
    assert_eq!((answer.spans, answer.others[0].kind.as_str()), (0, "conflict"));
    assert_eq!(answer.others[0].about, [world.event(0, 1).to_string()]);
}

#[test]
fn reads_questions_as_people_paste_them() {
    let trace = "4BF92F3577B34DA6A3CE929D0E0E4736";
    assert!(matches!(trace.parse(), Ok(Question::Trace(_))));
    let event = format!(" {}-17\n", trace.to_lowercase());
    assert!(matches!(event.parse(), Ok(Question::Event(event)) if event.index == 17));
    for bad in ["", "xyz", "4bf92f3577b34da6", "4bf92f3577b34da6a3ce929d0e0e4736-"] {
        assert!(bad.parse::<Question>().is_err(), "{bad}");
    }
}

#[test]
fn says_what_is_not_there() {
    let world = world();
    let error = why(&world.data, Question::Trace([77; 16])).unwrap_err();
    assert!(error.to_string().starts_with("none of the 51"), "{error}");
    assert!(matches!(why(&world.data, Question::Event(world.event(0, 99_999))), Err(WhyError::NoEvent { .. })));
}

#[test]
fn reads_as_an_investigators_answer() {
    let world = world();
    index(&world);
    let answer = why(&world.data, TRACE).unwrap();
    let text = text(&answer, &Layout { width: 100, ..Layout::default() });
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "trace 02020202020202020202020202020202");
    assert!(lines[1].starts_with("5 spans, 1 missing, from 2026-06-01 00:00:00.000Z"), "{}", lines[1]);
    assert_eq!(lines[2], "actions: 1 proven, 1 violated");
    for expected in [
        "├─ chat gpt",
        "└─ execute_tool update_ticket                                                       PROVEN     40 ms",
        "   └─ execute_tool update_ticket                                                  VIOLATED     40 ms",
        "who       spiffe://acme/agent/deployer (verified), agent deployer, service shop-agent",
        "for       anna@acme (asserted), owner team:shop (verified)",
        "through   anna@acme → spiffe://acme/agent/deployer",
        "did       ticket.update, on ticket:OPS-12, with tool update_ticket",
        "leave     approval ap-7 by boris@acme until 2026-06-01 01:00:00Z: the customer asked",
        "because   A readable attribute says something else than the signed claims.",
        "? span 0000000000000063 is named as parent and is not in the ledger",
        "hashed again, and in the tree of 510 events that was signed 2026-06-01 00:00:00Z",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
    let wide = lines.iter().find(|line| line.chars().count() > 100);
    assert_eq!(wide, None, "\n{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn shows_hostile_names_harmless() {
    let mut world = World::with_stream();
    let evil = span(2, 1, None, "\u{1b}[2Jpwn\u{202e}ed\nfake line", vec![attribute("k\u{7}", "v\u{1b}[31m")]);
    world.seal_spans(0, &[evil]);
    let text = text(&why(&world.data, TRACE).unwrap(), &Layout { attributes: true, ..Layout::default() });
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("fake line")));
}
