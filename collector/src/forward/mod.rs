//! A cursor over the log that passes the sealed spans on, marked, to a backend over OTLP.
//!
//! ```text
//! log --batches--> StreamSource: events -> spans, cut values put back, marks --> Shipment
//!     Delivery: request, answer, again or in halves --> cursor moves on
//! ```
//! At least once: the cursor moves after the backend took a shipment, so that a crash in between sends it again. While a
//! backend is away nothing is held in memory but one shipment being sent and one read ahead, or one span that is
//! larger than a shipment should be; the log holds the rest.

mod answer;
mod backoff;
mod client;
mod counts;
mod deliver;
mod marks;
mod origins;
mod position;
mod relay;
mod settings;
mod shipment;
mod source;
mod stream;
mod trouble;
mod unseal;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use spanseal_log::{Cursor, DataDir};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{self, Config};
use crate::seal::{Changes, Durable};
use crate::serve::Metrics;
use crate::signal::Signal;
use counts::Counts;
use deliver::{Delivery, Outcome};
use position::Position;
use shipment::Shipment;
use source::{Limits, Source};
use unseal::Unseal;

pub use relay::{NotPassedOn, PassRefusal, Passed, Relay};
pub use settings::{Backend, Protocol};
pub use source::Feed;

/// Everything that forwarding to one backend needs.
#[derive(Debug)]
pub struct Forward {
    pub backend: Backend,
    pub data: DataDir,
    /// Every stream of the data directory.
    pub feeds: Vec<Feed>,
    pub metrics: Arc<Metrics>,
    /// How long a stopping collector goes on sending what is durable.
    pub grace: Duration,
}

impl Forward {
    /// Returns what is needed for every backend of the configuration that gets spans. All streams of the data directory are forwarded:
    /// those that this process does not write to their end.
    ///
    /// # Errors
    /// When a header's value cannot be read, or the data directory.
    pub fn all(
        config: &Config,
        data: &DataDir,
        durable: &[watch::Receiver<Durable>],
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Vec<Self>> {
        let feeds = feeds(data, durable)?;
        let forward = |backend: &config::Forward| -> anyhow::Result<Self> {
            Ok(Self {
                backend: Backend::new(backend, config.cut.restore_when_forwarding)?,
                data: data.clone(),
                feeds: feeds.clone(),
                metrics: Arc::clone(metrics),
                // Before the stages' own limit, so that the cursor is saved and nobody is called stuck.
                grace: config.grace * 4 / 5,
            })
        };
        let of_traces = config.forward.iter().filter(|backend| backend.signals.contains(&Signal::Traces));
        of_traces.map(|backend| forward(backend).with_context(|| format!("forward {}", backend.name))).collect()
    }
}

/// Returns every stream of the data directory, with how far it may be read if it is one that this process writes.
fn feeds(data: &DataDir, durable: &[watch::Receiver<Durable>]) -> std::io::Result<Vec<Feed>> {
    let feed = |stream| {
        let written = durable.iter().find(|durable| durable.borrow().stream == stream);
        Feed { stream, durable: written.cloned() }
    };
    Ok(data.streams()?.into_iter().map(feed).collect())
}

/// Forwards until no stream is written any more and everything was sent, or `grace` after the stop.
///
/// # Errors
/// When the backend's settings cannot be used, or a stream's directory cannot be read at the start.
pub async fn run(forward: Forward, stop: CancellationToken) -> anyhow::Result<()> {
    let (name, grace) = (forward.backend.name.clone(), forward.grace);
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        ended = pump(forward, stop.clone()) => ended,
        () = late => {
            warn!(backend = name, "the backend did not take everything in the grace time; the rest waits in the log");
            Ok(())
        }
    }
}

async fn pump(forward: Forward, stop: CancellationToken) -> anyhow::Result<()> {
    let mut changes = Changes::new(forward.feeds.iter().filter_map(|feed| feed.durable.clone()));
    let counts = Counts::new(Arc::clone(&forward.metrics), &forward.backend.name);
    let mut delivery = Delivery::new(&forward.backend, keys(&forward), counts.clone(), stop)?;
    let mut position = Position::load(&forward.data, &forward.backend.name)?;
    let mut source = open(&forward, position.cursor())?;
    let mut shipment;
    (source, shipment) = read(source).await?;
    loop {
        let Some(sent) = shipment.take() else {
            counts.lag(lag(&forward.feeds, position.cursor()));
            position.save().await;
            if !changes.wait().await {
                return Ok(());
            }
            (source, shipment) = read(source).await?;
            continue;
        };
        let mut reading = std::pin::pin!(read(source));
        // While one span that is over the limit is under way, nothing is read ahead: memory holds one of that kind.
        let is_large = sent.bytes > forward.backend.request_bytes_max;
        let sending = async {
            if is_large {
                return (delivery.deliver(&sent).await, None);
            }
            let (outcome, ahead) = tokio::join!(delivery.deliver(&sent), reading.as_mut());
            (outcome, Some(ahead))
        };
        let (outcome, ahead) = tokio::select! {
            sent = sending => sent,
            never = show_lag(&forward.feeds, position.cursor(), &counts) => match never {},
        };
        match outcome {
            Outcome::Done => {}
            Outcome::Interrupted => {
                position.save().await;
                info!(backend = forward.backend.name, "stopped while the backend is away; its spans wait in the log");
                return Ok(());
            }
            Outcome::Outdated => {
                info!(backend = forward.backend.name, "values were erased while the backend was away");
                (source, shipment) = read(open(&forward, position.cursor())?).await?;
                continue;
            }
        }
        counts.withheld(&sent.withheld);
        // A crash before the cursor is saved sends the shipment again.
        position.advance(&sent).await;
        drop(sent);
        (source, shipment) = match ahead {
            Some(ahead) => ahead?,
            None => reading.await?,
        };
    }
}

fn open(forward: &Forward, cursor: &Cursor) -> anyhow::Result<Source> {
    let backend = &forward.backend;
    let unseal = Unseal::new(keys(forward), backend.event_url.clone());
    let limits = Limits { bytes: backend.request_bytes_max, spans: backend.request_spans_max };
    Ok(Source::open(&forward.data, forward.feeds.clone(), cursor, unseal, limits)?)
}

/// Returns what finds the keys of subjects, when values are put back.
fn keys(forward: &Forward) -> Option<unseal::FindKey> {
    forward.backend.restore_cuts.then(|| unseal::keys_in(forward.data.subjects()))
}

/// Shows how much waits, as long as it is polled: a backend may be away for days.
async fn show_lag(feeds: &[Feed], cursor: &Cursor, counts: &Counts) -> Infallible {
    loop {
        counts.lag(lag(feeds, cursor));
        tokio::time::sleep(SHOW_EVERY).await;
    }
}

/// Returns how many durable events the cursor is behind, of the streams that are being written.
fn lag(feeds: &[Feed], cursor: &Cursor) -> u64 {
    let behind = |feed: &Feed| Some(feed.durable.as_ref()?.borrow().size.saturating_sub(cursor.next(&feed.stream)));
    feeds.iter().filter_map(behind).sum()
}

/// Reads the next shipment on a thread that may block. A disk that cannot be read is tried again: the cursor stays.
async fn read(mut source: Source) -> anyhow::Result<(Source, Option<Shipment>)> {
    loop {
        let read;
        (source, read) = tokio::task::spawn_blocking(move || {
            let read = source.next();
            (source, read)
        })
        .await?;
        match read {
            Ok(shipment) => return Ok((source, shipment)),
            Err(error) => error!(%error, "the log cannot be read for forwarding"),
        }
        tokio::time::sleep(READ_AGAIN).await;
    }
}

const READ_AGAIN: Duration = Duration::from_secs(1);
const SHOW_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
