"""Ending: SIGTERM lets everybody finish, SIGQUIT does not; neither leaves anything behind. And the access log."""

import json
import os
import re
import signal
import time

from harness import alive, descendants, endpoint, equal, ok, pending, process_status, wait_until, words


def nothing_left(gw, pids):
    for pid in pids:
        assert not alive(pid), "process %d is still there" % pid
    assert not os.path.exists(gw.unix), "the socket's file is still there"


def test_sigterm_drains(t):
    sim = t.sim("a", tokens=40, rate="20/s")
    gw = t.gateway([endpoint("a", sim)], tcp=True, drain={"stop": "30s"})
    tcp = gw.tcp
    pids = [gw.master] + descendants(gw.master)
    calls = [gw.begin(stream=True, address=(gw.unix, tcp)[n % 2]) for n in range(40)]
    idle = gw.connect()
    for call in calls:
        call.wait_events(1, 20)
    gw.send_signal(signal.SIGTERM)
    for address in (gw.unix, tcp):
        wait_until(lambda: gw.ask(address=address, timeout=5).end in ("refused", "cut", "reset"), 5,
                   "new connections are refused")
    assert idle.closed_by_peer(5), "an idle connection is kept open"
    idle.close()
    for call in calls:
        equal(ok(call.finish()).text, words(40), "the text of a stream that was in flight")
    equal(gw.wait_exit(10), 0, "exit status")
    nothing_left(gw, pids)
    gw.start()
    ok(gw.ask(), "a")


def test_what_has_arrived_is_answered(t):
    """A request that lies in its socket, or whose connection nobody has accepted, when the word to stop comes."""
    gw = t.gateway([endpoint("a", t.sim("a"))], workers=1, drain={"stop": "30s"})
    worker, data = gw.pids()[0], gw.call().data
    kept, new = gw.connect(), gw.connect()
    kept.send(data)
    ok(kept.read())
    wait_until(lambda: gw.workers()[0]["connections"] == 2, 5, "both are accepted")
    os.kill(worker, signal.SIGSTOP)
    try:
        wait_until(lambda: process_status(worker, "State") == "T", 5, "the worker stands still")
        queued = gw.connect()
        for conn in (kept, new, queued):
            conn.send(data)
        gw.send_signal(signal.SIGTERM)
        wait_until(lambda: pending(worker, signal.SIGTERM), 5, "the worker is told")
    finally:
        os.kill(worker, signal.SIGCONT)
    for name, conn in (("kept alive", kept), ("new", new), ("in the queue", queued)):
        with conn:
            r = conn.read()
            equal((name, r.status, r.whole), (name, 200, True), "the answer")
    equal(gw.wait_exit(10), 0, "exit status")


def test_a_request_at_the_last_moment_is_answered(t):
    """One that has arrived when the time of an idle connection is found to be up, because its worker stood still."""
    gw = t.gateway([endpoint("a", t.sim("a"))], workers=1, limits={"idle_timeout": "1s"})
    worker, data = gw.pids()[0], gw.call().data
    with gw.connect() as new, gw.connect() as kept:
        kept.send(data)
        ok(kept.read())
        wait_until(lambda: gw.workers()[0]["connections"] == 2, 5, "both are accepted")
        os.kill(worker, signal.SIGSTOP)
        try:
            for conn in (kept, new):
                conn.send(data)
            time.sleep(1.2)
        finally:
            os.kill(worker, signal.SIGCONT)
        for conn in (kept, new):
            ok(conn.read())


def test_a_kept_alive_connection_is_told(t):
    """An answer during the drain says that the connection ends."""
    sim = t.sim("a", latency="1s")
    gw = t.gateway([endpoint("a", sim)], drain={"stop": "30s"})
    call = gw.begin()
    wait_until(lambda: sim.stats()["in_flight"] == 1, 5, "the request is upstream")
    gw.send_signal(signal.SIGTERM)
    equal(ok(call.finish()).header("connection", "").lower(), "close", "Connection")
    equal(gw.wait_exit(10), 0, "exit status")


def test_the_drain_is_bounded(t):
    sim = t.sim("a", tokens=100000, rate="20/s")
    gw = t.gateway([endpoint("a", sim)], drain={"stop": "1s"}, stream={"rescue": "off"})
    pids = [gw.master] + descendants(gw.master)
    calls = [gw.begin(stream=True) for _ in range(4)]
    for call in calls:
        call.wait_events(1)
    began = time.monotonic()
    equal(gw.stop(timeout=15), 0, "exit status")
    assert time.monotonic() - began >= 0.95, "ended before drain.stop was over"
    nothing_left(gw, pids)
    for call in calls:
        r = call.finish()
        assert "[DONE]" not in r.events and not r.whole, "a stream that was ended looks whole: %s" % r
        assert "was stopped before" in r.stream_errors[-1]["message"], r.stream_errors


def test_sigquit_ends_at_once(t):
    sim = t.sim("a", tokens=100000, rate="20/s")
    gw = t.gateway([endpoint("a", sim)], drain={"stop": "10m"})
    pids = [gw.master] + descendants(gw.master)
    calls = [gw.begin(stream=True) for _ in range(10)]
    for call in calls:
        call.wait_events(1)
    gw.stop(signal.SIGQUIT, timeout=8)
    nothing_left(gw, pids)
    for call in calls:
        assert not call.finish().done
    gw.start()
    equal(gw.in_flight(), 0, "in flight after the next start")


def test_signals_during_the_start(t):
    """From when the lock file names it: a log rotation or a reload at that moment ends nobody."""
    gw = t.gateway([endpoint("a", t.sim("a"))], start=False)
    for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGUSR1, signal.SIGHUP):
        gw.start(wait=False)
        until = time.monotonic() + 10
        named = ""
        while named != "%d\n" % gw.master and time.monotonic() < until:  # no sleep: the moment is short
            if os.path.exists(gw.state + ".lock"):
                with open(gw.state + ".lock") as file:
                    named = file.read()
        gw.send_signal(number)
        gw.wait_listening()
        equal(gw.stop(), 0, "exit status after signal %d" % number)
        os.unlink(gw.state)  # the next one makes it anew, which takes a while


def test_sigint_is_sigterm(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    pids = [gw.master] + descendants(gw.master)
    equal(gw.stop(signal.SIGINT), 0, "exit status")
    nothing_left(gw, pids)


def test_gatewayctl_stop(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    pids = [gw.master] + descendants(gw.master)
    gw.order("stop", json_too=False)
    equal(gw.wait_exit(5), 0, "exit status")
    nothing_left(gw, pids)
    equal(gw.ctl("stop").code, 1, "exit status of stop with nothing to stop")


def values(thing):
    """Every scalar in a nested value."""
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, list):
        return [found for item in thing for found in values(item)]
    return [thing]


def test_access_log(t):
    """One JSON object a line: who asked what, who answered after which attempts, how long, how much, why it ended."""
    a, b = t.sim("a", fault="503/on=chat"), t.sim("b", tokens=10)
    gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], log={"access": t.path("access.log")},
                   models={"m1": {"endpoints": ["a", {"name": "b", "as": "m1-real"}]}}, aliases={"fast": "m1"})
    gw.access_path = t.path("access.log")
    sent = ok(gw.ask("fast", headers={"X-Request-Id": "the-id"}), "b")
    ok(gw.ask("m1", stream=True, headers={"X-Request-Id": 'quote"\\'}))
    gw.ask("nobody")
    gw.get("/health")
    lines = wait_until(lambda: os.path.exists(gw.access_path) and len(gw.access) >= 3 and gw.access, 5, "three lines")
    line = next(line for line in lines if line.get("id") == "the-id")
    for key in ("time", "id", "client", "method", "path", "endpoint", "attempts", "status", "bytes", "cache"):
        assert key in line, "no %r in %s" % (key, line)
    equal((line["method"], line["path"], line["status"], line["endpoint"]), ("POST", "/v1/chat/completions", 200, "b"),
          "what the line says")
    equal(line["client"], "anonymous", "client")
    equal(line["bytes"], len(sent.body), "bytes")
    for value in ("fast", "m1"):
        assert value in values(line), "model %r is not in %s" % (value, line)
    equal([tried["endpoint"] for tried in line["attempts"]], ["a", "b"], "the attempts' endpoints")
    assert all(tried.get("outcome") for tried in line["attempts"]), "an attempt without outcome: %s" % line
    for part in ("wait", "upstream", "overhead"):
        assert any(part in key for key in line), "no %s time in %s" % (part, line)
    assert any("end" in key and key != "endpoint" or "reason" in key for key in line), "no end reason in %s" % line
    assert any(line["status"] == 404 for line in lines), "the refused request has no line"


def test_what_the_end_of_the_drain_cuts_is_in_the_access_log(t):
    gw = t.gateway([endpoint("a", t.sim("a", tokens=100000, rate="20/s"))], drain={"stop": "1s"},
                   stream={"rescue": "off"})
    calls = [gw.begin(stream=True) for _ in range(4)]
    for call in calls:
        call.wait_events(1)
    gw.stop()
    for call in calls:
        call.finish()
    equal(len(gw.access), 4, "lines: %s" % gw.access)


def test_sigusr1_reopens_the_access_log(t):
    gw = t.gateway([endpoint("a", t.sim("a"))], log={"access": t.path("access.log")}, workers=3)
    gw.access_path, moved = t.path("access.log"), t.path("access.log.1")
    gw.reach_all_workers()

    def lines(path):
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return [json.loads(line) for line in file]
    wait_until(lambda: lines(gw.access_path), 5, "the first lines")
    os.rename(gw.access_path, moved)
    gw.send_signal(signal.SIGUSR1)
    wait_until(lambda: os.path.exists(gw.access_path), 5, "the new file")
    gw.reach_all_workers()
    for number in range(30):
        ok(gw.ask(headers={"X-Request-Id": "after-%d" % number}))
    wait_until(lambda: {"after-%d" % n for n in range(30)} <= {line["id"] for line in lines(gw.access_path)}, 5,
               "the new file gets every line")
    assert not any(line["id"].startswith("after-") for line in lines(moved)), "the old file still gets lines"
    for pid in [gw.master] + descendants(gw.master):
        held = [os.readlink(entry.path) for entry in os.scandir("/proc/%d/fd" % pid)]
        assert moved not in held, "process %d keeps the old file open" % pid


def test_the_access_log_as_text(t):
    gw = t.gateway([endpoint("a", t.sim("a", fault="429#1")), endpoint("b", t.sim("b"), priority=2)],
                   log={"format": "text"})
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ok(gw.ask("gpt-\"x", headers={"X-Request-Id": "mine", "traceparent": trace}), "b")
    gw.stop()
    with open(gw.access_path) as file:
        lines = file.read().splitlines()
    equal(len(lines), 1, "lines")
    assert re.match(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z anonymous "POST /v1/chat/completions" 200 \d+ '
                    r'model="gpt-\\"x" answered=".*" endpoint="b" attempts=2 \[a rate 429, b ok 200\] '
                    r'tokens=\d+/\d+ wait=0\.000 upstream=\d+\.\d+ overhead=\d+\.\d+ total=\d+\.\d+ id="mine" '
                    r'trace="%s" end="done"$' % trace, lines[0]), lines[0]
    assert " INFO master: " in gw.log, "the other log is not text: %s" % gw.log


def test_a_trace_is_in_the_access_log(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    ok(gw.ask(headers={"traceparent": "00-1-2-01"}))
    ok(gw.ask())
    gw.stop()
    equal([line["traceparent"] for line in gw.access], ["00-1-2-01", None], "traceparent")


def test_access_log_off(t):
    gw = t.gateway([endpoint("a", t.sim("a"))], log={"access": "off"})
    ok(gw.ask())
    gw.stop()
    equal(gw.access, [], "lines")
