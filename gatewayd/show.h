#ifndef GATEWAYD_SHOW_H
#define GATEWAYD_SHOW_H

/*
 * What everything needs that shows the region to people, in the tool and in the steward. Neither has anything to do
 * without memory (a steward is started again), so running out of it ends the process here instead of travelling through
 * every caller.
 */

/* Returns `memory`, or ends the process when it is NULL. */
void *show_must(void *memory);

/* Replace what is not printable UTF-8 text, in place. */
void show_clean(char *text);

#endif
