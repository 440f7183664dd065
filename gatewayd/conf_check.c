/*
 * What no key can tell alone: pairs of values that contradict each other, listeners that would be open to the world,
 * clients that nobody can be, and the defaults that depend on what else was given. Places are those of the key that a
 * reader of the message would change.
 */

#include <stdlib.h>

#include "gatewayd/conf_internal.h"

/* Where to complain: at the first of the keys that is given, else at the map. */
static const struct conf_node *place(const struct conf_node *map, const char *key, const char *other)
{
    const struct conf_node *node = conf_child(map, key);

    if (!node && other)
        node = conf_child(map, other);
    return node ? node : map;
}

static const struct conf_node *items(const struct conf_node *map, const char *key)
{
    const struct conf_node *node = conf_child(map, key);

    return node && (node->kind == CONF_LIST || node->kind == CONF_MAP) ? node->first : NULL;
}

static void only_for(struct conf_reader *r, const struct conf_node *map, const char *kind, const char *const *keys)
{
    for (; *keys; keys++) {
        const struct conf_node *node = conf_child(map, *keys);
        if (node)
            conf_bad(r, node->key, "%s: only a %s: listener has this", *keys, kind);
    }
}

static void check_listener(struct conf_reader *r, struct conf_listen *l, const struct conf_node *node)
{
    static const char *const of_tcp[] = {"per_ip", "trusted_proxies", "open", NULL};
    static const char *const of_unix[] = {"mode", "group", NULL};
    bool tcp = conf_child(node, "tcp"), unix_ = conf_child(node, "unix");

    if (node->kind != CONF_MAP && node->kind != CONF_NOTHING)
        return;
    if (tcp == unix_)
        conf_bad(r, node, "listen: a listener is either tcp: HOST:PORT or unix: PATH");
    else if (tcp)
        only_for(r, node, "unix", of_unix);
    else
        only_for(r, node, "tcp", of_tcp);
    if (l->per_ip.burst && !l->per_ip.rps)
        conf_bad(r, place(conf_child(node, "per_ip"), "burst", NULL), "burst: belongs to an rps, which is missing");
    if (!l->per_ip.burst)
        l->per_ip.burst = l->per_ip.rps;
}

static bool same_listener(const struct conf_listen *a, const struct conf_listen *b)
{
    if (a->path && b->path)
        return !strcmp(a->path, b->path);
    return a->host && b->host && a->port && a->port == b->port && !strcmp(a->host, b->host);
}

static void check_same(struct conf_reader *r, const struct conf_listen *l, const struct conf_node *node,
                       const struct conf_listen *others, size_t count, const struct conf_node *other)
{
    for (size_t i = 0; i < count && other; i++, other = other->next)
        if (same_listener(l, &others[i]))
            conf_bad(r, place(node, "tcp", "unix"), "listen: the same address as on line %u",
                     place(other, "tcp", "unix")->line);
}

static void check_listen(struct conf_reader *r, const struct conf_node *root)
{
    const struct conf_node *first = items(root, "listen"), *node = first;
    struct conf *conf = r->conf;

    for (size_t i = 0; i < conf->listen_count && node; i++, node = node->next) {
        struct conf_listen *l = &conf->listen[i];
        check_listener(r, l, node);
        check_same(r, l, node, conf->listen, i, first);
        if (l->host && !conf_is_loopback(l->host) && !l->open && !conf_child(root, "clients"))
            conf_bad(r, place(node, "tcp", NULL), "tcp: '%s' can be reached from other hosts: name clients: who may "
                     "use it, or say open: true", conf_child(node, "tcp")->text.at);
    }
    if (conf_child(root, "listen"))
        return;
    conf->listen = conf_new(r, sizeof *conf->listen);
    if (!conf->listen)
        return;
    conf->listen_count = 1;
    conf->listen->host = "127.0.0.1";
    conf->listen->port = 8080;
    conf->listen->mode = 0660;
}

static void check_admin(struct conf_reader *r, const struct conf_node *root)
{
    const struct conf_node *admin = conf_child(root, "admin"), *first = items(admin, "listen"), *node = first;
    struct conf *conf = r->conf;

    for (size_t i = 0; i < conf->admin.listen_count && node; i++, node = node->next) {
        const struct conf_listen *l = &conf->admin.listen[i];
        check_listener(r, &conf->admin.listen[i], node);
        check_same(r, l, node, conf->admin.listen, i, first);
        check_same(r, l, node, conf->listen, conf->listen_count, items(root, "listen"));
        if (l->host && !conf_child(admin, "token"))
            conf_bad(r, place(node, "tcp", NULL), "tcp: an admin listener over TCP needs admin.token");
    }
}

static void not_less(struct conf_reader *r, const struct conf_node *map, const char *more_key, uint64_t more,
                     const char *less_key, uint64_t less)
{
    if (!map || more >= less)
        return;
    if (conf_child(map, more_key))
        conf_bad(r, place(map, more_key, NULL), "%s must not be less than %s", more_key, less_key);
    else
        conf_bad(r, place(map, less_key, NULL), "%s is more than %s is by default: set both", less_key, more_key);
}

/* `burst:` was read as one of requests; beside a tpm alone it is one of tokens. */
static void check_limits(struct conf_reader *r, struct conf_limits *l, const struct conf_node *map)
{
    uint64_t rate = l->rpm ? l->rpm : l->tpm;

    if (!l->rpm_burst)
        return;
    if (!rate)
        conf_bad(r, place(map, "burst", NULL), "burst: belongs to an rpm or a tpm, and neither is given");
    else if (l->rpm_burst > rate)
        conf_bad(r, place(map, "burst", NULL), "burst: makes the burst smaller; %s admits %llu already",
                 l->rpm ? "rpm" : "tpm", (unsigned long long)rate);
    if (!l->rpm) {
        l->tpm_burst = l->rpm_burst;
        l->rpm_burst = 0;
    }
}

static void check_sealed(struct conf_reader *r, const struct conf_key *key)
{
    struct conf_node node = {.line = key->line, .column = key->column};

    if (key->source == CONF_KEY_SEALED && !r->conf->master_key.line)
        conf_bad(r, &node, "key: a sealed key needs secrets.master_key");
}

static void check_endpoint(struct conf_reader *r, struct conf_endpoint *e, const struct conf_node *node)
{

    not_less(r, conf_child(node, "breaker"), "max_open", e->breaker.max_open, "open", e->breaker.open);
    not_less(r, conf_child(node, "cooldown"), "max", e->cooldown.max, "default", e->cooldown.standard);
    not_less(r, conf_child(node, "quota"), "max", e->quota.max, "default", e->quota.standard);
    if (e->proxy && e->unix_socket)
        conf_bad(r, place(node, "proxy", NULL), "proxy: a proxy cannot reach a Unix socket");
    check_limits(r, &e->limits, conf_child(node, "limits"));
    check_sealed(r, &e->key);
}

static void check_endpoints(struct conf_reader *r, const struct conf_node *root)
{
    const struct conf_node *node = items(root, "endpoints");
    struct conf *conf = r->conf;

    for (size_t i = 0; i < conf->endpoint_count && node; i++, node = node->next)
        check_endpoint(r, &conf->endpoints[i], node);
    /* The accounts that are written come first, in their order. */
    node = items(root, "accounts");
    for (size_t i = 0; i < conf->account_count && node; i++, node = node->next) {
        check_limits(r, &conf->accounts[i].limits, conf_child(node, "limits"));
        check_sealed(r, &conf->accounts[i].key);
    }
    check_sealed(r, &conf->admin.token);
}

static void check_models(struct conf_reader *r, const struct conf_node *root)
{
    const struct conf_node *node = items(root, "models");
    struct conf *conf = r->conf;

    for (size_t i = 0; i < conf->model_count && node; i++, node = node->next) {
        struct conf_model *m = &conf->models[i];
        if (!conf_child(conf_child(node, "price"), "cached_input"))
            m->price.cached_input = m->price.input;
        if (conf_child(node, "endpoints") || conf->endpoint_count == 0)
            continue;
        m->candidates = conf_new(r, conf->endpoint_count * sizeof *m->candidates);
        if (!m->candidates)
            return;
        m->candidate_count = conf->endpoint_count;
        for (size_t e = 0; e < conf->endpoint_count; e++)
            m->candidates[e].endpoint = e;
    }
}

/* What a client is known by: a hash, a uid or a gid, which must not be another's too. */
struct mark {
    unsigned char bytes[33];
    size_t client;
    const struct conf_node *node;
};

static int by_bytes(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, sizeof x->bytes);

    if (order)
        return order;
    if (x->node->line != y->node->line)
        return x->node->line < y->node->line ? -1 : 1;
    return x->node->column < y->node->column ? -1 : x->node->column > y->node->column;
}

static struct mark *mark_all(struct mark *mark, const struct conf_node *list, char kind, size_t client,
                             const void *values, size_t count, size_t size)
{
    const struct conf_node *node = list ? list->first : NULL;

    for (size_t i = 0; i < count && node; i++, node = node->next, mark++) {
        mark->bytes[0] = (unsigned char)kind;
        memcpy(mark->bytes + 1, (const char *)values + i * size, size);
        mark->client = client;
        mark->node = node;
    }
    return mark;
}

static void check_marks(struct conf_reader *r, const struct conf_node *root)
{
    const struct conf_node *node = items(root, "clients");
    struct conf *conf = r->conf;
    struct mark *marks, *end;
    size_t count = 0;

    for (size_t i = 0; i < conf->client_count; i++)
        count += conf->clients[i].key_count + conf->clients[i].uid_count + conf->clients[i].gid_count;
    if (count == 0)
        return;
    end = marks = calloc(count, sizeof *marks);
    if (!marks) {
        r->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < conf->client_count && node; i++, node = node->next) {
        const struct conf_client *c = &conf->clients[i];
        const struct conf_node *peer = conf_child(node, "unix");
        end = mark_all(end, conf_child(node, "keys"), 'k', i, c->keys, c->key_count, 32);
        end = mark_all(end, conf_child(peer, "uid"), 'u', i, c->uids, c->uid_count, sizeof *c->uids);
        end = mark_all(end, conf_child(peer, "gid"), 'g', i, c->gids, c->gid_count, sizeof *c->gids);
    }
    qsort(marks, (size_t)(end - marks), sizeof *marks, by_bytes);
    for (const struct mark *m = marks + 1; m < end; m++)
        if (!memcmp(m->bytes, m[-1].bytes, sizeof m->bytes) && m->node->kind == CONF_SCALAR)
            conf_bad(r, m->node, "%s: given on line %u already", m->bytes[0] == 'k' ? "keys" :
                     m->bytes[0] == 'u' ? "uid" : "gid", m[-1].node->line);
    free(marks);
}

static void check_clients(struct conf_reader *r, const struct conf_node *root)
{
    const struct conf_node *node = items(root, "clients");
    struct conf *conf = r->conf;

    for (size_t i = 0; i < conf->client_count && node; i++, node = node->next) {
        if (node->kind != CONF_MAP && node->kind != CONF_NOTHING)
            continue;
        if (!conf_child(node, "keys") && !conf_child(node, "unix"))
            conf_bad(r, node, "clients: a client is known by keys: or unix:, and neither is given");
        else if (conf_child(node, "unix") && !items(node, "unix"))
            conf_bad(r, place(node, "unix", NULL), "unix: name a uid or a gid");
        check_limits(r, &conf->clients[i].limits, conf_child(node, "limits"));
    }
    check_marks(r, root);
}

static void check_rest(struct conf_reader *r, const struct conf_node *root)
{
    const struct conf_node *node = items(root, "notify");
    struct conf *conf = r->conf;
    char state[4096];

    not_less(r, conf_child(root, "limits"), "buffered", conf->limits.buffered, "body", conf->limits.body);
    not_less(r, conf_child(root, "retry"), "max", conf->retry.max, "base", conf->retry.base);
    if (conf->cache.size)
        not_less(r, conf_child(root, "cache"), "size", conf->cache.size, "max_entry", conf->cache.max_entry);
    else if (conf->exhausted_stale)
        conf_bad(r, place(root, "exhausted", NULL), "exhausted: stale answers come from the cache, whose size is 0");
    for (size_t i = 0; i < conf->notify_count && node; i++, node = node->next)
        if (!conf_child(node, "on"))
            conf->notify[i].on = CONF_NOTIFY_OPEN | CONF_NOTIFY_CLOSE | CONF_NOTIFY_EXHAUSTED | CONF_NOTIFY_BUDGET;
    if (!conf_child(root, "expose"))
        conf->expose = !conf_child(root, "clients");
    if (!conf->state && conf_default_state(state, sizeof state))
        conf->state = conf_text(r, state, strlen(state));
}

void conf_check(struct conf_reader *r, const struct conf_node *root)
{
    check_listen(r, root);
    check_admin(r, root);
    check_endpoints(r, root);
    check_models(r, root);
    check_clients(r, root);
    check_rest(r, root);
}
