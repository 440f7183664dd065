"""The dashboard in a real Chromium: what an operator on call sees of an outage, and what he does about it.

What the page shows has to be what gatewayctl says, and what it changes has to be what was confirmed, and nothing else.
Every test ends with the same question: did the page ask anybody but its gateway, or breach its own policy?
"""

import contextlib
import http.server
import json
import os
import threading
import time

from chromium import Browser
from harness import endpoint, equal, wait_until

TOKEN = "correct-horse-battery"
PAGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "gatewayd")
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
ROWS = "document.querySelectorAll('#endpoints tr.row').length"


def start(t, names=("us-east", "eu-west", "sgp"), each=None, **keys):
    """A gateway with an admin listener, its simulators, and where the dashboard is."""
    sims = [t.sim(name, latency="5ms", ttft="5ms", rate="1000/s", tokens=5) for name in names]
    port = t.free_port()
    # A breaker that is open stays so for the whole test.
    gw = t.gateway([endpoint(sim.name, sim, breaker={"open": "100s", "max_open": "200s"}, **(each or {}))
                    for sim in sims],
                   models={"gpt-test": {"endpoints": list(names)}}, retry={"base": "10ms"},
                   admin={"listen": [{"tcp": "127.0.0.1:%d" % port}], "token": "env:ADMIN_TOKEN"},
                   env={"ADMIN_TOKEN": TOKEN}, **keys)
    return gw, sims, "http://127.0.0.1:%d/" % port


def enter(page, token=TOKEN):
    page.wait("document.querySelector('#login')?.open", "the page asks for the token")
    page.type(token)
    page.press("Enter")


@contextlib.contextmanager
def dashboard(t, url, count=3, token=TOKEN, **keys):
    """The dashboard, open and live; afterwards it must have behaved."""
    with Browser(t) as browser:
        page = browser.open(url, **keys)
        if token:
            enter(page, token)
            page.wait("%s === %d" % (ROWS, count), "the endpoints are shown")
        yield page
        behaved(page, url)


def behaved(page, url):
    page.js("new Promise((done) => setTimeout(done, 200))")
    equal(page.complaints, [], "what the page and its policy complained of")
    strangers = [asked for asked in page.requests if not asked.startswith(url)]
    equal(strangers, [], "requests to others than the gateway")
    equal(page.js("performance.getEntriesByType('resource').filter((each) => !each.name.startsWith(location.origin))"
                  ".length"), 0, "resources of others")


def row(name):
    """A script for the row of an endpoint."""
    return "[...document.querySelectorAll('#endpoints tr.row')].find((row) => row.querySelector('.of-name')" \
           ".innerText.trim() === %s)" % json.dumps(name)


def state(page, name):
    return page.js("%s?.querySelector('.of-state').innerText.trim()" % row(name))


def break_down(gw, sim, page, word="open"):
    """Let a simulator fail until its breaker opens and the page shows it."""
    sim.fault("503:100%")

    def opened():
        gw.ask(headers=[("X-Gateway-Endpoint", sim.name)])
        return gw.endpoint(sim.name)["state"] == "open"
    wait_until(opened, 20, "the breaker of %s opens" % sim.name)
    page.wait("%s.querySelector('.of-state').innerText.trim() === '%s'" % (row(sim.name), word), "the row says so")


def action(verb, name):
    return "button[aria-label='%s %s']" % (verb, name)


def posts(page):
    return [url for url in page.requests if "/reset" in url or "/drain" in url or "/enable" in url or "/clear" in url]


def test_load_and_token(t):
    gw, _, url = start(t)
    with dashboard(t, url, token=None) as page:
        # A stranger gets the page, which holds nothing, and the question.
        page.wait("document.querySelector('#login').open", "the page asks for the token")
        assert page.js("document.activeElement.id") == "token", "the field has the focus"
        assert not page.shows("#endpoints"), "nothing is shown before"
        equal({key.lower(): value for key, value in page.responses[url]["headers"].items()}
              .get("content-security-policy"), POLICY, "the policy")

        enter(page, "wrong-token")
        page.wait("document.querySelector('#login-wrong').checkVisibility()", "it says that the token is wrong")
        assert "does not know this token" in page.text("#login"), page.text("#login")
        equal(page.js("document.querySelector('#token').value"), "", "the field")
        equal(page.js("sessionStorage.length"), 0, "a wrong token is not kept")

        # What no header can carry is not even tried.
        asked = len(page.requests)
        enter(page, "tök\u00e9n")
        page.wait("document.querySelector('#login-wrong').innerText.includes('ASCII')", "it says what is wrong with it")
        equal(len(page.requests), asked, "requests")

        enter(page)
        page.wait("%s === 3" % ROWS, "the endpoints are shown")
        assert not page.js("document.querySelector('#login').open")
        equal([state(page, each["name"]) for each in gw.status()["endpoints"]], ["healthy"] * 3, "states")
        assert "Requests are served." in page.text("#verdict"), page.text("#verdict")
        assert page.js("document.title").startswith("● 3/3"), page.js("document.title")
        page.wait("document.querySelector('#link').innerText.trim() === 'live'", "it is live")

        # The token is in this tab's memory and nowhere else.
        assert TOKEN not in page.js("document.documentElement.outerHTML + localStorage.length + document.cookie")
        assert not any(TOKEN in asked for asked in page.requests)
        page.go(url)
        page.wait("%s === 3" % ROWS, "a reload does not ask again")
        page.click("#forget")
        page.wait("document.querySelector('#login')?.open", "forgotten, it is asked for again")


def test_live_update(t):
    gw, sims, url = start(t)
    with dashboard(t, url) as page:
        break_down(gw, sims[1], page)
        said = gw.endpoint("eu-west")
        text = page.js("%s.innerText" % row("eu-west"))
        assert "failures in a row" in text, text
        page.wait("document.querySelector('#headline').innerText.includes('2 of 3')", "the sentence")
        assert "eu-west is open" in page.text("#verdict")
        page.wait("document.querySelector('#said').innerText.includes('eu-west is now open')", "a reader is told")
        page.wait("document.querySelector('#events').innerText.includes('eu-west')", "the event is listed")

        # The wait counts down, second by second, from what the gateway says.
        left = "parseInt(%s.querySelector('.left').innerText.replace(/1m (\\d+)s/, (_, s) => 60 + +s))" % row("eu-west")
        first = page.js(left)
        assert abs(first - said["until_ms"] / 1000) < 5, "%s s, the gateway says %s" % (first, said)
        page.wait("%s <= %d" % (left, first - 2), "it counts down")

        # Shape as well as colour and word: no two states look the same without colours.
        shapes = [page.js("%s.querySelector('.of-state svg').innerHTML" % row(name)) for name in ("us-east", "eu-west")]
        assert shapes[0] != shapes[1]

        # And back again.
        sims[1].fault()
        gw.order("breaker", "reset", "eu-west")
        page.wait("%s.querySelector('.of-state').innerText.trim() === 'healthy'" % row("eu-west"), "well again")
        page.wait("document.querySelector('#headline').innerText === 'Requests are served.'", "the sentence")


def test_reset_asks_first(t):
    gw, sims, url = start(t)
    with dashboard(t, url) as page:
        break_down(gw, sims[0], page)
        sims[0].fault()
        dialog = "document.querySelector('#ask')"
        for leave in (lambda: page.press("Escape"), lambda: page.click("#ask-no")):
            page.click(action("Reset", "us-east"))
            page.wait(dialog + ".open", "it asks")
            question = page.text("#ask")
            for words in ("Reset us-east?", "Closes the breaker of us-east", "gatewayctl breaker reset us-east"):
                assert words in question, question
            equal(page.js("document.activeElement.id"), "ask-no", "the harmless answer has the focus")
            leave()
            page.wait("!%s.open" % dialog, "the question is gone")
            equal(page.js("document.activeElement.ariaLabel"), "Reset us-east", "the focus is back where it was")
        equal(posts(page), [], "what was ordered")
        equal(gw.endpoint("us-east")["state"], "open", "us-east after two times no")

        page.click(action("Reset", "us-east"))
        page.wait(dialog + ".open", "it asks")
        page.click("#ask-yes")
        page.wait("!%s.open" % dialog, "done")
        wait_until(lambda: gw.endpoint("us-east")["state"] == "healthy", 5, "gatewayctl says the same")
        page.wait("%s.querySelector('.of-state').innerText.trim() === 'healthy'" % row("us-east"), "the row says so")
        assert "open → closed" in page.text("#toast"), page.text("#toast")
        equal(len(posts(page)), 1, "orders")


def test_drain_and_enable(t):
    gw, _, url = start(t)
    with dashboard(t, url) as page:
        for verb, after in (("Drain", "drained"), ("Enable", "healthy")):
            page.click(action(verb, "sgp"))
            page.wait("document.querySelector('#ask').open", "it asks")
            page.click("#ask-yes")
            page.wait("%s.querySelector('.of-state').innerText.trim() === '%s'" % (row("sgp"), after), "it says so")
            equal(gw.endpoint("sgp")["state"], after, "gatewayctl's word")
        page.wait("document.querySelector('#events').innerText.includes('drained → enabled')", "both are events")
        orders = [event for event in gw.events() if event["kind"] == "order"]
        equal([event["to"] for event in orders], ["drained", "enabled"], "orders in the log")


def test_the_wait_of_an_account_is_cleared(t):
    """It is the account's, whichever endpoint's button is pressed, and the question says so."""
    gw, sims, url = start(t, names=("us-east", "eu-west"), each={"account": "shared"})
    with dashboard(t, url, 2) as page:
        sims[0].fault("insufficient-quota")
        sims[1].fault("insufficient-quota")
        gw.ask()
        both = "document.querySelector('#chips').innerText.trim()"
        page.wait(both + " === '2 exhausted'", "both wait")
        sims[0].fault()
        page.click(action("Clear wait", "eu-west"))
        page.wait("document.querySelector('#ask').open", "it asks")
        assert "and of account shared (other endpoints may share it)" in page.text("#ask"), page.text("#ask")
        equal(page.text("#ask-command"), "gatewayctl cooldown clear eu-west && gatewayctl cooldown clear shared",
              "the command")
        page.click("#ask-yes")
        page.wait(both + " === '2 healthy'", "neither waits any longer")
        equal([each["state"] for each in gw.status()["endpoints"]], ["healthy", "healthy"], "gatewayctl's word")
        assert "shared exhausted → not cooling" in page.text("#toast"), page.text("#toast")


def test_details_by_keyboard(t):
    gw, _, url = start(t)
    with dashboard(t, url) as page:
        page.js("%s.querySelector('.of-name button').focus()" % row("eu-west"))
        page.press("Enter")
        page.wait("document.querySelector('tr.more')?.checkVisibility()", "the details are shown")
        equal(page.js("document.activeElement.ariaExpanded"), "true", "what a reader is told")
        details = page.text("tr.more")
        for words in ("gpt-test", "all others (*)", "Breaker closed", "Last events"):
            assert words in details, details

        # One model can be held open for a time, and released again.
        page.click(action("Hold open", "eu-west/gpt-test"))
        page.wait("document.querySelector('#ask').open", "it asks")
        page.js("(() => { const list = document.querySelector('#ask-for'); list.value = '10m';"
                " list.dispatchEvent(new Event('change')); })()")
        assert "gatewayctl breaker open eu-west/gpt-test --for 10m" in page.text("#ask"), page.text("#ask")
        page.press("Tab")
        equal(page.js("document.activeElement.id"), "ask-yes", "the next stop")
        page.press("Enter")
        page.wait("%s.querySelector('.of-why').innerText.includes('held open')" % row("eu-west"), "the row says why")
        held = gw.pair("eu-west", "gpt-test")
        equal(held["state"], "forced_open", "gatewayctl's word")
        assert 590000 < held["until_ms"] <= 600000, held
        page.click(action("Automatic", "eu-west/gpt-test"))
        page.wait("document.querySelector('#ask').open", "it asks")
        page.click("#ask-yes")
        wait_until(lambda: gw.pair("eu-west", "gpt-test")["state"] == "healthy", 5, "the hold is taken back")


def test_on_a_phone_and_in_the_dark(t):
    gw, sims, url = start(t, names=("us-east", "a-name-that-is-quite-long-for-an-endpoint.eu-central-1.example", "sgp"))
    with dashboard(t, url, width=390, height=844, phone=True) as page:
        break_down(gw, sims[1], page)
        page.js("document.querySelectorAll('td.of-name button').forEach((button) => button.click())")
        for width in (390, 320, 720, 1000, 1280):
            page.resize(width, 844, width < 600)
            equal(page.js("[document.documentElement.scrollWidth, innerWidth]"), [width, width],
                  "width of the page at %d px" % width)
        page.resize(390, 844, True)
        # Cards: what belongs to one endpoint stands below each other, and a finger finds the buttons.
        assert page.js("getComputedStyle(document.querySelector('#endpoints thead')).display") == "none"
        small = page.js("[...document.querySelectorAll('button')].filter((button) => button.checkVisibility() &&"
                        " !button.closest('.of-name, th') && button.getBoundingClientRect().height < 34).length")
        equal(small, 0, "buttons too small for a finger")
        page.click(action("Drain", "sgp"))
        page.wait("document.querySelector('#ask').open", "it asks")
        box = page.js("(() => { const box = document.querySelector('#ask').getBoundingClientRect();"
                      " return [box.left, box.right]; })()")
        assert box[0] >= 0 and box[1] <= 390, box
        page.press("Escape")
        colours = []
        for scheme in ("light", "dark"):
            page.scheme(scheme)
            colours.append(page.js("[getComputedStyle(document.body).backgroundColor,"
                                   " getComputedStyle(document.body).color]"))
        light, dark = [[sum(int(part) for part in each[4:-1].split(",")) for each in pair] for pair in colours]
        assert light[0] > 600 > 200 > light[1] and dark[0] < 200 < 600 < dark[1], colours


def test_lost_and_found(t):
    gw, _, url = start(t)
    with dashboard(t, url) as page:
        gw.stop()
        page.wait("document.querySelector('#banner').checkVisibility()", "it says that it is not live")
        assert "Not live" in page.text("#banner"), page.text("#banner")
        assert page.js("document.body.classList.contains('stale') && document.title.includes('not live')")
        gw.start()
        page.click("#banner-act")
        page.wait("!document.querySelector('#banner').checkVisibility()", "it is live again by itself", 30)
        assert not page.js("document.querySelector('#login').open"), "without asking for the token again"


# What no real gateway says: names that a configuration would refuse, and more endpoints than a test wants to start.

class Liar:
    """Serves the page as the gateway does, and documents of the test's own making."""

    def __init__(self, status, events=()):
        self.status, self.events = status, list(events)
        self.slowness = 0  # seconds before a stream begins; one that began otherwise ends
        self.hour = []  # (ms since 1970, requests a second) of the only endpoint, a
        self.refuses = False  # documents without a token; the stream goes on
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path, _, query = self.path.partition("?")
                answers = {"/api/events": {"events": liar.events}, "/api/workers": {"workers": []},
                           "/api/history": liar.history(int(query.partition("since=")[2] or 0))}
                if liar.refuses and path.startswith("/api/"):
                    time.sleep(path == "/api/workers")  # which is asked for at the same time as the events
                    return self.send_error(401)
                if path == "/api/stream":
                    return self.stream()
                if path in answers:
                    return self.say("application/json", json.dumps(answers[path]).encode())
                name = "dashboard.html" if path == "/" else os.path.basename(path)
                kinds = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css",
                         ".svg": "image/svg+xml"}
                with open(os.path.join(PAGES, name), "rb") as file:
                    return self.say(kinds[os.path.splitext(name)[1]], file.read())

            def say(self, kind, body):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Security-Policy", POLICY)
                self.end_headers()
                self.wfile.write(body)

            def stream(self):
                time.sleep(liar.slowness)
                slowness = liar.slowness
                with contextlib.suppress(OSError):
                    self.say("text/event-stream", b"retry: 1000\n\n")
                    while not liar.over.wait(0.1) and slowness == liar.slowness:
                        # Split anywhere: an event may arrive in pieces.
                        data = b"event: status\ndata: " + json.dumps(liar.status).encode() + b"\n\n"
                        self.wfile.write(data[:len(data) // 2])
                        self.wfile.flush()
                        self.wfile.write(data[len(data) // 2:])

            def log_message(self, *_):
                pass

        self.over = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d/" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def history(self, since):
        points = [point for point in self.hour if point[0] > since]
        none = [None] * len(points)
        return {"interval_ms": 10000, "times": [at for at, _ in points],
                "endpoints": [{"name": "a", "rps": [rps for _, rps in points], "error_rate": none,
                               "first_token_ms": {"p50": none, "p99": none}, "state": ["healthy"] * len(points)}]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


def told(name, word="healthy", reason="", model="gpt-test", rps=1.0):
    one = {"state": word, "reason": reason, "until_ms": 5000 if reason else 0, "breaker": "closed", "failures": 0}
    return {"name": name, **one, "in_flight": 0, "limit": 10, "requests": 5, "rps": rps, "error_rate": 0.0,
            "first_token_ms": {"p50": 10.0, "p99": None}, "last_success_ms": None, "models": [{"name": model, **one}]}


def document(endpoints):
    return {"endpoints": endpoints,
            "summary": {"serving": True, "endpoints": len(endpoints), "usable": len(endpoints), "requests": 1,
                        "success_rate": 1.0, "parked": 0, "workers": 1, "master": 1, "generation": 1}}


def pass_time(page, seconds):
    """As if so much time had gone by since the page heard anything."""
    page.js("((now) => { performance.now = () => now() + %d; })(performance.now.bind(performance))" % (seconds * 1000))


def test_a_slow_gateway_is_found_again(t):
    """However long it was away: who is slow to answer is given the time to."""
    with Liar(document([told("a")])) as liar, dashboard(t, liar.url, 1, token=None) as page:
        page.wait("%s === 1" % ROWS, "it is shown")
        liar.slowness = 1
        pass_time(page, 60)
        page.wait("document.querySelector('#banner').checkVisibility()", "it says that it is not live")
        page.wait("document.querySelector('#link').innerText.trim() === 'live'", "it is live again", 20)


def test_a_token_is_typed_in_peace(t):
    """The page hears that it is refused while its stream still goes on, and does not ask until it has a token."""
    with Liar(document([told("a")])) as liar, Browser(t) as browser:
        page = browser.open(liar.url)
        page.wait("%s === 1" % ROWS, "it is shown")
        liar.refuses = True
        page.wait("document.querySelector('#login').open", "the page asks for the token")
        page.type("half-a-tok")
        time.sleep(2.5)
        equal(page.js("document.querySelector('#token').value"), "half-a-tok", "what was typed so far")
        liar.refuses = False
        page.press("Enter")
        page.wait("document.querySelector('#link').innerText.trim() === 'live'", "it is live again")


def test_the_hour_is_fetched_once(t):
    """What is known of it stays, and only what is later is asked for; a clock that was set back begins it anew."""
    chart = "document.querySelector('#charts figure').ariaLabel"
    with Liar(document([told("a")])) as liar:
        now = int(time.time() * 1000)
        liar.hour = [(now - 3590000, 7), (now - 20000, 5), (now - 10000, 4)]
        with dashboard(t, liar.url, 1, token=None) as page:
            page.wait(chart + "?.includes('now 4.00, at most 7.00')", "the hour is drawn")
            # The oldest is more than an hour old now, and the gateway was replaced: it knows nothing of before.
            liar.hour = [(now + 10000, 3)]
            pass_time(page, 20)
            page.wait(chart + ".includes('now 3.00, at most 5.00')", "what is new is drawn beside what was known")
            asked = [url for url in page.requests if "/api/history" in url]
            equal(asked[:2], [liar.url + "api/history", liar.url + "api/history?since=%d" % (now - 10000)], "asked for")
            liar.history = lambda since: Liar.history(liar, 0)
            liar.hour = [(now - 500000, 2)]
            pass_time(page, 20)
            page.wait(chart + ".includes('now 2.00, at most 2.00')", "it begins anew")


EVIL = ["<img src=x onerror=alert(1)>", "<script>document.title='owned'</script>", "\"><svg onload=alert(1)>",
        "javascript:alert(1)", "__proto__", "constructor", "{{7*7}}", "a/../../b?c#d", "\u202edrowssap",
        "x" * 127, "'; touch /tmp/owned; '"]


def test_hostile_names(t):
    rows = [told(name, "open", name, name) for name in EVIL]
    rows.append(told("odd", "<b>no state</b>", "constructor"))
    events = [{"time": "2026-01-01T00:00:00.000Z", "kind": name, "endpoint": name, "model": name, "from": name,
               "to": name, "by": name, "detail": name} for name in EVIL]
    with Liar(document(rows), events) as liar, dashboard(t, liar.url, token=None) as page:
        page.wait("%s === %d" % (ROWS, len(rows)), "all of them are shown")
        page.wait("document.querySelectorAll('#events tr').length === %d" % len(EVIL), "and their events")
        page.js("document.querySelectorAll('td.of-name button').forEach((button) => button.click())")
        names = page.js("[...document.querySelectorAll('td.of-name')].map((each) => each.textContent)")
        equal(names, EVIL + ["odd"], "names, as text")
        equal(page.js("document.querySelectorAll('main img, main script, main b, main [onerror], main [onload]')"
                      ".length"), 0, "elements made of names")
        assert "owned" not in page.js("document.title")
        # The command that is shown can be pasted without harm.
        page.js("[...document.querySelectorAll('#endpoints tr.row')].find((row) => row.innerText.includes('touch'))"
                ".querySelector('.of-acts button').click()")
        equal(page.text("#ask-command"), "gatewayctl breaker reset ''\\''; touch /tmp/owned; '\\'''", "the command")
        page.press("Escape")
        # An address is made of a name's parts, and none of them leads elsewhere.
        page.js("[...document.querySelectorAll('#endpoints tr.row')].find((row) => row.innerText.includes('?c#d'))"
                ".querySelector('.of-acts button').click()")
        page.click("#ask-yes")
        page.wait("document.querySelector('#ask-wrong').checkVisibility()", "the order fails, and it says so")
        asked = [url for url in page.requests if url.endswith("/reset")]
        equal(asked, [liar.url + "api/breaker/a%2F..%2F..%2Fb%3Fc%23d/reset"], "the address of the order")


def test_two_hundred_endpoints(t):
    rows = [told("endpoint-%03d" % number, "open" if number % 50 == 7 else "healthy", "5 failures in a row"
                 if number % 50 == 7 else "", rps=float(number)) for number in range(200)]
    with Liar(document(rows)) as liar, dashboard(t, liar.url, token=None) as page:
        page.wait("%s === 200" % ROWS, "all of them are shown")
        shown = "[...document.querySelectorAll('#endpoints tr.row')].filter((row) => row.checkVisibility())"
        names = shown + ".map((row) => row.querySelector('.of-name').innerText)"
        equal(page.js(names), [each["name"] for each in rows], "the order of the configuration")
        page.js("window.kept = document.querySelectorAll('#endpoints tr.row')[3]")

        # Sorted by what is wrong, by rate, and back.
        page.click("#heads th.of-state button")
        equal(page.js(names)[:4], ["endpoint-%03d" % number for number in (7, 57, 107, 157)], "trouble first")
        page.click("#heads th:nth-child(4) button")
        equal(page.js(names)[:2], ["endpoint-199", "endpoint-198"], "the busiest first")
        equal(page.js("document.querySelector('#heads th:nth-child(4)').ariaSort"), "descending", "told to a reader")

        # By state, and by a part of the name.
        page.click("#chips button:last-child")
        equal(len(page.js(names)), 4, "those that are open")
        page.click("#chips button:last-child")
        page.click("#find")
        page.type("-19")
        equal(len(page.js(names)), 10, "those that are called so")

        # A field that is being typed in, and every row, are the same nodes after a change of everything.
        liar.status = document([told(each["name"], "degraded", "x", rps=2.0) for each in rows])
        page.wait("document.querySelector('#chips').innerText.trim() === '200 degraded'", "the change arrived")
        equal(page.js("document.activeElement.id"), "find", "the focus")
        assert page.js("window.kept.isConnected && window.kept.innerText.includes('degraded')"), "the row"

        # Some of them leave.
        liar.status = document([told(each["name"]) for each in rows[:5]])
        page.wait("%s === 5" % ROWS, "the others are gone")
        page.wait("document.querySelector('#endpoints-none').checkVisibility()", "no name of these is like that")
