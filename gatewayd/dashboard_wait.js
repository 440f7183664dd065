import { make, put, span } from "./dashboard_text.js";

/* Waits. A deadline is moved only when it really is another, so that seconds go by evenly. */

export const waits = new Set();

export class Wait {
  /* `over`: what it says when its time is up and nothing else was heard yet; empty: it is not shown then. */
  constructor(className, over = "") {
    this.over = over;
    this.node = make("span", className);
    this.node.hidden = true;
    this.deadline = 0;
  }

  set(ms) {
    const deadline = performance.now() + ms;
    if (!ms) waits.delete(this);
    else waits.add(this);
    if (!ms || !this.deadline || Math.abs(deadline - this.deadline) > 700) this.deadline = ms ? deadline : 0;
    this.tick();
  }

  tick() {
    const left = this.deadline - performance.now();
    const text = left > 0 ? span(left) : this.deadline ? this.over : "";
    this.node.hidden = !text;
    put(this.node, text);
  }
}
