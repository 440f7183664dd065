"""What an upstream says, and what has to come of it: the machinery under the tables of 20_signals.py.

A `Row` is one thing that an upstream says. For every row, in every dialect and streamed or not, there is an endpoint
of its own that says it, and behind it a second one that answers; so nothing has to be reset between rows, and all of
them share one gateway. A row is judged from three sides: what the client got, what the upstreams saw, and what the
shared region says of the endpoint afterwards.
"""

import collections
import json
import time

from harness import endpoint
from upstream import LAST, answer, chunked, sse, stream_head

# The clock of the simulated providers: a year off from anybody else's, because only theirs may count.
DATE = "Thu, 20 Nov 2025 12:00:00 GMT"
EPOCH = 1763640000
QUOTA, AUTH, RATE = 900, 60, 2  # the defaults: quota.default, a refused credential, cooldown.default; in seconds

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "responses": "/v1/responses"}

# cause and kind: of the one cooldown there is afterwards, or None; for `wait` seconds. counted: failures in a row and
# failures in the window of the pair's breaker. who: whose answer the client gets.
Outcome = collections.namedtuple("Outcome", "name cause kind wait counted who")


def rate(wait=None, named=True):
    """A limit of rate: this model on this endpoint cools; one that names no wait counts in its breaker's window."""
    counted = (0, 0) if named and wait else (0, 1)
    wait = RATE if wait is None else wait
    return Outcome("rate", "rate" if wait else None, "model", wait, counted, "second")


def quota(wait=QUOTA):
    """Money or quota is spent: the account cools, and no breaker hears of it."""
    return Outcome("quota", "quota", "account", wait, (0, 0), "second")


def model_quota(wait=QUOTA):
    """A quota that is of this model alone."""
    return Outcome("modelquota", "quota", "model", wait, (0, 0), "second")


def auth():
    return Outcome("auth", "auth", "endpoint", AUTH, (0, 0), "second")


def overload(wait=None):
    return Outcome("overload", "overload" if wait else None, "model", wait, (1, 1), "second")


def slow_down(wait=None):
    """An overload that is a matter of rate: nothing in a row."""
    return Outcome("slow_down", "overload" if wait else None, "model", wait, (0, 1), "second")


SERVER = Outcome("server", None, None, None, (1, 1), "second")
BACK = Outcome("back", None, None, None, (0, 0), "first")  # straight back, as the upstream said it
ANSWER = Outcome("answer", None, None, None, (0, 0), "first")


class Row:
    """`body` is JSON, or the bytes themselves; of a 200 to a streamed request it becomes an event, unless `events` says
    what comes instead. `only`: "whole" or "stream". A value that is callable is asked when it is sent."""

    def __init__(self, name, outcome, status, body=b"", headers=(), only=None, events=None, date=DATE,
                 dialects=("openai", "anthropic"), kind="application/json"):
        self.name, self.outcome, self.status, self.only, self.dialects = name, outcome, status, only, dialects
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = list(headers.items() if isinstance(headers, dict) else headers)
        self.headers += [("Date", date)] if date else []
        self.events, self.kind = events, kind

    def said(self, stream):
        headers = [(name, value() if callable(value) else value) for name, value in self.headers]
        if not stream or self.status != 200:
            return answer(self.status, self.body, headers, kind=self.kind)
        events = self.events if self.events is not None else sse(self.body)
        return stream_head(headers) + (chunked(events) if events else b"") + LAST


class Case:
    """A row in one dialect, streamed or not; `key` names its endpoint, its model and its place upstream."""

    def __init__(self, number, row, dialect, stream):
        self.key = "r%d-%s-%s" % (number, dialect, "stream" if stream else "whole")
        self.row, self.dialect, self.stream = row, dialect, stream

    def __str__(self):
        return "%s (%s, %s)" % (self.row.name, self.dialect, "streamed" if self.stream else "whole")


def cases_of(rows):
    return [Case(number, row, dialect, stream) for number, row in enumerate(rows) for dialect in row.dialects
            for stream in (False, True) if row.only in (None, "stream" if stream else "whole")]


# What the second endpoint answers, in each dialect.

TEXT = "The second endpoint says hello."


def event(name, **members):
    return b"event: %s\n" % name.encode() + sse({"type": name, **members})


def choice(**members):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{"index": 0, **members}]}


WHOLE = {
    "openai": {"id": "chatcmpl-1", "object": "chat.completion",
               "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
               "usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}},
    "anthropic": {"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "text", "text": TEXT}],
                  "stop_reason": "end_turn", "usage": {"input_tokens": 5, "output_tokens": 6}},
    "responses": {"id": "resp_1", "object": "response", "status": "completed",
                  "output": [{"type": "message", "content": [{"type": "output_text", "text": TEXT}]}]},
}
STREAM = {
    "openai": sse(choice(delta={"role": "assistant", "content": ""}, finish_reason=None)) +
    sse(choice(delta={"content": TEXT}, finish_reason=None)) + sse(choice(delta={}, finish_reason="stop")) +
    b"data: [DONE]\n\n",
    "anthropic": event("message_start", message={"id": "msg_1", "content": [], "usage": {"input_tokens": 5}}) +
    event("content_block_start", index=0, content_block={"type": "text", "text": ""}) +
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": TEXT}) +
    event("content_block_stop", index=0) +
    event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 6}) + event("message_stop"),
    "responses": event("response.created", response={"id": "resp_1"}) +
    event("response.output_text.delta", delta=TEXT) +
    event("response.completed", response={"id": "resp_1", "usage": {"input_tokens": 5, "output_tokens": 6}}),
}


def good(dialect, stream):
    """The bytes of a whole answer's body."""
    return STREAM[dialect] if stream else json.dumps(WHOLE[dialect]).encode()


def answering(request, _):
    """The script of an endpoint to which nothing ever happens."""
    dialect = next(name for name, path in PATHS.items() if request.target.split("?")[0].endswith(path))
    if request.json.get("stream"):
        return stream_head() + chunked(good(dialect, True)) + LAST
    return answer(200, good(dialect, False))


class Stage:
    """The gateway and its upstreams for a list of rows."""

    def __init__(self, t, rows, **keys):
        self.cases = cases_of(rows)
        said = {case.key: case for case in self.cases}
        self.first = t.upstream(lambda request, _: self.say(said[request.target.split("/")[1]]))
        self.second = t.upstream(answering)
        both = {"dialects": ["openai", "anthropic"]}
        endpoints = [endpoint(case.key, "unix:%s:/%s/v1" % (self.first.where, case.key), **both, **keys)
                     for case in self.cases]
        endpoints.append(endpoint("second", self.second, priority=2, **both))
        self.gw = t.gateway(endpoints, models={case.key: {"endpoints": [case.key, "second"]} for case in self.cases})

    @staticmethod
    def say(case):
        return case.row.said(case.stream)

    def seen(self, key):
        """The requests that this endpoint saw."""
        with self.first.lock:
            return [request for request in self.first.requests if request.target.split("/")[1] == key]

    def ask(self, case):
        more = {"max_tokens": 100} if case.dialect == "anthropic" else {}
        return self.gw.ask(case.key, stream=case.stream, path=PATHS[case.dialect], timeout=8, **more)


def same(problems, got, want, what):
    if got != want:
        problems.append("%s: expected %r, got %r" % (what, want, got))


def judge_client(problems, case, response, again=False):
    """What the client got, whole and in time; `again`: the second time, when the first endpoint cools."""
    outcome, row = case.row.outcome, case.row
    second = outcome.who == "second"
    body = good(case.dialect, case.stream) if second else row.body
    if not second and case.stream and row.status == 200:
        body = row.events if row.events is not None else sse(row.body)
    same(problems, response.whole, True, "a whole answer, end %s" % response.end)
    same(problems, response.status, 200 if second else row.status, "status")
    same(problems, bytes(response.body), body, "body")
    same(problems, response.endpoint, "second" if second else case.key, "X-Gateway-Endpoint")
    same(problems, response.attempts, "2" if second and not again else "1", "X-Gateway-Attempts")
    return problems


def judge_region(problems, stage, case, began):
    """What the shared region says: one cooldown of the right domain for the right time, or none; and the breakers."""
    outcome = case.row.outcome
    listed = [row for row in stage.gw.order("cooldown", "list").json["cooldowns"]
              if row["name"].split("/")[0] == case.key]
    passed = (time.monotonic() - began) * 1000
    wait = (outcome.wait or 0) * 1000
    kinds = [(row["kind"], row["cause"]) for row in listed]
    if outcome.cause and (kinds or wait > passed):  # a short one may be over already, on a busy machine
        same(problems, kinds, [(outcome.kind, outcome.cause)], "cooldowns")
        left = listed[0]["until_ms"] if listed else -1
        if not wait - passed - 2 <= left <= wait:
            problems.append("cools for %d ms, %d after it was told to for %d" % (left, passed, wait))
    elif not outcome.cause:
        same(problems, kinds, [], "cooldowns")
    breakers = {row["name"]: row for row in stage.gw.order("breaker", "show", case.key).json["breakers"]}
    pair, own = breakers["%s/%s" % (case.key, case.key)], breakers[case.key]
    same(problems, (pair["failures"], pair["window"]["failed"]), outcome.counted, "the pair's failures")
    same(problems, (own["failures"], own["window"]["failed"]), (0, 0), "the endpoint's own failures")
    return bool(listed)


def judge(stage, case):
    problems, began = [], time.monotonic()
    before = stage.second.count
    judge_client(problems, case, stage.ask(case))
    second = case.row.outcome.who == "second"
    same(problems, (len(stage.seen(case.key)), stage.second.count - before), (1, 1 if second else 0), "tries upstream")
    cools = judge_region(problems, stage, case, began)
    if case.row.outcome.wait and case.row.outcome.wait >= 10:
        judge_client(problems, case, stage.ask(case), again=True)
        same(problems, len(stage.seen(case.key)), 1, "tries of the endpoint, which cools")
    elif not cools:
        judge_client(problems, case, stage.ask(case))
        same(problems, len(stage.seen(case.key)), 2, "tries of the endpoint, which does not cool")
    return ["%s: %s" % (case, problem) for problem in problems]


def play(t, rows, **keys):
    """Every row in every way it may arrive; whatever is not as it should be, all in one go."""
    stage = Stage(t, rows, **keys)
    wrong = [problem for case in stage.cases for problem in judge(stage, case)]
    assert not wrong, "\n".join(wrong)
    return stage
