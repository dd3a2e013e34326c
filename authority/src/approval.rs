//! The approval: a statement signed by its approver that an actor may do one action. `docs/claims.md` section 4.

use crate::action::Digest;
use crate::json::Json;
use crate::jws::{self, Jws, JwsError};
use crate::key::{SigningKey, Thumbprint};
use crate::members::{MemberError, Members};

/// The `typ` of an approval's header.
pub const TYP: &str = "agent-approval+jwt";

/// Longest approval that is read, in bytes.
pub const BYTES_MAX: usize = 8 << 10;

/// What an approver signed. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// `aud`: the deployment for which it holds.
    pub audience: String,
    /// `sub`: who approves.
    pub approver: String,
    /// `act.sub`: who may act.
    pub actor: String,
    /// `cnf.jkt`: the key with which the actor signs its claims.
    pub key: Thumbprint,
    /// `action_digest`: what may be done.
    pub action_digest: Digest,
    /// `nbf`: from when on.
    pub not_before: u64,
    /// `exp`: until before when.
    pub expires: u64,
    /// `jti`: names this approval.
    pub id: String,
    /// How often it may be used.
    pub max_uses: u64,
    /// The ticket under which it was given.
    pub ticket: Option<String>,
    /// Why, in the approver's words.
    pub justification: Option<String>,
}

/// Why a text holds no approval that can be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Not a JWS of an approval.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// Its payload is none.
    #[error(transparent)]
    Payload(#[from] ApprovalError),
}

/// Why a payload is no approval that can be relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// A member is missing or not what it must be.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A term that this version does not know: it might narrow the approval.
    #[error("the term `{0}` is unknown")]
    Unsupported(String),
}

impl Approval {
    /// Returns what the text of an approval says, **without checking who said it**: for display beside the sealed grades.
    ///
    /// # Errors
    /// A text that is no JWS of an approval.
    pub fn read_unverified(token: &str) -> Result<Self, ReadError> {
        Ok(Self::from_json(&Jws::parse(token, TYP, BYTES_MAX)?.payload()?)?)
    }

    /// Returns the compact JWS of this approval.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        jws::sign(TYP, &self.to_json(), key)
    }

    /// Returns the payload.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let text = |text: &str| Json::String(text.to_owned());
        let nested = |name: &str, value: Json| Json::Object(vec![(name.to_owned(), value)]);
        let mut members = vec![
            ("aud".to_owned(), text(&self.audience)),
            ("sub".to_owned(), text(&self.approver)),
            ("act".to_owned(), nested("sub", text(&self.actor))),
            ("cnf".to_owned(), nested("jkt", text(&self.key.to_string()))),
            ("action_digest".to_owned(), text(&self.action_digest.to_string())),
            ("nbf".to_owned(), Json::Integer(self.not_before as i64)),
            ("exp".to_owned(), Json::Integer(self.expires as i64)),
            ("jti".to_owned(), text(&self.id)),
            ("max_uses".to_owned(), Json::Integer(self.max_uses as i64)),
        ];
        members.extend(self.ticket.as_deref().map(|ticket| ("ticket".to_owned(), text(ticket))));
        members.extend(self.justification.as_deref().map(|why| ("justification".to_owned(), text(why))));
        Json::Object(members)
    }

    /// Returns the approval that `payload` says.
    ///
    /// # Errors
    /// A member that is missing or wrong; a member that is unknown, since it might narrow what is approved.
    pub fn from_json(payload: &Json) -> Result<Self, ApprovalError> {
        let members = Members::of(payload, "")?;
        let (act, cnf) = (members.object("act")?, members.object("cnf")?);
        let approval = Self {
            audience: members.text("aud")?,
            approver: members.text("sub")?,
            actor: act.text("sub")?,
            key: cnf.parsed("jkt", "the thumbprint of a key", Thumbprint::parse)?,
            action_digest: members.parsed("action_digest", "a digest", Digest::parse)?,
            not_before: members.integer("nbf", 0)?,
            expires: members.integer("exp", 0)?,
            id: members.text("jti")?,
            max_uses: members.integer("max_uses", 1)?,
            ticket: members.optional_text("ticket")?,
            justification: members.optional_text("justification")?,
        };
        let unknown = members.unknown(KNOWN).or_else(|| act.unknown(&["sub"])).or_else(|| cnf.unknown(&["jkt"]));
        match unknown {
            Some(term) => Err(ApprovalError::Unsupported(term)),
            None => Ok(approval),
        }
    }
}

const KNOWN: &[&str] =
    &["aud", "sub", "act", "cnf", "action_digest", "nbf", "exp", "jti", "max_uses", "ticket", "justification"];

#[cfg(test)]
mod tests {
    use super::*;

    fn approval() -> Approval {
        Approval {
            audience: "acme.example/agents".into(),
            approver: "bob@acme.example".into(),
            actor: "spiffe://acme.example/agent/deployer".into(),
            key: Thumbprint([1; 32]),
            action_digest: Digest([2; 32]),
            not_before: 10,
            expires: 20,
            id: "apr-1".into(),
            max_uses: 1,
            ticket: Some("CHG-1".into()),
            justification: Some("planned".into()),
        }
    }

    #[test]
    fn reads_back_what_it_writes() {
        for approval in [approval(), Approval { ticket: None, justification: None, ..approval() }] {
            let token = approval.sign(&SigningKey::from_seed(&[1; 32]));
            assert_eq!(Approval::read_unverified(&token).unwrap(), approval);
            assert!(Approval::read_unverified(&token[1..]).is_err());
        }
    }

    /// Replaces a member of the approval (`None`: takes it away) and returns why it is refused then.
    #[track_caller]
    fn refused(name: &str, value: Option<&str>) -> String {
        let Json::Object(mut members) = approval().to_json() else { panic!() };
        members.retain(|(member, _)| member != name);
        members.extend(value.map(|value| (name.to_owned(), Json::parse(value.as_bytes()).unwrap())));
        Approval::from_json(&Json::Object(members)).unwrap_err().to_string()
    }

    #[test]
    fn names_the_member_that_is_wrong() {
        for name in KNOWN.iter().filter(|name| !["ticket", "justification"].contains(name)) {
            assert!(refused(name, None).starts_with(&format!("`{name}`")), "{name}");
        }
        assert_eq!(
            refused("act", Some(r#"{"sub":""}"#)),
            "`act.sub` is not text of 1 to 1024 bytes without control characters"
        );
        assert_eq!(refused("cnf", Some(r#"{"jkt":"AA"}"#)), "`cnf.jkt` is not the thumbprint of a key");
        assert_eq!(refused("max_uses", Some("0")), "`max_uses` is not an integer in range");
        assert_eq!(refused("exp", Some("-1")), "`exp` is not an integer in range");
        assert_eq!(
            refused("ticket", Some(r#""a\nb""#)),
            "`ticket` is not text of 1 to 1024 bytes without control characters"
        );
    }

    #[test]
    fn refuses_terms_that_it_does_not_know() {
        assert_eq!(refused("authorization_details", Some("[]")), "the term `authorization_details` is unknown");
        assert!(refused("act", Some(r#"{"sub":"a","act":{"sub":"b"}}"#)).contains("`act.act`"));
        assert!(
            refused("cnf", Some(&format!(r#"{{"jkt":"{}","x5t":"b"}}"#, Thumbprint([1; 32])))).contains("`cnf.x5t`")
        );
    }
}
