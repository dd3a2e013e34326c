"""What events refer to: resources, other events and payload records, format.md section 15."""

from dataclasses import dataclass

from .batch import ASSESSMENT, CONFLICT, RESOURCE, SPAN, magic_version
from .codes import Finding
from .crypto import sha256
from .cuts import BadCut, check_cuts
from .envelope import EVENTS, NotCanonical, UnknownVersion, decode_event
from .reader import Reader, Short

PAYLOAD_MAGIC = b"spanseal/payl/v1"
PAYLOAD_HEAD = 16 + 16 + 16 + 16 + 2 + 2 + 24
TAG_LEN = 16
WHATS = {"resource": 1, "scope": 2, "tenant": 3, "configuration": 4}
BLOCK_BITS = 16


class Content:
    """Checks the bodies of one stream's events, and its payload records."""

    def __init__(self, stream, add):
        """`add(finding)` reports a finding of this stream."""
        self.stream, self.add = stream, add
        # Kinds by index, of the events that were read; the size is one above the last.
        self.kinds, self.size = {}, 0
        self.whats = {}
        self.elsewhere = []
        self.payloads, self.again = {}, []
        self.batches = 0

    def event(self, index, epoch, event):
        """Checks one event, and reports its first fault and the payload records that are missing."""
        self.kinds[index], self.size = event[0], index + 1
        try:
            self._event(index, epoch, event)
        except Finding as finding:
            self.add(finding)

    def _event(self, index, epoch, event):
        """Checks one event; raises its first fault."""
        kind = event[0]
        if kind not in EVENTS:
            return
        try:
            fields = decode_event(kind, event[1:])
        except UnknownVersion as unknown:
            raise Finding("unknown_version", f"an event of kind {kind}: {unknown}", index) from None
        except NotCanonical as reason:
            raise Finding("envelope", f"an event of kind {kind} is not canonical: {reason}", index) from None
        if kind == RESOURCE:
            self.whats[index] = fields.get("what", 0), epoch
        self._check(index, epoch, kind, fields)

    def _check(self, index, epoch, kind, fields):
        """Checks what a decoded event refers to and what was cut from it; raises the first fault."""
        try:
            self._refers(index, epoch, kind, fields)
        except Finding as finding:
            self.add(finding)
        self._payloads(index, fields.get("payloads", ()))

    def _refers(self, index, epoch, kind, fields):
        """Checks cuts, and references to events; raises the first fault."""
        try:
            check_cuts(fields.get("span", fields.get("content", b"")), fields.get("cuts", ()))
        except BadCut as bad:
            raise Finding("envelope", str(bad), index) from None
        if kind in (SPAN, CONFLICT, ASSESSMENT):
            for field, what in WHATS.items():
                if field in fields:
                    self._resource(index, epoch, field, what, fields[field])
        self._events(index, fields)

    def _resource(self, index, epoch, field, what, target):
        """Raises unless the target is an earlier resource event of that kind, epoch and run of 65,536."""
        if target >= index or self.whats.get(target) != (what, epoch) or target >> BLOCK_BITS != index >> BLOCK_BITS:
            raise Finding("envelope", f"{field} {target} is no such resource event before {index}", index)

    def _events(self, index, fields):
        """Checks references to events; those to other streams are kept for the end."""
        for name, wanted in (("event", SPAN), ("first", SPAN), ("events", None)):
            refs = fields.get(name, [])
            for ref in refs if isinstance(refs, list) else [refs]:
                stream, target = ref.get("stream", self.stream), ref.get("index", 0)
                if stream != self.stream:
                    self.elsewhere.append((index, stream, target, wanted))
                elif target >= index or (wanted and self.kinds.get(target, wanted) != wanted):
                    raise Finding("envelope", f"{name} {target} is no such event before {index}", index)

    def refers_elsewhere(self, contents):
        """Reports references to events of other streams that are there and do not hold such an event."""
        for index, stream, target, wanted in self.elsewhere:
            other = contents.get(stream)
            if other is None:
                continue
            if target >= other.size or (wanted and other.kinds.get(target, wanted) != wanted):
                self.add(Finding("envelope", f"event {stream.hex()}-{target} is not there, or no such event", index))

    def payload(self, body):
        """Takes a payload record of the present segment; one that stands there again is one too many."""
        payload = sha256(body)
        if payload in self.payloads:
            self.again.append(self.batches)
        else:
            self.payloads[payload] = _Payload(body, self.batches)

    def _payloads(self, index, ids):
        """Checks the payload records that an event lists, in chunk order; one that is missing cannot be checked."""
        group = None
        for chunk, payload in enumerate(ids):
            held = self.payloads.get(payload)
            if held is None:
                self.add(Finding("payload_missing", f"payload record {payload.hex()[:8]} is not there", index))
                continue
            held.listed = True
            named, *place = parse_payload(held.body, self.stream)
            if place != [chunk, len(ids)] or group not in (None, named):
                raise Finding("payload_mismatch", f"payload record {payload.hex()[:8]} is another chunk", index)
            group = named

    def batch_end(self):
        """Takes the payload records so far as belonging to batches that are there."""
        self.batches += 1

    def segment_end(self, index):
        """Reports payload records that no event of the segment lists; those behind its last batch belong to the tail."""
        unlisted = [payload.batches for payload in self.payloads.values() if not payload.listed] + self.again
        surplus = sum(batches < self.batches for batches in unlisted)
        if surplus:
            self.add(Finding("payload_mismatch", f"no event lists {surplus} payload records of the segment", index))
        self.payloads, self.again, self.batches = {}, [], 0


@dataclass
class _Payload:
    """A payload record, and how many batches of its segment stood before it."""

    body: bytes
    batches: int
    listed: bool = False


def parse_payload(body, stream):
    """Returns (group, chunk, chunks) of a payload record; raises a Finding."""
    try:
        magic_version(body, PAYLOAD_MAGIC, "payload record")
        if len(body) < PAYLOAD_HEAD + TAG_LEN:
            raise Short("it is shorter than its head")
    except Short as short:
        raise Finding("payload_mismatch", f"a payload record does not parse: {short}") from None
    reader = Reader(body)
    reader.take(16)
    named, _subject, group = reader.take(16), reader.take(16), reader.take(16)
    chunk, chunks = reader.number(2), reader.number(2)
    if named != stream:
        raise Finding("payload_mismatch", f"a payload record names stream {named.hex()}")
    return group, chunk, chunks
