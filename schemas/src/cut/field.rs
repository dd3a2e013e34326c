//! The fields of a message, and what of each can be cut.

use super::{RUN_MIN, Shape};
use crate::wire::{DEPTH_MAX, LEN, Pair, Reader};

/// Where a field lies in its message.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    /// The message up to the field's end.
    bytes: &'a [u8],
    pub(super) number: u32,
    pub(super) start: usize,
    /// Where the content starts of a length-delimited field; the end of any other.
    content: usize,
    pub(super) end: usize,
}

impl<'a> Field<'a> {
    /// Returns how many bytes the field takes, key included.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Returns where the content starts of a length-delimited field; the end of any other.
    pub(super) fn content_start(&self) -> usize {
        self.content
    }

    /// Returns the content of a length-delimited field; nothing of any other.
    #[inline(always)]
    pub(super) fn content(&self) -> Reader<'a> {
        Reader::starting_at(self.bytes, self.content)
    }
}

/// Calls `on_field` with each field from the reader on, as long as it says so and up to the first that is broken.
/// Returns where the last one ends.
pub(super) fn fields<'a>(mut reader: Reader<'a>, mut on_field: impl FnMut(Field<'a>) -> bool) -> usize {
    let mut end = reader.at();
    while let Some(field) = next_field(&mut reader) {
        end = field.end;
        if !on_field(field) {
            break;
        }
    }
    end
}

#[inline(always)]
fn next_field<'a>(reader: &mut Reader<'a>) -> Option<Field<'a>> {
    let start = reader.at();
    let (number, wire) = Reader::split(start, reader.varint().ok()?).ok()?;
    let content = if wire == LEN {
        reader.message().ok()?.at()
    } else {
        reader.skip(number, wire, DEPTH_MAX).ok()?;
        reader.at()
    };
    Some(Field { bytes: reader.passed(), number, start, content, end: reader.at() })
}

/// Something in a field that can be cut by itself.
#[derive(Clone, Copy)]
pub(super) struct Unit<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) path: Path,
    /// A run of whole fields; otherwise the content of one.
    pub(super) fields: bool,
    /// The attribute whose value it is.
    pub(super) key: Option<&'a str>,
}

impl Unit<'_> {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }
}

/// Up to four field numbers from the message down, a byte each, the last in the lowest: all are known and so small.
#[derive(Clone, Copy, Default)]
pub(super) struct Path(u32);

impl Path {
    pub(super) fn to_vec(self) -> Vec<u32> {
        self.0.to_be_bytes().into_iter().filter(|number| *number != 0).map(u32::from).collect()
    }

    /// Returns the path to a field of the message that this one leads to.
    fn to(self, number: u32) -> Self {
        Self(self.0 << 8 | number)
    }
}

/// How readily a whole field is given up, least valuable first; `None` for what identifies the message.
pub(super) fn rank(shape: Shape, number: u32) -> Option<u8> {
    match (shape, number) {
        (Shape::Span, 1..=8 | 10 | 12 | 14..=16) => None,
        (Shape::Span, 11) | (Shape::Resource, 3) => Some(1),
        (Shape::Span, 13) | (Shape::Scope, 3) => Some(2),
        (Shape::Span, 9) | (Shape::Resource, 1) | (Shape::Scope, 1 | 2) => Some(RANK_MAX),
        _ => Some(0),
    }
}

/// The rank of what is given up last.
pub(super) const RANK_MAX: u8 = 3;

/// Calls `on_unit` with what can be cut in one field of the message, in order.
pub(super) fn units<'a>(shape: Shape, field: &Field<'a>, on_unit: &mut impl FnMut(&Unit<'a>)) {
    let root = Path::default();
    match (shape, field.number) {
        (Shape::Span, 9) | (Shape::Resource, 1) | (Shape::Scope, 3) => attribute(field, root, on_unit),
        (Shape::Span, 11) => parts(field, root, &[2], 3, on_unit),
        (Shape::Span, 13) => parts(field, root, &[1, 2, 3], 4, on_unit),
        (Shape::Span, 15) => parts(field, root, &[2], 0, on_unit),
        (Shape::Span, 1..=5) | (Shape::Scope, 1 | 2) => content(field, root, None, on_unit),
        _ if rank(shape, field.number).is_some() => run(field.start, field.end, root, None, on_unit),
        _ => {}
    }
}

/// The leaves of an embedded message, and its attributes.
fn parts<'a>(field: &Field<'a>, parent: Path, leaves: &[u32], attributes: u32, on_unit: &mut impl FnMut(&Unit<'a>)) {
    let path = parent.to(field.number);
    fields(field.content(), |part| {
        if part.number == attributes {
            attribute(&part, path, on_unit);
        } else if leaves.contains(&part.number) {
            content(&part, path, None, on_unit);
        }
        true
    });
}

/// The value of an attribute: its content if it is one text or bytes, else the run of fields beside the key. Where the
/// key does not stand at an end, it is the whole attribute.
#[inline]
fn attribute<'a>(field: &Field<'a>, parent: Path, on_unit: &mut impl FnMut(&Unit<'a>)) {
    let path = parent.to(field.number);
    match Pair::read(field.content()) {
        Some(pair) => {
            let key = std::str::from_utf8(pair.key).ok();
            match sole_leaf(pair.value) {
                Some(leaf) => content(&leaf, path.to(VALUE), key, on_unit),
                None => run(pair.value_start, field.end, path, key, on_unit),
            }
        }
        None => strange_attribute(field, parent, on_unit),
    }
}

/// The same of an attribute that no encoder writes.
#[cold]
fn strange_attribute<'a>(field: &Field<'a>, parent: Path, on_unit: &mut impl FnMut(&Unit<'a>)) {
    const KEY: u32 = 1;
    let path = parent.to(field.number);
    let mut key = "";
    let mut others = Others::default();
    fields(field.content(), |part| {
        match part.number {
            KEY => key = std::str::from_utf8(part.content().rest()).unwrap_or_default(),
            _ => others.add(part),
        }
        true
    });
    let (key, value) = (Some(key), others.only.filter(|only| only.number == VALUE));
    match (others.runs, value.and_then(|value| sole_leaf(value.content()))) {
        (0, _) => {}
        (1, Some(leaf)) => content(&leaf, path.to(VALUE), key, on_unit),
        (1, None) => run(others.start, others.end, path, key, on_unit),
        _ => run(field.start, field.end, parent, key, on_unit),
    }
}

/// The field of a `KeyValue` that holds its value.
const VALUE: u32 = 2;

/// The fields of an attribute that are not its key.
#[derive(Default)]
struct Others<'a> {
    start: usize,
    end: usize,
    runs: usize,
    /// The field, if it is one.
    only: Option<Field<'a>>,
}

impl<'a> Others<'a> {
    fn add(&mut self, field: Field<'a>) {
        let first = self.runs == 0;
        if first {
            self.start = field.start;
        }
        if first || field.start != self.end {
            self.runs += 1;
        }
        self.only = first.then_some(field);
        self.end = field.end;
    }
}

/// Returns the one field of an `AnyValue` that is nothing but a text or bytes.
#[inline(always)]
fn sole_leaf(mut value: Reader<'_>) -> Option<Field<'_>> {
    let leaf = next_field(&mut value)?;
    let sole = value.is_done() && matches!(leaf.number, 1 | 7);
    sole.then_some(leaf)
}

#[inline]
fn content<'a>(field: &Field<'a>, parent: Path, key: Option<&'a str>, on_unit: &mut impl FnMut(&Unit<'a>)) {
    if field.content < field.end {
        on_unit(&Unit { start: field.content, end: field.end, path: parent.to(field.number), fields: false, key });
    }
}

#[inline]
fn run<'a>(start: usize, end: usize, path: Path, key: Option<&'a str>, on_unit: &mut impl FnMut(&Unit<'a>)) {
    if end - start >= RUN_MIN {
        on_unit(&Unit { start, end, path, fields: true, key });
    }
}
