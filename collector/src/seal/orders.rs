//! Orders about subjects: what is to be done, and how the ledger says that it was.

use prost::Message;
use serde::{Deserialize, Serialize};
use spanseal_schemas::event::{ErasureEvent, FindingEvent};
use spanseal_schemas::kind;
use tokio::sync::oneshot;

use super::subjects::{Hold, Known};
use crate::text::{chain, hex};

/// What is to be done with a subject. Ids are hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Destroys the key.
    Erase {
        id: String,
        requested_by: String,
        legal_basis: String,
        /// [`super::subjects::SubjectFile::changes`] of before it was looked for holds in the way. Which traces have the
        /// subject's values only readers of the log know, so whoever asks looks, and the stream's thread refuses when
        /// anything was changed since.
        changes_seen: u64,
    },
    /// Keeps the key from being destroyed; one is made for a subject that has none yet.
    Hold {
        tenant: String,
        subject: String,
        placed_by: String,
        reason: String,
    },
    Release {
        id: String,
        released_by: String,
        reason: String,
    },
}

/// What was done, and the event that says so, which is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The subject's id, in hex.
    pub subject: String,
    /// `<stream hex>-<index>`.
    pub event: String,
    pub unix_nano: u64,
}

/// Why an order is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refused {
    #[error("no subject has this id and a key: it was erased, or nothing of it was ever cut out")]
    NoSubject,
    #[error("a legal hold is on it, placed by {}: {}", .0.placed_by, .0.reason)]
    Held(Hold),
    #[error("a hold was placed or something was erased since holds were looked for: look again")]
    Changed,
    #[error("no legal hold is on it")]
    NotHeld,
    #[error("{what} is empty, longer than {TEXT_BYTES_MAX} bytes, or has control characters")]
    Text { what: String },
    #[error("the disk is full: nothing was done")]
    DiskFull,
    #[error("as far as is known, nothing was done: {why}")]
    Failed { why: String },
    #[error("it is done, and the ledger is told as soon as this is over, at the latest at the next start: {why}")]
    Unfinished { why: String },
    #[error("the collector is stopping")]
    Stopping,
}

impl Refused {
    /// Whether to ask again is of no use as things are.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::NoSubject | Self::Held(_) | Self::NotHeld)
    }

    pub(super) fn failed(error: &dyn std::error::Error) -> Self {
        Self::Failed { why: chain(error) }
    }
}

/// An order on its way to the stream's thread.
pub(crate) struct Ordered {
    pub(crate) order: Order,
    pub(crate) answer: oneshot::Sender<Result<Done, Refused>>,
}

/// The way for orders to the stream's thread.
#[derive(Clone)]
pub struct Orders(pub(super) std::sync::mpsc::SyncSender<Ordered>);

impl Orders {
    /// Has an order carried out.
    ///
    /// # Errors
    /// Why it is not carried out.
    pub async fn carry_out(&self, order: Order) -> Result<Done, Refused> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Ordered { order, answer }).map_err(|_| Refused::Stopping)?;
        answered.await.unwrap_or(Err(Refused::Stopping))
    }
}

impl Order {
    /// Checks what will stand in the ledger.
    pub(super) fn check(&self) -> Result<(), Refused> {
        let texts = match self {
            Self::Erase { requested_by, legal_basis, .. } => {
                vec![("who requests it", requested_by), ("the legal basis", legal_basis)]
            }
            Self::Hold { placed_by, reason, .. } => vec![("who places it", placed_by), ("the reason", reason)],
            Self::Release { released_by, reason, .. } => vec![("who releases it", released_by), ("the reason", reason)],
        };
        let unfit =
            |text: &str| text.trim().is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control);
        match texts.into_iter().find(|(_, text)| unfit(text)) {
            Some((what, _)) => Err(Refused::Text { what: what.to_owned() }),
            None => Ok(()),
        }
    }

    /// Returns the event that says what was done. It names the subject by its id: what the ledger says of a person cannot
    /// be erased.
    pub(super) fn event(&self, known: &Known, unix_nano: u64) -> Vec<u8> {
        let id = hex(&known.id);
        let (code, message) = match self {
            Self::Erase { requested_by, legal_basis, .. } => {
                let event = ErasureEvent {
                    version: 1,
                    erased_unix_nano: unix_nano,
                    subject_id: known.id.to_vec(),
                    requested_by: requested_by.clone(),
                    legal_basis: legal_basis.clone(),
                };
                return encoded(kind::ERASURE, &event);
            }
            Self::Hold { placed_by, reason, .. } => {
                (HOLD_PLACED, format!("legal hold placed on subject {id} by {placed_by}: {reason}"))
            }
            Self::Release { released_by, reason, .. } => {
                (HOLD_RELEASED, format!("legal hold released from subject {id} by {released_by}: {reason}"))
            }
        };
        let event = FindingEvent {
            version: 1,
            found_unix_nano: unix_nano,
            code: code.to_owned(),
            message,
            tenant: known.name.tenant.clone(),
            spans: 0,
            events: Vec::new(),
        };
        encoded(kind::FINDING, &event)
    }
}

fn encoded(kind: u8, message: &impl Message) -> Vec<u8> {
    let mut event = vec![kind];
    event.extend(message.encode_to_vec());
    event
}

/// The finding that a subject's key must not be destroyed.
pub const HOLD_PLACED: &str = "hold_placed";
/// The finding that it may be destroyed again.
pub const HOLD_RELEASED: &str = "hold_released";
/// As in docs/claims.md; an event with two of them fits a batch.
const TEXT_BYTES_MAX: usize = 1024;
