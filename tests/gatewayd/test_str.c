/* Views of bytes: comparing, trimming, numbers, escaping, distance. */

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/str.h"

static void assert_str(struct str got, struct str want)
{
    assert_int_equal(got.len, want.len);
    if (want.len > 0)
        assert_memory_equal(got.at, want.at, want.len);
}

static void compares(void **state)
{
    (void)state;
    assert_true(str_eq(STR("abc"), STR("abc")));
    assert_false(str_eq(STR("abc"), STR("abd")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_true(str_eq(str_of(NULL), STR("")));
    assert_true(str_eq_nocase(STR("Content-Length"), STR("content-LENGTH")));
    assert_false(str_eq_nocase(STR("host"), STR("hos")));
    assert_true(str_starts(STR("Bearer x"), STR("Bearer ")));
    assert_true(str_starts(STR("x"), STR("")));
    assert_false(str_starts(STR("Bear"), STR("Bearer ")));
}

static void trims_blanks_and_tabs_only(void **state)
{
    static const struct {
        struct str in, out;
    } table[] = {
        {STR(""), STR("")},
        {STR(" "), STR("")},
        {STR(" \t \t"), STR("")},
        {STR("a"), STR("a")},
        {STR(" a"), STR("a")},
        {STR("a\t"), STR("a")},
        {STR("\t a b \t"), STR("a b")},
        {STR("\na\r"), STR("\na\r")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_str(str_trim(table[i].in), table[i].out);
    assert_str(str_trim(str_of(NULL)), STR(""));
}

static void reads_numbers(void **state)
{
    static const struct {
        struct str in;
        bool good;
        uint64_t value;
    } table[] = {
        {STR("0"), true, 0},
        {STR("007"), true, 7},
        {STR("18446744073709551615"), true, UINT64_MAX},
        {STR("018446744073709551615"), true, UINT64_MAX},
        {STR("18446744073709551616"), false, 0},
        {STR("18446744073709551620"), false, 0},
        {STR("99999999999999999999"), false, 0},
        {STR("184467440737095516150"), false, 0},
        {STR(""), false, 0},
        {STR(" 1"), false, 0},
        {STR("1 "), false, 0},
        {STR("+1"), false, 0},
        {STR("-1"), false, 0},
        {STR("1.0"), false, 0},
        {STR("0x1"), false, 0},
        {STR("1\0"), false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint64_t value = 42;
        assert_int_equal(str_to_u64(table[i].in, &value), table[i].good);
        assert_true(value == (table[i].good ? table[i].value : 42));
    }
}

static void escapes(void **state)
{
    static const struct {
        struct str in, out;
    } table[] = {
        {STR(""), STR("")},
        {STR("plain text, 100%"), STR("plain text, 100%")},
        {STR("\"\\/"), STR("\\\"\\\\/")},
        {STR("\b\f\n\r\t"), STR("\\b\\f\\n\\r\\t")},
        {STR("\x01\x1f\x7f"), STR("\\u0001\\u001f\x7f")},
        {STR("a\0b"), STR("a\\u0000b")},
        {STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")},
        {STR("\x80"), STR("\\ufffd")},                                   /* a continuation alone */
        {STR("\xc3"), STR("\\ufffd")},                                   /* cut short */
        {STR("\xc3("), STR("\\ufffd(")},
        {STR("\xe2\x82"), STR("\\ufffd\\ufffd")},
        {STR("\xc0\xaf"), STR("\\ufffd\\ufffd")},                        /* overlong */
        {STR("\xe0\x80\xaf"), STR("\\ufffd\\ufffd\\ufffd")},
        {STR("\xf0\x80\x80\xaf"), STR("\\ufffd\\ufffd\\ufffd\\ufffd")},
        {STR("\xed\xa0\x80"), STR("\\ufffd\\ufffd\\ufffd")},             /* a surrogate */
        {STR("\xed\x9f\xbf\xee\x80\x80"), STR("\xed\x9f\xbf\xee\x80\x80")}, /* its neighbours */
        {STR("\xf4\x8f\xbf\xbf"), STR("\xf4\x8f\xbf\xbf")},
        {STR("\xf4\x90\x80\x80"), STR("\\ufffd\\ufffd\\ufffd\\ufffd")},  /* past U+10FFFF */
        {STR("\xf5\xff\xfe"), STR("\\ufffd\\ufffd\\ufffd")},
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct str rest = table[i].in;
        size_t len = str_escape_json(&rest, out, sizeof(out));
        assert_int_equal(rest.len, 0);
        assert_str((struct str){out, len}, table[i].out);
    }
}

/* With too little room an escape or a sequence is written whole or not at all, and the rest says where to go on. */
static void escapes_in_pieces(void **state)
{
    const struct str in = STR("ab\n\x01\xe2\x82\xac\xff z");
    const struct str want = STR("ab\\n\\u0001\xe2\x82\xac\\ufffd z");

    (void)state;
    for (size_t room = STR_JSON_GROWTH; room <= want.len; room++) {
        struct str rest = in;
        char out[64];
        size_t len = 0;
        while (rest.len > 0) {
            char piece[64];
            size_t n = str_escape_json(&rest, piece, room);
            assert_true(n > 0 && n <= room);
            memcpy(out + len, piece, n);
            len += n;
        }
        assert_str((struct str){out, len}, want);
    }
    for (size_t room = 0; room < STR_JSON_GROWTH; room++) {
        struct str rest = STR("\x01");
        char out[1];
        assert_int_equal(str_escape_json(&rest, out, room), 0);
        assert_int_equal(rest.len, 1);
    }
}

static void measures_distance(void **state)
{
    static const struct {
        struct str a, b;
        unsigned distance;
    } table[] = {
        {STR(""), STR(""), 0},         {STR(""), STR("abc"), 3},      {STR("abc"), STR(""), 3},
        {STR("abc"), STR("abc"), 0},   {STR("kitten"), STR("sitting"), 3}, {STR("endpoint"), STR("endpoints"), 1},
        {STR("ab"), STR("ba"), 2},     {STR("flaw"), STR("lawn"), 2},
    };
    char longest[65];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(str_distance(table[i].a, table[i].b), table[i].distance);
        assert_int_equal(str_distance(table[i].b, table[i].a), table[i].distance);
    }
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(str_distance((struct str){longest, 64}, STR("")), 64);
    assert_int_equal(str_distance((struct str){longest, 65}, STR("x")), UINT_MAX);
    assert_int_equal(str_distance(STR("x"), (struct str){longest, 65}), UINT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(trims_blanks_and_tabs_only),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(escapes),
        cmocka_unit_test(escapes_in_pieces),
        cmocka_unit_test(measures_distance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
