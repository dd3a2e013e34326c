//! Segments taken apart into header and records, and put together again with CRCs that hold.

use spanseal_log::record::HEAD_LEN;
use spanseal_log::{RecordKind, record as log_record, segment};

/// A segment file: what its header has before the CRC, its records, and what follows them that is none.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) header: Vec<u8>,
    /// Type and body.
    pub(crate) records: Vec<(u8, Vec<u8>)>,
    pub(crate) rest: Vec<u8>,
}

impl Segment {
    /// Reads the segment of that name as far as it can be.
    pub(crate) fn open(name: &str, bytes: &[u8]) -> Segment {
        let header_len = segment::header_len(first_of(name)).min(bytes.len());
        let (header, mut rest) = bytes.split_at(header_len);
        let mut records = Vec::new();
        while let Some((kind, body, after)) = read(rest) {
            records.push((kind, body.to_vec()));
            rest = after;
        }
        Segment { header: header[..header_len.saturating_sub(4)].to_vec(), records, rest: rest.to_vec() }
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = self.header.clone();
        bytes.extend_from_slice(&crc32c(&self.header).to_be_bytes());
        self.records.iter().for_each(|(kind, body)| bytes.extend(record(*kind, body)));
        bytes.extend_from_slice(&self.rest);
        bytes
    }
}

/// The first index in a segment's name.
pub(crate) fn first_of(name: &str) -> u64 {
    let digits = name.rsplit('/').next().unwrap_or_default().trim_end_matches(".seg");
    digits.parse().unwrap_or_default()
}

/// A record of any type.
pub(crate) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    log_record::append_with(&mut bytes, RecordKind::Batch, |out| out.extend_from_slice(body)).unwrap();
    bytes[8] = kind;
    let crc = crc32c(&[&bytes[..4], &bytes[8..]].concat());
    bytes[4..8].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Returns type, body and what follows of a record whose CRC holds.
pub(crate) fn read(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let len = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    let whole = bytes.get(..HEAD_LEN + len).filter(|_| (1..=log_record::BODY_BYTES_MAX).contains(&len))?;
    let crc = crc32c(&[&whole[..4], &whole[8..]].concat()).to_be_bytes();
    (whole[4..8] == crc).then(|| (whole[8], &whole[HEAD_LEN..], &bytes[whole.len()..]))
}

fn crc32c(bytes: &[u8]) -> u32 {
    let table: &[u32; 256] = &TABLE;
    !bytes.iter().fold(!0, |crc, byte| table[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};
