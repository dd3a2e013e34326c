//! Keys, key ids and strict Ed25519 (RFC 8032; format.md section 1).

use alloc::format;
use alloc::string::String;
use core::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::leaf::Hash;
use crate::text::{base64, read_base64, read_hex, write_hex};

/// The algorithm byte of an Ed25519 key.
pub const ED25519: u8 = 0x01;
/// The algorithm byte of a timestamped cosignature's key id (C2SP tlog-cosignature).
pub const COSIGNATURE: u8 = 0x04;
/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 64;
/// Bytes of a public key with its algorithm byte.
pub const PUBLIC_KEY_LEN: usize = 33;

/// An Ed25519 public key that is safe to register: canonically encoded, on the curve and not of small order.
#[derive(Clone, Copy)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Takes an algorithm byte and a key.
    ///
    /// # Errors
    /// When the algorithm is unknown or the key is weak.
    pub fn from_bytes33(bytes: &[u8; PUBLIC_KEY_LEN]) -> Result<PublicKey, KeyError> {
        let [ED25519, key @ ..] = bytes else { return Err(KeyError::UnknownAlgorithm { got: bytes[0] }) };
        PublicKey::from_bytes(key)
    }

    /// Takes the 32 bytes of an Ed25519 key.
    ///
    /// With a key of small order one signature verifies for every message, so those are refused here, once, along with
    /// second encodings of a point (`verify_strict` checks neither the encoding nor the moment of registration).
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a point, or the point has small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<PublicKey, KeyError> {
        if !is_canonical(bytes) {
            return Err(KeyError::Undecodable);
        }
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Undecodable)?;
        if key.is_weak() { Err(KeyError::SmallOrder) } else { Ok(PublicKey(key)) }
    }

    /// The key without its algorithm byte.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The algorithm byte and the key, as they stand in root leaves and openings.
    pub fn to_bytes33(&self) -> [u8; PUBLIC_KEY_LEN] {
        let mut bytes = [ED25519; PUBLIC_KEY_LEN];
        bytes[1..].copy_from_slice(self.as_bytes());
        bytes
    }

    /// The key's id under a name.
    pub fn id(&self, name: &str) -> KeyId {
        key_id(name, ED25519, self.as_bytes())
    }

    /// Verifies strictly: canonical `s`, canonical encodings, neither key nor `R` of small order.
    ///
    /// # Errors
    /// When the signature is not this key's over this message.
    pub fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> Result<(), BadSignature> {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).map_err(|_| BadSignature)
    }

    /// Writes the key as a C2SP verifier key: `<name>+<8 hex of the key id>+<base64 of the 33 bytes>`.
    pub fn vkey(&self, name: &str) -> String {
        let mut hex = String::new();
        // Writing into a String cannot fail.
        let _ = write_hex(&mut hex, &self.id(name).note_id());
        format!("{name}+{hex}+{}", base64(&self.to_bytes33()))
    }

    /// Reads a C2SP verifier key, and the name that it carries.
    ///
    /// # Errors
    /// When the text has another form, the key id is not that of name and key, or the key is refused.
    pub fn parse_vkey(text: &str) -> Result<(&str, PublicKey), KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::VkeyForm)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError::VkeyForm)?;
        let id: [u8; 4] = read_hex(id).ok_or(KeyError::VkeyForm)?;
        let bytes = read_base64(key).ok_or(KeyError::VkeyForm)?;
        let bytes: &[u8; PUBLIC_KEY_LEN] = bytes.as_slice().try_into().map_err(|_| KeyError::VkeyForm)?;
        let key = PublicKey::from_bytes33(bytes)?;
        if key.id(name).note_id() == id { Ok((name, key)) } else { Err(KeyError::VkeyId) }
    }
}

/// Whether the y coordinate is below 2^255 - 19. (The other second encoding, a sign bit on x = 0, has small order.)
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let y_top = bytes[31] & 0x7f;
    let all_ones = bytes[1..31].iter().all(|byte| *byte == 0xff);
    !(y_top == 0x7f && all_ones && bytes[0] >= 0xed)
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &PublicKey) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        write_hex(f, self.as_bytes())?;
        f.write_str(")")
    }
}

/// A key's id: H(name || 0x0A || algorithm byte || key). The algorithm is fixed by it; no signature names one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub Hash);

impl KeyId {
    /// The first four bytes: the key id of C2SP signed notes.
    pub fn note_id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.0;
        [a, b, c, d]
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns the id of a key under a name, for an algorithm byte.
pub fn key_id(name: &str, algorithm: u8, key: &[u8; 32]) -> KeyId {
    let mut hasher = Sha256::new();
    hasher.update(name);
    hasher.update([b'\n', algorithm]);
    hasher.update(key);
    KeyId(hasher.finalize().into())
}

/// Something that signs with one Ed25519 key: a [`SecretKey`], or later a KMS or HSM.
pub trait Signer {
    /// The public half.
    fn public(&self) -> PublicKey;
    /// Signs the message.
    fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN];
}

/// A private key in memory. Wiped when dropped, never printed, never copied.
pub struct SecretKey {
    key: SigningKey,
    public: PublicKey,
}

impl SecretKey {
    /// Makes the key of a 32-byte seed, and wipes the seed.
    pub fn from_seed(seed: &mut [u8; 32]) -> SecretKey {
        let key = SigningKey::from_bytes(seed);
        seed.zeroize();
        // The public half of a seed is a clamped multiple of the base point: canonical and of large order.
        let public = PublicKey(key.verifying_key());
        SecretKey { key, public }
    }
}

impl Signer for SecretKey {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// The signature is not the key's over the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// A public key or verifier key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// An algorithm byte other than 0x01.
    #[error("algorithm byte {got:#04x} is unknown")]
    UnknownAlgorithm {
        /// The byte found.
        got: u8,
    },
    /// Not the canonical encoding of a point of the curve.
    #[error("the key does not decode")]
    Undecodable,
    /// A point of small order, with which one signature verifies for every message.
    #[error("the key has small order")]
    SmallOrder,
    /// Not `<name>+<8 hex>+<base64 of 33 bytes>`.
    #[error("a verifier key is <name>+<8 hex digits>+<base64 of 33 bytes>")]
    VkeyForm,
    /// The key id in the text is another than that of name and key.
    #[error("the verifier key's id is not that of its name and key")]
    VkeyId,
}
