/*
 * The one sentence: whether anything can be served, and by whom not.
 */

import { page } from "./dashboard_link.js";
import { by, make, many, mark, percent, put, real, shape, stateOf, usable, whole } from "./dashboard_text.js";
import { Wait } from "./dashboard_wait.js";

const verdictWait = new Wait("", "a moment");

function judge({ endpoints, summary }) {
  const out = endpoints.filter((row) => !usable(row.state));
  if (summary.serving && out.length === 0) {
    const ill = endpoints.filter((row) => row.state !== "healthy");
    return { tone: ill.length ? "care" : "good", shape: ill.length ? "triangle" : "check",
             headline: "Requests are served.",
             because: ill.length ? listed(ill) : endpoints.length === 1 ? "The one endpoint is healthy." :
                      "All " + endpoints.length + " endpoints are healthy." };
  }
  if (summary.serving)
    return { tone: "care", shape: "triangle",
             headline: "Requests are served, by " + summary.usable + " of " + many(summary.endpoints, "endpoint") + ".",
             because: listed(out) };
  if (summary.workers === 0)
    return { tone: "bad", shape: "cross", headline: "Nothing can be served.", because: "No worker is running." };
  return { tone: "bad", shape: "cross", headline: "Nothing can be served.",
           because: endpoints.length === 0 ? "No endpoint is configured." : listed(out),
           soonest: out.filter((row) => row.until_ms > 0).sort((a, b) => a.until_ms - b.until_ms)[0] };
}

function listed(list) {
  const worst = [...list].sort((a, b) => stateOf(b.state).weight - stateOf(a.state).weight);
  const told = worst.slice(0, 4).map((row) => row.name + " is " + stateOf(row.state).word);
  if (list.length > 4) told.push((list.length - 4) + " more are not well");
  const end = told.pop();
  return (told.length ? told.join(", ") + " and " : "") + end + ".";
}

const soonText = make("span", "");
const becauseText = document.createTextNode("");
by("because").append(becauseText, soonText, verdictWait.node);

export function showVerdict(status) {
  const verdict = judge(status);
  by("verdict").className = "verdict tone-" + verdict.tone;
  if (by("mark").dataset.shape !== verdict.shape) {
    by("mark").dataset.shape = verdict.shape;
    by("mark").replaceChildren(shape(verdict.shape));
  }
  put(by("headline"), verdict.headline);
  if (becauseText.data !== verdict.because) becauseText.data = verdict.because;
  put(soonText, verdict.soonest ? " The next try, of " + verdict.soonest.name + ", may be in " : "");
  verdictWait.set(verdict.soonest ? verdict.soonest.until_ms : 0);
  showFacts(status.summary);
  showTitle(status.summary);
}

const facts = new Map();

function showFacts(summary) {
  const told = { "of tries good": percent(real(summary.success_rate)), "tries since start": whole(summary.requests),
                 "waiting": whole(summary.parked), "workers": whole(summary.workers),
                 "generation": summary.master ? whole(summary.generation) : "no master" };
  for (const [title, text] of Object.entries(told)) {
    if (!facts.has(title)) {
      facts.set(title, make("dd", ""));
      by("facts").append(make("div", "", make("dt", "", title), facts.get(title)));
    }
    put(facts.get(title), text);
  }
}

/* A tab that nobody looks at still tells, in shape and in words. */
export function showTitle(summary) {
  const { serving, usable: left, endpoints } = summary;
  const words = !serving ? "■ nothing served" : (left < endpoints ? "▲ " : "● ") + left + "/" + endpoints;
  const title = (page.stale ? "… not live" : words) + " – gatewayd " + location.hostname;
  if (document.title !== title) document.title = title;
}
