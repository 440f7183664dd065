/*
 * Where providers put the error of a body: the places, what marks it as one, and Google's lists. Bodies are copied into
 * memory of exactly their size, so that the sanitizer sees a byte too many being read.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gatewayd/json_error.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    const char *body;
    bool found, marked;
    const char *code, *message; /* NULL: not there */
} bodies[] = {
    {"{\"error\":{\"code\":\"c\",\"message\":\"m\"}}", true, true, "c", "m"},
    {" \r\n{ \"error\" : { \"code\" : \"c\" } } \n", true, true, "c", NULL},
    {"{\"error\":{}}", true, true, NULL, NULL},
    {"{\"error\":{\"code\":429,\"message\":\"m\"},\"user_id\":\"u\"}", true, true, "429", "m"},
    {"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}", true, true, NULL, "m"},
    {"{\"event_type\":\"error\",\"error\":{\"code\":\"c\"}}", true, true, "c", NULL},
    {"[{\"error\":{\"code\":429,\"message\":\"m\"}}]", true, true, "429", "m"},
    {"{\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"c\"}}}", true, true, "c", NULL},
    {"{\"type\":\"error\",\"code\":\"c\",\"message\":\"m\",\"param\":null,\"sequence_number\":1}", true, true, "c",
     "m"},
    {"{\"error\":\"m\"}", true, true, NULL, "m"},
    {"{\"object\":\"error\",\"message\":\"m\",\"type\":\"rate_limited\",\"code\":\"1300\"}", true, true, "1300", "m"},
    {"{\"message\":\"m\"}", true, false, NULL, "m"},
    {"{\"statusCode\":429,\"message\":\"m\"}", true, false, NULL, "m"},
    {"{\"code\":\"c\",\"type\":\"t\"}", true, false, "c", NULL},
    {"{\"error\":null,\"message\":\"m\"}", true, false, NULL, "m"},
    {"{\"error\":null}", false, false, NULL, NULL},
    {"{\"error\":false,\"choices\":[{}]}", false, false, NULL, NULL},
    {"{\"choices\":[{\"message\":{\"content\":\"error\"}}]}", false, false, NULL, NULL},
    {"{\"type\":\"message_start\",\"message\":{\"id\":\"x\"}}", false, false, NULL, NULL},
    {"{\"type\":\"response.completed\",\"response\":{\"error\":null,\"output\":[]}}", false, false, NULL, NULL},
    {"{\"object\":\"response\",\"error\":null,\"output\":[]}", false, false, NULL, NULL},
    {"{\"error\":{\"code\":\"c\"", false, false, NULL, NULL},
    {"{\"error\":{\"code\":\"c\"}", false, false, NULL, NULL},
    {"[]", false, false, NULL, NULL},
    {"[1]", false, false, NULL, NULL},
    {"\"error\"", false, false, NULL, NULL},
    {"error", false, false, NULL, NULL},
    {"<html>error</html>", false, false, NULL, NULL},
    {"", false, false, NULL, NULL},
};

static bool is_text(struct json_value value, const char *text)
{
    return text ? value.type != JSON_NONE && str_eq(value.text, str_of(text)) : value.type == JSON_NONE;
}

static void finds_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        size_t len = strlen(bodies[i].body);
        char *copy = malloc(len > 0 ? len : 1);
        struct json_error e;
        assert_non_null(copy);
        memcpy(copy, bodies[i].body, len);
        bool found = json_error_find((struct str){copy, len}, &e);
        if (found != bodies[i].found || e.marked != bodies[i].marked || !is_text(e.code, bodies[i].code) ||
            !is_text(e.message, bodies[i].message))
            fail_msg("%s: found %d, marked %d", bodies[i].body, found, e.marked);
        free(copy);
    }
}

static void reads_googles_lists(void **state)
{
    static const struct {
        const char *details, *delay;
        bool day;
    } table[] = {
        {"[{\"@type\":\"x/google.rpc.RetryInfo\",\"retryDelay\":\"47s\"}]", "47s", false},
        {"[{\"violations\":[{\"quotaId\":\"APerMinute\"},{\"quotaId\":\"GeneratePerDayPerProject\"}]},"
         "{\"retryDelay\":\"1.5s\"}]",
         "1.5s", true},
        {"[{\"violations\":[{\"quotaId\":\"APerMinute\"}]},{\"violations\":[{\"quotaId\":\"APerDay\"}]}]", NULL, true},
        {"[{\"violations\":[{\"quotaMetric\":\"PerDay\"},1,null,[]]},3,\"PerDay\",null,[]]", NULL, false},
        {"[{\"retryDelay\":5},{\"violations\":{\"quotaId\":\"PerDay\"}}]", NULL, false},
        {"[]", NULL, false},
        {"{\"retryDelay\":\"47s\",\"violations\":[{\"quotaId\":\"PerDay\"}]}", NULL, false},
        {"\"PerDay\"", NULL, false},
        {"null", NULL, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char body[512];
        struct json_error e;
        snprintf(body, sizeof body, "{\"error\":{\"details\":%s}}", table[i].details);
        assert_true(json_error_find(str_of(body), &e));
        if (!is_text(json_error_retry_delay(&e), table[i].delay) ||
            json_error_violates(&e, STR("PerDay")) != table[i].day)
            fail_msg("%s", table[i].details);
    }
}

static void finds_words(void **state)
{
    static const struct {
        const char *text, *words, *after; /* NULL: not found */
    } table[] = {
        {"Please retry in 5s.", "retry in ", "5s."},
        {"PLEASE RETRY IN 5s", "retry in ", "5s"},
        {"retry in", "retry in ", NULL},
        {"retry in ", "retry in ", ""},
        {"r re ret retry in x", "retry in ", "x"},
        {"", "x", NULL},
        {"retry\nin 5s", "retry in ", NULL},
        {"a1b", "1", "b"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct str after = json_error_after(str_of(table[i].text), str_of(table[i].words));
        if (table[i].after ? !after.at || !str_eq(after, str_of(table[i].after)) : after.at != NULL)
            fail_msg("%s in %s", table[i].words, table[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_errors),
        cmocka_unit_test(reads_googles_lists),
        cmocka_unit_test(finds_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
