"""What the end-to-end scenarios stand on: a gateway, simulated upstreams, the admin CLI, and an orderly end.

A test gets a `Test` and makes everything through it:

    sim = t.sim("a")                                     an llmsim on a Unix socket
    gw = t.gateway([endpoint("a", sim)], workers=4)      a gatewayd with a configuration of its own, listening
    r = gw.ask("gpt-test", stream=True)                  one request on a fresh connection
    gw.ctl("status").json                                gatewayctl on its region

All of it lives in one short-named directory under /tmp and talks over Unix sockets, so no port number matters; where
TCP is the subject, port 0 is used and the port read from the log. When the test ends, every process that it started is
stopped by its pid, and the gateway's log is searched for what a sanitizer would have said.
"""

import collections
import contextlib
import ctypes
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from client import Call, Conn, chat, crowd, head, request  # noqa: F401 (tests import them from here)
from upstream import Upstream

BUILD = os.path.abspath(os.environ.get("GATEWAYD_BUILD", "build"))
GATEWAYD = os.path.join(BUILD, "gatewayd", "gatewayd")
GATEWAYCTL = os.path.join(BUILD, "tools", "gatewayctl")
LLMSIM = os.path.join(BUILD, "tools", "llmsim")

SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer|Assertion .* failed")
STATES = {"healthy", "degraded", "cooling", "exhausted", "open", "half_open", "drained", "forced_open"}

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Those of a killed master become children of this process, so that none can be overlooked."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


Result = collections.namedtuple("Result", "code out err json")


# Waiting and comparing.

def wait_until(predicate, timeout, what):
    """The first true value of `predicate`, or a failure that says what did not happen."""
    until = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError("not within %.1f s: %s (last seen: %r)" % (timeout, what, value))
        time.sleep(0.02)


def equal(got, want, what):
    assert got == want, "%s: expected %r, got %r" % (what, want, got)


def words(count):
    """The text of an llmsim answer of so many tokens."""
    return "".join("word%02d " % number for number in range(1, count + 1))


def ok(response, endpoint=None):
    """A whole 200, from the named endpoint if one is given; the response back."""
    assert response.status == 200 and response.whole, "not a whole 200: %s" % response
    if response.header("content-type", "").startswith("text/event-stream"):
        assert response.done, "a stream without its end: %s" % response
    if endpoint:
        equal(response.endpoint, endpoint, "X-Gateway-Endpoint")
    return response


def failed(response, status, code, kind=None):
    """An error of the contract's section 5, complete in every part; its error object back."""
    assert response.status == status and response.whole, "expected a whole %d %s: %s" % (status, code, response)
    equal(response.header("content-type", "").split(";")[0], "application/json", "content type of an error")
    error = response.error
    for key in ("message", "type", "param", "code", "request_id"):
        assert key in error, "the error has no %r: %s" % (key, response)
    equal(error["code"], code, "error code")
    if kind:
        equal(error["type"], kind, "error type")
    assert error["message"], "an error without a message: %s" % response
    equal(response.header("x-request-id"), error["request_id"], "request_id of the error and X-Request-Id")
    if status in (429, 503):
        assert isinstance(error.get("retry_after"), (int, float)), "no retry_after: %s" % response
        seconds = response.header("retry-after")
        assert seconds and seconds.isdigit(), "no Retry-After of whole seconds: %s" % response
        assert int(seconds) >= error["retry_after"] > int(seconds) - 1.001 or int(seconds) == 1, \
            "Retry-After %s is not retry_after %s rounded up" % (seconds, error["retry_after"])
    return error


# Processes.

def alive(pid):
    """Whether a process runs; a zombie does not."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def parents():
    """{pid: parent pid} of every process."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                with open("/proc/%s/stat" % name) as file:
                    found[int(name)] = int(file.read().rsplit(")", 1)[1].split()[1])
    return found


def descendants(root):
    tree, found = parents(), []
    for pid in tree:
        above = pid
        while above in tree and above != root and above > 1:
            above = tree[above]
        if above == root and pid != root:
            found.append(pid)
    return found


def command(pid):
    with contextlib.suppress(OSError):
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            return file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return "?"


def kill(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def process_status(pid, key):
    with open("/proc/%d/status" % pid) as file:
        return re.search(key + r":\s*(\w+)", file.read()).group(1)


def pending(pid, signum):
    """Whether a signal waits to be taken."""
    return int(process_status(pid, "ShdPnd"), 16) >> signum - 1 & 1


def rss(pid):
    """Resident memory in bytes; 0 when the process is gone."""
    with contextlib.suppress(OSError, IndexError):
        with open("/proc/%d/statm" % pid) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


# Configuration.

PLAIN = re.compile(r"^[A-Za-z/][A-Za-z0-9_./:+-]*$|^[0-9]+(ms|s|m|h|%|KiB|MiB)$")


def yaml(value, indent=0):
    """A configuration from dicts, lists and scalars, in block style: a problem's line and column mean something."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            nested = isinstance(item, (dict, list)) and item
            lines.append(pad + scalar(key) + ":" + ("\n" + yaml(item, indent + 1) if nested else " " + scalar(item)))
        return "\n".join(lines)
    if isinstance(value, list) and value:
        lines = []
        for item in value:
            text = yaml(item, indent + 1) if isinstance(item, (dict, list)) else pad + "  " + scalar(item)
            lines.append(pad + "- " + text.lstrip())
        return "\n".join(lines)
    return pad + scalar(value)


def scalar(value):
    if isinstance(value, str) and PLAIN.match(value) and value not in ("true", "false", "null", "yes", "no", "on"):
        return value
    return json.dumps(value)


def endpoint(name, upstream, **keys):
    """One entry of `endpoints:`; `upstream` has a `url`, or is one."""
    return {"name": name, "url": getattr(upstream, "url", upstream), "key": "none", **keys}


# The programs.

def spawn(args, out, err, env=None):
    environment = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C.UTF-8"}
    given = os.environ.get("ASAN_OPTIONS")  # what is freed is kept for a while, which is no growth of the program's
    environment["ASAN_OPTIONS"] = (given + ":" if given else "") + "quarantine_size_mb=8:malloc_context_size=10"
    environment["UBSAN_OPTIONS"] = os.environ.get("UBSAN_OPTIONS", "print_stacktrace=1")
    for name in ("LSAN_OPTIONS", "TSAN_OPTIONS"):
        if name in os.environ:
            environment[name] = os.environ[name]
    environment.update(env or {})
    return subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment,
                            start_new_session=True)


def run(args, timeout=20, env=None, stdin=None):
    """A program that ends by itself."""
    # Whoever looks at a gateway of his own (README.md has him export this) runs the tests on theirs.
    environment = {**{name: value for name, value in os.environ.items() if name != "GATEWAYD_STATE"}, **(env or {})}
    done = subprocess.run(args, stdin=subprocess.DEVNULL if stdin is None else None, input=stdin, capture_output=True,
                          timeout=timeout, env=environment, text=True)
    try:
        document = json.loads(done.stdout)
    except ValueError:
        document = None
    return Result(done.returncode, done.stdout, done.stderr, document)


class Adopted:
    """A master that another one started. It is this process's child once the one before has ended; until then its exit
    status is that one's to collect."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self):
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
            except ChildProcessError:
                if not alive(self.pid):
                    self.returncode = 0
        return self.returncode

    def wait(self, timeout=None):
        until = time.monotonic() + (timeout or 1e9)
        while self.poll() is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("gatewayd %d" % self.pid, timeout)
            time.sleep(0.02)
        return self.returncode


class Gateway:
    """A gatewayd with a configuration file of its own."""

    def __init__(self, t, config, name="gw", env=None, program=None):
        self.program = program or GATEWAYD
        self.t, self.config, self.name, self.env = t, config, name, env
        self.file = t.path(name + ".yaml")
        self.state = config["state"]
        self.unix = next((item["unix"] for item in config["listen"] if "unix" in item), None)
        self.log_path, self.access_path = t.path(name + ".log"), t.path(name + ".access")
        self.processes = []
        self.write()

    def write(self, **changes):
        """Write the configuration, with these top-level keys changed (None takes one out)."""
        for key, value in changes.items():
            if value is None:
                self.config.pop(key, None)
            else:
                self.config[key] = value
        with open(self.file, "w") as file:
            file.write(yaml(self.config) + "\n")

    def start(self, wait=True):
        """Start the daemon; again after its end, or beside the orphans of a killed master."""
        self.log_from = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log, open(self.access_path, "ab") as access:
            self.processes.append(spawn([self.program, "-c", self.file], access, log, self.env))
        if wait:
            self.wait_listening()
        return self

    def upgrade(self):
        """An upgrade that has to succeed; what gatewayctl says of it. The new master is `self.process` then."""
        said = self.order("upgrade", timeout=60).json
        self.processes.append(Adopted(said["pid"]))
        return said

    @property
    def process(self):
        return self.processes[-1]

    @property
    def master(self):
        return self.process.pid

    @property
    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    @property
    def access(self):
        """The access log's lines as objects; a line that is no JSON fails here."""
        with open(self.access_path, errors="replace") as file:
            return [json.loads(line) for line in file.read().splitlines()]

    @property
    def tcp(self):
        """(host, port) of the TCP listener, from the log since the last start."""
        found = re.search(r"listening on (127\.0\.0\.1):(\d+)", self.log[self.log_from:])
        return (found.group(1), int(found.group(2))) if found else None

    def listening(self):
        if self.process.poll() is not None:
            raise AssertionError("gatewayd ended with %d instead of listening" % self.process.returncode)
        if any("tcp" in item for item in self.config["listen"]) and not self.tcp:
            return False
        try:
            Conn(self.unix or self.tcp, 1).close()
        except OSError:
            return False
        return len(self.workers()) >= self.config["workers"]

    def wait_listening(self, timeout=20):
        wait_until(self.listening, timeout, "gatewayd listens and its workers run")

    # Asking.

    def ask(self, model="gpt-test", content="Tell me a story.", stream=False, headers=(), timeout=30, address=None,
            path="/v1/chat/completions", **more):
        """One chat request on a fresh connection, answered."""
        return self.call(model, content, stream, headers, timeout, address, path, **more).run()

    def begin(self, *args, **keys):
        """The same, begun; a `Call` whose answer arrives while the test does something else."""
        return self.call(*args, **keys).begin()

    def call(self, model="gpt-test", content="Tell me a story.", stream=False, headers=(), timeout=30, address=None,
             path="/v1/chat/completions", **more):
        if stream:
            more["stream"] = True
        return Call(address or self.unix or self.tcp, request("POST", path, headers, chat(model, content, **more)),
                    timeout)

    def get(self, path, headers=(), method="GET", address=None, timeout=10):
        return Call(address or self.unix or self.tcp, request(method, path, headers), timeout, method).run()

    def connect(self, address=None, **keys):
        return Conn(address or self.unix or self.tcp, **keys)

    def reach_all_workers(self, model="gpt-test", **keys):
        """Ask until every worker has served a request, so that what follows is known to concern them all."""
        def served():
            return [row["requests"] > 0 for row in self.workers()]
        for _ in range(40):
            if all(served()):
                return
            crowd(40, lambda number: self.ask(model, **keys), 40)
        raise AssertionError("1600 requests did not reach every worker: %s" % self.workers())

    # Administration.

    def ctl(self, *args, json_too=True, timeout=30):
        return run([GATEWAYCTL, "--state", self.state] + (["--json"] if json_too else []) + list(args), timeout)

    def order(self, *args, **keys):
        """A gatewayctl command that has to succeed."""
        result = self.ctl(*args, **keys)
        assert result.code == 0, "gatewayctl %s: exit %d, %s%s" % (" ".join(args), result.code, result.out, result.err)
        return result

    def status(self):
        return self.order("status").json

    def endpoint(self, name):
        """The status row of an endpoint."""
        for row in self.status()["endpoints"]:
            if row["name"] == name:
                return row
        raise AssertionError("status has no endpoint %r" % name)

    def pair(self, name, model):
        """The status row of (endpoint, model); of models that the configuration does not name, `*`."""
        for row in self.endpoint(name)["models"]:
            if row.get("name", row.get("model")) in (model, "%s/%s" % (name, model)):
                return row
        raise AssertionError("status has no model %r at %r: %s" % (model, name, self.endpoint(name)))

    def rows(self):
        result = self.ctl("workers")
        return result.json["workers"] if result.code == 0 and result.json else []

    def workers(self):
        return [row for row in self.rows() if row["role"] == "worker"]

    def steward(self):
        return next((row for row in self.rows() if row["role"] == "steward"), None)

    def pids(self):
        return [row["pid"] for row in self.workers()]

    @contextlib.contextmanager
    def without_free_slots(self, but=0):
        """For a while the slots that nobody has, but for so many, are locked as by processes that live in them."""
        with open(self.state, "r+b") as file:
            file.seek(32)
            count, = struct.unpack("I", file.read(4))
            for slot in sorted(set(range(count)) - {row["slot"] for row in self.rows() if alive(row["pid"])})[but:]:
                lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 4096 + 256 * slot, 1, 0)
                fcntl.fcntl(file, 37, lock)  # F_OFD_SETLK
            yield

    def in_flight(self):
        return sum(row["in_flight"] for row in self.status()["endpoints"])

    def parked(self):
        """How many requests wait for an endpoint, over all workers."""
        return self.status()["summary"]["parked"]

    def wait_parked(self, count, timeout=10):
        wait_until(lambda: self.parked() == count, timeout, "%d requests are parked" % count)

    def events(self):
        return self.order("events").json["events"]

    # The end.

    def send_signal(self, number):
        kill(self.master, number)

    def wait_exit(self, timeout=20):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("gatewayd did not end within %.0f s" % timeout) from None

    def stop(self, number=signal.SIGTERM, timeout=20):
        """End it as an operator would; returns the exit status."""
        self.send_signal(number)
        return self.wait_exit(timeout)

    def clean_up(self):
        """Stop whatever of it still runs. Returns complaints: what was not as it should be."""
        complaints = []
        running = self.processes and self.process.poll() is None
        if running:
            # A stopped process (SIGSTOP) could not obey.
            for pid in [self.master] + descendants(self.master):
                kill(pid, signal.SIGCONT)
            try:
                code = self.stop(timeout=15)
                if code != 0:
                    complaints.append("gatewayd ended with %d after SIGTERM" % code)
            except AssertionError as error:
                complaints.append(str(error))
                for pid in descendants(self.master) + [self.master]:
                    kill(pid)
                self.process.wait()
        if os.path.exists(self.log_path):
            found = SANITIZER.search(self.log)
            if found:
                at = self.log.rfind("\n", 0, found.start()) + 1
                complaints.append("a sanitizer spoke:\n" + self.log[at:at + 3000])
        return complaints


class Hammer:
    """Clients that ask without pause, each time on a fresh connection, until the `with` block ends.

    Afterwards `failures` must be empty; `served` counts the rest.
    """

    def __init__(self, gateway, width=3, addresses=None, pause=0.01, **keys):
        self.gateway, self.width, self.pause, self.keys = gateway, width, pause, keys
        self.addresses = addresses or [gateway.unix]
        self.served, self.failures = 0, []
        self.lock, self.over, self.threads = threading.Lock(), threading.Event(), []

    def _run(self, number):
        while not self.over.is_set():
            address = self.addresses[number % len(self.addresses)]
            r = self.gateway.ask(address=address, stream=number % 2 == 0, **self.keys)
            number += self.width + 1
            good = r.status == 200 and r.whole and (r.done or not r.header("content-type", "").startswith("text/event"))
            with self.lock:
                self.served += good
                if not good and len(self.failures) < 20:
                    self.failures.append("%s: %s %s" % (address, r.reason if r.end == "refused" else "", r))
            self.over.wait(self.pause)

    def more(self, count, timeout=20):
        """Wait until so many more requests were served."""
        goal = self.served + count
        wait_until(lambda: self.served >= goal or self.failures, timeout, "%d more requests are served" % count)
        assert not self.failures, "requests failed:\n%s" % "\n".join(self.failures)

    def __enter__(self):
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(self.width)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(40)
        if kind is None:
            assert not self.failures, "requests failed:\n%s" % "\n".join(self.failures)


class Sim:
    """An llmsim. `options` are its command line options: latency="20ms", tokens=60, rpm=5 and so on."""

    def __init__(self, t, name, tcp=False, fault=(), **options):
        self.t, self.name = t, name
        self.log_path = t.path("sim-%s.log" % name)
        self.listen = "127.0.0.1:0" if tcp else "unix:" + t.path(name + ".sock")
        self.control = t.path(name + ".ctl")  # reached even while the simulated provider is down
        self.args = ["--name", name, "--control", "unix:" + self.control]
        for key, value in options.items():
            self.args += ["--" + key.replace("_", "-"), str(value)]
        for spec in [fault] if isinstance(fault, str) else fault:
            self.args += ["--fault", spec]
        self.address = None
        self.process = None
        self.start()

    def start(self):
        """Start; again on the same address after `stop`."""
        out_path = self.t.path("sim-%s.out" % self.name)
        with open(out_path, "wb") as out, open(self.log_path, "ab") as log:
            self.process = spawn([LLMSIM, "-l", self.listen] + self.args, out, log)

        def address():
            assert self.process.poll() is None, "llmsim ended with %s: %s" % (self.process.returncode, self.log)
            with open(out_path) as file:
                text = file.read()
            found = re.search(r"listening on (?:http://)?(unix:\S+|127\.0\.0\.1:\d+)", text)
            return "control on" in text and found and found.group(1)
        self.listen = wait_until(address, 10, "llmsim says where it listens")
        if self.listen.startswith("unix:"):
            self.address = self.listen[5:]
            os.chmod(self.address, 0o777)
            self.url = "unix:%s:/v1" % self.address
        else:
            host, port = self.listen.rsplit(":", 1)
            self.address = (host, int(port))
            self.url = "http://%s/v1" % self.listen
        return self

    @property
    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def ask(self, model="gpt-test", content="Tell me a story.", stream=False, path="/v1/chat/completions", **more):
        """Ask the simulator itself, past the gateway."""
        if stream:
            more["stream"] = True
        return Call(self.address, request("POST", path, (), chat(model, content, **more))).run()

    def stats(self, log=False):
        """What it saw: GET /sim."""
        r = Call(self.control, request("GET", "/sim" if log else "/sim?log=0"), 10, "GET").run()
        assert r.status == 200 and r.whole, "llmsim's GET /sim: %s" % r
        return r.json

    @property
    def requests(self):
        """The last thousand requests, oldest first: time_ms, path, model, status, end, headers, body and more."""
        return self.stats(log=True)["log"]

    def set(self, **values):
        """Change it while it runs: POST /sim."""
        r = Call(self.control, request("POST", "/sim", (), json.dumps(values)), 10).run()
        assert r.status == 200, "llmsim refused %s: %s" % (values, r)
        return r

    def fault(self, *specs):
        """These faults from now on, and no other; none without an argument."""
        return self.set(faults=list(specs))

    def forget(self):
        """Start counting afresh."""
        return self.set(reset=True)

    @property
    def count(self):
        """How many requests arrived."""
        return self.stats()["requests"]

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            kill(self.process.pid, number)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if isinstance(self.address, str):
            with contextlib.suppress(OSError):
                os.unlink(self.address)


class Test:
    """One test's belongings."""

    def __init__(self, name):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="gw", dir="/tmp")
        os.chmod(self.dir, 0o755)  # workers that dropped their privileges reach the sockets in it
        self.gateways, self.sims, self.upstreams, self.others = [], [], [], []

    def path(self, name):
        return os.path.join(self.dir, name)

    def sim(self, name="a", **options):
        self.sims.append(Sim(self, name, **options))
        return self.sims[-1]

    def upstream(self, script=None, name=None, tcp=False):
        """A scripted upstream; see upstream.py."""
        where = 0 if tcp else self.path("%s.sock" % (name or "up%d" % len(self.upstreams)))
        self.upstreams.append(Upstream(where, script))
        return self.upstreams[-1]

    def config(self, endpoints, name="gw", **keys):
        """A configuration: quiet, small, in the test's directory, everything else at its default."""
        return {"listen": [{"unix": self.path(name + ".sock"), "mode": "0666"}], "state": self.path(name + ".state"),
                "workers": 2, "drain": {"stop": "5s", "reload": "30s"}, "endpoints": endpoints, **keys}

    def gateway(self, endpoints, start=True, name="gw", env=None, tcp=False, program=None, **keys):
        config = self.config(endpoints, name, **keys)
        if tcp:
            config["listen"].append({"tcp": "127.0.0.1:0"})
        gateway = Gateway(self, config, name, env, program)
        self.gateways.append(gateway)
        return gateway.start() if start else gateway

    def process(self, args, env=None):
        """Another program that has to be stopped at the end."""
        with open(self.path("other.log"), "ab") as log:
            self.others.append(spawn(args, log, log, env))
        return self.others[-1]

    def free_port(self):
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            return sock.getsockname()[1]

    def tail(self, lines=30):
        """The end of every gateway's log, for a failure's report."""
        found = []
        for gateway in self.gateways:
            if os.path.exists(gateway.log_path):
                found += ["--- log of %s:" % gateway.name] + gateway.log.splitlines()[-lines:]
        for sim in self.sims:
            if sim.log.strip():
                found += ["--- log of llmsim %s:" % sim.name] + sim.log.splitlines()[-5:]
        return "\n".join(found)

    def close(self):
        """Stop everything; returns complaints. Safe to call after any failure."""
        complaints = []
        for gateway in self.gateways:
            complaints += gateway.clean_up()
        for sim in self.sims:
            sim.stop()
            if SANITIZER.search(sim.log):
                complaints.append("llmsim's sanitizer spoke:\n" + sim.log[:2000])
        for upstream in self.upstreams:
            upstream.stop()
        for process in self.others:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        # Orphans of a gateway became this process's children: they are given a moment, then ended by pid.
        until = time.monotonic() + 3
        while strays() and time.monotonic() < until:
            time.sleep(0.05)
        for pid in strays():
            complaints.append("still running at the end: %d %s" % (pid, command(pid)))
            kill(pid)
        until = time.monotonic() + 3
        while strays() and time.monotonic() < until:
            time.sleep(0.02)
        return complaints

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def strays():
    """Children of this process that it did not start (orphans that became its own) and that still run; the ended ones
    are reaped on the way. To be called when everything started on purpose has been waited for."""
    found = []
    for pid, parent in parents().items():
        if parent != os.getpid():
            continue
        if alive(pid):
            found.append(pid)
        else:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
    return found
