"""A data directory as the inputs of a verification, format.md sections 11 and 12."""

import re
from dataclasses import dataclass, field

from .batch import ZEROS, parse_batch, place_of
from .codes import Finding
from .crypto import sha256
from .merkle import Tree, leaf_hash
from .segments import BATCH, PAYLOAD, ROOT_LEAF, ROOT_STREAM, read_segments
from .verification import Inputs


def read_directory(folder):
    """Returns the Inputs in a data directory; raises FileNotFoundError where there is none."""
    root, streams = folder / "rootlog", folder / "streams"
    inputs = Inputs(root_checkpoint=_read(root / "checkpoint"))
    for path in sorted(streams.iterdir()) if streams.is_dir() else ():
        if re.fullmatch("[0-9a-f]{32}", path.name):
            inputs.streams[bytes.fromhex(path.name)] = SegmentSource(read_segments(path), _read(path / "checkpoint"))
    if root.is_dir():
        inputs.leaves, inputs.root_findings, inputs.root_size = read_root_log(read_segments(root))
    elif not inputs.streams:
        raise FileNotFoundError(f"{folder} has neither a rootlog nor streams")
    return inputs


def _read(path):
    """Returns a file's bytes, or None if there is none."""
    return path.read_bytes() if path.is_file() else None


def _limits(segments):
    """Yields each segment with the first index of the next, None for the last."""
    return zip(segments, [*(segment.first for segment in segments[1:]), None], strict=False)


def read_root_log(segments):
    """Returns the root leaves as a dict by index, the findings about their segments, and the log's size."""
    log = _RootLeaves()
    for segment, limit in _limits(segments):
        log.segment(segment, limit)
    log.superseded_leaves()
    return log.leaves, log.findings, log.next


@dataclass
class _RootLeaves:
    """The root leaves as they are read."""

    leaves: dict = field(default_factory=dict)
    findings: list = field(default_factory=list)
    superseded: list = field(default_factory=list)
    tree: Tree = field(default_factory=Tree)
    next: int = 0

    def add(self, code, text):
        """Keeps a finding at the next leaf."""
        self.findings.append(Finding(code, text, self.next))

    def segment(self, segment, limit):
        """Takes the leaves of one segment; those at or after the limit are superseded."""
        if segment.first > self.next:
            self.add("damaged", f"a segment begins at {segment.first}")
            self.next = segment.first
        self._header(segment)
        index = segment.first
        for kind, body in segment.records():
            if kind is None:
                self._torn(segment, body, limit)
            elif kind != ROOT_LEAF:
                self.add("damaged", f"a record of type {kind} in the root log")
            elif limit is not None and index >= limit:
                self.superseded.append((index, body))
                index += 1
            else:
                self._leaf(index, body)
                index += 1

    def _leaf(self, index, body):
        """Takes one leaf; behind missing ones the tree is not known."""
        self.leaves[index] = body
        if self.tree.size == index:
            self.tree.append(leaf_hash(body))
        self.next = index + 1

    def _header(self, segment):
        """Checks what a segment's header says of the leaves before it."""
        if segment.fault:
            self.add("damaged", segment.fault.text)
        elif segment.header.stream != ROOT_STREAM:
            self.add("wrong_stream", "a segment of the root log names a stream")
        elif not segment.is_as_named():
            self.add("damaged", "a segment's header is not of the segment that its name says")
        elif self.tree.size == self.next:
            header = segment.header
            if header.last_seal != ZEROS or header.frontier != self.tree.frontier:
                self.add("damaged", f"the segment header at {header.first} is not what the log is there")

    def _torn(self, segment, why, limit):
        if limit is None:
            self.add("torn_tail", why)
        elif self.next < limit:
            self.add("damaged", why)
        else:
            self.findings.append(segment.tail())

    def superseded_leaves(self):
        """Reports superseded leaves that differ from those that took their place."""
        differ = [
            Finding("damaged", f"the superseded root leaf {index} differs", index)
            for index, body in self.superseded
            if self.leaves.get(index) != body
        ]
        self.findings = sorted(self.findings + differ, key=lambda finding: finding.index)


@dataclass
class SegmentSource:
    """A stream's segments and its checkpoint."""

    segments: list
    checkpoint: bytes | None = None

    def has_batch(self):
        """Returns whether there is any batch."""
        return any(kind == BATCH for segment in self.segments for kind, _ in segment.records())

    def feed(self, check):
        """Gives the check every record that counts, in order; superseded batches when the stream has passed them."""
        superseded = _Superseded(check)
        for segment, limit in _limits(self.segments):
            self._header(check, segment)
            self._records(check, segment, limit, superseded)
            if check.content:
                check.content.segment_end(check.next)
        superseded.name(2**64)

    def _header(self, check, segment):
        """Checks a segment's header against the stream so far."""
        if segment.fault and segment.fault.code == "unknown_version" and check.unknown_below:
            check.end(Finding("unknown_version", segment.fault.text, check.next))
        elif segment.fault:
            check.damaged(segment.fault.text)
        elif segment.header.stream != check.stream:
            check.add_here("wrong_stream", f"the segment at {segment.first} names stream {segment.header.stream.hex()}")
        elif not segment.is_as_named():
            check.damaged("a segment's header is not of the segment that its name says")
        else:
            check.header(segment.first, segment.header.frontier, segment.header.last_seal)

    def _records(self, check, segment, limit, superseded):
        """Gives the check the batches and payload records of a segment."""
        records, claimed, is_superseded = list(segment.records()), segment.first, False
        superseded.begin(limit)
        for at, (kind, body) in enumerate(records):
            place = place_of(body) if kind == BATCH else None
            first, count = place or (claimed, 0)
            if limit is not None and not is_superseded:
                ahead = claimed >= limit and not _goes_on(records, at, limit)
                is_superseded = ahead or (kind == BATCH and first >= limit)
            if kind is None:
                _torn(check, segment, body, limit, is_superseded or (limit is not None and claimed >= limit))
            elif kind not in (BATCH, PAYLOAD):
                check.damaged(f"a record of type {kind}")
            elif is_superseded:
                if kind == BATCH:
                    superseded.add(place, body)
            elif kind == BATCH:
                claimed = max(claimed, first + count)
                taken = check.batch(body)
                if check.content and taken:
                    check.content.batch_end()
                superseded.name(check.next)
            elif check.content and not check.ended:
                check.content.payload(body)


def _goes_on(records, at, limit):
    """Returns whether the next batch from a record on, payload records passed over, lies before the limit."""
    kind, body = next((record for record in records[at:] if record[0] != PAYLOAD), (None, None))
    place = place_of(body) if kind == BATCH else None
    return place is not None and place[0] < limit


def _torn(check, segment, why, limit, is_superseded):
    """Reports a torn record: an interrupted write at the end or among superseded records, else damage."""
    if limit is None:
        check.add_here("torn_tail", why)
    elif is_superseded:
        check.add(segment.tail())
    else:
        check.damaged(why)


@dataclass
class _Superseded:
    """Superseded batches that the stream has not passed yet."""

    check: object
    waiting: list = field(default_factory=list)
    limit: int | None = None
    last: int = 0

    def begin(self, limit):
        """Begins with a segment that ends at the limit."""
        self.limit, self.last = limit, limit or 0

    def add(self, place, body):
        """Takes the next superseded batch; one below the one before it is not where it belongs."""
        first = place[0] if place else self.limit
        self.waiting.append((first, body, first >= self.last))
        self.last = max(self.last, first)

    def name(self, below):
        """Reports those below an index that are not what was taken in at their place."""
        passed = [waits for waits in self.waiting if waits[0] < below]
        self.waiting = [waits for waits in self.waiting if waits[0] >= below]
        for first, body, in_order in passed:
            seal_hash, held = self.check.batches.get(first, (None, None))
            if held != sha256(body) or not in_order:
                self._name(first, body, seal_hash)

    def _name(self, first, body, held):
        """Reports one that differs: a fork if its seal is validly signed and another one was sealed in its place."""
        try:
            seal, _ = parse_batch(body)
        except Finding:
            seal = None
        signed = seal and seal.stream == self.check.stream and self.check.is_signed(seal)
        if signed and first < self.check.next and held != seal.hash():
            self.check.add(Finding("fork", f"a superseded batch at {first} is signed, another was sealed there", first))
        else:
            self.check.add(Finding("damaged", f"a superseded batch at {first} differs", first))
