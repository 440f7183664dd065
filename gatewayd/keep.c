#include "gatewayd/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gatewayd/log.h"
#include "libshm/export.h"

/*
 * A region of another version is refused rather than read wrongly; what it knew survives in this text, by name. It is
 * written under another name and renamed, so that a stop that is killed leaves the text of the stop before.
 */

static bool path_of(const char *state, const char *suffix, char *out, size_t size)
{
    return snprintf(out, size, "%s.export%s", state, suffix) < (int)size;
}

static int write_all(const struct gws_region *region, FILE *stream)
{
    struct gws_export_time now;
    gws_export_now(region, &now);
    int rc = gws_export_write(region, stream, &now);
    return fclose(stream) == 0 ? rc : -errno;
}

int keep_write(const struct gws_region *region, const char *state)
{
    char path[4096], temporary[4096];
    if (!path_of(state, "", path, sizeof path) || !path_of(state, ".new", temporary, sizeof temporary))
        return 1;
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    FILE *stream = fd >= 0 ? fdopen(fd, "w") : NULL;
    int rc = stream ? write_all(region, stream) : -errno;
    if (!stream && fd >= 0)
        close(fd);
    if (rc == 0 && rename(temporary, path) != 0)
        rc = -errno;
    if (rc == 0)
        return 0;
    log_warn("cannot write %s: %s", path, strerror(-rc));
    unlink(temporary);
    return 1;
}

void keep_read(struct gws_region *region, const char *state)
{
    char path[4096];
    struct gws_export_time now;
    struct gws_import_counts counts;
    FILE *stream = path_of(state, "", path, sizeof path) ? fopen(path, "re") : NULL;
    if (!stream)
        return;
    gws_export_now(region, &now);
    int rc = gws_export_read(region, stream, &now, &counts);
    fclose(stream);
    if (rc == 0)
        log_info("took up %u facts of the last region from %s", counts.taken, path);
    else
        log_warn("%s could not be read: %s", path, rc > 0 ? "it is no export" : strerror(-rc));
}
