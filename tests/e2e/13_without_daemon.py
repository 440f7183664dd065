"""The admin CLI reads and changes the region itself: it needs no daemon, and the daemon obeys when it is back."""

import json
import os

from harness import GATEWAYCTL, STATES, endpoint, equal, ok, run


def two(t, **keys):
    return t.gateway([endpoint("a", t.sim("a")), endpoint("b", t.sim("b"), priority=2)], **keys)


def test_orders_wait_for_the_daemon(t):
    gw = two(t)
    a = t.sims[0]
    ok(gw.ask(), "a")
    equal(gw.stop(), 0, "exit status")
    equal([row["name"] for row in gw.status()["endpoints"]], ["a", "b"], "endpoints shown with the daemon stopped")
    gw.order("drain", "a")
    equal(gw.endpoint("a")["state"], "drained", "state of a")
    gw.start()
    for _ in range(10):
        ok(gw.ask(), "b")
    equal(a.count, 1, "requests to the drained endpoint")
    gw.stop()
    gw.order("enable", "a")
    gw.start()
    ok(gw.ask(), "a")


def test_breakers_and_cooldowns(t):
    gw = t.gateway([endpoint("a", t.sim("a", fault="503"), breaker={"failures": 2, "open": "10m", "max_open": "10m"}),
                    endpoint("b", t.sim("b", fault="429/retry-after=300")), endpoint("c", t.sim("c"), priority=3)],
                   models={"m1": {"endpoints": ["a", "b", "c"]}})
    for _ in range(4):
        ok(gw.ask("m1"), "c")
    gw.stop()
    equal(gw.pair("a", "m1")["state"], "open", "state of (a, m1)")
    assert gw.pair("b", "m1")["state"] in ("cooling", "exhausted"), "state of (b, m1): %s" % gw.pair("b", "m1")
    gw.order("breaker", "reset", "a")
    gw.order("cooldown", "clear", "b")
    equal((gw.pair("a", "m1")["state"], gw.pair("b", "m1")["state"]), ("healthy", "healthy"), "states")
    gw.order("breaker", "open", "b/m1")
    t.sims[0].fault()
    gw.start()
    for _ in range(4):
        ok(gw.ask("m1"), "a")
    equal(gw.pair("b", "m1")["state"], "forced_open", "state of (b, m1)")


def test_where_the_region_is(t):
    """--state, $GATEWAYD_STATE, the configuration."""
    gw = two(t)
    gw.stop()
    for args, env in ((["--state", gw.state], {}), ([], {"GATEWAYD_STATE": gw.state}), (["-c", gw.file], {})):
        result = run([GATEWAYCTL] + args + ["--json", "status"], env=env)
        equal(result.code, 0, "exit status of status by %s: %s" % (args or env, result.err))
        equal([row["name"] for row in result.json["endpoints"]], ["a", "b"], "endpoints by %s" % (args or env))
    equal(run([GATEWAYCTL, "--json", "--state", gw.state, "status"]).code, 0, "options in another order")


def test_exit_statuses(t):
    gw = two(t)
    equal(gw.ctl("status", "--check").code, 0, "status --check when all is well")
    gw.order("drain", "a")
    equal(gw.ctl("status", "--check").code, 1, "status --check with an endpoint drained")
    for args, code in (((), 2), (("nonsense",), 2), (("drain",), 2), (("breaker", "explode", "a"), 2),
                       (("drain", "nobody"), 4), (("breaker", "reset", "a/nobody"), 4),
                       (("cooldown", "clear", "zz"), 4)):
        result = gw.ctl(*args, json_too=False)
        equal(result.code, code, "exit status of gatewayctl %s: %s" % (" ".join(args), result.err))
        assert result.err.strip() and (code == 2 or result.err.count("\n") == 1), "one line on stderr: %r" % result.err
    result = run([GATEWAYCTL, "--state", t.path("nowhere"), "status"])
    equal(result.code, 3, "exit status without a region")
    equal(result.err.count("\n"), 1, "lines on stderr: %r" % result.err)


def test_status_shows_what_it_promises(t):
    gw = two(t, models={"m1": {"endpoints": ["a", "b"]}})
    for _ in range(5):
        ok(gw.ask("m1", stream=True))
    document = gw.status()
    for row in document["endpoints"]:
        for key in ("name", "state", "reason", "until_ms", "breaker", "failures", "in_flight", "limit", "rps",
                    "error_rate", "first_token_ms", "last_success_ms", "models"):
            assert key in row, "no %r in %s" % (key, row)
        assert row["state"] in STATES, "state %r" % row["state"]
    assert isinstance(document["summary"], dict), "summary: %s" % document
    plain = gw.order("status", json_too=False).out.splitlines()
    for name in "ab":
        assert any(line.startswith(name) for line in plain), "no line for %s: %s" % (name, plain)
    for row in gw.order("workers").json["workers"]:
        for key in ("slot", "pid", "role", "generation", "in_flight", "requests", "uptime_s", "restarts"):
            assert key in row, "no %r in %s" % (key, row)
    assert sum(row["requests"] for row in gw.workers()) >= 5, "requests: %s" % gw.workers()


def test_events_tell_who_did_it(t):
    gw = two(t)
    gw.order("drain", "a")
    gw.order("breaker", "open", "b")
    gw.order("enable", "a")
    gw.order("breaker", "auto", "b")
    events = gw.events()
    for event in events:
        for key in ("time", "kind", "endpoint", "model", "from", "to", "by"):
            assert key in event, "no %r in %s" % (key, event)
    mine = [event for event in events if str(os.getuid()) in str(event["by"]) or "root" in str(event["by"])]
    assert {"a", "b"} <= {event["endpoint"] for event in mine}, "my orders are not in %s" % json.dumps(events)
    few = gw.order("events", "-n", "2").json["events"]
    equal(len(few), 2, "events -n 2")


def test_a_tool_that_only_looks_changes_nothing(t):
    gw = two(t)
    gw.stop()
    with open(gw.state, "rb") as file:
        before = file.read()
    for args in (("status",), ("breaker", "list"), ("breaker", "show", "a"), ("cooldown", "list"), ("workers",),
                 ("events",)):
        gw.order(*args)
    with open(gw.state, "rb") as file:
        assert file.read() == before, "looking changed the region"


def test_check(t):
    gw = two(t)
    equal(run([GATEWAYCTL, "check", gw.file]).code, 0, "check of a good file")
    with open(gw.file, "a") as file:
        file.write("colour: blue\n")
    result = run([GATEWAYCTL, "check", gw.file])
    equal(result.code, 1, "check of a bad file")
    assert gw.file + ":" in result.out + result.err, "where: %s" % (result.out + result.err)


def test_a_new_region_takes_up_the_old_ones_state(t):
    """What a stop writes beside the region is read when the region is made anew: another version's, or a lost one."""
    a, b = t.sim("a", fault="503"), t.sim("b")
    gw = t.gateway([endpoint("a", a, breaker={"open": "10m", "max_open": "10m"}), endpoint("b", b, priority=2),
                    endpoint("c", t.sim("c"), priority=3)])
    for _ in range(5):
        ok(gw.ask(), "b")
    gw.order("drain", "c")
    gw.stop()
    os.unlink(gw.state)
    a.fault()
    count = a.count
    gw.start()
    ok(gw.ask(), "b")
    equal(a.count, count, "requests to the endpoint whose breaker is open")
    equal((gw.endpoint("a")["state"], gw.endpoint("c")["state"]), ("open", "drained"), "states of the new region")
    gw.stop()
    os.unlink(gw.state)
    with open(gw.state + ".export", "w") as file:
        file.write("no export at all\n")
    gw.start()
    ok(gw.ask(), "a")
