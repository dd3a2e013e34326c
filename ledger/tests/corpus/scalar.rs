//! Arithmetic modulo L, the order of Ed25519's base point: what it takes to make signatures that only strict verification
//! refuses.

use sha2::{Digest, Sha512};

/// L = 2^252 + 27742317777372353535851937790883648493, little-endian.
pub const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
/// The neutral point's encoding: a point of small order.
pub const IDENTITY: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

/// Returns the same signature with s + L for s: equal in the group, refused by RFC 8032.
pub fn plus_l(signature: &[u8; 64]) -> [u8; 64] {
    let mut changed = *signature;
    let mut carry = 0;
    for (byte, l) in changed[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    changed
}

/// Signs with R = 0, the neutral point: s = H(R || A || M) * a. It satisfies \[s\]B = R + \[k\]A, and proves nothing of R.
pub fn sign_with_small_order_r(seed: &[u8; 32], public: &[u8; 32], message: &[u8]) -> [u8; 64] {
    let mut a: [u8; 32] = Sha512::digest(seed)[..32].try_into().expect("32 bytes");
    a[0] &= 248;
    a[31] = a[31] & 127 | 64;
    let k: [u8; 64] = Sha512::new().chain_update(IDENTITY).chain_update(public).chain_update(message).finalize().into();
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&IDENTITY);
    signature[32..].copy_from_slice(&multiply(&k, &a));
    signature
}

/// Returns x * y mod L, bit by bit.
fn multiply(x: &[u8], y: &[u8; 32]) -> [u8; 32] {
    let y = reduce(y);
    let bits = x.iter().rev().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    bits.fold([0; 32], |product, bit| {
        let doubled = add(&product, &product);
        if bit == 1 { add(&doubled, &y) } else { doubled }
    })
}

fn reduce(number: &[u8]) -> [u8; 32] {
    let mut one = [0; 32];
    one[0] = 1;
    let bits = number.iter().rev().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    bits.fold([0; 32], |reduced, bit| {
        let doubled = add(&reduced, &reduced);
        if bit == 1 { add(&doubled, &one) } else { doubled }
    })
}

/// Adds two numbers below L modulo L.
fn add(x: &[u8; 32], y: &[u8; 32]) -> [u8; 32] {
    let mut sum = [0; 32];
    let mut carry = 0;
    for ((sum, x), y) in sum.iter_mut().zip(x).zip(y) {
        let total = u16::from(*x) + u16::from(*y) + carry;
        *sum = total as u8;
        carry = total >> 8;
    }
    if sum.iter().rev().ge(L.iter().rev()) { subtract_l(&sum) } else { sum }
}

fn subtract_l(number: &[u8; 32]) -> [u8; 32] {
    let mut difference = [0; 32];
    let mut borrow = 0;
    for ((difference, x), l) in difference.iter_mut().zip(number).zip(L) {
        let total = i16::from(*x) - i16::from(l) - borrow;
        *difference = total as u8;
        borrow = i16::from(total < 0);
    }
    difference
}
