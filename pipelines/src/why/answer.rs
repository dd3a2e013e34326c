//! What `why` answers: the spans of a trace as a tree, and of each who did what for whom, by whose leave, and where it is sealed.

use std::collections::BTreeMap;

use serde::Serialize;

/// Everything that the ledger holds about one trace, or about one event that is no span.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Answer {
    /// Hex; absent for an event without a trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The event that was asked for, when it was asked for by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    pub spans: usize,
    /// Parents that were named and never received.
    pub missing: usize,
    /// How many spans have each verdict; those that are no actions apart.
    pub verdicts: BTreeMap<&'static str, usize>,
    pub start_unix_nano: u64,
    pub end_unix_nano: u64,
    /// The tree, each span before those below it. Flat, so that no depth of it is too deep for a reader.
    pub tree: Vec<Branch>,
    /// Events that are no spans: what was asked for, findings, later verdicts, conflicts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Other>,
    /// Events of the ledger among which these were looked for.
    pub searched: u64,
    /// What else a reader must know, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One line of the tree.
#[derive(Debug, Clone, Serialize)]
pub struct Branch {
    /// 0 for a root.
    pub depth: usize,
    #[serde(flatten)]
    pub node: Node,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "node", rename_all = "snake_case")]
pub enum Node {
    Span(Box<SpanNode>),
    /// A parent that is named by spans and was never received.
    Missing {
        span: String,
    },
}

/// One span. Texts are as received: whoever prints them must make them printable.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SpanNode {
    pub span: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    pub start_unix_nano: u64,
    pub end_unix_nano: u64,
    /// `ok` or `error`, when the span says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// Absent: no action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<&'static str>,
    /// True when a later assessment replaced the verdict of sealing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub assessed_later: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<ReasonLine>,
    /// Each claim's grade, those that are absent left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub grades: BTreeMap<&'static str, &'static str>,
    pub account: Account,
    /// Who the collector took the span from: tenant and authenticated peer.
    pub tenant: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub peer: String,
    /// Of the span; values that were cut are replaced by a note.
    pub attributes: Vec<(String, String)>,
    /// What was cut out of the span, its resource and its scope.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<CutLine>,
    pub received_unix_nano: u64,
    pub place: Place,
    /// Further events that seal the same span: a retry beyond the window, or another collector's copy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<String>,
    /// Events with the same ids and other bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
}

/// Another version of a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    pub event: String,
    /// Nothing but configured enrichment differs, as the collector found.
    pub variant: bool,
}

/// Out of what a value was cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    #[default]
    Span,
    Resource,
    Scope,
}

/// A value, or a run of fields, that is in a payload record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CutLine {
    pub of: Part,
    pub bytes: u32,
    /// The record's id; absent when the event lists none for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// Under whose key it is; absent when the record is not in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
}

/// That a subject's key was destroyed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    pub event: String,
    pub unix_nano: u64,
    pub requested_by: String,
    pub legal_basis: String,
}

/// Who did what for whom, by whose leave: the signed claims where there are any, else what the attributes say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// True when this stands in signed claims; how far they hold is what the grades say.
    pub signed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// From the initiator to the actor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delegation: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Tickets, changes, incidents, playbook, task.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub business: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<String>,
    /// The tools around the action, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// Where it ran: each part with its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub runtime: BTreeMap<&'static str, String>,
    /// Why leave was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// How the action ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The action's span, where this one records the decision on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decides: Option<String>,
}

/// An approval as it reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ApprovalLine {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
    /// Seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
}

/// Why a verdict is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonLine {
    pub code: u32,
    /// The code in decimal when this version does not know it.
    pub name: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub sentence: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub remedy: &'static str,
}

/// Where an event is sealed, and what was checked of that now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `<stream hex>-<index>`.
    pub event: String,
    pub leaf: String,
    /// First and last index of the batch.
    pub batch: (u64, u64),
    pub seal: String,
    pub epoch: u32,
    pub sealed_unix_nano: u64,
    /// File and offset of the record that holds the batch.
    pub file: String,
    pub offset: u64,
    pub proof: Proof,
}

/// How far the place was proven when `why` was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "checked", rename_all = "snake_case")]
pub enum Proof {
    /// Hashed again and found in the tree of a signed checkpoint, under the keys of the root log.
    Included { size: u64, checkpoint_unix_seconds: u64, hashes: Vec<String> },
    /// Under a seal that verifies, not yet under a checkpoint.
    Sealed { because: String },
    /// What is in the log is not what was sealed.
    Refused { because: String },
    #[default]
    NotChecked,
}

/// An event that is no span of the tree.
#[derive(Debug, Clone, Serialize)]
pub struct Other {
    pub kind: String,
    /// What it says, in a few words.
    pub says: String,
    /// Events that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<String>,
    pub unix_nano: u64,
    pub place: Place,
}
