"""Cuts: holes in the bytes of a received message, format.md section 15."""


class BadCut(Exception):
    """A cut that the stored bytes contradict."""


_HOLE_TAG = b"\xa2\x06"  # field 100, length-delimited
_FIELDS_MIN = 3
_END_MAX = 2**28


def check_cuts(stored, cuts):
    """Raises BadCut unless each cut is a hole of the kind that it says, where it says."""
    if not cuts:
        return
    received = fill(stored, cuts)
    for cut in cuts:
        _check_place(received, cut)


def fill(stored, cuts):
    """Returns the message with its holes filled, as a reader without the bytes sees it; raises BadCut."""
    received, taken = bytearray(), 0
    for cut in cuts:
        offset, length = cut.get("offset", 0), cut.get("length", 0)
        whole_fields = cut.get("fields", 0)
        if len(cut.get("commitment", b"")) != 32:
            raise BadCut("a commitment is not 32 bytes")
        if length < (_FIELDS_MIN if whole_fields else 1):
            raise BadCut(f"a cut of {length} bytes")
        if offset + length > _END_MAX:
            raise BadCut("a cut ends beyond what a message may have")
        before = offset - len(received)
        if before < 0 or taken + before > len(stored):
            raise BadCut(f"the cut at {offset} overlaps the one before it, or lies outside the message")
        received += stored[taken : taken + before]
        taken += before
        received += _field_hole(length) if whole_fields else bytes(length)
    return bytes(received + stored[taken:])


def _field_hole(length):
    """Returns one unknown field of that many bytes, its length varint padded where needed."""
    for width in range(1, 6):
        rest = length - len(_HOLE_TAG) - width
        if 0 <= rest < 1 << 7 * width:
            size = bytes(rest >> 7 * i & 0x7F | (0x80 if i + 1 < width else 0) for i in range(width))
            return _HOLE_TAG + size + bytes(rest)
    raise BadCut(f"a cut of {length} bytes")


def _check_place(received, cut):
    """Raises BadCut unless the path leads to the hole."""
    start = cut.get("offset", 0)
    end = start + cut["length"]
    path = cut.get("path", [])
    whole_fields = cut.get("fields", 0)
    low, high = 0, len(received)
    for number in path:
        low, high = _enclosing(received, low, high, number, start, end)
    if whole_fields:
        if all((tag, stop) != (start, end) for _, tag, _, stop in fields_of(received, low, high)):
            raise BadCut(f"the cut at {start} is no run of fields of the message that its path leads to")
    elif not path or (low, high) != (start, end):
        raise BadCut(f"the cut at {start} is not the content of the field that its path leads to")


def _enclosing(received, low, high, number, start, end):
    """Returns the extent of the content of the field with that number around the hole; raises BadCut."""
    for found, _, content, stop in fields_of(received, low, high):
        if found == number and content is not None and content <= start and end <= stop:
            return content, stop
    raise BadCut(f"no field {number} around the cut at {start}")


def fields_of(data, at, end):
    """Yields (number, start of tag, start of content or None, end) of each field; raises BadCut where they do not parse.

    These are somebody else's bytes: lengths and varints need not be minimal, and groups are passed over.
    """
    while at < end:
        tag_at = at
        number, wire, at = _tag(data, at, end)
        content = None
        if wire == 2:
            length, content = _varint(data, at, end)
            at = content + length
        elif wire == 3:
            at = _group_end(data, at, end, number)
        else:
            at = _skip(data, at, end, wire)
        if at > end:
            raise BadCut("a field goes past the end of its message")
        yield number, tag_at, content, at


def _tag(data, at, end):
    """Returns number, wire type and where the tag ends."""
    tag, at = _varint(data, at, end)
    if tag >> 3 == 0:
        raise BadCut("field number 0")
    return tag >> 3, tag & 7, at


def _skip(data, at, end, wire):
    """Returns where a scalar of that wire type ends."""
    if wire == 0:
        return _varint(data, at, end)[1]
    if wire in (1, 5):
        return at + (8 if wire == 1 else 4)
    raise BadCut(f"wire type {wire}")


def _group_end(data, at, end, number):
    """Returns where a group ends, its end tag included."""
    open_groups = [number]
    while open_groups:
        number, wire, at = _tag(data, at, end)
        if wire == 3:
            open_groups.append(number)
        elif wire == 4:
            if open_groups.pop() != number:
                raise BadCut("groups are crossed")
        elif wire == 2:
            length, at = _varint(data, at, end)
            at += length
        else:
            at = _skip(data, at, end, wire)
    return at


def _varint(data, at, end):
    """Returns a varint and where it ends; raises BadCut."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise BadCut("a varint does not end")
