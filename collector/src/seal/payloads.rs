//! Payload records: what was cut out of a message, encrypted under its subject's key (docs/format.md section 15).
//!
//! ```text
//! pieces of one event, in order     salt (16) | length (4) | bytes | salt ...
//!   split every 896 KiB, each       "spanseal/payl/v1" | stream (16) | subject (16) | group (16) | chunk (2) | chunks (2)
//!                                   | nonce (24) | ciphertext | tag (16)
//! ```
//! All before the ciphertext is its associated data; the record's id is `H(record)`.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use spanseal_schemas::cut;
use spanseal_schemas::event::Cut;

use super::nonces::Nonces;
use super::subjects::{SubjectKey, Subjects};

/// Bytes of pieces in one record at most.
pub(crate) const CHUNK_BYTES_MAX: usize = 896 * 1024;

/// Appends one piece to the pieces of an event and returns its commitment, `H(0x03 || salt || bytes)`.
pub(crate) fn push_piece(pieces: &mut Vec<u8>, salt: &[u8; 16], bytes: &[u8]) -> [u8; 32] {
    pieces.extend_from_slice(salt);
    // A request is at most 64 MiB, so a piece's length fits.
    pieces.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    pieces.extend_from_slice(bytes);
    Sha256::new().chain_update([0x03]).chain_update(salt).chain_update(bytes).finalize().into()
}

/// Returns the records that an event's pieces are split into when there are this many bytes of them.
pub(crate) fn chunks(pieces_len: usize) -> usize {
    pieces_len.div_ceil(CHUNK_BYTES_MAX)
}

/// Encrypts the pieces of one event and hands over each record with its id, in chunk order.
///
/// # Errors
/// When there is no randomness for a group id or a nonce.
pub(crate) fn seal_pieces(
    pieces: &[u8],
    stream: &[u8; 16],
    subject: &SubjectKey,
    nonces: &mut Nonces,
    mut on_record: impl FnMut(&[u8], [u8; 32]),
) -> Result<(), getrandom::Error> {
    let cipher = XChaCha20Poly1305::new(subject.key().into());
    let group: [u8; 16] = nonces.draw()?;
    let count = chunks(pieces.len()) as u16;
    for (chunk, bytes) in pieces.chunks(CHUNK_BYTES_MAX).enumerate() {
        let nonce: [u8; 24] = nonces.draw()?;
        let mut record = Vec::with_capacity(HEADER_LEN + bytes.len() + TAG_LEN);
        record.extend_from_slice(MAGIC);
        record.extend_from_slice(stream);
        record.extend_from_slice(&subject.id);
        record.extend_from_slice(&group);
        record.extend_from_slice(&(chunk as u16).to_be_bytes());
        record.extend_from_slice(&count.to_be_bytes());
        record.extend_from_slice(&nonce);
        record.extend_from_slice(bytes);
        let (header, text) = record.split_at_mut(HEADER_LEN);
        let tag = cipher
            .encrypt_inout_detached(&XNonce::from(nonce), header, text.into())
            .expect("a chunk is far below the cipher's limit of 256 GiB");
        record.extend_from_slice(&tag);
        on_record(&record, Sha256::digest(&record).into());
    }
    Ok(())
}

/// One payload record, its header read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadRecord<'a> {
    pub stream: &'a [u8; 16],
    pub subject: &'a [u8; 16],
    pub group: &'a [u8; 16],
    pub chunk: u16,
    pub chunks: u16,
    record: &'a [u8],
}

/// A payload record or its pieces cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    #[error("the payload record is {bytes} bytes, shorter than its header and tag")]
    Short { bytes: usize },
    #[error("the payload record is of an unknown version")]
    UnknownVersion,
    #[error("the payload record does not decrypt under its subject's key")]
    WrongKey,
    #[error("the pieces end inside piece {piece}")]
    Truncated { piece: usize },
}

impl<'a> PayloadRecord<'a> {
    /// Reads the header of a record's body.
    ///
    /// # Errors
    /// When it is too short or of another version.
    pub fn parse(record: &'a [u8]) -> Result<Self, PayloadError> {
        let short = PayloadError::Short { bytes: record.len() };
        if record.len() < HEADER_LEN + TAG_LEN {
            return Err(short);
        }
        let (magic, rest) = record.split_first_chunk::<16>().ok_or(short)?;
        if magic != MAGIC {
            return Err(PayloadError::UnknownVersion);
        }
        let (stream, rest) = rest.split_first_chunk().ok_or(short)?;
        let (subject, rest) = rest.split_first_chunk().ok_or(short)?;
        let (group, rest) = rest.split_first_chunk().ok_or(short)?;
        let (chunk, rest) = rest.split_first_chunk().ok_or(short)?;
        let (chunks, _) = rest.split_first_chunk().ok_or(short)?;
        let (chunk, chunks) = (u16::from_be_bytes(*chunk), u16::from_be_bytes(*chunks));
        Ok(Self { stream, subject, group, chunk, chunks, record })
    }

    /// Appends the decrypted bytes of this chunk to `pieces`.
    ///
    /// # Errors
    /// When the key is another's or the record was changed.
    pub fn decrypt(&self, key: &SubjectKey, pieces: &mut Vec<u8>) -> Result<(), PayloadError> {
        let (header, sealed) = self.record.split_at(HEADER_LEN);
        let (text, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(PayloadError::WrongKey)?;
        let nonce = header.last_chunk::<24>().ok_or(PayloadError::WrongKey)?;
        let start = pieces.len();
        pieces.extend_from_slice(text);
        XChaCha20Poly1305::new(key.key().into())
            .decrypt_inout_detached(&XNonce::from(*nonce), header, (&mut pieces[start..]).into(), &Tag::from(*tag))
            .map_err(|_| {
                pieces.truncate(start);
                PayloadError::WrongKey
            })
    }
}

/// Splits the decrypted chunks of one event, in order, into what was cut, in the order of the cuts.
///
/// # Errors
/// When the bytes end inside a piece.
pub fn split_pieces(mut pieces: &[u8]) -> Result<Vec<&[u8]>, PayloadError> {
    let mut split = Vec::new();
    while !pieces.is_empty() {
        let truncated = PayloadError::Truncated { piece: split.len() };
        let (_salt, rest) = pieces.split_first_chunk::<16>().ok_or(truncated)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(truncated)?;
        let (piece, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(truncated)?;
        split.push(piece);
        pieces = rest;
    }
    Ok(split)
}

/// Returns a message as it was received, unless a record is not there or what was cut out was erased.
pub(crate) fn restore<'r, 'i>(
    stored: Vec<u8>,
    cuts: &[Cut],
    mut ids: impl Iterator<Item = &'i [u8]>,
    record: &impl Fn(&[u8]) -> Option<&'r [u8]>,
    subjects: &dyn Subjects,
) -> Option<Vec<u8>> {
    if cuts.is_empty() {
        return Some(stored);
    }
    let mut pieces = Vec::new();
    ids.try_for_each(|id| {
        let record = PayloadRecord::parse(record(id)?).ok()?;
        let key = subjects.find(record.subject).ok().flatten()?;
        record.decrypt(&key, &mut pieces).ok()
    })?;
    cut::restore(&stored, cuts, &split_pieces(&pieces).ok()?).ok()
}

const MAGIC: &[u8; 16] = b"spanseal/payl/v1";
const HEADER_LEN: usize = 16 + 16 + 16 + 16 + 2 + 2 + 24;
const TAG_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SubjectKey {
        SubjectKey::new([byte; 16], [byte; 32])
    }

    fn records(pieces: &[u8], key: &SubjectKey) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        seal_pieces(pieces, &[7; 16], key, &mut Nonces::new(), |record, id| {
            assert_eq!(id, <[u8; 32]>::from(Sha256::digest(record)));
            records.push(record.to_vec());
        })
        .unwrap();
        records
    }

    #[track_caller]
    fn check_round_trip(cut: &[&[u8]], records_expected: usize) {
        let mut pieces = Vec::new();
        for bytes in cut {
            push_piece(&mut pieces, &[1; 16], bytes);
        }
        let records = records(&pieces, &key(9));
        assert_eq!(records.len(), records_expected);
        assert_eq!(chunks(pieces.len()), records_expected);
        let mut opened = Vec::new();
        for (chunk, record) in records.iter().enumerate() {
            let record = PayloadRecord::parse(record).unwrap();
            assert_eq!((record.stream, record.subject), (&[7; 16], &[9; 16]));
            assert_eq!((record.chunk as usize, record.chunks as usize), (chunk, records_expected));
            record.decrypt(&key(9), &mut opened).unwrap();
        }
        assert_eq!(split_pieces(&opened).unwrap(), cut);
    }

    #[test]
    fn gives_back_what_was_cut() {
        check_round_trip(&[b"prompt"], 1);
        check_round_trip(&[b"", b"a", &[3; 70_000]], 1);
        check_round_trip(&[&vec![5; CHUNK_BYTES_MAX * 2], b"tail"], 3);
    }

    #[test]
    fn refuses_another_key_and_any_changed_byte() {
        let mut pieces = Vec::new();
        push_piece(&mut pieces, &[1; 16], b"prompt");
        let record = records(&pieces, &key(9)).remove(0);
        let decrypt = |record: &[u8], by: &SubjectKey| {
            let mut opened = Vec::new();
            PayloadRecord::parse(record).and_then(|record| record.decrypt(by, &mut opened)).map(|()| opened)
        };
        assert_eq!(decrypt(&record, &key(9)).unwrap(), pieces);
        assert_eq!(decrypt(&record, &key(8)), Err(PayloadError::WrongKey));
        for at in 0..record.len() {
            let mut changed = record.clone();
            changed[at] ^= 1;
            assert!(decrypt(&changed, &key(9)).is_err(), "byte {at}");
        }
    }

    #[test]
    fn refuses_pieces_that_end_early() {
        let mut pieces = Vec::new();
        push_piece(&mut pieces, &[1; 16], b"prompt");
        for len in 1..pieces.len() {
            assert_eq!(split_pieces(&pieces[..len]), Err(PayloadError::Truncated { piece: 0 }));
        }
    }

    #[test]
    fn commits_to_salt_and_bytes() {
        let commit = |salt: u8, bytes: &[u8]| push_piece(&mut Vec::new(), &[salt; 16], bytes);
        assert_ne!(commit(1, b"a"), commit(2, b"a"));
        assert_ne!(commit(1, b"a"), commit(1, b"b"));
    }
}
