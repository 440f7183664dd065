"""An outage from its first minute to its last, as the operator lives it; and at each step everything he can look at
says the same.

What he looks at: `gatewayctl status` as a table and as JSON, `explain`, the event log, the metrics, the admin server's
JSON, the dashboard in a real Chromium, the installed alerts in a real Prometheus, and the hook that called him.
"""

import json
import re
import threading

from chromium import Browser
from harness import GATEWAYCTL, Call, endpoint, equal, failed, ok, request, run, wait_until
from prometheus import Prometheus
from upstream import answer

TOKEN = "a-token-for-the-night-0123456789"
EAST, WEST, MODEL = "us-east", "eu-west", "gpt-test"
# About the state of endpoints; those about rates remember ten minutes, which no test waits for.
ALERTS = {"GatewaydNothingCanBeServed", "GatewaydEndpointOpen", "GatewaydEndpointHeld", "GatewaydEndpointExhausted",
          "GatewaydUnreachable", "GatewaydNotScraped"}
SERVES = {"healthy", "degraded", "half_open"}


class Phone:
    """Where the hook calls: keeps what it was told."""

    def __init__(self, t):
        self.calls, self.lock = [], threading.Lock()
        self.url = "http://127.0.0.1:%d/call" % t.upstream(self._ring, tcp=True).where

    def _ring(self, asked, conn):
        with self.lock:
            self.calls.append((asked.json["event"], asked.json["endpoint"]))
        return answer(204, b"")


class Room:
    """The operator's room: a gateway with two endpoints, and everything that shows them."""

    def __init__(self, t, browser):
        self.t, self.sims = t, {name: t.sim(name) for name in (EAST, WEST)}
        self.phone, port, self.answered = Phone(t), t.free_port(), None
        self.admin = ("127.0.0.1", port)
        # Nothing happens by itself: what is open stays so for the night, and no probe brings a trial forward.
        keys = {"breaker": {"failures": 3, "open": "1h", "max_open": "1h"}, "health": "off"}
        self.gw = t.gateway([endpoint(name, self.sims[name], priority=priority, **keys)
                             for priority, name in enumerate((EAST, WEST), 1)],
                            models={MODEL: {"endpoints": [EAST, WEST]}}, wait={"max": "0"}, retry={"base": "5ms"},
                            notify=[{"url": self.phone.url}], env={"ADMIN_TOKEN": TOKEN},
                            admin={"listen": [{"tcp": "127.0.0.1:%d" % port}], "token": "env:ADMIN_TOKEN"})
        url = "http://127.0.0.1:%d/" % port
        self.page = browser.open(url)
        self.page.wait("document.querySelector('#login')?.open", "the page asks for the token")
        self.page.type(TOKEN)
        self.page.press("Enter")
        self.prometheus = Prometheus(t, "127.0.0.1:%d" % port, TOKEN)

    def get(self, path):
        r = Call(self.admin, request("GET", path, [("Host", "localhost"), ("Authorization", "Bearer " + TOKEN)]), 10,
                 "GET").run()
        assert r.status == 200 and r.whole, "GET %s: %s" % (path, r)
        return r

    def explain(self):
        return run([GATEWAYCTL, "-c", self.gw.file, "--json", "explain", MODEL]).json

    def ask(self, name):
        """A request of a client, which `name` answers."""
        self.answered = name
        return ok(self.gw.ask(), name)

    # What each of them says: a word for each endpoint.

    def in_json(self):
        return {row["name"]: row["state"] for row in self.gw.status()["endpoints"]}

    def in_the_table(self):
        lines = self.gw.order("status", json_too=False).out.splitlines()
        return {words[0]: words[1] for words in (line.split() for line in lines) if words[0] in self.sims}

    def on_the_server(self):
        return {row["name"]: row["state"] for row in self.get("/api/status").json["endpoints"]}

    def in_metrics(self):
        found = re.findall(r'^gatewayd_endpoint_state\{endpoint="([^"]+)",state="(\w+)"\} 1$',
                           self.get("/metrics").body.decode(), re.M)
        equal(len(found), len(self.sims), "states that the metrics say are so: %s" % found)
        return dict(found)

    def on_the_page(self):
        rows = self.page.js("[...document.querySelectorAll('#endpoints tr.row')].map((row) => [row.querySelector("
                            "'.of-name').innerText.trim(), row.querySelector('.of-state').innerText.trim()])")
        return {name: word.replace(" ", "_") for name, word in rows}

    def alerts(self):
        return {alert for alert in self.prometheus.firing() if alert[0] in ALERTS}

    # What they agree on.

    def agree(self, step, east, west):
        """Every one of them shows these states, and what follows from them."""
        states = {EAST: east, WEST: west}
        for where in (self.in_json, self.in_the_table, self.on_the_server, self.in_metrics):
            equal(where(), states, "%s: %s" % (step, where.__name__))
        wait_until(lambda: self.on_the_page() == states, 10, "%s: the page shows %s" % (step, states))
        wait_until(lambda: self.alerts() == expected_alerts(states), 10,
                   "%s: the alerts are %s" % (step, expected_alerts(states)))
        self.agree_on_events(step)
        self.agree_on_who_is_next(step, states)

    def agree_on_events(self, step):
        events = self.gw.events()
        equal(self.get("/api/events?n=1000").json["events"], events, "%s: events on the server" % step)
        text = self.gw.order("events", "-n", "1000", json_too=False).out.splitlines()[1:]
        equal(len(text), len(events), "%s: lines of events" % step)
        last = [event for event in events if event["endpoint"]][-1:]
        for event in last:
            name = "/".join(part for part in (event["endpoint"], event["model"]) if part)
            assert any(event["time"] in line and name in line for line in text), "%s: %s in %s" % (step, event, text)
            self.page.wait("document.querySelector('#events').innerText.includes(%s)" % json.dumps(name),
                           "%s: the page tells of %s" % (step, name))
        moved = [(event["endpoint"], event["to"].split()[0]) for event in events
                 if event["kind"] == "breaker" and event["from"].split()[0] != event["to"].split()[0]]
        lines = re.findall(r'^gatewayd_breaker_transitions_total\{endpoint="([^"]+)",to="(\w+)"\} (\d+)$',
                           self.get("/metrics").body.decode(), re.M)
        counted = {(name, to): int(count) for name, to, count in lines if int(count) > 0}
        equal(counted, {pair: moved.count(pair) for pair in moved}, "%s: transitions in metrics and events" % step)

    def agree_on_who_is_next(self, step, states):
        able = [name for name in (EAST, WEST) if states[name] in SERVES]
        following = able[0] if able else None
        shown = self.explain()
        equal(shown["endpoint"], following, "%s: who is next, explained" % step)
        for candidate in shown["models"][0]["candidates"]:
            equal(candidate["answer"] != "no", candidate["endpoint"] in able, "%s: %s" % (step, candidate))
        active = re.findall(r'^gatewayd_active_endpoint\{model="%s",endpoint="([^"]+)"\} 1$' % MODEL,
                            self.get("/metrics").body.decode(), re.M)
        equal(active, [self.answered], "%s: who answered last, in the metrics" % step)
        summary = self.gw.status()["summary"]
        equal((summary["serving"], summary["usable"]), (bool(able), len(able)), "%s: the summary" % step)
        equal(self.get("/api/status").json["summary"]["serving"], bool(able), "%s: serving" % step)
        wanted = ("Requests are served." if len(able) == 2 else "Requests are served, by 1 of 2 endpoints." if able
                  else "Nothing can be served.")
        self.page.wait("document.querySelector('#headline').innerText === %s" % json.dumps(wanted),
                       "%s: the page's sentence is %r" % (step, wanted))

    def press(self, verb, name):
        """A button of the page, and yes to its question."""
        self.page.click("button[aria-label='%s %s']" % (verb, name))
        self.page.wait("document.querySelector('#ask').open", "it asks")
        self.page.click("#ask-yes")
        self.page.wait("!document.querySelector('#ask').open", "it is done")

    def called(self, *calls):
        wait_until(lambda: self.phone.calls == list(calls), 10, "the hook told %s" % (calls,))


def expected_alerts(states):
    found = {("GatewaydEndpointOpen", name) for name, state in states.items() if state in ("open", "half_open")}
    found |= {("GatewaydEndpointHeld", name) for name, state in states.items() if state in ("drained", "forced_open")}
    if not SERVES & set(states.values()):
        found.add(("GatewaydNothingCanBeServed", None))
    return found


def test_an_outage(t):
    with Browser(t) as browser:
        room = Room(t, browser)
        gw, sims = room.gw, room.sims
        room.ask(EAST)
        room.agree("all is well", "healthy", "healthy")

        # It dies. Clients notice nothing; the operator is called.
        sims[EAST].fault("503")
        for _ in range(3):
            room.ask(WEST)
        room.agree("one is dead", "open", "healthy")
        room.called(("open", EAST))

        # Why? Three answers of 503, which three requests got; and nobody asks it any more.
        evidence = gw.order("breaker", "show", "%s/%s" % (EAST, MODEL)).json["breakers"][0]["evidence"]
        equal((evidence["outcomes"][:3], evidence["status"]), (["overload"] * 3, 503), "the evidence")
        assert evidence["pid"] in gw.pids(), evidence
        asked = sims[EAST].count
        room.ask(WEST)
        equal(sims[EAST].count, asked, "requests at the dead one")
        candidates = {one["endpoint"]: one for one in room.explain()["models"][0]["candidates"]}
        equal([reason["code"] for reason in candidates[EAST]["reasons"]], ["open"], "why not, explained")
        reason = gw.endpoint(EAST)["reason"]
        assert "3 failures in a row" in reason, reason
        shown = room.page.js("[...document.querySelectorAll('#endpoints tr.row')].map((row) => row.innerText).join()")
        assert "3 failures in a row" in shown, shown
        tried = {one["endpoint"]: one for one in run([GATEWAYCTL, "-c", gw.file, "--json", "try"]).json["tries"]}
        equal((tried[EAST]["good"], tried[WEST]["good"]), (False, True), "asked directly")

        # He takes it out for the night.
        gw.order("drain", EAST)
        room.agree("drained", "drained", "healthy")
        room.ask(WEST)

        # The other one dies too: now somebody has to get up, and clients are told the same as he is.
        sims[WEST].fault("503")
        while gw.endpoint(WEST)["state"] != "open":
            assert gw.ask().status >= 500, "somebody answered"
        room.agree("nothing is left", "drained", "open")
        room.called(("open", EAST), ("open", WEST))
        error = failed(gw.ask(), 503, "circuit_open")
        equal({name: text.split()[0] for name, text in error["endpoints"].items()}, room.in_json(),
              "states in the error of a client")

        # It comes back, and he resets its breaker, with a click.
        sims[WEST].fault()
        room.press("Reset", WEST)
        room.agree("the second is back", "drained", "healthy")
        room.ask(WEST)

        # So does the first: back in, it is still open, by what it did last; reset, it serves again.
        sims[EAST].fault()
        room.press("Enable", EAST)
        room.agree("enabled, and still open", "open", "healthy")
        room.ask(WEST)
        gw.order("breaker", "reset", EAST)
        room.agree("recovered", "healthy", "healthy")
        room.ask(EAST)
        room.called(("open", EAST), ("open", WEST), ("close", WEST), ("close", EAST))

        # The story, as the log tells it, with who did what.
        orders = [(event["endpoint"], event["to"]) for event in gw.events() if event["kind"] == "order"]
        equal(orders, [(EAST, "drained"), (EAST, "enabled")], "orders")
        trips = [(event["endpoint"], event["by"].split()[0]) for event in gw.events()
                 if event["kind"] == "breaker" and event["to"].startswith("open")]
        equal(trips, [(EAST, "worker"), (WEST, "worker")], "trips")
        equal(room.page.complaints, [], "what the page complained of")
