/*
 * Names and what refers to them. While the file is read every reference is only noted, so that the order of sections
 * means nothing; when all of it is known, each becomes an index here, and what points nowhere, twice at the same thing
 * or in a circle is reported where it is written.
 */

#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/conf_internal.h"

struct entry {
    const char *name;
    size_t index;
    const struct conf_node *node; /* where the name is given */
};

/* Sorted by name, the earlier definition first. */
struct names {
    struct entry *entries;
    size_t count;
};

struct resolver {
    struct conf_reader *r;
    const struct conf_node *root;
    struct names endpoints, models, aliases;
    bool models_given;
    const struct conf_node **seen_endpoint; /* the list that last named it */
    const struct conf_node **seen_model;
};

static void ref_add(struct conf_reader *r, enum conf_ref_kind kind, const struct conf_node *node, size_t *target)
{
    struct conf_ref *ref = arena_alloc(&r->scratch, sizeof *ref);

    *target = SIZE_MAX;
    if (!ref) {
        r->out_of_memory = true;
        return;
    }
    *ref = (struct conf_ref){.kind = kind, .node = node, .target = target};
    if (r->last_ref)
        r->last_ref->next = ref;
    else
        r->first_ref = ref;
    r->last_ref = ref;
}

static void read_ref(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base,
                     enum conf_ref_kind kind)
{
    size_t *target = (void *)((char *)base + rule->offset);

    *target = SIZE_MAX;
    if (node->kind != CONF_SCALAR)
        conf_wrong(r, rule, node, kind == CONF_REF_ENDPOINT ? "an endpoint's name" : "a model's name");
    else
        ref_add(r, kind, node, target);
}

void conf_read_endpoint_ref(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node,
                            void *base)
{
    read_ref(r, rule, node, base, CONF_REF_ENDPOINT);
}

void conf_read_model_ref(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    read_ref(r, rule, node, base, CONF_REF_MODEL);
}

void conf_read_client_models(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node,
                             void *base)
{
    struct conf_client *client = base;
    const char **names;

    conf_read_list(r, rule, node, base);
    if (client->model_count == 0)
        return;
    names = conf_new(r, client->model_count * sizeof *names);
    if (!names)
        return;
    client->model_names = names;
    for (const struct conf_node *v = node->first; v; v = v->next)
        *names++ = v->kind == CONF_SCALAR ? conf_text(r, v->text.at, v->text.len) : NULL;
}

void conf_read_aliases(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    struct conf_rule name = {.key = rule->key, .offset = offsetof(struct conf_alias, name)};
    struct conf_rule target = {.key = rule->key, .offset = offsetof(struct conf_alias, target)};
    struct conf *conf = base;
    struct conf_alias *alias;

    if (node->kind == CONF_NOTHING || (node->kind == CONF_MAP && node->count == 0))
        return;
    if (node->kind != CONF_MAP || node->count > rule->most) {
        conf_wrong(r, rule, node, "at most 10000 names, each with a model's name");
        return;
    }
    alias = conf_new(r, node->count * sizeof *alias);
    if (!alias)
        return;
    conf->aliases = alias;
    conf->alias_count = node->count;
    for (const struct conf_node *v = node->first; v; v = v->next, alias++) {
        conf_read_model_name(r, &name, v->key, alias);
        conf_read_model_name(r, &target, v, alias);
        alias->model = SIZE_MAX;
        if (alias->target)
            ref_add(r, CONF_REF_MODEL, v, &alias->model);
    }
}

void conf_read_account(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    const struct conf_rule name = {.key = rule->key};
    const char *checked = NULL;

    (void)base;
    conf_read_name(r, &name, node, &checked);
}

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

/* The names of the items of a list (from their key `name`) or of a map (its keys). */
static struct names names_of(struct conf_reader *r, const struct conf_node *node)
{
    struct names names = {0};

    if (!node || node->count == 0 || (node->kind != CONF_LIST && node->kind != CONF_MAP))
        return names;
    names.entries = arena_alloc(&r->scratch, node->count * sizeof *names.entries);
    if (!names.entries) {
        r->out_of_memory = true;
        return names;
    }
    size_t index = 0;
    for (const struct conf_node *v = node->first; v; v = v->next, index++) {
        const struct conf_node *name = node->kind == CONF_MAP ? v->key : conf_child(v, "name");
        if (name && name->kind == CONF_SCALAR)
            names.entries[names.count++] = (struct entry){name->text.at, index, name};
    }
    qsort(names.entries, names.count, sizeof *names.entries, by_name);
    return names;
}

static const struct entry *names_find(const struct names *names, const char *name)
{
    size_t low = 0, high = names->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(names->entries[mid].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < names->count && !strcmp(names->entries[low].name, name) ? &names->entries[low] : NULL;
}

static void report_twice(struct conf_reader *r, const struct names *names, const char *what)
{
    for (size_t i = 1, first = 0; i < names->count; i++) {
        const struct entry *e = &names->entries[i];
        if (strcmp(e->name, names->entries[first].name) != 0)
            first = i;
        else
            conf_bad(r, e->node, "name: there is %s '%.64s' on line %u already", what, e->name,
                     names->entries[first].node->line);
    }
}

static void offer_all(struct conf_guess *guess, const struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        conf_guess_offer(guess, names->entries[i].name);
}

/* The list a reference stands in, also when it is the name of a {name, as}. NULL for an alias's target. */
static const struct conf_node *list_around(const struct conf_node *node)
{
    const struct conf_node *list = node->parent;

    if (list && list->kind == CONF_MAP && list->parent && list->parent->kind == CONF_LIST)
        list = list->parent;
    return list && list->kind == CONF_LIST ? list : NULL;
}

static void resolve(struct resolver *s, const struct conf_ref *ref, const struct entry *found, const char *what,
                    const struct conf_node **seen)
{
    const struct conf_node *list = list_around(ref->node);
    char shown[CONF_SHOWN + 4];

    if (list && seen[found->index] == list)
        conf_bad(s->r, ref->node, "%s '%s' is listed twice", what, conf_shown(ref->node->text, CONF_SHOWN, shown));
    seen[found->index] = list;
    *ref->target = found->index;
}

static void resolve_endpoint(struct resolver *s, const struct conf_ref *ref)
{
    const struct entry *found = names_find(&s->endpoints, ref->node->text.at);
    char shown[CONF_SHOWN + 4];

    if (found) {
        resolve(s, ref, found, "endpoint", s->seen_endpoint);
        return;
    }
    struct conf_guess guess = conf_guess(ref->node->text);
    offer_all(&guess, &s->endpoints);
    conf_bad(s->r, ref->node, "there is no endpoint '%s'%s", conf_shown(ref->node->text, CONF_SHOWN, shown),
             conf_guess_text(&guess));
}

/* A fallback or a client's model may be written as an alias; an alias of an alias may not. */
static void resolve_model(struct resolver *s, const struct conf_ref *ref)
{
    bool of_alias = ref->node->parent == conf_child(s->root, "aliases");
    const struct entry *found = names_find(&s->models, ref->node->text.at), *alias = NULL;
    char shown[CONF_SHOWN + 4];

    if (!s->models_given)
        return;
    if (!found)
        alias = names_find(&s->aliases, ref->node->text.at);
    conf_shown(ref->node->text, CONF_SHOWN, shown);
    if (alias && of_alias) {
        conf_bad(s->r, ref->node, "'%s' is an alias itself; name the model", shown);
        return;
    }
    if (alias) {
        const char *target = s->r->conf->aliases[alias->index].target;
        found = target ? names_find(&s->models, target) : NULL;
        if (found)
            *ref->target = found->index;
        return; /* what is wrong with the alias is said there */
    }
    if (found) {
        resolve(s, ref, found, "model", s->seen_model);
        return;
    }
    struct conf_guess guess = conf_guess(ref->node->text);
    offer_all(&guess, &s->models);
    if (!of_alias)
        offer_all(&guess, &s->aliases);
    conf_bad(s->r, ref->node, "there is no model '%s'%s", shown, conf_guess_text(&guess));
}

static void alias_collisions(struct resolver *s)
{
    for (size_t i = 0; i < s->aliases.count; i++) {
        const struct entry *model = names_find(&s->models, s->aliases.entries[i].name);
        if (model)
            conf_bad(s->r, s->aliases.entries[i].node, "alias '%.64s' has the name of the model on line %u",
                     model->name, model->node->line);
    }
}

/* Depth first with the path at hand; `state` is 0 unseen, 1 on the path, 2 done. */
struct circle {
    struct conf_reader *r;
    const struct conf_node *models; /* the section, for places */
    const struct conf_node **nodes; /* its values, by index */
    unsigned char *state;
    size_t *path;
    size_t depth;
};

static void report_circle(struct circle *c, size_t model, const struct conf_node *node)
{
    char chain[300];
    size_t len = 0, from = c->depth;

    if (c->path[c->depth - 1] == model) {
        conf_bad(c->r, node, "model '%.64s' falls back to itself", c->nodes[model]->key->text.at);
        return;
    }
    while (from > 0 && c->path[--from] != model)
        ;
    for (; from < c->depth && len < 200; from++)
        len += (size_t)snprintf(chain + len, sizeof chain - len, "%.40s -> ", c->nodes[c->path[from]]->key->text.at);
    if (from < c->depth)
        len += (size_t)snprintf(chain + len, sizeof chain - len, "... -> ");
    conf_bad(c->r, node, "fallback goes in a circle: %s%.64s", chain, c->nodes[model]->key->text.at);
}

static void follow(struct circle *c, size_t model)
{
    const struct conf_model *m = &c->r->conf->models[model];
    const struct conf_node *list = conf_child(c->nodes[model], "fallback");
    const struct conf_node *node = list ? list->first : NULL;

    c->state[model] = 1;
    c->path[c->depth++] = model;
    for (size_t i = 0; i < m->fallback_count && node; i++, node = node->next) {
        size_t next = m->fallback[i];
        if (next == SIZE_MAX || next >= c->r->conf->model_count)
            continue;
        if (c->state[next] == 1)
            report_circle(c, next, node);
        else if (c->state[next] == 0)
            follow(c, next);
    }
    c->depth--;
    c->state[model] = 2;
}

static void circles(struct resolver *s)
{
    struct conf_reader *r = s->r;
    size_t count = r->conf->model_count, i = 0;
    struct circle c = {.r = r, .models = conf_child(s->root, "models")};

    if (count == 0)
        return;
    c.nodes = arena_alloc(&r->scratch, count * sizeof *c.nodes);
    c.state = arena_alloc(&r->scratch, count);
    c.path = arena_alloc(&r->scratch, count * sizeof *c.path);
    if (!c.nodes || !c.state || !c.path) {
        r->out_of_memory = true;
        return;
    }
    for (const struct conf_node *v = c.models->first; v && i < count; v = v->next)
        c.nodes[i++] = v;
    for (i = 0; i < count; i++)
        if (c.state[i] == 0)
            follow(&c, i);
}

/* Every endpoint's account: the one it names, else one of its own name, made when accounts: has none such. */
static void accounts(struct resolver *s, const struct conf_node *list)
{
    struct conf *conf = s->r->conf;
    struct conf_account *all;
    size_t i = 0;

    if (conf->endpoint_count == 0)
        return;
    all = conf_new(s->r, (conf->account_count + conf->endpoint_count) * sizeof *all);
    if (!all)
        return;
    if (conf->account_count)
        memcpy(all, conf->accounts, conf->account_count * sizeof *all);
    conf->accounts = all;
    for (const struct conf_node *v = list->first; v && i < conf->endpoint_count; v = v->next, i++) {
        const struct conf_node *named = conf_child(v, "account");
        const char *name = named && named->kind == CONF_SCALAR ? named->text.at : conf->endpoints[i].name;
        size_t a = 0;
        if (!name)
            continue;
        while (a < conf->account_count && !(all[a].name && !strcmp(all[a].name, name)))
            a++;
        if (a == conf->account_count)
            all[conf->account_count++].name = conf_text(s->r, name, strlen(name));
        conf->endpoints[i].account = a;
        if (!conf->endpoints[i].key.line)
            conf->endpoints[i].key = all[a].key;
    }
}

void conf_names(struct conf_reader *r, const struct conf_node *root)
{
    struct resolver s = {.r = r, .root = root, .models_given = conf_child(root, "models") != NULL};
    const struct conf_node *clients = conf_child(root, "clients"), *endpoints = conf_child(root, "endpoints");
    struct names client_names = names_of(r, clients && clients->kind == CONF_LIST ? clients : NULL);

    s.endpoints = names_of(r, endpoints && endpoints->kind == CONF_LIST ? endpoints : NULL);
    s.models = names_of(r, r->conf->model_count ? conf_child(root, "models") : NULL);
    s.aliases = names_of(r, r->conf->alias_count ? conf_child(root, "aliases") : NULL);
    s.seen_endpoint = arena_alloc(&r->scratch, (r->conf->endpoint_count + 1) * sizeof *s.seen_endpoint);
    s.seen_model = arena_alloc(&r->scratch, (r->conf->model_count + 1) * sizeof *s.seen_model);
    if (!s.seen_endpoint || !s.seen_model)
        r->out_of_memory = true;
    if (r->out_of_memory)
        return;
    report_twice(r, &s.endpoints, "an endpoint");
    report_twice(r, &client_names, "a client");
    alias_collisions(&s);
    for (const struct conf_ref *ref = r->first_ref; ref; ref = ref->next) {
        if (ref->kind == CONF_REF_ENDPOINT && r->conf->endpoint_count)
            resolve_endpoint(&s, ref);
        else if (ref->kind == CONF_REF_MODEL && (r->conf->model_count || !s.models_given))
            resolve_model(&s, ref);
    }
    circles(&s);
    accounts(&s, endpoints);
}
