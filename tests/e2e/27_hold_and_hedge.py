"""Two precautions that cost something, and are off unless asked for.

`stream.hold` keeps the beginning of a stream back for a while, so that what goes wrong in it fails over unseen.
`hedge.after` asks a second endpoint when the first is slow to its first token; the first content wins, the other
request is ended, and the client gets one answer.
"""

import threading
import time

from dialects import BOTH, Chat, Messages, broken, told
from harness import crowd, endpoint, equal, ok, wait_until, words
from upstream import CLOSE, LAST, chunked, completion, delta, failure, stream_head

STORY = words(60)
SURE = {"after": "300ms", "budget": "100%"}


def pair(t, a, b, name="gw", keys=None, **more):
    return t.gateway([endpoint("a", a, dialects=BOTH, **(keys or {})),
                      endpoint("b", b, dialects=BOTH, priority=2, **(keys or {}))], name=name, **more)


def line_of(gw, response):
    id = response.header("x-request-id")
    return wait_until(lambda: [line for line in gw.access if line["id"] == id], 5, "a line about %s" % id)[0]


# Hold.

def test_within_the_hold_it_fails_over_unseen(t):
    """A cut, an error event: the second endpoint's answer from its start, under its own name and ids."""
    a, b = t.sim("a"), t.sim("b")
    gw = pair(t, a, b, stream={"hold": "600ms"})
    gw.order("breaker", "close", "a")
    for fault in ("cut@5", "error-in-200@5"):
        a.fault(fault)
        for api in (Chat, Messages):
            r = api.ask(gw).run()
            equal(len(told(r, STORY, "b").ids), 1, "ids")
            equal(r.attempts, "2", "X-Gateway-Attempts")
    equal((a.count, b.count), (4, 4), "requests upstream")


def test_a_hold_ends_with_the_try_that_was_held(t):
    """It breaks off within the hold, and when that would have been over the next one has said nothing yet."""
    def cut(_, conn):
        conn.send(stream_head() + chunked(delta("never seen")))
        time.sleep(0.1)
        return CLOSE

    def late(r, _):
        time.sleep(1)
        return completion(r, "late")
    gw = pair(t, t.upstream(cut), t.upstream(late), stream={"hold": "300ms"})
    told(Chat.ask(gw).run(), "late", "b")


def test_a_hold_ends_with_the_try_even_when_nobody_is_left(t):
    """The same, while the request waits for somebody to ask."""
    def script(r, conn):
        if up.count > 1:
            return completion(r, "again")
        conn.send(stream_head() + chunked(delta("never seen")))
        return CLOSE
    up = t.upstream(script)
    gw = t.gateway([endpoint("a", up)], stream={"hold": "200ms"}, retry={"base": "700ms", "jitter": "0%"})
    told(Chat.ask(gw).run(), "again", "a")


def test_after_the_hold_it_is_rescued(t):
    a, b = t.sim("a", rate="25/s", fault="error-in-200@30"), t.sim("b")
    gw = pair(t, a, b, stream={"hold": "300ms"})
    for api in (Chat, Messages):
        r = api.ask(gw).run()
        equal(len(told(r, STORY, "a").ids), 1, "ids")
        equal(r.attempts, "1", "X-Gateway-Attempts")


def test_the_first_byte_waits(t):
    a = t.sim("a", rate="40/s")
    gw = t.gateway([endpoint("a", a, dialects=BOTH)], stream={"hold": "500ms"})
    for api in (Chat, Messages):
        r = api.ask(gw).run()
        told(r, STORY, "a")
        held = r.head_at - r.sent_at
        assert held >= 0.5, "the first byte came after %.3f s of 0.5" % held
        equal(r.attempts, "1", "X-Gateway-Attempts")


def test_a_short_answer_is_whole(t):
    """Complete before the hold is over: whole, whenever it goes out."""
    gw = t.gateway([endpoint("a", t.sim("a", tokens=3))], stream={"hold": "500ms"})
    r = Chat.ask(gw).run()
    told(r, words(3), "a")
    told(Chat.ask(gw, False).run(), words(3), "a")


def test_a_large_beginning_is_not_held_in_memory_for_ever(t):
    """Megabytes within the hold: the answer arrives whole, and the hold keeps nothing from flowing afterwards."""
    text = "".join("%07d " % number for number in range(300000))
    events = Chat.events([text[n:n + 4000] for n in range(0, len(text), 4000)], "one")

    def script(_, conn):
        conn.send(stream_head() + b"".join(chunked(event) for event in events) + LAST)
    gw = t.gateway([endpoint("a", t.upstream(script))], stream={"hold": "1s"})
    told(Chat.ask(gw).run(), text, "a")


def test_leaving_during_the_hold(t):
    a = t.sim("a", tokens=1000, rate="50/s")
    gw = t.gateway([endpoint("a", a)], stream={"hold": "10s"})
    call = Chat.ask(gw).begin()
    wait_until(lambda: a.stats()["in_flight"] == 1, 5, "the request is upstream")
    call.abort()
    wait_until(lambda: a.stats()["aborted"] == 1, 5, "it is ended upstream")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")


# Hedge.

def test_the_second_wins(t):
    """Asked no sooner than `after`; its answer is the client's, and the slow request is ended."""
    a, b = t.sim("a", ttft="15s"), t.sim("b")
    gw = pair(t, a, b, hedge=SURE)
    for number, api in enumerate((Chat, Messages)):
        r = api.ask(gw).run()
        equal(len(told(r, STORY, "b").ids), 1, "ids")
        assert r.ended_at - r.sent_at < 8, "%.1f s: that was first_token" % (r.ended_at - r.sent_at)
        wait_until(lambda: a.stats()["in_flight"] == 0, 5, "the loser is ended upstream")
        equal((a.count, b.count, a.stats()["aborted"]), (number + 1, number + 1, number + 1), "requests upstream")
        assert r.head_at - r.sent_at >= 0.3, "hedged after less than %.3f s of 0.3" % (r.head_at - r.sent_at)
        wait_until(lambda: gw.in_flight() == 0, 5, "the loser's place is given back")
        tries = {one["endpoint"]: one["outcome"] for one in line_of(gw, r)["attempts"]}
        equal(set(tries), {"a", "b"}, "tries in the access log")
        assert tries["a"] != tries["b"], "the loser is told from the winner: %s" % tries
    equal((gw.endpoint("a")["state"], gw.pair("a", "*")["failures"]), ("healthy", 0), "losing a race is no failure")


def test_too_long_for_both(t):
    """Either says that the context is too short: the other is not waited for, and the larger model answers, once."""
    def too_long(seconds):
        def script(*_):
            time.sleep(seconds)
            return failure(400, "too long", "context_length_exceeded", "invalid_request_error")
        return script
    for number, seconds in enumerate(((0.5, 1), (2, 0))):
        a, b = (t.upstream(too_long(one)) for one in seconds)
        c = t.upstream(lambda r, _: (time.sleep(1), completion(r, "from c"))[1])
        gw = t.gateway([endpoint("c", c), endpoint("a", a), endpoint("b", b, priority=2)], name="gw%d" % number,
                       workers=1, hedge=SURE,
                       models={"small": {"endpoints": ["a", "b"], "context": 9000, "fallback": ["large"]},
                               "large": {"endpoints": ["c"], "context": 90000}})
        r = gw.ask("small", stream=True)
        told(r, "fromc", "c")
        equal((r.header("x-gateway-model"), r.attempts), ("large", "3"), "who answered")
        equal((a.count, b.count, c.count), (1, 1, 1), "requests upstream")
        wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")
        ok(gw.ask("large"), "c")


def test_the_first_wins_after_all(t):
    a, b = t.sim("a", ttft="700ms"), t.sim("b", ttft="15s")
    gw = pair(t, a, b, hedge=SURE)
    r = Chat.ask(gw).run()
    told(r, STORY, "a")
    wait_until(lambda: b.stats()["in_flight"] == 0, 5, "the loser is ended upstream")
    equal((a.count, b.count, b.stats()["aborted"]), (1, 1, 1), "requests upstream")
    wait_until(lambda: gw.in_flight() == 0, 5, "the loser's place is given back")


def test_quick_enough_is_not_hedged(t):
    a, b = t.sim("a", ttft="50ms", rate="60/s"), t.sim("b")
    gw = pair(t, a, b, hedge={"after": "1s", "budget": "100%"})
    for api in (Chat, Messages):
        told(api.ask(gw).run(), STORY, "a")
    equal(b.count, 0, "requests to b")


def test_one_fails_while_both_run(t):
    """The first dies: the second is already on its way, and answers. Or the second dies: the first goes on."""
    a, b = t.sim("a", ttft="1s"), t.sim("b", ttft="1s")

    def late_failure(_, conn):
        time.sleep(0.6)
        return CLOSE
    c = t.upstream(late_failure)
    gw = pair(t, c, b, hedge=SURE)
    told(Chat.ask(gw).run(), STORY, "b")
    equal((c.count, b.count), (1, 1), "requests upstream")
    gw = pair(t, a, t.upstream(lambda *_: CLOSE), "gw2", hedge=SURE)
    told(Chat.ask(gw).run(), STORY, "a")
    equal(a.count, 1, "requests to a")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")


def test_the_second_left_alone_is_no_longer_waited_for(t):
    """The first dies, and the hedge stays silent beyond first_token: a third one is asked."""
    def late_failure(_, conn):
        time.sleep(0.6)
        return CLOSE
    a, b, c = t.upstream(late_failure), t.sim("b", fault="silence"), t.sim("c")
    keys = {"timeouts": {"first_token": "1s", "response": "60s"}}
    gw = t.gateway([endpoint("a", a, **keys), endpoint("b", b, priority=2, **keys),
                    endpoint("c", c, priority=3, **keys)], hedge=SURE)
    r = Chat.ask(gw).run()
    told(r, STORY, "c")
    assert r.ended_at - r.sent_at < 30, "%.1f s: that was response" % (r.ended_at - r.sent_at)
    equal((a.count, b.count, c.count), (1, 1, 1), "requests upstream")


def test_both_slow_one_answer(t):
    """Both say their first word at nearly the same moment: one answer, not a mixture."""
    a, b = t.sim("a", ttft="500ms", rate="300/s"), t.sim("b", ttft="200ms", rate="300/s")
    gw = pair(t, a, b, hedge=SURE, retry={"budget": "100%", "budget_min": 100})
    for r in crowd(40, lambda _: Chat.ask(gw).run(), 20):
        equal(len(told(r, STORY).ids), 1, "ids")
    wait_until(lambda: a.stats()["in_flight"] + b.stats()["in_flight"] == 0, 5, "nothing is left upstream")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")


def test_the_winner_is_cut(t):
    """A hedged stream breaks after its first words: it is rescued like any other."""
    a, b = t.sim("a", ttft="15s"), t.sim("b", fault="cut@20#1")
    c = t.sim("c")
    gw = t.gateway([endpoint(name, up, priority=n + 1) for n, (name, up) in enumerate((("a", a), ("b", b), ("c", c)))],
                   hedge=SURE)
    r = Chat.ask(gw).run()
    equal(len(told(r, STORY, "b").ids), 1, "ids")
    assert r.ended_at - r.sent_at < 8, "%.1f s: that was first_token" % (r.ended_at - r.sent_at)


def test_the_budget_of_hedges(t):
    """0 % allows one at a time at most; nobody waits for a hedge that is not to be had."""
    a, b = t.sim("a", ttft="1s"), t.sim("b", ttft="15s")
    gw = pair(t, a, b, hedge={"after": "200ms", "budget": "0%"}, workers=4)
    for r in crowd(30, lambda _: Chat.ask(gw).run(), 30):
        told(r, STORY, "a")
    assert b.stats()["peak_in_flight"] <= 1, "%d hedges at once" % b.stats()["peak_in_flight"]
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")


def test_limits_of_the_second_hold(t):
    """A hedge takes what every try takes: over the second's own limits there is none."""
    a, b = t.sim("a", ttft="800ms"), t.sim("b", ttft="15s")
    gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2, max_concurrent=2, limits={"rpm": 3})], hedge=SURE,
                   retry={"budget": "100%", "budget_min": 100})
    for r in crowd(20, lambda _: Chat.ask(gw).run(), 20):
        told(r, STORY, "a")
    stats = b.stats()
    assert stats["peak_in_flight"] <= 2 and stats["requests"] <= 3, "hedges at once, in all: %s" % stats
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")


def test_not_in_one_piece(t):
    a, b = t.sim("a", latency="1s"), t.sim("b")
    gw = pair(t, a, b, hedge=SURE)
    for api in (Chat, Messages):
        told(api.ask(gw, False).run(), STORY, "a")
    equal(b.count, 0, "requests to b")


def test_leaving_while_both_run(t):
    a, b = t.sim("a", ttft="15s"), t.sim("b", ttft="15s")
    gw = pair(t, a, b, hedge=SURE)
    call = Chat.ask(gw).begin()
    wait_until(lambda: b.stats()["in_flight"] == 1, 5, "the hedge is under way")
    call.abort()
    wait_until(lambda: a.stats()["in_flight"] + b.stats()["in_flight"] == 0, 5, "both are ended upstream")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")


def test_hedge_and_hold(t):
    a, b = t.sim("a", ttft="15s"), t.sim("b", fault="error-in-200@5#1")
    gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2), endpoint("c", t.sim("c"), priority=3)], hedge=SURE,
                   stream={"hold": "400ms"})
    equal(len(told(Chat.ask(gw).run(), STORY).ids), 1, "ids")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")


# Off by default.

def test_off_by_default(t):
    """Without being asked to, one request of a client is one request upstream, and its first byte is not held."""
    a, b = t.sim("a", ttft="2s"), t.sim("b")
    gw = pair(t, a, b)
    told(Chat.ask(gw).run(), STORY, "a")
    equal(b.count, 0, "requests to b")
    lines = threading.Event()

    def script(request, conn):
        if not request.json.get("stream"):
            return completion(request)
        events = Chat.events(["Hello ", "there."], "one")
        conn.send(stream_head() + b"".join(chunked(event) for event in events[:2]))
        lines.wait(10)
        conn.send(b"".join(chunked(event) for event in events[2:]) + LAST)
    gw = t.gateway([endpoint("a", t.upstream(script))], name="gw2")
    call = Chat.ask(gw).begin()
    try:
        call.wait_events(2, 5)
    finally:
        lines.set()
    told(call.finish(), "Hello there.", "a")


def test_nothing_left_to_say(t):
    """A stream whose hold ends in nothing but failures is an error of the gateway's, not a broken stream."""
    a = t.sim("a", fault="error-in-200@5")
    gw = t.gateway([endpoint("a", a, breaker={"failures": 100})], stream={"hold": "5s"})
    r = Chat.ask(gw).run()
    if r.status == 200:
        broken(r)
    else:
        equal((r.status, r.error.get("code"), a.count), (502, "all_endpoints_failed", 3), "the error and the tries")
