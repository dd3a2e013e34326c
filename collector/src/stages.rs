//! Stages that run at the same time: one that ends before it should stops all, one that does not end is named.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The stages, in the order in which they were started: that of the data.
pub(crate) struct Stages {
    tasks: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, String>,
    stop: CancellationToken,
    /// How long they may take to end after the stop.
    pub(crate) grace: Duration,
}

impl Stages {
    pub(crate) fn new(grace: Duration, stop: CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), names: HashMap::new(), stop, grace }
    }

    /// Starts a stage. It ends after the stop: because its input does, or because it watches the stop itself.
    pub(crate) fn spawn(
        &mut self,
        name: impl Into<String>,
        stage: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let task = self.tasks.spawn(stage);
        self.names.insert(task.id(), name.into());
    }

    /// Waits for the stop, and then until every stage has ended.
    ///
    /// # Errors
    /// The first error of a stage; or which stages had not ended when the grace was over.
    pub(crate) async fn ended(mut self) -> anyhow::Result<()> {
        let stop = self.stop.clone();
        let first = stop.run_until_cancelled(self.next()).await.flatten();
        // A stage may have heard of the stop, and ended, before this task did.
        let told = stop.is_cancelled();
        stop.cancel();
        let before = first.map_or(Ok(()), |(name, ended)| {
            let ended = if told { ended } else { ended.and(Err(anyhow!("ended before it was told to"))) };
            ended.context(name)
        });
        let after = match tokio::time::timeout(self.grace, self.all()).await {
            Ok(ended) => ended,
            Err(_) => Err(self.stuck()),
        };
        before.and(after)
    }

    async fn all(&mut self) -> anyhow::Result<()> {
        let mut all = Ok(());
        while let Some((name, ended)) = self.next().await {
            all = all.and(ended.context(name));
        }
        all
    }

    async fn next(&mut self) -> Option<(String, anyhow::Result<()>)> {
        let (id, ended) = match self.tasks.join_next_with_id().await? {
            Ok((id, ended)) => (id, ended),
            Err(error) => (error.id(), Err(broken(error))),
        };
        Some((self.names.remove(&id).unwrap_or_default(), ended))
    }

    fn stuck(&self) -> anyhow::Error {
        let mut names: Vec<&str> = self.names.values().map(String::as_str).collect();
        names.sort_unstable();
        anyhow!("still running {} s after the stop, and left behind: {}", self.grace.as_secs(), names.join(", "))
    }
}

fn broken(error: JoinError) -> anyhow::Error {
    let message = error.try_into_panic().ok().and_then(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| panic.downcast_ref::<String>().cloned())
    });
    anyhow!("panicked: {}", message.as_deref().unwrap_or("for no reason that it said"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn until(stop: CancellationToken) -> anyhow::Result<()> {
        stop.cancelled().await;
        Ok(())
    }

    async fn outcome(add: impl FnOnce(&mut Stages, CancellationToken)) -> Result<(), String> {
        let stop = CancellationToken::new();
        let mut stages = Stages::new(Duration::from_secs(10), stop.clone());
        stages.spawn("receive", until(stop.clone()));
        add(&mut stages, stop);
        stages.ended().await.map_err(|error| format!("{error:#}"))
    }

    #[tokio::test(start_paused = true)]
    async fn ends_when_all_have_ended() {
        let ended = outcome(|stages, stop| {
            stages.spawn("seal", async move {
                stop.cancelled().await;
                tokio::time::sleep(Duration::from_secs(9)).await;
                Ok(())
            });
            stages.stop.cancel();
        });
        assert_eq!(ended.await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_no_stage_early_that_heard_of_the_stop_first() {
        let stop = CancellationToken::new();
        let mut stages = Stages::new(Duration::from_secs(10), stop.clone());
        stages.spawn("receive", until(stop.clone()));
        tokio::task::yield_now().await;
        stop.cancel();
        tokio::task::yield_now().await;
        assert!(stages.ended().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn names_what_is_stuck() {
        let stuck = outcome(|stages, stop| {
            stages.spawn("seal", std::future::pending());
            stages.spawn("forward to phoenix", std::future::pending());
            stop.cancel();
        });
        let expected = "still running 10 s after the stop, and left behind: forward to phoenix, seal";
        assert_eq!(stuck.await, Err(expected.to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn stops_all_when_one_fails() {
        let failed = outcome(|stages, _| stages.spawn("seal", async { Err(anyhow!("no disk")) }));
        assert_eq!(failed.await, Err("seal: no disk".to_owned()));
        let ended = outcome(|stages, _| stages.spawn("seal", async { Ok(()) }));
        assert_eq!(ended.await, Err("seal: ended before it was told to".to_owned()));
        let panicked = outcome(|stages, _| stages.spawn("seal", async { panic!("at the {}", "disk") }));
        assert_eq!(panicked.await, Err("seal: panicked: at the disk".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn reports_what_failed_after_the_stop() {
        let failed = outcome(|stages, stop| {
            stages.spawn("seal", async move { until(stop).await.and(Err(anyhow!("no space"))) });
            stages.stop.cancel();
        });
        assert_eq!(failed.await, Err("seal: no space".to_owned()));
    }
}
