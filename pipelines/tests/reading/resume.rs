//! Verification that goes on where an earlier one stood.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prost::Message;
use spanseal_ledger::epoch::Start;
use spanseal_ledger::key_event::CloseReason;
use spanseal_ledger::trust::Trust;
use spanseal_log::record::{HEAD_LEN, RecordKind, append_with, batch_range};
use spanseal_pipelines::check::{Options, Report, Resume, check};
use spanseal_schemas::event::{AssessmentEvent, EventRef};
use spanseal_schemas::kind;

use crate::world::{SECOND, Sealed, World, segments, span, spans, text};

fn options(world: &World, trust: Option<Trust>, file: Option<&Path>) -> Options {
    Options {
        trust,
        now_seconds: world.wall / SECOND,
        max_age_seconds: 3600,
        threads: NonZeroUsize::new(2).unwrap(),
        chunk_bytes: 1,
        resume: file.map(|file| Resume { file: file.to_owned(), save_every: Duration::ZERO }),
    }
}

fn verify(world: &World, file: Option<&Path>) -> Report {
    check(&world.data, &options(world, Some(world.trust()), file), &mut |_| {}).unwrap()
}

/// What the file holds each time that the verification may be killed, the last time included.
fn interrupted(world: &World, file: &Path) -> Vec<Option<Vec<u8>>> {
    let mut states = Vec::new();
    let options = options(world, Some(world.trust()), Some(file));
    check(&world.data, &options, &mut |_| states.push(std::fs::read(file).ok())).unwrap();
    states.dedup();
    states
}

/// The report without what tells a resumed one from an uninterrupted one.
fn findings(report: Report) -> serde_json::Value {
    serde_json::to_value(Report { resumed: Vec::new(), started_over: Vec::new(), ..report }).unwrap()
}

fn file(world: &World) -> PathBuf {
    world.data.root().with_file_name("verified")
}

/// Two streams with epochs, resources, cuts and assessments.
fn world() -> World {
    let mut world = World::with_stream();
    let second = world.open_stream(2);
    let cut = |prompt: &str| Sealed {
        keep_out: Some("gen_ai.input.messages"),
        ..span(4, 9, None, "chat", vec![text("gen_ai.input.messages", &prompt.repeat(9000))])
    };
    let assessed = world.seal_spans(0, &spans(1, 600))[1];
    world.seal_spans(0, &[cut("x")]);
    world.checkpoint();
    world.rotate(0);
    world.seal_spans(0, &spans(2, 300));
    let assessment = |stream: Vec<u8>| AssessmentEvent {
        version: 1,
        event: Some(EventRef { stream, index: assessed }),
        ..AssessmentEvent::default()
    };
    world.seal(0, &[(kind::ASSESSMENT, assessment(Vec::new()).encode_to_vec())]);
    world.close_epoch(0, CloseReason::Shutdown);
    world.open_epoch(0, Start::AfterClose);
    world.seal_spans(0, &[cut("y")]);
    world.seal_spans(second, &spans(3, 40));
    let elsewhere = assessment(world.stream(0).0.to_vec()).encode_to_vec();
    world.seal(second, &[(kind::ASSESSMENT, elsewhere)]);
    world.seal_spans(second, &spans(5, 3));
    world.checkpoint();
    world
}

#[test]
fn goes_on_from_wherever_it_was_interrupted_to_the_same_report() {
    let world = world();
    let whole = findings(verify(&world, None));
    assert_eq!(whole["exit_code"], 0, "{whole:#}");
    let states = interrupted(&world, &file(&world));
    assert!(states.len() > 10, "{} states", states.len());
    let mut sizes = Vec::new();
    for state in states.into_iter().flatten() {
        std::fs::write(file(&world), &state).unwrap();
        let report = verify(&world, Some(&file(&world)));
        assert_eq!(report.started_over, Vec::<String>::new());
        sizes.extend(report.resumed.iter().map(|resumed| resumed.size));
        assert_eq!(findings(report), whole, "{}", String::from_utf8_lossy(&state));
    }
    assert!(sizes.contains(&world.size(0)) && sizes.iter().any(|size| *size < 600), "{sizes:?}");
}

#[test]
fn notes_what_stands_behind_an_older_segment_and_keeps_the_note() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 600));
    let older = segments(&world.dir(0)).remove(0);
    world.new_segment(0);
    world.seal_spans(0, &spans(2, 600));
    world.checkpoint();
    assert_eq!(verify(&world, None).notes, []);
    let bytes = std::fs::read(&older).unwrap();
    std::fs::write(&older, [&bytes[..], &[7; 41]].concat()).unwrap();
    let whole = verify(&world, None);
    assert_eq!((whole.exit_code, whole.notes.len()), (0, 1));
    let segment = "segment 00000000000000000000.seg ends in 41 bytes that are no record";
    let sentence = format!("superseded_tail at {}-0: {segment}: an interrupted write", world.stream(0));
    assert_eq!(whole.notes[0].sentence, sentence);
    let whole = findings(whole);
    for state in interrupted(&world, &file(&world)).into_iter().flatten() {
        std::fs::write(file(&world), &state).unwrap();
        let report = verify(&world, Some(&file(&world)));
        assert_eq!((report.started_over.len(), report.resumed.len()), (0, 1));
        assert_eq!(findings(report), whole, "{}", String::from_utf8_lossy(&state));
    }
}

#[test]
fn a_grown_log_is_verified_from_where_it_ended_then() {
    let mut world = world();
    let then = world.size(0);
    verify(&world, Some(&file(&world)));
    world.seal_spans(0, &spans(6, 20));
    world.rotate(0);
    world.seal_spans(0, &spans(7, 20));
    world.checkpoint();
    let whole = findings(verify(&world, None));
    let report = verify(&world, Some(&file(&world)));
    assert_eq!((report.resumed[0].size, report.resumed[0].unix_seconds > 0), (then, true));
    assert_eq!(report.streams[0].complete.as_ref().map(|pin| pin.size), Some(world.size(0)));
    assert_eq!(findings(report), whole);
}

#[test]
fn a_change_behind_the_place_is_found_and_one_before_it_is_not_looked_for() {
    let mut world = world();
    verify(&world, Some(&file(&world)));
    world.seal_spans(0, &spans(6, 20));
    world.checkpoint();
    let (segment, good) = flip(&world, 0.1);
    assert_eq!(verify(&world, Some(&file(&world))).exit_code, 0);
    assert_eq!(verify(&world, None).exit_code, 1);
    std::fs::write(&segment, good).unwrap();
    // The pass above has moved the place on: back to that of before.
    std::fs::remove_file(file(&world)).unwrap();
    let states = interrupted(&world, &file(&world));
    std::fs::write(file(&world), states[states.len() / 3].as_ref().unwrap()).unwrap();
    flip(&world, 0.999);
    let found = verify(&world, Some(&file(&world)));
    assert_eq!((found.exit_code, found.resumed.is_empty()), (1, false));
    assert_eq!(found.named, verify(&world, None).named);
    // Nothing was saved behind the fault, so that it is found again.
    assert_eq!(verify(&world, Some(&file(&world))).named, found.named);
}

/// Flips a byte of the first stream at a share of its only segment; returns its file and what it was.
fn flip(world: &World, share: f64) -> (PathBuf, Vec<u8>) {
    let segment = segments(&world.dir(0)).remove(0);
    let good = std::fs::read(&segment).unwrap();
    let mut bad = good.clone();
    bad[(good.len() as f64 * share) as usize] ^= 1;
    std::fs::write(&segment, bad).unwrap();
    (segment, good)
}

#[track_caller]
fn starts_over(world: &World, trust: Option<Trust>, because: &str) -> Report {
    let report = check(&world.data, &options(world, trust, Some(&file(world))), &mut |_| {}).unwrap();
    let said = report.started_over.join("; ");
    assert!(report.resumed.iter().all(|resumed| resumed.stream != world.stream(0).to_string()), "{:?}", report.resumed);
    assert!(said.contains(because), "{said}");
    report
}

#[test]
fn starts_over_when_the_log_is_not_that_of_then() {
    let fresh = || {
        let world = world();
        verify(&world, Some(&file(&world)));
        world
    };
    let world = fresh();
    let segment = segments(&world.dir(0)).remove(0);
    let len = std::fs::metadata(&segment).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(len - 1).unwrap();
    let report = starts_over(&world, Some(world.trust()), "the batch before that place is another, or is not there");
    assert_eq!(report.named.map(|named| named.code), Some("truncated"));

    let world = fresh();
    let other = self::world();
    std::fs::copy(file(&world), file(&other)).unwrap();
    let mut changed = std::fs::read_to_string(file(&other)).unwrap();
    changed = changed.replacen("\"root_hash\":\"", "\"root_hash\":\"00", 1);
    std::fs::write(file(&other), changed).unwrap();
    assert_eq!(starts_over(&other, Some(other.trust()), "the root log is not the one of that time").exit_code, 0);

    std::fs::write(file(&other), "{\"version\":1").unwrap();
    assert_eq!(starts_over(&other, Some(other.trust()), "the file cannot be read").exit_code, 0);
    let text = std::fs::read_to_string(file(&other)).unwrap().replacen("\"version\":2", "\"version\":3", 1);
    std::fs::write(file(&other), text).unwrap();
    assert_eq!(starts_over(&other, Some(other.trust()), "the file is of another version").exit_code, 0);
}

#[test]
fn starts_over_when_something_else_is_signed_for_what_it_passed() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 300));
    world.checkpoint();
    let (early, early_head) = (world.trust(), world.head(0).clone());
    world.seal_spans(0, &spans(2, 300));
    world.checkpoint();
    let note = world.data.read_checkpoint(&spanseal_log::Owner::Stream(world.stream(0))).unwrap().unwrap();
    verify(&world, Some(&file(&world)));
    // A pin that was not compared then vouches for nothing: it is compared now.
    let not_those = "checkpoint, pin and root log are not those of that time";
    let report = starts_over(&world, Some(early.clone()), not_those);
    assert_eq!((report.exit_code, report.streams[0].complete.is_some()), (0, true));
    let again = check(&world.data, &options(&world, Some(early), Some(&file(&world))), &mut |_| {}).unwrap();
    assert_eq!((again.resumed.len(), again.streams[0].complete.is_some()), (1, true));
    // A checkpoint below the place: the log was rolled back, or the note was.
    let path = world.data.checkpoint(&spanseal_log::Owner::Stream(world.stream(0)));
    std::fs::remove_file(&path).unwrap();
    let report = starts_over(&world, Some(world.trust()), not_those);
    assert_eq!(report.named.map(|named| named.code), Some("no_checkpoint"));
    std::fs::write(&path, note).unwrap();
    // A root leaf says now what an earlier size was: the epoch ended there, and what followed should not be.
    verify(&world, Some(&file(&world)));
    world.close_epoch_at(0, &early_head);
    let report = starts_over(&world, Some(world.trust()), not_those);
    assert_eq!(report.named.map(|named| named.code), Some("seal_after_close"));
}

#[test]
fn a_segment_that_went_is_noticed_even_before_the_place() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 300));
    world.checkpoint();
    world.new_segment(0);
    world.seal_spans(0, &spans(2, 300));
    world.checkpoint();
    assert_eq!(segments(&world.dir(0)).len(), 2);
    let whole = findings(verify(&world, Some(&file(&world))));
    let resumed = verify(&world, Some(&file(&world)));
    assert_eq!(resumed.resumed.len(), 1);
    assert_eq!(findings(resumed), whole);
    std::fs::remove_file(&segments(&world.dir(0))[0]).unwrap();
    let report = starts_over(&world, Some(world.trust()), "segments before that place have other sizes");
    assert_eq!(report.named.map(|named| named.code), Some("head_missing"));
}

/// A place is only saved where the checkpoint covers it, and only gone on from where the checkpoint of now does.
#[test]
fn stands_where_a_checkpoint_covers_it() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 300));
    world.checkpoint();
    let (covered, note) = (world.size(0), world.data.checkpoint(&spanseal_log::Owner::Stream(world.stream(0))));
    let early = std::fs::read(&note).unwrap();
    world.seal_spans(0, &spans(2, 300));
    verify(&world, Some(&file(&world)));
    let report = verify(&world, Some(&file(&world)));
    assert_eq!(
        (report.started_over.len(), report.resumed[0].size),
        (0, covered),
        "what it does not cover is not saved"
    );
    world.checkpoint();
    verify(&world, Some(&file(&world)));
    std::fs::write(&note, early).unwrap();
    starts_over(&world, Some(world.trust()), "checkpoint, pin and root log are not those of that time");
}

#[test]
fn starts_over_when_the_last_batch_is_another() {
    let world = world();
    verify(&world, Some(&file(&world)));
    let segment = segments(&world.dir(0)).remove(0);
    let log = std::fs::read(&segment).unwrap();
    // The same batch, whole, with another signature.
    let last = (0..log.len() - HEAD_LEN).rev().find(|at| {
        let (head, body) = log[*at..].split_at(HEAD_LEN);
        let is_last = batch_range(body).is_some_and(|(first, count)| first + u64::from(count) == world.size(0));
        is_last && head[..4] == (body.len() as u32).to_be_bytes()
    });
    let (sound, body) = log.split_at(last.unwrap());
    let mut body = body[HEAD_LEN..].to_vec();
    body[263] ^= 1;
    let mut changed = sound.to_vec();
    append_with(&mut changed, RecordKind::Batch, |out| out.extend_from_slice(&body)).unwrap();
    std::fs::write(&segment, changed).unwrap();
    let because = "the batch before that place is another, or is not there";
    let report = starts_over(&world, Some(world.trust()), because);
    assert_eq!(report.named.map(|named| named.code), Some("bad_signature"));
}

/// What every interrupted verification goes on to is what an uninterrupted one says.
#[track_caller]
fn never_forgets(world: &World, code: &str) {
    let whole = verify(world, None);
    assert_eq!(whole.named.as_ref().map(|named| named.code), Some(code));
    for state in interrupted(world, &file(world)).into_iter().flatten() {
        std::fs::write(file(world), &state).unwrap();
        assert_eq!(verify(world, Some(&file(world))).named, whole.named, "{}", String::from_utf8_lossy(&state));
    }
}

#[test]
fn nothing_is_saved_behind_a_fault() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 300));
    let dangling = AssessmentEvent {
        version: 1,
        event: Some(EventRef { stream: Vec::new(), index: 1 << 40 }),
        ..AssessmentEvent::default()
    };
    world.seal(0, &[(kind::ASSESSMENT, dangling.encode_to_vec())]);
    world.seal_spans(0, &spans(2, 600));
    world.checkpoint();
    never_forgets(&world, "envelope");
}

#[test]
fn nothing_is_saved_while_a_superseded_batch_waits_for_its_place() {
    let (mut world, mut twin) = (World::with_stream(), World::with_stream());
    for world in [&mut world, &mut twin] {
        world.seal_spans(0, &spans(1, 3));
    }
    world.new_segment(0);
    for world in [&mut world, &mut twin] {
        world.seal_spans(0, &spans(2, 3));
    }
    world.seal_spans(0, &spans(3, 3));
    twin.seal_spans(0, &spans(4, 3));
    world.checkpoint();
    // The first segment goes on as the twin's: with a batch that is in the second too, and one that is another there.
    let older = segments(&world.dir(0)).remove(0);
    std::fs::copy(segments(&twin.dir(0)).remove(0), older).unwrap();
    never_forgets(&world, "fork");
}
