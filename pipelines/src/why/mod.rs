//! Answers who did what for whom, with which tool, by whose leave, and where that is sealed: for a trace or an event.
//!
//! ```text
//! index, and the log behind it --> events --> run of 256 events --> leaf, seal, checkpoint: proven now
//!                                        `--> span, claims, verdict --> tree --> text
//! ```
//! Nothing is taken from the index but where to look: what is printed was read from the log and proven.

mod account;
mod answer;
mod erased;
mod explain;
mod gather;
mod levels;
mod prove;
mod runs;
mod text;
mod tree;
mod values;

use std::collections::BTreeMap;
use std::io;
use std::str::FromStr;

use spanseal_ledger::EventId;
use spanseal_log::DataDir;
use spanseal_schemas::event::Assessment;

pub use answer::{
    Account, Answer, ApprovalLine, Branch, Conflict, CutLine, Erased, Node, Other, Part, Place, Proof, ReasonLine,
    SpanNode,
};
pub use text::{Layout, text};

use crate::hex;
use crate::index::{Index, OpenError};
use explain::{Explained, Explainer, SealedSpan};
use gather::Events;
pub(crate) use gather::{event_of, reader_at, trace_of};
use prove::Prover;

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    Trace([u8; 16]),
    Event(EventId),
}

/// A text names neither a trace nor an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a trace id (32 hex digits) nor an event id (32 hex digits, a hyphen and an index)")]
pub struct NoQuestion;

impl FromStr for Question {
    type Err = NoQuestion;

    fn from_str(text: &str) -> Result<Self, NoQuestion> {
        let text = text.trim().to_ascii_lowercase();
        match hex::decode(&text) {
            Some(trace) => Ok(Self::Trace(trace)),
            None => text.parse().map(Self::Event).map_err(|_| NoQuestion),
        }
    }
}

/// There is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WhyError {
    #[error("none of the {searched} events in the ledger is a span of trace {trace}")]
    NoTrace { trace: String, searched: u64 },
    #[error("the ledger holds no event {event}")]
    NoEvent { event: EventId },
    #[error("the log cannot be read")]
    Log(#[from] io::Error),
    #[error("the index cannot be read; `spanseal reindex` makes it anew")]
    Index(#[from] rusqlite::Error),
}

/// Answers a question from a data directory, which a collector may be writing meanwhile.
///
/// Without an index, or where it lags behind, the log itself is searched.
///
/// # Errors
/// When there is no such trace or event, or the log cannot be read.
pub fn why(data: &DataDir, question: Question) -> Result<Answer, WhyError> {
    let (index, notes) = open_index(data);
    let mut explainer = Explainer::new(data, Prover::open(data, index)?);
    let (trace, asked) = match question {
        Question::Trace(trace) => (trace, None),
        Question::Event(event) => match explainer.explain(event)? {
            Explained::Gone => return Err(WhyError::NoEvent { event }),
            Explained::Span(sealed) | Explained::Conflict(sealed, ..) => match hex::decode(&sealed.trace) {
                Some(trace) => (trace, Some(event)),
                None => return Ok(alone(event, Other::of_span(*sealed), notes)),
            },
            Explained::Assessment(.., other) | Explained::Other(other) => return Ok(alone(event, other, notes)),
        },
    };
    let Searched { events, size } = search(data, explainer.prover.index(), &trace)?;
    let mut parts = Parts::default();
    for event in events {
        parts.take(event, explainer.explain(event)?);
    }
    for event in explainer.erasures_told() {
        parts.take(event, explainer.explain(event)?);
    }
    if parts.spans.is_empty() && parts.conflicts.is_empty() {
        return Err(WhyError::NoTrace { trace: hex::encode(&trace), searched: size });
    }
    let mut answer = parts.into_answer(hex::encode(&trace), size);
    answer.event = asked.map(|event| event.to_string());
    answer.notes.splice(0..0, notes);
    Ok(answer)
}

fn open_index(data: &DataDir) -> (Option<Index>, Vec<String>) {
    match Index::open(data) {
        Ok(index) => (Some(index), Vec::new()),
        Err(OpenError::Missing { .. }) => (None, vec!["there is no index; the log itself was searched".to_owned()]),
        Err(error) => (None, vec![format!("{error}; the log itself was searched")]),
    }
}

/// The events of a trace, and how many were gone through to find them.
struct Searched {
    events: Events,
    size: u64,
}

fn search(data: &DataDir, index: Option<&Index>, trace: &[u8; 16]) -> Result<Searched, WhyError> {
    // Before the index is searched: what is indexed meanwhile is then found twice, and not missed.
    let progress = index.map(Index::progress).transpose()?.unwrap_or_default();
    let mut events = index.map(|index| gather::indexed_trace(index, trace)).transpose()?.unwrap_or_default();
    let unindexed = gather::unindexed_trace(data, index, &progress, trace, &mut events)?;
    Ok(Searched { events, size: progress.indexed + unindexed })
}

/// The answer about an event that belongs to no trace.
fn alone(event: EventId, other: Other, notes: Vec<String>) -> Answer {
    let (start_unix_nano, end_unix_nano) = (other.unix_nano, other.unix_nano);
    let event = Some(event.to_string());
    Answer { event, start_unix_nano, end_unix_nano, others: vec![other], notes, searched: 1, ..Answer::default() }
}

/// What was found of a trace, before it is put together.
#[derive(Default)]
struct Parts {
    /// By the span's id and the tenant, to whom nobody else's ids matter: the first event that seals it.
    spans: BTreeMap<(String, String), SealedSpan>,
    assessments: Vec<(EventId, Assessment)>,
    conflicts: Vec<OtherVersion>,
    others: Vec<Other>,
    gone: Vec<EventId>,
}

impl Parts {
    fn take(&mut self, event: EventId, explained: Explained) {
        match explained {
            Explained::Span(sealed) => self.span(*sealed),
            Explained::Conflict(sealed, first, variant) => {
                self.conflicts.push(OtherVersion { sealed: *sealed, first, variant });
            }
            Explained::Assessment(target, assessment, other) => {
                self.assessments.push((target, assessment));
                self.others.push(other);
            }
            Explained::Other(other) => self.others.push(other),
            Explained::Gone => self.gone.push(event),
        }
    }

    fn span(&mut self, sealed: SealedSpan) {
        let key = (sealed.node.span.clone(), sealed.node.tenant.clone());
        match self.spans.get_mut(&key) {
            Some(first) if first.bytes == sealed.bytes => first.node.again.push(sealed.node.place.event),
            Some(_) => self.conflicts.push(OtherVersion { sealed, first: None, variant: false }),
            None => drop(self.spans.insert(key, sealed)),
        }
    }

    /// Shows a version at the first one's place; by itself when that is not there.
    fn conflict(&mut self, version: OtherVersion) {
        let OtherVersion { sealed, first, variant } = version;
        let event = sealed.node.place.event.clone();
        let named = first.map(|first| first.to_string());
        let spans = &mut self.spans;
        let place = spans.iter().find(|(_, span)| Some(&span.node.place.event) == named.as_ref());
        let key = place.map_or_else(|| (sealed.node.span.clone(), sealed.node.tenant.clone()), |(key, _)| key.clone());
        match spans.get_mut(&key) {
            Some(first) => first.node.conflicts.push(Conflict { event, variant }),
            None => self.others.push(Other::of_conflict(sealed, named)),
        }
    }

    fn into_answer(mut self, trace: String, searched: u64) -> Answer {
        let mut notes = Vec::new();
        for event in &self.gone {
            notes.push(format!("event {event} is indexed and is not in the log; `spanseal verify` says more"));
        }
        for version in std::mem::take(&mut self.conflicts) {
            self.conflict(version);
        }
        let mut spans: Vec<SpanNode> = self.spans.into_values().map(|sealed| sealed.node).collect();
        for (target, assessment) in &self.assessments {
            let target = target.to_string();
            for span in spans.iter_mut().filter(|span| span.place.event == target) {
                explain::judge(span, Some(assessment));
                span.assessed_later = true;
            }
        }
        let mut verdicts = BTreeMap::new();
        spans.iter().filter_map(|span| span.verdict).for_each(|verdict| *verdicts.entry(verdict).or_default() += 1);
        let start_unix_nano = spans.iter().map(|span| span.start_unix_nano).min().unwrap_or(0);
        let end_unix_nano = spans.iter().map(|span| span.end_unix_nano).max().unwrap_or(0);
        let count = spans.len();
        let tree = tree::grow(spans);
        let missing = tree.len() - count;
        Answer {
            trace: Some(trace),
            event: None,
            spans: count,
            missing,
            verdicts,
            start_unix_nano,
            end_unix_nano,
            tree,
            others: self.others,
            searched,
            notes,
        }
    }
}

/// A span with the ids of another and other bytes.
struct OtherVersion {
    sealed: SealedSpan,
    /// The event of the first; not known of span events that differ.
    first: Option<EventId>,
    variant: bool,
}

impl Other {
    fn of_conflict(sealed: SealedSpan, first: Option<String>) -> Self {
        let SpanNode { name, start_unix_nano, place, .. } = sealed.node;
        let says = format!("another version of a span that is not there: {name}");
        Self {
            kind: "conflict".to_owned(),
            says,
            about: first.into_iter().collect(),
            unix_nano: start_unix_nano,
            place,
        }
    }

    /// A span that has no valid trace id, which no collector seals.
    fn of_span(sealed: SealedSpan) -> Self {
        let SpanNode { name, start_unix_nano, place, .. } = sealed.node;
        Self { kind: "span".to_owned(), says: name, about: Vec::new(), unix_nano: start_unix_nano, place }
    }
}
