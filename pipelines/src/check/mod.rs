//! Verifies a data directory, without a key or a connection: `docs/format.md` section 14, and section 15 besides.
//!
//! ```text
//! root log -> keys, epochs, streams      each stream: read -> hash, signature, examine (all cores) -> chain, tree (in order)
//!                                                                                     -> references, payload records
//! ```
//! It only reads, and may run while a collector writes. Memory does not grow with the log.

mod chunk;
mod content;
mod going_on;
mod kinds;
mod notes;
mod payloads;
mod references;
mod report;
mod resume;
mod root_log;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use spanseal_ledger::StreamId;
use spanseal_ledger::trust::Trust;
use spanseal_ledger::verify::{Fault, Freshness, Report as LedgerReport, RootState};
use spanseal_log::{DataDir, Owner, Reader, segment};

use chunk::Chunk;
use going_on::Begun;
use report::Tail;
use resume::ResumeFile;
use root_log::RootCheck;
use stream::StreamChecked;

pub use notes::{Note, Notes};
pub use report::{CheckpointLine, Finding, Report, Resumed, RootLogReport, StreamReport, Totals};

/// What a verification rests on.
#[derive(Debug, Clone)]
pub struct Options {
    /// `None`: the log's own genesis is believed, and the answer says so.
    pub trust: Option<Trust>,
    /// Seconds since the Unix epoch.
    pub now_seconds: u64,
    /// A newest pin that is older cannot vouch for now.
    pub max_age_seconds: u64,
    pub threads: NonZeroUsize,
    /// How much of the log is worked on at a time.
    pub chunk_bytes: u64,
    pub resume: Option<Resume>,
}

/// Where a verification saves how far it came, and goes on from.
#[derive(Debug, Clone)]
pub struct Resume {
    /// Believed as far as the trust file is: it must be kept as that is.
    pub file: PathBuf,
    pub save_every: Duration,
}

/// Enough for all cores, little enough for any machine.
pub const CHUNK_BYTES: u64 = 16 << 20;

/// How far a verification is, in bytes of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// A data directory could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    #[error("{} is no data directory: it has neither a rootlog nor streams", path.display())]
    NoLog { path: PathBuf },
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} cannot be read or written, to go on from", path.display())]
    Resume { path: PathBuf, source: io::Error },
}

/// Verifies everything in a data directory.
///
/// A log that is being written may open an epoch or a stream between the reading of the root log and that of the streams.
/// So when the root log grew meanwhile, a fault is only believed when it is found again.
///
/// # Errors
/// When the directory cannot be read. What is wrong with what it holds is in the report.
pub fn check(data: &DataDir, options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Report, CheckError> {
    let read = Reading { data, options };
    let root_bytes = read.log_bytes(&Owner::RootLog)?;
    let report = read.check(progress)?;
    let clean = report.faults.is_empty() && report.unchecked.iter().all(|finding| finding.stream.is_none());
    if clean || read.log_bytes(&Owner::RootLog)? == root_bytes {
        return Ok(report);
    }
    read.check(progress)
}

struct Reading<'a> {
    data: &'a DataDir,
    options: &'a Options,
}

impl Reading<'_> {
    /// Reads in this order, so that nothing claims more than what is read after it: the streams' checkpoints, the root
    /// log's checkpoint, the root log, the streams.
    fn check(&self, progress: &mut dyn FnMut(Progress)) -> Result<Report, CheckError> {
        let notes = self.stream_notes()?;
        let root_note = self.note(&Owner::RootLog)?;
        let (root, root_tails) = self.root_log(root_note.as_deref())?;
        let mut file = self.resume_file(&root)?;
        let streams = self.data.streams().map_err(|source| self.unreadable("streams", source))?;
        let sizes = streams.iter().map(|stream| self.log_bytes(&Owner::Stream(*stream)));
        let total = sizes.sum::<Result<u64, _>>()?;
        let mut meter = Meter { done: 0, total, progress };
        meter.advance(0);
        let mut totals = Totals::default();
        let mut all = Vec::new();
        let mut resumed = Vec::new();
        for stream in streams {
            let note = notes.get(&stream).and_then(Option::as_deref);
            let begun = self.begin(&root, stream, note, &mut file)?;
            resumed.extend(begun.resumed.clone());
            let checked = self.stream(&root, begun, &mut file, &mut meter)?;
            totals.count(&checked.counts);
            totals.events += checked.report.counts.events;
            totals.batches += checked.report.counts.batches;
            totals.payload_records += checked.payload_records;
            all.push(checked);
        }
        refer_elsewhere(&mut all);
        let tails = all.iter_mut().map(|checked| (checked.report.stream, std::mem::take(&mut checked.tails))).collect();
        let reports = all.into_iter().map(|checked| checked.report).collect();
        totals.bytes = meter.done;
        let freshness =
            Freshness { now_seconds: self.options.now_seconds, max_age_seconds: self.options.max_age_seconds };
        let mut ledger = LedgerReport::new(&root, reports, freshness);
        note_tails(&mut ledger, root_tails, &tails);
        let report = Report::new(&ledger, root.deployment().map(ToString::to_string), totals);
        let verified = Notes::verified(&ledger, root_note, notes);
        let started_over = file.map(|file| file.started_over).unwrap_or_default();
        Ok(Report { resumed, started_over, verified, ..report })
    }

    fn resume_file(&self, root: &RootState) -> Result<Option<ResumeFile>, CheckError> {
        let Some(resume) = &self.options.resume else { return Ok(None) };
        let file = ResumeFile::open(&resume.file, self.options.now_seconds, resume.save_every);
        let mut file = file.map_err(|source| CheckError::Resume { path: resume.file.clone(), source })?;
        file.begin(root);
        Ok(Some(file))
    }

    fn root_log(&self, note: Option<&[u8]>) -> Result<(RootState, Vec<Tail>), CheckError> {
        let mut check = RootCheck::new(self.options.trust.clone());
        if self.log_bytes(&Owner::RootLog)? > 0 {
            let mut reader = self.reader(Owner::RootLog)?;
            check.read(&mut reader).map_err(|source| self.unreadable("rootlog", source))?;
        }
        Ok(check.finish(note))
    }

    fn stream(
        &self,
        root: &RootState,
        begun: Begun<'_>,
        file: &mut Option<ResumeFile>,
        meter: &mut Meter<'_>,
    ) -> Result<StreamChecked, CheckError> {
        let Begun { mut check, mut reader, .. } = begun;
        let Options { threads, chunk_bytes, .. } = *self.options;
        meter.advance(check.log_bytes());
        let (mut chunk, mut ahead) = (Chunk::default(), Chunk::default());
        let mut read = chunk.read(&mut reader, chunk_bytes);
        loop {
            read.map_err(|source| self.unreadable("streams", source))?;
            if chunk.is_empty() {
                return Ok(check.finish());
            }
            let mut point = None;
            let read_ahead = || ahead.read(&mut reader, chunk_bytes);
            read = chunk.examine(root, threads, read_ahead, &mut |piece, log_bytes| {
                check.take(piece, log_bytes);
                if file.is_some() && check.is_at_checkpoint() {
                    point = check.point().or(point.take());
                }
            });
            if let Some(file) = file {
                let point = point.or_else(|| if file.is_due() { check.point() } else { None });
                point.map_or(Ok(()), |point| self.save(file, check.stream(), point))?;
            }
            meter.advance(chunk.log_bytes());
            std::mem::swap(&mut chunk, &mut ahead);
        }
    }

    fn stream_notes(&self) -> Result<BTreeMap<StreamId, Option<Vec<u8>>>, CheckError> {
        let streams = self.data.streams().map_err(|source| self.unreadable("streams", source))?;
        streams.into_iter().map(|stream| Ok((stream, self.note(&Owner::Stream(stream))?))).collect()
    }

    /// Reads a note. One that is too long to be one is as good as none that verifies.
    fn note(&self, owner: &Owner) -> Result<Option<Vec<u8>>, CheckError> {
        match self.data.read_checkpoint(owner) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(Vec::new())),
            note => note.map_err(|source| CheckError::Read { path: self.data.checkpoint(owner), source }),
        }
    }

    fn reader(&self, owner: Owner) -> Result<Reader, CheckError> {
        let dir = self.data.log(&owner);
        let reader = Reader::open(self.data.shared_storage(), &dir, owner, 0);
        reader.map_err(|source| CheckError::Read { path: dir, source })
    }

    /// Returns how many bytes a log's segments have.
    fn log_bytes(&self, owner: &Owner) -> Result<u64, CheckError> {
        let (dir, storage) = (self.data.log(owner), self.data.storage());
        let sum = || -> io::Result<u64> {
            let segments = segment::list(storage, &dir)?;
            segments.into_iter().map(|first| storage.open(&segment::path(&dir, first))?.size()).sum()
        };
        match (owner, sum()) {
            (Owner::RootLog, Err(error)) if error.kind() == io::ErrorKind::NotFound => self.no_root_log(),
            (_, sum) => sum.map_err(|source| CheckError::Read { path: dir.clone(), source }),
        }
    }

    /// Where there are streams, a root log that is not there is one without leaves.
    fn no_root_log(&self) -> Result<u64, CheckError> {
        match self.data.streams() {
            Ok(streams) if !streams.is_empty() => Ok(0),
            _ => Err(CheckError::NoLog { path: self.data.root().to_owned() }),
        }
    }

    fn unreadable(&self, what: &str, source: io::Error) -> CheckError {
        CheckError::Read { path: self.data.root().join(what), source }
    }
}

/// Checks references to events of other streams that are there.
fn refer_elsewhere(all: &mut [StreamChecked]) {
    let mut faults = Vec::new();
    for (place, checked) in all.iter().enumerate() {
        for reference in &checked.elsewhere {
            let other = all.iter().find(|other| Some(other.report.stream) == reference.stream);
            if other.is_some_and(|other| !stream::holds(&other.kinds, reference, other.report.size)) {
                faults.push((place, stream::dangling(reference)));
            }
        }
    }
    for (place, content::ContentFault { index, code, detail }) in faults {
        let report = &mut all[place].report;
        report.faults.add(Fault { code, stream: Some(report.stream), index: Some(index), detail });
    }
}

/// Notes the segments' ends last of all: nothing rests on them.
fn note_tails(ledger: &mut LedgerReport, of_root: Vec<Tail>, of_streams: &BTreeMap<StreamId, Vec<Tail>>) {
    let streams = ledger.streams.iter().map(|report| report.stream);
    let of_streams = streams.flat_map(|stream| of_streams[&stream].iter().map(move |tail| tail.note(Some(stream))));
    let notes: Vec<Fault> = of_root.into_iter().map(|tail| tail.note(None)).chain(of_streams).collect();
    notes.into_iter().for_each(|note| ledger.faults.add(note));
}

/// Says how far a verification is.
struct Meter<'a> {
    done: u64,
    total: u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl Meter<'_> {
    /// A log that is being written may have more by now than when it was measured.
    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        self.total = self.total.max(self.done);
        (self.progress)(Progress { done: self.done, total: self.total });
    }
}
