/*
 * The HTTP/1 request head and what is asked about single headers. A request is refused rather than guessed at
 * wherever another server could read it differently, because this process stands in front of one: that is where request
 * smuggling lives.
 *
 * The head is found before it is parsed: one pass looks for its empty line (and finds bare line feeds on the way), so a
 * head that trickles in is parsed only once, and what comes of it does not depend on how it was cut into pieces. The
 * parser proper then never has to ask whether there is more; it stops at the latest at the CRLF it knows to be there.
 */

#include "gatewayd/http.h"

#include <assert.h>
#include <endian.h>

enum { BLANKS_MAX = 4 }; /* CRLFs before the request line; RFC 9112 asks for one */

enum { TOKEN = 1, TARGET = 2, HOST = 4 };

#define ALNUM(flags) \
    ['0' ... '9'] = (flags), ['A' ... 'Z'] = (flags), ['a' ... 'z'] = (flags)

/* Which bytes may stand in a token, in a request target (a fragment may not), and in a Host. */
static const unsigned char classes[256] = {
    ALNUM(TOKEN | TARGET | HOST),
    ['!'] = TOKEN | TARGET | HOST, ['$'] = TOKEN | TARGET | HOST, ['%'] = TOKEN | TARGET | HOST,
    ['&'] = TOKEN | TARGET | HOST, ['\''] = TOKEN | TARGET | HOST, ['*'] = TOKEN | TARGET | HOST,
    ['+'] = TOKEN | TARGET | HOST, ['-'] = TOKEN | TARGET | HOST, ['.'] = TOKEN | TARGET | HOST,
    ['_'] = TOKEN | TARGET | HOST, ['~'] = TOKEN | TARGET | HOST,
    ['^'] = TOKEN | TARGET, ['`'] = TOKEN | TARGET, ['|'] = TOKEN | TARGET,
    ['#'] = TOKEN,
    ['('] = TARGET | HOST, [')'] = TARGET | HOST, [';'] = TARGET | HOST, ['='] = TARGET | HOST,
    [':'] = TARGET | HOST, ['['] = TARGET | HOST, [']'] = TARGET | HOST,
    ['"'] = TARGET, [','] = TARGET, ['/'] = TARGET, ['<'] = TARGET, ['>'] = TARGET, ['?'] = TARGET,
    ['@'] = TARGET, ['\\'] = TARGET, ['{'] = TARGET, ['}'] = TARGET,
};

static inline bool is(char c, unsigned class)
{
    return (classes[(unsigned char)c] & class) != 0;
}

/* The first byte at or after `p` which is not of that class; there must be one. */
static inline const char *past(const char *p, unsigned class)
{
    while (is(*p, class))
        p++;
    return p;
}

static bool all(struct str s, unsigned class)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is(s.at[i], class))
            return false;
    }
    return true;
}

/* The first control character but a tab in [p, end), or `end`. Values are long: eight bytes are tried at once. */
static const char *past_value(const char *p, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;

    for (;;) {
        while (end - p >= 8) {
            uint64_t word, low, del;
            memcpy(&word, p, 8);
            word = le64toh(word);
            low = (word - ones * 0x20) & ~word;
            del = word ^ (ones * 0x7f);
            del = (del - ones) & ~del;
            low = (low | del) & tops;
            if (low != 0) {
                p += __builtin_ctzll(low) / 8;
                break;
            }
            p += 8;
        }
        while (p < end && (unsigned char)*p >= 0x20 && *p != 0x7f)
            p++;
        if (p == end || *p != '\t')
            return p;
        p++;
    }
}

/*
 * Find the end of the head that begins at `start`: the offset past its empty line, HTTP_MORE or HTTP_BAD. Only the
 * bytes from `seen` on are looked at; that what comes before holds no line end but CRLF is known from the calls
 * before.
 */
static int64_t head_end(const char *in, size_t len, size_t start, size_t seen, const char **why)
{
    size_t at = seen > start ? seen : start;
    const char *lf;

    while (at < len && (lf = memchr(in + at, '\n', len - at)) != NULL) {
        size_t i = (size_t)(lf - in);
        if (i == start || in[i - 1] != '\r') {
            *why = "a line of the head ends without CR";
            return HTTP_BAD;
        }
        if (i - start >= 3 && in[i - 2] == '\n')
            return (int64_t)(i + 1);
        at = i + 1;
    }
    return HTTP_MORE;
}

/* Take the scheme and authority off an absolute target; its authority is what Host must say as well. */
static const char *parse_absolute(struct http_request *r)
{
    struct str t = r->target, scheme;
    const char *slash;

    if (t.len > 7 && str_eq_nocase((struct str){t.at, 7}, STR("http://")))
        scheme = STR("http://");
    else if (t.len > 8 && str_eq_nocase((struct str){t.at, 8}, STR("https://")))
        scheme = STR("https://");
    else
        return "the request target must be a path";
    t.at += scheme.len;
    t.len -= scheme.len;
    slash = memchr(t.at, '/', t.len);
    r->host = (struct str){t.at, slash != NULL ? (size_t)(slash - t.at) : t.len};
    if (r->host.len == 0 || !all(r->host, HOST))
        return "the request target names no valid host";
    r->target = slash != NULL ? (struct str){slash, t.len - r->host.len} : STR("/");
    return NULL;
}

/* `*p` stands at the first byte of the request line and is moved past its CRLF. NULL or what is wrong. */
static const char *parse_line(const char **at, struct http_request *r)
{
    const char *p = *at, *start = p, *question;

    p = past(p, TOKEN);
    if (p == start || *p != ' ')
        return "the request line must begin with a method and one blank";
    r->method = (struct str){start, (size_t)(p - start)};
    start = ++p;
    p = past(p, TARGET);
    if (p == start || *p != ' ')
        return *p == '#' ? "the request target has a fragment"
                         : "the request target is empty or holds a forbidden byte";
    r->target = (struct str){start, (size_t)(p - start)};
    p++;
    /* The comparisons stop at the first byte that differs, at the latest at the line's CR. */
    if (strncmp(p, "HTTP/1.", 7) != 0 || p[7] < '0' || p[7] > '9' || p[8] != '\r' || p[9] != '\n')
        return "the protocol must be HTTP/1.0 or HTTP/1.1";
    r->minor = p[7] == '0' ? 0 : 1;
    *at = p + 10;

    r->host = (struct str){NULL, 0};
    if (r->target.at[0] != '/' && !(str_eq(r->target, STR("*")) && str_eq(r->method, STR("OPTIONS")))) {
        const char *why = parse_absolute(r);
        if (why != NULL)
            return why;
    }
    question = memchr(r->target.at, '?', r->target.len);
    if (question != NULL) {
        r->path = (struct str){r->target.at, (size_t)(question - r->target.at)};
        r->query = (struct str){question + 1, r->target.len - r->path.len - 1};
    } else {
        r->path = r->target;
        r->query = (struct str){r->target.at + r->target.len, 0};
    }
    return NULL;
}

/* What the headers said that decides about the body and the connection. */
struct framing {
    bool length, chunked, host, close, keep;
};

static const char *note_host(struct http_request *r, struct framing *f, struct str value)
{
    if (f->host)
        return "there are two Host headers";
    if (!all(value, HOST))
        return "the Host header holds a forbidden byte";
    if (r->host.at != NULL && !str_eq_nocase(r->host, value))
        return "the Host header and the request target name different hosts";
    f->host = true;
    r->host = value;
    return NULL;
}

static const char *note_length(struct http_request *r, struct framing *f, struct str value)
{
    if (f->length)
        return "there are two Content-Length headers";
    if (!str_to_u64(value, &r->length) || r->length > HTTP_LENGTH_MAX)
        return "the Content-Length is no number or too large";
    f->length = true;
    return NULL;
}

/* Look at a header that this connection itself must understand. NULL or what is wrong. */
static const char *note_header(struct http_request *r, struct framing *f, struct str name, struct str value)
{
    switch (name.len) {
    case 4:
        return str_eq_nocase(name, STR("Host")) ? note_host(r, f, value) : NULL;
    case 6:
        if (str_eq_nocase(name, STR("Expect"))) {
            if (!str_eq_nocase(value, STR("100-continue")))
                return "the Expect header asks for something unknown";
            r->expect_continue = r->minor == 1;
        }
        return NULL;
    case 10:
        if (str_eq_nocase(name, STR("Connection"))) {
            f->close = f->close || http_has_token(value, STR("close"));
            f->keep = f->keep || http_has_token(value, STR("keep-alive"));
        }
        return NULL;
    case 14:
        return str_eq_nocase(name, STR("Content-Length")) ? note_length(r, f, value) : NULL;
    case 17:
        if (str_eq_nocase(name, STR("Transfer-Encoding"))) {
            if (f->chunked || !str_eq_nocase(value, STR("chunked")))
                return "the Transfer-Encoding must be exactly \"chunked\"";
            f->chunked = true;
        }
        return NULL;
    default:
        return NULL;
    }
}

static const char too_many[] = "there are too many headers";

/* The header lines from `p` to the empty line that ends right before `end`. NULL or what is wrong. */
static const char *parse_headers(const char *p, const char *end, struct http_request *r, struct framing *f)
{
    r->header_count = 0;
    while (*p != '\r') {
        struct http_header *h;
        const char *name = p, *value, *why;

        if (*p == ' ' || *p == '\t')
            return "a header is folded over two lines";
        if (r->header_count == HTTP_HEADERS_MAX)
            return too_many;
        p = past(p, TOKEN);
        if (p == name || *p != ':')
            return "a header's name is empty or holds a forbidden byte";
        h = &r->headers[r->header_count++];
        h->name = (struct str){name, (size_t)(p - name)};
        value = ++p;
        p = past_value(p, end);
        if (p[0] != '\r' || p[1] != '\n')
            return "a header's value holds a control character";
        h->value = str_trim((struct str){value, (size_t)(p - value)});
        p += 2;
        why = note_header(r, f, h->name, h->value);
        if (why != NULL)
            return why;
    }
    return p + 2 == end ? NULL : "a line of the head begins with CR";
}

static const char *parse_head(const char *p, const char *end, struct http_request *r)
{
    struct framing f = {0};
    const char *why;

    r->length = 0;
    r->expect_continue = false;
    why = parse_line(&p, r);
    if (why == NULL)
        why = parse_headers(p, end, r, &f);
    if (why != NULL)
        return why;
    if (!f.host && r->minor == 1)
        return "the Host header is missing";
    if (f.chunked && f.length)
        return "there are both a Content-Length and a Transfer-Encoding";
    if (f.chunked && r->minor == 0)
        return "HTTP/1.0 knows no Transfer-Encoding";
    r->chunked = f.chunked;
    r->keep_alive = !f.close && (r->minor == 1 || f.keep);
    return NULL;
}

int64_t http_request_parse(const char *in, size_t len, size_t seen, struct http_request *out, const char **why)
{
    size_t start = 0;
    const char *wrong = NULL;
    int64_t end;

    assert(seen <= len);
    while (len - start >= 2 && start < 2 * BLANKS_MAX && in[start] == '\r' && in[start + 1] == '\n')
        start += 2;
    if (start == len || (start + 1 == len && in[start] == '\r' && start < 2 * BLANKS_MAX))
        return HTTP_MORE;
    /* What speaks another protocol (TLS, say) is told so by its first byte and need not time out. */
    if (!is(in[start], TOKEN)) {
        *why = "the request line must begin with a method and one blank";
        return HTTP_BAD;
    }
    end = head_end(in, len, start, seen, &wrong);
    if (end > 0)
        wrong = parse_head(in + start, in + end, out);
    if (wrong != NULL) {
        *why = wrong;
        return wrong == too_many ? HTTP_TOO_MANY : HTTP_BAD;
    }
    return end;
}

struct str http_header_find(const struct http_header *headers, unsigned count, struct str name)
{
    for (unsigned i = 0; i < count; i++) {
        if (str_eq_nocase(headers[i].name, name))
            return headers[i].value;
    }
    return (struct str){NULL, 0};
}

bool http_has_token(struct str value, struct str token)
{
    while (value.len > 0) {
        const char *comma = memchr(value.at, ',', value.len);
        size_t len = comma != NULL ? (size_t)(comma - value.at) : value.len;
        if (str_eq_nocase(str_trim((struct str){value.at, len}), token))
            return true;
        if (comma == NULL)
            break;
        value.at += len + 1;
        value.len -= len + 1;
    }
    return false;
}

bool http_is_hop_by_hop(struct str name)
{
    switch (name.len) {
    case 2:
        return str_eq_nocase(name, STR("TE"));
    case 7:
        return str_eq_nocase(name, STR("Trailer")) || str_eq_nocase(name, STR("Upgrade"));
    default:
        return str_eq_nocase(name, STR("Connection")) || str_eq_nocase(name, STR("Keep-Alive")) ||
               str_eq_nocase(name, STR("Transfer-Encoding")) ||
               (name.len > 6 && str_eq_nocase((struct str){name.at, 6}, STR("Proxy-")));
    }
}

bool http_header_parse(struct str line, struct http_header *out)
{
    const char *end = line.at + line.len, *colon = line.len > 0 ? memchr(line.at, ':', line.len) : NULL;
    struct str name;

    if (colon == NULL)
        return false;
    name = (struct str){line.at, (size_t)(colon - line.at)};
    if (name.len == 0 || !all(name, TOKEN) || past_value(colon + 1, end) != end)
        return false;
    out->name = name;
    out->value = str_trim((struct str){colon + 1, (size_t)(end - colon - 1)});
    return true;
}

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {100, "Continue"}, {101, "Switching Protocols"}, {102, "Processing"}, {103, "Early Hints"},
        {200, "OK"}, {201, "Created"}, {202, "Accepted"}, {203, "Non-Authoritative Information"}, {204, "No Content"},
        {205, "Reset Content"}, {206, "Partial Content"}, {207, "Multi-Status"},
        {300, "Multiple Choices"}, {301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"},
        {304, "Not Modified"}, {307, "Temporary Redirect"}, {308, "Permanent Redirect"},
        {400, "Bad Request"}, {401, "Unauthorized"}, {402, "Payment Required"}, {403, "Forbidden"}, {404, "Not Found"},
        {405, "Method Not Allowed"}, {406, "Not Acceptable"}, {407, "Proxy Authentication Required"},
        {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"}, {411, "Length Required"},
        {412, "Precondition Failed"}, {413, "Content Too Large"}, {414, "URI Too Long"},
        {415, "Unsupported Media Type"}, {416, "Range Not Satisfiable"}, {417, "Expectation Failed"},
        {418, "I'm a Teapot"}, {421, "Misdirected Request"}, {422, "Unprocessable Content"}, {423, "Locked"},
        {424, "Failed Dependency"}, {425, "Too Early"}, {426, "Upgrade Required"}, {428, "Precondition Required"},
        {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"}, {451, "Unavailable For Legal Reasons"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"},
        {504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"}, {507, "Insufficient Storage"},
        {508, "Loop Detected"}, {511, "Network Authentication Required"}, {529, "Overloaded"},
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Unknown";
}
