#ifndef GATEWAYD_JSON_H
#define GATEWAYD_JSON_H

/*
 * Just enough JSON for the data path: find values of an object without building a tree, allocating or copying. The text
 * is checked as it is passed over (RFC 8259, UTF-8 not validated, nesting bounded), so what is found is what any other
 * reader would find. Documents that are built or taken apart whole (CLI, admin) use jansson instead.
 */

#include "gatewayd/str.h"

enum json_type { JSON_NONE, JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

enum { JSON_DEPTH_MAX = 512 };

struct json_value {
    enum json_type type; /* JSON_NONE: not there */
    struct str text;     /* the value as it stands; of a string: the inside of its quotes, still escaped */
};

/*
 * Pass over one object, collecting the values of its members named in `names` (compared unescaped). Returns 0 when the
 * whole of `in` is one well-formed object; 1 when it is not (malformed, not an object, trailing bytes, or a wanted
 * member twice: two readers could disagree about which counts), with a short reason in *why (may be NULL); no value is
 * set then.
 */
int json_find(struct str in, const char *const names[], struct json_value values[], size_t count, const char **why);

/* Walk an array or object: each call returns the next element and advances `*rest` (start with the value's text, of
 * type JSON_ARRAY or JSON_OBJECT). `name` (empty in arrays, may be NULL) is still escaped. False at the end or when
 * malformed. */
bool json_next(struct str *rest, struct str *name, struct json_value *value);

/* A member by a dotted path ("error.code", "choices.0.delta.content"); type JSON_NONE when it is not there. Of two
 * members of one name the first counts, and what follows it is not checked: for answers, not for requests. */
struct json_value json_path(struct str in, const char *path);

/* Unescape a string value into `out` (at least escaped.len bytes). Returns the length. Half of a surrogate pair becomes
 * U+FFFD; what is no escape at all, which no value found here holds, stands for itself. */
size_t json_unescape(struct str escaped, char *out);

/* How much text string values hold once unescaped. */
struct json_extent {
    uint64_t bytes;      /* of UTF-8 */
    uint64_t not_ascii;  /* of them, those above 0x7f */
    uint64_t characters; /* code points */
};

/* Add what a string value holds to `extent`. */
void json_measure(struct str escaped, struct json_extent *extent);

/* Whether a string value equals plain text (compares unescaped, without copying). */
bool json_str_eq(struct json_value value, struct str plain);

/* A plain non-negative integer. */
bool json_to_u64(struct json_value value, uint64_t *out);
/* A number of seconds, as ms rounded up: not negative, no exponent, at most ten digits before the point. */
bool json_to_ms(struct json_value value, int64_t *out);

#endif
