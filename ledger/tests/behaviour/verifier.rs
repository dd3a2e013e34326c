//! The verifier as its callers use it: batch by batch, from a stored place, over a growing root log, and on after a fault.

use spanseal_ledger::StreamId;
use spanseal_ledger::epoch::Start;
use spanseal_ledger::key_event::CloseReason;
use spanseal_ledger::tree::Frontier;
use spanseal_ledger::verify::{
    Code, Detail, Freshness, HashedBatch, Position, Report, ResumeError, RootVerifier, StreamVerifier,
};

use super::run::{root_of, stream_verifier, verify};
use crate::corpus;
use crate::corpus::world::{Log, World, span};

/// Two epochs with a rotation between them, in eight batches.
fn two_epochs() -> (World, Log) {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    (0..3).for_each(|_| world.seal_spans(s, 2));
    world.close_epoch(s, CloseReason::Rotation);
    world.open_epoch(s, Start::Rotation);
    (0..3).for_each(|_| world.seal_spans(s, 2));
    let log = world.log();
    (world, log)
}

#[test]
fn every_batch_tells_what_it_held() {
    let (_, log) = two_epochs();
    let root = root_of(&log, None);
    let mut verifier = stream_verifier(&root, &log.streams[0]);
    let facts: Vec<_> = log.streams[0].batches.iter().map(|batch| verifier.push(&root, batch).unwrap()).collect();
    let told: Vec<_> = facts.iter().map(|facts| (facts.seal.epoch, facts.seal.first, facts.spans)).collect();
    assert_eq!(told, [(1, 0, 2), (1, 3, 2), (1, 5, 2), (1, 7, 0), (2, 8, 2), (2, 11, 2), (2, 13, 2)]);
    let counts = verifier.finish(&root).counts;
    assert_eq!((counts.seen, counts.batches, counts.events, counts.spans, counts.epochs), (7, 7, 15, 12, 2));
    assert_eq!(counts.unrooted, 0);
}

#[test]
fn goes_on_from_any_stored_position_as_if_it_had_never_stopped() {
    let (_, log) = two_epochs();
    let root = root_of(&log, None);
    let mut verifier = stream_verifier(&root, &log.streams[0]);
    assert_eq!(verifier.position(), None);
    for batch in &log.streams[0].batches {
        verifier.push(&root, batch).unwrap();
        let stored = verifier.position().unwrap().encode();
        let position = Position::decode(&stored).unwrap();
        verifier = StreamVerifier::resume(&root, &position).unwrap();
        assert_eq!(verifier.position(), Some(position));
    }
    let report = verifier.finish(&root);
    assert_eq!((report.size, report.faults.tampered), (15, vec![]));
}

#[test]
fn a_resumed_verifier_refuses_what_the_first_one_would() {
    let (_, log) = two_epochs();
    let root = root_of(&log, None);
    for place in 1..log.streams[0].batches.len() {
        let mut verifier = stream_verifier(&root, &log.streams[0]);
        log.streams[0].batches[..place].iter().for_each(|batch| _ = verifier.push(&root, batch).unwrap());
        let position = verifier.position().unwrap();
        let mut resumed = StreamVerifier::resume(&root, &position).unwrap();
        let again = &log.streams[0].batches[place - 1];
        let (expected, got) = (verifier.push(&root, again).unwrap_err(), resumed.push(&root, again).unwrap_err());
        assert_eq!((got.code, got.index), (expected.code, expected.index));
    }
}

#[test]
fn a_stored_position_is_believed_as_far_as_its_seal() {
    let (_, log) = two_epochs();
    let root = root_of(&log, None);
    let mut verifier = stream_verifier(&root, &log.streams[0]);
    verifier.push(&root, &log.streams[0].batches[0]).unwrap();
    let stored = verifier.position().unwrap().encode();
    for place in 0..stored.len() {
        let mut changed = stored.clone();
        changed[place] ^= 1;
        let resumed =
            Position::decode(&changed).and_then(|position| StreamVerifier::resume(&root, &position).map(|_| ()));
        // The byte that says whether the epoch closed stands for itself.
        assert_eq!(resumed.is_err(), place != 264, "byte {place}");
    }
    assert_eq!(Position::decode(&stored[..stored.len() - 1]), Err(ResumeError::Malformed));
    let elsewhere = RootVerifier::new(None).finish(None);
    let position = Position::decode(&stored).unwrap();
    assert_eq!(StreamVerifier::resume(&elsewhere, &position).err(), Some(ResumeError::UnknownEpoch));
}

#[test]
fn the_root_log_may_grow_while_a_stream_is_verified() {
    let (_, log) = two_epochs();
    let mut root = RootVerifier::new(None);
    log.leaves[..3].iter().for_each(|leaf| root.push(leaf).unwrap());
    let mut verifier = StreamVerifier::new(root.state(), log.streams[0].id, None);
    let (first, second) = log.streams[0].batches.split_at(4);
    first.iter().for_each(|batch| _ = verifier.push(root.state(), batch).unwrap());
    log.leaves[3..].iter().for_each(|leaf| root.push(leaf).unwrap());
    second.iter().for_each(|batch| _ = verifier.push(root.state(), batch).unwrap());
    assert_eq!(verifier.next_index(), 15);
}

#[test]
fn hashing_can_be_done_elsewhere_and_in_any_order() {
    let (_, log) = two_epochs();
    let root = root_of(&log, None);
    let hashed: Vec<_> = log.streams[0].batches.iter().rev().map(|batch| HashedBatch::parse(batch).unwrap()).collect();
    let mut verifier = stream_verifier(&root, &log.streams[0]);
    hashed.iter().rev().for_each(|batch| _ = verifier.push_hashed(&root, batch).unwrap());
    assert_eq!(verifier.finish(&root).faults.tampered, vec![]);
}

/// One fault is one fault: what follows is checked for signature and chain, and not accused.
#[test]
fn verification_goes_on_after_a_fault() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut Vec<Vec<u8>>), expected: Code, counts: (u64, u64)) {
        let (_, mut log) = two_epochs();
        change(&mut log.streams[0].batches);
        let report = verify(&log, None, 0);
        let codes: Vec<_> = report.faults.tampered.iter().map(|fault| fault.code).collect();
        assert_eq!(codes, [expected]);
        let counts_of = &report.streams[0].counts;
        assert_eq!((counts_of.batches, counts_of.unrooted), counts);
        assert_eq!(report.streams[0].size, 15);
    }
    check(|batches| batches[1][270] ^= 1, Code::RootMismatch, (6, 10));
    check(|batches| batches[1][120] ^= 1, Code::BadSignature, (6, 10));
    check(|batches| batches[1][0] ^= 1, Code::MalformedBatch, (6, 10));
    check(|batches| batches.insert(2, vec![7; 400]), Code::MalformedBatch, (7, 0));
    check(|batches| _ = batches.remove(1), Code::IndexGap, (5, 8));
    check(|batches| _ = batches.remove(0), Code::HeadMissing, (5, 10));
    check(|batches| _ = batches.remove(4), Code::WrongEpoch, (5, 2));
    check(|batches| batches.insert(2, batches[1].clone()), Code::RepeatedBatch, (7, 0));
}

/// The key of a closed epoch cannot put anything between it and the next.
#[test]
fn what_an_ended_epoch_seals_is_left_out() {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 2);
    world.seal_spans(s, 1);
    let zombie = world.streams[s].batches.pop().unwrap();
    let mut honest = World::new();
    let s = honest.open_stream(1);
    honest.open_epoch(s, Start::First);
    honest.seal_spans(s, 2);
    honest.close_epoch_uncleanly(s);
    honest.open_epoch(s, Start::AfterUncleanStop);
    honest.seal_spans(s, 2);
    let mut log = honest.log();
    log.streams[0].batches.insert(1, zombie);
    let report = verify(&log, None, 0);
    let codes: Vec<_> = report.faults.tampered.iter().map(|fault| fault.code).collect();
    assert_eq!((codes, report.streams[0].size), (vec![Code::SealAfterClose], 6));
    assert_eq!(report.streams[0].counts.unrooted, 0);
}

#[test]
fn a_root_log_with_other_keys_does_not_vouch_for_pins() {
    let case = corpus::base();
    let labels = ["a", "b", "c", "d"].map(String::from);
    let log = World::named(corpus::world::NAME, labels).log();
    let report = verify(&log, case.trust.as_ref(), case.now);
    let codes: Vec<_> = report.faults.tampered.iter().map(|fault| fault.code).collect();
    // The pin itself is verified, by the trusted keys, and the log is shorter than it.
    assert_eq!(codes, [Code::UnknownKey, Code::Truncated, Code::StreamMissing]);
}

#[test]
fn a_segment_header_restores_the_tree_when_the_next_signed_root_bears_it_out() {
    let (_, log) = two_epochs();
    let root = root_of(&log, None);
    let frontier_at = |batches: usize| {
        let mut verifier = stream_verifier(&root, &log.streams[0]);
        log.streams[0].batches[..batches].iter().for_each(|batch| _ = verifier.push(&root, batch).unwrap());
        let head = verifier.position().unwrap().head();
        (head.frontier, head.seal_hash)
    };
    let after_a_fault = |segment: Option<(Frontier, [u8; 32])>| {
        let mut verifier = stream_verifier(&root, &log.streams[0]);
        for (place, batch) in log.streams[0].batches.iter().enumerate() {
            let mut batch = batch.clone();
            if place == 1 {
                batch[270] ^= 1;
            }
            if let (3, Some((frontier, seal_hash))) = (place, &segment) {
                verifier.segment(frontier.clone(), seal_hash).unwrap();
            }
            let _ = verifier.push(&root, &batch);
        }
        verifier.finish(&root).counts.unrooted
    };
    assert_eq!(after_a_fault(None), 10);
    assert_eq!(after_a_fault(Some(frontier_at(3))), 2);
    let (honest, seal_hash) = frontier_at(3);
    let forged = Frontier::from_parts(honest.size(), vec![[7; 32]; honest.hashes().len()]).unwrap();
    assert_eq!(after_a_fault(Some((forged, seal_hash))), 10);
}

/// Unsigned bytes cannot make up for a batch: the tree is known again, and the pin's root is its root.
#[test]
fn a_segment_header_makes_nothing_complete() {
    let (world, log) = two_epochs();
    let trust = world.trust(&world.pins());
    let root = root_of(&log, Some(&trust));
    let complete = |damaged: bool| {
        let mut honest = stream_verifier(&root, &log.streams[0]);
        let mut verifier = stream_verifier(&root, &log.streams[0]);
        for (place, batch) in log.streams[0].batches.iter().enumerate() {
            if place == 3 {
                let head = honest.position().unwrap().head();
                verifier.segment(head.frontier, &head.seal_hash).unwrap();
            }
            honest.push(&root, batch).unwrap();
            match place {
                1 if damaged => verifier.damaged(Detail::Nothing),
                _ => _ = verifier.push(&root, batch).unwrap(),
            }
        }
        let freshness = Freshness { now_seconds: world.seconds(), max_age_seconds: 60 };
        let report = Report::new(&root, vec![verifier.finish(&root)], freshness);
        assert_eq!(report.exit_code(), u8::from(damaged));
        report.complete(&log.streams[0].id).map(|complete| complete.size)
    };
    assert_eq!((complete(false), complete(true)), (Some(15), None));
}

#[test]
fn the_root_logs_segment_headers_must_agree_with_its_leaves() {
    #[track_caller]
    fn check(change: impl Fn(&mut Frontier, &mut [u8; 32]), expected: &[Code]) {
        let (_, log) = two_epochs();
        let (mut root, mut frontier, mut seal_hash) = (RootVerifier::new(None), Frontier::new(), [0; 32]);
        for leaf in &log.leaves[..2] {
            root.push(leaf).unwrap();
            frontier.push(spanseal_ledger::leaf::leaf_hash(leaf));
        }
        change(&mut frontier, &mut seal_hash);
        root.segment(&frontier, &seal_hash);
        let faults = &root.state().faults().tampered;
        assert_eq!(faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), expected);
        assert!(faults.iter().all(|fault| fault.index == Some(2)));
    }
    check(|_, _| (), &[]);
    check(|_, seal_hash| seal_hash[0] = 1, &[Code::Damaged]);
    check(|frontier, _| *frontier = Frontier::from_parts(2, vec![[7; 32]]).unwrap(), &[Code::Damaged]);
}

#[test]
fn a_segment_header_must_agree_with_the_stream_before_it() {
    let (_, log) = two_epochs();
    let root = root_of(&log, None);
    let mut verifier = stream_verifier(&root, &log.streams[0]);
    verifier.segment(Frontier::new(), &[0; 32]).unwrap();
    verifier.push(&root, &log.streams[0].batches[0]).unwrap();
    let head = verifier.position().unwrap().head();
    verifier.segment(head.frontier.clone(), &head.seal_hash).unwrap();
    assert_eq!(verifier.segment(head.frontier.clone(), &[7; 32]).unwrap_err().code, Code::Damaged);
    let beyond = Frontier::from_parts(8, vec![[7; 32]]).unwrap();
    let gap = verifier.segment(beyond.clone(), &[7; 32]).unwrap_err();
    assert_eq!((gap.code, gap.index), (Code::IndexGap, Some(3)));
    let mut empty = stream_verifier(&root, &log.streams[0]);
    assert_eq!(empty.segment(beyond, &[7; 32]).unwrap_err().code, Code::HeadMissing);
    let mut behind = stream_verifier(&root, &log.streams[0]);
    log.streams[0].batches[..2].iter().for_each(|batch| _ = behind.push(&root, batch).unwrap());
    assert_eq!(behind.segment(head.frontier, &head.seal_hash).unwrap_err().code, Code::Damaged);
}

#[test]
fn nothing_checked_is_never_ok() {
    let case = corpus::base();
    let report = verify(&Log::default(), None, case.now);
    assert_eq!(report.exit_code(), 2);
    let report = verify(&Log::default(), case.trust.as_ref(), case.now);
    assert_eq!(report.exit_code(), 1);
    let mut keys_only = case.trust.clone().unwrap();
    (keys_only.root_pin, keys_only.pins) = (None, [].into());
    assert_eq!(verify(&Log::default(), Some(&keys_only), case.now).exit_code(), 2);
    assert_eq!(verify(&case.log, Some(&keys_only), case.now).named().unwrap().code, Code::PinEmpty);
}

#[test]
fn a_root_log_fault_is_named_before_a_streams() {
    let mut case = corpus::base();
    case.log.leaves[3][20] ^= 1;
    case.log.streams[0].batches[1][270] ^= 1;
    let report = verify(&case.log, case.trust.as_ref(), case.now);
    assert_eq!(report.named().unwrap().code, Code::BadSignature);
    assert!(report.faults.tampered.iter().any(|fault| fault.code == Code::RootMismatch));
}

#[test]
fn faults_are_counted_when_there_are_too_many_to_list() {
    let mut case = corpus::base();
    case.log.streams[0].batches = vec![vec![7; 300]; 1_000];
    let report = verify(&case.log, case.trust.as_ref(), case.now);
    assert_eq!(report.faults.tampered.len(), spanseal_ledger::verify::FAULTS_MAX);
    assert!(report.faults.unlisted >= 900);
}

#[test]
fn faults_read_as_sentences() {
    let mut case = corpus::base();
    case.log.streams[0].batches.remove(1);
    let report = verify(&case.log, case.trust.as_ref(), case.now);
    let stream = StreamId([1; 16]);
    assert_eq!(report.named().unwrap().to_string(), format!("index_gap at {stream}-4: the first index is 6, not 4"));
}

/// A closed epoch's history does not make the next one's batches repetitions.
#[test]
fn epochs_keep_their_own_history() {
    let (mut world, _) = two_epochs();
    world.seal(0, &[span(1), span(1)]);
    let log = world.log();
    assert_eq!(verify(&log, None, 0).faults.tampered, vec![]);
}
