//! Payload records and the events that list them (format.md section 15): a record stands before the batch that lists it,
//! in the same segment; one that nothing lists does not belong there; one that is not there was erased or has expired.

use std::collections::HashMap;

use spanseal_ledger::verify::{Code, Detail};
use spanseal_ledger::{Hash, StreamId};

use super::content::{ContentFault, ListedPayload};

/// What a payload record says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PayloadHead {
    stream: StreamId,
    group: [u8; 16],
    chunk: u16,
    chunks: u16,
}

/// Why a payload record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHead {
    Version,
    Malformed,
}

/// A payload record, hashed and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PayloadFacts {
    pub(super) id: Hash,
    pub(super) head: Result<PayloadHead, NoHead>,
}

impl PayloadHead {
    /// Reads the head of a record's body.
    pub(super) fn read(record: &[u8]) -> Result<Self, NoHead> {
        let (magic, rest) = record.split_first_chunk::<16>().ok_or(NoHead::Malformed)?;
        if magic != MAGIC {
            return Err(if magic.starts_with(FAMILY) { NoHead::Version } else { NoHead::Malformed });
        }
        if record.len() < HEAD_LEN + TAG_LEN {
            return Err(NoHead::Malformed);
        }
        let read = || {
            let (stream, rest) = rest.split_first_chunk()?;
            let (_subject, rest) = rest.split_first_chunk::<16>()?;
            let (group, rest) = rest.split_first_chunk()?;
            let (chunk, rest) = rest.split_first_chunk()?;
            let (chunks, _) = rest.split_first_chunk()?;
            let (chunk, chunks) = (u16::from_be_bytes(*chunk), u16::from_be_bytes(*chunks));
            Some(Self { stream: StreamId(*stream), group: *group, chunk, chunks })
        };
        read().ok_or(NoHead::Malformed)
    }
}

/// The payload records of a segment that no event has listed so far.
#[derive(Debug)]
pub(super) struct Payloads {
    stream: StreamId,
    waiting: HashMap<Hash, Waiting>,
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
        Self { stream, waiting: HashMap::new(), batches: 0 }
    }

    /// Whether every record was listed.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes a record in. False when there are more that nothing lists than one batch can list.
    pub(super) fn record(&mut self, facts: &PayloadFacts) -> bool {
        self.waiting.insert(facts.id, Waiting { head: facts.head, batches: self.batches, listed: false });
        self.waiting.len() <= WAITING_MAX
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

    /// Ends the segment; returns how many records no event lists though a batch followed them. Those that stand after
    /// the last batch belong to a write that was interrupted.
    pub(super) fn end_segment(&mut self) -> usize {
        let unlisted = self.waiting.values().filter(|waiting| waiting.batches < self.batches).count();
        *self = Self::new(self.stream);
        unlisted
    }
}

const MAGIC: &[u8; 16] = b"spanseal/payl/v1";
const FAMILY: &[u8] = b"spanseal/payl/";
const HEAD_LEN: usize = 16 + 16 + 16 + 16 + 2 + 2 + 24;
const TAG_LEN: usize = 16;
/// A batch has 256 events and an event at most 1,900 payload ids.
const WAITING_MAX: usize = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId([1; 16]);

    fn record(id: u8, group: u8, chunk: u16, chunks: u16) -> PayloadFacts {
        PayloadFacts { id: [id; 32], head: Ok(PayloadHead { stream: STREAM, group: [group; 16], chunk, chunks }) }
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
            head: Ok(PayloadHead { stream: StreamId([2; 16]), group: [9; 16], chunk: 0, chunks: 1 }),
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

    #[test]
    fn reads_the_head_of_a_record() {
        let whole = [&MAGIC[..], &[1; 16], &[2; 16], &[9; 16], &[0, 3, 0, 4], &[0; 24], &[0; 16]].concat();
        let expected = PayloadHead { stream: STREAM, group: [9; 16], chunk: 3, chunks: 4 };
        assert_eq!(PayloadHead::read(&whole), Ok(expected));
        assert_eq!(PayloadHead::read(&whole[..whole.len() - 1]), Err(NoHead::Malformed));
        assert_eq!(PayloadHead::read(b"spanseal/payl/v2 and more"), Err(NoHead::Version));
        assert_eq!(PayloadHead::read(b"something else altogether"), Err(NoHead::Malformed));
    }
}
