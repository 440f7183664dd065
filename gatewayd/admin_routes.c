/*
 * A NAME stands between a path's beginning and its last word, so a model's slash may come as it is or as %2F. A query
 * that is not understood is refused: with `?fro=10m` taken for nothing, a breaker would stay open for ever.
 */

#include "gatewayd/admin_routes.h"

#include "gatewayd/times.h"

static const struct {
    const char *path;
    enum admin_what what;
} looks[] = {
    {"/metrics", ADMIN_METRICS},     {"/api/status", ADMIN_STATUS},   {"/api/events", ADMIN_EVENTS},
    {"/api/workers", ADMIN_WORKERS}, {"/api/history", ADMIN_HISTORY}, {"/api/stream", ADMIN_STREAM},
};

static const struct {
    const char *group;
    const char *verb;
    enum change_kind change;
} changes[] = {
    {"/api/breaker/", "reset", CHANGE_BREAKER_RESET}, {"/api/breaker/", "open", CHANGE_BREAKER_OPEN},
    {"/api/breaker/", "close", CHANGE_BREAKER_CLOSE}, {"/api/breaker/", "auto", CHANGE_BREAKER_AUTO},
    {"/api/endpoint/", "drain", CHANGE_DRAIN},        {"/api/endpoint/", "enable", CHANGE_ENABLE},
    {"/api/cooldown/", "clear", CHANGE_COOLDOWN_CLEAR},
};

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                                                                       : -1;
}

bool admin_decode(struct str text, char *out, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '%') {
            if (text.len - i < 3 || hex(text.at[i + 1]) < 0 || hex(text.at[i + 2]) < 0)
                return false;
            c = (char)(hex(text.at[i + 1]) * 16 + hex(text.at[i + 2]));
            i += 2;
        }
        if (c == '\0' || length + 1 >= size)
            return false;
        out[length++] = c;
    }
    out[length] = '\0';
    return true;
}

static void bad(struct admin_route *route, const char *why)
{
    route->what = ADMIN_BAD;
    route->why = why;
}

/* The value of the query's only parameter, which must have this name. */
static bool read_query(struct str query, struct str name, char *out, size_t size)
{
    bool named = query.len > name.len && str_starts(query, name) && query.at[name.len] == '=';
    return named && !memchr(query.at, '&', query.len) &&
           admin_decode((struct str){query.at + name.len + 1, query.len - name.len - 1}, out, size);
}

static void route_query(struct str query, struct admin_route *route)
{
    char value[32];
    if (query.len == 0 || route->what == ADMIN_PAGE)
        return;
    if (route->what == ADMIN_EVENTS) {
        if (!read_query(query, STR("n"), value, sizeof value) || !str_to_u64(str_of(value), &route->count) ||
            route->count > ADMIN_EVENTS_MAX)
            bad(route, "n: how many events, from 0 to 1000, is all that can be asked here");
    } else if (route->what == ADMIN_HISTORY) {
        if (!read_query(query, STR("since"), value, sizeof value) || !str_to_u64(str_of(value), &route->since_ms))
            bad(route, "since: ms since 1970, like the times in the answer, is all that can be asked here");
    } else if (route->what == ADMIN_CHANGE && route->change == CHANGE_BREAKER_OPEN) {
        if (!read_query(query, STR("for"), value, sizeof value) || !times_parse(str_of(value), &route->hold_ms))
            bad(route, "for: a time from 1ms to 365d, like 10m or 2h, is all that can be asked here");
    } else {
        bad(route, "this path takes no query");
    }
}

static bool is_look(const struct http_request *request)
{
    return str_eq(request->method, STR("GET")) || str_eq(request->method, STR("HEAD"));
}

static bool find_look(struct str path, struct admin_route *route)
{
    for (size_t i = 0; i < admin_page_count; i++) {
        if (!str_eq(path, str_of(admin_pages[i].path)))
            continue;
        route->what = ADMIN_PAGE;
        route->need = ADMIN_NEED_NOTHING;
        route->page = &admin_pages[i];
        return true;
    }
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        if (!str_eq(path, str_of(looks[i].path)))
            continue;
        route->what = looks[i].what;
        if (route->what == ADMIN_METRICS)
            route->need = ADMIN_NEED_METRICS;
        return true;
    }
    return false;
}

static bool find_change(struct str path, struct admin_route *route)
{
    const char *slash = memrchr(path.at, '/', path.len);
    struct str verb = {slash + 1, path.len - (size_t)(slash + 1 - path.at)};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct str group = str_of(changes[i].group);
        size_t name_end = (size_t)(slash - path.at);
        if (!str_starts(path, group) || name_end <= group.len || !str_eq(verb, str_of(changes[i].verb)))
            continue;
        route->what = ADMIN_CHANGE;
        route->change = changes[i].change;
        if (!admin_decode((struct str){path.at + group.len, name_end - group.len}, route->name, sizeof route->name))
            bad(route, "the name in the path is not well encoded, or longer than any name");
        return true;
    }
    return false;
}

void admin_route(const struct http_request *request, struct admin_route *route)
{
    *route = (struct admin_route){.what = ADMIN_UNKNOWN, .need = ADMIN_NEED_TOKEN, .count = ADMIN_EVENTS_DEFAULT};
    if (request->path.len == 0 || request->path.at[0] != '/')
        return;
    if (!str_starts(request->path, STR("/api/")))
        route->need = ADMIN_NEED_NOTHING; /* there is nothing, or the page; metrics say so themselves */
    bool look = find_look(request->path, route);
    if (!look && !find_change(request->path, route))
        return;
    if (look ? !is_look(request) : !str_eq(request->method, STR("POST"))) {
        route->what = ADMIN_NOT_ALLOWED;
        route->allow = look ? "GET, HEAD" : "POST";
    } else if (route->what != ADMIN_BAD) {
        route_query(request->query, route);
    }
}
