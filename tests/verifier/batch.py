"""Batches, seals, key events and gap events, format.md sections 4 to 7."""

import struct
from dataclasses import dataclass

from .codes import Finding
from .crypto import sha256
from .reader import Reader, Short

SEAL_LEN = 264
SIGNED_LEN = 200
BATCH_MAX = 900_000
RUN = 256
SEAL_MAGIC = b"spanseal/seal/v1"
ZEROS = bytes(32)

SPAN, RESOURCE, EVIDENCE, ASSESSMENT, GAP, CONFLICT, FINDING, ERASURE, KEY = range(1, 10)
OPENING, CLOSING = 1, 2
FIRST, CLEAN, ROTATION, UNCLEAN = 1, 2, 3, 4
SHUTDOWN, ROTATED = 1, 2

# Section 4: magic, stream, epoch, count, zero, first, size, root, previous, ten counters and times, signature.
_SEAL = struct.Struct(">16s16sIHHQQ32s32sQQQQQQQQQQ64s")


@dataclass(slots=True)
class Seal:
    """The fields of section 4, and the bytes they came from."""

    raw: bytes
    stream: bytes
    epoch: int
    count: int
    first: int
    size: int
    root: bytes
    previous: bytes
    wall: int
    monotonic: int
    behind: int
    received: int
    sealed: int
    duplicate: int
    conflict: int
    invalid: int
    shed: int
    refused: int
    signature: bytes

    def counters(self):
        """Returns every counter that may not fall within an epoch."""
        return (
            self.behind, self.received, self.sealed, self.duplicate, self.conflict, self.invalid, self.shed,
            self.refused,
        )

    def hash(self):
        """Returns the seal hash, H(0x02 || all 264 bytes)."""
        return sha256(b"\x02" + self.raw)


def magic_version(raw, magic, what):
    """Raises `unknown_version` if the bytes begin with the magic of another version, Short if with no such magic."""
    found = raw[: len(magic)]
    if found == magic:
        return
    if len(found) == len(magic) and found[:-1] == magic[:-1]:
        raise Finding("unknown_version", f"a {what} of another version: {found!r}")
    raise Short(f"no {what} begins with {found!r}")


def place_of(raw):
    """Returns the first index and the count that a batch claims by its seal, or None where it has none to read."""
    count, first = int.from_bytes(raw[36:38], "big"), int.from_bytes(raw[40:48], "big")
    plausible = len(raw) >= SEAL_LEN and raw.startswith(SEAL_MAGIC) and 1 <= count <= RUN and first + count < 2**64
    return (first, count) if plausible else None


def parse_batch(raw):
    """Returns (Seal, list of events); raises `malformed_batch` or `unknown_version` (sections 4 and 5)."""
    try:
        if not SEAL_LEN <= len(raw) <= BATCH_MAX:
            raise Short(f"it has {len(raw)} bytes")
        seal = parse_seal(raw)
        return seal, _entries(raw, seal.count)
    except Short as short:
        raise Finding("malformed_batch", f"the batch does not parse: {short}") from None


def parse_seal(raw):
    """Returns the Seal at the front of a batch; raises Short or `unknown_version`."""
    magic_version(raw, SEAL_MAGIC, "seal")
    if len(raw) < SEAL_LEN:
        raise Short("it is shorter than a seal")
    _magic, stream, epoch, count, zero, first, size, *rest = _SEAL.unpack_from(raw)
    if zero != 0:
        raise Short("reserved bytes are not zero")
    if not 1 <= count <= RUN:
        raise Short(f"it says {count} events")
    if size != first + count:
        raise Short(f"size {size} is not {first} + {count}")
    return Seal(raw[:SEAL_LEN], stream, epoch, count, first, size, *rest)


def _entries(raw, count):
    """Returns the events of a batch; raises Short."""
    events, at, end = [], SEAL_LEN, len(raw)
    for _ in range(count):
        start = at + 2
        at = start + int.from_bytes(raw[at:start], "big")
        if start > end or at > end or at == start:
            raise Short("an event's length does not fit")
        events.append(raw[start:at])
    if at != end:
        raise Short("bytes follow the last event")
    return events


@dataclass(slots=True)
class Opening:
    """An opening event, section 6."""

    raw: bytes
    start: int
    stream: bytes
    epoch: int
    index: int
    root: bytes
    last_seal: bytes
    key: bytes
    deployment_hash: bytes
    leaf: int
    wall: int
    identity: bytes
    signature: bytes
    outgoing: bytes

    def signed(self):
        """Returns what both signatures cover."""
        return b"spanseal/open/v1" + self.raw[:209]


@dataclass(slots=True)
class Closing:
    """A closing event, section 6."""

    reason: int
    stream: bytes
    epoch: int
    index: int
    wall: int


def is_opening(event):
    """Returns whether the event is an opening, by its first two bytes."""
    return event[:2] == bytes([KEY, OPENING])


def is_closing(event):
    """Returns whether the event is a closing, by its first two bytes."""
    return event[:2] == bytes([KEY, CLOSING])


def parse_opening(event):
    """Returns the Opening; raises `malformed_key_event`."""
    reader = _key_event(event, 337)
    take, number = reader.take, reader.number
    opening = Opening(
        event, number(1), take(16), number(4), number(8), take(32), take(32), take(33), take(32), number(8), number(8),
        take(32), take(64), take(64),
    )
    if not FIRST <= opening.start <= UNCLEAN:
        raise Finding("malformed_key_event", f"an opening starts with {opening.start}")
    if opening.start != ROTATION and any(opening.outgoing):
        raise Finding("malformed_key_event", "an opening that is no rotation has a second signature")
    return opening


def parse_closing(event):
    """Returns the Closing; raises `malformed_key_event`."""
    reader = _key_event(event, 40)
    closing = Closing(reader.number(1), reader.take(16), reader.number(4), reader.number(8), reader.number(8))
    if closing.reason not in (SHUTDOWN, ROTATED):
        raise Finding("malformed_key_event", f"a closing gives reason {closing.reason}")
    return closing


def _key_event(event, length):
    """Returns a Reader after the version byte of a key event of that length."""
    if len(event) != length:
        raise Finding("malformed_key_event", f"a key event has {len(event)} bytes, not {length}")
    reader = Reader(event)
    reader.take(3)
    return reader


def is_unknown(event):
    """Returns whether a key event is of an unknown type or version, or a gap event of an unknown version."""
    if event[0] == KEY:
        return len(event) > 2 and (event[1] not in (OPENING, CLOSING) or event[2] != 1)
    return event[0] == GAP and event[1:2] not in (b"", b"\x01")


def check_gap(event):
    """Raises `malformed_key_event` unless the event is a gap of section 7."""
    if len(event) != 53 or event[3:5] != b"\0\0" or event[2] not in (1, 2, 3):
        raise Finding("malformed_key_event", "a gap event does not parse")
