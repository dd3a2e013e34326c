//! Ed25519 keys of actors and approvers, named by their RFC 7638 thumbprint.

use core::fmt;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use sha2::{Digest, Sha256};

/// The SHA-256 JWK thumbprint of an Ed25519 key (RFC 7638, RFC 8037): the `kid` and `jkt` of signed statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    /// Returns the thumbprint written as 43 characters of base64url, if `text` is that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let decoded = Base64UrlUnpadded::decode(text, &mut bytes).ok()?;
        (decoded.len() == 32).then_some(Self(bytes))
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64UrlUnpadded::encode_string(&self.0))
    }
}

/// A public key that can carry evidence: canonical and not of small order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    thumbprint: Thumbprint,
}

/// Why text or bytes are no usable public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text does not name the algorithm.
    #[error("does not start with `ed25519:`")]
    Prefix,
    /// Not 32 bytes of RFC 4648 base64 with padding.
    #[error("is not 44 characters of padded base64, which hold 32 bytes")]
    Base64,
    /// No canonical encoding of a point of the curve.
    #[error("is not the canonical encoding of a point of the curve")]
    NotAPoint,
    /// Under a key of small order one signature passes for many messages.
    #[error("has small order: anybody could sign for it")]
    Weak,
}

impl PublicKey {
    /// Returns the key with these 32 bytes (RFC 8032 section 5.1.2).
    ///
    /// # Errors
    /// Bytes that are no canonical point, or one of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?;
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyError::NotAPoint);
        }
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        Ok(Self { thumbprint: thumbprint(bytes), key })
    }

    /// Returns the key written as `ed25519:<base64>`, as configuration files have it.
    ///
    /// # Errors
    /// Another form, or a key that [`PublicKey::from_bytes`] refuses.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let base64 = text.strip_prefix("ed25519:").ok_or(KeyError::Prefix)?;
        let mut bytes = [0; 32];
        match Base64::decode(base64, &mut bytes) {
            Ok(decoded) if decoded.len() == 32 => Self::from_bytes(&bytes),
            _ => Err(KeyError::Base64),
        }
    }

    /// Returns the key's thumbprint, computed once.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// Returns whether `signature` (64 bytes) is this key's over `message`, by strict verification.
    #[must_use]
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", Base64::encode_string(self.key.as_bytes()))
    }
}

/// A private key. Wiped when dropped, never printed.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    public: PublicKey,
}

impl SigningKey {
    /// Returns the key that grows from this seed (RFC 8032 section 5.1.5).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let verifying = key.verifying_key();
        let public = PublicKey { thumbprint: thumbprint(verifying.as_bytes()), key: verifying };
        Self { key, public }
    }

    /// Returns the public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.thumbprint)
    }
}

/// RFC 7638 section 3 over the members that RFC 8037 section 2 requires, in lexicographic order.
fn thumbprint(key: &[u8; 32]) -> Thumbprint {
    let x = Base64UrlUnpadded::encode_string(key);
    Thumbprint(Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprint_is_that_of_rfc_8037_appendix_a_3() {
        let key = Base64UrlUnpadded::decode_vec("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let public = PublicKey::from_bytes(&key.try_into().unwrap()).unwrap();
        assert_eq!(public.thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(Thumbprint::parse("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"), Some(public.thumbprint()));
        assert_eq!(PublicKey::parse(&public.to_string()), Ok(public));
    }

    #[track_caller]
    fn refuses(text: &str, error: KeyError) {
        assert_eq!(PublicKey::parse(text), Err(error));
    }

    #[test]
    fn refuses_keys_that_prove_nothing() {
        let text = |bytes: [u8; 32]| format!("ed25519:{}", Base64::encode_string(&bytes));
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut beyond_p = [0xff; 32];
        beyond_p[0] = 0xf0; // p + 3, an encoding of y = 3
        beyond_p[31] = 0x7f;
        refuses(&text(neutral), KeyError::Weak);
        refuses(&text(beyond_p), KeyError::NotAPoint);
        refuses(&text([2; 32]), KeyError::NotAPoint);
        refuses("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", KeyError::Prefix);
        refuses("ed25519:AAAA", KeyError::Base64);
        refuses("ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo", KeyError::Base64);
        refuses("ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURp=", KeyError::Base64);
    }

    #[test]
    fn a_private_key_prints_only_its_thumbprint() {
        let key = SigningKey::from_seed(&[7; 32]);
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public().thumbprint()));
    }
}
