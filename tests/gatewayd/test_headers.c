/*
 * Which header lines pass: nothing of the hop, of the gateway's own or of a credential that is not the endpoint's, in
 * either direction, and everything else as it came; each line upward ends in a NUL where its value ends.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gatewayd/headers.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* What goes up of these header lines, one a line. */
static char *up(const char *headers, const struct conf_pair *ours, size_t our_count, bool passthrough, unsigned max)
{
    static char out[8192];
    struct http_request head;
    char *lines[HTTP_HEADERS_MAX];
    const char *why = NULL;
    char *text = malloc(8192); /* the head is written to, as a connection's input is */

    assert_non_null(text);
    int n = snprintf(text, 8192, "GET /v1/x HTTP/1.1\r\nHost: gw\r\n%s\r\n", headers);
    if (http_request_parse(text, (size_t)n, 0, &head, &why) != n)
        fail_msg("%s", why);
    unsigned count = headers_up(&head, ours, our_count, passthrough, lines, max);
    out[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        strcat(out, lines[i]);
        strcat(out, "\n");
    }
    free(text);
    return out;
}

static void passes_up(void **state)
{
    static const struct {
        const char *headers, *up;
    } cases[] = {
        {"", ""},
        {"X-A: 1\r\n", "X-A: 1\n"},
        {"X-A:1\r\nx-b:  two words  \r\n", "X-A:1\nx-b:  two words\n"},
        {"X-A: 1\t \r\nX-A: 2\r\n", "X-A: 1\nX-A: 2\n"},
        {"User-Agent: sdk\r\nContent-Type: application/json\r\nAccept: */*\r\ntraceparent: 00-1-2-01\r\n",
         "User-Agent: sdk\nContent-Type: application/json\nAccept: */*\ntraceparent: 00-1-2-01\n"},
        {"OpenAI-Organization: o\r\nanthropic-version: 2023-06-01\r\n",
         "OpenAI-Organization: o\nanthropic-version: 2023-06-01\n"},
        {"X-Empty:\r\nX-Blank:   \r\nX-A: 1\r\n", "X-A: 1\n"}, /* the transport would take it for a removal */
        {"Connection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\nTE: trailers\r\n"
         "Trailer: x\r\nUpgrade: h2c\r\nX-A: 1\r\n", "X-A: 1\n"},
        {"Content-Length: 0\r\nExpect: 100-continue\r\nX-A: 1\r\n", "X-A: 1\n"},
        {"Transfer-Encoding: chunked\r\nX-A: 1\r\n", "X-A: 1\n"},
        {"Accept-Encoding: gzip\r\nCookie: a=b\r\nX-Request-Id: mine\r\nX-A: 1\r\n", "X-A: 1\n"},
        {"X-Gateway-Timeout: 5\r\nx-gateway-anything: 5\r\nX-GATEWAY-: 5\r\nX-Gateways: 1\r\n", "X-Gateways: 1\n"},
        {"Connection: close, X-Secret\r\nX-Secret: 1\r\nX-A: 1\r\n", "X-A: 1\n"},
        {"Connection: x-secret ,\tX-OTHER\r\nX-Secret: 1\r\nx-other: 2\r\nX-A: 1\r\n", "X-A: 1\n"},
        {"X-Secret: 1\r\nX-A: 1\r\nConnection: keep-alive\r\nConnection: x-secret\r\n", "X-A: 1\n"},
        {"Connection: close\r\nClose: 1\r\n", "Close: 1\n"}, /* the option, not a header of that name */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(up(cases[i].headers, NULL, 0, false, HTTP_HEADERS_MAX), cases[i].up);
}

static void keeps_credentials_apart(void **state)
{
    static const char all[] = "Authorization: Bearer sk-1\r\nX-Api-Key: sk-2\r\napi-key: sk-3\r\nX-A: 1\r\n";

    (void)state;
    assert_string_equal(up(all, NULL, 0, false, HTTP_HEADERS_MAX), "X-A: 1\n");
    assert_string_equal(up(all, NULL, 0, true, HTTP_HEADERS_MAX),
                        "Authorization: Bearer sk-1\nX-Api-Key: sk-2\napi-key: sk-3\nX-A: 1\n");
    /* Even then the proxy's credential ends here. */
    assert_string_equal(up("Proxy-Authorization: Basic x\r\nCookie: s=1\r\n", NULL, 0, true, HTTP_HEADERS_MAX), "");
}

static void gives_way_to_the_endpoints_own(void **state)
{
    static const struct conf_pair ours[] = {{"X-Team", "search"}, {"User-Agent", "gw"}};

    (void)state;
    assert_string_equal(up("x-team: theirs\r\nUSER-AGENT: sdk\r\nX-Teams: 1\r\n", ours, 2, false, HTTP_HEADERS_MAX),
                        "X-Teams: 1\n");
}

static void keeps_to_its_bound(void **state)
{
    (void)state;
    assert_string_equal(up("X-A: 1\r\nX-B: 2\r\nX-C: 3\r\n", NULL, 0, false, 2), "X-A: 1\nX-B: 2\n");
    assert_string_equal(up("X-A: 1\r\n", NULL, 0, false, 0), "");
}

static void passes_down(void **state)
{
    static const struct {
        const char *lines[8];
        const char *down;
    } cases[] = {
        {{NULL}, ""},
        {{"Content-Type: text/event-stream; charset=utf-8", "x-ratelimit-remaining-requests: 5", "openai-version:1"},
         "Content-Type: text/event-stream; charset=utf-8\r\nx-ratelimit-remaining-requests: 5\r\n"
         "openai-version: 1\r\n"},
        {{"X-Empty:", "X-A: 1", "X-A: 2"}, "X-Empty: \r\nX-A: 1\r\nX-A: 2\r\n"},
        {{"Connection: close", "Keep-Alive: 5", "Transfer-Encoding: chunked", "Upgrade: h2c", "Trailer: x",
          "Proxy-Authenticate: x", "X-A: 1"}, "X-A: 1\r\n"},
        {{"Content-Length: 5", "Date: today", "X-Request-Id: theirs", "Server-Timing: x;dur=1", "Retry-After: 5",
          "X-A: 1"}, "X-A: 1\r\n"},
        {{"Set-Cookie: s=1", "Alt-Svc: h3", "Strict-Transport-Security: max-age=1", "Location: http://u/",
          "Refresh: 0", "x-gateway-endpoint: fake", "X-A: 1"}, "X-A: 1\r\n"},
        {{"Clear-Site-Data: *", "access-control-allow-origin: *", "Access-Control-Max-Age: 5", "X-Accel-Redirect: /x",
          "NEL: {}", "X-Accel-Buffering: no", "Access-Control: 1"}, "X-Accel-Buffering: no\r\nAccess-Control: 1\r\n"},
        {{"X-Hop: 1", "Connection: close", "connection: X-HOP, x-hop2", "X-Hop2: 2", "X-A: 1"}, "X-A: 1\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_header headers[8];
        struct buf out = {0};
        unsigned count = 0;

        for (; count < 8 && cases[i].lines[count]; count++)
            assert_true(http_header_parse(str_of(cases[i].lines[count]), &headers[count]));
        assert_int_equal(headers_down(headers, count, &out), 0);
        if (!str_eq(buf_str(&out), str_of(cases[i].down)))
            fail_msg("%.*sinstead of\n%s", (int)buf_len(&out), buf_len(&out) ? buf_at(&out) : "", cases[i].down);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_up),
        cmocka_unit_test(keeps_credentials_apart),
        cmocka_unit_test(gives_way_to_the_endpoints_own),
        cmocka_unit_test(keeps_to_its_bound),
        cmocka_unit_test(passes_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
