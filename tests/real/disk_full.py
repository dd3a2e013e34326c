#!/usr/bin/env python3
"""Fills the disk under a real `spanseal up` under load, again and again, and shows that it refuses, and goes on by itself.

    disk_full.py --spanseal PATH_TO_BINARY [--rounds 12]

A file system of its own (ext4 in a file, else tmpfs) is filled by a ballast file that leaves another number of bytes each
time. Then /readyz says so, a request is refused retryably, and in turn the server is left alone, killed and started, or
stopped and started on the full disk. The ballast goes, nothing else is done, and the client, which has sent all the time,
gets on. In the end every acknowledged span is in the ledger exactly once, and both verifiers hold.

Exit 0 it holds, 1 it does not, 2 there is no binary. Skips where no file system can be mounted. Standard library only.
"""

import contextlib
import errno
import http.client
import itertools
import json
import os
import subprocess
import sys
import time
import urllib.error

from program import (
    Server, Skip, acknowledged_spans, check, check_verifies, ended, load, options, outcome, run, tail, wait_until,
)
from sealed import exactly_once

MIB = 1 << 20
BLOCK_BYTES = 4096
DISK_BYTES = 1024 * MIB
# What is left when the ballast is there; the load takes the rest.
FREE_BYTES = (0, 4096, 50_000, 700_000, 3 * MIB, 12 * MIB)
SPANS_BETWEEN = 2_000
SPANS_A_SECOND = 4_000
SETTINGS = "[seal]\ngroup_bytes_max = 1048576\nsegment_bytes_max = 8388608\n"


def main():
    """Returns the exit code."""
    asked = options(__doc__, rounds=(12,))
    return outcome("disk full", lambda folder: show(asked.spanseal, folder, asked.rounds))


def show(binary, folder, rounds):
    """Mounts a disk, and runs the rounds on it."""
    disk = folder / "disk"
    disk.mkdir()
    with mounted(folder / "image", disk) as kind:
        print(f"file system        {kind}, {DISK_BYTES // MIB} MiB")
        full = Full(binary, folder, disk)
        try:
            full.show(rounds)
        finally:
            full.server.kill()


@contextlib.contextmanager
def mounted(image, disk):
    """Mounts a file system of its own while the block lasts and yields its kind."""
    with open(image, "wb") as file:
        file.truncate(DISK_BYTES)
    made = quiet("mkfs.ext4", "-q", "-F", "-m", "0", str(image)) and quiet("mount", "-o", "loop", str(image), str(disk))
    if not made and not quiet("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)):
        raise Skip("no file system can be mounted here (it takes root)")
    try:
        yield "ext4 on a loop device" if made else "tmpfs"
    finally:
        wait_until(lambda: quiet("umount", str(disk)), "the file system is unmounted", 20, 0.2)


def quiet(*command):
    """Runs a command and returns whether it succeeded; one that is not there did not."""
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


class Full:
    """One data directory on a disk that is full again and again."""

    def __init__(self, binary, folder, disk):
        self.binary, self.folder, self.disk = binary, folder, disk
        self.data, self.log = disk / "data", folder / "spanseal.log"
        self.ballast, self.acknowledged = [], folder / "acknowledged"
        self.config = folder / "spanseal.toml"
        self.config.write_text(SETTINGS)
        self.back_seconds, self.server = [], None

    def show(self, rounds):
        """Runs the rounds, checks, prints the figures."""
        self._start().ready()
        words = ("--spans", SPANS_A_SECOND * 10 * rounds, "--rate", SPANS_A_SECOND, "--batch", 64, "--patience-seconds", 240)
        with ended(load(self.binary, self.server.otlp, self.acknowledged, *words)) as client:
            for number, after in zip(range(rounds), itertools.cycle((None, Server.kill, Server.stop)), strict=False):
                free = FREE_BYTES[(number + number // len(FREE_BYTES)) % len(FREE_BYTES)]
                self._round(free, after)
            self._wait_for_spans(client)
            client.terminate()
        self.server.must_stop()
        self._check(rounds)

    def _start(self, **addresses):
        """Starts the server, on the addresses it had before."""
        self.server = Server(self.binary, self.data, self.log, more=("--config", str(self.config)), **addresses)
        return self.server

    def _round(self, free, after):
        """Fills the disk, looks at what the server says, and lets it go on."""
        self._wait_for_spans()
        self._fill(free)
        wait_until(self._says_full, f"/readyz says that the disk is full, {free} bytes left", 60, 0.05)
        # Of what little there is left, small requests may still be taken in.
        wait_until(self._is_refused, f"requests are refused, {free} bytes left", 60, 0.02)
        if after:
            code = after(self.server)
            check(not code, f"on a full disk the server ended with {code}: {tail(self.log)}")
            # What a process that ends gives back is taken by others.
            self._fill(0)
            self._start(otlp=self.server.otlp, http=self.server.http)
            wait_until(self._says_full, "a start on a full disk says so", 60, 0.05)
        while self.ballast:
            self.ballast.pop().unlink()
        began = time.monotonic()
        if after:
            self.server.ready()
        wait_until(lambda: self.server.ask("/readyz")[0] == 200, "/readyz says ready again", 60, 0.02)
        self.back_seconds.append(time.monotonic() - began)

    def _says_full(self):
        """Returns whether /readyz says why nothing is taken in."""
        self.server.must_run()
        try:
            code, text = self.server.ask("/readyz")
        except urllib.error.URLError:
            return False  # not listening yet
        return code == 503 and "the disk is full" in text

    def _is_refused(self):
        """Returns whether a request is refused retryably just now."""
        self.server.must_run()
        return is_refused(self.server.otlp)

    def _fill(self, free):
        """Adds so much ballast that so many bytes are left."""
        disk, size = os.statvfs(self.disk), 0
        step = disk.f_bavail * disk.f_frsize - free
        self.ballast.append(self.disk / f"ballast{len(self.ballast)}")
        with open(self.ballast[-1], "wb") as file:
            while step >= BLOCK_BYTES:
                try:
                    os.posix_fallocate(file.fileno(), size, step)
                    size += step
                except OSError as error:
                    check(error.errno == errno.ENOSPC, f"the ballast cannot be made: {error}")
                    step //= 2

    def _wait_for_spans(self, client=None):
        """Waits until more spans are acknowledged."""
        wanted = acknowledged_spans(self.acknowledged) + SPANS_BETWEEN

        def are_there():
            self.server.must_run()
            check(client is None or client.poll() is None, "the client ended")
            return acknowledged_spans(self.acknowledged) >= wanted

        wait_until(are_there, f"{wanted} acknowledged spans", 120)

    def _check(self, rounds):
        """Holds what is sealed against what was acknowledged, verifies, and prints the figures."""
        spans, sealed = exactly_once(self.data, self.acknowledged)
        trust = self.folder / "trust"
        run(self.binary, "keys", "pin", trust, "--data", self.data)
        check_verifies(self.binary, self.data, trust)
        print(f"rounds             {rounds}, each refused retryably with /readyz saying why")
        print(f"acknowledged       {spans} spans, each once among {sealed} sealed")
        print(f"ready again after  max {max(self.back_seconds):.2f} s from the ballast's end")


def is_refused(otlp):
    """Sends a span and returns whether it is refused with the advice to come again; fails on any other refusal."""
    span = {"traceId": "f" * 32, "spanId": "f" * 16, "name": "late", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    connection = http.client.HTTPConnection(otlp, timeout=60)
    connection.request("POST", "/v1/traces", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    retryable = answer.status == 503 and answer.getheader("retry-after")
    check(answer.status == 200 or retryable, f"on a full disk the answer is {answer.status} {text}")
    return bool(retryable)


if __name__ == "__main__":
    sys.exit(main())
