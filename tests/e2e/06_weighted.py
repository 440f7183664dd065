"""Who gets a request: shares that are exact over all workers, and priorities.

One shared ticket per tier indexes the schedule, so 400 requests over four workers at weights 3:1 are 300 and 100, not
about 300 and about 100.
"""

from harness import crowd, endpoint, equal, ok, wait_until


def shares(gw, count, model="gpt-test", width=40):
    found = {}
    for r in crowd(count, lambda n: gw.ask(model), width):
        name = ok(r).endpoint
        found[name] = found.get(name, 0) + 1
    return found


def test_weights_are_exact(t):
    a, b = t.sim("a"), t.sim("b")
    gw = t.gateway([endpoint("a", a, weight=3), endpoint("b", b, weight=1)], workers=4)
    gw.reach_all_workers()
    a.forget()
    b.forget()
    equal(shares(gw, 400), {"a": 300, "b": 100}, "shares as the clients saw them")
    equal((a.count, b.count), (300, 100), "shares as the simulators counted them")


def test_weights_are_interleaved(t):
    """A share is spread out: of any four requests in a row one goes to the light endpoint."""
    gw = t.gateway([endpoint("a", t.sim("a"), weight=3), endpoint("b", t.sim("b"), weight=1)], workers=4)
    order = [ok(gw.ask()).endpoint for _ in range(40)]
    for at in range(36):
        equal(order[at:at + 4].count("b"), 1, "light ones among four in a row of %s" % order)


def test_round_robin_is_exact(t):
    """Round robin takes no notice of weights."""
    gw = t.gateway([endpoint(name, t.sim(name), weight=weight) for name, weight in (("a", 5), ("b", 1), ("c", 1))],
                   workers=4, models={"gpt-test": {"endpoints": ["a", "b", "c"], "strategy": "round_robin"}})
    equal(shares(gw, 300), {"a": 100, "b": 100, "c": 100}, "shares")
    order = [ok(gw.ask()).endpoint for _ in range(12)]
    for at in range(9):
        equal(len(set(order[at:at + 3])), 3, "three in a row of %s" % order)


def test_models_choose_among_their_own(t):
    gw = t.gateway([endpoint(name, t.sim(name)) for name in "abc"], workers=4,
                   models={"m1": {"endpoints": ["a", "b"]}, "m2": {"endpoints": ["c"]}})
    equal(shares(gw, 100, "m1"), {"a": 50, "b": 50}, "shares of m1")
    equal(shares(gw, 20, "m2"), {"c": 20}, "shares of m2")


def test_lower_priority_first(t):
    a, b, c = t.sim("a"), t.sim("b"), t.sim("c")
    gw = t.gateway([endpoint("c", c, priority=2, weight=100), endpoint("a", a, priority=1),
                    endpoint("b", b, priority=1)], workers=4)
    equal(shares(gw, 100), {"a": 50, "b": 50}, "shares while priority 1 can")
    gw.order("drain", "a")
    equal(shares(gw, 20), {"b": 20}, "shares with one of priority 1 drained")
    gw.order("drain", "b")
    equal(shares(gw, 20), {"c": 20}, "shares with all of priority 1 drained")
    equal(gw.endpoint("b")["state"], "drained", "state of b")
    gw.order("enable", "a")
    gw.order("enable", "b")
    equal(shares(gw, 20), {"a": 10, "b": 10}, "shares with priority 1 back")


def test_one_failing_of_three_moves_its_share(t):
    """The requests that would have gone to an open endpoint are shared by the others; none is lost."""
    sims = {name: t.sim(name) for name in "abc"}
    gw = t.gateway([endpoint(name, sim, breaker={"failures": 2, "open": "60s", "max_open": "60s"})
                    for name, sim in sims.items()], workers=4)
    sims["a"].fault("503")
    wait_until(lambda: ok(gw.ask()) and sims["a"].count >= 2, 10, "a has failed twice")
    found = shares(gw, 100)
    equal(set(found), {"b", "c"}, "who served")
    equal(sims["a"].count, 2, "requests to the open endpoint")
    assert min(found.values()) >= 25, "the load is shared: %s" % found


def test_a_degraded_one_goes_behind_its_peers(t):
    """Two failures in a row: others go first; it is asked again when these are old, or when nobody else can."""
    sims = {name: t.sim(name) for name in "ab"}
    gw = t.gateway([endpoint(name, sim) for name, sim in sims.items()], workers=4)
    sims["a"].fault("503#2")
    wait_until(lambda: ok(gw.ask()) and sims["a"].count == 2, 10, "a has failed twice")
    for r in crowd(40, lambda n: gw.ask(), 20):
        equal(ok(r, "b").attempts, "1", "attempts")
    equal(sims["a"].count, 2, "requests to the degraded endpoint")
    gw.order("drain", "b")
    equal(ok(gw.ask(), "a").attempts, "1", "attempts with nobody else left")
    gw.order("enable", "b")
    equal(shares(gw, 40), {"a": 20, "b": 20}, "shares after a success")


def test_least_busy_goes_around_a_slow_one(t):
    slow, quick = t.sim("slow", latency="600ms"), t.sim("quick", latency="5ms")
    gw = t.gateway([endpoint("slow", slow), endpoint("quick", quick)], workers=4,
                   models={"gpt-test": {"strategy": "least_busy"}})
    for r in crowd(100, lambda n: gw.ask(), 4):
        ok(r)
    assert slow.count < 20, "%d of 100 went to the slow one, and half would by turns" % slow.count


def test_a_limit_of_the_account_holds_for_all_its_endpoints(t):
    a, b = t.sim("a"), t.sim("b")
    gw = t.gateway([endpoint("a", a, account="x"), endpoint("b", b, account="x")], workers=4,
                   accounts={"x": {"limits": {"rpd": 30}}})
    answers = crowd(60, lambda n: gw.ask(), 20)
    equal(len([r for r in answers if r.status == 200]), 30, "served of 30 a day")
    equal(a.count + b.count, 30, "requests upstream")
