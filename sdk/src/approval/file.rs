//! Approvals that lie in a file or in the environment.

use std::path::{Path, PathBuf};

use spanseal_authority::approval::Approval as Statement;

use super::{Approval, Source, SourceError, Wanted};
use crate::action::Action;
use crate::policy::Answer;

/// The approvals that an agent has at hand.
#[derive(Clone, Debug, Default)]
pub struct Approvals(Vec<Approval>);

/// Why approvals cannot be used.
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
    #[error(
        "{place} holds no approvals; `spanseal approvals approve` or `spanseal::approval::issue` makes them: {error}"
    )]
    Json {
        /// The file or variable.
        place: String,
        /// What the parser met.
        error: serde_json::Error,
    },
    /// The variable is not set.
    #[error("the environment variable {0} is not set to text; set it to an approval, as JSON")]
    NotSet(String),
}

impl Approvals {
    /// Returns the approvals in a file.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, ApprovalFileError> {
        let path = path.as_ref();
        let text =
            std::fs::read_to_string(path).map_err(|error| ApprovalFileError::Io { path: path.to_owned(), error })?;
        Self::parse(&text)
            .map_err(|error| ApprovalFileError::Json { place: format!("approval file {}", path.display()), error })
    }

    /// Returns the approvals in an environment variable, written as in a file.
    ///
    /// # Errors
    /// A variable that is not set or holds something else.
    pub fn environment(variable: &str) -> Result<Self, ApprovalFileError> {
        let text = std::env::var(variable).map_err(|_| ApprovalFileError::NotSet(variable.to_owned()))?;
        Self::parse(&text).map_err(|error| ApprovalFileError::Json { place: format!("the variable {variable}"), error })
    }

    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        if text.trim_start().starts_with('[') {
            return Ok(Self(serde_json::from_str(text)?));
        }
        Ok(Self(vec![serde_json::from_str(text)?]))
    }

    /// Returns the first that names this very action: type, target, tool and arguments.
    #[must_use]
    pub fn for_action(&self, action: &Action) -> Option<&Approval> {
        self.0.iter().find(|approval| approval.covers(action))
    }

    /// Returns them in order.
    pub fn iter(&self) -> impl Iterator<Item = &Approval> {
        self.0.iter()
    }
}

impl Source for Approvals {
    fn find<'a>(&'a self, wanted: &'a Wanted<'a>) -> Answer<'a, Result<Option<Approval>, SourceError>> {
        Box::pin(std::future::ready(Ok(self.for_action(wanted.action).cloned())))
    }
}

impl FromIterator<Approval> for Approvals {
    fn from_iter<I: IntoIterator<Item = Approval>>(approvals: I) -> Self {
        Self(approvals.into_iter().collect())
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
            .map_err(|error| ApprovalFileError::Json { place: path.display().to_string(), error })?;
        std::fs::write(path, text + "\n").map_err(|error| ApprovalFileError::Io { path: path.to_owned(), error })
    }

    /// Returns whether the approval names this action's digest.
    fn covers(&self, action: &Action) -> bool {
        let digest = action.digest(&self.salts()).ok();
        Statement::read_unverified(&self.approval).is_ok_and(|approval| Some(approval.action_digest) == digest)
    }
}
