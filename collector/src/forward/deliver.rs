//! Brings one shipment to a backend, whatever it takes: again while that may help, in halves when it is too much at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::answer::Answer;
use super::backoff::Backoff;
use super::client::Client;
use super::counts::Counts;
use super::settings::Backend;
use super::shipment::Shipment;
use super::trouble::Trouble;
use super::unseal::FindKey;
use crate::signal::Signal;

/// One backend, and how sending to it goes.
pub(super) struct Delivery {
    client: Client,
    keys: Option<FindKey>,
    counts: Counts,
    timeout: Duration,
    failures_max: u32,
    doubt_max: Duration,
    /// When the backend last took anything.
    taken: Option<Instant>,
    backoff: Backoff,
    name: String,
    trouble: Trouble,
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
    /// It has answered often enough that it does not, in a way that may pass; first at this time.
    Doubtful {
        reason: String,
        since: Instant,
    },
    Interrupted,
    Outdated,
}

/// Spans of a shipment that are sent together; at least one.
#[derive(Debug, Clone)]
struct Part {
    range: Range<usize>,
    /// Whether all others were sent before it.
    is_last: bool,
    /// When an answer first left open whether these spans, perhaps among others, will be taken.
    doubted: Option<Instant>,
}

/// How often and since when a request was answered in a way that may pass or may be what it does to the backend.
struct Doubt {
    answers: u32,
    since: Instant,
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
            doubt_max: backend.doubt_max,
            taken: None,
            backoff: Backoff::new(backend.retry_first, backend.retry_longest),
            name: backend.name.clone(),
            trouble: Trouble::default(),
            stop,
        })
    }

    /// Sends all of it. What a backend refuses is sent in halves, all of one size before the next, down to the span that it
    /// is about. One of which that is not certain has its last turn after all others: by then they were taken, so that it
    /// is this span, or they were not, and the backend is out of order.
    pub(super) async fn deliver(&mut self, shipment: &Shipment) -> Outcome {
        let whole = Some(Part::whole(shipment)).filter(|part| !part.range.is_empty());
        let mut waiting: VecDeque<Part> = whole.into_iter().collect();
        while let Some(part) = waiting.pop_front() {
            let request = shipment.request(part.range.clone());
            let doubted = match self.send(shipment, request, &part).await {
                Sent::Taken => continue,
                Sent::Interrupted => return Outcome::Interrupted,
                Sent::Outdated => return Outcome::Outdated,
                Sent::Doubtful { since, .. } if part.range.len() == 1 && !part.is_last => {
                    waiting.push_back(Part { is_last: true, doubted: Some(since), ..part });
                    continue;
                }
                Sent::Refused(reason) | Sent::Doubtful { reason, .. } if part.range.len() == 1 => {
                    match self.last_try(shipment, &part, reason).await {
                        Sent::Interrupted => return Outcome::Interrupted,
                        Sent::Outdated => return Outcome::Outdated,
                        _ => continue,
                    }
                }
                Sent::Refused(_) => part.doubted,
                Sent::Doubtful { since, .. } => Some(since),
            };
            waiting.extend(part.halves(doubted));
        }
        Outcome::Done
    }

    /// Sends one span without the values that were put back into it, its resource and its scope, or gives it up.
    async fn last_try(&mut self, shipment: &Shipment, part: &Part, reason: String) -> Sent {
        let place = part.range.start;
        let reason = match shipment.abridged(place) {
            None => reason,
            Some(request) => match self.send(shipment, request, &Part { is_last: false, ..part.clone() }).await {
                Sent::Refused(reason) | Sent::Doubtful { reason, .. } => reason,
                sent => return sent,
            },
        };
        self.counts.dropped(1);
        let event = shipment.spans[place].event;
        error!(backend = self.name, %event, reason, "the backend refuses this span for good; it is not forwarded");
        Sent::Taken
    }

    /// Sends one request until it is taken, refused, or in doubt for long enough.
    async fn send(&mut self, shipment: &Shipment, request: Bytes, part: &Part) -> Sent {
        let spans = part.range.len() as u64;
        let mut doubt: Option<Doubt> = None;
        loop {
            if self.is_outdated(shipment) {
                return Sent::Outdated;
            }
            let answer = tokio::time::timeout(self.timeout, self.client.export(Signal::Traces, request.clone())).await;
            let late = |_| Answer::later(format!("no answer within {:?}", self.timeout));
            let answer = answer.map_or_else(late, Answer::from);
            let is_exhausted = matches!(answer, Answer::Exhausted { .. });
            let (after, reason) = match answer {
                Answer::Accepted { rejected_spans, message } => {
                    self.taken(spans, rejected_spans, &message);
                    return Sent::Taken;
                }
                Answer::TooLarge { reason } | Answer::Refused { reason } => {
                    self.counts.refused_request();
                    return Sent::Refused(reason);
                }
                Answer::Failed { reason } | Answer::Exhausted { reason } => {
                    let doubt = doubt.get_or_insert_with(|| Doubt { answers: 0, since: Instant::now() });
                    doubt.answers += 1;
                    if self.is_enough(doubt, is_exhausted, part) {
                        self.counts.refused_request();
                        return Sent::Doubtful { reason, since: part.doubted.unwrap_or(doubt.since) };
                    }
                    (None, reason)
                }
                Answer::Later { after, reason } => (after, reason),
            };
            if !self.wait(after, &reason, spans).await {
                return Sent::Interrupted;
            }
        }
    }

    /// Whether a request need not be sent again that the backend answered so many times in a way that may pass.
    ///
    /// Several spans that exhaust it are sent in smaller requests soon: that helps against a limit of size, and waiting
    /// between them against one of rate. One span in its last turn is given up only when the backend took others since the
    /// first such answer, or when it has held up the rest for too long.
    fn is_enough(&self, doubt: &Doubt, is_exhausted: bool, part: &Part) -> bool {
        let again_max = match part.is_last {
            _ if is_exhausted && part.range.len() > 1 => 1,
            true if is_exhausted => 2 * self.failures_max,
            _ => self.failures_max,
        };
        let works = || self.taken > part.doubted;
        doubt.answers > again_max && (!part.is_last || works() || doubt.since.elapsed() >= self.doubt_max)
    }

    /// Whether a value was erased that was put back when the shipment was read. A backend may be away for days.
    fn is_outdated(&mut self, shipment: &Shipment) -> bool {
        let Some(keys) = self.keys.as_mut().filter(|_| shipment.read.elapsed() > FRESH) else { return false };
        shipment.restored.iter().any(|subject| keys(subject).is_none())
    }

    /// Waits before the next try; false when the collector stops instead.
    async fn wait(&mut self, after: Option<Duration>, reason: &str, spans: u64) -> bool {
        self.counts.retried(spans);
        let wait = self.backoff.wait(after);
        if let Some(since) = self.trouble.note(reason) {
            let for_seconds = since.as_secs();
            warn!(backend = self.name, reason, for_seconds, "the backend does not take spans; they wait in the log");
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
        self.taken = Some(Instant::now());
        if self.trouble.ends() {
            info!(backend = self.name, "the backend takes spans again");
        }
        self.backoff.reset();
    }
}

impl Part {
    fn whole(shipment: &Shipment) -> Self {
        Self { range: 0..shipment.spans.len(), is_last: false, doubted: None }
    }

    fn halves(&self, doubted: Option<Instant>) -> [Self; 2] {
        let Range { start, end } = self.range;
        let middle = start + self.range.len() / 2;
        [start..middle, middle..end].map(|range| Self { range, is_last: false, doubted })
    }
}

/// Erasures in the time that a request takes are not looked for.
const FRESH: Duration = Duration::from_secs(1);
