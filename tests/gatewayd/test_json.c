/*
 * The JSON scanner: documents that are and are not JSON, as every other reader would judge them; finding members at
 * their exact places; names with escapes, duplicates, depth; walking, paths, and what strings and numbers mean. Inputs
 * are copied into memory of exactly their size, so that the sanitizer sees a byte too many being read.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gatewayd/json.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void assert_str(struct str got, const char *want)
{
    if (got.len != strlen(want) || memcmp(got.at, want, got.len) != 0)
        fail_msg("\"%.*s\" instead of \"%s\"", (int)got.len, got.at, want);
}

/* json_find() over a copy, for its verdict alone. */
static int verdict(struct str text, const char **why)
{
    static const char *const names[] = {"model", "stream"};
    struct json_value values[2];
    char *copy = malloc(text.len > 0 ? text.len : 1);
    int r;

    assert_non_null(copy);
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    r = json_find((struct str){copy, text.len}, names, values, 2, why);
    free(copy);
    return r;
}

static const struct str good_values[] = {
    STR("null"), STR("true"), STR("false"), STR("0"), STR("-0"), STR("1"), STR("-1"), STR("10"),
    STR("1234567890123456789012"), STR("0.0"), STR("-0.5"), STR("1.25"), STR("1e5"), STR("1E+5"), STR("1.5e-10"),
    STR("0e0"), STR("\"\""), STR("\"a\""), STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), STR("\"\\u0000\\uABCD\\uabcd\""),
    STR("\"\\ud800\""), STR("\"\x7f\xff\xc3\xa9\""), STR("\"'{}[]:,\""), STR("[]"), STR("[ ]"), STR("[1]"),
    STR("[1,2]"), STR("[ 1 , [ ] , { } ]"), STR("[[[[]]]]"), STR("{}"), STR("{ }"), STR("{\"\":1}"),
    STR("{\"a\":{\"a\":[{\"a\":null}]}}"), STR("{ \"a\" : 1 , \"a\" : 2 }"),
    STR("{\"model\":1,\"model\":2}"), /* not at the top: nobody asked for it */
    STR("\"long enough for eight at a time, and a \\\"quote\\\" in the middle of it all\""),
};

static const struct str bad_values[] = {
    STR(""), STR("nul"), STR("nulll"), STR("NULL"), STR("True"), STR("tru"), STR("undefined"), STR("NaN"),
    STR("Infinity"), STR("-Infinity"), STR("-"), STR("+1"), STR("01"), STR("-01"), STR("00"), STR("1."), STR(".5"),
    STR("-.5"), STR("1.e5"), STR("1e"), STR("1e+"), STR("1e5.5"), STR("0x10"), STR("1_000"), STR("1 2"), STR("--1"),
    STR("'a'"), STR("a"), STR("\""), STR("\"a"), STR("\"a\\\""), STR("\"\\"), STR("\"\\a\""), STR("\"\\x41\""),
    STR("\"\\'\""), STR("\"\\u\""), STR("\"\\u123\""), STR("\"\\u12g4\""), STR("\"\\u 123\""), STR("\"\\U0041\""),
    STR("\"\\\0\""), STR("\"\0\""), STR("\"\n\""), STR("\"\t\""), STR("\"\x1f\""), STR("\"1234567\n\""),
    STR("\"12345678\n\""), STR("\"123456789\n12345678\""), STR("["), STR("[1"), STR("[1,"), STR("[1,]"), STR("[,]"),
    STR("[,1]"), STR("[1 2]"), STR("[1,,2]"), STR("[1}"), STR("[[]"), STR("[]]"), STR("]"), STR("{"), STR("{\"a\""),
    STR("{\"a\":"), STR("{\"a\":1"), STR("{\"a\":1,"), STR("{\"a\":1,}"), STR("{,}"), STR("{\"a\"}"), STR("{\"a\",1}"),
    STR("{\"a\" 1}"), STR("{a:1}"), STR("{1:1}"), STR("{null:1}"), STR("{\"a\"::1}"), STR("{\"a\":1 \"b\":2}"),
    STR("{\"a\":1]"), STR("{\"a\n\":1}"), STR("{\"a\\q\":1}"), STR("}"), STR("//x\n1"), STR("1 /* x */"), STR("[1]#"),
    STR("\xef\xbb\xbf" "1"), STR("\v1"), STR("1\f"), STR("1\0"), STR("\xc2\xa0" "1"), STR("[1\0]"), STR(":"), STR(","),
};

/* Each value alone as a member's value, with blanks, within an array, and not as a document of its own. */
static void judges_values(void **state)
{
    char text[256];

    (void)state;
    for (size_t i = 0; i < COUNT(good_values) + COUNT(bad_values); i++) {
        bool good = i < COUNT(good_values);
        struct str v = good ? good_values[i] : bad_values[i - COUNT(good_values)];
        static const char *const frames[][2] = {
            {"{\"x\":", "}"}, {" \t\r\n{ \"x\" :\r\n", "\t} \n"}, {"{\"x\":[null,", "],\"y\":0}"}, {"{\"model\":", "}"},
            {"{\"x\":[[{\"y\":", ",\"z\":1}]]}"},
        };
        for (size_t f = 0; f < COUNT(frames); f++) {
            size_t before = strlen(frames[f][0]), after = strlen(frames[f][1]);
            const char *why = NULL;
            memcpy(text, frames[f][0], before);
            memcpy(text + before, v.at, v.len);
            memcpy(text + before + v.len, frames[f][1], after);
            if (verdict((struct str){text, before + v.len + after}, &why) != !good)
                fail_msg("%s: %.*s", good ? why : "good", (int)(before + v.len + after), text);
            assert_int_equal(why != NULL, !good);
        }
    }
}

static void judges_documents(void **state)
{
    static const struct {
        struct str text;
        const char *why; /* NULL: good */
    } table[] = {
        {STR("{}"), NULL},
        {STR(" {} "), NULL},
        {STR("{\"a\":1,\"a\":2}"), NULL},
        {STR(""), "it is no JSON object"},
        {STR("  "), "it is no JSON object"},
        {STR("[]"), "it is no JSON object"},
        {STR("\"a\""), "it is no JSON object"},
        {STR("1"), "it is no JSON object"},
        {STR("\xef\xbb\xbf{}"), "it is no JSON object"},
        {STR("{}{}"), "something follows the JSON object"},
        {STR("{}x"), "something follows the JSON object"},
        {STR("{},"), "something follows the JSON object"},
        {STR("{}\0"), "something follows the JSON object"},
        {STR("{\"model\":1,\"model\":1}"), "a member is there twice"},
        {STR("{\"model\":1,\"mod\\u0065l\":1}"), "a member is there twice"},
        {STR("{\"\\u006dodel\":1,\"model\":null}"), "a member is there twice"},
        {STR("{\"model\":null,\"model\":null}"), "a member is there twice"},
        {STR("{"), "a member has no name"},
        {STR("{\"a\""), "a member has no colon"},
        {STR("{\"a\":"), "a value is missing"},
        {STR("{\"a\":1"), "an array or object does not end"},
        {STR("{\"a\":1,"), "a member has no name"},
        {STR("{\"a\":[1"), "an array or object does not end"},
        {STR("{\"a\":1;}"), "a comma or closing bracket is missing"},
        {STR("{\"a\":\"x"), "a string does not end"},
        {STR("{\"a\":\"x\\"), "a string does not end"},
        {STR("{\"a\":\"\n\"}"), "a string holds a control character"},
        {STR("{\"a\":\"\\q\"}"), "a string holds a bad escape"},
        {STR("{\"a\":1.}"), "a number is malformed"},
        {STR("{\"a\":nil}"), "a value is malformed"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        const char *why = NULL;
        assert_int_equal(verdict(table[i].text, &why), table[i].why != NULL);
        if (table[i].why != NULL)
            assert_string_equal(why, table[i].why);
    }
    assert_int_equal(verdict(STR("["), NULL), 1);
}

/* No cut of a good document is good, and none makes the scanner read past its end. */
static void refuses_every_truncation(void **state)
{
    static const char text[] = "{\"model\":\"gpt-\\u0034.1\",\"messages\":[{\"role\":\"user\","
                               "\"content\":\"hi \\\"you\\\" there\"}],"
                               "\"n\":-1.5e+3,\"stream\":true,\"stop\":null,\"x\":[[],{}]}";

    (void)state;
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        assert_int_equal(verdict((struct str){text, n}, NULL), 1);
    assert_int_equal(verdict((struct str){text, sizeof(text) - 1}, NULL), 0);
}

static void finds_members_in_their_places(void **state)
{
    static const char *const names[] = {"model", "stream", "n", "messages", "tools", "user", "stop", "temperature", ""};
    const char *text = " {\"temperature\": 0.7,\"model\" : \"a\\n\\\"b\" , \"messages\":[{\"model\":\"no\"}, 1 ],"
                       "\"models\":1,"
                       "\"mode\":2,\"stop\":null,\"tools\":{ \"a\":{} },\"stream\":true,\"n\":-12,\"\":\"\"}\n";
    struct json_value v[COUNT(names)];
    static const struct {
        enum json_type type;
        const char *text;
    } want[] = {
        {JSON_STRING, "a\\n\\\"b"}, {JSON_TRUE, "true"}, {JSON_NUMBER, "-12"}, {JSON_ARRAY, "[{\"model\":\"no\"}, 1 ]"},
        {JSON_OBJECT, "{ \"a\":{} }"}, {JSON_NONE, NULL}, {JSON_NULL, "null"}, {JSON_NUMBER, "0.7"}, {JSON_STRING, ""},
    };

    (void)state;
    assert_int_equal(json_find(str_of(text), names, v, COUNT(names), NULL), 0);
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(v[i].type, want[i].type);
        if (want[i].text == NULL)
            continue;
        assert_str(v[i].text, want[i].text);
        assert_true(v[i].text.at > text && v[i].text.at + v[i].text.len < text + strlen(text));
    }
    assert_ptr_equal(v[0].text.at, strstr(text, "a\\n"));
    assert_ptr_equal(v[2].text.at, strstr(text, "-12"));
    /* Nothing is set when the end of the document is bad. */
    assert_int_equal(json_find(STR("{\"model\":1}}"), names, v, COUNT(names), NULL), 1);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(v[i].type, JSON_NONE);
    assert_int_equal(json_find(STR("{\"model\":1}"), names, v, 0, NULL), 0);
}

static void compares_names_unescaped(void **state)
{
    static const char *const names[] = {"a\"b", "\xc3\xa9", "\xf0\x9f\x98\x80", "x\\", "/"};
    const char *text = "{\"\\u0061\\\"\\u0062\":0,\"\\u00e9\":1,\"\\ud83d\\uDE00\":2,"
                       "\"x\\\\\":3,\"\\/\":4,\"\\u0000\":5}";
    struct json_value v[COUNT(names)];

    (void)state;
    assert_int_equal(json_find(str_of(text), names, v, COUNT(names), NULL), 0);
    for (size_t i = 0; i < COUNT(names); i++) {
        uint64_t n = 99;
        assert_true(json_to_u64(v[i], &n));
        assert_int_equal(n, i);
    }
}

static void bounds_depth(void **state)
{
    enum { MOST = JSON_DEPTH_MAX };
    static char text[2 * 1000000 + 16];
    const char *why = NULL;

    (void)state;
    /* The object itself is one level. */
    for (size_t arrays = MOST - 2; arrays <= MOST; arrays++) {
        size_t len = 5;
        memcpy(text, "{\"a\":", 5);
        memset(text + len, '[', arrays);
        memset(text + len + arrays, ']', arrays);
        len += 2 * arrays;
        text[len++] = '}';
        assert_int_equal(verdict((struct str){text, len}, &why), arrays == MOST);
    }
    assert_string_equal(why, "arrays and objects are nested too deeply");
    /* A bomb of each kind, and one of kinds in turn at every level. */
    memset(text + 5, '[', 1000000);
    assert_int_equal(verdict((struct str){text, 1000005}, &why), 1);
    for (size_t i = 0; i + 5 <= 1000000; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    assert_int_equal(verdict((struct str){text, 1000000}, &why), 1);
    assert_string_equal(why, "arrays and objects are nested too deeply");
}

static void tells_brackets_apart_at_every_depth(void **state)
{
    char text[8 * JSON_DEPTH_MAX], closers[JSON_DEPTH_MAX + 1];

    (void)state;
    for (unsigned wrong = 0; wrong <= 200; wrong++) {
        size_t len = 5, depth = 200;
        memcpy(text, "{\"a\":", 5);
        for (size_t i = 0; i < depth; i++) {
            bool object = (i * 7 + i / 3) % 2 == 0;
            len += (size_t)snprintf(text + len, sizeof(text) - len, object ? "{\"a\":" : "[");
            closers[i] = object ? '}' : ']';
        }
        text[len++] = '1';
        for (size_t i = depth; i > 0; i--)
            text[len++] = i == wrong ? (char)(closers[i - 1] ^ ('}' ^ ']')) : closers[i - 1];
        text[len++] = '}';
        assert_int_equal(verdict((struct str){text, len}, NULL), wrong > 0);
    }
}

static void walks(void **state)
{
    struct str rest = STR("[1, \"a]\" ,[2,[3]],{\"b\":4} , null]"), name = STR("x");
    static const char *const elements[] = {"1", "a]", "[2,[3]]", "{\"b\":4}", "null"};
    static const char *const names[] = {"a", "b\\\"", ""}, *const members[] = {"[1]", "x", "{}"};
    struct json_value v;

    (void)state;
    for (size_t i = 0; i < COUNT(elements); i++) {
        assert_true(json_next(&rest, &name, &v));
        assert_str(v.text, elements[i]);
        assert_int_equal(name.len, 0);
    }
    assert_int_equal(v.type, JSON_NULL);
    assert_false(json_next(&rest, NULL, &v));
    assert_false(json_next(&rest, NULL, &v));
    rest = STR("{ \"a\" : [1] , \"b\\\"\":\"x\",\"\":{}}");
    for (size_t i = 0; i < COUNT(members); i++) {
        assert_true(json_next(&rest, &name, &v));
        assert_str(name, names[i]);
        assert_str(v.text, members[i]);
    }
    assert_false(json_next(&rest, &name, &v));
}

/* How many elements a walk finds before it ends; the text is alone in its memory. */
static int walk(const char *text)
{
    size_t len = strlen(text);
    char *copy = malloc(len + 1);
    struct str rest = {copy, len};
    struct json_value v;
    int n = 0;

    assert_non_null(copy);
    memcpy(copy, text, len);
    copy = realloc(copy, len > 0 ? len : 1);
    rest.at = copy;
    while (json_next(&rest, NULL, &v))
        n++;
    free(copy);
    return n;
}

static void walks_end_at_what_is_malformed(void **state)
{
    static const struct {
        const char *text;
        int elements;
    } table[] = {
        {"", 0},         {"[]", 0},        {"{}", 0},          {"[ ]", 0},        {"{\n}", 0},      {"1", 0},
        {"x", 0},
        {"[", 0},        {"{", 0},         {"[1", 0},          {"[1}", 0},        {"{\"a\":1]", 0}, {"[1,]", 1},
        {"[1 2]", 1},
        {"[1,2", 1},     {"[,1]", 0},      {"[1,,2]", 1},      {"{\"a\"}", 0},    {"{\"a\":1,}", 1}, {"{\"a\":1,2}", 1},
        {"{1:2}", 0},    {"[\"a]", 0},     {"[1,nul]", 1},     {"[[1]", 0},       {"]", 0},         {",1]", 1},
        {"[\"a\",\"", 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        if (walk(table[i].text) != table[i].elements)
            fail_msg("%d elements in %s", walk(table[i].text), table[i].text);
    }
}

static void follows_paths(void **state)
{
    struct str text = STR("\n{\"error\":{\"code\":\"rate_limit\",\"co\\u0064e2\":3,\"retry_after\":1.2,\"\":{\"x\":5}},"
                          "\"choices\":[{\"delta\":{}},{\"delta\":{\"content\":\"h\\ni\"}}],\"n\":7,\"n\":8} ");
    static const struct {
        const char *path;
        enum json_type type;
        const char *text;
    } table[] = {
        {"error.code", JSON_STRING, "rate_limit"},
        {"error.code2", JSON_NUMBER, "3"},
        {"error.retry_after", JSON_NUMBER, "1.2"},
        {"error..x", JSON_NUMBER, "5"},
        {"choices.1.delta.content", JSON_STRING, "h\\ni"},
        {"choices.0.delta", JSON_OBJECT, "{}"},
        {"choices.0.delta.content", JSON_NONE, ""},
        {"choices.2", JSON_NONE, ""},
        {"choices.x", JSON_NONE, ""},
        {"choices.-1", JSON_NONE, ""},
        {"choices.", JSON_NONE, ""},
        {"choices.delta", JSON_NONE, ""},
        {"error.code.x", JSON_NONE, ""},
        {"err", JSON_NONE, ""},
        {"", JSON_NONE, ""},
        {"n", JSON_NUMBER, "7"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct json_value v = json_path(text, table[i].path);
        assert_int_equal(v.type, table[i].type);
        if (v.type != JSON_NONE)
            assert_str(v.text, table[i].text);
    }
    assert_str(json_path(STR("[[1,2],[3]]"), "0.1").text, "2");
    assert_int_equal(json_path(STR("1"), "a").type, JSON_NONE);
    assert_int_equal(json_path(STR(""), "a").type, JSON_NONE);
    assert_int_equal(json_path(STR("   "), "a").type, JSON_NONE);
    assert_int_equal(json_path(str_of(NULL), "a").type, JSON_NONE);
    assert_int_equal(json_path(STR("{\"a\":1"), "a").type, JSON_NONE);
}

static void unescapes(void **state)
{
    static const struct {
        struct str in, out;
    } table[] = {
        {STR(""), STR("")},
        {STR("plain"), STR("plain")},
        {STR("\\\"\\\\\\/\\b\\f\\n\\r\\t"), STR("\"\\/\b\f\n\r\t")},
        {STR("a\\u0041\\u00e9\\u20AC\\ud83d\\ude00z"), STR("aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z")},
        {STR("\\u0000"), STR("\0")},
        {STR("\\u007f\\u0080\\u07ff\\u0800\\uffff"), STR("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
        {STR("\\ud800\\udc00\\udbff\\udfff"), STR("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")},
        {STR("\\ud800"), STR("\xef\xbf\xbd")},
        {STR("\\ud800x"), STR("\xef\xbf\xbdx")},
        {STR("\\ud800\\n"), STR("\xef\xbf\xbd\n")},
        {STR("\\ud800\\u0041"), STR("\xef\xbf\xbd" "A")},
        {STR("\\ud800\\ud800\\udc00"), STR("\xef\xbf\xbd\xf0\x90\x80\x80")},
        {STR("\\udc00\\ud800"), STR("\xef\xbf\xbd\xef\xbf\xbd")},
        {STR("\\"), STR("\\")},
        {STR("\\q\\u12\\u123g"), STR("\\q\\u12\\u123g")},
        {STR("\\u"), STR("\\u")},
        {STR("\\\0"), STR("\\\0")},
        {STR("\\ud800\\u"), STR("\xef\xbf\xbd\\u")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct str in = table[i].in, want = table[i].out;
        char *out = malloc(in.len > 0 ? in.len : 1);
        struct json_value value = {JSON_STRING, in};
        assert_non_null(out);
        assert_int_equal(json_unescape(in, out), want.len);
        assert_true(want.len <= in.len);
        if (want.len > 0)
            assert_memory_equal(out, want.at, want.len);
        assert_true(json_str_eq(value, want));
        if (want.len > 0)
            assert_false(json_str_eq(value, (struct str){want.at, want.len - 1}));
        free(out);
    }
}

static void measures(void **state)
{
    static const struct {
        const char *escaped;
        struct json_extent extent;
    } cases[] = {
        {"", {0, 0, 0}},
        {"plain", {5, 0, 5}},
        {"long enough for eight at a time", {31, 0, 31}},
        {"\\n\\\"\\\\\\/", {4, 0, 4}},
        {"\\u0041b", {2, 0, 2}},
        {"\xc3\xa9", {2, 2, 1}},
        {"\\u00e9", {2, 2, 1}},
        {"\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97, \xe4\xb8\xad\xe6\x96\x87", {17, 15, 7}},
        {"\xf0\x9f\x98\x80", {4, 4, 1}},
        {"\\ud83d\\ude00!", {5, 4, 2}},
        {"\\ud83d!", {4, 3, 2}},
    };
    struct json_extent sum = {0, 0, 0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_extent extent = {0, 0, 0};
        json_measure(str_of(cases[i].escaped), &extent);
        assert_memory_equal(&extent, &cases[i].extent, sizeof extent);
        json_measure(str_of(cases[i].escaped), &sum);
    }
    assert_int_equal(sum.bytes, 76);
}

static void compares_strings(void **state)
{
    (void)state;
    assert_true(json_str_eq((struct json_value){JSON_STRING, STR("a\\u0062c")}, STR("abc")));
    assert_false(json_str_eq((struct json_value){JSON_STRING, STR("abc")}, STR("abcd")));
    assert_false(json_str_eq((struct json_value){JSON_STRING, STR("abcd")}, STR("abc")));
    assert_false(json_str_eq((struct json_value){JSON_STRING, STR("ab\\n")}, STR("ab")));
    assert_false(json_str_eq((struct json_value){JSON_STRING, STR("\\n")}, STR("\\n")));
    assert_true(json_str_eq((struct json_value){JSON_STRING, {NULL, 0}}, str_of(NULL)));
    assert_false(json_str_eq((struct json_value){JSON_NULL, STR("null")}, STR("null")));
    assert_false(json_str_eq((struct json_value){JSON_NONE, {NULL, 0}}, STR("")));
}

static void reads_integers(void **state)
{
    static const char *const bad[] = {"-1", "-0", "1.0", "1e3", "18446744073709551616"};
    uint64_t n = 42;

    (void)state;
    assert_true(json_to_u64((struct json_value){JSON_NUMBER, STR("18446744073709551615")}, &n));
    assert_true(n == UINT64_MAX);
    n = 42;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(json_to_u64((struct json_value){JSON_NUMBER, str_of(bad[i])}, &n));
    assert_false(json_to_u64((struct json_value){JSON_STRING, STR("5")}, &n));
    assert_false(json_to_u64((struct json_value){JSON_NONE, {NULL, 0}}, &n));
    assert_int_equal(n, 42);
}

static void reads_seconds(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } table[] = {
        {"0", 0},          {"0.0", 0},         {"2", 2000},        {"1.2", 1200},          {"1.25", 1250},
        {"1.052", 1052},   {"0.001", 1},       {"0.0001", 1},      {"1.0000", 1000},       {"1.00001", 1001},
        {"1.9999", 2000},  {"0.99949", 1000},  {"46.300000000000004", 46301},
        {"9999999999", INT64_C(9999999999000)},
        {"1732000000.5", INT64_C(1732000000500)}, {"10000000000", -1}, {"-1", -1},         {"-0", -1},
        {"1e3", -1},       {"1.5e3", -1},      {"1E3", -1},        {"0.5E0", -1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t ms = -1;
        assert_int_equal(json_to_ms((struct json_value){JSON_NUMBER, str_of(table[i].text)}, &ms), table[i].ms >= 0);
        assert_true(ms == table[i].ms);
    }
    assert_false(json_to_ms((struct json_value){JSON_STRING, STR("1")}, &(int64_t){0}));
    assert_false(json_to_ms((struct json_value){JSON_NONE, {NULL, 0}}, &(int64_t){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_values),
        cmocka_unit_test(judges_documents),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(finds_members_in_their_places),
        cmocka_unit_test(compares_names_unescaped),
        cmocka_unit_test(bounds_depth),
        cmocka_unit_test(tells_brackets_apart_at_every_depth),
        cmocka_unit_test(walks),
        cmocka_unit_test(walks_end_at_what_is_malformed),
        cmocka_unit_test(follows_paths),
        cmocka_unit_test(unescapes),
        cmocka_unit_test(measures),
        cmocka_unit_test(compares_strings),
        cmocka_unit_test(reads_integers),
        cmocka_unit_test(reads_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
