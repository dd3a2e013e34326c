"""Reads what `strace -f -yy` wrote: system calls with the path or socket of their descriptor, in the order of the file."""

import re
from dataclasses import dataclass, replace

CALLS = (
    "openat", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "write", "writev", "pwrite64", "pwritev", "sendto",
    "sendmsg", "recvfrom", "fsync", "fdatasync", "sync_file_range", "ftruncate",
)
SYNCS = ("fsync", "fdatasync")
STRACE = ("strace", "-f", "-yy", "-xx", "-s", "256", "-e", "trace=" + ",".join(CALLS), "-o")


@dataclass(frozen=True)
class Call:
    """One system call: the lines of the trace at which it began and had returned, and what it was about."""

    began: int
    ended: int
    name: str
    arguments: str
    result: int

    @property
    def path(self):
        """Returns the path or the socket of the first descriptor."""
        match = _DESCRIPTOR.search(self.arguments)
        if not match:
            return ""
        return _text(match[1]) if match[1].startswith("\\x") else match[1]

    @property
    def paths(self):
        """Returns every path named in a string."""
        return [_text(found) for found in _STRING.findall(self.arguments)]

    @property
    def bytes(self):
        """Returns the first bytes that were written or read."""
        return b"".join(_bytes(found) for found in _STRING.findall(self.arguments))

    def is_sync(self):
        """Returns whether it made something durable."""
        return self.name in SYNCS and self.result == 0


def read(file):
    """Returns the calls of a trace in the order in which they began; calls that never returned are left out."""
    calls, begun = [], {}
    for number, line in enumerate(file.read_text(errors="replace").splitlines()):
        if match := _RESUMED.match(line):
            pid, name, rest, result = match.groups()
            if (pid, name) in begun:
                began, arguments = begun.pop((pid, name))
                calls.append(Call(began, number, name, arguments + rest, _number(result)))
        elif match := _UNFINISHED.match(line):
            pid, name, arguments = match.groups()
            begun[pid, name] = number, arguments
        elif match := _WHOLE.match(line):
            name, arguments, result = match.groups()
            calls.append(Call(number, number, name, arguments, _number(result)))
    return sorted(calls, key=lambda call: call.began)


def without(calls, unwanted):
    """Returns the calls as they would be if those had failed, so that a check can be checked."""
    return [replace(call, result=-1) if unwanted(call) else call for call in calls]


def _number(result):
    return int(result, 0) if result != "?" else -1


def _bytes(escaped):
    return bytes.fromhex(escaped.replace("\\x", ""))


def _text(escaped):
    return _bytes(escaped).decode(errors="replace")


_WHOLE = re.compile(r"\d+ +(\w+)\((.*)\) += (-?\w+|\?)")
_UNFINISHED = re.compile(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\w+|\?)")
_DESCRIPTOR = re.compile(r"^\d+<(.*?)>(?:,|$)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
