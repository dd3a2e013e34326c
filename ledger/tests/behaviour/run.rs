//! Runs the verifier over a log.

use spanseal_ledger::trust::Trust;
use spanseal_ledger::verify::{Freshness, Report, RootState, RootVerifier, StreamVerifier};

use crate::corpus::world::{Log, LogStream};

pub(crate) fn root_of(log: &Log, trust: Option<&Trust>) -> RootState {
    let mut root = RootVerifier::new(trust.cloned());
    for leaf in &log.leaves {
        let _ = root.push(leaf);
    }
    root.finish(log.note.as_deref().map(str::as_bytes))
}

pub(crate) fn verify(log: &Log, trust: Option<&Trust>, now: u64) -> Report {
    let root = root_of(log, trust);
    let streams = log.streams.iter().map(|stream| {
        let mut verifier = stream_verifier(&root, stream);
        for batch in &stream.batches {
            let _ = verifier.push(&root, batch);
        }
        verifier.finish(&root)
    });
    let streams = streams.collect();
    Report::new(&root, streams, Freshness { now_seconds: now, max_age_seconds: 86_400 })
}

pub(crate) fn stream_verifier(root: &RootState, stream: &LogStream) -> StreamVerifier {
    StreamVerifier::new(root, stream.id, stream.note.as_deref().map(str::as_bytes))
}
