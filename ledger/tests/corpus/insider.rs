//! Attackers, or faulty writers, who hold the current epoch's key and none of the deployment's.

use sha2::{Digest, Sha256};
use spanseal_ledger::epoch::Start;
use spanseal_ledger::key::Signer;
use spanseal_ledger::key_event::{CloseReason, Closing};
use spanseal_ledger::kind;
use spanseal_ledger::root_leaf::ClosedBy;

use super::anchors::{clean_restart, unclean_stop};
use super::case::{Case, S};
use super::forge::{Forged, reseal};
use super::scalar::{plus_l, sign_with_small_order_r};
use super::vector::{Expect, Vector};
use super::world::{World, epoch_key, epoch_label, gap, key, span};

pub fn vectors() -> Vec<Vector> {
    [history(), seals(), signatures(), times_and_counters(), closings(), own_events()].into_iter().flatten().collect()
}

/// Changes the seal of the batch with events 6 to 8, and signs it with the epoch's key.
fn resealed(change: impl FnOnce(&mut Forged)) -> Case {
    Case::base().forge_batch(2, |batch| {
        change(batch);
        batch.sign_as_epoch();
    })
}

fn history() -> Vec<Vector> {
    vec![
        Case::base()
            .forge(|batches| {
                batches[2].events[1] = span(1_000);
                reseal(batches, 2);
            })
            .vector(
                "suffix_rewritten",
                "Event 7 and all after it are rewritten and signed again with the current epoch's key: the stream's \
                 checkpoint and its root leaf, by another key, remember.",
                Expect::stream("checkpoint_mismatch", S, 10).complete_to(6),
            ),
        suffix_rewritten_with_checkpoint_key().vector(
            "suffix_rewritten_with_the_checkpoint_key",
            "Event 7 and all after it are rewritten with the current epoch's key, and the checkpoint and cosign keys sign a \
             new checkpoint: the root leaf remembers.",
            Expect::stream("checkpoint_mismatch", S, 10).complete_to(6),
        ),
        Case::base()
            .forge(|batches| {
                let mut other = batches[2].clone();
                other.events[0] = span(1_000);
                let mut history = vec![batches[0].clone(), batches[1].clone(), other];
                reseal(&mut history, 2);
                batches.insert(3, history.remove(2));
            })
            .vector(
                "fork",
                "Two batches with first index 6, both signed with the epoch's key: a writer that was set back, or its copy.",
                Expect::stream("fork", S, 6).complete_to(6),
            ),
        Case::base()
            .forge(|batches| {
                batches.remove(1);
                reseal(batches, 1);
            })
            .vector(
                "batch_dropped_and_resealed",
                "Events 4 and 5 are cut out, and what follows is renumbered and signed again with the epoch's key: root leaf, \
                 pin and checkpoint remember.",
                Expect::stream("checkpoint_mismatch", S, 6),
            ),
        Case::base()
            .forge(|batches| {
                batches.truncate(3);
                reseal(batches, 3);
            })
            .vector(
                "tail_dropped_with_the_epoch_key",
                "The last batch is left out. The epoch's key cannot help: the checkpoint remembers.",
                Expect::stream("truncated", S, 9).complete_to(6),
            ),
    ]
}

fn suffix_rewritten_with_checkpoint_key() -> Case {
    let mut case = Case::base().forge(|batches| {
        batches[2].events[1] = span(1_000);
        reseal(batches, 2);
    });
    let root = super::forge::tree_of(&case.stream().batches).root();
    let origin = case.world.name.stream_origin(&S);
    case.stream().note = Some(case.world.note_of(origin, 10, root));
    case
}

fn seals() -> Vec<Vector> {
    vec![
        resealed(|batch| batch.seal.previous = [7; 32]).vector(
            "link_broken",
            "A seal signed with the epoch's key names another seal before it than stands there.",
            Expect::stream("broken_link", S, 6).complete_to(6),
        ),
        resealed(|batch| batch.seal.root = [7; 32]).vector(
            "wrong_root_signed",
            "A seal signed with the epoch's key gives a root to which the events do not hash.",
            Expect::stream("root_mismatch", S, 6).complete_to(6),
        ),
        resealed(|batch| batch.seal.epoch = 2).vector(
            "epoch_jumped",
            "A seal names an epoch that was never opened.",
            Expect::stream("wrong_epoch", S, 6).complete_to(6),
        ),
        crossing_batch().vector(
            "batch_crosses_run",
            "A batch with events 250 to 259, signed with the epoch's key.",
            Expect::stream("batch_crosses_run", S, 250).complete_to(260),
        ),
        resealed(|batch| batch.seal.count = 257).vector(
            "count_over_256",
            "A seal, signed with the epoch's key, counts 257 events.",
            Expect::stream("malformed_batch", S, 6).complete_to(6),
        ),
    ]
}

fn crossing_batch() -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 249);
    world.seal_spans(s, 6);
    world.seal_spans(s, 4);
    let mut case = Case::pinned_now(world).forge(|batches| {
        let late = batches.remove(2);
        batches[1].events.extend(late.events);
        reseal(batches, 1);
    });
    case.stream().torn_bytes = 0;
    case
}

fn signatures() -> Vec<Vector> {
    vec![
        Case::base().forge_batch(2, |batch| batch.signature = plus_l(&batch.signature)).vector(
            "signature_with_s_plus_l",
            "A seal's signature is replaced by its twin with s + L, which needs no key: RFC 8032 refuses it, and so the seal's \
             hash stays the only one.",
            Expect::stream("bad_signature", S, 6).complete_to(6),
        ),
        Case::base()
            .forge_batch(2, |batch| {
                let label = format!("spanseal test key: {}", epoch_label(S, 1));
                let public = *key(&epoch_label(S, 1)).public().as_bytes();
                let seed = Sha256::digest(label).into();
                batch.signature = sign_with_small_order_r(&seed, &public, &batch.seal.signed_bytes());
            })
            .vector(
                "signature_with_small_order_r",
                "The epoch's key signs with the neutral point for R, which satisfies the equation of RFC 8032: only strict \
                 verification refuses it.",
                Expect::stream("bad_signature", S, 6).complete_to(6),
            ),
        Case::base().forge_batch(2, |batch| batch.sign(&key("the attacker's"))).vector(
            "sealed_by_an_unregistered_key",
            "A batch is signed again by a key that nothing registers.",
            Expect::stream("bad_signature", S, 6).complete_to(6),
        ),
    ]
}

fn times_and_counters() -> Vec<Vector> {
    vec![
        resealed(|batch| batch.seal.wall -= 10_000_000_000).vector(
            "wall_time_backwards",
            "A seal's wall time is ten seconds below the one before, in order to date it back.",
            Expect::stream("wall_time_backwards", S, 6).complete_to(6),
        ),
        resealed(|batch| batch.seal.monotonic = 1).vector(
            "monotonic_time_backwards",
            "A seal's monotonic time is below the one before.",
            Expect::stream("monotonic_backwards", S, 6).complete_to(6),
        ),
        resealed(|batch| batch.seal.counters.received += 1).vector(
            "counters_do_not_add_up",
            "One span more was received than is accounted for: a loss that no counter names.",
            Expect::stream("counters", S, 6).complete_to(6),
        ),
        resealed(|batch| {
            batch.seal.counters.sealed += 1;
            batch.seal.counters.received += 1;
        })
        .vector(
            "counter_of_sealed_spans_wrong",
            "The seal counts four span events where its batch has three.",
            Expect::stream("counters", S, 6).complete_to(6),
        ),
        resealed(|batch| {
            batch.seal.counters.duplicate -= 1;
            batch.seal.counters.received -= 1;
        })
        .vector(
            "counter_falls",
            "The number of duplicates falls within the epoch.",
            Expect::stream("counters", S, 6).complete_to(6),
        ),
    ]
}

fn closings() -> Vec<Vector> {
    vec![
        clean_restart()
            .forge(|batches| {
                batches.truncate(3);
                let mut late = batches[2].clone();
                late.events = vec![span(6)];
                batches.push(late);
                reseal(batches, 3);
            })
            .vector(
                "sealed_after_the_closing",
                "The key of epoch 1, which should have been wiped, seals a batch behind the epoch's closing event.",
                Expect::stream("seal_after_close", S, 6),
            ),
        unclean_stop()
            .forge(|batches| {
                batches.truncate(1);
                let mut late = batches[0].clone();
                late.events = vec![span(4)];
                batches.push(late);
                reseal(batches, 1);
            })
            .vector(
                "sealed_after_the_close_leaf",
                "A copy of the dead writer, its key still in memory, seals on after the identity key has closed its epoch.",
                Expect::stream("seal_after_close", S, 4),
            ),
        Case::base()
            .forge(|batches| {
                batches[2].events[1] = closing(7).encode().to_vec();
                reseal(batches, 2);
            })
            .vector(
                "closing_in_the_middle",
                "A closing event stands in the middle of a batch.",
                Expect::stream("event_misplaced", S, 7).complete_to(6),
            ),
        Case::base()
            .forge(|batches| {
                batches[2].events[0] = batches[0].events[0].clone();
                reseal(batches, 2);
            })
            .vector(
                "opening_in_the_middle",
                "The epoch's opening event stands a second time, at the start of a later batch.",
                Expect::stream("event_misplaced", S, 6).complete_to(6),
            ),
        Case::base()
            .forge(|batches| {
                batches[2].events[2] = closing(9).encode().to_vec();
                reseal(batches, 2);
            })
            .vector(
                "closing_with_a_wrong_index",
                "A closing event names another index than its own.",
                Expect::stream("malformed_key_event", S, 8).complete_to(6),
            ),
    ]
}

fn closing(index: u64) -> Closing {
    Closing { reason: CloseReason::Shutdown, stream: S, epoch: 1, index, wall: 0 }
}

/// Events that the ledger itself reads, sealed by an honest writer.
fn own_events() -> Vec<Vector> {
    let sealed = |event: &dyn Fn(&World) -> Vec<u8>| {
        let mut world = World::new();
        let s = world.open_stream(1);
        world.open_epoch(s, Start::First);
        world.seal_spans(s, 3);
        let event = event(&world);
        let mut case = {
            // A writer of another version writes what ours refuses to.
            world.seal(s, &[span(4), span(5)]);
            Case::pinned_now(world)
        };
        case = case.forge(|batches| {
            batches[1].events[1] = event;
            reseal(batches, 1);
        });
        with_honest_notes(case)
    };
    vec![
        sealed(&|_| vec![10, 1, 2, 3]).vector(
            "unknown_event_kind",
            "An event of a kind that this version does not know: it hashes, and its content cannot be checked.",
            Expect { stream: Some(S), index: Some(5), ..Expect::unchecked("unknown_version").complete_to(6) },
        ),
        sealed(&|_| vec![kind::KEY, 3, 1]).vector(
            "unknown_key_event",
            "A key event of an unknown type, where a key event may stand.",
            Expect { stream: Some(S), index: Some(5), ..Expect::unchecked("unknown_version").complete_to(6) },
        ),
        closed_in_another_version().vector(
            "unknown_closing_version",
            "An epoch ends with a closing event of an unknown version; the next one, which says that it follows a clean close, \
             contradicts nothing.",
            Expect { stream: Some(S), index: Some(5), ..Expect::unchecked("unknown_version").complete_to(8) },
        ),
        sealed(&|world| {
            let mut gap = gap(world, 0);
            gap[1] = 2;
            gap
        })
        .vector(
            "unknown_gap_version",
            "A gap event of an unknown version.",
            Expect { stream: Some(S), index: Some(5), ..Expect::unchecked("unknown_version").complete_to(6) },
        ),
        sealed(&|world| {
            let mut gap = gap(world, 0);
            gap[2] = 9;
            gap
        })
        .vector(
            "gap_without_a_cause",
            "A gap event whose cause has no meaning.",
            Expect::stream("malformed_key_event", S, 5).complete_to(6),
        ),
    ]
}

/// Events 0 to 3, 4 and a closing of version 2, then 6 and 7 of epoch 2, which was opened after a clean close.
fn closed_in_another_version() -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    world.seal(s, &[span(4), span(5)]);
    let mut batches = super::forge::open_all(&world.streams[s].batches);
    let mut closing = closing(5).encode().to_vec();
    closing[2] = 2;
    batches[1].events[1] = closing;
    reseal(&mut batches, 1);
    let stream = &mut world.streams[s];
    stream.batches = super::forge::write_all(&batches);
    stream.head.frontier = super::forge::tree_of(&stream.batches);
    stream.head.seal_hash = batches[1].hash();
    let leaf = world.close_leaf(s, ClosedBy::EpochKey(&epoch_key(S, 1)));
    world.leaves.push(leaf);
    world.open_epoch(s, Start::AfterClose);
    world.seal_spans(s, 1);
    Case::pinned_now(world)
}

/// Signs checkpoint and pin for the stream as it is.
pub fn with_honest_notes(mut case: Case) -> Case {
    let tree = super::forge::tree_of(&case.stream().batches);
    let origin = case.world.name.stream_origin(&S);
    let note = case.world.note_of(origin, tree.size(), tree.root());
    case.stream().note = Some(note.clone());
    case.edit_trust(|trust| _ = trust.pins.insert(S, note))
}
