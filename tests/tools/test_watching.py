#!/usr/bin/python3
"""The alerts and the dashboard that are installed: every metric, label and state in them exists, every query is one.

    test_watching.py [PROMTOOL]

METRICS below is what the steward serves; gatewayd/metrics.c has to know each of these names, and each word that a
query compares a label with. With promtool (Debian's package prometheus) the queries are parsed and the alerts' own
tests are run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

METRICS = {
    "gatewayd_requests_total": {"endpoint", "model", "status"},
    "gatewayd_client_requests_total": {"client", "status"},
    "gatewayd_request_seconds": {"endpoint", "le"},
    "gatewayd_first_token_seconds": {"endpoint", "le"},
    "gatewayd_overhead_seconds": {"le"},
    "gatewayd_retries_total": {"endpoint", "reason"},
    "gatewayd_attempts": {"le"},
    "gatewayd_endpoint_state": {"endpoint", "state"},
    "gatewayd_active_endpoint": {"model", "endpoint"},
    "gatewayd_breaker_transitions_total": {"endpoint", "to"},
    "gatewayd_cooldown_seconds": {"endpoint"},
    "gatewayd_in_flight": {"endpoint"},
    "gatewayd_limit_rejections_total": {"limit"},
    "gatewayd_tokens_total": {"client", "model", "kind"},
    "gatewayd_cost_usd_total": {"client", "model"},
    "gatewayd_cache_total": {"result"},
    "gatewayd_workers": set(),
    "gatewayd_parked": set(),
    "gatewayd_rescues_total": {"result"},
    "gatewayd_queue_full_total": set(),
    "gatewayd_hedges_won_total": set(),
    "gatewayd_dropped_events_total": set(),
    "gatewayd_worker_restarts_total": set(),
    "gatewayd_build_info": {"version"},
}
# These have panels already, which show nothing until they are served.
TO_COME = {"gatewayd_tokens_total", "gatewayd_cost_usd_total", "gatewayd_cache_total"}
HISTOGRAMS = {name for name, labels in METRICS.items() if "le" in labels}
EVERYWHERE = {"job", "instance"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def states():
    """The names of states, from the code that shows them."""
    table = re.search(r"names\[\] = \{(.*?)\}", read("gatewayd/state.c"), re.S).group(1)
    return set(re.findall(r'"(\w+)"', table))


def served():
    """Every text in gatewayd/metrics.c: names of metrics, and words that are values of labels."""
    return set(re.findall(r'"(\w+)"', read("gatewayd/metrics.c")))


def base(name):
    """The metric that a series belongs to."""
    short = re.sub(r"_(bucket|sum|count)$", "", name)
    return short if short in HISTOGRAMS else name


def check_query(where, query):
    for name, selector in re.findall(r"\b(gatewayd_\w+)(\{[^}]*\})?", query):
        metric = base(name)
        if metric not in METRICS:
            yield "%s: no metric is called %s" % (where, name)
            continue
        if metric in HISTOGRAMS and metric == name:
            yield "%s: %s is a histogram, and has series with _bucket, _sum and _count only" % (where, name)
        for label, value in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', selector or ""):
            if label not in METRICS[metric] | EVERYWHERE:
                yield "%s: %s has no label %s" % (where, name, label)
            known = states() if label == "state" else served()
            for word in set(value.split("|")) - known if label not in EVERYWHERE and "$" not in value else []:
                yield "%s: %s is never %s" % (where, label, word)


def alerts():
    """(name, query) of every rule. The file's own layout is relied on: a rule's keys stand in one order."""
    rules = re.findall(r"- alert: (\w+)\n\s+expr: (?:>-\n)?(.*?)\n\s+(?:for|labels):", read("etc/alerts.yml"), re.S)
    return [(name, re.sub(r"\s+", " ", query).strip()) for name, query in rules]


def panels(board):
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def queries(board):
    """(where, query) of everything in the dashboard that asks Prometheus."""
    for panel in panels(board):
        for target in panel.get("targets", []):
            yield "panel %r" % panel["title"], target["expr"]
    for note in board["annotations"]["list"]:
        yield "annotation %r" % note["name"], note["expr"]


def overlap(a, b):
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    return not beside and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]


def check_board(board):
    found = list(panels(board))
    for problem in (check_query("etc/grafana.json: " + where, query) for where, query in queries(board)):
        yield from problem
    if len({panel["id"] for panel in found}) != len(found):
        yield "etc/grafana.json: two panels have one id"
    for number, panel in enumerate(found):
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24:
            yield "etc/grafana.json: panel %r is too far to the right" % panel["title"]
        for other in found[:number]:
            if overlap(panel["gridPos"], other["gridPos"]):
                yield "etc/grafana.json: panels %r and %r overlap" % (panel["title"], other["title"])
        for asked in [panel] + panel.get("targets", []) if panel["type"] != "row" else []:
            if asked["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
                yield "etc/grafana.json: panel %r does not ask the chosen data source" % panel["title"]
    known = {variable["name"] for variable in board["templating"]["list"]}
    for name in set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(board))) - known:
        yield "etc/grafana.json: no variable is called %s" % name


def logged():
    """The names in a line of the access log, and the outcomes of tries in it."""
    return set(re.findall(r'"(\w+)"', read("gatewayd/account.c").replace('\\"', '"') + read("gatewayd/classify.c")))


def check_words():
    """Whoever is woken looks for what the alert names; where it sends him to the access log, that has to be there."""
    for text in re.findall(r"access log\b(.*?)\n\n", read("etc/alerts.yml") + "\n\n", re.S):
        for word in set(re.findall(r"`(\w+)`", text)) - logged():
            yield "etc/alerts.yml: nothing in the access log is called %s" % word


def check_alerts():
    tested = read("tests/tools/alerts_test.yml")
    rules = alerts()
    if len(rules) != read("etc/alerts.yml").count("- alert:"):
        yield "etc/alerts.yml: %d rules could be read, and there are others" % len(rules)
    for name, query in rules:
        yield from check_query("etc/alerts.yml: " + name, query)
        if 'alertname="%s"' % name not in tested:
            yield "tests/tools/alerts_test.yml: %s never fires there" % name


def check_served():
    for name in sorted(METRICS):
        if (name in served()) == (name in TO_COME):
            yield "gatewayd/metrics.c %s" % (
                "serves %s now: take it out of TO_COME" if name in TO_COME else "does not serve %s") % name


def check_known():
    for name in sorted(name for name in served() if name.startswith("gatewayd_") and name not in METRICS):
        yield "gatewayd/metrics.c serves %s, which METRICS does not have" % name


def check_manual():
    """Every family that is served stands in gatewayd(8), with its labels."""
    lines = dict(re.findall(r"^(gatewayd_\w+)(?:\{([\w,]*)\})?", read("docs/gatewayd.8"), re.M))
    listed = {name: set(filter(None, labels.split(","))) for name, labels in lines.items()}
    wanted = {name: labels - {"le"} for name, labels in METRICS.items() if name not in TO_COME}
    for name in sorted(set(listed) | set(wanted)):
        if listed.get(name) != wanted.get(name):
            yield "docs/gatewayd.8: of %s it lists %s, and served is %s" % (name, listed.get(name), wanted.get(name))


def said(args):
    """What a program complains of, if it does."""
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return [] if done.returncode == 0 else ["%s:\n%s" % (" ".join(args), done.stdout)]


def check_with_promtool(promtool, board):
    yield from said([promtool, "check", "rules", os.path.join(ROOT, "etc/alerts.yml")])
    yield from said([promtool, "test", "rules", os.path.join(ROOT, "tests/tools/alerts_test.yml")])
    rules = [{"record": "panel:%d" % number, "expr": query.replace("$__rate_interval", "5m")}
             for number, (_, query) in enumerate(queries(board))]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
        file.flush()
        yield from said([promtool, "check", "rules", file.name])


def main(args):
    board = json.loads(read("etc/grafana.json"))
    promtool = args[0] if args else shutil.which("promtool")
    checks = [check_board(board), check_alerts(), check_words(), check_served(), check_known(), check_manual()]
    faults = [fault for check in checks for fault in check]
    if promtool:
        faults += list(check_with_promtool(promtool, board))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
