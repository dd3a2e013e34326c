"""The verification of a root log and its streams, format.md section 14."""

from dataclasses import dataclass, field

from .codes import Finding, Report
from .content import Content
from .notes import AT_ITS_SIZE, EVER, open_checkpoint
from .rootlog import Claim, RootLog, trust_key
from .stream import StreamCheck


@dataclass
class Inputs:
    """What is verified: see section 14. `streams` maps 16 bytes to a source with `checkpoint` and `feed(check)`."""

    leaves: list = field(default_factory=list)
    root_findings: list = field(default_factory=list)
    root_checkpoint: bytes | None = None
    streams: dict = field(default_factory=dict)
    trust: object = None
    now: int | None = None
    max_age: int | None = None
    bodies: bool = True


@dataclass
class BatchList:
    """A stream given as a list of batches, some torn bytes at its end, and its checkpoint."""

    batches: list
    torn_bytes: int = 0
    checkpoint: bytes | None = None

    def feed(self, check):
        """Gives the check every batch in order."""
        for raw in self.batches:
            check.batch(raw)
        if self.torn_bytes:
            check.add(Finding("torn_tail", f"{self.torn_bytes} bytes of an unfinished record"))


def verify(inputs):
    """Returns the Report of section 14 on the inputs."""
    return _Verification(inputs).run()


class _Verification:
    """One verification on its way through the four steps of section 14."""

    def __init__(self, inputs):
        self.inputs, self.trust = inputs, inputs.trust
        self.report = Report()
        self.rootlog = RootLog(self.report, inputs.trust)
        self.pinned = {}
        self.pin_times = []

    def run(self):
        """Returns the Report."""
        for finding in self.inputs.root_findings:
            self.report.add(finding)
        self.rootlog.run(self.inputs.leaves)
        if self.rootlog.deployment:
            self._root_checkpoints()
        checks = [self._stream(stream) for stream in self._named_streams()]
        contents = {check.stream: check.content for check in checks if check and check.content}
        for content in contents.values():
            content.refers_elsewhere(contents)
        self._anchor()
        return self.report

    def _root_checkpoints(self):
        """Step 1, its end: the root log's checkpoint and pin."""
        size = len(self.inputs.leaves)
        self.report.root = {"size": size, "checkpointed": None}
        if self.inputs.root_checkpoint is None:
            self.report.add(Finding("no_checkpoint", "the root log has no checkpoint"))
        else:
            held = self._open_root(self.inputs.root_checkpoint, "the root log's checkpoint", None)
            self.report.root["checkpointed"] = held.size if held else None
        if self.trust and "root" in self.trust.pins:
            pin = self._open_root(self.trust.pins["root"], "the root pin", self.trust)
            if pin:
                self.pinned["root"] = pin
                self.pin_times.append(pin.time)

    def _open_root(self, raw, what, trust):
        """Returns the Checkpoint of a root note after checking it against the leaves, or None after reporting it."""
        try:
            held = self._open(raw, "root", "sequencer", trust, EVER if trust else AT_ITS_SIZE)
        except Finding as finding:
            self.report.add(_about(what, finding))
            return None
        if held.size > len(self.inputs.leaves):
            self.report.add(Finding("truncated", f"{len(self.inputs.leaves)} root leaves where {what} says {held.size}"))
        elif self.rootlog.roots[held.size] != held.root:
            self.report.add(Finding("checkpoint_mismatch", f"{what} has another root at {held.size}"))
        return held

    def _open(self, raw, tail, role, trust, position):
        """Returns the Checkpoint of a note by the role's key and the cosigner; raises a Finding."""
        keys, cosign = (
            [trust_key(trust, name)] if trust else self.rootlog.holders(name) for name in (role, "cosign")
        )
        return open_checkpoint(raw, self.rootlog.deployment, tail, keys, cosign, position)

    def _named_streams(self):
        """Returns every stream that is there, opened or pinned: in the root log's order, then the others'."""
        pins = [bytes.fromhex(name) for name in (self.trust.pins if self.trust else ()) if name != "root"]
        return list(dict.fromkeys([*self.rootlog.streams, *pins, *sorted(self.inputs.streams)]))

    def _stream(self, stream):
        """Steps 2 and 3 for one stream; returns its StreamCheck, or None where there is nothing to check."""
        source = self.inputs.streams.get(stream)
        if source is None:
            self.report.add(Finding("stream_missing", "the root log or a pin names it, and it is not there"), stream.hex())
            return None
        if stream not in self.rootlog.streams:
            code = "unknown_version" if self.rootlog.unknown else "stream_unknown"
            self.report.add(Finding(code, "no root leaf that can be read opens it"), stream.hex())
            return None
        later, claims = [], list(self.rootlog.streams[stream].claims)
        held = self._checkpoint(stream, source, later, claims)
        pin = self._pin(stream, later, claims)
        check = StreamCheck(stream, self.rootlog, self.report, {claim.size for claim in claims})
        if self.inputs.bodies:
            check.content = Content(stream, check.add)
        source.feed(check)
        for finding in later:
            check.add(finding)
        check.claims(claims)
        self._answer(stream, check, held, pin)
        return check

    def _checkpoint(self, stream, source, later, claims):
        """Returns the stream's own Checkpoint or None; what it says goes to `claims`, its faults to `later`."""
        if source.checkpoint is None:
            later.append(Finding("no_checkpoint", "the stream has no checkpoint"))
            return None
        try:
            held = self._open(source.checkpoint, stream.hex(), "checkpoint", None, len(self.inputs.leaves))
        except Finding as finding:
            later.append(_about("the checkpoint", finding))
            return None
        claims.append(Claim("the checkpoint", held.size, held.root))
        return held

    def _pin(self, stream, later, claims):
        """Returns the stream's pinned Checkpoint or None, likewise."""
        raw = self.trust.pins.get(stream.hex()) if self.trust else None
        if raw is None:
            return None
        try:
            pin = self._open(raw, stream.hex(), "checkpoint", None, EVER)
        except Finding as finding:
            later.append(_about("the pin", finding))
            return None
        claims.append(Claim("the pin", pin.size, pin.root))
        self.pinned[stream.hex()] = pin
        self.pin_times.append(pin.time)
        return pin

    def _answer(self, stream, check, held, pin):
        """Writes the stream's part of the answer (step 4)."""
        self.report.streams[stream.hex()] = {
            "size": check.next,
            "checkpointed": held.size if held else None,
            "complete_to": pin.size if pin and pin.size else None,
            "as_of": pin.time if pin and pin.size else None,
            "stopped": check.stopped,
        }

    def _anchor(self):
        """Step 4: what the answer rests on."""
        if self.trust is None:
            self.report.add(Finding("self_anchored", "no trust file: everything could have been replaced"))
            return
        sizes = {name: pin.size for name, pin in self.pinned.items()}
        if any(sizes.values()):
            self.report.anchor = "pinned"
        tampered_pin = set(self.trust.pins) - set(sizes)
        if not any(size for name, size in sizes.items() if name != "root") and not tampered_pin:
            self.report.add(Finding("pin_empty", "the trust file pins no events"))
        elif self._stale():
            age = self.inputs.now - max(self.pin_times)
            self.report.add(Finding("pin_stale", f"the newest pin is {age} seconds old"))

    def _stale(self):
        """Returns whether the newest pin is older than the maximum age."""
        if self.inputs.max_age is None or self.inputs.now is None or not self.pin_times:
            return False
        return self.inputs.now - max(self.pin_times) > self.inputs.max_age


def _about(what, finding):
    """Returns the finding with what it is about in front."""
    return Finding(finding.code, f"{what}: {finding.text}", finding.index)
