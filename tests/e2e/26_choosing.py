"""Which endpoint is asked: strategies, priorities, who goes last and why, and what an account or a day allows.

Shares are counted by the simulators; limits are exact over four workers. And every state an endpoint can be in is shown
alike by `gatewayctl status` and by the error of a request that nobody could answer.
"""

import datetime
import time

from harness import crowd, endpoint, equal, failed, ok, wait_until
from upstream import Held, completion, failure

NOW = {"max": "0s"}  # nobody waits: what is refused is refused at once


def two(t, a, b, strategy="weighted", workers=4, a_keys=None, b_keys=None, **keys):
    return t.gateway([endpoint("a", a, **(a_keys or {})), endpoint("b", b, **(b_keys or {}))], workers=workers,
                     models={"m1": {"endpoints": ["a", "b"], "strategy": strategy}}, **keys)


def shares(gw, count, width=8, model="m1", **keys):
    """Who answered how many of so many requests."""
    found = {"a": 0, "b": 0}
    for r in crowd(count, lambda n: gw.ask(model, **keys), width):
        found[ok(r).endpoint] += 1
    return found


# Strategies.

def test_least_busy_one_after_the_other(t):
    """Whoever has less to do is next."""
    a, b = t.upstream(Held()), t.upstream(Held())
    gw = two(t, a, b, "least_busy")
    calls = []
    for number in range(1, 9):
        calls.append(gw.begin("m1"))
        wait_until(lambda: a.count + b.count == number, 5, "request %d is under way" % number)
        assert abs(a.count - b.count) <= 1, "busy with %d and %d" % (a.count, b.count)
    a.script.let()
    wait_until(lambda: gw.endpoint("a")["in_flight"] == 0, 10, "a is done")
    for _ in range(6):
        ok(gw.ask("m1"), "a")
    b.script.let()
    for call in calls:
        ok(call.finish())


def test_least_busy_leaves_the_slow_alone(t):
    a, b = t.sim("a", latency="600ms"), t.sim("b", latency="10ms")
    gw = two(t, a, b, "least_busy")
    found = shares(gw, 120, 8)
    assert found["b"] > 2 * found["a"], "shares: %s" % found


def test_latency_prefers_the_quick(t):
    """By the time to the first token; the slow one is still looked at now and then, but not for long."""
    a, b = t.sim("a", ttft="250ms", tokens=3), t.sim("b", ttft="5ms", tokens=3)
    gw = two(t, a, b, "latency")
    shares(gw, 20, 4, stream=True)
    found = shares(gw, 80, 4, stream=True)
    assert found["b"] > 2 * found["a"], "shares: %s" % found
    a.set(ttft="5ms")
    b.set(ttft="250ms")
    wait_until(lambda: shares(gw, 20, 4, stream=True)["a"] > 13, 20, "it turns to the one that is quick now")


def test_priorities_come_before_any_strategy(t):
    for number, strategy in enumerate(("weighted", "round_robin", "latency", "least_busy")):
        a, b = t.sim("a%d" % number), t.sim("b%d" % number, latency="30ms")
        gw = two(t, a, b, strategy, 2, {"priority": 2, "weight": 100}, {"priority": 1}, name="gw%d" % number)
        equal(shares(gw, 30), {"a": 0, "b": 30}, "%s: shares while priority 1 can" % strategy)
        gw.order("drain", "b")
        equal(shares(gw, 10), {"a": 10, "b": 0}, "%s: shares with priority 1 drained" % strategy)
        gw.stop()


# Who goes last.

def test_the_degraded_goes_last(t):
    """Failures that are no reason to open the breaker are one to ask its healthy peers first; one alone is chance."""
    a, b = t.sim("a", fault="500#2"), t.sim("b")
    gw = two(t, a, b)
    for count in (1, 2):
        wait_until(lambda: ok(gw.ask("m1")) and a.count == count, 5, "failure %d" % count)
        equal(gw.pair("a", "m1")["state"], "degraded", "state of a")
    equal(shares(gw, 12), {"a": 0, "b": 12}, "shares while a is degraded")
    gw.order("drain", "b")
    equal(shares(gw, 4), {"a": 4, "b": 0}, "shares when only the degraded one is left")
    equal(gw.pair("a", "m1")["state"], "healthy", "state of a after successes")
    gw.order("enable", "b")
    equal(shares(gw, 20), {"a": 10, "b": 10}, "shares with both healthy")


def window(begin, end):
    """Hours of maintenance so many minutes from now, as UTC."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return "-".join((now + datetime.timedelta(minutes=minutes)).strftime("%H:%M")
                    for minutes in (begin, end)) + " UTC"


def test_maintenance_hours(t):
    a, b = t.sim("a"), t.sim("b")
    gw = two(t, a, b, a_keys={"maintenance": [window(300, 420), window(-60, 60)]}, b_keys={"priority": 2})
    equal(shares(gw, 20), {"a": 0, "b": 20}, "shares during the maintenance of a, which would be first")
    b.fault("500#1")
    equal(ok(gw.ask("m1"), "a").attempts, "2", "attempts when the other one fails")
    gw.order("drain", "b")
    equal(shares(gw, 6), {"a": 6, "b": 0}, "shares when it is the only one")
    gw.order("enable", "b")
    gw.write(endpoints=[endpoint("a", a, maintenance=[window(300, 420), window(-420, -300)]), endpoint("b", b)])
    gw.order("reload")
    wait_until(lambda: ok(gw.ask("m1")).endpoint == "a", 10, "the new configuration is in force")
    equal(shares(gw, 40), {"a": 20, "b": 20}, "shares at other hours")


def test_slow_start(t):
    """A recovered endpoint's share grows over `slow_start`."""
    a, b = t.sim("a", fault="500#3"), t.sim("b")
    gw = two(t, a, b, a_keys={"slow_start": "6s", "breaker": {"failures": 3, "open": "200ms", "successes": 1}})
    equal(shares(gw, 20, 1)["b"] > 0, True, "b answers from the start")
    gw.order("drain", "b")
    wait_until(lambda: gw.ask("m1").status == 200 and gw.pair("a", "m1")["breaker"] == "closed" and a.count > 3, 20,
               "a recovers")
    recovered = time.monotonic()
    gw.order("enable", "b")
    early = {"a": 0, "b": 0}
    while time.monotonic() - recovered < 1.2:
        for name, count in shares(gw, 8, 4).items():
            early[name] += count
    total = early["a"] + early["b"]
    assert total >= 16 and early["a"] < 0.35 * total, "shares in the first fifth: %s" % early
    time.sleep(max(0, recovered + 6.5 - time.monotonic()))
    late = shares(gw, 60)
    assert late["a"] >= 24, "shares afterwards: %s" % late


# Limits.

def test_an_accounts_requests_a_minute(t):
    """Two endpoints of one account share its limit, exactly, however many workers and endpoints ask."""
    a, b, c = t.sim("a"), t.sim("b"), t.sim("c")
    gw = t.gateway([endpoint("a", a, account="team"), endpoint("b", b, account="team"),
                    endpoint("c", c, priority=2)], workers=4, accounts={"team": {"limits": {"rpm": 40}}}, wait=NOW)
    began = time.monotonic()
    for r in crowd(100, lambda n: gw.ask(), 30):
        equal(ok(r).attempts, "1", "a refusal of our own is no attempt")
    refilled = int((time.monotonic() - began) * 40 / 60) + 1
    assert 40 <= a.count + b.count <= 40 + refilled, "%d + %d requests of 40" % (a.count, b.count)
    equal(a.count + b.count + c.count, 100, "requests upstream in all")
    for name in "ab":
        equal(gw.endpoint(name)["state"], "healthy", "our own limit is no failure of %s" % name)
    gw.order("drain", "c")
    answers = crowd(12, lambda n: gw.ask(), 6)
    refused = [r for r in answers if r.status != 200]
    assert refused, "twelve more were served"
    for r in refused:
        error = failed(r, 429, "rate_limit_exceeded", "rate_limit_error")
        assert 0 < error["retry_after"] <= 1.5, "the next one is free within 1.5 s: %s" % error


def tokens_fit(t, endpoints, **keys):
    """Ten thousand tokens a minute, requests of about 1080 each that are all held: how many get through to whom."""
    held = Held()
    ups = {name: t.upstream(held) for name in endpoints}
    gw = t.gateway([endpoint(name, up, **endpoints[name]) for name, up in ups.items()], workers=4, wait=NOW, **keys)
    calls = [gw.begin(max_tokens=1050) for _ in range(30)]
    wait_until(lambda: sum(call.response.ended_at is not None for call in calls) >= 21, 10, "the rest is refused")
    time.sleep(0.2)
    equal(sum(up.count for up in ups.values()), 9, "requests that got through")
    for call in calls:
        if call.response.ended_at is not None:
            error = failed(call.response, 429, "rate_limit_exceeded", "rate_limit_error")
            assert 0 < error["retry_after"] <= 60, "when to come back: %s" % error
    held.let()
    equal(sum(call.finish().status == 200 for call in calls), 9, "answers")
    # What they did cost was eleven tokens each, so nearly everything is there again.
    answers = crowd(9, lambda n: gw.ask(max_tokens=1050), 3)
    equal([r.status for r in answers], [200] * 9, "answers once the others are settled")


def test_tokens_a_minute_of_an_endpoint(t):
    tokens_fit(t, {"a": {"limits": {"tpm": 10000}}})


def test_tokens_a_minute_of_an_account(t):
    tokens_fit(t, {"a": {"account": "team"}, "b": {"account": "team"}}, accounts={"team": {"limits": {"tpm": 10000}}})


def until_midnight():
    now = datetime.datetime.now(datetime.timezone.utc)
    return 86400 - (now.hour * 3600 + now.minute * 60 + now.second)


def test_requests_a_day(t):
    """So many until midnight UTC, exactly; then the honest answer is hours away."""
    if until_midnight() < 30:
        time.sleep(31)
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim, limits={"rpd": 25})], workers=4)
    answers = crowd(60, lambda n: gw.ask(), 30)
    equal((sum(r.status == 200 for r in answers), sim.count), (25, 25), "answers, and requests upstream")
    for r in answers:
        if r.status != 200:
            equal((r.status, r.error["type"]), (429, "rate_limit_error"), "the others")
            assert abs(r.error["retry_after"] - until_midnight()) <= 15, "until midnight UTC: %s" % r
    gw.stop()
    gw.start()
    equal(gw.ask().status, 429, "after a restart of the same day")
    equal(sim.count, 25, "requests upstream")


def test_adaptive_bulkhead(t):
    """Overload shrinks it, at most once a second; successes that fill it let it grow back, never above the limit."""
    sim = t.sim("a", fault="529")
    gw = t.gateway([endpoint("a", sim, max_concurrent=20)], workers=2, models={"m1": {"endpoints": ["a"]}},
                   retry={"attempts": 1})
    gw.order("breaker", "close", "a/m1")
    equal(gw.endpoint("a")["limit"], 20, "limit at first")
    seen = [20]
    for fault in ("529", "503", "529"):
        sim.fault(fault)
        for _ in range(3):
            gw.ask("m1")
        seen.append(gw.endpoint("a")["limit"])
        time.sleep(1.05)
    assert seen[3] < seen[2] < seen[1] < 20, "limits after one burst of overload each: %s" % seen
    assert seen[1] >= 13, "more than one cut in a burst: %s" % seen
    sim.fault()
    sim.set(latency="40ms")
    sim.forget()
    small = gw.endpoint("a")["limit"]
    for r in crowd(60, lambda n: gw.ask("m1"), 40):
        ok(r)
    wait_until(lambda: crowd(60, lambda n: gw.ask("m1"), 40) and gw.endpoint("a")["limit"] > small + 3, 20, "it grows")
    assert sim.stats()["peak_in_flight"] <= gw.endpoint("a")["limit"] <= 20, "at once %d, limit %s" % (
        sim.stats()["peak_in_flight"], gw.endpoint("a")["limit"])
    sim.fault("429/retry-after-ms=1")
    before = gw.endpoint("a")["limit"]
    for _ in range(4):
        gw.ask("m1")
    equal(gw.endpoint("a")["limit"], before, "a 429 is a matter of rate: limit after some")


# What concerns an account.

def test_a_spent_quota_concerns_the_account(t):
    a, b, c = t.sim("a"), t.sim("b"), t.sim("c")
    gw = t.gateway([endpoint("a", a, account="team"), endpoint("b", b, account="team", priority=2),
                    endpoint("c", c, priority=3)], workers=4, models={"m1": {}, "m2": {}})
    for fault in ("insufficient-quota", "402", "quota-in-200"):
        a.fault(fault + "#1")
        before = b.count
        equal(ok(gw.ask("m1"), "c").attempts, "2", "attempts after %s" % fault)
        for r in crowd(8, lambda n: gw.ask("m2"), 4):
            equal(ok(r, "c").attempts, "1", "attempts while the account is spent")
        equal(b.count, before, "requests to the account's other endpoint")
        for name in "ab":
            equal(gw.endpoint(name)["state"], "exhausted", "state of %s after %s" % (name, fault))
        equal(gw.endpoint("c")["state"], "healthy", "state of c")
        gw.order("cooldown", "clear", "--all")
        ok(gw.ask("m1"), "a")


def test_a_refused_credential_of_an_account(t):
    """The account's key is refused: none of its endpoints is asked with it, on any worker."""
    sims = {name: t.sim(name) for name in "abc"}
    gw = t.gateway([{"name": name, "url": sims[name].url, "account": "team", "priority": number}
                    for number, name in enumerate("ab")] + [endpoint("c", sims["c"], key="env:OWN", priority=3)],
                   workers=4, accounts={"team": {"key": "env:SHARED"}},
                   env={"SHARED": "sk-shared-000", "OWN": "sk-own-00000"})
    for fault in ("401", "403"):
        sims["a"].fault(fault + "#1")
        equal(ok(gw.ask(), "c").attempts, "2", "attempts after %s" % fault)
        for r in crowd(8, lambda n: gw.ask(), 4):
            equal(ok(r, "c").attempts, "1", "attempts while the credential is refused")
        for name in "ab":
            equal(gw.endpoint(name)["state"], "exhausted", "state of %s after %s" % (name, fault))
        gw.order("cooldown", "clear", "--all")
        ok(gw.ask(), "a")
    equal(sims["b"].count, 0, "requests with the same credential elsewhere")


def test_a_refused_credential_beyond_its_account(t):
    """The same key at endpoints of two accounts is refused for both; another key of the same account is not."""
    sims = {name: t.sim(name) for name in "abc"}
    env = {"ONE": "sk-shared-000", "OWN": "sk-own-00000"}
    gw = t.gateway([endpoint("a", sims["a"], key="env:ONE"), endpoint("b", sims["b"], key="env:ONE", priority=2),
                    endpoint("c", sims["c"], key="env:OWN", priority=3)], workers=4, env=env)
    sims["a"].fault("401#1")
    equal(ok(gw.ask(), "c").attempts, "2", "attempts")
    equal(sims["b"].count, 0, "requests with the same credential elsewhere")
    gw.stop()
    team = t.gateway([endpoint("a", sims["a"], key="env:ONE", account="team"),
                      endpoint("b", sims["b"], key="env:OWN", account="team", priority=2),
                      endpoint("c", sims["c"], priority=3)], workers=4, env=env, name="team")
    sims["a"].fault("401#1")
    equal(ok(team.ask(), "b").attempts, "2", "attempts with another key of the same account")


# Probes.

PROBE = {"path": "/models", "interval": "200ms", "timeout": "2s"}


def posts(sim):
    return sum(entry["method"] == "POST" for entry in sim.requests)


def test_a_passing_probe_brings_the_trial_forward(t):
    """It closes nothing by itself: requests have to succeed."""
    a = t.sim("a", fault="reset#5/on=post")
    b = t.sim("b")
    gw = t.gateway([endpoint("a", a, health=PROBE, breaker={"failures": 5, "open": "10m", "max_open": "10m"}),
                    endpoint("b", b, priority=2)], models={"m1": {"endpoints": ["a", "b"]}})
    for _ in range(5):
        ok(gw.ask("m1"), "b")
    equal(posts(a), 5, "failures")
    probes = a.count
    wait_until(lambda: a.count >= probes + 4, 10, "some probes pass")
    assert gw.endpoint("a")["breaker"] in ("open", "half_open"), "a probe closed it: %s" % gw.endpoint("a")
    for _ in range(3):
        equal(ok(gw.ask("m1"), "a").attempts, "1", "a trial, long before ten minutes are over")
    wait_until(lambda: gw.endpoint("a")["state"] == "healthy", 5, "three good trials close it")


def test_a_failing_probe_counts(t):
    good, bad, missing, refused = t.sim("a"), t.sim("b", fault="500/on=models"), \
        t.sim("c", fault="404/on=models"), t.sim("d", fault="401/on=models")
    gw = t.gateway([endpoint(sim.name, sim, health=PROBE, breaker={"failures": 3, "open": "10m", "max_open": "10m"})
                    for sim in (good, bad, missing, refused)])
    wait_until(lambda: gw.endpoint("b")["state"] == "open", 10, "failing probes open the breaker")
    wait_until(lambda: min(missing.count, refused.count, good.count) >= 5, 10, "five probes each")
    for name in "acd":
        row = gw.endpoint(name)
        equal((row["state"], row["failures"]), ("healthy", 0), "%s: an answer is a sign of life" % name)
    good.stop()
    wait_until(lambda: gw.endpoint("a")["state"] == "open", 10, "so does nobody listening")


# States.

def test_every_state_is_shown_alike(t):
    """One model for each state, at an endpoint of its own: status and the error say the same word."""
    names = ["cooling", "exhausted", "spent", "open", "half_open", "drained", "forced_open"]
    sims = {name: t.sim(name.replace("_", "-")) for name in names if name != "half_open"}
    held = Held()
    half = t.upstream(lambda r, conn: failure(500) if half.count == 1 else held(r, conn))
    breaker = {"failures": 1, "open": "10m", "max_open": "10m"}
    gw = t.gateway([endpoint(name, sims.get(name, half), breaker={**breaker, "open": "100ms", "half_open": 1}
                             if name == "half_open" else breaker) for name in names],
                   models={name: {"endpoints": [name]} for name in names}, wait={"max": "1s"},
                   retry={"base": "10ms", "factor": 1, "jitter": "0%"})
    sims["cooling"].fault("429/retry-after=60")
    sims["exhausted"].fault("429#2/retry-after-ms=20", "429/retry-after=60")
    sims["spent"].fault("insufficient-quota")
    sims["open"].fault("500")
    for name in ("cooling", "exhausted", "spent", "open"):
        assert gw.ask(name).status >= 400, "a request that fails for %s" % name
    equal(sims["exhausted"].count, 3, "429s in a row")
    trial = gw.begin("half_open")
    wait_until(lambda: held.now == 1, 10, "a trial is out")
    gw.order("drain", "drained")
    gw.order("breaker", "open", "forced_open")
    for name in names:
        state = "exhausted" if name == "spent" else name
        equal(gw.endpoint(name)["state"], state, "state of %s" % name)
        r = gw.ask(name)
        assert r.status in (429, 502, 503), "%s: %s" % (name, r)
        said = r.error["endpoints"][name]
        assert said.split(" ")[0].rstrip(",") == state, "%s: the error says %r" % (name, said)
    held.let()
    ok(trial.finish(), "half_open")


def test_healthy_degraded_and_back(t):
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)], models={"m1": {"endpoints": ["a"]}}, wait=NOW, retry={"attempts": 1})
    ok(gw.ask("m1"))
    equal((gw.endpoint("a")["state"], gw.endpoint("a")["reason"]), ("healthy", ""), "at first")
    sim.fault("500#2")
    for count in (1, 2):
        failed(gw.ask("m1"), 502, "all_endpoints_failed")
        row = gw.pair("a", "m1")
        equal((row["state"], row["failures"]), ("degraded", count), "after %d failures" % count)
        equal(gw.endpoint("a")["state"], "degraded", "the endpoint's state")
        assert gw.endpoint("a")["reason"], "degraded without a reason"
    ok(gw.ask("m1"))
    equal(gw.endpoint("a")["state"], "healthy", "after a success")


def test_the_first_429s_cool_and_the_third_exhausts(t):
    up = t.upstream(lambda r, conn: failure(429, "slow", "rate_limit_exceeded", "requests", {"Retry-After": "0.3"})
                    if up.count <= 3 else completion(r))
    gw = t.gateway([endpoint("a", up)], models={"m1": {"endpoints": ["a"]}}, wait=NOW)
    for count, state in ((1, "cooling"), (2, "cooling"), (3, "exhausted")):
        wait_until(lambda: gw.ask("m1").status == 429 and up.count == count, 5, "429 number %d" % count)
        equal(gw.pair("a", "m1")["state"], state, "after %d of them" % count)
    wait_until(lambda: gw.ask("m1").status == 200, 5, "a success")
    equal(gw.pair("a", "m1")["state"], "healthy", "after a success")
