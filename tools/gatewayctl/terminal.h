#ifndef GATEWAYCTL_TERMINAL_H
#define GATEWAYCTL_TERMINAL_H

/*
 * The terminal, by ncurses: shows a screen drawn in memory, tells keys, and is left as it was found, however the
 * process ends. There is one, so nothing names it. Only what differs from the screen before is sent, at once, so
 * nothing flickers.
 */

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "tools/gatewayctl/screen.h"

/* Take the terminal over. 0, or 1 with a sentence in `why` when there is none, or none that can do it. */
int terminal_open(char *why, size_t size);
/* Give it back; may be called when it is not open. */
void terminal_close(void);

/* The sentence to say should the process die of reading a file that was cut short under it. Not copied. */
void terminal_fear(const char *last_words, int status);

void terminal_size(int *width, int *height);
bool terminal_unicode(void);

void terminal_show(const struct screen *screen);

/* Wait for a key, for at most so long, while `mask` is the signal mask: 1 when there may be one, 0 when not, negative
 * when the terminal has gone. */
int terminal_wait(int ms, const sigset_t *mask);

/* The next key: a byte, or one of enum top_key; negative: none. */
int terminal_key(void);

#endif
