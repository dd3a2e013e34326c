//! When the events of a batch started, for a search by time.

use rusqlite::{Connection, OptionalExtension, params};

use super::ids::{read_varint, varint};
use super::store::BatchRow;

/// The starts of a batch's events, as [`crate::index::store::int`] holds them.
#[derive(Debug, Default)]
pub(super) struct Starts(Vec<i64>);

impl Starts {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn push(&mut self, start: i64) {
        self.0.push(start);
    }

    /// Returns the earliest and the latest.
    pub(super) fn span(&self) -> (i64, i64) {
        let of = |bound: Option<&i64>| bound.copied().unwrap_or(0);
        (of(self.0.iter().min()), of(self.0.iter().max()))
    }

    /// Writes them for the batch with this first row, unless they are one and the same.
    pub(super) fn write(&self, connection: &Connection, batch: i64) -> rusqlite::Result<()> {
        let (low, high) = self.span();
        if low == high {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.0.len() * 5);
        self.0.iter().for_each(|start| varint(start.abs_diff(low), &mut bytes));
        connection.prepare_cached("INSERT INTO starts VALUES(?, ?)")?.execute(params![batch, bytes])?;
        Ok(())
    }
}

/// Reads the starts of the events of a batch, in their order.
pub(crate) fn starts_of(connection: &Connection, first_row: i64, batch: &BatchRow) -> rusqlite::Result<Vec<i64>> {
    let mut select = connection.prepare_cached("SELECT starts FROM starts WHERE id = ?")?;
    let bytes: Option<Vec<u8>> = select.query_row([first_row], |row| row.get(0)).optional()?;
    let low = batch.times.0;
    let Some(bytes) = bytes else { return Ok(vec![low; usize::try_from(batch.count).unwrap_or(0)]) };
    let mut at = 0;
    let starts = std::iter::from_fn(|| read_varint(&bytes, &mut at));
    Ok(starts.map(|start| low.saturating_add_unsigned(start)).collect())
}
