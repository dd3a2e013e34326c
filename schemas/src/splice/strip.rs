//! Leaves out the attributes that only Spanseal may set.

use std::borrow::Cow;

use super::KEY;
use crate::wire::{DEPTH_MAX, LEN, Pair, Reader, put_bytes};

/// What the names of attributes begin with that only Spanseal may set.
const RESERVED: &[u8] = b"spanseal.";

/// Returns a span without reserved attributes of its own, of its events and of its links.
pub(super) fn span(message: &[u8]) -> Cow<'_, [u8]> {
    strip(message, &Attributes { own: super::ATTRIBUTE, parts: &[(11, 3), (13, 4)] })
}

/// Returns a `Resource` without reserved attributes.
pub(super) fn resource(message: &[u8]) -> Cow<'_, [u8]> {
    strip(message, &Attributes { own: 1, parts: &[] })
}

/// Returns an `InstrumentationScope` without reserved attributes.
pub(super) fn scope(message: &[u8]) -> Cow<'_, [u8]> {
    strip(message, &Attributes { own: 3, parts: &[] })
}

/// Where a message has attributes.
struct Attributes<'a> {
    /// The field with its own.
    own: u32,
    /// The fields with embedded messages that have attributes, and the field of those in them.
    parts: &'a [(u32, u32)],
}

/// Returns the message without reserved attributes: the same bytes where there are none, or where a field is broken.
fn strip<'a>(message: &'a [u8], attributes: &Attributes<'_>) -> Cow<'a, [u8]> {
    let mut reader = Reader::new(message);
    let mut stripped = Vec::new();
    let mut copied = 0;
    while !reader.is_done() {
        let start = reader.at();
        let Some((field, content)) = next_field(&mut reader) else { break };
        let Some(content) = content else { continue };
        let left = if field == attributes.own {
            is_reserved(content).then_some(None)
        } else {
            changed_part(field, content, attributes).map(Some)
        };
        if let Some(left) = left {
            stripped.extend_from_slice(&message[copied..start]);
            copied = reader.at();
            if let Some(part) = left {
                put_bytes(&mut stripped, field, &part);
            }
        }
    }
    if copied == 0 {
        return Cow::Borrowed(message);
    }
    stripped.extend_from_slice(&message[copied..]);
    Cow::Owned(stripped)
}

/// Returns what is left of an embedded message, if it loses anything.
fn changed_part(field: u32, content: Reader<'_>, attributes: &Attributes<'_>) -> Option<Vec<u8>> {
    let (_, own) = *attributes.parts.iter().find(|(part, _)| *part == field)?;
    match strip(content.rest(), &Attributes { own, parts: &[] }) {
        Cow::Borrowed(_) => None,
        Cow::Owned(stripped) => Some(stripped),
    }
}

/// Says whether any key of a `KeyValue` is reserved: readers may disagree on which of several counts.
#[inline]
fn is_reserved(attribute: Reader<'_>) -> bool {
    match Pair::read(attribute) {
        Some(pair) => pair.key.starts_with(RESERVED),
        None => any_key_is_reserved(attribute),
    }
}

#[cold]
fn any_key_is_reserved(mut attribute: Reader<'_>) -> bool {
    while !attribute.is_done() {
        match next_field(&mut attribute) {
            Some((KEY, Some(name))) if name.rest().starts_with(RESERVED) => return true,
            Some(_) => {}
            None => return false,
        }
    }
    false
}

/// Returns the number of the next field, and its content if it is length-delimited.
#[inline(always)]
fn next_field<'a>(reader: &mut Reader<'a>) -> Option<(u32, Option<Reader<'a>>)> {
    let at = reader.at();
    let (field, wire) = Reader::split(at, reader.varint().ok()?).ok()?;
    if wire == LEN {
        return Some((field, Some(reader.message().ok()?)));
    }
    reader.skip(field, wire, DEPTH_MAX).ok()?;
    Some((field, None))
}
