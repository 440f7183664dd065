/*
 * Endpoints, a row each: made once, then only written to.
 */

import { hour, Line } from "./dashboard_hour.js";
import { confirm, orders } from "./dashboard_orders.js";
import { Panel } from "./dashboard_panel.js";
import { ago, bare, button, make, mark, millis, percent, put, putBadge, putTone, rate, real, stateOf, whole }
  from "./dashboard_text.js";
import { Wait } from "./dashboard_wait.js";

export const columns = [
  { key: "state", title: "State", value: (row) => stateOf(row.state).weight, falling: true },
  { key: "name", title: "Endpoint", value: (row) => row.name },
  { key: "why", title: "Why" },
  { key: "rps", title: "Requests/s", value: (row) => real(row.rps) ?? -1, falling: true, className: "number" },
  { key: "errors", title: "Errors", value: (row) => real(row.error_rate) ?? -1, falling: true, className: "number" },
  { key: "first", title: "First token p50 / p99", short: "First token", falling: true,
    value: (row) => real(row.first_token_ms.p50) ?? -1, className: "number" },
  { key: "flying", title: "In flight", value: (row) => row.in_flight, falling: true, className: "flying right" },
  { key: "last", title: "Last success", value: (row) => real(row.last_success_ms) ?? Infinity, falling: true,
    className: "last right" },
  { key: "acts", title: "" },
];

export const view = { sort: "", falling: false, state: "", find: "" };
export const rows = new Map();

const waiting = (row) => row.state === "cooling" || row.state === "exhausted";

/* "300 / 930 ms": a unit that is the same is said once. */
function pair(low, high) {
  const unit = low.slice(-3);
  return (unit === " ms" && high.endsWith(unit) ? low.slice(0, -3) : low) + " / " + high;
}

export class Row {
  constructor(name) {
    this.name = name;
    this.state = "";
    this.open = button(name, () => this.toggle());
    this.open.setAttribute("aria-expanded", "false");
    this.wait = new Wait("left");
    this.reason = make("span", "reason");
    this.rps = new Metric("rps", "", 0.1);
    this.errors = new Metric("error_rate", "bad", 0.02);
    this.first = new Metric("p50", "calm", 1);
    this.second = make("span", "second");
    this.cure = button("Reset", () => confirm(this.cureKey, name, this.models, this.owes));
    this.drain = button("Drain", () => confirm(this.state === "drained" ? "enable" : "drain", name, 0));
    this.cells = {
      state: [], name: [this.open], why: [this.wait.node, this.reason], rps: [this.rps.node],
      errors: [this.errors.node], first: [this.first.node], flying: [], last: [], acts: [this.cure, this.drain],
    };
    this.row = make("tr", "row", ...columns.map((column) => this.cell(column)));
    this.row.setAttribute("role", "row");
    this.row.addEventListener("click", (event) => {
      const chosen = getSelection().toString() !== "";
      if (!event.target.closest("button") && !chosen) this.toggle();
    });
    this.node = make("tbody", "one", this.row);
    this.node.setAttribute("role", "rowgroup");
    this.panel = null;
  }

  cell({ key, title, short, className }) {
    const node = make("td", className || "of-" + key, ...this.cells[key]);
    node.setAttribute("role", "cell");
    node.dataset.label = short || title;
    this.cells[key] = node;
    return node;
  }

  toggle() {
    if (!this.panel) {
      this.panel = new Panel(this);
      this.node.append(this.panel.node);
      this.panel.node.hidden = true;
    }
    const opens = this.panel.node.hidden;
    this.panel.node.hidden = !opens;
    this.open.setAttribute("aria-expanded", String(opens));
    if (opens) this.panel.show(this.data);
  }

  get models() {
    return this.data ? this.data.models.length : 0;
  }

  /* The account that keeps it waiting, with all others that use it. */
  get owes() {
    const { account } = this.data;
    return account && waiting(account) ? account.name : "";
  }

  /* What would help now: a wait is cleared, anything else is reset. */
  get cureKey() {
    const broken = (row) => row.breaker !== "closed" || row.failures > 0;
    const all = [this.data, ...this.data.models];
    return all.some(waiting) && !all.some(broken) ? "clear" : "reset";
  }

  get isWell() {
    const calm = (row) => row.breaker === "closed" && row.failures === 0 && !waiting(row);
    return [this.data, ...this.data.models].every(calm);
  }

  show(data) {
    this.data = data;
    if (this.state && this.state !== data.state) this.flash();
    this.state = data.state;
    putTone(this.row, data.state);
    putBadge(this.cells.state, data.state);
    this.wait.set(data.until_ms);
    put(this.reason, bare(data.reason, data.until_ms));
    this.cells.why.classList.toggle("some", data.reason !== "" || data.until_ms > 0);
    const errors = real(data.error_rate);
    this.rps.set(rate(real(data.rps)));
    this.errors.set(percent(errors), errors !== null && errors >= 0.05);
    this.first.set(pair(millis(real(data.first_token_ms.p50)), millis(real(data.first_token_ms.p99))));
    put(this.cells.flying, whole(data.in_flight) + " / " + whole(data.limit));
    this.cells.flying.classList.toggle("full", data.in_flight > 0 && data.in_flight >= data.limit);
    put(this.cells.last, ago(real(data.last_success_ms)));
    put(this.cure, orders[this.cureKey].verb);
    this.cure.classList.toggle("quiet", this.isWell);
    mark(this.cure, "aria-label", orders[this.cureKey].verb + " " + this.name);
    put(this.drain, data.state === "drained" ? "Enable" : "Drain");
    mark(this.drain, "aria-label", this.drain.textContent + " " + this.name);
    if (this.panel && !this.panel.node.hidden) this.panel.show(data);
  }

  flash() {
    this.row.classList.remove("changed");
    requestAnimationFrame(() => this.row.classList.add("changed"));
  }

  showHour(now) {
    const points = hour.of(this.name);
    for (const metric of [this.rps, this.errors, this.first]) metric.line.show(points, now);
    if (this.panel && !this.panel.node.hidden) this.panel.showHour(now);
  }

  matches() {
    const text = (this.name + " " + this.data.reason + " " + stateOf(this.state).word).toLowerCase();
    return (!view.state || this.state === view.state) && text.includes(view.find);
  }
}

class Metric {
  constructor(key, className, least) {
    this.value = make("span", "value");
    this.line = new Line(key, className, least);
    this.node = make("div", "metric", this.value, this.line.svg);
  }

  set(text, high = false) {
    put(this.value, text);
    this.value.classList.toggle("high", high);
  }
}
