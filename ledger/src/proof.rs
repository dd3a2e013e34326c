//! Inclusion and consistency proofs (RFC 9162 sections 2.1.3 and 2.1.4; format.md section 10).
//!
//! They are only checked against a [`VerifiedCheckpoint`], so that a root without a signature proves nothing.

use alloc::vec::Vec;

use crate::checkpoint::VerifiedCheckpoint;
use crate::leaf::{Hash, node_hash};
use crate::tree::{empty_root, root_of};
use crate::verify::Code;

/// Hashes of a proof at most.
pub const PROOF_HASHES_MAX: usize = 64;

/// Returns the inclusion proof of the leaf at `index` in the tree over `leaves`: PATH(m, D\[n\]) of RFC 9162 section 2.1.3.1.
///
/// # Errors
/// When there is no leaf at `index`.
pub fn prove_inclusion(index: u64, leaves: &[Hash]) -> Result<Vec<Hash>, ProofError> {
    let index = usize::try_from(index).ok().filter(|index| *index < leaves.len());
    let mut proof = Vec::new();
    path(index.ok_or(ProofError::OutsideTree)?, leaves, &mut proof);
    Ok(proof)
}

fn path(index: usize, leaves: &[Hash], proof: &mut Vec<Hash>) {
    if leaves.len() <= 1 {
        return;
    }
    let (left, right) = leaves.split_at(largest_power_below(leaves.len()));
    if index < left.len() {
        path(index, left, proof);
        proof.push(root_of(right));
    } else {
        path(index - left.len(), right, proof);
        proof.push(root_of(left));
    }
}

/// Verifies that `leaf` stands at `index` of the log that the checkpoint speaks of (RFC 9162 section 2.1.3.2).
///
/// # Errors
/// When the index lies outside the tree, the proof is not exactly as long as it must be, or it leads to another root.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    proof: &[Hash],
    checkpoint: &VerifiedCheckpoint,
) -> Result<(), ProofError> {
    if index >= checkpoint.size() {
        return Err(ProofError::OutsideTree);
    }
    check_length(proof)?;
    // Step 2: fn and sn are the leaf's place and the last leaf's, at the level reached.
    let (mut place, mut last) = (index, checkpoint.size() - 1);
    let mut root = *leaf;
    for hash in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if place & 1 == 1 || place == last {
            root = node_hash(hash, &root);
            // Levels at which the node has no sibling are skipped.
            let skipped = if place & 1 == 0 { place.trailing_zeros() } else { 0 };
            (place, last) = (shifted(place, skipped), shifted(last, skipped));
        } else {
            root = node_hash(&root, hash);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if root == *checkpoint.root() { Ok(()) } else { Err(ProofError::Mismatch) }
}

/// Returns the proof that the tree over `leaves` begins with its first `old_size` leaves: PROOF(m, D\[n\]) of RFC 9162
/// section 2.1.4.1. It is empty for size 0 and for the whole tree.
///
/// # Errors
/// When there are fewer than `old_size` leaves.
pub fn prove_consistency(old_size: u64, leaves: &[Hash]) -> Result<Vec<Hash>, ProofError> {
    let old_size = usize::try_from(old_size).ok().filter(|size| *size <= leaves.len());
    let mut proof = Vec::new();
    match old_size.ok_or(ProofError::OutsideTree)? {
        0 => {}
        old_size => subproof(old_size, leaves, true, &mut proof),
    }
    Ok(proof)
}

/// SUBPROOF(m, D\[n\], b): `whole` says that the old tree's root is known to the verifier.
fn subproof(old_size: usize, leaves: &[Hash], whole: bool, proof: &mut Vec<Hash>) {
    if old_size == leaves.len() {
        if !whole {
            proof.push(root_of(leaves));
        }
        return;
    }
    let (left, right) = leaves.split_at(largest_power_below(leaves.len()));
    if old_size <= left.len() {
        subproof(old_size, left, whole, proof);
        proof.push(root_of(right));
    } else {
        subproof(old_size - left.len(), right, false, proof);
        proof.push(root_of(left));
    }
}

/// Verifies that the log of `new` continues that of `old` (RFC 9162 section 2.1.4.2).
///
/// # Errors
/// When the checkpoints are of two logs, the old one is larger, the proof is not exactly as long as it must be, or it
/// leads to other roots.
pub fn verify_consistency(
    old: &VerifiedCheckpoint,
    new: &VerifiedCheckpoint,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old.origin() != new.origin() {
        return Err(ProofError::OtherLog);
    }
    if old.size() > new.size() {
        return Err(ProofError::OutsideTree);
    }
    check_length(proof)?;
    if old.size() == 0 || old.size() == new.size() {
        return same_or_empty(old, new, proof);
    }
    // Step 2: a complete old tree is itself the first node.
    let (first, rest) = match proof.split_first() {
        None => return Err(ProofError::Length),
        Some(_) if old.size().is_power_of_two() => (old.root(), proof),
        Some((first, rest)) => (first, rest),
    };
    // Step 3 and 4: fn and sn, shifted until the least bit of fn is clear.
    let complete = (old.size() - 1).trailing_ones();
    let (mut place, mut last) = (shifted(old.size() - 1, complete), shifted(new.size() - 1, complete));
    let (mut old_root, mut new_root) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if place & 1 == 1 || place == last {
            old_root = node_hash(hash, &old_root);
            new_root = node_hash(hash, &new_root);
            let skipped = if place & 1 == 0 { place.trailing_zeros() } else { 0 };
            (place, last) = (shifted(place, skipped), shifted(last, skipped));
        } else {
            new_root = node_hash(&new_root, hash);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if old_root == *old.root() && new_root == *new.root() { Ok(()) } else { Err(ProofError::Mismatch) }
}

fn same_or_empty(old: &VerifiedCheckpoint, new: &VerifiedCheckpoint, proof: &[Hash]) -> Result<(), ProofError> {
    let expected = if old.size() == 0 { empty_root() } else { *new.root() };
    if !proof.is_empty() {
        Err(ProofError::Length)
    } else if *old.root() != expected {
        Err(ProofError::Mismatch)
    } else {
        Ok(())
    }
}

fn check_length(proof: &[Hash]) -> Result<(), ProofError> {
    if proof.len() <= PROOF_HASHES_MAX { Ok(()) } else { Err(ProofError::Length) }
}

/// Shifting by 64 leaves nothing.
fn shifted(number: u64, by: u32) -> u64 {
    number.checked_shr(by).unwrap_or(0)
}

/// The largest power of two below `len`, which is at least 2.
fn largest_power_below(len: usize) -> usize {
    1 << (len - 1).ilog2()
}

/// A proof is refused, or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The index or the old size lies outside the tree.
    #[error("the index lies outside the tree")]
    OutsideTree,
    /// Too many hashes or too few.
    #[error("the proof is too long or too short")]
    Length,
    /// The hashes lead to another root.
    #[error("the proof leads to another root than the checkpoint's")]
    Mismatch,
    /// Two checkpoints of different logs.
    #[error("the checkpoints are of two logs")]
    OtherLog,
}

impl ProofError {
    /// The code of format.md section 14.
    pub fn code(self) -> Code {
        match self {
            ProofError::OutsideTree | ProofError::Length => Code::ProofMalformed,
            ProofError::Mismatch | ProofError::OtherLog => Code::ProofMismatch,
        }
    }
}
