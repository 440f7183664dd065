#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gatewayd/unserved.h"

/* A file that names clients is good as far as the schema goes, and refused by a version that would serve everyone. */

#define BASE "endpoints: [{name: a, url: 'http://127.0.0.1:1/v1', key: none}]\n"

static size_t problems_of(const char *text)
{
    struct conf_problems problems = {0};
    struct conf *conf = NULL;
    assert_int_equal(conf_parse("test", str_of(text), &conf, &problems), 0);
    assert_int_equal(problems.count, 0);
    unserved_check(conf, &problems);
    size_t count = problems.count;
    conf_free(conf);
    conf_problems_fini(&problems);
    return count;
}

static void test_clients_are_refused(void **state)
{
    (void)state;
    assert_int_equal(problems_of(BASE), 0);
    assert_int_equal(problems_of(BASE "clients: [{name: x, unix: {uid: [1001]}}]\n"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clients_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
