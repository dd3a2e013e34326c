//! Protobuf's wire format: a reader over borrowed bytes and the few things that are written.
//!
//! The reader refuses what prost 0.14 refuses, in every corner: varints beyond 64 bits, keys beyond 32 bits, field 0,
//! wire types 6 and 7, unmatched groups, lengths beyond the enclosing message, and the recursion limit.

use crate::scan::ScanError;

/// How deep prost follows messages and groups: what `depth` starts from.
pub(crate) const DEPTH_MAX: u32 = 100;

pub(crate) const VARINT: u32 = 0;
pub(crate) const FIXED64: u32 = 1;
pub(crate) const LEN: u32 = 2;
pub(crate) const GROUP: u32 = 3;
pub(crate) const GROUP_END: u32 = 4;
pub(crate) const FIXED32: u32 = 5;

/// Returns the key of a field: its number and wire type as they stand before its value.
pub(crate) const fn key(field: u32, wire: u32) -> u64 {
    ((field << 3) | wire) as u64
}

/// Reads a message from `at` to the end of `bytes`; nested readers share the beginning, so offsets are absolute.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns a reader over the end of `bytes`.
    #[inline(always)]
    pub(crate) fn starting_at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Returns what has been read, from the very beginning.
    #[inline(always)]
    pub(crate) fn passed(&self) -> &'a [u8] {
        self.bytes.get(..self.at).unwrap_or_default()
    }

    /// Returns the offset of the next byte.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Returns what has not been read yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, ScanError> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    /// Reads a varint of two bytes or more: at most ten, and the tenth holds one bit.
    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, ScanError> {
        let mut value = 0;
        for (place, &byte) in self.rest().iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7F) << (7 * place);
            if byte < 0x80 {
                if place == 9 && byte > 1 {
                    return Err(ScanError::Varint { at: self.at });
                }
                self.at += place + 1;
                return Ok(value);
            }
        }
        Err(if self.rest().len() < 10 {
            ScanError::Truncated { at: self.at }
        } else {
            ScanError::Varint { at: self.at }
        })
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, ScanError> {
        match self.rest().first_chunk() {
            Some(bytes) => {
                self.at += 8;
                Ok(u64::from_le_bytes(*bytes))
            }
            None => Err(ScanError::Truncated { at: self.at }),
        }
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, ScanError> {
        match self.rest().first_chunk() {
            Some(bytes) => {
                self.at += 4;
                Ok(u32::from_le_bytes(*bytes))
            }
            None => Err(ScanError::Truncated { at: self.at }),
        }
    }

    /// Reads a length and returns a reader over that many bytes.
    #[inline(always)]
    pub(crate) fn message(&mut self) -> Result<Reader<'a>, ScanError> {
        let start = self.at;
        let length = self.varint()?;
        if length > (self.bytes.len() - self.at) as u64 {
            return Err(ScanError::Truncated { at: start });
        }
        let end = self.at + length as usize;
        let inner = Reader { bytes: &self.bytes[..end], at: self.at };
        self.at = end;
        Ok(inner)
    }

    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], ScanError> {
        Ok(self.message()?.rest())
    }

    #[inline(always)]
    pub(crate) fn text(&mut self) -> Result<&'a str, ScanError> {
        let inner = self.message()?;
        std::str::from_utf8(inner.rest()).map_err(|error| ScanError::Utf8 { at: inner.at + error.valid_up_to() })
    }

    /// Returns the field number and wire type in a key that was read at `at`.
    pub(crate) fn split(at: usize, key: u64) -> Result<(u32, u32), ScanError> {
        let (field, wire) = ((key >> 3) as u32, (key & 7) as u32);
        if key > u64::from(u32::MAX) || field == 0 || wire > FIXED32 {
            return Err(ScanError::Key { at, key });
        }
        Ok((field, wire))
    }

    /// Passes over the value of a field that the message's definition does not have, `depth` levels above the limit.
    #[inline(never)]
    pub(crate) fn skip(&mut self, field: u32, wire: u32, depth: u32) -> Result<(), ScanError> {
        let inside = descend(self.at, depth)?;
        match wire {
            VARINT => self.varint().map(drop),
            FIXED64 => self.fixed64().map(drop),
            LEN => self.message().map(drop),
            FIXED32 => self.fixed32().map(drop),
            GROUP => self.skip_group(field, inside),
            _ => Err(ScanError::Group { at: self.at }),
        }
    }

    fn skip_group(&mut self, group: u32, depth: u32) -> Result<(), ScanError> {
        loop {
            let at = self.at;
            let (field, wire) = Self::split(at, self.varint()?)?;
            match wire {
                GROUP_END if field == group => return Ok(()),
                GROUP_END => return Err(ScanError::Group { at }),
                _ => self.skip(field, wire, depth)?,
            }
        }
    }
}

/// Returns the depth left inside a message or group, as prost counts: entering takes one, and so none may be entered
/// with nothing left.
#[inline]
pub(crate) fn descend(at: usize, depth: u32) -> Result<u32, ScanError> {
    depth.checked_sub(1).ok_or(ScanError::TooDeep { at })
}

/// A `KeyValue` message as encoders write it: a key and then a value.
pub(crate) struct Pair<'a> {
    pub(crate) key: &'a [u8],
    /// Where the value's field starts.
    pub(crate) value_start: usize,
    /// The `AnyValue` message.
    pub(crate) value: Reader<'a>,
}

impl<'a> Pair<'a> {
    /// Reads a `KeyValue` message; `None` if it is anything but one key and then one value.
    #[inline(always)]
    pub(crate) fn read(mut message: Reader<'a>) -> Option<Self> {
        const KEY: u64 = key(1, LEN);
        const VALUE: u64 = key(2, LEN);
        if message.varint().ok()? != KEY {
            return None;
        }
        let key = message.bytes().ok()?;
        let value_start = message.at();
        if message.varint().ok()? != VALUE {
            return None;
        }
        let value = message.message().ok()?;
        message.is_done().then_some(Self { key, value_start, value })
    }
}

/// Returns how many bytes a varint takes.
#[inline]
pub(crate) const fn varint_len(value: u64) -> usize {
    (((value | 1).ilog2() * 9 + 73) / 64) as usize
}

/// Appends a varint.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length-delimited field.
#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_varint(out, key(field, LEN));
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Returns how many bytes a length-delimited field takes.
#[inline]
pub(crate) const fn bytes_len(field: u32, length: usize) -> usize {
    varint_len(key(field, LEN)) + varint_len(length as u64) + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_varint(bytes: &[u8], expected: Result<u64, ScanError>) {
        let mut reader = Reader::new(bytes);
        assert_eq!(reader.varint(), expected, "{bytes:02x?}");
        let mut buffer = bytes;
        let prost = prost::encoding::decode_varint(&mut buffer);
        assert_eq!(prost.ok(), expected.ok(), "prost on {bytes:02x?}");
    }

    #[test]
    fn varints_end_where_prost_ends_them() {
        let max = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        let above = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02];
        check_varint(&[], Err(ScanError::Truncated { at: 0 }));
        check_varint(&[0x80], Err(ScanError::Truncated { at: 0 }));
        check_varint(&[0x00], Ok(0));
        check_varint(&[0x7F, 0x00], Ok(127));
        check_varint(&[0x80, 0x00], Ok(0));
        check_varint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], Ok(0));
        check_varint(&max, Ok(u64::MAX));
        check_varint(&above, Err(ScanError::Varint { at: 0 }));
        check_varint(&[0x80; 11], Err(ScanError::Varint { at: 0 }));
        check_varint(&[0x80; 9], Err(ScanError::Truncated { at: 0 }));
    }

    #[test]
    fn written_varints_are_as_long_as_announced() {
        for shift in 0..64 {
            for value in [(1 << shift) - 1, 1 << shift, u64::MAX >> shift] {
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                put_varint(&mut ours, value);
                prost::encoding::encode_varint(value, &mut theirs);
                assert_eq!(ours, theirs);
                assert_eq!(ours.len(), varint_len(value));
            }
        }
    }
}
