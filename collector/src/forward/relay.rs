//! Passes logs and metrics on to the backends, within the request that brings them: nothing here seals or keeps them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::Code;
use tracing::{info, warn};

use super::answer::Answer;
use super::client::{Client, Failure, Taken};
use super::settings::Backend;
use crate::config::Config;
use crate::serve::Metrics;
use crate::serve::metrics::{PassedLabels, PassedOutcome};
use crate::signal::Signal;

/// Every backend that gets logs or metrics; cloning shares the ways to them.
#[derive(Clone, Default)]
pub struct Relay {
    backends: Vec<Arc<Peer>>,
}

/// Every backend took a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// The most log records or data points that one of them rejected for good.
    pub rejected: u64,
    /// What they say about it; empty when nothing was rejected.
    pub message: String,
}

/// At least one backend did not take a request; others may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPassedOn {
    #[error("the backend {backend} does not take it now ({reason}); try again")]
    Away { backend: String, after: Duration, reason: String },
    #[error("the backend {backend} refuses it for good: {reason}")]
    Refused { backend: String, refusal: PassRefusal, reason: String },
}

/// Why a backend refuses a request for good, as far as its answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassRefusal {
    /// INVALID_ARGUMENT, 400.
    Bad,
    /// RESOURCE_EXHAUSTED without RetryInfo, 413.
    TooLarge,
    /// It has no such service: UNIMPLEMENTED, 404.
    Absent,
    /// INTERNAL, 500.
    Broken,
}

impl Relay {
    /// Returns the ways to the backends of the configuration; none of them is used yet.
    ///
    /// # Errors
    /// When a backend's settings cannot be used, its secrets included; also of one that gets traces alone.
    pub fn new(config: &Config, metrics: &Arc<Metrics>) -> anyhow::Result<Self> {
        let mut relay = Self::default();
        for backend in &config.forward {
            let whole = config.cut.restore_when_forwarding;
            let peer = || -> anyhow::Result<Peer> {
                let backend = Backend::new(backend, whole)?;
                let timeout = backend.timeout.min(config.receive.answer_timeout);
                Peer::new(&backend, timeout, Arc::clone(metrics))
            };
            let peer = peer().with_context(|| format!("forward {}", backend.name))?;
            if backend.signals != [Signal::Traces] {
                relay.backends.push(Arc::new(peer));
            }
        }
        Ok(relay)
    }

    /// Whether a backend gets this signal.
    pub fn takes(&self, signal: Signal) -> bool {
        self.peers(signal).next().is_some()
    }

    /// Returns how many copies of a request are made to pass it on: gRPC puts it into a buffer of its own, and what is
    /// compressed is another.
    pub fn copies(&self, signal: Signal) -> usize {
        let copies = |peer: &Arc<Peer>| usize::from(matches!(peer.client, Client::Grpc(_))) + usize::from(peer.gzip);
        self.peers(signal).map(copies).sum()
    }

    /// Sends a request to every backend of the signal at once, and returns when all took it.
    ///
    /// # Errors
    /// When one did not: the one that may take it later goes before one that never will, so that its sender comes again.
    pub async fn pass(&self, signal: Signal, request: Bytes) -> Result<Passed, NotPassedOn> {
        let mut sending: JoinSet<Result<Passed, NotPassedOn>> = JoinSet::new();
        for peer in self.peers(signal) {
            let (peer, request) = (Arc::clone(peer), request.clone());
            sending.spawn(async move { peer.pass(signal, request).await });
        }
        sending.join_all().await.into_iter().reduce(both).unwrap_or_else(|| Ok(Passed::default()))
    }

    fn peers(&self, signal: Signal) -> impl Iterator<Item = &Arc<Peer>> {
        self.backends.iter().filter(move |peer| peer.signals.contains(&signal))
    }
}

/// Joins what two backends answered.
fn both(one: Result<Passed, NotPassedOn>, other: Result<Passed, NotPassedOn>) -> Result<Passed, NotPassedOn> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok(one.and(&other)),
        (Err(one @ NotPassedOn::Away { after, .. }), Err(other @ NotPassedOn::Away { after: longer, .. })) => {
            Err(if longer > after { other } else { one })
        }
        (Err(away @ NotPassedOn::Away { .. }), _) | (_, Err(away @ NotPassedOn::Away { .. })) => Err(away),
        (Err(refused), _) | (_, Err(refused)) => Err(refused),
    }
}

impl Passed {
    fn and(self, other: &Self) -> Self {
        let between = if self.message.is_empty() || other.message.is_empty() { "" } else { "; " };
        Self { rejected: self.rejected.max(other.rejected), message: self.message + between + &other.message }
    }
}

/// One backend that gets logs or metrics.
struct Peer {
    name: String,
    signals: Vec<Signal>,
    client: Client,
    gzip: bool,
    timeout: Duration,
    slots: Semaphore,
    metrics: Arc<Metrics>,
    /// Whether its last answer was none, so that an outage is logged once.
    away: AtomicBool,
}

impl Peer {
    fn new(backend: &Backend, timeout: Duration, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        Ok(Self {
            name: backend.name.clone(),
            signals: backend.signals.clone(),
            client: Client::new(backend)?,
            gzip: backend.gzip,
            timeout,
            slots: Semaphore::new(REQUESTS_MAX),
            metrics,
            away: AtomicBool::new(false),
        })
    }

    async fn pass(&self, signal: Signal, request: Bytes) -> Result<Passed, NotPassedOn> {
        let bytes = request.len() as u64;
        let sending = async {
            let _slot = self.slots.acquire().await;
            self.client.clone().export(signal, request).await
        };
        let late = |_| Err(Failure::Transport(format!("no answer within {:?}", self.timeout)));
        let answer = tokio::time::timeout(self.timeout, sending).await.unwrap_or_else(late);
        let answer = self.read(answer);
        self.log(signal, &answer);
        self.count(signal, &answer, bytes);
        answer
    }

    fn read(&self, answer: Result<Taken, Failure>) -> Result<Passed, NotPassedOn> {
        let failure = match answer {
            Ok(Taken { message, rejected }) if message.is_empty() => Ok(Passed { rejected, message }),
            Ok(Taken { message, rejected }) => Ok(Passed { rejected, message: format!("{}: {message}", self.name) }),
            Err(failure) => Err(failure),
        };
        failure.map_err(|failure| {
            let absent = is_absent(&failure);
            let backend = self.name.clone();
            let refused = |refusal, reason| NotPassedOn::Refused { backend: backend.clone(), refusal, reason };
            match Answer::of(&failure) {
                Answer::Later { reason, .. } if absent => refused(PassRefusal::Absent, reason),
                Answer::Later { after, reason } => {
                    let after = after.unwrap_or(RETRY_AFTER).clamp(RETRY_AFTER, RETRY_AFTER_MAX);
                    NotPassedOn::Away { backend, after, reason }
                }
                // Without RetryInfo it is final; its sender would come again for ever.
                Answer::TooLarge { reason } | Answer::Exhausted { reason } => refused(PassRefusal::TooLarge, reason),
                Answer::Refused { reason } => refused(PassRefusal::Bad, reason),
                Answer::Failed { reason } => refused(PassRefusal::Broken, reason),
                Answer::Accepted { message, .. } => refused(PassRefusal::Broken, message),
            }
        })
    }

    fn log(&self, signal: Signal, answer: &Result<Passed, NotPassedOn>) {
        let away = matches!(answer, Err(NotPassedOn::Away { .. }));
        let was = self.away.swap(away, Ordering::Relaxed);
        match answer {
            Err(error @ NotPassedOn::Away { .. }) if !was => {
                warn!(backend = self.name, %error, "{} are not passed on; their senders are asked to come again", signal.name());
            }
            Ok(_) if was => info!(backend = self.name, "the backend takes {} again", signal.name()),
            _ => {}
        }
    }

    fn count(&self, signal: Signal, answer: &Result<Passed, NotPassedOn>, bytes: u64) {
        let outcome = match answer {
            Ok(passed) if passed.rejected > 0 => PassedOutcome::partial,
            Ok(_) => PassedOutcome::ok,
            Err(NotPassedOn::Away { .. }) => PassedOutcome::away,
            Err(NotPassedOn::Refused { .. }) => PassedOutcome::refused,
        };
        let labels = PassedLabels { backend: self.name.clone(), signal, outcome };
        self.metrics.forward.passed_requests.get_or_create(&labels).inc();
        self.metrics.forward.passed_bytes.get_or_create(&labels).inc_by(bytes);
    }
}

/// Whether the backend has no such service. For spans a person may mend that while they wait in the log; logs and
/// metrics wait with their sender, who would come again for ever.
fn is_absent(failure: &Failure) -> bool {
    match failure {
        Failure::Status(status) => matches!(status.code(), Code::Unimplemented | Code::NotFound),
        Failure::Http { status, .. } => matches!(
            *status,
            StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::UNSUPPORTED_MEDIA_TYPE
                | StatusCode::NOT_IMPLEMENTED
        ),
        Failure::Transport(_) => false,
    }
}

/// On their way to one backend at once; the rest waits its turn, within the time limit and the bytes in flight.
const REQUESTS_MAX: usize = 64;
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);
