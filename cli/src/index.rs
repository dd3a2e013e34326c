//! The index as a stage of `up`: follows what the collector makes durable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use spanseal_collector::Running;
use spanseal_collector::seal::Durable;
use spanseal_log::{DataDir, Disk};
use spanseal_pipelines::index::{Feed, Indexer, Limits, follow};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Adds the index to a running collector. It ends when the stream does, with everything indexed, or `grace` after the stop.
///
/// # Errors
/// When the index cannot be opened.
pub(crate) fn spawn(
    running: &mut Running,
    data: &std::path::Path,
    stop: CancellationToken,
    grace: Duration,
) -> anyhow::Result<()> {
    let mut indexer = Indexer::open(&DataDir::at(Arc::new(Disk), data)).context("the index")?;
    let mut feed = Follow { durable: running.durable().clone(), begun: false, handle: Handle::current() };
    let metrics = Arc::clone(running.metrics());
    let (done, ended) = oneshot::channel();
    // A thread and no task: SQLite blocks, and must not keep the process from ending when the grace is over.
    std::thread::Builder::new().name("index".to_owned()).spawn(move || {
        let indexed = follow(&mut indexer, &mut feed, &mut |round| {
            metrics.index.events.inc_by(round.events);
            metrics.index.lag_events.set(i64::try_from(round.lag).unwrap_or(i64::MAX));
        });
        // Nobody waits any more when the grace is over.
        let _ = done.send(indexed);
    })?;
    let metrics = Arc::clone(running.metrics());
    running.spawn("index", async move {
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(grace).await;
        };
        tokio::select! {
            ended = ended => Ok(ended.context("the index's thread panicked")??),
            () = late => {
                let behind = metrics.index.lag_events.get();
                tracing::warn!(behind, "the index did not catch up in the grace time; the next start goes on with it");
                Ok(())
            }
        }
    });
    Ok(())
}

/// What is durable of the collector's stream; streams that it does not write are read to their end.
struct Follow {
    durable: watch::Receiver<Durable>,
    begun: bool,
    handle: Handle,
}

impl Feed for Follow {
    fn wait(&mut self) -> Option<Limits> {
        if std::mem::replace(&mut self.begun, true) {
            self.handle.block_on(self.durable.changed()).ok()?;
        }
        let Durable { stream, size, .. } = *self.durable.borrow_and_update();
        Some(Limits { sizes: BTreeMap::from([(stream, size)]), others: true })
    }
}
