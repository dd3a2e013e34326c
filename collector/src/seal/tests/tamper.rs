//! A log that was changed or cut behind the engine's back is never silently gone on with.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use spanseal_ledger::StreamId;
use spanseal_ledger::gap::{Gap, GapCause};
use spanseal_ledger::key_event::KeyEvent;
use spanseal_ledger::verify::Code;
use spanseal_log::record::{self, HEAD_LEN, Head};
use spanseal_log::segment::header_len;
use spanseal_log::{Fault, Memory, RecordKind, Storage, read_file};
use spanseal_schemas::kind;

use super::requests::Request;
use super::verdict::{Verdict, verdict};
use super::world::{DATA, Settings, Stopped, World};
use crate::seal::start::StartError;

/// A stream with a covered log of two epochs, and a clean end.
fn sealed_world() -> (World, StreamId) {
    let mut world = World::new(Settings::default());
    for numbers in [1..=3, 4..=6] {
        let mut process = world.must_start();
        world.must_seal(&mut process, &Request::of(numbers));
        world.checkpoint(&mut process).unwrap();
        world.end(process).unwrap();
    }
    let stream = verdict(&world.memory, &world.pins).streams[0];
    (world, stream)
}

fn last_segment(memory: &Memory, stream: StreamId) -> PathBuf {
    let dir = Path::new(DATA).join("streams").join(stream.to_string());
    let mut names: Vec<String> = memory.list(&dir).unwrap().into_iter().filter(|name| name.ends_with(".seg")).collect();
    names.sort();
    dir.join(names.pop().unwrap())
}

fn first_of(segment: &Path) -> u64 {
    segment.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

/// Starts over what is left, seals two spans, and returns the verdict.
#[track_caller]
fn go_on(world: &mut World) -> Verdict {
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of(7..=8));
    world.end(process).unwrap();
    verdict(&world.memory, &world.pins)
}

/// The old stream is left as it was and is named by a new one, in which everything holds.
#[track_caller]
fn check_replaced(verdict: &Verdict, old: StreamId, code: Code, lost_from: u64) {
    let named = verdict.report.named().unwrap();
    assert_eq!((named.code, named.stream), (code, Some(old)), "{:#?}", verdict.report.faults);
    let elsewhere = verdict.report.faults.tampered.iter().find(|fault| fault.stream != Some(old));
    assert_eq!(elsewhere, None, "only the old stream is at fault");
    assert!(verdict.root.stream(&old).unwrap().closed.is_some(), "the old stream is closed for good");
    let [new] = verdict
        .report
        .streams
        .iter()
        .map(|report| report.stream)
        .filter(|stream| *stream != old)
        .collect::<Vec<_>>()[..]
    else {
        panic!("one new stream")
    };
    let first = verdict.events.iter().filter(|event| event.stream == new).nth(1).unwrap();
    let gap = Gap::parse(&first.event).unwrap();
    assert_eq!((gap.cause, gap.stream, gap.first), (GapCause::TailLost, old, lost_from));
    assert!(gap.expected_size.is_none_or(|size| size > lost_from));
}

#[test]
fn a_flipped_bit_below_the_checkpoint_ends_the_stream() {
    let (mut world, stream) = sealed_world();
    let segment = last_segment(&world.memory, stream);
    let first = first_of(&segment);
    world.memory.flip_bit(&segment, 8 * (header_len(first) as u64 + 400)).unwrap();
    check_replaced(&go_on(&mut world), stream, Code::Truncated, first);
}

#[test]
fn a_changed_event_with_a_right_crc_ends_the_stream() {
    let (mut world, stream) = sealed_world();
    let segment = last_segment(&world.memory, stream);
    let first = first_of(&segment);
    let bytes = read_file(&world.memory, &segment, 1 << 20).unwrap();
    let len_at = |at: usize| Head::parse(bytes[at..].first_chunk().unwrap()).record_len().unwrap();
    let second = header_len(first) + len_at(header_len(first));
    let end = second + len_at(second);
    let mut body = bytes[second + HEAD_LEN..end].to_vec();
    *body.last_mut().unwrap() ^= 1;
    let mut changed = bytes[..second].to_vec();
    record::append_with(&mut changed, RecordKind::Batch, |out| out.extend_from_slice(&body)).unwrap();
    changed.extend_from_slice(&bytes[end..]);
    world.memory.overwrite(&segment, &changed).unwrap();
    check_replaced(&go_on(&mut world), stream, Code::RootMismatch, first + 1);
}

#[test]
fn a_tail_cut_below_the_checkpoint_ends_the_stream() {
    let (mut world, stream) = sealed_world();
    let segment = last_segment(&world.memory, stream);
    let first = first_of(&segment);
    let header = read_file(&world.memory, &segment, 1 << 20).unwrap()[..header_len(first)].to_vec();
    world.memory.overwrite(&segment, &header).unwrap();
    check_replaced(&go_on(&mut world), stream, Code::Truncated, first);
}

#[test]
fn a_tail_cut_below_what_the_note_alone_covers_ends_the_stream() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of(1..=3));
    let size = process.checkpoints.streams[0].durable.borrow().size;
    let stream = process.checkpoints.streams[0].durable.borrow().stream;
    let segment = last_segment(&world.memory, stream);
    let covered = read_file(&world.memory, &segment, 1 << 20).unwrap();
    world.must_seal(&mut process, &Request::of(4..=6));
    world.checkpoint(&mut process).unwrap();
    drop(process);
    world.memory.overwrite(&segment, &covered).unwrap();
    check_replaced(&go_on(&mut world), stream, Code::Truncated, size);
}

#[test]
fn a_stream_that_is_gone_is_named_by_the_next() {
    let (mut world, stream) = sealed_world();
    let dir = Path::new(DATA).join("streams").join(stream.to_string());
    for name in world.memory.list(&dir).unwrap() {
        world.memory.remove(&dir.join(name)).unwrap();
    }
    check_replaced(&go_on(&mut world), stream, Code::Truncated, 0);
}

#[test]
fn the_replacement_survives_a_crash_at_any_operation() {
    for at in 0.. {
        let (mut world, stream) = sealed_world();
        let segment = last_segment(&world.memory, stream);
        let first = first_of(&segment);
        let header = read_file(&world.memory, &segment, 1 << 20).unwrap()[..header_len(first)].to_vec();
        world.memory.overwrite(&segment, &header).unwrap();
        world.memory.fault_after(at, Fault::DieBefore);
        let started = world.start().is_ok();
        if !world.memory.is_dead() {
            assert!(started && at > 20, "{at}");
            break;
        }
        world.memory = world.memory.crash();
        check_replaced(&go_on(&mut world), stream, Code::Truncated, first);
    }
}

#[test]
fn goes_on_in_the_new_stream_after_the_next_restart() {
    let (mut world, stream) = sealed_world();
    let segment = last_segment(&world.memory, stream);
    world.memory.flip_bit(&segment, 8 * 4).unwrap();
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([7]));
    world.end(process).unwrap();
    let mut process = world.must_start();
    world.must_seal(&mut process, &Request::of([7, 8]));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    assert_eq!(verdict.report.streams.len(), 2);
    assert_eq!(verdict.of_kind(kind::GAP).count(), 1, "the gap is told once");
    let new: Vec<_> = verdict.events.iter().filter(|event| event.stream != stream).collect();
    let spans = new.iter().filter(|event| event.event[0] == kind::SPAN).count();
    assert_eq!(spans, 2, "the new stream has a window of its own");
    let openings = new.iter().filter(|event| matches!(KeyEvent::parse(&event.event), Ok(KeyEvent::Opening(_))));
    assert_eq!(openings.count(), 2);
}

/// The start is refused, with this error.
#[track_caller]
fn check_refused(world: &mut World, expected: impl Fn(&StartError) -> bool) {
    match world.start() {
        Err(Stopped::Start(error)) if expected(&error) => {}
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("started"),
    }
}

fn root_segments(memory: &Memory) -> Vec<PathBuf> {
    let dir = Path::new(DATA).join("rootlog");
    let mut names: Vec<String> = memory.list(&dir).unwrap().into_iter().filter(|name| name.ends_with(".seg")).collect();
    names.sort();
    names.into_iter().map(|name| dir.join(name)).collect()
}

#[test]
fn a_changed_root_log_refuses_the_start() {
    let (mut world, _) = sealed_world();
    let first = root_segments(&world.memory)[0].clone();
    world.memory.flip_bit(&first, 8 * 300).unwrap();
    check_refused(&mut world, |error| matches!(error, StartError::RootDamaged(_)));
}

#[test]
fn a_root_log_that_lost_leaves_refuses_the_start() {
    let (mut world, _) = sealed_world();
    let segments = root_segments(&world.memory);
    for segment in &segments[1..] {
        world.memory.remove(segment).unwrap();
    }
    check_refused(&mut world, |error| matches!(error, StartError::RootShort { .. }));
}

#[test]
fn another_name_and_other_keys_refuse_the_start() {
    let (mut world, _) = sealed_world();
    world.memory.overwrite(&Path::new(DATA).join("keys/cosign.key"), &key_text(7)).unwrap();
    check_refused(&mut world, |error| matches!(error, StartError::OtherKey { role: "cosign" }));
    world.memory.remove(&Path::new(DATA).join("keys/cosign.key")).unwrap();
    check_refused(
        &mut world,
        |error| matches!(error, StartError::Key(spanseal_log::KeyFileError::Io(error)) if error.kind() == ErrorKind::NotFound),
    );
}

fn key_text(byte: u8) -> Vec<u8> {
    format!("{}\n", format!("{byte:02x}").repeat(32)).into_bytes()
}
