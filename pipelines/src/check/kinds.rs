//! Which events of a stream are spans: what references to events are checked against.

use std::collections::HashMap;

/// What was read at an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing that holds: there may be anything.
    Unread,
    Span,
    Other,
}

/// Two bits an event, in pages that are only there where something was read.
#[derive(Debug, Default)]
pub(super) struct Kinds(HashMap<u64, Box<[u8; PAGE_BYTES]>>);

impl Kinds {
    pub(super) fn note(&mut self, index: u64, is_span: bool) {
        let page = self.0.entry(index / PAGE_EVENTS).or_insert_with(|| Box::new([0; PAGE_BYTES]));
        let (byte, shift) = place(index);
        page[byte] |= (if is_span { SPAN } else { OTHER }) << shift;
    }

    pub(super) fn of(&self, index: u64) -> Kind {
        let (byte, shift) = place(index);
        let bits = self.0.get(&(index / PAGE_EVENTS)).map_or(0, |page| page[byte] >> shift & 3);
        match bits {
            0 => Kind::Unread,
            SPAN => Kind::Span,
            _ => Kind::Other,
        }
    }
}

/// Returns the byte in its page, and how far the two bits are shifted.
fn place(index: u64) -> (usize, u64) {
    ((index % PAGE_EVENTS / 4) as usize, index % 4 * 2)
}

const SPAN: u8 = 1;
const OTHER: u8 = 2;
const PAGE_BYTES: usize = 1024;
const PAGE_EVENTS: u64 = PAGE_BYTES as u64 * 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_each_index_by_itself() {
        let mut kinds = Kinds::default();
        for index in [0, 1, 3, 4096, u64::MAX] {
            kinds.note(index, index % 2 == 1);
        }
        let expected = [(0, Kind::Other), (1, Kind::Span), (2, Kind::Unread), (3, Kind::Span), (4095, Kind::Unread)];
        for (index, kind) in expected.into_iter().chain([(4096, Kind::Other), (u64::MAX, Kind::Span)]) {
            assert_eq!(kinds.of(index), kind, "{index}");
        }
    }
}
