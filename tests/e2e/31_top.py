"""gatewayctl top on a real terminal: what it shows while endpoints fail, what its keys do, and how it leaves.

The terminal is tmux's: it takes keys, and tells what stands on its screen.
"""

import os
import re
import shutil
import signal
import subprocess
import time

from harness import GATEWAYCTL, Hammer, endpoint, equal, kill, wait_until

MARK = "what stood here before"


class Terminal:
    """A tmux of its own, with a shell that runs one command after the other."""

    def __init__(self, t, width=80, height=24, term="screen-256color", **env):
        assert shutil.which("tmux"), "tmux is missing: tools/packages test"
        self.socket = t.path("tmux-%d" % time.monotonic_ns())
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": t.dir, "PS1": "$ "}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                environment[name] = os.environ[name]
        environment.update(env)
        self.term, self.environment = term, environment
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height), "sh")
        self.type("TERM=%s; export TERM; clear; echo '%s'\n" % (term, MARK))
        self.shows(MARK)

    def tmux(self, *args):
        done = subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null"] + list(args), env=self.environment,
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, "tmux %s: %s" % (args[0], done.stderr)
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.press("C-c")
        wait_until(lambda: self.tmux("display-message", "-p", "#{pane_current_command}").strip() != "gatewayctl", 10,
                   "what runs in the terminal ends when it is interrupted")
        pid = int(self.tmux("display-message", "-p", "#{pid}"))
        self.tmux("kill-server")
        for _ in range(200):  # the daemon it made of itself is this process's by adoption
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                break
            time.sleep(0.02)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def top(self, gw, *args, after=""):
        """Start it; the shell prints `ended N` when it has ended with that status."""
        self.type("%s --state %s top %s; echo ended $? %s\n" % (GATEWAYCTL, gw.state, " ".join(args), after))

    @property
    def lines(self):
        return self.tmux("capture-pane", "-p").split("\n")

    @property
    def text(self):
        return "\n".join(self.lines)

    def shows(self, *words, timeout=15):
        """Wait until all of these regular expressions match something on the screen."""
        def all_there():
            text = self.text
            return all(re.search(word, text, re.M) for word in words)
        try:
            wait_until(all_there, timeout, "the screen shows %s" % (words,))
        except AssertionError as error:
            raise AssertionError("%s:\n%s" % (error, self.text)) from None

    def row(self, name):
        """The list's row of an endpoint."""
        return next((line for line in self.lines if line.startswith(name + " ")), "")

    def size(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))


def three(t, **keys):
    """a is well, b is rate limited, c is down."""
    a, b, c = t.sim("alpha", ttft="20ms"), t.sim("bravo", fault="429/retry-after=300"), t.sim("charlie")
    c.set(down=True)
    breaker = {"failures": 3, "open": "300s", "max_open": "300s"}
    return t.gateway([endpoint("charlie", c, breaker=breaker), endpoint("bravo", b, priority=2),
                      endpoint("alpha", a, priority=3)], **keys)


def state(gw, name):
    return gw.endpoint(name)["state"]


def break_it(gw):
    for _ in range(5):
        equal(gw.ask(stream=True).endpoint, "alpha", "who answered")
    equal([state(gw, name) for name in ("alpha", "bravo", "charlie")], ["healthy", "cooling", "open"], "states")


def test_it_shows_what_is_the_matter(t):
    gw = three(t)
    break_it(gw)
    with Terminal(t) as term, Hammer(gw):
        term.top(gw)
        term.shows("^ gatewayctl top  serving: 1 of 3 endpoints can be tried",
                   "^NAME +STATE +REQ/S ERR %  BUSY/MAX TTFT p50/p99 WHY$",
                   r"^alpha +healthy +\d+\.\d +0\.0 +\d+/1000 +\d+ms/\d+ms -$",
                   r"^bravo +cooling .* [45]m\d+s, rate limited", r"^charlie +open .* [45]m\d+s, 3 failures in",
                   r"^alpha  healthy, 1 model, last good 0s ago",
                   "^requests/s .*█.*  peak ", "^first token .*█.*  peak ",
                   r"^EVENTS", r"^\d\d:\d\d:\d\d breaker +charlie +closed \(2 failures\) -> open 5m",
                   "^q quit  [?] help  enter details", "^workers 2  in flight ")
        lines = term.lines
        head = next(line for line in lines if line.startswith("NAME"))
        for name in ("alpha", "bravo", "charlie"):
            equal(term.row(name)[head.index("STATE") - 1:head.index("STATE")], " ", "the column before STATE")
            assert term.row(name)[head.index("STATE")] != " ", "STATE is not aligned: %s" % term.row(name)
        for line in lines:
            assert len(line) <= 80, "%d columns: %s" % (len(line), line)
        term.press("G", "Enter")
        term.shows("^charlie  open ", "^last failure .*, charlie: no answer", "^.the endpoint. +open +3 ")


def test_every_size(t):
    gw = three(t)
    break_it(gw)
    with Terminal(t) as term:
        term.top(gw, "--interval", "200ms")
        term.shows("^charlie +open")
        term.size(200, 50)
        term.shows(r"LAST OK +WHY$", r"^alpha +healthy.* closed +\d+s ago", "UTC, every 0.2s$", "a auto$")
        equal(len(term.lines) - 1, 50, "lines")
        term.size(40, 12)
        term.shows("^NAME +STATE +REQ/S ERR % BUSY/MAX$", "^charlie +open", "^q quit .* e events$")
        term.size(10, 3)
        term.shows("^ gateway.$", "^NAME$", "^q quit$")
        term.size(80, 24)
        term.shows("^EVENTS", "^charlie +open")


def test_keys_change_what_the_commands_change(t):
    gw = three(t)
    break_it(gw)
    with Terminal(t) as term:
        term.top(gw, "--interval", "200ms")
        term.shows("^charlie +open")
        term.press("j", "j", "r")
        term.shows("^.y/n. reset the breakers of charlie and its model[?]")
        term.press("n")
        term.shows("^nothing was changed")
        equal(state(gw, "charlie"), "open", "state after no")
        term.press("r", "y")
        term.shows("^charlie: open .* -> closed", "^charlie +healthy", "^ gatewayctl top  serving: 2 of 3")
        equal(state(gw, "charlie"), "healthy", "state after a reset")

        term.press("d", "y")
        term.shows("^charlie: enabled -> drained", "^charlie +drained +.* by the operator")
        equal(state(gw, "charlie"), "drained", "state after d")
        term.press("d")
        term.shows("^.y/n. enable charlie again[?]")
        term.press("y")
        term.shows("^charlie: drained -> enabled", "^charlie +healthy")

        term.press("k", "c", "y")
        term.shows(r"^bravo/\*: cooling .* -> not cooling", "^bravo +healthy")
        equal(state(gw, "bravo"), "healthy", "state after c")

        term.press("o", "y")
        term.shows("^bravo: closed -> forced_open .and 1 more.", "^bravo +forced_open +.* held open by the op")
        equal(state(gw, "bravo"), "forced_open", "state after o")
        term.press("f", "y")
        term.shows("^bravo: forced_open -> forced_closed")
        term.press("a", "y")
        term.shows("^bravo: forced_closed -> closed .and 1 more.")
        equal(gw.endpoint("bravo")["breaker"], "closed", "breaker after a")

        by = "uid %d" % os.getuid()
        done = [(event["kind"], event["to"]) for event in gw.events() if event["by"] == by]
        for change in (("breaker", "closed"), ("order", "drained"), ("order", "enabled"), ("cooldown", "not_cooling"),
                       ("breaker", "forced_open"), ("breaker", "forced_closed")):
            assert change in done, "%s is not among %s" % (change, done)
        equal(len([row for row in gw.rows() if row["role"] == "guest"]), 0, "guest slots left")


def test_details_steer_one_model(t):
    sims = [t.sim("alpha"), t.sim("bravo")]
    gw = t.gateway([endpoint("alpha", sims[0]), endpoint("bravo", sims[1])],
                   models={"m1": {"endpoints": ["alpha", "bravo"]}, "m2": {"endpoints": ["alpha"]}})
    with Terminal(t) as term:
        term.top(gw, "--interval", "200ms")
        term.shows("^alpha +healthy")
        term.press("Enter")
        term.shows("^MODEL +BREAKER", "^.the endpoint. +closed", "^m1 +closed", "^m2 +closed", "^EVENTS OF alpha",
                   "^first token, last 10s")
        term.press("j", "o")
        term.shows("^.y/n. hold alpha/m1 open")
        term.press("y")
        term.shows("^m1 +forced_open", "^alpha/m1: closed -> forced_open$", "^alpha  m1 held open",
                   "breaker +alpha/m1 +closed -> forced_open")
        equal([gw.pair("alpha", model)["state"] for model in ("m1", "m2")], ["forced_open", "healthy"], "states")
        term.press("d")
        term.shows("^only a whole endpoint is drained")
        term.press("q")
        term.shows("^NAME", "^alpha +degraded")


def test_sort_filter_and_pages(t):
    gw = three(t)
    break_it(gw)

    def order(term):
        return re.findall(r"^(alpha|bravo|charlie) +[a-z]+ +(?:-|\d+\.\d) ", term.text, re.M)
    with Terminal(t) as term:
        term.top(gw, "--interval", "200ms")
        term.shows("^3 endpoints, by name", "^charlie +open")
        equal(order(term), ["alpha", "bravo", "charlie"], "order by name")
        term.press("s")
        term.shows("^3 endpoints, by state")
        equal(order(term), ["charlie", "bravo", "alpha"], "order by state")
        for name in ("rate", "errors", "latency", "name"):
            term.press("s")
            term.shows("^3 endpoints, by " + name)

        term.type("/RATE LIM")
        term.shows("^filter: RATE LIM_", '^1 endpoint of 3 with "RATE LIM"')
        equal(order(term), ["bravo"], "order with a filter")
        term.press("Enter")
        term.shows("^q quit")
        term.press("Escape")
        term.shows("^3 endpoints, by name")

        term.press("e")
        term.shows("^EVENTS, newest first: ", "cooldown +bravo", "master_start")
        term.type("/bravo\n")
        term.shows('^EVENTS with "bravo", newest first: 1 of ')
        assert "master_start" not in term.text, "the filter lets everything through:\n" + term.text
        term.press("?")
        term.shows("^KEYS", "^r +reset its breakers")
        term.press("q", "q", "Escape")
        term.shows("^3 endpoints, by name")
        term.press("z")
        term.shows("^this key does nothing")


def test_it_leaves_the_terminal_as_it_was(t):
    gw = three(t)
    with Terminal(t) as term:
        term.type("stty -a > %s\n" % t.path("before"))

        def left(status, *words):
            term.shows(MARK, "^ended %d" % status, *words)
            assert "gatewayctl top  " not in term.text, "something is left of it:\n" + term.text
            equal(term.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split(), ["0", "1"],
                  "alternate screen, cursor")
            term.type("clear; echo '%s'; stty -a > %s\n" % (MARK, t.path("after")))
            wait_until(lambda: os.path.exists(t.path("after")) and os.path.getsize(t.path("after")), 5, "stty -a")
            with open(t.path("before")) as before, open(t.path("after")) as after:
                equal(after.read(), before.read(), "stty -a")
            os.unlink(t.path("after"))

        def pid():
            found = subprocess.run(["pgrep", "-f", "^%s --state %s top" % (GATEWAYCTL, gw.state)], capture_output=True,
                                   text=True).stdout.split()
            return int(found[0]) if found else None

        term.top(gw)
        term.shows("^alpha +healthy")
        term.press("q")
        left(0)
        term.top(gw)
        term.shows("^alpha +healthy")
        term.press("C-c")
        left(0)
        for number, status in ((signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGABRT, 128 + signal.SIGABRT)):
            term.top(gw)
            term.shows("^alpha +healthy")
            kill(wait_until(pid, 5, "top runs"), number)
            left(status)

        # A copy of the region, cut short while it is looked at.
        shutil.copy(gw.state, t.path("copy"))
        os.chmod(t.path("copy"), 0o660)
        term.type("%s --state %s top; echo ended $?\n" % (GATEWAYCTL, t.path("copy")))
        term.shows("^alpha +healthy")
        os.truncate(t.path("copy"), 4096)
        left(3, "gatewayctl: .*copy was cut short")


def test_it_survives_its_daemon_and_its_region(t):
    gw = three(t)
    with Terminal(t) as term:
        term.top(gw, "--interval", "200ms")
        term.shows("^ gatewayctl top  serving: 3 of 3")
        gw.stop()
        term.shows("^ gatewayctl top  NOT SERVING: gatewayd is not running; 3 of 3")
        term.press("j", "d", "y")
        term.shows("^bravo +drained")
        term.press("d", "y")
        term.shows("^bravo +healthy")
        for name in os.listdir(t.dir):
            if name.startswith("gw.state"):
                os.unlink(t.path(name))
        term.shows("THE REGION'S FILE IS GONE")
        term.press("d", "y")
        term.shows("^there is no region at ")
        gw.start()
        term.shows("^ gatewayctl top  serving: 3 of 3")
        with Hammer(gw):
            term.shows(r"^alpha +healthy +[1-9]\d*\.\d ")
        term.press("q")
        term.shows("^ended 0")


def test_plain_terminals(t):
    gw = three(t)
    break_it(gw)

    def colored(term):
        return re.search(r"\x1b\[[0-9;]*3[0-7]m", term.tmux("capture-pane", "-p", "-e"))
    with Terminal(t) as term:
        term.top(gw)
        term.shows("^charlie +open")
        assert colored(term), "no color where there could be"
        term.press("q")
    with Terminal(t, NO_COLOR="1") as term, Hammer(gw):
        term.top(gw)
        term.shows("^charlie +open", "^requests/s .*█")
        assert not colored(term), "color although NO_COLOR is set"
        term.press("q")
    with Terminal(t, term="vt100") as term, Hammer(gw):
        term.top(gw)
        term.shows("^charlie +open", "^requests/s .*#")
        assert not colored(term) and term.text.isascii(), "not plain:\n" + term.text
        term.press("Enter")
        term.shows("^EVENTS OF alpha")
        term.press("q", "q")
        term.shows("^ended 0")
    for name in ("dumb", "no-such-terminal"):
        with Terminal(t, 120) as term:
            term.type("TERM=%s " % name)
            term.top(gw)
            term.shows('gatewayctl: .*terminal "%s".*set TERM' % name, "^ended 2")
    result = gw.ctl("top", json_too=False)
    equal((result.code, result.out), (2, ""), "without a terminal")
    assert "top needs a terminal; gatewayctl status" in result.err, result.err
    result = gw.ctl("top")
    equal((result.code, result.out), (2, ""), "with --json")
    assert "gatewayctl --json status" in result.err, result.err


def test_two_hundred_endpoints(t):
    sim = t.sim("alpha")
    gw = t.gateway([endpoint("upstream-%03d" % number, sim) for number in range(200)])
    with Terminal(t) as term:
        term.top(gw, "--interval", "500ms")
        term.shows("^1 to 9 of 200 endpoints, by name", "^upstream-000 +healthy", "^upstream-008 +healthy")
        term.press("G")
        term.shows("^192 to 200 of 200 endpoints", "^upstream-199 +healthy", "^upstream-199  healthy")
        term.press("PPage", "Up")
        term.shows("^upstream-190  healthy")
        term.type("/-15\n")
        term.shows('^2 to 10 of 10 endpoints of 200 with "-15"', "^upstream-159  healthy")
        term.size(200, 50)
        term.shows('^10 endpoints of 200 with "-15"')
        term.press("Escape")
        term.shows("^1[0-9]+ to 1[0-9]+ of 200 endpoints|^1 to ")
