//! Spans on their way to a backend, and the requests that they are put into.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use spanseal_ledger::{EventId, StreamId};
use spanseal_schemas::splice::{self, RequestBuilder};
use tokio::time::Instant;

use super::marks::Marks;
use super::origins::Shared;

/// Spans of one stream, in the order of sealing, and where the cursor stands once they are delivered.
#[derive(Debug)]
pub(super) struct Shipment {
    pub(super) stream: StreamId,
    pub(super) next: u64,
    pub(super) spans: Vec<Passage>,
    /// About how many bytes the spans take as one request, with their resources and scopes.
    pub(super) bytes: usize,
    /// Where in memory the resources and scopes are that are counted.
    counted: HashSet<usize>,
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
    pub(super) resource: Shared,
    pub(super) scope: Shared,
}

impl Shipment {
    /// A shipment without spans, read now.
    pub(super) fn new(stream: StreamId, next: u64) -> Self {
        Self {
            stream,
            next,
            spans: Vec::new(),
            bytes: 0,
            counted: HashSet::new(),
            withheld: Withheld::default(),
            read: Instant::now(),
            restored: BTreeSet::new(),
        }
    }

    pub(super) fn push(&mut self, passage: Passage) {
        self.bytes += self.bytes_more(&passage);
        self.counted.extend(passage.origin.parts().map(Shared::place));
        let parts = passage.origin.parts();
        self.restored.extend(passage.restored.iter().chain(parts.into_iter().flat_map(|part| &part.restored)));
        self.spans.push(passage);
    }

    /// Returns how many bytes it takes more with this span: its resource and scope count when they are new.
    pub(super) fn bytes_more(&self, passage: &Passage) -> usize {
        let parts = passage.origin.parts();
        let new = parts.into_iter().filter(|part| !self.counted.contains(&part.place()));
        passage.bytes() + new.map(Shared::bytes).sum::<usize>()
    }

    /// Returns some of the spans as one request.
    pub(super) fn request(&self, range: Range<usize>) -> Bytes {
        let mut builder = RequestBuilder::new();
        for passage in &self.spans[range] {
            builder.push(&passage.origin.whole(), &passage.span, &passage.marks.list());
        }
        builder.finish().into()
    }

    /// Returns one span as a request, it and its resource and scope abridged; `None` when that would be no smaller.
    pub(super) fn abridged(&self, place: usize) -> Option<Bytes> {
        let passage = &self.spans[place];
        if passage.abridged.is_none() && passage.origin.parts().iter().all(|part| part.abridged.is_none()) {
            return None;
        }
        let mut builder = RequestBuilder::new();
        let span = passage.abridged.as_ref().unwrap_or(&passage.span);
        builder.push(&passage.origin.abridged(), span, &passage.marks.list());
        Some(builder.finish().into())
    }
}

impl Passage {
    /// Returns about how many bytes the span takes in a request.
    pub(super) fn bytes(&self) -> usize {
        self.span.len() + self.marks.bytes()
    }
}

impl Origin {
    pub(super) fn parts(&self) -> [&Shared; 2] {
        [&self.resource, &self.scope]
    }

    fn whole(&self) -> splice::Origin<'_> {
        self.with(&self.resource.content, &self.scope.content)
    }

    fn abridged(&self) -> splice::Origin<'_> {
        let [resource, scope] = self.parts().map(|part| part.abridged.as_ref().unwrap_or(&part.content));
        self.with(resource, scope)
    }

    fn with<'a>(&'a self, resource: &'a [u8], scope: &'a [u8]) -> splice::Origin<'a> {
        splice::Origin {
            resource,
            resource_schema_url: &self.resource.schema_url,
            scope,
            scope_schema_url: &self.scope.schema_url,
        }
    }
}
