//! Spans put together into a request.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Mark, marks_len, put_marks, strip};
use crate::wire::{LEN, bytes_len, key, put_bytes, put_varint};

/// Which resource and scope a span belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
///
/// Resources may be large, so that they are borrowed until the end, and then written once.
#[derive(Debug, Default)]
pub struct RequestBuilder<'a> {
    resources: Vec<Group<'a>>,
    /// Where the group of each resource stands, by the message and its schema URL.
    known: HashMap<(&'a [u8], &'a str), usize>,
    places: HashMap<Origin<'a>, Place>,
    /// The origin of the span that came last, and its place.
    last: Option<(Origin<'a>, Place)>,
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
struct Group<'a> {
    /// The `Resource` or `InstrumentationScope`.
    about: Cow<'a, [u8]>,
    schema_url: &'a str,
    /// The groups in a resource.
    scopes: Vec<Group<'a>>,
    /// The spans in a scope, framed.
    spans: Vec<u8>,
}

impl<'a> RequestBuilder<'a> {
    /// Returns an empty request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one span with its marks, see [`super::marked`]. Reserved attributes of resource and scope are left out too.
    pub fn push(&mut self, origin: &Origin<'a>, span: &[u8], marks: &[(&str, Mark<'_>)]) {
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
    fn place(&mut self, origin: &Origin<'a>) -> Place {
        if let Some((last, place)) = &self.last
            && last.is(origin)
        {
            return *place;
        }
        let place = self.places.get(origin).copied().unwrap_or_else(|| self.new_place(origin));
        self.last = Some((*origin, place));
        place
    }

    fn new_place(&mut self, origin: &Origin<'a>) -> Place {
        let resource_id = (origin.resource, origin.resource_schema_url);
        let known = self.known.get(&resource_id).copied();
        let resource = known.unwrap_or_else(|| {
            let group = Group::new(strip::resource(origin.resource), origin.resource_schema_url);
            self.bytes += group.frame_len();
            self.resources.push(group);
            let resource = self.resources.len() - 1;
            self.known.insert(resource_id, resource);
            resource
        });
        let group = Group::new(strip::scope(origin.scope), origin.scope_schema_url);
        self.bytes += group.frame_len();
        let scopes = &mut self.resources[resource].scopes;
        scopes.push(group);
        let place = Place { resource, scope: scopes.len() - 1 };
        self.places.insert(*origin, place);
        place
    }
}

impl Origin<'_> {
    /// Says whether they are equal, at once when they are the same memory.
    fn is(&self, other: &Self) -> bool {
        let same = |one: &[u8], other: &[u8]| std::ptr::eq(one, other) || one == other;
        same(self.resource, other.resource)
            && same(self.scope, other.scope)
            && self.resource_schema_url == other.resource_schema_url
            && self.scope_schema_url == other.scope_schema_url
    }
}

impl<'a> Group<'a> {
    fn new(about: Cow<'a, [u8]>, schema_url: &'a str) -> Self {
        Self { about, schema_url, scopes: Vec::new(), spans: Vec::new() }
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
