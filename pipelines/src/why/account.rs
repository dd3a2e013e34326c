//! Who did what for whom, by whose leave: from the signed claims where there are any, else from the attributes.

use std::collections::BTreeMap;

use spanseal_authority::approval::Approval;
use spanseal_authority::claims::{self, Claims};
use spanseal_authority::closing::Closing;
use spanseal_schemas::event::{Assessment, Claim, Grade};
use spanseal_schemas::names;

use super::answer::{Account, ApprovalLine, ReasonLine};
use crate::facet::Facet;
use crate::hex;
use crate::printed::time_of_seconds;

/// Returns the account that the attributes of a span give.
pub(super) fn of(span: &str, attributes: &[(String, String)]) -> Account {
    let find = |key: &str| attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    let facet = |facet: Facet| facet.keys().iter().find_map(|key| find(key));
    let token = find(names::PROVENANCE_CLAIMS);
    let claims = token.as_deref().and_then(|token| Claims::read_unverified(token).ok());
    let mut account = Account {
        signed: claims.is_some(),
        actor: facet(Facet::Actor),
        agent: facet(Facet::Agent),
        user: facet(Facet::User),
        owner: facet(Facet::Owner),
        delegation: find(names::PROVENANCE_DELEGATION_CHAIN).map(|chain| parties(&chain)).unwrap_or_default(),
        action: find(names::PROVENANCE_ACTION_TYPE).or_else(|| find(names::GEN_AI_OPERATION_NAME)),
        tool: facet(Facet::Tool),
        target: facet(Facet::Target),
        credential: facet(Facet::Credential),
        approval: approval(&find),
        policy: find(names::PROVENANCE_POLICY_DECISION).or_else(|| facet(Facet::Policy)),
        business: business(&find),
        conversation: facet(Facet::Conversation),
        supervisor: find(names::PROVENANCE_SUPERVISOR_ID),
        path: find(names::PROVENANCE_ACTION_PATH).map(|path| parties(&path)).unwrap_or_default(),
        refused: find(names::PROVENANCE_REFUSAL_REASON),
        outcome: find(names::PROVENANCE_ACTION_OUTCOME),
        ..Account::default()
    };
    if let Some(claims) = &claims {
        sign(&mut account, claims);
        let decides = claims.authorize.is_some_and(|authorize| hex::encode(&authorize) == span);
        account.decides = decides.then(|| hex::encode(&claims.span));
    }
    if let Some(closing) = find(names::PROVENANCE_CLOSING) {
        account.outcome = Closing::read_unverified(&closing).ok().map(|closing| closing.outcome.as_str().to_owned());
    }
    account
}

/// Puts the signed claims in the place of what attributes say. What they do not speak of stays.
fn sign(account: &mut Account, claims: &Claims) {
    account.actor = Some(claims.actor.id.clone());
    account.user = claims.initiator.as_ref().map(|party| party.id.clone()).or(account.user.take());
    account.owner = claims.owner.clone().or(account.owner.take());
    account.delegation.clone_from(&claims.delegation);
    account.action = Some(claims.action.kind.clone());
    account.target = claims.action.target.clone().or(account.target.take());
    account.tool = claims.action.tool.clone().or(account.tool.take());
    account.supervisor = claims.supervisor.clone().or(account.supervisor.take());
    account.path.clone_from(&claims.path);
    account.refused = claims.refused.as_ref().map(|refusal| refusal.reason.clone());
    account.policy = claims.policy.as_ref().map(policy_words).or(account.policy.take());
    account.credential = claims.credential.as_ref().map(credential_words).or(account.credential.take());
    if let Some(runtime) = &claims.runtime {
        let parts = [
            ("id", runtime.id.clone()),
            ("image", runtime.image.clone()),
            ("executable", runtime.executable.map(|digest| format!("sha256:{digest}"))),
            ("build", runtime.build.clone()),
            ("sandbox", runtime.sandbox.clone()),
            ("until", runtime.deadline.map(time_of_seconds)),
        ];
        account.runtime = parts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    }
    for (what, value) in claims.business.members() {
        account.business.extend(value.map(|value| (what, value.to_owned())));
    }
    if let Some(token) = &claims.approval {
        account.approval = Some(signed_approval(token));
    }
}

fn policy_words(policy: &claims::Policy) -> String {
    let mut words = policy.decision.as_str().to_owned();
    if !policy.policies.is_empty() {
        words += &format!(" by {}", policy.policies.join(", "));
    }
    let parts = [
        policy.engine.clone(),
        policy.version.as_ref().map(|version| format!("version {version}")),
        policy.set.map(|set| format!("set {}", &set.to_string()[..12])),
        policy.id.as_ref().map(|id| format!("decision {id}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { words } else { format!("{words} ({})", parts.join(", ")) }
}

fn credential_words(credential: &claims::Credential) -> String {
    let parts = [
        Some(credential.kind.clone()),
        credential.id.as_ref().map(|id| format!("id {id}")),
        credential.issuer.as_ref().map(|issuer| format!("from {issuer}")),
        credential.expires.map(|expires| format!("until {}", time_of_seconds(expires))),
        credential.rotation.as_ref().map(|rotation| format!("rotated {rotation}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn approval(find: &dyn Fn(&str) -> Option<String>) -> Option<ApprovalLine> {
    if let Some(token) = find(names::PROVENANCE_APPROVAL_STATEMENT) {
        return Some(signed_approval(&token));
    }
    let approver = find(names::PROVENANCE_APPROVAL_APPROVER);
    let expires = find(names::PROVENANCE_APPROVAL_EXPIRES_AT).and_then(|seconds| seconds.parse().ok());
    let id = find(names::PROVENANCE_APPROVAL_ID)?;
    Some(ApprovalLine { id, approver, expires, justification: None })
}

fn signed_approval(token: &str) -> ApprovalLine {
    match Approval::read_unverified(token) {
        Ok(approval) => ApprovalLine {
            id: approval.id,
            approver: Some(approval.approver),
            expires: Some(approval.expires),
            justification: approval.justification,
        },
        Err(_) => ApprovalLine { id: "that cannot be read".to_owned(), ..ApprovalLine::default() },
    }
}

fn business(find: &dyn Fn(&str) -> Option<String>) -> BTreeMap<&'static str, String> {
    let keys = [
        ("ticket", names::PROVENANCE_BUSINESS_TICKET),
        ("change", names::PROVENANCE_BUSINESS_CHANGE),
        ("incident", names::PROVENANCE_BUSINESS_INCIDENT),
        ("playbook", names::PROVENANCE_BUSINESS_PLAYBOOK),
        ("task", names::PROVENANCE_BUSINESS_TASK),
    ];
    keys.into_iter().filter_map(|(what, key)| Some((what, find(key)?))).collect()
}

/// Reads a chain as the attributes list it: a JSON array of texts, or one party.
fn parties(chain: &str) -> Vec<String> {
    serde_json::from_str(chain).unwrap_or_else(|_| vec![chain.to_owned()])
}

/// Returns each claim's grade by name, absent ones left out.
pub(super) fn grades(assessment: &Assessment) -> BTreeMap<&'static str, &'static str> {
    let named = assessment.grades.iter().zip(0..).filter_map(|(grade, claim)| {
        Some((claim_name(Claim::try_from(claim).ok()?), grade_name(Grade::try_from(i32::from(*grade)).ok()?)?))
    });
    named.collect()
}

pub(super) fn reasons(assessment: &Assessment) -> Vec<ReasonLine> {
    let line = |code: &u32| {
        let known = spanseal_authority::Reason::ALL.iter().find(|reason| u32::from(reason.code()) == *code);
        match known {
            Some(reason) => ReasonLine {
                code: *code,
                name: reason.name().to_owned(),
                sentence: reason.sentence(),
                remedy: reason.remedy(),
            },
            None => ReasonLine { code: *code, name: code.to_string(), sentence: "", remedy: "" },
        }
    };
    assessment.reasons.iter().map(line).collect()
}

fn grade_name(grade: Grade) -> Option<&'static str> {
    match grade {
        Grade::Absent => None,
        Grade::Asserted => Some("asserted"),
        Grade::Observed => Some("observed"),
        Grade::Verified => Some("verified"),
        Grade::Contradicted => Some("contradicted"),
    }
}

fn claim_name(claim: Claim) -> &'static str {
    match claim {
        Claim::Actor => "actor",
        Claim::Credential => "credential",
        Claim::Initiator => "initiator",
        Claim::Owner => "owner",
        Claim::Delegation => "delegation",
        Claim::Business => "business",
        Claim::Approval => "approval",
        Claim::Policy => "policy",
        Claim::Scope => "scope",
        Claim::Lineage => "lineage",
        Claim::Runtime => "runtime",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(attributes: &[(&str, &str)]) -> Account {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        of("0f0f0f0f0f0f0f0f", &attributes.iter().map(owned).collect::<Vec<_>>())
    }

    #[test]
    fn reads_the_attributes_of_several_dialects() {
        let account = account(&[
            ("enduser.id", "anna"),
            ("tool.name", "search"),
            ("provenance.delegation.chain", r#"["anna","deployer"]"#),
            ("provenance.business.change", "CHG-3"),
            ("provenance.approval.id", "ap-7"),
            ("provenance.approval.expires_at", "1795000000"),
        ]);
        assert!(!account.signed);
        assert_eq!((account.user.as_deref(), account.tool.as_deref()), (Some("anna"), Some("search")));
        assert_eq!(account.delegation, ["anna", "deployer"]);
        assert_eq!(account.business["change"], "CHG-3");
        let approval = account.approval.unwrap();
        assert_eq!((approval.id.as_str(), approval.expires), ("ap-7", Some(1_795_000_000)));
    }

    #[test]
    fn names_grades_and_reasons() {
        let assessment = Assessment { verdict: 3, grades: vec![3, 0, 4], reasons: vec![101, 65_000] };
        assert_eq!(grades(&assessment), BTreeMap::from([("actor", "verified"), ("initiator", "contradicted")]));
        let reasons = reasons(&assessment);
        assert_eq!(reasons[0].name, "claims_absent");
        assert_eq!((reasons[1].name.as_str(), reasons[1].sentence), ("65000", ""));
    }
}
