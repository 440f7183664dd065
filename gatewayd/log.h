#ifndef GATEWAYD_LOG_H
#define GATEWAYD_LOG_H

/*
 * Lines for the operator on stderr, and the access log. Whoever decides logs, once, with what to do about it. A line
 * is one write(), so that many processes may share the file. Under repetition a line is held back and counted: of one
 * format string ten lines a second are written, the others become "N more like this". A line that a stalled reader or a
 * full disk leaves no room for is lost, and counted, rather than waited for. errno is as it was afterwards. One thread.
 */

#include "gatewayd/str.h"

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARN_LEVEL, LOG_ERROR_LEVEL };

/* `who` is the process's role ("master", "worker 3"), copied; json: one object a line, else text. Also makes the
 * process ignore SIGPIPE, as log_access_open() does. Counts begin anew: after a fork those so far are the parent's. */
void log_setup(enum log_level least, bool json, const char *who);
bool log_is_json(void); /* what log_setup() was told, for lines that are made elsewhere */
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From now on lines of the level error also go, as plain text, to this descriptor; -1: no longer. */
void log_errors_also(int fd);

/* The access log: "stdout", "off" or a path opened O_APPEND; reopened after SIGUSR1. 0 or -errno, and then the log
 * that was open, if any, stays. A process that forks has nothing gathered, or flushes first. */
int log_access_open(const char *where);
int log_access_reopen(void);
/* Give the open file to the user who will reopen it. 0 or -errno; what is no plain file of ours alone stays as it
 * is. */
int log_access_give(uint32_t uid, uint32_t gid);
bool log_access_enabled(void);
/* One whole line, ending in a newline. Lines are gathered and written when the buffer fills or log_access_flush() is
 * called, once per turn of the event loop; a full disk or a reader that stalled for longer than the buffer lasts loses
 * lines, which is said once, and again with their number when it is over. The flush also reports what was held back. */
void log_access_write(struct str line);
void log_access_flush(void);

/* The process ends: what was held back or lost so far is said now. */
void log_close(void);

#endif
