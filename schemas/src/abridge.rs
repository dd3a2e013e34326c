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
        let whole = cut.offset as usize == field.content && cut.length as usize == field.end - field.content;
        if levels == here + 1 && !cut.fields && whole {
            field.put(self.filled, (self.note)(cut).as_bytes(), out);
            return Ok(());
        }
        if levels <= here + 1 && !cut.fields || levels <= here || depth >= DEPTH_MAX {
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

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
    use opentelemetry_proto::tonic::trace::v1::Span;
    use opentelemetry_proto::tonic::trace::v1::span::Event;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::cut::{BYTES_MIN, plan, remove};

    const SECRET: &str = "secret";

    fn text(key: &str, value: &str) -> KeyValue {
        let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    }

    fn note(cut: &Cut) -> String {
        format!("[{}]", cut.length)
    }

    /// Cuts what is kept out and what does not fit, and reads what is left.
    fn abridged(span: &Span, bytes_max: usize) -> (Span, Vec<Cut>) {
        let received = span.encode_to_vec();
        let holes = plan(&received, &|key| key == SECRET, bytes_max);
        let stored = remove(&received, &holes);
        let cuts: Vec<Cut> = holes.into_iter().map(|hole| hole.commit([0; 32])).collect();
        (Span::decode(&abridge(&stored, &cuts, &note).unwrap()[..]).unwrap(), cuts)
    }

    #[test]
    fn puts_a_note_where_a_value_was() {
        let span = Span {
            name: "pay".to_owned(),
            attributes: vec![text("a", "1"), text(SECRET, &"s".repeat(300)), text("b", "2")],
            events: vec![Event { attributes: vec![text(SECRET, "short")], ..Event::default() }],
            ..Span::default()
        };
        let expected = Span {
            attributes: vec![text("a", "1"), text(SECRET, "[300]"), text("b", "2")],
            events: vec![Event { attributes: vec![text(SECRET, "[5]")], ..Event::default() }],
            ..span.clone()
        };
        assert_eq!(abridged(&span, 60_000).0, expected);
    }

    #[test]
    fn leaves_out_runs_of_fields() {
        let elements = (0..9000).map(|n| AnyValue { value: Some(Value::IntValue(n)) }).collect();
        let array = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: elements })) };
        let list = KeyValue { key: "list".to_owned(), value: Some(array), ..KeyValue::default() };
        let span = Span { attributes: vec![text("a", "1"), list, text("b", "2")], ..Span::default() };
        let (left, cuts) = abridged(&span, BYTES_MIN);
        assert!(cuts.iter().any(|cut| cut.fields), "{cuts:?}");
        assert!(left.encoded_len() < BYTES_MIN);
        assert_eq!(
            (left.attributes.first(), left.attributes.last()),
            (span.attributes.first(), span.attributes.last())
        );
    }

    #[test]
    fn leaves_a_message_without_cuts_as_it_is() {
        let received = Span { name: "pay".to_owned(), ..Span::default() }.encode_to_vec();
        assert_eq!(abridge(&received, &[], &note), Ok(received));
    }

    #[test]
    fn refuses_cuts_that_lead_elsewhere() {
        // 4A 09 attribute | 0A 01 'a' | 12 04 value | 0A 02 text | '1' '2'
        let received = Span { attributes: vec![text("a", "12")], ..Span::default() }.encode_to_vec();
        let stored = &received[..received.len() - 2];
        let abridged = |path: &[u32], fields, offset| {
            let (path, commitment) = (path.to_vec(), vec![0; 32]);
            abridge(stored, &[Cut { offset, length: 2, path, fields, commitment }], &note)
        };
        assert!(abridged(&[9, 2, 1], false, 9).is_ok());
        for (path, fields, offset) in [
            (&[9][..], false, 9),      // a part of the attribute
            (&[9, 2], false, 9),       // a part of its value
            (&[9, 2, 1, 1], false, 9), // below the text
            (&[9, 2, 1], false, 8),    // beside it
            (&[], false, 9),
        ] {
            assert!(abridged(path, fields, offset).is_err(), "{path:?} at {offset}");
        }
    }

    proptest! {
        #[test]
        fn notes_stand_exactly_where_values_were(values in prop::collection::vec((any::<bool>(), "[a-z]{1,40}"), 0..12)) {
            let key = |out: bool| if out { SECRET } else { "kept" };
            let attributes = values.iter().map(|(out, value)| text(key(*out), value)).collect();
            let noted = |(out, value): &(bool, String)| {
                if *out { text(SECRET, &format!("[{}]", value.len())) } else { text("kept", value) }
            };
            let expected: Vec<KeyValue> = values.iter().map(noted).collect();
            let (left, _) = abridged(&Span { attributes, ..Span::default() }, 60_000);
            prop_assert_eq!(left.attributes, expected);
        }

        #[test]
        fn never_panics_on_cuts_that_do_not_fit(
            stored in prop::collection::vec(any::<u8>(), 0..60),
            cuts in prop::collection::vec((0u32..80, 1u32..40, prop::collection::vec(1u32..12, 0..5), any::<bool>()), 0..4),
        ) {
            let cut = |(offset, length, path, fields)| Cut { offset, length, path, fields, commitment: vec![0; 32] };
            let _ = abridge(&stored, &cuts.into_iter().map(cut).collect::<Vec<_>>(), &note);
        }
    }
}
