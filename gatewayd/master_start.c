#include "gatewayd/master_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gatewayd/keep.h"
#include "gatewayd/log.h"
#include "gatewayd/statedir.h"
#include "gatewayd/wake.h"
#include "libshm/clock.h"

/*
 * The start. A master that another one started gets the lock, the listeners and the wake-up descriptors from it and
 * leaves its children alone: they are buried by the one that forked them. A region of another layout is not touched
 * either; a new one is made beside it, and takes its place when its workers live.
 */

static int no_region(const struct gws_fault *fault)
{
    log_error("%s", fault->text);
    return 1;
}

static int take_lock(struct master *m, const struct conf *conf)
{
    struct gws_fault fault = {{0}};
    if (!m->inherit->heir) {
        m->nursery.lock_fd = gws_lock_take(conf->state, &fault);
        return m->nursery.lock_fd < 0 ? no_region(&fault) : 0;
    }
    m->nursery.lock_fd = m->inherit->lock_fd;
    if (strcmp(conf->state, m->inherit->state) == 0)
        return 0;
    log_error("`state` cannot change in an upgrade (it is %s); restart gatewayd to move the region", m->inherit->state);
    return 1;
}

static bool beside_of(const char *state, char *out, size_t size)
{
    return snprintf(out, size, "%s.next", state) < (int)size;
}

void master_remove_beside(const char *state)
{
    char path[4096];
    if (beside_of(state, path, sizeof path))
        unlink(path);
}

static int open_beside(struct master *m, const struct conf *conf, const struct gws_owner *owner)
{
    struct gws_fault fault = {{0}};
    struct gws_dims dims = plan_dims(conf);
    if (!beside_of(conf->state, m->entrance, sizeof m->entrance))
        return 1;
    log_info("the region has another layout; a new one takes its place");
    if (gws_region_create(&m->region, m->entrance, &dims, owner, &fault) != 0)
        return no_region(&fault);
    m->made = true;
    gws_region_claim(&m->region, gws_region_claim_next(&m->region, (int32_t)getpid()));
    return master_wait_for_export(m);
}

static int open_region(struct master *m, const struct conf *conf, const struct gws_owner *owner)
{
    struct gws_fault fault = {{0}};
    struct gws_dims dims = plan_dims(conf);
    snprintf(m->entrance, sizeof m->entrance, "%s", conf->state);
    int rc = gws_region_open(&m->region, conf->state, GWS_CHANGE, m->user.uid, &fault);
    if (m->inherit->heir && rc > 0)
        return open_beside(m, conf, owner);
    if (!m->inherit->heir)
        master_remove_beside(conf->state); /* of an heir that died with its starter */
    m->made = rc == GWS_OPEN_NONE || rc == GWS_OPEN_UNREADY;
    if (m->made)
        rc = gws_region_create(&m->region, conf->state, &dims, owner, &fault);
    else if (rc == GWS_OPEN_DONE && gws_region_adopt(&m->region) == 1)
        log_info("the machine was restarted: breakers and cooldowns start afresh");
    return rc == 0 ? 0 : no_region(&fault);
}

static int make_wakes(const struct master *m)
{
    const struct inherit *in = m->inherit;
    bool shared = in->heir && !m->made && in->wake_count == 2 * m->region.dims.slots;
    for (uint32_t i = 0; !shared && i < in->wake_count; i++)
        close(in->wakes[i]);
    int rc = shared ? wake_adopt(in->wakes, in->wake_count) : wake_setup(m->region.dims.slots);
    if (rc != 0)
        log_error("cannot make a descriptor for each of %u processes: %s; raise LimitNOFILE (ulimit -n)",
                  m->region.dims.slots, strerror(-rc));
    return rc;
}

/* They hold their locks for as long as they live. */
int master_find_orphans(struct master *m)
{
    gws_slot_reap_dead(&m->region, gws_clock_ms(&m->region));
    free(m->orphans);
    m->orphan_count = 0;
    m->orphans = calloc(GWS_SLOTS_MAX, sizeof *m->orphans);
    if (!m->orphans)
        return -ENOMEM;
    for (uint32_t i = 0; i < gws_slot_high(&m->region); i++) {
        struct gws_slot_info info;
        gws_slot_read(&m->region, (int)i, &info);
        if (info.state != GWS_SLOT_FREE && info.role != GWS_ROLE_GUEST && (int)i != m->region.slot &&
            !children_hold(&m->children, (int)i) && gws_slot_locked(&m->region, (int)i))
            m->orphans[m->orphan_count++] = (struct orphan){(int)i, info.pid};
    }
    return 0;
}

void master_tend_orphans(struct master *m)
{
    for (size_t i = m->orphan_count; i-- > 0;) {
        const struct orphan *o = &m->orphans[i];
        if (gws_slot_locked(&m->region, o->slot))
            continue;
        gws_slot_reap_of(&m->region, o->slot, o->pid, false, gws_clock_ms(&m->region));
        m->orphans[i] = m->orphans[--m->orphan_count];
        if (m->orphan_count > 0)
            continue;
        net_settle_all(&m->current->sockets);
        log_info("the last process of the master before has ended");
    }
}

static int take_slot(struct master *m)
{
    int slot = gws_slot_reserve(&m->region, GWS_ROLE_MASTER, 0, gws_clock_ms(&m->region));
    int rc = slot < 0 ? slot : gws_slot_enter(&m->region, slot, m->entrance);
    if (rc != 0)
        log_error("no slot for the master in the region (%d)", rc);
    return rc;
}

int master_take(struct master *m, const struct conf *conf)
{
    struct gws_owner owner = {m->user.uid, m->user.gid, 0660};
    char why[512];
    if (statedir_make(conf, &m->user, &owner.gid, why, sizeof why) != 0) {
        log_error("%s", why);
        return 1;
    }
    if (take_lock(m, conf) != 0 || open_region(m, conf, &owner) != 0 || make_wakes(m) != 0)
        return 1;
    if (!m->inherit->heir && master_find_orphans(m) != 0)
        return 1;
    return take_slot(m) == 0 ? 0 : 1;
}

/* The workers reopen the log as the user they run as. */
void master_give_access_log(const struct master *m)
{
    int rc = m->user.drop ? log_access_give(m->user.uid, m->user.gid) : 0;
    if (rc != 0)
        log_error("cannot give the access log to user %s: %s", m->user.name, strerror(-rc));
}

static int open_access_log(struct master *m, const struct conf *conf)
{
    snprintf(m->access, sizeof m->access, "%s", conf->log.access);
    int rc = log_access_open(m->access);
    if (rc != 0)
        log_error("cannot open the access log %s: %s", m->access, strerror(-rc));
    else
        master_give_access_log(m);
    return rc;
}

static int open_listeners_and_plan(struct master *m, struct conf *conf)
{
    struct conf_problems problems = {0};
    struct inherit *in = m->inherit;
    if (!in->heir && in->given && net_given(&in->sockets, INHERIT_GIVEN_FD, in->given, conf) != 0)
        return 1;
    int rc = master_generation_new(m, conf, &in->sockets, m->orphan_count > 0, &m->current, &problems);
    if (rc != 0)
        master_report(m, &problems);
    conf_problems_fini(&problems);
    return rc;
}

static void furnish_nursery(struct master *m, const struct conf *conf)
{
    m->nursery.region = &m->region;
    m->nursery.state = conf->state;
    m->nursery.entrance = m->entrance;
    m->nursery.given = &m->inherit->sockets;
    m->nursery.user = &m->user;
    bool claimed = m->inherit->heir && m->made; /* a region beside is, since it was made */
    m->nursery.claim = claimed ? gws_region_claimed(&m->region) : gws_region_claim_next(&m->region, (int32_t)getpid());
    m->nursery.found_claim = m->inherit->heir ? m->nursery.claim : gws_region_claimed(&m->region);
    m->nursery.json_log = conf->log.json;
    m->nursery.log_level = conf->log.level;
}

int master_start(struct master *m, struct conf *conf)
{
    if (open_listeners_and_plan(m, conf) != 0)
        return 1;
    if (m->made)
        keep_read(&m->region, conf->state);
    if (pipe2(m->nursery.alive_pipe, O_CLOEXEC) != 0) {
        log_error("cannot make a pipe: %s", strerror(errno));
        return 1;
    }
    if (open_access_log(m, conf) != 0)
        return 1;
    secret_scrub_environment(conf);
    furnish_nursery(m, conf);
    m->coming_until = master_now_ms() + MASTER_COMING_MS;
    return master_generation_begin(m, m->current);
}
