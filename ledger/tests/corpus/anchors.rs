//! Honest logs, and what they rest on.

use spanseal_ledger::Role;
use spanseal_ledger::epoch::Start;
use spanseal_ledger::key_event::CloseReason;

use super::case::{Case, DAY_SECONDS, S, T};
use super::forge::reseal;
use super::vector::{Expect, Vector};
use super::world::{Log, LogStream, NAME, World, gap, span};

pub fn vectors() -> Vec<Vector> {
    [honest(), what_it_rests_on(), replaced()].into_iter().flatten().collect()
}

fn honest() -> Vec<Vector> {
    vec![
        Case::base().vector("valid", "An honest log, pinned at size 6.", Expect::ok(6)),
        full_batch().vector("valid_full_batch", "An honest log with a batch of 256 events between small ones.", Expect::ok(513)),
        clean_restart().vector(
            "valid_clean_restart",
            "An honest log: the writer closes its epoch, stops and starts again with a new key.",
            Expect::ok(9),
        ),
        rotation().vector(
            "valid_rotation",
            "An honest log: the epoch key is changed, and the outgoing one signs its successor.",
            Expect::ok(9),
        ),
        unclean_stop().vector(
            "valid_unclean_stop",
            "An honest log: the writer dies; the identity key closes the epoch, and a gap event says what is unknown.",
            Expect::ok(7),
        ),
        empty_epoch().vector(
            "valid_empty_epoch",
            "An honest log: the writer dies between an epoch-open leaf and the opening event, twice.",
            Expect::ok(7),
        ),
        key_rotation().vector(
            "valid_key_rotation",
            "An honest log whose identity, checkpoint, cosign and sequencer keys are all replaced after the pin was made.",
            Expect::ok(4),
        ),
        two_streams().vector(
            "valid_two_streams",
            "An honest log: another collector takes over with a stream of its own, and the first stream is closed.",
            Expect::ok(5),
        ),
        Case::base()
            .edit(|log| log.streams.push(LogStream { id: T, batches: vec![], damaged_at: None, torn_bytes: 0, note: None }))
            .vector(
                "valid_stream_not_opened_yet",
                "An honest log: the writer died after making a stream's directory and before its root leaf.",
                Expect::ok(6),
            ),
        Case::base().edit(|log| log.streams[0].torn_bytes = 100).vector(
            "torn_tail",
            "The writer died within a write, and no checkpoint covers it.",
            Expect { code: Some("torn_tail"), stream: Some(S), index: Some(10), ..Expect::ok(6) },
        ),
    ]
}

fn full_batch() -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 5);
    world.seal_spans(s, 250);
    world.seal_spans(s, 256);
    world.seal_spans(s, 1);
    Case::pinned_now(world)
}

pub fn clean_restart() -> Case {
    Case::pinned_now(restarted(CloseReason::Shutdown, Start::AfterClose))
}

pub fn rotation() -> Case {
    Case::pinned_now(restarted(CloseReason::Rotation, Start::Rotation))
}

/// Events 0 to 3, 4 and the closing 5 of epoch 1, then 6 to 8 of epoch 2, the first of which is the opening.
fn restarted(reason: CloseReason, start: Start) -> World {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    world.seal_spans(s, 1);
    world.close_epoch(s, reason);
    world.open_epoch(s, start);
    world.seal_spans(s, 1);
    world.seal_spans(s, 1);
    world
}

/// Events 0 to 3 of epoch 1; 4 to 6 of epoch 2: opening, gap and span.
pub fn unclean_stop() -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    world.close_epoch_uncleanly(s);
    world.open_epoch(s, Start::AfterUncleanStop);
    let events = [gap(&world, s), span(6)];
    world.seal(s, &events);
    Case::pinned_now(world)
}

/// As [`unclean_stop`], but epoch 1 and epoch 3 never had an event: the stream holds epochs 2 and 4.
pub fn empty_epoch() -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch_leaf(s, Start::First);
    world.close_epoch_uncleanly(s);
    world.open_epoch(s, Start::AfterUncleanStop);
    world.seal_spans(s, 3);
    world.close_epoch_uncleanly(s);
    world.open_epoch_leaf(s, Start::AfterUncleanStop);
    world.close_epoch_uncleanly(s);
    world.open_epoch(s, Start::AfterUncleanStop);
    let events = [gap(&world, s), span(6)];
    world.seal(s, &events);
    Case::pinned_now(world)
}

fn key_rotation() -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    let trust = world.trust(&world.pins());
    world.register(Role::Identity, "identity 2");
    world.register(Role::Checkpoint, "checkpoint 2");
    world.register(Role::Cosign, "cosign 2");
    world.register(Role::Sequencer, "sequencer 2");
    world.seal_spans(s, 2);
    world.stream_checkpoint(s);
    world.close_epoch(s, CloseReason::Shutdown);
    world.open_epoch(s, Start::AfterClose);
    world.seal_spans(s, 2);
    Case::of(world, trust)
}

pub fn two_streams() -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    world.close_epoch(s, CloseReason::Shutdown);
    let t = world.take_over(2, s);
    world.open_epoch(t, Start::First);
    world.seal_spans(t, 2);
    world.close_stream(s);
    Case::pinned_now(world)
}

fn what_it_rests_on() -> Vec<Vector> {
    let pin_time = Case::base().now - 3_600;
    vec![
        Case::base().without_trust().vector(
            "self_anchored",
            "No trust file: whoever could write the disk could have replaced all of this honest log.",
            Expect::unchecked("self_anchored"),
        ),
        Case::base().edit_trust(|trust| trust.pins.clear()).unpinned().vector(
            "pin_of_the_root_only",
            "The trust file pins the root log and no stream: no event is anchored.",
            Expect::unchecked("pin_empty"),
        ),
        pin_of_size_zero().vector(
            "pin_of_size_zero",
            "The trust file pins a stream that had no events yet: no event is anchored.",
            Expect::unchecked("pin_empty"),
        ),
        Case::base().at(pin_time + 2 * DAY_SECONDS).vector(
            "pin_stale",
            "The pin is two days old and the verifier accepts one: what happened since is not anchored.",
            Expect::unchecked("pin_stale").complete_to(6),
        ),
        Case::base().at(pin_time - 2 * DAY_SECONDS).vector(
            "pin_from_the_future",
            "The pin lies two days ahead of the verifier's clock: its age cannot be told.",
            Expect::unchecked("pin_stale").complete_to(6),
        ),
        Case::base().edit(|log| log.streams[0].note = None).vector(
            "checkpoint_deleted",
            "The stream has no checkpoint: its end after the last root leaf cannot be checked.",
            Expect { stream: Some(S), ..Expect::unchecked("no_checkpoint").complete_to(6) },
        ),
        Case::base().edit(|log| log.note = None).vector(
            "root_checkpoint_deleted",
            "The root log has no checkpoint: its end after the pin cannot be checked.",
            Expect::unchecked("no_checkpoint").complete_to(6),
        ),
        Case::base().without_trust().edit(|log| *log = Log::default()).vector(
            "nothing",
            "There is nothing. Nothing checked is never ok.",
            Expect::unchecked("no_checkpoint"),
        ),
        rolled_back(2, 4).vector(
            "rolled_back_behind_the_pin",
            "The disk is set back, checkpoints and all, to a moment after the pin. What the pin covers holds; what came \
             later is gone, and this verifier cannot know.",
            Expect::ok(6),
        ),
        rolled_back(1, 3).vector(
            "rolled_back_before_the_pin",
            "The disk is set back, checkpoints and all, to a moment before the pin: both logs are shorter than it.",
            Expect::root("truncated", 3),
        ),
    ]
}

fn pin_of_size_zero() -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    let trust = world.trust(&world.pins());
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    Case::of(world, trust).unpinned()
}

/// The base log as it was after so many batches and root leaves.
fn rolled_back(batches: usize, leaves: usize) -> Case {
    let mut world = World::new();
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 3);
    if leaves > 3 {
        world.stream_checkpoint(s);
    }
    if batches > 1 {
        world.seal_spans(s, 2);
    }
    let mut case = Case::base();
    assert!(case.log.leaves.starts_with(&world.leaves), "the same log, earlier");
    case.log = world.log();
    case
}

fn replaced() -> Vec<Vector> {
    let impostor = || {
        let labels = Role::ALL.map(|role| format!("impostor's {}", role.as_str()));
        let mut world = World::named(NAME, labels);
        let s = world.open_stream(1);
        world.open_epoch(s, Start::First);
        world.seal_spans(s, 9);
        world
    };
    vec![
        Case::pinned_now(impostor()).without_trust().vector(
            "everything_replaced_without_trust",
            "Log, root log and keys are all replaced by somebody else's. Without a trust file nobody can tell.",
            Expect::unchecked("self_anchored"),
        ),
        Case { log: impostor().log(), ..Case::base() }.vector(
            "everything_replaced",
            "Log, root log and keys are all replaced by somebody else's: the genesis keys are not the trusted ones.",
            Expect::root("unknown_key", 0),
        ),
        rewritten_with_every_key().vector(
            "history_rewritten_with_every_key",
            "An attacker with every key of the deployment rewrites event 5 and signs everything after it again: the pin remembers.",
            Expect::stream("checkpoint_mismatch", S, 6),
        ),
        stream_unopened_with_every_key().vector(
            "stream_erased_with_every_key",
            "An attacker with every key deletes a stream and writes a root log that never opened it: the root pin remembers.",
            Expect::root("checkpoint_mismatch", 4),
        ),
        Case { log: renamed().log(), ..Case::base() }.vector(
            "genesis_of_another_deployment",
            "The log of another deployment, by the same keys, stands where this one was.",
            Expect::root("wrong_deployment", 0),
        ),
        Case::base()
            .edit_trust(|trust| trust.pins.values_mut().for_each(|pin| *pin = pin.replacen("\n6\n", "\n5\n", 1)))
            .unpinned()
            .vector(
                "pin_changed",
                "The pin's size was edited: its signatures fail.",
                Expect::stream("checkpoint_refused", S, None),
            ),
    ]
}

/// Another deployment with the same keys.
fn renamed() -> World {
    let mut world = World::named("acme.example/other", Role::ALL.map(|role| role.as_str().to_string()));
    let s = world.open_stream(1);
    world.open_epoch(s, Start::First);
    world.seal_spans(s, 9);
    world
}

fn rewritten_with_every_key() -> Case {
    let mut case = Case::base().forge(|batches| {
        batches[1].events[1] = span(1_000);
        reseal(batches, 1);
    });
    let tree = super::forge::tree_of(&case.stream().batches);
    let at = spanseal_ledger::root_leaf::StreamSize { stream: S, size: 10, root: tree.root() };
    let leaf = case.world.submission().checkpoint_stream(&case.world.signer(Role::Checkpoint), at);
    let origin = case.world.name.stream_origin(&S);
    case.stream().note = Some(case.world.note_of(origin, 10, tree.root()));
    case.edit_leaves(|leaves| leaves[4] = leaf)
}

fn stream_unopened_with_every_key() -> Case {
    let mut world = World::new();
    (0..3).for_each(|n| _ = world.open_stream(n + 3));
    Case { log: world.log(), ..Case::base() }
}
