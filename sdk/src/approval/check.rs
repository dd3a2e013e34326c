//! Whether an approval fits, as the collector will judge it.

use spanseal_authority::action::Digest;
use spanseal_authority::approval::{self, Approval as Statement};
use spanseal_authority::jws::Jws;
use spanseal_authority::key::Thumbprint;

use super::{Approval, Approvers};
use crate::actor::Actor;

/// Against what an approval is checked.
pub(crate) struct Checked<'a> {
    pub(crate) approvers: &'a Approvers,
    pub(crate) audience: &'a str,
    pub(crate) actor: &'a Actor,
    pub(crate) key: Thumbprint,
    pub(crate) digest: Digest,
    pub(crate) ticket: Option<&'a str>,
    /// Seconds since the Unix epoch.
    pub(crate) now: u64,
}

/// Why an approval does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// It cannot be read.
    #[error("it is not in the form of docs/claims.md section 4: {0}")]
    Unreadable(String),
    /// Nobody known signed it.
    #[error(
        "no known approver signed it; name its approver with `.approvers(...)`, or in the collector's [[authority.approver]]"
    )]
    ApproverUnknown,
    /// Altered, or made without the key.
    #[error("its signature does not verify: it was altered, or made without the approver's key")]
    Signature,
    /// Signed by one approver in the name of another.
    #[error("it names {claimed:?} as the approver and is signed with the key of {signer:?}")]
    ApproverMismatch {
        /// Who it says approves.
        claimed: String,
        /// Whose key it is.
        signer: String,
    },
    /// For another deployment.
    #[error("it is for {0:?}, another deployment")]
    Audience(String),
    /// For another actor.
    #[error("it is for the actor {0:?}; an approval cannot be passed on")]
    Actor(String),
    /// For another key of the actor.
    #[error("it is bound to another key than the one that signs here; have it approved for the present key")]
    Key,
    /// For another action.
    #[error("it is for another action: another type, target, tool or other arguments")]
    Action,
    /// Not yet.
    #[error("it holds from {not_before} on and it is {now} (Unix seconds)")]
    Early {
        /// From when on it holds.
        not_before: u64,
        /// Now.
        now: u64,
    },
    /// No more.
    #[error("it held until {expires} and it is {now} (Unix seconds); have it approved again")]
    Expired {
        /// Until when it held.
        expires: u64,
        /// Now.
        now: u64,
    },
    /// Approved by who asked or acts.
    #[error("{0:?} cannot approve what he asks for or does himself; have it approved by somebody else")]
    SelfApproval(String),
    /// For another ticket.
    #[error("it is for ticket {0:?}, another than the action names")]
    Ticket(String),
}

impl Checked<'_> {
    /// Returns what the approval says, once every check of `docs/claims.md` section 4 holds but the count of its uses.
    pub(crate) fn check(&self, approval: &Approval) -> Result<Statement, Unfit> {
        let unreadable = |error: &dyn std::fmt::Display| Unfit::Unreadable(error.to_string());
        let jws =
            Jws::parse(approval.statement(), approval::TYP, approval::BYTES_MAX).map_err(|error| unreadable(&error))?;
        let (signer, key) = self.approvers.get(jws.kid).ok_or(Unfit::ApproverUnknown)?;
        if !jws.is_signed_by(key) {
            return Err(Unfit::Signature);
        }
        let payload = jws.payload().map_err(|error| unreadable(&error))?;
        let said = Statement::from_json(&payload).map_err(|error| unreadable(&error))?;
        if said.approver != *signer {
            return Err(Unfit::ApproverMismatch { claimed: said.approver, signer: signer.clone() });
        }
        match self.fault(&said) {
            Some(fault) => Err(fault),
            None => Ok(said),
        }
    }

    fn fault(&self, said: &Statement) -> Option<Unfit> {
        let is_initiator = self.actor.initiator().is_some_and(|initiator| initiator.id == said.approver);
        let other_ticket = said.ticket.as_deref().zip(self.ticket).is_some_and(|(one, other)| one != other);
        if said.audience != self.audience {
            return Some(Unfit::Audience(said.audience.clone()));
        }
        if said.actor != self.actor.id() {
            return Some(Unfit::Actor(said.actor.clone()));
        }
        if said.key != self.key {
            return Some(Unfit::Key);
        }
        if said.action_digest != self.digest {
            return Some(Unfit::Action);
        }
        if self.now < said.not_before {
            return Some(Unfit::Early { not_before: said.not_before, now: self.now });
        }
        if self.now >= said.expires {
            return Some(Unfit::Expired { expires: said.expires, now: self.now });
        }
        if is_initiator || said.approver == self.actor.id() {
            return Some(Unfit::SelfApproval(said.approver.clone()));
        }
        other_ticket.then(|| Unfit::Ticket(said.ticket.clone().unwrap_or_default()))
    }
}
