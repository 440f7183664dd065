"""The streaming APIs from both sides: what a client was told, whatever the dialect, and the events that tell it.

`said(response)` reads an answer of any of the APIs. `Chat`, `Completions`, `Responses` and `Messages` each make the
events of a streamed answer for a scripted upstream, and know how a client asks. Everything that a real provider makes
up (ids, times) is derived from the `id` given, so that a test sees whose they are.
"""

import json

from upstream import DONE, sse

TEXT_END = {"stop": "end_turn", "tool_calls": "tool_use"}


class Said:
    """What an answer said. `texts` by choice; `tools` by (choice, index): [id, name, arguments]; `finish` by choice."""

    def __init__(self):
        self.texts, self.tools, self.finish = {}, {}, {}
        self.ids, self.models, self.created = set(), set(), set()
        self.numbers = []  # sequence numbers of /v1/responses
        self.errors, self.ends = [], 0

    @property
    def text(self):
        """The first choice's text; halves of a surrogate pair that came in two events become the character."""
        return whole_characters(self.texts.get(0, ""))

    def add(self, choice, text):
        if text:
            self.texts[choice] = self.texts.get(choice, "") + text

    def tool(self, key, id=None, name=None, arguments=None):
        tool = self.tools.setdefault(key, [None, "", ""])
        assert not (id and tool[0] and id != tool[0]), "two ids for one tool call: %r and %r" % (tool[0], id)
        tool[0] = id or tool[0]
        tool[1] += name or ""
        tool[2] += arguments or ""


def whole_characters(text):
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def said(response):
    """The `Said` of an answer, streamed or not. An event that is no JSON is a failure of the test."""
    found = Said()
    if not response.header("content-type", "").startswith("text/event-stream"):
        read_whole(found, response.json)
        return found
    for event in response.events:
        if event == "[DONE]":
            found.ends += 1
            continue
        try:
            read_event(found, json.loads(event))
        except ValueError:
            raise AssertionError("an event that is no JSON: %r" % event) from None
    return found


def read_event(found, event):
    kind = event.get("type") or ""
    if event.get("error") or kind == "error":
        found.errors.append(event.get("error") or event)
    elif kind.startswith("response."):
        read_response(found, kind, event)
    elif kind:
        read_message(found, kind, event)
    else:
        read_chunk(found, event)


def read_chunk(found, event):
    for key, seen in (("id", found.ids), ("model", found.models), ("created", found.created)):
        if key in event:
            seen.add(event[key])
    for choice in event.get("choices") or []:
        at, delta = choice.get("index", 0), choice.get("delta") or {}
        found.add(at, choice.get("text") or delta.get("content"))
        for call in delta.get("tool_calls") or []:
            function = call.get("function") or {}
            found.tool((at, call["index"]), call.get("id"), function.get("name"), function.get("arguments"))
        if choice.get("finish_reason"):
            assert at not in found.finish, "choice %d finishes twice" % at
            found.finish[at] = choice["finish_reason"]


def read_message(found, kind, event):
    delta = event.get("delta") or {}
    if kind == "message_start":
        found.ids.add(event["message"]["id"])
        found.models.add(event["message"]["model"])
    elif kind == "content_block_start" and event["content_block"]["type"] == "tool_use":
        block = event["content_block"]
        found.tool((0, event["index"]), block["id"], block["name"])
    elif kind == "content_block_delta" and delta.get("type") == "input_json_delta":
        found.tool((0, event["index"]), arguments=delta["partial_json"])
    elif kind == "content_block_delta":
        found.add(0, delta.get("text"))
    elif kind == "message_delta" and delta.get("stop_reason"):
        assert not found.finish, "the message stops twice"
        found.finish[0] = delta["stop_reason"]
    elif kind == "message_stop":
        found.ends += 1


def read_response(found, kind, event):
    if "sequence_number" in event:
        found.numbers.append(event["sequence_number"])
    if "item_id" in event:
        found.ids.add(event["item_id"])
    if "response" in event:
        found.ids.add(event["response"]["id"])
        found.models.add(event["response"]["model"])
    if kind == "response.output_text.delta":
        found.add(0, event["delta"])
    elif kind in ("response.completed", "response.incomplete"):
        found.ends += 1
        found.finish[0] = event["response"]["status"]
        found.whole = "".join(part["text"] for item in event["response"]["output"] for part in item["content"])


def read_whole(found, value):
    if "choices" in value:
        for choice in value["choices"]:
            found.add(choice["index"], choice.get("text") or choice["message"].get("content"))
            found.finish[choice["index"]] = choice["finish_reason"]
    elif value.get("type") == "message":
        found.add(0, "".join(block.get("text", "") for block in value["content"]))
        found.finish[0] = value["stop_reason"]
    elif value.get("object") == "response":
        found.add(0, "".join(part["text"] for item in value["output"] for part in item["content"]))
        found.finish[0] = value["status"]
    found.ends = 1
    found.ids.add(value.get("id"))


def brief(response):
    """Enough of an answer for a failure's report."""
    return "status %s, end %s, from %s, attempts %s, %d bytes ending %r" % (
        response.status, response.end, response.endpoint, response.attempts, len(response.body),
        bytes(response.body[-300:]))


def told(response, text, endpoint=None):
    """A whole 200 that says exactly this, streamed or not, and ends once as its dialect does; its `Said` back."""
    assert response.status == 200 and response.whole, "not a whole 200: %s" % brief(response)
    found = said(response)
    assert not found.errors, "an error in an answer: %s" % brief(response)
    assert found.text == text, "expected the text %r, got %r: %s" % (text, found.text, brief(response))
    assert found.ends == 1, "the answer ends %d times: %s" % (found.ends, brief(response))
    assert found.finish, "no finish reason: %s" % brief(response)
    if response.header("content-type", "").startswith("text/event-stream"):
        last = response.events[-1]
        assert last == "[DONE]" or json.loads(last)["type"] in ("message_stop", "response.completed"), \
            "something follows the end: %s" % brief(response)
    if endpoint:
        assert response.endpoint == endpoint, "expected an answer of %r: %s" % (endpoint, brief(response))
    return found


def broken(response, start=None, dialect=None):
    """A stream that the client knows to be incomplete: one error event in its dialect, the last one, and no end.

    `start` is a text that what was said has to be the beginning of, or a list of texts, one of which it has to be."""
    assert response.status == 200 and response.end not in (None, "timeout", "bad"), "no end: %s" % brief(response)
    found = said(response)
    assert found.ends == 0, "half an answer ends as a whole one does: %s" % brief(response)
    assert len(found.errors) == 1, "%d error events: %s" % (len(found.errors), brief(response))
    last = json.loads(response.events[-1])
    assert last.get("error") or last.get("type") == "error", "not the last event: %s" % brief(response)
    for key in ("message", "type", "code"):
        assert found.errors[0].get(key), "the error event has no %r: %s" % (key, brief(response))
    if dialect == "messages":
        assert last.get("type") == "error" and b"event: error\n" in response.body, \
            "not in the dialect: %s" % brief(response)
    if isinstance(start, str):
        assert start.startswith(found.text), "the text before the error: %r" % found.text
    elif start:
        assert found.text in start, "expected one of %r before the error, got %r" % (start, found.text)
    return found


class Chat:
    name, path = "chat", "/v1/chat/completions"

    @staticmethod
    def ask(gw, stream=True, **keys):
        return gw.call(stream=stream, path=Chat.path, **keys)

    @staticmethod
    def event(id, delta, choice=0, finish=None, escape=True):
        created = 1700000000 + sum(id.encode())
        value = {"id": "chatcmpl-" + id, "object": "chat.completion.chunk", "created": created,
                 "model": "model-of-" + id, "system_fingerprint": "fp_" + id,
                 "choices": [{"index": choice, "delta": delta, "logprobs": None, "finish_reason": finish}]}
        return sse(json.dumps(value, ensure_ascii=escape).encode("utf-8", "surrogatepass"))

    @classmethod
    def events(cls, pieces, id="a", tools=(), escape=True, choices=1, finish=None):
        """A role, the pieces (one event each, for every choice in turn), the tool calls, a finish, [DONE].

        `tools` are (name, [pieces of the arguments])."""
        found = [cls.event(id, {"role": "assistant", "content": ""}, n) for n in range(choices)]
        for piece in pieces:
            found += [cls.event(id, {"content": piece}, n, escape=escape) for n in range(choices)]
        for index, (name, arguments) in enumerate(tools):
            call = {"index": index, "id": "call_%s%d" % (id, index), "type": "function",
                    "function": {"name": name, "arguments": ""}}
            found.append(cls.event(id, {"tool_calls": [call]}))
            found += [cls.event(id, {"tool_calls": [{"index": index, "function": {"arguments": piece}}]},
                                escape=escape) for piece in arguments]
        finish = finish or ("tool_calls" if tools else "stop")
        return found + [cls.event(id, {}, n, finish) for n in range(choices)] + [DONE]


class Completions:
    name, path = "completions", "/v1/completions"

    @staticmethod
    def ask(gw, stream=True, **keys):
        return gw.call(stream=stream, path=Completions.path, prompt="Tell me a story.", **keys)

    @staticmethod
    def events(pieces, id="a", escape=True):
        def event(text, finish=None):
            value = {"id": "cmpl-" + id, "object": "text_completion", "created": 1700000000 + sum(id.encode()),
                     "model": "model-of-" + id,
                     "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}]}
            return sse(json.dumps(value, ensure_ascii=escape).encode())
        return [event(piece) for piece in pieces] + [event("", "stop"), DONE]


class Messages:
    name, path = "messages", "/v1/messages"

    @staticmethod
    def ask(gw, stream=True, **keys):
        return gw.call(stream=stream, path=Messages.path, max_tokens=4096, **keys)

    @staticmethod
    def event(kind, escape=True, **members):
        data = json.dumps({"type": kind, **members}, ensure_ascii=escape).encode()
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)

    @classmethod
    def events(cls, pieces, id="a", tools=(), escape=True):
        """A message of one text block, then one block for each tool: (name, [pieces of the input])."""
        event = cls.event
        message = {"id": "msg_" + id, "type": "message", "role": "assistant", "model": "model-of-" + id,
                   "content": [], "stop_reason": None, "stop_sequence": None,
                   "usage": {"input_tokens": 9, "output_tokens": 1}}
        found = [event("message_start", message=message)]
        blocks = [({"type": "text", "text": ""}, "text_delta", "text", pieces)] if pieces else []
        for number, (name, arguments) in enumerate(tools):
            block = {"type": "tool_use", "id": "toolu_%s%d" % (id, number), "name": name, "input": {}}
            blocks.append((block, "input_json_delta", "partial_json", arguments))
        for index, (block, kind, key, parts) in enumerate(blocks):
            found += [event("content_block_start", index=index, content_block=block), event("ping")]
            found += [event("content_block_delta", escape, index=index, delta={"type": kind, key: part})
                      for part in parts]
            found.append(event("content_block_stop", index=index))
        found.append(event("message_delta", delta={"stop_reason": "tool_use" if tools else "end_turn",
                                                   "stop_sequence": None}, usage={"output_tokens": 60}))
        return found + [event("message_stop")]


class Responses:
    name, path = "responses", "/v1/responses"

    @staticmethod
    def ask(gw, stream=True, **keys):
        return gw.call(stream=stream, path=Responses.path, input="Tell me a story.", **keys)

    @staticmethod
    def events(pieces, id="a", escape=True):
        text = "".join(pieces)
        item = {"type": "message", "id": "msg_" + id, "status": "in_progress", "role": "assistant", "content": []}
        part = {"type": "output_text", "annotations": [], "text": ""}
        place = {"item_id": "msg_" + id, "output_index": 0, "content_index": 0}
        full = {**part, "text": text}
        done = {**item, "status": "completed", "content": [full]}

        def state(status, output):
            return {"id": "resp_" + id, "object": "response", "created_at": 1700000000 + sum(id.encode()),
                    "status": status, "model": "model-of-" + id, "output": output, "usage": None}
        told_so_far = [("created", {"response": state("in_progress", [])}),
                       ("in_progress", {"response": state("in_progress", [])}),
                       ("output_item.added", {"output_index": 0, "item": item}),
                       ("content_part.added", {**place, "part": part})]
        told_so_far += [("output_text.delta", {**place, "delta": piece}) for piece in pieces]
        told_so_far += [("output_text.done", {**place, "text": text}), ("content_part.done", {**place, "part": full}),
                        ("output_item.done", {"output_index": 0, "item": done}),
                        ("completed", {"response": state("completed", [done])})]
        found = []
        for number, (kind, members) in enumerate(told_so_far):
            data = json.dumps({"type": "response." + kind, "sequence_number": number, **members}, ensure_ascii=escape)
            found.append(b"event: response.%s\ndata: %s\n\n" % (kind.encode(), data.encode()))
        return found


APIS = (Chat, Completions, Responses, Messages)
BOTH = ["openai", "anthropic"]  # `dialects:` of an endpoint that understands either
