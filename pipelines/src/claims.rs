//! The claims inside a span's signed statement, as the readable attributes that would mirror them.

use spanseal_authority::approval::{self, Approval};
use spanseal_authority::claims::Claims;
use spanseal_authority::jws::Jws;
use spanseal_schemas::names;

/// Returns what `provenance.claims` says, without judging it: the sealed grades say how far it holds.
pub(crate) fn read(token: &str) -> Option<Claims> {
    Claims::read_unverified(token).ok()
}

/// Returns what an approval says, without judging it.
pub(crate) fn read_approval(token: &str) -> Option<Approval> {
    let jws = Jws::parse(token, approval::TYP, approval::BYTES_MAX).ok()?;
    Approval::from_json(&jws.payload().ok()?).ok()
}

/// Calls with each claim under the name of the attribute that mirrors it.
pub(crate) fn mirrors(claims: &Claims, mut each: impl FnMut(&'static str, &str)) {
    each(names::PROVENANCE_ACTOR_ID, &claims.actor.id);
    each(names::PROVENANCE_ACTOR_TYPE, &claims.actor.kind);
    each(names::PROVENANCE_ACTION_TYPE, &claims.action.kind);
    let initiator = claims.initiator.as_ref();
    let policy = claims.policy.as_ref();
    let optional = [
        (names::PROVENANCE_OWNER_ID, claims.owner.as_deref()),
        (names::PROVENANCE_INITIATOR_ID, initiator.map(|party| party.id.as_str())),
        (names::PROVENANCE_INITIATOR_TYPE, initiator.map(|party| party.kind.as_str())),
        (names::PROVENANCE_ACTION_TARGET, claims.action.target.as_deref()),
        (names::GEN_AI_TOOL_NAME, claims.action.tool.as_deref()),
        (names::PROVENANCE_BUSINESS_TICKET, claims.business.ticket.as_deref()),
        (names::PROVENANCE_BUSINESS_CHANGE, claims.business.change.as_deref()),
        (names::PROVENANCE_BUSINESS_INCIDENT, claims.business.incident.as_deref()),
        (names::PROVENANCE_BUSINESS_PLAYBOOK, claims.business.playbook.as_deref()),
        (names::PROVENANCE_BUSINESS_TASK, claims.business.task.as_deref()),
        (names::PROVENANCE_POLICY_DECISION, policy.map(|policy| policy.decision.as_str())),
        (names::PROVENANCE_POLICY_DECISION_ID, policy.and_then(|policy| policy.id.as_deref())),
        (names::PROVENANCE_POLICY_DIGEST, policy.and_then(|policy| policy.version.as_deref())),
    ];
    optional.into_iter().for_each(|(name, value)| value.into_iter().for_each(|value| each(name, value)));
    claims.delegation.iter().for_each(|party| each(names::PROVENANCE_DELEGATION_CHAIN, party));
    if let Some(approval) = claims.approval.as_deref().and_then(read_approval) {
        approval_mirrors(&approval, each);
    }
}

/// Calls with what an approval says, under the names of the attributes that mirror it.
pub(crate) fn approval_mirrors(approval: &Approval, mut each: impl FnMut(&'static str, &str)) {
    each(names::PROVENANCE_APPROVAL_ID, &approval.id);
    each(names::PROVENANCE_APPROVAL_APPROVER, &approval.approver);
    if let Some(ticket) = &approval.ticket {
        each(names::PROVENANCE_BUSINESS_TICKET, ticket);
    }
}
