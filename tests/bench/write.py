#!/usr/bin/env python3
"""Measures what it costs to take spans in, seal and sync them, beside programs that seal nothing, in one run.

    cargo build --release --bin spanseal
    cargo build --release -p spanseal-tests --example passthrough
    tests/real/install.sh rotel
    tests/bench/write.py --spanseal target/release/spanseal --passthrough target/release/examples/passthrough

Generator and server share this machine's cores. Spans are of about 1.2 KB with 20 attributes, requests of 512 unless
said otherwise. CPU time is the server's alone, taken after it has drained. Figures are only worth comparing within one run:
the machine, its load, its file system and what an fdatasync costs there are printed first. Standard library only.

Exit 0 when everything sent was sealed or refused as it should be, 1 when not, 2 when it cannot be measured here.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

BATCH = 512
CONFIG = """
name = "bench.example/agents"
data_dir = "{data}"
[receive]
listen = ["127.0.0.1:{otlp}"]
[http]
listen = "127.0.0.1:{http}"
[index]
enabled = false
[seal]
streams = {streams}
"""


def main():
    """Runs every measurement and returns the exit code."""
    options = parse_options()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="spanseal-bench-", dir=options.folder))
    try:
        return measure(options, folder)
    except Unmeasurable as why:
        print(f"write.py: {why}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parse_options():
    """Returns the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spanseal", required=True, help="the binary, built in release")
    parser.add_argument("--passthrough", help="the example that decodes and encodes each request")
    parser.add_argument("--rotel", default=installed_rotel(), help="the rotel program, if not that of install.sh")
    parser.add_argument("--spans", type=int, default=2_000_000, help="spans of one measurement")
    parser.add_argument("--seconds", type=int, default=20, help="seconds of one measurement at a rate")
    parser.add_argument("--folder", help="where the data directories go; not on tmpfs, whose fsync does nothing")
    return parser.parse_args()


def installed_rotel():
    """Returns the program that `tests/real/install.sh rotel` put into the cache, or None."""
    cache = pathlib.Path(os.environ.get("SPANSEAL_REAL_CACHE") or pathlib.Path.home() / ".cache" / "spanseal-real")
    return next((str(path) for path in cache.glob("rotel/lib/*/site-packages/rotel/rotel-agent")), None)


class Unmeasurable(Exception):
    """Nothing can be measured here; the message says why."""


class Bench:
    """What the measurements share: the programs, an empty folder, and whether all of them held."""

    def __init__(self, options, folder):
        self.options, self.folder, self.failures = options, folder, []

    def row(self, name, figures, *more):
        """Prints one line of the table."""
        latency = figures["latency_ms"]
        cpu, memory = figures["server_cpu_seconds_per_million_spans"], figures["server_peak_memory_bytes"]
        cells = [
            f"{figures['acknowledged_spans_per_second'] / 1000:7.1f} k/s",
            f"p50 {latency['p50']:7.2f}",
            f"p99 {latency['p99']:7.2f} ms",
            f"{cpu:5.2f} CPU-s/M",
            f"{memory / 1e6:6.1f} MB",
            *more,
        ]
        print(f"{name:<34} {'  '.join(cells)}", flush=True)

    def check(self, holds, what):
        """Notes a failure."""
        if not holds:
            self.failures.append(what)
            print(f"FAIL {what}", flush=True)

    def load(self, address, pid, *arguments, spans=None):
        """Runs the generator and returns its figures."""
        spans = spans or self.options.spans
        command = [self.options.spanseal, "load", "--to", address, "--pid", str(pid), "--json", "--spans", str(spans)]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True)
        if not done.stdout.strip():
            raise Unmeasurable(f"the generator failed: {done.stderr.strip()}")
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def collector(self, streams=1):
        """A collector on an empty data directory: yields its address, its pid and its metrics."""
        data = self.folder / "data"
        otlp, http = free_port(), free_port()
        config = self.folder / "spanseal.toml"
        config.write_text(CONFIG.format(data=data, otlp=otlp, http=http, streams=streams))
        process = spawn([self.options.spanseal, "up", "--config", str(config)], self.folder / "up.log")
        try:
            wait_for(lambda: answers(f"http://127.0.0.1:{http}/readyz"), process, self.folder / "up.log")
            yield f"127.0.0.1:{otlp}", process.pid, lambda: metrics(f"http://127.0.0.1:{http}/metrics"), data
        finally:
            stop(process)
            shutil.rmtree(data, ignore_errors=True)


def measure(options, folder):
    """Runs every measurement on a folder of its own and returns the exit code."""
    bench = Bench(options, folder)
    sync = describe_machine(folder)
    full = closed_loop(bench)
    at_a_rate(bench, full)
    one_at_a_time(bench, sync)
    overload(bench, full)
    variants(bench)
    several_streams(bench)
    others(bench)
    print(f"{len(bench.failures)} checks failed" if bench.failures else "all checks held")
    return 1 if bench.failures else 0


def describe_machine(folder):
    """Prints what the figures depend on; returns the p99 of an fdatasync of one request's bytes, in ms."""
    kind = file_system(folder)
    if kind in ("tmpfs", "ramfs"):
        raise Unmeasurable(f"{folder} is on {kind}, where fsync does nothing: name another with --folder")
    sync = sync_latency(folder, BATCH * 1280, 200)
    print(f"cores {os.cpu_count()}, load average {os.getloadavg()[0]:.2f}, kernel {os.uname().release}, file system {kind}")
    print(f"write and fdatasync of {BATCH * 1280} bytes: p50 {sync[0]:.2f} ms, p99 {sync[1]:.2f} ms")
    return sync


def file_system(folder):
    """Returns the kind of file system that a folder is on."""
    mounts = [line.split()[1:3] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
    inside = [(len(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(inside)[1]


def sync_latency(folder, size, times):
    """Returns p50 and p99, in ms, of appending so many bytes to a file and syncing them."""
    path, spent = folder / "sync", []
    chunk = os.urandom(size)
    with open(path, "wb", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(chunk)
            os.fdatasync(file.fileno())
            spent.append((time.perf_counter() - began) * 1000)
    path.unlink()
    spent.sort()
    return spent[len(spent) // 2], spent[int(len(spent) * 0.99)]


def closed_loop(bench):
    """All that it can take: every connection keeps its requests in flight. Returns the figures."""
    with bench.collector() as (address, pid, read_metrics, data):
        figures = bench.load(address, pid)
        sealed = read_metrics()["spanseal_seal_spans_total{outcome=\"sealed\"}"]
        size = sum(path.stat().st_size for path in data.glob("streams/*/*.seg"))
        beyond = size / figures["acknowledged_spans"] - figures["span_bytes"]
        bench.row("closed loop, 16 in flight", figures, f"{beyond:.1f} bytes a span beyond its {figures['span_bytes']:.0f}")
        bench.check(sealed == figures["acknowledged_spans"], f"sealed {sealed}, acknowledged {figures['acknowledged_spans']}")
        bench.check(figures["errors"] == 0, f"{figures['errors']} errors: {figures['first_error']}")
    return figures


def at_a_rate(bench, full):
    """Half of what it can take, in an open loop: a late answer counts from when its request was due."""
    rate = int(full["acknowledged_spans_per_second"] / 2)
    with bench.collector() as (address, pid, _, _):
        seconds = bench.options.seconds
        figures = bench.load(address, pid, "--rate", str(rate), "--seconds", str(seconds), spans=rate * seconds)
        bench.row(f"open loop, {rate / 1000:.0f} k/s (half)", figures)


def one_at_a_time(bench, sync):
    """One request in flight: what a client waits for, beside what the disk takes."""
    with bench.collector() as (address, pid, read_metrics, _):
        spans = min(bench.options.spans, 1000 * BATCH)
        before = read_metrics()["spanseal_seal_groups_total"]
        figures = bench.load(address, pid, "--connections", "1", "--in-flight", "1", spans=spans)
        groups = read_metrics()["spanseal_seal_groups_total"] - before
        requests = figures["acknowledged_spans"] / BATCH
        again = sync_latency(bench.folder, BATCH * 1280, 200)
        disk = max(sync[1], again[1])
        ratio = figures["latency_ms"]["p99"] / disk
        bench.row("one request at a time", figures, f"{groups / requests:.2f} fsyncs a request, p99 {ratio:.1f} x the disk's")


def overload(bench, full):
    """Twice what it can take, and nobody comes again: the surplus is refused, memory stays, no refusal is acknowledged."""
    rate = int(full["acknowledged_spans_per_second"] * 2)
    with bench.collector() as (address, pid, read_metrics, _):
        seconds = bench.options.seconds
        arguments = ["--rate", str(rate), "--seconds", str(seconds), "--give-up", "--connections", "16", "--in-flight", "64"]
        figures = bench.load(address, pid, *arguments, spans=rate * seconds)
        sealed = read_metrics()["spanseal_seal_spans_total{outcome=\"sealed\"}"]
        refused = figures["given_up_spans"]
        bench.row(f"open loop, {rate / 1000:.0f} k/s (twice)", figures, f"{refused} spans refused retryably")
        bench.check(sealed == figures["acknowledged_spans"], f"sealed {sealed}, acknowledged {figures['acknowledged_spans']}")


def variants(bench):
    """Other encodings and shapes, each in a closed loop on a fresh collector."""
    few = max(BATCH, bench.options.spans // 4)
    for name, arguments in [
        ("gzip", ["--compression", "gzip"]),
        ("zstd", ["--compression", "zstd"]),
        ("OTLP/HTTP protobuf", ["--protocol", "http", "--connections", "16"]),
        ("OTLP/HTTP JSON", ["--protocol", "json", "--connections", "16"]),
        ("requests of 64", ["--batch", "64"]),
        ("heavy tail", ["--mix", "heavy-tail"]),
    ]:
        with bench.collector() as (address, pid, read_metrics, _):
            figures = bench.load(address, pid, *arguments, spans=few)
            sealed = read_metrics()["spanseal_seal_spans_total{outcome=\"sealed\"}"]
            bench.row(name, figures, f"spans of {figures['span_bytes']:.0f}")
            bench.check(sealed == figures["acknowledged_spans"], f"{name}: sealed {sealed} of {figures['acknowledged_spans']}")


def several_streams(bench):
    """The closed loop with 1, 2 and 4 streams: each has a thread and an fsync of its own."""
    few = max(BATCH, bench.options.spans // 2)
    for streams in (1, 2, 4):
        with bench.collector(streams) as (address, pid, read_metrics, _):
            figures = bench.load(address, pid, spans=few)
            sealed = read_metrics()["spanseal_seal_spans_total{outcome=\"sealed\"}"]
            bench.row("one stream" if streams == 1 else f"{streams} streams", figures)
            bench.check(sealed == figures["acknowledged_spans"], f"{streams} streams: sealed {sealed}")


def others(bench):
    """The closed loop again, then the same requests through programs that seal nothing; ratios within this pass."""
    with bench.collector() as (address, pid, _, _):
        ours = bench.load(address, pid)
        bench.row("closed loop again", ours)
    for name, program in [("prost decode and encode", bench.options.passthrough), ("rotel, blackhole", bench.options.rotel)]:
        if not program:
            print(f"{name:<34} skipped: not there")
            continue
        with other(bench, name, program) as (address, pid):
            figures = bench.load(address, pid)
            key = "server_cpu_seconds_per_million_spans"
            bench.row(name, figures, f"ours takes {ours[key] / figures[key]:.2f} of its CPU time")
            bench.check(figures["errors"] == 0, f"{name}: {figures['errors']} errors: {figures['first_error']}")


@contextlib.contextmanager
def other(bench, name, program):
    """Another program as a server: yields its address and pid."""
    address = f"127.0.0.1:{free_port()}"
    if "rotel" in name:
        http = f"127.0.0.1:{free_port()}"
        command = [program, "start", "--otlp-grpc-endpoint", address, "--otlp-http-endpoint", http, "--exporter", "blackhole"]
    else:
        command = [program, address]
    log = bench.folder / "other.log"
    process = spawn(command, log)
    try:
        wait_for(lambda: listens(address), process, log)
        yield address, process.pid
    finally:
        stop(process)


# --- processes and sockets


def spawn(command, log):
    """Starts a program with its output in a file."""
    with open(log, "wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


def stop(process):
    """Ends a program that we started."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(ready, process, log):
    """Waits until a program is ready."""
    for _ in range(300):
        if process.poll() is not None:
            raise Unmeasurable(f"{process.args[0]} ended: {log.read_text(errors='replace').strip()[-400:]}")
        if ready():
            return
        time.sleep(0.1)
    raise Unmeasurable(f"{process.args[0]} is not ready after 30 s")


def free_port():
    """Returns a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(address):
    """Whether somebody listens at host:port."""
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def answers(url):
    """Whether a URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def metrics(url):
    """Returns the samples of an OpenMetrics text."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in samples}


if __name__ == "__main__":
    sys.exit(main())
