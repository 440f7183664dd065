#include "gatewayd/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "gatewayd/admin_internal.h"
#include "gatewayd/log.h"
#include "libshm/clock.h"

/*
 * Doors, the hour's samples, and an orderly end. The sockets are the master's: over a reload the next steward listens
 * on the same ones, so nobody is refused, and who held a stream comes again.
 */

enum { ACCEPTS_A_TURN = 16, OUT_OF_FILES_MS = 100 };

#define ADMIN_OF(member, pointer) ((struct admin *)(void *)((char *)(pointer) - offsetof(struct admin, member)))

static void watch_doors(struct admin *admin, bool open)
{
    for (size_t i = 0; i < admin->door_count; i++)
        event_io_watch(&admin->doors[i].io, open ? EVENT_READ : 0);
}

static void knock(struct event_io *io, int what)
{
    (void)what;
    struct admin_door *door = (struct admin_door *)(void *)io;
    struct admin *admin = door->admin;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        bool out_of_files;
        int fd = net_accept(door->listener, &out_of_files);
        if (fd >= 0) {
            admin_conn_open(admin, fd, door->listener->is_unix);
            continue;
        }
        if (out_of_files) {
            log_error("the admin server is out of file descriptors; raise LimitNOFILE (ulimit -n)");
            watch_doors(admin, false);
            event_timer_at(&admin->reopen_doors, admin_now(admin) + OUT_OF_FILES_MS);
        }
        return;
    }
}

/* Who waits in the queue is served; a copy that nobody accepts on would let others wait for nothing, for as long as
 * hooks keep this process. */
static void close_doors(struct admin *admin)
{
    watch_doors(admin, false);
    for (size_t i = 0; i < admin->door_count; i++) {
        const struct listener *listener = admin->doors[i].listener;
        bool out_of_files;
        for (int fd; (fd = net_accept(listener, &out_of_files)) >= 0;)
            admin_conn_open(admin, fd, listener->is_unix);
        close(listener->fd);
    }
    admin->door_count = 0;
}

static void doors_again(struct event_timer *timer)
{
    struct admin *admin = ADMIN_OF(reopen_doors, timer);
    if (!admin->emptied)
        watch_doors(admin, true);
}

static void take_sample(struct event_timer *timer)
{
    struct admin *admin = ADMIN_OF(sample, timer);
    struct gws_region *region = &admin->process->region;
    struct overview overview;
    uint64_t now = gws_clock_ms(region);
    overview_read(&overview, region, admin->process->state, now);
    admin_samples_take(&admin->samples, &overview, gws_region_real_base(region) + now);
    overview_fini(&overview);
    event_timer_at(&admin->sample, admin_now(admin) + ADMIN_SAMPLE_MS);
}

static void drain_over(struct event_timer *timer)
{
    ADMIN_OF(drain_limit, timer)->emptied();
}

int admin_new(struct admin **out, struct process *process, const struct listeners *listeners)
{
    struct admin *admin = calloc(1, sizeof *admin);
    if (admin)
        admin->doors = calloc(listeners->count + 1, sizeof *admin->doors);
    if (!admin || !admin->doors) {
        free(admin);
        return -ENOMEM;
    }
    admin->process = process;
    if (gethostname(admin->hostname, sizeof admin->hostname - 1) != 0)
        admin->hostname[0] = '\0';
    event_timer_init(&admin->reopen_doors, &process->loop, doors_again);
    event_timer_init(&admin->tick, &process->loop, admin_stream_tick);
    event_timer_init(&admin->sample, &process->loop, take_sample);
    event_timer_init(&admin->drain_limit, &process->loop, drain_over);
    for (; admin->door_count < listeners->count; admin->door_count++) {
        struct admin_door *door = &admin->doors[admin->door_count];
        door->admin = admin;
        door->listener = &listeners->list[admin->door_count];
        event_io_init(&door->io, &process->loop, door->listener->fd, knock);
    }
    watch_doors(admin, true);
    event_timer_at(&admin->sample, admin_now(admin));
    *out = admin;
    return 0;
}

void admin_drain(struct admin *admin, void (*emptied)(void))
{
    if (!admin) {
        emptied();
        return;
    }
    admin->emptied = emptied;
    close_doors(admin);
    event_timer_at(&admin->drain_limit, admin_now(admin) + ADMIN_DRAIN_MS);
    struct admin_conn *next;
    for (struct admin_conn *c = admin->first; c; c = next) {
        next = c->next;
        /* One that has not asked yet is about to. */
        if (c->state == ADMIN_READING && buf_len(&c->in) == 0 && c->served)
            admin_conn_close(c);
        else if (c->state == ADMIN_STREAMING || c->state == ADMIN_SENDING)
            admin_conn_finish(c);
    }
    if (admin->count == 0)
        emptied();
}

void admin_turn(struct admin *admin)
{
    while (admin && admin->dead) {
        struct admin_conn *c = admin->dead;
        admin->dead = c->next;
        free(c);
    }
}

void admin_free(struct admin *admin)
{
    if (!admin)
        return;
    watch_doors(admin, false);
    admin->emptied = NULL;
    while (admin->first)
        admin_conn_close(admin->first);
    admin_turn(admin);
    event_timer_stop(&admin->reopen_doors);
    event_timer_stop(&admin->tick);
    event_timer_stop(&admin->sample);
    event_timer_stop(&admin->drain_limit);
    admin_samples_fini(&admin->samples);
    free(admin->doors);
    free(admin);
}
