//! A segment in the making: it gets its name only when all of it is durable.

use std::io;
use std::path::{Path, PathBuf};

use crate::segment::{self, Owner, SegmentStart};
use crate::storage::{Storage, StorageFile};

/// A segment under a name that no reader looks at.
///
/// The steps, in this order:
/// 1. [`Draft::create`] removes what an earlier attempt left and makes a new file: never one whose fsync has failed.
///    A crash here leaves a `.new` file, or none.
/// 2. [`Draft::write`] writes header and records. A crash here leaves a `.new` file with some of it.
/// 3. [`Draft::adopt`] syncs the file. A crash here leaves a `.new` file, whole.
/// 4. It renames the file to `<first>.seg`, over a segment of that name whose records, if any, this one holds byte for
///    byte. A crash here leaves the old directory entry or the new one, each with all that was ever acknowledged.
/// 5. It syncs the directory. From here on a crash leaves the new segment.
///
/// Every `.new` file is removed by the next [`Draft::create`] of that name, or by [`remove_all`] at start.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    storage: &'a dyn Storage,
    dir: &'a Path,
    path: PathBuf,
    first: u64,
    file: Box<dyn StorageFile>,
    len: u64,
}

impl<'a> Draft<'a> {
    pub(crate) fn create(
        storage: &'a dyn Storage,
        dir: &'a Path,
        owner: &Owner,
        start: &SegmentStart,
    ) -> io::Result<Draft<'a>> {
        let path = dir.join(format!("{:020}{SUFFIX}", start.first));
        match storage.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = storage.create(&path)?;
        let mut draft = Draft { storage, dir, path, first: start.first, file, len: 0 };
        draft.write(&start.encode(owner))?;
        Ok(draft)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(bytes, self.len)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Makes it the log's segment, durably; returns the file and its length.
    pub(crate) fn adopt(self) -> io::Result<(Box<dyn StorageFile>, u64)> {
        self.file.sync()?;
        self.storage.rename(&self.path, &segment::path(self.dir, self.first))?;
        self.storage.sync_dir(self.dir)?;
        Ok((self.file, self.len))
    }
}

/// Removes the drafts that a stopped process left.
pub(crate) fn remove_all(storage: &dyn Storage, dir: &Path) -> io::Result<()> {
    for name in storage.list(dir)?.iter().filter(|name| name.ends_with(SUFFIX)) {
        storage.remove(&dir.join(name))?;
    }
    Ok(())
}

const SUFFIX: &str = ".seg.new";
