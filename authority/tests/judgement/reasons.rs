//! Every reason has a case that produces it, and does to the verdict what the table says.

use spanseal_authority::Reason;
use spanseal_authority::action::Digest;
use spanseal_authority::claims::{Claims, Decision, Party, Policy, Refusal};
use spanseal_authority::closing::Outcome;
use spanseal_authority::key::SigningKey;
use spanseal_authority::reason::Effect;
use spanseal_authority::receipt::Method;
use spanseal_schemas::event::Verdict;

use crate::fixture::{Case, SECOND, START, Value, forge, same, texts};

type Change = fn(&mut Case);

/// Each case differs from an approved action in one thing.
pub(crate) const CASES: &[(Reason, &str, Change)] = &[
    (Reason::ClaimsAbsent, "nothing signed", |case| case.unsigned = true),
    (Reason::NotEvaluated, "nothing signed and governed", |case| case.unsigned = true),
    (Reason::NotEvaluated, "signed, but nobody decided", |case| case.approval = None),
    (Reason::ClaimsDuplicate, "a second statement", |case| case.attributes.push(("provenance.claims", "x".into()))),
    (Reason::ClaimsDuplicate, "the same statement twice", |case| {
        let token = case.claims_token();
        case.attributes.push(("provenance.claims", Value::Text(token)));
    }),
    (Reason::ClaimsMalformed, "bytes instead of text", |case| {
        case.unsigned = true;
        case.attributes.push(("provenance.claims", Value::Bytes(vec![1])));
    }),
    (Reason::ClaimsMalformed, "no JWS", |case| case.alter_claims = |_| "yes".into()),
    (Reason::ClaimsMalformed, "padded base64", |case| case.alter_claims = |token| token + "="),
    (Reason::ClaimsMalformed, "a member missing", |case| {
        case.alter_claims =
            |token| forge(&token, 0xa1, same, |payload| payload.replace("\"clearance\"", "\"cleared\""));
    }),
    (Reason::ClaimsMalformed, "a member twice", |case| {
        case.alter_claims =
            |token| forge(&token, 0xa1, same, |payload| payload.replace("{\"action\"", "{\"seq\":8,\"action\""));
    }),
    (Reason::ClaimsMalformed, "an integer beyond 2^53", |case| {
        case.alter_claims =
            |token| forge(&token, 0xa1, same, |payload| payload.replace("\"seq\":7", "\"seq\":9007199254740993"));
    }),
    (Reason::ClaimsAlgorithm, "alg none", |case| {
        case.alter_claims = |token| forge(&token, 0xa1, |header| header.replace("EdDSA", "none"), same);
    }),
    (Reason::ClaimsAlgorithm, "HS256", |case| {
        case.alter_claims = |token| forge(&token, 0xa1, |header| header.replace("EdDSA", "HS256"), same);
    }),
    (Reason::ClaimsType, "an approval in their place", |case| {
        case.alter_claims =
            |token| forge(&token, 0xa1, |header| header.replace("provenance-claims", "agent-approval"), same);
    }),
    (Reason::ClaimsTooLong, "17 KiB", |case| case.claims.business.task = Some("x".repeat(17 << 10))),
    (Reason::KeyUnknown, "a key of the sender's own", |case| case.actor_seed = [0xff; 32]),
    (Reason::KeyUnknown, "an approver's key", |case| case.actor_seed = [0xb0; 32]),
    (Reason::ClaimsSignature, "signed without the key", |case| {
        case.alter_claims = |token| forge(&token, 0xff, same, same)
    }),
    (Reason::AudienceMismatch, "made for staging", |case| case.claims.audience = "acme.example/staging".into()),
    (Reason::ClaimsTime, "signed an hour before", |case| case.claims.issued_at = START - 3600),
    (Reason::ClaimsTime, "signed an hour after", |case| case.claims.issued_at = START + 3600),
    (Reason::ClaimsTime, "signed after they came", |case| {
        case.end += 7200 * SECOND;
        case.claims.issued_at = START + 3600;
    }),
    (Reason::TraceMismatch, "copied from another trace", |case| case.claims.trace = [0xff; 16]),
    (Reason::SpanMismatch, "copied from another span", |case| case.claims.span = [0xff; 8]),
    (Reason::SpanMismatch, "on a span without a valid id", |case| case.span = [0; 8]),
    (Reason::ParentMismatch, "moved under another parent", |case| case.claims.parent = Some([0xff; 8])),
    (Reason::ParentMismatch, "moved away from the root", |case| case.claims.parent = None),
    (Reason::ActionDigestMismatch, "another target under the old digest", |case| {
        case.claims.action.target = Some("vault:prod/root".into())
    }),
    (Reason::MirrorMismatch, "another actor to read", |case| {
        case.attributes.push(("provenance.actor.id", "spiffe://acme.example/agent/other".into()))
    }),
    (Reason::MirrorMismatch, "another user to read", |case| {
        case.attributes.push(("user.id", "mallory@acme.example".into()))
    }),
    (Reason::MirrorMismatch, "another tool to read", |case| {
        case.attributes.push(("gen_ai.tool.name", "read_ticket".into()))
    }),
    (Reason::MirrorMismatch, "another chain to read", |case| {
        case.attributes.push(("provenance.delegation.chain", texts(&["mallory"])))
    }),
    (Reason::MirrorMismatch, "a policy that nothing signed", |case| {
        case.attributes.push(("provenance.policy.decision", "allow".into()))
    }),
    (Reason::MirrorMismatch, "another expiry to read", |case| {
        case.attributes.push(("provenance.approval.expires_at", Value::Integer(1)))
    }),
    (Reason::MirrorMismatch, "a number as text", |case| case.attributes.push(("provenance.producer.seq", "7".into()))),
    (Reason::MirrorMismatch, "another executable to read", |case| {
        case.attributes.push(("provenance.runtime.executable_digest", "00".into()))
    }),
    (Reason::MirrorMismatch, "another credential to read", |case| {
        case.attributes.push(("provenance.credential.id", "t-2".into()))
    }),
    (Reason::MirrorMismatch, "a refusal that nothing signed", |case| {
        case.attributes.push(("provenance.refusal.code", "policy_denied".into()))
    }),
    (Reason::ClaimsTime, "started before it was decided on", |case| {
        case.authorise();
        case.claims.issued_at = START + 61;
        case.end += 100 * SECOND;
        case.received += 100 * SECOND;
        case.closing().issued_at = START + 70;
    }),
    (Reason::ParentMismatch, "a decision recorded elsewhere in the trace", |case| {
        case.decide();
        case.parent = &[0xff; 8];
    }),
    (Reason::SpanMismatch, "authorised for another span", |case| {
        case.authorise();
        case.span = [0xff; 8];
    }),
    (Reason::DecisionRecord, "beside the action", Case::decide),
    (Reason::DecisionRecord, "below the action", |case| {
        case.decide();
        case.parent = &[6; 8];
    }),
    (Reason::DecisionRecord, "above the action, at the root", |case| {
        case.decide();
        case.claims.parent = case.claims.authorize;
        case.parent = &[];
    }),
    (Reason::DecisionRecord, "somebody was asked for an hour", |case| {
        case.decide();
        case.start -= 3600 * SECOND;
    }),
    (Reason::ClosingAbsent, "taken away", |case| {
        case.authorise();
        case.closing = None;
    }),
    (Reason::ClosingMalformed, "no JWS", |case| {
        case.authorise();
        case.alter_closing = |_| "done".into();
    }),
    (Reason::ClosingMalformed, "claims in its place", |case| {
        case.authorise();
        case.alter_closing =
            |token| forge(&token, 0xa1, |header| header.replace("provenance-closing", "provenance-claims"), same);
    }),
    (Reason::ClosingMalformed, "an outcome that nobody knows", |case| {
        case.authorise();
        case.alter_closing = |token| forge(&token, 0xa1, same, |payload| payload.replace("success", "fine"));
    }),
    (Reason::ClosingMalformed, "bytes instead of text", |case| {
        case.authorise();
        case.closing = None;
        case.attributes.push(("provenance.closing", Value::Bytes(vec![1])));
    }),
    (Reason::ClosingDuplicate, "a second statement", |case| {
        case.authorise();
        case.attributes.push(("provenance.closing", "x".into()));
    }),
    (Reason::ClosingSignature, "by an approver's key", |case| {
        case.authorise();
        case.closing.as_mut().unwrap().1 = [0xb0; 32];
    }),
    (Reason::ClosingSignature, "signed without the key", |case| {
        case.authorise();
        case.alter_closing = |token| forge(&token, 0xff, same, same);
    }),
    (Reason::ClosingMismatch, "of another clearance", |case| case.closing().clearance = [0xff; 16]),
    (Reason::ClosingMismatch, "of another producer", |case| case.closing().producer = [0xff; 16]),
    (Reason::ClosingMismatch, "of another trace", |case| case.closing().trace = [0xff; 16]),
    (Reason::ClosingMismatch, "of another span", |case| case.closing().span = [0xff; 8]),
    (Reason::ClosingMismatch, "for another audience", |case| case.closing().audience = "staging".into()),
    (Reason::ClosingMismatch, "on the record of the decision", |case| {
        case.authorise();
        case.span = [8; 8];
    }),
    (Reason::ClosingTime, "before the decision", |case| case.closing().issued_at = START - 1),
    (Reason::ClosingTime, "an hour after the end", |case| case.closing().issued_at = START + 3600),
    (Reason::ExecutedMismatch, "other arguments were used", |case| case.closing().executed = Digest([0xff; 32])),
    (Reason::NotClosed, "the program ended first", |case| case.closing().outcome = Outcome::NotClosed),
    (Reason::Unused, "never run", |case| case.closing().outcome = Outcome::Unused),
    (Reason::Refused, "refused, and nothing ran", |case| {
        case.closing().outcome = Outcome::Unused;
        case.claims.refused = Some(refusal());
    }),
    (Reason::Refused, "the record of a refusal", |case| {
        case.decide();
        case.claims.refused = Some(refusal());
    }),
    (Reason::RefusedButRan, "refused, and it ran", |case| {
        case.authorise();
        case.claims.refused = Some(refusal());
    }),
    (Reason::RefusedButRan, "refused, and nobody says how it ended", |case| {
        case.claims.refused = Some(refusal());
    }),
    (Reason::KeyUnknown, "enrolled by nobody", |case| {
        case.enrol(0xe0, |_| {});
        case.claims.enrolment = None;
    }),
    (Reason::ReceiptMalformed, "claims in its place", |case| {
        case.enrol(0xe0, |_| {});
        case.claims.enrolment = Some(Case::approved().claims_token());
    }),
    (Reason::ReceiptMalformed, "a member is missing", |case| {
        case.enrol(0xe0, |_| {});
        let token = case.claims.enrolment.take().unwrap();
        case.claims.enrolment = Some(forge(&token, 0xe0, same, |payload| payload.replace("\"jti\"", "\"jit\"")));
    }),
    (Reason::EnrollerUnknown, "by a collector that nobody named", |case| case.enrol(0xff, |_| {})),
    (Reason::EnrollerUnknown, "by an approver", |case| case.enrol(0xb0, |_| {})),
    (Reason::ReceiptSignature, "signed without the key", |case| {
        case.enrol(0xe0, |_| {});
        let token = case.claims.enrolment.take().unwrap();
        case.claims.enrolment = Some(forge(&token, 0xff, same, same));
    }),
    (Reason::ReceiptKey, "somebody else's receipt", |case| {
        case.enrol(0xe0, |receipt| receipt.key = SigningKey::from_seed(&[9; 32]).public().clone())
    }),
    (Reason::ReceiptAudience, "from staging", |case| {
        case.enrol(0xe0, |receipt| receipt.audience = "acme.example/staging".into())
    }),
    (Reason::ReceiptExpired, "an hour after", |case| case.enrol(0xe0, |receipt| receipt.expires = START - 60)),
    (Reason::ReceiptExpired, "before it held", |case| case.enrol(0xe0, |receipt| receipt.not_before = START + 61)),
    (Reason::CredentialMismatch, "another token than the enrolled", |case| {
        case.enrol(0xe0, |receipt| receipt.credential.as_mut().unwrap().digest = Some(Digest([0xff; 32])))
    }),
    (Reason::CredentialMismatch, "a credential that was not enrolled", |case| {
        case.enrol(0xe0, |receipt| receipt.credential = None)
    }),
    (Reason::ActorMismatch, "enrolled as somebody else", |case| {
        case.enrol(0xe0, |receipt| receipt.actor.id = "spiffe://acme.example/agent/other".into())
    }),
    (Reason::DevRoot, "enrolled for trying out", |case| case.enrol(0xe0, |receipt| receipt.method = Method::Dev)),
    (Reason::ActorMismatch, "another actor under this key", |case| {
        case.claims.actor.id = "spiffe://acme.example/agent/other".into();
        case.approval().actor = case.claims.actor.id.clone();
        case.claims.delegation.clear();
    }),
    (Reason::OwnerMismatch, "another owner", |case| case.claims.owner = Some("team:shadow".into())),
    (Reason::InitiatorAbsent, "on nobody's behalf", |case| {
        case.claims.initiator = None;
        case.claims.delegation.clear();
    }),
    (Reason::DelegationBroken, "a chain from somebody else", |case| {
        case.claims.delegation[0] = "mallory@acme.example".into()
    }),
    (Reason::DelegationBroken, "a chain to somebody else", |case| {
        case.claims.delegation.push("spiffe://acme.example/agent/other".into());
    }),
    (Reason::DelegationBroken, "a chain without an initiator", |case| case.claims.initiator = None),
    (Reason::ApprovalAbsent, "not approved", |case| case.approval = None),
    (Reason::ApprovalAbsent, "allowed by policy alone", |case| {
        case.approval = None;
        case.claims.policy = Some(Policy::of(Decision::Allow));
    }),
    (Reason::ApprovalMalformed, "no JWS", |case| case.alter_approval = |_| "approved".into()),
    (Reason::ApprovalMalformed, "without an expiry", |case| {
        case.alter_approval = |token| forge(&token, 0xb0, same, |payload| payload.replace("\"exp\"", "\"expires\""));
    }),
    (Reason::ApprovalAlgorithm, "alg none", |case| {
        case.alter_approval = |token| forge(&token, 0xb0, |header| header.replace("EdDSA", "none"), same);
    }),
    (Reason::ApprovalType, "claims in its place", |case| {
        case.alter_approval =
            |token| forge(&token, 0xb0, |header| header.replace("agent-approval", "provenance-claims"), same);
    }),
    (Reason::ApprovalTooLong, "9 KiB", |case| case.alter_approval = |token| token + &"A".repeat(9 << 10)),
    (Reason::ApprovalUnsupported, "limited in a way that is not known", |case| {
        case.alter_approval = |token| {
            forge(&token, 0xb0, same, |payload| payload.replace("{\"act\"", "{\"maintenance_window\":\"MW-7\",\"act\""))
        };
    }),
    (Reason::ApproverUnknown, "approved by the actor's own second key", |case| case.approver_seed = [0xff; 32]),
    (Reason::ApproverUnknown, "approved with the actor's key", |case| case.approver_seed = [0xa1; 32]),
    (Reason::ApprovalSignature, "signed without the key", |case| {
        case.alter_approval = |token| forge(&token, 0xff, same, same)
    }),
    (Reason::ApprovalSignature, "extended after signing", |case| {
        case.alter_approval = |token| {
            let signature = token.rsplit('.').next().unwrap().to_owned();
            let longer = forge(&token, 0xff, same, |payload| payload.replace("\"max_uses\":1", "\"max_uses\":100"));
            format!("{}.{signature}", longer.rsplit_once('.').unwrap().0)
        };
    }),
    (Reason::ApproverMismatch, "in carol's name by bob's key", |case| {
        case.approval().approver = "carol@acme.example".into()
    }),
    (Reason::ApprovalAudience, "given for staging", |case| case.approval().audience = "acme.example/staging".into()),
    (Reason::ApprovalActor, "given to another agent", |case| {
        case.approval().actor = "spiffe://acme.example/agent/other".into()
    }),
    (Reason::ApprovalKey, "given to an earlier key", |case| case.approval().key.0[0] ^= 1),
    (Reason::ApprovalDigest, "given for another target", |case| {
        case.claims.action.target = Some("vault:prod/root".into());
        case.claims.action_digest = case.claims.action.digest();
    }),
    (Reason::ApprovalDigest, "given for other arguments", |case| {
        case.claims.action.arguments = None;
        case.claims.action_digest = case.claims.action.digest();
    }),
    (Reason::ApprovalEarly, "an hour before the window", |case| case.approval().not_before = START + 3600),
    (Reason::ApprovalExpired, "an hour after the window", |case| case.approval().expires = START - 3600),
    (Reason::ApprovalExpired, "an instant after the window and the skew", |case| case.approval().expires = START - 60),
    (Reason::SelfApproval, "bob approves what bob asked for", |case| {
        case.claims.initiator = Some(Party { id: "bob@acme.example".into(), kind: "human".into() });
        case.claims.delegation.clear();
    }),
    (Reason::TicketMismatch, "another ticket than the approved", |case| {
        case.claims.business.ticket = Some("CHG-1".into())
    }),
    (Reason::UsesNotCounted, "approved once", |_| {}),
    (Reason::PolicyDenied, "policy said no", |case| {
        case.claims.policy = Some(Policy::of(Decision::Deny));
    }),
    (Reason::PolicyNotReexecuted, "policy said yes", |case| {
        case.claims.policy =
            Some(Policy { id: Some("d-1".into()), version: Some("v7".into()), ..Policy::of(Decision::Allow) });
    }),
];

fn refusal() -> Refusal {
    Refusal { code: "policy_denied".into(), reason: "no policy permits it".into() }
}

#[test]
fn every_reason_has_a_case_that_produces_it() {
    for (reason, what, change) in CASES {
        let found = Case::with(change).judge();
        assert!(found.reasons.contains(reason), "{what}: {:?} instead of {reason:?}", found.reasons);
        match reason.effect() {
            _ if Case::with(change).is_decision() && found.claims.is_some() => {
                assert_eq!(found.verdict, Verdict::NoAction, "{what}");
            }
            Effect::Contradicts => assert_eq!(found.verdict, Verdict::Violated, "{what}"),
            Effect::Withholds => assert_eq!(found.verdict, Verdict::Unproven, "{what}"),
            Effect::Notes => assert_eq!(found.verdict, Verdict::Proven, "{what}"),
        }
    }
    for reason in Reason::ALL {
        assert!(CASES.iter().any(|(covered, ..)| covered == reason), "{reason:?} has no case");
    }
}

#[test]
fn a_case_names_its_cause_and_at_most_what_follows_from_it() {
    for (reason, what, change) in CASES {
        let found = Case::with(change).judge().reasons;
        let causes: Vec<_> =
            found.iter().filter(|found| found.effect() == Effect::Contradicts && *found != reason).collect();
        assert!(causes.is_empty(), "{what}: also {causes:?}");
    }
}

#[test]
fn claims_of_an_unbound_statement_back_nothing() {
    for (reason, what, change) in
        CASES.iter().filter(|(reason, ..)| reason.code() < 116 && reason.effect() == Effect::Contradicts)
    {
        let found = Case::with(change).judge();
        assert_eq!((found.claims, found.producer), (None, None), "{what}: {reason:?}");
    }
}

#[test]
fn claims_that_hold_are_handed_on() {
    let case = Case::approved();
    let found = case.judge();
    assert_eq!(found.producer, Some(([1; 16], 7)));
    assert_eq!(*found.claims.unwrap(), Claims { approval: case.approval_token(), ..case.claims });
}
