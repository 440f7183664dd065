/*
 * The table of endpoints: which are shown and in which order, and the counts of their states.
 */

import { page } from "./dashboard_link.js";
import { columns, rows, view } from "./dashboard_row.js";
import { button, by, heading, mark, put, shape, stateOf } from "./dashboard_text.js";

/* Once for its usual direction, again for the other, a third time for the order of the configuration. */
export function sortBy(key) {
  const column = columns.find((each) => each.key === key);
  if (view.sort !== key) Object.assign(view, { sort: key, falling: Boolean(column && column.falling) });
  else if (column && view.falling === Boolean(column.falling)) view.falling = !view.falling;
  else Object.assign(view, { sort: "", falling: false });
  showOrder(true);
}

function sorted() {
  const list = page.status ? page.status.endpoints.map((data) => rows.get(data.name)).filter(Boolean) : [];
  const column = columns.find((each) => each.key === view.sort);
  if (!column) return list;
  const way = view.falling ? -1 : 1;
  return list.sort((a, b) => {
    const x = column.value(a.data);
    const y = column.value(b.data);
    return way * (typeof x === "string" ? x.localeCompare(y) : x < y ? -1 : x > y ? 1 : 0);
  });
}

/* Rows do not move under a pointer that is about to press, nor while one of them has the focus, unless asked to. */
export function showOrder(asked) {
  for (const column of columns) {
    const head = by("heads").children[columns.indexOf(column)];
    mark(head, "aria-sort", view.sort === column.key ? (view.falling ? "descending" : "ascending") : null);
  }
  by("sort").value = view.sort;
  const table = by("endpoints");
  let shown = 0;
  for (const row of rows.values()) {
    row.node.hidden = !row.matches();
    shown += !row.node.hidden;
  }
  by("endpoints-none").hidden = shown > 0;
  put(by("endpoints-none"), rows.size ? "No endpoint is like that." : page.status ? "No endpoint is configured." : "");
  const wanted = sorted().map((row) => row.node);
  const missing = wanted.some((node) => node.parentNode !== table);
  const held = !asked && (table.matches(":hover") || table.contains(document.activeElement));
  if (held && !missing) return;
  if (wanted.some((node, index) => table.children[index + 1] !== node)) {
    const focus = document.activeElement;
    table.append(...wanted);
    if (focus && focus !== document.activeElement) focus.focus({ preventScroll: true });
  }
}

export function showChips(endpoints) {
  const counts = new Map();
  for (const row of endpoints) counts.set(row.state, (counts.get(row.state) || 0) + 1);
  const kinds = [...counts.keys()].sort((a, b) => stateOf(a).weight - stateOf(b).weight);
  if (view.state && !counts.has(view.state)) kinds.push(view.state);
  const key = kinds.map((kind) => kind + counts.get(kind)).join() + view.state;
  if (by("chips").dataset.key === key) return;
  by("chips").dataset.key = key;
  const focused = document.activeElement && document.activeElement.dataset.kind;
  by("chips").replaceChildren(...kinds.map((kind) => {
    const state = stateOf(kind);
    const node = button("", () => {
      view.state = view.state === kind ? "" : kind;
      showChips(page.status.endpoints);
      showOrder(true);
    }, "tone-" + state.tone);
    node.dataset.kind = kind;
    node.append(shape(state.shape), (counts.get(kind) || 0) + " " + state.word);
    node.setAttribute("aria-pressed", String(view.state === kind));
    return node;
  }));
  if (focused) [...by("chips").children].find((node) => node.dataset.kind === focused)?.focus();
}

export function showHeads() {
  by("heads").append(...columns.map(({ key, title, value, className }) => {
    const node = heading(title, value && (() => sortBy(key)));
    node.className = className || "of-" + key;
    return node;
  }));
}
