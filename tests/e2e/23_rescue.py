"""A stream breaks after its first words, and the client does not notice.

The request is sent again from its start to another candidate; what the client already has is compared with what comes
now, and from there the stream goes on, under the ids of the first. Where the two part, or nobody can answer again,
there is one error event and no end that looks like one. `a` breaks, `b` tells the same in pieces of another size.
"""

import json
import random
import threading
import time

from dialects import APIS, BOTH, Chat, Completions, Messages, Responses, broken, said, told, whole_characters
from harness import crowd, endpoint, equal, kill, ok, wait_until, words
from upstream import CLOSE, LAST, chunked, delta, failure, stream_head

STORY = words(60)
WORDS = [word + " " for word in STORY.split()]
PAIRS = [WORDS[n] + WORDS[n + 1] for n in range(0, 60, 2)]
TALE = ("Grüße, 世界! Ça va \U0001f600\U0001f680? \"quoted\" \\ back/slash \t tab\nline \x7f \u2028 e\u0301 "
        "\U0001f469\u200d\U0001f680 end")
AMPLE = {"budget": "100%", "budget_min": 500}  # many rescues at once are the subject, their number is not

# Scripts.


def pour(conn, data, seed=None):
    """Send it: in one chunk without a seed, else in chunks and writes of arbitrary sizes, whatever the events are."""
    if seed is None:
        return conn.send(chunked(data)) if data else True
    chance, at, held = random.Random(seed), 0, b""
    while at < len(data):
        size = chance.choice((1, 2, 3, 7, 30, 100, 300, 1000))
        held += chunked(data[at:at + size])
        at += size
        if chance.random() < 0.3 or at >= len(data):
            if not conn.send(held):
                return False
            held = b""
            if chance.random() < 0.2:
                time.sleep(0.001)
    return True


def telling(events, obeys=False, pause=0.0):
    """A script that tells these events. One that `obeys` breaks off as the request's X-Script header says: JSON with
    the key cut or stall (after so many bytes), and seed (of the sizes of chunks)."""
    data = b"".join(events)

    def script(request, conn):
        order = json.loads(request.header("x-script") or "{}")
        until = order.get("cut", order.get("stall", len(data))) if obeys else len(data)
        time.sleep(pause)
        if not conn.send(stream_head()) or not pour(conn, data[:until], order.get("seed")):
            return CLOSE
        if obeys and "stall" in order:
            conn.gone(20)
            return CLOSE
        if until < len(data):
            return CLOSE
        conn.send(LAST)
    return script


def first(events, then=None):
    """A script that tells these events, then `then`, and is gone."""
    def script(_, conn):
        conn.send(stream_head() + chunked(b"".join(events)))
        if then == "stall":
            conn.gone(20)
        elif then == "end":
            conn.send(LAST)
            return None
        elif then:
            conn.send(chunked(then))
            time.sleep(0.05)
        return CLOSE
    return script


def order(**keys):
    return {"X-Script": json.dumps(keys)}


def gateway(t, *ups, **keys):
    """A gateway in front of these, asked in this order; `a`, `b` and so on. Their breakers are held closed, since what
    is tried here is one request after the other that breaks."""
    timeouts = keys.pop("timeouts", {})
    gw = t.gateway([endpoint("abcdef"[number], up, priority=number + 1, dialects=BOTH, timeouts=timeouts)
                    for number, up in enumerate(ups)], **keys)
    for number in range(len(ups)):
        gw.order("breaker", "close", "abcdef"[number])
    return gw


def edges(events):
    """The places between events, in bytes from the start."""
    found = [0]
    for event in events:
        found.append(found[-1] + len(event))
    return found


def content_from(events):
    """The number of the first event that holds something of the answer."""
    return next(n for n, event in enumerate(events) if b"word01" in event or b"arguments" in event or b"Gr" in event)


def all_good(results, check):
    """Every result, checked; the first few complaints in one failure."""
    wrong = []
    for number, r in enumerate(results):
        try:
            check(number, r)
        except AssertionError as error:
            wrong.append("%d: %s" % (number, str(error)[:600]))
    assert not wrong, "%d of %d are wrong:\n%s" % (len(wrong), len(results), "\n".join(wrong[:4]))


# A cut anywhere.

def cut_everywhere(t, api):
    one, other = api.events(WORDS, "one"), api.events(PAIRS, "other")
    a, b = t.upstream(telling(one, True)), t.upstream(telling(other))
    gw = gateway(t, a, b)
    places = edges(one)
    results = [api.ask(gw, headers=order(cut=place)).run() for place in places]
    begun = content_from(one)

    def check(number, r):
        found = told(r, STORY)
        owner = "one" if number > begun else "other"
        equal(r.endpoint, "a" if number > begun else "b", "X-Gateway-Endpoint, cut before event %d" % number)
        if api is not Responses:  # its ids are looked at in a test of their own
            assert len(found.ids) == 1 and next(iter(found.ids)).endswith("-" + owner) or api is Messages, found.ids
        assert len(found.models) <= 1 and len(found.created) <= 1, "of two streams: %s" % [found.models, found.created]
    all_good(results, check)
    assert len(places) - 3 <= b.count <= len(places), "%d replays for %d cuts" % (b.count, len(places))
    bodies = {request.body for request in a.requests + b.requests}
    equal(len(bodies), 1, "different bodies")


def test_cut_at_every_event_chat(t):
    cut_everywhere(t, Chat)


def test_cut_at_every_event_completions(t):
    cut_everywhere(t, Completions)


def test_cut_at_every_event_messages(t):
    cut_everywhere(t, Messages)


def test_cut_at_every_event_responses(t):
    cut_everywhere(t, Responses)


def test_cut_at_every_token_of_llmsim(t):
    """The same with the simulator on both sides, by its own faults."""
    a, b = t.sim("a"), t.sim("b")
    gw = gateway(t, a, b)
    for token in range(61):
        a.fault("cut@%d" % token)
        told(Chat.ask(gw).run(), STORY)
    assert b.count >= 60, "%d replays" % b.count


# A cut anywhere, in bytes, with everything split as badly as can be.

def fuzz(t, api, one, other, text, count=60, **keys):
    """Cuts at `count` places, in bytes; the sizes of chunks and writes differ each time. Results in the order of the
    places."""
    a, b = t.upstream(telling(one, True)), t.upstream(telling(other))
    gw = gateway(t, a, b, retry=AMPLE, workers=2)
    chance = random.Random(7)
    length = len(b"".join(one))
    places = sorted({chance.randrange(length + 1) for _ in range(count - 2)} | {0, length})
    results = crowd(len(places), lambda n: api.ask(gw, headers=order(cut=places[n], seed=n), **keys).run(), 6)

    def check(number, r):
        found = told(r, text)
        assert len(found.created) <= 1 and len(found.models) <= 1, "of two streams: %s" % r
    all_good(results, check)
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")
    return results


def test_fuzzed_chat(t):
    fuzz(t, Chat, Chat.events(WORDS, "one"), Chat.events(PAIRS, "other"), STORY, 100)


def test_fuzzed_messages(t):
    fuzz(t, Messages, Messages.events(WORDS, "one"), Messages.events(PAIRS, "other"), STORY)


def test_fuzzed_completions(t):
    fuzz(t, Completions, Completions.events(WORDS, "one"), Completions.events(PAIRS, "other"), STORY)


def test_fuzzed_responses(t):
    fuzz(t, Responses, Responses.events(WORDS, "one"), Responses.events(PAIRS, "other"), STORY)


def test_fuzzed_sizes(t):
    """The same text in pieces of every size, against pieces of every other size."""
    chance = random.Random(11)

    def pieces(text):
        found, at = [], 0
        while at < len(text):
            size = chance.choice((1, 1, 2, 3, 5, 8, 40))
            found.append(text[at:at + size])
            at += size
        return found
    for number in range(3):
        one, other = Chat.events(pieces(TALE), "one"), Chat.events(pieces(TALE), "other", escape=False)
        a, b = t.upstream(telling(one, True)), t.upstream(telling(other))
        gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], retry=AMPLE, name="gw%d" % number)
        gw.order("breaker", "close", "a")
        places = edges(one)
        results = crowd(len(places), lambda n: Chat.ask(gw, headers=order(cut=places[n], seed=n)).run(), 6)
        all_good(results, lambda _, r: told(r, TALE))
        gw.stop()


# Characters.

def test_escaped_here_and_raw_there(t):
    """What one upstream writes as \\ud83d\\ude00 the other writes as four bytes; it is one text."""
    for escape in (True, False):
        one = Chat.events(list(TALE), "one", escape=escape)
        other = Chat.events([TALE[n:n + 5] for n in range(0, len(TALE), 5)], "other", escape=not escape)
        a, b = t.upstream(telling(one, True)), t.upstream(telling(other))
        gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], name="gw%d" % escape)
        gw.order("breaker", "close", "a")
        results = [Chat.ask(gw, headers=order(cut=place)).run() for place in edges(one)]
        all_good(results, lambda _, r: told(r, TALE))
        gw.stop()


def test_halves_of_a_character(t):
    """A pair of surrogates that arrives in two events, cut between them; the other has the whole character."""
    halves = ["Hi ", "\ud83d", "\ude00", " and ", "\ud83d", "\ude80", "!"]
    text = whole_characters("".join(halves))
    one = Chat.events(halves, "one")
    other = {"raw": Chat.events([text], "other", escape=False), "escaped": Chat.events([text], "other"),
             "halves": Chat.events(halves, "other")}
    for name, events in other.items():
        a, b = t.upstream(telling(one, True)), t.upstream(telling(events))
        gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], name="gw-" + name)
        gw.order("breaker", "close", "a")
        results = [Chat.ask(gw, headers=order(cut=place)).run() for place in edges(one)]
        all_good(results, lambda _, r: told(r, text))
        gw.stop()


# Tools, choices, ids.

ARGUMENTS = ['{"ci', 'ty": "Gr', '\\u00fc', 'n", "days"', ': 3, "emoji": "', '\U0001f600', '"}']
WHOLE = "".join(ARGUMENTS)
PARTS = [WHOLE[n:n + 9] for n in range(0, len(WHOLE), 9)]


def tools_everywhere(t, api, key):
    tools = [("get_weather", ARGUMENTS), ("get_time", ['{"zone":', ' "UTC"}'])]
    others = [("get_weather", PARTS), ("get_time", ['{"zone": "UTC"}'])]
    one = api.events(["Let me ", "look. "], "one", tools=tools)
    other = api.events(["Let me look. "], "other", tools=others, escape=False)
    a, b = t.upstream(telling(one, True)), t.upstream(telling(other))
    gw = gateway(t, a, b)
    results = [api.ask(gw, headers=order(cut=place)).run() for place in edges(one)]

    def check(number, r):
        found = told(r, "Let me look. ")
        equal([tool[1:] for _, tool in sorted(found.tools.items())],
              [["get_weather", WHOLE], ["get_time", '{"zone": "UTC"}']], "tool calls, cut before event %d" % number)
        equal(found.finish[0], {"chat": "tool_calls", "messages": "tool_use"}[api.name], "finish")
        for index, tool in sorted(found.tools.items()):
            begun = any(key % ("one", index[1] - (api is Messages)) in event.decode() for event in one[:number])
            if r.endpoint == "a" and begun:
                assert "one" in tool[0], "the id of a call that had begun is another's: %s" % tool[0]
    all_good(results, check)


def test_tool_calls_chat(t):
    tools_everywhere(t, Chat, "call_%s%d")


def test_tool_calls_messages(t):
    tools_everywhere(t, Messages, "toolu_%s%d")


def test_a_tool_call_alone(t):
    """No text before it: the call itself is the first content."""
    for api in (Chat, Messages):
        one = api.events([], "one", tools=[("get_weather", ARGUMENTS)])
        other = api.events([], "other", tools=[("get_weather", PARTS)])
        a, b = t.upstream(telling(one, True)), t.upstream(telling(other))
        gw = t.gateway([endpoint("a", a, dialects=BOTH), endpoint("b", b, dialects=BOTH, priority=2)],
                       name="gw-" + api.name)
        gw.order("breaker", "close", "a")

        def check(_, r):
            found = told(r, "")
            equal([tool[1:] for tool in found.tools.values()], [["get_weather", WHOLE]], "tool calls")
            equal(len(found.ids), 1, "ids")
        all_good([api.ask(gw, headers=order(cut=place)).run() for place in edges(one)], check)
        gw.stop()


def test_other_tools_are_disagreement(t):
    """Another function, or other arguments: not the same answer."""
    one = Chat.events([], "one", tools=[("get_weather", ARGUMENTS)])[:5]
    cases = [Chat.events([], "other", tools=[("get_wealth", ARGUMENTS)]),
             Chat.events([], "other", tools=[("get_weather", ['{"town": "Bern"}'])]),
             Chat.events(["No."], "other")]
    for number, events in enumerate(cases):
        gw = t.gateway([endpoint("a", t.upstream(first(one))), endpoint("b", t.upstream(telling(events)), priority=2)],
                       name="gw%d" % number, retry={"attempts": 2})
        found = broken(Chat.ask(gw).run())
        equal([tool[1:] for tool in found.tools.values()], [["get_weather", "".join(ARGUMENTS[:3])]], "tool calls")


def test_two_choices(t):
    """n=2: each choice has its own place at which it goes on."""
    one = Chat.events(WORDS[:20], "one", choices=2)
    middle = Chat.events([], "other", choices=2)
    other = middle[:2] + [Chat.event("other", {"content": "".join(WORDS[:20])}, n) for n in (1, 0)] + middle[2:]
    a, b = t.upstream(telling(one, True)), t.upstream(telling(other))
    gw = gateway(t, a, b)
    results = [Chat.ask(gw, headers=order(cut=place), n=2).run() for place in edges(one)]

    def check(_, r):
        found = told(r, words(20))
        equal((found.texts[1], len(found.finish), len(found.ids)), (words(20), 2, 1), "the second choice")
    all_good(results, check)


def test_ids_of_responses(t):
    """Ids and sequence numbers go on as they began; the closing event holds the whole text."""
    one, other = Responses.events(WORDS, "one"), Responses.events(PAIRS, "other")
    a, b = t.upstream(telling(one, True)), t.upstream(telling(other))
    gw = gateway(t, a, b)
    places = edges(one)
    results = [Responses.ask(gw, headers=order(cut=places[number])).run() for number in range(6, 64, 3)]

    def check(_, r):
        found = told(r, STORY, "a")
        equal(found.whole, STORY, "the text of the closing event")
        equal(found.ids, {"resp_one", "msg_one"}, "ids")
        equal(found.numbers, sorted(set(found.numbers)), "sequence numbers")
    all_good(results, check)


# What breaks a stream besides a cut.

def test_stall(t):
    """Nothing for `idle`: the stalled one is left, the other goes on."""
    for api in APIS:
        one = api.events(WORDS, "one")
        places, gone = edges(one), threading.Event()
        tell = telling(one, True)

        def script(request, conn, tell=tell, gone=gone):
            result = tell(request, conn)
            gone.set()
            return result
        a, b = t.upstream(script), t.upstream(telling(api.events(PAIRS, "other")))
        gw = t.gateway([endpoint("a", a, dialects=BOTH, timeouts={"idle": "400ms"}),
                        endpoint("b", b, dialects=BOTH, priority=2)], name="gw-" + api.name)
        began = time.monotonic()
        told(api.ask(gw, headers=order(stall=places[30] + 5)).run(), STORY, "a")
        assert time.monotonic() - began >= 0.4, "given up before `idle`"
        assert gone.wait(5), "the stalled request is not ended upstream"
        equal((a.count, b.count), (1, 1), "requests upstream")
        gw.stop()


def test_error_event_in_the_stream(t):
    """The first one's error event is not passed on, nor the [DONE] that some send after it."""
    cases = [(Chat, b'data: {"error":{"message":"boom","type":"server_error","param":null,"code":"server_error"}}\n\n'
                    b"data: [DONE]\n\n"),
             (Chat, b'event: error\ndata: {"error":{"message":"boom","type":"overloaded","code":529}}\n\n'),
             (Messages, b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
                        b'"message":"boom"}}\n\n'),
             (Responses, b'event: error\ndata: {"type":"error","sequence_number":40,"code":"server_error",'
                         b'"message":"boom","param":null}\n\n')]
    for number, (api, event) in enumerate(cases):
        a = t.upstream(first(api.events(WORDS, "one")[:30], event))
        b = t.upstream(telling(api.events(PAIRS, "other")))
        gw = t.gateway([endpoint("a", a, dialects=BOTH), endpoint("b", b, dialects=BOTH, priority=2)],
                       name="gw%d" % number)
        r = api.ask(gw).run()
        told(r, STORY, "a")
        assert b"boom" not in r.body, "the error of the first came through: %s" % r
        gw.stop()


def test_clean_end_without_finish(t):
    """In good order, but too early: a truncated answer like any other."""
    for api in (Chat, Messages, Completions):
        a = t.upstream(first(api.events(WORDS, "one")[:30], "end"))
        b = t.upstream(telling(api.events(PAIRS, "other")))
        gw = t.gateway([endpoint("a", a, dialects=BOTH), endpoint("b", b, dialects=BOTH, priority=2)],
                       name="gw-" + api.name)
        told(api.ask(gw).run(), STORY, "a")
        gw.stop()


def test_malformed_events_on_both_sides(t):
    bad = b'data: {"choices":[{"delta":{"content":"half a\n\n'
    one, other = Chat.events(WORDS, "one"), Chat.events(PAIRS, "other")
    a = t.upstream(first(one[:10] + [bad] + one[10:30]))
    b = t.upstream(telling(other[:5] + [bad] + other[5:25] + [bad] + other[25:]))
    gw = gateway(t, a, b)
    told(Chat.ask(gw).run(), STORY, "a")


# No agreement, nobody, not allowed.

def test_disagreement(t):
    """The other tells another story: given up at the first character that differs, and nothing of it is passed on."""
    other_word = "WORD"
    for api in APIS:
        one = api.events(WORDS, "one")
        shown = 10 + content_from(one)
        stories = [[other_word + " one"] + WORDS,                      # at the first character
                   WORDS[:5] + ["Word06 " + other_word] + WORDS[6:],   # later
                   WORDS[:4],                                          # a shorter story, and its end
                   ["".join(WORDS[:9]) + "word1" + other_word]]        # in the middle of a word
        for number, story in enumerate(stories):
            a, b = t.upstream(first(one[:shown])), t.upstream(telling(api.events(story, "other")))
            gw = t.gateway([endpoint("a", a, dialects=BOTH, breaker={"failures": 100}),
                            endpoint("b", b, dialects=BOTH, priority=2)], name="gw-%s%d" % (api.name, number),
                           retry={"attempts": 2})
            r = api.ask(gw).run()
            equal(broken(r, dialect=api.name).text, words(10), "the text before the error")
            assert other_word.encode() not in r.body, "something of the other story: %s" % r
            equal((a.count, b.count), (1, 1), "requests upstream")
            gw.stop()


def test_given_up_at_the_first_character(t):
    """What differs is seen at once; the rest of the other story is not waited for, and not paid for."""
    ended = threading.Event()

    def script(_, conn):
        conn.send(stream_head() + chunked(b"".join(Chat.events(["word01 wOrd02"], "other")[:2])))
        if conn.gone(10):
            ended.set()
        return CLOSE
    a, b = t.upstream(first(Chat.events(WORDS, "one")[:10])), t.upstream(script)
    gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], retry={"attempts": 2})
    began = time.monotonic()
    broken(Chat.ask(gw).run(), STORY)
    assert time.monotonic() - began < 5, "the other story was listened to"
    assert ended.wait(5), "the replay is not ended upstream"


def test_the_connection_ends_after_the_error(t):
    a = t.upstream(first(Chat.events(WORDS, "one")[:10]))
    gw = gateway(t, a, t.upstream(telling(Chat.events(["Else."], "other"))))
    with gw.connect() as conn:
        conn.send(Chat.ask(gw).data)
        broken(conn.read(), STORY)
        assert conn.closed_by_peer(), "the connection stays open"


def test_nobody_left(t):
    """Alone and stalled: a silent one is not asked again. One error event, in bounded time."""
    for api in APIS:
        one = api.events(WORDS, "one")
        a = t.upstream(first(one[:30], "stall"))
        gw = t.gateway([endpoint("a", a, dialects=BOTH, timeouts={"idle": "400ms"})], name="gw-" + api.name)
        began = time.monotonic()
        broken(api.ask(gw).run(), STORY, api.name)
        assert 0.399 <= time.monotonic() - began < 5, "after %.1f s" % (time.monotonic() - began)
        equal(a.count, 1, "requests upstream")
        gw.stop()


def test_rescue_off(t):
    for api in (Chat, Messages):
        a, b = t.upstream(first(api.events(WORDS, "one")[:30])), t.sim("b" + api.name)
        gw = t.gateway([endpoint("a", a, dialects=BOTH), endpoint("b", b, dialects=BOTH, priority=2)],
                       stream={"rescue": "off"}, name="gw-" + api.name)
        broken(api.ask(gw).run(), STORY, api.name)
        equal((a.count, b.count), (1, 0), "requests upstream")
        gw.stop()


def test_no_budget_no_replay(t):
    """A replay counts against the budget; failing over before the first word does not."""
    a, b = t.sim("a", fault="cut@20"), t.sim("b")
    gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], retry={"budget": "0%", "budget_min": 0})
    equal(broken(Chat.ask(gw).run(), STORY).text, words(20), "the text before the error")
    equal((a.count, b.count), (1, 0), "requests upstream")
    a.fault("503")
    told(Chat.ask(gw).run(), STORY, "b")


def test_the_budget_bounds_replays(t):
    """Forty streams break at once: at most a fifth of them, or three, are sent again at a time; the rest is told so."""
    a, b = t.sim("a", ttft="500ms", fault="cut@20"), t.sim("b", ttft="700ms")
    gw = gateway(t, a, b, workers=4)
    whole = 0
    for r in crowd(40, lambda _: Chat.ask(gw).run(), 40):
        if said(r).ends:
            told(r, STORY, "a")
            whole += 1
        else:
            equal(broken(r, STORY).text, words(20), "the text before the error")
    assert 3 <= whole < 40, "%d of 40 were rescued" % whole
    assert 3 <= b.stats()["peak_in_flight"] <= 8, "%d replays at once" % b.stats()["peak_in_flight"]
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")
    a.fault()
    told(Chat.ask(gw).run(), STORY, "a")
    a.fault("cut@20")
    told(Chat.ask(gw).run(), STORY, "a")


# The replay breaks as well.

def test_the_first_replay_fails(t):
    """500, a refused connection, a 429, silence: the next one rescues."""
    cases = [lambda *_: failure(500), lambda *_: failure(429, headers={"Retry-After": "60"}), lambda *_: CLOSE,
             lambda *_: failure(400, "something I do not like", "bad", "invalid_request_error"),
             lambda _, conn: (conn.gone(20), CLOSE)[1], first([b": only a comment\n\n"], "stall")]
    for number, script in enumerate(cases):
        a, b = t.upstream(first(Chat.events(WORDS, "one")[:30])), t.upstream(script)
        c = t.upstream(telling(Chat.events(PAIRS, "other")))
        gw = t.gateway([endpoint(name, up, priority=n + 1, timeouts={"first_token": "400ms", "response": "1s"})
                        for n, (name, up) in enumerate((("a", a), ("b", b), ("c", c)))], name="gw%d" % number)
        found = told(Chat.ask(gw).run(), STORY, "a")
        equal(found.ids, {"chatcmpl-one"}, "ids")
        equal((a.count, b.count, c.count), (1, 1, 1), "requests upstream, case %d" % number)
        gw.stop()


def test_a_chain_of_cuts(t):
    """The second is cut as well, before or after what the first had given; a third goes on."""
    for number, until in enumerate((0, 1, 10, 12, 20, 30)):
        for api in (Chat, Messages):
            a = t.upstream(first(api.events(WORDS, "one")[:25]))
            b = t.upstream(first(api.events(PAIRS, "two")[:until]))
            c = t.upstream(telling(api.events(WORDS, "three")))
            gw = t.gateway([endpoint(name, up, priority=n + 1, dialects=BOTH)
                            for n, (name, up) in enumerate((("a", a), ("b", b), ("c", c)))],
                           name="gw-%s%d" % (api.name, number))
            found = told(api.ask(gw).run(), STORY, "a")
            equal(len(found.ids), 1, "ids")
            equal((a.count, b.count, c.count), (1, 1, 1), "requests upstream")
            gw.stop()


def test_alone_and_cut_again_and_again(t):
    """An endpoint that always breaks is asked three times in all; each time brings the client a little further."""
    lock, count = threading.Lock(), [0]

    def script(_, conn):
        with lock:
            count[0] += 1
            until = 10 * count[0]
        conn.send(stream_head() + chunked(b"".join(Chat.events(WORDS, "try%d" % count[0])[:until + 1])))
        return CLOSE
    a = t.upstream(script)
    gw = t.gateway([endpoint("a", a)])
    found = broken(Chat.ask(gw).run(), STORY)
    equal((a.count, found.text, len(found.ids)), (3, words(30), 1), "tries, text, ids")


def test_five_tries_in_all(t):
    """Never more than `attempts` for one request, however many could be asked."""
    ups = [t.upstream(first(Chat.events(WORDS, "try%d" % n)[:10 + n])) for n in range(6)]
    gw = gateway(t, *ups)
    broken(Chat.ask(gw).run(), STORY)
    equal(sum(up.count for up in ups), 5, "tries")


# While it lasts.

def test_comments_while_a_replay_is_awaited(t):
    """The other one takes three seconds to its first token: the client's connection is kept alive meanwhile."""
    a, b = t.sim("a", fault="cut@20"), t.sim("b", ttft="3s")
    gw = gateway(t, a, b)
    for api in (Chat, Messages):
        r = api.ask(gw).run()
        told(r, STORY, "a")
        moments = [when for when, _ in r.pieces]
        longest = max(later - earlier for earlier, later in zip(moments, moments[1:]))
        lines = [line for line in bytes(r.body).split(b"\n") if line.startswith(b":")]
        assert lines, "no comment in three seconds: %s" % r
        assert longest < 2.9, "%.1f s without a byte" % longest


def test_the_deadline_holds(t):
    """The caller's deadline ends a rescue that takes too long."""
    a, b = t.sim("a", fault="cut@20"), t.sim("b", ttft="20s")
    gw = gateway(t, a, b)
    began = time.monotonic()
    r = Chat.ask(gw, headers={"X-Gateway-Timeout": "1200"}).run()
    took = time.monotonic() - began
    equal(broken(r, STORY).text, words(20), "the text before the error")
    assert 1.199 <= took < 5, "%.2f s of 1.2" % took
    wait_until(lambda: b.stats()["in_flight"] == 0, 5, "the replay is ended upstream")


def test_the_client_leaves(t):
    a, b = t.sim("a", fault="cut@20"), t.sim("b", ttft="20s")
    gw = gateway(t, a, b)
    call = Chat.ask(gw).begin()
    wait_until(lambda: b.stats()["in_flight"] == 1, 5, "the replay is under way")
    call.abort()
    wait_until(lambda: b.stats()["in_flight"] == 0, 5, "the replay is ended upstream")
    equal(b.stats()["aborted"], 1, "aborted replays")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")


def test_a_slow_reader(t):
    """An answer of megabytes, cut near its end, for a client that takes its time: not a character lost."""
    long = ["%07d " % number for number in range(60000)]
    text = "".join(long)
    blocks = ["".join(long[n:n + 50]) for n in range(0, len(long), 50)]
    one, other = Chat.events(blocks, "one"), Chat.events([text[n:n + 777] for n in range(0, len(text), 777)], "other")
    gw = gateway(t, t.upstream(first(one[:-20])), t.upstream(telling(other)))
    with gw.connect(rcvbuf=4096) as conn:
        conn.send(Chat.ask(gw).data)
        time.sleep(1)
        found = told(conn.read(60), text, "a")
    equal(len(found.ids), 1, "ids")


def test_too_long_to_be_kept(t):
    """Beyond a megabyte of text nothing is remembered: then a cut is an error, and never a wrong splice."""
    blocks = ["%07d " % number * 100 for number in range(2500)]
    one = Chat.events(blocks, "one")
    gw = gateway(t, t.upstream(first(one[:-20])), t.upstream(telling(Chat.events(blocks, "other"))))
    r = Chat.ask(gw).run()
    if said(r).ends:
        told(r, "".join(blocks), "a")
    else:
        broken(r, "".join(blocks))


def test_two_hundred_at_once(t):
    """Through four workers: every one whole, each client's text its own, nothing left over."""
    a, b = t.sim("a", rate="150/s", fault="cut@40"), t.sim("b", rate="400/s")
    gw = gateway(t, a, b, workers=4, retry=AMPLE)
    results = crowd(200, lambda n: (Chat if n % 2 else Messages).ask(gw).run(), 200)

    def check(_, r):
        found = told(r, STORY, "a")
        equal(len(found.ids), 1, "ids")
    all_good(results, check)
    equal((a.count, b.count), (200, 200), "requests upstream")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")


# What is told about it.

def test_the_story_in_the_log(t):
    """The head was gone when it happened; the access log has both tries, and tells a rescue from a break."""
    a, b = t.sim("a", fault="cut@20"), t.sim("b")
    gw = gateway(t, a, b)
    for api in APIS:
        a.fault("cut@20")
        r = api.ask(gw).run()
        told(r, STORY, "a")
        equal((r.attempts, r.header("x-gateway-model")), ("1", "gpt-test"), "headers")
        rescued = line_of(gw, r)
        equal([(one["endpoint"], one["status"]) for one in rescued["attempts"]], [("a", 200), ("b", 200)], "tries")
        assert rescued["attempts"][0]["outcome"] != rescued["attempts"][1]["outcome"], "outcomes: %s" % rescued
        equal((rescued["status"], rescued["bytes"]), (200, len(r.body)), "status and bytes")
        a.fault()
        plain = line_of(gw, ok(api.ask(gw).run()) if api in (Chat, Completions) else api.ask(gw).run())
        equal(rescued["end"], plain["end"], "the end of a whole answer")
    gw.stop()
    c = t.upstream(first(Chat.events(WORDS, "one")[:20]))
    gw = t.gateway([endpoint("a", c)], stream={"rescue": "off"}, name="gw2")
    r = Chat.ask(gw).run()
    broken(r)
    assert line_of(gw, r)["end"] != plain["end"], "a broken stream ends as a whole one: %s" % line_of(gw, r)
    gw.stop()
    gw = t.gateway([endpoint("a", c)], retry={"attempts": 1}, name="gw3")
    r = Chat.ask(gw).run()
    broken(r)
    line = line_of(gw, r)
    equal((line["endpoint"], line["model_answered"], line["end"]), ("a", "gpt-test", "cut"), "whose answer broke off")


def line_of(gw, response):
    id = response.header("x-request-id")
    return wait_until(lambda: [line for line in gw.access if line["id"] == id], 5, "a line about %s" % id)[0]


def test_the_broken_one_pays(t):
    """A cut counts against the endpoint that was cut, and not against the one that helped: its breaker opens."""
    a, b = t.sim("a", fault="cut@20"), t.sim("b")
    gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)])
    for _ in range(20):
        told(Chat.ask(gw).run(), STORY)
    equal(gw.pair("a", "*")["state"], "open", "state of a")
    equal((a.count, b.count), (5, 20), "requests upstream")
    equal(gw.endpoint("b")["state"], "healthy", "state of b")


def test_an_answer_in_one_piece_is_not_spliced(t):
    """A cut before the whole of it is here fails over, from the start, as if nothing had been."""
    gw = gateway(t, t.sim("a", fault="cut@40"), t.sim("b"))
    for api in APIS:
        r = api.ask(gw, False).run()
        told(r, STORY, "b")
        equal(r.attempts, "2", "attempts")


def test_events_of_an_unknown_kind_are_kept(t):
    """What the gateway does not know (a vendor's own event before the cut) does not keep it from going on."""
    own = b'data: {"id":"chatcmpl-one","vendor":{"thinking":"hm"}}\n\n'
    one, other = Chat.events(WORDS, "one"), Chat.events(PAIRS, "other")
    a = t.upstream(first(one[:10] + [own] + one[10:30] + [b": a comment\n\n"]))
    b = t.upstream(telling([b": another comment\n\n"] + other))
    told(Chat.ask(gateway(t, a, b)).run(), STORY, "a")


def test_line_ends(t):
    """Events may end in CRLF at one and LF at the other."""
    one = [event.replace(b"\n", b"\r\n") for event in Chat.events(WORDS, "one")]
    other = Chat.events(PAIRS, "other")
    for number, (begins, goes_on) in enumerate(((one, other), (other, one))):
        a, b = t.upstream(first(begins[:20])), t.upstream(telling(goes_on))
        gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], name="gw%d" % number)
        told(Chat.ask(gw).run(), STORY, "a")


def test_an_empty_delta_first(t):
    """Some begin with an empty delta, some with a space; the texts are compared, not the events."""
    a = t.upstream(first([delta(""), delta(None), delta(" Once"), delta(""), delta(" upon")]))
    b = t.upstream(telling([delta(" Once upon a"), delta(" time."), delta(None, "stop"), b"data: [DONE]\n\n"]))
    told(Chat.ask(gateway(t, a, b)).run(), " Once upon a time.", "a")


# Who asked, and how.

def test_pinned(t):
    """A request that names its endpoint stays there, whoever else could go on."""
    a, b = t.sim("a", fault="cut@20#1"), t.sim("b")
    gw = gateway(t, a, b)
    told(Chat.ask(gw, headers={"X-Gateway-Endpoint": "a"}).run(), STORY, "a")
    equal((a.count, b.count), (2, 0), "requests upstream")
    equal(len({entry["body"] for entry in a.requests}), 1, "different bodies")


def test_the_connection_lives_on(t):
    """After a rescue the next request comes on the same connection, as after any whole answer."""
    a, b = t.sim("a", fault="cut@20"), t.sim("b")
    gw = gateway(t, a, b)
    with gw.connect() as conn:
        for api in (Chat, Messages, Chat):
            conn.send(api.ask(gw).data)
            told(conn.read(), STORY, "a")
        conn.send(Chat.ask(gw, False).data)
        told(conn.read(), STORY, "b")


def test_http_1_0(t):
    """No chunks there: the end of the connection is the end of the answer, so only [DONE] tells a whole one."""
    a, b = t.sim("a", fault="cut@20"), t.sim("b")
    gw = gateway(t, a, b)
    data = Chat.ask(gw).data.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    with gw.connect() as conn:
        conn.send(data)
        r = conn.read()
        equal(r.end, "close", "how it ends")
        told(r, STORY, "a")
    b.fault("500")
    with gw.connect() as conn:
        conn.send(data)
        broken(conn.read(), STORY)


def test_usage_comes_once(t):
    """Who asked for the usage is told the answering stream's, once; who did not is not."""
    a, b = t.sim("a", fault="cut@20"), t.sim("b")
    gw = gateway(t, a, b)
    for asked in (True, False):
        more = {"stream_options": {"include_usage": True}} if asked else {}
        r = Chat.ask(gw, **more).run()
        told(r, STORY, "a")
        counts = [json.loads(event)["usage"] for event in r.events[:-1] if json.loads(event).get("usage")]
        equal([count["completion_tokens"] for count in counts], [60] if asked else [], "usage")


# Nothing is left behind.

def test_the_budget_comes_back(t):
    """Clients that leave during a rescue, rescues that fail, a worker that is killed in one: the next is rescued."""
    a, b = t.sim("a", fault="cut@20"), t.sim("b", ttft="20s")
    gw = gateway(t, a, b, retry={"budget": "0%", "budget_min": 1, "attempts": 2})
    for number in range(3):
        call = Chat.ask(gw).begin()
        wait_until(lambda: b.stats()["in_flight"] == 1, 5, "a replay is under way")
        equal(broken(Chat.ask(gw).run(), STORY).text, words(20), "what the budget does not allow")
        if number == 2:
            for row in gw.workers():
                if row["in_flight"]:
                    kill(row["pid"])
        else:
            call.abort()
        wait_until(lambda: b.stats()["in_flight"] == 0, 5, "the replay is ended upstream")
    b.set(ttft=0)
    b.fault("cut@10")
    wait_until(lambda: len(gw.workers()) == 2, 10, "the killed worker is replaced")
    for _ in range(3):
        equal(broken(Chat.ask(gw).run(), STORY).text, words(20), "the text when the replay is cut, too")
    b.fault()
    for _ in range(3):
        told(Chat.ask(gw).run(), STORY, "a")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")
