/*
 * The upstream of the benchmarks: an OpenAI-shaped answer of a fixed size, or a stream of fixed events at a fixed pace,
 * over plain HTTP/1.1, TLS and HTTP/2, from one process and one epoll loop.
 *
 * It exists beside llmsim because a benchmark's upstream must be cheaper than what stands in front of it, also with
 * TLS, and its answers must be the same to the byte, so that the client can prove that nothing was lost on the way.
 */

#include "tests/bench/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>

enum {
    READ_BYTES = 64 * 1024,
    OUT_MAX = 16 * 1024 * 1024,
    PORTS_MAX = 16,
    BATCH = 256,
};

/* Events that are due within this time of each other are sent in one wake-up; it bounds wake-ups to 20,000 a second. */
static const uint64_t TICK = 50000;

struct listener {
    int fd;
    bool tls;
    bool h2;
};

struct backend backend;

static struct listener listeners[PORTS_MAX];
static unsigned listener_count;
static SSL_CTX *tls_context[2]; /* without and with HTTP/2 */
static int epoll_fd;
static uint64_t now;
static struct stream *due_head;
static struct stream *due_tail;
static struct conn *dead_head;
static volatile sig_atomic_t stopping;

void die(const char *what)
{
    fprintf(stderr, "bench-backend: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

void bytes_add(struct bytes *bytes, const void *data, size_t len)
{
    if (bytes->len + len > bytes->size) {
        size_t size = bytes->size ? bytes->size : 1024;
        while (size < bytes->len + len)
            size *= 2;
        bytes->at = realloc(bytes->at, size);
        if (!bytes->at)
            die("memory");
        bytes->size = size;
    }
    memcpy(bytes->at + bytes->len, data, len);
    bytes->len += len;
}

static void bytes_drop(struct bytes *bytes, size_t len)
{
    bytes->len -= len;
    if (bytes->len) {
        memmove(bytes->at, bytes->at + len, bytes->len);
        return;
    }
    /* Thousands of connections idle in the pools of those measured; they hold nothing while they do. */
    free(bytes->at);
    *bytes = (struct bytes){0};
}

/* Streams by due time. All have the same interval, so who is put back goes to the end and the queue stays sorted. */

static void due_remove(struct stream *stream)
{
    if (!stream->queued)
        return;
    *(stream->due_prev ? &stream->due_prev->due_next : &due_head) = stream->due_next;
    *(stream->due_next ? &stream->due_next->due_prev : &due_tail) = stream->due_prev;
    stream->queued = false;
}

static void due_add(struct stream *stream, uint64_t due)
{
    stream->due = due;
    stream->due_next = NULL;
    stream->due_prev = due_tail;
    *(due_tail ? &due_tail->due_next : &due_head) = stream;
    due_tail = stream;
    stream->queued = true;
}

struct stream *stream_new(struct conn *conn, uint32_t id)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        die("memory");
    stream->conn = conn;
    stream->id = id;
    stream->window = conn->h2.stream_window;
    stream->next = conn->streams;
    conn->streams = stream;
    return stream;
}

void stream_free(struct stream *stream)
{
    due_remove(stream);
    struct stream **at = &stream->conn->streams;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    free(stream->body.at);
    free(stream);
}

static bool h1_send_event(struct stream *stream, const struct event *event, bool first, bool last)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    if (first)
        conn_add(stream->conn, head, sizeof head - 1);
    conn_add(stream->conn, event->chunk, event->chunk_len);
    if (last)
        conn_add(stream->conn, "0\r\n\r\n", 5);
    return true;
}

/* Send what is due. A stream that flow control holds up tries again an interval later. */
static void stream_step(struct stream *stream, uint64_t due)
{
    struct conn *conn = stream->conn;
    bool last;
    const struct event *event = stream_event(stream, &last);
    bool first = stream->event == 0;
    bool (*send_event)(struct stream *, const struct event *, bool, bool) =
        conn->speaks == SPEAKS_HTTP2 ? h2_send_event : h1_send_event;
    bool sent = send_event(stream, event, first, last);
    conn_flush(conn);
    if (sent && last) {
        stream_free(stream);
        return;
    }
    stream->event += sent;
    due_add(stream, due + backend.interval);
}

void stream_start(struct stream *stream)
{
    stream_step(stream, now);
}

static void conn_kill(struct conn *conn)
{
    if (conn->dead)
        return;
    conn->dead = true;
    conn->dead_next = dead_head;
    dead_head = conn;
}

static void bury_the_dead(void)
{
    while (dead_head) {
        struct conn *conn = dead_head;
        dead_head = conn->dead_next;
        while (conn->streams)
            stream_free(conn->streams);
        SSL_free(conn->ssl);
        close(conn->fd);
        free(conn->in.at);
        free(conn->out.at);
        free(conn);
    }
}

void conn_add(struct conn *conn, const void *data, size_t len)
{
    bytes_add(&conn->out, data, len);
    if (conn->out.len > OUT_MAX)
        conn_kill(conn);
}

void conn_flush(struct conn *conn)
{
    while (conn->out.len && !conn->dead) {
        ssize_t sent;
        if (conn->ssl) {
            ERR_clear_error();
            int len = conn->out.len > INT32_MAX ? INT32_MAX : (int)conn->out.len;
            sent = SSL_write(conn->ssl, conn->out.at, len);
            if (sent <= 0) {
                int why = SSL_get_error(conn->ssl, (int)sent);
                if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ)
                    break;
                conn_kill(conn);
                return;
            }
        } else {
            sent = send(conn->fd, conn->out.at, conn->out.len, MSG_NOSIGNAL);
            if (sent < 0) {
                if (errno == EAGAIN)
                    break;
                conn_kill(conn);
                return;
            }
        }
        bytes_drop(&conn->out, (size_t)sent);
    }
    bool wants_out = conn->out.len > 0;
    if (wants_out != conn->wants_out && !conn->dead) {
        struct epoll_event change = {.events = EPOLLIN | (wants_out ? EPOLLOUT : 0U), .data.ptr = conn};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->fd, &change) != 0)
            die("epoll_ctl");
        conn->wants_out = wants_out;
    }
}

/* The value of Content-Length in a head, 0 without one. */
static size_t content_length(const char *head, size_t len)
{
    static const char name[] = "\ncontent-length:";
    for (const char *at = head; (at = memchr(at, '\n', len - (size_t)(at - head))) != NULL; at++) {
        if (len - (size_t)(at - head) > sizeof name && strncasecmp(at, name, sizeof name - 1) == 0)
            return strtoul(at + sizeof name - 1, NULL, 10);
    }
    return 0;
}

static ptrdiff_t h1_input(struct conn *conn, const char *data, size_t len)
{
    size_t used = 0;
    while (!conn->streams && used < len) {
        const char *end = memmem(data + used, len - used, "\r\n\r\n", 4);
        if (!end)
            break;
        size_t head = (size_t)(end - (data + used)) + 4;
        size_t body = content_length(data + used, head);
        if (len - used - head < body)
            break;
        struct stream *stream = stream_new(conn, 0);
        if (stream_begin(stream, data + used + head, body)) {
            stream_start(stream);
        } else {
            stream_free(stream);
            conn_add(conn, backend.answer_h1.at, backend.answer_h1.len);
        }
        used += head + body;
    }
    conn_flush(conn);
    return (ptrdiff_t)used;
}

/* Understand what has arrived, with what was left of before in front of it. */
static void conn_input(struct conn *conn, const char *data, size_t len)
{
    if (conn->in.len) {
        bytes_add(&conn->in, data, len);
        data = conn->in.at;
        len = conn->in.len;
    }
    ptrdiff_t used = conn->speaks == SPEAKS_HTTP2 ? h2_input(conn, data, len) : h1_input(conn, data, len);
    if (used < 0) {
        conn_kill(conn);
    } else if (conn->in.len) {
        bytes_drop(&conn->in, (size_t)used);
    } else if ((size_t)used < len) {
        bytes_add(&conn->in, data + used, len - (size_t)used);
    }
}

static void conn_readable(struct conn *conn)
{
    static char data[READ_BYTES];
    while (!conn->dead) {
        ssize_t got;
        if (conn->ssl) {
            ERR_clear_error();
            got = SSL_read(conn->ssl, data, sizeof data);
            if (got <= 0) {
                int why = SSL_get_error(conn->ssl, (int)got);
                if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
                    conn_kill(conn);
                return;
            }
            if (conn->speaks == SPEAKS_UNDECIDED) {
                const unsigned char *name;
                unsigned name_len;
                SSL_get0_alpn_selected(conn->ssl, &name, &name_len);
                conn->speaks = name_len == 2 && memcmp(name, "h2", 2) == 0 ? SPEAKS_HTTP2 : SPEAKS_HTTP1;
            }
        } else {
            got = recv(conn->fd, data, sizeof data, 0);
            if (got <= 0) {
                if (got == 0 || errno != EAGAIN)
                    conn_kill(conn);
                return;
            }
        }
        conn_input(conn, data, (size_t)got);
        if (!conn->ssl && (size_t)got < sizeof data)
            return;
    }
}

static void accept_all(const struct listener *listener)
{
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN || errno == ECONNABORTED)
                return;
            die("accept");
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct conn *conn = calloc(1, sizeof *conn);
        if (!conn)
            die("memory");
        conn->fd = fd;
        conn->h2.window = conn->h2.stream_window = 65535;
        if (listener->tls) {
            conn->ssl = SSL_new(tls_context[listener->h2]);
            if (!conn->ssl || SSL_set_fd(conn->ssl, fd) != 1)
                die("TLS");
            SSL_set_accept_state(conn->ssl);
            conn->speaks = SPEAKS_UNDECIDED;
        }
        struct epoll_event add = {.events = EPOLLIN, .data.ptr = conn};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &add) != 0)
            die("epoll_ctl");
    }
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *h2)
{
    (void)ssl;
    static const unsigned char names[] = "\x02h2\x08http/1.1";
    const unsigned char *ours = h2 ? names : names + 3;
    unsigned ours_len = h2 ? 12 : 9;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, ours, ours_len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void tls_open(const char *cert, const char *key)
{
    for (int h2 = 0; h2 < 2; h2++) {
        SSL_CTX *context = SSL_CTX_new(TLS_server_method());
        if (!context || SSL_CTX_use_certificate_chain_file(context, cert) != 1 ||
            SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
            die("certificate and key");
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_alpn_select_cb(context, choose_alpn, h2 ? &backend : NULL);
        tls_context[h2] = context;
    }
}

static void listen_on(const char *port, bool tls, bool h2)
{
    if (listener_count == PORTS_MAX) {
        errno = E2BIG;
        die("ports");
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0)
        die(port);
    listeners[listener_count++] = (struct listener){.fd = fd, .tls = tls, .h2 = h2};
}

static void stop(int signal)
{
    (void)signal;
    stopping = 1;
}

static void run(void)
{
    struct epoll_event ready[BATCH];
    while (!stopping) {
        now = clock_ns();
        while (due_head && due_head->due <= now + TICK / 2) {
            struct stream *stream = due_head;
            uint64_t due = stream->due;
            due_remove(stream);
            stream_step(stream, due);
        }
        bury_the_dead();
        uint64_t wait = !due_head ? 1000000000U : due_head->due > now + TICK ? due_head->due - now : TICK;
        struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000U), .tv_nsec = (long)(wait % 1000000000U)};
        int count = epoll_pwait2(epoll_fd, ready, BATCH, &timeout, NULL);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        now = clock_ns();
        for (int i = 0; i < count; i++) {
            struct listener *listener = ready[i].data.ptr;
            if (listener >= listeners && listener < listeners + listener_count) {
                accept_all(listener);
                continue;
            }
            struct conn *conn = ready[i].data.ptr;
            if (!conn->dead && ready[i].events & EPOLLOUT)
                conn_flush(conn);
            if (!conn->dead && ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                conn_readable(conn);
        }
        bury_the_dead();
    }
}

int main(int argc, char **argv)
{
    const char *cert = NULL;
    const char *key = NULL;
    size_t answer_bytes = 1024;
    backend = (struct backend){.event_count = 200, .interval = 10000000, .max_streams = 100};
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!value) {
            fprintf(stderr, "usage: bench-backend [--plain|--tls|--h2 PORT]... [--cert FILE --key FILE]\n"
                            "    [--answer-bytes N] [--events N] [--interval-us N] [--max-streams N]\n");
            return 2;
        }
        if (strcmp(name, "--plain") == 0) {
            listen_on(value, false, false);
        } else if (strcmp(name, "--tls") == 0) {
            listen_on(value, true, false);
        } else if (strcmp(name, "--h2") == 0) {
            listen_on(value, true, true);
        } else if (strcmp(name, "--cert") == 0) {
            cert = value;
        } else if (strcmp(name, "--key") == 0) {
            key = value;
        } else if (strcmp(name, "--answer-bytes") == 0) {
            answer_bytes = strtoul(value, NULL, 10);
        } else if (strcmp(name, "--events") == 0) {
            backend.event_count = (unsigned)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--interval-us") == 0) {
            backend.interval = strtoull(value, NULL, 10) * 1000;
        } else if (strcmp(name, "--max-streams") == 0) {
            backend.max_streams = (uint32_t)strtoul(value, NULL, 10);
        } else {
            fprintf(stderr, "bench-backend: no option %s\n", name);
            return 2;
        }
    }
    backend_make_answers(answer_bytes);
    if (cert && key)
        tls_open(cert, key);

    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_TIMERSLACK, 1UL);
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = stop}, NULL);

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll");
    for (unsigned i = 0; i < listener_count; i++) {
        if (listeners[i].tls && !tls_context[0]) {
            errno = EINVAL;
            die("TLS needs --cert and --key");
        }
        struct epoll_event add = {.events = EPOLLIN, .data.ptr = &listeners[i]};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listeners[i].fd, &add) != 0)
            die("epoll_ctl");
    }
    puts("ready");
    fflush(stdout);
    run();
    return 0;
}
