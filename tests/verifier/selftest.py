"""Shows that what writer.py writes verifies, and that any one bit flipped in it is named."""

import copy
import os
import random
import struct
import tempfile
import time
from pathlib import Path

from . import writer
from .batch import CLEAN, CLOSING, FIRST, KEY, RESOURCE, ROTATED, ROTATION, SHUTDOWN, SPAN, UNCLEAN, ZEROS
from .codes import Finding
from .content import PAYLOAD_MAGIC
from .crypto import SMALL_ORDER, decode_point, has_small_order, sha256, verify as verify_signature
from .crc32c import crc32c
from .cuts import BadCut, check_cuts
from .directory import read_directory
from .merkle import Tree, check_consistency, check_inclusion, leaf_hash, node_hash
from .segments import BATCH, PAYLOAD, ROOT_LEAF, ROOT_STREAM
from .trust import parse_trust
from .verification import BatchList, Inputs, verify
from .writer import Deployment, Signing, Stream, message, numbered

FLIPS = 400
_TOP_BIT = 0x80


class Failed(Exception):
    """A check of the self-test that does not hold."""


def run(say=print, flips=FLIPS):
    """Returns whether everything held; says one line for each part."""
    ok = True
    parts = (_primitives, _proofs, _cuts, _valid, _faults, _bits_in_memory, _on_disk, _bits_on_disk, _speed)
    for part in parts:
        began = time.monotonic()
        try:
            said = part(flips) if part in (_bits_in_memory, _bits_on_disk) else part()
        except (Failed, Finding, BadCut) as failed:
            said, ok = f"FAILED: {failed}", False
        say(f"{part.__name__.strip('_').replace('_', ' ')}: {said} ({time.monotonic() - began:.1f} s)")
    return ok


def _expect(holds, text):
    """Raises Failed unless it holds."""
    if not holds:
        raise Failed(text)


class World:
    """A small valid log: two streams, four epochs, a rotation, an unclean stop, cuts and a payload record."""

    def __init__(self, spans=6):
        self.deployment = deployment = Deployment()
        self.genesis_keys = dict(deployment.keys)
        self.stream = stream = Stream(deployment)
        self.payload = _payload(stream.id)
        stream.open(FIRST)
        self._spans(spans)
        stream.seal()
        deployment.register("checkpoint")
        stream.checkpoint_leaf()
        stream.close(ROTATED)
        stream.open(ROTATION)
        self._spans(2, cut=True)
        stream.close(SHUTDOWN)
        deployment.register("identity")
        stream.open(CLEAN)
        self._spans(1)
        stream.seal()
        stream.close_leaf(2, "identity")
        stream.open(UNCLEAN)
        stream.gap()
        self._spans(1)
        stream.seal()
        self.other = Stream(deployment)
        self.other.open(FIRST)
        self.other.seal()

    def _spans(self, count, cut=False):
        """Adds what spans share, and spans; the last with a payload record if asked for."""
        shared = [self.stream.add(_resource(what)) for what in (1, 2, 3, 4)]
        for number in range(count):
            self.stream.add(_span(shared, self.payload if cut and number + 1 == count else None))

    def pins(self):
        """Returns a trust file with today's pins."""
        pins = {"root": self.deployment.root_note()}
        pins |= {stream.id.hex(): stream.note() for stream in (self.stream, self.other)}
        return pins

    def inputs(self):
        """Returns the log as Inputs, with pins."""
        return Inputs(
            leaves=list(self.deployment.leaves),
            root_checkpoint=self.deployment.root_note(),
            streams={
                stream.id: BatchList(list(stream.batches), 0, stream.note()) for stream in (self.stream, self.other)
            },
            trust=parse_trust(self.deployment.trust(self.genesis_keys, self.pins())),
        )

    def write(self, folder):
        """Writes a data directory: three segments, of which the second supersedes a batch of the first."""
        root = folder / "rootlog"
        root.mkdir(parents=True)
        leaves, middle = self.deployment.leaves, len(self.deployment.leaves) // 2
        _segment(root, ROOT_STREAM, 0, ZEROS, [], [(ROOT_LEAF, leaf) for leaf in leaves[: middle + 1]])
        before = Tree()
        for leaf in leaves[:middle]:
            before.append(leaf_hash(leaf))
        _segment(root, ROOT_STREAM, middle, ZEROS, before.frontier, [(ROOT_LEAF, leaf) for leaf in leaves[middle:]])
        (root / "checkpoint").write_bytes(self.deployment.root_note())
        for stream in (self.stream, self.other):
            self._write_stream(folder / "streams" / stream.id.hex(), stream)

    def _write_stream(self, folder, stream):
        """Writes one stream's segments and checkpoint."""
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_bytes(stream.note())
        half = len(stream.batches) // 2
        first, last_seal, tree = 0, ZEROS, Tree()
        if half:
            _segment(folder, stream.id, 0, ZEROS, [], self._records(stream.batches[: half + 1]))
            for raw in stream.batches[:half]:
                last_seal, first = sha256(b"\x02" + raw[:264]), int.from_bytes(raw[48:56], "big")
                for event in _events(raw):
                    tree.append(leaf_hash(event))
        _segment(folder, stream.id, first, last_seal, tree.frontier, self._records(stream.batches[half:]))

    def _records(self, batches):
        """Returns batches as records, the payload record before the batch that lists it."""
        records = []
        for raw in batches:
            if sha256(self.payload) in raw:
                records.append((PAYLOAD, self.payload))
            records.append((BATCH, raw))
        return records


def _events(raw):
    """Returns the events of a batch."""
    events, at = [], 264
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 2], "big")
        events.append(raw[at + 2 : at + 2 + length])
        at += 2 + length
    return events


def _segment(folder, stream, first, last_seal, frontier, records):
    """Writes a segment file."""
    body = b"".join(writer.record(kind, body) for kind, body in records)
    (folder / f"{first:020}.seg").write_bytes(writer.header(stream, first, last_seal, frontier) + body)


def _resource(what):
    """Returns a resource event."""
    content = [(7, b"content")] if what != 3 else []
    return bytes([RESOURCE]) + message((1, 1), (2, os.urandom(16)), (3, what), (4, b"tenant"), *content)


def _span(shared, payload):
    """Returns a span event; with a payload record, one whose name was cut."""
    fields = list(zip((3, 4, 5, 6), shared, strict=True))
    received = b"\x11" + struct.pack("<Q", 1_760_000_000_000_000_000)
    assessment = message((1, 2), (2, b"\x01\x02"), (3, b"\x01\x05"))
    span = message((1, bytes(16)), (2, bytes(8)), (5, b"a name"))
    cuts = []
    if payload:
        span = span[:-6]
        cut = message((1, len(span)), (2, 6), (3, b"\x05"), (5, bytes(32)))
        cuts = [(12, cut), (13, sha256(payload))]
    head = message((1, 1)) + received + message(*fields)
    return bytes([SPAN]) + head + message((10, assessment), (11, span), *cuts)


def _payload(stream):
    """Returns a payload record's body."""
    return PAYLOAD_MAGIC + stream + os.urandom(32) + struct.pack(">HH", 0, 1) + os.urandom(24 + 48)


def _primitives():
    """CRC-32C's check value, the small-order encodings, and a signature with s + L."""
    _expect(crc32c(b"123456789") == 0xE3069283, "CRC-32C of 123456789")
    points = [decode_point(encoded) for encoded in SMALL_ORDER]
    _expect(sum(point is not None for point in points) == 8, "eight canonical points of small order")
    _expect(all(point is None or has_small_order(point) for point in points), "all of small order")
    signing = Signing()
    signature = signing.sign(b"x")
    s = int.from_bytes(signature[32:], "little") + 2**252 + 27742317777372353535851937790883648493
    _expect(not has_small_order(decode_point(signing.key[1:])), "a fresh key is not of small order")
    _expect(verify_signature(signing.key[1:], signature, b"x"), "a signature verifies")
    _expect(not verify_signature(signing.key[1:], signature[:32] + s.to_bytes(32, "little"), b"x"), "s + L is refused")
    _expect(not verify_signature(bytes([1]) + bytes(31), bytes([1]) + bytes(63), b"x"), "a small-order key is refused")
    return "as they should be"


def _proofs():
    """Every inclusion and consistency proof of trees up to 20 leaves, by the definitions of RFC 6962."""
    leaves = [leaf_hash(bytes([number])) for number in range(20)]
    for size in range(1, 21):
        root = _mth(leaves[:size])
        for index in range(size):
            check_inclusion(index, size, leaves[index], _path(index, leaves[:size]), root)
        for first in range(size + 1):
            proof = _subproof(first, leaves[:size], True) if 0 < first < size else []
            check_consistency(first, size, _mth(leaves[:first]), root, proof)
            for extra in (proof + [root], proof[:-1] if proof else [root, root]):
                _expect(_refused(check_consistency, first, size, _mth(leaves[:first]), root, extra), "a proof too long")
    return "all sizes to 20"


def _refused(check, *arguments):
    """Returns whether the check raises a Finding."""
    try:
        check(*arguments)
    except Finding:
        return True
    return False


def _split(size):
    """Returns the largest power of two below the size."""
    return 1 << (size - 1).bit_length() - 1


def _mth(leaves):
    """Returns MTH of RFC 6962 section 2.1."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256(b"")
    k = _split(len(leaves))
    return node_hash(_mth(leaves[:k]), _mth(leaves[k:]))


def _path(index, leaves):
    """Returns PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return [*_path(index, leaves[:k]), _mth(leaves[k:])]
    return [*_path(index - k, leaves[k:]), _mth(leaves[:k])]


def _subproof(first, leaves, whole):
    """Returns SUBPROOF of RFC 6962 section 2.1.2."""
    if first == len(leaves):
        return [] if whole else [_mth(leaves)]
    k = _split(len(leaves))
    if first <= k:
        return [*_subproof(first, leaves[:k], whole), _mth(leaves[k:])]
    return [*_subproof(first - k, leaves[k:], False), _mth(leaves[:k])]


def _cuts():
    """Cuts of a field's content and of whole fields, at every width of the hole's length."""
    for length in (3, 4, 129, 130, 131, 132, 16386, 16387, 16388, 16389):
        check_cuts(message((1, b"ab")), [_cut(4, length, [], 1)])
        stored = numbered(9, b"")[:1] + writer.varint(length + 4) + message((1, b"ab"))
        check_cuts(stored, [_cut(len(stored), length, [9], 1)])
        stored = numbered(9, b"")[:1] + writer.varint(length)
        check_cuts(stored, [_cut(len(stored), length, [9], 0)])
    for cut in (_cut(5, 3, [], 1), _cut(2, 2, [2], 0), _cut(1, 2, [1], 0), _cut(4, 2, [], 1)):
        try:
            check_cuts(message((1, b"ab")), [cut])
        except BadCut:
            continue
        raise Failed(f"{cut} was taken")
    return "holes are where they say"


def _cut(offset, length, path, fields):
    return {"offset": offset, "length": length, "path": path, "fields": fields, "commitment": bytes(32)}


def _valid():
    """The log verifies with pins, and without them says that it anchors itself."""
    inputs = World().inputs()
    inputs.streams = {stream: source for stream, source in inputs.streams.items()}
    report = verify(_without_payload_notes(inputs))
    _clean(report)
    inputs.trust = None
    report = verify(_without_payload_notes(inputs))
    _expect(report.exit() == 2 and report.named().code == "self_anchored", f"without trust: {report.faults}")
    return "0 with pins, 2 without"


def _without_payload_notes(inputs):
    """Returns the inputs for a log in memory, which has no payload records to find."""
    inputs.bodies = False
    return inputs


def _clean(report):
    """Raises Failed unless nothing was found."""
    _expect(report.exit() == 0 and not report.faults, f"a valid log: {report.faults}")


def _faults():
    """A few changes that keep every signature valid are named for what they are."""
    checked = 0
    for change, code in _CHANGES.items():
        world = World()
        inputs = world.inputs()
        change(world, inputs)
        report = verify(_without_payload_notes(inputs))
        named = report.named()
        _expect(named and named.code == code, f"{change.__name__}: {report.faults}")
        checked += 1
    return f"{checked} named"


def _batches(world, inputs):
    return inputs.streams[world.stream.id].batches


def _dropped(world, inputs):
    del _batches(world, inputs)[1]


def _repeated(world, inputs):
    _batches(world, inputs).insert(2, _batches(world, inputs)[1])


def _closed_and_repeated(world, inputs):
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
    inputs.streams[bytes(16)] = BatchList([])


def _extended(world, inputs):
    world.stream.add(bytes([KEY, CLOSING, 1, 1]))
    world.stream.seal()
    inputs.streams[world.stream.id].batches = world.stream.batches


def _misplaced(world, inputs):
    world.stream.add(_events(world.stream.batches[0])[0])
    world.stream.seal()
    inputs.streams[world.stream.id].batches = world.stream.batches


def _rewritten(world, inputs):
    stream = world.stream
    before = copy.copy(stream)
    fork = Stream.__new__(Stream)
    fork.__dict__.update(before.__dict__)
    last = stream.batches[-1]
    fork.batches = list(stream.batches[:-1])
    fork.tree = Tree()
    for raw in fork.batches:
        for event in _events(raw):
            fork.tree.append(leaf_hash(event))
    fork.seal_hash = sha256(b"\x02" + fork.batches[-1][:264])
    fork.pending, fork.sealed = _events(last)[:-1], 0
    fork.pending.append(bytes([SPAN]) + b"another")
    fork.seal()
    inputs.streams[stream.id].batches = fork.batches


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
    inputs.leaves = world.deployment.leaves


def _unregistered_identity(world, inputs):
    world.deployment.keys["identity"] = Signing()
    Stream(world.deployment)
    inputs.leaves = world.deployment.leaves


_CHANGES = {
    _dropped: "index_gap", _repeated: "seal_after_close", _closed_and_repeated: "seal_after_close",
    _beheaded: "head_missing", _truncated: "truncated", _torn: "truncated", _spliced: "wrong_stream",
    _replaced: "unknown_key", _gone: "stream_missing", _never_opened: "stream_unknown",
    _extended: "malformed_key_event", _misplaced: "event_misplaced", _rewritten: "checkpoint_mismatch",
    _forked: "fork", _other_checkpoint_key: "checkpoint_refused", _old_checkpoint_key: "retired_key",
    _stale: "pin_stale", _pinless: "pin_empty", _unknown_kind: "unknown_version",
    _retired_identity: "retired_key", _unregistered_identity: "unknown_key",
}


def _bits_in_memory(flips):
    """Flips bits of root leaves, batches and notes, evenly spread."""
    world = World()
    inputs = _without_payload_notes(world.inputs())
    places = _places(inputs)
    counted = {}
    for _ in range(flips):
        holder, key = random.choices(places, weights=[len(_get(*place)) for place in places])[0]
        raw = _get(holder, key)
        _set(holder, key, _flipped(raw, random.randrange(len(raw) * 8)))
        report = verify(inputs)
        named = report.named()
        _expect(named and report.exit(), f"a flipped bit in {key} of {type(holder).__name__} is not named")
        counted[named.code] = counted.get(named.code, 0) + 1
        _set(holder, key, raw)
    _clean(verify(inputs))
    return f"{flips} flips named: " + ", ".join(f"{code} {count}" for code, count in sorted(counted.items()))


def _places(inputs):
    """Returns (holder, key) of every piece of bytes."""
    places = [(inputs.leaves, index) for index in range(len(inputs.leaves))] + [(inputs, "root_checkpoint")]
    for source in inputs.streams.values():
        places += [(source.batches, index) for index in range(len(source.batches))] + [(source, "checkpoint")]
    return places


def _get(holder, key):
    return getattr(holder, key) if isinstance(key, str) else holder[key]


def _set(holder, key, value):
    if isinstance(key, str):
        setattr(holder, key, value)
    else:
        holder[key] = value


def _flipped(raw, bit):
    """Returns the bytes with one bit flipped."""
    changed = bytearray(raw)
    changed[bit // 8] ^= _TOP_BIT >> bit % 8
    return bytes(changed)


def _on_disk():
    """A data directory verifies, with superseded records; a torn tail is a note, and a cut one is truncated."""
    world = World()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world.write(folder)
        _clean(_verify_folder(folder, world))
        last = sorted((folder / "streams" / world.stream.id.hex()).glob("*.seg"))[-1]
        whole = last.read_bytes()
        last.write_bytes(whole + whole[-100:])
        report = _verify_folder(folder, world)
        _expect((report.exit(), report.named().code) == (0, "torn_tail"), f"torn: {report.faults}")
        last.write_bytes(whole[:-1])
        report = _verify_folder(folder, world)
        _expect((report.exit(), report.named().code) == (1, "truncated"), f"cut: {report.faults}")
        last.write_bytes(whole.replace(writer.record(PAYLOAD, world.payload), b""))
        report = _verify_folder(folder, world)
        _expect(report.exit() == 0, f"without the payload record: {report.faults}")
    return "whole, torn and cut"


def _verify_folder(folder, world):
    """Returns the Report on a data directory, with pins."""
    inputs = read_directory(folder)
    inputs.trust = parse_trust(world.deployment.trust(world.genesis_keys, world.pins()))
    return verify(inputs)


def _bits_on_disk(flips):
    """Flips bits of every file of a data directory, evenly spread."""
    world = World()
    counted = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world.write(folder)
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        for _ in range(flips // 2):
            path = random.choices(files, weights=[file.stat().st_size for file in files])[0]
            raw = path.read_bytes()
            path.write_bytes(_flipped(raw, random.randrange(len(raw) * 8)))
            report = _verify_folder(folder, world)
            named = report.named()
            _expect(named is not None, f"a flipped bit in {path.name} is not named")
            counted[named.code] = counted.get(named.code, 0) + 1
            path.write_bytes(raw)
        _clean(_verify_folder(folder, world))
    return f"{flips // 2} flips named: " + ", ".join(f"{code} {count}" for code, count in sorted(counted.items()))


def _speed():
    """Events a second from disk, bodies and all."""
    world = World(spans=4000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world.write(folder)
        began = time.monotonic()
        report = _verify_folder(folder, world)
        took = time.monotonic() - began
    _clean(report)
    return f"{sum(stream['size'] for stream in report.streams.values()) / took:.0f} small events a second"


