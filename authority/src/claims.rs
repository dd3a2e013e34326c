//! The signed claims about one action. `docs/claims.md` section 2.

mod parts;

use crate::action::{Action, Digest};
use crate::json::Json;
use crate::jws::{self, Jws, JwsError};
use crate::key::SigningKey;
use crate::members::{MemberError, Members, from_hex, to_hex};

pub use parts::{Business, Credential, Decision, Party, Policy, Refusal, Runtime};
use parts::{action_of, digest, object, policy_of, refusal_of, runtime_of, text, texts};

/// The `typ` of the claims' header.
pub const TYP: &str = "provenance-claims+jwt";

/// Longest claims that are read, in bytes.
pub const BYTES_MAX: usize = 16 << 10;

/// Most parties in a delegation chain.
pub const DELEGATION_MAX: usize = 16;

/// Most tools in a path.
pub const PATH_MAX: usize = 16;

/// Most policies that are named for one decision.
pub const POLICIES_MAX: usize = 16;

/// What an actor signs about one action. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `aud`: the deployment for which they are made.
    pub audience: String,
    /// `iat`: when they were signed.
    pub issued_at: u64,
    /// `producer`: the process, 16 random bytes.
    pub producer: [u8; 16],
    /// `seq`: the producer's number for this action, from 1, without gaps.
    pub sequence: u64,
    /// `clearance`: the one leave to run this action, 16 random bytes.
    pub clearance: [u8; 16],
    /// `trace`: the span's trace id.
    pub trace: [u8; 16],
    /// `span`: the span's id.
    pub span: [u8; 8],
    /// `authorize`: the id of the span that records the decision, and carries the same claims.
    pub authorize: Option<[u8; 8]>,
    /// `parent`: the parent span's id, absent at a trace's root.
    pub parent: Option<[u8; 8]>,
    /// `action`: what is done to what.
    pub action: Action,
    /// `action.digest`: as the sender computed it; must be [`Action::digest`].
    pub action_digest: Digest,
    /// `path`: the tools around the action, outermost first, its own last; empty without one.
    pub path: Vec<String>,
    /// `actor`: who acts.
    pub actor: Party,
    /// `owner`: who answers for the actor.
    pub owner: Option<String>,
    /// `supervisor`: who supervises the actor.
    pub supervisor: Option<String>,
    /// `initiator`: on whose behalf.
    pub initiator: Option<Party>,
    /// `delegation`: from the initiator to the actor, both included; empty without a chain.
    pub delegation: Vec<String>,
    /// `credential`: with what the actor identified itself.
    pub credential: Option<Credential>,
    /// `runtime`: where it runs.
    pub runtime: Option<Runtime>,
    /// `business`: what it is part of.
    pub business: Business,
    /// `policy`: what was decided.
    pub policy: Option<Policy>,
    /// `approval`: the approval, a compact JWS.
    pub approval: Option<String>,
    /// `refused`: why it was refused, and did not run.
    pub refused: Option<Refusal>,
    /// `enrolment`: the enrolment receipt of the key that signs, a compact JWS.
    pub enrolment: Option<String>,
}

/// Why a text holds no claims that can be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// Not a JWS of claims.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A member is missing or not what it must be.
    #[error(transparent)]
    Member(#[from] MemberError),
}

impl Claims {
    /// Returns claims that say who does what and nothing more: every id is zero, every time too.
    #[must_use]
    pub fn bare(actor: Party, action: Action) -> Self {
        Self {
            audience: String::new(),
            issued_at: 0,
            producer: [0; 16],
            sequence: 0,
            clearance: [0; 16],
            trace: [0; 16],
            span: [0; 8],
            authorize: None,
            parent: None,
            action_digest: action.digest(),
            action,
            path: Vec::new(),
            actor,
            owner: None,
            supervisor: None,
            initiator: None,
            delegation: Vec::new(),
            credential: None,
            runtime: None,
            business: Business::default(),
            policy: None,
            approval: None,
            refused: None,
            enrolment: None,
        }
    }

    /// Returns what a `provenance.claims` attribute says, **without checking who said it**: for display beside the
    /// sealed grades.
    ///
    /// # Errors
    /// A text that is no JWS of claims.
    pub fn read_unverified(token: &str) -> Result<Self, ClaimsError> {
        Ok(Self::from_json(&Jws::parse(token, TYP, BYTES_MAX)?.payload()?)?)
    }

    /// Returns the compact JWS of these claims.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        jws::sign(TYP, &self.to_json(), key)
    }

    /// Returns the payload.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut action = self.action.members();
        action.push(("digest".to_owned(), digest(self.action_digest)));
        object([
            ("aud", Some(text(&self.audience))),
            ("iat", Some(Json::Integer(self.issued_at as i64))),
            ("producer", Some(Json::String(to_hex(&self.producer)))),
            ("seq", Some(Json::Integer(self.sequence as i64))),
            ("clearance", Some(Json::String(to_hex(&self.clearance)))),
            ("trace", Some(Json::String(to_hex(&self.trace)))),
            ("span", Some(Json::String(to_hex(&self.span)))),
            ("authorize", self.authorize.map(|span| Json::String(to_hex(&span)))),
            ("parent", self.parent.map(|parent| Json::String(to_hex(&parent)))),
            ("action", Some(Json::Object(action))),
            ("path", texts(&self.path)),
            ("actor", Some(self.actor.to_json())),
            ("owner", self.owner.as_deref().map(text)),
            ("supervisor", self.supervisor.as_deref().map(text)),
            ("initiator", self.initiator.as_ref().map(Party::to_json)),
            ("delegation", texts(&self.delegation)),
            ("credential", self.credential.as_ref().map(Credential::to_json)),
            ("runtime", self.runtime.as_ref().map(Runtime::to_json)),
            ("business", self.business.to_json()),
            ("policy", self.policy.as_ref().map(Policy::to_json)),
            ("approval", self.approval.as_deref().map(text)),
            ("refused", self.refused.as_ref().map(Refusal::to_json)),
            ("enrolment", self.enrolment.as_deref().map(text)),
        ])
    }

    /// Returns the member `action`, with its digest.
    pub(crate) fn action_json(action: &Action) -> Json {
        let mut members = action.members();
        members.push(("digest".to_owned(), digest(action.digest())));
        Json::Object(members)
    }

    /// Returns the member `action` of these members.
    pub(crate) fn action_of(members: Members<'_>) -> Result<Action, MemberError> {
        action_of(members.object("action")?)
    }

    /// Returns the member `business` of these members.
    pub(crate) fn business_of(members: Members<'_>) -> Result<Business, MemberError> {
        Ok(members.optional_object("business")?.map(Business::from_members).transpose()?.unwrap_or_default())
    }

    /// Returns the claims that `payload` makes. Unknown members are left aside: they can only add to what is claimed.
    ///
    /// # Errors
    /// A member that is missing or wrong.
    pub fn from_json(payload: &Json) -> Result<Self, MemberError> {
        let members = Members::of(payload, "")?;
        let action = members.object("action")?;
        Ok(Self {
            audience: members.text("aud")?,
            issued_at: members.integer("iat", 0)?,
            producer: members.parsed("producer", "32 lower-case hex digits", from_hex)?,
            sequence: members.integer("seq", 1)?,
            clearance: members.parsed("clearance", "32 lower-case hex digits", from_hex)?,
            trace: members.parsed("trace", "32 lower-case hex digits", from_hex)?,
            span: members.parsed("span", "16 lower-case hex digits", from_hex)?,
            authorize: members.optional_parsed("authorize", "16 lower-case hex digits", from_hex)?,
            parent: members.optional_parsed("parent", "16 lower-case hex digits", from_hex)?,
            action_digest: action.parsed("digest", "a digest", Digest::parse)?,
            action: action_of(action)?,
            path: members.texts("path", PATH_MAX)?,
            actor: Party::from_members(members.object("actor")?)?,
            owner: members.optional_text("owner")?,
            supervisor: members.optional_text("supervisor")?,
            initiator: members.optional_object("initiator")?.map(Party::from_members).transpose()?,
            delegation: members.texts("delegation", DELEGATION_MAX)?,
            credential: members.optional_object("credential")?.map(Credential::from_members).transpose()?,
            runtime: members.optional_object("runtime")?.map(runtime_of).transpose()?,
            business: Self::business_of(members)?,
            policy: members.optional_object("policy")?.map(policy_of).transpose()?,
            approval: members.optional_parsed("approval", "text", |text| Some(text.to_owned()))?,
            refused: members.optional_object("refused")?.map(refusal_of).transpose()?,
            enrolment: members.optional_parsed("enrolment", "text", |text| Some(text.to_owned()))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Claims {
        let action = Action {
            kind: "secret.rotate".into(),
            target: Some("vault:db".into()),
            tool: Some("rotate".into()),
            arguments: Some(Digest([3; 32])),
            salt: [4; 16],
        };
        Claims {
            audience: "acme.example/agents".into(),
            issued_at: 1_764_000_000,
            producer: [1; 16],
            sequence: 7,
            clearance: [2; 16],
            trace: [5; 16],
            span: [6; 8],
            authorize: Some([8; 8]),
            parent: Some([7; 8]),
            action_digest: action.digest(),
            action,
            path: vec!["remediate".into(), "rotate".into()],
            actor: Party { id: "spiffe://acme.example/agent/deployer".into(), kind: "agent".into() },
            owner: Some("platform".into()),
            supervisor: Some("carol@acme.example".into()),
            initiator: Some(Party { id: "alice@acme.example".into(), kind: "human".into() }),
            delegation: vec!["alice@acme.example".into(), "spiffe://acme.example/agent/deployer".into()],
            credential: Some(Credential {
                kind: "jwt-svid".into(),
                issuer: Some("https://spire.acme.example".into()),
                id: Some("t-1".into()),
                digest: Some(Digest([9; 32])),
                expires: Some(1_764_003_600),
                rotation: Some("hourly".into()),
            }),
            runtime: Some(Runtime {
                id: Some("pod-1".into()),
                image: Some("sha256:aa".into()),
                executable: Some(Digest([10; 32])),
                build: Some("e24217b".into()),
                sandbox: Some("gvisor".into()),
                deadline: Some(1_764_000_600),
            }),
            business: Business { ticket: Some("CHG-1".into()), task: Some("3".into()), ..Business::default() },
            policy: Some(Policy {
                decision: Decision::Allow,
                id: Some("d-1".into()),
                version: Some("v7".into()),
                engine: Some("cedar 4.14.1".into()),
                policies: vec!["rotate-in-window".into()],
                set: Some(Digest([11; 32])),
                errors: Some(0),
            }),
            approval: Some("a.b.c".into()),
            refused: Some(Refusal { code: "policy_denied".into(), reason: "no policy permits it".into() }),
            enrolment: Some("d.e.f".into()),
        }
    }

    fn bare() -> Claims {
        let action = Action { kind: "execute_tool".into(), target: None, tool: None, arguments: None, salt: [0; 16] };
        let bare = Claims::bare(full().actor, action);
        Claims { audience: "acme.example/agents".into(), sequence: 1, ..bare }
    }

    #[test]
    fn reads_back_what_it_signs() {
        let key = SigningKey::from_seed(&[1; 32]);
        for claims in [full(), bare()] {
            assert_eq!(Claims::read_unverified(&claims.sign(&key)).unwrap(), claims);
        }
    }

    /// Replaces a member of the claims (`None`: takes it away) and returns what becomes of them.
    fn with(name: &str, value: Option<&str>) -> Result<Claims, String> {
        let Json::Object(mut members) = full().to_json() else { panic!() };
        members.retain(|(member, _)| member != name);
        members.extend(value.map(|value| (name.to_owned(), Json::parse(value.as_bytes()).unwrap())));
        Claims::from_json(&Json::Object(members)).map_err(|error| error.to_string())
    }

    #[test]
    fn names_the_member_that_is_wrong() {
        for name in ["aud", "iat", "producer", "seq", "clearance", "trace", "span", "action", "actor"] {
            assert!(with(name, None).unwrap_err().starts_with(&format!("`{name}`")), "{name}");
        }
        for (name, value, expected) in [
            ("trace", r#""0505""#, "`trace` is not 32 lower-case hex digits"),
            ("span", r#""060606060606060A""#, "`span` is not 16 lower-case hex digits"),
            ("actor", r#"{"id":"a"}"#, "`actor.type` is not text of 1 to 1024 bytes without control characters"),
            ("policy", r#"{"decision":"maybe"}"#, "`policy.decision` is not `allow` or `deny`"),
            ("delegation", "[]", "`delegation` is not a list of 1 to 16 texts"),
            ("delegation", r#"["a", 1]"#, "`delegation` is not a list of 1 to 16 texts"),
            ("business", r#""CHG-1""#, "`business` is not an object"),
            ("owner", "null", "`owner` is not text of 1 to 1024 bytes without control characters"),
            ("approval", "{}", "`approval` is not text"),
            ("authorize", r#""06""#, "`authorize` is not 16 lower-case hex digits"),
            ("path", "[]", "`path` is not a list of 1 to 16 texts"),
            ("credential", "{}", "`credential.type` is not text of 1 to 1024 bytes without control characters"),
            ("credential", r#"{"type":"a","digest":"AA"}"#, "`credential.digest` is not a digest"),
            ("runtime", r#"{"deadline":-1}"#, "`runtime.deadline` is not an integer in range"),
            ("policy", r#"{"decision":"deny","errors":"1"}"#, "`policy.errors` is not an integer in range"),
            (
                "refused",
                r#"{"code":"a"}"#,
                "`refused.reason` is not text of 1 to 1024 bytes without control characters",
            ),
            ("enrolment", "1", "`enrolment` is not text"),
            ("iat", "-1", "`iat` is not an integer in range"),
        ] {
            assert_eq!(with(name, Some(value)).unwrap_err(), expected);
        }
    }

    #[test]
    fn unknown_members_are_left_aside() {
        assert_eq!(with("mood", Some(r#"{"type":"good"}"#)), Ok(full()));
    }
}
