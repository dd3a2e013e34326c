//! A root leaf that parses is written again byte for byte, up to its signatures.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanseal_ledger::key::{SecretKey, Signer};
use spanseal_ledger::root_leaf::{RootLeaf, sign};
use spanseal_ledger::verify::RootVerifier;

fuzz_target!(|bytes: &[u8]| {
    let mut verifier = RootVerifier::new(None);
    let _ = verifier.push(bytes);
    let Ok(leaf) = RootLeaf::parse(bytes) else { return };
    let key = SecretKey::from_seed(&mut [7; 32]);
    let more = vec![&key as &dyn Signer; leaf.more.len()];
    let again = sign(&leaf.op, leaf.time, (leaf.signer, &key), &more);
    assert_eq!(again.len(), bytes.len());
    assert_eq!(&again[..leaf.message.len()], leaf.message);
});
