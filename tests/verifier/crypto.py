"""Strict Ed25519, key ids and verifier keys, format.md section 1."""

import base64
import binascii
import functools
import hashlib
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519 = 0x01
COSIGNATURE = 0x04
KEY_LEN = 33
SIGNATURE_LEN = 64

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_M1 = pow(2, (_P - 1) // 4, _P)

# The eight points of small order in their canonical encodings, and the two encodings with x = 0 and a sign bit.
SMALL_ORDER = frozenset(
    bytes.fromhex(text)
    for text in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
)


def sha256(data):
    """Returns H(data), 32 bytes."""
    return hashlib.sha256(data).digest()


def verify(key, signature, message):
    """Returns whether a 32-byte key signed the message, by the strict rules of section 1."""
    if len(signature) != SIGNATURE_LEN or not _strict_signature(signature):
        return False
    public = _public_key(key)
    if public is None:
        return False
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _strict_signature(signature):
    """Returns whether s < L and R is a canonical encoding of no point of small order."""
    r = signature[:32]
    y = int.from_bytes(r, "little") & (2**255 - 1)
    return int.from_bytes(signature[32:], "little") < _L and y < _P and r not in SMALL_ORDER


@functools.lru_cache(maxsize=4096)
def _public_key(key):
    """Returns the key object, or None for a key that is weak or does not decode."""
    return Ed25519PublicKey.from_public_bytes(key) if is_strong(key) else None


@functools.lru_cache(maxsize=4096)
def is_strong(key):
    """Returns whether 32 bytes are the canonical encoding of a point that is not of small order."""
    point = decode_point(key)
    return point is not None and not has_small_order(point)


def decode_point(encoded):
    """Returns (x, y) of a canonically encoded point, else None (RFC 8032 section 5.1.3)."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    if len(encoded) != 32 or y >= _P:
        return None
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(x_squared, (_P + 3) // 8, _P)
    if x * x % _P != x_squared:
        x = x * _SQRT_M1 % _P
    if x * x % _P != x_squared or (x == 0 and sign):
        return None
    return (_P - x if x & 1 != sign else x), y


def has_small_order(point):
    """Returns whether eight times the point is the neutral element."""
    for _ in range(3):
        point = _double(point)
    return point == (0, 1)


def _double(point):
    """Returns the point added to itself (RFC 8032 section 5.1, affine)."""
    x, y = point
    product = _D * x * x % _P * y % _P * y % _P
    return (
        2 * x * y * pow(1 + product, -1, _P) % _P,
        (y * y + x * x) * pow(1 - product, -1, _P) % _P,
    )


def key_id(name, key):
    """Returns H(name || 0x0A || algorithm byte || key), 32 bytes; `key` is the 33 bytes."""
    return sha256(name.encode() + b"\n" + key)


def cosign_id(name, key):
    """Returns the key id of a timestamped cosignature's key: algorithm byte 0x04 (section 1)."""
    return key_id(name, bytes([COSIGNATURE]) + key[1:])


def is_deployment(name):
    """Returns whether the bytes are a deployment's name: 1 to 128 bytes of visible ASCII without `+`."""
    return re.fullmatch(rb"[!-*,-~]{1,128}", name) is not None


def decode_base64(text):
    """Returns the bytes of strict RFC 4648 section 4 base64, else None; no white space, zero pad bits."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def encode_vkey(name, key):
    """Returns the C2SP vkey of a 33-byte key."""
    return f"{name}+{key_id(name, key)[:4].hex()}+{base64.b64encode(key).decode()}"


def decode_vkey(text):
    """Returns (name, 33-byte key) of a verifier key; raises ValueError for one that section 1 refuses."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise ValueError("a verifier key is <name>+<hash>+<key>")
    name, hexed, encoded = parts
    key = decode_base64(encoded)
    if key is None or len(key) != KEY_LEN:
        raise ValueError("a verifier key holds 33 bytes in base64")
    if key[0] != ED25519:
        raise ValueError(f"unknown algorithm byte {key[0]:#04x} in a verifier key")
    if hexed != key_id(name, key)[:4].hex():
        raise ValueError("a verifier key's hash does not match its name and key")
    if not is_strong(key[1:]):
        raise ValueError("a verifier key does not decode or has small order")
    return name, key
