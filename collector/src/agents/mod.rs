//! What agents may ask besides having their spans sealed: to enrol a key, and to have an action approved.
//!
//! Served on every OTLP address, so that an agent needs one endpoint. `docs/claims.md` sections 7 and 8.

mod approvals;
mod enrol;
mod folder;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{get, post};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use spanseal_authority::Authority;
use spanseal_authority::key::SigningKey;

pub use folder::{Folder, FolderError};

/// What agents' questions are answered with.
#[derive(Debug)]
pub(crate) struct Agents {
    /// The collector's name.
    pub(crate) name: String,
    pub(crate) authority: Arc<Authority>,
    /// Signs enrolment receipts.
    pub(crate) enrolment: Arc<SigningKey>,
    pub(crate) folder: Folder,
    pub(crate) dev: Option<Dev>,
}

/// A throw-away root: whoever asks is enrolled and approved.
#[derive(Debug)]
pub(crate) struct Dev {
    /// Signs approvals in the name of [`DEV_APPROVER`].
    pub(crate) approver: Arc<SigningKey>,
}

/// Who approves in a development set-up.
pub const DEV_APPROVER: &str = "dev-approver@localhost";

/// Stands between agents and [`Agents`], who are there once the data directory is open.
#[derive(Debug, Default)]
pub(crate) struct Reception(OnceLock<Agents>);

impl Reception {
    /// Answers from now on.
    pub(crate) fn open(&self, agents: Agents) {
        // It is opened once.
        let _ = self.0.set(agents);
    }

    fn agents(&self) -> Result<&Agents, Refused> {
        let starting = || Refused {
            code: StatusCode::SERVICE_UNAVAILABLE,
            error: "the collector is starting".to_owned(),
            remedy: "ask again in a moment",
        };
        self.0.get().ok_or_else(starting)
    }
}

/// Returns the paths that agents ask at.
pub(crate) fn router(reception: Arc<Reception>) -> Router {
    Router::new()
        .route("/v1/provenance/enrolments", post(enrol::enrol))
        .route("/v1/provenance/approvals", post(approvals::ask))
        .route("/v1/provenance/approvals/{id}", get(approvals::look))
        .route("/v1/provenance/approvals/{id}/request", get(approvals::request))
        .route("/v1/provenance/approvals/{id}/answer", post(approvals::take))
        .with_state(reception)
}

/// Why a question is not answered, and what to do about it.
#[derive(Debug)]
struct Refused {
    code: StatusCode,
    error: String,
    remedy: &'static str,
}

impl Refused {
    fn bad(error: impl ToString, remedy: &'static str) -> Self {
        Self { code: StatusCode::BAD_REQUEST, error: error.to_string(), remedy }
    }
}

/// Does what goes to the disk, where it keeps no thread from taking spans.
async fn on_disk<T: Send + 'static>(
    reception: Arc<Reception>,
    work: impl FnOnce(&Agents) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(move || work(reception.agents()?)).await;
    done.unwrap_or_else(|error| {
        Err(Refused {
            code: StatusCode::INTERNAL_SERVER_ERROR,
            error: error.to_string(),
            remedy: "look at the collector's log",
        })
    })
}

fn answer<T: Serialize>(answered: Result<T, Refused>) -> Response<Body> {
    let (code, body) = match answered {
        Ok(answer) => (StatusCode::OK, json!(answer)),
        Err(Refused { code, error, remedy }) => (code, json!({ "error": error, "remedy": remedy })),
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if code == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}

async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Refused> {
    let whole = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX)).await;
    let bytes = whole
        .map_err(|_| Refused::bad("the request did not come in time", "send it within ten seconds"))?
        .map_err(|_| Refused::bad("the request is broken or longer than 64 KiB", "send less"))?;
    serde_json::from_slice(&bytes).map_err(|error| Refused::bad(error, "compare it with docs/claims.md"))
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Returns 32 hex digits from the operating system.
fn random_id() -> Result<String, Refused> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Refused {
        code: StatusCode::INTERNAL_SERVER_ERROR,
        error: format!("no random bytes from the operating system: {error}"),
        remedy: "look at the machine",
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

const BODY_BYTES_MAX: usize = 64 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
