//! Takes requests for approval, and answers what became of them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use hyper::{Response, StatusCode};
use serde::Deserialize;
use spanseal_authority::asking::{Answered, Asked};

use super::folder::FolderError;
use super::{Agents, DEV_APPROVER, Reception, Refused, answer, now_seconds, on_disk, random_id, read};

pub(super) async fn ask(State(reception): State<Arc<Reception>>, request: Request) -> Response<Body> {
    answer(match read::<Asked>(request).await {
        Ok(asked) => on_disk(reception, move |agents| agents.ask(&asked)).await,
        Err(refused) => Err(refused),
    })
}

pub(super) async fn look(State(reception): State<Arc<Reception>>, Path(id): Path<String>) -> Response<Body> {
    answer(on_disk(reception, move |agents| agents.look(&id)).await)
}

pub(super) async fn request(State(reception): State<Arc<Reception>>, Path(id): Path<String>) -> Response<Body> {
    answer(on_disk(reception, move |agents| Ok(agents.folder.request(&id)?)).await)
}

/// An answer by whoever holds an approver's key, for example another system.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    approval: String,
}

pub(super) async fn take(
    State(reception): State<Arc<Reception>>,
    Path(id): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(match read::<Signed>(request).await {
        Ok(signed) => on_disk(reception, move |agents| agents.take_answer(&id, signed.approval)).await,
        Err(refused) => Err(refused),
    })
}

impl Agents {
    /// Keeps a request for whoever answers it; a development set-up answers at once, and keeps nothing.
    fn ask(&self, asked: &Asked) -> Result<Answered, Refused> {
        asked.action().map_err(|error| Refused::bad(error, "compare the request with docs/claims.md section 8"))?;
        if asked.audience != self.authority.audience() {
            let remedy = "ask the collector of that deployment, or leave the audience to the enrolment";
            return Err(Refused::bad(format!("this is not {:?}", asked.audience), remedy));
        }
        let now = now_seconds();
        if asked.deadline > now + DEADLINE_SECONDS_MAX {
            return Err(Refused::bad("the deadline is more than a week away", "wait for an answer for a week at most"));
        }
        let Some(dev) = &self.dev else {
            self.folder.ask(asked, now)?;
            return Ok(Answered::Pending);
        };
        let id = format!("dev-{}", random_id()?);
        let approval = asked.approval(DEV_APPROVER, id, (now.saturating_sub(60), now + 600));
        let approval = approval.map_err(|error| Refused::bad(error, "compare it with docs/claims.md section 8"))?;
        Ok(asked.approved(approval.sign(&dev.approver)))
    }

    fn look(&self, id: &str) -> Result<Answered, Refused> {
        match self.folder.answered(id)? {
            Some(answered) => Ok(answered),
            None if self.folder.request(id)?.deadline < now_seconds() => Ok(Answered::Expired),
            None => Ok(Answered::Pending),
        }
    }

    /// Takes an approval that a configured approver signed.
    fn take_answer(&self, id: &str, approval: String) -> Result<Answered, Refused> {
        let asked = self.folder.request(id)?;
        self.authority.answers(&asked, &approval).map_err(|error| Refused {
            code: StatusCode::FORBIDDEN,
            error: error.to_string(),
            remedy: "sign an approval of this very request with the key of an [[authority.approver]]",
        })?;
        let answered = asked.approved(approval);
        self.folder.answer(id, &answered)?;
        Ok(answered)
    }
}

impl From<FolderError> for Refused {
    fn from(error: FolderError) -> Self {
        let (code, remedy) = match &error {
            FolderError::Unknown { .. } => (StatusCode::NOT_FOUND, "ask first"),
            FolderError::Answered { .. } => (StatusCode::CONFLICT, "ask again under another id"),
            FolderError::Asked { .. } => (StatusCode::CONFLICT, "choose another id"),
            FolderError::Full { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "wait until the oldest have been over for a day, or remove them from the folder",
            ),
            FolderError::Io { .. } | FolderError::Json { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, "look at the collector's data directory")
            }
        };
        Self { code, error: error.to_string(), remedy }
    }
}

/// For how long somebody may be waited for.
const DEADLINE_SECONDS_MAX: u64 = 7 * 86_400;
