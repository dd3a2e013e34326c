//! Lines of streams: one after the other took the place of the one before, and the last of each goes on.

use std::num::NonZeroUsize;

use spanseal_ledger::Hash;
use spanseal_ledger::root_leaf::{ClosedBy, StreamSize, Submission};
use spanseal_ledger::sealer::Head;
use spanseal_ledger::tree::empty_root;
use spanseal_ledger::verify::{RootState, StreamRoot};

use super::keys::Keys;
use super::stream::STREAMS_MAX;

/// Returns how many streams there are to go on with, at least one: lines up to the last that is not closed.
pub(crate) fn streams_of(state: &RootState) -> NonZeroUsize {
    let open = lines(state.streams()).iter().rposition(|last| last.closed.is_none());
    let streams = open.map_or(1, |last| (last + 1).min(STREAMS_MAX));
    NonZeroUsize::new(streams).unwrap_or(NonZeroUsize::MIN)
}

/// Returns the last stream of each line, in the order in which the lines began.
pub(super) fn lines(streams: &[StreamRoot]) -> Vec<StreamRoot> {
    let mut lines: Vec<&StreamRoot> = Vec::new();
    for stream in streams {
        let before = stream.predecessor.map(|before| before.stream);
        match lines.iter_mut().find(|last| Some(last.stream) == before) {
            Some(last) => *last = stream,
            None => lines.push(stream),
        }
    }
    lines.into_iter().cloned().collect()
}

/// The leaves that end a stream for good: of its last epoch, if that is missing, and of the stream.
pub(super) fn ending(submission: &Submission<'_>, keys: &Keys, stream: &StreamRoot, good: &Head) -> Vec<Vec<u8>> {
    let mut leaves = Vec::with_capacity(2);
    let at = |size, root| StreamSize { stream: stream.stream, size, root };
    let end = match stream.epochs.last() {
        None => at(0, empty_root()),
        Some(epoch) => match &epoch.close {
            Some(close) => close.at,
            None => {
                // An epoch does not end before it began, even if its stream does by now.
                let (end, seal_hash): (StreamSize, Hash) = if good.frontier.size() >= epoch.start.first {
                    (at(good.frontier.size(), good.frontier.root()), good.seal_hash)
                } else {
                    (at(epoch.start.first, epoch.start.root), epoch.start.seal_hash)
                };
                let by = ClosedBy::Identity(&*keys.identity);
                leaves.push(submission.close_epoch(by, epoch.start.epoch, end, seal_hash));
                end
            }
        },
    };
    leaves.push(submission.close_stream(&*keys.identity, end));
    leaves
}
