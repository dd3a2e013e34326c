//! A batch that parses is its seal and its events, byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanseal_ledger::batch::Batch;

fuzz_target!(|bytes: &[u8]| {
    let Ok(batch) = Batch::parse(bytes) else { return };
    let mut again = batch.signed_seal().encode().to_vec();
    for event in batch.events() {
        again.extend_from_slice(&(event.len() as u16).to_be_bytes());
        again.extend_from_slice(event);
    }
    assert_eq!(again, bytes);
    assert_eq!(batch.leaf_hashes().len(), usize::from(batch.seal().count));
});
