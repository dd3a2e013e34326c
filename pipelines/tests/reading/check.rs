//! What `check` finds, each with a log that shows it.

use std::num::NonZeroUsize;

use prost::Message;
use spanseal_ledger::epoch::Start;
use spanseal_ledger::key_event::CloseReason;
use spanseal_log::{DataDir, Disk, Owner, SegmentStart, Writer};
use spanseal_pipelines::check::{CheckError, Options, Progress, Report, check};
use spanseal_schemas::event::{AssessmentEvent, EventRef, FindingEvent, SpanEvent, Verdict, What};
use spanseal_schemas::kind;

use crate::world::{Sealed, World, payload_record, resource_body, segments, span, spans, text};

fn options(world: &World) -> Options {
    Options {
        trust: Some(world.trust()),
        now_seconds: world.wall / crate::world::SECOND,
        max_age_seconds: 3600,
        threads: NonZeroUsize::new(2).unwrap(),
        chunk_bytes: spanseal_pipelines::check::CHUNK_BYTES,
        resume: None,
    }
}

fn report(world: &World) -> Report {
    check(&world.data, &options(world), &mut |_| {}).unwrap()
}

/// Each finding that decides, as `code@index`.
fn codes(report: &Report) -> Vec<String> {
    let all = report.faults.iter().chain(&report.unchecked);
    all.map(|fault| format!("{}@{}", fault.code, fault.index.map_or("-".to_owned(), |index| index.to_string())))
        .collect()
}

#[track_caller]
fn holds(world: &World) -> Report {
    let report = report(world);
    assert_eq!(codes(&report), Vec::<String>::new());
    assert_eq!(report.exit_code, 0);
    report
}

#[track_caller]
fn finds(world: &World, code: &str, index: u64) {
    let report = report(world);
    assert_eq!(codes(&report).first(), Some(&format!("{code}@{index}")), "{:#?}", report.faults);
    let expected = if code == "unknown_version" { 2 } else { 1 };
    assert_eq!(report.exit_code, expected);
    assert_eq!(report.named.as_ref().map(|named| named.code), Some(code));
}

#[test]
fn an_honest_log_holds_and_says_what_was_checked() {
    let mut world = World::with_stream();
    let second = world.open_stream(2);
    let action = Sealed {
        assessment: Some(spanseal_schemas::event::Assessment {
            verdict: Verdict::Violated as i32,
            ..Default::default()
        }),
        ..span(1, 9, None, "pay", Vec::new())
    };
    world.seal_spans(0, &spans(1, 700));
    world.rotate(0);
    world.seal_spans(0, &[action]);
    world.close_epoch(0, CloseReason::Shutdown);
    world.open_epoch(0, Start::AfterClose);
    world.seal_spans(0, &spans(2, 3));
    world.seal_spans(second, &spans(3, 3));
    world.checkpoint();
    let report = holds(&world);
    assert_eq!((report.anchor, report.deployment.as_deref()), ("pinned", Some(crate::world::NAME)));
    assert_eq!(report.streams.len(), 2);
    let first = &report.streams[0];
    assert_eq!((first.epochs, first.size, first.after_checkpoint), (3, world.size(0), 0));
    assert_eq!(first.complete.as_ref().map(|complete| complete.size), Some(world.size(0)));
    assert_eq!(report.totals.events, world.size(0) + world.size(1));
    assert_eq!(report.totals.kinds["span"], 707);
    assert_eq!(report.totals.verdicts["violated"], 1);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["exit_code"], 0);
    assert!(json["faults"].as_array().unwrap().is_empty());
}

#[test]
fn without_a_trust_file_it_cannot_be_sure() {
    let mut world = World::with_stream();
    world.checkpoint();
    let options = Options { trust: None, ..options(&world) };
    let report = check(&world.data, &options, &mut |_| {}).unwrap();
    assert_eq!((report.exit_code, report.anchor), (2, "self"));
    assert_eq!(codes(&report), ["self_anchored@-"]);
}

#[test]
fn a_pin_that_is_too_old_cannot_vouch() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 1));
    world.checkpoint();
    let options = Options { now_seconds: world.wall / crate::world::SECOND + 3601, ..options(&world) };
    assert_eq!(codes(&check(&world.data, &options, &mut |_| {}).unwrap()), ["pin_stale@-"]);
}

#[test]
fn what_is_newer_than_the_checkpoint_is_said_and_no_fault() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 3));
    world.checkpoint();
    let options = options(&world);
    let pinned = world.size(0);
    world.seal_spans(0, &spans(2, 2));
    let report = check(&world.data, &options, &mut |_| {}).unwrap();
    assert_eq!((report.exit_code, codes(&report)), (0, Vec::new()));
    assert_eq!((report.streams[0].after_checkpoint, report.streams[0].not_anchored), (2, Some(2)));
    assert_eq!(report.streams[0].complete.as_ref().map(|complete| complete.size), Some(pinned));
}

#[test]
fn names_an_event_that_is_not_in_canonical_form() {
    let mut world = World::with_stream();
    let refs = world.refs(0);
    let mut body = SpanEvent {
        version: 1,
        resource: refs.resource,
        scope: refs.scope,
        tenant: refs.tenant,
        configuration: refs.configuration,
        span: vec![1],
        ..SpanEvent::default()
    }
    .encode_to_vec();
    body.extend_from_slice(&[0x38, 0x00]); // a default, and out of order
    let index = world.seal(0, &[(kind::SPAN, body)]);
    world.checkpoint();
    finds(&world, "envelope", index);
}

#[test]
fn cannot_check_an_event_of_another_version() {
    let mut world = World::with_stream();
    let body = FindingEvent { version: 2, ..FindingEvent::default() }.encode_to_vec();
    let index = world.seal(0, &[(kind::FINDING, body)]);
    world.checkpoint();
    finds(&world, "unknown_version", index);
}

#[test]
fn cannot_check_an_event_of_another_kind_and_names_it_once() {
    let mut world = World::with_stream();
    let index = world.seal(0, &[(77, vec![1])]);
    world.checkpoint();
    assert_eq!(codes(&report(&world)), [format!("unknown_version@{index}")]);
}

#[test]
fn names_references_that_lead_nowhere() {
    let cases: [fn(&mut SpanEvent); 4] = [
        |event| event.resource = 9999,                                 // not there
        |event| std::mem::swap(&mut event.resource, &mut event.scope), // of another kind
        |event| event.configuration = event.tenant,                    // of another kind
        |event| event.scope = u64::MAX,                                // never there
    ];
    for (number, change) in cases.into_iter().enumerate() {
        let mut world = World::with_stream();
        let refs = world.refs(0);
        let mut event = SpanEvent {
            version: 1,
            resource: refs.resource,
            scope: refs.scope,
            tenant: refs.tenant,
            configuration: refs.configuration,
            span: vec![1],
            ..SpanEvent::default()
        };
        change(&mut event);
        let index = world.seal(0, &[(kind::SPAN, event.encode_to_vec())]);
        world.checkpoint();
        let report = report(&world);
        assert_eq!(codes(&report).first(), Some(&format!("envelope@{index}")), "case {number}");
    }
}

#[test]
fn names_a_reference_into_an_earlier_epoch() {
    let mut world = World::with_stream();
    let refs = world.refs(0);
    world.rotate(0);
    let event = AssessmentEvent {
        version: 1,
        assessed_unix_nano: 1,
        event: Some(EventRef { stream: Vec::new(), index: 1 }),
        assessment: None,
        configuration: refs.configuration,
    };
    let index = world.seal(0, &[(kind::ASSESSMENT, event.encode_to_vec())]);
    world.checkpoint();
    finds(&world, "envelope", index);
}

#[test]
fn accepts_references_across_a_run_of_65536_only_to_their_own_run() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 66_000));
    world.checkpoint();
    holds(&world);
}

#[test]
fn matches_payload_records_with_the_events_that_list_them() {
    let mut world = World::with_stream();
    let secret = Sealed { keep_out: Some("secret"), ..span(1, 1, None, "pay", vec![text("secret", "1234")]) };
    world.seal_spans(0, &[secret]);
    world.checkpoint();
    let report = holds(&world);
    assert_eq!(report.totals.payload_records, 1);
}

#[test]
fn names_a_payload_record_that_no_event_lists() {
    let mut world = World::with_stream();
    world.payload(0, &payload_record(world.stream(0), b"nobody knows why"));
    world.seal_spans(0, &spans(1, 1));
    world.checkpoint();
    let size = world.size(0);
    finds(&world, "payload_mismatch", size);
}

#[test]
fn cannot_check_a_payload_that_is_not_there() {
    let mut world = World::with_stream();
    let refs = world.refs(0);
    let event = SpanEvent {
        version: 1,
        resource: refs.resource,
        scope: refs.scope,
        tenant: refs.tenant,
        configuration: refs.configuration,
        span: vec![1],
        payloads: vec![vec![5; 32]],
        ..SpanEvent::default()
    };
    let index = world.seal(0, &[(kind::SPAN, event.encode_to_vec())]);
    world.checkpoint();
    let report = report(&world);
    assert_eq!(report.exit_code, 2, "what it said cannot be looked at: {report:#?}");
    assert_eq!(
        report.unchecked.iter().map(|note| (note.code, note.index)).collect::<Vec<_>>(),
        [("payload_missing", Some(index))]
    );
}

#[test]
fn names_a_payload_record_that_is_not_what_its_event_lists() {
    let mut world = World::with_stream();
    let refs = world.refs(0);
    let foreign = payload_record(spanseal_ledger::StreamId([9; 16]), b"of another stream");
    world.payload(0, &foreign);
    let event = SpanEvent {
        version: 1,
        resource: refs.resource,
        scope: refs.scope,
        tenant: refs.tenant,
        configuration: refs.configuration,
        span: vec![1],
        payloads: vec![spanseal_ledger::leaf::plain_hash(&foreign).to_vec()],
        ..SpanEvent::default()
    };
    let index = world.seal(0, &[(kind::SPAN, event.encode_to_vec())]);
    world.checkpoint();
    finds(&world, "payload_mismatch", index);
}

#[test]
fn names_references_to_events_that_are_not_there_or_no_spans() {
    let assessment = |stream: &[u8], index| AssessmentEvent {
        version: 1,
        event: Some(EventRef { stream: stream.to_vec(), index }),
        ..AssessmentEvent::default()
    };
    let finding = |stream: &[u8], index| FindingEvent {
        version: 1,
        events: vec![EventRef { stream: stream.to_vec(), index }],
        ..FindingEvent::default()
    };
    // Events 1 to 4 of both streams are resource events, 5 is a span, 6 refers.
    for (kind, body, expected) in [
        (kind::ASSESSMENT, assessment(&[], 5).encode_to_vec(), 0),
        (kind::ASSESSMENT, assessment(&[], 4).encode_to_vec(), 1), // no span
        (kind::ASSESSMENT, assessment(&[], 6).encode_to_vec(), 1), // itself
        (kind::FINDING, finding(&[], 4).encode_to_vec(), 0),
        (kind::FINDING, finding(&[], 7).encode_to_vec(), 1), // a later one
        (kind::ASSESSMENT, assessment(&[2; 16], 5).encode_to_vec(), 0),
        (kind::ASSESSMENT, assessment(&[2; 16], 4).encode_to_vec(), 1), // no span there
        (kind::FINDING, finding(&[2; 16], 6).encode_to_vec(), 1),       // beyond its end
        (kind::FINDING, finding(&[3; 16], 6).encode_to_vec(), 0),       // of a stream that is not at hand
    ] {
        let mut world = World::with_stream();
        world.open_stream(2);
        world.seal_spans(0, &spans(1, 1));
        world.seal_spans(1, &spans(2, 1));
        assert_eq!(world.seal(0, &[(kind, body)]), 6);
        world.checkpoint();
        let expected = vec!["envelope@6".to_owned(); expected];
        assert_eq!(codes(&report(&world)), expected, "{kind}");
    }
}

#[test]
fn names_cuts_that_do_not_fit() {
    let mut world = World::with_stream();
    let refs = world.refs(0);
    let cut =
        spanseal_schemas::event::Cut { offset: 500, length: 4, path: vec![5], fields: false, commitment: vec![1; 32] };
    let event = SpanEvent {
        version: 1,
        resource: refs.resource,
        scope: refs.scope,
        tenant: refs.tenant,
        configuration: refs.configuration,
        span: vec![1],
        cuts: vec![cut],
        ..SpanEvent::default()
    };
    let index = world.seal(0, &[(kind::SPAN, event.encode_to_vec())]);
    world.checkpoint();
    finds(&world, "envelope", index);
}

#[test]
fn a_resource_of_no_kind_is_no_target() {
    let mut world = World::with_stream();
    let index = world.seal(0, &[(kind::RESOURCE, resource_body(What::Unspecified, Vec::new()))]);
    let refs = world.refs(0);
    let event = SpanEvent {
        version: 1,
        resource: index,
        scope: refs.scope,
        tenant: refs.tenant,
        configuration: refs.configuration,
        span: vec![1],
        ..SpanEvent::default()
    };
    world.seal(0, &[(kind::SPAN, event.encode_to_vec())]);
    world.checkpoint();
    assert_eq!(report(&world).exit_code, 1);
}

#[test]
fn any_flipped_bit_of_a_batch_is_named() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 3));
    world.checkpoint();
    let file = segments(&world.dir(0)).remove(0);
    let bytes = std::fs::read(&file).unwrap();
    for place in (0..bytes.len()).step_by(17) {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        std::fs::write(&file, &changed).unwrap();
        assert_eq!(report(&world).exit_code, 1, "byte {place}");
    }
}

#[test]
fn a_torn_tail_is_a_note_unless_a_checkpoint_covers_it() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 3));
    world.checkpoint();
    let options = options(&world);
    world.seal_spans(0, &spans(2, 3));
    let file = segments(&world.dir(0)).remove(0);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 10]).unwrap();
    let torn = check(&world.data, &options, &mut |_| {}).unwrap();
    assert_eq!((torn.exit_code, torn.notes[0].code), (0, "torn_tail"));
    world.checkpoint();
    assert_eq!(codes(&report(&world)).first().map(String::as_str), Some("truncated@8"));
}

#[test]
fn names_a_fork_that_a_later_segment_supersedes() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 3));
    let (start, copy) = (world.size(0), tempfile::tempdir().unwrap());
    let dir = world.dir(0);
    let file = segments(&dir).remove(0);
    let before = std::fs::read(&file).unwrap();
    world.seal_spans(0, &spans(2, 2));
    std::fs::copy(&file, copy.path().join("fork")).unwrap();
    // The same epoch seals something else at the same index, in a new segment.
    let mut twin = World::with_stream();
    twin.wall = crate::world::BEGIN_SECONDS * crate::world::SECOND;
    twin.seal_spans(0, &spans(1, 3));
    assert_eq!(std::fs::read(segments(&twin.dir(0)).remove(0)).unwrap(), before, "the worlds are twins");
    let head = twin.segment_start(0);
    twin.seal_spans(0, &spans(3, 1));
    let owner = Owner::Stream(twin.stream(0));
    drop(Writer::open(world.data.shared_storage(), &dir, owner, head).unwrap());
    let newest = segments(&dir).pop().unwrap();
    let header = std::fs::read(&newest).unwrap();
    let sealed = std::fs::read(segments(&twin.dir(0)).remove(0)).unwrap();
    std::fs::write(&newest, [header, sealed[before.len()..].to_vec()].concat()).unwrap();
    twin.checkpoint();
    let trusted = Options { trust: Some(twin.trust()), ..options(&twin) };
    for owner in [Owner::RootLog, Owner::Stream(twin.stream(0))] {
        let note = twin.data.read_checkpoint(&owner).unwrap().unwrap();
        std::fs::write(world.data.checkpoint(&owner), note).unwrap();
    }
    let root = segments(&twin.data.log(&Owner::RootLog)).remove(0);
    std::fs::copy(&root, segments(&world.data.log(&Owner::RootLog)).remove(0)).unwrap();
    let report = check(&world.data, &trusted, &mut |_| {}).unwrap();
    assert_eq!(codes(&report), [format!("fork@{start}")]);
}

#[test]
fn an_epoch_that_begins_while_it_verifies_is_no_fault() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 3));
    world.checkpoint();
    let (data, options) = (world.data.clone(), options(&world));
    let mut rotated = false;
    let report = check(&data, &options, &mut |_| {
        // The root log has been read, the stream has not.
        if !std::mem::replace(&mut rotated, true) {
            world.rotate(0);
            world.seal_spans(0, &spans(2, 3));
        }
    });
    let report = report.unwrap();
    assert_eq!((report.exit_code, codes(&report), report.streams[0].epochs), (0, Vec::new(), 2));
}

#[test]
fn tells_how_far_it_is() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 1000));
    world.checkpoint();
    let mut seen: Vec<Progress> = Vec::new();
    check(&world.data, &options(&world), &mut |progress| seen.push(progress)).unwrap();
    assert_eq!(seen.first().map(|progress| progress.done), Some(0));
    assert!(seen.windows(2).all(|pair| pair[0].done <= pair[1].done && pair[1].done <= pair[1].total), "{seen:?}");
    assert!(seen.last().unwrap().done > 100_000);
}

#[test]
fn says_that_a_directory_is_none() {
    let empty = tempfile::tempdir().unwrap();
    let data = DataDir::at(std::sync::Arc::new(Disk), empty.path());
    let error = check(&data, &options(&World::new()), &mut |_| {}).unwrap_err();
    assert!(matches!(error, CheckError::NoLog { .. }), "{error}");
}

impl World {
    /// Where a stream stands, as a segment's header says it.
    fn segment_start(&self, s: usize) -> SegmentStart {
        let head = self.head(s);
        SegmentStart { first: head.frontier.size(), seal_hash: head.seal_hash, frontier: head.frontier.clone() }
    }
}
