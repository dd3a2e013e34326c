//! Space kept for the last records of an epoch: a file that is given up when the disk is full.

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::Storage;

/// A file of a fixed size, in the directory of the log that it is for.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: bool,
}

impl Reserve {
    /// Takes the file of an earlier process, if it is whole.
    pub(crate) fn find(storage: &dyn Storage, dir: &Path, bytes: u64) -> Reserve {
        let path = path(dir);
        let held = storage.open(&path).and_then(|file| file.size()).is_ok_and(|size| size == bytes);
        Reserve { path, bytes, held }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Takes the space, when the disk has twice as much; says whether it is held. Nothing rests on the file being durable.
    pub(crate) fn fill(&mut self, storage: &dyn Storage, dir: &Path) -> io::Result<bool> {
        if !self.held {
            release(storage, dir)?;
            let roomy = storage.free_bytes(dir)? >= self.bytes.saturating_mul(2);
            self.held = roomy && self.take(storage, dir)?;
        }
        Ok(self.held)
    }

    fn take(&self, storage: &dyn Storage, dir: &Path) -> io::Result<bool> {
        let taken = storage.create(&self.path).and_then(|file| file.allocate(self.bytes));
        match taken {
            Err(error) if is_full(&error) => release(storage, dir).map(|_| false),
            taken => taken.map(|()| true),
        }
    }

    /// Gives the space back to the disk; says whether there was any to give.
    pub(crate) fn release(&mut self, storage: &dyn Storage) -> bool {
        let held = std::mem::take(&mut self.held);
        held && storage.remove(&self.path).is_ok()
    }
}

/// Gives up the reserve of a directory, whoever made it; says whether there was one.
pub(crate) fn release(storage: &dyn Storage, dir: &Path) -> io::Result<bool> {
    match storage.remove(&path(dir)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Says whether an error means that there is no space.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn path(dir: &Path) -> PathBuf {
    dir.join("reserve")
}
