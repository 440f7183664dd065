/*
 * The orders that can be given, and the question before each.
 */

import { ask, page, Refused, wantToken } from "./dashboard_link.js";
import { by, make, many, put, usable, wordOf } from "./dashboard_text.js";

/* Orders. Each says what it will do, and how the command line is told the same. */

const quoted = (name) => (/^[\w./:@-]+$/.test(name) ? name : "'" + name.replaceAll("'", "'\\''") + "'");

export const orders = {
  reset: {
    verb: "Reset", of: "breaker", command: "breaker reset",
    effects: (who, all) => ["Closes the breaker of " + who + all + " and forgets its failures.",
                            "Requests go to it at once; what is in flight now can not open it again.",
                            "Waits that the upstream asked for stay."],
  },
  clear: {
    verb: "Clear wait", of: "cooldown", command: "cooldown clear",
    effects: (who, all) => ["Forgets the waits of " + who + all + ".",
                            "It is asked again at once, earlier than the upstream wished."],
  },
  open: {
    verb: "Hold open", of: "breaker", command: "breaker open", grave: true,
    timed: true,
    effects: (who, all) => ["Holds the breaker of " + who + all + " open: no new request goes there.",
                            "It stays so until then, or until it is set to automatic or reset."],
  },
  close: {
    verb: "Hold closed", of: "breaker", command: "breaker close", grave: true,
    effects: (who, all) => ["Holds the breaker of " + who + all + " closed: requests go there, however many fail."],
  },
  auto: {
    verb: "Automatic", of: "breaker", command: "breaker auto",
    effects: (who, all) => ["Takes back a hold of " + who + all + ": the breaker is closed and acts by itself again."],
  },
  drain: {
    verb: "Drain", of: "endpoint", command: "drain", grave: true,
    effects: (who) => ["Sends " + who + " no new requests; those in flight finish.",
                       "It stays drained over restarts, until it is enabled."],
  },
  enable: {
    verb: "Enable", of: "endpoint", command: "enable",
    effects: (who) => ["Sends " + who + " requests again, as its state allows."],
  },
};

/* How many would be left: the one thing to know before taking an endpoint out. */
function warning(order, name) {
  const rows = page.status ? page.status.endpoints : [];
  if ((order !== orders.drain && order !== orders.open) || name.includes("/")) return [];
  const left = rows.filter((row) => row.name !== name && usable(row.state)).length;
  return [left === 0 ? "Nothing else can be tried: requests would not be served." :
          many(left, "other endpoint") + " can be tried."];
}

const asking = { order: null, name: "", names: [], busy: false };

/* An account cools whatever uses it, so the wait of an endpoint that waits for its `account` is cleared there too. */
export function confirm(key, name, models, account = "") {
  const order = orders[key];
  const names = key === "clear" && account && account !== name ? [name, account] : [name];
  const all = (models > 0 ? " and of its " + (models === 1 ? "model" : models + " models") : "") +
              (names.length > 1 ? ", and of account " + account + " (other endpoints may share it)" : "");
  Object.assign(asking, { key, order, name, names, busy: false });
  put(by("ask-title"), order.verb + " " + name + "?");
  by("ask-effects").replaceChildren(...[...order.effects(name, all), ...warning(order, name)].map((text) =>
    make("li", "", text)));
  by("ask-for-label").hidden = !order.timed;
  by("ask-for").value = "";
  showCommand();
  put(by("ask-yes"), order.verb);
  by("ask-yes").className = order.grave ? "main grave" : "main";
  by("ask-yes").disabled = false;
  by("ask-wrong").hidden = true;
  by("ask").showModal();
  by("ask-no").focus();
}

function showCommand() {
  const time = by("ask-for").value;
  put(by("ask-command"), asking.names.map((name) => "gatewayctl " + asking.order.command + " " + quoted(name) +
      (time ? " --for " + time : "")).join(" && "));
}

by("ask-for").addEventListener("change", showCommand);
by("ask-no").addEventListener("click", () => by("ask").close());
by("ask-yes").addEventListener("click", async () => {
  if (asking.busy) return;
  asking.busy = true;
  by("ask-yes").disabled = true;
  try {
    const changed = [];
    for (const name of asking.names) changed.push(...await give(name));
    by("ask").close();
    toast(outcome(asking, changed));
    page.look();
  } catch (error) {
    if (error instanceof Refused) {
      by("ask").close();
      return wantToken(error.message);
    }
    put(by("ask-wrong"), error instanceof TypeError ? "The gateway could not be reached. Look again before you " +
        "repeat this." : error.message);
    by("ask-wrong").hidden = false;
    by("ask-yes").disabled = false;
  } finally {
    asking.busy = false;
  }
});

/* What the order changed. With its slashes encoded a name is one part of the path, and leads nowhere else. */
async function give(name) {
  const path = "api/" + asking.order.of + "/" + encodeURIComponent(name) + "/" + asking.key +
               (by("ask-for").value ? "?for=" + by("ask-for").value : "");
  const response = await ask(path, { method: "POST", body: "{}" });
  const document = await response.json().catch(() => ({}));
  return (document.changed || []).filter((change) => change.from !== change.to);
}

function outcome({ order, name }, changed) {
  if (changed.length === 0) return order.verb + " " + name + ": done, nothing was different.";
  const told = changed.slice(0, 3).map((change) => change.name + " " + wordOf(change.from) + " → " + wordOf(change.to));
  return told.join(", ") + (changed.length > 3 ? " and " + (changed.length - 3) + " more" : "") + ".";
}

let toastTimer = 0;
function toast(text) {
  by("toast").hidden = false;
  put(by("toast"), text);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { by("toast").hidden = true; }, 6000);
}
