//! One version of a span: the span, its resource and its scope as they were received.

use std::borrow::Cow;

use spanseal_schemas::alike::alike;
use spanseal_schemas::cut::{self, Shape};

use super::parcel::{Content, Parcel, ParcelSpan, Shared};
use super::payloads::split_pieces;

/// A span and what it came under.
#[derive(Debug)]
pub(crate) struct Version<'a> {
    pub(crate) resource: Part<'a>,
    pub(crate) scope: Part<'a>,
    pub(crate) span: Cow<'a, [u8]>,
}

/// A resource or a scope.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) schema_url: Cow<'a, [u8]>,
    pub(crate) content: Cow<'a, [u8]>,
}

impl<'a> Version<'a> {
    /// Returns a span of a request; `None` when the parts do not fit together.
    pub(crate) fn in_parcel(parcel: &'a Parcel, span: &ParcelSpan) -> Option<Self> {
        Some(Self {
            resource: Part::of(&parcel.shared[span.resource as usize])?,
            scope: Part::of(&parcel.shared[span.scope as usize])?,
            span: Cow::Borrowed(parcel.span(span)),
        })
    }

    /// Returns whether two versions say the same, but for attributes for whose key `apart` is true.
    pub(crate) fn is_alike(&self, other: &Version<'_>, apart: &dyn Fn(&str) -> bool) -> bool {
        let part = |shape, one: &Part<'_>, other: &Part<'_>| {
            one.schema_url == other.schema_url && alike(shape, &one.content, &other.content, apart)
        };
        part(Shape::Resource, &self.resource, &other.resource)
            && part(Shape::Scope, &self.scope, &other.scope)
            && alike(Shape::Span, &self.span, &other.span, apart)
    }
}

impl<'a> Part<'a> {
    fn of(shared: &'a Shared) -> Option<Self> {
        let content = match &shared.content {
            Content::Whole(content) => Cow::Borrowed(&content[..]),
            Content::Cut(cut) => {
                let pieces = split_pieces(&cut.pieces).ok()?;
                Cow::Owned(cut::restore(&cut.stored, &cut.cuts, &pieces).ok()?)
            }
        };
        Some(Self { schema_url: Cow::Borrowed(&shared.schema_url), content })
    }
}
