//! Brings one shipment to a backend, whatever it takes: again while that may help, in halves when it is too much at once.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::answer::Answer;
use super::backoff::Backoff;
use super::client::Client;
use super::counts::Counts;
use super::settings::Backend;
use super::shipment::Shipment;
use super::unseal::FindKey;
use crate::signal::Signal;

/// One backend, and how sending to it goes.
pub(super) struct Delivery {
    client: Client,
    keys: Option<FindKey>,
    counts: Counts,
    timeout: Duration,
    failures_max: u32,
    backoff: Backoff,
    name: String,
    /// What was last logged, so that an outage is said once and not every thirty seconds.
    trouble: Option<String>,
    stop: CancellationToken,
}

/// Whether a shipment is done with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Every span was taken, or had to be given up, which is counted.
    Done,
    /// The collector stops while the backend cannot take it; the cursor stays.
    Interrupted,
    /// Values that were put back were erased meanwhile: it has to be read again.
    Outdated,
}

/// What became of one request.
enum Sent {
    Taken,
    /// The backend does not take these spans together, or one of them ever.
    Refused(String),
    Interrupted,
    Outdated,
}

impl Delivery {
    /// `keys` finds the keys of subjects, where values are put back.
    pub(super) fn new(
        backend: &Backend,
        keys: Option<FindKey>,
        counts: Counts,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(backend)?,
            keys,
            counts,
            timeout: backend.timeout,
            failures_max: backend.failures_max,
            backoff: Backoff::new(backend.retry_first, backend.retry_longest),
            name: backend.name.clone(),
            trouble: None,
            stop,
        })
    }

    /// Sends all of it. What a backend refuses is sent in halves, down to the span that it is about.
    pub(super) async fn deliver(&mut self, shipment: &Shipment) -> Outcome {
        let whole = 0..shipment.spans.len();
        let mut waiting: Vec<Range<usize>> = Vec::from([whole]);
        while let Some(range) = waiting.pop() {
            if range.is_empty() {
                continue;
            }
            let sent = match self.send(shipment, shipment.request(range.clone()), range.len()).await {
                Sent::Refused(reason) if range.len() == 1 => self.last_try(shipment, range.start, reason).await,
                sent => sent,
            };
            match sent {
                Sent::Taken => {}
                Sent::Interrupted => return Outcome::Interrupted,
                Sent::Outdated => return Outcome::Outdated,
                Sent::Refused(_) => {
                    let middle = range.start + range.len() / 2;
                    waiting.push(middle..range.end);
                    waiting.push(range.start..middle);
                }
            }
        }
        Outcome::Done
    }

    /// Sends one span without the values that were put back into it, or gives it up.
    async fn last_try(&mut self, shipment: &Shipment, place: usize, reason: String) -> Sent {
        let reason = match shipment.abridged(place) {
            None => reason,
            Some(request) => match self.send(shipment, request, 1).await {
                Sent::Refused(reason) => reason,
                sent => return sent,
            },
        };
        self.counts.dropped(1);
        let event = shipment.spans[place].event;
        error!(backend = self.name, %event, reason, "the backend refuses this span for good; it is not forwarded");
        Sent::Taken
    }

    /// Sends one request until it is taken or refused.
    async fn send(&mut self, shipment: &Shipment, request: Bytes, spans: usize) -> Sent {
        let mut failures = 0;
        loop {
            if self.is_outdated(shipment) {
                return Sent::Outdated;
            }
            let answer = tokio::time::timeout(self.timeout, self.client.export(Signal::Traces, request.clone())).await;
            let late = |_| Answer::later(format!("no answer within {:?}", self.timeout));
            let answer = answer.map_or_else(late, Answer::from);
            let (after, reason) = match answer {
                Answer::Accepted { rejected_spans, message } => {
                    self.taken(spans as u64, rejected_spans, &message);
                    return Sent::Taken;
                }
                Answer::TooLarge { reason } | Answer::Refused { reason } => {
                    self.counts.refused_request();
                    return Sent::Refused(reason);
                }
                Answer::Failed { reason } if failures >= self.failures_max => {
                    self.counts.refused_request();
                    return Sent::Refused(reason);
                }
                Answer::Failed { reason } => {
                    failures += 1;
                    (None, reason)
                }
                Answer::Later { after, reason } => (after, reason),
            };
            if !self.wait(after, reason, spans as u64).await {
                return Sent::Interrupted;
            }
        }
    }

    /// Whether a value was erased that was put back when the shipment was read. A backend may be away for days.
    fn is_outdated(&mut self, shipment: &Shipment) -> bool {
        let Some(keys) = self.keys.as_mut().filter(|_| shipment.read.elapsed() > FRESH) else { return false };
        shipment.restored.iter().any(|subject| keys(subject).is_none())
    }

    /// Waits before the next try; false when the collector stops instead.
    async fn wait(&mut self, after: Option<Duration>, reason: String, spans: u64) -> bool {
        self.counts.retried(spans);
        let wait = self.backoff.wait(after);
        if self.trouble.as_ref() != Some(&reason) {
            warn!(backend = self.name, reason, "the backend does not take spans; they wait in the log");
            self.trouble = Some(reason);
        }
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }

    fn taken(&mut self, spans: u64, rejected: u64, message: &str) {
        let rejected = rejected.min(spans);
        self.counts.taken(spans - rejected, rejected);
        if rejected > 0 {
            error!(backend = self.name, rejected, message, "the backend rejected some of these spans for good");
        }
        if self.trouble.take().is_some() {
            info!(backend = self.name, "the backend takes spans again");
        }
        self.backoff.reset();
    }
}

/// Erasures in the time that a request takes are not looked for.
const FRESH: Duration = Duration::from_secs(1);
