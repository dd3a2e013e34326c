//! Root leaves that are signed by the right keys and break a rule of section 8.

use spanseal_ledger::epoch::Start;
use spanseal_ledger::key::{KeyId, Signer};
use spanseal_ledger::key_event::CloseReason;
use spanseal_ledger::root_leaf::{ClosedBy, Predecessor, PredecessorState, StreamOpen};
use spanseal_ledger::{Role, StreamId};

use super::case::Case;
use super::root_log::one_batch;
use super::vector::{Expect, Vector};
use super::world::{World, epoch_key, key};

pub fn vectors() -> Vec<Vector> {
    [streams_and_keys(), sizes(), epochs()].into_iter().flatten().collect()
}

/// One batch, then root leaf 3, which breaks a rule.
fn broken(name: &'static str, what: &'static str, leaf: impl FnOnce(&mut World, usize) -> Vec<u8>) -> Vector {
    broken_at(3, name, what, leaf)
}

fn broken_at(
    index: u64,
    name: &'static str,
    what: &'static str,
    leaf: impl FnOnce(&mut World, usize) -> Vec<u8>,
) -> Vector {
    let (mut world, s) = one_batch();
    let trust = world.trust(&world.pins());
    let leaf = leaf(&mut world, s);
    world.leaves.push(leaf);
    Case::of(world, trust).vector(name, what, Expect::root("root_rule", index).complete_to(4))
}

fn streams_and_keys() -> Vec<Vector> {
    vec![
        broken("second_genesis", "The identity key signs a second genesis.", |world, _| world.leaves[0].clone()),
        broken("stream_opened_twice", "The identity key opens a stream again.", |world, s| {
            let stream = world.streams[s].id;
            world.submission().open_stream(&key("identity"), StreamOpen { stream, predecessor: None })
        }),
        broken(
            "predecessor_never_opened",
            "A stream takes over from one that the root log never opened.",
            |world, _| {
                let before = Predecessor { stream: StreamId([8; 16]), size: 5, state: PredecessorState::Unread };
                let open = StreamOpen { stream: StreamId([7; 16]), predecessor: Some(before) };
                world.submission().open_stream(&key("identity"), open)
            },
        ),
        broken("key_registered_twice", "The checkpoint key is registered a second time.", |world, _| {
            world.submission().register(&key("identity"), Role::Checkpoint, &key("checkpoint"))
        }),
        broken("revoked_nothing", "A key is revoked that nothing registers.", |world, _| {
            world.submission().revoke(&key("identity"), KeyId([7; 32]))
        }),
    ]
}

fn sizes() -> Vec<Vector> {
    vec![
        broken_at(4, "stream_checkpoint_falls", "The checkpoint key signs a smaller size than before.", |world, s| {
            world.stream_checkpoint(s);
            let mut at = world.stream_size(s);
            at.size -= 1;
            world.submission().checkpoint_stream(&key("checkpoint"), at)
        }),
        broken_at(
            4,
            "two_roots_of_one_size",
            "The checkpoint key signs another root for the same size.",
            |world, s| {
                world.stream_checkpoint(s);
                let mut at = world.stream_size(s);
                at.root = [7; 32];
                world.submission().checkpoint_stream(&key("checkpoint"), at)
            },
        ),
        broken_at(
            4,
            "stream_closed_at_another_size",
            "A stream is closed below the size of its last epoch.",
            |world, s| {
                world.close_epoch_uncleanly(s);
                let mut at = world.stream_size(s);
                at.size -= 1;
                world.submission().close_stream(&key("identity"), at)
            },
        ),
        broken_at(
            4,
            "stream_closed_at_another_root",
            "A stream is closed at another root than its last epoch.",
            |world, s| {
                world.close_epoch_uncleanly(s);
                let mut at = world.stream_size(s);
                at.root = [7; 32];
                world.submission().close_stream(&key("identity"), at)
            },
        ),
        broken("stream_closed_over_an_epoch", "A stream is closed while its epoch is open.", |world, s| {
            world.submission().close_stream(&key("identity"), world.stream_size(s))
        }),
        broken_at(
            5,
            "leaf_after_the_stream_closed",
            "A checkpoint of a stream follows its stream-close leaf.",
            |world, s| {
                world.close_epoch(s, CloseReason::Shutdown);
                world.close_stream(s);
                world.submission().checkpoint_stream(&key("checkpoint"), world.stream_size(s))
            },
        ),
    ]
}

fn epochs() -> Vec<Vector> {
    let open = |world: &World, s: usize, epoch: u32, first: Option<u64>| {
        let mut start = world.next_epoch(s, Start::AfterUncleanStop);
        let new = epoch_key(start.stream, epoch);
        start.epoch = epoch;
        start.key = new.public().to_bytes33();
        start.first = first.unwrap_or(start.first);
        world.submission().open_epoch(&key("identity"), start, &new, None)
    };
    vec![
        broken("epoch_opened_over_another", "Epoch 2 is opened while epoch 1 is open.", |world, s| {
            open(world, s, 2, None)
        }),
        broken_at(4, "epoch_number_skipped", "Epoch 3 is opened after epoch 1.", |world, s| {
            world.close_epoch_uncleanly(s);
            open(world, s, 3, None)
        }),
        broken_at(
            4,
            "epoch_continues_elsewhere",
            "Epoch 2 begins before the size at which epoch 1 was closed.",
            |world, s| {
                world.close_epoch_uncleanly(s);
                open(world, s, 2, Some(2))
            },
        ),
        broken_at(4, "epoch_first_again", "Epoch 2 starts as the first of its stream.", |world, s| {
            world.close_epoch_uncleanly(s);
            let start = world.next_epoch(s, Start::First);
            world.submission().open_epoch(&key("identity"), start, &epoch_key(start.stream, 2), None)
        }),
        broken_at(
            4,
            "epoch_continues_another_root",
            "Epoch 2 begins at a root that epoch 1 did not end at.",
            |world, s| {
                world.close_epoch_uncleanly(s);
                let mut start = world.next_epoch(s, Start::AfterUncleanStop);
                start.root = [7; 32];
                world.submission().open_epoch(&key("identity"), start, &epoch_key(start.stream, 2), None)
            },
        ),
        broken_at(
            4,
            "epoch_continues_another_seal",
            "Epoch 2 begins behind a seal that epoch 1 did not end with.",
            |world, s| {
                world.close_epoch_uncleanly(s);
                let mut start = world.next_epoch(s, Start::AfterUncleanStop);
                start.seal_hash = [7; 32];
                world.submission().open_epoch(&key("identity"), start, &epoch_key(start.stream, 2), None)
            },
        ),
        broken("epoch_closed_that_is_not_open", "Epoch 2 is closed while epoch 1 is open.", |world, s| {
            let (at, seal_hash) = (world.stream_size(s), world.streams[s].head.seal_hash);
            world.submission().close_epoch(ClosedBy::Identity(&key("identity")), 2, at, seal_hash)
        }),
        broken_at(5, "epoch_closed_before_it_began", "Epoch 2 begins at 4 and ends at 3.", |world, s| {
            world.close_epoch_uncleanly(s);
            world.open_epoch_leaf(s, Start::AfterUncleanStop);
            let (mut at, seal_hash) = (world.stream_size(s), world.streams[s].head.seal_hash);
            at.size = 3;
            world.submission().close_epoch(ClosedBy::Identity(&key("identity")), 2, at, seal_hash)
        }),
        broken_at(4, "epoch_closed_twice", "An epoch is closed by its key and by the identity key.", |world, s| {
            world.close_epoch(s, CloseReason::Shutdown);
            world.close_leaf(s, ClosedBy::Identity(&key("identity")))
        }),
    ]
}
