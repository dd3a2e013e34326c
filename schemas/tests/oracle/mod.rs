//! What must hold of any bytes: shared by the property tests and the fuzz targets.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod canonical;
pub(crate) mod cut;
pub(crate) mod scan;

/// Returns a length-delimited field.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 15);
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}
