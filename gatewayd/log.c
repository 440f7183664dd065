/*
 * Log lines are formatted on the stack and written at once, with nothing kept in between, so that the last words of a
 * dying process are in the log. Formats are the key under which repetition is noticed: one failing endpoint produces
 * one format a thousand times a second, whatever its arguments are.
 *
 * The access log is the opposite: bulk, gathered in one buffer and written with few calls, and never worth waiting
 * for. Regular files cannot make a writer wait; anything else is written only as far as it takes bytes without
 * blocking. A pipe or terminal on stdout is opened a second time for that, because O_NONBLOCK on the shared
 * description would be imposed on every other process that has it.
 */

#include "gatewayd/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    MESSAGE_MAX = 2048,
    LINE_MAX_BYTES = MESSAGE_MAX * 2, /* with escapes: what does not fit is cut off */
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

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A reader that went away must be an error of write(), not the end of the process. */
static void ignore_sigpipe(void)
{
    struct sigaction action;

    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

void log_setup(enum log_level least, bool json, const char *who)
{
    least_level = least;
    as_json = json;
    snprintf(role, sizeof(role), "%s", who);
    memset(repeats, 0, sizeof(repeats)); /* what a parent held back is the parent's to tell */
    any_held = false;
    unwritten = 0;
    ignore_sigpipe();
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

/* Whoever was to read standard error may have stalled, and no worker waits for that. A line is no longer than what a
 * pipe that is ready takes at once. */
static bool put_line(const char *line, size_t len)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    struct iovec pieces[] = {{(char *)"\n", 1}, {(char *)line, len}};
    const int first = torn ? 0 : 1;
    ssize_t n;

    if (poll(&ready, 1, 0) == 0)
        return false;
    do
        n = writev(STDERR_FILENO, pieces + first, 2 - first);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        torn = n < (ssize_t)len;
    return n >= (ssize_t)len;
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
    char line[LINE_MAX_BYTES], missing[80];

    if (unwritten > 0) {
        snprintf(missing, sizeof(missing), "%u lines were lost: nobody read them, or the disk is full", unwritten);
        if (put_line(line, make_line(line, sizeof(line), LOG_WARN_LEVEL, missing)))
            unwritten = 0;
    }
    if (!put_line(line, make_line(line, sizeof(line), level, message)))
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

enum { ACCESS_BUFFER = 64 * 1024 };

enum sink_kind {
    SINK_OFF,
    SINK_FILE,   /* takes everything at once, or fails */
    SINK_PIPE,   /* or terminal: takes whole lines up to PIPE_BUF, or EAGAIN */
    SINK_SOCKET,
};

struct sink {
    enum sink_kind kind;
    int fd;
    bool shared; /* its description is shared and may block: ask before writing */
};

static struct {
    struct sink sink;
    char path[PATH_MAX]; /* to reopen; empty for stdout */
    char data[ACCESS_BUFFER];
    size_t len;
    bool midline;  /* the last byte written was not the end of a line */
    bool torn;     /* and the rest of that line was given up */
    uint64_t lost; /* lines, since it was last in order */
} access_log;

static enum sink_kind kind_of(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return SINK_OFF;
    if (S_ISSOCK(st.st_mode))
        return SINK_SOCKET;
    return S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode) ? SINK_PIPE : SINK_FILE;
}

static int open_path(const char *path, struct sink *sink)
{
    /* Not through a link: the directory may be its writer's, and root opens the file. */
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0640);

    if (fd < 0)
        return -errno;
    *sink = (struct sink){kind_of(fd), fd, false};
    return 0;
}

static int open_stdout(struct sink *sink)
{
    enum sink_kind kind = kind_of(STDOUT_FILENO);
    int fd = -1;

    if (kind == SINK_PIPE)
        fd = open("/proc/self/fd/1", O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0) {
        *sink = (struct sink){kind, fd, false};
        return 0;
    }
    /* A file must be written at the offset its description shares with stderr; a socket has flags on each call. */
    fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return -errno;
    *sink = (struct sink){kind, fd, kind == SINK_PIPE};
    return 0;
}

static void sink_replace(struct sink sink)
{
    if (access_log.sink.kind != SINK_OFF)
        close(access_log.sink.fd);
    access_log.sink = sink;
    access_log.midline = access_log.torn = false;
}

int log_access_open(const char *where)
{
    struct sink sink = {SINK_OFF, -1, false};
    const char *path = "";
    int r = 0;

    ignore_sigpipe();
    if (strcmp(where, "stdout") == 0) {
        r = open_stdout(&sink);
    } else if (strcmp(where, "off") != 0) {
        path = where;
        r = strlen(path) < sizeof(access_log.path) ? open_path(path, &sink) : -ENAMETOOLONG;
    }
    if (r < 0)
        return r;
    log_access_flush();
    sink_replace(sink);
    snprintf(access_log.path, sizeof(access_log.path), "%s", path);
    return 0;
}

int log_access_reopen(void)
{
    struct sink sink = {SINK_OFF, -1, false};
    int r;

    if (access_log.sink.kind == SINK_OFF || access_log.path[0] == '\0')
        return 0;
    r = open_path(access_log.path, &sink);
    if (r < 0)
        return r;
    log_access_flush();
    sink_replace(sink);
    return 0;
}

int log_access_give(uint32_t uid, uint32_t gid)
{
    struct stat file;

    if (access_log.path[0] != '/' || access_log.sink.fd < 0 || fstat(access_log.sink.fd, &file) != 0 ||
        !S_ISREG(file.st_mode) || file.st_nlink != 1)
        return 0;
    return fchown(access_log.sink.fd, uid, gid) == 0 ? 0 : -errno;
}

bool log_access_enabled(void)
{
    return access_log.sink.kind != SINK_OFF;
}

/* How much of the front to write at once: whole lines, and into what others write to as well, a pipe or the socket of a
 * journal, no more than it takes undivided. */
static size_t piece(const char *data, size_t len)
{
    const char *newline;

    if (access_log.sink.kind == SINK_FILE || len <= PIPE_BUF)
        return len;
    newline = memrchr(data, '\n', PIPE_BUF);
    if (newline == NULL)
        newline = memchr(data, '\n', len);
    return newline != NULL ? (size_t)(newline - data) + 1 : len;
}

/* One write that does not block. Bytes written or -errno. */
static ssize_t sink_write(const char *data, size_t len)
{
    struct pollfd ready = {.fd = access_log.sink.fd, .events = POLLOUT, .revents = 0};
    ssize_t n;

    if (access_log.sink.shared && poll(&ready, 1, 0) <= 0)
        return -EAGAIN;
    do {
        n = access_log.sink.kind == SINK_SOCKET ? send(access_log.sink.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                                : write(access_log.sink.fd, data, len);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void lose(uint64_t lines, const char *why)
{
    bool first = access_log.lost == 0;

    access_log.lost += lines;
    if (first && lines > 0)
        log_warn("access log: lines are being lost (%s): make room or revive its reader", why);
}

static uint64_t gathered_lines(void)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < access_log.len; i++)
        lines += access_log.data[i] == '\n';
    return lines;
}

/* Everything gathered is given up: the sink is not merely slow. */
static void lose_all(int error)
{
    uint64_t lines = gathered_lines();

    access_log.len = 0;
    access_log.torn = access_log.midline;
    lose(lines, strerror(error));
}

static void access_drain(void)
{
    size_t done = 0;
    ssize_t n = 0;

    if (access_log.torn && access_log.len > 0) {
        /* What was cut off by an error gets its line end now, so that it spoils one line and not two. */
        n = sink_write("\n", 1);
        if (n == 1)
            access_log.midline = access_log.torn = false;
    }
    while (n >= 0 && done < access_log.len) {
        n = sink_write(access_log.data + done, piece(access_log.data + done, access_log.len - done));
        if (n > 0) {
            done += (size_t)n;
            access_log.midline = access_log.data[done - 1] != '\n';
        }
    }
    access_log.len -= done;
    memmove(access_log.data, access_log.data + done, access_log.len);
    if (n < 0 && n != -EAGAIN) {
        lose_all((int)-n);
        return;
    }
    if (access_log.lost > 0 && done > 0 && access_log.len == 0) {
        log_warn("access log: written again; %llu lines were lost", (unsigned long long)access_log.lost);
        access_log.lost = 0;
    }
}

void log_access_write(struct str line)
{
    assert(line.len > 0 && line.at[line.len - 1] == '\n');
    if (access_log.sink.kind == SINK_OFF)
        return;
    if (line.len > sizeof(access_log.data) - access_log.len)
        access_drain();
    if (line.len > sizeof(access_log.data) - access_log.len) {
        lose(1, "its reader stalls");
        return;
    }
    memcpy(access_log.data + access_log.len, line.at, line.len);
    access_log.len += line.len;
}

void log_access_flush(void)
{
    if (any_held)
        tell_all_held(clock_ms(CLOCK_MONOTONIC));
    if (access_log.sink.kind != SINK_OFF && access_log.len > 0)
        access_drain();
}

void log_close(void)
{
    log_access_flush();
    access_log.lost += gathered_lines();
    access_log.len = 0;
    if (access_log.lost > 0)
        log_warn("access log: %llu lines were lost, and this process ends", (unsigned long long)access_log.lost);
    access_log.lost = 0;
    for (size_t i = 0; i < FORMATS; i++)
        tell_held(&repeats[i]);
    any_held = false;
}
