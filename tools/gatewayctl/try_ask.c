/*
 * The request as the gateway would send it, by libcurl's easy interface: the same address, credential, headers, proxy
 * and certificates. One at a time, because a check that is itself a burst would be rate limited.
 */

#include "tools/gatewayctl/try.h"

#include <curl/curl.h>
#include <string.h>

#include "gatewayd/show.h"

enum { BODY_MAX = 1024 * 1024, HEAD_MAX = 256 * 1024, HEADERS_OWN = 4 };

/* The header lines of a request, in memory that is wiped. */
struct lines {
    struct curl_slist *nodes;
    size_t count;
    struct buf key;
    struct arena arena;
};

int try_setup(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : 1;
}

static bool speaks_anthropic(const struct conf_endpoint *endpoint)
{
    return endpoint->dialects == CONF_DIALECT_ANTHROPIC;
}

static void add_line(struct lines *lines, char *line)
{
    struct curl_slist *node = &lines->nodes[lines->count];
    *node = (struct curl_slist){.data = show_must(line)};
    if (lines->count > 0)
        lines->nodes[lines->count - 1].next = node;
    lines->count++;
}

static void make_lines(struct lines *lines, const struct try_question *q)
{
    static const char *const credentials[] = {"Authorization: Bearer ", "x-api-key: ", "api-key: "};
    const struct conf_endpoint *endpoint = q->endpoint;
    size_t room = (endpoint->header_count + HEADERS_OWN) * sizeof(*lines->nodes);
    *lines = (struct lines){0};
    lines->nodes = show_must(arena_alloc(&lines->arena, room));
    add_line(lines, arena_printf(&lines->arena, "Content-Type: application/json"));
    add_line(lines, arena_printf(&lines->arena, "User-Agent: gatewayctl/" GATEWAYD_VERSION));
    if (speaks_anthropic(endpoint))
        add_line(lines, arena_printf(&lines->arena, "anthropic-version: 2023-06-01"));
    for (size_t i = 0; i < endpoint->header_count; i++)
        add_line(lines, arena_printf(&lines->arena, "%s: %s", endpoint->headers[i].name, endpoint->headers[i].value));
    struct str key = q->key ? secret_text(q->key) : (struct str){0};
    if (key.len == 0)
        return;
    /* As much as it needs at once: a buffer that grows leaves copies behind. */
    int rc = buf_room(&lines->key, key.len + 64);
    if (rc == 0)
        rc = buf_add_str(&lines->key, str_of(credentials[endpoint->auth]));
    if (rc == 0)
        rc = buf_add_str(&lines->key, key);
    if (rc != 0 || buf_add(&lines->key, "", 1) != 0)
        show_must(NULL);
    add_line(lines, buf_at(&lines->key));
}

static void lines_fini(struct lines *lines)
{
    if (lines->key.data)
        explicit_bzero(lines->key.data, lines->key.size);
    buf_fini(&lines->key);
    arena_fini(&lines->arena);
}

static void make_body(struct buf *body, const struct try_question *q)
{
    int rc = buf_add_str(body, STR("{\"model\":\""));
    if (rc == 0)
        rc = buf_add_json(body, str_of(q->model));
    if (rc == 0)
        rc = buf_add_str(body, STR("\",\"messages\":[{\"role\":\"user\",\"content\":\""));
    if (rc == 0)
        rc = buf_add_json(body, str_of(q->message));
    if (rc == 0)
        rc = buf_addf(body, "\"}],\"%s\":%d,\"stream\":false}",
                      q->newer_limit ? "max_completion_tokens" : "max_tokens", TRY_TOKENS);
    if (rc != 0)
        show_must(NULL);
}

/* Of several heads (an interim one, a proxy's) the last is the answer's. */
static size_t on_header(char *bytes, size_t size, size_t count, void *owner)
{
    struct try_reply *reply = owner;
    struct str line = {bytes, size * count};
    while (line.len > 0 && (line.at[line.len - 1] == '\n' || line.at[line.len - 1] == '\r'))
        line.len--;
    if (str_starts(line, STR("HTTP/")))
        buf_clear(&reply->lines);
    else if (line.len > 0 && buf_len(&reply->lines) + line.len < HEAD_MAX &&
             (buf_add_str(&reply->lines, line) != 0 || buf_add(&reply->lines, "\n", 1) != 0))
        show_must(NULL);
    return size * count;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *owner)
{
    struct try_reply *reply = owner;
    size_t length = size * count;
    reply->too_long = buf_len(&reply->body) + length > BODY_MAX;
    if (reply->too_long)
        return 0;
    if (buf_add(&reply->body, bytes, length) != 0)
        show_must(NULL);
    return length;
}

static void set_options(CURL *easy, const struct try_question *q, struct try_reply *reply)
{
    const struct conf_endpoint *endpoint = q->endpoint;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_PROXY, endpoint->proxy ? endpoint->proxy : ""); /* never the environment's */
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, endpoint->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
    if (endpoint->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, endpoint->ca_file);
    if (endpoint->unix_socket)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, endpoint->unix_socket);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)q->connect_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)q->response_ms);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reply->why);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, reply);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, reply);
}

static void note_end(CURL *easy, CURLcode code, struct try_reply *reply)
{
    long status = 0;
    curl_off_t connected = 0, first = 0, total = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
    curl_easy_getinfo(easy, CURLINFO_STARTTRANSFER_TIME_T, &first);
    curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &total);
    reply->status = (int)status;
    reply->connected = connected > 0;
    reply->first_us = status > 0 ? (uint64_t)first : 0;
    reply->total_us = (uint64_t)total;
    reply->timed_out = code == CURLE_OPERATION_TIMEDOUT;
    if (code == CURLE_OK)
        reply->why[0] = '\0';
    else if (!reply->why[0])
        snprintf(reply->why, sizeof(reply->why), "%s", curl_easy_strerror(code));
}

void try_ask(const struct try_question *q, struct try_reply *reply)
{
    _Static_assert(TRY_WHY >= CURL_ERROR_SIZE, "libcurl writes its message there");
    struct lines lines;
    struct buf body = {0};
    CURL *easy = show_must(curl_easy_init());
    *reply = (struct try_reply){0};
    make_lines(&lines, q);
    make_body(&body, q);
    set_options(easy, q, reply);
    const char *path = speaks_anthropic(q->endpoint) ? "/messages" : "/chat/completions";
    char *url = show_must(arena_printf(&lines.arena, "%s%s", q->endpoint->base, path));
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lines.nodes);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, buf_at(&body));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)buf_len(&body));
    note_end(easy, curl_easy_perform(easy), reply);
    curl_easy_cleanup(easy);
    buf_fini(&body);
    lines_fini(&lines);
}

void try_reply_fini(struct try_reply *reply)
{
    buf_fini(&reply->lines);
    buf_fini(&reply->body);
    *reply = (struct try_reply){0};
}
