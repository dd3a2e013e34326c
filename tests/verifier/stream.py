"""One stream's batches in order: seals, chain, epochs, times and counters, format.md sections 4 to 6 and 14."""

from .batch import (
    CLEAN, CLOSING, FIRST, GAP, KEY, ROTATED, ROTATION, RUN, SHUTDOWN, SIGNED_LEN, SPAN, UNCLEAN, ZEROS, check_gap,
    is_opening, parse_batch, parse_closing, parse_opening,
)
from .codes import Finding
from .crypto import is_strong, key_id, sha256, verify
from .merkle import Tree, leaf_hash
from .rootlog import deployment_hash

# After these the batch is left out and reading goes on behind it.
_SKIPPED = {"wrong_stream", "seal_after_close", "wrong_epoch", "repeated_batch", "fork"}
_KINDS = range(SPAN, KEY + 1)
# What stood before a resumption.
_NOT_SEEN = object()


class StreamCheck:
    """Takes the batches of one stream and reports the first fault of each."""

    def __init__(self, stream, rootlog, report, wanted=(), content=None):
        """`wanted`: the sizes to note the root at; `content`: what checks events' bodies, or None."""
        self.stream, self.rootlog, self.report, self.content = stream, rootlog, report, content
        self.hex = stream.hex()
        self.record = rootlog.streams.get(stream)
        self.tree = Tree()
        self.wanted = set(wanted)
        self.roots = {0: self.tree.root()} if 0 in self.wanted else {}
        self.seals = {0: ZEROS}
        self.batches = {}
        self.epoch, self.keys, self.closed = 0, {}, set()
        self.closing = None
        self.last, self.last_hash = None, ZEROS
        self.resumed = False
        self.stopped = None

    @property
    def next(self):
        """Returns the index that the next event has."""
        return self.tree.size

    def add(self, finding, index=None):
        """Reports a finding of this stream."""
        if finding.index is None:
            finding.index = self.next if index is None else index
        self.report.add(finding, self.hex)

    def stop(self, code):
        """Ends the reading of batches: what follows cannot be told from consequences."""
        self.stopped = self.stopped or code

    def batch(self, raw):
        """Checks one batch and takes it in, unless it has no place; returns whether it was taken in."""
        if self.stopped:
            return False
        try:
            seal, events = parse_batch(raw)
            opens = self._place(seal, events, raw)
        except Finding as finding:
            self.add(finding)
            if finding.code not in _SKIPPED and finding.code != "bad_signature":
                self.stop(finding.code)
            return False
        after = self._grown(events)
        self._check(seal, events, opens, after)
        self._take(seal, events, opens, raw, after)
        return True

    def resume(self, index, frontier, last_hash):
        """Goes on at a segment whose header says what was before it, after a fault that lost the place."""
        self.stopped = None
        self.tree = Tree(index, frontier)
        self.last, self.last_hash, self.closing = None, last_hash, _NOT_SEEN
        self.resumed = True

    def _place(self, seal, events, raw):
        """Returns whether the batch opens an epoch; raises if it has no place here (section 14, the order of faults)."""
        if seal.stream != self.stream:
            raise Finding("wrong_stream", f"the seal at {seal.first} names stream {seal.stream.hex()}", seal.first)
        if seal.epoch in self.closed:
            raise Finding("seal_after_close", f"a batch of epoch {seal.epoch} follows its closing", seal.first)
        if self.next == 0 and seal.first > 0:
            raise Finding("head_missing", f"the stream begins at {seal.first}", 0)
        opens = is_opening(events[0]) and seal.epoch == self.epoch + 1
        if self.resumed:
            opens = is_opening(events[0])
            self._resume_epoch(seal.epoch - opens)
        if seal.epoch != self.epoch + opens:
            raise Finding("wrong_epoch", f"a batch of epoch {seal.epoch} stands in epoch {self.epoch}", seal.first)
        if seal.first > self.next:
            raise Finding("index_gap", f"events {self.next} to {seal.first - 1} are missing", self.next)
        if seal.first < self.next:
            self._earlier(seal, events, opens, raw)
        return opens

    def _resume_epoch(self, epoch):
        """Takes the epoch in force from the first seal after a resumption, and its key from the root log."""
        self.resumed, self.epoch = False, epoch
        if self.record and epoch in self.record.keys:
            self.keys[epoch] = self.record.keys[epoch].key

    def _earlier(self, seal, events, opens, raw):
        """Raises for a batch before the next index: repeated, forked, or not signed at all."""
        if self.batches.get(seal.first) == sha256(raw):
            raise Finding("repeated_batch", f"the batch at {seal.first} stands here again", seal.first)
        key = self._logged_key(seal.epoch) if opens else self.keys.get(seal.epoch)
        if not key or not verify(key[1:], seal.signature, seal.raw[:SIGNED_LEN]):
            raise Finding("bad_signature", f"another batch at {seal.first}, not validly signed", seal.first)
        raise Finding("fork", f"two batches are validly signed at {seal.first}", seal.first)

    def _grown(self, events):
        """Returns the tree with the events in it, noting the roots asked for on the way."""
        tree = Tree(self.tree.size, self.tree.frontier)
        for event in events:
            tree.append(leaf_hash(event))
            if tree.size in self.wanted:
                self.roots[tree.size] = tree.root()
        return tree

    def _check(self, seal, events, opens, after):
        """Reports the first fault of a batch that has its place."""
        try:
            _one_run(seal)
            self._key_events(seal, events, opens)
            self._signature(seal)
            self._link(seal)
            _sealed_root(seal, after)
            self._times(seal, opens)
            self._counters(seal, events, opens)
        except Finding as finding:
            self.add(finding, seal.first)

    def _key_events(self, seal, events, opens):
        """Checks openings and closings, and where they stand (section 6)."""
        self.incoming = None
        for place, event in enumerate(events):
            if event[0] != KEY:
                continue
            index = seal.first + place
            if is_opening(event) and opens and place == 0:
                self._opening(seal, event)
            elif event[1:2] == bytes([CLOSING]) and place == seal.count - 1:
                self._closing(seal, event, index)
            elif event[1:2] in (b"\x01", b"\x02"):
                raise Finding("event_misplaced", "a key event stands where none may", index)
            else:
                raise Finding("malformed_key_event", "a key event is neither opening nor closing", index)

    def _opening(self, seal, event):
        """Checks an opening against its place and the root log."""
        opening = parse_opening(event)
        if not is_strong(opening.key[1:]):
            raise Finding("weak_key", f"the key of epoch {opening.epoch} is of small order or does not decode")
        self.incoming = opening.key
        self._opening_place(seal, opening)
        self._opening_start(opening)
        deployment = self.rootlog.deployment
        if deployment and opening.deployment_hash != deployment_hash(deployment):
            raise Finding("wrong_deployment", f"the opening of epoch {opening.epoch} names another deployment")
        self._opening_leaf(opening)
        self._opening_signed(opening)

    def _opening_place(self, seal, opening):
        """Raises `malformed_key_event` if the opening contradicts where it stands."""
        before = self.tree.root(), self.last_hash
        if (opening.stream, opening.epoch, opening.index) != (self.stream, seal.epoch, seal.first):
            raise Finding("malformed_key_event", "an opening names another stream, epoch or index than its own")
        if (opening.root, opening.last_seal) != before:
            raise Finding("malformed_key_event", "an opening contradicts the stream before it")

    def _opening_start(self, opening):
        """Raises `malformed_key_event` if the start does not fit what came before."""
        if (opening.start == FIRST) != (opening.epoch == 1):
            raise Finding("malformed_key_event", f"epoch {opening.epoch} starts with {opening.start}")
        if self.closing is _NOT_SEEN:
            return
        wanted = {FIRST: None, CLEAN: SHUTDOWN, ROTATION: ROTATED, UNCLEAN: None}[opening.start]
        if wanted != (self.closing.reason if self.closing else None):
            raise Finding("malformed_key_event", f"start {opening.start} does not fit what stands before it")

    def _opening_leaf(self, opening):
        """Raises `opening_mismatch` unless the quoted root leaf says the same (section 14 step 2)."""
        if opening.leaf in self.rootlog.unknown:
            raise Finding("unknown_version", f"root leaf {opening.leaf} cannot be read")
        leaf = self.rootlog.openings.get(opening.leaf)
        if leaf is None:
            raise Finding("opening_mismatch", f"root leaf {opening.leaf} opens no epoch")
        said = leaf.stream, leaf.epoch, leaf.start, leaf.first, leaf.root, leaf.seal, leaf.key
        mine = (
            opening.stream, opening.epoch, opening.start, opening.index, opening.root, opening.last_seal, opening.key,
        )
        if said != mine:
            raise Finding("opening_mismatch", f"root leaf {opening.leaf} opens another epoch, or otherwise")

    def _opening_signed(self, opening):
        """Raises unless an identity key in range, and for a rotation the outgoing key, signed the opening."""
        signers = [key for key in self.rootlog.keys if key.role == "identity" and key.id == opening.identity]
        if not signers:
            raise Finding("unknown_key", f"nothing registers the identity key {opening.identity.hex()[:8]}")
        signers[-1].check_range(opening.leaf)
        if not verify(signers[-1].key[1:], opening.signature, opening.signed()):
            raise Finding("bad_signature", "the identity key's signature on an opening does not verify")
        outgoing = self.keys.get(self.epoch)
        if opening.start == ROTATION and not (outgoing and verify(outgoing[1:], opening.outgoing, opening.signed())):
            raise Finding("rotation_unsigned", "the outgoing epoch key did not sign the opening")

    def _closing(self, seal, event, index):
        """Raises `malformed_key_event` if a closing does not parse or contradicts its place."""
        closing = parse_closing(event)
        if (closing.stream, closing.epoch, closing.index) != (self.stream, seal.epoch, index):
            raise Finding("malformed_key_event", "a closing names another stream, epoch or index than its own", index)

    def _signature(self, seal):
        key = self.incoming or self.keys.get(seal.epoch)
        if not key or not verify(key[1:], seal.signature, seal.raw[:SIGNED_LEN]):
            raise Finding("bad_signature", f"the seal at {seal.first} is not signed by the key of epoch {seal.epoch}")

    def _link(self, seal):
        if seal.previous != self.last_hash:
            raise Finding("broken_link", f"the seal at {seal.first} does not name the seal before it")

    def _times(self, seal, opens):
        if self.last and seal.wall < self.last.wall:
            raise Finding("wall_time_backwards", f"wall time falls from {self.last.wall} to {seal.wall}")
        if self.last and not opens and seal.monotonic < self.last.monotonic:
            raise Finding("monotonic_backwards", f"monotonic time falls from {self.last.monotonic} to {seal.monotonic}")

    def _counters(self, seal, events, opens):
        before = None if opens else self.last
        parts = seal.sealed + seal.duplicate + seal.conflict + seal.invalid + seal.shed
        if seal.received != parts:
            raise Finding("counters", f"received {seal.received} spans and accounted for {parts}")
        if before and any(now < then for now, then in zip(seal.counters(), before.counters(), strict=True)):
            raise Finding("counters", "a counter falls within the epoch")
        spans = sum(event[0] == SPAN for event in events)
        if (before or opens) and seal.sealed != (before.sealed if before else 0) + spans:
            raise Finding("counters", f"sealed spans do not grow by the {spans} of the batch")

    def _take(self, seal, events, opens, raw, after):
        """Moves on behind the batch, as it says it is."""
        self.tree = after
        self.batches[seal.first] = sha256(raw)
        self.last, self.last_hash = seal, seal.hash()
        if seal.size in self.wanted:
            self.seals[seal.size] = self.last_hash
        if opens:
            self.epoch = seal.epoch
            self.keys[seal.epoch] = self.incoming or self._logged_key(seal.epoch)
        for place, event in enumerate(events):
            self._body(seal.first + place, event)
        self.closing = None
        if events[-1][:2] == bytes([KEY, CLOSING]):
            self.closed.add(seal.epoch)
            self.closing = _closing_or_none(events[-1])

    def _logged_key(self, epoch):
        """Returns the epoch's key as the root log has it, where the opening does not say."""
        return self.record.keys[epoch].key if self.record and epoch in self.record.keys else None

    def _body(self, index, event):
        """Checks an event's kind, and its body where that is asked for (sections 2, 7 and 15)."""
        if self.content:
            self.content.note_kind(event[0])
        try:
            if event[0] not in _KINDS:
                raise Finding("unknown_version", f"unknown kind {event[0]}", index)
            if event[0] == GAP:
                check_gap(event)
            if self.content:
                self.content.event(index, self.epoch, event)
        except Finding as finding:
            self.add(finding, index)

    def claims(self, claims):
        """Reports where a checkpoint, a pin or a root leaf disagrees with the stream (section 14 steps 2 and 3)."""
        for claim in claims:
            if claim.size > self.next:
                if not self.stopped:
                    self.add(Finding("truncated", f"{self.next} events where {claim.what} says {claim.size}"))
                continue
            if claim.root is not None and self.roots.get(claim.size, claim.root) != claim.root:
                self.add(Finding("checkpoint_mismatch", f"{claim.what} has another root at {claim.size}", claim.size))
            elif claim.seal is not None and self.seals.get(claim.size, claim.seal) != claim.seal:
                self.add(Finding("checkpoint_mismatch", f"{claim.what} has another seal at {claim.size}", claim.size))


def _one_run(seal):
    """Raises `batch_crosses_run` if the first and last index lie in two runs of 256 (section 5)."""
    if seal.first // RUN != (seal.size - 1) // RUN:
        raise Finding("batch_crosses_run", f"events {seal.first} to {seal.size - 1} cross a multiple of {RUN}")


def _sealed_root(seal, after):
    """Raises `root_mismatch` unless the events hash to the sealed root (section 3)."""
    if after.root() != seal.root:
        raise Finding("root_mismatch", f"events {seal.first} to {seal.size - 1} do not hash to the sealed root")


def _closing_or_none(event):
    """Returns the Closing, or None where it does not parse."""
    try:
        return parse_closing(event)
    except Finding:
        return None
