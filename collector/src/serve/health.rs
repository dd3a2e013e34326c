//! Whether each stage can do its work: what `/readyz` answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// The readiness of every stage; stages report, `/readyz` and start-up read. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Health {
    stages: Arc<watch::Sender<Stages>>,
}

/// Why each stage that is not ready is not.
pub type Reasons = BTreeMap<&'static str, String>;

#[derive(Debug, Default)]
struct Stages {
    unready: Reasons,
}

impl Health {
    /// Returns the health of stages that have all yet to start.
    pub fn of(stages: &[&'static str]) -> Self {
        let unready = stages.iter().map(|stage| (*stage, "starting".to_owned())).collect();
        Self { stages: Arc::new(watch::Sender::new(Stages { unready })) }
    }

    /// Reports that a stage does its work.
    pub fn ready(&self, stage: &'static str) {
        self.stages.send_if_modified(|stages| stages.unready.remove(stage).is_some());
    }

    /// Reports why a stage cannot do its work: a fact, as an error would say it.
    pub fn unready(&self, stage: &'static str, reason: impl Into<String>) {
        let reason = reason.into();
        self.stages.send_if_modified(|stages| stages.unready.insert(stage, reason.clone()).as_ref() != Some(&reason));
    }

    /// Returns what is not ready; nothing when everything is.
    pub fn reasons(&self) -> Reasons {
        self.stages.borrow().unready.clone()
    }

    /// Returns once every stage is ready.
    pub async fn all_ready(&self) {
        self.until(Reasons::is_empty).await;
    }

    /// Returns once what is not ready is as wanted.
    pub async fn until(&self, wanted: impl Fn(&Reasons) -> bool) {
        let mut changes = self.stages.subscribe();
        // The sender lives in `self`, so the channel cannot close while this waits.
        let _ = changes.wait_for(|stages| wanted(&stages.unready)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_every_stage_that_is_not_ready() {
        let health = Health::of(&["receive", "seal"]);
        health.ready("receive");
        assert_eq!(health.reasons(), Reasons::from([("seal", "starting".to_owned())]));
        health.unready("seal", "the disk is full");
        assert_eq!(health.reasons(), Reasons::from([("seal", "the disk is full".to_owned())]));
        health.ready("seal");
        assert!(health.reasons().is_empty());
    }

    #[tokio::test]
    async fn wakes_whoever_waits_for_the_last_stage() {
        let health = Health::of(&["seal"]);
        let (ready, ()) = tokio::join!(health.all_ready(), async { health.ready("seal") });
        assert_eq!(ready, ());
    }
}
