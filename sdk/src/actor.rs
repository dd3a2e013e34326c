//! Who acts, and on whose behalf.

use std::future::Future;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::FutureExt;
use spanseal_authority::claims::{DELEGATION_MAX, Party};
use spanseal_authority::is_text;

use crate::key::Key;

/// Who acts, on whose behalf. Travels as a typed value in the OpenTelemetry context, so it follows spans, and never
/// leaves the process as baggage does.
#[derive(Clone, Debug)]
pub struct Actor(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    party: Party,
    owner: Option<String>,
    initiator: Option<Party>,
    delegation: Vec<String>,
    key: Option<Key>,
}

/// On whose behalf an actor acts.
#[derive(Clone, Debug)]
pub struct Initiator(Party);

impl Initiator {
    /// A person, by the name that approvers have too.
    #[must_use]
    pub fn human(id: impl Into<String>) -> Self {
        Self::new(id, "human")
    }

    /// A timetable.
    #[must_use]
    pub fn schedule(id: impl Into<String>) -> Self {
        Self::new(id, "schedule")
    }

    /// Something that happened.
    #[must_use]
    pub fn event(id: impl Into<String>) -> Self {
        Self::new(id, "event")
    }

    fn new(id: impl Into<String>, kind: &str) -> Self {
        Self(Party { id: id.into(), kind: kind.to_owned() })
    }
}

/// A person.
impl From<&str> for Initiator {
    fn from(id: &str) -> Self {
        Self::human(id)
    }
}

impl Actor {
    /// An AI agent, for example `spiffe://acme.example/agent/deployer`.
    #[must_use]
    pub fn agent(id: impl Into<String>) -> Self {
        Self::new(id, "agent")
    }

    /// A program without a model.
    #[must_use]
    pub fn workload(id: impl Into<String>) -> Self {
        Self::new(id, "workload")
    }

    fn new(id: impl Into<String>, kind: &str) -> Self {
        let party = Party { id: id.into(), kind: kind.to_owned() };
        Self(Arc::new(Inner { party, owner: None, initiator: None, delegation: Vec::new(), key: None }))
    }

    /// Names the person or team that answers for it.
    #[must_use]
    pub fn owner(self, owner: impl Into<String>) -> Self {
        self.with(|inner| inner.owner = Some(owner.into()))
    }

    /// Names the person, schedule or event that it acts for.
    #[must_use]
    pub fn on_behalf_of(self, initiator: impl Into<Initiator>) -> Self {
        self.with(|inner| {
            inner.initiator = Some(initiator.into().0);
            inner.delegation.clear();
        })
    }

    /// Gives it a key of its own, instead of the program's.
    #[must_use]
    pub fn key(self, key: Key) -> Self {
        self.with(|inner| inner.key = Some(key))
    }

    /// Returns `to` acting for this actor's initiator, with this actor in its delegation chain.
    #[must_use]
    pub fn delegate(&self, to: Actor) -> Actor {
        let mut chain = self.0.delegation.clone();
        if chain.is_empty() {
            chain.extend(self.0.initiator.as_ref().map(|initiator| initiator.id.clone()));
            chain.push(self.id().to_owned());
        }
        chain.push(to.id().to_owned());
        to.with(|inner| {
            inner.initiator = self.0.initiator.clone();
            inner.delegation = chain;
        })
    }

    /// Runs `future` with this actor: whatever is done inside is done by it.
    ///
    /// A span that was made before and is entered inside brings its own actor back.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        future.with_context(Context::current().with_value(self))
    }

    /// Returns the actor in scope.
    #[must_use]
    pub fn current() -> Option<Actor> {
        Context::map_current(Self::in_context)
    }

    /// Returns its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.party.id
    }

    pub(crate) fn in_context(context: &Context) -> Option<Actor> {
        context.get::<Actor>().cloned()
    }

    pub(crate) fn party(&self) -> &Party {
        &self.0.party
    }

    pub(crate) fn owner_id(&self) -> Option<&str> {
        self.0.owner.as_deref()
    }

    pub(crate) fn initiator(&self) -> Option<&Party> {
        self.0.initiator.as_ref()
    }

    pub(crate) fn delegation(&self) -> &[String] {
        &self.0.delegation
    }

    pub(crate) fn own_key(&self) -> Option<&Key> {
        self.0.key.as_ref()
    }

    /// Returns the first of its names that cannot stand in claims.
    pub(crate) fn unusable_name(&self) -> Option<&str> {
        let names = [Some(self.id()), self.owner_id(), self.initiator().map(|initiator| initiator.id.as_str())];
        let too_long = self.0.delegation.len() > DELEGATION_MAX;
        names
            .into_iter()
            .flatten()
            .find(|name| !is_text(name))
            .or(too_long.then_some("a delegation chain beyond 16 parties"))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}
