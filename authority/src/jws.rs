//! Compact JWS (RFC 7515 section 3.1) with EdDSA over Ed25519 (RFC 8037), and nothing else.
//!
//! The header is exactly `alg`, `kid` and `typ`. The key is found by `kid`, which is the key's thumbprint; what the
//! header says of the algorithm is only ever compared. base64url is strict: no padding, no spare bits, so that one
//! statement has one text.

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::json::{Json, JsonError};
use crate::key::{PublicKey, SigningKey, Thumbprint};

/// Returns the compact JWS of `payload` in canonical form, with `typ` in its header.
#[must_use]
pub fn sign(typ: &str, payload: &Json, key: &SigningKey) -> String {
    let header = Json::Object(vec![
        ("alg".into(), Json::String("EdDSA".into())),
        ("kid".into(), Json::String(key.public().thumbprint().to_string())),
        ("typ".into(), Json::String(typ.into())),
    ]);
    let mut token = Base64UrlUnpadded::encode_string(header.canonical().as_bytes());
    token.push('.');
    token.push_str(&Base64UrlUnpadded::encode_string(payload.canonical().as_bytes()));
    let signature = key.sign(token.as_bytes());
    token.push('.');
    token.push_str(&Base64UrlUnpadded::encode_string(&signature));
    token
}

/// A JWS whose header was read and whose signature was not checked yet.
#[derive(Clone, Debug)]
pub struct Jws<'a> {
    /// Names the key that is said to have signed.
    pub kid: Thumbprint,
    signing_input: &'a str,
    payload: &'a str,
    signature: [u8; 64],
}

/// Why a text is no JWS as these statements use it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// Longer than statements of this type may be.
    #[error("{bytes} bytes long, {bytes_max} are allowed")]
    TooLong {
        /// Length found.
        bytes: usize,
        /// Length allowed.
        bytes_max: usize,
    },
    /// Not three parts with a dot between.
    #[error("not header, payload and signature with dots between")]
    Parts,
    /// A part is not strict base64url without padding.
    #[error("the {0} is not base64url without padding")]
    Base64(&'static str),
    /// The header or payload is not JSON of the subset.
    #[error("the {part} is refused: {error}")]
    Json {
        /// Which part.
        part: &'static str,
        /// What the parser met.
        error: JsonError,
    },
    /// The header has other members than `alg`, `kid` and `typ`, or other types than strings.
    #[error("the header is not exactly the strings alg, kid and typ")]
    Header,
    /// Not EdDSA.
    #[error("the algorithm is {0:?} instead of \"EdDSA\"")]
    Algorithm(String),
    /// A statement of another type.
    #[error("the type is {0:?}")]
    Type(String),
    /// `kid` is no thumbprint.
    #[error("the kid is not the thumbprint of a key")]
    KeyId,
    /// Not 64 bytes.
    #[error("the signature is not 64 bytes long")]
    SignatureLength,
}

impl<'a> Jws<'a> {
    /// Reads a compact JWS of this `typ`, without checking its signature.
    ///
    /// # Errors
    /// Whatever [`JwsError`] names, in the order: length, parts, header, algorithm, type, key id, signature's form.
    pub fn parse(token: &'a str, typ: &str, bytes_max: usize) -> Result<Self, JwsError> {
        if token.len() > bytes_max {
            return Err(JwsError::TooLong { bytes: token.len(), bytes_max });
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::Parts)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Parts)?;
        if payload.contains('.') {
            return Err(JwsError::Parts);
        }
        let kid = header_kid(header, typ)?;
        let signature = decode(signature, "signature")?.try_into().map_err(|_| JwsError::SignatureLength)?;
        Ok(Self { kid, signing_input, payload, signature })
    }

    /// Returns whether `key` signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.thumbprint() == self.kid && key.verifies(self.signing_input.as_bytes(), &self.signature)
    }

    /// Returns what it says, which means nothing before [`Jws::is_signed_by`].
    ///
    /// # Errors
    /// A payload that is not base64url of JSON of the subset.
    pub fn payload(&self) -> Result<Json, JwsError> {
        json(self.payload, "payload")
    }
}

fn header_kid(header: &str, expected_typ: &str) -> Result<Thumbprint, JwsError> {
    let Json::Object(members) = json(header, "header")? else { return Err(JwsError::Header) };
    let text = |name: &str| match members.iter().find(|(member, _)| member == name) {
        Some((_, Json::String(text))) => Ok(text.as_str()),
        _ => Err(JwsError::Header),
    };
    let algorithm = text("alg")?;
    if algorithm != "EdDSA" {
        return Err(JwsError::Algorithm(algorithm.chars().take(32).collect()));
    }
    let typ = text("typ")?;
    if typ != expected_typ {
        return Err(JwsError::Type(typ.chars().take(64).collect()));
    }
    let kid = Thumbprint::parse(text("kid")?).ok_or(JwsError::KeyId)?;
    if members.len() != 3 {
        return Err(JwsError::Header);
    }
    Ok(kid)
}

fn json(part: &str, name: &'static str) -> Result<Json, JwsError> {
    Json::parse(&decode(part, name)?).map_err(|error| JwsError::Json { part: name, error })
}

fn decode(part: &str, name: &'static str) -> Result<Vec<u8>, JwsError> {
    Base64UrlUnpadded::decode_vec(part).map_err(|_| JwsError::Base64(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYP: &str = "test+jwt";

    fn key() -> SigningKey {
        SigningKey::from_seed(&[9; 32])
    }

    fn token() -> String {
        sign(TYP, &Json::Object(vec![("n".into(), Json::Integer(1))]), &key())
    }

    /// A token with this header and payload, signed by [`key`].
    fn with(header: &str, payload: &str) -> String {
        let input = format!(
            "{}.{}",
            Base64UrlUnpadded::encode_string(header.as_bytes()),
            Base64UrlUnpadded::encode_string(payload.as_bytes())
        );
        let signature = Base64UrlUnpadded::encode_string(&key().sign(input.as_bytes()));
        format!("{input}.{signature}")
    }

    fn header(alg: &str, typ: &str, more: &str) -> String {
        format!(r#"{{"alg":"{alg}","kid":"{}","typ":"{typ}"{more}}}"#, key().public().thumbprint())
    }

    #[test]
    fn what_was_signed_verifies_and_reads_back() {
        let token = token();
        let jws = Jws::parse(&token, TYP, 4096).unwrap();
        assert!(jws.is_signed_by(key().public()));
        assert!(!jws.is_signed_by(SigningKey::from_seed(&[8; 32]).public()));
        assert_eq!(jws.payload().unwrap().canonical(), r#"{"n":1}"#);
    }

    #[track_caller]
    fn refuses(token: &str, cause: &str) {
        let error = Jws::parse(token, TYP, 4096).and_then(|jws| jws.payload()).unwrap_err().to_string();
        assert!(error.contains(cause), "{error}");
    }

    #[test]
    fn refuses_every_other_form() {
        refuses(&with(&header("none", TYP, ""), "{}"), "\"none\" instead of \"EdDSA\"");
        refuses(&with(&header("HS256", TYP, ""), "{}"), "\"HS256\" instead of \"EdDSA\"");
        refuses(&with(&header("EdDSA", "JWT", ""), "{}"), "the type is \"JWT\"");
        refuses(&with(&header("EdDSA", TYP, r#","crit":["b64"]"#), "{}"), "exactly the strings");
        refuses(&with(r#"{"alg":"EdDSA","typ":"test+jwt"}"#, "{}"), "exactly the strings");
        refuses(&with(&header("EdDSA", TYP, r#","alg":"EdDSA""#), "{}"), "stands twice");
        refuses(&with(r#"{"alg":"EdDSA","kid":"k1","typ":"test+jwt"}"#, "{}"), "not the thumbprint");
        refuses(&with(&header("EdDSA", TYP, ""), r#"{"n":1.5}"#), "payload is refused");
        refuses(&with(&header("EdDSA", TYP, ""), &format!("{:5000}", "{}")), "4096 are allowed");
        refuses("a.b", "dots between");
        refuses("", "dots between");
        refuses(&format!("{}.x", token()), "dots between");
        refuses(&format!("{}=", token()), "signature is not base64url");
        refuses(&token()[..token().len() - 2], "64 bytes");
    }

    #[test]
    fn no_other_text_than_the_signed_one_verifies() {
        let token = token();
        for at in 0..token.len() {
            for other in ["A", "B", "g", "_", "-", ".", "=", "+", "\n"] {
                let mut altered = token.clone();
                altered.replace_range(at..=at, other);
                let accepted = Jws::parse(&altered, TYP, 4096).is_ok_and(|jws| jws.is_signed_by(key().public()));
                assert_eq!(accepted, altered == token, "{altered}");
            }
        }
    }
}
