"""Whose key goes where: the endpoint's own goes upstream as configured, the client's never does, and none leaks.

The upstreams here are scripted, so that every header is seen as it was sent.
"""

import os

from harness import alive, descendants, endpoint, equal, failed, ok, wait_until
from upstream import LAST, answer, chunked, completion, failure, sse, stream_head

KEY = "sk-hushhush-0123456789abcdef"
CLIENT = {"Authorization": "Bearer client-secret", "x-api-key": "client-secret", "api-key": "client-secret"}


def sent(up):
    return {name.lower(): value for name, value in up.last.headers}


def test_how_the_key_is_sent(t):
    env = {"UP_KEY": KEY}
    keyfile = t.path("key")
    with open(os.open(keyfile, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write("  %s \n" % KEY)
    os.chmod(keyfile, 0o600)
    for number, (auth, header, value) in enumerate((("bearer", "authorization", "Bearer " + KEY),
                                                   ("x-api-key", "x-api-key", KEY), ("api-key", "api-key", KEY))):
        up = t.upstream()
        gw = t.gateway([endpoint("a", up, auth=auth, key=("env:UP_KEY", "file:" + keyfile)[number % 2])], env=env,
                       name="gw%d" % number)
        ok(gw.ask(headers=CLIENT))
        headers = sent(up)
        equal(headers.get(header), value, "the header %s" % header)
        for name in ("authorization", "x-api-key", "api-key"):
            if name != header:
                equal(headers.get(name), None, "the header %s with auth: %s" % (name, auth))
        assert "client-secret" not in str(headers), "the client's credential went upstream: %s" % headers
        equal(len([1 for name, _ in up.last.headers if name.lower() == header]), 1, "headers %s" % header)
        gw.stop()


def test_account_key(t):
    up, own = t.upstream(), t.upstream()
    gw = t.gateway([{"name": "a", "url": up.url, "account": "team"},
                    endpoint("b", own, key="env:OTHER_KEY", account="team", priority=2)],
                   accounts={"team": {"key": "env:UP_KEY"}}, env={"UP_KEY": KEY, "OTHER_KEY": "sk-other"})
    ok(gw.ask(), "a")
    equal(up.last.header("authorization"), "Bearer " + KEY, "the account's key")
    gw.order("drain", "a")
    ok(gw.ask(), "b")
    equal(own.last.header("authorization"), "Bearer sk-other", "an endpoint's own key")


def test_no_key(t):
    up = t.upstream()
    gw = t.gateway([endpoint("a", up, key="none")])
    ok(gw.ask(headers=CLIENT))
    assert "client-secret" not in str(up.last.headers), "the client's credential went upstream: %s" % up.last.headers
    equal(up.last.header("authorization"), None, "Authorization")


def test_passthrough(t):
    up = t.upstream()
    gw = t.gateway([endpoint("a", up, key="passthrough")])
    ok(gw.ask(headers={"Authorization": "Bearer client-secret"}))
    equal(up.last.header("authorization"), "Bearer client-secret", "the client's own credential")
    ok(gw.ask())
    equal(up.last.header("authorization"), None, "Authorization when the client sent none")


def test_headers_that_end_here(t):
    up = t.upstream()
    gw = t.gateway([endpoint("a", up, headers={"X-Team": "search"})])
    ok(gw.ask(headers={"X-Gateway-Timeout": "9000", "X-Gateway-Cache": "no-store", "X-Gateway-No-Fallback": "1",
                       "X-Gateway-Whatever": "x", "Connection": "keep-alive, X-Private", "X-Private": "hop",
                       "Keep-Alive": "300", "TE": "trailers", "Trailer": "X", "Upgrade": "h2c",
                       "Proxy-Authorization": "Basic cHJveHk6c2VjcmV0",
                       "Proxy-Connection": "keep-alive", "Accept-Encoding": "gzip, br", "X-Team": "forged",
                       "OpenAI-Organization": "org-1", "User-Agent": "my-app/1.0", "Accept": "text/event-stream"}))
    headers = sent(up)
    for name in headers:
        assert not name.startswith("x-gateway-"), "%s went upstream" % name
    for name in ("x-private", "keep-alive", "te", "trailer", "upgrade", "proxy-authorization", "proxy-connection",
                 "accept-encoding", "transfer-encoding", "expect"):
        equal(headers.get(name), None, "the header %s upstream" % name)
    for name, value in (("openai-organization", "org-1"), ("user-agent", "my-app/1.0"), ("accept", "text/event-stream"),
                        ("content-type", "application/json"), ("x-team", "search")):
        equal(up.last.header(name), value, "the header %s upstream" % name)
    equal(up.last.header("content-length"), str(len(up.last.body)), "Content-Length upstream")
    assert up.last.header("host") not in (None, "gateway.test"), "the client's Host went upstream"


def test_the_key_is_nowhere(t):
    """Not in a log, the region, an answer of the CLI, a command line, an environment or an error."""
    refusing = []
    up = t.upstream(lambda r, _: failure(500, "out of order") if refusing else completion(r))
    gw = t.gateway([endpoint("a", up, key="env:UP_KEY")], env={"UP_KEY": KEY}, log={"level": "debug"})
    ok(gw.ask())
    equal(up.last.header("authorization"), "Bearer " + KEY, "the key upstream")
    refusing.append(True)
    r = gw.ask()
    failed(r, 502, "all_endpoints_failed")
    places = {"an error": bytes(r.raw), "the log": gw.log.encode()}
    with open(gw.state, "rb") as file:
        places["the region"] = file.read()
    with open(gw.access_path, "rb") as file:
        places["the access log"] = file.read()
    for args in (("status",), ("breaker", "list"), ("breaker", "show", "a"), ("cooldown", "list"), ("workers",),
                 ("events",)):
        for as_json in (True, False):
            said = gw.order(*args, json_too=as_json).out
            places["gatewayctl %s (json: %s)" % (" ".join(args), as_json)] = said.encode()
    for pid in [gw.master] + descendants(gw.master):
        for name in ("environ", "cmdline"):
            try:
                with open("/proc/%d/%s" % (pid, name), "rb") as file:
                    places["%s of %d" % (name, pid)] = file.read()
            except PermissionError:
                pass  # closed to us: nowhere to be seen
    for where, data in places.items():
        assert KEY.encode() not in data, "the key is in %s" % where


def test_an_upstream_that_repeats_the_key(t):
    """The quote in the gateway's own error, and what it logs of it, leave the key out."""
    up = t.upstream(lambda *_: failure(500, "Incorrect API key provided: %s, try again" % KEY, headers={"X-Echo": KEY}))
    gw = t.gateway([endpoint("a", up, key="env:UP_KEY")], env={"UP_KEY": KEY}, log={"level": "debug"})
    for stream in (False, True):
        r = gw.ask(stream=stream)
        failed(r, 502, "all_endpoints_failed")
        assert KEY.encode() not in r.raw, "the key is in the answer: %s" % r
    assert KEY not in gw.log, "the key is in the log"


def test_no_core_dumps_and_no_privileges(t):
    """Workers that hold keys cannot be dumped; started by root, they are not root."""
    gw = t.gateway([endpoint("a", t.sim("a"))])
    for pid in gw.pids() + [gw.steward()["pid"]]:
        assert alive(pid)
        with open("/proc/%d/limits" % pid) as file:
            limits = file.read()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        equal(core.split()[4], "0", "core file size of process %d" % pid)
        if os.getuid() == 0:
            with open("/proc/%d/status" % pid) as file:
                uid = next(line for line in file if line.startswith("Uid:")).split()[1]
            assert uid != "0", "process %d serves as root" % pid


def test_a_refused_credential(t):
    """401 from the upstream is about the gateway's key, not the client's: the next endpoint answers, and the one that
    refused is left alone for a while."""
    a, b = t.sim("a", fault="401"), t.sim("b")
    gw = t.gateway([endpoint("a", a), endpoint("b", b, priority=2)])
    equal(ok(gw.ask(), "b").attempts, "2", "attempts")
    for _ in range(3):
        equal(ok(gw.ask(), "b").attempts, "1", "attempts afterwards")
    equal(a.count, 1, "requests with the refused key")
    wait_until(lambda: gw.endpoint("a")["state"] in ("cooling", "exhausted"), 5, "the endpoint rests")
    alone = t.gateway([endpoint("a", a)], name="gw2")
    r = alone.ask()
    assert r.status in (502, 429, 503), "the client is told that its own key is wrong: %s" % r


def test_a_refused_credential_of_the_clients(t):
    """Where the key is the client's own its refusal goes back to that client, in whatever form, and nobody rests."""
    said = {}
    up = t.upstream(lambda request, conn: said.get("answer") or completion(request))
    gw = t.gateway([endpoint("a", up, key="passthrough")])
    wrong = {"error": {"message": "Incorrect API key", "type": "invalid_request_error", "code": "invalid_api_key"}}
    for name, stream, reply in (("its status", False, answer(401, wrong)), ("a 200", False, answer(200, wrong)),
                                ("an event", True, stream_head() + chunked(sse(wrong)) + LAST)):
        said["answer"] = reply
        r = gw.ask(stream=stream, headers={"Authorization": "Bearer wrong"})
        assert b"Incorrect API key" in r.raw and r.attempts == "1", "%s: %s" % (name, r)
        said.clear()
        equal(ok(gw.ask(headers={"Authorization": "Bearer right"}), "a").attempts, "1", "another client after " + name)
    equal(gw.order("cooldown", "list").json["cooldowns"], [], "cooldowns")
    equal(gw.endpoint("a")["state"], "healthy", "state")
