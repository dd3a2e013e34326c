"""Runs vector files: one file, one verdict."""

import base64
import json
from pathlib import Path

from .codes import CLASSES, EXITS, Finding, Report
from .crypto import decode_vkey, key_id
from .envelope import EVENTS, NotCanonical, UnknownVersion, decode_event
from .merkle import check_consistency, check_inclusion, leaf_hash
from .notes import open_checkpoint
from .rootlog import Key
from .trust import TrustError, parse_trust
from .verification import BatchList, Inputs, verify


def run_folders(folders, say=print):
    """Returns (passed, failed) after running every vector file in the folders; says one line for each."""
    passed = failed = 0
    for path in sorted(path for folder in folders for path in Path(folder).rglob("*.json")):
        disagreement = run_file(path)
        if disagreement is None:
            passed += 1
        else:
            failed += 1
        say(f"{'ok  ' if disagreement is None else 'FAIL'} {path.name}" + (f": {disagreement}" if disagreement else ""))
    return passed, failed


def run_file(path):
    """Returns None if this verifier agrees with the vector, else how it does not."""
    try:
        return check_vector(json.loads(path.read_text()))
    except (KeyError, TypeError, ValueError) as error:
        return f"the vector cannot be read: {error!r}"


def check_vector(vector):
    """Returns None if this verifier agrees with the vector, else how it does not."""
    runners = {"log": _log, "note": _note, "inclusion": _inclusion, "consistency": _consistency}
    runner = runners.get(vector["kind"], _body if "body" in vector else None)
    return runner(vector) if runner else f"unknown kind of vector {vector['kind']}"


def _log(vector):
    """Compares exit, code, stream, index and range of a verification."""
    trust, report = vector.get("trust"), None
    try:
        trust = parse_trust(trust) if trust is not None else None
    except TrustError as error:
        report = Report()
        report.add(Finding("pin_empty", str(error)))
    report = report or verify(_inputs(vector, trust))
    expect, fault = vector["expect"], report.named()
    got = {
        "exit": report.exit(),
        "code": fault.code if fault else None,
        "stream": fault.stream if fault else None,
        "index": fault.index if fault else None,
        "complete_to": max((s["complete_to"] or 0 for s in report.streams.values()), default=0) or None,
    }
    return _difference(expect | {"anchor": vector["anchor"]}, got | {"anchor": report.anchor})


def _inputs(vector, trust):
    """Returns the Inputs in a vector."""
    root = vector["root_log"]
    return Inputs(
        leaves={index: _bytes(leaf) for index, leaf in enumerate(root["leaves"])},
        root_checkpoint=_text(root.get("checkpoint")),
        streams={
            bytes.fromhex(stream["stream"]): BatchList(
                [_bytes(raw) for raw in stream["batches"]], stream["torn_bytes"], _text(stream["checkpoint"]),
                stream.get("damaged_at"),
            )
            for stream in vector["streams"]
        },
        trust=trust,
        now=vector.get("now"),
        max_age=vector.get("max_age"),
        bodies=False,
    )


def _note(vector):
    """Compares the verdict on one note."""
    return _verdict(vector, lambda: _checkpoint(vector, "note"))


def _inclusion(vector):
    """Compares the verdict on an inclusion proof against a checkpoint."""
    def check():
        held = _checkpoint(vector, "checkpoint")
        proof = [_bytes(node) for node in vector["proof"]]
        check_inclusion(vector["index"], held.size, leaf_hash(_bytes(vector["event"])), proof, held.root)

    return _verdict(vector, check)


def _consistency(vector):
    """Compares the verdict on a consistency proof between two checkpoints."""
    def check():
        old, new = _checkpoint(vector, "old"), _checkpoint(vector, "new")
        check_consistency(old.size, new.size, old.root, new.root, [_bytes(node) for node in vector["proof"]])

    return _verdict(vector, check)


def _checkpoint(vector, field):
    """Returns the Checkpoint in one field of a vector, by its two verifier keys; raises a Finding."""
    deployment, _, tail = vector["keys"]["origin"].rpartition("/")
    log, cosigner = (
        Key(role, key, key_id(name, key), 0)
        for role in ("log", "cosigner")
        for name, key in [decode_vkey(vector["keys"][role])]
    )
    return open_checkpoint(_text(vector[field]), deployment, tail, [log], [cosigner], lambda _key, _size: None)


def _verdict(vector, check):
    """Compares what a check raises with what is expected."""
    try:
        check()
        got = {"exit": 0, "code": None}
    except Finding as finding:
        got = {"exit": EXITS[CLASSES[finding.code]], "code": finding.code}
    return _difference(vector["expect"], got)


def _body(vector):
    """Compares the verdict on one event's body."""
    kinds = {name: kind for kind, name in EVENTS.items()}
    kind = vector["kind"]
    try:
        decode_event(kinds.get(kind, kind), _bytes(vector["body"]))
        got = "ok"
    except UnknownVersion:
        got = "unknown_version"
    except NotCanonical:
        got = "not_canonical"
    return _difference({"expect": vector["expect"]}, {"expect": got})


def _difference(expect, got):
    """Returns None if all that is expected was got, else both."""
    wrong = [f"{name}: expected {expect[name]}, got {got.get(name)}" for name in expect if expect[name] != got.get(name)]
    return "; ".join(wrong) or None


def _bytes(text):
    """Returns the bytes of base64 text."""
    return base64.b64decode(text, validate=True)


def _text(text):
    """Returns a note's bytes, or None."""
    return None if text is None else text.encode()
