"""The tree and its proofs, format.md sections 3 and 10 (RFC 6962 section 2.1, RFC 9162 sections 2.1.3 and 2.1.4)."""

import hashlib

from .codes import Finding

EMPTY_ROOT = hashlib.sha256(b"").digest()
PROOF_MAX = 64


def leaf_hash(event):
    """Returns H(0x00 || event)."""
    return hashlib.sha256(b"\x00" + event).digest()


def node_hash(left, right):
    """Returns H(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The frontier of a growing tree: the roots of its perfect subtrees, largest first."""

    def __init__(self, size=0, frontier=()):
        self.size, self.frontier = size, list(frontier)

    def append(self, leaf):
        """Adds one leaf hash."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self.frontier.pop(), node)
            size >>= 1
        self.frontier.append(node)
        self.size += 1

    def grown(self, events, wanted):
        """Returns the tree with the events in it; `passed` has the roots at the wanted sizes on the way."""
        tree = Tree(self.size, self.frontier)
        tree.passed = {}
        for event in events:
            tree.append(leaf_hash(event))
            if tree.size in wanted:
                tree.passed[tree.size] = tree.root()
        return tree

    def root(self):
        """Returns the root at the present size."""
        if not self.frontier:
            return EMPTY_ROOT
        root = self.frontier[-1]
        for node in reversed(self.frontier[:-1]):
            root = node_hash(node, root)
        return root


def check_inclusion(index, size, leaf, proof, root):
    """Raises a Finding unless the proof leads from the leaf hash to the root (RFC 9162 section 2.1.3.2)."""
    if index >= size:
        raise Finding("proof_malformed", f"index {index} lies outside a tree of {size}")
    _check_length(proof, inclusion_length(index, size))
    fn, sn, node = index, size - 1, leaf
    for sibling in proof:
        if fn & 1 or fn == sn:
            node = node_hash(sibling, node)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = node_hash(node, sibling)
        fn, sn = fn >> 1, sn >> 1
    if node != root:
        raise Finding("proof_mismatch", f"the inclusion proof of {index} does not lead to the root at {size}")


def inclusion_length(index, size):
    """Returns how many hashes an inclusion proof of that index in a tree of that size has."""
    length, last = 0, size - 1
    while last:
        length += 1 if index & 1 or index < last else 0
        index, last = index >> 1, last >> 1
    return length


def check_consistency(first, second, first_root, second_root, proof):
    """Raises a Finding unless the proof shows the first tree to be a prefix of the second (RFC 9162 section 2.1.4.2)."""
    if first > second:
        raise Finding("proof_malformed", f"size {first} lies outside a tree of {second}")
    _check_length(proof, consistency_length(first, second))
    if first == 0:
        _same_root(EMPTY_ROOT, first_root, first)
        return
    path = list(proof) if first & (first - 1) or first == second else [first_root, *proof]
    if first == second:
        _same_root(first_root, second_root, second)
        return
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = path[0]
    for node in path[1:]:
        if fn & 1 or fn == sn:
            old, new = node_hash(node, old), node_hash(node, new)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = node_hash(new, node)
        fn, sn = fn >> 1, sn >> 1
    _same_root(old, first_root, first)
    _same_root(new, second_root, second)


def consistency_length(first, second):
    """Returns how many hashes a consistency proof between two sizes has; none from size 0 or between equal sizes."""
    if first in (0, second):
        return 0
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    # The subtree that the walk starts from is in the proof unless it is the first tree as a whole.
    return inclusion_length(fn, sn + 1) + (1 if first & (first - 1) else 0)


def _check_length(proof, wanted):
    """Raises a Finding unless the proof has exactly as many hashes of 32 bytes as its tree needs."""
    if len(proof) > PROOF_MAX or len(proof) != wanted or any(len(node) != 32 for node in proof):
        raise Finding("proof_malformed", f"the proof has {len(proof)} hashes where {wanted} are needed")


def _same_root(computed, claimed, size):
    """Raises a Finding unless the computed root is the claimed one."""
    if computed != claimed:
        raise Finding("proof_mismatch", f"the consistency proof does not lead to the root at {size}")
