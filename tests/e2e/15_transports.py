"""Upstreams behind TLS, HTTP/2 and proxies, and the probes that watch them.

nginx ends TLS and HTTP/2 in front of llmsim, with a certificate of our own authority; a small proxy in this file plays
the one of the company.
"""

import os
import re
import select
import shutil
import socket
import subprocess
import threading

from harness import Conn, chat, crowd, endpoint, equal, failed, ok, request, rss, wait_until, words
from upstream import CLOSE

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")

NGINX_CONF = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/nginx.err notice;
events {{ worker_connections 1024; }}
http {{
    log_format protocol '$server_protocol $request_uri $connection $connection_requests';
    access_log {dir}/nginx.log protocol;
    client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4;
    scgi_temp_path {dir}/t5;
    client_max_body_size 0;
    server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name localhost;
        ssl_certificate {dir}/server.pem; ssl_certificate_key {dir}/server.key;
        location / {{
            proxy_pass http://unix:{sim}; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_buffering off; proxy_request_buffering off;
        }}
    }}
}}
"""


def openssl(*args):
    done = subprocess.run(["openssl"] + list(args), capture_output=True, text=True)
    assert done.returncode == 0, "openssl %s: %s" % (args[0], done.stderr)


def authority(t, name):
    """A certificate authority of our own; returns the path of its certificate."""
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=Test CA " + name,
            "-keyout", t.path(name + ".key"), "-out", t.path(name + ".pem"))
    os.chmod(t.path(name + ".pem"), 0o644)
    return t.path(name + ".pem")


def certificate(t, ca):
    with open(t.path("ext"), "w") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", t.path("server.key"),
            "-out", t.path("server.csr"))
    openssl("x509", "-req", "-in", t.path("server.csr"), "-CA", ca, "-CAkey", ca.replace(".pem", ".key"),
            "-set_serial", "1", "-days", "30", "-extfile", t.path("ext"), "-out", t.path("server.pem"))


class Terminator:
    """nginx in front of a simulator: TLS and HTTP/2 on a port of 127.0.0.1."""

    def __init__(self, t, sim):
        assert NGINX, "nginx is missing; tools/test installs it"
        self.t = t
        self.ca = authority(t, "ca")
        certificate(t, self.ca)
        for number in range(1, 6):
            os.makedirs(t.path("t%d" % number), exist_ok=True)
        self.port = t.free_port()
        with open(t.path("nginx.conf"), "w") as file:
            file.write(NGINX_CONF.format(dir=t.dir, port=self.port, sim=sim.address))
        self.start()
        self.url = "https://127.0.0.1:%d/v1" % self.port

    def start(self):
        self.process = self.t.process([NGINX, "-p", self.t.dir, "-e", self.t.path("nginx.err"),
                                       "-c", self.t.path("nginx.conf")])

        def listens():
            assert self.process.poll() is None, "nginx ended: " + open(self.t.path("other.log")).read()
            try:
                Conn(("127.0.0.1", self.port), 1).close()
            except OSError:
                return False
            return True
        wait_until(listens, 10, "nginx listens")

    @property
    def log(self):
        with open(self.t.path("nginx.log")) as file:
            return file.read().splitlines()


def test_tls(t):
    nginx = Terminator(t, t.sim("a", tokens=20))
    gw = t.gateway([endpoint("a", nginx, ca_file=nginx.ca, http2="off")], workers=1)
    for number in range(6):
        equal(ok(gw.ask(stream=number % 2 == 0), "a").text, words(20), "the text over TLS")
    lines = [line for line in nginx.log if "chat" in line]
    assert all(line.startswith("HTTP/1.1 ") for line in lines), "protocols: %s" % lines
    equal(len({line.split()[2] for line in lines}), 1, "connections: they are kept and used again")


def test_http2(t):
    """http2: auto: many streams on few connections."""
    sim = t.sim("a", tokens=20, ttft="300ms")
    nginx = Terminator(t, sim)
    gw = t.gateway([endpoint("a", nginx, ca_file=nginx.ca)], workers=1)
    ok(gw.ask(stream=True), "a")
    for r in crowd(40, lambda n: gw.ask(stream=True), 40):
        equal(ok(r, "a").text, words(20), "the text over HTTP/2")
    lines = [line for line in nginx.log if "chat" in line]
    assert all(line.startswith("HTTP/2.0 ") for line in lines), "protocols: %s" % lines
    assert len({line.split()[2] for line in lines}) < 20, "a connection for each stream: %s" % lines
    assert sim.stats()["peak_in_flight"] > 10, "the streams were not concurrent: %s" % sim.stats()["peak_in_flight"]


def test_http2_reader_that_stops_reading(t):
    """Streams share a connection: a client that stops reading holds up none of the others, and is given up."""
    sim = t.sim("a", tokens=100, rate="0")
    nginx = Terminator(t, sim)
    gw = t.gateway([endpoint("a", nginx, ca_file=nginx.ca)], workers=1, tcp=True)
    ok(gw.ask(stream=True), "a")
    before = sum(map(rss, gw.pids()))
    sim.set(tokens=200000)  # about 50 MB
    with Conn(gw.tcp, rcvbuf=4096) as deaf:
        deaf.send(request("POST", "/v1/chat/completions", (), chat(stream=True)))
        wait_until(lambda: sim.stats()["in_flight"] == 1, 10, "the large stream has begun")
        sim.set(tokens=100)
        for r in crowd(10, lambda n: gw.ask(stream=True, timeout=20), 10):
            equal(ok(r, "a").text, words(100), "the text of another stream")
        wait_until(lambda: sim.stats()["in_flight"] == 0, 60, "the reader that does not read is given up")
    assert sum(map(rss, gw.pids())) - before < 96 << 20, "the worker grew without bound"


def test_http2_body_and_leaving(t):
    sim = t.sim("a", tokens=2000, rate="50/s")
    nginx = Terminator(t, sim)
    gw = t.gateway([endpoint("a", nginx, ca_file=nginx.ca)], workers=1)
    stay = gw.begin(stream=True, max_tokens=100)
    leave = gw.begin(stream=True, content="x" * 1000000)
    stay.wait_events(2)
    leave.wait_events(2)
    leave.abort()
    wait_until(lambda: sim.stats()["aborted"] == 1, 5, "the stream that was left is ended upstream")
    equal(ok(stay.finish()).text, words(100), "the other stream of the same connection")


def test_http2_connection_lost(t):
    """One connection with many streams dies: one failure, not forty, and every stream that can fails over."""
    sim, b = t.sim("a", ttft="30s"), t.sim("b")
    nginx = Terminator(t, sim)
    gw = t.gateway([endpoint("a", nginx, ca_file=nginx.ca, timeouts={"first_token": "60s"},
                             breaker={"failures": 5, "open": "60s", "max_open": "60s"}),
                    endpoint("b", b, priority=2)], workers=1)
    calls = [gw.begin(stream=True) for _ in range(30)]
    wait_until(lambda: sim.stats()["in_flight"] == 30, 10, "30 streams are upstream")
    connections = {line.split()[2] for line in nginx.log}
    nginx.process.kill()
    nginx.process.wait()
    for call in calls:
        ok(call.finish(), "b")
    assert len(connections) <= 4, "connections: %d" % len(connections)
    row = gw.endpoint("a")
    assert row["state"] in ("degraded", "healthy"), "thirty streams of one connection counted as many: %s" % row


def test_wrong_authority(t):
    """A certificate that nobody we trust has signed: the endpoint fails, at once, and nothing is sent to it."""
    sim, b = t.sim("a"), t.sim("b")
    nginx = Terminator(t, sim)
    other = authority(t, "other")
    gw = t.gateway([endpoint("a", nginx, ca_file=other), endpoint("b", b, priority=2)])
    equal(ok(gw.ask(), "b").attempts, "2", "attempts")
    system = t.gateway([endpoint("a", nginx)], name="system")
    failed(system.ask(), 502, "all_endpoints_failed")
    wrong_name = t.gateway([endpoint("a", "https://127.0.0.2:%d/v1" % nginx.port, ca_file=nginx.ca)], name="name")
    failed(wrong_name.ask(), 502, "all_endpoints_failed")
    equal(sim.count, 0, "requests upstream")
    assert gw.endpoint("a")["failures"] >= 1, "a failed handshake is a failure: %s" % gw.endpoint("a")


def test_tls_towards_a_plain_port(t):
    sim = t.sim("a", tcp=True)
    gw = t.gateway([endpoint("a", sim.url.replace("http:", "https:")), endpoint("b", t.sim("b"), priority=2)])
    ok(gw.ask(), "b")


class Proxy:
    """Forwards absolute-form requests and CONNECT; keeps the request lines it saw."""

    def __init__(self):
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(64)
        self.url = "http://127.0.0.1:%d" % self.sock.getsockname()[1]
        self.seen = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return sock.close()
            data += more
        line, rest = data.split(b"\r\n", 1)
        self.seen.append(line.decode())
        method, target, version = line.split(b" ")
        if method == b"CONNECT":
            host, port = target.rsplit(b":", 1)
            first, rest = b"", data.split(b"\r\n\r\n", 1)[1]
        else:
            found = re.match(rb"http://([^/:]+):(\d+)(/.*)", target)
            host, port = found.group(1), found.group(2)
            first = method + b" " + found.group(3) + b" " + version + b"\r\n"
        with sock, socket.create_connection((host.decode(), int(port))) as out:
            if method == b"CONNECT":
                sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            out.sendall(first + rest)
            ends = {sock: out, out: sock}
            while True:
                for ready in select.select(list(ends), [], [], 30)[0]:
                    piece = ready.recv(65536)
                    if not piece:
                        return
                    ends[ready].sendall(piece)

    def stop(self):
        self.sock.close()


def test_plain_proxy(t):
    proxy = Proxy()
    t.upstreams.append(proxy)
    sim = t.sim("a", tcp=True, tokens=10)
    gw = t.gateway([endpoint("a", sim, proxy=proxy.url)], workers=1)
    equal(ok(gw.ask(stream=True), "a").text, words(10), "the text through a proxy")
    assert proxy.seen, "the proxy saw nothing"


def test_tunnel_through_a_proxy(t):
    proxy = Proxy()
    t.upstreams.append(proxy)
    nginx = Terminator(t, t.sim("a", tokens=10))
    gw = t.gateway([endpoint("a", nginx, ca_file=nginx.ca, proxy=proxy.url)], workers=1)
    equal(ok(gw.ask(stream=True), "a").text, words(10), "the text through a tunnel")
    assert proxy.seen[0].startswith("CONNECT 127.0.0.1:%d " % nginx.port), "the proxy saw %s" % proxy.seen


def test_the_environment_sets_no_proxy(t):
    """What stands in http_proxy is for other programs; the configuration alone decides."""
    sim = t.sim("a", tcp=True)
    gw = t.gateway([endpoint("a", sim)], env={"http_proxy": "http://127.0.0.1:1", "all_proxy": "http://127.0.0.1:1",
                                              "HTTPS_PROXY": "http://127.0.0.1:1"})
    ok(gw.ask(), "a")


def probed(sim):
    return sim.stats()["by_path"].get("/v1/models", 0)


def test_probes(t):
    """The steward asks on its own; a failing probe counts as a failure, a passing one brings the next trial forward."""
    a, b = t.sim("a"), t.sim("b")
    gw = t.gateway([endpoint("a", a, health={"path": "/models", "interval": "200ms", "timeout": "200ms"},
                             breaker={"failures": 4, "open": "10m", "max_open": "10m", "successes": 1}),
                    endpoint("b", b, priority=2)])
    wait_until(lambda: probed(a) >= 3, 10, "three probes")
    equal(probed(b), 0, "probes of the endpoint without health:")
    times = [entry["time_ms"] for entry in a.requests if entry["path"] == "/v1/models"]
    assert all(later - earlier >= 150 for earlier, later in zip(times, times[1:])), "interval of 200 ms: %s" % times
    equal(gw.endpoint("a")["state"], "healthy", "state while probes pass")
    a.fault("503/on=models")
    wait_until(lambda: gw.endpoint("a")["state"] == "open", 10, "failing probes open the breaker")
    equal(ok(gw.ask(), "b").attempts, "1", "attempts while it is open")
    a.fault()
    before = probed(a)
    wait_until(lambda: probed(a) >= before + 2, 10, "two probes that pass")
    equal(a.stats()["by_path"].get("/v1/chat/completions", 0), 0, "requests: a probe alone closes nothing")
    wait_until(lambda: ok(gw.ask()).endpoint == "a", 10, "a trial request, long before its time")
    wait_until(lambda: gw.endpoint("a")["state"] == "healthy", 10, "the breaker is closed")


def test_probes_that_are_no_failures(t):
    """401 and 404 say that somebody is there."""
    a = t.sim("a")
    gw = t.gateway([endpoint("a", a, health={"path": "/models", "interval": "200ms", "timeout": "200ms"},
                             breaker={"failures": 2, "open": "10m", "max_open": "10m"})])
    for fault in ("401/on=models", "404/on=models"):
        a.fault(fault)
        before = probed(a)
        wait_until(lambda: probed(a) >= before + 4, 10, "four probes")
        equal(gw.endpoint("a")["state"], "healthy", "state after probes that got " + fault)


def test_probes_do_not_read_a_long_answer(t):
    """A list of models may be as long as it likes."""
    def endless(request, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n")
        while conn.send(b"x" * 65536):
            pass
        return CLOSE
    a = t.upstream(endless)
    gw = t.gateway([endpoint("a", a, health={"path": "/models", "interval": "200ms", "timeout": "1s"},
                             breaker={"failures": 2, "open": "10m", "max_open": "10m"})])
    wait_until(lambda: a.count >= 5, 10, "probes go on")
    equal(gw.endpoint("a")["state"], "healthy", "state after probes that got more than they wanted")


def test_probes_notice_silence(t):
    a = t.sim("a", fault="silence/on=models")
    gw = t.gateway([endpoint("a", a, health={"path": "/models", "interval": "200ms", "timeout": "200ms"},
                             breaker={"failures": 2, "open": "10m", "max_open": "10m"})])
    wait_until(lambda: gw.endpoint("a")["state"] == "open", 10, "probes without an answer open the breaker")
    equal(gw.get("/ready").status, 503, "/ready")
