//! What is about to be done, as the program describes it.

use std::fmt;
use std::future::Future;

use serde::Serialize;
use serde_json::Value;
use spanseal_authority::action::{self, Digest};
use spanseal_authority::claims::Business;
use spanseal_authority::is_text;
use spanseal_authority::json::Json;

use crate::approval::{Approval, Salts};
use crate::authorize::Refused;
use crate::clearance::Clearance;
use crate::sdk::{self, Sdk};

/// Describes an action of this type, for example `secret.rotate`, to the installed SDK.
pub fn action(kind: impl Into<String>) -> Action {
    Action::new(kind.into(), sdk::installed())
}

/// What is about to be done. [`Action::authorize`] asks for leave.
#[must_use = "nothing happens before `authorize`"]
#[derive(Clone)]
pub struct Action {
    pub(crate) sdk: Option<Sdk>,
    pub(crate) kind: String,
    pub(crate) target: Option<String>,
    pub(crate) tool: Option<String>,
    pub(crate) arguments: Option<Result<Json, String>>,
    /// In the clear, on the span and to whoever is asked for approval.
    pub(crate) revealed: Option<Value>,
    pub(crate) business: Business,
    pub(crate) reason: Option<String>,
    pub(crate) approval: Option<Approval>,
    pub(crate) place: Place,
}

/// Which span records the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// One of its own, below the current one.
    OwnSpan,
    /// The current one, which somebody else made for it.
    CurrentSpan,
}

impl Action {
    pub(crate) fn new(kind: String, sdk: Option<Sdk>) -> Self {
        Self {
            sdk,
            kind,
            target: None,
            tool: None,
            arguments: None,
            revealed: None,
            business: Business::default(),
            reason: None,
            approval: None,
            place: Place::OwnSpan,
        }
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

    /// Says with which arguments. Only their salted digest leaves the process, unless [`Action::reveal`] shows some.
    pub fn arguments(self, arguments: &impl Serialize) -> Self {
        self.arguments_value(serde_json::to_value(arguments).map_err(|error| error.to_string()))
    }

    pub(crate) fn arguments_value(mut self, arguments: Result<Value, String>) -> Self {
        self.arguments = Some(
            arguments.and_then(|value| Json::from_value(&without_fractions(value)).map_err(|error| error.to_string())),
        );
        self
    }

    /// Shows this of the arguments in the clear, on the span and to whoever is asked for approval.
    pub fn reveal(mut self, arguments: Value) -> Self {
        self.revealed = Some(arguments);
        self
    }

    /// Says why it is to be done, to whoever is asked for approval.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
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

    /// Gives the approval under which it is to run, so that no other is looked for.
    pub fn approved_by(mut self, approval: &Approval) -> Self {
        self.approval = Some(approval.clone());
        self
    }

    /// Lets the current span record the action, for example one that an agent framework made for a tool call, instead of
    /// one of its own.
    pub fn in_current_span(mut self) -> Self {
        self.place = Place::CurrentSpan;
        self
    }

    /// Asks for leave to do it, as [`crate::authorize`] does.
    ///
    /// # Errors
    /// Every reason for which it may not run, or cannot be recorded.
    pub async fn authorize(self) -> Result<Clearance, Refused> {
        crate::authorize::authorize(self).await
    }

    /// Asks for leave, then runs `future` as this action.
    ///
    /// # Errors
    /// What `future` returns; [`Refused`] when there is no leave, and then `future` never starts.
    pub async fn run<T, E, F>(self, future: F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Refused>,
    {
        self.authorize().await?.run(future).await
    }

    /// Returns what is done.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Returns what it is done to.
    #[must_use]
    pub fn target_name(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// Returns with which tool.
    #[must_use]
    pub fn tool_name(&self) -> Option<&str> {
        self.tool.as_deref()
    }

    /// Returns the action with its arguments digested, as approvals and claims name it.
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

    /// Returns the first of its texts that cannot stand in claims, by the name of its method.
    pub(crate) fn unusable_text(&self) -> Option<(&'static str, &str)> {
        let own = [
            ("the action's type", Some(self.kind.as_str())),
            ("target", self.target.as_deref()),
            ("tool", self.tool.as_deref()),
            ("because", self.reason.as_deref()),
        ];
        own.into_iter()
            .chain(self.business.members())
            .find_map(|(member, value)| value.filter(|value| !is_text(value)).map(|value| (member, value)))
    }
}

/// Returns arguments in which every number that is no integer within 2^53 - 1 is text, since only those have one form in
/// every language (`docs/claims.md` section 3).
pub(crate) fn without_fractions(value: Value) -> Value {
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) if integer.unsigned_abs() < 1 << 53 => Value::Number(number),
            (None, Some(fraction)) if !number.is_u64() => Value::String(fraction.to_string()),
            _ => Value::String(number.to_string()),
        },
        Value::Array(values) => values.into_iter().map(without_fractions).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, without_fractions(value))).collect(),
        other => other,
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
