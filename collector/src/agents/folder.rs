//! Requests for approval and their answers, as files: what agents ask over HTTP and what a person answers at the shell meet
//! here.
//!
//! `<id>.request.json` and `<id>.answer.json`, each written whole before it has its name.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use spanseal_authority::asking::{Answered, Asked};

/// A folder of requests and answers.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// Why a request or an answer is not there, or cannot be put there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Nobody asked under this id.
    #[error("there is no request {id:?}")]
    Unknown {
        /// As given.
        id: String,
    },
    /// Somebody asked under this id before.
    #[error("there is a request {id} already")]
    Asked {
        /// The id.
        id: String,
    },
    /// It was answered before.
    #[error("request {id} is answered already")]
    Answered {
        /// The id.
        id: String,
    },
    /// Too many are kept.
    #[error("{kept} requests are kept, answered or not, and no more can be")]
    Full {
        /// How many.
        kept: usize,
    },
    /// The disk.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// A file that holds something else.
    #[error("{} is not what it should be: {error}", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser met.
        error: serde_json::Error,
    },
}

impl Folder {
    /// Names a folder; it is made when something is put there.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Keeps a request, and lets go of those whose deadline went by a day ago.
    ///
    /// # Errors
    /// An id that was used, too many that are kept, a disk that fails.
    pub fn ask(&self, asked: &Asked, now_seconds: u64) -> Result<(), FolderError> {
        let kept = self.tidy(now_seconds)?;
        if kept >= KEPT_MAX {
            return Err(FolderError::Full { kept });
        }
        let taken = || FolderError::Asked { id: asked.id.clone() };
        self.put(&self.file(&asked.id, REQUEST)?, asked, taken)
    }

    /// Returns the requests, oldest first.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn requests(&self) -> Result<Vec<Asked>, FolderError> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| self.io(&self.0, error))?,
        };
        let mut requests = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| self.io(&self.0, error))?.file_name();
            if let Some(id) = name.to_str().and_then(|name| name.strip_suffix(REQUEST)) {
                requests.push(self.request(id)?);
            }
        }
        requests.sort_by(|one: &Asked, other| (one.asked, &one.id).cmp(&(other.asked, &other.id)));
        Ok(requests)
    }

    /// Returns a request.
    ///
    /// # Errors
    /// An id that nobody asked under; a file that cannot be read.
    pub fn request(&self, id: &str) -> Result<Asked, FolderError> {
        self.get(&self.file(id, REQUEST)?)?.ok_or_else(|| FolderError::Unknown { id: id.to_owned() })
    }

    /// Returns the answer to a request, if there is one.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn answered(&self, id: &str) -> Result<Option<Answered>, FolderError> {
        self.get(&self.file(id, ANSWER)?)
    }

    /// Answers a request, once.
    ///
    /// # Errors
    /// A request that is not there or was answered before; a disk that fails.
    pub fn answer(&self, id: &str, answered: &Answered) -> Result<(), FolderError> {
        self.request(id)?;
        self.put(&self.file(id, ANSWER)?, answered, || FolderError::Answered { id: id.to_owned() })
    }

    /// Removes what is long over, and returns how many requests are left.
    fn tidy(&self, now_seconds: u64) -> Result<usize, FolderError> {
        let (over, kept): (Vec<_>, Vec<_>) =
            self.requests()?.into_iter().partition(|asked| asked.deadline.saturating_add(KEPT_SECONDS) < now_seconds);
        for asked in over {
            for part in [REQUEST, ANSWER] {
                // What cannot be removed now is next time.
                let _ = fs::remove_file(self.file(&asked.id, part)?);
            }
        }
        Ok(kept.len())
    }

    fn file(&self, id: &str, part: &str) -> Result<PathBuf, FolderError> {
        let is_id = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_id { Ok(self.0.join(format!("{id}{part}"))) } else { Err(FolderError::Unknown { id: id.to_owned() }) }
    }

    fn get<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, FolderError> {
        match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io(path, error)),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| FolderError::Json { path: path.to_owned(), error }),
        }
    }

    /// Writes a file whole, unless there is one of this name: a link, unlike a rename, replaces nothing.
    fn put(&self, path: &Path, value: &impl Serialize, taken: impl FnOnce() -> FolderError) -> Result<(), FolderError> {
        let io = |error| self.io(path, error);
        fs::create_dir_all(&self.0).map_err(io)?;
        let json = |error| FolderError::Json { path: path.to_owned(), error };
        let text = serde_json::to_string_pretty(value).map_err(json)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.0).map_err(io)?;
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(io)?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(taken()),
            Err(error) => Err(io(error.error)),
        }
    }

    fn io(&self, path: &Path, error: io::Error) -> FolderError {
        FolderError::Io { path: path.to_owned(), error }
    }
}

const REQUEST: &str = ".request.json";
const ANSWER: &str = ".answer.json";
/// Requests that are kept at once, those with an answer among them.
const KEPT_MAX: usize = 1024;
/// How long a request and its answer are kept after the deadline.
const KEPT_SECONDS: u64 = 86_400;
