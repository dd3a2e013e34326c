//! Attackers, or faulty writers, who open epochs.

use spanseal_ledger::Role;
use spanseal_ledger::epoch::{EpochStart, Start};
use spanseal_ledger::key::{SecretKey, Signer};
use spanseal_ledger::key_event::{CloseReason, KeyEvent, Opening, SignedOpening};
use spanseal_ledger::leaf::plain_hash;
use spanseal_ledger::root_leaf::{CloseHow, ClosedBy, EpochClose, RootOp, sign};

use super::anchors::{clean_restart, empty_epoch, rotation};
use super::case::{Case, S, T};
use super::forge::reseal;
use super::insider::with_honest_notes;
use super::vector::{Expect, Vector};
use super::world::{World, epoch_key, key};

pub fn vectors() -> Vec<Vector> {
    [openings(), places(), signers(), leaves()].into_iter().flatten().collect()
}

/// Changes the opening of epoch 2, which stands at index 6, signs it as `sign` says, and seals it with the epoch's key.
fn reopened(case: Case, change: impl FnOnce(&mut Opening), sign: impl FnOnce(Opening) -> SignedOpening) -> Case {
    let case = case.forge(|batches| {
        let event = &mut batches[3].events[0];
        let Ok(KeyEvent::Opening(SignedOpening { mut opening, .. })) = KeyEvent::parse(event) else {
            unreachable!("an opening stands here")
        };
        change(&mut opening);
        *event = sign(opening).encode().to_vec();
        reseal(batches, 3);
    });
    with_honest_notes(case)
}

fn by_identity(opening: Opening) -> SignedOpening {
    opening.sign(&key("identity"), Some(&epoch_key(S, 1)))
}

fn openings() -> Vec<Vector> {
    vec![
        reopened(clean_restart(), |opening| opening.epoch.start = Start::AfterUncleanStop, by_identity).vector(
            "opening_disagrees_with_its_leaf",
            "An opening, signed by the identity key, says that the stop before it was unclean; its root leaf says otherwise.",
            Expect::stream("opening_mismatch", S, 6).complete_to(9),
        ),
        reopened(clean_restart(), |opening| opening.root_leaf = 1, by_identity).vector(
            "opening_quotes_another_leaf",
            "An opening quotes a root leaf that opens the stream.",
            Expect::stream("opening_mismatch", S, 6).complete_to(9),
        ),
        unregistered_epoch().vector(
            "opening_without_a_leaf",
            "With the identity key and a new epoch key, an epoch is opened in the stream that the root log does not have.",
            Expect::stream("opening_mismatch", S, 6),
        ),
    ]
}

/// Openings that contradict where they stand.
fn places() -> Vec<Vector> {
    vec![
        reopened(clean_restart(), |opening| opening.epoch.root = [7; 32], by_identity).vector(
            "opening_names_another_root",
            "An opening names another root than the stream has before it.",
            Expect::stream("malformed_key_event", S, 6).complete_to(9),
        ),
        reopened(clean_restart(), |opening| opening.epoch.seal_hash = [7; 32], by_identity).vector(
            "opening_names_another_seal",
            "An opening names another last seal than the stream has before it.",
            Expect::stream("malformed_key_event", S, 6).complete_to(9),
        ),
        reopened(clean_restart(), |opening| opening.epoch.stream = T, by_identity).vector(
            "opening_names_another_stream",
            "An opening names another stream than it stands in.",
            Expect::stream("malformed_key_event", S, 6).complete_to(9),
        ),
        reopened(clean_restart(), |opening| opening.epoch.epoch = 3, by_identity).vector(
            "opening_names_another_epoch",
            "An opening names another epoch than its seal.",
            Expect::stream("malformed_key_event", S, 6).complete_to(9),
        ),
        reopened(clean_restart(), |opening| opening.epoch.first = 7, by_identity).vector(
            "opening_names_another_index",
            "An opening names another index than its own.",
            Expect::stream("malformed_key_event", S, 6).complete_to(9),
        ),
        reopened(clean_restart(), |opening| opening.deployment = plain_hash(b"acme.example/other"), by_identity)
            .vector(
                "opening_of_another_deployment",
                "The opening of another deployment by the same identity key.",
                Expect::stream("wrong_deployment", S, 6).complete_to(9),
            ),
        closing_left_out().vector(
            "restart_without_a_closing",
            "An opening says that it follows a clean close, and no closing event stands before it.",
            Expect::stream("malformed_key_event", S, 4).complete_to(6),
        ),
        empty_epoch_used().vector(
            "empty_epoch_used",
            "The key of an epoch that was closed without an event opens it in the stream after all.",
            Expect::stream("seal_after_close", S, 4),
        ),
    ]
}

/// Epoch 1 closes; then a batch opens epoch 2, and no root leaf does.
fn unregistered_epoch() -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    world.seal_spans(s, 1);
    world.close_epoch(s, CloseReason::Shutdown);
    let leaves = world.leaves.clone();
    world.open_epoch(s, Start::AfterClose);
    world.seal_spans(s, 1);
    world.leaves = leaves;
    Case::pinned_now(world)
}

fn closing_left_out() -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    world.close_epoch_uncleanly(s);
    world.open_epoch(s, Start::AfterClose);
    world.seal_spans(s, 1);
    Case::pinned_now(world)
}

/// Epoch 3 of [`empty_epoch`] was opened and closed at index 4.
fn empty_epoch_used() -> Case {
    empty_epoch().forge(|batches| {
        let mut batch = batches[1].clone();
        batch.seal.epoch = 3;
        let Ok(KeyEvent::Opening(SignedOpening { mut opening, .. })) = KeyEvent::parse(&batch.events[0]) else {
            unreachable!("an opening stands here")
        };
        opening.epoch.epoch = 3;
        opening.epoch.key = epoch_key(S, 3).public().to_bytes33();
        batch.events[0] = by_identity(opening).encode().to_vec();
        batches.insert(1, batch);
        reseal(batches, 1);
        batches.truncate(2);
    })
}

fn signers() -> Vec<Vector> {
    let by = |label: &'static str| {
        move |mut opening: Opening| {
            let world = World::new();
            opening.identity = key(label).public().id(&world.name.role_name(Role::Identity));
            opening.sign(&key(label), None)
        }
    };
    vec![
        reopened(clean_restart(), |_| {}, |opening| opening.sign(&key("the attacker's"), None)).vector(
            "opening_signed_by_another_key",
            "The opening's identity signature is by a key of the attacker's under the identity key's id.",
            Expect::stream("bad_signature", S, 6).complete_to(9),
        ),
        reopened(clean_restart(), |_| {}, by("the attacker's")).vector(
            "opening_by_an_unregistered_key",
            "The opening names, and is signed by, an identity key that nothing registers.",
            Expect::stream("unknown_key", S, 6).complete_to(9),
        ),
        reopened(restarted_after(Some("identity 2"), None), |_| {}, by("identity")).vector(
            "opening_by_a_retired_key",
            "The opening is signed by an identity key that was replaced before its root leaf.",
            Expect::stream("retired_key", S, 6).complete_to(8),
        ),
        reopened(restarted_after(None, Some("identity 2")), |_| {}, by("identity 2")).vector(
            "opening_by_a_later_key",
            "The opening is signed by an identity key that was registered after its root leaf.",
            Expect::stream("early_key", S, 6).complete_to(8),
        ),
        reopened(rotation(), |_| {}, |opening| opening.sign(&key("identity"), Some(&epoch_key(S, 2)))).vector(
            "rotation_signed_by_the_new_key_only",
            "A rotation whose outgoing signature is by the incoming key: with the identity key alone the epoch key is replaced.",
            Expect::stream("rotation_unsigned", S, 6).complete_to(9),
        ),
    ]
}

/// Epoch 2 opens between two replacements of the identity key.
fn restarted_after(before: Option<&str>, after: Option<&str>) -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    world.seal_spans(s, 1);
    world.close_epoch(s, CloseReason::Shutdown);
    before.iter().for_each(|label| world.register(Role::Identity, label));
    world.open_epoch(s, Start::AfterClose);
    world.seal_spans(s, 1);
    after.iter().for_each(|label| world.register(Role::Identity, label));
    Case::pinned_now(world)
}

/// What epoch-open and epoch-close leaves say of the stream.
fn leaves() -> Vec<Vector> {
    vec![
        rotation_leaf().vector(
            "rotation_leaf_signed_by_the_new_key_only",
            "The epoch-open leaf of a rotation lacks the outgoing key's signature.",
            Expect::root("rotation_unsigned", 4),
        ),
        close_leaf_by_epoch(2, "epoch 1 of 01010101010101010101010101010101").vector(
            "close_leaf_under_another_id",
            "An epoch is closed by its own key, under the key id of the epoch after it.",
            Expect::root("unknown_key", 3).complete_to(4),
        ),
        close_leaf_by_epoch(1, "the attacker's").vector(
            "close_leaf_by_another_key",
            "An epoch-close leaf names the epoch's key and is signed by another.",
            Expect::root("bad_signature", 3).complete_to(4),
        ),
        closed_elsewhere(|_, root, _| root[0] ^= 1).vector(
            "close_leaf_with_another_root",
            "The identity key closes an epoch at a root that the stream never had.",
            Expect::stream("checkpoint_mismatch", S, 4).complete_to(4),
        ),
        closed_elsewhere(|_, _, seal_hash| seal_hash[0] ^= 1).vector(
            "close_leaf_with_another_seal",
            "The identity key closes an epoch behind a seal that the stream does not have.",
            Expect::stream("checkpoint_mismatch", S, 4).complete_to(4),
        ),
        closed_elsewhere(|size, _, _| *size = 3).vector(
            "close_leaf_inside_a_batch",
            "The identity key closes an epoch at a size inside a batch, whose second half then follows the end.",
            Expect::stream("checkpoint_mismatch", S, 3).complete_to(4),
        ),
        closed_elsewhere(|size, _, _| *size = 5).vector(
            "close_leaf_beyond_the_end",
            "The identity key has closed an epoch at a size that the stream no longer reaches.",
            Expect::stream("truncated", S, 4).complete_to(4),
        ),
    ]
}

fn rotation_leaf() -> Case {
    let case = rotation();
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    world.seal_spans(s, 1);
    world.close_epoch(s, CloseReason::Rotation);
    world.tick();
    let start: EpochStart = world.next_epoch(s, Start::Rotation);
    let (new, identity): (SecretKey, SecretKey) = (epoch_key(S, 2), key("identity"));
    let leaf = world.submission().open_epoch(&identity, start, &new, Some(&new));
    case.edit_leaves(|leaves| leaves[4] = leaf)
}

/// Events 0 to 3; epoch 1 closed under the key id of its key for epoch `named`, signed by the key of that label.
fn close_leaf_by_epoch(named: u32, label: &str) -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    let (at, seal_hash) = (world.stream_size(s), world.streams[s].head.seal_hash);
    let op = RootOp::EpochClose(EpochClose { how: CloseHow::ByEpochKey, at, epoch: 1, seal_hash });
    let id = epoch_key(S, 1).public().id(&world.name.epoch_name(&S, named));
    world.leaves.push(sign(&op, world.wall, (id, &key(label)), &[]));
    Case::pinned_now(world)
}

/// Events 0 to 3, closed by the identity key with size, root and seal hash changed.
fn closed_elsewhere(change: impl FnOnce(&mut u64, &mut [u8; 32], &mut [u8; 32])) -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    let (mut at, mut seal_hash) = (world.stream_size(s), world.streams[s].head.seal_hash);
    change(&mut at.size, &mut at.root, &mut seal_hash);
    let leaf = world.submission().close_epoch(ClosedBy::Identity(&key("identity")), 1, at, seal_hash);
    world.leaves.push(leaf);
    Case::pinned_now(world)
}
