//! Keys in the root log: unregistered, early, retired, revoked, weak, of unknown algorithms and versions.

use spanseal_ledger::Role;
use spanseal_ledger::StreamId;
use spanseal_ledger::epoch::Start;
use spanseal_ledger::key::{ED25519, KeyId, SecretKey, Signer};
use spanseal_ledger::root_leaf::{Genesis, RootLeaf, RootOp, StreamOpen, sign};

use super::case::{Case, S};
use super::scalar::{IDENTITY, plus_l};
use super::vector::{Expect, Vector};
use super::world::{World, epoch_key, key};

pub fn vectors() -> Vec<Vector> {
    [geneses(), signers(), ranges(), notes(), checkpoints(), weak(), unknown()].into_iter().flatten().collect()
}

/// A stream with one batch, ready for more root leaves.
pub fn one_batch() -> (World, usize) {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    (world, s)
}

/// Root leaf 3 opens stream 7, signed by the key of that label under the identity's name.
fn leaf_by(world: &World, label: &str) -> Vec<u8> {
    let open = StreamOpen { stream: StreamId([7; 16]), predecessor: None };
    world.submission().open_stream(&key(label), open)
}

/// As pinned before the last leaves were written.
fn with_leaves(change: impl FnOnce(&mut World, usize)) -> Case {
    let (mut world, s) = one_batch();
    let trust = world.trust(&world.pins());
    change(&mut world, s);
    Case::of(world, trust)
}

fn signers() -> Vec<Vector> {
    vec![
        with_leaves(|world, _| world.leaves.push(leaf_by(world, "the attacker's"))).vector(
            "leaf_by_an_unregistered_key",
            "A root leaf, sequenced by the real sequencer, is signed by a key that nothing registers, under the identity \
             key's name.",
            Expect::root("unknown_key", 3).complete_to(4),
        ),
        with_leaves(|world, _| {
            let id = key("identity").public().id(&world.name.role_name(Role::Identity));
            let op = RootOp::StreamOpen(StreamOpen { stream: StreamId([7; 16]), predecessor: None });
            world.leaves.push(sign(&op, world.wall, (id, &key("the attacker's")), &[]));
        })
        .vector(
            "leaf_with_anothers_signature",
            "A root leaf names the identity key and is signed by another.",
            Expect::root("bad_signature", 3).complete_to(4),
        ),
        with_leaves(|world, _| {
            let mut leaf = leaf_by(world, "identity");
            let start = leaf.len() - 64;
            let signature = plus_l(leaf[start..].try_into().expect("64 bytes"));
            leaf[start..].copy_from_slice(&signature);
            world.leaves.push(leaf);
        })
        .vector(
            "leaf_with_s_plus_l",
            "A root leaf's signature has s + L for s: a second leaf with the same meaning and another hash.",
            Expect::root("bad_signature", 3).complete_to(4),
        ),
    ]
}

/// The base log with another genesis: by what id, and with whose signature for the checkpoint key.
fn genesis(id: Option<KeyId>, co_signer: &str) -> Case {
    let case = Case::base();
    let keys = Role::ALL.map(|role| case.world.signer(role).public().to_bytes33());
    let op = RootOp::Genesis(Genesis { deployment: case.world.name.clone(), keys });
    let identity = key("identity");
    let id = id.unwrap_or(identity.public().id(&case.world.name.role_name(Role::Identity)));
    let time = RootLeaf::parse(&case.log.leaves[0]).expect("a genesis").time;
    let leaf = sign(&op, time, (id, &identity), &[&key(co_signer), &key("cosign"), &key("sequencer")]);
    case.edit_leaves(|leaves| leaves[0] = leaf)
}

fn geneses() -> Vec<Vector> {
    vec![
        genesis(Some(KeyId([7; 32])), "checkpoint").vector(
            "genesis_under_another_id",
            "The genesis names another signer than the identity key that it registers.",
            Expect::root("unknown_key", 0),
        ),
        genesis(None, "the attacker's").vector(
            "genesis_not_signed_by_a_role",
            "The genesis claims a checkpoint key whose holder did not sign.",
            Expect::root("bad_signature", 0),
        ),
    ]
}

fn ranges() -> Vec<Vector> {
    vec![
        with_leaves(|world, _| {
            world.register(Role::Identity, "identity 2");
            world.leaves.push(leaf_by(world, "identity"));
        })
        .vector(
            "leaf_by_a_retired_key",
            "A root leaf is signed by the identity key that was replaced two leaves before.",
            Expect::root("retired_key", 4).complete_to(4),
        ),
        with_leaves(|world, s| {
            world.revoke(Role::Checkpoint, "checkpoint");
            world.stream_checkpoint(s);
        })
        .vector(
            "leaf_by_a_revoked_key",
            "A stream-checkpoint leaf is signed by a checkpoint key that was revoked.",
            Expect::root("retired_key", 4).complete_to(4),
        ),
        with_leaves(|world, _| {
            world.leaves.push(leaf_by(world, "identity 2"));
            world.register(Role::Identity, "identity 2");
        })
        .vector(
            "leaf_by_a_later_key",
            "A root leaf is signed by an identity key that is registered only behind it.",
            Expect::root("early_key", 3).complete_to(4),
        ),
        with_leaves(|world, s| {
            let op = RootOp::StreamCheckpoint(world.stream_size(s));
            let name = world.name.role_name(Role::Identity);
            world.leaves.push(sign(&op, world.wall, (key("identity").public().id(&name), &key("identity")), &[]));
        })
        .vector(
            "leaf_by_the_wrong_role",
            "A stream-checkpoint leaf is signed by the identity key.",
            Expect::root("unknown_key", 3).complete_to(4),
        ),
        with_leaves(|world, _| {
            let op = RootOp::Register { role: Role::Checkpoint, key: key("checkpoint 2").public().to_bytes33() };
            let id = key("identity").public().id(&world.name.role_name(Role::Identity));
            world.leaves.push(sign(&op, world.wall, (id, &key("identity")), &[&key("identity")]));
        })
        .vector(
            "register_not_signed_by_the_new_key",
            "A key is registered whose holder did not sign: somebody else's key is claimed.",
            Expect::root("bad_signature", 3).complete_to(4),
        ),
    ]
}

fn notes() -> Vec<Vector> {
    vec![
        retired_sequencer().vector(
            "root_checkpoint_by_a_retired_key",
            "The root log's checkpoint is signed by the sequencer key that was replaced.",
            Expect::root("retired_key", None).complete_to(4),
        ),
        early_sequencer().vector(
            "root_checkpoint_by_a_later_key",
            "A root checkpoint of size 3 is signed by the sequencer key that leaf 3 registers.",
            Expect::root("early_key", None).complete_to(4),
        ),
        retired_checkpoint(false).vector(
            "checkpoint_by_a_retired_key",
            "The stream's checkpoint is by a key that was replaced before the stream's last stream-checkpoint leaf.",
            Expect::stream("retired_key", S, None).complete_to(4),
        ),
        retired_checkpoint(true).vector(
            "checkpoint_by_a_revoked_key",
            "The stream's checkpoint is by a key that was revoked after it leaked; it has no place in the root log that could \
             show it to be older.",
            Expect::stream("retired_key", S, None).complete_to(4),
        ),
        Case::base()
            .edit(|log| {
                let mut world = World::new();
                world.labels[1] = "the attacker's".to_string();
                let batches = &log.streams[0].batches;
                let tree = super::forge::tree_of(batches);
                log.streams[0].note = Some(world.note_of(world.name.stream_origin(&S), tree.size(), tree.root()));
            })
            .vector(
                "checkpoint_by_an_unregistered_key",
                "The stream's checkpoint is signed by a key that nothing registers, under the right name.",
                Expect::stream("checkpoint_refused", S, None).complete_to(6),
            ),
        colliding_key_id().vector(
            "colliding_key_id",
            "The stream's checkpoint is signed by an attacker's key with the same name and the same 4-byte key id as the \
             checkpoint key.",
            Expect::stream("checkpoint_refused", S, None).complete_to(4),
        ),
        Case::base()
            .edit(|log| {
                let world = World::named("acme.example/other", World::new().labels);
                let tree = super::forge::tree_of(&log.streams[0].batches);
                log.streams[0].note = Some(world.note_of(world.name.stream_origin(&S), tree.size(), tree.root()));
            })
            .vector(
                "checkpoint_of_another_deployment",
                "The checkpoint of a stream of the same id in another deployment, by the same keys.",
                Expect::stream("wrong_deployment", S, None).complete_to(6),
            ),
    ]
}

fn checkpoints() -> Vec<Vector> {
    vec![
        signed_for(|size, root| (size, [root[0] ^ 1; 32])).vector(
            "checkpoint_with_another_root",
            "The checkpoint key signs a root that the stream never had.",
            Expect::stream("checkpoint_mismatch", S, 10).complete_to(6),
        ),
        signed_for(|_, root| (8, root)).vector(
            "checkpoint_inside_a_batch",
            "The checkpoint key signs a size that is no batch's edge.",
            Expect::stream("checkpoint_mismatch", S, 8).complete_to(6),
        ),
        signed_for(|_, root| (11, root)).vector(
            "checkpoint_beyond_the_end",
            "The checkpoint key has signed for one event more than there is.",
            Expect::stream("truncated", S, 10).complete_to(6),
        ),
        Case::base()
            .edit(|log| {
                log.note = Some(World::new().root_note_over(&log.leaves[..2]).replace("root\n2\n", "root\n5\n"))
            })
            .vector(
                "root_checkpoint_resized",
                "The size in an old root checkpoint is changed to the log's: its signatures fail.",
                Expect::root("checkpoint_refused", None).complete_to(6),
            ),
        root_note_of_a_fork().vector(
            "root_checkpoint_of_a_fork",
            "The sequencer has signed another root log of the same size: a split view.",
            Expect::root("checkpoint_mismatch", 5).complete_to(6),
        ),
    ]
}

/// The base log, whose checkpoint key signs another size and root for the stream.
fn signed_for(change: impl FnOnce(u64, [u8; 32]) -> (u64, [u8; 32])) -> Case {
    let mut case = Case::base();
    let at = case.world.stream_size(0);
    let (size, root) = change(at.size, at.root);
    let origin = case.world.name.stream_origin(&S);
    case.stream().note = Some(case.world.note_of(origin, size, root));
    case
}

fn retired_sequencer() -> Case {
    let mut case = with_leaves(|world, _| {
        world.register(Role::Sequencer, "sequencer 2");
        world.tick();
    });
    case.world.labels[3] = "sequencer".to_string();
    let note = case.world.root_note();
    case.edit(|log| log.note = Some(note))
}

fn early_sequencer() -> Case {
    let case = with_leaves(|world, _| world.register(Role::Sequencer, "sequencer 2"));
    let note = case.world.root_note_over(&case.log.leaves[..3]);
    case.edit(|log| log.note = Some(note))
}

fn retired_checkpoint(revoked: bool) -> Case {
    let mut case = with_leaves(|world, s| {
        if revoked {
            world.revoke(Role::Checkpoint, "checkpoint");
        } else {
            world.register(Role::Checkpoint, "checkpoint 2");
            world.stream_checkpoint(s);
        }
    });
    case.world.labels[1] = "checkpoint".to_string();
    let note = case.world.stream_note(0);
    case.edit(|log| log.streams[0].note = Some(note))
}

/// Two checkpoint keys whose ids under the stream's origin begin with the same four bytes, found by hashing the keys
/// labelled `collision 0`, `collision 1`, ... until two agreed: `make_vectors find-colliding-keys` does it again, and the
/// test `the_colliding_keys_collide` checks them.
pub const COLLIDING: [&str; 2] = ["collision 21414", "collision 23364"];

fn colliding_key_id() -> Case {
    let labels = ["identity", COLLIDING[0], "cosign", "sequencer"].map(String::from);
    let mut world = World::named(super::world::NAME, labels);
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    let mut case = Case::pinned_now(world);
    case.world.labels[1] = COLLIDING[1].to_string();
    let note = case.world.stream_note(0);
    case.edit(|log| log.streams[0].note = Some(note))
}

fn root_note_of_a_fork() -> Case {
    let case = Case::base();
    let mut leaves = case.log.leaves.clone();
    leaves[4] = leaf_by(&case.world, "identity");
    let note = case.world.root_note_over(&leaves);
    case.edit(|log| log.note = Some(note))
}

/// An order-8 point's neighbours need no key: y = 2^255 - 19 + 3 is a second encoding of a point of large order.
const NOT_CANONICAL: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xf0;
    bytes[31] = 0x7f;
    bytes
};
/// y = 2: not on the curve.
const NOT_ON_CURVE: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 2;
    bytes
};

fn weak() -> Vec<Vector> {
    vec![
        epoch_with_key(algorithm_and(ED25519, IDENTITY)).vector(
            "small_order_epoch_key",
            "An epoch is opened with the neutral point for its key, with which one signature passes for every message.",
            Expect::root("weak_key", 2),
        ),
        epoch_with_key(algorithm_and(ED25519, NOT_CANONICAL)).vector(
            "non_canonical_epoch_key",
            "An epoch is opened with a key in a second encoding: y is not below 2^255 - 19.",
            Expect::root("weak_key", 2),
        ),
        epoch_with_key(algorithm_and(ED25519, NOT_ON_CURVE)).vector(
            "undecodable_epoch_key",
            "An epoch is opened with a key that is no point of the curve.",
            Expect::root("weak_key", 2),
        ),
        with_leaves(|world, _| {
            let op = RootOp::Register { role: Role::Sequencer, key: algorithm_and(ED25519, IDENTITY) };
            let id = key("identity").public().id(&world.name.role_name(Role::Identity));
            world.leaves.push(sign(&op, world.wall, (id, &key("identity")), &[&key("identity")]));
        })
        .vector(
            "small_order_sequencer_key",
            "A key of small order is registered as sequencer.",
            Expect::root("weak_key", 3).complete_to(4),
        ),
    ]
}

fn algorithm_and(algorithm: u8, key: [u8; 32]) -> [u8; 33] {
    let mut bytes = [algorithm; 33];
    bytes[1..].copy_from_slice(&key);
    bytes
}

/// Genesis, stream-open, and an epoch-open leaf with that key, signed by everyone who has one.
fn epoch_with_key(bytes: [u8; 33]) -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    let mut start = world.next_epoch(s, Start::First);
    start.key = bytes;
    let (identity, epoch): (SecretKey, SecretKey) = (key("identity"), epoch_key(S, 1));
    let leaf = world.submission().open_epoch(&identity, start, &epoch, None);
    world.leaves.push(leaf);
    // The stream as it would have been.
    let mut honest = World::new();
    let s = honest.open_stream(1);
    honest.open_epoch(s, Start::First);
    honest.seal_spans(s, 3);
    let trust = honest.trust(&honest.pins());
    let mut case = Case::of(honest, trust);
    case = case.edit_leaves(|leaves| leaves[2] = world.leaves[2].clone());
    let note = case.log.note.clone();
    case.edit_trust(|trust| trust.root_pin = note)
}

fn unknown() -> Vec<Vector> {
    vec![
        epoch_with_key(algorithm_and(2, IDENTITY)).vector(
            "unknown_key_algorithm",
            "An epoch is opened with a key of an algorithm that this verifier does not know, all of it signed by the real keys.",
            Expect::unchecked_at("unknown_version", 2),
        ),
        with_leaves(|world, _| {
            let mut leaf = leaf_by(world, "identity");
            leaf[16] = 99;
            world.leaves.push(leaf);
        })
        .vector(
            "unknown_root_op",
            "A root leaf with an op that this verifier does not know.",
            Expect::unchecked_at("unknown_version", 3).complete_to(4),
        ),
        with_leaves(|world, _| {
            let mut leaf = leaf_by(world, "identity");
            leaf[15] = b'2';
            world.leaves.push(leaf);
        })
        .vector(
            "unknown_root_leaf_version",
            "A root leaf of a version to come, below the root log's checkpoint.",
            Expect::unchecked_at("unknown_version", 3).complete_to(4),
        ),
        with_leaves(|world, _| {
            let mut leaf = leaf_by(world, "identity");
            leaf[15] = b'2';
            world.leaves.push(leaf);
        })
        .edit_batch(0, |batch| batch[15] = b'2')
        .vector(
            "unknown_seal_version",
            "A batch of a version to come, in a deployment whose root log has leaves of a version to come.",
            Expect::unchecked_at("unknown_version", 3),
        ),
    ]
}
