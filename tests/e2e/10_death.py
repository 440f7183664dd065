"""Processes die: a worker, the steward, the master, all at once. What they held is given back, what they knew stays.

A worker that is killed takes only its own connections with it. Without a master the workers go on; a new master on the
same configuration takes the region over, breakers and all, while requests hammer on without one failure.
"""

import os
import signal
import time

from harness import Hammer, alive, crowd, descendants, endpoint, equal, kill, ok, wait_until, words

STREAM = {"tokens": 60, "rate": "30/s"}  # two seconds
SHORT = {"max_tokens": 2}
OPEN = {"failures": 5, "open": "10m", "max_open": "10m"}


def test_a_worker_dies(t):
    sim = t.sim("a", **STREAM)
    gw = t.gateway([endpoint("a", sim)], workers=4)
    calls = [gw.begin(stream=True) for _ in range(80)]
    for call in calls:
        call.wait_events(1, 20)
    before = gw.workers()
    victim = max(before, key=lambda row: row["in_flight"])
    assert sum(row["in_flight"] for row in before) == 80, "80 are in flight: %s" % before
    kill(victim["pid"])
    wait_until(lambda: victim["pid"] not in gw.pids() and len(gw.pids()) == 4, 5, "the worker is replaced")
    wait_until(lambda: gw.in_flight() <= 80 - victim["in_flight"], 1, "its share of in_flight is gone within a second")
    answers = [call.finish() for call in calls]
    lost = [r for r in answers if not r.done]
    equal(len(lost), victim["in_flight"], "streams lost: those of the dead worker and no other")
    for r in lost:
        assert not r.whole and "[DONE]" not in r.events, "a lost stream looks whole: %s" % r
    for r in answers:
        if r.done:
            equal(r.text, words(60), "the text of the others")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")
    wait_until(lambda: sim.stats()["in_flight"] == 0, 5, "nothing is in flight upstream")
    equal(sum(row["restarts"] for row in gw.workers()), 1, "restarts")
    gw.reach_all_workers(stream=False)


def test_workers_die_one_after_the_other(t):
    """Places of a bulkhead are never lost with those who held them."""
    sim = t.sim("a", tokens=200, rate="20/s")
    gw = t.gateway([endpoint("a", sim, max_concurrent=8, adaptive=False)], workers=2)
    for _ in range(4):
        calls = [gw.begin(stream=True) for _ in range(8)]
        for call in calls:
            call.wait_events(1)
        for pid in gw.pids():
            kill(pid)
        for call in calls:
            assert not call.finish().done
        wait_until(lambda: gw.in_flight() == 0 and len(gw.pids()) == 2, 10, "everything is given back")
    sim.set(rate="0")
    for r in crowd(40, lambda n: gw.ask(stream=True), 4):
        ok(r)


def test_the_steward_dies(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    old = wait_until(gw.steward, 5, "a steward runs")
    with Hammer(gw, **SHORT) as hammer:
        kill(old["pid"])

        def successor():
            row = gw.steward()
            return row if row and row["pid"] != old["pid"] else None
        new = wait_until(successor, 10, "it is replaced")
        hammer.more(50)
    equal(new["restarts"], 1, "restarts")


def test_a_stopped_worker_is_alive(t):
    """Stopped is not dead: nothing of it is taken away, and it goes on where it was."""
    sim = t.sim("a", tokens=20, rate="40/s")
    gw = t.gateway([endpoint("a", sim)], workers=2)
    calls = [gw.begin(stream=True) for _ in range(10)]
    for call in calls:
        call.wait_events(1)
    pids = gw.pids()
    victim = max(gw.workers(), key=lambda row: row["in_flight"])
    kill(victim["pid"], signal.SIGSTOP)
    try:
        time.sleep(1.5)
        row = next(row for row in gw.workers() if row["pid"] == victim["pid"])
        assert row["in_flight"] >= 1, "what it holds was taken away: %s" % row
        equal(sorted(gw.pids()), sorted(pids), "workers")
    finally:
        kill(victim["pid"], signal.SIGCONT)
    for call in calls:
        ok(call.finish())


def test_the_master_dies(t):
    """Streams in flight complete, the orphans serve on, the breakers stay; a successor takes over and they drain."""
    sim, bad = t.sim("a", **STREAM), t.sim("b", fault="503")
    gw = t.gateway([endpoint("b", bad, breaker=OPEN), endpoint("a", sim, priority=2)], workers=3, tcp=True,
                   drain={"stop": "20s", "reload": "30s"})
    for _ in range(5):
        ok(gw.ask(**SHORT), "a")
    equal(gw.endpoint("b")["state"], "open", "state of b")
    tcp = gw.tcp
    gw.write(listen=[{"unix": gw.unix, "mode": "0666"}, {"tcp": "%s:%d" % tcp}])
    orphans = gw.pids()
    steward = gw.steward()["pid"]
    with Hammer(gw, addresses=[gw.unix, tcp], width=4, **SHORT) as hammer:
        calls = [gw.begin(stream=True, address=(gw.unix, tcp)[n % 2]) for n in range(60)]
        for call in calls:
            call.wait_events(1, 20)
        kill(gw.master)
        gw.process.wait(5)
        hammer.more(40)
        for pid in orphans:
            assert alive(pid), "a worker went with its master"
        equal(gw.endpoint("b")["state"], "open", "state of b without a master")
        for call in calls:
            equal(ok(call.finish()).text, words(60), "the streams that were in flight")
        late = [gw.begin(stream=True, address=(gw.unix, tcp)[n % 2]) for n in range(30)]
        for call in late:
            call.wait_events(1, 20)
        gw.start(wait=False)
        wait_until(lambda: gw.process.poll() is not None or
                   len([pid for pid in gw.pids() if pid not in orphans]) == 3, 15, "the successor's workers run")
        equal(gw.process.poll(), None, "exit status of the successor, which runs")
        hammer.more(60)
        for call in late:
            equal(ok(call.finish()).text, words(60), "the streams that the orphans had")
        wait_until(lambda: not any(alive(pid) for pid in orphans + [steward]), 25, "the orphans drain and end")
        hammer.more(60)
    equal(gw.endpoint("b")["state"], "open", "state of b under the new master")
    equal(bad.count, 5, "requests to the open endpoint in all this")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")


def test_a_successor_that_does_not_come(t):
    """It fails, or dies before its workers live: the dead master's serve on where their clients look for them."""
    gw = t.gateway([endpoint("a", t.sim("a"))], tcp=True)
    wait_until(lambda: "ready:" in gw.log, 10, "the first one serves")
    orphans, tcp = gw.pids(), gw.tcp
    first = [{"unix": gw.unix, "mode": "0666"}, {"tcp": "%s:%d" % tcp}]
    with Hammer(gw, addresses=[gw.unix, tcp], timeout=5, **SHORT) as hammer:
        kill(gw.master)
        gw.process.wait(5)
        gw.write(listen=first + [{"unix": t.path("no/where.sock")}])
        gw.start(wait=False)
        equal(gw.wait_exit(), 1, "exit status of one that cannot listen")
        hammer.more(20)
        gw.write(listen=first)
        with gw.without_free_slots(but=1):
            gw.start(wait=False)
            wait_until(lambda: "no free slot in the region for another worker" in gw.log, 20, "it wants workers")
            hammer.more(20)
            kill(gw.master)
            gw.process.wait(5)
        hammer.more(20)
        equal(sorted(gw.pids()), sorted(orphans), "workers")
        gw.start(wait=False)
        wait_until(lambda: "ready:" in gw.log[gw.log_from:], 20, "another one serves")
        wait_until(lambda: not any(map(alive, orphans)), 15, "the orphans end")
        hammer.more(20)
    equal([name for name in os.listdir(t.dir) if name.startswith("gw.sock.")], [], "names of sockets left over")


def test_a_successor_that_dies_before_it_has_claimed(t):
    """Its workers serve beside those of the first, until there is a master again."""
    gw = t.gateway([endpoint("a", t.sim("a"))])
    wait_until(lambda: "ready:" in gw.log, 10, "the first one serves")
    with Hammer(gw, **SHORT) as hammer:
        kill(gw.master)
        gw.process.wait(5)
        with gw.without_free_slots(but=3):  # which leaves none for its steward
            gw.start(wait=False)
            wait_until(lambda: [row["state"] for row in gw.workers()] == ["live"] * 4, 20, "its workers live")
            kill(gw.master)
            gw.process.wait(5)
        orphans = gw.pids()
        time.sleep(0.5)
        equal(sorted(gw.pids()), sorted(orphans), "workers of both, of whom nobody has been replaced")
        gw.start(wait=False)
        wait_until(lambda: "ready:" in gw.log[gw.log_from:], 20, "another one serves")
        wait_until(lambda: not any(map(alive, orphans)), 15, "the orphans end")
        hammer.more(20)


def test_everything_dies_at_once(t):
    """kill -9 on all of them, as when memory runs out: the next start finds the breakers and orders, and works."""
    sim, bad = t.sim("a", tokens=1000, rate="20/s"), t.sim("b", fault="503")
    gw = t.gateway([endpoint("b", bad, breaker=OPEN), endpoint("a", sim, priority=2), endpoint("c", bad, priority=3)])
    calls = [gw.begin(stream=True) for _ in range(10)]
    for call in calls:
        call.wait_events(1)
    gw.order("drain", "c")
    equal(gw.endpoint("b")["state"], "open", "state of b")
    for pid in [gw.master] + descendants(gw.master):
        kill(pid)
    gw.process.wait(5)
    for call in calls:
        assert not call.finish().done
    equal(gw.endpoint("b")["state"], "open", "state of b with nobody running")
    sim.set(rate="0")
    gw.start()
    equal((gw.endpoint("b")["state"], gw.endpoint("c")["state"]), ("open", "drained"), "states after the restart")
    equal(gw.in_flight(), 0, "in flight after the restart")
    ok(gw.ask(stream=True), "a")


def test_a_worker_that_dies_again_and_again(t):
    """The master does not spin: it replaces them, and the gateway still answers."""
    gw = t.gateway([endpoint("a", t.sim("a"))])
    for _ in range(8):
        for pid in gw.pids()[:1]:
            kill(pid)
        time.sleep(0.1)
    wait_until(lambda: len(gw.pids()) == 2 and all(map(alive, gw.pids())), 15, "two workers run")
    ok(gw.ask())
    assert os.path.exists(gw.unix)
