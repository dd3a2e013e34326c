//! What is done to what: the action and its digest, which approvals name.

use core::fmt;

use sha2::{Digest as _, Sha256};

use crate::json::Json;
use crate::members::{from_hex, to_hex};

/// A SHA-256 digest, written as 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Returns the digest written as `text`, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

/// One action, as its digest sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// What is done, for example `secret.rotate`.
    pub kind: String,
    /// To what, for example `vault:prod/db`.
    pub target: Option<String>,
    /// With which tool.
    pub tool: Option<String>,
    /// [`arguments_digest`] of the tool's arguments.
    pub arguments: Option<Digest>,
    /// 16 random bytes that keep the digest from being guessed where only the digest is known.
    pub salt: [u8; 16],
}

impl Action {
    /// Returns SHA-256 of the RFC 8785 form of the members `arguments`, `salt`, `target`, `tool` and `type`; absent ones
    /// are left out.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(Json::Object(self.members()).canonical()).into())
    }

    /// Returns the members that the digest covers, as claims carry them.
    pub(crate) fn members(&self) -> Vec<(String, Json)> {
        let text = |text: &str| Json::String(text.to_owned());
        let mut members =
            vec![("type".to_owned(), text(&self.kind)), ("salt".to_owned(), Json::String(to_hex(&self.salt)))];
        members.extend(self.target.as_deref().map(|target| ("target".to_owned(), text(target))));
        members.extend(self.tool.as_deref().map(|tool| ("tool".to_owned(), text(tool))));
        members.extend(self.arguments.map(|digest| ("arguments".to_owned(), text(&digest.to_string()))));
        members
    }
}

/// Returns SHA-256 of the RFC 8785 form of `{"arguments": arguments, "salt": salt}`.
///
/// The salt is not the action's and goes onto no span: whoever reads the span cannot guess at short arguments.
#[must_use]
pub fn arguments_digest(arguments: &Json, salt: &[u8; 16]) -> Digest {
    let salted =
        Json::Object(vec![("arguments".into(), arguments.clone()), ("salt".into(), Json::String(to_hex(salt)))]);
    Digest(Sha256::digest(salted.canonical()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action() -> Action {
        Action {
            kind: "secret.rotate".into(),
            target: Some("vault:prod/db".into()),
            tool: Some("rotate_secret".into()),
            arguments: Some(arguments_digest(
                &Json::Object(vec![("account".into(), Json::String("billing".into()))]),
                &[1; 16],
            )),
            salt: [2; 16],
        }
    }

    #[test]
    fn digest_is_of_the_canonical_members() {
        let expected = r#"{"arguments":"ARGS","salt":"02020202020202020202020202020202","target":"vault:prod/db","tool":"rotate_secret","type":"secret.rotate"}"#
            .replace("ARGS", &action().arguments.unwrap().to_string());
        assert_eq!(action().digest(), Digest(Sha256::digest(expected).into()));
        assert_eq!(Digest::parse(&action().digest().to_string()), Some(action().digest()));
    }

    #[test]
    fn every_part_changes_the_digest() {
        let others = [
            Action { kind: "secret.read".into(), ..action() },
            Action { target: Some("vault:prod/other".into()), ..action() },
            Action { target: None, ..action() },
            Action { tool: None, ..action() },
            Action { arguments: None, ..action() },
            Action { arguments: Some(Digest([0; 32])), ..action() },
            Action { salt: [3; 16], ..action() },
        ];
        for other in others {
            assert_ne!(other.digest(), action().digest(), "{other:?}");
        }
    }

    #[test]
    fn arguments_are_salted_and_order_does_not_matter() {
        let parse = |text: &str| Json::parse(text.as_bytes()).unwrap();
        assert_eq!(
            arguments_digest(&parse(r#"{"a":1,"b":2}"#), &[1; 16]),
            arguments_digest(&parse(r#"{"b":2,"a":1}"#), &[1; 16])
        );
        assert_ne!(arguments_digest(&parse(r#"{"a":1}"#), &[1; 16]), arguments_digest(&parse(r#"{"a":1}"#), &[2; 16]));
    }
}
