//! Asking somebody for an approval, and the answer: JSON that goes over HTTP or lies in a folder. `docs/claims.md`
//! section 8.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Authority;
use crate::action::{Action, Digest};
use crate::approval::{self, Approval};
use crate::claims::Party;
use crate::jws::Jws;
use crate::key::PublicKey;
use crate::members::{from_hex, is_text};

/// What somebody is asked to approve. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Names the request: 32 hex digits, chosen by whoever asks.
    pub id: String,
    /// What is to be done.
    pub action: AskedAction,
    /// The salt of the arguments' digest: 32 hex digits.
    pub arguments_salt: String,
    /// Arguments that are shown in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revealed: Option<serde_json::Value>,
    /// Who would do it.
    pub actor: AskedParty,
    /// The key with which that actor signs: `ed25519:<base64>`.
    pub actor_key: String,
    /// For which deployment.
    pub audience: String,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiator: Option<AskedParty>,
    /// Who answers for the actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// `ticket`, `change`, `incident`, `playbook`, `task`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub business: BTreeMap<String, String>,
    /// Why, in the words of whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was asked.
    pub asked: u64,
    /// Until when an answer is waited for.
    pub deadline: u64,
}

/// The action in a request, with its digest under the salts that an approval of it uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedAction {
    /// What is done.
    #[serde(rename = "type")]
    pub kind: String,
    /// To what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// With which tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Digest of the arguments: 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// 32 hex digits.
    pub salt: String,
    /// Digest of the action: 64 hex digits.
    pub digest: String,
}

/// Somebody, by name and type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedParty {
    /// The name.
    pub id: String,
    /// As in claims.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Answered {
    /// Nobody has answered yet.
    Pending,
    /// Somebody approved it.
    Approved {
        /// The signed approval, a compact JWS.
        approval: String,
        /// The action's salt: 32 hex digits.
        salt: String,
        /// The arguments' salt: 32 hex digits.
        arguments_salt: String,
    },
    /// Somebody said no. Needs no signature: nothing runs because of it.
    Denied {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// The deadline went by.
    Expired,
}

/// What is wrong with a request or an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskingError {
    /// A member is not what it must be.
    #[error("`{member}` is not {expected}")]
    Member {
        /// Its path.
        member: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The digest is not that of the action.
    #[error("`action.digest` is not the digest of the action")]
    Digest,
    /// The answer is no approval.
    #[error("the answer is no approval: {0}")]
    NoApproval(String),
    /// Nobody known signed it.
    #[error("the approval is not signed by an approver that the configuration names")]
    Approver,
    /// An approval of something else.
    #[error("the approval does not answer this request: {0} differs")]
    Other(&'static str),
}

impl Asked {
    /// Returns the action, once everything in the request is what it must be.
    ///
    /// # Errors
    /// The first member that is not.
    pub fn action(&self) -> Result<Action, AskingError> {
        let action = self.action_without_digest()?;
        if Digest::parse(&self.action.digest) == Some(action.digest()) { Ok(action) } else { Err(AskingError::Digest) }
    }

    /// Returns the action whatever its digest is said to be, once everything else in the request is what it must be.
    ///
    /// # Errors
    /// The first member that is not.
    pub fn action_without_digest(&self) -> Result<Action, AskingError> {
        let member = |member: &str, expected| AskingError::Member { member: member.to_owned(), expected };
        from_hex::<16>(&self.id).ok_or(member("id", HEX_16))?;
        from_hex::<16>(&self.arguments_salt).ok_or(member("arguments_salt", HEX_16))?;
        PublicKey::parse(&self.actor_key).map_err(|_| member("actor_key", "a public key"))?;
        if let Some((name, _)) = self.texts().into_iter().find(|(_, text)| text.is_some_and(|text| !is_text(text))) {
            return Err(member(name, "text of 1 to 1024 bytes without control characters"));
        }
        let digest = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => Digest::parse(text).map(Some).ok_or(member("action.arguments", "a digest")),
        };
        Ok(Action {
            kind: self.action.kind.clone(),
            target: self.action.target.clone(),
            tool: self.action.tool.clone(),
            arguments: digest(&self.action.arguments)?,
            salt: from_hex(&self.action.salt).ok_or(member("action.salt", HEX_16))?,
        })
    }

    fn texts(&self) -> Vec<(&str, Option<&str>)> {
        let mut texts = vec![
            ("audience", Some(self.audience.as_str())),
            ("action.type", Some(&self.action.kind)),
            ("action.target", self.action.target.as_deref()),
            ("action.tool", self.action.tool.as_deref()),
            ("actor.id", Some(&self.actor.id)),
            ("actor.type", Some(&self.actor.kind)),
            ("initiator.id", self.initiator.as_ref().map(|party| party.id.as_str())),
            ("initiator.type", self.initiator.as_ref().map(|party| party.kind.as_str())),
            ("owner", self.owner.as_deref()),
            ("reason", self.reason.as_deref()),
        ];
        texts.extend(self.business.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
        texts
    }

    /// Returns the approval that answers this request, unsigned: who approves, from when on, until before when.
    ///
    /// # Errors
    /// A request that is not what it must be.
    pub fn approval(&self, approver: &str, id: String, times: (u64, u64)) -> Result<Approval, AskingError> {
        Ok(Approval {
            audience: self.audience.clone(),
            approver: approver.to_owned(),
            actor: self.actor.id.clone(),
            key: self.key()?.thumbprint(),
            action_digest: self.action()?.digest(),
            not_before: times.0,
            expires: times.1,
            id,
            max_uses: 1,
            ticket: self.business.get("ticket").cloned(),
            justification: None,
        })
    }

    /// Returns the answer that holds this approval.
    #[must_use]
    pub fn approved(&self, approval: String) -> Answered {
        let (salt, arguments_salt) = (self.action.salt.clone(), self.arguments_salt.clone());
        Answered::Approved { approval, salt, arguments_salt }
    }

    fn key(&self) -> Result<PublicKey, AskingError> {
        let expected = "a public key";
        PublicKey::parse(&self.actor_key).map_err(|_| AskingError::Member { member: "actor_key".into(), expected })
    }
}

impl From<&Party> for AskedParty {
    fn from(party: &Party) -> Self {
        Self { id: party.id.clone(), kind: party.kind.clone() }
    }
}

impl Authority {
    /// Returns what an approval says, once it is signed by a configured approver and answers this request.
    ///
    /// # Errors
    /// Why it does not.
    pub fn answers(&self, asked: &Asked, token: &str) -> Result<Approval, AskingError> {
        let no_approval = |error: &dyn std::fmt::Display| AskingError::NoApproval(error.to_string());
        let jws = Jws::parse(token, approval::TYP, approval::BYTES_MAX).map_err(|error| no_approval(&error))?;
        let approver = self.approver(jws.kid).ok_or(AskingError::Approver)?;
        if !jws.is_signed_by(&approver.key) {
            return Err(AskingError::Approver);
        }
        let payload = jws.payload().map_err(|error| no_approval(&error))?;
        let approval = Approval::from_json(&payload).map_err(|error| no_approval(&error))?;
        let differs = [
            (approval.approver != approver.name, "the approver"),
            (approval.audience != self.audience, "the audience"),
            (approval.actor != asked.actor.id, "the actor"),
            (approval.key != asked.key()?.thumbprint(), "the actor's key"),
            (approval.action_digest != asked.action()?.digest(), "the action"),
        ];
        match differs.into_iter().find(|(differs, _)| *differs) {
            Some((_, what)) => Err(AskingError::Other(what)),
            None => Ok(approval),
        }
    }
}

const HEX_16: &str = "32 lower-case hex digits";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Config};
    use crate::key::SigningKey;

    fn asked() -> Asked {
        let action = Action {
            kind: "secret.rotate".into(),
            target: Some("vault:prod/db".into()),
            tool: None,
            arguments: Some(Digest([3; 32])),
            salt: [4; 16],
        };
        Asked {
            id: "01".repeat(16),
            action: AskedAction {
                kind: action.kind.clone(),
                target: action.target.clone(),
                tool: None,
                arguments: Some("03".repeat(32)),
                salt: "04".repeat(16),
                digest: action.digest().to_string(),
            },
            arguments_salt: "05".repeat(16),
            revealed: None,
            actor: AskedParty { id: "agent-1".into(), kind: "agent".into() },
            actor_key: SigningKey::from_seed(&[1; 32]).public().to_string(),
            audience: "acme".into(),
            initiator: None,
            owner: None,
            business: BTreeMap::from([("ticket".into(), "CHG-1".into())]),
            reason: Some("quarterly".into()),
            asked: 10,
            deadline: 20,
        }
    }

    fn authority() -> Authority {
        let bob = config::Approver { name: "bob".into(), key: SigningKey::from_seed(&[2; 32]).public().to_string() };
        Authority::new(&Config { approver: vec![bob], ..Config::default() }, "acme").unwrap()
    }

    #[test]
    fn a_request_reads_back_and_names_what_is_wrong() {
        let text = serde_json::to_string(&asked()).unwrap();
        assert_eq!(serde_json::from_str::<Asked>(&text).unwrap(), asked());
        asked().action().unwrap();
        let wrong = |change: fn(&mut Asked)| {
            let mut asked = asked();
            change(&mut asked);
            asked.action().unwrap_err().to_string()
        };
        assert_eq!(wrong(|asked| asked.id = "../x".into()), "`id` is not 32 lower-case hex digits");
        assert_eq!(wrong(|asked| asked.actor_key = "rsa".into()), "`actor_key` is not a public key");
        assert_eq!(wrong(|asked| asked.action.target = None), "`action.digest` is not the digest of the action");
        assert!(wrong(|asked| asked.reason = Some("a\nb".into())).starts_with("`reason` is not text"));
        assert!(wrong(|asked| asked.action.arguments = Some("x".into())).starts_with("`action.arguments`"));
    }

    #[test]
    fn an_answer_is_a_known_approvers_and_about_the_request() {
        let bob = SigningKey::from_seed(&[2; 32]);
        let approval = asked().approval("bob", "apr-1".into(), (10, 20)).unwrap();
        assert_eq!(authority().answers(&asked(), &approval.sign(&bob)), Ok(approval.clone()));
        let refused = |approval: Approval, seed| {
            authority().answers(&asked(), &approval.sign(&SigningKey::from_seed(&[seed; 32]))).unwrap_err()
        };
        assert_eq!(refused(approval.clone(), 3), AskingError::Approver);
        let other = |what| AskingError::Other(what);
        assert_eq!(refused(Approval { approver: "eve".into(), ..approval.clone() }, 2), other("the approver"));
        assert_eq!(refused(Approval { audience: "x".into(), ..approval.clone() }, 2), other("the audience"));
        assert_eq!(refused(Approval { actor: "x".into(), ..approval.clone() }, 2), other("the actor"));
        assert_eq!(refused(Approval { action_digest: Digest([0; 32]), ..approval.clone() }, 2), other("the action"));
        let key = SigningKey::from_seed(&[9; 32]).public().thumbprint();
        assert_eq!(refused(Approval { key, ..approval }, 2), other("the actor's key"));
    }
}
