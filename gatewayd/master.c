#include "gatewayd/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gatewayd/children.h"
#include "gatewayd/keep.h"
#include "gatewayd/log.h"
#include "gatewayd/report.h"
#include "gatewayd/statedir.h"
#include "gatewayd/wake.h"
#include "gatewayd/unserved.h"
#include "libshm/clock.h"
#include "libshm/event.h"

/*
 * Signals only set flags, and one loop acts on them in a fixed order: the dead first, because what follows counts the
 * living; then stop before reload, because a reload would be for nothing. The master touches no request, so it can be
 * killed at any moment: its workers serve on, and the next master takes over the region with their slots in it.
 */

enum { POLL_MS = 50, IDLE_MS = 1000, KILL_GRACE_MS = 2000, COMING_MS = 20000 };

static volatile sig_atomic_t got_child, got_reload, got_stop, got_quit, got_reopen;

struct master {
    const struct master_options *options;
    struct gws_region region;
    struct process_user user;
    struct nursery nursery;
    struct children children;
    bool made;                  /* the region is new */
    struct generation *current;
    struct generation *retired; /* still used by children */
    struct generation *coming;  /* being started; retires `current` once it serves */
    uint64_t coming_until;      /* by when it must */
    int *orphans;               /* slots of a dead master's processes that still live */
    size_t orphan_count;
    char access[256]; /* where the access log goes: opened once, for all children */
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void record(struct master *m, enum gws_event_code code, uint64_t value)
{
    gws_event_record(&m->region, code, GWS_NO_DOMAIN, 0, value, GWS_BY_GATEWAY, gws_clock_ms(&m->region));
}

/* Generations. */

static void generation_free(struct generation *g)
{
    if (!g)
        return;
    plan_free(g->plan);
    conf_free(g->conf);
    free(g->listeners.list);
    free(g);
}

static void sweep_generations(struct master *m)
{
    for (struct generation **at = &m->retired; *at;) {
        struct generation *g = *at;
        if (children_use(&m->children, g)) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        generation_free(g);
    }
}

/* Problems that a plan finds stand in the file like those of the file itself. */
static int generation_new(struct master *m, struct conf *conf, const struct generation *old, bool beside,
                          struct generation **out, struct conf_problems *problems)
{
    char why[512];
    struct generation *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    g->number = gws_region_generation(&m->region) + 1;
    unsigned slots = m->region.dims.slots - m->region.dims.guests - 1;
    if (2 * (conf->workers + 1) > slots)
        conf_problem_add(problems, 0, 0,
                         "the shared region has slots for %u workers and their successors in a reload, not for %u: it "
                         "was made for fewer. Stop gatewayd and remove the state file to make a larger one",
                         slots / 2 - 1, conf->workers);
    if (plan_check_keys(conf, problems) != 0) {
        free(g);
        return 1;
    }
    if (net_open(&g->listeners, conf, old ? (struct listeners *)&old->listeners : NULL, beside, why, sizeof why) != 0) {
        conf_problem_add(problems, 0, 0, "%s", why);
        free(g);
        return 1;
    }
    int rc = plan_new(&g->plan, conf, &m->region, g->number, problems);
    if (rc != 0) {
        net_close(&g->listeners, old ? &old->listeners : NULL);
        free(g);
        return rc;
    }
    g->conf = conf;
    *out = g;
    return 0;
}

/* Start. */

static int no_region(const struct gws_fault *fault)
{
    log_error("%s", fault->text);
    return 1;
}

static int take_region(struct master *m, const struct conf *conf)
{
    struct gws_fault fault = {{0}};
    struct gws_owner owner = {m->user.uid, m->user.gid, 0660};
    struct gws_dims dims = plan_dims(conf);
    char why[512];
    if (statedir_make(conf, &m->user, &owner.gid, why, sizeof why) != 0) {
        log_error("%s", why);
        return 1;
    }
    m->nursery.lock_fd = gws_lock_take(conf->state, &fault);
    if (m->nursery.lock_fd < 0)
        return no_region(&fault);
    int rc = gws_region_open(&m->region, conf->state, GWS_CHANGE, m->user.uid, &fault);
    m->made = rc == GWS_OPEN_NONE || rc == GWS_OPEN_UNREADY;
    if (m->made)
        rc = gws_region_create(&m->region, conf->state, &dims, &owner, &fault);
    else if (rc == GWS_OPEN_DONE && gws_region_adopt(&m->region) == 1)
        log_info("the machine was restarted: breakers and cooldowns start afresh");
    return rc == 0 ? 0 : no_region(&fault);
}

static int make_wakes(const struct master *m)
{
    int rc = wake_setup(m->region.dims.slots);
    if (rc != 0)
        log_error("cannot make a descriptor for each of %u processes: %s; raise LimitNOFILE (ulimit -n)",
                  m->region.dims.slots, strerror(-rc));
    return rc;
}

/* Those whom a dead master left behind: they hold their locks for as long as they live. */
static int find_orphans(struct master *m)
{
    gws_slot_reap_dead(&m->region, gws_clock_ms(&m->region));
    m->orphans = calloc(GWS_SLOTS_MAX, sizeof *m->orphans);
    if (!m->orphans)
        return -ENOMEM;
    for (uint32_t i = 0; i < gws_slot_high(&m->region); i++) {
        struct gws_slot_info info;
        gws_slot_read(&m->region, (int)i, &info);
        if (info.state != GWS_SLOT_FREE && info.role != GWS_ROLE_GUEST && gws_slot_locked(&m->region, (int)i))
            m->orphans[m->orphan_count++] = (int)i;
    }
    return 0;
}

static void tend_orphans(struct master *m)
{
    for (size_t i = m->orphan_count; i-- > 0;) {
        if (gws_slot_locked(&m->region, m->orphans[i]))
            continue;
        gws_slot_reap(&m->region, m->orphans[i], false, gws_clock_ms(&m->region));
        m->orphans[i] = m->orphans[--m->orphan_count];
        if (m->orphan_count == 0)
            log_info("the last process of the master before has ended");
    }
}

static int take_slot(struct master *m, const char *state)
{
    int slot = gws_slot_reserve(&m->region, GWS_ROLE_MASTER, 0, gws_clock_ms(&m->region));
    int rc = slot < 0 ? slot : gws_slot_enter(&m->region, slot, state);
    if (rc != 0)
        log_error("no slot for the master in the region (%d)", rc);
    return rc;
}

static void on_signal(int signum)
{
    switch (signum) {
    case SIGCHLD:
        got_child = 1;
        break;
    case SIGHUP:
        got_reload = 1;
        break;
    case SIGUSR1:
        got_reopen = 1;
        break;
    case SIGQUIT:
        got_quit = 1;
        break;
    case SIGINT:
    case SIGTERM:
        got_quit = got_stop && signum == SIGINT; /* a second Ctrl-C means it */
        got_stop = 1;
        break;
    }
}

/* Everything stays blocked but while the loop waits, so a flag is never set between its look and its sleep. */
static void take_signals(void)
{
    static const int signums[] = {SIGCHLD, SIGHUP, SIGUSR1, SIGQUIT, SIGINT, SIGTERM};
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof signums / sizeof *signums; i++) {
        sigaction(signums[i], &action, NULL);
        sigaddset(&blocked, signums[i]);
    }
    sigaddset(&blocked, SIGUSR2);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
}

static void wait_for_signal(int64_t ms)
{
    sigset_t none;
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    sigemptyset(&none);
    ppoll(NULL, 0, &t, &none);
}

static void report_problems(const struct master *m, const struct conf_problems *problems)
{
    conf_problems_print(problems, m->options->file, stderr);
}

/* The workers reopen the log as the user they run as. */
static void give_access_log(const struct master *m)
{
    int rc = m->user.drop ? log_access_give(m->user.uid, m->user.gid) : 0;
    if (rc != 0)
        log_error("cannot give the access log to user %s: %s", m->user.name, strerror(-rc));
}

static int begin_generation(struct master *m, struct generation *g)
{
    gws_region_generation_next(&m->region);
    return children_add(&m->children, g);
}

static int start(struct master *m, struct conf *conf)
{
    struct conf_problems problems = {0};
    int rc = generation_new(m, conf, NULL, m->orphan_count > 0, &m->current, &problems);
    if (rc != 0) {
        report_problems(m, &problems);
        conf_problems_fini(&problems);
        return 1;
    }
    if (m->made)
        keep_read(&m->region, conf->state);
    if (pipe2(m->nursery.alive_pipe, O_CLOEXEC) != 0) {
        log_error("cannot make a pipe: %s", strerror(errno));
        return 1;
    }
    snprintf(m->access, sizeof m->access, "%s", conf->log.access);
    rc = log_access_open(m->access);
    if (rc != 0) {
        log_error("cannot open the access log %s: %s", m->access, strerror(-rc));
        return 1;
    }
    give_access_log(m);
    secret_scrub_environment(conf);
    m->nursery.region = &m->region;
    m->nursery.state = conf->state;
    m->nursery.user = &m->user;
    m->nursery.claim = gws_region_claimed(&m->region) + 1;
    m->nursery.json_log = conf->log.json;
    m->nursery.log_level = conf->log.level;
    return begin_generation(m, m->current);
}

/* Reload. */

static void reload_failed(struct master *m, struct conf_problems *problems)
{
    const char *state = m->current->conf->state;
    log_error("the new configuration is bad; the one in force stays. See below, or `gatewayctl reload`");
    report_problems(m, problems);
    report_write(state, m->options->file, problems);
    record(m, GWS_EVENT_RELOAD_FAILED, problems->count);
    conf_problems_fini(problems);
}

/* What cannot change while running. */
static void check_change(const struct conf *old, const struct conf *new, struct conf_problems *problems)
{
    if (strcmp(old->state, new->state) != 0)
        conf_problem_add(problems, 0, 0, "`state` cannot change while running; restart gatewayd to move the region");
    if (strcmp(old->user ? old->user : "", new->user ? new->user : "") != 0)
        conf_problem_add(problems, 0, 0, "`user` cannot change while running; restart gatewayd");
    if (strcmp(old->log.access, new->log.access) != 0)
        conf_problem_add(problems, 0, 0, "`log.access` cannot change while running; restart gatewayd");
}

/* The new workers do not come up: they are ended, and the names of the configuration in force are its own again. */
static void give_up_coming(struct master *m)
{
    struct conf_problems problems = {0};
    struct generation *failed = m->coming;
    struct plan *again = NULL;
    m->coming = NULL;
    children_retire(&m->children, m->current, SIGTERM);
    net_close(&failed->listeners, &m->current->listeners);
    failed->next = m->retired;
    m->retired = failed;
    if (plan_new(&again, m->current->conf, &m->region, gws_region_generation(&m->region), &problems) == 0)
        plan_free(again);
    conf_problem_add(&problems, 0, 0, "its workers did not come up within %d s; see the log", COMING_MS / 1000);
    reload_failed(m, &problems);
}

static void reload(struct master *m)
{
    struct conf_problems problems = {0};
    struct conf *conf = NULL;
    if (m->options->text)
        conf_problem_add(&problems, 0, 0, "this configuration is built in and cannot be reloaded");
    else if (conf_load(m->options->file, &conf, &problems) == 0) {
        unserved_check(conf, &problems);
        check_change(m->current->conf, conf, &problems);
    }
    if (problems.count == 0 && generation_new(m, conf, m->current, false, &m->coming, &problems) == 0) {
        conf_problems_fini(&problems);
        begin_generation(m, m->coming);
        m->coming_until = now_ms() + COMING_MS;
        secret_scrub_environment(conf);
        m->nursery.json_log = conf->log.json;
        m->nursery.log_level = conf->log.level;
        log_info("starting the workers of the new configuration");
        return;
    }
    conf_free(conf);
    reload_failed(m, &problems);
}

/* The new workers serve: the old ones may finish. */
static void change_over(struct master *m)
{
    struct generation *old = m->current;
    m->current = m->coming;
    m->coming = NULL;
    m->nursery.state = m->current->conf->state;
    children_retire(&m->children, m->current, PROCESS_SIGNAL_RETIRE);
    net_close(&old->listeners, &m->current->listeners);
    old->next = m->retired;
    m->retired = old;
    report_write(m->current->conf->state, m->options->file, NULL);
    record(m, GWS_EVENT_RELOAD, m->current->number);
    log_info("reloaded: generation %llu", (unsigned long long)m->current->number);
}

static void reopen_logs(struct master *m)
{
    int rc = log_access_reopen();
    if (rc != 0)
        log_error("cannot reopen the access log %s: %s", m->access, strerror(-rc));
    give_access_log(m);
    children_signal(&m->children, GWS_ROLE_WORKER, SIGUSR1);
}

/* The loop. */

static void announce(struct master *m)
{
    const struct conf *conf = m->current->conf;
    gws_region_claim(&m->region);
    record(m, m->orphan_count ? GWS_EVENT_ADOPTED : GWS_EVENT_MASTER_START, m->current->number);
    for (size_t i = 0; i < m->current->listeners.count; i++)
        log_info("listening on %s", m->current->listeners.list[i].where);
    log_info("ready: %u workers, %zu endpoints, region %s%s", conf->workers, conf->endpoint_count, conf->state,
             m->orphan_count ? ", taken over from a master that died" : "");
    if (m->options->started)
        m->options->started();
}

static int64_t serve_once(struct master *m, bool *announced)
{
    if (got_child) {
        got_child = 0;
        children_reap(&m->children, &m->nursery, now_ms(), false);
        sweep_generations(m);
    }
    if (got_reopen) {
        got_reopen = 0;
        reopen_logs(m);
    }
    if (got_reload && *announced && !m->coming) {
        got_reload = 0;
        reload(m);
    }
    int64_t next = children_tend(&m->children, &m->nursery, now_ms());
    if (!*announced && children_live(&m->children, m->current, &m->region)) {
        *announced = true;
        announce(m);
    }
    if (m->coming && children_live(&m->children, m->coming, &m->region))
        change_over(m);
    else if (m->coming && now_ms() > m->coming_until)
        give_up_coming(m);
    tend_orphans(m);
    bool busy = m->coming || m->orphan_count || !*announced;
    int64_t longest = busy ? POLL_MS : IDLE_MS;
    return next >= 0 && next < longest ? next : longest;
}

/* Everyone is told, waited for, and in the end made to go. */
static void stop(struct master *m)
{
    uint64_t drain = m->current->conf->drain.stop;
    bool quit = got_quit;
    uint64_t limit = now_ms() + (quit ? 0 : drain) + KILL_GRACE_MS;
    log_info(quit ? "quitting" : "stopping: requests in flight have %llu ms to finish", (unsigned long long)drain);
    record(m, GWS_EVENT_MASTER_STOP, 0);
    if (m->coming)
        net_close(&m->coming->listeners, &m->current->listeners);
    children_retire(&m->children, NULL, quit ? SIGQUIT : SIGTERM);
    net_close(&m->current->listeners, NULL);
    while (children_alive(&m->children) > 0) {
        if ((got_quit && !quit) || now_ms() >= limit) {
            children_retire(&m->children, NULL, quit || now_ms() >= limit ? SIGKILL : SIGQUIT);
            quit = true;
            limit = now_ms() + KILL_GRACE_MS;
        }
        wait_for_signal(POLL_MS);
        got_child = 0;
        children_reap(&m->children, &m->nursery, now_ms(), true);
    }
    keep_write(&m->region, m->current->conf->state);
    log_info("stopped");
}

static void fini(struct master *m)
{
    generation_free(m->current);
    generation_free(m->coming);
    sweep_generations(m);
    gws_slot_leave(&m->region);
    gws_region_close(&m->region);
    children_fini(&m->children);
    free(m->orphans);
    close(m->nursery.lock_fd);
    log_access_flush();
}

int master_run(const struct master_options *options, struct conf *conf)
{
    struct master m = {.options = options, .nursery = {.lock_fd = -1}};
    const struct rlimit no_core = {0, 0};
    char why[512];
    setrlimit(RLIMIT_CORE, &no_core);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    umask(027);
    if (process_user_find(&m.user, conf->user, why, sizeof why) != 0) {
        log_error("%s", why);
        conf_free(conf);
        return 1;
    }
    if (take_region(&m, conf) != 0 || make_wakes(&m) != 0 || find_orphans(&m) != 0 ||
        take_slot(&m, conf->state) != 0) {
        conf_free(conf);
        gws_region_close(&m.region);
        return 1;
    }
    take_signals();
    if (start(&m, conf) != 0) {
        if (!m.current)
            conf_free(conf);
        else
            net_close(&m.current->listeners, NULL);
        fini(&m);
        return 1;
    }
    bool announced = false;
    while (!got_stop && !got_quit)
        wait_for_signal(serve_once(&m, &announced));
    stop(&m);
    fini(&m);
    return 0;
}
