/*
 * What everything on the page is made of: nodes, numbers and times in words, and the states with their shapes.
 */

/* Nodes. */

export const by = (id) => document.getElementById(id);

export function make(tag, className, ...content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content);
  return node;
}

export function draw(tag, attributes, ...content) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...content);
  return node;
}

export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function mark(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function button(text, press, className = "") {
  const node = make("button", className, text);
  node.type = "button";
  node.addEventListener("click", press);
  return node;
}

/* Numbers and times in words. */

export const NONE = "–";

export const real = (value) => (typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null);

export function rate(value) {
  if (value === null) return NONE;
  return value >= 100 || value === 0 ? value.toFixed(0) : value.toFixed(value < 10 ? 2 : 1);
}

export function percent(value) {
  if (value === null) return NONE;
  const share = value * 100;
  if (share > 0 && share < 0.01) return "<0.01 %";
  return (share === 0 || share === 100 ? share.toFixed(0) : share < 10 ? share.toFixed(2) : share.toFixed(1)) + " %";
}

export function millis(value) {
  if (value === null) return NONE;
  if (value >= 10000) return (value / 1000).toFixed(0) + " s";
  return value >= 1000 ? (value / 1000).toFixed(1) + " s" : value.toFixed(0) + " ms";
}

const two = (number) => String(number).padStart(2, "0");

/* Upwards, as the gateway does it: a wait that is not over is never 0. */
export function span(ms) {
  const seconds = Math.ceil(Math.max(0, ms) / 1000);
  if (seconds < 60) return seconds + " s";
  if (seconds < 3600) return Math.floor(seconds / 60) + "m " + two(seconds % 60) + "s";
  if (seconds < 86400) return Math.floor(seconds / 3600) + "h " + two(Math.floor(seconds / 60) % 60) + "m";
  return Math.floor(seconds / 86400) + "d " + two(Math.floor(seconds / 3600) % 24) + "h";
}

export function ago(ms) {
  if (ms === null) return "never";
  return ms < 2000 ? "just now" : span(Math.floor(ms / 1000) * 1000) + " ago";
}

export const whole = (value) => (real(value) === null ? NONE : value.toLocaleString("en"));
export const many = (count, what) => count + " " + what + (count === 1 ? "" : "s");

/* The reason without the wait, which stands beside it and goes on ticking: "gpt-4.1 cooling 1.8s, rate limited". */
export function bare(reason, until) {
  if (!until) return reason;
  const text = reason
    .replace(/^(\S+ )?(?:cooling|exhausted|open) \d[\d.dhms]*(?:, )?/, (_, who) => (who ? who.trim() + ": " : ""))
    .replace(/^(\S+ )?held open \d[\d.dhms]* by/, "$1held open by");
  return text.replace(/: $/, "") || reason;
}

export const clock = (date) => two(date.getHours()) + ":" + two(date.getMinutes()) + ":" + two(date.getSeconds());

/* States: a word, a weight to sort by, a tone and a shape each. */

const shapes = {
  check: [["circle", "body"], ["M4.2 7.2l2 2 3.6-4", "cut"]],
  triangle: [["M7 1.2 13.4 12.8H.6z", "body"], ["M7 5.4v3.4M7 10.8v.1", "cut"]],
  clock: [["ring", "hollow"], ["M7 4.2V7l2.2 1.6", "hand"]],
  empty: [["M2 2h10v10H2z", "hollow"], ["M4.6 9.6h4.8", "hand"]],
  half: [["ring", "hollow"], ["M7 1a6 6 0 0 1 0 12z", "body"]],
  cross: [["M1 1h12v12H1z", "body"], ["M4.4 4.4l5.2 5.2M9.6 4.4l-5.2 5.2", "cut"]],
  hand: [["M4.2.6h5.6l3.6 3.6v5.6l-3.6 3.6H4.2L.6 9.8V4.2z", "body"], ["M4.4 7h5.2", "cut"]],
  down: [["ring", "hollow"], ["M7 4v5.4M4.8 7.4 7 9.6l2.2-2.2", "hand"]],
};

export const states = {
  healthy: { word: "healthy", weight: 0, tone: "good", shape: "check" },
  degraded: { word: "degraded", weight: 1, tone: "care", shape: "triangle" },
  half_open: { word: "half open", weight: 2, tone: "care", shape: "half" },
  cooling: { word: "cooling", weight: 3, tone: "care", shape: "clock" },
  drained: { word: "drained", weight: 4, tone: "off", shape: "down" },
  exhausted: { word: "exhausted", weight: 5, tone: "bad", shape: "empty" },
  open: { word: "open", weight: 6, tone: "bad", shape: "cross" },
  forced_open: { word: "held open", weight: 7, tone: "bad", shape: "hand" },
};

export const usable = (state) => state === "healthy" || state === "degraded" || state === "half_open";
export const wordOf = (name) => String(name).replaceAll("_", " ");

export function stateOf(name) {
  const known = Object.hasOwn(states, name);
  return known ? states[name] : { word: String(name), weight: 8, tone: "off", shape: "empty" };
}

export function shape(name) {
  const parts = shapes[name].map(([path, part]) => {
    if (path === "circle") return draw("circle", { class: part, cx: 7, cy: 7, r: 6.6 });
    if (path === "ring") return draw("circle", { class: part, cx: 7, cy: 7, r: 5.8 });
    return draw("path", { class: part, d: path });
  });
  return draw("svg", { class: "shape", viewBox: "0 0 14 14", "aria-hidden": "true" }, ...parts);
}

export function badge(name) {
  const state = stateOf(name);
  return make("span", "state tone-" + state.tone, shape(state.shape), state.word);
}

/* Write a badge only when it is another one. */
export function putBadge(node, name) {
  if (node.dataset.state === name) return;
  node.dataset.state = name;
  node.replaceChildren(badge(name));
}

export function heading(title, press) {
  const node = make("th", "", press ? button(title, press) : title);
  node.scope = "col";
  node.setAttribute("role", "columnheader");
  if (!title) node.setAttribute("aria-label", "Actions");
  return node;
}

export function putTone(node, name) {
  const { tone } = stateOf(name);
  for (const each of ["good", "care", "bad", "off"]) node.classList.toggle("tone-" + each, each === tone);
}

export function moment(event) {
  const node = make("time", "", clock(event.date));
  mark(node, "datetime", event.time);
  mark(node, "title", event.date.toString());
  return node;
}

/* "half_open (1 out, 0 succeeded) -> open 2.0s" */
export const changeOf = (event) => wordOf(event.detail || event.to || NONE).replaceAll(" -> ", " → ");

/* One more failure, and nothing came of it yet: there are many of these. */
export const isCount = (event) =>
  event.kind === "breaker" && event.from === event.to && /^(worker|gateway)/.test(event.by);
