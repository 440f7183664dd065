/*
 * What is done to views of bytes that is too long for the header. Everything here is a pure function of its arguments
 * and allocates nothing, so that parsers, logs and error paths may all call it. JSON escaping lives here rather than
 * with the JSON parser because buffers and logs, which stand below the parser, both need it.
 */

#include "gatewayd/str.h"

#include <limits.h>

struct str str_trim(struct str s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool str_to_u64(struct str s, uint64_t *out)
{
    uint64_t value = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.at[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

/*
 * The length of the valid UTF-8 sequence of more than one byte at the front of `s`, or 0: no overlong forms, surrogates
 * or values past U+10FFFF.
 */
static size_t utf8_len(const unsigned char *s, size_t len)
{
    unsigned char low = 0x80, high = 0xbf; /* what the second byte may be */
    size_t need;

    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        need = 2;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        need = 3;
        if (s[0] == 0xe0)
            low = 0xa0;
        else if (s[0] == 0xed)
            high = 0x9f;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        need = 4;
        if (s[0] == 0xf0)
            low = 0x90;
        else if (s[0] == 0xf4)
            high = 0x8f;
    } else {
        return 0;
    }
    if (len < need || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    return need;
}

/* What one byte that cannot stand for itself becomes; returns its length, at most STR_JSON_GROWTH. */
static size_t escape_byte(unsigned char c, char out[STR_JSON_GROWTH])
{
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *at = c != 0 ? strchr(from, c) : NULL;

    if (at != NULL) {
        out[0] = '\\';
        out[1] = to[at - from];
        return 2;
    }
    if (c >= 0x80) {
        memcpy(out, "\\ufffd", 6);
    } else {
        memcpy(out, "\\u00", 4);
        out[4] = hex[c >> 4];
        out[5] = hex[c & 15];
    }
    return 6;
}

/* How many bytes at the front of `s` stand for themselves and are ASCII. */
static size_t plain_run(struct str s)
{
    size_t n = 0;

    while (n < s.len) {
        unsigned char c = (unsigned char)s.at[n];
        if (c < ' ' || c >= 0x80 || c == '"' || c == '\\')
            break;
        n++;
    }
    return n;
}

size_t str_escape_json(struct str *rest, char *out, size_t room)
{
    size_t used = 0;

    while (rest->len > 0 && used < room) {
        char escape[STR_JSON_GROWTH];
        const char *text = rest->at;
        size_t take = plain_run((struct str){rest->at, rest->len < room - used ? rest->len : room - used});
        size_t give = take;

        if (take == 0) {
            const unsigned char *s = (const unsigned char *)rest->at;
            take = give = s[0] >= 0x80 ? utf8_len(s, rest->len) : 0;
            if (take == 0) {
                take = 1;
                give = escape_byte(s[0], escape);
                text = escape;
            }
            if (give > room - used)
                break;
        }
        memcpy(out + used, text, give);
        used += give;
        rest->at += take;
        rest->len -= take;
    }
    return used;
}

unsigned str_distance(struct str a, struct str b)
{
    enum { LONGEST = 64 };
    unsigned row[LONGEST + 1];

    if (a.len > LONGEST || b.len > LONGEST)
        return UINT_MAX;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0]; /* the distance of both prefixes, each one shorter */
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned above = row[j], best = diagonal + (a.at[i - 1] != b.at[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[b.len];
}
