#include "gatewayd/route.h"

#include <errno.h>

/*
 * Models are few and their names short, so they are compared one by one; what costs is the pass over the body, and that
 * happens once.
 */

enum { CHOICES_MAX = 128 };

static bool under(struct str path, struct str prefix)
{
    return str_starts(path, prefix);
}

/* The byte that stands at `at`, percent-decoded; its length in the path goes to *len. */
static char decoded(struct str path, size_t at, size_t *len)
{
    static const char digits[] = "0123456789abcdef";
    *len = 1;
    if (path.at[at] != '%' || path.len - at < 3)
        return path.at[at];
    const char *high = memchr(digits, path.at[at + 1] | 0x20, 16), *low = memchr(digits, path.at[at + 2] | 0x20, 16);
    if (!high || !low)
        return path.at[at];
    *len = 3;
    return (char)((high - digits) << 4 | (low - digits));
}

/* A segment of dots would be resolved by some upstreams and not by others, and could leave the endpoint's base. */
static bool has_dot_segment(struct str path)
{
    bool only_dots = false; /* what has been seen of this segment */
    size_t seen = 1, len;
    for (size_t at = 0; at < path.len; at += len) {
        char byte = decoded(path, at, &len);
        if (byte == '/' || byte == '\\') {
            if (only_dots && seen > 0)
                return true;
            only_dots = true;
            seen = 0;
            continue;
        }
        only_dots = only_dots && byte == '.';
        seen++;
    }
    return only_dots && seen > 0;
}

const struct plan_model *route_model(const struct plan *plan, struct str name, struct str *resolved)
{
    *resolved = name;
    for (uint32_t i = 0; i < plan->model_count; i++)
        if (str_eq(plan->models[i].name, name))
            return &plan->models[i];
    for (size_t i = 0; i < plan->conf->alias_count; i++) {
        const struct conf_alias *alias = &plan->conf->aliases[i];
        if (!str_eq(str_of(alias->name), name))
            continue;
        *resolved = alias->model == SIZE_MAX ? str_of(alias->target) : plan->models[alias->model].name;
        return alias->model == SIZE_MAX ? plan->pool : &plan->models[alias->model];
    }
    return plan->model_count ? NULL : plan->pool;
}

struct str route_nearest(const struct plan *plan, struct str name)
{
    struct str best = {0};
    unsigned least = (unsigned)(name.len / 2 + 1);
    for (uint32_t i = 0; i < plan->model_count; i++) {
        unsigned d = str_distance(plan->models[i].name, name);
        if (d < least) {
            least = d;
            best = plan->models[i].name;
        }
    }
    for (size_t i = 0; i < plan->conf->alias_count; i++) {
        unsigned d = str_distance(str_of(plan->conf->aliases[i].name), name);
        if (d < least) {
            least = d;
            best = str_of(plan->conf->aliases[i].name);
        }
    }
    return best;
}

/* By its label, or by its looks: plain `curl -d '{…}'` labels JSON as a form. */
static bool is_json(const struct http_request *head, struct str body)
{
    struct str type = http_header_find(head->headers, head->header_count, STR("content-type"));
    struct str json = STR("application/json");
    if (body.len == 0)
        return false;
    if (type.len == 0 || (type.len >= json.len && str_eq_nocase((struct str){type.at, json.len}, json)))
        return true;
    while (body.len > 0 && (*body.at == ' ' || *body.at == '\n' || *body.at == '\r' || *body.at == '\t'))
        body = (struct str){body.at + 1, body.len - 1};
    return body.len > 0 && *body.at == '{';
}

/* A model's name, unescaped when need be. */
static int plain_name(struct json_value value, struct arena *arena, struct str *out)
{
    *out = value.text;
    if (!memchr(value.text.at, '\\', value.text.len))
        return 0;
    char *text = arena_alloc(arena, value.text.len + 1);
    if (!text)
        return -ENOMEM;
    *out = (struct str){text, json_unescape(value.text, text)};
    return 0;
}

static int read_body(struct route *route, struct str body, struct arena *arena)
{
    const char *const names[] = {"model", "stream", "n"};
    struct json_value v[3];
    uint64_t choices;
    if (json_find(body, names, v, 3, &route->why) != 0) {
        route->kind = ROUTE_BAD_BODY;
        return 0;
    }
    route->stream = v[1].type == JSON_TRUE;
    if (json_to_u64(v[2], &choices) && choices > 0 && choices <= CHOICES_MAX)
        route->choices = (unsigned)choices;
    if (v[0].type == JSON_NONE)
        return 0;
    if (v[0].type != JSON_STRING) {
        route->kind = ROUTE_BAD_BODY;
        route->why = "'model' is not a string";
        return 0;
    }
    route->model_value = v[0];
    return plain_name(v[0], arena, &route->asked);
}

static int find_post(struct route *route, const struct plan *plan, const struct http_request *head, struct str body,
                     struct arena *arena)
{
    route->kind = ROUTE_POOL;
    route->model = plan->pool;
    if (is_json(head, body)) {
        int rc = read_body(route, body, arena);
        if (rc != 0 || route->kind == ROUTE_BAD_BODY)
            return rc;
    }
    if (route->asked.len == 0)
        route->asked = http_header_find(head->headers, head->header_count, STR("x-gateway-model"));
    if (route->asked.len > 0) {
        route->kind = ROUTE_MODEL;
        route->model = route_model(plan, route->asked, &route->resolved);
    }
    return 0;
}

static enum route_kind kind_of_own(const struct http_request *head, struct str path)
{
    bool get = str_eq(head->method, STR("GET")) || str_eq(head->method, STR("HEAD"));
    if (str_eq(path, STR("/health")))
        return get ? ROUTE_HEALTH : ROUTE_BAD_METHOD;
    if (str_eq(path, STR("/ready")))
        return get ? ROUTE_READY : ROUTE_BAD_METHOD;
    if (str_eq(path, STR("/v1/models")))
        return get ? ROUTE_MODELS : ROUTE_BAD_METHOD;
    if (under(path, STR("/v1/models/")) && get)
        return ROUTE_MODEL_ONE;
    return under(path, STR("/v1/")) && !has_dot_segment(path) ? ROUTE_ONCE : ROUTE_UNKNOWN;
}

int route_find(struct route *route, const struct plan *plan, const struct http_request *head, struct str body,
               struct arena *arena)
{
    *route = (struct route){.choices = 1};
    struct str path = head->path;
    route->anthropic = str_eq(path, STR("/v1/messages")) || under(path, STR("/v1/messages/"));
    route->kind = kind_of_own(head, path);
    if (route->kind == ROUTE_MODEL_ONE)
        route->asked = (struct str){path.at + 11, path.len - 11};
    if (route->kind != ROUTE_ONCE)
        return 0;
    route->upstream_path = (struct str){head->target.at + 3, head->target.len - 3};
    route->model = plan->pool;
    if (str_eq(head->method, STR("POST")))
        return find_post(route, plan, head, body, arena);
    return 0;
}

static int add_model(struct buf *out, struct str name)
{
    int rc = buf_add_str(out, STR("{\"id\":\""));
    if (rc == 0)
        rc = buf_add_json(out, name);
    return rc ? rc : buf_add_str(out, STR("\",\"object\":\"model\",\"created\":0,\"owned_by\":\"gatewayd\"}"));
}

int route_model_json(struct str name, struct buf *out)
{
    return add_model(out, name);
}

int route_models_json(const struct plan *plan, struct buf *out)
{
    int rc = buf_add_str(out, STR("{\"object\":\"list\",\"data\":["));
    size_t count = 0;
    for (uint32_t i = 0; rc == 0 && i < plan->model_count; i++) {
        if (count++)
            rc = buf_add(out, ",", 1);
        if (rc == 0)
            rc = add_model(out, plan->models[i].name);
    }
    for (size_t i = 0; rc == 0 && i < plan->conf->alias_count; i++) {
        if (count++)
            rc = buf_add(out, ",", 1);
        if (rc == 0)
            rc = add_model(out, str_of(plan->conf->aliases[i].name));
    }
    return rc ? rc : buf_add_str(out, STR("]}"));
}
