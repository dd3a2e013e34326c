//! Which spans are actions, and which actions are governed.

use spanseal_schemas::event::{Claim, Grade};
use spanseal_schemas::names;
use spanseal_schemas::scan::AnyValue;

use crate::Authority;
use crate::assessed::{CLAIMS, Grades};
use crate::observed::Attributes;

/// An action that was found in a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// The configuration asks for a decision on it.
    pub governed: bool,
}

/// What one pass over a span's attributes finds.
pub(crate) struct Marks<'a> {
    pub(crate) action: Option<Action>,
    pub(crate) claims: Signed<'a>,
    pub(crate) closing: Signed<'a>,
    /// What the attributes assert.
    pub(crate) asserted: Grades,
}

/// The span's `provenance.claims`, or another statement of which there is one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed<'a> {
    Absent,
    Once(&'a str),
    NotText,
    Repeatedly,
}

impl<'a> Signed<'a> {
    fn add(&mut self, value: &AnyValue<'a>) {
        *self = match (*self, value) {
            (Signed::Absent, AnyValue::String(text)) => Signed::Once(text),
            (Signed::Absent, _) => Signed::NotText,
            _ => Signed::Repeatedly,
        };
    }
}

impl Authority {
    /// Returns whether an attribute with this key bears on a verdict. Asked for every attribute of every span, of bytes that
    /// need not be text.
    #[must_use]
    pub fn wants(&self, key: &[u8]) -> bool {
        let is = |name: &&str| name.as_bytes() == key;
        match key.first() {
            Some(b'g') => GEN_AI.iter().any(is),
            Some(b'p') => key.starts_with(PREFIX.as_bytes()),
            Some(b'u') => is(&names::USER_ID),
            Some(b'm') => is(&names::MCP_METHOD_NAME),
            _ => false,
        }
    }

    /// Returns the action that the span is, if it is one.
    #[must_use]
    pub fn classify(&self, service: &str, attributes: &Attributes<'_>) -> Option<Action> {
        self.marks(service, attributes).action
    }

    pub(crate) fn marks<'a>(&self, service: &str, attributes: &Attributes<'a>) -> Marks<'a> {
        let (claims, closing) = (Signed::Absent, Signed::Absent);
        let mut marks = Marks { action: None, claims, closing, asserted: [Grade::Absent; CLAIMS] };
        let mut governed = false;
        for (key, value) in attributes.iter() {
            if let Some(kind) = action_kind(key, value) {
                governed |= self.governs_kind(kind);
                marks.action = Some(Action { governed: false });
            }
            if *key == names::PROVENANCE_CLAIMS {
                marks.claims.add(value);
                marks.action = Some(Action { governed: false });
            } else if *key == names::PROVENANCE_CLOSING {
                marks.closing.add(value);
            } else if let Some(claim) = asserted_claim(key, value) {
                marks.asserted[claim as usize] = Grade::Asserted;
            }
        }
        if let Some(action) = &mut marks.action {
            action.governed = governed || self.governs_service(service);
        }
        marks
    }
}

/// Returns the type of action that this attribute marks. Any of several counts.
fn action_kind<'a>(key: &str, value: &AnyValue<'a>) -> Option<&'a str> {
    match (key, value) {
        (names::PROVENANCE_ACTION_TYPE, AnyValue::String(kind)) => Some(kind),
        (names::PROVENANCE_ACTION_TYPE, _) => Some(""),
        (names::GEN_AI_OPERATION_NAME, AnyValue::String(kind @ ("execute_tool" | "invoke_agent"))) => Some(kind),
        (names::MCP_METHOD_NAME, AnyValue::String(kind @ "tools/call")) => Some(kind),
        _ => None,
    }
}

/// Returns the claim that this attribute makes by itself.
fn asserted_claim(key: &str, value: &AnyValue<'_>) -> Option<Claim> {
    if matches!(key, names::GEN_AI_AGENT_ID | names::GEN_AI_AGENT_NAME) {
        return Some(Claim::Actor);
    }
    if key == names::USER_ID {
        return Some(Claim::Initiator);
    }
    if key == names::PROVENANCE_POLICY_DECISION && matches!(value, AnyValue::String("not_evaluated")) {
        return None;
    }
    let (namespace, _) = key.strip_prefix(PREFIX)?.split_once('.')?;
    Some(match namespace {
        "actor" => Claim::Actor,
        "credential" => Claim::Credential,
        "initiator" => Claim::Initiator,
        "owner" => Claim::Owner,
        "delegation" => Claim::Delegation,
        "business" => Claim::Business,
        "approval" => Claim::Approval,
        "policy" => Claim::Policy,
        "runtime" => Claim::Runtime,
        _ => return None,
    })
}

const GEN_AI: [&str; 4] =
    [names::GEN_AI_OPERATION_NAME, names::GEN_AI_TOOL_NAME, names::GEN_AI_AGENT_ID, names::GEN_AI_AGENT_NAME];
const PREFIX: &str = "provenance.";
