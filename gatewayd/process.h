#ifndef GATEWAYD_PROCESS_H
#define GATEWAYD_PROCESS_H

/*
 * What the master's children have in common: their first steps after the fork, how they are told to end, and how they
 * notice that their master is gone.
 */

#include "gatewayd/event.h"
#include "gatewayd/plan.h"
#include "libshm/region.h"

/* Who the children run as; resolved by the master before the first fork. */
struct process_user {
    bool drop; /* the master is root and `uid` is not */
    uint32_t uid;
    uint32_t gid;
    char name[64];
};

/* Find the user to run as: `wanted`, or the default when NULL. 0, or 1 with the reason in `why`. */
int process_user_find(struct process_user *user, const char *wanted, char *why, size_t why_size);

enum process_end { PROCESS_DRAIN_RELOAD, PROCESS_DRAIN_STOP, PROCESS_QUIT };

struct process {
    struct event_loop loop;
    struct gws_region region;
    const char *state;    /* the region's path */
    const char *entrance; /* its path as long as it waits beside another one to take its place */
    const struct plan *plan;
    const struct process_user *user;
    int slot;
    int master_pipe; /* its end of file is the master's death */
    char who[32];

    /* Asked to end: by the master, or because a successor took over the region from a dead one. */
    void (*ending)(struct process *self, enum process_end how);
    /* Log files have been renamed. */
    void (*reopen)(struct process *self);

    uint64_t claim;       /* of the master that made this process */
    uint64_t found_claim; /* of a dead one that it found: until anybody claims, both serve */
    struct event_signal signals[4];
    struct event_io master_watch;
    struct event_timer orphan;
    bool told; /* to end, whoever is master */
    bool ended;
};

/* In the child: leave the master's things, take the slot, become the user, start the loop. 0, or an exit status. */
int process_enter(struct process *p);
/* Run until process_exit(). */
void process_run(struct process *p);
/* Leave the loop. */
void process_exit(struct process *p);
void process_fini(struct process *p);

/* Names of signals between master and children. */
enum { PROCESS_SIGNAL_RETIRE = 12 /* SIGUSR2 */ };

#endif
