"""Openings, closings and gaps in their place, format.md sections 6, 7 and 14."""

from .batch import (
    CLEAN, FIRST, GAP, KEY, ROTATED, ROTATION, SHUTDOWN, UNCLEAN, check_gap, is_closing, is_opening, is_unknown,
    parse_closing, parse_opening,
)
from .codes import Finding
from .crypto import sha256, verify

# What stood before the place where reading was resumed, or is of an unknown version.
NOT_SEEN = object()


def check_key_events(check, seal, events, opens):
    """Raises the first fault of a batch's key and gap events; `check` is the StreamCheck before the batch.

    An opening's key becomes `check.incoming`.
    """
    for place, event in enumerate(events):
        try:
            if event[0] == GAP and not is_unknown(event):
                check_gap(event)
            elif event[0] == KEY:
                _key_event(check, seal, event, seal.first + place, opens and place == 0, place == seal.count - 1)
        except Finding as finding:
            finding.index = seal.first + place
            raise


def _key_event(check, seal, event, index, may_open, may_close):
    """Raises the first fault of one key event, given which of the two may stand there."""
    may_stand = may_open if is_opening(event) else may_close if is_closing(event) else may_open or may_close
    if not may_stand:
        raise Finding("event_misplaced", "a key event stands where it may not")
    if is_unknown(event):
        return
    if is_opening(event):
        _opening(check, seal, parse_opening(event))
    elif is_closing(event):
        _closing(check, seal, parse_closing(event), index)
    else:
        raise Finding("malformed_key_event", "a key event without a type")


def _opening(check, seal, opening):
    """Checks an opening, in the order of section 14."""
    check.incoming = opening.key
    deployment = check.rootlog.deployment
    if deployment and opening.deployment_hash != sha256(deployment.encode()):
        raise Finding("wrong_deployment", f"the opening of epoch {opening.epoch} names another deployment")
    _opening_place(check, seal, opening)
    _opening_start(check, opening)
    _opening_leaf(check, opening)
    _opening_signed(check, opening)


def _opening_place(check, seal, opening):
    """Raises `malformed_key_event` if the opening contradicts where it stands."""
    if (opening.stream, opening.epoch, opening.index) != (check.stream, seal.epoch, seal.first):
        raise Finding("malformed_key_event", "an opening names another stream, epoch or index than its own")
    if (opening.root, opening.last_seal) != (check.tree.root(), check.last_hash):
        raise Finding("malformed_key_event", "an opening contradicts the stream before it")


def _opening_start(check, opening):
    """Raises `malformed_key_event` if the start does not fit what came before."""
    if (opening.start == FIRST) != (opening.epoch == 1):
        raise Finding("malformed_key_event", f"epoch {opening.epoch} starts with {opening.start}")
    if opening.start in (FIRST, UNCLEAN) or check.closing is NOT_SEEN:
        return
    reason = check.closing.reason if check.closing else None
    if reason != {CLEAN: SHUTDOWN, ROTATION: ROTATED}[opening.start]:
        raise Finding("malformed_key_event", f"start {opening.start} does not fit what stands before it")
    if opening.start == ROTATION and check.epoch != opening.epoch - 1:
        raise Finding("malformed_key_event", f"epoch {opening.epoch} rotates from epoch {check.epoch}")


def _opening_leaf(check, opening):
    """Raises `opening_mismatch` unless the quoted root leaf says the same (section 14 step 2)."""
    leaf = check.rootlog.openings.get(opening.leaf)
    if leaf is None:
        code = "unknown_version" if check.unknown_below else "opening_mismatch"
        raise Finding(code, f"root leaf {opening.leaf} opens no epoch")
    said = leaf.stream, leaf.epoch, leaf.start, leaf.first, leaf.root, leaf.seal, leaf.key
    mine = opening.stream, opening.epoch, opening.start, opening.index, opening.root, opening.last_seal, opening.key
    if said != mine:
        raise Finding("opening_mismatch", f"root leaf {opening.leaf} opens another epoch, or otherwise")


def _opening_signed(check, opening):
    """Raises unless an identity key in range, and for a rotation the outgoing key, signed the opening."""
    keys = check.rootlog.keys
    signer = next((key for key in keys if key.role == "identity" and key.id == opening.identity), None)
    if signer is None:
        raise Finding("unknown_key", f"nothing registers the identity key {opening.identity.hex()[:8]}")
    if not verify(signer.key[1:], opening.signature, opening.signed()):
        raise Finding("bad_signature", "the identity key's signature on an opening does not verify")
    signer.check_range(opening.leaf)
    outgoing = check.keys.get(opening.epoch - 1)
    if opening.start == ROTATION and not (outgoing and verify(outgoing[1:], opening.outgoing, opening.signed())):
        raise Finding("rotation_unsigned", "the outgoing epoch key did not sign the opening")


def _closing(check, seal, closing, index):
    """Raises `malformed_key_event` if a closing contradicts its place."""
    if (closing.stream, closing.epoch, closing.index) != (check.stream, seal.epoch, index):
        raise Finding("malformed_key_event", "a closing names another stream, epoch or index than its own")


def closing_of(event):
    """Returns the Closing that a batch's last event is, None if it is none, NOT_SEEN if it cannot be told."""
    if event[0] == KEY and is_unknown(event):
        return NOT_SEEN
    try:
        return parse_closing(event) if is_closing(event) else None
    except Finding:
        return None
