//! Holes in received messages: what is kept out or too large leaves the event, and comes back exactly (format.md
//! section 15).

mod field;
mod fill;
mod place;
mod plan;

use crate::event::Cut;

pub use fill::{restore, view};
pub use place::check;

/// The least `bytes_max` that every message fits which [`crate::scan`] accepts.
pub const BYTES_MIN: usize = 16_384;

/// The longest message that is cut: longer ones are not sealed at all.
pub const MESSAGE_BYTES_MAX: usize = 1 << 28;

/// The least bytes of a hole that is a run of fields: what the filler field takes that stands in for it.
pub const RUN_MIN: usize = 3;

/// The message that is cut.
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
    /// A cut lies before the end of the one before it, after the message's end, or is too short or too long.
    #[error("cut {index} lies outside the message or over the one before it")]
    Misplaced {
        /// Which cut, from 0.
        index: usize,
    },
    /// A cut is not the run of fields, or the content, that its path leads to.
    #[error("cut {index} is not what its path leads to")]
    Elsewhere {
        /// Which cut, from 0.
        index: usize,
    },
    /// A piece is not as long as its hole.
    #[error("cut {index} is of {expected} bytes, its piece of {got}")]
    PieceLength {
        /// Which cut, from 0.
        index: usize,
        /// Bytes in the hole.
        expected: usize,
        /// Bytes in the piece.
        got: usize,
    },
    /// There is not one piece for each cut.
    #[error("there are {cuts} cuts and {pieces} pieces")]
    PieceCount {
        /// How many cuts.
        cuts: usize,
        /// How many pieces.
        pieces: usize,
    },
}

/// Returns the holes to make in a span: the values of attributes (its own, of its events and of its links) for whose key
/// `keep_out` is true, and then the largest values, or runs of fields, until the rest fits.
///
/// It fits when the event's fields for the span, its cuts and the ids of its payload records take at most `bytes_max`
/// bytes together, keys and lengths included. From [`BYTES_MIN`] on every span does that [`crate::scan::span`] accepts.
/// What identifies a span stays: ids, kind, times, flags, name and status, but for texts of 128 bytes and more.
/// A span beyond [`MESSAGE_BYTES_MAX`] gets no holes.
pub fn plan(span: &[u8], keep_out: &dyn Fn(&str) -> bool, bytes_max: usize) -> Vec<Hole> {
    plan_shape(Shape::Span, span, keep_out, bytes_max)
}

/// Returns the holes to make in a message of another shape, as [`plan`] does for a span.
pub fn plan_shape(shape: Shape, message: &[u8], keep_out: &dyn Fn(&str) -> bool, bytes_max: usize) -> Vec<Hole> {
    plan::Planner { shape, message, keep_out, bytes_max }.plan()
}

/// Returns the message without the bytes in the holes, which ascend.
pub fn remove(message: &[u8], holes: &[Hole]) -> Vec<u8> {
    let removed: usize = holes.iter().map(|hole| hole.length as usize).sum();
    let mut stored = Vec::with_capacity(message.len().saturating_sub(removed));
    let mut from = 0;
    for hole in holes {
        stored.extend_from_slice(message.get(from..hole.offset as usize).unwrap_or_default());
        from = hole.end();
    }
    stored.extend_from_slice(message.get(from..).unwrap_or_default());
    stored
}

/// Returns the bytes in each hole, in order.
pub fn pieces<'a>(message: &'a [u8], holes: &[Hole]) -> Vec<&'a [u8]> {
    holes.iter().map(|hole| message.get(hole.offset as usize..hole.end()).unwrap_or_default()).collect()
}

impl Hole {
    /// Returns where the hole ends in the message as received.
    pub fn end(&self) -> usize {
        self.offset as usize + self.length as usize
    }

    /// Returns the cut as the event holds it.
    pub fn commit(self, commitment: [u8; 32]) -> Cut {
        let Self { offset, length, path, fields } = self;
        Cut { offset, length, path, fields, commitment: commitment.to_vec() }
    }
}
