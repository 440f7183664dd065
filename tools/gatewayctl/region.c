/*
 * A region is believed when it belongs to root, to the caller or to the user whose workers made it. Who that is follows
 * from where the file stands: a directory that nobody else can write to holds nothing that its owner did not put there.
 * Only in a directory that others can write to is the workers' user asked for by name.
 */

#include "tools/gatewayctl/region.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gatewayd/conf.h"
#include "libshm/clock.h"
#include "libshm/slot.h"
#include "tools/gatewayctl/out.h"

static const char system_path[] = "/run/gatewayd/state";

static int use_path(const char *from, char path[REGION_PATH_SIZE])
{
    if ((size_t)snprintf(path, REGION_PATH_SIZE, "%s", from) < REGION_PATH_SIZE)
        return 0;
    out_say("the region's path is too long; name a shorter one with --state");
    return CTL_NO_REGION;
}

static int path_from_config(const char *file, char path[REGION_PATH_SIZE])
{
    struct conf_problems problems = {0};
    struct conf *conf = NULL;
    int result = conf_load(file, &conf, &problems);
    if (result == 0) {
        result = use_path(conf->state, path);
        conf_free(conf);
    } else {
        conf_problems_print(&problems, file, stderr);
        out_say("%s does not say where the region is; correct it, or name the region with --state", file);
        result = CTL_NO_REGION;
    }
    conf_problems_fini(&problems);
    return result;
}

int region_path(const struct ctl *ctl, char path[REGION_PATH_SIZE])
{
    const char *environment = getenv("GATEWAYD_STATE");
    if (ctl->state)
        return use_path(ctl->state, path);
    if (environment && *environment)
        return use_path(environment, path);
    if (ctl->config)
        return path_from_config(ctl->config, path);
    if (conf_default_state(path, REGION_PATH_SIZE)) {
        /* Someone who runs no gateway of his own means the system's. */
        if (access(path, F_OK) != 0 && access(system_path, F_OK) == 0)
            return use_path(system_path, path);
        return 0;
    }
    out_say("there is no default place for the region here; name it with --state");
    return CTL_NO_REGION;
}

static uint32_t workers_user(void)
{
    const struct passwd *entry = getpwnam("gatewayd");
    if (!entry)
        entry = getpwnam("nobody");
    return entry ? entry->pw_uid : geteuid();
}

/* Besides root and the caller, the one user whose file at `path` is to be believed. */
static uint32_t trusted_owner(const char *path)
{
    char directory[REGION_PATH_SIZE];
    struct stat file, place;
    const char *slash = strrchr(path, '/');
    int length = slash ? (int)(slash - path) + 1 : 1;
    snprintf(directory, sizeof(directory), "%.*s", length, slash ? path : ".");
    if (lstat(path, &file) != 0 || stat(directory, &place) != 0)
        return workers_user();
    bool closed = (place.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    bool sound = place.st_uid == 0 || place.st_uid == geteuid() || place.st_uid == file.st_uid;
    return closed && sound ? file.st_uid : workers_user();
}

int region_open_quietly(const char *path, enum gws_access access, struct gws_region *region, struct gws_fault *fault)
{
    fault->text[0] = '\0';
    return gws_region_open(region, path, access, trusted_owner(path), fault);
}

/* Open it; when that fails the fault holds the sentence to say. */
static int open_or_explain(const char *path, enum gws_access access, struct gws_region *region, struct gws_fault *fault)
{
    int result = region_open_quietly(path, access, region, fault);
    if (result == 0)
        return 0;
    if (result == GWS_OPEN_NONE)
        snprintf(fault->text, sizeof(fault->text),
                 "there is no region at %.400s; start gatewayd, or name another with --state or -c CONFIG", path);
    else if (!fault->text[0])
        snprintf(fault->text, sizeof(fault->text), "%s", strerror(-result));
    return CTL_NO_REGION;
}

int region_open(const char *path, enum gws_access access, struct gws_region *region)
{
    struct gws_fault fault;
    int status = open_or_explain(path, access, region, &fault);
    if (status != 0)
        out_say("%s", fault.text);
    return status;
}

int region_enter_at(const char *path, enum gws_access access, struct gws_region *region, struct gws_fault *fault)
{
    int status = open_or_explain(path, access, region, fault);
    if (status != 0 || access == GWS_LOOK)
        return status;

    int result = gws_slot_guest(region, path, gws_clock_ms(region));
    if (result == 0)
        return 0;
    if (result == -EAGAIN)
        snprintf(fault->text, sizeof(fault->text), "too many tools are changing %.400s at this moment; try again",
                 path);
    else
        snprintf(fault->text, sizeof(fault->text), "cannot take a slot in %.400s: %s; try again", path,
                 strerror(-result));
    gws_region_close(region);
    return CTL_NO_REGION;
}

int region_enter(const struct ctl *ctl, enum gws_access access, struct gws_region *region)
{
    char path[REGION_PATH_SIZE];
    struct gws_fault fault;
    int status = region_path(ctl, path);
    if (status != 0)
        return status;
    status = region_enter_at(path, access, region, &fault);
    if (status != 0)
        out_say("%s", fault.text);
    return status;
}

bool region_follow(const char *path, const struct gws_region *region, struct gws_region *next)
{
    struct stat named, mapped;
    struct gws_fault fault;
    if (stat(path, &named) != 0 || fstat(region->fd, &mapped) != 0)
        return false;
    if (named.st_ino == mapped.st_ino && named.st_dev == mapped.st_dev)
        return false;
    return region_open_quietly(path, GWS_LOOK, next, &fault) == 0;
}

int region_master(const char *path, int32_t *pid)
{
    /* A master that has just begun holds the lock before its pid stands in the file. */
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    int32_t holder = gws_lock_holder(path);
    for (int i = 0; i < 50 && holder < 0; i++) {
        nanosleep(&pause, NULL);
        holder = gws_lock_holder(path);
    }
    if (holder > 0) {
        *pid = holder;
        return 0;
    }
    char lock[REGION_PATH_SIZE + 8];
    snprintf(lock, sizeof(lock), "%s.lock", path);
    if (holder < 0) {
        out_say("gatewayd holds %s but its pid is not there; signal it by hand", lock);
        return CTL_NO;
    }
    if (access(lock, R_OK) != 0 && errno == EACCES) {
        out_say("not permitted to read %s, which names the daemon; run as root or as the user it runs as", lock);
        return CTL_NO_REGION;
    }
    out_say("gatewayd is not running (nobody holds %s)", lock);
    return CTL_NO;
}

void region_leave(struct gws_region *region)
{
    if (region->slot >= 0)
        gws_slot_leave(region);
    gws_region_close(region);
}

int region_select(struct names *names, const char *name, unsigned kinds)
{
    char why[NAMES_WHY_SIZE];
    if (names_select(names, name, kinds, why, sizeof(why)) == 0)
        return 0;
    out_say("%s", why);
    return CTL_NO_NAME;
}
