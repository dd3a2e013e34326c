//! Attackers who can write the disk and hold no key.

use spanseal_ledger::StreamId;
use spanseal_ledger::epoch::Start;

use super::anchors::{clean_restart, two_streams};
use super::case::{Case, S, T};
use super::forge::Forged;
use super::vector::{Expect, Vector};
use super::world::{LogStream, World, key, span};

pub fn vectors() -> Vec<Vector> {
    [bits(), events(), batches(), ends(), root_log()].into_iter().flatten().collect()
}

/// Where the seal of a batch ends and its first event's length stands.
const ENTRIES: usize = 264;

fn bits() -> Vec<Vector> {
    let flip = |place: usize| Case::base().edit_batch(2, |batch| batch[place] ^= 1);
    vec![
        flip(ENTRIES + 8).vector(
            "event_bit_flipped",
            "One bit of event 6 is flipped on disk: the events do not hash to the sealed root.",
            Expect::stream("root_mismatch", S, 6).complete_to(6),
        ),
        Case::base().edit_batch(2, |batch| batch[ENTRIES + 2] ^= 0x80).vector(
            "event_kind_flipped",
            "The kind byte of event 6 is flipped to an unknown one: that its content cannot be checked hides nothing.",
            Expect::stream("root_mismatch", S, 6).complete_to(6),
        ),
        flip(125).vector(
            "seal_bit_flipped",
            "One bit of a seal's wall time is flipped on disk: its signature fails.",
            Expect::stream("bad_signature", S, 6).complete_to(6),
        ),
        flip(230).vector(
            "signature_bit_flipped",
            "One bit of a seal's signature is flipped on disk.",
            Expect::stream("bad_signature", S, 6).complete_to(6),
        ),
        Case::base().edit_batch(2, |batch| batch[15] = b'2').vector(
            "seal_version_raised",
            "The version in a seal's magic is raised on disk, so that a verifier would call it too new to check: the root \
             leaf that opens the epoch says which version its seals have.",
            Expect::stream("malformed_batch", S, 6).complete_to(6),
        ),
        Case::base()
            .edit(|log| {
                let mut leaf = log.leaves[4].clone();
                leaf[15] = b'2';
                log.leaves.push(leaf);
            })
            .edit_batch(2, |batch| batch[15] = b'2')
            .vector(
                "seal_version_raised_with_a_leaf",
                "As before, with a root leaf of that version put behind the root log's checkpoint to vouch for it: nothing \
                 signed covers that leaf.",
                Expect::stream("malformed_batch", S, 6).complete_to(6),
            ),
        flip(38).vector(
            "seal_reserved_bytes_set",
            "A seal's reserved bytes are not zero.",
            Expect::stream("malformed_batch", S, 6).complete_to(6),
        ),
        flip(ENTRIES + 1).vector(
            "event_length_changed",
            "The length before event 6 is changed on disk: the batch does not parse.",
            Expect::stream("malformed_batch", S, 6).complete_to(6),
        ),
        Case::base().edit(|log| log.streams[0].damaged_at = Some(1)).vector(
            "record_damaged_below_the_pin",
            "The record with events 4 and 5 cannot be read: what follows is signed, and the stream is not complete to its pin.",
            Expect::stream("damaged", S, 4),
        ),
        Case::base().edit(|log| log.streams[0].damaged_at = Some(2)).vector(
            "record_damaged",
            "The record with events 6 to 8 cannot be read, in the middle of the log.",
            Expect::stream("damaged", S, 6).complete_to(6),
        ),
    ]
    .into_iter()
    .map(without_damaged_batch)
    .collect()
}

/// A record that cannot be read gives no batch.
fn without_damaged_batch(mut vector: Vector) -> Vector {
    if let super::vector::Input::Log(input) = &mut vector.input
        && let Some(place) = input.log.streams[0].damaged_at
    {
        input.log.streams[0].batches.remove(place);
    }
    vector
}

fn events() -> Vec<Vector> {
    vec![
        Case::base().forge_batch(2, |batch| _ = batch.events.remove(1)).vector(
            "event_dropped",
            "Event 7 is cut out of its batch.",
            Expect::stream("malformed_batch", S, 6).complete_to(6),
        ),
        Case::base()
            .forge_batch(2, |batch| {
                batch.events.remove(1);
                batch.seal.count = 2;
            })
            .vector(
                "event_dropped_count_changed",
                "Event 7 is cut out of its batch, and the seal's count and size are changed to fit: its signature fails.",
                Expect::stream("bad_signature", S, 6).complete_to(6),
            ),
        Case::base().forge_batch(2, |batch| batch.events.swap(0, 2)).vector(
            "events_swapped",
            "Events 6 and 8 change places.",
            Expect::stream("root_mismatch", S, 6).complete_to(6),
        ),
        Case::base().forge_batch(2, |batch| batch.events.push(batch.events[2].clone())).vector(
            "event_duplicated",
            "Event 8 stands twice in its batch.",
            Expect::stream("malformed_batch", S, 6).complete_to(6),
        ),
        Case::base()
            .forge_batch(2, |batch| {
                batch.events.insert(1, span(1_000));
                batch.seal.count = 4;
            })
            .vector(
                "event_inserted",
                "A forged event is put behind event 6, and the seal's count and size are changed to fit.",
                Expect::stream("bad_signature", S, 6).complete_to(6),
            ),
        Case::base().forge_batch(2, |batch| batch.events[1] = span(1_000)).vector(
            "event_replaced",
            "Event 7 is replaced by another of about the same length.",
            Expect::stream("root_mismatch", S, 6).complete_to(6),
        ),
    ]
}

fn batches() -> Vec<Vector> {
    vec![
        Case::base().forge(|batches| _ = batches.remove(1)).vector(
            "batch_dropped",
            "The batch with events 4 and 5 is cut out.",
            Expect::stream("index_gap", S, 4),
        ),
        Case::base().forge(|batches| batches.swap(1, 2)).vector(
            "batches_swapped",
            "Two batches change places: the later one leaves a gap.",
            Expect::stream("index_gap", S, 4),
        ),
        Case::base().forge(|batches| batches.insert(2, batches[1].clone())).vector(
            "batch_duplicated",
            "The batch with events 4 and 5 stands twice.",
            Expect::stream("repeated_batch", S, 4).complete_to(6),
        ),
        Case::base().forge(|batches| batches.insert(2, batches[0].clone())).vector(
            "opening_batch_duplicated",
            "The batch with the opening of the epoch in force stands again: that it is the same batch says all there is to say.",
            Expect::stream("repeated_batch", S, 0).complete_to(6),
        ),
        Case::base()
            .forge(|batches| {
                let mut changed = batches[0].clone();
                changed.seal.wall += 1;
                batches.insert(2, changed);
            })
            .vector(
                "opening_batch_changed_and_again",
                "The batch with the opening of the epoch in force stands again, its wall time changed on disk: nobody sealed that.",
                Expect::stream("bad_signature", S, 0).complete_to(6),
            ),
        Case::base().forge(|batches| batches.push(appended(&batches[3]))).vector(
            "batch_appended",
            "A batch by a key that nothing registers stands behind the last one.",
            Expect::stream("bad_signature", S, 10).complete_to(6),
        ),
        two_streams()
            .edit(|log| {
                let batch = log.streams[1].batches[0].clone();
                log.streams[0].batches.push(batch);
            })
            .vector(
                "batch_of_another_stream",
                "A batch of another stream of the same deployment is appended.",
                Expect::stream("wrong_stream", S, 0).complete_to(5),
            ),
        Case::base().forge_batch(2, |batch| batch.sign(&key("epoch 1 in another deployment"))).vector(
            "batch_of_another_deployment",
            "A batch from the stream of the same name in another deployment: its epoch's key is another.",
            Expect::stream("bad_signature", S, 6).complete_to(6),
        ),
        clean_restart()
            .edit(|log| {
                let batch = log.streams[0].batches[1].clone();
                log.streams[0].batches.insert(4, batch);
            })
            .vector(
                "batch_of_an_earlier_epoch",
                "A batch of epoch 1 is put between batches of epoch 2.",
                Expect::stream("wrong_epoch", S, 4).complete_to(9),
            ),
    ]
}

/// A well-made batch behind `last`, by a key of the attacker's.
fn appended(last: &Forged) -> Forged {
    let mut batch = last.clone();
    batch.events = vec![span(10)];
    batch.seal.first = last.seal.size();
    batch.seal.count = 1;
    batch.seal.previous = last.hash();
    batch.sign(&key("the attacker's"));
    batch
}

fn ends() -> Vec<Vector> {
    let cut = |batches: usize| Case::base().forge(|all| all.truncate(batches));
    vec![
        cut(3).edit(|log| log.streams[0].torn_bytes = 150).vector(
            "tail_cut_inside_a_batch",
            "The log is cut inside its last batch: what is left looks like an interrupted write, but a checkpoint covers it.",
            Expect::stream("truncated", S, 9).complete_to(6),
        ),
        cut(3).vector(
            "tail_cut_at_a_batch_edge",
            "The last batch is cut off: every seal that is left holds.",
            Expect::stream("truncated", S, 9).complete_to(6),
        ),
        cut(1).vector(
            "tail_cut_before_the_pin",
            "All but the first batch is cut off.",
            Expect::stream("truncated", S, 4),
        ),
        clean_restart().forge(|batches| batches.truncate(3)).vector(
            "tail_cut_at_an_epoch_edge",
            "All of epoch 2 is cut off: epoch 1 ends with its closing event, as a clean stop does.",
            Expect::stream("truncated", S, 6),
        ),
        old_checkpoint_and_tail_cut().vector(
            "tail_cut_with_an_old_checkpoint",
            "The last two batches are cut off and the stream's checkpoint of that time is put back: a root leaf remembers.",
            Expect::stream("truncated", S, 6).complete_to(6),
        ),
        Case::base().forge(|batches| _ = batches.remove(0)).vector(
            "head_cut",
            "The first batch is cut off.",
            Expect::stream("head_missing", S, 0),
        ),
        clean_restart().forge(|batches| _ = batches.drain(..3)).vector(
            "head_cut_at_an_epoch_edge",
            "All of epoch 1 is cut off: epoch 2 begins with its opening, as a stream does.",
            Expect::stream("head_missing", S, 0),
        ),
        clean_restart().forge(|batches| _ = batches.remove(3)).vector(
            "opening_cut_out",
            "The batch with the opening of epoch 2 is cut out.",
            Expect::stream("wrong_epoch", S, 8),
        ),
        three_epochs().forge(|batches| _ = batches.remove(1)).vector(
            "epoch_cut_out",
            "All of epoch 2 is cut out: the opening of epoch 3 stands behind epoch 1.",
            Expect::stream("wrong_epoch", S, 6),
        ),
        two_streams().edit(|log| _ = log.streams.remove(0)).vector(
            "stream_deleted",
            "A whole stream is deleted: the root log names it.",
            Expect::stream("stream_missing", S, None).complete_to(3),
        ),
        stream_added().vector(
            "stream_added",
            "A copy of a stream stands under a name that the root log never opened.",
            Expect::stream("stream_unknown", StreamId([9; 16]), None).complete_to(6),
        ),
    ]
}

/// Events 0 to 3, 4 and 5, 6 and 7: one batch an epoch, with unclean stops between them.
fn three_epochs() -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    for _ in 0..2 {
        world.close_epoch_uncleanly(s);
        world.open_epoch(s, Start::AfterUncleanStop);
        world.seal_spans(s, 1);
    }
    Case::pinned_now(world)
}

fn old_checkpoint_and_tail_cut() -> Case {
    let case = Case::base().forge(|batches| batches.truncate(2));
    let pin = case.trust.as_ref().and_then(|trust| trust.pins.get(&S)).cloned();
    case.edit(|log| log.streams[0].note = pin)
}

fn stream_added() -> Case {
    Case::base().edit(|log| {
        let copy = LogStream { id: StreamId([9; 16]), ..log.streams[0].clone() };
        log.streams.push(copy);
    })
}

fn root_log() -> Vec<Vector> {
    vec![
        Case::base().edit(|log| log.leaves[3][20] ^= 1).vector(
            "root_leaf_bit_flipped",
            "One bit of a root leaf's time is flipped on disk: its signature fails.",
            Expect::root("bad_signature", 3).complete_to(6),
        ),
        Case::base().edit(|log| _ = log.leaves[3].pop()).vector(
            "root_leaf_cut_short",
            "The last byte of a root leaf is cut off.",
            Expect::root("malformed_root_leaf", 3).complete_to(6),
        ),
        Case::base().edit(|log| _ = log.leaves.remove(3)).vector(
            "root_leaf_dropped",
            "A stream-checkpoint leaf is cut out: every leaf that is left holds, and the root log is shorter than its checkpoint.",
            Expect::root("truncated", 4).complete_to(6),
        ),
        Case::base().edit(|log| log.leaves.swap(3, 4)).vector(
            "root_leaves_swapped",
            "Two stream-checkpoint leaves change places: the later size comes first.",
            Expect::root("root_rule", 4).complete_to(6),
        ),
        Case::base().edit(|log| _ = log.leaves.pop()).vector(
            "root_log_cut",
            "The last root leaf is cut off.",
            Expect::root("truncated", 4).complete_to(6),
        ),
        Case::base().edit(|log| _ = log.leaves.remove(0)).vector(
            "genesis_cut_off",
            "The genesis leaf is cut off.",
            Expect::root("root_rule", 0),
        ),
        Case::base().edit(|log| log.leaves[3][15] = b'2').vector(
            "root_leaf_version_raised",
            "The version of a root leaf is raised on disk, so that a verifier would call it too new to check: the leaves do \
             not hash to the checkpoint's root.",
            Expect::root("checkpoint_mismatch", 5).complete_to(6),
        ),
        Case::base().edit(|log| log.leaves[2][ALGORITHM_OF_EPOCH_KEY] = 2).vector(
            "algorithm_byte_changed",
            "The algorithm byte of an epoch's key is changed in its root leaf on disk: the leaves do not hash to the \
             checkpoint's root.",
            Expect::root("checkpoint_mismatch", 5),
        ),
        two_streams().edit(|log| log.streams[1].note = log.streams[0].note.clone()).vector(
            "checkpoint_of_another_stream",
            "The checkpoint of another stream is put in place of a stream's own.",
            Expect::stream("checkpoint_refused", T, None).complete_to(5),
        ),
    ]
}

/// Offset in an epoch-open leaf: magic, op, time, stream, epoch, start, first index, root, seal hash.
const ALGORITHM_OF_EPOCH_KEY: usize = 16 + 1 + 8 + 16 + 4 + 1 + 8 + 32 + 32;
