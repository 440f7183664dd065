/*
 * Unescaping for comparison rather than for reading: halves of surrogate pairs keep their identity, where a reader
 * would make U+FFFD of them, since the other half may come with the next event.
 */

#include "gatewayd/splice_text.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t encode(unsigned unit, char out[SPLICE_UNIT_MAX])
{
    if (unit < 0x80) {
        out[0] = (char)unit;
        return 1;
    }
    if (unit < 0x800) {
        out[0] = (char)(0xc0 | (unit >> 6));
        out[1] = (char)(0x80 | (unit & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | (unit >> 12));
    out[1] = (char)(0x80 | ((unit >> 6) & 0x3f));
    out[2] = (char)(0x80 | (unit & 0x3f));
    return 3;
}

static size_t next_escape(struct splice_text *text, char out[SPLICE_UNIT_MAX])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *p = text->at + 1, *known;
    unsigned unit = 0;

    if (p == text->end || *p == '\0')
        return 0;
    known = strchr(from, *p);
    if (known != NULL) {
        out[0] = to[known - from];
        text->at = p + 1;
        return 1;
    }
    if (*p != 'u' || text->end - p < 5)
        return 0;
    for (int i = 1; i <= 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return 0;
        unit = unit * 16 + (unsigned)digit;
    }
    text->at = p + 5;
    return encode(unit, out);
}

/* The character beyond the BMP that stands raw at `p`; 0 when none does. */
static unsigned astral(const char *p, const char *end)
{
    unsigned c = (unsigned char)*p;

    if (c < 0xf0 || c > 0xf4 || end - p < 4)
        return 0;
    c &= 7;
    for (int i = 1; i <= 3; i++) {
        if (((unsigned char)p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | ((unsigned char)p[i] & 0x3f);
    }
    return c >= 0x10000 && c <= 0x10ffff ? c : 0;
}

size_t splice_text_next(struct splice_text *text, char out[SPLICE_UNIT_MAX])
{
    unsigned c;

    if (text->low != 0) {
        c = text->low;
        text->low = 0;
        return encode(c, out);
    }
    if (text->at == text->end || *text->at == '"' || (unsigned char)*text->at < 0x20)
        return 0;
    if (*text->at == '\\')
        return next_escape(text, out);
    c = astral(text->at, text->end);
    if (c == 0) {
        out[0] = *text->at++;
        return 1;
    }
    text->at += 4;
    text->low = 0xdc00 + ((c - 0x10000) & 0x3ff);
    return encode(0xd800 + ((c - 0x10000) >> 10), out);
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0xf0 && c != '"' && c != '\\';
}

int splice_text_add(struct splice_text text, struct buf *into)
{
    size_t len = (size_t)(text.end - text.at), n;
    char *out, unit[SPLICE_UNIT_MAX];
    int r = buf_room(into, len + len / 2 + SPLICE_UNIT_MAX); /* four bytes become six at most */

    if (r < 0)
        return r;
    out = into->data + into->end;
    for (;;) {
        while (text.low == 0 && text.at < text.end && is_plain(*text.at))
            *out++ = *text.at++;
        n = splice_text_next(&text, unit);
        if (n == 0)
            break;
        memcpy(out, unit, n);
        out += n;
    }
    if (text.at != text.end)
        return 1;
    into->end = (size_t)(out - into->data);
    return 0;
}
