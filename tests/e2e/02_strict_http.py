"""What two servers could read in two ways is refused, with an answer that says why; what is merely unusual works.

Every request of the first table is sent as raw bytes. The gateway answers 400 in the shape of the API, closes, and
nothing of it reaches an upstream: a request smuggled past the gateway would spend somebody's money.
"""

import hashlib
import json
import select
import threading
import time

from harness import chat, endpoint, equal, failed, head, ok, request, wait_until
from upstream import completion

BODY = chat()
TARGET = "/v1/chat/completions"


def post(*lines, body=BODY, length=True, first="POST %s HTTP/1.1" % TARGET, host=True):
    """A request whose head is made of exactly these lines."""
    lines = [first] + (["Host: x"] if host else []) + list(lines)
    if length:
        lines.append("Content-Length: %d" % len(body))
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunks(data, size_line=b"%x"):
    return size_line % len(data) + b"\r\n" + data + b"\r\n0\r\n\r\n"


CHUNKED = "Transfer-Encoding: chunked"

MALFORMED = {
    "bare LF in the head": post("X-A: b").replace(b"X-A: b\r\n", b"X-A: b\n"),
    "bare LF everywhere": post().replace(b"\r\n", b"\n"),
    "bare CR in a value": post("X-A: b\rc"),
    "NUL in a value": post("X-A: b\0c"),
    "obs-fold": post("X-A: b", " folded"),
    "obs-fold with a tab": post("X-A: b", "\tfolded"),
    "space before the colon": post("X-A : b"),
    "space before the colon of a length": post("Content-Length : %d" % len(BODY), length=False),
    "blank before the first header": b"POST %s HTTP/1.1\r\n X: y\r\nHost: x\r\n\r\n" % TARGET.encode(),
    "header without a colon": post("nonsense"),
    "empty header name": post(": b"),
    "header name that is no token": post("X(A): b"),
    "length and chunked": post(CHUNKED, body=chunks(BODY)),
    "chunked and length": post("Content-Length: 5", CHUNKED, body=chunks(BODY), length=False),
    "two different lengths": post("Content-Length: 5"),
    "the same length twice": post("Content-Length: %d" % len(BODY)),
    "a list of lengths": post("Content-Length: %d, %d" % (len(BODY), len(BODY)), length=False),
    "a signed length": post("Content-Length: +%d" % len(BODY), length=False),
    "a negative length": post("Content-Length: -1", length=False),
    "a hexadecimal length": post("Content-Length: 0x10", length=False),
    "an empty length": post("Content-Length:", length=False),
    "a length beyond 64 bits": post("Content-Length: 99999999999999999999", length=False),
    "two transfer codings": post("Transfer-Encoding: gzip, chunked", body=chunks(BODY), length=False),
    "chunked twice": post(CHUNKED, CHUNKED, body=chunks(BODY), length=False),
    "chunked in disguise": post("Transfer-Encoding: xchunked", body=chunks(BODY), length=False),
    "another transfer coding": post("Transfer-Encoding: identity"),
    "chunked in HTTP/1.0": post(CHUNKED, first="POST %s HTTP/1.0" % TARGET, body=chunks(BODY), length=False),
    "no Host": post(host=False),
    "two Hosts": post("Host: y"),
    "no version": post(first="POST %s" % TARGET),
    "HTTP/2 in words": post(first="POST %s HTTP/2.0" % TARGET),
    "lower-case http": post(first="POST %s http/1.1" % TARGET),
    "two blanks before the version": post(first="POST %s  HTTP/1.1" % TARGET),
    "a blank in the target": post(first="POST /v1/chat /completions HTTP/1.1"),
    "a tab in the request line": post(first="POST\t%s HTTP/1.1" % TARGET),
    "a fragment in the target": post(first="POST %s#x HTTP/1.1" % TARGET),
    "a target without a slash": post(first="POST v1/chat/completions HTTP/1.1"),
    "a method that is no token": post(first="PO(ST %s HTTP/1.1" % TARGET),
    "TLS spoken to a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)) + b"\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an expectation nobody knows": post("Expect: a-miracle"),
    "bad chunk size": post(CHUNKED, body=chunks(BODY, b"0x%x"), length=False),
    "negative chunk size": post(CHUNKED, body=b"-5\r\nhello\r\n0\r\n\r\n", length=False),
    "empty chunk size": post(CHUNKED, body=b"\r\nhello\r\n0\r\n\r\n", length=False),
    "chunk size with a blank before it": post(CHUNKED, body=chunks(BODY, b" %x"), length=False),
    "chunk size beyond 64 bits": post(CHUNKED, body=b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n", length=False),
    "chunk longer than its size": post(CHUNKED, body=b"3\r\nhello\r\n0\r\n\r\n", length=False),
    "bare LF after a chunk size": post(CHUNKED, body=b"5\nhello\r\n0\r\n\r\n", length=False),
    "bare LF after a chunk": post(CHUNKED, body=b"5\r\nhello\n0\r\n\r\n", length=False),
}


def test_malformed_requests(t):
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)])
    wrong = []
    for name, data in MALFORMED.items():
        with gw.connect() as conn:
            # What follows on the connection must not be taken for a request.
            conn.send(data + request("POST", TARGET, {"X-Request-Id": "smuggled"}, BODY))
            r = conn.read(5)
            try:
                failed(r, 400, "bad_request", "invalid_request_error")
                assert not conn.input, "something follows the refusal: %r" % bytes(conn.input)
                assert conn.closed_by_peer(), "the connection stays open"
            except AssertionError as error:
                wrong.append("%s: %s" % (name, error))
    assert not wrong, "\n".join(wrong)
    equal(sim.count, 0, "requests upstream")
    ok(gw.ask())


def test_bodies_that_cannot_be_routed(t):
    """Whole HTTP, but no JSON that says which model: 400, and the connection lives on."""
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)], models={"gpt-test": {"endpoints": ["a"]}})
    bad = ['{"model": "gpt-test", "messages": [}', '{"model": "gpt-test"', '{"model": 7, "messages": []}', "[]",
           '"gpt-test"', "nonsense", '{"model": "gpt-test"} and more', "[" * 100000]
    with gw.connect() as conn:
        for body in bad:
            conn.send(request("POST", TARGET, (), body))
            failed(conn.read(), 400, "bad_request", "invalid_request_error")
        conn.send(request("POST", TARGET, (), BODY))
        ok(conn.read())
    equal(sim.count, 1, "requests upstream")


def test_unusual_but_right(t):
    """Requests that look odd and have but one meaning."""
    up = t.upstream()
    gw = t.gateway([endpoint("a", up)])
    fine = {
        "blank lines before the request": b"\r\n\r\n" + post(),
        "names in capitals": post("CONTENT-LENGTH: %d" % len(BODY), length=False),
        "no blank after the colon": post("X-A:b"),
        "blanks around a value": post("X-A: \t b \t "),
        "an empty value": post("X-A:"),
        "a target in absolute form": post(first="POST http://x%s HTTP/1.1" % TARGET),
        "a higher minor version": post(first="POST %s HTTP/1.9" % TARGET),
        "bytes above ASCII in a value": post("X-A: gr\xfcn"),
        "chunk sizes in capitals, zeros and extensions": post(
            CHUNKED, length=False,
            body=b'00%X;a=b;c="d"\r\n%s\r\n000;x\r\nX-Trailer: dropped\r\n\r\n' % (len(BODY), BODY)),
        "Chunked in capitals": post("Transfer-Encoding: CHUNKED", body=chunks(BODY), length=False),
        "a body in single bytes": post(CHUNKED, body=b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n",
                                       length=False),
    }
    for name, data in fine.items():
        with gw.connect() as conn:
            conn.send(data)
            r = conn.read()
            assert r.status == 200 and r.whole, "%s: %s" % (name, r)
        equal(up.last.body, BODY, "the body upstream with " + name)
        equal(up.last.header("x-trailer"), None, "a trailer upstream")


def test_head_byte_by_byte(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    with gw.connect() as conn:
        for byte in request("POST", TARGET, {"X-A": "b"}, BODY):
            conn.send(bytes([byte]))
        ok(conn.read())


def test_too_large(t):
    """Over `limits`: 431 and 413, readable even by a client that is still sending."""
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)], tcp=True, limits={"header": "4KiB", "body": "64KiB"})
    big = BODY[:-1] + b" " * 3 * 1024 * 1024 + b"}"
    for address in (gw.unix, gw.tcp):
        for what, status, data in (
                ("one long header", 431, request("POST", TARGET, {"X-Long": "x" * 8000}, BODY)),
                ("a head without an end", 431, b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 1000000),
                ("many headers", 431, request("POST", TARGET, [("X-%d" % n, "y" * 80) for n in range(90)], BODY)),
                ("a long target", 431, request("GET", "/v1/" + "x" * 8000)),
                ("a declared length", 413, request("POST", TARGET, (), big)),
                ("a declared length, nothing sent", 413, head("POST", TARGET, {"Content-Length": len(big)})),
                ("a declared length, asked first", 413,
                 head("POST", TARGET, {"Content-Length": len(big), "Expect": "100-continue"})),
                ("chunks", 413, head("POST", TARGET, {"Transfer-Encoding": "chunked"}) +
                 b"".join(b"10000\r\n%s\r\n" % big[at:at + 65536] for at in range(0, 1 << 20, 65536))),
                ("one announced chunk", 413,
                 head("POST", TARGET, {"Transfer-Encoding": "chunked"}) + b"7fffffff\r\nxx")):
            with gw.connect(address) as conn:
                conn.send(data)
                r = conn.read(5)
                try:
                    failed(r, status, "request_too_large", "invalid_request_error")
                except AssertionError as error:
                    raise AssertionError("%s: %s" % (what, error)) from None
                equal(r.interim, [], "interim answers to " + what)
                assert conn.closed_by_peer(), "the connection stays open after %s" % what
    equal(sim.count, 0, "requests upstream")
    ok(gw.ask())


def test_slow_to_send(t):
    """408 for a head or a body that does not come; a kept-alive connection may rest."""
    gw = t.gateway([endpoint("a", t.sim("a"))], limits={"header_timeout": "300ms", "idle_timeout": "1s"})
    with gw.connect() as conn:
        began = time.monotonic()
        conn.send("POST %s HTTP/1.1\r\nHost: x\r\n" % TARGET)
        r = conn.read(5)
        assert time.monotonic() - began >= 0.29, "refused after %.3f s of 300 ms" % (time.monotonic() - began)
        failed(r, 408, "request_timeout", "invalid_request_error")
        assert conn.closed_by_peer(), "the connection stays open"
    # A head that trickles in is slow too, however busy it looks.
    with gw.connect() as conn:
        until = time.monotonic() + 5
        while not select.select([conn.sock], [], [], 0.05)[0]:
            assert time.monotonic() < until, "a head may trickle in for ever"
            conn.send("X")
        failed(conn.read(5), 408, "request_timeout")
    with gw.connect() as conn:
        conn.send(request("POST", TARGET, (), BODY))
        ok(conn.read())
        time.sleep(0.5)  # longer than a head may take
        conn.send(request("POST", TARGET, (), BODY))
        ok(conn.read())
        assert conn.closed_by_peer(5), "a connection that rests longer than idle_timeout is closed"
        assert not conn.input, "and nothing is said on it: %r" % bytes(conn.input)


def test_unknown_paths_and_methods(t):
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)])
    for method, path, statuses in (("GET", "/", (404,)), ("GET", "/nothing", (404,)), ("POST", "/v2/chat", (404,)),
                                   ("GET", "/v1", (404,)), ("DELETE", "/health", (405,)), ("POST", "/ready", (405,)),
                                   ("GET", "/../etc/passwd", (400, 404))):
        r = gw.get(path, method=method)
        assert r.status in statuses, "%s %s: expected %s: %s" % (method, path, statuses, r)
        failed(r, r.status, r.error.get("code"), "invalid_request_error")
        if r.status == 405:
            assert "GET" in r.header("allow", ""), "405 without Allow: %s" % r
    equal(sim.count, 0, "requests upstream")


def test_paths_that_climb_out(t):
    """Above /v1 an upstream may have other things, and the request would carry the gateway's key to them."""
    up = t.upstream()
    gw = t.gateway([endpoint("a", up)])
    for method in ("GET", "POST"):
        for path in ("/v1/../admin", "/v1/files/../../admin", "/v1/%2e%2e/admin", "/v1/x/.%2E/../admin", "/v1/..",
                     "/v1/..%2fadmin"):
            with gw.connect() as conn:
                conn.send(request(method, path, (), BODY if method == "POST" else None))
                r = conn.read(method=method)
            assert r.status in (400, 404) and up.count == 0, "%s %s was let through: %s" % (method, path, r)
    ok(gw.ask(path="/v1/chat/completions?path=../x"))


def test_pipelining(t):
    """Ten requests in one write, slow ones among them: ten answers, in order, none mixed up."""
    def script(r, conn):
        if int(r.header("x-request-id")) % 3 == 0:
            time.sleep(0.1)
        return completion(r, "answer %s" % r.header("x-request-id"))
    gw = t.gateway([endpoint("a", t.upstream(script))], tcp=True)
    for address in (gw.unix, gw.tcp):
        with gw.connect(address) as conn:
            conn.send(b"".join(request("POST", TARGET, {"X-Request-Id": str(n)}, chat(stream=n % 2 == 0))
                               for n in range(10)))
            for number in range(10):
                r = ok(conn.read())
                equal((r.header("x-request-id"), r.text.replace(" ", "")), (str(number), "answer%d" % number), "order")


def test_chunked_request_body(t):
    up = t.upstream()
    gw = t.gateway([endpoint("a", up)])
    with gw.connect() as conn:
        conn.send(head("POST", TARGET, {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}))
        for at in range(0, len(BODY), 7):
            piece = BODY[at:at + 7]
            conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        conn.send(b"0\r\n\r\n")
        ok(conn.read())
        conn.send(request("POST", TARGET, (), BODY))
        ok(conn.read())
    equal([r.body for r in up.requests], [BODY, BODY], "bodies upstream")


def test_expect_100_continue(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    for framing, body in (({"Content-Length": len(BODY)}, BODY), ({"Transfer-Encoding": "chunked"}, chunks(BODY))):
        with gw.connect() as conn:
            conn.send(head("POST", TARGET, {**framing, "Expect": "100-continue"}))
            wait_until(lambda: not conn.more(time.monotonic() + 5) or b"\r\n\r\n" in conn.input, 5, "100 Continue")
            assert conn.input.startswith(b"HTTP/1.1 100 "), "expected 100 Continue: %r" % bytes(conn.input)
            conn.send(body)
            r = ok(conn.read())
            equal(r.interim, [100], "interim answers")
    # A client that does not wait for it is served as well.
    with gw.connect() as conn:
        conn.send(request("POST", TARGET, {"Expect": "100-continue"}, BODY))
        ok(conn.read())


def test_http_1_0(t):
    """No chunks, and the connection closes unless keep-alive was asked for."""
    sim = t.sim("a", tokens=12)
    gw = t.gateway([endpoint("a", sim)])
    for stream in (False, True):
        with gw.connect() as conn:
            conn.send(request("POST", TARGET, (), chat(stream=stream), version="1.0"))
            r = ok(conn.read())
            equal(r.text, sim.ask().text, "the text")
            equal(r.header("transfer-encoding"), None, "Transfer-Encoding in HTTP/1.0")
            if stream:
                equal(r.end, "close", "how a stream ends in HTTP/1.0")
            assert conn.closed_by_peer(), "the connection stays open"
    with gw.connect() as conn:
        for _ in range(2):
            conn.send(request("POST", TARGET, {"Connection": "keep-alive"}, BODY, version="1.0"))
            r = ok(conn.read())
            equal((r.end, r.header("connection", "").lower()), ("length", "keep-alive"), "keep-alive in HTTP/1.0")


def test_connection_close(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    for stream in (False, True):
        with gw.connect() as conn:
            conn.send(request("POST", TARGET, {"Connection": "close"}, chat(stream=stream)))
            r = ok(conn.read())
            equal(r.header("connection", "").lower(), "close", "Connection")
            assert conn.closed_by_peer(), "the connection stays open"


def test_large_bodies(t):
    """8 MiB, by length and in chunks, arrive whole; so does an answer of that size."""
    text = "".join(chr(97 + n % 26) for n in range(1 << 16)) * 128
    body = json.dumps({"messages": [{"role": "user", "content": text}], "model": "gpt-test"}).encode()
    digest = hashlib.sha256(body).hexdigest()
    up = t.upstream(lambda r, _: completion(r, text))
    gw = t.gateway([endpoint("a", up)], tcp=True)
    framed = [request("POST", TARGET, (), body),
              head("POST", TARGET, {"Transfer-Encoding": "chunked"}) + b"".join(
                  b"%x\r\n%s\r\n" % (len(body[at:at + 100003]), body[at:at + 100003])
                  for at in range(0, len(body), 100003)) + b"0\r\n\r\n"]
    for address in (gw.unix, gw.tcp):
        for data in framed:
            with gw.connect(address) as conn:
                conn.send(data)
                r = ok(conn.read(30))
                assert r.text == text, "the answer is not the 8 MiB that the upstream sent"
            equal(hashlib.sha256(up.last.body).hexdigest(), digest, "digest of the body upstream")


def test_head_of_health(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    with gw.connect() as conn:
        for _ in range(2):
            conn.send(request("HEAD", "/health"))
            r = conn.read(method="HEAD")
            equal(r.status, 200, "HEAD /health")
            conn.send(request("GET", "/health"))
            r = conn.read(method="GET")
            equal((r.status, r.whole), (200, True), "GET on the same connection")


def test_half_closed_client(t):
    """A client that is done sending, but still reads, gets its answer or a clean end; never a stuck connection."""
    gw = t.gateway([endpoint("a", t.sim("a", latency="100ms"))])
    with gw.connect() as conn:
        conn.send(request("POST", TARGET, (), BODY))
        conn.sock.shutdown(1)
        r = conn.read(5)
        assert r.end in ("length", "chunked", "cut"), "a half-closed connection hangs: %s" % r
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")


def test_many_connections_at_once(t):
    """300 connections rest while others are served; all of them are then served too."""
    gw = t.gateway([endpoint("a", t.sim("a"))])
    conns = [gw.connect() for _ in range(300)]
    try:
        ok(gw.ask())
        threads = [threading.Thread(target=conn.send, args=(request("POST", TARGET, (), BODY),)) for conn in conns]
        for thread in threads:
            thread.start()
        for conn, thread in zip(conns, threads):
            thread.join()
            ok(conn.read(20))
    finally:
        for conn in conns:
            conn.close()
