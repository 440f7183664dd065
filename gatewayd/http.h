#ifndef GATEWAYD_HTTP_H
#define GATEWAYD_HTTP_H

/*
 * HTTP/1 as pure functions of their input: no sockets, no clock, no allocation, no hidden state. Strict: whatever two
 * servers could read in two ways is bad. All views point into the input.
 */

#include "gatewayd/str.h"

enum { HTTP_HEADERS_MAX = 128 };

/* The longest body or chunk believed: sums of such lengths cannot wrap around. */
#define HTTP_LENGTH_MAX (UINT64_C(1) << 60)

struct http_header {
    struct str name;
    struct str value; /* trimmed */
};

struct http_request {
    struct str method;
    struct str target; /* as sent: origin form, absolute form reduced to its path, or "*" */
    struct str path;   /* target up to '?' */
    struct str query;  /* after '?', may be empty */
    int minor;         /* HTTP/1.minor: 0 or 1; a higher minor counts as 1 */
    bool keep_alive;
    bool chunked;         /* the body is chunked */
    bool expect_continue; /* HTTP/1.1 with Expect: 100-continue */
    uint64_t length;      /* of a body that is not chunked; 0 without one */
    struct str host; /* .at NULL without one, which only HTTP/1.0 may do */
    unsigned header_count;
    struct http_header headers[HTTP_HEADERS_MAX];
};

enum http_result { HTTP_TOO_MANY = -2, HTTP_BAD = -1, HTTP_MORE = 0 }; /* positive: bytes used */

/*
 * Parse a request head. Returns the bytes used by the head (through its empty line), HTTP_MORE, or HTTP_BAD or
 * HTTP_TOO_MANY (more than HTTP_HEADERS_MAX headers) with a short reason for the client in `*why`; only after success
 * does `*out` mean anything. `seen` is how many bytes the last call already looked at without finding the end (0
 * first), so that a head arriving byte by byte costs linear time. What comes of a head does not depend on how it was
 * cut into calls.
 *
 * Up to four blank lines (CRLF) before the request line are skipped, as RFC 9112 asks. Bad: bare LF or CR, obs-fold,
 * blank before the colon, empty or non-token names, control characters in values, a second or non-decimal or signed
 * Content-Length or one above HTTP_LENGTH_MAX, Content-Length with Transfer-Encoding, Transfer-Encoding other than
 * exactly "chunked" or with HTTP/1.0, no Host header in HTTP/1.1, two of them, one with bytes no host has or one that
 * differs from the host of an absolute target, a target with control characters, blanks, bytes beyond ASCII or a
 * fragment, "*" with another method than OPTIONS, an unknown Expect, any version but 1.x.
 */
int64_t http_request_parse(const char *in, size_t len, size_t seen, struct http_request *out, const char **why);

/* The value of the first header of that name (any case); .at NULL when there is none. */
struct str http_header_find(const struct http_header *headers, unsigned count, struct str name);

/* Whether a comma-separated header value holds the token (any case). */
bool http_has_token(struct str value, struct str token);

/* Connection, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade: never relayed. */
bool http_is_hop_by_hop(struct str name);

/* One response header line as an upstream sent it, without its CRLF. False when it is malformed (no colon, not a token,
 * control characters) and must not be relayed. */
bool http_header_parse(struct str line, struct http_header *out);

/*
 * A chunked body, decoded in place. `feed` looks at `data[0..len)`; payload bytes are moved to the front of `data` and
 * their count stored in `*payload`. Returns bytes of input used, or HTTP_BAD. `done` is set after the last chunk and
 * its trailers (which are dropped); bytes after that are not used. Chunk extensions are accepted and dropped, bounded,
 * and so are trailers; sizes above HTTP_LENGTH_MAX or of more than 16 digits, empty sizes, blanks around a size, bare
 * LF and trailers that are no header lines are bad. After HTTP_BAD the state is of no further use. Zeroed to start.
 */
struct http_chunked {
    uint64_t left; /* payload bytes left in this chunk */
    unsigned state;
    unsigned line; /* length of the current size or trailer line, bounded */
    bool done;
};
int64_t http_chunked_feed(struct http_chunked *state, char *data, size_t len, size_t *payload);

/* "OK" for 200 and so on; "Unknown" for what has no name. */
const char *http_reason(int status);

/* Dates of HTTP: IMF-fixdate, RFC 850, asctime, to seconds since the epoch; false when none of them. The day of the
 * week must be one but is not compared with the date; years of two digits are 1969 to 2068, as in POSIX. */
bool http_date_parse(struct str s, int64_t *seconds);
/* IMF-fixdate: always 29 characters and a NUL. Times beyond the years 0 to 9999 become the nearest within. */
void http_date_format(int64_t seconds, char out[30]);

#endif
