//! Messages for people, and for backends that cannot have what was cut: a note stands where a value was.

use std::ops::Range;

use crate::cut::{CutError, view};
use crate::event::Cut;
use crate::wire::{DEPTH_MAX, LEN, Reader, put_varint};

/// Returns a message that decodes, with `note(cut)` in the place of each value that was cut, without the runs of fields
/// that were cut, and with lengths to match. Everything else stays as it was received.
///
/// # Errors
///
/// Stored bytes and cuts do not fit together, as in [`view`].
pub fn abridge(stored: &[u8], cuts: &[Cut], note: &dyn Fn(&Cut) -> String) -> Result<Vec<u8>, CutError> {
    if cuts.is_empty() {
        return Ok(stored.to_vec());
    }
    let filled = view(stored, cuts)?;
    let mut out = Vec::with_capacity(stored.len() + cuts.len() * NOTE_BYTES);
    let message = Message { filled: &filled, cuts, note };
    message.write(0..filled.len(), 0..cuts.len(), 0, &mut out).map_err(|index| CutError::Misplaced { index })?;
    Ok(out)
}

/// A message in which the holes are filled.
struct Message<'a> {
    filled: &'a [u8],
    cuts: &'a [Cut],
    note: &'a dyn Fn(&Cut) -> String,
}

/// The place of the cut that does not fit.
type Misfit = usize;

impl Message<'_> {
    /// Writes the fields in `bytes`, which lie `depth` messages deep and hold `cuts`.
    fn write(&self, bytes: Range<usize>, cuts: Range<usize>, depth: u32, out: &mut Vec<u8>) -> Result<(), Misfit> {
        let mut left = cuts;
        let mut at = bytes.start;
        while at < bytes.end {
            let field = Field::read(&self.filled[..bytes.end], at).ok_or(left.start)?;
            let held = self.cuts[left.clone()].iter().take_while(|cut| (cut.offset as usize) < field.end).count();
            let held = left.start..left.start + held;
            self.write_field(&field, held.clone(), depth, out)?;
            left.start = held.end;
            at = field.end;
        }
        if left.is_empty() { Ok(()) } else { Err(left.start) }
    }

    fn write_field(&self, field: &Field, held: Range<usize>, depth: u32, out: &mut Vec<u8>) -> Result<(), Misfit> {
        let Some(cut) = self.cuts[held.clone()].first() else {
            out.extend_from_slice(&self.filled[field.start..field.end]);
            return Ok(());
        };
        let levels = cut.path.len();
        let here = depth as usize;
        if levels == here && cut.fields && cut.offset as usize == field.start {
            return Ok(()); // one filler stands for a run of fields
        }
        if levels == here + 1 && !cut.fields {
            field.put(self.filled, (self.note)(cut).as_bytes(), out);
            return Ok(());
        }
        if levels <= here || depth >= DEPTH_MAX {
            return Err(held.start);
        }
        let mut inner = Vec::new();
        self.write(field.content..field.end, held, depth + 1, &mut inner)?;
        field.put(self.filled, &inner, out);
        Ok(())
    }
}

/// Where a field lies. The content of one that is not length-delimited is empty.
struct Field {
    start: usize,
    tag_end: usize,
    content: usize,
    end: usize,
}

impl Field {
    fn read(bytes: &[u8], start: usize) -> Option<Self> {
        let mut reader = Reader::new(&bytes[start..]);
        let key = reader.varint().ok()?;
        let (number, wire) = Reader::split(start, key).ok()?;
        let tag_end = start + reader.at();
        let content = if wire == LEN {
            start + reader.message().ok()?.at()
        } else {
            reader.skip(number, wire, DEPTH_MAX).ok()?;
            start + reader.at()
        };
        Some(Self { start, tag_end, content, end: start + reader.at() })
    }

    /// Writes the field with another content.
    fn put(&self, bytes: &[u8], content: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&bytes[self.start..self.tag_end]);
        put_varint(out, content.len() as u64);
        out.extend_from_slice(content);
    }
}

const NOTE_BYTES: usize = 64;
