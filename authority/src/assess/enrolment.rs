//! Judges claims under a key that is known by an enrolment receipt.

use spanseal_schemas::event::{Claim, Grade};

use super::{assert_claims, contradict_unless, read, refuse};
use crate::assessed::Judgement;
use crate::authority::{Actor, Authority};
use crate::claims::Claims;
use crate::jws::Jws;
use crate::reason::Reason;
use crate::receipt::{self, Method, Receipt};

impl Authority {
    /// Returns the actor whose key signs, as the receipt in the claims says. That the receipt fits them is judged later,
    /// once they are known to be signed by it.
    pub(super) fn enrolled(&self, jws: &Jws<'_>, judgement: &mut Judgement) -> Option<(Actor, Receipt)> {
        let claims = read(jws).ok();
        claims.iter().for_each(|claims| assert_claims(claims, judgement));
        let refused = |reason, judgement: &mut Judgement| {
            refuse(judgement, reason);
            None
        };
        let Some(token) = claims.and_then(|claims| claims.enrolment) else {
            return refused(Reason::KeyUnknown, judgement);
        };
        let Ok(signed) = Jws::parse(&token, receipt::TYP, receipt::BYTES_MAX) else {
            return refused(Reason::ReceiptMalformed, judgement);
        };
        let Some(enroller) = self.enroller(signed.kid) else { return refused(Reason::EnrollerUnknown, judgement) };
        if !signed.is_signed_by(enroller) {
            return refused(Reason::ReceiptSignature, judgement);
        }
        match Receipt::read(&signed) {
            Err(_) => refused(Reason::ReceiptMalformed, judgement),
            Ok(receipt) if receipt.thumbprint() != jws.kid => refused(Reason::ReceiptKey, judgement),
            Ok(receipt) => {
                let (id, owner, key) = (receipt.actor.id.clone(), receipt.owner.clone(), receipt.key.clone());
                Some((Actor { id, owner, key }, receipt))
            }
        }
    }

    /// Checks that the receipt held for this deployment when the claims were signed.
    pub(super) fn judge_receipt(&self, receipt: &Receipt, claims: &Claims, judgement: &mut Judgement) {
        let skew = self.skew_nanos / super::NANOS;
        let holds = claims.issued_at.saturating_add(skew) >= receipt.not_before
            && claims.issued_at < receipt.expires.saturating_add(skew);
        let claimed = claims.credential.as_ref().and_then(|credential| credential.digest);
        let same = claims.credential.is_none() || claimed == receipt.credential_digest();
        contradict_unless(
            &[
                (receipt.audience == self.audience, Claim::Actor, Reason::ReceiptAudience),
                (holds, Claim::Actor, Reason::ReceiptExpired),
                (same, Claim::Credential, Reason::CredentialMismatch),
            ],
            judgement,
        );
        if claimed.is_some() && same && !judgement.is_contradicted() {
            judgement.raise(Claim::Credential, Grade::Verified);
        }
        if receipt.method == Method::Dev {
            judgement.note(Reason::DevRoot);
        }
    }
}
