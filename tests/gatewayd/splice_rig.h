#ifndef TESTS_GATEWAYD_SPLICE_RIG_H
#define TESTS_GATEWAYD_SPLICE_RIG_H

/* One splice, and what its tests say to it: events with ' in place of the quotes of JSON. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gatewayd/splice.h"

static struct splice splice;

static int start(void **state)
{
    (void)state;
    splice_begin(&splice, SPLICE_CHAT);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    splice_fini(&splice);
    splice_fini(&splice);
    return 0;
}

/* Alone in memory of its own size, so that the sanitizer sees a byte too many being read. */
static struct str event_of(const char *text)
{
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1);

    assert_non_null(copy);
    for (size_t i = 0; i < len; i++)
        copy[i] = text[i] == '\'' ? '"' : text[i];
    return (struct str){copy, len};
}

static void note(const char *text)
{
    struct str event = event_of(text);

    splice_note(&splice, event);
    free((void *)(uintptr_t)event.at);
}

/* The replay's next event: what becomes of it and, if it is passed, how it reads then. */
static void expect(const char *text, int result, const char *passed)
{
    struct str event = event_of(text), want = event_of(passed != NULL ? passed : "");
    struct buf out = {.data = NULL};
    int r = splice_event(&splice, event, &out);

    if (r != result)
        fail_msg("%d instead of %d: %s", r, result, text);
    if (!str_eq(buf_str(&out), want))
        fail_msg("%.*s instead of %.*s", (int)buf_len(&out), buf_at(&out), (int)want.len, want.at);
    buf_fini(&out);
    free((void *)(uintptr_t)event.at);
    free((void *)(uintptr_t)want.at);
}

static void had(const char *text)
{
    expect(text, SPLICE_HAD, NULL);
}

static void passes(const char *text, const char *as)
{
    expect(text, SPLICE_PASS, as);
}

static void differs(const char *text)
{
    expect(text, SPLICE_DIFFERS, NULL);
}

static void begin(enum splice_api api, const char *const events[])
{
    splice_begin(&splice, api);
    for (; *events != NULL; events++)
        note(*events);
    assert_true(splice_possible(&splice));
    splice_replay(&splice);
}

#define BEGIN(api, ...) begin(api, (const char *const[]){__VA_ARGS__, NULL})

#endif
