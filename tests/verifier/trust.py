"""The trust file, format.md section 13."""

import re
import unicodedata
from dataclasses import dataclass, field

from .crypto import decode_vkey, is_deployment
from .rootleaf import ROLES

VERSION = "spanseal-trust/v1"


class TrustError(Exception):
    """The trust file cannot be used; nothing can be checked against it."""


@dataclass
class Trust:
    """A deployment's name, its genesis keys by role, and the pinned notes: `root` or the stream's hex to bytes."""

    name: str | None = None
    keys: dict = field(default_factory=dict)
    pins: dict = field(default_factory=dict)


def parse_trust(text):
    """Returns the Trust in the text; raises TrustError."""
    lines = text.split("\n")
    lines = [line.removesuffix("\r") for line in lines[:-1]] + lines[-1:]
    if lines[0] != VERSION:
        raise TrustError(f"the first line is not {VERSION}")
    trust, pin = Trust(), None
    for number, line in enumerate(lines[1:], 2):
        if not line or line.startswith("#"):
            continue
        if any(unicodedata.category(character) == "Cc" for character in line):
            raise TrustError(f"line {number}: a control character")
        if line.startswith("|"):
            if pin is None:
                raise TrustError(f"line {number}: a line of a note without a pin")
            trust.pins[pin] += line[1:].encode() + b"\n"
            continue
        pin = _line(trust, number, line)
    missing = [role for role in ROLES if role not in trust.keys]
    if trust.name is None or missing:
        raise TrustError("no " + (missing[0] if missing else "name") + " line")
    trust.keys = {role: _key_of(trust.name, role, *trust.keys[role]) for role in ROLES}
    return trust


def _line(trust, number, line):
    """Takes one line; returns the pin that it begins, else None."""
    word, _, rest = line.partition(" ")
    if word == "name" and trust.name is None and is_deployment(rest.encode()):
        trust.name = rest
    elif word in ROLES and word not in trust.keys:
        trust.keys[word] = _vkey(number, rest)
    elif word == "pin" and rest not in trust.pins and re.fullmatch("root|[0-9a-f]{32}", rest):
        trust.pins[rest] = b""
        return rest
    else:
        raise TrustError(f"line {number}: unknown, repeated or malformed: {line}")
    return None


def _vkey(number, text):
    """Returns the name and the 33 bytes of a key line; raises TrustError."""
    try:
        return decode_vkey(text)
    except ValueError as error:
        raise TrustError(f"line {number}: {error}") from None


def _key_of(deployment, role, name, key):
    """Returns the key if it has its role's name; raises TrustError."""
    if name != f"{deployment}/{role}":
        raise TrustError(f"the {role} key's name is {name}")
    return key
