/*
 * One connection of the admin server: a request is read whole, answered at once, and only when its answer has gone is
 * the next one looked at. So what a client costs is a head, one answer, and nothing that grows while it stalls.
 */

#include "gatewayd/admin_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatewayd/http.h"
#include "gatewayd/log.h"
#include "gatewayd/peer.h"
#include "libshm/event.h"

#define CONN_OF(member, pointer)                                                                                       \
    ((struct admin_conn *)(void *)((char *)(pointer) - offsetof(struct admin_conn, member)))

enum { READ_SIZE = 4096 };

static void work(struct admin_conn *c);

/* The list of them, and the end of one. */

static void unlink_conn(struct admin_conn *c)
{
    struct admin *admin = c->admin;
    *(c->prev ? &c->prev->next : &admin->first) = c->next;
    *(c->next ? &c->next->prev : &admin->last) = c->prev;
    c->next = c->prev = NULL;
}

static void link_first(struct admin_conn *c)
{
    struct admin *admin = c->admin;
    c->next = admin->first;
    *(c->next ? &c->next->prev : &admin->last) = c;
    admin->first = c;
}

void admin_conn_front(struct admin_conn *c)
{
    unlink_conn(c);
    link_first(c);
}

void admin_conn_deadline(struct admin_conn *c, uint64_t after_ms)
{
    c->sent_seen = c->sock.sent;
    event_timer_at(&c->timer, admin_now(c->admin) + after_ms);
}

void admin_conn_close(struct admin_conn *c)
{
    struct admin *admin = c->admin;
    if (c->state == ADMIN_CLOSED)
        return;
    admin->streams -= c->state == ADMIN_STREAMING;
    c->state = ADMIN_CLOSED;
    event_timer_stop(&c->timer);
    sock_fini(&c->sock);
    close(c->sock.fd);
    buf_fini(&c->in);
    buf_fini(&c->held);
    unlink_conn(c);
    c->next = admin->dead;
    admin->dead = c;
    admin->count--;
    if (admin->count == 0 && admin->emptied)
        admin->emptied();
}

static void linger(struct admin_conn *c)
{
    c->state = ADMIN_LINGERING;
    shutdown(c->sock.fd, SHUT_WR);
    admin_conn_deadline(c, ADMIN_LINGER_MS);
    sock_watch(&c->sock, true);
}

void admin_conn_finish(struct admin_conn *c)
{
    c->admin->streams -= c->state == ADMIN_STREAMING;
    c->state = ADMIN_ENDING;
    if (c->sock.failed) {
        admin_conn_close(c);
    } else if (sock_pending(&c->sock) == 0) {
        linger(c);
    } else {
        admin_conn_deadline(c, ADMIN_IDLE_MS);
        sock_watch(&c->sock, false);
    }
}

/* One that has begun to arrive has its own, shorter time. */
static void await_request(struct admin_conn *c)
{
    if (c->state != ADMIN_READING)
        return;
    admin_conn_deadline(c, buf_len(&c->in) > 0 ? ADMIN_HEAD_MS : ADMIN_IDLE_MS);
    buf_shrink(&c->in, 2 * READ_SIZE);
}

/* Answers. */

void admin_conn_send(struct admin_conn *c, struct buf *bytes)
{
    struct iovec piece = {bytes->data + bytes->start, buf_len(bytes)};
    if (sock_send(&c->sock, &piece, 1) != 0) {
        admin_conn_close(c);
    } else if (sock_pending(&c->sock) > 0) {
        c->state = ADMIN_SENDING;
        admin_conn_deadline(c, ADMIN_IDLE_MS);
        sock_watch(&c->sock, false);
    } else {
        c->state = ADMIN_READING;
        await_request(c);
    }
}

static void say(struct admin_conn *c, const struct admin_answer *answer, const struct http_request *request,
                bool keep_alive)
{
    struct buf bytes = {0};
    bool head_only = request && str_eq(request->method, STR("HEAD"));
    if (admin_answer_write(answer, keep_alive, request ? request->minor : 1, head_only, &bytes) != 0)
        admin_conn_close(c);
    else
        admin_conn_send(c, &bytes);
    buf_fini(&bytes);
    if (!keep_alive && (c->state == ADMIN_READING || c->state == ADMIN_SENDING))
        admin_conn_finish(c);
}

/* What cannot be a request of ours, and the end of the connection. */
static void refuse(struct admin_conn *c, int status, const char *code, const char *message)
{
    struct admin_answer answer = {0};
    admin_answer_error(&answer, status, code, message);
    say(c, &answer, NULL, false);
}

/* Its answer comes late, so that a connection is no way to try many; and few may be tried on one. */
static void hold_wrong(struct admin_conn *c, const struct admin_answer *answer, const struct http_request *request)
{
    bool last = ++c->wrong >= ADMIN_WRONG_MAX || !request->keep_alive;
    if (c->wrong == 1)
        log_warn("a wrong admin token was refused");
    if (last)
        c->wrong = ADMIN_WRONG_MAX;
    if (admin_answer_write(answer, !last, request->minor, str_eq(request->method, STR("HEAD")), &c->held) != 0) {
        admin_conn_close(c);
        return;
    }
    c->state = ADMIN_HELD;
    sock_watch(&c->sock, false);
    admin_conn_deadline(c, ADMIN_WRONG_MS);
}

static void release_held(struct admin_conn *c)
{
    admin_conn_send(c, &c->held);
    if (c->state == ADMIN_CLOSED)
        return;
    buf_fini(&c->held);
    if (c->wrong >= ADMIN_WRONG_MAX)
        admin_conn_finish(c);
    else if (c->state == ADMIN_READING)
        work(c);
}

/* Requests. */

static enum admin_verdict admit(const struct admin_conn *c, const struct http_request *request, enum admin_need need)
{
    const struct plan *plan = c->admin->process->plan;
    const struct admin_rules rules = {
        .needs_token = !c->is_unix,
        .open_metrics = plan->conf->admin.open_metrics,
        .token = plan->has_admin_token ? plan->admin_token : NULL,
        .hostname = str_of(c->admin->hostname),
    };
    return admin_guard(request, &rules, need);
}

/* What a stranger gets as well: to have been let in for it says nothing of who asks. */
static bool is_for_all(const struct admin_conn *c, enum admin_need need)
{
    bool open = c->admin->process->plan->conf->admin.open_metrics && !c->is_unix;
    return need == ADMIN_NEED_NOTHING || (need == ADMIN_NEED_METRICS && open);
}

static bool takes_stream(struct admin_conn *c, const struct http_request *request, struct admin_answer *answer)
{
    if (str_eq(request->method, STR("HEAD"))) {
        answer->status = 200;
        answer->type = "text/event-stream";
        return false;
    }
    if (c->admin->streams < ADMIN_STREAMS_MAX && !c->admin->emptied)
        return true;
    admin_answer_error(answer, 503, "at_capacity", "Too many streams are open already");
    return false;
}

static void respond(struct admin_conn *c, const struct http_request *request)
{
    struct admin_answer answer = {0};
    struct admin_route route;
    bool keep_alive = request->keep_alive && !c->admin->emptied;
    admin_route(request, &route);
    enum admin_verdict verdict = admit(c, request, route.need);
    admin_conn_front(c);
    c->served = true;
    c->trusted = verdict == ADMIN_ADMITTED && !is_for_all(c, route.need);
    if (verdict != ADMIN_ADMITTED) {
        admin_answer_refuse(verdict, &answer);
        if (verdict == ADMIN_WRONG_TOKEN)
            hold_wrong(c, &answer, request);
        else
            say(c, &answer, request, keep_alive);
    } else if (route.what == ADMIN_STREAM && takes_stream(c, request, &answer)) {
        admin_stream_begin(c);
    } else {
        const struct admin_facts facts = admin_facts(c->admin, c->who);
        if (route.what != ADMIN_STREAM)
            admin_answer(&route, &facts, &answer);
        say(c, &answer, request, keep_alive);
    }
    admin_answer_fini(&answer);
}

/* Take one request off the input and answer it. False when it is not whole yet, or was refused. */
static bool take_request(struct admin_conn *c)
{
    struct http_request request;
    const char *why = NULL;
    size_t have = buf_len(&c->in);
    int64_t used = http_request_parse(buf_at(&c->in), have, c->seen, &request, &why);
    if (used == HTTP_MORE && have <= ADMIN_HEAD_MAX)
        c->seen = have;
    else if (used == HTTP_MORE || used == HTTP_TOO_MANY || used > ADMIN_HEAD_MAX)
        refuse(c, 431, "request_too_large", "The request's head is larger than any client needs");
    else if (used < 0)
        refuse(c, 400, "bad_request", why ? why : "This is not HTTP/1.1");
    else if (request.chunked || request.length > ADMIN_BODY_MAX)
        refuse(c, 413, "request_too_large", "No request to the admin server needs chunks or more than 4 KiB of body");
    else if (have >= (size_t)used + request.length) {
        c->seen = 0;
        respond(c, &request);
        if (c->state == ADMIN_CLOSED)
            return false;
        buf_consume(&c->in, (size_t)used + (size_t)request.length);
        await_request(c);
        return true;
    }
    return false;
}

/* Take what is there as far as it goes; a request that has begun must be whole within its time. */
static void work(struct admin_conn *c)
{
    while (c->state == ADMIN_READING && buf_len(&c->in) > 0 && take_request(c))
        ;
    if (c->state == ADMIN_READING)
        sock_watch(&c->sock, true);
}

/* Events of the socket. */

static void discard(struct admin_conn *c)
{
    char scratch[READ_SIZE];
    ssize_t n = recv(c->sock.fd, scratch, sizeof scratch, 0);
    c->discarded += n > 0 ? (size_t)n : 0;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || c->discarded > ADMIN_LINGER_BYTES)
        admin_conn_close(c);
}

static void readable(struct admin_conn *c)
{
    if (c->state != ADMIN_READING) { /* a stream's listener has nothing to say, or someone leaves */
        discard(c);
        return;
    }
    if (buf_room(&c->in, READ_SIZE) != 0) {
        admin_conn_close(c);
        return;
    }
    ssize_t n = recv(c->sock.fd, c->in.data + c->in.end, READ_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        admin_conn_close(c);
        return;
    }
    if (buf_len(&c->in) == 0)
        admin_conn_deadline(c, ADMIN_HEAD_MS);
    c->in.end += (size_t)n;
    work(c);
}

static void ready(struct event_io *io, int what)
{
    struct admin_conn *c = CONN_OF(sock.io, io);
    if (what & EVENT_WRITE)
        sock_flush(&c->sock);
    if ((what & EVENT_READ) && c->state != ADMIN_CLOSED)
        readable(c);
}

static void drained(struct sock *sock)
{
    struct admin_conn *c = CONN_OF(sock, sock);
    if (c->state == ADMIN_CLOSED)
        return;
    if (sock->failed) {
        admin_conn_close(c);
    } else if (c->state == ADMIN_ENDING) {
        linger(c);
    } else if (c->state == ADMIN_SENDING) {
        c->state = ADMIN_READING;
        await_request(c);
        work(c);
    }
}

static void timed_out(struct event_timer *timer)
{
    struct admin_conn *c = CONN_OF(timer, timer);
    bool waiting = sock_pending(&c->sock) > 0;
    if (c->state == ADMIN_HELD)
        release_held(c);
    else if ((waiting && c->sock.sent > c->sent_seen) || (c->state == ADMIN_STREAMING && !waiting))
        admin_conn_deadline(c, ADMIN_IDLE_MS); /* slow, but reading */
    else if (c->state == ADMIN_READING && buf_len(&c->in) > 0)
        refuse(c, 408, "request_timeout", "The request took too long to arrive");
    else
        admin_conn_close(c);
}

/* Who has not been answered for the longest time makes room; who was let in and is being answered stays. */
static bool make_room(struct admin *admin)
{
    if (admin->count < ADMIN_CONNS_MAX)
        return true;
    for (struct admin_conn *c = admin->last; c; c = c->prev) {
        if (c->trusted && (c->state == ADMIN_SENDING || c->state == ADMIN_STREAMING))
            continue;
        admin_conn_close(c);
        return true;
    }
    return false;
}

void admin_conn_open(struct admin *admin, int fd, bool is_unix)
{
    uint32_t who = GWS_BY_ADMIN;
    struct admin_conn *c = NULL;
    if ((!is_unix || peer_uid(fd, &who)) && make_room(admin))
        c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->admin = admin;
    c->is_unix = is_unix;
    c->who = who;
    c->sock.fd = fd;
    c->sock.drained = drained;
    event_io_init(&c->sock.io, &admin->process->loop, fd, ready);
    event_timer_init(&c->timer, &admin->process->loop, timed_out);
    link_first(c);
    admin->count++;
    admin_conn_deadline(c, ADMIN_HEAD_MS);
    sock_watch(&c->sock, true);
}
