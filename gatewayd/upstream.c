#include "gatewayd/upstream.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatewayd/heap.h"
#include "gatewayd/log.h"
#include "gatewayd/upstream_head.h"

/*
 * libcurl's multi interface on the process's own loop. Three habits of it are dealt with here and nowhere else. It
 * resends a request silently when a kept connection dies: the callback that it makes before every send counts, and
 * refuses the second. It asks for a descriptor to be unwatched after every request and watched again at the next: the
 * watcher is left in place, since the answer to the next request is what it will report. And it must not be re-entered
 * from its own callbacks: what starts within one is only noted, and begun by upstream_turn() before the loop sleeps.
 */

enum {
    PATHS_KEPT = 8,
    LOSSES_KEPT = 8,
    LOSS_MS = 1000,
    KEPT_CONNECTIONS = 4096,
    SHARED_STREAMS = 4,
    REFUSAL_MS = 2000 /* for the body of a refusal whose status says it all */
};

struct kept_path {
    char *path;
    size_t len;
    CURLU *url;
};

/* What is the same for every request to one endpoint. */
struct target {
    const struct plan_target *plan;
    char *fixed; /* lines of every request, CRLF between them: the credential and the configured headers */
    size_t fixed_len;
    struct kept_path paths[PATHS_KEPT];
    unsigned next_path;
    bool two;              /* may speak HTTP/2 */
    struct transfer *idle; /* with their handles, options set */
};

struct watch {
    struct event_io io;
    struct upstream *up;
    int wanted;       /* what libcurl asked for; the watcher itself may outlast it */
    unsigned streams; /* transfers under way that this connection has carried bytes of */
    bool plain;       /* HTTP/1: between two answers nothing may come */
    bool held;        /* the transfer on it is paused: it is quiet, and not idle */
    bool resting;     /* read lately; read again when the pause is over */
    struct watch *next_resting;
};

struct upstream {
    struct event_loop *loop;
    CURLM *multi;
    CURLSH *share;
    struct event_timer timer;
    bool kick; /* something waits to be begun */
    struct watch **watches; /* by descriptor */
    struct watch *acting;   /* whose bytes are being read */
    struct watch *resting;
    struct event_timer rest_over;
    size_t watch_count;
    struct target *targets;
    uint32_t target_count;
    struct transfer *aborted; /* ended by their owner from within a callback of libcurl's */
    struct {
        long port;
        uint64_t at;
    } losses[LOSSES_KEPT]; /* connections reported lost lately, by their local port */
    unsigned next_loss;
    unsigned adrift; /* paused transfers that were never waited for: any quiet connection may be theirs */
};

struct transfer {
    struct upstream *up;
    struct target *target;
    struct transfer *next;
    CURL *easy;
    const struct upstream_events *events;
    void *owner;
    bool active, paused, stale, in_head, head_done, malformed, owner_aborted, local, posting, custom;
    bool watched; /* its connection is known to on_socket() */
    bool enough;  /* the rest of what it says does not matter */
    unsigned sends;
    unsigned interims;
    size_t refusal_bytes;
    struct event_timer refused;
    long local_port;
    struct watch *carrier; /* the connection's */
    CURLU *url_set;   /* what the handle was given last */
    CURLU *url_owned; /* made for this request alone */
    size_t head_bytes;
    struct buf lines;
    struct upstream_response response;
    struct buf block; /* the request's header lines, as one text */
    struct curl_slist nodes[3];
    const char *malformed_why;
    char why[CURL_ERROR_SIZE];
};

/* Watching descriptors for libcurl. */

static void finish_done(struct upstream *up);

static void act(struct watch *watch, int what)
{
    struct upstream *up = watch->up;
    int running;
    up->acting = watch;
    curl_multi_socket_action(up->multi, watch->io.io.fd,
                             (what & EVENT_READ ? CURL_CSELECT_IN : 0) | (what & EVENT_WRITE ? CURL_CSELECT_OUT : 0),
                             &running);
    up->acting = NULL;
    finish_done(up);
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

static int on_close(void *owner, curl_socket_t fd)
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
static curl_socket_t on_open(void *owner, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = owner;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    t->local = t->local || (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM));
    struct watch *watch = fd < 0 ? NULL : watch_of(t->up, fd);
    if (watch) {
        event_io_watch(&watch->io, 0); /* some descriptors are closed without on_close(): of resolvers */
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
        finish_done(up);
    }
    if (up->kick || up->aborted)
        event_timer_at(&up->timer, event_now_ms(up->loop));
}

/* What libcurl calls during a transfer. */

static int on_before_send(void *owner, char *remote, char *local, int remote_port, int local_port)
{
    (void)remote;
    (void)local;
    (void)remote_port;
    struct transfer *t = owner;
    t->local_port = local_port;
    if (t->sends++ > 0) {
        t->stale = true;
        return CURL_PREREQFUNC_ABORT;
    }
    return CURL_PREREQFUNC_OK;
}

static size_t malformed(struct transfer *t, const char *why)
{
    t->malformed = true;
    t->malformed_why = why;
    return 0;
}

static size_t end_of_head(struct transfer *t, size_t len)
{
    if (t->response.status < 200 && t->response.status != 101) {
        t->in_head = false;
        return ++t->interims > 16 ? malformed(t, "too many interim responses") : len;
    }
    const char *why = upstream_head_read(buf_str(&t->lines), &t->response);
    if (why)
        return malformed(t, why);
    t->head_done = true;
    if (upstream_head_suffices(t->response.status))
        event_timer_at(&t->refused, event_now_ms(t->up->loop) + REFUSAL_MS);
    enum upstream_flow flow = t->events->head(t->owner, &t->response);
    t->owner_aborted = flow == UPSTREAM_ABORT;
    return flow == UPSTREAM_ABORT ? 0 : len;
}

static size_t on_header(char *at, size_t size, size_t count, void *owner)
{
    struct transfer *t = owner;
    size_t len = size * count;
    t->head_bytes += len;
    if (t->head_bytes > UPSTREAM_HEAD_MAX)
        return malformed(t, "a response head beyond 64 KiB");
    struct str line = {at, len};
    while (line.len > 0 && (line.at[line.len - 1] == '\n' || line.at[line.len - 1] == '\r'))
        line.len--;
    if (t->head_done)
        return len; /* a trailer */
    if (!t->in_head) {
        buf_clear(&t->lines);
        t->in_head = true;
        t->response.status = upstream_head_status(line, t->target->two);
        if (t->up->acting && str_starts(line, STR("HTTP/1.")))
            t->up->acting->plain = true;
        return t->response.status ? len : malformed(t, "no status in the response's first line");
    }
    if (line.len == 0)
        return end_of_head(t, len);
    if (buf_add_str(&t->lines, line) != 0 || buf_add(&t->lines, "\n", 1) != 0)
        return malformed(t, "out of memory");
    return len;
}

/* Whether a refusal has been read as far as anybody would: it may have no end. */
static bool is_enough(struct transfer *t, size_t len)
{
    bool success = t->response.status >= 200 && t->response.status <= 299;
    t->refusal_bytes += success ? 0 : len;
    return t->refusal_bytes > UPSTREAM_REFUSAL_MAX;
}

static size_t on_body(char *at, size_t size, size_t count, void *owner)
{
    struct transfer *t = owner;
    size_t len = size * count;
    if (!t->carrier && t->up->acting) {
        t->carrier = t->up->acting;
        t->carrier->streams++;
    }
    switch (t->events->body(t->owner, at, len)) {
    case UPSTREAM_TAKEN:
        t->enough = is_enough(t, len);
        return t->enough ? 0 : len;
    case UPSTREAM_PAUSE:
        t->paused = true;
        t->up->adrift += !t->watched;
        return CURL_WRITEFUNC_PAUSE;
    case UPSTREAM_ABORT:
        break;
    }
    t->owner_aborted = true;
    return 0;
}

/* How a transfer ended, in our words. */

static enum upstream_end end_of(const struct transfer *t, CURLcode code)
{
    if (t->enough || (t->head_done && !t->owner_aborted && upstream_head_suffices(t->response.status)))
        return UPSTREAM_COMPLETE;
    if (t->malformed)
        return UPSTREAM_MALFORMED;
    if (t->local && code != CURLE_OK && !t->sends)
        return UPSTREAM_LOCAL;
    if (t->owner_aborted)
        return UPSTREAM_ABORTED;
    if (t->stale)
        return UPSTREAM_STALE;
    switch (code) {
    case CURLE_OK:
        return t->head_done ? UPSTREAM_COMPLETE : UPSTREAM_RESET;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
    case CURLE_OPERATION_TIMEDOUT:
        return t->sends ? (t->head_done ? UPSTREAM_CUT : UPSTREAM_RESET) : UPSTREAM_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_USE_SSL_FAILED:
        return UPSTREAM_TLS;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
        return UPSTREAM_MALFORMED;
    case CURLE_OUT_OF_MEMORY: /* what it says of a line beyond its own bound */
        return t->sends && !t->head_done ? UPSTREAM_MALFORMED : t->sends ? UPSTREAM_CUT : UPSTREAM_CONNECT;
    default:
        return t->head_done ? UPSTREAM_CUT : t->sends ? UPSTREAM_RESET : UPSTREAM_CONNECT;
    }
}

static void end_pause(struct transfer *t)
{
    t->up->adrift -= t->paused && !t->watched;
    t->paused = false;
}

/* Back to the idle handles of its endpoint. */
static void retire(struct transfer *t)
{
    t->active = false;
    event_timer_off(&t->refused);
    end_pause(t);
    if (t->carrier && t->carrier->streams > 0)
        t->carrier->streams--;
    t->carrier = NULL;
    if (t->url_owned) {
        curl_easy_setopt(t->easy, CURLOPT_CURLU, NULL);
        curl_url_cleanup(t->url_owned);
        t->url_owned = t->url_set = NULL;
    }
    t->next = t->target->idle;
    t->target->idle = t;
}

static void forget_abort(struct transfer *t)
{
    for (struct transfer **at = &t->up->aborted; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            return;
        }
}

static void report(struct transfer *t, CURLcode code)
{
    enum upstream_end end = end_of(t, code);
    const char *why = t->malformed ? t->malformed_why : t->why[0] ? t->why : curl_easy_strerror(code);
    curl_multi_remove_handle(t->up->multi, t->easy);
    forget_abort(t);
    t->events->done(t->owner, end, why);
    retire(t);
}

/* The status of a refusal has long been said, and its body does not end. */
static void refused_long_ago(struct event_timer *timer)
{
    struct transfer *t = (struct transfer *)(void *)((char *)timer - offsetof(struct transfer, refused));
    if (!t->active)
        return;
    t->enough = true;
    report(t, CURLE_OPERATION_TIMEDOUT);
}

static void finish_done(struct upstream *up)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(up->multi, &left)) != NULL) {
        struct transfer *t = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        report(t, code);
    }
    while (up->aborted)
        report(up->aborted, CURLE_WRITE_ERROR);
}

/* Handles and what is set on them once. */

static void set_once(struct transfer *t)
{
    const struct plan_target *plan = t->target->plan;
    const struct conf_endpoint *conf = plan->conf;
    CURL *easy = t->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->why);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_before_send);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, t->up);
    curl_easy_setopt(easy, CURLOPT_SHARE, t->up->share);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, conf->proxy ? conf->proxy : ""); /* never the environment's */
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (conf->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, conf->ca_file);
    if (conf->unix_socket)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, conf->unix_socket);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     t->target->two ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    if (t->target->two)
        curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
}

static struct transfer *transfer_take(struct upstream *up, struct target *target)
{
    struct transfer *t = target->idle;
    if (t) {
        target->idle = t->next;
        return t;
    }
    t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->easy = curl_easy_init();
    if (!t->easy) {
        free(t);
        return NULL;
    }
    t->up = up;
    t->target = target;
    event_timer_init(&t->refused, up->loop, refused_long_ago);
    set_once(t);
    return t;
}

static CURLU *url_make(const struct target *target, struct str path)
{
    struct buf text = {0};
    CURLU *url = curl_url();
    bool ok = url && buf_addf(&text, "%s%.*s", target->plan->conf->base, (int)path.len, path.at) == 0 &&
              buf_add(&text, "", 1) == 0 &&
              curl_url_set(url, CURLUPART_URL, text.data, CURLU_PATH_AS_IS) == CURLUE_OK;
    buf_fini(&text);
    if (ok)
        return url;
    curl_url_cleanup(url);
    return NULL;
}

/* The paths of an API are few: their parsed URLs are kept, and only what looks like an identifier is parsed anew. */
static CURLU *url_find(struct transfer *t, struct str path)
{
    struct target *target = t->target;
    for (unsigned i = 0; i < PATHS_KEPT && target->paths[i].url; i++)
        if (str_eq(path, (struct str){target->paths[i].path, target->paths[i].len}))
            return target->paths[i].url;
    CURLU *url = url_make(target, path);
    if (!url)
        return NULL;
    char *copy = target->next_path < PATHS_KEPT ? strndup(path.at, path.len) : NULL;
    if (!copy) {
        t->url_owned = url;
        return url;
    }
    target->paths[target->next_path++] = (struct kept_path){copy, path.len, url};
    return url;
}

static void set_method(struct transfer *t, const struct upstream_request *request)
{
    CURL *easy = t->easy;
    bool post = str_eq(request->method, STR("POST"));
    bool head = str_eq(request->method, STR("HEAD"));
    if (post || (request->body.len > 0 && !head)) {
        if (!t->posting)
            curl_easy_setopt(easy, CURLOPT_POST, 1L);
        t->posting = true;
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.len ? request->body.at : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    } else {
        t->posting = false;
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        if (head)
            curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (!post || t->custom) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)request->method.len, request->method.at);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, post ? NULL : name);
        t->custom = !post;
    }
}

/*
 * libcurl compares every line it is given with a dozen names, several times over; so it is given two: the line it looks
 * for in a POST (Content-Type) with all others behind it in the same text, and the one it looks for always (Accept).
 */
static int set_headers(struct transfer *t, const struct upstream_request *request)
{
    const char *type = NULL, *accept = NULL;
    for (unsigned i = 0; i < request->header_count; i++) {
        if (strncasecmp(request->header_lines[i], "content-type:", 13) == 0)
            type = request->header_lines[i];
        else if (strncasecmp(request->header_lines[i], "accept:", 7) == 0)
            accept = request->header_lines[i];
    }
    buf_clear(&t->block);
    int rc = type ? buf_add(&t->block, type, strlen(type)) : 0;
    for (unsigned i = 0; rc == 0 && i < request->header_count; i++) {
        const char *line = request->header_lines[i];
        if (line == type || line == accept)
            continue;
        if (buf_len(&t->block) > 0)
            rc = buf_add(&t->block, "\r\n", 2);
        if (rc == 0)
            rc = buf_add(&t->block, line, strlen(line));
    }
    if (rc == 0 && buf_len(&t->block) > 0 && t->target->fixed_len > 0)
        rc = buf_add(&t->block, "\r\n", 2);
    if (rc == 0)
        rc = buf_add(&t->block, t->target->fixed, t->target->fixed_len + 1);
    t->nodes[0] = (struct curl_slist){t->block.data, &t->nodes[1]};
    t->nodes[1] = (struct curl_slist){(char *)"Expect:", accept ? &t->nodes[2] : NULL};
    t->nodes[2] = (struct curl_slist){(char *)accept, NULL};
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->nodes);
    return rc;
}

int upstream_start(struct upstream *up, const struct upstream_request *request, struct transfer **out)
{
    struct transfer *t = transfer_take(up, &up->targets[request->target->index]);
    if (!t)
        return -ENOMEM;
    t->events = request->events;
    t->owner = request->owner;
    t->paused = t->stale = t->head_done = t->malformed = t->owner_aborted = t->local = false;
    t->in_head = t->enough = t->watched = false;
    t->sends = t->interims = 0;
    t->refusal_bytes = 0;
    t->local_port = 0;
    t->head_bytes = 0;
    t->why[0] = '\0';
    t->response.status = 0;
    t->response.header_count = 0;
    buf_clear(&t->lines);

    CURLU *url = url_find(t, request->path);
    if (!url || set_headers(t, request) != 0) {
        retire(t);
        return -ENOMEM;
    }
    if (t->url_set != url)
        curl_easy_setopt(t->easy, CURLOPT_CURLU, url);
    t->url_set = url;
    set_method(t, request);
    curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, request->fresh ? 1L : 0L);
    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_ms);
    if (curl_multi_add_handle(up->multi, t->easy) != CURLM_OK) {
        retire(t);
        return -ENOMEM;
    }
    t->active = true;
    *out = t;
    return 0;
}

void upstream_cancel(struct transfer *t)
{
    if (!t || !t->active)
        return;
    curl_multi_remove_handle(t->up->multi, t->easy);
    forget_abort(t);
    retire(t);
}

void upstream_resume(struct transfer *t)
{
    if (!t || !t->active || !t->paused)
        return;
    end_pause(t);
    curl_easy_pause(t->easy, CURLPAUSE_CONT);
    if (t->owner_aborted) {
        t->next = t->up->aborted;
        t->up->aborted = t;
    }
}

bool upstream_is_shared(const struct transfer *t)
{
    long version = 0;
    return curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version) == CURLE_OK && version >= CURL_HTTP_VERSION_2_0;
}

bool upstream_loss_known(struct transfer *t)
{
    struct upstream *up = t->up;
    uint64_t now = event_now_ms(up->loop);
    if (t->local_port <= 0)
        return false;
    for (unsigned i = 0; i < LOSSES_KEPT; i++)
        if (up->losses[i].port == t->local_port && now - up->losses[i].at < LOSS_MS)
            return true;
    up->losses[up->next_loss].port = t->local_port;
    up->losses[up->next_loss].at = now;
    up->next_loss = (up->next_loss + 1) % LOSSES_KEPT;
    return false;
}

/* Instances. */

int upstream_setup(void)
{
    heap_own();
    return curl_global_init_mem(CURL_GLOBAL_DEFAULT, heap_malloc, heap_free, heap_realloc, heap_strdup, heap_calloc) ==
                   CURLE_OK
               ? 0
               : 1;
}

static int target_init(struct target *target, const struct plan_target *plan)
{
    struct buf lines = {0};
    struct str key = plan->key ? secret_text(plan->key) : (struct str){0};
    int rc = 0;
    target->plan = plan;
    target->two = plan->conf->http2 && strncmp(plan->conf->base, "https:", 6) == 0;
    if (key.len > 0) {
        const char *name = plan->conf->auth == CONF_AUTH_BEARER      ? "Authorization: Bearer "
                           : plan->conf->auth == CONF_AUTH_X_API_KEY ? "x-api-key: "
                                                                     : "api-key: ";
        rc = buf_addf(&lines, "%s%.*s", name, (int)key.len, key.at);
    }
    for (size_t i = 0; rc == 0 && i < plan->conf->header_count; i++)
        rc = buf_addf(&lines, "%s%s: %s", buf_len(&lines) ? "\r\n" : "", plan->conf->headers[i].name,
                      plan->conf->headers[i].value);
    if (rc == 0)
        rc = buf_add(&lines, "", 1);
    target->fixed = lines.data;
    target->fixed_len = rc == 0 ? buf_len(&lines) - 1 : 0;
    return rc;
}

static void target_fini(struct target *target)
{
    while (target->idle) {
        struct transfer *t = target->idle;
        target->idle = t->next;
        event_timer_stop(&t->refused);
        curl_easy_cleanup(t->easy);
        buf_fini(&t->lines);
        if (t->block.data)
            explicit_bzero(t->block.data, t->block.size);
        buf_fini(&t->block);
        free(t);
    }
    for (unsigned i = 0; i < PATHS_KEPT; i++) {
        curl_url_cleanup(target->paths[i].url);
        free(target->paths[i].path);
    }
    if (target->fixed)
        explicit_bzero(target->fixed, target->fixed_len);
    free(target->fixed);
}

struct upstream *upstream_new(struct event_loop *loop, const struct plan *plan)
{
    struct upstream *up = calloc(1, sizeof *up);
    if (!up)
        return NULL;
    up->loop = loop;
    event_timer_init(&up->timer, loop, timer_fired);
    event_timer_init(&up->rest_over, loop, rest_over);
    up->multi = curl_multi_init();
    up->share = curl_share_init();
    up->targets = calloc(plan->target_count, sizeof *up->targets);
    bool ok = up->multi && up->share && up->targets;
    for (uint32_t i = 0; ok && i < plan->target_count; i++, up->target_count++)
        ok = target_init(&up->targets[i], &plan->targets[i]) == 0;
    if (!ok) {
        upstream_free(up);
        return NULL;
    }
    curl_share_setopt(up->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl_multi_setopt(up->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(up->multi, CURLMOPT_SOCKETDATA, up);
    curl_multi_setopt(up->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(up->multi, CURLMOPT_TIMERDATA, up);
    curl_multi_setopt(up->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    return up;
}

void upstream_free(struct upstream *up)
{
    if (!up)
        return;
    for (uint32_t i = 0; i < up->target_count; i++)
        target_fini(&up->targets[i]);
    curl_multi_cleanup(up->multi);
    curl_share_cleanup(up->share);
    event_timer_stop(&up->timer);
    event_timer_stop(&up->rest_over);
    for (size_t i = 0; i < up->watch_count; i++)
        free(up->watches[i]);
    free(up->watches);
    free(up->targets);
    free(up);
    heap_trim();
}
