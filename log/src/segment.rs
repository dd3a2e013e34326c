//! Segments: the files of a log, named by the first index they hold (format.md section 11).
//!
//! ```text
//!   +--------------------+-------+-------+-----------+---+---------------+-------+---------+---
//!   | "spanseal/segm/v1" | owner | first | last seal | n | n x frontier  | CRC   | record  | ...
//!   +--------------------+-------+-------+-----------+---+---------------+-------+---------+---
//!     16 bytes             16      8       32          1   32 each         4
//! ```
//!
//! The owner is the stream, or `spanseal/rootlog`; n is the number of set bits of the first index, so the name alone
//! tells where the records begin.

use std::io;
use std::path::{Path, PathBuf};

use spanseal_ledger::seal::NO_SEAL;
use spanseal_ledger::tree::Frontier;
use spanseal_ledger::{Hash, StreamId};

use crate::storage::Storage;

/// Whose log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A stream's: batches, with payloads before them.
    Stream(StreamId),
    /// The root log: root leaves.
    RootLog,
}

impl Owner {
    /// The sixteen bytes that stand for it in a header.
    pub fn bytes(&self) -> [u8; 16] {
        match self {
            Owner::Stream(stream) => stream.0,
            Owner::RootLog => *b"spanseal/rootlog",
        }
    }
}

/// Where a log stands before a segment: its header, owner apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentStart {
    /// Size of the tree before the segment = index of the first event (root leaf) in it.
    pub first: u64,
    /// Hash of the last seal before it; zeros at index 0 and in the root log.
    pub seal_hash: Hash,
    /// The tree at that size.
    pub frontier: Frontier,
}

impl SegmentStart {
    /// Returns the start of an empty log.
    pub fn empty() -> SegmentStart {
        SegmentStart { first: 0, seal_hash: NO_SEAL, frontier: Frontier::new() }
    }

    /// Returns the header of a segment that starts here.
    pub fn encode(&self, owner: &Owner) -> Vec<u8> {
        let hashes = self.frontier.hashes();
        let mut out = Vec::with_capacity(header_len(self.first));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&owner.bytes());
        out.extend_from_slice(&self.first.to_be_bytes());
        out.extend_from_slice(&self.seal_hash);
        out.push(hashes.len() as u8);
        hashes.iter().for_each(|hash| out.extend_from_slice(hash));
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads the header of the segment named `first`, from exactly [`header_len`] bytes.
    ///
    /// # Errors
    /// When the bytes are not such a header.
    pub fn parse(bytes: &[u8], owner: &Owner, first: u64) -> Result<SegmentStart, HeaderError> {
        let (fields, crc) = bytes.split_last_chunk::<CRC_LEN>().ok_or(HeaderError::Unreadable)?;
        if bytes.len() != header_len(first) || crc32c::crc32c(fields) != u32::from_be_bytes(*crc) {
            return Err(HeaderError::Unreadable);
        }
        let (magic, fields) = split::<16>(fields)?;
        let (named_owner, fields) = split::<16>(fields)?;
        let (named_first, fields) = split::<8>(fields)?;
        let (seal_hash, fields) = split::<32>(fields)?;
        let ([count], hashes) = split::<1>(fields)?;
        if magic != MAGIC {
            return Err(HeaderError::UnknownVersion);
        }
        if *named_owner != owner.bytes() {
            return Err(HeaderError::OtherOwner);
        }
        let named_first = u64::from_be_bytes(*named_first);
        if named_first != first {
            return Err(HeaderError::OtherFirst { got: named_first });
        }
        let (hashes, rest) = hashes.as_chunks::<32>();
        if usize::from(*count) != hashes.len() || !rest.is_empty() {
            return Err(HeaderError::Unreadable);
        }
        let frontier = Frontier::from_parts(first, hashes.to_vec()).map_err(|_| HeaderError::Unreadable)?;
        Ok(SegmentStart { first, seal_hash: *seal_hash, frontier })
    }

    /// Says whether first index and frontier belong together.
    pub(crate) fn agrees(&self) -> bool {
        self.first == self.frontier.size()
    }
}

/// Why a segment's header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// It is cut, or its CRC or its lengths are wrong.
    #[error("the segment's header cannot be read")]
    Unreadable,
    /// It starts with other bytes than `spanseal/segm/v1`.
    #[error("the segment is of an unknown version")]
    UnknownVersion,
    /// It is a segment of another stream.
    #[error("the segment belongs to another stream")]
    OtherOwner,
    /// It is not the segment that its name says.
    #[error("the segment starts at index {got}, not where its name says")]
    OtherFirst {
        /// The first index that it gives.
        got: u64,
    },
}

/// Returns how many bytes the header of the segment with this first index has.
pub fn header_len(first: u64) -> usize {
    FIXED_LEN + 32 * first.count_ones() as usize + CRC_LEN
}

/// Returns the path of the segment with this first index.
pub fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.seg"))
}

/// Returns the first indices of a directory's segments, ascending. Other files are left out.
///
/// # Errors
/// When the directory cannot be listed.
pub fn list(storage: &dyn Storage, dir: &Path) -> io::Result<Vec<u64>> {
    let mut firsts: Vec<u64> = storage.list(dir)?.iter().filter_map(|name| first_of(name)).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

fn split<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), HeaderError> {
    bytes.split_first_chunk().ok_or(HeaderError::Unreadable)
}

const MAGIC: &[u8; 16] = b"spanseal/segm/v1";
const FIXED_LEN: usize = 16 + 16 + 8 + 32 + 1;
const CRC_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: Owner = Owner::Stream(StreamId([9; 16]));

    fn start(first: u64) -> SegmentStart {
        let hashes = (0..first.count_ones()).map(|n| [n as u8; 32]).collect();
        SegmentStart { first, seal_hash: [3; 32], frontier: Frontier::from_parts(first, hashes).unwrap() }
    }

    #[test]
    fn a_header_comes_back_as_it_was() {
        for first in [0, 1, 255, 1 << 40, u64::MAX] {
            for owner in [STREAM, Owner::RootLog] {
                let bytes = start(first).encode(&owner);
                assert_eq!(bytes.len(), header_len(first));
                assert_eq!(SegmentStart::parse(&bytes, &owner, first), Ok(start(first)));
            }
        }
    }

    #[test]
    fn any_flipped_bit_of_a_header_is_seen() {
        let bytes = start(6).encode(&STREAM);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentStart::parse(&flipped, &STREAM, 6), Err(HeaderError::Unreadable), "bit {bit}");
        }
    }

    #[test]
    fn names_why_a_header_is_not_the_one_wanted() {
        let bytes = start(6).encode(&STREAM);
        assert_eq!(SegmentStart::parse(&bytes, &Owner::RootLog, 6), Err(HeaderError::OtherOwner));
        assert_eq!(SegmentStart::parse(&bytes, &STREAM, 5), Err(HeaderError::OtherFirst { got: 6 }));
        assert_eq!(SegmentStart::parse(&bytes[..20], &STREAM, 6), Err(HeaderError::Unreadable));
    }

    #[test]
    fn only_twenty_digits_and_the_suffix_make_a_segment() {
        assert_eq!(first_of("00000000000000000042.seg"), Some(42));
        assert_eq!(first_of("18446744073709551615.seg"), Some(u64::MAX));
        for name in [
            "42.seg",
            "00000000000000000042.new",
            "0000000000000000004x.seg",
            "+0000000000000000042.seg",
            "99999999999999999999.seg",
        ] {
            assert_eq!(first_of(name), None, "{name}");
        }
    }
}
