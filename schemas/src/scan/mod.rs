//! Reads an OTLP `ExportTraceServiceRequest` without decoding it: where each span's bytes are, and the few fields needed.
//!
//! [`request`] and [`span`] together accept exactly what prost's decoder accepts, with two deliberate differences:
//! a span in which a singular field stands twice is refused, because readers may disagree on which of the two counts;
//! and a request is refused that has more than [`GROUPS_MAX`] resources and scopes or [`SPANS_MAX`] spans, which
//! honest spans cannot reach below OTLP's size limit and hostile ones could turn into gigabytes.

mod request;
mod shape;
mod span;
mod value;

use std::borrow::Cow;

pub use request::{GROUPS_MAX, SPANS_MAX, request};
pub use span::{span, span_of};
pub use value::{attributes, elements};

/// Why bytes are not what they should be. Offsets count bytes of the message that was scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// Something is longer than what encloses it.
    #[error("the message ends inside the field at byte {at}")]
    Truncated {
        /// Where it starts.
        at: usize,
    },
    /// A varint of more than 64 bits.
    #[error("the varint at byte {at} is longer than 64 bits")]
    Varint {
        /// Where it starts.
        at: usize,
    },
    /// No field has such a key.
    #[error("{key} at byte {at} is no field's key")]
    Key {
        /// Where it starts.
        at: usize,
        /// What stands there.
        key: u64,
    },
    /// A known field with another wire type than its own.
    #[error("field {field} at byte {at} has wire type {wire}")]
    WireType {
        /// Where its key starts.
        at: usize,
        /// The field's number.
        field: u32,
        /// The wire type found.
        wire: u32,
    },
    /// A group that ends without having begun, or ends as another.
    #[error("the end of a group at byte {at} matches no beginning")]
    Group {
        /// Where it starts.
        at: usize,
    },
    /// Text that is not UTF-8.
    #[error("the text is not UTF-8 from byte {at} on")]
    Utf8 {
        /// The first byte that does not fit.
        at: usize,
    },
    /// Messages and groups nested beyond protobuf's limit of 100.
    #[error("messages are nested more than 100 deep at byte {at}")]
    TooDeep {
        /// Where the one too many is.
        at: usize,
    },
    /// A singular field of a span that stands twice.
    #[error("field {field} of the span stands a second time at byte {at}")]
    Duplicate {
        /// Where its second key starts.
        at: usize,
        /// The field's number.
        field: u32,
    },
    /// A request of more parts than are taken.
    #[error("the request has more than {max} {parts}")]
    TooMany {
        /// What there are too many of.
        parts: &'static str,
        /// How many are taken.
        max: usize,
    },
}

/// One `ResourceSpans` of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannedResource<'a> {
    /// The `Resource` message; several occurrences are concatenated, which is how protobuf merges them.
    pub resource: Cow<'a, [u8]>,
    /// The resource's schema URL; empty when absent.
    pub schema_url: &'a str,
    /// The scopes, in order.
    pub scopes: Vec<ScannedScope<'a>>,
}

/// One `ScopeSpans` of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannedScope<'a> {
    /// The `InstrumentationScope` message; several occurrences are concatenated.
    pub scope: Cow<'a, [u8]>,
    /// The schema URL of the spans; empty when absent.
    pub schema_url: &'a str,
    /// The bytes of each `Span`, in order; not looked into, see [`span`].
    pub spans: Vec<&'a [u8]>,
}

/// The fields of a span that are needed of every span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanFacts<'a> {
    /// Should be 16 bytes, not all zero; not checked here.
    pub trace_id: &'a [u8],
    /// Should be 8 bytes, not all zero; not checked here.
    pub span_id: &'a [u8],
    /// Should be empty or 8 bytes; not checked here.
    pub parent_span_id: &'a [u8],
    /// The span's name.
    pub name: &'a str,
    /// The number of the `SpanKind`, possibly unknown.
    pub kind: i32,
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// End, nanoseconds since the Unix epoch.
    pub end_unix_nano: u64,
    /// The number of the `StatusCode`, possibly unknown; 0 (unset) when the span has no status.
    pub status_code: i32,
    /// W3C trace flags in the low byte.
    pub flags: u32,
}

/// The value of an attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AnyValue<'a> {
    /// No value, or a reference into a profile's dictionary, which says nothing in a trace.
    #[default]
    Empty,
    /// Text.
    String(&'a str),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// The bytes of an `ArrayValue` message: read them with [`elements`].
    Array(Cow<'a, [u8]>),
    /// The bytes of a `KeyValueList` message: read them with [`attributes`], field 1.
    KvList(Cow<'a, [u8]>),
}

/// Appends a further occurrence of an embedded message, which is how protobuf merges the two.
fn append<'a>(message: &mut Cow<'a, [u8]>, occurrence: &'a [u8]) {
    if message.is_empty() {
        *message = Cow::Borrowed(occurrence);
    } else if !occurrence.is_empty() {
        message.to_mut().extend_from_slice(occurrence);
    }
}
