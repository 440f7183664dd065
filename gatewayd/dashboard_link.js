/*
 * The gateway behind the page: what is known of it, how it is asked, and the token that it wants.
 */

import { by, put } from "./dashboard_text.js";

/* The gateway. The token is kept for the life of the tab and sent in a header only, so no other site can use it. */

export const page = {
  status: null, events: [], eventsText: "", workers: [],
  received: 0, /* when the last status came */
  asked: 0, /* when the stream was asked for */
  stale: true,
  stream: null, /* what ends it */
  attempt: 0, retryAt: 0, problem: "",
  restAt: 0, hourAt: 0, /* when the rest is asked for again */
  needsToken: false,
  follow() {}, /* begin again, now */
  look() {}, /* at what an order may have changed */
};

export class Refused extends Error {}

/* Where a store is not to be had, the token lives as long as the page. */
export const keep = {
  text: "",
  get: () => { try { return sessionStorage.getItem("gatewayd-token") || keep.text; } catch { return keep.text; } },
  set: (text) => {
    keep.text = text;
    try {
      if (text) sessionStorage.setItem("gatewayd-token", text);
      else sessionStorage.removeItem("gatewayd-token");
    } catch { /* kept in memory */ }
  },
};

export async function ask(path, options = {}) {
  const token = keep.get();
  const headers = token ? { Authorization: "Bearer " + token } : {};
  if (options.method === "POST") headers["Content-Type"] = "application/json";
  const response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "same-origin",
                                       redirect: "error", referrerPolicy: "no-referrer" });
  if (response.status === 401) throw new Refused(token ? "The gateway does not know this token." : "");
  if (!response.ok) throw new Error(await complaint(response));
  return response;
}

async function complaint(response) {
  let text = "";
  try {
    const body = await response.json();
    text = body.error && body.error.message ? body.error.message : typeof body.error === "string" ? body.error : "";
  } catch { /* no JSON: the status has to do */ }
  return text || "The gateway answered " + response.status + ".";
}

/* The documents of the stream, one by one. */
export async function* documents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).replace(/\r\n/g, "\n").split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
      if (data.trim()) yield JSON.parse(data);
    }
  }
}

/* Tokens. */

export function wantToken(why) {
  page.needsToken = true;
  keep.set("");
  if (page.stream) page.stream.abort();
  put(by("login-wrong"), why);
  by("login-wrong").hidden = !why;
  by("token").value = "";
  if (!by("login").open) by("login").showModal();
  by("token").focus();
}

by("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = by("token").value.trim();
  if (!token) return;
  /* What a header can not carry is no token; fetch would not even send it. */
  if (!/^[\x21-\x7e]+$/.test(token)) return wantToken("A token is made of visible ASCII characters only.");
  keep.set(token);
  by("token").value = "";
  by("login").close();
  page.needsToken = false;
  page.follow();
});
by("login-no").addEventListener("click", () => by("login").close());
by("forget").addEventListener("click", () => {
  keep.set("");
  location.reload();
});
