//! What proves who a program is.

use std::fmt;
use std::fmt::Debug;

use sha2::{Digest as _, Sha256};
use spanseal_authority::action::Digest;
use spanseal_authority::claims;
use zeroize::Zeroizing;

use crate::policy::Answer;

/// Where a program's credential comes from. It is shown to the collector when a key is enrolled, and to nobody else.
pub trait Identity: Debug + Send + Sync + 'static {
    /// Returns the credential that holds now.
    ///
    /// # Errors
    /// That there is none, with what to do about it.
    fn prove(&self) -> Answer<'_, Result<Proof, IdentityError>>;
}

/// A bearer token and what may be said about it. Never printed; wiped when dropped.
pub struct Proof {
    pub(crate) token: Zeroizing<String>,
    pub(crate) credential: claims::Credential,
}

/// What may be said about a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credential {
    /// For example `jwt-svid`, `kubernetes`, `github-oidc`.
    pub kind: String,
    /// Who issued it.
    pub issuer: Option<String>,
    /// Its `jti`.
    pub id: Option<String>,
    /// When it expires, in seconds since the Unix epoch.
    pub expires: Option<u64>,
    /// The rule by which it is rotated.
    pub rotation: Option<String>,
}

/// Why there is no credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdentityError(pub String);

impl Proof {
    /// Returns the proof that a token is.
    #[must_use]
    pub fn token(token: String, credential: Credential) -> Self {
        let token = Zeroizing::new(token);
        let Credential { kind, issuer, id, expires, rotation } = credential;
        let digest = Some(Digest(Sha256::digest(token.as_bytes()).into()));
        Self { credential: claims::Credential { kind, issuer, id, digest, expires, rotation }, token }
    }
}

impl Debug for Proof {
    /// Leaves the token out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("credential", &self.credential).finish_non_exhaustive()
    }
}
