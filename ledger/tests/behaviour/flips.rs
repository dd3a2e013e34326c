//! Any one bit, and any change of order, is noticed.

use proptest::prelude::*;
use spanseal_ledger::trust::Trust;

use super::run::verify;
use crate::corpus;
use crate::corpus::world::Log;

/// The base log, pinned at its end.
fn pinned_at_the_end() -> (Log, Trust, u64) {
    let case = corpus::base();
    let trust = case.world.trust(&case.world.pins());
    (case.log, trust, case.now)
}

/// Every byte string that a log consists of.
fn parts(log: &mut Log) -> Vec<(String, &mut Vec<u8>)> {
    let leaves = log.leaves.iter_mut().enumerate().map(|(place, leaf)| (format!("root leaf {place}"), leaf));
    let batches = log.streams.iter_mut().flat_map(|stream| &mut stream.batches).enumerate();
    leaves.chain(batches.map(|(place, batch)| (format!("batch {place}"), batch))).collect()
}

#[track_caller]
fn check_noticed(log: &Log, trust: &Trust, now: u64, what: &str) {
    let report = verify(log, Some(trust), now);
    assert_eq!(report.exit_code(), 1, "{what} gave {:?}", report.named());
}

#[test]
fn the_log_itself_holds() {
    let (log, trust, now) = pinned_at_the_end();
    let report = verify(&log, Some(&trust), now);
    assert_eq!((report.exit_code(), report.named()), (0, None));
    assert_eq!(report.complete(&log.streams[0].id).unwrap().size, 10);
}

/// One bit of every byte; the property below covers the other bits.
#[test]
fn a_bit_flipped_in_any_byte_is_tampering() {
    let (log, trust, now) = pinned_at_the_end();
    let lengths: Vec<usize> = parts(&mut log.clone()).iter().map(|(_, bytes)| bytes.len()).collect();
    for (part, length) in lengths.into_iter().enumerate() {
        for place in 0..length {
            let mut flipped = log.clone();
            let (name, bytes) = parts(&mut flipped).into_iter().nth(part).unwrap();
            bytes[place] ^= 1 << (place % 8);
            check_noticed(&flipped, &trust, now, &format!("byte {place} of {name}"));
        }
    }
}

#[test]
fn a_bit_flipped_in_any_byte_of_a_note_is_tampering() {
    let (log, trust, now) = pinned_at_the_end();
    let root = super::run::root_of(&log, Some(&trust));
    for stream in [false, true] {
        let note = if stream { log.streams[0].note.clone() } else { log.note.clone() };
        let note = note.unwrap().into_bytes();
        for bit in 0..note.len() * 8 {
            let mut flipped = note.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let tampered = if stream {
                let verifier = spanseal_ledger::verify::StreamVerifier::new(&root, log.streams[0].id, Some(&flipped));
                verifier.finish(&root).checkpoint.is_none()
            } else {
                let mut verifier = spanseal_ledger::verify::RootVerifier::new(Some(trust.clone()));
                log.leaves.iter().for_each(|leaf| verifier.push(leaf).unwrap());
                verifier.finish(Some(&flipped)).faults().tampered.len() == 1
            };
            assert!(tampered, "bit {bit} of the {} note, at {now}", if stream { "stream's" } else { "root log's" });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bit_flipped_is_tampering(part in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (mut log, trust, now) = pinned_at_the_end();
        {
            let mut parts = parts(&mut log);
            let part = part.index(parts.len());
            let bytes = &mut parts[part].1;
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
        }
        prop_assert_eq!(verify(&log, Some(&trust), now).exit_code(), 1);
    }

    /// Batches and root leaves dropped, doubled and moved: only the log itself holds. (What is added behind the root log's
    /// checkpoint is judged by itself: there, a stream-checkpoint leaf may stand again.)
    #[test]
    fn any_other_order_is_tampering(
        changes in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4), 1..4),
    ) {
        let (honest, trust, now) = pinned_at_the_end();
        let mut log = honest.clone();
        for (root, one, other, what) in changes {
            let list = if root { &mut log.leaves } else { &mut log.streams[0].batches };
            if list.is_empty() {
                continue;
            }
            let (one, other) = (one.index(list.len()), other.index(list.len()));
            match what {
                0 => _ = list.remove(one),
                1 => list.insert(other, list[one].clone()),
                2 => list.swap(one, other),
                _ => list.truncate(one),
            }
        }
        let same = log.leaves == honest.leaves && log.streams[0].batches == honest.streams[0].batches;
        let longer = log.leaves.starts_with(&honest.leaves) && log.streams[0].batches == honest.streams[0].batches;
        prop_assume!(same || !longer);
        prop_assert_eq!(verify(&log, Some(&trust), now).exit_code(), u8::from(!same));
    }

    /// Bytes that were never a log are answered, not panicked over, and never hold.
    #[test]
    fn arbitrary_logs_never_hold(
        leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
        batches in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..4),
        note in prop::option::of("\\PC{0,100}"), trusted: bool,
    ) {
        let (mut log, trust, now) = pinned_at_the_end();
        log.leaves = leaves;
        log.streams[0].batches = batches;
        log.note = note.clone();
        log.streams[0].note = note;
        let report = verify(&log, trusted.then_some(&trust), now);
        prop_assert!(report.exit_code() > 0);
    }
}
