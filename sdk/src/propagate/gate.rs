//! The receiving side of a call: who calls, and whether there is leave for exactly this, once.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use opentelemetry::Context;
use opentelemetry::trace::{FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use serde_json::Value;
use spanseal_authority::Authority;
use spanseal_authority::call::{Call, CallError, LeaveError};
use spanseal_authority::config::{self, Config, Mistakes};
use spanseal_authority::json::Json;

use super::carry::Incoming;
use crate::action::without_fractions;
use crate::actor::Actor;
use crate::producer::now_seconds;

/// Checks calls that come in.
#[derive(Debug)]
pub struct Gate {
    authority: Authority,
    used: Mutex<HashMap<[u8; 16], u64>>,
    required: bool,
}

/// Whose calls a [`Gate`] knows.
#[derive(Clone, Debug)]
pub struct Callers {
    config: Config,
}

/// A call that was let in.
#[derive(Clone, Debug)]
pub struct Admitted {
    call: Option<Call>,
    doubt: Option<NotAdmitted>,
}

/// Why a call has no leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAdmitted {
    /// Nothing says who calls.
    #[error("the call carries no token; call through `spanseal::inject` inside an authorised action")]
    NoToken,
    /// The token is not relied on.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Nobody decided on the call.
    #[error("the caller is known and has no leave for this; call inside an authorised action")]
    NoLeave,
    /// The leave is for something else.
    #[error(transparent)]
    Leave(#[from] LeaveError),
    /// The leave was used.
    #[error("the leave was used before; authorise each call")]
    Used,
}

impl Callers {
    /// Knows nobody yet, in the deployment of this audience.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        Self { config: Config { audience: Some(audience.into()), ..Config::default() } }
    }

    /// Knows an actor by its public key, `ed25519:<base64>`.
    #[must_use]
    pub fn actor(mut self, id: impl Into<String>, key: impl Into<String>) -> Self {
        self.config.actor.push(config::Actor { id: id.into(), owner: None, key: key.into() });
        self
    }

    /// Knows whomever this collector enrolled; its enrolment key is `ed25519:<base64>`.
    #[must_use]
    pub fn collector(mut self, name: impl Into<String>, key: impl Into<String>) -> Self {
        self.config.enroller.push(config::Enroller { name: name.into(), key: key.into() });
        self
    }
}

impl Gate {
    /// Refuses every call without leave.
    ///
    /// # Errors
    /// A key or name that is none.
    pub fn requiring(callers: &Callers) -> Result<Self, Mistakes> {
        Self::new(callers, true)
    }

    /// Lets every call in, and says which have no leave.
    ///
    /// # Errors
    /// A key or name that is none.
    pub fn labelling(callers: &Callers) -> Result<Self, Mistakes> {
        Self::new(callers, false)
    }

    fn new(callers: &Callers, required: bool) -> Result<Self, Mistakes> {
        let authority = Authority::new(&callers.config, "")?;
        Ok(Self { authority, used: Mutex::default(), required })
    }

    /// Lets a call of a tool with these arguments in.
    ///
    /// # Errors
    /// Why there is no leave for it, where that is required.
    pub fn admit(&self, incoming: &Incoming, tool: &str, arguments: &Value) -> Result<Admitted, NotAdmitted> {
        let call = match &incoming.token {
            None => Err(NotAdmitted::NoToken),
            Some(token) => self.authority.call(token, now_seconds()).map_err(NotAdmitted::Call),
        };
        let doubt = match &call {
            Err(doubt) => Some(doubt.clone()),
            Ok(call) => self.take(call, tool, arguments).err(),
        };
        match doubt {
            Some(doubt) if self.required => Err(doubt),
            doubt => Ok(Admitted { call: call.ok(), doubt }),
        }
    }

    /// Takes the one use of the call's leave.
    fn take(&self, call: &Call, tool: &str, arguments: &Value) -> Result<(), NotAdmitted> {
        let leave = call.leave.as_ref().ok_or(NotAdmitted::NoLeave)?;
        let arguments = Json::from_value(&without_fractions(arguments.clone())).map_err(|_| LeaveError::Arguments)?;
        leave.covers(tool, &arguments)?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now_seconds();
        // Until then a token may be presented again; afterwards it is too late anyway.
        used.retain(|_, until| *until >= now);
        match used.insert(leave.clearance, call.expires + KEPT_SECONDS) {
            None => Ok(()),
            Some(_) => Err(NotAdmitted::Used),
        }
    }
}

impl Admitted {
    /// Returns why there is no leave, where none is required.
    #[must_use]
    pub fn doubt(&self) -> Option<&NotAdmitted> {
        self.doubt.as_ref()
    }

    /// Returns the caller's name, where the token holds.
    #[must_use]
    pub fn caller(&self) -> Option<&str> {
        self.call.as_ref().map(|call| call.actor.id.as_str())
    }

    /// Runs `future` as `own`, acting for the caller's initiator with the caller in the chain, in the caller's trace.
    pub fn scope<F: Future>(self, own: Actor, future: F) -> impl Future<Output = F::Output> {
        let Some(call) = self.call else {
            return future.with_context(Context::new().with_value(own));
        };
        let caller = SpanContext::new(
            TraceId::from_bytes(call.trace),
            SpanId::from_bytes(call.span),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        let actor = Actor::caller(call).delegate(own);
        future.with_context(Context::new().with_remote_span_context(caller).with_value(actor))
    }
}

/// Beyond a token's expiry: the skew that is granted, twice.
const KEPT_SECONDS: u64 = 120;
