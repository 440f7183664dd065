"""What the tests of llmsim share: a running llmsim, a client that sees bytes as they came, words for its answers.

`@test` adds a function to TESTS; test_llmsim.py runs them all.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

LLMSIM = sys.argv[1] if len(sys.argv) > 1 else "build/tools/llmsim"
PATIENCE = 20  # seconds after which an event that should come is given up
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def equal(found, wanted, what="value"):
    assert found == wanted, "%s is %r instead of %r" % (what, found, wanted)


def words(count):
    return "".join("word%02d " % (i + 1) for i in range(count))


def body(stream=False, **more):
    document = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Tell me."}], "prompt": "Tell me.",
                "input": "Tell me."}
    if stream:
        document["stream"] = True
    document.update(more)
    return json.dumps(document)


class Sim:
    """A running llmsim; ends with the `with` block, and must have ended cleanly and said nothing."""

    def __init__(self, *options, listen="127.0.0.1:0", control=False):
        self.dir = tempfile.TemporaryDirectory()
        self.control_path = os.path.join(self.dir.name, "control.sock")
        command = [LLMSIM, "-l", listen] + list(options)
        if control:
            command += ["--control", "unix:" + self.control_path]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"llmsim listening on (http://127\.0\.0\.1:(\d+)|unix:(.*))\n", line)
        assert found, "llmsim said %r and %r" % (line, self.process.stderr.read() if not line else "")
        if control:
            equal(self.process.stdout.readline(), "llmsim control on unix:%s\n" % self.control_path)
        self.where = ("127.0.0.1", int(found.group(2))) if found.group(2) else found.group(3)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.send_signal(signal.SIGTERM)
        try:
            _, complaints = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.dir.cleanup()
        if kind is None:
            equal(complaints, "", "what llmsim complained of")
            equal(self.process.returncode, 0, "exit status")

    def connect(self, where=None):
        return Wire(where or self.where)

    def ask(self, path="/v1/chat/completions", text=None, method="POST", headers=None, **more):
        """One request on a connection of its own: (status, headers, text)."""
        with self.connect() as wire:
            wire.send(path, text if text is not None else body(**more) if method == "POST" else "", method, headers)
            return wire.answer()

    def sim(self, document=None, log=False):
        """GET or POST /sim, over the control listener where there is one."""
        with self.connect(self.control_path if os.path.exists(self.control_path) else None) as wire:
            wire.send("/sim" if document is not None or log else "/sim?log=0",
                      "" if document is None else document if isinstance(document, str) else json.dumps(document),
                      "GET" if document is None else "POST")
            status, _, text = wire.answer()
            if document is not None and not isinstance(document, dict):
                return status, json.loads(text)
            equal(status, 200, "status of /sim (%s)" % text)
            return json.loads(text)

    def fault(self, *specs, **more):
        return self.sim(dict({"faults": list(specs), "reset": True}, **more))

    def until(self, **wanted):
        """Wait for counts."""
        give_up = time.monotonic() + PATIENCE
        while True:
            state = self.sim()
            if all(state[key] == value for key, value in wanted.items()):
                return state
            assert time.monotonic() < give_up, "waited for %r in %r" % (wanted, state)


class Broken(Exception):
    """The answer did not come to its end."""


class Wire:
    """A client connection that keeps the bytes as they came."""

    def __init__(self, where):
        self.sock = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(where)
        self.input = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def raw(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def send(self, path="/v1/chat/completions", text="", method="POST", headers=None, version="1.1"):
        lines = ["%s %s HTTP/%s" % (method, path, version), "Host: sim"]
        if text:
            lines.append("Content-Length: %d" % len(text.encode()))
        lines += ["%s: %s" % pair for pair in (headers or {}).items()]
        self.raw("\r\n".join(lines) + "\r\n\r\n" + text)

    def more(self):
        """False at the end of the connection."""
        data = self.sock.recv(65536)
        self.input += data
        return bool(data)

    def until(self, mark):
        """Everything through the mark, taken from the input."""
        while mark not in self.input:
            if not self.more():
                raise Broken(self.input)
        at = self.input.index(mark) + len(mark)
        taken, self.input = self.input[:at], self.input[at:]
        return taken

    def exactly(self, count):
        while len(self.input) < count:
            if not self.more():
                raise Broken(self.input)
        taken, self.input = self.input[:count], self.input[count:]
        return taken

    def rest(self):
        while self.more():
            pass
        taken, self.input = self.input, b""
        return taken

    def head(self):
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        status = int(lines[0].split(" ")[1])
        return status, dict((line.split(": ", 1)) for line in lines[1:] if line)

    def chunk(self):
        size = int(self.until(b"\r\n"), 16)
        data = self.exactly(size + 2)
        equal(data[-2:], b"\r\n", "end of a chunk")
        return data[:-2]

    def answer(self):
        status, headers = self.head()
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while not parts or parts[-1]:
                parts.append(self.chunk())
            data = b"".join(parts)
        elif "content-length" in headers:
            data = self.exactly(int(headers["content-length"]))
        else:
            data = self.rest()
        return status, headers, data.decode()

    def is_over(self):
        """Whether the next thing is the end: 'closed' or 'reset'; else the bytes."""
        try:
            return "closed" if not self.more() and not self.input else self.input
        except ConnectionResetError:
            return "reset"

    def is_quiet(self, sim):
        """Whether llmsim, having been round its loop for someone else, still has nothing to say here."""
        sim.sim()
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1) is None
        except BlockingIOError:
            return True
        finally:
            self.sock.settimeout(PATIENCE)


def events(text):
    """The events of a stream as (event name, data text)."""
    found = []
    for block in text.split("\n\n"):
        name = [line[7:] for line in block.split("\n") if line.startswith("event: ")]
        data = [line[6:] for line in block.split("\n") if line.startswith("data: ")]
        if data:
            found.append((name[0] if name else None, "\n".join(data)))
    return found


def said(text):
    """The words of a chat stream, malformed events left out."""
    out = ""
    for _, data in events(text):
        try:
            choices = json.loads(data).get("choices") or [{}]
        except ValueError:
            continue
        out += choices[0].get("delta", {}).get("content") or choices[0].get("text") or ""
    return out


def content(text):
    return json.loads(text)["choices"][0]["message"]["content"]


def run(*arguments):
    done = subprocess.run([LLMSIM] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr
