//! What an event can be searched by and is explained with, and the attributes of the common dialects that say it.

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

    /// Returns the facets that an attribute says, each with the attribute's rank: 0 counts most.
    pub fn of_key(key: &str) -> impl Iterator<Item = (Self, usize)> {
        Self::ALL.into_iter().filter_map(move |facet| {
            let rank = facet.keys().iter().position(|candidate| *candidate == key)?;
            Some((facet, rank))
        })
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
        let of = |key| Facet::of_key(key).collect::<Vec<_>>();
        assert_eq!(of("provenance.initiator.id"), [(Facet::User, 0)]);
        assert_eq!(of("user.id"), [(Facet::User, 1)]);
        assert_eq!(of("http.route"), []);
    }
}
