//! Writes protobuf, and knows at which place of the JSON it is.

use std::fmt::Write;

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

pub(super) struct Encoder {
    pub(super) out: Vec<u8>,
    /// Where reading is; where it failed, once it has.
    pub(super) path: Vec<Step>,
    /// What packed numbers may make of it: `0,` becomes eight bytes.
    bytes_max: usize,
    pub(super) too_large: bool,
}

/// In the place of a field's number: numbers begin at 1.
pub(super) const PACKED: u32 = 0;

#[derive(Clone, Copy)]
pub(super) enum Step {
    Field(&'static str),
    Index(usize),
}

impl Encoder {
    pub(super) fn new(capacity: usize, bytes_max: usize) -> Self {
        Self { out: Vec::with_capacity(capacity), path: Vec::new(), bytes_max, too_large: false }
    }

    /// Whether there may be more; once there may not, it stays so.
    pub(super) fn has_room(&mut self) -> bool {
        self.too_large |= self.out.len() > self.bytes_max;
        !self.too_large
    }

    /// Writes a field's key; an element of a packed list has none, and the number 0.
    fn key(&mut self, number: u32, wire: WireType) {
        if number != PACKED {
            encode_key(number, wire, &mut self.out);
        }
    }

    /// Writes a field whose content has a length that is known once it is written.
    ///
    /// One byte is kept free for the length; a longer content moves up. So each byte moves at most once a level, and
    /// the depth of the JSON is limited.
    pub(super) fn message<E>(
        &mut self,
        number: u32,
        content: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        encode_key(number, WireType::LengthDelimited, &mut self.out);
        let at = self.out.len();
        self.out.push(0);
        content(self)?;
        let len = self.out.len() - at - 1;
        let width = encoded_len_varint(len as u64);
        if width > 1 {
            self.out.resize(self.out.len() + width - 1, 0);
            self.out.copy_within(at + 1..at + 1 + len, at + width);
        }
        encode_varint(len as u64, &mut &mut self.out[at..at + width]);
        Ok(())
    }

    pub(super) fn bytes(&mut self, number: u32, content: &[u8]) {
        encode_key(number, WireType::LengthDelimited, &mut self.out);
        encode_varint(content.len() as u64, &mut self.out);
        self.out.extend_from_slice(content);
    }

    pub(super) fn varint(&mut self, number: u32, value: u64) {
        self.key(number, WireType::Varint);
        encode_varint(value, &mut self.out);
    }

    pub(super) fn fixed32(&mut self, number: u32, value: u32) {
        self.key(number, WireType::ThirtyTwoBit);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn fixed64(&mut self, number: u32, value: u64) {
        self.key(number, WireType::SixtyFourBit);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// For example `resourceSpans[0].resource`.
    pub(super) fn path_text(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            let dot = if text.is_empty() { "" } else { "." };
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Field(name) => write!(text, "{dot}{name}"),
                Step::Index(index) => write!(text, "[{index}]"),
            };
        }
        text
    }
}
