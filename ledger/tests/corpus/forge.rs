//! Batches taken apart, changed and put together again: what attackers do.

use spanseal_ledger::StreamId;
use spanseal_ledger::batch::Batch;
use spanseal_ledger::key::{SecretKey, Signer};
use spanseal_ledger::leaf::leaf_hash;
use spanseal_ledger::seal::{NO_SEAL, Seal, SignedSeal};
use spanseal_ledger::tree::Frontier;

use super::world::epoch_key;

/// A batch that can be changed.
#[derive(Clone)]
pub struct Forged {
    pub seal: Seal,
    pub signature: [u8; 64],
    pub events: Vec<Vec<u8>>,
}

impl Forged {
    pub fn open(batch: &[u8]) -> Forged {
        let batch = Batch::parse(batch).expect("an honest batch");
        let SignedSeal { seal, signature } = *batch.signed_seal();
        Forged { seal, signature, events: batch.events().map(<[u8]>::to_vec).collect() }
    }

    pub fn write(&self) -> Vec<u8> {
        let mut bytes = SignedSeal { seal: self.seal, signature: self.signature }.encode().to_vec();
        for event in &self.events {
            bytes.extend_from_slice(&(event.len() as u16).to_be_bytes());
            bytes.extend_from_slice(event);
        }
        bytes
    }

    /// Signs the seal as it is.
    pub fn sign(&mut self, key: &SecretKey) {
        self.signature = key.sign(&self.seal.signed_bytes());
    }

    /// Signs the seal as it is, with its own epoch's key.
    pub fn sign_as_epoch(&mut self) {
        self.sign(&epoch_key(self.seal.stream, self.seal.epoch));
    }

    pub fn hash(&self) -> [u8; 32] {
        SignedSeal { seal: self.seal, signature: self.signature }.hash()
    }
}

/// Takes every batch apart.
pub fn open_all(batches: &[Vec<u8>]) -> Vec<Forged> {
    batches.iter().map(|batch| Forged::open(batch)).collect()
}

pub fn write_all(batches: &[Forged]) -> Vec<Vec<u8>> {
    batches.iter().map(Forged::write).collect()
}

/// Makes the batches from `from` on agree with their events and with each other again, as whoever holds the epoch keys
/// can: count, indices, root, link, counters of spans and signature.
pub fn reseal(batches: &mut [Forged], from: usize) {
    let mut tree = Frontier::new();
    let mut previous = NO_SEAL;
    let mut sealed = (0, 0);
    for (place, batch) in batches.iter_mut().enumerate() {
        let spans = batch.events.iter().filter(|event| event[0] == 1).count() as u64;
        let before = if sealed.0 == batch.seal.epoch { sealed.1 } else { 0 };
        if place >= from {
            batch.seal.count = batch.events.len() as u16;
            batch.seal.first = tree.size();
            batch.seal.previous = previous;
            let counters = &mut batch.seal.counters;
            counters.received = counters.received - counters.sealed + before + spans;
            counters.sealed = before + spans;
        }
        sealed = (batch.seal.epoch, before + spans);
        batch.events.iter().for_each(|event| tree.push(leaf_hash(event)));
        if place >= from {
            batch.seal.root = tree.root();
            batch.sign_as_epoch();
        }
        previous = batch.hash();
    }
}

/// The stream's tree after the batches.
pub fn tree_of(batches: &[Vec<u8>]) -> Frontier {
    let mut tree = Frontier::new();
    for batch in open_all(batches) {
        batch.events.iter().for_each(|event| tree.push(leaf_hash(event)));
    }
    tree
}

/// Gives every batch another stream's name, and signs it with that stream's keys.
pub fn rename(batches: &mut [Forged], stream: StreamId) {
    for batch in batches {
        batch.seal.stream = stream;
        batch.sign_as_epoch();
    }
}
