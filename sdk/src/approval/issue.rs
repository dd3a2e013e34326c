//! What an approver signs.

use std::time::{SystemTime, UNIX_EPOCH};

use spanseal_authority::approval::Approval as Statement;
use spanseal_authority::is_text;
use spanseal_authority::key::PublicKey;

use super::{Approval, Salts};
use crate::action::Action;
use crate::authorize::Refused;
use crate::hex;
use crate::key::Key;
use crate::random::random;

/// What an approver signs.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    /// The deployment for which it holds: the collector's audience.
    pub audience: &'a str,
    /// The approver's name, as the collector's configuration has it.
    pub approver: &'a str,
    /// Who may act.
    pub actor: &'a str,
    /// The public key with which the actor signs, `ed25519:<base64>`.
    pub actor_key: &'a str,
    /// What may be done.
    pub action: &'a Action,
    /// From when on.
    pub not_before: SystemTime,
    /// Until before when.
    pub expires: SystemTime,
    /// How often.
    pub max_uses: u64,
    /// The ticket under which it is given.
    pub ticket: Option<&'a str>,
    /// Why.
    pub justification: Option<&'a str>,
}

/// Why an approval cannot be issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// A text that cannot stand in an approval.
    #[error("{member} is {value:?}; write 1 to 1024 bytes without control characters")]
    Text {
        /// The member of [`Terms`].
        member: &'static str,
        /// Its value.
        value: String,
    },
    /// The actor's key is not one.
    #[error("the actor's key {0}")]
    ActorKey(#[from] spanseal_authority::key::KeyError),
    /// Not between 1 and 2^53 - 1.
    #[error("max_uses is {0}; write at least 1")]
    MaxUses(u64),
    /// The action has no digest.
    #[error(transparent)]
    Action(#[from] Refused),
    /// The operating system gives no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(getrandom::Error),
}

/// Signs an approval of one action with the approver's key.
///
/// # Errors
/// Terms that cannot be written down.
pub fn issue(key: &Key, terms: &Terms<'_>) -> Result<Approval, IssueError> {
    check_texts(terms)?;
    if !(1..1 << 53).contains(&terms.max_uses) {
        return Err(IssueError::MaxUses(terms.max_uses));
    }
    let salts = Salts::random().map_err(IssueError::Random)?;
    let id: [u8; 8] = random().map_err(IssueError::Random)?;
    let statement = Statement {
        audience: terms.audience.to_owned(),
        approver: terms.approver.to_owned(),
        actor: terms.actor.to_owned(),
        key: PublicKey::parse(terms.actor_key)?.thumbprint(),
        action_digest: terms.action.digest(&salts)?,
        not_before: seconds(terms.not_before),
        expires: seconds(terms.expires),
        id: format!("apr-{}", hex::text(&id)),
        max_uses: terms.max_uses,
        ticket: terms.ticket.map(str::to_owned),
        justification: terms.justification.map(str::to_owned),
    };
    Ok(Approval { approval: statement.sign(key.signing()), salt: salts.action, arguments_salt: salts.arguments })
}

fn check_texts(terms: &Terms<'_>) -> Result<(), IssueError> {
    let texts = [
        ("audience", Some(terms.audience)),
        ("approver", Some(terms.approver)),
        ("actor", Some(terms.actor)),
        ("ticket", terms.ticket),
        ("justification", terms.justification),
    ];
    match texts.into_iter().find(|(_, text)| text.is_some_and(|text| !is_text(text))) {
        Some((member, text)) => Err(IssueError::Text { member, value: text.unwrap_or_default().to_owned() }),
        None => Ok(()),
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
