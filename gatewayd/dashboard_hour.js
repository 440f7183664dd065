/*
 * The last hour, as the steward remembers it, and how it is drawn.
 */

import { badge, clock, draw, make, mark, NONE, percent, put, real, stateOf } from "./dashboard_text.js";

/* The hour: samples of every endpoint, from the gateway's memory first and then from the stream itself. */

const HOUR = 3600000;

/* The document holds columns; lines are drawn of points. */
class Hour {
  constructor() {
    this.interval = 10000;
    this.all = [];
    this.names = new Map();
    this.ahead = 0; /* of this machine's clock, the gateway's */
  }

  now() {
    return performance.now() + this.ahead;
  }

  /* A gateway that is young has less than an hour to show; no line is drawn over less than five minutes. */
  get length() {
    return Math.min(HOUR, Math.max(HOUR / 12, this.all.length ? this.now() - this.all[0].time : HOUR));
  }

  /* The newest that is known: the next document needs to hold only what is later. */
  get last() {
    return this.all.length ? this.all[this.all.length - 1].time : 0;
  }

  /* What a document adds to what is known until `since`. One that begins earlier than that holds all there is. */
  load({ interval_ms: interval, times, endpoints }, since) {
    if (times.length === 0 && since) return;
    if (!(times[0] > since && since)) Object.assign(this, { all: [], names: new Map() });
    const fresh = times.map((_, index) => index).filter((index) => times[index] > this.last);
    const points = (each) => fresh.map((index) => ({
      time: times[index], rps: real(each.rps[index]), error_rate: real(each.error_rate[index]),
      p50: real(each.first_token_ms.p50[index]), p99: real(each.first_token_ms.p99[index]), state: each.state[index],
    }));
    const columns = endpoints.map((each) => ({ name: each.name, points: points(each) }));
    for (const column of columns) this.names.set(column.name, this.of(column.name).concat(column.points));
    this.all.push(...fresh.map((index, at) => Hour.together(times[index], columns.map((each) => each.points[at]))));
    this.interval = interval;
    this.ahead = (this.last || Date.now()) - performance.now();
    this.forget();
  }

  /* What is older than an hour, and who has nothing younger. */
  forget() {
    const young = (point) => point.time > this.last - HOUR;
    this.all = this.all.filter(young);
    for (const [name, points] of this.names) {
      const kept = points.filter(young);
      if (kept.length) this.names.set(name, kept);
      else this.names.delete(name);
    }
  }

  /* What all endpoints did at one moment; null is what none of them knows. */
  static together(time, points) {
    const known = points.filter((point) => point.rps !== null);
    const rps = known.reduce((sum, point) => sum + point.rps, 0);
    const errors = known.reduce((sum, point) => sum + point.rps * (point.error_rate || 0), 0);
    const timed = known.filter((point) => point.p50 !== null && point.rps > 0);
    const weight = timed.reduce((sum, point) => sum + point.rps, 0);
    const first = timed.reduce((sum, point) => sum + point.rps * point.p50, 0);
    return { time, rps: known.length ? rps : null, error_rate: rps > 0 ? errors / rps : null,
             p50: weight > 0 ? first / weight : null };
  }

  of(name) {
    return this.names.get(name) || [];
  }
}

export const hour = new Hour();

/* One line over the hour. Its width is 100 whatever it is shown at; more points than that are one, the highest. */
export class Line {
  constructor(key, className, least) {
    this.key = key;
    this.least = least;
    this.most = 0;
    this.line = draw("path", { class: "line", d: "" });
    this.area = draw("path", { class: "area", d: "" });
    this.svg = draw("svg", { class: "drawn " + className, viewBox: "0 0 100 100", preserveAspectRatio: "none",
                             "aria-hidden": "true" }, this.area, this.line);
  }

  /* [x, value] by columns; null where nothing is known. */
  columns(points, now) {
    const columns = new Array(101).fill(null);
    for (const point of points) {
      const x = Math.round(100 - ((now - point.time) * 100) / hour.length);
      const value = point[this.key];
      if (x >= 0 && x <= 100 && value !== null && (columns[x] === null || value > columns[x])) columns[x] = value;
    }
    return columns;
  }

  show(points, now) {
    const columns = this.columns(points, now);
    this.most = Math.max(this.least, ...columns.map((value) => value || 0));
    let line = "";
    let area = "";
    let begin = -1;
    const near = Math.ceil((300 * hour.interval) / hour.length);
    columns.forEach((value, x) => {
      /* A column without a sample is no gap yet: with few samples each has its own. */
      if (value === null) return;
      const y = (96 - (value * 90) / this.most).toFixed(1);
      const apart = begin < 0 || columns.slice(Math.max(0, x - near), x).every((before) => before === null);
      if (apart && begin >= 0) area += "V100H" + begin + "Z";
      if (apart) {
        begin = x;
        line += "M" + x + " " + y + "h.01";
        area += "M" + x + " 100V" + y;
      } else {
        line += "L" + x + " " + y;
        area += "L" + x + " " + y;
      }
    });
    if (begin >= 0) area += "V100H" + begin + "Z";
    mark(this.line, "d", line);
    mark(this.area, "d", area.replace(/V100H(\d+)Z/g, "V100H$1Z"));
  }
}

const ago = (ms) => (ms < HOUR - 30000 ? Math.round(ms / 60000) + " min ago" : "1 hour ago");

/* A line with its value, its scale, and what it was at the moment pointed at. */
export class Chart {
  constructor(title, key, className, least, words) {
    this.words = words;
    this.key = key;
    this.title = title;
    this.line = new Line(key, className, least);
    this.value = make("span", "now", NONE);
    this.what = make("span", "what", title);
    this.most = make("span", "most");
    this.since = make("span", "");
    this.here = make("div", "here");
    this.here.hidden = true;
    const plot = make("div", "plot", this.line.svg, this.most, this.here);
    const axis = make("div", "axis", this.since, make("span", "", "now"));
    this.node = make("figure", "chart", make("figcaption", "", this.what, this.value), plot, axis);
    plot.addEventListener("pointermove", (event) => this.point(event, plot));
    plot.addEventListener("pointerleave", () => this.leave());
    this.points = [];
  }

  show(points, now) {
    this.points = points;
    this.time = now;
    this.line.show(points, now);
    put(this.since, ago(hour.length));
    put(this.most, points.length ? this.words(this.line.most) : "");
    if (this.here.hidden) this.leave();
  }

  point(event, plot) {
    const box = plot.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const time = this.time - hour.length * (1 - share);
    const near = this.points.reduce((best, point) =>
      !best || Math.abs(point.time - time) < Math.abs(best.time - time) ? point : best, null);
    if (!near || Math.abs(near.time - time) > 60000) return this.leave();
    this.here.hidden = false;
    this.here.style.left = share * 100 + "%";
    put(this.what, this.title + " at " + clock(new Date(near.time)));
    put(this.value, this.words(near[this.key]));
  }

  leave() {
    this.here.hidden = true;
    const last = this.points[this.points.length - 1];
    put(this.what, this.title);
    put(this.value, last ? this.words(last[this.key]) : NONE);
    mark(this.node, "aria-label", this.title + ": now " + this.value.textContent + ", at most " +
         this.most.textContent + " in the last hour");
  }
}

/* Which states an endpoint was in, as a strip and in shares. */
export function showRibbon(svg, shares, points, now) {
  const rects = [];
  const spent = new Map();
  points.forEach((point, index) => {
    const next = points[index + 1];
    const end = Math.min(next ? next.time : now, point.time + 3 * hour.interval);
    spent.set(point.state, (spent.get(point.state) || 0) + Math.max(0, end - point.time));
    const from = 1000 - ((now - point.time) * 1000) / hour.length;
    const last = rects[rects.length - 1];
    if (last && last.state === point.state && from - last.to < 1) last.to = 1000 - ((now - end) * 1000) / hour.length;
    else rects.push({ state: point.state, from, to: 1000 - ((now - end) * 1000) / hour.length });
  });
  svg.replaceChildren(...rects.map(({ state, from, to }) =>
    draw("rect", { class: "tone-" + stateOf(state).tone, x: from.toFixed(1), y: 0, height: 10,
                   width: Math.max(1.5, to - from).toFixed(1) })));
  const total = [...spent.values()].reduce((sum, ms) => sum + ms, 0) || 1;
  const order = [...spent].sort((a, b) => b[1] - a[1]);
  shares.replaceChildren(...order.map(([state, ms]) => make("span", "", badge(state), " " + percent(ms / total))));
}
