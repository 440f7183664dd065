/*
 * The dashboard: one page that shows what `gatewayctl status` shows, as it changes, and gives the same orders.
 *
 * Three rules hold in all of its files. What the gateway says is inserted as text and never as markup, so a name can
 * not do anything. Nodes are made once and then kept, and only what differs is written: focus, selection and scroll
 * position stay, and two hundred endpoints cost little. What is not of this moment is shown as such.
 */

import { showEvents, showEventHeads, showProcesses } from "./dashboard_events.js";
import { Chart, hour } from "./dashboard_hour.js";
import { ask, documents, keep, page, Refused, wantToken } from "./dashboard_link.js";
import { columns, Row, rows, view } from "./dashboard_row.js";
import { showChips, showHeads, showOrder } from "./dashboard_table.js";
import { bare, by, mark, millis, percent, put, rate, shape, span, stateOf } from "./dashboard_text.js";
import { showTitle, showVerdict } from "./dashboard_verdict.js";
import { waits } from "./dashboard_wait.js";

async function follow() {
  page.stream = new AbortController();
  page.asked = performance.now();
  page.retryAt = 0;
  try {
    const response = await ask("api/stream", { signal: page.stream.signal });
    page.needsToken = false;
    loadHour();
    loadRest();
    for await (const status of documents(response.body)) receive(status);
    throw new Error("The gateway ended the stream.");
  } catch (error) {
    if (error instanceof Refused) return wantToken(error.message);
    if (page.needsToken) return; /* without one it is not asked again */
    page.problem = error instanceof TypeError || error.name === "AbortError" ? "" : error.message;
    page.attempt++;
    const wait = Math.min(15000, 500 * 2 ** Math.min(page.attempt, 6)) * (0.75 + Math.random() / 2);
    page.retryAt = performance.now() + wait;
    page.timer = setTimeout(follow, wait);
  } finally {
    page.stream = null;
    tick();
  }
}

page.follow = () => {
  clearTimeout(page.timer);
  page.attempt = 0;
  if (page.stream) page.stream.abort();
  else follow();
};

function receive(status) {
  const before = page.status;
  page.status = status;
  page.received = performance.now();
  page.attempt = 0;
  showStatus(before);
}

page.look = loadRest;

async function quietly(path, use) {
  try {
    use(await (await ask(path)).json());
  } catch (error) {
    if (error instanceof Refused && !page.needsToken) wantToken(error.message);
    /* Otherwise the stream is lost too, or will be asked again in a moment. */
  }
}

/* The gateway takes a sample every ten seconds. Many endpoints have many lines, so they are drawn less often the more
 * there are. An hour of them is a large document: only what is new is fetched. */
function loadHour() {
  page.hourAt = performance.now() + Math.max(10000, rows.size * 250);
  const since = hour.last;
  quietly("api/history" + (since ? "?since=" + since : ""), (document) => {
    hour.load(document, since);
    showHour();
  });
}

function loadRest() {
  page.restAt = performance.now() + 5000;
  quietly("api/events?n=300", (document) => {
    const text = JSON.stringify(document.events);
    if (text === page.eventsText) return;
    page.eventsText = text;
    page.events = document.events.map((event) => ({ ...event, date: new Date(event.time) })).reverse();
    showEvents();
  });
  quietly("api/workers", (document) => {
    page.workers = document.workers;
    showProcesses();
  });
}

/* What a reader who does not see is told: changes of state, as one sentence. */
function announce(before, status) {
  if (!before) return;
  const old = new Map(before.endpoints.map((row) => [row.name, row.state]));
  const changes = status.endpoints.filter((row) => old.has(row.name) && old.get(row.name) !== row.state);
  if (changes.length === 0) return;
  const told = changes.slice(0, 3).map((row) => row.name + " is now " + stateOf(row.state).word +
    (row.reason ? ", " + bare(row.reason, row.until_ms) : ""));
  if (changes.length > 3) told.push(changes.length - 3 + " more changed");
  put(by("said"), told.join(". ") + ".");
  loadRest();
}

function showStatus(before) {
  const { status } = page;
  const seen = new Set();
  let known = true;
  for (const data of status.endpoints) {
    seen.add(data.name);
    if (!rows.has(data.name)) {
      rows.set(data.name, new Row(data.name));
      known = false;
    }
    rows.get(data.name).show(data);
  }
  for (const [name, row] of rows) {
    if (seen.has(name)) continue;
    row.wait.set(0);
    row.node.remove();
    rows.delete(name);
  }
  showChips(status.endpoints);
  showOrder(false);
  announce(before, status);
  tick();
  showVerdict(status);
  if (!known) showHour();
}

/* What changes less often than every second, while somebody looks. */
function lookAgain() {
  const now = performance.now();
  if (!page.stream || page.stale || document.hidden) return;
  if (now >= page.restAt) loadRest();
  if (now >= page.hourAt) loadHour();
}

/* The charts of all endpoints together. */

const charts = [new Chart("Requests a second", "rps", "", 0.1, rate),
                new Chart("Errors", "error_rate", "bad", 0.02, percent),
                new Chart("First token, median", "p50", "calm", 1, millis)];
by("charts").append(...charts.map((chart) => chart.node));
mark(charts[2].node, "title", "The medians of all endpoints, each weighted by its requests");

function showHour() {
  const now = hour.now();
  for (const chart of charts) chart.show(hour.all, now);
  for (const row of rows.values()) row.showHour(now);
}

/* Time goes by. */

const LATE = 3500;
const LOST = 12000;

function showLink(stale) {
  const state = page.needsToken ? "token needed" : stale ? (page.status ? "not live" : "connecting") : "live";
  if (by("link").dataset.state !== state) {
    by("link").dataset.state = state;
    by("link").className = "link tone-" + (state === "live" ? "good" : "care");
    by("link").replaceChildren(shape(state === "live" ? "check" : "clock"), state);
  }
}

function tick() {
  const now = performance.now();
  const age = page.received ? now - page.received : Infinity;
  const stale = age > LATE || page.needsToken;
  page.stale = stale;
  document.body.classList.toggle("stale", stale && Boolean(page.status));
  document.body.classList.toggle("empty", !page.status);
  by("forget").hidden = !keep.get();
  showLink(stale);
  if (page.status) showTitle(page.status.summary);
  for (const wait of waits) wait.tick();
  const failed = page.attempt > 0 && !page.stream;
  by("banner").hidden = !page.needsToken && !(page.status ? stale : failed);
  put(by("banner-act"), page.needsToken ? "Enter token" : "Try now");
  const next = page.retryAt > now ? " Next try in " + span(page.retryAt - now) + "." : " Trying again…";
  put(by("banner-text"), page.needsToken ? "The gateway asks for its admin token." :
      (page.status ? "Not live: this is from " + span(age) + " ago." : "The gateway does not answer.") +
      (page.problem ? " " + page.problem : "") + next);
  /* A connection that says nothing for so long is none; one that was just asked for has not had its time yet. */
  if (page.stream && now - Math.max(page.received, page.asked) > LOST) page.stream.abort();
}

/* The beginning. */

by("banner-act").addEventListener("click", () => (page.needsToken ? wantToken("") : page.follow()));
by("find").addEventListener("input", () => {
  view.find = by("find").value.trim().toLowerCase();
  showOrder(true);
});
by("find-event").addEventListener("input", showEvents);
by("kind").addEventListener("change", showEvents);
by("counts").addEventListener("change", showEvents);
by("sort").addEventListener("change", () => {
  const column = columns.find((each) => each.key === by("sort").value);
  Object.assign(view, { sort: column ? column.key : "", falling: Boolean(column && column.falling) });
  showOrder(true);
});

showHeads();
by("sort").append(new Option("configuration", ""), ...columns.filter((column) => column.value).map((column) =>
  new Option(column.title.toLowerCase(), column.key)));
showEventHeads();
put(by("host"), location.host);

setInterval(tick, 250);
setInterval(lookAgain, 1000);
follow();

