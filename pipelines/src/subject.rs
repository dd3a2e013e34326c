//! What stands under a subject's key: what its erasure makes unreadable.

use std::collections::{BTreeSet, HashMap};
use std::io;

use prost::Message;
use serde::Serialize;
use spanseal_ledger::Hash;
use spanseal_ledger::batch::Batch;
use spanseal_ledger::leaf::plain_hash;
use spanseal_log::{DataDir, Item, Owner, Reader};
use spanseal_schemas::event::{ConflictEvent, ResourceEvent};
use spanseal_schemas::{envelope, kind};

use crate::hex;
use crate::index::store::unsigned;
use crate::index::{Index, OpenError, Progress};
use crate::payload::PayloadHead;
use crate::why::trace_of;

/// What of the ledger has values under a subject's key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Concerned {
    pub events: u64,
    pub payload_records: u64,
    pub payload_bytes: u64,
    /// In hex, as many as there are.
    pub traces: BTreeSet<String>,
    /// Other subjects with values in those traces, by id in hex.
    pub beside: BTreeSet<String>,
    /// Events that were gone through, in the index and in the log behind it.
    pub searched: u64,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConcernedError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the index cannot be read; `spanseal reindex` makes it anew")]
    Index(#[from] rusqlite::Error),
    #[error("the log cannot be read")]
    Log(#[from] io::Error),
}

/// Counts what has values under a subject's key: in the index, and in what of the log is not indexed.
///
/// # Errors
/// When either cannot be read.
pub fn concerned(data: &DataDir, subject: &[u8; 16]) -> Result<Concerned, ConcernedError> {
    let mut concerned = Concerned::default();
    let mut progress = Progress::default();
    match Index::open(data) {
        Ok(index) => {
            // Before the index is searched: what is indexed meanwhile is then found twice, and not missed.
            progress = index.progress()?;
            concerned.indexed(&index, subject)?;
        }
        Err(OpenError::Missing { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    concerned.searched = progress.indexed;
    concerned.unindexed(data, &progress, subject)?;
    concerned.beside.remove(&hex::encode(subject));
    Ok(concerned)
}

impl Concerned {
    fn indexed(&mut self, index: &Index, subject: &[u8; 16]) -> rusqlite::Result<()> {
        let connection = index.connection();
        let select = "SELECT records, bytes, trace FROM subject WHERE subject = ? AND records > 0";
        let mut select = connection.prepare(select)?;
        let mut rows = select.query([subject])?;
        while let Some(row) = rows.next()? {
            self.add(unsigned(row.get(0)?), unsigned(row.get(1)?), row.get(2)?);
        }
        let mut select = connection.prepare("SELECT subject FROM subject WHERE trace = ? AND records > 0")?;
        for trace in &self.traces {
            let trace = hex::decode::<16>(trace).unwrap_or_default();
            let mut rows = select.query([trace])?;
            while let Some(row) = rows.next()? {
                self.beside.insert(hex::encode(&row.get::<_, [u8; 16]>(0)?));
            }
        }
        Ok(())
    }

    fn unindexed(&mut self, data: &DataDir, progress: &Progress, subject: &[u8; 16]) -> io::Result<()> {
        for stream in data.streams()? {
            let (from, owner) = (progress.of(stream), Owner::Stream(stream));
            let mut reader = Reader::open(data.shared_storage(), &data.log(&owner), owner, from)?;
            let mut records: HashMap<Hash, u64> = HashMap::new();
            while let Some(item) = reader.read_next()? {
                match item {
                    Item::Payload { bytes, .. }
                        if PayloadHead::read(bytes).is_ok_and(|head| head.subject == *subject) =>
                    {
                        records.insert(plain_hash(bytes), bytes.len() as u64);
                    }
                    Item::Batch { bytes, .. } => {
                        let Ok(batch) = Batch::parse(bytes) else { continue };
                        let indices = batch.seal().first..;
                        self.searched += indices.clone().zip(batch.events()).filter(|(i, _)| *i >= from).count() as u64;
                        if !records.is_empty() {
                            let events = indices.zip(batch.events()).filter(|(index, _)| *index >= from);
                            events.for_each(|(_, event)| self.event(event, &records));
                        }
                        records.clear();
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn event(&mut self, event: &[u8], records: &HashMap<Hash, u64>) {
        let Some((&event_kind, body)) = event.split_first() else { return };
        let (ids, trace): (Vec<Vec<u8>>, _) = match event_kind {
            kind::SPAN => {
                let Ok(view) = envelope::view(body) else { return };
                (view.payloads.iter().map(|id| id.to_vec()).collect(), trace_of(view.span, &view.cuts))
            }
            kind::CONFLICT => {
                let Ok(event) = ConflictEvent::decode(body) else { return };
                let trace = trace_of(&event.span, &event.cuts);
                (event.payloads, trace)
            }
            kind::RESOURCE => {
                let Ok(event) = ResourceEvent::decode(body) else { return };
                (event.payloads, None)
            }
            _ => return,
        };
        let bytes: Vec<u64> = ids.iter().filter_map(|id| records.get(id.as_slice()).copied()).collect();
        if !bytes.is_empty() {
            self.add(bytes.len() as u64, bytes.iter().sum(), trace);
        }
    }

    fn add(&mut self, records: u64, bytes: u64, trace: Option<[u8; 16]>) {
        self.events += 1;
        self.payload_records += records;
        self.payload_bytes += bytes;
        self.traces.extend(trace.map(|trace| hex::encode(&trace)));
    }
}
