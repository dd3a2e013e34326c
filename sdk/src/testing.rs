//! For tests of programs: what they claim and decide, without a collector.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recorder = spanseal::testing::Recorder::new();
//! let guard = recorder.builder().start()?;
//! let refused = guard.scope(async { spanseal::action("secret.rotate").authorize().await }).await;
//! assert!(refused.is_err(), "nobody approves");
//! guard.shutdown().await;
//! assert_eq!(recorder.decisions()[0].claims.refused.as_ref().unwrap().code, "nobody_decides");
//! assert!(recorder.actions().is_empty());
//! # Ok(()) }
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
pub use spanseal_authority::claims::Claims;
use spanseal_authority::closing::Closing;
use spanseal_schemas::names;

use crate::actor::Actor;
use crate::approval::{Approval, Approvers, Source, SourceError, Terms, Wanted, issue};
use crate::builder::Builder;
use crate::clearance::Outcome;
use crate::key::Key;
use crate::policy::Answer;

/// Keeps what an SDK would have sent.
#[derive(Clone, Debug)]
pub struct Recorder {
    requests: Arc<Mutex<Vec<Bytes>>>,
    approver: Key,
}

/// A decision or an action, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The span's name.
    pub name: String,
    /// What was signed.
    pub claims: Claims,
    /// How the action ended; none of a decision.
    pub outcome: Option<Outcome>,
}

impl Recorder {
    /// Returns an empty one.
    ///
    /// # Panics
    /// When the operating system gives no random bytes.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "what can panic is no default")]
    pub fn new() -> Self {
        let approver = Key::random().expect("the operating system gives random bytes");
        Self { requests: Arc::default(), approver }
    }

    /// Begins the set-up of an SDK that this recorder records: an actor `test-agent` on behalf of `test-user`, and nobody
    /// who approves.
    pub fn builder(&self) -> Builder {
        let actor = Actor::agent("test-agent").on_behalf_of("test-user");
        let approvers = Approvers::default().with(APPROVER, &self.approver.public()).unwrap_or_default();
        crate::init().service("test").audience(AUDIENCE).actor(actor).approvers(approvers).record(self.clone())
    }

    /// As [`Recorder::builder`], with somebody who approves whatever is asked.
    pub fn approving(&self) -> Builder {
        self.builder().approvals(Approver(self.approver.clone()))
    }

    /// Returns the decisions, in the order in which they were sent: flush or shut down first.
    #[must_use]
    pub fn decisions(&self) -> Vec<Recorded> {
        self.recorded(true)
    }

    /// Returns the actions likewise, those that nobody decided on among them.
    #[must_use]
    pub fn actions(&self) -> Vec<Recorded> {
        self.recorded(false)
    }

    pub(crate) fn take(&self, request: Bytes) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    fn recorded(&self, decisions: bool) -> Vec<Recorded> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = requests.iter().filter_map(|request| ExportTraceServiceRequest::decode(request.clone()).ok());
        let scopes = requests.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
        let recorded = scopes.flat_map(|scope| scope.spans).filter_map(|span| {
            let claims = Claims::read_unverified(text(&span, names::PROVENANCE_CLAIMS)?).ok()?;
            let is_decision = claims.authorize.is_some_and(|authorize| authorize[..] == span.span_id[..]);
            let closing = text(&span, names::PROVENANCE_CLOSING).and_then(|token| Closing::read_unverified(token).ok());
            let outcome = closing.map(|closing| closing.outcome);
            (is_decision == decisions).then(|| Recorded { name: span.name.clone(), claims, outcome })
        });
        recorded.collect()
    }
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Approves whatever is asked.
#[derive(Debug)]
struct Approver(Key);

impl Source for Approver {
    fn find<'a>(&'a self, wanted: &'a Wanted<'a>) -> Answer<'a, Result<Option<Approval>, SourceError>> {
        let now = SystemTime::now();
        let approval = issue(
            &self.0,
            &Terms {
                audience: wanted.audience,
                approver: APPROVER,
                actor: wanted.actor.id(),
                actor_key: wanted.actor_key,
                action: wanted.action,
                not_before: now - Duration::from_secs(60),
                expires: now + Duration::from_secs(600),
                max_uses: 1,
                ticket: None,
                justification: None,
            },
        );
        let approval = approval.map(Some).map_err(|error| SourceError::Unreachable(error.to_string()));
        Box::pin(std::future::ready(approval))
    }
}

const AUDIENCE: &str = "test";
const APPROVER: &str = "test-approver";
