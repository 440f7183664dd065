"""What does a request, and what does a relayed event, cost in gatewayd, nginx and HAProxy?

All three stand as failover proxies (two upstreams, retries on, kept-alive pools, no access log) with one worker before
the same backend, and are asked by the same client, in turns: A B C A B C ... Everything listens on 127.0.0.1 only. On a
machine with two or more CPUs the proxy has the last one for itself, client and backend share the others.

  requests   64 kept-alive connections, a POST of 1 KiB each, an answer of 1 KiB, as fast as it goes: requests/s, and
             the CPU time (user and system) of all the proxy's processes, divided by the requests of the same time.
  latency    the same request 2,000 times a second over 16 connections: the median and 99th percentile, less those of
             the backend asked directly in the same round. Its runs are half as long.
  streams    400 streams at once, an event of 180 bytes every 10 ms in each: CPU time divided by the events relayed.
             `events/read` says how many arrive at once: a proxy that holds events back looks cheaper than it is.

Each with a plain and with a TLS upstream (HTTP/1.1 and, where a proxy can, HTTP/2). Figures are medians over the
rounds; a ratio is the median of the rounds' ratios to nginx (of latencies, the ratio of the medians). `haproxy bare`
does not try elsewhere after a 5xx or a lost answer, for which HAProxy keeps a copy of every request; it is there since
most figures one reads are of that kind.

Every answer is compared with what the backend sends when asked directly: `not 2xx`, `wrong` and `errors` should be 0.
Nothing is asserted about speed; the exit status is 1 when something could not be run or answered wrongly.
"""

import argparse
import http.client
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import proxies
from machine import CannotRun, Machine, cpu_seconds, machine_seconds, memory_mib

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

CONNECTIONS = 64
STREAMS = 400
PACED_CONNECTIONS = 16
RATE = 2000
INTERVAL_MS = 10

# Of each cell: its title, the kind of load and the rows: (name in the table, program, upstream).
CELLS = {
    "plain": ("unstreamed, plain upstream", "requests",
              [("nginx", "nginx", "plain"), ("haproxy", "haproxy", "plain"), ("haproxy bare", "haproxy", "bare"),
               ("gatewayd", "gatewayd", "plain")]),
    "tls": ("unstreamed, TLS upstream", "requests",
            [("nginx h1", "nginx", "h1"), ("haproxy h1", "haproxy", "h1"), ("haproxy h2", "haproxy", "h2"),
             ("gatewayd h1", "gatewayd", "h1"), ("gatewayd h2", "gatewayd", "h2")]),
    "streams": ("streams, plain upstream", "streams",
                [("nginx", "nginx", "plain"), ("haproxy", "haproxy", "plain"), ("gatewayd", "gatewayd", "plain")]),
    "streams-tls": ("streams, TLS upstream", "streams",
                    [("nginx h1", "nginx", "h1"), ("haproxy h1", "haproxy", "h1"), ("haproxy h2", "haproxy", "h2"),
                     ("gatewayd h1", "gatewayd", "h1"), ("gatewayd h2", "gatewayd", "h2")]),
}


def say(text=""):
    print(text, flush=True)


def ask(port, streamed):
    """One request by an independent client: (status, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = {"model": "bench", "stream": streamed, "messages": [{"role": "user", "content": "hello"}]}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error).encode()
    finally:
        connection.close()


class Bench:
    def __init__(self, machine, build, options):
        self.machine = machine
        self.load = os.path.join(build, "tests", "bench", "bench-load")
        self.options = options
        self.backend_pid = None
        self.others = []  # CPUs' worth of load that was none of ours, per run

    def run(self, kind, port, pid, **options):
        """One run of the load client; its counts, with the proxy's CPU time over the same time."""
        command = [self.load, kind, "--port", str(port)]
        for name, value in options.items():
            command += ["--" + name, str(value)]
        child = self.machine.start("load", command, self.machine.other_cpus, stdout=subprocess.PIPE)
        marks, result = [], None
        try:
            for line in child.stdout:
                word = line.strip()
                if word in (b"begin", b"end"):
                    marks.append((time.monotonic(), cpu_seconds(pid) if pid else 0, machine_seconds(),
                                  cpu_seconds(self.backend_pid) + cpu_seconds(child.pid)))
                    if word == b"end" and pid and kind == "streams":
                        memory = memory_mib(pid)
                elif word.startswith(b"{"):
                    result = json.loads(word)
        finally:
            child.stdout.close()
            child.wait()
            self.machine.children.remove(child)
        if result is None or len(marks) != 2:
            raise CannotRun("the load client failed on port %d: %s" % (port, self.machine.log("load")))
        (from_time, from_cpu, from_all, from_ours), (to_time, to_cpu, to_all, to_ours) = marks
        span = to_time - from_time
        result["cpu"] = (to_cpu - from_cpu) / span
        self.others.append(max(0, (to_all - from_all - (to_cpu - from_cpu) - (to_ours - from_ours)) / span))
        if kind == "streams" and pid:
            result["mib"] = memory
        return result

    def requests(self, port, pid, seconds):
        found = self.run("requests", port, pid, connections=CONNECTIONS, seconds=seconds)
        rate = found["done"] / found["seconds"]
        return found, {"rate": rate, "cpu": found["cpu"] / rate * 1e6 if rate else 0}

    def latency(self, port, pid, seconds):
        found = self.run("paced", port, pid, connections=PACED_CONNECTIONS, rate=RATE, seconds=seconds)
        return found, {"p50": found["p50_us"], "p99": found["p99_us"]}

    def streams(self, port, pid, seconds):
        found = self.run("streams", port, pid, connections=STREAMS, seconds=seconds, ramp=1.5)
        rate = found["events"] / found["seconds"]
        figures = {"rate": rate, "cpu": found["cpu"] / rate * 1e6 if rate else 0, "p50": found["p50_us"],
                   "p99": found["p99_us"], "per_read": found["events"] / found["reads"] if found["reads"] else 0}
        if found.get("mib") is not None:
            figures["mib"] = found["mib"]
        return found, figures


class Row:
    """All rounds of one row of a table."""

    def __init__(self, name, port, pid):
        self.name, self.port, self.pid = name, port, pid
        self.rounds = []
        self.bad = {"not_2xx": 0, "wrong": 0, "errors": 0}
        self.hashes = set()
        self.failed = None

    def add(self, found):
        for name in self.bad:
            self.bad[name] += found[name]
        self.hashes.add(found["hash"])

    def median(self, figure):
        values = [values[figure] for values in self.rounds if figure in values]
        return statistics.median(values) if values else None

    def spread(self, figure):
        values = [values[figure] for values in self.rounds if figure in values]
        middle = statistics.median(values) if values else 0
        return (max(values) - min(values)) / middle if middle else None

    def ratio(self, figure, base):
        """Of added latencies, which may be nothing or less, the ratio of the medians, if there is one."""
        if figure.startswith("added"):
            mine, theirs = self.median(figure), base.median(figure)
            return mine / theirs if mine and theirs and mine > 0 and theirs > 0 else None
        pairs = [(mine.get(figure), theirs.get(figure)) for mine, theirs in zip(self.rounds, base.rounds)]
        ratios = [mine / theirs for mine, theirs in pairs if mine is not None and theirs and theirs > 0]
        return statistics.median(ratios) if ratios else None


def run_cell(bench, cell, programs, direct_port):
    title, kind, wanted = CELLS[cell]
    options = bench.options
    rows = [Row("direct", direct_port, None)]
    rows += [Row(name, *programs[program][upstream]) for name, program, upstream in wanted
             if upstream in programs.get(program, {})]
    good = {False: ask(direct_port, False), True: ask(direct_port, True)}
    for row in rows[1:]:
        streamed = kind == "streams"
        answer = ask(row.port, streamed)
        if answer != good[streamed]:
            row.failed = "answers %d with %d bytes instead of %d with %d: %s" % (
                answer[0], len(answer[1]), good[streamed][0], len(good[streamed][1]), answer[1][:200])
    loads = [bench.requests, bench.latency] if kind == "requests" else [bench.streams]
    for number in range(-1, options.rounds):
        for row in rows:
            # The round before the first fills pools, caches and TLS sessions, and is not counted.
            seconds = options.seconds if number >= 0 else 0.5
            figures = {}
            for load in loads if number >= 0 else loads[:1]:
                found, some = load(row.port, row.pid, seconds / 2 if load == bench.latency else seconds)
                figures.update(some)
                if number >= 0:
                    row.add(found)
            if number >= 0:
                row.rounds.append(figures)
        if number >= 0:
            for row in rows[1:]:
                for part in ("p50", "p99"):
                    row.rounds[-1]["added_" + part] = row.rounds[-1][part] - rows[0].rounds[-1][part]
            progress("%s: round %d of %d" % (cell, number + 1, options.rounds))
    for row in rows[1:]:
        if row.hashes != rows[0].hashes:
            row.failed = row.failed or "its answers differ from the backend's own"
    return rows


def progress(text):
    if sys.stderr.isatty():
        print("\r\033[K%s" % text, end="", file=sys.stderr, flush=True)


def table(cell, rows):
    title, kind, _ = CELLS[cell]
    base = next((row for row in rows if row.name.startswith("nginx")), None)
    columns = [("requests/s" if kind == "requests" else "events/s", "rate", "%.0f", False),
               ("CPU us/request" if kind == "requests" else "CPU us/event", "cpu", "%.2f", True)]
    first = "" if kind == "requests" else " to 1st"
    columns += [("added p50 us" + first, "added_p50", "%.0f", True),
                ("added p99 us" + first, "added_p99", "%.0f", True)]
    if kind == "streams":
        columns += [("events/read", "per_read", "%.2f", False), ("MiB", "mib", "%.1f", False)]
    lines = [["", *(title for title, *_ in columns), "spread", "not 2xx", "wrong", "errors"]]
    for row in rows:
        cells = [row.name]
        for _, figure, form, compared in columns:
            if row.pid is None and figure in ("cpu", "mib"):
                cells.append("-")
                continue
            if row.pid is None and figure.startswith("added"):
                cells.append("(%.0f)" % row.median(figure[6:]))
                continue
            value = row.median(figure)
            text = form % value if value is not None else "-"
            if base and row.pid and (compared or figure == "rate" and kind == "requests"):
                ratio = row.ratio(figure, base)
                text += " %5.2fx" % ratio if ratio is not None else "      -"
            cells.append(text)
        spread = row.spread("cpu" if row.pid else "rate")
        cells.append("%.0f%%" % (100 * spread) if spread is not None else "-")
        cells += [str(row.bad[name]) for name in ("not_2xx", "wrong", "errors")]
        lines.append(cells)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    progress("")
    say()
    say(title)
    for line in lines:
        say("  ".join(word.ljust(width) if i == 0 else word.rjust(width)
                      for i, (word, width) in enumerate(zip(line, widths))).rstrip())
    nominal = STREAMS * 1000 / INTERVAL_MS
    for row in rows:
        if row.failed:
            say("%s: %s" % (row.name, row.failed))
        if kind == "streams" and row.median("rate") < 0.97 * nominal:
            say("%s: fell behind the %.0f events/s that were sent: its CPU per event is not comparable"
                % (row.name, nominal))


def summary(results):
    """One line: gatewayd's CPU time against nginx's."""
    parts = []
    for word, cells in (("cpu per request", ("plain", "tls")), ("cpu per event", ("streams", "streams-tls"))):
        some = []
        for cell in cells:
            rows = {row.name: row for row in results.get(cell, [])}
            base = rows.get("nginx") or rows.get("nginx h1")
            for name, label in (("gatewayd", "plain"), ("gatewayd h1", "TLS h1"), ("gatewayd h2", "TLS h2")):
                ratio = rows[name].ratio("cpu", base) if base and name in rows else None
                if ratio is not None:
                    some.append("%.2f%s" % (ratio, "" if label == "plain" else " " + label))
        if some:
            parts.append("%s %s" % (word, ", ".join(some)))
    return "gatewayd/nginx: " + ("; ".join(parts) if parts else "not measured")


def version(command):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode(errors="replace").splitlines()
    return lines[0].strip() if lines else None


def build_all(build, as_it_is):
    """The release, made and kept up to date the way tools/run does it; a build chosen by the caller is left alone."""
    wanted = [os.path.join(build, "tests", "bench", name) for name in ("bench-backend", "bench-load")]
    complete = all(os.access(path, os.X_OK) for path in wanted)
    if complete and as_it_is:
        return
    if not complete and os.path.exists(os.path.join(build, "build.ninja")):
        # Set up before OpenSSL's headers were installed: look again.
        subprocess.run(["meson", "setup", "--reconfigure", build, ROOT], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)
    if subprocess.run([os.path.join(ROOT, "tools", "run"), "--build", build], check=False).returncode != 0:
        raise CannotRun("the build failed")


def measure(machine, build, options):
    tls = proxies.make_certificate(machine.folder)
    upstreams, backend_pid = proxies.start_backend(machine, build, tls, INTERVAL_MS)
    programs, problems = {}, []
    for name, start in (("nginx", lambda: proxies.start_nginx(machine, upstreams, tls)),
                        ("haproxy", lambda: proxies.start_haproxy(machine, upstreams, tls)),
                        ("gatewayd", lambda: proxies.start_gatewayd(machine, build, upstreams, tls))):
        if name not in options.programs:
            continue
        try:
            programs[name] = start()
        except CannotRun as problem:
            problems.append(str(problem))
    bench = Bench(machine, build, options)
    bench.backend_pid = backend_pid

    versions = {"nginx": version(["nginx", "-v"]), "haproxy": version(["haproxy", "-v"]),
                "gatewayd": version([os.path.join(build, "gatewayd", "gatewayd"), "-V"])}
    say("%d rounds of %g s; %s; Linux %s, %d CPUs" % (options.rounds, options.seconds, ", ".join(
        text for name, text in versions.items() if text and name in programs), platform.release(), os.cpu_count()))
    say("one worker each (%s); access logs off in all; nginx: proxy_buffering off; haproxy: http-no-delay"
        % machine.places())
    say("1 KiB requests and answers over %d connections; latency at %d requests/s, (direct) subtracted; %d streams "
        "with an event every %g ms" % (CONNECTIONS, RATE, STREAMS, INTERVAL_MS))
    for problem in problems:
        say("could not run: " + problem)

    results = {}
    for cell in options.cells:
        results[cell] = run_cell(bench, cell, programs, upstreams["plain"][0])
        table(cell, results[cell])
        problems += [row.failed for row in results[cell] if row.failed]
        problems += [row.name for row in results[cell] if any(row.bad.values())]
    say()
    say("spread: of the CPU time per request or event over the rounds (largest less smallest, to the median)")
    if bench.others and statistics.median(bench.others) > 0.1:
        say("note: other programs used %.0f%% of a CPU meanwhile; believe the ratios more than the figures"
            % (100 * statistics.median(bench.others)))
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"versions": versions, "rounds": options.rounds, "seconds": options.seconds, "problems": problems,
                       "cells": {cell: [{"name": row.name, "rounds": row.rounds, **row.bad} for row in rows]
                                 for cell, rows in results.items()}}, file, indent=1)
            file.write("\n")
    say(summary(results))
    return 1 if problems else 0


def words(known):
    def parse(text):
        chosen = [word for word in text.split(",") if word]
        for word in chosen:
            if word not in known:
                raise argparse.ArgumentTypeError("no %r (there are: %s)" % (word, ", ".join(known)))
        return chosen
    return parse


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1.5 s: a look, not a measurement")
    parser.add_argument("--rounds", type=int, help="default 5")
    parser.add_argument("--seconds", type=float, help="of each run; default 4")
    parser.add_argument("--cells", type=words(list(CELLS)), default=list(CELLS), help="of " + ",".join(CELLS))
    parser.add_argument("--programs", type=words(["nginx", "haproxy", "gatewayd"]),
                        default=["nginx", "haproxy", "gatewayd"], help="of nginx,haproxy,gatewayd")
    parser.add_argument("--build", metavar="DIR",
                        help="measure this build as it is; default build-release, brought up to date first")
    parser.add_argument("--no-pin", action="store_true", help="leave it to the kernel who runs on which CPU")
    parser.add_argument("--json", metavar="FILE", help="every round's figures")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (1.5 if options.quick else 4)

    def ended(number, _):
        sys.exit(128 + number)
    signal.signal(signal.SIGTERM, ended)
    signal.signal(signal.SIGHUP, ended)
    machine = None
    try:
        build = os.path.abspath(options.build or os.path.join(ROOT, "build-release"))
        build_all(build, bool(options.build))
        folder = tempfile.mkdtemp(prefix="gatewayd-bench-")
        os.chmod(folder, 0o755)
        machine = Machine(folder, not options.no_pin)
        return measure(machine, build, options)
    except CannotRun as problem:
        print("tests/bench/run: %s" % problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if machine:
            machine.stop()
            shutil.rmtree(machine.folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
