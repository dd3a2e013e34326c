//! Judges how an authorised action ended.

use spanseal_schemas::event::Claim;

use super::{NANOS, Role, contradict_unless};
use crate::assessed::Judgement;
use crate::authority::{Actor, Authority};
use crate::claims::Claims;
use crate::classify::Signed;
use crate::closing::{self, Closing, Outcome};
use crate::jws::Jws;
use crate::observed::Observed;
use crate::reason::Reason;

impl Authority {
    /// Checks the closing statement: there is one on an authorised action and nowhere else, it is the actor's, about this
    /// action, and what was executed is what was decided on.
    pub(super) fn judge_closing(
        &self,
        closing: Signed<'_>,
        claims: &Claims,
        role: Role,
        actor: &Actor,
        observed: &Observed<'_>,
        judgement: &mut Judgement,
    ) {
        let outcome = match (closing, role) {
            (Signed::Absent, Role::Authorised) => {
                judgement.note(Reason::ClosingAbsent);
                None
            }
            (Signed::Absent, Role::Plain) => None,
            (Signed::Absent, Role::Decision) => return judgement.note(Reason::DecisionRecord),
            (_, Role::Decision) => return judgement.contradict(Claim::Lineage, Reason::ClosingMismatch),
            (Signed::Repeatedly, _) => return judgement.contradict(Claim::Scope, Reason::ClosingDuplicate),
            (Signed::NotText, _) => return judgement.contradict(Claim::Scope, Reason::ClosingMalformed),
            (Signed::Once(token), _) => match read(token, actor) {
                Ok(closing) => {
                    contradict_unless(&self.closing_checks(&closing, claims, observed), judgement);
                    Some(closing.outcome)
                }
                Err(reason) => return judgement.contradict(Claim::Scope, reason),
            },
        };
        if claims.refused.is_some() && outcome != Some(Outcome::Unused) {
            judgement.contradict(Claim::Policy, Reason::RefusedButRan);
        }
        match outcome {
            Some(Outcome::NotClosed) => judgement.note(Reason::NotClosed),
            Some(Outcome::Unused) => judgement.note(Reason::Unused),
            _ => {}
        }
    }

    fn closing_checks(
        &self,
        closing: &Closing,
        claims: &Claims,
        observed: &Observed<'_>,
    ) -> [(bool, Claim, Reason); 3] {
        let same = closing.audience == claims.audience
            && closing.producer == claims.producer
            && closing.clearance == claims.clearance
            && closing.trace == claims.trace
            && closing.span == claims.span;
        let latest = observed.end_unix_nano.min(observed.received_unix_nano).saturating_add(self.skew_nanos);
        let in_time = closing.issued_at >= claims.issued_at && closing.issued_at.saturating_mul(NANOS) <= latest;
        [
            (same, Claim::Lineage, Reason::ClosingMismatch),
            (in_time, Claim::Scope, Reason::ClosingTime),
            (closing.executed == claims.action_digest, Claim::Scope, Reason::ExecutedMismatch),
        ]
    }
}

fn read(token: &str, actor: &Actor) -> Result<Closing, Reason> {
    let jws = Jws::parse(token, closing::TYP, closing::BYTES_MAX).map_err(|_| Reason::ClosingMalformed)?;
    if jws.kid != actor.key.thumbprint() || !jws.is_signed_by(&actor.key) {
        return Err(Reason::ClosingSignature);
    }
    let payload = jws.payload().map_err(|_| Reason::ClosingMalformed)?;
    Closing::from_json(&payload).map_err(|_| Reason::ClosingMalformed)
}
