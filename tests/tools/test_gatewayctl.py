#!/usr/bin/python3
"""gatewayctl on a region that make_region prepared, without a daemon: every command, in text and in JSON.

usage: test_gatewayctl.py GATEWAYCTL MAKE_REGION [NAME...]      (NAME: only these tests)
"""

import fcntl
import http.server
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

GATEWAYCTL = MAKE_REGION = None
NAMES = set()
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STRANGER = 65534  # a uid without rights, for what root would be allowed
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("GATEWAYD_STATE", "NO_COLOR")}


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return "exit %d\nstdout: %s\nstderr: %s" % (self.code, self.out, self.err)


def become(uid):
    def change():
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
    return change


def run(*args, env=(), uid=None, timeout=30, **keys):
    """Run gatewayctl with these words."""
    done = subprocess.run([GATEWAYCTL] + list(args), env=dict(ENVIRONMENT, **dict(env)), timeout=timeout,
                          preexec_fn=become(uid) if uid is not None else None, text=True, stdin=subprocess.DEVNULL,
                          stdout=keys.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, **keys)
    return Result(done.returncode, done.stdout or "", done.stderr)


class Region:
    """A prepared region in a directory of its own."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="gatewayctl-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.path = os.path.join(self.folder, "state")
        self.master = None

    def make(self, *how):
        subprocess.run([MAKE_REGION, self.path, *how], check=True)
        return self

    def live(self):
        self.master = subprocess.Popen([MAKE_REGION, self.path, "live"], stdout=subprocess.PIPE, text=True)
        equal(self.master.stdout.readline(), "ready\n", "what the master says")
        return self

    def __call__(self, *args, **keys):
        return run("--state", self.path, *args, **keys)

    def good(self, *args, **keys):
        result = self(*args, **keys)
        equal(result.code, 0, "exit status of %s: %r" % (" ".join(args), result))
        equal(result.err, "", "stderr of %s" % " ".join(args))
        return result

    def json(self, *args):
        result = self.good("--json", *args).json
        note_names(result)
        return result

    def endpoint(self, name):
        return next(row for row in self.json("status")["endpoints"] if row["name"] == name)

    def breaker(self, name):
        return next(row for row in self.json("breaker", "list")["breakers"] if row["name"] == name)

    def cooling(self):
        return [row["name"] for row in self.json("cooldown", "list")["cooldowns"]]

    def end(self):
        if self.master and self.master.poll() is None:
            self.master.send_signal(signal.SIGTERM)
            self.master.wait(10)
        if self.master:
            self.master.stdout.close()
            self.master = None

    def close(self):
        self.end()
        shutil.rmtree(self.folder)


def note_names(document):
    """Names that were seen in JSON; a later test looks for each of them in the man page."""
    if isinstance(document, dict):
        for name, value in document.items():
            NAMES.add(name)
            note_names(value)
    elif isinstance(document, list):
        for value in document:
            note_names(value)


def equal(got, wanted, what):
    assert got == wanted, "%s: %r, not %r" % (what, got, wanted)


def bad(result, code, *words):
    """The command failed with this status and one line that holds these words."""
    equal(result.code, code, "exit status of %r" % result)
    equal(result.out, "", "stdout")
    equal(result.err.count("\n"), 1, "lines on stderr: %r" % result.err)
    assert result.err.startswith("gatewayctl: "), result.err
    for word in words:
        assert word in result.err, "%r is not in %r" % (word, result.err)


def wait_until(true, seconds, what):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "timeout: " + what
        time.sleep(0.02)


# What is shown.

def test_status(r):
    r.make()
    shown = r.json("status")
    rows = {row["name"]: row for row in shown["endpoints"]}
    equal(list(rows), ["us-east", "eu-west", "sgp", "relay", "spare"], "endpoints")
    equal([row["state"] for row in rows.values()], ["healthy", "open", "degraded", "exhausted", "drained"], "states")
    for row in rows.values():
        equal(set(row), {"name", "state", "reason", "until_ms", "breaker", "failures", "in_flight", "limit", "requests",
                         "rps", "error_rate", "first_token_ms", "last_success_ms", "account", "models"}, "names")
        equal(row["account"], None, "an account that this region does not tell")
        equal(set(row["first_token_ms"]), {"p50", "p99"}, "names of first_token_ms")
        for model in row["models"]:
            equal(set(model), {"name", "state", "reason", "until_ms", "breaker", "failures"}, "names of a model")
    us, eu = rows["us-east"], rows["eu-west"]
    equal((us["in_flight"], us["limit"], us["requests"], us["error_rate"]), (2, 20, 100, 0.1), "numbers of us-east")
    equal((us["reason"], us["until_ms"], us["breaker"], us["failures"]), ("", 0, "closed", 0), "us-east")
    assert 0 <= us["last_success_ms"] < 60000, us["last_success_ms"]
    equal([model["name"] for model in us["models"]], ["gpt-4.1", "deepseek/v3"], "models")
    equal((eu["breaker"], eu["failures"], eu["last_success_ms"], eu["rps"], eu["error_rate"]), ("open", 5, None, 0, 0),
          "eu-west")
    # Sixty in the last minute, of a region that is younger than that.
    assert 1 <= us["rps"] <= 60, us["rps"]
    equal(eu["first_token_ms"], {"p50": None, "p99": None}, "latencies of what was never measured")
    first = us["first_token_ms"]
    assert 108 < first["p50"] < 132 and 820 < first["p99"] < 980, first
    assert 500000 < eu["until_ms"] <= 600000, eu["until_ms"]
    assert re.fullmatch(r"open \d+m\d\ds, 5 failures in a row", eu["reason"]), eu["reason"]
    assert re.fullmatch(r"gpt-4.1 cooling \d+m\d\ds, rate limited", rows["sgp"]["reason"]), rows["sgp"]["reason"]
    equal([model["state"] for model in rows["sgp"]["models"]], ["cooling", "healthy"], "models of sgp")
    summary = shown["summary"]
    equal((summary["serving"], summary["endpoints"], summary["usable"], summary["requests"], summary["success_rate"],
           summary["parked"], summary["workers"], summary["master"], summary["generation"]),
          (False, 5, 2, 100, 0.95, 0, 0, None, 1),
          "summary")


def test_status_text(r):
    r.make()
    out = r.good("status").out
    lines = out.splitlines()
    equal(len(lines), 7, "lines of %s" % out)
    equal(re.split("  +", lines[0]),
          ["NAME", "STATE", "WHY", "BREAKER", "IN-FLIGHT", "REQ/S", "ERR %", "TTFT p50/p99", "LAST OK"], "heads")
    us, eu = re.split("  +", lines[1]), re.split("  +", lines[2])
    equal(us[:5] + us[6:7], ["us-east", "healthy", "-", "closed", "2/20", "10.0"], "us-east")
    assert float(us[5]) >= 1 and re.fullmatch(r"1\d\dms/[89]\d\dms", us[7]), us
    equal(eu[4:], ["0/10", "0.0", "-", "-", "never"], "eu-west")
    assert lines[1].endswith("s ago") and lines[2].endswith("never"), out
    column = lines[0].index("STATE")
    assert all(line[column - 2:column] == "  " and line[column] != " " for line in lines[:6]), "not aligned:\n" + out
    assert "\033" not in out, "colors on a pipe"
    assert lines[6].startswith("NOT SERVING: gatewayd is not running; 2 of 5"), lines[6]


def test_status_check(r):
    r.live()
    result = r("status", "--check")
    equal(result.code, 1, "exit status")
    assert "eu-west" in result.out
    equal(r("status", "--check", "--json").code, 1, "exit status with --json")
    r.good("breaker", "reset", "--all")
    r.good("cooldown", "clear", "--all")
    r.good("enable", "spare")
    r.good("status", "--check")
    # All is well with the endpoints, and nobody asks them.
    r.good("stop")
    equal([row["state"] for row in r.json("status")["endpoints"]], ["healthy"] * 5, "states")
    equal(r("status", "--check").code, 1, "exit status without a gateway")


def test_colors_on_a_terminal_only_without_no_color(r):
    r.make()
    cases = (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False))
    for env, colored in cases:
        ours, theirs = os.openpty()
        equal(r("status", env=env, stdout=theirs).code, 0, "exit status")
        os.close(theirs)
        out = os.read(ours, 65536).decode()
        os.close(ours)
        equal("\033[" in out, colored, "colors with %s" % env)


def test_a_living_gateway(r):
    r.live()
    shown = r.json("status")
    equal((shown["summary"]["serving"], shown["summary"]["workers"], shown["summary"]["master"]),
          (True, 1, r.master.pid), "summary")
    rows = r.json("workers")["workers"]
    equal([(row["role"], row["state"]) for row in rows], [("master", "live"), ("worker", "live")], "workers")
    for row in rows:
        equal(set(row), {"slot", "pid", "role", "state", "generation", "in_flight", "connections", "requests",
                         "uptime_s", "restarts"}, "names")
    worker = rows[1]
    equal((worker["in_flight"], worker["requests"], worker["generation"], worker["restarts"]), (2, 1, 1, 0), "worker")
    text = r.good("workers").out
    equal(text.split()[:4], ["SLOT", "PID", "ROLE", "STATE"], "heads")
    assert re.search(r"%d +worker +live +1 " % worker["pid"], text), text
    # A master has no generation to wait for: it outlives configurations.
    assert re.search(r"%d +master +live +- " % r.master.pid, text), text
    assert "serving: 2 of 5 endpoints can be tried" in r.good("status").out
    os.kill(worker["pid"], signal.SIGKILL)
    # The master here only reaps at its end; the slot's lock tells at once.
    wait_until(lambda: r.json("status")["summary"]["workers"] == 0, 5, "the worker is seen to be dead")
    equal(r.json("workers")["workers"][1]["state"], "dead", "state of the killed worker")


def test_workers_of_nothing(r):
    r.make()
    equal([row["state"] for row in r.json("workers")["workers"]], ["dead"], "what make_region left behind")


# Breakers.

def test_breaker_list_and_show(r):
    r.make()
    rows = r.json("breaker", "list")["breakers"]
    equal([row["name"] for row in rows][:5], ["us-east", "us-east/gpt-4.1", "us-east/deepseek/v3", "eu-west",
                                              "eu-west/gpt-4.1"], "names")
    assert not any(row["name"] == "example" for row in rows), "accounts have no breakers"
    for row in rows:
        equal(set(row), {"name", "endpoint", "model", "breaker", "reason", "trip", "until_ms", "closed_ms", "failures",
                         "level", "generation", "trials", "window", "tripped_on"}, "names")
        equal(set(row["window"]), {"tries", "failed", "slow", "span_ms"}, "names of a window")
    row = r.breaker("eu-west")
    equal((row["breaker"], row["trip"], row["failures"], row["level"], row["model"]), ("open", "failures", 5, 1, None),
          "eu-west")
    equal(r.breaker("us-east/deepseek/v3")["model"], "deepseek/v3", "a model with a slash")
    shown = r.json("breaker", "show", "eu-west")["breakers"]
    equal([row["name"] for row in shown], ["eu-west", "eu-west/gpt-4.1"], "show NAME means its models too")
    last = shown[0]["events"][-1]
    equal((last["kind"], last["from"], last["to"], last["endpoint"]), ("breaker", "closed", "open", "eu-west"), "event")
    text = r.good("breaker", "show", "eu-west").out
    assert re.search(r"^  why +open .*, 5 failures in a row$", text, re.M), text
    assert "closed (4 failures) -> open 10m00s" in text, text
    assert re.search(r"^eu-west +open ", r.good("breaker", "list").out, re.M)


def test_the_evidence_of_a_trip(r):
    r.make()
    own, model = r.json("breaker", "show", "eu-west")["breakers"]
    equal(model["evidence"], None, "of what never failed")
    seen = own["evidence"]
    equal((seen["outcomes"], seen["status"], seen["message"], seen["worker"]), (["transport", "server"], None,
                                                                               "no ? route", 0), "evidence")
    assert seen["pid"] > 0 and 0 <= seen["ago_ms"] < 60000 and seen["time"].endswith("Z"), seen
    text = r.good("breaker", "show", "eu-west").out
    assert re.search(r"^  last bad    \S+Z \(\d+s ago\), seen by worker 0 \(pid \d+\)$", text, re.M), text
    assert "  outcomes    transport, server, the last one first\n  upstream    no ? route\n" in text, text
    assert "  upstream    answered 502: Bad gateway\n" in r.good("breaker", "show", "sgp").out


def test_a_trip_by_the_window(r):
    r.make("rated")
    row = r.breaker("sgp/gpt-4o")
    equal((row["breaker"], row["trip"], row["failures"]), ("open", "rate", 0), "sgp/gpt-4o")
    for window in (row["window"], row["tripped_on"]):
        equal((window["tries"], window["failed"], window["slow"]), (20, 12, 0), "its window")
    assert row["reason"].endswith(", 12 of 20 failed in the minute before"), row["reason"]
    row = r.breaker("us-east/gpt-4.1")
    equal((row["trip"], row["tripped_on"]["slow"]), ("slow", 15), "us-east/gpt-4.1")
    assert row["reason"].endswith(", 15 of 20 too slow in the minute before"), row["reason"]
    row = r.breaker("eu-west")
    equal((row["tripped_on"], row["window"]["tries"]), (None, 0), "one that failures in a row opened")
    equal(r.breaker("us-east")["window"]["tries"], 60, "an endpoint that is well")
    text = r.good("breaker", "show", "sgp/gpt-4o").out
    assert "  window      20 tries in the last minute, 12 failed, 0 slow\n" in text, text
    assert re.search(r"closed \(11 failures\) -> open 10m00s \(rate\)$", text, re.M), text
    assert "(slow)" in r.good("breaker", "show", "us-east/gpt-4.1").out
    row = r.endpoint("sgp")
    equal((row["error_rate"], row["rps"] > 0), (0.6, True), "an endpoint that answers, of whose models one fails")
    # What opened it is not what came later.
    r.good("breaker", "reset", "sgp/gpt-4o")
    equal(r.breaker("sgp/gpt-4o")["tripped_on"], None, "after a reset")


def test_breaker_reset(r):
    r.make()
    changed = r.json("breaker", "reset", "eu-west")["changed"]
    equal(changed, [{"name": "eu-west", "from": "open", "to": "closed"},
                    {"name": "eu-west/gpt-4.1", "from": "closed", "to": "closed"}], "changed")
    equal(r.endpoint("eu-west")["state"], "healthy", "state")
    event = [row for row in r.json("events")["events"] if row["endpoint"] == "eu-west" and row["model"] is None][-1]
    equal((event["by"], event["from"], event["to"]), ("uid %d" % os.getuid(), "open", "closed"), "the event")
    equal(len(r.json("breaker", "reset", "--all")["changed"]), 12, "changed by --all")
    assert "us-east/gpt-4.1: closed -> closed\n" in r.good("breaker", "reset", "us-east").out


def test_breaker_open_close_auto(r):
    r.make()
    changed = r.json("breaker", "open", "us-east", "--for", "10m")["changed"]
    equal([row["name"] for row in changed], ["us-east", "us-east/gpt-4.1", "us-east/deepseek/v3"], "and its models")
    equal({row["to"] for row in changed}, {"forced_open"}, "to")
    row = r.endpoint("us-east")
    equal((row["state"], row["breaker"]), ("forced_open", "forced_open"), "state")
    assert 590000 < row["until_ms"] <= 600000, row
    assert "us-east: forced_open 10m00s" in r.good("breaker", "auto", "us-east").out.replace("9m59s", "10m00s")
    equal(r.endpoint("us-east")["state"], "healthy", "state after auto")

    r.good("breaker", "open", "us-east/gpt-4.1")
    row = r.endpoint("us-east")
    equal((row["state"], row["reason"]), ("degraded", "gpt-4.1 held open by the operator"), "one model held")
    r.good("breaker", "open", "us-east/deepseek/v3")
    equal(r.endpoint("us-east")["state"], "forced_open", "all models held")
    r.good("breaker", "close", "eu-west")
    equal(r.breaker("eu-west")["breaker"], "forced_closed", "held closed")
    equal(r.endpoint("eu-west")["state"], "healthy", "state")
    r.good("breaker", "open", "sgp/gpt-4o", "--for=50ms")
    wait_until(lambda: r.breaker("sgp/gpt-4o")["breaker"] == "closed", 5, "the hold is over")
    # auto takes back a hold and nothing else.
    r.good("breaker", "reset", "eu-west")
    equal(r.json("breaker", "auto", "eu-west/gpt-4.1")["changed"], [{"name": "eu-west/gpt-4.1", "from": "closed",
                                                                     "to": "closed"}], "changed")


# Cooldowns and orders.

def test_cooldowns(r):
    r.make()
    rows = r.json("cooldown", "list")["cooldowns"]
    equal([(row["name"], row["kind"], row["state"], row["cause"], row["streak"]) for row in rows],
          [("sgp/gpt-4.1", "model", "cooling", "rate", 1), ("relay/*", "model", "exhausted", "rate", 3),
           ("example", "account", "exhausted", "quota", 1)], "cooldowns")
    assert 500000 < rows[0]["until_ms"] <= 600000, rows[0]
    equal(set(rows[0]), {"name", "kind", "model", "state", "cause", "reason", "until_ms", "streak"}, "names")
    equal(len(r.json("cooldown", "list", "--all")["cooldowns"]), 13, "all of them")
    text = r.good("cooldown", "list").out
    assert re.search(r"^sgp/gpt-4.1 +model +cooling ", text, re.M), text

    equal(r.json("cooldown", "clear", "sgp")["changed"], [{"name": "sgp/gpt-4.1", "kind": "model", "from": "cooling",
                                                           "to": "not_cooling"}], "changed")
    equal(r.cooling(), ["relay/*", "example"], "still cooling")
    equal(r.endpoint("sgp")["state"], "healthy", "state of sgp")
    assert "nothing was cooling" in r.good("cooldown", "clear", "sgp").out
    r.good("cooldown", "clear", "example")
    equal(r.cooling(), ["relay/*"], "still cooling")
    assert "relay/*: exhausted" in r.good("cooldown", "clear", "--all").out
    equal(r.cooling(), [], "cooling after --all")
    equal(r.good("cooldown", "list").out, "nothing is cooling\n", "an empty list")


def test_drain_and_enable(r):
    r.make()
    equal(r.json("drain", "us-east")["changed"], [{"name": "us-east", "from": "enabled", "to": "drained"}], "changed")
    equal(r.endpoint("us-east")["state"], "drained", "state")
    equal(r.good("drain", "us-east").out, "us-east: already drained\n", "drained again")
    equal(r.good("enable", "us-east").out, "us-east: enabled\n", "enabled")
    equal(r.endpoint("us-east")["state"], "healthy", "state")
    event = r.json("events", "-n", "1")["events"][0]
    equal((event["kind"], event["from"], event["to"], event["by"]), ("order", "drained", "enabled",
                                                                    "uid %d" % os.getuid()), "event")
    bad(r("drain", "us-east/gpt-4.1"), 2, "whole endpoint", "breaker open us-east/gpt-4.1")
    bad(r("drain", "example"), 4, "example")


# Why, and what is left.

CONFIG = """state: %s
endpoints:
  - {name: us-east, url: "http://us/v1", key: none, account: example, weight: 3, dialects: [openai, anthropic]}
  - {name: eu-west, url: "http://eu/v1", key: none, account: example}
  - {name: sgp, url: "http://sgp/v1", key: none, account: example, limits: {rpm: 3}}
  - {name: relay, url: "http://relay/v1", key: none, account: example, priority: 2}
  - {name: new, url: "http://new/v1", key: none, account: example}
accounts: {example: {}}
models:
  gpt-4.1: {endpoints: [us-east, eu-west, {name: sgp, as: gpt-4.1-2025}, new], fallback: [gpt-4o], patience: 5s}
  gpt-4o: {endpoints: [sgp], context: 8000}
aliases: {latest: gpt-4.1}
"""


def write_config(r, text=CONFIG):
    file = os.path.join(r.folder, "gw.yaml")
    with open(file, "w") as out:
        out.write(text.replace("%s", r.path))
    return file


def reasons(model):
    return {row["endpoint"]: [reason["code"] for reason in row["reasons"]] for row in model["candidates"]}


def explained(file, code, *words):
    result = run("-c", file, "--json", "explain", *words)
    equal((result.code, result.err), (code, ""), "explain %s: %r" % (words, result))
    note_names(result.json)
    return result.json


def test_explain(r):
    r.make()
    file = write_config(r)
    # The account's quota is spent: nobody can, and waiting does not help in time.
    shown = explained(file, 1, "gpt-4.1")
    equal((shown["endpoint"], shown["answered_as"], shown["error"]["status"], shown["error"]["code"]),
          (None, None, 429, "rate_limit_exceeded"), "nobody")
    first, second = shown["models"]
    equal(reasons(first), {"us-east": ["exhausted"], "eu-west": ["exhausted", "open"], "sgp": ["cooling", "exhausted"],
                           "new": ["unknown"]}, "reasons")
    equal((first["fate"], first["next"], second["fate"], second["next"]), ("passes", "gpt-4o", "passes", None), "fates")
    account = first["candidates"][0]["reasons"][0]
    assert re.fullmatch(r"account example exhausted \d+m\d\ds, quota spent", account["text"]), account

    r.good("cooldown", "clear", "example")
    shown = explained(file, 0, "latest")
    equal((shown["model"], shown["resolved"], shown["endpoint"], shown["answered_as"], shown["error"]),
          ("latest", "gpt-4.1", "us-east", "gpt-4.1", None), "answer")
    first = shown["models"][0]
    equal(reasons(first), {"us-east": ["turn"], "eu-west": ["open"], "sgp": ["cooling"], "new": ["unknown"]}, "reasons")
    rows = {row["endpoint"]: row for row in first["candidates"]}
    equal([(name, row["answer"]) for name, row in sorted(rows.items())],
          [("eu-west", "no"), ("new", "no"), ("sgp", "no"), ("us-east", "now")], "answers")
    equal((rows["sgp"]["as"], rows["us-east"]["as"], rows["us-east"]["weight"]), ("gpt-4.1-2025", None, 3), "as")
    assert 500000 < rows["sgp"]["until_ms"] <= 600000 and rows["new"]["until_ms"] is None, rows
    assert re.fullmatch(r"breaker open \d+m\d\ds, 5 failures in a row", rows["eu-west"]["reasons"][0]["text"]), rows
    equal((first["fate"], first["patience_ms"], first["strategy"], first["fallback"]),
          ("goes", 5000, "weighted", False), "the first model")

    text = run("-c", file, "explain", "latest")
    equal((text.code, text.out.splitlines()[0]), (0, "latest (gpt-4.1) goes to us-east now"), "headline")
    assert re.search(r"^-> +us-east +1 +now +its turn: weight 3 of 6$", text.out, re.M), text.out
    assert re.search(r"^ +sgp as gpt-4.1-2025 +1 +no +cooling \S+, rate limited$", text.out, re.M), text.out
    assert "\nfallback gpt-4o, weighted\n" in text.out, text.out
    assert "wait up to 5.0s for one of them; then it goes on to gpt-4o\n" in text.out, text.out


def test_explain_what_an_operator_did(r):
    r.make()
    file = write_config(r)
    r.good("cooldown", "clear", "example")
    r.good("drain", "us-east")
    r.good("breaker", "reset", "eu-west")
    r.good("breaker", "open", "eu-west/gpt-4.1", "--for", "10m")
    shown = explained(file, 0, "gpt-4.1")
    equal((shown["endpoint"], shown["answered_as"]), ("sgp", "gpt-4o"), "another model")
    first = shown["models"][0]
    texts = {row["endpoint"]: row["reasons"][0]["text"] for row in first["candidates"]}
    who = "by uid %d 0s ago" % os.getuid()
    equal(texts["us-east"], "drained " + who, "drained")
    assert re.fullmatch(r"breaker for gpt-4.1 held open for \d+m\d\ds " + who, texts["eu-west"]), texts
    equal(first["fate"], "passes", "ten minutes are longer than its patience")
    # Three seconds are within it: the request waits for them, although another model could answer.
    r.good("breaker", "open", "eu-west/gpt-4.1", "--for", "3s")
    shown = explained(file, 1, "gpt-4.1")
    first = shown["models"][0]
    equal((first["fate"], shown["endpoint"], shown["answered_as"], shown["error"]), ("waits", None, "gpt-4.1", None),
          "fate")
    assert 0 < first["soonest_ms"] <= 3000 and "eu-west in " in first["then"], first
    assert run("-c", file, "explain", "gpt-4.1").out.startswith("gpt-4.1 waits: nobody can take it now\n")


def test_explain_options(r):
    r.make()
    file = write_config(r)
    r.good("cooldown", "clear", "example")
    shown = explained(file, 1, "gpt-4.1", "--endpoint", "eu-west")
    equal((shown["error"]["code"], len(shown["models"])), ("circuit_open", 1), "pinned to one that cannot")
    equal(reasons(shown["models"][0])["us-east"], ["pinned"], "the others")
    shown = explained(file, 0, "gpt-4.1", "--endpoint=us-east", "--dialect", "anthropic")
    equal(reasons(shown["models"][0])["eu-west"], ["pinned", "dialect"], "what speaks against it")
    shown = explained(file, 1, "gpt-4o", "--dialect", "anthropic")
    equal((shown["models"][0]["fate"], shown["error"]["status"]), ("skipped", 400), "nobody understands it")
    shown = explained(file, 1, "gpt-4o", "--tokens", "9000")
    equal((shown["models"][0]["fate"], shown["error"]["code"]), ("skipped", "context_length_exceeded"), "too long")
    assert "9000 tokens do not fit its context of 8000" in run("-c", file, "explain", "gpt-4o", "--tokens=9000").out
    bad(run("-c", file, "explain", "gpt-4.2"), 4, "did you mean gpt-4.1?")
    bad(run("-c", file, "explain", "zzzzzzzzzzzzzzzz"), 4, "there is no model zzzzzzzzzzzzzzzz")
    bad(run("-c", file, "explain", "gpt-4.1", "--endpoint", "us-eats"), 4, "did you mean us-east?")
    bad(run("-c", file, "explain", "gpt-4.1", "--endpoint", "relay"), 4, "relay does not serve gpt-4.1")
    bad(run("-c", file, "--state", r.path + ".none", "explain", "gpt-4.1"), 3, r.path + ".none")
    bad(run("-c", file + ".none", "explain", "gpt-4.1"), 1, file + ".none", "-c CONFIG")
    for words in ([], ["a", "b"], ["a", "--dialect", "x"], ["a", "--tokens", "0"]):
        bad(run("-c", file, "explain", *words), 2, "gatewayctl help explain")
    with open(file, "a") as out:
        out.write("nonsense: 1\n")
    result = run("-c", file, "explain", "gpt-4.1")
    assert result.code == 1 and "nonsense" in result.err, result


def test_limits(r):
    r.make()
    rows = {row["name"]: row for row in r.json("limits")["limits"]}
    equal(sorted(rows), ["client/trading/usd", "endpoint/us-east/rpm"], "limits")
    rpm, usd = rows["endpoint/us-east/rpm"], rows["client/trading/usd"]
    equal((rpm["period"], rpm["unit"], rpm["limit"], rpm["used"], rpm["left"]), ("minute", "requests", 10, 10, 0),
          "rpm")
    assert 350000 < rpm["next_ms"] <= 360000 and 3590000 < rpm["resets_ms"] <= 3600000, rpm
    equal((usd["period"], usd["unit"], usd["limit"], usd["used"], usd["left"], usd["next_ms"], usd["per_minute"]),
          ("day", "usd", None, 1.25, None, 0, None), "usd")
    assert 0 < usd["resets_ms"] <= 86400000, usd
    text = r.good("limits").out
    assert re.search(r"^endpoint/us-east/rpm +requests +minute +10 +10 +0 +[56]m\d\ds +\S+$", text, re.M), text
    assert re.search(r"^client/trading/usd +usd +day +none +\$1\.25 +- +now +\d\S+$", text, re.M), text

    equal(r.json("limits", "reset", "us-east")["changed"], [{"name": "endpoint/us-east/rpm", "from": 10, "to": 0}],
          "changed")
    event = r.json("events", "-n", "1")["events"][0]
    equal((event["kind"], event["limit"], event["by"]), ("limit_reset", "endpoint/us-east/rpm",
                                                         "uid %d" % os.getuid()), "the event")
    equal(r.json("limits")["limits"][1]["used"], 0, "used after the reset")
    equal(r.good("limits", "reset", "client/trading").out, "client/trading/usd: $1.25 used -> $0.00\n", "by its owner")
    equal(len(r.json("limits", "reset", "--all")["changed"]), 2, "all")
    bad(r("limits", "reset", "us-eats"), 4, "did you mean endpoint/us-east/rpm?")
    bad(r("limits", "reset", "zzzzzzzzzzzz"), 4, "see gatewayctl limits")
    for words in (["smash"], ["reset"], ["--all"], ["reset", "a", "b"], ["reset", "a", "--all"]):
        bad(r("limits", *words), 2, "gatewayctl help limits")


# The outage check.

class Provider:
    """An upstream that answers what its path says: /STATUS or /STATUS/TEXT."""

    def __init__(self):
        provider = self
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                provider.seen.append((self.path, dict(self.headers), body))
                kind = self.path.split("/")[1]
                status, answer = provider.answer(kind, self.headers.get("authorization", ""), body)
                if answer is None:
                    time.sleep(2)
                    return
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "20")
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def answer(kind, credential, body):
        said = {"role": "assistant", "content": "Hello.\nAnd \x1b[31mmore."}
        if kind == "silent":
            return 200, None
        if kind == "newer" and "max_tokens" in body:
            return 400, {"error": {"message": "Use 'max_completion_tokens' instead of 'max_tokens'."}}
        if kind == "empty":
            return 200, {"choices": []}
        if kind == "claude":
            return 200, {"type": "message", "stop_reason": "end_turn", "content": [{"type": "text",
                                                                                    "text": "Bonjour."}]}
        if kind.isdigit():
            return int(kind), {"error": {"message": "Not with %s!" % credential}}
        return 200, {"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def try_config(r, provider, names, models="models: {m1: {}}\n"):
    rows = "".join("  - {name: %s, url: \"http://127.0.0.1:%d/%s\", key: \"env:GATEWAYCTL_TEST_KEY\", "
                   "timeouts: {response: 300ms}%s}\n" % (
                       name, provider.port, name.strip("x"),
                       ", dialects: [anthropic], auth: x-api-key" if name == "claude" else "") for name in names)
    return write_config(r, "endpoints:\n" + rows + models)


SECRET = "sk-very-secret-0123456789"


def tried(file, *words):
    result = run("-c", file, "--json", "try", *words, env={"GATEWAYCTL_TEST_KEY": SECRET})
    assert SECRET not in result.out + result.err, "the key is shown: %r" % result
    equal(result.err, "", "stderr")
    note_names(result.json)
    return result.code, {row["endpoint"]: row for row in result.json["tries"]}


def test_try(r):
    provider = Provider()
    try:
        file = try_config(r, provider, ["good", "x401", "x429", "silent", "empty", "newer", "claude"])
        code, rows = tried(file, "Hi \"there\"")
        equal(code, 1, "exit status")
        equal({name: row["outcome"] for name, row in rows.items()},
              {"good": "ok", "x401": "auth", "x429": "rate", "silent": "silence", "empty": "invalid", "newer": "ok",
               "claude": "ok"}, "outcomes")
        equal((rows["good"]["answer"], rows["good"]["error"], rows["good"]["status"]), ("Hello.", None, 200), "good")
        assert 0 < rows["good"]["first_byte_ms"] <= rows["good"]["total_ms"] < 300, rows["good"]
        equal(rows["claude"]["answer"], "Bonjour.", "the other dialect")
        equal(rows["x401"]["error"], "the credential was refused: Not with Bearer %s!" % ("*" * len(SECRET)), "refused")
        assert rows["x429"]["error"].startswith("rate limited, asks to wait 20.0s: "), rows["x429"]
        equal((rows["silent"]["status"], rows["silent"]["error"]), (None, "silent: no whole answer within 0.3s"),
              "silent")
        path, headers, body = next(seen for seen in provider.seen if seen[0].startswith("/good"))
        equal((path, body), ("/good/chat/completions", {"model": "m1", "max_tokens": 16, "stream": False, "messages": [
            {"role": "user", "content": "Hi \"there\""}]}), "what was asked")
        equal(headers["Authorization"], "Bearer " + SECRET, "its key")
        path, headers, body = next(seen for seen in provider.seen if seen[0].startswith("/claude"))
        equal((path, headers["x-api-key"], "anthropic-version" in headers), ("/claude/messages", SECRET, True),
              "claude")

        result = run("-c", file, "try", "--endpoint", "good", env={"GATEWAYCTL_TEST_KEY": SECRET})
        lines = result.out.splitlines()
        equal((result.code, len(lines), lines[0].split()), (0, 3, ["ENDPOINT", "MODEL", "OUTCOME", "STATUS", "FIRST",
                                                                   "BYTE", "TOTAL", "ANSWER"]), "text")
        assert re.fullmatch(r"good +m1 +ok +200 +\d+ms +\d+ms  Hello\.", lines[1]), lines
        equal(lines[2], "all 1 answered", "the last line")
    finally:
        provider.close()


def test_try_without_an_answer(r):
    file = write_config(r, """endpoints:
  - {name: nobody, url: "http://127.0.0.1:1/v1", key: none}
  - {name: keyless, url: "http://127.0.0.1:1/v1", key: "env:GATEWAYCTL_NO_SUCH_KEY"}
  - {name: theirs, url: "http://127.0.0.1:1/v1", key: passthrough}
models: {m1: {endpoints: [nobody, keyless]}, m2: {endpoints: [{name: theirs, as: m2-x}]}}
aliases: {short: m1}
""")
    code, rows = tried(file)
    equal((code, {name: row["outcome"] for name, row in rows.items()}),
          (1, {"nobody": "transport", "keyless": "key", "theirs": "skipped"}), "outcomes")
    assert rows["nobody"]["error"].startswith("no connection: "), rows["nobody"]
    assert rows["keyless"]["error"].endswith(
        "GATEWAYCTL_NO_SUCH_KEY, which is not set in the environment of gatewayctl; the gateway has its own"), rows
    equal((rows["theirs"]["model"], rows["theirs"]["total_ms"]), ("m2-x", None), "one whose key is not ours")
    equal(list(tried(file, "-m", "short")[1]), ["nobody", "keyless"], "those that serve the model")
    equal(tried(file, "-m", "m2")[0], 1, "nobody was asked")
    assert run("-c", file, "try", "-m", "m2").out.endswith("nobody was asked\n")
    bad(run("-c", file, "try", "-m", "shirt"), 4, "did you mean short?")
    bad(run("-c", file, "try", "--endpoint", "nobidy"), 4, "did you mean nobody?")
    bad(run("-c", file + ".none", "try"), 1, file + ".none")
    bad(run("-c", file, "try", "a", "b"), 2, "gatewayctl help try")
    file = write_config(r, "endpoints: [{name: a, url: \"http://127.0.0.1:1/v1\", key: none}]\n")
    bad(run("-c", file, "try"), 2, "-m MODEL")
    equal(tried(file, "-m", "anything")[1]["a"]["model"], "anything", "a model that nobody configured")


# Completion.

def completed(r, *words, file=None):
    result = run("__complete", "--state", r.path, *(["-c", file] if file else []), *words)
    equal((result.code, result.err), (0, ""), "exit status")
    return [line.split("\t")[0] for line in result.out.splitlines()]


def test_completion_knows_every_command(r):
    r.make()
    table = run("help", "--json").json["commands"]
    equal(completed(r, ""), [row["name"] for row in table], "commands")
    equal(completed(r, "help", ""), [row["name"] for row in table], "help COMMAND")
    for row in table:
        for form in row["synopsis"].strip("[]").split(" | "):
            verb = re.match(r"[a-z]+", form)
            before = [row["name"]]
            if verb:
                assert verb.group(0) in completed(r, row["name"], ""), "%s %s" % (row["name"], verb.group(0))
                before.append(verb.group(0))
            for option in re.findall(r"(?<![\w-])-(?:-[a-z-]+|[a-z])", form):
                assert option in completed(r, *before, "-"), "%s: %s" % (" ".join(before), option)


def test_completion_knows_the_names(r):
    r.make()
    file = write_config(r)
    endpoints = ["us-east", "eu-west", "sgp", "relay", "spare"]
    for words in (["breaker", "reset"], ["breaker", "show"], ["drain"], ["enable"], ["try", "--endpoint"],
                  ["explain", "x", "--endpoint"], ["breaker", "open"]):
        equal(completed(r, *words, ""), endpoints, " ".join(words))
    equal(completed(r, "drain", "s"), ["sgp", "spare"], "those that begin so")
    equal(completed(r, "breaker", "reset", "us-east"), ["us-east", "us-east/gpt-4.1", "us-east/deepseek/v3"], "models")
    equal(completed(r, "cooldown", "clear", "e"), ["eu-west", "example"], "accounts too")
    equal(completed(r, "limits", "reset", "end"), ["endpoint/us-east/rpm"], "limits")
    equal(completed(r, "explain", "", file=file), ["gpt-4.1", "gpt-4o", "latest"], "models and aliases")
    equal(completed(r, "try", "-m", "l", file=file), ["latest"], "of an option")
    equal(completed(r, "explain", "--dialect", ""), ["openai", "anthropic"], "choices")
    for words in (["--state=" + r.path, "drain", "s"], ["-c" + file, "drain", "s"], ["--config=" + file, "drain", "s"]):
        equal(run("__complete", *words).out.split("\n"), ["sgp\tendpoint", "spare\tendpoint", ""], words[0])
    equal(completed(r, "check", ""), [":files"], "files")
    equal(completed(r, "--state", ""), [":files"], "of a global option")
    for words in (["drain", "sgp", ""], ["nonsense", ""], ["breaker", "open", "sgp", "--for", ""], ["workers", ""]):
        equal(completed(r, *words), [], " ".join(words))
    os.unlink(r.path)
    equal(completed(r, "drain", ""), [], "without a region")
    equal(completed(r, "explain", "", file=file + ".none"), [], "without a configuration")


# What is told to each shell before it is typed at: to complete, and at Ctrl-X to write the line down and empty it.
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], """
        source /usr/share/bash-completion/bash_completion; source %(folder)s/gatewayctl.bash
        note() { printf '%%s\\n' "$READLINE_LINE" >> lines; READLINE_LINE=; READLINE_POINT=0; }
        bind -x '"\\C-x": note'; touch ready"""),
    "zsh": (["zsh", "-f", "-i"], """
        fpath=(%(folder)s $fpath); autoload -Uz compinit; compinit -u -D
        note() { print -r -- "$BUFFER" >> lines; BUFFER=; }
        KEYTIMEOUT=1; zle -N note; bindkey '^X' note; touch ready"""),
    "fish": (["fish", "--no-config", "-i"], """
        source %(folder)s/gatewayctl.fish
        function note; commandline >> lines; commandline ""; end
        bind \\cx note; touch ready"""),
}


def typed_at(shell, r, lines):
    """What the lines have become in a shell on a terminal, when Tab was pressed at their ends."""
    command, script = SHELLS[shell]
    assert shutil.which(shell), "%s is missing: tools/packages test" % shell
    with open(os.path.join(r.folder, "setup"), "w") as file:
        file.write(script % {"folder": os.path.join(ROOT, "tools", "completions")})
    noted, ready = pathlib.Path(r.folder, "lines"), pathlib.Path(r.folder, "ready")
    for path in (noted, ready):
        path.unlink(missing_ok=True)
    env = dict(ENVIRONMENT, GATEWAYD_STATE=r.path, TERM="xterm", HOME=r.folder, LC_ALL="C.UTF-8",
               PATH=os.path.dirname(GATEWAYCTL) + ":" + ENVIRONMENT["PATH"])
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(r.folder)
        os.execvpe(command[0], command, env)
    screen = []

    def read():
        while select.select([terminal], [], [], 0)[0]:
            try:
                screen.append(os.read(terminal, 65536))
            except OSError:  # it has ended
                break

    def wait(true, what):
        def look():
            read()
            return true()
        try:
            wait_until(look, 20, what)
        except AssertionError as error:
            raise AssertionError("%s; on its screen: %r" % (error, b"".join(screen))) from None

    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        os.write(terminal, b"source ./setup\r")
        wait(ready.exists, "%s is set up" % shell)
        for i, line in enumerate(lines):
            os.write(terminal, line.encode() + b"\t\x18")
            wait(lambda: noted.exists() and noted.read_text().count("\n") > i, "%s completes %r" % (shell, line))
        return noted.read_text().splitlines()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_completion_in_the_shells(r):
    r.make()
    write_config(r)
    cases = (("gatewayctl brea", "gatewayctl breaker "), ("gatewayctl breaker res", "gatewayctl breaker reset "),
             ("gatewayctl breaker reset sp", "gatewayctl breaker reset spare "),
             ("gatewayctl cooldown clear relay/", "gatewayctl cooldown clear relay/\\* "),
             ("gatewayctl breaker show us-east/deep", "gatewayctl breaker show us-east/deepseek/v3 "),
             ("gatewayctl limits reset endpoint/", "gatewayctl limits reset endpoint/us-east/rpm "),
             ("gatewayctl -c gw.yaml explain lat", "gatewayctl -c gw.yaml explain latest "),
             ("gatewayctl status --ch", "gatewayctl status --check "),
             ("gatewayctl check gw.", "gatewayctl check gw.yaml "), ("gatewayctl drain no", "gatewayctl drain no"))
    for shell in SHELLS:
        equal(typed_at(shell, r, [line for line, _ in cases]), [line for _, line in cases], shell)


def test_completion_of_words_as_they_are_typed(r):
    """In quotes, with backslashes, below a home directory."""
    r.make()
    write_config(r)
    pathlib.Path(r.folder, "my gw.yaml").touch()
    cases = (("gatewayctl drain 'us-e", "gatewayctl drain 'us-east' "),
             ('gatewayctl breaker show "us-east/gpt', 'gatewayctl breaker show "us-east/gpt-4.1" '),
             ("gatewayctl cooldown clear relay/\\", "gatewayctl cooldown clear relay/\\* "),
             ("gatewayctl -c 'gw.yaml' explain lat", "gatewayctl -c 'gw.yaml' explain latest "),
             ("gatewayctl -c ~/gw.yaml explain lat", "gatewayctl -c ~/gw.yaml explain latest "),
             ("gatewayctl check my", "gatewayctl check my\\ gw.yaml "),
             ("gatewayctl check my\\ g", "gatewayctl check my\\ gw.yaml "),
             ("gatewayctl check ~/gw.", "gatewayctl check ~/gw.yaml "))
    for shell in SHELLS:
        equal(typed_at(shell, r, [line for line, _ in cases]), [line for _, line in cases], shell)


def test_completion_without_bash_completion(r):
    r.make()
    script = """
        source %s/tools/completions/gatewayctl.bash
        ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _gatewayctl; echo "${COMPREPLY[*]}"; }
        ask "$G" brea; ask "$G" breaker reset s; ask "$G" cooldown clear relay/
        complete -p gatewayctl""" % ROOT
    done = subprocess.run(["bash", "--norc", "-c", script], env=dict(ENVIRONMENT, G=GATEWAYCTL, GATEWAYD_STATE=r.path),
                          cwd=r.folder, capture_output=True, text=True, check=True)
    equal(done.stdout.splitlines(), ["breaker", "sgp spare", "relay/\\*",
                                     "complete -F _gatewayctl gatewayctl"], "bash: %s" % done.stderr)


# Events.

def test_events(r):
    r.make()
    rows = r.json("events")["events"]
    for row in rows:
        assert {"time", "kind", "endpoint", "model", "from", "to", "by", "detail"} <= set(row), row
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["time"]), row["time"]
    equal([row["time"] for row in rows], sorted(row["time"] for row in rows), "order")
    kinds = [row["kind"] for row in rows]
    equal((kinds[0], rows[0]["to"], kinds.count("breaker"), kinds.count("order")),
          ("master_start", "generation 1", 5, 1), "kinds")
    trip = [row for row in rows if row["kind"] == "breaker"][-1]
    equal((trip["endpoint"], trip["model"], trip["from"], trip["to"], trip["detail"], trip["by"]),
          ("eu-west", None, "closed", "open", "closed (4 failures) -> open 10m00s", "worker 0"), "the trip")
    spent = next(row for row in rows if row.get("account"))
    equal((spent["account"], spent["endpoint"], spent["to"]), ("example", None, "exhausted"), "the account")
    made = time.time() - time.mktime(time.strptime(rows[0]["time"][:19], "%Y-%m-%dT%H:%M:%S")) + time.timezone
    assert -5 < made < 60, "time is %.0f s off" % made
    equal(r.json("events", "-n", "2")["events"], rows[-2:], "the last two")
    equal(r.json("events", "-n0")["events"], [], "none")
    text = r.good("events", "-n", "3").out.splitlines()
    equal((len(text), text[0].split()), (4, ["TIME", "KIND", "NAME", "BY", "CHANGE"]), "text")
    equal(r.good("events", "-n", "0").out, "no events\n", "no events")
    for wrong in ("x", "-1", "99999999"):
        bad(r("events", "-n", wrong), 2, "-n")


class Follower:
    def __init__(self, region, *args):
        self.process = subprocess.Popen([GATEWAYCTL, "--state", region.path, "events", "--follow"] + list(args),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)

    def line(self):
        return self.process.stdout.readline()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(5)
        result = Result(self.process.returncode, self.process.stdout.read(), self.process.stderr.read())
        self.process.stdout.close()
        self.process.stderr.close()
        return result


def test_events_follow(r):
    r.make()
    follower = Follower(r, "-n", "1", "--json")
    equal(json.loads(follower.line())["to"], "exhausted", "the last one before")
    r.good("drain", "sgp")
    news = json.loads(follower.line())
    equal((news["kind"], news["endpoint"], news["to"]), ("order", "sgp", "drained"), "news")
    # A daemon that starts afresh puts another file in its place.
    r.make()
    first = json.loads(follower.line())
    equal((first["kind"], first["to"]), ("master_start", "generation 1"), "the first event of the new file")
    while json.loads(follower.line())["to"] != "exhausted":
        pass
    r.good("enable", "spare")
    while json.loads(follower.line())["kind"] != "order":
        pass
    ended = follower.interrupt()
    equal((ended.code, ended.err), (0, ""), "Ctrl-C")

    follower = Follower(r, "-n", "0")
    assert follower.line().startswith("TIME"), "a head"
    r.good("drain", "sgp")
    assert "enabled -> drained" in follower.line()
    equal(follower.interrupt().code, 0, "Ctrl-C")


def test_follow_ends_with_its_reader(r):
    r.make()
    follower = Follower(r, "-n", "1")
    follower.line()
    follower.process.stdout.close()
    equal(follower.process.wait(5), 0, "exit status")
    equal(follower.process.stderr.read(), "", "stderr")
    follower.process.stderr.close()
    # Who has left before it began is no news either; a full disk is, with its name.
    ours, theirs = os.pipe()
    os.close(ours)
    result = r("events", "--follow", stdout=theirs, timeout=5)
    os.close(theirs)
    equal((result.code, result.err), (1, ""), "nobody reads")
    with open("/dev/full", "w") as full:
        bad(r("events", "--follow", stdout=full, timeout=5), 1, "No space left")


# The daemon.

def test_reload(r):
    r.live()
    equal(r.good("reload").out, "reloaded: generation 2\n", "reload")
    equal(r.json("reload"), {"reloaded": True, "generation": 3, "problems": []}, "reload --json")
    equal(len(r.json("status")["endpoints"]), 5, "names of the new generation")
    equal(r.endpoint("eu-west")["state"], "open", "state survives a reload")

    pathlib.Path(r.path + ".bad").touch()
    result = r("reload")
    lines = result.err.splitlines()
    equal((result.code, result.out), (1, ""), "a bad configuration")
    equal(lines[:2], ["gw.yaml:3:5: unknown key 'endpoint'", "gw.yaml:9:1: bad ?[31mcolor"], "the report, harmless")
    assert "nothing has changed" in lines[2], lines
    result = r("reload", "--json")
    equal(result.code, 1, "exit status")
    equal((result.json["reloaded"], result.json["generation"], len(result.json["problems"])), (False, 3, 2), "JSON")

    os.unlink(r.path + ".bad")
    pathlib.Path(r.path + ".mute").touch()
    began = time.monotonic()
    bad(r("reload", "--timeout", "300ms"), 1, "0.3s")
    assert 0.3 <= time.monotonic() - began < 5
    unheard = r("reload", "--json", "--timeout", "300ms")
    equal((unheard.code, unheard.json["reloaded"]), (1, None), "nobody says how it went")
    assert "0.3s" in unheard.json["problems"][0], unheard.json
    process = subprocess.Popen([GATEWAYCTL, "--state", r.path, "reload"], stderr=subprocess.PIPE, text=True)
    time.sleep(0.3)
    r.master.kill()
    r.master.wait()
    equal(process.wait(10), 1, "exit status when the master dies")
    assert "ended" in process.stderr.read()
    process.stderr.close()


def test_stop(r):
    r.live()
    os.kill(r.master.pid, signal.SIGSTOP)
    bad(r("stop", "--timeout=200ms"), 1, str(r.master.pid), "--timeout")
    late = r("stop", "--json", "--timeout=200ms")
    equal((late.code, late.json), (1, {"stopped": False, "pid": r.master.pid}), "still ending")
    os.kill(r.master.pid, signal.SIGCONT)
    r.master.wait(10)
    r.master.stdout.close()
    r.live()
    equal(r.good("stop").out, "stopped\n", "stop")
    equal(r.master.wait(10), 0, "the master's exit status")
    r.master.stdout.close()
    r.live()
    pid = r.master.pid
    equal(r.json("stop"), {"stopped": True, "pid": pid}, "stop --json")
    bad(r("stop"), 1, "not running")
    bad(r("reload"), 1, "not running")


def test_not_ours_to_signal(r):
    if os.geteuid() != 0:
        return
    os.chmod(r.folder, 0o755)
    r.live()
    bad(r("reload", uid=STRANGER), 3, "not permitted", "run as root")
    os.chmod(r.path + ".lock", 0o644)
    os.chmod(r.path, 0o664)
    bad(r("reload", uid=STRANGER), 3, str(r.master.pid), "run as root")
    bad(r("stop", uid=STRANGER), 3, str(r.master.pid), "run as root")
    # Whoever may only look is not told that nothing runs.
    os.chmod(r.path + ".lock", 0o600)
    result = r("status", "--json", uid=STRANGER)
    equal(result.json["summary"]["master"], r.master.pid, "the master, seen by its slot")


GOOD = "endpoints:\n  - {name: a, url: \"http://127.0.0.1:1/v1\", key: \"env:GATEWAYCTL_TEST_KEY\"}\n"


def test_check(r):
    file = os.path.join(r.folder, "gw.yaml")

    def check(text, *args, **env):
        with open(file, "w") as out:
            out.write(text)
        return run("check", file, *args, env=env)
    secret = "sk-very-secret-0123456789"
    result = check(GOOD, GATEWAYCTL_TEST_KEY=secret)
    equal((result.code, result.out, result.err), (0, file + ": good\n", ""), "a good file")
    equal(check(GOOD, "--json", GATEWAYCTL_TEST_KEY=secret).json, {"file": file, "good": True, "problems": []}, "JSON")

    result = check(GOOD + "nonsense: 1\nretry: {attempts: x}\n", GATEWAYCTL_TEST_KEY=secret)
    equal((result.code, result.out), (1, ""), "a bad file")
    assert re.match(re.escape(file) + r":3:1: .*nonsense", result.err), result.err
    assert re.search(re.escape(file) + r":4:\d+: ", result.err), "both problems in one go: " + result.err
    result = check(GOOD + "nonsense: 1\n", "--json", GATEWAYCTL_TEST_KEY=secret)
    equal((result.code, result.json["good"]), (1, False), "JSON")
    equal([(p["line"], p["column"]) for p in result.json["problems"]], [(3, 1)], "places")

    for value in (None, "", "Bearer " + secret, secret[:9] + " " + secret[9:]):
        result = check(GOOD, **({} if value is None else {"GATEWAYCTL_TEST_KEY": value}))
        equal(result.code, 1, "exit status for the key %r" % value)
        assert re.match(re.escape(file) + r":2:\d+: ", result.err), result.err
        assert secret[9:] not in result.err and secret[:9] not in result.err, "the key is shown: " + result.err

    result = run("check", file + ".none")
    equal(result.code, 1, "no such file")
    assert file + ".none" in result.err, result.err
    piped = subprocess.run([GATEWAYCTL, "check", "-"], input=GOOD, text=True, capture_output=True,
                           env=dict(ENVIRONMENT, GATEWAYCTL_TEST_KEY=secret))
    equal(piped.returncode, 0, "from stdin: %s" % piped.stderr)
    bad(run("check"), 2, "FILE")
    bad(run("check", "a", "b"), 2, "\"b\"")


# The region as a whole.

def test_region_check(r):
    r.make()
    shown = r.json("region", "check")
    equal(set(shown), {"region", "sections", "problems"}, "names")
    equal(shown["problems"], [], "problems")
    region = shown["region"]
    equal((region["path"], region["bytes"], region["slots"], region["guests"], region["domains"]),
          (r.path, os.path.getsize(r.path), 16, 4, 32), "region")
    assert re.fullmatch("[0-9a-f]{16}", region["layout"]), region
    sections = {row["name"]: row for row in shown["sections"]}
    assert {"header", "slots", "domains", "gauges", "names", "rings", "quotas", "histograms"} <= set(sections), sections
    end = 0
    for row in shown["sections"]:
        equal(set(row), {"name", "offset", "bytes", "count", "each"}, "names of a section")
        assert row["offset"] == (end + 4095) // 4096 * 4096 and row["bytes"] == row["count"] * row["each"], row
        end = row["offset"] + row["bytes"]
    assert end <= region["bytes"] < end + 4096, "the last section ends at %d of %d" % (end, region["bytes"])
    equal((sections["domains"]["count"], sections["slots"]["count"]), (32, 16), "counts")
    text = r.good("region", "check").out.splitlines()
    equal(text[0], "%s: %d bytes, layout %s" % (r.path, region["bytes"], region["layout"]), "the first line")
    equal(text[1].split(), ["SECTION", "OFFSET", "BYTES", "COUNT", "EACH"], "heads")
    equal((len(text), text[-1]), (len(sections) + 3, "nothing is wrong"), "lines")


def scribble(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def test_region_check_finds_what_is_wrong(r):
    r.make()
    shown = r.json("region", "check")
    at = {row["name"]: row["offset"] for row in shown["sections"]}
    each = {row["name"]: row["each"] for row in shown["sections"]}
    # A breaker that is open for no reason, a day before the one corrected, a byte of a slot that nobody uses.
    scribble(r.path, at["domains"], (1 << 62 | 1 << 48).to_bytes(8, "little"))
    scribble(r.path, at["quotas"], bytes(8))
    scribble(r.path, at["slots"] + each["slots"] - 1, b"x")
    result = r("--json", "region", "check")
    equal((result.code, result.err), (1, ""), "exit status")
    problems = {row["section"]: row for row in result.json["problems"]}
    equal(set(problems), {"domains", "quotas", "slots"}, "sections with problems")
    for row in problems.values():
        equal(set(row), {"section", "offset", "bytes", "name", "message"}, "names of a problem")
    equal((problems["domains"]["name"], problems["domains"]["offset"]), ("us-east", at["domains"]), "whose")
    assert "no known reason" in problems["domains"]["message"], problems
    equal((problems["quotas"]["name"], problems["slots"]["name"]), ("client/trading/usd", None), "whose")
    text = r("region", "check")
    equal((text.code, text.err), (1, ""), "exit status")
    assert re.search(r"^domains, byte \d+: row 0: open for no known reason \(0\) \(us-east\)$", text.out, re.M), text
    assert re.search(r"^3 problems; .*: export the state, remove the file, start again$", text.out, re.M), text
    # The operator's way out of the first of them.
    r.good("breaker", "reset", "us-east")
    equal(len(r("--json", "region", "check").json["problems"]), 2, "problems after a reset")


def test_region_check_of_rubbish(r):
    """Whatever stands behind the header: every problem in a clean line, and no crash."""
    r.make()
    with open(r.path, "rb") as file:
        good = file.read()
    for fill in (b"\xff", b"\x1b", b"\x80\x01"):
        data = bytearray(good)
        data[4096:] = fill * ((len(good) - 4096) // len(fill))
        scribble(r.path, 0, data)
        result = r("region", "check")
        equal((result.code, result.err), (1, ""), "exit status with %r" % fill)
        assert "\033" not in result.out, "it steers the terminal"
        assert len(r("--json", "region", "check").json["problems"]) > 100
        assert r("region", "export").code == 0
    scribble(r.path, 0, good)
    r.good("region", "check")


def test_region_check_beside_a_living_gateway(r):
    r.live()
    for _ in range(5):
        equal(r.json("region", "check")["problems"], [], "problems")


def test_region_check_says_why_it_is_refused(r):
    r.make()
    with open(r.path, "rb") as file:
        good = file.read()
    cases = ((0, b"\x7fELF", "magic"), (8, b"\2", "abi 2, here 1"), (16, b"\0" * 8, "layout 0000000000000000"),
             (40, b"\xff\xff\xff\xff", "domains 4294967295"), (24, b"\1", "the header says"), (256, b"\0", "not ready"))
    for offset, data, word in cases:
        scribble(r.path, 0, good)
        scribble(r.path, offset, data)
        bad(r("region", "check"), 3, r.path, word)
        bad(r("--json", "region", "check"), 3, r.path, word)
    scribble(r.path, 0, good)
    os.truncate(r.path, len(good) - 4096)
    bad(r("region", "check"), 3, "damaged", str(len(good) - 4096), str(len(good)))


def test_region_export_and_import(r):
    r.make("rated")
    text = r.good("region", "export").out
    lines = text.splitlines()
    before = [row["state"] for row in r.json("status")["endpoints"]]
    equal(lines[0], "gwshm 1", "what it is")
    for begin in ("breaker eu-west id=", "breaker sgp/gpt-4o id=", "cooldown relay/* id=", "order spare id=",
                  "stat us-east id=", "quota client/trading/usd id="):
        equal(sum(line.startswith(begin) for line in lines), 1, "lines that begin with %s in %s" % (begin, text))
    shown = r.json("region", "export")
    equal((shown["file"], shown["facts"], shown["text"].splitlines()[0]), (None, len(lines) - 2, lines[0]), "JSON")
    file = os.path.join(r.folder, "export")
    equal(r.good("region", "export", file).out, "%s: %d facts\n" % (file, len(lines) - 2), "to a file")
    equal(r.json("region", "export", file), {"file": file, "facts": len(lines) - 2, "text": None}, "and again")
    equal(sorted(os.listdir(r.folder)), ["export", "state"], "files")

    r.good("breaker", "reset", "--all")
    r.good("cooldown", "clear", "--all")
    r.good("enable", "spare")
    equal([row["state"] for row in r.json("status")["endpoints"]], ["healthy"] * 5, "states before")
    shown = r.json("region", "import", file)
    equal((shown["file"], shown["taken"], shown["ignored"]), (file, len(lines) - 2, 0), "import")
    equal([row["state"] for row in r.json("status")["endpoints"]], before, "states")
    r.make()
    with open(file) as text:
        done = subprocess.run([GATEWAYCTL, "--state", r.path, "region", "import", "-"], stdin=text, text=True,
                              capture_output=True, env=ENVIRONMENT)
    equal((done.returncode, done.stdout), (0, "standard input: %d taken, 0 passed over\n" % (len(lines) - 2)), done)
    equal(r.breaker("sgp/gpt-4o")["trip"], "rate", "what the new region did not have")
    equal(r.json("region", "check")["problems"], [], "problems")


def test_region_export_and_import_refused(r):
    r.make()
    file = os.path.join(r.folder, "export")
    for name in (r.path, os.path.join(r.folder, ".", "state")):
        bad(r("region", "export", name), 2, "the region itself")
    bad(r("region", "export", os.path.join(r.folder, "none", "export")), 1, "No such file")
    bad(r("region", "export", "/dev/full"), 1, "No space left")
    bad(r("region", "export", r.folder), 1, r.folder)
    link = os.path.join(r.folder, "link")
    with open(os.path.join(r.folder, "target"), "w") as out:
        out.write("x" * 100000)
    os.symlink("target", link)
    r.good("region", "export", link)
    assert os.path.islink(link) and os.path.getsize(link) < 10000, "a link is followed"
    os.unlink(link)
    os.symlink("state", link)
    bad(r("region", "export", link), 2, "the region itself")
    r.good("region", "export", "/dev/null")
    assert not os.path.isfile("/dev/null"), "a device was replaced"
    r.good("region", "export", file)
    bad(r("region", "import", file + ".none"), 1, file + ".none")
    bad(r("region", "import", r.folder), 1, r.folder)
    bad(r("region", "import", r.path), 1, "no export", "nothing was changed")
    equal(r("region", "import", "/dev/null").code, 1, "nothing at all")
    with open(file) as text:
        lines = text.read().splitlines()
    with open(file, "w") as text:
        text.write("\n".join(lines + ["breaker nobody id=%032x mode=open level=1 aux=1 left=1000" % 7, "\x1b x"]))
    equal(r.json("region", "import", file)["ignored"], 2, "rows that are not here")
    bad(r("--state", r.path + ".none", "region", "export"), 3, r.path + ".none")
    bad(r("--state", r.path + ".none", "region", "import", file), 3, r.path + ".none")

    # With a daemon: to look, yes; to set again what its processes decide by, no.
    r.live()
    r.good("region", "export", file)
    bad(r("region", "export", r.path + ".lock"), 2, "the region itself")
    bad(r("region", "import", file), 1, "running", "stop it first")
    r.good("stop")
    r.good("region", "import", file)
    bad(r("stop"), 1, "not running")


# Finding the region, and names.

def test_where_the_region_is(r):
    r.make()
    file = os.path.join(r.folder, "gw.yaml")
    with open(file, "w") as out:
        out.write("state: %s\nendpoints: [{name: a, url: \"http://127.0.0.1:1/v1\", key: none}]\n" % r.path)
    nowhere = os.path.join(r.folder, "nowhere")
    equal(run("status", "-c", file).code, 0, "-c CONFIG")
    equal(run("-c" + file, "status", env={"GATEWAYD_STATE": ""}).code, 0, "an empty variable does not count")
    equal(run("status", env={"GATEWAYD_STATE": r.path}).code, 0, "$GATEWAYD_STATE")
    bad(run("status", "-c", file, env={"GATEWAYD_STATE": nowhere}), 3, nowhere)
    equal(run("status", "--state=" + r.path, env={"GATEWAYD_STATE": nowhere}).code, 0, "--state is asked first")
    equal(run("--state", r.path, "--json", "status").code, 0, "global options before")
    equal(run("status", "--json", "--state", r.path).code, 0, "and after the command")
    with open(file, "a") as out:
        out.write("nonsense: 1\n")
    result = run("status", "-c", file)
    equal(result.code, 3, "a bad configuration")
    assert file + ":3:1: " in result.err and "--state" in result.err.splitlines()[-1], result.err
    if os.geteuid() != 0:
        return
    own = os.path.join(r.folder, "run", "gatewayd")
    os.makedirs(own)
    shutil.copy(r.path, os.path.join(own, "state"))
    for path in (r.folder, os.path.dirname(own), own, os.path.join(own, "state")):
        os.chown(path, STRANGER, STRANGER)
    equal(run("status", env={"XDG_RUNTIME_DIR": os.path.dirname(own)}, uid=STRANGER).code, 0, "the default of a user")


def test_no_region(r):
    for command in (["status"], ["breaker", "list"], ["breaker", "reset", "--all"], ["cooldown", "list"],
                    ["drain", "x"], ["enable", "x"], ["workers"], ["events"], ["events", "--follow"],
                    ["limits"], ["limits", "reset", "--all"], ["region", "check"], ["region", "export"],
                    ["region", "import", "/dev/null"]):
        bad(r(*command), 3, r.path, "--state")
    bad(r("reload"), 1, "not running")
    bad(r("stop"), 1, "not running")
    with open(r.path, "w") as out:
        out.write("hello\n" * 10000)
    bad(r("status"), 3, r.path, "not a region")
    os.truncate(r.path, 10)
    bad(r("status"), 3, r.path)
    os.unlink(r.path)
    os.symlink("/etc/passwd", r.path)
    bad(r("status"), 3, r.path)


def test_damage_is_refused(r):
    r.make()
    size = os.path.getsize(r.path)
    os.truncate(r.path, size - 4096)
    bad(r("status"), 3, "damaged")


def test_not_permitted(r):
    r.make()
    os.chmod(r.path, 0o640)
    os.chmod(r.folder, 0o755)
    if os.geteuid() == 0:
        bad(r("status", uid=STRANGER), 3, r.path, "root")
        os.chmod(r.path, 0o644)
        equal(r("status", uid=STRANGER).code, 0, "to look is enough to look")
        bad(r("drain", "us-east", uid=STRANGER), 3, r.path, "root")
        bad(r("breaker", "reset", "--all", uid=STRANGER), 3, r.path, "root")
        equal(r.endpoint("us-east")["state"], "healthy", "state")
        os.chmod(r.folder, 0o700)
        bad(r("status", uid=STRANGER), 3, r.path)
        # In a directory that everyone may write to, a file of some user is not believed.
        os.chmod(r.folder, 0o777)
        os.chown(r.path, 12345, 12345)
        bad(r("status"), 3, "12345")
        os.chmod(r.folder, 0o755)
        equal(r("status").code, 0, "in a directory that only root can write to, it is")
    else:
        os.chmod(r.path, 0o440)
        bad(r("drain", "us-east"), 3, r.path)
        os.chmod(r.path, 0)
        bad(r("status"), 3, r.path)


def test_who_did_it(r):
    if os.geteuid() != 0:
        return
    r.make()
    os.chmod(r.folder, 0o755)
    os.chown(r.path, STRANGER, STRANGER)
    equal(r("drain", "us-east", uid=STRANGER).code, 0, "exit status")
    equal(r.json("events", "-n", "1")["events"][0]["by"], "uid %d" % STRANGER, "by")


def test_names(r):
    r.make()
    for command in (["breaker", "show"], ["breaker", "reset"], ["breaker", "open"], ["cooldown", "clear"], ["drain"],
                    ["enable"]):
        bad(r(*command, "us-eats"), 4, "us-eats", "did you mean us-east")
        bad(r(*command, "zzzzzzzzzzzz"), 4, "us-east, eu-west, sgp")
    bad(r("breaker", "show", "us-east/gpt-4.2"), 4, "us-east/gpt-4.1")
    bad(r("breaker", "show", "example"), 4, "example")
    bad(r("breaker", "show", "gpt-4.1"), 4, "gpt-4.1")
    bad(r("breaker", "show", "US-EAST\nx\033[31m"), 4, "?[31m")
    bad(r("breaker", "show", "x" * 3000), 4)
    equal(len(r.json("breaker", "show", "us-east")["breakers"]), 3, "an endpoint and its models")
    equal(len(r.json("breaker", "show", "us-east/deepseek/v3")["breakers"]), 1, "one model")
    equal(r.endpoint("us-east")["state"], "healthy", "nothing was changed")


# The command line.

def test_usage(r):
    r.make()
    lines = """
        |nonsense|status x|status --nonsense|--nonsense status|status --check=1|status --state|status -- --check
        breaker|breaker smash|breaker list x|breaker reset|breaker reset us-east --all|breaker show --all
        breaker open us-east --for|breaker open us-east --for soon|breaker open us-east --for 0s
        breaker open us-east --for 9999d|breaker close us-east --for 1s
        cooldown|cooldown melt|cooldown clear|cooldown clear x --all|drain|drain a b|enable|workers x
        region|region smash|region check x|region export a b|region import|region import a b|region check --all
        events -n|events x|top x|top --interval|top --interval 1|top --interval 1ms|top --interval 2h|top --json
        reload x|reload --timeout 1|help nonsense|help a b"""
    for words in (words.split() for line in lines.strip().splitlines() for words in line.strip().split("|")):
        bad(r(*words), 2, "gatewayctl help")
    bad(r("stauts"), 2, "did you mean status")
    equal(r.endpoint("us-east")["state"], "healthy", "nothing was changed")


def test_help_and_version(r):
    out = run("help").out
    names = [row["name"] for row in run("help", "--json").json["commands"]]
    for name in ("status", "breaker", "cooldown", "explain", "drain", "enable", "limits", "try", "workers", "events",
                 "region", "check", "reload", "stop", "help"):
        assert name in names and re.search("^  %s" % name, out, re.M), name
        equal(run("help", name).code, 0, "help " + name)
        equal(run(name, "--help").out, run("help", name).out, "%s --help" % name)
    equal(run("--help").out, out, "--help")
    assert re.fullmatch(r"gatewayctl \d+\.\d+\.\d+\n", run("--version").out)
    assert run("--version", "--json").json["version"]


# Every form of every command, as `gatewayctl help` lists them. `top` wants a terminal, and a master that can be
# upgraded is another program: tests/e2e/31_top.py and 32_upgrade.py have those.
FORMS = {
    "status": ["status"], "events": ["events"], "breaker list": ["breaker", "list"],
    "breaker show": ["breaker", "show", "eu-west"],
    "breaker reset": ["breaker", "reset", "us-east"], "breaker open": ["breaker", "open", "sgp", "--for", "10m"],
    "breaker close": ["breaker", "close", "sgp"], "breaker auto": ["breaker", "auto", "sgp"],
    "cooldown list": ["cooldown", "list"], "cooldown clear": ["cooldown", "clear", "relay"],
    "explain": ["explain", "gpt-4.1"], "drain": ["drain", "us-east"], "enable": ["enable", "spare"],
    "limits": ["limits"], "limits reset": ["limits", "reset", "us-east"], "try": ["try", "--endpoint", "good"],
    "workers": ["workers"], "region check": ["region", "check"],
    "region export": ["region", "export"], "region import": ["region", "import", "text"],
    "check": ["check", "gw.yaml"], "reload": ["reload"], "stop": ["stop"], "help": ["help"]}


def names_in(document):
    if isinstance(document, dict):
        return set(document).union(*map(names_in, document.values()))
    return set().union(*map(names_in, document)) if isinstance(document, list) else set()


def test_every_command_in_text_and_in_json(r):
    """Its JSON has the names that its part of the man page has."""
    listed = []
    for row in run("help", "--json").json["commands"]:
        optional = row["synopsis"].startswith("[")
        verbs = set(re.findall(r"(?:^| \| )\[?([a-z]+)", row["synopsis"]))
        listed += [row["name"]] * (optional or not verbs) + ["%s %s" % (row["name"], verb) for verb in verbs]
    equal(sorted(set(listed) - {"top", "upgrade"}), sorted(FORMS), "forms of commands")

    with open(os.path.join(ROOT, "docs", "gatewayctl.1"), encoding="utf-8") as file:
        page = dict.fromkeys(form.split()[0] for form in FORMS)
        text = file.read().replace("\\(dq", '"')
        for title, body in re.findall(r"^\.Ss ([^\n]*)\n(.*?)(?=^\.S[sh] )", text, re.M | re.S):
            page[title.split()[0]] = (page.get(title.split()[0]) or "") + body
    page["drain"] = page["enable"]  # said once for both
    provider = Provider()
    seen = {}
    try:
        for form, words in FORMS.items():
            for json_too in (False, True):
                r.make("rated")
                pathlib.Path(r.folder, "text").write_text(r.good("region", "export").out)
                if form == "try":
                    try_config(r, provider, ["good"])
                else:
                    write_config(r)
                if form in ("reload", "stop"):
                    r.live()
                result = r("-c", "gw.yaml", *words, *(["--json"] if json_too else []), cwd=r.folder,
                           env={"GATEWAYCTL_TEST_KEY": SECRET})
                equal((result.code, result.err), (form == "explain", ""), "%s: %r" % (form, result))
                if json_too:
                    document = result.json
                    if form == "breaker show":  # "as in events"
                        for row in document["breakers"]:
                            assert names_in(row.pop("events")) <= seen["events"], result
                    seen.setdefault(form.split()[0], set()).update(names_in(document))
                else:
                    assert result.out and result.out[0] not in "{[", "text of %s: %r" % (form, result)
                r.end()
    finally:
        provider.close()
    seen["breaker"].add("events")
    for command, names in seen.items():
        told = set(re.findall(r'"(\w+)"', page[command]))
        seldom = set(re.findall(r"\w+", " ".join(re.findall(r"^\.Ql (.*)", page[command], re.M))))
        if command in ("region", "check"):  # of what is wrong, which others show
            told -= {"section", "message", "line", "column"}
        equal((sorted(told - names), sorted(names - told - seldom)), ([], []), "names of %s in the man page alone, and "
              "in JSON alone" % command)


def test_documented_names(r):  # the last but one: it knows what the others saw
    r.make()
    for words in (["status"], ["workers"], ["events"], ["limits"], ["breaker", "show", "us-east"], ["help"],
                  ["cooldown", "list"], ["region", "check"]):
        r.json(*words)
    with open(os.path.join(ROOT, "docs", "gatewayctl.1"), encoding="utf-8") as file:
        text = file.read().replace("\\(dq", '"')
    missing = sorted(name for name in NAMES if not re.search(r'"%s"' % re.escape(name), text)
                     and not re.search(r"^\.(It|Ql) (.* )?%s( ,|$)" % re.escape(name), text, re.M))
    equal(missing, [], "names in JSON that the man page does not have")


def test_output_that_nobody_takes(r):
    r.make()
    with open("/dev/full", "w") as full:
        for words in (["status"], ["status", "--json"], ["events"], ["help"], ["--version"], ["drain", "us-east"]):
            bad(r(*words, stdout=full), 1, "No space left")
    equal(r.endpoint("us-east")["state"], "drained", "what was asked for was done")
    ours, theirs = os.pipe()
    os.close(ours)
    result = r("status", stdout=theirs)
    os.close(theirs)
    equal((result.code, result.err), (1, ""), "a closed pipe")
    closed = subprocess.run(["/bin/sh", "-c", '"$@" >&-', "sh", GATEWAYCTL, "--state", r.path, "enable", "us-east"],
                            stderr=subprocess.PIPE, text=True)
    equal(closed.returncode, 1, "without any stdout")
    assert "cannot write" in closed.stderr, closed.stderr
    equal(r.endpoint("us-east")["state"], "healthy", "the region was not written to as a terminal")


def main():
    global GATEWAYCTL, MAKE_REGION
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    GATEWAYCTL, MAKE_REGION = map(os.path.abspath, sys.argv[1:3])
    tests = {name: test for name, test in globals().items() if name.startswith("test_")}
    passed = failed = 0
    for name, test in tests.items():
        if sys.argv[3:] and name not in sys.argv[3:]:
            continue
        region = Region()
        try:
            test(region)
            passed += 1
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            line = error.__traceback__
            while line.tb_next and line.tb_next.tb_frame.f_code.co_filename == __file__ and (
                    line.tb_next.tb_frame.f_code.co_name not in ("equal", "bad")):
                line = line.tb_next
            print("FAILED %s, line %d: %s: %s" % (name, line.tb_lineno, type(error).__name__, error))
        finally:
            region.close()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
