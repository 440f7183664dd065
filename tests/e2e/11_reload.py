"""A new configuration under load: nobody's stream is dropped, state is kept, a bad file changes nothing."""

import os
import re
import signal

from harness import Hammer, alive, endpoint, equal, failed, kill, ok, wait_until, words

OPEN = {"failures": 5, "open": "10m", "max_open": "10m"}


def test_200_streams_survive_reloads(t):
    sim = t.sim("a", tokens=90, rate="30/s")  # three seconds
    b = t.sim("b")
    gw = t.gateway([endpoint("a", sim)], tcp=True, drain={"stop": "5s", "reload": "60s"})
    old = gw.pids()
    with Hammer(gw, addresses=[gw.unix, gw.tcp], pause=0.05, max_tokens=2) as hammer:
        calls = [gw.begin(stream=True, address=(gw.unix, gw.tcp)[n % 2]) for n in range(200)]
        for call in calls:
            call.wait_events(1, 30)
        gw.write(endpoints=[endpoint("a", sim, weight=2), endpoint("b", b, weight=1)])
        gw.send_signal(signal.SIGHUP)
        wait_until(lambda: gw.ask().endpoint == "b", 15, "the endpoint that was added serves")
        hammer.more(10)
        gw.write(endpoints=[endpoint("b", b)], workers=3)
        result = gw.order("reload")
        equal(ok(gw.ask()).endpoint, "b", "who serves once the first is taken out")
        hammer.more(10)
        for call in calls:
            r = ok(call.finish(), "a")
            equal(r.text, words(90), "the text of a stream that was in flight")
    assert result.code == 0
    wait_until(lambda: not any(alive(pid) for pid in old), 20, "the old workers end when they are done")
    equal(len(gw.workers()), 3, "workers, as the new configuration says")
    equal([row["name"] for row in gw.status()["endpoints"]], ["b"], "endpoints that status shows")


def test_reload_tells_the_generation(t):
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)])
    seen = []
    for _ in range(3):
        text = gw.order("reload", json_too=False).out
        assert re.search(r"generation \d+", text), "reload prints no generation: %r" % text
        seen.append(text)
    equal(len(set(seen)), 3, "different generations in %s" % seen)
    kinds = [event["kind"] for event in gw.events()]
    assert sum("reload" in kind for kind in kinds) >= 3, "events: %s" % kinds


def test_state_is_kept(t):
    """Same name and url: the same endpoint, whatever else was changed. Another url: another endpoint."""
    bad, good, cool = t.sim("bad", fault="503"), t.sim("good"), t.sim("cool", fault="429/retry-after=300")
    other = t.sim("other")
    first = [endpoint("b", bad, breaker=OPEN), endpoint("c", cool), endpoint("g", good, priority=2)]
    gw = t.gateway(first)
    for _ in range(12):
        ok(gw.ask())
    states = {row["name"]: row["state"] for row in gw.status()["endpoints"]}
    equal(states["b"], "open", "state of b")
    assert states["c"] in ("cooling", "exhausted"), "state of c: %s" % states
    before = (bad.count, cool.count)
    gw.write(endpoints=[endpoint("g", good, priority=2), endpoint("c", cool, weight=7),
                        endpoint("b", bad, breaker=OPEN, max_concurrent=3)])
    gw.order("reload")
    for _ in range(10):
        ok(gw.ask(), "g")
    equal({row["name"]: row["state"] for row in gw.status()["endpoints"]}, states, "states after the reload")
    equal((bad.count, cool.count), before, "requests to endpoints that rest")
    gw.write(endpoints=[endpoint("b", other, breaker=OPEN), endpoint("c", cool), endpoint("g", good, priority=2)])
    gw.order("reload")
    ok(gw.ask(), "b")
    equal(gw.endpoint("b")["state"], "healthy", "state of an endpoint with another url")


def test_an_order_is_kept(t):
    a, b = t.sim("a"), t.sim("b")
    gw = t.gateway([endpoint("a", a), endpoint("b", b)])
    gw.order("drain", "a")
    gw.order("reload")
    for _ in range(6):
        ok(gw.ask(), "b")
    equal(gw.endpoint("a")["state"], "drained", "state of a")


def test_a_bad_file_changes_nothing(t):
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)], models={"gpt-test": {"endpoints": ["a"]}})
    pids = gw.pids()
    with open(gw.file) as file:
        good = file.read()
    with open(gw.file, "w") as file:
        file.write(good + "colour: blue\nretry: {attempts: many}\n")
    lines = good.count("\n")
    result = gw.ctl("reload", json_too=False)
    equal(result.code, 1, "exit status of reload")
    told = result.out + result.err
    for line in (lines + 1, lines + 2):
        assert re.search(r"%s:%d:\d+: " % (re.escape(gw.file), line), told), "no word of line %d: %s" % (line, told)
    gw.send_signal(signal.SIGHUP)
    wait_until(lambda: gw.log.count("%s:%d:" % (gw.file, lines + 1)) >= 1, 10, "the log tells what is wrong")
    ok(gw.ask("gpt-test"))
    failed(gw.ask("gpt-other"), 404, "model_not_found")
    equal(sorted(gw.pids()), sorted(pids), "workers")
    os.unlink(gw.file)
    equal(gw.ctl("reload").code, 1, "exit status of reload without a file")
    ok(gw.ask("gpt-test"))
    with open(gw.file, "w") as file:
        file.write(good)
    gw.order("reload")
    ok(gw.ask("gpt-test"))


def test_new_listeners(t):
    """An address that is added is served, one that is taken away is closed; the one that stays never refuses."""
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)])
    second = t.path("second.sock")
    with Hammer(gw) as hammer:
        gw.write(listen=[{"unix": gw.unix, "mode": "0666"}, {"unix": second, "mode": "0666"}])
        gw.order("reload")
        ok(gw.ask(address=second))
        hammer.more(20)
        gw.write(listen=[{"unix": gw.unix, "mode": "0666"}])
        gw.order("reload")
        wait_until(lambda: gw.ask(address=second).end == "refused", 10, "the second socket refuses")
        hammer.more(20)
    assert not os.path.exists(second), "its file is left behind"
    gw.write(listen=[{"unix": gw.unix, "mode": "0660"}])
    gw.order("reload")
    equal(os.stat(gw.unix).st_mode & 0o777, 0o660, "the mode of the one that stayed")


def test_workers_that_do_not_come_up(t):
    """The old ones serve on, and what is in flight, with those that left before too, has the time of a reload."""
    sim = t.sim("a", tokens=480, rate="20/s")
    gw = t.gateway([endpoint("a", sim)], drain={"stop": "1s", "reload": "60s"})
    call = gw.begin(stream=True)
    call.wait_events(1)
    gw.order("reload")
    pids = wait_until(lambda: len(gw.pids()) == 3 and gw.pids(), 10, "one worker waits for its stream")
    with gw.without_free_slots():
        result = gw.ctl("reload", json_too=False, timeout=60)
        equal(result.code, 1, "exit status of reload")
        assert "its workers did not come up within 20 s" in result.err, result.err
        equal(sorted(gw.pids()), sorted(pids), "workers")
    equal(ok(call.finish()).text, words(480), "the text of a stream that was in flight")
    gw.order("reload")
    ok(gw.ask(max_tokens=2))


def test_many_reloads_in_a_row(t):
    sim = t.sim("a", tokens=200, rate="50/s")
    gw = t.gateway([endpoint("a", sim)], drain={"stop": "5s", "reload": "60s"})
    call = gw.begin(stream=True)
    call.wait_events(2)
    with Hammer(gw, max_tokens=2):
        for _ in range(5):
            gw.send_signal(signal.SIGHUP)
            gw.send_signal(signal.SIGHUP)
            gw.order("reload")
    ok(call.finish())


def test_old_workers_end_when_their_time_is_over(t):
    sim = t.sim("a", tokens=100000, rate="20/s")
    gw = t.gateway([endpoint("a", sim)], drain={"stop": "5s", "reload": "1s"}, stream={"rescue": "off"})
    old = gw.pids()
    call = gw.begin(stream=True)
    call.wait_events(2)
    gw.order("reload")
    wait_until(lambda: not any(map(alive, old)), 15, "the old workers end after drain.reload")
    r = call.finish()
    assert "[DONE]" not in r.events, "a stream that was ended looks whole: %s" % r


def test_a_worker_dies_during_a_reload(t):
    sim = t.sim("a", tokens=60, rate="30/s")
    gw = t.gateway([endpoint("a", sim)], workers=3)
    calls = [gw.begin(stream=True) for _ in range(30)]
    for call in calls:
        call.wait_events(1)
    victim = max(gw.workers(), key=lambda row: row["in_flight"])
    gw.order("reload")
    kill(victim["pid"])
    answers = [call.finish() for call in calls]
    equal(sum(not r.done for r in answers), victim["in_flight"], "streams lost: those of the dead worker")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")
    wait_until(lambda: len(gw.pids()) == 3, 10, "three workers run: one that was leaving is not replaced")
