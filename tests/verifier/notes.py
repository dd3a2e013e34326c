"""Checkpoints as C2SP signed notes, format.md section 9."""

import re
from dataclasses import dataclass

from .codes import Finding
from .crypto import cosign_id, decode_base64, key_id, verify

NOTE_MAX = 16 * 1024
_SIGNATURE_LINE = re.compile("— ([^ +]+) ([A-Za-z0-9+/=]+)")


@dataclass(frozen=True)
class Note:
    """A parsed note: what its text says, and its signature lines as (name, bytes)."""

    origin: str
    size: int
    root: bytes
    text: bytes
    lines: tuple


@dataclass(frozen=True)
class Checkpoint:
    """A verified note: size, root, and the seconds at which it was cosigned."""

    size: int
    root: bytes
    time: int


def parse_note(raw):
    """Returns the Note in the bytes; raises `checkpoint_refused`."""
    if len(raw) > NOTE_MAX:
        raise _refused("the note is larger than 16 KiB")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused("the note is not UTF-8") from None
    if re.search("[\x00-\x09\x0b-\x1f]", whole):
        raise _refused("the note has a control character")
    text, empty_line, signatures = whole.rpartition("\n\n")
    if not empty_line or not signatures.endswith("\n"):
        raise _refused("the note has no signature lines")
    origin, size, root = _body(text)
    lines = tuple(_signature_line(line) for line in signatures[:-1].split("\n"))
    return Note(origin, size, root, text.encode() + b"\n", lines)


def _body(text):
    """Returns origin, size and root of a checkpoint's three lines."""
    lines = text.split("\n")
    if len(lines) != 3 or not lines[0]:
        raise _refused("a checkpoint has three lines")
    root = decode_base64(lines[2])
    if not re.fullmatch("0|[1-9][0-9]{0,19}", lines[1]) or int(lines[1]) >= 2**64:
        raise _refused("the size is not a decimal number")
    if root is None or len(root) != 32:
        raise _refused("the root is not 32 bytes in base64")
    return lines[0], int(lines[1]), root


def _signature_line(line):
    """Returns (key name, bytes) of a signature line."""
    match = _SIGNATURE_LINE.fullmatch(line)
    blob = decode_base64(match[2]) if match and not any(map(str.isspace, match[1])) else None
    if blob is None or len(blob) < 5:
        raise _refused("a signature line does not parse")
    return match[1], blob


def open_checkpoint(raw, deployment, tail, keys, cosign_keys, check_key):
    """Returns the Checkpoint of a note with origin `<deployment>/<tail>`; raises a Finding (order: section 14).

    `keys` and `cosign_keys` are the keys of the two roles; `check_key(key, size)` raises if one is out of its range.
    """
    note = parse_note(raw)
    origin = f"{deployment}/{tail}"
    if not note.origin.startswith(f"{deployment}/"):
        raise Finding("wrong_deployment", f"the note's origin is {note.origin}, not of {deployment}")
    if note.origin != origin:
        raise _refused(f"the note's origin is {note.origin}, not {origin}")
    signer, _ = _signed_by(note, origin, keys, key_id, _covered)
    cosigner, time = _signed_by(note, f"{deployment}/cosign", cosign_keys, cosign_id, _covered_with_time)
    check_key(signer, note.size)
    check_key(cosigner, note.size)
    return Checkpoint(note.size, note.root, time)


def _signed_by(note, name, keys, id_of, covered):
    """Returns (key, time) of the line by that name, the time None on a plain signature; raises `checkpoint_refused`."""
    held, seen = None, set()
    for line_name, blob in note.lines:
        known = [key for key in keys if line_name == name and blob[:4] == id_of(name, key.key)[:4]]
        if not known:
            continue
        if blob[:4] in seen:
            raise _refused(f"the line by {name} stands twice")
        seen.add(blob[:4])
        signature, time, message = covered(blob[4:], note.text)
        signer = next((key for key in known if verify(key.key[1:], signature, message)), None)
        if signer is None:
            raise _refused(f"the signature by {name} does not verify")
        held = held or (signer, time)
    if held is None:
        raise _refused(f"no known key signed as {name}")
    return held


def _covered(blob, text):
    """Returns signature, no time, and what a plain signature covers."""
    return blob, None, text


def _covered_with_time(blob, text):
    """Returns signature, seconds, and what a timestamped cosignature covers."""
    seconds = int.from_bytes(blob[:8], "big")
    return blob[8:], seconds, f"cosignature/v1\ntime {seconds}\n".encode() + text


def _refused(text):
    """Returns a `checkpoint_refused` finding."""
    return Finding("checkpoint_refused", text)
