//! Compares the readable attributes beside signed claims with the claims.

use spanseal_schemas::event::Claim;
use spanseal_schemas::names;
use spanseal_schemas::scan::{AnyValue, elements};

use super::approval::Found;
use crate::action::Digest;
use crate::approval::Approval;
use crate::assessed::Judgement;
use crate::claims::{Claims, Credential, Party, Runtime};
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

    fn digest(digest: Option<Digest>) -> Self {
        digest.map_or(Signed::Nothing, |digest| Signed::Text(digest.to_string()))
    }

    fn integer(integer: Option<u64>) -> Self {
        integer.map_or(Signed::Nothing, Signed::Integer)
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
        names::PROVENANCE_SUPERVISOR_ID => (Claim::Owner, Signed::text(claims.supervisor.as_deref())),
        names::PROVENANCE_OWNER_ID => (Claim::Owner, Signed::text(claims.owner.as_deref())),
        names::PROVENANCE_INITIATOR_ID => (Claim::Initiator, of_party(initiator, |party| &party.id)),
        names::PROVENANCE_INITIATOR_TYPE => (Claim::Initiator, of_party(initiator, |party| &party.kind)),
        names::USER_ID => (Claim::Initiator, Signed::text(Some(&initiator.filter(|party| party.kind == "human")?.id))),
        names::PROVENANCE_DELEGATION_CHAIN => (Claim::Delegation, Signed::Texts(claims.delegation.clone())),
        names::GEN_AI_TOOL_NAME => (Claim::Scope, Signed::text(Some(claims.action.tool.as_deref()?))),
        _ => {
            return signed_action(key, claims)
                .or_else(|| signed_decision(key, claims, approval))
                .or_else(|| signed_ground(key, claims));
        }
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
        names::PROVENANCE_ACTION_PATH => (Claim::Lineage, Signed::Texts(claims.path.clone())),
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
        names::PROVENANCE_POLICY_ENGINE => {
            Some((Claim::Policy, Signed::text(policy.and_then(|policy| policy.engine.as_deref()))))
        }
        names::PROVENANCE_POLICY_VERSION => {
            Some((Claim::Policy, Signed::text(policy.and_then(|policy| policy.version.as_deref()))))
        }
        names::PROVENANCE_POLICY_DIGEST => Some((Claim::Policy, Signed::digest(policy.and_then(|policy| policy.set)))),
        names::PROVENANCE_POLICY_IDS => {
            Some((Claim::Policy, Signed::Texts(policy.map_or_else(Vec::new, |policy| policy.policies.clone()))))
        }
        names::PROVENANCE_REFUSAL_CODE => {
            Some((Claim::Policy, Signed::text(claims.refused.as_ref().map(|refusal| &*refusal.code))))
        }
        names::PROVENANCE_REFUSAL_REASON => {
            Some((Claim::Policy, Signed::text(claims.refused.as_ref().map(|refusal| &*refusal.reason))))
        }
        names::PROVENANCE_APPROVAL_STATEMENT => Some((Claim::Approval, Signed::text(claims.approval.as_deref()))),
        names::PROVENANCE_APPROVAL_ID => approved(|approval| Signed::text(Some(&approval.id))),
        names::PROVENANCE_APPROVAL_APPROVER => approved(|approval| Signed::text(Some(&approval.approver))),
        names::PROVENANCE_APPROVAL_EXPIRES_AT => approved(|approval| Signed::Integer(approval.expires)),
        _ => None,
    }
}

/// With what the actor identified itself and where it runs. Where the claims say nothing of either, the attributes are the
/// sender's word, as on a span without claims.
fn signed_ground(key: &str, claims: &Claims) -> Option<(Claim, Signed)> {
    let of_credential = |part: fn(&Credential) -> Signed| Some((Claim::Credential, part(claims.credential.as_ref()?)));
    let of_runtime = |part: fn(&Runtime) -> Signed| Some((Claim::Runtime, part(claims.runtime.as_ref()?)));
    match key {
        names::PROVENANCE_CREDENTIAL_TYPE => of_credential(|credential| Signed::text(Some(&credential.kind))),
        names::PROVENANCE_CREDENTIAL_ISSUER => of_credential(|credential| Signed::text(credential.issuer.as_deref())),
        names::PROVENANCE_CREDENTIAL_ID => of_credential(|credential| Signed::text(credential.id.as_deref())),
        names::PROVENANCE_CREDENTIAL_DIGEST => of_credential(|credential| Signed::digest(credential.digest)),
        names::PROVENANCE_CREDENTIAL_EXPIRES_AT => of_credential(|credential| Signed::integer(credential.expires)),
        names::PROVENANCE_CREDENTIAL_ROTATION => {
            of_credential(|credential| Signed::text(credential.rotation.as_deref()))
        }
        names::PROVENANCE_RUNTIME_ID => of_runtime(|runtime| Signed::text(runtime.id.as_deref())),
        names::PROVENANCE_RUNTIME_IMAGE_DIGEST => of_runtime(|runtime| Signed::text(runtime.image.as_deref())),
        names::PROVENANCE_RUNTIME_EXECUTABLE_DIGEST => of_runtime(|runtime| Signed::digest(runtime.executable)),
        names::PROVENANCE_RUNTIME_BUILD => of_runtime(|runtime| Signed::text(runtime.build.as_deref())),
        names::PROVENANCE_RUNTIME_SANDBOX => of_runtime(|runtime| Signed::text(runtime.sandbox.as_deref())),
        names::PROVENANCE_RUNTIME_DEADLINE => of_runtime(|runtime| Signed::integer(runtime.deadline)),
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
