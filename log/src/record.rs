//! Records: what a segment consists of after its header (format.md section 11).
//!
//! ```text
//!   +-------------+--------+------+------------------------+
//!   | body length | CRC-32C | type | body                  |
//!   +-------------+--------+------+------------------------+
//!     4 bytes       4        1      1 to 1,048,576 bytes      big-endian; the CRC covers length, type and body
//! ```

use spanseal_ledger::seal::{EVENTS_MAX, SEAL_LEN};

/// Bytes before the body.
pub const HEAD_LEN: usize = 9;
/// Bytes of a body at most.
pub const BODY_BYTES_MAX: usize = 1_048_576;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// A batch of a stream.
    Batch = 1,
    /// Encrypted pieces that were cut from events of the next batch.
    Payload = 2,
    /// A leaf of the root log.
    RootLeaf = 3,
}

impl RecordKind {
    /// Returns the kind with that type byte.
    pub fn from_byte(byte: u8) -> Option<RecordKind> {
        match byte {
            1 => Some(RecordKind::Batch),
            2 => Some(RecordKind::Payload),
            3 => Some(RecordKind::RootLeaf),
            _ => None,
        }
    }
}

/// The first nine bytes of a record. Nothing is checked by having one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the body.
    pub body_len: u32,
    /// CRC-32C of length, type and body.
    pub crc: u32,
    /// The type byte.
    pub kind: u8,
}

impl Head {
    /// Reads a head; whether its record is whole, [`Head::holds`] says.
    pub fn parse(bytes: &[u8; HEAD_LEN]) -> Head {
        let [l0, l1, l2, l3, c0, c1, c2, c3, kind] = *bytes;
        Head { body_len: u32::from_be_bytes([l0, l1, l2, l3]), crc: u32::from_be_bytes([c0, c1, c2, c3]), kind }
    }

    /// Returns the length of the record, or nothing when no record has a body of that length.
    pub fn record_len(&self) -> Option<usize> {
        let body_len = usize::try_from(self.body_len).ok()?;
        (1..=BODY_BYTES_MAX).contains(&body_len).then_some(HEAD_LEN + body_len)
    }

    /// Says whether the CRC is that of this body.
    pub fn holds(&self, body: &[u8]) -> bool {
        body.len() == self.body_len as usize && self.crc == crc(self.body_len, self.kind, body)
    }
}

/// A body has no bytes, or more than [`BODY_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record body of {bytes} bytes, not 1 to {BODY_BYTES_MAX}")]
pub struct BodySize {
    /// Its length.
    pub bytes: usize,
}

/// Appends a record whose body `write` appends, and returns the body's length.
///
/// # Errors
/// When the body has no bytes or too many; `out` is then as it was.
pub fn append_with(out: &mut Vec<u8>, kind: RecordKind, write: impl FnOnce(&mut Vec<u8>)) -> Result<usize, BodySize> {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_LEN]);
    write(out);
    let bytes = out.len().saturating_sub(start + HEAD_LEN);
    let body_len = match u32::try_from(bytes) {
        Ok(len) if (1..=BODY_BYTES_MAX).contains(&bytes) => len,
        _ => {
            out.truncate(start);
            return Err(BodySize { bytes });
        }
    };
    let crc = crc(body_len, kind as u8, &out[start + HEAD_LEN..]);
    out[start..start + 4].copy_from_slice(&body_len.to_be_bytes());
    out[start + 4..start + 8].copy_from_slice(&crc.to_be_bytes());
    out[start + 8] = kind as u8;
    Ok(bytes)
}

/// Returns the first index and the count that a batch claims by its seal (format.md section 4), nothing of it verified.
pub fn batch_range(body: &[u8]) -> Option<(u64, u16)> {
    let seal = body.get(..SEAL_LEN)?;
    let count = u16::from_be_bytes(*seal[36..].first_chunk()?);
    let first = u64::from_be_bytes(*seal[40..].first_chunk()?);
    let plausible = seal.starts_with(b"spanseal/seal/v1") && (1..=EVENTS_MAX).contains(&count);
    (plausible && first.checked_add(u64::from(count)).is_some()).then_some((first, count))
}

fn crc(body_len: u32, kind: u8, body: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(&body_len.to_be_bytes()), &[kind]);
    crc32c::crc32c_append(head, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_bytes_of_the_format() {
        let mut out = Vec::new();
        append_with(&mut out, RecordKind::RootLeaf, |out| out.extend_from_slice(b"leaf")).unwrap();
        let crc = crc32c::crc32c(b"\0\0\0\x04\x03leaf").to_be_bytes();
        assert_eq!(out, [&[0, 0, 0, 4][..], &crc, &[3], b"leaf"].concat());
    }

    #[test]
    fn refuses_an_empty_and_an_overlong_body_and_leaves_no_trace() {
        for bytes in [0, BODY_BYTES_MAX + 1] {
            let mut out = vec![7];
            let refused = append_with(&mut out, RecordKind::Payload, |out| out.resize(out.len() + bytes, 1));
            assert_eq!((refused, out), (Err(BodySize { bytes }), vec![7]));
        }
    }

    #[test]
    fn any_flipped_bit_of_a_record_is_seen() {
        let mut record = Vec::new();
        append_with(&mut record, RecordKind::Batch, |out| out.extend_from_slice(&[0x5a; 40])).unwrap();
        for bit in 0..record.len() * 8 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (head, body) = flipped.split_first_chunk().unwrap();
            assert!(!Head::parse(head).holds(body), "bit {bit}");
        }
    }
}
