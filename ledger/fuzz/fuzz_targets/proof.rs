//! Only the honest proof verifies. Input: old size, size, index (a byte each), then the proof.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanseal_ledger::checkpoint::{
    Checkpoint, CheckpointKeys, NoteKeys, VerifiedCheckpoint, sign_checkpoint, verify_checkpoint,
};
use spanseal_ledger::key::{SecretKey, Signer};
use spanseal_ledger::leaf::leaf_hash;
use spanseal_ledger::proof::{prove_consistency, prove_inclusion, verify_consistency, verify_inclusion};
use spanseal_ledger::tree::root_of;
use spanseal_ledger::{Deployment, Hash, Role};

fn checkpoint(leaves: &[Hash]) -> VerifiedCheckpoint {
    let name = Deployment::new("fuzz.example").expect("a valid name");
    let key = SecretKey::from_seed(&mut [7; 32]);
    let checkpoint = Checkpoint { origin: name.root_origin(), size: leaves.len() as u64, root: root_of(leaves) };
    let note = sign_checkpoint(&name, &checkpoint, (&key, &key), 0);
    let keys = CheckpointKeys {
        origin: name.root_origin(),
        log: NoteKeys::one(key.public()),
        cosigner_name: name.role_name(Role::Cosign),
        cosigner: NoteKeys::one(key.public()),
    };
    verify_checkpoint(note.as_bytes(), &keys).expect("just signed")
}

fuzz_target!(|input: (u8, u8, u8, Vec<Hash>)| {
    let (old, size, index, proof) = input;
    let leaves: Vec<Hash> = (0..size).map(|number| leaf_hash(&[number])).collect();
    let new = checkpoint(&leaves);
    if let Some(leaf) = leaves.get(usize::from(index)) {
        let honest = prove_inclusion(index.into(), &leaves).expect("inside the tree");
        assert_eq!(verify_inclusion(leaf, index.into(), &honest, &new), Ok(()));
        assert_eq!(verify_inclusion(leaf, index.into(), &proof, &new).is_ok(), proof == honest);
    }
    if old <= size {
        let before = checkpoint(&leaves[..old.into()]);
        let honest = prove_consistency(old.into(), &leaves).expect("inside the tree");
        assert_eq!(verify_consistency(&before, &new, &honest), Ok(()));
        assert_eq!(verify_consistency(&before, &new, &proof).is_ok(), proof == honest);
    }
});
