/*
 * The order of the checks is the order of what a stranger may learn: that his site is refused, that a token is wanted,
 * that his is wrong; nothing else is looked at before.
 */

#include "gatewayd/admin_guard.h"

#include <arpa/inet.h>

#include "gatewayd/secret.h"

/* The host without its port and brackets. */
static struct str bare(struct str host)
{
    if (host.len > 0 && host.at[0] == '[') {
        const char *end = memchr(host.at, ']', host.len);
        return end ? (struct str){host.at + 1, (size_t)(end - host.at) - 1} : host;
    }
    const char *colon = memchr(host.at, ':', host.len);
    return colon ? (struct str){host.at, (size_t)(colon - host.at)} : host;
}

static bool is_address(struct str name)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (name.len == 0 || name.len >= sizeof text)
        return false;
    memcpy(text, name.at, name.len);
    text[name.len] = '\0';
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

bool admin_guard_host(struct str host, struct str hostname)
{
    if (!host.at)
        return true;
    struct str name = bare(host);
    return is_address(name) || str_eq_nocase(name, STR("localhost")) ||
           (hostname.len > 0 && str_eq_nocase(name, hostname));
}

/* A browser names the origin of every request that could do harm; "null" is one it will not name. */
static bool own_origin(const struct http_request *request)
{
    struct str origin = http_header_find(request->headers, request->header_count, STR("Origin"));
    if (!origin.at)
        return true;
    const char *end = memmem(origin.at, origin.len, "://", 3);
    if (!end || !request->host.at)
        return false;
    size_t skip = (size_t)(end - origin.at) + 3;
    return str_eq_nocase((struct str){origin.at + skip, origin.len - skip}, request->host);
}

static enum admin_verdict check_token(const struct http_request *request, const struct admin_rules *rules)
{
    struct str value = http_header_find(request->headers, request->header_count, STR("Authorization"));
    if (!value.at)
        return ADMIN_NO_TOKEN;
    if (value.len < 7 || !str_eq_nocase((struct str){value.at, 7}, STR("Bearer ")))
        return ADMIN_WRONG_TOKEN;
    struct str token = str_trim((struct str){value.at + 7, value.len - 7});
    return rules->token && secret_matches(token, rules->token) ? ADMIN_ADMITTED : ADMIN_WRONG_TOKEN;
}

enum admin_verdict admin_guard(const struct http_request *request, const struct admin_rules *rules,
                               enum admin_need need)
{
    if (!own_origin(request))
        return ADMIN_FOREIGN_ORIGIN;
    if (need == ADMIN_NEED_NOTHING)
        return ADMIN_ADMITTED;
    bool open = !rules->needs_token || (need == ADMIN_NEED_METRICS && rules->open_metrics);
    if (open && admin_guard_host(request->host, rules->hostname))
        return ADMIN_ADMITTED;
    enum admin_verdict verdict = rules->token ? check_token(request, rules) : ADMIN_NO_TOKEN;
    return open && verdict == ADMIN_NO_TOKEN ? ADMIN_FOREIGN_HOST : verdict;
}
