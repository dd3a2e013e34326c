//! Events by their rows, out of the log: the index says where they are.

use std::io;

use rusqlite::{Connection, OptionalExtension};
use spanseal_ledger::batch::Batch;
use spanseal_ledger::{EventId, StreamId};
use spanseal_log::{DataDir, Item, Owner, Place, Reader};

use super::said::{self, OnAttribute, Said};
use super::store::{BatchRow, batch_of, unsigned};

/// The log, and of it the batch that was read last: neighbours are mostly asked for together.
#[derive(Debug)]
pub(crate) struct Log {
    data: DataDir,
    held: Option<(i64, Vec<Vec<u8>>)>,
}

/// One event as it stands in the log. It was verified when it was indexed, and not again now: `why` proves.
#[derive(Debug)]
pub(crate) struct Located<'l> {
    pub(crate) id: EventId,
    wall: u64,
    /// Nothing when the log cannot be read there any more.
    bytes: &'l [u8],
}

impl Log {
    pub(crate) fn new(data: &DataDir) -> Self {
        Self { data: data.clone(), held: None }
    }

    /// Returns the event with this row; `None` when there is no such row.
    ///
    /// # Errors
    /// When the index or the disk cannot be read.
    pub(crate) fn event(&mut self, connection: &Connection, row: i64) -> Result<Option<Located<'_>>, LogError> {
        let Some((first_row, batch)) = batch_of(connection, row)? else { return Ok(None) };
        let mut select = connection.prepare_cached("SELECT id FROM stream WHERE ordinal = ?")?;
        let stream: Option<[u8; 16]> = select.query_row([batch.stream], |row| row.get(0)).optional()?;
        let Some(stream) = stream.map(StreamId) else { return Ok(None) };
        if self.held.as_ref().is_none_or(|(held, _)| *held != first_row) {
            self.held = Some((first_row, self.read(stream, &batch)?));
        }
        let place = unsigned(row - first_row);
        let events = self.held.as_ref().map_or(&[][..], |(_, events)| events);
        let bytes = usize::try_from(place).ok().and_then(|place| events.get(place));
        let id = EventId { stream, index: batch.first + place };
        Ok(Some(Located { id, wall: batch.wall, bytes: bytes.map_or(&[], Vec::as_slice) }))
    }

    fn read(&self, stream: StreamId, batch: &BatchRow) -> io::Result<Vec<Vec<u8>>> {
        let owner = Owner::Stream(stream);
        let place = Place { segment: batch.segment, offset: batch.offset };
        let mut reader =
            Reader::open_at(self.data.shared_storage(), &self.data.log(&owner), owner, batch.first, place)?;
        reader.set_limit(batch.first + batch.count);
        while let Some(item) = reader.read_next()? {
            if let Item::Batch { first, bytes, .. } = item
                && first == batch.first
                && let Ok(parsed) = Batch::parse(bytes)
            {
                return Ok(parsed.events().map(<[u8]>::to_vec).collect());
            }
        }
        Ok(Vec::new())
    }
}

impl Located<'_> {
    /// Returns its kind byte; `None` when it cannot be read.
    pub(crate) fn kind(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    /// Reads what it says.
    pub(crate) fn read(&self, on_attribute: OnAttribute<'_>) -> Said {
        match self.bytes.split_first() {
            Some((kind, body)) => said::read(*kind, body, self.wall, on_attribute),
            None => Said { start: self.wall, ..Said::default() },
        }
    }
}

/// What stands between an index and the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error(transparent)]
    Index(#[from] rusqlite::Error),
    #[error(transparent)]
    Log(#[from] io::Error),
}
