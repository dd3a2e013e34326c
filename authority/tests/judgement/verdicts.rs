//! Which spans are judged, and what grades come out.

use spanseal_authority::{Assessed, Reason};
use spanseal_schemas::event::{Claim, Grade, Verdict};

use crate::fixture::{Case, START, texts};

#[test]
fn an_approved_action_is_proven_claim_by_claim() {
    let found = Case::approved().judge();
    assert_eq!((found.verdict, &*found.reasons), (Verdict::Proven, &[Reason::UsesNotCounted][..]));
    for (claim, grade) in [
        (Claim::Actor, Grade::Verified),
        (Claim::Credential, Grade::Asserted),
        (Claim::Initiator, Grade::Asserted),
        (Claim::Owner, Grade::Verified),
        (Claim::Delegation, Grade::Asserted),
        (Claim::Business, Grade::Verified),
        (Claim::Approval, Grade::Verified),
        (Claim::Policy, Grade::Absent),
        (Claim::Scope, Grade::Verified),
        (Claim::Lineage, Grade::Asserted),
        (Claim::Runtime, Grade::Asserted),
    ] {
        assert_eq!(found.grade(claim), grade, "{claim:?}");
    }
}

#[test]
fn an_enrolled_key_proves_as_a_configured_one_and_its_credential_too() {
    let found = Case::with(|case| case.enrol(0xe0, |_| {})).judge();
    assert_eq!((found.verdict, &*found.reasons), (Verdict::Proven, &[Reason::UsesNotCounted][..]));
    let graded = [Claim::Actor, Claim::Owner, Claim::Credential].map(|claim| found.grade(claim));
    assert_eq!(graded, [Grade::Verified; 3]);
}

#[test]
fn readable_attributes_that_say_the_same_change_nothing() {
    let plain = Case::approved().judge();
    let mirrored = Case::with(|case| {
        case.attributes.extend([
            ("provenance.producer.id", "01010101010101010101010101010101".into()),
            ("provenance.actor.id", crate::fixture::ACTOR.into()),
            ("provenance.actor.type", "agent".into()),
            ("provenance.owner.id", "team:platform".into()),
            ("provenance.initiator.id", "alice@acme.example".into()),
            ("provenance.initiator.type", "human".into()),
            ("user.id", "alice@acme.example".into()),
            ("provenance.delegation.chain", texts(&["alice@acme.example", crate::fixture::ACTOR])),
            ("provenance.action.type", "secret.rotate".into()),
            ("provenance.action.target", "vault:prod/billing-db".into()),
            ("provenance.business.ticket", "CHG-1042".into()),
            ("provenance.policy.decision", "not_evaluated".into()),
            ("provenance.approval.id", "apr-7".into()),
            ("provenance.approval.approver", "bob@acme.example".into()),
            ("gen_ai.agent.name", "deployer".into()),
        ]);
    });
    assert_eq!(mirrored.judge(), plain);
}

#[test]
fn skew_is_granted_and_no_more() {
    let verdict = |change: fn(&mut Case)| Case::with(change).judge().verdict;
    assert_eq!(verdict(|case| case.approval().expires = START - 59), Verdict::Proven);
    assert_eq!(verdict(|case| case.approval().expires = START - 60), Verdict::Violated);
    assert_eq!(verdict(|case| case.approval().not_before = START + 60), Verdict::Proven);
    assert_eq!(verdict(|case| case.approval().not_before = START + 61), Verdict::Violated);
    assert_eq!(verdict(|case| case.claims.issued_at = START - 60), Verdict::Proven);
    assert_eq!(verdict(|case| case.claims.issued_at = START - 62), Verdict::Violated);
    assert_eq!(verdict(|case| case.claims.issued_at = START + 62), Verdict::Proven);
    assert_eq!(verdict(|case| case.claims.issued_at = START + 63), Verdict::Violated);
}

#[test]
fn a_root_is_a_root_whether_its_parent_is_left_out_or_zero() {
    for parent in [&[][..], &[0; 8]] {
        let root = Case::with(|case| (case.parent, case.claims.parent) = (parent, None));
        assert_eq!(root.judge().verdict, Verdict::Proven);
        assert_eq!(Case::with(|case| case.parent = parent).judge().reasons[0], Reason::ParentMismatch);
    }
}

/// A span without signed claims, with these attributes, of an ungoverned service.
fn plain(attributes: &[(&'static str, &str)]) -> Assessed {
    let attributes = attributes.iter().map(|(key, value)| (*key, (*value).into())).collect();
    Case { unsigned: true, service: "chat", attributes, ..Case::approved() }.judge()
}

#[test]
fn a_span_that_does_nothing_for_anybody_is_no_action() {
    assert_eq!(plain(&[]), Assessed::NOTHING);
    assert_eq!(plain(&[("gen_ai.operation.name", "chat"), ("gen_ai.tool.name", "search")]), Assessed::NOTHING);
    assert_eq!(plain(&[]).assessment(), None);
}

#[test]
fn what_others_say_is_asserted_whatever_the_span_is() {
    let found = plain(&[("gen_ai.operation.name", "chat"), ("user.id", "alice"), ("gen_ai.agent.name", "helper")]);
    assert_eq!(
        (found.verdict, found.grade(Claim::Initiator), found.grade(Claim::Actor)),
        (Verdict::NoAction, Grade::Asserted, Grade::Asserted)
    );
    let sealed = found.assessment().unwrap();
    assert_eq!((sealed.verdict, sealed.grades, sealed.reasons), (0, vec![1, 0, 1], vec![]));
}

#[test]
fn every_mark_of_an_action_counts() {
    for mark in [
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.operation.name", "invoke_agent"),
        ("mcp.method.name", "tools/call"),
        ("provenance.action.type", "anything"),
    ] {
        for marks in
            [vec![mark], vec![("gen_ai.operation.name", "chat"), mark], vec![mark, ("gen_ai.operation.name", "chat")]]
        {
            let found = plain(&marks);
            assert_eq!((found.verdict, found.reasons), (Verdict::Unproven, vec![Reason::ClaimsAbsent]), "{marks:?}");
        }
    }
}

#[test]
fn a_governed_action_that_nobody_decided_on_says_so() {
    let by_type = plain(&[("provenance.action.type", "secret.rotate")]);
    assert_eq!(by_type.reasons, [Reason::ClaimsAbsent, Reason::NotEvaluated]);
    let by_service = Case { service: "deploy-agent", unsigned: true, ..Case::approved() }.judge();
    assert_eq!(by_service.reasons, [Reason::ClaimsAbsent, Reason::NotEvaluated]);
    let by_claims = Case { service: "chat", approval: None, ..Case::approved() }.judge();
    assert_eq!(by_claims.reasons, [Reason::NotEvaluated, Reason::ApprovalAbsent]);
}

#[test]
fn words_that_claim_a_decision_prove_nothing() {
    let found = plain(&[
        ("provenance.action.type", "secret.rotate"),
        ("provenance.actor.id", crate::fixture::ACTOR),
        ("provenance.policy.decision", "allow"),
        ("provenance.approval.id", "apr-7"),
        ("provenance.approval.approver", "bob@acme.example"),
        ("spanseal.verdict", "proven"),
    ]);
    assert_eq!((found.verdict, found.grade(Claim::Approval)), (Verdict::Unproven, Grade::Asserted));
}

#[test]
fn an_approval_of_an_unknown_approver_stays_asserted() {
    let found = Case::with(|case| case.approver_seed = [0xff; 32]).judge();
    assert_eq!((found.grade(Claim::Approval), found.grade(Claim::Scope)), (Grade::Asserted, Grade::Asserted));
    assert_eq!(found.grade(Claim::Actor), Grade::Verified);
}
