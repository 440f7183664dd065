/*
 * What happened, and the processes it happened in.
 */

import { page } from "./dashboard_link.js";
import { rows } from "./dashboard_row.js";
import {
  by, changeOf, heading, isCount, make, many, mark, moment, NONE, put, shape, span, stateOf, states, whole, wordOf,
} from "./dashboard_text.js";

/* Events. */

const kinds = {
  "": "all", breaker: "breakers", cooldown: "waits", order: "orders", process: "processes", limit: "limits",
};

function kindOf({ kind }) {
  if (/^(worker|master|reload|adopted)/.test(kind)) return "process";
  return /^(limit|quota)/.test(kind) ? "limit" : kind;
}

function aboutOf(event) {
  const name = event.endpoint || (event.account && "account " + event.account) || event.limit || event.quota || "";
  return name + (event.model ? "/" + event.model : "") || NONE;
}

function eventRow(event) {
  const cells = [["when", moment(event)], ["what", wordOf(event.kind)], ["about", aboutOf(event)],
                 ["change", changeOf(event)], ["by", event.by]];
  const node = make("tr", "", ...cells.map(([className, content]) => make("td", className, content)));
  node.classList.toggle("nameless", aboutOf(event) === NONE);
  mark(node, "role", "row");
  for (const cell of node.children) mark(cell, "role", "cell");
  const { tone, shape: form } = stateOf(event.to === "closed" || event.to === "enabled" ? "healthy" : event.to);
  if (Object.hasOwn(states, event.to) || tone === "good")
    node.children[3].prepend(make("span", "state tone-" + tone, shape(form)), " ");
  return node;
}

const eventView = { rising: false };

export function showEvents() {
  const find = by("find-event").value.trim().toLowerCase();
  const kind = by("kind").value;
  const counts = by("counts").checked;
  const list = page.events.filter((event) => (!kind || kindOf(event) === kind) &&
    (counts || !isCount(event)) &&
    (!find || [event.kind, aboutOf(event), event.detail, event.by].join(" ").toLowerCase().includes(find)));
  if (eventView.rising) list.reverse();
  by("events").replaceChildren(...list.slice(0, 100).map(eventRow));
  by("events-none").hidden = list.length > 0;
  put(by("events-none"), page.events.length ? "No event is like that." : "Nothing has happened yet.");
  mark(by("event-heads").firstChild, "aria-sort", eventView.rising ? "ascending" : "descending");
  for (const row of rows.values()) if (row.panel && !row.panel.node.hidden) row.panel.showEvents();
}

export function showEventHeads() {
  by("event-heads").append(heading("Time", () => {
    eventView.rising = !eventView.rising;
    showEvents();
  }), ...["Kind", "About", "Change", "By"].map((title) => heading(title)));
  by("kind").append(...Object.entries(kinds).map(([value, title]) => new Option(title, value)));
  by("process-heads").append(...processColumns.map(([title]) => heading(title)));
}

/* Processes. */

const processColumns = [
  ["Role", (row) => row.role], ["State", (row) => row.state], ["PID", (row) => String(row.pid || NONE)],
  ["Generation", (row) => whole(row.generation)], ["In flight", (row) => whole(row.in_flight)],
  ["Connections", (row) => whole(row.connections)], ["Requests", (row) => whole(row.requests)],
  ["Uptime", (row) => span(row.uptime_s * 1000)], ["Restarts", (row) => whole(row.restarts)],
];

export function showProcesses() {
  const body = by("process-rows");
  page.workers.forEach((worker, index) => {
    if (!body.children[index]) body.append(make("tr", "", ...processColumns.map(() => make("td", ""))));
    processColumns.forEach(([, text], cell) => put(body.children[index].children[cell], text(worker)));
  });
  while (body.children.length > page.workers.length) body.lastChild.remove();
  const restarts = page.workers.reduce((sum, row) => sum + (row.restarts || 0), 0);
  put(by("processes-short"), many(page.workers.filter((row) => row.role === "worker").length, "worker") + ", " +
      many(restarts, "restart"));
}
