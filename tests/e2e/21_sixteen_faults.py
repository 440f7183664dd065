"""The sixteen faults of providers, one after the other, with the configuration that a user has who set nothing.

Each is judged from both sides: what the client got (the exact text and a proper end, in bounded time), and what the
upstreams saw (how often they were asked, when, and that nobody was asked behind the back of another). Endpoint `a` has
the fault, `b` is well and comes second. Streamed and in one piece, in OpenAI's dialect and in Anthropic's, wherever the
fault can occur. Timeouts are shortened only where the fault would otherwise take ten seconds and more.
"""

import json
import threading
import time

from dialects import APIS, BOTH, Chat, Messages, broken, told
from harness import endpoint, equal, failed, wait_until, words
from upstream import CLOSE, LAST, chunked, completion, failure, stream_head

STORY = words(60)
WAYS = [(api, stream) for api in (Chat, Messages) for stream in (False, True)]


def pair(t, a, b, **keys):
    return t.gateway([endpoint("a", a, dialects=BOTH, **keys), endpoint("b", b, dialects=BOTH, priority=2, **keys)])


def single(t, a, name="gw", **keys):
    return t.gateway([endpoint("a", a, dialects=BOTH, **keys)], name=name)


def afresh(gw, *sims):
    """As if nothing had happened yet."""
    gw.order("cooldown", "clear", "--all")
    gw.order("breaker", "reset", "--all")
    for sim in sims:
        sim.forget()


def gaps(sim):
    """Milliseconds between the requests that a simulator saw."""
    moments = [entry["time_ms"] for entry in sim.requests]
    return [later - earlier for earlier, later in zip(moments, moments[1:])]


def each_way(t, fault, by, asked, attempts, ways=WAYS, within=5, **keys):
    """A whole answer from `by` in each way, `a` having this fault; `asked` are the requests that a and b then saw."""
    a, b = t.sim("a", tcp=True), t.sim("b")
    gw = pair(t, a, b, **keys)
    for api, stream in ways:
        a.fault(*([fault] if isinstance(fault, str) else fault))
        afresh(gw, a, b)
        began = time.monotonic()
        r = api.ask(gw, stream).run()
        took = time.monotonic() - began
        what = "%s, %s, %s" % (fault, api.name, "streamed" if stream else "in one piece")
        told(r, STORY, by)
        equal((a.count, b.count), asked, "requests upstream, " + what)
        equal(r.attempts, attempts, "X-Gateway-Attempts, " + what)
        assert took < within, "%.1f s for %s" % (took, what)
        for sim in (a, b):
            assert sim.stats()["peak_in_flight"] <= 1, "asked twice at once: " + what
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")
    return gw, a, b


# The faults.

def test_01_429_with_a_wait(t):
    """The other answers at once, and the first is left alone for as long as it asked."""
    gw, a, b = each_way(t, "429/retry-after=2", "b", (1, 1), "2")
    for _ in range(3):
        equal(told(Chat.ask(gw).run(), STORY, "b").ends, 1, "ends")
    equal(a.count, 1, "requests to a during its wait")
    a.fault()
    wait_until(lambda: Chat.ask(gw, False).run().endpoint == "a", 5, "a is asked again")
    assert gaps(a)[0] >= 1999, "asked again after %d ms of 2000" % gaps(a)[0]


def test_02_429_for_ever_without_a_wait(t):
    """No storm: a is asked when its default wait is over, and then after twice that."""
    a, b = t.sim("a", fault="429"), t.sim("b")
    gw = pair(t, a, b)
    until, number = time.monotonic() + 3, 0
    while time.monotonic() < until:
        api, stream = WAYS[number % 4]
        told(api.ask(gw, stream).run(), STORY, "b")
        number += 1
    assert 1 <= a.count <= 2, "%d requests to a in 3 s" % a.count
    assert all(gap >= 1999 for gap in gaps(a)), "asked again after %s ms" % gaps(a)
    equal(b.count, number, "requests to b")


def test_03_one_500(t):
    gw, a, b = each_way(t, "500#1", "b", (1, 1), "2")
    told(Chat.ask(gw).run(), STORY, "a")


def test_04_503_for_ever(t):
    """Fifteen requests are answered; the dead one hears of five of them, then its breaker is open."""
    each_way(t, "503", "b", (1, 1), "2")
    a, b = t.sim("c", fault="503"), t.sim("d")
    gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], name="gw2")
    for number in range(15):
        told(Chat.ask(gw, number % 2 == 1).run(), STORY, "b")
    equal((a.count, b.count), (5, 15), "requests upstream")


def test_05_reset_before_headers(t):
    each_way(t, "reset", "b", (1, 1), "2")


def test_06_silence(t):
    """Shortened: first_token from 10 s, response from 60 s. A silent one is not asked again by the same request."""
    _, a, _ = each_way(t, "silence", "b", (1, 1), "2", timeouts={"first_token": "400ms", "response": "600ms"})
    wait_until(lambda: a.stats()["in_flight"] == 0, 5, "the silent request is ended upstream")


def test_07_slow_first_token(t):
    """Scaled from 20 s against 10 s. An answer in one piece has all of `response`, and comes from a."""
    keys = {"timeouts": {"first_token": "400ms"}}
    each_way(t, "slow-first=1500ms", "b", (1, 1), "2", [(Chat, True), (Messages, True)], **keys)
    a, b = t.sim("c", fault="slow-first=1s"), t.sim("d")
    gw = t.gateway([endpoint("a", a, dialects=BOTH, **keys), endpoint("b", b, dialects=BOTH, priority=2)], name="gw2")
    for api in (Chat, Messages):
        equal(told(api.ask(gw, False).run(), STORY, "a").ends, 1, "ends")
    equal((a.count, b.count), (2, 0), "requests upstream")


def test_08_a_stream_cut_at_40_of_60_tokens(t):
    """After the commit the client has a's first forty words; b goes on, under a's ids."""
    for api in APIS:
        a, b = t.sim("a" + api.name, fault="cut@40"), t.sim("b" + api.name)
        gw = t.gateway([endpoint("a", a, dialects=BOTH), endpoint("b", b, dialects=BOTH, priority=2)],
                       name="gw-" + api.name)
        found = told(api.ask(gw).run(), STORY, "a")
        assert len(found.ids) <= (2 if api.name == "responses" else 1), "ids of two streams: %s" % found.ids
        r = api.ask(gw, False).run()
        told(r, STORY, "b")
        equal(r.attempts, "2", "attempts in one piece")
        equal((a.count, b.count), (2, 2), "requests upstream, " + api.name)
        gw.stop()


def test_09_a_stall(t):
    """Scaled: idle from 30 s, response from 60 s."""
    a, b = t.sim("a", fault="stall@40"), t.sim("b")
    gw = pair(t, a, b, timeouts={"idle": "500ms", "response": "700ms"})
    for api, stream in WAYS:
        afresh(gw, a, b)
        began = time.monotonic()
        told(api.ask(gw, stream).run(), STORY, "a" if stream else "b")
        took = time.monotonic() - began
        assert 0.499 <= took < 5, "%.2f s" % took
        equal((a.count, b.count), (1, 1), "requests upstream")
    wait_until(lambda: a.stats()["in_flight"] == 0, 5, "the stalled requests are ended upstream")


def test_10_a_malformed_event(t):
    """One event that is no JSON is left out of a stream; a body that is no JSON is no answer."""
    ways = [(api, True) for api in (Chat, Messages)]
    each_way(t, "bad-event@20", "a", (1, 0), "1", ways)
    a, b = t.sim("c", fault="bad-event@20"), t.sim("d")
    gw = t.gateway([endpoint("a", a, dialects=BOTH), endpoint("b", b, dialects=BOTH, priority=2)], name="gw2")
    for api in (Chat, Messages):
        r = api.ask(gw, False).run()
        told(r, STORY, "b")
        equal(r.attempts, "2", "attempts")


def test_11_no_done(t):
    """The finish reason was there: the answer is whole, the end is supplied, and nobody else is asked."""
    each_way(t, "no-done", "a", (1, 0), "1", [(Chat, True)])
    b = t.sim("d")
    for number, events in enumerate((Chat.events(words(60).split(" ")[:1])[:-1], Messages.events(["word01"])[:-1])):
        def script(_, conn, events=events):
            conn.send(stream_head() + b"".join(chunked(event) for event in events) + LAST)
        a = t.upstream(script)
        gw = t.gateway([endpoint("a", a, dialects=BOTH), endpoint("b", b, dialects=BOTH, priority=2)],
                       name="gw%d" % (number + 2))
        told((Chat, Messages)[number].ask(gw).run(), "word01", "a")
        equal((a.count, b.count), (1, 0), "requests upstream")


def straight_back(t, fault, code):
    """The upstream's own words reach the client, nobody else is asked, and the endpoint is none the worse for it."""
    a, b = t.sim("a", fault=fault), t.sim("b")
    gw = pair(t, a, b)
    for number, (api, stream) in enumerate(WAYS):
        for _ in range(2):
            r = api.ask(gw, stream).run()
            equal((r.status, r.whole, r.endpoint, r.attempts), (400, True, "a", "1"), "what came back, " + api.name)
            equal(r.header("x-sim-name"), "a", "the upstream's own header")
            straight = api.ask(Straight(a), stream).run()
            equal(shape(r), shape(straight), "the body")
            assert api is Messages or r.error["code"] == code, "not the upstream's code: %s" % r
        equal(b.count, 0, "requests to b")
    for row in (gw.endpoint("a"), gw.pair("a", "*")):
        equal((row["state"], row["failures"]), ("healthy", 0), "state and failures of a")


class Straight:
    """Asks an upstream itself, past the gateway, with the same words."""

    def __init__(self, sim):
        self.sim = sim

    def call(self, **keys):
        class Asked:
            @staticmethod
            def run():
                return self.sim.ask(**keys)
        return Asked


def shape(response):
    """A body without what differs from one request to the next."""
    value = response.json
    value.pop("request_id", None)
    value["error"].pop("request_id", None)
    return value


def test_12_context_length(t):
    straight_back(t, "context-length", "context_length_exceeded")


def test_13_content_filter(t):
    straight_back(t, "content-filter", "content_filter")


def no_prefill(api, events):
    """An upstream as several providers run it: a conversation that ends with the assistant's words is refused."""
    def script(request, conn):
        if request.json["messages"][-1]["role"] == "assistant":
            return failure(400, "assistant message prefill is not supported", "invalid", "invalid_request_error")
        conn.send(stream_head() + b"".join(chunked(event) for event in events) + LAST)
    return script


def test_14_a_fallback_that_refuses_prefill(t):
    """The replay is the request itself: byte for byte the body of the first, but for the name of the model."""
    pieces = [word + " " for word in STORY.split()]
    for api in (Chat, Messages):
        a = t.sim("a" + api.name, fault="cut@40")
        b = t.upstream(no_prefill(api, api.events(pieces, "b")))
        first = t.upstream(name="first" + api.name)
        first.script = cutting(api.events(pieces, "a"), 42)
        for number, upstream in enumerate((a, first)):
            gw = t.gateway([endpoint("a", upstream, dialects=BOTH), endpoint("b", b, dialects=BOTH, priority=2)],
                           name="gw%s%d" % (api.name, number),
                           models={"m1": {"endpoints": ["a", {"name": "b", "as": "m1-2025-04-14"}]}})
            told(api.ask(gw, model="m1", temperature=0.5, content="Hé \u2603 \U0001f600").run(), STORY, "a")
            gw.stop()
        bodies = [request.body for request in b.requests]
        equal(len(bodies), 2, "replays")
        for body in bodies:
            equal(body, first.requests[0].body.replace(b'"m1"', b'"m1-2025-04-14"'), "the body of the replay")
            assert b'"role": "assistant"' not in body, "a prefill: %s" % body


def cutting(events, count):
    """A script that sends so many of these events and is gone."""
    def script(_, conn):
        conn.send(stream_head() + b"".join(chunked(event) for event in events[:count]))
        return CLOSE
    return script


def test_15_down_then_well(t):
    """Scaled: 2 s down instead of 60, breakers open after 2 failures for 300 to 600 ms. Nothing fails meanwhile,
    and when it is over the endpoint has its share again."""
    a, b = t.sim("a", tcp=True), t.sim("b", tcp=True)
    breaker = {"failures": 2, "open": "300ms", "max_open": "600ms"}
    gw = t.gateway([endpoint("a", a, breaker=breaker), endpoint("b", b, breaker=breaker)])
    wrong, over, lock = [], threading.Event(), threading.Lock()

    def client(number):
        while not over.is_set():
            r = Chat.ask(gw, number % 2 == 0).run()
            try:
                told(r, STORY)
            except AssertionError as error:
                with lock:
                    wrong.append(str(error))
            number += 1
            over.wait(0.02)
    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: a.count >= 5, 10, "a has its share at first")
        a.set(down=True)
        time.sleep(2)
        a.set(down=False)
        seen = a.count
        wait_until(lambda: a.count >= seen + 5, 10, "a is asked again")
        wait_until(lambda: gw.endpoint("a")["breaker"] == "closed", 10, "its breaker closes")
    finally:
        over.set()
        for thread in threads:
            thread.join(40)
    assert not wrong, "requests failed:\n" + "\n".join(wrong[:5])
    a.forget(), b.forget()
    for _ in range(40):
        told(Chat.ask(gw, False).run(), STORY)
    equal((a.count, b.count), (20, 20), "shares afterwards")


def line_of(gw, response):
    """The line of the access log about a response."""
    id = response.header("x-request-id")
    found = wait_until(lambda: [line for line in gw.access if line["id"] == id], 5, "a line about %s" % id)
    equal(len(found), 1, "lines about one request")
    return found[0]


def test_16_honest_accounting(t):
    """Who was asked, who answered, and what it cost: the same story in the head, the log and the counters."""
    a, b = t.sim("a", fault="503"), t.sim("b", tokens=17)
    gw = pair(t, a, b)
    for number, (api, stream) in enumerate(WAYS):
        r = api.ask(gw, stream).run()
        told(r, words(17), "b")
        equal((r.attempts, r.header("x-gateway-model")), ("2", "gpt-test"), "headers")
        line = line_of(gw, r)
        equal([(one["endpoint"], one["status"]) for one in line["attempts"]], [("a", 503), ("b", 200)], "attempts")
        assert line["attempts"][0]["outcome"] != line["attempts"][1]["outcome"], "outcomes: %s" % line
        equal((line["endpoint"], line["status"], line["bytes"]), ("b", 200, len(r.body)), "the line")
        usage = r.json["usage"] if not stream else None
        if usage and "tokens" in line:
            shown = json.dumps(line["tokens"])
            assert "17" in shown, "tokens of the answering try: %s" % shown
        row = {name: gw.pair(name, "*") for name in ("a", "b")}
        equal((row["a"]["failures"], row["b"]["failures"]), (number + 1, 0), "failures in a row")
    row = {name: gw.endpoint(name) for name in ("a", "b")}
    assert row["a"]["error_rate"] > 0 and row["b"]["error_rate"] == 0, "error rates: %s" % row
    equal((row["a"]["last_success_ms"] in (0, None), row["b"]["last_success_ms"] in (0, None)), (True, False),
          "last successes: %s" % row)
    equal(sum(worker["requests"] for worker in gw.workers()), 4, "requests counted")


# One endpoint only: nobody to fail over to.

def test_alone_429_with_a_wait(t):
    """The request waits as long as was asked, then succeeds."""
    a = t.sim("a")
    gw = single(t, a)
    for api, stream in WAYS:
        a.fault("429/retry-after-ms=1200#1")
        afresh(gw, a)
        began = time.monotonic()
        r = api.ask(gw, stream).run()
        told(r, STORY, "a")
        equal((r.attempts, a.count), ("2", 2), "attempts")
        assert gaps(a)[0] >= 1199, "asked again after %d ms of 1200" % gaps(a)[0]
        assert time.monotonic() - began < 1.2 + 0.4 + 2, "far longer than asked"


def test_alone_one_500(t):
    """Tried again after the backoff: 500 ms and up to 30 % more."""
    a = t.sim("a")
    gw = single(t, a)
    for api, stream in WAYS:
        a.fault("500#1")
        afresh(gw, a)
        r = api.ask(gw, stream).run()
        told(r, STORY, "a")
        equal((r.attempts, a.count), ("2", 2), "attempts")
        assert 499 <= gaps(a)[0] < 2500, "asked again after %d ms" % gaps(a)[0]


def test_alone_503_for_ever(t):
    """Three tries, each after a longer wait, then the last answer is quoted."""
    a = t.sim("a", fault="503")
    gw = single(t, a)
    for stream in (False, True):
        afresh(gw, a)
        r = Chat.ask(gw, stream).run()
        error = failed(r, 502, "all_endpoints_failed", "server_error")
        assert "503" in error["message"], "the last status is not quoted: %s" % error["message"]
        equal(a.count, 3, "tries")
        equal(r.attempts, "3", "X-Gateway-Attempts")
        first, second = gaps(a)
        assert first >= 499 and second >= 999, "waits of 500 and 1000 ms: %s" % [first, second]


def test_alone_429_for_ever_without_a_wait(t):
    """Scaled: cooldown.default 200 ms instead of 2 s. Three tries, after 200 and 400 ms, then 429 and the next wait."""
    a = t.sim("a", fault="429")
    gw = single(t, a, cooldown={"default": "200ms"})
    error = failed(Chat.ask(gw).run(), 429, "rate_limit_exceeded", "rate_limit_error")
    assert error["retry_after"] > 0, "no wait is named: %s" % error
    equal(a.count, 3, "tries")
    first, second = gaps(a)
    assert first >= 199 and second >= 399, "waits of 200 and 400 ms: %s" % [first, second]


def test_alone_silence(t):
    """Nowhere to go: first_token does not apply, the request waits until `response`, and is not sent twice."""
    a = t.sim("a", fault="silence")
    gw = single(t, a, timeouts={"first_token": "200ms", "response": "1s", "total": "2s"})
    for api, stream in WAYS:
        afresh(gw, a)
        began = time.monotonic()
        r = api.ask(gw, stream).run()
        took = time.monotonic() - began
        assert r.status in (502, 504) and r.error.get("code") in ("all_endpoints_failed", "deadline_exceeded"), \
            "neither 502 nor 504: %s" % r
        assert 0.999 <= took < 6, "an error after %.2f s" % took
        equal(a.count, 1, "requests upstream, %s %s" % (api.name, stream))


def test_alone_slow_first_token(t):
    a = t.sim("a", fault="slow-first=1s")
    gw = single(t, a, timeouts={"first_token": "200ms"})
    for api, stream in WAYS:
        told(api.ask(gw, stream).run(), STORY, "a")
    equal(a.count, 4, "requests upstream")


def test_alone_cut(t):
    """A cut is loud: the same endpoint may be asked again, and goes on where it broke off. A stall is not."""
    a = t.sim("a")
    gw = single(t, a, timeouts={"idle": "500ms"})
    for api in APIS:
        a.fault("cut@40#1")
        afresh(gw, a)
        told(api.ask(gw).run(), STORY, "a")
        equal(a.count, 2, "requests upstream, " + api.name)
    for api in (Chat, Messages):
        a.fault("stall@40")
        afresh(gw, a)
        equal(broken(api.ask(gw).run(), STORY, api.name).text, words(40), "the text before the stall")
        equal(a.count, 1, "requests upstream, " + api.name)


def test_never_two_at_once(t):
    """Whatever goes wrong, one request of a client is one request upstream at any moment."""
    lock, now = threading.Lock(), {"in": 0, "most": 0}
    pieces = [word + " " for word in STORY.split()]

    def counted(act):
        def script(request, conn):
            with lock:
                now["in"] += 1
                now["most"] = max(now["most"], now["in"])
            try:
                return act(request, conn)
            finally:
                with lock:
                    now["in"] -= 1
        return script

    def silent(_, conn):
        conn.gone(10)
        return CLOSE

    def refusing(_, conn):
        conn.send(failure(503))

    def cut(request, conn):
        if not request.json.get("stream"):
            conn.send(completion(request, STORY)[:-50])
            return CLOSE
        with lock:
            now["in"] -= 1  # the end of the connection is what the gateway acts on
        conn.send(stream_head() + b"".join(chunked(event) for event in Chat.events(pieces, "c")[:20]))
        with lock:
            now["in"] += 1
        return CLOSE

    def well(request, conn):
        time.sleep(0.2)
        if not request.json.get("stream"):
            return completion(request, STORY)
        conn.send(stream_head() + b"".join(chunked(event) for event in Chat.events(pieces, "d")) + LAST)
    scripts = {"silent": silent, "refusing": refusing, "cut": cut, "well": well}
    ups = {name: t.upstream(counted(script), name) for name, script in scripts.items()}
    gw = t.gateway([endpoint(name, up, priority=number + 1, timeouts={"first_token": "300ms", "response": "300ms"})
                    for number, (name, up) in enumerate(ups.items())])
    # The silent one learns that it was left a moment after the next is asked, which is no second request of anybody's.
    for stream in (True, False):
        told(Chat.ask(gw, stream).run(), STORY)
    assert now["most"] <= 2, "%d requests upstream at once" % now["most"]
    equal([up.count for up in ups.values()], [2, 2, 2, 2], "requests upstream")


def test_done_then_silence(t):
    """After the finish reason an upstream that neither says [DONE] nor ends is not waited for beyond `idle`, and beyond
    five seconds in no case; its answer is whole."""
    events = Chat.events(["Hello ", "there."])[:-1]

    def script(_, conn):
        conn.send(stream_head() + b"".join(chunked(event) for event in events))
        conn.gone(20)
        return CLOSE
    b = t.sim("b")
    gw = pair(t, t.upstream(script), b, timeouts={"idle": "500ms"})
    told(Chat.ask(gw, timeout=8).run(), "Hello there.", "a")
    gw.write(endpoints=[endpoint("a", t.upstream(script), timeouts={"idle": "60s"}), endpoint("b", b, priority=2)])
    gw.order("reload")
    told(Chat.ask(gw, timeout=15).run(), "Hello there.", "a")
    equal(b.count, 0, "requests to b")
