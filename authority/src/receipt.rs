//! Enrolment: how a key that a program made at its start becomes that of an actor. `docs/claims.md` section 7.
//!
//! The program signs a [`Request`] with the key, a collector that authenticated it answers with a signed [`Receipt`], and
//! claims under that key carry the receipt, so that every collector that trusts the first knows whose they are.

use crate::action::Digest;
use crate::claims::{Credential, Party};
use crate::json::Json;
use crate::jws::{self, Jws, JwsError};
use crate::key::{PublicKey, SigningKey, Thumbprint};
use crate::members::{MemberError, Members};

/// The `typ` of a receipt's header.
pub const TYP: &str = "provenance-enrolment+jwt";

/// The `typ` of a request's header.
pub const REQUEST_TYP: &str = "provenance-enrolment-request+jwt";

/// Longest receipt or request that is read, in bytes.
pub const BYTES_MAX: usize = 4 << 10;

/// What a program asks for, signed by the key that it asks for. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `iat`: when it was signed.
    pub issued_at: u64,
    /// `key`: the key, which also signs.
    pub key: PublicKey,
    /// `actor`: as whom.
    pub actor: Party,
}

/// That a key is an actor's, signed by the collector that found so. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// `iss`: the collector's name.
    pub issuer: String,
    /// `aud`: the deployment for which it holds.
    pub audience: String,
    /// `nbf`: from when on.
    pub not_before: u64,
    /// `exp`: until before when.
    pub expires: u64,
    /// `jti`: names it.
    pub id: String,
    /// `actor`: whose key it is.
    pub actor: Party,
    /// `owner`: who answers for the actor.
    pub owner: Option<String>,
    /// `key`: the key.
    pub key: PublicKey,
    /// `method`: how the collector found so.
    pub method: Method,
    /// `credential`: with what the actor identified itself.
    pub credential: Option<Credential>,
}

/// How a collector found out whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By the certificate of the connection.
    Mtls,
    /// By a token for this deployment.
    Token,
    /// Not at all: a throw-away root for trying things out.
    Dev,
}

impl Method {
    /// Returns the word in receipts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mtls => "mtls",
            Self::Token => "token",
            Self::Dev => "dev",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Mtls, Self::Token, Self::Dev].into_iter().find(|method| method.as_str() == text)
    }
}

/// Why a text holds no receipt or request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Not a JWS of one.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A member is missing or not what it must be.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A request that another key signed than the one that it is for.
    #[error("the request is not signed by the key that it names")]
    NotItsKey,
}

impl Request {
    /// Returns the request in `token`, once it is signed by the key that it asks for.
    ///
    /// # Errors
    /// A text that is no request, or not that key's.
    pub fn verify(token: &str) -> Result<Self, ReceiptError> {
        let jws = Jws::parse(token, REQUEST_TYP, BYTES_MAX)?;
        let payload = jws.payload()?;
        let members = Members::of(&payload, "")?;
        let request = Self {
            issued_at: members.integer("iat", 0)?,
            key: key_of(members)?,
            actor: Party::from_members(members.object("actor")?)?,
        };
        if jws.kid != request.key.thumbprint() || !jws.is_signed_by(&request.key) {
            return Err(ReceiptError::NotItsKey);
        }
        Ok(request)
    }

    /// Returns the compact JWS of a request for this key.
    #[must_use]
    pub fn sign(issued_at: u64, actor: &Party, key: &SigningKey) -> String {
        let payload = Json::Object(vec![
            ("iat".to_owned(), Json::Integer(issued_at as i64)),
            ("key".to_owned(), Json::String(key.public().to_string())),
            ("actor".to_owned(), actor.to_json()),
        ]);
        jws::sign(REQUEST_TYP, &payload, key)
    }
}

impl Receipt {
    /// Returns what a receipt says, **without checking who said it**.
    ///
    /// # Errors
    /// A text that is no receipt.
    pub fn read_unverified(token: &str) -> Result<Self, ReceiptError> {
        Self::read(&Jws::parse(token, TYP, BYTES_MAX)?)
    }

    /// Returns what the receipt says, whose signature is the caller's to check.
    pub(crate) fn read(jws: &Jws<'_>) -> Result<Self, ReceiptError> {
        let payload = jws.payload()?;
        let members = Members::of(&payload, "")?;
        Ok(Self {
            issuer: members.text("iss")?,
            audience: members.text("aud")?,
            not_before: members.integer("nbf", 0)?,
            expires: members.integer("exp", 0)?,
            id: members.text("jti")?,
            actor: Party::from_members(members.object("actor")?)?,
            owner: members.optional_text("owner")?,
            key: key_of(members)?,
            method: members.parsed("method", "`mtls`, `token` or `dev`", Method::parse)?,
            credential: members.optional_object("credential")?.map(Credential::from_members).transpose()?,
        })
    }

    /// Returns the compact JWS of this receipt.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        let text = |text: &str| Json::String(text.to_owned());
        let mut members = vec![
            ("iss".to_owned(), text(&self.issuer)),
            ("aud".to_owned(), text(&self.audience)),
            ("nbf".to_owned(), Json::Integer(self.not_before as i64)),
            ("exp".to_owned(), Json::Integer(self.expires as i64)),
            ("jti".to_owned(), text(&self.id)),
            ("actor".to_owned(), self.actor.to_json()),
            ("key".to_owned(), Json::String(self.key.to_string())),
            ("method".to_owned(), text(self.method.as_str())),
        ];
        members.extend(self.owner.as_deref().map(|owner| ("owner".to_owned(), text(owner))));
        members.extend(self.credential.as_ref().map(|credential| ("credential".to_owned(), credential.to_json())));
        jws::sign(TYP, &Json::Object(members), key)
    }

    /// Returns the thumbprint of the key that it is about.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.key.thumbprint()
    }

    /// Returns the digest of the credential that the actor identified itself with.
    pub(crate) fn credential_digest(&self) -> Option<Digest> {
        self.credential.as_ref().and_then(|credential| credential.digest)
    }
}

fn key_of(members: Members<'_>) -> Result<PublicKey, MemberError> {
    members.parsed("key", "a public key, `ed25519:<base64>`", |text| PublicKey::parse(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor() -> Party {
        Party { id: "spiffe://acme.example/agent/deployer".into(), kind: "agent".into() }
    }

    fn receipt() -> Receipt {
        Receipt {
            issuer: "acme.example/agents".into(),
            audience: "acme.example/agents".into(),
            not_before: 10,
            expires: 20,
            id: "enr-1".into(),
            actor: actor(),
            owner: Some("team:platform".into()),
            key: SigningKey::from_seed(&[1; 32]).public().clone(),
            method: Method::Token,
            credential: Some(Credential {
                kind: "kubernetes".into(),
                digest: Some(Digest([1; 32])),
                ..Credential::default()
            }),
        }
    }

    #[test]
    fn a_receipt_reads_back() {
        for method in [Method::Mtls, Method::Token, Method::Dev] {
            let receipt = Receipt { method, ..receipt() };
            assert_eq!(Receipt::read_unverified(&receipt.sign(&SigningKey::from_seed(&[2; 32]))).unwrap(), receipt);
        }
        let bare = Receipt { owner: None, credential: None, ..receipt() };
        assert_eq!(Receipt::read_unverified(&bare.sign(&SigningKey::from_seed(&[2; 32]))).unwrap(), bare);
    }

    #[test]
    fn a_request_is_signed_by_the_key_that_it_is_for() {
        let key = SigningKey::from_seed(&[1; 32]);
        let token = Request::sign(7, &actor(), &key);
        let read = Request::verify(&token).unwrap();
        assert_eq!(read, Request { issued_at: 7, key: key.public().clone(), actor: actor() });
        assert!(Request::verify(&receipt().sign(&key)).is_err(), "another type of statement");
        for at in 0..token.len() {
            let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
            assert!(Request::verify(&[&token[..at], other, &token[at + 1..]].concat()).is_err(), "{at}");
        }
    }

    #[test]
    fn a_request_in_anothers_name_is_refused() {
        let (key, other) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let payload = Json::Object(vec![
            ("iat".to_owned(), Json::Integer(7)),
            ("key".to_owned(), Json::String(other.public().to_string())),
            ("actor".to_owned(), actor().to_json()),
        ]);
        assert!(matches!(Request::verify(&jws::sign(REQUEST_TYP, &payload, &key)), Err(ReceiptError::NotItsKey)));
    }
}
