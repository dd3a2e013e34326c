"""A minimal writer of the format, for the self-test: what it writes has to verify."""

import base64
import os
import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .batch import GAP, KEY, ROTATION, SEAL_MAGIC, SPAN, ZEROS
from .crc32c import crc32c
from .crypto import cosign_id, encode_vkey, key_id, sha256
from .merkle import Tree, leaf_hash
from .rootleaf import LEAF_MAGIC, ROLES
from .segments import SEGMENT_MAGIC
from .trust import VERSION

_STEP = 1_000_000_000


class Signing:
    """A private key and the 33 bytes of its public key."""

    def __init__(self):
        self._private = Ed25519PrivateKey.generate()
        self.key = b"\x01" + self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message):
        """Returns a signature."""
        return self._private.sign(message)


class Deployment:
    """Keys, a root log, and its streams."""

    def __init__(self, name="selftest.example/agents"):
        self.name = name
        self.keys = {role: Signing() for role in ROLES}
        self.time = 1_760_000_000 * _STEP
        self.leaves, self.tree = [], Tree()
        keys = b"".join(self.keys[role].key for role in ROLES)
        self.leaf(1, bytes([len(name)]) + name.encode() + keys, "identity", [self.keys[role] for role in ROLES[1:]])

    def now(self):
        """Returns the wall clock, which moves by a second each time."""
        self.time += _STEP
        return self.time

    def id_of(self, role):
        """Returns the key id of a role's key."""
        return key_id(f"{self.name}/{role}", self.keys[role].key)

    def leaf(self, op, fields, signer, more=()):
        """Appends a root leaf; `signer` is a role, or (key id, Signing). Returns its index."""
        signer_id, signing = (self.id_of(signer), self.keys[signer]) if isinstance(signer, str) else signer
        signed = LEAF_MAGIC + bytes([op]) + struct.pack(">Q", self.now()) + fields + signer_id
        self.leaves.append(signed + signing.sign(signed) + b"".join(other.sign(signed) for other in more))
        self.tree.append(leaf_hash(self.leaves[-1]))
        return len(self.leaves) - 1

    def register(self, role):
        """Registers a new key for a role."""
        new = Signing()
        self.leaf(2, bytes([ROLES.index(role) + 1]) + new.key, "identity", [new])
        self.keys[role] = new

    def note(self, tail, role, size, root):
        """Returns a checkpoint note."""
        origin, cosign = f"{self.name}/{tail}", f"{self.name}/cosign"
        text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()
        seconds = self.now() // _STEP
        signature = self.keys[role].sign(text)
        over = f"cosignature/v1\ntime {seconds}\n".encode() + text
        timed = struct.pack(">Q", seconds) + self.keys["cosign"].sign(over)
        lines = (
            _signature_line(origin, key_id(origin, self.keys[role].key), signature),
            _signature_line(cosign, cosign_id(cosign, self.keys["cosign"].key), timed),
        )
        return text + b"\n" + b"".join(lines)

    def root_note(self):
        """Returns the root log's checkpoint."""
        return self.note("root", "sequencer", self.tree.size, self.tree.root())

    def trust(self, genesis_keys, pins):
        """Returns the text of a trust file; `pins` maps `root` or a stream's hex to a note."""
        lines = [VERSION, f"name {self.name}"]
        lines += [f"{role} {encode_vkey(f'{self.name}/{role}', genesis_keys[role].key)}" for role in ROLES]
        for name, note in pins.items():
            lines += [f"pin {name}", *("|" + line for line in note.decode().split("\n")[:-1])]
        return "\n".join(lines) + "\n"


def _signature_line(name, key, signature):
    """Returns one signature line of a note."""
    return f"— {name} {base64.b64encode(key[:4] + signature).decode()}\n".encode()


@dataclass
class Stream:
    """A stream being written."""

    deployment: Deployment
    id: bytes = field(default_factory=lambda: os.urandom(16))
    tree: Tree = field(default_factory=Tree)
    batches: list = field(default_factory=list)
    seal_hash: bytes = ZEROS
    epoch: int = 0
    signing: Signing | None = None
    pending: list = field(default_factory=list)
    sealed: int = 0
    opened_at: int = 0

    def __post_init__(self):
        self.deployment.leaf(4, self.id + bytes(16) + struct.pack(">QB", 0, 0), "identity")

    def open(self, start):
        """Opens the next epoch: the root leaf, then the opening event."""
        outgoing, self.signing = self.signing, Signing()
        self.epoch, self.sealed, self.opened_at = self.epoch + 1, 0, self.deployment.now()
        index, root = struct.pack(">Q", self.tree.size), self.tree.root()
        epoch = struct.pack(">I", self.epoch)
        fields = self.id + epoch + bytes([start]) + index + root + self.seal_hash + self.signing.key
        more = [self.signing] + ([outgoing] if start == ROTATION else [])
        leaf = self.deployment.leaf(5, fields, "identity", more)
        body = bytes([KEY, 1, 1, start]) + self.id + epoch + index + root + self.seal_hash + self.signing.key
        body += sha256(self.deployment.name.encode()) + struct.pack(">QQ", leaf, self.deployment.now())
        body += self.deployment.id_of("identity")
        signed = b"spanseal/open/v1" + body
        second = outgoing.sign(signed) if start == ROTATION else bytes(64)
        self.add(body + self.deployment.keys["identity"].sign(signed) + second)

    def close(self, reason):
        """Seals a closing event and writes the epoch-close leaf."""
        index = self.tree.size + len(self.pending)
        head = bytes([KEY, 2, 1, reason]) + self.id + struct.pack(">I", self.epoch)
        self.add(head + struct.pack(">QQ", index, self.deployment.now()))
        self.seal()
        name = f"{self.deployment.name}/{self.id.hex()}/{self.epoch}"
        self.close_leaf(1, (key_id(name, self.signing.key), self.signing))

    def close_leaf(self, how, signer):
        """Writes an epoch-close leaf for the stream as it is."""
        fields = self.id + struct.pack(">IBQ", self.epoch, how, self.tree.size) + self.tree.root() + self.seal_hash
        self.deployment.leaf(6, fields, signer)

    def gap(self):
        """Adds a gap event after an unclean stop."""
        unknown = 2**64 - 1
        body = bytes([GAP, 1, 1, 0, 0]) + self.id
        self.add(body + struct.pack(">QQQQ", self.tree.size, unknown, unknown, self.deployment.now()))

    def add(self, event):
        """Adds an event to the next batch; one that would cross a run is sealed before it. Returns its index."""
        if self.pending and (self.tree.size + len(self.pending)) % 256 == 0:
            self.seal()
        self.pending.append(event)
        return self.tree.size + len(self.pending) - 1

    def seal(self):
        """Seals the pending events as a batch."""
        events, self.pending = self.pending, []
        first = self.tree.size
        for event in events:
            self.tree.append(leaf_hash(event))
        self.sealed += sum(event[0] == SPAN for event in events)
        wall = self.deployment.now()
        signed = SEAL_MAGIC + self.id + struct.pack(">IHHQQ", self.epoch, len(events), 0, first, self.tree.size)
        signed += self.tree.root() + self.seal_hash
        received = self.sealed + 1
        signed += struct.pack(">10Q", wall, wall - self.opened_at, 0, received, self.sealed, 1, 0, 0, 0, 2)
        seal = signed + self.signing.sign(signed)
        self.seal_hash = sha256(b"\x02" + seal)
        self.batches.append(seal + b"".join(struct.pack(">H", len(event)) + event for event in events))

    def note(self):
        """Returns the stream's checkpoint."""
        return self.deployment.note(self.id.hex(), "checkpoint", self.tree.size, self.tree.root())

    def checkpoint_leaf(self):
        """Writes a stream-checkpoint leaf."""
        self.deployment.leaf(8, self.id + struct.pack(">Q", self.tree.size) + self.tree.root(), "checkpoint")


def header(stream, first, last_seal, frontier):
    """Returns a segment header; `stream` is ROOT_STREAM for the root log."""
    head = SEGMENT_MAGIC + stream + struct.pack(">Q", first) + last_seal
    head += bytes([len(frontier)]) + b"".join(frontier)
    return head + struct.pack(">I", crc32c(head))


def record(kind, body):
    """Returns a record."""
    length = struct.pack(">I", len(body))
    return length + struct.pack(">I", crc32c(length + bytes([kind]) + body)) + bytes([kind]) + body


def varint(number):
    """Returns a minimal varint."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def numbered(number, value):
    """Returns a protobuf field: a varint for an int, else length-delimited bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*fields):
    """Returns the fields, (number, value) in order, as a message."""
    return b"".join(numbered(number, value) for number, value in fields)


