#ifndef GATEWAYCTL_SCREEN_H
#define GATEWAYCTL_SCREEN_H

/*
 * A screen in memory: a grid of cells that is drawn as a whole and shown by whoever has a terminal (terminal.h). What
 * is drawn can so be tested to the cell without one. Everything outside the grid is cut off, and so is a text that is
 * longer than its room: its last column says that there was more.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A color and any of the marks. */
enum screen_paint {
    SCREEN_PLAIN = 0,
    SCREEN_GREEN = 1,
    SCREEN_YELLOW = 2,
    SCREEN_RED = 3,
    SCREEN_CYAN = 4,
    SCREEN_COLOR = 0x0f,
    SCREEN_BOLD = 0x10,
    SCREEN_DIM = 0x20,
    SCREEN_REVERSE = 0x40
};

struct screen_cell {
    uint32_t rune; /* one code point */
    unsigned paint;
};

struct screen {
    int width;
    int height;
    bool unicode; /* whether more than ASCII can be shown */
    struct screen_cell *cells;
};

enum { SCREEN_SIDE_MAX = 1000 };

/* Sides are brought into 1 to SCREEN_SIDE_MAX. All blank. */
void screen_init(struct screen *screen, int width, int height, bool unicode);
void screen_fini(struct screen *screen);
void screen_clear(struct screen *screen);

/* The cell, or NULL outside. */
struct screen_cell *screen_cell(const struct screen *screen, int row, int column);

/* Write into at most `room` columns from there. What is not printable is written as "?". Returns the columns used. */
int screen_text(struct screen *screen, int row, int column, int room, unsigned paint, const char *text);
/* The same at the right end of the room; returns nothing, since it fills all of it. */
void screen_right(struct screen *screen, int row, int column, int room, unsigned paint, const char *text);
int screen_print(struct screen *screen, int row, int column, int room, unsigned paint, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Add marks to a whole row. */
void screen_mark(struct screen *screen, int row, unsigned paint);

/* Columns of a text: one per code point. */
int screen_columns(const char *text);

/*
 * A line of small bars, one column per point, the newest at the right: the last `room` of them. Points below 0 are not
 * known and stay blank. The tallest bar is the largest of all `count` points, so that a narrower view is to scale.
 */
void screen_bars(struct screen *screen, int row, int column, int room, unsigned paint, const double *points,
                 size_t count);

/* One row as text without its blank end, in UTF-8; to be freed. */
char *screen_row_text(const struct screen *screen, int row);

#endif
