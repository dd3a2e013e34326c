"""One stream's batches in order: place, seals, chain, times and counters, format.md sections 4, 5 and 14."""

from .batch import KEY, RUN, SIGNED_LEN, SPAN, ZEROS, is_closing, is_opening, is_unknown, parse_batch
from .codes import Finding
from .crypto import sha256, verify
from .epoch import NOT_SEEN, check_key_events, closing_of
from .merkle import Tree, leaf_hash

# After these the batch is left out and reading goes on behind it; after others without a place it ends.
_SKIPPED = {"wrong_stream", "seal_after_close", "wrong_epoch", "repeated_batch", "fork", "bad_signature"}
_KINDS = range(SPAN, KEY + 1)


class StreamCheck:
    """Takes the batches of one stream and reports the first fault of each."""

    def __init__(self, stream, rootlog, report, wanted=(), unknown_below=False):
        """`wanted`: the sizes to note the root at; `unknown_below`: a covered root leaf is of an unknown version."""
        self.stream, self.rootlog, self.report = stream, rootlog, report
        self.unknown_below = unknown_below
        self.record = rootlog.streams[stream]
        self.content = None
        self.tree, self.wanted = Tree(), set(wanted)
        self.roots, self.seals = {0: self.tree.root()}, {0: ZEROS}
        self.batches, self.unread = {}, []
        self.epoch, self.keys, self.is_closed = 0, {}, False
        self.closing = None
        self.last, self.last_hash = None, ZEROS
        self.resumed, self.stopped = False, None
        self.proven_to = 2**64

    @property
    def next(self):
        """Returns the index that the next event has."""
        return self.tree.size

    def add(self, finding):
        """Reports a finding of this stream."""
        self.report.add(finding, self.stream.hex())

    def add_here(self, code, text):
        """Reports a fault at the next index."""
        self.add(Finding(code, text, self.next))

    def stop(self, code):
        """Ends the reading of batches: what follows cannot be told from consequences."""
        self.stopped = self.stopped or code

    def batch(self, raw):
        """Checks one batch and takes it in, unless it has no place; returns whether it was taken in.

        An epoch that the root log does not open has no key: reading ends before it.
        """
        if self.stopped:
            return False
        try:
            seal, events = self._parse(raw)
            opens = self._place(seal, events)
        except Finding as finding:
            self.add(finding)
            if finding.code not in _SKIPPED:
                self.stop(finding.code)
            return False
        after = self._grown(events)
        self._check(seal, events, opens, after)
        if opens and seal.epoch not in self.record.epochs:
            self.stop("opening_mismatch")
            return False
        self._take(seal, events, opens, raw, after)
        return True

    def resume(self, index, frontier, last_hash):
        """Goes on at a segment whose header says what was before it, after a fault that lost the place."""
        self.unread.append(range(self.next + 1, index))
        self.proven_to = min(self.proven_to, self.next)
        self.stopped = None
        self.tree = Tree(index, frontier)
        self.last, self.last_hash = None, last_hash
        self.is_closed, self.closing = False, NOT_SEEN
        self.roots[index], self.seals[index] = self.tree.root(), last_hash
        self.resumed = True

    def _parse(self, raw):
        """Returns (Seal, events); a seal of another version is malformed unless the root log has one too (section 14)."""
        try:
            return parse_batch(raw)
        except Finding as finding:
            unknown = finding.code == "unknown_version" and self.unknown_below
            raise Finding("unknown_version" if unknown else "malformed_batch", finding.text, self.next) from None

    def _place(self, seal, events):
        """Returns whether the batch opens an epoch; raises if it has no place here (section 14, the order of faults)."""
        if seal.stream != self.stream:
            raise Finding("wrong_stream", f"the seal at {seal.first} names stream {seal.stream.hex()}", seal.first)
        if self.next == 0 and seal.first > 0:
            raise Finding("head_missing", f"the stream begins at {seal.first}", 0)
        if (seal.epoch == self.epoch and self.is_closed) or self._is_closed_at(seal.epoch, seal.first):
            raise Finding("seal_after_close", f"a batch of epoch {seal.epoch} follows its closing", seal.first)
        if self.resumed:
            self._resume_epoch(seal.epoch - is_opening(events[0]))
        opens = is_opening(events[0]) and seal.epoch == self._next_epoch()
        if seal.epoch != self.epoch and not opens:
            raise Finding("wrong_epoch", f"a batch of epoch {seal.epoch} stands in epoch {self.epoch}", seal.first)
        if seal.first > self.next:
            raise Finding("index_gap", f"events {self.next} to {seal.first - 1} are missing", self.next)
        if seal.first < self.next:
            self._earlier(seal)
        return opens

    def _next_epoch(self):
        """Returns the epoch after the one in force: the next number, but for epochs closed where they opened (section 6)."""
        epoch, closes = self.epoch + 1, self.record.closes
        while epoch in closes and closes[epoch].size == self.record.epochs[epoch].first:
            epoch += 1
        return epoch

    def _is_closed_at(self, epoch, index):
        """Returns whether the root log closes the epoch at or below that index."""
        return epoch in self.record.closes and index >= self.record.closes[epoch].size

    def _resume_epoch(self, epoch):
        """Takes the epoch in force from the first seal after a resumption, and its key from the root log."""
        self.resumed, self.epoch = False, epoch
        self.keys.setdefault(epoch, self._logged_key(epoch))

    def _earlier(self, seal):
        """Raises for a batch before the next index: not signed, repeated or forked."""
        key = self.keys.get(seal.epoch) or self._logged_key(seal.epoch)
        if not key or not verify(key[1:], seal.signature, seal.raw[:SIGNED_LEN]):
            raise Finding("bad_signature", f"another batch at {seal.first}, not validly signed", seal.first)
        if self.batches.get(seal.first, (None, None))[0] == seal.hash():
            raise Finding("repeated_batch", f"the batch at {seal.first} stands here again", seal.first)
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
        self.incoming = None
        try:
            if seal.first // RUN != (seal.size - 1) // RUN:
                raise Finding("batch_crosses_run", f"events {seal.first} to {seal.size - 1} cross a multiple of {RUN}")
            check_key_events(self, seal, events, opens)
            if not self._is_signed(seal, opens):
                raise Finding("bad_signature", f"the key of epoch {seal.epoch} did not sign the seal at {seal.first}")
            if seal.previous != self.last_hash:
                raise Finding("broken_link", f"the seal at {seal.first} does not name the seal before it")
            if after.root() != seal.root:
                raise Finding("root_mismatch", f"events {seal.first} to {seal.size - 1} do not hash to the sealed root")
            self._times(seal, opens)
            self._counters(seal, events, opens)
        except Finding as finding:
            finding.index = seal.first if finding.index is None else finding.index
            self.add(finding)
            if after.root() != seal.root or not self._is_signed(seal, opens):
                self.proven_to = min(self.proven_to, seal.first)

    def _is_signed(self, seal, opens):
        """Returns whether the seal is signed by the key of its epoch."""
        key = self._key_of(seal.epoch, opens)
        return bool(key) and verify(key[1:], seal.signature, seal.raw[:SIGNED_LEN])

    def _key_of(self, epoch, opens):
        """Returns the epoch's 33-byte key: by the root log for a new epoch, else by its opening; or None."""
        return self._logged_key(epoch) or self.incoming if opens else self.keys.get(epoch)

    def _logged_key(self, epoch):
        """Returns the epoch's key as the root log has it, or None."""
        return self.record.keys[epoch].key if epoch in self.record.keys else None

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
        self.last, self.last_hash = seal, seal.hash()
        self.batches[seal.first] = self.last_hash, sha256(raw)
        if seal.size in self.wanted:
            self.seals[seal.size] = self.last_hash
        if opens:
            self.keys[seal.epoch] = self._key_of(seal.epoch, opens)
            self.epoch = seal.epoch
        for place, event in enumerate(events):
            self._body(seal.first + place, event)
        self.is_closed = is_closing(events[-1]) and not is_unknown(events[-1])
        self.closing = closing_of(events[-1])

    def _body(self, index, event):
        """Checks an event's kind, and its body where that is asked for (sections 2 and 15)."""
        if self.content:
            self.content.note_kind(event[0])
        try:
            if event[0] not in _KINDS or is_unknown(event):
                raise Finding("unknown_version", f"an event of kind {event[0]} that this verifier does not know", index)
            if self.content:
                self.content.event(index, self.epoch, event)
        except Finding as finding:
            self.add(finding)

    def root_at(self, size):
        """Returns the root at one of the sizes asked for, or None where not every batch to it verifies (section 14 step 4)."""
        return self.roots.get(size) if size <= min(self.next, self.proven_to) else None

    def claims(self, claims):
        """Reports where the stream is not what was signed for a size (section 14 step 3)."""
        for claim in sorted(claims, key=lambda claim: claim.size):
            if any(claim.size in unread for unread in self.unread):
                continue
            if claim.size > self.next:
                if not self.stopped:
                    self.add_here("truncated", f"{self.next} events where {claim.what} says {claim.size}")
            elif self.roots[claim.size] != claim.root:
                self.add(_mismatch(claim, f"{claim.what} has another root at {claim.size}"))
            elif claim.size not in self.seals:
                self.add(_mismatch(claim, f"{claim.what} has size {claim.size}, where no batch ends"))
            elif claim.seal not in (None, self.seals[claim.size]):
                self.add(_mismatch(claim, f"{claim.what} has another seal at {claim.size}"))


def _mismatch(claim, text):
    """Returns a `checkpoint_mismatch` finding at the size that was signed for."""
    return Finding("checkpoint_mismatch", text, claim.size)
