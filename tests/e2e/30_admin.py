"""The admin server: who may ask, what is shown and changed, and that nobody who stalls holds anybody up."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from harness import Call, Conn, Hammer, crowd, endpoint, equal, failed, ok, request, rss, run, wait_until
from harness import GATEWAYD

TOKEN = "a-token-of-the-test-0123456789"
BEARER = ("Authorization", "Bearer " + TOKEN)
LOCAL = ("Host", "localhost")
LOOKS = ["/metrics", "/api/status", "/api/events", "/api/workers", "/api/history", "/api/stream"]
CHANGES = ["/api/breaker/a/reset", "/api/breaker/a/open", "/api/breaker/a/close", "/api/breaker/a/auto",
           "/api/endpoint/a/drain", "/api/endpoint/a/enable", "/api/cooldown/a/clear"]
PAGES = ["/", "/dashboard.html", "/dashboard.js", "/dashboard.css", "/dashboard.svg"]


def start(t, endpoints=None, admin=None, **keys):
    endpoints = endpoints or [endpoint("a", t.sim("a")), endpoint("b", t.sim("b"), priority=2)]
    listen = [{"unix": t.path("admin.sock"), "mode": "0600"}, {"tcp": "127.0.0.1:0"}]
    gw = t.gateway(endpoints, env={"ADMIN_TOKEN": TOKEN},
                   admin={"listen": listen, "token": "env:ADMIN_TOKEN", **(admin or {})}, **keys)
    tcp(gw)  # the last thing that a start tells, so the events of a start are all there
    return gw


def tcp(gw):
    """(host, port) of the admin listener."""
    found = wait_until(lambda: re.search(r"admin server on (127\.0\.0\.1):(\d+)", gw.log[gw.log_from:]), 10,
                       "the log tells the admin server's port")
    return found.group(1), int(found.group(2))


def unix(gw):
    return gw.t.path("admin.sock")


def ask(address, path, method="GET", headers=(), timeout=10):
    """One request on a fresh connection; with the right Host, unless one is given."""
    pairs = list(headers)
    if not any(name == "Host" for name, _ in pairs):
        pairs.append(LOCAL)
    return Call(address, request(method, path, pairs), timeout, method).run()


def good(response):
    assert response.status == 200 and response.whole, "not a whole 200: %s" % response
    return response


def stream(gw, timeout=60):
    return Call(unix(gw), request("GET", "/api/stream", [LOCAL]), timeout, "GET").begin()


def row(status, name):
    return next(row for row in status["endpoints"] if row["name"] == name)


def test_shows_what_gatewayctl_shows(t):
    gw = start(t)
    for _ in range(5):
        ok(gw.ask(), "a")
    gw.order("drain", "b")
    for address, headers in ((unix(gw), []), (tcp(gw), [BEARER])):
        said = good(ask(address, "/api/status", headers=headers)).json
        equal(row(said, "a")["requests"], 5, "requests of a")
        want = gw.status()
        equal(sorted(row(said, "a")), sorted(row(want, "a")), "names in a row of the status")
        equal([(r["name"], r["state"]) for r in said["endpoints"]], [("a", "healthy"), ("b", "drained")], "states")
        equal(row(said, "a")["account"], {"name": "a", "state": "healthy", "reason": "", "until_ms": 0}, "account of a")
        equal(said["summary"]["requests"], want["summary"]["requests"], "requests")
        equal(good(ask(address, "/api/events?n=1000", headers=headers)).json["events"], gw.events(), "events")
        equal(len(good(ask(address, "/api/events?n=2", headers=headers)).json["events"]), 2, "events asked for")
        rows = good(ask(address, "/api/workers", headers=headers)).json["workers"]
        equal([(r["slot"], r["pid"], r["role"], r["state"]) for r in rows],
              [(r["slot"], r["pid"], r["role"], r["state"]) for r in gw.rows() if r["role"] != "guest"], "processes")
    history = good(ask(unix(gw), "/api/history")).json
    equal(history["interval_ms"], 10000, "ms between samples")
    assert len(history["times"]) >= 1, "no sample yet: %s" % history
    for series in history["endpoints"]:
        equal(len(series["state"]), len(history["times"]), "states of %s" % series["name"])
        equal(len(series["first_token_ms"]["p99"]), len(history["times"]), "p99 of %s" % series["name"])


def test_pages_are_served_to_everyone_and_hold_nothing_inline(t):
    gw = start(t)
    for path in PAGES:
        r = good(ask(tcp(gw), path, headers=[("Host", "any.name.at.all")]))
        policy = r.header("content-security-policy")
        for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
            assert rule in policy, "%s is not in %s" % (rule, policy)
        assert "unsafe" not in policy, policy
        equal(r.header("x-content-type-options"), "nosniff", "X-Content-Type-Options of %s" % path)
        equal(r.header("referrer-policy"), "no-referrer", "Referrer-Policy of %s" % path)
        equal(r.header("access-control-allow-origin"), None, "CORS header of %s" % path)
        equal(r.header("set-cookie"), None, "cookie of %s" % path)
        whole = ask(tcp(gw), path, "HEAD")
        equal((whole.header("content-length"), len(whole.body)), (str(len(r.body)), 0), "HEAD of %s" % path)
    html = ask(tcp(gw), "/").body.decode()
    equal(re.findall(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=|https?://", html), [], "inline code in the page")
    for name in re.findall(r'(?:src|href)="(/[^"]*)"', html):
        good(ask(tcp(gw), name))


def test_tcp_wants_the_token(t):
    gw = start(t)
    address = tcp(gw)
    before = gw.events()
    for method, paths in (("GET", LOOKS), ("HEAD", ["/api/status"]), ("POST", CHANGES), ("GET", ["/api/nothing"])):
        for path in paths:
            r = ask(address, path, method)
            if method != "HEAD":
                failed(r, 401, "invalid_api_key", "authentication_error")
            equal(r.header("www-authenticate"), 'Bearer realm="gatewayd"', "WWW-Authenticate of %s" % path)
    for value in ("Bearer " + TOKEN[:-1], "Bearer " + TOKEN + "0", "Basic " + TOKEN, TOKEN, "Bearer", ""):
        began = time.monotonic()
        r = ask(address, "/api/status", headers=[("Authorization", value)])
        failed(r, 401, "invalid_api_key", "authentication_error")
        assert time.monotonic() - began >= 0.2, "a wrong token is answered at once"
        assert TOKEN not in r.raw.decode("latin-1")
    equal(gw.events(), before, "events after what was refused")
    for path in LOOKS[1:5]:
        good(ask(address, path, headers=[BEARER]))
    assert TOKEN not in gw.log, "the token stands in the log"
    for pid in [gw.master, gw.steward()["pid"]] + gw.pids():
        with open("/proc/%d/environ" % pid, "rb") as file:
            assert TOKEN.encode() not in file.read(), "the token stands in the environment of %d" % pid


def test_few_guesses_a_connection(t):
    gw = start(t)
    with Conn(tcp(gw)) as conn:
        for number in range(3):
            conn.send(request("GET", "/api/status", [LOCAL, ("Authorization", "Bearer x%d" % number)]))
            failed(conn.read(method="GET"), 401, "invalid_api_key")
        assert conn.closed_by_peer(), "a fourth guess is possible"
    with Conn(tcp(gw)) as conn:  # guesses sent in one go are answered one after the other
        began = time.monotonic()
        conn.send(request("GET", "/api/status", [LOCAL, ("Authorization", "Bearer x")]) * 2 +
                  request("GET", "/api/status", [LOCAL, BEARER]))
        equal([conn.read(method="GET").status for _ in range(3)], [401, 401, 200], "statuses")
        assert time.monotonic() - began >= 0.5, "two wrong tokens cost no time"


def test_other_sites_are_refused(t):
    gw = start(t, admin={"open_metrics": True})
    before = gw.events()
    evil, null = ("Origin", "https://evil.example"), ("Origin", "null")
    for address in (unix(gw), tcp(gw)):
        for origin in (evil, null, ("Origin", "http://localhost:1")):
            failed(ask(address, "/api/endpoint/a/drain", "POST", [BEARER, origin]), 403, "foreign_origin",
                   "permission_error")
            failed(ask(address, "/api/status", "GET", [BEARER, origin]), 403, "foreign_origin")
        r = ask(address, "/api/endpoint/a/drain", "OPTIONS",
                [evil, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization")])
        assert r.status in (403, 405), "a preflight is granted: %s" % r
        equal(r.header("access-control-allow-origin"), None, "CORS header")
    # A name that a stranger's DNS points here: refused wherever no token is asked for.
    for host in ("evil.example", "localhost.evil.example:9901", "127.0.0.1.evil.example"):
        failed(ask(unix(gw), "/api/status", headers=[("Host", host)]), 403, "foreign_host", "permission_error")
        failed(ask(unix(gw), "/api/endpoint/a/drain", "POST", [("Host", host)]), 403, "foreign_host")
        failed(ask(tcp(gw), "/metrics", headers=[("Host", host)]), 403, "foreign_host")
        failed(ask(tcp(gw), "/api/endpoint/a/drain", "POST", [("Host", host)]), 401, "invalid_api_key")
    equal(gw.events(), before, "events after what was refused")
    own = [("Host", "localhost:9901"), ("Origin", "http://localhost:9901")]
    good(ask(unix(gw), "/api/endpoint/a/drain", "POST", own))
    good(ask(tcp(gw), "/api/endpoint/a/enable", "POST", own + [BEARER]))
    assert ask(tcp(gw), "/metrics").status != 401, "open_metrics does not open /metrics"
    failed(ask(tcp(gw), "/api/status"), 401, "invalid_api_key")


def test_changes_are_seen_and_told(t):
    gw = start(t, models={"m1": {"endpoints": ["a", "b"]}, "org/m2": {"endpoints": ["a", "b"]}})
    steps = [  # path, state of a afterwards (or of its model), what the event says
        ("/api/endpoint/a/drain", "drained", ("order", "enabled", "drained")),
        ("/api/endpoint/a/enable", "healthy", ("order", "drained", "enabled")),
        ("/api/breaker/a/open?for=10m", "forced_open", ("breaker", "closed", "forced_open")),
        ("/api/breaker/a/auto", "healthy", ("breaker", "forced_open", "closed")),
        ("/api/breaker/a/close", "healthy", ("breaker", "closed", "forced_closed")),
        ("/api/breaker/a/reset", "healthy", ("breaker", "forced_closed", "closed")),
    ]
    for address, headers, by in ((unix(gw), [], "uid %d" % os.getuid()), (tcp(gw), [BEARER], "admin")):
        for path, state, told in steps:
            said = good(ask(address, path, "POST", headers)).json["changed"]
            equal((said[0]["name"], said[0]["from"], said[0]["to"]), ("a",) + told[1:], "answer to %s" % path)
            equal(gw.endpoint("a")["state"], state, "state after %s" % path)
            event = [e for e in gw.events() if e["endpoint"] == "a" and not e["model"]][-1]
            equal((event["kind"], event["from"], event["to"], event["by"]), told + (by,), "event of %s" % path)
    good(ask(unix(gw), "/api/endpoint/a/drain", "POST"))
    ok(gw.ask("m1"), "b")
    good(ask(unix(gw), "/api/endpoint/a/enable", "POST"))
    ok(gw.ask("m1"), "a")
    for path in ("/api/breaker/a%2Forg%2Fm2/open", "/api/breaker/a/org/m2/auto"):
        equal([c["name"] for c in good(ask(unix(gw), path, "POST")).json["changed"]], ["a/org/m2"], "changed")
    error = failed(ask(unix(gw), "/api/breaker/aa/reset", "POST"), 404, "endpoint_not_found", "invalid_request_error")
    assert "did you mean" in error["message"], error
    failed(ask(unix(gw), "/api/endpoint/a%2Fm1/drain", "POST"), 400, "bad_request")
    failed(ask(unix(gw), "/api/breaker/a/open?fro=10m", "POST"), 400, "bad_request")
    assert "drain a, by uid %d" % os.getuid() in gw.log and "drain a, by the admin token" in gw.log, gw.log


def test_cooldowns_are_cleared(t):
    gw = start(t, [endpoint("a", t.sim("a", fault="429/retry-after=300")), endpoint("b", t.sim("b"), priority=2)])
    ok(gw.ask(), "b")
    assert gw.endpoint("a")["state"] in ("cooling", "exhausted"), gw.endpoint("a")
    t.sims[0].fault()
    changed = good(ask(tcp(gw), "/api/cooldown/a/clear", "POST", [BEARER])).json["changed"]
    assert all(c["from"] == "cooling" and c["to"] == "not_cooling" and c["kind"] for c in changed) and changed, changed
    ok(gw.ask(), "a")
    equal(good(ask(tcp(gw), "/api/cooldown/a/clear", "POST", [BEARER])).json["changed"], [], "changed the second time")


def test_http_manners(t):
    gw = start(t)
    with Conn(unix(gw)) as conn:  # kept alive, pipelined, with bodies nobody wants
        conn.send(request("POST", "/api/breaker/a/reset", [LOCAL], "{}") + request("GET", "/api/status", [LOCAL]) +
                  request("HEAD", "/api/status", [LOCAL]) + request("GET", "/api/nothing", [LOCAL]))
        for method, status in (("POST", 200), ("GET", 200), ("HEAD", 200), ("GET", 404)):
            equal(conn.read(method=method).status, status, "status of %s" % method)
        conn.send(request("GET", "/api/status", [LOCAL, ("Connection", "close")]))
        good(conn.read(method="GET"))
        assert conn.closed_by_peer()
    for method, path, allow in (("POST", "/api/status", "GET, HEAD"), ("DELETE", "/", "GET, HEAD"),
                                ("GET", "/api/breaker/a/reset", "POST"), ("OPTIONS", "/api/endpoint/a/drain", "POST")):
        r = ask(unix(gw), path, method)
        failed(r, 405, "method_not_allowed")
        equal(r.header("allow"), allow, "Allow of %s" % path)
    failed(ask(unix(gw), "/robots.txt"), 404, "unknown_url")
    failed(ask(unix(gw), "/api/events?n=x"), 400, "bad_request")
    bad = [(b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/1.1\nHost: x\n\n", 400), (b"\x16\x03\x01\x02\x00\x01", 400),
           (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20000, 431),
           (request("POST", "/api/breaker/a/reset", [LOCAL], "x" * 5000), 413),
           (request("POST", "/api/breaker/a/reset", [LOCAL, ("Transfer-Encoding", "chunked")], "0\r\n\r\n"), 413)]
    for data, status in bad:
        with Conn(unix(gw)) as conn:
            conn.send(data)
            equal(conn.read(method="GET").status, status, "status of %r" % data[:40])
            assert conn.closed_by_peer()
    with Conn(unix(gw)) as conn:
        began = time.monotonic()
        conn.send(b"GET /api/status HTTP/1.1\r\nHost:")
        equal(conn.read(method="GET").status, 408, "status of half a head")
        assert 4 < time.monotonic() - began < 9, "a head may take %.1f s" % (time.monotonic() - began)


def test_stream_tells_the_status_every_second(t):
    gw = start(t)
    call = stream(gw)
    equal(call.wait_head().header("content-type"), "text/event-stream", "content type")
    seen = len(call.wait_events(2, 10).events)
    gw.order("drain", "a")
    wait_until(lambda: row(json.loads(call.response.events[-1]), "a")["state"] == "drained", 5, "the stream tells it")
    call.wait_events(seen + 2, 10)
    times = [at for at, _ in call.response.pieces[1:]]  # one may be read late, and the next then soon after it
    assert 0.6 < (times[-1] - times[0]) / (len(times) - 1) < 2, "times of the events: %s" % times
    call.conn.abort()


def test_a_slow_reader_gets_the_newest_status(t):
    sim = t.sim("a")
    many = [endpoint("an-endpoint-with-a-long-name-%03d" % number, sim) for number in range(300)]
    gw = start(t, many)
    pid = gw.steward()["pid"]
    name = many[7]["name"]
    with Conn(unix(gw), rcvbuf=4096) as slow:
        slow.send(request("GET", "/api/stream", [LOCAL]))
        quick = stream(gw)
        quick.wait_events(2, 20)
        size = rss(pid)
        quick.wait_events(9, 40)
        gw.order("drain", name)
        quick.wait_events(11, 20)
        assert rss(pid) < size + 8 * 1024 * 1024, "the steward grew by %d" % (rss(pid) - size)

        def newest():
            slow.more(time.monotonic() + 10)
            events = bytes(slow.input).split(b"\n\n")[:-1]
            data = [event.split(b"data: ", 1)[1] for event in events if b"data: " in event]
            return data and row(json.loads(data[-1]), name)["state"] == "drained" and len(data)
        count = wait_until(newest, 20, "the slow reader hears of it")
        heard = len(quick.response.events)
        assert count < heard, "nothing was left out: %d events of %d" % (count, heard)
        quick.conn.abort()


def test_stalled_clients_hold_nobody_up(t):
    sim = t.sim("a")
    gw = start(t, [endpoint("a", sim, health={"path": "/models", "interval": "1s"})])
    pid, both = gw.steward()["pid"], (unix(gw), tcp(gw))
    stalled = []
    with Hammer(gw) as hammer:
        for number in range(200):
            stalled.append(Conn(both[number % 2]))
            stalled[-1].send((b"", b"GET /api/sta", request("GET", "/api/status", [LOCAL, ("Authorization", "x")]),
                              request("GET", "/dashboard.js", [LOCAL]) * 50)[number // 2 % 4])
        for address, headers in ((both[0], []), (both[1], [BEARER])):
            began = time.monotonic()
            good(ask(address, "/api/status", headers=headers))
            assert time.monotonic() - began < 3, "the admin client waited %.1f s" % (time.monotonic() - began)
        hammer.more(20)
        for number in range(400):  # beyond what is held at a time: those who stall make room
            stalled.append(Conn(both[number % 2]))
        good(ask(unix(gw), "/api/status"))
        good(ask(tcp(gw), "/api/status", headers=[BEARER]))
        hammer.more(20)

        def probed():
            return [entry["time_ms"] for entry in sim.requests if entry["path"].endswith("/models")]
        last = max(probed(), default=0)
        wait_until(lambda: max(probed(), default=0) > last, 10, "probes go on")
    equal(gw.steward()["pid"], pid, "the steward's pid")
    for conn in stalled:
        conn.close()


def test_nobody_without_a_token_keeps_others_out(t):
    """Metrics may be open to everyone; who does not read them makes room like everyone."""
    sim = t.sim("a")
    gw = start(t, [endpoint("endpoint-%02d" % number, sim) for number in range(60)], {"open_metrics": True})
    stalled = []
    for _ in range(256):  # as many as are held at a time
        peer = socket.socket()
        peer.settimeout(10)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # or the kernel takes a whole answer for the wire
        peer.connect(tcp(gw))
        peer.sendall(request("GET", "/metrics", [LOCAL]))
        stalled.append(peer)
    assert stalled[-1].recv(1), "the last of them is being answered"
    good(ask(tcp(gw), "/api/status", headers=[BEARER]))
    for peer in stalled:
        peer.close()


def test_too_many_streams(t):
    gw = start(t)
    calls = [stream(gw) for _ in range(32)]
    for call in calls:
        equal(call.wait_head().status, 200, "status of a stream")
    failed(ask(unix(gw), "/api/stream"), 503, "at_capacity")
    good(ask(unix(gw), "/api/status"))
    for call in calls:
        call.conn.abort()
    wait_until(lambda: stream(gw).wait_head().status == 200, 5, "a stream is possible again")


def test_reload_keeps_the_listener(t):
    gw = start(t)
    inode, port = os.stat(unix(gw)).st_ino, tcp(gw)
    call = stream(gw)
    call.wait_events(1)
    old = gw.steward()["pid"]
    over, failures, asked = threading.Event(), [], [0]

    def hammer(address, headers):
        while not over.is_set():
            r = ask(address, "/api/status", headers=headers)
            asked[0] += 1
            if r.status != 200 or not r.whole:
                failures.append("%s: %s" % (address, r))
    threads = [threading.Thread(target=hammer, args=pair) for pair in ((unix(gw), []), (port, [BEARER])) * 2]
    for thread in threads:
        thread.start()
    try:
        for weight in (2, 3):
            gw.write(endpoints=[endpoint("a", t.sims[0], weight=weight)])
            gw.order("reload")
    finally:
        over.set()
        for thread in threads:
            thread.join(20)
    equal(failures, [], "failed requests of %d" % asked[0])
    equal(call.finish(10).end, "close", "end of the stream")
    wait_until(lambda: gw.steward()["pid"] != old and len([r for r in gw.rows() if r["role"] == "steward"]) == 1, 10,
               "the old steward ends")
    equal(os.stat(unix(gw)).st_ino, inode, "the socket's inode")
    again = stream(gw)
    again.wait_events(2)
    again.conn.abort()
    # Another token, another set of listeners.
    with open(t.path("token"), "w") as file:
        file.write("another-token\n")
    os.chmod(t.path("token"), 0o600)
    gw.write(admin={"listen": [{"tcp": "127.0.0.1:%d" % t.free_port()}], "token": "file:" + t.path("token")})
    gw.order("reload")
    wait_until(lambda: not os.path.exists(unix(gw)), 5, "the Unix socket is gone")
    new = ("127.0.0.1", int(gw.config["admin"]["listen"][0]["tcp"].split(":")[1]))
    failed(ask(new, "/api/status", headers=[BEARER]), 401, "invalid_api_key")
    good(ask(new, "/api/status", headers=[("Authorization", "Bearer another-token")]))
    wait_until(lambda: ask(port, "/api/status").end == "refused", 5, "the old port is closed")


def test_an_upgrade_keeps_the_listeners(t):
    """The port is one that the kernel chose, so whoever answers there was given the socket."""
    gw = start(t)
    doors = [(unix(gw), []), (tcp(gw), [BEARER])]
    over = threading.Event()
    answers = []

    def ask_on():
        while not over.is_set():
            answers.extend(ask(address, "/api/status", headers=headers) for address, headers in doors)

    asking = threading.Thread(target=ask_on)
    asking.start()
    try:
        equal(gw.upgrade()["generation"], 2, "generation")
        wait_until(lambda: all(r["generation"] == 2 for r in gw.rows() if r["role"] == "steward"), 20,
                   "the old steward has ended")
    finally:
        over.set()
        asking.join()
    for answer in answers:
        good(answer)
    for address, headers in doors:
        rows = good(ask(address, "/api/workers", headers=headers)).json["workers"]
        equal([r["generation"] for r in rows if r["role"] == "steward"], [2], "stewards")
    good(ask(doors[0][0], "/api/endpoint/a/drain", "POST"))
    equal(row(gw.status(), "a")["state"], "drained", "a")


def test_a_steward_that_dies_is_replaced(t):
    gw = start(t)
    with Conn(unix(gw)) as waiting:
        os.kill(gw.steward()["pid"], signal.SIGKILL)
        good(ask(unix(gw), "/api/status"))
        assert waiting.closed_by_peer()
    equal(gw.stop(), 0, "exit status")
    assert not os.path.exists(unix(gw)), "the socket is left behind"


def test_bad_configurations(t):
    gw = start(t)
    gw.stop()
    plain = dict(gw.config["admin"])

    def check(admin, env=None):
        gw.write(admin=admin)
        return run([GATEWAYD, "-t", "-c", gw.file], env=env or {"ADMIN_TOKEN": TOKEN})
    equal(check(plain).code, 0, "exit status of a good file")
    result = check({"listen": [{"tcp": "127.0.0.1:0"}]})
    assert result.code == 1 and "needs admin.token" in result.err, result
    result = check(plain, {"ADMIN_TOKEN": ""})
    assert result.code == 1 and "admin server" in result.err and "empty" in result.err, result
    result = check(plain, {"ADMIN_TOKEN": "Bearer " + TOKEN})
    assert result.code == 1 and TOKEN not in result.err, result
    equal(check({"listen": [{"unix": t.path("admin.sock")}]}, {"ADMIN_TOKEN": ""}).code, 0, "a socket needs no token")


def test_metrics(t):
    gw = start(t)
    ok(gw.ask())
    r = ask(tcp(gw), "/metrics", headers=[BEARER])
    good(r)
    assert b'gatewayd_requests_total{endpoint="a"' in r.body, r
    assert b"\ngatewayd_workers %d\n" % len(gw.pids()) in r.body, r
    assert r.header("content-type").startswith("text/plain; version=0.0.4"), r.header("content-type")
    promtool = shutil.which("promtool")
    if promtool:
        done = subprocess.run([promtool, "check", "metrics"], input=bytes(r.body), capture_output=True, timeout=20)
        equal((done.returncode, done.stdout, done.stderr), (0, b"", b""), "promtool")


def test_crowd_of_readers(t):
    """Every answer is whole, whatever else is asked at the same time."""
    gw = start(t)
    paths, both = LOOKS[1:5] * 10, (unix(gw), tcp(gw))
    for r in crowd(len(paths), lambda number: ask(both[number // 4 % 2], paths[number], headers=[BEARER]), 40):
        assert good(r).json
