//! One request shared out to the streams: each span goes to the stream of its trace.
//!
//! So whatever is sent again of a trace meets what was sealed of it, in whatever batch it comes, and conflicts are found
//! as with one stream. The request is answered when every part is durable; what was kept of one that is refused in part is
//! recognised when it comes again.

use tokio::sync::oneshot;

use super::parcel::{Answer, Parcel, ParcelSpan};
use crate::intake::Accepted;

/// What one stream gets of a request, and where its answer comes from.
pub(crate) struct Part {
    /// The stream's number.
    pub(crate) stream: usize,
    pub(crate) parcel: Parcel,
    pub(crate) answered: oneshot::Receiver<Answer>,
}

/// Splits a request of which something is left to be sealed; most go to one stream as they are. What is to be said of those
/// refused goes with the first part.
pub(crate) fn split(mut parcel: Parcel, answered: oneshot::Receiver<Answer>) -> Vec<Part> {
    let first = parcel.spans.first().map_or(0, |span| span.stream);
    if parcel.spans.iter().all(|span| span.stream == first) {
        return vec![Part { stream: first.into(), parcel, answered }];
    }
    let mut spans: Vec<Vec<ParcelSpan>> = Vec::new();
    for span in parcel.spans.drain(..) {
        let stream = usize::from(span.stream);
        if spans.len() <= stream {
            spans.resize_with(stream + 1, Vec::new);
        }
        spans[stream].push(span);
    }
    let parts = spans.into_iter().enumerate().filter(|(_, spans)| !spans.is_empty());
    parts.map(|(stream, spans)| part(&mut parcel, stream, spans)).collect()
}

fn part(whole: &mut Parcel, stream: usize, spans: Vec<ParcelSpan>) -> Part {
    let (answer, answered) = oneshot::channel();
    let parcel = Parcel {
        request: whole.request.clone(),
        bytes: spans.iter().map(|span| span.span.len()).sum(),
        encoding: whole.encoding,
        received_unix_nano: whole.received_unix_nano,
        tenant: whole.tenant.clone(),
        configuration: whole.configuration.clone(),
        shared: whole.shared.clone(),
        assessments: whole.assessments.clone(),
        spans,
        rejected: whole.rejected.take(),
        budget: whole.budget.clone(),
        answer,
    };
    Part { stream, parcel, answered }
}

/// Returns the answer to a request, given those to its parts. One that is refused in part is to be sent again whole.
pub(crate) fn answer(parts: impl IntoIterator<Item = Answer>) -> Answer {
    let mut whole = Accepted::default();
    for part in parts {
        let Accepted { rejected_spans, message } = part?;
        whole.rejected_spans += rejected_spans;
        whole.add_message(&message);
    }
    Ok(whole)
}
