//! Asks somebody, and waits for the answer until a deadline.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::{Method, Uri};
use serde_json::Value;
use spanseal_authority::asking::{Answered, Asked, AskedAction, AskedParty};
use tokio::time::Instant;

use super::{Approval, Salts, Source, SourceError, Wanted};
use crate::hex;
use crate::http::{Call, Http};
use crate::policy::Answer;
use crate::producer::now_seconds;
use crate::random::random;

/// Asks at a URL: the collector's, or that of any system that takes the same JSON (`docs/claims.md` section 8).
#[derive(Clone, Debug)]
pub struct Desk {
    url: Uri,
    wait: Duration,
    http: Http,
}

/// Asks by a file in a folder, and waits for another beside it: `spanseal approvals` answers there.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    wait: Duration,
}

/// The URL of a desk is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no URL to ask for approvals at; write for example \"http://127.0.0.1:4317/v1/provenance/approvals\"")]
pub struct DeskUrlError(String);

impl Desk {
    /// Asks at this URL, and waits five minutes for an answer.
    ///
    /// # Errors
    /// A text that is no URL.
    pub fn at(url: &str) -> Result<Self, DeskUrlError> {
        let uri: Option<Uri> = url.parse().ok();
        let uri = uri.filter(|uri| uri.scheme().is_some() && uri.authority().is_some());
        Ok(Self::at_uri(uri.ok_or_else(|| DeskUrlError(url.to_owned()))?, Http::new()))
    }

    pub(crate) fn at_uri(url: Uri, http: Http) -> Self {
        Self { url, wait: WAIT, http }
    }

    /// Waits for so long.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    async fn ask(&self, wanted: &Wanted<'_>) -> Result<Option<Approval>, SourceError> {
        let asked = asked(wanted, self.wait)?;
        let call = Call { method: Method::POST, url: self.url.clone(), bearer: None, body: Some(&asked) };
        let mut answered: Answered = self.http.call(call).await.map_err(unreachable)?;
        let look: Uri = format!("{}/{}", self.url, asked.id).parse().map_err(unreachable)?;
        let mut pause = Pause::until(self.wait);
        while answered == Answered::Pending {
            if !pause.next().await {
                return Err(timed_out(&asked, self.wait));
            }
            let call = Call::<()> { method: Method::GET, url: look.clone(), bearer: None, body: None };
            // What fails once may answer the next time, until the deadline.
            match self.http.call(call).await {
                Ok(answer) => answered = answer,
                Err(error) => tracing::debug!(%error, "no answer on approval yet"),
            }
        }
        read(answered, &asked, self.wait)
    }
}

impl Folder {
    /// Asks in this folder, and waits five minutes for an answer.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), wait: WAIT }
    }

    /// Waits for so long.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    async fn ask(&self, wanted: &Wanted<'_>) -> Result<Option<Approval>, SourceError> {
        let asked = asked(wanted, self.wait)?;
        let request = self.path.join(format!("{}.request.json", asked.id));
        let text = serde_json::to_string_pretty(&asked).map_err(unreachable)?;
        self.write(&request, &text)
            .await
            .map_err(|error| SourceError::Unreachable(format!("approval folder {}: {error}", self.path.display())))?;
        let answer = self.path.join(format!("{}.answer.json", asked.id));
        let mut pause = Pause::until(self.wait);
        while pause.next().await {
            match tokio::fs::read(&answer).await {
                Ok(text) => {
                    let answered = serde_json::from_slice(&text)
                        .map_err(|error| SourceError::Unreachable(format!("{}: {error}", answer.display())))?;
                    return read(answered, &asked, self.wait);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(SourceError::Unreachable(format!("{}: {error}", answer.display()))),
            }
        }
        Err(timed_out(&asked, self.wait))
    }

    /// Writes a file whole before it has its name.
    async fn write(&self, path: &Path, text: &str) -> std::io::Result<()> {
        tokio::fs::create_dir_all(&self.path).await?;
        let unfinished = path.with_extension("unfinished");
        tokio::fs::write(&unfinished, text).await?;
        tokio::fs::rename(&unfinished, path).await
    }
}

impl Source for Desk {
    fn find<'a>(&'a self, wanted: &'a Wanted<'a>) -> Answer<'a, Result<Option<Approval>, SourceError>> {
        Box::pin(self.ask(wanted))
    }
}

impl Source for Folder {
    fn find<'a>(&'a self, wanted: &'a Wanted<'a>) -> Answer<'a, Result<Option<Approval>, SourceError>> {
        Box::pin(self.ask(wanted))
    }
}

/// Writes down what is wanted.
fn asked(wanted: &Wanted<'_>, wait: Duration) -> Result<Asked, SourceError> {
    let (action, actor) = (wanted.action, wanted.actor);
    let salts = Salts::random().map_err(unreachable)?;
    let digested = action.digested(&salts).map_err(unreachable)?;
    let id: [u8; 16] = random().map_err(unreachable)?;
    let business = actor.business_for(&action.business);
    let now = now_seconds();
    Ok(Asked {
        id: hex::text(&id),
        action: AskedAction {
            kind: digested.kind.clone(),
            target: digested.target.clone(),
            tool: digested.tool.clone(),
            arguments: digested.arguments.map(|digest| digest.to_string()),
            salt: hex::text(&digested.salt),
            digest: digested.digest().to_string(),
        },
        arguments_salt: hex::text(&salts.arguments),
        revealed: action.revealed.clone().filter(|shown| *shown != Value::Null),
        actor: AskedParty::from(actor.party()),
        actor_key: wanted.actor_key.to_owned(),
        audience: wanted.audience.to_owned(),
        initiator: actor.initiator().map(AskedParty::from),
        owner: actor.owner_id().map(str::to_owned),
        business: business
            .members()
            .into_iter()
            .filter_map(|(name, value)| Some((name.into(), value?.into())))
            .collect(),
        reason: action.reason.clone(),
        asked: now,
        deadline: now + wait.as_secs(),
    })
}

fn read(answered: Answered, asked: &Asked, wait: Duration) -> Result<Option<Approval>, SourceError> {
    match answered {
        Answered::Pending | Answered::Expired => Err(timed_out(asked, wait)),
        Answered::Denied { by, reason } => Err(SourceError::Denied { by, reason }),
        Answered::Approved { approval, salt, arguments_salt } => {
            let bytes = |text: &str| {
                hex::bytes(text).ok_or_else(|| unreachable("the answer's salts are not 32 hex digits each"))
            };
            Ok(Some(Approval::from_parts(approval, bytes(&salt)?, bytes(&arguments_salt)?)))
        }
    }
}

fn unreachable(error: impl ToString) -> SourceError {
    SourceError::Unreachable(error.to_string())
}

fn timed_out(asked: &Asked, wait: Duration) -> SourceError {
    SourceError::TimedOut { request: asked.id.clone(), seconds: wait.as_secs() }
}

/// Pauses that grow, until a deadline.
struct Pause {
    deadline: Instant,
    next: Duration,
}

impl Pause {
    fn until(wait: Duration) -> Self {
        Self { deadline: Instant::now() + wait, next: PAUSE_FIRST }
    }

    /// Pauses, and returns whether there is time left.
    async fn next(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.deadline {
            return false;
        }
        tokio::time::sleep_until((now + self.next).min(self.deadline)).await;
        self.next = (self.next * 2).min(PAUSE_LAST);
        true
    }
}

const WAIT: Duration = Duration::from_secs(300);
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LAST: Duration = Duration::from_secs(3);
