//! Whether two versions of a span differ in nothing but certain attributes, as collectors on the way add them.

use crate::cut::Shape;
use crate::wire::{DEPTH_MAX, FIXED32, FIXED64, LEN, Pair, Reader, VARINT};

/// Returns whether two messages say the same, but for attributes of their own for whose key `apart` is true.
///
/// What counts is what they say, and not how it is encoded, since whoever adds an attribute encodes anew: the order of
/// fields does not, nor whether a default is written. The order of attributes, events and links counts, and so do
/// unknown fields. Messages of more than [`FIELDS_MAX`] fields, or that cannot be read, are alike to nothing.
pub fn alike(shape: Shape, one: &[u8], other: &[u8], apart: &dyn Fn(&str) -> bool) -> bool {
    let (layout, one, other) = (layout(shape), Reader::new(one), Reader::new(other));
    let read = |message| Reading { apart, fields_left: FIELDS_MAX }.message(message, layout, true);
    read(one).is_some_and(|one| read(other).is_some_and(|other| one == other))
}

/// Fields that are compared, those of events and links included.
pub const FIELDS_MAX: usize = 20_000;

/// What is known of a message.
struct Layout {
    /// The highest number of a field that is known.
    known_to: u32,
    /// The field with its attributes; 0: it has none.
    attributes: u32,
    /// Fields that may stand more than once: an empty one is an element too.
    repeated: &'static [u32],
    /// Embedded messages that are looked into.
    parts: &'static [(u32, &'static Layout)],
}

fn layout(shape: Shape) -> &'static Layout {
    const STATUS: Layout = Layout { known_to: 3, attributes: 0, repeated: &[], parts: &[] };
    const EVENT: Layout = Layout { known_to: 4, attributes: 3, repeated: &[3], parts: &[] };
    const LINK: Layout = Layout { known_to: 6, attributes: 4, repeated: &[4], parts: &[] };
    const PARTS: &[(u32, &Layout)] = &[(11, &EVENT), (13, &LINK), (15, &STATUS)];
    match shape {
        Shape::Span => &Layout { known_to: 16, attributes: 9, repeated: &[9, 11, 13], parts: PARTS },
        Shape::Resource => &Layout { known_to: 3, attributes: 1, repeated: &[1, 3], parts: &[] },
        Shape::Scope => &Layout { known_to: 4, attributes: 3, repeated: &[3], parts: &[] },
    }
}

/// What one field says: its number, its wire type, its content.
type Said<'a> = (u32, u32, Content<'a>);

#[derive(PartialEq)]
enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Message(Vec<Said<'a>>),
    /// A group, from its first key on.
    Group(&'a [u8]),
}

struct Reading<'f> {
    apart: &'f dyn Fn(&str) -> bool,
    fields_left: usize,
}

impl Reading<'_> {
    /// Returns the fields that say something, by number; `None` when there are too many, or one cannot be read.
    fn message<'a>(&mut self, mut reader: Reader<'a>, layout: &Layout, outermost: bool) -> Option<Vec<Said<'a>>> {
        let mut said = Vec::new();
        while !reader.is_done() {
            let (number, wire) = Reader::split(reader.at(), reader.varint().ok()?).ok()?;
            self.fields_left = self.fields_left.checked_sub(1)?;
            let content = match wire {
                VARINT => Content::Number(reader.varint().ok()?),
                FIXED64 => Content::Number(reader.fixed64().ok()?),
                FIXED32 => Content::Number(reader.fixed32().ok()?.into()),
                LEN => match self.content(number, reader.message().ok()?, layout, outermost)? {
                    Some(content) => content,
                    None => continue,
                },
                _ => {
                    let start = reader.at();
                    reader.skip(number, wire, DEPTH_MAX).ok()?;
                    Content::Group(&reader.passed()[start..])
                }
            };
            if number > layout.known_to || layout.repeated.contains(&number) || !content.is_default() {
                said.push((number, wire, content));
            }
        }
        said.sort_by_key(|(number, ..)| *number);
        Some(said)
    }

    /// Returns what a length-delimited field says; within, `None` for an attribute that is set apart.
    fn content<'a>(
        &mut self,
        number: u32,
        field: Reader<'a>,
        layout: &Layout,
        outermost: bool,
    ) -> Option<Option<Content<'a>>> {
        if let Some((_, part)) = layout.parts.iter().find(|(part, _)| *part == number) {
            return Some(Some(Content::Message(self.message(field, part, false)?)));
        }
        let is_apart = outermost && number == layout.attributes && {
            // One that no encoder writes counts, whatever its key is.
            let key = Pair::read(field).and_then(|pair| std::str::from_utf8(pair.key).ok());
            key.is_some_and(|key| (self.apart)(key))
        };
        Some((!is_apart).then(|| Content::Bytes(field.rest())))
    }
}

impl Content<'_> {
    fn is_default(&self) -> bool {
        match self {
            Content::Number(number) => *number == 0,
            Content::Bytes(bytes) => bytes.is_empty(),
            Content::Message(said) => said.is_empty(),
            Content::Group(_) => false,
        }
    }
}
