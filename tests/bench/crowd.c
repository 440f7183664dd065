/*
 * The clients of the rehearsals: one process, one epoll loop, hundreds of requests at once to a gateway's Unix socket,
 * each answer read whole, compared with the text that it should be (verdict.c) and written down in a line.
 *
 *     open     requests leave at the moments of a Poisson process, whatever the answers do
 *     closed   so many connections, each of which asks again when it has its answer
 *
 * What request number n asks (streamed or not, which model, which deadline) depends on the seed and n alone, and so do
 * the moments of an open crowd: several gateways can be given the very same load. No request is ever sent twice. A line
 * has, in this order: n, the moments it was due, sent, had its first byte and ended (microseconds of the monotonic
 * clock), 1 if streamed, its deadline in ms (0: none), status, X-Gateway-Attempts, verdict, error code (-: none).
 */

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/answer.h"
#include "tests/bench/crowd_options.h"
#include "tests/bench/verdict.h"

enum { BODY_MAX = 128 * 1024, READ_BYTES = 64 * 1024, REQUEST_MAX = 2048, BATCH = 256, PAUSE_US = 1000 };

struct conn {
    int fd;    /* -1: not connected */
    bool busy; /* has a request, sent or to be sent */
    uint64_t n, due, start, first;
    unsigned deadline_ms;
    bool streamed;
    size_t request_len, sent;
    char request[REQUEST_MAX];
    struct answer answer;
    size_t body_len;
    char body[BODY_MAX];
    struct conn *next; /* in the list of idle ones */
};

static FILE *out;
static struct crowd_options options;
static struct conn **conns;
static unsigned conn_count;
static struct conn *idle;
static unsigned busy;
static int epoll_fd;
static uint64_t now, asked;
static uint64_t totals[VERDICTS];

static void die(const char *what)
{
    fprintf(stderr, "bench-crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000U + (uint64_t)t.tv_nsec / 1000U;
}

/* Number `which` of request n: spread evenly over [0, 1) and the same in every run of this seed. */
static double chance(uint64_t n, uint64_t which)
{
    uint64_t z = options.seed * 0x9e3779b97f4a7c15u + n * 0xd1342543de82ef95u + which * 0x2545f4914f6cdd1du;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* The code of an error object, for the line. */
static const char *error_code(struct conn *conn)
{
    static const char mark[] = "\"code\":\"";
    static char code[64];
    const char *at = memmem(conn->body, conn->body_len, mark, sizeof mark - 1);
    size_t len = 0;

    if (at)
        for (at += sizeof mark - 1; len < sizeof code - 1 && at + len < conn->body + conn->body_len; len++)
            if (at[len] == '"' || at[len] <= ' ')
                break;
    if (len == 0)
        return "-";
    memcpy(code, at, len);
    code[len] = '\0';
    return code;
}

static void write_down(struct conn *conn, enum verdict verdict)
{
    bool has_head = conn->answer.status > 0;
    const char *attempts = has_head ? strcasestr(conn->answer.head, "\nx-gateway-attempts:") : NULL;

    totals[verdict]++;
    fprintf(out, "%llu %llu %llu %llu %llu %d %u %d %ld %s %s\n", (unsigned long long)conn->n,
            (unsigned long long)conn->due, (unsigned long long)conn->start, (unsigned long long)conn->first,
            (unsigned long long)now, conn->streamed, conn->deadline_ms, conn->answer.status,
            attempts ? strtol(attempts + 20, NULL, 10) : 0, verdict_names[verdict],
            verdict == VERDICT_WHOLE ? "-" : error_code(conn));
    conn->busy = false;
    busy--;
}

static void disconnect(struct conn *conn)
{
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
}

/* The request is over. In a closed crowd its connection asks again from the main loop, like any idle one. */
static void over(struct conn *conn, enum verdict verdict)
{
    write_down(conn, verdict);
    conn->next = idle;
    idle = conn;
}

static void watch(struct conn *conn, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};

    if (epoll_ctl(epoll_fd, operation, conn->fd, &event) != 0)
        die("epoll_ctl");
}

/* A Unix connect is done at once, or the listener's queue is full: then it is tried again after a pause. */
static bool connect_now(struct conn *conn)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strncpy(address.sun_path, options.path, sizeof address.sun_path - 1);
    conn->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0)
        die("socket");
    if (connect(conn->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        if (errno != EAGAIN && errno != ECONNREFUSED)
            die(options.path);
        disconnect(conn);
        return false;
    }
    watch(conn, EPOLL_CTL_ADD, EPOLLIN);
    return true;
}

static void judge_end(struct conn *conn, bool ended)
{
    struct verdict_input in = {conn->answer.status, conn->streamed, ended, conn->body, conn->body_len,
                               options.text, options.tokens * CROWD_WORD_LEN};
    bool nothing = conn->answer.reading == ANSWER_HEAD && conn->answer.head_len == 0;

    over(conn, nothing ? VERDICT_LOST : conn->answer.status == 0 ? VERDICT_BROKEN : verdict_of(&in));
}

static void failed(struct conn *conn)
{
    disconnect(conn);
    if (conn->busy)
        judge_end(conn, false);
}

static void send_rest(struct conn *conn)
{
    while (conn->sent < conn->request_len) {
        ssize_t sent = send(conn->fd, conn->request + conn->sent, conn->request_len - conn->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            watch(conn, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        if (sent < 0)
            return; /* what the other side said before it left is still to be read */
        conn->sent += (size_t)sent;
    }
    watch(conn, EPOLL_CTL_MOD, EPOLLIN);
}

static void make_request(struct conn *conn)
{
    unsigned span = options.timeout_high - options.timeout_low;
    char body[512], timeout[64] = "";
    int len;

    conn->streamed = chance(conn->n, 1) * 100 < options.streamed;
    conn->deadline_ms = options.timeout_low + (unsigned)(chance(conn->n, 2) * (span + 1));
    if (conn->deadline_ms)
        snprintf(timeout, sizeof timeout, "X-Gateway-Timeout: %u\r\n", conn->deadline_ms);
    len = snprintf(body, sizeof body,
                   "{\"model\":\"%s\",%s\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a story.\"}]}",
                   options.models[(unsigned)(chance(conn->n, 3) * options.model_count)],
                   conn->streamed ? "\"stream\":true," : "");
    conn->request_len = (size_t)snprintf(conn->request, sizeof conn->request,
                                         "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\n"
                                         "Content-Type: application/json\r\nX-Request-Id: %s%llu\r\n%s"
                                         "Content-Length: %d\r\n\r\n%s",
                                         options.id, (unsigned long long)conn->n, timeout, len, body);
}

/* False when nobody listens at the moment; the request waits for the next turn. */
static bool ask(struct conn *conn)
{
    if (conn->fd < 0 && !connect_now(conn))
        return false;
    conn->start = clock_us();
    conn->first = 0;
    conn->sent = conn->body_len = 0;
    answer_begin(&conn->answer);
    send_rest(conn);
    return true;
}

static struct conn *take_idle(void)
{
    struct conn *conn = idle;

    if (conn) {
        idle = conn->next;
        return conn;
    }
    conns = realloc(conns, (conn_count + 1) * sizeof(struct conn *));
    conn = calloc(1, sizeof *conn);
    if (!conns || !conn)
        die("memory");
    conn->fd = -1;
    conns[conn_count++] = conn;
    return conn;
}

/* Request number `asked` leaves, which was due then. */
static void begin(uint64_t due)
{
    struct conn *conn = take_idle();

    conn->n = asked++;
    conn->due = due;
    conn->start = 0;
    conn->busy = true;
    busy++;
    make_request(conn);
    ask(conn);
}

/* False when the bytes are no answer. */
static bool take(struct conn *conn, const char *data, size_t len)
{
    for (size_t used = 0; used < len;) {
        struct payload payload = {0};
        ptrdiff_t taken = answer_read(&conn->answer, data + used, len - used, &payload);
        if (taken < 0 || conn->body_len + payload.len > BODY_MAX)
            return false;
        if (payload.len)
            memcpy(conn->body + conn->body_len, payload.at, payload.len);
        conn->body_len += payload.len;
        used += (size_t)taken;
    }
    return true;
}

static void readable(struct conn *conn)
{
    static char data[READ_BYTES];
    ssize_t got = recv(conn->fd, data, sizeof data, 0);

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        failed(conn);
        return;
    }
    if (conn->first == 0)
        conn->first = now;
    if (!conn->busy || !take(conn, data, (size_t)got)) {
        disconnect(conn);
        if (conn->busy)
            over(conn, VERDICT_WRONG);
        else
            totals[VERDICT_WRONG]++; /* bytes that nobody asked for */
        return;
    }
    if (conn->answer.reading != ANSWER_NONE)
        return;
    if (strcasestr(conn->answer.head, "\nconnection: close"))
        disconnect(conn);
    judge_end(conn, true);
}

/* Those who could not connect try again; those whose time is long over are given up. */
static void look_after_all(void)
{
    for (unsigned i = 0; i < conn_count; i++) {
        struct conn *conn = conns[i];
        uint64_t limit = (uint64_t)(conn->deadline_ms + options.patience) * 1000U;
        if (conn->busy && conn->start == 0)
            ask(conn);
        if (conn->busy && now > conn->due + limit) {
            disconnect(conn);
            over(conn, VERDICT_HUNG);
        }
    }
}

static void turn(uint64_t until)
{
    struct epoll_event ready[BATCH];
    uint64_t wait = until > now ? until - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000U), .tv_nsec = (long)(wait % 1000000U) * 1000};
    int count = epoll_pwait2(epoll_fd, ready, BATCH, &timeout, NULL);

    if (count < 0 && errno != EINTR)
        die("epoll_wait");
    now = clock_us();
    for (int i = 0; i < count; i++) {
        struct conn *conn = ready[i].data.ptr;
        if (conn->fd >= 0 && ready[i].events & EPOLLOUT)
            send_rest(conn);
        if (conn->fd >= 0 && ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            readable(conn);
    }
}

static void run(void)
{
    uint64_t start = clock_us(), end = start + (uint64_t)(options.seconds * 1e6), looked = start;
    double due = 0; /* of the next one in an open crowd, in us after the start */

    now = start;
    while (now < end && asked < options.requests) {
        while (options.closed && busy < options.conns && asked < options.requests)
            begin(now);
        while (!options.closed && start + (uint64_t)due <= now && asked < options.requests) {
            begin(start + (uint64_t)due);
            due -= log(1 - chance(asked, 0)) * 1e6 / options.rate;
        }
        uint64_t next = options.closed ? now + PAUSE_US : start + (uint64_t)due;
        uint64_t look = looked + PAUSE_US;
        next = next < look ? next : look;
        turn(next < end ? next : end);
        if (now >= looked + PAUSE_US) {
            look_after_all();
            looked = now;
        }
    }
    while (busy > 0) {
        turn(now + PAUSE_US);
        look_after_all();
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;

    crowd_options_read(&options, argc, argv);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_TIMERSLACK, 1UL);
    signal(SIGPIPE, SIG_IGN);
    out = fopen(options.out, "we");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!out || epoll_fd < 0)
        die(options.out);
    run();
    if (fclose(out) != 0)
        die(options.out);
    printf("{\"asked\":%llu", (unsigned long long)asked);
    for (int i = 0; i < VERDICTS; i++)
        printf(",\"%s\":%llu", verdict_names[i], (unsigned long long)totals[i]);
    puts("}");
    return 0;
}
