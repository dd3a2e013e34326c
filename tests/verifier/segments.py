"""Log records and segments, format.md section 11."""

import re
from dataclasses import dataclass, field

from .batch import magic_version
from .codes import Finding
from .crc32c import crc32c
from .reader import Reader, Short

BATCH, PAYLOAD, ROOT_LEAF = 1, 2, 3
ROOT_STREAM = b"spanseal/rootlog"
SEGMENT_MAGIC = b"spanseal/segm/v1"
BODY_MAX = 1_048_576
_RECORD_HEAD = 9
_FILE = re.compile(r"([0-9]{20})\.seg")


@dataclass
class Header:
    """A segment's header; the frontier is None if it has not the length that it says."""

    stream: bytes
    first: int
    last_seal: bytes
    frontier: list | None


@dataclass
class Segment:
    """A segment file: its first index by name, its bytes, and its header or why there is none."""

    first: int
    data: bytes = field(repr=False)
    header: Header | None = None
    fault: Finding | None = None
    torn_bytes: int = 0

    def is_as_named(self):
        """Returns whether the header is of the first index that the file's name says."""
        return self.header.first == self.first and self.header.frontier is not None

    def tail(self):
        """Returns what is noted of its end once it was read, when another segment follows."""
        text = f"segment {self.first:020}.seg ends in {self.torn_bytes} bytes that are no record: an interrupted write"
        return Finding("superseded_tail", text, self.first)

    def records(self):
        """Yields (type, body) of each record, and at last (None, why) where one is torn; whatever the header is."""
        at, end = header_len(self.first), len(self.data)
        while at < end:
            record_type, body = _record(self.data, at, end)
            self.torn_bytes = end - at if record_type is None else 0
            yield record_type, body
            if record_type is None:
                return
            at += _RECORD_HEAD + len(body)


def read_segments(folder):
    """Returns the segments of a folder in order of their first index."""
    found = []
    for path in sorted(folder.iterdir()):
        match = _FILE.fullmatch(path.name)
        if match and int(match[1]) < 2**64:
            found.append(open_segment(int(match[1]), path.read_bytes()))
    return found


def open_segment(first, data):
    """Returns the Segment; a header that cannot be read is its `fault`."""
    segment = Segment(first, data)
    try:
        segment.header = _header(data, header_len(first))
    except Short as short:
        segment.fault = Finding("damaged", f"a segment header cannot be read: {short}", first)
    except Finding as finding:
        segment.fault = finding
    return segment


def header_len(first):
    """Returns how many bytes the header of the segment with this first index has."""
    return 16 + 16 + 8 + 32 + 1 + 32 * first.bit_count() + 4


def _header(data, length):
    """Returns the Header of that length; raises Short or `unknown_version`."""
    if len(data) < length:
        raise Short("the file ends in it")
    if crc32c(data[: length - 4]) != int.from_bytes(data[length - 4 : length], "big"):
        raise Short("its CRC does not match")
    magic_version(data, SEGMENT_MAGIC, "segment")
    count_at = 16 + 16 + 8 + 32
    reader = Reader(data)
    reader.take(16)
    stream, first, last_seal, count = reader.take(16), reader.number(8), reader.take(32), reader.number(1)
    frontier = [reader.take(32) for _ in range((length - count_at - 5) // 32)]
    return Header(stream, first, last_seal, frontier if count == len(frontier) else None)


def _record(data, at, end):
    """Returns (type, body) of the record at an offset, or (None, why) if it is torn."""
    if at + _RECORD_HEAD > end:
        return None, f"the file ends in a record's head at byte {at}"
    length = int.from_bytes(data[at : at + 4], "big")
    if not 1 <= length <= BODY_MAX:
        return None, f"a record of {length} bytes at byte {at}"
    stop = at + _RECORD_HEAD + length
    if stop > end:
        return None, f"the file ends in the record at byte {at}"
    covered = data[at : at + 4] + data[at + 8 : stop]
    if crc32c(covered) != int.from_bytes(data[at + 4 : at + 8], "big"):
        return None, f"the CRC of the record at byte {at} does not match"
    return data[at + 8], data[at + _RECORD_HEAD : stop]
