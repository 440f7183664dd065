"""An upstream says 429: all four workers stay away for as long as it asked, and nobody notices but the log.

The wait belongs to (endpoint, model), stands in the shared region, and is read by every worker before every try. That
nobody asked too early is taken from the simulator's own log, not from the gateway's word.
"""

import time

from harness import crowd, endpoint, equal, failed, ok, wait_until
from upstream import failure

BOTH = {"m1": {"endpoints": ["a", "b"]}, "m2": {"endpoints": ["a", "b"]}}


def two(t, a, b, **keys):
    return t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], workers=4, models=BOTH, **keys)


def test_one_429_keeps_every_worker_away(t):
    a, b = t.sim("a"), t.sim("b")
    gw = two(t, a, b)
    gw.reach_all_workers("m1")
    a.forget()
    b.forget()
    a.fault("429#1/retry-after=2")
    r = ok(gw.ask("m1"), "b")
    equal(r.attempts, "2", "the request failed over at once")
    answers = []
    for _ in range(6):
        answers += crowd(40, lambda n: gw.ask("m1" if n % 4 else "m2"), 40)
    for n, r in enumerate(answers):
        ok(r, None if n % 4 else "a")
    assert gw.pair("a", "m2")["state"] == "healthy", "the other model is not concerned: %s" % gw.pair("a", "m2")
    wait_until(lambda: gw.ask("m1").endpoint == "a", 10, "the endpoint is asked again after its wait")
    log = [entry for entry in a.requests if entry["model"] == "m1"]
    equal([entry["status"] for entry in log[:2]], [429, 200], "what m1 saw of the endpoint")
    gap = log[1]["time_ms"] - log[0]["time_ms"]
    assert gap >= 1999, "asked again after %d ms of 2000" % gap
    equal(b.stats()["by_status"], {"200": len(b.requests)}, "the other endpoint only saw successes")


def test_cooldown_is_shown(t):
    a, b = t.sim("a"), t.sim("b")
    gw = two(t, a, b)
    a.fault("429#1/retry-after=60/model=m1")
    ok(gw.ask("m1"), "b")
    row = gw.pair("a", "m1")
    equal(row["state"], "cooling", "state of (a, m1)")
    assert gw.endpoint("a")["state"] in ("cooling", "degraded"), "state of a: %s" % gw.endpoint("a")
    equal(gw.endpoint("b")["state"], "healthy", "state of b")
    for command in (("status",), ("cooldown", "list")):
        shown = gw.order(*command, json_too=False).out
        assert "m1" in shown or command == ("status",), "%s does not name m1: %s" % (command, shown)
        line = next((line for line in shown.splitlines() if line.startswith("a")), "")
        assert line, "%s does not name a: %s" % (command, shown)
    listed = str(gw.order("cooldown", "list").json)
    assert "m1" in listed and "m2" not in listed, "cooldown list --json: %s" % listed


def test_clear_lets_it_be_used_at_once(t):
    a, b = t.sim("a"), t.sim("b")
    gw = two(t, a, b)
    for name in ("a/m1", "a", "--all"):
        a.fault("429#1/retry-after=60")
        ok(gw.ask("m1"), "b")
        ok(gw.ask("m1"), "b")
        gw.order("cooldown", "clear", name)
        equal(ok(gw.ask("m1"), "a").attempts, "1", "attempts after clear %s" % name)
    gw.order("cooldown", "clear", "b")
    equal(gw.ctl("cooldown", "clear", "nobody").code, 4, "exit status for a name that is not there")


def test_an_answer_from_before_the_clear_changes_nothing(t):
    """A request that was under way when the operator cleared brings its old news too late."""
    def script(r, _):
        time.sleep(1)
        return failure(429, "slow down", "rate_limit_exceeded", "requests", {"Retry-After": "60"})
    slow, b = t.upstream(script), t.sim("b")
    gw = two(t, slow, b)
    call = gw.begin("m1")
    wait_until(lambda: slow.count == 1, 5, "the request is under way")
    gw.order("cooldown", "clear", "a")
    ok(call.finish(), "b")
    equal(gw.pair("a", "m1")["state"], "healthy", "state of (a, m1)")


def test_everything_cooling(t):
    """429 for the client: when to come back, and why, endpoint by endpoint. No upstream is asked again for it."""
    a, b = t.sim("a", fault="429/retry-after=90"), t.sim("b", fault="429/retry-after=45")
    gw = two(t, a, b)
    for number in range(6):
        r = gw.ask("m1", stream=number % 2 == 1)
        error = failed(r, 429, "rate_limit_exceeded", "rate_limit_error")
        assert 35 < error["retry_after"] <= 45, "the soonest moment is 45 s away: %s" % error
        equal(set(error["endpoints"]), {"a", "b"}, "the endpoints named")
        for text in error["endpoints"].values():
            assert text.startswith("cooling "), "why not: %s" % error["endpoints"]
    equal((a.count, b.count), (1, 1), "requests upstream")


def test_without_expose_no_names(t):
    a = t.sim("a", fault="429/retry-after=60")
    gw = t.gateway([endpoint("secret-relay", a)], expose=False)
    r = gw.ask()
    failed(r, 429, "rate_limit_exceeded")
    assert b"secret-relay" not in r.raw, "the endpoint's name is told: %s" % r
    a.fault()
    gw.order("cooldown", "clear", "--all")
    r = ok(gw.ask())
    equal(r.endpoint, None, "X-Gateway-Endpoint")


NAMED = [  # what the upstream writes, and the wait it means (least, most) in seconds
    ("/retry-after=7", 7, 7),
    ("/retry-after=2.5", 2.5, 2.5),
    ("/date=5", 3, 6),
    ("/retry-after-ms=1500", 1.5, 1.5),
    ("/x-ms-retry-after-ms=2500", 2.5, 2.5),
    ("/retry-after-ms=8494/retry-after=9", 8.494, 8.494),
    ("/retry-after=6/body=3.2", 6, 6),
    ("/body=4.25", 4.25, 4.25),
    ("/retry-after=100000", 300, 300),
    ("/retry-after=-1", 2, 2),
    ("/retry-after=soon", 2, 2),
    ("", 2, 2),
]

IMPLIED = [
    ("/gemini=47s", 47, 47),
    ("/message=20.494s", 20.494, 20.494),
    ("/message=2m1.5s", 121.5, 121.5),
    ("/azure=37", 37, 37),
    ("/anthropic=20", 18, 21),
    ("/reset=12s", 12, 12),
    ("/reset=6m0s", 60, 60),
    ("/epoch=30", 28, 31),
]


def waits(t, table):
    sim = t.sim("a")
    models = ["m%d" % number for number in range(len(table))]
    gw = t.gateway([endpoint("a", sim)], models={model: {"endpoints": ["a"]} for model in models},
                   wait={"max": "0s"})
    wrong = []
    for model, (spec, least, most) in zip(models, table):
        sim.fault("429" + spec)
        error = failed(gw.ask(model), 429, "rate_limit_exceeded")
        if not least - 1 < error["retry_after"] <= most:
            wrong.append("429%s: expected %s to %s s, got %s" % (spec, least, most, error["retry_after"]))
    assert not wrong, "\n".join(wrong)


def test_waits_that_are_named(t):
    """Retry-After in its forms, the millisecond headers before it, error.retry_after; nonsense is no wait."""
    waits(t, NAMED)


def test_waits_that_are_implied(t):
    """A wait in the words of the message, in Google's details, in the reset of what is used up (at most 60 s)."""
    waits(t, IMPLIED)


def test_default_wait_doubles(t):
    """A 429 without any wait: cooldown.default, then twice that, until a success starts afresh."""
    sim = t.sim("a", fault="429")
    gw = t.gateway([endpoint("a", sim, cooldown={"default": "200ms", "max": "5m"})],
                   models={"m1": {"endpoints": ["a"]}}, wait={"max": "0s"})
    moments = []
    for _ in range(3):
        wait_until(lambda: sim.count > len(moments) or gw.ask("m1").end is None, 10, "the next try")
        moments.append(sim.requests[-1]["time_ms"])
    gaps = [later - earlier for earlier, later in zip(moments, moments[1:])]
    assert gaps[0] >= 199 and gaps[1] >= 399, "waits of 200 and 400 ms: %s" % gaps
