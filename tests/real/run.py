#!/usr/bin/env python3
"""Drives OTLP clients and backends that we did not write against a real `spanseal up`.

    install.sh && run.py --spanseal PATH_TO_BINARY [CASE ...]

Every case prints PASS, FAIL or SKIP with its reason; the last line counts them. A case whose component is not in the
cache folder is skipped. Exit 0 no case failed, 1 one did, 2 there is no binary to try. Standard library only.
"""

import argparse
import contextlib
import dataclasses
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import traceback
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("SPANSEAL_REAL_CACHE") or pathlib.Path.home() / ".cache" / "spanseal-real")
READY_SECONDS = 30
ARRIVE_SECONDS = 30
STOP_SECONDS = 20
CLIENT_SECONDS = 60
LIMITS_SECONDS = 150


def main():
    """Runs the cases asked for and returns the exit code."""
    options = parse_options()
    if not os.access(options.spanseal, os.X_OK):
        print(f"run.py: no executable at {options.spanseal}", file=sys.stderr)
        return 2
    binary = str(pathlib.Path(options.spanseal).resolve())
    results = [run_case(case, binary) for case in CASES if not options.case or case.__name__ in options.case]
    passed, failed, skipped = (results.count(word) for word in ("PASS", "FAIL", "SKIP"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


def parse_options():
    """Returns the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spanseal", required=True, help="the binary to try")
    names = [case.__name__ for case in CASES]
    parser.add_argument("case", nargs="*", help=f"the cases to run, else all: {', '.join(names)}")
    options = parser.parse_args()
    for name in options.case:
        if name not in names:
            parser.error(f"no case {name}; there are {', '.join(names)}")
    return options


def run_case(case, binary):
    """Runs one case in a folder of its own, prints what became of it and returns PASS, FAIL or SKIP.

    The folder of a failed case stays, and the ends of its logs are printed.
    """
    folder = pathlib.Path(tempfile.mkdtemp(prefix="spanseal-real-"))
    name = case.__name__.replace("_", " ")
    began = time.monotonic()
    try:
        case(Run(binary, folder))
    except Skip as skip:
        shutil.rmtree(folder)
        print(f"SKIP {name}: {skip}", flush=True)
        return "SKIP"
    except Exception as error:  # one broken case must not hide the others
        if not isinstance(error, Fail):
            traceback.print_exc()
        print_logs(folder)
        print(f"FAIL {name}: {error} (folder {folder})", flush=True)
        return "FAIL"
    shutil.rmtree(folder)
    print(f"PASS {name} ({time.monotonic() - began:.1f} s)", flush=True)
    return "PASS"


def print_logs(folder):
    """Prints the last lines of every log in `folder` to stderr."""
    for log in sorted(folder.rglob("*.log")):
        print(f"--- {log.relative_to(folder)}", file=sys.stderr)
        print("\n".join(log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)


class Skip(Exception):
    """A component that the case needs is not installed; the message names it."""


class Fail(Exception):
    """What the case checks does not hold; the message says what was seen."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What a case is given: the binary to try and an empty folder of its own."""

    binary: str
    folder: pathlib.Path


# --- cases


def python_sdk_over_grpc(run):
    """The Python SDK exports over gRPC, and every span is sealed."""
    with started_spanseal(run) as server:
        check_sealed(run, python_agent("grpc", server.grpc))
    check_verifies(run)


def python_sdk_over_http_protobuf(run):
    """The Python SDK exports more than one batch of gzipped protobuf over HTTP, and every span is sealed."""
    with started_spanseal(run) as server:
        trace = python_agent("http", server.http, "--spans", "1000", OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
        check_sealed(run, trace)
    check_verifies(run)


def javascript_sdk_over_http_json(run):
    """The JavaScript SDK exports JSON over HTTP, and every span is sealed."""
    with started_spanseal(run) as server:
        check_sealed(run, javascript_agent(server.http))
    check_verifies(run)


def stock_collector_in_between(run):
    """A collector with Spanseal as second exporter: sealed here, and the team's backend still has the same spans."""
    with started_spanseal(run) as server, team_backend() as team:
        with started_collector(run, team.url, server.grpc) as collector:
            trace = python_agent("grpc", collector.grpc)
            check_sealed(run, trace)
            wait_until(lambda: trace.span_ids <= team.span_ids, "the team's backend has every span")
    check_verifies(run)


def stock_collector_outlasts_spanseal_being_away(run):
    """Spanseal starts after the agent has ended: the collector retried, and nothing is missing."""
    ports = free_ports()
    with team_backend() as team, started_collector(run, team.url, ports.grpc) as collector:
        trace = python_agent("grpc", collector.grpc)
        wait_until(lambda: trace.span_ids <= team.span_ids, "the team's backend has every span")
        with started_spanseal(run, ports):
            check_sealed(run, trace)
    check_verifies(run)


def hostile_clients_cost_others_nothing(run):
    """Bombs, large bodies, slow connections and surplus load: the right answers, bounded memory, and no span lost."""
    print(expect_exit_0([sys.executable, str(HERE / "limits.py"), "--spanseal", run.binary], seconds=LIMITS_SECONDS))


def phoenix_finds_a_forwarded_span_by_its_event_over_grpc(run):
    """Spans forwarded to Phoenix over gRPC are found there by their event's id."""
    with started_phoenix(run) as phoenix:
        check_found_in_phoenix(run, phoenix.url, Forward(phoenix.grpc, "grpc"))


def phoenix_finds_a_forwarded_span_by_its_event_over_http(run):
    """Spans forwarded to Phoenix as protobuf over HTTP are found there by their event's id."""
    with started_phoenix(run) as phoenix:
        check_found_in_phoenix(run, phoenix.url, Forward(phoenix.http, "http"))


CASES = [
    python_sdk_over_grpc,
    python_sdk_over_http_protobuf,
    javascript_sdk_over_http_json,
    stock_collector_in_between,
    stock_collector_outlasts_spanseal_being_away,
    hostile_clients_cost_others_nothing,
    phoenix_finds_a_forwarded_span_by_its_event_over_grpc,
    phoenix_finds_a_forwarded_span_by_its_event_over_http,
]


# --- spanseal: how it is started, asked and checked; only this part knows its command line


@dataclasses.dataclass(frozen=True)
class Ports:
    """Where a Spanseal listens on loopback: OTLP over gRPC and over HTTP, and health."""

    grpc: int
    http: int
    health: int


@dataclasses.dataclass(frozen=True)
class Forward:
    """A backend that Spanseal forwards to: its port on loopback, and `grpc` or `http`."""

    port: int
    protocol: str


def free_ports():
    """Returns three ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        return Ports(*(listening.getsockname()[1] for listening in sockets))


@contextlib.contextmanager
def started_spanseal(run, ports=None, forward=None):
    """Runs `spanseal up --config FILE` while the block lasts and yields its ports.

    The ports are chosen here and written into FILE, as the binary need not print anything. It is ready when
    `GET /readyz` on the health port answers 200, and is ended with SIGTERM. Its data is in `data` of the run's folder.
    """
    ports = ports or free_ports()
    config = run.folder / "spanseal.toml"
    config.write_text(spanseal_config(run, ports, forward))
    with started([run.binary, "up", "--config", str(config)], run.folder / "spanseal.log") as process:
        wait_until(lambda: is_ready(process, ports.health), "spanseal answers /readyz with 200", READY_SECONDS)
        yield ports


def spanseal_config(run, ports, forward):
    """Returns the TOML for `spanseal up`."""
    lines = [
        f'data_dir = "{run.folder / "data"}"',
        "[receive]",
        f'listen = ["127.0.0.1:{ports.grpc}", "127.0.0.1:{ports.http}"]',
        "[http]",
        f'listen = "127.0.0.1:{ports.health}"',
    ]
    if forward:
        lines += ["[[forward]]", 'name = "phoenix"']
        lines += [f'endpoint = "http://127.0.0.1:{forward.port}"', f'protocol = "{forward.protocol}"']
    text = "\n".join(lines) + "\n"
    tomllib.loads(text)
    return text


def is_ready(process, port):
    """Returns whether the health port says ready; fails at once when the process has ended."""
    if process.poll() is not None:
        raise Fail(f"spanseal up ended with exit code {process.returncode}")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def sealed_events(run, trace_id):
    """Returns span id -> event id of a trace's sealed spans, as `spanseal why TRACE --data DIR --json` has them.

    A trace that is not known yet (any other exit code than 0) has none; a span that is only named as a parent is not
    sealed.
    """
    command = [run.binary, "why", trace_id, "--data", str(run.folder / "data"), "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_SECONDS)
    if answer.returncode != 0:
        return {}
    tree = json.loads(answer.stdout)["tree"]
    return {entry["span"]: entry["place"]["event"] for entry in tree if entry["node"] == "span"}


def objects(value):
    """Yields every JSON object inside `value`."""
    if isinstance(value, dict):
        yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    for child in children:
        yield from objects(child)


def check_sealed(run, trace):
    """Waits until `why` shows every span of the trace, fails when it does not or shows others, and returns the events.

    An acknowledged span is durable, but behind a batching collector it arrives after the agent has ended.
    """
    seen = {}

    def all_sealed():
        seen.clear()
        seen.update(sealed_events(run, trace.trace_id))
        return trace.span_ids <= seen.keys()

    try:
        wait_until(all_sealed, "every span is sealed")
    except Fail:
        raise Fail(f"{len(trace.span_ids & seen.keys())} of {len(trace.span_ids)} spans sealed") from None
    if surplus := seen.keys() - trace.span_ids:
        raise Fail(f"spans sealed that the agent did not emit: {sorted(surplus)}")
    return seen


def check_verifies(run):
    """Pins the ledger's state and fails unless `spanseal verify DIR --trust FILE --json` exits 0.

    Without a trust file the anchor would be the ledger itself, which verify calls unchecked (exit 2). Both run on a
    stopped Spanseal.
    """
    data, trust = str(run.folder / "data"), str(run.folder / "trust")
    expect_exit_0([run.binary, "keys", "pin", trust, "--data", data])
    json.loads(expect_exit_0([run.binary, "verify", data, "--trust", trust, "--json"]))


def check_found_in_phoenix(run, url, forward):
    """Seals a trace that is forwarded to Phoenix, and finds one of its spans there by the event id `why` gave it."""
    with started_spanseal(run, forward=forward) as server:
        trace = python_agent("grpc", server.grpc)
        events = check_sealed(run, trace)
        span_id, event = next(iter(events.items()))
        if not event:
            raise Fail(f"why names no event for span {span_id}")
        find = [sys.executable, str(HERE / "phoenix_find.py"), "--url", url, "--wait", str(ARRIVE_SECONDS)]
        found = expect_exit_0([*find, "--event", event]).split()
        if found != [span_id]:
            raise Fail(f"event {event} is span {span_id}, but Phoenix has it on {found}")
    check_verifies(run)


# --- clients


@dataclasses.dataclass(frozen=True)
class Trace:
    """What an agent emitted: ids in lower-case hex."""

    trace_id: str
    span_ids: frozenset


def python_agent(protocol, port, *extra, **environment):
    """Runs agent.py against a port of loopback and returns what it emitted."""
    python = require("python", "bin/python")
    endpoint = f"http://127.0.0.1:{port}"
    command = [str(python), str(HERE / "agent.py"), "--protocol", protocol, "--endpoint", endpoint, *extra]
    return emitted(command, environment)


def javascript_agent(port):
    """Runs agent.mjs against a port of loopback and returns what it emitted."""
    require("node", "node_modules")
    return emitted(["node", str(HERE / "agent.mjs"), "--endpoint", f"http://127.0.0.1:{port}"], {})


def emitted(command, environment):
    """Runs an agent and returns the trace that it printed."""
    *spans, trace_id = expect_exit_0(command, {**os.environ, **environment}).splitlines()
    return Trace(trace_id, frozenset(line.split()[0] for line in spans))


def require(component, path):
    """Returns a path in a component's cache folder, or skips the case: install.sh writes `installed` last."""
    folder = CACHE / component
    if not (folder / "installed").exists():
        raise Skip(f"{component} is not installed (install.sh {component})")
    return folder / path


# --- the collector and the backends


@contextlib.contextmanager
def started_collector(run, team_url, spanseal_port):
    """Runs the stock collector with otelcol-config.yaml while the block lasts and yields its ports."""
    binary = require("otelcol", "otelcol")
    ports = free_ports()
    environment = {
        **os.environ,
        "COLLECTOR_GRPC": f"127.0.0.1:{ports.grpc}",
        "COLLECTOR_HTTP": f"127.0.0.1:{ports.http}",
        "TEAM_ENDPOINT": team_url,
        "SPANSEAL_ENDPOINT": f"127.0.0.1:{spanseal_port}",
    }
    command = [str(binary), "--config", str(HERE / "otelcol-config.yaml")]
    with started(command, run.folder / "collector.log", environment) as process:
        wait_until(lambda: is_listening(process, ports.grpc), "the collector listens", READY_SECONDS)
        yield ports


def is_listening(process, port):
    """Returns whether the port takes connections; fails at once when the process has ended."""
    if process.poll() is not None:
        raise Fail(f"the collector ended with exit code {process.returncode}")
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


class TeamBackend(http.server.ThreadingHTTPServer):
    """The backend that the team had before: takes OTLP/HTTP JSON and remembers the span ids."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), TeamHandler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.span_ids = set()


class TeamHandler(http.server.BaseHTTPRequestHandler):
    """Answers every OTLP request with full success."""

    def do_POST(self):
        """Takes one ExportTraceServiceRequest."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.span_ids.update(entry["spanId"] for entry in objects(request) if "startTimeUnixNano" in entry)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format, *args):
        """Keeps requests off stderr."""


@contextlib.contextmanager
def team_backend():
    """Serves the team's backend while the block lasts."""
    with TeamBackend() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@dataclasses.dataclass(frozen=True)
class Phoenix:
    """Where Phoenix listens on loopback."""

    http: int
    grpc: int
    url: str


@contextlib.contextmanager
def started_phoenix(run):
    """Runs Phoenix while the block lasts and yields where it listens."""
    require("phoenix", "bin/phoenix")
    folder, script = run.folder / "phoenix", str(HERE / "phoenix.sh")
    try:
        expect_exit_0([script, "start", str(folder)], seconds=180)
        http_port, grpc_port = (int((folder / name).read_text()) for name in ("http_port", "grpc_port"))
        yield Phoenix(http_port, grpc_port, f"http://127.0.0.1:{http_port}")
    finally:
        subprocess.run([script, "stop", str(folder)], timeout=CLIENT_SECONDS, check=False)


# --- processes


@contextlib.contextmanager
def started(command, log, environment=None):
    """Runs a process while the block lasts, its output in `log`; then sends SIGTERM, and fails when it stays."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=log.parent
        )
    try:
        yield process
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Fail(f"{pathlib.Path(command[0]).name} did not end within {STOP_SECONDS} s of SIGTERM") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def expect_exit_0(command, environment=None, seconds=CLIENT_SECONDS):
    """Runs a command to its end and returns its stdout; fails with the end of its output when it exits otherwise."""
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=seconds)
    if answer.returncode != 0:
        said = (answer.stderr or answer.stdout).strip()[-800:]
        words = " ".join(pathlib.Path(word).name for word in command[:3])
        raise Fail(f"{words} exited {answer.returncode}: {said}")
    return answer.stdout


def wait_until(holds, what, seconds=ARRIVE_SECONDS):
    """Returns once `holds()` is true; fails with `what` when it is not within `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise Fail(f"not within {seconds} s: {what}")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
