"""Fault codes and their classes, format.md section 14, and the report that collects them."""

from dataclasses import dataclass, field

TAMPERED, UNCHECKED, NOTE = "tampered", "unchecked", "note"

_UNCHECKED = {"unknown_version", "no_checkpoint", "self_anchored", "pin_empty", "pin_stale", "payload_missing"}
_NOTES = {"torn_tail", "superseded_tail"}
# Nothing rests on them: each stands for itself, behind all else.
_LAST = {"superseded_tail"}
_TAMPERED = {
    "malformed_batch", "batch_crosses_run", "wrong_stream", "wrong_epoch", "wrong_deployment", "index_gap",
    "repeated_batch", "fork", "broken_link", "bad_signature", "root_mismatch", "wall_time_backwards",
    "monotonic_backwards", "counters", "malformed_key_event", "opening_mismatch", "rotation_unsigned",
    "seal_after_close", "event_misplaced", "head_missing", "truncated", "stream_missing", "stream_unknown",
    "checkpoint_mismatch", "checkpoint_refused", "malformed_root_leaf", "root_rule", "unknown_key", "retired_key",
    "early_key", "weak_key", "damaged", "envelope", "payload_mismatch", "proof_mismatch", "proof_malformed",
}
CLASSES = (
    dict.fromkeys(_TAMPERED, TAMPERED) | dict.fromkeys(_UNCHECKED, UNCHECKED) | dict.fromkeys(_NOTES, NOTE)
)
EXITS = {TAMPERED: 1, UNCHECKED: 2, NOTE: 0}


class Finding(Exception):
    """One fault as it is found: its code, a sentence, and the index it concerns where there is one."""

    def __init__(self, code, text, index=None):
        super().__init__(f"{code}: {text}")
        self.code, self.text, self.index = code, text, index


@dataclass
class Fault:
    """One line of the answer. `stream` is hex, None for the root log and for the whole."""

    code: str
    text: str
    stream: str | None = None
    index: int | None = None
    more: int = 0

    @property
    def kind(self):
        """Returns the class: tampered, unchecked or note."""
        return CLASSES[self.code]


@dataclass
class Report:
    """What a verification found, in the order in which it was found; the root log comes first (section 14)."""

    anchor: str = "self"
    faults: list = field(default_factory=list)
    streams: dict = field(default_factory=dict)
    root: dict = field(default_factory=dict)
    _seen: dict = field(default_factory=dict)

    def add(self, finding, stream=None):
        """Adds a finding; further ones with the same code and stream are only counted, they may be consequences."""
        key = (finding.code, stream, finding.index if finding.code in _LAST else None)
        if key in self._seen:
            self._seen[key].more += 1
            return
        self._seen[key] = Fault(finding.code, finding.text, stream, finding.index)
        self.faults.append(self._seen[key])

    def sort(self, streams):
        """Brings the faults into the order of section 14: the root log's first, then stream by stream; segments' ends last."""
        ranks = {stream: rank for rank, stream in enumerate(streams)}
        self.faults.sort(key=lambda fault: (fault.code in _LAST, ranks.get(fault.stream, -1)))

    def exit(self):
        """Returns 1 if anything is tampered, else 2 if anything is unchecked, else 0 (section 14)."""
        kinds = {fault.kind for fault in self.faults}
        return 1 if TAMPERED in kinds else 2 if UNCHECKED in kinds else 0

    def named(self):
        """Returns the fault to name: the first of the class that decides the exit code, a note if there is only that."""
        wanted = {1: TAMPERED, 2: UNCHECKED, 0: NOTE}[self.exit()]
        return next((fault for fault in self.faults if fault.kind == wanted), None)
