//! What a call to another process says of its caller, and of the leave that it has. `docs/claims.md` section 9.

use crate::Authority;
use crate::action::{Action, arguments_digest};
use crate::claims::{Business, Claims, DELEGATION_MAX, Party};
use crate::json::Json;
use crate::jws::{self, Jws, JwsError};
use crate::key::{PublicKey, SigningKey};
use crate::members::{MemberError, Members, from_hex, to_hex};
use crate::receipt::{self, Receipt};

/// The `typ` of a call token's header.
pub const TYP: &str = "provenance-delegation+jwt";

/// Longest call token that is read, in bytes.
pub const BYTES_MAX: usize = 8 << 10;

/// What a caller signs for one call. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `aud`: the deployment for which it is made.
    pub audience: String,
    /// `iat`: when it was signed.
    pub issued_at: u64,
    /// `exp`: until before when it may be presented.
    pub expires: u64,
    /// `trace`: the caller's trace id.
    pub trace: [u8; 16],
    /// `span`: the caller's span id.
    pub span: [u8; 8],
    /// `actor`: who calls.
    pub actor: Party,
    /// `owner`: who answers for the caller.
    pub owner: Option<String>,
    /// `initiator`: on whose behalf.
    pub initiator: Option<Party>,
    /// `delegation`: from the initiator to the caller, both included; empty without a chain.
    pub delegation: Vec<String>,
    /// `business`: what it is part of.
    pub business: Business,
    /// `leave`: the clearance under which the call is made, where there is one.
    pub leave: Option<Leave>,
    /// `enrolment`: the enrolment receipt of the key that signs.
    pub enrolment: Option<String>,
}

/// Leave for one call, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// `clearance`: the leave.
    pub clearance: [u8; 16],
    /// `action`: for what, with its digests.
    pub action: Action,
    /// `arguments_salt`: the salt of the arguments' digest, so that whoever has the arguments can compare.
    pub arguments_salt: [u8; 16],
}

/// Why a call token is not relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It cannot be read.
    #[error("the call token cannot be read: {0}")]
    Unreadable(String),
    /// Nobody known signed it.
    #[error("the call token is signed by a key that nobody named and no known collector enrolled")]
    KeyUnknown,
    /// Altered, or made without the key.
    #[error("the signature of the call token, or of the receipt in it, does not verify")]
    Signature,
    /// In the name of another.
    #[error("the call token names another actor than the one whose key signed it")]
    Actor,
    /// For another deployment.
    #[error("the call token is for another audience: {0:?}")]
    Audience(String),
    /// Too early or too late.
    #[error("the call token does not hold now: it is for {issued_at} to {expires}, and it is {now}")]
    Time {
        /// When it was signed.
        issued_at: u64,
        /// Until when it holds.
        expires: u64,
        /// Now.
        now: u64,
    },
    /// The chain does not end with the caller.
    #[error("the delegation chain in the call token does not lead from the initiator to the caller")]
    Delegation,
}

/// Why a leave does not cover a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaveError {
    /// For another tool.
    #[error("the leave is for the tool {0:?}")]
    Tool(String),
    /// For other arguments.
    #[error("the leave is for other arguments")]
    Arguments,
}

impl Leave {
    /// Checks that this is the tool and these are the arguments that the leave is for.
    ///
    /// # Errors
    /// What differs.
    pub fn covers(&self, tool: &str, arguments: &Json) -> Result<(), LeaveError> {
        if self.action.tool.as_deref() != Some(tool) {
            return Err(LeaveError::Tool(self.action.tool.clone().unwrap_or_default()));
        }
        let digest = arguments_digest(arguments, &self.arguments_salt);
        if self.action.arguments == Some(digest) { Ok(()) } else { Err(LeaveError::Arguments) }
    }
}

impl Call {
    /// Returns the compact JWS of this call.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        jws::sign(TYP, &self.to_json(), key)
    }

    fn to_json(&self) -> Json {
        let text = |text: &str| Json::String(text.to_owned());
        let mut members: Vec<(String, Json)> = vec![
            ("aud".into(), text(&self.audience)),
            ("iat".into(), Json::Integer(self.issued_at as i64)),
            ("exp".into(), Json::Integer(self.expires as i64)),
            ("trace".into(), Json::String(to_hex(&self.trace))),
            ("span".into(), Json::String(to_hex(&self.span))),
            ("actor".into(), self.actor.to_json()),
        ];
        members.extend(self.owner.as_deref().map(|owner| ("owner".into(), text(owner))));
        members.extend(self.initiator.as_ref().map(|initiator| ("initiator".into(), initiator.to_json())));
        if !self.delegation.is_empty() {
            members.push(("delegation".into(), Json::Array(self.delegation.iter().map(|one| text(one)).collect())));
        }
        members.extend(self.business.to_json().map(|business| ("business".into(), business)));
        members.extend(self.leave.as_ref().map(|leave| {
            let leave = vec![
                ("clearance".into(), Json::String(to_hex(&leave.clearance))),
                ("action".into(), Claims::action_json(&leave.action)),
                ("arguments_salt".into(), Json::String(to_hex(&leave.arguments_salt))),
            ];
            ("leave".into(), Json::Object(leave))
        }));
        members.extend(self.enrolment.as_deref().map(|receipt| ("enrolment".into(), text(receipt))));
        Json::Object(members)
    }

    fn from_json(payload: &Json) -> Result<Self, MemberError> {
        let members = Members::of(payload, "")?;
        Ok(Self {
            audience: members.text("aud")?,
            issued_at: members.integer("iat", 0)?,
            expires: members.integer("exp", 0)?,
            trace: members.parsed("trace", "32 lower-case hex digits", from_hex)?,
            span: members.parsed("span", "16 lower-case hex digits", from_hex)?,
            actor: Party::from_members(members.object("actor")?)?,
            owner: members.optional_text("owner")?,
            initiator: members.optional_object("initiator")?.map(Party::from_members).transpose()?,
            delegation: members.texts("delegation", DELEGATION_MAX)?,
            business: Claims::business_of(members)?,
            leave: members.optional_object("leave")?.map(leave_of).transpose()?,
            enrolment: members.optional_parsed("enrolment", "text", |text| Some(text.to_owned()))?,
        })
    }
}

fn leave_of(members: Members<'_>) -> Result<Leave, MemberError> {
    Ok(Leave {
        clearance: members.parsed("clearance", "32 lower-case hex digits", from_hex)?,
        action: Claims::action_of(members)?,
        arguments_salt: members.parsed("arguments_salt", "32 lower-case hex digits", from_hex)?,
    })
}

impl Authority {
    /// Returns what a call token says, once it is signed by the actor that it names and holds now.
    ///
    /// # Errors
    /// Why it is not relied on.
    pub fn call(&self, token: &str, now_seconds: u64) -> Result<Call, CallError> {
        let unreadable = |error: JwsError| CallError::Unreadable(error.to_string());
        let jws = Jws::parse(token, TYP, BYTES_MAX).map_err(unreadable)?;
        let payload = jws.payload().map_err(unreadable)?;
        let call = Call::from_json(&payload).map_err(|error| CallError::Unreadable(error.to_string()))?;
        let (id, key) = match self.actor(jws.kid) {
            Some(actor) => (actor.id.clone(), actor.key.clone()),
            None => self.enrolled_caller(&jws, &call)?,
        };
        if !jws.is_signed_by(&key) {
            return Err(CallError::Signature);
        }
        if call.actor.id != id {
            return Err(CallError::Actor);
        }
        if call.audience != self.audience {
            return Err(CallError::Audience(call.audience));
        }
        let skew = self.skew_nanos / 1_000_000_000;
        if call.issued_at > now_seconds.saturating_add(skew) || call.expires.saturating_add(skew) <= now_seconds {
            let (issued_at, expires) = (call.issued_at, call.expires);
            return Err(CallError::Time { issued_at, expires, now: now_seconds });
        }
        let first = call.initiator.as_ref().map(|initiator| &initiator.id);
        let chain = &call.delegation;
        if !chain.is_empty() && (chain.first() != first || chain.last() != Some(&call.actor.id)) {
            return Err(CallError::Delegation);
        }
        Ok(call)
    }

    /// Returns name and key of a caller that is known by the receipt in its token.
    fn enrolled_caller(&self, jws: &Jws<'_>, call: &Call) -> Result<(String, PublicKey), CallError> {
        let token = call.enrolment.as_deref().ok_or(CallError::KeyUnknown)?;
        let unreadable = |error: &dyn std::fmt::Display| CallError::Unreadable(error.to_string());
        let signed = Jws::parse(token, receipt::TYP, receipt::BYTES_MAX).map_err(|error| unreadable(&error))?;
        let enroller = self.enroller(signed.kid).ok_or(CallError::KeyUnknown)?;
        if !signed.is_signed_by(enroller) {
            return Err(CallError::Signature);
        }
        let receipt = Receipt::read(&signed).map_err(|error| unreadable(&error))?;
        let skew = self.skew_nanos / 1_000_000_000;
        let holds = call.issued_at.saturating_add(skew) >= receipt.not_before
            && call.issued_at < receipt.expires.saturating_add(skew);
        if receipt.thumbprint() != jws.kid || receipt.audience != self.audience || !holds {
            return Err(CallError::KeyUnknown);
        }
        Ok((receipt.actor.id, receipt.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Actor, Config, Enroller};
    use crate::receipt::Method;

    const NOW: u64 = 1_795_000_000;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn arguments() -> Json {
        Json::Object(vec![("length".into(), Json::Integer(32))])
    }

    fn call() -> Call {
        let action = Action {
            kind: "secret.rotate".into(),
            target: None,
            tool: Some("rotate".into()),
            arguments: Some(arguments_digest(&arguments(), &[2; 16])),
            salt: [1; 16],
        };
        Call {
            audience: "acme".into(),
            issued_at: NOW,
            expires: NOW + 60,
            trace: [3; 16],
            span: [4; 8],
            actor: Party { id: "agent-1".into(), kind: "agent".into() },
            owner: Some("team:a".into()),
            initiator: Some(Party { id: "alice".into(), kind: "human".into() }),
            delegation: vec!["alice".into(), "agent-1".into()],
            business: Business { ticket: Some("CHG-1".into()), ..Business::default() },
            leave: Some(Leave { clearance: [5; 16], action, arguments_salt: [2; 16] }),
            enrolment: None,
        }
    }

    fn authority() -> Authority {
        let actor = Actor { id: "agent-1".into(), owner: None, key: key(1).public().to_string() };
        let enroller = Enroller { name: "acme".into(), key: key(9).public().to_string() };
        let config = Config { actor: vec![actor], enroller: vec![enroller], ..Config::default() };
        Authority::new(&config, "acme").unwrap()
    }

    #[test]
    fn a_call_of_a_known_actor_is_read() {
        assert_eq!(authority().call(&call().sign(&key(1)), NOW + 30), Ok(call()));
        let bare = Call { owner: None, initiator: None, delegation: Vec::new(), leave: None, ..call() };
        let bare = Call { business: Business::default(), ..bare };
        assert_eq!(authority().call(&bare.sign(&key(1)), NOW), Ok(bare));
    }

    #[test]
    fn every_character_counts() {
        let token = call().sign(&key(1));
        for at in 0..token.len() {
            let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
            let altered = [&token[..at], other, &token[at + 1..]].concat();
            assert!(authority().call(&altered, NOW).is_err(), "{at}");
        }
    }

    #[test]
    fn what_does_not_hold_is_named() {
        let refused = |call: Call, seed, now| authority().call(&call.sign(&key(seed)), now).unwrap_err();
        assert_eq!(refused(call(), 2, NOW), CallError::KeyUnknown);
        let other = Party { id: "agent-2".into(), kind: "agent".into() };
        assert_eq!(refused(Call { actor: other, ..call() }, 1, NOW), CallError::Actor);
        assert_eq!(refused(Call { audience: "x".into(), ..call() }, 1, NOW), CallError::Audience("x".into()));
        assert!(matches!(refused(call(), 1, NOW - 61), CallError::Time { .. }));
        assert!(matches!(refused(call(), 1, NOW + 120), CallError::Time { .. }));
        assert_eq!(
            refused(Call { delegation: vec!["bob".into(), "agent-1".into()], ..call() }, 1, NOW),
            CallError::Delegation
        );
        assert!(matches!(authority().call("a.b.c", NOW), Err(CallError::Unreadable(_))));
    }

    #[test]
    fn an_enrolled_key_is_known_by_its_receipt() {
        let receipt = Receipt {
            issuer: "acme".into(),
            audience: "acme".into(),
            not_before: NOW - 10,
            expires: NOW + 10,
            id: "enr-1".into(),
            actor: call().actor,
            owner: None,
            key: key(2).public().clone(),
            method: Method::Mtls,
            credential: None,
        };
        let with = |receipt: &Receipt, seed: u8| {
            let call = Call { enrolment: Some(receipt.sign(&key(seed))), ..call() };
            authority().call(&call.sign(&key(2)), NOW)
        };
        assert!(with(&receipt, 9).is_ok());
        assert_eq!(with(&receipt, 8), Err(CallError::KeyUnknown));
        let of_another = Receipt { key: key(3).public().clone(), ..receipt.clone() };
        assert_eq!(with(&of_another, 9), Err(CallError::KeyUnknown));
        assert_eq!(with(&Receipt { expires: NOW - 60, ..receipt.clone() }, 9), Err(CallError::KeyUnknown));
        assert_eq!(with(&Receipt { audience: "x".into(), ..receipt }, 9), Err(CallError::KeyUnknown));
    }

    #[test]
    fn a_leave_covers_its_tool_and_arguments_alone() {
        let leave = call().leave.unwrap();
        assert_eq!(leave.covers("rotate", &arguments()), Ok(()));
        assert_eq!(leave.covers("read", &arguments()), Err(LeaveError::Tool("rotate".into())));
        assert_eq!(leave.covers("rotate", &Json::Object(Vec::new())), Err(LeaveError::Arguments));
    }
}
