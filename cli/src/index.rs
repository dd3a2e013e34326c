//! The index as a stage of `up`: follows what the collector makes durable.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use spanseal_collector::Running;
use spanseal_collector::seal::{Changes, Durable};
use spanseal_log::{DataDir, Disk};
use spanseal_pipelines::index::{Feed, Indexer, Limits, follow};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Adds the index to a running collector. It ends soon after the stream does; what is not indexed by then is at the next start.
///
/// # Errors
/// When the index cannot be opened.
pub(crate) fn spawn(running: &mut Running, data: &std::path::Path, stop: CancellationToken) -> anyhow::Result<()> {
    let mut indexer = Indexer::open(&DataDir::at(Arc::new(Disk), data)).context("the index")?;
    let durable = running.durable().to_vec();
    let changes = Changes::new(durable.iter().cloned());
    let mut feed = Follow { durable, changes, begun: false, stop, handle: Handle::current() };
    let metrics = Arc::clone(running.metrics());
    let (done, ended) = oneshot::channel();
    // A thread and no task: SQLite blocks, and must not keep the process from ending when the grace is over.
    std::thread::Builder::new().name("index".to_owned()).spawn(move || {
        give_way();
        let indexed = follow(&mut indexer, &mut feed, &mut |round| {
            metrics.index.events.inc_by(round.events);
            metrics.index.lag_events.set(i64::try_from(round.lag).unwrap_or(i64::MAX));
        });
        // Nobody waits any more when the grace is over.
        let _ = done.send(indexed);
    })?;
    let metrics = Arc::clone(running.metrics());
    running.spawn("index", async move {
        ended.await.context("the index's thread panicked")??;
        let behind = metrics.index.lag_events.get();
        if behind > 0 {
            tracing::warn!(behind, "the index has not caught up; the next start goes on with it");
        }
        Ok(())
    });
    Ok(())
}

/// Lets every other thread go first: somebody waits for what is sealed, while the index may lag.
fn give_way() {
    // Linux gives each thread a niceness of its own; elsewhere it would be the process's. Without it indexing is only less polite.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

#[cfg(target_os = "linux")]
/// On a core that another thread keeps busy Linux gives this a tenth, so that the index moves under full load. Beside that it
/// pauses (`spanseal_pipelines::index::follow`): its reads, writes and syncs are not at a lower priority.
const NICENESS: i32 = 10;

/// What is durable of the collector's streams; those that it does not write are read to their end.
struct Follow {
    durable: Vec<watch::Receiver<Durable>>,
    changes: Changes,
    begun: bool,
    stop: CancellationToken,
    handle: Handle,
}

impl Follow {
    fn limits(&self) -> Limits {
        let size = |durable: &watch::Receiver<Durable>| {
            let Durable { stream, size, .. } = *durable.borrow();
            (stream, size)
        };
        Limits { sizes: self.durable.iter().map(size).collect(), others: true }
    }
}

impl Feed for Follow {
    fn wait(&mut self) -> Option<Limits> {
        if std::mem::replace(&mut self.begun, true) {
            self.handle.block_on(self.changes.wait()).then_some(())?;
        }
        Some(self.limits())
    }

    fn now(&mut self) -> Option<Limits> {
        Some(self.limits())
    }

    fn pause(&mut self, time: Duration) {
        // Within the runtime, whose clock it is.
        let pause = async { tokio::time::timeout(time, self.stop.cancelled()).await };
        let _ = self.handle.block_on(pause);
    }

    fn is_over(&self) -> bool {
        self.durable.iter().all(|durable| durable.has_changed().is_err())
    }
}
