#!/usr/bin/python3
"""The rules of the house that a compiler does not know: layers, atomics, who sees libcurl and libev, widths, openings.

Prints one line for each breach, `FILE:LINE: what is wrong`, and exits 1 when there is one. The tables come first; they
are the description of the architecture that is checked, so a new module is a new word in one of them.
"""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# gatewayd by layer, highest first. A module includes only what stands below it; within a layer marked True modules may
# also see each other. A file belongs to the longest module name that its own name begins with (upstream_tls.c is
# `upstream`).
LAYERS = [
    (False, "main"),
    (False, "demo"),
    (False, "master"),
    (False, "children"),
    (False, "worker steward upgrade"),
    (False, "admin hook"),
    (False, "conn"),
    (False, "request"),
    (False, "survey account attempt course"),
    (False, "pick"),
    (False, "auth route admit intake"),
    (False, "classify relay"),
    (False, "upstream inherit"),
    (False, "service net park report statedir keep supervisor"),
    (False, "process"),
    (False, "plan"),
    (False, "headers reply"),
    (False, "metrics"),
    (True, "change history names overview roster state times words show"),
    (True, "answer http sse splice json wait secret unserved usage tokens truncate quote"),
    (True, "conf log sock event wake heap peer buf str"),
]

# Where a word or a header may be seen: path prefixes. Everything else must do without.
ATOMICS_IN = ["libshm/", "tests/libshm/", "tests/fire/", "tests/model/"]
CURL_IN = ["gatewayd/upstream", "gatewayd/steward_probe", "gatewayd/probe", "tools/", "tests/"]
EV_IN = ["gatewayd/event", "gatewayd/upstream", "tools/llmsim", "tests/"]

# Modules that no test file bears the name of, and why that is right.
WITHOUT_TEST = {
    "gatewayd/main": "starts the others; every scenario of tests/e2e runs it",
    "gatewayd/master": "processes and signals; tests/e2e restarts, reloads, kills and stops it",
    "gatewayd/master_start": "the same",
    "gatewayd/master_reload": "the same; tests/e2e/11 reloads it",
    "gatewayd/master_upgrade": "the same; tests/e2e/32 upgrades it",
    "gatewayd/worker": "a loop around conn; every scenario of tests/e2e runs it",
    "gatewayd/steward": "a loop around its parts; every scenario of tests/e2e runs it",
    "gatewayd/children": "forks and reaps; tests/e2e kills workers and reloads",
    "gatewayd/peer": "what the kernel says of a socket; tests/e2e/30 reads it in the event log",
    "gatewayd/process": "the first steps after a fork; every scenario of tests/e2e takes them",
    "gatewayd/demo": "the demonstration; a scenario of tests/e2e runs it",
    "gatewayd/keep": "a file around libshm/export.c; tests/e2e/13 removes a region and looks for its state",
    "gatewayd/conn": "sockets; tests/e2e sends it good, bad and slow clients",
    "gatewayd/change": "what breaker, cooldown, drain and enable do; tests/tools/test_gatewayctl.py does it",
    "gatewayd/history": "events in words; tests/tools/test_gatewayctl.py reads them",
    "gatewayd/history_trips": "the same",
    "gatewayd/names": "names of a region; tests/tools/test_gatewayctl.py asks for good and bad ones",
    "gatewayd/roster": "what workers shows; tests/tools/test_gatewayctl.py reads it",
    "gatewayd/show": "text without control characters; tests/tools/test_gatewayctl.py has hostile names",
    "gatewayd/times": "spans in words; tests/gatewayd/test_state.c reads them",
    "gatewayd/words": "states in words; tests/tools/test_gatewayctl.py reads them",
    "gatewayd/request": "the order of the steps; tests/e2e has a scenario for each way through it",
    "gatewayd/request_choose": "choosing and waiting; tests/e2e 22, 24, 26 and 28",
    "gatewayd/request_own": "the gateway's own answers; tests/e2e asks for each",
    "gatewayd/request_say": "the words of errors and heads; tests/e2e reads every one of them",
    "gatewayd/request_time": "deadlines, holds, hedges, comments; tests/e2e 22, 23 and 27",
    "gatewayd/request_try": "tries and hedges; tests/e2e 21, 23 and 27",
    "gatewayd/attempt": "libcurl, time and the region together; tests/e2e lets each fault happen to it",
}

# Headers that a build makes; they are not in the tree.
GENERATED = set()

WIDTH = 120
WIDE_KINDS = (".c", ".h", ".py", ".build", ".yaml", ".yml", ".service", ".sh", ".lua", ".js", ".css", ".html")
SKIPPED = re.compile(r"^(build|\.)|^__pycache__$")

ATOMIC = re.compile(r"stdatomic\.h|\b_Atomic\b|\b__atomic_\w+|\b__sync_\w+|\batomic_(?!ally\b)\w+")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def files():
    for folder, names, plain in os.walk(ROOT):
        names[:] = sorted(name for name in names if not SKIPPED.match(name) or name == ".ci")
        for name in sorted(plain):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                yield os.path.relpath(path, ROOT)


def read(path):
    with open(os.path.join(ROOT, path), "rb") as file:
        return file.read().decode("utf-8", "replace")


def without_comments(text):
    """The same text with comments and the contents of strings blanked, line by line as before."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        found = match.group(0)
        if found[0] == '"':
            return '"' + " " * (len(found) - 2) + '"'
        return re.sub(r"[^\n]", " ", found)
    return pattern.sub(blank, text)


def module_of(path):
    """The layer's number and the module of a file in gatewayd/, or None when no table names it."""
    stem = os.path.splitext(os.path.basename(path))[0]
    best = None
    for number, (_, names) in enumerate(LAYERS):
        for name in names.split():
            if stem == name or stem.startswith(name + "_"):
                if best is None or len(name) > len(best[1]):
                    best = (number, name)
    return best


def may_include(path, wanted):
    """Why the file must not include that one, or None when it may."""
    room, target = path.split("/")[0], wanted.split("/")[0]
    if room == "libshm" and target != "libshm":
        return "libshm depends on nothing but libc"
    if room == "gatewayd":
        if target not in ("gatewayd", "libshm"):
            return "gatewayd includes only gatewayd and libshm"
        if target == "libshm":
            return None
        mine, theirs = module_of(path), module_of(wanted)
        if mine is None or theirs is None or mine[1] == theirs[1]:
            return None
        if mine[0] > theirs[0]:
            return "%s is a layer above %s" % (theirs[1], mine[1])
        if mine[0] == theirs[0] and not LAYERS[mine[0]][0]:
            return "%s and %s are of one layer and do not see each other" % (mine[1], theirs[1])
    return None


def lint_c(path, text):
    code = without_comments(text)
    raw = text.split("\n")
    for number, line in enumerate(code.split("\n"), 1):
        found = INCLUDE.match(raw[number - 1])
        if found and line.strip().startswith("#"):
            kind, wanted = found.groups()
            if kind == '"' and wanted not in GENERATED:
                if not os.path.isfile(os.path.join(ROOT, wanted)):
                    yield number, 'include "%s": no such file below the project\'s root' % wanted
                else:
                    reason = may_include(path, wanted)
                    if reason:
                        yield number, 'include "%s": %s' % (wanted, reason)
            if wanted.endswith("curl.h") and not path.startswith(tuple(CURL_IN)):
                yield number, "libcurl is seen by %s alone" % ", ".join(CURL_IN)
            if wanted in ("ev.h", "ev++.h") and not path.startswith(tuple(EV_IN)):
                yield number, "libev is seen by %s alone" % ", ".join(EV_IN)
            line = raw[number - 1]
        found = ATOMIC.search(line)
        if found and not path.startswith(tuple(ATOMICS_IN)):
            yield number, "`%s`: atomics live in libshm alone" % found.group(0)
    if path.startswith("gatewayd/") and module_of(path) is None:
        yield 1, "no layer names this module: add it to LAYERS in tests/lint.py"
    if path.endswith(".c") and path.startswith(("libshm/", "gatewayd/")) and not opens_with_words(text):
        yield 1, "a file opens with a paragraph on what it is for, before or right after its includes"


def opens_with_words(text):
    """Whether a comment of at least a sentence stands before the first line that is neither blank nor an include."""
    rest = text
    while True:
        rest = rest.lstrip()
        comment = re.match(r"/\*(.*?)\*/|((?://[^\n]*\n)+)", rest, re.S)
        if comment and len(re.findall(r"\w+", comment.group(0))) >= 6:
            return True
        passed = comment or re.match(r"#\s*(include|define _\w+)\b[^\n]*(\n|$)", rest)
        if not passed:
            return False
        rest = rest[passed.end():]


def lint_tests(paths):
    """Every module has a test that bears its name (or the name of the module it is a part of), or a reason not to."""
    tests = [path for path in paths if path.startswith("tests/")]
    modules = [path[:-2] for path in paths if re.match(r"(libshm|gatewayd)/\w+\.c$", path)]
    for module in modules:
        room, name = module.split("/")
        words = name.split("_")
        bearing = "|".join(re.escape("_".join(words[:count])) for count in range(1, len(words) + 1))
        pattern = re.compile(r"tests/%s/test_(%s)(_\w+)?\.c$" % (room, bearing))
        tested = any(pattern.match(test) for test in tests)
        if not tested and module not in WITHOUT_TEST:
            yield module + ".c", 1, "no tests/%s/test_%s.c, and WITHOUT_TEST in tests/lint.py does not say why" % (
                room, name)
        if tested and module in WITHOUT_TEST:
            yield module + ".c", 1, "has a test now: take it out of WITHOUT_TEST in tests/lint.py"


def lint_width(text):
    for number, line in enumerate(text.split("\n"), 1):
        if len(line.expandtabs(8)) > WIDTH:
            yield number, "%d columns; %d are enough" % (len(line.expandtabs(8)), WIDTH)


def main():
    paths = list(files())
    breaches = list(lint_tests(paths))
    for path in paths:
        is_c = path.endswith((".c", ".h"))
        is_text = path.endswith(WIDE_KINDS)
        if not is_text and "." not in os.path.basename(path):
            with open(os.path.join(ROOT, path), "rb") as file:
                is_text = file.read(2) == b"#!"
        if not is_text:
            continue
        text = read(path)
        breaches += [(path, number, what) for number, what in lint_width(text)]
        if is_c:
            breaches += [(path, number, what) for number, what in lint_c(path, text)]
    for path, number, what in sorted(breaches):
        print("%s:%d: %s" % (path, number, what))
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
