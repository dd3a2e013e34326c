//! The configuration made ready for judging: keys parsed once, looked up by thumbprint.

use std::collections::{HashMap, HashSet};

use crate::config::{Config, Mistakes};
use crate::key::{PublicKey, Thumbprint};

/// Who may act, who may approve, and what needs a decision.
#[derive(Debug)]
pub struct Authority {
    config: Config,
    pub(crate) audience: String,
    pub(crate) skew_nanos: u64,
    actors: HashMap<Thumbprint, Actor>,
    approvers: HashMap<Thumbprint, Approver>,
    enrollers: HashMap<Thumbprint, PublicKey>,
    services: HashSet<String>,
    actions: HashSet<String>,
}

/// An actor, as one of its keys names it.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) id: String,
    pub(crate) owner: Option<String>,
    pub(crate) key: PublicKey,
}

/// An approver, as one of its keys names it.
#[derive(Debug)]
pub(crate) struct Approver {
    pub(crate) name: String,
    pub(crate) key: PublicKey,
}

impl Authority {
    /// Returns what judges spans by this configuration, in the deployment of this name.
    ///
    /// # Errors
    /// Every setting that cannot be used, with its path, value and remedy.
    pub fn new(config: &Config, deployment: &str) -> Result<Self, Mistakes> {
        let [actor_keys, approver_keys, enroller_keys] = config.keys()?;
        let actors =
            config.actor.iter().zip(actor_keys).map(|(actor, key)| {
                (key.thumbprint(), Actor { id: actor.id.clone(), owner: actor.owner.clone(), key })
            });
        let approvers = config.approver.iter().zip(approver_keys);
        let approvers =
            approvers.map(|(approver, key)| (key.thumbprint(), Approver { name: approver.name.clone(), key }));
        Ok(Self {
            config: config.normal(deployment),
            audience: config.audience.clone().unwrap_or_else(|| deployment.to_owned()),
            skew_nanos: config.skew_seconds * 1_000_000_000,
            actors: actors.collect(),
            approvers: approvers.collect(),
            enrollers: enroller_keys.into_iter().map(|key| (key.thumbprint(), key)).collect(),
            services: config.governed.services.iter().cloned().collect(),
            actions: config.governed.actions.iter().cloned().collect(),
        })
    }

    /// Returns the configuration in its one normal form, for sealing beside what was judged by it: the audience named,
    /// lists sorted, repeats gone.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns for whom claims and approvals must be made.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Returns who may approve: names and keys.
    pub fn approvers(&self) -> impl Iterator<Item = (&str, &PublicKey)> {
        self.approvers.values().map(|approver| (approver.name.as_str(), &approver.key))
    }

    pub(crate) fn actor(&self, key: Thumbprint) -> Option<&Actor> {
        self.actors.get(&key)
    }

    pub(crate) fn approver(&self, key: Thumbprint) -> Option<&Approver> {
        self.approvers.get(&key)
    }

    pub(crate) fn enroller(&self, key: Thumbprint) -> Option<&PublicKey> {
        self.enrollers.get(&key)
    }

    pub(crate) fn governs_service(&self, service: &str) -> bool {
        !self.services.is_empty() && self.services.contains(service)
    }

    pub(crate) fn governs_kind(&self, kind: &str) -> bool {
        !self.actions.is_empty() && self.actions.contains(kind)
    }
}
