"""A client that leaves ends its upstream request; a client that reads slowly slows its upstream, not the gateway.

Generated tokens cost money, so nothing is generated for nobody; and memory is bounded however many clients stop
reading.
"""

import threading
import time

from harness import Conn, chat, endpoint, equal, ok, request, rss, wait_until
from upstream import DONE, LAST, chunked, delta, stream_head

TARGET = "/v1/chat/completions"


def test_leaving_mid_stream(t):
    sim = t.sim("a", tokens=2000, rate="50/s")
    gw = t.gateway([endpoint("a", sim)], tcp=True)
    for number, address in enumerate((gw.unix, gw.tcp)):
        call = gw.begin(stream=True, address=address)
        call.wait_events(3)
        call.abort()
        wait_until(lambda: sim.stats()["aborted"] == number + 1, 5, "the request is ended upstream")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")
    equal(gw.endpoint("a")["state"], "healthy", "state of the endpoint: leaving is no failure of its")


def test_leaving_before_the_answer(t):
    sim = t.sim("a", latency="30s", ttft="30s")
    gw = t.gateway([endpoint("a", sim)])
    for number, stream in enumerate((False, True)):
        call = gw.begin(stream=stream)
        wait_until(lambda: sim.stats()["in_flight"] == 1, 5, "the request is upstream")
        call.abort()
        wait_until(lambda: sim.stats()["aborted"] == number + 1, 5, "the request is ended upstream")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")
    equal(gw.endpoint("a")["state"], "healthy", "state of the endpoint")


def test_leaving_between_attempts(t):
    """Gone while the first endpoint was silent: the second is not asked."""
    a, b = t.sim("a", fault="silence"), t.sim("b")
    gw = t.gateway([endpoint("a", a, timeouts={"response": "1s"}), endpoint("b", b, priority=2)])
    call = gw.begin()
    wait_until(lambda: a.stats()["in_flight"] == 1, 5, "the request is upstream")
    call.abort()
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")
    time.sleep(1.2)  # past the moment at which it would have failed over
    equal(b.count, 0, "requests to the other endpoint")


def test_leaving_before_the_body_is_sent(t):
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)])
    for part in (b"", b"PO", request("POST", TARGET, (), chat())[:-20]):
        with gw.connect() as conn:
            conn.send(part)
    ok(gw.ask())
    equal(sim.count, 1, "requests upstream")


def test_many_leave_at_once(t):
    sim = t.sim("a", tokens=2000, rate="20/s")
    gw = t.gateway([endpoint("a", sim)], workers=4)
    calls = [gw.begin(stream=True) for _ in range(200)]
    for call in calls:
        call.wait_events(1, 30)
    for call in calls:
        call.abort()
    wait_until(lambda: sim.stats()["in_flight"] == 0, 15, "every request is ended upstream")
    wait_until(lambda: gw.in_flight() == 0, 5, "nothing is in flight")
    sim.set(rate="0")
    ok(gw.ask(stream=True))


class Torrent:
    """An upstream that offers a stream of a given size as fast as it is taken, and counts what was taken."""

    def __init__(self, megabytes):
        self.events = megabytes * 16
        self.sent, self.lock = 0, threading.Lock()

    def __call__(self, _, conn):
        piece = chunked(delta("x" * 65536))
        conn.send(stream_head())
        for _ in range(self.events):
            if not conn.send(piece):
                return
            with self.lock:
                self.sent += len(piece)
        conn.send(chunked(delta(None, "stop")) + chunked(DONE) + LAST)

    def stalled(self):
        """Whether nothing was taken for half a second."""
        before = self.sent
        time.sleep(0.5)
        return self.sent == before and before > 0


def test_slow_reader(t):
    """256 MiB are on offer to a client that does not read: little is taken, memory stays, others are served."""
    torrent = Torrent(256)
    gw = t.gateway([endpoint("a", t.upstream(torrent))], workers=1, tcp=True)
    for address in (gw.unix, gw.tcp):
        torrent.sent = 0
        before = sum(map(rss, gw.pids()))
        with Conn(address, rcvbuf=65536) as conn:
            conn.send(request("POST", TARGET, (), chat(stream=True)))
            wait_until(torrent.stalled, 20, "the upstream is slowed")
            grown = sum(map(rss, gw.pids())) - before
            assert torrent.sent < 48 << 20, "%d MiB were taken for a client that does not read" % (torrent.sent >> 20)
            assert grown < 48 << 20, "the workers grew by %d MiB" % (grown >> 20)
            equal(gw.get("/health", address=address).status, 200, "another client is served")
        wait_until(lambda: gw.in_flight() == 0, 5, "the slow client left and its request ended")


def test_slow_reader_gets_everything(t):
    torrent = Torrent(24)
    gw = t.gateway([endpoint("a", t.upstream(torrent), timeouts={"idle": "1s"})], workers=1, tcp=True)
    with Conn(gw.tcp, rcvbuf=65536) as conn:
        conn.send(request("POST", TARGET, (), chat(stream=True)))
        wait_until(torrent.stalled, 20, "the upstream is slowed")
        time.sleep(1.2)  # a client's slowness is not the upstream's idleness
        r = conn.read(60)
        assert r.done, "the stream did not arrive whole: %d bytes, end %s" % (len(r.body), r.end)
        equal(r.body.count(b"x" * 65536), torrent.events, "events")


def test_reader_that_never_reads_an_answer(t):
    """Pipelined requests whose answers nobody reads do not pile up without bound."""
    whole = stream_head() + chunked(delta("y" * (1 << 18))) * 4 + chunked(delta(None, "stop")) + chunked(DONE) + LAST
    gw = t.gateway([endpoint("a", t.upstream(lambda *_: whole))], workers=1)
    before = sum(map(rss, gw.pids()))
    with gw.connect() as conn:
        conn.sock.settimeout(3)
        try:
            for _ in range(400):
                conn.sock.sendall(request("POST", TARGET, (), chat(stream=True, content="z" * 10000)))
        except TimeoutError:
            pass  # the gateway stopped reading, as it should
        time.sleep(0.5)
        grown = sum(map(rss, gw.pids())) - before
        assert grown < 96 << 20, "the worker grew by %d MiB" % (grown >> 20)
    ok(gw.ask(stream=True))
