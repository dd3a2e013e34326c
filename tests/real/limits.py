#!/usr/bin/env python3
"""Shows that hostile clients cost a well-behaved one nothing but a little time, and the server bounded memory.

    limits.py --spanseal PATH_TO_BINARY [--seconds N]

Starts `spanseal up` in a temporary folder, on free ports of loopback. While one client sends ten small requests a
second, others send, for N seconds each: bombs that inflate to 600 MB; bodies of 100 MB; 1,000 connections at one byte
a second; more bytes at once than may be in flight; 500,000 and 2,000,000 spans in a request. Prints a table; every
answer is checked, and every acknowledged span must be in the ledger.

Exit 0 all held, 1 something did not, 2 there is no binary. Standard library only.
"""

import collections
import dataclasses
import multiprocessing
import os
import resource
import sys
import threading
import time

from limits_load import SLOW_CONNECTIONS, Client, bombs, large_bodies, quiet, slow_connections, surplus, tiny_spans
from program import Server, check, options, outcome
from sealed import span_ids

MIB = 1 << 20
REQUEST_BYTES_MAX = 64 * MIB
IN_FLIGHT_BYTES_MAX = 256 * MIB
# What is no request's: connections and their buffers, decoders, sealing, and what the allocator keeps.
OTHER_BYTES_MAX = 96 * MIB
HEADER_SECONDS = 3
BODY_SECONDS = 10
# The window's own memory, 40.5 bytes an entry, is not what is tried here.
WINDOW_ENTRIES_MAX = 10_000
SETTINGS = f"""[receive]
request_bytes_max = {REQUEST_BYTES_MAX}
in_flight_bytes_max = {IN_FLIGHT_BYTES_MAX}
header_seconds = {HEADER_SECONDS}
body_seconds = {BODY_SECONDS}
[seal]
window_entries_max = {WINDOW_ENTRIES_MAX}
"""


def main():
    """Returns the exit code."""
    asked = options(__doc__, seconds=(7.0, "of each phase"))
    allow_many_files()
    return outcome("limits", lambda folder: show(asked.spanseal, folder, asked.seconds))


def allow_many_files():
    """Raises the limit of open files as far as this process may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def show(binary, folder, seconds):
    """Runs every phase against one server; fails with everything that did not hold."""
    began, faults, acknowledged = time.monotonic(), [], set()
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {seconds:.0f} s a phase")
    (folder / "spanseal.toml").write_text(SETTINGS)
    more = ("--config", str(folder / "spanseal.toml"))
    with Server(binary, folder / "data", folder / "spanseal.log", more=more) as server:
        idle = server.memory("VmRSS")
        bound = idle + IN_FLIGHT_BYTES_MAX + OTHER_BYTES_MAX
        print(HEADLINE)
        for phase in PHASES:
            row = run_phase(server, phase, seconds, acknowledged)
            print(row.text(), flush=True)
            faults += row.faults
        peak = server.memory("VmHWM")
        reason = f"idle + {mib(IN_FLIGHT_BYTES_MAX)} in flight + {mib(OTHER_BYTES_MAX)} for all else"
        print(f"VmRSS idle {mib(idle)}, VmHWM {mib(peak)}, bound {mib(bound)} MiB ({reason})")
        if peak > bound:
            faults.append(f"memory: {mib(peak)} MiB is over {mib(bound)} MiB")
        server.must_run()
        server.stop()
    lost = acknowledged - span_ids(folder / "data").keys()
    print(f"acknowledged {len(acknowledged)} spans, lost {len(lost)}; {time.monotonic() - began:.0f} s in all")
    if lost or not acknowledged:
        faults.append(f"{len(lost)} of {len(acknowledged)} acknowledged spans are not in the ledger")
    check(not faults, "; ".join(faults))


# --- phases


@dataclasses.dataclass(frozen=True)
class Phase:
    """What others do while the well-behaved client goes on, and the answers that they may and must get."""

    name: str
    others: list
    allowed: set
    needed: set
    seconds_min: float = 1


TINY_SPANS = 500_000
SURPLUS_CLIENTS = 8
SURPLUS_BYTES = 40 * MIB
PHASES = [
    Phase("nobody else", [(quiet,)], set(), set()),
    Phase(
        "bombs of 600 MB",
        [(bombs, "gzip"), (bombs, "zstd"), (bombs, "gzip"), (bombs, "zstd")],
        {"gzip 413", "zstd 413", "gzip 503 retry", "zstd 503 retry"},
        {"gzip 413", "zstd 413"},
    ),
    Phase(
        "bodies of 100 MB",
        [(large_bodies, False), (large_bodies, True), (large_bodies, False), (large_bodies, True)],
        {"length 413", "chunked 413", "chunked 503 retry"},
        {"length 413", "chunked 413"},
    ),
    Phase(
        f"{SLOW_CONNECTIONS} slow connections",
        [(slow_connections, "head"), (slow_connections, "body")],
        {"head closed", "body 503 retry"},
        {"head closed", "body 503 retry"},
        BODY_SECONDS + 3,  # to see them end
    ),
    Phase(
        f"{SURPLUS_CLIENTS} x {SURPLUS_BYTES // MIB} MiB in flight",
        [(surplus, SURPLUS_BYTES)] * SURPLUS_CLIENTS,
        {"200", "503 retry"},
        {"200", "503 retry"},
    ),
    Phase(
        f"{TINY_SPANS} spans in a request",
        [(tiny_spans, TINY_SPANS)] * 6 + [(tiny_spans, 4 * TINY_SPANS)],
        {"200", "503 retry", "400"},
        {"200", "503 retry", "400"},
    ),
]


HEADLINE = "phase                        requests  p50 ms  p99 ms  max ms again VmRSS MiB  answers"


@dataclasses.dataclass
class Row:
    """A phase's line of the table, and what did not hold in it."""

    phase: Phase
    client: Client
    answers: collections.Counter
    rss_max: int
    faults: list

    def text(self):
        """Returns the line."""
        times = sorted(self.client.latencies)
        at = lambda share: times[min(len(times) - 1, int(share * len(times)))] * 1000
        said = ", ".join(f"{answer}: {count}" for answer, count in sorted(self.answers.items())) or "-"
        return (
            f"{self.phase.name:<28} {len(times):>8} {at(0.5):>7.1f} {at(0.99):>7.1f} {times[-1] * 1000:>7.1f} "
            f"{self.client.again:>5} {mib(self.rss_max):>9}  {said}"
        )


def run_phase(server, phase, seconds, acknowledged):
    """Runs the well-behaved client beside the others for a while."""
    until = time.monotonic() + max(seconds, phase.seconds_min)
    results = multiprocessing.Queue()
    others = [
        multiprocessing.Process(target=run_other, args=(results, server.port, until, *other)) for other in phase.others
    ]
    for other in others:
        other.start()
    client, watch = Client(server.port), MemoryWatch(server)
    client.run(until)
    answers, faults = collections.Counter(), list(client.faults)
    for _ in others:
        said, spans, broken = results.get(timeout=120)
        answers += said
        acknowledged |= spans
        faults += broken
    for other in others:
        other.join()
    acknowledged |= client.acknowledged
    faults += [f"answered {answer}, {answers[answer]} times" for answer in answers.keys() - phase.allowed]
    faults += [f"nobody was answered {answer}" for answer in phase.needed - answers.keys()]
    return Row(phase, client, answers, watch.end(), [f"{phase.name}: {fault}" for fault in faults])


def run_other(results, port, until, other, *args):
    """Runs one of the others, and reports what came of it, its own failure included."""
    try:
        results.put((*other(port, until, *args), []))
    except Exception as error:
        results.put((collections.Counter(), set(), [f"{other.__name__} failed: {error!r}"]))


class MemoryWatch:
    """Reads the server's memory twenty times a second, until its end."""

    def __init__(self, server):
        self.server, self.max, self.ended = server, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        """Remembers the most."""
        while not self.ended.wait(0.05):
            self.max = max(self.max, self.server.memory("VmRSS"))

    def end(self):
        """Stops, and returns the most bytes seen."""
        self.ended.set()
        self.thread.join()
        return self.max


def mib(size):
    """Returns a size in MiB, rounded."""
    return round(size / MIB)


if __name__ == "__main__":
    sys.exit(main())
