//! Compares the readable attributes beside signed claims with the claims.

use spanseal_schemas::event::Claim;
use spanseal_schemas::names;
use spanseal_schemas::scan::{AnyValue, elements};

use super::approval::Found;
use crate::approval::Approval;
use crate::assessed::Judgement;
use crate::claims::{Claims, Party};
use crate::members::to_hex;
use crate::observed::Attributes;
use crate::reason::Reason;

/// Contradicts the claim of every readable attribute that says something else than the claims. Every one of several
/// with the same key counts.
pub(super) fn judge(claims: &Claims, approval: &Found, attributes: &Attributes<'_>, judgement: &mut Judgement) {
    for (key, value) in attributes.iter() {
        if let Some((claim, signed)) = signed(key, claims, approval)
            && !signed.is(value)
        {
            judgement.contradict(claim, Reason::MirrorMismatch);
        }
    }
}

/// What the claims say in the place of an attribute.
enum Signed {
    Nothing,
    Text(String),
    Integer(u64),
    Texts(Vec<String>),
}

impl Signed {
    fn text(text: Option<&str>) -> Self {
        text.map_or(Signed::Nothing, |text| Signed::Text(text.to_owned()))
    }

    fn is(&self, value: &AnyValue<'_>) -> bool {
        match (self, value) {
            (Signed::Text(signed), AnyValue::String(text)) => signed == text,
            (Signed::Integer(signed), AnyValue::Int(integer)) => u64::try_from(*integer) == Ok(*signed),
            (Signed::Texts(signed), AnyValue::Array(raw)) => is_array_of(raw, signed),
            _ => false,
        }
    }
}

/// Returns which claim the attribute mirrors and what is signed there; `None` for attributes that mirror nothing.
fn signed(key: &str, claims: &Claims, approval: &Found) -> Option<(Claim, Signed)> {
    let of_party = |party: Option<&Party>, part: fn(&Party) -> &str| Signed::text(party.map(part));
    let initiator = claims.initiator.as_ref();
    Some(match key {
        names::PROVENANCE_PRODUCER_ID => (Claim::Actor, Signed::Text(to_hex(&claims.producer))),
        names::PROVENANCE_PRODUCER_SEQ => (Claim::Actor, Signed::Integer(claims.sequence)),
        names::PROVENANCE_CLEARANCE_ID => (Claim::Actor, Signed::Text(to_hex(&claims.clearance))),
        names::PROVENANCE_ACTOR_ID => (Claim::Actor, Signed::text(Some(&claims.actor.id))),
        names::PROVENANCE_ACTOR_TYPE => (Claim::Actor, Signed::text(Some(&claims.actor.kind))),
        names::PROVENANCE_OWNER_ID => (Claim::Owner, Signed::text(claims.owner.as_deref())),
        names::PROVENANCE_INITIATOR_ID => (Claim::Initiator, of_party(initiator, |party| &party.id)),
        names::PROVENANCE_INITIATOR_TYPE => (Claim::Initiator, of_party(initiator, |party| &party.kind)),
        names::USER_ID => (Claim::Initiator, Signed::text(Some(&initiator.filter(|party| party.kind == "human")?.id))),
        names::PROVENANCE_DELEGATION_CHAIN => (Claim::Delegation, Signed::Texts(claims.delegation.clone())),
        names::GEN_AI_TOOL_NAME => (Claim::Scope, Signed::text(Some(claims.action.tool.as_deref()?))),
        _ => return signed_action(key, claims).or_else(|| signed_decision(key, claims, approval)),
    })
}

fn signed_action(key: &str, claims: &Claims) -> Option<(Claim, Signed)> {
    let business = |name: &str| {
        let value =
            claims.business.members().into_iter().find(|(member, _)| *member == name).and_then(|(_, value)| value);
        (Claim::Business, Signed::text(value))
    };
    Some(match key {
        names::PROVENANCE_ACTION_TYPE => (Claim::Scope, Signed::text(Some(&claims.action.kind))),
        names::PROVENANCE_ACTION_TARGET => (Claim::Scope, Signed::text(claims.action.target.as_deref())),
        names::PROVENANCE_ACTION_DIGEST => (Claim::Scope, Signed::Text(claims.action_digest.to_string())),
        names::PROVENANCE_BUSINESS_TICKET => business("ticket"),
        names::PROVENANCE_BUSINESS_CHANGE => business("change"),
        names::PROVENANCE_BUSINESS_INCIDENT => business("incident"),
        names::PROVENANCE_BUSINESS_PLAYBOOK => business("playbook"),
        names::PROVENANCE_BUSINESS_TASK => business("task"),
        _ => return None,
    })
}

fn signed_decision(key: &str, claims: &Claims, approval: &Found) -> Option<(Claim, Signed)> {
    let policy = claims.policy.as_ref();
    let approved = |part: fn(&Approval) -> Signed| match approval {
        Found::Absent => Some((Claim::Approval, Signed::Nothing)),
        Found::Unreadable => None, // graded for what it is already
        Found::Read(approval) => Some((Claim::Approval, part(approval))),
    };
    match key {
        names::PROVENANCE_POLICY_DECISION => {
            let decision = policy.map_or("not_evaluated", |policy| policy.decision.as_str());
            Some((Claim::Policy, Signed::text(Some(decision))))
        }
        names::PROVENANCE_POLICY_DECISION_ID => {
            Some((Claim::Policy, Signed::text(policy.and_then(|policy| policy.id.as_deref()))))
        }
        names::PROVENANCE_APPROVAL_STATEMENT => Some((Claim::Approval, Signed::text(claims.approval.as_deref()))),
        names::PROVENANCE_APPROVAL_ID => approved(|approval| Signed::text(Some(&approval.id))),
        names::PROVENANCE_APPROVAL_APPROVER => approved(|approval| Signed::text(Some(&approval.approver))),
        names::PROVENANCE_APPROVAL_EXPIRES_AT => approved(|approval| Signed::Integer(approval.expires)),
        _ => None,
    }
}

/// Returns whether `raw`, an OTLP `ArrayValue`, holds exactly these strings.
fn is_array_of(raw: &[u8], texts: &[String]) -> bool {
    let mut expected = texts.iter();
    let mut same = true;
    let read = elements(raw, &mut |element| {
        same &= matches!((element, expected.next()), (AnyValue::String(text), Some(expected)) if text == expected);
    });
    read.is_ok() && same && expected.next().is_none()
}
