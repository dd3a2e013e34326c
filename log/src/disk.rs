//! The real file system: `std::fs`, fdatasync for bytes, fsync of the directory for names.

mod direct;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::storage::{Access, Lock, Storage, StorageFile};
use direct::Direct;

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Storage for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        let file = naming(path, options.read(true).write(true).create_new(true).mode(PRIVATE).open(path))?;
        Ok(Box::new(DiskFile { direct: Direct::of(path), file, path: path.to_owned() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        disk_file(path, File::open(path))
    }

    fn open_to_write(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        disk_file(path, OpenOptions::new().read(true).write(true).open(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        naming(to, std::fs::rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        naming(path, std::fs::remove_file(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in naming(dir, std::fs::read_dir(dir))? {
            names.extend(naming(dir, entry)?.file_name().into_string());
        }
        Ok(names)
    }

    fn create_dir(&self, path: &Path, access: Access) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        if access == Access::Private {
            builder.mode(0o700);
        }
        naming(path, builder.create(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // The parent of a bare name is the empty path.
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        naming(dir, File::open(dir).and_then(|dir| dir.sync_all()))
    }

    fn access(&self, path: &Path) -> io::Result<Access> {
        let others = naming(path, std::fs::metadata(path))?.mode() & 0o077;
        Ok(if others == 0 { Access::Private } else { Access::Shared })
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        // Whoever can open the file can take its lock.
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(PRIVATE).open(path);
        let file = naming(path, file)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => naming(path, Err(error)),
        }
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let free = naming(dir, rustix::fs::statvfs(dir).map_err(io::Error::from))?;
        Ok(free.f_bavail.saturating_mul(free.f_frsize))
    }
}

/// Of every file: spans are in some of them, and none is for other users of the machine.
const PRIVATE: u32 = 0o600;

/// Puts the path into an error, and keeps its kind.
fn naming<T>(path: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn disk_file(path: &Path, file: io::Result<File>) -> io::Result<Box<dyn StorageFile>> {
    Ok(Box::new(DiskFile { file: naming(path, file)?, direct: None, path: path.to_owned() }))
}

#[derive(Debug)]
struct DiskFile {
    file: File,
    /// How large writes go to a new file, where the file system can.
    direct: Option<Direct>,
    path: PathBuf,
}

impl StorageFile for DiskFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return naming(&self.path, result),
            }
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let written = match &self.direct {
            Some(direct) if bytes.len() >= DIRECT_BYTES_MIN => direct.write_at(&self.file, bytes, offset),
            _ => self.file.write_all_at(bytes, offset),
        };
        naming(&self.path, written)
    }

    fn sync(&self) -> io::Result<()> {
        naming(&self.path, self.file.sync_data())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(naming(&self.path, self.file.metadata())?.len())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        naming(&self.path, self.file.set_len(bytes))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let allocated = match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(&self.file, bytes),
            result => result.map_err(io::Error::from),
        };
        naming(&self.path, allocated)
    }
}

/// Smaller writes are cheaper through the page cache.
const DIRECT_BYTES_MIN: usize = 128 * 1024;

/// Writes bytes that do not compress, for file systems without preallocation.
fn fill(file: &File, bytes: u64) -> io::Result<()> {
    const CHUNK: usize = 64 * 1024;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chunk = [0; CHUNK];
    let mut offset = 0;
    while offset < bytes {
        for word in chunk.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_be_bytes());
        }
        let len = (bytes - offset).min(CHUNK as u64);
        file.write_all_at(&chunk[..len as usize], offset)?;
        offset += len;
    }
    Ok(())
}
