//! Enrols the program's key with the collector, and again before that runs out.

use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, Uri};
use serde::{Deserialize, Serialize};
use spanseal_authority::claims::Party;
use spanseal_authority::receipt::{Receipt, Request};
use tokio::sync::watch;

use super::proof::Identity;
use crate::approval::Approvers;
use crate::http::{Call, Http, at};
use crate::key::Key;
use crate::producer::{Standing, now_seconds};

/// How the program becomes known.
#[derive(Debug)]
pub(crate) struct Enrolment {
    pub(crate) collector: Uri,
    pub(crate) http: Http,
    pub(crate) key: Key,
    pub(crate) actor: Party,
    pub(crate) identity: Option<Box<dyn Identity>>,
    /// Of the program's own settings.
    pub(crate) audience: Option<String>,
    pub(crate) approvers: Approvers,
}

#[derive(Serialize)]
struct Asked {
    request: String,
}

#[derive(Deserialize)]
struct Enrolled {
    receipt: String,
    audience: String,
    #[serde(default)]
    approvals: Option<String>,
    #[serde(default)]
    approvers: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    key: String,
}

impl Enrolment {
    /// Keeps the program enrolled until nobody asks any more.
    pub(crate) async fn keep(self, standing: watch::Sender<Result<Standing, String>>) {
        let mut wait = RETRY_FIRST;
        loop {
            let pause = match self.once().await {
                Ok((enrolled, holds)) => {
                    wait = RETRY_FIRST;
                    // The receivers are gone when the program ends.
                    let _ = standing.send(Ok(enrolled));
                    holds.mul_f64(0.7).max(RETRY_FIRST)
                }
                Err(cause) => {
                    let kept = standing.borrow().is_ok();
                    if !kept {
                        let _ = standing.send(Err(cause));
                    }
                    let longer = (wait * 2).min(RETRY_LAST);
                    std::mem::replace(&mut wait, longer)
                }
            };
            tokio::select! {
                () = standing.closed() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Enrols once, and returns for how long that holds.
    async fn once(&self) -> Result<(Standing, Duration), String> {
        let proof = match &self.identity {
            Some(identity) => Some(identity.prove().await.map_err(|error| error.to_string())?),
            None => None,
        };
        let asked = Asked { request: Request::sign(now_seconds(), &self.actor, self.key.signing()) };
        let url = at(&self.collector, PATH).map_err(|error| error.to_string())?;
        let bearer = proof.as_ref().map(|proof| proof.token.as_str());
        let call = Call { method: Method::POST, url, bearer, body: Some(&asked) };
        let enrolled: Enrolled = self.http.call(call).await.map_err(|error| error.to_string())?;
        let receipt = Receipt::read_unverified(&enrolled.receipt)
            .map_err(|error| format!("the collector's enrolment receipt cannot be read: {error}"))?;
        if let Some(audience) = self.audience.as_ref().filter(|audience| **audience != enrolled.audience) {
            return Err(format!(
                "the collector is that of {:?}, and `.audience(...)` says {audience:?}; correct either",
                enrolled.audience
            ));
        }
        let mut approvers = self.approvers.clone();
        for Named { name, key } in enrolled.approvers {
            approvers = approvers.with(name, &key).map_err(|error| error.to_string())?;
        }
        let desk = enrolled.approvals.map(|path| at(&self.collector, &path)).transpose();
        let standing = Standing {
            audience: enrolled.audience.into(),
            key: self.key.clone(),
            enrolment: Some(enrolled.receipt.into()),
            credential: proof.map(|proof| proof.credential),
            approvers: Arc::new(approvers),
            desk: desk.map_err(|error| format!("the collector's path for approvals: {error}"))?,
        };
        Ok((standing, Duration::from_secs(receipt.expires.saturating_sub(now_seconds()))))
    }
}

const PATH: &str = "/v1/provenance/enrolments";
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LAST: Duration = Duration::from_secs(30);
