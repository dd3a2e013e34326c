//! Why a verdict is what it is: the one table of codes. `docs/claims.md` has the same table; a test compares them.

/// What a reason does to a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Two statements disagree, or one disagrees with what was seen: the action is `violated`.
    Contradicts,
    /// Something that the profile asks for is not there or could not be checked: the action is not `proven`.
    Withholds,
    /// A check that this version does not make, said aloud. The verdict stays.
    Notes,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal $name:literal $effect:ident $sentence:literal $remedy:literal;)+) => {
        /// A stable code and what it means. A number is never used again for something else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant = $code,)+
        }

        impl Reason {
            /// Every reason, in ascending order of codes.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)+];

            /// Returns the name that attributes and `find` use.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)+ }
            }

            /// Returns what it does to the verdict.
            #[must_use]
            pub fn effect(self) -> Effect {
                match self { $(Reason::$variant => Effect::$effect,)+ }
            }

            /// Returns what was found, as a sentence.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Reason::$variant => $sentence,)+ }
            }

            /// Returns what to do about it.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self { $(Reason::$variant => $remedy,)+ }
            }
        }
    };
}

reasons! {
    /// An action without signed claims.
    ClaimsAbsent = 101 "claims_absent" Withholds
        "Nothing about this action is signed."
        "Run the action through the SDK, with a key that the configuration names.";
    /// A governed action that nobody decided on.
    NotEvaluated = 102 "not_evaluated" Withholds
        "The configuration asks for a decision on this action, and it carries neither an approval nor a policy decision."
        "Find out what started it; if it is legitimate, have it approved before it runs.";
    /// `provenance.claims` stands more than once.
    ClaimsDuplicate = 103 "claims_duplicate" Contradicts
        "The span carries signed claims more than once."
        "Find out who added the second; only the SDK writes this attribute, once.";
    /// The claims cannot be read.
    ClaimsMalformed = 104 "claims_malformed" Contradicts
        "The signed claims cannot be read in the form that they must have."
        "Compare the sender's claims with docs/claims.md section 2; something on the way may have altered them.";
    /// Another algorithm than EdDSA.
    ClaimsAlgorithm = 105 "claims_algorithm" Contradicts
        "The signed claims name another algorithm than EdDSA."
        "Sign with the SDK, or with Ed25519 as docs/claims.md section 2 says.";
    /// Another type of statement.
    ClaimsType = 106 "claims_type" Contradicts
        "What stands in the place of the signed claims is a statement of another type."
        "Put claims of type provenance-claims+jwt there.";
    /// Longer than allowed.
    ClaimsTooLong = 107 "claims_too_long" Withholds
        "The signed claims are too long to be checked."
        "Keep claims below 16 KiB.";
    /// A key that is not registered.
    KeyUnknown = 108 "key_unknown" Withholds
        "The claims are signed by a key that the configuration does not name."
        "If the key is the actor's, add it as [[authority.actor]].";
    /// The signature does not verify.
    ClaimsSignature = 109 "claims_signature" Contradicts
        "The signature of the claims does not verify: they were altered, or made without the key."
        "Treat the sender as compromised until the cause is known.";
    /// Claims for another deployment.
    AudienceMismatch = 110 "audience_mismatch" Contradicts
        "The claims were made for another audience."
        "Set the SDK's audience to that of the collector.";
    /// Claims from another time than the span.
    ClaimsTime = 111 "claims_time" Contradicts
        "The claims were not signed while the action ran."
        "Compare the clocks of the sender and the collector; old claims may be replayed.";
    /// Claims for another trace.
    TraceMismatch = 112 "trace_mismatch" Contradicts
        "The claims were made for another trace."
        "Claims cannot be reused: find out who copied them.";
    /// Claims for another span.
    SpanMismatch = 113 "span_mismatch" Contradicts
        "The claims were made for another span."
        "Claims cannot be reused: find out who copied them.";
    /// Claims for a span elsewhere in the trace.
    ParentMismatch = 114 "parent_mismatch" Contradicts
        "The claims name another parent than the span."
        "Find out what moved the span inside its trace.";
    /// The claimed digest is not the claimed action's.
    ActionDigestMismatch = 115 "action_digest_mismatch" Contradicts
        "The digest in the claims is not that of the action in the claims."
        "Compute the digest as docs/claims.md section 3 says.";
    /// A readable attribute differs from the signed claim.
    MirrorMismatch = 116 "mirror_mismatch" Contradicts
        "A readable attribute says something else than the signed claims."
        "Find out what changed the attribute between the sender and the collector.";
    /// The span records the decision, not the action.
    DecisionRecord = 117 "decision_record" Notes
        "This span records the decision on an action; what was done is on another."
        "Look at the action's own span; without one nothing was done, or its record is missing.";
    /// No closing statement on an authorised action.
    ClosingAbsent = 118 "closing_absent" Withholds
        "Nothing signed says how the action ended."
        "Find out what took the closing statement away; the SDK writes one whatever happens.";
    /// The closing statement cannot be read.
    ClosingMalformed = 119 "closing_malformed" Contradicts
        "The closing statement cannot be read in the form that it must have."
        "Compare it with docs/claims.md section 5; something on the way may have altered it.";
    /// Several closing statements.
    ClosingDuplicate = 120 "closing_duplicate" Contradicts
        "The span carries a closing statement more than once."
        "Find out who added the second; only the SDK writes this attribute, once.";
    /// Not signed by the key of the claims.
    ClosingSignature = 121 "closing_signature" Contradicts
        "The closing statement is not signed by the key that signed the claims."
        "Treat the sender as compromised until the cause is known.";
    /// About another action.
    ClosingMismatch = 122 "closing_mismatch" Contradicts
        "The closing statement was made for another action."
        "Closing statements cannot be reused: find out who copied it.";
    /// From another time than the action's end.
    ClosingTime = 123 "closing_time" Contradicts
        "The closing statement was not signed between the decision and the end of the action."
        "Compare the clocks of the sender and the collector; old statements may be replayed.";
    /// Something else was executed.
    ExecutedMismatch = 124 "executed_mismatch" Contradicts
        "What was executed is another action than the one that was decided on."
        "Find out what changed the arguments between the decision and the action.";
    /// Nobody said how it ended.
    NotClosed = 125 "not_closed" Notes
        "The program ended, or the span did, before the action had."
        "Find out whether the action took effect.";
    /// Leave that nobody used.
    Unused = 126 "unused" Notes
        "The leave was not used: nothing ran."
        "Nothing has to be done.";
    /// The enrolment receipt cannot be read.
    ReceiptMalformed = 127 "receipt_malformed" Contradicts
        "The enrolment receipt in the claims cannot be read in the form that it must have."
        "Compare it with docs/claims.md section 7.";
    /// Enrolled by somebody unknown.
    EnrollerUnknown = 128 "enroller_unknown" Withholds
        "The key was enrolled by a collector that the configuration does not name."
        "If that collector is yours, add its key as [[authority.enroller]]; `spanseal keys show` prints it.";
    /// Not signed by the enroller.
    ReceiptSignature = 129 "receipt_signature" Contradicts
        "The signature of the enrolment receipt does not verify: it was altered, or made without the key."
        "Treat the sender as compromised until the cause is known.";
    /// A receipt for another key.
    ReceiptKey = 130 "receipt_key" Contradicts
        "The enrolment receipt is for another key than the one that signed the claims."
        "Receipts cannot be passed on: let the program enrol its own key.";
    /// A receipt for another deployment.
    ReceiptAudience = 131 "receipt_audience" Contradicts
        "The key was enrolled for another audience."
        "Let the program enrol with a collector of this deployment.";
    /// A receipt from another time.
    ReceiptExpired = 132 "receipt_expired" Contradicts
        "The claims were signed when the key's enrolment did not hold."
        "The SDK enrols again by itself; find out why it did not, or whether the key was taken.";
    /// Another credential than the enrolled.
    CredentialMismatch = 133 "credential_mismatch" Contradicts
        "The claims name another credential than the one that the key was enrolled with."
        "Find out which one the program used.";
    /// Known by a throw-away root.
    DevRoot = 134 "dev_root" Notes
        "The actor is known by a development root alone, which vouches for whoever asks."
        "Enrol by mTLS or a token, or name the actor's key, before this is relied on.";
    /// The key belongs to somebody else.
    ActorMismatch = 201 "actor_mismatch" Contradicts
        "The claims name another actor than the one whose key signed them."
        "Give each actor its own key.";
    /// The owner is another.
    OwnerMismatch = 202 "owner_mismatch" Contradicts
        "The claims name another owner than the configuration."
        "Correct the owner in the SDK or in [[authority.actor]].";
    /// Nobody on whose behalf.
    InitiatorAbsent = 203 "initiator_absent" Withholds
        "The claims do not say on whose behalf the action ran, so that self-approval cannot be excluded."
        "Name the initiator: a user, a schedule or an event.";
    /// The chain does not lead from initiator to actor.
    DelegationBroken = 204 "delegation_broken" Contradicts
        "The delegation chain does not lead from the initiator to the actor."
        "Begin the chain with the initiator and end it with the actor.";
    /// No approval.
    ApprovalAbsent = 301 "approval_absent" Withholds
        "Nobody approved this action."
        "Have it approved by somebody whom [[authority.approver]] names.";
    /// The approval cannot be read.
    ApprovalMalformed = 302 "approval_malformed" Contradicts
        "The approval cannot be read in the form that it must have."
        "Compare it with docs/claims.md section 4.";
    /// Another algorithm than EdDSA.
    ApprovalAlgorithm = 303 "approval_algorithm" Contradicts
        "The approval names another algorithm than EdDSA."
        "Sign approvals with Ed25519.";
    /// Another type of statement.
    ApprovalType = 304 "approval_type" Contradicts
        "What stands in the place of the approval is a statement of another type."
        "Put an approval of type agent-approval+jwt there.";
    /// Longer than allowed.
    ApprovalTooLong = 305 "approval_too_long" Withholds
        "The approval is too long to be checked."
        "Keep approvals below 8 KiB.";
    /// Limits that this version cannot check.
    ApprovalUnsupported = 306 "approval_unsupported" Withholds
        "The approval has terms that this version does not know, and so cannot be relied on."
        "Update the collector, or approve in the terms of docs/claims.md section 4.";
    /// An approver who is not registered.
    ApproverUnknown = 307 "approver_unknown" Withholds
        "The approval is signed by a key that no configured approver has."
        "If the key is an approver's, add it as [[authority.approver]].";
    /// The signature does not verify.
    ApprovalSignature = 308 "approval_signature" Contradicts
        "The signature of the approval does not verify: it was altered, or made without the key."
        "Find out who made it.";
    /// The key belongs to another approver.
    ApproverMismatch = 309 "approver_mismatch" Contradicts
        "The approval names another approver than the one whose key signed it."
        "Sign with the key that belongs to the name.";
    /// An approval for another deployment.
    ApprovalAudience = 310 "approval_audience" Contradicts
        "The approval was given for another audience."
        "Approvals hold for one deployment; have the action approved for this one.";
    /// An approval for another actor.
    ApprovalActor = 311 "approval_actor" Contradicts
        "The approval was given to another actor."
        "An approval cannot be passed on: have this actor approved.";
    /// An approval for another key.
    ApprovalKey = 312 "approval_key" Contradicts
        "The approval is bound to another key than the one that signed the claims."
        "Have it approved again for the actor's present key.";
    /// An approval for another action.
    ApprovalDigest = 313 "approval_digest" Contradicts
        "The approval is for another action: another type, target, tool or other arguments."
        "Have what is really done approved.";
    /// Before the approval's time.
    ApprovalEarly = 314 "approval_early" Contradicts
        "The action ran before its approval holds."
        "Wait for the approved time.";
    /// After the approval's time.
    ApprovalExpired = 315 "approval_expired" Contradicts
        "The action ran after its approval had expired."
        "Have it approved again.";
    /// Approver and initiator or actor are one.
    SelfApproval = 316 "self_approval" Contradicts
        "The action was approved by its own initiator or actor."
        "Have it approved by somebody else.";
    /// The approved ticket is another.
    TicketMismatch = 317 "ticket_mismatch" Contradicts
        "The claims name another ticket than the approval."
        "Name the approved ticket.";
    /// Uses are not counted yet.
    UsesNotCounted = 318 "uses_not_counted" Notes
        "The approval limits its uses, and this version does not count them."
        "Look for other actions with the same approval: `spanseal find --approval ID`.";
    /// The action's own record says that policy refused it.
    PolicyDenied = 401 "policy_denied" Withholds
        "The claims say that policy refused this action."
        "If the action took effect all the same, find out what went around the decision.";
    /// The decision was not executed again.
    PolicyNotReexecuted = 402 "policy_not_reexecuted" Notes
        "The policy decision is the actor's word: this version does not execute it again."
        "Rely on the approval.";
    /// Leave was refused.
    Refused = 403 "refused" Withholds
        "The action was refused, and did not run by what its actor says."
        "See why in the record of the decision; have it approved if it is legitimate.";
    /// Leave was refused and it ran all the same.
    RefusedButRan = 404 "refused_but_ran" Contradicts
        "The action was refused, and its span says that it ran."
        "Treat the actor as compromised until the cause is known.";
}

impl Reason {
    /// Returns the number that is sealed.
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }

    /// Returns the reason with this number, if this version knows it.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| u32::from(reason.code()) == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_names_are_distinct() {
        assert!(Reason::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code().into()), Some(*reason));
        }
        assert_eq!(Reason::from_code(9999), None);
    }
}
