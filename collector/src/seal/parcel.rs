//! What one request becomes on its way to the stream's thread: everything worked out that needs no stream.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use spanseal_schemas::event::{Assessment, Cut, What};
use tokio::sync::oneshot;

use super::payloads;
use super::subjects::SubjectName;
use super::window::Fingerprint;
use crate::intake::{Accepted, BudgetPermit, Encoding, Refusal, Tenant};

/// One request, scanned and assessed, or the part of it that one stream gets. Its bytes stay in one place; spans are ranges of
/// them.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) request: Bytes,
    /// Of the request, those that are this part's.
    pub(crate) bytes: usize,
    pub(crate) encoding: Encoding,
    pub(crate) received_unix_nano: u64,
    pub(crate) tenant: Shared,
    pub(crate) configuration: Shared,
    /// Resources and scopes, which the spans refer to by place.
    pub(crate) shared: Vec<Shared>,
    /// What spans were judged to be, which they refer to by place.
    pub(crate) assessments: Arc<[Assessment]>,
    pub(crate) spans: Vec<ParcelSpan>,
    pub(crate) rejected: Option<Rejected>,
    /// Held until the request's bytes are let go.
    pub(crate) budget: Option<Arc<BudgetPermit>>,
    pub(crate) answer: oneshot::Sender<Answer>,
}

pub(crate) type Answer = Result<Accepted, Refusal>;

/// One span that will be sealed, unless it is a retry.
#[derive(Debug)]
pub(crate) struct ParcelSpan {
    pub(crate) fingerprint: Fingerprint,
    /// In the request.
    pub(crate) span: Range<u32>,
    /// The number of the stream that gets it.
    pub(crate) stream: u8,
    /// In [`Parcel::shared`].
    pub(crate) resource: u32,
    pub(crate) scope: u32,
    /// In [`Parcel::assessments`], counted from 1; none of a span that is no action and makes no claims.
    pub(crate) assessment: Option<NonZeroU32>,
    /// What most spans do not have.
    pub(crate) extra: Option<Box<Extra>>,
}

#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// The SDK process that numbered the span, and the number.
    pub(crate) producer: Option<([u8; 16], u64)>,
    pub(crate) cut: Option<CutMessage>,
}

/// A message with holes, and what was in them.
#[derive(Debug)]
pub(crate) struct CutMessage {
    /// The message without what was cut.
    pub(crate) stored: Vec<u8>,
    pub(crate) cuts: Vec<Cut>,
    pub(crate) subject: SubjectName,
    /// As payload records carry them.
    pub(crate) pieces: Vec<u8>,
}

/// What many spans refer to: one resource event, once it is written.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) what: What,
    /// Of everything that the resource event says, but for its nonce.
    pub(crate) print: u128,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) schema_url: Bytes,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Whole(Bytes),
    Cut(Arc<CutMessage>),
}

/// The spans of a request that are refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) spans: u64,
    /// Names the first few and why.
    pub(crate) message: String,
}

impl Parcel {
    /// Returns the spans taken in, the refused ones included.
    pub(crate) fn spans_received(&self) -> u64 {
        self.spans.len() as u64 + self.rejected.as_ref().map_or(0, |rejected| rejected.spans)
    }

    /// Returns the assessment of one of its spans.
    pub(crate) fn assessment(&self, span: &ParcelSpan) -> Option<&Assessment> {
        self.assessments.get(span.assessment?.get() as usize - 1)
    }

    /// Returns the bytes of one of its spans.
    pub(crate) fn span(&self, span: &ParcelSpan) -> &[u8] {
        &self.request[span.span.start as usize..span.span.end as usize]
    }

    /// Returns about how much the request adds to the log at most, payload records included.
    pub(crate) fn log_bytes(&self) -> u64 {
        // Far more than an event and its references take beside the span, and a cut beside its bytes.
        let events = self.spans.len() + self.shared.len() + 8;
        let cuts: usize = self.cuts().map(|cut| cut.cuts.len() + payloads::chunks(cut.pieces.len())).sum();
        self.bytes as u64 + 512 * (events + cuts) as u64
    }

    fn cuts(&self) -> impl Iterator<Item = &CutMessage> {
        let spans = self.spans.iter().filter_map(|span| span.extra.as_ref()?.cut.as_ref());
        let shared = self.shared.iter().filter_map(|shared| match &shared.content {
            Content::Whole(_) => None,
            Content::Cut(cut) => Some(&**cut),
        });
        spans.chain(shared)
    }

    /// Returns every subject whose key is needed.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &SubjectName> {
        self.cuts().map(|cut| &cut.subject)
    }

    /// Answers that everything of the request is durable, but for the spans that were rejected, and for conflicts that were not
    /// sealed because there are too many.
    pub(crate) fn accept(mut self, unsealed: u64) {
        let mut accepted = match self.rejected.take() {
            None => Accepted::default(),
            Some(Rejected { spans, message }) => Accepted { rejected_spans: spans, message },
        };
        if unsealed > 0 {
            accepted.rejected_spans += unsealed;
            let told =
                format!("not sealed: {unsealed} spans with the ids of others and other bytes, too many in a second");
            accepted.add_message(&told);
        }
        self.answer(Ok(accepted));
    }

    /// Answers that nothing of the request was kept.
    pub(crate) fn refuse(self, refusal: Refusal) {
        self.answer(Err(refusal));
    }

    fn answer(self, answer: Answer) {
        let Self { request, budget, answer: sender, .. } = self;
        // The next request may be waiting for these bytes.
        drop((request, budget));
        // Whoever asked may have gone away.
        let _ = sender.send(answer);
    }
}
