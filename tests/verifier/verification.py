"""The verification of a root log and its streams, format.md section 14."""

from dataclasses import dataclass, field

from .codes import Finding, Report
from .content import Content
from .notes import Checkpoint, open_checkpoint
from .rootlog import Claim, Key, RootLog
from .stream import StreamCheck


@dataclass
class Inputs:
    """What is verified: see section 14. `leaves` are the root leaves by index; `root_size` counts those that are missing too.

    `streams` maps 16 bytes to a source with `checkpoint` and `feed(check)`.
    """

    leaves: dict = field(default_factory=dict)
    root_size: int | None = None
    root_findings: list = field(default_factory=list)
    root_checkpoint: bytes | None = None
    streams: dict = field(default_factory=dict)
    trust: object = None
    now: int | None = None
    max_age: int | None = None
    bodies: bool = True

    @property
    def size(self):
        """Returns the size of the root log."""
        return len(self.leaves) if self.root_size is None else self.root_size


@dataclass
class BatchList:
    """A stream given as a list of batches, some torn bytes at its end, and its checkpoint."""

    batches: list
    torn_bytes: int = 0
    checkpoint: bytes | None = None
    damaged_at: int | None = None

    def feed(self, check):
        """Gives the check every batch in order; the record before number `damaged_at` cannot be read."""
        for place, raw in enumerate(self.batches):
            if place == self.damaged_at:
                check.damaged("a record cannot be read")
            check.batch(raw)
        if self.torn_bytes:
            check.add_here("torn_tail", f"{self.torn_bytes} bytes of an unfinished record")

    def has_batch(self):
        """Returns whether there is any batch."""
        return bool(self.batches)


def verify(inputs):
    """Returns the Report of section 14 on the inputs."""
    return _Verification(inputs).run()


class _Verification:
    """One verification on its way through the four steps of section 14."""

    def __init__(self, inputs):
        self.inputs, self.trust = inputs, inputs.trust
        self.report = Report()
        self.rootlog = RootLog(self.report, inputs.trust)
        self.pins, self.pin_times = {}, []
        self.unknown_below = False

    def run(self):
        """Returns the Report."""
        self.rootlog.run(self.inputs.leaves, self.inputs.root_findings)
        self._root_checkpoints()
        self._open_pins()
        checks = [self._stream(stream) for stream in self._named_streams()]
        contents = {check.stream: check.content for check in checks if check and check.content}
        for content in contents.values():
            content.refers_elsewhere(contents)
        self.report.sort([stream.hex() for stream in self._named_streams()])
        self._anchor()
        return self.report

    def _root_checkpoints(self):
        """Step 1, its end: the root log's checkpoint and pin."""
        self.report.root = {"size": self.inputs.size, "checkpointed": None}
        if self.inputs.root_checkpoint is None:
            self.report.add(Finding("no_checkpoint", "the root log has no checkpoint"))
        else:
            held = self._open_root(self.inputs.root_checkpoint, "the root log's checkpoint", self.rootlog.holders)
            self.report.root["checkpointed"] = held.size if held else None
            self.unknown_below = held is not None and self.rootlog.has_unknown_below(held.size)
        if self.trust and "root" in self.trust.pins:
            pin = self._open_root(self.trust.pins["root"], "the root pin", self.rootlog.pin_holders)
            if pin:
                self.pin_times.append(pin.time)

    def _open_root(self, raw, what, holders):
        """Returns the Checkpoint of a root note that the leaves agree with; None after a fault, or where leaves are missing."""
        size = self.inputs.size
        try:
            held = self._open(raw, "root", holders, Key.check_range)
            if held.size > size:
                raise Finding("truncated", f"{size} root leaves where it says {held.size}", size)
            if self.rootlog.roots.get(held.size, held.root) != held.root:
                raise Finding("checkpoint_mismatch", f"it has another root at {held.size}", held.size)
        except Finding as finding:
            self.report.add(_about(what, finding))
            return None
        return held if held.size in self.rootlog.roots else None

    def _open(self, raw, tail, holders, check_key):
        """Returns the Checkpoint of a note by a key of its role and the cosigner; raises a Finding."""
        if self.rootlog.deployment is None:
            raise Finding("checkpoint_refused", "no genesis and no trust file name its keys")
        keys = holders("sequencer" if tail == "root" else "checkpoint")
        return open_checkpoint(raw, self.rootlog.deployment, tail, keys, holders("cosign"), check_key)

    def _open_pins(self):
        """Verifies the pins of streams: each becomes its Checkpoint, or the Finding that refuses it."""
        for name, raw in self.trust.pins.items() if self.trust else ():
            if name == "root":
                continue
            try:
                pin = self._open(raw, name, self.rootlog.pin_holders, lambda _key, _size: None)
                self.pin_times.append(pin.time)
            except Finding as finding:
                pin = _about("the pin", finding)
            self.pins[bytes.fromhex(name)] = pin

    def _named_streams(self):
        """Returns every stream that is there, opened or pinned, in the order of section 14."""
        return list(dict.fromkeys([*self.rootlog.streams, *sorted(self.pins), *sorted(self.inputs.streams)]))

    def _stream(self, stream):
        """Steps 2 and 3 for one stream; returns its StreamCheck, or None where there is nothing to check."""
        source = self.inputs.streams.get(stream)
        if source is None:
            self.report.add(Finding("stream_missing", "the root log or a pin names it, and it is not there"), stream.hex())
            return None
        if stream not in self.rootlog.streams:
            if source.has_batch() or stream in self.pins:
                code = "unknown_version" if self.unknown_below else "stream_unknown"
                self.report.add(Finding(code, "no root leaf opens it"), stream.hex())
            return None
        later, claims = [], list(self.rootlog.streams[stream].claims)
        held = self._checkpoint(stream, source, later, claims)
        pin = self._pin(stream, later, claims)
        check = StreamCheck(stream, self.rootlog, self.report, {claim.size for claim in claims}, self.unknown_below)
        if self.inputs.bodies:
            check.content = Content(stream, check.add)
        source.feed(check)
        for finding in [*later, *check.claims(claims)]:
            self.report.add(finding, stream.hex())
        self._answer(stream, check, held, pin)
        return check

    def _checkpoint(self, stream, source, later, claims):
        """Returns the stream's own Checkpoint or None; what it says goes to `claims`, its faults to `later`."""
        if source.checkpoint is None:
            later.append(Finding("no_checkpoint", "the stream has no checkpoint"))
            return None
        try:
            after = self.rootlog.streams[stream].newest_index()
            held = self._open(source.checkpoint, stream.hex(), self.rootlog.holders, lambda key, _: key.check_after(after))
        except Finding as finding:
            later.append(_about("the checkpoint", finding))
            return None
        claims.append(Claim("the checkpoint", held.size, held.root))
        return held

    def _pin(self, stream, later, claims):
        """Returns the stream's pinned Checkpoint or None, likewise."""
        pin = self.pins.get(stream)
        if isinstance(pin, Finding):
            later.append(pin)
            return None
        if pin:
            claims.append(Claim("the pin", pin.size, pin.root))
        return pin

    def _answer(self, stream, check, held, pin):
        """Writes the stream's part of the answer (step 4): complete to the pin, where the tree's root is the pin's."""
        complete = pin and pin.size and check.root_at(pin.size) == pin.root
        self.report.streams[stream.hex()] = {
            "size": check.next,
            "checkpointed": held.size if held else None,
            "complete_to": pin.size if complete else None,
            "as_of": pin.time if complete else None,
        }

    def _anchor(self):
        """Step 4: what the answer rests on."""
        if self.trust is None:
            self.report.add(Finding("self_anchored", "no trust file: everything could have been replaced"))
            return
        if any(isinstance(pin, Checkpoint) and pin.size for pin in self.pins.values()):
            self.report.anchor = "pinned"
        else:
            self.report.add(Finding("pin_empty", "the trust file pins no events"))
            return
        if self._stale():
            age = self.inputs.now - max(self.pin_times)
            self.report.add(Finding("pin_stale", f"the newest pin is {age} seconds old"))

    def _stale(self):
        """Returns whether the newest pin lies more than the maximum age before now, or after."""
        if self.inputs.max_age is None or self.inputs.now is None or not self.pin_times:
            return False
        return abs(self.inputs.now - max(self.pin_times)) > self.inputs.max_age


def _about(what, finding):
    """Returns the finding with what it is about in front."""
    return Finding(finding.code, f"{what}: {finding.text}", finding.index)
