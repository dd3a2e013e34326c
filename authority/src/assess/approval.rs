//! Judges the approval that claims carry.

use spanseal_schemas::event::{Claim, Grade};

use super::{NANOS, Role, contradict_unless};
use crate::approval::{self, Approval, ApprovalError};
use crate::assessed::Judgement;
use crate::authority::{Actor, Approver, Authority};
use crate::claims::Claims;
use crate::jws::{Jws, JwsError};
use crate::observed::Observed;
use crate::reason::Reason;

/// What became of the approval, for the readable attributes that mirror it.
pub(super) enum Found {
    Absent,
    Unreadable,
    Read(Box<Approval>),
}

impl Authority {
    /// Grades approval, scope and ticket. Approval and scope are `verified` only when every check holds.
    pub(super) fn judge_approval(
        &self,
        claims: &Claims,
        role: Role,
        actor: &Actor,
        observed: &Observed<'_>,
        judgement: &mut Judgement,
    ) -> Found {
        let Some(token) = &claims.approval else {
            judgement.note(Reason::ApprovalAbsent);
            return Found::Absent;
        };
        let (approval, approver) = match self.signed_approval(token) {
            Ok(signed) => signed,
            Err(reason) => {
                judgement.fault(Claim::Approval, reason);
                return Found::Unreadable;
            }
        };
        let Some(approver) = approver else {
            judgement.note(Reason::ApproverUnknown);
            return Found::Read(Box::new(approval));
        };
        contradict_unless(&self.checks(&approval, approver, claims, role, actor, observed), judgement);
        let ticket_matches = match (&approval.ticket, &claims.business.ticket) {
            (Some(approved), Some(claimed)) => approved == claimed,
            _ => true,
        };
        contradict_unless(&[(ticket_matches, Claim::Business, Reason::TicketMismatch)], judgement);
        if claims.initiator.is_some() && !judgement.is_contradicted() {
            judgement.raise(Claim::Approval, Grade::Verified);
            judgement.raise(Claim::Scope, Grade::Verified);
            if approval.ticket.is_some() && approval.ticket == claims.business.ticket {
                judgement.raise(Claim::Business, Grade::Verified);
            }
        }
        judgement.note(Reason::UsesNotCounted);
        Found::Read(Box::new(approval))
    }

    /// Returns the approval and whose key signed it, `None` for an unknown key.
    fn signed_approval(&self, token: &str) -> Result<(Approval, Option<&Approver>), Reason> {
        let jws = Jws::parse(token, approval::TYP, approval::BYTES_MAX).map_err(|error| unreadable(&error))?;
        let approver = self.approver(jws.kid);
        if approver.is_some_and(|approver| !jws.is_signed_by(&approver.key)) {
            return Err(Reason::ApprovalSignature);
        }
        let payload = jws.payload().map_err(|_| Reason::ApprovalMalformed)?;
        match Approval::from_json(&payload) {
            Ok(approval) => Ok((approval, approver)),
            Err(ApprovalError::Unsupported(_)) => Err(Reason::ApprovalUnsupported),
            Err(ApprovalError::Member(_)) => Err(Reason::ApprovalMalformed),
        }
    }

    fn checks(
        &self,
        approval: &Approval,
        approver: &Approver,
        claims: &Claims,
        role: Role,
        actor: &Actor,
        observed: &Observed<'_>,
    ) -> [(bool, Claim, Reason); 8] {
        let is_initiator = claims.initiator.as_ref().is_some_and(|initiator| initiator.id == approval.approver);
        // The action begins inside the approved time by its own clock, and its claims are signed inside it. The record of
        // the decision may begin before, when somebody had to be asked.
        let signed = claims.issued_at.saturating_mul(NANOS);
        let begun = if role == Role::Decision { signed } else { observed.start_unix_nano };
        let times = [begun, signed];
        let opens = approval.not_before.saturating_mul(NANOS).saturating_sub(self.skew_nanos);
        let closes = approval.expires.saturating_mul(NANOS).saturating_add(self.skew_nanos);
        [
            (approval.approver == approver.name, Claim::Approval, Reason::ApproverMismatch),
            (approval.audience == self.audience, Claim::Approval, Reason::ApprovalAudience),
            (approval.actor == claims.actor.id, Claim::Approval, Reason::ApprovalActor),
            (approval.key == actor.key.thumbprint(), Claim::Approval, Reason::ApprovalKey),
            (approval.action_digest == claims.action_digest, Claim::Scope, Reason::ApprovalDigest),
            (times.iter().all(|time| *time >= opens), Claim::Approval, Reason::ApprovalEarly),
            (times.iter().all(|time| *time < closes), Claim::Approval, Reason::ApprovalExpired),
            (!is_initiator && approval.approver != claims.actor.id, Claim::Approval, Reason::SelfApproval),
        ]
    }
}

fn unreadable(error: &JwsError) -> Reason {
    match error {
        JwsError::TooLong { .. } => Reason::ApprovalTooLong,
        JwsError::Algorithm(_) => Reason::ApprovalAlgorithm,
        JwsError::Type(_) => Reason::ApprovalType,
        _ => Reason::ApprovalMalformed,
    }
}
