//! Marks spans for forwarding without decoding them, and groups them into a request again.
//!
//! What a client says in `spanseal.*` is left out: of spans, their events and links, resources and scopes, because
//! backends search them all alike. Everything else goes through byte for byte, fields that this version does not know
//! included.

mod request;
mod strip;

use crate::wire::{LEN, VARINT, bytes_len, key, put_bytes, put_varint, varint_len};

pub use request::{Origin, RequestBuilder};

/// The value of a mark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark<'a> {
    /// Text.
    Str(&'a str),
    /// A number.
    Int(i64),
    /// True or false.
    Bool(bool),
}

/// Appends the span's bytes without the `spanseal.*` attributes that a client set, and with `marks` as attributes.
///
/// `span` must have passed [`crate::scan::span`]; other bytes are appended as they are.
pub fn marked(out: &mut Vec<u8>, span: &[u8], marks: &[(&str, Mark<'_>)]) {
    out.extend_from_slice(&strip::span(span));
    put_marks(out, marks);
}

/// Returns how many bytes [`put_marks`] appends.
fn marks_len(marks: &[(&str, Mark<'_>)]) -> usize {
    marks.iter().map(|(name, mark)| bytes_len(ATTRIBUTE, attribute_len(name, mark))).sum()
}

fn put_marks(out: &mut Vec<u8>, marks: &[(&str, Mark<'_>)]) {
    out.reserve(marks_len(marks));
    for (name, mark) in marks {
        put_varint(out, key(ATTRIBUTE, LEN));
        put_varint(out, attribute_len(name, mark) as u64);
        put_bytes(out, KEY, name.as_bytes());
        put_varint(out, key(VALUE, LEN));
        put_varint(out, mark.len() as u64);
        mark.put(out);
    }
}

/// Returns how many bytes a `KeyValue` message takes.
fn attribute_len(name: &str, mark: &Mark<'_>) -> usize {
    bytes_len(KEY, name.len()) + bytes_len(VALUE, mark.len())
}

impl Mark<'_> {
    /// Returns how many bytes the `AnyValue` message takes.
    fn len(&self) -> usize {
        match self {
            Self::Str(text) => bytes_len(STRING, text.len()),
            Self::Int(number) => 1 + varint_len(*number as u64),
            Self::Bool(_) => 2,
        }
    }

    /// Appends the `AnyValue` message.
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Str(text) => put_bytes(out, STRING, text.as_bytes()),
            Self::Int(number) => {
                put_varint(out, key(INT, VARINT));
                put_varint(out, *number as u64);
            }
            Self::Bool(value) => {
                put_varint(out, key(BOOL, VARINT));
                put_varint(out, u64::from(*value));
            }
        }
    }
}

/// The attributes of a span.
const ATTRIBUTE: u32 = 9;

// The fields of a KeyValue.
const KEY: u32 = 1;
const VALUE: u32 = 2;

// The fields of an AnyValue.
const STRING: u32 = 1;
const BOOL: u32 = 2;
const INT: u32 = 3;
