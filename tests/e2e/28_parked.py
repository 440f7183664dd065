"""While a request is parked: places come free on other workers, clients leave, operators act, processes come and go.

Whatever ends the wait, nobody is forgotten, nobody is served twice, and a bulkhead never admits one too many.
"""

import signal
import time

from client import chat, request
from harness import crowd, endpoint, equal, failed, kill, ok, wait_until
from upstream import Held

M1 = {"m1": {"endpoints": ["a"]}}


def single(t, up, workers=2, wait=None, drain=None, **keys):
    """A gateway with one endpoint, `a`; `keys` are the endpoint's."""
    return t.gateway([endpoint("a", up, **keys)], workers=workers, models=M1, wait=wait or {"max": "30s"},
                     drain=drain or {"stop": "5s", "reload": "30s"})


def one_place(t, script, **keys):
    """The same with one place, taken by a request that the script holds; the gateway, the upstream, that request."""
    up = t.upstream(script)
    gw = single(t, up, max_concurrent=1, adaptive=False, **keys)
    first = gw.begin("m1")
    wait_until(lambda: up.count == 1, 10, "the only place is taken")
    return gw, up, first


def gaps(sim):
    """Milliseconds between the requests that an llmsim saw."""
    moments = [entry["time_ms"] for entry in sim.requests]
    return [later - earlier for earlier, later in zip(moments, moments[1:])]


# Places.

def test_a_place_is_taken_as_soon_as_it_is_free(t):
    """One place for four workers: all are served, one after the other."""
    sim = t.sim("a", latency="50ms")
    gw = single(t, sim, workers=4, max_concurrent=1, adaptive=False)
    began = time.monotonic()
    for r in crowd(30, lambda n: gw.ask("m1", stream=n % 3 == 0), 30):
        equal(ok(r, "a").attempts, "1", "a full bulkhead is no attempt")
    assert time.monotonic() - began < 25, "places stayed empty: 30 of 50 ms took %.1f s" % (time.monotonic() - began)
    equal((sim.count, sim.stats()["peak_in_flight"]), (30, 1), "requests upstream, and at once")
    assert sum(row["requests"] > 0 for row in gw.workers()) > 1, "one worker did it all: %s" % gw.workers()
    equal((gw.parked(), gw.in_flight()), (0, 0), "parked, and in flight, in the end")


def on_two_workers(gw):
    """Begin requests until another worker than the first one's holds some; those, and the first one's row."""
    holder = wait_until(lambda: next((row for row in gw.workers() if row["in_flight"]), None), 5, "who holds the place")
    wait_until(lambda: sum(row["connections"] for row in gw.workers()) == 1, 5, "there is one connection")
    calls = []
    while all(row["slot"] == holder["slot"] or not row["connections"] for row in gw.workers()):
        assert len(calls) < 100, "one worker takes every connection"
        calls += [gw.begin("m1") for _ in range(4)]
        gw.wait_parked(len(calls))
    return calls, holder


def test_a_place_freed_by_a_worker_that_is_killed(t):
    """What a dead worker held is given back, and that too wakes who waits on the others."""
    gw, up, first = one_place(t, Held(), workers=4)
    calls, holder = on_two_workers(gw)
    kill(holder["pid"], signal.SIGKILL)
    wait_until(lambda: up.count == 2, 10, "the place is taken by another one")
    up.script.let()
    answers = [call.finish() for call in calls]
    assert not first.finish().whole, "the dead worker answered: %s" % first.response
    served = [r for r in answers if r.whole]
    assert served, "nobody on another worker was served: %s" % answers[0]
    for r in served:
        ok(r, "a")
    wait_until(lambda: gw.parked() == 0 and gw.in_flight() == 0, 5, "nothing is left of the dead")


def test_a_place_freed_by_another_worker(t):
    gw, up, first = one_place(t, Held(), workers=4)
    calls, _ = on_two_workers(gw)
    began = time.monotonic()
    up.script.let()
    for call in [first] + calls:
        ok(call.finish(), "a")
    assert time.monotonic() - began < 20, "they waited for wait.max instead of the place"
    equal((up.count, up.script.most), (1 + len(calls), 1), "requests upstream, and at once")


def test_a_client_that_leaves_while_it_is_parked(t):
    gw, up, first = one_place(t, Held(), wait={"max": "30s", "queue": 2})
    for _ in range(2):
        calls = [gw.begin("m1", stream=stream) for stream in (False, True)]
        gw.wait_parked(2)
        for call in calls:
            call.abort()
        gw.wait_parked(0)
    last = gw.begin("m1")
    gw.wait_parked(1)
    up.script.let()
    ok(first.finish())
    ok(last.finish())
    equal(up.count, 2, "requests upstream")


def test_first_come_first_served(t):
    """Those who wait on one worker are served in the order in which they came."""
    gw, up, first = one_place(t, Held(), workers=1)
    calls = []
    for number in range(6):
        calls.append(gw.begin("m1", headers={"X-Request-Id": "turn-%d" % number}))
        gw.wait_parked(number + 1)
    up.script.let()
    for call in [first] + calls:
        ok(call.finish(), "a")
    equal([r.header("x-request-id") for r in up.requests[1:]], ["turn-%d" % number for number in range(6)], "turns")


def test_a_client_that_leaves_while_an_endpoint_cools(t):
    sim = t.sim("a", fault="429#1/retry-after=1")
    gw = single(t, sim)
    for stream in (False, True):
        sim.fault("429#1/retry-after=1")
        sim.forget()
        call = gw.begin("m1", stream=stream)
        gw.wait_parked(1)
        call.abort()
        gw.wait_parked(0)
        time.sleep(1.4)
        equal(sim.count, 1, "requests upstream for a client that has left")
    ok(gw.ask("m1"), "a")


def test_what_follows_on_the_same_connection(t):
    """A pipelined request waits for its turn behind the parked one, and both are answered in order."""
    gw, up, first = one_place(t, Held())
    with gw.connect() as conn:
        for name in ("one", "two"):
            conn.send(request("POST", "/v1/chat/completions", {"X-Request-Id": name}, chat("m1")))
        gw.wait_parked(1)
        up.script.let()
        for name in ("one", "two"):
            equal(ok(conn.read(20), "a").header("x-request-id"), name, "whose answer it is")
    ok(first.finish(), "a")
    equal((up.count, up.script.most), (3, 1), "requests upstream, and at once")


# The operator.

def test_clearing_a_cooldown_frees_who_waits_for_it(t):
    sim = t.sim("a", fault="429#1/retry-after=50")
    gw = single(t, sim, wait={"max": "60s"})
    for number, name in enumerate(("a/m1", "a", "--all")):
        sim.fault("429#1/retry-after=50")
        call = gw.begin("m1", stream=number == 1)
        gw.wait_parked(1)
        began = time.monotonic()
        gw.order("cooldown", "clear", name)
        ok(call.finish(), "a")
        assert time.monotonic() - began < 20, "it waited on after clear %s" % name


def test_resetting_a_breaker_frees_who_waits_for_it(t):
    sim = t.sim("a")
    gw = single(t, sim, wait={"max": "60s"}, breaker={"failures": 1, "open": "40s", "max_open": "40s"})
    for name in ("a/m1", "--all"):
        sim.fault("500#1")
        call = gw.begin("m1")
        gw.wait_parked(1)
        equal(gw.pair("a", "m1")["state"], "open", "state while it waits")
        began = time.monotonic()
        gw.order("breaker", "reset", name)
        equal(ok(call.finish(), "a").attempts, "2", "attempts")
        assert time.monotonic() - began < 20, "it waited on after reset %s" % name


def test_an_endpoint_that_is_enabled_serves_who_waits_for_another(t):
    up, b = t.upstream(Held()), t.sim("b")
    gw = t.gateway([endpoint("a", up, max_concurrent=1, adaptive=False), endpoint("b", b, priority=2)],
                   wait={"max": "50s"}, models={"m1": {"endpoints": ["a", "b"]}})
    gw.order("drain", "b")
    first = gw.begin("m1")
    wait_until(lambda: up.count == 1, 5, "the only place is taken")
    call = gw.begin("m1")
    gw.wait_parked(1)
    began = time.monotonic()
    gw.order("enable", "b")
    equal(ok(call.finish(), "b").attempts, "1", "attempts")
    assert time.monotonic() - began < 20, "it waited on for the other one"
    up.script.let()
    ok(first.finish(), "a")


def test_an_endpoint_that_is_drained_gets_nobody_who_waited(t):
    gw, up, first = one_place(t, Held(), wait={"max": "2s"})
    call = gw.begin("m1")
    gw.wait_parked(1)
    gw.order("drain", "a")
    up.script.let()
    ok(first.finish(), "a")
    assert call.finish().status == 503 and call.response.error["endpoints"]["a"].startswith("drained"), \
        "what there is to say: %s" % call.response
    equal((up.count, gw.parked()), (1, 0), "requests upstream, and parked")


# Processes.

def test_a_reload_leaves_the_parked_alone(t):
    gw, up, first = one_place(t, Held())
    before = gw.pids()
    call = gw.begin("m1")
    gw.wait_parked(1)
    gw.order("reload")
    wait_until(lambda: set(gw.pids()) - set(before), 10, "new workers run")
    late = gw.begin("m1")
    gw.wait_parked(2)
    up.script.let()
    for each in (first, call, late):
        ok(each.finish(), "a")
    equal((up.count, up.script.most), (3, 1), "requests upstream, and at once")


def test_a_stop_serves_the_parked_within_the_drain_time(t):
    gw, up, first = one_place(t, Held())
    call = gw.begin("m1")
    gw.wait_parked(1)
    gw.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    up.script.let()
    ok(first.finish(), "a")
    ok(call.finish(), "a")
    equal(gw.wait_exit(), 0, "exit status")
    sim = t.sim("b", fault="429#1/retry-after=1")
    cooling = t.gateway([endpoint("b", sim)], name="gw2", models={"m1": {}})
    call = cooling.begin("m1")
    cooling.wait_parked(1)
    cooling.send_signal(signal.SIGTERM)
    ok(call.finish(), "b")
    assert gaps(sim)[0] >= 999, "a stop is no reason to ask early: %s" % gaps(sim)
    equal(cooling.wait_exit(), 0, "exit status")


def test_a_stop_does_not_wait_for_ever(t):
    """Who waits for longer than the drain time is told that it was in vain, and when to come again."""
    sim = t.sim("a", fault="429/retry-after=40")
    gw = single(t, sim, wait={"max": "60s"}, drain={"stop": "1s", "reload": "30s"})
    calls = [gw.begin("m1", stream=stream) for stream in (False, True)]
    gw.wait_parked(2)
    began = time.monotonic()
    equal(gw.stop(), 0, "exit status")
    assert time.monotonic() - began < 15, "it waited for the endpoint"
    for call in calls:
        assert "stopped or replaced" in failed(call.finish(), 503, "at_capacity")["message"], call.response
    assert sim.count <= 2, "%d requests upstream" % sim.count
