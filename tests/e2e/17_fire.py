"""Under fire, judged by the provider: workers are killed and breakers reset without pause while clients ask.

What can be said exactly of `max_concurrent: 20`. A place is taken before a request is sent and given back after its
answer was read, so the requests of the living at the provider are never more than the places they hold. The places of
a killed worker are free when the master has waited for it; by then the kernel has closed its sockets, but the provider
may not have read their ends yet and still counts what was in flight on them. So its count is at most 20 and what those
workers had at it whose end it has not read. Both sides of that are tested: when the provider has read the end of one
worker before the next one dies, the excess is at most what one death lost; and when it has read it before the master
may wait, there is none.
"""

import contextlib
import os
import random
import signal
import threading
import time

from harness import alive, endpoint, equal, failed, kill, ok, wait_until, words

PLACES, RPM, WIDTH = 20, 900, 40
TOKENS, SLOW = 10, {"ttft": "60ms", "tokens": 10, "rate": "200/s"}  # a tenth of a second


class Clients:
    """They ask without pause until the `with` block ends; every answer is whole, a refusal of our own, or cut."""

    def __init__(self, gw):
        self.gw, self.over, self.lock = gw, threading.Event(), threading.Lock()
        self.served, self.cut, self.refused, self.wrong = 0, 0, {}, []
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(WIDTH)]

    def judge(self, r):
        if r.status is None or not r.whole:
            self.cut += 1
        elif r.status == 200:
            equal(ok(r).text, words(TOKENS), "the text of an answer")
            self.served += 1
        elif r.status == 429:
            failed(r, 429, "rate_limit_exceeded", "rate_limit_error")
            self.refused["rate"] = self.refused.get("rate", 0) + 1
        else:
            failed(r, 503, "at_capacity", "server_error")
            self.refused["places"] = self.refused.get("places", 0) + 1

    def run(self, number):
        while not self.over.is_set():
            r = self.gw.ask(stream=number % 2 == 0, timeout=10)
            number += WIDTH + 1
            with self.lock:
                try:
                    self.judge(r)
                except AssertionError as error:
                    self.wrong.append(str(error))
            if r.status != 200:
                self.over.wait(0.02)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(20)
        if kind is None:
            assert not self.wrong, "%d wrong answers, the first: %s" % (len(self.wrong), self.wrong[0])


@contextlib.contextmanager
def operator(gw):
    """Resets every breaker in a loop."""
    over, done = threading.Event(), {"resets": 0, "failures": []}

    def run():
        while not over.is_set():
            result = gw.ctl("breaker", "reset", "--all")
            done["resets"] += 1
            if result.code != 0:
                done["failures"].append(result)
            over.wait(0.005)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield done
    over.set()
    thread.join(30)
    assert not done["failures"], "an operator's order failed: %s" % (done["failures"][0],)


def ended(pid):
    """Whether the kernel has closed all that a process had: it is gone, or a zombie without another thread."""
    try:
        return not alive(pid) and len(os.listdir("/proc/%d/task" % pid)) == 1
    except FileNotFoundError:
        return True


def caught_up(sim):
    """What is ready to be read at the simulator now has been read afterwards. To accept a connection, read a request
    and read the end takes its one thread three turns; an answer to us takes at least half a turn."""
    for _ in range(8):
        stats = sim.stats()
    return stats


def death(gw, sim):
    """Kill the worker that lives longest (the young are replaced after a pause); how many requests that cost at the
    simulator, which has seen them all end. None when it would have been the last one."""
    rows = [row for row in gw.workers() if row["state"] == "live" and alive(row["pid"])]
    if len(rows) < 2:
        return None
    victim = max(rows, key=lambda row: (row["uptime_s"], random.random()))["pid"]
    before = sim.stats()["aborted"]
    kill(victim)
    wait_until(lambda: ended(victim), 5, "a killed worker ends")
    return caught_up(sim)["aborted"] - before


def at_rest(gw, sim):
    """Nothing is held, and four workers serve."""
    wait_until(lambda: len([pid for pid in gw.pids() if alive(pid)]) == 4, 20, "four workers run")
    wait_until(lambda: gw.in_flight() == 0, 5, "every in_flight of `status` is 0")
    wait_until(lambda: sum(row["in_flight"] for row in gw.rows()) == 0, 5, "every in_flight of `workers` is 0")
    wait_until(lambda: sim.stats()["in_flight"] == 0, 5, "nothing is in flight upstream")
    equal((gw.endpoint("a")["breaker"], gw.endpoint("a")["limit"]), ("closed", PLACES), "breaker and limit")


def hammered(gw, sim, seconds, strike, reached):
    """Clients, an operator, and a death every 200 ms, for so long and until the clients saw what is to be reached. The
    simulator's counts, what the worst death cost there, and how long it took."""
    costs, began = [], time.monotonic()
    with Clients(gw) as clients, operator(gw) as orders:
        while time.monotonic() < began + seconds or not (clients.refused.get(reached) or
                                                         time.monotonic() > began + 4 * seconds):
            due = time.monotonic() + 0.2
            cost = strike(gw, sim)
            costs += [] if cost is None else [cost]
            time.sleep(max(0, due - time.monotonic()))
    elapsed = time.monotonic() - began
    at_rest(gw, sim)
    stats = sim.stats()
    assert clients.refused.get(reached), "never refused for the %s: %s of %s" % (reached, clients.refused, stats)
    assert len(costs) >= seconds, "only %d deaths in %.1f s" % (len(costs), elapsed)
    assert orders["resets"] >= seconds, "only %d resets in %.1f s" % (orders["resets"], elapsed)
    assert max(costs) <= PLACES, "a worker had %d requests upstream of at most %d" % (max(costs), PLACES)
    equal(stats["aborted"], sum(costs), "requests that ended early upstream: those of the killed and no other")
    assert clients.served <= stats["requests"] - stats["aborted"], "more answers than requests"
    return stats, max(costs), elapsed


def test_places_and_rate_while_workers_die(t):
    sim = t.sim("a", **SLOW)
    gw = t.gateway([endpoint("a", sim, max_concurrent=PLACES, adaptive=False, limits={"rpm": RPM})], workers=4,
                   wait={"max": "0s"})
    stats, cost, elapsed = hammered(gw, sim, 8, death, "rate")
    assert stats["peak_in_flight"] <= PLACES + cost, \
        "%d at once of %d, and %d that one worker lost" % (stats["peak_in_flight"], PLACES, cost)
    most = RPM + int(elapsed * RPM / 60)
    assert stats["requests"] <= most, "%d requests upstream of %d" % (stats["requests"], most)


def test_places_of_the_dead_wait_for_the_master(t):
    """The master is stopped until the provider has seen a death to its end: what the dead held is not free before."""
    def strike(gw, sim):
        kill(gw.master, signal.SIGSTOP)
        try:
            return death(gw, sim)
        finally:
            kill(gw.master, signal.SIGCONT)
    sim = t.sim("a", **SLOW)
    gw = t.gateway([endpoint("a", sim, max_concurrent=PLACES, adaptive=False)], workers=4, wait={"max": "0s"})
    stats, _, _ = hammered(gw, sim, 5, strike, "places")
    assert stats["peak_in_flight"] <= PLACES, "%d at once of %d" % (stats["peak_in_flight"], PLACES)
    sim.set(ttft="2s")
    calls = [gw.begin(stream=True) for _ in range(PLACES)]
    wait_until(lambda: gw.in_flight() == PLACES, 5, "as many fit as before")
    failed(gw.ask(), 503, "at_capacity", "server_error")
    for call in calls:
        ok(call.finish())
