"""The program is exchanged while it runs: nobody is refused, no stream is cut, what was learned stays; and whatever is
wrong with the new one, the old one serves on.

The program is started through a link, as an operator would have one that leads to the version in use.
"""

import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import threading
import time

from harness import (GATEWAYCTL, GATEWAYD, Adopted, Hammer, alive, descendants, endpoint, equal, kill, ok, pending,
                     wait_until, words)
from upstream import completion

OPEN = {"failures": 5, "open": "10m", "max_open": "10m"}
LAYOUT_AT = 16  # where the region's header has the hash of its layout

# Of the big one; tests/bench/upgrade runs it at full size: 300 streams, 500 requests a second, ten reloads.
STREAMS, RELOADS, UPGRADES = 40, 3, 2


def install(t, target=GATEWAYD):
    """Put another program where gatewayd is started from, in one step, as a package manager does."""
    path = t.path("gatewayd")
    os.symlink(target, path + ".new")
    os.rename(path + ".new", path)
    return path


def script(t, text, name="script"):
    path = t.path(name)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


def slow(t, seconds):
    """The same gatewayd, after a while."""
    return install(t, script(t, "#!/bin/sh\nsleep %s\nexec %s \"$@\"\n" % (seconds, GATEWAYD), "slow"))


def serves_on(gw, pids):
    """Nothing has changed: the same master and workers, and they answer."""
    equal(gw.process.poll(), None, "exit status of the old master, which serves on")
    equal(sorted(gw.pids()), sorted(pids), "workers")
    for _ in range(4):
        ok(gw.ask())


def begin_upgrade(gw):
    """gatewayctl upgrade in the background; the pid of the new master, once it was started."""
    asked = subprocess.Popen([GATEWAYCTL, "--state", gw.state, "--json", "upgrade"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    heir = wait_until(lambda: re.search(r"upgrade: starting \S+ \(pid (\d+)\)", gw.log[gw.log_from:]), 10,
                      "the new one is started")
    gw.log_from = len(gw.log)
    return asked, int(heir.group(1))


def finish(asked, code, timeout=40):
    out, err = asked.communicate(timeout=timeout)
    equal(asked.returncode, code, "exit status of gatewayctl upgrade, which said %s%s" % (out, err))
    return json.loads(out) if out else {}, err


def test_an_upgrade(t):
    """Another pid, the same sockets; streams in flight end with the old workers, breakers and orders stay."""
    sim, bad = t.sim("a", tokens=60, rate="30/s"), t.sim("b", fault="503")
    gw = t.gateway([endpoint("b", bad, breaker=OPEN), endpoint("a", sim, priority=2), endpoint("c", sim, priority=3)],
                   tcp=True, program=install(t), log={"access": t.path("access.log")})
    for _ in range(5):
        ok(gw.ask(max_tokens=2), "a")
    gw.order("drain", "c")
    tcp, old, first = gw.tcp, gw.process, gw.pids()
    addresses = (gw.unix, tcp)
    with Hammer(gw, addresses=addresses, width=4, max_tokens=2) as hammer:
        calls = [gw.begin(stream=True, address=addresses[n % 2]) for n in range(40)]
        for call in calls:
            call.wait_events(1, 20)
        said = gw.upgrade()
        assert said["upgraded"] and said["pid"] != old.pid and said["version"] and not said["problems"], said
        equal(said["generation"], 2, "generation")
        assert not set(first) & set(row["pid"] for row in gw.workers() if row["generation"] > 1), "old workers"
        equal(gw.status()["summary"]["master"], said["pid"], "the master that status shows")
        hammer.more(60)
        for call in calls:
            equal(ok(call.finish()).text, words(60), "the text of a stream that was in flight")
        equal(old.wait(20), 0, "exit status of the old master")
        assert not any(map(alive, first)), "old workers are left"
        hammer.more(60)
    equal((gw.endpoint("b")["state"], gw.endpoint("c")["state"]), ("open", "drained"), "states after the upgrade")
    equal(bad.count, 5, "requests to the open endpoint in all this")
    equal(gw.in_flight(), 0, "in flight")
    kinds = [event["kind"] for event in gw.events()]
    assert kinds.count("upgrade_begun") == 1 and kinds.count("upgrade") == 1, kinds
    gw.order("reload")
    equal(gw.stop(), 0, "exit status")
    assert not os.path.exists(gw.unix), "the socket's file is still there"


def test_by_signal(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    gw.send_signal(signal.SIGUSR2)
    heir = int(wait_until(lambda: re.search(r"upgraded: gatewayd \S+ \(pid (\d+)\)", gw.log), 20, "it upgrades")[1])
    equal(gw.wait_exit(10), 0, "exit status of the old master")
    gw.processes.append(Adopted(heir))
    ok(gw.ask())
    text = gw.order("upgrade", json_too=False).out
    found = re.fullmatch(r"upgraded: gatewayd [\d.]+, pid (\d+), generation (\d+)\n", text)
    assert found and found.group(2) == "3", "what upgrade prints: %r" % text
    gw.processes.append(Adopted(int(found.group(1))))


def test_programs_that_cannot(t):
    """Each says in its own way that it is no gatewayd that could serve; none of them changes anything."""
    install(t)
    gw = t.gateway([endpoint("a", t.sim("a"))], program=t.path("gatewayd"))
    pids = gw.pids()
    with open(t.path("text"), "w") as file:
        file.write("this is no program\n")
    os.chmod(t.path("text"), 0o755)
    bad = [(script(t, "#!/bin/sh\nexit 1\n", "exits"), "ended with status 1 and without a word"),
           (script(t, "#!/bin/sh\necho 'libx.so.4: cannot open shared object file' >&2; exit 127\n", "loader"),
            "libx.so.4: cannot open shared object file"),
           (script(t, "#!/bin/sh\nkill -SEGV $$\n", "crashes"), "was killed by signal 11"),
           (t.path("text"), "cannot run .*: Exec format error"),
           (t.path("nothing"), "cannot run .*: No such file"),
           (script(t, "#!/bin/sh\nGATEWAYD_INHERIT='2 x' exec %s \"$@\"\n" % GATEWAYD, "stranger"),
            "hands over in a way that this one does not know")]
    with Hammer(gw):
        for target, message in bad:
            install(t, target)
            result = gw.ctl("upgrade", json_too=False)
            equal(result.code, 1, "exit status with %s" % target)
            assert re.search(message, result.err), "no %r in: %s" % (message, result.err)
            assert "(pid %d) serves on" % gw.master in result.err, result.err
            serves_on(gw, pids)
        document = gw.ctl("upgrade").json
        equal((document["upgraded"], document["pid"], len(document["problems"])), (False, gw.master, 1), "JSON")
        install(t)
        gw.upgrade()
    equal([event["kind"] for event in gw.events()].count("upgrade_failed"), len(bad) + 1, "failures in the event log")


def test_a_bad_configuration(t):
    """The new program reads it, so it is the new one's lines that the operator sees."""
    gw = t.gateway([endpoint("a", t.sim("a"))])
    pids = gw.pids()
    with open(gw.file) as file:
        good = file.read()
    lines = good.count("\n")
    others = [(good + "colour: blue\n", r"%s:%d:\d+: .*colour" % (re.escape(gw.file), lines + 1)),
              (good.replace(gw.unix, t.path("no/where.sock")), "cannot listen on .*no/where.sock"),
              (good.replace(gw.state, t.path("other.state")), "`state` cannot change in an upgrade"),
              (good.replace("key: none", "key: env:NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE")]
    for text, message in others:
        with open(gw.file, "w") as file:
            file.write(text)
        result = gw.ctl("upgrade", json_too=False)
        equal(result.code, 1, "exit status of upgrade")
        assert re.search(message, result.err), "no %r in: %s" % (message, result.err)
        serves_on(gw, pids)
    assert os.path.exists(gw.unix), "the socket's file is gone"
    with open(gw.file, "w") as file:
        file.write(good)
    gw.order("reload")
    gw.upgrade()
    ok(gw.ask())


def test_another_configuration(t):
    """Upgraded with a new file: the listener that it names no longer is closed, the new one is open."""
    sim = t.sim("a")
    gw = t.gateway([endpoint("a", sim)], workers=2)
    second, third = t.path("second.sock"), t.path("third.sock")
    gw.write(listen=[{"unix": gw.unix, "mode": "0666"}, {"unix": second, "mode": "0666"}])
    gw.order("reload")
    gw.write(listen=[{"unix": gw.unix, "mode": "0666"}, {"unix": third, "mode": "0666"}], workers=3)
    with Hammer(gw) as hammer:
        gw.upgrade()
        hammer.more(20)
    ok(gw.ask(address=third))
    wait_until(lambda: gw.ask(address=second).end == "refused", 10, "the second socket refuses")
    assert not os.path.exists(second), "its file is left behind"
    wait_until(lambda: len(gw.pids()) == 3, 10, "three workers run")


def test_a_second_one_is_refused(t):
    slow(t, 2)
    gw = t.gateway([endpoint("a", t.sim("a"))], program=t.path("gatewayd"), start=False)
    install(t)
    gw.start()
    slow(t, 2)
    first, heir = begin_upgrade(gw)
    result = gw.ctl("upgrade", json_too=False)
    equal(result.code, 1, "exit status of the second")
    assert "another upgrade is under way (pid %d is starting)" % heir in result.err, result.err
    assert "refused" in result.err and "serves on" in result.err, result.err
    reload = gw.ctl("reload", json_too=False)
    equal(reload.code, 1, "exit status of a reload meanwhile")
    assert "an upgrade is under way" in reload.err, reload.err
    said, _ = finish(first, 0)
    equal((said["upgraded"], said["pid"]), (True, heir), "what the first is told")
    gw.processes.append(Adopted(heir))
    install(t)
    gw.upgrade()


def test_the_new_one_is_killed(t):
    """At several moments of its coming; and once with workers that have clients already."""
    slow(t, 0)
    gw = t.gateway([endpoint("a", t.sim("a"))], program=t.path("gatewayd"))
    with Hammer(gw, pause=0.02, max_tokens=2) as hammer:
        for after in (0, 0.05, 0.1, 0.15, 0.2, 0.3):
            asked, heir = begin_upgrade(gw)
            time.sleep(after)
            kill(heir)
            asked.wait(40)
            hammer.more(10)
            go_on(gw, heir)
        hammer.more(20)
    check_rest(gw)


def test_the_old_one_is_killed(t):
    slow(t, 0)
    gw = t.gateway([endpoint("a", t.sim("a"))], program=t.path("gatewayd"))
    with Hammer(gw, pause=0.02, max_tokens=2) as hammer:
        for after in (0, 0.05, 0.1, 0.15, 0.2, 0.3):
            old = gw.process
            asked, heir = begin_upgrade(gw)
            time.sleep(after)
            kill(old.pid)
            old.wait(5)
            asked.wait(40)
            hammer.more(10)
            go_on(gw, heir)
        hammer.more(20)
    check_rest(gw)


def come_no_further(gw):
    """An upgrade whose old master stands still before it can say "go": (gatewayctl, the heir, its children)."""
    slow(gw.t, 0.3)
    asked, heir = begin_upgrade(gw)
    kill(gw.master, signal.SIGSTOP)
    wait_until(lambda: len([row for row in gw.workers() if row["state"] == "live" and row["pid"] in descendants(heir)])
               == 2, 20, "the workers of the new one live")
    return asked, heir, descendants(heir)


def test_nobody_takes_another_claim_for_its_own(t):
    """Workers of a new master that was killed, which do not look before yet another one has taken over."""
    gw = t.gateway([endpoint("a", t.sim("a"))], program=install(t))
    asked, heir, left = come_no_further(gw)
    for pid in left:
        kill(pid, signal.SIGSTOP)
    try:
        kill(heir)
        kill(gw.master, signal.SIGCONT)
        finish(asked, 1)
        install(t)
        gw.upgrade()
    finally:
        for pid in left:
            kill(pid, signal.SIGCONT)
    wait_until(lambda: not any(map(alive, left)), 15, "they end")
    check_rest(gw)


def test_streams_of_an_heir_that_gives_up(t):
    """Its workers finish what they have been given, and whoever is started next does not wait for that."""
    gw = t.gateway([endpoint("a", t.sim("a", tokens=80, rate="20/s"))], program=install(t),
                   drain={"stop": "1s", "reload": "60s"})
    old, workers = gw.process, gw.pids()
    asked, heir, left = come_no_further(gw)
    for pid in workers:
        kill(pid, signal.SIGSTOP)
    try:
        calls = [gw.begin(stream=True) for _ in range(4)]
        for call in calls:
            call.wait_events(1)
        kill(old.pid)
    finally:
        for pid in workers:
            kill(pid, signal.SIGCONT)
    wait_until(lambda: not alive(heir), 2, "the new one gives up")
    finish(asked, 1)
    gw.start()
    for call in calls:
        equal(ok(call.finish()).text, words(80), "the text of a stream")
    wait_until(lambda: not any(map(alive, left + workers)), 15, "those of the dead masters end")
    check_rest(gw)


def holder(gw):
    """Who holds the lock of the region; None when nobody does."""
    with open(gw.state + ".lock") as file:
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
        kind = struct.unpack("hhqqi4x", fcntl.fcntl(file, 36, lock))[0]  # F_OFD_GETLK
        return int(file.read() or 0) if kind != fcntl.F_UNLCK else None


def go_on(gw, heir):
    """Whoever is the master now is the one to talk to; when there is none, one is started, as a manager would."""
    wait_until(lambda: holder(gw) is None or (alive(holder(gw)) and len(gw.pids()) >= 2), 20, "somebody is the master")
    until = time.monotonic() + 1
    while time.monotonic() < until and holder(gw) is not None:
        time.sleep(0.05)  # a new one that gives up holds the lock until it has ended
    now = holder(gw)
    if now is None:
        gw.start(wait=False)
        wait_until(lambda: gw.process.poll() is not None or "ready:" in gw.log[gw.log_from:], 20, "another one serves")
        equal(gw.process.poll(), None, "exit status of the one that was started, which runs")
    elif now == heir:
        gw.processes.append(Adopted(heir))
    elif gw.process.pid != now:
        raise AssertionError("the lock is held by %d, who is neither the old nor the new one" % now)
    gw.log_from = len(gw.log)


def check_rest(gw, model="gpt-test"):
    """Nothing is left of all this but one master and its children."""
    wait_until(lambda: len(gw.pids()) == 2, 20, "two workers are left")
    wait_until(lambda: len(gw.rows()) == 4, 10, "no slot is left over")
    wait_until(lambda: gw.in_flight() == 0, 10, "nothing is in flight")
    equal(gw.ctl("region", "check").code, 0, "region check")
    ok(gw.ask(model, stream=True))


def test_both_are_killed_afterwards(t):
    """The old one while it waits for its workers, then the new one: a third finds all of them, and nobody is cut."""
    sim = t.sim("a", tokens=90, rate="30/s")
    gw = t.gateway([endpoint("a", sim)])
    old = gw.process
    with Hammer(gw, pause=0.05, max_tokens=2) as hammer:
        calls = [gw.begin(stream=True) for _ in range(10)]
        for call in calls:
            call.wait_events(1)
        gw.upgrade()
        calls += [gw.begin(stream=True) for _ in range(10)]
        for call in calls:
            call.wait_events(1)
        kill(old.pid)
        hammer.more(5)
        kill(gw.master)
        hammer.more(5)
        gw.start(wait=False)
        wait_until(lambda: "ready:" in gw.log[gw.log_from:], 20, "a third one serves")
        hammer.more(5)
        for call in calls:
            equal(ok(call.finish()).text, words(90), "the text of a stream")
    check_rest(gw)


def test_stop_in_the_middle(t):
    """Of an upgrade, and of what it leaves: a stop is a stop for everybody."""
    slow(t, 5)
    gw = t.gateway([endpoint("a", t.sim("a", tokens=100000, rate="20/s"))], program=t.path("gatewayd"), start=False,
                   drain={"stop": "1s", "reload": "10m"}, stream={"rescue": "off"})
    install(t)
    gw.start()
    slow(t, 5)
    asked, heir = begin_upgrade(gw)
    equal(gw.stop(), 0, "exit status of the old one")
    asked.communicate(timeout=20)
    wait_until(lambda: not alive(heir), 10, "the new one has ended")
    install(t)
    gw.start()
    call = gw.begin(stream=True)
    call.wait_events(2)
    old, workers = gw.process, gw.pids()
    gw.upgrade()
    assert alive(old.pid), "the old one does not wait for its worker"
    gw.order("stop", json_too=False)
    wait_until(lambda: not any(map(alive, workers + [old.pid, gw.master])), 10, "all of them have ended")
    assert not call.finish().done


def test_stop_at_the_last_moment(t):
    """The lock file names the new one, which has not heard yet that it may serve: the old one does not serve on."""
    gw = t.gateway([endpoint("a", t.sim("a"))], program=install(t))
    old = gw.process
    asked, heir, _ = come_no_further(gw)
    try:
        time.sleep(1)  # it says that it could serve
        kill(heir, signal.SIGSTOP)
        kill(old.pid, signal.SIGCONT)
        wait_until(lambda: holder(gw) == heir, 10, "the old one lets go")
        stop = subprocess.Popen([GATEWAYCTL, "--state", gw.state, "stop"], stdout=subprocess.DEVNULL)
        wait_until(lambda: pending(heir, signal.SIGTERM), 10, "the new one is told to stop")
    finally:
        kill(heir, signal.SIGCONT)
    equal(stop.wait(20), 0, "exit status of gatewayctl stop")
    equal(old.wait(10), 0, "exit status of the old one")
    assert not alive(heir) and holder(gw) is None, "somebody goes on"
    asked.communicate(timeout=20)


def test_another_layout(t):
    """The old region is written down by name, and a new one takes its place; streams end on the old one."""
    sim, bad = t.sim("a", tokens=60, rate="30/s"), t.sim("b", fault="503")
    gw = t.gateway([endpoint("b", bad, breaker=OPEN), endpoint("a", sim, priority=2), endpoint("c", sim, priority=3)],
                   program=install(t))
    for _ in range(5):
        ok(gw.ask(max_tokens=2), "a")
    gw.order("drain", "c")
    slow(t, 0.5)
    old, workers = gw.process, gw.pids()
    with Hammer(gw, pause=0.02, max_tokens=2) as hammer:
        calls = [gw.begin(stream=True) for _ in range(20)]
        for call in calls:
            call.wait_events(1)
        ctl = [GATEWAYCTL, "--state", gw.state, "upgrade"]
        inode = os.stat(gw.state).st_ino
        with open(gw.state, "r+b") as file:  # what another version would find
            file.seek(LAYOUT_AT)
            layout = file.read(8)
            asked = threading.Thread(target=lambda: wait_and_scribble(gw, file.fileno(), layout))
            asked.start()
            result = subprocess.run(ctl, capture_output=True, text=True, timeout=60, check=False)
            asked.join()
        equal(result.returncode, 0, "exit status of upgrade, which said %s" % result.stderr)
        gw.processes.append(Adopted(int(re.search(r"pid (\d+)", result.stdout).group(1))))
        assert os.stat(gw.state).st_ino != inode, "the region is the same file"
        assert not os.path.exists(gw.state + ".next"), "the new region stands beside"
        hammer.more(20)
        for call in calls:
            equal(ok(call.finish()).text, words(60), "the text of a stream that was in flight")
        equal(old.wait(20), 0, "exit status of the old master")
        assert not any(map(alive, workers)), "old workers are left"
        equal((gw.endpoint("b")["state"], gw.endpoint("c")["state"]), ("open", "drained"), "states in the new region")
        gw.upgrade()
        hammer.more(20)
    equal(bad.count, 5, "requests to the open endpoint in all this")


def stop_between_two_exports(gw):
    """An upgrade to another layout, whose new master stands still with the state of before: (gatewayctl, the heir). Its
    workers may have been too quick; then it is done and there is another one."""
    for _ in range(10):
        said = gw.log.count("took up")
        with open(gw.state, "r+b") as file:
            file.seek(LAYOUT_AT)
            layout = file.read(8)
            scribbler = threading.Thread(target=lambda: wait_and_scribble(gw, file.fileno(), layout, gw.log_from))
            scribbler.start()
            asked, heir = begin_upgrade(gw)
            scribbler.join()
            wait_until(lambda: gw.log.count("took up") > said, 20, "the new master has taken up what was known")
            kill(heir, signal.SIGSTOP)
            os.pwrite(file.fileno(), layout, LAYOUT_AT)  # for gatewayctl, which is no other version
        time.sleep(0.2)
        if holder(gw) == gw.master:
            return asked, heir
        kill(heir, signal.SIGCONT)
        finish(asked, 0)
        gw.processes.append(Adopted(heir))
    raise AssertionError("the new master was always too quick")


def test_orders_while_another_layout_comes(t):
    """What is learned and ordered after the new master has taken up the state for the first time is not lost."""
    sim, bad = t.sim("a"), t.sim("b")
    gw = t.gateway([endpoint("b", bad, breaker=OPEN), endpoint("a", sim, priority=2), endpoint("c", sim, priority=3)],
                   program=install(t), workers=8)
    ok(gw.ask(), "b")
    slow(t, 0.5)
    asked, heir = stop_between_two_exports(gw)
    try:
        gw.order("drain", "c")
        bad.fault("503")
        wait_until(lambda: ok(gw.ask(), "a") and gw.endpoint("b")["state"] == "open", 10, "b is open")
    finally:
        kill(heir, signal.SIGCONT)
    finish(asked, 0)
    gw.processes.append(Adopted(heir))
    equal((gw.endpoint("b")["state"], gw.endpoint("c")["state"]), ("open", "drained"), "states in the new region")
    ok(gw.ask(), "a")


def test_another_layout_is_given_up(t):
    """The new one is killed, or both are: its region, which nobody else would use, takes no room for long."""
    gw = t.gateway([endpoint("a", t.sim("a"))], program=install(t), workers=8)
    slow(t, 0.5)
    for both in (False, True):
        asked, heir = stop_between_two_exports(gw)
        assert os.path.exists(gw.state + ".next"), "there is no new region"
        if both:
            kill(gw.master)
            gw.process.wait(5)
        kill(heir)
        finish(asked, 1)
        if both:
            gw.start(wait=False)
            wait_until(lambda: "ready:" in gw.log[gw.log_from:], 20, "another one serves")
        assert not os.path.exists(gw.state + ".next"), "it is left over"
        ok(gw.ask())


def test_another_layout_without_an_export(t):
    """There is no room for it: the new one does not make do with what stands there from an earlier stop."""
    gw = t.gateway([endpoint("a", t.sim("a")), endpoint("c", t.sim("c"))], program=install(t))
    gw.order("drain", "c")
    gw.stop()
    gw.start()
    gw.order("enable", "c")
    os.mkdir(gw.state + ".export.new")
    slow(t, 0.5)
    with open(gw.state, "r+b") as file:
        file.seek(LAYOUT_AT)
        layout = file.read(8)
        scribbler = threading.Thread(target=lambda: wait_and_scribble(gw, file.fileno(), layout))
        scribbler.start()
        result = gw.ctl("upgrade", json_too=False)
        scribbler.join()
        os.pwrite(file.fileno(), layout, LAYOUT_AT)
    equal(result.code, 1, "exit status of upgrade")
    assert "did not write its state down" in result.err and "serves on" in result.err, result.err
    equal((gw.process.poll(), gw.endpoint("c")["state"]), (None, "healthy"), "the old master, and the state of c")


def wait_and_scribble(gw, fd, layout, since=0):
    """gatewayctl opens the region as it is; then it becomes one of another version, before the new master looks."""
    wait_until(lambda: "upgrade: starting" in gw.log[since:], 10, "the upgrade has begun")
    os.pwrite(fd, bytes(byte ^ 0xff for byte in layout), LAYOUT_AT)


def test_keys_of_the_environment(t):
    """The new one has them, though the old one has removed them; nobody's environment shows them afterwards."""
    seen = []

    def script_of_upstream(got, _):
        seen.append(got.header("Authorization"))
        return completion(got, "yes")
    up = t.upstream(script_of_upstream)
    gw = t.gateway([endpoint("a", up, key="env:UPGRADE_KEY")], env={"UPGRADE_KEY": "sk-of-the-environment"})
    ok(gw.ask())
    gw.upgrade()
    for _ in range(4):
        ok(gw.ask())
    equal(set(seen), {"Bearer sk-of-the-environment"}, "the keys that the upstream saw")
    for pid in [gw.master] + descendants(gw.master):
        with open("/proc/%d/environ" % pid, "rb") as file:
            assert b"sk-of-the-environment" not in file.read(), "the environment of %d shows the key" % pid


def test_reloads_and_upgrades_under_load(t):
    """Streams that last through several changes, and requests without pause: none fails, none is cut."""
    sim, quick, bad = t.sim("a", tokens=90, rate="15/s"), t.sim("q"), t.sim("b", fault="503")
    gw = t.gateway([endpoint("b", bad, breaker=OPEN), endpoint("q", quick, priority=2), endpoint("a", sim)],
                   models={"quick": {"endpoints": ["b", "q"]}, "slow": {"endpoints": ["a"]}}, tcp=True,
                   drain={"stop": "5s", "reload": "60s"}, program=install(t))
    addresses = (gw.unix, gw.tcp)
    for _ in range(5):
        ok(gw.ask("quick"), "q")
    masters = [gw.process]
    with Hammer(gw, addresses=addresses, width=4, pause=0.02, model="quick") as hammer:
        calls = [gw.begin("slow", stream=True, address=addresses[n % 2], timeout=60) for n in range(STREAMS)]
        for call in calls:
            call.wait_events(1, 30)
        for number in range(RELOADS + UPGRADES):
            if number % 2:
                gw.upgrade()
                masters.append(gw.process)
            else:
                gw.order("reload")
            hammer.more(10)
        for call in calls:
            equal(ok(call.finish(), "a").text, words(90), "the text of a stream")
        hammer.more(20)
    equal(gw.endpoint("b")["state"], "open", "state of b after everything")
    equal(bad.count, 5, "requests to the open endpoint in all this")
    for master in masters[:-1]:
        equal(master.wait(20), 0, "exit status of a master that was replaced")
    check_rest(gw, "quick")
