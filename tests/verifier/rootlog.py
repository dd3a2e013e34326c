"""The root log: the keys that it registers and what it says of streams, format.md section 8."""

from dataclasses import dataclass, field

from .batch import FIRST, ROTATION, ZEROS
from .codes import Finding
from .crypto import ED25519, is_strong, key_id, verify
from .merkle import EMPTY_ROOT, Tree, leaf_hash
from .rootleaf import (
    BY_ITSELF, EPOCH_CLOSE, EPOCH_OPEN, GENESIS, REGISTER, REVOKE, ROLES, STREAM_CHECKPOINT, STREAM_CLOSE, STREAM_OPEN,
    Leaf, parse_leaf,
)

EPOCH = "epoch"


@dataclass
class Key:
    """A registered key and the root leaves that it may sign: first and last index, the last None while it holds."""

    role: str
    key: bytes
    id: bytes
    first: int
    last: int | None = None
    revoked: bool = False

    def check_range(self, index):
        """Raises `early_key` or `retired_key` unless the key holds at that leaf."""
        if index < self.first:
            raise Finding("early_key", f"the {self.role} key holds from leaf {self.first}, not at {index}")
        if self.last is not None and index > self.last:
            raise Finding("retired_key", f"the {self.role} key ended with leaf {self.last}, before {index}")

    def check_after(self, index):
        """Raises `retired_key` unless the key holds at some leaf after that one, and was never revoked (section 9)."""
        if self.revoked:
            raise Finding("retired_key", f"the {self.role} key was revoked")
        if self.last is not None and self.last <= index:
            raise Finding("retired_key", f"the {self.role} key ended with leaf {self.last}, not after {index}")

    def end(self, index):
        """Ends the key after that leaf, if it has not ended before."""
        self.last = index if self.last is None else min(self.last, index)


@dataclass
class Claim:
    """What a root leaf, a checkpoint or a pin says a stream is at a size."""

    what: str
    size: int
    root: bytes
    seal: bytes | None = None


@dataclass
class StreamRecord:
    """What the root log says of one stream; `checkpoint` is its last stream-checkpoint leaf, `closed` its stream-close."""

    opened: Leaf
    epochs: dict = field(default_factory=dict)
    keys: dict = field(default_factory=dict)
    closes: dict = field(default_factory=dict)
    claims: list = field(default_factory=list)
    checkpoint: Leaf | None = None
    closed: Leaf | None = None

    def newest_index(self):
        """Returns the index of the leaf that every present note of the stream is younger than (section 9)."""
        return (self.checkpoint or self.opened).index


class RootLog:
    """Checks root leaves in order and keeps what they establish."""

    def __init__(self, report, trust=None):
        self.report, self.trust = report, trust
        self.deployment = trust.name if trust else None
        self.tree, self.roots = Tree(), {0: EMPTY_ROOT}
        self.keys, self.later = [], {}
        self.streams = {}
        self.unknown = set()

    def run(self, leaves, findings=()):
        """Checks every leaf, reporting each one's first fault; a refused leaf has no effect.

        `leaves` are in a dict by index; behind one that is missing no root is known. `findings` are about the records, in
        order: each is reported before the leaf that its index names.
        """
        waiting = list(findings)
        for index, raw in leaves.items():
            self._foresee(index, raw)
        for index, raw in leaves.items():
            self._report(waiting, index)
            if self.tree.size == index:
                self.tree.append(leaf_hash(raw))
                self.roots[self.tree.size] = self.tree.root()
            try:
                self._leaf(parse_leaf(index, raw))
            except Finding as finding:
                finding.index = index
                if finding.code == "unknown_version":
                    self.unknown.add(index)
                self.report.add(finding)
        self._report(waiting, 2**64)

    def _report(self, waiting, index):
        """Reports the findings up to an index."""
        while waiting and waiting[0].index <= index:
            self.report.add(waiting.pop(0))

    def holders(self, role):
        """Returns every key that a leaf names for a role."""
        return [key for key in self.keys if key.role == role]

    def pin_holders(self, role):
        """Returns the same for pins; the trust file's key alone where the root log does not begin with its keys."""
        begins = {key.key for key in self.keys if key.first == 0}
        if set(self.trust.keys.values()) <= begins:
            return self.holders(role)
        return [_trust_key(self.trust, role)]

    def has_unknown_below(self, size):
        """Returns whether a leaf of an unknown version lies below that size (section 14)."""
        return any(index < size for index in self.unknown)

    def _foresee(self, index, raw):
        """Notes the keys that a leaf will register, so that a key used too early can be told from an unknown one."""
        try:
            leaf = parse_leaf(index, raw)
        except Finding:
            return
        if leaf.op == GENESIS and index == 0:
            self.deployment = self.deployment or leaf.name.decode()
        elif leaf.op == REGISTER and self.deployment:
            key = Key(leaf.role, leaf.key, self._role_id(leaf.role, leaf.key), index + 1)
            self.later.setdefault(key.id, key)

    def _role_id(self, role, key):
        """Returns the key id of a role's key."""
        return key_id(f"{self.deployment}/{role}", key)

    def _epoch_id(self, stream, epoch, key):
        """Returns the key id of an epoch's key."""
        return key_id(f"{self.deployment}/{stream.hex()}/{epoch}", key)

    def _leaf(self, leaf):
        """Checks one leaf and applies it; raises its first Finding, in the order of section 14."""
        if (leaf.op == GENESIS) != (leaf.index == 0):
            raise _rule("leaf 0 is the genesis, and there is one")
        {
            GENESIS: self._genesis,
            REGISTER: self._register,
            REVOKE: self._revoke,
            STREAM_OPEN: self._stream_open,
            EPOCH_OPEN: self._epoch_open,
            EPOCH_CLOSE: self._epoch_close,
            STREAM_CLOSE: self._stream_close,
            STREAM_CHECKPOINT: self._stream_checkpoint,
        }[leaf.op](leaf)

    def _genesis(self, leaf):
        if self.trust and leaf.name.decode() != self.trust.name:
            raise Finding("wrong_deployment", f"the genesis names {leaf.name.decode()}, the trust file {self.trust.name}")
        for role in ROLES:
            _strong(leaf.fields[role], role)
        if leaf.signer != self._role_id("identity", leaf.identity):
            raise Finding("unknown_key", "the genesis is not signed by its identity key")
        trusted = not self.trust or all(leaf.fields[role] == self.trust.keys[role] for role in ROLES)
        signed = all(
            verify(leaf.fields[role][1:], signature, leaf.signed)
            for role, signature in zip(ROLES, [leaf.signature, *leaf.more], strict=True)
        )
        if signed:
            # Keys that are not the trusted ones are taken in order to go on.
            for role in ROLES:
                self._hold(role, leaf.fields[role], self._role_id(role, leaf.fields[role]), 0)
        if not trusted:
            raise Finding("unknown_key", "the genesis has other keys than the trust file")
        if not signed:
            raise Finding("bad_signature", "a signature of the genesis does not verify")

    def _hold(self, role, key, held_id, first):
        """Registers a key and returns it."""
        held = Key(role, key, held_id, first)
        self.keys.append(held)
        return held

    def _signer(self, leaf, role):
        """Returns the key of that role that the leaf names, its signature verified; raises a Finding."""
        key = self._named(leaf.signer, role, leaf.index)
        if key is None:
            raise Finding("unknown_key", f"nothing registers {leaf.signer.hex()[:8]} as a key of role {role}")
        _signed(key.key, leaf.signature, leaf, role)
        return key

    def _named(self, wanted, role, index):
        """Returns the role's key with that id, registered before or by a leaf still to come, or None."""
        held = next((key for key in self.keys if key.id == wanted and key.role == role), None)
        later = self.later.get(wanted)
        return held or (later if later and later.role == role and later.first > index else None)

    def _register(self, leaf):
        _strong(leaf.key, leaf.role)
        signer = self._signer(leaf, "identity")
        _signed(leaf.key, leaf.more[0], leaf, f"new {leaf.role}")
        signer.check_range(leaf.index)
        new_id = self._role_id(leaf.role, leaf.key)
        if any(key.id == new_id for key in self.keys):
            raise _rule("it registers a key that was registered before")
        for key in self.keys:
            if key.role == leaf.role:
                key.end(leaf.index)
        self._hold(leaf.role, leaf.key, new_id, leaf.index + 1)

    def _revoke(self, leaf):
        self._signer(leaf, "identity").check_range(leaf.index)
        revoked = [key for key in self.keys if key.id == leaf.revoked and key.role in ROLES]
        if not revoked:
            raise _rule("it revokes a key that nothing registers")
        for key in revoked:
            key.end(leaf.index)
            key.revoked = True

    def _stream_open(self, leaf):
        self._signer(leaf, "identity").check_range(leaf.index)
        if leaf.stream in self.streams:
            raise _rule(f"stream {leaf.stream.hex()} is opened twice")
        if leaf.state and leaf.predecessor not in self.streams:
            raise _rule("the predecessor was never opened")
        self.streams[leaf.stream] = StreamRecord(leaf)

    def _stream(self, leaf):
        """Returns the record of the leaf's stream; raises `root_rule` if it is not open."""
        stream = self.streams.get(leaf.stream)
        if stream is None or stream.closed:
            raise _rule(f"stream {leaf.stream.hex()} is not open")
        return stream

    def _epoch_open(self, leaf):
        _strong(leaf.key, EPOCH)
        signer = self._signer(leaf, "identity")
        _signed(leaf.key, leaf.more[0], leaf, EPOCH)
        signer.check_range(leaf.index)
        if leaf.start == ROTATION:
            self._outgoing(leaf)
        stream = self._stream(leaf)
        _check_epoch_open(leaf, stream)
        stream.epochs[leaf.epoch] = leaf
        held_id = self._epoch_id(leaf.stream, leaf.epoch, leaf.key)
        stream.keys[leaf.epoch] = self._hold(EPOCH, leaf.key, held_id, leaf.index + 1)
        stream.claims.append(Claim(f"root leaf {leaf.index} (epoch-open)", leaf.first, leaf.root, leaf.seal))

    def _outgoing(self, leaf):
        """Raises `rotation_unsigned` unless the key of the epoch one below signed the leaf too."""
        stream = self.streams.get(leaf.stream)
        outgoing = stream.keys.get(leaf.epoch - 1) if stream else None
        if outgoing is None or not verify(outgoing.key[1:], leaf.more[1], leaf.signed):
            raise Finding("rotation_unsigned", "the outgoing epoch key did not sign the rotation's root leaf")

    def _epoch_close(self, leaf):
        if leaf.how == BY_ITSELF:
            self._closing_key(leaf)
        else:
            self._signer(leaf, "identity").check_range(leaf.index)
        stream = self._stream(leaf)
        if leaf.epoch not in stream.epochs or leaf.epoch in stream.closes:
            raise _rule(f"epoch {leaf.epoch} is not open")
        if leaf.size < stream.epochs[leaf.epoch].first:
            raise _rule("an epoch is closed below the size at which it was opened")
        stream.closes[leaf.epoch] = leaf
        stream.claims.append(Claim(f"root leaf {leaf.index} (epoch-close)", leaf.size, leaf.root, leaf.seal))

    def _closing_key(self, leaf):
        """Raises unless the leaf is signed by its epoch's own key."""
        stream = self.streams.get(leaf.stream)
        key = stream.keys.get(leaf.epoch) if stream else None
        if key is None or key.id != leaf.signer:
            raise Finding("unknown_key", "the leaf does not name the key of its epoch")
        _signed(key.key, leaf.signature, leaf, EPOCH)

    def _stream_close(self, leaf):
        self._signer(leaf, "identity").check_range(leaf.index)
        stream = self._stream(leaf)
        last = stream.closes.get(max(stream.epochs, default=0))
        if stream.epochs and last is None:
            raise _rule("a stream is closed before its last epoch")
        if (leaf.size, leaf.root) != ((last.size, last.root) if last else (0, EMPTY_ROOT)):
            raise _rule("a stream is closed at another size or root than its last epoch")
        stream.closed = leaf
        stream.claims.append(Claim(f"root leaf {leaf.index} (stream-close)", leaf.size, leaf.root))

    def _stream_checkpoint(self, leaf):
        self._signer(leaf, "checkpoint").check_range(leaf.index)
        stream = self._stream(leaf)
        before = stream.checkpoint
        if before and (leaf.size < before.size or (leaf.size == before.size and leaf.root != before.root)):
            raise _rule(f"a stream-checkpoint of {leaf.size} contradicts the one of {before.size} before it")
        stream.checkpoint = leaf
        stream.claims.append(Claim(f"root leaf {leaf.index} (stream-checkpoint)", leaf.size, leaf.root))


def _check_epoch_open(leaf, stream):
    """Raises `root_rule` unless the epoch is the next, and begins as the one before it was closed."""
    last = max(stream.epochs, default=0)
    if leaf.epoch != last + 1:
        raise _rule(f"epoch {leaf.epoch} is opened after epoch {last}")
    if (leaf.start == FIRST) != (leaf.epoch == 1):
        raise _rule(f"epoch {leaf.epoch} starts with {leaf.start}")
    closed = stream.closes.get(last)
    if last and closed is None:
        raise _rule(f"epoch {leaf.epoch} is opened before epoch {last} is closed")
    before = (closed.size, closed.root, closed.seal) if last else (0, EMPTY_ROOT, ZEROS)
    if (leaf.first, leaf.root, leaf.seal) != before:
        raise _rule(f"epoch {leaf.epoch} does not begin where the one before it ended")


def _trust_key(trust, role):
    """Returns the trust file's key of a role, holding from the start."""
    key = trust.keys[role]
    return Key(role, key, key_id(f"{trust.name}/{role}", key), 0)


def _strong(key, role):
    """Raises unless the key is of a known algorithm (`unknown_version`), decodes and is not of small order (`weak_key`)."""
    if key[0] != ED25519:
        raise Finding("unknown_version", f"the {role} key has the unknown algorithm byte {key[0]:#04x}")
    if not is_strong(key[1:]):
        raise Finding("weak_key", f"the {role} key is of small order or does not decode")


def _signed(key, signature, leaf, who):
    """Raises `bad_signature` unless the key signed the leaf."""
    if not verify(key[1:], signature, leaf.signed):
        raise Finding("bad_signature", f"the signature by the {who} key does not verify")


def _rule(text):
    """Returns a `root_rule` finding."""
    return Finding("root_rule", text)
