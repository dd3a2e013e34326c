//! Where requests are: in a folder, a data directory's among them, or behind a URL.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use spanseal_authority::asking::{Answered, Asked};
use spanseal_collector::agents::Folder;

/// Flags that say where requests are.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    #[command(flatten)]
    data: crate::settings::DataDir,
    /// A folder of requests, instead of the data directory's.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    folder: Option<PathBuf>,
    /// Where the collector takes requests, for whoever cannot read its data directory, for example
    /// http://127.0.0.1:4317/v1/provenance/approvals
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

impl Place {
    /// Returns the folder.
    ///
    /// # Errors
    /// When a URL was named instead.
    pub(super) fn folder(&self) -> anyhow::Result<Folder> {
        if self.url.is_some() {
            bail!("this needs the folder itself: use --data or --folder");
        }
        Ok(Folder::at(self.folder.clone().unwrap_or_else(|| self.data.open().approvals())))
    }

    /// Returns a request, which must be the one that was asked for.
    pub(super) async fn request(&self, id: &str) -> anyhow::Result<Asked> {
        let asked: Asked = match &self.url {
            Some(url) => call(Method::GET, &format!("{url}/{id}/request"), None).await?,
            None => self.folder()?.request(id)?,
        };
        if asked.id != id {
            bail!("the answer is request {:?}, not {id}", asked.id);
        }
        Ok(asked)
    }

    /// Returns what became of a request.
    pub(super) async fn answered(&self, id: &str) -> anyhow::Result<Answered> {
        match &self.url {
            Some(url) => call(Method::GET, &format!("{url}/{id}"), None).await,
            None => Ok(self.folder()?.answered(id)?.unwrap_or(Answered::Pending)),
        }
    }

    /// Gives an answer.
    pub(super) async fn answer(&self, asked: &Asked, answered: &Answered) -> anyhow::Result<()> {
        match (&self.url, answered) {
            (Some(url), Answered::Approved { approval, .. }) => {
                let body = json!({ "approval": approval });
                call::<Value>(Method::POST, &format!("{url}/{}/answer", asked.id), Some(&body)).await.map(drop)
            }
            _ => Ok(self.folder()?.answer(&asked.id, answered)?),
        }
    }
}

async fn call<T: DeserializeOwned>(method: Method, url: &str, body: Option<&Value>) -> anyhow::Result<T> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let text = body.map(ToString::to_string).unwrap_or_default();
    let request = Request::builder().method(method).uri(url).header("content-type", "application/json");
    let request = request.body(Full::from(text)).with_context(|| format!("{url} is no URL"))?;
    let response = tokio::time::timeout(PATIENCE, client.request(request)).await.context("no answer in 5 s")?;
    let response = response.with_context(|| format!("nothing answers at {url}"))?;
    let code = response.status();
    let body = tokio::time::timeout(PATIENCE, Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect()).await?;
    let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
    if code.is_success() {
        return serde_json::from_slice(&body).with_context(|| format!("{url} answered with something else"));
    }
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let part = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    bail!("{url} answered {code}: {}; {}", part("error"), part("remedy"))
}

const PATIENCE: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 256 << 10;
