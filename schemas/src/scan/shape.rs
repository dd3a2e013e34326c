//! OTLP's messages as tables, for checking what is not read.

use super::ScanError;
use crate::wire::{FIXED32, FIXED64, LEN, Reader, VARINT, descend};

/// The type of a field, by what prost checks of its value.
#[derive(Clone, Copy)]
pub(super) enum Type {
    /// No field of this number: skipped.
    Unknown,
    Varint,
    Fixed64,
    Fixed32,
    Bytes,
    Text,
    Message(&'static Shape),
}

/// A message's fields: the type of field n stands at place n.
pub(super) struct Shape(&'static [Type]);

use Type::{Bytes, Fixed32, Fixed64, Message, Text, Unknown, Varint};

pub(super) static RESOURCE: Shape = Shape(&[Unknown, Message(&KEY_VALUE), Varint, Message(&ENTITY_REF)]);
pub(super) static SCOPE: Shape = Shape(&[Unknown, Text, Text, Message(&KEY_VALUE), Varint]);
pub(super) static EVENT: Shape = Shape(&[Unknown, Fixed64, Text, Message(&KEY_VALUE), Varint]);
pub(super) static LINK: Shape = Shape(&[Unknown, Bytes, Bytes, Text, Message(&KEY_VALUE), Varint, Fixed32]);
pub(super) static ARRAY: Shape = Shape(&[Unknown, Message(&ANY_VALUE)]);
pub(super) static KV_LIST: Shape = Shape(&[Unknown, Message(&KEY_VALUE)]);
static ENTITY_REF: Shape = Shape(&[Unknown, Text, Text, Text, Text]);
static KEY_VALUE: Shape = Shape(&[Unknown, Text, Message(&ANY_VALUE), Varint]);
static ANY_VALUE: Shape =
    Shape(&[Unknown, Text, Varint, Varint, Fixed64, Message(&ARRAY), Message(&KV_LIST), Bytes, Varint]);

impl Shape {
    /// Checks the rest of a message, whose own fields may go `depth` levels deeper.
    pub(super) fn check(&self, mut reader: Reader<'_>, depth: u32) -> Result<(), ScanError> {
        while !reader.is_done() {
            let at = reader.at();
            let (field, wire) = Reader::split(at, reader.varint()?)?;
            match (self.0.get(field as usize), wire) {
                (None | Some(Unknown), _) => reader.skip(field, wire, depth)?,
                (Some(Varint), VARINT) => drop(reader.varint()?),
                (Some(Fixed64), FIXED64) => drop(reader.fixed64()?),
                (Some(Fixed32), FIXED32) => drop(reader.fixed32()?),
                (Some(Bytes), LEN) => drop(reader.bytes()?),
                (Some(Text), LEN) => drop(reader.text()?),
                (Some(Message(shape)), LEN) => shape.check(reader.message()?, descend(at, depth)?)?,
                _ => return Err(ScanError::WireType { at, field, wire }),
            }
        }
        Ok(())
    }
}
