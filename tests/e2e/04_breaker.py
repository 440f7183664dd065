"""An endpoint fails again and again: its breaker opens for every worker at once, and closes when trials succeed.

Two breakers guard a try. The endpoint's opens when nobody can connect or the connection dies before an answer; the one
of (endpoint, model) opens on 5xx and on answers that are none. The operator may look, reset, and hold either.
"""

import threading
import time

from harness import crowd, endpoint, equal, failed, ok, wait_until
from upstream import CLOSE, failure

BOTH = {"m1": {"endpoints": ["a", "b"]}, "m2": {"endpoints": ["a", "b"]}}


def two(t, a, b, breaker=None, **keys):
    return t.gateway([endpoint("a", a, breaker=breaker or {"failures": 5, "open": "60s", "max_open": "60s"}),
                      endpoint("b", b, priority=2)], workers=4, models=BOTH, **keys)


def trip(gw, sim, model="m1", failures=5):
    """Fail as often as it takes, one request after the other; each is answered by the other endpoint."""
    before = sim.count
    for _ in range(failures):
        equal(ok(gw.ask(model), "b").attempts, "2", "attempts while the breaker is closed")
    equal(sim.count - before, failures, "failures upstream")


def test_five_failures_open_it_for_all_workers(t):
    a, b = t.sim("a"), t.sim("b")
    gw = two(t, a, b)
    gw.reach_all_workers("m1")
    a.fault("503/model=m1")
    trip(gw, a)
    equal(gw.pair("a", "m1")["state"], "open", "state of (a, m1)")
    before = a.count
    for r in crowd(200, lambda n: gw.ask("m1"), 50):
        equal(ok(r, "b").attempts, "1", "attempts while the breaker is open")
    equal(a.count, before, "requests upstream while the breaker is open")
    ok(gw.ask("m2"), "a")


def test_failures_seen_by_different_workers_add_up(t):
    """Many at once: however the workers share them, it opens; what was under way at that moment may still fail."""
    a, b = t.sim("a", fault="503"), t.sim("b")
    gw = two(t, a, b)
    for r in crowd(300, lambda n: gw.ask("m1"), 30):
        ok(r, "b")
    assert 5 <= a.count <= 5 + 30, "%d requests upstream of at most 35" % a.count
    equal(gw.pair("a", "m1")["state"], "open", "state of (a, m1)")


def test_trials_close_it(t):
    a, b = t.sim("a", fault="503#5"), t.sim("b")
    gw = two(t, a, b, {"failures": 5, "open": "300ms", "max_open": "1s", "successes": 3, "half_open": 3})
    trip(gw, a)
    opened = a.requests[-1]["time_ms"]
    wait_until(lambda: gw.ask("m1").endpoint == "a", 10, "a trial succeeds")
    gap = a.requests[5]["time_ms"] - opened
    assert gap >= 299, "tried after %d ms of 300" % gap
    for _ in range(3):
        ok(gw.ask("m1"))
    wait_until(lambda: gw.pair("a", "m1")["state"] == "healthy", 5, "the breaker closes")
    for r in crowd(40, lambda n: gw.ask("m1"), 20):
        ok(r, "a")


def test_a_failed_trial_opens_it_longer(t):
    a, b = t.sim("a", fault="503"), t.sim("b")
    gw = two(t, a, b, {"failures": 5, "open": "200ms", "max_open": "2s"})
    trip(gw, a)
    for trials in (1, 2):
        wait_until(lambda: gw.ask("m1").endpoint == "b" and a.count >= 5 + trials, 10, "trial %d" % trials)
    moments = [entry["time_ms"] for entry in a.requests]
    first, second = moments[5] - moments[4], moments[6] - moments[5]
    assert first >= 199 and second >= 399, "open for 200 ms, then 400 ms: %s" % [first, second]


def test_trials_are_few(t):
    """Half open: at most `half_open` trials at a time over all workers, however many ask."""
    silent = threading.Event()
    lock, now = threading.Lock(), {"in": 0, "most": 0}

    def script(r, conn):
        if not silent.is_set():
            return failure(503)
        with lock:
            now["in"] += 1
            now["most"] = max(now["most"], now["in"])
        time.sleep(0.4)
        with lock:
            now["in"] -= 1
        return failure(503)
    up, b = t.upstream(script), t.sim("b")
    gw = two(t, up, b, {"failures": 5, "open": "200ms", "max_open": "300ms", "successes": 3, "half_open": 2})
    for _ in range(5):
        ok(gw.ask("m1"), "b")
    silent.set()
    for r in crowd(400, lambda n: gw.ask("m1"), 60):
        ok(r, "b")
    wait_until(lambda: ok(gw.ask("m1")) and now["most"] > 0, 10, "a trial")
    assert 1 <= now["most"] <= 2, "%d trials at a time of at most 2" % now["most"]


def test_connect_failures_open_the_endpoint(t):
    """Nobody listens: that concerns every model of the endpoint."""
    a, b = t.sim("a"), t.sim("b")
    gw = two(t, a, b)
    a.stop()
    for n in range(5):
        equal(ok(gw.ask("m1" if n % 2 else "m2"), "b").attempts, "2", "attempts")
    equal(gw.endpoint("a")["state"], "open", "state of a")
    for model in ("m1", "m2"):
        equal(ok(gw.ask(model), "b").attempts, "1", "attempts while the endpoint's breaker is open")
    a.start()
    equal(ok(gw.ask("m1"), "b").attempts, "1", "attempts while open, whatever listens now")
    equal(a.count, 0, "requests upstream")
    gw.order("breaker", "reset", "a")
    ok(gw.ask("m1"), "a")


def test_reset_before_an_answer_opens_the_endpoint(t):
    a, b = t.upstream(lambda r, conn: CLOSE), t.sim("b")
    gw = two(t, a, b)
    for n in range(5):
        ok(gw.ask("m1" if n % 2 else "m2"), "b")
    equal(gw.endpoint("a")["state"], "open", "state of a")
    before = a.count
    ok(gw.ask("m1"), "b")
    equal(a.count, before, "requests upstream while open")


def test_reset_by_the_operator(t):
    a, b = t.sim("a"), t.sim("b")
    gw = two(t, a, b)
    for name in ("a/m1", "a", "--all"):
        a.fault("503/model=m1")
        trip(gw, a)
        a.fault()
        ok(gw.ask("m1"), "b")
        gw.order("breaker", "reset", name)
        equal(ok(gw.ask("m1"), "a").attempts, "1", "attempts after reset %s" % name)
        equal(gw.pair("a", "m1")["state"], "healthy", "state after reset %s" % name)


def test_a_failure_from_before_the_reset_changes_nothing(t):
    """What was under way when the operator reset it must not undo that."""
    go = threading.Event()

    def script(r, conn):
        go.wait(10)
        return failure(503)
    up, b = t.upstream(script), t.sim("b")
    gw = two(t, up, b)
    calls = [gw.begin("m1") for _ in range(8)]
    wait_until(lambda: up.count == 8, 5, "eight requests are under way")
    gw.order("breaker", "reset", "a")
    go.set()
    for call in calls:
        ok(call.finish(), "b")
    equal(gw.pair("a", "m1")["state"], "healthy", "state after eight failures from before the reset")


def test_show_tells_why(t):
    a, b = t.sim("a", fault="503/model=m1"), t.sim("b")
    gw = two(t, a, b)
    trip(gw, a)
    shown = gw.order("breaker", "show", "a/m1", json_too=False).out
    assert "open" in shown and "5" in shown, "breaker show: %s" % shown
    listed = gw.order("breaker", "list", json_too=False).out
    assert any("m1" in line and "open" in line for line in listed.splitlines()), "breaker list: %s" % listed
    gw.order("breaker", "list")
    gw.order("breaker", "show", "a")
    equal(gw.ctl("breaker", "show", "nobody").code, 4, "exit status for a name that is not there")
    trips = [event for event in gw.events() if event["kind"].startswith("breaker") and event["to"] == "open"]
    assert trips and trips[-1]["endpoint"] == "a" and trips[-1]["model"] == "m1", "events: %s" % gw.events()


def test_refusals_of_the_request_never_trip_it(t):
    """400 and the like are the request's own fault."""
    a, b = t.sim("a"), t.sim("b")
    gw = two(t, a, b)
    for fault, status in (("400", 400), ("404", 404), ("content-filter", 400)):
        a.fault(fault)
        for _ in range(7):
            r = gw.ask("m1")
            equal((r.status, r.endpoint, r.attempts), (status, "a", "1"), "a refusal goes straight back")
    equal((gw.endpoint("a")["state"], gw.pair("a", "m1")["state"]), ("healthy", "healthy"), "states")
    equal(b.count, 0, "requests to the other endpoint")


def test_a_429_is_no_failure_in_a_row(t):
    sim = t.sim("a", fault="429/retry-after-ms=1")
    gw = t.gateway([endpoint("a", sim, breaker={"failures": 3, "open": "60s", "max_open": "60s"})],
                   models={"m1": {"endpoints": ["a"]}})
    wait_until(lambda: gw.ask("m1").status == 429 and sim.count >= 8, 10, "eight tries upstream")
    assert gw.pair("a", "m1")["breaker"] != "open", "the breaker: %s" % gw.pair("a", "m1")


def test_a_success_starts_the_row_afresh(t):
    a, b = t.sim("a"), t.sim("b")
    gw = two(t, a, b)
    for _ in range(3):
        a.fault("503#4")
        trip(gw, a, failures=4)
        ok(gw.ask("m1"), "a")
    equal(gw.pair("a", "m1")["state"], "healthy", "state of (a, m1)")


def test_forced_open(t):
    a, b = t.sim("a"), t.sim("b")
    gw = two(t, a, b)
    gw.order("breaker", "open", "a")
    equal(gw.endpoint("a")["state"], "forced_open", "state of a")
    for r in crowd(40, lambda n: gw.ask("m1"), 20):
        equal(ok(r, "b").attempts, "1", "attempts")
    equal(a.count, 0, "requests upstream")
    gw.order("breaker", "auto", "a")
    ok(gw.ask("m1"), "a")
    gw.order("breaker", "open", "a/m1")
    ok(gw.ask("m1"), "b")
    ok(gw.ask("m2"), "a")
    gw.order("breaker", "auto", "a/m1")
    began = time.monotonic()
    gw.order("breaker", "open", "a", "--for", "500ms")
    ok(gw.ask("m1"), "b")
    wait_until(lambda: gw.ask("m1").endpoint == "a", 10, "the order ends by itself")
    assert time.monotonic() - began >= 0.5, "held open for less than 500 ms"


def test_forced_closed(t):
    """Held closed: it is tried every time, however often it fails."""
    a, b = t.sim("a", fault="503"), t.sim("b")
    gw = two(t, a, b)
    gw.order("breaker", "close", "a/m1")
    for _ in range(12):
        equal(ok(gw.ask("m1"), "b").attempts, "2", "attempts")
    equal(a.count, 12, "requests upstream")
    gw.order("breaker", "auto", "a/m1")
    trip(gw, a)
    equal(gw.pair("a", "m1")["state"], "open", "state after auto and five failures")


def test_circuit_open(t):
    """Every candidate's breaker is open: 503, and when to come back."""
    a = t.sim("a", fault="503")
    gw = t.gateway([endpoint("a", a, breaker={"failures": 5, "open": "20s", "max_open": "30s"})], workers=4,
                   wait={"max": "0s"})
    for _ in range(5):
        failed(gw.ask(), 502, "all_endpoints_failed", "server_error")
    for number in range(8):
        error = failed(gw.ask(stream=number % 2 == 1), 503, "circuit_open", "server_error")
        assert 10 < error["retry_after"] <= 24.1, "open for 20 s and up to a fifth more: %s" % error
        assert error["endpoints"]["a"].startswith("open "), "why not: %s" % error["endpoints"]
    equal(a.count, 5, "requests upstream")
    equal(gw.get("/ready").status, 503, "/ready")


def test_an_upstream_that_names_its_wait_is_obeyed(t):
    """A 503 with Retry-After cools (endpoint, model) for that long, whatever the breaker thinks."""
    a, b = t.sim("a"), t.sim("b")
    gw = two(t, a, b)
    a.fault("503#1/retry-after=60/model=m1")
    ok(gw.ask("m1"), "b")
    for _ in range(5):
        equal(ok(gw.ask("m1"), "b").attempts, "1", "attempts during the wait")
    equal(a.count, 1, "requests upstream")
    ok(gw.ask("m2"), "a")
