"""A program outside the gateway takes part: the example of libshm(3) asks a breaker and says how it went.

What it reports counts for every worker, as what a worker reports counts for it, and it leaves nothing behind.
"""

import os

from harness import BUILD, crowd, endpoint, equal, ok, run

PERMIT = os.path.join(BUILD, "libshm", "permit")
KEEP = {"failures": 5, "open": "60s", "max_open": "60s"}


def permit(gw, name, outcome):
    return run([PERMIT, gw.state, name, outcome])


def test_a_guest_opens_a_breaker_for_all(t):
    a = t.sim("a")
    gw = t.gateway([endpoint("a", a, breaker=KEEP), endpoint("b", t.sim("b"), priority=2)], workers=4)
    gw.reach_all_workers()
    for _ in range(5):
        result = permit(gw, "a", "failed")
        equal((result.code, result.out), (0, "go\n"), "the guest may try, and fails: %s" % (result,))
    equal(gw.endpoint("a")["state"], "open", "state of a")
    before = a.count
    for r in crowd(100, lambda n: gw.ask(), 40):
        ok(r, "b")
    equal(a.count, before, "requests upstream while the breaker is open")
    result = permit(gw, "a", "ok")
    assert result.code == 1 and result.out.startswith("no: ask again at "), "the guest may not try: %s" % (result,)
    trips = [event for event in gw.events() if event["kind"].startswith("breaker") and event["to"] == "open"]
    equal([event["endpoint"] for event in trips], ["a"], "breakers that opened, in the log")
    gw.order("breaker", "reset", "a")
    equal(permit(gw, "a", "ok").code, 0, "the guest may try again")
    equal([row for row in gw.rows() if row["role"] == "guest"], [], "guests that are still there")


def test_what_a_guest_may_not(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    result = permit(gw, "nobody", "ok")
    assert result.code == 4 and "nobody" in result.err, "an endpoint that is not there: %s" % (result,)
    equal(run([PERMIT, t.path("nowhere"), "a", "ok"]).code, 3,
          "exit status for a region that is not there")
