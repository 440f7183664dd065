/*
 * JSON from a hostile peer. The promise is agreement: json_find() takes a document exactly when jansson, which builds
 * it whole, does, but for what the header says is not looked at; both find the same values; and walking finds what
 * finding found. Two readers that disagree about a request are what this parser is strict to avoid.
 */

#include "gatewayd/json.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/other_reader.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition) ((condition) ? (void)0 : broken(__LINE__, #condition))

const struct fuzz_word fuzz_seeds[] = {
    WORD(" {\"model\":\"gpt \\\"4\\\" and more\",\"n\":-1.5e+3,\"stream\":true}"),
    WORD(" {\"a\":[{},[1,[\"x\",{\"a\":{\"b\":[]}}]],null,false],\"\":\"\",\"n\":0}\n"),
    WORD(" { \"mod\\u0065l\" : \"\\u00e9\\ud83d\\ude00\\n\\/\\\\\" , \"n\" : 12.0345 , "
         "\"stream\" : false, \"a\": {\"n\":1,\"m\":2} }"),
    WORD(" {\"n\":1732000000.125,\"a\":\"\xc3\xa9 long enough for eight at a time\",\"x\":1,\"x\":2}"),
    WORD(" {\"n\":18446744073709551615,\"model\":null,\"stream\":\"\\ud800\\u0000\\u07ff\"}"),
    WORD(" {}"),
};
const size_t fuzz_seed_count = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);

const struct fuzz_word fuzz_words[] = {
    WORD("{"), WORD("}"), WORD("["), WORD("]"), WORD(":"), WORD(","), WORD("\""), WORD("\\"), WORD(" \t\r\n"),
    WORD("\n"), WORD("\0"), WORD("\"model\":1,"), WORD("\"n\":"), WORD(",\"a\":[]"), WORD("\"\":{},"),
    WORD("\"\\u0061\":"), WORD("true"), WORD("nul"), WORD("null"), WORD("\\u12"), WORD("\\u0041"),
    WORD("\\ud83d\\ude00"), WORD("\\udc00"), WORD("\\q"), WORD("\xc3\xa9"), WORD("\xff"), WORD("\x01"), WORD("0"),
    WORD("-"), WORD("1e5"), WORD("1."), WORD(".5"), WORD("E-2"), WORD("99999999999999999999"), WORD("1e999"),
    WORD("//"), WORD("'a'"), WORD("[]"), WORD("[[[[[[[["), WORD("{\"a\":{\"a\":{\"a\":"), WORD("]]]"),
    WORD("\xef\xbb\xbf"),
};
const size_t fuzz_word_count = sizeof(fuzz_words) / sizeof(fuzz_words[0]);

static const char *const names[] = {"model", "n", "a", "stream", ""};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static void broken(int line, const char *what)
{
    fprintf(stderr, "fuzz_json.c:%d: not so: %s\n", line, what);
    abort();
}

static char kind_of(enum json_type type)
{
    switch (type) {
    case JSON_NULL:
        return 'n';
    case JSON_FALSE:
        return 'f';
    case JSON_TRUE:
        return 't';
    case JSON_NUMBER:
        return 'i';
    case JSON_STRING:
        return 's';
    case JSON_ARRAY:
        return 'a';
    case JSON_OBJECT:
        return 'o';
    default:
        return '-';
    }
}

/* A string's text, once unescaped, is the other's; and escaping it and reading it again gives it back. */
static void check_string(struct json_value value, const char *other, size_t other_len)
{
    char *plain = malloc(value.text.len + 1), *again = malloc(value.text.len * STR_JSON_GROWTH + 1);
    size_t len = json_unescape(value.text, plain), escaped;
    struct str rest = {plain, len};

    MUST(len <= value.text.len);
    MUST(json_str_eq(value, (struct str){plain, len}));
    MUST(len == 0 || !json_str_eq(value, (struct str){plain, len - 1}));
    if (other != NULL) {
        MUST(len == other_len && memcmp(plain, other, len) == 0);
        escaped = str_escape_json(&rest, again, value.text.len * STR_JSON_GROWTH);
        MUST(rest.len == 0);
        MUST(json_str_eq((struct json_value){JSON_STRING, {again, escaped}}, (struct str){plain, len}));
    }
    free(plain);
    free(again);
}

static void check_number(struct json_value value, const struct other_reader *other, const char *name)
{
    uint64_t n;
    int64_t ms;

    if (json_to_u64(value, &n))
        MUST(other_reader_kind(other, name) == 'i' && other_reader_integer(other, name) == (long long)n);
    if (json_to_ms(value, &ms)) {
        double off = (double)ms - other_reader_number(other, name) * 1000;
        MUST(ms >= 0 && off > -0.01 && off < 1.01);
    }
}

static size_t count_elements(struct json_value value)
{
    struct json_value element;
    size_t count = 0;

    while (json_next(&value.text, NULL, &element))
        count++;
    MUST(value.text.len == 0);
    return count;
}

static void check_value(struct json_value value, const struct other_reader *other, const char *name)
{
    char kind = other->document != NULL ? other_reader_kind(other, name) : '?';
    const char *text = NULL;
    size_t len = 0;

    MUST(kind == '?' || kind == kind_of(value.type) || (kind == 'r' && value.type == JSON_NUMBER));
    if (kind == 's')
        text = other_reader_string(other, name, &len);
    if (value.type == JSON_STRING)
        check_string(value, text, len);
    if (value.type == JSON_NUMBER && kind != '?')
        check_number(value, other, name);
    /* Jansson counts members of one name once. */
    if (value.type == JSON_ARRAY || value.type == JSON_OBJECT) {
        len = count_elements(value);
        MUST(kind != 'a' || len == other_reader_count(other, name));
        MUST(kind != 'o' || len >= other_reader_count(other, name));
    }
}

/* Walking the object finds the same values in the same places, and so does a path. */
static void check_walk(struct str in, const struct json_value values[])
{
    struct str rest = in, member;
    struct json_value value;
    size_t found = 0, want = 0;

    while (rest.len > 0 && *rest.at != '{') {
        rest.at++;
        rest.len--;
    }
    while (rest.len > 0 && rest.at[rest.len - 1] != '}')
        rest.len--;
    while (json_next(&rest, &member, &value)) {
        for (size_t i = 0; i < NAMES; i++) {
            if (!json_str_eq((struct json_value){JSON_STRING, member}, str_of(names[i])))
                continue;
            MUST(value.type == values[i].type);
            MUST(value.text.at == values[i].text.at && value.text.len == values[i].text.len);
            found++;
        }
    }
    for (size_t i = 0; i < NAMES; i++) {
        value = json_path(in, names[i]);
        MUST(value.type == values[i].type && value.text.at == values[i].text.at);
        want += values[i].type != JSON_NONE;
    }
    MUST(found == want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    struct json_value values[NAMES];
    struct other_reader other;
    const char *why = NULL;
    int r;

    /* The driver's first byte is for harnesses that want one; here it is passed over. */
    if (size > 0 && data[0] != '{') {
        in.at++;
        in.len--;
    }
    other_reader_open(&other, in.at, in.len);
    r = json_find(in, names, values, NAMES, &why);
    MUST(r == 0 || r == 1);
    MUST((r == 1) == (why != NULL));
    if (r == 0) {
        MUST(other.document != NULL ? other.object : other.own_reason);
        for (size_t i = 0; i < NAMES; i++) {
            MUST(values[i].type == JSON_NONE || (values[i].text.at > in.at &&
                                                 values[i].text.at + values[i].text.len < in.at + in.len));
            check_value(values[i], &other, names[i]);
        }
        check_walk(in, values);
    } else {
        /* Jansson loses a NUL that follows a number. */
        MUST(!other.object || memchr(in.at, '\0', in.len) != NULL || strcmp(why, "a member is there twice") == 0 ||
             strcmp(why, "arrays and objects are nested too deeply") == 0);
        json_path(in, "a.0.n");
        count_elements((struct json_value){JSON_ARRAY, in});
    }
    other_reader_close(&other);
    return 0;
}
