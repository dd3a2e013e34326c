//! Spans put together into a request.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Mark, marks_len, put_marks, strip};
use crate::wire::{LEN, bytes_len, key, put_bytes, put_varint};

/// Which resource and scope a span belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The `Resource` message.
    pub resource: &'a [u8],
    /// The resource's schema URL.
    pub resource_schema_url: &'a str,
    /// The `InstrumentationScope` message.
    pub scope: &'a [u8],
    /// The schema URL of the spans.
    pub scope_schema_url: &'a str,
}

/// Builds an `ExportTraceServiceRequest` from marked spans, grouped by where they come from, in order of appearance.
#[derive(Debug, Default)]
pub struct RequestBuilder {
    resources: Vec<Group>,
    /// Where the group of each resource, and of each scope in it, stands.
    places: HashMap<Vec<u8>, Place>,
    /// The origin of the span that came last, as an id, and its place.
    last: (Vec<u8>, Place),
    /// Room for the next id.
    id: Vec<u8>,
    spans: usize,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    resource: usize,
    scope: usize,
}

/// A `ResourceSpans` or `ScopeSpans` message in the making.
#[derive(Debug)]
struct Group {
    /// The `Resource` or `InstrumentationScope`.
    about: Vec<u8>,
    schema_url: String,
    /// The groups in a resource.
    scopes: Vec<Group>,
    /// The spans in a scope, framed.
    spans: Vec<u8>,
}

impl RequestBuilder {
    /// Returns an empty request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one span with its marks, see [`super::marked`]. Reserved attributes of resource and scope are left out too.
    pub fn push(&mut self, origin: &Origin<'_>, span: &[u8], marks: &[(&str, Mark<'_>)]) {
        let place = self.place(origin);
        let span = strip::span(span);
        let length = span.len() + marks_len(marks);
        let spans = &mut self.resources[place.resource].scopes[place.scope].spans;
        let before = spans.len();
        spans.reserve(bytes_len(PART, length));
        put_varint(spans, key(PART, LEN));
        put_varint(spans, length as u64);
        spans.extend_from_slice(&span);
        put_marks(spans, marks);
        self.bytes += spans.len() - before;
        self.spans += 1;
    }

    /// Returns how many spans were added.
    pub fn spans(&self) -> usize {
        self.spans
    }

    /// Returns how many bytes the request takes at most: a few a group above what it will.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the request's bytes and begins an empty one.
    pub fn finish(&mut self) -> Vec<u8> {
        let done = std::mem::take(self);
        let mut out = Vec::with_capacity(done.bytes);
        for resource in &done.resources {
            put_varint(&mut out, key(RESOURCE_SPANS, LEN));
            put_varint(&mut out, resource.len() as u64);
            resource.put(&mut out);
        }
        out
    }

    /// Returns the place for spans of this origin, made when it is new.
    fn place(&mut self, origin: &Origin<'_>) -> Place {
        let mut id = std::mem::take(&mut self.id);
        id.clear();
        let resource_len = put_id(&mut id, origin);
        if id != self.last.0 {
            let place = match self.places.get(&id) {
                Some(place) => *place,
                None => self.new_place(origin, &id[..resource_len], &id),
            };
            self.last.1 = place;
            std::mem::swap(&mut self.last.0, &mut id);
        }
        self.id = id;
        self.last.1
    }

    fn new_place(&mut self, origin: &Origin<'_>, resource_id: &[u8], id: &[u8]) -> Place {
        let known = self.places.get(resource_id).map(|place| place.resource);
        let resource = known.unwrap_or_else(|| {
            let group = Group::new(strip::resource(origin.resource), origin.resource_schema_url);
            self.bytes += group.frame_len();
            self.resources.push(group);
            let resource = self.resources.len() - 1;
            self.places.insert(resource_id.to_vec(), Place { resource, scope: 0 });
            resource
        });
        let group = Group::new(strip::scope(origin.scope), origin.scope_schema_url);
        self.bytes += group.frame_len();
        let scopes = &mut self.resources[resource].scopes;
        scopes.push(group);
        let place = Place { resource, scope: scopes.len() - 1 };
        self.places.insert(id.to_vec(), place);
        place
    }
}

/// Appends an id that no two origins share, because each part goes with its length. Returns how much of it is the
/// resource's own id, which is shorter than any origin's that begins with it.
fn put_id(id: &mut Vec<u8>, origin: &Origin<'_>) -> usize {
    put_bytes(id, ABOUT, origin.resource);
    put_bytes(id, SCHEMA_URL, origin.resource_schema_url.as_bytes());
    let resource_len = id.len();
    put_bytes(id, ABOUT, origin.scope);
    put_bytes(id, SCHEMA_URL, origin.scope_schema_url.as_bytes());
    resource_len
}

impl Group {
    fn new(about: Cow<'_, [u8]>, schema_url: &str) -> Self {
        let about = about.into_owned();
        Self { about, schema_url: schema_url.to_owned(), scopes: Vec::new(), spans: Vec::new() }
    }

    /// Returns what the group takes at most besides what is in it.
    fn frame_len(&self) -> usize {
        const KEY_AND_LENGTH: usize = 6;
        self.about.len() + self.schema_url.len() + 3 * KEY_AND_LENGTH
    }

    /// Returns how many bytes the message takes.
    fn len(&self) -> usize {
        let about = if self.about.is_empty() { 0 } else { bytes_len(ABOUT, self.about.len()) };
        let url = if self.schema_url.is_empty() { 0 } else { bytes_len(SCHEMA_URL, self.schema_url.len()) };
        let scopes: usize = self.scopes.iter().map(|scope| bytes_len(PART, scope.len())).sum();
        about + scopes + self.spans.len() + url
    }

    fn put(&self, out: &mut Vec<u8>) {
        if !self.about.is_empty() {
            put_bytes(out, ABOUT, &self.about);
        }
        for scope in &self.scopes {
            put_varint(out, key(PART, LEN));
            put_varint(out, scope.len() as u64);
            scope.put(out);
        }
        out.extend_from_slice(&self.spans);
        if !self.schema_url.is_empty() {
            put_bytes(out, SCHEMA_URL, self.schema_url.as_bytes());
        }
    }
}

/// The field of a request with its `ResourceSpans`.
const RESOURCE_SPANS: u32 = 1;

// The fields of ResourceSpans and ScopeSpans have the same numbers: what it is about, what is in it, schema URL.
const ABOUT: u32 = 1;
const PART: u32 = 2;
const SCHEMA_URL: u32 = 3;
