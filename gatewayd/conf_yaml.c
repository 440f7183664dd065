/*
 * From YAML text to a tree of nodes that know their place. libyaml's events are used rather than its documents, so that
 * depth is bounded while reading and anchors can be refused: an alias bomb is never expanded because nothing is. What a
 * configuration does not need (anchors, tags, several documents, control characters) is reported where it stands.
 */

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "gatewayd/conf_internal.h"

enum { DEPTH_MAX = 32 };

struct walk {
    struct conf_reader *r;
    struct str text;
    yaml_parser_t parser;
    struct conf_node *open[DEPTH_MAX]; /* lists and maps not yet ended */
    unsigned depth;
    struct conf_node *key; /* read, its value not yet */
    struct conf_node *root;
    unsigned documents;
    bool done;
    bool failed;
};

static struct conf_node place_of(const yaml_mark_t *mark)
{
    return (struct conf_node){.line = (unsigned)mark->line + 1, .column = (unsigned)mark->column + 1};
}

/* The reader's errors (bad UTF-8, say) come with a byte offset only. */
static struct conf_node place_at(struct str text, size_t offset)
{
    struct conf_node place = {.line = 1, .column = 1};

    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.at[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if (((unsigned char)text.at[i] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

static void syntax_error(struct walk *w)
{
    const yaml_parser_t *p = &w->parser;
    const char *problem = p->problem ? p->problem : "not understood";
    struct conf_node place;

    w->failed = true;
    if (p->error == YAML_MEMORY_ERROR) {
        w->r->out_of_memory = true;
    } else if (p->error == YAML_READER_ERROR) {
        place = place_at(w->text, p->problem_offset);
        conf_bad(w->r, &place, "not YAML: %s", problem);
    } else {
        place = place_of(&p->problem_mark);
        if (p->context)
            conf_bad(w->r, &place, "not YAML: %s (%s that began on line %zu)", problem, p->context,
                     p->context_mark.line + 1);
        else
            conf_bad(w->r, &place, "not YAML: %s", problem);
    }
}

static struct conf_node *node_new(struct walk *w, enum conf_kind kind, const yaml_mark_t *mark)
{
    struct conf_node *node = arena_alloc(&w->r->scratch, sizeof *node);

    if (!node) {
        w->r->out_of_memory = w->failed = true;
        return NULL;
    }
    *node = place_of(mark);
    node->kind = kind;
    return node;
}

/* A map's key is kept until its value comes. Returns false when the node is such a key. */
static bool take_as_key(struct walk *w, struct conf_node *node)
{
    if (!w->depth || w->open[w->depth - 1]->kind != CONF_MAP || w->key)
        return false;
    if (node->kind == CONF_LIST || node->kind == CONF_MAP) {
        /* Mostly an unquoted {{template}}; what follows would be nonsense. */
        conf_bad(w->r, node, "a key must be a plain name, not a %s", node->kind == CONF_LIST ? "list" : "map");
        w->failed = true;
    } else if (node->kind == CONF_NOTHING) {
        conf_bad(w->r, node, "a key must be a plain name");
        node->kind = CONF_BROKEN;
    }
    w->key = node;
    return true;
}

/* Hangs a node under the innermost open list or map. The value of a key that was refused is left out. */
static void attach(struct walk *w, struct conf_node *node)
{
    if (!w->depth) {
        w->root = node;
        return;
    }
    if (take_as_key(w, node))
        return;
    struct conf_node *parent = w->open[w->depth - 1];
    node->parent = parent;
    if (parent->kind == CONF_MAP) {
        node->key = w->key;
        w->key = NULL;
        if (node->key->kind != CONF_SCALAR)
            return;
    }
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
}

static void refuse_extras(struct walk *w, const struct conf_node *node, const void *anchor, const void *tag)
{
    if (anchor)
        conf_bad(w->r, node, "anchors (&name) are not supported here");
    if (tag)
        conf_bad(w->r, node, "tags (!name) are not supported here");
}

static void scalar(struct walk *w, const yaml_event_t *e)
{
    struct str text = {(const char *)e->data.scalar.value, e->data.scalar.length};
    struct conf_node *node = node_new(w, CONF_SCALAR, &e->start_mark);

    if (!node)
        return;
    refuse_extras(w, node, e->data.scalar.anchor, e->data.scalar.tag);
    node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_copy(&w->r->scratch, text);
    if (!node->text.at) {
        w->r->out_of_memory = w->failed = true;
        return;
    }
    if (!node->quoted && (text.len == 0 || str_eq(text, STR("~")) || str_eq(text, STR("null"))))
        node->kind = CONF_NOTHING;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < 0x20 || c == 0x7f) {
            conf_bad(w->r, node, "control characters and line breaks are not allowed in a value");
            node->kind = CONF_BROKEN;
            break;
        }
    }
    attach(w, node);
}

static void begin(struct walk *w, enum conf_kind kind, const yaml_event_t *e, const void *anchor, const void *tag)
{
    struct conf_node *node = node_new(w, kind, &e->start_mark);

    if (!node)
        return;
    refuse_extras(w, node, anchor, tag);
    if (w->depth == DEPTH_MAX) {
        conf_bad(w->r, node, "nested deeper than %d levels", DEPTH_MAX);
        w->failed = true;
        return;
    }
    attach(w, node);
    w->open[w->depth++] = node;
}

static int by_key(const void *a, const void *b)
{
    const struct conf_node *x = *(const struct conf_node *const *)a, *y = *(const struct conf_node *const *)b;
    int order = strcmp(x->key->text.at, y->key->text.at);

    if (order)
        return order;
    if (x->key->line != y->key->line)
        return x->key->line < y->key->line ? -1 : 1;
    return x->key->column < y->key->column ? -1 : x->key->column > y->key->column;
}

/* Sorted rather than compared pairwise: a megabyte holds enough keys to make the difference. */
static void find_duplicates(struct walk *w, const struct conf_node *map)
{
    const struct conf_node **values;
    size_t n = 0;
    char shown[CONF_SHOWN + 4];

    if (map->count < 2)
        return;
    values = calloc(map->count, sizeof *values);
    if (!values) {
        w->r->out_of_memory = w->failed = true;
        return;
    }
    for (const struct conf_node *v = map->first; v; v = v->next)
        values[n++] = v;
    qsort(values, n, sizeof *values, by_key);
    for (size_t i = 1, first = 0; i < n; i++) {
        if (strcmp(values[i]->key->text.at, values[first]->key->text.at) != 0)
            first = i;
        else
            conf_bad(w->r, values[i]->key, "duplicate key '%s', first given on line %u",
                     conf_shown(values[i]->key->text, CONF_SHOWN, shown), values[first]->key->line);
    }
    free(values);
}

static void take_event(struct walk *w, const yaml_event_t *e)
{
    struct conf_node *node;

    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (w->documents++) {
            struct conf_node place = place_of(&e->start_mark);
            conf_bad(w->r, &place, "a second document begins here; a configuration is one");
            w->done = true;
        }
        break;
    case YAML_ALIAS_EVENT:
        node = node_new(w, CONF_BROKEN, &e->start_mark);
        if (node) {
            conf_bad(w->r, node, "aliases (*name) are not supported here");
            attach(w, node);
        }
        break;
    case YAML_SCALAR_EVENT:
        scalar(w, e);
        break;
    case YAML_SEQUENCE_START_EVENT:
        begin(w, CONF_LIST, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
        break;
    case YAML_MAPPING_START_EVENT:
        begin(w, CONF_MAP, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
        break;
    case YAML_SEQUENCE_END_EVENT:
        w->depth--;
        break;
    case YAML_MAPPING_END_EVENT:
        find_duplicates(w, w->open[--w->depth]);
        break;
    case YAML_STREAM_END_EVENT:
        w->done = true;
        break;
    default:
        break;
    }
}

struct conf_node *conf_tree(struct conf_reader *r, struct str text)
{
    struct walk w = {.r = r};
    yaml_event_t event;

    if (str_starts(text, STR("\xef\xbb\xbf"))) /* some editors begin a file with it; libyaml, told UTF-8, does not */
        text = (struct str){text.at + 3, text.len - 3};
    w.text = text;
    if (!yaml_parser_initialize(&w.parser)) {
        r->out_of_memory = true;
        return NULL;
    }
    yaml_parser_set_encoding(&w.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&w.parser, (const unsigned char *)(text.at ? text.at : ""), text.len);
    while (!w.done && !w.failed) {
        if (!yaml_parser_parse(&w.parser, &event)) {
            syntax_error(&w);
            break;
        }
        take_event(&w, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&w.parser);
    if (w.failed)
        return NULL;
    if (!w.root)
        w.root = node_new(&w, CONF_NOTHING, &(yaml_mark_t){0});
    return w.root;
}

const struct conf_node *conf_child(const struct conf_node *map, const char *key)
{
    if (!map || map->kind != CONF_MAP)
        return NULL;
    for (const struct conf_node *v = map->first; v; v = v->next)
        if (!strcmp(v->key->text.at, key))
            return v;
    return NULL;
}
