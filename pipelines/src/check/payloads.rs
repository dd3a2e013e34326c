//! Payload records and the events that list them (format.md section 15): a record stands before the batch that lists it,
//! in the same segment; one that nothing lists does not belong there; one that is not there was erased or has expired.

use std::collections::HashMap;

use spanseal_ledger::Hash;

/// The payload records of a segment that no event has listed so far.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    /// By id: how many batches had gone by in the segment when it came.
    waiting: HashMap<Hash, u64>,
    batches: u64,
}

impl Payloads {
    /// Takes a record in. False when there are more that nothing lists than one batch can list.
    pub(super) fn record(&mut self, id: Hash) -> bool {
        self.waiting.insert(id, self.batches);
        self.waiting.len() <= WAITING_MAX
    }

    /// Takes the ids that a batch lists; returns the events of which a payload is not there.
    pub(super) fn batch<'a>(&mut self, listed: &'a [(u64, Hash)]) -> impl Iterator<Item = u64> + use<'a> {
        self.batches += 1;
        let missing: Vec<u64> =
            listed.iter().filter(|(_, id)| self.waiting.remove(id).is_none()).map(|(index, _)| *index).collect();
        missing.into_iter()
    }

    /// Ends the segment; returns how many records no event lists though a batch followed them. Those that stand after
    /// the last batch belong to a write that was interrupted.
    pub(super) fn end_segment(&mut self) -> usize {
        let unlisted = self.waiting.values().filter(|batches| **batches < self.batches).count();
        *self = Self::default();
        unlisted
    }
}

/// A batch has 256 events and an event at most 1,900 payload ids.
const WAITING_MAX: usize = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(payloads: &mut Payloads, listed: &[(u64, Hash)]) -> Vec<u64> {
        payloads.batch(listed).collect()
    }

    #[test]
    fn matches_records_with_the_events_that_list_them() {
        let mut payloads = Payloads::default();
        payloads.record([1; 32]);
        payloads.record([2; 32]);
        assert_eq!(missing(&mut payloads, &[(7, [2; 32]), (7, [1; 32])]), Vec::<u64>::new());
        assert_eq!(payloads.end_segment(), 0);
    }

    #[test]
    fn names_the_event_whose_payload_is_not_there() {
        assert_eq!(missing(&mut Payloads::default(), &[(7, [1; 32])]), [7]);
    }

    #[test]
    fn counts_records_that_nothing_lists_unless_the_write_was_interrupted() {
        let mut payloads = Payloads::default();
        payloads.record([1; 32]);
        assert_eq!(payloads.end_segment(), 0);
        payloads.record([1; 32]);
        missing(&mut payloads, &[]);
        payloads.record([2; 32]);
        assert_eq!(payloads.end_segment(), 1);
    }

    #[test]
    fn does_not_hold_more_than_a_batch_can_list() {
        let mut payloads = Payloads::default();
        let id = |n: u64| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            id
        };
        let taken = (0..=WAITING_MAX as u64).take_while(|n| payloads.record(id(*n))).count();
        assert_eq!(taken, WAITING_MAX);
    }
}
