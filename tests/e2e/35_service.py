"""Under a service manager: what it is told over $NOTIFY_SOCKET, and sockets that it opened.

The tests are the manager.
"""

import os
import signal
import socket
import struct
import sys
import time

from harness import GATEWAYD, Adopted, Hammer, alive, endpoint, equal, ok, wait_until, words


class Manager:
    """The receiving end of sd_notify(3). `heard` holds (pid of the sender, {NAME: value})."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.setblocking(False)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.heard = []

    def listen(self):
        while True:
            try:
                data, more, _, _ = self.socket.recvmsg(4096, 256)
            except BlockingIOError:
                return self.heard
            pid = next(struct.unpack("3i", value)[0] for _, kind, value in more if kind == socket.SCM_CREDENTIALS)
            self.heard.append((pid, dict(line.split("=", 1) for line in data.decode().split("\n") if line)))

    def wait_for(self, key, value=None, pid=None, timeout=20):
        """The first message from now on that has the key; what came before it is forgotten."""
        def found():
            for number, (sender, words_of_it) in enumerate(self.listen()):
                if key in words_of_it and value in (None, words_of_it[key]) and pid in (None, sender):
                    del self.heard[:number + 1]
                    return sender, words_of_it
            return None
        return wait_until(found, timeout, "the manager hears %s" % key)


def told(t, name):
    manager = Manager(name)
    gw = t.gateway([endpoint("a", t.sim("a"))], start=False, env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"})
    if not name.startswith("@"):
        os.chmod(name, 0o777)
    gw.start()
    sender, said = manager.wait_for("READY")
    equal((sender, said["READY"]), (gw.master, "1"), "the first word")
    assert "serving" in said["STATUS"] and "2 workers" in said["STATUS"], said
    return manager, gw


def test_the_life_of_a_service(t):
    """Ready, reloading, ready again (after a bad file too), stopping; and signs of life in half the time allowed."""
    manager, gw = told(t, t.path("notify"))
    began = time.monotonic()
    for _ in range(5):
        equal(manager.wait_for("WATCHDOG")[0], gw.master, "who gives the sign of life")
    assert time.monotonic() - began < 5 * 0.4, "signs of life are too far apart"
    gw.send_signal(signal.SIGHUP)
    _, said = manager.wait_for("RELOADING")
    assert 0 <= time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6 - int(said["MONOTONIC_USEC"]) < 20e6, said
    assert "generation 2" in manager.wait_for("READY")[1]["STATUS"], "status after the reload"
    gw.write(colour="blue")
    gw.send_signal(signal.SIGHUP)
    manager.wait_for("RELOADING")
    assert "generation 2" in manager.wait_for("READY")[1]["STATUS"], "status after a bad file"
    gw.write(colour=None)
    equal(gw.stop(), 0, "exit status")
    manager.wait_for("STOPPING")


def test_an_upgrade_names_the_new_process(t):
    """The old master says who the main process is, and from then on only that one speaks."""
    manager, gw = told(t, "@gatewayd-test-%d" % os.getpid())
    old = gw.process
    gw.upgrade()
    sender, said = manager.wait_for("MAINPID")
    equal((sender, said["MAINPID"]), (old.pid, str(gw.master)), "the main process")
    manager.wait_for("READY", pid=gw.master)
    old.wait(10)
    manager.listen()
    manager.heard.clear()
    for _ in range(4):
        equal(manager.wait_for("WATCHDOG")[0], gw.master, "who gives the sign of life")
    equal(gw.stop(), 0, "exit status")
    manager.wait_for("STOPPING", pid=gw.master)


def test_nobody_listens(t):
    """A manager that is gone is no reason to fail, and a full socket none to wait."""
    gw = t.gateway([endpoint("a", t.sim("a"))], env={"NOTIFY_SOCKET": t.path("nowhere"), "WATCHDOG_USEC": "1000"})
    ok(gw.ask())
    gw.order("reload")
    equal(gw.log.count("cannot tell the service manager"), 1, "complaints")


ACTIVATOR = """#!%s
import os, socket, sys
def listen(kind, address):
    sock = socket.socket(kind, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    sock.listen()
    return sock
socks = [listen(socket.AF_INET, ("127.0.0.1", %d)), listen(socket.AF_UNIX, %r), listen(socket.AF_UNIX, %r)]
os.chmod(%r, 0o777)
high = [os.dup(s.fileno()) for s in socks]
high = [os.dup2(fd, 50 + n, inheritable=False) for n, fd in enumerate(high)]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n, inheritable=True)
os.environ.update(LISTEN_FDS=str(len(socks)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="a:b:c")
os.execv(%r, [%r] + sys.argv[1:])
"""


def activated(t):
    """A gateway whose listeners somebody else opened; and one more that its configuration does not name."""
    port = t.free_port()
    gw = t.gateway([endpoint("a", t.sim("a", tokens=40, rate="20/s"))], start=False, program=t.path("activator"))
    gw.write(listen=[{"unix": gw.unix, "mode": "0600"}, {"tcp": "localhost:%d" % port}])
    with open(gw.program, "w") as file:
        file.write(ACTIVATOR % (sys.executable, port, gw.unix, t.path("other.sock"), gw.unix, GATEWAYD, GATEWAYD))
    os.chmod(gw.program, 0o755)
    return gw.start(), ("127.0.0.1", port)


def test_given_sockets(t):
    gw, tcp = activated(t)
    assert "no listening socket that `listen` or `admin` names" in gw.log, "no word about the third one"
    for address in (gw.unix, tcp):
        for _ in range(4):
            ok(gw.ask(address=address, max_tokens=2))
    equal(gw.ask(address=t.path("other.sock"), timeout=3).end, "refused", "the one that nobody serves")
    equal(os.stat(gw.unix).st_mode & 0o777, 0o777, "mode of the socket's file, which is the manager's")
    with Hammer(gw, addresses=[gw.unix, tcp], max_tokens=2) as hammer:
        gw.order("reload")
        hammer.more(20)
    equal(gw.stop(), 0, "exit status")
    assert os.path.exists(gw.unix), "the manager's socket file was removed"


def test_given_sockets_are_handed_on(t):
    gw, tcp = activated(t)
    old = gw.process
    with Hammer(gw, addresses=[gw.unix, tcp], max_tokens=2) as hammer:
        calls = [gw.begin(stream=True, address=(gw.unix, tcp)[n % 2]) for n in range(10)]
        for call in calls:
            call.wait_events(1)
        gw.upgrade()
        hammer.more(20)
        for call in calls:
            equal(ok(call.finish()).text, words(40), "the text of a stream")
    old.wait(10)
    assert isinstance(gw.process, Adopted) and alive(gw.master)
    equal(gw.stop(), 0, "exit status")
    assert os.path.exists(gw.unix), "the manager's socket file was removed"
