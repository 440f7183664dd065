"""Hooks: the steward posts what happened to breakers and quotas, again until it is taken; nobody waits for it.

`notify:` names URLs and what each wants to hear of. The receivers here fail, hang, refuse and come back.
"""

import threading
import time

from harness import Hammer, alive, endpoint, equal, kill, ok, wait_until
from upstream import CLOSE, Held, answer

GOOD = {"failures": 2, "open": "400ms", "max_open": "400ms", "successes": 1, "half_open": 1}
HELD = {"failures": 2, "open": "60s", "max_open": "60s"}


class Receiver:
    """What receives the posts: answers as `script` says, 204 when it says nothing, and keeps the documents taken."""

    def __init__(self, t, script=None):
        self.script, self.lock, self.taken, self.ids = script, threading.Lock(), [], []
        self.upstream = t.upstream(self._answer, tcp=True)
        self.port = self.upstream.where
        self.url = "http://127.0.0.1:%d/hooks/secret-path" % self.port

    def _answer(self, request, conn):
        with self.lock:
            self.ids.append(request.json["id"])
            number = len(self.ids)
        said = self.script(number, request, conn) if self.script else None
        if said is None:
            with self.lock:
                self.taken.append((request, request.json))
            return answer(204, b"")
        return said

    def events(self):
        with self.lock:
            return [document["event"] for _, document in self.taken]

    def wait(self, count, timeout=15):
        wait_until(lambda: len(self.events()) >= count, timeout, "%d events were received" % count)
        return [document for _, document in self.taken]


def gateway(t, a, hooks, breaker=HELD, **keys):
    b = t.sim("b")
    return t.gateway([endpoint("a", a, breaker=breaker), endpoint("b", b, priority=2)],
                     models={"m1": {"endpoints": ["a", "b"]}}, notify=hooks, **keys)


def test_what_is_posted(t):
    r = Receiver(t)
    a = t.sim("a", fault="503#2")
    gw = gateway(t, a, [{"url": r.url}], GOOD)
    for _ in range(2):
        ok(gw.ask("m1"), "b")
    first = r.wait(1)[0]
    request = r.taken[0][0]
    equal((request.method, request.target), ("POST", "/hooks/secret-path"), "what was asked of the receiver")
    equal(request.header("content-type"), "application/json", "Content-Type")
    equal(request.header("x-gateway-event"), "open", "X-Gateway-Event")
    equal(request.header("authorization"), None, "a credential")
    wanted = {"event": "open", "endpoint": "a", "model": "m1", "from": "closed", "to": "open", "dropped": 0}
    equal({key: first[key] for key in wanted}, wanted, "the document")
    assert first["by"].startswith("worker ") and first["time"].endswith("Z") and first["host"], first
    assert first["detail"].startswith("closed (1 failure) -> open "), first
    wait_until(lambda: gw.ask("m1").endpoint == "a", 10, "a trial succeeds")
    second = r.wait(2)[1]
    equal((second["event"], second["to"]), ("close", "closed"), "the second document")
    assert "secret-path" not in gw.log, "the path of a hook's URL is in the log"


def test_everyone_hears_what_it_wants_to(t):
    opens, rest = Receiver(t), Receiver(t)
    a = t.sim("a")
    gw = gateway(t, a, [{"url": opens.url, "on": ["open"]}, {"url": rest.url, "on": ["close", "exhausted", "budget"]}])
    gw.order("breaker", "open", "a/m1")
    gw.order("breaker", "auto", "a/m1")
    a.fault("insufficient-quota")
    ok(gw.ask("m1"), "b")
    documents = rest.wait(2)
    equal([d["event"] for d in documents], ["close", "exhausted"], "what the second hook heard")
    assert documents[0]["by"].startswith("uid "), documents[0]
    equal(opens.wait(1)[0]["to"], "forced_open", "an operator's order")
    time.sleep(0.6)
    equal(opens.events(), ["open"], "what the first hook heard")


def test_failed_trials_are_no_news(t):
    r = Receiver(t)
    a = t.sim("a", fault="503")
    gw = gateway(t, a, [{"url": r.url}], {"failures": 2, "open": "100ms", "max_open": "100ms"})
    for _ in range(2):
        ok(gw.ask("m1"), "b")
    before = a.count
    wait_until(lambda: ok(gw.ask("m1"), "b") and a.count >= before + 3, 10, "three trials fail")
    time.sleep(0.6)
    equal(r.events(), ["open"], "what was told")


def test_a_hook_that_fails_is_told_again_in_order(t):
    faults = [lambda conn: answer(500, b"no"), lambda conn: conn.reset()]
    r = Receiver(t, lambda number, request, conn: faults[number - 1](conn) if number <= 2 else None)
    gw = gateway(t, t.sim("a"), [{"url": r.url}])
    gw.order("breaker", "open", "a/m1")
    gw.order("breaker", "auto", "a/m1")
    r.wait(2)
    equal(r.events(), ["open", "close"], "what arrived in the end")
    equal(len(set(r.ids[:3])), 1, "the id of one event, told three times")
    assert r.ids[3] not in r.ids[:3], "two events share an id: %s" % r.ids
    moments = [request.at for request in r.upstream.requests]
    assert moments[1] - moments[0] >= 0.7 and moments[2] - moments[1] >= 1.4, "no growing pause: %s" % moments
    equal(gw.log.count("trying again"), 1, "lines about the failures")
    equal(gw.log.count("answers again"), 1, "lines about the recovery")


def test_a_hook_that_refuses_is_not_asked_again(t):
    r = Receiver(t, lambda number, request, conn: answer(404, b"") if number == 1 else None)
    gw = gateway(t, t.sim("a"), [{"url": r.url}])
    gw.order("breaker", "open", "a/m1")
    gw.order("breaker", "auto", "a/m1")
    document = r.wait(1)[0]
    equal((document["event"], document["dropped"]), ("close", 1), "what came after the refused event")
    assert "status 404" in gw.log, "the refusal is not in the log"


def test_an_answer_without_an_end_is_an_answer(t):
    """What took the event has said so in its head; no body takes that back."""
    def endless(conn):
        while conn.send(b"x" * 65536):
            pass
        return CLOSE

    bodies = [endless, lambda conn: CLOSE, lambda conn: conn.gone(15) and CLOSE]

    def script(number, request, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n")
        return bodies[(number - 1) % 3](conn)
    r = Receiver(t, script)
    gw = gateway(t, t.sim("a"), [{"url": r.url}])
    for _ in range(2):
        gw.order("breaker", "open", "a/m1")
        gw.order("breaker", "auto", "a/m1")
    wait_until(lambda: len(r.ids) == 3, 4, "the endless answer and the cut one are followed by the next events")
    wait_until(lambda: len(r.ids) == 4, 10, "so is the one that stalls")
    equal(len(set(r.ids)), 4, "events told, each once")


def test_a_redirection_is_not_followed(t):
    elsewhere = Receiver(t)
    r = Receiver(t, lambda number, request, conn: answer(307, b"", {"Location": elsewhere.url}))
    gw = gateway(t, t.sim("a"), [{"url": r.url}])
    gw.order("breaker", "open", "a/m1")
    wait_until(lambda: "status 307" in gw.log, 10, "the redirection is refused")
    equal(elsewhere.upstream.count, 0, "requests elsewhere")


def test_one_that_hangs_holds_up_nobody(t):
    held = Held(lambda request, conn: CLOSE)
    hanging = Receiver(t, lambda number, request, conn: held(request, conn))
    good = Receiver(t)
    a = t.sim("a")
    gw = gateway(t, a, [{"url": hanging.url}, {"url": good.url}])
    gw.config["endpoints"][1]["health"] = {"interval": "1s", "timeout": "1s"}
    gw.write()
    gw.order("reload")
    with Hammer(gw, model="m1") as hammer:
        gw.order("breaker", "open", "a/m1")
        good.wait(1, 3)
        probes = sum(row["path"] == "/v1/models" for row in t.sims[1].requests)
        hammer.more(50)
        wait_until(lambda: sum(row["path"] == "/v1/models" for row in t.sims[1].requests) >= probes + 2, 10,
                   "probes go on")
        wait_until(lambda: hanging.upstream.count >= 2, 12, "the hanging hook is given up and told again")
        equal(held.most, 1 if held.now == 1 else 2, "posts at a time, but for those whose sender has left")
    held.let()


def test_a_hook_that_is_away_costs_no_event(t):
    port = t.free_port()
    gw = gateway(t, t.sim("a"), [{"url": "http://127.0.0.1:%d/" % port, "on": ["close"]}])
    for _ in range(4):
        gw.order("breaker", "open", "a/m1")
        gw.order("breaker", "auto", "a/m1")
    wait_until(lambda: "trying again" in gw.log, 10, "the hook is missed")
    from upstream import Upstream
    found = []
    t.upstreams.append(Upstream(port, lambda request, conn: found.append(request.json) or answer(200, b"ok")))
    wait_until(lambda: len(found) == 4, 20, "all events arrive once it is there")
    equal([d["event"] for d in found], ["close"] * 4, "what arrived")


def test_a_reload_tells_nothing_twice_and_forgets_nothing(t):
    r = Receiver(t)
    gw = gateway(t, t.sim("a"), [{"url": r.url}])
    told = 0
    for number in range(4):
        gw.order("breaker", "open", "a/m1")
        before = gw.steward()["pid"]
        gw.order("reload")
        gw.order("breaker", "auto", "a/m1")
        told += 2
        wait_until(lambda: not alive(before), 10, "the steward before is gone")
    r.wait(told)
    time.sleep(0.6)
    equal(len(r.events()), told, "events told")
    equal(len(set(r.ids)), told, "different events told")


def test_a_steward_that_has_left_holds_no_door_open(t):
    """A reload takes the admin server's address away while hooks keep the old steward: who comes then is refused."""
    held, port = Held(lambda request, conn: CLOSE), t.free_port()
    hanging = Receiver(t, lambda number, request, conn: held(request, conn))
    gw = gateway(t, t.sim("a"), [{"url": hanging.url}],
                 admin={"listen": [{"tcp": "127.0.0.1:%d" % port}], "token": "env:ADMIN_TOKEN"},
                 env={"ADMIN_TOKEN": "a-token-of-the-test-0123456789"})
    before = gw.steward()["pid"]
    equal(gw.get("/", address=("127.0.0.1", port)).end, "length", "end of what the admin server says")
    gw.order("breaker", "open", "a/m1")
    wait_until(lambda: held.now == 1, 10, "the hook hangs")
    gw.write(admin=None)
    gw.order("reload")
    wait_until(lambda: gw.get("/", address=("127.0.0.1", port), timeout=1).end == "refused", 5, "it is closed")
    assert alive(before), "the old steward does not wait for its hook"
    held.let()


def test_an_upgrade_tells_nothing_twice_and_forgets_nothing(t):
    r = Receiver(t)
    gw = gateway(t, t.sim("a"), [{"url": r.url}])
    gw.order("breaker", "open", "a/m1")
    gw.upgrade()
    gw.order("breaker", "auto", "a/m1")
    r.wait(2)
    time.sleep(0.6)
    equal(sorted(r.events()), ["close", "open"], "what was told, each once")


def test_a_steward_that_is_killed_tells_on(t):
    r = Receiver(t)
    gw = gateway(t, t.sim("a"), [{"url": r.url}])
    gw.order("breaker", "open", "a/m1")
    r.wait(1)
    before = gw.steward()["pid"]
    kill(before)
    wait_until(lambda: gw.steward() and gw.steward()["pid"] != before, 10, "another steward")
    gw.order("breaker", "auto", "a/m1")
    r.wait(2)
    equal(r.events(), ["open", "close"], "what was told, each once")


def test_a_stop_tells_what_is_left_and_waits_for_nobody(t):
    r = Receiver(t)
    gw = gateway(t, t.sim("a"), [{"url": r.url}])
    gw.order("breaker", "open", "a/m1")
    equal(gw.stop(), 0, "exit status")
    equal(r.events(), ["open"], "what was told before the end")
    held = Held()
    hanging = Receiver(t, lambda number, request, conn: held(request, conn))
    gw.write(notify=[{"url": hanging.url}])
    gw.start()
    gw.order("breaker", "auto", "a/m1")
    wait_until(lambda: hanging.upstream.count == 1, 10, "the hook is asked")
    began = time.monotonic()
    equal(gw.stop(), 0, "exit status with a hook that hangs")
    assert time.monotonic() - began < 4.5, "the stop took %.1f s" % (time.monotonic() - began)
    assert "1 events that it was not told" in gw.log, "nothing is said of what was left untold"
    held.let()
