/*
 * The client of the benchmarks: one process, one epoll loop, kept-alive connections to one port of the loopback.
 *
 *     requests   every connection sends its next request when it has its answer: what is the throughput?
 *     paced      requests leave at fixed moments, whatever the answers do: what is the latency? It is counted from the
 *                moment a request should have left, so a proxy that stalls cannot hide the requests it kept waiting.
 *     streams    every connection reads one streamed answer after the other: how many events arrive, in how many reads?
 *
 * Every answer is read whole and compared with the first one; what is not 2xx or differs is counted. `begin` and `end`
 * are printed at the borders of the measured time, so that whoever reads them can note the CPU time of others; the last
 * line is one JSON object.
 */

#include "tests/bench/answer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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

enum { BODY_MAX = 256 * 1024, READ_BYTES = 64 * 1024, BATCH = 256, ERRORS_MAX = 10000 };
enum mode { REQUESTS, PACED, STREAMS };

struct conn {
    int fd; /* -1 while not connected */
    bool connected;
    bool ready; /* idle and in the stack of those that may send */
    bool used;  /* has had an answer on this connection */
    size_t sent;    /* of the request */
    uint64_t since; /* when the request left, or should have */
    struct answer answer;
    size_t body_len;
    char *body;       /* requests: what has arrived of it */
    uint64_t hash;    /* streams: of the bytes so far */
    bool after_break; /* streams: the byte before was a line feed */
    bool had_event;
};

static struct {
    enum mode mode;
    uint16_t port;
    unsigned conns;
    double rate;
    double warm;
    double seconds;
    double ramp;
    size_t body_bytes;
} options = {.conns = 64, .rate = 2000, .warm = 0.5, .seconds = 4, .ramp = 1, .body_bytes = 1024};

static struct {
    uint64_t done;
    uint64_t not_2xx;
    uint64_t wrong;
    uint64_t errors;
    uint64_t reconnects;
    uint64_t events;
    uint64_t reads;
    uint64_t streams;
} counts;

/* Latencies of the measured time in ns; of streams, those of the first event. */
static struct {
    uint64_t *at;
    size_t len;
    size_t size;
} samples;

static struct conn *conns;
static struct conn **idle;
static unsigned idle_count;
static char *request;
static size_t request_len;
static char *reference;
static size_t reference_len;
static uint64_t reference_hash;
static bool has_reference;
static int epoll_fd;
static uint64_t now;
static bool measuring;
static bool finishing; /* no new requests */
static unsigned busy;

static void die(const char *what)
{
    fprintf(stderr, "bench-load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void sample(uint64_t ns)
{
    if (!measuring)
        return;
    if (samples.len == samples.size) {
        samples.size = samples.size ? 2 * samples.size : 65536;
        samples.at = realloc(samples.at, samples.size * sizeof *samples.at);
        if (!samples.at)
            die("memory");
    }
    samples.at[samples.len++] = ns;
}

static uint64_t fnv(uint64_t hash, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)data[i]) * 0x100000001b3U;
    return hash;
}

static void conn_open(struct conn *conn)
{
    char *body = conn->body;
    *conn = (struct conn){.body = body};
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0)
        die("socket");
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(conn->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)
        die("connect");
    struct epoll_event add = {.events = EPOLLIN | EPOLLOUT, .data.ptr = conn};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &add) != 0)
        die("epoll_ctl");
}

static void conn_failed(struct conn *conn);

/* Send what is left of the request. It is small and nearly always goes out whole; if not, the loop comes back. */
static void conn_send(struct conn *conn)
{
    while (conn->sent < request_len) {
        ssize_t sent = send(conn->fd, request + conn->sent, request_len - conn->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            struct epoll_event change = {.events = EPOLLIN | EPOLLOUT, .data.ptr = conn};
            epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->fd, &change);
            return;
        }
        if (sent < 0) {
            conn_failed(conn);
            return;
        }
        conn->sent += (size_t)sent;
    }
}

static void conn_ask(struct conn *conn, uint64_t since)
{
    answer_begin(&conn->answer);
    conn->since = since;
    conn->sent = 0;
    conn->body_len = 0;
    conn->hash = 0xcbf29ce484222325U;
    conn->after_break = false;
    conn->had_event = false;
    busy++;
    conn_send(conn);
}

/* Ready for a request: at once, or when the pace says so. */
static void conn_idle(struct conn *conn)
{
    if (options.mode == PACED) {
        conn->ready = true;
        idle[idle_count++] = conn;
    } else if (!finishing) {
        conn_ask(conn, now);
    }
}

/* A kept-alive connection that was closed before any byte of the answer is normal once in a while; all else is not. */
static void conn_failed(struct conn *conn)
{
    if (conn->answer.reading != ANSWER_NONE) {
        busy--;
        if (conn->used && conn->answer.head_len == 0)
            counts.reconnects++;
        else
            counts.errors++;
    }
    if (!conn->connected)
        counts.errors++;
    if (counts.errors + counts.reconnects > ERRORS_MAX) {
        fprintf(stderr, "bench-load: too many connections failed on port %u\n", (unsigned)options.port);
        exit(1);
    }
    if (conn->ready) {
        for (unsigned i = 0; i < idle_count; i++) {
            if (idle[i] == conn)
                idle[i] = idle[--idle_count];
        }
    }
    close(conn->fd);
    conn->fd = -1;
    if (!finishing)
        conn_open(conn);
}

static void conn_done(struct conn *conn)
{
    busy--;
    conn->used = true;
    bool right;
    if (options.mode == STREAMS) {
        counts.streams++;
        if (!has_reference)
            reference_hash = conn->hash;
        right = conn->hash == reference_hash;
    } else {
        if (measuring)
            counts.done++;
        sample(now - conn->since);
        if (!has_reference) {
            reference = malloc(BODY_MAX);
            if (!reference)
                die("memory");
            memcpy(reference, conn->body, conn->body_len);
            reference_len = conn->body_len;
            reference_hash = fnv(0xcbf29ce484222325U, reference, reference_len);
        }
        right = conn->body_len == reference_len && memcmp(conn->body, reference, reference_len) == 0;
    }
    has_reference = true;
    if (conn->answer.status < 200 || conn->answer.status > 299)
        counts.not_2xx++;
    else if (!right)
        counts.wrong++;
    conn_idle(conn);
}

/* An event ends with an empty line. */
static void count_events(struct conn *conn, const char *data, size_t len)
{
    const char *end = data + len;
    const char *at = data;
    bool after_break = conn->after_break;
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if (at > data ? at[-1] == '\n' : after_break) {
            if (measuring)
                counts.events++;
            if (!conn->had_event)
                sample(now - conn->since);
            conn->had_event = true;
        }
        at++;
    }
    conn->after_break = end[-1] == '\n';
    conn->hash = fnv(conn->hash, data, len);
}

static bool take_payload(struct conn *conn, const char *data, size_t len)
{
    if (len == 0)
        return true;
    if (options.mode == STREAMS) {
        count_events(conn, data, len);
        return true;
    }
    if (conn->body_len + len > BODY_MAX)
        return false;
    memcpy(conn->body + conn->body_len, data, len);
    conn->body_len += len;
    return true;
}

static void conn_readable(struct conn *conn)
{
    static char data[READ_BYTES];
    ssize_t got = recv(conn->fd, data, sizeof data, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        conn_failed(conn);
        return;
    }
    if (measuring)
        counts.reads++;
    size_t used = 0;
    while (used < (size_t)got) {
        struct payload payload = {0};
        ptrdiff_t taken = answer_read(&conn->answer, data + used, (size_t)got - used, &payload);
        if (taken < 0 || !take_payload(conn, payload.at, payload.len)) {
            conn->answer.head_len = 1; /* bytes that are no answer: an error, whatever the connection's age */
            conn_failed(conn);
            return;
        }
        used += (size_t)taken;
    }
    if (conn->answer.reading == ANSWER_NONE)
        conn_done(conn);
}

static void conn_writable(struct conn *conn)
{
    struct epoll_event change = {.events = EPOLLIN, .data.ptr = conn};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->fd, &change);
    if (!conn->connected) {
        int error = 0;
        getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
        if (error) {
            conn_failed(conn);
            return;
        }
        conn->connected = true;
        conn_idle(conn);
    } else if (conn->answer.reading != ANSWER_NONE) {
        conn_send(conn);
    }
}

/* Handle what is ready, waiting at most until `until`. */
static void turn(uint64_t until)
{
    struct epoll_event ready[BATCH];
    now = clock_ns();
    uint64_t wait = until > now ? until - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000U), .tv_nsec = (long)(wait % 1000000000U)};
    int count = epoll_pwait2(epoll_fd, ready, BATCH, &timeout, NULL);
    if (count < 0 && errno != EINTR)
        die("epoll_wait");
    now = clock_ns();
    for (int i = 0; i < count; i++) {
        struct conn *conn = ready[i].data.ptr;
        if (conn->fd >= 0 && ready[i].events & EPOLLOUT)
            conn_writable(conn);
        if (conn->fd >= 0 && ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            conn_readable(conn);
    }
}

static void say(const char *word)
{
    puts(word);
    fflush(stdout);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double percentile_us(double part)
{
    if (samples.len == 0)
        return 0;
    size_t at = (size_t)(part * (double)samples.len);
    return (double)samples.at[at < samples.len ? at : samples.len - 1] / 1000;
}

static void make_request(void)
{
    static const char words[] = "Say in one sentence why the sea is salt and the rain is not. ";
    char *content = malloc(options.body_bytes + 1);
    if (!content)
        die("memory");
    static const char before[] = "{\"model\":\"bench\",\"stream\":";
    static const char middle[] = ",\"messages\":[{\"role\":\"user\",\"content\":\"";
    const char *stream = options.mode == STREAMS ? "true" : "false";
    size_t frame = sizeof before + sizeof middle - 2 + strlen(stream) + strlen("\"}]}");
    size_t len = options.body_bytes > frame ? options.body_bytes - frame : 0;
    for (size_t i = 0; i < len; i++)
        content[i] = words[i % (sizeof words - 1)];
    content[len] = '\0';
    char *body;
    int body_len = asprintf(&body, "%s%s%s%s\"}]}", before, stream, middle, content);
    int all = asprintf(&request,
                       "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: bench-load\r\n"
                       "Accept: */*\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                       (unsigned)options.port, body_len, body);
    if (body_len < 0 || all < 0)
        die("memory");
    request_len = (size_t)all;
    free(body);
    free(content);
}

static void run(void)
{
    uint64_t start = clock_ns();
    uint64_t ramp = options.mode == STREAMS ? (uint64_t)(options.ramp * 1e9) : 0;
    uint64_t begin = start + ramp + (uint64_t)(options.warm * 1e9);
    uint64_t end = begin + (uint64_t)(options.seconds * 1e9);
    uint64_t gap = (uint64_t)(1e9 / options.rate);
    uint64_t next = start + 100000000U; /* paced: the connections stand before the first request leaves */
    unsigned opened = 0;
    while (now < end) {
        uint64_t until = now < begin ? begin : end;
        /* Starts are spread over the ramp, so that the events of different streams do not fall together. */
        while (opened < options.conns && now >= start + ramp * opened / options.conns)
            conn_open(&conns[opened++]);
        if (opened < options.conns && start + ramp * opened / options.conns < until)
            until = start + ramp * opened / options.conns;
        while (options.mode == PACED && next <= now && idle_count > 0) {
            struct conn *conn = idle[--idle_count];
            conn->ready = false;
            conn_ask(conn, next);
            next += gap;
        }
        if (options.mode == PACED && idle_count > 0 && next < until)
            until = next;
        turn(until);
        if (!measuring && now >= begin) {
            measuring = true;
            say("begin");
        }
    }
    measuring = false;
    say("end");
    double seconds = (double)(now - begin) / 1e9;

    /* Running answers may end: a stream that is cut would say nothing about whether it was right. */
    finishing = true;
    for (uint64_t limit = now + 10000000000U; busy > 0 && now < limit;)
        turn(limit);
    counts.errors += busy;

    if (samples.len)
        qsort(samples.at, samples.len, sizeof *samples.at, compare);
    printf("{\"seconds\":%.6f,\"done\":%llu,\"events\":%llu,\"reads\":%llu,\"streams\":%llu,\"not_2xx\":%llu,"
           "\"wrong\":%llu,\"errors\":%llu,\"reconnects\":%llu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"hash\":\"%016llx\"}\n",
           seconds, (unsigned long long)counts.done, (unsigned long long)counts.events,
           (unsigned long long)counts.reads, (unsigned long long)counts.streams, (unsigned long long)counts.not_2xx,
           (unsigned long long)counts.wrong, (unsigned long long)counts.errors, (unsigned long long)counts.reconnects,
           percentile_us(0.5), percentile_us(0.99), (unsigned long long)reference_hash);
}

int main(int argc, char **argv)
{
    bool good = argc > 3 && argc % 2 == 0;
    if (good && strcmp(argv[1], "paced") == 0)
        options.mode = PACED;
    else if (good && strcmp(argv[1], "streams") == 0)
        options.mode = STREAMS;
    else
        good = good && strcmp(argv[1], "requests") == 0;
    for (int i = 2; good && i < argc; i += 2) {
        double value = strtod(argv[i + 1], NULL);
        if (strcmp(argv[i], "--port") == 0)
            options.port = (uint16_t)value;
        else if (strcmp(argv[i], "--connections") == 0)
            options.conns = (unsigned)value;
        else if (strcmp(argv[i], "--rate") == 0)
            options.rate = value;
        else if (strcmp(argv[i], "--warm") == 0)
            options.warm = value;
        else if (strcmp(argv[i], "--seconds") == 0)
            options.seconds = value;
        else if (strcmp(argv[i], "--ramp") == 0)
            options.ramp = value;
        else if (strcmp(argv[i], "--body-bytes") == 0)
            options.body_bytes = (size_t)value;
        else
            good = false;
    }
    if (!good || !options.port || !options.conns || options.rate <= 0) {
        fprintf(stderr, "usage: bench-load requests|paced|streams --port PORT [--connections N] [--rate PER-SECOND]\n"
                        "    [--warm S] [--seconds S] [--ramp S] [--body-bytes N]\n");
        return 2;
    }

    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_TIMERSLACK, 1UL);
    signal(SIGPIPE, SIG_IGN);
    make_request();
    conns = calloc(options.conns, sizeof *conns);
    idle = calloc(options.conns, sizeof(struct conn *));
    if (!conns || !idle)
        die("memory");
    for (unsigned i = 0; i < options.conns; i++) {
        conns[i].fd = -1;
        conns[i].body = options.mode == STREAMS ? NULL : malloc(BODY_MAX);
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll");
    run();
    return 0;
}
