#include "gatewayd/reply.h"

#include <time.h>

#include "gatewayd/http.h"

/*
 * Appended piece by piece rather than by format: every answer passes through here. The Date is formatted once a second.
 */

static struct str date_now(void)
{
    static char text[30];
    static time_t last;
    time_t now = time(NULL);
    if (now != last)
        http_date_format(now, text);
    last = now;
    return (struct str){text, 29};
}

static int add_u64(struct buf *out, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    return buf_add(out, digits + at, sizeof digits - at);
}

int reply_add_ms(struct buf *out, uint64_t us)
{
    char part[4] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10), (char)('0' + us % 10)};
    int rc = add_u64(out, us / 1000);
    return rc ? rc : buf_add(out, part, sizeof part);
}

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        int rc_ = (call);                                                                                              \
        if (rc_ != 0)                                                                                                  \
            return rc_;                                                                                                \
    } while (0)

int reply_begin(struct buf *out, int status, struct str request_id)
{
    if (status == 200)
        TRY(buf_add_str(out, STR("HTTP/1.1 200 OK\r\n")));
    else
        TRY(buf_addf(out, "HTTP/1.1 %d %s\r\n", status, http_reason(status)));
    TRY(buf_add_str(out, STR("Date: ")));
    TRY(buf_add_str(out, date_now()));
    if (request_id.len > 0) {
        TRY(buf_add_str(out, STR("\r\nX-Request-Id: ")));
        TRY(buf_add_str(out, request_id));
    }
    return buf_add_str(out, STR("\r\n"));
}

int reply_end_head(struct buf *out, size_t length, bool keep_alive, int minor)
{
    if (length == REPLY_NO_BODY) {
        /* nothing to say of it */
    } else if (length != SIZE_MAX) {
        TRY(buf_add_str(out, STR("Content-Length: ")));
        TRY(add_u64(out, length));
        TRY(buf_add_str(out, STR("\r\n")));
    } else if (minor > 0) {
        TRY(buf_add_str(out, STR("Transfer-Encoding: chunked\r\n")));
    }
    if (!keep_alive)
        TRY(buf_add_str(out, STR("Connection: close\r\n")));
    else if (minor == 0)
        TRY(buf_add_str(out, STR("Connection: keep-alive\r\n")));
    return buf_add_str(out, STR("\r\n"));
}

static int add_members(struct buf *out, const struct reply_error *e)
{
    TRY(buf_add_str(out, STR("\"message\":\"")));
    TRY(buf_add_json(out, str_of(e->message)));
    TRY(buf_addf(out, "\",\"type\":\"%s\",\"param\":null,\"code\":\"%s\",\"request_id\":\"", e->type, e->code));
    TRY(buf_add_json(out, e->request_id));
    TRY(buf_add_str(out, STR("\"")));
    if (e->retry_after_ms >= 0) {
        TRY(buf_add_str(out, STR(",\"retry_after\":")));
        TRY(reply_add_ms(out, (uint64_t)e->retry_after_ms)); /* seconds of milliseconds, as ms of microseconds */
    }
    if (e->endpoints.len > 0) {
        TRY(buf_add_str(out, STR(",\"endpoints\":")));
        TRY(buf_add_str(out, e->endpoints));
    }
    return 0;
}

/* Anthropic's names for the same things. */
static const char *anthropic_type(const struct reply_error *e)
{
    static const struct {
        int status;
        const char *type;
    } types[] = {{400, "invalid_request_error"}, {401, "authentication_error"}, {403, "permission_error"},
                 {404, "not_found_error"},       {408, "timeout_error"},        {413, "request_too_large"},
                 {429, "rate_limit_error"},      {503, "overloaded_error"},     {504, "timeout_error"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].status == e->status)
            return types[i].type;
    return "api_error";
}

int reply_error_body(struct buf *out, const struct reply_error *error)
{
    struct reply_error e = *error;
    if (e.anthropic) {
        e.type = anthropic_type(error);
        TRY(buf_add_str(out, STR("{\"type\":\"error\",\"error\":{")));
        TRY(add_members(out, &e));
        TRY(buf_add_str(out, STR("},\"request_id\":\"")));
        TRY(buf_add_json(out, e.request_id));
        return buf_add_str(out, STR("\"}"));
    }
    TRY(buf_add_str(out, STR("{\"error\":{")));
    TRY(add_members(out, &e));
    return buf_add_str(out, STR("}}"));
}

int reply_error_whole(struct buf *out, const struct reply_error *error, struct str extra, bool keep_alive, int minor,
                      bool head_only)
{
    struct buf body = {0};
    int rc = reply_error_body(&body, error);
    if (rc == 0)
        rc = reply_begin(out, error->status, error->request_id);
    if (rc == 0)
        rc = buf_add_str(out, STR("Content-Type: application/json\r\n"));
    if (rc == 0)
        rc = buf_add_str(out, extra);
    if (rc == 0 && error->retry_after_ms >= 0)
        rc = buf_addf(out, "Retry-After: %lld\r\n", (long long)((error->retry_after_ms + 999) / 1000));
    if (rc == 0)
        rc = reply_end_head(out, buf_len(&body), keep_alive, minor);
    if (rc == 0 && !head_only)
        rc = buf_add_str(out, buf_str(&body));
    buf_fini(&body);
    return rc;
}

int reply_whole(struct buf *out, int status, const char *content_type, struct str body, struct str request_id,
                bool keep_alive, int minor, bool head_only)
{
    TRY(reply_begin(out, status, request_id));
    TRY(buf_addf(out, "Content-Type: %s\r\n", content_type));
    TRY(reply_end_head(out, body.len, keep_alive, minor));
    return head_only ? 0 : buf_add_str(out, body);
}

int reply_error_event(struct buf *out, const struct reply_error *error)
{
    if (error->anthropic)
        TRY(buf_add_str(out, STR("event: error\n")));
    TRY(buf_add_str(out, STR("data: ")));
    TRY(reply_error_body(out, error));
    return buf_add_str(out, STR("\n\n"));
}
