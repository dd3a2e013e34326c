//! A file system in memory for tests: its crash drops every byte and every directory entry that was not synced.
//!
//! A [`Memory`] is one process's view. [`Memory::kill`] and the crashes end that process (all its handles fail from then
//! on, its locks are gone) and return the view of the next. A fault hits a numbered operation: only those that change
//! something count, see [`Operation`].

mod crash;
mod fault;
mod tree;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use fault::{Counts, Fault, Operation};

use crate::storage::{Access, Lock, Storage, StorageFile};
use fault::Plan;
use tree::{Inode, Tree};

/// One process's view of a file system in memory; clones are the same process.
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Arc<Mutex<State>>,
    life: u64,
}

#[derive(Debug)]
struct State {
    tree: Tree,
    plan: Plan,
    locks: HashMap<PathBuf, u64>,
    /// The process that lives; every other has died.
    life: u64,
    /// It has died in the middle of an operation, and nobody has started the next.
    dead: bool,
    locks_taken: u64,
}

impl Memory {
    /// Returns an empty file system without a limit of space.
    pub fn new() -> Memory {
        let state = State {
            tree: Tree::new(),
            plan: Plan::default(),
            locks: HashMap::new(),
            life: 0,
            dead: false,
            locks_taken: 0,
        };
        Memory { shared: Arc::new(Mutex::new(state)), life: 0 }
    }

    /// Lets a fault hit the operation after the next `operations` ones; several may wait.
    pub fn fault_after(&self, operations: u64, fault: Fault) {
        self.state().plan.add(operations, fault);
    }

    /// Forgets the faults that have not hit yet.
    pub fn clear_faults(&self) {
        self.state().plan.clear();
    }

    /// Says which operations were hit by a fault, and on which path.
    pub fn faults_hit(&self) -> Vec<(Operation, PathBuf)> {
        self.state().plan.hit.clone()
    }

    /// Limits how many more bytes files may take; `None` lifts the limit.
    pub fn set_free_bytes(&self, bytes: Option<u64>) {
        self.state().tree.set_free_bytes(bytes);
    }

    /// Returns how often each operation was asked for since the file system was made.
    pub fn counts(&self) -> Counts {
        self.state().plan.counts
    }

    /// Says whether the process died of a fault, and nobody has started the next.
    pub fn is_dead(&self) -> bool {
        self.gone(&self.state())
    }

    /// Ends the process as `kill -9` does: what it wrote stays, synced or not.
    pub fn kill(&self) -> Memory {
        self.next_life(|_| ())
    }

    /// Ends everything as a power cut does: only what was synced stays.
    pub fn crash(&self) -> Memory {
        self.next_life(|tree| tree.drop_unsynced())
    }

    /// Ends everything as a power cut does, after a part of what was not synced had reached the disk by itself.
    ///
    /// Of each file any 512-byte sectors and a length in between, of each directory the first few changes: all drawn from the seed.
    pub fn crash_keeping(&self, seed: u64) -> Memory {
        self.next_life(|tree| tree.keep_some_unsynced(seed))
    }

    /// Returns the view of another process, which outlives those that end. It sees what they see.
    pub fn onlooker(&self) -> Memory {
        Memory { shared: Arc::clone(&self.shared), life: ONLOOKER }
    }

    /// Flips one bit of a file, as an attacker or a bad disk does.
    ///
    /// # Errors
    /// `NotFound`, or `InvalidInput` past the end.
    pub fn flip_bit(&self, path: &Path, bit: u64) -> io::Result<()> {
        let mut state = self.state();
        let id = state.tree.file_id(path)?;
        state.tree.file_mut(id)?.flip_bit(bit)
    }

    /// Replaces a file's bytes, durably and past all faults, as an attacker does.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let id = state.tree.file_id(path)?;
        state.tree.file_mut(id)?.overwrite(bytes);
        Ok(())
    }

    fn next_life(&self, remaining: impl FnOnce(&mut Tree)) -> Memory {
        let mut state = self.state();
        remaining(&mut state.tree);
        state.plan.clear();
        state.locks.clear();
        state.life += 1;
        state.dead = false;
        Memory { shared: Arc::clone(&self.shared), life: state.life }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self, state: &State) -> bool {
        self.life != ONLOOKER && (state.dead || state.life != self.life)
    }

    /// Locks the state of a process that still lives.
    fn living(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if self.gone(&state) { Err(io::Error::other("the process has died")) } else { Ok(state) }
    }

    /// Counts an operation that changes something, and applies it as the fault that hits it says.
    fn change<T>(
        &self,
        operation: Operation,
        path: &Path,
        apply: impl FnOnce(&mut Tree) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.living()?;
        match state.plan.next(operation, path) {
            None => apply(&mut state.tree),
            Some(Fault::Full { free_bytes }) => {
                state.tree.set_free_bytes(Some(free_bytes));
                apply(&mut state.tree)
            }
            Some(Fault::Unwritten(kind)) => Err(kind.into()),
            Some(Fault::Written(kind)) => {
                apply(&mut state.tree)?;
                Err(kind.into())
            }
            Some(Fault::DieBefore) => {
                state.dead = true;
                Err(io::Error::other("died before"))
            }
            Some(Fault::DieAfter) => {
                let applied = apply(&mut state.tree);
                state.dead = true;
                applied.and(Err(io::Error::other("died after")))
            }
        }
    }

    fn handle(&self, path: &Path, id: usize) -> Box<dyn StorageFile> {
        Box::new(MemoryFile { memory: self.clone(), path: path.to_owned(), id })
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Storage for Memory {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let id = self.change(Operation::Create, path, |tree| tree.create(path, Inode::file()))?;
        Ok(self.handle(path, id))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let id = self.living()?.tree.file_id(path)?;
        Ok(self.handle(path, id))
    }

    fn open_to_write(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(Operation::Rename, to, |tree| tree.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(Operation::Remove, path, |tree| tree.remove(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.living()?.tree.list(dir)
    }

    fn create_dir(&self, path: &Path, _access: Access) -> io::Result<()> {
        self.change(Operation::CreateDir, path, |tree| tree.create(path, Inode::dir())).map(drop)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(Operation::SyncDir, dir, |tree| tree.sync_dir(dir))
    }

    /// There is nobody else here.
    fn access(&self, path: &Path) -> io::Result<Access> {
        self.living()?.tree.lookup(path).map(|_| Access::Private)
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let mut state = self.living()?;
        if state.locks.contains_key(path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.locks_taken += 1;
        let number = state.locks_taken;
        state.locks.insert(path.to_owned(), number);
        Ok(Lock::new(MemoryLock { memory: self.clone(), path: path.to_owned(), number }))
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.living()?.tree.free_bytes())
    }
}

const ONLOOKER: u64 = u64::MAX;

#[derive(Debug)]
struct MemoryFile {
    memory: Memory,
    path: PathBuf,
    id: usize,
}

impl StorageFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.memory.living()?.tree.file_mut(self.id)?.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.memory.change(Operation::Write, &self.path, |tree| tree.write_at(self.id, bytes, offset))
    }

    fn sync(&self) -> io::Result<()> {
        // The fault must hit this file, not the one that has its name by now.
        let mut unwritten = true;
        let synced = self.memory.change(Operation::Sync, &self.path, |tree| {
            unwritten = false;
            tree.file_mut(self.id).map(|file| file.sync())
        });
        if unwritten && let Ok(mut state) = self.memory.living() {
            state.tree.file_mut(self.id)?.forget();
        }
        synced
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.memory.living()?.tree.file_mut(self.id)?.size())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.memory
            .change(Operation::Truncate, &self.path, |tree| tree.file_mut(self.id).map(|file| file.truncate(bytes)))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.memory.change(Operation::Allocate, &self.path, |tree| tree.allocate(self.id, bytes))
    }
}

struct MemoryLock {
    memory: Memory,
    path: PathBuf,
    number: u64,
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut state = self.memory.state();
        if state.locks.get(&self.path) == Some(&self.number) {
            state.locks.remove(&self.path);
        }
    }
}
