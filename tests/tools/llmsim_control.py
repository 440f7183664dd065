"""The remote control of llmsim, and what it counts; then the program as its caller sees it."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

from llmsim_support import LLMSIM, PATIENCE, Sim, body, content, equal, run, test, words


# The control, and what it counts


@test
def log_of_requests():
    with Sim("--tokens", "2") as sim:
        key = "sk-abcdefghijklmnop"
        with sim.connect() as wire:
            wire.send(text=body(stream=True), headers={"Authorization": "Bearer " + key, "X-Team": "a\"b"})
            wire.answer()
            wire.send("/v1/messages?beta=1", text=body(), headers={"x-api-key": key})
            wire.answer()
        sim.ask("/v1/models", method="GET")
        state = sim.sim(log=True)
        first, second, third = state["log"]
        assert key not in json.dumps(state)
        equal([first[key] for key in ("n", "method", "path", "model", "stream", "status", "end")],
              [1, "POST", "/v1/chat/completions", "gpt-4.1", True, 200, "complete"])
        equal((first["authorization"], first["fault"]), ("Bearer sk-abcde", None))
        equal((first["headers"]["x-team"], first["headers"]["authorization"]), ('a"b', "Bearer sk-abcde"))
        equal(first["body"], body(stream=True))
        equal((second["path"], second["headers"]["x-api-key"], second["stream"]), ("/v1/messages", "sk-abcde", False))
        equal((first["connection"], second["connection"], third["connection"]), (1, 1, third["connection"]))
        assert third["connection"] != 1 and abs(first["time_ms"] - time.time() * 1000) < 3600000, state
        equal(state["by_path"], {"/v1/chat/completions": 1, "/v1/messages": 1, "/v1/models": 1}, "by path")
        assert "log" not in sim.sim()


@test
def log_is_a_ring():
    with Sim("--tokens", "1") as sim, sim.connect() as wire:
        for i in range(1100):
            wire.send(text=body(model="m%d" % i))
            wire.answer()
        log = sim.sim(log=True)["log"]
        equal([row["model"] for row in log], ["m%d" % i for i in range(100, 1100)], "the last thousand")
    with Sim("--no-log", "--tokens", "1") as sim:
        sim.ask()
        state = sim.sim(log=True)
        equal((state["log"], state["requests"]), ([], 1), "without a log")


@test
def record_of_every_request():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "record")
        with Sim("--tokens", "1", "--record", path, "--rpm", "3", "--fault", "503#1", "--fault", "cut@0#1") as sim:
            with sim.connect() as wire:
                for name in ("one", "t\"wo"):
                    wire.send(text=body(model="m\"m"), headers={"X-Request-Id": name})
                    wire.answer() if name == "one" else wire.rest()
            for _ in range(4):
                sim.ask(stream=True)
            sim.ask("/v1/models/x", method="GET")
            state = sim.sim()
            with open(path) as file:
                rows = [json.loads(line) for line in file]
            equal(len(rows), state["requests"], "rows")
            equal([[row[key] for key in ("n", "id", "model", "stream", "status", "end", "fault", "reused")]
                   for row in rows[:3]],
                  [[1, "one", "m\"m", False, 503, "complete", "503#1", False],
                   [2, "t\"wo", "m\"m", False, 200, "cut", "cut@0#1", True],
                   [3, "", "gpt-4.1", True, 200, "complete", None, False]])
            equal([row["fault"] for row in rows], ["503#1", "cut@0#1", None, None, "limit", "limit", None])
            equal(rows[6]["model"], "x")
            for row in rows:
                assert 0 <= row["from_us"] <= row["to_us"] <= time.monotonic() * 1e6, row
    code, _, err = run("-l", "127.0.0.1:0", "--record", "/nonexistent/record")
    assert code == 1 and "/nonexistent/record" in err, (code, err)


@test
def log_of_odd_bytes():
    with Sim() as sim, sim.connect() as wire:
        wire.raw(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n"
                 b'{"model":"\xff","prompt":1}')
        equal(wire.head()[0], 200, "status")
        equal(sim.sim(log=True)["log"][0]["model"], "\ufffd")
    with Sim() as sim, sim.connect() as wire:
        wire.raw(b"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nX-Odd: \xff\xfe\r\nContent-Length: 3\r\n\r\n\x00\xff\"")
        equal(wire.answer()[0], 404)
        equal(sim.sim(log=True)["log"][0]["body"], "\x00\ufffd\"")


@test
def counts_are_exact():
    with Sim("--fault", "silence", "--tokens", "1") as sim:
        wires = [sim.connect() for _ in range(50)]
        for wire in wires:
            wire.send(text=body())
        state = sim.until(in_flight=50)
        equal((state["peak_in_flight"], state["connections_open"], state["requests"]), (50, 50, 50), "counts")
        for wire in wires[:20]:
            wire.sock.close()
        equal(sim.until(in_flight=30, connections_open=30)["aborted"], 20, "aborted")
        for wire in wires[20:]:
            wire.sock.close()
        state = sim.until(in_flight=0, connections_open=0)
        equal((state["aborted"], state["peak_in_flight"], state["connections_total"]), (50, 50, 50), "counts")
        state = sim.sim({"reset": True, "faults": []})
        equal((state["requests"], state["aborted"], state["peak_in_flight"], state["connections_total"]), (0, 0, 0, 0))
        equal([sim.ask()[0] for _ in range(5)], [200] * 5)
        equal(sim.until(in_flight=0, connections_open=0)["peak_in_flight"], 1, "one after the other")


@test
def abort_in_the_middle():
    with Sim("--tokens", "1000000", "--rate", "200/s", "--latency", "1h") as sim:
        with sim.connect() as wire:
            wire.send(text=body(stream=True))
            wire.head()
            wire.chunk()
            sim.until(in_flight=1)
        equal(sim.until(in_flight=0)["aborted"], 1, "a stream")
        with sim.connect() as wire:
            wire.send(text=body())
            sim.until(in_flight=1)
        equal(sim.until(in_flight=0)["aborted"], 2, "before the answer")


@test
def change_while_it_runs():
    with Sim() as sim:
        state = sim.sim({"latency": "20ms", "ttft": 30, "tokens": 2, "rate": "600/m", "rpm": 100, "tpm": 5000,
                         "faults": ["429:0%", "503#0"], "answer_bytes": 0})
        equal([state[key] for key in ("latency", "ttft", "tokens", "rate", "rpm", "tpm", "faults")],
              ["20ms", "30ms", 2, "10/s", 100, 5000, ["429:0%", "503#0"]])
        equal(content(sim.ask()[2]), words(2))
        for bad, word in (("{", "JSON"), ("[]", "JSON"), ('{"tokens":-1}', "tokens"), ('{"speed":1}', "speed"),
                          ('{"faults":["nope"]}', "nope"), ('{"faults":"503"}', "faults"),
                          ('{"latency":"soon"}', "latency"), ('{"down":1}', "down"), ('{"rate":"fast"}', "rate"),
                          ('{"rpm":"x"}', "rpm"),
                          ('{"tokens":9,"tokens":8}', "duplicate"), ('{"tokens":5,"latency":null}', "latency")):
            status, answer = sim.sim(bad)
            equal(status, 400, "status for %s" % bad)
            assert word in answer["error"]["message"], (bad, answer)
        equal(sim.sim()["tokens"], 2, "tokens after bad documents")
        equal(sim.ask("/sim", method="PUT", text="{}")[0], 405)


@test
def control_does_not_count():
    with Sim() as sim:
        for _ in range(3):
            state = sim.sim()
        equal([state[key] for key in ("requests", "connections_total", "connections_open", "in_flight",
                                      "peak_in_flight", "by_path")], [0, 0, 0, 0, 0, {}])
        with sim.connect() as wire:
            wire.send("/sim", method="GET")
            wire.answer()
            wire.send(text=body())
            wire.answer()
            state = sim.sim()
            equal((state["requests"], state["connections_total"], state["connections_open"]), (1, 1, 1),
                  "a client after all")


@test
def down():
    for control in False, True:
        with Sim("--tokens", "2", control=control) as sim:
            idle, busy = sim.connect(), sim.connect()
            idle.send(text=body())
            idle.answer()
            sim.sim({"faults": ["silence"]})
            busy.send(text=body())
            sim.until(in_flight=1)
            equal(sim.sim({"down": True})["down"], True)
            equal((idle.is_over(), busy.is_over()), ("reset", "reset"), "connections that were open")
            idle.sock.close(), busy.sock.close()
            try:
                with sim.connect() as wire:
                    wire.send(text=body())
                    equal(wire.is_over(), "reset", "a new one")
            except (BrokenPipeError, ConnectionResetError):
                pass  # it was reset before the client could ask
            state = sim.until(in_flight=0)
            equal((state["requests"], state["refused"], state["aborted"], state["connections_open"]), (2, 1, 0, 0))
            sim.sim({"down": False, "faults": []})
            equal(content(sim.ask()[2]), words(2), "up again")


@test
def control_listener_is_for_control_only():
    with Sim(control=True) as sim:
        with sim.connect(sim.control_path) as wire:
            wire.send(text=body())
            equal(wire.answer()[0], 404)
            wire.send("/sim", method="GET")
            equal(wire.answer()[0], 200)
        equal(sim.ask("/sim", method="GET")[0], 200, "the other listener has it too")
        equal(sim.sim()["requests"], 0)



# The program


@test
def usage():
    status, out, _ = run("-V")
    assert status == 0 and re.fullmatch(r"llmsim \d+\.\d+\.\d+\n", out), out
    status, out, _ = run("-h")
    assert status == 0 and "--fault" in out, out
    for arguments in ([], ["-l"], ["-l", "nonsense"], ["-l", "127.0.0.1:99999"], ["-l", "unix:"], ["-x"],
                      ["-l", "x:1", "y"], ["-l", "127.0.0.1:0", "--fault", "nope"],
                      ["-l", "127.0.0.1:0", "--latency", "soon"],
                      ["-l", "127.0.0.1:0", "--tokens", "-1"], ["-l", "127.0.0.1:0", "--rate", "9/d"],
                      ["-l", "127.0.0.1:0", "--name", "a b"], ["-l", "127.0.0.1:0", "--rpm", "many"]):
        status, out, complaint = run(*arguments)
        equal((status, out), (2, ""), "outcome of %r" % arguments)
        assert complaint.startswith(("llmsim: ", LLMSIM)), complaint


@test
def bad_faults():
    for spec in ("503:50", "503:101%", "503@3", "503#x", "cut@x", "slow-first", "slow-first=soon", "503=5s",
                 "503@5s..1s", "503/retry-after", "429/nothing=1", "429/body=x", "429/date=soon", "cut/retry-after=1",
                 "503/on=nowhere", "429/model=", "", "503 ", "503:50%:", "429/retry-after=\r\n"):
        status, _, complaint = run("-l", "127.0.0.1:0", "--fault", spec)
        equal(status, 2, "status for %r" % spec)
        equal(complaint.count("\n"), 1, "lines about %r" % spec)


@test
def address_in_use():
    with Sim() as sim:
        status, _, complaint = run("-l", "127.0.0.1:%d" % sim.where[1])
        assert status == 1 and "in use" in complaint and complaint.count("\n") == 1, complaint
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "s.sock")
        with Sim("--tokens", "1", listen="unix:" + path) as sim:
            equal(content(sim.ask()[2]), words(1), "over a Unix socket")
            status, _, complaint = run("-l", "unix:" + path)
            assert status == 1 and "in use" in complaint, complaint
            equal(sim.ask()[0], 200, "it is still there")
        assert not os.path.exists(path), "the socket file outlived its server"
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(path)
        stale.close()
        with Sim(listen="unix:" + path) as sim:
            equal(sim.ask()[0], 200, "in place of a dead one")
        with open(path, "w") as file:
            file.write("precious")
        equal(run("-l", "unix:" + path)[0], 1, "status over a plain file")
        equal(os.path.getsize(path), 8, "the file")


@test
def two_listeners_and_interrupt():
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "s.sock")
        process = subprocess.Popen([LLMSIM, "-l", "127.0.0.1:0", "-l", "unix:" + path, "-l", "[::1]:0"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=PATIENCE)
        if "cannot listen on [::1]" in complaint:
            return  # a host without IPv6
        equal((process.returncode, complaint), (0, ""), "outcome")
        assert re.fullmatch(r"llmsim listening on http://127\.0\.0\.1:\d+\n", lines[0]), lines
        equal(lines[1], "llmsim listening on unix:%s\n" % path)
        assert re.fullmatch(r"llmsim listening on http://\[::1\]:\d+\n", lines[2]), lines
