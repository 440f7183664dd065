#include "gatewayd/upstream_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "gatewayd/heap.h"
#include "gatewayd/log.h"
#include "gatewayd/upstream_head.h"

/*
 * Transfers: one try each, on a handle of libcurl's that is kept for the next. A habit of libcurl's is dealt with here
 * and nowhere else: it resends a request silently when a kept connection dies. The callback that it makes before every
 * send counts, and refuses the second.
 */

enum { LOSS_MS = 1000, REFUSAL_MS = 2000 /* for the body of a refusal whose status says it all */ };

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

void upstream_finish_done(struct upstream *up)
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
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, upstream_loop_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, upstream_loop_close);
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

    CURLU *url = upstream_target_url(t, request->path);
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

struct upstream *upstream_new(struct event_loop *loop, const struct plan *plan)
{
    struct upstream *up = calloc(1, sizeof *up);
    if (!up)
        return NULL;
    up->loop = loop;
    up->multi = curl_multi_init();
    upstream_loop_init(up);
    up->share = curl_share_init();
    up->targets = calloc(plan->target_count, sizeof *up->targets);
    bool ok = up->multi && up->share && up->targets;
    for (uint32_t i = 0; ok && i < plan->target_count; i++, up->target_count++)
        ok = upstream_target_init(&up->targets[i], &plan->targets[i]) == 0;
    if (!ok) {
        upstream_free(up);
        return NULL;
    }
    curl_share_setopt(up->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    return up;
}

void upstream_free(struct upstream *up)
{
    if (!up)
        return;
    for (uint32_t i = 0; i < up->target_count; i++)
        upstream_target_fini(&up->targets[i]);
    curl_multi_cleanup(up->multi);
    curl_share_cleanup(up->share);
    upstream_loop_fini(up);
    free(up->targets);
    free(up);
    heap_trim();
}
