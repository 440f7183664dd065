"""The processes of a benchmark: started on the CPUs they belong to, their CPU time and memory, stopped at the end."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import time

START_LIMIT = 15  # seconds

libc = ctypes.CDLL(None)


class CannotRun(Exception):
    """Something needed is missing or does not start; the message says what."""


class Machine:
    """Who runs on which CPU, and the processes to stop at the end."""

    def __init__(self, folder, pinned):
        self.folder = folder
        self.children = []
        cpus = sorted(os.sched_getaffinity(0))
        self.pinned = pinned and len(cpus) > 1
        self.proxy_cpus, self.other_cpus = ([cpus[-1]], cpus[:-1]) if self.pinned else (cpus, cpus)

    def places(self):
        if not self.pinned:
            return "all on the same CPUs"
        return "the proxy on CPU %d, client and backend on %s" % (
            self.proxy_cpus[0], ",".join(str(cpu) for cpu in self.other_cpus))

    def start(self, name, command, cpus, **more):
        def prepare():
            libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: nothing outlives a benchmark that is killed
            os.sched_setaffinity(0, cpus)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        with open(os.path.join(self.folder, name + ".log"), "ab") as log:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=more.get("stdout", log), stderr=log,
                                     start_new_session=True, preexec_fn=prepare, cwd=self.folder)
        self.children.append(child)
        return child

    def log(self, name):
        with open(os.path.join(self.folder, name + ".log"), errors="replace") as log:
            return log.read()[-2000:].strip()

    def stop(self):
        known = {}
        for child in self.children:
            for pid in tree(child.pid):
                known[pid] = started(pid)
            if child.poll() is None:
                child.terminate()
        for child in self.children:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for pid, since in known.items():
            if since and started(pid) == since:
                os.kill(pid, signal.SIGKILL)


def stat_fields(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def started(pid):
    fields = stat_fields(pid)
    return fields[19] if fields else None


def tree(root):
    """A process and all its descendants."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(int(name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_seconds(root):
    """User and system time of a process and its descendants, those that have ended included."""
    ticks = 0
    for pid in tree(root):
        fields = stat_fields(pid)
        if fields:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def machine_seconds():
    """Busy time of all CPUs together."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = (int(word) for word in file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def memory_mib(root):
    """Proportional share of memory of a process and its descendants; None when one of them does not let us look."""
    total = 0
    for pid in tree(root):
        try:
            with open("/proc/%d/smaps_rollup" % pid) as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            return None
    return total / 1024


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for sock in held:
        sock.bind(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports


def wait_for_port(child, port, name, machine):
    limit = time.monotonic() + START_LIMIT
    while time.monotonic() < limit:
        if child.poll() is not None:
            raise CannotRun("%s ended with status %d at its start: %s" % (name, child.returncode, machine.log(name)))
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise CannotRun("%s does not listen on port %d: %s" % (name, port, machine.log(name)))
