//! Whose word counts as an approval.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use spanseal_authority::key::{KeyError, PublicKey, Thumbprint};

/// The approvers that a program knows, by their keys.
#[derive(Clone, Debug, Default)]
pub struct Approvers(HashMap<Thumbprint, (String, PublicKey)>);

/// Why approvers cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApproversError {
    /// The file cannot be read.
    #[error("approver file {}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// Not a list of approvers.
    #[error(
        "approver file {} is no list of approvers; write [{{\"name\": \"bob@acme.example\", \"key\": \"ed25519:...\"}}]: {error}", .path.display()
    )]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser met.
        error: serde_json::Error,
    },
    /// A key is not one.
    #[error("the key of approver {name:?} {error}")]
    Key {
        /// Whose.
        name: String,
        /// What is wrong with it.
        error: KeyError,
    },
}

/// One approver, as files and the collector name him.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    key: String,
}

impl Approvers {
    /// Returns the approvers in a JSON file: a list of objects with `name` and `key` (`ed25519:<base64>`).
    ///
    /// # Errors
    /// A file that cannot be read or holds something else.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, ApproversError> {
        let path = path.as_ref();
        let text =
            std::fs::read_to_string(path).map_err(|error| ApproversError::Io { path: path.to_owned(), error })?;
        let named: Vec<Named> =
            serde_json::from_str(&text).map_err(|error| ApproversError::Json { path: path.to_owned(), error })?;
        named.into_iter().try_fold(Self::default(), |approvers, named| approvers.with(named.name, &named.key))
    }

    /// Adds one by name and public key, `ed25519:<base64>`.
    ///
    /// # Errors
    /// A key that is none.
    pub fn with(mut self, name: impl Into<String>, key: &str) -> Result<Self, ApproversError> {
        let name = name.into();
        let key = PublicKey::parse(key).map_err(|error| ApproversError::Key { name: name.clone(), error })?;
        self.0.insert(key.thumbprint(), (name, key));
        Ok(self)
    }

    /// Returns the name and key of the approver whose key has this thumbprint.
    pub(crate) fn get(&self, key: Thumbprint) -> Option<&(String, PublicKey)> {
        self.0.get(&key)
    }
}
