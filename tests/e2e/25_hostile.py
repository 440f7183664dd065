"""An upstream that means harm, or is broken as if it did: nothing that it sends may cost the gateway its time or its
memory, reach a client who could be harmed by it, or make the gateway ask somebody else in its name.

Each trick is played by an endpoint of its own, to a whole and to a streamed request, with a second endpoint behind it.
The client gets that one's whole answer, in bounded time; the trick counts as one failure of the endpoint that tried
it; the worker has not grown.
"""

import gzip
import json
import socket
import threading
import time

from harness import endpoint, equal, ok, rss, wait_until
from upstream import CLOSE, DONE, LAST, answer, chunked, completion, delta, sse, stream_head

OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"Content-Type: application/json\r\n"
EVENTS = b"Content-Type: text/event-stream\r\n"
MIB = 1 << 20
GROWTH = 32 * MIB
TIMEOUTS = {"first_token": "1s", "response": "1500ms", "idle": "1s"}


def whole(headers=b"", text="A trick."):
    """A good answer with these header lines in it."""
    body = json.dumps({"id": "x", "object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}).encode()
    return OK + JSON + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def raw(data):
    """Send these bytes, and end."""
    return lambda request, conn: CLOSE if conn.send(data) else CLOSE


def hang(data):
    """Send these bytes, and then nothing more."""
    def script(_, conn):
        conn.send(data)
        conn.gone(30)
        return CLOSE
    return script


def endless(start, piece, most=64 * MIB):
    """Send `piece` for ever, as far as a test can: until nobody listens, or more than anybody should take."""
    def script(_, conn):
        sent = 0 if conn.send(start) else most
        while sent < most and conn.send(piece):
            sent += len(piece)
        assert sent < most, "%d MiB were read" % (sent // MIB)
        return CLOSE
    return script


def by_kind(request):
    """The beginning of a good head for what was asked."""
    return OK + (EVENTS if request.json.get("stream") else JSON)


class Tricks:
    """A gateway between scripts (by name) and an honest second endpoint."""

    def __init__(self, t, scripts, **keys):
        self.scripts, self.names = list(scripts.values()), list(scripts)
        self.bad = t.upstream(self.play)
        self.good = t.upstream(lambda request, _: completion(request, "Honest words."))
        keys = {"timeouts": TIMEOUTS, **keys}
        numbers = range(len(self.scripts))
        self.gw = t.gateway([endpoint("e%d" % n, "unix:%s:/%d/v1" % (self.bad.where, n), **keys) for n in numbers] +
                            [endpoint("good", self.good, priority=2)], workers=1,
                            models={"m%d" % n: {"endpoints": ["e%d" % n, "good"]} for n in numbers})
        ok(self.gw.ask("m0", headers=[("X-Gateway-Endpoint", "good")]))
        self.before = sum(map(rss, self.gw.pids()))
        self.worker = self.gw.pids()[0]
        self.wrong = []

    def play(self, request, conn):
        try:
            return self.scripts[int(request.target.split("/")[1])](request, conn)
        except AssertionError as error:
            self.wrong.append("%s: %s" % (self.names[int(request.target.split("/")[1])], error))
            return CLOSE

    def failures(self, number):
        shown = self.gw.order("breaker", "show", "e%d" % number).json["breakers"]
        return sum(row["failures"] for row in shown)

    def try_each(self, judge, failures):
        """Every trick, whole and streamed; `judge(response)` complains."""
        for number, name in enumerate(self.names):
            for stream in (False, True):
                began = time.monotonic()
                r = self.gw.ask("m%d" % number, stream=stream, timeout=20)
                took = time.monotonic() - began
                where = "%s, %s" % (name, "streamed" if stream else "whole")
                complaint = judge(r)
                if complaint:
                    self.wrong.append("%s: %s: %s" % (where, complaint, r))
                if took > 8:
                    self.wrong.append("%s: took %.1f s" % (where, took))
                grown = sum(map(rss, self.gw.pids())) - self.before
                if grown > GROWTH:
                    self.wrong.append("%s: the worker grew by %d MiB" % (where, grown // MIB))
                if failures is not None and self.failures(number) != failures:
                    self.wrong.append("%s: %d failures counted, not %d" % (where, self.failures(number), failures))
                self.gw.order("breaker", "reset", "--all")
                self.gw.order("cooldown", "clear", "--all")
        self.over()

    def over(self):
        equal(self.gw.pids(), [self.worker], "the worker is the one that began")
        wait_until(lambda: self.gw.in_flight() == 0, 5, "nothing is in flight at the end")
        assert not self.wrong, "\n".join(self.wrong)


def honest(r):
    """A complaint unless this is the second endpoint's whole answer and nothing else."""
    text = r.text if r.status == 200 and r.whole else None
    good = text in ("Honest words.", "Honestwords.") and r.endpoint == "good" and r.attempts == "2"
    return None if good else "not the second endpoint's answer"


def test_heads_without_end(t):
    slowly = 0.02

    def byte_by_byte(_, conn):
        for byte in whole(b"X-Slow: %s\r\n" % (b"y" * 1000)):
            if not conn.send(bytes([byte])):
                return CLOSE
            time.sleep(slowly)
        return CLOSE
    Tricks(t, {
        "header lines": endless(OK, b"X-More: and more\r\n" * 1000),
        "one header line": endless(OK + b"X-Long: ", b"y" * 65536),
        "one header name": endless(OK, b"y" * 65536),
        "one status line": endless(b"HTTP/1.1 200 ", b"y" * 65536),
        "thousands of headers": raw(whole(b"A: 1\r\n" * 5000)),
        "headers beyond the bound": raw(whole(b"X-A: %s\r\n" % (b"y" * 1000) * 70)),
        "100": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        "103": endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n" * 1000),
        "trailers": endless(OK + JSON + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"{}") + b"0\r\n",
                            b"X-More: and more\r\n" * 1000),
        "one trailer": endless(OK + JSON + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"{}") + b"0\r\nX-A: ",
                               b"y" * 65536),
        "byte by byte": byte_by_byte,
    }).try_each(honest, 1)


def test_heads_that_are_none(t):
    said = whole()[len(OK):]
    Tricks(t, {
        "HTTP/0.9": raw(b"{\"choices\": []}\r\n\r\n"),
        "HTTP/0.9 with headers": raw(said),
        "another protocol": raw(b"ICY 200 OK\r\n" + said),
        "HTTP/2 in clear": raw(b"HTTP/2 200 \r\n" + said),
        "HTTP/3 in clear": raw(b"HTTP/3.0 200 OK\r\n" + said),
        "no status": raw(b"HTTP/1.1 OK\r\n" + said),
        "two digits": raw(b"HTTP/1.1 20 OK\r\n" + said),
        "four digits": raw(b"HTTP/1.1 2000 OK\r\n" + said),
        "status 000": raw(b"HTTP/1.1 000 OK\r\n" + said),
        "status 999": raw(b"HTTP/1.1 999 OK\r\n" + said),
        "101 that nobody asked for": raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"
                                         b"\r\n" + whole()),
        "101 and silence": hang(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
        "nothing": raw(b""),
        "binary": raw(bytes(range(256)) * 16),
        "a NUL in a value": raw(whole(b"X-Nul: a\0b\r\n")),
        "a line without a colon": raw(whole(b"no colon\r\n")),
        "a NUL in a name": raw(whole(b"X-N\0ul: a\r\n")),
    }).try_each(honest, 1)


def test_lengths_that_lie(t):
    def lengths(*lines):
        return raw(OK + JSON + b"".join(b"Content-Length: %s\r\n" % line for line in lines) + b"\r\n" +
                   whole().split(b"\r\n\r\n", 1)[1])
    size = b"%d" % len(whole().split(b"\r\n\r\n", 1)[1])
    Tricks(t, {
        "too long": lengths(b"100000"),
        "too short": lengths(b"20"),
        "negative": lengths(b"-5"),
        "signed": lengths(b"+" + size),
        "no number": lengths(b"many"),
        "hexadecimal": lengths(b"0x50"),
        "beyond 64 bits": lengths(b"99999999999999999999999"),
        "beyond 63 bits": lengths(b"18446744073709551615"),
        "two of them": lengths(size, b"20"),
        "two of them, the other way": lengths(b"20", size),
        "a list": lengths(size + b", 20"),
        "and chunks": raw(OK + JSON + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" +
                          chunked(whole().split(b"\r\n\r\n", 1)[1]) + LAST),
    }).try_each(honest, 1)


def test_chunks_that_lie(t):
    def chunks(body):
        return lambda request, conn: raw(by_kind(request) + b"Transfer-Encoding: chunked\r\n\r\n" + body)(
            request, conn)
    body = whole().split(b"\r\n\r\n", 1)[1]
    Tricks(t, {
        "no number": chunks(b"zz\r\n" + body),
        "negative": chunks(b"-5\r\n" + body),
        "beyond 64 bits": chunks(b"fffffffffffffffff\r\n" + body),
        "beyond 63 bits": chunks(b"ffffffffffffffff\r\n" + body),
        "larger than what follows": chunks(b"%x\r\n%s" % (len(body) + 50, body)),
        "without the last": chunks(chunked(body)),
        "smaller than what follows": chunks(b"5\r\n" + body + b"\r\n0\r\n\r\n"),
        "an extension without end": endless(OK + JSON + b"Transfer-Encoding: chunked\r\n\r\n5;", b"x" * 65536, 1 << 40),
    }).try_each(honest, 1)


def test_encodings_nobody_asked_for(t):
    """A bomb is not decoded, and not passed on either: whoever did not ask for gzip cannot read it."""
    bomb = gzip.compress(b" " * (200 * MIB), 9)
    packed = gzip.compress(whole().split(b"\r\n\r\n", 1)[1])

    def encoded(data, line, kind=JSON):
        return raw(OK + kind + line + b"Content-Length: %d\r\n\r\n" % len(data) + data)
    Tricks(t, {
        "a gzip bomb": encoded(bomb, b"Content-Encoding: gzip\r\n"),
        "a gzip bomb as events": encoded(bomb, b"Content-Encoding: gzip\r\n", EVENTS),
        "a good answer in gzip": encoded(packed, b"Content-Encoding: gzip\r\n"),
        "x-gzip": encoded(packed, b"content-encoding: x-gzip\r\n"),
        "br": encoded(packed, b"Content-Encoding: br\r\n"),
        "twice": encoded(gzip.compress(packed), b"Content-Encoding: gzip, gzip\r\n"),
        "as a transfer": raw(OK + JSON + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked(bomb) + LAST),
        "as a transfer alone": raw(OK + JSON + b"Transfer-Encoding: gzip\r\n\r\n" + bomb),
        "a refusal in gzip": raw(b"HTTP/1.1 400 Bad\r\n" + JSON + b"Content-Encoding: gzip\r\nContent-Length: " +
                                 b"%d\r\n\r\n" % len(packed) + packed),
    }).try_each(honest, 1)
    identity = t.gateway([endpoint("a", t.upstream(lambda r, c: completion(r, headers={
        "Content-Encoding": "identity"})))], name="identity")
    ok(identity.ask())
    ok(identity.ask(stream=True))


def test_events_without_end(t):
    head = OK + EVENTS + b"Transfer-Encoding: chunked\r\n\r\n"
    block = chunked(b"y" * 65536)
    quiet = delta(None)
    Tricks(t, {
        "a line": endless(head + chunked(b"data: "), block),
        "a comment": endless(head + chunked(b": "), block),
        "an event of many lines": endless(head, chunked(b"data: \"y\"\n" * 6000)),
        "beyond 4 MiB": raw(head + chunked(delta("z" * (5 * MIB))) + chunked(DONE) + LAST),
        "comments": endless(head, chunked(b": wait\n\n" * 8000)),
        "events without a word": endless(head, chunked(quiet * 400)),
        "bad events": endless(head, chunked(b"data: {]\n\n" * 6000), 1 << 40),
    }).try_each(honest, 1)


def test_an_event_without_end_after_content(t):
    """The client has half an answer by then, and is told so."""
    head = stream_head() + chunked(delta("Half an answer"))
    tricks = Tricks(t, {"a line": endless(head + chunked(b"data: "), chunked(b"y" * 65536))}, timeouts={
        "idle": "1s", "total": "5s"})
    r = tricks.gw.ask("m0", stream=True, timeout=20)
    assert r.stream_errors and "[DONE]" not in r.events and len(r.body) < 10000, "half an answer: %s" % r
    assert sum(map(rss, tricks.gw.pids())) - tricks.before < GROWTH, "the worker grew"
    tricks.over()


def test_a_body_without_end(t):
    """A success that never ends is passed on while it comes, and at the deadline does not look whole."""
    tricks = Tricks(t, {"json": endless(OK + JSON + b"\r\n", b" " * 65536, 1 << 50)}, timeouts={"total": "2s"})
    r = tricks.gw.ask("m0", timeout=20)
    assert not r.whole, "it is made to look whole: %s" % r
    assert sum(map(rss, tricks.gw.pids())) - tricks.before < GROWTH, "the worker grew"
    tricks.over()


def error_head(status, more=b""):
    return b"HTTP/1.1 %d No\r\n" % status + JSON + more + b"Transfer-Encoding: chunked\r\n\r\n"


def drip(start):
    """A body that goes on, one byte at a time."""
    def script(_, conn):
        going = conn.send(start)
        while going:
            time.sleep(0.05)
            going = conn.send(chunked(b" "))
        return CLOSE
    return script


def test_error_bodies_without_end(t):
    """The status says it all: nobody waits for the rest of what it has to say about it."""
    start = chunked(b'{"error": {"message": "no", "type": "x", "code": "y"')
    slow = {"response": "30s", "first_token": "30s"}
    Tricks(t, {
        "500, endless": endless(error_head(500), chunked(b"x" * 65536)),
        "500, drop by drop": drip(error_head(500) + start),
        "500 and silence": hang(error_head(500) + start),
        "503, cut": raw(error_head(503) + start),
    }, timeouts=slow).try_each(honest, 1)


def test_what_an_endless_error_asks_for(t):
    """Its wait counts although its body never ends, or ends too early."""
    wait = b"Retry-After: 30\r\n"
    tricks = Tricks(t, {
        "endless": endless(error_head(429, wait), chunked(b"x" * 65536)),
        "drop by drop": drip(error_head(429, wait)),
        "cut": raw(error_head(429, wait) + b"5"),
        "no such chunk": raw(error_head(429, wait) + b"zz\r\n"),
        "too short": raw(b"HTTP/1.1 429 No\r\n" + JSON + wait + b"Content-Length: 1000\r\n\r\n{}"),
    }, timeouts={"response": "30s", "first_token": "30s"})
    for number, name in enumerate(tricks.names):
        if honest(tricks.gw.ask("m%d" % number)):
            tricks.wrong.append("%s: not the second endpoint's answer" % name)
        row = tricks.gw.pair("e%d" % number, "m%d" % number)
        if row["state"] != "cooling" or not 20000 < row["until_ms"] <= 30000:
            tricks.wrong.append("%s: the pair is %s" % (name, row))
    tricks.over()


def test_an_endless_refusal(t):
    """The request's own fault, at length: the client learns the status, and as much as anybody would read."""
    tricks = Tricks(t, {"400": endless(error_head(400), chunked(b"x" * 65536))},
                    timeouts={"response": "30s", "first_token": "30s"})
    r = tricks.gw.ask("m0", timeout=10)
    equal((r.status, r.whole, len(r.body)), (400, True, 65536), "the refusal")
    tricks.over()


HARMFUL = [
    "Set-Cookie: session=stolen; Domain=.example.com", "Set-Cookie2: a=b", "Connection: close, X-Named, X-Other",
    "Connection: X-Third", "X-Named: secret-hop", "X-Other: secret-hop", "X-Third: secret-hop", "Keep-Alive: timeout=1",
    "Proxy-Authenticate: Basic realm=x", "Proxy-Authorization: Basic x", "Proxy-Connection: keep-alive", "Upgrade: h2c",
    "Trailer: X-Trailing", "TE: trailers", "Alt-Svc: h3=\":443\"; ma=86400", "Strict-Transport-Security: max-age=9",
    "Public-Key-Pins: pin-sha256=x", "Expect-CT: max-age=1", "Clear-Site-Data: \"*\"", "Location: http://evil.example/",
    "Refresh: 0; url=http://evil.example/", "Access-Control-Allow-Origin: *", "Access-Control-Allow-Credentials: true",
    "X-Accel-Redirect: /etc/passwd", "X-Sendfile: /etc/passwd", "X-Gateway-Endpoint: fake", "X-Gateway-Attempts: 9",
    "X-Request-Id: theirs", "Server-Timing: fake;dur=1", "Date: Thu, 01 Jan 1970 00:00:00 GMT", "NEL: {}",
    "Report-To: {\"group\": \"evil\"}", "Reporting-Endpoints: evil=\"http://evil.example/\"",
    "Service-Worker-Allowed: /", "SourceMap: http://evil.example/map",
]
INJECTED = [b"X-Split: a\rSet-Cookie: injected=1", b"X-Fold: a\r\n Set-Cookie: injected=2",
            b"X-Fold2: a\r\n\tinjected: 3", b"Bad Name: injected", b": injected", b"X-Bell: injected\x07",
            b"X-Esc: \x1b[31minjected", b"X-Del: injected\x7f", b"X-Space : injected"]


def test_headers_that_harm(t):
    """Of a good answer the good headers pass, and nothing that would act in the gateway's name."""
    lines = [line.encode() for line in HARMFUL] + INJECTED + [b"X-Harmless: yes", b"x-ratelimit-remaining-requests: 5"]

    def script(request, conn):
        if request.json.get("stream"):
            conn.send(OK + EVENTS + b"\r\n".join(lines) + b"\r\nTransfer-Encoding: chunked\r\n\r\n" +
                      chunked(delta("A trick.")) + chunked(delta(None, "stop")) + chunked(DONE) +
                      b"0\r\nX-Trailing: injected\r\nSet-Cookie: injected=4\r\n\r\n")
        else:
            conn.send(whole(b"\r\n".join(lines) + b"\r\n"))
        return CLOSE
    tricks = Tricks(t, {"headers": script})
    for stream in (False, True):
        r = ok(tricks.gw.ask("m0", stream=stream), "e0")
        names = {name.lower() for name, _ in r.headers}
        harmful = {line.split(":")[0].lower() for line in HARMFUL} - {
            "date", "x-request-id", "server-timing", "x-gateway-endpoint", "x-gateway-attempts", "connection"}
        equal(names & harmful, set(), "harmful headers, stream=%s" % stream)
        for bad in (b"injected", b"secret-hop", b"evil", b"theirs", b"1970", b"fake"):
            assert bad not in r.raw, "%s was passed on: %s" % (bad, bytes(r.raw)[:3000])
        equal((r.header("x-harmless"), r.header("x-ratelimit-remaining-requests"), r.attempts), ("yes", "5", "1"),
              "harmless headers")
        equal(len(r.all("date")) + len(r.all("x-request-id")) + len(r.all("server-timing")), 3, "one of each of ours")
    tricks.over()


def test_redirects_are_not_followed(t):
    """Whoever follows one takes the credential and the client's words to wherever it points."""
    thief = t.upstream()
    tcp = t.upstream(tcp=True)

    def redirect(status, where):
        return raw(answer(status, "moved", {"Location": where}))
    Tricks(t, {"%d" % status: redirect(status, where) for status, where in (
        (300, tcp.url), (301, tcp.url + "/chat/completions"), (302, tcp.url), (303, tcp.url), (305, tcp.url),
        (307, tcp.url + "/chat/completions"), (308, tcp.url + "/chat/completions"), (304, "unix:" + thief.where),
        (399, "file:///etc/passwd"))}).try_each(honest, 1)
    equal((thief.connections, tcp.connections), (0, 0), "connections to where the redirects point")


def test_an_answer_before_the_request(t):
    """Said without having listened: the first answer on a connection is the answer; the next must not be one too."""
    listening = t.path("early.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(listening)
        server.listen(50)

        def greet():
            while True:
                try:
                    conn, _ = server.accept()
                except OSError:
                    return
                conn.sendall(whole(text="Said too early."))
                kept.append(conn)
        kept = []
        threading.Thread(target=greet, daemon=True).start()
        good = t.upstream(lambda request, _: completion(request, "Honest words."))
        gw = t.gateway([endpoint("early", "unix:%s:/v1" % listening, timeouts=TIMEOUTS),
                        endpoint("good", good, priority=2)], workers=1)
        for size in (10, 3 * MIB):
            r = ok(gw.ask(content="x" * size, timeout=10))
            assert r.text in ("Said too early.", "Honest words."), "the answer: %s" % r
        server.shutdown(socket.SHUT_RDWR)
        for conn in kept:
            conn.close()


def test_an_answer_too_many(t):
    """What is said on a kept connection between two requests answers neither of them, nor does what comes with an
    answer, behind its end."""
    def script(request, conn):
        said = request.json["messages"][0]["content"]
        more = whole(text="Somebody else's answer.")
        conn.send(whole(text="The answer to %s." % said) + (more if said.startswith("at once") else b""))
        if said.startswith("later"):
            time.sleep(0.05)
            conn.send(more)
    bad = t.upstream(script)
    gw = t.gateway([endpoint("bad", bad), endpoint("good", t.upstream(), priority=2)], workers=1)
    for number in range(10):
        said = "%s %d" % ("later" if number % 2 else "at once", number)
        equal(ok(gw.ask(content=said), "bad").text, "The answer to %s." % said, "the answer")
        time.sleep(0.15 if number % 2 else 0)
    before = bad.connections
    for number in range(5):
        equal(ok(gw.ask(content="well %d" % number), "bad").text, "The answer to well %d." % number, "the answer")
    assert bad.connections <= before + 2, "%d connections for five requests" % (bad.connections - before)


def test_trailers(t):
    """They end with the answer that they follow."""
    def script(request, _):
        if request.json.get("stream"):
            return stream_head({"Trailer": "X-T"}) + chunked(delta("Fine.")) + chunked(delta(None, "stop")) + \
                chunked(DONE) + b"0\r\nX-T: trailing\r\nX-Gateway-Endpoint: trailing\r\n\r\n"
        body = whole(text="Fine.").split(b"\r\n\r\n", 1)[1]
        return OK + JSON + b"Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n" + chunked(body) + \
            b"0\r\nX-T: trailing\r\n\r\n"
    gw = t.gateway([endpoint("a", t.upstream(script))], workers=1)
    for stream in (False, True, False, True):
        r = ok(gw.ask(stream=stream), "a")
        equal(r.text, "Fine.", "the text")
        assert b"trailing" not in r.raw and b"X-T" not in r.raw, "a trailer: %s" % r
