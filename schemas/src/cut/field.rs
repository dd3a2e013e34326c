//! The fields of a message, and what of each can be cut.

use super::{RUN_MIN, Shape};
use crate::wire::{DEPTH_MAX, LEN, Reader};

/// Where a field lies in its message.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) start: usize,
    pub(super) end: usize,
    content: Option<Reader<'a>>,
}

impl Field<'_> {
    /// Returns how many bytes the field takes, key included.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
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

fn next_field<'a>(reader: &mut Reader<'a>) -> Option<Field<'a>> {
    let start = reader.at();
    let (number, wire) = Reader::split(start, reader.varint().ok()?).ok()?;
    let content = if wire == LEN {
        Some(reader.message().ok()?)
    } else {
        reader.skip(number, wire, DEPTH_MAX).ok()?;
        None
    };
    Some(Field { number, start, end: reader.at(), content })
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

/// Field numbers from the message down.
#[derive(Clone, Copy, Default)]
pub(super) struct Path {
    numbers: [u32; 4],
    len: usize,
}

impl Path {
    pub(super) fn as_slice(&self) -> &[u32] {
        &self.numbers[..self.len]
    }

    /// Returns the path to a field of the message that this one leads to.
    fn to(mut self, number: u32) -> Self {
        if let Some(place) = self.numbers.get_mut(self.len) {
            *place = number;
            self.len += 1;
        }
        self
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
pub(super) fn units<'a>(shape: Shape, field: &Field<'a>, on_unit: &mut dyn FnMut(Unit<'a>)) {
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
fn parts<'a>(field: &Field<'a>, parent: Path, leaves: &[u32], attributes: u32, on_unit: &mut dyn FnMut(Unit<'a>)) {
    let Some(message) = field.content else { return };
    let path = parent.to(field.number);
    fields(message, |part| {
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
fn attribute<'a>(field: &Field<'a>, parent: Path, on_unit: &mut dyn FnMut(Unit<'a>)) {
    const KEY: u32 = 1;
    let Some(message) = field.content else { return };
    let path = parent.to(field.number);
    let mut key = "";
    let mut others = Others::default();
    fields(message, |part| {
        match (part.number, part.content) {
            (KEY, Some(text)) => key = std::str::from_utf8(text.rest()).unwrap_or_default(),
            _ => others.add(part),
        }
        true
    });
    let key = Some(key);
    match (others.runs, others.only.and_then(sole_leaf)) {
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
fn sole_leaf(value: Field<'_>) -> Option<Field<'_>> {
    let mut message = value.content.filter(|_| value.number == VALUE)?;
    let leaf = next_field(&mut message)?;
    let sole = message.is_done() && matches!(leaf.number, 1 | 7) && leaf.content.is_some();
    sole.then_some(leaf)
}

fn content<'a>(field: &Field<'a>, parent: Path, key: Option<&'a str>, on_unit: &mut dyn FnMut(Unit<'a>)) {
    let Some(content) = field.content else { return };
    if !content.is_done() {
        let path = parent.to(field.number);
        on_unit(Unit { start: content.at(), end: field.end, path, fields: false, key });
    }
}

fn run<'a>(start: usize, end: usize, path: Path, key: Option<&'a str>, on_unit: &mut dyn FnMut(Unit<'a>)) {
    if end - start >= RUN_MIN {
        on_unit(Unit { start, end, path, fields: true, key });
    }
}
