//! Keys: what is refused at registration, and strict verification.

use sha2::{Digest, Sha256};
use spanseal_ledger::key::{BadSignature, KeyError, PublicKey, Signer};
use spanseal_ledger::note::Note;

use crate::corpus::scalar::{IDENTITY, plus_l, sign_with_small_order_r};
use crate::corpus::world::key;

/// The encodings of the eight points of small order: y = 1, -1, 0, and the two values at which 8P = 0, with both signs.
const SMALL_ORDER: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];

/// Second encodings: y + p, and a sign on x = 0.
const NOT_CANONICAL: [&str; 6] = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn from_hex(text: &str) -> [u8; 32] {
    let byte = |place| u8::from_str_radix(&text[2 * place..2 * place + 2], 16).unwrap();
    std::array::from_fn(byte)
}

#[test]
fn keys_of_small_order_are_refused() {
    for text in SMALL_ORDER {
        assert_eq!(PublicKey::from_bytes(&from_hex(text)), Err(KeyError::SmallOrder), "{text}");
    }
}

#[test]
fn second_encodings_are_refused() {
    for text in NOT_CANONICAL {
        assert!(PublicKey::from_bytes(&from_hex(text)).is_err(), "{text}");
    }
    // Above them all is another canonical y, which happens to decode or not.
    let below = from_hex("ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    assert_ne!(PublicKey::from_bytes(&below), Err(KeyError::SmallOrder));
}

#[test]
fn unknown_algorithms_are_refused() {
    let mut bytes = key("a").public().to_bytes33();
    assert!(PublicKey::from_bytes33(&bytes).is_ok());
    bytes[0] = 4;
    assert_eq!(PublicKey::from_bytes33(&bytes), Err(KeyError::UnknownAlgorithm { got: 4 }));
}

#[test]
fn only_the_one_signature_verifies() {
    let (message, signer) = (b"message", key("a"));
    let (public, signature) = (signer.public(), signer.sign(message));
    assert_eq!(public.verify(message, &signature), Ok(()));
    assert_eq!(public.verify(b"another", &signature), Err(BadSignature));
    assert_eq!(key("b").public().verify(message, &signature), Err(BadSignature));
    assert_eq!(public.verify(message, &plus_l(&signature)), Err(BadSignature));
    for bit in 0..512 {
        let mut flipped = signature;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(public.verify(message, &flipped), Err(BadSignature), "bit {bit}");
    }
}

/// The forgery satisfies the equation that lax verification checks, so this fails if `verify` ever replaces `verify_strict`.
#[test]
fn a_signature_that_only_lax_verification_accepts_is_refused() {
    let signer = key("a");
    let seed = Sha256::digest("spanseal test key: a").into();
    let forged = sign_with_small_order_r(&seed, signer.public().as_bytes(), b"message");
    assert_eq!(forged[..32], IDENTITY);
    assert_eq!(signer.public().verify(b"message", &forged), Err(BadSignature));
    let lax = ed25519_dalek::VerifyingKey::from_bytes(signer.public().as_bytes()).unwrap();
    let signature = ed25519_dalek::Signature::from_bytes(&forged);
    assert!(ed25519_dalek::Verifier::verify(&lax, b"message", &signature).is_ok());
}

#[test]
fn verifier_keys_are_those_of_c2sp() {
    let public = key("a").public();
    let text = public.vkey("example.com/log");
    assert_eq!(PublicKey::parse_vkey(&text), Ok(("example.com/log", public)));
    let refused = |text: &str| PublicKey::parse_vkey(text).unwrap_err();
    assert_eq!(refused(&text.replace("example", "elsewhere")), KeyError::VkeyId);
    assert_eq!(refused(&text.replace('+', " ")), KeyError::VkeyForm);
    assert_eq!(refused(&format!("{text}AA")), KeyError::VkeyForm);
    assert_eq!(refused("name+00000000+AQ=="), KeyError::VkeyForm);
}

/// Keys and a note that other implementations publish: the example of the signed-note specification, and Go's checksum database.
#[test]
fn published_keys_and_notes_verify() {
    const FOO: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const GO: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let (name, foo) = PublicKey::parse_vkey(FOO).unwrap();
    assert_eq!(foo.vkey(name), FOO);
    assert!(PublicKey::parse_vkey(GO).is_ok());
    let note = Note::parse(NOTE.as_bytes()).unwrap();
    let line = &note.signatures[0];
    assert_eq!((line.name, line.key_id), (name, foo.id(name).note_id()));
    assert_eq!(foo.verify(note.text.as_bytes(), line.signature.as_slice().try_into().unwrap()), Ok(()));
}
