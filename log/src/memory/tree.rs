//! Files and directories, each twice: as processes see it, and as the disk has it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Component, Path};

/// All inodes; the first is the root directory.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) inodes: Vec<Inode>,
    capacity: Option<u64>,
}

#[derive(Debug)]
pub(super) enum Inode {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Debug)]
pub(super) struct FileNode {
    /// What processes read.
    pub(super) bytes: Vec<u8>,
    /// What the disk has.
    pub(super) durable: Vec<u8>,
    /// What the next sync makes durable.
    pub(super) dirty: Vec<Range<usize>>,
    /// Space taken in advance; a crash gives it back.
    pub(super) allocated: u64,
}

#[derive(Debug, Default)]
pub(super) struct DirNode {
    pub(super) entries: BTreeMap<String, usize>,
    pub(super) durable: BTreeMap<String, usize>,
    /// Changes that the next sync makes durable, in order.
    pub(super) unsynced: Vec<Change>,
}

/// A change of a directory, made whole or not at all.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Link { name: String, id: usize },
    Unlink { name: String },
    Rename { from: String, to: String },
}

impl Tree {
    pub(super) fn new() -> Tree {
        Tree { inodes: vec![Inode::dir()], capacity: None }
    }

    pub(super) fn create(&mut self, path: &Path, inode: Inode) -> io::Result<usize> {
        let (dir, name) = self.place(path)?;
        if self.dir_mut(dir)?.entries.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = self.inodes.len();
        self.inodes.push(inode);
        self.dir_mut(dir)?.change(Change::Link { name, id });
        Ok(id)
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        self.file_id(path)?;
        self.dir_mut(dir)?.change(Change::Unlink { name });
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.file_id(from)?;
        let (from_dir, from) = self.place(from)?;
        let (to_dir, to) = self.place(to)?;
        if from_dir != to_dir {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        self.dir_mut(to_dir)?.change(Change::Rename { from, to });
        Ok(())
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let id = self.lookup(dir)?;
        match &self.inodes[id] {
            Inode::Dir(dir) => Ok(dir.entries.keys().cloned().collect()),
            Inode::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        let id = self.lookup(dir)?;
        let dir = self.dir_mut(id)?;
        for change in std::mem::take(&mut dir.unsynced) {
            change.apply(&mut dir.durable);
        }
        Ok(())
    }

    pub(super) fn write_at(&mut self, id: usize, bytes: &[u8], offset: u64) -> io::Result<()> {
        let free = self.free_bytes();
        let file = self.file_mut(id)?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let grows = ((offset + bytes.len()) as u64).saturating_sub(file.size());
        let missing = usize::try_from(grows.saturating_sub(free)).map_err(io::Error::other)?;
        file.write_at(&bytes[..bytes.len().saturating_sub(missing)], offset);
        if missing > 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    pub(super) fn allocate(&mut self, id: usize, bytes: u64) -> io::Result<()> {
        let free = self.free_bytes();
        let file = self.file_mut(id)?;
        if bytes.saturating_sub(file.size()) > free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.allocated = bytes;
        Ok(())
    }

    pub(super) fn set_free_bytes(&mut self, bytes: Option<u64>) {
        self.capacity = bytes.map(|bytes| self.used_bytes() + bytes);
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used_bytes()))
    }

    pub(super) fn file_id(&self, path: &Path) -> io::Result<usize> {
        let id = self.lookup(path)?;
        match &self.inodes[id] {
            Inode::File(_) => Ok(id),
            Inode::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn file_mut(&mut self, id: usize) -> io::Result<&mut FileNode> {
        match self.inodes.get_mut(id) {
            Some(Inode::File(file)) => Ok(file),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn dir_mut(&mut self, id: usize) -> io::Result<&mut DirNode> {
        match self.inodes.get_mut(id) {
            Some(Inode::Dir(dir)) => Ok(dir),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Bytes of all files that have a name.
    fn used_bytes(&self) -> u64 {
        let mut bytes = 0;
        for inode in &self.inodes {
            let Inode::Dir(dir) = inode else { continue };
            for id in dir.entries.values() {
                if let Inode::File(file) = &self.inodes[*id] {
                    bytes += file.size();
                }
            }
        }
        bytes
    }

    pub(super) fn lookup(&self, path: &Path) -> io::Result<usize> {
        let mut id = 0;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            let Inode::Dir(dir) = &self.inodes[id] else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?;
            id = *dir.entries.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(id)
    }

    /// Returns the directory of a path and the name in it.
    fn place(&self, path: &Path) -> io::Result<(usize, String)> {
        let dir = self.lookup(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok((dir, name.to_owned()))
    }
}

impl Inode {
    pub(super) fn file() -> Inode {
        Inode::File(FileNode { bytes: Vec::new(), durable: Vec::new(), dirty: Vec::new(), allocated: 0 })
    }

    pub(super) fn dir() -> Inode {
        Inode::Dir(DirNode::default())
    }
}

impl FileNode {
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).map_err(io::Error::other)?.min(self.bytes.len());
        let len = buffer.len().min(self.bytes.len() - start);
        buffer[..len].copy_from_slice(&self.bytes[start..start + len]);
        Ok(len)
    }

    pub(super) fn size(&self) -> u64 {
        self.allocated.max(self.bytes.len() as u64)
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.bytes.len(), 0);
        for range in std::mem::take(&mut self.dirty) {
            let range = range.start.min(self.bytes.len())..range.end.min(self.bytes.len());
            self.durable[range.clone()].copy_from_slice(&self.bytes[range]);
        }
    }

    /// A sync that failed: nothing becomes durable, and the next sync has nothing to do.
    pub(super) fn forget(&mut self) {
        self.dirty.clear();
    }

    pub(super) fn truncate(&mut self, bytes: u64) {
        self.bytes.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
    }

    pub(super) fn flip_bit(&mut self, bit: u64) -> io::Result<()> {
        let at = usize::try_from(bit / 8).map_err(io::Error::other)?;
        *self.bytes.get_mut(at).ok_or(io::ErrorKind::InvalidInput)? ^= 1 << (bit % 8);
        if let Some(byte) = self.durable.get_mut(at) {
            *byte ^= 1 << (bit % 8);
        }
        Ok(())
    }

    pub(super) fn overwrite(&mut self, bytes: &[u8]) {
        self.bytes = bytes.to_vec();
        self.durable = bytes.to_vec();
        self.dirty.clear();
    }

    fn write_at(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.bytes.len() {
            self.dirty.push(self.bytes.len()..offset.max(self.bytes.len()));
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
        self.dirty.push(offset..end);
    }
}

impl DirNode {
    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.entries);
        self.unsynced.push(change);
    }
}

impl Change {
    pub(super) fn apply(self, entries: &mut BTreeMap<String, usize>) {
        match self {
            Change::Link { name, id } => {
                entries.insert(name, id);
            }
            Change::Unlink { name } => {
                entries.remove(&name);
            }
            Change::Rename { from, to } => {
                if let Some(id) = entries.remove(&from) {
                    entries.insert(to, id);
                }
            }
        }
    }
}
