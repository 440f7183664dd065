#ifndef GATEWAYD_CONF_INTERNAL_H
#define GATEWAYD_CONF_INTERNAL_H

/*
 * What the parts of the configuration share, and its tests may look at. A file goes through three stages: conf_yaml.c
 * makes a tree in which every node knows its place, conf_read.c and conf_value.c fill `struct conf` from it as the
 * tables of conf_schema.c say, and conf_check.c resolves names and checks what no single key can tell. A stage reports
 * what is wrong and goes on, so that one run names every problem.
 */

#include "gatewayd/conf.h"

enum conf_kind {
    CONF_NOTHING, /* no value, ~ or null */
    CONF_SCALAR,
    CONF_LIST,
    CONF_MAP,
    CONF_BROKEN /* already reported; nobody complains about it again */
};

struct conf_node {
    enum conf_kind kind;
    unsigned line;
    unsigned column;
    struct str text; /* of a scalar, NUL-terminated */
    bool quoted;
    const struct conf_node *key; /* of a map's value */
    const struct conf_node *parent;
    struct conf_node *first; /* of a list: its items; of a map: its values, each with its key */
    struct conf_node *last;
    struct conf_node *next;
    size_t count;
};

/* A name that stands for something defined elsewhere in the file; resolved when all of it was read. */
enum conf_ref_kind { CONF_REF_ENDPOINT, CONF_REF_MODEL };
struct conf_ref {
    enum conf_ref_kind kind;
    const struct conf_node *node;
    size_t *target; /* receives the index; SIZE_MAX until then */
    struct conf_ref *next;
};

struct conf_reader {
    struct conf *conf;
    struct conf_problems *problems;
    struct arena scratch; /* the tree and everything else that ends with the load */
    struct conf_ref *first_ref;
    struct conf_ref *last_ref;
    bool bad; /* something was reported */
    bool out_of_memory;
};

/* One key of one map. Which of the fields after `offset` count depends on the reader. */
struct conf_rule;
typedef void conf_read(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base);
struct conf_rule {
    const char *key; /* NULL ends a table */
    conf_read *read;
    size_t offset; /* of the value in its struct */
    uint64_t least;
    uint64_t most;
    const char *standard;          /* the default, as it would be written; NULL: zero or none */
    const char *off;               /* a word that also stands for zero or none */
    const char *const *words;      /* choices, NULL-terminated; the value is the index */
    const struct conf_rule *inner; /* keys of the map, or of each map of the list */
    conf_read *each;               /* reader of a list's items, or of the names of a named map */
    size_t item;                   /* size of an item */
    size_t count;                  /* offset of the number of items */
    bool needed;
};

/* The keys of the whole file. */
extern const struct conf_rule conf_schema[];

/* conf.c */
void *conf_new(struct conf_reader *r, size_t size);                       /* from the configuration's arena; or NULL */
const char *conf_text(struct conf_reader *r, const char *at, size_t len); /* a copy in it; or NULL */
void conf_bad(struct conf_reader *r, const struct conf_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "; did you mean 'x'?" for the nearest of the names offered so far, or nothing. */
struct conf_guess {
    struct str asked;
    const char *best;
    unsigned distance;
    char text[96];
};
struct conf_guess conf_guess(struct str asked);
void conf_guess_offer(struct conf_guess *g, const char *name);
const char *conf_guess_text(struct conf_guess *g);
/* `s` for a message: as it is or its beginning. */
enum { CONF_SHOWN = 64 };
const char *conf_shown(struct str s, size_t most, char out[CONF_SHOWN + 4]);

/* conf_yaml.c: the tree, or NULL after a syntax error. An empty file is a node of kind CONF_NOTHING. */
struct conf_node *conf_tree(struct conf_reader *r, struct str text);
/* The value of a key; NULL when it is not given or `map` is no map. */
const struct conf_node *conf_child(const struct conf_node *map, const char *key);

/* conf_read.c */
void conf_wrong(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node,
                const char *expected);
bool conf_is_word(const struct conf_node *node, const char *word);
conf_read conf_read_map;         /* defaults first, then what is given */
conf_read conf_read_overrides;   /* a map whose absent keys stay zero */
conf_read conf_read_named;       /* a map of names to maps; each item begins with `const char *name` */
conf_read conf_read_list;
conf_read conf_read_bool;
conf_read conf_read_u32;
conf_read conf_read_u64;
conf_read conf_read_duration;   /* uint32_t, ms */
conf_read conf_read_size;       /* size_t, bytes */
conf_read conf_read_percent;    /* uint32_t, hundredths of a percent */
conf_read conf_read_factor;     /* uint32_t, hundredths */
conf_read conf_read_millionths; /* uint32_t */
conf_read conf_read_money;      /* uint64_t, micro-dollars */
conf_read conf_read_word;       /* an enum */
conf_read conf_read_flag;       /* a bool: false is the first word */
conf_read conf_read_bits;       /* a list of words; a bit for each */

/* conf_value.c */
enum { CONF_SUN_PATH_MAX = 107 };
bool conf_is_visible(struct str s, const char *but);    /* ASCII without blanks and without any of `but` */
bool conf_is_made_of(struct str s, const char *others); /* letters, digits and `others` */
conf_read conf_read_text; /* visible ASCII, at most `most` bytes */
conf_read conf_read_path; /* at most `most` bytes; `words` are no paths but permitted */
conf_read conf_read_name; /* of endpoints, accounts and clients */
conf_read conf_read_model_name;
conf_read conf_read_key;  /* `most`: bits of the permitted enum conf_key_source */
conf_read conf_read_hours;
conf_read conf_read_headers;
conf_read conf_read_hash;
conf_read conf_read_uid;
conf_read conf_read_gid;

/* conf_url.c */
conf_read conf_read_url;  /* http:// or https:// */
conf_read conf_read_proxy;
conf_read conf_read_base; /* an endpoint's url; `base` is the struct conf_endpoint */
conf_read conf_read_url_path;

/* conf_address.c */
conf_read conf_read_address; /* host:port; `base` is the struct conf_listen */
conf_read conf_read_cidr;
conf_read conf_read_mode;
bool conf_is_loopback(const char *host);

/* conf_names.c: names and what refers to them. */
conf_read conf_read_account;      /* checks it; conf_names() finds it */
conf_read conf_read_endpoint_ref; /* size_t */
conf_read conf_read_model_ref;
conf_read conf_read_client_models;
conf_read conf_read_aliases;
void conf_names(struct conf_reader *r, const struct conf_node *root);

/* conf_check.c: what follows from several keys together, and the defaults that do. */
void conf_check(struct conf_reader *r, const struct conf_node *root);

#endif
