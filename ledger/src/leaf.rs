//! Hashes of leaves and nodes (RFC 9162 section 2.1.1; format.md sections 2 to 4).

use sha2::{Digest, Sha256};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// Returns the leaf of an event or a root leaf.
pub fn leaf_hash(event: &[u8]) -> Hash {
    // SHA-256(0x00 || event)
    tagged_hash(0x00, &[event])
}

/// Returns the hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    // SHA-256(0x01 || left || right)
    tagged_hash(0x01, &[left, right])
}

/// Returns SHA-256 of the bytes, without a prefix.
pub fn plain_hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// Returns SHA-256(tag || parts). The tags keep leaves, nodes, seals and commitments apart: 0x00, 0x01, 0x02, 0x03.
pub(crate) fn tagged_hash(tag: u8, parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([tag]);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
