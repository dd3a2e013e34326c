//! Whether each cut is what it says it is.

use super::field::{Field, fields};
use super::{CutError, view};
use crate::event::Cut;
use crate::wire::{DEPTH_MAX, Reader};

/// Checks that each cut fits the stored bytes and lies where its path leads: a run of whole fields of that message, or
/// the whole content of that field.
///
/// # Errors
///
/// See [`CutError`].
pub fn check(stored: &[u8], cuts: &[Cut]) -> Result<(), CutError> {
    if cuts.is_empty() {
        return Ok(());
    }
    let message = view(stored, cuts)?;
    let all = Cuts { cuts, first: 0 };
    check_message(Reader::new(&message), all, 0).map_err(|index| CutError::Elsewhere { index })
}

/// Some consecutive cuts.
#[derive(Clone, Copy)]
struct Cuts<'c> {
    cuts: &'c [Cut],
    /// Which of all cuts the first is.
    first: usize,
}

impl Cuts<'_> {
    /// Returns those that begin before an offset, and those that do not.
    fn split(self, offset: usize) -> (Self, Self) {
        let count = self.cuts.iter().take_while(|cut| (cut.offset as usize) < offset).count();
        let (before, after) = self.cuts.split_at(count);
        (Self { cuts: before, first: self.first }, Self { cuts: after, first: self.first + count })
    }
}

/// Checks the cuts in a message that `depth` numbers of their paths lead to. Returns which is the first elsewhere.
fn check_message(message: Reader<'_>, cuts: Cuts<'_>, depth: usize) -> Result<(), usize> {
    let mut left = cuts;
    let mut found = Ok(());
    fields(message, |field| {
        let (here, after) = left.split(field.end);
        found = check_field(&field, here, depth);
        left = after;
        found.is_ok() && !left.cuts.is_empty()
    });
    found.and(if left.cuts.is_empty() { Ok(()) } else { Err(left.first) })
}

/// Checks the cuts that begin in a field.
fn check_field(field: &Field<'_>, cuts: Cuts<'_>, depth: usize) -> Result<(), usize> {
    let Some(cut) = cuts.cuts.first() else { return Ok(()) };
    let (start, end) = (cut.offset as usize, cut.offset as usize + cut.length as usize);
    let fits = match cut.path.get(depth) {
        None => cut.fields && (start, end) == (field.start, field.end),
        Some(number) if *number != field.number => false,
        Some(_) if cut.path.len() == depth + 1 && !cut.fields => (start, end) == (field.content_start(), field.end),
        Some(_) if depth >= DEPTH_MAX as usize => false,
        Some(_) => return check_message(field.content(), cuts, depth + 1),
    };
    // What is cut whole has room for no other.
    if fits && cuts.cuts.len() == 1 { Ok(()) } else { Err(cuts.first) }
}
