#include "gatewayd/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatewayd/account.h"
#include "gatewayd/http.h"
#include "gatewayd/reply.h"
#include "gatewayd/request.h"
#include "libshm/slot.h"

/*
 * A connection reads one request whole, hands it on, and goes back to reading when it has ended. While a request is
 * busy its bytes must not move, because everything points into them: what a pipelining client sends meanwhile goes into
 * the room that is left, and when there is none it waits in the kernel. Closing is lazy: a closed connection is freed
 * when nobody can be holding it.
 */

enum {
    READ_SIZE = 4096,
    BODY_STEP = 64 * 1024,
    LINGER_MS = 2000,
    LINGER_BYTES = 1024 * 1024,
    DRAIN_IDLE_MS = 10000,
    FIRST_REQUEST_MS = 1000, /* at a stop, for a connection that has just come and asked nothing yet */
    KEEP_BUFFER = 64 * 1024
};

enum conn_state {
    CONN_HEAD,   /* reading a request's head, or idle before its first byte */
    CONN_BODY,   /* reading its body */
    CONN_BUSY,   /* being answered */
    CONN_FLUSH,  /* the last answer is on its way, then the end */
    CONN_LINGER, /* ended on our side; reading on so that the client can read why */
    CONN_CLOSED
};

/* What a connection needs while a request is under way. */
struct exchange {
    struct exchange *next;
    struct request request;
    struct http_request head;
    struct buf in;
    size_t seen;           /* bytes of the head already looked at */
    size_t head_len;
    size_t body_len;
    const char *parsed_at; /* where the bytes stood when the head was parsed */
    struct http_chunked chunked;
    size_t reserved;       /* counted in conns->buffered */
    bool continued;        /* 100 Continue was sent */
};

struct conn {
    struct sock sock;
    struct conns *conns;
    struct conn *next, *prev;
    enum conn_state state;
    struct exchange *exchange; /* NULL while idle */
    struct event_timer timer;
    size_t discarded;
    uint64_t sent_seen; /* when its time was last up */
    bool working; /* inside work(): ended() must not call it again */
    bool asked;   /* a request has come in by it */
};

#define CONN_OF(member, pointer) ((struct conn *)(void *)((char *)(pointer) - offsetof(struct conn, member)))

static void work(struct conn *c);
static void request_ended(struct request *r, bool keep_alive);

/* The pool of exchanges. */

static struct exchange *exchange_take(struct conn *c)
{
    struct conns *conns = c->conns;
    struct exchange *x = conns->spare;
    if (x) {
        conns->spare = x->next;
    } else {
        x = calloc(1, sizeof *x);
        if (!x)
            return NULL;
        request_init(&x->request, conns->service, &c->sock, request_ended);
    }
    x->request.client = x->request.relay.client = &c->sock;
    x->seen = x->head_len = x->body_len = 0;
    x->continued = false;
    x->chunked = (struct http_chunked){0};
    c->exchange = x;
    return x;
}

static void exchange_give(struct conn *c)
{
    struct exchange *x = c->exchange;
    if (!x)
        return;
    c->conns->buffered -= x->reserved;
    x->reserved = 0;
    buf_clear(&x->in);
    buf_shrink(&x->in, KEEP_BUFFER);
    x->next = c->conns->spare;
    c->conns->spare = x;
    c->exchange = NULL;
}

/* Ends. */

static void close_now(struct conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    struct conns *conns = c->conns;
    c->state = CONN_CLOSED;
    if (c->exchange)
        request_client_left(&c->exchange->request);
    exchange_give(c);
    event_timer_stop(&c->timer);
    sock_fini(&c->sock);
    close(c->sock.fd);
    if (c->next)
        c->next->prev = c->prev;
    *(c->prev ? &c->prev->next : &conns->open) = c->next;
    c->next = conns->dead;
    conns->dead = c;
    conns->count--;
    gws_slot_set_connections(conns->service->region, conns->count);
    if (conns->count == 0 && conns->service->draining)
        conns->emptied(conns);
}

static void set_deadline(struct conn *c, uint64_t after_ms)
{
    event_timer_at(&c->timer, event_now_ms(c->conns->service->loop) + after_ms);
}

/* Our side has ended. What the client still sends would reset the connection and take our last words with it, so it is
 * read and thrown away for a while. */
static void linger(struct conn *c)
{
    c->state = CONN_LINGER;
    shutdown(c->sock.fd, SHUT_WR);
    set_deadline(c, LINGER_MS);
    sock_watch(&c->sock, true);
}

static void finish(struct conn *c)
{
    if (c->sock.failed) {
        close_now(c);
    } else if (sock_pending(&c->sock) > 0) {
        c->state = CONN_FLUSH;
        c->sock.awaited = true;
        set_deadline(c, c->conns->service->plan->conf->limits.idle_timeout);
        sock_watch(&c->sock, false);
    } else {
        linger(c);
    }
}

/* Refuse what cannot be a request of ours, and end the connection. */
static void refuse(struct conn *c, int status, const char *code, const char *message)
{
    struct buf text = {0};
    bool busy = status == 503;
    struct reply_error error = {.status = status, .type = busy ? "server_error" : "invalid_request_error",
                                .code = code, .message = message, .retry_after_ms = busy ? 1000 : -1};
    char id[SECRET_ID_SIZE];
    secret_request_id(id);
    error.request_id = str_of(id);
    if (reply_error_whole(&text, &error, STR(""), false, 1, false) == 0) {
        struct iovec piece = {buf_at(&text), buf_len(&text)};
        sock_send(&c->sock, &piece, 1);
    }
    buf_fini(&text);
    account_answer(c->conns->service->region, status, code);
    exchange_give(c);
    finish(c);
}

/* Reading a request. */

enum progress { MORE, READY, OVER };

/* Bodies held by this process are bounded together; false, and refused, when one more would be too much. */
static bool reserve(struct conn *c, size_t bytes)
{
    struct exchange *x = c->exchange;
    if (bytes <= x->reserved)
        return true;
    if (c->conns->buffered + (bytes - x->reserved) > c->conns->service->plan->conf->limits.buffered) {
        refuse(c, 503, "at_capacity", "Too many request bodies are held just now");
        return false;
    }
    c->conns->buffered += bytes - x->reserved;
    x->reserved = bytes;
    return true;
}

static enum progress read_head(struct conn *c)
{
    struct exchange *x = c->exchange;
    const struct conf *conf = c->conns->service->plan->conf;
    const char *why = NULL;
    int64_t used = http_request_parse(buf_at(&x->in), buf_len(&x->in), x->seen, &x->head, &why);
    if (used == HTTP_MORE && buf_len(&x->in) <= conf->limits.header) {
        x->seen = buf_len(&x->in);
        return MORE;
    }
    if (used == HTTP_MORE || (used > 0 && (size_t)used > conf->limits.header)) {
        refuse(c, 431, "request_too_large", "The request's head is larger than limits.header allows");
        return OVER;
    }
    if (used == HTTP_TOO_MANY) {
        refuse(c, 431, "request_too_large", "The request has more headers than any client needs");
        return OVER;
    }
    if (used < 0) {
        refuse(c, 400, "bad_request", why ? why : "This is not HTTP/1.1");
        return OVER;
    }
    x->head_len = (size_t)used;
    x->parsed_at = buf_at(&x->in);
    if (x->head.length > conf->limits.body) {
        refuse(c, 413, "request_too_large", "The request's body is larger than limits.body allows");
        return OVER;
    }
    c->state = CONN_BODY;
    return READY;
}

/* The decoded body grows behind the head, in place; what follows it is the next request. */
static enum progress read_chunks(struct conn *c)
{
    struct exchange *x = c->exchange;
    char *data = buf_at(&x->in) + x->head_len + x->body_len;
    size_t len = buf_len(&x->in) - x->head_len - x->body_len, payload = 0;
    int64_t used = http_chunked_feed(&x->chunked, data, len, &payload);
    if (used < 0) {
        refuse(c, 400, "bad_request", "The chunked body is malformed");
        return OVER;
    }
    x->body_len += payload;
    memmove(data + payload, data + used, len - (size_t)used);
    x->in.end -= (size_t)used - payload;
    if (x->body_len + x->chunked.left > c->conns->service->plan->conf->limits.body) {
        refuse(c, 413, "request_too_large", "The request's body is larger than limits.body allows");
        return OVER;
    }
    if (!reserve(c, x->body_len))
        return OVER;
    return x->chunked.done ? READY : MORE;
}

static enum progress read_body(struct conn *c)
{
    struct exchange *x = c->exchange;
    if (x->head.chunked)
        return read_chunks(c);
    x->body_len = (size_t)x->head.length;
    if (buf_len(&x->in) >= x->head_len + x->body_len)
        return READY;
    /* Only what has arrived is counted and given room for, doubling: an announced length costs its sender nothing. */
    size_t have = buf_len(&x->in), left = x->head_len + x->body_len - have;
    size_t step = have > BODY_STEP ? have : BODY_STEP;
    if (!reserve(c, have - x->head_len))
        return OVER;
    if (buf_room(&x->in, (left < step ? left : step) + 1) != 0) {
        refuse(c, 503, "at_capacity", "The gateway is out of memory");
        return OVER;
    }
    return MORE;
}

static void say_continue(struct conn *c)
{
    struct exchange *x = c->exchange;
    struct iovec piece = {(char *)"HTTP/1.1 100 Continue\r\n\r\n", 25};
    if (!x->head.expect_continue || x->continued)
        return;
    x->continued = true;
    sock_send(&c->sock, &piece, 1);
}

static void begin(struct conn *c)
{
    struct exchange *x = c->exchange;
    const char *why;
    if (buf_at(&x->in) != x->parsed_at) /* the bytes moved while the body came in, and the views with them */
        http_request_parse(buf_at(&x->in), x->head_len, 0, &x->head, &why);
    c->state = CONN_BUSY;
    c->asked = true;
    event_timer_off(&c->timer);
    request_begin(&x->request, &x->head, (struct str){buf_at(&x->in) + x->head_len, x->body_len});
}

/* Take the bytes at hand as far as they go: several requests, when they were pipelined. */
static void work(struct conn *c)
{
    const struct conf *conf = c->conns->service->plan->conf;
    c->working = true;
    while ((c->state == CONN_HEAD || c->state == CONN_BODY) && c->exchange && buf_len(&c->exchange->in) > 0) {
        enum progress progress = c->state == CONN_HEAD ? read_head(c) : READY;
        if (progress == READY)
            progress = read_body(c);
        if (progress == MORE) {
            if (c->state == CONN_BODY)
                say_continue(c);
            if (c->state == CONN_BODY || !c->timer.at)
                set_deadline(c, conf->limits.header_timeout);
            break;
        }
        if (progress == READY)
            begin(c);
    }
    c->working = false;
    if (c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_BUSY)
        sock_watch(&c->sock, true);
}

static void idle(struct conn *c)
{
    struct conns *conns = c->conns;
    uint32_t ms = conns->service->plan->conf->limits.idle_timeout;
    exchange_give(c);
    sock_watch(&c->sock, true); /* a full buffer may have stopped it */
    if (conns->service->draining && conns->stopping) {
        finish(c); /* its last answer may still be on its way */
        return;
    }
    set_deadline(c, conns->service->draining && ms > DRAIN_IDLE_MS ? DRAIN_IDLE_MS : ms);
}

static void request_ended(struct request *r, bool keep_alive)
{
    struct conn *c = CONN_OF(sock, r->client);
    struct exchange *x = c->exchange;
    if (!keep_alive) {
        exchange_give(c);
        finish(c);
        return;
    }
    buf_consume(&x->in, x->head_len + x->body_len);
    c->conns->buffered -= x->reserved;
    x->reserved = 0;
    x->seen = x->head_len = x->body_len = 0;
    x->continued = false;
    x->chunked = (struct http_chunked){0};
    c->state = CONN_HEAD;
    if (buf_len(&x->in) == 0) {
        idle(c);
    } else if (!c->working) {
        set_deadline(c, c->conns->service->plan->conf->limits.header_timeout);
        work(c);
    }
}

/* Events of the socket. */

static void discard(struct conn *c)
{
    char scratch[16384];
    ssize_t n = recv(c->sock.fd, scratch, sizeof scratch, 0);
    c->discarded += n > 0 ? (size_t)n : 0;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || c->discarded > LINGER_BYTES)
        close_now(c);
}

static void readable(struct conn *c)
{
    if (c->state == CONN_LINGER) {
        discard(c);
        return;
    }
    struct exchange *x = c->exchange ? c->exchange : exchange_take(c);
    if (!x) {
        close_now(c);
        return;
    }
    if (c->state != CONN_BUSY && buf_room(&x->in, READ_SIZE) != 0) {
        refuse(c, 503, "at_capacity", "The gateway is out of memory");
        return;
    }
    size_t room = x->in.size - x->in.end;
    if (room == 0) { /* busy, and no place for more */
        sock_watch(&c->sock, false);
        return;
    }
    if (c->state != CONN_BUSY)
        room--; /* kept for one byte while it is busy: by reading, a connection learns of its end */
    ssize_t n = recv(c->sock.fd, x->in.data + x->in.end, room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close_now(c);
        return;
    }
    bool first = buf_len(&x->in) == 0;
    x->in.end += (size_t)n;
    if (c->state == CONN_BUSY)
        return;
    if (first)
        event_timer_off(&c->timer); /* idle no more: the head's own deadline begins when it is seen to be unfinished */
    work(c);
}

static void ready(struct event_io *io, int what)
{
    struct conn *c = CONN_OF(sock.io, io);
    if (what & EVENT_WRITE)
        sock_flush(&c->sock);
    if ((what & EVENT_READ) && c->state != CONN_CLOSED)
        readable(c);
}

static void drained(struct sock *sock)
{
    struct conn *c = CONN_OF(sock, sock);
    if (c->state == CONN_CLOSED)
        return;
    if (sock->failed)
        close_now(c);
    else if (c->state == CONN_FLUSH)
        linger(c);
    else if (c->state == CONN_BUSY)
        request_client_drained(&c->exchange->request);
}

static bool is_idle(const struct conn *c)
{
    return c->state == CONN_HEAD && (!c->exchange || buf_len(&c->exchange->in) == 0);
}

/* What has arrived and was not read yet is a request like any other: closing over it would be a reset. */
static bool is_idle_still(struct conn *c)
{
    if (is_idle(c))
        readable(c);
    return is_idle(c);
}

static void timed_out(struct event_timer *timer)
{
    struct conn *c = CONN_OF(timer, timer);
    if (sock_pending(&c->sock) > 0 && c->sock.sent > c->sent_seen) { /* slow, but reading its last answer */
        c->sent_seen = c->sock.sent;
        set_deadline(c, c->conns->service->plan->conf->limits.idle_timeout);
        return;
    }
    bool reading = c->state == CONN_HEAD || c->state == CONN_BODY;
    if (reading && !is_idle(c))
        refuse(c, 408, "request_timeout", "The request took too long to arrive");
    else if (reading ? is_idle_still(c) : c->state != CONN_BUSY)
        close_now(c);
}

/* All connections of a process. */

void conns_init(struct conns *conns, struct service *service, void (*emptied)(struct conns *self))
{
    *conns = (struct conns){.service = service, .emptied = emptied};
}

void conns_accept(struct conns *conns, int fd)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->conns = conns;
    c->sock.fd = fd;
    c->sock.drained = drained;
    c->sock.batch = &conns->batch;
    event_io_init(&c->sock.io, conns->service->loop, fd, ready);
    event_timer_init(&c->timer, conns->service->loop, timed_out);
    c->next = conns->open;
    if (c->next)
        c->next->prev = c;
    conns->open = c;
    conns->count++;
    gws_slot_count_accepted(conns->service->region);
    gws_slot_set_connections(conns->service->region, conns->count);
    if (conns->count > conns->service->plan->conf->limits.connections) {
        refuse(c, 503, "at_capacity", "Too many connections");
        return;
    }
    set_deadline(c, conns->service->plan->conf->limits.idle_timeout);
    sock_watch(&c->sock, true);
}

static void stop_one(struct conn *c)
{
    if (!is_idle_still(c))
        return;
    exchange_give(c);
    if (!c->asked)
        set_deadline(c, FIRST_REQUEST_MS);
    else if (sock_pending(&c->sock) > 0)
        finish(c);
    else
        close_now(c);
}

void conns_drain(struct conns *conns, bool stopping)
{
    conns->service->draining = true;
    conns->stopping = conns->stopping || stopping;
    struct conn *next;
    for (struct conn *c = conns->open; c; c = next) {
        next = c->next;
        if (!is_idle(c))
            continue;
        if (conns->stopping)
            stop_one(c);
        else
            set_deadline(c, DRAIN_IDLE_MS);
    }
    if (conns->count == 0)
        conns->emptied(conns);
}

void conns_stop(struct conns *conns)
{
    struct conn *next;
    for (struct conn *c = conns->open; c; c = next) {
        next = c->next;
        if (c->state == CONN_BUSY)
            request_stop(&c->exchange->request);
    }
    conns_turn(conns);
}

void conns_turn(struct conns *conns)
{
    sock_batch_flush(&conns->batch);
    while (conns->dead) {
        struct conn *c = conns->dead;
        conns->dead = c->next;
        free(c);
    }
}

void conns_fini(struct conns *conns)
{
    while (conns->open)
        close_now(conns->open);
    conns_turn(conns);
    while (conns->spare) {
        struct exchange *x = conns->spare;
        conns->spare = x->next;
        request_fini(&x->request);
        buf_fini(&x->in);
        free(x);
    }
}
