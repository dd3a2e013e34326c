//! Spans that are refused for good: why, and how the sender and the ledger are told.

use std::fmt::Write;

use spanseal_schemas::scan::ScanError;

use super::parcel::Rejected;

/// Why one span cannot be sealed: for good, but for [`Rejection::NoSalt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Rejection {
    #[error("{0}")]
    Malformed(#[from] ScanError),
    #[error("the trace id is {bytes} bytes, not 16")]
    TraceIdLength { bytes: usize },
    #[error("the trace id is all zeros")]
    TraceIdZero,
    #[error("the span id is {bytes} bytes, not 8")]
    SpanIdLength { bytes: usize },
    #[error("the span id is all zeros")]
    SpanIdZero,
    #[error("the parent span id is {bytes} bytes, not 8 or none")]
    ParentIdLength { bytes: usize },
    #[error("the schema URL is {bytes} bytes, more than {SCHEMA_URL_BYTES_MAX}")]
    SchemaUrl { bytes: usize },
    #[error("the message cannot be cut to fit an event: {bytes} bytes remain")]
    Uncuttable { bytes: usize },
    #[error("more than {CUT_MESSAGES_MAX} spans, resources and scopes of the request have values to keep out")]
    TooManyCut,
    #[error("there is no randomness for the salt of a cut")]
    NoSalt,
    #[error("the span lies outside its request")]
    Elsewhere,
}

/// Each takes a key, at first a new one, and a kibibyte of memory: this many take half a second.
pub(crate) const CUT_MESSAGES_MAX: usize = 16_384;
/// A schema URL is sealed whole, so it has a limit of its own.
pub(crate) const SCHEMA_URL_BYTES_MAX: usize = 4096;

/// The refused spans of one request. Spans count from 1 in the order of the request.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    /// Spans seen, refused or not.
    spans: u64,
    refused: u64,
    examples: String,
    /// One of them might be taken another time.
    transient: bool,
}

impl Rejections {
    /// Counts a span that is not refused.
    pub(crate) fn pass(&mut self) {
        self.spans += 1;
    }

    /// Counts a span that is refused.
    pub(crate) fn note(&mut self, rejection: &Rejection) {
        self.spans += 1;
        self.refused += 1;
        self.transient |= *rejection == Rejection::NoSalt;
        if self.refused <= EXAMPLES_MAX {
            let separator = if self.examples.is_empty() { "" } else { "; " };
            // Writing into a string cannot fail.
            let _ = write!(self.examples, "{separator}span {}: {rejection}", self.spans);
        }
    }

    /// Counts spans that are refused for what they have in common.
    pub(crate) fn note_all(&mut self, spans: usize, rejection: &Rejection) {
        (0..spans).for_each(|_| self.note(rejection));
    }

    /// Whether a span was refused for something that passes, so that the whole request is to be sent again.
    pub(crate) fn is_transient(&self) -> bool {
        self.transient
    }

    /// Returns what there is to tell, when there is something.
    pub(crate) fn rejected(self) -> Option<Rejected> {
        let Self { spans, refused, examples, .. } = self;
        let more = if refused > EXAMPLES_MAX { "; ..." } else { "" };
        (refused > 0).then(|| Rejected {
            spans: refused,
            message: format!("refused for good: {refused} of {spans} spans: {examples}{more}"),
        })
    }
}

const EXAMPLES_MAX: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_few_spans() {
        let mut rejections = Rejections::default();
        rejections.pass();
        rejections.note(&Rejection::TraceIdZero);
        rejections.note_all(3, &Rejection::SchemaUrl { bytes: 5000 });
        let Rejected { spans, message } = rejections.rejected().unwrap();
        assert_eq!(spans, 4);
        assert_eq!(
            message,
            "refused for good: 4 of 5 spans: span 2: the trace id is all zeros; span 3: the schema URL is 5000 bytes, \
             more than 4096; span 4: the schema URL is 5000 bytes, more than 4096; ..."
        );
    }

    #[test]
    fn tells_what_passes_from_what_is_for_good() {
        let mut rejections = Rejections::default();
        rejections.note(&Rejection::SpanIdZero);
        assert!(!rejections.is_transient());
        rejections.note(&Rejection::NoSalt);
        assert!(rejections.is_transient());
    }

    #[test]
    fn says_nothing_when_nothing_was_refused() {
        let mut rejections = Rejections::default();
        rejections.pass();
        assert_eq!(rejections.rejected(), None);
    }
}
