//! Protobuf on the wire as no encoder writes it: unknown fields, groups, padded varints, duplicates, damage.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::encoding::{DecodeContext, decode_key, skip_field};

/// Messages of fields with numbers that OTLP knows and some that it does not, of any wire type, nested.
pub(crate) fn messages() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        3 => (numbers(), varints()).prop_map(|(number, varint)| [tag(number, 0), varint].concat()),
        1 => (numbers(), any::<[u8; 8]>()).prop_map(|(number, bytes)| [tag(number, 1), bytes.to_vec()].concat()),
        1 => (numbers(), any::<[u8; 4]>()).prop_map(|(number, bytes)| [tag(number, 5), bytes.to_vec()].concat()),
        3 => (numbers(), "[a-z]{0,9}").prop_map(|(number, text)| field(number, text.as_bytes())),
        1 => (numbers(), vec(any::<u8>(), 0..9)).prop_map(|(number, bytes)| field(number, &bytes)),
    ];
    leaf.prop_recursive(7, 40, 5, |inner| {
        prop_oneof![
            4 => (numbers(), vec(inner.clone(), 0..5)).prop_map(|(number, fields)| field(number, &fields.concat())),
            1 => (numbers(), vec(inner, 0..3)).prop_map(|(number, fields)| {
                [tag(number, 3), fields.concat(), tag(number, 4)].concat()
            }),
        ]
    })
    .prop_map(|message| message)
}

/// Requests that lead down to spans made of [`messages`].
pub(crate) fn requests() -> impl Strategy<Value = Vec<u8>> {
    (vec(messages(), 0..8), vec(messages(), 0..2), vec(messages(), 0..2)).prop_map(|(span, scope, resource)| {
        let scope_spans = [field(2, &span.concat()), scope.concat()].concat();
        field(1, &[field(2, &scope_spans), resource.concat()].concat())
    })
}

fn numbers() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 1..=3u32, 8 => 1..=17u32, 1 => 1..=(1u32 << 29) - 1]
}

/// Varints of any value, often longer than they need be, sometimes too long.
fn varints() -> impl Strategy<Value = Vec<u8>> {
    (any::<u64>(), 0..64u32, 0..11usize).prop_map(|(value, shift, pad)| padded(value >> shift, pad))
}

/// One change to some bytes.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Flip(Index, u8),
    Insert(Index, u8),
    Delete(Index),
    Truncate(Index),
    /// A range stands twice: with luck a whole field.
    Repeat(Index, Index),
    /// The whole stands twice, as when a request is merged with itself.
    Double,
}

pub(crate) fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        4 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        2 => any::<Index>().prop_map(Damage::Delete),
        1 => any::<Index>().prop_map(Damage::Truncate),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(start, end)| Damage::Repeat(start, end)),
        1 => Just(Damage::Double),
    ];
    vec(one, 0..4)
}

/// Returns the bytes with every change made, in order.
pub(crate) fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if bytes.is_empty() {
            return bytes;
        }
        match damage {
            Damage::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Damage::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Damage::Delete(at) => drop(bytes.remove(at.index(bytes.len()))),
            Damage::Truncate(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Repeat(start, end) => {
                let (start, end) = (start.index(bytes.len()), end.index(bytes.len()));
                let range = start.min(end)..start.max(end);
                let copy = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, copy);
            }
            Damage::Double => bytes.extend_from_within(..),
        }
    }
    bytes
}

/// Returns a varint with `pad` bytes more than it needs.
pub(crate) fn padded(mut value: u64, pad: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    for _ in 0..pad {
        if let Some(last) = out.last_mut() {
            *last |= 0x80;
        }
        out.push(0);
    }
    out
}

pub(crate) fn tag(number: u32, wire: u32) -> Vec<u8> {
    padded(u64::from(number << 3 | wire), 0)
}

/// Returns a length-delimited field.
pub(crate) fn field(number: u32, content: &[u8]) -> Vec<u8> {
    [tag(number, 2), padded(content.len() as u64, 0), content.to_vec()].concat()
}

/// One field of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) wire: u32,
    /// Key and value.
    pub(crate) bytes: Vec<u8>,
    /// The value.
    pub(crate) value: Vec<u8>,
}

/// Returns a message's fields, found with prost's own primitives.
pub(crate) fn split(message: &[u8]) -> Vec<Field> {
    try_split(message).expect("fields")
}

/// Returns a message's fields, unless one is broken.
pub(crate) fn try_split(mut message: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let start = message;
        let (number, wire) = decode_key(&mut message).ok()?;
        let value = message;
        skip_field(wire, number, &mut message, DecodeContext::default()).ok()?;
        fields.push(Field {
            number,
            wire: wire as u32,
            bytes: start[..start.len() - message.len()].to_vec(),
            value: value[..value.len() - message.len()].to_vec(),
        });
    }
    Some(fields)
}
