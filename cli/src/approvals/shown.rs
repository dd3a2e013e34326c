//! Requests as a person reads them.

use std::fmt;

use serde::Serialize;
use spanseal_authority::asking::{Answered, Asked};

use crate::text::{printable, time_of_seconds};

/// A request in one line.
#[derive(Serialize)]
pub(super) struct Line {
    id: String,
    action: String,
    target: Option<String>,
    actor: String,
    initiator: Option<String>,
    asked: u64,
    deadline: u64,
    state: String,
}

pub(super) fn line(asked: &Asked, answered: Option<&Answered>, now_seconds: u64) -> Line {
    let state = match answered {
        Some(answered) => state(answered),
        None if asked.deadline < now_seconds => state(&Answered::Expired),
        None => state(&Answered::Pending),
    };
    Line {
        id: asked.id.clone(),
        action: asked.action.kind.clone(),
        target: asked.action.target.clone(),
        actor: asked.actor.id.clone(),
        initiator: asked.initiator.as_ref().map(|party| party.id.clone()),
        asked: asked.asked,
        deadline: asked.deadline,
        state,
    }
}

pub(super) fn state(answered: &Answered) -> String {
    match answered {
        Answered::Pending => "waits".to_owned(),
        Answered::Approved { .. } => "approved".to_owned(),
        Answered::Denied { by, reason } => format!("denied by {}: {}", printable(by), printable(reason)),
        Answered::Expired => "expired".to_owned(),
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.id, printable(&self.action))?;
        if let Some(target) = &self.target {
            write!(f, " on {}", printable(target))?;
        }
        write!(f, "  by {}", printable(&self.actor))?;
        if let Some(initiator) = &self.initiator {
            write!(f, " for {}", printable(initiator))?;
        }
        write!(f, "  {}, until {}", self.state, time_of_seconds(self.deadline))
    }
}

/// Returns all that there is to say about a request.
pub(super) fn show(asked: &Asked) -> String {
    let action = &asked.action;
    let mut facts = vec![("request", asked.id.clone()), ("action", action.kind.clone())];
    let mut fact = |label, value: Option<String>| facts.extend(value.map(|value| (label, value)));
    fact("target", action.target.clone());
    fact("tool", action.tool.clone());
    fact("shown", asked.revealed.as_ref().map(ToString::to_string));
    fact("actor", Some(format!("{} ({})", asked.actor.id, asked.actor.kind)));
    fact("key", Some(asked.actor_key.clone()));
    fact("for", asked.initiator.as_ref().map(|party| format!("{} ({})", party.id, party.kind)));
    fact("owner", asked.owner.clone());
    for (what, value) in &asked.business {
        fact("part of", Some(format!("{what} {value}")));
    }
    fact("because", asked.reason.clone());
    fact("digest", Some(action.digest.clone()));
    fact("audience", Some(asked.audience.clone()));
    fact("asked", Some(time_of_seconds(asked.asked)));
    fact("until", Some(time_of_seconds(asked.deadline)));
    facts.iter().map(|(label, value)| format!("{label:<10}{}\n", printable(value))).collect()
}
