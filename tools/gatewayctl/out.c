/*
 * Everything goes through stdio, whose errors are looked at once, at the end: a full disk or a reader who left turns a
 * success into a "no". Colors are only for a terminal whose owner has not asked for none (NO_COLOR).
 */

#include "tools/gatewayctl/out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/gatewayctl/command.h"

/* A message is one line: whatever an argument brings along, nothing in it starts another. */
static void say(const char *tail, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void say(const char *tail, const char *format, va_list args)
{
    char line[1024];
    vsnprintf(line, sizeof(line), format, args);
    show_clean(line);
    fprintf(stderr, "gatewayctl: %s%s\n", line, tail);
}

void out_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

int out_usage(const char *command, const char *format, ...)
{
    char tail[96];
    snprintf(tail, sizeof(tail), "; see gatewayctl help%s%s", command ? " " : "", command ? command : "");
    va_list args;
    va_start(args, format);
    say(tail, format, args);
    va_end(args);
    return CTL_USAGE;
}

static void print_json(json_t *document, size_t flags)
{
    show_must(document);
    errno = 0;
    /* Only memory can fail here without leaving its mark on the stream. */
    if (json_dumpf(document, stdout, flags | JSON_REAL_PRECISION(6)) != 0 && !ferror(stdout))
        show_must(NULL);
    fputc('\n', stdout);
    json_decref(document);
}

void out_json(json_t *document)
{
    print_json(document, JSON_INDENT(2));
}

void out_json_line(json_t *document)
{
    print_json(document, JSON_COMPACT);
}

/* Why the first flush that failed did; what it could not write is gone, and the last one has nothing to fail with. */
static int flush_error;

bool out_flush(void)
{
    if (fflush(stdout) != 0 && flush_error == 0)
        flush_error = errno;
    return !ferror(stdout);
}

int out_finish(int status)
{
    bool bad = ferror(stdout) != 0;
    int error = flush_error;
    errno = 0;
    if (fflush(stdout) != 0 || fclose(stdout) != 0) {
        bad = true;
        error = error ? error : errno;
    }
    if (!bad)
        return status;
    if (error != EPIPE)
        out_say("cannot write the answer to standard output%s%s; what was asked for may still have been done",
                error ? ": " : "", error ? strerror(error) : "");
    return status == CTL_DONE ? CTL_NO : status;
}

/* Terminal columns of clean text: one per code point. */
static size_t width(const char *text)
{
    size_t columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

void out_table_init(struct out_table *table, const char *const *heads, size_t columns, unsigned right)
{
    *table = (struct out_table){.heads = heads, .columns = columns, .right = right};
}

void out_cell(struct out_table *table, enum out_color color, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    show_clean(text);

    if (table->count == table->size) {
        size_t size = table->size ? table->size * 2 : 64;
        table->cells = show_must(reallocarray(table->cells, size, sizeof(*table->cells)));
        table->size = size;
    }
    struct str copy = arena_copy(&table->arena, str_of(text));
    table->cells[table->count++] = (struct out_cell){show_must((void *)(uintptr_t)copy.at), color};
}

static bool colored(void)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static void print_cell(const struct out_table *table, size_t column, struct out_cell cell, size_t room, bool color)
{
    static const char *const codes[] = {"", "\033[32m", "\033[33m", "\033[31m", "\033[2m"};
    bool right = table->right >> column & 1;
    bool last = column + 1 == table->columns;
    size_t own = width(cell.text);
    int pad = (int)(room - own);
    bool paint = color && cell.color != OUT_PLAIN;
    printf("%*s%s%s%s%*s", right ? pad : 0, "", paint ? codes[cell.color] : "", cell.text, paint ? "\033[0m" : "",
           right || last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", stdout);
}

void out_table_print(const struct out_table *table)
{
    size_t room[OUT_COLUMNS_MAX];
    for (size_t i = 0; i < table->columns; i++)
        room[i] = width(table->heads[i]);
    for (size_t i = 0; i < table->count; i++) {
        size_t own = width(table->cells[i].text);
        size_t *column = &room[i % table->columns];
        *column = own > *column ? own : *column;
    }
    bool color = colored();
    for (size_t i = 0; i < table->columns; i++)
        print_cell(table, i, (struct out_cell){table->heads[i], OUT_DIM}, room[i], color);
    for (size_t i = 0; i < table->count; i++)
        print_cell(table, i % table->columns, table->cells[i], room[i % table->columns], color);
}

void out_table_fini(struct out_table *table)
{
    free(table->cells);
    arena_fini(&table->arena);
    *table = (struct out_table){0};
}
