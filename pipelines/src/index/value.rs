//! Attribute values as the index searches them.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::hex;

/// A searchable value. `true` and `false` are found as text, so that a string and a boolean are found alike.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Int(i64),
    Real(f64),
    Bool(bool),
    Text(Cow<'a, str>),
}

/// Longest text that is searched for as it is, in bytes; the same limit as in forwarded marks.
pub(crate) const TEXT_BYTES_MAX: usize = 255;

impl<'a> Value<'a> {
    /// Holds a text, or `sha256:` and its digest when it is too long: a search finds it by either.
    pub(crate) fn text(text: &'a str) -> Self {
        Self::Text(if text.len() <= TEXT_BYTES_MAX {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(format!("sha256:{}", hex::encode(&Sha256::digest(text))))
        })
    }

    /// Returns what a person's `key=value` may mean: that text, and the number when it reads as one.
    pub(crate) fn meanings(typed: &'a str) -> Vec<Self> {
        let mut meanings = vec![Self::text(typed)];
        if let Ok(number) = typed.parse() {
            meanings.push(Self::Int(number));
        } else if let Some(number) = typed.parse().ok().filter(|number: &f64| number.is_finite()) {
            meanings.push(Self::Real(number));
        }
        meanings
    }

    /// Returns a number's bytes, the same for a whole one of either type; `None` for what is searched for as text.
    pub(crate) fn number(&self) -> Option<[u8; 9]> {
        let (whole, bytes) = match self {
            Self::Int(number) => (1, number.to_le_bytes()),
            Self::Real(number) if number.is_nan() => return None,
            // Both bounds are powers of two, and exact.
            Self::Real(number) if number.fract() == 0.0 && (-I64_END..I64_END).contains(number) => {
                (1, (*number as i64).to_le_bytes())
            }
            Self::Real(number) => (0, number.to_le_bytes()),
            Self::Bool(_) | Self::Text(_) => return None,
        };
        let mut number = [whole; 9];
        number[1..].copy_from_slice(&bytes);
        Some(number)
    }

    /// Returns the text that it is searched for as.
    pub(crate) fn text_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bool(true) => b"true",
            Self::Bool(false) => b"false",
            Self::Int(_) | Self::Real(_) => b"NaN",
        }
    }
}

const I64_END: f64 = 9_223_372_036_854_775_808.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_long_text_by_its_digest() {
        let (short, long) = ("x".repeat(255), "x".repeat(256));
        assert_eq!(Value::text(&short), Value::Text(short.as_str().into()));
        let Value::Text(long) = Value::text(&long) else { panic!("no text") };
        assert!(long.starts_with("sha256:") && long.len() == 71, "{long}");
    }

    #[test]
    fn reads_what_a_person_types_as_text_and_as_a_number() {
        assert_eq!(Value::meanings("42"), [Value::text("42"), Value::Int(42)]);
        assert_eq!(Value::meanings("0.5"), [Value::text("0.5"), Value::Real(0.5)]);
        assert_eq!(Value::meanings("true"), [Value::text("true")]);
        assert_eq!(Value::meanings("inf"), [Value::text("inf")]);
    }
}
