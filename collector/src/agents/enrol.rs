//! Vouches for the key of a program that it can tell who it is.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use spanseal_authority::receipt::{self, Method, Receipt};

use super::{Agents, Reception, Refused, answer, now_seconds, random_id, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    request: String,
}

#[derive(Serialize)]
struct Enrolled {
    receipt: String,
    audience: String,
    dev: bool,
    approvals: &'static str,
    approvers: Vec<Named>,
}

#[derive(Serialize)]
struct Named {
    name: String,
    key: String,
}

pub(super) async fn enrol(State(reception): State<Arc<Reception>>, request: Request) -> Response<Body> {
    let enrolled = async {
        let agents = reception.agents()?;
        agents.enrol(&read::<Asked>(request).await?.request)
    };
    answer(enrolled.await)
}

impl Agents {
    fn enrol(&self, request: &str) -> Result<Enrolled, Refused> {
        let request = receipt::Request::verify(request)
            .map_err(|error| Refused::bad(error, "compare the request with docs/claims.md section 7"))?;
        let now = now_seconds();
        if now.abs_diff(request.issued_at) > SKEW_SECONDS {
            return Err(Refused::bad("the request was signed at another time", "set the clocks, and sign it anew"));
        }
        if self.dev.is_none() {
            return Err(Refused {
                code: StatusCode::FORBIDDEN,
                error: format!("nothing says that this program is {:?}", request.actor.id),
                remedy: "name its key as [[authority.actor]], or try things out with `spanseal up --dev`",
            });
        }
        let receipt = Receipt {
            issuer: self.name.clone(),
            audience: self.authority.audience().to_owned(),
            not_before: now.saturating_sub(SKEW_SECONDS),
            expires: now + RECEIPT_SECONDS,
            id: format!("enr-{}", random_id()?),
            actor: request.actor,
            owner: None,
            key: request.key,
            method: Method::Dev,
            credential: None,
        };
        let approvers = self.authority.approvers().map(|(name, key)| Named { name: name.into(), key: key.to_string() });
        Ok(Enrolled {
            receipt: receipt.sign(&self.enrolment),
            audience: self.authority.audience().to_owned(),
            dev: true,
            approvals: "/v1/provenance/approvals",
            approvers: approvers.collect(),
        })
    }
}

const RECEIPT_SECONDS: u64 = 3600;
const SKEW_SECONDS: u64 = 60;
