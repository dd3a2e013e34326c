//! Reads the members of a statement, naming the one that is wrong.

use crate::json::Json;

/// Longest text in a statement, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 1024;

/// A member that is missing, repeated, or not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not {expected}")]
pub struct MemberError {
    /// For example `action.salt`.
    pub path: String,
    /// For example `16 lower-case hex digits`.
    pub expected: &'static str,
}

/// The members of one object of a statement.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a> {
    path: &'static str,
    members: &'a [(String, Json)],
}

impl<'a> Members<'a> {
    /// Returns the members of `json`, which stands at `path` (empty: the statement itself).
    pub(crate) fn of(json: &'a Json, path: &'static str) -> Result<Self, MemberError> {
        match json {
            Json::Object(members) => Ok(Self { path, members }),
            _ => Err(MemberError {
                path: if path.is_empty() { "payload" } else { path }.to_owned(),
                expected: "an object",
            }),
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&'a Json> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// Returns the first member with a name not in `known`.
    pub(crate) fn unknown(&self, known: &[&str]) -> Option<String> {
        self.members.iter().find(|(name, _)| !known.contains(&name.as_str())).map(|(name, _)| self.at(name))
    }

    pub(crate) fn object(&self, name: &'static str) -> Result<Members<'a>, MemberError> {
        self.optional_object(name)?.ok_or_else(|| self.error(name, "an object"))
    }

    pub(crate) fn optional_object(&self, name: &'static str) -> Result<Option<Members<'a>>, MemberError> {
        match self.find(name) {
            None => Ok(None),
            Some(Json::Object(members)) => Ok(Some(Members { path: name, members })),
            Some(_) => Err(self.error(name, "an object")),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, MemberError> {
        self.optional_text(name)?.ok_or_else(|| self.error(name, TEXT))
    }

    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<String>, MemberError> {
        match self.find(name) {
            None => Ok(None),
            Some(Json::String(text)) if is_text(text) => Ok(Some(text.clone())),
            Some(_) => Err(self.error(name, TEXT)),
        }
    }

    /// Returns the list of texts, empty when the member is absent.
    pub(crate) fn texts(&self, name: &str, texts_max: usize) -> Result<Vec<String>, MemberError> {
        let error = || self.error(name, "a list of 1 to 16 texts");
        match self.find(name) {
            None => Ok(Vec::new()),
            Some(Json::Array(values)) if (1..=texts_max).contains(&values.len()) => {
                values.iter().map(|value| text(value).ok_or_else(error)).collect()
            }
            Some(_) => Err(error()),
        }
    }

    /// Returns an integer of at least `least`.
    pub(crate) fn integer(&self, name: &str, least: u64) -> Result<u64, MemberError> {
        match self.find(name) {
            Some(Json::Integer(integer)) if u64::try_from(*integer).is_ok_and(|integer| integer >= least) => {
                Ok(*integer as u64)
            }
            _ => Err(self.error(name, "an integer in range")),
        }
    }

    /// Returns an integer of at least `least`, if the member is there.
    pub(crate) fn optional_integer(&self, name: &str, least: u64) -> Result<Option<u64>, MemberError> {
        self.find(name).map(|_| self.integer(name, least)).transpose()
    }

    /// Returns what `parse` makes of the text.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, MemberError> {
        self.optional_parsed(name, expected, parse)?.ok_or_else(|| self.error(name, expected))
    }

    pub(crate) fn optional_parsed<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, MemberError> {
        match self.find(name) {
            None => Ok(None),
            Some(Json::String(text)) => parse(text).map(Some).ok_or_else(|| self.error(name, expected)),
            Some(_) => Err(self.error(name, expected)),
        }
    }

    fn error(&self, name: &str, expected: &'static str) -> MemberError {
        MemberError { path: self.at(name), expected }
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

const TEXT: &str = "text of 1 to 1024 bytes without control characters";

fn text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) if is_text(text) => Some(text.clone()),
        _ => None,
    }
}

/// Returns whether `text` may stand in a statement: 1 to 1,024 bytes, no control characters.
#[must_use]
pub fn is_text(text: &str) -> bool {
    (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Returns the `N` bytes written as lower-case hex.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Returns the bytes as lower-case hex.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
