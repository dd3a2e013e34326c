//! Writes events into the open epoch: into the batch at hand, which is sealed into the log's waiting group when it is full.

use prost::Message;
use spanseal_log::{RecordKind, Writer};

use super::epoch::Epoch;
use super::gate::RefusedSpans;
use super::measures::Measures;
use super::moment::Moment;
use super::stream::StreamError;

/// The way into an epoch for the length of one group.
pub(crate) struct Pen<'a> {
    pub(crate) epoch: &'a mut Epoch,
    pub(crate) writer: &'a mut Writer,
    pub(crate) refused: &'a RefusedSpans,
    pub(crate) measures: &'a Measures,
    pub(crate) now: Moment,
}

impl Pen<'_> {
    /// Seals what waits if an event with a body of this length does not fit beside it.
    pub(crate) fn make_room(&mut self, body_len: usize) -> Result<(), StreamError> {
        if self.epoch.sealer.fits(1 + body_len) { Ok(()) } else { self.seal() }
    }

    /// Writes an event, whose body has this length, and returns its index.
    pub(crate) fn push(
        &mut self,
        kind: u8,
        body_len: usize,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u64, StreamError> {
        self.make_room(body_len)?;
        Ok(self.epoch.sealer.push(kind, body)?)
    }

    /// Writes an event that is no span, and returns its index. Prost writes canonical form, given a message without unknown
    /// fields.
    pub(crate) fn message(&mut self, kind: u8, message: &impl Message) -> Result<u64, StreamError> {
        self.push(kind, message.encoded_len(), |out| {
            message.encode(out).expect("a vector takes all that is written to it");
        })
    }

    /// Seals what waits, if anything does, into the group that waits for its commit.
    pub(crate) fn seal(&mut self) -> Result<(), StreamError> {
        let (clock, tally) = (self.epoch.clock(&self.now), self.epoch.tally(self.refused));
        if let Some(batch) = self.epoch.sealer.seal(clock, &tally) {
            self.writer.append(RecordKind::Batch, batch)?;
            self.epoch.told = tally;
            self.measures.batches(1);
        }
        Ok(())
    }
}
