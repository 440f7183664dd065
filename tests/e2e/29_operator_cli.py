"""What an operator asks at night: where would a request go, and is it them or us?

`explain` tells what the gateway then does, request after request; `try` asks every endpoint past the gateway, and
neither of them changes anything that a request would notice.
"""

import json
import os

from harness import GATEWAYCTL, endpoint, equal, failed, ok, run


def explain(gw, *words, code=0):
    result = run([GATEWAYCTL, "-c", gw.file, "--json", "explain", *words])
    equal(result.code, code, "exit status of explain %s: %s" % (" ".join(words), result.err))
    return result.json


def reasons(shown, name, model=0):
    row = next(row for row in shown["models"][model]["candidates"] if row["endpoint"] == name)
    return [reason["code"] for reason in row["reasons"]]


def test_explain_foretells_every_request(t):
    """By each strategy, turn after turn; nobody takes a turn by looking."""
    sims = [t.sim(name) for name in "abcd"]
    names = [sim.name for sim in sims]
    gw = t.gateway([endpoint(sim.name, sim, weight=weight) for sim, weight in zip(sims, (5, 3, 2, 1))], workers=4,
                   models={"m-%s" % how: {"endpoints": names, "strategy": how}
                           for how in ("weighted", "round_robin", "least_busy", "latency")})
    # Latencies fade, and of two that are nearly alike either may be the better a moment later; at first all are.
    for model, turns in (("m-weighted", 12), ("m-round_robin", 8), ("m-least_busy", 6), ("m-latency", 1)):
        for _ in range(turns):
            told = explain(gw, model)["endpoint"]
            equal(explain(gw, model)["endpoint"], told, "asked again")
            ok(gw.ask(model), told)


def test_explain_in_trouble(t):
    a, b, c, d = [t.sim(name) for name in "abcd"]
    gw = t.gateway([endpoint("a", a), endpoint("b", b, breaker={"failures": 2, "open": "60s", "max_open": "60s"}),
                    endpoint("c", c, limits={"rpm": 1}), endpoint("d", d, priority=2)],
                   models={"m1": {"endpoints": ["a", "b", "c"], "fallback": ["m2"]}, "m2": {"endpoints": ["d"]}},
                   aliases={"fast": "m1"})
    a.fault("429/retry-after=60")
    b.fault("500")
    for _ in range(4):
        gw.ask("m1")
    shown = explain(gw, "fast")
    equal((shown["resolved"], shown["endpoint"], shown["answered_as"]), ("m1", "d", "m2"), "where it goes")
    equal([reasons(shown, name) for name in "abc"], [["cooling"], ["open"], ["limited"]], "reasons")
    equal((shown["models"][0]["fate"], shown["models"][1]["fate"]), ("passes", "goes"), "fates")
    ok(gw.ask("fast"), "d")

    evidence = gw.order("breaker", "show", "b/m1").json["breakers"][0]["evidence"]
    equal((evidence["outcomes"][:2], evidence["status"]), (["server", "server"], 500), "evidence of the trip")
    assert evidence["pid"] in gw.pids() and evidence["message"], "evidence: %s" % evidence

    gw.order("drain", "d")
    shown = explain(gw, "fast", code=1)
    equal((shown["endpoint"], shown["answered_as"]), (None, None), "nobody")
    error = failed(gw.ask("fast"), shown["error"]["status"], shown["error"]["code"])
    equal(error["message"], shown["error"]["message"], "what the client is told")
    gw.order("limits", "reset", "c")
    equal(explain(gw, "fast")["endpoint"], "c", "with its limit whole again")
    ok(gw.ask("fast"), "c")
    gw.order("cooldown", "clear", "a")
    a.fault()
    equal(explain(gw, "m1")["endpoint"], "a", "with its cooldown cleared")
    ok(gw.ask("m1"), "a")


def test_explain_a_configuration_that_was_not_read_yet(t):
    a, b = t.sim("a"), t.sim("b")
    gw = t.gateway([endpoint("a", a)], models={"m1": {"endpoints": ["a"]}})
    gw.write(endpoints=[endpoint("a", a, priority=2), endpoint("b", b)], models={"m1": {"endpoints": ["a", "b"]}})
    shown = explain(gw, "m1")
    equal((shown["endpoint"], reasons(shown, "b")), ("a", ["unknown"]), "before the reload")
    ok(gw.ask("m1"), "a")
    gw.order("reload")
    equal(explain(gw, "m1")["endpoint"], "b", "after it")
    ok(gw.ask("m1"), "b")


def test_limits_of_a_working_gateway(t):
    a = t.sim("a")
    gw = t.gateway([endpoint("a", a, account="x", limits={"rpm": 6, "rpd": 50})],
                   accounts={"x": {"limits": {"rpm": 60}}})
    for _ in range(3):
        ok(gw.ask())
    rows = {row["name"]: row for row in gw.order("limits").json["limits"]}
    equal({name: (row["limit"], row["used"], row["left"]) for name, row in rows.items() if name != "account/x/rpm"},
          {"endpoint/a/rpm": (6, 3, 3), "endpoint/a/rpd": (50, 3, 47)}, "limits")
    assert 1 <= rows["account/x/rpm"]["used"] <= 3 and rows["account/x/rpm"]["limit"] == 60, rows
    equal({row["name"]: row["to"] for row in gw.order("limits", "reset", "a").json["changed"]},
          {"endpoint/a/rpm": 0, "endpoint/a/rpd": 0}, "reset")
    equal([(row["kind"], row["by"]) for row in gw.events()[-2:]],
          [("quota_reset", "uid %d" % os.getuid()), ("limit_reset", "uid %d" % os.getuid())], "events")


def test_try(t):
    sims = [t.sim(name) for name in "abc"]
    gw = t.gateway([endpoint(sim.name, sim, timeouts={"response": "2s"}) for sim in sims],
                   models={"m1": {"endpoints": ["a", "b"]}, "m2": {"endpoints": [{"name": "c", "as": "m2-2026"}]}})
    gw.order("drain", "a")  # it is asked all the same: this is not about what the gateway thinks of it
    result = run([GATEWAYCTL, "-c", gw.file, "--json", "try"])
    equal((result.code, result.json["asked"], result.json["failed"]), (0, 3, 0), "all of them: %s" % result.err)
    equal([(row["endpoint"], row["model"], row["status"], row["outcome"]) for row in result.json["tries"]],
          [("a", "m1", 200, "ok"), ("b", "m1", 200, "ok"), ("c", "m2-2026", 200, "ok")], "tries")
    assert result.json["tries"][0]["answer"].startswith("word01 word02"), result.json
    equal([sim.count for sim in sims], [1, 1, 1], "requests upstream")
    equal(gw.status()["summary"]["requests"], 0, "requests that the gateway knows of")

    sims[0].fault("429/retry-after=20")
    sims[1].fault("silence")
    sims[2].stop()
    gw.stop()
    result = run([GATEWAYCTL, "-c", gw.file, "--json", "try"])
    equal((result.code, [row["outcome"] for row in result.json["tries"]]), (1, ["rate", "silence", "transport"]),
          "an outage, with the gateway stopped")
    assert "asks to wait 20.0s" in result.json["tries"][0]["error"], json.dumps(result.json)
    text = run([GATEWAYCTL, "-c", gw.file, "try", "-m", "m2"])
    equal((text.code, text.out.splitlines()[-1]), (1, "1 of 1 failed"), "as text: %s" % text.out)
