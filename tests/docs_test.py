#!/usr/bin/python3
"""What the documentation says is compared with what it is about.

The tables of gatewayd/conf_schema.c are the truth about the configuration: docs/gatewayd.yaml.5 must name each of their
keys in its place, with its default and with whether it is required, and no others; and it must call later what
etc/gatewayd.yaml calls later. Man pages must format without a warning, and what README.md names must exist. The
operator's guide must have every state, every kind of event, every alert and every line of the log.
"""

import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What the marks of etc/gatewayd.yaml say of one value of the key only, not of the key.
PARTLY_LATER = {"admin.token", "endpoints.key"}
# Keys whose names are the user's: the level below them is left out of a path.
NAMED = {"accounts", "models"}
FREE = {"aliases", "endpoints.headers"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def schema():
    """Path -> (default or None, required) of every key."""
    text = read("gatewayd/conf_schema.c")
    for name, rows in re.findall(r"^#define (RATES|DOLLARS)((?:.*\\\n)*.*)$", text, re.M):
        rows = rows.replace("\\\n", " ")
        text = re.sub(r"^#define %s(?:.*\\\n)*.*$" % name, "", text, flags=re.M).replace(name, rows)
    tables = {}
    for name, body in re.findall(r"const struct conf_rule (\w+)\[\] = \{(.*?)\{0\}\};", text, re.S):
        rows = re.split(r"\{(?=\")", body)[1:]
        tables[name] = [(re.match(r'"(\w+)"', row).group(1), row) for row in rows]

    found = {}

    def walk(table, prefix):
        for key, row in tables[table]:
            path = prefix + key
            default = re.search(r'\.standard = "([^"]*)"', row)
            inner = re.search(r"\.inner = (\w+)", row)
            overriding = "conf_read_overrides" in row
            found[path] = (default.group(1) if default else None, ".needed = true" in row)
            if inner:
                walk(inner.group(1), path + ".")
            if "read_candidate" in row:
                walk("candidate", path + ".")
            if overriding:  # what is left out is not the default, but the endpoint's
                for below in [p for p in found if p.startswith(path + ".")]:
                    found[below] = (None, False)
    walk("conf_schema", "")
    return found


def page():
    """Path -> (default or None, required, later) of every key the man page describes."""
    found = {}
    prefix = None
    for line in read("docs/gatewayd.yaml.5").split("\n"):
        if line.startswith((".Sh ", ".Ss ")):
            title = line[4:].strip('"')
            prefix = "" if title == "The file" else title.replace(": ", ".") + "."
            if line.startswith(".Sh ") or title == "Types":
                prefix = None
        item = re.match(r"\.It Cm (\w+) : (.*)$", line)
        if item and prefix is not None:
            default = re.search(r"No = (\S+)", line)
            path = prefix + item.group(1)
            assert path not in found, "docs/gatewayd.yaml.5: %s is described twice" % path
            found[path] = (default.group(1) if default else None, "No (required)" in line, "Pq later" in line)
    return found


def marked_later():
    """The paths that etc/gatewayd.yaml marks, and those that it has without a mark."""
    later, plain = set(), set()
    stack = []
    for line in read("etc/gatewayd.yaml").split("\n"):
        setting = re.match(r"( *)(#(?=\S|  ))?( *)(- )?(\w[\w.-]*):(.*)$", line)
        if not setting:
            continue
        indent = len(setting.group(1) + setting.group(3) + (setting.group(4) or ""))
        stack = [level for level in stack if level[0] < indent] + [(indent, setting.group(5))]
        names = [name for _, name in stack]
        if names[0] in NAMED:
            del names[1:2]
        path = ".".join(names)
        if any(path.startswith(free + ".") for free in FREE):
            continue
        is_later = "(later)" in setting.group(6) and path not in PARTLY_LATER
        (later if is_later else plain).add(path)
    return later, plain


def check_keys():
    truth, told = schema(), page()
    for path in sorted(truth.keys() - told.keys()):
        yield "docs/gatewayd.yaml.5 does not describe %s" % path
    for path in sorted(told.keys() - truth.keys()):
        yield "docs/gatewayd.yaml.5 describes %s, which does not exist" % path
    for path in sorted(truth.keys() & told.keys()):
        default, required = truth[path]
        if told[path][:2] != (default, required):
            yield "docs/gatewayd.yaml.5: %s has default %s, required %s; the schema says %s, %s" % (
                path, *told[path][:2], default, required)


def check_later():
    told = page()
    later, plain = marked_later()
    for path in sorted(later | plain):
        if path not in told:
            continue  # check_keys() has said so, or it is a name of the example's own
        if told[path][2] != (path in later):
            yield "%s is %smarked (later) in etc/gatewayd.yaml, and %sin docs/gatewayd.yaml.5" % (
                path, "" if path in later else "not ", "" if told[path][2] else "not ")


def commands():
    """Name -> synopsis of every command of gatewayctl."""
    text = read("tools/gatewayctl/command.h").replace("\\\n", " ")
    return dict(re.findall(r'COMMAND\((\w+), "([^"]*)"', text))


def check_commands():
    """Each form of a command has a section, each option is named in one, and there are no others."""
    sections = {}
    for title, body in re.findall(r"^\.Ss ([^\n]*)\n(.*?)(?=^\.S[sh] )", read("docs/gatewayctl.1"), re.M | re.S):
        sections[title] = body
    table = commands()
    heads = [title for title in sections if title != "Options"]
    for title in heads:
        if title.split()[0] not in table:
            yield "docs/gatewayctl.1 describes %s, which is no command" % title
    for name, synopsis in table.items():
        own = {title: body for title, body in sections.items() if title.split()[0] == name}
        text = "".join(title + "\n" + body for title, body in own.items())
        if not own:
            yield "docs/gatewayctl.1 does not describe the command %s" % name
        for form in synopsis.strip("[]").split(" | "):
            verb = re.match(r"[a-z]+", form)
            if verb and not any(title.split()[1:2] == [verb.group(0)] for title in own):
                yield "docs/gatewayctl.1 has no section on %s %s" % (name, verb.group(0))
        for option in re.findall(r"(?<![\w-])-(-?[a-z]+)", synopsis):
            if own and not re.search(r"Fl %s(?![\w-])" % option, text):
                yield "docs/gatewayctl.1: %s does not name -%s" % (name, option)


def check_format():
    pages = sorted(name for name in os.listdir(os.path.join(ROOT, "docs")) if re.search(r"\.[1-9]$", name))
    if not shutil.which("groff"):
        return
    for name in pages:
        result = subprocess.run(["groff", "-t", "-mandoc", "-Tutf8", "-wmac", "-wescape", "-wdelim", "-wnumber"],
                                input=read("docs/" + name).encode(), capture_output=True, check=False)
        if result.returncode != 0 or result.stderr:
            yield "docs/%s: %s" % (name, result.stderr.decode().strip())
        # Not worth a warning to groff: a macro called by another that quotes is quoted with what follows, and a word
        # that begins with a quote loses it.
        shown = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", result.stdout.decode())
        bare = [text for text in re.findall("‘({[^’]*})’", shown)
                if re.search("[a-z]", re.sub(r'"[^"]*"|true|false|null', "", text))]
        for text in re.findall(r".*’’.*", shown) + bare:
            yield "docs/%s: quotes are lost or nested in: %s" % (name, text.strip())


def check_readme():
    text = read("README.md")
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > 120:
            yield "README.md:%d: %d columns; 120 are enough" % (number, len(line))
    rooms = "docs|etc|gatewayd|libshm|tests|tools"
    for path in sorted(set(re.findall(r"(?<![\w/.-])(?:\./)?((?:%s)/[\w./-]*\w)" % rooms, text))):
        if not os.path.exists(os.path.join(ROOT, path)):
            yield "README.md names %s, which does not exist" % path


def log_lines():
    """(file, a part of the line that does not vary) of everything that is logged and is not all variable."""
    for name in sorted(os.listdir(os.path.join(ROOT, "gatewayd"))):
        text = read("gatewayd/" + name) if name.endswith(".c") else ""
        for call in re.findall(r"\blog_(?:info|warn|error)\(((?:[^;\"]|\"(?:\\.|[^\"\\])*\")*?)\);", text, re.S):
            joined = re.sub(r'"\s*"', "", call)
            formats = re.match(r'(?:[^",]*\?\s*"((?:\\.|[^"\\])*)"\s*:\s*)?"((?:\\.|[^"\\])*)"', joined)
            for found in formats.groups() if formats else []:
                parts = re.split(r"%[-+ #0]*(?:\.?(?:\*|\d+))*(?:hh|h|ll|l|z|j)?[a-z]", found or "")
                longest = max(parts, key=len).strip(" :;,()")
                if len(longest) > 4:
                    yield name, longest


def check_guide():
    guide = " ".join(read("docs/operator.md").split()).replace("`", "")
    for name, text in log_lines():
        if text.replace("`", "") not in guide:
            yield "docs/operator.md does not say what the line %r of gatewayd/%s means" % (text, name)
    names = [re.search(r"names\[\] = \{(.*?)\}", read("gatewayd/" + file), re.S).group(1)
             for file in ("state.c", "history.c")]
    wanted = re.findall(r'"(\w+)"', " ".join(names)) + re.findall(r"- alert: (\w+)", read("etc/alerts.yml"))
    for word in wanted:
        if word != "none" and not re.search(r"`%s`" % word, read("docs/operator.md")):
            yield "docs/operator.md does not have %s" % word
    # What the last failure looked like is the first thing to look at; the example has all of it.
    for label in re.findall(r'"  (\w[\w ]*?)  +', read("tools/gatewayctl/breaker_evidence.c")):
        if not re.search(r"^      %s  " % label, read("docs/operator.md"), re.M):
            yield "docs/operator.md: its example of breaker show has no %s" % label


def main():
    checks = (check_keys, check_later, check_commands, check_format, check_readme, check_guide)
    faults = [fault for check in checks for fault in check()]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
