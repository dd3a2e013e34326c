//! What passes between receive and seal: a request with its share of the byte budget, and the answer once it is durable.

mod budget;
mod entrance;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use budget::{Budget, BudgetPermit, OverBudget};
pub(crate) use entrance::Entrance;

/// One OTLP trace request as it was taken in.
#[derive(Debug)]
pub struct Received {
    /// `ExportTraceServiceRequest` in protobuf: the sender's own bytes, or what its JSON was encoded to.
    pub request: Bytes,
    pub encoding: Encoding,
    pub tenant: Arc<Tenant>,
    pub received_unix_nano: u64,
    /// The bytes that the request holds of the budget; give it up when the request's bytes are let go.
    pub budget: Option<BudgetPermit>,
}

/// How the sender encoded the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

/// On whose account a request is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tenant {
    pub name: String,
    /// The authenticated peer, for example `mtls:spiffe://...`; empty: not authenticated.
    pub peer: String,
}

/// The request's spans are durable, but for those rejected for good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Of a request that was passed on: log records or data points, which the backend rejected.
    pub rejected_spans: u64,
    /// Says for people what was rejected and why; empty when nothing was.
    pub message: String,
}

impl Accepted {
    /// Says more, after what is said already.
    pub(crate) fn add_message(&mut self, more: &str) {
        let separator = if self.message.is_empty() || more.is_empty() { "" } else { "; " };
        self.message.push_str(separator);
        self.message.push_str(more);
    }
}

/// Nothing of the request was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The whole request is malformed; sending it again will not help.
    #[error("{0}")]
    Invalid(String),
    #[error("the collector has more to seal than its limits allow; try again")]
    Busy { retry_after: Duration },
    #[error("the collector's disk is full; try again")]
    DiskFull { retry_after: Duration },
    #[error("the collector is starting, or waits for space on its disk; try again")]
    Starting { retry_after: Duration },
    #[error("the collector is stopping; try again")]
    Stopping,
}

/// Whoever seals: the engine, or a stand-in for it in tests.
pub trait Submit: Send + Sync {
    /// Returns how a request would be refused now, whatever it holds: then it is refused before it is read.
    fn refuses(&self) -> Option<Refusal> {
        None
    }

    /// Answers once the request's spans are durable.
    fn submit(&self, received: Received) -> Submitted<'_>;
}

/// The answer to come of one [`Submit::submit`].
pub type Submitted<'a> = Pin<Box<dyn Future<Output = Result<Accepted, Refusal>> + Send + 'a>>;

/// The way in to the sealing engine, shared by every connection.
#[derive(Clone)]
pub struct Intake(Arc<dyn Submit>);

impl Intake {
    pub fn new(sealer: Arc<dyn Submit>) -> Self {
        Self(sealer)
    }

    /// Answers once the request's spans are durable.
    ///
    /// # Errors
    /// When nothing of the request was kept. Dropping the future does not take the request back.
    pub async fn submit(&self, received: Received) -> Result<Accepted, Refusal> {
        self.0.submit(received).await
    }

    /// Returns how a request would be refused now, whatever it holds.
    pub fn refuses(&self) -> Option<Refusal> {
        self.0.refuses()
    }
}
