#ifndef GATEWAYD_CONF_H
#define GATEWAYD_CONF_H

/*
 * The configuration: read from YAML, checked whole, then immutable. A new configuration means new workers, so nothing
 * here is ever changed after conf_load(). All problems of a file are collected and reported in one go, each with its
 * line and column. All strings live in the configuration's own arena.
 *
 * Durations are milliseconds, sizes bytes, percentages hundredths of a percent, money micro-dollars.
 */

#include "gatewayd/buf.h"
#include "gatewayd/str.h"

struct conf_problem {
    unsigned line; /* 1-based; 0 when the problem is the file's own */
    unsigned column;
    const char *message;
};

struct conf_problems {
    size_t count;
    size_t size;
    struct conf_problem *list; /* sorted by place */
    struct arena arena;
};

struct conf_cidr {
    int family; /* AF_INET or AF_INET6 */
    unsigned char address[16];
    unsigned bits;
};

struct conf_per_ip {
    uint32_t rps; /* 0: no limit */
    uint32_t burst;
    uint32_t connections;
};

struct conf_listen {
    const char *host; /* of a TCP listener: an address, without brackets; "" is all interfaces. NULL: a Unix one */
    uint16_t port;
    const char *path; /* of a Unix listener */
    uint32_t mode;
    const char *group;
    bool open; /* TCP, not loopback, without clients: said to be meant */
    struct conf_per_ip per_ip;
    struct conf_cidr *trusted_proxies;
    size_t trusted_proxy_count;
};

/* Where a secret comes from. The secret itself is never in the configuration. */
enum conf_key_source { CONF_KEY_NONE, CONF_KEY_ENV, CONF_KEY_FILE, CONF_KEY_SEALED, CONF_KEY_PASSTHROUGH };
struct conf_key {
    enum conf_key_source source;
    const char *text; /* variable, path or sealed text */
    unsigned line;    /* where it stands, for messages; 0 when it is not given */
    unsigned column;
};

struct conf_timeouts { /* 0: not set (of a model's overrides) */
    uint32_t connect;
    uint32_t first_token;
    uint32_t response;
    uint32_t idle;
    uint32_t total;
};

struct conf_breaker {
    uint32_t failures;
    uint32_t rate; /* hundredths of a percent */
    uint32_t min_requests;
    uint32_t window;
    uint32_t successes;
    uint32_t half_open;
    uint32_t open;
    uint32_t max_open;
};

struct conf_backoff { /* cooldown: and quota: */
    uint32_t standard;
    uint32_t max;
};

struct conf_limits { /* 0: none; of a burst: as much as its rate */
    uint64_t rpm, rpm_burst;
    uint64_t tpm, tpm_burst;
    uint64_t rpd;
    uint64_t concurrency;
    uint64_t usd_per_day; /* micro-dollars */
};

struct conf_health {
    bool on;
    const char *path;
    uint32_t interval;
    uint32_t timeout;
};

struct conf_hours { /* minutes of the day, UTC; from > to wraps around midnight */
    uint16_t from;
    uint16_t to;
};

struct conf_pair { /* a name and a value: headers, aliases */
    const char *name;
    const char *value;
};

struct conf_account {
    const char *name;
    struct conf_key key;
    struct conf_limits limits;
};

enum conf_auth { CONF_AUTH_BEARER, CONF_AUTH_X_API_KEY, CONF_AUTH_API_KEY };
enum { CONF_DIALECT_OPENAI = 1, CONF_DIALECT_ANTHROPIC = 2 };
enum conf_usage { CONF_USAGE_INJECT, CONF_USAGE_ESTIMATE };

struct conf_endpoint {
    const char *name;
    const char *url;         /* as written */
    const char *base;        /* the http(s) URL without a trailing slash; of "unix:PATH:/v1": "http://localhost/v1" */
    const char *unix_socket; /* PATH of "unix:PATH:/v1", else NULL */
    struct conf_key key;     /* its own, else its account's */
    const char *const *key_prefixes;
    size_t key_prefix_count;
    enum conf_auth auth;
    size_t account; /* index into accounts: every endpoint has one, named as written or after the endpoint */
    unsigned dialects;
    uint32_t weight;
    uint32_t priority;
    uint32_t max_concurrent;
    bool adaptive;
    struct conf_limits limits;
    struct conf_timeouts timeouts;
    struct conf_breaker breaker;
    struct conf_backoff cooldown;
    struct conf_backoff quota;
    struct conf_hours *maintenance;
    size_t maintenance_count;
    uint32_t price_factor; /* millionths */
    uint32_t slow_start;
    struct conf_health health;
    struct conf_pair *headers;
    size_t header_count;
    bool http2;
    const char *ca_file;
    const char *proxy;
    enum conf_usage usage;
};

enum conf_strategy { CONF_WEIGHTED, CONF_ROUND_ROBIN, CONF_LATENCY, CONF_LEAST_BUSY };
enum conf_overflow { CONF_OVERFLOW_FALLBACK, CONF_OVERFLOW_REJECT, CONF_OVERFLOW_TRUNCATE };

struct conf_candidate {
    size_t endpoint; /* index */
    const char *as;  /* the model's name upstream; NULL: as asked */
};

struct conf_price { /* micro-dollars per million tokens */
    uint64_t input, output, cached_input;
};

struct conf_model {
    const char *name;
    struct conf_candidate *candidates;
    size_t candidate_count;
    enum conf_strategy strategy;
    size_t *fallback; /* indices of models */
    size_t fallback_count;
    uint32_t patience;
    uint64_t context; /* tokens; 0: unknown */
    enum conf_overflow overflow;
    struct conf_timeouts timeouts;
    struct conf_price price;
    uint32_t min_chars; /* validate; 0: off */
};

struct conf_alias {
    const char *name;
    size_t model; /* index, or SIZE_MAX with `target` when no models are configured */
    const char *target;
};

struct conf_retry {
    uint32_t attempts;
    uint32_t per_endpoint;
    uint32_t base;
    uint32_t factor; /* hundredths */
    uint32_t max;
    uint32_t jitter; /* hundredths of a percent */
    uint32_t budget; /* hundredths of a percent */
    uint32_t budget_min;
};

struct conf_notify {
    const char *url;
    unsigned on; /* bits of CONF_NOTIFY_* */
};
enum { CONF_NOTIFY_OPEN = 1, CONF_NOTIFY_CLOSE = 2, CONF_NOTIFY_EXHAUSTED = 4, CONF_NOTIFY_BUDGET = 8 };

struct conf_client {
    const char *name;
    const unsigned char (*keys)[32]; /* BLAKE2b-256 hashes */
    size_t key_count;
    uint32_t *uids;
    size_t uid_count;
    uint32_t *gids;
    size_t gid_count;
    size_t *models; /* indices; all when none are named. SIZE_MAX without models: in the file: only the name counts */
    const char *const *model_names; /* as written, one for each of `models` */
    size_t model_count;
    size_t *endpoints;
    size_t endpoint_count;
    struct conf_limits limits;
};

struct conf {
    struct arena arena;
    const char *file; /* as given, for messages */

    struct conf_listen *listen;
    size_t listen_count;
    struct {
        struct conf_listen *listen;
        size_t listen_count;
        struct conf_key token;
        bool open_metrics;
        const char *group;
    } admin;
    unsigned workers; /* resolved: online CPUs for auto */
    const char *user; /* as written, NULL: the default */
    const char *state;
    const char *ledger; /* NULL: off */
    struct {
        uint32_t connections;
        size_t header;
        size_t body;
        size_t buffered;
        uint32_t header_timeout;
        uint32_t idle_timeout;
    } limits;
    struct {
        int level; /* enum log_level */
        const char *access; /* "stdout", "off" or a path */
        bool json;
    } log;
    struct {
        uint32_t reload;
        uint32_t stop;
    } drain;
    bool expose; /* resolved: true without clients */
    struct conf_notify *notify;
    size_t notify_count;

    struct conf_endpoint *endpoints;
    size_t endpoint_count;
    struct conf_account *accounts;
    size_t account_count;
    struct conf_model *models;
    size_t model_count;
    struct conf_alias *aliases;
    size_t alias_count;

    struct conf_retry retry;
    struct {
        uint32_t max;
        uint32_t queue;
    } wait;
    struct {
        bool replay;
        uint32_t hold;
    } stream;
    struct {
        uint32_t after; /* 0: off */
        uint32_t budget;
    } hedge;
    bool exhausted_stale;
    struct {
        size_t size; /* 0: off */
        uint32_t ttl;
        uint32_t stale;
        size_t max_entry;
        bool shared; /* scope */
        bool coalesce;
    } cache;
    struct conf_client *clients;
    size_t client_count;
    struct conf_key master_key;
};

/*
 * Read and check a file ("-" is stdin). On success `*conf` is a configuration to be freed with conf_free() and there
 * are no problems. Otherwise returns 1 with at least one problem, or -ENOMEM. Warnings do not exist: a file is good or
 * bad. `problems` is zeroed by the caller and added to; at most 1000 are kept.
 */
int conf_load(const char *file, struct conf **conf, struct conf_problems *problems);
/* The same for text in memory; `name` stands in for the file in messages. */
int conf_parse(const char *name, struct str text, struct conf **conf, struct conf_problems *problems);
void conf_free(struct conf *conf);

/* Add a problem found by someone else (an unreadable key, say) at a place in the file. */
void conf_problem_add(struct conf_problems *problems, unsigned line, unsigned column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* "FILE:LINE:COL: message\n" for each, to a stdio stream. */
void conf_problems_print(const struct conf_problems *problems, const char *file, void *stream);
void conf_problems_fini(struct conf_problems *problems);

/* Where the region is when the configuration does not say: /run/gatewayd/state, or $XDG_RUNTIME_DIR/gatewayd/state when
 * not root. Written to `out`; false when it does not fit. */
bool conf_default_state(char *out, size_t size);

#endif
