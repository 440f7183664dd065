"""What went wrong once, or could: each of these let one client or one operator's step harm somebody else."""

import json
import os
import resource
import signal
import socket
import subprocess

from harness import Conn, chat, endpoint, equal, failed, kill, ok, request, wait_until
from upstream import completion

TARGET = "/v1/chat/completions"


def port_open(port):
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def sized(size):
    """A whole request of exactly so many bytes."""
    empty = len(request("POST", TARGET, (), chat(content="")))
    for pad in range(size - empty - 8, size - empty + 1):
        whole = request("POST", TARGET, (), chat(content="x" * pad))
        if len(whole) == size:
            return whole
    raise AssertionError("no request of %d bytes" % size)


def test_a_listener_that_was_removed_is_gone(t):
    """No process keeps a copy of it open, taking in clients whom nobody serves; and it can be added again."""
    port = t.free_port()
    gw = t.gateway([endpoint("a", t.sim("a"))])
    base = list(gw.config["listen"])
    for _ in range(2):
        gw.write(listen=base + [{"tcp": "127.0.0.1:%d" % port}])
        gw.order("reload")
        assert port_open(port), "the listener that was added does not answer"
        gw.write(listen=base)
        gw.order("reload")
        wait_until(lambda: not port_open(port), 10, "the listener that was removed is closed")


def test_a_request_that_fills_the_buffer(t):
    """One that ends exactly where the buffer does: the next one is read, and the client's leaving is noticed."""
    sim = t.sim("a", latency="400ms")
    gw = t.gateway([endpoint("a", sim)])
    for size in (4095, 4096, 8192):
        with gw.connect() as conn:
            conn.send(sized(size))
            wait_until(lambda: gw.in_flight() == 1, 5, "the request is under way")
            conn.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            equal((conn.read(5).status, conn.read(5, "GET").status), (200, 200), "both answers, %d bytes" % size)
    sim.set(latency="20s")
    for size in (4095, 4096):
        with gw.connect() as conn:
            conn.send(sized(size))
            wait_until(lambda: gw.in_flight() == 1, 5, "the request is under way")
        wait_until(lambda: gw.in_flight() == 0, 5, "the client's leaving is noticed, %d bytes" % size)


def test_nothing_of_the_request_before(t):
    """A request that is refused before it is routed shows nothing of whoever was served there before."""
    gw = t.gateway([endpoint("a", t.sim("a"))], workers=1)
    with gw.connect() as conn:
        body = json.dumps({"messages": [{"role": "user", "content": "x" * 300000}], "model": "somebody-elses"}).encode()
        conn.send(request("POST", TARGET, (), body))
        ok(conn.read(10))
    with gw.connect() as conn:
        conn.send(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Gateway-Timeout: bad\r\n\r\n")
        failed(conn.read(5, "GET"), 400, "bad_request")
    wait_until(lambda: any(line["status"] == 400 for line in gw.access), 5, "the line of the access log")
    assert all(line["model_asked"] is None for line in gw.access if line["status"] == 400), "another's model is logged"


def test_our_own_lack_of_descriptors(t):
    """It is no failure of the endpoint's, which was never reached: no breaker opens for everyone."""
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)], start=False, workers=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # 64 of them are there to wake the processes of the region.
    resource.setrlimit(resource.RLIMIT_NOFILE, (40 + 64, hard))
    try:
        gw.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    first = [Conn(gw.unix) for _ in range(6)]
    rest = [Conn(gw.unix) for _ in range(40)]
    wait_until(lambda: "out of file descriptors" in gw.log, 10, "the worker is out of descriptors")
    for conn in first:
        conn.send(request("POST", TARGET, (), chat()))
        failed(conn.read(10), 503, "at_capacity", "server_error")
    for conn in first + rest:
        conn.close()
    equal((gw.endpoint("a")["state"], sim.count), ("healthy", 0), "state and requests of the endpoint")


def test_a_removed_region_file(t):
    """Those who have it mapped go on with it, and a worker that dies is replaced."""
    gw = t.gateway([endpoint("a", t.sim("a"))], workers=1)
    pid = gw.pids()[0]
    os.unlink(gw.state)
    kill(pid)
    ok(gw.ask(timeout=10), "a")


def test_no_link_in_the_place_of_the_log(t):
    """Root opens the access log in a directory that may be its writer's: a link there leads nowhere."""
    if os.geteuid() != 0:
        return  # then there is nothing to gain: the daemon opens the log as the user who writes it
    logs, victim = t.path("logs"), t.path("victim")
    os.mkdir(logs)
    os.chown(logs, 65534, 65534)
    with open(victim, "w") as file:
        file.write("root only\n")
    gw = t.gateway([endpoint("a", t.sim("a"))], workers=1, log={"access": logs + "/access.log"})
    subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "sh", "-c",
                    "rm -f %s/access.log && ln -s %s %s/access.log" % (logs, victim, logs)], check=True)
    gw.send_signal(signal.SIGUSR1)
    wait_until(lambda: "cannot reopen the access log" in gw.log, 10, "the master refuses the link")
    ok(gw.ask())
    equal((os.stat(victim).st_uid, open(victim).read()), (0, "root only\n"), "root's file")


def test_answers_that_are_no_failures(t):
    """304, a redirect, HEAD with a body: one client's odd requests open no breaker for the others."""
    def script(r, _):
        if r.header("if-none-match"):
            return b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"
        if r.target.endswith("/files"):
            return b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /v1/files/\r\nContent-Length: 0\r\n\r\n"
        return completion(r)
    gw = t.gateway([endpoint("a", t.upstream(script))], workers=1)
    for _ in range(6):
        equal(gw.get("/v1/whatever", headers=[("If-None-Match", '"x"')]).status, 304, "status")
        equal(gw.get("/v1/files").status, 307, "status")
    ok(gw.ask(), "a")


def test_announced_bodies_hold_no_room(t):
    """Heads that announce large bodies and send none keep nobody else's out."""
    gw = t.gateway([endpoint("a", t.sim("a"))], workers=1, limits={"buffered": "64MiB", "body": "32MiB"})
    idlers = [gw.connect() for _ in range(16)]
    for conn in idlers:
        conn.send(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n{" % TARGET.encode())
    ok(gw.ask(), "a")
    for conn in idlers:
        conn.close()
