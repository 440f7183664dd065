"""Every fault of llmsim from the client's side, and when faults fire."""

import email.utils
import json
import re
import time

from llmsim_support import PATIENCE, Sim, body, content, equal, events, said, test, words


ERRORS = {"429": (429, "rate_limit_exceeded"), "insufficient-quota": (429, "insufficient_quota"),
          "slow-down": (429, "slow_down"), "400": (400, "invalid_value"), "401": (401, "invalid_api_key"),
          "402": (402, "insufficient_balance"), "403": (403, "permission_denied"), "404": (404, "model_not_found"),
          "context-length": (400, "context_length_exceeded"), "content-filter": (400, "content_filter"),
          "500": (500, "internal_error"), "502": (502, "bad_gateway"), "503": (503, "server_is_overloaded"),
          "504": (504, "timeout"), "529": (529, "overloaded")}


@test
def errors():
    with Sim() as sim:
        for kind, (status, code) in ERRORS.items():
            sim.fault(kind)
            for stream in False, True:
                found, headers, text = sim.ask(stream=stream)
                equal((found, json.loads(text)["error"]["code"]), (status, code), kind)
                assert not [name for name in headers if "retry" in name or "ratelimit" in name], headers
            found, _, text = sim.ask("/v1/messages")
            equal((found, json.loads(text)["type"]), (status, "error"), kind + " in Anthropic's shape")
            state = sim.sim(log=True)
            equal(state["by_status"], {str(status): 3}, kind)
            equal(state["log"][0]["fault"], kind)
        sim.fault("529")
        equal(json.loads(sim.ask("/v1/messages")[2])["error"]["type"], "overloaded_error")
        equal(sim.ask("/v1/models", method="GET")[0], 529, "the list of models fails too")


@test
def waits_in_every_format():
    with Sim() as sim:
        def ask(spec):
            sim.fault(spec)
            status, headers, text = sim.ask()
            equal(status, int(spec[:3]), "status")
            return headers, json.loads(text)["error"]
        equal(ask("429/retry-after=2")[0]["retry-after"], "2")
        equal(ask("429/retry-after=1.5")[0]["retry-after"], "1.5")
        equal(ask("503/retry-after=7")[0]["retry-after"], "7")
        equal(ask("429/retry-after-ms=494")[0]["retry-after-ms"], "494")
        equal(ask("429/x-ms-retry-after-ms=494")[0]["x-ms-retry-after-ms"], "494")
        equal(ask("429/body=1.2")[1]["retry_after"], 1.2)
        equal(ask("429/message=6m0.5s")[1]["message"].split(" Please ")[-1], "try again in 6m0.5s.")
        equal(ask("429/azure=37")[1]["message"].split(" Please ")[-1], "retry after 37 seconds.")
        equal(ask("429/gemini=46.3s")[1]["details"][0]["retryDelay"], "46.3s")
        headers = ask("429/reset=1m0s")[0]
        equal((headers["x-ratelimit-remaining-requests"], headers["x-ratelimit-reset-requests"]), ("0", "1m0s"))
        headers = ask("429/epoch=30")[0]
        now = http_date(headers["date"])
        assert now + 29 <= int(headers["x-ratelimit-reset"]) <= now + 31, headers
        headers = ask("429/date=30")[0]
        now = http_date(headers["date"])
        assert now + 29 <= http_date(headers["retry-after"]) <= now + 31, headers
        headers = ask("429/anthropic=30")[0]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", headers["anthropic-ratelimit-requests-reset"]), headers
        headers, error = ask("429/retry-after=2/body=1.5")
        equal((headers["retry-after"], error["retry_after"]), ("2", 1.5), "two at once")


@test
def bodies_of_other_providers():
    with Sim() as sim:
        def ask(spec):
            sim.fault(spec)
            status, _, text = sim.ask()
            equal(status, 429, "status")
            return json.loads(text)
        equal(ask("429/as=gemini/gemini=47s")["error"],
              {"code": 429, "message": "Rate limit reached. Please slow down.", "status": "RESOURCE_EXHAUSTED",
               "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "47s"}]})
        azure = ask("429/as=azure/azure=37")["error"]
        equal((azure["code"], azure["message"][-31:]), ("429", " Please retry after 37 seconds."))
        equal(ask("429/as=mistral")["code"], "1300")
        equal(list(ask("429/as=bare/message=1s")), ["message"])
        equal(ask("429/as=openrouter")["error"]["code"], 429)
        equal(ask("429/as=anthropic")["error"]["type"], "rate_limit_error")
        holysheep = ask("429/as=holysheep/body=1.2")["error"]
        equal((holysheep["type"], holysheep["retry_after"]), ("rate_limit", 1.2))
        status, answer = sim.sim('{"faults": ["503/as=gemini"]}')
        equal(status, 400, "only a 429 has other bodies")
        equal(sim.sim('{"faults": ["429/as=nobody"]}')[0], 400, "an unknown provider")


def http_date(text):
    return int(email.utils.parsedate_to_datetime(text).timestamp())


@test
def reset():
    with Sim("--fault", "reset") as sim:
        for stream in False, True:
            with sim.connect() as wire:
                wire.send(text=body(stream=stream))
                equal(wire.is_over(), "reset")
        state = sim.until(in_flight=0)
        equal((state["by_status"], state["aborted"]), ({}, 0), "counts")
        equal(sim.sim(log=True)["log"][0]["end"], "reset")


@test
def silence():
    with Sim("--fault", "silence") as sim:
        with sim.connect() as wire:
            wire.send(text=body())
            sim.until(in_flight=1)
            assert wire.is_quiet(sim)
        equal(sim.until(in_flight=0)["aborted"], 1, "aborted")
        equal(sim.sim(log=True)["log"][0]["end"], "aborted")


@test
def slow_first():
    with Sim("--fault", "slow-first=150ms", "--tokens", "2") as sim:
        for stream in False, True:
            begun = time.monotonic()
            text = sim.ask(stream=stream)[2]
            assert time.monotonic() - begun >= 0.15, "it came too early"
            equal(said(text) if stream else content(text), words(2))


@test
def slow_body():
    with Sim("--fault", "slow-body=100ms", "--tokens", "5") as sim:
        for stream in False, True:
            with sim.connect() as wire:
                wire.send(text=body(stream=stream))
                begun = time.monotonic()
                text = wire.answer()[2]
                assert time.monotonic() - begun >= 0.05, "it came too fast"
                equal(said(text) if stream else content(text), words(5))


@test
def stall():
    with Sim("--fault", "stall@3", "--tokens", "9") as sim:
        with sim.connect() as wire:
            wire.send(text=body(stream=True))
            wire.head()
            equal(said(wire.chunk().decode()), words(3))
            assert wire.is_quiet(sim)
            equal(sim.sim()["in_flight"], 1, "in flight")
        sim.until(in_flight=0, aborted=1)
        with sim.connect() as wire:
            wire.send(text=body())
            length = int(wire.head()[1]["content-length"])
            got = wire.until(b"word03 ")
            assert wire.is_quiet(sim) and not wire.input and len(got) < length


@test
def cut():
    with Sim("--fault", "cut@3", "--tokens", "9") as sim:
        with sim.connect() as wire:
            wire.send(text=body(stream=True))
            wire.head()
            equal(said(wire.chunk().decode()), words(3))
            equal(wire.is_over(), "closed")
        with sim.connect() as wire:
            wire.send(text=body())
            length = int(wire.head()[1]["content-length"])
            got = wire.rest()
            assert got.endswith(b"word03 ") and len(got) < length, got
        sim.fault("cut@99")
        with sim.connect() as wire:
            wire.send(text=body(stream=True))
            wire.head()
            text = wire.chunk().decode()
            equal((said(text), "stop" in text), (words(9), False), "cut after the last token")
            equal(wire.is_over(), "closed")
        equal(sim.until(in_flight=0)["aborted"], 0, "aborted")
        equal(sim.sim(log=True)["log"][-1]["end"], "cut")


@test
def bad_event():
    with Sim("--fault", "bad-event@3", "--tokens", "9") as sim:
        for path in "/v1/chat/completions", "/v1/completions":
            text = sim.ask(path, stream=True)[2]
            bad = []
            for at, (_, data) in enumerate(events(text)[:-1]):
                try:
                    json.loads(data)
                except ValueError:
                    bad.append(at)
            equal(bad, [4 if "chat" in path else 3], "malformed events")
            equal(said(text), words(9), "the text around it")
            equal(events(text)[-1][1], "[DONE]")
        try:
            json.loads(sim.ask()[2])
            assert False, "the whole answer is well-formed"
        except ValueError:
            pass


@test
def no_done():
    with Sim("--fault", "no-done", "--tokens", "3") as sim, sim.connect() as wire:
        for _ in range(2):
            wire.send(text=body(stream=True))
            text = wire.answer()[2]
            assert "[DONE]" not in text and said(text) == words(3) and '"stop"' in text, text


@test
def error_in_200():
    with Sim("--fault", "error-in-200", "--tokens", "3") as sim:
        status, _, text = sim.ask()
        equal((status, json.loads(text)["error"]["code"]), (200, "server_error"))
        text = sim.ask(stream=True)[2]
        assert "error" in json.loads(events(text)[0][1]), text
        sim.fault("error-in-200@2")
        text = sim.ask(stream=True)[2]
        equal(said(text), words(2))
        assert "error" in json.loads(events(text)[3][1]), text
        found = events(sim.ask("/v1/messages", stream=True)[2])
        equal((found[-1][0], json.loads(found[-1][1])["error"]["type"]), ("error", "overloaded_error"))
        found = events(sim.ask("/v1/responses", stream=True)[2])
        equal((found[-1][0], json.loads(found[-1][1])["code"]), ("error", "server_error"))
        sim.fault("quota-in-200")
        equal(json.loads(sim.ask()[2])["error"]["type"], "tokens_limit_exceeded")


@test
def empty():
    with Sim("--fault", "empty") as sim:
        document = json.loads(sim.ask()[2])
        equal((document["choices"][0]["message"]["content"], document["choices"][0]["finish_reason"]), ("", "stop"))
        text = sim.ask(stream=True)[2]
        equal((said(text), events(text)[-1][1]), ("", "[DONE]"))
        equal(json.loads(sim.ask("/v1/messages")[2])["content"], [])


@test
def close_idle():
    with Sim("--fault", "close-idle#1", "--tokens", "2") as sim:
        with sim.connect() as wire:
            wire.send(text=body())
            equal(content(wire.answer()[2]), words(2), "the first request on a connection")
            wire.send(text=body())
            assert wire.is_over() in ("closed", "reset")
        with sim.connect() as wire:
            for _ in range(2):
                wire.send(text=body())
                equal(content(wire.answer()[2]), words(2), "once was enough")
        state = sim.until(in_flight=0)
        equal((state["requests"], state["by_status"]), (4, {"200": 3}), "counts")


@test
def fault_schedules():
    with Sim() as sim:
        sim.fault("503#3")
        equal([sim.ask()[0] for _ in range(5)], [503, 503, 503, 200, 200])
        sim.fault("503#1", "500#2")
        equal([sim.ask()[0] for _ in range(4)], [503, 500, 500, 200], "two in a row")
        sim.fault("503@1h..2h", "500@..1h#1", "429@0s..")
        equal([sim.ask()[0] for _ in range(3)], [500, 429, 429], "windows")
        sim.fault("503/model=m1", "500/on=embeddings")
        equal([sim.ask(model="m1")[0], sim.ask(model="m2")[0], sim.ask("/v1/embeddings", model="m2")[0]],
              [503, 200, 500], "narrowed")
        sim.fault("503/on=post")
        equal([sim.ask()[0], sim.ask("/v1/models", method="GET")[0]], [503, 200], "all but the models")
        sim.fault("503@0ms..100ms")
        begun = time.monotonic()
        while sim.ask()[0] == 503:
            assert time.monotonic() - begun < PATIENCE
        assert time.monotonic() - begun >= 0.08, "the window ended too early"


@test
def probability_repeats_with_its_seed():
    def run(seed):
        with Sim("--fault", "503:30%", "--seed", str(seed), "--tokens", "1") as sim, sim.connect() as wire:
            statuses = []
            for _ in range(300):
                wire.send(text=body())
                statuses.append(wire.answer()[0])
            sim.sim({"reset": True})
            again = []
            for _ in range(50):
                wire.send(text=body())
                again.append(wire.answer()[0])
            equal(again, statuses[:50], "the sequence after a reset")
            return statuses
    first = run(7)
    equal(run(7), first, "the same seed's failures")
    assert run(8) != first
    assert 60 <= first.count(503) <= 120, "%d of 300 at 30%%" % first.count(503)
