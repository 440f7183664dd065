"""An HTTP/1.1 client that hides nothing: every byte, every header, when each piece arrived, and how the answer ended.

`Conn` is one connection, over TCP or a Unix socket, for tests that write raw bytes. `Call` is one request on a
connection of its own, read by a thread, so that a test can hold hundreds of streams open, watch them, and leave.
"""

import json
import re
import socket
import threading
import time

threading.stack_size(256 * 1024)

CLOSED = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)


class Response:
    """An answer, complete or not. `end` says how it ended:

    None     still arriving
    length   whole, by Content-Length (or an answer that has no body)
    chunked  whole, by its last chunk
    close    an answer without framing, ended by the end of the connection
    cut      the connection ended before the answer did
    reset    the same, by a reset
    timeout  the reader's patience ran out
    bad      not HTTP
    """

    def __init__(self):
        self.interim = []  # 1xx statuses that came first
        self.version = self.reason = None
        self.status = 0
        self.headers = []
        self.raw = bytearray()
        self.body = bytearray()
        self.pieces = []  # (monotonic time, body bytes so far) after each arrival
        self.end = None
        self.sent_at = self.head_at = self.ended_at = None
        self.head_seen = threading.Event()

    def header(self, name, default=None):
        """The value of a header; several of one name are a fault of their own for most, so they are joined visibly."""
        values = self.all(name)
        return " | ".join(values) if values else default

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def whole(self):
        return self.end in ("length", "chunked", "close")

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise AssertionError("the body is no JSON: %s" % self) from None

    @property
    def error(self):
        """The error object of a failed request, or {}."""
        try:
            found = json.loads(self.body).get("error")
        except (ValueError, AttributeError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def events(self):
        """The data of every whole server-sent event so far, comments left out."""
        text = bytes(self.body).replace(b"\r\n", b"\n")
        found = []
        for block in text.split(b"\n\n")[:-1]:
            lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
            if lines:
                found.append(b"\n".join(lines).decode("utf-8", "replace"))
        return found

    @property
    def done(self):
        """Whether the stream ended as a whole one does: `[DONE]` is its last event and the framing is complete."""
        return self.whole and self.events[-1:] == ["[DONE]"]

    @property
    def text(self):
        """What the model said, streamed or not."""
        if not self.header("content-type", "").startswith("text/event-stream"):
            return self.json["choices"][0]["message"]["content"]
        said = []
        for event in self.events:
            if event == "[DONE]":
                continue
            try:
                for choice in json.loads(event).get("choices") or []:
                    said.append((choice.get("delta") or {}).get("content") or "")
            except (ValueError, AttributeError):
                pass
        return "".join(said)

    @property
    def stream_errors(self):
        """The error objects that came as events."""
        found = []
        for event in self.events:
            try:
                value = json.loads(event)
            except ValueError:
                continue
            if isinstance(value, dict) and value.get("error"):
                found.append(value["error"])
        return found

    @property
    def endpoint(self):
        return self.header("x-gateway-endpoint")

    @property
    def attempts(self):
        return self.header("x-gateway-attempts")

    def __str__(self):
        shown = bytes(self.body[:400]).decode("utf-8", "replace")
        tail = " ... %r" % bytes(self.body[-200:]) if len(self.body) > 400 else ""
        return "status %s, end %s, headers %s, body %r%s" % (self.status, self.end, self.headers, shown, tail)


class Conn:
    """One connection to `address`: a path, or a (host, port) pair."""

    def __init__(self, address, timeout=10, rcvbuf=None):
        self.sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, socket.SOCK_STREAM)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        until = time.monotonic() + timeout
        while True:
            try:
                self.sock.connect(address)
                break
            except BlockingIOError:  # a Unix listener whose queue is full at this moment
                if time.monotonic() > until:
                    self.sock.close()
                    raise
                time.sleep(0.005)
            except OSError:
                self.sock.close()
                raise
        self.input = bytearray()
        self.eof = False

    def send(self, data):
        """Send all; a peer that closed meanwhile is no error here, its answer says why."""
        if isinstance(data, str):
            data = data.encode()
        try:
            self.sock.sendall(data)
            return True
        except CLOSED:
            return False

    def more(self, until):
        """Read once, by `until` (monotonic). False at the end of the connection; raises TimeoutError, or a reset."""
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(left)
        data = self.sock.recv(262144)
        if not data:
            self.eof = True
            return False
        self.input += data
        return True

    def read(self, timeout=10, method="POST", response=None):
        """The next answer. Never raises for what the peer did: `end` tells it."""
        r = response or Response()
        until = time.monotonic() + timeout
        try:
            self._read(r, until, method)
        except CLOSED:
            r.end = "reset"
        except (TimeoutError, socket.timeout):
            r.end = "timeout"
        except (ValueError, IndexError):
            r.end = "bad"
        except OSError:
            r.end = "cut"
        r.ended_at = time.monotonic()
        r.head_seen.set()
        return r

    def _head(self, r, until):
        while True:
            at = self.input.find(b"\r\n\r\n")
            if at >= 0:
                break
            if not self.more(until):
                r.raw += self.input
                return None
        head = bytes(self.input[:at + 4])
        del self.input[:at + 4]
        r.raw += head
        return head[:-4].decode("latin-1").split("\r\n")

    def _read(self, r, until, method):
        while True:
            lines = self._head(r, until)
            if lines is None:
                r.end = "cut"
                return
            version, status, *reason = lines[0].split(" ", 2)
            if not 100 <= int(status) < 200:
                break
            r.interim.append(int(status))
        r.version, r.status, r.reason = version, int(status), reason[0] if reason else ""
        for line in lines[1:]:
            name, value = line.split(":", 1)
            r.headers.append((name, value.strip()))
        r.head_at = time.monotonic()
        r.head_seen.set()
        if method == "HEAD" or r.status in (204, 304):
            r.end = "length"
        elif "chunked" in r.header("transfer-encoding", ""):
            self._chunked(r, until)
        elif r.header("content-length") is not None:
            self._length(r, until, int(r.header("content-length")))
        else:
            self._rest(r, until)

    def _take(self, r, count):
        piece = bytes(self.input[:count])
        del self.input[:count]
        r.raw += piece
        return piece

    def _add(self, r, piece):
        if piece:
            r.body += piece
            r.pieces.append((time.monotonic(), len(r.body)))

    def _length(self, r, until, left):
        while left:
            if not self.input and not self.more(until):
                r.end = "cut"
                return
            piece = self._take(r, min(left, len(self.input)))
            left -= len(piece)
            self._add(r, piece)
        r.end = "length"

    def _rest(self, r, until):
        while True:
            self._add(r, self._take(r, len(self.input)))
            if not self.more(until):
                r.end = "close"
                return

    def _line(self, r, until):
        while b"\r\n" not in self.input:
            if not self.more(until):
                r.raw += self.input
                return None
        return self._take(r, self.input.index(b"\r\n") + 2)[:-2]

    def _chunked(self, r, until):
        while True:
            line = self._line(r, until)
            if line is None:
                r.end = "cut"
                return
            left = int(line.split(b";")[0], 16)
            if left == 0:
                while line:
                    line = self._line(r, until)
                r.end = "cut" if line is None else "chunked"
                return
            while left:
                if not self.input and not self.more(until):
                    r.end = "cut"
                    return
                piece = self._take(r, min(left, len(self.input)))
                left -= len(piece)
                self._add(r, piece)
            if self._line(r, until) != b"":
                r.end = "cut" if self.eof else "bad"
                return

    def closed_by_peer(self, timeout=5):
        """Whether the peer ends the connection in time; what still arrives is thrown away."""
        until = time.monotonic() + timeout
        try:
            while not self.eof:
                self.more(until)
        except CLOSED:
            return True
        except (TimeoutError, socket.timeout):
            return False
        return True

    def abort(self):
        """Leave at once, even while another thread reads."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def head(method, path, headers=(), version="1.1"):
    """A request head as bytes; `headers` are pairs or a dict. Host comes first unless it is given."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if version == "1.1" and not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("Host", "gateway.test"))
    lines = ["%s %s HTTP/%s" % (method, path, version)] + ["%s: %s" % pair for pair in pairs]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def request(method, path, headers=(), body=None, version="1.1"):
    """A whole request as bytes, with a Content-Length when there is a body."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if body is None:
        return head(method, path, pairs, version)
    if isinstance(body, str):
        body = body.encode()
    names = [name.lower() for name, _ in pairs]
    if "content-type" not in names:
        pairs.append(("Content-Type", "application/json"))
    if "content-length" not in names and "transfer-encoding" not in names:
        pairs.append(("Content-Length", str(len(body))))
    return head(method, path, pairs, version) + body


def chat(model="gpt-test", content="Tell me a story.", **more):
    """The body of a chat request, as bytes."""
    body = {"model": model, "messages": [{"role": "user", "content": content}]}
    body.update(more)
    return json.dumps(body).encode()


class Call:
    """One request on its own connection. `begin()` lets a thread read the answer; `finish()` waits for it."""

    def __init__(self, address, data, timeout=30, method="POST"):
        self.address, self.data, self.timeout, self.method = address, data, timeout, method
        self.response = Response()
        self.conn = None
        self.thread = None

    def _run(self):
        r = self.response
        r.sent_at = time.monotonic()
        try:
            self.conn = Conn(self.address, self.timeout)
        except OSError as error:
            r.end, r.reason = "refused", str(error)
            r.ended_at = time.monotonic()
            r.head_seen.set()
            return
        with self.conn:
            self.conn.send(self.data)
            self.conn.read(self.timeout, self.method, r)

    def begin(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def run(self):
        self._run()
        return self.response

    def finish(self, timeout=None):
        """The answer, at latest after the call's own timeout."""
        self.thread.join(timeout or self.timeout + 5)
        assert not self.thread.is_alive(), "the reader of an answer did not end: %s" % self.response
        return self.response

    def wait_head(self, timeout=10):
        assert self.response.head_seen.wait(timeout), "no answer began within %.1f s" % timeout
        return self.response

    def wait_events(self, count, timeout=10):
        until = time.monotonic() + timeout
        while len(self.response.events) < count:
            assert self.response.end is None, "the stream ended early: %s" % self.response
            assert time.monotonic() < until, "no %d events within %.1f s: %s" % (count, timeout, self.response)
            time.sleep(0.01)
        return self.response

    def abort(self):
        if self.conn:
            self.conn.abort()


def crowd(count, work, width=50):
    """Call work(0..count-1) from `width` threads; the results in order. An exception in one is raised here."""
    results, failures, numbers = [None] * count, [], iter(range(count))
    lock = threading.Lock()

    def run():
        while not failures:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                results[number] = work(number)
            except BaseException as error:  # handed to the caller, whatever it is
                failures.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(width, count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def duration(server_timing, name):
    """`dur` of one entry of a Server-Timing header, in ms, or None."""
    found = re.search(r"(?:^|,)\s*%s\s*;\s*dur=([0-9.]+)" % name, server_timing or "")
    return float(found.group(1)) if found else None
