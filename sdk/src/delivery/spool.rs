//! Evidence in a file, until the collector has it.
//!
//! One file a process, `<producer>.spool`, of records: length (u32 little-endian), crc32c of the body (u32 little-endian),
//! body: an `ExportTraceServiceRequest` of one span. A record whose length or checksum is wrong ends the file: a crash cut
//! it. Files of processes that are gone are sent at the next start, and removed once the collector has taken them. What is
//! sent twice so is recognised by the collector as the same span again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// The file of this process.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    file: Mutex<File>,
}

/// Why there is no spool.
#[derive(Debug, thiserror::Error)]
#[error("spool folder {}: {error}; give `Durability::Spooled` a folder that the program can write", .path.display())]
pub(crate) struct SpoolError {
    path: PathBuf,
    error: io::Error,
}

/// What an earlier process left behind.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) path: PathBuf,
    pub(crate) records: Vec<Bytes>,
    /// Keeps other processes from sending it as well.
    _lock: File,
}

impl Spool {
    /// Makes the file of this process, and returns what others left that are gone.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(crate) fn open(folder: &Path, producer: &str) -> Result<(Self, Vec<Left>), SpoolError> {
        let failed = |error| SpoolError { path: folder.to_owned(), error };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join(format!("{producer}{SUFFIX}"));
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        let left = left(folder, &path).map_err(failed)?;
        Ok((Self { path, file: Mutex::new(file) }, left))
    }

    /// Writes a record, which a crash of the program does not lose any more, and then puts it into the queue by `queue`:
    /// at no moment is there a record that the queue has not seen.
    ///
    /// # Errors
    /// A disk that fails or is full; `queue` was called all the same.
    pub(crate) fn add(&self, body: &[u8], queue: impl FnOnce()) -> io::Result<()> {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX); // a request of one span is far below
        let mut record = Vec::with_capacity(HEAD + body.len());
        record.extend(length.to_le_bytes());
        record.extend(crc32c::crc32c(body).to_le_bytes());
        record.extend(body);
        let mut file = self.file();
        let written = write_whole(&mut file, &record);
        queue();
        written
    }

    /// Makes what was written safe from a crash of the machine.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file().sync_data()
    }

    /// Empties the file when the collector has all of it, which is when nothing `waits`.
    ///
    /// # Errors
    /// A disk that fails; what is there is sent again at the next start.
    pub(crate) fn clear(&self, waits: impl FnOnce() -> bool) -> io::Result<()> {
        let file = self.file();
        if waits() { Ok(()) } else { file.set_len(0) }
    }

    /// Removes the file, which nothing will be written to any more.
    pub(crate) fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    fn file(&self) -> std::sync::MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Left {
    /// Removes the file, once the collector has all of it.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(crate) fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    /// Puts the file aside, since the collector will never take some of it: nothing of it is sent again or removed.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(crate) fn put_aside(&self) -> io::Result<PathBuf> {
        let aside = self.path.with_extension("refused");
        std::fs::rename(&self.path, &aside)?;
        Ok(aside)
    }
}

/// Writes a record, or leaves the file as it was: what follows half a record would not be found again.
fn write_whole(file: &mut File, record: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(record).or_else(|error| file.set_len(before).and(Err(error)))
}

fn left(folder: &Path, own: &Path) -> io::Result<Vec<Left>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path == own || !path.to_string_lossy().ends_with(SUFFIX) {
            continue;
        }
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // sent by another meanwhile
            file => file?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => continue, // its process is at work
            locked => locked?,
        }
        all.push(Left { records: records(&std::fs::read(&path)?), path, _lock: file });
    }
    Ok(all)
}

/// Returns the records up to the first that is cut short or damaged.
fn records(mut bytes: &[u8]) -> Vec<Bytes> {
    let mut records = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() {
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let Some((body, after)) = rest.split_at_checked(length) else { break };
        if crc32c::crc32c(body) != u32::from_le_bytes([c0, c1, c2, c3]) {
            break;
        }
        records.push(Bytes::copy_from_slice(body));
        bytes = after;
    }
    records
}

const SUFFIX: &str = ".spool";
const HEAD: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_process_left_is_found_by_the_next_and_by_one_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (first, left) = Spool::open(folder.path(), "a").unwrap();
        assert!(left.is_empty());
        first.add(b"one", || ()).unwrap();
        first.add(b"two", || ()).unwrap();
        let (second, left) = Spool::open(folder.path(), "b").unwrap();
        assert!(left.is_empty(), "its process is at work");
        drop(first);
        let (third, left) = Spool::open(folder.path(), "c").unwrap();
        assert_eq!(left[0].records, ["one", "two"]);
        let (fourth, none) = Spool::open(folder.path(), "d").unwrap();
        assert!(none.is_empty(), "somebody sends it already");
        left[0].remove().unwrap();
        drop((second, third, fourth, left));
        let (_, left) = Spool::open(folder.path(), "e").unwrap();
        assert!(left.iter().all(|left| left.records.is_empty()));
    }

    #[test]
    fn a_folder_that_is_none_is_named_with_the_remedy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Spool::open(&file.path().join("spool"), "a").map(drop).unwrap_err().to_string();
        assert!(error.starts_with("spool folder ") && error.contains("Durability::Spooled"), "{error}");
    }

    proptest! {
        #[test]
        fn a_cut_or_damaged_file_gives_what_stands_before(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8),
            at in any::<prop::sample::Index>(),
            flip in any::<bool>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let (spool, _) = Spool::open(folder.path(), "a").unwrap();
            for body in &bodies {
                spool.add(body, || ()).unwrap();
            }
            let mut bytes = std::fs::read(&spool.path).unwrap();
            prop_assert_eq!(records(&bytes), bodies.clone());
            if bytes.is_empty() {
                return Ok(());
            }
            let at = at.index(bytes.len());
            if flip { bytes[at] ^= 1 } else { bytes.truncate(at) }
            let read = records(&bytes);
            prop_assert!(read.len() < bodies.len());
            prop_assert_eq!(&read[..], &bodies[..read.len()]);
        }
    }
}
