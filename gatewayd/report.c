#include "gatewayd/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "gatewayd/log.h"

/* Written under another name and renamed, so that a reader sees one report or the other. */

static void replace(const char *state, const char *file, const struct conf_problems *problems, const char *lines)
{
    char path[4096], temporary[4096 + 8];
    if (snprintf(path, sizeof path, "%s.report", state) >= (int)sizeof path)
        return;
    snprintf(temporary, sizeof temporary, "%s.new", path);
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    FILE *stream = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (stream) {
        if (problems)
            conf_problems_print(problems, file, stream);
        if (lines)
            fputs(lines, stream);
        if (fclose(stream) == 0 && rename(temporary, path) == 0)
            return;
    } else if (fd >= 0) {
        close(fd);
    }
    log_warn("cannot write %s: %s", path, strerror(errno));
    unlink(temporary);
}

void report_write(const char *state, const char *file, const struct conf_problems *problems)
{
    replace(state, file, problems, NULL);
}

void report_lines(const char *state, const char *lines)
{
    replace(state, NULL, NULL, lines);
}
