"""How llmsim speaks HTTP, when it answers, and the rate limits it enforces."""

import datetime
import email.utils
import http.client
import json
import re
import time

from llmsim_support import PATIENCE, Sim, body, content, equal, events, said, test, words


# How it speaks HTTP


@test
def standard_client_keeps_its_connection():
    with Sim("--tokens", "2") as sim:
        client = http.client.HTTPConnection(*sim.where, timeout=PATIENCE)
        for stream in False, True, False:
            client.request("POST", "/v1/chat/completions", body(stream=stream))
            text = client.getresponse().read().decode()
            equal(said(text) if stream else content(text), words(2))
        client.close()
        equal(sim.sim()["connections_total"], 1, "connections")


@test
def pipelining():
    with Sim("--tokens", "2") as sim, sim.connect() as wire:
        one = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
        texts = [body(model="m%d" % i, stream=i % 2 == 1) for i in range(9)]
        wire.raw("".join(one % (len(text), text) for text in texts))
        for i in range(9):
            text = wire.answer()[2]
            equal(said(text) if i % 2 else content(text), words(2))
            equal(json.loads(events(text)[0][1] if i % 2 else text)["model"], "m%d" % i)


@test
def body_in_chunks():
    with Sim("--tokens", "2") as sim, sim.connect() as wire:
        for step in 1, 7, 1000:
            text = body(padding="x" * 500)
            wire.raw("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(text), step):
                part = text[at:at + step]
                wire.raw("%x;why=not\r\n%s\r\n" % (len(part), part))
            wire.raw("0\r\nTrailer: t\r\n\r\n")
            document = json.loads(wire.answer()[2])
            equal(document["usage"]["prompt_tokens"], len(text) // 4)
        wire.raw("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        equal(wire.answer()[0], 400)
        equal(wire.is_over(), "closed")


@test
def leave_to_send_a_body():
    with Sim("--tokens", "2") as sim, sim.connect() as wire:
        text = body()
        wire.raw("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
                 % len(text))
        equal(wire.until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n")
        equal(sim.sim()["in_flight"], 1, "in flight from its head on")
        wire.raw(text)
        equal(content(wire.answer()[2]), words(2))
        equal(sim.sim()["in_flight"], 0, "in flight")


@test
def head_byte_by_byte():
    with Sim("--tokens", "2") as sim, sim.connect() as wire:
        text = body()
        for byte in "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text):
            wire.raw(byte)
        equal(content(wire.answer()[2]), words(2))


@test
def big_body():
    with Sim("--tokens", "2") as sim:
        text = body(padding="y" * 5000000)
        document = json.loads(sim.ask(text=text)[2])
        equal(document["usage"]["prompt_tokens"], len(text) // 4)
        equal(len(sim.sim(log=True)["log"][0]["body"]), 2000, "kept of the body")


@test
def http_1_0_and_close():
    with Sim("--tokens", "2") as sim:
        for stream in False, True:
            with sim.connect() as wire:
                wire.send(text=body(stream=stream), version="1.0")
                status, headers, text = wire.answer()
                equal(said(text) if stream else content(text), words(2))
                assert "transfer-encoding" not in headers, headers
                equal(headers["connection"], "close")
                equal(wire.is_over() if not stream else "closed", "closed")
            with sim.connect() as wire:
                wire.send(text=body(stream=stream), headers={"Connection": "close"})
                equal(wire.answer()[1]["connection"], "close")
                equal(wire.is_over(), "closed")


@test
def what_is_no_http():
    with Sim() as sim:
        for raw in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\nHost: x\n\n", b"GET / HTTP/1.1\r\n\r\n"):
            with sim.connect() as wire:
                wire.raw(raw)
                status, _, text = wire.answer()
                equal(status, 400, "status for %r" % raw)
                equal(json.loads(text)["error"]["code"], "bad_request")
                equal(wire.is_over(), "closed")
        with sim.connect() as wire:
            wire.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: %s\r\n" % (b"b" * 70000))
            equal(wire.answer()[0], 431)


# When it answers


@test
def latency_and_first_token():
    with Sim("--latency", "150ms", "--ttft", "150ms", "--tokens", "2") as sim:
        for stream in False, True:
            begun = time.monotonic()
            sim.ask(stream=stream)
            assert time.monotonic() - begun >= 0.15, "it came too early"
        with sim.connect() as wire:
            sim.sim({"ttft": "1h"})
            wire.send(text=body(stream=True))
            equal(wire.head()[0], 200, "status before the first token")
            assert wire.is_quiet(sim)


@test
def pace():
    with Sim("--tokens", "10", "--rate", "100/s") as sim, sim.connect() as wire:
        begun = time.monotonic()
        wire.send(text=body(stream=True))
        equal(said(wire.answer()[2]), words(10))
        assert time.monotonic() - begun >= 0.085, "ten tokens at 100/s came too fast"


@test
def slow_reader():
    with Sim("--tokens", "20000", "--rate", "100000/s") as sim, sim.connect() as wire, sim.connect() as other:
        wire.send(text=body(stream=True))
        wire.head()
        sim.sim({"tokens": 3, "rate": 0})
        other.send(text=body())
        equal(content(other.answer()[2]), words(3), "another client's answer meanwhile")
        text = b""
        while True:
            part = wire.chunk()
            if not part:
                break
            text += part
        equal(said(text.decode()), words(20000))


# Rate limits


@test
def requests_a_minute():
    with Sim("--rpm", "3", "--tokens", "1") as sim:
        for left in 2, 1, 0:
            status, headers, _ = sim.ask()
            equal((status, headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]),
                  (200, "3", str(left)))
            assert re.fullmatch(r"(\d+m)?(\d+(\.\d+)?s|\d+ms)", headers["x-ratelimit-reset-requests"]), headers
        status, headers, text = sim.ask()
        equal(status, 429, "status")
        error = json.loads(text)["error"]
        equal((error["type"], error["code"]), ("requests", "rate_limit_exceeded"), "error")
        assert re.search(r"requests per min \(RPM\): Limit 3, Used \d+, Requested 1\. Please try again in [\d.ms]+\.",
                         error["message"]), error
        wait = int(headers["retry-after-ms"])
        assert 0 < wait <= 20000, headers
        equal(headers["retry-after"], str((wait + 999) // 1000))
        assert "x-ratelimit-limit-tokens" not in headers, headers
        equal(sim.sim(log=True)["log"][-1]["fault"], "limit")
        equal(sim.ask("/v1/models", method="GET")[0], 200, "models cost nothing")


@test
def requests_a_minute_of_anthropic():
    with Sim("--rpm", "1", "--tokens", "1") as sim:
        for status in 200, 429:
            found, headers, text = sim.ask("/v1/messages")
            equal((found, headers["anthropic-ratelimit-requests-limit"],
                   headers["anthropic-ratelimit-requests-remaining"]), (status, "1", "0"))
            reset = datetime.datetime.strptime(headers["anthropic-ratelimit-requests-reset"], "%Y-%m-%dT%H:%M:%SZ")
            date = email.utils.parsedate_to_datetime(headers["date"]).replace(tzinfo=None)
            assert 0 <= (reset - date).total_seconds() <= 61, headers
            assert not [name for name in headers if name.startswith("x-ratelimit") or name.endswith("-ms")], headers
        error = json.loads(text)["error"]
        equal(error["type"], "rate_limit_error")
        assert error["message"].endswith("would exceed your organization's rate limit of 1 requests per minute."), error
        assert 0 < int(headers["retry-after"]) <= 60, headers


@test
def waiting_as_told_is_enough():
    with Sim("--rpm", "600", "--tokens", "1") as sim:
        refused = 0
        for _ in range(2000):
            status, headers, _ = sim.ask()
            if status == 429:
                refused += 1
                told = time.monotonic()
                while (time.monotonic() - told) * 1000 <= int(headers["retry-after-ms"]):
                    pass
                equal(sim.ask()[0], 200, "status after the wait")
                if refused == 3:
                    break
        equal(refused, 3, "refusals")


@test
def tokens_a_minute():
    with Sim("--tpm", "1000", "--tokens", "100") as sim:
        text = body()
        cost = len(text) // 4 + 100
        status, headers, _ = sim.ask(text=text)
        equal((status, headers["x-ratelimit-limit-tokens"]), (200, "1000"))
        assert 1000 - cost <= int(headers["x-ratelimit-remaining-tokens"]) <= 1000 - cost + 17, headers
        status, headers, text = sim.ask(padding="x" * 4000)
        equal((status, json.loads(text)["error"]["type"]), (429, "tokens"))
        sim.sim({"tpm": 0})
        equal(sim.ask(padding="x" * 4000)[0], 200, "without a limit")
