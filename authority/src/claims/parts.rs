//! What claims are made of: parties, business context, credential, runtime, decisions.

use super::POLICIES_MAX;
use crate::action::{Action, Digest};
use crate::json::Json;
use crate::members::{MemberError, Members, from_hex};

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

    pub(super) fn parse(text: &str) -> Option<Self> {
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

    pub(crate) fn from_members(members: Members<'_>) -> Result<Self, MemberError> {
        Ok(Self {
            ticket: members.optional_text("ticket")?,
            change: members.optional_text("change")?,
            incident: members.optional_text("incident")?,
            playbook: members.optional_text("playbook")?,
            task: members.optional_text("task")?,
        })
    }

    pub(crate) fn to_json(&self) -> Option<Json> {
        let members = self.members().map(|(name, value)| (name, value.map(text)));
        (!self.is_empty()).then(|| object(members))
    }

    /// Returns whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members().iter().all(|(_, value)| value.is_none())
    }
}

impl Party {
    pub(crate) fn from_members(members: Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { id: members.text("id")?, kind: members.text("type")? })
    }

    pub(crate) fn to_json(&self) -> Json {
        object([("id", Some(text(&self.id))), ("type", Some(text(&self.kind)))])
    }
}

impl Policy {
    /// Returns a decision of which nothing else is known.
    #[must_use]
    pub fn of(decision: Decision) -> Self {
        let (id, version, engine, set, errors) = (None, None, None, None, None);
        Self { decision, id, version, engine, policies: Vec::new(), set, errors }
    }

    pub(super) fn to_json(&self) -> Json {
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
    pub(super) fn to_json(&self) -> Json {
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
    pub(super) fn to_json(&self) -> Json {
        object([("code", Some(text(&self.code))), ("reason", Some(text(&self.reason)))])
    }
}

pub(super) fn text(text: &str) -> Json {
    Json::String(text.to_owned())
}

pub(super) fn texts(texts: &[String]) -> Option<Json> {
    (!texts.is_empty()).then(|| Json::Array(texts.iter().map(|one| text(one)).collect()))
}

pub(super) fn digest(digest: Digest) -> Json {
    Json::String(digest.to_string())
}

pub(super) fn integer(value: u64) -> Json {
    Json::Integer(value as i64)
}

/// Returns an object of the members that are there.
pub(super) fn object<const N: usize>(members: [(&str, Option<Json>); N]) -> Json {
    Json::Object(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

pub(super) fn action_of(members: Members<'_>) -> Result<Action, MemberError> {
    Ok(Action {
        kind: members.text("type")?,
        target: members.optional_text("target")?,
        tool: members.optional_text("tool")?,
        arguments: members.optional_parsed("arguments", "a digest", Digest::parse)?,
        salt: members.parsed("salt", "32 lower-case hex digits", from_hex)?,
    })
}

pub(super) fn policy_of(members: Members<'_>) -> Result<Policy, MemberError> {
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

pub(super) fn runtime_of(members: Members<'_>) -> Result<Runtime, MemberError> {
    Ok(Runtime {
        id: members.optional_text("id")?,
        image: members.optional_text("image")?,
        executable: members.optional_parsed("executable", "a digest", Digest::parse)?,
        build: members.optional_text("build")?,
        sandbox: members.optional_text("sandbox")?,
        deadline: members.optional_integer("deadline", 0)?,
    })
}

pub(super) fn refusal_of(members: Members<'_>) -> Result<Refusal, MemberError> {
    Ok(Refusal { code: members.text("code")?, reason: members.text("reason")? })
}
