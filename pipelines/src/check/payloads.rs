//! Payload records and the events that list them (format.md section 15): a record stands before the batch that lists it,
//! in the same segment; one that nothing lists does not belong there; one that is not there was taken away.

use std::collections::{HashMap, HashSet};

use spanseal_ledger::verify::{Code, Detail};
use spanseal_ledger::{Hash, StreamId};

use super::content::{ContentFault, ListedPayload};
use crate::hex;
use crate::payload::{NoHead, PayloadHead};

/// A payload record, hashed and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PayloadFacts {
    pub(super) id: Hash,
    pub(super) head: Result<PayloadHead, NoHead>,
}

/// The payload records of a segment that no event has listed so far.
#[derive(Debug)]
pub(super) struct Payloads {
    stream: StreamId,
    waiting: HashMap<Hash, Waiting>,
    /// Every record of the segment so far.
    seen: HashSet<Hash>,
    /// Of records that had stood in the segment before: how many batches had gone by when each came.
    again: Vec<u64>,
    batches: u64,
}

#[derive(Debug)]
struct Waiting {
    head: Result<PayloadHead, NoHead>,
    /// How many batches had gone by in the segment when it came.
    batches: u64,
    listed: bool,
}

impl Payloads {
    pub(super) fn new(stream: StreamId) -> Self {
        Self { stream, waiting: HashMap::new(), seen: HashSet::new(), again: Vec::new(), batches: 0 }
    }

    /// Returns the ids of the segment's records so far, once each was listed and none stands there again.
    pub(super) fn settled(&self) -> Option<Vec<String>> {
        let settled = self.waiting.is_empty() && self.again.is_empty();
        settled.then(|| self.seen.iter().map(|id| hex::encode(id)).collect())
    }

    /// Goes on in a segment that has these records.
    pub(super) fn from_settled(stream: StreamId, ids: &[String]) -> Option<Self> {
        let seen = ids.iter().map(|id| hex::decode(id)).collect::<Option<_>>()?;
        Some(Self { seen, ..Self::new(stream) })
    }

    /// Takes a record in. False when there are more that nothing lists than one batch can list.
    pub(super) fn record(&mut self, facts: &PayloadFacts) -> bool {
        if self.seen.insert(facts.id) {
            self.waiting.insert(facts.id, Waiting { head: facts.head, batches: self.batches, listed: false });
        } else {
            self.again.push(self.batches);
        }
        self.waiting.len() + self.again.len() <= WAITING_MAX
    }

    /// Takes what a batch lists, and names what is not there or not what is listed.
    pub(super) fn batch(&mut self, listed: &[ListedPayload], mut found: impl FnMut(ContentFault)) {
        self.batches += 1;
        let mut group = None;
        for payload in listed {
            let first = group.filter(|(index, _)| *index == payload.index).map(|(_, group)| group);
            match self.match_one(payload, first) {
                Ok(matched) => group = Some((payload.index, matched)),
                Err((code, detail)) => found(ContentFault { index: payload.index, code, detail }),
            }
        }
        self.waiting.retain(|_, waiting| !waiting.listed);
    }

    /// Returns the group of the record that is listed.
    fn match_one(&mut self, payload: &ListedPayload, group: Option<[u8; 16]>) -> Result<[u8; 16], (Code, Detail)> {
        let waiting = self.waiting.get_mut(&payload.id).ok_or((Code::PayloadMissing, Detail::Nothing))?;
        waiting.listed = true;
        let head = waiting.head.map_err(|no_head| match no_head {
            NoHead::Version => (Code::UnknownVersion, Detail::Fact("the payload record's version")),
            NoHead::Malformed => (Code::PayloadMismatch, Detail::Fact("the payload record does not parse")),
        })?;
        let of_event = (usize::from(head.chunk), usize::from(head.chunks)) == (payload.chunk, payload.chunks);
        if head.stream != self.stream {
            return Err((Code::PayloadMismatch, Detail::Fact("the payload record names another stream")));
        }
        if !of_event || group.is_some_and(|group| group != head.group) {
            return Err((Code::PayloadMismatch, Detail::Fact("the payload record is another chunk")));
        }
        Ok(head.group)
    }

    /// Ends the segment; returns how many records no event lists, or stand there again, though a batch followed them.
    /// Those that stand after the last batch belong to a write that was interrupted.
    pub(super) fn end_segment(&mut self) -> usize {
        let waiting = self.waiting.values().map(|waiting| &waiting.batches);
        let unlisted = waiting.chain(&self.again).filter(|batches| **batches < self.batches).count();
        *self = Self::new(self.stream);
        unlisted
    }
}

/// A batch has 256 events and an event at most 1,900 payload ids.
const WAITING_MAX: usize = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId([1; 16]);

    fn record(id: u8, group: u8, chunk: u16, chunks: u16) -> PayloadFacts {
        PayloadFacts {
            id: [id; 32],
            head: Ok(PayloadHead { stream: STREAM, subject: [5; 16], group: [group; 16], chunk, chunks }),
        }
    }

    /// Lists ids as the chunks of event 7, and returns the codes found.
    fn codes(payloads: &mut Payloads, ids: &[u8]) -> Vec<&'static str> {
        let listed = |(chunk, id): (usize, &u8)| ListedPayload { index: 7, id: [*id; 32], chunk, chunks: ids.len() };
        let listed: Vec<ListedPayload> = ids.iter().enumerate().map(listed).collect();
        let mut codes = Vec::new();
        payloads.batch(&listed, |fault| codes.push(fault.code.as_str()));
        codes
    }

    #[test]
    fn matches_records_with_the_events_that_list_them() {
        let mut payloads = Payloads::new(STREAM);
        payloads.record(&record(1, 9, 1, 2));
        payloads.record(&record(2, 9, 0, 2));
        assert!(codes(&mut payloads, &[2, 1]).is_empty());
        assert_eq!(payloads.end_segment(), 0);
    }

    #[test]
    fn names_the_event_whose_payload_is_not_there_or_another() {
        let other_stream = PayloadFacts {
            head: Ok(PayloadHead { stream: StreamId([2; 16]), subject: [5; 16], group: [9; 16], chunk: 0, chunks: 1 }),
            ..record(1, 9, 0, 1)
        };
        let unread = |no_head| PayloadFacts { head: Err(no_head), ..record(1, 9, 0, 1) };
        for (records, ids, expected) in [
            (vec![], &[1][..], "payload_missing"),
            (vec![record(1, 9, 1, 2), record(2, 9, 0, 2)], &[1, 2], "payload_mismatch"), // in the wrong order
            (vec![record(1, 9, 0, 2)], &[1], "payload_mismatch"),                        // one of two
            (vec![record(1, 9, 0, 2), record(2, 8, 1, 2)], &[1, 2], "payload_mismatch"), // of two groups
            (vec![other_stream], &[1], "payload_mismatch"),
            (vec![unread(NoHead::Malformed)], &[1], "payload_mismatch"),
            (vec![unread(NoHead::Version)], &[1], "unknown_version"),
        ] {
            let mut payloads = Payloads::new(STREAM);
            for record in &records {
                payloads.record(record);
            }
            assert_eq!(codes(&mut payloads, ids).first(), Some(&expected), "{records:?}");
        }
    }

    #[test]
    fn counts_records_that_nothing_lists_unless_the_write_was_interrupted() {
        let mut payloads = Payloads::new(STREAM);
        payloads.record(&record(1, 9, 0, 1));
        assert_eq!(payloads.end_segment(), 0);
        payloads.record(&record(1, 9, 0, 1));
        codes(&mut payloads, &[]);
        payloads.record(&record(2, 9, 0, 1));
        assert_eq!(payloads.end_segment(), 1);
    }

    #[test]
    fn counts_records_that_stand_in_the_segment_again() {
        for order in [[1, 1, 0, 0], [1, 0, 1, 0]] {
            let mut payloads = Payloads::new(STREAM);
            for step in order {
                match step {
                    0 => _ = codes(&mut payloads, &[]),
                    _ => _ = payloads.record(&record(1, 9, 0, 1)),
                }
            }
            let listed = codes(&mut payloads, &[1]);
            assert_eq!((listed.len(), payloads.end_segment()), (0, 1), "{order:?}");
        }
    }

    #[test]
    fn does_not_hold_more_than_a_batch_can_list() {
        let mut payloads = Payloads::new(STREAM);
        let numbered = |n: u64| {
            let mut facts = record(0, 9, 0, 1);
            facts.id[..8].copy_from_slice(&n.to_be_bytes());
            facts
        };
        let taken = (0..=WAITING_MAX as u64).take_while(|n| payloads.record(&numbered(*n))).count();
        assert_eq!(taken, WAITING_MAX);
    }
}
