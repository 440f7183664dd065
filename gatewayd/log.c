/*
 * Log lines are formatted on the stack and written at once, with nothing kept in between, so that the last words of a
 * dying process are in the log. Formats are the key under which repetition is noticed: one failing endpoint produces
 * one format a thousand times a second, whatever its arguments are.
 */

#include "gatewayd/log_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MESSAGE_MAX = 2048,
    LINE_MAX_BYTES = MESSAGE_MAX * 2, /* with escapes: what does not fit is cut off; a pipe takes so much at once */
    FORMATS = 64,                     /* remembered at once; a power of two */
    REPEATS_MAX = 10,
    REPEAT_MS = 1000,
    SAMPLE_MAX = 160,
};

/* What is known of one format string within its second. */
struct repeat {
    const char *format;
    int64_t since; /* when its second began, monotonic ms */
    unsigned count;
    unsigned held;
    enum log_level level;
    char sample[SAMPLE_MAX]; /* the first line held back */
};

static enum log_level least_level = LOG_INFO_LEVEL;
static bool as_json;
static char role[32] = "gatewayd";
static struct repeat repeats[FORMATS];
static bool any_held;
static unsigned unwritten; /* lines, because nobody reads what is written, or there is no room for it */
static bool torn;          /* of the last line only a part was written */
static int errors_fd = -1;
static struct sink errors = {SINK_OFF, -1, false}; /* standard error, written without waiting */

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void log_ignore_sigpipe(void)
{
    struct sigaction action;

    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

/* It may have been led elsewhere. */
static void follow_stderr(void)
{
    if (!sink_is(&errors, STDERR_FILENO))
        sink_replace(&errors, STDERR_FILENO);
}

void log_setup(enum log_level least, bool json, const char *who)
{
    least_level = least;
    as_json = json;
    snprintf(role, sizeof(role), "%s", who);
    memset(repeats, 0, sizeof(repeats)); /* what a parent held back is the parent's to tell */
    any_held = false;
    unwritten = 0;
    log_ignore_sigpipe();
    follow_stderr(); /* while it may be opened: as the user who started us */
}

bool log_is_json(void)
{
    return as_json;
}

/* "2026-01-31T12:00:00.123Z" */
static void put_time(char out[32])
{
    int64_t now = clock_ms(CLOCK_REALTIME);
    time_t seconds = (time_t)(now / 1000);
    struct tm tm;
    size_t len;

    gmtime_r(&seconds, &tm);
    len = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, 32 - len, ".%03dZ", (int)(now % 1000));
}

static size_t put_json(char *out, size_t room, const char *text)
{
    struct str rest = str_of(text);

    return str_escape_json(&rest, out, room);
}

/* Messages quote what clients and upstreams sent, which must not be able to begin a line or move a cursor. */
static size_t put_text(char *out, size_t room, const char *text)
{
    size_t n = 0;

    for (; text[n] != '\0' && n < room; n++) {
        unsigned char c = (unsigned char)text[n];
        out[n] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    return n;
}

void log_errors_also(int fd)
{
    errors_fd = fd;
}

/* Who listens there wants the words alone, and what cannot be said at once is not worth waiting for. */
static void write_error(const char *message)
{
    char line[MESSAGE_MAX + 1];
    size_t len = put_text(line, sizeof(line) - 1, message);

    line[len++] = '\n';
    while (write(errors_fd, line, len) < 0 && errno == EINTR)
        ;
}

/* Whoever was to read standard error may have stalled, and no worker waits for that. `line` has a line feed before its
 * first byte, for when the line before was not written to its end. */
static bool put_line(const char *line, size_t len)
{
    const char *from = torn ? line - 1 : line;
    size_t whole = len + (torn ? 1 : 0);
    ssize_t n;

    follow_stderr();
    n = sink_write(&errors, from, whole);
    if (n > 0)
        torn = (size_t)n < whole;
    return n == (ssize_t)whole;
}

/* The line's length, with its newline. */
static size_t make_line(char *line, size_t size, enum log_level level, const char *message)
{
    static const char *const upper[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    static const char *const lower[] = {"debug", "info", "warn", "error"};
    char when[32];
    const size_t room = size - 3; /* for what ends a line */
    size_t len;

    put_time(when);
    if (as_json) {
        len = (size_t)snprintf(line, room, "{\"time\":\"%s\",\"level\":\"%s\",\"who\":\"", when, lower[level]);
        len += put_json(line + len, room - len, role);
        len += (size_t)snprintf(line + len, room - len, "\",\"message\":\"");
        len += put_json(line + len, room - len, message);
        line[len++] = '"';
        line[len++] = '}';
    } else {
        len = (size_t)snprintf(line, room, "%s %s %s: ", when, upper[level], role);
        len += put_text(line + len, room - len, message);
    }
    line[len++] = '\n';
    return len;
}

static void write_line(enum log_level level, const char *message)
{
    char room[LINE_MAX_BYTES] = "\n", *line = room + 1, missing[80];
    const size_t size = sizeof(room) - 1;

    if (unwritten > 0) {
        snprintf(missing, sizeof(missing), "%u lines were lost: nobody read them, or the disk is full", unwritten);
        if (put_line(line, make_line(line, size, LOG_WARN_LEVEL, missing)))
            unwritten = 0;
    }
    if (!put_line(line, make_line(line, size, level, message)))
        unwritten++;
    if (level == LOG_ERROR_LEVEL && errors_fd >= 0)
        write_error(message);
}

static void tell_held(struct repeat *r)
{
    char message[SAMPLE_MAX + 64];

    if (r->held == 0)
        return;
    snprintf(message, sizeof(message), "%u more like this: %s", r->held, r->sample);
    r->held = 0;
    write_line(r->level, message);
}

/* Report what was held back in seconds that are over. */
static void tell_all_held(int64_t now)
{
    any_held = false;
    for (size_t i = 0; i < FORMATS; i++) {
        if (repeats[i].held > 0 && now - repeats[i].since >= REPEAT_MS)
            tell_held(&repeats[i]);
        any_held = any_held || repeats[i].held > 0;
    }
}

/* The record of this format in its current second. Two formats in one place evict each other: that lets lines by. */
static struct repeat *repeat_of(enum log_level level, const char *format, int64_t now)
{
    struct repeat *r = &repeats[((uintptr_t)format * UINT64_C(0x9e3779b97f4a7c15)) >> 58];

    _Static_assert(FORMATS == 1 << (64 - 58), "the shift above leaves as many bits as there are places");
    if (r->format != format || now - r->since >= REPEAT_MS) {
        tell_held(r);
        r->format = format;
        r->since = now;
        r->count = 0;
        r->level = level;
    }
    return r;
}

static void __attribute__((format(printf, 2, 0))) log_line(enum log_level level, const char *format, va_list args)
{
    char message[MESSAGE_MAX];
    int saved = errno;
    struct repeat *r;
    int64_t now;

    if (level < least_level)
        return;
    now = clock_ms(CLOCK_MONOTONIC);
    if (any_held)
        tell_all_held(now);
    r = repeat_of(level, format, now);
    if (r->count < REPEATS_MAX) {
        r->count++;
        errno = saved; /* for %m */
        vsnprintf(message, sizeof(message), format, args);
        write_line(level, message);
    } else {
        if (r->held++ == 0) {
            errno = saved;
            vsnprintf(r->sample, sizeof(r->sample), format, args);
        }
        any_held = true;
    }
    errno = saved;
}

#define LOG_FUNCTION(name, level)                                               \
    void name(const char *format, ...)                                          \
    {                                                                           \
        va_list args;                                                           \
        va_start(args, format);                                                 \
        log_line(level, format, args);                                          \
        va_end(args);                                                           \
    }

LOG_FUNCTION(log_debug, LOG_DEBUG_LEVEL)
LOG_FUNCTION(log_info, LOG_INFO_LEVEL)
LOG_FUNCTION(log_warn, LOG_WARN_LEVEL)
LOG_FUNCTION(log_error, LOG_ERROR_LEVEL)

void log_tell_held(bool all)
{
    if (any_held)
        tell_all_held(clock_ms(CLOCK_MONOTONIC));
    for (size_t i = 0; all && i < FORMATS; i++)
        tell_held(&repeats[i]);
    any_held = any_held && !all;
}
