//! The checkpoint notes that a verification rests on, for whoever pins them.

use std::collections::BTreeMap;

use spanseal_ledger::StreamId;
use spanseal_ledger::checkpoint::VerifiedCheckpoint;
use spanseal_ledger::verify::Report as LedgerReport;

/// The notes that verified, as they were read before the log was: what they cover was verified too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    pub root_log: Option<Note>,
    pub streams: BTreeMap<StreamId, Note>,
}

/// A checkpoint note of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Leaves that it covers.
    pub size: u64,
    pub text: String,
}

impl Notes {
    pub(super) fn verified(
        ledger: &LedgerReport,
        root_note: Option<Vec<u8>>,
        mut notes: BTreeMap<StreamId, Option<Vec<u8>>>,
    ) -> Self {
        let streams = ledger.streams.iter().filter_map(|stream| {
            let note = notes.get_mut(&stream.stream).and_then(Option::take);
            Some((stream.stream, Note::verified(stream.checkpoint.as_ref(), note)?))
        });
        Self { root_log: Note::verified(ledger.root_checkpoint.as_ref(), root_note), streams: streams.collect() }
    }
}

impl Note {
    fn verified(checkpoint: Option<&VerifiedCheckpoint>, note: Option<Vec<u8>>) -> Option<Self> {
        Some(Self { size: checkpoint?.size(), text: String::from_utf8(note?).ok()? })
    }
}
