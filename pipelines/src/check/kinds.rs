//! Which events of a stream are spans: what references to events are checked against.

use std::collections::BTreeMap;

use crate::hex;

/// What was read at an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing that holds: there may be anything.
    Unread,
    Span,
    Other,
}

/// Two bits an event, in pages that are only there where something was read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Kinds(BTreeMap<u64, Page>);

/// Nearly all pages have spans alone: so its size hardly grows with the log.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Page {
    Spans,
    Mixed(Box<[u8; PAGE_BYTES]>),
}

impl Kinds {
    pub(super) fn note(&mut self, index: u64, is_span: bool) {
        let page = self.0.entry(index / PAGE_EVENTS).or_insert_with(|| Page::Mixed(Box::new([0; PAGE_BYTES])));
        let (byte, shift) = place(index);
        match page {
            Page::Spans if is_span => {}
            Page::Spans => {
                let mut bits = Box::new([ALL_SPANS; PAGE_BYTES]);
                bits[byte] |= OTHER << shift;
                *page = Page::Mixed(bits);
            }
            Page::Mixed(bits) => {
                bits[byte] |= (if is_span { SPAN } else { OTHER }) << shift;
                if index % PAGE_EVENTS == PAGE_EVENTS - 1 && **bits == [ALL_SPANS; PAGE_BYTES] {
                    *page = Page::Spans;
                }
            }
        }
    }

    pub(super) fn of(&self, index: u64) -> Kind {
        let (byte, shift) = place(index);
        let bits = match self.0.get(&(index / PAGE_EVENTS)) {
            None => 0,
            Some(Page::Spans) => SPAN,
            Some(Page::Mixed(bits)) => bits[byte] >> shift & 3,
        };
        match bits {
            0 => Kind::Unread,
            SPAN => Kind::Span,
            _ => Kind::Other,
        }
    }

    /// Returns the pages as text: nothing for one of spans alone, else the bits in hex.
    pub(super) fn to_text(&self) -> BTreeMap<u64, String> {
        let text = |page: &Page| match page {
            Page::Spans => String::new(),
            Page::Mixed(bits) => hex::encode(bits.as_slice()),
        };
        self.0.iter().map(|(number, page)| (*number, text(page))).collect()
    }

    /// Reads what [`Kinds::to_text`] gave.
    pub(super) fn from_text(pages: &BTreeMap<u64, String>) -> Option<Self> {
        let page = |text: &String| match text.as_str() {
            "" => Some(Page::Spans),
            bits => hex::decode(bits).map(|bits| Page::Mixed(Box::new(bits))),
        };
        pages.iter().map(|(number, text)| Some((*number, page(text)?))).collect::<Option<_>>().map(Self)
    }
}

/// Returns the byte in its page, and how far the two bits are shifted.
fn place(index: u64) -> (usize, u64) {
    ((index % PAGE_EVENTS / 4) as usize, index % 4 * 2)
}

const SPAN: u8 = 1;
const OTHER: u8 = 2;
const ALL_SPANS: u8 = SPAN | SPAN << 2 | SPAN << 4 | SPAN << 6;
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
    #[test]
    fn holds_pages_of_spans_alone_in_nothing_and_comes_back_from_text() {
        let mut kinds = Kinds::default();
        (0..3 * PAGE_EVENTS).for_each(|index| kinds.note(index, index != PAGE_EVENTS + 7));
        assert_eq!(kinds.to_text().values().map(String::len).collect::<Vec<_>>(), [0, 2 * PAGE_BYTES, 0]);
        kinds.note(5, false);
        assert_eq!((kinds.of(4), kinds.of(5), kinds.of(PAGE_EVENTS + 7)), (Kind::Span, Kind::Other, Kind::Other));
        assert_eq!(Kinds::from_text(&kinds.to_text()), Some(kinds));
        assert_eq!(Kinds::from_text(&BTreeMap::from([(0, "00".to_owned())])), None);
    }
}
