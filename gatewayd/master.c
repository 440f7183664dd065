#include "gatewayd/master_internal.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gatewayd/keep.h"
#include "gatewayd/log.h"
#include "gatewayd/supervisor.h"
#include "libshm/clock.h"
#include "libshm/lock.h"

/*
 * Signals only set flags, and one loop acts on them in a fixed order: the dead first, because what follows counts the
 * living; then stop before reload and upgrade, because those would be for nothing. The master touches no request, so it
 * can be killed at any moment: its workers serve on, and the next master takes over the region with their slots in it.
 */

enum { IDLE_MS = 1000, KILL_GRACE_MS = 2000 };

static volatile sig_atomic_t got_child, got_reload, got_upgrade, got_stop, got_quit, got_reopen;

uint64_t master_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void master_record(struct master *m, enum gws_event_code code, uint64_t old, uint64_t new)
{
    gws_event_record(&m->region, code, GWS_NO_DOMAIN, old, new, GWS_BY_GATEWAY, gws_clock_ms(&m->region));
}

/* Signals. */

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
    case SIGUSR2:
        got_upgrade = 1;
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
    static const int signums[] = {SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGINT, SIGTERM};
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof signums / sizeof *signums; i++) {
        sigaction(signums[i], &action, NULL);
        sigaddset(&blocked, signums[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
}

static void wait_for_signal(int64_t ms)
{
    sigset_t none;
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    sigemptyset(&none);
    ppoll(NULL, 0, &t, &none);
}

/* To the master that this one has replaced, while it waits for its workers. */
static void pass_on(const struct master *m, int signum)
{
    if (m->before && getppid() == m->before)
        kill(m->before, signum);
}

static void reopen_logs(struct master *m)
{
    int rc = log_access_reopen();
    if (rc != 0)
        log_error("cannot reopen the access log %s: %s", m->access, strerror(-rc));
    master_give_access_log(m);
    children_signal(&m->children, GWS_ROLE_WORKER, SIGUSR1);
    pass_on(m, SIGUSR1);
    if (m->upgrade.heir)
        kill(m->upgrade.heir, SIGUSR1);
}

/* The loop. */

/* The workers live: what a dead master's still serve becomes ours, and they see it. 0, or 1 having said why not. */
static int take_over(struct master *m)
{
    char why[512];
    if (net_publish_all(&m->current->sockets, why, sizeof why) != 0) {
        log_error("%s", why);
        return 1;
    }
    gws_region_claim(&m->region, m->nursery.claim);
    net_close_all(&m->inherit->sockets, &m->current->sockets);
    return 0;
}

static void announce(struct master *m)
{
    const struct conf *conf = m->current->conf;
    const struct sockets *sockets = &m->current->sockets;
    m->announced = true;
    master_record(m, m->orphan_count ? GWS_EVENT_ADOPTED : GWS_EVENT_MASTER_START, 0, m->current->number);
    for (size_t i = 0; i < sockets->clients.count; i++)
        log_info("listening on %s", sockets->clients.list[i].where);
    for (size_t i = 0; i < sockets->admin.count; i++)
        log_info("admin server on %s", sockets->admin.list[i].where);
    log_info("ready: %u workers, %zu endpoints, region %s%s", conf->workers, conf->endpoint_count, conf->state,
             m->orphan_count ? ", taken over from a master that died" : "");
    master_tell_ready(m);
    if (m->options->started)
        m->options->started();
}

/* Until the first workers live, and, of an heir, until the one before lets go. Returns whether there is any use in
 * waiting. */
static bool come_up(struct master *m)
{
    enum master_leave leave = MASTER_WAIT;
    if (m->inherit->heir)
        leave = master_ask_leave(m);
    else if (children_live(&m->children, m->current, &m->region))
        leave = MASTER_GO;
    if (leave == MASTER_GO && (m->inherit->heir ? master_serve(m) : take_over(m)) != 0)
        leave = MASTER_GIVE_UP;
    if (leave == MASTER_GO)
        announce(m);
    return leave != MASTER_GIVE_UP;
}

/* What the one before leaves unfinished when it ends is ours to finish. */
static void tend_the_one_before(struct master *m)
{
    if (!m->announced || !m->before || getppid() == m->before)
        return;
    m->before = 0;
    master_find_orphans(m);
}

static void act_on_signals(struct master *m)
{
    if (got_child) {
        got_child = 0;
        children_reap(&m->children, &m->nursery, master_now_ms(), false);
        master_sweep_generations(m);
    }
    if (got_reopen) {
        got_reopen = 0;
        reopen_logs(m);
    }
    if (got_reload && m->announced && !m->coming) {
        got_reload = 0;
        master_reload(m);
    }
    if (got_upgrade && m->announced && !m->coming) {
        got_upgrade = 0;
        master_upgrade(m);
    }
}

/* The ms to wait, or -1 when this one cannot take over. */
static int64_t serve_once(struct master *m)
{
    act_on_signals(m);
    log_access_flush(); /* its children write that log; but what was held back of the other one is told */
    int64_t next = children_tend(&m->children, &m->nursery, master_now_ms());
    if (!m->announced && !come_up(m))
        return -1;
    master_tend_coming(m);
    tend_the_one_before(m);
    master_tend_orphans(m);
    master_tend_upgrade(m);
    int64_t watchdog = m->announced && !m->replaced ? supervisor_alive(master_now_ms()) : -1;
    bool busy = m->coming || m->orphan_count || !m->announced || m->upgrade.heir;
    int64_t longest = busy ? MASTER_POLL_MS : IDLE_MS;
    if (watchdog >= 0 && watchdog < longest)
        longest = watchdog;
    return next >= 0 && next < longest ? next : longest;
}

/* The end. */

static bool others_alive(const struct master *m)
{
    return (m->before && getppid() == m->before) || (m->upgrade.heir && kill(m->upgrade.heir, 0) == 0);
}

static void tell_others(const struct master *m, int signum)
{
    pass_on(m, signum);
    if (m->upgrade.heir)
        kill(m->upgrade.heir, signum);
}

/* Everyone is told, waited for, and in the end made to go: children, the master before, the one that was to come. */
static void end_everyone(struct master *m, bool quit)
{
    uint64_t limit = master_now_ms() + (quit ? 0 : m->current->conf->drain.stop) + KILL_GRACE_MS;
    children_retire(&m->children, NULL, quit ? SIGQUIT : SIGTERM);
    tell_others(m, quit ? SIGQUIT : SIGTERM);
    while (children_alive(&m->children) > 0 || others_alive(m)) {
        if ((got_quit && !quit) || master_now_ms() >= limit) {
            int signum = quit || master_now_ms() >= limit ? SIGKILL : SIGQUIT;
            children_retire(&m->children, NULL, signum);
            tell_others(m, signum);
            quit = true;
            limit = master_now_ms() + KILL_GRACE_MS;
        }
        wait_for_signal(MASTER_POLL_MS);
        got_child = 0;
        children_reap(&m->children, &m->nursery, master_now_ms(), true);
        master_drop_heir(m);
    }
}

static void stop(struct master *m)
{
    log_info(got_quit ? "quitting" : "stopping: requests in flight have %llu ms to finish",
             (unsigned long long)m->current->conf->drain.stop);
    supervisor_stopping();
    master_record(m, GWS_EVENT_MASTER_STOP, 0, 0);
    if (m->coming)
        net_close_all(&m->coming->sockets, &m->current->sockets);
    net_close_all(&m->current->sockets, NULL);
    end_everyone(m, got_quit);
    keep_write(&m->region, m->current->conf->state);
    log_info("stopped");
}

/*
 * An heir that never comes to serve: the sockets and their files are those of the one before. Its workers may have
 * clients already, whose requests nobody but them can finish; it does not wait for that, because the lock is to be free
 * for whoever is started next.
 */
static void give_up(struct master *m)
{
    /* Once the lock file names this one, whoever stops it means the service. */
    if ((got_stop || got_quit) && gws_lock_holder(m->current->conf->state) == (int32_t)getpid())
        pass_on(m, got_quit ? SIGQUIT : SIGTERM);
    net_close_all(&m->current->sockets, &m->inherit->sockets);
    net_forget_all(&m->inherit->sockets, NULL);
    m->before = 0;
    if (got_stop || got_quit)
        end_everyone(m, got_quit);
    else
        children_retire(&m->children, NULL, PROCESS_SIGNAL_RETIRE);
    if (m->made)
        unlink(m->entrance);
}

/* The heir serves: the workers finish their requests, and then there is nothing left to do here. */
static void retire(struct master *m)
{
    net_forget_all(&m->current->sockets, NULL); /* before the workers empty the queues, as at a stop */
    children_retire(&m->children, NULL, PROCESS_SIGNAL_RETIRE);
    close(m->nursery.lock_fd);
    m->nursery.lock_fd = -1;
    while ((children_alive(&m->children) > 0 || others_alive(m)) && !got_stop && !got_quit) {
        wait_for_signal(IDLE_MS);
        got_child = 0;
        children_reap(&m->children, &m->nursery, master_now_ms(), true);
        master_tend_orphans(m);
        if (got_reopen) {
            got_reopen = 0;
            reopen_logs(m);
        }
    }
    if (got_stop || got_quit)
        end_everyone(m, got_quit);
    log_info("replaced: the last of its workers has ended");
}

static void fini(struct master *m)
{
    master_generation_free(m->current);
    master_generation_free(m->coming);
    master_sweep_generations(m);
    gws_slot_leave(&m->region);
    gws_region_close(&m->region);
    children_fini(&m->children);
    free(m->orphans);
    if (m->nursery.lock_fd >= 0)
        close(m->nursery.lock_fd);
    log_close();
}

static int run(struct master *m)
{
    int64_t ms = 0;
    while (!got_stop && !got_quit && !m->replaced && (ms = serve_once(m)) >= 0)
        wait_for_signal(m->replaced ? 0 : ms);
    if (m->replaced)
        retire(m);
    else if (m->inherit->heir && !m->announced)
        give_up(m);
    else
        stop(m);
    return m->announced || (!m->inherit->heir && ms >= 0) ? 0 : 1;
}

static void harden(void)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    umask(027);
}

int master_run(const struct master_options *options, struct conf *conf)
{
    static struct inherit nothing = INHERIT_NOTHING;
    struct master m = {.options = options, .inherit = options->inherit ? options->inherit : &nothing};
    char why[512];
    m.nursery.lock_fd = -1;
    m.nursery.talk_fd = m.inherit->talk_fd;
    m.before = m.inherit->from;
    harden();
    take_signals(); /* before the lock file tells anybody whom to signal: they wait until the loop runs */
    if (process_user_find(&m.user, conf->user, why, sizeof why) != 0) {
        log_error("%s", why);
        conf_free(conf);
        return 1;
    }
    if (master_take(&m, conf) != 0) {
        conf_free(conf);
        fini(&m);
        return 1;
    }
    if (master_start(&m, conf) != 0) {
        if (!m.current)
            conf_free(conf);
        else
            net_close_all(&m.current->sockets, &m.inherit->sockets);
        fini(&m);
        return 1;
    }
    int rc = run(&m);
    fini(&m);
    return rc;
}
