//! From stored bytes back to a whole message: as it was received, or with the holes filled in.

use super::{CutError, MESSAGE_BYTES_MAX, RUN_MIN};
use crate::event::Cut;
use crate::wire::{LEN, key, put_varint};

/// The number of the field that stands in for a run of fields: one that OTLP does not have.
const FILLER: u32 = 100;

/// Returns the message as received: the stored bytes with the pieces back in their holes.
///
/// # Errors
///
/// See [`CutError`].
pub fn restore(stored: &[u8], cuts: &[Cut], pieces: &[&[u8]]) -> Result<Vec<u8>, CutError> {
    if cuts.len() != pieces.len() {
        return Err(CutError::PieceCount { cuts: cuts.len(), pieces: pieces.len() });
    }
    for (index, (cut, piece)) in cuts.iter().zip(pieces).enumerate() {
        let expected = cut.length as usize;
        if piece.len() != expected {
            return Err(CutError::PieceLength { index, expected, got: piece.len() });
        }
    }
    let mut pieces = pieces.iter();
    filled(stored, cuts, |_, out| out.extend_from_slice(pieces.next().copied().unwrap_or_default()))
}

/// Returns a message that decodes: a hole in a text or in bytes is filled with zeros, a run of fields gives way to one
/// unknown field. Its bytes stand where they stood in the message as received, so cuts and values can be told together.
///
/// # Errors
///
/// See [`CutError`].
pub fn view(stored: &[u8], cuts: &[Cut]) -> Result<Vec<u8>, CutError> {
    filled(stored, cuts, |cut, out| {
        let end = out.len() + cut.length as usize;
        if cut.fields {
            put_varint(out, key(FILLER, LEN));
            put_filler_length(out, end - out.len());
        }
        out.resize(end, 0);
    })
}

/// Appends the length of a filler field so that length and content take `room` bytes: padded where no minimal one does.
fn put_filler_length(out: &mut Vec<u8>, room: usize) {
    let mut width = 1;
    while (room - width) >> (7 * width) != 0 {
        width += 1;
    }
    let length = room - width;
    for place in 0..width {
        let more = if place + 1 < width { 0x80 } else { 0 };
        out.push((length >> (7 * place)) as u8 & 0x7F | more);
    }
}

/// Returns the stored bytes with what `fill` appends for each cut.
fn filled(stored: &[u8], cuts: &[Cut], mut fill: impl FnMut(&Cut, &mut Vec<u8>)) -> Result<Vec<u8>, CutError> {
    let mut out = Vec::with_capacity(whole_len(stored, cuts)?);
    let mut rest = stored;
    for (index, cut) in cuts.iter().enumerate() {
        let gap = (cut.offset as usize).checked_sub(out.len()).ok_or(CutError::Misplaced { index })?;
        let (before, after) = rest.split_at_checked(gap).ok_or(CutError::Misplaced { index })?;
        out.extend_from_slice(before);
        fill(cut, &mut out);
        rest = after;
    }
    out.extend_from_slice(rest);
    Ok(out)
}

/// Returns how long the message was as received, having checked each cut's own length.
fn whole_len(stored: &[u8], cuts: &[Cut]) -> Result<usize, CutError> {
    let mut length = stored.len();
    for (index, cut) in cuts.iter().enumerate() {
        length = length.saturating_add(cut.length as usize);
        let least = if cut.fields { RUN_MIN } else { 1 };
        if (cut.length as usize) < least || length > MESSAGE_BYTES_MAX {
            return Err(CutError::Misplaced { index });
        }
    }
    Ok(length)
}
