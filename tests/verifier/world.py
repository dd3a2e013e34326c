"""A small valid log that the self-test verifies, in memory and as a data directory."""

import os
import struct

from . import writer
from .batch import CLEAN, FIRST, RESOURCE, ROTATED, ROTATION, SHUTDOWN, SPAN, UNCLEAN, ZEROS
from .content import PAYLOAD_MAGIC
from .crypto import sha256
from .merkle import Tree, leaf_hash
from .segments import BATCH, PAYLOAD, ROOT_LEAF, ROOT_STREAM
from .trust import parse_trust
from .verification import BatchList, Inputs
from .writer import Deployment, Stream, message


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
            leaves=dict(enumerate(self.deployment.leaves)),
            root_checkpoint=self.deployment.root_note(),
            streams={
                stream.id: BatchList(list(stream.batches), 0, stream.note()) for stream in (self.stream, self.other)
            },
            trust=parse_trust(self.deployment.trust(self.genesis_keys, self.pins())),
        )

    def write(self, folder, again=1):
        """Writes a data directory in which second segments supersede as many records of the first as `again` says."""
        root = folder / "rootlog"
        root.mkdir(parents=True)
        leaves, middle = self.deployment.leaves, len(self.deployment.leaves) // 2
        _segment(root, ROOT_STREAM, 0, ZEROS, [], [(ROOT_LEAF, leaf) for leaf in leaves[: middle + again]])
        before = Tree()
        for leaf in leaves[:middle]:
            before.append(leaf_hash(leaf))
        _segment(root, ROOT_STREAM, middle, ZEROS, before.frontier, [(ROOT_LEAF, leaf) for leaf in leaves[middle:]])
        (root / "checkpoint").write_bytes(self.deployment.root_note())
        for stream in (self.stream, self.other):
            self._write_stream(folder / "streams" / stream.id.hex(), stream, again)

    def _write_stream(self, folder, stream, again):
        """Writes one stream's segments and checkpoint."""
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_bytes(stream.note())
        half = len(stream.batches) // 2
        first, last_seal, tree = 0, ZEROS, Tree()
        if half:
            _segment(folder, stream.id, 0, ZEROS, [], self._records(stream.batches[: half + again]))
            for raw in stream.batches[:half]:
                last_seal, first = sha256(b"\x02" + raw[:264]), int.from_bytes(raw[48:56], "big")
                for event in events_of(raw):
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


def events_of(raw):
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
