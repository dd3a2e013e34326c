//! C2SP signed notes (signed-note v1.0.0): a text, an empty line and signature lines.

use alloc::vec::Vec;

use crate::text::read_base64;

/// Bytes of a note at most.
pub const NOTE_BYTES_MAX: usize = 16 * 1024;

/// A note as it is read; its signatures are not verified by that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// What is signed, with its last newline.
    pub text: &'a str,
    /// The signature lines, in order.
    pub signatures: Vec<NoteSignature<'a>>,
}

/// One line `— <key name> <base64 of 4-byte key id || signature>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature<'a> {
    /// The key's name.
    pub name: &'a str,
    /// The first four bytes of the key's id.
    pub key_id: [u8; 4],
    /// What follows the key id: a signature, in a cosignature its time first.
    pub signature: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Reads a note.
    ///
    /// # Errors
    /// When it is too long, not UTF-8, holds a control character other than newline, or is not a text, an empty line and
    /// at least one signature line.
    pub fn parse(bytes: &'a [u8]) -> Result<Note<'a>, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { got: bytes.len() });
        }
        let note = core::str::from_utf8(bytes).map_err(|_| NoteError::Character)?;
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(NoteError::Character);
        }
        let split = note.rfind("\n\n").ok_or(NoteError::Form)?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Form)?;
        let signatures = lines.split('\n').map(parse_line).collect::<Option<_>>().ok_or(NoteError::Line)?;
        Ok(Note { text, signatures })
    }
}

fn parse_line(line: &str) -> Option<NoteSignature<'_>> {
    let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
        return None;
    }
    let bytes = read_base64(signature)?;
    let (key_id, signature) = bytes.split_first_chunk::<4>()?;
    if signature.is_empty() {
        return None;
    }
    Some(NoteSignature { name, key_id: *key_id, signature: signature.to_vec() })
}

/// A note does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// More than 16 KiB.
    #[error("a note of {got} bytes, more than {NOTE_BYTES_MAX}")]
    TooLong {
        /// The length found.
        got: usize,
    },
    /// Not UTF-8, or a control character other than newline.
    #[error("the note is not plain UTF-8 text")]
    Character,
    /// No empty line, or no newline at the end.
    #[error("the note is not a text, an empty line and signature lines")]
    Form,
    /// A signature line is not `— <key name> <base64>`.
    #[error("a signature line of the note does not parse")]
    Line,
}
