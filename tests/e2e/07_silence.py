"""Upstreams that are silent, slow, cut off or lying, before the first word and after it.

Until the first content has gone out everything fails over unseen. After it the client has half an answer: it gets an
error event and the end of the connection, without `[DONE]`; half an answer is never made to look whole.
"""

import json
import socket
import time

from harness import endpoint, equal, failed, ok, wait_until, words
from upstream import CLOSE, DONE, LAST, answer, chunked, completion, delta, failure, sse, stream_head


def pair(t, a, b, **keys):
    return t.gateway([endpoint("a", a, **keys), endpoint("b", b, priority=2)])


def interrupted(response):
    """A stream that failed after its first content: said so in its own dialect, and did not end as if it were whole."""
    equal(response.status, 200, "status of a stream that had begun")
    assert response.text, "nothing came before the failure: %s" % response
    assert response.stream_errors, "no error event: %s" % response
    for key in ("message", "type", "code"):
        assert key in response.stream_errors[-1], "the error event has no %r: %s" % (key, response)
    assert "[DONE]" not in response.events, "half an answer ends with [DONE]: %s" % response
    assert not response.done
    return response


def test_no_first_token(t):
    """Silence, and another candidate to go to: first_token is enough."""
    a, b = t.sim("a", fault="silence"), t.sim("b")
    gw = pair(t, a, b, timeouts={"first_token": "300ms"})
    began = time.monotonic()
    r = ok(gw.ask(stream=True), "b")
    equal(r.attempts, "2", "attempts")
    assert time.monotonic() - began >= 0.3, "given up after less than first_token"
    wait_until(lambda: a.stats()["in_flight"] == 0, 5, "the silent request is ended upstream")


def test_headers_alone_are_no_token(t):
    """A 200 and comments keep the line warm; they are not the first token."""
    def script(_, conn):
        conn.send(stream_head())
        for _ in range(100):
            if not conn.send(chunked(b": PROCESSING\n\n")):
                break
            time.sleep(0.05)
        return CLOSE
    gw = pair(t, t.upstream(script), t.sim("b"), timeouts={"first_token": "300ms"})
    r = ok(gw.ask(stream=True), "b")
    assert b"PROCESSING" not in r.body, "something of the silent endpoint is in the answer: %s" % r


def test_no_first_token_and_nowhere_to_go(t):
    """first_token is for changing horses; without another one the request waits on."""
    gw = t.gateway([endpoint("a", t.sim("a", ttft="1s"), timeouts={"first_token": "200ms"})])
    ok(gw.ask(stream=True), "a")


def test_no_answer_in_time(t):
    """An unstreamed request that is not answered within `response` goes to another endpoint."""
    a, b = t.sim("a", fault="silence"), t.sim("b")
    gw = pair(t, a, b, timeouts={"response": "400ms"})
    began = time.monotonic()
    equal(ok(gw.ask(), "b").attempts, "2", "attempts")
    assert time.monotonic() - began >= 0.4, "given up before `response`"
    single = t.gateway([endpoint("a", a, timeouts={"response": "400ms"})], name="gw2")
    failed(single.ask(), 502, "all_endpoints_failed", "server_error")


def test_slow_but_alive(t):
    """An answer that takes its time, within `response`, is waited for."""
    gw = pair(t, t.sim("a", latency="1s"), t.sim("b"), timeouts={"first_token": "100ms", "response": "20s"})
    ok(gw.ask(), "a")


def test_connection_refused(t):
    a, b = t.sim("a", tcp=True), t.sim("b")
    gw = pair(t, a, b)
    a.stop()
    for stream in (False, True):
        equal(ok(gw.ask(stream=stream), "b").attempts, "2", "attempts")


def test_no_connection_in_time(t):
    """A listener whose queue is full answers nothing: `connect` decides."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        filling = []
        try:
            for _ in range(3):
                sock = socket.socket()
                sock.setblocking(False)
                sock.connect_ex(deaf.getsockname())
                filling.append(sock)
            gw = pair(t, "http://127.0.0.1:%d/v1" % deaf.getsockname()[1], t.sim("b"), timeouts={"connect": "300ms"})
            began = time.monotonic()
            equal(ok(gw.ask(), "b").attempts, "2", "attempts")
            took = time.monotonic() - began
            assert 0.299 <= took < 4, "failed over after %.2f s of 0.3" % took
        finally:
            for sock in filling:
                sock.close()


def test_failures_before_the_first_content(t):
    """Each of these is unseen by the client, streamed or not."""
    a, b = t.sim("a"), t.sim("b", tokens=20)
    gw = pair(t, a, b)
    gw.order("breaker", "close", "a")
    wrong = []
    for fault in ("500", "502", "503", "504", "529", "reset", "error-in-200", "quota-in-200", "empty", "slow-down",
                  "429/retry-after-ms=1", "insufficient-quota", "402", "401", "403"):
        for stream in (False, True):
            gw.order("cooldown", "clear", "--all")
            a.fault(fault)
            r = gw.ask(stream=stream)
            # A reset may hit a connection that was kept alive; that try is repeated once on a fresh one.
            attempts = ("2", "3") if fault == "reset" else ("2",)
            if r.status != 200 or r.endpoint != "b" or r.attempts not in attempts or r.text != words(20):
                wrong.append("%s, %s: %s" % (fault, "streamed" if stream else "in one piece", r))
    assert not wrong, "\n".join(wrong)


def cut_body(_, conn):
    conn.send(answer(200, b"x" * 1000)[:-500])
    return CLOSE


def cut_chunks(_, conn):
    conn.send(stream_head() + chunked(b'{"choices": [{"message": {"content": "half an'))
    return CLOSE


def cut_stream(_, conn):
    opening = sse({"choices": [{"index": 0, "delta": {"role": "assistant"}}]})
    conn.send(stream_head() + chunked(b": hello\n\n" + opening))
    return CLOSE


def no_finish(_, conn):
    """A stream that ends in good order, without a word."""
    conn.send(stream_head() + LAST)


def test_cut_before_anything_could_be_given(t):
    """An unstreamed answer that breaks off, a stream that ends before its first word: the next candidate answers."""
    b = t.sim("b", tokens=20)
    cases = [(cut_stream, True), (no_finish, True), (cut_body, False), (cut_chunks, False)]
    cases += [(lambda *_, said=said: said, False) for said in (
        CLOSE, b"not HTTP at all\r\n\r\n", answer(200, b""), answer(200, {"choices": []}),
        answer(200, {"error": {"message": "no"}}), answer(200, b"<html>a login page</html>", kind="text/html"))]
    wrong = []
    for number, (script, stream) in enumerate(cases):
        a = t.upstream(script)
        gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], name="gw%d" % number)
        r = gw.ask(stream=stream)
        if (r.status, r.endpoint, r.attempts, a.count) != (200, "b", "2", 1) or r.text != words(20):
            wrong.append("case %d: asked %d times: %s" % (number, a.count, r))
        gw.stop()
    assert not wrong, "\n".join(wrong)


def test_cut_after_the_first_word(t):
    """Connection cut, error event, stall: the client is told, and the end is not made to look whole."""
    a, b = t.sim("a", tokens=40, rate="50/s"), t.sim("b")
    gw = t.gateway([endpoint("a", a, timeouts={"idle": "500ms"}), endpoint("b", b, priority=2)],
                   stream={"rescue": "off"})
    for fault in ("cut@5", "error-in-200@5", "stall@5"):
        a.fault(fault)
        r = interrupted(gw.ask(stream=True))
        equal(r.endpoint, "a", "who had begun to answer, before " + fault)
        assert words(40).startswith(r.text), "the text before %s: %r" % (fault, r.text)
        gw.order("breaker", "reset", "--all")
    equal(b.count, 0, "requests to the other endpoint")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")


def test_a_clean_end_without_finish_is_a_cut(t):
    """Chunks that end in good order, but no finish_reason and no [DONE]: a truncated answer."""
    def script(_, conn):
        conn.send(stream_head() + chunked(delta("Half ")) + chunked(delta("an ")) + LAST)
    gw = t.gateway([endpoint("a", t.upstream(script))], stream={"rescue": "off"})
    interrupted(gw.ask(stream=True))


def test_a_missing_done_is_supplied(t):
    """After the finish_reason the answer is whole; the `[DONE]` that the upstream forgot is added."""
    gw = t.gateway([endpoint("a", t.sim("a", tokens=10, fault="no-done"))])
    r = ok(gw.ask(stream=True))
    equal(r.text, words(10), "the text")


def test_an_event_that_is_no_json_is_dropped(t):
    gw = t.gateway([endpoint("a", t.sim("a", tokens=10, fault="bad-event@3"))])
    r = ok(gw.ask(stream=True))
    equal(r.text, words(10), "the text")
    for event in r.events[:-1]:
        try:
            json.loads(event)
        except ValueError:
            raise AssertionError("an event that is no JSON came through: %s" % event) from None


def test_total_ends_a_stream(t):
    gw = t.gateway([endpoint("a", t.sim("a", tokens=1000, rate="20/s"), timeouts={"total": "1s"})],
                   stream={"rescue": "off"})
    began = time.monotonic()
    interrupted(gw.ask(stream=True))
    assert time.monotonic() - began >= 1, "ended before `total`"


def test_total_before_an_answer(t):
    gw = t.gateway([endpoint("a", t.sim("a", fault="silence"), timeouts={"total": "500ms"})])
    for stream in (False, True):
        failed(gw.ask(stream=stream), 504, "deadline_exceeded", "server_error")


def test_the_callers_deadline(t):
    """X-Gateway-Timeout bounds everything, all attempts together."""
    a, b = t.sim("a", fault="silence"), t.sim("b", fault="silence")
    gw = pair(t, a, b, timeouts={"first_token": "300ms"})
    for stream in (False, True):
        began = time.monotonic()
        failed(gw.ask(stream=stream, headers={"X-Gateway-Timeout": "700"}), 504, "deadline_exceeded", "server_error")
        took = time.monotonic() - began
        assert 0.699 <= took < 5, "the deadline of 0.7 s ended after %.2f s" % took
    wait_until(lambda: a.stats()["in_flight"] + b.stats()["in_flight"] == 0, 5, "the requests are ended upstream")
    assert gw.endpoint("b")["state"] == "healthy", "the caller's deadline is no failure: %s" % gw.endpoint("b")


def test_all_failed(t):
    """502: each was tried, and the last one is quoted."""
    a = t.upstream(lambda *_: failure(503, "no room at the inn"))
    b = t.upstream(lambda *_: failure(500, "the barn burned down"))
    gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], wait={"max": "0s"})
    for stream in (False, True):
        error = failed(gw.ask(stream=stream), 502, "all_endpoints_failed", "server_error")
        for quoted in ("500", "the barn burned down"):
            assert quoted in error["message"], "the last outcome is not quoted: %s" % error["message"]
    equal((a.count, b.count), (2, 2), "requests upstream")


def test_a_long_quote_ends_with_a_character(t):
    """Whatever length the last one's words are cut to, none of them is cut in two."""
    for number in range(3):
        gw = t.gateway([endpoint("a", t.upstream(lambda *_: failure(500, "x" * number + "界" * 400)))],
                       wait={"max": "0s"}, name="gw%d" % number)
        message = failed(gw.ask(), 502, "all_endpoints_failed")["message"]
        assert "x" * number + "界" * 90 in message and "\ufffd" not in message, "the quote: %r" % message
        gw.stop()


def test_attempts_are_bounded(t):
    ups = [t.upstream(lambda *_: failure(503), name="u%d" % n) for n in range(8)]
    endpoints = [endpoint("u%d" % n, up) for n, up in enumerate(ups)]
    gw = t.gateway(endpoints, retry={"attempts": 3})
    failed(gw.ask(), 502, "all_endpoints_failed")
    equal(sum(up.count for up in ups), 3, "tries in all")
    equal(max(up.count for up in ups), 1, "tries of one endpoint")
    default = t.gateway(endpoints, name="gw2")
    failed(default.ask(), 502, "all_endpoints_failed")
    equal(sum(up.count for up in ups), 3 + 5, "tries in all, by default five")


def test_an_error_of_the_request_goes_straight_back(t):
    """The upstream's own status, body and headers, byte for byte; nobody else is asked."""
    b = t.sim("b")
    for number, status in enumerate((400, 404, 413, 422)):
        body = b'{ "error": {"message":"your fault","type":"invalid_request_error","param":"x","code":null} }\n'
        a = t.upstream(lambda *_: answer(status, body, {"X-Upstream-Id": "u-1"}), name="e%d" % number)
        gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)], name="gw%d" % number)
        for stream in (False, True):
            r = gw.ask(stream=stream)
            equal((r.status, bytes(r.body), r.whole), (status, body, True), "what came back")
            equal((r.endpoint, r.attempts, r.header("x-upstream-id")), ("a", "1", "u-1"), "headers")
        equal(a.count, 2, "requests upstream")
        gw.stop()
    equal(b.count, 0, "requests to the other endpoint")


def test_finish_reason_length_is_an_answer(t):
    """Empty content that the caller's own max_tokens made, a refusal, tool calls: answers, not failures."""
    b = t.sim("b")
    fine = [{"message": {"role": "assistant", "content": ""}, "finish_reason": "length"},
            {"message": {"role": "assistant", "content": None, "refusal": "I cannot."}, "finish_reason": "stop"},
            {"message": {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
             "finish_reason": "tool_calls"}]
    shown = iter(fine)
    a = t.upstream(lambda *_: answer(200, {"choices": [{"index": 0, **next(shown)}]}))
    gw = pair(t, a, b)
    for _ in fine:
        r = gw.ask()
        equal((r.status, r.endpoint), (200, "a"), "an answer")


def test_a_stream_asked_for_and_not_given(t):
    """An upstream that answers a streamed request in one piece has answered."""
    a = t.upstream(lambda r, _: completion(r, "All at once.") if not r.json.get("stream") else
                   answer(200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": "All at once."},
                                             "finish_reason": "stop"}]}))
    gw = pair(t, a, t.sim("b"))
    r = gw.ask(stream=True)
    equal((r.status, r.whole, r.endpoint), (200, True, "a"), "what came back")
    equal(r.json["choices"][0]["message"]["content"], "All at once.", "the text")


def test_done_without_closing(t):
    """`[DONE]` ends the stream, even when the upstream keeps its connection and says nothing more."""
    def script(_, conn):
        conn.send(stream_head() + chunked(delta("Hello ")) + chunked(delta(None, "stop")) + chunked(DONE))
        conn.gone(20)
        return CLOSE
    gw = t.gateway([endpoint("a", t.upstream(script))])
    r = ok(gw.ask(stream=True, timeout=8))
    equal(r.text, "Hello ", "the text")
