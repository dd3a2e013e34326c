#!/usr/bin/env python3
"""Kills a real `spanseal up` or `collect` with `kill -9` under load, again and again: nothing acknowledged is lost.

    crash.py --spanseal PATH_TO_BINARY [--kills 100] [--spans 10000] [--rate 8000] [--seed 1] [--collect]

Between two kills at least `--spans` spans are acknowledged, and the client is still sending when the kill comes; it
tries again on its own until it has sent everything. The server is started again on the same data directory and ports,
and nothing else is done. Every tenth start is killed as well, before it is ready. In the end:

  * every acknowledged span is in the ledger exactly once (read from the segment files by sealed.py);
  * no index was signed twice, in what any of the kills left behind;
  * `verify` and the verifier in Python hold, with pins taken on the way and at the end;
  * the index, which was killed as often, has each span once; not with --collect, which runs without one.

Exit 0 it holds, 1 it does not, 2 there is no binary. Standard library only.
"""

import json
import random
import statistics
import sys
import time

from program import Server, acknowledged_spans, check, check_verifies, load, options, outcome, run, wait_until
from sealed import Seals, exactly_once

PATIENCE_SECONDS = 120
BETWEEN_SECONDS = 120
INDEX_SECONDS = 600
PIN_EVERY = 10
KILLED_STARTS_EVERY = 10


def main():
    """Returns the exit code."""
    asked = options(
        __doc__, kills=(100,), spans=(10_000, "acknowledged between two kills, at least"),
        rate=(8_000, "spans a second that a client sends"), collect=(True, "run `collect`, which has no index"),
        seed=(1, "draws the moments of the kills"), streams=(1, "streams at once"),
    )
    return outcome("crash", lambda folder: show(Crash(folder, asked)))


def show(crash):
    """Runs it, and leaves no process behind."""
    try:
        crash.show()
    finally:
        crash.end()


class Crash:
    """One data directory through many kills."""

    def __init__(self, folder, asked):
        self.binary, self.folder, self.options = asked.spanseal, folder, asked
        self.data, self.log = folder / "data", folder / "spanseal.log"
        self.trust, self.acknowledged, self.clients = folder / "trust", [], []
        self.config = folder / "spanseal.toml"
        self.config.write_text(f"[seal]\nstreams = {asked.streams}\n")
        self.seals, self.dice = Seals(self.data), random.Random(asked.seed)
        self.ready, self.torn, self.killed_starts, self.pins, self.server = [], 0, 0, 0, None

    def show(self):
        """Kills, checks, prints the figures."""
        self.server = self._server().ready()
        for number in range(1, self.options.kills + 1):
            self._wait_for_spans()
            self._kill(number)
        self._wait_for_spans()
        for client in self.clients:
            check(client.wait(PATIENCE_SECONDS) == 0, f"a client ended with {client.returncode}: {client.stderr.read()}")
        if not self.options.collect:
            wait_until(self._is_indexed, "the index has caught up", INDEX_SECONDS, 0.5)
        self.server.must_stop()
        self._check()

    def end(self):
        """Leaves no process behind."""
        for process in self.clients:
            process.kill()
        if self.server:
            self.server.kill()

    def _server(self, **addresses):
        """Starts the server and does not wait for it."""
        command = "collect" if self.options.collect else "up"
        return Server(self.binary, self.data, self.log, command=command, more=("--config", self.config), **addresses)

    def _kill(self, number):
        """Kills the server, looks at what is left, and starts it again."""
        if number % PIN_EVERY == 0:
            run(self.binary, "keys", "pin", self.trust, "--data", self.data)
            self.pins += 1
        self.server.kill()
        self.torn += self.seals.look()
        addresses = {"otlp": self.server.otlp, "http": self.server.http}
        if number % KILLED_STARTS_EVERY == 0:
            self._kill_a_start(addresses)
        self.server = self._server(**addresses).ready()
        self.ready.append(self.server.ready_seconds)

    def _kill_a_start(self, addresses):
        """Starts the server and kills it at a moment of its start."""
        slowest = max(self.ready, default=1)
        starting = self._server(**addresses)
        time.sleep(self.dice.random() * slowest)
        starting.kill()
        self.torn += self.seals.look()
        self.killed_starts += 1

    def _wait_for_spans(self):
        """Starts a client and waits until it has so many spans acknowledged as were asked for, and is still sending.

        Its last spans are for the kill to hit: it tries again until it has them acknowledged as well.
        """
        under_load = False
        while not under_load:
            self.acknowledged.append(self.folder / f"acknowledged{len(self.acknowledged)}")
            words = ("--spans", self.options.spans * 5 // 4, "--batch", 64, "--rate", self.options.rate)
            words += ("--patience-seconds", PATIENCE_SECONDS)
            client = load(self.binary, self.server.otlp, self.acknowledged[-1], *words)
            self.clients.append(client)
            wait_until(self._are_acknowledged, f"{self.options.spans} acknowledged spans", BETWEEN_SECONDS, 0.002)
            time.sleep(self.dice.random() * self.options.spans / self.options.rate / 8)
            under_load = client.poll() is None

    def _are_acknowledged(self):
        """Returns whether the newest client has as many spans acknowledged as were asked for."""
        self.server.must_run()
        return acknowledged_spans(self.acknowledged[-1]) >= self.options.spans

    def _check(self):
        """Holds what is sealed against what was acknowledged, prints the figures, and verifies."""
        self.torn += self.seals.look()
        check(not self.seals.twice, f"signed twice: {self.seals.twice}")
        spans, sealed = exactly_once(self.data, *self.acknowledged)
        print(f"kills              {self.options.kills}, and {self.killed_starts} of starts that were not ready")
        print(f"acknowledged       {spans} spans, each once among {sealed} sealed")
        print(f"time to ready      p50 {statistics.median(self.ready):.2f} s, max {max(self.ready):.2f} s")
        print(f"torn tails         {self.torn} of {self.options.kills + self.killed_starts + 1} looked at")
        print(f"batches looked at  {len(self.seals.seen)}, no index of an epoch with two", flush=True)
        if not self.options.collect:
            self._check_index(sealed)
        if self.pins == 0:
            run(self.binary, "keys", "pin", self.trust, "--data", self.data)
        check_verifies(self.binary, self.data, self.trust)
        print(f"verified           by both, with {self.pins} pins taken on the way")

    def _is_indexed(self):
        """Returns whether the index has everything that was durable a moment ago."""
        found = json.loads(run(self.binary, "find", "--data", self.data, "--limit", 1, "--json"))
        return found["progress"]["indexed"] == found["progress"]["size"]

    def _check_index(self, spans):
        """The index has each span: what it did not have of a killed process it read again, once."""
        events, after = [], []
        while after is not None:
            page = json.loads(run(self.binary, "find", "--data", self.data, "--limit", 10_000, *after, "--json"))
            events += [row["event"] for row in page["rows"] if row["kind"] == "span"]
            after = ["--after", page["next"]] if page["next"] is not None else None
        rows = len(set(events))
        check(len(events) == rows, f"the index has {len(events) - rows} spans twice")
        check(rows == spans, f"the index has {rows} of {spans} spans")


if __name__ == "__main__":
    sys.exit(main())
