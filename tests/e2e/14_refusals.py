"""What the daemon refuses to start with, and how it says so: in a line that tells what to do, with exit status 1.

A gateway that starts with half a configuration, or on a region that somebody else uses, is worse than none.
"""

import os
import re
import socket

from harness import GATEWAYCTL, GATEWAYD, SANITIZER, endpoint, equal, failed, ok, run


def refused(gw, *needles, code=1, wrapped_in=()):
    """Start it; it has to end by itself with exit status 1 and a line on stderr that holds every needle."""
    result = run([*wrapped_in, GATEWAYD, "-c", gw.file], timeout=20)
    said = result.err + result.out
    equal(result.code, code, "exit status (it said: %s)" % said)
    assert not SANITIZER.search(said), said
    reasons = [line for line in said.splitlines() if '"level":"warn"' not in line]
    lines = [line for line in reasons if all(needle in line for needle in needles)]
    equal(len(lines), 1, "lines with %s in what it said: %s" % (needles, said))
    assert len(said.splitlines()) <= 4, "that is too many words: %s" % said
    return lines[0]


BAD = """\
listen:
  - unix: %(dir)s/gw.sock
    colour: blue
state: %(dir)s/state
workers: 0
retry: {attempts: many, jitter: 30}
retry: {attempts: 4}
endpoints:
  - name: a
    url: ftp://example.com/v1
    key: none
    weight: -1
    timeouts: {connect: 5 seconds}
  - name: a
    url: https://example.com/v1
    key: secret
models:
  gpt-test: {endpoints: [a, b], strategy: best}
  gpt-mini: {endpoints: [a], fallback: [gpt-none]}
aliases: {fast: gpt-none}
limits: {body: 8 bananas}
"""
BAD_LINES = [3, 5, 6, 7, 10, 12, 13, 14, 16, 18, 19, 20, 21]


def test_every_problem_with_its_place(t):
    path = t.path("bad.yaml")
    with open(path, "w") as file:
        file.write(BAD % {"dir": t.dir})
    said = {}
    for args in ((GATEWAYD, "-c", path), (GATEWAYD, "-t", "-c", path), (GATEWAYCTL, "check", path)):
        result = run(args)
        equal(result.code, 1, "exit status of %s" % (args,))
        told = (result.out + result.err).splitlines()
        said[args] = [line for line in told if line.startswith(path)]
        for line in said[args]:
            assert re.match(r"%s:\d+:\d+: \S" % re.escape(path), line), "not FILE:LINE:COL: message: %s" % line
        places = [int(line[len(path) + 1:].split(":")[0]) for line in said[args]]
        missing = [number for number in BAD_LINES if number not in places]
        assert not missing, "no word of line %s; told: %s" % (missing, told)
        equal(places, sorted(places), "the order of the lines")
        equal(sorted(set(places) - set(BAD_LINES)), [], "lines that are good")
        assert any(line.startswith("%s:6:19: " % path) for line in said[args]), "the column of `many`: %s" % said[args]
    assert len({tuple(lines) for lines in said.values()}) == 1, "the three do not say the same"


def test_yaml_that_is_none(t):
    gw = t.gateway([endpoint("a", "http://127.0.0.1:1/v1")], start=False)
    for text, line in (("endpoints: [\n", 2), ("a: b: c\n", 1), ("\tendpoints: []\n", 1), ("- 1\n", 1), ("", None),
                       ("endpoints: []\n", 1), ("endpoints: &x [*x]\n", 1)):
        with open(gw.file, "w") as file:
            file.write(text)
        result = run([GATEWAYD, "-c", gw.file])
        equal(result.code, 1, "exit status for %r" % text)
        assert re.search(r"%s:%s:\d+: " % (re.escape(gw.file), line or r"\d+"), result.err + result.out), \
            "%r: %s" % (text, result.err + result.out)


def test_tests_only(t):
    """-t says whether the file is good, starts nothing, and works beside a running daemon."""
    gw = t.gateway([endpoint("a", t.sim("a"))])
    result = run([GATEWAYD, "-t", "-c", gw.file])
    equal(result.code, 0, "exit status of -t: %s" % result.err)
    ok(gw.ask())
    other = t.gateway([endpoint("a", t.sims[0])], start=False, name="other")
    equal(run([GATEWAYD, "-t", "-c", other.file]).code, 0, "exit status of -t")
    assert not os.path.exists(other.state) and not os.path.exists(other.unix), "-t made something"


def test_version_and_usage(t):
    result = run([GATEWAYD, "-V"])
    equal(result.code, 0, "exit status of -V")
    assert re.search(r"\b\d+\.\d+\.\d+", result.out), "version: %r" % result.out
    for args in (["-x"], ["-c"], ["-c", t.path("nothing.yaml")]):
        result = run([GATEWAYD] + args)
        assert result.code != 0 and result.err.strip(), "gatewayd %s: exit %d, %r" % (args, result.code, result.err)


def test_two_daemons_on_one_region(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    second = t.gateway([endpoint("a", t.sims[0])], start=False, name="second", state=gw.state)
    refused(second, gw.state, str(gw.master))
    assert not os.path.exists(second.unix), "it left its socket behind"
    ok(gw.ask(), "a")
    third = t.gateway([endpoint("a", t.sims[0])], start=False, name="third", listen=[{"unix": gw.unix, "mode": "0666"}])
    refused(third, gw.unix)
    ok(gw.ask(), "a")
    gw.stop()
    second.start()
    ok(second.ask(), "a")


def test_port_in_use(t):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        gw = t.gateway([endpoint("a", "http://127.0.0.1:1/v1")], start=False, listen=[{"tcp": "127.0.0.1:%d" % port}])
        refused(gw, str(port))
        # One listener of two being taken must not leave the other's socket behind.
        both = t.gateway([endpoint("a", "http://127.0.0.1:1/v1")], start=False, name="both")
        both.write(listen=both.config["listen"] + [{"tcp": "127.0.0.1:%d" % port}])
        refused(both, str(port))
        assert not os.path.exists(both.unix), "it left its socket behind"


def test_a_file_that_is_no_socket_is_not_replaced(t):
    gw = t.gateway([endpoint("a", "http://127.0.0.1:1/v1")], start=False)
    with open(gw.unix, "w") as file:
        file.write("precious")
    refused(gw, gw.unix)
    with open(gw.unix) as file:
        equal(file.read(), "precious", "the file")


def test_a_stale_socket_is_replaced(t):
    gw = t.gateway([endpoint("a", t.sim("a"))], start=False)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(gw.unix)
    gw.start()
    ok(gw.ask(), "a")


def test_not_loopback(t):
    """Open to the network needs to be meant."""
    gw = t.gateway([endpoint("a", "http://127.0.0.1:1/v1")], start=False, listen=[{"tcp": "0.0.0.0:0"}])
    line = refused(gw, gw.file)
    assert "open" in line, "what to do about it: %s" % line


def test_keys(t):
    """A key that cannot be read, or cannot be one, is refused by its place, and not printed."""
    keyfile = t.path("key")

    def problem(text, **more):
        if text is not None:
            with open(os.open(keyfile, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
        one = endpoint("a", "http://127.0.0.1:1/v1", key="file:" + keyfile, **more)
        gw = t.gateway([one], start=False, name="keys")
        line = refused(gw, gw.file)
        assert re.match(r"%s:\d+:\d+: " % re.escape(gw.file), line[line.index(gw.file):]), "no place: %s" % line
        for part in ("verysecret", "y-secret", "Secretive"):
            assert part not in line, "the key is printed: %s" % line
        return line
    assert "key" in problem(None)
    problem("")
    problem("\n")
    problem("sk-verysecret and more\n")
    problem("sk-very\x01secret\n")
    assert "Bearer" in problem("Bearer sk-verysecret\n")
    problem("sk-verysecret\n", key_prefixes=["hs_live_", "hs_test_"])
    gw = t.gateway([endpoint("a", "http://127.0.0.1:1/v1", key="env:GATEWAYD_NO_SUCH_KEY")], start=False, name="env")
    assert "GATEWAYD_NO_SUCH_KEY" in refused(gw, gw.file)


def test_files_that_cannot_be(t):
    missing = t.path("missing/deep")
    gw = t.gateway([endpoint("a", "http://127.0.0.1:1/v1")], start=False, log={"access": missing + "/access.log"})
    refused(gw, missing)
    gw = t.gateway([endpoint("a", "http://127.0.0.1:1/v1", ca_file=missing + "/ca.pem")], start=False, name="ca")
    refused(gw, missing)
    gw = t.gateway([endpoint("a", "http://127.0.0.1:1/v1")], start=False, name="long",
                   listen=[{"unix": t.path("x" * 120)}])
    refused(gw, gw.file)
    file = t.path("file")
    with open(file, "w"):
        pass
    gw = t.gateway([endpoint("a", "http://127.0.0.1:1/v1")], start=False, name="notdir", state=file + "/state")
    refused(gw, file)


# In a mount namespace of its own: a tmpfs of 64 KiB at $1, of which a file takes $2 KiB; what is on it at the end goes
# to $3. The rest is the program.
ON_A_SMALL_TMPFS = """
    set -e
    mount -t tmpfs -o size=64k,mode=0755 none "$1"
    head -c "$2"k /dev/zero > "$1/filler"
    folder=$1 list=$3; shift 3
    set +e
    "$@"; code=$?
    (cd "$folder" && find . -type f -not -name filler) > "$list"
    exit $code"""


def own_mounts():
    """How to get a mount namespace here: as root by itself, else (or where that is forbidden) within one of users."""
    reasons = []
    for how in ("-m", "-Urm"):
        result = run(["unshare", how, "sh", "-c", "mount -t tmpfs none /mnt"])
        if result.code == 0:
            return ["unshare", how]
        reasons.append("unshare %s: %s" % (how, result.err.strip()))
    raise AssertionError("a full file system cannot be tried: no mounts of one's own are permitted here (%s)"
                         % "; ".join(reasons))


def test_a_full_file_system(t):
    """No room for the region is a sentence at the start, and never a bus error later."""
    mounts = own_mounts()
    for filler in (0, 64):
        place = t.path("small%d" % filler)
        os.mkdir(place)
        # Within a namespace of users there is nobody else whom the workers could run as.
        gw = t.gateway([endpoint("a", "http://127.0.0.1:1/v1")], start=False, name="full%d" % filler, user="root",
                       state=os.path.join(place, "state"))
        found = t.path("found%d" % filler)
        refused(gw, gw.state, "No space left on device",
                wrapped_in=[*mounts, "sh", "-c", ON_A_SMALL_TMPFS, "sh", place, str(filler), found])
        # The lock file stays wherever a daemon ever tried to start: a lock on a name that goes away is none.
        with open(found) as file:
            equal(file.read().split(), ["./state.lock"], "what it left behind")
        equal(os.listdir(place), [], "what is beneath the mount")
        assert not os.path.exists(gw.unix), "it left its socket behind"


def test_missing_directories_of_the_region_are_made(t):
    gw = t.gateway([endpoint("a", t.sim("a"))], state=t.path("one/two/state"))
    ok(gw.ask(), "a")


def test_a_scribbled_region(t):
    """Not ours, or not whole any more: refused in one line by daemon and CLI, and left as it is."""
    gw = t.gateway([endpoint("a", t.sim("a"))])
    ok(gw.ask())
    gw.stop()
    with open(gw.state, "rb") as file:
        good = file.read()
    # The first bytes are what says "a region"; a file of another kind has others.
    damaged = {"wrong magic": b"\x7fELF" + good[4:], "truncated": good[:len(good) // 2], "empty": b"",
               "tiny": good[:100], "longer": good + bytes(4096), "text": b"#!/bin/sh\n" * 1000,
               "zeros": bytes(len(good)), "ones": b"\xff" * len(good)}
    for what, data in damaged.items():
        with open(gw.state, "r+b") as file:
            file.truncate(0)
            file.write(data)
        result = run([GATEWAYCTL, "--state", gw.state, "status"])
        equal(result.code, 3, "exit status of gatewayctl on a file that is %s" % what)
        equal(result.err.count("\n"), 1, "lines of gatewayctl on a file that is %s: %s" % (what, result.err))
        if what in ("zeros", "empty"):
            continue  # a maker that died before it was ready leaves no more; it may be replaced
        refused(gw, gw.state)
        with open(gw.state, "rb") as file:
            assert file.read() == data, "a file that is %s was changed" % what
    with open(gw.state, "r+b") as file:
        file.truncate(0)
        file.write(good)
    gw.start()
    ok(gw.ask(), "a")


def test_scribbled_inside(t):
    """Whatever stands behind the header, neither the daemon nor the CLI crashes on it."""
    gw = t.gateway([endpoint("a", t.sim("a"))], models={"m1": {"endpoints": ["a"]}})
    ok(gw.ask("m1"))
    gw.stop()
    with open(gw.state, "rb") as file:
        good = file.read()
    for seed in range(6):
        data = bytearray(good)
        # A pattern of its own for each: every 61st byte behind the header, or a block.
        if seed < 4:
            data[4096 + seed::61] = bytes([(seed * 85 + 7) & 255]) * len(data[4096 + seed::61])
        else:
            at = 4096 if seed == 4 else len(data) // 3
            data[at:at + 65536] = b"\xff" * 65536
        with open(gw.state, "r+b") as file:
            file.write(data)
        for command in (("status",), ("breaker", "list"), ("cooldown", "list"), ("workers",), ("events",),
                        ("region", "check"), ("region", "export")):
            result = gw.ctl(*command)
            equal(result.code == 1, command == ("region", "check"), "the answer \"no\" of gatewayctl %s" % (command,))
            assert result.code in (0, 1, 3) and not SANITIZER.search(result.err), \
                "gatewayctl %s: exit %d: %s" % (command[0], result.code, result.err)
        started = run([GATEWAYD, "-t", "-c", gw.file])
        equal(started.code, 0, "exit status of -t")
    with open(gw.state, "r+b") as file:
        file.write(good)
    gw.start()
    ok(gw.ask("m1"), "a")


def test_a_region_that_is_a_link(t):
    gw = t.gateway([endpoint("a", t.sim("a"))])
    gw.stop()
    os.rename(gw.state, gw.state + ".real")
    os.symlink(gw.state + ".real", gw.state)
    equal(gw.ctl("status").code, 3, "exit status of gatewayctl")
    refused(gw, gw.state)


def test_unknown_model_needs_no_upstream(t):
    """A gateway whose only endpoint cannot be reached starts all the same; that is what it is for."""
    gw = t.gateway([endpoint("a", "http://127.0.0.1:1/v1")])
    failed(gw.ask(), 502, "all_endpoints_failed")
