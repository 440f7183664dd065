"""A first request, and everything a client can see of it.

An application points its OpenAI client at the gateway, over TCP or a Unix socket, streamed or not, and gets what the
upstream said, byte for byte and as it comes, with a few headers that tell which endpoint answered. What the gateway
answers itself (health, readiness, the list of models, an unknown model) is checked here too.
"""

import json
import threading

from harness import Conn, chat, endpoint, equal, failed, ok, request, wait_until, words
from client import duration
from upstream import DONE, LAST, answer, chunked, delta, stream_head


def test_unix_socket(t):
    sim = t.sim("a", tokens=20)
    gw = t.gateway([endpoint("a", sim)])
    r = ok(gw.ask("gpt-test"), "a")
    equal(r.text, words(20), "the text through the gateway")
    equal(r.text, sim.ask("gpt-test").text, "the text from the simulator itself")
    equal(r.header("content-type").split(";")[0], "application/json", "content type")


def test_tcp(t):
    gw = t.gateway([endpoint("a", t.sim("a", tcp=True, tokens=20))], tcp=True)
    r = ok(gw.ask("gpt-test", address=gw.tcp), "a")
    equal(r.text, words(20), "the text over TCP both ways")
    with Conn(gw.tcp) as conn:
        for number in range(3):
            conn.send(request("POST", "/v1/chat/completions", {"X-Request-Id": "kept-%d" % number}, chat()))
            equal(ok(conn.read()).header("x-request-id"), "kept-%d" % number, "one connection serves many requests")


def test_streaming(t):
    sim = t.sim("a", tokens=30)
    gw = t.gateway([endpoint("a", sim)], tcp=True)
    for address in (gw.unix, gw.tcp):
        r = ok(gw.ask("gpt-test", stream=True, address=address), "a")
        assert r.header("content-type").startswith("text/event-stream"), "not an event stream: %s" % r
        equal(r.end, "chunked", "how the stream ended")
        equal(r.text, words(30), "the streamed text")
        direct = sim.ask("gpt-test", stream=True)
        equal(len(r.events), len(direct.events), "the number of events")


def test_stream_byte_for_byte(t):
    """Comments, blanks left out, CRLF, several data lines, a character cut in two: the client gets the same bytes."""
    pieces = [b": PROCESSING\n\n", b'data:{"choices":[{"index":0,"delta":{"role":"assistant","content":"Gr\xc3',
              b'\xbc\xc3\x9fe"}}],  "x":1.50}\n\n',
              b"event: message\r\nid: 7\r\n" + delta("two").replace(b"\n", b"\r\n"),
              b": keep-alive\n\n" + delta("three") + delta("four"),
              b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"five"}}]}\n\n',
              delta(None, finish="stop"), DONE]

    def script(_, conn):
        conn.send(stream_head())
        for piece in pieces:
            conn.send(chunked(piece))
        conn.send(LAST)
    gw = t.gateway([endpoint("a", t.upstream(script))])
    r = gw.ask(stream=True)
    equal(bytes(r.body), b"".join(pieces), "the bytes of the stream")
    equal(r.end, "chunked", "how the stream ended")


def test_events_are_forwarded_as_they_arrive(t):
    """The upstream sends the next event only when the client has seen the one before."""
    seen = [threading.Event() for _ in range(5)]

    def script(_, conn):
        conn.send(stream_head())
        for number in range(5):
            conn.send(chunked(delta("word%d " % number)))
            assert seen[number].wait(10)
        conn.send(chunked(delta(None, finish="stop")) + chunked(DONE) + LAST)
    gw = t.gateway([endpoint("a", t.upstream(script))])
    call = gw.begin(stream=True)
    for number in range(5):
        call.wait_events(number + 1)
        seen[number].set()
    ok(call.finish())


def test_answer_byte_for_byte(t):
    """An unstreamed answer keeps its body, its status and the upstream's own headers; hop-by-hop headers end here."""
    body = b'{ "id" : "x",\r\n "choices":[ {"index":0, "message":{"role":"assistant","content":"a\\u00fc\xc3\xbc"},' \
           b'"finish_reason" :"stop"} ], "odd": 1.50e0, "model": "gpt-test" }\n'
    up = t.upstream(lambda *_: answer(200, body, {"OpenAI-Processing-Ms": "17", "Keep-Alive": "timeout=5"}))
    gw = t.gateway([endpoint("a", up)])
    r = ok(gw.ask())
    equal(bytes(r.body), body, "the body")
    equal(r.header("openai-processing-ms"), "17", "a header of the upstream's own")
    equal(r.header("keep-alive"), None, "a hop-by-hop header of the upstream")


def test_response_headers(t):
    gw = t.gateway([endpoint("a", t.sim("a", latency="30ms"))], models={"gpt-test": {"endpoints": ["a"]}})
    for stream in (False, True):
        r = ok(gw.ask("gpt-test", stream=stream, headers={"X-Request-Id": "my-own-id_1.2"}), "a")
        equal(r.header("x-request-id"), "my-own-id_1.2", "a request id that came with the request is kept")
        equal(r.header("x-gateway-model"), "gpt-test", "X-Gateway-Model")
        equal(r.header("x-gateway-attempts"), "1", "X-Gateway-Attempts")
        equal(r.header("x-gateway-cache"), "off", "X-Gateway-Cache")
        timing = r.header("server-timing")
        for part in ("gateway", "wait", "upstream"):
            assert duration(timing, part) is not None, "Server-Timing without %s: %s" % (part, timing)
    r = ok(gw.ask("gpt-test"))
    timing = r.header("server-timing")
    assert duration(timing, "upstream") >= 29, "the upstream took 30 ms: %s" % timing
    made = {gw.ask("gpt-test").header("x-request-id") for _ in range(5)}
    assert len(made) == 5 and all(made), "request ids are made, and each is another: %s" % made


def test_request_id_and_trace_go_upstream(t):
    up = t.upstream()
    gw = t.gateway([endpoint("a", up, headers={"X-Team": "search"})])
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ok(gw.ask(headers={"X-Request-Id": "abc", "traceparent": trace}))
    equal(up.last.header("traceparent"), trace, "traceparent")
    equal(up.last.header("x-request-id"), "abc", "X-Request-Id upstream")
    equal(up.last.header("x-team"), "search", "a header that the configuration adds")


def test_health_and_ready(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    r = gw.get("/health")
    equal(r.status, 200, "/health")
    assert b"healthy" in r.body, "/health says: %s" % r
    equal(gw.get("/ready").status, 200, "/ready")
    gw.order("drain", "a")
    equal(gw.get("/health").status, 200, "/health with nowhere to go")
    equal(gw.get("/ready").status, 503, "/ready with nowhere to go")
    gw.order("enable", "a")
    equal(gw.get("/ready").status, 200, "/ready again")


def test_list_of_models(t):
    gw = t.gateway([endpoint("a", t.sim("a"))], aliases={"fast": "gpt-mini"},
                   models={"gpt-test": {"endpoints": ["a"]}, "gpt-mini": {"endpoints": ["a"]}})
    listed = gw.get("/v1/models").json
    equal(listed["object"], "list", "object of the list")
    equal({model["id"] for model in listed["data"]}, {"gpt-test", "gpt-mini", "fast"}, "models and aliases")
    for model in listed["data"]:
        equal(model["object"], "model", "object of a model")
        assert isinstance(model["created"], int) and model["owned_by"], "as OpenAI describes a model: %s" % model
    equal(gw.get("/v1/models/gpt-mini").json["id"], "gpt-mini", "one model")
    equal(gw.get("/v1/models/fast").json["id"], "fast", "one alias")
    failed(gw.get("/v1/models/gpt-none"), 404, "model_not_found", "invalid_request_error")


def test_unknown_model(t):
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)], models={"gpt-4.1-mini": {"endpoints": ["a"]},
                                                "claude-sonnet": {"endpoints": ["a"]}})
    error = failed(gw.ask("gpt-4.1-mimi"), 404, "model_not_found", "invalid_request_error")
    assert error["message"].startswith("Model 'gpt-4.1-mimi' not found"), "message: %s" % error["message"]
    assert "gpt-4.1-mini" in error["message"], "the nearest name is a hint: %s" % error["message"]
    error = failed(gw.ask("xq"), 404, "model_not_found")
    assert "claude" not in error["message"], "a name that is near to none gets no hint: %s" % error["message"]
    equal(sim.count, 0, "requests upstream")


def test_any_model_without_models(t):
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)])
    for model in ("gpt-test", "org/some-model:beta", "modèle"):
        r = ok(gw.ask(model), "a")
        equal(r.json["model"], model, "the model as the upstream read it")
        if model.isascii():
            equal(r.header("x-gateway-model"), model, "X-Gateway-Model")


def test_rename(t):
    """`as`: the upstream knows the model by another name. Only that value changes; the body is otherwise untouched."""
    up = t.upstream()
    gw = t.gateway([endpoint("a", up)], aliases={"latest": "gpt-test"},
                   models={"gpt-test": {"endpoints": [{"name": "a", "as": "gpt-test-2025-04-14"}]},
                           "gpt-plain": {"endpoints": ["a"]}})
    shape = ('{ "messages" : [{"role":"user","content":"the \\"model\\": \\"gpt-test\\" stays, gr\\u00fcn grün"}],\r\n'
             '\t"nested":{"model":"gpt-test","list":["model",{"model":7}]}, "model" :  "%s" ,"x":1.50,"y":1E+2}  ')
    for asked, sent in (("gpt-test", "gpt-test-2025-04-14"), ("latest", "gpt-test-2025-04-14"),
                        ("gpt-plain", "gpt-plain"), ("gpt\\u002dtest", "gpt-test-2025-04-14"),
                        ("gpt\\u002dplain", "gpt\\u002dplain")):
        with gw.connect() as conn:
            conn.send(request("POST", "/v1/chat/completions", (), shape % asked))
            r = ok(conn.read())
        equal(up.last.body.decode(), shape % sent, "the body upstream when %s was asked" % asked)
        equal(r.header("x-gateway-model"), "gpt-plain" if "plain" in asked else "gpt-test", "the model that answered")


def test_other_apis(t):
    """Every POST under /v1 with a model is routed by it; the path goes upstream as it came, query and all."""
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)], models={"gpt-test": {"endpoints": ["a"]}})
    for path, more in (("/v1/completions", {"prompt": "x"}), ("/v1/embeddings", {"input": "x"}),
                       ("/v1/responses", {"input": "x"}), ("/v1/moderations", {"input": "x"})):
        body = json.dumps({"model": "gpt-test", **more})
        with gw.connect() as conn:
            conn.send(request("POST", path, (), body))
            r = conn.read()
        equal((r.status, r.endpoint), (200, "a"), path)
        equal(sim.requests[-1]["path"], path, "path upstream")
    up = t.upstream()
    gw = t.gateway([endpoint("b", up)], name="gw2")
    ok(gw.ask(path="/v1/chat/completions?api-version=2024-06-01"))
    equal(up.last.target, "/v1/chat/completions?api-version=2024-06-01", "target upstream")


def test_body_without_a_model(t):
    """A body that names no model is routed by X-Gateway-Model, else to the pool of all endpoints."""
    up, other = t.upstream(name="a"), t.upstream(name="b")
    gw = t.gateway([endpoint("a", up), endpoint("b", other)],
                   models={"whisper": {"endpoints": ["b"]}, "gpt-test": {"endpoints": ["a"]}})
    body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n\x00\x01\xff\r\n--x--\r\n'
    kind = ("Content-Type", "multipart/form-data; boundary=x")
    for _ in range(4):
        with gw.connect() as conn:
            conn.send(request("POST", "/v1/audio/transcriptions", [kind, ("X-Gateway-Model", "whisper")], body))
            ok(conn.read(), "b")
    equal(other.last.body, body, "the body upstream")
    equal(other.last.header("content-type"), kind[1], "its type")
    equal(other.last.header("x-gateway-model"), None, "the gateway's own header")
    with gw.connect() as conn:
        conn.send(request("POST", "/v1/audio/transcriptions", [kind], body))
        ok(conn.read())
    with gw.connect() as conn:
        conn.send(request("POST", "/v1/audio/transcriptions", [kind, ("X-Gateway-Model", "nobody")], body))
        failed(conn.read(), 404, "model_not_found")


def test_other_methods(t):
    """Files and the like: any method under /v1 goes to an endpoint and comes back as it is."""
    def script(r, _):
        return answer(200, b"" if r.method == "HEAD" else "%s %s" % (r.method, r.target), kind="text/plain")
    up = t.upstream(script)
    gw = t.gateway([endpoint("a", up)])
    for method, path in (("GET", "/v1/files?limit=2"), ("GET", "/v1/responses/resp_1"), ("DELETE", "/v1/files/file-7")):
        r = gw.get(path, method=method)
        equal((r.status, r.endpoint), (200, "a"), "%s %s" % (method, path))
        equal(bytes(r.body).decode(), "%s %s" % (method, path), "what the upstream said")


def test_the_length_of_what_head_did_not_bring(t):
    """A HEAD's Content-Length is that of a GET, which nobody knows here: none, rather than 0."""
    up = t.upstream(lambda r, conn: answer(200, "all of a file", kind="text/plain")[:-len("all of a file")])
    gw = t.gateway([endpoint("a", up)])
    with gw.connect() as conn:
        for _ in range(2):
            conn.send(request("HEAD", "/v1/files/file-7"))
            r = conn.read(method="HEAD")
            equal((r.status, r.endpoint, r.header("content-length")), (200, "a", None), "the answer to HEAD")


def test_pin_an_endpoint(t):
    gw = t.gateway([endpoint("a", t.sim("a")), endpoint("b", t.sim("b"), priority=2)])
    ok(gw.ask(), "a")
    ok(gw.ask(headers={"X-Gateway-Endpoint": "b"}), "b")
    r = gw.ask(headers={"X-Gateway-Endpoint": "nobody"})
    failed(r, 400, "bad_request", "invalid_request_error")


def test_every_worker_answers(t):
    gw = t.gateway([endpoint("a", t.sim("a"))], workers=4)
    gw.reach_all_workers()
    rows = gw.rows()
    equal(sorted(row["role"] for row in rows if row["role"] != "master"), ["steward"] + 4 * ["worker"], "processes")
    equal(len({row["pid"] for row in rows}), len(rows), "each is a process of its own")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")
