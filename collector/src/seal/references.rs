//! Which resource events the next span may refer to.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Where shared messages stand in the stream, by fingerprint.
///
/// A referrer and its target share the epoch and index >> 16, so whatever was written is forgotten when either changes.
#[derive(Debug, Default)]
pub(crate) struct References {
    run: Run,
    indices: HashMap<u128, u64, BuildHasherDefault<Folded>>,
}

/// An epoch and an index >> 16.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) epoch: u32,
    pub(crate) indices: u64,
}

impl Run {
    /// The run of the event with this index.
    pub(crate) fn of(epoch: u32, index: u64) -> Self {
        Self { epoch, indices: index >> 16 }
    }
}

impl References {
    /// Returns where a message stands in this run, if it was written there.
    pub(crate) fn find(&mut self, run: Run, print: u128) -> Option<u64> {
        self.turn_to(run);
        self.indices.get(&print).copied()
    }

    /// Notes where a message was written.
    pub(crate) fn note(&mut self, run: Run, print: u128, index: u64) {
        self.turn_to(run);
        if self.indices.len() >= ENTRIES_MAX {
            // All of them are written again when they are needed again.
            self.indices.clear();
        }
        self.indices.insert(print, index);
    }

    fn turn_to(&mut self, run: Run) {
        if self.run != run {
            self.run = run;
            self.indices.clear();
        }
    }
}

/// Whoever sends more different resources than this in a run has them sealed more than once.
const ENTRIES_MAX: usize = 8192;

/// Fingerprints are keyed hashes already.
#[derive(Debug, Default)]
pub(crate) struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_ne_bytes(word);
        }
    }

    fn write_u128(&mut self, print: u128) {
        self.0 ^= print as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_when_the_epoch_or_the_run_of_indices_changes() {
        let mut references = References::default();
        let run = Run::of(1, 65_535);
        references.note(run, 7, 65_000);
        assert_eq!(references.find(run, 7), Some(65_000));
        assert_eq!(references.find(Run::of(1, 65_536), 7), None);
        references.note(Run::of(1, 65_536), 7, 65_536);
        assert_eq!(references.find(Run::of(2, 65_600), 7), None);
    }

    #[test]
    fn stays_bounded() {
        let mut references = References::default();
        for print in 0..3 * ENTRIES_MAX as u128 {
            references.note(Run::of(1, 5), print, 5);
            assert!(references.indices.len() <= ENTRIES_MAX);
        }
        assert_eq!(references.find(Run::of(1, 5), 3 * ENTRIES_MAX as u128 - 1), Some(5));
    }
}
