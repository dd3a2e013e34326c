"""Shows that what writer.py writes verifies, and that any one bit flipped in it is named."""

import random
import tempfile
import time
from pathlib import Path

from . import writer
from .changes import CHANGES, refused_key
from .codes import Finding
from .crc32c import crc32c
from .crypto import SMALL_ORDER, decode_point, has_small_order, sha256, verify as verify_signature
from .cuts import BadCut, check_cuts
from .directory import read_directory
from .merkle import check_consistency, check_inclusion, leaf_hash, node_hash
from .segments import PAYLOAD
from .trust import parse_trust
from .verification import verify
from .world import World
from .writer import Signing, message, numbered

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
    for change, code in CHANGES.items():
        world = World()
        inputs = world.inputs()
        change(world, inputs)
        report = verify(_without_payload_notes(inputs))
        named = report.named()
        _expect(named and named.code == code, f"{change.__name__}: {report.faults}")
        checked += 1
    world = World()
    inputs = world.inputs()
    refused_key(world, inputs)
    codes = [(fault.code, fault.more) for fault in verify(_without_payload_notes(inputs)).faults]
    _expect(codes == [("unknown_key", 1)], f"the key of a refused leaf registers nothing: {codes}")
    return f"{checked + 1} named"


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
    """Flips bits of every file of a data directory, evenly spread; one in a superseded record may pass for a torn one."""
    world = World()
    counted = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world.write(folder, again=0)
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


