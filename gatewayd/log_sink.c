/*
 * A pipe or terminal is opened a second time for not blocking, because O_NONBLOCK on the description that is shared
 * would be imposed on every other process that has it. Where that is not permitted, it is asked before each write; two
 * who ask at once may then both be told yes.
 */

#include "gatewayd/log_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static enum sink_kind kind_of(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return SINK_OFF;
    if (S_ISSOCK(st.st_mode))
        return SINK_SOCKET;
    return S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode) ? SINK_PIPE : SINK_FILE;
}

int sink_open(const char *path, struct sink *sink)
{
    /* Not through a link: the directory may be its writer's, and root opens the file. */
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0640);

    if (fd < 0)
        return -errno;
    *sink = (struct sink){kind_of(fd), fd, false};
    return 0;
}

int sink_replace(struct sink *sink, int fd)
{
    enum sink_kind kind = kind_of(fd);
    char again[32];
    int own = -1;

    snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
    if (kind == SINK_PIPE)
        own = open(again, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool shared = kind == SINK_PIPE && own < 0;
    /* A file must be written at the offset that its description shares with others; a socket has flags on each call. */
    if (own < 0)
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        return -errno;
    sink_close(sink);
    *sink = (struct sink){kind, own, shared};
    return 0;
}

bool sink_is(const struct sink *sink, int fd)
{
    struct stat own, other;

    return sink->kind != SINK_OFF && fstat(sink->fd, &own) == 0 && fstat(fd, &other) == 0 &&
           own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

void sink_close(struct sink *sink)
{
    if (sink->kind != SINK_OFF)
        close(sink->fd);
    *sink = (struct sink){SINK_OFF, -1, false};
}

size_t sink_piece(const struct sink *sink, const char *data, size_t len)
{
    const char *newline;

    if (sink->kind == SINK_FILE || len <= PIPE_BUF)
        return len;
    newline = memrchr(data, '\n', PIPE_BUF);
    if (newline == NULL)
        newline = memchr(data, '\n', len);
    return newline != NULL ? (size_t)(newline - data) + 1 : len;
}

ssize_t sink_write(const struct sink *sink, const char *data, size_t len)
{
    struct pollfd ready = {.fd = sink->fd, .events = POLLOUT, .revents = 0};
    ssize_t n;

    if (sink->shared && poll(&ready, 1, 0) <= 0)
        return -EAGAIN;
    do {
        n = sink->kind == SINK_SOCKET ? send(sink->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                      : write(sink->fd, data, len);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}
