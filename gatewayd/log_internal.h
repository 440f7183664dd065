#ifndef GATEWAYD_LOG_INTERNAL_H
#define GATEWAYD_LOG_INTERNAL_H

/* What the files of the log share; for log*.c alone. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "gatewayd/log.h"

/*
 * Where lines go that many processes write, and none waits for (log_sink.c). Regular files cannot make a writer wait;
 * anything else is written only as far as it takes bytes without blocking.
 */
enum sink_kind {
    SINK_OFF,
    SINK_FILE, /* takes everything at once, or fails */
    SINK_PIPE, /* or terminal: takes whole lines up to PIPE_BUF, or EAGAIN */
    SINK_SOCKET
};

struct sink {
    enum sink_kind kind;
    int fd;
    bool shared; /* its description is shared and may block: ask before writing */
};

/* A file, to append to. 0 or -errno. */
int sink_open(const char *path, struct sink *sink);
/* What this descriptor leads to, in place of what it was before. 0 or -errno, and nothing is changed. */
int sink_replace(struct sink *sink, int fd);
/* Whether it leads where this descriptor does. */
bool sink_is(const struct sink *sink, int fd);
void sink_close(struct sink *sink);

/* How much of the front to write at once: whole lines, and into what others write to as well, a pipe or the socket of a
 * journal, no more than it takes undivided. */
size_t sink_piece(const struct sink *sink, const char *data, size_t len);
/* One write that does not block. Bytes written or -errno. */
ssize_t sink_write(const struct sink *sink, const char *data, size_t len);

/* Say what was held back in seconds that are over; or all of it. */
void log_tell_held(bool all);
/* A reader that went away must be an error of write(), not the end of the process. */
void log_ignore_sigpipe(void);

#endif
