//! Who decides by rules: a policy engine in the process or elsewhere.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::action::Action;
use crate::actor::Actor;

/// What answers later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Decides by rules whether an action may run. Whatever goes wrong refuses it.
pub trait Policy: Debug + Send + Sync + 'static {
    /// Decides.
    ///
    /// # Errors
    /// No decision, for any reason: the action is refused.
    fn decide<'a>(&'a self, question: &'a Question<'a>) -> Answer<'a, Result<Decided, Undecided>>;
}

/// May this actor do this?
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Question<'a> {
    /// What is to be done.
    pub action: &'a Action,
    /// Who would do it.
    pub actor: &'a Actor,
}

/// What a policy decided, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// Names this decision.
    pub id: String,
    /// Which engine, with its version, for example `cedar 4.14.1`.
    pub engine: String,
    /// The version of the policies, for people.
    pub version: Option<String>,
    /// The policies that determined it: at most 16 are recorded.
    pub policies: Vec<String>,
    /// SHA-256 of the policy set.
    pub set: Option<[u8; 32]>,
}

/// What a policy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may run.
    Allow,
    /// It may run once somebody approved it.
    AllowIfApproved,
    /// It may not run.
    Deny,
}

/// Why a policy came to no decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Undecided {
    /// What went wrong, and what to do about it.
    pub cause: String,
    /// How many policies failed, where they did.
    pub errors: u32,
}

impl Undecided {
    /// Says what went wrong and what to do about it.
    pub fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), errors: 0 }
    }
}
