#!/usr/bin/env python3
"""Shows that no fsync can be left out: takes away each one in turn, and each order of writes, and sees a test fail.

So with what a resumed verification compares before it goes on, and what an erasure does before it says so.

    tests/mutants.py [--list] [--only NUMBER_OR_WORD ...]

Works on a copy of the tree in target/mutants, and builds into target (or CARGO_TARGET_DIR), so that dependencies are built
once. Each change is one place; the tests of its folder are run on it: for `log/src` those of `spanseal-log`, then those of
the engine. Every line of `log/src`, `collector/src/seal` and `cli/src` that syncs must belong to a change, or the run ends at
once.

Exit 0 a test failed for each change, 1 a change survived, 2 it could not be tried. It takes about a minute a change.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import time
from dataclasses import dataclass

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
COPY = REPOSITORY / "target" / "mutants"
SEARCHED = ("log/src", "collector/src/seal", "cli/src")
# The file system in memory is what the tests use in the place of a disk; its syncs are the tests' own.
NOT_SEARCHED = ("log/src/memory", "collector/src/seal/tests")
# No test in a process can tell what a power cut leaves of SQLite's own files.
NOT_TRIED = {("collector/src/seal/subjects/file.rs", "log.sync_all()")}
SYNCS = re.compile(r"\.sync\(\)|\.sync_dir\(|sync_all\(|sync_data\(|Durability::Synced|synchronous = full")
# What is changed in the log may be left to the engine's tests to find.
LOG_TESTS = ("cargo", "test", "--offline", "-p", "spanseal-log", "--no-fail-fast")
# With the features of the whole workspace, so that no dependency is built for these alone.
ENGINE_TESTS = ("cargo", "test", "--offline", "--workspace", "--lib", "seal::")
RESUME_TESTS = ("cargo", "test", "--offline", "--workspace", "--test", "reading", "resume::")
PIN_TESTS = ("cargo", "test", "--offline", "--workspace", "--bin", "spanseal", "keys::")
SUITES = {
    "log": (LOG_TESTS, ENGINE_TESTS), "collector": (ENGINE_TESTS,), "cli": (PIN_TESTS,),
    "pipelines": (RESUME_TESTS,), "ledger": (RESUME_TESTS,),
}
SECONDS_MAX = 900


@dataclass(frozen=True)
class Change:
    """One place of the source, what becomes of it, and what is lost with it."""

    file: str
    what: str
    old: str
    new: str


CHANGES = [
    # --- a sync is left out
    Change("log/src/disk.rs", "fsync of a directory", ".and_then(|dir| dir.sync_all())", ".map(drop)"),
    Change("log/src/disk.rs", "fdatasync of a file", "naming(&self.path, self.file.sync_data())", "Ok(())"),
    Change("log/src/draft.rs", "sync of a new segment before its name", "        self.file.sync()?;\n", ""),
    Change("log/src/draft.rs", "sync of a new segment's name", "        self.storage.sync_dir(self.dir)?;\n", ""),
    Change("log/src/writer.rs", "sync of a group", "        self.file.sync()?;\n", ""),
    Change("log/src/writer.rs", "sync of a stream's directory's name", "storage.sync_dir(parent)", "Ok(())"),
    Change(
        "log/src/replace.rs", "sync of a small file before its name",
        "    if durability == Durability::Synced {\n        file.sync()?;\n    }\n", "",
    ),
    Change(
        "log/src/replace.rs", "sync of a small file's name",
        "(Durability::Synced, Some(dir)) => storage.sync_dir(dir)", "(Durability::Synced, Some(_)) => Ok(())",
    ),
    Change("log/src/files.rs", "sync of the directories' names", "        files.storage.sync_dir(root)?;\n", ""),
    Change(
        "log/src/files.rs", "sync of the data directory's name",
        "match storage.sync_dir(parent) {", "match io::Result::Ok(()) {",
    ),
    Change(
        "log/src/files.rs", "sync of the deployment's name",
        "text.as_bytes(), Durability::Synced)", "text.as_bytes(), Durability::Replaced)",
    ),
    Change(
        "log/src/key_file.rs", "sync of a new key",
        "&text, Durability::Synced)", "&text, Durability::Replaced)",
    ),
    Change(
        "log/src/key_file.rs", "sync of the name of a key that was found",
        "            path.parent().map_or(Ok(()), |dir| storage.sync_dir(dir))?;\n", "",
    ),
    Change(
        "collector/src/seal/ground.rs", "sync of the trust file",
        "as_bytes(), Durability::Synced)", "as_bytes(), Durability::Replaced)",
    ),
    Change(
        "collector/src/seal/checkpoints.rs", "sync of a stream's last checkpoint",
        "self.sign(&durable, now, Durability::Synced)", "self.sign(&durable, now, Durability::Replaced)",
    ),
    Change(
        "collector/src/seal/checkpoints.rs", "sync of the root log's last checkpoint",
        ".sign(now, Durability::Synced)", ".sign(now, Durability::Replaced)",
    ),
    Change("collector/src/seal/subjects/file.rs", "syncs of subjects' keys", "synchronous = full", "synchronous = normal"),
    # --- an order of writes is turned round
    Change(
        "collector/src/seal/stream.rs", "answer before the commit",
        """        self.commit()?;
        drop((keys, erasures));
        parcels.drain(..).zip(unsealed).for_each(|(parcel, unsealed)| parcel.accept(unsealed));
""",
        """        parcels.drain(..).zip(unsealed).for_each(|(parcel, unsealed)| parcel.accept(unsealed));
        self.commit()?;
        drop((keys, erasures));
""",
    ),
    Change(
        "collector/src/seal/stream.rs", "published before the commit",
        "        let started = Instant::now();\n        let committed",
        "        self.publish(&head);\n        let started = Instant::now();\n        let committed",
    ),
    Change(
        "collector/src/seal/epoch.rs", "an epoch's end published before the commit",
        "        let committed = self.writer.commit(segment_start(closed.head()))?;\n",
        "        self.publish(closed.head());\n        let committed = self.writer.commit(segment_start(closed.head()))?;\n",
    ),
    Change(
        "collector/src/seal/root.rs", "the root log's checkpoint before its leaves",
        "        if self.writer.commit(end)? ==",
        "        self.sign(now, Durability::Replaced);\n        if self.writer.commit(end)? ==",
    ),
    Change(
        "log/src/writer.rs", "a sync before the write",
        "        self.file.write_at(self.pending.bytes(), self.durable_len)?;\n        self.file.sync()?;\n",
        "        self.file.sync()?;\n        self.file.write_at(self.pending.bytes(), self.durable_len)?;\n",
    ),
    Change(
        "log/src/draft.rs", "a segment's name before its sync",
        "        self.file.sync()?;\n        self.storage.rename(&self.path, &segment::path(self.dir, self.first))?;\n",
        "        self.storage.rename(&self.path, &segment::path(self.dir, self.first))?;\n        self.file.sync()?;\n",
    ),
    Change(
        "log/src/recover.rs", "the old tail cut off before the new one is there",
        "    if let Some(draft) = walk.draft.take() {\n",
        "    if found.rewritten_from != Some(first) {\n        cut(storage, dir, first, walk.kept);\n    }\n"
        "    if let Some(draft) = walk.draft.take() {\n",
    ),
    Change(
        "cli/src/keys.rs", "sync of pins", "as_bytes(), Durability::Synced)", "as_bytes(), Durability::Replaced)",
    ),
    # --- an erasure is said before it is done, or is not done whole
    Change(
        "collector/src/seal/deeds.rs", "an erasure's event before its key is destroyed",
        "        if let Err(error) = self.change(",
        "        self.tell(&deed.event, now)?;\n        if let Err(error) = self.change(",
    ),
    Change(
        "collector/src/seal/deeds.rs", "an erasure's debt deleted before its event",
        """            let at = match self.sealed(&owed)? {
                Some(at) => at,
                None => self.tell(&owed.event, now)?,
            };
            if let Err(error) = self.subjects.settle(number) {
                return Ok(Err(error.into()));
            }
""",
        """            if let Err(error) = self.subjects.settle(number) {
                return Ok(Err(error.into()));
            }
            let at = match self.sealed(&owed)? {
                Some(at) => at,
                None => self.tell(&owed.event, now)?,
            };
""",
    ),
    Change(
        "collector/src/seal/deeds.rs", "an erasure's event sealed again after a crash",
        "match self.sealed(&owed)? {", "match self.sealed(&owed)?.filter(|_| false) {",
    ),
    Change(
        "collector/src/seal/deeds.rs", "copies of a destroyed key left in the write-ahead log",
        "            self.subjects.scrub()?;\n", "",
    ),
    Change(
        "collector/src/seal/deeds.rs", "a hold ignored",
        "(Change::Destroy | Change::Hold(_), Some(hold)) =>", "(Change::Hold(_), Some(hold)) =>",
    ),
    Change(
        "collector/src/seal/deeds.rs", "a second hold in the place of the first",
        "(Change::Destroy | Change::Hold(_), Some(hold)) =>", "(Change::Destroy, Some(hold)) =>",
    ),
    Change(
        "collector/src/seal/stream.rs", "what was cut under a destroyed key referred to again",
        "        self.forget_erased(*erasures);\n", "",
    ),
    Change(
        "collector/src/seal/subjects/file.rs", "a destroyed key not overwritten",
        "update key set key = zeroblob(32) where", "update key set key = key where",
    ),
    Change(
        "collector/src/seal/subjects/file.rs", "a key destroyed and its event owed by two transactions",
        "        transaction.execute(\n            \"insert into owed",
        "        transaction.commit()?;\n        let transaction = self.connection.transaction()?;\n"
        "        transaction.execute(\n            \"insert into owed",
    ),
    # --- a resumed verification believes its file
    Change(
        "pipelines/src/check/resume.rs", "going on under another root log",
        "(self.saved.deployment != deployment || !grown)", "self.saved.deployment != deployment",
    ),
    Change(
        "pipelines/src/check/going_on.rs", "going on behind segments of other sizes",
        "if self.bytes_before(stream, point.segment)? != point.bytes_before {", "if false {",
    ),
    Change(
        "pipelines/src/check/going_on.rs", "going on behind another batch",
        "if seal.as_ref() != Some(midway.position().seal()) {", "if seal.is_none() {",
    ),
    Change(
        "pipelines/src/check/stream.rs", "a place saved before superseded records were compared",
        "let settled = self.superseded.is_empty() && ", "let settled = ",
    ),
    Change(
        "pipelines/src/check/stream.rs", "a place saved while payload records wait for their event",
        "let payloads = self.payloads.settled().filter(|_| settled)?;",
        "let payloads = self.payloads.settled().or(Some(Vec::new())).filter(|_| settled)?;",
    ),
    Change(
        "pipelines/src/check/stream.rs", "notes forgotten where an earlier verification stood",
        "point.tails.iter().copied().filter(|tail| tail.segment < point.segment).collect()", "Vec::new()",
    ),
    Change(
        "ledger/src/verify/midway.rs", "a place saved that no checkpoint covers",
        "self.checkpoint.as_ref().filter(|checkpoint| size <= checkpoint.size())?;", "self.checkpoint.as_ref()?;",
    ),
    Change(
        "ledger/src/verify/midway.rs", "going on from a place that the checkpoint does not cover",
        "if !covered || !same ||", "if !same ||",
    ),
    Change(
        "ledger/src/verify/midway.rs", "going on past what root leaves say now",
        "claims_below(root, &midway.position) == midway.claims && ", "",
    ),
    Change(
        "ledger/src/verify/midway.rs", "going on past another pin",
        "(pin.is_none() || pin == midway.pin)", "true",
    ),
    Change(
        "ledger/src/verify/midway.rs", "a place saved behind a fault",
        "self.position().filter(|_| self.has_found_nothing())?", "self.position()?",
    ),
    # --- several streams
    Change(
        "collector/src/seal/deeds.rs", "the other streams not told of an erasure",
        "        *erasures += u64::from(deed.change == Change::Destroy);\n", "",
    ),
    Change(
        "collector/src/seal/split.rs", "a request accepted of which a part is refused",
        "        let Accepted { rejected_spans, message } = part?;\n",
        "        let Ok(Accepted { rejected_spans, message }) = part else { continue };\n",
    ),
    Change(
        "collector/src/seal/lines.rs", "a stream begun anew at every start in the place of one that was closed",
        "Some(last) => *last = stream,", "Some(_) => lines.push(stream),",
    ),
]


def main():
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="say what would be changed")
    parser.add_argument("--only", nargs="+", metavar="NUMBER_OR_WORD", help="these changes alone")
    options = parser.parse_args()
    if left := unnamed_syncs():
        print("no change takes away the sync at " + ", ".join(left), file=sys.stderr)
        return 2
    chosen = [number for number in range(len(CHANGES)) if is_chosen(number, options.only)]
    if options.list:
        for number in chosen:
            print(line(number, ""))
        return 0
    return try_all(chosen)


def is_chosen(number, only):
    """Returns whether a change is asked for, by its number or by a word in what it says."""
    if not only:
        return True
    return any(int(word) == number + 1 if word.isdigit() else word in line(number, "") for word in only)


def line(number, became):
    """Returns what is said of a change."""
    change = CHANGES[number]
    place = f"{change.file}:{place_of(change)[0]}"
    return f"{number + 1:3}  {place:<40} {change.what:<50} {became}".rstrip()


def place_of(change):
    """Returns the lines that a change replaces; ends the run when its text is not there exactly once."""
    text = (REPOSITORY / change.file).read_text()
    if text.count(change.old) != 1:
        print(f"{change.file} has {text.count(change.old)} times, not once: {change.old!r}", file=sys.stderr)
        sys.exit(2)
    first = text[: text.index(change.old)].count("\n") + 1
    return range(first, first + change.old.rstrip("\n").count("\n") + 1)


def unnamed_syncs():
    """Returns the lines that sync, in the product's code, and belong to no change."""
    named = {(change.file, number) for change in CHANGES for number in place_of(change)}
    left = []
    for folder in SEARCHED:
        for path in sorted((REPOSITORY / folder).rglob("*.rs")):
            file = path.relative_to(REPOSITORY).as_posix()
            if file.startswith(NOT_SEARCHED):
                continue
            for number, text in enumerate(path.read_text().split("mod tests {")[0].splitlines(), 1):
                is_code = not text.lstrip().startswith("//")
                if any(file == place and words in text for place, words in NOT_TRIED):
                    continue
                if is_code and SYNCS.search(text) and (file, number) not in named:
                    left.append(f"{file}:{number}")
    return left


def try_all(chosen):
    """Tries the changes and returns the exit code."""
    copy_tree()
    sound, survived = set(), []
    for number in chosen:
        change, began = CHANGES[number], time.monotonic()
        failed = problem = None
        for suite in SUITES[change.file.split("/")[0]]:
            if suite not in sound and not passes_unchanged(suite):
                return 2
            sound.add(suite)
            failed, problem = changed(change, suite)
            if failed or problem:
                break
        if problem == "does not build":
            print(line(number, problem))
            return 2
        if not failed and not problem:
            survived.append(number)
        print(line(number, f"{said(failed, problem)} ({time.monotonic() - began:.0f} s)"), flush=True)
    print(f"{len(chosen) - len(survived)} of {len(chosen)} changes made a test fail")
    return 1 if survived else 0


def passes_unchanged(suite):
    """Returns whether a suite passes without a change; only then does it say anything that it fails with one."""
    failed, problem = run_tests(suite)
    if failed or problem:
        print(f"without a change: {problem or 'failed ' + ', '.join(failed)}", file=sys.stderr)
    return not failed and not problem


def changed(change, suite):
    """Makes the change, runs a suite and takes the change back; returns what `run_tests` does."""
    path = COPY / change.file
    text = path.read_text()
    path.write_text(text.replace(change.old, change.new))
    try:
        return run_tests(suite)
    finally:
        path.write_text(text)


def said(failed, problem):
    """Returns what became of a change, in words."""
    if failed:
        more = f" and {len(failed) - 1} more" if failed[1:] else ""
        return f"fails {failed[0]}{more}"
    return problem or "SURVIVED"


def run_tests(suite):
    """Runs a suite; returns the tests that failed, and else what went wrong."""
    words = [*suite, "--target-dir", str(TARGET)]
    built = subprocess.run([*words, "--no-run"], cwd=COPY, capture_output=True, text=True)
    if built.returncode:
        print(built.stderr[-3000:], file=sys.stderr)
        return [], "does not build"
    try:
        done = subprocess.run(words, cwd=COPY, capture_output=True, text=True, timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return [], f"a test does not end within {SECONDS_MAX} s"
    failed = re.findall(r"^test (\S+) \.\.\. FAILED$", done.stdout, re.MULTILINE)
    if failed or done.returncode == 0:
        return failed, None
    return [], "the tests end"


def copy_tree():
    """Brings the copy to what is in the work tree; a file that is the same keeps its time, so that less is built."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\0")
    wanted = {name for name in names if name and (REPOSITORY / name).is_file()}
    for path in [path for path in COPY.rglob("*") if path.is_file()]:
        if path.relative_to(COPY).as_posix() not in wanted:
            path.unlink()
    for name in wanted:
        old, new = COPY / name, (REPOSITORY / name).read_bytes()
        if not old.exists() or old.read_bytes() != new:
            old.parent.mkdir(parents=True, exist_ok=True)
            old.write_bytes(new)


if __name__ == "__main__":
    sys.exit(main())
