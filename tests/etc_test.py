#!/usr/bin/python3
"""What `meson install` puts where, and what systemd thinks of it.

    etc_test.py BUILD

Installs into a directory of its own and compares the listing. Units, users and directories are then checked by
systemd's own tools where they are installed; a score of `systemd-analyze security` above the limit is a failure.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

SCORE_MAX = 2.5  # of 10, less is better

WANTED = """bin/gatewayctl
bin/gatewayd
bin/llmsim
etc/logrotate.d/gatewayd
lib/systemd/system/gatewayd.service
lib/systemd/system/gatewayd.socket
lib/sysusers.d/gatewayd.conf
lib/tmpfiles.d/gatewayd.conf
share/doc/gatewayd/README.md
share/doc/gatewayd/examples/gatewayd.yaml
share/doc/gatewayd/examples/minimal.yaml
share/doc/gatewayd/examples/production.yaml
share/man/man1/gatewayctl.1
share/man/man5/gatewayd.yaml.5
share/man/man8/gatewayd.8""".split()


def run(*args):
    done = subprocess.run(args, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stdout + done.stderr


def installed(root):
    for folder, _, names in os.walk(root):
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), root)


def check_listing(root):
    there = set(installed(root))
    for name in WANTED:
        if name not in there:
            yield "%s is not installed" % name


def check_paths(root):
    """The unit names programs that are there."""
    with open(os.path.join(root, "lib/systemd/system/gatewayd.service")) as file:
        for program in re.findall(r"^Exec\w+=(\S+)", file.read(), re.M):
            if not os.access(os.path.join(root, "bin", os.path.basename(program)), os.X_OK):
                yield "the unit starts %s, which is not installed" % program


def check_notify(root):
    """An old master must be heard when it takes back what it said of the new one."""
    with open(os.path.join(root, "lib/systemd/system/gatewayd.service")) as file:
        if "\nNotifyAccess=all\n" not in file.read():
            yield "the unit lets systemd listen to the main process alone"


def check_units(root):
    if not shutil.which("systemd-analyze"):
        return
    # As they would be if this directory were the prefix, so that the programs they name are found.
    units = [os.path.join(root, "lib/systemd/system", name) for name in ("gatewayd.service", "gatewayd.socket")]
    for unit in units:
        with open(unit) as file:
            text = file.read()
        with open(unit, "w") as file:
            file.write(text.replace("/usr/local", root))
    code, said = run("systemd-analyze", "verify", "--man=no", *units)
    complaints = [line for line in said.splitlines() if "gatewayd" in line]
    if complaints:
        yield "systemd-analyze verify (%d): %s" % (code, " / ".join(complaints))
    code, said = run("systemd-analyze", "security", "--offline=true", "--no-pager", units[0])
    found = re.search(r"exposure level for \S+: ([\d.]+)", said)
    print("systemd-analyze security: %s" % (found.group(1) if found else said[-200:]))
    if found and float(found.group(1)) > SCORE_MAX:
        yield "systemd-analyze security says %s, more than %s" % (found.group(1), SCORE_MAX)


def check_users_and_directories(destination):
    """Carried out in the directory, where nothing can come to harm."""
    root = os.path.join(destination, "usr/local/lib")
    if shutil.which("systemd-sysusers"):
        os.makedirs(os.path.join(destination, "etc"), exist_ok=True)
        code, said = run("systemd-sysusers", "--root=" + destination, os.path.join(root, "sysusers.d/gatewayd.conf"))
        with open(os.path.join(destination, "etc/passwd")) as file:
            if code != 0 or not re.search(r"^gatewayd:", file.read(), re.M):
                yield "systemd-sysusers (%d): %s" % (code, said)


def main():
    destination = tempfile.mkdtemp(prefix="gwetc-")
    try:
        code, said = run("meson", "install", "-C", sys.argv[1], "--no-rebuild", "--destdir", destination)
        if code != 0:
            sys.exit("meson install: %s" % said)
        root = os.path.join(destination, "usr/local")
        problems = [*check_listing(root), *check_paths(root), *check_notify(root), *check_units(root),
                    *(check_users_and_directories(destination) if os.geteuid() == 0 else ())]
    finally:
        shutil.rmtree(destination)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
