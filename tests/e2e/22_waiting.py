"""Nobody can take a request now: it waits for the soonest who can, never less than was asked for, and never for ever.

First everyone is tried once, without a pause. Then the request is parked until the soonest moment at which somebody may
be asked; 28_parked.py has what else may end that. How long and how many is bounded, and who may not wait is told at
once when to come back. That nobody is asked too early is taken from the upstreams' own clocks.
"""

import datetime
import threading
import time

from client import duration
from harness import crowd, endpoint, equal, failed, ok, wait_until
from upstream import Held, completion, failure

M1 = {"m1": {"endpoints": ["a"]}}
STEADY = {"base": "20ms", "factor": 1, "jitter": "0%"}


def single(t, up, workers=2, wait=None, retry=None, models=None, name="gw", **keys):
    """A gateway with one endpoint, `a`; `keys` are the endpoint's."""
    return t.gateway([endpoint("a", up, **keys)], name=name, workers=workers, models=models or M1,
                     wait=wait or {"max": "30s"}, retry=retry or {})


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


def waited(r):
    """Milliseconds that the gateway says it made the request wait."""
    return duration(r.header("server-timing"), "wait")


# Rounds.

def test_another_candidate_at_once(t):
    """Nobody sleeps while somebody is untried, whatever the pause between rounds is."""
    a, b = t.sim("a"), t.sim("b")
    gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], models={"m1": {"endpoints": ["a", "b"]}},
                   retry={"base": "20s"})
    for fault in ("500", "429/retry-after=20", "503/retry-after=20", "reset"):
        gw.order("cooldown", "clear", "--all")
        a.fault(fault)
        began = time.monotonic()
        r = ok(gw.ask("m1"), "b")
        equal(r.attempts, "2", "attempts after %s" % fault)
        assert time.monotonic() - began < 10, "it slept before it asked the other endpoint"
        assert waited(r) < 10000, "Server-Timing: %s" % r.header("server-timing")


def test_all_cooling_waits_for_the_soonest(t):
    """Whole, streamed, in either dialect: the soonest of the waits, then an answer and no error."""
    a, b = t.sim("a"), t.sim("b")
    models = {name: {"endpoints": ["a", "b"]} for name in ("whole", "streamed", "anthropic")}
    gw = t.gateway([endpoint(name, sim, dialects=["openai", "anthropic"], priority=n)
                    for n, (name, sim) in enumerate((("a", a), ("b", b)))], workers=4, models=models)
    for model in models:
        a.forget()
        b.forget()
        a.fault("429#1/retry-after=30")
        b.fault("429#1/retry-after=1.2")
        keys = {"path": "/v1/messages", "max_tokens": 9} if model == "anthropic" else {"stream": model == "streamed"}
        r = ok(gw.ask(model, **keys), "b")
        equal((r.attempts, a.count, b.count), ("3", 1, 2), "%s: attempts, and requests upstream" % model)
        assert gaps(b)[0] >= 1199, "%s: asked again after %s ms of 1200" % (model, gaps(b))
        assert 1199 <= waited(r) < 20000, "%s: Server-Timing: %s" % (model, r.header("server-timing"))
    equal(gw.parked(), 0, "parked in the end")


def test_never_less_than_asked(t):
    """Each wait anew, in the words that came with it; another worker's requests keep to it as well."""
    sim = t.sim("a", fault=("429#1/retry-after-ms=700", "429#1/body=0.9"))
    gw = single(t, sim, workers=4, retry={"base": "1ms"})
    calls = [gw.begin("m1")]
    gw.wait_parked(1)
    calls += [gw.begin("m1") for _ in range(8)]
    for call in calls:
        ok(call.finish(), "a")
    moments = [entry["time_ms"] for entry in sim.requests]
    statuses = [entry["status"] for entry in sim.requests]
    equal(statuses.count(429), 2, "refusals among %s" % statuses)
    assert moments[1] - moments[0] >= 699, "asked after %d ms of 700" % (moments[1] - moments[0])
    second = moments[[n for n, status in enumerate(statuses) if status == 429][1]]
    done = [moment for moment, status in zip(moments, statuses) if status == 200]
    assert sum(moment - second >= 899 for moment in done) >= 1, "nobody waited for the second wait: %s" % moments


def test_a_request_over_our_own_limit_waits(t):
    sim = t.sim("a")
    gw = single(t, sim, workers=4, limits={"rpm": 240, "burst": 1})
    for r in crowd(5, lambda n: gw.ask("m1"), 5):
        equal(ok(r).attempts, "1", "our own limit is no attempt")
    moments = [entry["time_ms"] for entry in sim.requests]
    assert moments[-1] - moments[0] >= 900, "four more at 250 ms each came within %d ms" % (moments[-1] - moments[0])


# Bounds.

def test_a_wait_known_to_be_too_long_is_not_begun(t):
    sim = t.sim("a", fault="429/retry-after=60")
    gw = single(t, sim, wait={"max": "20s"})
    for headers in ({}, {"X-Gateway-Timeout": "15000"}):
        began = time.monotonic()
        error = failed(gw.ask("m1", headers=headers), 429, "rate_limit_exceeded", "rate_limit_error")
        assert time.monotonic() - began < 10, "it waited first"
        assert 40 < error["retry_after"] <= 60, "the honest moment: %s" % error
        assert error["endpoints"]["a"].startswith("cooling "), "why: %s" % error
    equal(sim.count, 1, "requests upstream")
    sim.fault("503")
    breaker = t.gateway([endpoint("a", sim, breaker={"failures": 1, "open": "60s", "max_open": "60s"})], name="gw2",
                        models=M1, wait={"max": "20s"})
    began = time.monotonic()
    failed(breaker.ask("m1"), 502, "all_endpoints_failed", "server_error")
    error = failed(breaker.ask("m1"), 503, "circuit_open", "server_error")
    assert 40 < error["retry_after"] <= 72, "open for 60 s and up to a fifth more: %s" % error
    assert time.monotonic() - began < 10, "it waited first"


def test_without_waiting(t):
    """wait.max 0: every error at once, as before there was any waiting."""
    gw, up, first = one_place(t, Held(), wait={"max": "0s"})
    error = failed(gw.ask("m1"), 503, "at_capacity", "server_error")
    assert error["retry_after"] > 0, "when to come back: %s" % error
    up.script.let()
    ok(first.finish())
    equal(up.count, 1, "requests upstream")


def test_wait_max_ends_a_wait_without_a_known_end(t):
    gw, up, first = one_place(t, Held(), wait={"max": "700ms"})
    for stream in (False, True):
        began = time.monotonic()
        failed(gw.ask("m1", stream=stream), 503, "at_capacity", "server_error")
        assert 0.699 <= time.monotonic() - began < 10, "waited %.3f s of 0.7" % (time.monotonic() - began)
    up.script.let()
    ok(first.finish())
    equal((up.count, gw.parked()), (1, 0), "requests upstream, and parked")


def test_never_past_the_callers_deadline(t):
    gw, up, first = one_place(t, Held())
    began = time.monotonic()
    failed(gw.ask("m1", headers={"X-Gateway-Timeout": "600"}), 504, "deadline_exceeded")
    assert 0.599 <= time.monotonic() - began < 10, "waited %.3f s of 0.6" % (time.monotonic() - began)
    up.script.let()
    ok(first.finish())
    equal((up.count, gw.parked()), (1, 0), "requests upstream, and parked")


def test_a_deadline_before_the_moment(t):
    """The endpoint may be asked again in five seconds, the caller has two: a fallback answers now, or nobody does."""
    limited, b = t.sim("a", fault="429/retry-after=5"), t.sim("b")
    gw = t.gateway([endpoint("a", limited), endpoint("b", b)],
                   models={"m1": {"endpoints": ["a"], "fallback": ["m2"]}, "m2": {"endpoints": ["b"]}})
    r = ok(gw.ask("m1", headers={"X-Gateway-Timeout": "2000"}), "b")
    assert r.ended_at - r.sent_at < 1.5, "it waited first"
    r = gw.ask("m1", headers={"X-Gateway-Timeout": "2000", "X-Gateway-No-Fallback": "1"})
    assert failed(r, 429, "rate_limit_exceeded", "rate_limit_error")["retry_after"] > 2, "the honest moment: %s" % r
    assert r.ended_at - r.sent_at < 1.5, "it waited first"


def test_a_moment_just_before_the_deadline(t):
    """What is random on top of a wait does not carry it past the deadline."""
    up = t.upstream(lambda r, conn: completion(r) if up.count % 2 == 0 else
                    failure(429, code="rate_limit_exceeded", headers={"Retry-After": "1"}))
    gw = single(t, up, retry={"jitter": "100%"})
    for r in [gw.ask("m1", headers={"X-Gateway-Timeout": "1400"}) for _ in range(4)]:
        ok(r, "a")


def test_a_full_queue_refuses_at_once(t):
    """Two may wait, however many workers there are; everybody else is told so while the two still wait."""
    gw, up, first = one_place(t, Held(), workers=4, wait={"max": "30s", "queue": 2})
    calls = [gw.begin("m1", stream=n % 2 == 0) for n in range(12)]
    wait_until(lambda: sum(call.response.ended_at is not None for call in calls) >= 10, 10, "ten are refused")
    equal(gw.parked(), 2, "parked while the place is taken")
    refused = [call for call in calls if call.response.ended_at is not None]
    equal(len(refused), 10, "refused")
    for call in refused:
        error = failed(call.response, 503, "queue_full", "server_error")
        assert error["retry_after"] > 0, "when to come back: %s" % error
    up.script.let()
    for call in [first] + [call for call in calls if call not in refused]:
        ok(call.finish(), "a")
    equal((up.count, up.script.most, gw.parked()), (3, 1, 0), "requests upstream, at once, and parked in the end")


# How often.

def test_tries_of_one_endpoint_and_of_one_model(t):
    for number, (endpoints, attempts, per_endpoint, want) in enumerate((("a", 5, 3, 3), ("ab", 5, 3, 5),
                                                                       ("ab", 8, 2, 4), ("ab", 2, 3, 2),
                                                                       ("a", 1, 1, 1))):
        sims = [t.sim("%s%d" % (name, number), fault="500") for name in endpoints]
        gw = t.gateway([endpoint(sim.name, sim) for sim in sims], name="gw%d" % number, workers=1,
                       retry={"attempts": attempts, "per_endpoint": per_endpoint, **STEADY})
        r = gw.ask()
        failed(r, 502, "all_endpoints_failed", "server_error")
        counts = [sim.count for sim in sims]
        equal((sum(counts), r.attempts), (want, str(want)), "tries in all with %s" % gw.config["retry"])
        assert max(counts) <= per_endpoint, "tries of one endpoint: %s of %d" % (counts, per_endpoint)
        assert max(counts) - min(counts) <= 1, "a round asks everybody once: %s" % counts
        gw.stop()


def test_who_was_silent_is_not_asked_again(t):
    a, b = t.sim("a", fault="silence"), t.sim("b", fault="500")
    gw = t.gateway([endpoint("a", a, timeouts={"response": "300ms"}), endpoint("b", b, priority=2)], retry=STEADY)
    equal(failed(gw.ask(), 502, "all_endpoints_failed")["code"], "all_endpoints_failed", "the outcome")
    equal((a.count, b.count), (1, 3), "requests upstream")


def test_pauses_grow(t):
    """base, base x factor, and so on up to max; what is random is added on top."""
    for number, jitter in enumerate(("0%", "100%")):
        sim = t.sim("a%d" % number, fault="500")
        gw = single(t, sim, retry={"attempts": 5, "per_endpoint": 5, "base": "100ms", "factor": 3, "max": "500ms",
                                   "jitter": jitter}, name="gw%d" % number)
        failed(gw.ask("m1"), 502, "all_endpoints_failed")
        for gap, least in zip(gaps(sim), (99, 299, 499, 499)):
            assert gap >= least, "pauses with jitter %s: %s" % (jitter, gaps(sim))
        equal(len(gaps(sim)), 4, "pauses")
        gw.stop()


def test_retries_stay_under_their_budget(t):
    """Twenty at once, all failing: first tries are free, of the rest one at a time; then the last outcome is told."""
    lock, seen, now = threading.Lock(), set(), {"again": 0, "most": 0, "total": 0}

    def script(r, conn):
        name = r.header("x-request-id")
        with lock:
            again = name in seen
            seen.add(name)
            now["again"] += again
            now["total"] += again
            now["most"] = max(now["most"], now["again"])
        time.sleep(0.2)
        with lock:
            now["again"] -= again
        return failure(500, "no luck today")
    up = t.upstream(script)
    gw = single(t, up, workers=4, retry={**STEADY, "budget": "0%", "budget_min": 1})
    gw.order("breaker", "close", "a/m1")
    for r in crowd(20, lambda n: gw.ask("m1"), 20):
        error = failed(r, 502, "all_endpoints_failed", "server_error")
        assert "no luck today" in error["message"], "the last outcome: %s" % error
    equal(len(seen), 20, "requests upstream, each with its id")
    assert now["most"] <= 1, "%d retries at once of at most 1" % now["most"]
    assert now["total"] >= 1, "nothing was retried"
    before = up.count
    failed(gw.ask("m1"), 502, "all_endpoints_failed")
    equal(up.count - before, 3, "tries of a request that is alone")


# The other words.

def test_others_wait_for_the_trial(t):
    """Half open with one trial out: everybody else waits for it, and is served when it closes the breaker."""
    held = Held()
    up = t.upstream(lambda r, conn: failure(500) if up.count == 1 else held(r, conn))
    gw = single(t, up, workers=4, retry=STEADY,
                breaker={"failures": 1, "open": "300ms", "max_open": "300ms", "half_open": 1, "successes": 1})
    calls = [gw.begin("m1")]
    wait_until(lambda: gw.pair("a", "m1")["breaker"] != "closed", 10, "the breaker opens")
    calls += [gw.begin("m1") for _ in range(7)]
    wait_until(lambda: held.now == 1, 10, "a trial is out")
    opened, trial = up.requests[0].at, up.requests[1].at
    assert trial - opened >= 0.299, "a trial after %.3f s of 0.3" % (trial - opened)
    time.sleep(0.8)
    equal([call.response.ended_at for call in calls], [None] * 8, "answers while the trial is out")
    equal((held.most, gw.parked()), (1, 7), "trials out, and requests parked")
    held.let()
    for call in calls:
        ok(call.finish(), "a")
    equal(up.count, 9, "requests upstream")


def rfc3339(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)) \
        .strftime("%Y-%m-%dT%H:%M:%SZ")


def test_nothing_remains(t):
    """A success that says it was the last one for two seconds is believed before anybody has to say 429."""
    said = {"openai": lambda: [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "2s")],
            "tokens": lambda: [("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "2s"),
                               ("x-ratelimit-remaining-requests", "7"), ("x-ratelimit-reset-requests", "6m0s")],
            "anthropic": lambda: [("anthropic-ratelimit-requests-remaining", "0"),
                                  ("anthropic-ratelimit-requests-reset", rfc3339(3))],
            "relay": lambda: [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", str(int(time.time()) + 3))]}
    quiet = set()

    def script(r, conn):
        first = r.model not in quiet
        quiet.add(r.model)
        return completion(r, headers=said[r.model]() if first else ())
    up, b = t.upstream(script), t.sim("b")
    gw = t.gateway([endpoint("a", up), endpoint("b", b, priority=2)], workers=4,
                   models={model: {"endpoints": ["a", "b"]} for model in said})
    for number, model in enumerate(said):
        ok(gw.ask(model, stream=number % 2 == 1), "a")
        row = gw.pair("a", model)
        assert row["state"] == "cooling" and 0 < row["until_ms"] <= 3000, "%s: %s" % (model, row)
        for r in crowd(12, lambda n: gw.ask(model), 6):
            equal(ok(r, "b").attempts, "1", "%s: attempts while nothing remains" % model)
    for model in said:
        wait_until(lambda: gw.ask(model).endpoint == "a", 10, "%s: it is asked again" % model)
        first, second = [r.at for r in up.requests if r.model == model][:2]
        assert second - first >= 1.99, "%s: asked again after %.3f s of 2" % (model, second - first)


def test_nothing_remains_and_nowhere_to_go(t):
    """Alone, the next request waits for it; at most a minute, whatever was announced; and plenty is no reason."""
    said = {"m1": ("0", "1s"), "m2": ("0", "6m0s"), "m3": ("1", "6m0s")}
    up = t.upstream(lambda r, conn: completion(r, headers=[("x-ratelimit-remaining-requests", said[r.model][0]),
                                                           ("x-ratelimit-reset-requests", said[r.model][1])]))
    gw = single(t, up, models={model: {"endpoints": ["a"]} for model in said})
    for _ in range(2):
        ok(gw.ask("m1"), "a")
    first, second = [r.at for r in up.requests]
    assert second - first >= 0.999, "asked again after %.3f s of 1" % (second - first)
    ok(gw.ask("m2"), "a")
    row = gw.pair("a", "m2")
    assert row["state"] == "cooling" and 40000 < row["until_ms"] <= 60000, "at most a minute: %s" % row
    assert row["reason"], "cooling without a reason: %s" % row
    listed = [row["cause"] for row in gw.order("cooldown", "list").json["cooldowns"] if row["model"] == "m2"]
    equal(listed, ["depleted"], "its cause in cooldown list")
    error = failed(gw.ask("m2"), 429, "rate_limit_exceeded", "rate_limit_error")
    assert error["endpoints"]["a"].startswith("cooling "), "why: %s" % error
    ok(gw.ask("m3"), "a")
    ok(gw.ask("m3"), "a")
    equal(gw.pair("a", "m3")["state"], "healthy", "state with one left")
