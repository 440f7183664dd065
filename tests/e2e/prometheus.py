"""A real Prometheus that scrapes a gateway and evaluates the installed alerts, without their patience.

The alerts wait minutes before they fire (`for: 5m`), so that nobody is woken by a hiccup; here they fire at the first
evaluation that finds them true, and what is learned is whether they are true. Prometheus' own tool tests the waits.
"""

import json
import os
import re
import socket
import urllib.error
import urllib.request

from harness import wait_until

RULES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "etc", "alerts.yml")
CONFIG = """
global: {scrape_interval: 400ms, scrape_timeout: 400ms, evaluation_interval: 200ms}
rule_files: [%s]
scrape_configs:
  - job_name: gatewayd
    authorization: {credentials_file: %s}
    static_configs: [{targets: ["%s"]}]
"""


class Prometheus:
    def __init__(self, t, target, token):
        self.t = t
        rules, secret, config = t.path("alerts.yml"), t.path("scrape.token"), t.path("prometheus.yml")
        with open(RULES) as file:
            impatient = re.sub(r"(?m)^( +for:) \w+$", r"\1 0s", file.read())
        for path, text in ((rules, impatient), (secret, token), (config, CONFIG % (rules, secret, target))):
            with open(path, "w") as file:
                file.write(text)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % sock.getsockname()[1]
        self.process = t.process(["prometheus", "--config.file=" + config, "--web.listen-address=" + address,
                                  "--storage.tsdb.path=" + t.path("prometheus"), "--log.level=warn"])
        self.url = "http://" + address
        wait_until(self._scrapes, 30, "Prometheus scrapes the gateway")

    def _get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as response:
            return json.load(response)["data"]

    def _scrapes(self):
        assert self.process.poll() is None, "Prometheus ended with %s" % self.process.returncode
        try:
            targets = self._get("/api/v1/targets")["activeTargets"]
        except (OSError, urllib.error.URLError):
            return False
        return [target["health"] for target in targets] == ["up"]

    def firing(self):
        """(name, endpoint or None) of every alert that is on, as Prometheus sees it now."""
        return {(alert["labels"]["alertname"], alert["labels"].get("endpoint"))
                for alert in self._get("/api/v1/alerts")["alerts"] if alert["state"] == "firing"}
