"""Reads what is sealed straight from segment files, by docs/format.md: no program of ours takes part.

It checks lengths only: signatures, hashes and CRCs are what the verifiers are for.
"""

import hashlib
import pathlib
import struct
from collections import Counter
from dataclasses import dataclass, field

from program import check

BATCH = 1
SPAN = 1
_HEAD = struct.Struct(">I4xB")  # length, CRC, type
_SEGMENT_FIXED = 16 + 16 + 8 + 32
_SEAL_LEN = 264
_EPOCH_AT, _COUNT_AT, _FIRST_AT = 32, 36, 40


@dataclass
class Segment:
    """How far a segment file was read, and whether a record is cut off behind that."""

    path: pathlib.Path
    read_to: int = 0
    torn: bool = False

    def batches(self):
        """Yields the body of every whole batch record behind what was read before."""
        size = self.path.stat().st_size
        self.read_to = min(self.read_to, size)
        with open(self.path, "rb") as file:
            if self.read_to == 0:
                head = file.read(_SEGMENT_FIXED + 1)
                if len(head) <= _SEGMENT_FIXED:
                    return
                self.read_to = _SEGMENT_FIXED + 1 + 32 * head[_SEGMENT_FIXED] + 4
            file.seek(self.read_to)
            while len(head := file.read(_HEAD.size)) == _HEAD.size:
                length, kind = _HEAD.unpack(head)
                body = file.read(length)
                if not length or len(body) < length:
                    break
                self.read_to += len(head) + length
                if kind == BATCH:
                    yield body
        self.torn = self.read_to < size


@dataclass
class Seals:
    """Every seal that was ever seen, so that an index signed twice is found out even when the first copy is gone."""

    data: pathlib.Path
    segments: dict = field(default_factory=dict)
    seen: dict = field(default_factory=dict)
    twice: list = field(default_factory=list)

    def look(self):
        """Reads what is new in every segment; returns whether the newest segment of a stream ends in a torn record.

        Called while no process writes.
        """
        torn = False
        for folder in streams(self.data):
            files = segment_files(folder)
            for path in files:
                segment = self.segments.setdefault(path, Segment(path))
                for body in segment.batches():
                    self._see(folder.name, body)
            torn = torn or any(self.segments[path].torn for path in files[-1:])
        return torn

    def _see(self, stream, body):
        """Remembers a batch, or that another one has its index in its epoch."""
        epoch = int.from_bytes(body[_EPOCH_AT:_EPOCH_AT + 4], "big")
        first = int.from_bytes(body[_FIRST_AT:_FIRST_AT + 8], "big")
        digest = hashlib.sha256(body).digest()
        if self.seen.setdefault((stream, epoch, first), digest) != digest:
            self.twice.append((stream, epoch, first))


def streams(data):
    """Returns the folders of the streams."""
    return sorted(path for path in (pathlib.Path(data) / "streams").iterdir() if path.is_dir())


def segment_files(folder):
    """Returns a log's segment files by first index."""
    return sorted(folder.glob("[0-9]*.seg"))


def span_ids(data):
    """Returns how often each span id is sealed; a batch that a later segment holds again counts once, as for readers."""
    times = Counter()
    for folder in streams(data):
        files = segment_files(folder)
        limits = [int(path.stem) for path in files[1:]] + [None]
        for path, limit in zip(files, limits, strict=True):
            for body in Segment(path).batches():
                first = int.from_bytes(body[_FIRST_AT:_FIRST_AT + 8], "big")
                if limit is None or first < limit:
                    times.update(_span_ids(body))
    return times


def exactly_once(data, *acknowledged):
    """Fails unless every span that the files name is sealed, and none twice; returns how many they name, and are sealed."""
    sealed = span_ids(data)
    spans = [span for file in acknowledged for span in file.read_text().split()]
    missing = [span for span in spans if sealed[span] == 0]
    check(not missing, f"{len(missing)} of {len(spans)} acknowledged spans are not in the ledger: {missing[:3]}")
    repeated = [span for span, times in sealed.items() if times > 1]
    check(not repeated, f"{len(repeated)} spans are in the ledger more than once: {repeated[:3]}")
    return len(spans), len(sealed)


def _span_ids(body):
    """Yields the span id of each span event in a batch."""
    at = _SEAL_LEN
    for _ in range(int.from_bytes(body[_COUNT_AT:_COUNT_AT + 2], "big")):
        start = at + 2
        at = start + int.from_bytes(body[at:start], "big")
        if body[start] == SPAN:
            span = _field(body, start + 1, at, 11)
            span_id = _field(body, *span, 2)
            yield body[slice(*span_id)].hex()


def _field(data, at, end, wanted):
    """Returns where the first length-delimited field with that number begins and ends."""
    while at < end:
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 2:
            length, at = _varint(data, at)
            if tag >> 3 == wanted:
                return at, at + length
            at += length
        elif wire == 0:
            _, at = _varint(data, at)
        else:
            at += 8 if wire == 1 else 4
    raise ValueError(f"no field {wanted}")


def _varint(data, at):
    """Returns a varint and where it ends."""
    value = data[at]
    if value < 0x80:
        return value, at + 1
    value, shift = value & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
