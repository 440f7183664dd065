import { hour, showRibbon } from "./dashboard_hour.js";
import { page } from "./dashboard_link.js";
import { confirm, orders } from "./dashboard_orders.js";
import {
  ago, bare, button, changeOf, draw, heading, isCount, make, many, mark, moment, put, putBadge, putTone, real, whole,
  wordOf,
} from "./dashboard_text.js";
import { Wait } from "./dashboard_wait.js";

/* What is behind an endpoint: its hour, its models with their breakers and orders, and its last events. */
export class Panel {
  constructor(row) {
    this.row = row;
    this.ribbon = draw("svg", { class: "ribbon", viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img",
                                "aria-label": "States over the last hour" });
    this.shares = make("div", "shares");
    this.evidence = make("p", "");
    this.body = make("tbody", "");
    this.body.setAttribute("role", "rowgroup");
    this.models = new Map();
    this.events = make("ol", "");
    this.eventsKey = null;
    const headings = ["Model", "State", "Why", "Breaker", "Failures", ""].map((title) => heading(title));
    const table = make("table", "", make("thead", "", make("tr", "", ...headings)), this.body);
    mark(table, "role", "table");
    mark(table, "aria-label", "Models of " + row.name);
    const cell = make("td", "", make("div", "panel",
      make("div", "wide", make("h3", "", "The last hour"), this.ribbon, this.shares),
      make("div", "", make("h3", "", "Models"), table),
      make("div", "", make("h3", "", "Last events"), this.events),
      make("div", "wide", make("h3", "", "All of " + row.name), this.evidence, this.orders())));
    cell.colSpan = row.row.children.length;
    this.node = make("tr", "more", cell);
    this.showHour(hour.now());
  }

  orders() {
    const { name } = this.row;
    const keys = ["reset", "clear", "open", "close", "auto"];
    return make("div", "orders", ...keys.map((key) =>
      button(orders[key].verb + "…", () => confirm(key, name, this.row.models, this.row.owes))));
  }

  show(data) {
    const seen = new Set();
    for (const model of data.models) {
      seen.add(model.name);
      if (!this.models.has(model.name)) this.models.set(model.name, new Model(this.row.name, model.name));
      const entry = this.models.get(model.name);
      entry.show(model);
      if (entry.node.parentNode !== this.body) this.body.append(entry.node);
    }
    for (const [name, entry] of this.models) {
      if (seen.has(name)) continue;
      entry.wait.set(0);
      entry.node.remove();
      this.models.delete(name);
    }
    put(this.evidence, "Breaker " + wordOf(data.breaker) + ", " + many(data.failures, "failure") + " in a row; " +
        whole(data.requests) + " tries since the start, " + whole(data.in_flight) + " in flight of at most " +
        whole(data.limit) + "; last success " + ago(real(data.last_success_ms)) + ".");
    this.showEvents();
  }

  showEvents() {
    if (this.eventsKey === page.eventsText) return;
    this.eventsKey = page.eventsText;
    const mine = page.events.filter((event) => event.endpoint === this.row.name && !isCount(event)).slice(0, 8);
    this.events.replaceChildren(...mine.map((event) => make("li", "", moment(event),
      (event.model ? event.model + ": " : "") + changeOf(event))));
    if (mine.length === 0) this.events.append(make("li", "", "Nothing happened to it that is still remembered."));
  }

  showHour(now) {
    showRibbon(this.ribbon, this.shares, hour.of(this.row.name), now);
  }
}

class Model {
  constructor(endpoint, name) {
    const full = endpoint + "/" + name;
    this.wait = new Wait("left");
    this.reason = make("span", "reason");
    this.state = make("td", "");
    this.why = make("td", "wide", this.wait.node, this.reason);
    this.breaker = make("td", "");
    this.breaker.dataset.label = "Breaker";
    this.failures = make("td", "");
    this.failures.dataset.label = "Failures in a row:";
    this.cure = button("Reset", () => confirm(this.cureKey, full, 0));
    this.hold = button("Hold open", () => confirm(this.holdKey, full, 0));
    const title = make("td", "", name === "*" ? "all others (*)" : name);
    this.node = make("tr", "", title, this.state, this.why, this.breaker, this.failures,
                     make("td", "of-acts", this.cure, this.hold));
    this.node.setAttribute("role", "row");
    for (const cell of this.node.children) cell.setAttribute("role", "cell");
    mark(this.cure, "aria-label", "Reset " + full);
    this.full = full;
  }

  show(model) {
    putTone(this.node, model.state);
    putBadge(this.state, model.state);
    this.wait.set(model.until_ms);
    put(this.reason, bare(model.reason, model.until_ms));
    put(this.breaker, wordOf(model.breaker));
    put(this.failures, String(model.failures));
    this.cureKey = model.state === "cooling" || model.state === "exhausted" ? "clear" : "reset";
    this.holdKey = model.breaker.startsWith("forced") ? "auto" : "open";
    put(this.cure, orders[this.cureKey].verb);
    put(this.hold, orders[this.holdKey].verb);
    mark(this.cure, "aria-label", orders[this.cureKey].verb + " " + this.full);
    mark(this.hold, "aria-label", orders[this.holdKey].verb + " " + this.full);
  }
}
