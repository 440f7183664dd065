#include "gatewayd/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "gatewayd/conn.h"
#include "gatewayd/log.h"
#include "gatewayd/park.h"
#include "gatewayd/route.h"
#include "gatewayd/upstream.h"

/*
 * All workers wait on the same listening sockets. A worker takes a few connections a turn and leaves the rest to the
 * others; one that is out of descriptors stops listening for a moment instead of spinning.
 */

enum { ACCEPTS_A_TURN = 16, OUT_OF_FILES_MS = 100 };

struct worker;

struct door {
    struct event_io io;
    struct worker *worker;
    const struct listener *listener;
};

struct worker {
    struct process *process;
    struct service service;
    struct conns conns;
    struct park park;
    struct door *doors;
    size_t door_count;
    struct event_timer reopen_doors;
    struct event_timer drain_limit;
    bool ending;
    struct buf models;
};

static struct worker *self; /* one a process */

static void watch_doors(struct worker *w, bool open)
{
    for (size_t i = 0; i < w->door_count; i++)
        event_io_watch(&w->doors[i].io, open ? EVENT_READ : 0);
}

static void knock(struct event_io *io, int what)
{
    (void)what;
    struct door *door = (struct door *)(void *)io;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        bool out_of_files;
        int fd = net_accept(door->listener, &out_of_files);
        if (fd >= 0) {
            conns_accept(&door->worker->conns, fd);
            continue;
        }
        if (out_of_files) {
            log_error("out of file descriptors; raise LimitNOFILE (ulimit -n) or lower limits.connections");
            watch_doors(door->worker, false);
            event_timer_at(&door->worker->reopen_doors, event_now_ms(door->worker->service.loop) + OUT_OF_FILES_MS);
        }
        return;
    }
}

static void doors_again(struct event_timer *timer)
{
    (void)timer;
    if (!self->ending)
        watch_doors(self, true);
}

/* Those who already wait in the queue are served before this worker turns away from it for good. */
static void close_doors(struct worker *w)
{
    watch_doors(w, false);
    for (size_t i = 0; i < w->door_count; i++) {
        bool out_of_files;
        for (int fd; (fd = net_accept(w->doors[i].listener, &out_of_files)) >= 0;)
            conns_accept(&w->conns, fd);
        close(w->doors[i].listener->fd);
    }
    w->door_count = 0;
}

static void emptied(struct conns *conns)
{
    (void)conns;
    process_exit(self->process);
}

static void drain_over(struct event_timer *timer)
{
    (void)timer;
    log_warn("%u connections are still open at the end of the drain; closing them", self->conns.count);
    conns_stop(&self->conns);
    process_exit(self->process);
}

static void ending(struct process *process, enum process_end how)
{
    struct worker *w = self;
    const struct conf *conf = process->plan->conf;
    if (how == PROCESS_QUIT) {
        process_exit(process);
        return;
    }
    close_doors(w);
    bool stopping = how == PROCESS_DRAIN_STOP;
    if (!w->ending || stopping)
        event_timer_at(&w->drain_limit,
                       event_now_ms(w->service.loop) + (stopping ? conf->drain.stop : conf->drain.reload));
    w->ending = true;
    conns_drain(&w->conns, stopping);
}

static void reopen(struct process *process)
{
    (void)process;
    int rc = log_access_reopen();
    if (rc != 0)
        log_error("cannot reopen the access log: %s", strerror(-rc));
}

static void before_sleep(void *owner)
{
    struct worker *w = owner;
    upstream_turn(w->service.upstream);
    conns_turn(&w->conns);
    upstream_turn(w->service.upstream); /* whom a drained client resumed */
    conns_turn(&w->conns);
    log_access_flush();
}

static int open_doors(struct worker *w, const struct listeners *listeners)
{
    w->doors = calloc(listeners->count, sizeof *w->doors);
    if (!w->doors)
        return -ENOMEM;
    w->door_count = listeners->count;
    for (size_t i = 0; i < listeners->count; i++) {
        w->doors[i].worker = w;
        w->doors[i].listener = &listeners->list[i];
        event_io_init(&w->doors[i].io, w->service.loop, listeners->list[i].fd, knock);
    }
    watch_doors(w, true);
    return 0;
}

static int start(struct worker *w, const struct listeners *listeners)
{
    struct process *p = w->process;
    w->service = (struct service){.loop = &p->loop, .region = &p->region, .plan = p->plan};
    if (route_models_json(p->plan, &w->models) != 0)
        return -ENOMEM;
    w->service.models_json = buf_str(&w->models);
    w->service.upstream = upstream_new(&p->loop, p->plan);
    if (!w->service.upstream)
        return -ENOMEM;
    park_init(&w->park, &p->loop, &p->region, p->slot);
    w->service.park = &w->park;
    conns_init(&w->conns, &w->service, emptied);
    event_timer_init(&w->reopen_doors, &p->loop, doors_again);
    event_timer_init(&w->drain_limit, &p->loop, drain_over);
    event_loop_before_sleep(&p->loop, before_sleep, w);
    p->ending = ending;
    p->reopen = reopen;
    return open_doors(w, listeners);
}

int worker_main(struct process *process, const struct listeners *listeners)
{
    static struct worker worker;
    self = &worker;
    worker.process = process;
    int rc = process_enter(process);
    if (rc != 0)
        return rc;
    rc = start(&worker, listeners);
    if (rc == 0)
        process_run(process);
    else
        log_error("cannot start: %s", strerror(-rc));
    watch_doors(&worker, false);
    conns_fini(&worker.conns);
    upstream_free(worker.service.upstream);
    park_fini(&worker.park);
    event_timer_stop(&worker.reopen_doors);
    event_timer_stop(&worker.drain_limit);
    buf_fini(&worker.models);
    free(worker.doors);
    process_fini(process);
    return rc == 0 ? 0 : 1;
}
