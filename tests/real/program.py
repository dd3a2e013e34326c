"""A `spanseal` process on loopback and what the scripts here ask of it. Standard library only."""

import argparse
import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

START_SECONDS = 120
STOP_SECONDS = 60
SETTINGS = ("SPANSEAL_CONFIG", "SPANSEAL_DATA", "SPANSEAL_OTLP", "SPANSEAL_HTTP", "RUST_LOG")


class Fail(Exception):
    """What the script shows does not hold; the message says what was seen."""


class Skip(Exception):
    """The machine does not let the script show it; the message says why."""


def outcome(name, show):
    """Calls `show(folder)`, prints PASS, SKIP or FAIL with the reason, and returns the exit code.

    The folder of a failed run stays.
    """
    folder = pathlib.Path(tempfile.mkdtemp(prefix="spanseal-" + name.replace(" ", "-") + "-"))
    try:
        show(folder)
    except Skip as skip:
        print(f"SKIP {name}: {skip}")
    except Fail as fail:
        print(f"FAIL {name}: {fail} (folder {folder})")
        return 1
    except Exception as error:  # such as a connection that broke
        traceback.print_exc()
        print(f"FAIL {name}: {error!r} (folder {folder})")
        return 1
    else:
        print(f"PASS {name}")
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def options(doc, **more):
    """Returns the command line's options: `--spanseal`, the path of a binary that is there, and those of the script.

    Each of `more` is a name with its default (True makes it a flag), and a help text if it needs one.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spanseal", required=True, help="the binary to try")
    for name, (kind, *said) in more.items():
        how = {"action": "store_true"} if kind is True else {"type": type(kind), "default": kind}
        parser.add_argument(f"--{name}", **how, help="".join(said))
    parsed = parser.parse_args()
    parsed.spanseal = executable(parsed.spanseal)
    return parsed


def check(holds, said):
    """Fails with the words unless it holds."""
    if not holds:
        raise Fail(said)


def environment():
    """Returns the environment without the caller's settings for the program."""
    return {name: value for name, value in os.environ.items() if name not in SETTINGS}


def executable(path):
    """Returns the absolute path of the binary, or ends the script with exit code 2."""
    if not os.access(path, os.X_OK):
        print(f"no executable at {path}: build it with `cargo build --bin spanseal`", file=sys.stderr)
        sys.exit(2)
    return str(pathlib.Path(path).resolve())


def run(binary, *arguments, codes=(0,)):
    """Runs a command of the program to its end and returns its output; fails on another exit code."""
    command = [binary, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    check(done.returncode in codes, f"{' '.join(command[1:])} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


class Server:
    """A running `spanseal up` or `collect`, ended by its own process id."""

    def __init__(self, binary, data, log, otlp="127.0.0.1:0", http="127.0.0.1:0", command="up", more=(), before=()):
        """Starts it, behind the words `before` (strace) if there are any.

        Its log is appended to the file `log`.
        """
        words = [*before, binary, command, "--json", "--otlp", otlp, "--http", http, "--data", str(data), *more]
        self.began = time.monotonic()
        with open(log, "ab") as out:
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=out, env=environment())
        self.pid, self.log = self.process.pid, pathlib.Path(log)
        self.otlp, self.http = otlp, http

    def ready(self):
        """Returns itself once it says that it is ready; `ready_seconds` is how long that took."""
        try:
            ready = json.loads(self._line())
        except BaseException:
            self.kill()
            raise
        self.ready_seconds = time.monotonic() - self.began
        self.otlp, self.http = ready["otlp"][0], ready["http"]
        return self

    def _line(self):
        """Returns the first line on standard output; fails when there is none in time."""
        waited = select.select([self.process.stdout], [], [], START_SECONDS)[0]
        line = self.process.stdout.readline() if waited else b""
        if not line:
            raise Fail(f"the server is not ready, exit code {self.process.poll()}: {tail(self.log)}")
        return line

    def __enter__(self):
        """Waits until it is ready."""
        return self.ready()

    def __exit__(self, *_):
        """Leaves no process behind."""
        self.kill()

    def is_running(self):
        """Returns whether it has not ended."""
        return self.process.poll() is None

    @property
    def port(self):
        """Returns the port of OTLP."""
        return int(self.otlp.rpartition(":")[2])

    def must_run(self):
        """Fails when it has ended."""
        check(self.is_running(), f"the server ended by itself: {tail(self.log)}")

    def memory(self, field):
        """Returns a field of /proc/PID/status in bytes, 0 once the process has ended."""
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        return 0

    def kill(self):
        """Ends it as `kill -9` does."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        """Asks it to end and returns its exit code; fails when it does not end."""
        os.kill(self.pid, signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Fail(f"the server did not end {STOP_SECONDS} s after SIGTERM: {tail(self.log)}") from None
        finally:
            self.kill()

    def must_stop(self):
        """Asks it to end, and fails unless it ends well."""
        code = self.stop()
        check(code == 0, f"the server ended with {code} after SIGTERM: {tail(self.log)}")

    def ask(self, path):
        """Returns status code and text of a GET on the health port."""
        try:
            with urllib.request.urlopen(f"http://{self.http}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def tail(log, lines=8):
    """Returns the last lines of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


@contextlib.contextmanager
def ended(process):
    """Yields a process, and ends it with the block when it has not ended."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def load(binary, otlp, acknowledged, *more):
    """Starts `spanseal load`, which writes the id of every acknowledged span to a file, and returns the process."""
    words = [binary, "load", "--json", "--to", otlp, "--acknowledged", str(acknowledged), *map(str, more)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def acknowledged_spans(file):
    """Returns how many spans the file names: each is 16 digits and a newline."""
    return file.stat().st_size // 17 if file.exists() else 0


def wait_until(holds, what, seconds=60, pause=0.01):
    """Waits until `holds()`; fails with the words when it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        check(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(pause)


def verifier_python():
    """Returns a Python 3.11 that has `cryptography`: the real suite's own or this one; None when there is none."""
    cache = os.environ.get("SPANSEAL_REAL_CACHE") or pathlib.Path.home() / ".cache" / "spanseal-real"
    for python in (str(pathlib.Path(cache) / "python" / "bin" / "python"), sys.executable):
        probe = [python, "-c", "import cryptography, sys; sys.exit(sys.version_info < (3, 11))"]
        with contextlib.suppress(OSError):
            if subprocess.run(probe, capture_output=True).returncode == 0:
                return python
    return None


def check_verifies(binary, data, trust):
    """Verifies a ledger against a pin taken earlier and against one taken now, by both implementations.

    The second one, in Python, is left out with a word where there is no `cryptography`.
    """
    run(binary, "verify", data, "--trust", trust)
    run(binary, "keys", "pin", trust, "--data", data)
    run(binary, "verify", data, "--trust", trust)
    python = verifier_python()
    if python is None:
        print("skipped: the verifier in Python, for which there is no Python 3.11 with `cryptography`")
        return
    verify = pathlib.Path(__file__).resolve().parent.parent / "verify.py"
    command = [python, str(verify), "directory", str(data), "--trust", str(trust)]
    done = subprocess.run(command, capture_output=True, text=True)
    check(done.returncode == 0, f"verify.py ended with {done.returncode}: {done.stdout}{done.stderr}")
