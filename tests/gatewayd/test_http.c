/*
 * The HTTP/1 parsers: a table of good heads with what they mean, a table of bad ones with the rule they break, both fed
 * whole and byte by byte; then chunked bodies split everywhere, single headers and dates. Inputs are copied into memory
 * of exactly their size, so that the sanitizer sees a byte too many being read.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gatewayd/http.h"

#define HOST "Host: a\r\n"
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static struct http_request request;

static void assert_str(struct str got, const char *want)
{
    if (got.len != strlen(want) || memcmp(got.at, want, got.len) != 0)
        fail_msg("\"%.*s\" instead of \"%s\"", (int)got.len, got.at, want);
}

/*
 * Parse the first `len` bytes of `text`, alone in their memory while they are parsed. Views into it must not be used.
 */
static int64_t parse(const char *text, size_t len, size_t seen, const char **why)
{
    char *copy = malloc(len > 0 ? len : 1);
    int64_t r;

    assert_non_null(copy);
    memcpy(copy, text, len);
    *why = NULL;
    r = http_request_parse(copy, len, seen, &request, why);
    free(copy);
    return r;
}

/* What comes of a head when each call sees one byte more. */
static int64_t parse_slowly(const char *text, size_t len, const char **why)
{
    for (size_t n = 0; n <= len; n++) {
        int64_t r = parse(text, n, n > 0 ? n - 1 : 0, why);
        if (r != HTTP_MORE)
            return r;
    }
    return HTTP_MORE;
}

/* A good head and what it means: method, target, [path], [query], host, version, connection, body, headers. */
static const struct {
    const char *head;
    const char *meaning;
} good_heads[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n",
     "GET / [/] [] host [a] 1.1 keep, 0 bytes, 1 headers"},
    {"GET / HTTP/1.0\r\n\r\n",
     "GET / [/] [] host [-] 1.0 close, 0 bytes, 0 headers"},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     "GET / [/] [] host [-] 1.0 keep, 0 bytes, 1 headers"},
    {"GET / HTTP/1.0\r\n" HOST "Connection: Keep-Alive, close\r\n\r\n",
     "GET / [/] [] host [a] 1.0 close, 0 bytes, 2 headers"},
    {"GET / HTTP/1.7\r\n" HOST "\r\n",
     "GET / [/] [] host [a] 1.1 keep, 0 bytes, 1 headers"},
    {"GET / HTTP/1.1\r\nConnection: Close\r\n" HOST "\r\n",
     "GET / [/] [] host [a] 1.1 close, 0 bytes, 2 headers"},
    {"GET / HTTP/1.1\r\nConnection: foo , close,\r\n" HOST "\r\n",
     "GET / [/] [] host [a] 1.1 close, 0 bytes, 2 headers"},
    {"GET / HTTP/1.1\r\nConnection: closed\r\n" HOST "\r\n",
     "GET / [/] [] host [a] 1.1 keep, 0 bytes, 2 headers"},
    {"GET / HTTP/1.1\r\nConnection: keep-alive\r\nconnection: close\r\n" HOST "\r\n",
     "GET / [/] [] host [a] 1.1 close, 0 bytes, 3 headers"},
    {"POST /v1/chat/completions HTTP/1.1\r\nHOST:\t a.example:8080 \t\r\ncontent-length: 17\r\n\r\n",
     "POST /v1/chat/completions [/v1/chat/completions] [] host [a.example:8080] 1.1 keep, 17 bytes, 2 headers"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
     "POST / [/] [] host [a] 1.1 keep, 0 bytes, 2 headers"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1152921504606846976\r\n\r\n",
     "POST / [/] [] host [a] 1.1 keep, 1152921504606846976 bytes, 2 headers"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
     "POST / [/] [] host [a] 1.1 keep chunked, 0 bytes, 2 headers"},
    {"POST / HTTP/1.1\r\n" HOST "transfer-encoding: CHUNKED\r\n\r\n",
     "POST / [/] [] host [a] 1.1 keep chunked, 0 bytes, 2 headers"},
    {"POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n",
     "POST / [/] [] host [a] 1.1 keep expect, 5 bytes, 3 headers"},
    {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
     "POST / [/] [] host [-] 1.0 close, 5 bytes, 2 headers"},
    {"GET /a?b=c&d HTTP/1.1\r\n" HOST "\r\n",
     "GET /a?b=c&d [/a] [b=c&d] host [a] 1.1 keep, 0 bytes, 1 headers"},
    {"GET /a? HTTP/1.1\r\n" HOST "\r\n",
     "GET /a? [/a] [] host [a] 1.1 keep, 0 bytes, 1 headers"},
    {"GET /?a?b HTTP/1.1\r\n" HOST "\r\n",
     "GET /?a?b [/] [a?b] host [a] 1.1 keep, 0 bytes, 1 headers"},
    {"GET //x/%41{}|\"<>@[]\\^`!$&'()*+,;=:~ HTTP/1.1\r\n" HOST "\r\n",
     "GET //x/%41{}|\"<>@[]\\^`!$&'()*+,;=:~ [//x/%41{}|\"<>@[]\\^`!$&'()*+,;=:~] [] "
     "host [a] 1.1 keep, 0 bytes, 1 headers"},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
     "OPTIONS * [*] [] host [a] 1.1 keep, 0 bytes, 1 headers"},
    {"GET http://a/v1?x HTTP/1.1\r\n" HOST "\r\n",
     "GET /v1?x [/v1] [x] host [a] 1.1 keep, 0 bytes, 1 headers"},
    {"GET HTTPS://A:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
     "GET / [/] [] host [a:80] 1.1 keep, 0 bytes, 1 headers"},
    {"GET http://a/ HTTP/1.0\r\n\r\n",
     "GET / [/] [] host [a] 1.0 close, 0 bytes, 0 headers"},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n",
     "GET / [/] [] host [] 1.1 keep, 0 bytes, 1 headers"},
    {"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
     "GET / [/] [] host [[::1]:8080] 1.1 keep, 0 bytes, 1 headers"},
    {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
     "GET / [/] [] host [a] 1.1 keep, 0 bytes, 1 headers"},
    {"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
     "GET / [/] [] host [a] 1.1 keep, 0 bytes, 1 headers"},
    {"M-SEARCH!#$%&'*+.^_`|~09azAZ / HTTP/1.1\r\n" HOST "\r\n",
     "M-SEARCH!#$%&'*+.^_`|~09azAZ / [/] [] host [a] 1.1 keep, 0 bytes, 1 headers"},
    {"GET / HTTP/1.1\r\n" HOST "X:\r\nY: \r\nZ:\t\x80\xff\"\t \r\n\r\n",
     "GET / [/] [] host [a] 1.1 keep, 0 bytes, 4 headers"},
};

static void describe(const struct http_request *r, char *out, size_t size)
{
    struct str host = r->host.at != NULL ? r->host : STR("-");

    snprintf(out, size, "%.*s %.*s [%.*s] [%.*s] host [%.*s] 1.%d %s%s%s, %llu bytes, %u headers", (int)r->method.len,
             r->method.at, (int)r->target.len, r->target.at, (int)r->path.len, r->path.at, (int)r->query.len,
             r->query.at, (int)host.len, host.at, r->minor, r->keep_alive ? "keep" : "close",
             r->chunked ? " chunked" : "", r->expect_continue ? " expect" : "", (unsigned long long)r->length,
             r->header_count);
}

static void good_heads_mean_what_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good_heads); i++) {
        const char *head = good_heads[i].head, *why = NULL;
        size_t len = strlen(head);
        int64_t r = http_request_parse(head, len, 0, &request, &why);
        char meaning[512];

        if (r != (int64_t)len)
            fail_msg("%lld (%s) for:\n%s", (long long)r, why != NULL ? why : "more", head);
        describe(&request, meaning, sizeof(meaning));
        assert_string_equal(meaning, good_heads[i].meaning);
        /* Every shorter piece of it is neither good nor bad, and the pieces add up to the same. */
        for (size_t n = 0; n < len; n++)
            assert_int_equal(parse(head, n, 0, &why), HTTP_MORE);
        assert_int_equal(parse_slowly(head, len, &why), len);
    }
}

static const struct {
    const char *head;
    const char *why; /* a part of the reason */
} bad_heads[] = {
    {"GET / HTTP/1.1\n" HOST "\r\n", "without CR"},
    {"GET / HTTP/1.1\r\nHost: a\n\r\n", "without CR"},
    {"GET / HTTP/1.1\r\n" HOST "\n", "without CR"},
    {"GET / HTTP/1.1\r\n" HOST "X: a\nb\r\n\r\n", "without CR"},
    {"\nGET / HTTP/1.1\r\n" HOST "\r\n", "must begin with a method"},
    {"\r\rGET / HTTP/1.1\r\n" HOST "\r\n", "must begin with a method"},
    {"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "must begin with a method"},
    {" GET / HTTP/1.1\r\n" HOST "\r\n", "must begin with a method"},
    {"\x16\x03\x01\x02", "must begin with a method"},
    {"GET\t/ HTTP/1.1\r\n" HOST "\r\n", "must begin with a method"},
    {"GE(T / HTTP/1.1\r\n" HOST "\r\n", "must begin with a method"},
    {"GET\r\n\r\n", "must begin with a method"},
    {"GET \r\n\r\n", "target is empty"},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", "target is empty"},
    {"GET /\r\n\r\n", "target is empty or holds"},
    {"GET /a\tb HTTP/1.1\r\n" HOST "\r\n", "target is empty or holds"},
    {"GET /a\x01 HTTP/1.1\r\n" HOST "\r\n", "target is empty or holds"},
    {"GET /a\x7f HTTP/1.1\r\n" HOST "\r\n", "target is empty or holds"},
    {"GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", "target is empty or holds"},
    {"GET /a#b HTTP/1.1\r\n" HOST "\r\n", "fragment"},
    {"GET a HTTP/1.1\r\n" HOST "\r\n", "must be a path"},
    {"GET * HTTP/1.1\r\n" HOST "\r\n", "must be a path"},
    {"OPTIONS *x HTTP/1.1\r\n" HOST "\r\n", "must be a path"},
    {"CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n", "must be a path"},
    {"GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n", "must be a path"},
    {"GET http:/a HTTP/1.1\r\n" HOST "\r\n", "must be a path"},
    {"GET http:// HTTP/1.1\r\n" HOST "\r\n", "must be a path"},
    {"GET http:///x HTTP/1.1\r\n" HOST "\r\n", "no valid host"},
    {"GET http://u@a/x HTTP/1.1\r\n" HOST "\r\n", "no valid host"},
    {"GET http://a?x HTTP/1.1\r\n" HOST "\r\n", "no valid host"},
    {"GET http://b/x HTTP/1.1\r\n" HOST "\r\n", "different hosts"},
    {"GET http://a/x HTTP/1.1\r\n\r\n", "Host header is missing"},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", "protocol"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "protocol"},
    {"GET / HTTP/0.9\r\n" HOST "\r\n", "protocol"},
    {"GET / http/1.1\r\n" HOST "\r\n", "protocol"},
    {"GET / HTTP/1.10\r\n" HOST "\r\n", "protocol"},
    {"GET / HTTP/1.\r\n" HOST "\r\n", "protocol"},
    {"GET / HTTP/1.x\r\n" HOST "\r\n", "protocol"},
    {"GET / HTTP/01.1\r\n" HOST "\r\n", "protocol"},
    {"GET / HTTP/1.1 \r\n" HOST "\r\n", "protocol"},
    {"GET /  HTTP/1.1\r\n" HOST "\r\n", "protocol"},
    {"GET / \r\n\r\n", "protocol"},
    {"GET / HTTP/1.1\r\r\n" HOST "\r\n", "protocol"},
    {"GET / HTTP/1.1\r\n\r\n", "Host header is missing"},
    {"GET / HTTP/1.1\r\nX: y\r\n\r\n", "Host header is missing"},
    {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", "two Host"},
    {"GET / HTTP/1.0\r\n" HOST HOST "\r\n", "two Host"},
    {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "Host header holds"},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "Host header holds"},
    {"GET / HTTP/1.1\r\nHost: u@b\r\n\r\n", "Host header holds"},
    {"GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", "folded"},
    {"GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n", "folded"},
    {"GET / HTTP/1.1\r\n " HOST "\r\n", "folded"},
    {"GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n", "name"},
    {"GET / HTTP/1.1\r\n" HOST "X\t: a\r\n\r\n", "name"},
    {"GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n", "name"},
    {"GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", "name"},
    {"GET / HTTP/1.1\r\n" HOST "X(: a\r\n\r\n", "name"},
    {"GET / HTTP/1.1\r\n" HOST "X\xc3\xa9: a\r\n\r\n", "name"},
    {"GET / HTTP/1.1\r\n" HOST "X\x01: a\r\n\r\n", "name"},
    {"GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n", "control character"},
    {"GET / HTTP/1.1\r\n" HOST "X: a\x7f" "bcdefghijkl\r\n\r\n", "control character"},
    {"GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", "control character"},
    {"GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n", "control character"},
    {"GET / HTTP/1.1\r\n" HOST "X: \t\v\r\n\r\n", "control character"},
    {"GET / HTTP/1.1\r\n" HOST "\rX: a\r\n\r\n", "begins with CR"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "two Content-Length"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\ncontent-length: 6\r\n\r\n", "two Content-Length"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n", "Content-Length is no number"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n", "Content-Length is no number"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n", "Content-Length is no number"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n", "Content-Length is no number"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5 5\r\n\r\n", "Content-Length is no number"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5.0\r\n\r\n", "Content-Length is no number"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", "Content-Length is no number"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1152921504606846977\r\n\r\n", "too large"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n", "too large"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "both"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", "both"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", "exactly"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n", "exactly"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "exactly"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", "exactly"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n", "exactly"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;q=1\r\n\r\n", "exactly"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", "exactly"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", "exactly"},
    {"POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", "HTTP/1.0 knows no"},
    {"POST / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\n\r\n", "Expect"},
    {"POST / HTTP/1.1\r\n" HOST "Expect:\r\n\r\n", "Expect"},
};

static void bad_heads_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_heads); i++) {
        const char *head = bad_heads[i].head, *why = NULL;
        int64_t r = parse(head, strlen(head), 0, &why);

        if (r != HTTP_BAD || why == NULL || strstr(why, bad_heads[i].why) == NULL)
            fail_msg("%lld (%s) instead of (%s) for:\n%s", (long long)r, why != NULL ? why : "", bad_heads[i].why,
                     head);
        assert_int_equal(parse_slowly(head, strlen(head), &why), HTTP_BAD);
        assert_non_null(strstr(why, bad_heads[i].why));
    }
}

/* Every single byte value in every place where text stands; NUL, which the tables cannot hold, among them. */
static void every_byte_is_judged_in_its_place(void **state)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    (void)state;
    for (int c = 0; c < 256; c++) {
        char head[128];
        const char *why;
        bool is_token = c != 0 && strchr(token, c) != NULL;
        int len;

        len = snprintf(head, sizeof(head), "G%cT / HTTP/1.0\r\n\r\n", c);
        assert_int_equal(parse(head, (size_t)len, 0, &why), is_token ? len : HTTP_BAD);
        len = snprintf(head, sizeof(head), "GET /x%cy HTTP/1.0\r\n\r\n", c);
        assert_int_equal(parse(head, (size_t)len, 0, &why), c > 0x20 && c < 0x7f && c != '#' ? len : HTTP_BAD);
        len = snprintf(head, sizeof(head), "GET / HTTP/1.0\r\nX%cY: z\r\n\r\n", c);
        assert_int_equal(parse(head, (size_t)len, 0, &why), is_token || c == ':' ? len : HTTP_BAD);
        for (int at = 0; at < 20; at++) {
            bool text = c == '\t' || (c >= 0x20 && c != 0x7f);
            len = snprintf(head, sizeof(head), "GET / HTTP/1.0\r\nX: %.*s%czzzzzzzz\r\n\r\n", at,
                           "aaaaaaaaaaaaaaaaaaaaaaaa", c);
            assert_int_equal(parse(head, (size_t)len, 0, &why), text ? len : HTTP_BAD);
        }
    }
}

static void counts_headers(void **state)
{
    char head[HTTP_HEADERS_MAX * 16];
    const char *why = NULL;

    (void)state;
    for (unsigned extra = 0; extra < 2; extra++) {
        size_t len = (size_t)snprintf(head, sizeof(head), "GET / HTTP/1.0\r\n");
        for (unsigned i = 0; i < HTTP_HEADERS_MAX + extra; i++)
            len += (size_t)snprintf(head + len, sizeof(head) - len, "X-%u: v%u\r\n", i, i);
        len += (size_t)snprintf(head + len, sizeof(head) - len, "\r\n");
        assert_int_equal(http_request_parse(head, len, 0, &request, &why), extra ? HTTP_TOO_MANY : (int64_t)len);
        if (extra == 0) {
            assert_int_equal(request.header_count, HTTP_HEADERS_MAX);
            assert_str(request.headers[0].name, "X-0");
            assert_str(request.headers[0].value, "v0");
            assert_str(request.headers[127].name, "X-127");
            assert_str(request.headers[127].value, "v127");
        } else {
            assert_string_equal(why, "there are too many headers");
        }
    }
}

static void pipelined_heads_come_one_by_one(void **state)
{
    static const char one[] = "GET /1 HTTP/1.1\r\n" HOST "\r\n";
    static const char two[] = "\r\nGET /2 HTTP/1.0\r\n\r\n";
    static const char three[] = "GET /3 HTTP/1.1\r\nHost: c";
    char all[256];
    const char *why;
    size_t len = (size_t)snprintf(all, sizeof(all), "%s%s%s", one, two, three);
    size_t at = 0;

    (void)state;
    assert_int_equal(http_request_parse(all, len, 0, &request, &why), sizeof(one) - 1);
    assert_str(request.path, "/1");
    at += sizeof(one) - 1;
    assert_int_equal(http_request_parse(all + at, len - at, 0, &request, &why), sizeof(two) - 1);
    assert_str(request.path, "/2");
    at += sizeof(two) - 1;
    assert_int_equal(http_request_parse(all + at, len - at, 0, &request, &why), HTTP_MORE);
    assert_int_equal(http_request_parse(all + at, len - at, len - at, &request, &why), HTTP_MORE);
    /* What follows a head, bad or not, is not looked at. */
    snprintf(all, sizeof(all), "%s\n\n", one);
    assert_int_equal(http_request_parse(all, strlen(all), 0, &request, &why), sizeof(one) - 1);
}

struct body {
    const char *in;
    const char *payload;
    int64_t used; /* of all of `in`, or HTTP_BAD */
    bool done;
};

static const struct body bodies[] = {
    {"0\r\n\r\n", "", 5, true},
    {"0\r\n\r\nGET / HTTP/1.1\r\n", "", 5, true},
    {"5\r\nhello\r\n0\r\n\r\n", "hello", 15, true},
    {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nX", "hello world", 26, true},
    {"00A\r\n0123456789\r\n000\r\n\r\n", "0123456789", 24, true},
    {"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", 35, true},
    {"5;a=b;c=\"d\te\"\r\nhello\r\n0;x\r\n\r\n", "hello", 29, true},
    {"2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 12, true},
    {"0\r\nX: y\r\nZ:\r\n\r\n", "", 15, true},
    {"5\r\nhel", "hel", 6, false},
    {"5\r\nhello\r\n", "hello", 10, false},
    {"5\r\nhello\r\n0\r\n", "hello", 13, false},
    {"fffffffffffffff\r\nx", "x", 18, false},
    {"1000000000000000\r\nx", "x", 19, false}, /* 2^60 */
    {"", "", 0, false},
    {"1000000000000001\r\nx", "", HTTP_BAD, false},
    {"10000000000000000\r\nx", "", HTTP_BAD, false},
    {"ffffffffffffffff\r\nx", "", HTTP_BAD, false},
    {"00000000000000005\r\nhello", "", HTTP_BAD, false},
    {"\r\n", "", HTTP_BAD, false},
    {";x\r\n", "", HTTP_BAD, false},
    {" 5\r\nhello\r\n", "", HTTP_BAD, false},
    {"5 \r\nhello\r\n", "", HTTP_BAD, false},
    {"5 ;x\r\nhello\r\n", "", HTTP_BAD, false},
    {"-5\r\nhello\r\n", "", HTTP_BAD, false},
    {"+5\r\nhello\r\n", "", HTTP_BAD, false},
    {"0x5\r\nhello\r\n", "", HTTP_BAD, false},
    {"g\r\n", "", HTTP_BAD, false},
    {"5\nhello\r\n", "", HTTP_BAD, false},
    {"5\rhello\r\n", "", HTTP_BAD, false},
    {"5\r\r\nhello", "", HTTP_BAD, false},
    {"5\r\nhello0\r\n\r\n", "", HTTP_BAD, false},
    {"5\r\nhello\n0\r\n\r\n", "", HTTP_BAD, false},
    {"5\r\nhello\r0\r\n\r\n", "", HTTP_BAD, false},
    {"5;a\nb\r\nhello", "", HTTP_BAD, false},
    {"5;a\x01\r\nhello", "", HTTP_BAD, false},
    {"5;a\rb\r\nhello", "", HTTP_BAD, false},
    {"0\r\n\n", "", HTTP_BAD, false},
    {"0\r\n\r\r", "", HTTP_BAD, false},
    {"0\r\nX: y\n\r\n", "", HTTP_BAD, false},
    {"0\r\nX: y\rZ\r\n\r\n", "", HTTP_BAD, false},
    {"0\r\nX y\r\n\r\n", "", HTTP_BAD, false},
    {"0\r\n: y\r\n\r\n", "", HTTP_BAD, false},
    {"0\r\n X: y\r\n\r\n", "", HTTP_BAD, false},
    {"0\r\nX: \x01\r\n\r\n", "", HTTP_BAD, false},
};

/* Feed [0, cut) and then the rest, or one byte at a time (cut SIZE_MAX), gathering the payload. */
static void feed_in_pieces(const struct body *body, size_t cut)
{
    struct http_chunked state = {0};
    size_t len = strlen(body->in), at = 0, got = 0, payload;
    int64_t total = 0;
    char out[128];

    while (at < len && total != HTTP_BAD && !state.done) {
        size_t n = cut == SIZE_MAX ? 1 : at < cut ? cut - at : len - at;
        char *piece = malloc(n);
        int64_t r;

        assert_non_null(piece);
        memcpy(piece, body->in + at, n);
        r = http_chunked_feed(&state, piece, n, &payload);
        if (r == HTTP_BAD) {
            total = HTTP_BAD;
        } else {
            assert_true(r == (int64_t)n || state.done);
            assert_true(payload <= n);
            memcpy(out + got, piece, payload);
            got += payload;
            total += r;
        }
        at += n;
        free(piece);
    }
    if (total != body->used)
        fail_msg("%lld instead of %lld, cut at %zu: %s", (long long)total, (long long)body->used, cut, body->in);
    assert_int_equal(state.done, body->done);
    if (body->used != HTTP_BAD)
        assert_str((struct str){out, got}, body->payload);
}

static void chunked_bodies_split_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        for (size_t cut = 0; cut <= strlen(bodies[i].in); cut++)
            feed_in_pieces(&bodies[i], cut);
        feed_in_pieces(&bodies[i], SIZE_MAX);
    }
}

static void chunked_bodies_end_once(void **state)
{
    struct http_chunked chunked = {0};
    char data[] = "0\r\n\r\n5\r\n";
    size_t payload = 9;

    (void)state;
    assert_int_equal(http_chunked_feed(&chunked, data, 8, &payload), 5);
    assert_true(chunked.done);
    assert_int_equal(http_chunked_feed(&chunked, data + 5, 3, &payload), 0);
    assert_int_equal(payload, 0);
}

/* A size line may have 256 bytes, all trailers together 8192; one byte more is bad, however it arrives. */
static void chunked_lines_are_bounded(void **state)
{
    static char line[10000];
    struct http_chunked chunked = {0};
    size_t payload;

    (void)state;
    memset(line, 'x', sizeof(line));
    memcpy(line, "5;", 2);
    memcpy(line + 254, "\r\n", 2);
    assert_int_equal(http_chunked_feed(&chunked, line, 256, &payload), 256);
    assert_int_equal(chunked.left, 5);
    chunked = (struct http_chunked){0};
    memset(line + 2, 'x', 300);
    assert_int_equal(http_chunked_feed(&chunked, line, 256, &payload), 256);
    assert_int_equal(http_chunked_feed(&chunked, line + 256, 1, &payload), HTTP_BAD);

    chunked = (struct http_chunked){0};
    memcpy(line, "0\r\n", 3);
    for (size_t at = 3; at < sizeof(line); at += 10)
        memcpy(line + at, "X: yyyyy\r\n", sizeof(line) - at < 10 ? sizeof(line) - at : 10);
    assert_int_equal(http_chunked_feed(&chunked, line, 3 + 8192, &payload), 3 + 8192);
    assert_int_equal(http_chunked_feed(&chunked, line + 3 + 8192, 1, &payload), HTTP_BAD);
}

static void finds_headers_and_tokens(void **state)
{
    static const struct http_header headers[] = {
        {STR("Accept"), STR("a")}, {STR("X-Id"), STR("1")}, {STR("x-id"), STR("2")}, {STR("Empty"), STR("")}};
    static const struct {
        const char *value;
        bool has;
    } table[] = {
        {"close", true},         {"CLOSE", true},       {"a, close", true}, {"close , a", true},
        {"a,\tclose\t,b", true},
        {",,close", true},       {"", false},           {",", false},       {"closed", false},   {"a close", false},
        {"not-close,x", false},  {"clos", false},       {"close;q=1", false},
    };

    (void)state;
    assert_str(http_header_find(headers, 4, STR("x-ID")), "1");
    assert_str(http_header_find(headers, 4, STR("empty")), "");
    assert_non_null(http_header_find(headers, 4, STR("empty")).at);
    assert_null(http_header_find(headers, 4, STR("x-i")).at);
    assert_null(http_header_find(headers, 0, STR("accept")).at);
    for (size_t i = 0; i < COUNT(table); i++)
        assert_int_equal(http_has_token(str_of(table[i].value), STR("close")), table[i].has);
}

static void knows_hop_by_hop_headers(void **state)
{
    static const char *const yes[] = {"Connection", "KEEP-ALIVE", "proxy-authorization", "Proxy-Authenticate",
                                      "Proxy-Connection", "TE", "te", "Trailer", "transfer-encoding", "Upgrade"};
    static const char *const no[] = {"", "T", "Content-Length", "Host", "Trailers", "Upgrade-Insecure-Requests",
                                     "Proxy", "Proxy-", "X-Connection", "Content-Encoding"};

    (void)state;
    for (size_t i = 0; i < COUNT(yes); i++)
        assert_true(http_is_hop_by_hop(str_of(yes[i])));
    for (size_t i = 0; i < COUNT(no); i++)
        assert_false(http_is_hop_by_hop(str_of(no[i])));
}

static void parses_response_headers(void **state)
{
    static const struct {
        struct str line;
        const char *name, *value;
    } table[] = {
        {STR("Retry-After: 2"), "Retry-After", "2"},
        {STR("x:"), "x", ""},
        {STR("x: \t y z \t"), "x", "y z"},
        {STR("x:a:b"), "x", "a:b"},
        {STR("x:\xff\t1"), "x", "\xff\t1"},
        {STR(""), NULL, NULL},
        {STR("x"), NULL, NULL},
        {STR(":"), NULL, NULL},
        {STR(": y"), NULL, NULL},
        {STR(" x: y"), NULL, NULL},
        {STR("x : y"), NULL, NULL},
        {STR("x y: z"), NULL, NULL},
        {STR("x: y\r"), NULL, NULL},
        {STR("x: y\nz: a"), NULL, NULL},
        {STR("x: \0"), NULL, NULL},
        {STR("x: 12345678901234567890\x7f"), NULL, NULL},
        {STR("\0: y"), NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct http_header header;
        bool good = http_header_parse(table[i].line, &header);
        assert_int_equal(good, table[i].name != NULL);
        if (good) {
            assert_str(header.name, table[i].name);
            assert_str(header.value, table[i].value);
        }
    }
}

static void names_statuses(void **state)
{
    (void)state;
    assert_string_equal(http_reason(200), "OK");
    assert_string_equal(http_reason(429), "Too Many Requests");
    assert_string_equal(http_reason(529), "Overloaded");
    assert_string_equal(http_reason(299), "Unknown");
    assert_string_equal(http_reason(-1), "Unknown");
}

static void parses_dates(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int64_t seconds;
    } table[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", true, 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", true, 784111777},
        {"Sun Nov  6 08:49:37 1994", true, 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", true, 0},
        {"Wed, 31 Dec 1969 23:59:59 GMT", true, -1},
        {"Thu, 29 Feb 2024 12:00:00 GMT", true, 1709208000},
        {"Tue, 29 Feb 2000 00:00:00 GMT", true, 951782400},
        {"Fri, 31 Dec 9999 23:59:59 GMT", true, INT64_C(253402300799)},
        {"Sat, 01 Jan 0000 00:00:00 GMT", true, INT64_C(-62167219200)},
        {"Sat, 31 Dec 2016 23:59:60 GMT", true, 1483228800},
        {"Tuesday, 01-Jan-68 00:00:00 GMT", true, INT64_C(3092601600)},
        {"Wednesday, 01-Jan-69 00:00:00 GMT", true, -31536000},
        {"Tue Nov 16 08:49:37 1994", true, 784975777}, /* the weekday is not compared */
        {"Thu, 29 Feb 2023 12:00:00 GMT", false, 0},
        {"Thu, 29 Feb 1900 12:00:00 GMT", false, 0},
        {"Sun, 31 Nov 1994 08:49:37 GMT", false, 0},
        {"Sun, 00 Nov 1994 08:49:37 GMT", false, 0},
        {"Sun, 06 Nov 1994 24:00:00 GMT", false, 0},
        {"Sun, 06 Nov 1994 08:60:37 GMT", false, 0},
        {"Sun, 06 Nov 1994 08:49:61 GMT", false, 0},
        {"Sun, 06 Nov 1994 08:49:37 UTC", false, 0},
        {"Sun, 06 Nov 1994 08:49:37 +0000", false, 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", false, 0},
        {"Sun, 06 Nov 1994 08:49:37", false, 0},
        {"Sun, 6 Nov 1994 08:49:37 GMT", false, 0},
        {"Sun, 06 nov 1994 08:49:37 GMT", false, 0},
        {"Sun, 06 Nov 94 08:49:37 GMT", false, 0},
        {"sun, 06 Nov 1994 08:49:37 GMT", false, 0},
        {"Son, 06 Nov 1994 08:49:37 GMT", false, 0},
        {"Sunday, 06 Nov 1994 08:49:37 GMT", false, 0},
        {"Sun, 06-Nov-94 08:49:37 GMT", false, 0},
        {"Sun Nov 6 08:49:37 1994", false, 0},
        {"Sun Nov  0 08:49:37 1994", false, 0},
        {"Sun Nov  6 08:49:37 94", false, 0},
        {"Sun", false, 0},
        {"Sunday,", false, 0},
        {"784111777", false, 0},
        {"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t seconds = 42;
        if (http_date_parse(str_of(table[i].text), &seconds) != table[i].good)
            fail_msg("%s", table[i].text);
        assert_true(seconds == (table[i].good ? table[i].seconds : 42));
    }
    for (size_t n = 0; n < 29; n++) {
        int64_t seconds;
        assert_false(http_date_parse((struct str){table[0].text, n}, &seconds));
    }
}

static void formats_dates(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } table[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {1709251199, "Thu, 29 Feb 2024 23:59:59 GMT"},
        {1709251200, "Fri, 01 Mar 2024 00:00:00 GMT"},
        {INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_C(253402300800), "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_C(-62167219200), "Sat, 01 Jan 0000 00:00:00 GMT"},
        {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
    };
    char out[30];

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        http_date_format(table[i].seconds, out);
        assert_string_equal(out, table[i].text);
    }
    /* There and back, a day and some seconds at a time over eight hundred years. */
    for (int64_t t = INT64_C(-13000000000); t < INT64_C(13000000000); t += 86413) {
        int64_t back;
        http_date_format(t, out);
        assert_int_equal(strlen(out), 29);
        assert_true(http_date_parse((struct str){out, 29}, &back));
        assert_true(back == t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_heads_mean_what_they_say),
        cmocka_unit_test(bad_heads_are_refused),
        cmocka_unit_test(every_byte_is_judged_in_its_place),
        cmocka_unit_test(counts_headers),
        cmocka_unit_test(pipelined_heads_come_one_by_one),
        cmocka_unit_test(chunked_bodies_split_anywhere),
        cmocka_unit_test(chunked_bodies_end_once),
        cmocka_unit_test(chunked_lines_are_bounded),
        cmocka_unit_test(finds_headers_and_tokens),
        cmocka_unit_test(knows_hop_by_hop_headers),
        cmocka_unit_test(parses_response_headers),
        cmocka_unit_test(names_statuses),
        cmocka_unit_test(parses_dates),
        cmocka_unit_test(formats_dates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
