//! Ascending ids as bytes.
//!
//! ```text
//! short   gap varint, ...                        within a bucket, up to SHORT_BYTES_MAX
//! long    0 | gap varint, ...                    a row of its own, in the form that is shortest
//!         1 | gap varint, run length varint, ...
//!         2 | first byte varint, bits ...        bit n of byte b: id 8 * b + n
//! ```
//! A gap counts the ids between one and the next; the first counts from 0.

/// The longest form that stands in a bucket.
pub(super) const SHORT_BYTES_MAX: usize = 128;

/// Writes ascending ids, and says whether that is short.
pub(super) fn encode(ids: &[u32], out: &mut Vec<u8>) -> bool {
    out.clear();
    // No gap takes less than a byte.
    if ids.len() <= SHORT_BYTES_MAX {
        gaps(ids, out);
        if out.len() <= SHORT_BYTES_MAX {
            return true;
        }
    }
    encode_long(ids, out);
    false
}

fn encode_long(ids: &[u32], out: &mut Vec<u8>) {
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return };
    let bitmap = (last / 8 - first / 8 + 1) as usize;
    let runs = 1 + ids.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    out.clear();
    // A run takes two bytes at least, a gap one.
    if bitmap.min(ids.len()) > 2 * runs {
        out.push(RUNS);
        encode_runs(ids, out);
        if out.len() <= bitmap.min(ids.len()) {
            return;
        }
        out.clear();
    }
    if bitmap < ids.len() {
        out.push(BITMAP);
        varint(u64::from(first / 8), out);
        let from = out.len();
        out.resize(from + bitmap, 0);
        ids.iter().for_each(|id| out[from + (id / 8 - first / 8) as usize] |= 1 << (id % 8));
    } else {
        out.push(GAPS);
        gaps(ids, out);
    }
}

fn gaps(ids: &[u32], out: &mut Vec<u8>) {
    let mut next = 0;
    for id in ids {
        varint(u64::from(id - next), out);
        next = id + 1;
    }
}

fn encode_runs(ids: &[u32], out: &mut Vec<u8>) {
    let mut next = 0;
    for run in ids.chunk_by(|a, b| a + 1 == *b) {
        varint(u64::from(run[0] - next), out);
        varint(run.len() as u64, out);
        next = run[0] + run.len() as u32;
    }
}

/// Appends the ids of the short form, each `offset` higher. Bytes that nobody wrote give some ids, or none.
pub(super) fn decode_short(bytes: &[u8], offset: u32, out: &mut Vec<u32>) {
    let (mut at, mut next) = (0, offset);
    while let Some(gap) = read_varint(bytes, &mut at) {
        let id = next.saturating_add(gap as u32);
        out.push(id);
        next = id.saturating_add(1);
    }
}

/// Appends the ids of the long form, each `offset` higher, as [`decode_short`] does.
pub(super) fn decode_long(bytes: &[u8], offset: u32, out: &mut Vec<u32>) {
    match bytes.split_first() {
        Some((&GAPS, gaps)) => decode_short(gaps, offset, out),
        Some((&RUNS, runs)) => {
            let (mut at, mut next) = (0, offset);
            while let (Some(gap), Some(length)) = (read_varint(runs, &mut at), read_varint(runs, &mut at)) {
                let first = next.saturating_add(gap as u32);
                next = first.saturating_add(length.min(RUN_MAX) as u32);
                out.extend(first..next);
            }
        }
        Some((&BITMAP, rest)) => {
            let mut at = 0;
            let Some(first) = read_varint(rest, &mut at) else { return };
            for (byte, number) in rest[at..].iter().zip(first as u32..=u32::MAX) {
                let mut bits = *byte;
                while bits != 0 {
                    out.push(number.wrapping_mul(8).wrapping_add(offset + bits.trailing_zeros()));
                    bits &= bits - 1;
                }
            }
        }
        _ => {}
    }
}

/// Appends a number: seven bits a byte, the lowest first, as protobuf does.
pub(super) fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads a number and moves on; `None` at the end.
pub(super) fn read_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

const GAPS: u8 = 0;
const RUNS: u8 = 1;
const BITMAP: u8 = 2;
/// No segment has as many events.
const RUN_MAX: u64 = 1 << 24;

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(ids: &[u32], form: Option<u8>) {
        let mut bytes = Vec::new();
        let short = encode(ids, &mut bytes);
        assert_eq!(if short { None } else { Some(bytes[0]) }, form, "{} ids", ids.len());
        let mut read = vec![1];
        let decode = if short { decode_short } else { decode_long };
        decode(&bytes, 5, &mut read);
        assert_eq!(read[1..], ids.iter().map(|id| id + 5).collect::<Vec<_>>());
    }

    #[test]
    fn writes_the_shortest_form() {
        check(&[], None);
        check(&[0], None);
        check(&[1_000_000, 1_000_001, 2_000_000], None);
        check(&(0..100).collect::<Vec<_>>(), None);
        check(&(7..100_000).collect::<Vec<_>>(), Some(RUNS));
        check(&(7..100_000).filter(|id| id % 3 != 0).collect::<Vec<_>>(), Some(BITMAP));
        check(&(7..100_000).step_by(30).collect::<Vec<_>>(), Some(GAPS));
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(ids in btree_set(0..5_000_u32, 0..3_000), spread in 1..900_u32) {
            let ids: Vec<u32> = ids.into_iter().map(|id| id * spread).collect();
            let (mut bytes, mut read) = (Vec::new(), Vec::new());
            let decode = if encode(&ids, &mut bytes) { decode_short } else { decode_long };
            decode(&bytes, 0, &mut read);
            prop_assert_eq!(read, ids);
        }

        #[test]
        fn reads_any_bytes(bytes in proptest::collection::vec(0_u8..4, 0..40)) {
            decode_long(&bytes, 1, &mut Vec::new());
        }
    }
}
