//! Spans on their way to a backend, and the requests that they are put into.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use spanseal_ledger::{EventId, StreamId};
use spanseal_schemas::splice::{self, RequestBuilder};
use tokio::time::Instant;

use super::marks::Marks;

/// Spans of one stream, in the order of sealing, and where the cursor stands once they are delivered.
#[derive(Debug)]
pub(super) struct Shipment {
    pub(super) stream: StreamId,
    pub(super) next: u64,
    /// Events gone through for it, those that are no spans included.
    pub(super) events: u64,
    pub(super) spans: Vec<Passage>,
    pub(super) withheld: Withheld,
    /// When it was read, and under whose keys values were that were put back then.
    pub(super) read: Instant,
    pub(super) restored: BTreeSet<[u8; 16]>,
}

/// Versions of spans that were passed by: a backend that keeps one span by its ids would lose the first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Withheld {
    pub(super) conflicts: u64,
    /// Those that differ from the first in enrichment alone.
    pub(super) variants: u64,
}

/// One span and what goes with it.
#[derive(Debug)]
pub(super) struct Passage {
    pub(super) event: EventId,
    pub(super) origin: Arc<Origin>,
    /// With cut values restored, or a note in their place.
    pub(super) span: Bytes,
    /// The span with notes in the place of values that were restored: smaller, for a backend that finds it too large.
    pub(super) abridged: Option<Bytes>,
    /// Under whose keys values were that were put back.
    pub(super) restored: Vec<[u8; 16]>,
    pub(super) marks: Marks,
}

/// Where spans come from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) resource: Bytes,
    pub(super) resource_schema_url: String,
    pub(super) scope: Bytes,
    pub(super) scope_schema_url: String,
    /// Under whose keys values were that were put back.
    pub(super) restored: Vec<[u8; 16]>,
}

impl Shipment {
    /// A shipment without spans, read now.
    pub(super) fn new(stream: StreamId, next: u64) -> Self {
        Self {
            stream,
            next,
            events: 0,
            spans: Vec::new(),
            withheld: Withheld::default(),
            read: Instant::now(),
            restored: BTreeSet::new(),
        }
    }

    pub(super) fn push(&mut self, passage: Passage) {
        self.restored.extend(passage.restored.iter().chain(&passage.origin.restored));
        self.spans.push(passage);
    }

    /// Returns some of the spans as one request.
    pub(super) fn request(&self, range: Range<usize>) -> Bytes {
        let mut builder = RequestBuilder::new();
        for passage in &self.spans[range] {
            passage.push(&mut builder, &passage.span);
        }
        builder.finish().into()
    }

    /// Returns one span as a request, abridged; `None` when that would be no smaller.
    pub(super) fn abridged(&self, place: usize) -> Option<Bytes> {
        let passage = &self.spans[place];
        let mut builder = RequestBuilder::new();
        passage.push(&mut builder, passage.abridged.as_ref()?);
        Some(builder.finish().into())
    }
}

impl Passage {
    /// Returns about how many bytes the span takes in a request.
    pub(super) fn bytes(&self) -> usize {
        self.span.len() + self.marks.bytes()
    }

    fn push(&self, builder: &mut RequestBuilder, span: &[u8]) {
        let origin = splice::Origin {
            resource: &self.origin.resource,
            resource_schema_url: &self.origin.resource_schema_url,
            scope: &self.origin.scope,
            scope_schema_url: &self.origin.scope_schema_url,
        };
        builder.push(&origin, span, &self.marks.list());
    }
}
