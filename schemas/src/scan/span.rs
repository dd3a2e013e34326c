//! One span: its facts and attributes in one pass.

use super::shape::{EVENT, LINK};
use super::value::{is_plain, key_value};
use super::{AnyValue, ScanError, SpanFacts};
use crate::wire::{DEPTH_MAX, FIXED32, FIXED64, LEN, Pair, Reader, VARINT, key};

/// How much deeper a span's fields may go: it stands in a `ScopeSpans` in a `ResourceSpans` in a request.
const DEPTH: u32 = DEPTH_MAX - 3;

/// Returns the facts of one span and calls `on_attribute` with each of its attributes, in order, duplicates included.
///
/// The whole span is checked as prost checks it inside a request. On an error some attributes may have been reported.
///
/// # Errors
///
/// The first thing that prost refuses, or a singular field of the span that stands twice.
pub fn span<'a>(
    bytes: &'a [u8],
    on_attribute: &mut dyn FnMut(&'a str, AnyValue<'a>),
) -> Result<SpanFacts<'a>, ScanError> {
    span_of(bytes, &|_| true, on_attribute)
}

/// As [`span`], but `on_attribute` need not be called with attributes whose keys are not wanted.
///
/// Most attributes are a key and a text or number, and most texts are ASCII: that is quickly seen. All others are
/// read, wanted or not.
///
/// # Errors
///
/// Those of [`span`].
pub fn span_of<'a>(
    bytes: &'a [u8],
    wants: &dyn Fn(&[u8]) -> bool,
    on_attribute: &mut dyn FnMut(&'a str, AnyValue<'a>),
) -> Result<SpanFacts<'a>, ScanError> {
    let mut facts = SpanFacts::default();
    let mut seen = 0;
    let mut reader = Reader::new(bytes);
    while !reader.is_done() {
        let at = reader.at();
        let key = reader.varint()?;
        if key == ATTRIBUTE {
            let message = reader.message()?;
            if Pair::read(message).is_some_and(|pair| !wants(pair.key) && is_plain(&pair)) {
                continue;
            }
            key_value(message, DEPTH - 1, on_attribute)?;
            continue;
        }
        let (field, wire) = Reader::split(at, key)?;
        let bit = 1u32.checked_shl(field).unwrap_or(0) & SINGULAR;
        if seen & bit != 0 {
            return Err(ScanError::Duplicate { at, field });
        }
        seen |= bit;
        match key {
            TRACE_ID => facts.trace_id = reader.bytes()?,
            SPAN_ID => facts.span_id = reader.bytes()?,
            TRACE_STATE => drop(reader.text()?),
            PARENT_SPAN_ID => facts.parent_span_id = reader.bytes()?,
            NAME => facts.name = reader.text()?,
            KIND => facts.kind = reader.varint()? as i32,
            START => facts.start_unix_nano = reader.fixed64()?,
            END => facts.end_unix_nano = reader.fixed64()?,
            DROPPED_ATTRIBUTES | DROPPED_EVENTS | DROPPED_LINKS => drop(reader.varint()?),
            EVENTS => EVENT.check(reader.message()?, DEPTH - 1)?,
            LINKS => LINK.check(reader.message()?, DEPTH - 1)?,
            STATUS => facts.status_code = status_code(reader.message()?)?,
            FLAGS => facts.flags = reader.fixed32()?,
            _ if field <= FIELDS => return Err(ScanError::WireType { at, field, wire }),
            _ => reader.skip(field, wire, DEPTH)?,
        }
    }
    Ok(facts)
}

/// Returns the code of a `Status` message: the last one, as within a status prost's reading is kept.
fn status_code(mut reader: Reader<'_>) -> Result<i32, ScanError> {
    let mut code = 0;
    while !reader.is_done() {
        let at = reader.at();
        match reader.varint()? {
            STATUS_MESSAGE => drop(reader.text()?),
            STATUS_CODE => code = reader.varint()? as i32,
            other => {
                let (field, wire) = Reader::split(at, other)?;
                if matches!(field, 2 | 3) {
                    return Err(ScanError::WireType { at, field, wire });
                }
                reader.skip(field, wire, DEPTH - 1)?;
            }
        }
    }
    Ok(code)
}

const TRACE_ID: u64 = key(1, LEN);
const SPAN_ID: u64 = key(2, LEN);
const TRACE_STATE: u64 = key(3, LEN);
const PARENT_SPAN_ID: u64 = key(4, LEN);
const NAME: u64 = key(5, LEN);
const KIND: u64 = key(6, VARINT);
const START: u64 = key(7, FIXED64);
const END: u64 = key(8, FIXED64);
const ATTRIBUTE: u64 = key(9, LEN);
const DROPPED_ATTRIBUTES: u64 = key(10, VARINT);
const EVENTS: u64 = key(11, LEN);
const DROPPED_EVENTS: u64 = key(12, VARINT);
const LINKS: u64 = key(13, LEN);
const DROPPED_LINKS: u64 = key(14, VARINT);
const STATUS: u64 = key(15, LEN);
const FLAGS: u64 = key(16, FIXED32);
const FIELDS: u32 = 16;

/// One bit for each field that may stand once: all but attributes, events and links.
const SINGULAR: u32 = 0x1_FFFE & !(1 << 9 | 1 << 11 | 1 << 13);

const STATUS_MESSAGE: u64 = key(2, LEN);
const STATUS_CODE: u64 = key(3, VARINT);
