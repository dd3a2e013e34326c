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
    """A segment's header, and how many bytes it has."""

    stream: bytes
    first: int
    last_seal: bytes
    frontier: list
    length: int


@dataclass
class Segment:
    """A segment file: its first index by name, its bytes, and its header or why there is none."""

    first: int
    data: bytes = field(repr=False)
    header: Header | None = None
    fault: Finding | None = None

    def records(self):
        """Yields (type, body) of each record, and at last (None, why) where one is torn."""
        at, end = self.header.length, len(self.data)
        while at < end:
            record_type, body = _record(self.data, at, end)
            yield record_type, body
            if record_type is None:
                return
            at += _RECORD_HEAD + len(body)


def read_segments(folder):
    """Returns the segments of a folder in order of their first index."""
    found = []
    for path in sorted(folder.iterdir()):
        match = _FILE.fullmatch(path.name)
        if match:
            found.append(open_segment(int(match[1]), path.read_bytes()))
    return found


def open_segment(first, data):
    """Returns the Segment; a header that cannot be read is its `fault`."""
    segment = Segment(first, data)
    try:
        segment.header = _header(data)
        if segment.header.first != first:
            raise Short(f"it names index {segment.header.first}, its file {first}")
    except Short as short:
        segment.header = None
        segment.fault = Finding("damaged", f"a segment header cannot be read: {short}", first)
    except Finding as finding:
        segment.fault = finding
    return segment


def _header(data):
    """Returns the Header; raises Short or `unknown_version`."""
    count_at = 16 + 16 + 8 + 32
    length = count_at + 1 + 32 * data[count_at] + 4 if len(data) > count_at else count_at + 5
    if len(data) < length:
        raise Short("the file ends in it")
    if crc32c(data[: length - 4]) != int.from_bytes(data[length - 4 : length], "big"):
        raise Short("its CRC does not match")
    magic_version(data, SEGMENT_MAGIC, "segment")
    reader = Reader(data)
    reader.take(16)
    stream, first, last_seal, count = reader.take(16), reader.number(8), reader.take(32), reader.number(1)
    if count != first.bit_count():
        raise Short(f"{count} frontier hashes for index {first}")
    return Header(stream, first, last_seal, [reader.take(32) for _ in range(count)], length)


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
