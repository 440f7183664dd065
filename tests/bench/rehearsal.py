"""What the rehearsals share: programs that are built, crowds of clients, and the records of what both ends saw.

The harness of the scenarios (tests/e2e) starts and ends gateways and simulators; it looks for the programs when it is
imported, so `prepare()` comes first. All times are seconds of the monotonic clock of this host.
"""

import collections
import contextlib
import json
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# A request as its client saw it; `code` is that of the error it was told, or None.
Request = collections.namedtuple("Request", "n due start first end streamed deadline_ms status attempts verdict code")

# A request as a simulator saw it.
Call = collections.namedtuple("Call", "start end id model streamed status how fault reused sim")

LIES = ("short", "wrong")  # verdicts that must never be: something that looks whole and is not


class CannotRun(Exception):
    pass


def prepare(build):
    """Build what is needed in `build` (a release where there is nothing yet); then the harness may be imported."""
    build = os.path.abspath(build or os.path.join(ROOT, "build-release"))
    wanted = ["gatewayd/gatewayd", "tools/gatewayctl", "tools/llmsim", "tests/bench/bench-crowd"]
    if os.path.exists(os.path.join(build, "build.ninja")):
        command = ["ninja", "--quiet", "-C", build] + wanted
    else:
        command = [os.path.join(ROOT, "tools", "run"), "--build", build]
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        raise CannotRun("the build in %s failed" % build)
    os.environ["GATEWAYD_BUILD"] = build
    sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
    return build


def stop_on_signals():
    """SIGTERM ends like Ctrl-C: everything that was started is stopped on the way out."""
    def stop(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, stop)


def say(text=""):
    print(text, flush=True)


class Crowd:
    """bench-crowd at work before the Unix socket `path`; `options` are its command line options."""

    def __init__(self, t, build, kind, path, name, **options):
        self.out = t.path(name + ".crowd")
        command = [os.path.join(build, "tests", "bench", "bench-crowd"), kind, "--unix", path, "--out", self.out]
        for key, value in options.items():
            for item in value if isinstance(value, (list, tuple)) else [value]:
                command += ["--" + key.replace("_", "-"), str(item)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        t.others.append(self.process)

    @property
    def running(self):
        return self.process.poll() is None

    def finish(self, timeout):
        """Its requests, in the order of their numbers."""
        try:
            _, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise CannotRun("the clients did not end within %.0f s" % timeout) from None
        if self.process.returncode != 0:
            raise CannotRun("the clients failed: %s" % err.strip())
        with open(self.out) as file:
            rows = [read_request(line.split()) for line in file]
        os.unlink(self.out)
        return sorted(rows)


def read_request(words):
    n, due, start, first, end, streamed, deadline, status, attempts, verdict, code = words
    return Request(int(n), int(due) / 1e6, int(start) / 1e6, int(first) / 1e6, int(end) / 1e6, streamed == "1",
                   int(deadline), int(status), int(attempts), verdict, None if code == "-" else code)


def read_calls(sim, path):
    """Everything that a simulator has recorded since the last time, by the time of arrival."""
    sim.stats()  # by its answer the file is complete
    with open(path) as file:
        rows = [json.loads(line) for line in file]
    os.truncate(path, 0)
    return sorted(Call(row["from_us"] / 1e6, row["to_us"] / 1e6, row["id"], row["model"], row["stream"], row["status"],
                       row["end"], row["fault"], row["reused"], sim.name) for row in rows)


def percentile(values, part):
    """Of sorted values; 0 of none."""
    return values[min(int(part * len(values)), len(values) - 1)] if values else 0


@contextlib.contextmanager
def belongings(harness, name):
    """A harness.Test that is stopped and removed whatever happens; what it complains of is in `.complaints`."""
    harness.adopt_orphans()
    t = harness.Test(name)
    t.complaints = []
    try:
        yield t
    except AssertionError as problem:
        raise CannotRun("%s\n%s" % (problem, t.tail())) from problem
    finally:
        t.complaints += t.close()
        t.remove()
