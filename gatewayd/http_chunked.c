/*
 * The decoder of chunked bodies: a state machine over single bytes for the frame, and whole runs for the payload, so
 * that it may be fed in any pieces and keeps nothing but a few words. It is as strict as the head's parser, for the
 * same reason: a size that two servers read differently is where one request becomes two. Blanks around a size are
 * refused although RFC 9112 lets a recipient remove them; no client is known to send them, and attackers are.
 */

#include "gatewayd/http.h"

enum {
    CHUNK_DIGITS_MAX = 16,     /* leading zeros count: nobody needs them */
    CHUNK_LINE_MAX = 256,      /* a size with its extensions */
    CHUNK_TRAILERS_MAX = 8192, /* all trailers together */
};

enum chunk_state {
    CHUNK_SIZE, /* before the first digit */
    CHUNK_DIGITS,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER, /* at the beginning of a trailer line */
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_text(char c)
{
    return c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f);
}

/* A byte of the line that holds a chunk's size. False when it is not allowed there. */
static bool size_byte(struct http_chunked *s, char c)
{
    int digit;

    if (++s->line > CHUNK_LINE_MAX)
        return false;
    switch (s->state) {
    case CHUNK_SIZE:
    case CHUNK_DIGITS:
        digit = hex_digit(c);
        if (digit >= 0) {
            if (s->line > CHUNK_DIGITS_MAX || s->left > (HTTP_LENGTH_MAX - (unsigned)digit) / 16)
                return false;
            s->left = s->left * 16 + (unsigned)digit;
            s->state = CHUNK_DIGITS;
            return true;
        }
        if (s->state == CHUNK_SIZE)
            return false;
        s->state = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
        return c == ';' || c == '\r';
    case CHUNK_EXTENSION:
        if (c == '\r')
            s->state = CHUNK_SIZE_LF;
        return c == '\r' || is_text(c);
    default:
        s->state = s->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
        s->line = 0;
        return c == '\n';
    }
}

/* A byte after the last chunk. Trailers are dropped, but one that is no header line is refused like any other. */
static bool trailer_byte(struct http_chunked *s, char c)
{
    if (++s->line > CHUNK_TRAILERS_MAX)
        return false;
    switch (s->state) {
    case CHUNK_TRAILER:
        s->state = c == '\r' ? CHUNK_END_LF : CHUNK_TRAILER_NAME;
        return c == '\r' || is_token(c);
    case CHUNK_TRAILER_NAME:
        if (c == ':')
            s->state = CHUNK_TRAILER_VALUE;
        return c == ':' || is_token(c);
    case CHUNK_TRAILER_VALUE:
        if (c == '\r')
            s->state = CHUNK_TRAILER_LF;
        return c == '\r' || is_text(c);
    case CHUNK_TRAILER_LF:
        s->state = CHUNK_TRAILER;
        return c == '\n';
    default:
        s->done = c == '\n';
        return s->done;
    }
}

/* A byte that is not payload. */
static bool frame_byte(struct http_chunked *s, char c)
{
    switch (s->state) {
    case CHUNK_DATA_CR:
        s->state = CHUNK_DATA_LF;
        return c == '\r';
    case CHUNK_DATA_LF:
        s->state = CHUNK_SIZE;
        return c == '\n';
    default:
        return s->state < CHUNK_DATA ? size_byte(s, c) : trailer_byte(s, c);
    }
}

int64_t http_chunked_feed(struct http_chunked *state, char *data, size_t len, size_t *payload)
{
    size_t at = 0, kept = 0;

    while (at < len && !state->done) {
        if (state->state == CHUNK_DATA) {
            size_t take = len - at < state->left ? len - at : (size_t)state->left;
            if (kept != at)
                memmove(data + kept, data + at, take);
            kept += take;
            at += take;
            state->left -= take;
            if (state->left == 0)
                state->state = CHUNK_DATA_CR;
        } else if (!frame_byte(state, data[at++])) {
            return HTTP_BAD;
        }
    }
    *payload = kept;
    return (int64_t)at;
}
