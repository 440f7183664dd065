/*
 * The schema: one row for every key of the file, with its reader, its range and its default. The tables are the whole
 * truth about what may be written; etc/gatewayd.yaml is tested against them in both directions.
 */

#include "gatewayd/conf_internal.h"

#include <sched.h>
#include <unistd.h>

#include "gatewayd/log.h"

#define AT(type, field) .offset = offsetof(struct type, field)
#define LIST(type, field, number) \
    .offset = offsetof(struct type, field), .count = offsetof(struct type, number), \
    .item = sizeof(*((struct type *)NULL)->field)
#define RANGE(low, high) .least = (low), .most = (high)
#define WORDS(...) .words = (const char *const[]){__VA_ARGS__, NULL}
#define MANY 1000000u

enum { MS = 1, SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
enum { KIB = 1 << 10, MIB = 1 << 20, GIB = 1 << 30 };
enum {
    NONE = 1 << CONF_KEY_NONE,
    ENV = 1 << CONF_KEY_ENV,
    KEY_FILE = 1 << CONF_KEY_FILE,
    SEALED = 1 << CONF_KEY_SEALED,
    PASSTHROUGH = 1 << CONF_KEY_PASSTHROUGH
};

/* More workers than this could not be replaced by as many new ones within the region's slots. */
enum { WORKERS_MAX = 100 };

static void read_workers(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    struct conf *conf = base;
    cpu_set_t cpus;
    long online;

    if (!conf_is_word(node, "auto")) {
        conf_read_u32(r, rule, node, base);
        return;
    }
    /* What this process may run on: a container or taskset has less than the host. */
    online = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : sysconf(_SC_NPROCESSORS_ONLN);
    conf->workers = online < 1 ? 1 : online > WORKERS_MAX ? WORKERS_MAX : (unsigned)online;
}

/* off, or a map that switches probes on. */
static void read_health(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    struct conf_endpoint *e = base;

    if (conf_is_word(node, "off"))
        return;
    if (node->kind == CONF_SCALAR) {
        conf_wrong(r, rule, node, "off or keys like {path: /models, interval: 10s, timeout: 5s}");
        return;
    }
    conf_read_map(r, rule, node, base);
    e->health.on = true;
}

static void read_validate(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    if (!conf_is_word(node, "off"))
        conf_read_map(r, rule, node, base);
}

static void read_cluster(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    (void)base;
    if (!conf_is_word(node, "off"))
        conf_wrong(r, rule, node, "off (the key is reserved)");
}

static const struct conf_rule per_ip[] = {
    {"rps", conf_read_u32, AT(conf_per_ip, rps), RANGE(1, MANY)},
    {"burst", conf_read_u32, AT(conf_per_ip, burst), RANGE(1, MANY)},
    {"connections", conf_read_u32, AT(conf_per_ip, connections), RANGE(1, MANY)},
    {0}};

static const struct conf_rule listen_keys[] = {
    {"tcp", conf_read_address, .offset = 0},
    {"unix", conf_read_path, AT(conf_listen, path), .most = CONF_SUN_PATH_MAX},
    {"mode", conf_read_mode, AT(conf_listen, mode), .standard = "0660"},
    {"group", conf_read_name, AT(conf_listen, group)},
    {"open", conf_read_bool, AT(conf_listen, open), .standard = "false"},
    {"per_ip", conf_read_map, AT(conf_listen, per_ip), .inner = per_ip},
    {"trusted_proxies", conf_read_list, LIST(conf_listen, trusted_proxies, trusted_proxy_count),
     .each = conf_read_cidr},
    {0}};

static const struct conf_rule admin_listen[] = {
    {"tcp", conf_read_address, .offset = 0},
    {"unix", conf_read_path, AT(conf_listen, path), .most = CONF_SUN_PATH_MAX},
    {"mode", conf_read_mode, AT(conf_listen, mode), .standard = "0600"},
    {"group", conf_read_name, AT(conf_listen, group)},
    {0}};

static const struct conf_rule admin[] = {
    {"listen", conf_read_list, LIST(conf, admin.listen, admin.listen_count), .most = 64, .each = conf_read_map,
     .inner = admin_listen},
    {"token", conf_read_key, AT(conf, admin.token), .most = ENV | KEY_FILE | SEALED},
    {"open_metrics", conf_read_bool, AT(conf, admin.open_metrics), .standard = "false"},
    {"group", conf_read_name, AT(conf, admin.group)},
    {0}};

static const struct conf_rule limits[] = {
    {"connections", conf_read_u32, AT(conf, limits.connections), RANGE(1, MANY), .standard = "20000"},
    {"header", conf_read_size, AT(conf, limits.header), RANGE(KIB, MIB), .standard = "32KiB"},
    {"body", conf_read_size, AT(conf, limits.body), RANGE(KIB, GIB), .standard = "32MiB"},
    {"buffered", conf_read_size, AT(conf, limits.buffered), RANGE(KIB, 1024ull * GIB), .standard = "512MiB"},
    {"header_timeout", conf_read_duration, AT(conf, limits.header_timeout), RANGE(100, HOUR), .standard = "10s"},
    {"idle_timeout", conf_read_duration, AT(conf, limits.idle_timeout), RANGE(100, 24 * HOUR), .standard = "75s"},
    {0}};

_Static_assert(LOG_DEBUG_LEVEL == 0 && LOG_ERROR_LEVEL == 3, "the words of log.level stand in the order of the levels");
static const struct conf_rule log_keys[] = {
    {"level", conf_read_word, AT(conf, log.level), WORDS("debug", "info", "warn", "error"), .standard = "info"},
    {"access", conf_read_path, AT(conf, log.access), WORDS("stdout", "off"), .standard = "stdout"},
    {"format", conf_read_flag, AT(conf, log.json), WORDS("text", "json"), .standard = "json"},
    {0}};

static const struct conf_rule drain[] = {
    {"reload", conf_read_duration, AT(conf, drain.reload), RANGE(0, 24 * HOUR), .standard = "10m"},
    {"stop", conf_read_duration, AT(conf, drain.stop), RANGE(0, 24 * HOUR), .standard = "30s"},
    {0}};

static const struct conf_rule notify[] = {
    {"url", conf_read_url, AT(conf_notify, url), .needed = true},
    {"on", conf_read_bits, AT(conf_notify, on), WORDS("open", "close", "exhausted", "budget")},
    {0}};

/* Rates, counts and money that several kinds of things may be limited to. */
#define RATES \
    {"rpm", conf_read_u64, AT(conf_limits, rpm), RANGE(1, 1000000000)}, \
    {"tpm", conf_read_u64, AT(conf_limits, tpm), RANGE(1, 1000000000000)}, \
    {"rpd", conf_read_u64, AT(conf_limits, rpd), RANGE(1, 1000000000000)}, \
    {"burst", conf_read_u64, AT(conf_limits, rpm_burst), RANGE(1, 1000000000000)}
#define DOLLARS {"usd_per_day", conf_read_money, AT(conf_limits, usd_per_day), RANGE(1, 1000000000000000)}

static const struct conf_rule endpoint_limits[] = {RATES, {0}};
static const struct conf_rule account_limits[] = {RATES, DOLLARS, {0}};
static const struct conf_rule client_limits[] = {
    RATES, DOLLARS, {"concurrency", conf_read_u64, AT(conf_limits, concurrency), RANGE(1, MANY)}, {0}};

static const struct conf_rule timeouts[] = {
    {"connect", conf_read_duration, AT(conf_timeouts, connect), RANGE(10, 10 * MINUTE), .standard = "5s"},
    {"first_token", conf_read_duration, AT(conf_timeouts, first_token), RANGE(10, 24 * HOUR), .standard = "10s"},
    {"response", conf_read_duration, AT(conf_timeouts, response), RANGE(10, 24 * HOUR), .standard = "60s"},
    {"idle", conf_read_duration, AT(conf_timeouts, idle), RANGE(10, 24 * HOUR), .standard = "30s"},
    {"total", conf_read_duration, AT(conf_timeouts, total), RANGE(10, 24 * HOUR), .standard = "10m"},
    {0}};

static const struct conf_rule breaker[] = {
    {"failures", conf_read_u32, AT(conf_breaker, failures), RANGE(1, 255), .standard = "5"},
    {"rate", conf_read_percent, AT(conf_breaker, rate), RANGE(100, 10000), .standard = "50%"},
    {"min_requests", conf_read_u32, AT(conf_breaker, min_requests), RANGE(1, MANY), .standard = "20"},
    {"window", conf_read_duration, AT(conf_breaker, window), RANGE(SECOND, MINUTE), .standard = "60s"},
    {"successes", conf_read_u32, AT(conf_breaker, successes), RANGE(1, 15), .standard = "3"},
    {"half_open", conf_read_u32, AT(conf_breaker, half_open), RANGE(1, 15), .standard = "3"},
    {"open", conf_read_duration, AT(conf_breaker, open), RANGE(10, 24 * HOUR), .standard = "5s"},
    {"max_open", conf_read_duration, AT(conf_breaker, max_open), RANGE(10, 24 * HOUR), .standard = "30s"},
    {0}};

static const struct conf_rule cooldown[] = {
    {"default", conf_read_duration, AT(conf_backoff, standard), RANGE(10, 24 * HOUR), .standard = "2s"},
    {"max", conf_read_duration, AT(conf_backoff, max), RANGE(10, 24 * HOUR), .standard = "5m"},
    {0}};

static const struct conf_rule quota[] = {
    {"default", conf_read_duration, AT(conf_backoff, standard), RANGE(SECOND, 48 * HOUR), .standard = "15m"},
    {"max", conf_read_duration, AT(conf_backoff, max), RANGE(SECOND, 48 * HOUR), .standard = "6h"},
    {0}};

static const struct conf_rule health[] = {
    {"path", conf_read_url_path, AT(conf_health, path), .standard = "/models"},
    {"interval", conf_read_duration, AT(conf_health, interval), RANGE(100, 24 * HOUR), .standard = "10s"},
    {"timeout", conf_read_duration, AT(conf_health, timeout), RANGE(10, HOUR), .standard = "5s"},
    {0}};

static const struct conf_rule endpoint[] = {
    {"name", conf_read_name, AT(conf_endpoint, name), .needed = true},
    {"url", conf_read_base, .needed = true},
    {"key", conf_read_key, AT(conf_endpoint, key), .most = NONE | ENV | KEY_FILE | SEALED | PASSTHROUGH},
    {"key_prefixes", conf_read_list, LIST(conf_endpoint, key_prefixes, key_prefix_count), .each = conf_read_text},
    {"auth", conf_read_word, AT(conf_endpoint, auth), WORDS("bearer", "x-api-key", "api-key"), .standard = "bearer"},
    {"account", conf_read_account, .offset = 0},
    {"dialects", conf_read_bits, AT(conf_endpoint, dialects), WORDS("openai", "anthropic"), .standard = "openai"},
    {"weight", conf_read_u32, AT(conf_endpoint, weight), RANGE(1, 10000), .standard = "1"},
    {"priority", conf_read_u32, AT(conf_endpoint, priority), RANGE(0, 1000), .standard = "1"},
    {"max_concurrent", conf_read_u32, AT(conf_endpoint, max_concurrent), RANGE(1, MANY), .standard = "1000"},
    {"adaptive", conf_read_bool, AT(conf_endpoint, adaptive), .standard = "true"},
    {"limits", conf_read_map, AT(conf_endpoint, limits), .inner = endpoint_limits},
    {"timeouts", conf_read_map, AT(conf_endpoint, timeouts), .inner = timeouts},
    {"breaker", conf_read_map, AT(conf_endpoint, breaker), .inner = breaker},
    {"cooldown", conf_read_map, AT(conf_endpoint, cooldown), .inner = cooldown},
    {"quota", conf_read_map, AT(conf_endpoint, quota), .inner = quota},
    {"maintenance", conf_read_list, LIST(conf_endpoint, maintenance, maintenance_count), .each = conf_read_hours},
    {"price_factor", conf_read_millionths, AT(conf_endpoint, price_factor), RANGE(0, 100000000), .standard = "1"},
    {"slow_start", conf_read_duration, AT(conf_endpoint, slow_start), RANGE(0, HOUR), .standard = "0s"},
    {"health", read_health, AT(conf_endpoint, health), .inner = health, .standard = "off"},
    {"headers", conf_read_headers, LIST(conf_endpoint, headers, header_count)},
    {"http2", conf_read_flag, AT(conf_endpoint, http2), WORDS("off", "auto"), .standard = "auto"},
    {"ca_file", conf_read_path, AT(conf_endpoint, ca_file)},
    {"proxy", conf_read_proxy, AT(conf_endpoint, proxy)},
    {"usage", conf_read_word, AT(conf_endpoint, usage), WORDS("inject", "estimate"), .standard = "inject"},
    {0}};

static const struct conf_rule account[] = {
    {"key", conf_read_key, AT(conf_account, key), .most = NONE | ENV | KEY_FILE | SEALED | PASSTHROUGH},
    {"limits", conf_read_map, AT(conf_account, limits), .inner = account_limits},
    {0}};

static const struct conf_rule candidate[] = {
    {"name", conf_read_endpoint_ref, AT(conf_candidate, endpoint), .needed = true},
    {"as", conf_read_model_name, AT(conf_candidate, as)},
    {0}};

/* An endpoint's name, or its name and the model's name there. */
static void read_candidate(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node,
                           void *base)
{
    const struct conf_rule keys = {.key = rule->key, .inner = candidate};
    struct conf_candidate *c = base;

    c->endpoint = SIZE_MAX;
    if (node->kind == CONF_MAP)
        conf_read_map(r, &keys, node, c);
    else
        conf_read_endpoint_ref(r, &(struct conf_rule){.key = rule->key, AT(conf_candidate, endpoint)}, node, c);
}

static const struct conf_rule price[] = {
    {"input", conf_read_money, AT(conf_price, input), RANGE(0, 1000000000000)},
    {"output", conf_read_money, AT(conf_price, output), RANGE(0, 1000000000000)},
    {"cached_input", conf_read_money, AT(conf_price, cached_input), RANGE(0, 1000000000000)},
    {0}};

static const struct conf_rule validate[] = {
    {"min_chars", conf_read_u32, AT(conf_model, min_chars), RANGE(0, MANY), .standard = "0"}, {0}};

static const struct conf_rule model[] = {
    {"endpoints", conf_read_list, LIST(conf_model, candidates, candidate_count), .each = read_candidate},
    {"strategy", conf_read_word, AT(conf_model, strategy), WORDS("weighted", "round_robin", "latency", "least_busy"),
     .standard = "weighted"},
    {"fallback", conf_read_list, LIST(conf_model, fallback, fallback_count), .each = conf_read_model_ref},
    {"patience", conf_read_duration, AT(conf_model, patience), RANGE(0, HOUR), .standard = "10s"},
    {"context", conf_read_u64, AT(conf_model, context), RANGE(1000, 1000000000)},
    {"overflow", conf_read_word, AT(conf_model, overflow), WORDS("fallback", "reject", "truncate"),
     .standard = "fallback"},
    {"timeouts", conf_read_overrides, AT(conf_model, timeouts), .inner = timeouts},
    {"price", conf_read_map, AT(conf_model, price), .inner = price},
    {"validate", read_validate, .inner = validate, .standard = "off"},
    {0}};

static const struct conf_rule retry[] = {
    {"attempts", conf_read_u32, AT(conf_retry, attempts), RANGE(1, 100), .standard = "5"},
    {"per_endpoint", conf_read_u32, AT(conf_retry, per_endpoint), RANGE(1, 100), .standard = "3"},
    {"base", conf_read_duration, AT(conf_retry, base), RANGE(1, 10 * MINUTE), .standard = "500ms"},
    {"factor", conf_read_factor, AT(conf_retry, factor), RANGE(100, 10000), .standard = "2"},
    {"max", conf_read_duration, AT(conf_retry, max), RANGE(1, HOUR), .standard = "60s"},
    {"jitter", conf_read_percent, AT(conf_retry, jitter), RANGE(0, 10000), .standard = "30%"},
    {"budget", conf_read_percent, AT(conf_retry, budget), RANGE(0, 10000), .standard = "20%"},
    {"budget_min", conf_read_u32, AT(conf_retry, budget_min), RANGE(0, MANY), .standard = "3"},
    {0}};

static const struct conf_rule wait_keys[] = {
    {"max", conf_read_duration, AT(conf, wait.max), RANGE(0, HOUR), .standard = "30s"},
    {"queue", conf_read_u32, AT(conf, wait.queue), RANGE(0, MANY), .standard = "1000"},
    {0}};

static const struct conf_rule stream[] = {
    {"rescue", conf_read_flag, AT(conf, stream.replay), WORDS("off", "replay"), .standard = "replay"},
    {"hold", conf_read_duration, AT(conf, stream.hold), RANGE(0, MINUTE), .standard = "0ms"},
    {0}};

static const struct conf_rule hedge[] = {
    {"after", conf_read_duration, AT(conf, hedge.after), RANGE(1, 10 * MINUTE), .off = "off", .standard = "off"},
    {"budget", conf_read_percent, AT(conf, hedge.budget), RANGE(0, 10000), .standard = "2%"},
    {0}};

static const struct conf_rule cache[] = {
    {"size", conf_read_size, AT(conf, cache.size), RANGE(0, 1024ull * GIB), .standard = "0"},
    {"ttl", conf_read_duration, AT(conf, cache.ttl), RANGE(0, 1000ull * HOUR), .standard = "5m"},
    {"stale", conf_read_duration, AT(conf, cache.stale), RANGE(0, 1000ull * HOUR), .standard = "1h"},
    {"max_entry", conf_read_size, AT(conf, cache.max_entry), RANGE(KIB, GIB), .standard = "1MiB"},
    {"scope", conf_read_flag, AT(conf, cache.shared), WORDS("client", "shared"), .standard = "client"},
    {"coalesce", conf_read_bool, AT(conf, cache.coalesce), .standard = "true"},
    {0}};

static const struct conf_rule peer[] = {
    {"uid", conf_read_list, LIST(conf_client, uids, uid_count), .each = conf_read_uid},
    {"gid", conf_read_list, LIST(conf_client, gids, gid_count), .each = conf_read_gid},
    {0}};

static const struct conf_rule client[] = {
    {"name", conf_read_name, AT(conf_client, name), .needed = true},
    {"keys", conf_read_list, LIST(conf_client, keys, key_count), .each = conf_read_hash},
    {"unix", conf_read_map, .inner = peer},
    {"models", conf_read_client_models, LIST(conf_client, models, model_count), .each = conf_read_model_ref},
    {"endpoints", conf_read_list, LIST(conf_client, endpoints, endpoint_count), .each = conf_read_endpoint_ref},
    {"limits", conf_read_map, AT(conf_client, limits), .inner = client_limits},
    {0}};

static const struct conf_rule secrets[] = {
    {"master_key", conf_read_key, AT(conf, master_key), .most = ENV | KEY_FILE}, {0}};

const struct conf_rule conf_schema[] = {
    {"listen", conf_read_list, LIST(conf, listen, listen_count), .most = 64, .each = conf_read_map,
     .inner = listen_keys},
    {"admin", conf_read_map, .inner = admin},
    {"workers", read_workers, AT(conf, workers), RANGE(1, WORKERS_MAX), .standard = "auto"},
    {"user", conf_read_name, AT(conf, user)},
    {"state", conf_read_path, AT(conf, state)},
    {"ledger", conf_read_path, AT(conf, ledger), .off = "off", .standard = "off"},
    {"limits", conf_read_map, .inner = limits},
    {"log", conf_read_map, .inner = log_keys},
    {"drain", conf_read_map, .inner = drain},
    {"expose", conf_read_bool, AT(conf, expose)},
    {"notify", conf_read_list, LIST(conf, notify, notify_count), .most = 64, .each = conf_read_map, .inner = notify},
    {"endpoints", conf_read_list, LIST(conf, endpoints, endpoint_count), .most = 1000, .each = conf_read_map,
     .inner = endpoint, .needed = true},
    {"accounts", conf_read_named, LIST(conf, accounts, account_count), .most = 1000, .each = conf_read_name,
     .inner = account},
    {"models", conf_read_named, LIST(conf, models, model_count), .most = 1000, .each = conf_read_model_name,
     .inner = model},
    {"aliases", conf_read_aliases, LIST(conf, aliases, alias_count), .most = 10000},
    {"retry", conf_read_map, AT(conf, retry), .inner = retry},
    {"wait", conf_read_map, .inner = wait_keys},
    {"stream", conf_read_map, .inner = stream},
    {"hedge", conf_read_map, .inner = hedge},
    {"exhausted", conf_read_flag, AT(conf, exhausted_stale), WORDS("reject", "stale"), .standard = "reject"},
    {"cache", conf_read_map, .inner = cache},
    {"clients", conf_read_list, LIST(conf, clients, client_count), .most = 10000, .each = conf_read_map,
     .inner = client},
    {"secrets", conf_read_map, .inner = secrets},
    {"cluster", read_cluster, .standard = "off"},
    {0}};
