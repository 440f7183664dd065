"""What an endpoint is allowed to get, exactly, over all workers: requests a minute, and requests at once.

Both are counted in the shared region; the simulator's own counts are the judge. What is refused here is no failure of
the endpoint, goes to the next candidate if there is one, and otherwise comes back at once with the moment to return.
"""

import time

from harness import crowd, endpoint, equal, failed, ok, wait_until


def test_rpm_is_exact_over_all_workers(t):
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim, limits={"rpm": 60})], workers=4)
    began = time.monotonic()
    answers = crowd(150, lambda n: gw.ask(), 40)
    refilled = int(time.monotonic() - began)  # one a second
    served = [r for r in answers if r.status == 200]
    assert 60 <= len(served) <= 60 + refilled, "%d served of 60 and %d refilled" % (len(served), refilled)
    equal(sim.count, len(served), "requests upstream")
    for r in answers:
        if r.status != 200:
            error = failed(r, 429, "rate_limit_exceeded", "rate_limit_error")
            assert 0 < error["retry_after"] <= 1, "the next one is free within a second: %s" % error
    assert gw.endpoint("a")["state"] == "healthy", "our own limit is no failure: %s" % gw.endpoint("a")


def test_rpm_refills(t):
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim, limits={"rpm": 120})], workers=4)
    crowd(130, lambda n: gw.ask(), 40)
    equal(gw.ask().status in (200, 429), True, "one more")
    wait_until(lambda: gw.ask().status == 200, 5, "a request is admitted again")


def test_rpm_spills_to_the_next_endpoint(t):
    a, b = t.sim("a"), t.sim("b")
    gw = t.gateway([endpoint("a", a, limits={"rpm": 30}), endpoint("b", b, priority=2)], workers=4)
    began = time.monotonic()
    for r in crowd(100, lambda n: gw.ask(), 40):
        equal(ok(r).attempts, "1", "a refusal of our own is no attempt")
    refilled = int((time.monotonic() - began) / 2)
    assert 30 <= a.count <= 30 + refilled, "%d requests of 30 and %d refilled" % (a.count, refilled)
    equal(a.count + b.count, 100, "requests upstream in all")


def test_at_most_20_at_once(t):
    """200 streams at once against max_concurrent 20: the simulator never sees more, the surplus is refused at once."""
    sim = t.sim("a", ttft="400ms", tokens=20, rate="40/s")
    gw = t.gateway([endpoint("a", sim, max_concurrent=20, adaptive=False)], workers=4)
    calls = [gw.begin(stream=True) for _ in range(200)]
    answers = [call.finish() for call in calls]
    served = [r for r in answers if r.status == 200]
    for r in served:
        ok(r)
    for r in answers:
        if r.status != 200:
            error = failed(r, 503, "at_capacity", "server_error")
            assert error["retry_after"] > 0, "when to come back: %s" % error
    stats = sim.stats()
    assert stats["peak_in_flight"] <= 20, "%d at once of at most 20" % stats["peak_in_flight"]
    assert len(served) >= 20, "only %d were served of the 20 that fit" % len(served)
    equal(sim.count, len(served), "requests upstream")
    wait_until(lambda: gw.in_flight() == 0, 5, "every place is given back")
    equal(gw.endpoint("a")["limit"], 20, "the limit as status shows it")


def test_the_surplus_goes_to_the_next_endpoint(t):
    slow = {"ttft": "300ms", "tokens": 10}
    a, b = t.sim("a", **slow), t.sim("b", **slow)
    gw = t.gateway([endpoint("a", a, max_concurrent=20, adaptive=False), endpoint("b", b, priority=2)], workers=4)
    for r in [call.finish() for call in [gw.begin(stream=True) for _ in range(200)]]:
        equal(ok(r).attempts, "1", "a full endpoint is no attempt")
    assert a.stats()["peak_in_flight"] <= 20, "%d at once of at most 20" % a.stats()["peak_in_flight"]
    assert a.count >= 20, "the first endpoint took only %d" % a.count
    equal(a.count + b.count, 200, "requests upstream in all")


def test_places_are_given_back_however_a_try_ends(t):
    """Failures, refusals, clients that leave: afterwards exactly the same number fits again."""
    sim = t.sim("a", latency="50ms")
    gw = t.gateway([endpoint("a", sim, max_concurrent=4, adaptive=False, timeouts={"response": "500ms"})], workers=4)
    gw.order("breaker", "close", "a")  # what fails here is not the subject
    for fault in ("503", "reset", "400", "429/retry-after-ms=1", "cut@3", "silence", "error-in-200", "empty"):
        sim.fault(fault)
        crowd(12, lambda n: gw.ask(stream=n % 2 == 0, timeout=10), 4)
    sim.fault()
    gw.order("cooldown", "clear", "--all")
    sim.set(latency="3s")
    calls = [gw.begin() for _ in range(4)]
    wait_until(lambda: gw.in_flight() == 4, 5, "four are in flight")
    for call in calls:
        call.abort()
    wait_until(lambda: gw.in_flight() == 0, 5, "every place is given back")
    sim.set(latency="300ms")
    answers = crowd(40, lambda n: gw.ask(), 40)
    assert sum(r.status == 200 for r in answers) >= 4, "fewer than four fit: %s" % [r.status for r in answers]
    assert sim.stats()["peak_in_flight"] <= 4, "%d at once of at most 4" % sim.stats()["peak_in_flight"]
