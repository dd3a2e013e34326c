//! The tree over the runs of a stream, level by level, so that many proofs cost little more than one.

use spanseal_ledger::Hash;
use spanseal_ledger::leaf::node_hash;
use spanseal_ledger::tree::empty_root;

/// A Merkle tree of RFC 6962 over some nodes: a node without a sibling goes up as it is.
#[derive(Debug)]
pub(super) struct Levels(Vec<Vec<Hash>>);

impl Levels {
    pub(super) fn over(nodes: Vec<Hash>) -> Self {
        let mut levels = vec![nodes];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let pairs = level.chunks(2).map(|pair| match pair {
                [left, right] => node_hash(left, right),
                [alone] => *alone,
                _ => empty_root(), // chunks are never empty
            });
            let above = pairs.collect();
            levels.push(above);
        }
        Self(levels)
    }

    pub(super) fn root(&self) -> Hash {
        self.0.last().and_then(|level| level.first()).copied().unwrap_or_else(empty_root)
    }

    /// Returns the siblings on the way from a node to the root.
    pub(super) fn path(&self, place: usize) -> Vec<Hash> {
        let siblings = self.0.iter().enumerate().map(|(height, level)| level.get((place >> height) ^ 1));
        siblings.flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use spanseal_ledger::proof::prove_inclusion;
    use spanseal_ledger::tree::root_of;

    use super::*;

    #[test]
    fn agrees_with_the_ledger_on_every_tree_and_place() {
        for size in 1..40u8 {
            let leaves: Vec<Hash> = (0..size).map(|n| [n; 32]).collect();
            let levels = Levels::over(leaves.clone());
            assert_eq!(levels.root(), root_of(&leaves), "size {size}");
            for place in 0..size {
                let expected = prove_inclusion(place.into(), &leaves).unwrap();
                assert_eq!(levels.path(place.into()), expected, "{place} of {size}");
            }
        }
    }
}
