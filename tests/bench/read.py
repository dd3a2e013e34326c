#!/usr/bin/env python3
"""Measures the read side on a log of its own: verify, find, why, reindex, and what indexing costs acknowledgement.

    read.py --spanseal target/release/spanseal --events 10000000

Prints one table, and with --json the figures. A log needs 1.3 KB an event. Cold: program, log and
index were put out of the page cache. Standard library only.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

READY_SECONDS = 60
STOP_SECONDS = 600


def main():
    """Measures everything, prints the table, and returns the exit code."""
    options = parse_options()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="spanseal-read-", dir=options.folder))
    # A copy that nobody else runs, so that it can be put out of the cache.
    binary = shutil.copy(options.spanseal, folder / "spanseal")
    os.sync()
    try:
        figures = measure(Bench(str(binary), folder, options))
    finally:
        shutil.rmtree(folder)
    print(json.dumps(figures, indent=2) if options.json else table(figures))
    return 0


def parse_options():
    """Returns the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spanseal", required=True, help="the binary to measure")
    parser.add_argument("--events", type=int, default=10_000_000, help="spans in the log")
    parser.add_argument("--queries", type=int, default=50, help="random ids to look up")
    parser.add_argument("--pairs", type=int, default=3, choices=range(1, 100), metavar="N", help="runs with the index beside runs without")
    parser.add_argument("--pair-spans", type=int, default=2_000_000, help="spans of each of these runs")
    parser.add_argument("--folder", help="where the log is made, on the disk to measure")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


class Bench:
    """The binary, and a folder for what it writes."""

    def __init__(self, binary, folder, options):
        self.binary, self.folder, self.options = binary, folder, options
        self.data, self.trust = str(folder / "data"), str(folder / "trust")

    def run(self, *arguments):
        """Runs a command and returns what it prints as JSON, and what it cost: wall, CPU, peak memory."""
        began = time.perf_counter()
        process = subprocess.Popen([self.binary, *arguments, "--json"], stdout=subprocess.PIPE)
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"read.py: {' '.join(arguments)}: exit {process.returncode}\n{said.decode()}")
        cpu = usage.ru_utime + usage.ru_stime
        return json.loads(said), {"seconds": wall, "cpu_seconds": cpu, "peak_bytes": usage.ru_maxrss * 1024}

    @contextlib.contextmanager
    def server(self, data, indexed):
        """Runs `up` and yields its address; stops it when the block ends."""
        config = self.folder / "up.toml"
        config.write_text(f'name = "bench.example/read"\n[index]\nenabled = {str(indexed).lower()}\n')
        arguments = ["up", "--config", config, "--data", data, "--otlp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--json"]
        with open(self.folder / "up.log", "w") as log:
            server = subprocess.Popen([self.binary, *arguments], stdout=subprocess.PIPE, stderr=log)
        try:
            yield server, json.loads(server.stdout.readline())["otlp"][0]
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(STOP_SECONDS)

    def make_cold(self):
        """Puts the program and the data out of the page cache, and nothing of anybody else."""
        for file in [pathlib.Path(self.binary), *self.folder.rglob("*")]:
            if file.is_file():
                with open(file, "rb") as opened:
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def load(self, address, spans, *more):
        """Sends spans as fast as they are taken; returns the figures of `load`."""
        return self.run("load", "--to", address, "--spans", str(spans), *more)[0]


def measure(bench):
    """Makes the log and returns every figure."""
    options = bench.options
    figures = {"machine": machine(bench.folder), "events": options.events}
    with bench.server(bench.data, indexed=False) as (_, address):
        figures["load"] = bench.load(address, options.events)
    bench.run("keys", "pin", bench.trust, "--data", bench.data)
    figures["verify"] = verify(bench)
    done, cost = bench.run("reindex", "--data", bench.data)
    millions = done["events"] / 1e6
    figures["reindex"] = {
        "events_a_second": done["events"] / cost["seconds"],
        "cpu_seconds_a_million": cost["cpu_seconds"] / millions,
        "index_mb_a_million": (bench.folder / "data/index.sqlite").stat().st_size / 1e6 / millions,
        "peak_mb": cost["peak_bytes"] / 1e6,
    }
    figures["lookups"] = lookups(bench, done["events"])
    shutil.rmtree(bench.data)
    figures["acknowledgement"] = acknowledgement(bench)
    figures["machine"]["load_average_after"] = os.getloadavg()[0]
    return figures


def machine(folder):
    """Says on what the figures were measured."""
    mount = subprocess.run(["df", "--output=fstype,avail", folder], capture_output=True, text=True).stdout.split()
    if mount[-2] == "tmpfs":
        raise SystemExit(f"read.py: {folder} is in memory; name a folder on a disk with --folder")
    return {"cores": os.cpu_count(), "filesystem": mount[-2], "load_average_before": os.getloadavg()[0]}


def verify(bench):
    """Verifies the whole log, cold and warm, and once more from where that ended."""
    resume = str(bench.folder / "verified")
    whole = ["verify", bench.data, "--trust", bench.trust]
    runs = {"cold": whole, "warm": whole, "saving": [*whole, "--resume", resume], "resumed": [*whole, "--resume", resume]}
    figures = {}
    for name, arguments in runs.items():
        if name == "cold":
            bench.make_cold()
        report, cost = bench.run(*arguments)
        events = report["totals"]["events"]
        figures[name] = {
            "seconds": cost["seconds"],
            "events_a_second": events / cost["seconds"],
            "events_a_cpu_second": events / cost["cpu_seconds"],
            "peak_mb": cost["peak_bytes"] / 1e6,
        }
        assert bool(report.get("resumed")) == (name == "resumed"), report.get("started_over")
    return figures


def lookups(bench, events):
    """Looks random spans up by every id, and returns the quantiles in milliseconds, process start included."""
    chance = random.Random(7)
    stream = next(pathlib.Path(bench.data, "streams").iterdir()).name
    rows = []
    while len(rows) < bench.options.queries:
        found, _ = bench.run("find", "--data", bench.data, "--event", f"{stream}-{chance.randrange(events)}")
        rows += [row for row in found["rows"] if "trace" in row]
        assert found["progress"]["indexed"] == found["progress"]["size"], found["progress"]
    questions = {
        "find --trace": lambda row: ["find", "--trace", row["trace"]],
        "find --span": lambda row: ["find", "--span", row["span"]],
        "find --event": lambda row: ["find", "--event", row["event"]],
        "why TRACE": lambda row: ["why", row["trace"]],
        "why EVENT": lambda row: ["why", row["event"]],
    }
    figures = {}
    for name, question in questions.items():
        for cold in (False, True):
            times = []
            for row in rows:
                if cold:
                    bench.make_cold()
                answer, cost = bench.run(*question(row), "--data", bench.data)
                check_answer(answer)
                times.append(cost["seconds"] * 1000)
            figures[f"{name}, {'cold' if cold else 'warm'}"] = quantiles(times)
    return figures


def check_answer(answer):
    """Makes sure that something was found, and that what `why` says is proven."""
    if "tree" in answer:
        assert answer["tree"] and '"included"' in json.dumps(answer).lower(), answer
    else:
        assert answer["rows"], answer


def quantiles(times):
    """Returns median, 95th percentile and maximum."""
    ordered = sorted(times)
    return {"p50": statistics.median(ordered), "p95": ordered[int(0.95 * (len(ordered) - 1))], "max": ordered[-1]}


def acknowledgement(bench):
    """Sends to servers with and without the index in turns; returns each rate, the ratio, and how far the index came."""
    pairs = []
    for number in range(bench.options.pairs):
        pair = {}
        for indexed in (True, False) if number % 2 else (False, True):
            data = str(bench.folder / "pair")
            with bench.server(data, indexed) as (server, address):
                rate = bench.load(address, bench.options.pair_spans)["acknowledged_spans_per_second"]
                if indexed:
                    progress = bench.run("find", "--data", data, "--limit", "1")[0]["progress"]
                    pair["indexed_share"] = progress["indexed"] / max(progress["size"], 1)
                    server.kill()  # what is left to index is not waited for
            pair["with" if indexed else "without"] = rate
            shutil.rmtree(data)
        pairs.append(pair)
    ratio = statistics.median(pair["with"] / pair["without"] for pair in pairs)
    return {"pairs": pairs, "ratio": ratio}


def table(figures):
    """Returns the figures as text."""
    machine = figures["machine"]
    lines = [
        f"{machine['cores']} cores, {machine['filesystem']}, load average {machine['load_average_before']:.1f} before, "
        f"{machine['load_average_after']:.1f} after; {figures['events']:,} spans",
    ]
    for name, run in figures["verify"].items():
        lines.append(
            f"verify, {name:<14} {run['seconds']:8.2f} s  {run['events_a_second']:12,.0f} events/s  "
            f"{run['events_a_cpu_second']:12,.0f} events/CPU-s  {run['peak_mb']:6.0f} MB"
        )
    reindex = figures["reindex"]
    lines.append(
        f"reindex                {reindex['events_a_second']:10,.0f} events/s  "
        f"{reindex['cpu_seconds_a_million']:6.1f} CPU-s and {reindex['index_mb_a_million']:.0f} MB a million"
    )
    for name, times in figures["lookups"].items():
        lines.append(f"{name:<22} p50 {times['p50']:7.1f} ms  p95 {times['p95']:7.1f} ms  max {times['max']:7.1f} ms")
    for pair in figures["acknowledgement"]["pairs"]:
        lines.append(
            f"acknowledged           {pair['with']:10,.0f} spans/s with the index, {pair['without']:10,.0f} without; "
            f"{pair['indexed_share']:.0%} was indexed by then"
        )
    lines.append(f"ratio, median          {figures['acknowledgement']['ratio']:.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
