/*
 * What a JSON value that was found means: the text of a string, and numbers as integers. Values come here still as they
 * stand in the document. Nothing goes through floating point: a count is exact or refused, and a time is rounded up,
 * because an upstream's wait is kept, not shortened.
 */

#include "gatewayd/json.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at `p`, or -1. */
static int hex4(const char *p, const char *end)
{
    int value = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/*
 * Take what one escape stands for off the front of `*rest`, which begins with a backslash: its UTF-8 into `out`, its
 * length returned; never longer than the escape. Half of a surrogate pair becomes U+FFFD, what is no escape its own
 * backslash.
 */
static size_t take_escape(struct str *rest, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *p = rest->at, *end = p + rest->len, *known;
    size_t used = 2, n = 0;
    int unit;
    uint32_t c;

    known = rest->len > 1 && p[1] != '\0' ? strchr(from, p[1]) : NULL;
    if (known != NULL) {
        out[n++] = to[known - from];
    } else if (rest->len < 2 || p[1] != 'u' || (unit = hex4(p + 2, end)) < 0) {
        out[n++] = '\\';
        used = 1;
    } else {
        used = 6;
        c = (uint32_t)unit;
        if (c >= 0xd800 && c <= 0xdfff) {
            int low = c < 0xdc00 && rest->len >= 12 && p[6] == '\\' && p[7] == 'u' ? hex4(p + 8, end) : -1;
            if (low >= 0xdc00 && low <= 0xdfff) {
                c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
                used = 12;
            } else {
                c = 0xfffd;
            }
        }
        if (c < 0x80) {
            out[n++] = (char)c;
        } else {
            if (c < 0x800) {
                out[n++] = (char)(0xc0 | (c >> 6));
            } else {
                if (c < 0x10000) {
                    out[n++] = (char)(0xe0 | (c >> 12));
                } else {
                    out[n++] = (char)(0xf0 | (c >> 18));
                    out[n++] = (char)(0x80 | ((c >> 12) & 0x3f));
                }
                out[n++] = (char)(0x80 | ((c >> 6) & 0x3f));
            }
            out[n++] = (char)(0x80 | (c & 0x3f));
        }
    }
    rest->at += used;
    rest->len -= used;
    return n;
}

/* Whether the escaped text is `plain` once unescaped. */
static bool same_text(struct str escaped, struct str plain)
{
    while (escaped.len > 0) {
        const char *slash = memchr(escaped.at, '\\', escaped.len);
        size_t run = slash != NULL ? (size_t)(slash - escaped.at) : escaped.len, n;
        char out[4];

        if (run > plain.len || memcmp(escaped.at, plain.at, run) != 0)
            return false;
        escaped.at += run;
        escaped.len -= run;
        plain.at += run;
        plain.len -= run;
        if (escaped.len == 0)
            break;
        n = take_escape(&escaped, out);
        if (n > plain.len || memcmp(out, plain.at, n) != 0)
            return false;
        plain.at += n;
        plain.len -= n;
    }
    return plain.len == 0;
}

size_t json_unescape(struct str escaped, char *out)
{
    size_t used = 0;

    while (escaped.len > 0) {
        const char *slash = memchr(escaped.at, '\\', escaped.len);
        size_t run = slash != NULL ? (size_t)(slash - escaped.at) : escaped.len, n;
        char text[4];

        memcpy(out + used, escaped.at, run);
        used += run;
        escaped.at += run;
        escaped.len -= run;
        if (escaped.len == 0)
            break;
        n = take_escape(&escaped, text);
        memcpy(out + used, text, n);
        used += n;
    }
    return used;
}

/* Bytes that are as they stand. All but the continuations of UTF-8, 10xxxxxx, begin a character. */
static void measure_run(const char *p, size_t len, struct json_extent *extent)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t not_ascii = 0, continued = 0;
    size_t i = 0;

    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        if ((word & ones << 7) == 0)
            continue;
        not_ascii += (unsigned)__builtin_popcountll(word & ones << 7);
        continued += (unsigned)__builtin_popcountll(word >> 7 & ~(word >> 6) & ones);
    }
    for (; i < len; i++) {
        not_ascii += ((unsigned char)p[i] & 0x80) != 0;
        continued += ((unsigned char)p[i] & 0xc0) == 0x80;
    }
    extent->bytes += len;
    extent->not_ascii += not_ascii;
    extent->characters += len - continued;
}

void json_measure(struct str escaped, struct json_extent *extent)
{
    while (escaped.len > 0) {
        const char *slash = memchr(escaped.at, '\\', escaped.len);
        size_t run = slash != NULL ? (size_t)(slash - escaped.at) : escaped.len;
        char text[4];

        measure_run(escaped.at, run, extent);
        escaped.at += run;
        escaped.len -= run;
        if (escaped.len > 0)
            measure_run(text, take_escape(&escaped, text), extent);
    }
}

bool json_str_eq(struct json_value value, struct str plain)
{
    return value.type == JSON_STRING && same_text(value.text, plain);
}

bool json_to_u64(struct json_value value, uint64_t *out)
{
    return value.type == JSON_NUMBER && str_to_u64(value.text, out);
}

bool json_to_ms(struct json_value value, int64_t *out)
{
    struct str whole = value.text;
    const char *dot;
    uint64_t seconds;
    int64_t ms = 0;
    bool more = false;

    if (value.type != JSON_NUMBER)
        return false;
    dot = memchr(whole.at, '.', whole.len);
    if (dot != NULL)
        whole.len = (size_t)(dot - whole.at);
    if (whole.len > 10 || !str_to_u64(whole, &seconds))
        return false;
    for (size_t i = whole.len + 1; i < value.text.len; i++) {
        char c = value.text.at[i];
        if (c < '0' || c > '9')
            return false;
        if (i <= whole.len + 3)
            ms = ms * 10 + (c - '0');
        else
            more = more || c != '0';
    }
    for (size_t i = value.text.len; i <= whole.len + 3; i++)
        ms *= 10;
    *out = (int64_t)seconds * 1000 + ms + (more ? 1 : 0);
    return true;
}
