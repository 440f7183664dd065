#ifndef GATEWAYD_HOOK_H
#define GATEWAYD_HOOK_H

/*
 * Hooks: URLs that are told of events (`notify:`). The steward follows the event rings and posts what a hook asked for,
 * one document at a time, again after a growing pause until it is taken. Nothing waits for a hook: not a request, not
 * a probe, not another hook.
 */

#include "gatewayd/process.h"

struct hooks;

/*
 * One for the process, from its start on: what happened before its slot was taken is its predecessor's to tell, and
 * what happens after a steward of a newer configuration has started is that one's. `*out` is NULL when the
 * configuration has no hooks, which every other function accepts. 0 or -ENOMEM.
 */
int hook_open(struct hooks **out, struct process *process);
void hook_close(struct hooks *hooks);

/* Begin and report transfers; before the loop sleeps. */
void hook_turn(struct hooks *hooks);

/* The process is about to end: tell what has happened until now, and call `empty` when all of it was told or after
 * `at_most_ms`, be it from within this call. */
void hook_finish(struct hooks *hooks, uint32_t at_most_ms, void (*empty)(void));

#endif
