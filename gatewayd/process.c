#include "gatewayd/process.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatewayd/log.h"
#include "libshm/slot.h"

/*
 * SIGTERM drains for a stop, SIGUSR2 drains for a reload, SIGQUIT ends at once, SIGUSR1 reopens logs. SIGINT and SIGHUP
 * are ignored: a terminal sends them to the whole group, and it is the master that decides what they mean.
 */

enum { ORPHAN_POLL_MS = 100 };

_Static_assert(PROCESS_SIGNAL_RETIRE == SIGUSR2, "the number is the signal's");

static int use_user(struct process_user *user, const struct passwd *entry)
{
    user->drop = entry->pw_uid != geteuid();
    user->uid = entry->pw_uid;
    user->gid = entry->pw_gid;
    snprintf(user->name, sizeof user->name, "%s", entry->pw_name);
    return 0;
}

int process_user_find(struct process_user *user, const char *wanted, char *why, size_t why_size)
{
    *user = (struct process_user){.uid = geteuid(), .gid = getegid()};
    if (geteuid() != 0)
        return 0;
    const struct passwd *entry = getpwnam(wanted ? wanted : "gatewayd");
    if (!entry && wanted) {
        snprintf(why, why_size, "user '%s' does not exist; create it or change `user`", wanted);
        return 1;
    }
    if (!entry) {
        entry = getpwnam("nobody");
        log_warn("user 'gatewayd' does not exist; workers run as 'nobody'. Create it, or set `user`");
    }
    if (!entry) {
        snprintf(why, why_size, "neither user 'gatewayd' nor 'nobody' exists; set `user`");
        return 1;
    }
    return use_user(user, entry);
}

static struct process *process_of_signal(struct event_signal *signal, unsigned index)
{
    return (struct process *)(void *)((char *)(signal - index) - offsetof(struct process, signals));
}

static void on_term(struct event_signal *signal)
{
    struct process *p = process_of_signal(signal, 0);
    p->told = true;
    p->ending(p, PROCESS_DRAIN_STOP);
}

static void on_retire(struct event_signal *signal)
{
    struct process *p = process_of_signal(signal, 1);
    p->told = true;
    p->ending(p, PROCESS_DRAIN_RELOAD);
}

static void on_quit(struct event_signal *signal)
{
    struct process *p = process_of_signal(signal, 2);
    p->ending(p, PROCESS_QUIT);
}

static void on_reopen(struct event_signal *signal)
{
    struct process *p = process_of_signal(signal, 3);
    if (p->reopen)
        p->reopen(p);
}

/* The region was taken over, or replaced by another file: whoever did that serves now. */
static bool succeeded(const struct process *p)
{
    struct stat path, mapped;
    uint64_t claimed = gws_region_claimed(&p->region);
    if (claimed != p->claim && claimed != p->found_claim)
        return true;
    if (fstat(p->region.fd, &mapped) != 0)
        return false;
    return stat(p->state, &path) != 0 ? false : path.st_ino != mapped.st_ino || path.st_dev != mapped.st_dev;
}

static void look_for_successor(struct event_timer *timer)
{
    struct process *p = (struct process *)(void *)((char *)timer - offsetof(struct process, orphan));
    if (succeeded(p)) {
        log_info("another master has taken over; finishing what is in flight");
        p->ending(p, PROCESS_DRAIN_RELOAD);
        return;
    }
    event_timer_at(&p->orphan, event_now_ms(&p->loop) + ORPHAN_POLL_MS);
}

static void master_gone(struct event_io *io, int what)
{
    struct process *p = (struct process *)(void *)((char *)io - offsetof(struct process, master_watch));
    char byte;
    (void)what;
    if (read(p->master_pipe, &byte, 1) != 0)
        return;
    event_io_watch(&p->master_watch, 0);
    if (p->told)
        return;
    log_warn("the master is gone; serving on until another takes over (start gatewayd again)");
    event_timer_at(&p->orphan, event_now_ms(&p->loop) + ORPHAN_POLL_MS);
}

static int become_user(const struct process_user *user)
{
    if (!user->drop)
        return 0;
    if (initgroups(user->name, user->gid) != 0 || setgid(user->gid) != 0 || setuid(user->uid) != 0) {
        log_error("cannot become user %s: %s", user->name, strerror(errno));
        return -1;
    }
    return 0;
}

/* The master forks with everything blocked, so that a signal meant for the child waits until it is listening. */
static void listen_to_signals(struct process *p)
{
    static const struct {
        int signum;
        void (*caught)(struct event_signal *self);
    } wanted[] = {{SIGTERM, on_term}, {SIGUSR2, on_retire}, {SIGQUIT, on_quit}, {SIGUSR1, on_reopen}};
    sigset_t none;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        event_signal_start(&p->signals[i], &p->loop, wanted[i].signum, wanted[i].caught);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int process_enter(struct process *p)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core); /* a core would hold the keys */
    int rc = gws_slot_enter(&p->region, p->slot, p->entrance);
    if (rc != 0) {
        log_error("cannot take its slot in the region (%d); another master may have taken over", rc);
        return 1;
    }
    if (become_user(p->user) != 0)
        return 1;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (event_loop_init(&p->loop) != 0) {
        log_error("cannot make an event loop: %s", strerror(errno));
        return 1;
    }
    event_timer_init(&p->orphan, &p->loop, look_for_successor);
    event_io_init(&p->master_watch, &p->loop, p->master_pipe, master_gone);
    event_io_watch(&p->master_watch, EVENT_READ);
    listen_to_signals(p);
    return 0;
}

void process_run(struct process *p)
{
    if (!p->ended)
        event_loop_run(&p->loop);
}

void process_exit(struct process *p)
{
    p->ended = true;
    event_loop_stop(&p->loop);
}

void process_fini(struct process *p)
{
    event_timer_stop(&p->orphan);
    event_io_watch(&p->master_watch, 0);
    event_loop_fini(&p->loop);
}
