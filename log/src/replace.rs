//! Replaces a small file in one step.

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::Storage;

/// Whether a replaced file is durable when the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Yes: two fsyncs.
    Synced,
    /// No: a power cut may leave the old file, the new one, a part of it or none, and readers must bear that.
    Replaced,
}

/// Puts `bytes` in the place of a file: a reader sees the old ones or the new ones.
///
/// The steps, in this order:
/// 1. What an earlier attempt left is removed, and the bytes are written to `<path>.new`. A crash here leaves the old file.
/// 2. That file is synced. A crash here leaves the old file.
/// 3. It is renamed. A crash here leaves the old file or the new one.
/// 4. The directory is synced. From here on a crash leaves the new file.
///
/// Steps 2 and 4 are left out for [`Durability::Replaced`].
///
/// # Errors
/// When the disk fails; the old file is then still there, or the new one is.
pub fn replace(storage: &dyn Storage, path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let draft = draft_path(path);
    match storage.remove(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = storage.create(&draft)?;
    file.write_at(bytes, 0)?;
    if durability == Durability::Synced {
        file.sync()?;
    }
    storage.rename(&draft, path)?;
    match (durability, path.parent()) {
        (Durability::Synced, Some(dir)) => storage.sync_dir(dir),
        _ => Ok(()),
    }
}

fn draft_path(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    PathBuf::from(draft)
}
