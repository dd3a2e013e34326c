"""What limits.py sends: one small request at a time as well-behaved clients do, and what hostile ones do.

Each hostile one runs in a process of its own, until a time is reached, and returns its answers and the ids of the spans
that it got acknowledged. Standard library only.
"""

import collections
import contextlib
import dataclasses
import http.client
import os
import selectors
import socket
import time
import zlib

PATH = "/v1/traces"
SLOW_CONNECTIONS = 1000
BOMB_BYTES = 600_000_000


# --- requests


def field(number, content):
    """Returns a protobuf field with a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value):
    """Returns a protobuf varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def request(span_id, padding=0):
    """Returns a request of one span; padding goes into a field that OTLP does not have, which readers skip."""
    span = field(1, os.urandom(16)) + field(2, span_id) + field(5, b"execute_tool")
    body = field(1, field(2, field(2, span)))
    return body + field(1000, bytes(padding)) if padding else body


@dataclasses.dataclass
class Answer:
    """What the server said: status and `Retry-After`; status 0: the connection ended without an answer."""

    status: int
    retry_after: str | None

    def is_retryable(self):
        """Whether it says when to come again."""
        return self.status == 503 and self.retry_after is not None and self.retry_after.isdigit()

    def __str__(self):
        """Names the answer as the table has it."""
        return "closed" if self.status == 0 else f"{self.status}" + (" retry" if self.is_retryable() else "")


def head(headers):
    """Returns the head of a POST."""
    lines = [f"POST {PATH} HTTP/1.1", "Host: loopback", "Content-Type: application/x-protobuf", *headers, "", ""]
    return "\r\n".join(lines).encode()


def read_answer(connection):
    """Reads one answer's head, and its body to the end."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        response.read()
    except (OSError, http.client.HTTPException):
        return Answer(0, None)
    return Answer(response.status, response.headers["Retry-After"])


def send(port, headers, chunks):
    """Sends one request on a connection of its own and returns the answer, also when it comes early."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(head(headers))
            for chunk in chunks:
                connection.sendall(chunk)
        return read_answer(connection)


# --- the well-behaved client


class Client:
    """Sends a small request ten times a second over one connection, and again when it is asked to."""

    def __init__(self, port):
        self.port, self.connection = port, None
        self.latencies, self.again, self.faults, self.acknowledged = [], 0, [], set()

    def run(self, until):
        """Sends until a time is reached."""
        while (now := time.monotonic()) < until:
            self.export(os.urandom(8))
            time.sleep(max(0, now + 0.1 - time.monotonic()))

    def export(self, span_id):
        """Sends one span until it is acknowledged, and notes how long its first answer took."""
        body = request(span_id)
        for attempt in range(20):
            began = time.monotonic()
            answer = self.post(body)
            if attempt == 0:
                self.latencies.append(time.monotonic() - began)
            if answer.status == 200:
                self.acknowledged.add(span_id.hex())
                return
            if not answer.is_retryable():
                self.faults.append(f"the well-behaved client was answered {answer}")
                return
            self.again += 1
            time.sleep(int(answer.retry_after))
        self.faults.append("a span of the well-behaved client was not taken at all")

    def post(self, body):
        """Sends one request over the connection, which is opened anew when it broke."""
        if self.connection is None:
            self.connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.connection.sendall(head([f"Content-Length: {len(body)}"]) + body)
            answer = read_answer(self.connection)
        except OSError:
            answer = Answer(0, None)
        if answer.status == 0:
            self.connection.close()
            self.connection = None
        return answer


# --- the hostile ones


def quiet(port, until):
    """Nobody else."""
    time.sleep(max(0, until - time.monotonic()))
    return collections.Counter(), set()


def bombs(port, until, coding):
    """Sends one bomb after the other."""
    bomb = gzip_bomb() if coding == "gzip" else zstd_bomb()
    answers = collections.Counter()
    while not answers or time.monotonic() < until:
        headers = [f"Content-Length: {len(bomb)}", f"Content-Encoding: {coding}"]
        answers[f"{coding} {send(port, headers, [bomb])}"] += 1
    return answers, set()


def gzip_bomb():
    """Returns zeros in gzip, in members of 100 MB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    member = b"".join(packer.compress(bytes(10_000_000)) for _ in range(10)) + packer.flush()
    return member * (BOMB_BYTES // 100_000_000)


def zstd_bomb():
    """Returns zeros in zstd: one frame of run-length blocks of 128 KiB, four bytes each (RFC 8878 section 3.1.1)."""
    block_bytes, window_log = 128 << 10, 23
    count = BOMB_BYTES // block_bytes
    block = lambda last: (block_bytes << 3 | 1 << 1 | last).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00" + bytes([window_log - 10 << 3]) + block(0) * (count - 1) + block(1)


def large_bodies(port, until, chunked):
    """Sends bodies of 100 MB, which say so or do not."""
    chunk, answers = bytes(1_000_000), collections.Counter()
    if chunked:
        kind, headers = "chunked", ["Transfer-Encoding: chunked"]
        chunks = [b"%x\r\n" % len(chunk) + chunk + b"\r\n"] * 100 + [b"0\r\n\r\n"]
    else:
        kind, headers, chunks = "length", ["Content-Length: 100000000"], [chunk] * 100
    while not answers or time.monotonic() < until:
        answers[f"{kind} {send(port, headers, chunks)}"] += 1
    return answers, set()


def slow_connections(port, until, kind):
    """Keeps many connections open, each sending a byte a second of its head or its body."""
    answers, selector, count = collections.Counter(), selectors.DefaultSelector(), SLOW_CONNECTIONS // 2

    def open_one():
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        if kind == "body":
            connection.sendall(head(["Content-Length: 1000000"]))
        selector.register(connection, selectors.EVENT_READ)

    for _ in range(count):
        open_one()
    while time.monotonic() < until:
        second = time.monotonic() + 1
        for key in list(selector.get_map().values()):
            with contextlib.suppress(OSError):
                key.fileobj.send(b"P" if kind == "head" else b"\0")
        while (left := second - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                selector.unregister(key.fileobj)
                answers[f"{kind} {read_answer(key.fileobj)}"] += 1
                key.fileobj.close()
                if time.monotonic() < until:
                    open_one()
    return answers, set()


def tiny_spans(port, until, spans):
    """Sends requests of so many spans that have ids and nothing else, for their number to cost more than their bytes."""
    trace = field(1, os.urandom(16))
    many = b"".join(field(2, trace + field(2, n.to_bytes(8, "big"))) for n in range(1, spans + 1))
    body, answers = field(1, field(2, many)), collections.Counter()
    while not answers or time.monotonic() < until:
        answers[str(send(port, [f"Content-Length: {len(body)}"], [body]))] += 1
    return answers, set()


def surplus(port, until, bytes_each):
    """Sends a large request but for its last byte, which it keeps back for a while; again when it is asked to.

    It goes on until it has been taken once, for half a minute more at most.
    """
    answers, acknowledged = collections.Counter(), set()
    span_id = os.urandom(8)
    body = request(span_id, bytes_each)
    while (now := time.monotonic()) < until or not acknowledged and now < until + 30:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(head([f"Content-Length: {len(body)}"]))
                connection.sendall(body[:-1])
                time.sleep(0.5)
                connection.sendall(body[-1:])
            answer = read_answer(connection)
        answers[str(answer)] += 1
        if answer.status == 200:
            acknowledged.add(span_id.hex())
            span_id = os.urandom(8)
            body = request(span_id, bytes_each)
    return answers, acknowledged
