//! Approvals in files: what an approver signs, and what an agent finds.
//!
//! A file holds one JSON object or a list of them: `approval`, the compact JWS of `docs/claims.md` section 4, and the
//! salts of the action's digest, `salt` and `arguments_salt`, each 32 hex digits.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use spanseal_authority::approval::Approval as Statement;
use spanseal_authority::is_text;
use spanseal_authority::key::PublicKey;

use crate::action::{Action, Refused};
use crate::key::Key;
use crate::producer::random;

/// One approval and the salts of the action that it covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    approval: String,
    #[serde(with = "hex")]
    salt: [u8; 16],
    #[serde(with = "hex")]
    arguments_salt: [u8; 16],
}

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

/// Why a file of approvals cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalFileError {
    /// The file cannot be read or written.
    #[error("approval file {}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// Not approvals.
    #[error("approval file {} holds no approvals; `spanseal::approval::issue` makes them: {error}", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser met.
        error: serde_json::Error,
    },
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

impl Approval {
    /// Writes a file that [`Approvals::file`] reads.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ApprovalFileError> {
        let path = path.as_ref();
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| ApprovalFileError::Json { path: path.to_owned(), error })?;
        std::fs::write(path, text + "\n").map_err(|error| ApprovalFileError::Io { path: path.to_owned(), error })
    }

    /// Returns the signed statement, a compact JWS.
    #[must_use]
    pub fn statement(&self) -> &str {
        &self.approval
    }

    pub(crate) fn salts(&self) -> Salts {
        Salts { action: self.salt, arguments: self.arguments_salt }
    }

    /// Returns whether the approval names this action's digest. Who signed it is the collector's to check.
    fn covers(&self, action: &Action) -> bool {
        let digest = action.digest(&self.salts()).ok();
        Statement::read_unverified(&self.approval).is_ok_and(|approval| Some(approval.action_digest) == digest)
    }
}

/// The approvals that an agent has at hand.
#[derive(Clone, Debug, Default)]
pub struct Approvals(Vec<Approval>);

impl Approvals {
    /// Returns the approvals in a file.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, ApprovalFileError> {
        let path = path.as_ref();
        let json = |error| ApprovalFileError::Json { path: path.to_owned(), error };
        let text =
            std::fs::read_to_string(path).map_err(|error| ApprovalFileError::Io { path: path.to_owned(), error })?;
        if text.trim_start().starts_with('[') {
            return Ok(Self(serde_json::from_str(&text).map_err(json)?));
        }
        Ok(Self(vec![serde_json::from_str(&text).map_err(json)?]))
    }

    /// Returns the first that names this very action: type, target, tool and arguments.
    #[must_use]
    pub fn find(&self, action: &Action) -> Option<&Approval> {
        self.0.iter().find(|approval| approval.covers(action))
    }

    /// Returns them in order.
    pub fn iter(&self) -> impl Iterator<Item = &Approval> {
        self.0.iter()
    }
}

/// What keeps digests from being guessed. The arguments' salt goes onto no span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Salts {
    pub(crate) action: [u8; 16],
    pub(crate) arguments: [u8; 16],
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// 16 bytes as 32 lower-case hex digits.
pub(crate) mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn text(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 16];
        if text.len() != 32 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(D::Error::custom("a salt is 32 lower-case hex digits"));
        }
        for (byte, at) in bytes.iter_mut().zip((0..32).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(D::Error::custom)?;
        }
        Ok(bytes)
    }
}
