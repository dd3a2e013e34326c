//! What signed claims say, under the names of the readable attributes that mirror them: for whoever shows or searches
//! claims. Nothing is judged here: the sealed grades say how far each holds.

use spanseal_schemas::names;

use crate::approval::Approval;
use crate::claims::Claims;

/// What one attribute would say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirror<'a> {
    /// One text.
    Text(&'a str),
    /// A list of texts.
    Texts(&'a [String]),
}

/// Calls with each claim under the name of its attribute, those first that people look for first. A name may come twice,
/// as that of a ticket that both claims and approval name.
pub fn mirrors(claims: &Claims, each: &mut dyn FnMut(&'static str, Mirror<'_>)) {
    let approval = claims.approval.as_deref().and_then(|token| Approval::read_unverified(token).ok());
    let (initiator, policy, business) = (claims.initiator.as_ref(), claims.policy.as_ref(), &claims.business);
    let mut text = |name, text: Option<&str>| text.into_iter().for_each(|text| each(name, Mirror::Text(text)));
    text(names::PROVENANCE_ACTOR_ID, Some(&claims.actor.id));
    text(names::PROVENANCE_INITIATOR_ID, initiator.map(|party| &*party.id));
    text(names::PROVENANCE_OWNER_ID, claims.owner.as_deref());
    text(names::PROVENANCE_ACTION_TYPE, Some(&claims.action.kind));
    text(names::PROVENANCE_ACTION_TARGET, claims.action.target.as_deref());
    text(names::GEN_AI_TOOL_NAME, claims.action.tool.as_deref());
    text(names::PROVENANCE_BUSINESS_TICKET, business.ticket.as_deref());
    if let Some(approval) = &approval {
        approval_mirrors(approval, each);
    }
    let mut text = |name, text: Option<&str>| text.into_iter().for_each(|text| each(name, Mirror::Text(text)));
    text(names::PROVENANCE_BUSINESS_CHANGE, business.change.as_deref());
    text(names::PROVENANCE_BUSINESS_INCIDENT, business.incident.as_deref());
    text(names::PROVENANCE_POLICY_DECISION, policy.map(|policy| policy.decision.as_str()));
    text(names::PROVENANCE_POLICY_DECISION_ID, policy.and_then(|policy| policy.id.as_deref()));
    text(names::PROVENANCE_BUSINESS_PLAYBOOK, business.playbook.as_deref());
    text(names::PROVENANCE_BUSINESS_TASK, business.task.as_deref());
    text(names::PROVENANCE_ACTOR_TYPE, Some(&claims.actor.kind));
    text(names::PROVENANCE_INITIATOR_TYPE, initiator.map(|party| &*party.kind));
    text(names::PROVENANCE_POLICY_VERSION, policy.and_then(|policy| policy.version.as_deref()));
    text(names::PROVENANCE_POLICY_ENGINE, policy.and_then(|policy| policy.engine.as_deref()));
    text(names::PROVENANCE_SUPERVISOR_ID, claims.supervisor.as_deref());
    text(names::PROVENANCE_REFUSAL_CODE, claims.refused.as_ref().map(|refusal| &*refusal.code));
    if let Some(credential) = &claims.credential {
        text(names::PROVENANCE_CREDENTIAL_TYPE, Some(&credential.kind));
        text(names::PROVENANCE_CREDENTIAL_ISSUER, credential.issuer.as_deref());
        text(names::PROVENANCE_CREDENTIAL_ID, credential.id.as_deref());
        text(names::PROVENANCE_CREDENTIAL_DIGEST, credential.digest.map(|digest| digest.to_string()).as_deref());
    }
    if let Some(runtime) = &claims.runtime {
        text(names::PROVENANCE_RUNTIME_ID, runtime.id.as_deref());
        text(names::PROVENANCE_RUNTIME_IMAGE_DIGEST, runtime.image.as_deref());
        text(names::PROVENANCE_RUNTIME_BUILD, runtime.build.as_deref());
        text(names::PROVENANCE_RUNTIME_SANDBOX, runtime.sandbox.as_deref());
        let executable = runtime.executable.map(|digest| digest.to_string());
        text(names::PROVENANCE_RUNTIME_EXECUTABLE_DIGEST, executable.as_deref());
    }
    if !claims.path.is_empty() {
        each(names::PROVENANCE_ACTION_PATH, Mirror::Texts(&claims.path));
    }
    if let Some(policy) = policy.filter(|policy| !policy.policies.is_empty()) {
        each(names::PROVENANCE_POLICY_IDS, Mirror::Texts(&policy.policies));
    }
    if !claims.delegation.is_empty() {
        each(names::PROVENANCE_DELEGATION_CHAIN, Mirror::Texts(&claims.delegation));
    }
}

/// Calls with what an approval says, under the names of its attributes.
pub fn approval_mirrors(approval: &Approval, each: &mut dyn FnMut(&'static str, Mirror<'_>)) {
    each(names::PROVENANCE_APPROVAL_ID, Mirror::Text(&approval.id));
    each(names::PROVENANCE_APPROVAL_APPROVER, Mirror::Text(&approval.approver));
    if let Some(ticket) = &approval.ticket {
        each(names::PROVENANCE_BUSINESS_TICKET, Mirror::Text(ticket));
    }
}
