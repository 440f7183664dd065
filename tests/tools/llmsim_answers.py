"""What llmsim answers on each path when nothing goes wrong."""

import json

from llmsim_support import Sim, body, equal, events, said, test, words


# What it answers


@test
def chat_whole():
    with Sim("--name", "north") as sim:
        text = body()
        status, headers, answer = sim.ask(text=text)
        equal(status, 200, "status")
        equal(headers["content-type"], "application/json")
        equal(headers["x-sim-name"], "north")
        document = json.loads(answer)
        equal(document["object"], "chat.completion")
        equal(document["model"], "gpt-4.1")
        choice = document["choices"][0]
        equal((choice["message"]["role"], choice["message"]["content"]), ("assistant", words(60)), "message")
        equal(choice["finish_reason"], "stop")
        prompt = len(text) // 4
        equal(document["usage"],
              {"prompt_tokens": prompt, "completion_tokens": 60, "total_tokens": prompt + 60}, "usage")
        assert not [name for name in headers if "ratelimit" in name], headers


@test
def chat_stream():
    with Sim("--tokens", "101") as sim:
        status, headers, answer = sim.ask(stream=True)
        equal(status, 200, "status")
        equal(headers["content-type"].split(";")[0], "text/event-stream")
        all_data = [data for _, data in events(answer)]
        equal(len(all_data), 1 + 101 + 1 + 1, "events")
        first, last = json.loads(all_data[0]), json.loads(all_data[-2])
        equal(first["choices"][0]["delta"]["role"], "assistant")
        equal(first["object"], "chat.completion.chunk")
        equal(json.loads(all_data[1])["choices"][0]["delta"], {"content": "word01 "})
        equal(json.loads(all_data[101])["choices"][0]["delta"], {"content": "word101 "})
        equal((last["choices"][0]["delta"], last["choices"][0]["finish_reason"]), ({}, "stop"), "end")
        equal(all_data[-1], "[DONE]")
        equal(said(answer), words(101))
        assert "usage" not in answer


@test
def chat_stream_with_usage():
    with Sim("--tokens", "4") as sim:
        text = body(stream=True, stream_options={"include_usage": True})
        all_data = [data for _, data in events(sim.ask(text=text)[2])]
        usage = json.loads(all_data[-2])
        equal(usage["choices"], [])
        equal(usage["usage"]["completion_tokens"], 4)
        equal(usage["usage"]["prompt_tokens"], len(text) // 4)
        assert all(json.loads(data)["usage"] is None for data in all_data[:-2]), all_data


@test
def limit_of_the_caller():
    with Sim() as sim:
        for name in "max_tokens", "max_completion_tokens":
            document = json.loads(sim.ask(**{name: 3})[2])
            equal(document["choices"][0]["message"]["content"], words(3))
            equal(document["choices"][0]["finish_reason"], "length")
            equal(document["usage"]["completion_tokens"], 3)
        answer = sim.ask(stream=True, max_tokens=2)[2]
        equal(said(answer), words(2))
        equal(json.loads(events(answer)[-2][1])["choices"][0]["finish_reason"], "length")


@test
def completions():
    with Sim("--tokens", "5") as sim:
        document = json.loads(sim.ask("/v1/completions")[2])
        equal((document["object"], document["choices"][0]["text"]), ("text_completion", words(5)), "answer")
        answer = sim.ask("/v1/completions", stream=True)[2]
        equal(said(answer), words(5))
        equal(events(answer)[-1][1], "[DONE]")


@test
def responses():
    with Sim("--tokens", "5") as sim:
        document = json.loads(sim.ask("/v1/responses")[2])
        equal((document["object"], document["status"]), ("response", "completed"), "answer")
        equal(document["output"][0]["content"][0]["text"], words(5))
        equal(document["usage"]["output_tokens"], 5)
        found = [(name, json.loads(data)) for name, data in events(sim.ask("/v1/responses", stream=True)[2])]
        equal([data["sequence_number"] for _, data in found], list(range(len(found))), "sequence")
        assert all(name == data["type"] for name, data in found), found
        equal((found[0][0], found[-1][0]), ("response.created", "response.completed"), "ends")
        equal("".join(data["delta"] for name, data in found if name == "response.output_text.delta"), words(5))
        equal(found[-1][1]["response"]["output"][0]["content"][0]["text"], words(5))
        document = json.loads(sim.ask("/v1/responses", max_output_tokens=2)[2])
        equal((document["status"], document["incomplete_details"]), ("incomplete", {"reason": "max_output_tokens"}))


@test
def messages():
    with Sim("--tokens", "5") as sim:
        document = json.loads(sim.ask("/v1/messages", max_tokens=100)[2])
        equal((document["type"], document["role"], document["stop_reason"]), ("message", "assistant", "end_turn"))
        equal(document["content"], [{"type": "text", "text": words(5)}])
        equal(document["usage"]["output_tokens"], 5)
        answer = sim.ask("/v1/messages", stream=True, max_tokens=9)[2]
        found = [(name, json.loads(data)) for name, data in events(answer)]
        assert all(name == data["type"] for name, data in found), found
        equal([name for name, _ in found if name != "content_block_delta"],
              ["message_start", "content_block_start", "ping", "content_block_stop", "message_delta", "message_stop"])
        equal("".join(data["delta"]["text"] for name, data in found if name == "content_block_delta"), words(5))
        equal(found[-2][1]["usage"]["output_tokens"], 5)
        status, _, text = sim.ask("/v1/messages", text="{}")
        equal((status, json.loads(text)["type"], json.loads(text)["error"]["type"]),
              (400, "error", "invalid_request_error"), "an error in Anthropic's shape")


@test
def embeddings_and_moderations():
    with Sim() as sim:
        document = json.loads(sim.ask("/v1/embeddings", input=["a", "b", "c"])[2])
        equal([row["index"] for row in document["data"]], [0, 1, 2])
        equal([len(row["embedding"]) for row in document["data"]], [8, 8, 8])
        equal(document["usage"]["prompt_tokens"], document["usage"]["total_tokens"])
        document = json.loads(sim.ask("/v1/embeddings", input=[1, 2, 3], dimensions=1536)[2])
        equal([len(row["embedding"]) for row in document["data"]], [1536], "one list of tokens is one input")
        document = json.loads(sim.ask("/v1/moderations", input=["a", "b"])[2])
        equal([row["flagged"] for row in document["results"]], [False, False])


@test
def models():
    with Sim() as sim:
        document = json.loads(sim.ask("/v1/models", method="GET")[2])
        assert document["object"] == "list" and document["data"][0]["object"] == "model", document
        document = json.loads(sim.ask("/v1/models/any/name-1", method="GET")[2])
        equal(document["id"], "any/name-1")


@test
def answer_bytes():
    with Sim("--answer-bytes", "10001") as sim:
        document = json.loads(sim.ask()[2])
        equal(document["choices"][0]["message"]["content"], words(2000)[:10001])
        equal(said(sim.ask(stream=True)[2]), words(60), "a stream")


@test
def model_is_echoed_as_it_was_written():
    with Sim("--tokens", "1") as sim:
        answer = sim.ask(text='{"messages":[],"model":"a\\"b\\u00e9/c"}')[2]
        equal(json.loads(answer)["model"], 'a"b\u00e9/c')
        equal(sim.sim(log=True)["log"][0]["model"], 'a"b\u00e9/c')


@test
def refusals():
    with Sim() as sim:
        for path, text, method, status, word in (
                ("/v1/nothing", body(), "POST", 404, "Invalid URL"),
                ("/v1/chat/completions", "", "GET", 405, "POST"),
                ("/v1/models", body(), "POST", 405, "GET"),
                ("/v1/chat/completions", "{", "POST", 400, "JSON"),
                ("/v1/chat/completions", '{"messages":[]}', "POST", 400, "model"),
                ("/v1/chat/completions", '{"model":"m"}', "POST", 400, "messages"),
                ("/v1/embeddings", '{"model":"m"}', "POST", 400, "input")):
            found, _, answer = sim.ask(path, text=text, method=method)
            equal(found, status, "status of %s %s %s" % (method, path, text))
            error = json.loads(answer)["error"]
            assert word in error["message"] and error["type"] == "invalid_request_error", answer
        equal(sim.sim()["by_status"], {"404": 1, "405": 2, "400": 4}, "by status")
