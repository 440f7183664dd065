#ifndef GATEWAYD_MASTER_INTERNAL_H
#define GATEWAYD_MASTER_INTERNAL_H

/* What the files of the master share: master.c has the signals, the loop and the end, the others what it calls. */

#include "gatewayd/children.h"
#include "gatewayd/master.h"
#include "libshm/event.h"

enum { MASTER_POLL_MS = 50, MASTER_COMING_MS = 20000 };

struct master {
    const struct master_options *options;
    struct inherit *inherit;    /* what was given to it; the sockets in it are borrowed until it serves */
    struct gws_region region;
    struct process_user user;
    struct nursery nursery;
    struct children children;
    bool made;                  /* the region is new */
    char entrance[4096];        /* where the region is, until it takes the place of one with another layout */
    bool announced;             /* it serves */
    struct generation *current;
    struct generation *retired; /* still used by children */
    struct generation *coming;  /* being started; retires `current` once it serves */
    uint64_t coming_until;      /* by when it must */
    struct orphan {
        int slot;
        int32_t pid;
    } *orphans; /* processes of other masters that still live and are ours to bury */
    size_t orphan_count;
    char access[256]; /* where the access log goes: opened once, for all children */
    pid_t before;     /* the master that this one replaces, for as long as it lives */
    bool asked;       /* it was told that we could serve */
    struct upgrade upgrade;
    bool replaced;    /* the heir serves; only our own workers are left to wait for */
};

uint64_t master_now_ms(void);
void master_record(struct master *m, enum gws_event_code code, uint64_t old, uint64_t new);

/* master_start.c: the region, its slots, the listeners, the first generation. 0, or 1 having said why. */
int master_take(struct master *m, const struct conf *conf);
int master_start(struct master *m, struct conf *conf);
void master_give_access_log(const struct master *m);
/* Find the processes that another master has left behind, and bury those that have ended. 0 or -ENOMEM. */
int master_find_orphans(struct master *m);
/* Remove the region that an heir of another layout has made beside ours, and has not put in its place. */
void master_remove_beside(const char *state);
void master_tend_orphans(struct master *m);

/* master_reload.c: generations. */
int master_generation_new(struct master *m, struct conf *conf, const struct sockets *old, bool beside,
                          struct generation **out, struct conf_problems *problems);
void master_generation_free(struct generation *g);
int master_generation_begin(struct master *m, struct generation *g);
void master_sweep_generations(struct master *m);
void master_report(const struct master *m, const struct conf_problems *problems);
void master_reload(struct master *m);
/* Another generation is coming: has it come, or is its time over? */
void master_tend_coming(struct master *m);
/* The names of the configuration in force are its own again, whatever another one made of them. */
void master_names_again(struct master *m);
/* One line on what serves, for the service manager. */
void master_tell_ready(const struct master *m);

/* master_upgrade.c: the old one's side, */
void master_upgrade(struct master *m);
void master_tend_upgrade(struct master *m);
/* There will be no upgrade: only see whether the heir has ended. */
void master_drop_heir(struct master *m);
/* and the heir's: whether the one before has said that we may serve. */
enum master_leave { MASTER_WAIT, MASTER_GO, MASTER_GIVE_UP };
enum master_leave master_ask_leave(struct master *m);
/* Wait for the export of the one before. 0, or 1 when none came. */
int master_wait_for_export(struct master *m);
/* The region becomes ours. 0, or 1 having said why not. */
int master_serve(struct master *m);

#endif
