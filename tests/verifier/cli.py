"""The command line: vectors, directory, selftest."""

import argparse
import json
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from . import selftest, vectors
from .directory import read_directory
from .trust import TrustError, parse_trust
from .verification import verify


def main(arguments=None):
    """Returns the exit code: 0 holds, 1 tampered or a disagreement, 2 could not check."""
    options = _parser().parse_args(arguments)
    return options.run(options)


def _parser():
    """Returns the argument parser."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Verifies Spanseal ledgers by docs/format.md.")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("vectors", help="run every vector file in the folders")
    command.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    command.set_defaults(run=_vectors)
    command = commands.add_parser("directory", help="verify a data directory")
    command.add_argument("folder", type=Path, metavar="DIR")
    command.add_argument("--trust", type=Path, metavar="FILE")
    command.add_argument("--max-age", type=int, metavar="SECONDS", help="of the newest pin")
    command.add_argument("--now", type=int, metavar="SECONDS", help="since the Unix epoch; the clock's by default")
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=_directory)
    command = commands.add_parser("batch", help="verify the data directories that lines of JSON on stdin name")
    command.set_defaults(run=_batch)
    command = commands.add_parser("selftest", help="verify what a minimal writer writes, whole and with bits flipped")
    command.add_argument("--flips", type=int, default=selftest.FLIPS, metavar="N")
    command.set_defaults(run=_selftest)
    return parser


def _vectors(options):
    """Returns 0 if every vector agrees; an empty set is an error."""
    passed, failed = vectors.run_folders(options.folders)
    if passed + failed == 0:
        print("no vectors in " + ", ".join(map(str, options.folders)), file=sys.stderr)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def _selftest(options):
    """Returns 0 if every part of the self-test holds."""
    return 0 if selftest.run(flips=options.flips) else 1


def _batch(_options):
    """Answers each line `{"folder", "trust", "now", "max_age"}` by one with the answer, or why there is none."""
    for line in sys.stdin:
        wanted = json.loads(line)
        trust = wanted.get("trust")
        try:
            inputs = _inputs(Path(wanted["folder"]), trust and Path(trust), wanted["now"], wanted["max_age"])
            answer = as_json(verify(inputs))
        except _UNUSABLE as error:
            answer = {"exit": 2, "error": str(error)}
        print(json.dumps(answer), flush=True)
    return 0


def _inputs(folder, trust, now, max_age):
    """Returns the Inputs of a data directory and a trust file; raises what is in `_UNUSABLE`."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no directory")
    inputs = read_directory(folder)
    inputs.trust = parse_trust(trust.read_bytes().decode()) if trust else None
    inputs.now, inputs.max_age = now, max_age
    return inputs


_UNUSABLE = (OSError, UnicodeDecodeError, TrustError)


def _directory(options):
    """Returns the exit code of section 14 after printing the answer."""
    now = int(time.time()) if options.now is None else options.now
    try:
        inputs = _inputs(options.folder, options.trust, now, options.max_age)
    except _UNUSABLE as error:
        print(f"could not check: {error}", file=sys.stderr)
        return 2
    report = verify(inputs)
    print(json.dumps(as_json(report), indent=2) if options.json else as_text(report))
    return report.exit()


def as_json(report):
    """Returns the answer as a JSON object."""
    named = report.named()
    return {
        "exit": report.exit(),
        "code": named.code if named else None,
        "anchor": report.anchor,
        "root_log": report.root,
        "streams": report.streams,
        "faults": [
            {
                "code": fault.code, "class": fault.kind, "stream": fault.stream, "index": fault.index,
                "text": fault.text, "more": fault.more,
            }
            for fault in report.faults
        ],
    }


def as_text(report):
    """Returns the answer as text: anchor, ranges, faults and what could not be checked (section 14 step 4)."""
    lines = [f"anchor: {report.anchor}", f"root log: {report.root.get('size', 0)} leaves"]
    lines += [_range(name, stream) for name, stream in report.streams.items()]
    for title, kind in (("faults", "tampered"), ("could not be checked", "unchecked"), ("notes", "note")):
        chosen = [fault for fault in report.faults if fault.kind == kind]
        lines.append(f"{title}: {len(chosen) or 'none'}")
        lines += [_line(fault) for fault in chosen]
    lines.append({0: "holds", 1: "tampered, missing or violated", 2: "could not be checked in full"}[report.exit()])
    return "\n".join(lines)


def _range(name, stream):
    """Returns one line on how far a stream is complete."""
    text = f"stream {name}: {stream['size']} events"
    if stream["complete_to"]:
        as_of = datetime.fromtimestamp(stream["as_of"], timezone.utc).isoformat()
        return text + f", complete to {stream['complete_to']} as of {as_of}; later events are sealed, not anchored"
    return text + ", not pinned"


def _line(fault):
    """Returns one line on a fault."""
    where = "root log" if fault.stream is None else f"stream {fault.stream}"
    where += f" at {fault.index}" if fault.index is not None else ""
    return f"  {fault.code}: {where}: {fault.text}" + (f" (and {fault.more} more)" if fault.more else "")
