//! JSON as signed statements use it: strict on the way in, RFC 8785 on the way out.
//!
//! The subset has no fractions, so that equal values have one form: integers lie within 2^53 - 1 (RFC 7493
//! section 2.2), an object names each member once and holds at most [`MEMBERS_MAX`].

use core::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Largest integer, either way from zero, that every JSON implementation reads alike: 2^53 - 1.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// Most members that one object of a signed statement may have.
pub const MEMBERS_MAX: usize = 64;

/// A JSON value of the subset. Objects keep the order in which they were read or built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer within [`INTEGER_MAX`].
    Integer(i64),
    /// Text.
    String(String),
    /// Values in order.
    Array(Vec<Json>),
    /// Members, each name once.
    Object(Vec<(String, Json)>),
}

/// Why bytes are not JSON of the subset: what the parser met, and where.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(#[from] serde_json::Error);

impl Json {
    /// Returns the one value that `bytes` hold.
    ///
    /// # Errors
    /// Anything but UTF-8 JSON of the subset with nothing after it: repeated members, fractions, exponents, large
    /// integers, lone surrogates, nesting beyond 128.
    pub fn parse(bytes: &[u8]) -> Result<Json, JsonError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// Returns `value` in the subset.
    ///
    /// # Errors
    /// A number that is no integer within [`INTEGER_MAX`].
    pub fn from_value(value: &serde_json::Value) -> Result<Json, NumberError> {
        use serde_json::Value;
        Ok(match value {
            Value::Null => Json::Null,
            Value::Bool(bool) => Json::Bool(*bool),
            Value::Number(number) => Json::Integer(integer(number)?),
            Value::String(string) => Json::String(string.clone()),
            Value::Array(values) => Json::Array(values.iter().map(Json::from_value).collect::<Result<_, _>>()?),
            Value::Object(members) => Json::Object(
                members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), Json::from_value(value)?)))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }

    /// Returns the value in the JSON Canonicalization Scheme, RFC 8785: members sorted by their names' UTF-16 code
    /// units, no white space, shortest escapes.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Integer(integer) => out.push_str(&integer.to_string()),
            Json::String(string) => write_string(string, out),
            Json::Array(values) => write_list(values, out, ['[', ']'], Json::write),
            Json::Object(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                write_list(&sorted, out, ['{', '}'], |(name, value), out| {
                    write_string(name, out);
                    out.push(':');
                    value.write(out);
                });
            }
        }
    }
}

/// A number outside the subset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the number {0} is no integer between -(2^53 - 1) and 2^53 - 1; write it as a string")]
pub struct NumberError(pub String);

fn integer(number: &serde_json::Number) -> Result<i64, NumberError> {
    number
        .as_i64()
        .filter(|integer| integer.unsigned_abs() <= INTEGER_MAX as u64)
        .ok_or_else(|| NumberError(number.to_string()))
}

fn write_list<T>(parts: &[T], out: &mut String, [open, close]: [char; 2], write: impl Fn(&T, &mut String)) {
    out.push(open);
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(part, out);
    }
    out.push(close);
}

/// RFC 8785 section 3.2.2.2.
fn write_string(string: &str, out: &mut String) {
    out.push('"');
    for char in string.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Strict)
    }
}

struct Strict;

impl<'de> Visitor<'de> for Strict {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, an integer within 2^53 - 1, true, false, null, an array or an object")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Json, E> {
        Ok(Json::Bool(bool))
    }

    fn visit_i64<E: serde::de::Error>(self, integer: i64) -> Result<Json, E> {
        if integer.unsigned_abs() > INTEGER_MAX as u64 {
            return Err(E::custom(format_args!("the integer {integer} is beyond 2^53 - 1")));
        }
        Ok(Json::Integer(integer))
    }

    fn visit_u64<E: serde::de::Error>(self, integer: u64) -> Result<Json, E> {
        match i64::try_from(integer) {
            Ok(integer) => self.visit_i64(integer),
            Err(_) => Err(E::custom(format_args!("the integer {integer} is beyond 2^53 - 1"))),
        }
    }

    fn visit_str<E>(self, string: &str) -> Result<Json, E> {
        Ok(Json::String(string.to_owned()))
    }

    fn visit_string<E>(self, string: String) -> Result<Json, E> {
        Ok(Json::String(string))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format_args!("the member {name:?} stands twice")));
            }
            if members.len() == MEMBERS_MAX {
                return Err(A::Error::custom(format_args!("an object has more than {MEMBERS_MAX} members")));
            }
            members.push((name, map.next_value()?));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn canonical(given: &str, expected: &str) {
        assert_eq!(Json::parse(given.as_bytes()).unwrap().canonical(), expected);
    }

    #[track_caller]
    fn refuses(given: &[u8], cause: &str) {
        let error = Json::parse(given).unwrap_err().to_string();
        assert!(error.contains(cause), "{error}");
    }

    #[test]
    fn members_are_sorted_by_utf16_code_units_as_in_rfc_8785_section_3_2_3() {
        canonical(
            r#"{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
                "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}"#,
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"\u{f6}\":\"Latin Small Letter O With Diaeresis\",\
             \"\u{20ac}\":\"Euro Sign\",\"\u{1f600}\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}",
        );
    }

    #[test]
    fn strings_and_literals_are_written_as_in_rfc_8785_section_3_2_2() {
        canonical(
            r#"{ "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false] }"#,
            "{\"literals\":[null,true,false],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}",
        );
        canonical(r#""\u0008\u0009\u000c\u000d\u007f\u2028""#, "\"\\b\\t\\f\\r\u{7f}\u{2028}\"");
        canonical("[9007199254740991, -9007199254740991, 0]", "[9007199254740991,-9007199254740991,0]");
    }

    #[test]
    fn refuses_what_has_more_than_one_reading() {
        refuses(br#"{"aud":"a","aud":"b"}"#, "stands twice");
        refuses(br#"{"a":{"\u0062":1,"b":2}}"#, "stands twice");
        refuses(b"9007199254740992", "beyond 2^53 - 1");
        refuses(b"-9007199254740992", "beyond 2^53 - 1");
        refuses(b"18446744073709551615", "beyond 2^53 - 1");
        refuses(b"1.0", "floating point");
        refuses(b"1e2", "floating point");
        refuses(b"-0", "floating point");
        refuses(br#""\ud800""#, "hex escape");
        refuses(b"\"\xff\"", "unicode");
        refuses(b"{} {}", "trailing");
        refuses("[".repeat(200).as_bytes(), "recursion limit");
        let many: Vec<_> = (0..65).map(|i| format!("\"{i}\":0")).collect();
        refuses(format!("{{{}}}", many.join(",")).as_bytes(), "more than 64 members");
    }

    #[test]
    fn fractions_in_a_programs_own_values_are_named() {
        let error = Json::from_value(&serde_json::json!({"ratio": [0.5]})).unwrap_err();
        assert_eq!(error, NumberError("0.5".into()));
    }

    proptest::proptest! {
        #[test]
        fn canonical_text_reads_back_and_stays(strings in proptest::collection::vec(".*", 0..6), integer in -INTEGER_MAX..=INTEGER_MAX) {
            let mut names = strings.clone();
            names.sort();
            names.dedup();
            let members = names.into_iter().map(|name| (name, Json::Array(strings.iter().cloned().map(Json::String).collect())));
            let value = Json::Array(vec![Json::Object(members.collect()), Json::Integer(integer)]);
            let text = value.canonical();
            let back = Json::parse(text.as_bytes()).unwrap();
            proptest::prop_assert_eq!(back.canonical(), text);
        }
    }
}
