//! From a span to grades, reasons and a verdict.

mod approval;
mod closing;
mod enrolment;
mod mirror;

use spanseal_schemas::event::{Claim, Grade, Verdict};

use crate::assessed::{Assessed, CLAIMS, Judgement};
use crate::authority::{Actor, Authority};
use crate::claims::{self, Claims, Decision};
use crate::classify::Signed;
use crate::jws::{Jws, JwsError};
use crate::observed::Observed;
use crate::reason::Reason;

impl Authority {
    /// Judges one span by what it carries and by this configuration, as of its arrival.
    #[must_use]
    pub fn assess(&self, observed: &Observed<'_>) -> Assessed {
        if observed.attributes.is_empty() {
            return Assessed::NOTHING;
        }
        let marks = self.marks(observed.service, observed.attributes);
        let Some(action) = marks.action else {
            return not_an_action(marks.asserted);
        };
        let mut judgement = Judgement::from_asserted(marks.asserted);
        let claims = match marks.claims {
            Signed::Once(token) => self.judge_claims(token, marks.closing, observed, &mut judgement),
            Signed::Absent => refuse(&mut judgement, Reason::ClaimsAbsent),
            Signed::NotText => refuse(&mut judgement, Reason::ClaimsMalformed),
            Signed::Repeatedly => refuse(&mut judgement, Reason::ClaimsDuplicate),
        };
        let undecided = [Claim::Approval, Claim::Policy].iter().all(|claim| judgement.grade(*claim) == Grade::Absent);
        let refused = claims.as_ref().is_some_and(|claims| claims.refused.is_some());
        if undecided && !refused && self.governs(action.governed, claims.as_ref()) {
            judgement.note(Reason::NotEvaluated);
        }
        let producer = claims.as_ref().map(|claims| (claims.producer, claims.sequence));
        let is_decision = claims.as_ref().is_some_and(|claims| Role::of(claims, observed) == Role::Decision);
        let judged = judgement.verdict();
        // A decision is no action, whatever it is based on: what may be violated is the action, if it runs all the same.
        let verdict = if is_decision { Verdict::NoAction } else { judged.verdict };
        Assessed { verdict, producer, claims: claims.map(Box::new), ..judged }
    }

    fn governs(&self, marked: bool, claims: Option<&Claims>) -> bool {
        marked || claims.is_some_and(|claims| self.governs_kind(&claims.action.kind))
    }

    /// Returns the claims when they are signed by a known key and bound to this span, with everything in them judged.
    fn judge_claims(
        &self,
        token: &str,
        closing: Signed<'_>,
        observed: &Observed<'_>,
        judgement: &mut Judgement,
    ) -> Option<Claims> {
        let jws = match Jws::parse(token, claims::TYP, claims::BYTES_MAX) {
            Ok(jws) => jws,
            Err(error) => return refuse(judgement, unreadable(&error)),
        };
        let enrolled;
        let (actor, receipt) = match self.actor(jws.kid) {
            Some(actor) => (actor, None),
            None => match self.enrolled(&jws, judgement) {
                Some((actor, receipt)) => {
                    enrolled = actor;
                    (&enrolled, Some(receipt))
                }
                None => return None,
            },
        };
        if !jws.is_signed_by(&actor.key) {
            return refuse(judgement, Reason::ClaimsSignature);
        }
        let claims = match read(&jws) {
            Ok(claims) => claims,
            Err(reason) => return refuse(judgement, reason),
        };
        assert_claims(&claims, judgement);
        let role = Role::of(&claims, observed);
        self.judge_binding(&claims, role, observed, judgement);
        if judgement.is_contradicted() {
            return None; // they are about something else: nothing in them can back this span
        }
        judge_parties(&claims, actor, judgement);
        if let Some(receipt) = &receipt {
            self.judge_receipt(receipt, &claims, judgement);
        }
        judge_policy(&claims, judgement);
        self.judge_closing(closing, &claims, role, actor, observed, judgement);
        let approval = self.judge_approval(&claims, role, actor, observed, judgement);
        mirror::judge(&claims, &approval, observed.attributes, judgement);
        Some(claims)
    }

    /// Checks that the claims were made for this deployment, span and time, and that they agree with themselves.
    fn judge_binding(&self, claims: &Claims, role: Role, observed: &Observed<'_>, judgement: &mut Judgement) {
        let parent = claims.parent.as_ref().map_or(&[][..], |parent| parent);
        let is_root = observed.parent_span_id.iter().all(|byte| *byte == 0); // some senders write zeros for "none"
        let seen_parent = if is_root { &[] } else { observed.parent_span_id };
        let checks = [
            (claims.audience == self.audience, Claim::Actor, Reason::AudienceMismatch),
            (self.signed_in_time(claims, role, observed), Claim::Actor, Reason::ClaimsTime),
            (claims.trace == observed.trace_id, Claim::Lineage, Reason::TraceMismatch),
            (role == Role::Decision || claims.span == observed.span_id, Claim::Lineage, Reason::SpanMismatch),
            (parent == seen_parent || role.may_be_below(claims, seen_parent), Claim::Lineage, Reason::ParentMismatch),
            (claims.action_digest == claims.action.digest(), Claim::Scope, Reason::ActionDigestMismatch),
        ];
        contradict_unless(&checks, judgement);
    }

    /// Returns whether the claims were signed while their span ran, and no later than they came. An authorised action may
    /// start long after it was decided on, but not before.
    fn signed_in_time(&self, claims: &Claims, role: Role, observed: &Observed<'_>) -> bool {
        let signed = claims.issued_at.saturating_mul(NANOS);
        let end = if role == Role::Authorised { observed.start_unix_nano } else { observed.end_unix_nano };
        let latest = end.min(observed.received_unix_nano).saturating_add(self.skew_nanos);
        let begun = signed.saturating_add(NANOS).saturating_add(self.skew_nanos) > observed.start_unix_nano;
        (begun || role == Role::Authorised) && signed <= latest
    }
}

/// What a span is to the claims that it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The action, which nobody decided on before.
    Plain,
    /// The action, decided on before it started.
    Authorised,
    /// The record of that decision.
    Decision,
}

impl Role {
    fn of(claims: &Claims, observed: &Observed<'_>) -> Self {
        match claims.authorize {
            None => Role::Plain,
            Some(authorize) if authorize == observed.span_id => Role::Decision,
            Some(_) => Role::Authorised,
        }
    }

    /// Returns whether the span may have this parent, where it is not that of the action: a decision can be recorded below
    /// the action's own span, or above it, at a trace's root.
    fn may_be_below(self, claims: &Claims, parent: &[u8]) -> bool {
        let is_above = parent.is_empty() && claims.parent == claims.authorize;
        self == Role::Decision && (claims.span == parent || is_above)
    }
}

/// Contradicts the claim of each check that does not hold.
fn contradict_unless(checks: &[(bool, Claim, Reason)], judgement: &mut Judgement) {
    for (holds, claim, reason) in checks {
        if !holds {
            judgement.contradict(*claim, *reason);
        }
    }
}

fn not_an_action(asserted: [Grade; CLAIMS]) -> Assessed {
    Assessed { verdict: Verdict::NoAction, grades: asserted, ..Assessed::NOTHING }
}

fn refuse(judgement: &mut Judgement, reason: Reason) -> Option<Claims> {
    judgement.fault(Claim::Actor, reason);
    None
}

fn read(jws: &Jws<'_>) -> Result<Claims, Reason> {
    let payload = jws.payload().map_err(|_| Reason::ClaimsMalformed)?;
    Claims::from_json(&payload).map_err(|_| Reason::ClaimsMalformed)
}

fn unreadable(error: &JwsError) -> Reason {
    match error {
        JwsError::TooLong { .. } => Reason::ClaimsTooLong,
        JwsError::Algorithm(_) => Reason::ClaimsAlgorithm,
        JwsError::Type(_) => Reason::ClaimsType,
        _ => Reason::ClaimsMalformed,
    }
}

/// Raises what the claims say to `asserted`.
fn assert_claims(claims: &Claims, judgement: &mut Judgement) {
    judgement.assert(Claim::Actor, true);
    judgement.assert(Claim::Owner, claims.owner.is_some());
    judgement.assert(Claim::Initiator, claims.initiator.is_some());
    judgement.assert(Claim::Delegation, !claims.delegation.is_empty());
    judgement.assert(Claim::Business, !claims.business.is_empty());
    judgement.assert(Claim::Approval, claims.approval.is_some());
    judgement.assert(Claim::Policy, claims.policy.is_some());
    judgement.assert(Claim::Credential, claims.credential.is_some());
    judgement.assert(Claim::Runtime, claims.runtime.is_some());
    judgement.assert(Claim::Scope, true);
    judgement.assert(Claim::Lineage, claims.parent.is_some());
}

/// Compares who acts, for whom and under whom with whose key signed.
fn judge_parties(claims: &Claims, actor: &Actor, judgement: &mut Judgement) {
    if claims.actor.id == actor.id {
        judgement.raise(Claim::Actor, Grade::Verified);
    } else {
        judgement.contradict(Claim::Actor, Reason::ActorMismatch);
    }
    match (&claims.owner, &actor.owner) {
        (Some(claimed), Some(known)) if claimed == known => judgement.raise(Claim::Owner, Grade::Verified),
        (Some(_), Some(_)) => judgement.contradict(Claim::Owner, Reason::OwnerMismatch),
        _ => {}
    }
    let Some(initiator) = &claims.initiator else {
        judgement.note(Reason::InitiatorAbsent);
        return judge_delegation(claims, None, judgement);
    };
    judge_delegation(claims, Some(&initiator.id), judgement);
}

fn judge_delegation(claims: &Claims, initiator: Option<&str>, judgement: &mut Judgement) {
    let chain = &claims.delegation;
    let (first, last) = (chain.first().map(String::as_str), chain.last());
    if !chain.is_empty() && (first != initiator || last != Some(&claims.actor.id)) {
        judgement.contradict(Claim::Delegation, Reason::DelegationBroken);
    }
}

fn judge_policy(claims: &Claims, judgement: &mut Judgement) {
    match claims.policy.as_ref().map(|policy| policy.decision) {
        Some(Decision::Allow) => judgement.note(Reason::PolicyNotReexecuted),
        Some(Decision::Deny) => judgement.note(Reason::PolicyDenied),
        None => {}
    }
    if claims.refused.is_some() {
        judgement.note(Reason::Refused);
    }
}

pub(super) const NANOS: u64 = 1_000_000_000;
