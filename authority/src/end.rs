//! How a producer ended: its last number, so that a cut tail shows. `docs/claims.md` section 6.

use crate::json::Json;
use crate::jws::{self, Jws, JwsError};
use crate::key::SigningKey;
use crate::members::{MemberError, Members, from_hex, to_hex};

/// The `typ` of the end statement's header.
pub const TYP: &str = "provenance-end+jwt";

/// Longest end statement that is read, in bytes.
pub const BYTES_MAX: usize = 4 << 10;

/// What a producer signs when it ends in an orderly way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// `aud`: the deployment for which it is made.
    pub audience: String,
    /// `iat`: when it was signed, in seconds since the Unix epoch.
    pub issued_at: u64,
    /// `producer`: the process.
    pub producer: [u8; 16],
    /// `trace`: the trace id of the span that carries it.
    pub trace: [u8; 16],
    /// `span`: that span's id.
    pub span: [u8; 8],
    /// `last`: the last number that the producer gave, 0 if it gave none.
    pub last: u64,
    /// `lost`: how many spans it knows that it could not deliver.
    pub lost: u64,
}

/// Why a text holds no end statement that can be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndError {
    /// Not a JWS of one.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A member is missing or not what it must be.
    #[error(transparent)]
    Member(#[from] MemberError),
}

impl End {
    /// Returns what a `provenance.end` attribute says, **without checking who said it**.
    ///
    /// # Errors
    /// A text that is no JWS of an end statement.
    pub fn read_unverified(token: &str) -> Result<Self, EndError> {
        Ok(Self::from_json(&Jws::parse(token, TYP, BYTES_MAX)?.payload()?)?)
    }

    /// Returns the compact JWS of this statement.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        jws::sign(TYP, &self.to_json(), key)
    }

    /// Returns the payload.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let member = |name: &str, value: Json| (name.to_owned(), value);
        Json::Object(vec![
            member("aud", Json::String(self.audience.clone())),
            member("iat", Json::Integer(self.issued_at as i64)),
            member("producer", Json::String(to_hex(&self.producer))),
            member("trace", Json::String(to_hex(&self.trace))),
            member("span", Json::String(to_hex(&self.span))),
            member("last", Json::Integer(self.last as i64)),
            member("lost", Json::Integer(self.lost as i64)),
        ])
    }

    /// Returns the statement that `payload` makes. Unknown members are left aside.
    ///
    /// # Errors
    /// A member that is missing or wrong.
    pub fn from_json(payload: &Json) -> Result<Self, MemberError> {
        let members = Members::of(payload, "")?;
        Ok(Self {
            audience: members.text("aud")?,
            issued_at: members.integer("iat", 0)?,
            producer: members.parsed("producer", "32 lower-case hex digits", from_hex)?,
            trace: members.parsed("trace", "32 lower-case hex digits", from_hex)?,
            span: members.parsed("span", "16 lower-case hex digits", from_hex)?,
            last: members.integer("last", 0)?,
            lost: members.integer("lost", 0)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end() -> End {
        End {
            audience: "acme.example/agents".into(),
            issued_at: 1_764_000_000,
            producer: [1; 16],
            trace: [2; 16],
            span: [3; 8],
            last: 7,
            lost: 0,
        }
    }

    #[test]
    fn reads_back_what_it_signs() {
        let token = end().sign(&SigningKey::from_seed(&[1; 32]));
        assert_eq!(End::read_unverified(&token).unwrap(), end());
        assert!(End::read_unverified(&token[1..]).is_err());
    }

    #[test]
    fn names_the_member_that_is_missing() {
        let Json::Object(members) = end().to_json() else { panic!() };
        for (name, _) in &members {
            let others = members.iter().filter(|(member, _)| member != name).cloned().collect();
            let error = End::from_json(&Json::Object(others)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}`")), "{error}");
        }
    }
}
