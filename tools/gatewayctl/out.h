#ifndef GATEWAYCTL_OUT_H
#define GATEWAYCTL_OUT_H

/*
 * What the user sees: answers on stdout (aligned tables, or one JSON document), messages on stderr in one line. The
 * tool has nothing to do without memory, so running out of it ends the process here instead of travelling through every
 * caller.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatewayd/buf.h"
#include "gatewayd/show.h"

/* "gatewayctl: ...\n" on stderr, one line whatever the arguments hold. */
void out_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for a mistake in the command line, ending in where to look; returns CTL_USAGE. `command` may be NULL. */
int out_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Print a document on stdout and release it; NULL (memory is out) ends the process. */
void out_json(json_t *document);
/* The same in one line, handed on at once. */
void out_json_line(json_t *document);

/* Push everything out; when that fails says so and turns CTL_DONE into CTL_NO. A reader who left is no news to him. */
int out_finish(int status);
/* Push out what was printed so far; false when nobody can take it any more. */
bool out_flush(void);

enum out_color { OUT_PLAIN, OUT_GREEN, OUT_YELLOW, OUT_RED, OUT_DIM };

enum { OUT_COLUMNS_MAX = 12 };

struct out_cell {
    const char *text;
    enum out_color color;
};

/* A table of cells, written row by row and printed when all widths are known. */
struct out_table {
    const char *const *heads;
    size_t columns;
    unsigned right; /* bit per column: numbers stand to the right */
    struct out_cell *cells;
    size_t count;
    size_t size;
    struct arena arena;
};

void out_table_init(struct out_table *table, const char *const *heads, size_t columns, unsigned right);
/* Append the next cell. Control characters are shown as "?": what a name holds must not steer the terminal. */
void out_cell(struct out_table *table, enum out_color color, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void out_table_print(const struct out_table *table);
void out_table_fini(struct out_table *table);

#endif
