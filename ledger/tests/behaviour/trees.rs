//! Tree and proofs beside an independent implementation, and against wrong ones.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;
use spanseal_ledger::Hash;
use spanseal_ledger::checkpoint::{CheckpointKeys, NoteKeys, VerifiedCheckpoint, verify_checkpoint};
use spanseal_ledger::key::Signer;
use spanseal_ledger::leaf::leaf_hash;
use spanseal_ledger::proof::{ProofError, prove_consistency, prove_inclusion, verify_consistency, verify_inclusion};
use spanseal_ledger::tree::{Frontier, root_of};

use crate::corpus::world::{World, key};

/// A checkpoint over any root. Signing is not what is tested here.
fn checkpoint(size: u64, root: Hash) -> VerifiedCheckpoint {
    let world = World::new();
    let origin = world.name.root_origin();
    let note = world.note_of(origin.clone(), size, root);
    let keys = CheckpointKeys {
        origin,
        log: NoteKeys::one(key("checkpoint").public()),
        cosigner_name: world.name.role_name(spanseal_ledger::Role::Cosign),
        cosigner: NoteKeys::one(key("cosign").public()),
    };
    verify_checkpoint(note.as_bytes(), &keys).unwrap()
}

fn event(index: u64) -> Vec<u8> {
    index.to_be_bytes().to_vec()
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|index| leaf_hash(&event(index))).collect()
}

fn oracle(count: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    (0..count).for_each(|index| tree.push(event(index)));
    tree
}

#[test]
fn roots_and_proofs_are_those_of_ct_merkle() {
    for size in 1..70 {
        let (leaves, oracle) = (leaves(size), oracle(size));
        assert_eq!(root_of(&leaves).as_slice(), oracle.root().as_bytes().as_slice());
        for index in 0..size {
            let ours = prove_inclusion(index, &leaves).unwrap();
            assert_eq!(ours.as_flattened(), oracle.prove_inclusion(index as usize).as_bytes());
        }
        for old in 1..size {
            let ours = prove_consistency(old, &leaves).unwrap();
            assert_eq!(ours.as_flattened(), oracle.prove_consistency((size - old) as usize).as_bytes());
        }
    }
}

#[test]
fn the_frontier_holds_one_hash_per_set_bit() {
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), root_of(&[]));
    for leaf in leaves(300) {
        frontier.push(leaf);
        assert_eq!(frontier.hashes().len(), frontier.size().count_ones() as usize);
        let again = Frontier::from_parts(frontier.size(), frontier.hashes().to_vec()).unwrap();
        assert_eq!(again, frontier);
        assert!(Frontier::from_parts(frontier.size() + 1, vec![]).is_err());
    }
    assert_eq!(frontier.root(), root_of(&leaves(300)));
}

#[test]
fn proofs_cannot_be_made_outside_the_tree() {
    assert_eq!(prove_inclusion(3, &leaves(3)), Err(ProofError::OutsideTree));
    assert_eq!(prove_inclusion(0, &[]), Err(ProofError::OutsideTree));
    assert_eq!(prove_consistency(4, &leaves(3)), Err(ProofError::OutsideTree));
    assert_eq!(prove_consistency(0, &leaves(3)), Ok(vec![]));
}

/// Sizes at the edge of the number range end and neither loop nor overflow.
#[test]
fn proofs_of_huge_trees_are_refused_or_run_out() {
    let hashes = |count| vec![[7; 32]; count];
    for size in [1 << 63, u64::MAX] {
        let huge = checkpoint(size, [0; 32]);
        for index in [0, 1, size / 2, size - 1] {
            let refused = verify_inclusion(&[0; 32], index, &hashes(10), &huge);
            assert_eq!(refused, Err(ProofError::Length));
            let results: Vec<_> =
                (0..=65).map(|count| verify_inclusion(&[0; 32], index, &hashes(count), &huge)).collect();
            assert_eq!(results.iter().filter(|result| **result == Err(ProofError::Mismatch)).count(), 1);
            assert_eq!(results[65], Err(ProofError::Length));
        }
        let three = checkpoint(3, [0; 32]);
        let results: Vec<_> = (0..=65).map(|count| verify_consistency(&three, &huge, &hashes(count))).collect();
        // It would take 65 hashes or 64, one more than a proof may have or as many.
        let led_elsewhere = results.iter().filter(|result| **result == Err(ProofError::Mismatch)).count();
        assert_eq!(led_elsewhere, usize::from(size == 1 << 63));
    }
}

proptest! {
    #[test]
    fn inclusion_holds_for_the_right_leaf_index_and_size_only(
        size in 1u64..300, index: prop::sample::Index, other: prop::sample::Index, bit in 0usize..256,
    ) {
        let leaves = leaves(size);
        let head = checkpoint(size, root_of(&leaves));
        let index = index.index(size as usize) as u64;
        let leaf = leaves[index as usize];
        let mut proof = prove_inclusion(index, &leaves).unwrap();
        prop_assert_eq!(verify_inclusion(&leaf, index, &proof, &head), Ok(()));

        let other = other.index(size as usize) as u64;
        prop_assert_eq!(verify_inclusion(&leaf, other, &proof, &head).is_ok(), other == index);
        let other_leaf = leaves[other as usize];
        prop_assert_eq!(verify_inclusion(&other_leaf, index, &proof, &head).is_ok(), other == index);
        let smaller = checkpoint(other + 1, root_of(&leaves[..=other as usize]));
        prop_assert_eq!(verify_inclusion(&leaf, index, &proof, &smaller).is_ok(), other + 1 == size);

        proof.push([0; 32]);
        prop_assert_eq!(verify_inclusion(&leaf, index, &proof, &head), Err(ProofError::Length));
        proof.pop();
        if let Some(place) = proof.len().checked_sub(1).map(|last| bit % (last + 1)) {
            proof[place][bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(verify_inclusion(&leaf, index, &proof, &head), Err(ProofError::Mismatch));
            proof.pop();
            prop_assert_eq!(verify_inclusion(&leaf, index, &proof, &head), Err(ProofError::Length));
        }
    }

    #[test]
    fn consistency_holds_between_a_tree_and_its_beginnings_only(
        size in 1u64..300, old: prop::sample::Index, changed: prop::sample::Index, bit in 0usize..256,
    ) {
        let mut leaves = leaves(size);
        let new = checkpoint(size, root_of(&leaves));
        let old = old.index(size as usize + 1);
        let head = checkpoint(old as u64, root_of(&leaves[..old]));
        let mut proof = prove_consistency(old as u64, &leaves).unwrap();
        prop_assert_eq!(verify_consistency(&head, &new, &proof), Ok(()));
        if old as u64 != size {
            prop_assert_eq!(verify_consistency(&new, &head, &proof), Err(ProofError::OutsideTree));
        }
        proof.push([0; 32]);
        prop_assert_eq!(verify_consistency(&head, &new, &proof), Err(ProofError::Length));
        proof.pop();
        if let Some(place) = proof.len().checked_sub(1).map(|last| bit % (last + 1)) {
            proof[place][bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(verify_consistency(&head, &new, &proof), Err(ProofError::Mismatch));
            proof[place][bit / 8] ^= 1 << (bit % 8);
        }
        if old > 0 {
            leaves[changed.index(old)] = [0; 32];
            let forked = checkpoint(old as u64, root_of(&leaves[..old]));
            prop_assert_eq!(verify_consistency(&forked, &new, &proof), Err(ProofError::Mismatch));
        }
    }
}
