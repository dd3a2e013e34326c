//! Writes conflict events, and the findings that tell of those that were not written.

use prost::Message;
use spanseal_schemas::event::{ConflictEvent, EventRef, FindingEvent};
use spanseal_schemas::kind;

use super::conflicts::{Conflicting, Untold};
use super::group::{Hand, encoding};
use super::moment::Moment;
use super::payloads;
use super::stream::{Stream, StreamError};

impl Hand<'_> {
    /// Writes a span as a conflict beside the first with its ids, and returns its index.
    pub(super) fn conflict(&mut self, conflicting: &Conflicting<'_>, variant: bool) -> Result<u64, StreamError> {
        let Conflicting { first, parcel, span, .. } = *conflicting;
        let refs = self.refs(parcel, span)?;
        let mut event = ConflictEvent {
            version: 1,
            received_unix_nano: parcel.received_unix_nano,
            resource: refs.resource,
            scope: refs.scope,
            tenant: refs.tenant,
            configuration: refs.configuration,
            encoding: encoding(parcel.encoding) as i32,
            first: Some(EventRef { stream: Vec::new(), index: first }),
            variant,
            ..ConflictEvent::default()
        };
        match span.extra.as_deref().and_then(|extra| extra.cut.as_ref()) {
            None => event.span = parcel.span(span).to_vec(),
            Some(cut) => {
                event.span.clone_from(&cut.stored);
                event.cuts.clone_from(&cut.cuts);
                event.payloads = vec![vec![0; 32]; payloads::chunks(cut.pieces.len())];
                // The payload records stand right before the batch with their event.
                self.pen.make_room(event.encoded_len())?;
                event.payloads = self.payloads(cut)?.iter().map(|id| id.to_vec()).collect();
            }
        }
        self.pen.message(kind::CONFLICT, &event)
    }
}

impl Stream {
    /// Writes a finding for each tenant with conflicts that were not sealed, into the batch at hand.
    ///
    /// # Errors
    /// When an event cannot be written: the process stops.
    pub(super) fn tell_of_conflicts(&mut self, untold: Vec<Untold>, now: &Moment) -> Result<(), StreamError> {
        for Untold { tenant, spans } in untold {
            let message = format!("{spans} spans with the ids of others and other bytes are counted and not sealed");
            let event = FindingEvent {
                version: 1,
                found_unix_nano: now.wall_unix_nano,
                code: CONFLICTS_NOT_SEALED.to_owned(),
                message,
                tenant,
                spans,
                events: Vec::new(),
            };
            self.pen(now)?.message(kind::FINDING, &event)?;
        }
        Ok(())
    }

    /// Tells of conflicts that were not sealed while nothing comes in, when that is due and there is space for it.
    ///
    /// # Errors
    /// When the log cannot be written: the process stops.
    pub(super) fn tell_when_idle(&mut self, now: &Moment) -> Result<(), StreamError> {
        if self.conflicts.is_told() || self.dir.free_bytes()? < FREE_BYTES_MIN {
            return Ok(());
        }
        let due = self.conflicts.due(now);
        self.tell_of_conflicts(due, now)?;
        self.pen(now)?.seal()?;
        self.commit()?;
        self.resume(now).map(drop)
    }
}

/// The finding that conflicts were counted and not sealed, since there were more than are sealed in a second.
pub const CONFLICTS_NOT_SEALED: &str = "conflicts_not_sealed";
/// What findings are left to the next group for, when there is less.
const FREE_BYTES_MIN: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::cutting::span_head_len;

    /// What is cut to fit a span event fits a conflict event too.
    #[test]
    fn a_conflict_takes_no_more_than_a_span_beside_its_bytes() {
        let event = ConflictEvent {
            version: 1,
            received_unix_nano: u64::MAX,
            resource: u64::MAX,
            scope: u64::MAX,
            tenant: u64::MAX,
            configuration: u64::MAX,
            encoding: 1,
            first: Some(EventRef { stream: Vec::new(), index: u64::MAX }),
            variant: true,
            ..ConflictEvent::default()
        };
        assert!(event.encoded_len() < span_head_len(None), "with its kind byte");
    }
}
