"""The root log: its leaves, the keys they register and what they say of streams, format.md section 8."""

from dataclasses import dataclass, field

from .batch import FIRST, ROTATION, UNCLEAN, ZEROS, magic_version
from .codes import Finding
from .crypto import ED25519, is_deployment, is_strong, key_id, sha256, verify
from .merkle import EMPTY_ROOT, Tree, leaf_hash
from .reader import Reader, Short

LEAF_MAX = 65_535
LEAF_MAGIC = b"spanseal/root/v1"
GENESIS, REGISTER, REVOKE, STREAM_OPEN, EPOCH_OPEN, EPOCH_CLOSE, STREAM_CLOSE, STREAM_CHECKPOINT = range(1, 9)
ROLES = ("identity", "checkpoint", "cosign", "sequencer")
EPOCH = "epoch"
BY_ITSELF, BY_IDENTITY = 1, 2
CLOSED = 1


@dataclass
class Key:
    """A registered key and the root leaves that it may sign: first and last index, the last None while it holds."""

    role: str
    key: bytes
    id: bytes
    first: int
    last: int | None = None

    def check_range(self, index):
        """Raises `early_key` or `retired_key` unless the key holds at that leaf."""
        if index < self.first:
            raise Finding("early_key", f"the {self.role} key holds from leaf {self.first}, not at {index}", index)
        if self.last is not None and index > self.last:
            raise Finding("retired_key", f"the {self.role} key ended with leaf {self.last}, before {index}", index)

    def end(self, index):
        """Ends the key after that leaf, if it has not ended before."""
        self.last = index if self.last is None else min(self.last, index)


@dataclass
class Leaf:
    """A parsed root leaf: op, fields by name, the signatures and what they cover."""

    index: int
    op: int
    time: int
    fields: dict
    signer: bytes
    signature: bytes
    more: list
    signed: bytes

    def __getattr__(self, name):
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass
class Claim:
    """What a root leaf, a checkpoint or a pin says a stream is at a size."""

    what: str
    size: int
    root: bytes | None
    seal: bytes | None = None


@dataclass
class StreamRecord:
    """What the root log says of one stream."""

    opened: Leaf
    epochs: dict = field(default_factory=dict)
    keys: dict = field(default_factory=dict)
    closes: dict = field(default_factory=dict)
    claims: list = field(default_factory=list)
    checkpointed: int = 0


class RootLog:
    """Checks root leaves in order and keeps what they establish."""

    def __init__(self, report, trust=None):
        self.report, self.trust = report, trust
        self.deployment = trust.name if trust else None
        self.tree, self.roots = Tree(), [EMPTY_ROOT]
        self.keys = []
        self.streams = {}
        self.openings = {}
        self.unknown = set()
        self.named = set()
        self.genesis = None

    def run(self, leaves):
        """Checks every leaf, reporting each one's first fault."""
        for index, raw in enumerate(leaves):
            self._foresee(index, raw)
        for index, raw in enumerate(leaves):
            self.tree.append(leaf_hash(raw))
            self.roots.append(self.tree.root())
            try:
                self._leaf(parse_leaf(index, raw))
            except Finding as finding:
                finding.index = index
                if finding.code == "unknown_version":
                    self.unknown.add(index)
                self.report.add(finding)
            if 0 in self.unknown:
                return
        if not leaves:
            self.report.add(Finding("root_rule", "the root log has no genesis", 0))

    def holders(self, role):
        """Returns every key ever registered for a role, the trust file's among them."""
        keys = [key for key in self.keys if key.role == role]
        if self.trust and all(key.key != self.trust.keys[role] for key in keys):
            keys.append(trust_key(self.trust, role))
        return keys

    def _foresee(self, index, raw):
        """Notes the key ids that a leaf will register, so that a key used too early can be told from an unknown one."""
        try:
            leaf = parse_leaf(index, raw)
        except Finding:
            return
        if leaf.op == GENESIS and index == 0:
            self.deployment = leaf.name.decode()
            self.named |= {key_id(self._role_name(role), leaf.fields[role]) for role in ROLES}
        elif leaf.op == REGISTER and self.deployment:
            self.named.add(key_id(self._role_name(leaf.role), leaf.key))
        elif leaf.op == EPOCH_OPEN and self.deployment:
            self.named.add(key_id(self._epoch_name(leaf.stream, leaf.epoch), leaf.key))

    def _role_name(self, role):
        return f"{self.deployment}/{role}"

    def _epoch_name(self, stream, epoch):
        return f"{self.deployment}/{stream.hex()}/{epoch}"

    def _leaf(self, leaf):
        """Checks one leaf and applies it; raises its first Finding."""
        if (leaf.op == GENESIS) != (leaf.index == 0):
            raise _rule("leaf 0 is the genesis, and there is one")
        if leaf.index > 0 and self.genesis is None:
            raise _rule("the leaf follows no valid genesis")
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
        self.deployment = leaf.name.decode()
        for role in ROLES:
            _strong(leaf.fields[role], role)
            if self.trust and leaf.fields[role] != self.trust.keys[role]:
                raise Finding("unknown_key", f"the genesis has another {role} key than the trust file")
        if leaf.signer != key_id(self._role_name("identity"), leaf.identity):
            raise Finding("unknown_key", "the genesis is not signed by its identity key")
        signatures = [leaf.signature, *leaf.more]
        for role, signature in zip(ROLES, signatures, strict=True):
            _signed(leaf.fields[role], signature, leaf, role)
        self.genesis = leaf
        for role in ROLES:
            self._hold(role, leaf.fields[role], self._role_name(role), 0)

    def _hold(self, role, key, name, first):
        """Registers a key and returns it."""
        held = Key(role, key, key_id(name, key), first)
        self.keys.append(held)
        return held

    def _signer(self, leaf, role):
        """Returns the key of that role that the leaf names, in range and verified; raises a Finding."""
        named = [key for key in self.keys if key.id == leaf.signer]
        if not named:
            code = "early_key" if leaf.signer in self.named else "unknown_key"
            raise Finding(code, f"no leaf before {leaf.index} registers key {leaf.signer.hex()[:8]}")
        if named[-1].role != role:
            raise _rule(f"a leaf of op {leaf.op} is signed by the {role} key, not by the {named[-1].role} key")
        named[-1].check_range(leaf.index)
        _signed(named[-1].key, leaf.signature, leaf, role)
        return named[-1]

    def _register(self, leaf):
        _strong(leaf.key, leaf.role)
        self._signer(leaf, "identity")
        _signed(leaf.key, leaf.more[0], leaf, f"new {leaf.role}")
        for key in self.keys:
            if key.role == leaf.role:
                key.end(leaf.index)
        self._hold(leaf.role, leaf.key, self._role_name(leaf.role), leaf.index + 1)

    def _revoke(self, leaf):
        self._signer(leaf, "identity")
        revoked = [key for key in self.keys if key.id == leaf.revoked]
        if not revoked:
            raise _rule("it revokes a key that nothing registers")
        for key in revoked:
            key.end(leaf.index)

    def _stream_open(self, leaf):
        self._signer(leaf, "identity")
        if leaf.stream in self.streams:
            raise _rule(f"stream {leaf.stream.hex()} is opened twice")
        if (leaf.state == 0) != (leaf.predecessor == bytes(16)):
            raise _rule("a predecessor's state is given where there is none, or none where there is one")
        self.streams[leaf.stream] = StreamRecord(leaf)
        before = self.streams.get(leaf.predecessor)
        if before and leaf.state == CLOSED:
            before.claims.append(Claim(f"root leaf {leaf.index} (successor)", leaf.size, None))

    def _stream(self, leaf):
        """Returns the record of the leaf's stream; raises `root_rule` if it is not open."""
        if leaf.stream not in self.streams:
            raise _rule(f"stream {leaf.stream.hex()} was not opened")
        return self.streams[leaf.stream]

    def _epoch_open(self, leaf):
        _strong(leaf.key, "epoch")
        self._signer(leaf, "identity")
        _signed(leaf.key, leaf.more[0], leaf, "epoch")
        stream = self._stream(leaf)
        last = max(stream.epochs, default=0)
        self._epoch_order(leaf, stream, last)
        if leaf.start == ROTATION:
            outgoing = stream.keys[last]
            outgoing.check_range(leaf.index)
            if not verify(outgoing.key[1:], leaf.more[1], leaf.signed):
                raise Finding("rotation_unsigned", "the outgoing epoch key did not sign the rotation's root leaf")
        stream.epochs[leaf.epoch] = self.openings[leaf.index] = leaf
        stream.keys[leaf.epoch] = self._hold(EPOCH, leaf.key, self._epoch_name(leaf.stream, leaf.epoch), leaf.index + 1)
        stream.claims.append(Claim(f"root leaf {leaf.index} (epoch-open)", leaf.first, leaf.root, leaf.seal))

    def _epoch_order(self, leaf, stream, last):
        """Raises `root_rule` unless the epoch is the next, and starts where and how it may."""
        if leaf.epoch != last + 1:
            raise _rule(f"epoch {leaf.epoch} is opened after epoch {last}")
        if (leaf.start == FIRST) != (leaf.epoch == 1):
            raise _rule(f"epoch {leaf.epoch} starts with {leaf.start}")
        if leaf.epoch == 1 and (leaf.first, leaf.root, leaf.seal) != (0, EMPTY_ROOT, ZEROS):
            raise _rule("the first epoch does not start with an empty stream")
        floor = stream.closes[last].size if last in stream.closes else stream.epochs[last].first if last else 0
        if leaf.first < floor:
            raise _rule(f"epoch {leaf.epoch} opens at {leaf.first}, below {floor}")

    def _epoch_close(self, leaf):
        stream = self._stream(leaf) if leaf.how == BY_ITSELF else None
        if leaf.how == BY_ITSELF and leaf.epoch not in stream.epochs:
            raise _rule(f"epoch {leaf.epoch} is closed and was not opened")
        signer = self._signer(leaf, EPOCH if leaf.how == BY_ITSELF else "identity")
        stream = self._stream(leaf)
        if leaf.how == BY_ITSELF and signer is not stream.keys[leaf.epoch]:
            raise _rule("an epoch is closed by the key of another")
        if leaf.epoch != max(stream.epochs, default=0) or leaf.epoch in stream.closes:
            raise _rule(f"epoch {leaf.epoch} is not open")
        if leaf.size < stream.epochs[leaf.epoch].first:
            raise _rule("an epoch is closed below the size at which it was opened")
        stream.closes[leaf.epoch] = leaf
        stream.claims.append(Claim(f"root leaf {leaf.index} (epoch-close)", leaf.size, leaf.root, leaf.seal))

    def _stream_close(self, leaf):
        self._signer(leaf, "identity")
        stream = self._stream(leaf)
        stream.claims.append(Claim(f"root leaf {leaf.index} (stream-close)", leaf.size, leaf.root))

    def _stream_checkpoint(self, leaf):
        self._signer(leaf, "checkpoint")
        stream = self._stream(leaf)
        if leaf.size < stream.checkpointed:
            raise _rule(f"a stream-checkpoint falls from {stream.checkpointed} to {leaf.size}")
        stream.checkpointed = leaf.size
        stream.claims.append(Claim(f"root leaf {leaf.index} (stream-checkpoint)", leaf.size, leaf.root))


def parse_leaf(index, raw):
    """Returns the Leaf; raises `malformed_root_leaf` or `unknown_version`."""
    try:
        if len(raw) > LEAF_MAX:
            raise Short(f"it has {len(raw)} bytes")
        magic_version(raw, LEAF_MAGIC, "root leaf")
        return _parse_leaf(index, raw)
    except Short as short:
        raise Finding("malformed_root_leaf", f"the root leaf does not parse: {short}", index) from None


def _parse_leaf(index, raw):
    """Returns the Leaf after its magic; raises Short or a Finding."""
    reader = Reader(raw)
    reader.take(len(LEAF_MAGIC))
    op, time = reader.number(1), reader.number(8)
    if op not in _FIELDS:
        raise Finding("unknown_version", f"unknown op {op}", index)
    fields = _FIELDS[op](reader)
    signer = reader.take(32)
    signed = raw[: reader.at]
    signature = reader.take(64)
    count = 3 if op == GENESIS else 1 if op == REGISTER else 0
    if op == EPOCH_OPEN:
        count = 2 if fields["start"] == ROTATION else 1
    more = [reader.take(64) for _ in range(count)]
    reader.end()
    return Leaf(index, op, time, fields, signer, signature, more, signed)


def _genesis_fields(reader):
    name = reader.take(reader.number(1))
    if not is_deployment(name):
        raise Short("the deployment's name is not 1 to 128 bytes of visible ASCII without +")
    return {"name": name} | {role: _key(reader) for role in ROLES}


def _register_fields(reader):
    return {"role": ROLES[_choice(reader, 1, 4, "role") - 1], "key": _key(reader)}


def _revoke_fields(reader):
    return {"revoked": reader.take(32)}


def _stream_open_fields(reader):
    return {
        "stream": reader.take(16), "predecessor": reader.take(16), "size": reader.number(8),
        "state": _choice(reader, 0, 3, "state"),
    }


def _epoch_open_fields(reader):
    return {
        "stream": reader.take(16), "epoch": reader.number(4), "start": _choice(reader, FIRST, UNCLEAN, "start"),
        "first": reader.number(8), "root": reader.take(32), "seal": reader.take(32), "key": _key(reader),
    }


def _epoch_close_fields(reader):
    return {
        "stream": reader.take(16), "epoch": reader.number(4), "how": _choice(reader, BY_ITSELF, BY_IDENTITY, "how"),
        "size": reader.number(8), "root": reader.take(32), "seal": reader.take(32),
    }


def _size_fields(reader):
    return {"stream": reader.take(16), "size": reader.number(8), "root": reader.take(32)}


_FIELDS = {
    GENESIS: _genesis_fields,
    REGISTER: _register_fields,
    REVOKE: _revoke_fields,
    STREAM_OPEN: _stream_open_fields,
    EPOCH_OPEN: _epoch_open_fields,
    EPOCH_CLOSE: _epoch_close_fields,
    STREAM_CLOSE: _size_fields,
    STREAM_CHECKPOINT: _size_fields,
}


def _choice(reader, low, high, what):
    """Returns the next byte if it is in range; raises Short."""
    value = reader.number(1)
    if not low <= value <= high:
        raise Short(f"{what} {value}")
    return value


def _key(reader):
    """Returns the next 33-byte key; raises `unknown_version` on an unknown algorithm byte."""
    key = reader.take(33)
    if key[0] != ED25519:
        raise Finding("unknown_version", f"a key has the unknown algorithm byte {key[0]:#04x}")
    return key


def trust_key(trust, role):
    """Returns the trust file's key of a role, holding from the start."""
    key = trust.keys[role]
    return Key(role, key, key_id(f"{trust.name}/{role}", key), 0)


def _strong(key, role):
    """Raises `weak_key` unless the key decodes and is not of small order."""
    if not is_strong(key[1:]):
        raise Finding("weak_key", f"the {role} key is of small order or does not decode")


def _signed(key, signature, leaf, who):
    """Raises `bad_signature` unless the key signed the leaf."""
    if not verify(key[1:], signature, leaf.signed):
        raise Finding("bad_signature", f"the signature by the {who} key does not verify")


def _rule(text):
    """Returns a `root_rule` finding."""
    return Finding("root_rule", text)


def deployment_hash(name):
    """Returns H(deployment name), as an opening quotes it (section 6)."""
    return sha256(name.encode())
