//! Which of the errors of a start mean that the disk is full, and what space a start needs.

use std::num::NonZeroUsize;

use spanseal_log::{CommitError, KeyFileError, LockError, OpenError, Options, RecoverError, is_full};

use super::ground::SIZES;
use super::root::RootError;
use super::start::StartError;
use super::stream::StreamError;
use super::subjects::SubjectsError;

impl StartError {
    /// Returns whether another start may do better once there is space. What this one left is what a crash leaves.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io(error)
            | Self::Lock(LockError::Io(error))
            | Self::Key(KeyFileError::Io(error))
            | Self::RootUnreadable(RecoverError::Io(error))
            | Self::Open(OpenError::Io(error)) => is_full(error),
            Self::Root(error) => of_root(error),
            Self::Stream(error) => of_stream(error),
            Self::Subjects(error) => of_subjects(error),
            _ => false,
        }
    }
}

fn of_stream(error: &StreamError) -> bool {
    match error {
        StreamError::Commit(error) => of_commit(error),
        StreamError::Root(error) => of_root(error),
        StreamError::Disk(error) => is_full(error),
        _ => false,
    }
}

fn of_root(error: &RootError) -> bool {
    matches!(error, RootError::Commit(error) if of_commit(error))
}

fn of_commit(error: &CommitError) -> bool {
    matches!(error, CommitError::Unwritable { first, again } if is_full(first) || is_full(again))
}

fn of_subjects(error: &SubjectsError) -> bool {
    match error {
        SubjectsError::Create(error) => is_full(error),
        SubjectsError::Store(rusqlite::Error::SqliteFailure(error, _)) => {
            // The memory that readers and writers share is a file too.
            error.code == rusqlite::ErrorCode::DiskFull || error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
        }
        _ => false,
    }
}

/// Returns the bytes that must be free for a start to open epochs, which takes the reserves of all logs first.
pub(crate) fn bytes_to_start(stream: &Options, streams: NonZeroUsize) -> u64 {
    // A reserve is taken when there is space for two.
    2 * streams.get() as u64 * stream.reserve_bytes() + 2 * SIZES.reserve_bytes()
}
