/*
 * The configuration, as far as it is refused: in which words (conf_bad.h), at which place, in which order; and that no
 * file does harm, be it large, mutated or no file at all. What is accepted stands in test_conf_values.c.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "gatewayd/conf_internal.h"
#include "tests/gatewayd/conf_bad.h"

#ifndef SOURCE_ROOT
#define SOURCE_ROOT "."
#endif

/* The problems of a text, one a line; to be freed. */
static char *problems_of(const char *text)
{
    struct conf_problems problems = {0};
    struct conf *conf = NULL;
    char *lines = NULL;
    size_t size;
    FILE *out = open_memstream(&lines, &size);

    assert_non_null(out);
    int rc = conf_parse("test", str_of(text), &conf, &problems);
    for (size_t i = 0; i < problems.count; i++)
        fprintf(out, "%u:%u: %s\n", problems.list[i].line, problems.list[i].column, problems.list[i].message);
    fclose(out);
    assert_int_equal(rc, problems.count ? 1 : 0);
    assert_true((conf == NULL) == (rc != 0));
    conf_free(conf);
    conf_problems_fini(&problems);
    conf_problems_fini(&problems);
    return lines;
}

static void bad_configurations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *said = problems_of(bad[i].text);
        if (strcmp(said, bad[i].problems) != 0)
            print_error("of:\n%s", bad[i].text);
        assert_string_equal(said, bad[i].problems);
        free(said);
    }
}

static void all_problems_at_once(void **state)
{
    (void)state;
    char *said = problems_of("clients: [{name: c, models: [zz]}]\n"
                             "models: {m: {endpoints: [b], fallback: [m]}}\n"
                             "wat: 1\n"
                             "listen: [{tcp: nowhere}]\n"
                             "endpoints:\n"
                             "  - {name: a, url: http://h/v1, weight: no, breaker: {failures: 0}}\n"
                             "  - {name: a, url: h}\n");
    assert_string_equal(said, "1:11: clients: a client is known by keys: or unix:, and neither is given\n"
                              "1:30: there is no model 'zz'\n"
                              "2:26: there is no endpoint 'b'\n"
                              "2:41: model 'm' falls back to itself\n"
                              "3:1: unknown key 'wat'; did you mean 'wait'?\n"
                              "4:16: tcp: expected an address like 127.0.0.1:8080, [::1]:8080 or :8080, not 'nowhere'\n"
                              "6:41: weight: expected a whole number from 1 to 10000, not 'no'\n"
                              "6:65: failures: expected a whole number from 1 to 255, not '0'\n"
                              "7:12: name: there is an endpoint 'a' on line 6 already\n"
                              "7:20: url: expected https://HOST/PATH, http://HOST/PATH or unix:PATH:/v1, not 'h'\n");
    free(said);
}

static void problems_are_sorted_and_said_once(void **state)
{
    struct conf_problems p = {0};
    (void)state;

    conf_problem_add(&p, 3, 1, "c");
    conf_problem_add(&p, 1, 2, "a%d", 1);
    conf_problem_add(&p, 3, 1, "b");
    conf_problem_add(&p, 3, 1, "c");
    conf_problem_add(&p, 0, 0, "file");
    assert_int_equal(p.count, 4);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    conf_problems_print(&p, "x.yaml", out);
    fclose(out);
    assert_string_equal(text, "x.yaml: file\nx.yaml:1:2: a1\nx.yaml:3:1: c\nx.yaml:3:1: b\n");
    free(text);
    for (unsigned i = 0; i < 3000; i++)
        conf_problem_add(&p, 5000 - i, 1, "many");
    assert_int_equal(p.count, 1000);
    conf_problems_fini(&p);
}

/* Whoever pastes a key into the file must not find it in a log as well. */
static void keys_are_not_repeated(void **state)
{
    static const char *const texts[] = {
        "endpoints: [{name: a, url: http://h/v1, key: sk-SECRETSECRET}]\n",
        "endpoints: [{name: a, url: \"https://user:SECRETSECRET@h/v1\"}]\n",
        "endpoints: [{name: a, url: \"user:SECRETSECRET@h/v1\"}]\n",
        "endpoints: [{name: a, url: http://h/v1, headers: {Authorization: Bearer SECRETSECRET}}]\n",
        "endpoints: [{name: a, url: http://h/v1, kee: SECRETSECRET}]\n",
        E "admin: {token: SECRETSECRET}\n",
        E "secrets: {master_key: SECRETSECRET}\n",
        E "clients: [{name: a, keys: [SECRETSECRET]}]\n"};
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *said = problems_of(texts[i]);
        assert_true(said[0] != '\0');
        assert_null(strstr(said, "SECRE"));
        free(said);
    }
}

static void files(void **state)
{
    static const char *const names[] = {"/nonexistent/gatewayd.yaml", "/"};
    static const char *const said[] = {"cannot be read: No such file or directory", "cannot be read: Is a directory"};
    struct conf *c = NULL;
    (void)state;

    for (int i = 0; i < 2; i++) {
        struct conf_problems p = {0};
        assert_int_equal(conf_load(names[i], &c, &p), 1);
        assert_int_equal(p.count, 1);
        assert_int_equal(p.list[0].line, 0);
        assert_string_equal(p.list[0].message, said[i]);
        conf_problems_fini(&p);
    }
    int ends[2], in = dup(STDIN_FILENO);
    struct conf_problems p = {0};
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], E, sizeof E - 1), sizeof E - 1);
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    assert_int_equal(conf_load("-", &c, &p), 0);
    assert_string_equal(c->file, "-");
    if (in >= 0)
        dup2(in, STDIN_FILENO);
    conf_free(c);
    conf_problems_fini(&p);
}

/* As much of everything as a megabyte can hold: it must end, and in a moment. */
static void large_files(void **state)
{
    static const char *const lines[] = {"k: 1\n", "? [\n", "- a\n", "[", "a: {", "#\n", "&a ", "'\n"};
    char *text = malloc((1 << 20) + 1), *unique;
    (void)state;

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct conf_problems p = {0};
        struct conf *c = NULL;
        size_t len = strlen(lines[i]);
        for (size_t at = 0; at <= 1 << 20; at++)
            text[at] = lines[i][at % len];
        assert_int_equal(conf_parse("test", (struct str){text, 1 << 20}, &c, &p), 1);
        assert_true(p.count > 0 && p.count <= 1000);
        conf_problems_fini(&p);
        assert_int_equal(conf_parse("test", (struct str){text, (1 << 20) + 1}, &c, &p), 1);
        assert_string_equal(p.list[0].message, "larger than 1 MiB, which no configuration is");
        conf_problems_fini(&p);
    }
    unique = text;
    for (unsigned i = 0; i < 60000; i++)
        unique += sprintf(unique, "name%06x: 1\n", i);
    free(problems_of(text));
    free(text);
}

static void default_state(void **state)
{
    char out[64];
    (void)state;

    if (geteuid() == 0) {
        assert_true(conf_default_state(out, sizeof out));
        assert_string_equal(out, "/run/gatewayd/state");
    } else {
        setenv("XDG_RUNTIME_DIR", "/somewhere", 1);
        assert_true(conf_default_state(out, sizeof out));
        assert_string_equal(out, "/somewhere/gatewayd/state");
        unsetenv("XDG_RUNTIME_DIR");
        assert_true(conf_default_state(out, sizeof out));
    }
    assert_false(conf_default_state(out, 5));
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static char *whole_file(const char *name, size_t *len)
{
    char file[512], *text = malloc(1 << 16);
    FILE *in;

    snprintf(file, sizeof file, "%s/etc/%s", SOURCE_ROOT, name);
    in = fopen(file, "r");
    assert_non_null(in);
    *len = fread(text, 1, (1 << 16) - 1, in);
    text[*len] = '\0';
    fclose(in);
    return text;
}

static void mutate(char *text, size_t *len, uint32_t *seed)
{
    static const char spice[] = "{}[]:,-#&*!|>'\"%@`?~ \n\t\0\r\x7f\xc3\xff/0a";
    size_t from = next_random(seed) % *len, to = next_random(seed) % *len, n = next_random(seed) % 40;

    switch (next_random(seed) % 4) {
    case 0:
        text[from] = spice[next_random(seed) % sizeof spice];
        break;
    case 1: /* take a piece out */
        n = n < *len - from ? n : *len - from - 1;
        memmove(text + from, text + from + n, *len - from - n);
        *len -= n;
        break;
    case 2: /* write one place over another */
        n = n < *len - (from > to ? from : to) ? n : *len - (from > to ? from : to);
        memmove(text + from, text + to, n);
        break;
    case 3:
        text[from] = (char)next_random(seed);
        break;
    }
}

static void mutations(void **state)
{
    size_t len, original_len;
    char *original = whole_file("production.yaml", &original_len), *text = malloc(original_len);
    uint32_t seed = 2463534242u;
    (void)state;

    for (int round = 0; round < 1500; round++) {
        struct conf_problems p = {0};
        struct conf *c = NULL;
        memcpy(text, original, len = original_len);
        for (uint32_t i = next_random(&seed) % 6 + 1; i > 0; i--)
            mutate(text, &len, &seed);
        int rc = conf_parse("test", (struct str){text, len}, &c, &p);
        assert_int_equal(rc, p.count ? 1 : 0);
        for (size_t i = 1; i < p.count; i++)
            assert_true(p.list[i - 1].line < p.list[i].line ||
                        (p.list[i - 1].line == p.list[i].line && p.list[i - 1].column <= p.list[i].column));
        conf_free(c);
        conf_problems_fini(&p);
    }
    free(original);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_configurations),
        cmocka_unit_test(all_problems_at_once),
        cmocka_unit_test(problems_are_sorted_and_said_once),
        cmocka_unit_test(keys_are_not_repeated),
        cmocka_unit_test(files),
        cmocka_unit_test(large_files),
        cmocka_unit_test(default_state),
        cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
