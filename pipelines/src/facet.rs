//! What an event can be searched by and is explained with, and the attributes of the common dialects that say it.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Serialize;

/// One aspect of an action: who, for whom, with what, by whose leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Facet {
    Agent,
    Actor,
    User,
    Owner,
    Tool,
    Target,
    Credential,
    Approver,
    Approval,
    Ticket,
    Policy,
    Conversation,
}

impl Facet {
    /// Every facet, in the order of the index's columns.
    pub const ALL: [Self; 12] = [
        Self::Agent,
        Self::Actor,
        Self::User,
        Self::Owner,
        Self::Tool,
        Self::Target,
        Self::Credential,
        Self::Approver,
        Self::Approval,
        Self::Ticket,
        Self::Policy,
        Self::Conversation,
    ];

    /// Returns the facet's name, which is also its column in the index and its flag on the command line.
    pub fn name(self) -> &'static str {
        self.columns().0
    }

    /// Returns the attributes that say it, the one that counts most first: claims, then OpenTelemetry's conventions, then
    /// what OpenInference, OpenLLMetry, Vercel's AI SDK and Langfuse call it. Searching looks at all of them.
    pub fn keys(self) -> &'static [&'static str] {
        self.columns().1
    }

    /// Returns the place in [`Facet::ALL`].
    pub fn ordinal(self) -> usize {
        self as usize
    }

    /// Returns the facet that an attribute says, and the attribute's rank: 0 counts most.
    pub fn of_key(key: &str) -> Option<(Self, usize)> {
        BY_KEY.get(key).copied()
    }

    fn columns(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Agent => {
                ("agent", &["gen_ai.agent.name", "gen_ai.agent.id", "agent.name", "ai.telemetry.functionId"])
            }
            Self::Actor => ("actor", &["provenance.actor.id"]),
            Self::User => (
                "user",
                &[
                    "provenance.initiator.id",
                    "user.id",
                    "enduser.id",
                    "langfuse.user.id",
                    "traceloop.association.properties.user_id",
                    "ai.telemetry.metadata.userId",
                ],
            ),
            Self::Owner => ("owner", &["provenance.owner.id"]),
            Self::Tool => ("tool", &["gen_ai.tool.name", "tool.name", "ai.toolCall.name", "mcp.tool.name"]),
            Self::Target => (
                "target",
                &[
                    "provenance.action.target",
                    "mcp.resource.uri",
                    "gen_ai.data_source.id",
                    "db.collection.name",
                    "db.namespace",
                ],
            ),
            Self::Credential => ("credential", &["provenance.credential.id", "provenance.credential.digest"]),
            Self::Approver => ("approver", &["provenance.approval.approver"]),
            Self::Approval => ("approval", &["provenance.approval.id"]),
            Self::Ticket => (
                "ticket",
                &["provenance.business.ticket", "provenance.business.change", "provenance.business.incident"],
            ),
            Self::Policy => {
                ("policy", &["provenance.policy.ids", "provenance.policy.decision_id", "provenance.policy.digest"])
            }
            Self::Conversation => (
                "conversation",
                &[
                    "gen_ai.conversation.id",
                    "session.id",
                    "mcp.session.id",
                    "langfuse.session.id",
                    "traceloop.association.properties.session_id",
                    "ai.telemetry.metadata.sessionId",
                ],
            ),
        }
    }
}

/// Every key of every facet. Asked for each attribute that is indexed.
static BY_KEY: LazyLock<HashMap<&'static str, (Facet, usize)>> = LazyLock::new(|| {
    let keys = |facet: Facet| facet.keys().iter().zip(0..).map(move |(key, rank)| (*key, (facet, rank)));
    Facet::ALL.into_iter().flat_map(keys).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_every_facet_at_its_place() {
        for (place, facet) in Facet::ALL.into_iter().enumerate() {
            assert_eq!(facet.ordinal(), place, "{facet:?}");
        }
    }

    #[test]
    fn finds_the_facet_of_each_dialect_and_its_rank() {
        assert_eq!(Facet::of_key("provenance.initiator.id"), Some((Facet::User, 0)));
        assert_eq!(Facet::of_key("user.id"), Some((Facet::User, 1)));
        assert_eq!(Facet::of_key("http.route"), None);
        let keys: usize = Facet::ALL.iter().map(|facet| facet.keys().len()).sum();
        assert_eq!(BY_KEY.len(), keys, "no key says two facets");
    }
}
