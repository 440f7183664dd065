/*
 * Readers of URLs: endpoints, proxies, hooks. Strict, so that nobody downstream has to parse one again: a scheme from a
 * short list, a host, a port, a path. Credentials, queries and fragments are refused, and a URL is not repeated in a
 * message that might show a password.
 */

#include <stdio.h>

#include "gatewayd/conf_internal.h"

static void *at(void *base, const struct conf_rule *rule)
{
    return (char *)base + rule->offset;
}

/* What is wrong with HOST[:PORT][/PATH], the part of a URL after its scheme; NULL when nothing is. */
static const char *authority_fault(struct str s)
{
    struct str host, rest;
    uint64_t port;
    size_t len = 0;

    while (len < s.len && s.at[len] != '/')
        len++;
    host = (struct str){s.at, len};
    if (memchr(host.at, '@', host.len))
        return "a URL must not hold credentials";
    if (memchr(s.at, '?', s.len) || memchr(s.at, '#', s.len))
        return "a URL with a query or a fragment is not possible here";
    len = 0;
    if (host.len && host.at[0] == '[') {
        while (len < host.len && host.at[len] != ']')
            len++;
        if (len < 3 || len == host.len || !conf_is_made_of((struct str){host.at + 1, len - 1}, ":."))
            return "the host between [ and ] is no IPv6 address";
        len++;
    } else {
        while (len < host.len && host.at[len] != ':')
            len++;
        if (!len || !conf_is_made_of((struct str){host.at, len}, ".-_"))
            return "the host is missing or no host name";
    }
    rest = (struct str){host.at + len, host.len - len};
    if (rest.len && (rest.at[0] != ':' || !str_to_u64((struct str){rest.at + 1, rest.len - 1}, &port) || port < 1 ||
                     port > 65535))
        return "the port must be a number from 1 to 65535";
    if (!conf_is_visible(s, "\"<>\\^`{|}"))
        return "a URL holds visible ASCII characters only";
    return NULL;
}

static bool after_scheme(struct str url, const char *const *schemes, struct str *rest)
{
    for (; *schemes; schemes++) {
        struct str scheme = str_of(*schemes);
        if (url.len > scheme.len && str_eq_nocase((struct str){url.at, scheme.len}, scheme)) {
            *rest = (struct str){url.at + scheme.len, url.len - scheme.len};
            return true;
        }
    }
    return false;
}

/* The URL itself is not repeated in what is said about it: it may hold a password. */
static bool good_url(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node,
                     const char *const *schemes, const char *expected)
{
    const char *fault = NULL;
    struct str rest;

    if (node->kind != CONF_SCALAR) {
        conf_wrong(r, rule, node, expected);
        return false;
    }
    if (!after_scheme(node->text, schemes, &rest)) {
        bool safe = node->text.len <= CONF_SHOWN && !memchr(node->text.at, '@', node->text.len);
        conf_bad(r, node, "%s: expected %s%s%s%s", rule->key, expected, safe ? ", not '" : "",
                 safe ? node->text.at : "", safe ? "'" : "");
        return false;
    }
    fault = authority_fault(rest);
    if (fault)
        conf_bad(r, node, "%s: %s", rule->key, fault);
    return !fault;
}

static const char *const http_schemes[] = {"http://", "https://", NULL};

void conf_read_url(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    if (good_url(r, rule, node, http_schemes, "a URL like https://host/path"))
        *(const char **)at(base, rule) = conf_text(r, node->text.at, node->text.len);
}

void conf_read_proxy(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://", NULL};

    if (good_url(r, rule, node, schemes, "a proxy like http://host:3128 or socks5h://host:1080"))
        *(const char **)at(base, rule) = conf_text(r, node->text.at, node->text.len);
}

/* unix:PATH:/v1. The path ends at the last ":/", so a path may hold colons. */
static void unix_base(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node,
                      struct conf_endpoint *e)
{
    struct str s = {node->text.at + 5, node->text.len - 5};
    size_t end = s.len;
    char url[512];

    while (end > 0 && !(s.at[end - 1] == ':' && end < s.len && s.at[end] == '/'))
        end--;
    if (end < 2 || s.len - end > 400) {
        conf_wrong(r, rule, node, "unix:PATH:/v1, a socket and the path of the API behind it");
        return;
    }
    struct str path = {s.at, end - 1}, tail = {s.at + end, s.len - end};
    if (path.len > CONF_SUN_PATH_MAX) {
        conf_bad(r, node, "%s: the socket's path has %zu characters; at most %d are possible", rule->key, path.len,
                 CONF_SUN_PATH_MAX);
        return;
    }
    snprintf(url, sizeof url, "localhost%.*s", (int)tail.len, tail.at);
    const char *fault = authority_fault(str_of(url));
    if (fault) {
        conf_bad(r, node, "%s: %s", rule->key, fault);
        return;
    }
    while (tail.len && tail.at[tail.len - 1] == '/')
        tail.len--;
    int n = snprintf(url, sizeof url, "http://localhost%.*s", (int)tail.len, tail.at);
    e->url = conf_text(r, node->text.at, node->text.len);
    e->base = conf_text(r, url, (size_t)n);
    e->unix_socket = conf_text(r, path.at, path.len);
}

void conf_read_base(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    struct conf_endpoint *e = base;
    size_t len;

    if (node->kind == CONF_SCALAR && str_starts(node->text, STR("unix:"))) {
        unix_base(r, rule, node, e);
    } else if (good_url(r, rule, node, http_schemes, "https://HOST/PATH, http://HOST/PATH or unix:PATH:/v1")) {
        e->url = conf_text(r, node->text.at, node->text.len);
        for (len = node->text.len; node->text.at[len - 1] == '/'; len--)
            ;
        e->base = conf_text(r, node->text.at, len);
    }
}

void conf_read_url_path(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    if (node->kind == CONF_SCALAR && node->text.len && node->text.len <= 255 && node->text.at[0] == '/' &&
        conf_is_visible(node->text, "\"<>\\^`{|}#"))
        *(const char **)at(base, rule) = conf_text(r, node->text.at, node->text.len);
    else
        conf_wrong(r, rule, node, "a path like /models");
}
