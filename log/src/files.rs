//! The data directory: which file is where, and what must be there before anything is written (format.md section 12).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spanseal_ledger::StreamId;

pub use crate::replace::{Durability, replace};

use crate::segment::Owner;
use crate::storage::{Access, Lock, Storage, read_file};

/// A deployment's data directory.
#[derive(Clone, Debug)]
pub struct DataDir {
    storage: Arc<dyn Storage>,
    root: PathBuf,
}

/// What a key is for; names its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// Signs root leaves and openings.
    Identity,
    /// Signs stream checkpoints.
    Checkpoint,
    /// Cosigns checkpoints with the time.
    Cosign,
    /// Signs root log checkpoints.
    Sequencer,
    /// Fingerprints spans in the retry window.
    Dedup,
    /// Signs enrolment receipts.
    Enrolment,
    /// Approves in a development set-up.
    DevApprover,
}

/// A data directory cannot be opened for writing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Another process writes to it.
    #[error("another process writes to {}: stop it, or choose another data directory", root.display())]
    Held {
        /// The data directory.
        root: PathBuf,
    },
}

impl DataDir {
    /// Names a data directory, for reading. Opens nothing.
    pub fn at(storage: Arc<dyn Storage>, root: &Path) -> DataDir {
        DataDir { storage, root: root.to_owned() }
    }

    /// Creates the directories that are missing, for their owner alone, and takes the lock that keeps other writers out.
    ///
    /// Every directory's name is durable when this returns, whoever created it.
    ///
    /// # Errors
    /// When another process holds the lock, or the directory cannot be written.
    pub fn open_to_write(storage: Arc<dyn Storage>, root: &Path) -> Result<(DataDir, Lock), LockError> {
        let files = DataDir::at(storage, root);
        ensure_dirs(files.storage(), root, Access::Private)?;
        let lock = files.storage.lock(&root.join("lock")).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => LockError::Held { root: root.to_owned() },
            _ => LockError::Io(error),
        })?;
        for name in DIRS {
            create_dir(files.storage(), &root.join(name))?;
        }
        files.storage.sync_dir(root)?;
        Ok((files, lock))
    }

    /// Whether other users of the machine may look into it, or write there: one that was there before is left as it is.
    ///
    /// # Errors
    /// When it is not there.
    pub fn is_open_to_others(&self) -> io::Result<bool> {
        Ok(self.storage.access(&self.root)? == Access::Shared)
    }

    /// The disk it is on.
    pub fn storage(&self) -> &dyn Storage {
        self.storage.as_ref()
    }

    /// The disk it is on, to share.
    pub fn shared_storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads the deployment's name.
    ///
    /// # Errors
    /// `NotFound` in a directory that was never written to.
    pub fn read_name(&self) -> io::Result<String> {
        let bytes = read_file(self.storage(), &self.root.join("name"), NAME_BYTES_MAX)?;
        let name = String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(name.trim_end_matches('\n').to_owned())
    }

    /// Writes the deployment's name, durably.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write_name(&self, name: &str) -> io::Result<()> {
        let text = format!("{name}\n");
        replace(self.storage(), &self.root.join("name"), text.as_bytes(), Durability::Synced)
    }

    /// The file of a key.
    pub fn key(&self, key: KeyFile) -> PathBuf {
        self.root.join("keys").join(key.file_name())
    }

    /// Whether it belongs to a development set-up, which approves whatever is asked.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_dev(&self) -> io::Result<bool> {
        match read_file(self.storage(), &self.key(KeyFile::DevApprover), KEY_BYTES_MAX) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where requests for approval wait for their answers.
    pub fn approvals(&self) -> PathBuf {
        self.root.join("approvals")
    }

    /// The directory of a log's segments.
    pub fn log(&self, owner: &Owner) -> PathBuf {
        match owner {
            Owner::Stream(stream) => self.root.join("streams").join(stream.to_string()),
            Owner::RootLog => self.root.join("rootlog"),
        }
    }

    /// The file of a log's checkpoint.
    pub fn checkpoint(&self, owner: &Owner) -> PathBuf {
        self.log(owner).join("checkpoint")
    }

    /// Reads a log's checkpoint note; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is longer than a note may be.
    pub fn read_checkpoint(&self, owner: &Owner) -> io::Result<Option<Vec<u8>>> {
        match read_file(self.storage(), &self.checkpoint(owner), NOTE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            note => note.map(Some),
        }
    }

    /// Replaces a log's checkpoint note, without a sync unless asked for: the next one comes in a second.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write_checkpoint(&self, owner: &Owner, note: &str, durability: Durability) -> io::Result<()> {
        replace(self.storage(), &self.checkpoint(owner), note.as_bytes(), durability)
    }

    /// The streams that have a directory, ascending. Names that are no stream's are left out.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn streams(&self) -> io::Result<Vec<StreamId>> {
        let names = match self.storage.list(&self.root.join("streams")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names?,
        };
        let mut streams: Vec<StreamId> = names.iter().filter_map(|name| name.parse().ok()).collect();
        streams.sort_unstable();
        Ok(streams)
    }

    /// The file of a cursor.
    pub fn cursor(&self, name: &str) -> PathBuf {
        self.root.join("cursors").join(name)
    }

    /// The embedded index, which `reindex` rebuilds.
    pub fn index(&self) -> PathBuf {
        self.root.join("index.sqlite")
    }

    /// The keys of the subjects.
    pub fn subjects(&self) -> PathBuf {
        self.root.join("subjects.sqlite")
    }

    /// How many more bytes the disk takes.
    ///
    /// # Errors
    /// When the disk does not say.
    pub fn free_bytes(&self) -> io::Result<u64> {
        self.storage.free_bytes(&self.root)
    }
}

impl KeyFile {
    /// Every key.
    pub const ALL: [KeyFile; 7] = [
        KeyFile::Identity,
        KeyFile::Checkpoint,
        KeyFile::Cosign,
        KeyFile::Sequencer,
        KeyFile::Dedup,
        KeyFile::Enrolment,
        KeyFile::DevApprover,
    ];

    fn file_name(self) -> &'static str {
        match self {
            KeyFile::Identity => "identity.key",
            KeyFile::Checkpoint => "checkpoint.key",
            KeyFile::Cosign => "cosign.key",
            KeyFile::Sequencer => "sequencer.key",
            KeyFile::Dedup => "dedup.key",
            KeyFile::Enrolment => "enrolment.key",
            KeyFile::DevApprover => "dev-approver.key",
        }
    }
}

/// Creates a directory and those above it, and makes their names durable even if a process that is gone created them.
fn ensure_dirs(storage: &dyn Storage, dir: &Path, access: Access) -> io::Result<()> {
    let Some(parent) = dir.parent() else { return Ok(()) };
    if !parent.as_os_str().is_empty() {
        ensure_dirs(storage, parent, Access::Shared)?;
    }
    let created = storage.create_dir(dir, access);
    let existed = created.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists);
    if !existed {
        created?;
    }
    match storage.sync_dir(parent) {
        // One that we may not even read is not one that we made something in.
        Err(error) if existed && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

fn create_dir(storage: &dyn Storage, path: &Path) -> io::Result<()> {
    match storage.create_dir(path, Access::Private) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created,
    }
}

const DIRS: [&str; 4] = ["keys", "rootlog", "streams", "cursors"];
const KEY_BYTES_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 130;
const NOTE_BYTES_MAX: usize = 16 * 1024;
