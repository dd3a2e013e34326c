//! The attributes of an action: the signed claims, and what people read beside them.

use opentelemetry::{KeyValue, StringValue, Value};
use spanseal_authority::approval::Approval;
use spanseal_authority::claims::Claims;
use spanseal_schemas::names;

use crate::hex;

/// Returns `provenance.claims` and the readable attributes that say the same.
pub(crate) fn attributes(token: String, claims: &Claims) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(names::PROVENANCE_CLAIMS, token),
        KeyValue::new(names::PROVENANCE_PRODUCER_ID, hex::text(&claims.producer)),
        KeyValue::new(names::PROVENANCE_PRODUCER_SEQ, i64::try_from(claims.sequence).unwrap_or(i64::MAX)),
        KeyValue::new(names::PROVENANCE_CLEARANCE_ID, hex::text(&claims.clearance)),
        KeyValue::new(names::PROVENANCE_ACTOR_ID, claims.actor.id.clone()),
        KeyValue::new(names::PROVENANCE_ACTOR_TYPE, claims.actor.kind.clone()),
        KeyValue::new(names::PROVENANCE_ACTION_TYPE, claims.action.kind.clone()),
        KeyValue::new(names::PROVENANCE_ACTION_DIGEST, claims.action_digest.to_string()),
    ];
    let decision = claims.policy.as_ref().map_or("not_evaluated", |policy| policy.decision.as_str());
    attributes.push(KeyValue::new(names::PROVENANCE_POLICY_DECISION, decision));
    let mut text = |key: &'static str, value: Option<&str>| {
        attributes.extend(value.map(|value| KeyValue::new(key, value.to_owned())));
    };
    text(names::PROVENANCE_OWNER_ID, claims.owner.as_deref());
    text(names::PROVENANCE_SUPERVISOR_ID, claims.supervisor.as_deref());
    text(names::PROVENANCE_INITIATOR_ID, claims.initiator.as_ref().map(|initiator| initiator.id.as_str()));
    text(names::PROVENANCE_INITIATOR_TYPE, claims.initiator.as_ref().map(|initiator| initiator.kind.as_str()));
    text(names::PROVENANCE_ACTION_TARGET, claims.action.target.as_deref());
    text(names::PROVENANCE_BUSINESS_TICKET, claims.business.ticket.as_deref());
    text(names::PROVENANCE_BUSINESS_CHANGE, claims.business.change.as_deref());
    text(names::PROVENANCE_BUSINESS_INCIDENT, claims.business.incident.as_deref());
    text(names::PROVENANCE_BUSINESS_PLAYBOOK, claims.business.playbook.as_deref());
    text(names::PROVENANCE_BUSINESS_TASK, claims.business.task.as_deref());
    if let Some(policy) = &claims.policy {
        text(names::PROVENANCE_POLICY_DECISION_ID, policy.id.as_deref());
        text(names::PROVENANCE_POLICY_ENGINE, policy.engine.as_deref());
        text(names::PROVENANCE_POLICY_VERSION, policy.version.as_deref());
        texts(names::PROVENANCE_POLICY_IDS, &policy.policies, &mut attributes);
    }
    if let Some(refusal) = &claims.refused {
        attributes.push(KeyValue::new(names::PROVENANCE_REFUSAL_CODE, refusal.code.clone()));
        attributes.push(KeyValue::new(names::PROVENANCE_REFUSAL_REASON, refusal.reason.clone()));
    }
    texts(names::PROVENANCE_DELEGATION_CHAIN, &claims.delegation, &mut attributes);
    texts(names::PROVENANCE_ACTION_PATH, &claims.path, &mut attributes);
    if let Some(Ok(approval)) = claims.approval.as_deref().map(Approval::read_unverified) {
        attributes.push(KeyValue::new(names::PROVENANCE_APPROVAL_ID, approval.id));
        attributes.push(KeyValue::new(names::PROVENANCE_APPROVAL_APPROVER, approval.approver));
        let expires = i64::try_from(approval.expires).unwrap_or(i64::MAX);
        attributes.push(KeyValue::new(names::PROVENANCE_APPROVAL_EXPIRES_AT, expires));
    }
    attributes
}

fn texts(key: &'static str, texts: &[String], attributes: &mut Vec<KeyValue>) {
    if !texts.is_empty() {
        let texts: Vec<StringValue> = texts.iter().cloned().map(StringValue::from).collect();
        attributes.push(KeyValue::new(key, Value::Array(texts.into())));
    }
}
