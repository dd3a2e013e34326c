//! The one-shot leave to run one action.

use std::future::Future;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{FutureExt, Status, TraceContextExt};

use crate::producer::Producer;

pub use spanseal_authority::closing::Outcome;

/// Leave to run one action, once. Its outcome is written whatever happens: dropped unused, it says so.
#[must_use = "the action is authorised and has not run; call `run`"]
#[derive(Debug)]
pub struct Clearance(Running);

/// Who ends the action's span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Clearance,
    Other,
}

impl Clearance {
    pub(crate) fn new(producer: Arc<Producer>, context: Context, owner: Owner) -> Self {
        if owner == Owner::Clearance {
            producer.opened(context.span().span_context().span_id(), &context);
        }
        Self(Running { producer, context, owner, state: State::Waiting })
    }

    /// Runs `future` as the action: inside its span, with its outcome on record. An error marks the span as failed, a
    /// panic and being dropped before the end are written as such.
    ///
    /// # Errors
    /// What `future` returns.
    pub async fn run<T, E, F>(self, future: F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let running = self.start();
        let result = future.with_context(running.context().clone()).await;
        running.finish(result.is_ok());
        result
    }

    /// Runs `work` as the action, on this thread.
    ///
    /// # Errors
    /// What `work` returns.
    pub fn run_blocking<T, E>(self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let running = self.start();
        let result = {
            let _in_context = running.context().clone().attach();
            work()
        };
        running.finish(result.is_ok());
        result
    }

    /// Starts the action where neither a future nor a closure is at hand, as in the hooks of agent frameworks.
    pub fn start(self) -> Running {
        let mut running = self.0;
        running.state = State::Started;
        running.producer.started(running.span());
        running
    }
}

/// An action that runs. Dropped, it was abandoned, or it panicked.
#[must_use = "the action runs; say how it ended with `finish`"]
#[derive(Debug)]
pub struct Running {
    producer: Arc<Producer>,
    context: Context,
    owner: Owner,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Started,
    Closed,
}

impl Running {
    /// Returns the context of the action's span: what happens inside belongs there.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Says how it ended.
    pub fn finish(mut self, succeeded: bool) {
        self.close(if succeeded { Outcome::Success } else { Outcome::Error });
    }

    fn close(&mut self, outcome: Outcome) {
        self.state = State::Closed;
        self.producer.close(self.span(), outcome);
        let span = self.context.span();
        match outcome {
            Outcome::Success | Outcome::Unused => {}
            Outcome::Error => span.set_status(Status::error("")),
            other => span.set_status(Status::error(other.as_str())),
        }
        if self.owner == Owner::Clearance {
            span.end();
        }
    }

    fn span(&self) -> opentelemetry::trace::SpanId {
        self.context.span().span_context().span_id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        match self.state {
            State::Closed => {}
            State::Waiting => self.close(Outcome::Unused),
            State::Started if std::thread::panicking() => self.close(Outcome::Panic),
            State::Started => self.close(Outcome::Abandoned),
        }
    }
}
