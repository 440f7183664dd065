/*
 * Sockets. An answer is one write, and the write watcher sleeps until a client is too slow to take it. Reading goes on
 * while a request is being answered, because that is how a client that has left is noticed at once: the number of
 * requests in flight must be exact, it is what bulkheads are tested against.
 */

#include "tools/llmsim/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/llmsim/serve.h"

enum {
    READ_STEP = 16384,
    AHEAD_MAX = 1 << 20, /* pipelined bytes held while an answer is under way */
    HEAD_MAX = 65536,
    BODY_MAX = 64 << 20,
    LINGER_MS = 1000
};

/* Whether a connection is a client's, and so counts, is known for certain only with its first request. */
static void count_open(struct conn *c, bool client)
{
    struct counts *counts = &c->sim->counts;

    c->to_sim = !client;
    if (client) {
        counts->connections_total++;
        counts->connections_open++;
    } else {
        counts->connections_total--;
        counts->connections_open--;
    }
}

void conn_close(struct conn *c, const char *end)
{
    struct sim *sim = c->sim;

    if (c->phase == CONN_DEAD)
        return;
    serve_over(c, end);
    if (!c->control && !c->to_sim)
        sim->counts.connections_open--;
    ev_io_stop(sim->loop, &c->reading);
    ev_io_stop(sim->loop, &c->writing);
    ev_timer_stop(sim->loop, &c->timer);
    close(c->fd);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    c->phase = CONN_DEAD;
}

void conn_reset(struct conn *c, const char *end)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (c->phase != CONN_DEAD)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    conn_close(c, end);
}

static void release(struct conn *c)
{
    if (c->phase != CONN_DEAD)
        return;
    buf_fini(&c->in);
    buf_fini(&c->out);
    buf_fini(&c->held);
    free(c);
}

void conn_reset_all(struct sim *sim, const struct conn *but)
{
    struct conn *next;

    for (struct conn *c = sim->conns; c; c = next) {
        next = c->next;
        if (c == but || c->control)
            continue;
        conn_reset(c, "down");
        release(c);
    }
}

void conn_fini_all(struct sim *sim)
{
    while (sim->conns) {
        struct conn *c = sim->conns;
        conn_close(c, "stopped");
        release(c);
    }
}

void conn_wake(struct conn *c, int64_t ms)
{
    ev_timer_stop(c->sim->loop, &c->timer);
    ev_timer_set(&c->timer, (double)ms / 1000, 0);
    ev_timer_start(c->sim->loop, &c->timer);
}

void conn_end(struct conn *c)
{
    c->ended = true;
}

/* The answer is sent: on to the next request, or to the end of the connection. */
static void answered(struct conn *c)
{
    serve_over(c, c->x.end ? c->x.end : "complete");
    ev_timer_stop(c->sim->loop, &c->timer);
    c->ended = false;
    c->served++;
    buf_shrink(&c->out, READ_STEP);
    buf_shrink(&c->in, READ_STEP);
    if (!c->close) {
        c->phase = CONN_HEAD;
        ev_io_start(c->sim->loop, &c->reading);
        return;
    }
    /* Closing with unread input would send a reset, which can overtake the answer. The client gets time to leave. */
    shutdown(c->fd, SHUT_WR);
    c->phase = CONN_LINGER;
    buf_clear(&c->in);
    ev_io_start(c->sim->loop, &c->reading);
    conn_wake(c, LINGER_MS);
}

static void flush(struct conn *c)
{
    while (buf_len(&c->out)) {
        ssize_t n = send(c->fd, buf_at(&c->out), buf_len(&c->out), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            ev_io_start(c->sim->loop, &c->writing);
            return;
        }
        if (n < 0) {
            conn_close(c, "aborted");
            return;
        }
        buf_consume(&c->out, (size_t)n);
    }
    ev_io_stop(c->sim->loop, &c->writing);
    if (c->ended)
        answered(c);
}

static void begin_body(struct conn *c, const struct http_request *r)
{
    c->phase = CONN_BODY;
    c->body_chunked = r->chunked;
    c->body_left = r->length;
    c->body_len = 0;
    c->chunks = (struct http_chunked){0};
}

static bool take_head(struct conn *c)
{
    static struct http_request r; /* four kilobytes that no connection needs for longer than this call */
    struct str raw = buf_str(&c->in);
    const char *why = "";

    if (raw.len == 0)
        return false;
    int64_t used = http_request_parse(raw.at, raw.len, c->seen, &r, &why);
    if (used == HTTP_MORE && raw.len < HEAD_MAX) {
        c->seen = raw.len;
        return false;
    }
    c->seen = 0;
    if (used <= 0) {
        serve_bad(c, used == HTTP_MORE ? 431 : 400, used == HTTP_MORE ? "The request head is too large." : why);
        c->phase = CONN_ANSWER;
        return true;
    }
    if (!c->control && c->served == 0 && !c->to_sim && api_of(r.path) == API_CONTROL)
        count_open(c, false);
    else if (c->to_sim && api_of(r.path) != API_CONTROL)
        count_open(c, true);
    raw.len = (size_t)used;
    serve_head(c, &r, raw);
    if (c->phase == CONN_DEAD)
        return false;
    /* The client may be waiting for leave to send its body. */
    bool wants_leave = r.expect_continue && raw.len == buf_len(&c->in);
    begin_body(c, &r);
    buf_consume(&c->in, (size_t)used);
    if (wants_leave) {
        sim_must(buf_add_str(&c->out, STR("HTTP/1.1 100 Continue\r\n\r\n")));
        flush(c);
    }
    return true;
}

/* Decode what there is of a chunked body to the front of the input, what follows it right behind. -1 when it is bad. */
static int feed_chunks(struct conn *c)
{
    char *raw = buf_at(&c->in) + c->body_len;
    size_t len = buf_len(&c->in) - c->body_len, payload = 0;
    int64_t used = http_chunked_feed(&c->chunks, raw, len, &payload);

    if (used < 0)
        return -1;
    memmove(raw + payload, raw + used, len - (size_t)used);
    c->in.end -= (size_t)used - payload;
    c->body_len += payload;
    return 0;
}

static bool take_body(struct conn *c)
{
    const char *bad = NULL;

    if (c->body_chunked && buf_len(&c->in) > c->body_len && feed_chunks(c) < 0)
        bad = "The chunked body is malformed.";
    else if (!c->body_chunked && c->body_left <= BODY_MAX)
        c->body_len = buf_len(&c->in) < c->body_left ? buf_len(&c->in) : (size_t)c->body_left;
    if (bad || c->body_left > BODY_MAX || c->body_len > BODY_MAX) {
        c->phase = CONN_ANSWER;
        serve_bad(c, bad ? 400 : 413, bad ? bad : "The request body is too large.");
        return true;
    }
    if (c->body_chunked ? !c->chunks.done : c->body_len < c->body_left)
        return false;
    c->phase = CONN_ANSWER;
    serve_request(c, (struct str){c->body_len ? buf_at(&c->in) : "", c->body_len});
    if (c->phase != CONN_DEAD)
        buf_consume(&c->in, c->body_len);
    return true;
}

/* Go on as far as the input and the client's appetite reach. */
static void settle(struct conn *c)
{
    for (;;) {
        switch (c->phase) {
        case CONN_HEAD:
            if (!take_head(c))
                return;
            break;
        case CONN_BODY:
            if (!take_body(c))
                return;
            break;
        case CONN_ANSWER:
            flush(c);
            if (c->phase == CONN_ANSWER)
                return;
            break;
        default:
            return;
        }
    }
}

/* What a dead provider would not even read. A head that may still turn out to ask for /sim is waited for. */
static bool unwanted(const struct conn *c)
{
    struct str in = buf_str(&c->in), get = STR("GET /sim"), post = STR("POST /sim");

    if (!c->sim->down || c->control || c->to_sim || c->phase != CONN_HEAD || c->served)
        return false;
    get.len = in.len < get.len ? in.len : get.len;
    post.len = in.len < post.len ? in.len : post.len;
    return !str_starts(in, get) && !str_starts(in, post);
}

static void on_read(struct ev_loop *loop, struct ev_io *w, int events)
{
    struct conn *c = w->data;

    (void)events;
    sim_must(buf_room(&c->in, READ_STEP));
    ssize_t n = recv(c->fd, c->in.data + c->in.end, c->in.size - c->in.end, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_close(c, "aborted");
    } else if (c->phase != CONN_LINGER) {
        c->in.end += (size_t)n;
        if (unwanted(c)) {
            c->sim->counts.refused++;
            conn_reset(c, "refused");
        } else {
            settle(c);
        }
        if (c->phase == CONN_ANSWER && buf_len(&c->in) > AHEAD_MAX)
            ev_io_stop(loop, &c->reading);
    }
    release(c);
}

static void on_write(struct ev_loop *loop, struct ev_io *w, int events)
{
    struct conn *c = w->data;

    (void)loop, (void)events;
    flush(c);
    settle(c);
    release(c);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct conn *c = w->data;

    (void)loop, (void)events;
    if (c->phase == CONN_LINGER) {
        conn_close(c, NULL);
    } else {
        serve_tick(c);
        settle(c);
    }
    release(c);
}

void conn_accept(struct sim *sim, int fd, bool tcp, bool control)
{
    struct conn *c = calloc(1, sizeof(*c));
    int on = 1;

    sim_must(c ? 0 : -1);
    c->sim = sim;
    c->fd = fd;
    c->control = control;
    c->next = sim->conns;
    c->link = &sim->conns;
    if (c->next)
        c->next->link = &c->next;
    sim->conns = c;
    ev_io_init(&c->reading, on_read, fd, EV_READ);
    ev_io_init(&c->writing, on_write, fd, EV_WRITE);
    ev_timer_init(&c->timer, on_timer, 0, 0);
    c->reading.data = c->writing.data = c->timer.data = c;
    if (!control) {
        c->number = ++sim->last_connection;
        count_open(c, true);
    }
    if (sim->down && sim->has_control && !control) {
        sim->counts.refused++;
        conn_reset(c, "refused");
        release(c);
        return;
    }
    if (tcp)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ev_io_start(sim->loop, &c->reading);
}
