//! Reads the records of one segment in order, through a buffer, checking each CRC.

use std::io;
use std::ops::Range;

use crate::record::{HEAD_LEN, Head};
use crate::storage::{StorageFile, read_full};

/// A place in a segment, and the bytes read ahead from there.
#[derive(Debug)]
pub(crate) struct Scanner {
    file: Box<dyn StorageFile>,
    /// Offset in the file of the next record.
    offset: u64,
    buffer: Vec<u8>,
    /// What of the buffer has been read and not yet passed; it starts with the next record.
    ahead: Range<usize>,
    /// How much is read beyond what is needed.
    read_ahead: usize,
}

/// What stands at the scanner's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record whose CRC holds: its type byte and the length of head and body.
    Record { kind: u8, len: usize },
    /// The end of the file.
    End,
    /// Bytes that are no record: the file ends inside it, its length is impossible, or its CRC does not match.
    Broken,
}

impl Scanner {
    /// Begins at an offset, to read on from there.
    pub(crate) fn new(file: Box<dyn StorageFile>, offset: u64) -> Scanner {
        Scanner { file, offset, buffer: Vec::new(), ahead: 0..0, read_ahead: READ_BYTES }
    }

    /// Begins at the offset of the one record that is wanted.
    pub(crate) fn for_one(file: Box<dyn StorageFile>, offset: u64) -> Scanner {
        Scanner { read_ahead: READ_BYTES / 16, ..Scanner::new(file, offset) }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn file(&self) -> &dyn StorageFile {
        self.file.as_ref()
    }

    /// Returns the next bytes, fewer if the file ends.
    pub(crate) fn header(&mut self, len: usize) -> io::Result<&[u8]> {
        self.fill(len)?;
        let ahead = &self.buffer[self.ahead.clone()];
        Ok(&ahead[..ahead.len().min(len)])
    }

    /// Moves on to an offset.
    pub(crate) fn go_to(&mut self, offset: u64) {
        match usize::try_from(offset.saturating_sub(self.offset)) {
            Ok(bytes) if bytes <= self.ahead.len() => self.ahead.start += bytes,
            _ => self.ahead = 0..0,
        }
        self.offset = offset;
    }

    /// Returns how many bytes the file has from here on.
    pub(crate) fn rest(&self) -> io::Result<u64> {
        Ok(self.file.size()?.saturating_sub(self.offset))
    }

    /// Looks at the next record, without passing it.
    pub(crate) fn look(&mut self) -> io::Result<Found> {
        self.fill(HEAD_LEN)?;
        if self.ahead.is_empty() {
            return Ok(Found::End);
        }
        let Some(head) = self.buffer[self.ahead.clone()].first_chunk().map(Head::parse) else {
            return Ok(Found::Broken);
        };
        let Some(len) = head.record_len() else { return Ok(Found::Broken) };
        self.fill(len)?;
        let whole = self.ahead.len() >= len && head.holds(&self.record(len)[HEAD_LEN..]);
        Ok(if whole { Found::Record { kind: head.kind, len } } else { Found::Broken })
    }

    /// Returns the record that [`Scanner::look`] found, head included.
    pub(crate) fn record(&self, len: usize) -> &[u8] {
        &self.buffer[self.ahead.start..self.ahead.start + len]
    }

    /// Moves past the record that [`Scanner::look`] found. Its bytes stay where they are until the next look.
    pub(crate) fn pass(&mut self, len: usize) {
        self.ahead.start += len;
        self.offset += len as u64;
    }

    /// Returns the record of this length that was just passed.
    pub(crate) fn passed(&self, len: usize) -> &[u8] {
        &self.buffer[self.ahead.start - len..self.ahead.start]
    }

    /// Forgets what was read ahead: the file may have more, or other bytes, by now.
    pub(crate) fn refresh(&mut self) {
        self.ahead = 0..0;
    }

    /// Reads ahead until there are `len` bytes, or as many as the file has.
    fn fill(&mut self, len: usize) -> io::Result<()> {
        if self.ahead.len() >= len {
            return Ok(());
        }
        if self.buffer.len() < self.ahead.start + len {
            let wanted = len + self.read_ahead;
            if self.buffer.len() < wanted {
                let mut larger = vec![0; wanted];
                larger[..self.ahead.len()].copy_from_slice(&self.buffer[self.ahead.clone()]);
                self.buffer = larger;
            } else {
                self.buffer.copy_within(self.ahead.clone(), 0);
            }
            self.ahead = 0..self.ahead.len();
        }
        let from = self.offset + self.ahead.len() as u64;
        self.ahead.end += read_full(self.file.as_ref(), &mut self.buffer[self.ahead.end..], from)?;
        Ok(())
    }
}

const READ_BYTES: usize = 256 * 1024;
