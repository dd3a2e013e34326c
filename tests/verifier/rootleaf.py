"""One root leaf: its bytes as fields, format.md section 8."""

from dataclasses import dataclass

from .batch import FIRST, ROTATION, UNCLEAN, magic_version
from .codes import Finding
from .crypto import is_deployment
from .reader import Reader, Short

LEAF_MAX = 65_535
LEAF_MAGIC = b"spanseal/root/v1"
GENESIS, REGISTER, REVOKE, STREAM_OPEN, EPOCH_OPEN, EPOCH_CLOSE, STREAM_CLOSE, STREAM_CHECKPOINT = range(1, 9)
ROLES = ("identity", "checkpoint", "cosign", "sequencer")
BY_ITSELF, BY_IDENTITY = 1, 2


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
    fields = {
        "stream": reader.take(16), "predecessor": reader.take(16), "size": reader.number(8),
        "state": _choice(reader, 0, 3, "state"),
    }
    if (fields["state"] == 0) != (fields["predecessor"] == bytes(16) and fields["size"] == 0):
        raise Short("a predecessor is given where its state says none, or none where it says one")
    return fields


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
    """Returns the next 33-byte key, not yet looked at."""
    return reader.take(33)
