#include "gatewayd/headers.h"

/*
 * Dropped on the way up: what concerns only this hop, what the transport writes itself, the client's own credential,
 * everything addressed to the gateway, and Accept-Encoding, because the relay must be able to read the answer. Dropped
 * on the way down: the hop's, the lengths and dates the gateway writes itself, and what would make a client trust or
 * obey the upstream in the gateway's name.
 */

static bool any_of(struct str name, const struct str *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(name, list[i]))
            return true;
    return false;
}

static bool is_gateways(struct str name)
{
    return name.len >= 10 && strncasecmp(name.at, "x-gateway-", 10) == 0;
}

static bool is_credential(struct str name)
{
    static const struct str list[] = {{"authorization", 13}, {"x-api-key", 9}, {"api-key", 7}};
    return any_of(name, list, sizeof list / sizeof *list);
}

static bool ends_going_up(struct str name)
{
    static const struct str list[] = {
        {"host", 4},   {"content-length", 14}, {"expect", 6}, {"accept-encoding", 15},
        {"cookie", 6}, {"x-request-id", 12},   {"upgrade-insecure-requests", 25},
    };
    return any_of(name, list, sizeof list / sizeof *list) || is_gateways(name) || http_is_hop_by_hop(name);
}

/* What would make a client act in the gateway's name, or a proxy before it do so: remember, report, follow, share with
 * another site, send a file of its own. */
static bool is_order(struct str name)
{
    static const struct str list[] = {
        {"set-cookie", 10},          {"set-cookie2", 11},        {"clear-site-data", 15},
        {"alt-svc", 7},              {"expect-ct", 9},           {"strict-transport-security", 25},
        {"public-key-pins", 15},     {"nel", 3},                 {"report-to", 9},
        {"reporting-endpoints", 19}, {"location", 8},            {"refresh", 7},
        {"sourcemap", 9},            {"service-worker-allowed", 22}, {"x-accel-redirect", 16},
        {"x-sendfile", 10},
    };
    static const struct str sharing = {"access-control-", 15};
    return any_of(name, list, sizeof list / sizeof *list) ||
           (name.len > sharing.len && str_eq_nocase((struct str){name.at, sharing.len}, sharing));
}

static bool ends_coming_down(struct str name)
{
    static const struct str list[] = {
        {"content-length", 14}, {"date", 4}, {"x-request-id", 12}, {"server-timing", 13}, {"retry-after", 11},
    };
    return any_of(name, list, sizeof list / sizeof *list) || is_gateways(name) || http_is_hop_by_hop(name) ||
           is_order(name);
}

static bool is_ours(struct str name, const struct conf_pair *ours, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(name, str_of(ours[i].name)))
            return true;
    return false;
}

/* Whether a Connection line says more than the usual; there may be several. */
static bool connection_names(const struct http_header *headers, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (headers[i].value.len > 0 && str_eq_nocase(headers[i].name, STR("connection")) &&
            !str_eq_nocase(headers[i].value, STR("keep-alive")) && !str_eq_nocase(headers[i].value, STR("close")))
            return true;
    return false;
}

/* Whether a Connection line says that headers of this name are for this hop only. */
static bool is_named_by_connection(const struct http_header *headers, unsigned count, struct str name)
{
    for (unsigned i = 0; i < count; i++)
        if (str_eq_nocase(headers[i].name, STR("connection")) && http_has_token(headers[i].value, name))
            return true;
    return false;
}

unsigned headers_up(const struct http_request *head, const struct conf_pair *ours, size_t our_count, bool passthrough,
                    char **lines, unsigned max)
{
    bool names_more = connection_names(head->headers, head->header_count);
    unsigned count = 0;
    for (unsigned i = 0; i < head->header_count && count < max; i++) {
        const struct http_header *h = &head->headers[i];
        if (h->value.len == 0 || ends_going_up(h->name) || (!passthrough && is_credential(h->name)) ||
            (names_more && is_named_by_connection(head->headers, head->header_count, h->name)) ||
            is_ours(h->name, ours, our_count))
            continue;
        /* The byte after a trimmed value is white space or the line's end, and no longer needed. */
        ((char *)h->value.at)[h->value.len] = '\0';
        lines[count++] = (char *)h->name.at;
    }
    return count;
}

int headers_down(const struct http_header *headers, unsigned count, struct buf *out)
{
    bool names_more = connection_names(headers, count);
    for (unsigned i = 0; i < count; i++) {
        if (ends_coming_down(headers[i].name) ||
            (names_more && is_named_by_connection(headers, count, headers[i].name)))
            continue;
        int rc = buf_add_str(out, headers[i].name);
        if (rc == 0)
            rc = buf_add(out, ": ", 2);
        if (rc == 0)
            rc = buf_add_str(out, headers[i].value);
        if (rc == 0)
            rc = buf_add(out, "\r\n", 2);
        if (rc != 0)
            return rc;
    }
    return 0;
}
