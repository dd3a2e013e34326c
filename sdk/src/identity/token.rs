//! Tokens that the platform issues: in a file, as Kubernetes projects them, and from GitHub Actions.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding};
use hyper::{Method, Uri};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::proof::{Credential, Identity, IdentityError, Proof};
use crate::http::{Call, Http};
use crate::policy::Answer;

/// A JWT in a file that something else keeps fresh: a projected service account token, a JWT-SVID, any other.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
    kind: String,
}

impl TokenFile {
    /// Reads the token from `path` each time that it is needed.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), kind: "jwt".to_owned() }
    }

    /// The token that Kubernetes projects into a pod, made for the collector's audience: a volume source
    /// `serviceAccountToken` with `audience` and `path`.
    #[must_use]
    pub fn kubernetes(path: impl AsRef<Path>) -> Self {
        Self { kind: "kubernetes".to_owned(), ..Self::new(path) }
    }
}

impl Identity for TokenFile {
    fn prove(&self) -> Answer<'_, Result<Proof, IdentityError>> {
        Box::pin(async {
            let error = |cause: &dyn std::fmt::Display| {
                IdentityError(format!(
                    "token file {}: {cause}; check the volume or agent that writes it",
                    self.path.display()
                ))
            };
            let token = tokio::fs::read_to_string(&self.path).await.map_err(|cause| error(&cause))?;
            proof(token.trim(), &self.kind).map_err(|cause| error(&cause))
        })
    }
}

/// The OIDC token of a GitHub Actions job, which needs `permissions: id-token: write`.
#[derive(Clone, Debug)]
pub struct GitHubOidc {
    audience: String,
    http: Http,
}

impl GitHubOidc {
    /// Asks for tokens for this audience: the collector's.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        Self { audience: audience.into(), http: Http::new() }
    }

    async fn ask(&self) -> Result<Proof, IdentityError> {
        let variable = |name: &str| {
            std::env::var(name)
                .map_err(|_| IdentityError(format!("{name} is not set; give the job `permissions: id-token: write`")))
        };
        let bearer = Zeroizing::new(variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?);
        let url = format!("{}&audience={}", variable("ACTIONS_ID_TOKEN_REQUEST_URL")?, escaped(&self.audience));
        let url: Uri = url.parse().map_err(|error| IdentityError(format!("ACTIONS_ID_TOKEN_REQUEST_URL: {error}")))?;
        let call = Call::<()> { method: Method::GET, url, bearer: Some(&bearer), body: None };
        let issued: Issued = self.http.call(call).await.map_err(|error| IdentityError(error.to_string()))?;
        proof(&issued.value, "github-oidc").map_err(IdentityError)
    }
}

#[derive(Deserialize)]
struct Issued {
    value: String,
}

impl Identity for GitHubOidc {
    fn prove(&self) -> Answer<'_, Result<Proof, IdentityError>> {
        Box::pin(self.ask())
    }
}

/// What is read of a JWT to say what it is. The collector checks it.
#[derive(Deserialize)]
struct Payload {
    iss: Option<String>,
    jti: Option<String>,
    exp: u64,
}

/// Returns the proof that a JWT is, unless it is none or has expired.
fn proof(token: &str, kind: &str) -> Result<Proof, String> {
    let payload = token.split('.').nth(1).and_then(|part| Base64UrlUnpadded::decode_vec(part).ok());
    let payload: Payload =
        payload.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or("it holds no JWT with an expiry")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if payload.exp <= now {
        return Err(format!("the token expired {} s ago", now - payload.exp));
    }
    let credential = Credential {
        kind: kind.to_owned(),
        issuer: payload.iss,
        id: payload.jti,
        expires: Some(payload.exp),
        rotation: None,
    };
    Ok(Proof::token(token.to_owned(), credential))
}

/// Percent-encodes a query value (RFC 3986 section 2.1).
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(payload: &str) -> String {
        format!("e30.{}.c2ln", Base64UrlUnpadded::encode_string(payload.as_bytes()))
    }

    async fn proven(text: &str) -> Result<Proof, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        TokenFile::kubernetes(file.path()).prove().await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn says_what_a_token_is_and_never_the_token() {
        let token = jwt(r#"{"iss":"https://k8s","jti":"t-1","exp":99999999999}"#);
        let proof = proven(&format!("{token}\n")).await.unwrap();
        let credential = &proof.credential;
        assert_eq!((credential.kind.as_str(), credential.id.as_deref()), ("kubernetes", Some("t-1")));
        assert_eq!(
            credential.digest,
            Some(spanseal_authority::action::Digest(<sha2::Sha256 as sha2::Digest>::digest(token.as_bytes()).into()))
        );
        assert!(!format!("{proof:?}").contains(&token));
    }

    #[tokio::test]
    async fn names_the_file_what_is_wrong_and_the_remedy() {
        let expired = proven(&jwt(r#"{"exp":1}"#)).await.unwrap_err();
        assert!(expired.contains("the token expired") && expired.ends_with("check the volume or agent that writes it"));
        assert!(proven("secret").await.unwrap_err().contains("it holds no JWT"));
        let missing = TokenFile::new("/nowhere/token").prove().await.unwrap_err().to_string();
        assert!(missing.starts_with("token file /nowhere/token: "), "{missing}");
    }

    #[test]
    fn escapes_an_audience() {
        assert_eq!(escaped("https://a.b/c d"), "https%3A%2F%2Fa.b%2Fc%20d");
    }
}
