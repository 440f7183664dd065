"""A kept-alive connection to the upstream dies before it is used again.

Every upstream closes idle connections, sometimes in the very moment a request is sent on one. That is nobody's failure:
the try is repeated once on a fresh connection, visibly; and never a third time behind everyone's back, for a request
that an upstream may have worked on costs money each time.
"""

import time

from harness import endpoint, equal, failed, ok
from upstream import CLOSE, completion


def test_repeated_once_on_a_fresh_connection(t):
    sim = t.sim("a", tokens=10)
    gw = t.gateway([endpoint("a", sim)], workers=1)
    for stream in (False, True):
        ok(gw.ask(stream=stream), "a")
        for _ in range(3):
            sim.fault("close-idle#1")
            before = sim.count
            ok(gw.ask(stream=stream), "a")
            after = [entry["status"] for entry in sim.requests[before:]]
            equal([status for status in after if status], [200], "answers sent for one request")
            assert len(after) <= 2, "sent %d times" % len(after)
    row = gw.endpoint("a")
    equal((row["state"], row["failures"]), ("healthy", 0), "state and failures")


def test_every_reuse_dies(t):
    """An upstream that closes after each answer without saying so costs one repetition each, and no failure."""
    def script(r, conn):
        number = seen.setdefault(conn.number, 0)
        seen[conn.number] += 1
        return CLOSE if number else completion(r)
    seen = {}
    up = t.upstream(script)
    gw = t.gateway([endpoint("a", up)], workers=1)
    for n in range(10):
        ok(gw.ask(stream=n % 2 == 0), "a")
    equal(gw.endpoint("a")["state"], "healthy", "state")
    assert up.count <= 19, "%d requests upstream for ten" % up.count


def test_closed_while_idle(t):
    """Closed with nothing in flight: the next request does not even notice."""
    up = t.upstream(lambda r, conn: conn.send(completion(r)) and CLOSE)
    gw = t.gateway([endpoint("a", up)], workers=1)
    for _ in range(5):
        ok(gw.ask(), "a")
        time.sleep(0.05)
    equal(gw.endpoint("a")["state"], "healthy", "state")


def test_never_a_third_time(t):
    """The reused connection dies, and so does the fresh one: that is a failure of the endpoint, told as one."""
    dead = []

    def script(r, conn):
        return CLOSE if dead else completion(r)
    up, other = t.upstream(script), t.sim("b")
    gw = t.gateway([endpoint("a", up)], workers=1, wait={"max": "0s"})
    ok(gw.ask(), "a")
    dead.append(True)
    before = up.count
    failed(gw.ask(), 502, "all_endpoints_failed")
    equal(up.count - before, 2, "how often it was sent")
    failed(gw.ask(), 502, "all_endpoints_failed")
    equal(up.count - before, 3, "and once more on a fresh connection for the next request")
    equal(gw.endpoint("a")["failures"], 2, "failures in a row")
    del dead[:]
    second = t.gateway([endpoint("a", up), endpoint("b", other, priority=2)], workers=1, name="gw2")
    ok(second.ask(), "a")
    dead.append(True)
    ok(second.ask(), "b")


def test_an_answer_that_began_is_never_repeated(t):
    """Bytes came back on the reused connection before it died: the upstream has worked on it."""
    cut = []

    def script(r, conn):
        if not cut:
            return completion(r)
        conn.send(completion(r)[:60])
        return CLOSE
    up = t.upstream(script)
    gw = t.gateway([endpoint("a", up)], workers=1, wait={"max": "0s"})
    ok(gw.ask(), "a")
    cut.append(True)
    before = up.count
    failed(gw.ask(), 502, "all_endpoints_failed")
    equal(up.count - before, 1, "how often it was sent")
