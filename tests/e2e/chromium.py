"""A real Chromium for scenarios, driven over the DevTools protocol: a window for each test, and what it was up to.

    with Browser(t) as browser:
        page = browser.open("http://127.0.0.1:9901/")
        page.wait("document.title.includes('gatewayd')", "the page has a title")
        page.click("#forget")
        page.requests                                     every URL that it asked for
        page.complaints                                   errors, uncaught exceptions and breaches of its policy

Chromium listens on a port of its own choosing on the loopback; what is spoken there is a WebSocket with one JSON object
a message. That is little enough to be written out here.
"""

import base64
import itertools
import json
import os
import socket
import struct
import time
import urllib.request

from harness import wait_until

KEYS = {"Escape": ("Escape", 27, ""), "Enter": ("Enter", 13, "\r"), "Tab": ("Tab", 9, ""), " ": ("Space", 32, " ")}


class Socket:
    """A WebSocket client: masked text frames out, whole messages in."""

    def __init__(self, url, timeout=20):
        host, path = url.split("://", 1)[1].split("/", 1)
        name, port = host.rsplit(":", 1)
        self.sock = socket.create_connection((name, int(port)), timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(("GET /%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n" % (path, host, key)).encode())
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            self.fill()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        assert b" 101 " in head.split(b"\r\n")[0], "no WebSocket: %r" % head

    def fill(self):
        more = self.sock.recv(1 << 16)
        if not more:
            raise ConnectionError("Chromium closed the connection")
        self.rest += more

    def take(self, count):
        while len(self.rest) < count:
            self.fill()
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        size = (struct.pack(">B", 0x80 | len(data)) if len(data) < 126 else
                struct.pack(">BH", 0x80 | 126, len(data)) if len(data) < 1 << 16 else
                struct.pack(">BQ", 0x80 | 127, len(data)))
        masked = bytes(byte ^ mask[at & 3] for at, byte in enumerate(data))
        self.sock.sendall(b"\x81" + size + mask + masked)

    def receive(self):
        """One message, of however many frames."""
        message = b""
        while True:
            first, second = self.take(2)
            length = second & 0x7f
            if length == 126:
                length = struct.unpack(">H", self.take(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.take(8))[0]
            data = self.take(length)
            if first & 0x0f in (0, 1):
                message += data
                if first & 0x80:
                    return message.decode()
            elif first & 0x0f == 8:
                raise ConnectionError("Chromium ended the conversation")

    def close(self):
        self.sock.close()


class Browser:
    """A headless Chromium with a profile in the test's directory, ended with the test."""

    def __init__(self, t):
        profile = t.path("chromium")
        args = ["chromium", "--headless=new", "--remote-debugging-port=0", "--user-data-dir=" + profile,
                "--no-first-run", "--no-default-browser-check", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
                "--disable-extensions", "--hide-scrollbars", "about:blank"]
        if os.geteuid() == 0:
            args.insert(1, "--no-sandbox")  # Chromium as root knows no other way
        self.process = t.process(args, env={"HOME": t.dir, "XDG_RUNTIME_DIR": t.dir})
        port_file = os.path.join(profile, "DevToolsActivePort")

        def port():
            assert self.process.poll() is None, "Chromium ended with %s" % self.process.returncode
            if os.path.exists(port_file):
                with open(port_file) as file:
                    return file.readline().strip()
            return None
        self.port = wait_until(port, 30, "Chromium listens")
        self.pages = []

    def open(self, url, width=1280, height=900, dark=False, phone=False):
        make = urllib.request.Request("http://127.0.0.1:%s/json/new?about:blank" % self.port, method="PUT")
        with urllib.request.urlopen(make, timeout=20) as response:
            target = json.load(response)
        page = Page(target["webSocketDebuggerUrl"])
        self.pages.append(page)
        page.resize(width, height, phone)
        page.scheme("dark" if dark else "light")
        page.go(url)
        return page

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for page in self.pages:
            page.close()
        # Its own end first: so its many processes go with it.
        self.process.terminate()
        self.process.wait(15)


class Failure(AssertionError):
    """A script in the page threw."""


class Gone(AssertionError):
    """The page went elsewhere while it was asked."""


class Page:
    """One tab."""

    def __init__(self, url):
        self.socket, self.numbers = Socket(url), itertools.count(1)
        self.requests, self.complaints, self.responses = [], [], {}
        for domain in ("Page", "Runtime", "Network", "Log", "Audits"):
            self.do(domain + ".enable")

    # The protocol.

    def do(self, method, **params):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.receive())
            if message.get("id") == number:
                if "navigated" in message.get("error", {}).get("message", ""):
                    raise Gone("%s: %s" % (method, message["error"]))
                assert "error" not in message, "%s: %s" % (method, message["error"])
                return message["result"]
            self.note(message)

    def note(self, message):
        """An event: what was asked for, and what somebody complained about."""
        kind, params = message.get("method"), message.get("params", {})
        if kind == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif kind == "Network.responseReceived":
            self.responses[params["response"]["url"]] = params["response"]
        elif kind == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            thrown = details.get("exception", {}).get("description")
            self.complaints.append("exception: %s %s" % (details["text"], thrown))
        elif kind == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append("console: %s" % [arg.get("value") for arg in params["args"]])
        elif kind == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            entry = params["entry"]
            # That a request failed is often what a test is about; a breach of the policy never is.
            if entry["source"] != "network":
                self.complaints.append("%s: %s" % (entry["source"], entry["text"]))
        elif kind == "Audits.issueAdded" and "ContentSecurityPolicy" in params["issue"]["code"]:
            self.complaints.append("policy: %s" % params["issue"]["details"])

    # Looking.

    def go(self, url):
        self.do("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'", "the page is loaded")

    def js(self, expression):
        """The value of an expression, awaited."""
        result = self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise Failure("%s: %s" % (expression, result["exceptionDetails"]["exception"].get("description")))
        return result["result"].get("value")

    def wait(self, expression, what, timeout=15):
        """The first true value of an expression, on this page or on one that comes in its place meanwhile."""
        until = time.monotonic() + timeout
        while True:
            try:
                value = self.js(expression)
            except Gone:
                value = None
            if value:
                return value
            if time.monotonic() > until:
                raise AssertionError("not within %.1f s: %s; the page says:\n%s" % (timeout, what, self.text("body")))
            time.sleep(0.05)

    def text(self, selector):
        return self.js("document.querySelector(%s)?.innerText ?? ''" % json.dumps(selector))

    def shows(self, selector):
        """Whether it is there and can be seen."""
        return self.js("!!document.querySelector(%s)?.checkVisibility()" % json.dumps(selector))

    # Acting, as a hand would.

    def click(self, selector):
        where = self.js("(() => { const node = document.querySelector(%s); if (!node) return null;"
                        " node.scrollIntoView({ block: 'center', behavior: 'instant' });"
                        " const box = node.getBoundingClientRect();"
                        " return [box.x + box.width / 2, box.y + box.height / 2]; })()" % json.dumps(selector))
        assert where, "there is no %s to click" % selector
        self.move(*where)
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1)

    def move(self, x, y):
        self.do("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key, shift=False):
        code, number, text = KEYS[key]
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": 8 if shift else 0}
        self.do("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.do("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        self.do("Input.insertText", text=text)

    # How it is looked at.

    def resize(self, width, height, phone=False):
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1,
                mobile=phone)

    def scheme(self, name):
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self, path, whole=True):
        """A screenshot, for whoever wants to look."""
        shot = self.do("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def close(self):
        self.socket.close()
