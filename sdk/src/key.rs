//! Ed25519 keys of actors and approvers, in files that only their owner can read.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spanseal_authority::key::{SigningKey, Thumbprint};
use zeroize::Zeroizing;

/// A private key. Cheap to clone, wiped with its last clone, never printed.
#[derive(Clone, Debug)]
pub struct Key(Arc<SigningKey>);

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file cannot be read or written.
    #[error("key file {}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// Others can read it.
    #[error("key file {0} can be read by others (mode {mode:03o}); run `chmod 600 {0}`", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not a seed.
    #[error("key file {} does not hold 64 hex digits; `Key::create` makes one that does", .path.display())]
    NotASeed {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gives no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(getrandom::Error),
}

impl Key {
    /// Returns the key in a file of 64 hex digits.
    ///
    /// # Errors
    /// A file that cannot be read, that others can read too, or that holds something else.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let path = path.as_ref();
        let io = |error| KeyFileError::Io { path: path.to_owned(), error };
        let file = File::open(path).map_err(io)?;
        check_private(&file.metadata().map_err(io)?, path)?;
        let mut text = Zeroizing::new(String::new());
        file.take(256).read_to_string(&mut text).map_err(io)?;
        let seed = seed(text.trim()).ok_or_else(|| KeyFileError::NotASeed { path: path.to_owned() })?;
        Ok(Self::from_seed(&seed))
    }

    /// Makes a key and a new file for it that only the owner can read.
    ///
    /// # Errors
    /// A file that is there already or cannot be written; no random bytes.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let path = path.as_ref();
        let io = |error| KeyFileError::Io { path: path.to_owned(), error };
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(KeyFileError::Random)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(io)?;
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in *seed {
            text.extend([byte >> 4, byte & 0xf].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        }
        text.push('\n');
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        Ok(Self::from_seed(&seed))
    }

    /// Makes a key that lives as long as the program.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed)?;
        Ok(Self::from_seed(&seed))
    }

    /// Returns the key that grows from a seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Arc::new(SigningKey::from_seed(seed)))
    }

    /// Returns the public half as configurations have it: `ed25519:<base64>`.
    #[must_use]
    pub fn public(&self) -> String {
        self.0.public().to_string()
    }

    pub(crate) fn thumbprint(&self) -> Thumbprint {
        self.0.public().thumbprint()
    }

    pub(crate) fn signing(&self) -> &SigningKey {
        &self.0
    }
}

#[cfg(unix)]
fn check_private(metadata: &std::fs::Metadata, path: &Path) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyFileError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_private(_: &std::fs::Metadata, _: &Path) -> Result<(), KeyFileError> {
    Ok(())
}

fn seed(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in seed.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |char: u8| char::from(char).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_key_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.key");
        let created = Key::create(&path).unwrap();
        assert_eq!(Key::file(&path).unwrap().public(), created.public());
        let again = Key::create(&path).unwrap_err().to_string();
        assert!(again.contains("agent.key") && again.contains("exists"), "{again}");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.key");
        Key::create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = Key::file(&path).unwrap_err().to_string();
        assert!(error.ends_with(&format!("(mode 640); run `chmod 600 {}`", path.display())), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_seed_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.key");
        for text in ["", "00", &"g".repeat(64), &"0".repeat(65), &"é".repeat(32)] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(Key::file(&path), Err(KeyFileError::NotASeed { .. })), "{text}");
        }
        assert!(matches!(Key::file(directory.path().join("none")), Err(KeyFileError::Io { .. })));
    }
}
