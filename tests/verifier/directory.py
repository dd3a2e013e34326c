"""A data directory as the inputs of a verification, format.md sections 11 and 12."""

import re
from dataclasses import dataclass, field

from .batch import SIGNED_LEN, ZEROS, parse_seal
from .codes import Finding
from .crypto import sha256, verify
from .merkle import Tree, leaf_hash
from .reader import Short
from .segments import BATCH, PAYLOAD, ROOT_LEAF, ROOT_STREAM, read_segments
from .verification import Inputs


def read_directory(folder):
    """Returns the Inputs in a data directory."""
    inputs = Inputs(root_checkpoint=_read(folder / "rootlog" / "checkpoint"))
    if (folder / "rootlog").is_dir():
        inputs.leaves, inputs.root_findings = read_root_log(read_segments(folder / "rootlog"))
    streams = folder / "streams"
    for path in sorted(streams.iterdir()) if streams.is_dir() else ():
        if re.fullmatch("[0-9a-f]{32}", path.name):
            inputs.streams[bytes.fromhex(path.name)] = SegmentSource(read_segments(path), _read(path / "checkpoint"))
    return inputs


def _read(path):
    """Returns a file's bytes, or None if there is none."""
    return path.read_bytes() if path.is_file() else None


def read_root_log(segments):
    """Returns the root leaves in order, and the findings about their segments."""
    log = _RootLeaves()
    for place, segment in enumerate(segments):
        limit = segments[place + 1].first if place + 1 < len(segments) else None
        log.segment(segment, limit)
    log.superseded_leaves()
    return log.leaves, log.findings


@dataclass
class _RootLeaves:
    """The root leaves as they are read."""

    leaves: list = field(default_factory=list)
    findings: list = field(default_factory=list)
    superseded: list = field(default_factory=list)
    tree: Tree = field(default_factory=Tree)
    lost: bool = False

    def add(self, code, text):
        """Keeps a finding at the next leaf; behind one that says tampered no leaf has a sure index."""
        self.findings.append(Finding(code, text, len(self.leaves)))
        self.lost = self.lost or code != "torn_tail"

    def segment(self, segment, limit):
        """Takes the leaves of one segment; those at or after the limit are superseded."""
        if segment.fault:
            self.add(segment.fault.code, segment.fault.text)
        elif not self.lost:
            self._header(segment.header)
        if self.lost:
            return
        index = segment.first
        for kind, body in segment.records():
            if kind is None:
                self._torn(body, limit)
            elif kind != ROOT_LEAF:
                self.add("damaged", f"a record of type {kind} in the root log")
                return
            elif limit is not None and index >= limit:
                self.superseded.append((index, body))
                index += 1
            else:
                self.leaves.append(body)
                self.tree.append(leaf_hash(body))
                index += 1

    def _header(self, header):
        if header.stream != ROOT_STREAM:
            self.add("wrong_stream", "a segment of the root log names a stream")
        if header.first != len(self.leaves):
            self.add("damaged", f"a segment begins at {header.first} after {len(self.leaves)} leaves")
        elif not _continues(header, ZEROS, self.tree):
            self.findings.append(Finding("damaged", f"the header at {header.first} has another frontier", header.first))

    def _torn(self, why, limit):
        if limit is None:
            self.add("torn_tail", why)
        elif len(self.leaves) < limit:
            self.add("damaged", why)

    def superseded_leaves(self):
        """Reports superseded leaves that differ from those that took their place."""
        for index, body in self.superseded:
            if index < len(self.leaves) and self.leaves[index] != body:
                self.findings.append(Finding("damaged", f"the superseded root leaf {index} differs", index))


def _continues(header, last_seal, tree):
    """Returns whether a header says what the log before it is."""
    return header.last_seal == last_seal and header.frontier == tree.frontier


@dataclass
class SegmentSource:
    """A stream's segments and its checkpoint."""

    segments: list
    checkpoint: bytes | None = None

    def has_batch(self):
        """Returns whether any batch can be read."""
        return any(kind == BATCH for segment in self.segments if segment.header for kind, _ in segment.records())

    def feed(self, check):
        """Gives the check every record that counts, in order, and then the superseded ones."""
        superseded = []
        for place, segment in enumerate(self.segments):
            limit = self.segments[place + 1].first if place + 1 < len(self.segments) else None
            if self._header(check, segment):
                self._records(check, segment, limit, superseded)
            if check.content:
                check.content.segment_end()
        for first, raw in superseded:
            _check_superseded(check, first, raw)

    def _header(self, check, segment):
        """Checks a segment's header against the stream so far; returns whether its records can be read."""
        if segment.fault:
            check.add_here(segment.fault.code, segment.fault.text)
            check.stop(segment.fault.code)
            return False
        header = segment.header
        if header.stream != check.stream:
            check.add_here("wrong_stream", f"the segment at {header.first} names stream {header.stream.hex()}")
            return True
        if check.stopped and check.stopped != "unknown_version" and header.first > check.next:
            check.resume(header.first, header.frontier, header.last_seal)
        elif header.first == check.next and not _continues(header, check.last_hash, check.tree):
            check.add_here("damaged", f"the header at {header.first} has another seal or frontier before it")
        return True

    def _records(self, check, segment, limit, superseded):
        """Gives the check the batches and payload records of a segment."""
        for kind, body in segment.records():
            first = int.from_bytes(body[40:48], "big") if kind == BATCH else None
            if kind is None:
                _torn(check, body, limit)
            elif kind == BATCH and limit is not None and first >= limit:
                superseded.append((first, body))
            elif kind == BATCH:
                if check.batch(body) and check.content:
                    check.content.batch_end()
            elif kind == PAYLOAD:
                if check.content:
                    check.content.payload(body)
            elif kind == ROOT_LEAF:
                check.add_here("damaged", "a root leaf stands in a stream")
            else:
                check.add_here("unknown_version", f"a record of the unknown type {kind}")


def _torn(check, why, limit):
    """Reports a torn record: an interrupted write at the end or among superseded records, else damage."""
    if check.stopped:
        return
    if limit is None:
        check.add_here("torn_tail", why)
    elif check.next < limit:
        check.add_here("damaged", why)
        check.stop("damaged")


def _check_superseded(check, first, raw):
    """Reports a superseded batch that differs from the one that took its place."""
    held = check.batches.get(first, (None, None))[1]
    if held == sha256(raw) or (held is None and first >= check.next):
        return
    try:
        seal = parse_seal(raw)
    except (Short, Finding):
        check.add(Finding("damaged", f"a superseded batch at {first} does not parse", first))
        return
    key = check.keys.get(seal.epoch)
    if key and verify(key[1:], seal.signature, seal.raw[:SIGNED_LEN]):
        check.add(Finding("fork", f"a superseded batch at {first} is validly signed and differs", first))
    else:
        check.add(Finding("damaged", f"a superseded batch at {first} differs", first))
