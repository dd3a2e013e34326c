//! Small JSON calls over HTTP: to the collector, to whoever approves, to a policy decision point.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::uri::{InvalidUri, PathAndQuery};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;

type Plain = Client<HttpConnector, Full<Bytes>>;
type Tls = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    plain: Plain,
    /// Made when it is needed: it reads the system's certificate authorities.
    tls: Arc<OnceLock<Tls>>,
}

/// Why there is no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("{url} cannot be reached: {cause}; check that it runs, and the address")]
    Unreachable { url: Uri, cause: String },
    #[error("{url} did not answer within {} s", CALL_TIMEOUT.as_secs())]
    Slow { url: Uri },
    #[error("{url} answered {code}{}", said(.body))]
    Refused { url: Uri, code: StatusCode, body: String },
    #[error("{url} answered with something else than what was asked for: {error}")]
    Other { url: Uri, error: serde_json::Error },
}

/// One call.
pub(crate) struct Call<'a, B> {
    pub(crate) method: Method,
    pub(crate) url: Uri,
    pub(crate) bearer: Option<&'a str>,
    pub(crate) body: Option<&'a B>,
}

impl Http {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { plain: Client::builder(TokioExecutor::new()).build(connector), tls: Arc::default() }
    }

    /// Calls, and reads the answer.
    ///
    /// # Errors
    /// No connection, no answer in time, a refusal, or something else than `T`.
    pub(crate) async fn call<B: Serialize, T: DeserializeOwned>(&self, call: Call<'_, B>) -> Result<T, HttpError> {
        let url = call.url.clone();
        match tokio::time::timeout(CALL_TIMEOUT, self.exchange(call)).await {
            Err(_) => Err(HttpError::Slow { url }),
            Ok(Err(cause)) => Err(HttpError::Unreachable { url, cause }),
            Ok(Ok((code, body))) if code.is_success() => {
                serde_json::from_slice(&body).map_err(|error| HttpError::Other { url, error })
            }
            Ok(Ok((code, body))) => {
                Err(HttpError::Refused { url, code, body: String::from_utf8_lossy(&body).into_owned() })
            }
        }
    }

    /// Posts protobuf, and returns the answer's code and body.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn post_protobuf(
        &self,
        url: &Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), String> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        self.send(request).await
    }

    async fn exchange<B: Serialize>(&self, call: Call<'_, B>) -> Result<(StatusCode, Bytes), String> {
        let text = call.body.map(serde_json::to_vec).transpose().map_err(|error| error.to_string())?;
        let mut request = Request::builder().method(call.method).uri(call.url);
        request = request.header(ACCEPT, "application/json").header(CONTENT_TYPE, "application/json");
        if let Some(token) = call.bearer {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request =
            request.body(Full::new(Bytes::from(text.unwrap_or_default()))).map_err(|error| error.to_string())?;
        self.send(request).await
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
        let answer = match request.uri().scheme_str() {
            Some("https") => self.tls()?.request(request).await,
            _ => self.plain.request(request).await,
        };
        let answer = answer.map_err(|error| causes(&error))?;
        let code = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok((code, body.map_err(|error| error.to_string())?.to_bytes()))
    }

    fn tls(&self) -> Result<&Tls, String> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls);
        }
        let roots = HttpsConnectorBuilder::new().with_native_roots();
        let roots = roots.map_err(|error| format!("the system's root certificates cannot be read: {error}"))?;
        let connector = roots.https_only().enable_http1().build();
        Ok(self.tls.get_or_init(|| Client::builder(TokioExecutor::new()).build(connector)))
    }
}

/// Returns `base` with another path.
///
/// # Errors
/// A path that is none.
pub(crate) fn at(base: &Uri, path: &str) -> Result<Uri, InvalidUri> {
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path)?);
    Ok(Uri::from_parts(parts).unwrap_or_else(|_| base.clone()))
}

/// The error and what it came from, since the first alone says only "client error" or "transport error".
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn said(body: &str) -> String {
    let error =
        |name: &str| Some(serde_json::from_str::<serde_json::Value>(body).ok()?.get(name)?.as_str()?.to_owned());
    match (error("error"), error("remedy")) {
        (Some(error), Some(remedy)) => format!(": {error}; {remedy}"),
        (Some(error), None) => format!(": {error}"),
        _ => String::new(),
    }
}

const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 256 << 10;
