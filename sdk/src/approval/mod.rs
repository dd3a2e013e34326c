//! Approvals: where they come from, and whether one fits.
//!
//! On disk and on the wire an approval is a JSON object: `approval`, the compact JWS of `docs/claims.md` section 4, and
//! the salts of the action's digest, `salt` and `arguments_salt`, each 32 hex digits. A file holds one or a list of them.

mod approvers;
mod callback;
mod check;
mod file;
mod issue;
mod wait;

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

pub use approvers::{Approvers, ApproversError};
pub use callback::callback;
pub(crate) use check::Checked;
pub use check::Unfit;
pub use file::{ApprovalFileError, Approvals};
pub use issue::{IssueError, Terms, issue};
pub use wait::{Desk, DeskUrlError, Folder};

use crate::action::Action;
use crate::actor::Actor;
use crate::policy::Answer;
use crate::random::random;

/// One approval and the salts of the action that it covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    approval: String,
    #[serde(with = "crate::hex")]
    salt: [u8; 16],
    #[serde(with = "crate::hex")]
    arguments_salt: [u8; 16],
}

/// Where approvals come from: a file, the environment, a person who is asked.
pub trait Source: Debug + Send + Sync + 'static {
    /// Returns the approval for what is wanted, if there is one. May take as long as a person takes.
    ///
    /// # Errors
    /// That nobody can be asked, or that somebody said no: the action is refused.
    fn find<'a>(&'a self, wanted: &'a Wanted<'a>) -> Answer<'a, Result<Option<Approval>, SourceError>>;
}

/// What an approval is wanted for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Wanted<'a> {
    /// What is to be done.
    pub action: &'a Action,
    /// Who would do it.
    pub actor: &'a Actor,
    /// The public key with which that actor signs, `ed25519:<base64>`.
    pub actor_key: &'a str,
    /// For which deployment.
    pub audience: &'a str,
}

/// Why a source gives no approval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It cannot be asked.
    #[error("{0}")]
    Unreachable(String),
    /// Somebody said no.
    #[error("{by} denied it: {reason}")]
    Denied {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Nobody answered in time.
    #[error("nobody answered within {seconds} s; request {request} is still open for them")]
    TimedOut {
        /// Names the request.
        request: String,
        /// How long was waited.
        seconds: u64,
    },
}

impl Approval {
    /// Puts together what an approver signed and the salts of the action that it is for.
    #[must_use]
    pub fn from_parts(statement: impl Into<String>, salt: [u8; 16], arguments_salt: [u8; 16]) -> Self {
        Self { approval: statement.into(), salt, arguments_salt }
    }

    /// Returns the signed statement, a compact JWS.
    #[must_use]
    pub fn statement(&self) -> &str {
        &self.approval
    }

    /// Returns what names it, where that can be read.
    pub(crate) fn id(&self) -> String {
        spanseal_authority::approval::Approval::read_unverified(&self.approval)
            .map_or_else(|_| "that was given".to_owned(), |said| said.id)
    }

    pub(crate) fn salts(&self) -> Salts {
        Salts { action: self.salt, arguments: self.arguments_salt }
    }
}

/// What keeps digests from being guessed. The arguments' salt goes onto no span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Salts {
    pub(crate) action: [u8; 16],
    pub(crate) arguments: [u8; 16],
}

impl Salts {
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        Ok(Self { action: random()?, arguments: random()? })
    }
}
