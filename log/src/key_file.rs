//! Key files: 32 bytes in hex, readable by their owner alone (format.md section 12).

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::replace::{Durability, replace};
use crate::storage::{Access, Storage, read_file};

/// The bytes of a key, wiped on drop.
pub type KeyBytes = Zeroizing<[u8; 32]>;

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file or its directory cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Others than the owner may read it.
    #[error("{} can be read by others: run chmod 600, and replace the key if they may have read it", path.display())]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
    },
    /// It is not 64 digits of lower-case hex and a newline.
    #[error("{} is not a key: 64 digits of lower-case hex and a newline are", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The system has no random bytes to give.
    #[error("no random bytes from the system: {0}")]
    Random(getrandom::Error),
}

/// Reads a key.
///
/// # Errors
/// When the file is not there, can be read by others, or is not a key.
pub fn load_key(storage: &dyn Storage, path: &Path) -> Result<KeyBytes, KeyFileError> {
    if storage.access(path)? != Access::Private {
        return Err(KeyFileError::ReadableByOthers { path: path.to_owned() });
    }
    let text = Zeroizing::new(read_file(storage, path, TEXT_LEN)?);
    let mut key = KeyBytes::default();
    let [digits @ .., b'\n'] = &text[..] else { return Err(KeyFileError::NotAKey { path: path.to_owned() }) };
    if decode_hex(digits, &mut key).is_none() {
        return Err(KeyFileError::NotAKey { path: path.to_owned() });
    }
    Ok(key)
}

/// Reads a key, or makes one if there is no such file; either way it is durable when this returns.
///
/// # Errors
/// As [`load_key`], and when the file cannot be written.
pub fn load_or_create_key(storage: &dyn Storage, path: &Path) -> Result<KeyBytes, KeyFileError> {
    match load_key(storage, path) {
        Err(KeyFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => create_key(storage, path),
        loaded => {
            // The process that made it may have died before its name was durable, and what this one signs must not
            // outlive the key.
            let key = loaded?;
            path.parent().map_or(Ok(()), |dir| storage.sync_dir(dir))?;
            Ok(key)
        }
    }
}

fn create_key(storage: &dyn Storage, path: &Path) -> Result<KeyBytes, KeyFileError> {
    let mut key = KeyBytes::default();
    getrandom::fill(&mut key[..]).map_err(KeyFileError::Random)?;
    let mut text = Zeroizing::new(Vec::with_capacity(TEXT_LEN));
    for byte in key.iter() {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text.push(b'\n');
    replace(storage, path, &text, Durability::Synced)?;
    Ok(key)
}

fn decode_hex(digits: &[u8], out: &mut [u8; 32]) -> Option<()> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != out.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(())
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

const TEXT_LEN: usize = 65;
const DIGITS: &[u8; 16] = b"0123456789abcdef";
