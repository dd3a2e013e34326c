//! Takes a stream's verification up where an earlier one stood, if the stream's files are still those of that time.

use std::io;

use spanseal_ledger::StreamId;
use spanseal_ledger::batch::Batch;
use spanseal_ledger::verify::RootState;
use spanseal_log::{Owner, Reader, read_batch_at, segment};

use super::report::Resumed;
use super::resume::{Point, ResumeFile};
use super::stream::StreamCheck;
use super::{CheckError, Reading};

/// A stream's verification under way.
pub(super) struct Begun<'r> {
    pub(super) check: StreamCheck<'r>,
    pub(super) reader: Reader,
    /// Where an earlier one stood.
    pub(super) resumed: Option<Resumed>,
}

impl Reading<'_> {
    /// Begins where the file says, or at the stream's start.
    pub(super) fn begin<'r>(
        &self,
        root: &'r RootState,
        stream: StreamId,
        note: Option<&[u8]>,
        file: &mut Option<ResumeFile>,
    ) -> Result<Begun<'r>, CheckError> {
        if let Some((file, point)) =
            file.as_mut().and_then(|file| file.point(stream).cloned().map(|point| (file, point)))
        {
            match self.go_on(root, stream, note, &point).map_err(|source| self.unreadable("streams", source))? {
                Ok(begun) => return Ok(begun),
                Err(why) => file.forget(stream, why).map_err(|source| file.unwritable(source))?,
            }
        }
        Ok(Begun {
            check: StreamCheck::new(root, stream, note),
            reader: self.reader(Owner::Stream(stream))?,
            resumed: None,
        })
    }

    fn go_on<'r>(
        &self,
        root: &'r RootState,
        stream: StreamId,
        note: Option<&[u8]>,
        point: &Point,
    ) -> io::Result<Result<Begun<'r>, &'static str>> {
        let Some((midway, check)) = point.midway().zip(StreamCheck::go_on(root, point, note)) else {
            return Ok(Err("checkpoint, pin and root log are not those of that time"));
        };
        let (owner, size) = (Owner::Stream(stream), midway.position().next_index());
        let (storage, dir) = (self.data.shared_storage(), self.data.log(&owner));
        if self.bytes_before(stream, point.segment)? != point.bytes_before {
            return Ok(Err("segments before that place have other sizes"));
        }
        let last = read_batch_at(storage.as_ref(), &dir, &owner, size.saturating_sub(1), None)?;
        let seal = last.and_then(|last| Batch::parse(&last.body).ok().map(|batch| *batch.signed_seal()));
        if seal.as_ref() != Some(midway.position().seal()) {
            return Ok(Err("the batch before that place is another, or is not there"));
        }
        let Some(reader) = Reader::open_in(storage, &dir, owner, size, point.segment)? else {
            return Ok(Err("its segment does not reach that place"));
        };
        let resumed = Resumed { stream: stream.to_string(), size, unix_seconds: point.unix_seconds };
        Ok(Ok(Begun { check, reader, resumed: Some(resumed) }))
    }

    /// Saves how far a stream was verified.
    pub(super) fn save(&self, file: &mut ResumeFile, stream: StreamId, point: Point) -> Result<(), CheckError> {
        let before = self.bytes_before(stream, point.segment).map_err(|source| self.unreadable("streams", source))?;
        file.save(stream, Point { bytes_before: before, ..point }).map_err(|source| file.unwritable(source))
    }

    fn bytes_before(&self, stream: StreamId, first: u64) -> io::Result<u64> {
        let (dir, storage) = (self.data.log(&Owner::Stream(stream)), self.data.storage());
        let segments = segment::list(storage, &dir)?.into_iter().filter(|segment| *segment < first);
        segments.map(|first| storage.open(&segment::path(&dir, first))?.size()).sum()
    }
}
