"""Another model answers when the one that was asked for cannot: in the order configured, and only when it has to.

What is too long for a model never reaches it. What an upstream calls the request's own doing goes straight back, and a
200 that holds no answer is none. Who is asked depends on the model's name, its aliases and the dialect spoken.
"""

import json
import time

from client import Call
from harness import endpoint, equal, failed, ok, request, wait_until
from upstream import DONE, LAST, Held, answer, chunked, delta, sse, stream_head


def three(t, m1=None, **keys):
    """Models m1, m2 and m3, each at an endpoint of its own: a, b and c."""
    sims = [t.sim(name) for name in "abc"]
    models = {"m1": {"endpoints": ["a"], "fallback": ["m2", "m3"], **(m1 or {})},
              "m2": {"endpoints": ["b"]}, "m3": {"endpoints": [{"name": "c", "as": "m3-2026-01-01"}]}}
    gw = t.gateway([endpoint(sim.name, sim) for sim in sims], models=models, **keys)
    return [gw] + sims


def asked(sim):
    """The models that an llmsim was asked for."""
    return [entry["model"] for entry in sim.requests]


def answered(r, endpoint_name, model):
    ok(r, endpoint_name)
    equal(r.header("x-gateway-model"), model, "X-Gateway-Model")
    return r


# Fallback models.

def test_in_their_order(t):
    gw, a, b, c = three(t)
    for stream in (False, True):
        answered(gw.ask("m1", stream=stream), "a", "m1")
    a.fault("429/retry-after=60")
    for stream in (False, True):
        answered(gw.ask("m1", stream=stream), "b", "m2")
    b.fault("429/retry-after=60")
    for stream in (False, True):
        answered(gw.ask("m1", stream=stream), "c", "m3")
    equal((asked(a), asked(b), asked(c)), (["m1"] * 3, ["m2"] * 3, ["m3-2026-01-01"] * 2), "models asked for upstream")
    gw.order("cooldown", "clear", "--all")
    a.fault()
    answered(gw.ask("m1"), "a", "m1")


def test_when_all_of_the_first_model_failed(t):
    """Loud failures are tried again within the model's patience; a pause that is longer is not begun."""
    gw, a, b, _ = three(t, m1={"patience": "5s"}, retry={"base": "20s"})
    for fault in ("500", "502", "503"):
        a.fault(fault)
        began = time.monotonic()
        r = answered(gw.ask("m1"), "b", "m2")
        assert time.monotonic() - began < 10, "it slept before it asked the other model"
        equal(r.attempts, "2", "attempts after %s" % fault)
    equal((a.count, b.count), (3, 3), "requests upstream")


def test_a_model_without_a_working_endpoint(t):
    gw, a, b, _ = three(t)
    gw.order("drain", "a")
    equal(answered(gw.ask("m1"), "b", "m2").attempts, "1", "attempts with a drained")
    gw.order("enable", "a")
    gw.order("breaker", "open", "a")
    equal(answered(gw.ask("m1"), "b", "m2").attempts, "1", "attempts with a held open")
    a.stop()
    gw.order("breaker", "auto", "a")
    answered(gw.ask("m1"), "b", "m2")


def test_patience_before_another_model(t):
    """The same model in a second is better than another one now; after its patience it is not."""
    gw, a, b, _ = three(t, m1={"patience": "5s"})
    a.fault("429#1/retry-after=1")
    equal(answered(gw.ask("m1"), "a", "m1").attempts, "2", "attempts")
    first, second = [entry["time_ms"] for entry in a.requests]
    assert second - first >= 999, "asked again after %d ms of 1000" % (second - first)
    equal(b.count, 0, "requests to the other model")
    a.fault("429/retry-after=25")
    began = time.monotonic()
    answered(gw.ask("m1"), "b", "m2")
    assert time.monotonic() - began < 15, "it waited for a wait that is longer than its patience"


def test_patience_ends_a_wait_for_a_place(t):
    up, b = t.upstream(Held()), t.sim("b")
    gw = t.gateway([endpoint("a", up, max_concurrent=1, adaptive=False), endpoint("b", b)],
                   models={"m1": {"endpoints": ["a"], "fallback": ["m2"], "patience": "600ms"},
                           "m2": {"endpoints": ["b"]}})
    first = gw.begin("m1")
    wait_until(lambda: up.count == 1, 5, "the only place is taken")
    began = time.monotonic()
    equal(answered(gw.ask("m1"), "b", "m2").attempts, "1", "attempts")
    assert time.monotonic() - began >= 0.599, "it had patience for %.3f s of 0.6" % (time.monotonic() - began)
    up.script.let()
    answered(first.finish(), "a", "m1")
    equal((up.count, gw.parked()), (1, 0), "requests upstream, and parked")


def test_no_fallback_wanted(t):
    gw, a, b, c = three(t, m1={"patience": "100ms"}, wait={"max": "5s"})
    a.fault("429/retry-after=60")
    for _ in range(2):
        error = failed(gw.ask("m1", headers={"X-Gateway-No-Fallback": "1"}), 429, "rate_limit_exceeded")
        equal(set(error["endpoints"]), {"a"}, "the endpoints named")
        assert 50 < error["retry_after"] <= 60, "when to come back: %s" % error
    equal((a.count, b.count, c.count), (1, 0, 0), "requests upstream")
    gw.order("cooldown", "clear", "--all")
    a.fault("429#1/retry-after=1")
    answered(gw.ask("m1", headers={"X-Gateway-No-Fallback": "1"}), "a", "m1")  # no patience to mind without one


def test_the_error_names_every_endpoint_of_every_model(t):
    gw, a, b, c = three(t)
    a.fault("429/retry-after=60")
    b.fault("429/retry-after=50")
    gw.order("drain", "c")
    error = failed(gw.ask("m1"), 429, "rate_limit_exceeded", "rate_limit_error")
    equal(set(error["endpoints"]), {"a", "b/m2", "c/m3"}, "the endpoints named")
    assert error["endpoints"]["a"].startswith("cooling "), "why: %s" % error
    assert error["endpoints"]["b/m2"].startswith("cooling "), "why: %s" % error
    assert error["endpoints"]["c/m3"].startswith("drained"), "why: %s" % error
    assert 40 < error["retry_after"] <= 50, "the soonest of all: %s" % error


def test_tries_are_counted_for_each_model(t):
    gw, a, b, c = three(t, m1={"patience": "5s"},
                        retry={"attempts": 2, "per_endpoint": 9, "base": "10ms", "factor": 1, "jitter": "0%"})
    for sim in (a, b, c):
        sim.fault("500")
    r = gw.ask("m1")
    failed(r, 502, "all_endpoints_failed", "server_error")
    assert max(a.count, b.count, c.count) <= 2 and min(a.count, b.count, c.count) >= 1, \
        "tries: %s of at most 2 for each model" % ([a.count, b.count, c.count],)
    equal(r.attempts, str(a.count + b.count + c.count), "X-Gateway-Attempts")


def test_many_tries_are_counted(t):
    a, b = t.sim("a", fault="500"), t.sim("b")
    gw = t.gateway([endpoint("a", a), endpoint("b", b)],
                   retry={"attempts": 100, "per_endpoint": 100, "base": "1ms", "max": "1ms", "jitter": "0%"},
                   models={"m1": {"endpoints": ["a"], "fallback": ["m2"]}, "m2": {"endpoints": ["b"]}})
    gw.order("breaker", "close", "a/m1")
    r = answered(gw.ask("m1"), "b", "m2")
    equal((a.count, r.attempts), (100, "101"), "X-Gateway-Attempts")


def test_a_fallback_at_the_same_endpoint(t):
    """A 429 concerns one model there; what concerns the whole endpoint spares the second model the try."""
    sim = t.sim("a", fault="429/retry-after=60/model=m1")
    gw = t.gateway([endpoint("a", sim, breaker={"failures": 1, "open": "60s", "max_open": "60s"})],
                   models={"m1": {"endpoints": ["a"], "fallback": ["m2"]}, "m2": {"endpoints": ["a"]}})
    answered(gw.ask("m1"), "a", "m2")
    equal(asked(sim), ["m1", "m2"], "models asked for upstream")
    sim.fault("429/retry-after=60")
    error = failed(gw.ask("m1"), 429, "rate_limit_exceeded")
    equal(set(error["endpoints"]), {"a", "a/m2"}, "what is named")
    gw.order("cooldown", "clear", "--all")
    sim.fault("insufficient-quota")
    before = sim.count
    assert gw.ask("m1").status == 429
    equal(sim.count - before, 1, "tries with an account that is spent")


# Names.

def test_aliases(t):
    sims = [t.sim(name) for name in "ab"]
    gw = t.gateway([endpoint(sim.name, sim) for sim in sims], aliases={"fast": "m2", "latest-gpt": "m1"},
                   models={"m1": {"endpoints": ["a"], "fallback": ["m2"]}, "m2": {"endpoints": ["b"]}})
    answered(gw.ask("fast"), "b", "m2")
    answered(gw.ask("latest-gpt"), "a", "m1")
    sims[0].fault("429/retry-after=60")
    answered(gw.ask("latest-gpt", stream=True), "b", "m2")
    equal((asked(sims[0]), asked(sims[1])), (["m1", "m1"], ["m2", "m2"]), "models asked for upstream")
    listed = {entry["id"] for entry in gw.get("/v1/models").json["data"]}
    equal(listed, {"m1", "m2", "fast", "latest-gpt"}, "GET /v1/models")
    for name in listed:
        equal(gw.get("/v1/models/" + name).status, 200, "GET /v1/models/%s" % name)
    for wrong, nearest in (("fasst", "fast"), ("latest-gtp", "latest-gpt"), ("m11", "m1")):
        error = failed(gw.ask(wrong), 404, "model_not_found", "invalid_request_error")
        assert "'%s'" % wrong in error["message"] and nearest in error["message"].replace(wrong, ""), \
            "no hint at %s: %s" % (nearest, error)
    error = failed(gw.ask("something-else-entirely"), 404, "model_not_found", "invalid_request_error")
    assert "latest-gpt" not in error["message"], "a hint at what is not near: %s" % error


def messages(gw, model="m1", **keys):
    return gw.ask(model, path="/v1/messages", max_tokens=9, **keys)


def test_who_understands_the_dialect(t):
    a, b = t.sim("a"), t.sim("b")
    gw = t.gateway([endpoint("a", a), endpoint("b", b, dialects=["anthropic"], priority=2)],
                   models={"m1": {"endpoints": ["a", "b"]}, "m2": {"endpoints": ["a"]}}, wait={"max": "1s"})
    ok(messages(gw), "b")
    ok(gw.ask("m1"), "a")
    a.fault("500")
    failed(gw.ask("m1"), 502, "all_endpoints_failed")
    equal({entry["path"] for entry in b.requests}, {"/v1/messages"}, "paths that b was asked for")
    equal({entry["path"] for entry in a.requests}, {"/v1/chat/completions"}, "paths that a was asked for")
    before = a.count
    r = messages(gw, "m2")
    equal((r.status, r.json["type"], r.json["error"]["type"]), (400, "error", "invalid_request_error"), "nobody can")
    assert "/v1/messages" in r.json["error"]["message"] and "request_id" in str(r.json), "what is wrong: %s" % r
    equal(a.count, before, "requests upstream")


def test_a_fallback_that_understands_the_dialect(t):
    a, b = t.sim("a"), t.sim("b")
    gw = t.gateway([endpoint("a", a), endpoint("b", b, dialects=["openai", "anthropic"])],
                   models={"m1": {"endpoints": ["a"], "fallback": ["m2"]}, "m2": {"endpoints": ["b"]}})
    answered(messages(gw), "b", "m2")
    answered(gw.ask("m1"), "a", "m1")
    equal(a.count, 1, "requests to the endpoint that speaks OpenAI's alone")


# What is the request's own doing.

def test_context_length_exceeded(t):
    """The upstream says it is too long: no second try there, no penalty, and on to a longer context if there is one."""
    sims = {name: t.sim(name) for name in "abcd"}
    gw = t.gateway([endpoint(name, sim) for name, sim in sims.items()],
                   models={"m1": {"endpoints": ["a", "d"], "context": 8000, "fallback": ["small", "large"]},
                           "small": {"endpoints": ["b"], "context": 4000},
                           "large": {"endpoints": ["c"], "context": 100000}, "alone": {"endpoints": ["a"]}})
    for name in "ad":
        sims[name].fault("context-length")
    for stream in (False, True):
        equal(answered(gw.ask("m1", stream=stream), "c", "large").attempts, "2", "attempts")
    equal((sims["a"].count + sims["d"].count, sims["b"].count), (2, 0), "requests to m1, and to the smaller model")
    for name in "ad":
        row = gw.pair(name, "m1")
        equal((row["state"], row["failures"]), ("healthy", 0), "no penalty for %s" % name)
    direct = sims["a"].ask("alone")
    r = gw.ask("alone")
    equal((r.status, r.json, r.attempts), (400, direct.json, "1"), "without a fallback, as the upstream said it")
    r = gw.ask("m1", headers={"X-Gateway-No-Fallback": "1"})
    equal((r.status, r.error["code"]), (400, "context_length_exceeded"), "without a fallback wanted")
    sims["c"].fault("context-length")
    r = gw.ask("m1")
    equal((r.status, r.error["code"]), (400, "context_length_exceeded"), "when the larger one says so too")


TEXT = "lorem ipsum dolor sit amet. "


def test_too_long_by_the_estimate(t):
    """Four bytes are a token, and 500 tokens are left free: what cannot fit is not even sent there."""
    gw, a, b, c = three(t, m1={"context": 2000})
    gw.write(models={**gw.config["models"], "m2": {"endpoints": ["b"], "context": 1000},
                     "m3": {"endpoints": ["c"], "context": 10000},
                     "strict": {"endpoints": ["a"], "context": 2000, "overflow": "reject", "fallback": ["m3"]}})
    gw.order("reload")
    answered(gw.ask("m1", content=TEXT * 40), "a", "m1")                 # 280 tokens
    for stream in (False, True):
        answered(gw.ask("m1", content=TEXT * 320, stream=stream), "c", "m3")  # 2240 tokens
    equal((a.count, b.count), (1, 0), "requests to the shorter ones")
    for model, text in (("m1", TEXT * 2000), ("strict", TEXT * 320)):
        error = failed(gw.ask(model, content=text), 400, "context_length_exceeded", "invalid_request_error")
        assert "context" in error["message"], "what is wrong: %s" % error
    r = gw.ask("m1", content=TEXT * 320, headers={"X-Gateway-No-Fallback": "1"})
    failed(r, 400, "context_length_exceeded", "invalid_request_error")
    answered(gw.ask("strict", content=TEXT * 40), "a", "strict")
    equal((a.count, b.count, c.count), (2, 0, 2), "requests upstream in the end")


def honest(r, conn):
    """An answer whose usage is what the prompt came to: estimates learn from it."""
    usage = {"prompt_tokens": len(r.body) // 4, "completion_tokens": 2, "total_tokens": len(r.body) // 4 + 2}
    return chat_answer({"content": "Yes."}, usage=usage)


def truncating(t, context=2000):
    up = t.upstream(honest)
    gw = t.gateway([endpoint("a", up)], models={"m1": {"endpoints": ["a"], "context": context, "overflow": "truncate"}})
    return gw, up


def send(gw, body):
    return Call(gw.unix, request("POST", "/v1/chat/completions", (), body)).run()


def test_truncate_drops_the_oldest(t):
    gw, up = truncating(t)
    said = ['{ "role":"system",  "content":"Be brief, s\\u00efr."}',
            '{"role":"user","content":"%s"}' % (TEXT * 150),
            '{"role" : "assistant", "content":"%s"}' % (TEXT * 20),
            '{"role":"user","content": "%s" }' % (TEXT * 20),
            '{"content":"Well, %s","role":"assistant"}' % (TEXT * 20),
            '{"content":"And now? %s","role":"user"  }' % (TEXT * 30)]
    left = (0, 3, 4, 5)  # the answer to a question that was left out goes with it
    before, after = '{"temperature": 0.50,"model" :"m1",\t"messages" :', ', "x-unknown": [1.0, "\\/"] , "seed":7 }'
    r = ok(send(gw, before + "[" + " ,".join(said) + "]" + after))
    got = up.last.body.decode()
    assert got.startswith(before) and got.endswith(after), "the rest is not as it came: %s ... %s" % (got[:90],
                                                                                                     got[-90:])
    equal(up.last.json["messages"], [json.loads(said[n]) for n in left], "the messages that were left")
    for n in left:
        assert said[n] in got, "message %d is not byte for byte as it came" % n
    equal(r.header("x-gateway-truncated"), "2", "X-Gateway-Truncated")
    assert len(got) / 4 <= 1500, "%d bytes are more than 1500 tokens" % len(got)
    whole = before + "[" + " ,".join([said[0], said[5]]) + "]" + after
    equal(ok(send(gw, whole)).header("x-gateway-truncated"), None, "X-Gateway-Truncated of what fits")
    equal(up.last.body.decode(), whole, "what fits, byte for byte")


def test_truncate_cuts_the_last(t):
    gw, up = truncating(t)
    long = TEXT * 500
    r = ok(gw.ask("m1", content=long))
    content = up.last.json["messages"][0]["content"]
    assert content.endswith("... [truncated]"), "the end: %r" % content[-60:]
    kept = content[:-len("... [truncated]")]
    assert long.startswith(kept.rstrip()) and 2000 <= len(kept) <= 6000, "%d bytes kept: %r" % (len(kept), kept[:80])
    equal(r.header("x-gateway-truncated"), "1", "X-Gateway-Truncated")
    for _ in range(3):  # what was cut is compared with what it cost, not what it was before
        ok(gw.ask("m1", content=long))
        assert len(up.last.body) / 4 <= 1650, "%d bytes are more than 1500 tokens" % len(up.last.body)
    body = json.dumps({"model": "m1", "messages": [
        {"role": "system", "content": "Stay."}, {"role": "user", "content": TEXT * 90},
        {"role": "assistant", "content": TEXT * 90}, {"role": "user", "content": "é" * 9000}]}, ensure_ascii=False)
    r = ok(send(gw, body.encode()))
    said = up.last.json["messages"]
    equal([each["role"] for each in said], ["system", "user"], "the messages that were left")
    assert said[1]["content"].startswith("ééé") and said[1]["content"].endswith("... [truncated]"), "the last one"
    equal(r.header("x-gateway-truncated"), "3", "X-Gateway-Truncated: two dropped, one cut")


def test_refusals_go_straight_back(t):
    gw, a, b, _ = three(t)
    for fault, status in (("content-filter", 400), ("400", 400), ("404", 404)):
        a.fault(fault)
        direct = a.ask("m1")
        for stream in (False, True):
            r = gw.ask("m1", stream=stream)
            equal((r.status, r.json, r.attempts, r.endpoint), (status, direct.json, "1", "a"), "refusal %s" % fault)
    equal(b.count, 0, "requests to the other model")
    equal((gw.pair("a", "m1")["state"], gw.pair("a", "m1")["failures"]), ("healthy", 0), "no penalty")


# What a 200 has to hold.

def chat_answer(message=None, finish="stop", **more):
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "m1", **more}
    if message is not None:
        body["choices"] = [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}]
    return answer(200, body)


def anthropic_answer(content, stop="end_turn"):
    return answer(200, {"id": "msg_1", "type": "message", "role": "assistant", "model": "m1", "content": content,
                        "stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 0}})


def stream_answer(*events):
    return stream_head() + b"".join(chunked(event) for event in events) + LAST


def event_of(change, finish=None):
    return sse({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m1",
                "choices": [{"index": 0, "delta": change, "finish_reason": finish}]})


CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
NO_ANSWERS = {
    "no choices": chat_answer(),
    "an empty list of choices": chat_answer(choices=[]),
    "an error object": answer(200, {"error": {"message": "no", "type": "server_error", "code": None}}),
    "empty content": chat_answer({"content": ""}),
    "no content": chat_answer({"content": None}),
    "no JSON": answer(200, "<html>busy</html>"),
    "nothing": answer(200, ""),
}
ANSWERS = {
    "a tool call": chat_answer({"content": None, "tool_calls": [CALL]}, "tool_calls"),
    "a refusal": chat_answer({"content": None, "refusal": "I would rather not."}),
    "no room": chat_answer({"content": ""}, "length"),
    "a word": chat_answer({"content": "Yes"}),
}
NO_STREAMS = {
    "an error": stream_answer(sse({"error": {"message": "no", "type": "server_error", "code": None}}), DONE),
    "only its end": stream_answer(DONE),
    "no content": stream_answer(event_of({"role": "assistant", "content": ""}), event_of({}, "stop"), DONE),
}
STREAMS = {
    "a tool call": stream_answer(event_of({"role": "assistant", "tool_calls": [{"index": 0, **CALL}]}),
                                 event_of({}, "tool_calls"), DONE),
    "a refusal": stream_answer(event_of({"refusal": "I would rather not."}), event_of({}, "stop"), DONE),
    "no room": stream_answer(event_of({"role": "assistant", "content": ""}), event_of({}, "length"), DONE),
    "a word": stream_answer(delta("Yes"), event_of({}, "stop"), DONE),
}
NO_MESSAGES = {
    "an empty list": anthropic_answer([]),
    "empty text": anthropic_answer([{"type": "text", "text": ""}]),
    "an error": answer(200, {"type": "error", "error": {"type": "api_error", "message": "no"}}),
}
MESSAGES = {
    "a tool call": anthropic_answer([{"type": "tool_use", "id": "t", "name": "look", "input": {}}], "tool_use"),
    "no room": anthropic_answer([], "max_tokens"),
    "a word": anthropic_answer([{"type": "text", "text": "Yes"}]),
}


def test_what_counts_as_an_answer(t):
    """Failures like a 502 are tried elsewhere, unseen; answers are passed on as they came."""
    now = {}
    up = t.upstream(lambda r, conn: now["answer"])
    both = ["openai", "anthropic"]
    b = t.sim("b")
    gw = t.gateway([endpoint("a", up, dialects=both), endpoint("b", b, priority=2, dialects=both)],
                   models={"m1": {"endpoints": ["a", "b"]}})
    gw.order("breaker", "close", "a/m1")
    wrong = []
    for table, good, path, stream in ((NO_ANSWERS, False, "/v1/chat/completions", False),
                                      (ANSWERS, True, "/v1/chat/completions", False),
                                      (NO_STREAMS, False, "/v1/chat/completions", True),
                                      (STREAMS, True, "/v1/chat/completions", True),
                                      (NO_MESSAGES, False, "/v1/messages", False),
                                      (MESSAGES, True, "/v1/messages", False)):
        for name, said in table.items():
            now["answer"] = said
            r = gw.ask("m1", path=path, stream=stream, max_tokens=9)
            want = ("a", "1") if good else ("b", "2")
            if (r.status, r.endpoint, r.attempts) != (200,) + want:
                wrong.append("%s%s, %s: expected %s, got %s" % (path, " streamed" if stream else "", name, want, r))
            elif good and not stream and not said.endswith(bytes(r.body)):
                wrong.append("%s, %s: not as it came: %s" % (path, name, r))
    assert not wrong, "\n".join(wrong)


def test_min_chars(t):
    now = {}
    up, b = t.upstream(lambda r, conn: now["answer"]), t.sim("b")
    gw = t.gateway([endpoint("a", up), endpoint("b", b, priority=2)],
                   models={"m1": {"endpoints": ["a", "b"], "validate": {"min_chars": 5}}, "m2": {"endpoints": ["a"]}})
    gw.order("breaker", "close", "a/m1")
    for text, want in (("Four", "b"), ("grün", "b"), ("Fives", "a"), ("fünf!", "a")):
        now["answer"] = chat_answer({"content": text})
        r = ok(gw.ask("m1"), want)
        equal(r.attempts, "1" if want == "a" else "2", "attempts for %r" % text)
    now["answer"] = chat_answer({"content": None, "tool_calls": [CALL]}, "tool_calls")
    ok(gw.ask("m1"), "a")
    now["answer"] = chat_answer({"content": "Four"})
    ok(gw.ask("m2"), "a")
