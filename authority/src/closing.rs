//! How an action ended: the statement that its actor signs then. `docs/claims.md` section 5.

use crate::action::Digest;
use crate::json::Json;
use crate::jws::{self, Jws, JwsError};
use crate::key::SigningKey;
use crate::members::{MemberError, Members, from_hex, to_hex};

/// The `typ` of the closing statement's header.
pub const TYP: &str = "provenance-closing+jwt";

/// Longest closing statement that is read, in bytes.
pub const BYTES_MAX: usize = 4 << 10;

/// What an actor signs when an action ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// `aud`: the deployment for which it is made.
    pub audience: String,
    /// `iat`: when it was signed, in seconds since the Unix epoch.
    pub issued_at: u64,
    /// `producer`: the process.
    pub producer: [u8; 16],
    /// `clearance`: the leave that is used up.
    pub clearance: [u8; 16],
    /// `trace`: the trace id of the action's span.
    pub trace: [u8; 16],
    /// `span`: the id of the action's span.
    pub span: [u8; 8],
    /// `executed`: the digest of the action as it was done.
    pub executed: Digest,
    /// `outcome`: how it ended.
    pub outcome: Outcome,
    /// `result`: what came out, as a salted digest.
    pub result: Option<ResultDigest>,
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Success,
    /// It failed.
    Error,
    /// It panicked.
    Panic,
    /// It was dropped before its end, and may have had effects.
    Abandoned,
    /// Nothing ran: leave was refused, or was not used.
    Unused,
    /// The program ended, or the span did, before anybody said how.
    NotClosed,
}

/// A digest of what came out of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultDigest {
    /// [`crate::action::arguments_digest`] of the result.
    pub digest: Digest,
    /// Its salt.
    pub salt: [u8; 16],
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Outcome; 6] =
        [Self::Success, Self::Error, Self::Panic, Self::Abandoned, Self::Unused, Self::NotClosed];

    /// Returns the word in statements and attributes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Abandoned => "abandoned",
            Self::Unused => "unused",
            Self::NotClosed => "not_closed",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// Why a text holds no closing statement that can be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClosingError {
    /// Not a JWS of one.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A member is missing or not what it must be.
    #[error(transparent)]
    Member(#[from] MemberError),
}

impl Closing {
    /// Returns what a `provenance.closing` attribute says, **without checking who said it**.
    ///
    /// # Errors
    /// A text that is no JWS of a closing statement.
    pub fn read_unverified(token: &str) -> Result<Self, ClosingError> {
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
        let member = |name: &str, text: String| (name.to_owned(), Json::String(text));
        let mut members = vec![
            member("aud", self.audience.clone()),
            ("iat".to_owned(), Json::Integer(self.issued_at as i64)),
            member("producer", to_hex(&self.producer)),
            member("clearance", to_hex(&self.clearance)),
            member("trace", to_hex(&self.trace)),
            member("span", to_hex(&self.span)),
            member("executed", self.executed.to_string()),
            member("outcome", self.outcome.as_str().to_owned()),
        ];
        members.extend(self.result.map(|result| {
            let salted = vec![member("digest", result.digest.to_string()), member("salt", to_hex(&result.salt))];
            ("result".to_owned(), Json::Object(salted))
        }));
        Json::Object(members)
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
            clearance: members.parsed("clearance", "32 lower-case hex digits", from_hex)?,
            trace: members.parsed("trace", "32 lower-case hex digits", from_hex)?,
            span: members.parsed("span", "16 lower-case hex digits", from_hex)?,
            executed: members.parsed("executed", "a digest", Digest::parse)?,
            outcome: members.parsed("outcome", "an outcome", Outcome::parse)?,
            result: members.optional_object("result")?.map(result_of).transpose()?,
        })
    }
}

fn result_of(members: Members<'_>) -> Result<ResultDigest, MemberError> {
    Ok(ResultDigest {
        digest: members.parsed("digest", "a digest", Digest::parse)?,
        salt: members.parsed("salt", "32 lower-case hex digits", from_hex)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closing(outcome: Outcome) -> Closing {
        Closing {
            audience: "acme.example/agents".into(),
            issued_at: 1_764_000_000,
            producer: [1; 16],
            clearance: [2; 16],
            trace: [3; 16],
            span: [4; 8],
            executed: Digest([5; 32]),
            outcome,
            result: (outcome == Outcome::Success).then_some(ResultDigest { digest: Digest([6; 32]), salt: [7; 16] }),
        }
    }

    #[test]
    fn reads_back_what_it_signs() {
        for outcome in Outcome::ALL {
            let token = closing(outcome).sign(&SigningKey::from_seed(&[1; 32]));
            assert_eq!(Closing::read_unverified(&token).unwrap(), closing(outcome));
            assert!(Closing::read_unverified(&token[1..]).is_err());
        }
    }

    #[test]
    fn names_the_member_that_is_wrong() {
        let Json::Object(members) = closing(Outcome::Success).to_json() else { panic!() };
        for (name, _) in members.iter().filter(|(name, _)| name != "result") {
            let others = members.iter().filter(|(member, _)| member != name).cloned().collect();
            let error = Closing::from_json(&Json::Object(others)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}`")), "{error}");
        }
        let mut maybe = members.clone();
        maybe.retain(|(name, _)| name != "outcome");
        maybe.push(("outcome".into(), Json::String("maybe".into())));
        assert_eq!(Closing::from_json(&Json::Object(maybe)).unwrap_err().to_string(), "`outcome` is not an outcome");
    }
}
