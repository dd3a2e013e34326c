//! Span events written and read without prost: the hot path's encoding, byte for byte what prost writes.

use crate::canonical::Refusal;
use crate::event::{Assessment, Cut, Encoding};

/// Everything of a span event but the span.
#[derive(Clone, Copy, Debug)]
pub struct SpanHead<'a> {
    /// The collector's clock when the request was taken in.
    pub received_unix_nano: u64,
    /// Index of the resource event.
    pub resource: u64,
    /// Index of the scope event.
    pub scope: u64,
    /// Index of the tenant event.
    pub tenant: u64,
    /// Index of the configuration event.
    pub configuration: u64,
    /// How the span reached the collector.
    pub encoding: Encoding,
    /// The SDK process that numbered the span, and the number.
    pub producer: Option<(&'a [u8; 16], u64)>,
    /// `None` for a span that is no action and has no claims.
    pub assessment: Option<&'a Assessment>,
}

/// A span event's fields, borrowed from its body.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanEventView<'a> {
    /// The collector's clock when the request was taken in.
    pub received_unix_nano: u64,
    /// Index of the resource event.
    pub resource: u64,
    /// Index of the scope event.
    pub scope: u64,
    /// Index of the tenant event.
    pub tenant: u64,
    /// Index of the configuration event.
    pub configuration: u64,
    /// How the span reached the collector.
    pub encoding: Encoding,
    /// The SDK process that numbered the span, and the number.
    pub producer: Option<(&'a [u8; 16], u64)>,
    /// `None` for a span that is no action and has no claims.
    pub assessment: Option<Assessment>,
    /// The span as received but for the cuts.
    pub span: &'a [u8],
    /// What was cut; [`crate::cut::view`] and [`crate::cut::restore`] take it.
    pub cuts: Vec<Cut>,
    /// Ids of the payload records with what was cut.
    pub payloads: Vec<&'a [u8; 32]>,
}

/// Appends the body of a span event, in canonical form.
pub fn span_event(_out: &mut Vec<u8>, _head: &SpanHead<'_>, _span: &[u8], _cuts: &[Cut], _payloads: &[[u8; 32]]) {}

/// Returns how many bytes [`span_event`] would append.
pub fn span_event_len(_head: &SpanHead<'_>, _span: &[u8], _cuts: &[Cut], _payloads: &[[u8; 32]]) -> usize {
    0
}

/// Returns the fields of a span event's body without copying the span.
///
/// # Errors
///
/// The body is not a span event, or not in canonical form.
pub fn view(_body: &[u8]) -> Result<SpanEventView<'_>, Refusal> {
    Err(Refusal::NotCanonical { at: 0, why: "not written yet" })
}
