//! One action, from what is said about it to the span that records it.

use std::fmt;
use std::future::Future;
use std::sync::OnceLock;

use opentelemetry::trace::{FutureExt, Span, SpanContext, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use serde::Serialize;
use spanseal_authority::action::{self, Digest};
use spanseal_authority::claims::Business;
use spanseal_authority::is_text;
use spanseal_authority::json::Json;
use spanseal_schemas::names;

use crate::actor::Actor;
use crate::approval::{Approval, Salts};
use crate::guard::Recorder;
use crate::producer::{Belongings, NotSigned, Statement, random};

/// Begins an action of this type, for example `secret.rotate`, with the installed SDK.
pub fn action(kind: impl Into<String>) -> Action {
    Action::new(kind.into(), INSTALLED.get().cloned())
}

/// Makes `recorder` that of [`action`], once.
pub(crate) fn make_global(recorder: Recorder) -> bool {
    INSTALLED.set(recorder).is_ok()
}

static INSTALLED: OnceLock<Recorder> = OnceLock::new();

/// What is about to be done. [`Action::run`] does and records it.
#[must_use = "nothing happens before `run`"]
#[derive(Clone)]
pub struct Action {
    recorder: Option<Recorder>,
    kind: String,
    target: Option<String>,
    tool: Option<String>,
    arguments: Option<Result<Json, String>>,
    business: Business,
    approval: Option<Approval>,
}

/// Why an action did not run: its record could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No SDK.
    #[error("no SDK is installed; call `spanseal::init()...install()` where the program starts")]
    NotInstalled,
    /// The span would not be exported.
    #[error("the action cannot be recorded: {0}; it did not run")]
    NotRecorded(&'static str),
    /// A text that cannot stand in claims.
    #[error("{member} is {value:?}; write 1 to 1024 bytes without control characters")]
    Text {
        /// The action's method, or the actor.
        member: &'static str,
        /// The value.
        value: String,
    },
    /// Arguments that have no digest.
    #[error("the arguments cannot be digested: {0}")]
    Arguments(String),
    /// More text than claims may have.
    #[error("the claims would be {bytes} bytes long; shorten what is said about the action")]
    TooLong {
        /// Their length.
        bytes: usize,
    },
    /// The operating system gives no random bytes.
    #[error("no random bytes from the operating system, so that the action did not run: {0}")]
    Random(getrandom::Error),
}

impl Action {
    pub(crate) fn new(kind: String, recorder: Option<Recorder>) -> Self {
        let (target, tool, arguments, approval) = (None, None, None, None);
        Self { recorder, kind, target, tool, arguments, business: Business::default(), approval }
    }

    /// Says what it is done to, for example `vault:prod/billing-db`.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Says with which tool.
    pub fn tool(mut self, name: impl Into<String>) -> Self {
        self.tool = Some(name.into());
        self
    }

    /// Says with which arguments. Only their salted digest leaves the process. Fractions have no one form: give them as
    /// strings.
    pub fn arguments(mut self, arguments: &impl Serialize) -> Self {
        let value = serde_json::to_value(arguments).map_err(|error| error.to_string());
        self.arguments = Some(value.and_then(|value| Json::from_value(&value).map_err(|error| error.to_string())));
        self
    }

    /// Names the ticket that it belongs to.
    pub fn ticket(mut self, ticket: impl Into<String>) -> Self {
        self.business.ticket = Some(ticket.into());
        self
    }

    /// Names the change request that it belongs to.
    pub fn change(mut self, change: impl Into<String>) -> Self {
        self.business.change = Some(change.into());
        self
    }

    /// Names the incident that it belongs to.
    pub fn incident(mut self, incident: impl Into<String>) -> Self {
        self.business.incident = Some(incident.into());
        self
    }

    /// Names the playbook that it follows.
    pub fn playbook(mut self, playbook: impl Into<String>) -> Self {
        self.business.playbook = Some(playbook.into());
        self
    }

    /// Names the task that it is a part of.
    pub fn task(mut self, task: impl Into<String>) -> Self {
        self.business.task = Some(task.into());
        self
    }

    /// Gives the approval under which it runs, fitting or not: the collector judges.
    pub fn approved_by(mut self, approval: &Approval) -> Self {
        self.approval = Some(approval.clone());
        self
    }

    /// Runs `future` as this action: inside a span of its own, below the current one, whose claims are signed before
    /// `future` starts. An error marks the span as failed.
    ///
    /// # Errors
    /// What `future` returns; [`Refused`] when the action cannot be recorded, and then `future` never starts.
    pub async fn run<T, E, F>(self, future: F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Refused>,
    {
        let (recorder, context) = self.begin()?;
        let span = context.span().span_context().span_id();
        let result = future.with_context(context.clone()).await;
        let outcome = if result.is_ok() { "success" } else { "failure" };
        recorder.producer.pending.add(span, KeyValue::new(names::PROVENANCE_ACTION_OUTCOME, outcome));
        if result.is_err() {
            context.span().set_status(Status::error(""));
        }
        context.span().end();
        result
    }

    /// Opens the span on the tracer itself, which no log filter reaches, and signs for it.
    fn begin(self) -> Result<(Recorder, Context), Refused> {
        let recorder = self.recorder.clone().ok_or(Refused::NotInstalled)?;
        let (salts, approval) = match &self.approval {
            Some(approval) => (approval.salts(), Some(approval.statement())),
            None => (Salts::random().map_err(Refused::Random)?, None),
        };
        let action = self.digested(&salts)?;
        let parent = Context::current();
        let actor = Actor::in_context(&parent).unwrap_or_else(|| recorder.producer.actor().clone());
        self.check_texts(&actor)?;
        let mut span = recorder
            .tracer
            .span_builder(format!("execute_tool {}", self.tool.as_deref().unwrap_or(&self.kind)))
            .with_kind(SpanKind::Internal)
            .with_attributes(self.attributes())
            .start_with_context(&recorder.tracer, &parent);
        if !span.is_recording() || !is_exported(span.span_context()) {
            return Err(Refused::NotRecorded(
                "its span is not recorded; the SDK was shut down, or telemetry is suppressed here",
            ));
        }
        let statement = Statement {
            span: span.span_context(),
            parent: parent.span().span_context().span_id(),
            actor: &actor,
            action,
            business: self.business,
            approval,
        };
        let signed = recorder.producer.sign(statement).map_err(Refused::from).inspect_err(|refused| {
            span.set_status(Status::error(refused.to_string()));
        })?;
        recorder.producer.pending.put(span.span_context().span_id(), Belongings::Signed(signed));
        Ok((recorder, parent.with_span(span)))
    }

    /// Returns the action with its arguments digested, as approvals name it.
    pub(crate) fn digested(&self, salts: &Salts) -> Result<action::Action, Refused> {
        let arguments = match &self.arguments {
            None => None,
            Some(Ok(arguments)) => Some(action::arguments_digest(arguments, &salts.arguments)),
            Some(Err(error)) => return Err(Refused::Arguments(error.clone())),
        };
        let (kind, target, tool) = (self.kind.clone(), self.target.clone(), self.tool.clone());
        Ok(action::Action { kind, target, tool, arguments, salt: salts.action })
    }

    pub(crate) fn digest(&self, salts: &Salts) -> Result<Digest, Refused> {
        Ok(self.digested(salts)?.digest())
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = vec![KeyValue::new(names::GEN_AI_OPERATION_NAME, "execute_tool")];
        attributes.extend(self.tool.clone().map(|tool| KeyValue::new(names::GEN_AI_TOOL_NAME, tool)));
        attributes
    }

    fn check_texts(&self, actor: &Actor) -> Result<(), Refused> {
        let own = [
            ("the action's type", Some(self.kind.as_str())),
            ("target", self.target.as_deref()),
            ("tool", self.tool.as_deref()),
        ];
        let business = self.business.members();
        let unusable = own.into_iter().chain(business).find(|(_, value)| value.is_some_and(|value| !is_text(value)));
        let actor = actor.unusable_name().map(|name| ("the actor", Some(name)));
        match unusable.or(actor) {
            Some((member, value)) => Err(Refused::Text { member, value: value.unwrap_or_default().to_owned() }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Action {
    /// Leaves the arguments out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action")
            .field("kind", &self.kind)
            .field("target", &self.target)
            .field("tool", &self.tool)
            .finish_non_exhaustive()
    }
}

impl From<NotSigned> for Refused {
    fn from(error: NotSigned) -> Self {
        match error {
            NotSigned::Random(error) => Refused::Random(error),
            NotSigned::TooLong { bytes } => Refused::TooLong { bytes },
        }
    }
}

fn is_exported(span: &SpanContext) -> bool {
    span.is_valid() && span.is_sampled()
}

impl Salts {
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        Ok(Self { action: random()?, arguments: random()? })
    }
}
