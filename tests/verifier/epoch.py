"""Openings, closings and gaps in their place, format.md sections 6, 7 and 14."""

from dataclasses import dataclass

from .batch import (
    CLEAN, FIRST, GAP, KEY, ROTATED, ROTATION, SHUTDOWN, UNCLEAN, check_gap, is_closing, is_opening, is_unknown,
    parse_closing, parse_opening,
)
from .codes import Finding
from .crypto import sha256, verify


@dataclass(frozen=True)
class Ending:
    """How an epoch's last batch leaves it: a closing's reason, None while it goes on; `unknown`: it may have closed."""

    reason: int | None = None
    unknown: bool = False

    @property
    def is_closed(self):
        """Returns whether a closing event stood."""
        return self.reason is not None


OPEN = Ending()


def check_key_events(check, seal, events, opens, follows):
    """Raises the first fault of a batch's key and gap events; `check` is the StreamCheck before the batch.

    `follows`: the batch stands directly behind what the check has seen.
    """
    for place, event in enumerate(events):
        try:
            if event[0] == GAP and not is_unknown(event):
                check_gap(event)
            elif event[0] == KEY:
                _key_event(check, seal, event, place, opens, follows)
        except Finding as finding:
            finding.index = seal.first + place
            raise


def _key_event(check, seal, event, place, opens, follows):
    """Raises the first fault of one key event."""
    may_open, may_close = opens and place == 0, place == seal.count - 1
    if not (may_open or (may_close and not is_opening(event))):
        raise Finding("event_misplaced", "a key event stands where it may not")
    if is_unknown(event):
        return
    if is_opening(event):
        _opening(check, seal, parse_opening(event), follows)
    elif is_closing(event):
        _closing(check, seal, parse_closing(event), seal.first + place)
    else:
        raise Finding("malformed_key_event", "a key event without a type")


def _opening(check, seal, opening, follows):
    """Checks an opening, in the order of section 14."""
    deployment = check.rootlog.deployment
    if deployment and opening.deployment_hash != sha256(deployment.encode()):
        raise Finding("wrong_deployment", f"the opening of epoch {opening.epoch} names another deployment")
    _opening_place(check, seal, opening, follows)
    _opening_start(check, opening, follows)
    _opening_leaf(check, opening)
    _opening_signed(check, opening)


def _opening_place(check, seal, opening, follows):
    """Raises `malformed_key_event` if the opening contradicts where it stands."""
    if (opening.stream, opening.epoch, opening.index) != (check.stream, seal.epoch, seal.first):
        raise Finding("malformed_key_event", "an opening names another stream, epoch or index than its own")
    if follows and (opening.last_seal != check.last_hash or (check.tree and opening.root != check.tree.root())):
        raise Finding("malformed_key_event", "an opening contradicts the stream before it")


def _opening_start(check, opening, follows):
    """Raises `malformed_key_event` if the start does not fit what came before."""
    if (opening.start == FIRST) != (opening.epoch == 1) or (opening.start == FIRST and opening.index):
        raise Finding("malformed_key_event", f"epoch {opening.epoch} starts with {opening.start}")
    if opening.start in (FIRST, UNCLEAN) or not follows:
        return
    if opening.start == ROTATION and check.epoch != opening.epoch - 1:
        raise Finding("malformed_key_event", f"epoch {opening.epoch} rotates from epoch {check.epoch}")
    if not check.ending.unknown and check.ending.reason != {CLEAN: SHUTDOWN, ROTATION: ROTATED}[opening.start]:
        raise Finding("malformed_key_event", f"start {opening.start} does not fit what stands before it")


def _opening_leaf(check, opening):
    """Raises `opening_mismatch` unless the root log opens the epoch, at the leaf quoted, and says the same."""
    leaf = check.record.epochs.get(opening.epoch)
    if leaf is None or leaf.index != opening.leaf:
        raise Finding("opening_mismatch", f"root leaf {opening.leaf} does not open epoch {opening.epoch}")
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
    outgoing = check.record.keys.get(opening.epoch - 1)
    if opening.start == ROTATION and not (outgoing and verify(outgoing.key[1:], opening.outgoing, opening.signed())):
        raise Finding("rotation_unsigned", "the outgoing epoch key did not sign the opening")


def _closing(check, seal, closing, index):
    """Raises `malformed_key_event` if a closing contradicts its place."""
    if (closing.stream, closing.epoch, closing.index) != (check.stream, seal.epoch, index):
        raise Finding("malformed_key_event", "a closing names another stream, epoch or index than its own")


def ending_of(check, seal, events):
    """Returns how a batch leaves its epoch; a key event that is at fault ends nothing."""
    event, place = events[-1], len(events) - 1
    if event[0] != KEY or is_opening(event):
        return OPEN
    if is_unknown(event):
        return Ending(unknown=True)
    try:
        closing = parse_closing(event) if is_closing(event) else None
        if closing:
            _closing(check, seal, closing, seal.first + place)
    except Finding:
        return OPEN
    return Ending(closing.reason) if closing else OPEN
