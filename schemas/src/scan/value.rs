//! Attributes and their values.

use std::borrow::Cow;

use super::shape::{ARRAY, KV_LIST};
use super::{AnyValue, ScanError, append};
use crate::wire::{DEPTH_MAX, FIXED64, LEN, Pair, Reader, VARINT, descend, key};

/// Calls `on_attribute` with each `KeyValue` in field number `field` of a message: 1 of a `Resource` or a
/// `KeyValueList`, 3 of an `InstrumentationScope` or a span event, 4 of a link, 9 of a span.
///
/// # Errors
///
/// The first thing that prost refuses in those attributes, or in the framing of the other fields.
pub fn attributes<'a>(
    message: &'a [u8],
    field: u32,
    on_attribute: &mut dyn FnMut(&'a str, AnyValue<'a>),
) -> Result<(), ScanError> {
    each(message, field, |reader| key_value(reader, DEPTH_MAX - 1, on_attribute))
}

/// Calls `on_element` with each value of an `ArrayValue` message, as in [`AnyValue::Array`].
///
/// # Errors
///
/// The first thing that prost refuses.
pub fn elements<'a>(array: &'a [u8], on_element: &mut dyn FnMut(AnyValue<'a>)) -> Result<(), ScanError> {
    each(array, 1, |reader| {
        let mut value = AnyValue::Empty;
        any_value(reader, DEPTH_MAX - 1, &mut value)?;
        on_element(value);
        Ok(())
    })
}

/// Calls `on_message` with each occurrence of one embedded message's field.
fn each<'a>(
    message: &'a [u8],
    wanted: u32,
    mut on_message: impl FnMut(Reader<'a>) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let mut reader = Reader::new(message);
    while !reader.is_done() {
        let at = reader.at();
        let (field, wire) = Reader::split(at, reader.varint()?)?;
        match (field == wanted, wire) {
            (true, LEN) => on_message(reader.message()?)?,
            (true, _) => return Err(ScanError::WireType { at, field, wire }),
            (false, _) => reader.skip(field, wire, DEPTH_MAX)?,
        }
    }
    Ok(())
}

/// Calls `on_attribute` with a `KeyValue` message, whose fields may go `depth` levels deeper.
///
/// The value is handed over from where it was made: to move it costs more than to read it.
#[inline]
pub(super) fn key_value<'a>(
    mut reader: Reader<'a>,
    depth: u32,
    on_attribute: &mut dyn FnMut(&'a str, AnyValue<'a>),
) -> Result<(), ScanError> {
    const KEY: u64 = key(1, LEN);
    const VALUE: u64 = key(2, LEN);
    const KEY_INDEX: u64 = key(3, VARINT);
    let (mut name, mut value) = ("", AnyValue::Empty);
    while !reader.is_done() {
        let at = reader.at();
        match reader.varint()? {
            KEY => name = reader.text()?,
            VALUE => any_value(reader.message()?, descend(at, depth)?, &mut value)?,
            KEY_INDEX => drop(reader.varint()?),
            other => {
                let (field, wire) = Reader::split(at, other)?;
                if field <= 3 {
                    return Err(ScanError::WireType { at, field, wire });
                }
                reader.skip(field, wire, depth)?;
            }
        }
    }
    on_attribute(name, value);
    Ok(())
}

const STRING: u64 = key(1, LEN);
const BOOL: u64 = key(2, VARINT);
const INT: u64 = key(3, VARINT);
const DOUBLE: u64 = key(4, FIXED64);

/// Reads an `AnyValue` message into `value`, which may hold what an earlier occurrence said: the last member of the
/// `oneof` counts, and a list that follows a list of its kind continues it.
#[inline]
fn any_value<'a>(mut reader: Reader<'a>, depth: u32, value: &mut AnyValue<'a>) -> Result<(), ScanError> {
    const ARRAY_VALUE: u64 = key(5, LEN);
    const KV_LIST_VALUE: u64 = key(6, LEN);
    const BYTES: u64 = key(7, LEN);
    const STRING_INDEX: u64 = key(8, VARINT);
    while !reader.is_done() {
        let at = reader.at();
        match reader.varint()? {
            STRING => *value = AnyValue::String(reader.text()?),
            BOOL => *value = AnyValue::Bool(reader.varint()? != 0),
            INT => *value = AnyValue::Int(reader.varint()? as i64),
            DOUBLE => *value = AnyValue::Double(f64::from_bits(reader.fixed64()?)),
            BYTES => *value = AnyValue::Bytes(reader.bytes()?),
            list @ (ARRAY_VALUE | KV_LIST_VALUE) => {
                let message = reader.message()?;
                let shape = if list == ARRAY_VALUE { &ARRAY } else { &KV_LIST };
                shape.check(message, descend(at, depth)?)?;
                *value = joined(std::mem::take(value), list == ARRAY_VALUE, message.rest());
            }
            STRING_INDEX => {
                reader.varint()?;
                *value = AnyValue::Empty;
            }
            other => {
                let (field, wire) = Reader::split(at, other)?;
                if field <= 8 {
                    return Err(ScanError::WireType { at, field, wire });
                }
                reader.skip(field, wire, depth)?;
            }
        }
    }
    Ok(())
}

/// Returns whether an attribute is a key and one number or text, with no text but ASCII: then nothing else need be checked.
#[inline(always)]
pub(super) fn is_plain(pair: &Pair<'_>) -> bool {
    let mut value = pair.value;
    let read = match value.varint() {
        Ok(STRING) => value.bytes().is_ok_and(is_ascii),
        Ok(BOOL | INT) => value.varint().is_ok(),
        Ok(DOUBLE) => value.fixed64().is_ok(),
        _ => false,
    };
    read && value.is_done() && is_ascii(pair.key)
}

/// As the method of slices, which is slower with the few bytes of most texts.
#[inline(always)]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, rest) = bytes.as_chunks::<8>();
    let last = bytes
        .last_chunk()
        .map_or_else(|| rest.iter().fold(0, |seen, byte| seen | byte) as u64, |last| u64::from_ne_bytes(*last));
    words.iter().fold(last, |seen, word| seen | u64::from_ne_bytes(*word)) & HIGH == 0
}

/// Returns the list that `value` becomes when a list follows.
fn joined<'a>(value: AnyValue<'a>, array: bool, list: &'a [u8]) -> AnyValue<'a> {
    match (value, array) {
        (AnyValue::Array(mut earlier), true) => {
            append(&mut earlier, list);
            AnyValue::Array(earlier)
        }
        (AnyValue::KvList(mut earlier), false) => {
            append(&mut earlier, list);
            AnyValue::KvList(earlier)
        }
        (_, true) => AnyValue::Array(Cow::Borrowed(list)),
        (_, false) => AnyValue::KvList(Cow::Borrowed(list)),
    }
}
