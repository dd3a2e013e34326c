//! Strings, numbers, ids and bytes.

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};

use super::encoder::Encoder;
use super::schema::Scalar;

/// Writes one value; one that is its type's default only when `always`.
pub(super) fn write<'de, D: Deserializer<'de>>(
    json: D,
    kind: Scalar,
    number: u32,
    always: bool,
    to: &mut Encoder,
) -> Result<(), D::Error> {
    let value = ScalarValue { kind, number, always, to };
    match kind {
        // As bytes, because a lone surrogate (half an emoji, cut off by its sender) is an error in a string.
        Scalar::String => json.deserialize_bytes(value),
        _ => json.deserialize_any(value),
    }
}

struct ScalarValue<'e> {
    kind: Scalar,
    number: u32,
    always: bool,
    to: &'e mut Encoder,
}

impl Visitor<'_> for ScalarValue<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Scalar::String => "a string",
            Scalar::Hex => "an even number of hex digits",
            Scalar::Base64 => "base64",
            Scalar::Bool => "true or false",
            Scalar::Enum => "the number of an enum value",
            Scalar::Int32 | Scalar::Sint32 => "a 32-bit integer",
            Scalar::Int64 | Scalar::Sfixed64 => "a 64-bit integer",
            Scalar::Uint32 | Scalar::Fixed32 => "a 32-bit integer from 0",
            Scalar::Fixed64 | Scalar::Uint64 => "a 64-bit integer from 0",
            Scalar::Double => "a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
        })
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        if self.kind != Scalar::Bool {
            return Err(E::invalid_type(Unexpected::Bool(value), &self));
        }
        if value || self.always {
            self.to.varint(self.number, value.into());
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match self.kind {
            Scalar::Double => self.double(value as f64),
            _ => self.integer(value.into(), Unexpected::Unsigned(value)),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        match self.kind {
            Scalar::Double => self.double(value as f64),
            _ => self.integer(value.into(), Unexpected::Signed(value)),
        }
    }

    /// An integer may be written as `1e3`.
    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match self.kind {
            Scalar::Double => self.double(value),
            _ if value.fract() == 0.0 => self.integer(value as i128, Unexpected::Float(value)),
            _ => Err(E::invalid_value(Unexpected::Float(value), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let unexpected = shown(text);
        match self.kind {
            Scalar::Hex => match hex(text) {
                Some(id) => self.bytes(&id),
                None => Err(E::invalid_value(unexpected, &self)),
            },
            Scalar::Base64 => match base64(text) {
                Some(bytes) => self.bytes(&bytes),
                None => Err(E::invalid_value(unexpected, &self)),
            },
            Scalar::Double => match double(text) {
                Some(value) => self.double(value),
                None => Err(E::invalid_value(unexpected, &self)),
            },
            // In enums OTLP is stricter than protobuf's JSON.
            Scalar::Bool | Scalar::Enum => Err(E::invalid_type(unexpected, &self)),
            _ => match text.parse::<i128>() {
                Ok(value) => self.integer(value, unexpected),
                Err(_) => Err(E::invalid_value(unexpected, &self)),
            },
        }
    }

    /// A string: UTF-8 but for lone surrogates, which serde_json hands over as three bytes each.
    fn visit_bytes<E>(self, text: &[u8]) -> Result<(), E> {
        match std::str::from_utf8(text) {
            Ok(_) => self.bytes(text),
            Err(_) => self.bytes(&without_surrogates(text)),
        }
    }
}

impl ScalarValue<'_> {
    fn bytes<E>(self, content: &[u8]) -> Result<(), E> {
        if !content.is_empty() || self.always {
            self.to.bytes(self.number, content);
        }
        Ok(())
    }

    fn double<E>(self, value: f64) -> Result<(), E> {
        if value.to_bits() != 0 || self.always {
            self.to.fixed64(self.number, value.to_bits());
        }
        Ok(())
    }

    fn integer<E: Error>(self, value: i128, unexpected: Unexpected<'_>) -> Result<(), E> {
        let (number, absent) = (self.number, value == 0 && !self.always);
        let written = match self.kind {
            Scalar::String | Scalar::Hex | Scalar::Base64 | Scalar::Bool | Scalar::Double => {
                return Err(E::invalid_type(unexpected, &self));
            }
            _ if absent => Some(()),
            // Protobuf sign-extends a negative int32 to 64 bits.
            Scalar::Enum | Scalar::Int32 => {
                i32::try_from(value).ok().map(|value| self.to.varint(number, i64::from(value) as u64))
            }
            Scalar::Int64 => i64::try_from(value).ok().map(|value| self.to.varint(number, value as u64)),
            Scalar::Uint32 => u32::try_from(value).ok().map(|value| self.to.varint(number, value.into())),
            Scalar::Uint64 => u64::try_from(value).ok().map(|value| self.to.varint(number, value)),
            Scalar::Sint32 => i32::try_from(value).ok().map(|value| self.to.varint(number, zigzag(value).into())),
            Scalar::Fixed32 => u32::try_from(value).ok().map(|value| self.to.fixed32(number, value)),
            Scalar::Fixed64 => u64::try_from(value).ok().map(|value| self.to.fixed64(number, value)),
            Scalar::Sfixed64 => i64::try_from(value).ok().map(|value| self.to.fixed64(number, value as u64)),
        };
        written.ok_or_else(|| E::invalid_value(unexpected, &self))
    }
}

/// Protobuf's `sint32`: small numbers of either sign stay short.
fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

/// Returns a text for an error, cut short: what an error shows of a hostile request must not be as long as that is.
pub(super) fn shown(text: &str) -> Unexpected<'_> {
    Unexpected::Str(&text[..text.floor_char_boundary(SHOWN_BYTES)])
}

const SHOWN_BYTES: usize = 80;

/// Hex digits of either case, two a byte.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

/// Either alphabet, with or without padding, as in protobuf's JSON.
fn base64(text: &str) -> Option<Vec<u8>> {
    use base64ct::{Base64Unpadded, Encoding};
    let standard: String = text
        .trim_end_matches('=')
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    Base64Unpadded::decode_vec(&standard).ok()
}

/// Numbers may stand in strings; Rust's own `inf` and `nan` may not.
fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        number => number.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// Returns the text with U+FFFD for each lone surrogate (`ED A0..BF xx`).
fn without_surrogates(text: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        clean.extend_from_slice(chunk.valid().as_bytes());
        // Of a surrogate's three bytes, each is an invalid chunk of its own.
        if chunk.invalid().first() == Some(&0xED) {
            clean.extend_from_slice(char::REPLACEMENT_CHARACTER.to_string().as_bytes());
        }
    }
    clean
}
