#ifndef TESTS_LIBSHM_FIXTURE_H
#define TESTS_LIBSHM_FIXTURE_H

/*
 * A region in a directory of its own, and processes that work on it. A test may stand for several workers by opening
 * several views, each with a slot; where the process itself matters it forks. Time is whatever the test says it is.
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "libshm/event.h"
#include "libshm/region.h"
#include "libshm/slot.h"

struct fixture {
    char dir[64];
    char path[80];
    struct gws_fault fault;
    struct gws_region region;
};

static inline struct gws_dims fixture_dims(void)
{
    return (struct gws_dims){.slots = 16, .guests = 3, .domains = 12, .endpoints = 4, .limits = 6, .events = 1024};
}

static inline struct gws_owner fixture_owner(void)
{
    return (struct gws_owner){.uid = geteuid(), .gid = getegid(), .mode = 0660};
}

/* A directory on memory where there is one: a region belongs there. */
static inline void fixture_dir(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->region.fd = -1;
    f->region.slot = -1;
    snprintf(f->dir, sizeof(f->dir), "%s/gwshm-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/state", f->dir);
}

/* A slot for a view, held by the calling process. */
static inline void fixture_enter(struct fixture *f, struct gws_region *view, enum gws_role role, uint64_t config)
{
    int slot = gws_slot_reserve(view, role, config, 0);

    assert_true(slot >= 0);
    assert_int_equal(gws_slot_enter(view, slot, f->path), 0);
}

static inline void fixture_create(struct fixture *f, const struct gws_dims *dims)
{
    struct gws_owner owner = fixture_owner();

    fixture_dir(f);
    if (gws_region_create(&f->region, f->path, dims, &owner, &f->fault) != 0)
        fail_msg("%s", f->fault.text);
}

/* A region and the calling process as its master, in slot 0. */
static inline void fixture_open(struct fixture *f)
{
    struct gws_dims dims = fixture_dims();

    fixture_create(f, &dims);
    fixture_enter(f, &f->region, GWS_ROLE_MASTER, 1);
}

/* Another view of the same region, as another process would have it. */
static inline struct gws_region fixture_view(struct fixture *f, enum gws_access access)
{
    struct gws_region view = {.fd = -1, .slot = -1};

    if (gws_region_open(&view, f->path, access, geteuid(), &f->fault) != GWS_OPEN_DONE)
        fail_msg("%s", f->fault.text);
    return view;
}

static inline struct gws_region fixture_worker(struct fixture *f)
{
    struct gws_region view = fixture_view(f, GWS_CHANGE);

    fixture_enter(f, &view, GWS_ROLE_WORKER, 1);
    return view;
}

static inline void fixture_close(struct fixture *f)
{
    static const char *const suffixes[] = {"", ".lock", ".new", ".other"};
    char path[128];

    gws_region_close(&f->region);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
        unlink(path);
    }
    rmdir(f->dir);
}

/* A test that fails leaves its children behind; they must not outlive it. */
static inline void fixture_die_with_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Fork a worker that runs `work` in a slot reserved for it and exits with what it returns. */
static inline pid_t fixture_fork(struct fixture *f, int *slot, int (*work)(struct fixture *, void *), void *arg)
{
    pid_t pid;

    *slot = gws_slot_reserve(&f->region, GWS_ROLE_WORKER, 1, 0);
    assert_true(*slot >= 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fixture_die_with_parent();
        _exit(gws_slot_enter(&f->region, *slot, f->path) == 0 ? work(f, arg) : 99);
    }
    return pid;
}

static inline int fixture_wait(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

struct fixture_end {
    uint64_t value;
    int side; /* +1: a change left this value behind; -1: a change found it */
};

static inline int fixture_compare_ends(const void *a, const void *b)
{
    const struct fixture_end *x = a;
    const struct fixture_end *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

/*
 * How many pieces are missing from one word's history between `first` and `last`, its value now. Every change must find
 * what another one left, so each value is left as often as it is found; where it is not, a record is missing. Going by
 * values asks nothing of the order of the log, in which several changes share a millisecond.
 */
static inline size_t fixture_chain_breaks(const struct gws_event *events, size_t count, enum gws_event_code code,
                                          uint32_t domain, uint64_t first, uint64_t last)
{
    struct fixture_end *ends = calloc(2 * count + 2, sizeof(*ends));
    size_t used = 0;
    size_t breaks = 0;

    assert_non_null(ends);
    ends[used++] = (struct fixture_end){first, 1};
    ends[used++] = (struct fixture_end){last, -1};
    for (size_t i = 0; i < count; i++) {
        if (events[i].code != code || events[i].domain != domain)
            continue;
        ends[used++] = (struct fixture_end){events[i].old, -1};
        ends[used++] = (struct fixture_end){events[i].new, 1};
    }
    qsort(ends, used, sizeof(*ends), fixture_compare_ends);
    for (size_t i = 0; i < used;) {
        uint64_t value = ends[i].value;
        int balance = 0;
        for (; i < used && ends[i].value == value; i++)
            balance += ends[i].side;
        breaks += balance > 0 ? (size_t)balance : 0;
    }
    free(ends);
    return breaks;
}

#endif
