//! The tree of RFC 6962 section 2.1 (RFC 9162 section 2.1.1), kept as its frontier (format.md section 3).

use alloc::vec::Vec;

use crate::leaf::{Hash, node_hash, plain_hash};

/// A tree of any size in at most 64 hashes: the roots of its perfect subtrees, largest first, one per set bit of the size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The empty tree. Appending to it allocates nothing more.
    pub fn new() -> Frontier {
        Frontier { size: 0, hashes: Vec::with_capacity(u64::BITS as usize) }
    }

    /// Rebuilds a frontier that [`Frontier::size`] and [`Frontier::hashes`] described.
    ///
    /// # Errors
    /// When there is not one hash per set bit of `size`.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Frontier, FrontierError> {
        if hashes.len() == size.count_ones() as usize {
            Ok(Frontier { size, hashes })
        } else {
            Err(FrontierError { size, got: hashes.len() })
        }
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The subtree roots, largest subtree first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Appends a leaf: each trailing one bit of the size is a subtree that is now complete and merges.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.hashes.pop() else { break };
            hash = node_hash(&left, &hash);
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// Returns MTH, the root of the tree; of the empty tree, the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.hashes.iter().rev();
        let Some(smallest) = subtrees.next() else { return empty_root() };
        subtrees.fold(*smallest, |right, left| node_hash(left, &right))
    }
}

impl Default for Frontier {
    fn default() -> Frontier {
        Frontier::new()
    }
}

/// Returns the root of the tree over these leaves, in order.
pub fn root_of(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier.root()
}

/// Returns the root of the empty tree: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    plain_hash(b"")
}

/// A frontier needs one hash per set bit of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frontier of size {size} has {} hashes, not {got}", size.count_ones())]
pub struct FrontierError {
    /// The size given.
    pub size: u64,
    /// The number of hashes given.
    pub got: usize,
}
