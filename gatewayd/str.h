#ifndef GATEWAYD_STR_H
#define GATEWAYD_STR_H

/* A view of bytes owned by someone else; never NUL-terminated by promise. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct str {
    const char *at;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

static inline struct str str_of(const char *text)
{
    return (struct str){text, text ? strlen(text) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool str_eq_nocase(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.at, b.at, a.len) == 0);
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && memcmp(s.at, prefix.at, prefix.len) == 0;
}

/* Without leading and trailing blanks and tabs. */
struct str str_trim(struct str s);

/* All of `s` as an unsigned decimal number; false when it is anything else or too large. */
bool str_to_u64(struct str s, uint64_t *out);

/*
 * Escape the front of `*rest` as the inside of a JSON string into `out`, as much of it as fits whole into `room`
 * bytes, and advance `*rest` past that. Quotes, backslashes and control characters become their escapes, and every
 * byte that is not part of valid UTF-8 becomes \ufffd, so the result is always valid. At most STR_JSON_GROWTH bytes
 * come of one. Returns the bytes written; no NUL is added.
 */
enum { STR_JSON_GROWTH = 6 };
size_t str_escape_json(struct str *rest, char *out, size_t room);

/* Levenshtein distance, for "did you mean"; both at most 64 bytes are compared, longer ones are UINT_MAX apart. */
unsigned str_distance(struct str a, struct str b);

#endif
