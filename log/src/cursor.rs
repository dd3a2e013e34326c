//! Cursors: where a reader of the log goes on after a restart.
//!
//! A cursor is a file under `cursors/`, replaced as a whole:
//!
//! ```text
//! spanseal-cursor/v1
//! <stream hex> <next index>
//! ...
//! end
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::str;

use spanseal_ledger::StreamId;

use crate::replace::{Durability, replace};
use crate::storage::{Storage, read_file};

/// The next index of each stream, for one reader of a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    next: BTreeMap<StreamId, u64>,
}

/// A cursor file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is there and is not a cursor; reading from the start repeats, and loses nothing.
    #[error("{} is not a cursor: line {line}", path.display())]
    NotACursor {
        /// The file.
        path: PathBuf,
        /// The first line that is wrong, from 1.
        line: usize,
    },
}

impl Cursor {
    /// Reads a cursor; one that was never saved is at the start of every stream.
    ///
    /// # Errors
    /// When the file cannot be read or is not a cursor.
    pub fn load(storage: &dyn Storage, path: &Path) -> Result<Cursor, CursorError> {
        let bytes = match read_file(storage, path, FILE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Cursor::default()),
            bytes => bytes?,
        };
        let text = str::from_utf8(&bytes).unwrap_or_default();
        parse(text).map_err(|line| CursorError::NotACursor { path: path.to_owned(), line })
    }

    /// Writes the cursor, in one step.
    ///
    /// # Errors
    /// When the disk fails; the file is then as before, or as it should be.
    pub fn save(&self, storage: &dyn Storage, path: &Path, durability: Durability) -> io::Result<()> {
        let mut text = format!("{MAGIC}\n");
        for (stream, next) in &self.next {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{stream} {next}");
        }
        text.push_str("end\n");
        replace(storage, path, text.as_bytes(), durability)
    }

    /// The index that comes next in a stream; 0 in one that the cursor does not know.
    pub fn next(&self, stream: &StreamId) -> u64 {
        self.next.get(stream).copied().unwrap_or(0)
    }

    /// Moves on in a stream.
    pub fn advance(&mut self, stream: StreamId, next: u64) {
        self.next.insert(stream, next);
    }
}

/// Returns the number of the first wrong line on failure.
fn parse(text: &str) -> Result<Cursor, usize> {
    let mut lines = text.split_inclusive('\n').enumerate().map(|(number, line)| (number + 1, line));
    if lines.next().is_none_or(|(_, line)| line.strip_suffix('\n') != Some(MAGIC)) {
        return Err(1);
    }
    let mut cursor = Cursor::default();
    let mut last = 1;
    for (number, line) in &mut lines {
        last = number;
        if line == "end\n" {
            return lines.next().map_or(Ok(cursor), |(number, _)| Err(number));
        }
        let (stream, next) = line.strip_suffix('\n').and_then(|line| line.split_once(' ')).ok_or(number)?;
        let stream = stream.parse().map_err(|_| number)?;
        if cursor.next.insert(stream, next.parse().map_err(|_| number)?).is_some() {
            return Err(number);
        }
    }
    Err(last + 1)
}

const MAGIC: &str = "spanseal-cursor/v1";
const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Cursor, usize> {
        parse(text)
    }

    #[test]
    fn comes_back_as_it_was_saved() {
        let storage = crate::Memory::new();
        let path = Path::new("forward");
        let mut cursor = Cursor::default();
        cursor.advance(StreamId([7; 16]), 12);
        cursor.advance(StreamId([9; 16]), u64::MAX);
        cursor.save(&storage, path, Durability::Synced).unwrap();
        let loaded = Cursor::load(&storage.crash(), path).unwrap();
        assert_eq!((loaded.next(&StreamId([7; 16])), loaded.next(&StreamId([8; 16]))), (12, 0));
        assert_eq!(loaded, cursor);
    }

    #[test]
    fn one_that_was_never_saved_is_at_the_start() {
        assert_eq!(Cursor::load(&crate::Memory::new(), Path::new("forward")).unwrap(), Cursor::default());
    }

    #[test]
    fn names_the_first_line_that_is_wrong() {
        let stream = "07070707070707070707070707070707";
        for (text, line) in [
            (String::new(), 1),
            ("spanseal-cursor/v2\nend\n".to_owned(), 1),
            ("spanseal-cursor/v1\n".to_owned(), 2),
            (format!("spanseal-cursor/v1\n{stream} 1\n"), 3),
            (format!("spanseal-cursor/v1\n{stream} 1\n{stream} 2\nend\n"), 3),
            (format!("spanseal-cursor/v1\n{stream} x\nend\n"), 2),
            (format!("spanseal-cursor/v1\n{stream} 1\nend"), 3),
            ("spanseal-cursor/v1\nend\nmore\n".to_owned(), 3),
        ] {
            assert_eq!(parsed(&text), Err(line), "{text:?}");
        }
    }
}
