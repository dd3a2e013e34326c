//! The stream's thread: takes whatever waits, and hands it to the stream as one group.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::gate::Place;
use super::moment::Clocks;
use super::orders::Ordered;
use super::parcel::Parcel;
use super::stream::{Stream, StreamError};

/// What the thread owns beside the stream.
pub(crate) struct StreamThread {
    pub(crate) stream: Stream,
    pub(crate) parcels: Receiver<(Parcel, Arc<Place>)>,
    /// Looked at between groups; the first stream has them.
    pub(crate) orders: Option<Receiver<Ordered>>,
    pub(crate) clocks: Clocks,
    pub(crate) group_bytes_max: usize,
}

impl StreamThread {
    /// Seals until every way in is gone and nothing waits, then ends the epoch.
    ///
    /// There is no timer between a parcel and its answer: what waits when the last commit is done is the next group.
    ///
    /// # Errors
    /// When the stream cannot go on. Those who wait are told that the collector is stopping.
    pub(crate) fn run(mut self) -> Result<(), StreamError> {
        let mut group = Vec::new();
        loop {
            match self.parcels.recv_timeout(TICK) {
                Ok((parcel, place)) => {
                    drop(place);
                    self.fill(&mut group, parcel);
                    self.stream.group(&mut group, &self.clocks.now())?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.stream.tick(&self.clocks.now())?;
            while let Some(Ok(Ordered { order, answer })) = self.orders.as_ref().map(Receiver::try_recv) {
                // Whoever asked may have gone away.
                let _ = answer.send(self.stream.obey(&order, &self.clocks.now())?);
            }
        }
        self.stream.end(&self.clocks.now())
    }

    fn fill(&mut self, group: &mut Vec<Parcel>, first: Parcel) {
        let mut bytes = first.bytes;
        group.push(first);
        while bytes < self.group_bytes_max
            && let Ok((parcel, _)) = self.parcels.try_recv()
        {
            bytes += parcel.bytes;
            group.push(parcel);
        }
    }
}

/// How often an idle stream looks whether its key is due or the disk has space again.
const TICK: Duration = Duration::from_millis(250);
