//! OTLP/JSON to OTLP protobuf, in one pass and without a tree in between: what comes out is no longer than what went in,
//! but for the numbers of metrics, which are short in JSON.
//!
//! By the rules of the OTLP specification, "JSON Protobuf Encoding": lowerCamelCase keys, ids in hex, enums as numbers,
//! 64-bit integers as numbers or strings, unknown keys ignored. `null` is the same as absent, everywhere. As in the
//! protobuf mapping, a key that stands twice and a second member of a `oneof` are refused.

mod encoder;
mod scalar;
mod schema;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use super::body::Taken;
use super::problem::Problem;
use crate::intake::Refusal;
use crate::signal::Signal;
use encoder::{Encoder, PACKED, Step};
use schema::{Field, Kind, Message, Presence, Scalar};

/// The text is not an OTLP request.
#[derive(Debug, thiserror::Error)]
pub(super) enum JsonError {
    #[error("the JSON is not UTF-8 at byte {at}")]
    NotUtf8 { at: usize },
    #[error("{problem}")]
    NotJson { problem: serde_json::Error },
    #[error("{path}: {problem}")]
    At {
        /// For example `resourceSpans[0].scopeSpans[0].spans[3].traceId`.
        path: String,
        problem: serde_json::Error,
    },
    #[error("its protobuf is too large")]
    TooLarge,
}

/// Returns the protobuf of a request in JSON; a long one away from the threads that serve others.
pub(super) async fn transcode(signal: Signal, text: Taken, bytes_max: usize) -> Result<Taken, Problem> {
    if text.bytes.len() < LONG_BYTES {
        return encode(signal, text, bytes_max);
    }
    match tokio::task::spawn_blocking(move || encode(signal, text, bytes_max)).await {
        Ok(encoded) => encoded,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Problem::Refused(Refusal::Stopping)),
    }
}

fn encode(signal: Signal, text: Taken, bytes_max: usize) -> Result<Taken, Problem> {
    let Taken { bytes: text, mut permit } = text;
    permit.grow(longest(signal, &text, bytes_max) as u64)?;
    let bytes = request(signal, &text, bytes_max).map_err(|error| match error {
        JsonError::TooLarge => Problem::TooLarge { bytes_max },
        other => Problem::Json(other),
    })?;
    drop(text);
    permit.shrink_to(bytes.len() as u64);
    Ok(Taken { bytes: bytes.into(), permit })
}

/// Returns how long the protobuf can become: no longer than its JSON, but that a number of metrics takes up to eight
/// bytes, and two in JSON with its comma.
fn longest(signal: Signal, text: &[u8], bytes_max: usize) -> usize {
    if signal != Signal::Metrics {
        return text.len();
    }
    let commas = text.iter().filter(|byte| **byte == b',').count();
    text.len() + (6 * commas + 6).min(bytes_max)
}

/// Takes about a millisecond.
const LONG_BYTES: usize = 256 << 10;

/// Returns the request of a signal that the text describes.
///
/// # Errors
/// When it is not JSON, nested deeper than 127 levels, a known key has a value that its field cannot hold, or lists of
/// numbers grow beyond `bytes_max`.
pub(super) fn request(signal: Signal, text: &[u8], bytes_max: usize) -> Result<Vec<u8>, JsonError> {
    std::str::from_utf8(text).map_err(|error| JsonError::NotUtf8 { at: error.valid_up_to() })?;
    let mut encoder = Encoder::new(text.len() / 2, bytes_max);
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = Fields { message: schema::request(signal), to: &mut encoder }.deserialize(&mut json);
    match read.and_then(|()| json.end()) {
        _ if !encoder.has_room() => Err(JsonError::TooLarge),
        Ok(()) => Ok(encoder.out),
        Err(problem) if encoder.path.is_empty() => Err(JsonError::NotJson { problem }),
        Err(problem) => Err(JsonError::At { path: encoder.path_text(), problem }),
    }
}

/// An object: the fields of one message.
struct Fields<'e> {
    message: &'static Message,
    to: &'e mut Encoder,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        Err(E::invalid_type(scalar::shown(text), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut seen = 0u32;
        let mut member = None;
        while let Some(place) = object.next_key_seed(Key(self.message))? {
            let Some(place) = place else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = &self.message.fields[place];
            self.to.path.push(Step::Field(field.json));
            if seen & (1 << place) != 0 {
                return Err(A::Error::custom("this key stands twice"));
            }
            seen |= 1 << place;
            let written = object.next_value_seed(FieldValue { field, to: &mut *self.to })?;
            if field.presence == Presence::Member
                && written
                && let Some(first) = member.replace(field.json)
            {
                return Err(A::Error::custom(format_args!("only one value is allowed, and {first} is there already")));
            }
            self.to.path.pop();
        }
        Ok(())
    }
}

/// A key: the place of its field, `None` for one that the message does not have.
struct Key(&'static Message);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.fields.iter().position(|field| field.json == key))
    }
}

/// The value of a field; true when there was one, false for `null`.
struct FieldValue<'e> {
    field: &'static Field,
    to: &'e mut Encoder,
}

impl<'de> DeserializeSeed<'de> for FieldValue<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for FieldValue<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        let number = self.field.number;
        match self.field.kind {
            Kind::Message(message) => {
                self.to.message(number, |to| Fields { message, to }.deserialize(json))?;
            }
            Kind::Messages(message) => json.deserialize_any(List { number, of: Of::Message(message), to: self.to })?,
            Kind::Strings => json.deserialize_any(List { number, of: Of::String, to: self.to })?,
            Kind::Packed(kind) => {
                self.to
                    .message(number, |to| json.deserialize_any(List { number: PACKED, of: Of::Number(kind), to }))?;
            }
            Kind::Scalar(kind) => {
                scalar::write(json, kind, number, self.field.presence != Presence::Implicit, self.to)?;
            }
        }
        Ok(true)
    }
}

/// The elements of a repeated field.
struct List<'e> {
    number: u32,
    of: Of,
    to: &'e mut Encoder,
}

#[derive(Clone, Copy)]
enum Of {
    Message(&'static Message),
    String,
    Number(Scalar),
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        Err(E::invalid_type(scalar::shown(text), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        self.to.path.push(Step::Index(0));
        while array.next_element_seed(Element { number: self.number, of: self.of, to: &mut *self.to })?.is_some() {
            if let Some(Step::Index(index)) = self.to.path.last_mut() {
                *index += 1;
            }
        }
        self.to.path.pop();
        Ok(())
    }
}

struct Element<'e> {
    number: u32,
    of: Of,
    to: &'e mut Encoder,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an element or null")
    }

    /// An absent value keeps its place in an array of values; an absent span is none, and an absent number a mistake.
    fn visit_none<E: Error>(self) -> Result<(), E> {
        match self.of {
            Of::Message(message) if message.oneof => self.to.message(self.number, |_| Ok(())),
            Of::Message(_) | Of::String => Ok(()),
            Of::Number(_) => Err(E::invalid_type(Unexpected::Unit, &"a number")),
        }
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.of {
            Of::Message(message) => self.to.message(self.number, |to| Fields { message, to }.deserialize(json)),
            // An element is written even when it is empty.
            Of::String => scalar::write(json, Scalar::String, self.number, true, self.to),
            Of::Number(_) if !self.to.has_room() => Err(D::Error::custom("too large")),
            Of::Number(kind) => scalar::write(json, kind, self.number, true, self.to),
        }
    }
}

#[cfg(test)]
mod tests;
