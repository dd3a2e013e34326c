#!/usr/bin/env python3
"""Shows by the system calls of a real `spanseal collect` that what it answers OK is on the disk before.

    strace.py --spanseal PATH_TO_BINARY [--requests 40]

It is run under strace, and sent one request at a time, then many at once, over HTTP and gRPC, some with values to be cut
out. From the trace:

  * before each answer its log record was written, and a fdatasync of that file returned 0 after that; with one request at
    a time, nothing that was written to a log is unsynced when it is answered;
  * one request at a time takes at most two fsync calls of the whole process;
  * the key of a value that was cut out is durable before the log is written;
  * a segment, a key, the name and the trust file are synced before they get their name, and then their directory is; so is
    the parent of each directory that is made: all of it before the next answer.

Each check is then made on the same trace with the syncs in question left out, and must fail. Exit 0 it holds, 1 it does
not, 2 there is no binary. Skips where there is no strace. Standard library only.
"""

import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import shutil
import sys

import syscalls
from program import Fail, Server, Skip, check, options, outcome, run

FSYNCS_MAX = 2
KEPT_OUT = "secret"
SETTINGS = f"""[cut]
keep_out = ["{KEPT_OUT}"]
[seal]
segment_bytes_max = 1048576
"""


def main():
    """Returns the exit code."""
    asked = options(__doc__, requests=(40, "sent one after the other"))
    return outcome("strace", lambda folder: show(asked.spanseal, folder, asked.requests))


def show(binary, folder, requests):
    """Traces a server, checks the trace, and checks the checks."""
    if not shutil.which("strace"):
        raise Skip("there is no strace")
    data, file = folder / "data", folder / "trace"
    (folder / "spanseal.toml").write_text(SETTINGS)
    server = Server(
        binary, data, folder / "spanseal.log", command="collect", more=("--config", str(folder / "spanseal.toml")),
        before=(*syscalls.STRACE, str(file)),
    ).ready()
    try:
        one_at_a_time(server.otlp, range(requests))
        many_at_once(binary, server.otlp)
    finally:
        # strace hands the signal on, and ends with the program's exit code.
        os.kill(child_of(server.pid), 15)
        code = server.process.wait(60)
    check(code == 0, f"the server ended with {code}")
    calls = syscalls.read(file)
    facts = Facts(data, server.port, requests)
    facts.all(calls)
    facts.fail_where_they_must(calls)


def child_of(pid):
    """Returns the process that strace runs."""
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


# --- what is sent


def one_at_a_time(otlp, numbers):
    """Sends requests over one HTTP/1.1 connection, each after the answer to the one before."""
    connection = http.client.HTTPConnection(otlp, timeout=60)
    for number in numbers:
        connection.request("POST", "/v1/traces", request(number), {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        check(answer.status == 200 and text == "{}", f"request {number} was answered {answer.status} {text}")
    connection.close()


def many_at_once(binary, otlp):
    """Sends from many connections, so that answers wait for each other's commits, and segments fill up."""
    numbers = [range(first, first + 10) for first in range(10_000, 20_000, 1_000)]
    with concurrent.futures.ThreadPoolExecutor(len(numbers)) as pool:
        list(pool.map(lambda of_one: one_at_a_time(otlp, of_one), numbers))
    run(binary, "load", "--to", otlp, "--spans", 4096, "--batch", 64, "--in-flight", 1)


def request(number):
    """Returns one span in OTLP/JSON; every other one has a value that is cut out."""
    secret = {"key": KEPT_OUT, "value": {"stringValue": f"nobody reads {number}"}}
    span = {
        "traceId": f"{number + 1:032x}", "spanId": f"{number + 1:016x}", "name": "execute_tool",
        "startTimeUnixNano": "1", "endTimeUnixNano": "2", "attributes": [secret] if number % 2 else [],
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


# --- what must be so


class Facts:
    """What a trace must show of a data directory and an OTLP port."""

    def __init__(self, data, port, requests):
        self.data, self.requests = str(data), requests
        self.client = re.compile(rf"TCP:\[127\.0\.0\.1:{port}->127\.0\.0\.1:\d+\]")

    def all(self, calls):
        """Checks everything and prints what was seen."""
        answers = self.answers(calls)
        print(f"{len(calls)} calls, {len(answers)} answers, one at a time the first {self.requests}")
        print(f"durable before     {self.durable_before_answers(calls)} answers")
        print(f"fsync calls        {self.few_syncs(calls)} for one request at a time")
        print(f"keys before log    {self.keys_before_log(calls)} commits with a value that was cut out")
        print(f"names              {self.names_are_durable(calls)} made durable, each before the next answer")

    def fail_where_they_must(self, calls):
        """Each check sees the sync that is missing."""
        kinds = {
            "a fdatasync of a log": (self.durable_before_answers, lambda call: is_log(call.path)),
            "a fdatasync of the keys of subjects": (self.keys_before_log, lambda call: is_subjects(call.path)),
            "a fsync of a directory": (self.names_are_durable, lambda call: not os.path.splitext(call.path)[1]),
            "a fdatasync of a new file": (self.names_are_durable, lambda call: call.path.endswith(".new")),
        }
        for what, (fact, unwanted) in kinds.items():
            try:
                fact(syscalls.without(calls, lambda call: call.name in syscalls.SYNCS and unwanted(call)))
            except Fail:
                continue
            raise Fail(f"the check does not see that {what} is missing")

    def answers(self, calls):
        """Returns the writes that answer a request, over HTTP/1.1 and gRPC, in order."""
        return [call for call in calls if self.client.fullmatch(call.path) and is_answer(call)]

    def durable_before_answers(self, calls):
        """Checks that between a request and its answer a log was written and synced; returns the number of answers."""
        requests, checked = {}, 0
        commits = self.commits(calls)
        for call in calls:
            if not self.client.fullmatch(call.path):
                continue
            if call.name == "recvfrom" and call.result > 0:
                requests.setdefault(call.path, call.ended)
            elif call.result > 0 and is_answer(call):
                since = requests.pop(call.path, 0)
                done = [commit for commit in commits if since < commit[0] and commit[1] < call.began]
                check(done, f"line {call.began + 1}: an answer without a log record written and synced before it")
                checked += 1
                if checked <= self.requests:
                    waiting = [path for path, end in self.unsynced(calls, call.began).items() if end]
                    check(not waiting, f"line {call.began + 1}: an answer while {waiting} is not synced")
        check(checked > self.requests, f"only {checked} answers")
        return checked

    def commits(self, calls):
        """Returns (line of the write, line of the sync's return) of each log record's way to the disk."""
        commits, written = [], {}
        for call in calls:
            if call.name == "pwrite64" and is_log(call.path):
                written.setdefault(draftless(call.path), call.began)
            elif call.is_sync() and draftless(call.path) in written:
                commits.append((written.pop(draftless(call.path)), call.ended))
        return commits

    def unsynced(self, calls, line):
        """Returns for each log whether something is written and not synced at that line."""
        state = {}
        for call in calls:
            if call.began >= line:
                break
            if call.name == "pwrite64" and is_log(call.path):
                state[draftless(call.path)] = True
            elif call.is_sync() and call.ended < line and is_log(call.path):
                state[draftless(call.path)] = False
        return state

    def few_syncs(self, calls):
        """Returns the counts of fsync calls between answers, one request at a time; fails above the limit."""
        answers = self.answers(calls)[: self.requests]
        counts = []
        for before, after in zip(answers, answers[1:]):
            within = [call for call in calls if call.is_sync() and before.began < call.ended < after.began]
            # Once in ten seconds the stream's size enters the root log, beside the requests.
            counts.append(sum("/rootlog/" not in call.path for call in within))
        check(max(counts) <= FSYNCS_MAX, f"{max(counts)} fsync calls for one request: {counts}")
        return f"{min(counts)} to {max(counts)}"

    def keys_before_log(self, calls):
        """Checks that what is written to the keys of subjects is synced before a log is written next."""
        waiting, checked = None, 0
        for call in calls:
            if call.name == "pwrite64" and is_subjects(call.path):
                waiting = call
            elif call.is_sync() and is_subjects(call.path):
                checked += waiting is not None
                waiting = None
            elif call.name == "pwrite64" and "/streams/" in call.path and is_log(call.path):
                check(waiting is None, f"line {call.began + 1}: a log is written before the keys of subjects are synced")
        check(checked > self.requests // 4, f"only {checked} syncs of the keys of subjects")
        return checked

    def names_are_durable(self, calls):
        """Checks that names are synced before the next answer, and files before they get theirs; returns how many."""
        unsynced, files, checked = {}, {}, 0
        for call in calls:
            if call.result < 0:
                continue
            if call.name == "pwrite64" and call.path.endswith(".new"):
                files[call.path] = True
            elif call.name in syscalls.SYNCS:
                files[call.path] = False
                checked += len([path for path in unsynced if os.path.dirname(path) == call.path])
                unsynced = {path: made for path, made in unsynced.items() if os.path.dirname(path) != call.path}
            elif call.name.startswith("rename") and self.must_last(call.paths[-1]):
                check(not files.get(call.paths[0], True), f"line {call.began + 1}: {call.paths[0]} is named unsynced")
                unsynced[call.paths[-1]] = call
            elif call.name.startswith("mkdir") and call.paths[-1].startswith(self.data):
                unsynced[call.paths[-1]] = call
            elif call.name == "openat" and "O_CREAT" in call.arguments and is_subjects(call.paths[-1]):
                unsynced[call.paths[-1]] = call
            elif self.client.fullmatch(call.path) and is_answer(call):
                check(not unsynced, f"line {call.began + 1}: answered while these names are not durable: {[*unsynced]}")
        check(checked > 10, f"only {checked} names")
        return checked

    def must_last(self, path):
        """Returns whether a renamed file must outlast a power cut: all but checkpoints, which come every second, and the socket."""
        return path.startswith(self.data) and not path.endswith(("/checkpoint", "/control.sock"))


def is_answer(call):
    """Returns whether a write begins an HTTP/1.1 response or has the HEADERS that begin one in HTTP/2."""
    if call.name not in ("write", "writev", "sendto", "sendmsg"):
        return False
    sent, at = call.bytes, 0
    if sent.startswith(b"HTTP/1.1 "):
        return True
    while at + 9 <= len(sent):
        length, kind, flags = int.from_bytes(sent[at:at + 3], "big"), sent[at + 3], sent[at + 4]
        if kind == 1 and not flags & 1:  # HEADERS that do not end the stream: trailers do
            return True
        at += 9 + length
    return False


def is_log(path):
    """Returns whether it is a segment, or one in the making."""
    return path.endswith((".seg", ".seg.new"))


def draftless(path):
    """Returns the name that a segment has or gets: an open file keeps its old one in the trace for a while."""
    return path.removesuffix(".new")


def is_subjects(path):
    """Returns whether it is the file of the keys of subjects, or its write-ahead log."""
    return os.path.basename(path) in ("subjects.sqlite", "subjects.sqlite-wal")


if __name__ == "__main__":
    sys.exit(main())
