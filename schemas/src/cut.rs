//! Holes in received messages: what is kept out or too large leaves the event, and comes back exactly (format.md section 15).

use crate::event::Cut;

/// The least `bytes_max` that every message fits.
pub const BYTES_MIN: usize = 4096;

/// The least bytes of a hole that is a run of fields: what the filler field takes that stands in for it.
pub const RUN_MIN: usize = 3;

/// What is being cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `opentelemetry.proto.trace.v1.Span`
    Span,
    /// `opentelemetry.proto.resource.v1.Resource`
    Resource,
    /// `opentelemetry.proto.common.v1.InstrumentationScope`
    Scope,
}

/// A hole to be made in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// First byte of the hole in the message as received.
    pub offset: u32,
    /// Bytes in the hole.
    pub length: u32,
    /// Field numbers from the message down to what is cut.
    pub path: Vec<u32>,
    /// The hole is a run of whole fields; otherwise the content of one string or bytes field.
    pub fields: bool,
}

/// Why stored bytes, cuts and pieces do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// A cut lies before the end of the one before it, or after the message's end.
    #[error("cut {index} lies outside the message or over the one before it")]
    Misplaced {
        /// Which cut, from 0.
        index: usize,
    },
}

/// Returns the holes to make in a span: the values of attributes for which `keep_out` is true, and then as much as is
/// needed for the rest, with the holes' own fields in the event, to take at most `bytes_max` bytes.
pub fn plan(_span: &[u8], _keep_out: &dyn Fn(&str) -> bool, _bytes_max: usize) -> Vec<Hole> {
    Vec::new()
}

/// Returns the holes to make in a message of another shape, as [`plan`] does for a span.
pub fn plan_shape(_shape: Shape, _message: &[u8], _keep_out: &dyn Fn(&str) -> bool, _bytes_max: usize) -> Vec<Hole> {
    Vec::new()
}

/// Returns the message without the bytes in the holes.
pub fn remove(_message: &[u8], _holes: &[Hole]) -> Vec<u8> {
    Vec::new()
}

/// Returns the bytes in each hole, in order.
pub fn pieces<'a>(_message: &'a [u8], _holes: &[Hole]) -> Vec<&'a [u8]> {
    Vec::new()
}

/// Returns the message as received: the stored bytes with the pieces back in their holes.
///
/// # Errors
///
/// See [`CutError`].
pub fn restore(_stored: &[u8], _cuts: &[Cut], _pieces: &[&[u8]]) -> Result<Vec<u8>, CutError> {
    Err(CutError::Misplaced { index: 0 })
}

/// Returns a message that decodes, with the holes filled with zeros or with a filler field.
///
/// # Errors
///
/// See [`CutError`].
pub fn view(_stored: &[u8], _cuts: &[Cut]) -> Result<Vec<u8>, CutError> {
    Err(CutError::Misplaced { index: 0 })
}
