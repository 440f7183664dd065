/*
 * The access log: bulk, gathered in one buffer and written with few calls, and never worth waiting for.
 */

#include "gatewayd/log_internal.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ACCESS_BUFFER = 64 * 1024 };

static struct {
    struct sink sink;
    char path[PATH_MAX]; /* to reopen; empty for stdout */
    char data[ACCESS_BUFFER];
    size_t len;
    bool midline;  /* the last byte written was not the end of a line */
    bool torn;     /* and the rest of that line was given up */
    uint64_t lost; /* lines, since it was last in order */
} access_log;

static void use(struct sink sink)
{
    log_access_flush();
    sink_close(&access_log.sink);
    access_log.sink = sink;
    access_log.midline = access_log.torn = false;
}

int log_access_open(const char *where)
{
    struct sink sink = {SINK_OFF, -1, false};
    const char *path = "";
    int r = 0;

    log_ignore_sigpipe();
    if (strcmp(where, "stdout") == 0) {
        r = sink_replace(&sink, STDOUT_FILENO);
    } else if (strcmp(where, "off") != 0) {
        path = where;
        r = strlen(path) < sizeof(access_log.path) ? sink_open(path, &sink) : -ENAMETOOLONG;
    }
    if (r < 0)
        return r;
    use(sink);
    snprintf(access_log.path, sizeof(access_log.path), "%s", path);
    return 0;
}

int log_access_reopen(void)
{
    struct sink sink = {SINK_OFF, -1, false};
    int r;

    if (access_log.sink.kind == SINK_OFF || access_log.path[0] == '\0')
        return 0;
    r = sink_open(access_log.path, &sink);
    if (r < 0)
        return r;
    use(sink);
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
        n = sink_write(&access_log.sink, "\n", 1);
        if (n == 1)
            access_log.midline = access_log.torn = false;
    }
    while (n >= 0 && done < access_log.len) {
        const char *data = access_log.data + done;
        n = sink_write(&access_log.sink, data, sink_piece(&access_log.sink, data, access_log.len - done));
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
    log_tell_held(false);
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
    log_tell_held(true);
}
