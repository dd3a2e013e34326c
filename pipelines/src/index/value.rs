//! Attribute values as the index holds and searches them.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sha2::{Digest, Sha256};

use crate::hex;

/// A searchable value. `true` and `false` are text, so that a string and a boolean are found alike.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(crate) enum Value {
    Int(i64),
    Real(f64),
    Text(String),
}

/// Longest text that is held as it is, in bytes; the same limit as in forwarded marks.
pub(crate) const TEXT_BYTES_MAX: usize = 255;

impl Value {
    /// Holds a text, or `sha256:` and its digest when it is too long: nothing is cut short, and a search still finds it.
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(clip(text))
    }

    pub(crate) fn bool(value: bool) -> Self {
        Self::Text(value.to_string())
    }

    /// Holds a number; what SQLite cannot hold as one (NaN would become NULL) is text.
    pub(crate) fn real(value: f64) -> Self {
        if value.is_nan() { Self::Text("NaN".to_owned()) } else { Self::Real(value) }
    }

    /// Returns what a person's `key=value` may mean: that text, and the number when it reads as one.
    pub(crate) fn meanings(typed: &str) -> Vec<Self> {
        let mut meanings = vec![Self::text(typed)];
        if let Ok(number) = typed.parse() {
            meanings.push(Self::Int(number));
        } else if let Some(number) = typed.parse().ok().filter(|number: &f64| number.is_finite()) {
            meanings.push(Self::Real(number));
        }
        meanings
    }
}

/// Returns the text, or `sha256:` and the digest of one that is too long.
pub(crate) fn clip(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        text.to_owned()
    } else {
        format!("sha256:{}", hex::encode(&Sha256::digest(text)))
    }
}

impl From<&Value> for rusqlite::types::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Int(number) => Self::Integer(*number),
            Value::Real(number) => Self::Real(*number),
            Value::Text(text) => Self::Text(text.clone()),
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_long_text_by_its_digest() {
        assert_eq!(Value::text(&"x".repeat(255)), Value::Text("x".repeat(255)));
        let Value::Text(long) = Value::text(&"x".repeat(256)) else { panic!("no text") };
        assert!(long.starts_with("sha256:") && long.len() == 71, "{long}");
    }

    #[test]
    fn reads_what_a_person_types_as_text_and_as_a_number() {
        assert_eq!(Value::meanings("42"), [Value::text("42"), Value::Int(42)]);
        assert_eq!(Value::meanings("0.5"), [Value::text("0.5"), Value::Real(0.5)]);
        assert_eq!(Value::meanings("true"), [Value::bool(true)]);
        assert_eq!(Value::meanings("inf"), [Value::text("inf")]);
    }
}
