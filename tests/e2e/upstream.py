"""A scripted upstream: where the exact bytes matter, the test itself plays the provider.

`Upstream(path_or_port, script)` calls `script(request, conn)` for every request it reads. The script returns the bytes
of an answer (see `answer`, `completion`, `sse`), or None when it sent what it wanted through `conn` itself, or CLOSE
to end the connection without a word. Everything received is kept in `requests`.
"""

import json
import os
import socket
import struct
import threading
import time

CLOSE = object()
DONE = b"data: [DONE]\n\n"


class Request:
    """What arrived: the head's lines as sent, the decoded body, when, and on which connection (counted from 0)."""

    def __init__(self, head, connection):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
        self.connection = connection
        self.at = time.monotonic()
        self.body = b""

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return " | ".join(values) if values else None

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def model(self):
        try:
            return self.json.get("model")
        except ValueError:
            return None


class Peer:
    """One accepted connection, as a script sees it."""

    def __init__(self, sock, number):
        self.sock, self.number, self.input = sock, number, b""

    def send(self, data):
        """False when the other side is gone."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def reset(self):
        """End with a reset where the transport has one."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        return CLOSE

    def gone(self, timeout):
        """Whether the other side leaves in time."""
        self.sock.settimeout(timeout)
        try:
            return self.sock.recv(1, socket.MSG_PEEK) == b""
        except (TimeoutError, socket.timeout):
            return False
        except OSError:
            return True

    def _fill(self):
        data = self.sock.recv(262144)
        self.input += data
        return bool(data)

    def read(self):
        while b"\r\n\r\n" not in self.input:
            if not self._fill():
                return None
        head, self.input = self.input.split(b"\r\n\r\n", 1)
        request = Request(head, self.number)
        if (request.header("expect") or "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in (request.header("transfer-encoding") or ""):
            parts = []
            while True:
                while b"\r\n" not in self.input:
                    if not self._fill():
                        return None
                line, self.input = self.input.split(b"\r\n", 1)
                size = int(line.split(b";")[0], 16)
                while len(self.input) < size + 2:
                    if not self._fill():
                        return None
                parts.append(self.input[:size])
                self.input = self.input[size + 2:]
                if size == 0:
                    break
            request.body = b"".join(parts)
        else:
            size = int(request.header("content-length") or 0)
            parts, have = [self.input], len(self.input)
            while have < size:
                data = self.sock.recv(262144)
                if not data:
                    return None
                parts.append(data)
                have += len(data)
            whole = b"".join(parts)
            request.body, self.input = whole[:size], whole[size:]
        return request


class Upstream:
    def __init__(self, where, script=None):
        self.script = script or (lambda request, conn: completion(request))
        self.requests, self.connections, self.lock = [], 0, threading.Lock()
        self.unix = isinstance(where, str)
        self.sock = socket.socket(socket.AF_UNIX if self.unix else socket.AF_INET, socket.SOCK_STREAM)
        if not self.unix:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(where if self.unix else ("127.0.0.1", where))
        if self.unix:
            os.chmod(where, 0o777)
        self.sock.listen(512)
        self.where = where if self.unix else self.sock.getsockname()[1]
        self.url = "unix:%s:/v1" % where if self.unix else "http://127.0.0.1:%d/v1" % self.where
        self.open = set()
        self.stopping = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while not self.stopping:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            with self.lock:
                peer = Peer(sock, self.connections)
                self.connections += 1
                self.open.add(sock)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            while True:
                request = peer.read()
                if request is None:
                    return
                with self.lock:
                    self.requests.append(request)
                result = self.script(request, peer)
                if result is CLOSE or (result is not None and not peer.send(result)):
                    return
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.open.discard(peer.sock)
            peer.sock.close()

    @property
    def count(self):
        with self.lock:
            return len(self.requests)

    @property
    def last(self):
        with self.lock:
            return self.requests[-1]

    def stop(self):
        self.stopping = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        with self.lock:
            for sock in self.open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.thread.join(5)


class Held:
    """A script that answers only when `let()` was called, and knows how many it held at once.

    `then` is the script of the answer. Requests whose client leaves meanwhile count until they are let.
    """

    def __init__(self, then=None):
        self.then = then or (lambda request, conn: completion(request))
        self.open, self.lock, self.now, self.most = threading.Event(), threading.Lock(), 0, 0

    def __call__(self, request, conn):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.open.wait(60)
        with self.lock:
            self.now -= 1
        return self.then(request, conn)

    def let(self):
        self.open.set()


def answer(status, body, headers=(), reason="Whatever", kind="application/json"):
    """The bytes of a whole answer with a Content-Length."""
    if not isinstance(body, bytes):
        body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = ["HTTP/1.1 %d %s" % (status, reason), "Content-Type: %s" % kind, "Content-Length: %d" % len(body)]
    lines += ["%s: %s" % pair for pair in (headers.items() if isinstance(headers, dict) else headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def completion(request, text="The scripted upstream says hello.", headers=()):
    """A plain chat completion for a request; a streamed one when it asks for a stream."""
    try:
        body = request.json
    except ValueError:
        body = {}
    if body.get("stream"):
        return stream_head(headers) + b"".join(chunked(delta(word)) for word in text.split(" ")) + \
            chunked(delta(None, finish="stop")) + chunked(DONE) + LAST
    return answer(200, {"id": "chatcmpl-scripted", "object": "chat.completion", "created": 1700000000,
                        "model": body.get("model"),
                        "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                                     "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": len(request.body) // 4, "completion_tokens": 6,
                                  "total_tokens": len(request.body) // 4 + 6}}, headers)


def failure(status, message="scripted failure", code=None, kind="server_error", headers=()):
    """An error as OpenAI's API words it."""
    return answer(status, {"error": {"message": message, "type": kind, "param": None, "code": code}}, headers)


LAST = b"0\r\n\r\n"


def stream_head(headers=()):
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"]
    lines += ["%s: %s" % pair for pair in (headers.items() if isinstance(headers, dict) else headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunked(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def sse(value):
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


def delta(text, finish=None):
    """One event of a streamed chat completion."""
    return sse({"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1700000000,
                "model": "gpt-test", "choices": [{"index": 0, "delta": {} if text is None else {"content": text},
                                                  "finish_reason": finish}]})
