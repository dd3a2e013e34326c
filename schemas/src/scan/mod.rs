//! Reads an OTLP `ExportTraceServiceRequest` without decoding it: where each span's bytes are, and the few fields needed.
//!
//! [`request`] and [`span`] together accept exactly what prost's decoder accepts, but for spans in which a singular
//! field stands twice: those are refused, because readers may disagree on which of the two counts.

use std::borrow::Cow;

/// Why bytes are not what they should be. Offsets count bytes of the message that was scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A field, or the message, ends after the bytes do.
    #[error("the message ends inside the field at byte {at}")]
    Truncated {
        /// Where the reader stood.
        at: usize,
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
#[derive(Clone, Debug, PartialEq)]
pub enum AnyValue<'a> {
    /// No value, or one of a kind that this version does not know.
    Empty,
    /// Text.
    String(&'a str),
    /// True or false.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A number.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// The bytes of an `ArrayValue` message: read them with [`elements`].
    Array(Cow<'a, [u8]>),
    /// The bytes of a `KeyValueList` message: read them with [`attributes`], field 1.
    KvList(Cow<'a, [u8]>),
}

/// Returns the resources, scopes and span boundaries of an `ExportTraceServiceRequest`.
///
/// Everything but the insides of spans is checked as prost checks it.
///
/// # Errors
///
/// The first thing that prost refuses outside of spans.
pub fn request(_bytes: &[u8]) -> Result<Vec<ScannedResource<'_>>, ScanError> {
    Err(ScanError::Truncated { at: 0 })
}

/// Returns the facts of one span and calls `on_attribute` with each of its attributes, in order, duplicates included.
///
/// The whole span is checked as prost checks it inside a request. On an error some attributes may have been reported.
///
/// # Errors
///
/// The first thing that prost refuses, or a singular field of the span that stands twice.
pub fn span<'a>(
    _bytes: &'a [u8],
    _on_attribute: &mut dyn FnMut(&'a str, AnyValue<'a>),
) -> Result<SpanFacts<'a>, ScanError> {
    Err(ScanError::Truncated { at: 0 })
}

/// Calls `on_attribute` with each `KeyValue` in field number `field` of a message: 1 of a `Resource` or a
/// `KeyValueList`, 3 of an `InstrumentationScope` or a span event, 4 of a link, 9 of a span.
///
/// # Errors
///
/// The first thing that prost refuses in those attributes, or in the framing of the other fields.
pub fn attributes<'a>(
    _message: &'a [u8],
    _field: u32,
    _on_attribute: &mut dyn FnMut(&'a str, AnyValue<'a>),
) -> Result<(), ScanError> {
    Err(ScanError::Truncated { at: 0 })
}

/// Calls `on_element` with each value of an `ArrayValue` message, as in [`AnyValue::Array`].
///
/// # Errors
///
/// The first thing that prost refuses.
pub fn elements<'a>(_array: &'a [u8], _on_element: &mut dyn FnMut(AnyValue<'a>)) -> Result<(), ScanError> {
    Err(ScanError::Truncated { at: 0 })
}
