/*
 * HTTP/1 from a hostile peer. The promises: what comes of a head or a chunked body does not depend on how it was cut
 * into pieces; every view lies within the input and holds only what may stand there; and a head written anew from what
 * was understood is understood the same, which is what a server behind this one would have to do.
 */

#include "gatewayd/http.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition) ((condition) ? (void)0 : broken(__LINE__, #condition))

const struct fuzz_word fuzz_seeds[] = {
    WORD(" POST /v1/chat?x=y HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n"
         "X-A: \t long enough for eight at a time \r\n\r\nhello"),
    WORD(" GET / HTTP/1.0\r\nConnection: keep-alive, x\r\nAccept: */*\r\n\r\n"),
    WORD(" POST http://a/x HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"),
    WORD(" \r\nOPTIONS * HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    WORD(" 5;a=b\r\nhello\r\n0a\r\n0123456789\r\n0\r\nTrailer: x\r\nB:\r\n\r\n"),
    WORD(" 1\r\nx\r\n2\r\nyz\r\n1000000000000000\r\nendless"),
    WORD(" Sun, 06 Nov 1994 08:49:37 GMT"),
    WORD(" Sunday, 06-Nov-94 08:49:37 GMT"),
    WORD(" Sun Nov  6 08:49:37 1994"),
};
const size_t fuzz_seed_count = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);

const struct fuzz_word fuzz_words[] = {
    WORD("\r\n"), WORD("\n"), WORD("\r"), WORD("\0"), WORD(":"), WORD(" "), WORD("\t"), WORD(","), WORD(";"), WORD("#"),
    WORD("?"), WORD("\x7f"), WORD("\xff"), WORD("0"), WORD("f"), WORD("+"), WORD("-"), WORD("\r\n folded"),
    WORD("\r\nX : y"), WORD("\r\nX:y"), WORD("\r\nHost: b"), WORD("\r\nContent-Length: 5"),
    WORD("\r\nContent-Length: 1152921504606846976"), WORD("https://"), WORD("\r\nTransfer-Encoding: chunked"),
    WORD("\r\nTRANSFER-encoding: gzip, chunked"), WORD("\r\nExpect: 100-continue"), WORD("\r\nConnection: close"),
    WORD(" HTTP/1.0\r\n"), WORD(" HTTP/1.1\r\n"), WORD(" HTTP/2.0\r\n"), WORD("ffffffffffffffff\r\n"), WORD("\r\n\r\n"),
    WORD("0\r\n\r\n"), WORD("3\r\nabc\r\n"), WORD("29 Feb"), WORD("Dec 31"), WORD("23:59:60"), WORD("Tue"),
    WORD("0000"),
};
const size_t fuzz_word_count = sizeof(fuzz_words) / sizeof(fuzz_words[0]);

static void broken(int line, const char *what)
{
    fprintf(stderr, "fuzz_http.c:%d: not so: %s\n", line, what);
    abort();
}

static bool within(struct str s, const char *in, size_t len)
{
    return s.at >= in && s.at <= in + len && s.len <= (size_t)(in + len - s.at);
}

static bool clean(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (((unsigned char)s.at[i] < 0x20 && s.at[i] != '\t') || s.at[i] == 0x7f)
            return false;
    }
    return true;
}

static void check_views(const struct http_request *r, const char *in, size_t used)
{
    MUST(used >= 4 && memcmp(in + used - 4, "\r\n\r\n", 4) == 0);
    MUST(within(r->method, in, used) && r->method.len > 0 && clean(r->method));
    /* The target of "http://host" is a path that was not sent. */
    MUST((within(r->target, in, used) || str_eq(r->target, STR("/"))) && r->target.len > 0 && clean(r->target));
    MUST(r->target.at[0] == '/' || str_eq(r->target, STR("*")));
    MUST(r->path.at == r->target.at && r->path.len <= r->target.len && memchr(r->path.at, '?', r->path.len) == NULL);
    MUST(r->query.at + r->query.len == r->target.at + r->target.len);
    MUST(r->host.at != NULL ? within(r->host, in, used) && clean(r->host) : r->minor == 0);
    MUST(r->minor == 0 || r->minor == 1);
    MUST(!r->chunked || (r->length == 0 && r->minor == 1));
    MUST(!r->expect_continue || r->minor == 1);
    MUST(r->length <= HTTP_LENGTH_MAX);
    MUST(r->header_count <= HTTP_HEADERS_MAX);
    for (unsigned i = 0; i < r->header_count; i++) {
        struct str name = r->headers[i].name, value = r->headers[i].value;
        MUST(within(name, in, used) && name.len > 0 && clean(name) && memchr(name.at, ':', name.len) == NULL);
        MUST(within(value, in, used) && clean(value) && str_eq(str_trim(value), value));
    }
}

static bool same(struct str a, struct str b)
{
    return (a.at == NULL) == (b.at == NULL) && str_eq(a, b);
}

static void check_same(const struct http_request *a, const struct http_request *b)
{
    MUST(same(a->method, b->method) && same(a->target, b->target));
    MUST(same(a->path, b->path) && same(a->query, b->query));
    MUST(a->minor == b->minor && a->keep_alive == b->keep_alive && a->chunked == b->chunked);
    MUST(a->expect_continue == b->expect_continue && a->length == b->length && a->header_count == b->header_count);
    for (unsigned i = 0; i < a->header_count; i++) {
        MUST(same(a->headers[i].name, b->headers[i].name) && same(a->headers[i].value, b->headers[i].value));
        MUST(same(http_header_find(a->headers, a->header_count, a->headers[i].name),
                  http_header_find(b->headers, b->header_count, a->headers[i].name)));
    }
}

/* Write the head as it was understood. What that is must be understood as it was. */
static void check_rewritten(const struct http_request *r, size_t used)
{
    static struct http_request again;
    size_t size = used + 64 + 3 * HTTP_HEADERS_MAX, len;
    char *text = malloc(size);
    const char *why;

    if (text == NULL)
        abort();
    len = (size_t)snprintf(text, size, "%.*s %.*s HTTP/1.%d\r\n", (int)r->method.len, r->method.at, (int)r->target.len,
                           r->target.at, r->minor);
    for (unsigned i = 0; i < r->header_count; i++) {
        struct str name = r->headers[i].name, value = r->headers[i].value;
        struct http_header header;
        size_t start = len;
        len += (size_t)snprintf(text + len, size - len, "%.*s: %.*s", (int)name.len, name.at, (int)value.len, value.at);
        MUST(http_header_parse((struct str){text + start, len - start}, &header));
        MUST(str_eq(header.name, name) && str_eq(header.value, value));
        len += (size_t)snprintf(text + len, size - len, "\r\n");
    }
    len += (size_t)snprintf(text + len, size - len, "\r\n");
    MUST(http_request_parse(text, len, 0, &again, &why) == (int64_t)len);
    check_same(r, &again);
    free(text);
}

static void try_head(const char *in, size_t len, size_t step)
{
    static struct http_request whole, piece;
    const char *why = NULL, *why_piece = NULL;
    int64_t r = http_request_parse(in, len, 0, &whole, &why), slow = HTTP_MORE;

    MUST(r == HTTP_BAD || (r >= 0 && r <= (int64_t)len));
    MUST((r == HTTP_BAD) == (why != NULL));
    for (size_t n = 0, seen = 0; slow == HTTP_MORE; n = n + step < len ? n + step : len) {
        slow = http_request_parse(in, n, seen, &piece, &why_piece);
        seen = n;
        if (n == len)
            break;
    }
    MUST(slow == r);
    MUST(r != HTTP_BAD || strcmp(why, why_piece) == 0);
    if (r > 0) {
        check_views(&whole, in, (size_t)r);
        check_same(&whole, &piece);
        check_rewritten(&whole, (size_t)r);
    }
}

/* Feed a copy of the body `step` bytes at a time. The payload is gathered at its front. */
static int64_t feed(const char *in, size_t len, size_t step, char *out, size_t *payload, bool *done)
{
    struct http_chunked state = {0};
    int64_t total = 0;

    *payload = 0;
    memcpy(out, in, len);
    for (size_t at = 0; at < len && !state.done; at += step) {
        size_t n = len - at < step ? len - at : step, got = 0;
        int64_t r = http_chunked_feed(&state, out + at, n, &got);
        *done = state.done;
        if (r == HTTP_BAD)
            return HTTP_BAD;
        MUST(r >= 0 && r <= (int64_t)n && (r == (int64_t)n || state.done) && got <= (size_t)r);
        memmove(out + *payload, out + at, got);
        *payload += got;
        total += r;
    }
    *done = state.done;
    return total;
}

static void try_chunked(const char *in, size_t len, size_t step)
{
    char *whole = malloc(len + 1), *pieces = malloc(len + 1);
    size_t whole_payload, pieces_payload;
    bool whole_done = false, pieces_done = false;
    int64_t r;

    if (whole == NULL || pieces == NULL)
        abort();
    r = feed(in, len, len + 1, whole, &whole_payload, &whole_done);
    MUST(feed(in, len, step, pieces, &pieces_payload, &pieces_done) == r);
    MUST(whole_done == pieces_done);
    if (r != HTTP_BAD)
        MUST(whole_payload == pieces_payload && memcmp(whole, pieces, whole_payload) == 0);
    free(whole);
    free(pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *in = (const char *)data + 1;
    size_t step;
    int64_t seconds;
    char date[30];

    if (size == 0)
        return 0;
    step = 1 + data[0] % 64;
    try_head(in, size - 1, step);
    try_chunked(in, size - 1, step);
    if (http_date_parse((struct str){in, size - 1}, &seconds)) {
        int64_t again;
        http_date_format(seconds, date);
        MUST(http_date_parse(str_of(date), &again) && again == seconds);
    }
    return 0;
}
