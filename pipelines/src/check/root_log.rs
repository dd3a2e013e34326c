//! The root log, leaf by leaf, and what its segments say of it.

use std::io;

use spanseal_ledger::trust::Trust;
use spanseal_ledger::verify::{Detail, RootState, RootVerifier};
use spanseal_log::{Damage, HeaderError, Item, Reader};

use super::report::Tail;

/// Verifies the root log as its records come.
pub(super) struct RootCheck {
    verifier: RootVerifier,
    /// Indices of superseded leaves that differ from what took their place, until the log has passed them.
    superseded: Vec<u64>,
    tails: Vec<Tail>,
}

impl RootCheck {
    pub(super) fn new(trust: Option<Trust>) -> Self {
        Self { verifier: RootVerifier::new(trust), superseded: Vec::new(), tails: Vec::new() }
    }

    /// Reads the whole log.
    ///
    /// # Errors
    /// When the disk cannot be read. A fault is kept for the report.
    pub(super) fn read(&mut self, reader: &mut Reader) -> io::Result<()> {
        while let Some(item) = reader.read_next()? {
            match item {
                Item::SegmentStart(start) => self.verifier.segment(&start.frontier, &start.seal_hash),
                Item::RootLeaf { index, bytes, .. } => {
                    self.name_superseded(index);
                    drop(self.verifier.push(bytes));
                }
                Item::Torn { place, bytes, superseded: true } => {
                    self.tails.push(Tail { segment: place.segment, bytes })
                }
                Item::Torn { bytes, .. } => self.verifier.torn(bytes),
                Item::Damaged { what, .. } => self.damaged(what),
                Item::Superseded { first, .. } if self.superseded.len() < SUPERSEDED_MAX => self.superseded.push(first),
                _ => {}
            }
        }
        self.name_superseded(u64::MAX);
        Ok(())
    }

    /// Returns what the root log comes to, and what is to be noted of its segments' ends.
    pub(super) fn finish(self, note: Option<&[u8]>) -> (RootState, Vec<Tail>) {
        (self.verifier.finish(note), self.tails)
    }

    /// Names those up to an index, so that faults stand in the order of their places.
    fn name_superseded(&mut self, index: u64) {
        let verifier = &mut self.verifier;
        self.superseded.retain(|superseded| {
            let waits = *superseded > index;
            if !waits {
                verifier.damaged_at(*superseded, Detail::Fact("a superseded record differs"));
            }
            waits
        });
    }

    fn damaged(&mut self, what: Damage) {
        let detail = match what {
            Damage::Header(HeaderError::OtherOwner) => return self.verifier.segment_of_another_log(),
            Damage::Gap { got, .. } => return self.verifier.missing_to(got),
            Damage::Header(_) => Detail::Fact("a segment's header cannot be read"),
            Damage::RecordKind { kind } => Detail::Numbers { what: "the record's type", expected: 3, got: kind.into() },
            _ => Detail::Fact("a record cannot be read"),
        };
        self.verifier.damaged(detail);
    }
}

const SUPERSEDED_MAX: usize = 1000;
