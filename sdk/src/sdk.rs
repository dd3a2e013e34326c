//! The running SDK, as actions see it.

use std::sync::{Arc, OnceLock};

use opentelemetry::Context;
use opentelemetry_sdk::trace::SdkTracer;

use crate::approval::Source;
use crate::policy::Policy;
use crate::producer::Producer;

/// What authorises and records actions. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sdk {
    pub(crate) tracer: SdkTracer,
    pub(crate) producer: Arc<Producer>,
    pub(crate) rules: Arc<Rules>,
}

/// Who decides whether an action may run.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) policy: Option<Box<dyn Policy>>,
    /// Where approvals come from, asked in this order.
    pub(crate) sources: Vec<Box<dyn Source>>,
    /// Refusals are recorded and not acted upon.
    pub(crate) observe: bool,
    /// An action waits until the collector has the decision on it.
    pub(crate) acked: bool,
}

/// Returns the SDK of the current scope ([`crate::Guard::scope`]), else the installed one.
pub(crate) fn installed() -> Option<Sdk> {
    Context::map_current(|context| context.get::<Sdk>().cloned()).or_else(|| INSTALLED.get().cloned())
}

/// Makes `sdk` that of [`crate::action`], once.
pub(crate) fn install(sdk: Sdk) -> bool {
    INSTALLED.set(sdk).is_ok()
}

static INSTALLED: OnceLock<Sdk> = OnceLock::new();
