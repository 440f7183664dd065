#include "gatewayd/upstream_head.h"

/*
 * libcurl is forgiving: it takes the last of two lengths, ignores one too large to be a number, undoes encodings of the
 * transfer and lets a server answer in whatever version it likes. A gateway must not be: what two readers could take
 * for two different answers is none, because one of the readers is the client, who was promised what came.
 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int upstream_head_status(struct str line, bool two)
{
    struct str rest = line;
    if (str_starts(line, STR("HTTP/1.")) && line.len > 8 && is_digit(line.at[7]))
        rest = (struct str){line.at + 8, line.len - 8};
    else if (two && str_starts(line, STR("HTTP/2")))
        rest = (struct str){line.at + 6, line.len - 6};
    else
        return 0;
    if (rest.len < 4 || rest.at[0] != ' ' || (rest.len > 4 && rest.at[4] != ' '))
        return 0;
    int status = 0;
    for (int i = 1; i <= 3; i++) {
        if (!is_digit(rest.at[i]))
            return 0;
        status = status * 10 + (rest.at[i] - '0');
    }
    return status >= 100 ? status : 0;
}

/* What the lines say of the body. */
struct framing {
    bool length_given, chunked;
    uint64_t length;
};

static const char *read_length(struct framing *f, struct str value)
{
    uint64_t length;
    if (!str_to_u64(value, &length) || length > HTTP_LENGTH_MAX)
        return "a length that is no number";
    if (f->length_given && length != f->length)
        return "two different lengths";
    f->length_given = true;
    f->length = length;
    return NULL;
}

static const char *read_framing(struct framing *f, const struct http_header *h, int status)
{
    if (str_eq_nocase(h->name, STR("content-length")))
        return read_length(f, h->value);
    if (str_eq_nocase(h->name, STR("transfer-encoding"))) {
        if (f->chunked || !str_eq_nocase(h->value, STR("chunked")))
            return "an encoding of the transfer that nobody asked for";
        f->chunked = true;
    }
    /* What it refuses with is judged by its status; an answer has to be read. */
    if (status >= 200 && status <= 299 && str_eq_nocase(h->name, STR("content-encoding")) && h->value.len > 0 &&
        !str_eq_nocase(h->value, STR("identity")))
        return "an encoding that nobody asked for";
    return NULL;
}

const char *upstream_head_read(struct str lines, struct upstream_response *out)
{
    struct framing framing = {0};
    struct http_header header;
    out->header_count = 0;
    if (out->status == 101)
        return "another protocol that nobody asked for";
    while (lines.len > 0) {
        const char *end = memchr(lines.at, '\n', lines.len);
        size_t len = end ? (size_t)(end - lines.at) : lines.len;
        bool good = http_header_parse((struct str){lines.at, len}, &header);
        const char *why = good ? read_framing(&framing, &header, out->status) : NULL;
        if (why)
            return why;
        if (good && out->header_count == HTTP_HEADERS_MAX)
            return "too many header lines";
        if (good)
            out->headers[out->header_count++] = header;
        len += end != NULL;
        lines = (struct str){lines.at + len, lines.len - len};
    }
    return framing.chunked && framing.length_given ? "a length, and chunks as well" : NULL;
}

bool upstream_head_suffices(int status)
{
    return status == 429 || status >= 500;
}
