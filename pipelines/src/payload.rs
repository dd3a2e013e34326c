//! What a payload record says of itself (format.md section 15); to read that takes no key.

use spanseal_ledger::StreamId;

/// The head of a payload record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PayloadHead {
    pub(crate) stream: StreamId,
    /// Under whose key it is.
    pub(crate) subject: [u8; 16],
    pub(crate) group: [u8; 16],
    pub(crate) chunk: u16,
    pub(crate) chunks: u16,
}

/// Why a payload record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoHead {
    Version,
    Malformed,
}

impl PayloadHead {
    /// Reads the head of a record's body.
    pub(crate) fn read(record: &[u8]) -> Result<Self, NoHead> {
        let (magic, rest) = record.split_first_chunk::<16>().ok_or(NoHead::Malformed)?;
        if magic != MAGIC {
            return Err(if magic.starts_with(FAMILY) { NoHead::Version } else { NoHead::Malformed });
        }
        if record.len() < HEAD_LEN + TAG_LEN {
            return Err(NoHead::Malformed);
        }
        let read = || {
            let (stream, rest) = rest.split_first_chunk()?;
            let (subject, rest) = rest.split_first_chunk()?;
            let (group, rest) = rest.split_first_chunk()?;
            let (chunk, rest) = rest.split_first_chunk()?;
            let (chunks, _) = rest.split_first_chunk()?;
            let (chunk, chunks) = (u16::from_be_bytes(*chunk), u16::from_be_bytes(*chunks));
            Some(Self { stream: StreamId(*stream), subject: *subject, group: *group, chunk, chunks })
        };
        read().ok_or(NoHead::Malformed)
    }
}

const MAGIC: &[u8; 16] = b"spanseal/payl/v1";
const FAMILY: &[u8] = b"spanseal/payl/";
const HEAD_LEN: usize = 16 + 16 + 16 + 16 + 2 + 2 + 24;
const TAG_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_head_of_a_record() {
        let whole = [&MAGIC[..], &[1; 16], &[2; 16], &[9; 16], &[0, 3, 0, 4], &[0; 24], &[0; 16]].concat();
        let (stream, subject, group) = (StreamId([1; 16]), [2; 16], [9; 16]);
        assert_eq!(PayloadHead::read(&whole), Ok(PayloadHead { stream, subject, group, chunk: 3, chunks: 4 }));
        assert_eq!(PayloadHead::read(&whole[..whole.len() - 1]), Err(NoHead::Malformed));
        assert_eq!(PayloadHead::read(b"spanseal/payl/v2 and more"), Err(NoHead::Version));
        assert_eq!(PayloadHead::read(b"something else altogether"), Err(NoHead::Malformed));
    }
}
