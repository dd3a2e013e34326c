"""Canonical protobuf events, format.md section 15 and event.proto."""

import struct

from .batch import ASSESSMENT, CONFLICT, ERASURE, EVIDENCE, FINDING, RESOURCE, SPAN

# Scalar types by wire type: 0 varint, 1 eight bytes, 2 length-delimited. A message type names its message.
# `bytes` may say its length. An enum's limit is one above its last value; event.proto leaves no value out.
_VARINTS = {
    "uint32": 2**32, "uint64": 2**64, "bool": 2, "Verdict": 5, "Encoding": 2, "What": 5,
}
_LENGTHS = {"bytes 16": 16, "bytes 32": 32}
_GRADES_MAX, _GRADE_LAST = 11, 4
_REPEATED = "repeated "

_SHARED = {
    1: ("version", "uint32"), 2: ("received_unix_nano", "fixed64"), 3: ("resource", "uint64"), 4: ("scope", "uint64"),
    5: ("tenant", "uint64"), 6: ("configuration", "uint64"), 7: ("encoding", "Encoding"),
}
MESSAGES = {
    "SpanEvent": _SHARED | {
        8: ("producer", "bytes 16"), 9: ("producer_sequence", "uint64"), 10: ("assessment", "Assessment"),
        11: ("span", "bytes"), 12: ("cuts", "repeated Cut"), 13: ("payloads", "repeated bytes 32"),
    },
    "ResourceEvent": {
        1: ("version", "uint32"), 2: ("nonce", "bytes 16"), 3: ("what", "What"), 4: ("tenant", "string"),
        5: ("peer", "string"), 6: ("schema_url", "string"), 7: ("content", "bytes"), 8: ("cuts", "repeated Cut"),
        9: ("payloads", "repeated bytes 32"),
    },
    "EvidenceEvent": {
        1: ("version", "uint32"), 2: ("tenant", "string"), 3: ("media_type", "string"), 4: ("digest", "bytes 32"),
        5: ("chunk", "uint32"), 6: ("chunks", "uint32"), 7: ("content", "bytes"),
    },
    "AssessmentEvent": {
        1: ("version", "uint32"), 2: ("assessed_unix_nano", "fixed64"), 3: ("event", "EventRef"),
        4: ("assessment", "Assessment"), 5: ("configuration", "uint64"),
    },
    "ConflictEvent": _SHARED | {
        8: ("first", "EventRef"), 9: ("variant", "bool"), 10: ("span", "bytes"), 11: ("cuts", "repeated Cut"),
        12: ("payloads", "repeated bytes 32"),
    },
    "FindingEvent": {
        1: ("version", "uint32"), 2: ("found_unix_nano", "fixed64"), 3: ("code", "string"), 4: ("message", "string"),
        5: ("tenant", "string"), 6: ("spans", "uint64"), 7: ("events", "repeated EventRef"),
    },
    "ErasureEvent": {
        1: ("version", "uint32"), 2: ("erased_unix_nano", "fixed64"), 3: ("subject_id", "bytes 16"),
        4: ("requested_by", "string"), 5: ("legal_basis", "string"),
    },
    "Assessment": {1: ("verdict", "Verdict"), 2: ("grades", "bytes"), 3: ("reasons", "repeated uint32")},
    "Cut": {
        1: ("offset", "uint32"), 2: ("length", "uint32"), 3: ("path", "repeated uint32"), 4: ("fields", "bool"),
        5: ("commitment", "bytes 32"),
    },
    "EventRef": {1: ("stream", "bytes 16"), 2: ("index", "uint64")},
}
EVENTS = {
    SPAN: "SpanEvent", RESOURCE: "ResourceEvent", EVIDENCE: "EvidenceEvent", ASSESSMENT: "AssessmentEvent",
    CONFLICT: "ConflictEvent", FINDING: "FindingEvent", ERASURE: "ErasureEvent",
}


class NotCanonical(Exception):
    """The bytes are not the canonical form of the message."""


class UnknownVersion(Exception):
    """The message is of another version than 1."""


def decode_event(kind, body):
    """Returns the fields of an event's message as a dict; raises NotCanonical or UnknownVersion."""
    name = EVENTS[kind]
    _check_version(body)
    return _decode(name, body)


def _check_version(body):
    """Raises UnknownVersion if the first field is another version; absent is version 0, which was never one."""
    if body[:1] != b"\x08":
        raise NotCanonical("there is no version")
    version, _ = _varint(body, 1)
    if version > 1:
        raise UnknownVersion(f"version {version}")


def _decode(name, data):
    """Returns the fields of a message; raises NotCanonical."""
    fields, found, at, last = MESSAGES[name], {}, 0, 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number not in fields:
            raise NotCanonical(f"{name} has no field {number}")
        field, kind = fields[number]
        repeated = kind.startswith(_REPEATED)
        kind = kind.removeprefix(_REPEATED)
        packed = repeated and kind in _VARINTS
        if number < last or (number == last and (packed or not repeated)):
            raise NotCanonical(f"{name}.{field} stands twice or late")
        last = number
        if packed:
            run, at = _length_delimited(data, at, wire)
            found[field] = _packed(run, _VARINTS[kind])
        elif repeated:
            value, at = _value(kind, data, at, wire)
            found.setdefault(field, []).append(value)
        else:
            found[field], at = _value(kind, data, at, wire)
            if not found[field] and kind not in MESSAGES:
                raise NotCanonical(f"{name}.{field} has its default value")
    if name == "Assessment":
        _check_assessment(found)
    return found


def _check_assessment(fields):
    """Raises NotCanonical unless grades and reasons are as section 15 has them."""
    grades, reasons = fields.get("grades", b""), fields.get("reasons", [])
    if len(grades) > _GRADES_MAX or any(grade > _GRADE_LAST for grade in grades) or grades[-1:] == b"\0":
        raise NotCanonical("the grades are not 1 to 11 bytes of 0 to 4, the last not 0")
    if any(after <= before for before, after in zip(reasons, reasons[1:])):
        raise NotCanonical("the reasons do not ascend")


def _value(kind, data, at, wire):
    """Returns one value and where it ends; raises NotCanonical."""
    if kind in _VARINTS:
        if wire != 0:
            raise NotCanonical(f"wire type {wire} for {kind}")
        return _bounded(data, at, _VARINTS[kind])
    if kind == "fixed64":
        if wire != 1 or at + 8 > len(data):
            raise NotCanonical("a fixed64 does not fit")
        return struct.unpack_from("<Q", data, at)[0], at + 8
    value, at = _length_delimited(data, at, wire)
    if kind == "string":
        try:
            return value.decode("utf-8"), at
        except UnicodeDecodeError:
            raise NotCanonical("a string is not UTF-8") from None
    if kind in MESSAGES:
        return _decode(kind, value), at
    if len(value) != _LENGTHS.get(kind, len(value)):
        raise NotCanonical(f"{len(value)} bytes where there are {_LENGTHS[kind]}")
    return value, at


def _length_delimited(data, at, wire):
    """Returns the content of a length-delimited field and where it ends; raises NotCanonical."""
    if wire != 2:
        raise NotCanonical(f"wire type {wire} for a length-delimited field")
    length, at = _varint(data, at)
    end = at + length
    if end > len(data):
        raise NotCanonical("a length goes past the end")
    return data[at:end], end


def _packed(run, limit):
    """Returns the numbers of a packed run, which is not empty; raises NotCanonical."""
    if not run:
        raise NotCanonical("an empty packed run")
    numbers, at = [], 0
    while at < len(run):
        number, at = _bounded(run, at, limit)
        numbers.append(number)
    return numbers


def _bounded(data, at, limit):
    """Returns a varint below the limit and where it ends; raises NotCanonical."""
    value, at = _varint(data, at)
    if value >= limit:
        raise NotCanonical(f"{value} does not fit its type")
    return value, at


def _varint(data, at):
    """Returns a varint of minimal length, of 64 bits at most, and where it ends; raises NotCanonical."""
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (byte == 0 and shift) or value >= 2**64:
                raise NotCanonical("a varint is longer than it needs to be, or too large")
            return value, at
        shift += 7
    raise NotCanonical("a varint does not end")
