//! The one wire form of an event's protobuf (format.md section 15).
//!
//! What passes here encodes to the same bytes again: equal meaning is equal bytes. Strictness ends at the fields that
//! carry somebody else's bytes.

use crate::cut::{MESSAGE_BYTES_MAX, RUN_MIN};
use crate::kind;
use crate::scan::ScanError;
use crate::wire::{FIXED64, LEN, Reader, VARINT, varint_len};

/// The version of every protobuf event that this crate writes and knows.
pub const VERSION: u32 = 1;

/// Why a body is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The body is of another version: it hashes, and its content cannot be checked.
    #[error("version {version} of event kind {kind} is not known")]
    UnknownVersion {
        /// The event's kind byte.
        kind: u8,
        /// What its field 1 says; 0 for an unknown kind.
        version: u64,
    },
    /// The body is not the one encoding of what it says.
    #[error("byte {at} is not in canonical form: {why}")]
    NotCanonical {
        /// Where in the body.
        at: usize,
        /// Which rule.
        why: &'static str,
    },
}

/// Checks that `body` is the canonical protobuf of an event of this kind.
///
/// Gap and key events have layouts of their own, which the ledger checks: of those nothing is refused here.
///
/// # Errors
///
/// See [`Refusal`].
pub fn check(kind: u8, body: &[u8]) -> Result<(), Refusal> {
    let shape = match kind {
        kind::SPAN => SPAN,
        kind::RESOURCE => RESOURCE,
        kind::EVIDENCE => EVIDENCE,
        kind::ASSESSMENT => ASSESSMENT_EVENT,
        kind::CONFLICT => CONFLICT,
        kind::FINDING => FINDING,
        kind::ERASURE => ERASURE,
        kind::GAP | kind::KEY => return Ok(()),
        _ => return Err(Refusal::UnknownVersion { kind, version: 0 }),
    };
    check_version(kind, body)?;
    check_message(shape, Reader::new(body))
}

/// Checks that the body begins with the version, and that it is the known one.
fn check_version(kind: u8, body: &[u8]) -> Result<(), Refusal> {
    let mut reader = Reader::new(body);
    if body.first() != Some(&0x08) {
        return Err(refuse(0, "the version is not the first field"));
    }
    minimal(&mut reader)?;
    match minimal(&mut reader)? {
        0 => Err(refuse(1, DEFAULT)),
        version if version != u64::from(VERSION) => Err(Refusal::UnknownVersion { kind, version }),
        _ => Ok(()),
    }
}

/// What a field may hold.
#[derive(Clone, Copy)]
enum Type {
    Bool,
    /// Values from 1 to this.
    Enum(u64),
    Uint32,
    Uint64,
    Fixed64,
    Text,
    /// Any bytes: somebody else's, or of no fixed length.
    Bytes,
    /// So many bytes.
    BytesOf(usize),
    /// As many of them as one likes, so many bytes each.
    EachBytesOf(usize),
    /// Grades 1 to 4 or absent, at most eleven, the last not absent.
    Grades,
    /// Packed.
    Uint32s,
    /// Packed, each greater than the one before.
    Ascending,
    Message(Shape),
    Messages(Shape),
    /// Cuts, each after the end of the one before.
    Cuts,
}

/// A message's fields: the type of field n stands at place n - 1.
type Shape = &'static [Type];

use Type::{
    Ascending, Bool, Bytes, BytesOf, Cuts, EachBytesOf, Enum, Fixed64, Grades, Message, Messages, Text, Uint32,
    Uint32s, Uint64,
};

const SPAN: Shape = &[
    Uint32,
    Fixed64,
    Uint64,
    Uint64,
    Uint64,
    Uint64,
    ENCODING,
    BytesOf(16),
    Uint64,
    Message(ASSESSMENT),
    Bytes,
    Cuts,
    EachBytesOf(32),
];
const RESOURCE: Shape = &[Uint32, BytesOf(16), Enum(4), Text, Text, Text, Bytes, Cuts, EachBytesOf(32)];
const EVIDENCE: Shape = &[Uint32, Text, Text, BytesOf(32), Uint32, Uint32, Bytes];
const ASSESSMENT_EVENT: Shape = &[Uint32, Fixed64, Message(EVENT_REF), Message(ASSESSMENT), Uint64];
const CONFLICT: Shape = &[
    Uint32,
    Fixed64,
    Uint64,
    Uint64,
    Uint64,
    Uint64,
    ENCODING,
    Message(EVENT_REF),
    Bool,
    Bytes,
    Cuts,
    EachBytesOf(32),
];
const FINDING: Shape = &[Uint32, Fixed64, Text, Text, Text, Uint64, Messages(EVENT_REF)];
const ERASURE: Shape = &[Uint32, Fixed64, BytesOf(16), Text, Text];
const ASSESSMENT: Shape = &[Enum(4), Grades, Ascending];
const EVENT_REF: Shape = &[BytesOf(16), Uint64];
const CUT: Shape = &[Uint32, Uint32, Uint32s, Bool, BytesOf(32)];
const ENCODING: Type = Enum(1);

const DEFAULT: &str = "a default value is written out";

fn check_message(shape: Shape, mut reader: Reader<'_>) -> Result<(), Refusal> {
    let mut last = 0;
    let mut cut_end = 0;
    while !reader.is_done() {
        let at = reader.at();
        let (field, wire) = Reader::split(at, minimal(&mut reader)?)?;
        let Some(&kind) = shape.get(field as usize - 1) else {
            return Err(refuse(at, "the field is not known"));
        };
        if field < last {
            return Err(refuse(at, "the fields do not ascend"));
        }
        if field == last && !matches!(kind, EachBytesOf(_) | Messages(_) | Cuts) {
            return Err(refuse(at, "the field stands twice"));
        }
        last = field;
        if wire != kind.wire() {
            return Err(refuse(at, "the wire type is not the field's"));
        }
        match kind {
            Cuts => cut_end = check_cut(nested(&mut reader)?, cut_end)?,
            _ => check_value(kind, &mut reader)?,
        }
    }
    Ok(())
}

impl Type {
    fn wire(self) -> u32 {
        match self {
            Bool | Enum(_) | Uint32 | Uint64 => VARINT,
            Fixed64 => FIXED64,
            _ => LEN,
        }
    }
}

fn check_value(kind: Type, reader: &mut Reader<'_>) -> Result<(), Refusal> {
    let at = reader.at();
    match kind {
        Bool => check_number(at, minimal(reader)?, 1),
        Enum(max) => check_number(at, minimal(reader)?, max),
        Uint32 => check_number(at, minimal(reader)?, u64::from(u32::MAX)),
        Uint64 => check_number(at, minimal(reader)?, u64::MAX),
        Fixed64 => check_number(at, reader.fixed64()?, u64::MAX),
        Text => {
            let inner = nested(reader)?;
            match std::str::from_utf8(inner.rest()) {
                Ok("") => Err(refuse(at, DEFAULT)),
                Ok(_) => Ok(()),
                Err(error) => Err(refuse(inner.at() + error.valid_up_to(), "the text is not UTF-8")),
            }
        }
        Bytes if nested(reader)?.is_done() => Err(refuse(at, DEFAULT)),
        BytesOf(length) | EachBytesOf(length) if nested(reader)?.rest().len() != length => {
            Err(refuse(at, "the bytes have another length than they must"))
        }
        Bytes | BytesOf(_) | EachBytesOf(_) => Ok(()),
        Grades => match nested(reader)?.rest() {
            [rest @ .., 1..=4] if rest.len() <= 10 && rest.iter().all(|grade| *grade <= 4) => Ok(()),
            _ => Err(refuse(at, "grades are 1 to 11, each 0 to 4, the last not 0")),
        },
        Uint32s => check_packed(nested(reader)?, false),
        Ascending => check_packed(nested(reader)?, true),
        Message(shape) | Messages(shape) => check_message(shape, nested(reader)?),
        Cuts => Ok(()),
    }
}

fn check_number(at: usize, value: u64, max: u64) -> Result<(), Refusal> {
    match value {
        0 => Err(refuse(at, DEFAULT)),
        value if value > max => Err(refuse(at, "the value is out of range")),
        _ => Ok(()),
    }
}

fn check_packed(mut reader: Reader<'_>, ascending: bool) -> Result<(), Refusal> {
    if reader.is_done() {
        return Err(refuse(reader.at(), DEFAULT));
    }
    let mut least = 0;
    while !reader.is_done() {
        let at = reader.at();
        let value = minimal(&mut reader)?;
        if value > u64::from(u32::MAX) {
            return Err(refuse(at, "the value is out of range"));
        }
        if ascending && value < least {
            return Err(refuse(at, "the values do not ascend"));
        }
        least = value + 1;
    }
    Ok(())
}

/// Checks a cut that must not begin before `least`, and returns where it ends in the message as received.
fn check_cut(cut: Reader<'_>, least: u64) -> Result<u64, Refusal> {
    check_message(CUT, cut)?;
    let (mut offset, mut length, mut fields) = (0, 0, false);
    let mut reader = cut;
    while !reader.is_done() {
        let (field, wire) = Reader::split(reader.at(), reader.varint()?)?;
        match field {
            1 => offset = reader.varint()?,
            2 => length = reader.varint()?,
            4 => fields = reader.varint()? != 0,
            _ => reader.skip(field, wire, 1)?,
        }
    }
    if offset < least {
        return Err(refuse(cut.at(), "the cuts do not ascend, or overlap"));
    }
    if length < if fields { RUN_MIN as u64 } else { 1 } {
        return Err(refuse(cut.at(), "the cut is too short"));
    }
    if offset + length > MESSAGE_BYTES_MAX as u64 {
        return Err(refuse(cut.at(), "the cut ends beyond 256 MiB"));
    }
    Ok(offset + length)
}

/// Reads a varint that has no byte too many.
fn minimal(reader: &mut Reader<'_>) -> Result<u64, Refusal> {
    let at = reader.at();
    let value = reader.varint()?;
    if reader.at() - at != varint_len(value) {
        return Err(refuse(at, "the varint is longer than it need be"));
    }
    Ok(value)
}

/// Reads a minimal length, and returns a reader over that many bytes.
fn nested<'a>(reader: &mut Reader<'a>) -> Result<Reader<'a>, Refusal> {
    minimal(&mut reader.clone())?;
    Ok(reader.message()?)
}

fn refuse(at: usize, why: &'static str) -> Refusal {
    Refusal::NotCanonical { at, why }
}

impl From<ScanError> for Refusal {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Truncated { at } => refuse(at, "the message ends inside the field"),
            ScanError::Varint { at } => refuse(at, "the varint is longer than 64 bits"),
            ScanError::Key { at, .. } => refuse(at, "no field has this key"),
            ScanError::WireType { at, .. } | ScanError::Duplicate { at, .. } => {
                refuse(at, "the field is not as it must be")
            }
            ScanError::Group { at } => refuse(at, "a group ends that did not begin"),
            ScanError::Utf8 { at } => refuse(at, "the text is not UTF-8"),
            ScanError::TooDeep { at } => refuse(at, "the message is nested too deep"),
            ScanError::TooMany { .. } => refuse(0, "there are too many parts"),
        }
    }
}
