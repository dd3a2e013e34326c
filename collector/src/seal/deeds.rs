//! What is done with subjects on order, erased, held, released; and how the ledger is told.
//!
//! The writes, in this order; start-up, a retry and the order itself take the same path ([`Stream::pay_now`]).
//! Of several streams the first carries orders out and tells of them:
//! 1. What may fail: the subject, a hold, space for the event; for an erasure, a change since whoever asks looked for holds
//!    on traces. A refusal here leaves no trace.
//! 2. In one transaction of the subjects' file: the change (of an erasure: the key is overwritten, its name and id are
//!    deleted), and the event that says so, which is owed to the ledger from now on. A crash before it leaves everything
//!    as it was; after it, an event that start-up finds to be owed. So no key is gone without an event, and no event says
//!    that a key is gone which is there.
//! 3. Copies of the key in SQLite's write-ahead log are removed. A crash here leaves copies that nothing looks up; start-up
//!    removes them. Nothing says that the key is destroyed while one is left.
//! 4. The event, durable in the stream, unless it is there already. A crash here leaves an event that is owed and sealed:
//!    start-up finds it after where the stream ended at step 2, and does not seal it twice.
//! 5. The debt is deleted. A crash here leaves nothing to do.
//!
//! A failure from step 3 on is no refusal: what was begun is completed by the stream's thread, some seconds later or at the
//! next start.

use std::sync::PoisonError;

use spanseal_ledger::batch::Batch;
use spanseal_ledger::{EventId, StreamId};
use spanseal_log::{Item, Owner, Reader};
use spanseal_schemas::kind;

use super::epoch::Resumed;
use super::moment::Moment;
use super::orders::{Done, Order, Refused};
use super::stream::{Stream, StreamError};
use super::subjects::{Change, Hold, Known, Owed, SubjectName, Subjects, SubjectsError};
use crate::text::{chain, hex};

/// When the ledger is told what it is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Debt {
    None,
    /// Not before this time of the process's clock.
    From {
        monotonic_nano: u64,
    },
}

impl Debt {
    pub(crate) const NOW: Self = Self::From { monotonic_nano: 0 };
}

/// Why the ledger is not told yet.
#[derive(Debug, thiserror::Error)]
enum Unpaid {
    #[error(transparent)]
    Subjects(#[from] SubjectsError),
    #[error("the disk is full")]
    DiskFull,
}

/// An event that was owed, and where it is sealed.
type Paid = (Vec<u8>, EventId);

/// A change that may be made, and how the ledger is told.
struct Deed {
    id: [u8; 16],
    change: Change,
    event: Vec<u8>,
    unix_nano: u64,
}

impl Stream {
    /// Carries an order out.
    ///
    /// # Errors
    /// When the logs cannot be written: the process stops, and the next start completes what was begun.
    pub(super) fn obey(&mut self, order: &Order, now: &Moment) -> Result<Result<Done, Refused>, StreamError> {
        if !self.has_room(now)? {
            return Ok(Err(Refused::DiskFull));
        }
        let deed = match self.deed(order, now) {
            Ok(deed) => deed,
            Err(refused) => return Ok(Err(refused)),
        };
        let owed = Owed { event: deed.event.clone(), after: self.next_event()? };
        if let Err(error) = self.change(&deed, &owed) {
            // It may have been made all the same.
            self.debt = Debt::NOW;
            return Ok(Err(Refused::failed(&error)));
        }
        self.debt = Debt::NOW;
        Ok(match self.pay_now(now)? {
            Ok(paid) => {
                let event =
                    paid.into_iter().rev().find(|(event, _)| *event == deed.event).map(|(_, at)| at.to_string());
                Ok(Done { subject: hex(&deed.id), event: event.unwrap_or_default(), unix_nano: deed.unix_nano })
            }
            Err(error) => Err(Refused::Unfinished { why: chain(&error) }),
        })
    }

    /// Step 2, while no stream seals under the key that is destroyed.
    fn change(&mut self, deed: &Deed, owed: &Owed) -> Result<(), SubjectsError> {
        let erasures = self.subjects.erasures();
        let mut erasures = erasures.write().unwrap_or_else(PoisonError::into_inner);
        *erasures += u64::from(deed.change == Change::Destroy);
        self.subjects.change(&deed.id, &deed.change, owed)
    }

    /// Tells the ledger what it is owed, when it is time.
    ///
    /// # Errors
    /// When the logs cannot be read or written.
    pub(super) fn pay(&mut self, now: &Moment) -> Result<(), StreamError> {
        match self.debt {
            Debt::From { monotonic_nano } if monotonic_nano <= now.monotonic_nano => {
                if let Err(error) = self.pay_now(now)? {
                    tracing::warn!(why = chain(&error), "the ledger is not told yet of an erasure or a hold");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Steps 3 to 5. Returns each event that was owed, and where it is sealed.
    fn pay_now(&mut self, now: &Moment) -> Result<Result<Vec<Paid>, Unpaid>, StreamError> {
        self.debt = Debt::From { monotonic_nano: now.monotonic_nano + PAY_AGAIN_NANOS };
        let owed = match self.owed() {
            Ok(owed) => owed,
            Err(error) => return Ok(Err(error.into())),
        };
        let mut paid = Vec::with_capacity(owed.len());
        for (number, owed) in owed {
            if !self.has_room(now)? {
                return Ok(Err(Unpaid::DiskFull));
            }
            let at = match self.sealed(&owed)? {
                Some(at) => at,
                None => self.tell(&owed.event, now)?,
            };
            if let Err(error) = self.subjects.settle(number) {
                return Ok(Err(error.into()));
            }
            paid.push((owed.event, at));
        }
        self.debt = Debt::None;
        Ok(Ok(paid))
    }

    /// Step 3. Returns what may be said now.
    fn owed(&mut self) -> Result<Vec<(i64, Owed)>, SubjectsError> {
        let owed = self.subjects.owed()?;
        if owed.iter().any(|(_, owed)| owed.event.first() == Some(&kind::ERASURE)) {
            self.subjects.scrub()?;
        }
        Ok(owed)
    }

    /// Step 4.
    fn tell(&mut self, event: &[u8], now: &Moment) -> Result<EventId, StreamError> {
        let stream = self.next_event()?.stream;
        let mut pen = self.pen(now)?;
        let (kind, body) = event.split_first().map_or((0, event), |(kind, body)| (*kind, body));
        let index = pen.push(kind, body.len(), |out| out.extend_from_slice(body))?;
        pen.seal()?;
        self.commit()?;
        self.resume(now)?;
        Ok(EventId { stream, index })
    }

    /// Finds an event that was owed in what was sealed since, of the stream of that time and of the one that followed it.
    fn sealed(&self, owed: &Owed) -> Result<Option<EventId>, StreamError> {
        let now = self.next_event()?.stream;
        let mut streams = vec![(owed.after.stream, owed.after.index)];
        if now != owed.after.stream {
            streams.push((now, 0));
        }
        for (stream, from) in streams {
            if let Some(index) = self.find_in(stream, from, &owed.event).map_err(StreamError::Read)? {
                return Ok(Some(EventId { stream, index }));
            }
        }
        Ok(None)
    }

    fn find_in(&self, stream: StreamId, from: u64, wanted: &[u8]) -> std::io::Result<Option<u64>> {
        let owner = Owner::Stream(stream);
        let mut reader = Reader::open(self.dir.shared_storage(), &self.dir.log(&owner), owner, from)?;
        while let Some(item) = reader.read_next()? {
            let Item::Batch { bytes, .. } = item else { continue };
            let Ok(batch) = Batch::parse(bytes) else { continue };
            if let Some((index, _)) = (batch.seal().first..).zip(batch.events()).find(|(_, event)| *event == wanted) {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Whether an epoch is open and the disk has space for what an order takes.
    fn has_room(&mut self, now: &Moment) -> Result<bool, StreamError> {
        Ok(self.resume(now)? == Resumed::Open && self.dir.free_bytes()? >= ORDER_BYTES)
    }

    /// Returns the id that the next event gets.
    fn next_event(&self) -> Result<EventId, StreamError> {
        let sealer = &self.epoch.as_ref().ok_or(StreamError::NoEpoch)?.sealer;
        Ok(EventId { stream: sealer.stream(), index: sealer.next_index() })
    }

    fn deed(&mut self, order: &Order, now: &Moment) -> Result<Deed, Refused> {
        order.check()?;
        let unix_nano = now.wall_unix_nano.max(self.stream_nanos);
        let (known, change) = match order {
            Order::Erase { id, changes_seen, .. } => {
                let known = self.known(id)?;
                // Orders come one after the other on this thread, so none can come between.
                let changes = self.subjects.changes().map_err(|error| Refused::failed(&error))?;
                match &known.hold {
                    None if changes != *changes_seen => return Err(Refused::Changed),
                    _ => (known, Change::Destroy),
                }
            }
            Order::Hold { tenant, subject, placed_by, reason } => {
                let name = SubjectName { tenant: tenant.clone(), subject: subject.clone() };
                let hold = Hold { placed_by: placed_by.clone(), reason: reason.clone(), since_unix_nano: unix_nano };
                (self.obtained(name)?, Change::Hold(hold))
            }
            Order::Release { id, .. } => (self.known(id)?, Change::Release),
        };
        match (&change, &known.hold) {
            (Change::Release, None) => return Err(Refused::NotHeld),
            (Change::Destroy | Change::Hold(_), Some(hold)) => return Err(Refused::Held(hold.clone())),
            _ => {}
        }
        Ok(Deed { id: known.id, change, event: order.event(&known, unix_nano), unix_nano })
    }

    fn known(&self, id: &str) -> Result<Known, Refused> {
        let id = unhex(id).ok_or(Refused::NoSubject)?;
        self.subjects.known(&id).map_err(|error| Refused::failed(&error))?.ok_or(Refused::NoSubject)
    }

    /// Returns a subject, which gets a key if it has none yet: a hold may come before what it is to keep.
    fn obtained(&mut self, name: SubjectName) -> Result<Known, Refused> {
        let keys = self.subjects.obtain(std::slice::from_ref(&name)).map_err(|error| Refused::failed(&error))?;
        let id = keys.get(&name).map(|key| key.id).ok_or(Refused::NoSubject)?;
        self.subjects.known(&id).map_err(|error| Refused::failed(&error))?.ok_or(Refused::NoSubject)
    }
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    // A stream's id has the same form.
    text.parse::<StreamId>().ok().map(|id| id.0)
}

/// Far more than an event and its seal take, written twice at worst, and SQLite's pages.
const ORDER_BYTES: u64 = 128 * 1024;
const PAY_AGAIN_NANOS: u64 = 5_000_000_000;
