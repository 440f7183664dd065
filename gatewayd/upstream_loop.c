#include "gatewayd/upstream_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * libcurl's multi interface on the process's own loop. It asks for a descriptor to be unwatched after every request and
 * watched again at the next: the watcher is left in place, since the answer to the next request is what it will report.
 * And it must not be re-entered from its own callbacks: what starts within one is only noted, and begun by
 * upstream_turn() before the loop sleeps.
 */

enum { SHARED_STREAMS = 4, KEPT_CONNECTIONS = 4096 };

static void act(struct watch *watch, int what)
{
    struct upstream *up = watch->up;
    int running;
    up->acting = watch;
    curl_multi_socket_action(up->multi, watch->io.io.fd,
                             (what & EVENT_READ ? CURL_CSELECT_IN : 0) | (what & EVENT_WRITE ? CURL_CSELECT_OUT : 0),
                             &running);
    up->acting = NULL;
    upstream_finish_done(up);
}

/*
 * libcurl runs every transfer of a connection whenever the connection has bytes for one of them. A connection that many
 * streams share is therefore read at most once a millisecond: what has come by then is for many of them.
 */
static bool rest(struct watch *watch, int what)
{
    struct upstream *up = watch->up;
    if (watch->resting || watch->streams < SHARED_STREAMS || what != EVENT_READ || watch->wanted != EVENT_READ)
        return false;
    event_io_watch(&watch->io, 0);
    watch->resting = true;
    watch->next_resting = up->resting;
    up->resting = watch;
    event_timer_at(&up->rest_over, event_now_ms(up->loop) + 1);
    return true;
}

static void rest_over(struct event_timer *timer)
{
    struct upstream *up = (struct upstream *)(void *)((char *)timer - offsetof(struct upstream, rest_over));
    while (up->resting) {
        struct watch *watch = up->resting;
        up->resting = watch->next_resting;
        watch->resting = false;
        event_io_watch(&watch->io, watch->wanted);
        if (watch->wanted)
            act(watch, EVENT_READ);
    }
}

/*
 * A kept connection said something, most likely goodbye. If it was anything else, libcurl would take it for the answer
 * to whatever is asked next, and one client would get another's; after this it sees that the connection is dead.
 */
static void spoken_unasked(struct watch *watch)
{
    event_io_watch(&watch->io, 0);
    if (watch->plain && !watch->held && watch->up->adrift == 0)
        shutdown(watch->io.io.fd, SHUT_RDWR);
}

static void socket_ready(struct event_io *io, int what)
{
    struct watch *watch = (struct watch *)(void *)io;
    if (!watch->wanted)
        spoken_unasked(watch);
    else if (!rest(watch, what))
        act(watch, what);
}

static struct watch *watch_of(struct upstream *up, int fd)
{
    if ((size_t)fd >= up->watch_count) {
        size_t count = (size_t)fd * 2 + 64;
        struct watch **larger = realloc(up->watches, count * sizeof *larger);
        if (!larger)
            return NULL;
        memset(larger + up->watch_count, 0, (count - up->watch_count) * sizeof *larger);
        up->watches = larger;
        up->watch_count = count;
    }
    struct watch *watch = up->watches[fd];
    if (!watch) {
        watch = calloc(1, sizeof *watch);
        if (!watch)
            return NULL;
        watch->up = up;
        event_io_init(&watch->io, up->loop, fd, socket_ready);
        up->watches[fd] = watch;
    }
    return watch;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *unused)
{
    (void)unused;
    struct watch *watch = watch_of(owner, fd);
    struct transfer *t = NULL;
    if (!watch)
        return -1;
    watch->wanted = what == CURL_POLL_IN      ? EVENT_READ
                    : what == CURL_POLL_OUT   ? EVENT_WRITE
                    : what == CURL_POLL_INOUT ? EVENT_READ | EVENT_WRITE
                                              : 0;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
    watch->held = t && t->paused && !watch->wanted;
    if (t && watch->wanted && !t->paused)
        t->watched = true;
    if (watch->resting && watch->wanted == EVENT_READ)
        return 0;
    if (watch->wanted)
        event_io_watch(&watch->io, watch->wanted);
    else if (event_io_watched(&watch->io) & EVENT_WRITE)
        event_io_watch(&watch->io, EVENT_READ);
    return 0;
}

int upstream_loop_close(void *owner, curl_socket_t fd)
{
    struct upstream *up = owner;
    if ((size_t)fd < up->watch_count && up->watches[fd]) {
        up->watches[fd]->wanted = 0;
        up->watches[fd]->streams = 0;
        up->watches[fd]->plain = false;
        event_io_watch(&up->watches[fd]->io, 0);
    }
    return close(fd);
}

/* As libcurl would, but for noticing whose fault it is when there is none to be had. */
curl_socket_t upstream_loop_open(void *owner, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = owner;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    t->local = t->local || (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM));
    struct watch *watch = fd < 0 ? NULL : watch_of(t->up, fd);
    if (watch) {
        event_io_watch(&watch->io, 0); /* some descriptors are closed without the call for it: of resolvers */
        event_io_watch(&watch->io, EVENT_READ); /* an answer may come before libcurl has to wait for it */
        watch->plain = !t->target->two;
    }
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_timer(CURLM *multi, long ms, void *owner)
{
    (void)multi;
    struct upstream *up = owner;
    if (ms < 0)
        event_timer_off(&up->timer);
    else if (ms == 0)
        up->kick = true;
    else
        event_timer_at(&up->timer, event_now_ms(up->loop) + (uint64_t)ms);
    return 0;
}

static void timer_fired(struct event_timer *timer)
{
    struct upstream *up = (struct upstream *)(void *)((char *)timer - offsetof(struct upstream, timer));
    up->kick = true;
    upstream_turn(up);
}

void upstream_turn(struct upstream *up)
{
    /* Bounded, so that transfers that end at once and are begun again cannot starve the loop. */
    for (int i = 0; i < 16 && (up->kick || up->aborted); i++) {
        if (up->kick) {
            int running;
            up->kick = false;
            curl_multi_socket_action(up->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        upstream_finish_done(up);
    }
    if (up->kick || up->aborted)
        event_timer_at(&up->timer, event_now_ms(up->loop));
}

void upstream_loop_init(struct upstream *up)
{
    event_timer_init(&up->timer, up->loop, timer_fired);
    event_timer_init(&up->rest_over, up->loop, rest_over);
    curl_multi_setopt(up->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(up->multi, CURLMOPT_SOCKETDATA, up);
    curl_multi_setopt(up->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(up->multi, CURLMOPT_TIMERDATA, up);
    curl_multi_setopt(up->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
}

void upstream_loop_fini(struct upstream *up)
{
    event_timer_stop(&up->timer);
    event_timer_stop(&up->rest_over);
    for (size_t i = 0; i < up->watch_count; i++)
        free(up->watches[i]);
    free(up->watches);
}
