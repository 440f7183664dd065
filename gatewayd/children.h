#ifndef GATEWAYD_CHILDREN_H
#define GATEWAYD_CHILDREN_H

/*
 * The master's children: one steward and a number of workers for each generation of the configuration, several
 * generations at a time while old ones finish their requests.
 */

#include <sys/types.h>

#include "gatewayd/net.h"
#include "gatewayd/process.h"
#include "libshm/slot.h"

/* One configuration in use: freed when it is neither in force nor used by a child. */
struct generation {
    struct generation *next;
    struct conf *conf;
    struct plan *plan;
    struct sockets sockets; /* descriptors are shared with the generation in force where both name them */
    uint64_t number;
};

struct child {
    pid_t pid; /* 0: waits to be started again at `start_at` */
    enum gws_role role;
    unsigned index;
    int slot;
    struct generation *generation;
    uint64_t started; /* loop clock, ms */
    uint64_t start_at;
    unsigned failures; /* deaths in a row soon after the start */
    bool retiring;     /* told to end; not started again */
};

/* What every child is given. */
struct nursery {
    struct gws_region *region;
    const char *state;
    const char *entrance; /* where the region is to be entered, while another one still stands at `state` */
    const struct process_user *user;
    struct sockets *given; /* of the master before, or of a service manager; may be NULL */
    int lock_fd;
    int talk_fd; /* between two masters; -1: there is one */
    int alive_pipe[2]; /* the master holds [1]; its end of file at [0] is the master's death */
    uint64_t claim;
    uint64_t found_claim; /* before that; the same when another master lives and has it */
    bool json_log;
    int log_level;
};

struct children {
    struct child *list;
    size_t count;
    size_t size;
};

/* Add the children of a generation; they are started by children_tend(). 0 or -ENOMEM. */
int children_add(struct children *children, struct generation *generation);

/* Start those whose time has come. Returns the ms until the next one is due, or -1. */
int64_t children_tend(struct children *children, const struct nursery *nursery, uint64_t now_ms);

/* Collect the dead: free their slots, have the unexpected ones started again. `stopping`: none is. */
void children_reap(struct children *children, const struct nursery *nursery, uint64_t now_ms, bool stopping);

/* Signal the children of a generation, or of all but `except`; NULL stands for every generation. */
void children_retire(struct children *children, const struct generation *except, int signum);
void children_signal(const struct children *children, enum gws_role role, int signum);

/* Whether every child of the generation serves; how many children are alive; whether one uses the generation. */
bool children_live(const struct children *children, const struct generation *generation,
                   const struct gws_region *region);
size_t children_alive(const struct children *children);
/* Whether the slot is that of a child. */
bool children_hold(const struct children *children, int slot);
bool children_use(const struct children *children, const struct generation *generation);
void children_fini(struct children *children);

#endif
