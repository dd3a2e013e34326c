//! A search by time: segments and batches that lie wholly within it, or wholly without, are not looked into.

use rusqlite::Connection;

use super::Query;
use crate::index::starts::starts_of;
use crate::index::store::{batch_of, int};

/// The time that a query asks for, and the batch that was asked about last.
pub(super) struct Times {
    /// Nothing when any time will do.
    wanted: Option<(i64, i64)>,
    batch: Option<Batch>,
}

struct Batch {
    first: i64,
    end: i64,
    /// Whether each event is within the time, or all or none are.
    holds: Result<bool, Vec<bool>>,
}

impl Times {
    pub(super) fn new(query: &Query) -> Self {
        let wanted = (query.since.map_or(i64::MIN, int), query.until.map_or(i64::MAX, int));
        let any = query.since.is_none() && query.until.is_none();
        Self { wanted: if any { None } else { Some(wanted) }, batch: None }
    }

    /// Whether an event of these, from the earliest start to the latest, may be within the time.
    pub(super) fn may_hold(&self, (low, high): (i64, i64)) -> bool {
        self.wanted.is_none_or(|(since, until)| high >= since && low < until)
    }

    /// Whether the event with this row is within the time.
    pub(super) fn hold(&mut self, connection: &Connection, row: i64) -> rusqlite::Result<bool> {
        let Some(wanted) = self.wanted else { return Ok(true) };
        if self.batch.as_ref().is_none_or(|batch| !(batch.first..batch.end).contains(&row)) {
            self.batch = self.look_at(connection, row, wanted)?;
        }
        let Some(batch) = &self.batch else { return Ok(false) };
        Ok(match &batch.holds {
            Ok(all) => *all,
            Err(each) => usize::try_from(row - batch.first).ok().and_then(|id| each.get(id)).copied().unwrap_or(false),
        })
    }

    fn look_at(&self, connection: &Connection, row: i64, wanted: (i64, i64)) -> rusqlite::Result<Option<Batch>> {
        let Some((first, batch)) = batch_of(connection, row)? else { return Ok(None) };
        let within = |start: i64| (wanted.0..wanted.1).contains(&start);
        let (low, high) = batch.times;
        let holds = if !self.may_hold(batch.times) || (within(low) && within(high)) {
            Ok(within(low))
        } else {
            Err(starts_of(connection, first, &batch)?.into_iter().map(within).collect())
        };
        Ok(Some(Batch { first, end: first.saturating_add_unsigned(batch.count), holds }))
    }
}
