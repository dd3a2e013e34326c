//! The writing end of one log: a group of records is one write and one fdatasync.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::draft::{self, Draft};
use crate::pending::Pending;
use crate::record::{self, BodySize, RecordKind};
use crate::reserve::{self, Reserve, is_full};
use crate::scan::{Found, Scanner};
use crate::segment::{self, Owner, SegmentStart, header_len};
use crate::storage::{Access, Storage, StorageFile};

/// Sizes of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A segment that has records is not made longer than this.
    pub segment_bytes_max: u64,
    /// What the caller lets wait before it commits; a last record may exceed it. The reserve is twice this and 1 MiB, and
    /// on a full disk a group that needs more than that cannot be made durable.
    pub group_bytes_max: u64,
}

impl Options {
    /// Returns the size of the file that keeps space for an epoch's last records.
    pub fn reserve_bytes(&self) -> u64 {
        self.group_bytes_max.saturating_mul(2).saturating_add(1024 * 1024)
    }
}

impl Default for Options {
    fn default() -> Options {
        Options { segment_bytes_max: 256 * 1024 * 1024, group_bytes_max: 8 * 1024 * 1024 }
    }
}

/// The one writer of a log's directory.
#[derive(Debug)]
pub struct Writer {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    owner: Owner,
    options: Options,
    file: Box<dyn StorageFile>,
    segment_first: u64,
    /// Bytes of the segment that are durable, header included.
    durable_len: u64,
    /// Where the log stands after the last successful sync.
    synced: SegmentStart,
    pending: Pending,
    reserve: Reserve,
    last_fault: Option<io::Error>,
    stopped: bool,
}

/// How a group became durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Committed {
    /// By one write and one fdatasync, at the end of the log.
    Appended,
    /// A write or a sync failed ([`Writer::last_fault`]), and the group was written again to a new segment: end the epoch.
    Rewritten,
}

/// The group is not durable, and cannot be made so. The process stops; start-up finds what there is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Writing failed, and so did writing again.
    #[error("the log cannot be written ({first}), nor a new segment ({again})")]
    Unwritable {
        /// What failed first.
        first: io::Error,
        /// What failed on writing again.
        again: io::Error,
    },
    /// An earlier commit has failed for good.
    #[error("the log has stopped at an earlier failure")]
    Stopped,
    /// The end given does not follow from where the log stands.
    #[error("a group cannot end at index {first}, its frontier at {frontier}, after index {synced}")]
    End {
        /// Its index.
        first: u64,
        /// The size of its frontier.
        frontier: u64,
        /// Where the log stands.
        synced: u64,
    },
}

/// A log cannot be opened for writing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The directory holds more than the start given says.
    #[error("the log goes on after index {first}: it has a segment at {last}")]
    Ahead {
        /// The index given.
        first: u64,
        /// The first index of the last segment.
        last: u64,
    },
    /// First index and frontier of the start do not belong together.
    #[error("a log cannot start at index {first} with a frontier of size {frontier}")]
    Start {
        /// The index given.
        first: u64,
        /// The size of its frontier.
        frontier: u64,
    },
}

impl Writer {
    /// Opens a log with the usual sizes; see [`Writer::open_with`].
    ///
    /// # Errors
    /// When the directory cannot be written, or goes on after `start`.
    pub fn open(storage: Arc<dyn Storage>, dir: &Path, owner: Owner, start: SegmentStart) -> Result<Writer, OpenError> {
        Writer::open_with(storage, dir, owner, start, Options::default())
    }

    /// Begins a new segment at `start`, which is where [`crate::recover`] found the end.
    ///
    /// The directory is created if need be. The steps, in this order:
    /// 1. The directory's own name is made durable, whoever created it. A crash here leaves an empty log.
    /// 2. Drafts of a stopped process are removed, and the reserve is taken. A crash here leaves the log as it was.
    /// 3. The segment is made as [`Draft`] says. A crash leaves it with its header, or not at all.
    ///
    /// # Errors
    /// When the directory cannot be written, or holds more than `start` says.
    pub fn open_with(
        storage: Arc<dyn Storage>,
        dir: &Path,
        owner: Owner,
        start: SegmentStart,
        options: Options,
    ) -> Result<Writer, OpenError> {
        let disk = storage.as_ref();
        if !start.agrees() {
            return Err(OpenError::Start { first: start.first, frontier: start.frontier.size() });
        }
        ensure_dir(disk, dir)?;
        draft::remove_all(disk, dir)?;
        refuse_to_supersede(disk, dir, start.first)?;
        let mut reserve = Reserve::find(disk, dir, options.reserve_bytes());
        reserve.fill(disk, dir)?;
        let (file, durable_len) = match begin_segment(disk, dir, &owner, &start, &[]) {
            Err(error) if is_full(&error) && reserve.release(disk) => begin_segment(disk, dir, &owner, &start, &[])?,
            begun => begun?,
        };
        Ok(Writer {
            dir: dir.to_owned(),
            owner,
            options,
            file,
            segment_first: start.first,
            durable_len,
            synced: start,
            pending: Pending::at(durable_len),
            reserve,
            last_fault: None,
            stopped: false,
            storage,
        })
    }

    /// Adds a record to the waiting group; nothing is written before [`Writer::commit`].
    ///
    /// # Errors
    /// When the body is empty or over [`record::BODY_BYTES_MAX`]; the group is then as it was.
    pub fn append(&mut self, kind: RecordKind, body: &[u8]) -> Result<(), BodySize> {
        self.append_with(kind, |out| out.extend_from_slice(body)).map(drop)
    }

    /// Adds a record whose body `write` appends straight to the group; returns the body's length.
    ///
    /// # Errors
    /// When the body is empty or over [`record::BODY_BYTES_MAX`]; the group is then as it was.
    pub fn append_with(&mut self, kind: RecordKind, write: impl FnOnce(&mut Vec<u8>)) -> Result<usize, BodySize> {
        record::append_with(self.pending.out(), kind, write)
    }

    /// Makes the waiting group durable; `end` is where the log stands after it.
    ///
    /// The steps, in this order:
    /// 1. One write, at the end of the segment. A crash here leaves a torn tail, nothing of it acknowledged.
    /// 2. One fdatasync. A crash here leaves any part of the group; start-up keeps what is whole.
    ///
    /// A full segment makes way for a new one, which is made with the group in it, as [`Draft`] says.
    ///
    /// When any of that fails, what the file holds after the last sync is unknown, and what a second sync would say is
    /// worthless. So:
    /// 3. Out of space, the reserve is given up, and what was written of the group is cut off. A crash here leaves the log
    ///    as it was before the group.
    /// 4. The group is written again, byte for byte, to a new segment that starts at the last sync, as [`Draft`] says.
    ///    A crash before it has its name leaves what step 2 left; after it, the group, with a superseded copy before it
    ///    that is equal or torn.
    /// 5. The superseded copy is cut off, if the disk lets us. Nothing rests on that.
    ///
    /// # Errors
    /// When step 4 fails too: the caller stops the process. The group is not acknowledged, and may be found at start.
    pub fn commit(&mut self, end: SegmentStart) -> Result<Committed, CommitError> {
        self.check_end(&end)?;
        if self.pending.bytes().is_empty() {
            return Ok(Committed::Appended);
        }
        let committed = match self.write_group() {
            Ok(()) => Committed::Appended,
            Err(fault) => {
                self.write_again(fault)?;
                Committed::Rewritten
            }
        };
        self.synced = end;
        // A buffer grows by doubling.
        self.pending.restart(self.durable_len, 2 * self.options.group_bytes_max as usize);
        Ok(committed)
    }

    /// Where the log stands after the last successful commit.
    pub fn synced(&self) -> &SegmentStart {
        &self.synced
    }

    /// Bytes that wait for the next commit.
    pub fn pending_bytes(&self) -> usize {
        self.pending.bytes().len()
    }

    /// Says that the reserve is used up: what is sealed can still be closed, but nothing new may be taken in.
    pub fn is_full(&self) -> bool {
        !self.reserve.is_held()
    }

    /// Takes the reserve again when the disk has space for twice as much; says whether the log may go on.
    ///
    /// # Errors
    /// When the disk fails otherwise than by being full.
    pub fn refill_reserve(&mut self) -> io::Result<bool> {
        self.reserve.fill(self.storage.as_ref(), &self.dir)
    }

    /// Ends a log that is never written again, and gives its reserve back to the disk.
    ///
    /// # Errors
    /// When the reserve cannot be removed; nothing else is lost.
    pub fn retire(self) -> io::Result<()> {
        reserve::release(self.storage.as_ref(), &self.dir).map(drop)
    }

    /// What made the last [`Committed::Rewritten`] or [`CommitError::Unwritable`].
    pub fn last_fault(&self) -> Option<&io::Error> {
        self.last_fault.as_ref()
    }

    fn check_end(&self, end: &SegmentStart) -> Result<(), CommitError> {
        if self.stopped {
            return Err(CommitError::Stopped);
        }
        let follows = end.first >= self.synced.first && (end == &self.synced || !self.pending.bytes().is_empty());
        if end.agrees() && follows {
            return Ok(());
        }
        Err(CommitError::End { first: end.first, frontier: end.frontier.size(), synced: self.synced.first })
    }

    fn write_group(&mut self) -> io::Result<()> {
        let has_records = self.durable_len > header_len(self.segment_first) as u64;
        let len = self.durable_len + self.pending.bytes().len() as u64;
        if has_records && len > self.options.segment_bytes_max {
            return self.write_to_new_segment();
        }
        self.file.write_at(self.pending.bytes(), self.durable_len)?;
        self.file.sync()?;
        self.durable_len = len;
        Ok(())
    }

    fn write_again(&mut self, fault: io::Error) -> Result<(), CommitError> {
        self.stopped = true;
        if is_full(&fault) {
            self.reserve.release(self.storage.as_ref());
            // What was written of the group only takes space from its copy. If it stays, it is superseded.
            let _ = self.file.truncate(self.durable_len);
        }
        let (old_first, old_len) = (self.segment_first, self.durable_len);
        let again = match self.write_to_new_segment() {
            Err(error) if is_full(&error) && self.reserve.release(self.storage.as_ref()) => self.write_to_new_segment(),
            written => written,
        };
        if let Err(again) = again {
            return Err(CommitError::Unwritable { first: fault, again });
        }
        if old_first != self.segment_first {
            cut(self.storage.as_ref(), &self.dir, old_first, old_len);
        }
        self.last_fault = Some(fault);
        self.stopped = false;
        Ok(())
    }

    fn write_to_new_segment(&mut self) -> io::Result<()> {
        let (file, len) =
            begin_segment(self.storage.as_ref(), &self.dir, &self.owner, &self.synced, self.pending.bytes())?;
        self.file = file;
        self.segment_first = self.synced.first;
        self.durable_len = len;
        Ok(())
    }
}

fn begin_segment(
    storage: &dyn Storage,
    dir: &Path,
    owner: &Owner,
    start: &SegmentStart,
    records: &[u8],
) -> io::Result<(Box<dyn StorageFile>, u64)> {
    let mut draft = Draft::create(storage, dir, owner, start)?;
    if !records.is_empty() {
        draft.write(records)?;
    }
    draft.adopt()
}

/// Cuts a superseded tail off a segment, if that works.
pub(crate) fn cut(storage: &dyn Storage, dir: &Path, first: u64, bytes: u64) {
    // Readers expect the tail, equal or torn, so a failure changes nothing.
    let _ = storage.open_to_write(&segment::path(dir, first)).and_then(|file| file.truncate(bytes));
}

/// Creates a directory if need be, and makes its name durable even if a process that is gone created it.
fn ensure_dir(storage: &dyn Storage, dir: &Path) -> io::Result<()> {
    match storage.create_dir(dir, Access::Private) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    dir.parent().map_or(Ok(()), |parent| storage.sync_dir(parent))
}

/// A new segment takes the place of what is at or after its first index: there must be no record of any.
fn refuse_to_supersede(storage: &dyn Storage, dir: &Path, first: u64) -> Result<(), OpenError> {
    match segment::list(storage, dir)?.pop() {
        Some(last) if last > first || (last == first && has_batches(storage, dir, last)?) => {
            Err(OpenError::Ahead { first, last })
        }
        _ => Ok(()),
    }
}

fn has_batches(storage: &dyn Storage, dir: &Path, first: u64) -> io::Result<bool> {
    let mut scanner = Scanner::new(storage.open(&segment::path(dir, first))?, header_len(first) as u64);
    loop {
        match scanner.look()? {
            Found::Record { kind, len } if kind == RecordKind::Payload as u8 => scanner.pass(len),
            found => return Ok(matches!(found, Found::Record { .. })),
        }
    }
}
