//! Whose key was destroyed: looked up by subject, read from the log.

use std::collections::HashMap;
use std::io;

use prost::Message;
use spanseal_ledger::EventId;
use spanseal_ledger::batch::Batch;
use spanseal_log::{DataDir, Item, Owner, Reader};
use spanseal_schemas::event::ErasureEvent;
use spanseal_schemas::kind;

use super::answer::Erased;
use super::gather::event_of;
use super::prove::Prover;
use super::runs::Runs;
use crate::index::{Index, Progress};

/// The erasures that answers speak of.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    known: HashMap<[u8; 16], Option<(EventId, Erased)>>,
    /// Those that are not indexed, once they were looked for.
    unindexed: Option<HashMap<[u8; 16], EventId>>,
}

impl Erasures {
    /// Returns the first event that says that a subject's key was destroyed.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) fn of(
        &mut self,
        subject: &[u8; 16],
        data: &DataDir,
        prover: &Prover,
        runs: &mut Runs,
    ) -> io::Result<Option<(EventId, Erased)>> {
        if let Some(known) = self.known.get(subject) {
            return Ok(known.clone());
        }
        let mut event = prover.index().and_then(|index| indexed(index, subject).ok().flatten());
        if event.is_none() {
            if self.unindexed.is_none() {
                let progress = prover.index().and_then(|index| index.progress().ok()).unwrap_or_default();
                self.unindexed = Some(unindexed(data, &progress)?);
            }
            event = self.unindexed.as_ref().and_then(|unindexed| unindexed.get(subject)).copied();
        }
        let erased = event.map_or(Ok(None), |event| read(event, subject, prover, runs))?;
        self.known.insert(*subject, erased.clone());
        Ok(erased)
    }
}

fn indexed(index: &Index, subject: &[u8; 16]) -> rusqlite::Result<Option<EventId>> {
    let select = "SELECT id FROM subject WHERE subject = ? AND records = 0 ORDER BY id LIMIT 1";
    let mut select = index.connection().prepare_cached(select)?;
    let mut rows = select.query([subject])?;
    match rows.next()? {
        Some(row) => event_of(index, row.get(0)?),
        None => Ok(None),
    }
}

fn unindexed(data: &DataDir, progress: &Progress) -> io::Result<HashMap<[u8; 16], EventId>> {
    let mut found = HashMap::new();
    for stream in data.streams()? {
        let from = progress.of(stream);
        let owner = Owner::Stream(stream);
        let mut reader = Reader::open(data.shared_storage(), &data.log(&owner), owner, from)?;
        while let Some(item) = reader.read_next()? {
            let Item::Batch { bytes, .. } = item else { continue };
            let Ok(batch) = Batch::parse(bytes) else { continue };
            for (event, index) in batch.events().zip(batch.seal().first..) {
                if let Some((&kind::ERASURE, body)) = event.split_first()
                    && let Ok(erasure) = ErasureEvent::decode(body)
                    && let Ok(subject) = erasure.subject_id.as_slice().try_into()
                {
                    found.entry(subject).or_insert(EventId { stream, index });
                }
            }
        }
    }
    Ok(found)
}

fn read(event: EventId, subject: &[u8; 16], prover: &Prover, runs: &mut Runs) -> io::Result<Option<(EventId, Erased)>> {
    let run = runs.of(event.stream, event.index, prover.hint(event))?;
    let found = run.event(event.index).filter(|found| found.kind == kind::ERASURE);
    let erasure = found.and_then(|found| ErasureEvent::decode(found.body).ok());
    Ok(erasure.filter(|erasure| erasure.subject_id == subject).map(|erasure| {
        let erased = Erased {
            event: event.to_string(),
            unix_nano: erasure.erased_unix_nano,
            requested_by: erasure.requested_by,
            legal_basis: erasure.legal_basis,
        };
        (event, erased)
    }))
}
