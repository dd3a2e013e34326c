//! The signed claims about one action. `docs/claims.md` section 2.

use crate::action::{Action, Digest};
use crate::json::Json;
use crate::jws::{self, Jws, JwsError};
use crate::key::SigningKey;
use crate::members::{MemberError, Members, from_hex, to_hex};

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

/// Somebody or something that acts or is acted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// For example `spiffe://acme.example/agent/deployer` or `alice@acme.example`.
    pub id: String,
    /// For example `agent`, `workload`, `service_account`; of an initiator `human`, `schedule`, `event`.
    pub kind: String,
}

/// The business context of an action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Business {
    /// Ticket or request.
    pub ticket: Option<String>,
    /// Change record.
    pub change: Option<String>,
    /// Incident.
    pub incident: Option<String>,
    /// Playbook or runbook.
    pub playbook: Option<String>,
    /// Task of a plan.
    pub task: Option<String>,
}

/// With what an actor identified itself, never the thing itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credential {
    /// `type`: for example `x509-svid`, `jwt-svid`, `kubernetes`, `github-oidc`, `file`.
    pub kind: String,
    /// Who issued it.
    pub issuer: Option<String>,
    /// Its `jti` or serial number.
    pub id: Option<String>,
    /// SHA-256 of the token, or of the certificate in DER.
    pub digest: Option<Digest>,
    /// When it expires, in seconds since the Unix epoch.
    pub expires: Option<u64>,
    /// The rule by which it is rotated.
    pub rotation: Option<String>,
}

/// Where an action runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Names the instance.
    pub id: Option<String>,
    /// The image, by digest.
    pub image: Option<String>,
    /// SHA-256 of the executable.
    pub executable: Option<Digest>,
    /// The build, for example a commit.
    pub build: Option<String>,
    /// The sandbox.
    pub sandbox: Option<String>,
    /// By when it is to have ended, in seconds since the Unix epoch.
    pub deadline: Option<u64>,
}

/// Why an action was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A short name of the cause.
    pub code: String,
    /// For people.
    pub reason: String,
}

/// A policy decision, as the actor tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What was decided.
    pub decision: Decision,
    /// Names the decision.
    pub id: Option<String>,
    /// The version of the policies.
    pub version: Option<String>,
    /// Which engine, with its version.
    pub engine: Option<String>,
    /// The policies that determined it.
    pub policies: Vec<String>,
    /// SHA-256 of the policy set.
    pub set: Option<Digest>,
    /// How many policies failed to be evaluated.
    pub errors: Option<u64>,
}

/// What a policy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The action may run.
    Allow,
    /// The action may not run.
    Deny,
}

impl Decision {
    /// Returns the word in claims and attributes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::Deny => "deny",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Decision::Allow, Decision::Deny].into_iter().find(|decision| decision.as_str() == text)
    }
}

impl Business {
    /// Returns each member's name and value.
    #[must_use]
    pub fn members(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("ticket", self.ticket.as_deref()),
            ("change", self.change.as_deref()),
            ("incident", self.incident.as_deref()),
            ("playbook", self.playbook.as_deref()),
            ("task", self.task.as_deref()),
        ]
    }

    /// Returns whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members().iter().all(|(_, value)| value.is_none())
    }
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
        let party = |party: &Party| object([("id", Some(text(&party.id))), ("type", Some(text(&party.kind)))]);
        let mut action = self.action.members();
        action.push(("digest".to_owned(), digest(self.action_digest)));
        let business = object(self.business.members().map(|(name, value)| (name, value.map(text))));
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
            ("actor", Some(party(&self.actor))),
            ("owner", self.owner.as_deref().map(text)),
            ("supervisor", self.supervisor.as_deref().map(text)),
            ("initiator", self.initiator.as_ref().map(party)),
            ("delegation", texts(&self.delegation)),
            ("credential", self.credential.as_ref().map(Credential::to_json)),
            ("runtime", self.runtime.as_ref().map(Runtime::to_json)),
            ("business", (!self.business.is_empty()).then_some(business)),
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
        Ok(members.optional_object("business")?.map(business_of).transpose()?.unwrap_or_default())
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
            actor: party_of(members.object("actor")?)?,
            owner: members.optional_text("owner")?,
            supervisor: members.optional_text("supervisor")?,
            initiator: members.optional_object("initiator")?.map(party_of).transpose()?,
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

impl Policy {
    /// Returns a decision of which nothing else is known.
    #[must_use]
    pub fn of(decision: Decision) -> Self {
        let (id, version, engine, set, errors) = (None, None, None, None, None);
        Self { decision, id, version, engine, policies: Vec::new(), set, errors }
    }

    fn to_json(&self) -> Json {
        object([
            ("decision", Some(text(self.decision.as_str()))),
            ("id", self.id.as_deref().map(text)),
            ("version", self.version.as_deref().map(text)),
            ("engine", self.engine.as_deref().map(text)),
            ("policies", texts(&self.policies)),
            ("set", self.set.map(digest)),
            ("errors", self.errors.map(integer)),
        ])
    }
}

impl Credential {
    pub(crate) fn from_members(members: Members<'_>) -> Result<Self, MemberError> {
        Ok(Self {
            kind: members.text("type")?,
            issuer: members.optional_text("issuer")?,
            id: members.optional_text("id")?,
            digest: members.optional_parsed("digest", "a digest", Digest::parse)?,
            expires: members.optional_integer("expires", 0)?,
            rotation: members.optional_text("rotation")?,
        })
    }

    pub(crate) fn to_json(&self) -> Json {
        object([
            ("type", Some(text(&self.kind))),
            ("issuer", self.issuer.as_deref().map(text)),
            ("id", self.id.as_deref().map(text)),
            ("digest", self.digest.map(digest)),
            ("expires", self.expires.map(integer)),
            ("rotation", self.rotation.as_deref().map(text)),
        ])
    }
}

impl Runtime {
    fn to_json(&self) -> Json {
        object([
            ("id", self.id.as_deref().map(text)),
            ("image", self.image.as_deref().map(text)),
            ("executable", self.executable.map(digest)),
            ("build", self.build.as_deref().map(text)),
            ("sandbox", self.sandbox.as_deref().map(text)),
            ("deadline", self.deadline.map(integer)),
        ])
    }
}

impl Refusal {
    fn to_json(&self) -> Json {
        object([("code", Some(text(&self.code))), ("reason", Some(text(&self.reason)))])
    }
}

fn text(text: &str) -> Json {
    Json::String(text.to_owned())
}

fn texts(texts: &[String]) -> Option<Json> {
    (!texts.is_empty()).then(|| Json::Array(texts.iter().map(|one| text(one)).collect()))
}

fn digest(digest: Digest) -> Json {
    Json::String(digest.to_string())
}

fn integer(value: u64) -> Json {
    Json::Integer(value as i64)
}

/// Returns an object of the members that are there.
fn object<const N: usize>(members: [(&str, Option<Json>); N]) -> Json {
    Json::Object(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn action_of(members: Members<'_>) -> Result<Action, MemberError> {
    Ok(Action {
        kind: members.text("type")?,
        target: members.optional_text("target")?,
        tool: members.optional_text("tool")?,
        arguments: members.optional_parsed("arguments", "a digest", Digest::parse)?,
        salt: members.parsed("salt", "32 lower-case hex digits", from_hex)?,
    })
}

fn party_of(members: Members<'_>) -> Result<Party, MemberError> {
    Ok(Party { id: members.text("id")?, kind: members.text("type")? })
}

fn business_of(members: Members<'_>) -> Result<Business, MemberError> {
    Ok(Business {
        ticket: members.optional_text("ticket")?,
        change: members.optional_text("change")?,
        incident: members.optional_text("incident")?,
        playbook: members.optional_text("playbook")?,
        task: members.optional_text("task")?,
    })
}

fn policy_of(members: Members<'_>) -> Result<Policy, MemberError> {
    Ok(Policy {
        decision: members.parsed("decision", "`allow` or `deny`", Decision::parse)?,
        id: members.optional_text("id")?,
        version: members.optional_text("version")?,
        engine: members.optional_text("engine")?,
        policies: members.texts("policies", POLICIES_MAX)?,
        set: members.optional_parsed("set", "a digest", Digest::parse)?,
        errors: members.optional_integer("errors", 0)?,
    })
}

fn runtime_of(members: Members<'_>) -> Result<Runtime, MemberError> {
    Ok(Runtime {
        id: members.optional_text("id")?,
        image: members.optional_text("image")?,
        executable: members.optional_parsed("executable", "a digest", Digest::parse)?,
        build: members.optional_text("build")?,
        sandbox: members.optional_text("sandbox")?,
        deadline: members.optional_integer("deadline", 0)?,
    })
}

fn refusal_of(members: Members<'_>) -> Result<Refusal, MemberError> {
    Ok(Refusal { code: members.text("code")?, reason: members.text("reason")? })
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
