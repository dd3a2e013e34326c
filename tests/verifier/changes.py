"""Changes to a valid log that leave its signatures whole where they can, and the code that each is named by."""

import copy

from .batch import CLOSING, KEY, SPAN
from .crypto import sha256
from .merkle import Tree, leaf_hash
from .verification import BatchList
from .world import World, events_of
from .writer import Signing, Stream


def _batches(world, inputs):
    return inputs.streams[world.stream.id].batches


def _dropped(world, inputs):
    del _batches(world, inputs)[1]


def _repeated(world, inputs):
    _batches(world, inputs).insert(2, _batches(world, inputs)[1])


def _earlier_epoch(world, inputs):
    _batches(world, inputs).append(_batches(world, inputs)[1])


def _beheaded(world, inputs):
    del _batches(world, inputs)[0]


def _truncated(world, inputs):
    _batches(world, inputs).pop()


def _torn(world, inputs):
    _batches(world, inputs).pop()
    inputs.streams[world.stream.id].torn_bytes = 100


def _spliced(world, inputs):
    _batches(world, inputs).append(world.other.batches[0])


def _replaced(world, inputs):
    other = World().inputs()
    other.trust = inputs.trust
    inputs.__dict__.update(other.__dict__)


def _gone(world, inputs):
    del inputs.streams[world.stream.id]


def _never_opened(world, inputs):
    inputs.streams[bytes(16)] = BatchList(world.other.batches)


def _extended(world, inputs):
    world.stream.add(bytes([KEY, CLOSING, 1, 1]))
    world.stream.seal()
    inputs.streams[world.stream.id].batches = world.stream.batches


def _misplaced(world, inputs):
    world.stream.add(events_of(world.stream.batches[0])[0])
    world.stream.seal()
    inputs.streams[world.stream.id].batches = world.stream.batches


def _rewritten(world, inputs):
    stream, last = copy.copy(world.stream), world.stream.batches[-1]
    stream.batches = world.stream.batches[:-1]
    stream.tree = Tree()
    for raw in stream.batches:
        for event in events_of(raw):
            stream.tree.append(leaf_hash(event))
    stream.seal_hash = sha256(b"\x02" + stream.batches[-1][:264])
    stream.pending, stream.sealed = [*events_of(last)[:-1], bytes([SPAN]) + b"another"], 0
    stream.seal()
    inputs.streams[stream.id].batches = stream.batches


def _forked(world, inputs):
    whole = list(_batches(world, inputs))
    _rewritten(world, inputs)
    inputs.streams[world.stream.id].batches = [*whole, inputs.streams[world.stream.id].batches[-1]]


def _other_checkpoint_key(world, inputs):
    world.deployment.keys["checkpoint"] = Signing()
    inputs.streams[world.stream.id].checkpoint = world.stream.note()


def _old_checkpoint_key(world, inputs):
    world.deployment.keys["checkpoint"] = world.genesis_keys["checkpoint"]
    inputs.streams[world.stream.id].checkpoint = world.stream.note()


def _stale(world, inputs):
    inputs.now, inputs.max_age = world.deployment.time // 10**9 + 1000, 500


def _pinless(world, inputs):
    inputs.trust.pins = {}


def _unknown_kind(world, inputs):
    world.stream.add(b"\x0aunknown")
    world.stream.seal()
    inputs.streams[world.stream.id].batches = world.stream.batches


def _retired_identity(world, inputs):
    world.deployment.keys["identity"] = world.genesis_keys["identity"]
    Stream(world.deployment)
    inputs.leaves = dict(enumerate(world.deployment.leaves))


def _unregistered_identity(world, inputs):
    world.deployment.keys["identity"] = Signing()
    Stream(world.deployment)
    inputs.leaves = dict(enumerate(world.deployment.leaves))


def refused_key(world, inputs):
    """Registers an identity key that the sequencer signs for, and opens a stream, which is not there, by that key."""
    deployment = world.deployment
    new = Signing()
    deployment.leaf(2, bytes([1]) + new.key, "sequencer", [new])
    deployment.keys["identity"] = new
    Stream(deployment)
    inputs.leaves, inputs.root_checkpoint = dict(enumerate(deployment.leaves)), deployment.root_note()


CHANGES = {
    _dropped: "index_gap", _repeated: "seal_after_close", _earlier_epoch: "wrong_epoch",
    _beheaded: "head_missing", _truncated: "truncated", _torn: "truncated", _spliced: "wrong_stream",
    _replaced: "unknown_key", _gone: "stream_missing", _never_opened: "stream_unknown",
    _extended: "malformed_key_event", _misplaced: "event_misplaced", _rewritten: "checkpoint_mismatch",
    _forked: "fork", _other_checkpoint_key: "checkpoint_refused", _old_checkpoint_key: "retired_key",
    _stale: "pin_stale", _pinless: "pin_empty", _unknown_kind: "unknown_version",
    _retired_identity: "retired_key", _unregistered_identity: "unknown_key",
}
