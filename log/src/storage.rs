//! The edge to the file system: what the log asks of a disk, so that a disk that fails or forgets can stand in for one.
//!
//! Two implementations: [`crate::Disk`] over `std::fs`, and [`crate::Memory`], whose crash drops all that was not synced.
//! Names are not durable with the file: a created, renamed or removed entry needs [`Storage::sync_dir`] of its directory.

use std::fmt;
use std::io;
use std::path::Path;

/// A file system, as far as the log needs one.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Creates an empty file for reading and writing, by its owner alone.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Opens an existing file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Opens an existing file for reading and writing.
    fn open_to_write(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Renames a file within its directory, replacing what has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Lists the names in a directory, in no order; names that are not UTF-8 are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates one directory.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken.
    fn create_dir(&self, path: &Path, access: Access) -> io::Result<()>;

    /// Makes the entries of a directory durable: those created, renamed and removed in it.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Says who may read a file.
    fn access(&self, path: &Path) -> io::Result<Access>;

    /// Takes the exclusive lock of a file, which is created if need be; dropping the guard gives it back.
    ///
    /// # Errors
    /// `WouldBlock` when another process (or another guard) holds it.
    fn lock(&self, path: &Path) -> io::Result<Lock>;

    /// Returns how many more bytes files below this directory may take.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file; positions are given, never kept.
pub trait StorageFile: Send + Sync + fmt::Debug {
    /// Reads at most `buffer.len()` bytes at an offset; 0 only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes at an offset. After an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file's bytes and length durable (fdatasync), not its name.
    ///
    /// After an error it is unknown what is durable, and a second call that returns `Ok` says nothing about what was
    /// written before the first.
    fn sync(&self) -> io::Result<()>;

    /// Returns the length in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Cuts the file to a length.
    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// Takes the space for a file of so many bytes.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
}

/// Who may read a file or enter a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The owner alone: mode 0600 for files, 0700 for directories.
    Private,
    /// What the process's umask allows.
    Shared,
}

/// A held lock, given back on drop.
pub struct Lock(Box<dyn Send + Sync>);

impl Lock {
    /// Wraps the guard of an implementation.
    pub fn new(guard: impl Send + Sync + 'static) -> Lock {
        Lock(Box::new(guard))
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lock(_guard) = self;
        f.write_str("Lock")
    }
}

/// Reads a whole file of at most `bytes_max` bytes.
///
/// # Errors
/// `InvalidData` when it is longer.
pub fn read_file(storage: &dyn Storage, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let file = storage.open(path)?;
    let too_long =
        || io::Error::new(io::ErrorKind::InvalidData, format!("{} is over {bytes_max} bytes", path.display()));
    let size = usize::try_from(file.size()?).ok().filter(|size| *size <= bytes_max).ok_or_else(too_long)?;
    let mut bytes = vec![0; size];
    let read = read_full(file.as_ref(), &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Fills the buffer from an offset as far as the file goes; returns how many bytes there were.
pub(crate) fn read_full(file: &dyn StorageFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        let read = file.read_at(&mut buffer[filled..], offset + filled as u64)?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    Ok(filled)
}
