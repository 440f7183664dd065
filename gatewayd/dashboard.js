// The page asks with fetch() throughout: an EventSource cannot send the token. What the gateway says is only ever put
// into the page as text.
"use strict";

const element = (id) => document.getElementById(id);

function ask(path, method) {
  const token = sessionStorage.getItem("token");
  return fetch(path, { method: method || "GET", headers: token ? { Authorization: "Bearer " + token } : {} });
}

function number(value, digits) {
  return value === null ? "-" : value.toFixed(digits);
}

function change(name, what) {
  const button = document.createElement("button");
  button.textContent = what.split("/")[1];
  button.onclick = () => ask("/api/" + what.split("/")[0] + "/" + encodeURIComponent(name) + "/" + what.split("/")[1],
                             "POST");
  return button;
}

function row(endpoint) {
  const line = document.createElement("tr");
  const cells = [endpoint.name, endpoint.state, endpoint.reason || "-", endpoint.in_flight + "/" + endpoint.limit,
    number(endpoint.rps, 1), number(endpoint.error_rate * 100, 1) + " %", number(endpoint.first_token_ms.p50, 0),
    number(endpoint.first_token_ms.p99, 0)];
  for (const text of cells) {
    line.insertCell().textContent = text;
  }
  line.cells[1].className = endpoint.state;
  line.insertCell().append(change(endpoint.name, endpoint.state === "drained" ? "endpoint/enable" : "endpoint/drain"),
                           change(endpoint.name, "breaker/reset"));
  return line;
}

function show(status) {
  const sum = status.summary;
  element("summary").textContent = (sum.serving ? "serving" : "NOT SERVING") + ", " + sum.usable + " of " +
    sum.endpoints + " endpoints usable, " + sum.requests + " requests, " + (sum.success_rate * 100).toFixed(1) +
    " % good, " + sum.parked + " parked, " + sum.workers + " workers";
  element("endpoints").hidden = false;
  element("endpoints").tBodies[0].replaceChildren(...status.endpoints.map(row));
}

async function follow() {
  const response = await ask("/api/stream");
  element("login").hidden = response.status !== 401;
  if (!response.ok) {
    throw new Error((await response.json()).error.message);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = "", piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const events = (text + piece.value).split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) {
        show(JSON.parse(data.slice(6)));
      }
    }
  }
}

async function run() {
  try {
    await follow();
  } catch (error) {
    element("summary").textContent = error.message;
  }
  if (element("login").hidden) {
    setTimeout(run, 1000);
  }
}

element("login").onsubmit = (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", element("token").value);
  run();
};
run();
