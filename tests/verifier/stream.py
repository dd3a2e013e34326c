"""One stream's batches in order: place, seals, chain, times and counters, format.md sections 4, 5 and 14."""

from .batch import KEY, RUN, SIGNED_LEN, SPAN, ZEROS, is_opening, is_unknown, parse_batch
from .codes import Finding
from .crypto import sha256, verify
from .epoch import OPEN, check_key_events, ending_of
from .merkle import Tree, leaf_hash

_KINDS = range(SPAN, KEY + 1)


class StreamCheck:
    """Takes the batches of one stream and reports the first fault of each; section 14 says how it goes on after one."""

    def __init__(self, stream, rootlog, report, wanted=(), unknown_below=False):
        """`wanted`: the sizes to note the root at; `unknown_below`: a covered root leaf is of an unknown version."""
        self.stream, self.rootlog, self.report = stream, rootlog, report
        self.unknown_below = unknown_below
        self.record = rootlog.streams[stream]
        self.content = None
        self.next, self.wanted = 0, set(wanted)
        # The tree of the events so far, None once it is lost; up to `intact_to` every batch was there and whole.
        self.tree, self.intact_to = Tree(), 0
        self.roots, self.seals = {0: self.tree.root()}, {0: ZEROS}
        self.batches = {}
        self.epoch, self.ending = 0, OPEN
        self.last, self.last_hash = None, ZEROS
        # A batch was refused, or a record could not be read: what follows may lie beyond it.
        self.adrift = False
        # The stream goes on in an unknown version.
        self.ended = False

    def add(self, finding):
        """Reports a finding of this stream, unless it goes on in an unknown version."""
        if not self.ended:
            self.report.add(finding, self.stream.hex())

    def add_here(self, code, text):
        """Reports a fault at the next index."""
        self.add(Finding(code, text, self.next))

    def damaged(self, text):
        """Reports what cannot be read; what follows may lie beyond it."""
        self.add_here("damaged", text)
        self.adrift = True

    def end(self, finding):
        """Reports that the stream cannot be checked from here on."""
        self.add(finding)
        self.ended = True

    def header(self, first, frontier, last_seal):
        """Checks what a segment's header says of the stream before it (section 11)."""
        if self.adrift:
            return
        if first > self.next:
            self.adrift = True
            self.add_here("head_missing" if self.last is None else "index_gap", f"a segment begins at {first}")
        elif first < self.next or last_seal != self.last_hash or (self.tree and frontier != self.tree.frontier):
            self.add_here("damaged", f"the segment header at {first} is not what the stream is there")

    def batch(self, raw):
        """Checks one batch; returns whether it was taken in."""
        if self.ended:
            return False
        try:
            seal, events = parse_batch(raw)
        except Finding as finding:
            self._unparsed(finding)
            return False
        if seal.stream != self.stream:
            self.add(Finding("wrong_stream", f"the seal at {seal.first} names stream {seal.stream.hex()}", seal.first))
            self.adrift = True
            return False
        opens = is_opening(events[0]) and seal.epoch == self._next_epoch()
        if opens and seal.epoch not in self.record.epochs and self.unknown_below:
            self.end(Finding("unknown_version", f"epoch {seal.epoch}, or the leaf that opens it", seal.first))
            return False
        return self._judge(seal, events, opens, raw)

    def _unparsed(self, finding):
        """A seal of another version is malformed, unless the root log has such a leaf too (section 14)."""
        if finding.code == "unknown_version" and self.unknown_below:
            self.end(Finding("unknown_version", finding.text, self.next))
            return
        self.add_here("malformed_batch", finding.text)
        self.adrift = True

    def _judge(self, seal, events, opens, raw):
        """Reports the first fault of a batch, and takes it in if it is signed and lies where it may."""
        signed = self.is_signed(seal)
        follows = self._follows(seal)
        after = self.tree.grown(events, self.wanted) if follows and self.tree else None
        code = None
        try:
            self._place(seal, opens, signed)
            self._check(seal, events, opens, signed, follows, after)
        except Finding as finding:
            code = finding.code
            finding.index = seal.first if finding.index is None else finding.index
            self.add(finding)
        if signed and seal.first >= self.next and seal.epoch >= self.epoch and code != "seal_after_close":
            self._take(seal, events, raw, after if after and after.root() == seal.root else None)
            return True
        self.adrift = True
        return False

    def _follows(self, seal):
        """Returns whether the batch stands directly behind the last one that was taken in."""
        return seal.first == self.next and (not self.adrift or seal.previous == self.last_hash)

    def is_signed(self, seal):
        """Returns whether the seal is signed by the key that the root log registers for its epoch."""
        key = self.record.keys.get(seal.epoch)
        return key is not None and verify(key.key[1:], seal.signature, seal.raw[:SIGNED_LEN])

    def _place(self, seal, opens, signed):
        """Raises the first fault of where a batch stands (section 14, the order of faults)."""
        missing = seal.first > self.next and not self.adrift
        if missing and self.last is None:
            raise Finding("head_missing", f"the stream begins at {seal.first}", 0)
        if (seal.epoch == self.epoch and self.ending.is_closed) or self._is_closed_at(seal.epoch, seal.first):
            raise Finding("seal_after_close", f"a batch of epoch {seal.epoch} follows its closing")
        if seal.epoch != self.epoch and not opens:
            raise Finding("wrong_epoch", f"a batch of epoch {seal.epoch} stands in epoch {self.epoch}")
        if missing:
            raise Finding("index_gap", f"events {self.next} to {seal.first - 1} are missing", self.next)
        if seal.first < self.next:
            self._earlier(seal, signed)

    def _next_epoch(self):
        """Returns the epoch after the one in force: the next number, but for epochs closed where they opened (section 6)."""
        epoch, closes = self.epoch + 1, self.record.closes
        while epoch in closes and closes[epoch].size == self.record.epochs[epoch].first:
            epoch += 1
        return epoch

    def _is_closed_at(self, epoch, index):
        """Returns whether the root log closes the epoch at or below that index."""
        return epoch in self.record.closes and index >= self.record.closes[epoch].size

    def _earlier(self, seal, signed):
        """Raises for a batch before the next index: not signed, repeated or forked."""
        if not signed:
            raise Finding("bad_signature", f"another batch at {seal.first}, not validly signed")
        if self.batches.get(seal.first, (None, None))[0] == seal.hash():
            raise Finding("repeated_batch", f"the batch at {seal.first} stands here again")
        raise Finding("fork", f"two batches are validly signed at {seal.first}")

    def _check(self, seal, events, opens, signed, follows, after):
        """Raises the first fault of a batch that has its place."""
        if seal.first // RUN != (seal.size - 1) // RUN:
            raise Finding("batch_crosses_run", f"events {seal.first} to {seal.size - 1} cross a multiple of {RUN}")
        check_key_events(self, seal, events, opens, follows)
        if not signed:
            raise Finding("bad_signature", f"the key of epoch {seal.epoch} did not sign the seal at {seal.first}")
        if not self.adrift and seal.previous != self.last_hash:
            raise Finding("broken_link", f"the seal at {seal.first} does not name the seal before it")
        if after and after.root() != seal.root:
            raise Finding("root_mismatch", f"events {seal.first} to {seal.size - 1} do not hash to the sealed root")
        self._times(seal)
        self._counters(seal, events, opens, follows)

    def _times(self, seal):
        if self.last and seal.wall < self.last.wall:
            raise Finding("wall_time_backwards", f"wall time falls from {self.last.wall} to {seal.wall}")
        if self.last and seal.epoch == self.epoch and seal.monotonic < self.last.monotonic:
            raise Finding("monotonic_backwards", f"monotonic time falls from {self.last.monotonic} to {seal.monotonic}")

    def _counters(self, seal, events, opens, follows):
        before = self.last if seal.epoch == self.epoch else None
        parts = seal.sealed + seal.duplicate + seal.conflict + seal.invalid + seal.shed
        if seal.received != parts:
            raise Finding("counters", f"received {seal.received} spans and accounted for {parts}")
        if before and any(now < then for now, then in zip(seal.counters(), before.counters(), strict=True)):
            raise Finding("counters", "a counter falls within the epoch")
        spans = sum(event[0] == SPAN for event in events)
        if (opens or (before and follows)) and seal.sealed != (before.sealed if before else 0) + spans:
            raise Finding("counters", f"sealed spans do not grow by the {spans} of the batch")

    def _take(self, seal, events, raw, after):
        """Moves on behind the batch; `after` is the tree, None where it is lost."""
        if after and self.intact_to == self.next:
            self.intact_to = seal.size
        self.tree, self.next, self.adrift = after, seal.size, False
        if after:
            self.roots.update(after.passed)
        self.last, self.last_hash = seal, seal.hash()
        self.batches[seal.first] = self.last_hash, sha256(raw)
        self.seals[seal.size] = self.last_hash
        self.ending = ending_of(self, seal, events)
        self.epoch = seal.epoch
        self._bodies(seal, events)

    def _bodies(self, seal, events):
        """Checks the events' kinds, and their bodies where that is asked for (sections 2 and 15)."""
        unknown = (place for place, event in enumerate(events) if event[0] not in _KINDS or is_unknown(event))
        for place in unknown:
            self.add(Finding("unknown_version", f"an event of an unknown kind or version: {events[place][0]}", seal.first + place))
        for place, event in enumerate(events) if self.content else ():
            self.content.event(seal.first + place, self.epoch, event)

    def root_at(self, size):
        """Returns the root at one of the sizes asked for, or None where not every batch to it is there (section 14 step 4)."""
        return self.roots.get(size) if size <= self.intact_to and size in self.seals else None

    def claims(self, claims):
        """Returns the findings where the stream is not what was signed for a size (section 14 step 3)."""
        return [finding for claim in sorted(claims, key=lambda claim: claim.size) for finding in self._claim(claim)]

    def _claim(self, claim):
        """Yields what is wrong with one claim; nothing where the tree is lost, which has been said."""
        root = self.roots.get(claim.size)
        if claim.size > self.next:
            if not self.ended:
                text = f"{self.next} events where {claim.what} says {claim.size}"
                yield Finding("truncated", text, self.next)
        elif root is None:
            return
        elif root != claim.root:
            yield _mismatch(claim, f"{claim.what} has another root at {claim.size}")
        elif claim.size not in self.seals:
            yield _mismatch(claim, f"{claim.what} has size {claim.size}, where no batch ends")
        elif claim.seal not in (None, self.seals[claim.size]):
            yield _mismatch(claim, f"{claim.what} has another seal at {claim.size}")


def _mismatch(claim, text):
    """Returns a `checkpoint_mismatch` finding at the size that was signed for."""
    return Finding("checkpoint_mismatch", text, claim.size)
