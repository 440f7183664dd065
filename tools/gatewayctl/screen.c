/*
 * One code point is one cell. The terminal's own idea of how wide a character is differs from this only for names that
 * nobody gives to an endpoint; terminal.c replaces those, so that columns stay where they are.
 */

#include "tools/gatewayctl/screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatewayd/show.h"

static int bring_into(int side)
{
    return side < 1 ? 1 : side > SCREEN_SIDE_MAX ? SCREEN_SIDE_MAX : side;
}

void screen_clear(struct screen *screen)
{
    for (int i = 0; i < screen->width * screen->height; i++)
        screen->cells[i] = (struct screen_cell){' ', SCREEN_PLAIN};
}

void screen_init(struct screen *screen, int width, int height, bool unicode)
{
    *screen = (struct screen){.width = bring_into(width), .height = bring_into(height), .unicode = unicode};
    screen->cells = show_must(calloc((size_t)(screen->width * screen->height), sizeof(*screen->cells)));
    screen_clear(screen);
}

void screen_fini(struct screen *screen)
{
    free(screen->cells);
    *screen = (struct screen){0};
}

struct screen_cell *screen_cell(const struct screen *screen, int row, int column)
{
    if (row < 0 || row >= screen->height || column < 0 || column >= screen->width)
        return NULL;
    return &screen->cells[row * screen->width + column];
}

static void put(struct screen *screen, int row, int column, unsigned paint, uint32_t rune)
{
    struct screen_cell *cell = screen_cell(screen, row, column);
    if (cell)
        *cell = (struct screen_cell){rune, paint};
}

/* The next code point of a text that show_clean() made printable. */
static uint32_t next_rune(const unsigned char **at)
{
    uint32_t rune = *(*at)++;
    int more = rune < 0x80 ? 0 : rune < 0xe0 ? 1 : rune < 0xf0 ? 2 : 3;
    if (more > 0)
        rune &= 0x3fu >> more;
    for (; more > 0 && **at; more--)
        rune = rune << 6 | (*(*at)++ & 0x3fu);
    return rune;
}

int screen_columns(const char *text)
{
    int columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

static int write_clean(struct screen *screen, int row, int column, int room, unsigned paint, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    bool cut = screen_columns(text) > room;
    int used = 0;
    for (; *at && used < room; used++) {
        uint32_t rune = next_rune(&at);
        if (cut && used == room - 1)
            rune = screen->unicode ? 0x2026 : '~';
        put(screen, row, column + used, paint, rune);
    }
    return used;
}

int screen_text(struct screen *screen, int row, int column, int room, unsigned paint, const char *text)
{
    char *clean = show_must(strdup(text));
    show_clean(clean);
    int used = write_clean(screen, row, column, room, paint, clean);
    free(clean);
    return used;
}

void screen_right(struct screen *screen, int row, int column, int room, unsigned paint, const char *text)
{
    int own = screen_columns(text);
    int blank = own < room ? room - own : 0;
    screen_text(screen, row, column + blank, room - blank, paint, text);
}

int screen_print(struct screen *screen, int row, int column, int room, unsigned paint, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return screen_text(screen, row, column, room, paint, text);
}

void screen_mark(struct screen *screen, int row, unsigned paint)
{
    for (int column = 0; column < screen->width; column++) {
        struct screen_cell *cell = screen_cell(screen, row, column);
        if (cell)
            cell->paint |= paint;
    }
}

enum { BAR_LEVELS = 8 };

/* The lowest bar is nothing at all: whatever happened is seen above it. */
static uint32_t bar(double point, double most, bool unicode)
{
    static const char plain[BAR_LEVELS + 1] = "_.:-=+*#";
    int level = 0;
    if (point > 0 && most > 0)
        level = 1 + (int)(point / most * (BAR_LEVELS - 1) - 0.001);
    level = level > BAR_LEVELS - 1 ? BAR_LEVELS - 1 : level;
    return unicode ? 0x2581 + (uint32_t)level : (uint32_t)plain[level];
}

void screen_bars(struct screen *screen, int row, int column, int room, unsigned paint, const double *points,
                 size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++)
        most = points[i] > most ? points[i] : most;
    size_t shown = room < 0 ? 0 : (size_t)room < count ? (size_t)room : count;
    for (size_t i = 0; i < shown; i++) {
        double point = points[count - shown + i];
        if (point >= 0)
            put(screen, row, column + room - (int)shown + (int)i, point > 0 ? paint : paint | SCREEN_DIM,
                bar(point, most, screen->unicode));
    }
}

static size_t encode(uint32_t rune, char *out)
{
    size_t more = rune < 0x80 ? 0 : rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
    for (size_t i = more; i > 0; i--) {
        out[i] = (char)(0x80 | (rune & 0x3f));
        rune >>= 6;
    }
    out[0] = (char)(leads[more] | rune);
    return more + 1;
}

char *screen_row_text(const struct screen *screen, int row)
{
    char *text = show_must(calloc((size_t)screen->width * 4 + 1, 1));
    size_t length = 0, end = 0;
    for (int column = 0; column < screen->width; column++) {
        const struct screen_cell *cell = screen_cell(screen, row, column);
        length += encode(cell ? cell->rune : ' ', text + length);
        end = cell && cell->rune != ' ' ? length : end;
    }
    text[end] = '\0';
    return text;
}
