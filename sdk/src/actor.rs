//! Who acts, and on whose behalf.

use std::future::Future;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::FutureExt;
use spanseal_authority::call::Call;
use spanseal_authority::claims::{Business, DELEGATION_MAX, PATH_MAX, Party};
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
    supervisor: Option<String>,
    initiator: Option<Party>,
    delegation: Vec<String>,
    business: Business,
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

    /// An account that programs share.
    #[must_use]
    pub fn service_account(id: impl Into<String>) -> Self {
        Self::new(id, "service_account")
    }

    /// Whoever holds an API key.
    #[must_use]
    pub fn api_key(id: impl Into<String>) -> Self {
        Self::new(id, "api_key")
    }

    /// A program without a model.
    #[must_use]
    pub fn workload(id: impl Into<String>) -> Self {
        Self::new(id, "workload")
    }

    fn new(id: impl Into<String>, kind: &str) -> Self {
        let party = Party { id: id.into(), kind: kind.to_owned() };
        Self(Arc::new(Inner {
            party,
            owner: None,
            supervisor: None,
            initiator: None,
            delegation: Vec::new(),
            business: Business::default(),
            key: None,
        }))
    }

    /// Names the person or team that answers for it.
    #[must_use]
    pub fn owner(self, owner: impl Into<String>) -> Self {
        self.with(|inner| inner.owner = Some(owner.into()))
    }

    /// Names the person or agent that supervises it.
    #[must_use]
    pub fn supervised_by(self, supervisor: impl Into<String>) -> Self {
        self.with(|inner| inner.supervisor = Some(supervisor.into()))
    }

    /// Names the ticket that everything it does belongs to, where the action names no other.
    #[must_use]
    pub fn ticket(self, ticket: impl Into<String>) -> Self {
        self.with(|inner| inner.business.ticket = Some(ticket.into()))
    }

    /// Names the change request likewise.
    #[must_use]
    pub fn change(self, change: impl Into<String>) -> Self {
        self.with(|inner| inner.business.change = Some(change.into()))
    }

    /// Names the incident likewise.
    #[must_use]
    pub fn incident(self, incident: impl Into<String>) -> Self {
        self.with(|inner| inner.business.incident = Some(incident.into()))
    }

    /// Names the playbook likewise.
    #[must_use]
    pub fn playbook(self, playbook: impl Into<String>) -> Self {
        self.with(|inner| inner.business.playbook = Some(playbook.into()))
    }

    /// Names the task likewise.
    #[must_use]
    pub fn task(self, task: impl Into<String>) -> Self {
        self.with(|inner| inner.business.task = Some(task.into()))
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
            inner.business = self.business_for(&inner.business);
            inner.delegation = chain;
        })
    }

    /// Returns whoever made a call, as its token says.
    pub(crate) fn caller(call: Call) -> Actor {
        let Call { actor: party, owner, initiator, delegation, business, .. } = call;
        Self(Arc::new(Inner { party, owner, supervisor: None, initiator, delegation, business, key: None }))
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

    pub(crate) fn supervisor(&self) -> Option<&str> {
        self.0.supervisor.as_deref()
    }

    /// Returns what an action is part of: what it says itself, else what the actor says.
    pub(crate) fn business_for(&self, own: &Business) -> Business {
        let actors = &self.0.business;
        let pick = |own: &Option<String>, actors: &Option<String>| own.clone().or_else(|| actors.clone());
        Business {
            ticket: pick(&own.ticket, &actors.ticket),
            change: pick(&own.change, &actors.change),
            incident: pick(&own.incident, &actors.incident),
            playbook: pick(&own.playbook, &actors.playbook),
            task: pick(&own.task, &actors.task),
        }
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
        let initiator = self.initiator().map(|initiator| initiator.id.as_str());
        let names = [Some(self.id()), self.owner_id(), self.supervisor(), initiator];
        let names = names.into_iter().chain(self.0.business.members().map(|(_, value)| value));
        let too_long = self.0.delegation.len() > DELEGATION_MAX;
        names.flatten().find(|name| !is_text(name)).or(too_long.then_some("a delegation chain beyond 16 parties"))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

/// The tools that run around the current code, outermost first. Travels like [`Actor`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Path(Arc<[String]>);

impl Path {
    pub(crate) fn in_context(context: &Context) -> Self {
        context.get::<Self>().cloned().unwrap_or_default()
    }

    /// Returns the path of a tool that runs inside this one; the outermost go where there is no room for all.
    pub(crate) fn below(&self, tool: &str) -> Self {
        let kept = &self.0[self.0.len().saturating_sub(PATH_MAX - 1)..];
        Self(kept.iter().cloned().chain([tool.to_owned()]).collect())
    }

    pub(crate) fn to_vec(&self) -> Vec<String> {
        self.0.to_vec()
    }
}
