"""Runs vector files: one file, one verdict."""

import base64
import json
from pathlib import Path

from .codes import Finding, Report
from .envelope import EVENTS, NotCanonical, UnknownVersion, decode_event
from .merkle import check_consistency, check_inclusion, leaf_hash
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
    kind = vector.get("kind", "log")
    runner = {"log": _log}.get(kind, _body if "body" in vector else None)
    if runner is None:
        return f"unknown kind of vector {kind}"
    return runner(vector)


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
    if "anchor" in vector:
        got, expect = got | {"anchor": report.anchor}, expect | {"anchor": vector["anchor"]}
    return _difference(expect, got)


def _inputs(vector, trust):
    """Returns the Inputs in a vector."""
    root = vector["root_log"]
    return Inputs(
        leaves=[_bytes(leaf) for leaf in root["leaves"]],
        root_checkpoint=_text(root.get("checkpoint")),
        streams={
            bytes.fromhex(stream["stream"]): BatchList(
                [_bytes(raw) for raw in stream["batches"]], stream.get("torn_bytes", 0), _text(stream.get("checkpoint"))
            )
            for stream in vector["streams"]
        },
        trust=trust,
        now=vector.get("now"),
        max_age=vector.get("max_age"),
        bodies=False,
    )


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
