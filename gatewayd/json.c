/*
 * JSON passed over rather than parsed: one loop checks a value byte by byte and remembers only which kind of container
 * it is in, one bit per level, so depth costs no stack and nothing is allocated. Strings are most of what passes
 * through here and are scanned eight bytes at a time. What is checked is the grammar of RFC 8259 and nothing looser: a
 * request whose `model` two readers see differently would be routed by one and charged by the other.
 */

#include "gatewayd/json.h"

#include <endian.h>

/* Where a scan stands. `why` is set once, by what went wrong first. */
struct scan {
    const char *end;
    const char *why;
};

static const char *fail(struct scan *s, const char *why)
{
    if (s->why == NULL)
        s->why = why;
    return NULL;
}

static inline const char *blanks(const struct scan *s, const char *p)
{
    while (p < s->end && (unsigned char)*p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* The first quote, backslash or control character in [p, end), or `end`. */
static inline const char *string_run(const char *p, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;

    /*
     * (x - ones) & ~x has the top bit of every zero byte of x set, and spurious ones only above a true one; the lowest
     * is what counts. With a larger subtrahend it finds bytes below that, as long as their top bit is clear.
     */
    while (end - p >= 8) {
        uint64_t word, quote, slash, found;
        memcpy(&word, p, 8);
        word = le64toh(word);
        quote = word ^ (ones * '"');
        slash = word ^ (ones * '\\');
        found = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((word - ones * 0x20) & ~word);
        found &= tops;
        if (found != 0)
            return p + __builtin_ctzll(found) / 8;
        p += 8;
    }
    while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static bool hex4(const char *p, const char *end)
{
    if (end - p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        if (!((p[i] >= '0' && p[i] <= '9') || ((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f')))
            return false;
    }
    return true;
}

/* From the byte after the opening quote to the closing quote. */
static const char *skip_string(struct scan *s, const char *p)
{
    for (;;) {
        p = string_run(p, s->end);
        if (p == s->end)
            return fail(s, "a string does not end");
        if (*p == '"')
            return p;
        if (*p != '\\')
            return fail(s, "a string holds a control character");
        if (++p == s->end)
            return fail(s, "a string does not end");
        if (*p == 'u') {
            if (!hex4(p + 1, s->end))
                return fail(s, "a string holds a bad escape");
            p += 4;
        } else if (*p == '\0' || strchr("\"\\/bfnrt", *p) == NULL) {
            return fail(s, "a string holds a bad escape");
        }
        p++;
    }
}

static const char *digits(struct scan *s, const char *p)
{
    const char *start = p;

    while (p < s->end && *p >= '0' && *p <= '9')
        p++;
    return p > start ? p : fail(s, "a number is malformed");
}

static const char *skip_number(struct scan *s, const char *p)
{
    if (*p == '-')
        p++;
    if (p < s->end && *p == '0')
        p++; /* and no digit after it, which what follows the value will notice */
    else
        p = digits(s, p);
    if (p != NULL && p < s->end && *p == '.')
        p = digits(s, p + 1);
    if (p != NULL && p < s->end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < s->end && (*p == '+' || *p == '-'))
            p++;
        p = digits(s, p);
    }
    return p;
}

static const char *skip_word(struct scan *s, const char *p, struct str word)
{
    if ((size_t)(s->end - p) < word.len || memcmp(p, word.at, word.len) != 0)
        return fail(s, "a value is malformed");
    return p + word.len;
}

/* Past the string, number or literal that begins at `p`. */
static const char *skip_scalar(struct scan *s, const char *p, enum json_type *type)
{
    switch (*p) {
    case '"':
        *type = JSON_STRING;
        p = skip_string(s, p + 1);
        return p != NULL ? p + 1 : NULL;
    case 't':
        *type = JSON_TRUE;
        return skip_word(s, p, STR("true"));
    case 'f':
        *type = JSON_FALSE;
        return skip_word(s, p, STR("false"));
    case 'n':
        *type = JSON_NULL;
        return skip_word(s, p, STR("null"));
    default:
        *type = JSON_NUMBER;
        if (*p != '-' && (*p < '0' || *p > '9'))
            return fail(s, "a value is malformed");
        return skip_number(s, p);
    }
}

/* Past a member's name, which begins at `p`, and its colon, to where its value begins. */
static const char *skip_name(struct scan *s, const char *p, struct str *name)
{
    const char *start;

    if (p == s->end || *p != '"')
        return fail(s, "a member has no name");
    start = p + 1;
    p = skip_string(s, start);
    if (p == NULL)
        return NULL;
    *name = (struct str){start, (size_t)(p - start)};
    p = blanks(s, p + 1);
    if (p == s->end || *p != ':')
        return fail(s, "a member has no colon");
    return blanks(s, p + 1);
}

/* The containers a scan is in: one bit each, set for objects. */
struct nest {
    unsigned depth;
    unsigned most;
    uint64_t objects[JSON_DEPTH_MAX / 64];
};

static bool in_object(const struct nest *n)
{
    return (n->objects[(n->depth - 1) / 64] >> ((n->depth - 1) % 64)) & 1;
}

static bool nest_push(struct nest *n, bool object)
{
    uint64_t bit = UINT64_C(1) << (n->depth % 64);

    if (n->depth == n->most)
        return false;
    if (object)
        n->objects[n->depth / 64] |= bit;
    else
        n->objects[n->depth / 64] &= ~bit;
    n->depth++;
    return true;
}

/* What follows a value at `p`: everything that closes there, then a comma, and a member's name. To the next value,
 * or, with all closed, past the last. */
static const char *skip_closers(struct scan *s, struct nest *n, const char *p)
{
    struct str name;

    while (n->depth > 0) {
        p = blanks(s, p);
        if (p == s->end)
            return fail(s, "an array or object does not end");
        if (*p == ',') {
            p = blanks(s, p + 1);
            return in_object(n) ? skip_name(s, p, &name) : p;
        }
        if (*p != (in_object(n) ? '}' : ']'))
            return fail(s, "a comma or closing bracket is missing");
        n->depth--;
        p++;
    }
    return p;
}

/* Past the whole value that begins at `p`, with at most `most` containers within one another. */
static const char *skip_value(struct scan *s, const char *p, unsigned most, struct json_value *value)
{
    const char *start = p;
    enum json_type type, inner;
    struct nest n = {.depth = 0, .most = most};
    struct str name;

    if (p == s->end)
        return fail(s, "a value is missing");
    if (*p != '{' && *p != '[') {
        p = skip_scalar(s, p, &type);
        if (p != NULL) {
            size_t quote = type == JSON_STRING;
            *value = (struct json_value){type, {start + quote, (size_t)(p - start) - 2 * quote}};
        }
        return p;
    }

    type = *p == '{' ? JSON_OBJECT : JSON_ARRAY;
    do {
        if (p == s->end)
            return fail(s, "a value is missing");
        if (*p == '{' || *p == '[') {
            bool object = *p == '{';
            if (!nest_push(&n, object))
                return fail(s, "arrays and objects are nested too deeply");
            p = blanks(s, p + 1);
            if (p == s->end || *p != (object ? '}' : ']')) {
                if (object)
                    p = skip_name(s, p, &name);
                continue;
            }
        } else {
            p = skip_scalar(s, p, &inner);
        }
        if (p != NULL)
            p = skip_closers(s, &n, p);
    } while (p != NULL && n.depth > 0);
    if (p != NULL)
        *value = (struct json_value){type, {start, (size_t)(p - start)}};
    return p;
}

static bool same_name(struct str escaped, struct str plain)
{
    return json_str_eq((struct json_value){JSON_STRING, escaped}, plain);
}

/* The index of a wanted name, or `count`. Most names differ in their first byte, and few have escapes. */
static size_t wanted(struct str name, const char *const names[], size_t count)
{
    bool escaped = name.len > 0 && memchr(name.at, '\\', name.len) != NULL;

    for (size_t i = 0; i < count; i++) {
        if (escaped ? same_name(name, str_of(names[i]))
                    : (name.len == 0 || names[i][0] == name.at[0]) && strncmp(names[i], name.at, name.len) == 0 &&
                          names[i][name.len] == '\0')
            return i;
    }
    return count;
}

/* The members of the object whose first byte after the brace is at `p`. Past its closing brace, or NULL. */
static const char *find_members(struct scan *s, const char *p, const char *const names[], struct json_value values[],
                                size_t count)
{
    p = blanks(s, p);
    if (p < s->end && *p == '}')
        return p + 1;
    for (;;) {
        struct json_value value;
        struct str name;
        size_t i;

        p = skip_name(s, p, &name);
        if (p != NULL)
            p = skip_value(s, p, JSON_DEPTH_MAX - 1, &value);
        if (p == NULL)
            return NULL;
        i = wanted(name, names, count);
        if (i < count && values[i].type != JSON_NONE)
            return fail(s, "a member is there twice");
        if (i < count)
            values[i] = value;
        p = blanks(s, p);
        if (p == s->end)
            return fail(s, "an array or object does not end");
        if (*p == '}')
            return p + 1;
        if (*p != ',')
            return fail(s, "a comma or closing bracket is missing");
        p = blanks(s, p + 1);
    }
}

int json_find(struct str in, const char *const names[], struct json_value values[], size_t count, const char **why)
{
    struct scan s = {.end = in.at + in.len, .why = NULL};
    const char *p;

    for (size_t i = 0; i < count; i++)
        values[i] = (struct json_value){JSON_NONE, {NULL, 0}};
    p = blanks(&s, in.at);
    if (p == s.end || *p != '{')
        fail(&s, "it is no JSON object");
    else
        p = find_members(&s, p + 1, names, values, count);
    if (s.why == NULL && blanks(&s, p) != s.end)
        fail(&s, "something follows the JSON object");
    if (s.why == NULL)
        return 0;
    for (size_t i = 0; i < count; i++)
        values[i] = (struct json_value){JSON_NONE, {NULL, 0}};
    if (why != NULL)
        *why = s.why;
    return 1;
}

bool json_next(struct str *rest, struct str *name, struct json_value *value)
{
    struct scan s = {.end = rest->at + rest->len, .why = NULL};
    struct json_value element;
    struct str called = {NULL, 0};
    const char *p = rest->at;
    bool first, object;

    if (rest->len == 0)
        return false;
    /* An element never leaves an opening bracket at the front, and the last byte always tells which container it is. */
    first = *p == '[' || *p == '{';
    object = s.end[-1] == '}';
    if (first ? object != (*p == '{') : *p != ',')
        goto done;
    p = blanks(&s, p + 1);
    if (first && p + 1 == s.end)
        goto done;
    if (object)
        p = skip_name(&s, p, &called);
    if (p != NULL)
        p = skip_value(&s, p, JSON_DEPTH_MAX, &element);
    if (p == NULL)
        goto done;
    p = blanks(&s, p);
    if (p == s.end)
        goto done; /* the container does not end, so its last element may be cut as well */
    *rest = (struct str){p, (size_t)(s.end - p)};
    *value = element;
    if (name != NULL)
        *name = called;
    return true;
done:
    *rest = (struct str){s.end, 0};
    return false;
}

/* The member or element of `in` that one segment of a path names. */
static struct json_value child(struct str in, struct str segment)
{
    const struct json_value none = {JSON_NONE, {NULL, 0}};
    bool object = in.len > 0 && in.at[0] == '{';
    struct json_value value;
    struct str name;
    uint64_t index = 0;

    if (in.len == 0 || (!object && (in.at[0] != '[' || !str_to_u64(segment, &index))))
        return none;
    while (json_next(&in, &name, &value)) {
        if (object ? same_name(name, segment) : index-- == 0)
            return value;
    }
    return none;
}

struct json_value json_path(struct str in, const char *path)
{
    struct scan s = {.end = in.at + in.len, .why = NULL};
    struct json_value value = {JSON_NONE, {NULL, 0}};
    const char *p = in.len > 0 ? blanks(&s, in.at) : in.at;

    while (s.end > p && (s.end[-1] == ' ' || s.end[-1] == '\n' || s.end[-1] == '\r' || s.end[-1] == '\t'))
        s.end--;
    value.text = (struct str){p, (size_t)(s.end - p)};
    value.type = value.text.len > 0 && (*p == '{' || *p == '[') ? JSON_OBJECT : JSON_NONE;
    for (;;) {
        size_t len = strcspn(path, ".");
        if (value.type != JSON_OBJECT && value.type != JSON_ARRAY)
            return (struct json_value){JSON_NONE, {NULL, 0}};
        value = child(value.text, (struct str){path, len});
        if (path[len] == '\0')
            return value;
        path += len + 1;
    }
}
